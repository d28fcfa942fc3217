"""What pages and programs are told of a stream, in JSON; no address or header of a station."""

from typing import Literal

from msgspec import Struct

from schemas import Station, StationEvent

#: Of a station: ``waiting`` before anything is known, ``on-air``, ``silent`` (audio comes, but no
#: sound), ``stalled`` (connected, but no prediction comes), ``lost`` and ``refused``. Of any other
#: stream: ``on-air``, ``idle`` and ``ended``.
State = Literal["waiting", "on-air", "silent", "stalled", "lost", "refused", "idle", "ended"]


class NowView(Struct, frozen=True):
    """What a stream sounds like now.

    Attributes
    ----------
    label, confidence, since
        As in a prediction's ``now``.
    next
        The three genres that come next, with their probabilities.
    heard_at
        When the latest window began.
    end_seconds
        Its end, from the start of the stream.
    window, window_confidence
        Label of that window alone.
    level_dbfs
        Its level; null until it is known.
    probabilities
        Of all genres over the last seconds.
    model
        Name of the model.
    final
        Whether the stream ended with it.
    """

    label: str
    confidence: float
    since: str | None
    next: tuple[tuple[str, float], ...]
    heard_at: str | None
    end_seconds: float
    window: str | None
    window_confidence: float | None
    level_dbfs: float | None
    probabilities: dict[str, float]
    model: str
    final: bool


class Row(Struct, frozen=True, kw_only=True):
    """A station or another stream, as a row of the page.

    Attributes
    ----------
    id
        The stream id.
    name
        Of the station; else the id.
    station
        Whether it is one.
    tags
        Of the station.
    state, state_since
        Whether it is on air, and since when.
    reason, message
        Why it is not: a code, and a sentence with the remedy.
    title, title_at
        What the station announced last.
    now
        What it sounds like; null while nothing was heard.
    """

    id: str
    name: str
    station: bool
    tags: tuple[str, ...]
    state: State
    state_since: str | None
    reason: str | None
    message: str | None
    title: str | None
    title_at: str | None
    now: NowView | None


class Detail(Struct, frozen=True, kw_only=True):
    """Everything that is kept of one stream.

    Attributes
    ----------
    row
        Its row.
    spans
        Label, begin and end in ms since 1970, of the last day.
    events
        The latest events, newest first.
    reasons
        The last ten that were losses, refusals and silences.
    titles
        The latest titles, newest first.
    models
        The `now` of every model that answers for it, by its name.
    curve
        Of the latest windows: time in ms since 1970, end in seconds from the start of the stream,
        and the probabilities in the order of `now`.
    """

    row: Row
    spans: list[tuple[str, int, int]]
    events: list[StationEvent]
    reasons: list[StationEvent]
    titles: list[tuple[str, str]]
    models: dict[str, NowView]
    curve: list[tuple[int, float, tuple[float, ...]]]


class StationView(Struct, frozen=True, kw_only=True):
    """A station without what may be secret.

    Attributes
    ----------
    id, name, silence_dbfs, silent_seconds, sounding_seconds, timezone, tags
        As in the topic.
    url
        Shown to those who have the token; null for others.
    """

    id: str
    name: str
    silence_dbfs: float
    silent_seconds: float
    sounding_seconds: float
    timezone: str
    tags: tuple[str, ...]
    url: str | None = None


def station_view(station: Station, *, with_address: bool = False) -> StationView:
    """Show a station; its address only to those who may change it, its headers to nobody."""
    return StationView(
        id=station.id,
        name=station.name,
        silence_dbfs=station.silence_dbfs,
        silent_seconds=station.silent_seconds,
        sounding_seconds=station.sounding_seconds,
        timezone=station.timezone,
        tags=station.tags,
        url=station.url if with_address else None,
    )
