"""One run of the kernels on this machine: threads, interruption, provenance."""

from __future__ import annotations

import math
import os
import platform
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import numpy as np

from vgsim._checks import Integer, value_error
from vgsim._engine.settings import STREAM_VERSION
from vgsim._kernels import (
    COMPILER,
    Run,
    available_isas,
    compiled_isas,
    lanes,
    selected_isa,
)
from vgsim._version import __version__

__all__ = ["execute", "openmp_has_run", "provenance", "show_config", "thread_count"]


MOST_THREADS = 4096


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
        return Integer(1, MOST_THREADS).check("n_threads", n_threads)
    setting = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    if setting:
        if not setting.isdecimal() or int(setting) < 1:
            raise value_error("OMP_NUM_THREADS", f"must be a positive integer, got {setting!r}")
        return min(int(setting), MOST_THREADS)
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


POLL_SECONDS = 0.1
_ran_in: set[int] = set()  # processes
_kept = threading.local()  # for each calling thread one of its own, which keeps its OpenMP team


def openmp_has_run() -> bool:
    """Whether OpenMP has run in this process: a child that is forked off it would hang."""
    return os.getpid() in _ran_in


def execute(
    run: Run,
    threads: int,
    chunk: int,
    report: Callable[[int], object] | None = None,
) -> None:
    """Run the kernel in a thread of its own; this one stays free for Ctrl-C and progress.

    Parameters
    ----------
    run : Run
    threads : int
        Of OpenMP.
    chunk : int
        How many groups of samples a thread takes at a time.
    report : callable, optional
        Called with the number of samples done, a few times a second.

    Raises
    ------
    KeyboardInterrupt
        On Ctrl-C, within a second.
    """
    _ran_in.add(os.getpid())
    future = _thread().submit(run.simulate, threads, chunk)
    try:
        while wait([future], timeout=POLL_SECONDS).not_done:
            if report is not None:
                report(run.done)
    except BaseException:
        run.cancel()
        wait([future])
        raise
    future.result()
    if report is not None:
        report(run.done)


def _thread() -> ThreadPoolExecutor:
    """Return the thread that runs the kernels of this one; a forked process has none yet."""
    if getattr(_kept, "process", None) != os.getpid():
        _kept.process, _kept.thread = os.getpid(), ThreadPoolExecutor(1, thread_name_prefix="vgsim")
    thread: ThreadPoolExecutor = _kept.thread
    return thread


def provenance() -> dict[str, str]:
    """Return what made a result, as strings: versions, compiler, instruction set, machine."""
    return {
        "vgsim": __version__,
        "stream_version": str(STREAM_VERSION),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "compiler": COMPILER,
        "isa": selected_isa(),
        "system": f"{platform.system()} {platform.machine()}",
    }


def show_config() -> None:
    """Print what was compiled and what is used here.

    Raises
    ------
    ValueError
        If the environment variable VGSIM_ISA names an instruction set that is not available.

    Examples
    --------
    >>> import vgsim
    >>> vgsim.show_config()  # doctest: +ELLIPSIS
    vgsim ...
    """
    made = provenance()
    rows = {
        f"vgsim {made['vgsim']}": f"stream version {made['stream_version']}",
        "python": f"{made['python']}, numpy {made['numpy']}",
        "compiler": made["compiler"],
        "compiled for": ", ".join(compiled_isas()),
        "available here": ", ".join(available_isas()),
        "in use": f"{made['isa']} ({lanes('float32')} float32 or "
        f"{lanes('float64')} float64 samples side by side)",
        "threads": str(thread_count()),
    }
    for name, value in rows.items():
        print(f"{name:<16}{value}")
