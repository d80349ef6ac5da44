"""Replayed samples of composed networks: the layout of the draws, their law, their products."""

import math

import numpy as np
import pytest
from scipy import stats

import vgsim
from vgsim._engine.settings import network_key
from vgsim._twin import replay as _replay
from vgsim._twin.random import normals, words

BLOCK = vgsim.Skip([vgsim.Norm("layer"), vgsim.Attention(2, causal=True, bias_std=0.2)])
FEED = vgsim.Skip(
    [vgsim.Norm("rms"), vgsim.Linear(12), "gelu", vgsim.Dropout(0.3), vgsim.Linear(6)]
)
GATED = vgsim.Gate([vgsim.Linear(bias_std=0.1, init="orthogonal"), vgsim.Dropout(0.1), "tanh"])
NET = vgsim.Sequential(6, [vgsim.Linear(), BLOCK, FEED, [GATED, "relu"], vgsim.Linear(3)], tokens=3)
CHOICE = {"batch_size": 2, "dtype": "float64"}
ENGINES = pytest.mark.parametrize("engine", ["dense", "matrix-free"])
# Matrices in the order of their numbers: the first is 1.
MATRICES = [
    *("0.weight", "1.1.query", "1.1.key", "1.1.value", "1.1.output"),
    *("2.1.weight", "2.4.weight", "3.0.gate", "3.0.0.weight", "4.weight"),
]
SHAPES = {
    **dict.fromkeys(MATRICES, (6, 6)),
    **{f"1.1.{name}_bias": (6,) for name in ("query", "key", "value", "output")},
    "2.1.weight": (12, 6),
    "2.3.mask": (12, 6),
    "2.4.weight": (6, 12),
    "3.0.0.bias": (6,),
    "3.0.1.mask": (6, 6),
    "4.weight": (3, 6),
}


def replayed(index, engine, **others):
    return vgsim.replay(NET, 5, index, engine=engine, **(CHOICE | others))


def padded_columns(numbers, n, columns):
    """Column b starts at number b p, with p the rows rounded up to a multiple of 4."""
    p = n + -n % 4
    return np.array([numbers[b * p : b * p + n] for b in range(columns)]).T


@ENGINES
def test_names_and_shapes(engine):
    sample = replayed(0, engine)
    assert {name: array.shape for name, array in sample.parameters.items()} == SHAPES
    assert [name for name in sample.parameters if name in MATRICES] == MATRICES
    assert sample.inputs.shape == (6, 6)
    assert sample.output_gradient.shape == (3, 6)
    assert (sample.weights, sample.biases, sample.gate_weights) == ([], [], None)


def test_every_matrix_has_the_stream_of_its_number():
    """The order of operations is the order of the numbers; that of a bias is its matrix's."""
    key = network_key(NET.canonical_json(), 5)
    parameters = replayed(9, "dense").parameters
    for number, name in enumerate(MATRICES, start=1):
        if name == "3.0.0.weight":
            continue  # orthogonal
        n, m = SHAPES[name]
        p = m + -m % 4
        z = normals(key, "forward", number, 9, n * p, "float64").reshape(n, p)[:, :m]
        np.testing.assert_allclose(parameters[name], z / math.sqrt(m), rtol=1e-14)
    for name, number, std in [
        ("1.1.query_bias", 2, 0.2),
        ("1.1.output_bias", 5, 0.2),
        ("3.0.0.bias", 9, 0.1),
    ]:
        z = normals(key, "bias", number, 9, 6, "float64")
        np.testing.assert_allclose(parameters[name], std * z, rtol=1e-14)


@ENGINES
def test_masks_are_words_below_the_rate(engine):
    key = network_key(NET.canonical_json(), 5)
    parameters = replayed(3, engine).parameters
    for number, name, rate in [(1, "2.3.mask", 0.3), (2, "3.0.1.mask", 0.1)]:
        n, columns = SHAPES[name]
        drawn = words(key, "mask", number, 3, columns * (n + -n % 4))
        expected = padded_columns(drawn, n, columns) >= round(rate * 2**32)
        np.testing.assert_array_equal(parameters[name], expected.astype(float))


def test_masks_keep_their_fraction_independently():
    net = vgsim.Sequential(10, [vgsim.Dropout(0.3), vgsim.Dropout(0.3)])
    drawn = [vgsim.replay(net, 1, i, engine="dense", batch_size=5).parameters for i in range(300)]
    one, other = (np.array([d[name].ravel() for d in drawn]) for name in ("0.mask", "1.mask"))
    N = one.size
    for kept, q in [(one, 0.7), (other, 0.7), (one * other, 0.49)]:
        assert abs(kept.mean() - q) < 5 * math.sqrt(q * (1 - q) / N)


def test_inputs_are_whole_sequences():
    """Rows of data are sequences; the tokens of each are columns side by side."""
    data = np.arange(7 * 3 * 6, dtype=float).reshape(7, 3, 6)
    for index in range(10):
        x = replayed(index, "dense", inputs=data).inputs.T.reshape(2, 3, 6)
        first = (x[:, 0, 0] / 18).astype(int)
        assert first[0] != first[1]
        np.testing.assert_array_equal(x, data[first])


@ENGINES
def test_evaluate_runs_a_replay(engine, monkeypatch):
    """The explicit matrices run as their products did, forward and backward."""
    passes = []

    def backward(places, g, clip):
        passes.append(run(places, g, clip)[0])
        return passes[-1], []

    run = _replay.backward
    monkeypatch.setattr(_replay, "backward", backward)
    for index in range(5):
        sample = replayed(index, engine)
        result = vgsim.evaluate(NET, sample.parameters, sample.inputs, sample.output_gradient)
        if engine == "matrix-free":
            norms = [g.log10_norm for (g,) in passes.pop()]
            np.testing.assert_allclose(norms, result.gradient, atol=1e-9)
        assert not result.dead


def test_the_explicit_matrices_are_gaussian():
    """All entries of all Gaussian matrices, and their sums of squares, over many samples."""
    samples = [replayed(index, "matrix-free").parameters for index in range(150)]
    for name in MATRICES:
        if name == "3.0.0.weight":
            O = np.array([sample[name] for sample in samples])
            np.testing.assert_allclose(O @ O.transpose(0, 2, 1), [np.eye(6)] * 150, atol=1e-12)
            entries = O[:, 0, 0] ** 2
            assert stats.kstest(entries, stats.beta(0.5, 2.5).cdf).pvalue > 1e-4
            continue
        n, m = SHAPES[name]
        z = np.array([sample[name] for sample in samples]) * math.sqrt(m)
        assert stats.kstest(z.ravel(), stats.norm.cdf).pvalue > 1e-4, name
        squares = (z**2).sum(axis=(1, 2))
        assert stats.kstest(squares, stats.chi2(n * m).cdf).pvalue > 1e-4, name


def gradient_law(engine, count):
    """Quantities of many samples by evaluate, (count, 4)."""
    rows = []
    for index in range(count):
        sample = replayed(index, engine)
        result = vgsim.evaluate(NET, sample.parameters, sample.inputs, sample.output_gradient)
        rows.append(
            (
                result.log10_ratio[0],
                result.activation[3],
                result.weight_gradient[1],
                result.gradient_correlation[1],
            )
        )
    return np.array(rows).T


def test_both_engines_have_the_same_law():
    for one, other in zip(
        gradient_law("dense", 250), gradient_law("matrix-free", 250), strict=True
    ):
        assert stats.ks_2samp(one, other).pvalue > 1e-4


def test_the_norm_of_every_recorded_matrix_is_drawn():
    """One token: W_q and W_k get no gradient, but their norms are part of the update ratio."""
    net = vgsim.Sequential(5, [vgsim.Attention()])
    sizes = []
    for index in range(200):
        sample = vgsim.replay(net, 1, index, engine="matrix-free", dtype="float64")
        sizes.append((sample.parameters["0.query"] ** 2).sum() * 5)
    assert stats.kstest(sizes, stats.chi2(25).cdf).pvalue > 1e-4
