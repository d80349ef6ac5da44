"""Curves and fans of quantiles: the data of the artists against numbers computed otherwise."""

import numpy as np
import pytest

import vgsim
from drawn_artists import legend, outline

pytest.importorskip("matplotlib")
from matplotlib import pyplot
from matplotlib.colors import to_hex, to_rgb

from vgsim.plotting.style import COLORS

plotting = vgsim.plotting
X = np.array([10, 30, 100, 300])
P = vgsim.Estimate(
    np.array([0.0, 0.2, 0.6, 1.0]),
    np.array([0.0, 0.1, 0.5, 0.9]),
    np.array([0.1, 0.3, 0.7, 1.0]),
    0.95,
    "wilson",
)


def test_probability_draws_estimate_interval_and_theory():
    line, band, theory = plotting.probability(X, P, theory=[0.0, None, 0.5, np.nan], label="tanh")
    ax = line.axes
    np.testing.assert_array_equal(line.get_xydata(), np.column_stack([X, P.estimate]))
    places, low, high = outline(band)
    np.testing.assert_array_equal([places, low, high], [X, P.low, P.high])
    np.testing.assert_array_equal(theory.get_ydata(), [0.0, np.nan, 0.5, np.nan])
    assert line.get_linestyle() == "-"
    assert theory.get_linestyle() == "--"  # matplotlib's name of any dashes
    assert legend(ax) == ["tanh", "theory"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("depth", "probability")
    low, high = ax.get_ylim()
    assert low < 0 < 1 < high


def test_logarithmic_axes_of_the_caller_stay():
    _, ax = pyplot.subplots()
    ax.set_yscale("log")
    plotting.probability(X, P, ax=ax)
    assert ax.get_yscale() == "log"
    assert ax.get_ylim()[0] > 0


def test_order_of_places_does_not_matter():
    order = [2, 0, 3, 1]
    shuffled = vgsim.Estimate(P.estimate[order], P.low[order], P.high[order], 0.95, "wilson")
    line, band = plotting.probability(X[order], shuffled)
    np.testing.assert_array_equal(line.get_xydata(), np.column_stack([X, P.estimate]))
    np.testing.assert_array_equal(outline(band)[1], P.low)


def test_small_probabilities_have_a_range_of_their_own():
    ax = plotting.probability(X, [0, 1e-4, 2e-4, 5e-4]).axes
    assert ax.get_ylim()[1] < 1e-3


@pytest.mark.parametrize(
    ("x", "scale"),
    [
        ([10, 30, 100, 300], "log"),
        ([3, 5, 9, 20], "linear"),  # less than a decade
        (np.arange(1, 101), "linear"),  # evenly spaced
        ([0, 1, 10, 100], "linear"),
    ],
)
def test_axis_of_depths_is_logarithmic_where_depths_are_spaced_so(x, scale):
    assert plotting.curve(x, np.zeros(len(x))).axes.get_xscale() == scale


def test_labels_of_depths_are_plain_numbers():
    ax = plotting.probability(X, P).axes
    ax.figure.canvas.draw()
    assert {text.get_text() for text in ax.get_xticklabels()} >= {"10", "30", "100", "300"}


def test_series_on_the_same_axes_differ_without_colour_too():
    ax = plotting.probability(X, P, label="first").axes
    for label in ("second", "third"):
        assert plotting.probability(X, P, label=label, ax=ax).axes is ax
    colors, markers = ([get(line) for line in ax.lines] for get in (to_color, to_marker))
    assert len(set(colors)) == len(set(markers)) == 3
    assert legend(ax) == ["first", "second", "third"]
    (other,) = plotting.curve(X, P.estimate, color="red", ax=ax)
    assert to_color(other) == "#ff0000"
    assert to_marker(other) not in markers
    ax.clear()
    assert to_color(plotting.curve(X, P.estimate, ax=ax)[0]) == colors[0]


def to_color(line):
    return to_hex(line.get_color())


def to_marker(line):
    return line.get_marker()


def test_names_of_axes_are_kept_unless_given():
    ax = plotting.probability(X, P, ylabel="P(dead)").axes
    plotting.probability(X, P, ax=ax)
    assert ax.get_ylabel() == "P(dead)"
    plotting.probability(X, P, ylabel="other", ax=ax)
    assert ax.get_ylabel() == "other"


def test_one_place_has_an_error_bar():
    one = vgsim.Estimate(np.array([0.5]), np.array([0.4]), np.array([0.7]), 0.95, "wilson")
    _, bar = plotting.probability([10], one)
    np.testing.assert_allclose(bar.lines[2][0].get_segments()[0], [[10, 0.4], [10, 0.7]])


def test_minus_infinity_is_shown_by_arrows():
    line, arrows = plotting.curve(X, [-1.0, -2.0, -np.inf, -np.inf])
    np.testing.assert_array_equal(line.get_ydata(), [-1, -2, np.nan, np.nan])
    assert arrows.get_xdata().tolist() == [100, 300]
    assert arrows.get_transform() == line.axes.get_xaxis_transform()


def test_quantiles_are_those_of_numpy(rng):
    values = rng.normal(size=(500, 4)) - np.arange(4)
    middle, outer, inner = plotting.quantiles(X, values)
    np.testing.assert_allclose(middle.get_ydata(), np.median(values, axis=0))
    for band, (a, b) in ((outer, (0.05, 0.95)), (inner, (0.25, 0.75))):
        places, low, high = outline(band)
        np.testing.assert_array_equal(places, X)
        np.testing.assert_allclose([low, high], np.quantile(values, [a, b], axis=0))
    assert legend(middle.axes) == ["median", "5 to 95 %", "25 to 75 %"]


def test_columns_may_differ_in_length(rng):
    columns = [rng.normal(size=n) for n in (3, 50, 200)]
    middle, _ = plotting.quantiles([0, 1, 2], columns, levels=[0.1, 0.5, 0.9])
    np.testing.assert_allclose(middle.get_ydata(), [np.median(c) for c in columns])


def test_dead_quantiles_reach_the_lower_edge():
    columns = [np.arange(-9.0, 0.0), [-np.inf] * 3 + [-4.0] * 6, [-np.inf] * 6 + [-2.0] * 3]
    found = plotting.quantiles([0, 1, 2], columns, levels=[0.2, 0.5, 0.8])
    middle, band, arrows = found
    assert middle.get_ydata().tolist()[:2] == [-5.0, -4.0]
    assert np.isnan(middle.get_ydata()[2])
    assert arrows.get_xdata().tolist() == [1, 2]
    bottom = found.axes.get_ylim()[0]
    _, low, _ = outline(band)
    assert low[0] > bottom == low[1] == low[2]
    assert legend(found.axes)[0] == "up to 66.7 % dead"


def test_all_dead():
    drawn = plotting.quantiles([0, 1], np.full((5, 2), -np.inf), label="n = 1")
    assert legend(drawn.axes)[0] == "n = 1 (up to 100 % dead)"


@pytest.mark.parametrize("color", [*COLORS, "0.1"])
def test_theory_is_seen_over_a_curve_of_any_colour(color):
    line, *_, theory = plotting.probability(X, P, theory=[0.1, 0.2, 0.3, 0.4], color=color)
    lightness = [
        np.dot(to_rgb(each.get_color()), (0.2126, 0.7152, 0.0722)) for each in (line, theory)
    ]
    assert abs(lightness[0] - lightness[1]) > 0.1


def test_theory_and_threshold_of_a_fan(rng):
    drawn = plotting.quantiles(
        [0, 5, 10], rng.normal(size=(9, 3)), theory_mean=[None, 1.0, 2.0], threshold=1e-2
    )
    assert drawn[3].get_ydata().tolist()[1:] == [1.0, 2.0]
    levels = [line.get_ydata()[0] for line in drawn[4:]]
    assert levels[0] == pytest.approx(-2)
    assert "threshold" in legend(drawn.axes)


BAD = [
    (lambda: plotting.probability([[1]], [0.5]), ValueError, "x must be a vector of one or more"),
    (lambda: plotting.probability([1, np.inf], [0.5, 0.5]), ValueError, "x must be a vector"),
    (lambda: plotting.probability([1, 2], [0.5]), ValueError, r"estimate must have the shape \(2,"),
    (lambda: plotting.probability([1], [1.5]), ValueError, "estimate must be from 0 to 1 or NaN"),
    (lambda: plotting.probability([1], [0], theory=[2]), ValueError, "theory must be from 0 to 1"),
    (lambda: plotting.probability([1], "high"), TypeError, "estimate must be an array of numbers"),
    (lambda: plotting.curve([1], [0], label=3), TypeError, "label must be a string or None, got 3"),
    (lambda: plotting.curve([1], [0], xlabel=3), TypeError, "xlabel must be a string or None"),
    (lambda: plotting.curve([1], [0], color="bleu"), ValueError, "color must be a colour of"),
    (lambda: plotting.curve([1], [0], ax="axes"), TypeError, "ax must be matplotlib Axes or None"),
    (
        lambda: plotting.quantiles([0], np.zeros(3)),
        ValueError,
        r"columns must be an array \(n, k\)",
    ),
    (lambda: plotting.quantiles([0], [[np.inf]]), ValueError, "columns must be finite or -inf"),
    (lambda: plotting.quantiles([0], [[]]), ValueError, "columns must have one or more entries"),
    (lambda: plotting.quantiles([0], []), ValueError, "columns must be one or more, got none"),
    (lambda: plotting.quantiles([0, 1], [[0.0]]), ValueError, "x must have 1 entries, got 2"),
    (lambda: plotting.quantiles([0], [[0.0]], levels=[0.5, 0.1]), ValueError, "levels must be inc"),
    (lambda: plotting.quantiles([0], [[0.0]], levels=[0.0, 0.5]), ValueError, "levels must be inc"),
    (lambda: plotting.quantiles([0], [[0.0]], threshold=2), ValueError, "threshold must be 0 <"),
]


@pytest.mark.parametrize(("call", "error", "message"), BAD)
def test_refused_arguments_leave_no_figure(call, error, message):
    with pytest.raises(error, match=message):
        call()
    assert not pyplot.get_fignums()


def test_bands_at_a_single_place_are_bars():
    line, outer, inner = vgsim.plotting.quantiles([3], [np.arange(101.0)])
    np.testing.assert_allclose(outer.get_segments()[0], [[3, 5], [3, 95]])
    np.testing.assert_allclose(inner.get_segments()[0], [[3, 25], [3, 75]])
    assert line.get_ydata() == [50]
    assert outer.get_linewidth()[0] > 0
