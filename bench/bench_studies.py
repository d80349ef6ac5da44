"""Studies: overhead of collect over simulate, memory, rate of the collector, size of the store.

The collector is the process that schedules, counts and stores. It is measured with fake workers,
which return blocks that were made before.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from concurrent.futures import Executor, Future
from dataclasses import replace
from functools import cache, partial
from importlib.util import find_spec

import vgsim
from bench.pages import digits, markdown, span
from bench.pairing import ratio, rounds, timed
from vgsim._studies.blocks import Blocks
from vgsim._studies.store import Store
from vgsim._studies.store_file import packed
from vgsim._studies.task import Task

NETWORK = vgsim.MLP(100, 128)
DEEP = vgsim.MLP(10_000, 128)

UNIT_SECONDS = 2.0  # duration that fake workers report for a unit of the wanted size
UNITS = (1, 10, 100)  # blocks per unit
WORKERS = 20  # number of workers that the Dask executor reports; two processes do the work
TASKS = 1000  # in a store


def measure(quick: bool) -> dict:
    return {
        "overhead": overhead(*(20_000, 3) if quick else (200_000, 5)),
        "memory": memory((10**5, 10**6) if quick else (10**5, 10**6, 10**7)),
        "collector": collector(2000 if quick else 50_000),
        "store": store(),
    }


# Overhead of collect over simulate.


def overhead(n_samples: int, repeats: int) -> dict:
    """Return times of collect, with and without a store or a rule, and ratios to simulate."""

    def stored() -> None:
        with tempfile.TemporaryDirectory() as folder:
            vgsim.collect([NETWORK], max_samples=n_samples, store=f"{folder}/study.sqlite")

    rule = vgsim.Precision(1e-6)  # never met
    calls = {
        "simulate": partial(vgsim.simulate, NETWORK, n_samples, layers=[0]),
        "collect": partial(vgsim.collect, [NETWORK], max_samples=n_samples),
        "with a store": stored,
        "with a rule": partial(vgsim.collect, [NETWORK], max_samples=n_samples, stop=rule),
    }
    for call in calls.values():
        call()
    turns = {name: partial(timed, call, n_samples) for name, call in calls.items()}
    seconds = rounds(turns, repeats)
    return {
        "samples": n_samples,
        "seconds": seconds,
        "ratios": {name: ratio(seconds[name], seconds["simulate"]) for name in turns},
    }


# Memory.

PROGRAM = """
import sys, tempfile, vgsim
n_samples, store = int(sys.argv[1]), sys.argv[2] == "store"
with tempfile.TemporaryDirectory() as folder:
    path = f"{folder}/study.sqlite" if store else None
    vgsim.collect([vgsim.MLP(3, 4)], max_samples=n_samples, store=path)
lines = open("/proc/self/status").read().splitlines()
print(next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")))
"""


def memory(sizes: tuple[int, ...]) -> list[dict]:
    """Return the peak memory of new processes, in bytes."""
    return [{"samples": n, **{kind: peak(n, kind) for kind in ("memory", "store")}} for n in sizes]


def peak(*arguments: object) -> int:
    command = [sys.executable, "-c", PROGRAM, *map(str, arguments)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return int(done.stdout) << 10


# The collector alone.


@cache
def template() -> Blocks:
    """Return a hundred blocks of samples."""
    samples = vgsim.simulate(NETWORK, 1000 * max(UNITS), layers=[0], n_threads=1)
    return Blocks.of(samples, (1e-6,))


def pretend(first: int, end: int, unit: int) -> tuple[Blocks, float]:
    """Return blocks without simulation, with a duration that leads to units of `unit` blocks."""
    blocks = template().head((end - first) // 1000)
    return replace(blocks, first=blocks.first + first), len(blocks) * UNIT_SECONDS / unit


class Instant(Executor):
    """An executor whose units are finished at once."""

    _max_workers = 2

    def __init__(self, unit: int) -> None:
        self.unit = unit
        self.units = 0

    def submit(self, run_unit, task, data, first, end, n_threads):
        self.units += 1
        future: Future = Future()
        future.set_result(pretend(first, end, self.unit))
        return future


class Scheduled(Executor):
    """An executor that sends units through Dask, and reports `workers` workers."""

    def __init__(self, client, workers: int, unit: int) -> None:
        self._max_workers = workers
        self.executor = client.get_executor(pure=False)
        self.unit = unit
        self.units = 0

    def submit(self, run_unit, task, data, first, end, n_threads):
        self.units += 1
        return self.executor.submit(pretend, first, end, self.unit)


def collector(blocks: int) -> list[dict]:
    """Return times of collecting fake blocks, in this process and through Dask."""
    template()
    runs = [collected("in this process", Instant, blocks, unit) for unit in UNITS]
    if find_spec("distributed"):
        from distributed import Client, LocalCluster

        with (
            LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
            Client(cluster) as client,
        ):
            client.run(template)
            through = partial(Scheduled, client, WORKERS)
            runs += [collected("through Dask", through, blocks, unit) for unit in UNITS]
    return runs


def collected(where: str, make, blocks: int, unit: int) -> dict:
    """Return the times of a study of ten networks, with and without a store."""
    networks = vgsim.sweep(vgsim.MLP, depth=range(100, 110), width=128)
    most = min(blocks, 1000 * unit)
    seconds, units = {}, 0
    for kind in ("memory", "store"):
        with tempfile.TemporaryDirectory() as folder:
            executor = make(unit)
            started = time.perf_counter()
            study = vgsim.collect(
                networks,
                max_samples=100 * most,
                store=f"{folder}/study.sqlite" if kind == "store" else None,
                executor=executor,
            )
            seconds[kind] = time.perf_counter() - started
            assert sum(result.n for result in study) == 1000 * most
            units = executor.units
    counts = {"unit": unit, "blocks": most, "units": units}
    return {"where": where, **counts, "seconds": seconds}


# Size and speed of a store.


def store() -> dict:
    """Return bytes and seconds per block, by blocks per transaction, and per task."""
    samples = vgsim.simulate(DEEP, 1000, layers=[0], n_threads=1)
    ((*_, payload, _),) = packed(Task(DEEP), Blocks.of(samples, (1e-6,)))
    with tempfile.TemporaryDirectory() as folder, Store(f"{folder}/x") as opened:
        tasks = [
            Task(network)
            for network in vgsim.sweep(vgsim.MLP, depth=range(1, TASKS + 1), width=128)
        ]
        add = timed(lambda: opened.add(tasks), TASKS)
        bytes_per_task = opened.path.stat().st_size / TASKS
    return {
        "transactions": [written(unit) for unit in UNITS],
        "one deep block": len(payload),
        "seconds per deep sample": samples.elapsed / len(samples),
        "task": {"bytes": bytes_per_task, "seconds": add},
    }


def written(unit: int, transactions: int = 50) -> dict:
    """Return the times of writing and reading transactions of `unit` blocks."""
    task = Task(NETWORK)
    spans = [(1000 * unit * i, 1000 * unit * (i + 1)) for i in range(transactions)]
    parts = [pretend(*span, 1)[0] for span in spans]

    def write() -> None:
        for part in parts:
            with opened.transaction():
                opened.write(task, part)

    with tempfile.TemporaryDirectory() as folder, Store(f"{folder}/x") as opened:
        opened.add([task])
        before = opened.path.stat().st_size
        seconds = timed(write, transactions * unit)
        read = timed(lambda: list(opened.blocks(task)), transactions * unit)
        size = opened.path.stat().st_size - before
    return {"unit": unit, "write": seconds, "read": read, "bytes": size / transactions / unit}


def tables(results: dict) -> dict[str, str]:
    over = results["overhead"]
    bare = sorted(over["seconds"]["simulate"])[len(over["seconds"]["simulate"]) // 2]
    rows = [
        [name, digits(1e6 * bare * each["median"]), span(each)]
        for name, each in over["ratios"].items()
    ]
    added = markdown(["", "µs per sample", "time over simulate's"], rows)
    rows = [
        [f"{run['samples']:,}", digits(run["memory"] / 2**20), digits(run["store"] / 2**20)]
        for run in results["memory"]
    ]
    peaks = markdown(["samples", "peak, MiB", "with a store, MiB"], rows)
    rows = [
        [
            run["where"],
            run["unit"],
            f"{run['blocks']:,}",
            *(digits(run["blocks"] / run["seconds"][kind]) for kind in ("memory", "store")),
            digits(run["units"] / run["seconds"]["store"]),
        ]
        for run in results["collector"]
    ]
    header = ["collector", "blocks per unit", "blocks", "blocks/s", "with a store", "units/s"]
    alone = markdown(header, rows)
    kept = results["store"]
    rows = [
        [run["unit"], digits(run["bytes"]), digits(1e6 * run["write"]), digits(1e6 * run["read"])]
        for run in kept["transactions"]
    ]
    header = ["blocks per transaction", "bytes per block", "µs to write", "µs to read"]
    deep = (
        f"\nThe payload of a block of width {DEEP.width} and depth {DEEP.depth:,} has "
        f"{kept['one deep block']:,} bytes. A task has {kept['task']['bytes']:.0f} bytes and takes "
        f"{1e6 * kept['task']['seconds']:.0f} µs to add. A sample at this depth takes "
        f"{1e3 * kept['seconds per deep sample']:.2f} ms of a core.\n"
    )
    weights = markdown(header, rows) + deep
    return {
        "study overhead": added,
        "study memory": peaks,
        "collector": alone,
        "study store": weights,
    }
