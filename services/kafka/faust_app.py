"""faust apps as both services need them: settings that were measured, and the agent wired up."""

from typing import Any

from services.kafka.faust_fixes import App
from services.kafka.groups import state_table
from services.kafka.latest_table import PromptTables
from services.kafka.security import faust_credentials
from services.kafka.stream_worker import StreamWorker
from services.observing.tracing import create_tracer
from services.observing.worker_metrics import Metrics
from services.processing.container import memory_limit
from services.processing.core import Core, Outputs
from services.processing.processor import Processor
from services.processing.saved_states import SavedStates
from services.settings import MAX_MESSAGE_BYTES, Settings

#: Changes of a changelog that wait in memory while a table is recovered.
_STREAM_BUFFER = 32
#: A topic that was made since is known within that time.
_METADATA_MS = 30_000
#: Records that a partition gives at once: of a batch of thousands the others get their turn.
_MAX_POLL = 500
#: Of the container's memory: the rest holds code (250 MB), messages on their way, and a long one.
_STREAM_SHARE = 0.3
_LARGEST_REQUEST = 128 * 1024 * 1024


def create_app(
    settings: Settings,
    core: Core[Any, Any, Any],
    app_id: str,
    source: str,
    outputs: Outputs,
    partitions: int,
    metrics: Metrics,
) -> StreamWorker:
    """Create the worker of a service.

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
    progress = SavedStates({}, core).progress
    table = state_table(core.service)
    app = App(app_id, source, table, partitions, progress, _configuration(settings))
    tracer = create_tracer(core.service, app_id)
    processor = Processor(app.source_log, core, outputs, metrics, tracer, _stream_memory(settings))
    return StreamWorker(app, processor, metrics, tracer)


def _stream_memory(settings: Settings) -> int:
    """Return how many bytes the open streams may take."""
    if settings.stream_memory_mb is not None:
        return settings.stream_memory_mb << 20
    return round(_STREAM_SHARE * memory_limit())


def _configuration(settings: Settings) -> dict[str, Any]:
    session = settings.session_timeout_seconds
    return {
        "broker": [f"kafka://{server}" for server in settings.brokers.split(",")],
        "broker_credentials": faust_credentials(settings),
        "store": "memory://",
        "TableManager": PromptTables,
        "autodiscover": False,
        "web_enabled": False,
        "topic_disable_leader": True,
        "topic_allow_declare": False,  # a worker makes its changelog itself, if it is missing
        "topic_replication_factor": settings.replication_factor,
        "table_standby_replicas": 0,
        "consumer_auto_offset_reset": "earliest",
        "consumer_max_fetch_size": MAX_MESSAGE_BYTES + 64 * 1024,
        "producer_max_request_size": _LARGEST_REQUEST,  # the broker's limits decide
        "producer_acks": -1,
        "broker_max_poll_records": _MAX_POLL,
        "stream_buffer_maxsize": _STREAM_BUFFER,
        "stream_wait_empty": False,  # checkpoints acknowledge
        "consumer_metadata_max_age_ms": _METADATA_MS,
        "broker_session_timeout": session,
        "broker_heartbeat_interval": session / 5,
        "broker_request_timeout": max(40.0, session + 5),
        "worker_redirect_stdouts": False,
    }
