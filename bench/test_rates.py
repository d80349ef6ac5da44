"""Rates of the kernels before and after a change.

Run ``pytest bench --benchmark-save before``, change and build the kernels, then run
``pytest bench --benchmark-compare``.
"""

import numpy as np
import pytest

import vgsim
from bench.technique_costs import BATCHED, PLAIN, RELU, SINGLE
from vgsim import _kernels

KEY = np.array([1, 2], dtype=np.uint32)
WIDTH, DEPTH = 128, 100


@pytest.fixture(params=_kernels.available_isas())
def isa(request):
    """Use the kernels of each instruction set in turn."""
    _kernels.set_isa(request.param)
    yield request.param
    _kernels.set_isa(None)


def rate(benchmark, unit, count, call, **arguments):
    """Time a call that makes `count` units."""
    benchmark.extra_info["unit"], benchmark.extra_info["count"] = unit, count
    benchmark.pedantic(call, kwargs=arguments, rounds=7, warmup_rounds=1)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_normals(benchmark, isa, dtype):
    groups = 512 // _kernels.lanes(dtype)
    count = 512 * 2 * DEPTH * WIDTH
    arguments = (KEY, groups, 2 * DEPTH, WIDTH, 1, dtype)
    rate(benchmark, "normals", count, lambda: _kernels.generate(*arguments))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("activation", ["tanh", "relu", "gelu", "sigmoid"])
def test_matrix_free(benchmark, isa, dtype, activation):
    network = vgsim.MLP(DEPTH, WIDTH, activation=activation)
    arguments = {"layers": [0], "dtype": dtype, "n_threads": 1}
    count = 512 * DEPTH
    rate(
        benchmark,
        "network·layers",
        count,
        lambda: vgsim.simulate(network, 512, engine="matrix-free", **arguments),
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("width", [32, WIDTH, 1024])
def test_scalar(benchmark, isa, dtype, width):
    network = vgsim.MLP(DEPTH, width, activation="relu")
    arguments = {"layers": [0], "dtype": dtype, "n_threads": 1}
    count = 4096 * DEPTH
    rate(
        benchmark,
        "network·layers",
        count,
        lambda: vgsim.simulate(network, 4096, engine="scalar", **arguments),
    )


@pytest.mark.parametrize("law", ["normal", "uniform"])
def test_dense(benchmark, isa, law):
    network = vgsim.MLP(10, WIDTH, init=f"lecun_{law}")
    count = 64 * 2 * 10 * WIDTH**2
    rate(
        benchmark,
        "weights drawn",
        count,
        lambda: vgsim.simulate(network, 64, layers=[0], engine="dense", n_threads=1),
    )


@pytest.mark.parametrize("name", SINGLE)
def test_techniques(benchmark, isa, name):
    plain, more, arguments = SINGLE[name]
    network = vgsim.MLP(DEPTH, WIDTH, **PLAIN[plain][0] | more)
    rate(
        benchmark,
        "network·layers",
        256 * DEPTH,
        lambda: vgsim.simulate(network, 256, layers=[0], n_threads=1, **arguments),
    )


@pytest.mark.parametrize("engine", ["matrix-free", "dense"])
@pytest.mark.parametrize("name", BATCHED)
def test_batches(benchmark, isa, name, engine):
    network = vgsim.MLP(10, WIDTH, **RELU | BATCHED[name])
    arguments = {"engine": engine, "batch_size": 32, "layers": [0], "n_threads": 1}
    rate(benchmark, "network·layers", 32 * 10, lambda: vgsim.simulate(network, 32, **arguments))
