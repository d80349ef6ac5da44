"""evaluate beyond the range of float64, against closed forms: norms, skips, clipping, columns."""

import math

import mpmath
import numpy as np
import pytest

import vgsim
from vgsim._networks.activation_table import ACTIVATIONS

LOG10_2 = math.log10(2)


@pytest.fixture
def draw(rng):
    return lambda *shape: rng.normal(size=shape) / shape[-1] ** 0.5


# Columns


@pytest.mark.parametrize("activation", ["linear", "relu", "leaky_relu"])
def test_a_column_2000_binary_orders_below_another_has_its_own_gradient(activation, draw):
    net, W = vgsim.MLP(4, 8, activation=activation), [draw(8, 8) for _ in range(4)]
    x, g = draw(8, 2), draw(8, 2)
    far = x * [2.0**1000, 2.0**-1000]
    for output_gradient in (g, g * [0.0, 1.0], g * [1.0, 0.0]):
        near = vgsim.evaluate(net, W, None, x, output_gradient)
        result = vgsim.evaluate(net, W, None, far, output_gradient)
        assert not near.dead
        np.testing.assert_allclose(result.gradient, near.gradient, atol=1e-13)
        np.testing.assert_array_equal(result.saturation, near.saturation)


def test_a_tiny_column_of_the_gradient_has_its_own_weight_gradient(draw):
    net, W, x, g = vgsim.MLP(1, 5, activation="linear"), [draw(5, 5)], draw(5, 2), draw(5, 2)
    tiny, huge = 2.0**-1000, 2.0**1000
    crossed = vgsim.evaluate(net, W, None, x * [huge, tiny], g * [tiny, huge])
    plain = vgsim.evaluate(net, W, None, x, g)
    np.testing.assert_allclose(crossed.weight_gradient, plain.weight_gradient, atol=1e-13)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_a_saturated_column_beside_an_ordinary_one(activation):
    net = vgsim.MLP(1, 1, activation=activation)
    for g in ([1.0, 0.0], [0.0, 1.0]):
        for h in (-1e4, 1e4, -1e200, 1e200):
            both = vgsim.evaluate(net, [[[1.0]]], None, [[h, -0.5]], [g])
            alone = vgsim.evaluate(net, [[[1.0]]], None, [h if g[0] else -0.5], [1.0])
            assert both.gradient[0] == alone.gradient[0]
            assert both.dead == alone.dead


def test_a_dead_example_is_not_a_dead_network():
    net = vgsim.MLP(2, 1, activation="relu")
    W = [[[1.0]], [[0.5]]]
    result = vgsim.evaluate(net, W, None, [[-1.0, 1.0]], [[1.0, 1.0]])
    np.testing.assert_allclose(10**result.gradient, [0.5, 0.5, math.sqrt(2)], rtol=1e-14)
    assert vgsim.evaluate(net, W, None, [[-1.0, 1.0]], [[1.0, 0.0]]).dead


# Depth


@pytest.mark.parametrize(("skip", "branch", "w"), [(1e18, -2.0, 3e17), (-1e-18, 1e-18, 0.5)])
@pytest.mark.parametrize("every", [1, 4])
def test_a_linear_residual_chain_is_a_power(skip, branch, w, every):
    depth, n, B = 2000 * every, 2, 3
    residual = vgsim.Residual(every, skip=skip, branch=branch)
    net = vgsim.MLP(depth, n, activation="linear", residual=residual)
    last = w / 2.0 ** (every - 1)
    W = ([2.0 * np.eye(n)] * (every - 1) + [last * np.eye(n)]) * 2000
    ones = np.ones((n, B))
    result = vgsim.evaluate(net, W, None, ones, ones, layers=range(0, depth + 1, every))
    ratio = math.log10(abs(skip + branch * w))
    assert 2000 * abs(ratio) > 100_000 * LOG10_2
    blocks = np.arange(2001)
    np.testing.assert_allclose(result.log10_ratio, ratio * blocks[::-1], rtol=1e-12, atol=1e-11)
    np.testing.assert_allclose(result.activation, ratio * blocks, rtol=1e-12, atol=1e-11)


@pytest.mark.parametrize("w", [1e9, -1e-9])
def test_the_weight_gradient_of_a_linear_recurrence_is_a_derivative_of_a_power(w):
    rnn = vgsim.RNN(4000, 1, activation="linear")
    result = vgsim.evaluate(rnn, [[[w]]], None, [3.0], [2.0])
    expected = math.log10(4000 * 6.0) + 3999 * math.log10(abs(w))
    assert result.weight_gradient[0] == pytest.approx(expected, rel=1e-13)
    assert result.update_ratio[0] == pytest.approx(expected - math.log10(abs(w)), rel=1e-13)
    assert result.gradient[0] == pytest.approx(math.log10(2) + 4000 * math.log10(abs(w)), rel=1e-13)


@pytest.mark.parametrize("kind", ["batch", "layer", "rms"])
@pytest.mark.parametrize("style", ["pre", "activated"])
def test_normalised_branches_vanish_beside_an_exploding_skip(kind, style, draw):
    depth, skip = 1000, 2.0**120
    residual = vgsim.Residual(skip=skip, style=style)
    net = vgsim.MLP(depth, 4, norm=kind, residual=residual)
    W = [draw(4, 4)] * depth
    result = vgsim.evaluate(net, W, None, draw(4, 3), draw(4, 3))
    steps = np.arange(depth, -1, -1)
    np.testing.assert_allclose(result.log10_ratio, 120 * LOG10_2 * steps, rtol=1e-12)
    assert np.all(np.isfinite(result.weight_gradient))


# Normalisation


@pytest.mark.parametrize("kind", ["batch", "layer", "rms"])
@pytest.mark.parametrize("log2", [300, 600, 1000])
def test_normalisation_forgets_a_large_scale(kind, log2, draw):
    net = vgsim.MLP(3, 5, norm=kind, norm_eps=1e-12)
    W, x, g = [draw(5, 5) for _ in range(3)], draw(5, 4), draw(5, 4)
    shift = LOG10_2 * log2
    base = vgsim.evaluate(net, W, None, x, g)
    inputs = vgsim.evaluate(net, W, None, x * 2.0**log2, g)
    np.testing.assert_allclose(inputs.gradient, base.gradient - [shift, 0, 0, 0], atol=1e-9)
    np.testing.assert_allclose(inputs.weight_gradient, base.weight_gradient, atol=1e-9)
    weights = vgsim.evaluate(net, [W[0] * 2.0**log2, *W[1:]], None, x, g)
    np.testing.assert_allclose(weights.gradient, base.gradient, atol=1e-9)
    expected = base.weight_gradient - [shift, 0, 0]
    np.testing.assert_allclose(weights.weight_gradient, expected, atol=1e-9)
    np.testing.assert_allclose(inputs.activation[1:], base.activation[1:], atol=1e-9)


@pytest.mark.parametrize("kind", ["batch", "layer", "rms"])
@pytest.mark.parametrize("log2", [-40, -600, -1000])
def test_far_below_epsilon_normalisation_is_a_projection(kind, log2, draw):
    net = vgsim.MLP(1, 5, activation="linear", norm=kind, norm_eps=0.25)
    W, x, g = draw(5, 5), draw(5, 4), draw(5, 4)
    result = vgsim.evaluate(net, [W], None, x * 2.0**log2, g)
    axis = {"batch": 1, "layer": 0}.get(kind)

    def deviations(a):
        return a if axis is None else a - a.mean(axis=axis, keepdims=True)

    G_0 = W.T @ (2.0 * deviations(g))
    assert 10 ** result.gradient[0] == pytest.approx(np.linalg.norm(G_0), rel=1e-12)
    X_1 = np.linalg.norm(2.0 * deviations(W @ x)) / math.sqrt(20)
    expected = math.log10(X_1) + log2 * LOG10_2
    assert result.activation[1] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("kind", ["batch", "layer", "rms"])
def test_columns_or_rows_of_very_different_scales_are_normalised_alike(kind, draw):
    net = vgsim.MLP(1, 6, activation="linear", norm=kind, norm_eps=1e-12)
    W, x, g = draw(6, 6), draw(6, 5), draw(6, 5)
    far = x
    if kind == "batch":
        W_far = W * (2.0 ** np.array([0, 400, 0, 800, 0, 400]))[:, np.newaxis]
    else:
        W_far, far = W, x * 2.0 ** np.array([0, 900, 400, 0, 900])
    near = vgsim.evaluate(net, [W], None, x, g)
    result = vgsim.evaluate(net, [W_far], None, far, g)
    assert result.activation[1] == pytest.approx(near.activation[1], abs=1e-9)


def normalised(kind, eps, h):
    """Ĥ of one group."""
    mean = 0 if kind == "rms" else sum(h) / len(h)
    c = [t - mean for t in h]
    std = mpmath.sqrt(sum(t * t for t in c) / len(h) + eps)
    return [t / std for t in c]


@pytest.mark.parametrize(("kind", "size"), [("batch", 2), ("layer", 2), ("rms", 2), ("batch", 3)])
@pytest.mark.parametrize("scale", [1e-300, 1e-3, 1.0, 1e4, 1e20, 1e200])
def test_normalisation_is_differentiated_as_mpmath_does(kind, size, scale):
    x, g, eps = [0.75, -0.5, 0.125][:size], [1.0, 0.25, -0.5][:size], 2.0**-16
    if kind == "batch":  # one unit, a batch of examples
        net = vgsim.MLP(1, 1, activation="linear", norm=kind, norm_eps=eps)
        result = vgsim.evaluate(net, [[[scale]]], None, [x], [g])
    else:  # one example, some units
        net = vgsim.MLP(1, size, activation="linear", norm=kind, norm_eps=eps)
        result = vgsim.evaluate(net, [scale * np.eye(size)], None, x, g)

    with mpmath.workdps(1500):

        def loss(*inputs):
            h = [mpmath.mpf(scale) * t for t in inputs]
            return sum(a * b for a, b in zip(g, normalised(kind, eps, h), strict=True))

        step = mpmath.mpf(10) ** -1000
        here = [mpmath.mpf(t) for t in x]
        slopes = []
        for i in range(size):
            up = [t + step * (j == i) for j, t in enumerate(here)]
            down = [t - step * (j == i) for j, t in enumerate(here)]
            slopes.append((loss(*up) - loss(*down)) / (2 * step))
        expected = float(mpmath.log10(mpmath.norm(slopes)))
    assert result.gradient[0] == pytest.approx(expected, abs=1e-11, rel=1e-13)


def test_two_examples_far_apart_leave_only_what_epsilon_does(draw):
    W, g = [draw(6, 6) for _ in range(2)], draw(6, 2)
    x = draw(6, 2)
    net = vgsim.MLP(2, 6, norm="batch")
    below = [
        vgsim.evaluate(net, W, None, x * 2.0**log2, g).gradient[0] for log2 in (400, 500, 1000)
    ]
    np.testing.assert_allclose(np.diff(below), [-300 * LOG10_2, -1500 * LOG10_2], rtol=1e-12)


# Clipping


@pytest.mark.parametrize("clip", [vgsim.ClipNorm(0.5), vgsim.ClipValue(0.25)])
@pytest.mark.parametrize("skip", [None, vgsim.Residual(4)])
def test_every_exploding_gradient_is_clipped_to_the_bound(clip, skip):
    depth, n, B = 2000, 2, 2
    net = vgsim.MLP(depth, n, activation="linear", clip=clip, residual=skip)
    ones = np.ones((n, B))
    result = vgsim.evaluate(net, [2.0**60 * np.eye(n)] * depth, None, ones, 2.0**900 * ones)
    np.testing.assert_allclose(result.gradient[:-1], math.log10(0.5), atol=1e-13)
    np.testing.assert_array_equal(result.clipped, [1.0] * depth + [0.0])
    assert result.output_gradient == pytest.approx(901 * LOG10_2)


@pytest.mark.parametrize("clip", [vgsim.ClipNorm(1e-100), vgsim.ClipValue(1e-100)])
def test_a_gradient_below_the_bound_vanishes_as_ever(clip):
    depth = 2000
    net = vgsim.MLP(depth, 1, activation="linear", clip=clip)
    result = vgsim.evaluate(net, [[[2.0**-60]]] * depth, None, [1.0], [1.0])
    expected = -100 - 60 * LOG10_2 * np.arange(depth)[::-1]
    np.testing.assert_allclose(result.gradient[:-1], expected, rtol=1e-13)
    np.testing.assert_array_equal(np.nonzero(result.clipped)[0], [depth - 1])


@pytest.mark.parametrize("kind", [vgsim.ClipNorm, vgsim.ClipValue])
@pytest.mark.parametrize("scale", [2.0**300, 2.0**-300])
def test_clipping_has_no_scale_of_its_own(kind, scale, draw):
    W = [2.0 * draw(6, 6) for _ in range(8)]
    x, g = draw(6, 3), draw(6, 3)
    nets = [vgsim.MLP(8, 6, residual=vgsim.Residual(2), clip=kind(c)) for c in (1.0, scale)]
    base = vgsim.evaluate(nets[0], W, None, x, g)
    result = vgsim.evaluate(nets[1], W, None, x, scale * g)
    assert base.clipped[:-1].max() > 0
    np.testing.assert_array_equal(result.clipped, base.clipped)
    np.testing.assert_allclose(result.gradient, base.gradient + math.log10(scale), rtol=1e-13)


def test_clipped_values_do_not_touch_a_column_far_below(draw):
    net = vgsim.MLP(1, 4, activation="linear", clip=vgsim.ClipValue(1e-3))
    W, x, g = np.eye(4), draw(4, 2), np.abs(draw(4, 2)) + 1.0
    result = vgsim.evaluate(net, [W], None, x, g * [2.0**900, 2.0**-900])
    assert result.clipped.tolist() == [0.5, 0.0]
    assert 10 ** result.gradient[0] == pytest.approx(2e-3, rel=1e-12)


@pytest.mark.parametrize("scale", [1e20, 1e150, 1e300])
@pytest.mark.parametrize("weight", [1.0, 1e200])
def test_the_phases_of_sines_are_spread_at_any_scale(scale, weight):
    """cos² is ½ in the mean over the units of a layer, and |cos| < 0.05 with probability 0.0318."""
    rng = np.random.default_rng(5)
    W = weight * rng.normal(size=(4000, 3))
    net = vgsim.MLP(1, [3, 4000], activation=vgsim.Activation("sine", omega=1.0))
    result = vgsim.evaluate(net, [W], None, scale * rng.normal(size=3), np.ones(4000))
    assert 2 * result.activation[1] == pytest.approx(math.log10(0.5), abs=0.05)
    assert result.saturation[0] == pytest.approx(2 * math.asin(0.05) / math.pi, abs=0.015)
    assert not result.dead
