"""What is known of one stream or station: a state that messages change, one after another."""

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from schemas import GenrePrediction, GenreSegment, Now, Station, StationEvent, to_milliseconds
from services.gateway.strips import Strip
from services.gateway.views import Detail, NowView, Row, State

#: A stream without a prediction for so long is not on air.
STALL_MS: Final = 30_000
_NEXT: Final = 3
_MAX_MODELS: Final = 8
#: Ten minutes of windows.
_CURVE: Final = 200
_EVENTS: Final = 50
_REASONS: Final = 10
_TITLES: Final = 20
_TROUBLES: Final = frozenset({"lost", "refused", "silent"})
_STATES: Final[dict[str, State]] = {
    "connected": "on-air",
    "sounding": "on-air",
    "silent": "silent",
    "lost": "lost",
    "refused": "refused",
}


@dataclass(slots=True)
class Stream:
    """All that is kept of a stream; of bounded size.

    Attributes
    ----------
    id
        The stream id.
    station
        The station of that id, if there is one.
    seen_ms
        Time of its latest message.
    """

    id: str
    station: Station | None = None
    seen_ms: int = 0
    answers: dict[str, NowView] = field(default_factory=dict)
    strip: Strip = field(default_factory=Strip)
    level_dbfs: float | None = None
    predicted_ms: int | None = None
    last_event: StationEvent | None = None
    events: deque[StationEvent] = field(default_factory=lambda: deque(maxlen=_EVENTS))
    reasons: deque[StationEvent] = field(default_factory=lambda: deque(maxlen=_REASONS))
    titles: deque[tuple[str, str]] = field(default_factory=lambda: deque(maxlen=_TITLES))
    curve: deque[tuple[int, float, tuple[float, ...]]] = field(
        default_factory=lambda: deque(maxlen=_CURVE)
    )
    _places: dict[str, tuple[int, int, int]] = field(default_factory=dict)

    def predict(
        self, prediction: GenrePrediction, timestamp_ms: int, level_dbfs: float | None = None
    ) -> bool:
        """Take in a prediction; tell whether it is news, and no repetition."""
        name = prediction.model.name
        if name not in self.answers and len(self.answers) >= _MAX_MODELS:
            return False
        origin = prediction.origin
        place = (origin.partition, origin.offset, prediction.window_index)
        if not _is_news(self._places.get(name), place):
            return False
        self._places[name] = place
        view = self.answers[name] = now_view(prediction, level_dbfs)
        self.level_dbfs = level_dbfs
        self.seen_ms = max(self.seen_ms, timestamp_ms)
        self.predicted_ms = timestamp_ms
        if name == self.model:
            self._draw(prediction, view, timestamp_ms)
            self.curve.append((timestamp_ms, view.end_seconds, tuple(view.probabilities.values())))
        return True

    def _draw(self, prediction: GenrePrediction, view: NowView, timestamp_ms: int) -> None:
        length = round(1000 * (prediction.end_seconds - prediction.start_seconds))
        if length <= 0:
            return
        heard_at = prediction.heard_at
        start = to_milliseconds(heard_at) if heard_at else timestamp_ms - length
        since = to_milliseconds(view.since) if view.since else None
        label = view.label if prediction.now else view.window or view.label
        self.strip.hear(start, start + length, label, since)

    @property
    def model(self) -> str | None:
        """Name of the model whose answer is shown: the first that answered."""
        return next(iter(self.answers), None)

    def segment(self, segment: GenreSegment) -> None:
        """Take in a segment of the past."""
        if segment.began_at and segment.ended_at and self.model in (None, segment.model.name):
            began, ended = to_milliseconds(segment.began_at), to_milliseconds(segment.ended_at)
            self.strip.fill(began, ended, segment.label)
            self.seen_ms = max(self.seen_ms, ended)

    def happen(self, event: StationEvent) -> bool:
        """Take in an event of the station; tell whether it is news."""
        if any(known.event_id == event.event_id for known in self.events):
            return False
        self.events.appendleft(event)
        self.seen_ms = max(self.seen_ms, to_milliseconds(event.at))
        if event.kind in _TROUBLES:
            self.reasons.appendleft(event)
        if event.kind == "title":
            self.titles.appendleft((event.title or "", event.at))
        elif event.kind in _STATES:
            self.last_event = event
        return True

    def state(self, now_ms: int) -> State:
        """Tell whether it is on air."""
        heard = self.predicted_ms is not None and now_ms - self.predicted_ms < STALL_MS
        if self.station is None and self.last_event is None:
            if self.now and self.now.final:
                return "ended"
            return "on-air" if heard else "idle"
        if self.last_event is None:
            return "on-air" if heard else "waiting"
        state = _STATES[self.last_event.kind]
        began = to_milliseconds(self.last_event.at)
        if state == "on-air" and not heard and now_ms - began > STALL_MS:
            return "stalled"
        return state

    @property
    def now(self) -> NowView | None:
        """The answer that is shown."""
        return next(iter(self.answers.values()), None)

    def row(self, now_ms: int) -> Row:
        """Show it as a row."""
        event, station = self.last_event, self.station
        title, title_at = self.titles[0] if self.titles else (None, None)
        return Row(
            id=self.id,
            name=station.name if station else self.id,
            station=station is not None,
            tags=station.tags if station else (),
            state=self.state(now_ms),
            state_since=event.at if event else None,
            reason=event.reason if event else None,
            message=event.message if event else None,
            title=title,
            title_at=title_at,
            now=self.now,
        )

    def detail(self, now_ms: int) -> Detail:
        """Show all of it."""
        return Detail(
            row=self.row(now_ms),
            spans=[(span.label, span.start, span.end) for span in self.strip.spans],
            events=list(self.events),
            reasons=list(self.reasons),
            titles=list(self.titles),
            models=dict(self.answers),
            curve=list(self.curve),
        )


def _is_news(known: tuple[int, int, int] | None, place: tuple[int, int, int]) -> bool:
    """Tell a new window from one that is delivered again, by partition, stream and number."""
    return known is None or known[0] != place[0] or place > known


def now_view(prediction: GenrePrediction, level_dbfs: float | None) -> NowView:
    """Show what a prediction says of now; of the whole stream where it does not say."""
    now = prediction.now or Now(
        prediction.label, prediction.confidence, prediction.probabilities, None
    )
    others = [(name, p) for name, p in now.probabilities.items() if name != now.label]
    others.sort(key=lambda pair: -pair[1])
    window = prediction.window
    return NowView(
        label=now.label,
        confidence=round(now.confidence, 4),
        since=now.since,
        next=tuple((name, round(p, 4)) for name, p in others[:_NEXT]),
        heard_at=prediction.heard_at,
        end_seconds=prediction.end_seconds,
        window=window.label if window else None,
        window_confidence=round(window.confidence, 4) if window else None,
        level_dbfs=level_dbfs,
        probabilities={name: round(p, 4) for name, p in now.probabilities.items()},
        model=prediction.model.name,
        final=prediction.final,
    )
