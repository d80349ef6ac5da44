"""Fans of quantiles show numbers, infinities and scales as given."""

import numpy as np
import pytest

pytest.importorskip("matplotlib")
from matplotlib import pyplot

from drawn_artists import legend, outline
from vgsim import plotting

X = np.array([0.0, 5.0, 10.0])
Q = np.array([[1.0, 2.0, 3.0], [2.0, 3.0, 5.0], [4.0, 4.0, 9.0]])
LEVELS = (0.1, 0.5, 0.9)


def test_line_and_band():
    line, band = drawn = plotting.fan(X, Q, levels=LEVELS, label="tanh")
    np.testing.assert_array_equal(line.get_xydata(), np.column_stack([X, Q[1]]))
    places, low, high = outline(band)
    np.testing.assert_array_equal([places, low, high], [X, Q[0], Q[2]])
    assert legend(drawn.axes) == ["tanh", "10 to 90 %"]
    assert (drawn.axes.get_xlabel(), drawn.axes.get_ylabel()) == ("step", "loss")
    assert drawn.axes.get_yscale() == "linear"


def test_the_order_of_places_does_not_matter():
    line, band = plotting.fan(X[::-1], Q[:, ::-1], levels=LEVELS)
    np.testing.assert_array_equal(line.get_ydata(), Q[1])
    np.testing.assert_array_equal(outline(band)[2], Q[2])


@pytest.mark.parametrize("scale", ["linear", "log"])
def test_infinite_quantiles_end_at_the_edges(scale):
    infinite = np.array([[-np.inf, 2.0, 3.0], [-np.inf, 3.0, np.inf], [4.0, np.inf, np.inf]])
    line, band, lower, upper = drawn = plotting.fan(X, infinite, levels=LEVELS, scale=scale)
    np.testing.assert_array_equal(line.get_ydata(), [np.nan, 3.0, np.nan])
    bottom, top = drawn.axes.get_ylim()
    _, low, high = outline(band)
    np.testing.assert_allclose([low[0], high[1], high[2]], [bottom, top, top])
    assert bottom < 2
    assert top > 4
    assert (lower.get_xdata().tolist(), upper.get_xdata().tolist()) == ([0], [10])
    assert (lower.get_ydata().tolist(), upper.get_ydata().tolist()) == ([0], [1])  # of the axes


def test_a_later_series_is_shown_whole():
    infinite = np.array([[-np.inf, 2.0, 3.0], [2.0, 3.0, 4.0], [4.0, 5.0, 6.0]])
    _, ax = pyplot.subplots()
    plotting.fan(X, infinite, levels=LEVELS, ax=ax)
    plotting.fan(X, infinite + 50, levels=LEVELS, ax=ax)
    bottom, top = ax.get_ylim()
    assert bottom < 2
    assert top >= 56


def test_zero_on_a_logarithmic_axis_is_shown_as_minus_infinity():
    found = np.array([[0.0, 1.0], [0.0, 2.0], [3.0, 5.0]])
    line, _, arrow = plotting.fan([0, 1], found, levels=LEVELS, scale="log")
    np.testing.assert_array_equal(line.get_ydata(), [np.nan, 2.0])
    assert arrow.get_xdata().tolist() == [0]


@pytest.mark.parametrize(
    ("span", "labels"),
    [
        ((0.62, 0.88), {"0.7", "0.8"}),
        ((0.45, 1.9), {"0.6", "1"}),
        ((0.002, 15), {"0.01", "0.1", "1", "10"}),
        ((1e-9, 1.0), {r"$\mathdefault{10^{-8}}$"}),
    ],
)
def test_labels_of_a_logarithmic_axis(span, labels):
    found = np.outer([1, 1, 1], np.geomspace(*span, 3))
    ax = plotting.fan(X, found, levels=LEVELS, scale="log").axes
    ax.figure.canvas.draw()
    low, high = ax.get_ylim()
    ticks = [*ax.yaxis.get_major_ticks(), *ax.yaxis.get_minor_ticks()]
    shown = {t.label1.get_text() for t in ticks if low <= t.get_loc() <= high} - {""}
    assert shown >= labels
    assert span[0] < 1e-3 or not any("$" in text for text in shown)


@pytest.mark.parametrize("value", [np.inf, -np.inf, 0.0, 1e-320, 1e-299, 1e299, 1.7e308])
@pytest.mark.parametrize("scale", ["linear", "log"])
def test_one_value_everywhere(value, scale):
    drawn = plotting.fan(X, np.full((3, 3), value), levels=LEVELS, scale=scale)
    assert np.isfinite(drawn.axes.get_ylim()).all()
    drawn.figure.canvas.draw()


def test_few_arrows_at_many_places():
    drawn = plotting.fan(np.arange(1000), np.full((3, 1000), np.inf), levels=LEVELS)
    assert 8 <= len(drawn[-1].get_xdata()) <= 16


def test_a_second_series_and_a_single_place():
    _, ax = pyplot.subplots()
    plotting.fan(X, Q, levels=LEVELS, label="a", ax=ax)
    plotting.fan([2.0], Q[:, :1], levels=LEVELS, label="b", ax=ax)
    assert legend(ax) == ["a", "b", "10 to 90 %"]


def test_an_even_number_of_levels_has_no_line():
    line, band = plotting.fan(X, Q[[0, 2]], levels=(0.1, 0.9))
    assert np.isnan(line.get_ydata()).all()
    np.testing.assert_array_equal(outline(band)[1], Q[0])


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((X, Q), {}, r"quantiles must have the shape \(5, 3\), got \(3, 3\)"),
        ((X, Q[::-1]), {"levels": LEVELS}, "quantiles must not decrease"),
        ((X, Q * np.nan), {"levels": LEVELS}, "quantiles must not be NaN"),
        ((X, Q), {"levels": (0.5, 0.1, 0.9)}, "levels must be increasing numbers"),
        ((X, Q), {"levels": LEVELS, "scale": "sqrt"}, "scale must be one of 'linear', 'log'"),
        (([0, 1, np.inf], Q), {"levels": LEVELS}, "x must be a vector of one or more finite"),
    ],
)
def test_refused(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        plotting.fan(*arguments, **options)
    assert not pyplot.get_fignums()
