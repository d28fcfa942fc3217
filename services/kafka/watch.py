"""A worker's own observer: a thread that asks the broker for lag and serves metrics and probes.

It shares nothing with faust's event loop but what it reads, so that it answers even when that
stands still.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Final, Protocol

from prometheus_client import GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from schemas.errors import GenrestreamError
from services.kafka.group_lag import LagReader, PartitionLag
from services.observing.http_port import Answer, serve
from services.observing.liveness import Health
from services.observing.worker_metrics import Metrics
from services.settings import Settings

logger = logging.getLogger(__name__)

_LOOK_SECONDS: Final = 5.0
#: A broker that has not answered for so long is gone.
SILENCE_SECONDS: Final = 15.0


class Watched(Protocol):
    """What a worker lets others see."""

    @property
    def positions(self) -> Mapping[int, int]:
        """Next offset to process, by partition that is ours."""

    @property
    def late_done(self) -> int:
        """Number of messages that take long and were processed."""

    @property
    def is_assigned(self) -> bool:
        """Whether the group has given us our share, be it none."""

    @property
    def failure(self) -> BaseException | None:
        """Why it ends; ``None`` while it does not."""

    @property
    def live_streams(self) -> int:
        """Number of open streams."""

    @property
    def in_hand_ms(self) -> int | None:
        """Timestamp of the oldest message in hand, in ms since 1970; ``None`` while idle."""


@dataclass(frozen=True)
class Watch:
    """Looks after a worker.

    Parameters
    ----------
    worker
        Whom to look at.
    metrics
        What it counts.
    reader
        Asks for the offsets of its group.
    is_warm
        Tells whether all that is slow at first was done once.
    health
        Judges its progress.
    """

    worker: Watched
    metrics: Metrics
    reader: LagReader
    is_warm: Callable[[], bool]
    health: Health

    def start(self, settings: Settings) -> None:
        """Serve from now on, until the process ends.

        Raises
        ------
        SettingsError
            The port cannot be bound.
        """
        collector = WorkerCollector(self)
        registry = self.metrics.registry
        registry.register(collector)
        for standard in (ProcessCollector, PlatformCollector, GCCollector):
            standard(registry=registry)
        serve(settings, registry, {"/healthz": self.alive, "/readyz": self.ready})
        look = threading.Thread(target=asyncio.run, args=[self._look(collector)], daemon=True)
        look.start()

    async def _look(self, collector: "WorkerCollector") -> None:
        while True:
            try:
                lags = await self.reader.read()
            except GenrestreamError as error:
                collector.lags = None
                logger.warning("%s", error)
            else:
                collector.lags = lags
                self.observe(time.monotonic(), lags)
            await asyncio.sleep(_LOOK_SECONDS)

    def observe(self, now: float, lags: Sequence[PartitionLag]) -> None:
        """Compare what the broker says with where the worker is."""
        here = self.worker.positions if self.worker.is_assigned else None
        ends = {lag.partition: lag.end for lag in lags}
        self.health.observe(now, here, ends, self.worker.late_done)

    def alive(self) -> Answer:
        """Tell whether the worker gets on."""
        if self.worker.failure is not None:
            return Answer(False, f"this worker ends: {self.worker.failure}"[:500])
        problems = self.health.problems(time.monotonic())
        return Answer(not problems, "; ".join(problems) or "alive")

    def ready(self) -> Answer:
        """Tell whether the worker has its partitions and is warm, and gets on."""
        if not self.worker.is_assigned:
            return Answer(False, "no partitions are assigned yet, or their states are not read")
        if not self.is_warm():
            return Answer(False, "the kernels are being compiled")
        alive = self.alive()
        return alive if not alive.ok else Answer(True, "ready")


@dataclass(eq=False)  # a registry keeps it by its identity
class WorkerCollector:
    """Reads gauges off a worker when they are asked for.

    Attributes
    ----------
    lags
        What the broker said last; ``None`` while it does not answer.
    """

    watch: Watch
    lags: Sequence[PartitionLag] | None = None

    def collect(self) -> Iterable[Metric]:
        """Yield the gauges."""
        watch, worker = self.watch, self.watch.worker
        yield _gauge("genrestream_live_streams", "Open streams", worker.live_streams)
        yield _gauge(
            "genrestream_assigned_partitions", "Partitions assigned", len(worker.positions)
        )
        yield _gauge(
            "genrestream_lag_to_live_seconds",
            "From the timestamp of the oldest message in hand until now, 0 while idle",
            lag_to_live(worker.in_hand_ms, time.time()),
        )
        yield _gauge("genrestream_alive", "1 while /healthz answers ok", watch.alive().ok)
        yield _gauge("genrestream_ready", "1 while /readyz answers ok", watch.ready().ok)
        yield build_info(watch.metrics.service)
        lags = self.lags or ()
        yield group_lag([(watch.reader, lags)])
        yield self._unprocessed(lags)

    def _unprocessed(self, lags: Sequence[PartitionLag]) -> Metric:
        family = GaugeMetricFamily(
            "genrestream_consumer_lag_messages",
            "Messages of the partitions of this worker that it has not processed",
            labels=["group", "topic", "partition"],
        )
        ends = {lag.partition: lag.end for lag in lags}
        for partition, position in self.watch.worker.positions.items():
            if partition in ends:
                labels = [self.watch.reader.group, self.watch.reader.topic, str(partition)]
                family.add_metric(labels, max(0, ends[partition] - position))
        return family


def lag_to_live(in_hand_ms: int | None, now: float) -> float:
    """Return how long ago the message in hand was sent, in seconds; 0 without one."""
    return 0.0 if in_hand_ms is None else max(0.0, now - in_hand_ms / 1000)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)


def build_info(service: str) -> Metric:
    """Return the metric that tells which release runs."""
    family = GaugeMetricFamily(
        "genrestream_build_info", "1, labelled with the release", labels=["service", "version"]
    )
    family.add_metric([service, version("genrestream")], 1)
    return family


def group_lag(groups: Iterable[tuple[LagReader, Sequence[PartitionLag]]]) -> Metric:
    """Return the lag of whole groups, be their members running or not."""
    family = GaugeMetricFamily(
        "genrestream_consumer_group_lag_messages",
        "Messages that the group has not acknowledged, those of open windows among them",
        labels=["group", "topic", "partition"],
    )
    for reader, lags in groups:
        for lag in lags:
            family.add_metric([reader.group, reader.topic, str(lag.partition)], lag.messages)
    return family
