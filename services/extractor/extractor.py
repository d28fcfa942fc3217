"""The extractor's core: chunks to feature vectors, by the functions of `stream`."""

from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final

from schemas.errors import InputError
from services.extractor.joining import LongAudio
from services.extractor.state import Cursor, Recipe, StreamState, resume
from services.extractor.stream import ExtractorStep, advance, close, shed, stream_id
from services.processing.core import TakesLong
from services.processing.records import Progress, Record

#: How long the end of a stream is remembered: producers retry for two minutes by default, and a
#: worker that stood still, and so lost its partitions, may write what it had in hand when it wakes.
ENDED_SECONDS: Final = 600.0
#: A minute of stereo at 48 kHz takes 35 MB while it is decoded, a quarter of an hour 180 MB.
SIDE_BY_SIDE_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Extractor:
    """A recipe, applied to every stream.

    Parameters
    ----------
    recipe
        It.
    side_by_side_seconds
        A message that decodes to more takes long.
    """

    recipe: Recipe
    side_by_side_seconds: float = SIDE_BY_SIDE_SECONDS

    service: str = "extractor"
    saved_type: type[Cursor] = Cursor
    _first: Recipe = field(init=False, repr=False)

    def __post_init__(self) -> None:
        first = replace(self.recipe, side_by_side_seconds=self.side_by_side_seconds)
        object.__setattr__(self, "_first", first)

    @property
    def idle_timeout_seconds(self) -> float | None:
        """How long a stream may be silent before it is closed."""
        return self.recipe.idle_timeout_seconds

    def stream_id(self, record: Record) -> str:
        """Name the stream of a message."""
        return stream_id(record)

    def resume(self, stream_id: str, saved: Cursor) -> StreamState:
        """Return the state after a restart: a saved cursor, and no audio at hand."""
        return resume(stream_id, saved)

    def advance(self, state: StreamState | None, record: Record) -> list[ExtractorStep]:
        """Take in a message.

        Raises
        ------
        TakesLong
            It holds long audio.
        """
        try:
            return advance(state, record, self._first)
        except LongAudio as error:
            raise TakesLong(partial(advance, state, record, self.recipe)) from error

    def close(self, state: StreamState) -> list[ExtractorStep]:
        """End a stream that went idle: decide where, then do it."""
        return close(state, self.recipe)

    def size(self, state: StreamState) -> int:
        """Return about how many bytes of memory the state of a stream takes."""
        return state.size

    def shed(self, state: StreamState, reason: InputError) -> list[ExtractorStep]:
        """End a stream because memory is full; its latest message becomes a dead letter."""
        return shed(state, reason, self.recipe)

    def is_open(self, saved: Cursor) -> bool:
        """Tell whether a stream waits for its end."""
        return not saved.ended

    def progress(self, saved: Cursor) -> Progress:
        """Order the cursors of a stream id: by stream, then by window, then by its end."""
        decided = saved.closes_at is not None
        return saved.origin.offset, saved.window_index, decided or saved.ended, saved.ended

    def reaches(self, saved: Cursor) -> int:
        """Return the offset that a cursor is at, or where its stream is to end."""
        return max(saved.offset, saved.closes_at or 0)

    def is_over(self, saved: Cursor, committed: int | None) -> bool:
        """Tell whether a stream has ended and a replay begins after it."""
        return saved.ended and committed is not None and committed >= saved.offset

    def is_expired(self, saved: Cursor, committed: int | None, age_seconds: float) -> bool:
        """Forget an ended stream after a while, when a replay begins after it."""
        return self.is_over(saved, committed) and age_seconds > ENDED_SECONDS
