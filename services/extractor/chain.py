"""An immutable sequence that grows at its end at a constant cost."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

T = TypeVar("T")

_BLOCK: Final = 128


@dataclass(frozen=True, slots=True)
class Chain(Generic[T]):
    """Items in order; what was appended to an older value is not seen there.

    A tuple would be copied whole for each item: thousands of tiny chunks in a window would cost
    quadratic time. Here full blocks are shared, and only the last one is copied.
    """

    blocks: tuple[tuple[T, ...], ...] = ()
    tail: tuple[T, ...] = ()

    def append(self, item: T) -> "Chain[T]":
        """Return a chain with one more item."""
        if len(self.tail) < _BLOCK:
            return Chain(self.blocks, (*self.tail, item))
        return Chain((*self.blocks, self.tail), (item,))

    def __len__(self) -> int:
        return _BLOCK * len(self.blocks) + len(self.tail)

    def __iter__(self) -> Iterator[T]:
        for block in self.blocks:
            yield from block
        yield from self.tail
