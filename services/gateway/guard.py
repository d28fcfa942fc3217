"""The outermost layer of the application: rules, limits and headers for every request."""

import asyncio
import json
import logging
import time
from typing import Any, Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.gateway.access import Access, Request
from services.gateway.problems import MEDIA_TYPE, Problem

logger = logging.getLogger(__name__)

#: Of a request that is no upload.
MAX_BODY_BYTES: Final = 64 * 1024
MAX_HEADER_BYTES: Final = 32 * 1024
_UPLOADS: Final = ("/api/classify", "/api/streams/")
_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; connect-src 'self'; worker-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
}


class Guard:
    """Checks each request, limits its body, and adds our headers to each answer.

    Parameters
    ----------
    app
        What answers.
    access
        The rules.
    """

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access
        self._headers = [(k.lower().encode(), v.encode()) for k, v in _HEADERS.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        request = request_of(scope)
        scope["genrestream.transport"] = _transport_of(receive)
        answer = _Answer(send, self._headers + self._cors(request))
        try:
            _check_size(scope)
            self._access.check(request, time.monotonic(), time.time())
            if _is_preflight(request) and request.headers.get("origin") in self._access.origins:
                await _send(answer, 204, b"", {})
                return
            await self._app(scope, _limited(request, receive), answer)
        except Problem as problem:
            await answer.refuse(scope, receive, problem)
        except Exception:
            logger.exception("%s %s failed", request.method, request.path)
            await answer.refuse(scope, receive, Problem("internal"))

    def _cors(self, request: Request) -> list[tuple[bytes, bytes]]:
        """Let the sites that are named read answers; nobody else."""
        origin = request.headers.get("origin")
        if origin is None or origin not in self._access.origins:
            return []
        headers = {
            "access-control-allow-origin": origin,
            "access-control-allow-credentials": "true",
            "access-control-allow-methods": "GET, POST, PUT, DELETE",
            "access-control-allow-headers": "authorization, content-type, last-event-id",
            "vary": "origin",
        }
        return [(k.encode(), v.encode()) for k, v in headers.items()]


class _Answer:
    """Sends an answer with our headers; refuses where nothing was sent yet."""

    def __init__(self, send: Send, headers: list[tuple[bytes, bytes]]) -> None:
        self._send = send
        self._headers = headers
        self._started = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._started = True
            message = {**message, "headers": [*message.get("headers", ()), *self._headers]}
        elif message["type"].startswith("websocket."):
            self._started = True
        await self._send(message)

    async def refuse(self, scope: Scope, receive: Receive, problem: Problem) -> None:
        if self._started:
            transport = scope.get("genrestream.transport")
            if transport:
                transport.abort()
        elif scope["type"] == "websocket":
            await receive()
            await self({"type": "websocket.close", "code": 1008, "reason": str(problem)[:120]})
        else:
            body = json.dumps(problem.body()).encode()
            headers = {"content-type": MEDIA_TYPE, **problem.headers}
            await _send(self, problem.status, body, headers)


async def _send(send: Send, status: int, body: bytes, headers: dict[str, str]) -> None:
    pairs = [(k.lower().encode(), v.encode("latin-1", "replace")) for k, v in headers.items()]
    pairs.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": status, "headers": pairs})
    await send({"type": "http.response.body", "body": body})


def request_of(scope: Scope) -> Request:
    """Read what decides from an ASGI scope."""
    headers = {k.decode("latin-1"): v.decode("latin-1") for k, v in scope["headers"]}
    client = scope.get("client") or ("unknown", 0)
    method = scope.get("method", "WEBSOCKET")
    return Request(method, scope["path"], headers, str(client[0]))


def _check_size(scope: Scope) -> None:
    """Refuse headers that came in one piece, and so were not measured while they came."""
    size = sum(len(name) + len(value) + 4 for name, value in scope["headers"])
    if size > MAX_HEADER_BYTES:
        raise Problem("headers-too-large", f"{size} bytes, at most {MAX_HEADER_BYTES}.")


def _is_preflight(request: Request) -> bool:
    return request.method == "OPTIONS" and "access-control-request-method" in request.headers


def _transport_of(receive: Receive) -> Any:
    """Return the connection of a request, where the server is uvicorn."""
    return getattr(getattr(receive, "__self__", None), "transport", None)


def _limited(request: Request, receive: Receive) -> Receive:
    """Refuse a body that is longer than what is read into memory."""
    if request.method == "WEBSOCKET" or request.path.startswith(_UPLOADS):
        return receive
    length = request.headers.get("content-length", "0")
    if length.isdigit() and int(length) > MAX_BODY_BYTES:
        raise _too_long()
    read = 0

    async def counting() -> Message:
        nonlocal read
        try:
            async with asyncio.timeout(30 if read == 0 else 10):
                message = await receive()
        except TimeoutError:
            raise Problem("upload-slow") from None
        read += len(message.get("body", b""))
        if read > MAX_BODY_BYTES:
            raise _too_long()
        return message

    return receive if request.method in ("GET", "HEAD") else counting


def _too_long() -> Problem:
    return Problem("too-large", f"At most {MAX_BODY_BYTES} bytes are taken here.")
