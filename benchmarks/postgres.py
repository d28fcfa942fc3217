"""Debian's PostgreSQL in a folder of its own, as the user that its programs ask for."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from services.kafka.embedded_broker import free_port

PASSWORD = "p@ss/word:%"  # noqa: S105 - of the test
URL_PASSWORD = "p%40ss%2Fword%3A%25"  # noqa: S105 - the same


class PostgresUnavailable(Exception):
    """There is no PostgreSQL on this machine."""


@dataclass
class Postgres:
    """A server: it may be killed and started again."""

    binaries: Path
    folder: Path
    port: int

    @property
    def url(self) -> str:
        """Address of the server's own database, with the password."""
        return f"postgresql://postgres:{URL_PASSWORD}@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        """Start, and wait until it takes connections."""
        options = f"-p {self.port} -k {self.folder} -c listen_addresses=127.0.0.1"
        self._run("pg_ctl", "-D", f"{self.folder}/data", "-w", "-o", options, "-l",
                  f"{self.folder}/log", "start")  # fmt: skip

    def stop(self, mode: str = "immediate") -> None:
        """Stop; ``immediate`` is without tidying up, as by a loss of power."""
        self._run("pg_ctl", "-D", f"{self.folder}/data", "-m", mode, "-w", "stop")

    def kill(self) -> None:
        """End its processes by SIGKILL; `start` brings it back."""
        lock = self.folder / "data" / "postmaster.pid"
        leader = int(lock.read_text().split()[0])
        children = Path(f"/proc/{leader}/task/{leader}/children").read_text().split()
        for pid in (leader, *map(int, children)):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        while any(map(_lives, (leader, *map(int, children)))):
            time.sleep(0.01)
        # The number of a zombie would count as a server that runs.
        lock.unlink(missing_ok=True)
        (self.folder / f".s.PGSQL.{self.port}.lock").unlink(missing_ok=True)

    def initialise(self) -> None:
        """Make its folder of data."""
        secret = self.folder / "password"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        self._run("initdb", "-D", f"{self.folder}/data", "-U", "postgres", "-A", "scram-sha-256",
                  "--pwfile", str(secret), "-E", "UTF8", "--locale=C.UTF-8")  # fmt: skip

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self.binaries / program), *arguments]
        if os.geteuid() == 0:
            command = ["runuser", "-u", "postgres", "--", *command]
        done = subprocess.run(  # noqa: S603 - PostgreSQL's own programs
            command,
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE if program == "initdb" else subprocess.DEVNULL,
            cwd=self.folder,
        )
        assert done.returncode == 0, f"{program}: {(done.stderr or b'').decode()[-500:]}"


def _lives(pid: int) -> bool:
    """Tell whether a process is there, and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@contextmanager
def postgres() -> Iterator[Postgres]:
    """Run a server for the duration of a ``with`` block."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not found:
        raise PostgresUnavailable("there is no PostgreSQL: apt install postgresql")
    folder = Path(tempfile.mkdtemp(prefix="genrestream-postgres-"))
    if os.geteuid() == 0:
        os.chown(folder, pwd.getpwnam("postgres").pw_uid, -1)
    server = Postgres(found[-1], folder, free_port())
    try:
        server.initialise()
        server.start()
        yield server
        server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
