"""Streams that are ended by the worker: idle ones, and the largest when memory is full."""

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import zip_longest
from typing import TYPE_CHECKING, Final

from schemas.echo import echo
from schemas.errors import MemoryFull
from services.processing.advancing import PATIENCE_SECONDS
from services.processing.core import Output, Saved, State
from services.processing.outbox import Parcel
from services.processing.partition import Partition
from services.processing.records import Step

if TYPE_CHECKING:
    from services.processing.processor import Processor

logger = logging.getLogger(__name__)

#: When memory is full, so much of it is used after streams were ended.
_AFTERWARDS: Final = 0.8

#: An open stream: its partition, its id, and its state.
Open = tuple[Partition[State, Saved], str, State]


async def close(
    processor: "Processor[State, Saved, Output]",
    streams: Sequence[Open[State, Saved]],
    end: Callable[[State], Sequence[Step[State, Saved, Output]]],
    why: str,
) -> int:
    """End streams step by step: what one saves must last before the next is published.

    After `PATIENCE_SECONDS` the rest are left for the next time.

    Parameters
    ----------
    processor
        Whose streams they are; its lock is held.
    streams
        They.
    end
        Gives the steps that end one.
    why
        For the log.

    Returns
    -------
    How many were ended.
    """
    if not streams:
        return 0
    closing, until = [], time.monotonic() + PATIENCE_SECONDS
    for _, _, state in streams:
        closing.append(await processor.advancer.run(end, state))
        if time.monotonic() > until:
            break
    streams = streams[: len(closing)]
    first = echo(streams[0][1])
    more = f" and {len(streams) - 1} more" if len(streams) > 1 else ""
    fields = {"service": processor.core.service, "stream": first}
    logger.info("closed as %s: stream %s%s", why, first, more, extra=fields)
    for steps in zip_longest(*closing):
        await processor.complete_checkpoint()  # of the steps before
        parcel: Parcel[State, Saved, Output] = Parcel()
        for (partition, name, _), step in zip(streams, steps, strict=True):
            if step is not None and not partition.lost:
                await processor.outbox.put(parcel, partition, name, step)
        await processor.hand_over(parcel)
    return len(streams)


async def close_largest(processor: "Processor[State, Saved, Output]", limit: int) -> None:
    """End the largest streams where all together take more bytes than a limit."""
    partitions = list(processor.partitions.values())
    total = sum(partition.held_bytes for partition in partitions)
    if total <= limit or processor.is_stopped:
        return
    reason = MemoryFull(
        f"open streams take {total >> 20} MiB, at most {limit >> 20} MiB are kept "
        "(GENRESTREAM_STREAM_MEMORY_MB): this stream is among the largest and was ended; send "
        "fewer streams at once, or a lower sample rate"
    )
    streams = list(_largest(partitions, total - round(_AFTERWARDS * limit)))
    end = partial(processor.core.shed, reason=reason)
    await close(processor, streams, end, "among the largest, and memory is full")


def _largest(
    partitions: Iterable[Partition[State, Saved]], needed: int
) -> Iterator[Open[State, Saved]]:
    """Yield the largest streams, and of equal ones the oldest, until so many bytes are found."""
    found = [
        (live.size, -live.touched, partition, name)
        for partition in partitions
        for name, live in partition.live.items()
        if name not in partition.late
    ]
    for size, _, partition, name in sorted(found, key=lambda item: item[:2], reverse=True):
        if needed <= 0:
            return
        needed -= size
        yield partition, name, partition.live[name].state
