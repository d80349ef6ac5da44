"""Training.plot() and the HTML of trainings show the numbers of the methods."""

import math

import numpy as np
import pytest

pytest.importorskip("matplotlib")
from matplotlib import pyplot

from drawn_artists import legend, outline
from known_trainings import random_training, training
from shown_html import shown

INF = math.inf


def test_loss(rng):
    t = random_training(rng, 30, 8, diverged=3)
    line, wide, narrow, base = drawn = t.plot()
    found = t.quantiles()
    np.testing.assert_array_equal(line.get_xdata(), t.steps)
    np.testing.assert_array_equal(line.get_ydata(), found[2])
    np.testing.assert_allclose(outline(narrow)[1], found[1])
    assert outline(wide)[2][-1] == pytest.approx(drawn.axes.get_ylim()[1])  # 10 % are infinite
    assert base.get_ydata()[0] == t.baseline
    assert drawn.axes.get_yscale() == "log"
    names = ["median (10 % diverged)", "5 to 95 %", "25 to 75 %", "best constant prediction"]
    assert legend(drawn.axes) == names
    ax = t.plot(label="tanh", levels=(0.25, 0.5, 0.75), scale="linear").axes
    assert legend(ax)[:2] == ["tanh (10 % diverged)", "25 to 75 %"]


def test_movement_leaves_out_what_has_diverged(rng):
    t = random_training(rng, 40, 5, diverged=10)
    line, *_ = drawn = t.plot("movement")
    np.testing.assert_array_equal(line.get_xdata(), [1, 2, 3])
    np.testing.assert_allclose(line.get_ydata(), np.median(t.movement[:30, -1], axis=0))
    assert legend(drawn.axes)[0] == "step 40 (25 % diverged)"
    several = t.plot("movement", steps=(0, 40), label="tanh")
    assert legend(several.axes)[:2] == ["tanh, step 0", "tanh, step 40 (25 % diverged)"]
    assert len(several) == 4
    assert len(t.plot("movement", steps=10)) == 3


def test_ratio(rng):
    t = random_training(rng, 40, 5)
    first, band, last, _ = t.plot("ratio")
    np.testing.assert_allclose(first.get_ydata(), np.median(t.log10_ratio[:, 0], axis=0))
    np.testing.assert_allclose(last.get_ydata(), np.median(t.log10_ratio[:, -1], axis=0))
    expected = np.quantile(t.log10_ratio[:, 0], (0.05, 0.95), axis=0)
    np.testing.assert_allclose(outline(band)[1:], expected)


def test_learned_and_survival(rng):
    t = random_training(rng, 40, 9, diverged=4)
    estimate = t.time_to_loss(0.6, smoothing=2, confidence_level=0.9).probability(t.steps)
    options = {"level": 0.6, "smoothing": 2, "confidence_level": 0.9}
    line, band = drawn = t.plot("learned", **options)
    np.testing.assert_array_equal(line.get_ydata(), estimate.estimate)
    np.testing.assert_allclose(outline(band)[2], estimate.high)
    assert (drawn.axes.get_xlabel(), drawn.axes.get_ylabel()) == ("step", "P(loss < 0.6)")
    line, band = drawn = t.plot("survival", **options)
    np.testing.assert_array_equal(line.get_ydata(), 1 - estimate.estimate)
    np.testing.assert_allclose(outline(band)[1], 1 - estimate.high)
    assert drawn.axes.get_yscale() == "log"


@pytest.mark.parametrize(
    ("kind", "name"), [("learned", "P(loss < level)"), ("survival", "P(loss not yet below level)")]
)
def test_several_levels_on_the_same_axes(rng, kind, name):
    t = random_training(rng, 40, 9)
    ax = t.plot(kind, level=0.6).axes
    one = t.plot(kind, level=0.6, ax=ax).axes.get_ylabel()
    assert one == name.replace("level", "0.6")
    for level in (0.7, 0.8):
        assert t.plot(kind, level=level, ax=ax).axes.get_ylabel() == name


@pytest.mark.parametrize("kind", ["loss", "movement", "ratio", "learned", "survival"])
@pytest.mark.parametrize("value", [2.0, INF, 0.0])
@pytest.mark.parametrize(("n", "k"), [(1, 1), (1, 4), (7, 1), (7, 4)])
def test_degenerate_trainings(kind, value, n, k):
    log = INF if value == INF else -INF
    arrays = {"gradient": np.full((n, k, 4), log), "output_gradient": np.full((n, k), log)}
    movement = np.full((n, k, 3), log)
    t = training(np.full((n, k), value), layers=range(4), movement=movement, **arrays)
    drawn = t.plot(kind)
    drawn.figure.canvas.draw()
    assert np.isfinite(drawn.axes.get_ylim()).all()


def test_axes_of_the_caller(rng):
    t = random_training(rng, 20, 5)
    _, ax = pyplot.subplots()
    for label in ("a", "b"):
        assert t.plot(label=label, ax=ax).axes is ax
    assert legend(ax)[:2] == ["a", "b"]
    assert legend(ax).count("best constant prediction") == 1
    assert len(pyplot.get_fignums()) == 1


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ({"kind": "heat"}, ValueError, "kind must be one of 'loss', 'movement', 'ratio'"),
        ({"steps": 0}, ValueError, "steps does not apply to the kind 'loss', got 0"),
        ({"kind": "learned", "steps": 0}, ValueError, "steps does not apply to the kind 'learned'"),
        ({"level": 1.0}, ValueError, "level does not apply to the kind 'loss'"),
        ({"kind": "ratio", "smoothing": 2}, ValueError, "smoothing does not apply to the kind"),
        ({"kind": "movement", "steps": 3}, ValueError, "steps must be one or more of the recorded"),
        ({"label": 3}, TypeError, "label must be a string or None, got 3"),
        ({"kind": "movement", "label": 3}, TypeError, "label must be a string or None, got 3"),
        ({"kind": "movement", "levels": (0.5, 0.1)}, ValueError, "levels must be increasing"),
        ({"kind": "learned", "level": -1}, ValueError, "level must be a number >= 0"),
        ({"ax": 3}, TypeError, "ax must be matplotlib Axes or None"),
    ],
)
def test_refused(rng, arguments, kind, message):
    with pytest.raises(kind, match=message):
        random_training(rng).plot(**arguments)
    assert not pyplot.get_fignums()


def test_missing_quantities(rng):
    with pytest.raises(AttributeError, match="movement was not recorded"):
        random_training(rng, record=("loss",)).plot("movement")


def test_html(rng):
    t = random_training(rng, 30, 20, diverged=3)
    page = shown(t)
    assert page.rows[0][:4] == ["step", "P(learned)", "P(stuck)", "P(diverged)"]
    assert 2 < len(page.rows) <= 10
    assert [one["alt"] for one in page.images] == ["quantiles of the loss against the step"]
    assert "30 networks MLP" in page.text
    assert "190" in page.rows[-1]
    single = shown(random_training(rng, 30, 1))
    assert not single.images
    time = shown(t.time_to_loss(0.5))
    assert "of 30 networks below a loss of 0.5 by step 190" in time.text
    assert shown(t.summary()).rows == page.rows
