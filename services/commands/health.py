"""``genrestream health``: ask the worker of this machine whether it is ready and gets on.

``python -m services.commands.health`` is the same for a container's health check, which runs every
few seconds: it imports next to nothing.
"""

import os
import sys
from http.client import HTTPConnection
from typing import Final

_SECONDS: Final = 4.0


def main() -> int:
    """Print the answer; return 0 if all is well."""
    port = int(os.environ.get("GENRESTREAM_HTTP_PORT", "0"))
    if not port:
        sys.stderr.write("error: there is no port to ask: set GENRESTREAM_HTTP_PORT\n")
        return 1
    host = os.environ.get("GENRESTREAM_HTTP_HOST", "127.0.0.1")
    connection = HTTPConnection("127.0.0.1" if host == "0.0.0.0" else host, port, timeout=_SECONDS)  # noqa: S104 - not bound here
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        sys.stdout.write(answer.read().decode())
    except (OSError, ValueError) as error:
        sys.stderr.write(f"error: nothing answers on port {port}: {error}\n")
        return 1
    return 0 if answer.status == 200 else 1


if __name__ == "__main__":
    sys.exit(main())
