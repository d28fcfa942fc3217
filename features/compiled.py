"""Loops that are compiled by numba, as every part of the project has them.

Each kernel has one explicit signature. It is compiled, or loaded from numba's cache, when its
module is imported, and never again; no array type can set off another compilation in a worker. It
runs without Python's lock, and its result depends on nothing but its arguments: not on threads, nor
on alignment.
"""

from collections.abc import Callable
from typing import Any, Final

import numba
import numpy as np
from numba import types
from numpy.typing import NDArray

Float32s = NDArray[np.float32]
Float64s = NDArray[np.float64]

#: Arguments that are only read.
ROWS: Final = types.Array(types.float32, 2, "C", readonly=True)
ROW: Final = types.Array(types.float32, 1, "C", readonly=True)


def kernel(
    *arguments: Any, reorder: bool = False
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Compile a function for these argument types.

    Products may fuse with sums. Sums keep their order unless `reorder` lets them run in lanes.
    """
    options: dict[str, Any] = {
        "nogil": True,
        "error_model": "numpy",
        "fastmath": {"contract", "reassoc"} if reorder else {"contract"},
    }

    def compile_(function: Callable[..., None]) -> Callable[..., None]:
        signature = types.void(*arguments)
        compiled: Callable[..., None]
        try:
            compiled = numba.njit(signature, cache=True, **options)(function)
        except RuntimeError:  # no folder for a cache can be written: compile in each process
            compiled = numba.njit(signature, **options)(function)
        return compiled

    return compile_
