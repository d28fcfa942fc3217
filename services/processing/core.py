"""What the worker needs to know of a service: its core, and where its output goes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

import msgspec

from schemas import Event
from schemas.errors import InputError
from services.processing.records import Progress, Record, Step

State = TypeVar("State")
Saved = TypeVar("Saved", bound=msgspec.Struct)
Output = TypeVar("Output", bound=Event)


class TakesLong(Exception):
    """A message takes longer than others should wait for it.

    Parameters
    ----------
    go_on
        Processes it all the same, as `Core.advance` would; one such at a time.
    """

    def __init__(self, go_on: Callable[[], Sequence[Step[Any, Any, Any]]]) -> None:
        super().__init__("it takes long")
        self.go_on = go_on


class Core(Protocol[State, Saved, Output]):
    """What a service does with a message, free of Kafka: synchronous, from values to values."""

    @property
    def service(self) -> str:
        """Name of the service."""

    @property
    def saved_type(self) -> type[Saved]:
        """Type of what `Step.saved` holds."""

    @property
    def idle_timeout_seconds(self) -> float | None:
        """After how long without a message `close` is called; ``None`` for never."""

    def stream_id(self, record: Record) -> str:
        """Name the stream of a message, be it as broken as it may."""

    def resume(self, stream_id: str, saved: Saved) -> State:
        """Return the state of a stream after a restart."""

    def advance(self, state: State | None, record: Record) -> Sequence[Step[State, Saved, Output]]:
        """Take in a message; bad input becomes a dead letter, nothing is raised for it.

        Raises
        ------
        TakesLong
            Nothing was done with it yet.
        """

    def close(self, state: State) -> Sequence[Step[State, Saved, Output]]:
        """End a stream that went idle.

        What a step saves must be in the changelog before the next one is published.
        """

    def size(self, state: State) -> int:
        """Return about how many bytes of memory the state of a stream takes."""

    def shed(self, state: State, reason: InputError) -> Sequence[Step[State, Saved, Output]]:
        """End a stream, or forget what is saved of it, because memory is full.

        What ends becomes a dead letter for this reason; the steps are as those of `close`.
        """

    def is_open(self, saved: Saved) -> bool:
        """Tell whether a saved stream still waits for an end."""

    def progress(self, saved: Saved) -> Progress:
        """Order the saved states of one stream: the larger is the later."""

    def reaches(self, saved: Saved) -> int:
        """Return the offset up to which a saved state says that all was processed; 0 for none."""

    def is_over(self, saved: Saved, committed: int | None) -> bool:
        """Tell whether a saved state may be forgotten early, when memory is full.

        Its stream has ended, and a replay from `committed` on has nothing of it.
        """

    def is_expired(self, saved: Saved, committed: int | None, age_seconds: float) -> bool:
        """Tell whether no message that is still to come can need this.

        Parameters
        ----------
        saved
            The saved state of a stream.
        committed
            Offset from which its partition would be replayed, if known.
        age_seconds
            Time since it was saved.
        """


@dataclass(frozen=True, slots=True)
class Turn(Generic[State]):
    """Messages of one stream that wait together.

    Attributes
    ----------
    state
        State of the stream before them; ``None`` for a stream that is not open.
    records
        The messages, in the order of the log.
    """

    state: State | None
    records: Sequence[Record]


@runtime_checkable
class BatchCore(Core[State, Saved, Output], Protocol[State, Saved, Output]):
    """A core for which many streams together are less work than one after another."""

    def advance_many(
        self, turns: Sequence[Turn[State]]
    ) -> list[list[Sequence[Step[State, Saved, Output]]]]:
        """Take in the messages of different streams.

        Returns
        -------
        What `advance` would return for each message of each turn.
        """


@dataclass(frozen=True, slots=True)
class Outputs:
    """Names of the topics that a service writes to.

    Attributes
    ----------
    events
        The topic of each type of event.
    dead_letters
        The topic of what cannot be processed.
    same_partition
        Whether an event goes to the partition of that number, so that the streams of one key in
        two partitions, by producers that partition differently, are not mixed there.
    """

    events: Mapping[type[Any], str]
    dead_letters: str
    same_partition: bool = False
