"""Exact laws of composed networks: attention without a choice, dropout, blocks of tanh."""

import importlib
import math
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

import vgsim
from vgsim import Attention, Dropout, Linear, Sequential, Skip, theory

ROOT = Path(__file__).parents[2]
N, SIZE = 6, 20_000
ENGINES = pytest.mark.parametrize("engine", ["matrix-free", "dense"])
EQUAL = np.repeat(np.random.default_rng(4).normal(size=(5, 1, N)), 4, axis=1)  # tokens of a row
P_VALUE = 1e-5
RECORD = ("gradient", "activation", "weight_gradient")


def p_value(a, b):
    return stats.ks_2samp(a, b, method="asymp").pvalue


@ENGINES
@pytest.mark.parametrize("bias_std", [0.0, 0.4])
@pytest.mark.parametrize(("heads", "causal"), [(1, False), (2, True), (6, False)])
def test_attention_of_one_token_is_two_linear_maps(heads, causal, bias_std, engine, seed):
    attention = Attention(heads, causal=causal, gain=1.3, output_gain=0.8, bias_std=bias_std)
    maps = [Linear(gain=1.3, bias_std=bias_std), Linear(gain=0.8, bias_std=bias_std)]
    choice = {"batch_size": 2, "engine": engine, "record": RECORD}
    a = vgsim.simulate(Sequential(N, [attention, "tanh"] * 3), SIZE, seed=seed + 1, **choice)
    b = vgsim.simulate(Sequential(N, [maps, "tanh"] * 3), SIZE, seed=seed + 2, **choice)
    for quantity in RECORD:
        for l in range(getattr(a, quantity).shape[1]):
            x, y = getattr(a, quantity)[:, l], getattr(b, quantity)[:, l]
            assert p_value(x, y) > P_VALUE, (quantity, l)
            assert p_value(x + 0.03, y) < P_VALUE


@ENGINES
@pytest.mark.parametrize("causal", [False, True])
def test_equal_tokens_leave_the_path_of_the_values(engine, causal):
    """X_1 = W_o W_v X_0; without a mask, columns of G_0 are (W_o W_v)ᵀ times the mean of G_1."""
    net = Sequential(N, [Attention(3, causal=causal, gain=2.0)], tokens=4)
    choice = {"inputs": EQUAL, "batch_size": 2, "engine": engine, "dtype": "float64"}
    record = (*RECORD, "activation_correlation", "gradient_correlation")
    samples = vgsim.simulate(net, 8, seed=3, record=record, layers=(0, 1), **choice)
    for index in range(8):
        sample = vgsim.replay(net, 3, index, **choice)
        W = sample.parameters["0.output"] @ sample.parameters["0.value"]
        Y = W @ sample.inputs
        rms = math.log10(np.linalg.norm(Y) / math.sqrt(Y.size))
        assert samples.activation[index, 1] == pytest.approx(rms, abs=1e-9)
        C = sample.output_gradient.reshape(N, 2, 4)
        weights = np.tri(4) / np.arange(1, 5)[:, np.newaxis] if causal else np.full((4, 4), 1 / 4)
        G = (W.T @ (C @ weights).reshape(N, 8)).reshape(N, 8)
        norm = math.log10(np.linalg.norm(G))
        assert samples.gradient[index, 0] == pytest.approx(norm, abs=1e-9)


def test_equal_tokens_have_the_law_of_one(seed):
    """Σ_u c_u/√T is a standard normal vector: ‖G_0‖ has the law of one token, forward and back."""
    net = Sequential(N, [Attention(2, gain=1.2)], tokens=4)
    one = Sequential(N, [[Linear(gain=1.2), Linear(gain=1.2)]])
    row = {"inputs": EQUAL[:1], "layers": (0, 1), "record": ("gradient", "activation")}
    a = vgsim.simulate(net, SIZE, seed=seed + 3, **row)
    b = vgsim.simulate(one, SIZE, seed=seed + 4, **(row | {"inputs": EQUAL[:1, 0]}))
    assert p_value(a.gradient[:, 0], b.gradient[:, 0]) > P_VALUE
    assert p_value(a.activation[:, 1], b.activation[:, 1]) > P_VALUE
    assert p_value(a.gradient[:, 0] + 0.03, b.gradient[:, 0]) < P_VALUE


@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_dropout_in_wide_relu_networks(rate, seed):
    """Var ln ‖G‖² → (6/q − 1) Σ 1/n, and E‖G‖² grows by 1/q per layer."""
    n, depth, q = 400, 12, 1 - rate
    net = Sequential(n, [Linear(init="he_normal"), "relu", Dropout(rate)] * depth)
    samples = vgsim.simulate(net, SIZE, seed=seed, layers=range(0, 3 * depth, 9))
    x = 2 * math.log(10) * samples.log10_ratio
    for column, l in enumerate(samples.layers):
        left = depth - l // 3
        limit = (6 / q - 1) * left / n
        error = math.sqrt(2 / SIZE)
        assert x[:, column].var() == pytest.approx(limit, rel=5 * error + 1.2 * (6 / q) / n)
        mean = np.exp(x[:, column]).mean()
        deviation = np.exp(x[:, column]).std() / math.sqrt(SIZE)
        assert abs(mean - q**-left) < 4 * deviation


def test_dropout_in_narrow_relu_networks_has_the_exact_moments(seed):
    n, depth = 10, 20
    net = Sequential(n, [[Linear(init="he_normal"), "relu", Dropout(0.3)]] * depth)
    x = vgsim.simulate(net, SIZE, seed=seed, layers=(0,)).log10_ratio[:, 0]
    x = 2 * math.log(10) * x[np.isfinite(x)]
    law = theory.relu_law(n, depth, dropout=0.3)
    assert abs(x.mean() - law.mean) < 4 * stats.sem(x)
    assert abs(x.var() - law.variance) < 4 * stats.sem((x - x.mean()) ** 2)


def test_closed_branches_leave_the_skip():
    """A branch of size 1e-100 changes nothing: G_0 = skip^D G_D."""
    net = Sequential(N, [Skip([Attention(2), "tanh"], skip=-0.5, branch=1e-100)] * 10, tokens=3)
    samples = vgsim.simulate(net, 20, dtype="float64")
    np.testing.assert_allclose(samples.log10_ratio[:, 0], 10 * math.log10(0.5), rtol=1e-12)


def test_theory_of_composed_networks(seed, monkeypatch):
    """``python -m verification composed --quick``: post-norm, pre-norm, DeepNorm, dropout."""
    monkeypatch.syspath_prepend(ROOT)
    part = importlib.import_module("verification.composed")
    for comparison in part.comparisons(seed, quick=True):
        assert comparison.holds, str(comparison)
