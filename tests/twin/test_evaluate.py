"""evaluate against PyTorch's autograd, closed forms and scaling laws."""

import importlib.util
import math
from itertools import pairwise
from pathlib import Path

import mpmath
import numpy as np
import pytest

import vgsim
from vgsim._networks.activation_table import ACTIVATIONS

ORACLE = Path(__file__).parents[1] / "oracle"
FROZEN = np.load(ORACLE / "autograd.npz")
CASES = sorted({name.split(".")[0] for name in FROZEN.files if "." in name})
PARAMETERS = {"leaky_relu_quarter": {"slope": 0.25}, "elu_half": {"alpha": 0.5}}
LOGARITHMIC = ("gradient", "weight_gradient", "update_ratio", "activation")


def activation_of(case):
    name = case.removesuffix("_quarter").removesuffix("_half")
    return vgsim.Activation(name, **PARAMETERS.get(case, {}))


def frozen_network(case):
    """The network, weights, biases, input and output gradient of a stored case."""
    stored = {name: FROZEN[f"{case}.{name}"] for name in ("widths", "weights", "biases")}
    widths = [int(n) for n in stored["widths"]]
    weights, biases, at, from_bias = [], [], 0, 0
    for m, n in pairwise(widths):
        weights.append(stored["weights"][at : at + n * m].reshape(n, m))
        biases.append(stored["biases"][from_bias : from_bias + n])
        at, from_bias = at + n * m, from_bias + n
    net = vgsim.MLP(len(weights), widths, activation=activation_of(case))
    return net, weights, biases, FROZEN[f"{case}.inputs"], FROZEN[f"{case}.output_gradient"]


def random_network(activation, widths, *, seed, std=1.0, bias_std=0.0):
    """The arguments of evaluate, with weights of variance std² / n_{l-1}."""
    rng = np.random.default_rng(seed)
    net = vgsim.MLP(len(widths) - 1, widths, activation=activation)
    pairs = list(pairwise(widths))
    weights = [rng.normal(0, std / math.sqrt(m), (n, m)) for m, n in pairs]
    biases = [rng.normal(0, bias_std, n) for _, n in pairs] if bias_std else None
    return net, weights, biases, rng.normal(size=widths[0]), rng.normal(size=widths[-1])


def assert_no_nan(result):
    for name in (*LOGARITHMIC, "saturation", "log10_ratio"):
        assert not np.isnan(getattr(result, name)).any(), name


# PyTorch


@pytest.mark.parametrize("case", CASES)
def test_equals_autograd(case):
    result = vgsim.evaluate(*frozen_network(case))
    for name in LOGARITHMIC:
        expected = FROZEN[f"{case}.{name}"]
        np.testing.assert_allclose(10 ** getattr(result, name), expected, rtol=1e-12, err_msg=name)
    np.testing.assert_array_equal(result.saturation, FROZEN[f"{case}.saturation"])
    np.testing.assert_allclose(
        10**result.output_gradient, FROZEN[f"{case}.gradient"][-1], rtol=1e-12
    )
    assert not result.dead


def test_the_oracle_covers_every_activation():
    assert {activation_of(case).name for case in CASES} == set(ACTIVATIONS)


def test_the_oracle_has_saturated_and_unsaturated_units():
    saturation = np.concatenate([FROZEN[f"{case}.saturation"] for case in CASES])
    assert np.mean(saturation > 0) > 0.1
    assert np.mean(saturation < 1) > 0.5


def test_frozen_arrays_are_what_autograd_says_today():
    pytest.importorskip("torch", reason="PyTorch is needed to run autograd again")
    spec = importlib.util.spec_from_file_location("make_autograd", ORACLE / "make_autograd.py")
    make_autograd = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(make_autograd)
    assert sorted(make_autograd.CASES) == CASES
    for case, (name, parameters, function, _) in make_autograd.CASES.items():
        assert activation_of(case) == vgsim.Activation(name, **parameters)
        network = {key: FROZEN[f"{case}.{key}"] for key in ("widths", *make_autograd.PARAMETERS)}
        for key, value in make_autograd.autograd(function, network).items():
            np.testing.assert_allclose(value, FROZEN[f"{case}.{key}"], rtol=1e-12, err_msg=case)


# Depth and scale


def test_sigmoid_10_000_layers_deep_follows_the_scalar_recursion():
    depth, w = 10_000, 0.002
    net = vgsim.MLP(depth, 4, activation="sigmoid")
    permuted = w * np.eye(4)[[1, 2, 3, 0]]
    result = vgsim.evaluate(net, [permuted] * depth, None, np.full(4, 0.3), np.ones(4))
    x, log_slope = 0.3, 0.0
    for _ in range(depth):
        x = 1 / (1 + math.exp(-w * x))
        log_slope += math.log10(w * x * (1 - x))
    assert log_slope < -100_000 * math.log10(2)
    assert result.log10_ratio[0] == pytest.approx(log_slope, rel=1e-12)
    assert not result.dead


@pytest.mark.parametrize("activation", ["linear", "relu", "leaky_relu"])
@pytest.mark.parametrize("factor", [3.0, 1 / 3])
def test_homogeneous_networks_scale_exactly_at_any_depth(activation, factor):
    depth = 1000
    net, W, _, x, g = random_network(activation, [24] * (depth + 1), seed=1, std=math.sqrt(2))
    base = vgsim.evaluate(net, W, None, x, g)
    scaled = vgsim.evaluate(net, [factor * w for w in W], None, x, g)
    shift = math.log10(factor) * np.arange(depth + 1)
    assert not base.dead
    np.testing.assert_allclose(scaled.gradient, base.gradient + shift[::-1], atol=1e-9)
    np.testing.assert_allclose(scaled.activation, base.activation + shift, atol=1e-9)
    expected = base.weight_gradient + shift[depth - 1]
    np.testing.assert_allclose(scaled.weight_gradient, expected, atol=1e-9)
    expected = base.update_ratio + shift[depth - 1] - math.log10(factor)
    np.testing.assert_allclose(scaled.update_ratio, expected, atol=1e-9)
    np.testing.assert_array_equal(scaled.saturation, base.saturation)


@pytest.mark.parametrize("factor", [1e-308, 1e307])
def test_weights_may_be_near_the_limits_of_float64(factor):
    net, W, _, x, g = random_network("relu", [6] * 5, seed=12)
    base = vgsim.evaluate(net, W, None, x, g)
    scaled = vgsim.evaluate(net, [factor * w for w in W], None, x, g)
    shift = math.log10(factor) * np.arange(5)
    assert not base.dead
    np.testing.assert_allclose(scaled.gradient, base.gradient + shift[::-1], rtol=1e-12)
    np.testing.assert_allclose(scaled.activation, base.activation + shift, rtol=1e-12)


def test_relu_with_gain_3_explodes_past_the_range_of_float64():
    net, W, _, x, g = random_network("relu", [20] * 5001, seed=2, std=3.0)
    result = vgsim.evaluate(net, W, None, x, g)
    assert result.log10_ratio[0] == pytest.approx(5000 * math.log10(3 / math.sqrt(2)), rel=0.1)


BOUNDED_AND_FLAT = ("hard_tanh", "relu6", "hard_sigmoid")
NOT_ZERO_AT_ZERO = ("sigmoid", "softplus", "hard_sigmoid")


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("scale", [2.0**-1000, 2.0**-490, 2.0**490, 2.0**1000])
def test_inputs_of_any_scale_give_numbers(activation, scale):
    net, W, b, x, g = random_network(activation, [5, 6, 7, 4], seed=4, bias_std=1.0)
    for biases in (None, b):
        result = vgsim.evaluate(net, W, biases, scale * x, g)
        assert_no_nan(result)
        assert result.dead == (activation in BOUNDED_AND_FLAT and scale > 1)


@pytest.mark.parametrize("activation", [a for a in ACTIVATIONS if a not in NOT_ZERO_AT_ZERO])
def test_small_inputs_see_the_slopes_at_zero(activation):
    net, W, _, x, g = random_network(activation, [5, 6, 7], seed=5)
    slopes = vgsim.Activation(activation).slope_at_zero
    h1 = W[0] @ x
    s1 = np.where(h1 < 0, *slopes)
    s2 = np.where(W[1] @ (s1 * h1) < 0, *slopes)
    expected = np.linalg.norm(W[0].T @ (s1 * (W[1].T @ (s2 * g))))
    for scale in (1e-20, 1e-160, 1e-250):
        result = vgsim.evaluate(net, W, None, scale * x, g)
        assert 10 ** result.gradient[0] == pytest.approx(expected, rel=1e-12)


def bell(t):
    return mpmath.exp(-t) / (1 + mpmath.exp(-t)) ** 2


def mish(h):
    return h * mpmath.tanh(mpmath.log1p(mpmath.exp(h)))


def gelu_tanh(h):
    cubic = mpmath.sqrt(2 / mpmath.pi) * (h + mpmath.mpf("0.044715") * h**3)
    return h / (1 + mpmath.exp(-2 * cubic))


def derivative(function):
    """The derivative as a difference quotient of numbers of 60 digits."""
    return lambda h: (function(h + mpmath.mpf(10) ** -25) - function(h)) * mpmath.mpf(10) ** 25


SLOPES = {
    "elu": mpmath.exp,
    "selu": lambda h: mpmath.exp(h) * 1.6732632423543772848 * 1.0507009873554804934,
    "gelu": lambda h: mpmath.ncdf(h) + h * mpmath.npdf(h),
    "silu": lambda h: 1 / (1 + mpmath.exp(-h)) + h * bell(h),
    "softplus": lambda h: 1 / (1 + mpmath.exp(-h)),
    "sigmoid": bell,
    "tanh": lambda h: 4 * bell(2 * h),
    "erf": lambda h: mpmath.exp(-(h**2)) * 2 / mpmath.sqrt(mpmath.pi),
    "softsign": lambda h: (1 + abs(h)) ** -2,
    "mish": lambda h: derivative(mish)(h),
    "gelu_tanh": lambda h: derivative(gelu_tanh)(h),
}


LOWEST = -(2**30 - 256) * math.log10(2)


@pytest.mark.parametrize("activation", SLOPES)
@pytest.mark.parametrize("h", [-10.0, -30.0, -39.0, -400.0, -746.0, -3000.0])
def test_saturated_units_are_not_dead(activation, h):
    net = vgsim.MLP(1, 1, activation=activation)
    result = vgsim.evaluate(net, [[[1.0]]], None, [h], [-2.0])
    assert not result.dead
    with mpmath.workdps(60):
        expected = float(mpmath.log10(abs(2 * SLOPES[activation](mpmath.mpf(h)))))
    if expected < LOWEST:  # gelu_tanh decays as exp(-h³)
        assert result.gradient[0] == pytest.approx(LOWEST, abs=1.0)
    else:
        assert result.gradient[0] == pytest.approx(expected, rel=1e-13, abs=1e-12)


@pytest.mark.parametrize("activation", SLOPES)
@pytest.mark.parametrize("h", [-1e4, -1e8, -1e9, -1e20, -1e100])
def test_norms_saturate_within_a_few_bits_of_the_limit(activation, h):
    net = vgsim.MLP(1, 1, activation=activation)
    result = vgsim.evaluate(net, [[[1.0]]], None, [h], [1.0])
    with mpmath.workdps(60):
        exact = float(mpmath.log10(abs(SLOPES[activation](mpmath.mpf(h)))))
    slope, tolerance = (LOWEST, 1.0) if exact < LOWEST else (exact, 1e-12)
    assert result.gradient[0] == pytest.approx(slope, rel=1e-13, abs=tolerance)
    times_x = slope + math.log10(-h)
    assert result.weight_gradient[0] == pytest.approx(times_x, rel=1e-13, abs=tolerance)


def test_two_saturated_factors_saturate_once():
    net = vgsim.MLP(2, 1, activation="sigmoid")
    result = vgsim.evaluate(net, [[[1.0]], [[1.0]]], [[-1e20], [-1e20]], [1.0], [1.0])
    for products in (result.gradient[:2], result.weight_gradient, result.update_ratio):
        np.testing.assert_allclose(products, LOWEST, rtol=0, atol=1.0)
    assert not result.dead


@pytest.mark.parametrize("h", [1e100, -1e300])
def test_the_power_law_of_softsign_has_no_end(h):
    net = vgsim.MLP(1, 1, activation="softsign")
    result = vgsim.evaluate(net, [[[1.0]]], None, [h], [1.0])
    assert result.gradient[0] == pytest.approx(-2 * math.log10(abs(h)), rel=1e-13)


@pytest.mark.parametrize("activation", SLOPES)
def test_an_ordinary_unit_beside_a_huge_one(activation):
    net = vgsim.MLP(1, [1, 2], activation=activation)
    beside = vgsim.evaluate(net, [[[1e200], [0.0]]], [[0.0, -0.5]], [-1.0], [1.0, 1.0])
    assert beside.saturation[0] == 0.5
    net = vgsim.MLP(1, 1, activation=activation)
    alone = vgsim.evaluate(net, [[[1.0]]], [[-0.5]], [0.0], [1.0])
    assert beside.weight_gradient[0] == pytest.approx(alone.gradient[0], abs=1e-12)


VALUES = {
    "gelu": lambda h: h * mpmath.ncdf(h),
    "silu": lambda h: h / (1 + mpmath.exp(-h)),
    "softplus": lambda h: mpmath.log1p(mpmath.exp(h)),
    "sigmoid": lambda h: 1 / (1 + mpmath.exp(-h)),
    "mish": mish,
    "gelu_tanh": gelu_tanh,
}


@pytest.mark.parametrize("activation", VALUES)
@pytest.mark.parametrize("h", [-10.0, -30.0, -39.0, -400.0, -746.0, -3000.0])
def test_activations_do_not_underflow(activation, h):
    net = vgsim.MLP(2, [1, 2, 1], activation=activation)
    W = [[[1.0], [1.0]], [[1.0, -0.5]]]
    result = vgsim.evaluate(net, W, None, [h], [1.0])
    with mpmath.workdps(60):
        expected = float(mpmath.log10(abs(VALUES[activation](mpmath.mpf(h)))))
    if expected < LOWEST:
        assert result.activation[1] == pytest.approx(LOWEST, abs=1.0)
        return
    assert result.activation[1] == pytest.approx(expected, rel=1e-13, abs=1e-12)
    slope = vgsim.Activation(activation).slope_at_zero[0]
    if h < -30 and not math.isnan(slope):
        assert result.activation[2] == pytest.approx(expected + math.log10(slope / 2), rel=1e-13)


def test_signs_survive_the_tails():
    net = vgsim.MLP(2, [1, 1, 2], activation="silu")
    W = [[[1.0]], [[1.0], [1.0]]]
    b = [[800.0], [-1600.0, -1600.0]]  # slopes 1, then twice one in the far tail
    one, both, neither = (
        vgsim.evaluate(net, W, b, [1.0], g) for g in ([1.0, 0.0], [1.0, 1.0], [1.0, -1.0])
    )
    assert one.gradient[0] < -300
    assert both.gradient[0] - one.gradient[0] == pytest.approx(math.log10(2), abs=1e-12)
    assert neither.dead


# Zeros, small shapes, layers


def test_a_dead_layer_kills_every_gradient_below_it():
    net, W, b, x, g = random_network("relu", [4, 5, 6, 5, 4], seed=6, bias_std=1.0)
    b[2] = np.full(5, -1e6)
    result = vgsim.evaluate(net, W, b, x, g)
    assert result.dead
    assert np.isneginf(result.gradient).tolist() == [True, True, True, False, False]
    assert np.isneginf(result.weight_gradient).all()
    assert np.isneginf(result.update_ratio).all()
    assert np.isneginf(result.activation).tolist() == [False, False, False, True, False]
    assert result.saturation[2] == 1.0
    assert math.isfinite(result.output_gradient)
    assert_no_nan(result)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_zero_inputs(activation):
    net, W, _, _, g = random_network(activation, [3, 4, 5], seed=7)
    result = vgsim.evaluate(net, W, None, np.zeros(3), g)
    assert_no_nan(result)
    assert result.activation[0] == -math.inf
    assert result.weight_gradient[0] == -math.inf
    assert result.dead == (vgsim.Activation(activation).derivative(0.0) == 0)


def test_zero_weights_are_dead_with_an_infinite_update_ratio():
    net = vgsim.MLP(1, 2, activation="tanh")
    result = vgsim.evaluate(net, [np.zeros((2, 2))], None, [1.0, 0.0], [1.0, 0.0])
    assert result.dead
    assert result.weight_gradient[0] == 0.0
    assert result.update_ratio[0] == math.inf


def test_one_unit_one_layer_by_hand():
    net = vgsim.MLP(1, 1, activation="tanh")
    result = vgsim.evaluate(net, [[[2.0]]], [[0.5]], [[0.25]], [[-3.0]])
    slope = 1 / math.cosh(1.0) ** 2
    np.testing.assert_allclose(10**result.gradient, [6 * slope, 3.0], rtol=1e-14)
    np.testing.assert_allclose(10**result.weight_gradient, [0.75 * slope], rtol=1e-14)
    np.testing.assert_allclose(10**result.update_ratio, [0.375 * slope], rtol=1e-14)
    np.testing.assert_allclose(10**result.activation, [0.25, math.tanh(1.0)], rtol=1e-14)


def test_layers_are_the_columns_in_the_order_asked_for():
    arguments = random_network("tanh", [4, 5, 6, 5], seed=8)
    everything = vgsim.evaluate(*arguments)
    result = vgsim.evaluate(*arguments, layers=(3, 0, 2))
    np.testing.assert_array_equal(everything.layers, [0, 1, 2, 3])
    np.testing.assert_array_equal(everything.weight_layers, [1, 2, 3])
    np.testing.assert_array_equal(result.layers, [3, 0, 2])
    np.testing.assert_array_equal(result.weight_layers, [3, 2])
    np.testing.assert_array_equal(result.gradient, everything.gradient[[3, 0, 2]])
    np.testing.assert_array_equal(result.activation, everything.activation[[3, 0, 2]])
    for name in ("weight_gradient", "update_ratio", "saturation"):
        np.testing.assert_array_equal(getattr(result, name), getattr(everything, name)[[2, 1]])
    np.testing.assert_array_equal(result.log10_ratio, result.gradient - everything.gradient[3])
    assert result.dead is everything.dead is False


def test_layers_without_a_weight_matrix():
    result = vgsim.evaluate(*random_network("tanh", [4, 5], seed=9), layers=[0])
    assert result.weight_gradient.shape == result.saturation.shape == (0,)


def test_biases_may_be_missing_in_a_single_layer():
    net, W, b, x, g = random_network("tanh", [4, 5, 6], seed=10, bias_std=1.0)
    some = vgsim.evaluate(net, W, [None, b[1]], x, g)
    zeros = vgsim.evaluate(net, W, [np.zeros(5), b[1]], x, g)
    np.testing.assert_array_equal(some.gradient, zeros.gradient)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"network": "tanh"}, TypeError, "network must be a vgsim.MLP"),
        ({"weights": [np.ones((3, 2))]}, ValueError, "weights must hold depth = 2 arrays, got 1"),
        ({"weights": [np.ones((2, 3)), np.ones((4, 3))]}, ValueError, r"\(3, 2\).*transpose it"),
        ({"weights": [np.ones((3, 2)), np.ones((4, 2))]}, ValueError, r"weights\[1\].*\(4, 3\)"),
        ({"weights": [np.full((3, 2), np.nan), np.ones((4, 3))]}, ValueError, "weights.0. must be"),
        ({"biases": [np.ones(3)]}, ValueError, "biases must be None or hold depth = 2"),
        ({"biases": [np.ones(3), np.ones(5)]}, ValueError, r"biases\[1\].*n_2 = 4"),
        ({"inputs": np.ones(3)}, ValueError, "inputs.*n_0 = 2"),
        (
            {"inputs": np.ones((2, 3))},
            ValueError,
            r"output_gradient must have one column per example.*got 1 and 3 columns",
        ),
        ({"inputs": ["a", "b"]}, TypeError, "inputs must be an array of real numbers"),
        ({"inputs": [1j, 2]}, TypeError, "inputs must be an array of real numbers"),
        ({"inputs": [np.inf, 2]}, ValueError, "inputs must be finite"),
        ({"output_gradient": np.ones(2)}, ValueError, "output_gradient.*n_D = 4"),
        ({"output_gradient": np.zeros(4)}, ValueError, "output_gradient must not be all zeros"),
        ({"layers": [0, 3]}, ValueError, r"layers\[1\] must be an int from 0 to depth = 2, got 3"),
        ({"layers": [0, 0]}, ValueError, "layers must be distinct"),
        ({"layers": []}, ValueError, "one or more of them"),
        ({"layers": [0.5]}, TypeError, r"layers\[0\] must be an int from 0 to depth = 2, got 0.5"),
        ({"layers": 1}, TypeError, "layers must be a sequence.*got 1"),
    ],
)
def test_errors_say_what_is_allowed(change, error, message):
    arguments = {
        "network": vgsim.MLP(2, [2, 3, 4]),
        "weights": [np.ones((3, 2)), np.ones((4, 3))],
        "biases": None,
        "inputs": np.ones(2),
        "output_gradient": np.ones(4),
    }
    with pytest.raises(error, match=message):
        vgsim.evaluate(**arguments | change)


def test_repr_is_one_line():
    net = vgsim.MLP(2, 1)
    arrays = [[[1.0]], [[1.0]]], None, [1.0], [1.0]
    assert repr(vgsim.evaluate(net, *arrays)) == (
        "<Evaluation: 3 layers from 0 to 2, gradient (3,), weight_gradient (2,), dead False>"
    )
    assert "layer 1, gradient (1,)" in repr(vgsim.evaluate(net, *arrays, layers=(1,)))
