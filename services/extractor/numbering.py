"""What the numbers of chunks (header ``sequence``) tell of repeated, late and missing ones.

Kafka keeps the order of a partition, so a repeated number is a producer's retry, and a number left
out a chunk that was lost, or became a dead letter. A chunk that comes after a higher number cannot
be put in its place any more: its window may be answered already.
"""

from enum import Enum, auto
from typing import Final
from zlib import crc32

import msgspec

from schemas import AudioChunk

#: Gaps that are remembered; of those before, a late chunk counts as a repeated one.
_MAX_GAPS: Final = 16
#: Chunks whose bytes are known again; a producer repeats the latest ones.
_MAX_DIGESTS: Final = 16


class Numbering(msgspec.Struct, frozen=True, omit_defaults=True):
    """The numbers of a stream so far.

    Attributes
    ----------
    last
        Number of the latest chunk taken.
    missing
        The latest gaps, first and last number of each.
    opening
        CRC-32 of the chunk with number 0; ``None`` when there was none.
    digests
        Number and CRC-32 of the latest chunks taken.
    """

    last: int
    missing: tuple[tuple[int, int], ...] = ()
    opening: int | None = None
    digests: tuple[tuple[int, int], ...] = ()


class Arrival(Enum):
    """How a chunk comes, by its number."""

    IN_ORDER = auto()
    REPEATED = auto()
    LATE = auto()
    TAKEN = auto()
    NEW_STREAM = auto()


def judge(numbering: Numbering | None, chunk: AudioChunk) -> Arrival:
    """Tell how a chunk comes.

    A number 0 with other bytes than the first time is a producer that was started again; other
    bytes under another number are `TAKEN`: two producers, or one that counts wrongly.
    """
    number = chunk.sequence
    if numbering is None or number is None or number > numbering.last:
        return Arrival.IN_ORDER
    digest = crc32(chunk.data)
    if number == 0 and digest != numbering.opening:
        return Arrival.NEW_STREAM
    if dict(numbering.digests).get(number, digest) != digest:
        return Arrival.TAKEN
    late = any(first <= number <= last for first, last in numbering.missing)
    return Arrival.LATE if late else Arrival.REPEATED


def missing_before(numbering: Numbering | None, chunk: AudioChunk) -> int:
    """Count the chunks that are missing between the latest one and this; streams begin anywhere."""
    if numbering is None or chunk.sequence is None:
        return 0
    return max(0, chunk.sequence - numbering.last - 1)


def count(numbering: Numbering | None, chunk: AudioChunk) -> Numbering | None:
    """Return the numbering once a chunk is taken; one without a number changes nothing."""
    number = chunk.sequence
    if number is None or (numbering and number <= numbering.last):
        return numbering
    digest = crc32(chunk.data)
    if numbering is None:
        opening = None if number else digest
        return Numbering(number, opening=opening, digests=((number, digest),))
    missing = numbering.missing
    if number > numbering.last + 1:
        missing = (*missing, (numbering.last + 1, number - 1))[-_MAX_GAPS:]
    digests = (*numbering.digests, (number, digest))[-_MAX_DIGESTS:]
    return Numbering(number, missing, numbering.opening, digests)
