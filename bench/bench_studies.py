"""Studies: what collect adds to simulate, the memory it needs, and how fast a collector can be.

The collector is measured alone: its kernels are fakes that return tallies made before.
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
from pathlib import Path

import vgsim
from bench.pages import digits, markdown, span
from bench.pairing import ratio, rounds, timed
from vgsim._studies.blocks import Blocks
from vgsim._studies.store import Store
from vgsim._studies.task import Task

NETWORK = vgsim.MLP(100, 128)
DEEP = vgsim.MLP(10_000, 128)

UNIT_SECONDS = 2.0  # of a fake unit; as many of its blocks as wanted are said to take so long
UNITS = (1, 10, 100)
WORKERS = 20  # that a collector thinks are behind Dask, where two answer for all of them
TASKS = 1000  # of a manifest


def measure(quick: bool) -> dict:
    return {
        "overhead": overhead(*(20_000, 3) if quick else (200_000, 9)),
        "memory": memory((10**5, 10**6) if quick else (10**5, 10**6, 10**7)),
        "collector": collector(2000 if quick else 100_000),
        "store": store(),
    }


# What collect adds to simulate.


def overhead(n_samples: int, repeats: int) -> dict:
    """Ratios of collect, with and without a store, to simulate."""

    def stored() -> None:
        with tempfile.TemporaryDirectory() as folder:
            vgsim.collect([NETWORK], max_samples=n_samples, store=f"{folder}/study")

    rule = vgsim.Precision(1e-6)  # never reached
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
    vgsim.collect([vgsim.MLP(3, 4)], max_samples=n_samples, store=folder if store else None)
lines = open("/proc/self/status").read().splitlines()
print(next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")))
"""


def memory(sizes: tuple[int, ...]) -> list[dict]:
    """Peaks of fresh processes, bytes."""
    return [{"samples": n, **{kind: peak(n, kind) for kind in ("memory", "store")}} for n in sizes]


def peak(*arguments: object) -> int:
    command = [sys.executable, "-c", PROGRAM, *map(str, arguments)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return int(done.stdout) << 10


# The collector alone.


@cache
def template() -> Blocks:
    """Tallies of a hundred blocks."""
    samples = vgsim.simulate(NETWORK, 1000 * max(UNITS), layers=[0], n_threads=1)
    return Blocks.of(samples, (1e-6,))


def pretend(first: int, end: int, unit: int) -> tuple[Blocks, float]:
    """What a worker returns, without its work: units of so many blocks will be asked for."""
    blocks = template().head((end - first) // 1000)
    return replace(blocks, first=blocks.first + first), len(blocks) * UNIT_SECONDS / unit


class Instant(Executor):
    """Units that are finished as they are sent."""

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
    """Units that go through Dask's scheduler to a worker and back, for so many workers."""

    def __init__(self, client, workers: int, unit: int) -> None:
        self._max_workers = workers
        self.executor = client.get_executor(pure=False)
        self.unit = unit
        self.units = 0

    def submit(self, run_unit, task, data, first, end, n_threads):
        self.units += 1
        return self.executor.submit(pretend, first, end, self.unit)


def collector(blocks: int) -> list[dict]:
    """Blocks and units a second, here and through Dask on two processes."""
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
    """Time a study of ten networks, with and without a store."""
    networks = vgsim.sweep(vgsim.MLP, depth=range(100, 110), width=128)
    most = min(blocks, 10_000 * unit)
    seconds, units, files = {}, 0, 0
    for kind in ("memory", "store"):
        with tempfile.TemporaryDirectory() as folder:
            executor = make(unit)
            started = time.perf_counter()
            study = vgsim.collect(
                networks,
                max_samples=100 * most,
                store=folder if kind == "store" else None,
                executor=executor,
            )
            seconds[kind] = time.perf_counter() - started
            assert sum(result.n for result in study) == 1000 * most
            units, files = executor.units, len(list(Path(folder).glob("blocks/*/*.npz")))
    counts = {"unit": unit, "blocks": most, "units": units, "files": files}
    return {"where": where, **counts, "seconds": seconds}


# What a store weighs.


def store() -> dict:
    """Bytes and seconds of a block at several sizes of files, and of a task in a manifest."""
    samples = vgsim.simulate(DEEP, 1000, layers=[0], n_threads=1)
    deep = Blocks.of(samples, (1e-6,))
    with tempfile.TemporaryDirectory() as folder, Store.open(folder) as opened:
        task = Task(DEEP)
        opened.add([task])
        opened.write(task, deep)
        deep_bytes = sum(file.stat().st_size for file in Path(folder).glob("blocks/*/*.npz"))
    sizes = [written(unit) for unit in UNITS]
    with tempfile.TemporaryDirectory() as folder, Store.open(folder) as opened:
        tasks = [
            Task(network)
            for network in vgsim.sweep(vgsim.MLP, depth=range(1, TASKS + 1), width=128)
        ]
        add = timed(lambda: opened.add(tasks), TASKS)
        manifest = Path(folder, "manifest.json").stat().st_size / TASKS
    return {
        "files": sizes,
        "one deep block": deep_bytes,
        "seconds a deep sample": samples.elapsed / len(samples),
        "task": {"bytes": manifest, "seconds": add},
    }


def written(unit: int, files: int = 50) -> dict:
    """Write and read files of so many blocks."""
    task = Task(NETWORK)
    parts = [pretend(1000 * unit * i, 1000 * unit * (i + 1), 1)[0] for i in range(files)]
    with tempfile.TemporaryDirectory() as folder, Store.open(folder) as opened:
        opened.add([task])
        write = timed(lambda: [opened.write(task, part) for part in parts], files * unit)
        read = timed(lambda: opened.blocks(task), files * unit)
        size = sum(file.stat().st_size for file in Path(folder).glob("blocks/*/*.npz"))
    return {"unit": unit, "write": write, "read": read, "bytes": size / files / unit}


def tables(results: dict) -> dict[str, str]:
    over = results["overhead"]
    bare = sorted(over["seconds"]["simulate"])[len(over["seconds"]["simulate"]) // 2]
    rows = [
        [name, digits(1e6 * bare * each["median"]), span(each)]
        for name, each in over["ratios"].items()
    ]
    added = markdown(["", "µs a sample", "times simulate"], rows)
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
            f"{run['files']:,}",
        ]
        for run in results["collector"]
    ]
    header = ["collector", "blocks a unit", "blocks", "blocks/s", "with a store", "its units/s"]
    alone = markdown([*header, "its files"], rows)
    kept = results["store"]
    rows = [
        [run["unit"], digits(run["bytes"]), digits(1e6 * run["write"]), digits(1e6 * run["read"])]
        for run in kept["files"]
    ]
    files = markdown(["blocks a file", "bytes a block", "µs to write it", "µs to read it"], rows)
    deep = (
        f"\nAlone in a file, a block of width {DEEP.width} and depth {DEEP.depth:,} has "
        f"{kept['one deep block']:,} bytes; a task has {kept['task']['bytes']:.0f} bytes in the "
        f"manifest and takes {1e6 * kept['task']['seconds']:.0f} µs to add. A sample at this depth "
        f"takes {1e3 * kept['seconds a deep sample']:.2f} ms of a core.\n"
    )
    return {
        "study overhead": added,
        "study memory": peaks,
        "collector": alone,
        "study store": files + deep,
    }
