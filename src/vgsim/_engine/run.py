"""A run of the kernels on this machine: memory, threads, interruption, provenance."""

from __future__ import annotations

import math
import os
import platform
import re
import resource
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vgsim._checks import memory_error, require_memory, value_error
from vgsim._domains import Integer
from vgsim._engine.autograd import differentiate
from vgsim._engine.plan import Plan
from vgsim._engine.settings import STREAM_VERSION, Settings
from vgsim._kernels import (
    COMPILER,
    Run,
    available_isas,
    compiled_isas,
    lanes,
    openmp_limits,
    selected_isa,
    startable,
)
from vgsim._networks.description import Network
from vgsim._results.samples import QUANTITIES, Samples
from vgsim._version import __version__

__all__ = [
    "execute",
    "openmp_has_run",
    "provenance",
    "run",
    "show_config",
    "thread_count",
    "too_few_threads",
]


def run(
    network: Network,
    settings: Settings,
    first: int,
    n_samples: int,
    layers: NDArray[np.int64],
    recorded: frozenset[str],
    threads: int,
    report: Callable[[int], object] | None = None,
) -> Samples:
    """Simulate with checked arguments: make the plan, check the memory, run the kernels."""
    plan = None if settings.engine == "torch" else Plan(network, settings, threads)
    if plan is not None:
        _check_memory(n_samples, len(layers), recorded, plan)
    weight_layers, unit_layers = network.weight_places(layers), layers[layers >= 1]
    along = {"layer": layers, "weight_layer": weight_layers, "saturation_layer": unit_layers}
    outputs: dict[str, Any] = {
        name: np.zeros((n_samples, *(len(along[dim]) for dim in quantity.dims[1:])), quantity.dtype)
        for name, quantity in QUANTITIES.items()
        if quantity.record is None or quantity.record in recorded
    }
    started = time.perf_counter()
    if plan is None:
        differentiate(network, settings, first, layers, outputs, report)
    else:
        kernel = Run(
            settings.dtype,
            settings.key(network),
            first=first,
            count=n_samples,
            **plan.columns_of_results(layers, weight_layers),
            **plan.fields,
            **{QUANTITIES[name].kernel or name: array for name, array in outputs.items()},
        )
        execute(kernel, threads, plan.chunk(n_samples), report)
    elapsed = time.perf_counter() - started
    return Samples(
        network,
        **settings.identity,
        index=np.arange(first, first + n_samples, dtype=np.int64),
        layers=layers,
        provenance=provenance([settings.engine]) | {"n_threads": str(threads)},
        elapsed=elapsed,
        **outputs,
    )


def _check_memory(n: int, k: int, recorded: frozenset[str], plan: Plan) -> None:
    tables = sum(quantity.record in recorded for quantity in QUANTITIES.values())
    results, working = n * (8 * k * tables + 8 + 8 + 1), plan.working_bytes
    B = plan.settings.batch_size
    fewer = "" if B == 1 else f"lower the batch size, {B}, "
    require_memory(
        results + working,
        f"this run ({results / 2**30:.3g} GiB of results, {working / 2**30:.3g} GiB of "
        f"working memory on {plan.threads} threads)",
        f"lower the number of samples, {n} (several runs with different `first` can be reduced one "
        f"after another), record fewer of the {k} layers or of the quantities "
        f"{', '.join(sorted(recorded))}, {fewer}or lower the number of threads",
    )


MOST_THREADS = 4096


def thread_count(n_threads: int | None = None) -> int:
    """Return the number of threads to use.

    Parameters
    ----------
    n_threads : int, optional
        Takes precedence if given; at least 1.

    Returns
    -------
    int
        `n_threads`, else the first number of OMP_NUM_THREADS, else the number of processors that
        this process may use: its affinity, restricted by OMP_PLACES, the CPU quota of its control
        group and OMP_THREAD_LIMIT.

    Raises
    ------
    TypeError, ValueError
        If n_threads or OMP_NUM_THREADS is not a positive integer, or above OMP_THREAD_LIMIT.
    """
    places, limit = openmp_limits()
    if n_threads is not None:
        name, count = "n_threads", Integer(1, MOST_THREADS).check("n_threads", n_threads)
    elif setting := os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip():
        if not setting.isdecimal() or int(setting) < 1:
            raise value_error("OMP_NUM_THREADS", f"must be a positive integer, got {setting!r}")
        name, count = "OMP_NUM_THREADS", min(int(setting), MOST_THREADS)
    else:
        return min(_processors(places), limit, MOST_THREADS)
    if count > limit:
        raise value_error(name, f"must be at most {limit}, OMP_THREAD_LIMIT, got {count}")
    return count


def _processors(places: int) -> int:
    """Return the processors for this process, if OpenMP binds its threads to `places` of them."""
    processors = places or os.cpu_count() or 1
    if not places and hasattr(os, "sched_getaffinity"):
        processors = len(os.sched_getaffinity(0))
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        processors = min(processors, max(1, math.ceil(int(quota) / int(period))))
    except (OSError, ValueError):
        pass
    return processors


POLL_SECONDS = 0.1
SETTLE_SECONDS = 1.0  # wait for the system to remove threads that have ended
_ran_in: set[int] = set()  # ids of processes in which OpenMP has run


@dataclass
class _Kept:
    """The thread that runs the kernels for one calling thread, and owns its OpenMP team."""

    process: int
    thread: ThreadPoolExecutor
    team: int = 1  # size of the OpenMP team, that of the last run


_of_caller = threading.local()


def openmp_has_run() -> bool:
    """Whether OpenMP has run in this process; a forked child would then hang in OpenMP."""
    return os.getpid() in _ran_in


def execute(
    run: Run,
    threads: int,
    chunk: int,
    report: Callable[[int], object] | None = None,
) -> None:
    """Run the kernel in another thread, so that this one can handle Ctrl-C and progress.

    On return or exception, at any instant, the kernel has ended.

    Parameters
    ----------
    run : Run
    threads : int
        Number of OpenMP threads.
    chunk : int
        Groups of samples that a thread takes from the queue at a time.
    report : callable, optional
        Called with the number of samples done, a few times a second.

    Raises
    ------
    KeyboardInterrupt
        On Ctrl-C, within a second.
    MemoryError
        If that number of threads cannot be started.
    """
    kept = _kept()

    def simulate() -> None:
        if (more := threads - kept.team) > 0 and (started := _startable(more)) < more:
            raise too_few_threads(threads, kept.team + started)
        kept.team = threads
        run.simulate(threads, chunk)

    try:
        future = kept.thread.submit(simulate)
        while wait([future], timeout=POLL_SECONDS).not_done:
            if report is not None:
                report(run.done)
        future.result()
    except BaseException as error:
        run.cancel()
        if not _has_ended(kept) and isinstance(error, RuntimeError):
            raise too_few_threads(threads, 0) from error
        raise
    if report is not None:
        report(run.done)


def _kept() -> _Kept:
    """Return the thread that runs the kernels for this one; start one if this process has none."""
    _ran_in.add(os.getpid())
    kept: _Kept | None = getattr(_of_caller, "kept", None)
    if kept is None or kept.process != os.getpid():
        kept = _Kept(os.getpid(), ThreadPoolExecutor(1, thread_name_prefix="vgsim"))
        _of_caller.kept = kept
    return kept


def _has_ended(kept: _Kept) -> bool:
    """Wait until the thread has finished its tasks; return False if it could not be started."""
    try:
        kept.thread.submit(int).result()
    except RuntimeError:
        del _of_caller.kept
        return False
    return True


def _startable(count: int) -> int:
    """Return how many more threads can start, up to `count`: OpenMP exits if one cannot."""
    before = _tasks()
    started = startable(count, _stack_bytes())
    end = time.monotonic() + SETTLE_SECONDS
    while _tasks() > before and time.monotonic() < end:  # ended threads count for a moment
        time.sleep(1e-4)
    return started


def _tasks() -> int:
    try:
        return len(os.listdir("/proc/self/task"))
    except OSError:
        return 0


def _stack_bytes() -> int:
    """Return the stack size in OMP_STACKSIZE, 0 for the default of the system."""
    setting = os.environ.get("OMP_STACKSIZE", "").strip().upper()
    found = re.fullmatch(r"(\d{1,12})\s*([BKMG]?)", setting)
    return int(found[1]) << 10 * "BKMG".index(found[2] or "K") if found else 0


def too_few_threads(threads: int, started: int) -> MemoryError:
    """Return the MemoryError of a run for which not enough threads can be started."""
    limits = {}
    for name, kind in (("ulimit -u", resource.RLIMIT_NPROC), ("ulimit -v", resource.RLIMIT_AS)):
        if (soft := resource.getrlimit(kind)[0]) != resource.RLIM_INFINITY:
            limits[name] = str(soft >> 10 if kind == resource.RLIMIT_AS else soft)
    with suppress(OSError):
        limits["pids.max"] = Path("/sys/fs/cgroup/pids.max").read_text().strip()
    found = ", ".join(f"{name} is {value}" for name, value in limits.items()) or "no limit is set"
    return memory_error(
        "n_threads",
        f"must be at most {started} here, got {threads}: the system cannot start more threads "
        f"({found})",
    )


def provenance(engines: Iterable[str] = ()) -> dict[str, str]:
    """Return versions, compiler, instruction set and system, as strings.

    The version of PyTorch is among them if `engines`, those that are used, include "torch".
    """
    own = {"torch": metadata.version("torch")} if "torch" in engines else {}
    return {
        "vgsim": __version__,
        "stream_version": str(STREAM_VERSION),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "compiler": COMPILER,
        "isa": selected_isa(),
        "system": f"{platform.system()} {platform.machine()}",
        **own,
    }


def show_config() -> None:
    """Print versions, compiler, instruction sets and threads.

    Raises
    ------
    ValueError
        If the environment variable VGSIM_ISA names an instruction set that is not available, or
        OMP_NUM_THREADS is not a number of threads.

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
        f"{lanes('float64')} float64 samples per vector)",
        "threads": f"{thread_count()} (processors: {_processors(openmp_limits()[0])})",
    }
    for name, value in rows.items():
        print(f"{name:<16}{value}")
