"""Events to any number of readers, each at its own pace, none of them waited for.

An event is written once, whoever reads it. Readers that asked for the same share their bytes, which
go straight to their connections; one that does not take them is dropped.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from schemas import GenrePrediction
from services.gateway.cursor import Layout, Partition
from services.gateway.events import Event, block, status

#: What is kept for those who come back, and for how long at most.
RING_BYTES: Final = 24 * 1024 * 1024
#: A reader that is behind by more, beside what the kernel holds for it, is dropped.
READER_BYTES: Final = 512 * 1024
_CLOSE_SECONDS: Final = 5.0
_LAST_CHUNK: Final = b"0\r\n\r\n"
#: Events of so long go out together: each write costs every page, and us for every page.
_TICK_SECONDS: Final = 0.2
_FOLLOWED: Final = 20_000
#: Of the objects that hold the events of one message.
_KEPT_BYTES: Final = 500


@dataclass(frozen=True, slots=True)
class Selection:
    """What a reader asks for.

    Attributes
    ----------
    kinds
        Of events.
    streams
        Their streams; ``None`` for all.
    """

    kinds: frozenset[str]
    streams: frozenset[str] | None = None

    def wants(self, event: Event) -> bool:
        """Tell whether an event is among it."""
        if event.kind == "status":
            return True
        return event.kind in self.kinds and (
            self.streams is None or event.stream_id in self.streams
        )


class Reader:
    """One who reads events, by its connection: what is written is not waited for.

    Parameters
    ----------
    transport
        Its connection, behind the headers of the answer.
    chunked
        Whether the answer is in chunks (HTTP/1.1), or ends with the connection (HTTP/1.0).
    """

    def __init__(self, transport: asyncio.Transport, *, chunked: bool) -> None:
        self._transport = transport
        self.chunked = chunked
        self.wrote = time.monotonic()

    def offer(self, frame: bytes) -> bool:
        """Write bytes; ``False`` when too many are not taken yet."""
        if self._transport.get_write_buffer_size() > READER_BYTES:
            return False
        self._transport.write(frame)
        self.wrote = time.monotonic()
        return True

    def close(self, reason: str) -> None:
        """Say why it ends, and end; who does not take even that is cut off."""
        data = goodbye(reason)
        self._transport.write(chunk(data) + _LAST_CHUNK if self.chunked else data)
        self._transport.close()
        asyncio.get_running_loop().call_later(_CLOSE_SECONDS, self._transport.abort)


def chunk(data: bytes) -> bytes:
    """Write a chunk of an answer, as HTTP/1.1 has it."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def blocks(events: list[Event], cursor: str, selection: Selection) -> bytes:
    """Write the events of one message that a reader asked for.

    The last one alone has the id, which says that the reader has all of them: its connection may
    break between two.
    """
    wanted = [event for event in events if selection.wants(event)]
    last = len(wanted) - 1
    return b"".join(block(e, cursor if n == last else None) for n, e in enumerate(wanted))


@dataclass(slots=True)
class _Group:
    """Readers of one selection, and what goes to them at the next tick."""

    selection: Selection
    readers: set[Reader] = field(default_factory=set)
    pending: list[bytes] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Kept:
    """Events of one message, for those who come back."""

    partition: Partition
    offset: int
    events: list[Event]
    cursor: str

    @property
    def size(self) -> int:
        """Bytes that it takes, about."""
        return sum(len(event.data) for event in self.events) + len(self.cursor) + _KEPT_BYTES

    def blocks(self, selection: Selection) -> bytes:
        """Write what of it a reader asked for."""
        return blocks(self.events, self.cursor, selection)


class Hub:
    """Gives events to readers, and keeps the latest.

    Parameters
    ----------
    dropped
        Called with the reason for each reader that is dropped.
    """

    def __init__(self, dropped: Callable[[str], None] = lambda _: None) -> None:
        self._dropped = dropped
        self._groups: dict[Selection, _Group] = {}
        self._followers: dict[str, set[asyncio.Queue[GenrePrediction]]] = {}
        self._ring: deque[_Kept] = deque()
        self._ring_bytes = 0
        self._ring_start: dict[Partition, int] = {}
        self._tick: asyncio.TimerHandle | None = None
        self.layout = Layout(())
        self.offsets: dict[Partition, int] = {}

    @property
    def readers(self) -> int:
        """Number of readers."""
        return sum(len(group.readers) for group in self._groups.values())

    def begin(self, offsets: Mapping[Partition, int]) -> None:
        """Take up the place from which messages come; what was kept before is forgotten."""
        self.layout = Layout(tuple(offsets))
        self.offsets = dict(offsets)
        self._ring.clear()
        self._ring_bytes = 0
        self._ring_start = dict(offsets)

    def publish(self, partition: Partition, offset: int, events: list[Event]) -> None:
        """Tell the events of one message."""
        self.offsets[partition] = offset + 1
        if not events:
            return
        kept = _Kept(partition, offset, events, self.layout.encode(self.offsets))
        self._keep(kept)
        for event in events:
            self._follow(event)
        for group in self._groups.values():
            if data := kept.blocks(group.selection):
                group.pending.append(data)
        self._flush_soon()

    def tell(self, event: Event) -> None:
        """Tell an event that is in no topic: it is not kept."""
        data = block(event, None)
        for group in self._groups.values():
            if group.selection.wants(event):
                group.pending.append(data)
        self._flush_soon()

    def _follow(self, event: Event) -> None:
        if event.prediction:
            for queue in self._followers.get(event.stream_id, ()):
                if not queue.full():
                    queue.put_nowait(event.prediction)

    def _flush_soon(self) -> None:
        if self._tick is None and self._groups:
            self._tick = asyncio.get_running_loop().call_later(_TICK_SECONDS, self._flush)

    def _flush(self) -> None:
        self._tick = None
        for group in self._groups.values():
            self._flush_group(group)

    def _flush_group(self, group: _Group) -> None:
        if not group.pending:
            return
        data = b"".join(group.pending)
        group.pending.clear()
        frames = {True: chunk(data), False: data}
        for reader in [r for r in group.readers if not r.offer(frames[r.chunked])]:
            group.readers.discard(reader)
            reader.close("slow")
            self._dropped("slow")

    def _keep(self, kept: _Kept) -> None:
        self._ring.append(kept)
        self._ring_bytes += kept.size
        while self._ring_bytes > RING_BYTES:
            oldest = self._ring.popleft()
            self._ring_bytes -= oldest.size
            self._ring_start[oldest.partition] = oldest.offset + 1

    def join(self, selection: Selection, reader: Reader) -> None:
        """Add a reader of what comes from now on."""
        group = self._groups.setdefault(selection, _Group(selection))
        self._flush_group(group)
        group.readers.add(reader)

    def leave(self, selection: Selection, reader: Reader) -> None:
        """Take a reader off."""
        group = self._groups.get(selection)
        if group:
            group.readers.discard(reader)
            if not group.readers:
                del self._groups[selection]

    def is_kept(self, offsets: Mapping[Partition, int]) -> bool:
        """Tell whether all events from these offsets on are kept."""
        return all(offsets[tp] >= start for tp, start in self._ring_start.items())

    def is_ahead(self, offsets: Mapping[Partition, int]) -> bool:
        """Tell whether an offset lies behind what was read: the topics were made anew."""
        return any(offsets[tp] > here for tp, here in self.offsets.items())

    def kept(self, offsets: Mapping[Partition, int], selection: Selection) -> Iterator[bytes]:
        """Yield what is kept from these offsets on."""
        for kept in self._ring:
            if kept.offset >= offsets[kept.partition] and (data := kept.blocks(selection)):
                yield data

    def follow(self, stream_id: str) -> "asyncio.Queue[GenrePrediction]":
        """Return a queue of the predictions of one stream from now on."""
        queue: asyncio.Queue[GenrePrediction] = asyncio.Queue(_FOLLOWED)
        self._followers.setdefault(stream_id, set()).add(queue)
        return queue

    def unfollow(self, stream_id: str, queue: "asyncio.Queue[GenrePrediction]") -> None:
        """End a queue that `follow` gave."""
        queues = self._followers.get(stream_id, set())
        queues.discard(queue)
        if not queues:
            self._followers.pop(stream_id, None)

    def close(self, reason: str) -> None:
        """Let all readers end; what waits for them goes first."""
        self._flush()
        for group in self._groups.values():
            for reader in group.readers:
                reader.close(reason)
        self._groups.clear()


def goodbye(reason: str) -> bytes:
    """Write the last event of a reader that is dropped."""
    texts = {
        "slow": "you read more slowly than events come: connect again with Last-Event-ID",
        "restart": "the gateway stops: connect again in a moment",
    }
    return block(status({"state": "dropped", "reason": reason, "text": texts[reason]}), None)
