"""The command line as a user runs it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path


def genrestream(
    *arguments: str, environment: Mapping[str, str] | None = None, seconds: float = 30.0
) -> subprocess.CompletedProcess[str]:
    """Run the command line as a user does."""
    return subprocess.run(
        [sys.executable, "-m", "services.cli", *arguments],
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


@contextmanager
def running(*arguments: str, environment: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command in the background; it is killed at the end if it still runs."""
    process = subprocess.Popen(
        [sys.executable, "-m", "services.cli", *arguments],
        env={**os.environ, **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def catches(pid: int, number: signal.Signals) -> bool:
    """Tell whether a process has a handler for a signal by now, or waits for it (Linux)."""
    status = Path(f"/proc/{pid}/status").read_text()
    sets = (status.partition(f"{name}:")[2].split()[0] for name in ("SigCgt", "SigBlk"))
    return any(int(found, 16) >> (number - 1) & 1 for found in sets)


def children(pid: int) -> list[int]:
    """List the child processes of a process (Linux)."""
    return [
        child for task in Path(f"/proc/{pid}/task").iterdir() for child in _children_of_thread(task)
    ]


def _children_of_thread(task: Path) -> list[int]:
    try:
        return [*map(int, (task / "children").read_text().split())]
    except (FileNotFoundError, ProcessLookupError):  # it ended while we looked
        return []


def wait_until(condition: Callable[[], bool], seconds: float) -> None:
    """Wait for a condition, or fail at the deadline."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.02)
