"""No service is forgotten where it is run, secured and watched."""

from pathlib import Path
from typing import Any

import yaml

from services.kafka.rights import USERS
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


def test_whatever_talks_to_kafka_does_so_as_a_user_with_its_rights() -> None:
    rights = SECURE["rights"]["environment"]
    users = {
        client: service["environment"]["KAFKA_SASL_USERNAME"]
        for client, service in SECURE.items()
        if "KAFKA_SASL_USERNAME" in service.get("environment", {})
    }
    assert users == {user: user for user in {*SERVICES, "lag"}} | {"topics": "operator"}
    assert set(users.values()) == set(USERS)
    for client, user in users.items():
        variable = f"KAFKA_PASSWORD_{user.upper()}"
        password = SECURE[client]["environment"]["KAFKA_SASL_PASSWORD"]
        assert password.startswith(f"${{{variable}:-${{KAFKA_SASL_PASSWORD:?")
        assert rights[variable] == f"${{{variable}:-}}"


def test_users_have_their_rights_before_anybody_begins() -> None:
    assert SECURE["rights"]["depends_on"] == {"broker": {"condition": "service_healthy"}}
    completed = {"condition": "service_completed_successfully"}
    assert SECURE["topics"]["depends_on"]["rights"] == completed
    for client in {*SERVICES, "lag"}:
        assert COMPOSE[client]["depends_on"]["topics"] == completed


def test_the_broker_refuses_what_is_not_allowed() -> None:
    broker = SECURE["broker"]["environment"]
    name = "org.apache.kafka.metadata.authorizer.StandardAuthorizer"
    assert broker["KAFKA_AUTHORIZER_CLASS_NAME"] == name
    assert broker["KAFKA_ALLOW_EVERYONE_IF_NO_ACL_FOUND"] == "false"
    assert "PLAINTEXT" not in broker["KAFKA_LISTENER_SECURITY_PROTOCOL_MAP"]


def test_the_scripts_put_no_password_on_a_command_line() -> None:
    for script in ("add-user.sh", "rights.sh"):
        text = (ROOT / "deploy/secure" / script).read_text()
        for line in text.replace("\\\n", " ").splitlines():
            if "kafka-" in line and not line.lstrip().startswith("#"):
                assert "PASSWORD" not in line.upper(), line


def test_prometheus_finds_every_service() -> None:
    (job,) = [job for job in PROMETHEUS["scrape_configs"] if job["job_name"] == "genrestream"]
    assert set(job["dns_sd_configs"][0]["names"]) == WATCHED | {"lag"}
