"""`musicnn-200`: its log-mel front end, and the embedding against the authors' own graph."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import librosa
import numpy as np
import pytest

from features import feature_set
from features.embeddings import log_mel, musicnn
from features.generate_filter_banks import log_mel_bank
from schemas.errors import InvalidSamples, ModelError
from services.commands.ending import Ending
from services.commands.faust_worker import run_extractor
from services.settings import load_settings
from tests.audio import Frames, clicks, music, noise, square, tone
from tests.training.musicnn_reference import CLIPS, GOLDEN

RATE = 16_000
RECIPE = feature_set("musicnn-200")
#: Values reach 15; float32 transforms and sums differ between processors.
TOLERANCE = 1e-4

_IMPORTS = """
import sys
import features
print([name for name in ("onnxruntime", "librosa", "numba") if name in sys.modules])
features.feature_set("musicnn-200").extract(__import__("numpy").ones(48000, "f"))
print([name for name in ("librosa", "soxr") if name in sys.modules])
"""

SIGNALS = {
    "music": music(3.0, RATE),
    "noise": noise(3.0, RATE),
    "faint noise": noise(3.0, RATE) * np.float32(1e-4),
    "tone": tone(3.0, RATE),
    "square": square(3.0, RATE),
    "clicks": clicks(3.0, RATE),
    "silence": np.zeros(3 * RATE, np.float32),
    "full-scale DC": np.ones(3 * RATE, np.float32),
}


@pytest.mark.parametrize("signal", SIGNALS)
def test_log_mel_equals_librosa(signal: str) -> None:
    y = SIGNALS[signal]
    power = librosa.feature.melspectrogram(
        y=y, sr=RATE, n_fft=512, hop_length=256, n_mels=96, center=True, pad_mode="reflect"
    )
    expected = np.log10(1 + 10_000 * power.T)[:187]
    found = log_mel.log_mel(y)
    assert found.shape == (187, 96)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=2e-5)


def test_the_last_frame_ends_inside_of_the_window() -> None:
    y = music(3.0, RATE)
    y[186 * 256 + 256 :] = 1.0
    assert np.array_equal(log_mel.log_mel(y), log_mel.log_mel(cut_off(y, 186 * 256 + 256)))


def cut_off(y: Frames, length: int) -> Frames:
    changed = y.copy()
    changed[length:] = 0.0
    return changed


def test_filters_are_those_of_librosa() -> None:
    computed = log_mel_bank()
    bank = log_mel.mel_bank()
    np.testing.assert_allclose(bank.window, computed["window"], rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(bank.mel, computed["mel"], rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("clip", CLIPS)
def test_the_embedding_is_that_of_the_authors_graph(clip: str) -> None:
    with np.load(GOLDEN) as golden:
        expected = golden[clip]
    assert np.abs(expected).max() > 1.0
    assert np.abs(RECIPE.extract(CLIPS[clip]) - expected).max() <= TOLERANCE


def test_clips_are_told_apart() -> None:
    rows = np.array([RECIPE.extract(y) for y in CLIPS.values()])
    assert len(rows) >= 6
    distances = np.abs(rows[:, np.newaxis] - rows).max(axis=2)
    assert (distances + 1e9 * np.eye(len(rows))).min() > 0.1


def test_a_patch_has_the_same_bits_after_any_other() -> None:
    expected = RECIPE.extract(SIGNALS["music"]).tobytes()
    RECIPE.extract(SIGNALS["noise"])
    assert RECIPE.extract(SIGNALS["music"]).tobytes() == expected


@pytest.mark.parametrize("seconds", [1.0, 1.7, 2.99])
def test_a_short_window_is_repeated(seconds: float) -> None:
    y = music(seconds, RATE)
    repeated = np.concatenate([y, y, y])[: 3 * RATE]
    assert RECIPE.extract(y).tobytes() == RECIPE.extract(repeated).tobytes()


def test_a_window_longer_than_the_networks_is_refused() -> None:
    with pytest.raises(InvalidSamples, match="at most 48000 samples, got 48001: cut them to 3 s"):
        RECIPE.extract(np.zeros(48_001, np.float32))


def test_a_missing_network_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(
        musicnn, "NETWORK", replace(musicnn.NETWORK, file=tmp_path / "musicnn-200.onnx")
    )
    with pytest.raises(ModelError, match=r"musicnn-200.onnx does not load .*build-musicnn"):
        musicnn.NETWORK.read()


def test_imports_are_put_off_until_they_are_needed() -> None:
    run = subprocess.run([sys.executable, "-c", _IMPORTS], check=True, capture_output=True)
    assert run.stdout.decode().split("\n")[:2] == ["[]", "[]"]


def test_a_worker_refuses_another_network_before_it_connects(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / musicnn.FILE.name
    monkeypatch.setattr(musicnn, "NETWORK", replace(musicnn.NETWORK, file=copy))
    settings = load_settings(feature_sets=("musicnn-200",))
    with pytest.raises(ModelError, match=copy.name):
        run_extractor(settings, Ending())
    copy.write_bytes(b"another")
    with pytest.raises(ModelError, match=copy.name):
        run_extractor(settings, Ending())


def test_a_worker_tries_the_network_in_8_bits_before_it_connects(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    musicnn.check_int8()
    monkeypatch.setattr(musicnn, "trial_patch", lambda: log_mel.log_mel(SIGNALS["music"]))
    settings = load_settings(feature_sets=("musicnn-200-int8",))
    with pytest.raises(ModelError, match=r"answers otherwise on this processor .*: choose a model"):
        run_extractor(settings, Ending())


def test_the_trial_reaches_all_of_the_network() -> None:
    values = musicnn.embed(musicnn.trial_patch())
    silent = musicnn.embed(np.zeros((187, 96), np.float32))
    assert np.abs(values - silent).min() > 0.001
    assert musicnn.trial_patch().max() <= 3.0
