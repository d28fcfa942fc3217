"""Whether the recorder keeps up, for pages to say so when it does not.

The recorder's group commits what it has written. While it lies behind what the gateway itself had
read some time before, history is not being recorded.
"""

import asyncio
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from services.gateway.cursor import Partition
from services.gateway.feed import Feed, now_ms
from services.kafka.errors import BrokerError
from services.kafka.group_lag import LagReader
from services.kafka.groups import recorder_group
from services.kafka.topics import Topics
from services.settings import Settings

#: A recorder that has not written for so long what was there stands still.
LATE_MS: Final = 20_000
_EVERY_SECONDS: Final = 4.0


@dataclass
class Progress:
    """Compares what a group has committed with what was read before.

    Attributes
    ----------
    late_ms
        How much later than the gateway a group may be.
    """

    late_ms: int = LATE_MS
    _samples: deque[tuple[int, dict[int, int]]] = field(default_factory=deque)

    def late_since(
        self, at_ms: int, read: Mapping[int, int], committed: Mapping[int, int]
    ) -> int | None:
        """Return since when a group stands still; ``None`` where it does not, or never committed.

        Parameters
        ----------
        at_ms
            The time.
        read, committed
            Next offset by partition: of the gateway, and of the group.
        """
        self._samples.append((at_ms, dict(read)))
        while self._samples and _covers(committed, self._samples[0][1]):
            self._samples.popleft()
        if len(self._samples) > 2_000:
            del self._samples[1]  # the first one says since when
        if not committed or not self._samples:
            return None
        since = self._samples[0][0]
        return since if at_ms - since >= self.late_ms else None


def _covers(committed: Mapping[int, int], read: Mapping[int, int]) -> bool:
    return all(committed.get(partition, 0) >= offset for partition, offset in read.items())


async def watch_recorder(settings: Settings, feed: Feed) -> None:
    """Tell the feed since when nothing is recorded; for ever."""
    progress, topic = Progress(), Topics(settings.topic_prefix).predictions
    await feed.all_read.wait()
    read = _predictions(feed.hub.offsets)
    reader = LagReader(settings, recorder_group(settings), topic, len(read))
    try:
        while True:
            with suppress(BrokerError):  # the feed says that
                committed = await reader.read_committed()
                read = _predictions(feed.hub.offsets)
                feed.set_unrecorded(progress.late_since(now_ms(), read, committed))
            await asyncio.sleep(_EVERY_SECONDS)
    finally:
        await reader.close()


def _predictions(offsets: Mapping[Partition, int]) -> dict[int, int]:
    return {number: offset for (role, number), offset in offsets.items() if role == "predictions"}
