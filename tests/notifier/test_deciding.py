"""An alarm and its end: once each, not within the cooldown, not for what lasts too short."""

import pytest

from schemas.errors import SettingsError
from services.notifier.deciding import Notification, Observation, State, Terms, observe, pass_time
from services.notifier.delivery import backoff, mqtt_messages, sign
from services.notifier.rules import Channel, Rule, parse_rules

TERMS = Terms()
T0 = 1_767_225_600_000
RULE = Rule(
    "r", "event", "silent", ("ops",), holds_seconds=30, until_seconds=10, cooldown_seconds=300
)


def _run(rule: Rule, *steps: tuple[int, str | None], terms: Terms = TERMS) -> list[tuple[int, str]]:
    """Observe values at seconds; ``None`` only lets time pass. Return what is sent when."""
    state, found = State(), []
    for second, value in steps:
        now = T0 + 1000 * second
        if value is None:
            state, sent = pass_time(rule, "s", state, now, terms)
        else:
            seen = Observation(rule.watches, value, now, f"{second}")
            state, sent = observe(rule, "s", state, seen, terms)
        found += [(round((n.at_ms - T0) / 1000), n.kind) for n in sent]
    return found


def test_an_alarm_and_its_end() -> None:
    steps = [(0, "silent"), (29, None), (30, None), (31, None), (40, "sounding"), (49, None)]
    assert _run(RULE, *steps, (50, None), (60, None)) == [(30, "alarm"), (50, "recovery")]


def test_a_short_silence_is_none() -> None:
    assert _run(RULE, (0, "silent"), (20, "sounding"), (100, None)) == []


def test_a_short_sound_does_not_end_it() -> None:
    steps = [(0, "silent"), (30, None), (40, "sounding"), (45, "silent"), (100, None)]
    assert _run(RULE, *steps) == [(30, "alarm")]


def test_the_cooldown_holds_and_then_it_is_sent() -> None:
    steps = [(0, "silent"), (30, None), (40, "sounding"), (50, None), (60, "silent"), (100, None)]
    found = _run(RULE, *steps, (329, None), (330, None))
    assert found == [(30, "alarm"), (50, "recovery"), (330, "alarm")]


def test_replayed_observations_change_nothing() -> None:
    steps = [(0, "silent"), (40, "sounding")]
    assert _run(RULE, *steps, *steps, (60, None)) == _run(RULE, *steps, (60, None))


def test_what_was_over_before_the_first_start_is_no_alarm() -> None:
    terms = Terms(since_ms=T0 + 1_000_000)
    steps = [(0, "silent"), (100, "sounding"), (200, "silent"), (999, None)]
    assert _run(RULE, *steps, terms=terms) == []
    assert _run(RULE, *steps, (1000, None), terms=terms) == [(1000, "alarm")]


def test_a_moment_before_the_first_start_is_no_alarm() -> None:
    rule = Rule("r", "event", "title", ("ops",), cooldown_seconds=0)
    terms = Terms(since_ms=T0 + 10_000)
    assert _run(rule, (0, "title"), (12, "title"), terms=terms) == [(12, "alarm")]


def test_quiet_hours_put_an_alarm_off() -> None:
    rule = Rule("r", "event", "lost", ("ops",), quiet=(22 * 60, 60))
    found = _run(rule, (60, "lost"), (3599, None), (3600, None))
    assert found == [(3600, "alarm")]  # T0 is midnight


def test_titles_are_over_at_once() -> None:
    rule = Rule("r", "event", "title", ("ops",), cooldown_seconds=10)
    assert _run(rule, (0, "title"), (5, "title"), (12, "title")) == [(0, "alarm"), (12, "alarm")]


def test_a_label_goes_by_what_was_heard() -> None:
    rule = Rule("r", "label", "speech", ("ops",), holds_seconds=6, until_seconds=6)
    steps = [(0, "jazz"), (3, "speech"), (6, "speech"), (9, "speech"), (12, "jazz"), (18, "jazz")]
    assert _run(rule, *steps) == [(9, "alarm"), (18, "recovery")]


GOOD = """
channels:
  ops: {webhook: "https://example.org/hook", secret: "${HOOK_SECRET}"}
rules:
  - name: dead-air
    event: silent
    for: 30s
    until: 10s
    quiet: 22:00-06:00
    send: ops
"""


def test_rules_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK_SECRET", "hush")
    rules = parse_rules(GOOD)
    assert rules.rules[0].quiet == (1320, 360)
    assert rules.channels["ops"].secret == "hush"  # noqa: S105 - of the test
    assert "hush" not in repr(rules)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("silent", "silnet", "line 5: event 'silnet': choose"),
        ("30s", "30", "line 5: for '30'"),
        ("send: ops", "send: opps", r"line 5: send \['opps'\]"),
        ("until", "untill", "line 5: 'untill' is unknown"),
        ("webhook", "webhok", "line 3: 'webhok' is unknown"),
        ("22:00-06:00", "late", "line 5: quiet 'late'"),
        ("  - name", "  - [name", "line 6: "),
        ("dead-air", '"dead air"', "line 5: name 'dead air'"),
    ],
)
def test_mistakes_have_lines(
    monkeypatch: pytest.MonkeyPatch, old: str, new: str, message: str
) -> None:
    monkeypatch.setenv("HOOK_SECRET", "hush")
    with pytest.raises(SettingsError, match=message):
        parse_rules(GOOD.replace(old, new))


def test_a_secret_that_is_not_set() -> None:
    with pytest.raises(SettingsError, match="HOOK_SECRET"):
        parse_rules(GOOD)


def test_each_station_has_a_topic_of_its_own() -> None:
    def topics(station: str) -> set[str]:
        made = Notification("i", "r", station, "alarm", "event silent", 0, 0, "i")
        return {topic for topic, _ in mqtt_messages(Channel("c", "mqtt", "mqtt://x"), made)}

    assert topics("a/#") & topics("b") == set()
    assert not any(c in topic for topic in topics("a/#+") for c in "#+")


def test_the_signature_is_hmac() -> None:
    assert sign("key", b"The quick brown fox jumps over the lazy dog") == (
        "sha256=f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8"
    )


def test_backoff_grows_to_a_minute() -> None:
    assert [backoff(n, lambda _, most: most) for n in (0, 1, 5, 6, 99)] == [1, 2, 32, 60, 60]
