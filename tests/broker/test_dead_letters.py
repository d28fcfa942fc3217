"""``genrestream dead-letters``: inspect what failed, and send it back."""

import asyncio
import json
import os
import pty
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from schemas import Place, dead_letter_headers
from schemas.errors import CorruptAudio
from services.kafka.clients import reading
from services.kafka.topics import Topics
from services.settings import Settings
from tests.broker.harness import (
    Message,
    encoded,
    fresh_settings,
    music,
    run,
    running_workers,
    send,
)
from tests.broker.shell import genrestream

pytestmark = [pytest.mark.broker, pytest.mark.timeout(240)]

TRACE = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
HEADERS = [("traceparent", TRACE), ("x-site", b"\xff\x00"), ("final", b"true")]
JUNK = bytes(range(256)) * 8
WAV = encoded(music(3.0))
OF_0_HZ = WAV[:24] + bytes(4) + WAV[28:]


def environment(settings: Settings) -> dict[str, str]:
    return {
        "KAFKA_BOOTSTRAP_SERVERS": settings.brokers,
        "GENRESTREAM_TOPIC_PREFIX": settings.topic_prefix,
    }


def letters(
    settings: Settings, *arguments: str, fails: bool = False
) -> subprocess.CompletedProcess[str]:
    """Run a command of dead-letters that must succeed, or must not."""
    done = genrestream("dead-letters", *arguments, environment=environment(settings))
    assert bool(done.returncode) == fails, done.stderr
    assert "Traceback" not in done.stderr
    return done


def listed(settings: Settings, *arguments: str) -> list[dict[str, Any]]:
    done = letters(settings, "list", "--json", *arguments)
    return [json.loads(line) for line in done.stdout.splitlines()]


def log(settings: Settings, topic: str) -> list[Any]:
    """Return all records of a topic, as they lie there."""

    async def read() -> list[Any]:
        async with reading(settings, [topic], from_beginning=True) as reader:
            return [record async for record in reader.messages_so_far()]

    return asyncio.run(read())


def wait_for_letters(settings: Settings, messages: Sequence[Message], count: int) -> None:
    """Let the workers run until there are so many letters."""
    with running_workers(settings, "extractor", "classifier"):
        collected = run(
            settings,
            messages,
            lambda c: sum(map(len, c.dead_letters.values())) >= count,
            from_beginning=True,
        )
    assert sum(map(len, collected.dead_letters.values())) == count


@pytest.fixture(scope="module")
def failed(brokers: str) -> Settings:
    """Make three letters, of both services; the workers do not run any more."""
    settings = fresh_settings(brokers, "letters.")
    messages = [
        Message(JUNK, b"radio", HEADERS),
        Message(OF_0_HZ, b"short \x1b[31m", [HEADERS[2]]),
        Message(b'{"temperature": 21.5}', b"sensor", topic="audio.features"),
    ]
    wait_for_letters(settings, messages, 3)
    return settings


def place_of(settings: Settings, stream_id: str) -> str:
    (letter,) = listed(settings, "--stream-id", stream_id)
    return str(letter["place"])


def test_list_tells_origin_reason_and_size(failed: Settings) -> None:
    topics = Topics(failed.topic_prefix)
    by_error = {letter["error"]: letter for letter in listed(failed)}
    assert by_error.keys() == {"unsupported-audio", "corrupt-audio", "invalid-message"}
    junk = by_error["unsupported-audio"]
    assert (junk["service"], junk["stream_id"], junk["size"]) == ("extractor", "radio", 2048)
    assert junk["origin"]["topic"] == topics.chunks
    assert "send WAV, FLAC, Ogg or MP3" in junk["message"]
    assert by_error["invalid-message"]["service"] == "classifier"
    assert by_error["invalid-message"]["origin"]["topic"] == topics.features
    written = [letter["written"] for letter in listed(failed)]
    assert written == sorted(written)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--error", "corrupt-audio"], ["short \x1b[31m"]),
        (["--error", "corrupt-audio", "--error", "invalid-message"], ["sensor", "short \x1b[31m"]),
        (["--service", "classifier"], ["sensor"]),
        (["--since", "1h"], ["radio", "sensor", "short \x1b[31m"]),
        (["--since", "2999-01-01T00:00:00Z"], []),
        (["--since", "1h", "--service", "extractor", "--stream-id", "radio"], ["radio"]),
    ],
)
def test_filters(failed: Settings, arguments: list[str], expected: list[str]) -> None:
    assert sorted(letter["stream_id"] for letter in listed(failed, *arguments)) == expected


def test_a_filter_by_topic_and_the_counts(failed: Settings) -> None:
    topics = Topics(failed.topic_prefix)
    assert len(listed(failed, "--topic", topics.features)) == 1
    counts = letters(failed, "list", "--count", "--json").stdout.splitlines()
    assert [json.loads(line) for line in counts] == [
        {"service": "classifier", "error": "invalid-message", "count": 1},
        {"service": "extractor", "error": "corrupt-audio", "count": 1},
        {"service": "extractor", "error": "unsupported-audio", "count": 1},
    ]


def test_the_newest_are_shown_last_and_a_limit_is_told(failed: Settings) -> None:
    newest = listed(failed)[-2:]
    assert listed(failed, "--limit", "2") == newest
    table = letters(failed, "list", "--limit", "2")
    lines = table.stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["place", *(str(n["place"]) for n in newest)]
    assert "\x1b" not in table.stdout, "a key must not reach the terminal as it is"
    assert "3 dead letters: the newest 2 are shown" in table.stderr


def test_show_and_save_untouched(failed: Settings, tmp_path: Path) -> None:
    place = place_of(failed, "radio")
    shown = letters(failed, "show", place).stdout
    for text in ("unsupported-audio", "send WAV", TRACE.decode(), "x-site: \\xff", "2,048"):
        assert text in shown
    assert "00000040  40 41 42" in shown
    assert "dead_letter" not in shown
    file = tmp_path / "bytes"
    letters(failed, "show", place, "--output", str(file))
    assert file.read_bytes() == JUNK


@pytest.mark.parametrize(
    ("arguments", "remedy"),
    [
        (["show", "0:999"], "there is no dead letter 0:999"),
        (["show", "99:0"], "there is no dead letter 99:0"),
        (["show", "first"], "write PARTITION:OFFSET"),
        (["list", "--since", "yesterday"], "write an age"),
        (["replay"], "--all"),
        (["replay", "--all", "--error", "corrupt-audio"], "leave out"),
        (["replay", "--all"], "add --yes"),
        (["replay", "0:999", "--yes"], "there is no dead letter 0:999"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_mistakes_are_explained_and_send_nothing(
    failed: Settings, arguments: list[str], remedy: str
) -> None:
    before = len(log(failed, Topics(failed.topic_prefix).chunks))
    done = letters(failed, *arguments, fails=True)
    assert remedy in done.stderr
    assert len(log(failed, Topics(failed.topic_prefix).chunks)) == before


def answer(settings: Settings, text: bytes, *arguments: str) -> bytes:
    """Run a replay on a terminal and answer its question; return what it says."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "services.cli", "dead-letters", "replay", *arguments],
        env={**os.environ, **environment(settings)},
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        os.close(theirs)
        os.write(ours, text)
        _, errors = process.communicate(timeout=30)
    os.close(ours)
    return errors


def test_a_dry_run_and_a_no_send_nothing(failed: Settings) -> None:
    before = len(log(failed, Topics(failed.topic_prefix).chunks))
    dry = letters(failed, "replay", "--service", "extractor", "--dry-run", "--json")
    assert len(dry.stdout.splitlines()) == 2
    assert "nothing was sent" in answer(failed, b"n\n", "--service", "extractor").decode()
    assert len(log(failed, Topics(failed.topic_prefix).chunks)) == before


def test_a_replay_is_the_original_message_and_is_not_repeated_by_accident(brokers: str) -> None:
    settings = fresh_settings(brokers, "replay.")
    wait_for_letters(settings, [Message(JUNK, b"radio", HEADERS)], 1)
    chunks = Topics(settings.topic_prefix).chunks
    (original,) = log(settings, chunks)

    assert b"1 of 1 dead letters sent back" in answer(settings, b"y\n", "--all")
    _, copy = log(settings, chunks)
    for name in ("partition", "key", "value", "headers"):
        assert getattr(copy, name) == getattr(original, name)

    done = letters(settings, "replay", "--all", "--yes")
    assert "1 left out, sent back before" in done.stderr
    assert len(log(settings, chunks)) == 2
    letters(settings, "replay", "--all", "--yes", "--again")
    assert len(log(settings, chunks)) == 3

    wait_for_letters(settings, [], 3)  # both copies fail again
    first, *repeated = listed(settings)
    assert [letter["repeats"] for letter in repeated] == [first["place"]] * 2
    assert len(first["replays"]) == 2
    letters(settings, "replay", "--all", "--yes")
    assert len(log(settings, chunks)) == 5, "the repeated ones go back, the first does not"


def test_what_can_be_processed_by_now_gets_its_answer(brokers: str) -> None:
    settings = fresh_settings(brokers, "healed.")
    topics = Topics(settings.topic_prefix)
    headers = dead_letter_headers(
        Place(topics.chunks, 3, 7), 0, "extractor", CorruptAudio("a fault of long ago"), HEADERS
    )
    good = Message(encoded(music(3.0)), b"healed", headers, topic="audio.dead-letter")
    foreign = Message(b"who knows", b"foreign", [], topic="audio.dead-letter")
    elsewhere = dead_letter_headers(
        Place("payroll", 0, 7), 0, "extractor", CorruptAudio("made up"), []
    )
    asyncio.run(send(settings, [good, foreign, replace(foreign, headers=elsewhere)]))

    done = letters(settings, "replay", "--all", "--yes", "--json")
    assert "2 left out, from no partition of ours" in done.stderr
    (note,) = map(json.loads, done.stdout.splitlines())
    assert note["sent_to"] == {"topic": topics.chunks, "partition": 3, "offset": 0}
    with running_workers(settings, "extractor", "classifier"):
        collected = run(settings, [], lambda c: bool(c.final("healed")), from_beginning=True)
    assert collected.final("healed")
