"""Trace contexts of others, of which only what is W3C's is passed on."""

import re
from typing import Final

_TRACEPARENT: Final = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}", re.ASCII)


def valid_traceparent(text: str | None) -> str | None:
    """Return a W3C trace context of version 00's 55 characters; ``None`` for anything else.

    >>> valid_traceparent("00-" + "a" * 32 + "-" + "b" * 16 + "-01") is None
    False
    >>> valid_traceparent("00-" + "0" * 32 + "-" + "b" * 16 + "-01") is None
    True
    """
    if text is None or not _TRACEPARENT.fullmatch(text):
        return None
    version, trace, parent, _ = text.split("-")
    is_valid = version != "ff" and trace.strip("0") and parent.strip("0")
    return text if is_valid else None
