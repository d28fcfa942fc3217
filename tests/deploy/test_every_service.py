"""No service is forgotten where it is run, secured and watched."""

from pathlib import Path
from typing import Any

import yaml

from tests.deploy.services import SERVICES

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
SECURE: dict[str, Any] = yaml.safe_load((ROOT / "compose.secure.yaml").read_text())["services"]
PROMETHEUS = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())
#: It has its metrics on the port of its page, behind a token.
WATCHED = SERVICES - {"gateway"}


def test_compose_runs_every_service() -> None:
    commands = {name: service.get("command") for name, service in COMPOSE.items()}
    assert len(SERVICES) >= 6
    for service in SERVICES:
        assert commands[service] == ["worker", service]


def test_whatever_talks_to_kafka_does_so_by_tls() -> None:
    clients = {
        name
        for name, service in COMPOSE.items()
        if "KAFKA_BOOTSTRAP_SERVERS" in service.get("environment", {})
    }
    assert clients >= SERVICES
    for client in clients:
        assert SECURE[client]["environment"]["KAFKA_SECURITY_PROTOCOL"] == "SASL_SSL"


def test_prometheus_finds_every_service() -> None:
    (job,) = [job for job in PROMETHEUS["scrape_configs"] if job["job_name"] == "genrestream"]
    assert set(job["dns_sd_configs"][0]["names"]) == WATCHED | {"lag"}
