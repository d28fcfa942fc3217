"""What this process may use: memory and processors, as its container says.

Of a container's limits the machine itself tells nothing: they are in the files of cgroups
(https://docs.kernel.org/admin-guide/cgroup-v2.html).
"""

import os
import resource
from collections.abc import Iterable
from pathlib import Path
from typing import Final

#: More threads than this gain nothing: what they do between the kernels holds Python's lock.
_MAX_THREADS: Final = 8
_CGROUPS: Final = Path("/sys/fs/cgroup")
_MEMORY: Final = ("memory.max", "memory/memory.limit_in_bytes")
_RLIMITS: Final = (resource.RLIMIT_AS, resource.RLIMIT_DATA)


def memory_limit(cgroups: Path = _CGROUPS) -> int:
    """Return how many bytes of memory this process may take at most."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limits = [resource.getrlimit(kind)[0] for kind in _RLIMITS]
    limits += [int(text) for name in _MEMORY if (text := _read(cgroups / name)).isdigit()]
    return min([machine, *(limit for limit in limits if limit > 0)])


def processors(cgroups: Path = _CGROUPS) -> int:
    """Return how many threads to compute in: one for each processor that we may use."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, min(usable or 1, _MAX_THREADS, *_quotas(cgroups)))


def _quotas(cgroups: Path) -> Iterable[int]:
    """Yield how many processors a quota lets this process keep busy, rounded up."""
    older = [_read(cgroups / "cpu" / f"cpu.cfs_{name}_us") for name in ("quota", "period")]
    for quota, period in (_read(cgroups / "cpu.max").split() or ["", ""], older):
        if quota.isdigit() and period.isdigit() and int(period):
            yield -(-int(quota) // int(period))


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
