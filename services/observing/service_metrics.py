"""What a service without streams counts, and how it answers probes."""

import time
from dataclasses import dataclass, field
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
)

from services.observing.http_port import Answer, serve
from services.settings import Settings

_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


@dataclass
class ServiceState:
    """What probes ask of a service that polls.

    Attributes
    ----------
    stall_seconds
        A service that has not polled for so long is not alive.
    polled
        When it polled last, by a monotonic clock.
    is_assigned
        Whether its group has given it a share.
    trouble
        Why it cannot do its work now; ``None`` while it can.
    """

    stall_seconds: float
    polled: float = field(default_factory=time.monotonic)
    is_assigned: bool = False
    trouble: str | None = None

    def alive(self) -> Answer:
        """Tell whether it polls: an outage that it waits for needs no restart."""
        still = time.monotonic() - self.polled
        return Answer(still < self.stall_seconds, f"it has polled {still:.0f} s ago")

    def ready(self) -> Answer:
        """Tell whether it does its work."""
        if self.trouble:
            return Answer(False, self.trouble)
        if not self.is_assigned:
            return Answer(False, "no partitions are assigned yet")
        return self.alive()


class ServiceMetrics:
    """Metrics of one service, in a registry of its own.

    Parameters
    ----------
    service
        Its name, which begins the metrics' names.
    """

    def __init__(self, service: str) -> None:
        self.registry = CollectorRegistry()
        self._prefix = f"genrestream_{service}"
        for standard in (ProcessCollector, PlatformCollector, GCCollector):
            standard(registry=self.registry)

    def counter(self, name: str, text: str, *labels: str) -> Counter:
        """Add a counter."""
        return Counter(f"{self._prefix}_{name}", text, labels, registry=self.registry)

    def gauge(self, name: str, text: str) -> Gauge:
        """Add a gauge."""
        return Gauge(f"{self._prefix}_{name}", text, registry=self.registry)

    def seconds(self, name: str, text: str) -> Histogram:
        """Add a histogram of durations."""
        return Histogram(f"{self._prefix}_{name}", text, buckets=_SECONDS, registry=self.registry)

    def serve(self, settings: Settings, state: ServiceState) -> None:
        """Serve them on the port of the settings, if there is one.

        Raises
        ------
        SettingsError
            The port cannot be bound.
        """
        if settings.http_port:
            probes = {"/healthz": state.alive, "/readyz": state.ready}
            serve(settings, self.registry, probes)
