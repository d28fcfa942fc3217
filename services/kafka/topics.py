"""The topics: their names, and how they are created."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import (
    KafkaError,
    NodeNotReadyError,
    TopicAlreadyExistsError,
    TopicAuthorizationFailedError,
    for_code,
)

from services.kafka.authorized import Allowed, Right, topics_allowed
from services.kafka.errors import BrokerError, RightsError
from services.kafka.groups import changelogs
from services.kafka.security import client_options, explain_refusal
from services.settings import MAX_MESSAGE_BYTES, Settings

_REGISTRATION_SECONDS: Final = 10.0
_REGISTRATION_POLL_SECONDS: Final = 0.1


@dataclass(frozen=True, slots=True)
class Topics:
    """Names of the topics, under one prefix."""

    prefix: str = ""

    @property
    def chunks(self) -> str:
        """Audio that comes in."""
        return f"{self.prefix}audio.chunks"

    @property
    def features(self) -> str:
        """Feature vectors, from extractor to classifier."""
        return f"{self.prefix}audio.features"

    @property
    def predictions(self) -> str:
        """Genre predictions that go out."""
        return f"{self.prefix}genre.predictions"

    @property
    def dead_letters(self) -> str:
        """What could not be processed."""
        return f"{self.prefix}audio.dead-letter"

    @property
    def segments(self) -> str:
        """Stretches of one label."""
        return f"{self.prefix}genre.segments"

    @property
    def tags(self) -> str:
        """Tags, where classifiers serve heads for them."""
        return f"{self.prefix}genre.tags"

    @property
    def stations(self) -> str:
        """What receivers listen to; compacted."""
        return f"{self.prefix}stations"

    @property
    def station_events(self) -> str:
        """What happens to stations."""
        return f"{self.prefix}station.events"

    @property
    def replays(self) -> str:
        """Notes of which dead letters were sent back; made when the first one is."""
        return f"{self.dead_letters}.replays"

    @property
    def notified(self) -> str:
        """What the notifier decided and delivered; made when the first one starts."""
        return f"{self.prefix}notifier.sent"

    @property
    def all(self) -> tuple[str, ...]:
        """Every topic, in the order of the flow."""
        return (
            self.chunks,
            self.features,
            self.predictions,
            self.segments,
            self.tags,
            self.stations,
            self.station_events,
            self.dead_letters,
        )

    @property
    def compacted(self) -> frozenset[str]:
        """Topics that keep the latest message of each key."""
        return frozenset((self.stations, self.replays, self.notified))


@asynccontextmanager
async def admin_client(settings: Settings) -> AsyncIterator[AIOKafkaAdminClient]:
    """Connect an admin client.

    Raises
    ------
    BrokerError
        No broker answers, or it refuses us.
    """
    client = AIOKafkaAdminClient(**client_options(settings), request_timeout_ms=10_000)
    try:
        await client.start()
        await _wait_for_brokers(client)
    except (KafkaError, OSError) as error:
        await client.close()
        raise await explain_refusal(settings) from error
    try:
        yield client
    finally:
        await client.close()


async def _wait_for_brokers(client: AIOKafkaAdminClient) -> None:
    """Wait until a broker that came up just now, or came back, counts itself in."""
    connection = client._client
    deadline = time.monotonic() + _REGISTRATION_SECONDS
    while not connection.cluster.brokers():
        if time.monotonic() > deadline:
            raise NodeNotReadyError("the cluster names no broker that is up")
        await asyncio.sleep(_REGISTRATION_POLL_SECONDS)
        await connection.force_metadata_update()


async def create_topics(settings: Settings) -> dict[str, int]:
    """Create the topics that do not exist yet, and the changelogs of the services.

    Returns
    -------
    The number of partitions of each topic.

    Raises
    ------
    BrokerError
        No broker answers, it refuses, or existing topics do not have equally many partitions.
    """
    topics = Topics(settings.topic_prefix)
    async with admin_client(settings) as admin:
        existing = set(await admin.list_topics())
        missing = [name for name in topics.all if name not in existing]
        if missing:
            await _create(admin, missing, settings)
        partitions = await _known_partitions(admin, topics.all)
    check_equal_partitions(topics, partitions)
    for name in changelogs(settings):
        await create_changelog(settings, name, partitions[topics.chunks])
    return partitions


async def create_changelog(settings: Settings, name: str, partitions: int) -> None:
    """Create a changelog topic, if it does not exist, before any worker joins the group.

    A worker whose view of the topics is older than it would leave it out of the assignment.

    Raises
    ------
    BrokerError
        No broker answers, it refuses, or the topic has another number of partitions.
    """
    async with admin_client(settings) as admin:
        if name not in await admin.list_topics():
            topic = NewTopic(
                name,
                partitions,
                settings.replication_factor,
                topic_configs={**_configs(name, settings), "cleanup.policy": "compact"},
            )
            _check_created(settings, await admin.create_topics([topic]))
        count = (await _known_partitions(admin, [name]))[name]
    if count != partitions:
        raise BrokerError(
            f"{name} has {count} partitions, the topic that it belongs to {partitions}: "
            "give them equally many"
        )


async def _known_partitions(admin: AIOKafkaAdminClient, names: Sequence[str]) -> dict[str, int]:
    """Wait until the broker knows topics that were created; return their numbers of partitions.

    Another broker than the one that created a topic, or that one a moment later, may not yet.
    """
    deadline = time.monotonic() + _REGISTRATION_SECONDS
    while not all((counts := await count_partitions(admin, names)).values()):
        if time.monotonic() > deadline:
            unknown = ", ".join(name for name, count in counts.items() if not count)
            raise BrokerError(f"{unknown}: created, and the broker does not tell of it")
        await asyncio.sleep(_REGISTRATION_POLL_SECONDS)
    return counts


async def create_notes(settings: Settings, name: str) -> None:
    """Create a compacted topic, if it does not exist: one partition, so that it has one order.

    Raises
    ------
    BrokerError
        No broker answers, or it refuses.
    """
    async with admin_client(settings) as admin:
        if name not in await admin.list_topics():
            configs = {"cleanup.policy": "compact"}
            topic = NewTopic(name, 1, settings.replication_factor, topic_configs=configs)
            _check_created(settings, await admin.create_topics([topic]))


def check_equal_partitions(topics: Topics, partitions: Mapping[str, int]) -> None:
    """Refuse chunks and features that do not have equally many partitions.

    Raises
    ------
    BrokerError
        They do not.
    """
    chunks, features = partitions[topics.chunks], partitions[topics.features]
    if chunks != features:
        raise BrokerError(
            f"{topics.chunks} has {chunks} partitions, {topics.features} {features}: "
            "give them equally many"
        )


async def _create(admin: AIOKafkaAdminClient, names: Iterable[str], settings: Settings) -> None:
    response = await admin.create_topics(
        [
            NewTopic(
                name,
                num_partitions=settings.partitions,
                replication_factor=settings.replication_factor,
                topic_configs=_configs(name, settings),
            )
            for name in names
        ]
    )
    _check_created(settings, response)


def _check_created(settings: Settings, response: Any) -> None:
    for name, code, *detail in response.topic_errors:
        error = for_code(code)
        if error is TopicAuthorizationFailedError:
            raise refusal(settings, [f"create topic {name}"])
        if code and error is not TopicAlreadyExistsError:
            reason = (detail[0] if detail else None) or error.__name__
            raise BrokerError(f"topic {name} cannot be created: {reason}")


def _configs(topic: str, settings: Settings) -> dict[str, str]:
    configs = {"max.message.bytes": str(_max_bytes(topic, settings))}
    if topic in Topics(settings.topic_prefix).compacted:
        configs["cleanup.policy"] = "compact"
    return configs


def _max_bytes(topic: str, settings: Settings) -> int:
    """Leave room for the headers that a dead letter has beside the original message."""
    limit = MAX_MESSAGE_BYTES + 64 * 1024
    return 2 * limit if topic == Topics(settings.topic_prefix).dead_letters else limit


async def count_partitions(admin: AIOKafkaAdminClient, names: Iterable[str]) -> dict[str, int]:
    """Return the number of partitions of each topic, 0 for one that does not exist."""
    existing = set(await admin.list_topics())
    names = list(names)
    described = await admin.describe_topics([name for name in names if name in existing])
    counts = {topic["topic"]: len(topic["partitions"]) for topic in described}
    return {name: counts.get(name, 0) for name in names}


async def require_topics(
    settings: Settings, names: Iterable[str], *rights: Right
) -> dict[str, int]:
    """Check that topics exist, and that we have these rights to them.

    Returns
    -------
    The number of partitions of each.

    Raises
    ------
    BrokerError
        One does not, or we have not, or no broker answers.
    """
    needed = dict.fromkeys(names, rights or ("describe",))
    async with admin_client(settings) as admin:
        allowed = await topics_allowed(admin, needed)
    if lacks := lacking("topic", needed, allowed):
        raise refusal(settings, lacks)
    check_exist(settings, allowed)
    return {name: found.partitions for name, found in allowed.items()}


def check_exist(settings: Settings, topics: Mapping[str, Allowed]) -> None:
    """Refuse topics that do not exist.

    Raises
    ------
    BrokerError
        With the name of the first one.
    """
    for name, found in topics.items():
        if not found.partitions:
            raise BrokerError(
                f"topic {name} does not exist at {settings.brokers}: run genrestream topics create"
            )


def lacking(
    kind: str, needed: Mapping[str, Iterable[Right]], allowed: Mapping[str, Allowed]
) -> list[str]:
    """Say which rights are missing, such as ``write topic audio.features``.

    Whether something can be created shows when it has to be.
    """
    return [
        f"{right} {kind} {name}"
        for name, rights in needed.items()
        for right in allowed[name].lacks(right for right in rights if right != "create")
    ]


def refusal(settings: Settings, lacks: Iterable[str]) -> RightsError:
    """Return the error that names the rights that are missing."""
    who = f"the user {settings.sasl_username}" if settings.uses_sasl else "this client"
    return RightsError(
        f"{who} may not {', nor '.join(lacks)} at {settings.brokers}: give it what the table in "
        "docs/security.md lists"
    )
