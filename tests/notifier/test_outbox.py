"""A webhook that is down for an hour, by a clock that waits for nobody."""

import asyncio
import selectors
from typing import Any

import pytest

from services.notifier import outbox as module
from services.notifier.deciding import Notification
from services.notifier.delivery import LONGEST_DELAY, Refused, Unreachable
from services.notifier.memory import Due, due_key
from services.notifier.outbox import NotifierMetrics, Outbox
from services.notifier.rules import Channel

HOUR = 3600.0
ALARMS = 40
PLACE = "station.events/0"


class _Hasty(selectors.SelectSelector):
    """Lets the time pass that a loop would wait."""

    passed = 0.0

    def select(self, timeout: float | None = None) -> Any:
        found = super().select(0)
        if not found and timeout:
            self.passed += timeout
        return found


class HastyLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self.hasty = _Hasty()
        super().__init__(self.hasty)

    def time(self) -> float:
        return self.hasty.passed


class Memory:
    """Keeps what is due, as ``notifier.sent`` does."""

    def __init__(self) -> None:
        self.due: dict[str, Due] = {}

    async def save(self, *entries: tuple[str, Any]) -> None:
        for key, entry in entries:
            if entry is None:
                self.due.pop(key)
            else:
                self.due[key] = entry


def _alarm(number: int, channel: str) -> Due:
    kind = ("alarm", "recovery")[number % 2]
    told = Notification(f"n{number}", "r", "s", kind, "silent", number, number, f"n{number}")
    return Due(channel, told, PLACE)


def _run(monkeypatch: pytest.MonkeyPatch, answer: Any) -> tuple[dict[str, Any], Memory, list[str]]:
    """Let alarms come for two hours, one in three minutes, to two channels; return what arrived."""
    tries: dict[str, list[tuple[float, str, bool]]] = {"down": [], "well": []}
    memory, loop = Memory(), HastyLoop()
    buried: list[str] = []
    kept: Any = memory

    async def deliver(channel: Channel, notification: Notification) -> None:
        try:
            answer(channel.name, loop.time())
        except BaseException:
            tries[channel.name].append((loop.time(), notification.id, False))
            raise
        tries[channel.name].append((loop.time(), notification.id, True))

    async def bury(due: Due, _: str) -> None:
        buried.append(due.notification.id)

    async def saved() -> list[Due]:
        return list(memory.due.values())

    async def run() -> None:
        channels = {n: Channel(n, "webhook", f"http://{n}.invalid/") for n in tries}
        box = Outbox(
            channels,
            kept,
            NotifierMetrics(),
            bury,
            lambda: frozenset({PLACE}),
            saved,
        )
        serving = asyncio.create_task(box.run())
        for number in range(ALARMS):
            for name in channels:
                due = _alarm(number, name)
                memory.due[due_key(due)] = due
                box.add(due)
            await asyncio.sleep(180)
        await asyncio.sleep(120)
        serving.cancel()
        await asyncio.wait([serving])

    monkeypatch.setattr(module, "deliver", deliver)
    try:
        loop.run_until_complete(run())
    finally:
        loop.close()
    return tries, memory, buried


def test_a_webhook_that_is_down_for_an_hour_gets_everything_once_and_in_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def answer(channel: str, at: float) -> None:
        if channel == "down" and at < HOUR:
            raise Unreachable("down answers 503")

    tries, memory, buried = _run(monkeypatch, answer)
    arrived = {name: [told for _, told, ok in found if ok] for name, found in tries.items()}
    assert arrived == {name: [f"n{number}" for number in range(ALARMS)] for name in tries}
    assert not memory.due
    assert not buried
    assert all(at == 180 * number for number, (at, _, _) in enumerate(tries["well"]))
    failed = [at for at, _, ok in tries["down"] if not ok]
    assert 60 < len(failed) < 400
    first = next(at for at, _, ok in tries["down"] if ok)
    assert HOUR <= first <= HOUR + LONGEST_DELAY


def test_one_that_answers_410_is_not_asked_again_for_that_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def answer(channel: str, _: float) -> None:
        if channel == "down":
            raise Refused("down answers 410")

    tries, memory, buried = _run(monkeypatch, answer)
    assert buried == [f"n{number}" for number in range(ALARMS)]
    assert len(tries["down"]) == ALARMS
    assert not memory.due
