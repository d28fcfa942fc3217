"""A worker in which something breaks once a file is there: ``python -m … FAULT FILE worker …``."""

import asyncio
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NoReturn

from services.cli import main
from services.kafka.faust_fixes import CarefulConsumer, PromptThread
from services.kafka.faust_log import FaustLog
from services.kafka.stream_worker import StreamWorker
from services.processing.outbox import Outbox
from services.processing.processor import Processor
from services.processing.upkeep import Upkeep

#: What breaks, by name: each is called again and again while messages come.
PLACES: Final[dict[str, tuple[type, str]]] = {
    "fetch": (PromptThread, "_fetch_records"),  # in the consumer's thread
    "read": (CarefulConsumer, "_read"),
    "process": (Processor, "_process"),
    "send": (Outbox, "put"),
    "deliver": (Outbox, "_deliver"),
    "save": (FaustLog, "save"),
    "commit": (FaustLog, "commit"),
    "sweep": (Upkeep, "close_idle"),
}


def breaking(method: Callable[..., Any], trigger: Path) -> Callable[..., Any]:
    """Return a coroutine function that fails once a file is there."""

    async def broken(*arguments: Any, **options: Any) -> Any:
        if trigger.exists():
            raise RuntimeError("broken by a test")
        return await method(*arguments, **options)

    return broken


def blocking(method: Callable[..., Any], trigger: Path) -> Callable[..., Any]:
    """Return a coroutine function that blocks the loop for ever once a file is there."""

    async def blocked(*arguments: Any, **options: Any) -> Any:
        if trigger.exists():
            trigger.with_suffix(".blocked").touch()
            time.sleep(3600.0)  # not for a condition: this is the fault
        return await method(*arguments, **options)

    return blocked


async def never(*_: Any, **__: Any) -> NoReturn:
    """Hang where faust waits for a worker to finish."""
    await asyncio.Event().wait()
    raise AssertionError


def break_worker(fault: str, trigger: Path) -> None:
    """Let a place break; with ``+hang`` the way out hangs as well, ``+block`` blocks the loop."""
    name, _, how = fault.partition("+")
    owner, method = PLACES[name]
    break_by = blocking if how == "block" else breaking
    setattr(owner, method, break_by(getattr(owner, method), trigger))
    if how == "hang":
        StreamWorker.on_shutdown = never  # type: ignore[method-assign]


if __name__ == "__main__":
    break_worker(sys.argv.pop(1), Path(sys.argv.pop(1)))
    main()
