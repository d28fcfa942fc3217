"""What a line of the log says of a message beside its text."""

from typing import Any

from services.processing.records import Record


def message_fields(record: Record, service: str, stream: str) -> dict[str, Any]:
    """Return the fields that tell which message is spoken of."""
    headers = {name: value.decode(errors="replace") for name, value in record.headers}
    return {
        "service": service,
        "topic": record.place.topic,
        "partition": record.place.partition,
        "offset": record.place.offset,
        "stream": stream,
        "event_id": headers.get("ce_id"),
        "traceparent": headers.get("traceparent"),
    }
