"""The law of batches, normalisation, skips, gates, clipping, losses and orthogonal weights.

The engines are compared with each other, with PyTorch's random initialisation and with theory, also
for collinear columns, which lose digits.
"""

import importlib
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

import vgsim

P_VALUE = 1e-5
SIZE = 20_000
RECORD = ("gradient", "activation", "weight_gradient", "update_ratio")


def mlp(depth, width, **fields):
    """Return an MLP whose gradient neither vanishes nor explodes."""
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
    """Compare the laws of the finite values by the Kolmogorov–Smirnov test."""
    return stats.ks_2samp(finite(a), finite(b), method="asymp").pvalue


@pytest.fixture(scope="module")
def engines(seed):
    """Map the name of a case to its runs with both engines, simulated once."""
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


# Changes of 2 to 3 %, and the cases that detect them.
CHANGES = {
    "bias": {"gain": 1.02 * math.sqrt(2)},
    "orthogonal": {"gain": 1.02 * 1.2},
    "activated": {"residual": vgsim.Residual(1, branch=0.515)},
    "linear skip": {"residual": vgsim.Residual(2, style="linear", last_gain=0.618)},
    "post": {"residual": vgsim.Residual(2, skip=0.824, style="post")},
    "highway": {"highway": vgsim.Highway(-0.97)},
    "clipped norm": {"clip": vgsim.ClipNorm(6.18)},
    "clipped values": {"clip": vgsim.ClipValue(1.545)},
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_small_change_of_the_network_would_show(name, engines, seed):
    free, _ = engines(name)
    network, choice = CASES[name]
    changed = simulated(replace(network, **CHANGES[name]), choice, seed + 10, engine="dense")
    p = [p_value(free.log10_ratio[:, c], changed.log10_ratio[:, c]) for c in range(4)]
    assert min(p) < P_VALUE


ROOT = Path(__file__).parents[2]
PYTORCH = Path(__file__).parents[1] / "data" / "torch_initialisation.npz"

# The networks of tests/oracle/make_initialisation.py, and how they are run.
PYTORCH_CASES = {
    "kaiming_normal_, BatchNorm1d, relu": (
        vgsim.MLP(10, 12, activation="relu", init="he_normal", norm="batch"),
        {"batch_size": 6},
    ),
    "xavier_uniform_, LayerNorm, tanh": (
        vgsim.MLP(12, 10, init="glorot_uniform", norm="layer", bias_std=0.3),
        {"batch_size": 3},
    ),
    "trunc_normal_, RMSNorm, gelu": (
        vgsim.MLP(12, 9, activation="gelu", init="truncated_normal", norm="rms"),
        {"batch_size": 4},
    ),
    "default reset, mse": (
        vgsim.MLP(8, TAPERED, activation="silu", init="torch_default"),
        {"batch_size": 4, "loss": "mse"},
    ),
    "orthogonal_, rectangular, cross-entropy": (
        mlp(8, TAPERED, init="orthogonal", **LEAKY, bias_std=0.2),
        {"batch_size": 3, "loss": "cross_entropy"},
    ),
    "kaiming_normal_, pre-activated, cross-entropy": (
        mlp(12, 10, **RELU, norm="batch", residual=vgsim.Residual(2, style="pre")),
        {"batch_size": 4, "loss": "cross_entropy"},
    ),
    "kaiming_normal_, post-activated": (
        mlp(12, 8, **RELU, norm="layer", bias_std=0.2, residual=vgsim.Residual(2, style="post")),
        {"batch_size": 3},
    ),
    "xavier_uniform_, skips": (
        vgsim.MLP(15, 10, init="glorot_uniform", residual=vgsim.Residual(1, branch=0.5)),
        {"batch_size": 2},
    ),
    "xavier_normal_, highway": (
        vgsim.MLP(14, 9, bias_std=0.3, highway=vgsim.Highway(-1.0)),
        {"batch_size": 3},
    ),
    "orthogonal_, RNN": (vgsim.RNN(20, 10), {"batch_size": 3, "loss": "cross_entropy"}),
    "default reset, RNN": (vgsim.RNN(8, 10, init="torch_default"), {"batch_size": 2}),
    "kaiming_normal_, clipped": (
        mlp(12, 10, gain=5 / 3, clip=vgsim.ClipNorm(3.0)),
        {"batch_size": 2},
    ),
}


@pytest.mark.parametrize("name", PYTORCH_CASES)
def test_pytorch_draws_the_same_law(name, seed):
    network, choice = PYTORCH_CASES[name]
    with np.load(PYTORCH) as frozen:
        ratio, weight_gradient = frozen[name]
    samples = vgsim.simulate(
        network,
        SIZE,
        seed=seed + 11,
        layers=(0, 1),
        record=("gradient", "weight_gradient"),
        **choice,
    )
    own = samples.log10_ratio[:, 0]
    assert p_value(ratio, own + network.depth * math.log10(1.03)) < P_VALUE
    assert p_value(ratio, own) > P_VALUE
    assert p_value(weight_gradient, samples.weight_gradient[:, 0]) > P_VALUE


# Columns that become collinear, so that the rank falls, exactly or nearly.
COLLINEAR = {
    "relu, B = 2": (mlp(400, 16, **RELU), 2),
    "relu, B = 4": (mlp(400, 16, **RELU), 4),
    "linear": (mlp(400, 8, activation="linear", gain=1.0), 3),
    "linear, batch norm": (mlp(30, 16, activation="linear", norm="batch"), 8),
    "tanh, ordered": (mlp(150, 20, gain=0.5), 16),
}


@pytest.mark.parametrize("name", COLLINEAR)
def test_collinear_columns_do_not_bias(name, seed):
    network, batch_size = COLLINEAR[name]
    ways = [(engine, d) for engine in ("dense", "matrix-free") for d in ("float64", "float32")]
    exact, *others = (
        vgsim.simulate(
            network,
            1500,
            seed=seed + i,
            batch_size=batch_size,
            engine=engine,
            dtype=dtype,
            layers=(0,),
        )
        for i, (engine, dtype) in enumerate(ways)
    )
    a = finite(exact.log10_ratio[:, 0])
    assert stats.sem(a) < 0.1  # columns made independent by rounding would change about 10 decades
    for other in others:
        b = finite(other.log10_ratio[:, 0])
        assert p_value(a, b) > P_VALUE
        assert abs(a.mean() - b.mean()) < 4 * math.hypot(stats.sem(a), stats.sem(b))
        dead = stats.fisher_exact([[s.n_dead, len(s) - s.n_dead] for s in (exact, other)])
        assert dead.pvalue > P_VALUE


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("engine", ["matrix-free", "dense"])
@pytest.mark.parametrize("batch_size", [1, 3])
def test_saturated_tanh_never_dies(engine, dtype, batch_size, seed):
    samples = vgsim.simulate(
        mlp(50, 16, gain=100.0), 4000, seed=seed, batch_size=batch_size, engine=engine, dtype=dtype
    )
    assert not samples.dead.any()
    assert np.isfinite(samples.gradient).all()


@pytest.mark.parametrize("gain", [30.0, 100.0, 1000.0])
@pytest.mark.parametrize("activation", ["linear", "relu", "tanh", "sigmoid"])
@pytest.mark.parametrize("engine", ["matrix-free", "dense"])
def test_saturated_cross_entropy_is_finite(engine, activation, gain, seed):
    for batch_size in (1, 3):
        samples = vgsim.simulate(
            mlp(10, 8, activation=activation, gain=gain),
            2000,
            seed=seed,
            batch_size=batch_size,
            loss="cross_entropy",
            engine=engine,
        )
        assert np.isfinite(samples.output_gradient).all()
        assert np.isfinite(samples.gradient[~samples.dead]).all()
        assert activation == "relu" or not samples.dead.any()


@pytest.mark.parametrize(
    "part",
    ["weights", "spectrum", "normalisation", "skips", "criticality", "recurrent", "finite_width"],
)
def test_theory_holds(part, seed, monkeypatch):
    """``python -m verification``, with few samples."""
    monkeypatch.syspath_prepend(ROOT)
    comparisons = importlib.import_module(f"verification.{part}").comparisons(seed, quick=True)
    for comparison in comparisons:
        margin = 4 * comparison.error + comparison.slack
        assert margin < 0.25 * abs(comparison.predicted) or comparison.predicted == 0
        assert comparison.holds, str(comparison)
