"""faust apps as both services need them: settings that were measured, and the agent wired up."""

import os
import tempfile
from pathlib import Path
from typing import Any, cast

from mode.utils.queues import FlowControlEvent

from services.kafka.faust_fixes import App
from services.kafka.latest_table import LatestTable, PromptTables
from services.kafka.security import faust_credentials
from services.kafka.stream_worker import StreamWorker
from services.observing.tracing import create_tracer
from services.observing.worker_metrics import Metrics
from services.processing.core import Core, Outputs
from services.settings import MAX_MESSAGE_BYTES, Settings

#: Events that wait in memory before the agent; faust's 4096 times 132 kB of audio were 540 MB.
_STREAM_BUFFER = 32
_COMMIT_SECONDS = 1.0
_LARGEST_REQUEST = 128 * 1024 * 1024


class SingleResume(FlowControlEvent):
    """Flow control that clears the queues when flow begins, not when it goes on.

    Recovering a table, faust 0.15.3 resumes the flow, fetches, seeks to the committed offsets and
    resumes once more, which clears messages that were fetched in between. Without a committed
    offset the seek does not bring them back: they were lost until the next restart.
    """

    def resume(self) -> None:
        """Let messages flow, unless they do already."""
        if not self.is_active():
            super().resume()


def create_app(
    settings: Settings,
    core: Core[Any, Any, Any],
    app_id: str,
    source: str,
    outputs: Outputs,
    partitions: int,
    metrics: Metrics,
) -> App:
    """Create the faust app of a service.

    Parameters
    ----------
    settings
        The settings.
    core
        What the service does with a message.
    app_id
        Consumer group, and prefix of the changelog topic.
    source
        Name of the topic to read; it exists.
    outputs
        Names of the topics to write to.
    partitions
        Number of partitions of `source`.
    metrics
        What counts its work.
    """
    app = App(app_id, **_configuration(settings))
    app.flow_control = SingleResume()
    table = app.Table(
        f"{core.service}-state",
        partitions=partitions,
        key_type=str,
        value_type=bytes,
        extra_topic_configs={"cleanup.policy": "compact"},
    )
    tracer = create_tracer(core.service, app_id)
    worker = app.worker = StreamWorker(app, core, source, table, outputs, metrics, tracer)
    cast("LatestTable", table).progress = worker.saved.progress
    app.committable = worker.committable
    app.has_room = worker.has_room
    topic = app.topic(
        source,
        key_type=bytes,
        value_type=bytes,
        key_serializer="raw",
        value_serializer="raw",
        allow_empty=True,
    )

    app.agent(topic, name=core.service, concurrency=1)(worker.consume)
    app.task(worker.deliver)
    app.task(worker.save_regularly)
    app.task(worker.sweep)
    app.on_partitions_revoked.connect(worker.on_revoked)
    app.on_partitions_assigned.connect(worker.on_assigned)
    app.on_before_shutdown.connect(worker.on_shutdown)
    app.on_before_shutdown.connect(lambda *_, **__: tracer.close(), weak=False)
    return app


def _configuration(settings: Settings) -> dict[str, Any]:
    session = settings.session_timeout_seconds
    return {
        "broker": [f"kafka://{server}" for server in settings.brokers.split(",")],
        "broker_credentials": faust_credentials(settings),
        "store": "memory://",
        "Table": LatestTable,
        "TableManager": PromptTables,
        "datadir": Path(tempfile.gettempdir()) / f"genrestream-faust-{os.getuid()}",
        "autodiscover": False,
        "web_enabled": False,
        "topic_disable_leader": True,
        "topic_allow_declare": True,
        "topic_replication_factor": settings.replication_factor,
        "table_standby_replicas": 0,
        "consumer_auto_offset_reset": "earliest",
        "consumer_max_fetch_size": MAX_MESSAGE_BYTES + 64 * 1024,
        "producer_max_request_size": _LARGEST_REQUEST,  # the broker's limits decide
        "producer_acks": -1,
        "stream_buffer_maxsize": _STREAM_BUFFER,
        "stream_wait_empty": False,  # unfinished windows stay unacknowledged on purpose
        "broker_commit_interval": _COMMIT_SECONDS,
        "broker_session_timeout": session,
        "broker_heartbeat_interval": session / 5,
        "broker_request_timeout": max(40.0, session + 5),
        "worker_redirect_stdouts": False,
    }
