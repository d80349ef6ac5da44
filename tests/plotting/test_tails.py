"""Survival functions and QQ plots against SciPy's binomial intervals and quantiles."""

import numpy as np
import pytest
from scipy import stats

import vgsim
from drawn_artists import legend, outline
from vgsim.plotting import tails

pytest.importorskip("matplotlib")
from matplotlib import pyplot

plotting = vgsim.plotting
DECADE = 2 * np.log(10)


@pytest.mark.parametrize("tail", ["lower", "upper"])
def test_fractions_and_exact_intervals(tail, rng):
    values = rng.normal(size=80)
    line, band = plotting.survival(values, tail=tail)
    r, p = line.get_data()
    counts = np.round(p * 80).astype(int)
    for at, k in zip(r, counts, strict=True):
        beyond = values <= at if tail == "lower" else values >= at  # just below at
        assert np.count_nonzero(beyond) == k
    assert 1 in counts
    assert line.axes.get_yscale() == "log"
    places, low, high = outline(band)
    np.testing.assert_array_equal(places, r)
    exact = [stats.binomtest(k, 80).proportion_ci(0.95, "exact") for k in counts]
    np.testing.assert_allclose(low, [e.low for e in exact])
    np.testing.assert_allclose(high, [e.high for e in exact])


def test_dead_samples_are_in_the_lower_tail_only(rng):
    values = np.concatenate([rng.normal(size=90), np.full(10, -np.inf)])
    lower, *_ = plotting.survival(values, label="n = 4")
    upper, *_ = plotting.survival(values, tail="upper")
    assert lower.get_ydata()[[0, -1]].tolist() == [0.11, 1.0]
    assert upper.get_ydata()[[0, -1]].tolist() == [0.9, 0.01]
    assert legend(lower.axes) == ["n = 4 (10 % dead)"]


@pytest.mark.parametrize("tail", ["lower", "upper"])
def test_laws_are_probabilities_of_decades(tail, rng):
    values = rng.normal(size=200)
    _, _, law, fit = plotting.survival(values, law=stats.norm(0, DECADE), fit=True, tail=tail)
    for line, known in (
        (law, stats.norm()),
        (fit, stats.norm(values.mean(), values.std(ddof=1))),
    ):
        r, p = line.get_data()
        np.testing.assert_allclose(p, known.cdf(r) if tail == "lower" else known.sf(r))


def test_large_samples_are_thinned_but_keep_the_extremes(rng):
    values = rng.normal(size=100_000)
    line, *_ = plotting.survival(values)
    assert line.get_xdata().size <= 400
    assert line.get_xdata()[:3].tolist() == np.sort(values)[:3].tolist()


def test_two_tails_on_the_same_axes_are_both_visible(rng):
    ax = plotting.survival(rng.normal(size=1000), tail="upper").axes
    plotting.survival(rng.normal(size=10), tail="upper", ax=ax)
    assert ax.get_ylim()[0] < 1e-3


def test_points_lie_at_normal_quantiles(rng):
    values = rng.normal(-5, 3, size=50)
    points, _, diagonal = plotting.qq(values)
    ordered = np.sort(values)
    at = np.searchsorted(ordered, points.get_ydata())
    fitted = stats.norm(values.mean(), values.std(ddof=1))
    np.testing.assert_allclose(points.get_xdata(), fitted.ppf((at + 0.5) / 50), atol=5e-3)
    assert {0, 49} <= set(at.tolist())
    np.testing.assert_array_equal(diagonal.get_xdata(), diagonal.get_ydata())


def test_quantiles_of_an_exact_law_with_dead_networks():
    law = vgsim.theory.relu_law(6, 10)
    R = law.sample(300, np.random.default_rng(1)) / DECADE
    points, *_ = plotting.qq(R, law=law, against="law")
    living = np.sort(R[np.isfinite(R)])
    rank = np.searchsorted(living, points.get_ydata()) + 1
    dead = law.dead_probability
    p = dead + (1 - dead) * (rank - 0.5) / living.size
    some = [0, p.size // 3, p.size - 1]
    np.testing.assert_allclose(points.get_xdata()[some], law.quantile(p[some]) / DECADE, rtol=1e-3)
    *_, line = plotting.qq(R, law=law)
    np.testing.assert_allclose(line.get_ydata()[some], law.quantile(p[some]) / DECADE, rtol=1e-3)
    assert legend(line.axes)[-1] == "exact law"


@pytest.mark.parametrize("n", [2, 20, 1000])
def test_band_contains_all_points_in_95_of_100_data_sets(n, rng):
    low, high = tails._simultaneous(n)
    ranks = tails._ranks(n)
    uniform = np.sort(rng.uniform(size=(4000, n)), axis=1)[:, ranks - 1]
    inside = np.mean(((low <= uniform) & (uniform <= high)).all(axis=1))
    assert inside == pytest.approx(0.95, abs=0.025)  # 4 standard errors, of both simulations


def test_band_of_the_plot_is_that_of_the_law(rng):
    values = rng.normal(size=100)
    points, band, _ = plotting.qq(values, law=stats.norm(0, DECADE), against="law")
    places, low, high = outline(band)
    np.testing.assert_allclose(places, points.get_xdata())
    for got, share in zip((low, high), tails._simultaneous(100), strict=True):
        np.testing.assert_allclose(got, stats.norm.ppf(share), atol=2e-3)


BAD = [
    (lambda: plotting.survival([-np.inf]), ValueError, "values must have a finite entry, got 1 of"),
    (
        lambda: plotting.survival([1.0], tail="left"),
        ValueError,
        "tail must be one of 'lower', 'upp",
    ),
    (lambda: plotting.survival([1.0], law=3), TypeError, "law must have the methods"),
    (lambda: plotting.qq([1.0, 1.0]), ValueError, "values must have two or more different finite"),
    (lambda: plotting.qq([1.0, 2.0], against="law"), ValueError, "law must be given for against="),
    (
        lambda: plotting.qq([1.0, 2.0], against="x"),
        ValueError,
        "against must be one of 'fit', 'law",
    ),
]


@pytest.mark.parametrize(("call", "error", "message"), BAD)
def test_refused_arguments_leave_no_figure(call, error, message):
    with pytest.raises(error, match=message):
        call()
    assert not pyplot.get_fignums()
