"""The whole system on one machine: a broker, the topics and one process a service."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from pydantic import SecretStr

from schemas.errors import GenrestreamError, SettingsError
from services.classifier.model import load_heads, load_model, require_feature_set
from services.kafka.embedded_broker import (
    SESSION_TIMEOUT_SECONDS,
    embedded_broker,
)
from services.kafka.topics import create_topics
from services.settings import Settings, variable_names
from terminal.processes import die_with_parent

_SERVICES: Final[Sequence[str]] = ("extractor", "classifier")
_STOP_SECONDS: Final = 4.5
_WATCH_SECONDS: Final = 0.2


class WorkerStopped(GenrestreamError):
    """A worker process ended while it was needed."""

    code = "worker-stopped"


@dataclass(frozen=True, slots=True)
class Stack:
    """A running system.

    Attributes
    ----------
    settings
        With the address of the broker.
    workers
        The processes, by service.
    """

    settings: Settings
    workers: dict[str, subprocess.Popen[bytes]]

    async def while_running(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something that needs the workers.

        Raises
        ------
        WorkerStopped
            A worker ended before the work did.
        """
        task = asyncio.ensure_future(work)
        try:
            while not (await asyncio.wait([task], timeout=_WATCH_SECONDS))[0]:
                self._check()
            await task
        finally:
            task.cancel()
            await asyncio.wait([task])

    def _check(self) -> None:
        for service, process in self.workers.items():
            if process.poll() is not None:
                raise WorkerStopped(
                    f"the {service} stopped with exit code {process.returncode}: "
                    "its log above tells why"
                )


@asynccontextmanager
async def running_stack(
    settings: Settings,
    *,
    port: int | None = None,
    log_level: str | None = None,
    services: Sequence[str] = _SERVICES,
) -> AsyncIterator[Stack]:
    """Run the system for the duration of an ``async with`` block.

    Parameters
    ----------
    settings
        Without bootstrap servers an embedded broker is started.
    port
        Of the embedded broker; any free one when not given.
    log_level
        Of the workers, when not that of the settings.
    services
        To run.

    Raises
    ------
    BrokerError
        No broker answers or starts, or the topics cannot be created.
    ModelError
        The model cannot be used.
    SettingsError
        TLS or SASL is asked of the embedded broker.
    """
    model = load_model(settings.model_path)
    require_feature_set(model, settings.feature_sets)
    load_heads(settings.head_paths, model)
    async with AsyncExitStack() as resources:
        if settings.bootstrap_servers is None:
            if settings.security_protocol != "PLAINTEXT":
                raise SettingsError(
                    f"KAFKA_SECURITY_PROTOCOL={settings.security_protocol}, but the embedded "
                    "broker speaks plaintext only: set KAFKA_BOOTSTRAP_SERVERS, too"
                )
            address = resources.enter_context(embedded_broker(port))
            settings = settings.model_copy(
                update={
                    "bootstrap_servers": address,
                    "session_timeout_seconds": SESSION_TIMEOUT_SECONDS,
                }
            )
        await create_topics(settings)
        settings = settings.model_copy(update={"http_port": 0})  # there are two, and one port
        environment = worker_environment(settings) | (
            {"GENRESTREAM_LOG_LEVEL": log_level} if log_level else {}
        )
        workers: dict[str, subprocess.Popen[bytes]] = {}
        resources.callback(stop_workers, workers)
        for service in services:
            workers[service] = start_worker(service, environment)
        yield Stack(settings, workers)


def worker_environment(settings: Settings) -> dict[str, str]:
    """Return the environment that gives a child process the same settings."""
    names = variable_names()
    values = {name: getattr(settings, field) for field, name in names.items()}
    ours = {name: _as_variable(value) for name, value in values.items() if value is not None}
    return {**os.environ, **ours}


def _as_variable(value: Any) -> str:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, dict):
        return json.dumps(value)
    return ",".join(value) if isinstance(value, tuple) else str(value)


def start_worker(service: str, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    """Start a worker process, which writes its log to our stderr."""
    return subprocess.Popen(  # noqa: S603 - our own arguments, no shell
        # -P: what lies in the current folder, such as faust.py or features/, is not imported
        [sys.executable, "-P", "-m", "services.cli", "worker", service],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr,
        start_new_session=True,  # Ctrl-C is ours to handle
        preexec_fn=die_with_parent,
    )


def stop_workers(workers: dict[str, subprocess.Popen[bytes]]) -> None:
    """Stop workers by SIGTERM, and by SIGKILL what is still there after some seconds."""
    for process in workers.values():
        process.terminate()
    for process in workers.values():
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
