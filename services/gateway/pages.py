"""The page's own files, read once."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from services.gateway.problems import Problem

_FOLDER: Final = Path(__file__).with_name("page")
_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True, slots=True)
class File:
    """A file of the page."""

    body: bytes
    media_type: str
    tag: str


def load(folder: Path = _FOLDER) -> dict[str, File]:
    """Read the files of the page, by name."""
    files = {}
    for path in sorted(folder.iterdir()):
        if path.suffix in _TYPES:
            body = path.read_bytes()
            tag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
            files[path.name] = File(body, _TYPES[path.suffix], tag)
    return files


_files: Final = load()


@router.get("/")
async def index(request: Request) -> Response:
    """Send the page."""
    return await file(request, "index.html")


@router.get("/{name}")
async def file(request: Request, name: str) -> Response:
    """Send a file of the page."""
    found = _files.get(name)
    if found is None:
        raise Problem("not-found", f"There is nothing at /{name[:100]}.")
    headers = {"Cache-Control": "no-cache", "ETag": found.tag}
    if request.headers.get("if-none-match") == found.tag:
        return Response(status_code=304, headers=headers)
    return Response(found.body, media_type=found.media_type, headers=headers)
