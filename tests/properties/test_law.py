"""The law of the samples: exact laws where they are known, and one engine against the other."""

import functools
import importlib
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import special, stats

import vgsim

P_VALUE = 1e-6  # about 5 sigma; the seeds are fixed
SIGMAS = 5


def log_square_ratio(samples, layer=0):
    """Return ln(‖G_l‖²/‖G_D‖²) of the samples that are not dead."""
    column = list(samples.layers).index(layer)
    ratio = samples.log10_ratio[:, column]
    return 2 * math.log(10) * ratio[np.isfinite(ratio)]


def relu_moments(n):
    """Return mean and variance of ln[(2/n) χ²_K] per layer, K ~ Bin(n, ½) given K > 0."""
    k = np.arange(1, n + 1)
    weights = stats.binom.pmf(k, n, 0.5)
    weights /= weights.sum()
    mean = weights @ special.digamma(k / 2)
    second = weights @ (special.polygamma(1, k / 2) + special.digamma(k / 2) ** 2)
    return math.log(4 / n) + mean, second - mean**2


def draw_relu(rng, n, depth, size):
    """Draw ln ‖J u‖² from its exact law, −inf where a layer has no open unit."""
    open_units = rng.binomial(n, 0.5, (size, depth))
    with np.errstate(divide="ignore"):
        return np.log(2 / n * 2 * rng.standard_gamma(open_units / 2)).sum(axis=1)


def assert_mean_and_variance(x, mean, variance, depth):
    n = len(x)
    spread = math.sqrt(variance / n)
    assert SIGMAS * spread < depth * math.log(1.02)  # 2 % per layer is detected
    assert abs(x.mean() - mean) < SIGMAS * spread
    kurtosis = np.mean((x - x.mean()) ** 4) / variance**2
    assert abs(x.var() / variance - 1) < SIGMAS * math.sqrt((kurtosis - 1) / n)


@pytest.fixture(scope="module")
def relu(seed):
    """Runs of He ReLU networks, each simulated once."""

    @functools.cache
    def of(n, depth, engine):
        net = vgsim.MLP(depth, n, activation="relu", init="he_normal")
        size = 20_000 if engine == "matrix-free" else 10_000
        return vgsim.simulate(net, size, seed=seed + 1, engine=engine, layers=(0, depth))

    return of


@pytest.mark.parametrize(
    ("engine", "n", "depth"),
    [
        *(("matrix-free", n, d) for n, d in [(8, 20), (8, 100), (32, 100), (100, 20), (100, 1000)]),
        *(("dense", n, d) for n, d in [(8, 20), (8, 100), (32, 60)]),
    ],
)
def test_relu_has_its_exact_law(n, depth, engine, relu, rng):
    samples = relu(n, depth, engine)
    size = len(samples)
    dead = 1 - (1 - 0.5**n) ** depth
    assert stats.binomtest(samples.n_dead, size, dead).pvalue > P_VALUE
    x = log_square_ratio(samples)
    mean, variance = relu_moments(n)
    assert_mean_and_variance(x, depth * mean, depth * variance, depth)
    exact = draw_relu(rng, n, depth, size)
    assert stats.ks_2samp(x, exact[np.isfinite(exact)]).pvalue > P_VALUE


@pytest.mark.parametrize(
    ("n", "depth", "k", "vanishing", "exploding"),
    [
        (32, 100, 1, 0.80621, 8.662e-4),
        (32, 100, 3, 0.094492, None),
        (100, 100, 1, 0.18242, 7.383e-4),
        (100, 1000, 3, 0.94660, None),
        (100, 1000, 5, 0.62967, None),
        (100, 1000, 8, 0.056783, None),
    ],
)
def test_relu_has_its_exact_tails(n, depth, k, vanishing, exploding, relu):
    samples = relu(n, depth, "matrix-free")
    for event, expected in (("vanishing", vanishing), ("exploding", exploding)):
        if expected is not None:
            counted = samples.probability(event, threshold=10.0**-k).events
            assert stats.binomtest(counted, len(samples), expected).pvalue > P_VALUE


@pytest.mark.parametrize(
    ("engine", "n", "depth"),
    [
        *(("matrix-free", n, d) for n, d in [(8, 50), (32, 20), (100, 200)]),
        *(("dense", n, d) for n, d in [(8, 50), (32, 20)]),
    ],
)
def test_linear_has_its_exact_law(n, depth, engine, seed):
    net = vgsim.MLP(depth, n, activation="linear", init="lecun_normal")
    samples = vgsim.simulate(net, 20_000, seed=seed + 3, engine=engine, layers=(0, depth))
    x = log_square_ratio(samples)
    mean = special.digamma(n / 2) + math.log(2 / n)
    assert_mean_and_variance(x, depth * mean, depth * special.polygamma(1, n / 2), depth)


def test_relu_gradients_at_inner_layers_and_weights(rng, seed):
    """Rectangular layers: law of R_l, and of ‖∂L/∂W_l‖ without bias, layer by layer."""
    widths = [7, 12, 9, 20, 6, 11]
    depth, size = len(widths) - 1, 40_000
    net = vgsim.MLP(depth, widths, activation="relu", init="he_normal")
    samples = vgsim.simulate(
        net, size, seed=seed + 4, layers=range(depth + 1), record=("gradient", "weight_gradient")
    )
    k = np.stack([rng.binomial(n, 0.5, size) for n in widths])
    chi = 2 * rng.standard_gamma(k / 2)
    closed = np.cumsum(k[1:] == 0, axis=0)
    alive = np.concatenate([np.zeros((1, size)), closed]) == 0
    with np.errstate(divide="ignore", invalid="ignore"):
        for l in range(depth):
            top = rng.standard_gamma(k[-1] / 2)
            rest = rng.standard_gamma((widths[-1] - k[-1]) / 2)
            ratio = top / (top + rest) * 2 / widths[l] * 2 * rng.standard_gamma(widths[l] / 2, size)
            for j in range(l + 1, depth):
                ratio = ratio * 2 / widths[j] * 2 * rng.standard_gamma(k[j] / 2)
            exact = np.log(ratio)[np.isfinite(np.log(ratio)) & alive[l] & (closed[-1] == 0)]
            x = log_square_ratio(samples, l)
            assert stats.ks_2samp(x, exact).pvalue > P_VALUE, l
        for l in range(1, depth + 1):
            factor = math.prod(2 / widths[j] for j in range(depth) if j != l - 1)
            x0 = 2 * rng.standard_gamma(widths[0] / 2, size)
            exact = np.log10(x0 * factor * np.prod(chi[1:], axis=0)) / 2
            recorded = samples.weight_gradient[:, l - 1]
            finite = recorded[np.isfinite(recorded)]
            assert stats.ks_2samp(finite, exact[np.isfinite(exact)]).pvalue > P_VALUE, l


ENGINE_CASES = {
    "tanh-narrow": vgsim.MLP(20, 5, activation="tanh", gain=1.3),
    "tanh-bias": vgsim.MLP(30, 16, init="lecun_normal", gain=1.32701, bias_std=0.2236),
    "tanh-wide": vgsim.MLP(8, 100, init="lecun_normal", gain=1.2),
    "relu-bias": vgsim.MLP(15, 6, activation="relu", init="he_normal", bias_std=0.5),
    "leaky": vgsim.MLP(20, 10, activation="leaky_relu", init="he_normal"),
    "sigmoid": vgsim.MLP(6, 12, activation="sigmoid", gain=4.0, bias_std=0.3),
    "selu": vgsim.MLP(20, 20, activation="selu", init="lecun_normal"),
    "elu-rectangular": vgsim.MLP(5, [9, 4, 13, 1, 6, 8], activation="elu", gain=1.4),
    "gelu": vgsim.MLP(12, 8, activation="gelu", init="he_normal", bias_std=0.4),
    "silu": vgsim.MLP(12, 11, activation="silu", init="he_normal", gain=1.4),
    "softplus": vgsim.MLP(8, 7, activation="softplus", gain=0.8),
    "erf-ordered": vgsim.MLP(25, 9, activation="erf", gain=0.6, bias_std=0.3),
    "softsign-chaotic": vgsim.MLP(20, 16, activation="softsign", gain=4.0),
    "hard_tanh-tiny": vgsim.MLP(10, 3, activation="hard_tanh", init="lecun_normal"),
    "mish": vgsim.MLP(12, 9, activation="mish", gain=1.2),
    "relu6": vgsim.MLP(8, 6, activation="relu6", gain=4.0, bias_std=0.5),
    "hard_sigmoid": vgsim.MLP(5, 7, activation="hard_sigmoid", gain=5.0, bias_std=2.0),
    "hard_swish": vgsim.MLP(8, 6, activation="hard_swish", gain=2.0, bias_std=2.0),
    "gelu_tanh-saturated": vgsim.MLP(6, 5, activation="gelu_tanh", gain=20.0),
    "sine": vgsim.MLP(12, 8, activation="sine", init="lecun_normal", gain=0.05, bias_std=0.01),
    "sine-beyond-rounding": vgsim.MLP(5, 6, activation="sine", init="lecun_normal", gain=1e7),
    "linear-one": vgsim.MLP(10, 1, activation="linear", bias_std=0.5),
    "saturated": vgsim.MLP(10, 10, activation="tanh", gain=30.0),
}


@pytest.mark.parametrize("case", ENGINE_CASES)
def test_engines_agree_in_law(case, seed):
    net = ENGINE_CASES[case]
    layers = sorted({0, 1, net.depth // 2, net.depth - 1, net.depth})
    record = ("gradient", "weight_gradient", "update_ratio", "activation", "saturation")
    free, dense = (
        vgsim.simulate(net, 20_000, seed=seed + s, engine=engine, layers=layers, record=record)
        for s, engine in ((5, "matrix-free"), (6, "dense"))
    )
    dead = stats.fisher_exact([[s.n_dead, len(s) - s.n_dead] for s in (free, dense)])
    assert dead.pvalue > P_VALUE
    for name in record:
        for column in range(getattr(free, name).shape[1]):
            a, b = (getattr(s, name)[:, column] for s in (free, dense))
            a, b = a[np.isfinite(a)], b[np.isfinite(b)]
            assert stats.ks_2samp(a, b).pvalue > P_VALUE, (name, column)
            error = math.hypot(a.std() / math.sqrt(len(a)), b.std() / math.sqrt(len(b)))
            assert abs(a.mean() - b.mean()) <= SIGMAS * error, (name, column)


@pytest.mark.parametrize("norm", ["layer", "rms"])
@pytest.mark.parametrize("activation", ["relu", "linear"])
def test_normalisation_of_one_input_unit(activation, norm, seed):
    """With one unit G_0 is G_0 · X_0, which has a factor of the order of ε for every layer."""
    net = vgsim.MLP(4, [1, 60, 60, 60, 60], activation=activation, norm=norm)
    free, dense = (
        vgsim.simulate(net, 1000, seed=seed + s, engine=engine, layers=[0, 1])
        for s, engine in ((7, "matrix-free"), (8, "dense"))
    )
    assert np.median(free.gradient[:, 0]) < -15
    assert stats.ks_2samp(free.gradient[:, 0], dense.gradient[:, 0]).pvalue > P_VALUE


def test_the_sweep_agrees_with_dense_networks(seed, monkeypatch):
    """``python -m verification sweep --quick``: cancelling sums, norms, losses, clipping, lists."""
    monkeypatch.syspath_prepend(Path(__file__).parents[2])
    for agreement in importlib.import_module("verification.sweep").comparisons(seed, quick=True):
        assert agreement.holds, str(agreement)


def test_engine_cases_would_notice_two_percent(seed):
    """The test above fails if the weights of one engine are 2 % too large."""
    net = ENGINE_CASES["tanh-bias"]
    other = replace(net, gain=1.02 * net.gain)
    a = vgsim.simulate(net, 20_000, seed=seed + 5, layers=(0,)).log10_ratio[:, 0]
    b = vgsim.simulate(other, 20_000, seed=seed + 6, layers=(0,), engine="dense").log10_ratio[:, 0]
    assert stats.ks_2samp(a, b).pvalue < P_VALUE


# n = 100, D = 1000, ‖x‖² = n: mean and variance of ln ‖J u‖² by dense simulation of 4,000 networks,
# with the standard error of each.
REGRESSION = {
    "relu": ({"activation": "relu", "init": "he_normal"}, -25.32, 0.12, 52.5, 1.2),
    "leaky_relu": (
        {
            "activation": vgsim.Activation("leaky_relu", slope=0.25),
            "init": "lecun_normal",
            "gain": math.sqrt(2 / 1.0625),
        },
        *(-21.81, 0.11, 43.8, 1.0),
    ),
    "linear": ({"activation": "linear", "init": "lecun_normal"}, -9.99, 0.07, 19.8, 0.4),
    "tanh-critical": (
        {"init": "lecun_normal", "gain": math.sqrt(1.760955), "bias_std": math.sqrt(0.05)},
        *(-17.68, 0.10, 39.2, 0.9),
    ),
    "tanh-ordered": (
        {"init": "lecun_normal", "gain": math.sqrt(1.5), "bias_std": math.sqrt(0.05)},
        *(-79.76, 0.10, 36.7, 0.8),
    ),
    "sigmoid": ({"activation": "sigmoid", "init": "lecun_normal"}, -2900.00, 0.07, 20.8, 0.5),
}


@pytest.mark.parametrize("case", REGRESSION)
def test_regression_set(case, rng, seed):
    fields, mean, mean_error, variance, variance_error = REGRESSION[case]
    n, depth, size = 100, 1000, 4000
    inputs = rng.standard_normal((20_000, n))
    inputs *= math.sqrt(n) / np.linalg.norm(inputs, axis=1, keepdims=True)
    net = vgsim.MLP(depth, n, **fields)
    x = log_square_ratio(vgsim.simulate(net, size, seed=seed + 7, layers=(0,), inputs=inputs))
    assert abs(x.mean() - mean) < 4 * math.hypot(mean_error, x.std() / math.sqrt(size))
    own_error = x.var() * math.sqrt((stats.kurtosis(x) + 2) / size)
    assert abs(x.var() - variance) < 4 * math.hypot(variance_error, own_error)
