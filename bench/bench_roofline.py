"""Time of the engines over the time of their random numbers alone.

A matrix-free pass through D layers of n units needs 2 n D normals. Its time is divided by that of
drawing these normals without storing them. All times are seconds per normal, measured in turn.
"""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec

import numpy as np

import vgsim
from bench.pages import digits, markdown, span
from bench.pairing import enough, median, ratio, rounds, timed
from bench.workers import all_cores
from vgsim import _kernels

KEY = np.array([1, 2], dtype=np.uint32)
WORDS_PER_NORMAL = {"float32": 1, "float64": 2}
WIDTH = 128
DEPTH = 500
HE = ("relu", "leaky_relu", "elu", "gelu", "silu")  # with he_normal; the others: glorot_normal
ACTIVATIONS = ("tanh", "sigmoid", "softplus", "softsign", "erf", *HE)
PEER_NORMALS = 1 << 20  # a buffer of 4 MiB


@contextmanager
def using(isa):
    """Use the kernels of one instruction set."""
    _kernels.set_isa(isa)
    try:
        yield
    finally:
        _kernels.set_isa(None)


def measure(quick: bool) -> dict:
    turn_seconds = 0.05 if quick else 0.15
    isas = _kernels.available_isas()
    best = isas[-1]
    kernels = [
        (isa, dtype, threads)
        for isa in isas
        for dtype in WORDS_PER_NORMAL
        for threads in sorted({1, len(all_cores())})
    ]
    activations = ACTIVATIONS[:3] if quick else ACTIVATIONS

    turns = peer_normals(turn_seconds)
    for k in kernels:
        turns["normals", k] = generator(*k, DEPTH, turn_seconds)
        turns["tanh", k] = matrix_free(*k, "tanh", DEPTH, turn_seconds)
    one = best, "float32", 1
    for name in activations[1:]:
        turns[name, one] = matrix_free(*one, name, DEPTH, turn_seconds)
    deep = 20 * DEPTH
    turns["normals", deep] = generator(*one, deep, turn_seconds)
    turns["tanh", deep] = matrix_free(*one, "tanh", deep, turn_seconds)
    for law in ("normal", "uniform"):
        turns["dense", law] = dense(*one, law, turn_seconds)
    s = rounds(turns, 3 if quick else 7)

    return {
        "isa": best,
        "kernels": [
            {
                "kernel": k,
                "normals": 1 / median(s["normals", k]),
                "words": WORDS_PER_NORMAL[k[1]] / median(s["normals", k]),
                "layers": 1 / (2 * WIDTH * median(s["tanh", k])),
                "over_generator": ratio(s["tanh", k], s["normals", k]),
                "over_fastest": ratio(s["tanh", k], s["tanh", one]),
            }
            for k in kernels
        ],
        "over_generator": {
            f"{name}, {DEPTH} layers": ratio(s[name, one], s["normals", one])
            for name in activations
        }
        | {f"tanh, {deep} layers": ratio(s["tanh", deep], s["normals", deep])}
        | {
            f"a dense {law} weight": ratio(s["dense", law], s["normals", one])
            for law in ("normal", "uniform")
        },
        "peers": {
            name: {"normals": 1 / median(s[name])}
            | {isa: ratio(s[name], s["normals", (isa, "float32", 1)]) for isa in isas}
            for name in turns
            if isinstance(name, str)
        },
    }


def generator(isa, dtype, threads, depth, seconds):
    """Return a turn that only draws the normals of a matrix-free pass."""

    def draw(groups):
        _kernels.generate(KEY, groups, 2 * depth, WIDTH, threads, dtype)

    return in_groups(isa, dtype, threads, draw, 2 * depth * WIDTH, seconds)


def matrix_free(isa, dtype, threads, activation, depth, seconds):
    init = "he_normal" if activation in HE else "glorot_normal"
    network = vgsim.MLP(depth, WIDTH, activation=activation, init=init)
    return engine(isa, dtype, threads, network, "matrix-free", 2 * depth * WIDTH, seconds)


def dense(isa, dtype, threads, law, seconds):
    """Return a turn of the dense engine, which draws every weight twice, once per product."""
    network = vgsim.MLP(20, WIDTH, activation="tanh", init=f"lecun_{law}")
    return engine(isa, dtype, threads, network, "dense", 2 * 20 * WIDTH**2, seconds)


def engine(isa, dtype, threads, network, kind, draws, seconds):
    def simulate(groups):
        n_samples = groups * _kernels.lanes(dtype)
        vgsim.simulate(network, n_samples, layers=[0], engine=kind, dtype=dtype, n_threads=threads)

    return in_groups(isa, dtype, threads, simulate, draws, seconds)


def in_groups(isa, dtype, threads, call, draws, seconds):
    """Return a turn of about `seconds`, timed per draw; a sample needs `draws` draws."""
    with using(isa):
        groups = enough(call, threads, seconds)
        count = groups * _kernels.lanes(dtype) * draws

    def turn():
        with using(isa):
            return timed(lambda: call(groups), count)

    return turn


def peer_normals(seconds):
    """Return turns of other generators: float32 normals on one thread, into a reused buffer."""
    out = np.empty(PEER_NORMALS, np.float32)
    fills = {
        f"NumPy {bits.__name__}": partial(
            np.random.Generator(bits(0)).standard_normal, out=out, dtype=np.float32
        )
        for bits in (np.random.Philox, np.random.PCG64, np.random.SFC64)
    }
    if find_spec("torch"):
        import torch

        torch.set_num_threads(1)
        buffer = torch.empty(PEER_NORMALS)
        fills["PyTorch randn"] = partial(torch.randn, PEER_NORMALS, out=buffer)
    return {name: repeated(fill, seconds) for name, fill in fills.items()}


def repeated(fill, seconds):
    def call(times):
        for _ in range(times):
            fill()

    times = enough(call, 1, seconds)
    return lambda: timed(lambda: call(times), times * PEER_NORMALS)


def tables(results: dict) -> dict[str, str]:
    isas = [isa for isa in ("base", "avx2", "avx512") if isa in results["peers"]["NumPy Philox"]]
    header = ["kernels", "normals, 10⁹/s", "words, 10⁹/s", "network·layers, 10⁶/s"]
    return {
        "rates": markdown(
            [*header, "time over generator's", f"over {results['isa']} float32, 1 thread"],
            [
                [
                    "{}, {}, {} thread(s)".format(*k["kernel"]),
                    digits(k["normals"] / 1e9),
                    digits(k["words"] / 1e9),
                    digits(k["layers"] / 1e6),
                    span(k["over_generator"]),
                    span(k["over_fastest"]),
                ]
                for k in results["kernels"]
            ],
        ),
        "roofline": markdown(
            [f"{results['isa']}, float32, 1 thread", "time over generator's"],
            [[name, span(value)] for name, value in results["over_generator"].items()],
        ),
        "normals": markdown(
            [
                "float32, 1 thread",
                "normals, 10⁹/s",
                *(f"vgsim {isa}: times as fast" for isa in isas),
            ],
            [
                [name, digits(peer["normals"] / 1e9), *(span(peer[isa]) for isa in isas)]
                for name, peer in results["peers"].items()
            ],
        ),
    }
