"""Alerts, dashboard and documentation name metrics that exist, and all of them."""

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.metrics_core import Metric

from services.kafka.group_lag import LagReader, PartitionLag
from services.kafka.watch import Watch, WorkerCollector, lag_to_live
from services.observing.liveness import Health
from services.observing.worker_metrics import Metrics
from services.receiver.station_metrics import StationMetrics
from services.settings import load_settings

ROOT = Path(__file__).parents[2]
ALERTS = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yml").read_text())
RULES: list[dict[str, str]] = [rule for group in ALERTS["groups"] for rule in group["rules"]]
OPERATIONS = (ROOT / "docs/operations.md").read_text(encoding="utf-8")


class _Worker:
    positions = {0: 5}  # noqa: RUF012 - a constant of a test
    late_done = 0
    is_assigned = True
    live_streams = 1
    in_hand_ms = None
    failure = None


def _families() -> dict[str, Metric]:
    metrics = Metrics("extractor", "group", "audio.chunks", ["rock"])
    reader = LagReader(load_settings(), "group", "audio.chunks", 1)
    watch = Watch(_Worker(), metrics, reader, lambda: True, Health(60, 15, time.monotonic()))
    collector = WorkerCollector(watch, [PartitionLag(0, 4, 7)])
    families = [*metrics.registry.collect(), *collector.collect()]
    suffix = {"counter": "_total"}
    return {family.name + suffix.get(family.type, ""): family for family in families}


FAMILIES = _families()
STATIONS = {
    family.name + ("_total" if family.type == "counter" else "")
    for family in StationMetrics().registry.collect()
}


def _named(text: str) -> set[str]:
    found = set(re.findall(r"\b(?:genrestream|messaging)_[a-z_]+\b", text))
    labels = {label for f in FAMILIES.values() for s in f.samples for label in s.labels}
    labels |= {"messaging_consumer_group_name", "messaging_destination_name"}
    return {re.sub(r"_(bucket|sum|count)$", "", name) for name in found} - labels


def test_alerts_name_metrics_that_exist() -> None:
    named = set().union(*(_named(rule["expr"]) for rule in RULES))
    recorded = {rule["record"] for rule in RULES if "record" in rule}
    parts = {part for name in recorded for part in name.split(":")}
    assert len(named) >= 4
    assert named - parts <= FAMILIES.keys() | STATIONS


def test_the_dashboard_names_metrics_that_exist() -> None:
    dashboard = json.loads((ROOT / "deploy/grafana/dashboards/genrestream.json").read_text())
    expressions = [t["expr"] for panel in dashboard["panels"] for t in panel["targets"]]
    recorded = {rule["record"] for rule in RULES if "record" in rule}
    for expression in expressions:
        for name in re.findall(r"\bgroup:[a-z_0-9:]+", expression):
            assert name in recorded
        without_records = re.sub(r"\bgroup:[a-z_0-9:]+", "", expression)
        assert _named(without_records) <= FAMILIES.keys() | STATIONS, expression
    titles = {panel["title"] for panel in dashboard["panels"]}
    assert {"Genres over time", "Lag by group", "Dead letters by reason"} <= titles
    shown = " ".join(expressions)
    told = ("up", "silent", "level_dbfs", "missing_seconds_total", "failures_total")
    assert all(f"genrestream_station_{name}" in shown for name in told)


def test_every_metric_is_documented() -> None:
    rows = set(re.findall(r"^\| `([a-z_]+)` \|", OPERATIONS, re.MULTILINE))
    documented = {row for row in rows if row.startswith(("genrestream_", "messaging_"))}
    assert documented == FAMILIES.keys()


def test_every_alert_is_documented() -> None:
    alerts = {rule["alert"] for rule in RULES if "alert" in rule}
    assert alerts == set(re.findall(r"^### (Genrestream\w+)", OPERATIONS, re.MULTILINE))


def test_units_are_base_units() -> None:
    for name in FAMILIES:
        assert not re.search(r"_(ms|millis|milliseconds|minutes|kb|mb|percent)(_|$)", name)


def test_lag_of_group_and_worker() -> None:
    """Offset 5 is next of 7, and 4 is committed: two wait, three are not acknowledged."""
    values: dict[str, Any] = {name: f.samples for name, f in FAMILIES.items()}
    assert [s.value for s in values["genrestream_consumer_lag_messages"]] == [2]
    assert [s.value for s in values["genrestream_consumer_group_lag_messages"]] == [3]


@pytest.mark.parametrize(
    ("in_hand_ms", "seconds"),
    [(None, 0.0), (98_500, 1.5), (100_400, 0.0)],  # idle, behind, a producer's clock ahead
)
def test_lag_to_live(in_hand_ms: int | None, seconds: float) -> None:
    assert lag_to_live(in_hand_ms, 100.0) == pytest.approx(seconds)
