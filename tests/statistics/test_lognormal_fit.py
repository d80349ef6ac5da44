"""Goodness-of-fit tests against published tables and SciPy, and on samples of known laws."""

import math

import numpy as np
import pytest
from scipy import stats

import exact_relu
import vgsim
from known_runs import of_ratios
from vgsim._checks import DECADE
from vgsim._statistics.lognormal_fit import _null, fit
from vgsim.theory import linear_law, relu_law
from vgsim.theory._prediction import law_above


def normal(n, seed=0):
    return np.random.default_rng(seed).normal(-3.0, 2.0, size=n)


# Distances and p-values


@pytest.mark.parametrize("n", [8, 50, 3000])
def test_distances_are_scipys(n):
    x = normal(n)
    found = fit(x, 0)
    fitted = stats.norm(x.mean(), x.std(ddof=1))
    assert found.ks.distance == pytest.approx(stats.kstest(x, fitted.cdf).statistic)
    ad = stats.goodness_of_fit(
        stats.norm, x, known_params={}, statistic="ad", n_mc_samples=1, random_state=0
    )
    assert found.anderson_darling.distance == pytest.approx(ad.statistic, rel=2 / n)


@pytest.mark.parametrize(
    ("which", "levels", "published"),
    [
        (0, [0.15, 0.10, 0.05, 0.025, 0.01], [0.775, 0.819, 0.895, 0.955, 1.035]),
        (1, [0.15, 0.10, 0.05, 0.025, 0.01], [0.561, 0.631, 0.752, 0.873, 1.035]),
    ],
    ids=["Kolmogorov-Smirnov", "Anderson-Darling"],
)
@pytest.mark.parametrize("n", [20, 100])
def test_null_law_is_that_of_stephens(which, levels, published, n):
    """Table 1A of Stephens (1974), normal with both parameters estimated."""
    found = np.quantile(_null(n, True)[which], 1 - np.array(levels))
    tolerance = 0.04 * np.array(published)
    assert np.all(abs(found - published) <= tolerance)


def test_null_law_of_a_specified_law_is_that_of_stephens():
    """A² without estimated parameters (case 0)."""
    found = np.quantile(_null(100, False)[1], [0.9, 0.95, 0.975, 0.99])
    assert found == pytest.approx([1.933, 2.492, 3.070, 3.857], rel=0.05)


@pytest.mark.parametrize("n", [30, 400])
def test_p_values_are_uniform_where_the_law_holds(n):
    found = [fit(normal(n, seed), 0) for seed in range(300)]
    for test in ("ks", "anderson_darling"):
        p = [getattr(f, test).p_value for f in found]
        assert stats.kstest(p, "uniform").pvalue > 1e-3


@pytest.mark.parametrize("statistic", ["ks", "ad"])
def test_p_values_are_scipys(statistic):
    x = np.random.default_rng(3).gamma(9.0, size=60)
    theirs = stats.goodness_of_fit(stats.norm, x, statistic=statistic, random_state=0)
    ours = fit(x, 0)
    p = (ours.ks if statistic == "ks" else ours.anderson_darling).p_value
    assert p == pytest.approx(theirs.pvalue, abs=0.02)


# Laws that are known


@pytest.fixture(scope="module")
def relu():
    """R of 50,000 He ReLU networks of width 32 and depth 100."""
    return exact_relu.draw(50_000, np.random.default_rng(7))


def test_many_relu_networks_are_not_log_normal(relu):
    law = relu_law(32, 100)
    found = fit(relu, 0, 0.95, law)
    assert found.anderson_darling.p_value < 1e-3
    assert found.ks.p_value < 0.05
    assert found.skewness.high < 0
    assert found.exact.ks.p_value > 0.01
    assert found.exact.anderson_darling.p_value > 0.01
    assert found.mean.low < 100 * -0.0825402081 < found.mean.high
    assert found.variance.low < 100 * 0.1774977872 < found.variance.high


def test_few_relu_networks_cannot_be_told_from_log_normal(relu):
    rejected = [fit(x, 0).anderson_darling.p_value < 0.05 for x in relu[:20_000].reshape(100, 200)]
    assert np.mean(rejected) < 0.15


def test_exact_law_is_rejected_where_it_does_not_hold(relu):
    found = fit(relu[:5000], 0, 0.95, relu_law(32, 105))
    assert found.exact.ks.p_value < 1e-6
    assert found.exact.anderson_darling.p_value == 1e-4


def test_exact_distances_are_scipys():
    law = linear_law(16, 5)
    x = law.sample(500, np.random.default_rng(0))
    found = fit(x / DECADE, 0, 0.95, law).exact.ks
    expected = stats.kstest(x, law.cdf)
    assert found.distance == pytest.approx(expected.statistic, rel=1e-6)
    assert found.p_value == pytest.approx(expected.pvalue, rel=1e-4)


def test_moments_are_of_the_log_of_the_squared_ratio():
    x = normal(400)
    found = fit(x, 0, 0.9)
    squared = 2 * math.log(10) * x
    expected = squared.mean(), squared.var(ddof=1), stats.skew(squared), stats.kurtosis(squared)
    estimates = found.mean, found.variance, found.skewness, found.kurtosis
    assert [e.estimate for e in estimates] == pytest.approx(expected, rel=1e-9)
    assert all(e.low < e.estimate < e.high for e in estimates)
    assert {e.confidence_level for e in estimates} == {0.9}


# Simulations


def test_relu_simulation():
    """Narrow networks: some are dead, the others follow the exact law, at every layer."""
    net = vgsim.MLP(depth=20, width=8, activation="relu", init="he_normal")
    s = vgsim.simulate(net, 20_000, layers=(0, 10, 20))
    for layer in (0, 10):
        found = s.lognormal_fit(layer)
        assert found.n_dead == s.probability("dead", layer).events > 0
        assert found.n + found.n_dead == len(s)
        assert found.anderson_darling.p_value < 1e-3
        assert found.exact.ks.p_value > 1e-3
        assert found.exact.anderson_darling.p_value > 1e-3
    with pytest.raises(ValueError, match="needs samples that differ, got .* equal samples"):
        s.lognormal_fit(20)


@pytest.mark.parametrize(
    "net",
    [
        vgsim.MLP(6, [10, 20, 30, 20, 10, 5, 8], activation="leaky_relu", init="he_normal"),
        vgsim.MLP(
            8, 16, activation="linear", residual=vgsim.Residual(branch="1/sqrt(blocks)", skip=0.5)
        ),
    ],
    ids=["uneven widths", "residual"],
)
@pytest.mark.parametrize("layer", [0, 3])
def test_exact_law_of_other_networks(net, layer):
    s = vgsim.simulate(net, 4000, layers=(layer,))
    exact = s.lognormal_fit(layer).exact
    assert exact.ks.p_value > 1e-3
    assert exact.anderson_darling.p_value > 1e-3


@pytest.mark.parametrize(
    ("net", "options"),
    [
        (vgsim.MLP(4, 8, activation="tanh"), {}),
        (vgsim.MLP(4, 8, activation="relu", norm="layer"), {}),
        (vgsim.MLP(4, 8, activation="relu", residual=vgsim.Residual(2)), {}),
        (vgsim.MLP(4, 8, activation="relu"), {"batch_size": 2}),
        (vgsim.MLP(4, 8, activation="relu"), {"loss": "mse"}),
        (vgsim.RNN(4, 8, activation="linear"), {}),
    ],
)
def test_where_no_exact_law_is_known(net, options):
    s = vgsim.simulate(net, 20, layers=(0, 1), **options)
    for layer in (0, 1):
        assert law_above(s.network, layer, s.batch_size, s.loss) is None
    assert s.lognormal_fit().exact is None


def test_fit_refuses():
    message = "lognormal_fit needs 8 or more samples that are not dead at layer 0, got 7 of 8"
    with pytest.raises(ValueError, match=message):
        of_ratios([*range(7), -math.inf]).lognormal_fit()
    with pytest.raises(ValueError, match="confidence_level must be a number strictly between"):
        of_ratios(range(8)).lognormal_fit(confidence_level=0)
    with pytest.raises(ValueError, match="needs samples that differ, got 9 equal samples"):
        of_ratios([1.0] * 9).lognormal_fit()


def test_prints_as_a_report():
    ratios = [*normal(100), -math.inf]
    lines = str(of_ratios(ratios).lognormal_fit()).splitlines()
    assert lines[0] == "ln(|G_l|^2 / |G_D|^2) of 100 networks, 1 dead left out"
    assert [line.split()[0] for line in lines[2:6]] == ["mean", "variance", "skewness", "kurtosis"]
    assert lines[7].split() == ["log-normal"]
    law = linear_law(16, 5)
    report = str(fit(law.sample(200, np.random.default_rng(0)) / DECADE, 0, 0.95, law))
    assert report.isascii()
    tests = report.splitlines()[-2:]
    assert [line.split()[0] for line in tests] == ["Kolmogorov-Smirnov", "Anderson-Darling"]
    assert [line.count("p = ") for line in tests] == [2, 2]
    assert report.splitlines()[-3].split() == ["log-normal", "exact", "law"]
