"""What is measured of each station; there are as many series as stations, and no more."""

from typing import Any, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, disable_created_metrics

from services.receiver.decoder import cpu_seconds, resident_bytes
from services.receiver.reasons import REASON_CODES
from services.receiver.receiver import Receiver
from services.receiver.station_state import State

disable_created_metrics()  # type: ignore[no-untyped-call]  # it has no types

_GAUGES: Final = {
    "up": "Whether audio of the station arrives",
    "level_dbfs": "Level of its last audio",
    "silent": "Whether it is reported silent",
    "lag_seconds": "How far what is heard is behind the time",
    "decoder_cpu_seconds": "Processor time of its decoder",
    "decoder_resident_bytes": "Memory of its decoder",
    "last_audio_timestamp_seconds": "When audio came last",
}
_COUNTERS: Final = {
    "audio_seconds": "Audio that was heard",
    "missing_seconds": "Audio that was not heard",
    "silent_seconds": "Audio that was silent",
    "received_bytes": "Bytes from the network",
}


class StationMetrics:
    """Series of the stations of one receiver.

    Attributes
    ----------
    registry
        Where they are registered.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._gauges = {
            name: Gauge(f"genrestream_station_{name}", text, ("station",), registry=self.registry)
            for name, text in _GAUGES.items()
        }
        self._counters = {
            name: Counter(f"genrestream_station_{name}", text, ("station",), registry=self.registry)
            for name, text in _COUNTERS.items()
        }
        self._state = Gauge(
            "genrestream_station_state",
            "1 for the state that the station is in",
            ("station", "state"),
            registry=self.registry,
        )
        self._failures = Counter(
            "genrestream_station_failures",
            "Connections that failed or ended, by the reason",
            ("station", "reason"),
            registry=self.registry,
        )
        self._counted: dict[str, dict[str, float]] = {}

    def observe(self, receiver: Receiver, now: float) -> None:
        """Take over what a receiver has counted.

        Parameters
        ----------
        receiver
            Of a station.
        now
            Seconds since 1970.
        """
        station, figures = receiver.station.id, receiver.figures
        receiving = receiver.state.state is State.RECEIVING
        self._set(station, "up", float(receiving))
        self._set(station, "level_dbfs", figures.level_dbfs)
        self._set(station, "silent", float(receiver.silence.silent))
        self._set(station, "lag_seconds", receiver.lag_seconds() or 0.0)
        if receiving:
            self._set(station, "last_audio_timestamp_seconds", now)
        decoder = receiver.source.decoder if receiver.source else None
        pid = decoder.process.pid if decoder else 0
        self._set(station, "decoder_cpu_seconds", cpu_seconds(pid) if pid else 0.0)
        self._set(station, "decoder_resident_bytes", float(resident_bytes(pid)) if pid else 0.0)
        for state in State:
            self._state.labels(station, state.value).set(state is receiver.state.state)
        received = receiver.source.found.received if receiver.source else 0
        self._count(station, "received_bytes", figures.received_bytes + received)
        for name in ("audio_seconds", "missing_seconds", "silent_seconds"):
            self._count(station, name, getattr(figures, name))
        for code, count in figures.failures.items():
            increase = self._increase(station, code, count)
            self._failures.labels(station, code).inc(increase)

    def _set(self, station: str, name: str, value: float) -> None:
        self._gauges[name].labels(station).set(value)

    def _count(self, station: str, name: str, total: float) -> None:
        self._counters[name].labels(station).inc(self._increase(station, name, total))

    def _increase(self, station: str, name: str, total: float) -> float:
        counted = self._counted.setdefault(station, {})
        increase = max(0.0, total - counted.get(name, 0.0))
        counted[name] = total
        return increase

    def remove(self, station: str) -> None:
        """Forget a station that is another receiver's, or nobody's."""
        self._counted.pop(station, None)
        for metric in (*self._gauges.values(), *self._counters.values()):
            _remove(metric, station)
        for state in State:
            _remove(self._state, station, state.value)
        for code in REASON_CODES:
            _remove(self._failures, station, code)


def _remove(metric: Any, *labels: str) -> None:
    try:
        metric.remove(*labels)
    except KeyError:  # it had none
        return
