"""The audio of a window under way, in as little memory as keeps every bit of it.

A stream waits for the rest of a window most of its life, and a worker has thousands of them: 3 s at
44.1 kHz are 529 kB as float32. Audio of 16 bits, mono or the mean of two channels, has 17
significant bits at most, so it is kept as an int16 and a bit, and comes back as it was.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from features import Samples

#: Steps of the mean of two 16-bit channels, from -1 to 1.
_STEPS: Final = np.float32(65536.0)
#: Pieces that are kept apart at most, and their share of the audio: then all are joined. One array
#: a stream leaves the least memory unused between arrays; joining each tiny chunk would cost more.
_MAX_PIECES: Final = 32
_JOINED_SHARE: Final = 16


@dataclass(frozen=True, slots=True)
class Packed:
    """Samples that are multiples of 1/65536.

    Attributes
    ----------
    high
        Upper 16 bits, multiples of 1/32768 [shape=(n,), int16].
    low
        Lowest bits, 8 a byte; ``None`` when all are 0 [shape=(ceil(n / 8),), uint8].
    """

    high: NDArray[np.int16]
    low: NDArray[np.uint8] | None


Piece = Packed | Samples


@dataclass(frozen=True, slots=True)
class Pending:
    """Consecutive audio, a value: appending leaves it as it was.

    Attributes
    ----------
    pieces
        What was appended, packed where that is exact.
    samples
        How many there are.
    apart
        How many of them are not in the first piece.
    """

    pieces: tuple[Piece, ...] = ()
    samples: int = 0
    apart: int = 0

    @property
    def nbytes(self) -> int:
        """How much memory the samples take."""
        return sum(map(_size, self.pieces))

    def append(self, samples: Samples) -> "Pending":
        """Return this and more audio [shape=(n,)], of which nothing else is kept alive."""
        count = self.samples + len(samples)
        apart = self.apart + len(samples)
        if len(self.pieces) < _MAX_PIECES and apart * _JOINED_SHARE < count:
            return Pending((*self.pieces, pack(samples)), count, apart)
        return Pending((pack(np.concatenate([*self.unpacked(), samples])),), count)

    def unpacked(self) -> list[Samples]:
        """Return all samples, bit for bit, in pieces [shape=(n,) each]."""
        return [unpack(piece) for piece in self.pieces]


def pack(samples: Samples) -> Piece:
    """Pack samples [shape=(n,)] if they come back bit for bit, else copy a view of them."""
    steps = (samples * _STEPS).astype(np.int32)
    packed = Packed((steps >> 1).astype(np.int16), _pack_bits(steps & 1))
    if np.array_equal(unpack(packed).view(np.int32), samples.view(np.int32)):
        return packed
    return samples if samples.base is None else samples.copy()


def _size(piece: Piece) -> int:
    if not isinstance(piece, Packed):
        return piece.nbytes
    return piece.high.nbytes + (0 if piece.low is None else piece.low.nbytes)


def _pack_bits(bits: NDArray[np.int32]) -> NDArray[np.uint8] | None:
    return np.packbits(bits.astype(np.uint8)) if bits.any() else None


def unpack(piece: Piece) -> Samples:
    """Return the samples of a piece [shape=(n,), float32]."""
    if not isinstance(piece, Packed):
        return piece
    steps = piece.high.astype(np.int32) << 1
    if piece.low is not None:
        steps |= np.unpackbits(piece.low, count=len(steps))
    samples: Samples = steps.astype(np.float32) / _STEPS
    return samples
