"""The workers of a study: they simulate and count units of work, consecutive samples of a task."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from threading import Event, Lock
from typing import Any

import numpy as np

from vgsim._checks import type_error, value_error
from vgsim._engine.data import Data
from vgsim._engine.run import openmp_has_run, run, thread_count, too_few_threads
from vgsim._engine.settings import STREAM_VERSION
from vgsim._results.samples import Samples
from vgsim._studies.blocks import Blocks
from vgsim._studies.carried import Lent, Reference, reached
from vgsim._studies.task import Task

__all__ = [
    "Counted",
    "NotBegunError",
    "Workers",
    "checked_executor",
    "counted",
    "run_unit",
    "simulated",
]

Counted = tuple[Blocks, float]  # and the seconds of the kernels


def run_unit(task: Task, data: Data | None, first: int, end: int, n_threads: int) -> Counted:
    """Simulate and count the samples first … end − 1 of a task.

    Parameters
    ----------
    task : Task
    data : Data or None
        The data with the digest in `task.inputs`; None if the inputs are normal.
    first, end : int
    n_threads : int

    Returns
    -------
    blocks : Blocks
    seconds : float
        Time of the kernels.

    Raises
    ------
    ValueError
        If the stream version of the task is not that of this vgsim.
    MemoryError
        If the samples do not fit in memory.

    Examples
    --------
    >>> import vgsim
    >>> from vgsim._studies.task import Task
    >>> from vgsim._studies.workers import run_unit
    >>> blocks, seconds = run_unit(Task(vgsim.MLP(10, 8)), None, 1000, 3000, 1)
    >>> blocks
    <Blocks: 2, samples 1000 to 2999>
    """
    return counted(task, simulated(task, data, first, end, n_threads))


def _run_with(
    task: Task, carried: Data | Reference, first: int, end: int, n_threads: int
) -> Counted:
    """Simulate and count a unit with the data that it carries or refers to: see `run_unit`."""
    return run_unit(task, reached(carried), first, end, n_threads)


def _same(data: Data) -> Data:
    return data


def simulated(
    task: Task,
    data: Data | None,
    first: int,
    end: int,
    n_threads: int,
    report: Callable[[int], object] | None = None,
) -> Samples:
    """Return the samples first … end − 1 of a task."""
    if task.stream_version != STREAM_VERSION:
        raise ValueError(
            f"the vgsim of this worker has stream version {STREAM_VERSION}, the study has "
            f"{task.stream_version}: install the same vgsim everywhere"
        )
    layers, recorded = np.array(task.layers, dtype=np.int64), frozenset(["gradient"])
    settings = task.settings(data)
    return run(task.network, settings, first, end - first, layers, recorded, n_threads, report)


def counted(task: Task, samples: Samples) -> Counted:
    """Return the counts of samples of a task, and the seconds of the kernels."""
    return Blocks.of(samples, task.thresholds), samples.elapsed


DEFAULT_WORKERS = 4  # assumed if an executor does not report its workers
COUNT_SECONDS = 5.0  # interval at which the workers of a cluster are counted


class NotBegunError(Exception):
    """The time limit passed before a unit was begun."""


class Workers:
    """The executor of a study: number of workers, submission of units, transfer of data.

    Parameters
    ----------
    executor : concurrent.futures.Executor or None
        None runs units in this process, one at a time on `n_threads` threads; the next unit is
        simulated while the previous one is being counted.
    n_threads : int or None
        Threads per unit. By default all threads of this process, or one with an executor, whose
        workers run in parallel.

    Attributes
    ----------
    name : str
        Name of the class of the executor, or "threads".
    n_threads : int

    Raises
    ------
    TypeError, ValueError
        If `executor` or `n_threads` cannot be used.

    Examples
    --------
    >>> import vgsim
    >>> from vgsim._studies.workers import Workers
    >>> from vgsim._studies.task import Task
    >>> with Workers(None, 2) as workers:
    ...     blocks, seconds = workers.submit(Task(vgsim.MLP(10, 8)), None, 0, 2000).result()
    >>> workers.count, blocks
    (1, <Blocks: 2, samples 0 to 1999>)
    """

    def __init__(self, executor: Executor | None, n_threads: int | None) -> None:
        self._executor = checked_executor(executor)
        local = executor is None
        self._local = ThreadPoolExecutor(2, "vgsim-unit") if local else None
        self._kernel = Lock()  # units of this process run one at a time, each on all threads
        self._interrupted = Event()
        self._late = Event()
        self._counted: tuple[float, int] | None = None
        self._lent: Lent | None = None
        self._on_dask: Any = None
        self.n_threads = thread_count(n_threads if n_threads is not None or local else 1)
        self.name = "threads" if local else type(executor).__name__

    @property
    def count(self) -> int:
        """Number of units that run at the same time."""
        if self._executor is None:
            return 1
        now = time.monotonic()
        if self._counted is None or now - self._counted[0] > COUNT_SECONDS:
            self._counted = now, _count(self._executor)
        return self._counted[1]

    def submit(
        self, task: Task, data: Data | None, first: int, end: int, again: bool = False
    ) -> Future[Counted]:
        """Submit a unit: see `run_unit`.

        A unit that is submitted `again`, for a worker that could not map the data, carries them.

        Raises
        ------
        RuntimeError
            If the executor is broken or shut down.
        MemoryError
            If this process cannot start a thread.
        """
        if self._local is not None:
            try:
                return self._local.submit(self._run_here, task, data, first, end, self.n_threads)
            except RuntimeError as error:
                raise too_few_threads(self.n_threads, 0) from error
        assert self._executor is not None
        carried: Any = data
        function: Callable[..., Counted] = run_unit
        options: dict[str, Any] = {}
        try:
            if (client := _dask_client(self._executor)) is not None:
                # By default Dask returns the first result of a call with equal arguments, even if
                # it is an error, instead of a second attempt.
                options = {"pure": False}
                if data is not None:
                    carried = self._on_workers(client, data)
            elif data is not None:
                function = _run_with
                if not again:
                    self._lent = self._lent or Lent(data)
                    carried = self._lent.reference
            return self._executor.submit(
                function, task, carried, first, end, self.n_threads, **options
            )
        except RuntimeError as error:
            raise RuntimeError(
                f"executor {self.name} takes no more work ({error}): make a new executor and call "
                "again; with a store, the study continues from its finished blocks"
            ) from error

    def _on_workers(self, client: Any, data: Data) -> Any:
        """Return a Dask future of the data, which Dask sends to each worker that needs them.

        The data are the result of a Dask task, not scattered: Dask restores them when all workers
        that held them have died, and the cluster may start without workers.
        """
        if self._on_dask is None or self._on_dask.status not in ("pending", "finished"):
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "Sending large graph")
                self._on_dask = client.submit(_same, data, pure=False)
        return self._on_dask

    def _run_here(
        self, task: Task, data: Data | None, first: int, end: int, n_threads: int
    ) -> Counted:
        """Run a unit in this process; when the study is interrupted, its kernel stops at once."""

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
        """Make the units of this process that have not begun raise NotBegunError."""
        self._late.set()

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        self._interrupted.set()
        self._on_dask = None
        if self._lent is not None:
            self._lent.close()
        if self._local is not None:
            self._local.shutdown(cancel_futures=True)


def checked_executor(executor: Executor | None) -> Executor | None:
    """Return `executor` if it can be used.

    Raises
    ------
    TypeError
        If it has no ``submit``.
    ValueError
        If it forks this process after OpenMP has run, since its children would hang.

    Examples
    --------
    >>> from vgsim._studies.workers import checked_executor
    >>> checked_executor(4)
    Traceback (most recent call last):
    TypeError: executor must be a concurrent.futures.Executor or None, got 4
    """
    if executor is None:
        return None
    if not callable(getattr(executor, "submit", None)):
        raise type_error(
            "executor", f"must be a concurrent.futures.Executor or None, got {executor!r}"
        )
    if isinstance(executor, ProcessPoolExecutor) and openmp_has_run():
        context = executor._mp_context
        if context is not None and context.get_start_method() == "fork":
            raise value_error(
                "executor",
                "forks this process, in which OpenMP has run: its children would hang; "
                'make it with mp_context=multiprocessing.get_context("spawn") or "forkserver"',
            )
    return executor


def _dask_client(executor: Executor) -> Any:
    """Return the client of a Dask executor; None for other executors."""
    return getattr(executor, "_client", None)


def _count(executor: Executor) -> int:
    """Return the number of workers that an executor reports."""
    client = _dask_client(executor)
    if client is not None:
        return max(1, int(sum(client.nthreads().values())))
    for name in ("_max_workers", "num_workers"):
        count = getattr(executor, name, None)
        if isinstance(count, int) and count > 0:
            return count
    return DEFAULT_WORKERS
