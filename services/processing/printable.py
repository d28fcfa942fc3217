"""Text of others, made fit to be echoed in logs, letters and terminals: short and printable."""

import re
from typing import Final

#: Characters of a text at most; the rest is counted.
MAX_ECHO: Final = 500
_TRACEPARENT: Final = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}", re.ASCII)


def echo(text: str, limit: int = MAX_ECHO) -> str:
    r"""Return a text without control characters and cut to a length.

    >>> echo("a\x1b[31mb\n")
    'a\\x1b[31mb\\n'
    >>> echo("x" * 7, limit=5)
    'xxxxx… (2 more)'
    """
    cut = text[:limit]
    shown = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in cut)
    return shown if len(text) <= limit else f"{shown}… ({len(text) - limit} more)"


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
