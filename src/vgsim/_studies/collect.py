"""collect() and iter_collect(): sample many networks until their stop rules are met."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import closing
from typing import Any, Literal

from numpy.typing import ArrayLike, DTypeLike

from vgsim._checks import INDICES, brief, checked_items, type_error, value_error
from vgsim._domains import Number, checked_int
from vgsim._engine.progress import Progress
from vgsim._engine.settings import Settings, checked_layers
from vgsim._networks.description import Network, checked_network
from vgsim._networks.functions import require_lasting
from vgsim._studies.precision import Precision
from vgsim._studies.scheduler import Cursor, Scheduler
from vgsim._studies.store_file import local_path
from vgsim._studies.study import Study
from vgsim._studies.task import Task, checked_thresholds
from vgsim._studies.workers import Workers
from vgsim.typing import DType, Engine, Loss

__all__ = ["collect", "iter_collect"]

SECONDS = Number("a positive number", lambda seconds: seconds > 0)


def collect(
    tasks: Iterable[Network],
    *,
    seed: int | None = 0,
    max_samples: int | None = None,
    stop: Precision | Sequence[Precision] | None = None,
    max_seconds: float | None = None,
    batch_size: int = 1,
    inputs: Literal["normal", "zeros"] | ArrayLike = "normal",
    loss: Loss = "linear",
    layers: Sequence[int] = (0,),
    thresholds: Sequence[float] = (1e-6,),
    engine: Engine = "auto",
    dtype: DType | DTypeLike = "float32",
    store: str | os.PathLike[str] | None = None,
    executor: Executor | None = None,
    n_threads: int | None = None,
    progress: Progress = False,
) -> Study:
    """Run a study: sample many networks until their stop rules are met, and count events.

    The samples are those of :func:`simulate`, in blocks of 1,000 consecutive indices. They are
    reduced to exact counts and integer histograms, so memory does not grow with their number. The
    result depends neither on workers nor on machines nor on interruptions.

    Parameters
    ----------
    tasks : iterable of MLP, RNN, LSTM, GRU and Sequential
        The networks, for example from :func:`sweep`; no network twice.
    seed : int or None, default 0
        Different networks have independent samples under one seed. None takes fresh entropy, and
        is refused together with `store`.
    max_samples : int, optional
        Largest number of samples per network, including those in the store.
    stop : Precision or sequence of Precision, optional
        Stop rules. Each network is sampled until it meets all of them, or has `max_samples`
        samples. They are checked after every block, in the order of the indices, so the number of
        samples does not depend on the workers.
    max_seconds : float, optional
        Time limit. Units of work that run at that time, of 1,000 samples or more, are finished; no
        further ones are begun. The number n of samples of a network then depends on the machine;
        they are still its first n.
    batch_size, inputs, loss, engine, dtype
        As for :func:`simulate`.
    layers : sequence of int, default (0,)
        The layers l whose ratios R_l = log10(‖G_l‖/‖G_D‖) are counted.
    thresholds : sequence of float, default (1e-6,)
        Thresholds of vanishing and exploding, 0 < threshold <= 1; each is counted exactly.
    store : path, optional
        An SQLite file that keeps every finished block; file and folder are created if they do not
        exist. A study that was interrupted at any instant, even by a power failure, continues from
        its store when it is called again. Other studies and other processes may use the same store
        at the same time.
    executor : concurrent.futures.Executor, optional
        ``ProcessPoolExecutor`` (start method spawn or forkserver), Dask's
        ``client.get_executor()`` or ``mpi4py.futures.MPIPoolExecutor``. By default, the threads of
        this process do the work.
    n_threads : int, optional
        Threads per unit of work. By default all processors; with an executor, one.
    progress : bool or callable, default False
        True shows a progress bar on a terminal or in a notebook, and plain lines elsewhere. A
        callable is called as ``progress(done, total)``, in samples.

    Returns
    -------
    Study
        One result for each network, in the order of `tasks`.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type or is out of range, the study would never stop, a network
        is given twice, or there is a store and the function of a `TorchModule` has no name of its
        own, as a lambda.
    OSError
        If the store cannot be written; the message says why.
    RuntimeError
        If workers die repeatedly.

    See Also
    --------
    iter_collect : Yields intermediate results.

    Examples
    --------
    >>> import vgsim
    >>> networks = vgsim.sweep(vgsim.MLP, width=16, activation=["tanh", "sigmoid"], depth=[10, 30])
    >>> study = vgsim.collect(networks, max_samples=20_000, stop=vgsim.Precision(0.01))
    >>> [result.n for result in study]
    [1000, 1000, 4000, 1000]
    >>> print(study.find(activation="tanh", depth=30)[0].probability("vanishing"))
    0 (95 % interval 0 to 0.007, 0 of 1000)
    """
    scheduler = _planned(
        tasks,
        Settings.checked(
            seed=seed, batch_size=batch_size, inputs=inputs, loss=loss, engine=engine, dtype=dtype
        ),
        layers,
        thresholds,
        stop,
        max_samples,
        max_seconds,
        None if store is None else _storable(store, seed),
        Workers(executor, n_threads),
        progress,
    )
    with closing(scheduler.run()) as growth:
        for _ in growth:
            pass
    return scheduler.study()


def iter_collect(
    tasks: Iterable[Network],
    *,
    seed: int | None = 0,
    max_samples: int | None = None,
    stop: Precision | Sequence[Precision] | None = None,
    max_seconds: float | None = None,
    batch_size: int = 1,
    inputs: Literal["normal", "zeros"] | ArrayLike = "normal",
    loss: Loss = "linear",
    layers: Sequence[int] = (0,),
    thresholds: Sequence[float] = (1e-6,),
    engine: Engine = "auto",
    dtype: DType | DTypeLike = "float32",
    store: str | os.PathLike[str] | None = None,
    executor: Executor | None = None,
    n_threads: int | None = None,
    progress: Progress = False,
) -> Iterator[Study]:
    """Run a study as :func:`collect` does, and yield its results so far as it proceeds.

    The first Study holds the blocks of the store, the last one equals the result of
    :func:`collect`. After an early ``break``, the store has all finished blocks.

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
    scheduler = _planned(
        tasks,
        Settings.checked(
            seed=seed, batch_size=batch_size, inputs=inputs, loss=loss, engine=engine, dtype=dtype
        ),
        layers,
        thresholds,
        stop,
        max_samples,
        max_seconds,
        None if store is None else _storable(store, seed),
        Workers(executor, n_threads),
        progress,
    )
    return (scheduler.study() for _ in scheduler.run())


def _storable(store: Any, seed: int | None) -> Any:
    """Return the absolute path of a store; raise ValueError if the seed is None."""
    if seed is None:
        problem = "must be an int with a store, got None: the study could not be continued"
        raise value_error("seed", problem)
    return local_path(store).absolute()


def _planned(
    tasks: Iterable[Network],
    settings: Settings,
    layers: Sequence[int],
    thresholds: Sequence[float],
    stop: Precision | Sequence[Precision] | None,
    max_samples: int | None,
    max_seconds: float | None,
    store: Any,
    workers: Workers,
    progress: Progress,
) -> Scheduler:
    """Return the scheduler of a study, after a check of the remaining arguments."""
    networks = _checked_networks(tasks)
    if store is not None:
        for network in networks:
            require_lasting("tasks", network)
    if max_samples is not None:
        max_samples = checked_int("max_samples", max_samples, 1, INDICES, "2**56")
    if max_seconds is not None:
        max_seconds = SECONDS.check("max_seconds", max_seconds)
    thresholds = checked_thresholds(thresholds)
    columns = tuple(checked_layers(layers, min(network.depth for network in networks)).tolist())
    rules = _checked_rules(stop, columns, thresholds)
    if max_samples is None and not rules and max_seconds is None:
        raise value_error(
            "max_samples", "or stop or max_seconds must be given: nothing would stop the study"
        )
    tasks_of = [Task.of(network, settings, columns, thresholds) for network in networks]
    cursors = [Cursor(task, rules, max_samples) for task in tasks_of]
    return Scheduler(cursors, settings.data, workers, max_seconds, store, progress)


def _checked_networks(tasks: Iterable[Network]) -> list[Network]:
    given = checked_items("tasks", tasks, "must be an iterable of networks")
    networks = [checked_network(network, "tasks") for network in given]
    if not networks:
        raise value_error("tasks", "must hold at least one network, got none")
    seen = set()
    for network in networks:
        if network in seen:
            raise value_error("tasks", f"must have each network once, got {network!r} twice")
        seen.add(network)
    return networks


def _checked_rules(
    stop: Precision | Sequence[Precision] | None,
    layers: tuple[int, ...],
    thresholds: tuple[float, ...],
) -> tuple[Precision, ...]:
    given: Sequence[object] = ()
    if stop is not None:
        given = stop if isinstance(stop, (list, tuple)) else (stop,)
    rules = []
    for rule in given:
        if not isinstance(rule, Precision):
            raise type_error("stop", f"must be a vgsim.Precision or several, got {brief(rule)}")
        if rule.layer not in layers:
            raise value_error(
                "layers", f"must include layer {rule.layer} of the stop rule, got {layers}"
            )
        if rule.event != "dead" and rule.threshold not in thresholds:
            raise value_error(
                "thresholds",
                f"must include {rule.threshold!r} of the stop rule, got {thresholds}",
            )
        rules.append(rule)
    return tuple(rules)
