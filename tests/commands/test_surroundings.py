"""Commands run wherever they are typed: in any folder, without a home, on a read-only machine."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from services.console.stack import start_worker
from tests.audio import encode, integers, music
from tests.broker.shell import genrestream
from tests.commands.terminals import GENRESTREAM

MODEL = ("--model", "mlp-seed-25")
#: What people have in their folders that a worker would import in place of its own.
STRANGERS = ("faust.py", "features/__init__.py", "services.py", "numpy.py", "aiokafka.py")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in STRANGERS:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("raise SystemExit('this is not the module you look for')\n")
    data = encode(integers(music(4.0, 22_050)), 22_050, "WAV", "PCM_16")
    (tmp_path / "song.wav").write_bytes(data)
    return tmp_path


@pytest.mark.machine
def test_workers_import_nothing_from_the_current_folder(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    nowhere = {**os.environ, "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9"}
    assert start_worker("extractor", nowhere).wait(60) == 2  # no broker: that far it comes
    assert "127.0.0.1:9" in capfd.readouterr().err


def test_a_port_and_another_broker_are_refused() -> None:
    elsewhere = {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9"}
    done = genrestream("up", "--port", "9555", environment=elsewhere)
    assert done.returncode == 2
    assert "--port 9555 is that of the embedded broker, but KAFKA_BOOTSTRAP_SERVERS" in done.stderr


@pytest.mark.machine
@pytest.mark.parametrize("name", ["caf\udce9.wav", "-dash.wav", "a b'c\"d.wav", "новый.wav"])
def test_names_of_any_bytes_are_classified(name: str, folder: Path) -> None:
    path = folder / name
    shutil.copy(folder / "song.wav", path)
    for options in ((), ("--json",), ("--csv",)):
        command = [*GENRESTREAM, "classify", *MODEL, *options, str(path)]
        done = subprocess.run(command, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr


def on_read_only_machine(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command where no file can be written, with no home and no temporary files."""
    script = 'mount -o remount,ro,bind / && exec "$@"'
    binds = "".join(
        f"mount --bind {place} {place} && mount -o remount,ro,bind {place} && "
        for place in _mounts_of(folder)
    )
    command = ["unshare", "-m", "sh", "-c", binds + script, "sh", *GENRESTREAM, *arguments]
    environment = {**os.environ, "HOME": "/nonexistent", "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, timeout=120
    )


def _mounts_of(folder: Path) -> list[Path]:
    """Return the places that are mounted by themselves, and would stay writable."""
    known = {Path(__file__).parents[2], folder}
    found = [
        path for path in (p for place in known for p in (place, *place.parents)) if path.is_mount()
    ]
    return sorted(set(found) - {Path("/")})


def _can_remount() -> bool:
    script = "mount -o remount,ro,bind / && ! touch /tmp/written"
    return not subprocess.run(["unshare", "-m", "sh", "-c", script], capture_output=True).returncode


needs_root = pytest.mark.skipif(not _can_remount(), reason="no root to make a read-only machine")


@pytest.mark.machine
@needs_root
def test_files_are_classified_on_a_read_only_machine(folder: Path) -> None:
    done = on_read_only_machine(folder, "classify", *MODEL, str(folder / "song.wav"))
    assert done.returncode == 0, done.stderr
    assert "song.wav" in done.stdout


@pytest.mark.machine
@needs_root
def test_broker_and_workers_run_on_a_read_only_machine(folder: Path) -> None:
    done = on_read_only_machine(folder, "demo", *MODEL, str(folder / "song.wav"))
    assert done.returncode == 0, done.stderr
    assert "final" in done.stdout


@pytest.mark.machine
@needs_root
def test_a_clip_that_cannot_be_written_is_one_line(folder: Path) -> None:
    done = on_read_only_machine(folder, "demo", *MODEL)
    assert done.returncode == 2
    assert done.stderr.strip().count("\n") == 0
    assert "TMPDIR" in done.stderr
