"""One small port for metrics and probes, served by threads."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from schemas.errors import SettingsError
from services.settings import Settings

#: A client that does not end its request by then is cut off.
_REQUEST_SECONDS: Final = 5.0
_TEXT: Final = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a probe is told: whether all is well, and why (not)."""

    ok: bool
    text: str


def serve(
    settings: Settings, registry: CollectorRegistry, probes: Mapping[str, Callable[[], Answer]]
) -> ThreadingHTTPServer:
    """Serve ``/metrics`` and probes on the port of the settings, until the process ends.

    Raises
    ------
    SettingsError
        The port cannot be bound.
    """

    class Handler(BaseHTTPRequestHandler):
        timeout = _REQUEST_SECONDS

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            if path == "/metrics":
                self._answer(HTTPStatus.OK, generate_latest(registry), CONTENT_TYPE_LATEST)
            elif path in probes:
                answer = probes[path]()
                status = HTTPStatus.OK if answer.ok else HTTPStatus.SERVICE_UNAVAILABLE
                self._answer(status, f"{answer.text}\n".encode(), _TEXT)
            else:
                paths = ", ".join(["/metrics", *probes])
                self._answer(HTTPStatus.NOT_FOUND, f"here are {paths}\n".encode(), _TEXT)

        def _answer(self, status: HTTPStatus, body: bytes, content_type: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Leave requests out of the log: probes come every few seconds."""

    address = (settings.http_host, settings.http_port)
    try:
        server = ThreadingHTTPServer(address, Handler)
    except OSError as error:
        raise SettingsError(
            f"GENRESTREAM_HTTP_PORT={settings.http_port} on GENRESTREAM_HTTP_HOST="
            f"{settings.http_host} cannot be served: {error.strerror}; choose another, 0 for none"
        ) from error
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server
