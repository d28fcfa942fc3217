"""Messages as faust hands them over, taken together and turned into records."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import faust
from faust.types import EventT

from schemas import Headers, Origin
from services.processing.records import Record

#: The end of the year 9999: no clock that is right goes beyond.
_LATEST_SECONDS: Final = 253_402_300_799.0


def waiting_events(app: faust.App, queue: Any) -> Iterator[EventT[bytes]]:
    """Take what waits in the queue of an agent's stream, which would hand it out one by one.

    As faust's own streams do, it drops what was fetched before the latest rebalance.
    """
    while not queue.empty() and app.flow_control.is_active():
        event = queue.get_nowait()
        if event.message.generation_id == app.consumer_generation_id:
            yield event


def to_record(event: EventT[bytes]) -> Record:
    """Return a message free of faust."""
    message = event.message
    return Record(
        place=Origin(message.topic, message.partition, message.offset),
        timestamp_ms=round(1000 * min(max(message.timestamp, 0.0), _LATEST_SECONDS)),
        key=message.key,
        value=message.value or b"",
        headers=_header_list(message.headers),
    )


def _header_list(headers: Any) -> Headers:
    """Return headers as pairs: aiokafka gives a sequence, faust sometimes a mapping."""
    pairs = headers.items() if isinstance(headers, Mapping) else headers or ()
    return [(name, value or b"") for name, value in pairs]
