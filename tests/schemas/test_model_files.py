"""A model file that is not the one of its card is refused."""

import hashlib
from pathlib import Path

import pytest

from schemas.errors import ModelError
from schemas.model_files import read_model

ROOT = Path(__file__).parents[2]
SHIPPED = sorted((ROOT / "models").rglob("*.onnx"))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "own.onnx"
    path.write_bytes(b"weights")
    return path


def _card(model: Path, *lines: str) -> None:
    model.with_suffix(".md").write_text("\n".join(["# own", "", *lines, ""]), encoding="utf-8")


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_models_are_those_of_their_cards(path: Path) -> None:
    assert read_model(path, needs_card=True) == path.read_bytes()


def test_there_are_shipped_models() -> None:
    assert len(SHIPPED) >= 4


def test_a_file_of_its_card(model: Path) -> None:
    _card(model, f"sha256: {hashlib.sha256(b'weights').hexdigest()}")
    assert read_model(model, needs_card=True) == b"weights"


def test_a_tampered_file(model: Path) -> None:
    _card(model, f"sha256: {hashlib.sha256(b'weights').hexdigest()}")
    model.write_bytes(b"weightz")
    with pytest.raises(ModelError, match="is not the file that its card is of: it has SHA-256"):
        read_model(model)


def test_a_model_of_ones_own_may_have_no_card(model: Path) -> None:
    assert read_model(model) == b"weights"
    with pytest.raises(ModelError, match=r"has no card own\.md"):
        read_model(model, needs_card=True)


@pytest.mark.parametrize("lines", [[], ["sha256: abc"], [f"sha256: {64 * '0'}"] * 2])
def test_a_card_that_states_no_digest(model: Path, lines: list[str]) -> None:
    _card(model, *lines)
    with pytest.raises(ModelError, match="needed is one"):
        read_model(model)
