"""A notifier on a broker: killed while its webhook is down, it repeats and swallows nothing."""

import asyncio
import time
from pathlib import Path

import pytest

from services.console.stack import start_worker, stop_workers, worker_environment
from tests.broker.harness import Message, fresh_settings, send
from tests.broker.shell import genrestream, wait_until
from tests.notifier.webhook import webhook
from tests.recorder.messages import event

pytestmark = pytest.mark.broker

RULES = """
channels:
  ops: {{webhook: "{url}", secret: hush, timeout: 2}}
rules:
  - {{name: dead-air, event: silent, send: ops}}
"""


def test_alarms_survive_a_kill(brokers: str, tmp_path: Path) -> None:
    with webhook() as hook:
        path = tmp_path / "rules.yaml"
        path.write_text(RULES.format(url=hook.url))
        settings = fresh_settings(brokers, "notify.", rules=path)
        now_ms = round(time.time() * 1000)
        silent = [
            Message(event(f"s{n}", "silent", now_ms), f"s{n}".encode(), topic="station.events")
            for n in range(5)
        ]
        hook.status = 503
        asyncio.run(send(settings, silent))
        environment = worker_environment(settings)
        workers = {"first": start_worker("notifier", environment)}
        try:
            wait_until(lambda: hook.tries > 0, 60)
            workers["first"].kill()
            workers["first"].wait()
            hook.status = 200
            workers["second"] = start_worker("notifier", environment)
            wait_until(lambda: len(hook.got) == 5, 60)
            ends = [
                Message(
                    event(f"s{n}", "sounding", now_ms + 9), f"s{n}".encode(), topic="station.events"
                )
                for n in range(5)
            ]
            asyncio.run(send(settings, [*silent, *ends]))
            wait_until(lambda: len(hook.got) == 10, 60)
        finally:
            stop_workers(workers)
    found = sorted((one["station"], one["kind"]) for one in hook.got)
    assert found == [(f"s{n}", kind) for n in range(5) for kind in ("alarm", "recovery")]
    assert all(signature and signature.startswith("sha256=") for signature in hook.signatures)


def test_trying_a_rule(tmp_path: Path) -> None:
    with webhook() as hook:
        path = tmp_path / "rules.yaml"
        path.write_text(RULES.format(url=hook.url))
        environment = {"GENRESTREAM_RULES": str(path)}
        assert genrestream("notify", "test", "dead-air", environment=environment).returncode == 0
        assert [one["kind"] for one in hook.got] == ["alarm", "recovery"]
        hook.status = 410
        refused = genrestream("notify", "test", "dead-air", environment=environment)
    assert refused.returncode == 1
    assert "ops answers 410" in refused.stderr
    assert "hush" not in refused.stderr
