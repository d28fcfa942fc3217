"""One station: connect, listen, cut into chunks, say what happens, and connect again."""

import asyncio
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from random import Random
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from schemas import AudioChunk, EventKind, Station, StationEvent, station_event_id, to_time
from services.receiver.backoff import REFUSED_SECONDS, Backoff, is_refused
from services.receiver.connection import Connection
from services.receiver.cutting import CHUNK_SAMPLES, encode_chunk
from services.receiver.decoder import SAMPLE_RATE
from services.receiver.reasons import Reason, SourceFailed, failed
from services.receiver.silence import Silence, level_dbfs
from services.receiver.sources import Source, open_source
from services.receiver.stall import NO_AUDIO_SECONDS, AudioWatch
from services.receiver.station_state import State, StationState
from services.receiver.timeline import Numbers, first_number

#: So much audio and a station is connected; after connections that came to nothing it is more.
_PROOF_SECONDS: Final = 2.9
_LONG_PROOF_SECONDS: Final = 12.0
_SHORT_CONNECTION_SECONDS: Final = 20.0


class Listener(Protocol):
    """What a station's receiver reports to."""

    def chunk(self, chunk: AudioChunk) -> None:
        """Take a chunk."""

    def event(self, event: StationEvent) -> None:
        """Take an event."""

    def observed(self, receiver: "Receiver") -> None:
        """Take note that something changed."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What was heard of a station before, by whomever.

    Attributes
    ----------
    sequence
        Number of its last chunk.
    end
        When that ended, in seconds since 1970.
    """

    sequence: int
    end: float


@dataclass
class Figures:
    """What is counted of a station.

    Attributes
    ----------
    audio_seconds, missing_seconds, silent_seconds
        Of audio so far.
    received_bytes
        From the network.
    failures
        By the code of the reason.
    level_dbfs
        Of the last audio.
    """

    audio_seconds: float = 0.0
    missing_seconds: float = 0.0
    silent_seconds: float = 0.0
    received_bytes: int = 0
    failures: dict[str, int] = field(default_factory=dict)
    level_dbfs: float = -120.0


class Receiver:
    """Listens to a station until it is cancelled.

    Parameters
    ----------
    station
        What to listen to.
    listener
        Whom to tell.
    name
        Of this receiver, for the events.
    heard
        What another receiver heard of it before.
    local
        Whether the station may be a command or a sound card of this machine.
    open_source
        Opens what it plays.
    random
        Of the jitter.
    monotonic, wall
        The clocks, in seconds.
    """

    def __init__(
        self,
        station: Station,
        listener: Listener,
        *,
        name: str = "",
        heard: Heard | None = None,
        local: bool = False,
        open_source: Callable[..., AbstractAsyncContextManager[Source]] = open_source,
        random: Random | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.station = station
        self.figures = Figures()
        self.source: Source | None = None
        self.state = StationState(State.IDLE, monotonic())
        self.silence = Silence(
            station.silence_dbfs, station.silent_seconds, station.sounding_seconds
        )
        self._listener = listener
        self._name = name
        self._local = local
        self._open = open_source
        self._random = random or Random()
        self._monotonic, self._wall = monotonic, wall
        self._offset = wall() - monotonic()
        self._moved = heard is not None
        self._numbers = Numbers(heard.sequence + 1 if heard else first_number(wall()))
        self._end = heard.end - self._offset if heard else None
        self._backoff = Backoff()
        self._outage: str | None = None
        self._missing = 0.0
        self._proof_seconds = _PROOF_SECONDS
        self._title: str | None = None
        self._connection = Connection()

    async def run(self) -> None:
        """Listen for ever."""
        try:
            while True:
                began = self._monotonic()
                wait = self._failed(await self._attempt())
                hung = 0.0 if self._connection.heard else self._monotonic() - began
                await asyncio.sleep(max(0.0, wait - hung))
        finally:
            self._flush()
            self._enter(State.IDLE)

    async def _attempt(self) -> Reason:
        """Connect and listen until it ends; return why it did."""
        self._enter(State.CONNECTING)
        self._connection = Connection()
        self._offset = self._wall() - self._monotonic()
        try:
            async with self._open(self.station, self._take_title, local=self._local) as source:
                self.source = source
                await self._listen(source)
        except SourceFailed as error:
            return error.reason
        finally:
            self._flush()
            if self.source:
                self.figures.received_bytes += self.source.found.received
            self.source = None
        raise AssertionError("listening ends by a reason only")

    async def _listen(self, source: Source) -> None:
        while True:
            await asyncio.sleep(self._connection.timeline.wait_seconds(self._monotonic()))
            data = await self._read(source)
            samples = np.frombuffer(data, "<i2")
            self._take_level(samples)
            self._arrived(len(samples) / SAMPLE_RATE)
            self._connection.cutter.add(samples)
            self._send_whole_chunks()
            self._enter(State.RECEIVING)
            self._listener.observed(self)

    async def _read(self, source: Source) -> bytes:
        """Wait for audio; what counts as alive is audio, not a connection.

        Raises
        ------
        SourceFailed
            None comes.
        """
        seconds = self._connection.timeline.seconds
        watch = AudioWatch(self._monotonic(), source.found.received, seconds)
        while True:
            try:
                async with asyncio.timeout(0.5):
                    return await source.read()
            except TimeoutError:
                playing = self.state.state in (State.RECEIVING, State.STALLED)
                if watch.is_stalled(playing, source.found.received, self._monotonic()):
                    self._enter(State.STALLED)
                    self._listener.observed(self)

    def _arrived(self, seconds: float) -> None:
        connection, now = self._connection, self._monotonic()
        connection.arrived(now)
        end = connection.timeline.end
        skipped = connection.timeline.arrived(seconds, now)
        self.figures.audio_seconds += seconds
        if not skipped:
            return
        self._flush(end)
        if now - connection.paused > 2 * NO_AUDIO_SECONDS:
            raise failed("too-slow")
        self._miss(skipped)

    def _send_whole_chunks(self) -> None:
        connection = self._connection
        if not connection.timeline.settled(self._monotonic()):
            return
        if not connection.joined:
            self._join(connection)
        connection.skip_overlap()
        while connection.cutter.samples >= CHUNK_SAMPLES:
            start = self._connection.start
            samples = connection.cutter.take()
            assert samples is not None
            self._send(samples, start)
            self._count_proof(len(samples) / SAMPLE_RATE)

    def _join(self, connection: Connection) -> None:
        """Put a connection's audio behind what was heard before: a gap, or an overlap to drop."""
        connection.joined = True
        if self._end is None:
            return
        missing = self._connection.start - self._end
        if missing < 0:
            connection.overlap = round(-missing * SAMPLE_RATE)
        else:
            self._miss(missing)

    def _miss(self, seconds: float) -> None:
        self._numbers.skip(seconds)
        self._missing += seconds
        self.figures.missing_seconds += seconds

    def _send(self, samples: NDArray[np.int16], start: float) -> None:
        """Encode and hand over a chunk."""
        self._end = start + len(samples) / SAMPLE_RATE
        captured_at = round((start + self._offset) * 1000)
        self._listener.chunk(
            encode_chunk(samples, self.station.id, self._numbers.take(), captured_at)
        )

    def _flush(self, end: float | None = None) -> None:
        """Hand over what was heard and is no whole chunk.

        Parameters
        ----------
        end
            When that ended; by default with all that arrived.
        """
        connection = self._connection
        if connection.timeline.anchor is None:
            return
        if not connection.joined:
            self._join(connection)
        connection.skip_overlap()
        end = connection.timeline.end if end is None else end
        start = end - connection.cutter.samples / SAMPLE_RATE
        while (samples := connection.cutter.take(rest=True)) is not None:
            self._send(samples, start)
            start += len(samples) / SAMPLE_RATE

    def _count_proof(self, seconds: float) -> None:
        connection = self._connection
        connection.heard += seconds
        self._backoff = self._backoff.heard(connection.heard)
        if connection.proved or connection.heard < self._proof_seconds:
            return
        connection.proved = True
        self._proof_seconds = _PROOF_SECONDS
        self._outage = None
        self._tell_connected()

    def _tell_connected(self) -> None:
        missing = round(self._missing, 3)
        if self._moved:
            self._tell("moved", missing_seconds=missing)
            missing, self._moved = 0.0, False
        self._missing = 0.0
        self._tell("connected", missing_seconds=missing)

    def _failed(self, why: Reason) -> float:
        """Note a failure; return how long to wait."""
        connection, now = self._connection, self._monotonic()
        counts = self.figures.failures
        counts[why.code] = counts.get(why.code, 0) + 1
        if connection.proved and connection.heard >= _SHORT_CONNECTION_SECONDS:
            self._backoff = Backoff()
        elif why.code in ("too-slow", "no-audio") and connection.heard < _SHORT_CONNECTION_SECONDS:
            self._proof_seconds = _LONG_PROOF_SECONDS
        self._backoff = self._backoff.failed(now)
        refused = is_refused(why, None if self._end is None else now - self._end)
        self._enter(State.REFUSED if refused else State.BACKING_OFF)
        self._tell_outage("refused" if refused else "lost", why)
        self._listener.observed(self)
        if refused:
            return REFUSED_SECONDS
        return self._backoff.wait_seconds(now, self._random)

    def _tell_outage(self, kind: EventKind, why: Reason) -> None:
        """Tell once that a station is lost, and once that it is refused, until it is back."""
        if self._outage == kind or self._outage == "refused":
            return
        self._outage = kind
        self._tell(kind, reason=why.code, message=str(why))

    def _take_title(self, title: str) -> None:
        if title and title != self._title:
            self._title = title
            self._tell("title", title=title)

    def _take_level(self, samples: NDArray[np.int16]) -> None:
        level, seconds = level_dbfs(samples), len(samples) / SAMPLE_RATE
        self.figures.level_dbfs = level
        self.silence, change = self.silence.observe(level, seconds)
        self.figures.silent_seconds += seconds if self.silence.silent else 0.0
        if change:
            self._tell(change, level_dbfs=round(level, 1))

    def _tell(
        self,
        kind: EventKind,
        *,
        reason: str | None = None,
        message: str | None = None,
        title: str | None = None,
        missing_seconds: float | None = None,
        level_dbfs: float | None = None,
    ) -> None:
        at = to_time(self._wall() * 1000)
        self._listener.event(
            StationEvent(
                event_id=station_event_id(self.station.id, at, kind),
                station_id=self.station.id,
                kind=kind,
                at=at,
                reason=reason,
                message=message,
                title=title,
                missing_seconds=missing_seconds,
                level_dbfs=level_dbfs,
                sequence=self._numbers.following,
                receiver=self._name or None,
            )
        )

    def _enter(self, state: State) -> None:
        self.state = self.state.enter(state, self._monotonic())

    def lag_seconds(self) -> float | None:
        """Tell how far what is heard is behind the time; ``None`` while nothing is."""
        timeline = self._connection.timeline
        playing = self.state.state in (State.RECEIVING, State.STALLED)
        return timeline.lag(self._monotonic()) if playing else None
