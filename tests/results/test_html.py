"""What notebooks show of samples, curves, estimates, fits and theory."""

import re
import struct
import sys

import numpy as np
import pytest

import vgsim
from shown_html import shown

NUMBER = re.compile(r"-?\d[\d.]*(?:e[+-]\d+)?|-?inf")
RELU = vgsim.MLP(60, 8, activation="relu")


@pytest.fixture(scope="module")
def samples():
    return vgsim.simulate(RELU, 400, layers=range(0, 61, 5))


@pytest.fixture(scope="module")
def curve():
    return vgsim.depth_curve(RELU, (20, 60, 200), 300)


def numbers(cell):
    return list(map(float, NUMBER.findall(cell)))


def agrees(cell, value, low, high):
    """Whether a cell has an estimate and its limits, rounded to less than half their distance."""
    found = numbers(cell.split(")")[0])
    step = (high - low) / 10
    assert found[0] == pytest.approx(value, abs=step)
    if len(found) == 3:
        assert found[1:] == [pytest.approx(low, abs=step), pytest.approx(high, abs=step)]
    else:
        assert value in (0, 1)
        assert found[1] == pytest.approx(high if value == 0 else low, abs=4 * step)
        assert found[1] >= high if value == 0 else found[1] <= low  # never narrower


def size_of(png):
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    return struct.unpack(">II", png[16:24])


def test_samples_show_their_layers_and_a_histogram(samples):
    pytest.importorskip("matplotlib")
    found = shown(samples)
    header, *rows = found.rows
    assert header == [
        "layer", "P(vanishing)", "P(exploding)", "P(dead)", "median of R", "5 % to 95 %",
    ]  # fmt: skip
    layers = [int(row[0]) for row in rows]
    assert (layers[0], layers[-1], len(layers)) == (0, 60, 9)
    for layer, vanishing, exploding, dead, median, ends in ([int(r[0]), *r[1:]] for r in rows):
        for event, cell in zip(
            ("vanishing", "exploding", "dead"), (vanishing, exploding, dead), strict=True
        ):
            p = samples.probability(event, layer)
            agrees(cell, p.estimate, p.low, p.high)
        if layer < 60:
            m = samples.quantile_interval(0.5, layer)
            agrees(median, m.estimate, m.low, m.high)
        np.testing.assert_allclose(
            numbers(ends), samples.quantile([0.05, 0.95], layer), atol=0.0051
        )
    assert f"400 networks {RELU!r}, seed 0; 9 of 13 layers" in found.text
    assert "R < -6" in found.text
    (picture,) = found.pictures
    assert size_of(picture) == (900, 520)
    assert found.images[0]["width"] == "450"
    assert found.images[0]["alt"] == "histogram of R at layer 0"


def test_dead_networks_have_a_column_only_if_there_are_any():
    tanh = shown(vgsim.simulate(vgsim.MLP(5, 8), 50))
    assert "P(dead)" not in tanh.rows[0]
    assert "dead" not in tanh.text
    narrow = vgsim.simulate(vgsim.MLP(60, 2, activation="relu"), 100, layers=(0,))
    assert narrow.n_dead > 50
    found = shown(narrow)
    assert "-inf if dead" in found.text
    assert found.rows[1][found.rows[0].index("median of R")] == "-inf"


def test_without_gradients_or_with_few_samples_there_is_no_picture():
    few = vgsim.simulate(vgsim.MLP(5, 8), 3)
    assert shown(few).pictures == []
    other = vgsim.simulate(vgsim.MLP(5, 8), 30, record=("activation",))
    found = shown(other)
    assert (found.rows, found.pictures) == ([], [])
    assert "recorded: activation" in found.text
    last = vgsim.simulate(vgsim.MLP(5, 8), 30, layers=(5,))  # R = 0 for all
    assert shown(last).pictures == []


def test_labels_are_escaped():
    norms = 10.0 ** np.array([[-7.0, 0.0], [-5.0, 0.0]])
    measured = vgsim.Samples.from_norms(norms, norms[:, -1], label="<b>&\"it's</b>")
    for thing in (measured, measured.network, measured.profile(), measured.summary()):
        found = shown(thing)
        assert "<b>" not in found.html
        assert "&lt;b&gt;&amp;" in found.html
        assert "<b>&" in found.text


def test_summary_shows_its_columns(samples):
    found = shown(samples.summary(threshold=1e-2))
    header, *rows = found.rows
    assert header[:6] == ["layer", "P(vanishing)", "P(exploding)", "P(dead)", "mean", "std"]
    assert len(rows) == 13
    cells = dict(zip(header, rows[0], strict=True))
    p = samples.probability("vanishing", 0, 1e-2)
    agrees(cells["P(vanishing)"], p.estimate, p.low, p.high)
    assert cells["mean"] == f"{samples.mean(0):.3f}"
    assert float(cells["median"]) == pytest.approx(samples.quantile(0.5, 0), abs=0.0051)
    assert "below -2" in found.text


def test_a_long_table_is_cut_in_the_middle():
    found = shown(vgsim.simulate(vgsim.MLP(100, 2), 10, layers=range(101)).summary())
    assert [row[0] for row in found.rows[1:]] == [
        *map(str, range(6)), "… 89 more", *map(str, range(95, 101)),
    ]  # fmt: skip


def test_curves_show_their_places_and_the_picture_that_says_most(curve, samples):
    pytest.importorskip("matplotlib")
    found = shown(curve)
    assert [row[0] for row in found.rows] == ["depth", "20", "60", "200"]
    p = curve.probability()
    for row, *entry in zip(found.rows[1:], p.estimate, p.low, p.high, strict=True):
        agrees(row[1], *entry)
    assert [one["alt"] for one in found.images] == ["P(vanishing) against the depth"]
    flat = shown(vgsim.depth_curve(vgsim.MLP(1, 64), (2, 4), 30))
    assert [one["alt"] for one in flat.images] == ["quantiles of R against the depth"]
    profile = shown(samples.profile())
    assert [one["alt"] for one in profile.images] == ["quantiles of R against the layer"]


def test_no_figure_of_pyplot_is_opened(samples, curve):
    pyplot = pytest.importorskip("matplotlib.pyplot")
    before, settings = pyplot.get_fignums(), dict(pyplot.rcParams)
    for thing in (samples, curve, samples.profile()):
        assert shown(thing).pictures
    assert pyplot.get_fignums() == before
    assert dict(pyplot.rcParams) == settings


def test_without_matplotlib_there_are_tables_only(samples, curve, monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    for thing in (samples, curve, samples.profile()):
        found = shown(thing)
        assert found.pictures == []
        assert len(found.rows) >= 3


# Estimates, fits and theory


def test_estimates_are_short(samples, curve):
    p = samples.probability("vanishing")
    found = shown(p)
    agrees(found.text, p.estimate, p.low, p.high)
    assert f"{p.events} of 400 samples, 95 % wilson interval" in found.text
    agrees(repr(p), p.estimate, p.low, p.high)
    assert len(repr(p)) < 80
    mean = samples.mean_interval()
    agrees(shown(mean).text, mean.estimate, mean.low, mean.high)
    agrees(repr(mean), mean.estimate, mean.low, mean.high)
    many = samples.profile().mean()
    found = shown(many)
    assert found.rows[0] == ["entry", "estimate"]
    for row in found.rows[1:7]:
        entry = int(row[0])
        agrees(row[1], many.estimate[entry], many.low[entry], many.high[entry])
    assert "..." in repr(many)
    assert len(repr(many)) < 300
    table = vgsim.Estimate(np.zeros((2, 2)), np.zeros((2, 2)), np.ones((2, 2)), 0.95, "exact")
    assert [row[0] for row in shown(table).rows[1:]] == ["0, 0", "0, 1", "1, 0", "1, 1"]
    assert "of shape (2, 2)" in repr(table)


def test_fits_show_their_estimates(samples, curve):
    fit = samples.lognormal_fit()
    rows = {row[0]: row[1:] for row in shown(fit).rows}
    for name in ("mean", "variance", "skewness", "kurtosis"):
        estimate = getattr(fit, name)
        agrees(rows[f"{name} of X"][0], estimate.estimate, estimate.low, estimate.high)
    assert rows["test"] == ["log-normal law", "exact law"]
    ks = numbers(rows["Kolmogorov-Smirnov"][1])
    assert ks == [
        pytest.approx(fit.exact.ks.distance, rel=1e-3),
        pytest.approx(fit.exact.ks.p_value, rel=1e-2),
    ]
    assert f"{fit.n_dead} dead left out" in shown(fit).text
    assert len(repr(fit)) < 300
    scale = curve.depth_scale()
    rows = {row[0]: row[1] for row in shown(scale).rows}
    for name in ("depth_scale", "slope", "variance_growth"):
        estimate = getattr(scale, name)
        agrees(rows[name], estimate.estimate, estimate.low, estimate.high)
    assert len(repr(scale)) < 250


def test_lyapunov_shows_the_exponents():
    found = vgsim.lyapunov(vgsim.MLP(30, 8), 40, k=3)
    exponents = found.exponents()
    rows = shown(found).rows[1:]
    assert [row[0] for row in rows] == ["1", "2", "3"]
    for i, row in enumerate(rows):
        agrees(row[1], exponents.estimate[i], exponents.low[i], exponents.high[i])
    one = vgsim.lyapunov(vgsim.MLP(30, 8), 1)
    assert shown(one).rows == []


def test_theory_shows_six_digits_and_meanings():
    theory = vgsim.theory
    m = theory.mean_field(vgsim.MLP(50, 32, gain=1.5, bias_std=0.1))
    rows = {row[0]: row[1:] for row in shown(m).rows[1:]}
    assert len(rows) == 12
    for name in ("sigma_w", "q_star", "chi_1", "xi_grad"):
        assert float(rows[name][0]) == pytest.approx(getattr(m, name), rel=1e-5)
        assert rows[name][1]
    assert rows["phase"][0] == "chaotic"
    line = theory.critical_line("tanh", [0.0, 0.1])
    found = shown(line).rows
    assert found[0] == ["bias_std", "gain", "q_star", "chi_parallel"]
    assert list(map(float, found[2])) == pytest.approx(
        [0.1, line.gain[1], line.q_star[1], line.chi_parallel[1]], rel=1e-5
    )
    moments = theory.place_moments(vgsim.MLP(3, 16))
    assert [row[0] for row in shown(moments).rows] == ["place", "0", "1", "2", "3"]
    assert shown(theory.edge_of_chaos("tanh")).rows[2][:2] == ["gain", "1"]
    gradient = theory.log_gradient_moments(RELU)
    assert shown(gradient).rows[1][:2] == ["mean", f"{gradient.mean:.6g}"]
    for thing in (m, line, moments, gradient, theory.critical_gain("tanh", 0.1)):
        assert not re.search(r"\d{8}", repr(thing))
        assert len(repr(thing)) < 300
