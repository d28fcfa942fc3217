"""Measure extraction: ``python -m benchmarks.extraction``.

Every round times each contender once, one after another, so that whatever else the machine does
falls on all of them. Ratios are between medians of one run.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import librosa
import numpy as np
import scipy.fft
from rich.console import Console
from rich.table import Table

from benchmarks import report
from benchmarks.essentia_descriptors import essentia_descriptors
from benchmarks.signals import music, noise
from features import Samples, feature_set, read_file, resample

RATE: Final = 22_050
N_FFT: Final = 2048
HOP_LENGTH: Final = 512
REPORT: Final = report.FOLDER / "extraction.json"

Contender = Callable[[], object]


@dataclass(frozen=True, slots=True)
class Timing:
    """How long a contender took on so many seconds of audio, in ms.

    Attributes
    ----------
    against_tutorial
        Median of the tutorial's calls over this one's: how many times faster.
    against_transform
        This one's median over that of the bare transform: how many times slower.
    """

    seconds: float
    name: str
    median: float
    minimum: float
    against_tutorial: float
    against_transform: float


def tutorial(y: Samples) -> None:
    """Call each function of librosa on the samples with its defaults, as tutorials do."""
    feature = librosa.feature
    columns = (
        feature.chroma_stft(y=y, sr=RATE),
        feature.rms(y=y),
        feature.spectral_centroid(y=y, sr=RATE),
        feature.spectral_bandwidth(y=y, sr=RATE),
        feature.spectral_rolloff(y=y, sr=RATE),
        feature.zero_crossing_rate(y),
        *feature.mfcc(y=y, sr=RATE, n_mfcc=20),
    )
    for column in columns:
        np.mean(column), np.var(column)


def shared_stft(y: Samples) -> None:
    """Call librosa on one STFT, with the parameters of `librosa-52`."""
    feature = librosa.feature
    S = np.abs(librosa.stft(y, n_fft=N_FFT, hop_length=HOP_LENGTH, center=False))
    power = np.square(S)
    mel = librosa.power_to_db(feature.melspectrogram(S=power, sr=RATE))
    columns = (
        feature.chroma_stft(S=power, sr=RATE, tuning=0.0),
        feature.rms(y=y, center=False),
        feature.spectral_centroid(S=S, sr=RATE),
        feature.spectral_bandwidth(S=S, sr=RATE),
        feature.spectral_rolloff(S=S, sr=RATE),
        feature.zero_crossing_rate(y, center=False),
        *feature.mfcc(S=mel, n_mfcc=20),
    )
    for column in columns:
        np.mean(column), np.var(column)


def contenders(y: Samples) -> dict[str, Contender]:
    """Return what is measured, by name; Essentia only where it is installed."""
    frames = librosa.util.frame(y, frame_length=N_FFT, hop_length=HOP_LENGTH, axis=0)
    windowed = frames * librosa.filters.get_window("hann", N_FFT).astype(np.float32)
    named: dict[str, Contender] = {
        "librosa-52": lambda: feature_set("librosa-52").extract(y),
        "seed-25": lambda: feature_set("seed-25").extract(y),
        "bare scipy float32 FFT": lambda: scipy.fft.rfft(windowed),
        "librosa, one STFT": lambda: shared_stft(y),
        "librosa, tutorial": lambda: tutorial(y),
    }
    if find_spec("essentia"):
        named["Essentia"] = essentia_descriptors(y, RATE, N_FFT, HOP_LENGTH)
    return named


def measure(y: Samples, rounds: int) -> list[Timing]:
    """Time all contenders in turn, so many rounds after one to warm up."""
    named = contenders(y)
    times: dict[str, list[float]] = {name: [] for name in named}
    for number in range(rounds + 1):
        for name, run in named.items():
            start = time.perf_counter()
            run()
            if number:
                times[name].append(1e3 * (time.perf_counter() - start))
    medians = {name: statistics.median(values) for name, values in times.items()}
    return [
        Timing(
            seconds=len(y) / RATE,
            name=name,
            median=medians[name],
            minimum=min(values),
            against_tutorial=medians["librosa, tutorial"] / medians[name],
            against_transform=medians[name] / medians["bare scipy float32 FFT"],
        )
        for name, values in times.items()
    ]


def table(timings: list[Timing]) -> Table:
    """Lay out timings of one length of audio."""
    shown = Table(
        title=f"{timings[0].seconds:g} s of audio, one thread",
        caption="times faster than the tutorial",
    )
    for column in ("", "median ms", "min ms", "times faster", "of the FFT"):
        shown.add_column(column, justify="right" if column else "left", no_wrap=True)
    for timing in timings:
        shown.add_row(
            timing.name,
            f"{timing.median:.2f}",
            f"{timing.minimum:.2f}",
            f"{timing.against_tutorial:.1f} x",
            f"{timing.against_transform:.2f} x",
        )
    return shown


def samples(seconds: float, file: Path | None) -> Samples:
    """Return audio of that length from a file, or chords over faint noise."""
    length = round(seconds * RATE)
    if file:
        return np.resize(resample(read_file(file), RATE), length)
    return music(seconds, RATE) + np.float32(1e-4) * noise(seconds, RATE)


def main() -> None:
    """Measure, print and write what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, nargs="+", default=[30.0, 3.0])
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--audio", type=Path, help="a file to take the samples from")
    parser.add_argument("--json", type=Path, default=REPORT, help="where the figures go")
    options = parser.parse_args()
    console, before = Console(), report.machine()
    results: list[Timing] = []
    for seconds in options.seconds:
        timings = measure(samples(seconds, options.audio), options.rounds)
        console.print(table(timings))
        results += timings
    report.write(options.json, before, [asdict(timing) for timing in results])


if __name__ == "__main__":
    main()
