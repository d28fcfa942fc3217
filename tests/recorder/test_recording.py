"""Each event is recorded once, whatever is delivered how often, and in which batches."""

import random
import time
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas import Station, encode_event
from schemas.errors import SettingsError
from services.recorder import history_access
from services.recorder.history_access import Request
from services.recorder.queries import events, history, segments, station, station_ids
from services.recorder.recording import Recording
from services.recorder.rows import MINUTE, parts
from services.settings import load_settings
from tests.recorder.conftest import Database
from tests.recorder.messages import START_MS, event, prediction, segment

EVIL = "x'; DROP TABLE windows; --"


def _minutes(database: Database) -> list[dict[str, Any]]:
    return [
        {k: v for k, v in row.items() if k != "recorded_ms"} for row in database.rows("minutes")
    ]


def test_a_minute_has_the_seconds_of_its_windows(database: Database) -> None:
    outcome = database.record(*[("predictions", prediction("a", i)) for i in range(110)])
    assert (outcome.new_windows, outcome.refused) == (110, [])
    rows = database.rows("minutes")
    assert [row["heard_seconds"] for row in rows] == [60.0] * 5 + [30.0]
    assert rows[0]["labels"] == {"jazz": 60.0}
    assert rows[5]["labels"] == {"rock": 30.0}
    assert database.rows("hours")[0]["labels"] == {"jazz": 300.0, "rock": 30.0}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15)
@given(seed=st.integers(0, 10**6), size=st.integers(1, 40))
def test_replays_change_nothing(database: Database, seed: int, size: int) -> None:
    """Any cuts into batches, any order, anything twice: the same rows."""
    name = f"s{seed}-{size}"
    once = [("predictions", prediction(f"{name}-a", i)) for i in range(45)]
    again = [("predictions", prediction(f"{name}-b", i)) for i in range(45)]
    database.record(*once)
    chaos = random.Random(seed)
    again += chaos.sample(again, 20)
    chaos.shuffle(again)
    for start in range(0, len(again), size):
        database.record(*again[start : start + size])
    found: dict[str, list[dict[str, Any]]] = {}
    for row in _minutes(database):
        found.setdefault(row.pop("station_id"), []).append(row)
    assert len(found[f"{name}-a"]) == 3
    for one, other in zip(found[f"{name}-a"], found[f"{name}-b"], strict=True):
        assert one.pop("energy") == pytest.approx(other.pop("energy"), rel=1e-9)
        assert one == other


def test_a_window_across_a_border_counts_in_both(database: Database) -> None:
    database.record(("predictions", prediction("a", 0, START_MS + 58_500)))
    assert [row["heard_seconds"] for row in database.rows("minutes")] == [1.5, 1.5]


@given(began=st.integers(0, 10**13), seconds=st.floats(0, 600))
def test_parts_make_up_the_whole(began: int, seconds: float) -> None:
    found = parts(began, seconds, MINUTE)
    assert sum(length for _, length in found) == pytest.approx(seconds, abs=1e-3)
    assert all(start % MINUTE == 0 and 0 <= length <= 60 for start, length in found)


def test_windows_of_a_sealed_minute_are_not_counted_twice(database: Database) -> None:
    short = Recording(database.url, {"windows": 1e-9})
    message = ("predictions", prediction("a", 0))
    database.record(message)
    time.sleep(0.01)
    assert short.delete_old()["windows"] == 1
    short.close()
    again = Recording(database.url, {"windows": 1e-9})
    outcome = again.record([(message[0], _message(message[1]))])
    again.close()
    assert (outcome.new_windows, outcome.sealed_windows) == (1, 1)
    assert database.rows("minutes")[0]["heard_seconds"] == 3.0


def _message(value: bytes) -> Any:
    from tests.recorder.conftest import Message

    return Message(value)


def test_segments_and_events_are_upserted(database: Database) -> None:
    for _ in range(2):
        database.record(
            ("segments", segment("a", 0)),
            ("events", event("a", "title", START_MS + 5, title="Caf\x00é 🎷")),
        )
    with database.reading() as connection:
        (found,) = segments(connection, "a", START_MS, START_MS + 1)
        (said,) = events(connection, "a", START_MS, START_MS + 10)
    assert found["label"] == "jazz"
    assert said["title"] == "Caf�é 🎷"


def test_ids_are_values_never_sql(database: Database) -> None:
    database.record(("predictions", prediction(EVIL, 0)), ("segments", segment(EVIL, 0)))
    with database.reading() as connection:
        assert station_ids(connection) == [EVIL]
        (step,) = history(connection, EVIL, START_MS, START_MS + MINUTE, 60)
    assert step.shares == {"jazz": 1.0}


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("predictions", b"nonsense"),
        ("predictions", None),
        ("segments", b"{}"),
        ("events", event("a", "lost", START_MS).replace(b'"lost"', b'"vanished"')),
        ("predictions", prediction("a", 0, missing_chunks=2**63)),
        ("predictions", prediction("a", 0).replace(b"2026-01-01T00:00:00", b"2026-13-01T00:00:00")),
        ("stations", b"[]"),
    ],
)
def test_what_is_no_message_is_set_apart(
    database: Database, kind: str, value: bytes | None
) -> None:
    outcome = database.record(("predictions", prediction("a", 1)), (kind, value))
    assert len(outcome.refused) == 1
    assert len(database.rows("windows")) == 1


def test_a_station_brings_its_zone_and_no_address(database: Database) -> None:
    made = Station(id="a", name="A", url="https://u:secret@x/", timezone="Europe/Berlin")
    database.record(("stations", encode_event(made)), ("stations", None))
    with database.reading() as connection:
        assert station(connection, "a").zone.key == "Europe/Berlin"
    assert "secret" not in repr(database.rows("stations"))


def test_the_model_that_heard_most_answers(database: Database) -> None:
    from msgspec.json import decode, encode

    other = decode(prediction("a", 5))
    other |= {"event_id": "other", "model": {"name": "b-model", "version": "1"}}
    database.record(
        *[("predictions", prediction("a", i)) for i in range(5)], ("predictions", encode(other))
    )
    with database.reading() as connection:
        (step,) = history(connection, "a", START_MS, START_MS + MINUTE, 60)
        (asked,) = history(connection, "a", START_MS, START_MS + MINUTE, 60, model="b-model")
    assert (step.model, step.heard_seconds) == ("a-model", 15.0)
    assert (asked.model, asked.heard_seconds) == ("b-model", 3.0)


def test_what_is_not_in_the_history_is_told_from_what_was_not_heard(database: Database) -> None:
    database.record(("predictions", prediction("a", 0)))
    database.record(("stations", encode_event(Station(id="b", name="B", url="http://x.example/b"))))
    settings_ = load_settings(database_url=f"sqlite:///{database.url.database}")
    for known in ("a", "b"):
        with history_access.steps(settings_, Request(known, "1h", "now", "15m", "label", None)):
            pass
    asked = Request("nobody", "1h", "now", "15m", "label", None)
    with (
        pytest.raises(SettingsError, match="'nobody' in the history; it has a"),
        history_access.steps(settings_, asked),
    ):
        pass
    with pytest.raises(SettingsError, match="'nobody'"):
        history_access.day_report(settings_, "nobody", "today")
