"""The stations that a receiver listens to: a task each, started and stopped as it is wanted."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from schemas import AudioChunk, Station, StationEvent
from services.receiver.history import History
from services.receiver.outbox import Message, Outbox
from services.receiver.receiver import Receiver
from services.receiver.station_metrics import StationMetrics

_log = logging.getLogger(__name__)

_DRAIN_SECONDS: Final = 2.0
_AFTER_A_FAULT_SECONDS: Final = 5.0


@dataclass
class Playing:
    """A station that is listened to."""

    station: Station
    partition: int
    outbox: Outbox
    sending: asyncio.Task[None]
    running: asyncio.Task[None] | None = None
    receiver: Receiver | None = None


class Stations:
    """Starts and stops the tasks of stations.

    Parameters
    ----------
    name
        Of this receiver.
    deliver
        Sends a message and waits until the broker has taken it.
    may_send
        Whether nobody else may send for stations of a partition.
    history
        What was heard before.
    metrics
        Of the stations.
    commands
        Stations that may be commands or sound cards, with their addresses.
    """

    def __init__(
        self,
        name: str,
        deliver: Callable[[Message], Awaitable[None]],
        may_send: Callable[[int], bool],
        history: History,
        metrics: StationMetrics,
        commands: frozenset[tuple[str, str]] = frozenset(),
    ) -> None:
        self._name = name
        self._deliver = deliver
        self._may_send = may_send
        self._history = history
        self._metrics = metrics
        self._commands = commands
        self._playing: dict[str, Playing] = {}

    def receivers(self) -> Iterator[Receiver]:
        """Yield the receivers that have begun."""
        return (p.receiver for p in list(self._playing.values()) if p.receiver)

    async def follow(
        self, wanted: Mapping[str, tuple[int, Station]], is_known: Callable[[int], bool]
    ) -> None:
        """Listen to what is wanted; stop the rest of the partitions that are known in full."""
        await self.stop(
            playing
            for station_id, playing in self._playing.items()
            if is_known(playing.partition)
            and wanted.get(station_id) != (playing.partition, playing.station)
        )
        for station_id, (partition, station) in wanted.items():
            if station_id not in self._playing:
                self._start(station, partition)

    def _start(self, station: Station, partition: int) -> None:
        outbox = Outbox(self._deliver, lambda: self._may_send(partition))
        sending = asyncio.create_task(outbox.run())
        playing = self._playing[station.id] = Playing(station, partition, outbox, sending)
        playing.running = asyncio.create_task(self._listen(playing))

    async def _listen(self, playing: Playing) -> None:
        while True:
            try:
                heard = await self._history.last(playing.station.id)
                listener = _Listener(playing.outbox)
                station = playing.station
                playing.receiver = Receiver(
                    station,
                    listener,
                    name=self._name,
                    heard=heard,
                    local=(station.id, station.url) in self._commands,
                )
                await playing.receiver.run()
            except Exception:
                _log.exception("the station %s stopped by a fault of ours", playing.station.id)
            await asyncio.sleep(_AFTER_A_FAULT_SECONDS)

    def leave(self, partitions: Iterable[int] | None = None) -> list[Playing]:
        """Forget stations at once, so that nothing more is sent; `end` them then.

        Parameters
        ----------
        partitions
            Those that are kept.
        """
        kept = frozenset(partitions or ())
        left = [p for p in self._playing.values() if p.partition not in kept]
        for playing in left:
            del self._playing[playing.station.id]
            playing.sending.cancel()
        return left

    async def stop(self, stations: Iterable[Playing] | None = None) -> None:
        """Stop stations, by default all, and send what they have still to say."""
        stopped = list(self._playing.values() if stations is None else stations)
        for playing in stopped:
            del self._playing[playing.station.id]
        await _cancel(playing.running for playing in stopped)
        drained = (p.outbox.drain(_DRAIN_SECONDS) for p in stopped if self._may_send(p.partition))
        await asyncio.gather(*drained)
        await self.end(stopped)

    async def end(self, stopped: Iterable[Playing]) -> None:
        """End the tasks of stations that are forgotten."""
        stopped = list(stopped)
        await _cancel(playing.running for playing in stopped)
        await _cancel(playing.sending for playing in stopped)
        for playing in stopped:
            self._metrics.remove(playing.station.id)


async def _cancel(tasks: Iterable[asyncio.Task[None] | None]) -> None:
    running = [task for task in tasks if task is not None]
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)


class _Listener:
    """Passes what a receiver reports to its outbox."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox

    def chunk(self, chunk: AudioChunk) -> None:
        """Take a chunk."""
        self._outbox.put(chunk)

    def event(self, event: StationEvent) -> None:
        """Take an event."""
        self._outbox.put(event)

    def observed(self, receiver: Receiver) -> None:
        """Metrics are read each second; nothing is to do."""
