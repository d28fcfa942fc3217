"""``genrestream lag``: how far the groups of both services are behind, as the broker sees it."""

import asyncio
import json
import logging
import logging.config
from collections.abc import Iterable, Sequence
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric

from schemas.errors import GenrestreamError, SettingsError
from schemas.onnx_files import read_metadata
from services.kafka.group_lag import LagReader, PartitionLag, read_once
from services.kafka.groups import classifier_group, extractor_group
from services.kafka.rights import require_rights
from services.kafka.topics import Topics
from services.kafka.watch import build_info, group_lag
from services.observing.http_port import Answer, serve
from services.observing.logs import log_configuration
from services.settings import Settings

logger = logging.getLogger(__name__)

_LOOK_SECONDS: Final = 5.0


async def print_lag(settings: Settings, json_lines: bool) -> None:
    """Print a line a group and partition on stdout.

    Raises
    ------
    GenrestreamError
        No broker answers, or topics or model are missing.
    """
    readers = await _readers(settings)
    groups = list(zip(readers, await read_once(readers), strict=True))
    if json_lines:
        for reader, lags in groups:
            for lag in lags:
                print(json.dumps(_row(reader, lag)))  # noqa: T201 - the command's output
        return
    rows = [list(_row(reader, lag).values()) for reader, lags in groups for lag in lags]
    header: list[str | int] = ["group", "topic", "partition", "committed", "end", "lag"]
    for row in [header, *rows]:
        print("{:<40} {:<20} {:>9} {:>10} {:>10} {:>8}".format(*row))  # noqa: T201


def _row(reader: LagReader, lag: PartitionLag) -> dict[str, str | int]:
    return {
        "group": reader.group,
        "topic": reader.topic,
        "partition": lag.partition,
        "committed": lag.committed,
        "end": lag.end,
        "lag": lag.messages,
    }


async def _readers(settings: Settings) -> list[LagReader]:
    topics = Topics(settings.topic_prefix)
    model = read_metadata(settings.model_path).name
    groups = {
        extractor_group(settings): topics.chunks,
        classifier_group(settings, model): topics.features,
    }
    partitions = await require_rights(settings, "lag", model)
    return [LagReader(settings, group, topic, partitions[topic]) for group, topic in groups.items()]


async def serve_lag(settings: Settings) -> None:
    """Serve the lag as a metric until cancelled, for when no worker runs that would tell it.

    Raises
    ------
    GenrestreamError
        No broker answers at first, or topics or model are missing, or the port is not set or free.
    """
    if not settings.http_port:
        raise SettingsError("GENRESTREAM_HTTP_PORT is not set: choose a port to serve metrics on")
    logging.config.dictConfig(log_configuration(settings.log_level, settings.log_format))
    readers = await _readers(settings)
    exporter = LagExporter()
    registry = CollectorRegistry()
    registry.register(exporter)
    serve(settings, registry, {"/healthz": exporter.alive, "/readyz": exporter.alive})
    while True:
        try:
            lags = await asyncio.gather(*(reader.read() for reader in readers))
            exporter.groups = list(zip(readers, lags, strict=True))
        except GenrestreamError as error:
            exporter.groups = []
            logger.warning("%s", error)
        await asyncio.sleep(_LOOK_SECONDS)


class LagExporter:
    """Shows what the broker said last, and nothing while it does not answer."""

    def __init__(self) -> None:
        self.groups: Sequence[tuple[LagReader, Sequence[PartitionLag]]] = ()

    def collect(self) -> Iterable[Metric]:
        """Yield the metrics."""
        yield build_info("lag")
        yield group_lag(self.groups)

    def alive(self) -> Answer:
        """Tell whether the broker answers."""
        answers = bool(self.groups)
        return Answer(answers, "ready" if answers else "no broker answers")
