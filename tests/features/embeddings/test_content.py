"""Content: its spectra, its answers to sounds that leave no doubt, and its file."""

from dataclasses import replace
from pathlib import Path

import librosa
import numpy as np
import pytest

from features.embeddings import content
from schemas.errors import InvalidSamples, ModelError
from services.commands.ending import Ending
from services.commands.faust_worker import run_extractor
from services.console import synthesis
from services.settings import load_settings
from tests.audio import clicks, music, noise, square, tone
from training.networks.content_file import read_head

RATE = 16_000
SIGNALS = {
    "music": music(3.0, RATE),
    "other music": music(3.0, RATE, seed=5),
    "demo": np.resize(synthesis.synthesise_clip(), 3 * RATE),
    "noise": noise(3.0, RATE) * np.float32(0.2),
    "tone": tone(3.0, RATE),
    "clicks": clicks(3.0, RATE),
    "square": square(3.0, RATE),
    "silence": np.zeros(3 * RATE, np.float32),
}


@pytest.mark.parametrize("signal", SIGNALS)
def test_the_spectra_are_those_of_librosa(signal: str) -> None:
    y = SIGNALS[signal]
    stft = librosa.stft(y, n_fft=512, hop_length=160, center=True, pad_mode="reflect")
    frames = [16 * column + frame for column in content.COLUMNS for frame in range(16)]
    found = content.power_spectra(y)
    assert found.shape == (content.N_FRAMES, 257)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, np.abs(stft.T[frames]) ** 2, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("signal", "kind"),
    [
        ("music", "music"),
        ("other music", "music"),
        ("demo", "music"),
        ("noise", "other"),
        ("tone", "other"),
        ("clicks", "other"),
    ],
)
def test_sounds_that_leave_no_doubt(signal: str, kind: str) -> None:
    found = dict(zip(content.KINDS, content.content(SIGNALS[signal]), strict=True))
    assert found.pop(kind) > 0.7
    assert max(found.values()) < 0.5


def test_nothing_is_heard_in_silence() -> None:
    assert content.content(SIGNALS["silence"]).max() < 0.5


def test_a_window_has_the_same_bits_after_any_other() -> None:
    expected = content.content(SIGNALS["music"]).tobytes()
    content.content(SIGNALS["noise"])
    assert content.content(SIGNALS["music"]).tobytes() == expected


@pytest.mark.parametrize("seconds", [1.0, 1.7, 2.99])
def test_a_short_window_is_repeated(seconds: float) -> None:
    y = music(seconds, RATE)
    repeated = np.concatenate([y, y, y])[: 3 * RATE]
    assert content.content(y).tobytes() == content.content(repeated).tobytes()


@pytest.mark.parametrize("length", [0, 48_001])
def test_a_window_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(InvalidSamples, match=f"1 to 48000 samples, got {length}: cut them to 3 s"):
        content.content(np.zeros(length, np.float32))


def test_parts_that_are_not_heard_change_nothing() -> None:
    """Column 2 of patches; its frames reach half a window into its neighbours."""
    y = SIGNALS["music"].copy()
    unheard = slice(2 * 2560 + 256, 3 * 2560 - 256)
    expected = content.content(y)
    y[unheard] = 0.0
    assert content.content(y).tobytes() == expected.tobytes()
    y[unheard.stop : unheard.stop + 2560] = 0.0
    assert content.content(y).tobytes() != expected.tobytes()


def test_content_goes_by_the_embedding_alone() -> None:
    """The layer of our own, which the file has behind the embedding."""
    weights, bias = read_head()
    for signal in SIGNALS.values():
        found = content.heard(signal)
        logits = found.embedding.astype(np.float64) @ weights + bias
        assert found.content == pytest.approx(1 / (1 + np.exp(-logits)), abs=1e-4)
        assert np.array_equal(content.embedding(signal), found.embedding)


def test_a_missing_network_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(
        content, "NETWORK", replace(content.NETWORK, file=tmp_path / "content.onnx")
    )
    with pytest.raises(ModelError, match=r"content.onnx does not load .*build-ced"):
        content.NETWORK.read()


def test_an_extractor_refuses_another_network_before_it_connects(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / content.FILE.name
    copy.write_bytes(b"another")
    monkeypatch.setattr(content, "NETWORK", replace(content.NETWORK, file=copy))
    with pytest.raises(ModelError, match=copy.name):
        run_extractor(load_settings(feature_sets=("seed-25",), content=True), Ending())
