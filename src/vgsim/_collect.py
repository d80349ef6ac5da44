"""collect(): many networks, many samples, until each is known well enough."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Executor, Future, wait
from functools import reduce
from threading import Event
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from vgsim._blocks import Blocks
from vgsim._cursor import Cursor
from vgsim._executors import ONE_AT_A_TIME, Workers
from vgsim._info import provenance
from vgsim._join import merged_provenance
from vgsim._network import Network, checked_network
from vgsim._parameters import Number
from vgsim._precision import Precision
from vgsim._samples import Samples
from vgsim._sampling import (
    INDICES,
    checked_data,
    checked_dtype,
    checked_int,
    checked_layers,
    checked_seed,
    data_digest,
)
from vgsim._simulate import simulate
from vgsim._storage import Store
from vgsim._study import Study
from vgsim._study_progress import Report, StudyProgress, reporter
from vgsim._task import Task, checked_thresholds

__all__ = ["collect", "iter_collect", "run_unit"]

POLL_SECONDS = 0.2
UNIT_SECONDS = 2.0  # what a unit of work should take
ATTEMPTS = 3  # at a unit whose worker was lost
SECONDS = Number("a positive number", lambda seconds: seconds > 0)


class _InterruptedError(Exception):
    """The study was stopped while a kernel of this process was running."""


def run_unit(
    task: Task, data: NDArray[np.float64] | None, first: int, end: int, n_threads: int
) -> tuple[str, Blocks, float]:
    """Simulate the samples first … end − 1 of a task and count them: what a worker does.

    Returns
    -------
    digest : str
        Of the task as this worker's vgsim understands it.
    blocks : Blocks
    seconds : float

    Examples
    --------
    >>> import vgsim
    >>> from vgsim._collect import run_unit
    >>> from vgsim._study import Task
    >>> task = Task(vgsim.MLP(10, 8), 0, 1, "linear", "normal", (0,), (1e-6,), "dense", "float32")
    >>> run_unit(task, None, 1000, 3000, 1)[1].end
    3000
    """
    return _counted(task, lambda: _simulated(task, data, first, end, n_threads, False))


def _simulated(
    task: Task,
    data: NDArray[np.float64] | None,
    first: int,
    end: int,
    n_threads: int,
    progress: bool | Callable[[int, int], object],
) -> Samples:
    return simulate(
        task.network,
        end - first,
        seed=task.seed,
        first=first,
        batch_size=task.batch_size,
        inputs="normal" if data is None else data,
        loss=task.loss,
        layers=task.layers,
        engine=task.engine,
        dtype=task.dtype,
        n_threads=n_threads,
        progress=progress,
    )


def _counted(task: Task, run: Callable[[], Samples]) -> tuple[str, Blocks, float]:
    samples = run()
    return task.digest, Blocks.of(samples, task.thresholds), samples.elapsed


def collect(
    tasks: Iterable[Network],
    *,
    seed: int | None = 0,
    max_samples: int | None = None,
    stop: Precision | Sequence[Precision] | None = None,
    max_seconds: float | None = None,
    batch_size: int = 1,
    inputs: Literal["normal"] | ArrayLike = "normal",
    loss: str = "linear",
    layers: Sequence[int] = (0,),
    thresholds: Sequence[float] = (1e-6,),
    engine: str = "auto",
    dtype: DTypeLike = "float32",
    store: Any = None,
    executor: Executor | None = None,
    n_threads: int | None = None,
    progress: Report = False,
) -> Study:
    """Run a study: sample many networks until each is known well enough, and count what happens.

    The samples are those of :func:`simulate`, taken in blocks of 1,000 consecutive indices. What is
    kept of them are exact counts and integer histograms, so memory does not grow with their number,
    and neither workers, machines nor interruptions change a bit of the result.

    Parameters
    ----------
    tasks : iterable of MLP and RNN
        For example of :func:`sweep`. Each network once.
    seed : int or None, default 0
        Networks are independent under one seed. None, fresh entropy, is for studies without store.
    max_samples : int, optional
        At most so many of each network, in all: what the store holds counts.
    stop : Precision or sequence of Precision, optional
        Each network is sampled until all of them are reached, or max_samples are. They look after
        every block, in the order of the indices: all workers stop at the same sample.
    max_seconds : float, optional
        After so long, no more work is begun. The one stop that depends on the machine: what was
        finished in the order of the indices counts.
    batch_size, inputs, loss, engine, dtype
        As for :func:`simulate`.
    layers : sequence of int, default (0,)
        The layers l whose ratios R_l = log10(‖G_l‖/‖G_D‖) are counted.
    thresholds : sequence of float, default (1e-6,)
        Of vanishing and exploding, 0 < threshold <= 1; each is counted exactly.
    store : path, optional
        A directory that keeps every finished block. A study may be stopped at any instant, even by
        a power failure, and called again: it goes on. Other tasks may use the same store.
    executor : concurrent.futures.Executor, optional
        Where the work is done: ``ProcessPoolExecutor`` (start method spawn or forkserver), Dask's
        ``client.get_executor()``, ``mpi4py.futures.MPIPoolExecutor``. By default threads of this
        process.
    n_threads : int, optional
        Threads of one unit of work. By default all processors; with an executor, one.
    progress : bool or callable, default False
        True shows a bar (with tqdm), a line (on a terminal) or lines (elsewhere), with the time
        left. A callable is called as ``progress(done, total)``, in samples.

    Returns
    -------
    Study
        One result for each network, in the order of `tasks`.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type or out of range, nothing would ever stop, or a network
        is there twice.
    OSError
        If the store cannot be written or belongs to another process; the message says why.
    RuntimeError
        If workers die again and again.

    See Also
    --------
    iter_collect : the same, as it grows.

    Examples
    --------
    >>> import vgsim
    >>> networks = vgsim.sweep(vgsim.MLP, width=16, activation=["tanh", "relu"], depth=[10, 30])
    >>> study = vgsim.collect(networks, max_samples=20_000, stop=vgsim.Precision(0.02))
    >>> [result.n for result in study]
    [1000, 1000, 1000, 9000]
    >>> print(study.find(activation="tanh", depth=30)[0].probability("vanishing"))
    0 (95 % interval 0 to 0.007, 0 of 1000)
    """
    arguments = {name: value for name, value in locals().items() if name != "tasks"}
    study = None
    for study in iter_collect(tasks, **arguments):  # noqa: B007
        pass
    assert study is not None
    return study


def iter_collect(
    tasks: Iterable[Network],
    *,
    seed: int | None = 0,
    max_samples: int | None = None,
    stop: Precision | Sequence[Precision] | None = None,
    max_seconds: float | None = None,
    batch_size: int = 1,
    inputs: Literal["normal"] | ArrayLike = "normal",
    loss: str = "linear",
    layers: Sequence[int] = (0,),
    thresholds: Sequence[float] = (1e-6,),
    engine: str = "auto",
    dtype: DTypeLike = "float32",
    store: Any = None,
    executor: Executor | None = None,
    n_threads: int | None = None,
    progress: Report = False,
) -> Iterator[Study]:
    """Run a study as :func:`collect` does, and yield it as it grows.

    The first Study holds what the store had, the last is what :func:`collect` returns. One that is
    left early (``break``) has its finished blocks in the store.

    Parameters
    ----------
    tasks, seed, max_samples, stop, max_seconds, batch_size, inputs, loss, layers, thresholds
    engine, dtype, store, executor, n_threads, progress
        As for :func:`collect`.

    Yields
    ------
    Study

    Examples
    --------
    >>> import vgsim
    >>> network = vgsim.MLP(depth=30, width=16)
    >>> for study in vgsim.iter_collect([network], max_samples=5000):
    ...     pass
    >>> study[0].n
    5000
    """
    networks = [checked_network(network) for network in tasks]
    if not networks:
        raise ValueError("tasks must hold at least one network, got none")
    if len(set(networks)) < len(networks):
        twice = next(network for network in networks if networks.count(network) > 1)
        raise ValueError(f"tasks must hold each network once, got twice {twice!r}")
    if max_samples is not None:
        max_samples = checked_int("max_samples", max_samples, 1, INDICES, "2**56")
    if max_seconds is not None:
        max_seconds = SECONDS.check("max_seconds", max_seconds)
    if max_samples is None and stop is None and max_seconds is None:
        raise ValueError("give max_samples, stop or max_seconds: nothing would ever stop the study")
    if seed is None and store is not None:
        raise ValueError("seed must be an int with a store, got None: it could not be resumed")
    seed = checked_seed(seed)
    thresholds = checked_thresholds(thresholds)
    shallowest = min(network.depth for network in networks)
    columns = tuple(checked_layers(layers, shallowest).tolist())
    rules = _checked_rules(stop, columns, thresholds)
    dtype = checked_dtype(dtype)
    data = checked_data(inputs, networks[0].widths[0], batch_size)
    cursors = []
    for network in networks:
        digest = data_digest(checked_data(inputs, network.widths[0], batch_size))
        setting = batch_size, loss, digest, columns, thresholds, engine, dtype
        task = Task(network, seed, *setting)
        cursors.append(Cursor(task, rules, max_samples))
    with Workers(executor, n_threads) as workers:
        collection = _Collection(cursors, data, workers, max_seconds)
        if store is None:
            yield from collection.run(None, progress)
        else:
            with Store.open(store) as opened:
                yield from collection.run(opened, progress)


def _checked_rules(
    stop: Precision | Sequence[Precision] | None,
    layers: tuple[int, ...],
    thresholds: tuple[float, ...],
) -> tuple[Precision, ...]:
    rules: tuple[Precision, ...] = ()
    if stop is not None:
        rules = tuple(stop) if isinstance(stop, Iterable) else (stop,)
    for rule in rules:
        if not isinstance(rule, Precision):
            raise TypeError(f"stop must be a vgsim.Precision or a sequence of them, got {rule!r}")
        if rule.layer not in layers:
            raise ValueError(
                f"layers must hold layer {rule.layer}, which stop watches, got {layers}"
            )
        if rule.event != "dead" and rule.threshold not in thresholds:
            raise ValueError(
                f"thresholds must hold {rule.threshold!r}, which stop watches, got {thresholds}"
            )
    return rules


class _Collection:
    """The work of a study: what is out with workers, what came back, and what is next."""

    def __init__(
        self,
        cursors: list[Cursor],
        data: NDArray[np.float64] | None,
        workers: Workers,
        max_seconds: float | None,
    ) -> None:
        self._cursors = cursors
        self._data = data
        self._workers = workers
        self._began = time.monotonic()
        self._deadline = None if max_seconds is None else self._began + max_seconds
        self._out: dict[Future[Any], tuple[Cursor, int, int, int]] = {}
        self._interrupted = Event()
        self._costs = [cursor.cost for cursor in cursors]
        self._made_by = provenance() | {"executor": workers.name}

    def run(self, store: Store | None, progress: Report) -> Iterator[Study]:
        """Yield the study whenever it has grown, until it is done."""
        if store is not None:
            store.add([cursor.task for cursor in self._cursors])
            self._made_by = reduce(merged_provenance, store.provenance, self._made_by)
            for cursor in self._cursors:
                if (held := store.blocks(cursor.task)) is not None:
                    cursor.begin_with(held)
        self._began_at = self._fraction()
        with reporter(progress) as report:
            try:
                yield self._study()
                while self._send():
                    report(self._progress())
                    if self._receive(store):
                        yield self._study()
                report(self._progress())
            finally:
                self._interrupted.set()
                for future in self._out:
                    future.cancel()

    def _study(self) -> Study:
        return Study([cursor.result() for cursor in self._cursors], self._made_by)

    def _fraction(self) -> float:
        """Return what is done of all that may be to do, by cost; 0 where only a rule stops."""
        if any(cursor.max_samples is None for cursor in self._cursors):
            return 0.0
        done = sum(c.n * cost for c, cost in zip(self._cursors, self._costs, strict=True))
        most = sum(
            (c.max_samples or 0) * cost for c, cost in zip(self._cursors, self._costs, strict=True)
        )
        return done / (most or 1.0)

    def _progress(self) -> StudyProgress:
        most = [cursor.max_samples for cursor in self._cursors]
        return StudyProgress(
            done=sum(cursor.n for cursor in self._cursors),
            total=0 if None in most else sum(n or 0 for n in most),
            finished=sum(cursor.is_done for cursor in self._cursors),
            tasks=len(self._cursors),
            fraction=self._fraction(),
            began_at=self._began_at,
            seconds=time.monotonic() - self._began,
        )

    def _send(self) -> bool:
        """Keep the workers busy; whether anything is out."""
        late = self._deadline is not None and time.monotonic() >= self._deadline
        if late:
            for future in list(self._out):
                if future.cancel():
                    del self._out[future]
        room = self._workers.count + 1 - len(self._out)  # one waits, so that nobody does
        while room > 0 and not late and (unit := self._next_unit()) is not None:
            self._submit(*unit, 1)
            room -= 1
        return bool(self._out)

    def _next_unit(self) -> tuple[Cursor, int, int] | None:
        """Return the next range of samples, of the first network that has any to send."""
        for cursor in self._cursors:
            if (unit := cursor.next_unit(UNIT_SECONDS, self._workers.count)) is not None:
                return cursor, *unit
        return None

    def _submit(self, cursor: Cursor, first: int, end: int, attempt: int) -> None:
        arguments = (cursor.task, self._data, first, end, self._workers.n_threads)
        run = self._run_here if self._workers.is_local else run_unit
        self._out[self._workers.submit(run, *arguments)] = (cursor, first, end, attempt)

    def _run_here(
        self, task: Task, data: NDArray[np.float64] | None, first: int, end: int, n_threads: int
    ) -> tuple[str, Blocks, float]:
        """Run a unit in this process, where an interrupted study stops its kernel at once."""

        def look(*_: int) -> None:
            if self._interrupted.is_set():
                raise _InterruptedError

        def run() -> Samples:
            with ONE_AT_A_TIME:
                look()
                return _simulated(task, data, first, end, n_threads, look)

        return _counted(task, run)

    def _receive(self, store: Store | None) -> bool:
        """Wait for units, store and count them; whether a network has grown."""
        timeout = POLL_SECONDS
        if self._deadline is not None:
            timeout = min(timeout, max(0.0, self._deadline - time.monotonic()))
        finished = wait(self._out, timeout, FIRST_COMPLETED).done
        grown = False
        for future in finished:
            cursor, first, end, attempt = self._out.pop(future)
            try:
                digest, blocks, seconds = future.result()
            except (CancelledError, Exception) as error:
                if not _is_lost(error) or attempt == ATTEMPTS:
                    raise _explained(error, cursor.task, first, end) from error
                self._submit(cursor, first, end, attempt + 1)
                continue
            if digest != cursor.task.digest:
                raise RuntimeError(
                    "a worker's vgsim does not draw the same samples: all must have one version"
                )
            if store is not None:
                store.write(cursor.task, blocks)
            cursor.timed(len(blocks), seconds)
            grown |= cursor.take(blocks)
        return grown


def _is_lost(error: BaseException) -> bool:
    """Whether the worker is to blame, and not the work."""
    return isinstance(error, CancelledError) or type(error).__name__ in (
        "KilledWorker",
        "CommClosedError",
        "FutureCancelledError",
    )


def _explained(error: BaseException, task: Task, first: int, end: int) -> Exception:
    what = f"samples {first} to {end - 1} of {task.network!r}"
    if _is_lost(error) or "Broken" in type(error).__name__:
        return RuntimeError(
            f"workers died at {what} ({type(error).__name__}): make a new executor and call "
            "collect again, which goes on from what the store holds"
        )
    if isinstance(error, (MemoryError, ValueError, TypeError, OSError)):
        return type(error)(f"{error} (at {what})")
    return RuntimeError(f"{type(error).__name__}: {error} (at {what})")
