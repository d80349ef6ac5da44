"""The exact laws against published numbers, SciPy's distributions and simulated networks."""

import math
import pickle
import time

import mpmath
import numpy as np
import pytest
from scipy import integrate, special, stats

import vgsim
from vgsim.theory import (
    exact_law,
    leaky_relu_law,
    linear_law,
    linear_residual_law,
    log_gradient_moments,
    newman_exponents,
    relu_law,
    relu_residual_moments,
)

DECADE = 2 * math.log(10)


def squared_log_ratio(network, n, **run):
    samples = vgsim.simulate(network, n, layers=[0], **run)
    return samples.log10_ratio[:, 0] * DECADE


def rounds_to(value, printed):
    digits = len(printed.split("e")[0].split(".")[1])
    kind = "e" if "e" in printed else "f"
    return float(f"{value:.{digits}{kind}}") == float(printed)


@pytest.mark.parametrize(
    ("width", "depth", "k", "vanishing", "exploding"),
    [
        (32, 100, 1, "0.80621", "8.662e-4"),
        (32, 100, 3, "0.094492", "1.949e-8"),
        (32, 100, 5, "3.333e-4", "8.90e-16"),
        (100, 100, 1, "0.18242", "7.383e-4"),
        (100, 100, 2, "1.925e-3", "6.38e-8"),
        (100, 1000, 1, "0.99813", "1.387e-5"),
        (100, 1000, 3, "0.94660", "2.032e-8"),
        (100, 1000, 5, "0.62967", "5.61e-12"),
        (100, 1000, 8, "0.056783", "1.05e-18"),
    ],
)
def test_relu_tails(width, depth, k, vanishing, exploding):
    law = relu_law(width, depth)
    assert rounds_to(law.cdf_log10(-k), vanishing)
    assert rounds_to(law.sf_log10(k), exploding)
    assert law.probability("vanishing", 10.0**-k) == pytest.approx(law.cdf_log10(-k))


@pytest.mark.parametrize(
    ("width", "mean", "variance"),
    [
        (32, -0.0825402081, 0.1774977872),
        (100, -0.0254208856, 0.0519399921),
        (256, -0.0098286594, 0.0198187089),
    ],
)
def test_relu_layer(width, mean, variance):
    law = relu_law(width, 7)
    assert law.mean == pytest.approx(7 * mean, abs=4e-10)
    assert law.variance == pytest.approx(7 * variance, abs=4e-10)


def test_linear_layer():
    law = linear_law(100, 1)
    assert (round(law.mean, 7), round(law.variance, 7)) == (-0.0100333, 0.0202013)


@pytest.mark.parametrize("width", [5, 32, 100])
def test_relu_moments(width):
    law = relu_law(width, 3)
    assert law.moment(1) == pytest.approx(1, rel=1e-12)
    assert law.moment(2) == pytest.approx((1 + 5 / width) ** 3, rel=1e-12)
    assert law.moment(3) == pytest.approx((1 + 15 / width + 44 / width**2) ** 3, rel=1e-12)


def test_dead():
    assert round(relu_law(8, 20).dead_probability, 5) == 0.07529
    assert rounds_to(relu_law(16, 30).dead_probability, "4.58e-4")
    assert relu_law(8, 20).cdf(-np.inf) == relu_law(8, 20).dead_probability
    assert relu_law(8, 20).quantile(0.05) == -np.inf


@pytest.mark.parametrize("width", [1, 2, 5, 20, 32, 64, 100, 1000])
def test_one_relu_layer_is_a_mixture_of_chi_squares(width):
    law, k = relu_law(width, 1), np.arange(width + 1)
    weight = stats.binom.pmf(k, width, 0.5)
    x = law.mean + math.sqrt(law.variance) * np.linspace(-9, 8, 60)
    s = width / 2 * np.exp(x)[:, None]
    below = np.where(k > 0, stats.chi2.cdf(s, np.maximum(k, 1)), 1.0) @ weight
    above = np.where(k > 0, stats.chi2.sf(s, np.maximum(k, 1)), 0.0) @ weight
    np.testing.assert_allclose(law.cdf(x)[below > 1e-18], below[below > 1e-18], rtol=1e-6)
    np.testing.assert_allclose(law.sf(x)[above > 1e-18], above[above > 1e-18], rtol=1e-9)


@pytest.mark.parametrize("width", [16, 48, 64, 100])
@pytest.mark.parametrize("ratio", [-2, -4, -6])
def test_lower_tail_of_one_layer_against_mpmath(width, ratio):
    """In the far lower tail, near 1e-29, layers with a single active unit dominate."""
    s = mpmath.mpf(width) / 2 * mpmath.mpf(10) ** (2 * ratio)
    below = mpmath.mpf(2) ** -width + sum(
        mpmath.binomial(width, k) * mpmath.mpf(2) ** -width
        * mpmath.gammainc(mpmath.mpf(k) / 2, 0, s / 2, regularized=True)
        for k in range(1, width + 1)
    )  # fmt: skip
    assert relu_law(width, 1).cdf_log10(ratio) == pytest.approx(float(below), rel=1e-9)


@pytest.mark.parametrize("depth", [1, 2, 3, 5, 20])
@pytest.mark.parametrize("width", [3, 48, 64, 128])
def test_tails_are_monotone(width, depth):
    law = relu_law(width, depth)
    x = law.mean + math.sqrt(law.variance) * np.linspace(-60, 12, 4001)
    for upwards in (law.cdf(x), law.sf(x)[::-1]):
        assert (np.diff(upwards) >= -1e-15 * upwards[1:]).all()
    np.testing.assert_allclose(law.cdf(x) + law.sf(x), 1, rtol=1e-12)


def test_lower_tail_of_few_layers_against_a_double_sum():
    """P(χ²_j χ²_k <= s) is an integral of gamma functions, for each pair of active units."""
    n, x = 64, -2 * DECADE
    s = (n / 2) ** 2 * math.exp(x)
    k = np.arange(1, n + 1)
    weight = stats.binom.pmf(k, n, 0.5)
    u, step = np.linspace(-90, 6, 12_001, retstep=True)  # ln of the first factor
    first = np.exp(stats.chi2.logpdf(np.exp(u)[:, None], k) + u[:, None]) @ weight
    second = stats.chi2.cdf(s * np.exp(-u)[:, None], k) @ weight
    expected = float(first @ second) * step
    law = relu_law(n, 2)
    assert law.cdf(x) - law.dead_probability == pytest.approx(expected, rel=1e-9)


def test_two_layers_are_a_convolution():
    def below(x):
        k = np.arange(1, 13)
        weight = stats.binom.pmf(k, 12, 0.5)
        return float(stats.chi2.cdf(6 * math.exp(x), k) @ weight)

    law, one = relu_law(12, 2), relu_law(12, 1)
    for x in (-9.0, -4.0, -1.0):
        expected, _ = integrate.quad(lambda y, x=x: one.pdf(y) * below(x - y), -40, 6, limit=400)
        assert law.cdf(x) - law.dead_probability == pytest.approx(expected, rel=1e-7)


def test_linear_products_of_width_2_are_exponentials():
    """χ²_2/2 is exponential, so P(X > x) of one layer is exp(−e^x)."""
    x = np.linspace(-20, 3.5, 50)
    np.testing.assert_allclose(linear_law(2, 1).sf(x), np.exp(-np.exp(x)), rtol=1e-9)
    np.testing.assert_allclose(linear_law(2, 1).cdf(x), -np.expm1(-np.exp(x)), rtol=1e-9)
    np.testing.assert_allclose(linear_law(2, 1).pdf(x), np.exp(x - np.exp(x)), rtol=1e-9)


def test_noncentral_factor_against_scipy():
    law = linear_residual_law(10, 1, 0.7)
    x, scale = np.linspace(-1.0, 2.5, 30), 0.49 / 10
    expected = stats.ncx2.cdf(np.exp(x) / scale, 10, 1 / scale)
    np.testing.assert_allclose(law.cdf(x), expected, rtol=1e-7, atol=1e-12)


def test_unequal_ends_against_a_known_product():
    """n_0 = 7 and n_1 = 2: ‖G_0‖²/‖G_1‖² is (2/7) χ²_7 times 1, or times B ~ U-shaped."""
    law, n_0 = relu_law([7, 2]), 7
    for x in (-30.0, -9.0, -1.0, 0.5, 2.0):
        s = n_0 / 2 * math.exp(x)

        def given(t, s=s):
            """B = sin² t with t uniform: the fraction of χ²_2 in one of its two squares."""
            return stats.chi2.cdf(s / math.sin(t) ** 2, n_0) * 2 / math.pi

        near = min(math.sqrt(s) / 3, 0.5)
        one = sum(
            integrate.quad(given, a, b, epsabs=0, epsrel=1e-11, limit=200)[0]
            for a, b in ((1e-30, near / 9), (near / 9, near), (near, math.pi / 2))
        )
        expected = 0.25 + 0.5 * one + 0.25 * stats.chi2.cdf(s, n_0)
        assert law.cdf(x) == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize(
    "law",
    [
        relu_law([20, 10, 30]),
        relu_law([784, 100, 100, 10]),
        relu_law([3, 50, 40]),
        relu_law([5, 10**5, 4, 6]),
        leaky_relu_law([6, 9, 4, 20], slope=1e-3),
        leaky_relu_law([40, 9, 1000, 3], slope=3.0),
        linear_law([5, 9, 20]),
        linear_residual_law(5, 8),
    ],
    ids=repr,
)
@pytest.mark.parametrize("theta", [-0.2, 0.0, 0.5, 3.0, 5.0])
def test_densities_have_the_moments_in_closed_form(law, theta):
    """E e^{θX} is a product of gamma functions."""
    x, step = np.linspace(-170, 60, 230_001, retstep=True)
    moment = (law.pdf(x) * np.exp(theta * x)).sum() * step
    assert math.log(moment) == pytest.approx(law.log_moment(theta), abs=1e-8)


@pytest.mark.parametrize(
    "make",
    [
        lambda: relu_law(128, 1),
        lambda: relu_law(16, 3),
        lambda: relu_law(64, 5),
        lambda: relu_law(10**7, 10),
        lambda: relu_law(10**5, 1000),
        lambda: relu_law(100, 2**32 - 1),
        lambda: leaky_relu_law(10**7, 3),
    ],
)
def test_laws_are_fast(make):
    start = time.process_time()
    law = make()
    assert law.cdf(law.mean) == pytest.approx(0.5, abs=0.1)
    assert time.process_time() - start < 2  # 0.01 to 0.2: no work that grows with n or depth


def test_wide_layers_are_nearly_normal():
    """With 10⁷ units, the sum does not run over all numbers of active units."""
    law = relu_law(10**7, 10)
    beta = 5 * 10 / 1e7
    x = -beta / 2 + math.sqrt(beta) * np.linspace(-4, 4, 9)
    np.testing.assert_allclose(law.variance, beta, rtol=1e-5)
    np.testing.assert_allclose(law.cdf(x), stats.norm.cdf(np.linspace(-4, 4, 9)), rtol=0.03)
    assert relu_law(10**5, 1).moment(2) == pytest.approx(1 + 5e-5, rel=1e-10)


def test_slope_0_is_relu():
    assert leaky_relu_law(20, 5, slope=0).cdf(-1.0) == relu_law(20, 5).cdf(-1.0)


def test_quantile_inverts_the_distribution():
    law = leaky_relu_law(20, 30, slope=0.1)
    for q in (1e-9, 0.3, 0.5, 1 - 1e-9):
        assert law.cdf(law.quantile(q)) == pytest.approx(q, rel=1e-9)
    q = np.array([[0.1, 0.5, 0.9]])
    np.testing.assert_allclose(law.cdf(law.quantile(q)), q, rtol=1e-9)


def test_shapes_and_extremes():
    law = relu_law(10, 10)
    assert law.cdf(np.zeros((2, 3))).shape == (2, 3)
    assert isinstance(law.cdf(0), float)
    np.testing.assert_array_equal(law.cdf([np.inf, -1e9]), [1, law.dead_probability])
    np.testing.assert_array_equal(law.sf([np.inf, 1e9]), [0, 0])


@pytest.mark.parametrize(
    "network",
    [
        vgsim.MLP(100, 32, activation="relu", init="he_normal"),
        vgsim.MLP(30, [20, *[30, 10] * 14, 7, 40], activation="relu", gain=1.3, bias_std=0.5),
        vgsim.MLP(9, [5, 9, 9, 9, 9, 9, 9, 9, 9, 12], activation="linear"),
        vgsim.MLP(30, 16, activation=vgsim.Activation("leaky_relu", slope=0.25), bias_std=0.1),
        vgsim.MLP(1, [3, 8], activation="relu"),
        vgsim.MLP(20, 16, activation="linear", residual=vgsim.Residual(1, skip=0.5, branch=-0.3)),
    ],
    ids=["relu", "uneven relu", "uneven linear", "leaky", "one layer", "linear residual"],
)
def test_networks_have_their_exact_law(network):
    law = exact_law(network)
    x = squared_log_ratio(network, 20_000)
    alive = x[np.isfinite(x)]
    dead = 1 - alive.size / x.size
    p = law.dead_probability
    assert abs(dead - p) < 5 * math.sqrt(p * (1 - p) / x.size) + 1e-12
    assert abs(alive.mean() - law.mean) < 5 * math.sqrt(law.variance / alive.size)
    conditional = (law.cdf(np.sort(alive)) - p) / (1 - p)
    assert stats.kstest(conditional, "uniform").pvalue > 1e-4


@pytest.mark.parametrize(
    "law", [relu_law(6, 4), leaky_relu_law([4, 9, 9, 6], slope=0.3), linear_residual_law(5, 3)]
)
def test_samples_follow_the_law(law):
    x = np.sort(law.sample(20_000, np.random.default_rng(0)))
    alive = x[np.isfinite(x)]
    p = law.dead_probability
    assert abs(1 - alive.size / x.size - p) < 5 * math.sqrt(p / x.size) + 1e-12
    assert stats.kstest((law.cdf(alive) - p) / (1 - p), "uniform").pvalue > 1e-4


def test_leaky_quadrature_against_the_binomial_mixture():
    """E S and E S² of S = χ²_K + a² χ²_{n−K} by hand."""
    n, a = 12, 1e-3
    law = leaky_relu_law(n, 1, slope=a)
    assert law.moment(1) == pytest.approx(1, rel=1e-11)
    constant = 6 * (1 + a**4) / (1 + a**2) ** 2 - 1
    assert law.moment(2) == pytest.approx(1 + constant / n, rel=1e-11)
    grid = stats.binom.pmf(np.arange(3), 2, 0.5)  # n = 2: each χ²_1 by hand

    def mean_log(scale_1, scale_2):
        """E ln(s_1 z_1² + s_2 z_2²) = 2 ln((√s_1 + √s_2)/2) + ln 2 + ψ(1)."""
        half = (math.sqrt(scale_1) + math.sqrt(scale_2)) / 2
        return 2 * math.log(half) + math.log(2) - np.euler_gamma

    slope = 0.01
    parts = [mean_log(slope**2, slope**2), mean_log(1, slope**2), mean_log(1, 1)]
    expected = grid @ parts - math.log(1 + slope**2)
    assert leaky_relu_law(2, 1, slope=slope).mean == pytest.approx(expected, abs=1e-9)


def limit_of_wide_layers(variance, n):
    """Return the limit of n variance(n), by extrapolation of its error of order 1/n."""
    return 4 * n * variance(2 * n) - n * variance(n)


@pytest.mark.parametrize(
    ("make", "constant"),
    [
        (linear_law, 2),
        (relu_law, 5),
        (lambda n, depth: leaky_relu_law(n, depth, slope=0.25), 4.335640),
    ],
    ids=["linear", "relu", "leaky"],
)
def test_lognormal_constants(make, constant):
    """X tends to a normal law of mean −β/2 and variance β = c Σ 1/n_l (Hanin and Nica 2020)."""
    c = limit_of_wide_layers(lambda n: make(n, 1).variance, 100_000)
    assert round(c, 6) == constant
    assert round(-2 * limit_of_wide_layers(lambda n: make(n, 1).mean, 100_000), 6) == constant
    assert make(1000, 1).moment(2) == pytest.approx(1 + c / 1000, rel=1e-9)
    law, beta = make(2000, 10), constant * 10 / 2000
    assert (law.mean, law.variance) == pytest.approx((-beta / 2, beta), rel=0.02)


@pytest.mark.parametrize(
    ("activation", "constant"),
    [("linear", 0), ("relu", 3), (vgsim.Activation("leaky_relu", slope=0.25), 2.335640)],
)
def test_lognormal_constants_of_orthogonal_weights(activation, constant):
    """The variance is lower by 2/n, that of ln(χ²_n/n): orthogonal matrices keep the norm."""

    def variance(n):
        network = vgsim.MLP(1, n, activation=activation, init="orthogonal")
        return log_gradient_moments(network).variance

    assert limit_of_wide_layers(variance, 30_000) == pytest.approx(constant, abs=5e-7)


def test_the_normal_law_in_the_tails():
    """The error of a normal law of the logarithm, with exact moments and with −β/2 and β."""
    law, beta = relu_law(32, 100), 5 * 100 / 32
    std = math.sqrt(law.variance)
    up, down = 3 * DECADE, -5 * DECADE
    assert round(stats.norm.sf(up, law.mean, std) / law.sf(up), 1) == 4.2
    assert round(stats.norm.cdf(down, law.mean, std) / law.cdf(down), 2) == 0.68
    limit = stats.norm(-beta / 2, math.sqrt(beta))
    assert round(limit.sf(up) / law.sf(up), 2) == 1.14
    assert round(limit.cdf(down) / law.cdf(down), 2) == 0.18


@pytest.mark.parametrize(
    ("n", "mean", "variance"), [(10, "0.6144271", "0.1681120"), (32, "0.6693581", "0.0485165")]
)
def test_linear_residual(n, mean, variance):
    law = linear_residual_law(n, 1)
    assert (f"{law.mean:.7f}", f"{law.variance:.7f}") == (mean, variance)


def test_relu_residual_blocks():
    residual = vgsim.Residual(2, style="linear", last_gain=0.5**0.5)
    net = vgsim.MLP(40, 24, activation="relu", init="he_normal", residual=residual)
    mean, variance = relu_residual_moments(24)
    x = squared_log_ratio(net, 10_000)
    assert abs(x.mean() - 20 * mean) < 5 * math.sqrt(20 * variance / x.size)
    assert x.var() == pytest.approx(20 * variance, rel=5 * math.sqrt(2.5 / x.size))


def tilted_tail(n, depth, theta, x, size, rng):
    """Return P(X > x) of a He ReLU network (P(X < x) for x below the mean) and its standard error.

    By importance sampling (Bucklew 2004, chapter 5): layers are drawn from their law times
    (χ²_K 2/n)^θ, and every sample has the weight e^{K(θ) − θX}.
    """
    k = np.arange(1, n + 1)
    log_moment = special.gammaln(k / 2 + theta) - special.gammaln(k / 2) + theta * math.log(4 / n)
    part = stats.binom.pmf(k, n, 0.5) * np.exp(log_moment)
    active = rng.choice(k, (size, depth), p=part / part.sum())
    total = np.log(4 / n * rng.standard_gamma(active / 2 + theta)).sum(axis=1)
    weight = np.exp(depth * math.log(part.sum()) - theta * total)
    weight *= total > x if x > 0 else total < x
    return weight.mean(), weight.std() / math.sqrt(size)


@pytest.mark.parametrize(
    ("width", "depth", "x", "theta"),
    [
        (32, 100, 5 * DECADE, 1.9),
        (32, 100, -5 * DECADE, -0.9),
        (100, 1000, 8 * DECADE, 1.2),
        (100, 1000, -8 * DECADE, -0.2),
    ],
)
def test_tails_against_importance_sampling(width, depth, x, theta):
    law = relu_law(width, depth)
    found, error = tilted_tail(width, depth, theta, x, 4000, np.random.default_rng(5))
    dead = 0 if x > 0 else law.dead_probability
    exact = law.sf(x) if x > 0 else law.cdf(x) - dead
    assert abs(found * (1 - law.dead_probability) - exact) < 5 * error
    assert error < 0.1 * found


def test_moments_in_closed_form():
    n, theta = 30, 1.7
    linear = theta * math.log(2 / n) + math.lgamma(n / 2 + theta) - math.lgamma(n / 2)
    assert linear_law(n, 1).log_moment(theta) == pytest.approx(linear, rel=1e-12)
    assert linear_law(n, 9).log_moment(theta) == pytest.approx(9 * linear, rel=1e-12)
    relu = sum(
        math.comb(n, k) * 2.0**-n * (4 / n) ** theta * math.gamma(k / 2 + theta) / math.gamma(k / 2)
        for k in range(1, n + 1)
    )
    assert relu_law(n, 1).log_moment(theta) == pytest.approx(math.log(relu), rel=1e-11)
    with pytest.raises(ValueError, match="more than -0.5, got -0.6"):
        relu_law(300, 1).log_moment(-0.6)


def test_newman_exponents_of_simulated_products():
    rng, n = np.random.default_rng(3), 5
    q, logs = np.eye(n), np.zeros((4000, n))
    for row in logs:
        q, r = np.linalg.qr(rng.normal(size=(n, n)) @ q)
        row[:] = np.log(np.abs(np.diag(r)))
    error = logs.std(axis=0) / math.sqrt(len(logs))
    assert (np.abs(logs.mean(axis=0) - newman_exponents(n)) < 5 * error).all()


@pytest.mark.parametrize(
    ("network", "reason"),
    [
        (vgsim.RNN(5, 4), "recurrent network"),
        (vgsim.MLP(5, 4), "the activation 'tanh' is not"),
        (vgsim.MLP(5, 4, activation="relu", init="he_uniform"), "the init 'he_uniform' does"),
        (vgsim.MLP(5, 4, activation="relu", norm="layer"), "the norm 'layer' makes"),
        (vgsim.MLP(5, 4, activation="relu", clip=vgsim.ClipNorm(1)), "the clip ClipNorm"),
        (
            vgsim.MLP(4, 4, activation="relu", residual=vgsim.Residual(2)),
            "layer .* got Residual",
        ),
    ],
)
def test_no_exact_law(network, reason):
    with pytest.raises(ValueError, match=reason):
        exact_law(network)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: relu_law(0, 3), "width"),
        (lambda: relu_law(3), "depth"),
        (lambda: relu_law([3, 3], 3), "width must .* the depth 3"),
        (lambda: leaky_relu_law(3, 3, slope=-1), "slope"),
        (lambda: relu_law(3, 3).probability("underflow"), "event"),
        (lambda: relu_law(3, 3).probability(threshold=2), "threshold"),
        (lambda: relu_law(3, 3).quantile(1.0), "q must"),
        (lambda: relu_law(3, 3).pdf(np.inf), "finite"),
        (lambda: newman_exponents(3, std=0), "std"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: relu_law(3, 3).cdf(None), "x must"),
        (lambda: relu_law(3, 3).sf("1"), "x must"),
        (lambda: relu_law(3, 3).cdf_log10(None), "ratio must"),
        (lambda: relu_law(3, 3).quantile("a"), "q must"),
        (lambda: relu_law(3, 3).moment("a"), "theta must"),
        (lambda: relu_law(3, 3).probability("vanishing", "a"), "threshold must"),
        (lambda: relu_law(3, 3).sample(5, None), "rng must"),
        (lambda: relu_law(3, 3).sample(5.0, np.random.default_rng(0)), "size must"),
        (lambda: leaky_relu_law(3, 3, slope="a"), "slope must"),
        (lambda: newman_exponents(3, std="a"), "std must"),
        (lambda: linear_residual_law(3, 3, "a"), "branch must"),
        (lambda: relu_residual_moments(3, "a"), "branch must"),
    ],
)
def test_arguments_of_the_wrong_type(call, message):
    with pytest.raises(TypeError, match=message):
        call()


def test_nan_is_refused():
    for method in ("cdf", "sf", "pdf", "quantile", "cdf_log10"):
        with pytest.raises(ValueError, match="nan"):
            getattr(relu_law(3, 3), method)([0.5, math.nan])


@pytest.mark.parametrize("depth", [10, 100, 300, 1000, 3000])
def test_healthy_is_no_negative_probability_where_almost_all_vanish(depth):
    law = vgsim.theory.linear_law(1, depth)
    healthy = law.probability("healthy")
    others = law.probability("vanishing") + law.probability("exploding")
    assert healthy >= 0
    assert abs(healthy + others - 1) < 1e-12


@pytest.mark.parametrize(
    "law",
    [
        relu_law(8, 3, dropout=0.2),
        leaky_relu_law(8, 3, slope=0.3),
        linear_law(8, 3),
        linear_residual_law(8, 3),
    ],
)
def test_laws_can_be_pickled(law):
    again = pickle.loads(pickle.dumps(law))
    assert (again.mean, again.variance, again.cdf(1.0)) == (law.mean, law.variance, law.cdf(1.0))
