"""Biases by rotation: W x + b is drawn as one vector, and W and b have their law nevertheless."""

import math
from itertools import pairwise

import numpy as np
import pytest
from scipy import stats

import vgsim
from vgsim._engine.settings import Settings
from vgsim._networks.operations import Bias
from vgsim._twin.along import Along, Gradients
from vgsim._twin.rotation import ConditionalAffine, Rotation
from vgsim._twin.scaled import scaled
from vgsim._twin.steps import Bias as BiasStep
from vgsim._twin.steps import Included

MATRIX_FREE = {"engine": "matrix-free", "dtype": "float64"}
SHAPES = [(1, 1), (1, 5), (2, 1), (2, 4), (3, 3), (7, 4), (4, 9)]
EPSILON = float(np.finfo(np.float64).eps)


def rotation_of(rng, n):
    return Rotation(
        nu=rng.normal(),
        second=rng.normal(),
        square=rng.chisquare(n - 2) if n > 2 else 0.0,
        fresh=rng.normal(size=n),
    )


def affine(rng, n, m, std, bias_std):
    """W x + b with new random numbers."""
    w, N = rng.normal(size=(n, 1)), rng.normal(size=(m, 1))
    return ConditionalAffine(std, w, N, EPSILON, bias_std=bias_std, rotation=rotation_of(rng, n))


def plain(a):
    return np.ldexp(a.mantissa, a.exponent)[:, 0]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("std", "bias_std"), [(1.0, 1.0), (0.3, 2.0), (1.0, 1e-9), (1e-9, 1.0)])
def test_the_matrix_and_the_bias_have_both_products(shape, std, bias_std, rng):
    n, m = shape
    for _ in range(20):
        A = affine(rng, n, m, std, bias_std)
        x, delta = rng.normal(size=(m, 1)), rng.normal(size=(n, 1))
        h, g = plain(A @ scaled(x)), plain(A.T @ scaled(delta))
        square = rng.chisquare(A.degrees) if A.degrees else 0.0
        W, b = A.explicit(rng.normal(size=shape), square), A.b
        size, length = std * np.linalg.norm(x), np.linalg.norm(delta)
        tau, w, nu = math.hypot(size, bias_std), A.w[:, 0], A.rotation.nu
        np.testing.assert_allclose(h, tau * w, rtol=1e-13)
        np.testing.assert_allclose(W @ x[:, 0] + b, h, rtol=0, atol=1e-13 * tau * 10)
        np.testing.assert_allclose(W.T @ delta[:, 0], g, rtol=0, atol=1e-12 * std * length)
        kappa, lambda_, unit = size / tau, bias_std / tau, delta[:, 0] / length
        z_delta = kappa * (w @ unit) + lambda_ * nu
        along = W.T @ unit @ x[:, 0] / np.linalg.norm(x) / std
        assert along == pytest.approx(z_delta, rel=1e-12, abs=1e-12)
        beyond = 0.0
        if n > 1:
            rest = np.linalg.norm(w - (w @ unit) * unit)
            beyond = (kappa * rest + lambda_ * A.rotation.second) ** 2
            beyond += lambda_**2 * A.rotation.square
        across = A.across[:, 0] @ A.across[:, 0]
        expected = z_delta**2 + beyond + across + square
        assert (W**2).sum() / std**2 == pytest.approx(expected, rel=1e-11)


@pytest.mark.parametrize("exponent", [-5000, -1000, 0, 1000, 5000])
@pytest.mark.parametrize("bias_std", [1e-300, 1.0, 1e300])
def test_inputs_of_any_scale(exponent, bias_std, rng):
    A = affine(rng, 4, 3, 0.5, bias_std)
    x = rng.normal(size=(3, 1))
    h = A @ scaled(x, np.array([exponent]))
    A.T @ scaled(rng.normal(size=(4, 1)))
    assert A.kappa**2 + A.lambda_**2 == pytest.approx(1)
    assert np.isfinite(A.b).all()
    log_tau = np.logaddexp2(
        2 * (math.log2(0.5 * np.linalg.norm(x)) + exponent), 2 * math.log2(bias_std)
    )
    log_h = np.log2(np.abs(h.mantissa)) + h.exponent
    np.testing.assert_allclose(log_h, log_tau / 2 + np.log2(np.abs(A.w)), rtol=1e-12)


@pytest.mark.parametrize("n", [1, 2, 3, 6])
@pytest.mark.parametrize("closed", [False, True], ids=["open", "closed"])
def test_eta_is_normal_and_independent_of_w(n, closed, rng):
    """η and w, 2 n numbers, are jointly normal, whatever direction of δ depends on w."""
    pairs = []
    for _ in range(3000):
        w = rng.normal(size=n)
        delta = np.maximum(w, 0.0) + 0.1 * w**2 * (not closed)
        size = np.linalg.norm(delta)
        pairs.append(np.concatenate([w, rotation_of(rng, n).eta(w, delta / (size or 1.0))]))
    pairs = np.array(pairs)
    assert stats.kstest(pairs.ravel(), "norm").pvalue > 1e-6
    assert stats.kstest((pairs**2).sum(1), "chi2", args=(2 * n,)).pvalue > 1e-6
    bound = 5.5 / math.sqrt(len(pairs))
    np.testing.assert_allclose(
        pairs.T @ pairs / len(pairs), np.eye(2 * n), rtol=0, atol=1.5 * bound
    )
    assert abs((pairs**2 * pairs[:, [0]]).mean(axis=0)).max() < 4 * bound


@pytest.mark.parametrize(
    "net",
    [
        vgsim.MLP(4, [6, 9, 5, 8, 7], init="lecun_normal", gain=1.5, bias_std=0.4),
        vgsim.MLP(5, 4, activation="relu", init="he_normal", bias_std=1.0),
        vgsim.MLP(6, [3, 1, 2, 5, 2, 1, 4], activation="gelu", init="he_normal", bias_std=0.5),
    ],
    ids=["tanh", "relu", "narrow"],
)
def test_weights_and_biases_are_independent_normals(net, seed):
    enough = min(math.ceil(12_000 / sum(n * m for n, m in pairwise(net.widths))), 200)
    samples = [vgsim.replay(net, seed, index, **MATRIX_FREE) for index in range(enough)]
    biases, squares, products, sums = [], [], [], []
    for l, s in enumerate(net.weight_stds):
        W = np.array([sample.weights[l] for sample in samples]) / s
        b = np.array([sample.biases[l] for sample in samples]) / net.bias_std
        biases.append(b.ravel())
        joint = (W**2).sum((1, 2)) + (b**2).sum(1)
        squares.append(stats.chi2.cdf(joint, W[0].size + b[0].size))
        products.append((W * b[:, :, np.newaxis]).ravel())
        sums.append(((W**2 - 1) * (b[:, :, np.newaxis] ** 2 - 1)).ravel())
    biases, squares, products, sums = map(np.concatenate, (biases, squares, products, sums))
    assert abs(biases.mean()) < 5 / math.sqrt(biases.size)
    assert abs((biases**2).mean() - 1) < 5 * math.sqrt(2 / biases.size)
    assert stats.kstest(biases, "norm").pvalue > 1e-6
    assert stats.kstest(squares, "uniform").pvalue > 1e-6
    assert abs(products.mean()) < 5 / math.sqrt(products.size)
    assert abs(sums.mean()) < 6 * 2 / math.sqrt(sums.size)


def test_where_biases_are_drawn_by_rotation():
    biased = {"bias_std": 0.1}
    plain_net = vgsim.MLP(3, 4, **biased)
    alternating = vgsim.Sequential(4, [vgsim.Linear(bias_std=0.1), "tanh"] * 2)

    def rotates(network, **choice):
        return (
            Settings.checked(**{"engine": "matrix-free"} | choice)
            .of(network)
            .rotates_biases(network)
        )

    assert rotates(plain_net)
    assert rotates(alternating)
    assert rotates(vgsim.MLP(3, 4, activation="relu", **biased), engine="scalar", loss="mse")
    assert not rotates(plain_net, engine="dense")
    assert not rotates(plain_net, batch_size=2)
    assert not rotates(vgsim.MLP(3, 4, clip=vgsim.ClipValue(1.0), **biased))
    assert not rotates(vgsim.MLP(3, 4, norm="layer", **biased))
    assert not rotates(vgsim.MLP(3, 4, init="orthogonal", **biased))
    assert not rotates(vgsim.MLP(4, 4, residual=vgsim.Residual(), **biased))
    assert not rotates(vgsim.Sequential(4, [vgsim.Linear(bias_std=0.1), "tanh", "relu"]))


def test_the_product_of_gradient_and_contents_is_lost_at_an_included_bias():
    """With n = W x + b, G · x is not G · n."""
    (bias,) = vgsim.MLP(1, 3, bias_std=0.1).program.of(Bias)
    for b, is_known in ((None, True), (Included(), False), (scaled(np.ones((3, 1))), False)):
        gradients = Gradients()
        gradients.add(0, scaled(np.ones((3, 1))), Along(scaled(np.array([[2.0]]))))
        BiasStep(bias, b).back(gradients)
        assert (gradients.take(0)[1] is not None) == is_known
