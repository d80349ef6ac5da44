"""Finite width, normalised layers, skips and gates: published numbers and simulated networks."""

import math

import numpy as np
import pytest

import vgsim
from vgsim.theory import (
    highway_growth,
    log_gradient_moments,
    normalisation_rate,
    residual_growth,
    residual_variance,
    tanh_residual_exponent,
)
from vgsim.theory._fluctuations import finite_width_rates

DECADE = 2 * math.log(10)


def squared_log_ratio(network, n, **run):
    samples = vgsim.simulate(network, n, layers=[0], **run)
    x = samples.log10_ratio[:, 0] * DECADE
    return x[np.isfinite(x)]


def smooth(depth, width, activation, sigma_w_square, sigma_b_square):
    return vgsim.MLP(
        depth,
        width,
        activation=activation,
        init="lecun_normal",
        gain=sigma_w_square**0.5,
        bias_std=sigma_b_square**0.5,
    )


@pytest.mark.parametrize(
    ("activation", "sigma_w_square", "sigma_b_square", "rate"),
    [
        ("tanh", 1.760955, 0.05, 3.9937),
        ("tanh", 1.5, 0.05, 3.6076),
        ("erf", 1.375839, 0.05, 3.9693),
        ("selu", 1.0, 0.0, 4.4195),
        ("sigmoid", 1.0, 0.0, 2.0676),
    ],
)
def test_variance_rates(activation, sigma_w_square, sigma_b_square, rate):
    _, variance = finite_width_rates(activation, sigma_w_square**0.5, sigma_b_square**0.5)
    assert round(variance, 4) == rate


def test_rates_are_the_limit_of_the_layers():
    rates = finite_width_rates("tanh", 1.5**0.5, 0.05**0.5)
    long, short = (log_gradient_moments(smooth(d, 200, "tanh", 1.5, 0.05)) for d in (400, 300))
    wide = 100 * math.log(0.9386358)
    assert (long.mean - short.mean - wide) * 2 == pytest.approx(rates[0], abs=1e-3)
    assert (long.variance - short.variance) * 2 == pytest.approx(rates[1], rel=1e-6)


@pytest.mark.parametrize(
    ("network", "mean", "mean_error", "variance", "variance_error"),
    [
        (vgsim.MLP(1000, 100, activation="relu", init="he_normal"), -25.32, 0.12, 52.5, 1.2),
        (
            vgsim.MLP(
                1000,
                100,
                activation=vgsim.Activation("leaky_relu", slope=0.25),
                init="he_normal",
                gain=(1 + 0.25**2) ** -0.5,
            ),
            -21.81,
            0.11,
            43.8,
            1.0,
        ),
        (vgsim.MLP(1000, 100, activation="linear"), -9.99, 0.07, 19.8, 0.4),
        (smooth(1000, 100, "tanh", 1.760955, 0.05), -17.68, 0.10, 39.2, 0.9),
        (smooth(1000, 100, "tanh", 1.5, 0.05), -79.76, 0.10, 36.7, 0.8),
        (smooth(1000, 100, "sigmoid", 1.0, 0.0), -2900.00, 0.07, 20.8, 0.5),
    ],
)
def test_dense_simulations(network, mean, mean_error, variance, variance_error):
    """Against 4,000 dense networks each, simulated by a separate NumPy program."""
    moments = log_gradient_moments(network)
    assert abs(moments.mean - mean) < 3 * mean_error
    assert abs(moments.variance - variance) < 3 * variance_error


@pytest.mark.parametrize(
    "network",
    [
        smooth(100, 100, "tanh", 1.760955, 0.05),
        smooth(100, 100, "tanh", 2.5, 0.05),
        smooth(100, 100, "sigmoid", 1.0, 0.0),
        smooth(100, 100, "hard_tanh", 1.5, 0.1),
        smooth(100, 150, "selu", 1.0, 0.0),
        smooth(100, 150, "silu", 1.0, 0.1),
        smooth(300, 300, "tanh", 0.8, 0.0),
        vgsim.MLP(20, [300, *[100, 400] * 9, 100, 50], gain=1.1, bias_std=0.2),
        vgsim.MLP(40, 128, activation="hard_sigmoid", init="lecun_normal", gain=3.0),
        vgsim.MLP(40, 128, activation="sine", init="lecun_normal", gain=0.06, bias_std=0.05),
    ],
    ids=[
        *("critical", "chaotic", "sigmoid", "hard", "selu", "silu", "fading", "uneven"),
        *("hard sigmoid", "sine"),
    ],
)
def test_smooth_networks(network):
    moments = log_gradient_moments(network)
    x = squared_log_ratio(network, 3000)
    assert abs(x.mean() - moments.mean) < 5 * x.std() / math.sqrt(x.size)
    assert x.var() == pytest.approx(moments.variance, rel=5 * math.sqrt(2.5 / x.size))
    assert not moments.exact


@pytest.mark.parametrize(
    "network",
    [
        vgsim.MLP(30, 24, activation="relu", init="orthogonal", gain=2**0.5, bias_std=0.3),
        vgsim.MLP(30, 24, activation=vgsim.Activation("leaky_relu", slope=0.2), init="orthogonal"),
        vgsim.MLP(30, [24, *[12] * 29, 48], activation="relu", init="he_normal"),
    ],
)
def test_exact_moments(network):
    moments = log_gradient_moments(network)
    x = squared_log_ratio(network, 10_000)
    assert moments.exact
    assert abs(x.mean() - moments.mean) < 5 * x.std() / math.sqrt(x.size)
    assert x.var() == pytest.approx(moments.variance, rel=5 * math.sqrt(3 / x.size))


def test_orthogonal_linear_is_an_isometry():
    moments = log_gradient_moments(vgsim.MLP(50, 9, activation="linear", init="orthogonal"))
    assert moments.mean == pytest.approx(0, abs=1e-11)
    assert moments.variance == pytest.approx(0, abs=1e-11)


def test_units():
    network = vgsim.MLP(50, 32, activation="relu", init="he_normal")
    moments = log_gradient_moments(network)
    r = vgsim.simulate(network, 4000, layers=[0]).log10_ratio[:, 0]
    assert abs(r.mean() - moments.log10_mean) < 5 * r.std() / math.sqrt(r.size)
    assert r.std() == pytest.approx(moments.log10_std, rel=0.06)


@pytest.mark.parametrize(
    ("batch_size", "linear", "relu"),
    [(4, 2.0, 3.084061), (8, 1.2, 1.788190), (32, 1.034483, 1.521953)],
)
def test_batch_normalisation(batch_size, linear, relu):
    assert round(normalisation_rate("batch", "linear", batch_size), 6) == linear
    assert round(normalisation_rate("batch", "relu", batch_size), 6) == relu


@pytest.mark.parametrize(
    ("norm", "activation", "rate"),
    [
        ("batch", "relu", 1.466942),
        ("batch", "tanh", 1.177807),
        ("batch", "gelu", 1.318845),
        ("batch", "silu", 1.212081),
        ("batch", "elu", 1.079013),
        ("batch", "selu", 1.071575),
        ("batch", "sigmoid", 1.033592),
        ("layer", "relu", 1.0),
        ("layer", "tanh", 1.177807),
        ("rms", "gelu", 1.072032),
        ("layer", "sigmoid", 0.152827),
    ],
)
def test_normalisation_of_wide_networks(norm, activation, rate):
    assert round(normalisation_rate(norm, activation), 6) == rate


@pytest.mark.parametrize("activation", ["relu", "linear"])
@pytest.mark.parametrize(("depth", "layer"), [(1, 0), (2, 0), (2, 1), (7, 0), (7, 3)])
def test_first_and_last_layer_of_batch_normalisation(activation, depth, layer):
    network = vgsim.MLP(depth, 600, activation=activation, norm="batch", init="he_normal")
    x = vgsim.simulate(network, 400, batch_size=8, layers=[layer]).log10_ratio[:, 0] * DECADE
    expected = log_gradient_moments(network, 8, layer).mean
    assert abs(math.log(np.exp(x).mean()) - expected) < 5 * x.std() / 20 + 0.004 * depth


def test_first_and_last_layer_of_large_batches():
    network = vgsim.MLP(3, 2000, activation="tanh", norm="batch")
    x = vgsim.simulate(network, 12, batch_size=100).log10_ratio * DECADE
    for layer in range(3):
        growth = math.log(np.exp(x[:, layer]).mean())
        assert abs(growth - log_gradient_moments(network, math.inf, layer).mean) < 0.05


@pytest.mark.parametrize("norm", ["layer", "rms"])
@pytest.mark.parametrize("layer", [0, 1])
def test_first_layers_of_layer_normalisation(norm, layer):
    network = vgsim.MLP(3, 600, activation="tanh", norm=norm, init="he_normal")
    x = vgsim.simulate(network, 400, layers=[layer]).log10_ratio[:, 0] * DECADE
    expected = log_gradient_moments(network, layer=layer).mean
    assert abs(math.log(np.exp(x).mean()) - expected) < 5 * x.std() / 20 + 0.01


def test_moments_are_floats():
    for network in (smooth(10, 100, "tanh", 1.5, 0.05), vgsim.MLP(10, 100, activation="relu")):
        moments = log_gradient_moments(network)
        assert type(moments.mean) is type(moments.variance) is float


def test_finite_batches_tend_to_large_ones():
    assert normalisation_rate("batch", "relu", 1e7) == pytest.approx(math.pi / (math.pi - 1), 1e-5)


@pytest.mark.parametrize(
    "network",
    [
        vgsim.MLP(20, 300, activation="sigmoid", norm="layer", bias_std=0.5),
        vgsim.MLP(20, [100, *[300] * 19, 200], activation="tanh", norm="rms", norm_eps=0.1),
        vgsim.MLP(20, 300, norm="layer", residual=vgsim.Residual(4, skip=0.8)),
        vgsim.MLP(20, 300, bias_std=0.3, residual=vgsim.Residual(2, style="linear")),
        vgsim.MLP(20, 300, bias_std=0.3, residual=vgsim.Residual(2, style="pre", last_gain=2)),
        vgsim.MLP(10, 300, bias_std=0.3, residual=vgsim.Residual(1, style="post")),
        vgsim.MLP(20, 300, activation="elu", residual=vgsim.Residual(2, branch="1/sqrt(blocks)")),
        vgsim.MLP(20, 300, activation="softplus", init="glorot_normal", highway=vgsim.Highway(-1)),
    ],
    ids=["layer", "rms", "activated", "linear", "pre", "post", "elu", "highway"],
)
def test_mean_growth(network):
    """Mean field holds up to O(depth/width), in addition to the standard error."""
    moments = log_gradient_moments(network)
    x = squared_log_ratio(network, 500)
    mean = math.log(np.exp(x - x.max()).mean()) + x.max()
    assert moments.variance is None
    assert abs(mean - moments.mean) < 5 * x.std() / math.sqrt(x.size) + network.depth / 300


def test_tanh_residual():
    assert tanh_residual_exponent(2.0, 3.0) == pytest.approx(6 * 8 / 3 / math.sqrt(2 * math.pi))
    residual = vgsim.Residual(2, style="linear")
    growth = [
        residual_growth(vgsim.MLP(2 * d, 8, init="lecun_normal", residual=residual))
        for d in (1000, 4000)
    ]
    slope = (growth[1] - growth[0]) / (math.sqrt(4000) - math.sqrt(1000))
    assert slope == pytest.approx(tanh_residual_exponent(), rel=0.02)


@pytest.mark.parametrize(
    ("branch", "growth"), [(1.0, 64 * math.log(2)), ("1/sqrt(blocks)", 64 * math.log1p(1 / 64))]
)
def test_relu_residual(branch, growth):
    residual = vgsim.Residual(2, branch=branch, style="linear", last_gain=0.5**0.5)
    net = vgsim.MLP(128, 16, activation="relu", init="he_normal", residual=residual)
    assert residual_growth(net) == pytest.approx(growth, rel=1e-12)


def test_residual_variance():
    assert round(residual_variance(128, 64, 0.8**0.5), 3) == 1.197
    assert residual_variance(100, 50, 0.0) == pytest.approx(50 * 5 / 100)
    deep, deeper = (residual_variance(8, 2**k, 0.5) for k in (27, 28))  # linear in the depth
    assert deeper == pytest.approx(2 * deep, rel=1e-6)
    with pytest.raises(ValueError, match="skip must be less close to 1"):
        residual_variance(8, 2**28, 1 - 1e-9)
    assert residual_variance(8, 2**28, 1.0) == 0


@pytest.mark.parametrize(("bias", "mean"), [(0.0, -34.92), (-2.0, -11.93)])
def test_highway(bias, mean):
    """Against means of dense simulations at width 400, with standard error 0.03."""
    net = vgsim.MLP(50, 400, init="lecun_normal", highway=vgsim.Highway(bias))
    assert abs(highway_growth(net) - mean) < 0.15  # depth/width = 50/400, and the standard error


@pytest.mark.parametrize(
    ("network", "reason"),
    [
        (vgsim.RNN(5, 4), "MLP"),
        (vgsim.MLP(5, 4, clip=vgsim.ClipNorm(1)), "no clip"),
        (vgsim.MLP(5, 4, norm="batch"), "batch_size"),
        (smooth(50, 100, "gelu", 1.9830582574, 0.1729223908), "wider"),
        (smooth(50, 100, "tanh", 100, 0.0), "wider"),
        (vgsim.MLP(4, [4, 5, 4, 4, 4], activation="relu", init="orthogonal"), "equal widths"),
        (vgsim.MLP(4, 4, norm="batch", residual=vgsim.Residual(2)), "batch"),
    ],
)
def test_no_theory(network, reason):
    with pytest.raises(ValueError, match=reason):
        log_gradient_moments(network)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: normalisation_rate("group", "tanh"), "norm must"),
        (lambda: normalisation_rate("batch", "relu", 3), "batch_size"),
        (lambda: normalisation_rate("batch", "tanh", 8), "'tanh' with a batch size of 8"),
        (lambda: residual_growth(vgsim.MLP(5, 4)), "residual"),
        (lambda: highway_growth(vgsim.MLP(5, 4)), "highway"),
        (lambda: residual_variance(5, 5, 2.0), "skip"),
        (lambda: tanh_residual_exponent(0), "sigma_w"),
        (lambda: finite_width_rates("relu", 1.0), "finite variance"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("batch_size", [0, 3, -1, -math.inf, math.nan])
def test_batch_sizes_without_theory(batch_size):
    network = vgsim.MLP(4, 8, activation="relu", norm="batch")
    with pytest.raises(ValueError, match="batch_size must be more than 3"):
        log_gradient_moments(network, batch_size)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: log_gradient_moments(vgsim.MLP(4, 8, norm="batch"), "a"), "batch_size must"),
        (lambda: log_gradient_moments(vgsim.MLP(4, 8), "a"), "batch_size must"),
        (lambda: normalisation_rate("batch", "relu", "a"), "batch_size must"),
        (lambda: residual_variance(8, 8, "a"), "skip must"),
        (lambda: tanh_residual_exponent("a"), "sigma_w must"),
    ],
)
def test_arguments_of_the_wrong_type(call, message):
    with pytest.raises(TypeError, match=message):
        call()


@pytest.mark.parametrize("growth", [vgsim.theory.residual_growth, vgsim.theory.highway_growth])
@pytest.mark.parametrize("network", [None, 1, "abc"])
def test_growth_of_what_is_no_network(growth, network):
    with pytest.raises(TypeError, match="network must be a vgsim.MLP, .*, got"):
        growth(network)
