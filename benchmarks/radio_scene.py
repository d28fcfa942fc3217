"""Stations made up for pictures, tests and load: what the services would have written of them."""

import asyncio
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from aiokafka import AIOKafkaProducer

from schemas import (
    GENRES,
    FeatureVector,
    GenrePrediction,
    GenreSegment,
    ModelReference,
    Now,
    Place,
    Station,
    StationEvent,
    WindowAnswer,
    encode_event,
    feature_event_id,
    prediction_event_id,
    segment_event_id,
    station_event_id,
    to_time,
)
from services.kafka.topics import Topics
from services.settings import Settings

WINDOW_MS: Final = 3_000
MODEL: Final = ModelReference("vote-discriminant-musicnn-200", "1.0.0")
#: One that no classifier of ours waits for by default: these vectors are made up.
_SET: Final = "librosa-52"
_DAY_MS: Final = 86_400_000
#: Name, labels that it plays, and what is wrong with it.
CAST: Final = (
    ("Blue Note FM", ("jazz", "blues"), None),
    ("Radio Klassik", ("classical",), None),
    ("Nashville Live", ("country", "rock"), None),
    ("Discothèque", ("disco", "pop"), None),
    ("Block Party Radio", ("hiphop", "reggae"), None),
    ("Island Sound", ("reggae",), None),
    ("Steel & Thunder", ("metal", "rock"), None),
    ("Hit Parade", ("pop", "disco", "hiphop"), None),
    ("Talk of the Town", ("speech", "pop"), None),
    ("College Radio", ("rock", "unknown", "jazz"), None),
    ("Harbour Radio", ("country", "pop"), "lost"),
    ("Night Shift", ("blues",), "silent"),
    ("Old Mast", ("rock",), "refused"),
)
_TITLES: Final = ("Long Way Round", "Paper Moon", "Second Sunrise", "The Ferry", "Amber", "Rewind")
_WORDS: Final = {
    "lost": ("timeout", "no audio came for 10 s: we connect again by ourselves"),
    "refused": ("not-found", "the server answers 404: correct the address; asked again in 10 min"),
    "silent": (None, None),
}


@dataclass
class Player:
    """One station, and what it plays."""

    station: Station
    labels: Sequence[str]
    trouble: str | None
    random: random.Random
    origin: Place
    label: str = ""
    since_ms: int = 0
    window: int = 0
    changes: int = 0
    levels: list[float] = field(default_factory=list)

    def prediction(self, at_ms: int) -> tuple[FeatureVector, GenrePrediction]:
        """Play the window that begins at a time."""
        start, index = 3.0 * self.window, self.window
        self.window += 1
        vector = FeatureVector(
            event_id=feature_event_id(self.origin, _SET, index),
            stream_id=self.station.id,
            origin=self.origin,
            feature_set=_SET,
            window_index=index,
            start_seconds=start,
            end_seconds=start + 3.0,
            level_dbfs=-84.0
            if self.label == "silence"
            else round(self.random.uniform(-22, -11), 2),
            values=(0.0,),
            heard_at=to_time(at_ms),
        )
        shares = self._probabilities()
        confidence = shares.get(self.label, 0.9)
        return vector, GenrePrediction(
            event_id=prediction_event_id(vector, MODEL),
            stream_id=self.station.id,
            origin=self.origin,
            feature_set=_SET,
            model=MODEL,
            window_index=index,
            start_seconds=start,
            end_seconds=start + 3.0,
            label=self.label,
            confidence=confidence,
            probabilities=shares,
            windows=index + 1,
            window=WindowAnswer(self.label, confidence, shares),
            heard_at=to_time(at_ms),
            now=Now(self.label, confidence, shares, to_time(self.since_ms)),
            level_dbfs=vector.level_dbfs,
        )

    def _probabilities(self) -> dict[str, float]:
        weights = {genre: self.random.expovariate(12) for genre in GENRES}
        if self.label in weights:
            weights[self.label] += self.random.uniform(0.8, 2.5)
        total = sum(weights.values())
        return {genre: weight / total for genre, weight in weights.items()}

    def segments(self, start_ms: int, end_ms: int) -> Iterator[GenreSegment]:
        """Yield what was played from one time to another; the last one goes on."""
        at = start_ms
        while at < end_ms:
            label = self.random.choice(self.labels)
            if self.random.random() < 0.05:
                label = "silence" if self.random.random() < 0.3 else "speech"
            length = round(self.random.uniform(120_000, 900_000))
            stop = min(at + length, end_ms)
            yield self._segment(label, at, stop)
            self.label, self.since_ms = label, at
            at = stop + (self.random.randint(60_000, 600_000) if self.random.random() < 0.02 else 0)

    def _segment(self, label: str, begin: int, end: int) -> GenreSegment:
        self.changes += 1
        seconds = (end - begin) / 1000
        return GenreSegment(
            event_id=segment_event_id(self.origin, _SET, self.changes, MODEL.name),
            stream_id=self.station.id,
            origin=self.origin,
            feature_set=_SET,
            model=MODEL,
            label=label,
            began_at=to_time(begin),
            ended_at=to_time(end),
            start_seconds=0.0,
            end_seconds=seconds,
            seconds=seconds,
            heard_seconds=seconds,
            confidence=0.8,
            probabilities={},
            windows=round(seconds / 3),
        )

    def events(self, now_ms: int) -> Iterator[StationEvent]:
        """Yield what happened to the station."""
        yield self._event("connected", now_ms - _DAY_MS // 2, missing_seconds=2.0)
        yield self._event("title", now_ms - 150_000, title=self.random.choice(_TITLES))
        if self.trouble:
            reason, message = _WORDS[self.trouble]
            at = now_ms - self.random.randint(120_000, 1_500_000)
            yield self._event(self.trouble, at, reason=reason, message=message)

    def _event(self, kind: Any, at_ms: int, **more: Any) -> StationEvent:
        at = to_time(at_ms)
        event_id = station_event_id(self.station.id, at, kind)
        return StationEvent(event_id=event_id, station_id=self.station.id, kind=kind, at=at, **more)


def cast(count: int = len(CAST), seed: int = 7) -> list[Player]:
    """Make so many stations."""
    players = []
    for number in range(count):
        name, labels, trouble = CAST[number % len(CAST)]
        turn = number // len(CAST)
        name = f"{name} {turn + 1}" if turn else name
        station_id = "".join(c if c.isascii() and c.isalnum() else "-" for c in name.lower())
        station = Station(id=station_id, name=name, url="http://radio.invalid/", tags=labels)
        chance = random.Random(f"{seed}/{number}")
        origin = Place("audio.chunks", 0, number)
        players.append(Player(station, labels, trouble, chance, origin))
    return players


async def write_past(
    producer: AIOKafkaProducer, settings: Settings, players: Sequence[Player], now_ms: int
) -> None:
    """Write the last day of all stations, up to now."""
    topics = Topics(settings.topic_prefix)
    for player in players:
        key = player.station.id.encode()
        await producer.send(topics.stations, encode_event(player.station), key)
        end = now_ms - (600_000 if player.trouble else 0)
        for segment in player.segments(now_ms - _DAY_MS, end):
            await producer.send(topics.segments, encode_event(segment), key)
        for event in player.events(now_ms):
            await producer.send(topics.station_events, encode_event(event), key)
    await producer.flush()


async def play_window(
    producer: AIOKafkaProducer, settings: Settings, player: Player, now_ms: int
) -> None:
    """Write a window of a station that is on air."""
    if player.trouble in ("lost", "refused"):
        return
    if player.trouble == "silent":
        player.label = "silence"
    if player.random.random() < 0.01 and not player.trouble:
        player.label, player.since_ms = player.random.choice(player.labels), now_ms
    topics, key = Topics(settings.topic_prefix), player.station.id.encode()
    vector, prediction = player.prediction(now_ms - WINDOW_MS)
    await producer.send(topics.features, encode_event(vector), key)
    await producer.send(topics.predictions, encode_event(prediction), key)


async def play(
    producer: AIOKafkaProducer, settings: Settings, players: Sequence[Player], clock: Any
) -> None:
    """Play on for ever, a window of each station in three seconds, evenly."""
    gap = WINDOW_MS / 1000 / len(players)
    loop = asyncio.get_running_loop()
    at = loop.time()
    while True:
        for player in players:
            await play_window(producer, settings, player, clock())
            at += gap
            await asyncio.sleep(max(0.0, at - loop.time()))
