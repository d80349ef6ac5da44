"""Replayed weights of the laws of the dense engine, and the kernels with these laws."""

import math

import numpy as np
import pytest
from scipy import stats

import vgsim
from vgsim._networks.initializers import Initializer

RECORD = ("gradient", "weight_gradient", "update_ratio", "activation", "saturation")
INITS = {
    "student_t": Initializer("student_t", df=2.5, mode="fan_avg"),
    "laplace": Initializer("laplace", scale=1.5),
    "rademacher": Initializer("rademacher", mode="fan_out"),
    "sparse": Initializer("sparse", density=0.5, scale=2.0),
    "diagonal": Initializer("diagonal", diagonal=-0.8, scale=0.3),
}
NETWORKS = {
    "MLP": lambda init: vgsim.MLP(5, [6, 9, 4, 8, 3, 7], init=init, gain=1.3, bias_std=0.1),
    "gates": lambda init: vgsim.MLP(4, 6, init=init, highway=vgsim.Highway(-1), norm="rms"),
    "residual": lambda init: vgsim.MLP(
        4, 6, init=init, residual=vgsim.Residual(2, style="pre", last_gain=0.5)
    ),
    "RNN": lambda init: vgsim.RNN(6, 7, init=init, gain=0.9, bias_std=0.2),
    "LSTM": lambda init: vgsim.LSTM(5, 6, init=init),
    "GRU": lambda init: vgsim.GRU(5, 7, init=init, bias_std=0.3),
    "Sequential": lambda init: vgsim.Sequential(
        6,
        [
            vgsim.Linear(9, init=init, gain=1.2),
            vgsim.Gate(["tanh"], init=init),
            vgsim.Linear(6, init=init),
            vgsim.Skip([vgsim.Attention(2, init=init)]),
        ],
        tokens=3,
    ),
}


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-9), ("float32", 3e-4)])
@pytest.mark.parametrize("kind", NETWORKS)
@pytest.mark.parametrize("law", INITS)
def test_kernel_equals_twin(law, kind, dtype, tolerance):
    net, choice = NETWORKS[kind](INITS[law]), {"dtype": dtype, "engine": "dense"}
    layers = range(net.depth + 1)
    samples = vgsim.simulate(net, 8, seed=7, layers=layers, record=RECORD, batch_size=2, **choice)
    for index in range(8):
        sample = vgsim.replay(net, 7, index, batch_size=2, **choice)
        arrays = sample.parameters, sample.inputs, sample.output_gradient
        twin = vgsim.evaluate(net, *arrays)
        for name in RECORD[: None if dtype == "float64" else -1]:
            actual, expected = getattr(samples, name)[index], getattr(twin, name)
            np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance, err_msg=name)


@pytest.mark.parametrize("law", INITS)
def test_autograd_has_the_gradients_of_the_sample(law):
    torch = pytest.importorskip("torch", reason="PyTorch is the oracle of this test")
    net = NETWORKS["MLP"](INITS[law])
    sample = vgsim.replay(net, 3, 1, engine="dense", dtype="float64")
    samples = vgsim.simulate(net, 1, seed=3, first=1, engine="dense", dtype="float64", layers=[0])
    x = torch.tensor(sample.inputs.T, requires_grad=True)
    y = sample.to_torch()(x)
    (g,) = torch.autograd.grad(y, x, torch.tensor(sample.output_gradient.T))
    assert math.log10(float(g.norm())) == pytest.approx(samples.gradient[0, 0], abs=1e-10)


def weights_over_std(net, dtype, seed, count=4):
    """All weights of some samples over their standard deviations."""
    samples = [vgsim.replay(net, seed, i, engine="dense", dtype=dtype) for i in range(count)]
    return np.concatenate(
        [
            W.ravel() / s
            for sample in samples
            for W, s in zip(sample.weights, net.weight_stds, strict=True)
        ]
    )


@pytest.mark.parametrize(
    ("init", "law"),
    [
        (Initializer("student_t", df=2.1), stats.t(2.1, scale=21**-0.5)),
        (Initializer("student_t", df=6, scale=3, mode="fan_avg"), stats.t(6, scale=1.5**-0.5)),
        (Initializer("laplace", mode="fan_out"), stats.laplace(scale=0.5**0.5)),
    ],
    ids=lambda x: getattr(x, "name", ""),
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_continuous_laws(init, law, dtype, seed):
    x = weights_over_std(vgsim.MLP(3, [30, 41, 50, 23], init=init, gain=2.0), dtype, seed)
    assert stats.kstest(x, law.cdf).pvalue > 1e-6


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_discrete_laws(dtype, seed):
    widths = [30, 41, 50, 23]
    signs = weights_over_std(vgsim.MLP(3, widths, init="rademacher", gain=0.3), dtype, seed)
    np.testing.assert_allclose(np.abs(signs), 1.0, rtol=1e-14)
    assert stats.binomtest(int((signs > 0).sum()), signs.size).pvalue > 1e-6
    init = Initializer("sparse", density=0.1, scale=2.0)
    x = weights_over_std(vgsim.MLP(3, widths, init=init), dtype, seed)
    assert stats.binomtest(int((x != 0).sum()), x.size, 0.1).pvalue > 1e-6
    assert stats.kstest(x[x != 0] * 0.1**0.5, "norm").pvalue > 1e-6


@pytest.mark.parametrize("shape", [(30, 30), (20, 45), (45, 20)])
def test_diagonal(shape, seed):
    """W/gain − diagonal · I is normal, for matrices with more rows or more columns too."""
    n, m = shape
    init = Initializer("diagonal", diagonal=2.0, scale=0.5, mode="fan_avg")
    net = vgsim.MLP(1, [m, n], init=init, gain=3.0)
    std = math.sqrt(0.5 / ((n + m) / 2))
    assert init.weight_std(m, n) == pytest.approx(std, rel=1e-15)
    W = np.array([vgsim.replay(net, seed, i, engine="dense").weights[0] for i in range(5)])
    assert stats.kstest(((W / 3 - 2 * np.eye(n, m)) / std).ravel(), "norm").pvalue > 1e-6


def test_a_dominant_diagonal_is_the_identity():
    """With little noise an RNN with W = I and no drive keeps the gradient."""
    init = Initializer("diagonal", scale=1e-12)
    net = vgsim.RNN(20, 8, init=init, activation="linear", input_std=0)
    samples = vgsim.simulate(net, 20, seed=1)
    assert np.abs(samples.log10_ratio).max() < 1e-4


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sparse_matrices_of_zeros(dtype):
    """The update ratio of W = 0 is −∞ in samples, whether ∂L/∂W is 0 or not."""
    init = Initializer("sparse", density=0.3)
    net = vgsim.MLP(4, 2, init=init, activation="linear")
    choice = {"engine": "dense", "dtype": dtype}
    samples = vgsim.simulate(net, 60, seed=2, layers=range(5), record=RECORD[:3], **choice)
    ratios = samples.update_ratio
    none = ratios == -math.inf
    assert (none & np.isfinite(samples.weight_gradient)).any()
    assert (none & np.isinf(samples.weight_gradient)).any()
    for index in range(60):
        sample = vgsim.replay(net, 2, index, **choice)
        twin = vgsim.evaluate(net, sample.parameters, sample.inputs, sample.output_gradient)
        assert samples.dead[index] == twin.dead
        assert (none[index] >= [not W.any() for W in sample.weights]).all()
        expected = np.where(twin.update_ratio < math.inf, twin.update_ratio, -math.inf)
        np.testing.assert_allclose(ratios[index], expected, atol=1e-4)
