"""Resident memory of processes, as Linux counts it."""

import os
from collections.abc import Mapping
from pathlib import Path

_MB = 1e6


def resident_mb(pid: int) -> float:
    """Return the resident memory of a process in MB; 0 when it is gone."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / _MB


class MemoryWatch:
    """Follows the memory of workers by name.

    Attributes
    ----------
    start_mb, peak_mb
        At `begin`, and the most that was sampled since.
    """

    def __init__(self, pids: Mapping[str, int]) -> None:
        self._pids = pids
        self.start_mb: dict[str, float] = {}
        self.peak_mb: dict[str, float] = {}

    def begin(self) -> None:
        """Take the memory of now as the start."""
        self.start_mb = {name: resident_mb(pid) for name, pid in self._pids.items()}
        self.peak_mb = dict(self.start_mb)

    def sample(self) -> None:
        """Look at the memory of now."""
        for name in self.peak_mb:
            self.peak_mb[name] = max(self.peak_mb[name], resident_mb(self._pids[name]))

    def describe(self) -> str:
        """Return the memory of now in words."""
        return ", ".join(f"{name} {resident_mb(pid):.0f} MB" for name, pid in self._pids.items())
