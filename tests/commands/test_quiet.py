"""Nothing reports home: no look-up, no connection elsewhere, no file outside of our folders.

ONNX Runtime's wheels do all of that unless they are told not to, from 1.29 on.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.audio import encode, integers, music
from tests.commands.terminals import GENRESTREAM

MODEL = ("--model", "mlp-seed-25")
needs_strace = pytest.mark.skipif(shutil.which("strace") is None, reason="there is no strace")
#: Connections that leave the machine: all but those to itself, to a socket file or to nothing.
_ELSEWHERE = re.compile(
    r'connect\(.*AF_INET6?.*(?:inet_addr\("(?!127\.|0\.0\.0\.0)|inet_pton\(AF_INET6, "(?!::1"|::"))'
)
_WRITES = re.compile(r'open(?:at)?\((?:AT_FDCWD, )?"([^"]+)", [^)]*O_(?:WRONLY|RDWR|CREAT)')
_FOLDERS = re.compile(r'mkdir(?:at)?\((?:AT_FDCWD, )?"([^"]+)"')


@pytest.fixture
def song(tmp_path: Path) -> Path:
    path = tmp_path / "song.wav"
    path.write_bytes(encode(integers(music(4.0, 22_050)), 22_050, "WAV", "PCM_16"))
    return path


def at_home(tmp_path: Path) -> dict[str, str]:
    """Return an environment with a home folder of its own, and nothing that turns anything off."""
    home = tmp_path / "home"
    home.mkdir(exist_ok=True)
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "LANG")}
    return {**kept, "HOME": str(home), "TMPDIR": str(tmp_path)}


def test_classify_leaves_nothing_at_home(song: Path, tmp_path: Path) -> None:
    command = [*GENRESTREAM, "classify", *MODEL, str(song)]
    done = subprocess.run(command, env=at_home(tmp_path), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert list((tmp_path / "home").iterdir()) == []


def traced(tmp_path: Path, *arguments: str) -> str:
    """Run a command by strace; return its calls."""
    calls = tmp_path / "calls"
    watched = "trace=connect,sendto,openat,open,mkdir,mkdirat"
    command = ["strace", "-f", "-qq", "-s", "300", "-o", str(calls), "-e", watched, *GENRESTREAM]
    done = subprocess.run(
        [*command, *arguments], env=at_home(tmp_path), capture_output=True, check=False, timeout=150
    )
    assert done.returncode == 0, done.stderr
    return calls.read_text(errors="replace")


def written_outside(calls: str, tmp_path: Path) -> list[str]:
    """List the files and folders that were made outside of the folders that are ours."""
    ours = (str(tmp_path), "/dev/", "/proc/self/", "/proc/", str(Path(__file__).parents[2]))
    python = tuple({sys.prefix, sys.base_prefix, str(Path(sys.executable).resolve().parents[1])})
    found = [path for line in calls.splitlines() for path in _paths(line)]
    return [path for path in found if path.startswith("/") and not path.startswith(ours + python)]


def _paths(line: str) -> list[str]:
    return [] if " = -1 " in line else _WRITES.findall(line) + _FOLDERS.findall(line)


@needs_strace
@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(("classify",), id="classify"),
        pytest.param(("demo",), id="demo", marks=pytest.mark.machine),  # broker, workers, producer
    ],
)
def test_nothing_leaves_the_machine(arguments: tuple[str, ...], song: Path, tmp_path: Path) -> None:
    calls = traced(tmp_path, *arguments, str(song))
    assert "openat" in calls
    assert _ELSEWHERE.findall(calls) == []
    assert "resolv.conf" not in calls
    assert written_outside(calls, tmp_path) == []
    assert list((tmp_path / "home").iterdir()) == []


def test_a_connection_elsewhere_would_be_found(tmp_path: Path) -> None:
    line = (
        '7 connect(3, {sa_family=AF_INET, sin_port=htons(443), sin_addr=inet_addr("{}")}, 16) = 0'
    )
    assert _ELSEWHERE.search(line.replace("{}", "20.42.73.31"))
    assert not _ELSEWHERE.search(line.replace("{}", "127.0.0.1"))
    made = '7 openat(AT_FDCWD, "/home/me/.cache/x.db", O_RDWR|O_CREAT|O_CLOEXEC, 0644) = 3'
    assert written_outside(made, tmp_path) == ["/home/me/.cache/x.db"]
