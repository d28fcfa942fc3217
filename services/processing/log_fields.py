"""What a line of the log says of a message beside its text."""

from typing import Any, Final

from schemas.echo import echo
from services.processing.records import Record
from services.processing.trace_context import valid_traceparent

_LONGEST: Final = 4096


def message_fields(record: Record, service: str, stream: str) -> dict[str, Any]:
    """Return the fields that tell which message is spoken of."""
    headers = {name: value[:_LONGEST].decode(errors="replace") for name, value in record.headers}
    return {
        "service": service,
        "topic": record.place.topic,
        "partition": record.place.partition,
        "offset": record.place.offset,
        "stream": echo(stream),
        "event_id": echo(headers["ce_id"]) if "ce_id" in headers else None,
        "traceparent": valid_traceparent(headers.get("traceparent")),
    }
