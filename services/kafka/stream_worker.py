"""A worker: a processor, and the faust app that gives it partitions and takes them away."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from faust.types import TP

from services.kafka.faust_fixes import App
from services.observing.tracing import Tracer
from services.observing.worker_metrics import Metrics
from services.processing.processor import Processor
from services.processing.upkeep import Upkeep


@dataclass(eq=False)
class StreamWorker:
    """Runs a processor on a faust app.

    Parameters
    ----------
    app
        The app; its tasks and signals are bound here.
    processor
        What it runs.
    metrics
        What counts the work.
    tracer
        What carries trace context on.
    """

    app: App
    processor: Processor[Any, Any, Any]
    metrics: Metrics
    tracer: Tracer

    def __post_init__(self) -> None:
        app, processor = self.app, self.processor
        app.task(processor.consume)
        app.task(processor.save_regularly)
        app.task(Upkeep(processor).sweep)
        app.when_opened(processor.open)
        app.on_partitions_assigned.connect(self.on_assigned)
        app.on_partitions_revoked.connect(self.on_revoked)
        app.on_before_shutdown.connect(self.on_shutdown)

    @property
    def live_streams(self) -> int:
        """Number of open streams."""
        return self.processor.live_streams

    @property
    def in_hand_ms(self) -> int | None:
        """Timestamp of the oldest message in hand, in ms since 1970; ``None`` while idle."""
        return self.processor.in_hand_ms

    @property
    def positions(self) -> dict[int, int]:
        """Next offset to process, by partition that is ours."""
        return self.processor.positions

    @property
    def late_done(self) -> int:
        """Number of messages that take long and were processed."""
        return self.processor.late.done

    @property
    def is_assigned(self) -> bool:
        """Whether the group has given us our share, be it none, and its states are recovered."""
        return self.processor.is_assigned

    @property
    def failure(self) -> BaseException | None:
        """Why this worker ends; ``None`` while it does not."""
        return self.app.failure

    async def on_assigned(self, *arguments: Any, **_: Any) -> None:
        """Take it that a share of nothing needs no states."""
        assigned: Iterable[TP] = arguments[-1]
        if not any(tp.topic == self.app.source for tp in assigned):
            self.app.opened({}, {})

    async def on_revoked(self, *_: Any, **__: Any) -> None:
        """Finish what is in hand and forget the rest."""
        try:
            await self.processor.lose_all()
        finally:
            self.app.source_log.close()

    async def on_shutdown(self, *_: Any, **__: Any) -> None:
        """Finish what is in hand; the rest stays in the log."""
        await self.processor.stop()
        self.tracer.close()
