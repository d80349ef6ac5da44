"""The law of batches, normalisation, skips, gates, clipping, losses and orthogonal weights.

One engine against the other, both against PyTorch's own random initialisation, and where numbers
lose their digits.
"""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

import vgsim

P_VALUE = 1e-5
SIZE = 20_000
RECORD = ("gradient", "activation", "weight_gradient", "update_ratio")


def mlp(depth, width, **fields):
    """An MLP whose gradient is of a healthy size."""
    return vgsim.MLP(depth, width, **({"init": "lecun_normal", "gain": 1.2} | fields))


RELU = {"activation": "relu", "gain": math.sqrt(2)}
LEAKY = {"activation": "leaky_relu", "gain": math.sqrt(2)}
TAPERED = [6, 11, 4, 9, 16, 5, 8, 12, 7]
DUPLICATED = np.random.default_rng(3).normal(size=(5, 8))[[0, 1, 1, 2, 3, 3, 4, 4]]

# name: (network, how it is run)
CASES = {
    "batch": (mlp(12, 10), {"batch_size": 3}),
    "bias": (mlp(10, 8, **RELU, bias_std=0.4), {"batch_size": 4}),
    "tapered": (mlp(8, TAPERED, activation="silu", gain=1.5, bias_std=0.3), {"batch_size": 2}),
    "B > n": (mlp(10, 4, activation="elu", bias_std=0.2), {"batch_size": 6}),
    "duplicated rows": (mlp(9, 8, **LEAKY), {"batch_size": 5, "inputs": DUPLICATED}),
    "duplicated rows, batch norm": (
        mlp(9, 8, norm="batch", bias_std=0.3),
        {"batch_size": 6, "inputs": DUPLICATED},
    ),
    "batch norm": (mlp(12, 12, norm="batch"), {"batch_size": 5}),
    "batch norm, relu": (mlp(10, 10, norm="batch", **RELU), {"batch_size": 6}),
    "batch norm of two": (mlp(8, 9, norm="batch", norm_eps=0.1), {"batch_size": 2}),
    "layer norm": (mlp(14, 8, norm="layer", activation="gelu", bias_std=0.3), {"batch_size": 3}),
    "layer norm, one": (mlp(16, 10, norm="layer", **RELU), {}),
    "rms norm": (mlp(12, 9, norm="rms", activation="hard_tanh"), {"batch_size": 4}),
    "activated": (mlp(15, 10, residual=vgsim.Residual(1, branch=0.5)), {"batch_size": 2}),
    "linear skip": (
        mlp(16, 9, residual=vgsim.Residual(2, style="linear", last_gain=0.6)),
        {"batch_size": 3},
    ),
    "post": (
        mlp(12, 8, **RELU, norm="layer", residual=vgsim.Residual(2, skip=0.8, style="post")),
        {"batch_size": 3},
    ),
    "post, batch norm": (
        mlp(9, 8, **RELU, norm="batch", residual=vgsim.Residual(3, style="post")),
        {"batch_size": 5},
    ),
    "pre": (
        mlp(20, 8, **RELU, residual=vgsim.Residual(2, branch="1/sqrt(blocks)", style="pre")),
        {"batch_size": 4},
    ),
    "pre, batch norm": (
        mlp(12, 10, **RELU, norm="batch", residual=vgsim.Residual(3, style="pre")),
        {"batch_size": 4, "loss": "mse"},
    ),
    "highway": (mlp(14, 9, highway=vgsim.Highway(-1.0), bias_std=0.2), {"batch_size": 3}),
    "highway, layer norm": (
        mlp(10, 8, highway=vgsim.Highway(0.5), norm="layer", activation="softsign"),
        {"batch_size": 2, "loss": "mse"},
    ),
    "mse": (mlp(10, 7, activation="softplus", gain=0.8), {"batch_size": 3, "loss": "mse"}),
    "cross-entropy": (mlp(8, TAPERED, gain=2.0), {"batch_size": 4, "loss": "cross_entropy"}),
    "cross-entropy, one": (mlp(10, 6, **LEAKY), {"loss": "cross_entropy"}),
    "orthogonal": (mlp(20, 10, init="orthogonal", bias_std=0.2), {"batch_size": 3}),
    "orthogonal, one": (mlp(20, 6, init="orthogonal", **RELU), {}),
    "orthogonal, tapered": (mlp(8, TAPERED, init="orthogonal", **RELU), {"batch_size": 4}),
    "orthogonal, B > n": (mlp(10, 4, init="orthogonal", activation="selu"), {"batch_size": 6}),
    "orthogonal, batch norm": (
        mlp(10, 8, init="orthogonal", norm="batch", activation="sigmoid"),
        {"batch_size": 4},
    ),
    "orthogonal highway": (
        mlp(12, 8, init="orthogonal", highway=vgsim.Highway(-1.0)),
        {"batch_size": 3, "loss": "cross_entropy"},
    ),
    "orthogonal pre": (
        mlp(12, 8, init="orthogonal", residual=vgsim.Residual(2, style="pre", last_gain=0.5)),
        {"batch_size": 3},
    ),
    "clipped norm": (
        mlp(12, 8, activation="erf", gain=2.5, clip=vgsim.ClipNorm(6.0)),
        {"batch_size": 3},
    ),
    "clipped values": (mlp(12, 10, gain=2.5, clip=vgsim.ClipValue(1.5)), {"batch_size": 2}),
}


def simulated(network, choice, seed, **more):
    """SIZE samples, recorded at four layers."""
    layers = (0, 1, network.depth // 2, network.depth - 1)
    return vgsim.simulate(network, SIZE, seed=seed, layers=layers, **choice, **more)


def finite(x):
    return x[np.isfinite(x)]


def p_value(a, b):
    """Kolmogorov and Smirnov: do the finite values have one law?"""
    return stats.ks_2samp(finite(a), finite(b), method="asymp").pvalue


@pytest.fixture(scope="module")
def engines(seed):
    """Name of a case -> its runs by both engines, simulated once."""
    runs = {}

    def of(name):
        if name not in runs:
            network, choice = CASES[name]
            runs[name] = [
                simulated(network, choice, seed + s, engine=engine, record=RECORD)
                for s, engine in ((8, "matrix-free"), (9, "dense"))
            ]
        return runs[name]

    return of


@pytest.mark.parametrize("name", CASES)
def test_engines_agree(name, engines):
    free, dense = engines(name)
    error_a_layer = free.network.depth * math.log10(1.03)
    assert p_value(free.log10_ratio[:, 0], dense.log10_ratio[:, 0] + error_a_layer) < P_VALUE
    dead = stats.fisher_exact([[s.n_dead, len(s) - s.n_dead] for s in (free, dense)])
    assert dead.pvalue > P_VALUE
    for quantity in ("log10_ratio", *RECORD[1:]):
        a, b = (getattr(s, quantity) for s in (free, dense))
        for column in range(a.shape[1]):
            assert p_value(a[:, column], b[:, column]) > P_VALUE, (quantity, column)


def test_all_p_values_together_are_uniform(engines):
    p = [p_value(*(s.log10_ratio[:, 0] for s in engines(name))) for name in CASES]
    assert stats.kstest(p, "uniform").pvalue > 1e-3


# What a kernel could get a little wrong in its law, and the case that notices.
CHANGES = {
    "bias": lambda net: replace_field(net, gain=1.02 * net.gain),
    "orthogonal": lambda net: replace_field(net, gain=1.02 * net.gain),
    "activated": lambda net: replace_field(net, residual=vgsim.Residual(1, branch=0.515)),
    "linear skip": lambda net: replace_field(
        net, residual=vgsim.Residual(2, style="linear", last_gain=0.618)
    ),
    "post": lambda net: replace_field(
        net, residual=vgsim.Residual(2, skip=0.82, style="post")
    ),
    "highway": lambda net: replace_field(net, highway=vgsim.Highway(-0.97)),
    "clipped norm": lambda net: replace_field(net, clip=vgsim.ClipNorm(6.18)),
    "clipped values": lambda net: replace_field(net, clip=vgsim.ClipValue(1.53)),
    "batch norm of two": lambda net: replace_field(net, norm_eps=0.103),
}
replace_field = replace
