"""The gateway ends, whatever a library makes of a cancellation."""

import asyncio

from services.gateway.server import _end


def test_a_task_that_takes_a_cancellation_for_a_fault_ends_all_the_same() -> None:
    cancelled = 0

    async def stubborn() -> None:
        nonlocal cancelled
        while cancelled < 2:
            try:
                await asyncio.sleep(3600.0)
            except asyncio.CancelledError:
                cancelled += 1

    async def work() -> None:
        tasks = [asyncio.create_task(stubborn()), asyncio.create_task(asyncio.sleep(3600.0))]
        await asyncio.sleep(0)
        async with asyncio.timeout(10.0):
            await _end(tasks)
        assert all(task.done() for task in tasks)

    asyncio.run(work())
    assert cancelled == 2
