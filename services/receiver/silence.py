"""Silence with two sides, after Liquidsoap's ``blank.detect``: each side is reported once."""

from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

FLOOR_DBFS: Final = -120.0
#: Levels are taken of so much audio.
BLOCK_SECONDS: Final = 0.5


@dataclass(frozen=True, slots=True)
class Silence:
    """Whether a station is silent.

    Attributes
    ----------
    threshold_dbfs
        Level below which it is silent.
    silent_after, sounding_after
        Seconds below, and above, after which it is reported.
    silent
        Whether it was reported silent.
    against
        Seconds in a row that speak against it.
    """

    threshold_dbfs: float
    silent_after: float
    sounding_after: float
    silent: bool = False
    against: float = 0.0

    def observe(
        self, level_dbfs: float, seconds: float
    ) -> tuple["Silence", Literal["silent", "sounding"] | None]:
        """Take in the level of some audio.

        Returns
        -------
        What it is now, and what is to be reported.
        """
        is_below = level_dbfs < self.threshold_dbfs
        if is_below == self.silent:
            return (replace(self, against=0.0) if self.against else self), None
        against = self.against + seconds
        needed = self.sounding_after if self.silent else self.silent_after
        if against < needed:
            return replace(self, against=against), None
        changed = replace(self, silent=not self.silent, against=0.0)
        return changed, "silent" if changed.silent else "sounding"


def level_dbfs(samples: NDArray[np.int16]) -> float:
    """Return the RMS level of samples [shape=(n,)] in dBFS, at least `FLOOR_DBFS`."""
    if not len(samples):
        return FLOOR_DBFS
    block = samples.astype(np.float32)
    power = float(block @ block) / len(block) / 32768.0**2
    return max(FLOOR_DBFS, min(0.0, 10 * float(np.log10(max(power, 1e-12)))))
