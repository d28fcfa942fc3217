"""Apache Kafka with TLS and SASL, beside the plaintext port of the other tests."""

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from services.kafka.embedded_broker import HOST, free_port
from tests.faults.kafka import Kafka

CERTIFICATES: Final = Path(__file__).parents[2] / "deploy" / "secure" / "certificates.sh"
USER: Final = "genrestream"
PASSWORD: Final = "correct-horse-battery-staple"  # noqa: S105 - of a broker that lives for a test
#: Listener, its security protocol, and whether clients show a certificate.
_LISTENERS: Final = {"SCRAM": "SASL_SSL", "PLAIN": "SASL_PLAINTEXT", "MUTUAL": "SSL"}
_JAAS: Final = "org.apache.kafka.common.security"


def make_certificates(folder: Path) -> Path:
    """Make an authority and its certificates for this host."""
    subprocess.run([CERTIFICATES, folder, "localhost", HOST], check=True, timeout=30)
    return folder


class SecureKafka(Kafka):
    """A broker with the listeners SCRAM, PLAIN and MUTUAL, and one user.

    Attributes
    ----------
    certificates
        Folder of ``ca.pem``, ``client.pem`` and ``client.key``.
    ports
        Bootstrap address by listener.
    """

    def __init__(self, folder: Path) -> None:
        self.certificates = make_certificates(folder / "certificates")
        self.ports = {name: f"{HOST}:{free_port()}" for name in _LISTENERS}
        super().__init__(folder)

    def _write_properties(self) -> None:
        super()._write_properties()
        lines = dict(line.split("=", 1) for line in self._properties.read_text().splitlines())
        for name in ("listeners", "advertised.listeners"):
            lines[name] += "".join(f",{name}://{at}" for name, at in self.ports.items())
        lines["listener.security.protocol.map"] += "".join(
            f",{name}:{protocol}" for name, protocol in _LISTENERS.items()
        )
        lines |= self._security()
        self._properties.write_text("".join(f"{name}={value}\n" for name, value in lines.items()))

    def _security(self) -> Mapping[str, str]:
        store, trusted = self.certificates / "broker.pem", self.certificates / "ca.pem"
        plain = f'{_JAAS}.plain.PlainLoginModule required user_{USER}="{PASSWORD}";'
        return {
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(store),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(trusted),
            "listener.name.mutual.ssl.client.auth": "required",
            "listener.name.scram.sasl.enabled.mechanisms": "SCRAM-SHA-256,SCRAM-SHA-512",
            "listener.name.scram.scram-sha-256.sasl.jaas.config": _scram(),
            "listener.name.scram.scram-sha-512.sasl.jaas.config": _scram(),
            "listener.name.plain.sasl.enabled.mechanisms": "PLAIN",
            "listener.name.plain.plain.sasl.jaas.config": plain,
        }

    def _format_arguments(self) -> list[str]:
        users = [
            f"{mechanism}=[name={USER},password={PASSWORD}]"
            for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512")
        ]
        added = [argument for user in users for argument in ("--add-scram", user)]
        return [*super()._format_arguments(), *added]

    def variables(self, listener: str, **others: str) -> dict[str, str]:
        """Return the environment of a client that does everything right, but for `others`."""
        protocol = _LISTENERS[listener]
        variables = {
            "KAFKA_BOOTSTRAP_SERVERS": self.ports[listener],
            "KAFKA_SECURITY_PROTOCOL": protocol,
        }
        if protocol.startswith("SASL"):
            mechanism = "PLAIN" if listener == "PLAIN" else "SCRAM-SHA-512"
            variables |= {
                "KAFKA_SASL_MECHANISM": mechanism,
                "KAFKA_SASL_USERNAME": USER,
                "KAFKA_SASL_PASSWORD": PASSWORD,
            }
        if protocol.endswith("SSL"):
            variables["KAFKA_SSL_CAFILE"] = str(self.certificates / "ca.pem")
        if listener == "MUTUAL":
            variables["KAFKA_SSL_CERTFILE"] = str(self.certificates / "client.pem")
            variables["KAFKA_SSL_KEYFILE"] = str(self.certificates / "client.key")
        return variables | others


def _scram() -> str:
    return f"{_JAAS}.scram.ScramLoginModule required;"
