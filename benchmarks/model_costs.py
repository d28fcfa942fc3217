"""Measure `musicnn-200` and content beside the other sets: ``python -m benchmarks.model_costs``.

``--wheel`` adds the whole network, from what ``pip download --no-deps musicnn`` gets.

Every round times each part once, one after another, on one thread; ratios are of one run.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks import report
from benchmarks.signals import music
from features import FEATURE_SETS, Audio, FeatureSet, Window, feature_set, resample
from features.embeddings import content, log_mel, musicnn
from features.onnx_session import open_session
from schemas import Place
from services.extractor.vectors import feature_vectors

RATE: Final = 44_100
REPORT: Final = report.FOLDER / "musicnn.json"

Part = Callable[[], object]


def parts(wheel: Path | None) -> dict[str, Part]:
    """Return what is timed, by name: each on one window of 3 s."""
    window = Audio(music(3.0, RATE), RATE)
    y = resample(window, log_mel.SAMPLE_RATE)
    patch = log_mel.log_mel(y)
    power = content.power_spectra(y)
    found: dict[str, Part] = {
        "resample 44.1 kHz to 16 kHz": lambda: resample(window, log_mel.SAMPLE_RATE),
        "log-mel": lambda: log_mel.log_mel(y),
        "network": lambda: musicnn.embed(patch),
        "content: spectra": lambda: content.power_spectra(y),
        "content: network": lambda: content.hear(power),
        "content: all": lambda: content.content(y),
        "default path: musicnn-200-int8 and content": lambda: default_path(window),
    }
    found |= {
        f"all of {name}": partial(extract, feature_set(name), window) for name in FEATURE_SETS
    }
    if wheel:
        session = whole_network(wheel)
        feed = {musicnn.INPUT_NAME: patch[np.newaxis]}
        found["whole network, as published"] = lambda: session.run(None, feed)
    return found


def default_path(window: Audio) -> object:
    """Compute what the default extractor emits of a window, from its own rate on."""
    sets = [feature_set("musicnn-200-int8")]
    place = Place("benchmark", 0, 0)
    return feature_vectors("benchmark", place, Window(0, 0.0, window), sets, with_content=True)


def extract(recipe: FeatureSet, window: Audio) -> object:
    """Compute the features of a window, from its own rate on."""
    return recipe.extract(resample(window, recipe.sample_rate))


def whole_network(wheel: Path) -> Any:
    """Convert the checkpoint with all its filters, for ONNX Runtime on one thread."""
    from training.models.export import OPSETS
    from training.networks import musicnn_graph, musicnn_layers
    from training.networks.musicnn_checkpoint import read_checkpoint

    network = musicnn_layers.from_checkpoint(read_checkpoint(wheel))
    return open_session(musicnn_graph.to_onnx(network, OPSETS[""]).SerializeToString())


def measure(found: dict[str, Part], rounds: int) -> dict[str, float]:
    """Return the median time of each part in ms."""
    times: dict[str, list[float]] = {name: [] for name in found}
    for part in found.values():
        part()
    for _ in range(rounds):
        for name, part in found.items():
            start = time.perf_counter()
            part()
            times[name].append(1e3 * (time.perf_counter() - start))
    return {name: statistics.median(values) for name, values in times.items()}


def main() -> None:
    """Measure, print and write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--wheel", type=Path, help="of the PyPI package musicnn")
    parser.add_argument("--rounds", type=int, default=100)
    arguments = parser.parse_args()
    before = report.machine()
    medians = measure(parts(arguments.wheel), arguments.rounds)
    rows = [(name, f"{value:.2f}", f"{3000 / value:.0f}") for name, value in medians.items()]
    report.show("musicnn-200", ("part", "ms a window of 3 s", "streams a core"), rows)
    report.write(REPORT, before, medians)


if __name__ == "__main__":
    main()
