"""ICY: titles between the bytes of an HTTP stream, each so many bytes (``icy-metaint``)."""

import re
from dataclasses import dataclass, field
from typing import Final

#: What servers use is 8 to 64 KiB. With less there is more metadata than sound; with more, a title
#: would be minutes late, and a count may be a trap.
SMALLEST_INTERVAL: Final = 256
LARGEST_INTERVAL: Final = 16 * 1024 * 1024
_TITLE: Final = re.compile(r"StreamTitle='(.*?)'\s*(?:;|$)", re.DOTALL)
_UNTIL_URL: Final = re.compile(r"StreamTitle='(.*?)';\s*Stream\w+=", re.DOTALL)
MAX_TITLE: Final = 300


def decode_text(data: bytes) -> str:
    """Read text as UTF-8, else as Latin-1; what no terminal prints is left out.

    >>> decode_text("Sigur Rós".encode("latin-1")), decode_text("Sigur Rós".encode())
    ('Sigur Rós', 'Sigur Rós')
    """
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    return clean_title(text)


def clean_title(text: str) -> str:
    """Return a title on one line, without control characters, of at most `MAX_TITLE` characters."""
    printable = "".join(c if c.isprintable() else " " for c in text[: 4 * MAX_TITLE])
    return " ".join(printable.split())[:MAX_TITLE]


def parse_title(block: bytes) -> str | None:
    """Read the title of a block of metadata; ``None`` where it has none.

    >>> parse_title(b"StreamTitle='Guns N' Roses - Don't Cry';StreamUrl='';")
    "Guns N' Roses - Don't Cry"
    """
    text = decode_text(block.rstrip(b"\0"))
    found = _UNTIL_URL.search(text) or re.search(r"StreamTitle='(.*)'", text) or _TITLE.search(text)
    return found.group(1).strip() if found else None


def interval(header: str | None) -> int | None:
    """Read ``icy-metaint``: ``None`` without one, or with 0.

    Raises
    ------
    ValueError
        No number, or one outside of the limits.
    """
    if header is None or header.strip() == "0":
        return None
    if not header.strip().isdecimal() or len(header.strip()) > 12:
        raise ValueError(f"icy-metaint is {header.strip()[:20]!r}, no number of bytes")
    value = int(header)
    if not SMALLEST_INTERVAL <= value <= LARGEST_INTERVAL:
        raise ValueError(
            f"icy-metaint is {value}, outside of {SMALLEST_INTERVAL} to {LARGEST_INTERVAL}"
        )
    return value


@dataclass
class Demultiplexer:
    """Takes the titles out of a stream; holds at most one block of 4,080 bytes.

    Parameters
    ----------
    every
        Bytes of sound between two blocks; ``None`` for a stream without them.
    """

    every: int | None
    _sound_left: int = field(init=False)
    _block: bytearray | None = field(default=None, init=False)
    _block_left: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self._sound_left = self.every or 0

    def feed(self, data: bytes) -> tuple[bytes, list[str]]:
        """Split bytes as they come into sound and titles."""
        if self.every is None:
            return data, []
        sound, titles, place = bytearray(), list[str](), 0
        while place < len(data):
            place = self._step(data, place, sound, titles)
        return bytes(sound), titles

    def _step(self, data: bytes, place: int, sound: bytearray, titles: list[str]) -> int:
        if self._block is not None:
            return self._take_block(data, place, titles)
        if self._sound_left:
            part = data[place : place + self._sound_left]
            sound += part
            self._sound_left -= len(part)
            return place + len(part)
        self._block, self._block_left = bytearray(), 16 * data[place]
        if not self._block_left:
            self._end_block(titles)
        return place + 1

    def _take_block(self, data: bytes, place: int, titles: list[str]) -> int:
        assert self._block is not None
        part = data[place : place + self._block_left]
        self._block += part
        self._block_left -= len(part)
        if not self._block_left:
            self._end_block(titles)
        return place + len(part)

    def _end_block(self, titles: list[str]) -> None:
        title = parse_title(bytes(self._block or b""))
        if title is not None:
            titles.append(title)
        self._block, self._sound_left = None, self.every or 0
