"""Where the units of a study run: threads of this process, or any concurrent.futures.Executor."""

from __future__ import annotations

import time
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from threading import Event, Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vgsim import _execution
from vgsim._task import Task
from vgsim._threads import thread_count
from vgsim._unit import Counted, counted, run_unit, simulated

__all__ = ["NotBegunError", "Workers", "checked_executor"]

DEFAULT_WORKERS = 4  # of an executor that does not tell
COUNT_SECONDS = 5.0  # after which a cluster, which may grow or shrink, is asked again


class NotBegunError(Exception):
    """A unit was waiting for the kernel when time was up."""


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
    name : str
        Of the kind of executor.
    n_threads : int

    Raises
    ------
    TypeError, ValueError
        If `executor` or `n_threads` cannot be used.

    Examples
    --------
    >>> import vgsim
    >>> from vgsim._executors import Workers
    >>> from vgsim._task import Task
    >>> with Workers(None, 2) as workers:
    ...     blocks, seconds = workers.submit(Task(vgsim.MLP(10, 8)), None, 0, 2000).result()
    >>> workers.count, blocks
    (1, <Blocks: 2, samples 0 to 1999>)
    """

    def __init__(self, executor: Executor | None, n_threads: int | None) -> None:
        self._executor = checked_executor(executor)
        local = executor is None
        self._local = ThreadPoolExecutor(2, "vgsim-unit") if local else None
        self._kernel = Lock()  # one at a time, on all threads
        self._interrupted = Event()
        self._late = Event()
        self._counted: tuple[float, int] | None = None
        self.n_threads = thread_count(n_threads if n_threads is not None or local else 1)
        self.name = "threads" if local else type(executor).__name__

    @property
    def count(self) -> int:
        """How many units run at a time."""
        if self._executor is None:
            return 1
        now = time.monotonic()
        if self._counted is None or now - self._counted[0] > COUNT_SECONDS:
            self._counted = now, _count(self._executor)
        return self._counted[1]

    def submit(
        self, task: Task, data: NDArray[np.float64] | None, first: int, end: int
    ) -> Future[Counted]:
        """Run a unit on some worker: see `run_unit`.

        Raises
        ------
        RuntimeError
            If the executor is broken or shut down.
        """
        unit = task, data, first, end, self.n_threads
        if self._local is not None:
            return self._local.submit(self._run_here, *unit)
        assert self._executor is not None
        # Dask would take equal arguments for the same unit, and a second attempt for the first.
        options: dict[str, Any] = {"pure": False} if _dask_client(self._executor) else {}
        try:
            return self._executor.submit(run_unit, *unit, **options)
        except RuntimeError as error:
            raise RuntimeError(
                f"executor {self.name} takes no more work ({error}): make a new one and call "
                "again, which goes on from what a store holds"
            ) from error

    def _run_here(
        self, task: Task, data: NDArray[np.float64] | None, first: int, end: int, n_threads: int
    ) -> Counted:
        """Run a unit in this process, where an interrupted study stops its kernel at once."""

        def look(*_: int) -> None:
            if self._interrupted.is_set():
                raise InterruptedError("the study was interrupted")

        with self._kernel:
            look()
            if self._late.is_set():
                raise NotBegunError
            samples = simulated(task, data, first, end, n_threads, look)
        return counted(task, samples)

    def begin_no_more(self) -> None:
        """Let units of this process that wait for the kernel wait for nothing."""
        self._late.set()

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        self._interrupted.set()
        if self._local is not None:
            self._local.shutdown(cancel_futures=True)


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


def _dask_client(executor: Executor) -> Any:
    """Return the client behind an executor of Dask, None of any other."""
    return getattr(executor, "_client", None)


def _count(executor: Executor) -> int:
    """How many workers an executor says it has."""
    client = _dask_client(executor)
    if client is not None:
        return max(1, int(sum(client.nthreads().values())))
    for name in ("_max_workers", "num_workers"):
        count = getattr(executor, name, None)
        if isinstance(count, int) and count > 0:
            return count
    return DEFAULT_WORKERS
