"""Who may do what at a broker with an authorizer: one table, and the check that a service makes.

``deploy/secure/rights.txt`` and the table in ``docs/security.md`` are written from it
(`services.kafka.generate_rights`).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from services.kafka.authorized import Right, group_allowed, topics_allowed
from services.kafka.groups import (
    changelog,
    classifier_group,
    extractor_group,
    notifier_group,
    receiver_group,
    recorder_group,
)
from services.kafka.topics import Topics, admin_client, check_exist, lacking, refusal
from services.settings import Settings

Kind = Literal["topic", "group"]
#: Services that have a user each, and the operator, as whom ``topics create`` runs.
USERS: Final = (
    *("operator", "extractor", "classifier", "receiver", "gateway", "recorder", "notifier", "lag"),
)
#: What an operator adds users of, by names of their own.
ADDED: Final = ("producer", "reader")
#: Stands for the name of a user who is added.
NAME: Final = "NAME"


@dataclass(frozen=True, slots=True)
class Rights:
    """Topics to read, write, create and describe; groups to join, and to watch the offsets of.

    A name that ends in ``*`` is a prefix. Reading and writing include describing, joining includes
    watching.
    """

    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()
    create: tuple[str, ...] = ()
    describe: tuple[str, ...] = ()
    join: tuple[str, ...] = ()
    watch: tuple[str, ...] = ()

    def topics(self) -> dict[str, tuple[Right, ...]]:
        """Return the rights by topic."""
        found: dict[str, tuple[Right, ...]] = {}
        rights: tuple[Right, ...] = ("create", "read", "write", "describe")
        for right in rights:
            for name in getattr(self, right):
                found[name] = (*found.get(name, ()), right)
        return found

    def groups(self) -> dict[str, tuple[Right, ...]]:
        """Return the rights by group; to join one is Kafka's right to read it."""
        read: tuple[Right, ...] = ("read",)
        describe: tuple[Right, ...] = ("describe",)
        return dict.fromkeys(self.join, read) | dict.fromkeys(self.watch, describe)

    def all(self) -> Iterator[tuple[Kind, str, tuple[Right, ...]]]:
        """Yield kind, name and rights of each topic and group."""
        for name, rights in self.topics().items():
            yield "topic", name, rights
        for name, rights in self.groups().items():
            yield "group", name, rights


def rights_of(settings: Settings) -> dict[str, Rights]:
    """Return what each user may do, under the topic prefix of the settings.

    It is the least with which each does its whole work: ``tests/security/test_rights.py``. A
    classifier needs that to tags only where the settings name heads.
    """
    t, extracting = Topics(settings.topic_prefix), extractor_group(settings)
    states, any_model = changelog(extracting, "extractor"), f"{classifier_group(settings, '')}*"
    return {
        "operator": Rights(
            read=(t.predictions, t.segments, t.tags, t.stations, t.dead_letters, t.replays),
            write=(t.chunks, t.features, t.stations, t.replays),
            create=(*t.all, t.replays, states, any_model),
            describe=(t.station_events, states, any_model),
            watch=(extracting, any_model),
        ),
        "extractor": Rights(
            read=(t.chunks, states),
            write=(t.features, t.dead_letters, states),
            join=(extracting,),
        ),
        "classifier": Rights(
            read=(t.features, any_model),
            write=(t.predictions, t.segments, t.tags, t.dead_letters, any_model),
            create=(any_model,),
            describe=(t.chunks,),
            join=(any_model,),
        ),
        "receiver": Rights(
            read=(t.chunks, t.stations),
            write=(t.chunks, t.station_events),
            join=(receiver_group(settings),),
        ),
        "gateway": Rights(
            read=(t.features, t.predictions, t.segments, t.stations, t.station_events),
            write=(t.chunks, t.stations),
            watch=(recorder_group(settings),),
        ),
        "recorder": Rights(
            read=(t.predictions, t.segments, t.stations, t.station_events),
            write=(t.dead_letters,),
            join=(recorder_group(settings),),
        ),
        "notifier": Rights(
            read=(t.predictions, t.segments, t.stations, t.station_events, t.notified),
            write=(t.dead_letters, t.notified),
            create=(t.notified,),
            join=(notifier_group(settings),),
        ),
        "lag": Rights(describe=(t.chunks, t.features), watch=(extracting, any_model)),
        "producer": Rights(write=(t.chunks,)),
        "reader": Rights(read=(t.predictions, t.segments, t.tags), join=(f"{NAME}-*",)),
    }


async def require_rights(settings: Settings, user: str, model: str = "") -> dict[str, int]:
    """Check that a service has its topics, and every right that it needs.

    Parameters
    ----------
    settings
        The settings.
    user
        Which service, by the name of its user in the table.
    model
        Of a classifier, or of those whose lag is read.

    Returns
    -------
    The number of partitions of each topic, 0 of one that is made when it is needed.

    Raises
    ------
    BrokerError
        With all rights that are missing, or the topic that does not exist; or no broker answers.
    """
    needed = rights_of(settings)[user]
    group = classifier_group(settings, model)
    names = Topics(settings.topic_prefix)
    topics = {
        changelog(group, "classifier") if name.endswith("*") else name: rights
        for name, rights in needed.topics().items()
        if settings.heads or name != names.tags
    }
    groups = {
        group if name.endswith("*") else name: rights for name, rights in needed.groups().items()
    }
    async with admin_client(settings) as admin:
        allowed = await topics_allowed(admin, topics)
        lacks = lacking("topic", topics, allowed)
        if settings.security_protocol != "PLAINTEXT":
            found = {name: await group_allowed(admin, name) for name in groups}
            lacks += lacking("group", groups, found)
    if lacks:
        raise refusal(settings, lacks)
    check_exist(settings, {name: allowed[name] for name in topics if name in names.all})
    return {name: allowed[name].partitions for name in topics}
