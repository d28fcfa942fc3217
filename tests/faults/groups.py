"""What the brokers know of the services' consumer groups."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from services.classifier.model import load_model
from services.kafka.clients import reading
from services.kafka.topics import Topics, admin_client
from services.settings import Settings

Offsets = dict[TopicPartition, int]


def group_names(settings: Settings) -> dict[str, str]:
    """Name the consumer group of each service."""
    model = load_model(settings.model_path).metadata.name
    prefix = f"{settings.topic_prefix}genrestream"
    return {"extractor": f"{prefix}-extractor", "classifier": f"{prefix}-classifier-{model}"}


def source_names(settings: Settings) -> dict[str, str]:
    """Name the topic that each service reads."""
    topics = Topics(settings.topic_prefix)
    return {"extractor": topics.chunks, "classifier": topics.features}


class Groups:
    """Reads the committed offsets of both services; made by `connected_groups`."""

    def __init__(self, settings: Settings, consumers: dict[str, Any]) -> None:
        self._settings = settings
        self._consumers = consumers

    async def committed(self, service: str) -> Offsets:
        """Return where a new owner of each partition would begin."""
        consumer = self._consumers[service]
        return {tp: await consumer.committed(tp) or 0 for tp in consumer.assignment()}

    async def uncommitted(self, service: str) -> dict[TopicPartition, range]:
        """Return the offsets of each partition that are not committed."""
        async with reading(self._settings, [source_names(self._settings)[service]]) as reader:
            held = await reader.offsets()
        committed = await self.committed(service)
        return {tp: range(max(committed[tp], span.start), span.stop) for tp, span in held.items()}

    async def waiting(self) -> int:
        """Count the messages of both input topics that are not committed."""
        services = source_names(self._settings)
        spans = [await self.uncommitted(service) for service in services]
        return sum(len(span) for service in spans for span in service.values())

    async def has_members(self, service: str, count: int) -> bool:
        """Tell whether so many workers share the partitions, and no rebalance is under way."""
        name = group_names(self._settings)[service]
        async with admin_client(self._settings) as admin:
            (response,) = await admin.describe_consumer_groups([name])
        (_, _, state, _, _, members) = response.groups[0][:6]
        return bool(state == "Stable" and len(members) == count)


@asynccontextmanager
async def connected_groups(settings: Settings) -> AsyncIterator[Groups]:
    """Connect to the broker for the duration of an ``async with`` block."""
    sources = source_names(settings)
    async with AsyncExitStack() as resources:
        consumers = {}
        for service, group in group_names(settings).items():
            consumer = consumers[service] = AIOKafkaConsumer(
                bootstrap_servers=settings.brokers, group_id=group, enable_auto_commit=False
            )
            await consumer.start()
            resources.push_async_callback(consumer.stop)
            partitions = range(settings.partitions)
            consumer.assign([TopicPartition(sources[service], n) for n in partitions])
        yield Groups(settings, consumers)
