"""Samples.plot, DepthCurve.plot and LayerProfile.plot draw what the methods of these return."""

import pickle
import subprocess
import sys

import numpy as np
import pytest

import vgsim
from drawn_artists import legend

matplotlib = pytest.importorskip("matplotlib")
pyplot = pytest.importorskip("matplotlib.pyplot")

DECADE = 2 * np.log(10)
RELU = vgsim.MLP(depth=10, width=8, activation="relu", init="he_normal")


@pytest.fixture(scope="module")
def samples():
    return vgsim.simulate(RELU, 600)


@pytest.fixture(scope="module")
def curve():
    return vgsim.depth_curve(RELU, (5, 20, 80, 160), 400)


def test_histogram_of_a_layer(samples):
    steps, law, _ = drawn = samples.plot(layer=5, label="ReLU")
    R = samples.log10_ratio[:, samples.column(5)]
    finite = R[np.isfinite(R)]
    density = np.histogram(finite, "auto", density=True)[0] * finite.size / R.size
    np.testing.assert_allclose(steps.get_data().values, density)
    # Layers 6 … 10 as the law of five layers, and the five below them alive.
    r = law.get_xdata()
    five = vgsim.theory.relu_law(8, 5)
    np.testing.assert_allclose(
        law.get_ydata(), (1 - 2.0**-8) ** 5 * DECADE * five.pdf(DECADE * r), rtol=1e-9
    )
    assert legend(drawn.axes)[1:] == ["exact law", "log-normal fit"]
    assert "R_{5}" in drawn.axes.get_xlabel()


def test_survival_of_a_layer_counts_networks_that_are_dead_below(samples):
    _, _, law, _ = samples.plot("survival", layer=5)
    r, p = law.get_data()
    dead = 1 - (1 - 2.0**-8) ** 5
    np.testing.assert_allclose(p, dead + (1 - dead) * vgsim.theory.relu_law(8, 5).cdf(DECADE * r))


def test_options_are_passed_on(samples):
    drawn = samples.plot(theory=False, fit=False, bins=5, threshold=1e-1, xlabel="R")
    assert drawn[0].get_data().values.size == 5
    assert len(drawn) == 2
    assert drawn.axes.get_xlabel() == "R"
    assert samples.plot("survival", tail="upper").axes.get_ylabel() == "fraction above R"
    assert samples.plot("qq", against="law").axes.get_xlabel() == "quantile of the exact law"


def test_qq_has_the_exact_law_as_a_line(samples):
    assert len(samples.plot("qq")) == 4
    assert len(samples.plot("qq", theory=False)) == 3


def test_profile_and_ridge_show_the_layers(samples):
    middle, *_ = samples.plot("profile", levels=[0.5], theory=False)
    np.testing.assert_array_equal(middle.get_xdata(), np.sort(samples.layers))
    medians = [samples.quantile(0.5, layer=layer) for layer in np.sort(samples.layers)]
    np.testing.assert_allclose(middle.get_ydata(), medians)
    drawn = samples.plot("ridge", places=[0, 3], theory=False)
    assert [text.get_text() for text in drawn.axes.get_yticklabels()] == ["0", "3"]
    np.testing.assert_array_equal(
        samples.profile().plot().axes.lines[0].get_xydata(), middle.get_xydata()
    )


def test_probability_against_depth(curve):
    line, band, theory = drawn = curve.plot(threshold=1e-2)
    p = curve.probability(threshold=1e-2)
    np.testing.assert_array_equal(line.get_xydata(), np.column_stack([curve.depths, p.estimate]))
    assert set(p.low) <= set(band.get_paths()[0].vertices[:, 1])
    exact = [vgsim.theory.relu_law(8, D).probability("vanishing", 1e-2) for D in curve.depths]
    np.testing.assert_allclose(theory.get_ydata(), exact)
    assert drawn.axes.get_ylabel() == "$P(R_0 < -2)$"


@pytest.mark.parametrize("event", ["exploding", "dead", "healthy"])
def test_other_events(curve, event):
    line, *_ = curve.plot(event=event)
    np.testing.assert_array_equal(line.get_ydata(), curve.probability(event).estimate)


def test_event_of_a_dtype(curve):
    line, band = curve.plot(event="underflow", dtype="float16", method="exact")
    p = curve.probability("underflow", dtype="float16", method="exact")
    np.testing.assert_array_equal(line.get_ydata(), p.estimate)
    assert set(p.high) <= set(band.get_paths()[0].vertices[:, 1])
    assert line.axes.get_ylabel() == "P(underflow)"


def test_quantiles_against_depth_with_the_theoretical_mean(curve):
    drawn = curve.plot("quantiles", levels=[0.5])
    middle, theory = drawn[:2]
    np.testing.assert_array_equal(middle.get_xdata(), curve.depths)
    means = [vgsim.theory.relu_law(8, D).mean / DECADE for D in curve.depths]
    np.testing.assert_allclose(theory.get_ydata(), means)


def test_ridges_are_at_most_nine():
    curve = vgsim.depth_curve(vgsim.MLP(1, 4), range(1, 15), 50)
    drawn = curve.plot("ridge")
    shown = [int(text.get_text()) for text in drawn.axes.get_yticklabels()]
    assert shown[0] == 1
    assert shown[-1] == 14
    assert len(shown) == 9


def test_networks_without_theory():
    s = vgsim.Samples.from_norms(np.full((9, 2), [0.1, 1.0]), np.ones(9))
    for kind in ("histogram", "survival", "profile"):
        assert "theory" not in str(s.plot(kind).axes.get_legend())
    recurrent = vgsim.depth_curve(vgsim.RNN(steps=5, width=4), (2, 4), 50)
    assert len(recurrent.plot()) == 2
    assert recurrent.plot().axes.get_xlabel() == "steps"
    profile = vgsim.simulate(vgsim.RNN(steps=5, width=4), 50).profile()  # R_D = 0 is no theory
    for kind in ("quantiles", "probability"):
        assert "theory" not in str([line.get_label() for line in profile.plot(kind).axes.lines])


BAD = [
    (lambda s, c: s.plot("violin"), ValueError, "kind must be one of 'histogram', 'survival'"),
    (lambda s, c: s.plot(layer=99), ValueError, "layer must be one of the recorded layers"),
    (lambda s, c: s.plot("ridge", layer=0), ValueError, "layer is for one layer and 'ridge' shows"),
    (lambda s, c: s.plot(theory=1), TypeError, "theory must be True or False"),
    (lambda s, c: s.plot(tail="upper"), TypeError, "unexpected keyword argument 'tail'"),
    (lambda s, c: c.plot("histogram"), ValueError, "kind must be one of 'probability', 'quant"),
    (lambda s, c: c.plot(event="late"), ValueError, "event must be one of"),
    (lambda s, c: c.plot("ridge", event="dead"), ValueError, "event is for the kind 'probability'"),
    (lambda s, c: c.plot("ridge", places=[7]), ValueError, "places must be of"),
    (lambda s, c: c.plot("quantiles", dtype="float16"), TypeError, "unexpected keyword argument"),
    (lambda s, c: c.plot(levels=[0.5]), TypeError, "unexpected keyword argument 'levels'"),
]


@pytest.mark.parametrize(("call", "error", "message"), BAD)
def test_refused_arguments_leave_no_figure(samples, curve, call, error, message):
    with pytest.raises(error, match=message):
        call(samples, curve)
    assert not pyplot.get_fignums()


def test_no_global_setting_changes(samples, curve):
    before = matplotlib.rcParams.copy()
    figure, ax = pyplot.subplots()
    for kind in ("histogram", "survival", "qq", "ridge", "profile"):
        assert samples.plot(kind, ax=ax).figure is figure
    curve.plot(ax=ax)
    assert matplotlib.rcParams == before
    assert pyplot.get_fignums() == [figure.number]


def test_figures_can_be_saved_as_vectors(samples, tmp_path):
    for name in ("a.pdf", "a.svg"):
        samples.plot("profile").figure.savefig(tmp_path / name)
        assert (tmp_path / name).stat().st_size > 1000


def test_without_matplotlib_the_error_says_what_to_install():
    script = (
        "import sys; sys.modules['matplotlib'] = None\n"
        "import vgsim\n"
        "s = vgsim.simulate(vgsim.MLP(2, 4), 9)\n"
        "try: s.plot()\n"
        "except ImportError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.startswith("plots need matplotlib: pip install matplotlib")


def test_places_of_recurrent_networks_are_steps():
    s = vgsim.simulate(vgsim.LSTM(6, 8), 50)
    assert s.plot("profile").axes.get_xlabel() == "step"
    assert s.plot("ridge").axes.get_ylabel() == "step"


def test_kinds_that_the_samples_do_not_allow():
    dead = vgsim.simulate(vgsim.MLP(500, 1, activation="relu"), 20, layers=(0,))
    with pytest.raises(ValueError, match="kind 'survival' needs 1 or more samples that are not"):
        dead.plot("survival")
    with pytest.raises(ValueError, match="kind 'qq' needs 2 or more samples .* got 1 of 1"):
        vgsim.simulate(RELU, 1, layers=(0,)).plot("qq")


def test_what_has_been_drawn_can_be_pickled(samples, curve):
    for one in (samples, samples.profile(), curve):
        drawn = one.plot()  # with the theory, which the curves keep
        again = pickle.loads(pickle.dumps(one))
        np.testing.assert_array_equal(again.plot()[0].get_label(), drawn[0].get_label())
    copied = pickle.loads(pickle.dumps(drawn))
    assert len(copied) == len(drawn)
    assert copied.axes.get_ylabel() == drawn.axes.get_ylabel()
