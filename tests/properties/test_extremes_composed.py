"""Composed networks at scales far from 1: nothing but the logarithm of an exact 0 is infinite."""

import numpy as np
import pytest
from scipy import stats

import vgsim
from composed_cases import BATCH, LAYER, RMS, mlp, post, pre, record_of
from composed_twin import differences
from vgsim import Attention, Dropout, Gate, Linear, Norm, Sequential, Skip

# Narrow normalised networks are among the cases on purpose.
pytestmark = pytest.mark.filterwarnings("ignore:rounding decides")
TOKENS = {"tokens": 4}
RNG = np.random.default_rng(11)
ROWS = RNG.normal(size=(5, 3, 6))
WITH_ZEROS = ROWS * np.array([1.0, 0.0, 0.0, 1.0, 1.0])[:, np.newaxis, np.newaxis]
ONE_ZERO_TOKEN = ROWS * np.array([0.0, 1.0, 1.0])[:, np.newaxis]
OF_ALL_SIZES = ROWS * 10.0 ** np.array([-200.0, 0.0, 150.0])[:, np.newaxis]
SHARP = {"gain": 1e10, "value_gain": 1.0, "output_gain": 1.0}
FLAT = {"gain": 1e-30, "value_gain": 1.0, "output_gain": 1.0}
TWO = {"batch_size": 2}

# name: (network, settings)
ALIVE = {
    "gains of 1e30": (Sequential(6, [Linear(gain=1e30), "leaky_relu"] * 6), TWO),
    "gains of 1e-30": (Sequential(6, [Linear(gain=1e-30), "gelu", Linear(gain=1e-30)] * 6), TWO),
    "gains of 1e30, one": (Sequential(6, [Linear(gain=1e30), "softsign"] * 3), {}),
    "gains of 1e±30": (Sequential(6, [Linear(gain=1e30), RMS, Linear(gain=1e-30), LAYER] * 3), TWO),
    "blocks of 1e30": (Sequential(6, [Skip(mlp(6, gain=1e30))] * 4), TWO),
    "blocks of 1e-30": (Sequential(6, [Skip(mlp(6, gain=1e-30))] * 4), TWO),
    "factors of 1e±100": (
        Sequential(6, [Skip([Linear(), "tanh"], skip=1e-100, branch=1e100)] * 5),
        TWO,
    ),
    "gates of 1e30": (Sequential(6, [Gate([Linear(), "tanh"], gain=1e30)] * 3), TWO),
    "gates of blocks of 1e30": (Sequential(6, [Gate([Linear(gain=1e30)])] * 3), TWO),
    "open gates": (Sequential(6, [Gate([Linear(), "tanh"], bias=80.0)] * 4), TWO),
    "shut gates": (Sequential(6, [Gate([Linear(), "tanh"], bias=-1e4)] * 4), TWO),
    "scores of 1e20": (Sequential(8, [Skip([Attention(2, **SHARP)])] * 2, **TOKENS), TWO),
    "scores of 1e20, causal": (
        Sequential(8, [Skip([LAYER, Attention(4, causal=True, **SHARP)])] * 3, **TOKENS),
        {},
    ),
    "scores of 1e20 alone": (Sequential(8, [Attention(2, **SHARP)] * 2, **TOKENS), TWO),
    "scores of 1e-60": (Sequential(8, [Skip([Attention(2, **FLAT)])] * 2, **TOKENS), TWO),
    "attention of 1e30": (Sequential(8, [Skip([Attention(2, gain=1e30)])] * 2, **TOKENS), TWO),
    "attention of 1e-30": (Sequential(8, [Skip([Attention(2, gain=1e-30)])] * 2, **TOKENS), TWO),
    "inputs of 1e100": (
        Sequential(6, [Attention(2), Linear(5)], tokens=3),
        {"inputs": 1e100 * ROWS, "batch_size": 3},
    ),
    "inputs of 1e-100": (
        Sequential(6, [Skip([Attention(3, causal=True)]), "tanh"], tokens=3),
        {"inputs": 1e-100 * ROWS, "batch_size": 3, "loss": "mse"},
    ),
    "one token of 1e100": (
        Sequential(6, [Attention(2)], tokens=3),
        {"inputs": ROWS * np.array([1.0, 1.0, 1e100])[:, np.newaxis], "batch_size": 2},
    ),
    "one token of 1e-100": (
        Sequential(6, [Attention(2, causal=True)], tokens=3),
        {"inputs": ROWS * np.array([1e-100, 1.0, 1.0])[:, np.newaxis], "batch_size": 2},
    ),
    "inputs of all sizes": (
        Sequential(6, [Skip([Attention(2)]), Linear(5)], tokens=3),
        {"inputs": OF_ALL_SIZES, "batch_size": 2},
    ),
    "inputs of all sizes, normalised": (
        Sequential(6, pre(6) * 2, tokens=3),
        {"inputs": OF_ALL_SIZES, "batch_size": 2},
    ),
    "zero rows": (
        Sequential(6, [Skip([Attention(2)]), Skip(mlp(6, "tanh")), Linear(3)], tokens=3),
        {"inputs": WITH_ZEROS, "batch_size": 3},
    ),
    "zero rows, normalised": (
        Sequential(6, [Skip([LAYER, Attention(2)]), Skip([RMS, *mlp(6)])], tokens=3),
        {"inputs": WITH_ZEROS, "batch_size": 4},
    ),
    "a zero token": (
        Sequential(6, [Attention(2, causal=True), "tanh", Attention(3)], tokens=3),
        {"inputs": ONE_ZERO_TOKEN, "batch_size": 2},
    ),
    "zeros alone": (
        Sequential(6, [Skip([Attention(2)]), Linear(bias_std=0.5), "tanh"], tokens=3),
        {"inputs": np.zeros((2, 3, 6)), "batch_size": 2},
    ),
    "width 1": (Sequential(1, [Linear(), "tanh", Skip([RMS, Linear(2), Linear(1)])] * 2), TWO),
    "width 1, attention": (Sequential(1, [Skip([Attention()]), Linear()] * 3, tokens=3), TWO),
    "width 1, gates": (Sequential(1, [Gate([Linear(), "tanh"])] * 4), {}),
    "width 1, batch norm": (Sequential(1, [Linear(), BATCH, "tanh"] * 3), {"batch_size": 4}),
    "one token": (Sequential(8, pre(8) * 3 + post(8) * 2), {}),
    "biases of 1e-30": (Sequential(6, [Linear(bias_std=1e-30), "tanh"] * 4), TWO),
    "biases of 1e30": (Sequential(6, [Linear(bias_std=1e30), LAYER, "tanh"] * 3), TWO),
    "biases of 1e200": (Sequential(6, [Skip([Linear(bias_std=1e200)]), RMS] * 3), TWO),
    "biased attention of 1e30": (
        Sequential(6, [Skip([Attention(2, bias_std=1e30)]), RMS], tokens=3),
        TWO,
    ),
    "narrow norms": (Sequential(2, [Linear(), Norm("layer", eps=1e-12), "tanh"] * 3), TWO),
    "values clipped far below": (
        Sequential(6, [Skip([Attention(2, gain=1e10)])] * 2, tokens=3, clip=vgsim.ClipValue(1e-30)),
        TWO,
    ),
    "norms clipped far below": (
        Sequential(6, [Linear(gain=1e30)] * 3, clip=vgsim.ClipNorm(1e-30)),
        TWO,
    ),
    "masked columns behind gates": (
        Sequential(3, [Gate([Dropout(0.99)], bias=30.0), Gate(["relu"], bias=40.0)] * 2),
        TWO,
    ),
    "dropout of 0.99 in blocks": (
        Sequential(6, [Skip([Dropout(0.99), Linear(), "tanh", Dropout(0.99)])] * 5),
        TWO,
    ),
}
DYING = {
    "dropout of 0.99": (Sequential(6, [Linear(), "tanh", Dropout(0.99)] * 2), TWO),
    "dropout of 0.99, one": (Sequential(6, [Dropout(0.99), Linear(40), "relu", Linear(3)]), {}),
    "masked columns": (
        Sequential(3, [Dropout(0.9), LAYER, Attention(3), Dropout(0.5), RMS, Linear()], tokens=3),
        TWO,
    ),
    "masked columns, batch norm": (
        Sequential(3, [Dropout(0.9), BATCH, "relu", Linear(4)]),
        {"batch_size": 3},
    ),
    "closed units": (Sequential(2, [Linear(), "relu"] * 4 + [Linear()]), TWO),
    "closed units, one": (Sequential(2, [[Linear(), "relu"]] * 5), {}),
    "closed units before attention": (
        Sequential(2, [Linear(), "relu", Attention(2), "relu"], tokens=2),
        {"loss": "cross_entropy"},
    ),
    "no skip": (Sequential(2, [Skip([Linear(), "relu"], skip=0.0), LAYER] * 3), TWO),
}
LONG = {
    "2,000 pre-norm blocks": (Sequential(4, pre(4) * 1000, tokens=2), {}),
    "2,000 places of 1e30": (Sequential(4, [Linear(gain=1e30), "leaky_relu"] * 1000), TWO),
    "2,000 post-norm places": (Sequential(4, post(4, heads=1) * 500, tokens=2), {}),
    "2,000 gates": (Sequential(4, [Gate([Linear(), "tanh"])] * 2000), {}),
    "2,000 dropouts": (
        Sequential(64, [Linear(init="he_normal"), "gelu", Dropout(0.2), "linear"] * 500),
        {},
    ),
    "300 tokens": (Sequential(8, pre(8) * 2, tokens=300), {}),
    "300 sharp tokens": (Sequential(8, [Skip([Attention(2, **SHARP)])] * 2, tokens=300), {}),
}
CASES = ALIVE | DYING | LONG
each = pytest.mark.parametrize("name", CASES)
dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])
engines = pytest.mark.parametrize("engine", ["matrix-free", "dense"])


def simulated(name, count, **more):
    network, choice = CASES[name]
    record = record_of(network, **choice)
    if name in LONG:
        D = network.depth
        more["layers"] = sorted({0, 1, D // 2, D - 1, D})
    else:
        more["layers"] = range(network.depth + 1)
    return vgsim.simulate(network, count, seed=2, record=record, **choice, **more)


@each
@dtypes
@engines
def test_only_exact_zeros_have_infinite_logarithms(name, dtype, engine):
    count = 16 if name in LONG else 400
    samples = simulated(name, count, dtype=dtype, engine=engine)
    for quantity in (*samples.record, "output_gradient", "rms_min", "rms_max"):
        values = getattr(samples, quantity)
        assert not np.isnan(values).any(), quantity
        assert not np.isposinf(values).any(), quantity
    closed = np.isneginf(samples.gradient)
    np.testing.assert_array_equal(closed[:, 0], samples.dead)
    assert np.all(closed[:, :-1] | ~closed[:, 1:])  # behind a closed place all are
    np.testing.assert_array_equal(np.isneginf(samples.rms_min), closed)
    if name in DYING:
        assert 0 < samples.n_dead < count
    else:
        assert samples.n_dead == 0
    for quantity in ("activation_correlation", "gradient_correlation"):
        if quantity in samples.record:
            assert abs(getattr(samples, quantity)).max() <= 1
    assert 0 <= samples.saturation.min() <= samples.saturation.max() <= 1


# The norms reach their limits 2^±(2^30 − 256), where products of them depend on the order.
AT_THE_LIMIT = "factors of 1e±100"


@pytest.mark.parametrize("name", ALIVE | DYING)
def test_kernel_equals_twin(name):
    """With explicit matrices; in the matrix-free engine rounding decides which columns depend."""
    network, choice = CASES[name]
    found = differences(network, choice | {"dtype": "float64", "engine": "dense"}, 6)
    for quantity, apart in found.items():
        if name != AT_THE_LIMIT or quantity not in ("weight_gradient", "update_ratio"):
            assert apart.max() < 1e-7, quantity


@pytest.mark.parametrize("name", ALIVE)
def test_the_engines_have_one_law(name):
    a, b = (
        simulated(name, 2000, engine=engine, dtype="float64") for engine in ("matrix-free", "dense")
    )
    for quantity in ("gradient", "activation"):
        x, y = (np.round(getattr(s, quantity), 3) for s in (a, b))
        for l in range(x.shape[1]):
            assert stats.ks_2samp(x[:, l], y[:, l], method="asymp").pvalue > 1e-6, (quantity, l)
