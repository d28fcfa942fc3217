"""Least rights on Apache Kafka: every service does its whole work with its user, and no user more.

The broker has the settings of ``compose.secure.yaml``, its users and rights come from
``deploy/secure``, and its authorizer writes down what it is asked.
"""

import asyncio
import json
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
import soundfile
from aiokafka import AIOKafkaProducer
from aiokafka.errors import TopicAuthorizationFailedError

from features import feature_set
from features.formats.ffmpeg import ffmpeg_path
from schemas import Place, encode_event
from schemas.examples import EXAMPLE_VECTOR
from services.classifier.model import load_model
from services.kafka.authorized import Right, group_allowed, topics_allowed
from services.kafka.embedded_broker import free_port
from services.kafka.generate_rights import LIST, PAGE, listed, page
from services.kafka.groups import classifier_group
from services.kafka.rights import ADDED, NAME, USERS, rights_of
from services.kafka.security import client_options
from services.kafka.topics import Topics, admin_client
from services.settings import load_settings, model_path
from terminal.processes import die_with_parent
from tests.audio import music
from tests.broker.harness import encoded
from tests.broker.shell import genrestream, wait_until
from tests.faults.kafka import KafkaUnavailable
from tests.gateway.serving import wait_until_ready
from tests.notifier.webhook import webhook
from tests.security.compose_kafka import PASSWORD, ComposeKafka, Use
from tests.security.system import RULES, SERVICES, TOKEN, Station, System

pytestmark = [pytest.mark.broker, pytest.mark.kafka, pytest.mark.timeout(600)]

TOPICS: Final = Topics()
OWN_PASSWORD: Final = "a-password-of-the-extractor"  # noqa: S105 - of a broker that lives for a test
STATION: Final = 'stations:\n  - {{id: radio, name: Radio, url: "{url}"}}\n'
#: What is taken from running services: right, kind and name.
LOST: Final = {
    "extractor": ("write", "topic", TOPICS.features),
    "classifier": ("read", "group", "genrestream-classifier-*"),
    "recorder": ("read", "topic", TOPICS.predictions),
}
HEARD_SECONDS: Final = 60.0
JUNK: Final = bytes(range(256)) * 8


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComposeKafka]:
    variables = {
        "KAFKA_SASL_PASSWORD": PASSWORD,
        "KAFKA_PASSWORD_EXTRACTOR": OWN_PASSWORD,
        "GENRESTREAM_PARTITIONS": "2",
    }
    try:
        broker = ComposeKafka(tmp_path_factory.mktemp("compose-kafka"), variables)
        broker.start()
    except KafkaUnavailable as reason:
        pytest.skip(str(reason))
    broker.run_tool(
        *("kafka-acls.sh", "--add", "--allow-principal", "User:recorder"),
        *("--operation", "Write", "--topic", TOPICS.chunks),
    )
    for arguments in ((), ("producer", "studio"), ("reader", "screen")):
        done = broker.give_rights(*arguments, NEW_PASSWORD=PASSWORD)
        assert done.returncode == 0, done.stderr
        assert PASSWORD not in done.stdout + done.stderr
    created = genrestream("topics", "create", environment=broker.service("topics"))
    assert created.returncode == 0, created.stderr
    yield broker
    broker.stop()


@pytest.fixture(scope="module")
def system(kafka: ComposeKafka, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """Run everything, and let it do its work."""
    with webhook() as hook:
        system = System(kafka, tmp_path_factory.mktemp("system"), hook)
        with system.running() as processes:
            wait_until_ready(system.gateway)
            system.processes = processes
            yield system
            for name in processes.keys() - LOST:
                assert processes[name].poll() is None, system.logs[name].read_text()[-2000:]


def command(kafka: ComposeKafka, user: str, *arguments: str) -> str:
    """Run a command as a user, who may do it."""
    done = genrestream(*arguments, environment=kafka.client(user), seconds=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_audio_of_a_producer_becomes_labels_for_a_reader(system: System) -> None:
    song = system.folder / "song.wav"
    soundfile.write(song, music(7.0, 22_050), 22_050)
    command(system.kafka, "studio", "produce", str(song))
    for user in ("screen", "operator"):
        assert heard(system, "song", lambda last: bool(last["final"]), user=user)
        assert heard(system, "song", lambda _: True, "--segments", user=user)
        assert heard(system, "song", lambda last: bool(last["final"]), "--tags", user=user)


def heard(
    system: System, stream_id: str, is_last: Callable[[Any], bool], *more: str, user: str = "screen"
) -> bool:
    """Listen as a reader until something is heard."""
    arguments = ["listen", "--json", "--from-beginning", "--stream-id", stream_id, *more]
    with subprocess.Popen(
        [sys.executable, "-m", "services.cli", *arguments],
        env={**os.environ, **system.kafka.client(user)},
        stdout=subprocess.PIPE,
        preexec_fn=die_with_parent,
    ) as listening:
        assert listening.stdout
        deadline = threading.Timer(HEARD_SECONDS, listening.kill)
        deadline.start()
        found = any(is_last(json.loads(line)) for line in listening.stdout)
        deadline.cancel()
        listening.kill()
    return found


@pytest.mark.skipif(ffmpeg_path() is None, reason="there is no ffmpeg")
def test_a_station_is_received_recorded_and_told_of(system: System) -> None:
    stations = system.folder / "stations.yaml"
    stations.write_text(STATION.format(url=Station().server.url))
    command(system.kafka, "operator", "stations", "apply", str(stations))
    wait_until(lambda: bool(system.hook.got), 60)
    assert system.hook.got[0]["station"] == "radio"
    assert heard(system, "radio", lambda _: True)
    wait_until(lambda: rows(system.database, "station_events") > 0, 60)
    assert "radio" in command(system.kafka, "operator", "stations", "list")
    command(system.kafka, "operator", "stations", "remove", "radio")


def rows(path: Path, table: str) -> int:
    with closing(sqlite3.connect(path, timeout=30)) as connection:
        return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])  # noqa: S608


def test_the_page_takes_audio_and_stations(system: System) -> None:
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    sound = (system.folder / "upload.wav").as_posix()
    soundfile.write(sound, music(7.0, 22_050), 22_050)
    headers = {**bearer, "Content-Type": "audio/wav"}
    sent = system.gateway("POST", "/api/streams/upload", Path(sound).read_bytes(), headers)
    assert sent.status < 300, sent.body
    assert heard(system, "upload", lambda last: bool(last["final"]))
    station = json.dumps({"name": "By page", "url": "https://radio.example/live"}).encode()
    assert system.gateway("PUT", "/api/stations/by-page", station, bearer).status == 200
    wait_until(
        lambda: system.gateway("GET", "/api/stations/by-page", None, bearer).status == 200, 30
    )
    assert system.gateway("DELETE", "/api/stations/by-page", None, bearer).status == 204


def test_an_operator_sends_dead_letters_back(system: System) -> None:
    asyncio.run(send(system.kafka, "studio", TOPICS.chunks, JUNK))
    asyncio.run(send(system.kafka, "operator", TOPICS.features, forged()))
    wait_until(lambda: len(letters(system)) == 2, 60)
    command(system.kafka, "operator", "dead-letters", "replay", "--all", "--yes")
    wait_until(lambda: len(letters(system)) == 4, 60)
    assert sum(bool(letter["repeats"]) for letter in letters(system)) == 2
    assert any(f"{TOPICS.chunks}[0]@1000000" in letter["message"] for letter in letters(system))


def forged() -> bytes:
    """Return a vector of a chunk that nobody has sent."""
    name = load_model(model_path(load_settings().model)).metadata.feature_set
    vector = msgspec.structs.replace(
        EXAMPLE_VECTOR,
        stream_id="key",
        origin=Place(TOPICS.chunks, 0, 10**6),
        feature_set=name,
        values=(0.5,) * len(feature_set(name).names),
    )
    return encode_event(vector)


def letters(system: System) -> list[Any]:
    lines = command(system.kafka, "operator", "dead-letters", "list", "--json").splitlines()
    return [json.loads(line) for line in lines]


async def send(kafka: ComposeKafka, user: str, topic: str, value: bytes) -> None:
    """Send a message as a user."""
    async with AIOKafkaProducer(**client_options(kafka.settings(user))) as producer:
        await producer.send_and_wait(topic, value, key=b"key")


def test_what_no_row_can_hold_is_a_letter_of_the_recorder_and_of_the_notifier(
    system: System,
) -> None:
    asyncio.run(send(system.kafka, "genrestream", TOPICS.station_events, b"no event"))
    wait_until(
        lambda: {"recorder", "notifier"} <= {letter["service"] for letter in letters(system)}, 60
    )


def test_lag_is_told(system: System) -> None:
    name = "genrestream_consumer_group_lag_messages"
    wait_until(lambda: system.lag.total(name) >= 0, 60)
    assert "audio.chunks" in command(system.kafka, "operator", "lag")


def granted() -> dict[str, dict[Use, None]]:
    """Return the table, by user, with the names that are prefixes as they are used here."""
    settings = load_settings()
    model = classifier_group(settings, settings.model)
    names = {"studio": "producer", "screen": "reader"}
    found: dict[str, dict[Use, None]] = {}
    for user in (*USERS, *names):
        found[user] = {}
        for kind, name, rights in rights_of(settings)[names.get(user, user)].all():
            concrete = name.replace(f"{NAME}-*", f"{user}-group")
            if concrete.endswith("*"):
                concrete = f"{model}-classifier-state-changelog" if kind == "topic" else model
            found[user] |= dict.fromkeys((user, right, kind, concrete) for right in rights)
    return found


#: What a classifier tries once, to find out whether it talks to the embedded broker.
TRIED: Final = {("classifier", "read", "topic", TOPICS.chunks)}
#: Rights that the work of these tests does not ask for, each with its reason.
UNUSED: Final = {
    ("classifier", "create"): "topics create has made the changelog of the default model",
    ("screen", "read"): "our own listen joins no group",
}


def test_no_right_is_given_that_is_not_used(system: System) -> None:
    """What the authorizer was asked for, while everything above was done."""
    wanted = {use for uses in granted().values() for use in uses}
    assert len(wanted) > 50
    decisions = system.kafka.decisions()
    unused = {use for use in wanted - decisions["allowed"] if not _is_excused(use)}
    assert not unused
    denied = {use for use in decisions["denied"] if use[0] in (*USERS, "studio", "screen")}
    assert denied <= TRIED, "a service asks for what it may not do"


def _is_excused(use: Use) -> bool:
    return use[:2] in UNUSED and (use[2] == "group" or use[0] == "classifier")


@pytest.mark.parametrize("user", [*USERS, "studio", "screen"])
def test_a_user_may_do_what_the_table_says_and_nothing_else(system: System, user: str) -> None:
    """As the broker itself tells: all rights to all topics and groups."""
    table = granted()
    topics = sorted({use[3] for uses in table.values() for use in uses if use[2] == "topic"})
    groups = sorted({use[3] for uses in table.values() for use in uses if use[2] == "group"})
    rights: tuple[Right, ...] = ("read", "write", "create", "describe")
    assert len(topics) >= 11
    assert len(groups) >= 6

    async def ask() -> set[Use]:
        password = OWN_PASSWORD if user == "extractor" else PASSWORD
        async with admin_client(system.kafka.settings(user, password)) as admin:
            found = {("topic", n): a for n, a in (await topics_allowed(admin, topics)).items()}
            found |= {("group", n): await group_allowed(admin, n) for n in groups}
        return {
            (user, right, kind, name)
            for (kind, name), allowed in found.items()
            if allowed.operations is not None
            for right in rights
            if not allowed.lacks([right])
        }

    describes = {
        (user, "describe", kind, name)
        for _, right, kind, name in table[user]
        if right in ("read", "write")
    }
    assert asyncio.run(ask()) == set(table[user]) | describes


@pytest.mark.parametrize(
    ("user", "topic"),
    [
        ("receiver", TOPICS.predictions),
        ("extractor", TOPICS.stations),
        ("studio", TOPICS.features),
        ("screen", TOPICS.chunks),
        ("gateway", TOPICS.dead_letters),
    ],
)
def test_the_broker_refuses_what_a_user_may_not_write(
    kafka: ComposeKafka, user: str, topic: str
) -> None:
    async def attempt() -> None:
        password = OWN_PASSWORD if user == "extractor" else PASSWORD
        async with AIOKafkaProducer(
            **client_options(kafka.settings(user, password)), request_timeout_ms=10_000
        ) as producer:
            await producer.send_and_wait(topic, encode_event(EXAMPLE_VECTOR), key=b"forged")

    with pytest.raises(TopicAuthorizationFailedError):
        asyncio.run(attempt())


@pytest.mark.parametrize("service", [*SERVICES, "lag"])
def test_a_service_without_its_rights_says_so_in_a_sentence(
    kafka: ComposeKafka, service: str, tmp_path: Path
) -> None:
    """Each as a user of another service."""
    (tmp_path / "rules.yaml").write_text(RULES.format(url="http://127.0.0.1:9/"))
    environment = kafka.service(service) | {
        "GENRESTREAM_RULES": str(tmp_path / "rules.yaml"),
        "GENRESTREAM_DATABASE_URL": f"sqlite:///{tmp_path / 'history.db'}",
        "GENRESTREAM_GATEWAY_HOST": "127.0.0.1",
        "GENRESTREAM_HTTP_PORT": str(free_port()) if service == "lag" else "0",
        "KAFKA_SASL_USERNAME": "screen",
        "KAFKA_SASL_PASSWORD": PASSWORD,
    }
    arguments = ["lag", "--serve"] if service == "lag" else ["worker", service]
    done = genrestream(*arguments, environment=environment, seconds=60)
    assert done.returncode == 2
    error = next(line for line in done.stderr.splitlines() if line.startswith("error: "))
    assert "the user screen may not" in error
    assert "docs/security.md" in error
    assert "Traceback" not in done.stderr
    lacks = rights_of(load_settings())[service]
    needed = {*lacks.write, *lacks.join} - {TOPICS.tags}  # no heads are served
    assert all(name in error for name in needed if not name.endswith("*"))


def test_a_right_that_is_too_much_is_taken_away(kafka: ComposeKafka) -> None:
    """It was given before the script ran."""
    held = kafka.run_tool("kafka-acls.sh", "--list", "--principal", "User:recorder")
    assert TOPICS.predictions in held
    assert TOPICS.chunks not in held


@pytest.mark.parametrize("service", LOST)
def test_a_service_that_loses_a_right_ends_with_a_sentence(system: System, service: str) -> None:
    right, kind, name = LOST[service]
    pattern = "prefixed" if name.endswith("*") else "literal"
    system.kafka.run_tool(
        *("kafka-acls.sh", "--remove", "--force", "--allow-principal", f"User:{service}"),
        *("--operation", right, f"--{kind}", name.removesuffix("*")),
        *("--resource-pattern-type", pattern),
    )
    asyncio.run(send(system.kafka, "studio", TOPICS.chunks, encoded(music(4.0, 22_050))))
    assert system.processes[service].wait(60) != 0
    log = system.logs[service].read_text()
    assert f"no longer let this user use the {kind} {name.removesuffix('*')}" in log
    assert "Traceback" not in log


def test_list_and_page_are_written_from_the_table() -> None:
    assert LIST.read_text(encoding="utf-8") == listed()
    text = PAGE.read_text(encoding="utf-8")
    assert text == page(text)
    assert set(ADDED) | set(USERS) == set(rights_of(load_settings()))
