"""Where the units of a study run: threads of this process, or any concurrent.futures.Executor."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from vgsim import _execution
from vgsim._threads import thread_count

__all__ = ["Workers", "checked_executor"]

DEFAULT_WORKERS = 4  # of an executor that does not tell


class Workers:
    """An executor with what a collector must know of it.

    Parameters
    ----------
    executor : concurrent.futures.Executor or None
        None: this process, where a unit uses `n_threads` threads, and the next one begins while the
        last is being counted.
    n_threads : int or None
        Threads of one unit. By default all of this process, or one in a worker of an executor:
        there, the workers are what runs in parallel.

    Attributes
    ----------
    n_threads : int
    count : int
        How many units run at a time.

    Examples
    --------
    >>> from vgsim._executors import Workers
    >>> with Workers(None, 2) as workers:
    ...     workers.submit(sum, [1, 2]).result(), workers.count
    (3, 1)
    """

    def __init__(self, executor: Executor | None, n_threads: int | None) -> None:
        self._executor = checked_executor(executor)
        self._own = ThreadPoolExecutor(2, "vgsim-unit") if executor is None else None
        local = executor is None
        self.n_threads = thread_count(n_threads if n_threads is not None or local else 1)
        self.count = 1 if executor is None else _count(executor)
        self.name = "threads" if executor is None else type(executor).__name__

    @property
    def is_local(self) -> bool:
        """Whether units run in this process, and share its memory."""
        return self._own is not None

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Run ``function(*arguments)`` on some worker.

        Raises
        ------
        RuntimeError
            If the executor is broken or shut down.
        """
        executor = self._own or self._executor
        assert executor is not None
        try:
            return executor.submit(function, *arguments)
        except (BrokenProcessPool, RuntimeError) as error:
            raise RuntimeError(
                f"executor {self.name} takes no more work ({error}): make a new one and call "
                "collect again, which goes on from what the store holds"
            ) from error

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        if self._own is not None:
            self._own.shutdown(cancel_futures=True)


def checked_executor(executor: Executor | None) -> Executor | None:
    """Return `executor` if it can be used.

    Raises
    ------
    TypeError
        If it has no ``submit``.
    ValueError
        If it forks this process, in which OpenMP has run: its children would hang.

    Examples
    --------
    >>> from vgsim._executors import checked_executor
    >>> checked_executor(4)
    Traceback (most recent call last):
    TypeError: executor must be a concurrent.futures.Executor or None, got 4
    """
    if executor is None:
        return None
    if not callable(getattr(executor, "submit", None)):
        raise TypeError(f"executor must be a concurrent.futures.Executor or None, got {executor!r}")
    if isinstance(executor, ProcessPoolExecutor) and _execution.openmp_has_run():
        context = executor._mp_context
        if context is not None and context.get_start_method() == "fork":
            raise ValueError(
                "executor forks this process, in which OpenMP has run: its children would hang; "
                'make it with mp_context=multiprocessing.get_context("spawn") or "forkserver"'
            )
    return executor


def _count(executor: Executor) -> int:
    """How many workers an executor says it has."""
    client = getattr(executor, "_client", None)
    if client is not None:  # Dask
        return max(1, int(sum(client.nthreads().values())))
    for name in ("_max_workers", "num_workers"):
        count = getattr(executor, name, None)
        if isinstance(count, int) and count > 0:
            return count
    return DEFAULT_WORKERS


ONE_AT_A_TIME = threading.Lock()  # kernels of this process, each on all its threads
