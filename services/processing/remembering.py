"""What is saved of streams: taken up again, kept for replays, or forgotten."""

import logging
import time
from collections.abc import Iterator
from typing import Final

from services.processing.core import Output, Saved, State
from services.processing.partition import Live, Partition, split_key
from services.processing.processor import Processor

logger = logging.getLogger(__name__)

#: Of all saved states; above it the oldest of streams that are over are forgotten early.
REMEMBERED_BYTES: Final = 32 * 1024 * 1024
#: But none that was saved within so many seconds: a worker that takes over repeats what was its
#: predecessor's, which is found out after a session's timeout.
LEAST_SECONDS: Final = 30.0
#: How much of it they take after that.
_AFTERWARDS: Final = 0.9
#: Streams that are forgotten together; messages that come meanwhile wait for so many, not for all.
_TOGETHER: Final = 64

#: A saved state: its key, and its bytes.
_Item = tuple[str, bytes]


async def sweep_saved(processor: Processor[State, Saved, Output]) -> None:
    """Go through the table: take up what waits for an end, forget what is over.

    A state is forgotten when no replay can need it any more; while all together take more than
    `REMEMBERED_BYTES`, also the oldest of those that are over, but for the `LEAST_SECONDS`.
    """
    async with processor.processing:
        items = _survey(processor)
    for first in range(0, len(items), _TOGETHER):
        async with processor.processing:
            await _forget(processor, items[first : first + _TOGETHER])


def _survey(processor: Processor[State, Saved, Output]) -> list[_Item]:
    """Take open streams up again; return the states that may go."""
    core, log = processor.core, processor.log
    expired: list[_Item] = []
    over: list[tuple[float, _Item]] = []
    kept = 0
    for key, value in processor.saved.items():
        kept += processor.saved.size(key, value)
        found = _at_rest(processor, key)
        if found is None:
            continue
        partition, stream_id = found
        entry, committed = processor.saved.entry(key), log.committed(partition.number)
        age = time.time() - entry[1] if entry else 0.0
        if not entry or core.is_expired(entry[0], committed, age):
            kept -= processor.saved.size(key, value)
            expired.append((key, value))
        elif core.is_open(entry[0]):
            end = log.end(partition.number)
            state = processor.saved.resume(stream_id, entry[0], end)
            if state is not None:
                partition.live[stream_id] = Live(state, partition.since)
        elif age >= LEAST_SECONDS and core.is_over(entry[0], committed):
            over.append((entry[1], (key, value)))
    if kept > REMEMBERED_BYTES:
        expired.extend(_oldest(processor, over, kept - round(_AFTERWARDS * REMEMBERED_BYTES)))
    return expired


def _at_rest(
    processor: Processor[State, Saved, Output], key: str
) -> tuple[Partition[State, Saved], str] | None:
    """Return the partition and id of a stream of ours of which nothing is in hand."""
    try:
        number, stream_id = split_key(key)
    except ValueError as error:
        logger.warning("a state is left alone: %s", error)
        return None
    partition = processor.partitions.get(number)
    if partition is None or partition.is_in_hand(stream_id):
        return None
    return partition, stream_id


def _oldest(
    processor: Processor[State, Saved, Output], over: list[tuple[float, _Item]], needed: int
) -> Iterator[_Item]:
    """Yield what was saved first, until so many bytes are found."""
    for _, (key, value) in sorted(over, key=lambda item: item[0]):
        if needed <= 0:
            return
        needed -= processor.saved.size(key, value)
        yield key, value


async def _forget(processor: Processor[State, Saved, Output], items: list[_Item]) -> None:
    """Take states out of the table, unless something came of their streams since."""
    gone: dict[int, dict[str, bytes | None]] = {}
    for key, value in items:
        found = _at_rest(processor, key)
        if found and processor.saved.get(key) is value:
            gone.setdefault(found[0].number, {})[key] = None
    for number, states in gone.items():
        await processor.log.save(number, states)
