"""Settings, from environment variables.

Every variable begins with ``GENRESTREAM_``, except the names that all Kafka users know.
"""

import os
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, FilePath, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from features import FEATURE_SETS, NETWORK_SETS
from schemas.errors import SettingsError

PREFIX: Final = "GENRESTREAM_"
DEFAULT_BOOTSTRAP_SERVERS: Final = "127.0.0.1:9092"
#: Chunks of up to this many bytes fit: a 30 s stereo WAV at 44.1 kHz has 5.3 MB, a FLAC half of it.
MAX_MESSAGE_BYTES: Final = 5 * 1024 * 1024
#: How long a broker may hold back a fetch that finds nothing. The embedded one (Tansu) does not see
#: what comes meanwhile, so this bounds the latency; it costs 50 empty fetches a second.
FETCH_WAIT_MS: Final = 20
_SECRET: Final = re.compile("PASSW|SECRET|TOKEN|CREDENTIAL|KEY_|_KEY", re.IGNORECASE)
_CREDENTIALS: Final = re.compile(r"[^\s'\",/]+@")


class Settings(BaseSettings):
    """What a service must be told. All values have a default that works on one machine."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid")

    bootstrap_servers: str | None = Field(
        None,
        validation_alias="KAFKA_BOOTSTRAP_SERVERS",
        description="Kafka brokers, host:port,…; the embedded broker when not set (demo, up)",
    )
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT",
        validation_alias="KAFKA_SECURITY_PROTOCOL",
        description="of the brokers' port: PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL",
    )
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        "SCRAM-SHA-512",
        validation_alias="KAFKA_SASL_MECHANISM",
        description="PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512",
    )
    sasl_username: str | None = Field(
        None, validation_alias="KAFKA_SASL_USERNAME", min_length=1, description="of our user"
    )
    sasl_password: SecretStr | None = Field(
        None, validation_alias="KAFKA_SASL_PASSWORD", min_length=1, description="of that user"
    )
    ssl_cafile: FilePath | None = Field(
        None,
        validation_alias="KAFKA_SSL_CAFILE",
        description="PEM file of the authority that signed the brokers' certificates; by default "
        "those that the system trusts",
    )
    ssl_certfile: FilePath | None = Field(
        None,
        validation_alias="KAFKA_SSL_CERTFILE",
        description="PEM file of our own certificate, for brokers that ask for one",
    )
    ssl_keyfile: FilePath | None = Field(
        None, validation_alias="KAFKA_SSL_KEYFILE", description="PEM file of its key"
    )
    ssl_key_password: SecretStr | None = Field(
        None, validation_alias="KAFKA_SSL_KEY_PASSWORD", description="of that key, if it has one"
    )
    topic_prefix: str = Field("", pattern=r"^[A-Za-z0-9._-]*$", description="before topic names")
    partitions: int = Field(4, ge=1, le=10_000, description="of topics that are created")
    replication_factor: int = Field(1, ge=1, le=16, description="of topics that are created")
    model: str = Field(
        "lda-musicnn-200-int8",
        description="a name from models/ or the path of an ONNX file",
    )
    heads: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="models of kind multi that tag the model's windows, names from models/tags/ or "
        "paths, with commas: tags-musicnn-200-int8 for MusiCNN's 50 tags",
    )
    tags_top: int = Field(10, ge=1, le=1000, description="tags in a message, at most")
    tags_from: float = Field(
        0.1, ge=0, le=1, description="probability below which a tag is left out"
    )
    feature_sets: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="that the extractor emits, with commas; by default that of the model"
    )
    content: bool | None = Field(
        None,
        description="whether to tell music, speech and other sound apart before the genre, by a "
        "network; by default where a network computes the features (musicnn-200, musicnn-200-int8)",
    )
    content_every: int = Field(
        1,
        ge=1,
        le=20,
        description="one window in so many is heard for content, those between are said to hold "
        "what it held: a change is told so much later",
    )
    hop_seconds: float = Field(
        3.0,
        ge=3,
        le=6,
        description="from the beginning of a window of 3 s to that of the next, in workers; what "
        "lies between is not heard",
    )
    idle_timeout_seconds: float = Field(
        30.0, ge=1, le=86_400, description="a stream without chunks for so long is closed"
    )
    max_chunk_seconds: float = Field(
        900.0, ge=1, le=86_400, description="longest audio that one message may decode to"
    )
    stream_memory_mb: int | None = Field(
        None,
        ge=1,
        le=1_000_000,
        description="that the open streams of a worker may take together, in MiB; beyond it the "
        "largest are ended. By default three tenths of the container's memory",
    )
    ffmpeg_in_workers: bool = Field(
        False,
        description="whether workers give audio that they do not decode themselves (AAC, WMA and "
        "others) to ffmpeg, a process of its own with limits; anybody may have sent it",
    )
    silence_dbfs: float = Field(
        -60.0, ge=-120, le=0, description="windows below this level are silence"
    )
    unknown_below: float | None = Field(
        None, ge=0, le=1, description="confidence below which the answer is unknown; the model's"
    )
    now_seconds: float = Field(
        30.0, ge=3, le=90, description="how much of a stream `now` is about: its last seconds"
    )
    change_seconds: float = Field(
        12.0,
        ge=3,
        le=90,
        description="`now` changes when another label has led for so long; at most now_seconds",
    )
    session_timeout_seconds: float = Field(
        45.0, ge=3, le=300, description="of the consumer groups; Kafka allows 6 s and more"
    )
    http_host: str = Field("127.0.0.1", description="address that http_port is bound to")
    http_port: int = Field(
        0,
        ge=0,
        le=65535,
        description="of a worker's /metrics, /healthz and /readyz, 0 for none; not for demo and up",
    )
    database_url: SecretStr | None = Field(
        None,
        description="of the recorder: postgresql://user:password@host/name or sqlite:///file.db; "
        "by default ~/.local/share/genrestream/history.db",
    )
    retention_days: dict[str, float] = Field(
        {},
        description="for how long the recorder keeps the rows of a table, as JSON; 0 is for ever. "
        'By default {"windows": 2, "minutes": 400, "hours": 0, "segments": 400, '
        '"station_events": 400}',
    )
    rules: Path | None = Field(None, description="of the notifier: a file of YAML")
    stations: Path | None = Field(
        None,
        description="of a receiver: a stations.yaml; commands (exec:) and sound cards are run only "
        "where they stand in it, whatever the topic stations says",
    )
    gateway_host: str = Field("127.0.0.1", description="address of the page and the API")
    gateway_port: int = Field(8350, ge=1, le=65535, description="of the page and the API")
    token: SecretStr | None = Field(
        None,
        min_length=16,
        description="that page and API ask for; needed on any gateway_host but 127.0.0.1",
    )
    gateway_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="other sites that may use the API, https://host:port with commas"
    )
    gateway_upload_mb: int = Field(500, ge=1, le=100_000, description="of an uploaded file at most")
    gateway_readers: int = Field(
        2_000, ge=1, le=100_000, description="of events by one gateway, at most"
    )
    stall_seconds: float = Field(
        60.0,
        ge=1,
        le=86_400,
        description="a worker that makes no progress for so long while messages wait is not alive",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="DEBUG shows what faust and aiokafka do, too"
    )
    log_format: Literal["auto", "human", "json"] = Field(
        "auto", description="json is an object a line; auto is human on a terminal, json elsewhere"
    )

    @field_validator("bootstrap_servers")
    @classmethod
    def _check_servers(cls, servers: str | None) -> str | None:
        for server in [] if servers is None else servers.split(","):
            host, _, port = server.strip().rpartition(":")
            if not host or not port.isdigit() or not 0 < int(port) < 65536:
                raise ValueError(f"{server!r} is no broker address: write host:port,host:port")
        return servers

    @field_validator("heads", "feature_sets", "gateway_origins", mode="before")
    @classmethod
    def _split_names(cls, value: Any) -> Any:
        return tuple(name for name in value.split(",") if name) if isinstance(value, str) else value

    @field_validator("feature_sets")
    @classmethod
    def _know_names(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [name for name in names if name not in FEATURE_SETS]
        if unknown:
            raise ValueError(f"unknown {', '.join(unknown)}: choose {', '.join(FEATURE_SETS)}")
        return names

    @model_validator(mode="after")
    def _check_change(self) -> Self:
        if self.change_seconds > self.now_seconds:
            raise ValueError(
                f"GENRESTREAM_CHANGE_SECONDS={self.change_seconds:g} is more than "
                f"GENRESTREAM_NOW_SECONDS={self.now_seconds:g}: no lead could last so long"
            )
        return self

    @model_validator(mode="after")
    def _check_security(self) -> Self:
        """Refuse credentials that would go unused: who sets them does not expect plaintext."""
        protocol = f"KAFKA_SECURITY_PROTOCOL={self.security_protocol}"
        names = variable_names()
        sasl, tls = ["sasl_username", "sasl_password"], ["ssl_cafile", "ssl_certfile"]
        unused = [*([] if self.uses_sasl else sasl), *([] if self.uses_tls else tls)]
        for field in unused:
            if getattr(self, field) is not None:
                raise ValueError(
                    f"{names[field]} is set, but {protocol} does not use it: choose "
                    "SASL_SSL for a password over TLS, SSL for TLS alone, or unset it"
                )
        for field in sasl if self.uses_sasl else []:
            if getattr(self, field) is None:
                raise ValueError(f"{names[field]} is not set: {protocol} needs it")
        if bool(self.ssl_certfile) != bool(self.ssl_keyfile):
            raise ValueError("KAFKA_SSL_CERTFILE and KAFKA_SSL_KEYFILE go together: set both")
        return self

    def wants_content(self, feature_sets: Iterable[str]) -> bool:
        """Tell whether windows from which these feature sets are extracted get their content."""
        by_network = any(name in NETWORK_SETS for name in feature_sets)
        return by_network if self.content is None else self.content

    @property
    def uses_tls(self) -> bool:
        """Whether connections are encrypted."""
        return self.security_protocol in ("SSL", "SASL_SSL")

    @property
    def uses_sasl(self) -> bool:
        """Whether we give a user name and a password."""
        return self.security_protocol.startswith("SASL_")

    @property
    def brokers(self) -> str:
        """Bootstrap servers, with the default filled in."""
        return self.bootstrap_servers or DEFAULT_BOOTSTRAP_SERVERS

    @property
    def model_path(self) -> Path:
        """Path of the ONNX file that `model` names."""
        return model_path(self.model)

    @property
    def head_paths(self) -> tuple[Path, ...]:
        """Paths of the ONNX files that `heads` names."""
        return tuple(model_path(name, "tags") for name in self.heads)


def model_path(name: str, folder: str = "") -> Path:
    """Return the ONNX file of a model: a path as it is, a plain name from ``models/``, or there."""
    if name.endswith(".onnx"):
        return Path(name)
    return Path(__file__).parents[1] / "models" / folder / f"{name}.onnx"


@cache
def variable_names() -> dict[str, str]:
    """Map each setting's field to the name of its environment variable."""
    return {
        name: str(field.validation_alias or PREFIX + name.upper())
        for name, field in Settings.model_fields.items()
    }


def load_settings(**overrides: Any) -> Settings:
    """Read the environment; keyword arguments that are not ``None`` go first.

    Raises
    ------
    SettingsError
        An unknown variable with our prefix, or a bad value: named, with the remedy.
    """
    names = variable_names()
    unknown = sorted(
        name for name in os.environ if name.startswith(PREFIX) and name not in names.values()
    )
    if unknown:
        raise SettingsError(
            f"unknown setting {unknown[0]}: remove it or use one of "
            f"{', '.join(sorted(names.values()))}"
        )
    given = {names[key]: value for key, value in overrides.items() if value is not None}
    fields = {
        (key if alias.startswith(PREFIX) else alias): given[alias]
        for key, alias in names.items()
        if alias in given
    }
    try:
        return Settings(**fields)
    except ValidationError as error:
        raise SettingsError(_explain(error)) from error


def _explain(error: ValidationError) -> str:
    first = error.errors()[0]
    reason = first["msg"].removeprefix("Value error, ")
    if not first["loc"]:  # of several settings together
        return reason
    field = str(first["loc"][0])
    variable = variable_names().get(field, field)
    shown = _shown(variable, first["input"])
    return f"setting {variable}={shown}: {_without_credentials(reason)}"


def _shown(name: str, value: object) -> str:
    """Return a value for an error message, but nothing that is, or may hold, a secret."""
    return "**********" if _SECRET.search(name) else _without_credentials(repr(value))


def _without_credentials(text: str) -> str:
    """Hide what stands before an @, as in ``user:password@host:9092``."""
    return _CREDENTIALS.sub("**********@", text)
