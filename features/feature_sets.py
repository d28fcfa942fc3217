"""Feature sets: named, versioned recipes from samples to a vector.

`feature_set` is the one way in, for training, serving and benchmarks alike, so that a model meets
in service exactly what it was trained on. What computes them (numba, scipy, ONNX Runtime) is
imported when it is first used: commands that only ask for a name start without it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from features.descriptors.names import SEED_DESCRIPTORS, TABLE_DESCRIPTORS
from schemas.errors import InvalidSamples

WINDOW_SECONDS: Final = 3.0
#: The fewest samples that any set takes: a frame of the librosa sets.
MIN_SAMPLES: Final = 2048

Samples = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class FeatureSet:
    """A recipe: what to extract from how much audio at which rate.

    Attributes
    ----------
    name
        Stable name; a recipe that changes its values gets a new one.
    sample_rate
        Of the samples that `extract` takes, in Hz.
    window_seconds
        Length of the windows that the services cut.
    names
        Names of the D features.
    check
        Raises `schemas.errors.ModelError` when a file that it needs is missing or damaged.
    """

    name: str
    sample_rate: int
    window_seconds: float
    names: tuple[str, ...]
    compute: Callable[[Samples], NDArray[np.float32]]
    check: Callable[[], object] = lambda: None

    def extract(self, y: Samples) -> NDArray[np.float32]:
        """Compute the features of mono samples.

        Parameters
        ----------
        y
            Samples at `sample_rate` [shape=(n,), float32], at least 2048 of them.

        Returns
        -------
        The features, in the order of `names` [shape=(D,), float32].

        Raises
        ------
        InvalidSamples
            The samples are too few, too many for a set of fixed length, or give no finite
            features.
        """
        if y.ndim != 1 or len(y) < MIN_SAMPLES:
            raise InvalidSamples(
                f"{self.name} needs at least {MIN_SAMPLES} mono samples, got shape {y.shape}"
            )
        values = self.compute(y)
        if not np.isfinite(values).all():
            bad = [name for name, v in zip(self.names, values, strict=True) if not np.isfinite(v)]
            raise InvalidSamples(f"{self.name} has no finite value for {', '.join(bad)}")
        return values


def _seed(y: Samples) -> Samples:
    from features.descriptors import spectral

    return spectral.means(y)


def _table(y: Samples) -> Samples:
    from features.descriptors import spectral

    return spectral.means_and_variances(y)


def _musicnn(y: Samples) -> Samples:
    from features.embeddings import musicnn

    return musicnn.embedding(y)


def _musicnn_int8(y: Samples) -> Samples:
    from features.embeddings import musicnn

    return musicnn.embedding_int8(y)


def _check_musicnn() -> None:
    from features.embeddings import musicnn

    musicnn.NETWORK.read()


def _check_musicnn_int8() -> None:
    from features.embeddings import musicnn

    musicnn.check_int8()


def _ced(y: Samples) -> Samples:
    from features.embeddings import content

    return content.embedding(y)


def _check_ced() -> None:
    from features.embeddings import content

    content.NETWORK.read()


_MUSICNN_NAMES: Final = tuple(f"musicnn{i}" for i in range(1, 201))

_SETS: Final = {
    recipe.name: recipe
    for recipe in (
        FeatureSet(
            name="seed-25",
            sample_rate=22_050,
            window_seconds=WINDOW_SECONDS,
            names=SEED_DESCRIPTORS,
            compute=_seed,
        ),
        FeatureSet(
            name="librosa-52",
            sample_rate=22_050,
            window_seconds=WINDOW_SECONDS,
            names=tuple(
                f"{name}_{moment}" for name in TABLE_DESCRIPTORS for moment in ("mean", "var")
            ),
            compute=_table,
        ),
        FeatureSet(
            name="musicnn-200",
            sample_rate=16_000,
            window_seconds=WINDOW_SECONDS,
            names=_MUSICNN_NAMES,
            compute=_musicnn,
            check=_check_musicnn,
        ),
        FeatureSet(
            name="musicnn-200-int8",
            sample_rate=16_000,
            window_seconds=WINDOW_SECONDS,
            names=_MUSICNN_NAMES,
            compute=_musicnn_int8,
            check=_check_musicnn_int8,
        ),
        FeatureSet(
            name="ced-192",
            sample_rate=16_000,
            window_seconds=WINDOW_SECONDS,
            names=tuple(f"ced{i}" for i in range(1, 193)),
            compute=_ced,
            check=_check_ced,
        ),
    )
}

#: Names of all feature sets.
FEATURE_SETS: Final = tuple(_SETS)
#: The one that content goes by.
CONTENT_SET: Final = "ced-192"
#: Those that a network computes.
NETWORK_SETS: Final = ("musicnn-200", "musicnn-200-int8", CONTENT_SET)


def feature_set(name: str) -> FeatureSet:
    """Return the feature set of that name.

    Raises
    ------
    KeyError
        There is none; the text lists those that there are.

    Examples
    --------
    >>> feature_set("seed-25").names[:3]
    ('chroma_stft', 'spectral_centroid', 'spectral_bandwidth')
    """
    try:
        return _SETS[name]
    except KeyError:
        raise KeyError(f"no feature set {name!r}: choose {', '.join(FEATURE_SETS)}") from None
