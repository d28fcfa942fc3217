"""A webhook that answers as it is told, and keeps what it got."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Webhook:
    """The server; `status` and `seconds`, which an answer takes, may change while it runs."""

    url: str = ""
    status: int = 200
    seconds: float = 0.0
    tries: int = 0
    got: list[dict[str, Any]] = field(default_factory=list)
    signatures: list[str | None] = field(default_factory=list)


@contextmanager
def webhook() -> Iterator[Webhook]:
    """Serve for the duration of a ``with`` block."""
    hook = Webhook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            hook.tries += 1
            time.sleep(hook.seconds)
            if hook.status == 200:
                hook.got.append(json.loads(content))
                hook.signatures.append(self.headers["X-Genrestream-Signature-256"])
            self.send_response(hook.status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hook.url = f"http://127.0.0.1:{server.server_port}/"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield hook
    finally:
        server.shutdown()
        server.server_close()
