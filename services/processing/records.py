"""What a core is given and what it gives back, free of Kafka clients."""

from dataclasses import dataclass, field
from typing import Generic, TypeVar

from schemas import Event, Headers, Place, dead_letter_headers
from schemas.errors import InputError

State = TypeVar("State")
Saved = TypeVar("Saved")
Output = TypeVar("Output", bound=Event)

#: Of a header in memory, beside its name and value.
_HEADER_BYTES = 200
#: Place of a saved state among those of its stream: the larger is the later one.
Progress = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Record:
    """A consumed message and its place in the log.

    Attributes
    ----------
    fault
        Why it could not be read from the log; the value is then what is known of it.
    """

    place: Place
    timestamp_ms: int
    key: bytes | None
    value: bytes
    headers: Headers = field(default_factory=list)
    fault: InputError | None = None

    @property
    def size(self) -> int:
        """About how many bytes of memory it takes."""
        headers = sum(len(name) + len(value) + _HEADER_BYTES for name, value in self.headers)
        return len(self.value) + len(self.key or b"") + headers


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that cannot be processed, and why."""

    record: Record
    error: InputError

    def headers(self, service: str) -> Headers:
        """Return the original headers, the origin of the message and the reason."""
        record = self.record
        return dead_letter_headers(
            record.place, record.timestamp_ms, service, self.error, record.headers
        )


@dataclass(frozen=True, slots=True)
class Step(Generic[State, Saved, Output]):
    """What came of a message, or of the end of a stream.

    Attributes
    ----------
    state
        State of the stream from here on; ``None`` when there is none to keep.
    events
        To be published, in order.
    dead_letters
        To be published to the dead-letter topic.
    released
        Offsets of messages that are needed no longer once the rest is delivered.
    saved
        What a restarted worker must know to go on from here; ``None`` when nothing changed.
    timestamp_ms
        Time of the message that caused the events; theirs too, so that a replay gives the same.
    note
        For the log, when something was left out on purpose.
    """

    state: State | None
    events: tuple[Output, ...] = ()
    dead_letters: tuple[DeadLetter, ...] = ()
    released: tuple[int, ...] = ()
    saved: Saved | None = None
    timestamp_ms: int = 0
    note: str = ""
