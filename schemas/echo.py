"""Text of others, made fit to be echoed in logs, letters and terminals: short and printable."""

from typing import Final

#: Characters of a text at most; the rest is counted.
MAX_ECHO: Final = 500


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
