"""Histograms and ridges: bins against NumPy, laws against their own derivation."""

import numpy as np
import pytest
from scipy import stats

import vgsim
from drawn_artists import legend

pytest.importorskip("matplotlib")
from matplotlib import pyplot

plotting = vgsim.plotting
DECADE = 2 * np.log(10)


def area(steps):
    values, edges, _ = steps.get_data()
    return float(values @ np.diff(edges))


def test_bars_are_those_of_numpy(rng):
    values = rng.normal(size=3000)
    (steps,) = plotting.histogram(values)
    density, edges = np.histogram(values, "auto", density=True)
    np.testing.assert_allclose(steps.get_data().values, density)
    np.testing.assert_allclose(steps.get_data().edges, edges)


@pytest.mark.parametrize("bins", [7, [-1.0, 0.0, 0.5, 1.0]])
def test_bins_of_the_caller(bins, rng):
    values = rng.uniform(-1, 1, size=100)
    (steps,) = plotting.histogram(values, bins=bins)
    np.testing.assert_allclose(steps.get_data().values, np.histogram(values, bins, density=True)[0])


def test_entries_of_a_matrix_are_values_too(rng):
    gradient = rng.normal(size=(40, 30))
    (steps,) = plotting.histogram(gradient)
    np.testing.assert_allclose(
        steps.get_data().values, np.histogram(gradient, "auto", density=True)[0]
    )


def test_dead_and_outlying_values_are_in_the_legend_and_not_in_the_area(rng):
    values = np.concatenate([rng.uniform(-1, 1, 60), np.full(30, -np.inf), np.full(10, 50.0)])
    drawn = plotting.histogram(values, bins=np.linspace(-1, 1, 5), label="n = 4")
    assert area(drawn[0]) == pytest.approx(0.6)
    assert legend(drawn.axes) == ["n = 4 (30 % dead, 10 % outside the bins)"]


def test_heavy_tails_need_no_more_than_200_bins(rng):
    values = rng.standard_cauchy(20_000)
    (steps,) = plotting.histogram(values)
    assert steps.get_data().values.size == 200
    assert area(steps) == pytest.approx(1)


@pytest.mark.parametrize("values", [[3.0], [0.1 + 0.2, 0.3] * 50, [-np.inf, 2.0]])
def test_equal_values_are_one_bar(values):
    drawn = plotting.histogram(values, fit=True)
    assert len(drawn) == 1
    assert drawn[0].get_data().values.size == 1


def test_nothing_but_dead_samples():
    drawn = plotting.histogram([-np.inf, -np.inf])
    assert area(drawn[0]) == 0
    assert legend(drawn.axes) == ["100 % dead"]


def test_law_is_a_density_of_decades():
    """The law of one linear layer: R = log10 of the root of χ²_n/n."""
    n = 16
    law = vgsim.theory.linear_law(n, 1)
    R = np.log10(stats.chi2(n).rvs(1000, random_state=0) / n) / 2
    _, line = plotting.histogram(R, law=law)
    r = line.get_xdata()
    x = n * 10 ** (2 * r)
    np.testing.assert_allclose(line.get_ydata(), stats.chi2(n).pdf(x) * x * DECADE, rtol=1e-6)
    assert line.get_linestyle() == "--"


def test_law_with_dead_networks_has_the_area_of_the_living():
    law = vgsim.theory.relu_law(4, 10)
    R = law.sample(4000, np.random.default_rng(0)) / DECADE
    steps, line, fit = plotting.histogram(R, law=law, fit=True)
    alive = (1 - 2.0**-4) ** 10
    assert area(steps) == pytest.approx(alive, abs=0.04)
    for curve in (line, fit):
        assert np.trapezoid(curve.get_ydata(), curve.get_xdata()) == pytest.approx(alive, abs=0.04)


def test_frozen_laws_of_scipy_are_laws(rng):
    _, line = plotting.histogram(rng.normal(size=99), law=stats.norm(0, DECADE))
    np.testing.assert_allclose(line.get_ydata(), stats.norm.pdf(line.get_xdata()))


def test_fit_is_the_normal_law_of_the_values(rng):
    values = rng.normal(-3, 2, size=400)
    _, line = plotting.histogram(values, fit=True)
    fitted = stats.norm(values.mean(), values.std(ddof=1))
    np.testing.assert_allclose(line.get_ydata(), fitted.pdf(line.get_xdata()))
    assert line.get_linestyle() == "--"
    assert legend(line.axes) == ["log-normal fit"]


def test_fit_of_samples_is_the_same_as_true():
    s = vgsim.simulate(vgsim.MLP(10, 8), 500)
    R = s.log10_ratio[:, 0]
    given, found = (plotting.histogram(R, fit=fit)[1] for fit in (s.lognormal_fit(), True))
    np.testing.assert_allclose(given.get_ydata(), found.get_ydata(), rtol=1e-9)


def test_histograms_overlay():
    ax = plotting.histogram([0.0, 1.0, 2.0], label="a", fit=True).axes
    plotting.histogram([1.0, 2.0, 3.0], label="b", fit=True, ax=ax)
    first, second = ax.patches
    assert first.get_edgecolor() != second.get_edgecolor()
    assert first.get_linestyle() != second.get_linestyle()
    assert legend(ax) == ["a", "b", "log-normal fit"]


def test_threshold_lines():
    drawn = plotting.histogram(np.linspace(-3, 1, 50), threshold=1e-2)
    assert [line.get_xdata()[0] for line in drawn[1:]] == [-2]
    drawn = plotting.histogram(np.linspace(-3, 3, 50), threshold=1e-2)
    assert [line.get_xdata()[0] for line in drawn[1:]] == [-2, 2]


def test_ridges_have_equal_heights_and_their_place(rng):
    columns = [rng.normal(-d, d, size=1000) for d in (1, 2, 4)]
    drawn = plotting.ridge(columns, (10, 20, 40))
    heights = []
    for level, (steps, column) in enumerate(zip(drawn, columns, strict=True)):
        values, edges, baseline = steps.get_data()
        assert baseline == level
        density = np.histogram(column, edges, density=True)[0]
        heights.append((values - level).max())
        np.testing.assert_allclose((values - level) / heights[-1], density / density.max())
    np.testing.assert_allclose(heights, heights[0])
    assert [text.get_text() for text in drawn.axes.get_yticklabels()] == ["10", "20", "40"]


def test_ridges_show_laws_and_dead_samples():
    law = vgsim.theory.relu_law(4, 10)
    R = law.sample(500, np.random.default_rng(0)) / DECADE
    steps, _, line, text = plotting.ridge([R, R[R > -9]], [1, 2], laws=[law, None])
    dead = np.count_nonzero(np.isneginf(R)) / R.size
    assert text.get_text() == f"{100 * dead:.3g} % dead"
    values, edges, _ = steps.get_data()
    scale = (
        values.max() / np.histogram(R[np.isfinite(R)], edges)[0].max() * R.size * np.diff(edges)[0]
    )
    at = line.get_xdata()
    np.testing.assert_allclose(line.get_ydata(), scale * DECADE * law.pdf(DECADE * at))


BAD = [
    (lambda: plotting.histogram([]), ValueError, "values must have one or more entries"),
    (lambda: plotting.histogram([np.nan]), ValueError, "values must not be NaN"),
    (lambda: plotting.histogram([np.inf]), ValueError, "values must be finite or -inf"),
    (lambda: plotting.histogram("R"), TypeError, "values must be a number or an array"),
    (lambda: plotting.histogram([1.0], bins=0), ValueError, "bins must be a number of bins from"),
    (lambda: plotting.histogram([1.0], bins=[2, 1]), ValueError, "bins must be a number of bins"),
    (
        lambda: plotting.histogram([1.0], law=np.exp),
        TypeError,
        "law must have the methods pdf, cdf",
    ),
    (lambda: plotting.histogram([1.0], fit="yes"), TypeError, "fit must be True, False or a vgsim"),
    (lambda: plotting.histogram([1.0], threshold=0), ValueError, "threshold must be 0 < threshold"),
    (lambda: plotting.ridge([[1.0]], [1, 2]), ValueError, "places must have 1 entries, got 2"),
    (lambda: plotting.ridge([[1.0]], [1], laws=[]), ValueError, "laws must be 1, got 0"),
    (lambda: plotting.ridge([[1.0]], [1], laws=[0]), TypeError, "law must have the methods"),
]


@pytest.mark.parametrize(("call", "error", "message"), BAD)
def test_refused_arguments_leave_no_figure(call, error, message):
    with pytest.raises(error, match=message):
        call()
    assert not pyplot.get_fignums()


def test_equal_values_are_a_narrow_bar_of_a_ridge(rng):
    values = rng.uniform(-10, 0, size=200)
    _, bar = plotting.ridge([values, np.zeros(200)], [0, 20])
    np.testing.assert_allclose(np.ptp(bar.get_data().edges), 0.02 * -values.min())


def test_ridges_tell_what_their_bins_leave_out():
    remarks = [t.get_text() for t in plotting.ridge([[0.5, 2, 3], [0.1, 0.2, -np.inf]], [1, 2],
               bins=[0, 1]).axes.texts]  # fmt: skip
    assert remarks == ["66.7 % outside the bins", "33.3 % dead"]


@pytest.mark.parametrize("bins", [10**9, True, 2.5, "fd", [0], [0, 0], [0, np.nan], [[0, 1]]])
def test_bins_that_are_none(bins):
    with pytest.raises(ValueError, match="bins must be a number of bins from 1 to 10000 or their"):
        plotting.histogram([1.0, 2.0], bins=bins)


def test_nearly_equal_large_values_are_inside_their_bin():
    (steps,) = drawn = plotting.histogram([1e10, 1e10 + 1])
    assert area(steps) == pytest.approx(1)
    assert drawn.axes.get_legend() is None
