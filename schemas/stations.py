"""Stations: what receivers listen to, and what happens to it."""

from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from schemas.messages import SCHEMA_VERSION, Count, SchemaVersion, Seconds, Time

#: A station id is a stream id, a label of metrics and a part of an address of the page.
StationId = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
Level = Annotated[float, Meta(ge=-120.0, le=0.0)]

EventKind = Literal["connected", "lost", "silent", "sounding", "title", "refused", "moved"]


class Station(Struct, frozen=True, kw_only=True):
    """One message of the compacted topic ``stations``: a source that never ends.

    The key is the id; a message without a value removes the station. What the address and the
    headers hold may be secret: they are in no event, log or metric.

    Attributes
    ----------
    id
        The id: the key of its chunks, predictions and segments, too.
    name
        For people.
    url
        Where the sound comes from.
    headers
        That are sent with each request.
    user_agent
        That is sent instead of ours.
    silence_dbfs
        Level below which it is silent.
    silent_seconds
        It is reported silent after so long below that level.
    sounding_seconds
        It is reported sounding after so long above it.
    timezone
        IANA name of the zone by which its days are counted.
    tags
        By which people group stations.
    schema_version
        Version of this schema; another major version is refused.
    """

    id: StationId
    name: str
    url: str
    headers: dict[str, str] = field(default_factory=dict)
    user_agent: str | None = None
    silence_dbfs: Level = -50.0
    silent_seconds: Seconds = 20.0
    sounding_seconds: Seconds = 3.0
    timezone: str = "UTC"
    tags: tuple[str, ...] = ()
    schema_version: SchemaVersion = SCHEMA_VERSION


class StationEvent(Struct, frozen=True, kw_only=True):
    """One message of ``station.events``: something happened to a station.

    Attributes
    ----------
    event_id
        The same however often the message is delivered.
    station_id
        Its id, and the key of the message.
    kind
        ``connected``: audio flows. ``lost``: it stopped, and we try again. ``silent`` and
        ``sounding``: the level fell and rose. ``title``: another title is announced. ``refused``:
        the source will not have us, and we ask again in ten minutes. ``moved``: another receiver
        took the station over.
    at
        When it happened.
    reason
        A stable code for machines, such as ``timeout``; null where there is none.
    message
        The reason and the remedy in words, without secrets; null where there is none.
    title
        What is announced, of a ``title`` event.
    missing_seconds
        How much of the sound was not heard before this, of ``connected`` and ``moved``.
    level_dbfs
        Of ``silent`` and ``sounding``.
    sequence
        Number of the next chunk of the station.
    receiver
        Which receiver says so.
    schema_version
        Version of this schema; another major version is refused.
    """

    event_id: str
    station_id: StationId
    kind: EventKind
    at: Time
    reason: str | None = None
    message: str | None = None
    title: str | None = None
    missing_seconds: Seconds | None = None
    level_dbfs: Level | None = None
    sequence: Count | None = None
    receiver: str | None = None
    schema_version: SchemaVersion = SCHEMA_VERSION

    @property
    def stream_id(self) -> str:
        """The key of its messages: a station's chunks are a stream of its id."""
        return self.station_id


def station_event_id(station_id: str, at: str, kind: str) -> str:
    """Identify an event of a station.

    >>> station_event_id("radio-1", "2026-11-25T10:00:00.000Z", "lost")
    'radio-1/2026-11-25T10:00:00.000Z/lost'
    """
    return f"{station_id}/{at}/{kind}"
