"""The import contract finds what it forbids: a violation of each kind is planted and seen."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("schemas", "features", "terminal", "services", "training", "benchmarks", "tests")
VIOLATIONS = {
    "services import training": ("services/console/running.py", "import training.errors"),
    "training imports services": ("training/errors.py", "import services.settings"),
    "features import services": ("features/windows.py", "import services.settings"),
    "schemas import features": ("schemas/errors.py", "import features.windows"),
    "features import logging": ("features/windows.py", "import logging"),
    "schemas import faust": ("schemas/errors.py", "import faust"),
    "a core imports faust": ("services/classifier/score.py", "import faust"),
    "a core imports aiokafka": ("services/extractor/stream.py", "import aiokafka"),
    "processing imports prometheus": ("services/processing/offsets.py", "import prometheus_client"),
    "processing imports kafka": ("services/processing/offsets.py", "import services.kafka.topics"),
    "services import each other": (
        "services/extractor/vectors.py",
        "import services.classifier.score",
    ),
    "the product imports tests": ("services/console/running.py", "import tests.audio"),
    "benchmarks import tests": ("benchmarks/report.py", "import tests.audio"),
}


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("copy")
    for room in ROOMS:
        ignored = shutil.ignore_patterns("__pycache__", "*.npz")
        shutil.copytree(ROOT / room, folder / room, ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    command = "from importlinter.cli import lint_imports_command as run; run()"
    return subprocess.run(
        [sys.executable, "-c", command],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_the_contract_is_kept(copy: Path) -> None:
    found = lint(copy)
    assert found.returncode == 0, found.stdout + found.stderr


@pytest.mark.parametrize("kind", VIOLATIONS)
def test_a_planted_violation_is_found(copy: Path, kind: str) -> None:
    name, line = VIOLATIONS[kind]
    file = copy / name
    before = file.read_text()
    try:
        file.write_text(f"{before}\n{line}\n")
        found = lint(copy)
    finally:
        file.write_text(before)
    assert found.returncode == 1, found.stdout + found.stderr
    assert "BROKEN" in found.stdout
