"""JSON answers, by msgspec."""

from typing import Any

import msgspec
from starlette.responses import Response

_encoder = msgspec.json.Encoder()


class Json(Response):
    """An answer in JSON."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """Encode the content; bytes are JSON already."""
        return content if isinstance(content, bytes) else _encoder.encode(content)
