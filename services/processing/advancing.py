"""Advancing streams off the event loop: side by side in threads, or together in one."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, Generic, Protocol, TypeVar

from schemas.errors import InputError
from services.processing.container import processors
from services.processing.core import BatchCore, Core, Output, Saved, State, TakesLong, Turn
from services.processing.faults import is_of_the_machine
from services.processing.records import DeadLetter, Record, Step

logger = logging.getLogger(__name__)

#: After so long no message of a batch is begun any more: those that come meanwhile wait for it.
PATIENCE_SECONDS: Final = 0.5

Result = TypeVar("Result")
#: What came of a message.
Steps = Sequence[Step[State, Saved, Output]]


class ProcessingError(InputError):
    """A fault of ours while processing a message."""

    code = "internal-error"


class Stopwatch(Protocol):
    """Takes down how long processing takes."""

    def processed(self, seconds: float, messages: int = 1) -> None:
        """Note how long processing took; messages processed together share it equally."""


@dataclass(slots=True)
class Outcome(Generic[State, Saved, Output]):
    """What came of the messages of a turn.

    Attributes
    ----------
    steps
        Of each message that was begun, from the first on.
    takes_long
        Whether the one behind them takes long.
    """

    steps: list[Steps[State, Saved, Output]] = field(default_factory=list)
    takes_long: bool = False


class Advancer(Generic[State, Saved, Output]):
    """Runs a core in as many threads as there are processors, each stream in the order of its log.

    A `BatchCore` runs in one thread, with all that waits at once. A message that takes long has a
    thread of its own.

    Parameters
    ----------
    core
        What to do with a message.
    stopwatch
        What is told how long it takes.
    patience
        After so many seconds `advance` begins no message.

    Attributes
    ----------
    is_halted
        Whether no message is begun, nor handed over that takes long.
    """

    def __init__(
        self,
        core: Core[State, Saved, Output],
        stopwatch: Stopwatch,
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        self._core = core
        self._stopwatch = stopwatch
        self._patience = patience
        self._threads = 1 if isinstance(core, BatchCore) else processors()
        self._executor = ThreadPoolExecutor(self._threads + 1, thread_name_prefix=core.service)
        self.is_halted = False

    def halt(self) -> None:
        """Begin with no further message; what has begun is finished."""
        self.is_halted = True

    def resume(self) -> None:
        """Take messages again after `halt`."""
        self.is_halted = False

    async def advance(self, turns: Sequence[Turn[State]]) -> list[Outcome[State, Saved, Output]]:
        """Take in the messages of different streams.

        Returns
        -------
        What came of each turn. Messages are left over behind one that takes long, and where the
        time was up, or `halt` came before them.
        """
        outcomes: list[Outcome[State, Saved, Output]] = [Outcome() for _ in turns]
        waiting = deque(zip(turns, outcomes, strict=True))
        threads, until = min(self._threads, len(turns)), time.monotonic() + self._patience
        await asyncio.gather(*(self.run(self._work, waiting, until) for _ in range(threads)))
        return outcomes

    async def advance_patiently(
        self, state: State | None, record: Record
    ) -> Steps[State, Saved, Output]:
        """Take in a message beside others, however long it takes; one such at a time."""
        return await self.run(self._patiently, state, record)

    async def run(self, function: Callable[..., Result], *arguments: Any) -> Result:
        """Call a function in a thread."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, function, *arguments)

    def _work(self, waiting: deque[Any], until: float) -> None:
        """Take turns until none is left, or the time is up; other threads take from the same."""
        if isinstance(self._core, BatchCore) and self._advance_together(self._core, waiting):
            return
        while waiting and not self.is_halted:
            try:
                turn, outcome = waiting.popleft()
            except IndexError:  # another thread was quicker
                return
            self._advance_one(turn, outcome, until)
            if time.monotonic() > until:
                return

    def _advance_together(self, core: BatchCore[State, Saved, Output], waiting: deque[Any]) -> bool:
        """Advance all at once; tell whether that went well, for otherwise nothing has changed."""
        if self.is_halted:
            return True
        start = time.perf_counter()
        try:
            steps = core.advance_many([turn for turn, _ in waiting])
        except Exception as error:
            if is_of_the_machine(error):
                raise
            logger.exception("processing failed: trying %d streams one by one", len(waiting))
            return False
        for (_, outcome), found in zip(waiting, steps, strict=True):
            outcome.steps += found
        messages = sum(len(turn.records) for turn, _ in waiting)
        self._stopwatch.processed(time.perf_counter() - start, messages)
        return True

    def _advance_one(
        self, turn: Turn[State], outcome: Outcome[State, Saved, Output], until: float
    ) -> None:
        """Take in messages of a stream: the first at least, the others while there is time."""
        state = turn.state
        for record in turn.records:
            if self.is_halted or (outcome.steps and time.monotonic() > until):
                return
            try:
                steps = self._try(state, record, partial(self._core.advance, state, record))
            except TakesLong:
                outcome.takes_long = True
                return
            state = self._state_after(steps[-1], record)
            outcome.steps.append(steps)

    def _patiently(self, state: State | None, record: Record) -> Steps[State, Saved, Output]:
        try:
            return self._try(state, record, partial(self._core.advance, state, record))
        except TakesLong as long:
            return self._try(state, record, long.go_on)

    def _state_after(self, step: Step[State, Saved, Output], record: Record) -> State | None:
        """Return what a restarted worker would know, where the step leaves no state."""
        if step.state is None and step.saved is not None:
            return self._core.resume(self._core.stream_id(record), step.saved)
        return step.state

    def _try(
        self, state: State | None, record: Record, advance: Callable[[], Steps[Any, Any, Any]]
    ) -> Steps[State, Saved, Output]:
        start = time.perf_counter()
        try:
            steps = _twice(advance)
        except TakesLong:
            raise
        except Exception as error:
            if is_of_the_machine(error):
                raise
            logger.exception("processing failed: %s", record.place)
            fault = ProcessingError(f"{type(error).__name__}: {error}")
            letter = DeadLetter(record, fault)
            steps = [Step(state, dead_letters=(letter,), released=(record.place.offset,))]
        self._stopwatch.processed(time.perf_counter() - start)
        return steps


def _twice(function: Callable[[], Result]) -> Result:
    """Call a function, and again where there was no memory: another thread may be done with it."""
    try:
        return function()
    except MemoryError:
        return function()
