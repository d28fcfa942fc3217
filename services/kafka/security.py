"""How every client of ours proves itself to the broker, and what to say when one is refused.

A client library tells little when a connection fails: `explain_refusal` makes one connection of its
own and names the setting that is wrong.
"""

import asyncio
import logging
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from aiokafka.conn import create_conn
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    IllegalSaslStateError,
    KafkaError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
    UnsupportedSaslMechanismError,
)
from aiokafka.protocol.metadata import MetadataRequest

from schemas.errors import SettingsError
from services.kafka.errors import BrokerError, RightsError
from services.settings import Settings

if TYPE_CHECKING:
    from faust.types.auth import CredentialsT

logger = logging.getLogger(__name__)

_PROBE_SECONDS: Final = 5.0
_PROTOCOL: Final = "KAFKA_SECURITY_PROTOCOL"


def client_options(settings: Settings) -> dict[str, Any]:
    """Return the arguments that connect any aiokafka client: address, protocol, credentials.

    Raises
    ------
    SettingsError
        A certificate or key cannot be used.
    """
    options: dict[str, Any] = {
        "bootstrap_servers": settings.brokers,
        "security_protocol": settings.security_protocol,
    }
    if settings.uses_tls:
        options["ssl_context"] = tls_context(settings)
    if settings.uses_sasl:
        assert settings.sasl_password
        if settings.security_protocol == "SASL_PLAINTEXT" and settings.sasl_mechanism == "PLAIN":
            _warn_of_plaintext()
        options |= {
            "sasl_mechanism": settings.sasl_mechanism,
            "sasl_plain_username": settings.sasl_username,
            "sasl_plain_password": settings.sasl_password.get_secret_value(),
        }
    return options


def faust_credentials(settings: Settings) -> "CredentialsT | None":
    """Return the same for a faust app; ``None`` for plaintext."""
    from faust import SASLCredentials, SSLCredentials

    options = client_options(settings)
    context = options.get("ssl_context")
    if settings.uses_sasl:
        return SASLCredentials(
            username=options["sasl_plain_username"],
            password=options["sasl_plain_password"],
            mechanism=options["sasl_mechanism"],
            ssl_context=context,
        )
    return SSLCredentials(context) if context else None


def tls_context(settings: Settings) -> ssl.SSLContext:
    """Return a context that checks the broker's certificate and host name.

    Raises
    ------
    SettingsError
        A certificate or key cannot be used.
    """
    cafile, certfile = settings.ssl_cafile, settings.ssl_certfile
    try:
        context = ssl.create_default_context(cafile=cafile)
    except OSError as error:  # an ssl.SSLError, too
        raise SettingsError(
            f"setting KAFKA_SSL_CAFILE={str(cafile)!r} holds no certificate in PEM: {error}"
        ) from error
    if certfile:
        password = settings.ssl_key_password
        secret = password.get_secret_value() if password else ""  # "" rather than a prompt
        try:
            context.load_cert_chain(certfile, settings.ssl_keyfile, secret)
        except OSError as error:
            raise SettingsError(
                f"setting KAFKA_SSL_CERTFILE={str(certfile)!r} with its key in KAFKA_SSL_KEYFILE "
                f"cannot be loaded: {error}; give both in PEM, and KAFKA_SSL_KEY_PASSWORD if the "
                "key is encrypted"
            ) from error
    return context


@cache
def _warn_of_plaintext() -> None:
    """Warn, once a process, of a password that anybody on the way can read."""
    logger.warning(
        "KAFKA_SASL_MECHANISM=PLAIN with KAFKA_SECURITY_PROTOCOL=SASL_PLAINTEXT sends the password "
        "unencrypted: choose SASL_SSL, or SCRAM-SHA-512"
    )


def lost_right(error: BaseException) -> RightsError | None:
    """Return the error for a right that was taken away; ``None`` where it is another fault."""
    kinds = {TopicAuthorizationFailedError: "topic", GroupAuthorizationFailedError: "group"}
    kind = kinds.get(type(error))
    if kind is None:
        return None
    names = error.args[0] if error.args else "?"
    name = names if isinstance(names, str) else ", ".join(sorted(names))
    return RightsError(
        f"the brokers no longer let this user use the {kind} {name}: give it the rights that the "
        "table in docs/security.md lists"
    )


@contextmanager
def naming_lost_rights() -> Iterator[None]:
    """Raise `RightsError` in place of what a client raises where a right was taken away."""
    try:
        yield
    except KafkaError as error:
        if lost := lost_right(error):
            raise lost from error
        raise


async def explain_refusal(settings: Settings, error: BaseException | None = None) -> BrokerError:
    """Find out why no client connects, or why one was refused by this error.

    Returns
    -------
    An error of one line that names the address and the setting to look at, and holds no secret.
    """
    if error is not None and (lost := lost_right(error)):
        return lost
    errors = []
    for server in settings.brokers.split(","):
        host, _, port = server.strip().rpartition(":")
        try:
            await _connect(settings, host.strip("[]"), int(port))
        except (KafkaError, OSError, TimeoutError) as error:
            reason = await _reason(settings, host.strip("[]"), int(port), error)
            if reason:
                return BrokerError(f"the Kafka broker at {server} refuses us: {reason}")
            errors.append(error)
    return BrokerError(
        f"no Kafka broker answers at {settings.brokers}: start one (genrestream up) or set "
        "KAFKA_BOOTSTRAP_SERVERS"
    )


async def _connect(settings: Settings, host: str, port: int) -> None:
    """Connect once and ask for metadata, which a broker that wants SASL refuses without it."""
    options = client_options(settings)
    del options["bootstrap_servers"]
    timeout_ms = round(1000 * _PROBE_SECONDS)
    connection = await create_conn(host, port, request_timeout_ms=timeout_ms, **options)
    try:
        await connection.send(MetadataRequest([]))
    finally:
        connection.close()


async def _reason(settings: Settings, host: str, port: int, error: BaseException) -> str | None:
    """Put a failed connection in words; ``None`` when there is nobody at the address."""
    protocol = settings.security_protocol
    if isinstance(error, SaslAuthenticationFailed):
        return "it does not know this KAFKA_SASL_USERNAME with this KAFKA_SASL_PASSWORD"
    if isinstance(error, UnsupportedSaslMechanismError):
        return f"it does not offer KAFKA_SASL_MECHANISM={settings.sasl_mechanism}"
    if isinstance(error, IllegalSaslStateError):
        return f"its port wants no SASL: {_PROTOCOL}={protocol} does not fit"
    if isinstance(error, ssl.SSLCertVerificationError):
        return _distrust(settings, error)
    if isinstance(error, ConnectionRefusedError | TimeoutError) and not isinstance(
        error, KafkaError
    ):
        return None
    speaks_tls = await _speaks_tls(host, port)
    if speaks_tls and not settings.uses_tls:
        return f"its port speaks TLS: {_PROTOCOL}={protocol} must be SSL or SASL_SSL"
    if settings.uses_tls and not speaks_tls:
        return f"its port speaks no TLS: {_PROTOCOL}={protocol} does not fit"
    if isinstance(error, ssl.SSLError) or _ends_in_tls(error):
        return (
            "it does not accept our certificate: set KAFKA_SSL_CERTFILE and KAFKA_SSL_KEYFILE to "
            f"one of its clients' ({_tls_reason(error)})"
        )
    if isinstance(error, KafkaError):
        return f"it closed the connection: is {_PROTOCOL}={protocol} that of its port?"
    return None


def _distrust(settings: Settings, error: ssl.SSLCertVerificationError) -> str:
    """Tell a certificate of another host from one of an unknown authority."""
    text = error.verify_message
    if "expired" in text:
        return f"its certificate has expired: renew it at the broker ({text})"
    if "ostname" in text or "IP address" in text:
        return (
            f"its certificate is for another host: name the host that it states in "
            f"KAFKA_BOOTSTRAP_SERVERS ({text})"
        )
    trusted = f"={str(settings.ssl_cafile)!r}" if settings.ssl_cafile else ", which is not set,"
    return f"its certificate is not signed by the authority in KAFKA_SSL_CAFILE{trusted} ({text})"


async def _speaks_tls(host: str, port: int) -> bool:
    """Tell whether a TLS handshake gets an answer; nothing is sent over it."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        async with asyncio.timeout(_PROBE_SECONDS):
            _, writer = await asyncio.open_connection(host, port, ssl=context)
    except (OSError, TimeoutError):
        return False
    writer.transport.abort()
    return True


def _ends_in_tls(error: BaseException) -> bool:
    return isinstance(error.__cause__, ssl.SSLError)


def _tls_reason(error: BaseException) -> str:
    cause = error if isinstance(error, ssl.SSLError) else error.__cause__
    return str(getattr(cause, "reason", None) or cause)
