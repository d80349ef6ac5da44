"""Who decides the number of threads: the argument, then OMP_NUM_THREADS, then the machine."""

from __future__ import annotations

import math
import operator
import os
from pathlib import Path

__all__ = ["thread_count"]


def thread_count(n_threads: int | None = None) -> int:
    """Return the number of threads to use.

    Parameters
    ----------
    n_threads : int, optional
        Wins if given; at least 1.

    Returns
    -------
    int
        `n_threads`, else the first number of OMP_NUM_THREADS, else the processors this process may
        use: its affinity, within the CPU quota of its control group.

    Raises
    ------
    TypeError, ValueError
        If n_threads or OMP_NUM_THREADS is not a positive integer.
    """
    if n_threads is not None:
        try:
            count = operator.index(n_threads)
        except TypeError:
            raise TypeError(f"n_threads must be an int >= 1 or None, got {n_threads!r}") from None
        if isinstance(n_threads, bool):
            raise TypeError(f"n_threads must be an int >= 1 or None, got {n_threads!r}")
        if not 1 <= count <= 4096:
            raise ValueError(f"n_threads must be from 1 to 4096, got {n_threads!r}")
        return count
    setting = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    if setting:
        if not setting.isdecimal() or int(setting) < 1:
            raise ValueError(
                "the environment variable OMP_NUM_THREADS must be a positive integer, "
                f"got {setting!r}"
            )
        return min(int(setting), 4096)
    return _machine()


def _machine() -> int:
    if hasattr(os, "sched_getaffinity"):
        processors = len(os.sched_getaffinity(0))
    else:
        processors = os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        processors = min(processors, max(1, math.ceil(int(quota) / int(period))))
    except (OSError, ValueError):
        pass
    return processors
