"""A worker whose names of stations stand in a file: ``python -m … FILE worker receiver``.

A name that is not in the file, a JSON object from names to addresses, is not known to DNS.
"""

import json
import socket
import sys
from pathlib import Path
from typing import Any

from services.cli import main
from tests.radio.live_server import DOMAIN

_resolve = socket.getaddrinfo


def resolve_by(file: Path) -> None:
    """Let names of stations be resolved by a file."""

    def resolve(host: Any, *arguments: Any, **options: Any) -> Any:
        if not str(host).endswith(f".{DOMAIN}"):
            return _resolve(host, *arguments, **options)
        address = json.loads(file.read_text()).get(host)
        if address is None:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return _resolve(address, *arguments, **options)

    socket.getaddrinfo = resolve


if __name__ == "__main__":
    resolve_by(Path(sys.argv.pop(1)))
    main()
