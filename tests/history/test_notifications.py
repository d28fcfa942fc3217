"""Alarms that reach people: many rules, crashes, channels that are down, slow or gone."""

import asyncio
import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path

import pytest

from schemas import Station, encode_event
from services.console.stack import start_worker, stop_workers, worker_environment
from services.kafka.clients import reading
from services.kafka.topics import Topics
from services.notifier.deciding import Notification
from services.notifier.deciding_batch import Decider
from services.notifier.rules import load_rules
from services.settings import Settings
from tests.broker.harness import Message, fresh_settings, send
from tests.broker.shell import wait_until
from tests.notifier.webhook import Webhook, webhook
from tests.recorder.messages import event, prediction, segment

pytestmark = [pytest.mark.history, pytest.mark.timeout(300)]

SECRETS = ("hush-signature", "hush-address")
CHANNELS = """
channels:
  fast: {{webhook: "{fast}?token=hush-address", secret: hush-signature}}
  slow: {{webhook: "{slow}?token=hush-address", timeout: 5s}}
  gone: {{webhook: "{gone}?token=hush-address"}}
rules:
"""
RULES, STATIONS, EVENTS, CRASHES = 50, 20, 1000, 5


@contextmanager
def _notifier(settings: Settings) -> Iterator[dict[str, subprocess.Popen[bytes]]]:
    workers = {"notifier": start_worker("notifier", worker_environment(settings))}
    try:
        yield workers
    finally:
        stop_workers(workers)


def _crash(workers: dict[str, subprocess.Popen[bytes]], settings: Settings) -> None:
    workers["notifier"].kill()
    workers["notifier"].wait()
    workers["notifier"] = start_worker("notifier", worker_environment(settings))


def _begun(settings: Settings) -> None:
    """Wait until the first notifier has written when it started."""

    async def has_begun() -> bool:
        topic = Topics(settings.topic_prefix).notified
        try:
            async with reading(settings, [topic], from_beginning=True) as reader:
                return bool([record async for record in reader.messages_so_far()])
        except Exception:
            return False

    wait_until(lambda: asyncio.run(has_begun()), 60)


def _fifty_rules() -> str:
    """Write rules of every kind: what they watch, for how long, to whom."""
    watched = ("event: silent", "event: lost", "event: title", "label: speech", "segment: jazz")
    lines = []
    for number in range(RULES):
        seconds = (0, 15)[number % 2]
        cooldown = (60, 600)[number // 2 % 2]
        send = ("[fast, slow]", "[fast]", "[fast]", "[fast]", "[gone]")[number // 10]
        lines.append(
            f"  - {{name: r{number}, {watched[number % 5]}, for: {seconds}s, until: {seconds}s, "
            f"cooldown: {cooldown}s, send: {send}}}"
        )
    return "\n".join(lines)


def _thousand_events(begin_ms: int) -> list[Message]:
    """Return what happens to stations, 10 s apart, in the future: the clock decides nothing."""
    kinds = ("silent", "title", "sounding", "lost", "connected")
    found = []
    for number in range(EVENTS):
        index, station = divmod(number, STATIONS)
        name, key, at = f"s{station}", f"s{station}".encode(), begin_ms + 10_000 * index
        if index % 3 == 0:
            value, topic = prediction(name, 100 * (index // 2), at), "genre.predictions"
        elif index % 7 == 1:
            value, topic = segment(name, index, start_ms=at), "genre.segments"
        else:
            value, topic = event(name, kinds[index % 5], at, title=f"t{index}"), "station.events"
        found.append(Message(value, key, topic=topic))
    return found


def _expected(rules: Path, messages: Sequence[Message], since_ms: int) -> list[Notification]:
    """Decide on all messages, in one go and in memory."""
    decider = Decider(load_rules(rules), since_ms=since_ms)
    kinds = {"genre.predictions": "predictions", "genre.segments": "segments"}
    return [
        notification
        for message in messages
        for notification in decider.take(kinds.get(message.topic, "events"), message.value, 0)
    ]


def test_fifty_rules_a_thousand_events_and_crashes(
    brokers: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "rules.yaml"
    with ExitStack() as hooks:
        fast, slow, gone = (hooks.enter_context(webhook()) for _ in range(3))
        slow.seconds, gone.status = 0.01, 410
        text = CHANNELS.format(fast=fast.url, slow=slow.url, gone=gone.url) + _fifty_rules()
        path.write_text(text)
        settings = fresh_settings(brokers, "fifty.", rules=path)
        with _notifier(settings) as workers:
            _begun(settings)
            messages = _thousand_events(round(time.time() * 1000) + 60_000)
            expected = _expected(path, messages, 1)
            sent = {rule.name: rule.send for rule in load_rules(path).rules}
            by_channel = {
                channel: {n.id for n in expected if channel in sent[n.rule]}
                for channel in ("fast", "slow", "gone")
            }
            assert all(len(ids) > 20 for ids in by_channel.values())
            asyncio.run(send(settings, messages, linger_ms=5))
            for crash in range(CRASHES):
                goal = len(by_channel["fast"]) * (crash + 1) // (CRASHES + 1)
                wait_until(lambda goal=goal: len(fast.got) >= goal, 60)  # type: ignore[misc]
                _crash(workers, settings)
            for hook, channel in ((fast, "fast"), (slow, "slow")):
                wait_until(lambda h=hook, c=channel: _ids(h) >= by_channel[c], 60)  # type: ignore[misc]
            wait_until(lambda: asyncio.run(_letters(settings)) >= len(by_channel["gone"]), 60)
    assert _ids(fast) == by_channel["fast"]
    assert _ids(slow) == by_channel["slow"]
    for hook in (fast, slow):
        again = sum(count - 1 for count in Counter(one["id"] for one in hook.got).values())
        assert again <= CRASHES  # the one that was on its way
    _none_within_its_cooldown(fast, path)
    said = "".join(capfd.readouterr())
    assert not any(secret in said for secret in SECRETS)


def _ids(hook: Webhook) -> set[str]:
    return {one["id"] for one in hook.got}


def _none_within_its_cooldown(hook: Webhook, path: Path) -> None:
    from schemas import to_milliseconds

    cooldowns = {rule.name: rule.cooldown_seconds for rule in load_rules(path).rules}
    alarms: dict[tuple[str, str], set[int]] = {}
    for one in hook.got:
        if one["kind"] == "alarm":
            alarms.setdefault((one["rule"], one["station"]), set()).add(to_milliseconds(one["at"]))
    assert len(alarms) > 100
    for (rule, _), times in alarms.items():
        ordered = sorted(times)
        gaps = [b - a for a, b in pairwise(ordered)]
        assert all(gap >= 1000 * cooldowns[rule] for gap in gaps), rule


async def _letters(settings: Settings) -> int:
    async with reading(
        settings, [Topics(settings.topic_prefix).dead_letters], from_beginning=True
    ) as reader:
        return len([record async for record in reader.messages_so_far()])


TITLES = """
channels: {{down: {{webhook: "{down}", timeout: 2s}}, well: {{webhook: "{well}"}}}}
rules: [{{name: title, event: title, cooldown: 0s, send: [down, well]}}]
"""


def test_what_a_channel_cannot_take_waits_in_kafka(
    brokers: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """It is down, and another is not; then it gets everything, in order."""
    path, count, said = tmp_path / "rules.yaml", 2500, [""]

    def has_said(text: str) -> bool:
        said[0] += "".join(capfd.readouterr())
        return text in said[0]

    with webhook() as down, webhook() as well:
        path.write_text(TITLES.format(down=down.url, well=well.url))
        settings = fresh_settings(brokers, "down.", rules=path)
        down.status = 503
        with _notifier(settings):
            _begun(settings)
            at = round(time.time() * 1000) + 60_000
            titles = [
                Message(event("s", "title", at + n, title="t"), b"s", topic="station.events")
                for n in range(count)
            ]
            asyncio.run(send(settings, titles, linger_ms=5))
            wait_until(lambda: has_said("down does not keep up"), 60)
            wait_until(lambda: len(well.got) == count, 60)
            assert not down.got
            down.status = 200
            wait_until(lambda: len(down.got) == count, 120)
    for hook in (down, well):
        assert [one["at"] for one in hook.got] == sorted(one["at"] for one in hook.got)
        assert len(_ids(hook)) == count


TAGS = """
channels: {{ops: {{webhook: "{url}"}}}}
rules: [{{name: dead-air, event: silent, tags: [berlin], send: ops}}]
"""


def test_the_past_is_no_alarm_and_tags_may_change(brokers: str, tmp_path: Path) -> None:
    path, past = tmp_path / "rules.yaml", 1_767_225_600_000

    def station(name: str, *tags: str) -> Message:
        made = Station(id=name, name=name, url=f"http://{name}.example/", tags=tags)
        return Message(encode_event(made), name.encode(), topic="stations")

    def happened(name: str, kind: str, at: int) -> Message:
        return Message(event(name, kind, at), name.encode(), topic="station.events")

    with webhook() as hook:
        path.write_text(TAGS.format(url=hook.url))
        settings = fresh_settings(brokers, "past.", rules=path)
        before = [station("over", "berlin"), station("still", "berlin"), station("later")]
        before += [happened("over", "silent", past), happened("over", "sounding", past + 9)]
        before += [happened("still", "silent", past + 1)]
        asyncio.run(send(settings, before))
        with _notifier(settings) as workers:
            wait_until(lambda: len(hook.got) == 1, 60)
            now = round(time.time() * 1000)
            others = [happened("later", "silent", now), happened("still", "sounding", now)]
            asyncio.run(send(settings, others))
            wait_until(lambda: len(hook.got) == 2, 60)
            asyncio.run(send(settings, [station("later", "berlin")]))

            def alarms_by_its_tag() -> bool:
                silent = happened("later", "silent", round(time.time() * 1000))
                asyncio.run(send(settings, [silent]))
                return len(hook.got) == 3

            wait_until(alarms_by_its_tag, 60)
            _crash(workers, settings)
            asyncio.run(send(settings, [happened("later", "sounding", now + 90_000)]))
            wait_until(lambda: len(hook.got) == 4, 60)
    found = [(one["station"], one["kind"]) for one in hook.got]
    assert found[:2] == [("still", "alarm"), ("still", "recovery")]
    assert found[2:] == [("later", "alarm"), ("later", "recovery")]
