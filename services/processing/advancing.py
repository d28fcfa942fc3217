"""Advancing streams off the event loop: side by side in threads, or together in one."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Generic, Protocol, TypeVar

from schemas.errors import InputError
from services.processing.container import processors
from services.processing.core import BatchCore, Core, Output, Saved, State, Turn
from services.processing.faults import is_of_the_machine
from services.processing.records import DeadLetter, Record, Step

logger = logging.getLogger(__name__)

Result = TypeVar("Result")


class ProcessingError(InputError):
    """A fault of ours while processing a message."""

    code = "internal-error"


class Stopwatch(Protocol):
    """Takes down how long processing takes."""

    def processed(self, seconds: float, messages: int = 1) -> None:
        """Note how long processing took; messages processed together share it equally."""


class Advancer(Generic[State, Saved, Output]):
    """Runs a core in as many threads as there are processors, each stream in the order of its log.

    A `BatchCore` runs in one thread, with all that waits at once.

    Parameters
    ----------
    core
        What to do with a message.
    stopwatch
        What is told how long it takes.
    """

    def __init__(self, core: Core[State, Saved, Output], stopwatch: Stopwatch) -> None:
        self._core = core
        self._stopwatch = stopwatch
        self._threads = 1 if isinstance(core, BatchCore) else processors()
        self._executor = ThreadPoolExecutor(self._threads, thread_name_prefix=core.service)
        self._halted = False

    def halt(self) -> None:
        """Begin with no further message; what has begun is finished."""
        self._halted = True

    def resume(self) -> None:
        """Take messages again after `halt`."""
        self._halted = False

    async def advance(
        self, turns: Sequence[Turn[State]]
    ) -> list[list[Sequence[Step[State, Saved, Output]]]]:
        """Take in the messages of different streams.

        Returns
        -------
        The steps of each message of each turn; none for messages that `halt` came before.
        """
        results: list[list[Sequence[Step[State, Saved, Output]]]] = [[] for _ in turns]
        waiting = deque(zip(turns, results, strict=True))
        threads = min(self._threads, len(turns))
        await asyncio.gather(*(self.run(self._work, waiting) for _ in range(threads)))
        return results

    async def run(self, function: Callable[..., Result], *arguments: Any) -> Result:
        """Call a function in a thread."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, function, *arguments)

    def _work(self, waiting: deque[Any]) -> None:
        """Take turns until none is left; other threads take from the same."""
        if isinstance(self._core, BatchCore) and self._advance_together(self._core, waiting):
            return
        while waiting and not self._halted:
            try:
                turn, result = waiting.popleft()
            except IndexError:  # another thread was quicker
                return
            self._advance_one(turn, result)

    def _advance_together(self, core: BatchCore[State, Saved, Output], waiting: deque[Any]) -> bool:
        """Advance all at once; tell whether that went well, for otherwise nothing has changed."""
        if self._halted:
            return True
        start = time.perf_counter()
        try:
            steps = core.advance_many([turn for turn, _ in waiting])
        except Exception as error:
            if is_of_the_machine(error):
                raise
            logger.exception("processing failed: trying %d streams one by one", len(waiting))
            return False
        for (_, result), found in zip(waiting, steps, strict=True):
            result += found
        messages = sum(len(turn.records) for turn, _ in waiting)
        self._stopwatch.processed(time.perf_counter() - start, messages)
        return True

    def _advance_one(
        self, turn: Turn[State], result: list[Sequence[Step[State, Saved, Output]]]
    ) -> None:
        state = turn.state
        for record in turn.records:
            if self._halted:
                return
            steps = self._try(state, record)
            state = self._state_after(steps[-1], record)
            result.append(steps)

    def _state_after(self, step: Step[State, Saved, Output], record: Record) -> State | None:
        """Return what a restarted worker would know, where the step leaves no state."""
        if step.state is None and step.saved is not None:
            return self._core.resume(self._core.stream_id(record), step.saved)
        return step.state

    def _try(self, state: State | None, record: Record) -> Sequence[Step[State, Saved, Output]]:
        start = time.perf_counter()
        try:
            return self._advance_or_retry(state, record)
        except Exception as error:
            if is_of_the_machine(error):
                raise
            logger.exception("processing failed: %s", record.place)
            fault = ProcessingError(f"{type(error).__name__}: {error}")
            letter = DeadLetter(record, fault)
            return [Step(state, dead_letters=(letter,), released=(record.place.offset,))]
        finally:
            self._stopwatch.processed(time.perf_counter() - start)

    def _advance_or_retry(
        self, state: State | None, record: Record
    ) -> Sequence[Step[State, Saved, Output]]:
        try:
            return self._core.advance(state, record)
        except MemoryError:  # another thread may have had it, and be done
            return self._core.advance(state, record)
