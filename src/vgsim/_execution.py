"""A kernel run that can be interrupted, and that tells how far it is."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait

from vgsim import _kernels

__all__ = ["Progress", "execute", "openmp_has_run"]

POLL_SECONDS = 0.1

Progress = bool | Callable[[int, int], object]

_ran_in: set[int] = set()  # processes
_kept = threading.local()  # for each calling thread one of its own, which keeps its OpenMP team


def openmp_has_run() -> bool:
    """Whether OpenMP has run in this process: a child that is forked off it would hang."""
    return os.getpid() in _ran_in


def execute(
    run: _kernels.Run, threads: int, chunk: int, n_samples: int, progress: Progress
) -> None:
    """Run the kernel in a thread of its own; this one stays free for Ctrl-C and progress.

    Parameters
    ----------
    run : _kernels.Run
    threads : int
        Of OpenMP.
    chunk : int
        How many groups of samples a thread takes at a time.
    n_samples : int
    progress : bool or callable
        As for :func:`vgsim.simulate`.

    Raises
    ------
    TypeError
        If `progress` is neither a bool nor callable.
    KeyboardInterrupt
        On Ctrl-C, within a second.
    """
    report, close = _reporter(progress, n_samples)
    _ran_in.add(os.getpid())
    try:
        future = _thread().submit(run.simulate, threads, chunk)
        try:
            while wait([future], timeout=POLL_SECONDS).not_done:
                report(run.done, n_samples)
        except BaseException:
            run.cancel()
            wait([future])
            raise
        future.result()
        report(n_samples, n_samples)
    finally:
        close()


def _thread() -> ThreadPoolExecutor:
    """Return the thread that runs the kernels of this one; a forked process has none yet."""
    if getattr(_kept, "process", None) != os.getpid():
        _kept.process, _kept.thread = os.getpid(), ThreadPoolExecutor(1, thread_name_prefix="vgsim")
    thread: ThreadPoolExecutor = _kept.thread
    return thread


def _reporter(
    progress: Progress, n_samples: int
) -> tuple[Callable[[int, int], object], Callable[[], object]]:
    def nothing(*_: int) -> None: ...

    if callable(progress):
        return progress, nothing
    if not isinstance(progress, bool):
        raise TypeError(f"progress must be a bool or a callable, got {progress!r}")
    if progress:
        try:
            from tqdm.auto import tqdm
        except ImportError:
            sys.stderr.write("vgsim: install tqdm for a progress bar\n")
        else:
            bar = tqdm(total=n_samples, unit="network")
            return lambda done, _: bar.update(done - bar.n), bar.close
    return nothing, nothing
