"""Run a command whose standard error is a terminal, and take what it writes to standard output."""

import os
import pty
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress

GENRESTREAM = (sys.executable, "-m", "services.cli")


def on_terminal(
    *arguments: str, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Run ``genrestream`` with standard input and error on a terminal, and read its output."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*GENRESTREAM, *arguments],
        env={**os.environ, "TERM": "xterm", **(environment or {})},
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=theirs,
    )
    os.close(theirs)
    drawn = b""
    with suppress(OSError):  # Linux reports the end of a terminal as an error
        while data := os.read(ours, 65_536):
            drawn += data
    os.close(ours)
    assert process.stdout
    with process.stdout:
        output = process.stdout.read()
    return subprocess.CompletedProcess(process.args, process.wait(), output, drawn)
