"""Mel spectrograms as images, with axes and a colour bar."""

from pathlib import Path
from typing import Final

import librosa
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

import features

SAMPLE_RATE: Final = 22_050
N_FFT: Final = 2048
HOP_LENGTH: Final = 512
N_MELS: Final = 128
#: Range of the colours below the loudest band.
TOP_DB: Final = 80.0
#: Longest excerpt drawn, in seconds; more would not be legible.
MAX_SECONDS: Final = 120.0
#: Where the frequency axis has its marks.
TICKS_HZ: Final = (0, 512, 1024, 2048, 4096, 8192)


def mel_spectrogram(y: features.Samples) -> NDArray[np.floating]:
    """Compute the mel spectrogram in dB relative to its loudest band.

    Parameters
    ----------
    y
        Samples at `SAMPLE_RATE` [shape=(n,)].

    Returns
    -------
    Levels from -80 to 0 dB [shape=(n_mels, t)].
    """
    mel = librosa.feature.melspectrogram(
        y=y, sr=SAMPLE_RATE, n_fft=N_FFT, hop_length=HOP_LENGTH, n_mels=N_MELS
    )
    levels: NDArray[np.floating] = librosa.power_to_db(mel, ref=np.max, top_db=TOP_DB)
    return levels


def draw(levels: NDArray[np.floating], title: str) -> Figure:
    """Draw a mel spectrogram in dB [shape=(n_mels, t)] over seconds and Hz."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    axes = figure.subplots()
    seconds = levels.shape[1] * HOP_LENGTH / SAMPLE_RATE
    image = axes.imshow(
        levels,
        origin="lower",
        aspect="auto",
        extent=(0.0, seconds, 0.0, float(N_MELS)),
        vmin=-TOP_DB,
        vmax=0.0,
        cmap="magma",
    )
    bands = librosa.mel_frequencies(N_MELS, fmin=0.0, fmax=SAMPLE_RATE / 2)
    axes.set_yticks(np.interp(TICKS_HZ, bands, np.arange(N_MELS)), [f"{hz}" for hz in TICKS_HZ])
    axes.set(title=title, xlabel="time (s)", ylabel="frequency (Hz)")
    figure.colorbar(image, ax=axes, label="level (dB below the loudest band)")
    return figure


def draw_file(path: Path, output: Path) -> None:
    """Draw the spectrogram of an audio file into a PNG.

    Raises
    ------
    AudioError
        The file does not decode.
    """
    audio = features.read_file(path)
    samples = features.resample(audio, SAMPLE_RATE)[: round(MAX_SECONDS * SAMPLE_RATE)]
    output.parent.mkdir(parents=True, exist_ok=True)
    draw(mel_spectrogram(samples), path.name).savefig(output, dpi=100, metadata={"Software": None})
