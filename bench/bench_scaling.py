"""Time against depth, width, samples and threads, with fitted exponents."""

from __future__ import annotations

import math
from functools import partial

import numpy as np

import vgsim
from bench.pages import digits, markdown
from bench.pairing import enough, median, rounds, timed
from bench.workers import all_cores
from vgsim import _kernels

DEPTHS = (100, 1000, 10_000, 100_000, 1_000_000)
WIDTHS = (8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096)
DENSE_WIDTHS = (8, 16, 32, 64, 128, 256, 512)
SAMPLES = (1, 16, 256, 4096, 65_536)


def measure(quick: bool) -> dict:
    depths, widths, dense_widths, samples = (
        values[: -(len(values) // 3)] if quick else values
        for values in (DEPTHS, WIDTHS, DENSE_WIDTHS, SAMPLES)
    )
    turn_seconds, repeats = (0.05, 2) if quick else (0.15, 5)
    cores = len(all_cores())
    threads = sorted({1, *(1 << k for k in range(1, cores.bit_length())), cores})
    turn = partial(per_network, seconds=turn_seconds)
    curves = {
        "depth": {D: turn(vgsim.MLP(D, 32)) for D in depths},
        "width": {n: turn(vgsim.MLP(200, n)) for n in widths},
        "width, dense": {n: turn(vgsim.MLP(20, n), engine="dense") for n in dense_widths},
        "samples": {count: of_samples(count) for count in samples},
        "threads": {n: turn(vgsim.MLP(500, 128), n_threads=n) for n in threads},
    }
    s = {name: rounds(turns, repeats) for name, turns in curves.items()}
    return {
        "exponents": {name: power(s[name]) for name in ("depth", "width", "width, dense")},
        "speedup": {n: median(np.divide(s["threads"][1], s["threads"][n])) for n in threads},
        "seconds": {
            name: {x: median(values) for x, values in curve.items()} for name, curve in s.items()
        },
    }


def per_network(network, *, seconds, engine="auto", n_threads=1):
    """Return a turn: seconds per network, with full lane groups."""
    simulate = partial(vgsim.simulate, network, layers=[0], engine=engine, n_threads=n_threads)
    count = enough(simulate, _kernels.lanes("float32") * n_threads, seconds)
    return lambda: timed(lambda: simulate(count), count)


def of_samples(count):
    """Return a turn: seconds per network in calls of `count` samples, on all cores."""
    network = vgsim.MLP(100, 32)
    calls = max(1, math.ceil(100 / count))

    def turn():
        def run():
            for _ in range(calls):
                vgsim.simulate(network, count, layers=[0])

        return timed(run, calls * count)

    turn()
    return turn


def power(curve):
    """Return the exponent p of cost ∝ x^p, by least squares of the logarithms."""
    x, cost = np.log(list(curve)), np.log([median(values) for values in curve.values()])
    return float(np.polyfit(x, cost, 1)[0])


def tables(results: dict) -> dict[str, str]:
    titles = {
        "depth": "depth (width 32)",
        "width": "width (200 layers)",
        "width, dense": "width (20 layers), dense",
        "samples": "samples per call (100 layers of 32)",
        "threads": "threads (500 layers of 128)",
    }
    curves = results["seconds"]
    rows = [
        [titles[name], f"{int(x):,}", digits(1e6 * seconds)]
        for name, curve in curves.items()
        for x, seconds in curve.items()
    ]
    exponents = [[titles[name], digits(p)] for name, p in results["exponents"].items()]
    speedups = [
        [f"{n} threads: times as fast as 1", digits(x)] for n, x in results["speedup"].items()
    ]
    return {
        "exponents": markdown(["cost grows as a power of", "exponent"], exponents + speedups[1:]),
        "scaling": markdown(["", "", "µs per network"], rows),
    }
