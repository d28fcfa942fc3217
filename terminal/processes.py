"""Child processes: how many are of use, and none that outlives the command."""

import ctypes
import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from typing import Any, Final, TypeVar

_PR_SET_PDEATHSIG: Final = 1

Item = TypeVar("Item")
Result = TypeVar("Result")


def usable_processors() -> int:
    """Return on how many processors this process may run: its affinity, not the machine's count."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1


def die_with_parent() -> None:
    """Ask the kernel to kill this process with its parent, on Linux; for ``preexec_fn``."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def map_in_processes(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    processes: int,
    start: Callable[..., None] | None = None,
    arguments: tuple[Any, ...] = (),
) -> Generator[Result]:
    """Call a function in fresh processes; results come in the order of the items.

    Parameters
    ----------
    function
        What to call; it can be pickled.
    items
        Its arguments; only a few are taken ahead of the results.
    processes
        How many processes.
    start, arguments
        What each process calls first.
    """
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(processes, context, _start, (start, arguments))
    try:
        yield from _in_order(pool, function, items, ahead=2 * processes)
    except BaseException:
        for child in multiprocessing.active_children():
            child.terminate()
        raise
    finally:
        pool.shutdown()


def _in_order(
    pool: ProcessPoolExecutor,
    function: Callable[[Item], Result],
    items: Iterable[Item],
    ahead: int,
) -> Iterator[Result]:
    """Keep some items on their way; none is cancelled, which Python 3.11 does not survive."""
    pending: deque[Future[Result]] = deque()
    for item in items:
        pending.append(pool.submit(function, item))
        if len(pending) > ahead:
            yield pending.popleft().result()
    while pending:
        yield pending.popleft().result()


def _start(start: Callable[..., None] | None, arguments: tuple[Any, ...]) -> None:
    """Prepare a process of the pool."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if start:
        start(*arguments)


def _end_with_parent() -> None:
    """End this process when its parent is killed, on every platform."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
