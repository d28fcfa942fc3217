"""Apache Kafka for tests: one broker in KRaft mode, from the jars that Maven resolves.

It can be killed, paused and restarted: its log outlives it, in a folder of the caller.
"""

import hashlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Final

from services.kafka.embedded_broker import HOST, free_port
from terminal.processes import die_with_parent

_POM: Final = Path(__file__).with_name("pom.xml")
_CACHE: Final = Path(__file__).parents[2] / ".cache"
_MAVEN_SECONDS: Final = 300.0
_START_SECONDS: Final = 60.0
_STOP_SECONDS: Final = 20.0
_CLUSTER_ID: Final = "Z2VucmVzdHJlYW0tdGVzdA"
#: Of any broker for tests.
SETTINGS: Final = {
    "process.roles": "broker,controller",
    "node.id": 1,
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "message.max.bytes": 6 * 1024 * 1024,
    "num.partitions": 1,
    "auto.create.topics.enable": "false",
    "offsets.topic.replication.factor": 1,
    "offsets.topic.num.partitions": 4,
    "transaction.state.log.replication.factor": 1,
    "transaction.state.log.min.isr": 1,
    "group.initial.rebalance.delay.ms": 0,
    "group.min.session.timeout.ms": 3000,  # Kafka's own minimum of 6 s would slow the tests
}


class KafkaUnavailable(Exception):
    """Apache Kafka cannot run on this machine, or did not start; the message says why."""


class Kafka:
    """A broker process; `start` it before anything else, and `stop` it at the end.

    Parameters
    ----------
    folder
        An empty folder for its log and settings.
    settings
        Broker settings beside our own.

    Attributes
    ----------
    address
        Its bootstrap address, the same after a restart.
    """

    def __init__(self, folder: Path, settings: Mapping[str, object] | None = None) -> None:
        self._folder = folder
        self._settings = settings or {}
        self._controller = f"{HOST}:{free_port()}"
        self.address = f"{HOST}:{free_port()}"
        self._process: subprocess.Popen[bytes] | None = None
        self._properties = folder / "server.properties"
        self._write_properties()
        self._format()

    def _write_properties(self) -> None:
        listeners = f"PLAINTEXT://{self.address},CONTROLLER://{self._controller}"
        settings = {
            **SETTINGS,
            **self._settings,
            "listeners": listeners,
            "advertised.listeners": f"PLAINTEXT://{self.address}",
            "controller.quorum.bootstrap.servers": self._controller,
            "log.dirs": self._folder / "log",
        }
        text = "".join(f"{name}={value}\n" for name, value in settings.items())
        self._properties.write_text(text)

    def _format(self) -> None:
        _run(_java("kafka.tools.StorageTool", *self._format_arguments()), _START_SECONDS)

    def _format_arguments(self) -> list[str]:
        return ["format", "--standalone", "-t", _CLUSTER_ID, "-c", str(self._properties)]

    def start(self) -> None:
        """Start the broker and wait until it serves clients.

        Raises
        ------
        KafkaUnavailable
            It ended or is not ready in time.
        """
        with self._output.open("ab") as output:
            self._process = subprocess.Popen(
                _java(*self._options(), "kafka.Kafka", str(self._properties)),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=die_with_parent,
            )
        deadline = time.monotonic() + _START_SECONDS
        while not _answers(self.address):
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise KafkaUnavailable(f"Kafka did not start: {self._output.read_text()[-2000:]}")
            time.sleep(0.05)

    def _options(self) -> list[str]:
        """Return options of Java beside those of every start."""
        return []

    @property
    def _output(self) -> Path:
        return self._folder / "output.log"

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal, such as SIGSTOP and SIGCONT, to the broker."""
        assert self._process, "start Kafka first"
        self._process.send_signal(number)

    def kill(self) -> None:
        """End the broker as a crash would."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End the broker in order; a paused or stuck one is killed."""
        self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(number)
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None


@cache
def jars() -> Path:
    """Return the folder of the broker's jars, resolved once and kept in ``.cache``.

    Raises
    ------
    KafkaUnavailable
        Java or Maven is missing, or Maven cannot resolve them.
    """
    missing = [program for program in ("java", "mvn") if not shutil.which(program)]
    if missing:
        raise KafkaUnavailable(
            f"no {' and no '.join(missing)} on the path: install them (Java 17 or later), or name "
            "a Kafka broker by KAFKA_BOOTSTRAP_SERVERS"
        )
    digest = hashlib.sha256(_POM.read_bytes()).hexdigest()[:12]
    folder = _CACHE / f"kafka-{digest}"
    if not folder.is_dir():
        _resolve(folder)
    return folder


def _resolve(folder: Path) -> None:
    """Copy the jars, so that the folder is there only when it is complete."""
    partial = folder.with_name(f"{folder.name}.{os.getpid()}")
    goal = ["dependency:copy-dependencies", "-DincludeScope=runtime"]
    _run(
        ["mvn", "-B", "-q", "-f", str(_POM), *goal, f"-DoutputDirectory={partial}"], _MAVEN_SECONDS
    )
    try:
        partial.rename(folder)
    except OSError:  # another process was faster
        shutil.rmtree(partial)


def _java(*arguments: str) -> list[str]:
    heap = ["-Xms128m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
    return ["java", *heap, "-cp", f"{jars()}/*", *arguments]


def _run(command: list[str], seconds: float) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired as error:
        raise KafkaUnavailable(f"{command[0]} did not end within {seconds:g} s") from error
    if done.returncode:
        reason = (done.stderr or done.stdout).strip()[-2000:]
        raise KafkaUnavailable(f"{command[0]} failed: {reason}")


def _answers(address: str) -> bool:
    host, _, port = address.rpartition(":")
    with closing(socket.socket()) as probe:
        probe.settimeout(0.5)
        return probe.connect_ex((host, int(port))) == 0
