"""Where a reader of events stands: the next offset of every partition, as text.

The text is the id of a Server-Sent Event, so that ``Last-Event-ID`` says from where to go on.
"""

import base64
import binascii
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

#: A partition of a topic.
Partition = tuple[str, int]

_MAX_TEXT: Final = 4096
_MAX_OFFSET: Final = 2**63 - 1
_CHECK_BYTES: Final = 2


class BadCursor(ValueError):
    """A text that is no cursor over these partitions."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The partitions that a cursor speaks of, in the order of its numbers.

    >>> layout = Layout((("predictions", 0), ("predictions", 1)))
    >>> layout.decode(layout.encode({("predictions", 0): 5, ("predictions", 1): 300}))
    {('predictions', 0): 5, ('predictions', 1): 300}
    """

    partitions: Sequence[Partition]

    @property
    def check(self) -> bytes:
        """Two bytes that differ for other topics or other numbers of partitions."""
        names = ",".join(f"{topic}/{number}" for topic, number in self.partitions)
        return zlib.crc32(names.encode()).to_bytes(4, "big")[:_CHECK_BYTES]

    def encode(self, offsets: Mapping[Partition, int]) -> str:
        """Write the next offset of every partition."""
        data = bytearray(self.check)
        for partition in self.partitions:
            _write_varint(data, offsets.get(partition, 0))
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

    def decode(self, text: str) -> dict[Partition, int]:
        """Read what `encode` wrote.

        Raises
        ------
        BadCursor
            Anything else, or what was written for other partitions.
        """
        data = _bytes_of(text)
        if data[:_CHECK_BYTES] != self.check:
            raise BadCursor("it speaks of other topics or partitions than there are now")
        offsets, rest = {}, memoryview(data)[_CHECK_BYTES:]
        for partition in self.partitions:
            offsets[partition], rest = _read_varint(rest)
        if rest:
            raise BadCursor("it goes on behind its last offset")
        return offsets


def _bytes_of(text: str) -> bytes:
    if len(text) > _MAX_TEXT or not text.isascii():
        raise BadCursor(f"it has {len(text)} characters, at most {_MAX_TEXT} of ASCII are ours")
    try:
        padded = text + "=" * (-len(text) % 4)
        return base64.b64decode(padded, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadCursor("it is not base64") from error


def _write_varint(data: bytearray, number: int) -> None:
    while number > 0x7F:
        data.append(number & 0x7F | 0x80)
        number >>= 7
    data.append(number)


def _read_varint(data: memoryview) -> tuple[int, memoryview]:
    number = 0
    for place, byte in enumerate(data[:9]):
        number |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return min(number, _MAX_OFFSET), data[place + 1 :]
    raise BadCursor("an offset does not end")
