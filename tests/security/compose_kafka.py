"""The broker of ``compose.secure.yaml`` without containers: its settings, scripts and users."""

import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from services.kafka.embedded_broker import HOST, free_port
from services.settings import Settings, load_settings
from tests.faults.kafka import Kafka, jars
from tests.security.kafka import make_certificates

ROOT: Final = Path(__file__).parents[2]
SCRIPTS: Final = ROOT / "deploy" / "secure"
#: Kafka's tools by the names that they have in its image.
TOOLS: Final = ROOT / "tests" / "compose" / "kafka"
PASSWORD: Final = "correct-horse-battery-staple"  # noqa: S105 - of a broker that lives for a test
_VARIABLE: Final = re.compile(r"\$\{(\w+)(?::([-?])([^${}]*))?\}")
_SCRIPT_SECONDS: Final = 300.0
#: The authorizer tells whom it allowed and denied what.
_LOGGING: Final = """\
appender.audit.type=File
appender.audit.name=audit
appender.audit.fileName={file}
appender.audit.layout.type=PatternLayout
appender.audit.layout.pattern=%m%n
logger.audit.name=kafka.authorizer.logger
logger.audit.level=debug
logger.audit.additivity=false
logger.audit.appenderRef.audit.ref=audit
rootLogger.level=error
"""
_DECISION: Final = re.compile(
    r"Principal = User:(\S+) is (\w+) operation = (\w+) from host = \S+ "
    r"on resource = (\w+):LITERAL:(\S+) ",
    re.IGNORECASE,
)
#: User, right, kind and name.
Use = tuple[str, str, str, str]


def compose_environment(service: str, variables: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a service of both compose files, as compose works it out."""
    found: dict[str, Any] = {}
    for name in ("docker-compose.yml", "compose.secure.yaml"):
        services = yaml.safe_load((ROOT / name).read_text())["services"]
        found |= services.get(service, {}).get("environment", {})
    return {
        name: resolved(str(value), variables) for name, value in found.items() if value is not None
    }


def resolved(text: str, variables: Mapping[str, str]) -> str:
    """Put the values of variables into a text of compose, the innermost first.

    >>> resolved("${A:-${B:?choose}}-${C:-}", {"B": "b"})
    'b-'
    """

    def value(match: re.Match[str]) -> str:
        name, sign, other = match.groups()
        found = variables.get(name)
        if not found and sign == "?":
            raise KeyError(f"{name}: {other}")
        return found or other or ""

    while (replaced := _VARIABLE.sub(value, text)) != text:
        text = replaced
    return text


class ComposeKafka(Kafka):
    """The broker, prepared by ``add-user.sh``; `address` is that of its port for this machine.

    Parameters
    ----------
    folder
        An empty folder.
    variables
        What an operator sets for compose.
    """

    def __init__(self, folder: Path, variables: Mapping[str, str]) -> None:
        self.variables = variables
        self.certificates = make_certificates(folder / "certificates")
        self.internal = f"{HOST}:{free_port()}"
        super().__init__(folder)

    def _write_properties(self) -> None:
        environment = compose_environment("broker", self.variables)
        properties = {
            _property(name): value
            for name, value in environment.items()
            if name.startswith("KAFKA_")
        }
        port = self._controller.rpartition(":")[2]
        listeners = f"INTERNAL://{self.internal},HOST://{self.address}"
        properties |= {
            "listeners": f"{listeners},CONTROLLER://localhost:{port}",
            "advertised.listeners": listeners,
            "controller.quorum.voters": f"1@localhost:{port}",
            "log.dirs": str(self._folder / "log"),
            "offsets.topic.num.partitions": "4",
            "group.min.session.timeout.ms": "3000",
        }
        text = "".join(f"{name}={value}\n" for name, value in properties.items())
        self._properties.write_text(text.replace("/certificates/", f"{self.certificates}/"))

    def _options(self) -> list[str]:
        configuration = self._folder / "log4j2.properties"
        configuration.write_text(_LOGGING.format(file=self._folder / "audit.log"))
        return [f"-Dlog4j2.configurationFile={configuration}"]

    def decisions(self) -> dict[str, set[Use]]:
        """Return what the authorizer decided so far, ``allowed`` and ``denied``."""
        found: dict[str, set[Use]] = {"allowed": set(), "denied": set()}
        for match in _DECISION.finditer((self._folder / "audit.log").read_text()):
            user, decision, right, kind, name = match.groups()
            found[decision.lower()].add((user, right.lower(), kind.lower(), name))
        return found

    def _format(self) -> None:
        environment = compose_environment("broker-user", self.variables)
        done = self._run_script("add-user.sh", environment | {"LOG_DIRS": f"{self._folder}/log"})
        assert done.returncode == 0, done.stderr

    def give_rights(self, *arguments: str, **others: str) -> "subprocess.CompletedProcess[str]":
        """Run ``rights.sh`` as compose does."""
        environment = compose_environment("rights", self.variables) | {
            "BOOTSTRAP_SERVERS": self.internal,
            "SSL_CAFILE": str(self.certificates / "ca.pem"),
        }
        return self._run_script("rights.sh", environment | others, *arguments)

    def _run_script(
        self, name: str, environment: Mapping[str, str], *arguments: str
    ) -> "subprocess.CompletedProcess[str]":
        tools = {"KAFKA_BIN": str(TOOLS), "KAFKA_JARS": str(jars())}
        return subprocess.run(
            ["bash", str(SCRIPTS / name), *arguments],
            env={**os.environ, **tools, **environment},
            capture_output=True,
            text=True,
            timeout=_SCRIPT_SECONDS,
            check=False,
        )

    def run_tool(self, tool: str, *arguments: str) -> str:
        """Run a tool of Kafka as the user who may do everything; return what it prints."""
        client = self._folder / "client.properties"
        login = "org.apache.kafka.common.security.scram.ScramLoginModule required"
        client.write_text(
            "security.protocol=SASL_SSL\nsasl.mechanism=SCRAM-SHA-512\n"
            f'sasl.jaas.config={login} username="genrestream" password="{PASSWORD}";\n'
            f"ssl.truststore.type=PEM\nssl.truststore.location={self.certificates}/ca.pem\n"
        )
        where = ["--bootstrap-server", self.internal, "--command-config", str(client)]
        return subprocess.run(
            [TOOLS / tool, *where, *arguments],
            env={**os.environ, "KAFKA_JARS": str(jars())},
            capture_output=True,
            text=True,
            timeout=_SCRIPT_SECONDS,
            check=True,
        ).stdout

    def service(self, name: str) -> dict[str, str]:
        """Return the environment that compose gives a service, at our addresses."""
        return compose_environment(name, self.variables) | {
            "KAFKA_BOOTSTRAP_SERVERS": self.internal,
            "KAFKA_SSL_CAFILE": str(self.certificates / "ca.pem"),
        }

    def client(self, user: str, password: str = PASSWORD) -> dict[str, str]:
        """Return the environment of a client on this machine."""
        return self.service("lag") | {
            "KAFKA_BOOTSTRAP_SERVERS": self.address,
            "KAFKA_SASL_USERNAME": user,
            "KAFKA_SASL_PASSWORD": password,
        }

    def settings(self, user: str, password: str = PASSWORD) -> Settings:
        """Return the settings of a client on this machine."""
        return load_settings(
            bootstrap_servers=self.address,
            security_protocol="SASL_SSL",
            sasl_username=user,
            sasl_password=password,
            ssl_cafile=self.certificates / "ca.pem",
        )


def _property(variable: str) -> str:
    """Name the broker's setting of a variable, as Kafka's image does."""
    name = variable.removeprefix("KAFKA_").lower()
    return name.replace("___", "-").replace("__", "\0").replace("_", ".").replace("\0", "_")
