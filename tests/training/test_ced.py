"""The network of content: cut from CED-Tiny, and the same file each time."""

import io
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from features.embeddings import content
from training.errors import DataError, ExportError
from training.networks import ced_crate, content_file
from training.networks.ced_weights import read_weights


@pytest.fixture(scope="module")
def crate() -> ced_crate.Crate:
    """Return the crate from cargo's cache, or let cargo get it."""
    try:
        return ced_crate.read_crate(ced_crate.download())
    except DataError as error:
        pytest.skip(f"no crate: {error}")


def test_the_file_is_made_again_byte_for_byte(crate: ced_crate.Crate, tmp_path: Path) -> None:
    path = content_file.make(crate, tmp_path, "2026-01-01")
    assert path.read_bytes() == content.FILE.read_bytes()
    card = path.with_suffix(".md").read_text().replace("2026-01-01", "")
    shipped = content.FILE.with_suffix(".md").read_text()
    assert [line for line in card.splitlines() if "created" not in line] == [
        line for line in shipped.splitlines() if "created" not in line
    ]


def test_our_graph_of_the_whole_network_answers_as_the_crates(crate: ced_crate.Crate) -> None:
    network = read_weights(crate.network)
    content_file.check_whole(network, crate.network)
    classes = replace(network.classes, bias=network.classes.bias + np.float32(0.01))
    changed = replace(network, classes=classes)
    with pytest.raises(ExportError, match=r"differ by .* from the crate's"):
        content_file.check_whole(changed, crate.network)


def test_eight_bits_of_another_network_are_noticed(crate: ced_crate.Crate) -> None:
    network = read_weights(crate.network)
    weights, bias = content_file.read_head()
    other = content_file.cut(network, (-weights, bias), eight_bits=True).SerializeToString()
    with pytest.raises(ExportError, match="8 bits change a probability"):
        content_file.check_eight_bits(network, other)


def test_the_head_is_that_of_the_shipped_file() -> None:
    import onnx

    model = onnx.load_from_string(content.NETWORK.read())
    arrays = [onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer]
    for expected in content_file.read_head():
        assert any(np.array_equal(array, expected) for array in arrays)


def test_the_notices_travel_with_the_weights(crate: ced_crate.Crate) -> None:
    import onnx

    props = {p.key: p.value for p in onnx.load_from_string(content.NETWORK.read()).metadata_props}
    assert props["notices"] == crate.notices
    assert "Apache-2.0" in props["notices"]
    card = content.FILE.with_suffix(".md").read_text()
    assert crate.licence.strip() in card


def test_another_archive_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "soundevents-0.5.0.crate"
    path.write_bytes(b"no archive")
    with pytest.raises(DataError, match="give the file that cargo downloads"):
        ced_crate.read_crate(path)
    with tarfile.open(path, "w:gz") as archive:
        archive.addfile(tarfile.TarInfo("soundevents-0.5.0/other"), io.BytesIO())
    with pytest.raises(DataError, match="give the file that cargo downloads"):
        ced_crate.read_crate(path)


def test_another_network_is_refused() -> None:
    with pytest.raises(DataError, match="not CED-Tiny"):
        read_weights(content.NETWORK.read())


def test_without_cargo_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(DataError, match=r"cargo does not run .*: give --crate"):
        ced_crate.download()
