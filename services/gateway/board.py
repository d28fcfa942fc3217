"""The board: all streams and stations, as the messages of four topics leave them.

Pure: messages in, changed rows out. Memory is bounded by the number of streams that are kept.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from schemas import GenrePrediction, GenreSegment, Station, StationEvent
from services.gateway.streams import Stream
from services.gateway.views import Row

#: Streams that are kept; beyond it the one that was silent longest and is no station goes.
MAX_STREAMS: Final = 2_000
#: Levels of windows whose prediction has not come.
_MAX_LEVELS: Final = 10_000
#: What is no station goes so long after its last message.
FORGET_MS: Final = 15 * 60_000
HOUR_CELLS: Final = (30_000, 120)
DAY_CELLS: Final = (600_000, 144)
#: A label is one of these letters in a strip; a full stop is what was not heard.
_LETTERS: Final = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
_MISSING: Final = "."
_OTHER: Final = "?"


@dataclass(slots=True)
class Board:
    """What is known now, by stream id."""

    streams: dict[str, Stream] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    _levels: dict[tuple[str, int], float] = field(default_factory=dict)

    def predict(self, prediction: GenrePrediction, timestamp_ms: int) -> tuple[Stream, bool]:
        """Take in a prediction; return its stream, and whether its row is new or has changed."""
        known = self.streams.get(prediction.stream_id)
        before = (known.now is None, known.now and known.now.final) if known else None
        stream = self._stream(prediction.stream_id, timestamp_ms)
        level = self._levels.pop((stream.id, prediction.window_index), None)
        stream.predict(prediction, timestamp_ms, stream.level_dbfs if level is None else level)
        after = (stream.now is None, stream.now and stream.now.final)
        return stream, before != after

    def segment(self, segment: GenreSegment, timestamp_ms: int) -> Stream:
        """Take in a segment."""
        stream = self._stream(segment.stream_id, timestamp_ms)
        stream.segment(segment)
        return stream

    def happen(self, event: StationEvent, timestamp_ms: int) -> tuple[Stream, bool]:
        """Take in an event of a station."""
        stream = self._stream(event.station_id, timestamp_ms)
        return stream, stream.happen(event)

    def announce(self, station: Station, timestamp_ms: int) -> Stream:
        """Take in a station."""
        stream = self._stream(station.id, timestamp_ms)
        stream.station = station
        return stream

    def remove(self, station_id: str) -> bool:
        """Take a station off; tell whether it was there."""
        return self.streams.pop(station_id, None) is not None

    def hear(self, stream_id: str, window_index: int, level_dbfs: float) -> None:
        """Note the level of a window, for the prediction that comes of it."""
        self._levels[stream_id, window_index] = round(level_dbfs, 1)
        if len(self._levels) > _MAX_LEVELS:
            del self._levels[next(iter(self._levels))]

    def _stream(self, stream_id: str, timestamp_ms: int) -> Stream:
        stream = self.streams.get(stream_id)
        if stream is None:
            if len(self.streams) >= MAX_STREAMS:
                self._drop_one()
            stream = self.streams[stream_id] = Stream(stream_id, seen_ms=timestamp_ms)
        return stream

    def _drop_one(self) -> None:
        """Make room: stations go last."""
        oldest = min(self.streams.values(), key=lambda s: (s.station is not None, s.seen_ms))
        del self.streams[oldest.id]

    def forget(self, now_ms: int) -> list[str]:
        """Drop streams that ended a while ago and are no stations; return their ids."""
        gone = [
            stream.id
            for stream in self.streams.values()
            if stream.station is None and now_ms - stream.seen_ms > FORGET_MS
        ]
        for stream_id in gone:
            del self.streams[stream_id]
        return gone

    def rows(self, now_ms: int) -> Iterator[Row]:
        """Show all as rows."""
        return (stream.row(now_ms) for stream in self.streams.values())

    def stations(self) -> list[Station]:
        """List the stations."""
        return [stream.station for stream in self.streams.values() if stream.station]

    def snapshot(self, now_ms: int) -> dict[str, Any]:
        """Show everything that a page needs to begin with.

        A strip is a letter a cell, the oldest first; its last cell is under way.
        """
        rows = [
            {
                "row": stream.row(now_ms),
                "hour": self._letters(stream, now_ms, *HOUR_CELLS),
                "day": self._letters(stream, now_ms, *DAY_CELLS),
            }
            for stream in self.streams.values()
        ]
        return {
            "rows": rows,
            "hour": _axis(now_ms, *HOUR_CELLS),
            "day": _axis(now_ms, *DAY_CELLS),
            "letters": {letter: label for label, letter in self.labels.items()},
        }

    def _letters(self, stream: Stream, now_ms: int, step: int, count: int) -> str:
        cells = stream.strip.cells(_end(now_ms, step), step, count)
        return "".join(map(self._letter, cells))

    def _letter(self, label: str | None) -> str:
        if label is None:
            return _MISSING
        if label not in self.labels:
            if len(self.labels) >= len(_LETTERS):
                return _OTHER
            self.labels[label] = _LETTERS[len(self.labels)]
        return self.labels[label]


def _end(now_ms: int, step: int) -> int:
    """Return the end of the cell that is under way."""
    return (now_ms // step + 1) * step


def _axis(now_ms: int, step: int, count: int) -> dict[str, int]:
    return {"end": _end(now_ms, step), "step": step, "count": count}
