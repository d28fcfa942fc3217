"""What the gateway counts, in Prometheus' types."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_DELAYS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Counters:
    """Counters and gauges of one gateway.

    Attributes
    ----------
    registry
        Where they are registered.
    """

    def __init__(self) -> None:
        registry = self.registry = CollectorRegistry()
        self.dropped = Counter(
            "genrestream_gateway_readers_dropped",
            "Readers of events that were dropped, by reason",
            ["reason"],
            registry=registry,
        )
        self.dropped.labels("slow")
        self.dropped.labels("stalled")
        self.uploads = Counter(
            "genrestream_gateway_uploads",
            "Uploads and microphones, by how they ended",
            ["outcome"],
            registry=registry,
        )
        self.upload_bytes = Counter(
            "genrestream_gateway_upload_bytes", "Bytes that were uploaded", registry=registry
        )
        self.refused = Counter(
            "genrestream_gateway_problems",
            "Requests that were answered by a problem, by its code",
            ["code"],
            registry=registry,
        )
        self.readers = Gauge("genrestream_gateway_readers", "Readers of events", registry=registry)
        self.streams = Gauge(
            "genrestream_gateway_streams", "Streams on the board", registry=registry
        )
        self.messages = Gauge(
            "genrestream_gateway_messages", "Messages read since the start", registry=registry
        )
        self.broker_up = Gauge(
            "genrestream_gateway_broker_up", "1 while the broker answers", registry=registry
        )
        self.delay = Histogram(
            "genrestream_gateway_event_delay_seconds",
            "From the timestamp of a prediction to its hand-over to the readers",
            buckets=_DELAYS,
            registry=registry,
        )
