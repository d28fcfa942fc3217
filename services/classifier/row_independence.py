"""Whether windows may share a run of the model: a replay must give the very same bits."""

from typing import Final

import numpy as np

from services.classifier.model import Model

#: Kernels change with the number of rows; these are on both sides of where they do.
_SIZES: Final = (2, 3, 5, 8, 13, 32, 33)


def rows_are_independent(model: Model) -> bool:
    """Tell whether a row gives the same bits alone and among others, on this machine.

    The model that it is pooled with is asked likewise.
    """
    width = len(model.metadata.feature_names)
    rng = np.random.default_rng(0)
    scales = 10.0 ** rng.uniform(-3, 3, (max(_SIZES), 1))
    rows = (scales * rng.standard_normal((max(_SIZES), width))).astype(np.float32)
    alone = np.concatenate([model.probabilities(row[None]) for row in rows])
    pooled = model.pooled_with is None or rows_are_independent(model.pooled_with)
    return pooled and all(
        model.probabilities(rows[:size]).tobytes() == alone[:size].tobytes() for size in _SIZES
    )
