"""Run what a command does, so that Ctrl-C and SIGTERM let it put things in order."""

import signal
from collections.abc import Coroutine
from typing import Any

import typer


def run(work: Coroutine[Any, Any, Any], *, ends_by_signal: bool = False) -> Any:
    """Run a coroutine; Ctrl-C and SIGTERM cancel it, so that it can put things in order.

    Parameters
    ----------
    work
        What to run.
    ends_by_signal
        A signal is the usual end: exit with 0.

    Raises
    ------
    typer.Exit
        A signal came.
    """
    import asyncio  # not before a command runs: --help needs none

    received: list[int] = []

    async def supervised() -> Any:
        task = asyncio.ensure_future(work)

        def stop(number: int) -> None:
            received.append(number)
            task.cancel()

        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop, number)
        return await task

    try:
        return asyncio.run(supervised())
    except asyncio.CancelledError:
        raise typer.Exit(0 if ends_by_signal else 128 + received[0]) from None
