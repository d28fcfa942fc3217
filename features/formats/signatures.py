"""Find where containers begin, at a place or somewhere behind it."""

from typing import Final

from features.formats.spliced import Source, read_at
from features.formats.table import first_signature

_BLOCK: Final = 1 << 20
#: The longest signature.
_OVERLAP: Final = 32


def other_container(source: Source, position: int, end: int) -> int:
    """Return where the next container begins that is told by its first bytes; `end` for none."""
    while position < end:
        data = read_at(source, position, min(_BLOCK, end - position + _OVERLAP))
        found = first_signature(data)
        if found is not None:
            return min(end, position + found)
        if len(data) <= _OVERLAP:
            return end
        position += len(data) - _OVERLAP
    return end
