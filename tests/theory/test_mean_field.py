"""Mean field: Gaussian means, fixed points, correlations and depth scales.

Against mpmath's quadrature, closed laws, published numbers and simulation.
"""

import math

import mpmath
import numpy as np
import pytest

import vgsim
from vgsim._networks.activation_table import ACTIVATIONS
from vgsim.theory import mean_field
from vgsim.theory._correlation_map import correlation_fixed_point, correlation_map
from vgsim.theory._gaussian import gaussian_mean
from vgsim.theory._variance_map import chi, chi_parallel, fixed_point, variance_map

mp = mpmath.mp.clone()
mp.dps = 20


def sigmoid(x):
    return 1 / (1 + mp.exp(-x))


def cubic(x, order=0):
    k = mp.mpf("0.044715")
    return mp.sqrt(8 / mp.pi) * (1 + 3 * k * x**2 if order else x + k * x**3)


def hard(x):
    return min(max(x + 3, 0), 6) / mp.mpf(6)


EXACT = {  # φ, φ'
    "tanh": (mp.tanh, lambda x: mp.sech(x) ** 2),
    "erf": (mp.erf, lambda x: 2 / mp.sqrt(mp.pi) * mp.exp(-x * x)),
    "sigmoid": (sigmoid, lambda x: sigmoid(x) * sigmoid(-x)),
    "softplus": (lambda x: mp.log1p(mp.exp(x)), sigmoid),
    "silu": (lambda x: x * sigmoid(x), lambda x: sigmoid(x) * (1 + x * sigmoid(-x))),
    "gelu": (lambda x: x * mp.ncdf(x), lambda x: mp.ncdf(x) + x * mp.npdf(x)),
    "softsign": (lambda x: x / (1 + abs(x)), lambda x: (1 + abs(x)) ** -2),
    "elu": (lambda x: x if x > 0 else mp.expm1(x), lambda x: 1 if x > 0 else mp.exp(x)),
    "hard_tanh": (lambda x: max(-1, min(1, x)), lambda x: 1 if abs(x) < 1 else 0),
    "mish": (
        lambda x: x * mp.tanh(mp.log1p(mp.exp(x))),
        lambda x: mp.tanh(mp.log1p(mp.exp(x))) + x * sigmoid(x) * mp.sech(mp.log1p(mp.exp(x))) ** 2,
    ),
    "gelu_tanh": (
        lambda x: x * sigmoid(cubic(x)),
        lambda x: sigmoid(cubic(x)) * (1 + x * cubic(x, 1) * sigmoid(-cubic(x))),
    ),
    "relu6": (lambda x: min(max(x, 0), 6), lambda x: 1 if 0 < x < 6 else 0),
    "hard_sigmoid": (lambda x: hard(x), lambda x: mp.mpf(abs(x) < 3) / 6),
    "hard_swish": (lambda x: x * hard(x), lambda x: (2 * x + 3) / 6 if abs(x) < 3 else x > 0),
}


def exact_mean(f, q):
    std = mp.sqrt(q)
    cuts = {0.0, *(s * x for s in (-1, 1) for x in (1, 3, 7, 15))}
    cuts |= {s * x / float(std) for s in (-1, 1) for x in (0.5, 1, 2, 3, 4, 6, 8, 16)}
    return float(
        mp.quad(lambda z: f(std * z) * mp.npdf(z), sorted(c for c in cuts if abs(c) <= 15))
    )


@pytest.mark.parametrize("q", [0.01, 1.7, 400.0])
@pytest.mark.parametrize("name", sorted(EXACT))
def test_maps_and_slopes_are_those_of_exact_quadrature(name, q):
    value, derivative = EXACT[name]
    assert variance_map(name, 1.3, 0.4, q) == pytest.approx(
        1.69 * exact_mean(lambda x: value(x) ** 2, q) + 0.16, rel=1e-12
    )
    assert chi(name, 1.3, q) == pytest.approx(
        1.69 * exact_mean(lambda x: derivative(x) ** 2, q), rel=1e-12
    )


@pytest.mark.parametrize("q", [1e-2, 1.7, 400.0])
@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_chi_parallel_is_the_slope_of_the_variance_map(name, q):
    def at(factor):
        return variance_map(name, 1.3, 0.4, q * factor)

    d = 1e-3
    slope = (8 * (at(1 + d) - at(1 - d)) - (at(1 + 2 * d) - at(1 - 2 * d))) / (12 * d * q)
    assert chi_parallel(name, 1.3, q) == pytest.approx(slope, rel=1e-9, abs=1e-11)


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_the_variance_map_increases(name):
    """The variance map is increasing, as `fixed_point` assumes."""
    slopes = np.array([chi_parallel(name, 1.0, q) for q in np.geomspace(1e-8, 1e8, 200)])
    assert (slopes >= 0).all()  # E cos(2ωh) of sine underflows


def test_gaussian_means_of_powers():
    for q in (1e-200, 1e-3, 1.0, 1e5, 1e60):
        for k, moment in ((2, 1), (4, 3), (8, 105)):
            expected = moment * (q ** (k / 2) if k == 2 or q > 1e-60 else 0.0)
            assert gaussian_mean(lambda h, k=k: h**k, q) == pytest.approx(expected, rel=1e-13)


def test_gaussian_means_of_selu():
    """SELU keeps mean 0 and variance 1 (Klambauer et al. 2017)."""
    selu = vgsim.Activation("selu")
    assert gaussian_mean(selu.value, 1.0, selu) == pytest.approx(0.0, abs=1e-14)
    assert gaussian_mean(lambda h: selu.value(h) ** 2, 1.0, selu) == pytest.approx(1.0, rel=1e-14)
    assert chi(selu, 1.0, 1.0) == pytest.approx(1.0715749925, abs=5e-11)


def test_variances_0_and_infinity_are_limits():
    for name in ACTIVATIONS:
        for near, limit in ((1e-12, 0.0), (1e24, math.inf)):
            near = 1e-15 if name == "sine" and limit == 0 else near  # ω² q is to be small
            assert chi(name, 1.3, limit) == pytest.approx(chi(name, 1.3, near), abs=1e-5)
            slope = chi_parallel(name, 1.3, near)
            assert chi_parallel(name, 1.3, limit) == pytest.approx(slope, abs=1e-5)
    for bad in (-1.0, math.nan):
        with pytest.raises(ValueError, match=r"variance must be at least 0, got (-1.0|nan)"):
            gaussian_mean(np.tanh, bad)


@pytest.mark.parametrize("turns", [1e-6, 0.01, 0.7, 3.0, 8.9, 9.1, 20.0, 64.0, 99.0, 1e3, 1e30])
@pytest.mark.parametrize("omega", [1.0, 30.0])
def test_means_of_sine_are_closed(omega, turns):
    """E cos mωh = exp(-(m ω)² q/2), at every ω √q, with powers by the multiple-angle formulas."""
    sine, q = vgsim.Activation("sine", omega=omega), (turns / omega) ** 2
    c2, c4 = math.exp(-2.0 * turns**2), math.exp(-8.0 * turns**2)
    minus = -math.expm1(-2.0 * turns**2)  # 1 - c2
    assert variance_map(sine, 1.3, 0.0, q) == pytest.approx(1.69 * minus / 2, rel=1e-12)
    assert chi(sine, 1.3, q) == pytest.approx(1.69 * omega**2 * (1 + c2) / 2, rel=1e-12)
    assert chi_parallel(sine, 1.3, q) == pytest.approx(1.69 * omega**2 * c2, rel=1e-12)

    def mean(value, slope, hermite=0):
        return gaussian_mean(
            lambda h: sine.value(h) ** value * (sine.derivative(h) / omega) ** slope,
            q,
            sine,
            hermite,
        )

    assert mean(4, 0) == pytest.approx((3 - 4 * c2 + c4) / 8, rel=1e-12, abs=1e-16)
    assert mean(0, 4) == pytest.approx((3 + 4 * c2 + c4) / 8, rel=1e-12)
    assert mean(2, 2) == pytest.approx((1 - c4) / 8, rel=1e-12, abs=1e-16)
    # q d/dq E f = E f He_2/2 and q² d²/dq² E f = E f He_4/4
    y = 2.0 * turns**2
    assert mean(2, 0, 2) == pytest.approx(y * c2, rel=1e-11, abs=1e-14)
    assert mean(0, 2, 4) == pytest.approx(2.0 * y * y * c2, rel=1e-11, abs=1e-13)


@pytest.mark.parametrize("c", [0.0, 0.3, 0.9, 0.999999])
@pytest.mark.parametrize("turns", [0.1, 1.0, 15.0, 200.0])
def test_correlation_map_of_sine_is_closed(turns, c):
    """E sin u sin v = exp(-ω²q) sinh(ω²q c)."""
    q = (turns / 30.0) ** 2
    product = (math.exp(-(turns**2) * (1 - c)) - math.exp(-(turns**2) * (1 + c))) / 2
    expected = product / (-math.expm1(-2 * turns**2) / 2)
    assert correlation_map("sine", 1.0, 0.0, q, c) == pytest.approx(expected, rel=1e-10, abs=1e-13)


# Poole et al. 2016 and Schoenholz et al. 2017; tanh, σ_b² = 0.05.
PHASES = {  # σ_w²: q*, χ₁, c*, ξ_c, ξ_q, ξ_∇, phase
    1.0: (0.193593, 0.759032, 1.0, 3.6270, 1.7476, 3.6270, "ordered"),
    1.5: (0.418037, 0.938636, 1.0, 15.7910, 1.6828, 15.7910, "ordered"),
    2.0: (0.721762, 1.047666, 0.744082, 25.2134, 1.3880, 21.4754, "chaotic"),
    2.5: (1.063958, 1.133516, 0.446804, 11.7956, 1.1799, 7.9793, "chaotic"),
}


def tanh_network(sigma_w_square, **options):
    return vgsim.MLP(
        50,
        64,
        init="lecun_normal",
        gain=math.sqrt(sigma_w_square),
        bias_std=math.sqrt(0.05),
        **options,
    )


@pytest.mark.parametrize("sigma_w_square", PHASES)
def test_phase_points_of_tanh(sigma_w_square):
    m = mean_field(tanh_network(sigma_w_square))
    *numbers, phase = PHASES[sigma_w_square]
    found = [m.q_star, m.chi_1, m.c_star, m.xi_c, m.xi_q, m.xi_grad]
    digits = [6, 6, 6, 4, 4, 4]
    assert [round(x, d) for x, d in zip(found, digits, strict=True)] == numbers
    assert m.phase == phase


@pytest.mark.parametrize(
    ("name", "sigma_w", "expected"),
    [
        ("sigmoid", 1.0, 0.05572071),
        ("sigmoid", math.sqrt(1 / 3), 0.02000783),
        ("selu", 1.0, 1.07157499),
        ("tanh", 5 / 3, 1.209831),
        ("tanh", math.sqrt(1 / 3), 1 / 3),
        ("relu", math.sqrt(1 / 3), 1 / 6),
    ],
)
def test_chi_at_the_reached_fixed_point(name, sigma_w, expected):
    places = 8 if expected in (0.05572071, 0.02000783, 1.07157499) else 6
    q = fixed_point(name, sigma_w)
    assert round(chi(name, sigma_w, q), places) == round(expected, places)


def test_fixed_points_at_zero_and_infinity():
    root = math.sqrt(2.0)
    assert fixed_point("relu", 1.4142) == 0.0
    assert fixed_point("relu", root, q_0=7.0) == 7.0
    assert fixed_point("relu", 1.4143) == math.inf
    assert fixed_point("relu", root, sigma_b=1e-3) == math.inf
    assert fixed_point("relu", 1.0, sigma_b=3.0) == pytest.approx(18.0, rel=1e-12)
    assert fixed_point("linear", 1.0) == 1.0
    assert fixed_point("tanh", 1.0) == fixed_point("tanh", 0.5) == 0.0
    assert fixed_point("softplus", root) == math.inf
    assert fixed_point("gelu", 1.5) == 0.0
    assert fixed_point("gelu", 1.5, q_0=100.0) == math.inf
    assert fixed_point("selu", 1.0) == 1.0
    for q_0 in (1e-20, 1e20):
        assert fixed_point("tanh", 1.3, 0.2, q_0) == pytest.approx(fixed_point("tanh", 1.3, 0.2))
        assert fixed_point("relu", 1.5, q_0=q_0) == math.inf
        assert fixed_point("relu", 1.0, q_0=q_0) == 0.0


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_fixed_points_of_extreme_sigmas(name):
    at_zero = float(vgsim.Activation(name).value(0.0))
    assert fixed_point(name, 1e-90, 1e-90) == pytest.approx(1e-180 * (1 + at_zero**2), rel=1e-9)
    assert fixed_point(name, 1e-3, 1e90) == pytest.approx(1e180, rel=1e-5)


@pytest.mark.parametrize("q_0", [1e-6, 1.0, 300.0])
@pytest.mark.parametrize(
    ("name", "sigma_w", "sigma_b"),
    [("tanh", 1.3, 0.0), ("gelu", 1.4, 0.41), ("gelu", 1.42, 0.3), ("elu", 1.2, 0.1),
     ("sigmoid", 12.0, 0.0), ("softplus", 1.3, 0.5), ("hard_tanh", 1.5, 0.2)],
)  # fmt: skip
def test_fixed_point_is_the_limit_of_the_iteration(name, sigma_w, sigma_b, q_0):
    q = q_0
    for _ in range(4000):
        before, q = q, variance_map(name, sigma_w, sigma_b, q)
        if q > 1e12:
            q = math.inf
        if q == before or math.isinf(q):
            break
    assert fixed_point(name, sigma_w, sigma_b, q_0) == pytest.approx(q, rel=1e-9)


def test_half_stable_fixed_point_of_gelu():
    """The point attracts from above only: from below, the variance stops at a smaller one."""
    sigma_w, sigma_b = math.sqrt(1.9830582574), math.sqrt(0.1729223908)
    assert fixed_point("gelu", sigma_w, sigma_b, q_0=10.0) == pytest.approx(3.56155, abs=2e-4)
    assert fixed_point("gelu", sigma_w, sigma_b, q_0=1.0) == pytest.approx(3.0349813, abs=1e-6)


@pytest.mark.parametrize("c", [0.0, 0.3, 0.9, 0.999999])
@pytest.mark.parametrize("q", [0.01, 1.0, 1000.0])
def test_correlation_maps_known_in_closed_form(q, c):
    """ReLU: Cho and Saul 2009; erf: Williams 1998."""
    relu = (math.sqrt(1 - c * c) + (math.pi - math.acos(c)) * c) / math.pi
    assert correlation_map("relu", math.sqrt(2), 0.0, q, c) == pytest.approx(relu, abs=1e-14)
    erf = math.asin(2 * q * c / (1 + 2 * q)) / math.asin(2 * q / (1 + 2 * q))
    assert correlation_map("erf", 1.0, 0.0, q, c) == pytest.approx(erf, abs=1e-13)


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_correlation_map_is_the_mean_over_the_plane(name, rng):
    q, c = 1.7, 0.6
    z = rng.standard_normal((2, 400_000))
    u, v = math.sqrt(q) * z[0], math.sqrt(q) * (c * z[0] + math.sqrt(1 - c * c) * z[1])
    phi = vgsim.Activation(name)
    products = 1.2 * phi.value(u) * phi.value(v)
    expected = (products.mean() + 0.1) / variance_map(name, math.sqrt(1.2), math.sqrt(0.1), q)
    error = products.std() / products.mean() / math.sqrt(products.size)
    found = correlation_map(name, math.sqrt(1.2), math.sqrt(0.1), q, c)
    assert found == pytest.approx(expected, rel=5 * error)


@pytest.mark.parametrize("excess", [1e-4, 1e-2, 0.3])
@pytest.mark.parametrize(
    ("name", "critical"),
    [("tanh", 1.327010), ("hard_tanh", 1.079604), ("selu", 0.949614), ("sigmoid", 10.155221)],
)
def test_correlation_settles_where_theory_says(name, critical, excess):
    """c* is a fixed point below 1, and chi_c the slope of the map there."""
    gain, sigma_b = critical * (1 + excess), math.sqrt(0.05)
    q = fixed_point(name, gain, sigma_b)
    c, slope = correlation_fixed_point(name, gain, sigma_b, q)

    def image(c):
        return correlation_map(name, gain, sigma_b, q, c)

    assert 0 < c < 1
    assert 1 - image(c) == pytest.approx(1 - c, rel=1e-9, abs=1e-15)
    d = 1e-3 * min(c, 1 - c)
    assert slope == pytest.approx((image(c + d) - image(c - d)) / (2 * d), rel=1e-5)
    assert slope < 1


def test_correlations_without_bias():
    assert correlation_fixed_point("tanh", 1.3, 0.0, fixed_point("tanh", 1.3))[0] == 0.0
    for name, gain in (("relu", 1.2), ("relu", math.sqrt(2)), ("relu", 1.6), ("selu", 0.5)):
        assert correlation_fixed_point(name, gain, 0.0, fixed_point(name, gain))[0] == 1.0
    for name, gain in (("tanh", 0.9), ("linear", 0.9), ("linear", 1.0), ("elu", 0.5)):
        assert math.isnan(correlation_fixed_point(name, gain, 0.0, fixed_point(name, gain))[0])


def test_mean_field_reads_every_law_of_weights_and_biases():
    m = mean_field(vgsim.MLP(9, 50, activation="relu", init="he_uniform", bias_std=0.3))
    assert (m.sigma_w, m.sigma_b) == pytest.approx((math.sqrt(2), 0.3))
    assert m.phase == "critical"
    assert m.xi_grad == math.inf
    m = mean_field(vgsim.MLP(9, 50, init="torch_default"))
    assert (m.sigma_w, m.sigma_b) == pytest.approx((math.sqrt(1 / 3), math.sqrt(1 / 150)))
    m = mean_field(vgsim.MLP(3, [10, 40, 20, 30], activation="relu", init="he_normal", gain=0.5))
    assert m.sigma_w == pytest.approx(math.sqrt(0.5))
    assert m.chi_1 == pytest.approx(0.25)
    m = mean_field(vgsim.RNN(9, 50, gain=1.5, bias_std=0.3, input_std=0.4))
    assert (m.sigma_w, m.sigma_b) == pytest.approx((1.5, 0.5))


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (vgsim.MLP(4, 8, norm="layer"), "no norm for this mean field, got 'layer'"),
        (vgsim.MLP(4, 8, residual=vgsim.Residual(2)), r"no residual .* got Residual"),
        (vgsim.MLP(4, 8, highway=vgsim.Highway()), r"no highway .* got Highway"),
        (vgsim.MLP(4, 8, clip=vgsim.ClipNorm(1.0)), "no clip for this mean field, got ClipNorm"),
        (vgsim.MLP(2, [8, 16, 8]), "same sigma_w in every layer .* got values from 0.816"),
        (vgsim.MLP(2, [8, 16, 8], init="torch_default"), "same sigma_b in every layer"),
        (
            vgsim.RNN(4, 8, init="identity"),
            "random weights for a mean field, got the init 'identity'",
        ),
    ],
)
def test_mean_field_refuses_what_it_is_not_for(network, message):
    with pytest.raises(ValueError, match=message):
        mean_field(network)


def test_arguments_are_checked():
    with pytest.raises(TypeError, match=r"network must be a vgsim.MLP, .*, got 'tanh'"):
        mean_field("tanh")
    with pytest.raises(ValueError, match="sigma_w must be from 1e-100 to 1e100, got 0"):
        fixed_point("tanh", 0)
    with pytest.raises(ValueError, match="sigma_b must be 0, or from 1e-100 to 1e100, got -1"):
        fixed_point("tanh", 1, -1)
    with pytest.raises(ValueError, match="q_0 must be from 1e-20 to 1e20, got 0"):
        mean_field(vgsim.MLP(4, 8), q_0=0)
    with pytest.raises(ValueError, match="c must be from 0 to 1, got -0.5"):
        correlation_map("tanh", 1, 0, 1, -0.5)


@pytest.mark.parametrize("sigma_w", [-1, 0, math.nan, math.inf])
@pytest.mark.parametrize(
    "function", [chi, chi_parallel, lambda phi, w, q: variance_map(phi, w, 0, q)]
)
def test_sigma_w_is_checked(function, sigma_w):
    with pytest.raises(ValueError, match="sigma_w must be from 1e-100"):
        function("tanh", sigma_w, 1.0)


def test_functions_for_gaussian_means():
    assert gaussian_mean(lambda h: 1.0, 1) == pytest.approx(1, rel=1e-13)
    with pytest.raises(ValueError, match="f must be elementwise"):
        gaussian_mean(lambda h: h[:3], 1)
    with pytest.raises(TypeError, match="variance must be at least 0, got '1'"):
        gaussian_mean(np.abs, "1")


def slope(network, n_samples, seed):
    """Return the mean growth of ln ‖G‖² per layer, far from the input, and its standard error."""
    s = vgsim.simulate(network, n_samples, seed=seed, layers=[40, 100], engine="matrix-free")
    growth = 2 * math.log(10) * (s.log10_ratio[:, 0] - s.log10_ratio[:, 1]) / 60
    return growth.mean(), growth.std() / math.sqrt(n_samples)


@pytest.mark.parametrize(
    ("name", "gain", "bias_std"),
    [
        ("tanh", 1.327010, 0.05**0.5),
        ("tanh", 1.6, 0.2),
        ("erf", 1.1, 0.2),
        ("sigmoid", 1.0, 0.0),
        ("relu", 1.3, 0.3),
        ("elu", 1.3, 0.1),
        ("selu", 1.0, 0.0),
        ("gelu", 1.3, 0.3),
        ("silu", 1.2, 1.0),
        ("hard_tanh", 1.3, 0.1),
        ("softsign", 2.0, 0.1),
        ("linear", 0.9, 0.5),
        ("mish", 1.2, 0.5),
        ("relu6", 1.35, 0.5),
        ("hard_swish", 1.3, 0.5),
        ("sine", 0.05, 0.02),
    ],
)
def test_gradients_grow_by_chi_1_a_layer(name, gain, bias_std, seed):
    width = 256
    net = vgsim.MLP(110, width, activation=name, init="lecun_normal", gain=gain, bias_std=bias_std)
    growth, error = slope(net, 300, seed)
    assert abs(growth - math.log(mean_field(net).chi_1)) < 3 / width + 4 * error


def test_gradients_grow_by_chi_1_a_layer_in_the_limit_of_wide_layers(seed):
    """The correction of order 1/n is large here; extrapolation from two widths removes it."""
    options = {"activation": "sigmoid", "init": "lecun_normal", "gain": 10.149264}
    (narrow, error), (wide, error_of_wide) = (
        slope(vgsim.MLP(110, n, **options), 600, seed) for n in (256, 512)
    )
    assert narrow < -3 / 256
    assert abs(2 * wide - narrow) < 4 * math.hypot(2 * error_of_wide, error) + 1e-3


def test_the_radial_direction_prevails_where_it_decays_slower(seed):
    """With softplus, gradients far from the output shrink by χ_∥² per layer, not by χ₁ < χ_∥²."""
    options = {"activation": "softplus", "init": "lecun_normal", "gain": 1.4, "bias_std": 0.5}
    net = vgsim.MLP(250, 1024, **options)
    m = mean_field(net)
    s = vgsim.simulate(net, 100, seed=seed, layers=[50, 150], engine="matrix-free")
    growth = 2 * math.log(10) * (s.log10_ratio[:, 0] - s.log10_ratio[:, 1]) / 100
    error = growth.std() / 10
    assert abs(growth.mean() - 2 * math.log(m.chi_parallel)) < 10 / 1024 + 4 * error
    assert math.log(m.chi_1) < growth.mean() - 0.05
