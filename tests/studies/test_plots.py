"""Study.plot and Result.plot: what is drawn, against numbers computed from samples and theory."""

import math

import numpy as np
import pytest

import vgsim
from vgsim._studies.axes import suggested_axes
from vgsim._studies.density import binned_density
from vgsim._studies.points import VALUES, measured, points_of

plt = pytest.importorskip("matplotlib.pyplot")

DEPTHS = [3, 9, 27]
CUTS = (1e-3, 0.5)


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def networks():
    return vgsim.sweep(vgsim.MLP, width=8, activation=["relu", "sigmoid"], depth=DEPTHS)


@pytest.fixture(scope="module")
def runs(networks):
    return [vgsim.simulate(network, 3000) for network in networks]


@pytest.fixture(scope="module")
def study(networks):
    return vgsim.collect(networks, max_samples=3000, thresholds=CUTS)


def lines(drawn):
    return [artist for artist in drawn if hasattr(artist, "get_xydata")]


@pytest.mark.parametrize("value", ["vanishing", "exploding", "healthy", "dead"])
def test_probabilities_are_those_of_the_samples(study, runs, value):
    threshold = None if value == "dead" else 0.5
    drawn = study.plot(hue="activation", value=value, threshold=threshold, theory=False)
    relu, sigmoid = lines(drawn)
    given = {} if threshold is None else {"threshold": threshold}
    expected = [run.probability(value, **given).estimate for run in runs]
    assert relu.get_label() == "relu"
    assert sigmoid.get_label() == "sigmoid"
    assert np.allclose(relu.get_xydata(), np.column_stack([DEPTHS, expected[:3]]))
    assert np.allclose(sigmoid.get_xydata(), np.column_stack([DEPTHS, expected[3:]]))


def test_the_band_is_the_interval(study, runs):
    drawn = study.find(activation="relu").plot(threshold=0.5, theory=False)
    ((band,),) = [[artist for artist in drawn if not hasattr(artist, "get_xydata")]]
    corners = band.get_paths()[0].vertices
    for depth, run in zip(DEPTHS, runs, strict=False):
        p = run.probability("vanishing", threshold=0.5)
        found = corners[np.isclose(corners[:, 0], depth), 1]
        assert math.isclose(found.min(), p.low, abs_tol=1e-9)
        assert math.isclose(found.max(), p.high, abs_tol=1e-9)


def test_the_theory_of_relu_is_its_exact_law(study):
    drawn = study.find(activation="relu").plot(threshold=0.5)
    theory = next(line for line in lines(drawn) if line.get_label() == "theory")
    laws = [vgsim.theory.relu_law(8, depth) for depth in DEPTHS]
    expected = [float(law.probability("vanishing", 0.5)) for law in laws]
    assert np.allclose(theory.get_ydata(), expected, atol=1e-9)


@pytest.mark.parametrize(("value", "statistic"), [("mean", np.mean), ("std", np.std)])
def test_moments_are_those_of_samples_that_are_not_dead(study, runs, value, statistic):
    (point,) = points_of(study.find(depth=27, activation="relu"), "depth", value=value)
    r = runs[2].log10_ratio[:, 0]
    alive = r[np.isfinite(r)]
    options = {"ddof": 1} if value == "std" else {}
    estimate, low, high = measured(point, value)
    assert math.isclose(estimate, statistic(alive, **options), rel_tol=1e-6)
    if value == "mean":
        half = 1.959964 * alive.std(ddof=1) / math.sqrt(alive.size)
        assert math.isclose(high - low, 2 * half, rel_tol=1e-5)
    else:
        assert math.isnan(low)


@pytest.mark.parametrize(("value", "q"), [("q05", 0.05), ("median", 0.5), ("q95", 0.95)])
def test_quantiles_have_order_statistics_as_limits(study, runs, value, q):
    from scipy.stats import binom

    (point,) = points_of(study.find(depth=9, activation="sigmoid"), "depth", value=value)
    r = np.sort(runs[4].log10_ratio[:, 0])
    expected = (
        np.quantile(r, q),
        r[int(binom.ppf(0.025, r.size, q)) - 1],
        r[int(binom.isf(0.025, r.size, q))],
    )
    assert np.allclose(measured(point, value), expected, atol=1 / 64)


def test_words_are_points_with_bars(study, runs):
    drawn = study.find(depth=9).plot(x="activation", value="mean", theory=False)
    ((bars,),) = [drawn]
    x, y = bars.lines[0].get_data()
    assert np.allclose(x, [0, 1])
    expected = [run.log10_ratio[:, 0] for run in (runs[1], runs[4])]
    assert np.allclose(y, [r[np.isfinite(r)].mean() for r in expected], atol=1e-6)
    assert [text.get_text() for text in drawn.axes.get_xticklabels()] == ["relu", "sigmoid"]


def test_heat_map_with_the_critical_line():
    biases, gains = [0.0, 0.3], [0.5, 1.0, 2.0]
    networks = vgsim.sweep(vgsim.MLP, width=8, depth=12, gain=gains, bias_std=biases)
    study = vgsim.collect(networks, max_samples=1000, thresholds=(0.1,))
    mesh, line = study.plot(x="gain", y="bias_std", value="median")
    r = [vgsim.simulate(network, 1000, layers=[0]).quantile(0.5) for network in networks]
    values = np.array(r).reshape(3, 2).T  # the gain is the outer loop
    assert np.allclose(mesh.get_array().reshape(2, 3), values, atol=1 / 64)
    gain, bias = line.get_data()
    expected = [vgsim.theory.critical_gain("tanh", bias_std=b) for b in (0.0, 0.3)]
    assert bias[0] == 0
    assert math.isclose(bias[-1], 0.3)
    assert np.allclose(gain[[0, -1]], expected)
    assert len(study.plot(x="gain", y="bias_std", theory=False)) == 1


def test_the_critical_line_knows_the_scale_of_the_initialiser():
    networks = vgsim.sweep(vgsim.MLP, width=8, depth=[4, 8], gain=[0.5, 1], init="he_normal")
    study = vgsim.collect(networks, max_samples=1000)
    _, line = study.plot(x="depth", y="gain", value="mean")
    assert np.allclose(line.get_ydata(), 1 / math.sqrt(2))  # tanh, σ_w² = 2 gain²


def test_a_missing_combination_is_blank():
    networks = [vgsim.MLP(4, 8), vgsim.MLP(8, 8), vgsim.MLP(4, 16)]
    study = vgsim.collect(networks, max_samples=1000)
    (mesh,) = study.plot(x="depth", y="width", value="mean")
    assert np.ma.getmaskarray(mesh.get_array()).ravel().tolist() == [False, False, False, True]


def test_layers_and_thresholds_are_axes(study):
    drawn = study.find(activation="relu").plot(hue="threshold", theory=False)
    assert [line.get_label() for line in lines(drawn)] == ["threshold 0.001", "threshold 0.5"]
    network = vgsim.MLP(20, 8)
    deep = vgsim.collect([network], max_samples=1000, layers=(0, 10, 20))
    (line, _) = deep.plot(x="layer", value="mean", theory=False)
    s = vgsim.simulate(network, 1000, layers=(0, 10, 20))
    assert np.allclose(line.get_ydata(), [s.mean(layer) for layer in (0, 10, 20)], atol=1e-6)


def test_numeric_hues_ascend():
    networks = [vgsim.MLP(depth, 8, gain=gain) for gain in (2, 0.5, 1) for depth in (3, 6)]
    drawn = vgsim.collect(networks, max_samples=1000).plot(hue="gain", theory=False)
    assert [line.get_label() for line in lines(drawn)] == ["gain 0.5", "gain 1", "gain 2"]


def test_result_plot_draws_the_density_and_the_exact_law(study, runs):
    result = study.find(depth=27, activation="relu")[0]
    steps, law = result.plot()
    counts, edges, _ = steps.get_data()
    r = runs[2].log10_ratio[:, 0]
    expected, _ = np.histogram(r[np.isfinite(r)], edges)
    assert np.allclose(counts, expected / (r.size * np.diff(edges)))
    x, y = law.get_data()
    exact = vgsim.theory.relu_law(8, 27)
    scale = 2 * math.log(10)
    middle = x.size // 2
    step = 1e-4
    slope = float(exact.cdf(scale * (x[middle] + step)) - exact.cdf(scale * (x[middle] - step)))
    assert math.isclose(y[middle], slope / (2 * step), rel_tol=1e-3)
    assert len(result.plot(theory=False)) == 1


def test_the_density_integrates_to_the_fraction_that_is_not_dead(study):
    result = study.find(depth=27, activation="relu")[0]
    edges, density = binned_density(result.tally, 0)
    dead = result.probability("dead").estimate
    assert dead > 0
    assert math.isclose(float(density @ np.diff(edges)), 1 - dead)


def test_ambiguous_results_name_the_fields_that_differ(study):
    with pytest.raises(
        ValueError, match=r"2 results have depth 3; they differ in activation.*"
    ) as e:
        study.plot(threshold=0.5)
    assert "hue='activation'" in str(e.value)
    assert "study.find(activation='relu')" in str(e.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"x": "dept"}, "x must be a field .* did you mean 'depth'"),
        ({"hue": "colour"}, "hue must be a field .* those are activation"),
        ({"hue": "activation", "value": "variance"}, "value must be one of 'vanishing'"),
        ({"hue": "activation"}, "threshold must be given, one of those counted"),
        ({"hue": "activation", "threshold": 0.1}, "threshold must be one of those counted"),
        ({"hue": "depth", "threshold": 0.5}, "must be different fields"),
        ({"hue": "activation", "value": "mean", "threshold": 0.5}, "threshold does not apply"),
        ({"hue": "activation", "y": "depth", "x": "width"}, "hue must be None with y"),
        ({"hue": "threshold", "threshold": 0.5}, "threshold must be None"),
        ({"hue": "activation", "layer": 1, "value": "mean"}, "layer must be one of the tallied"),
    ],
)
def test_wrong_arguments_are_named(study, arguments, message):
    with pytest.raises(ValueError, match=message):
        study.plot(**arguments)


def test_wrong_axes_are_refused(study):
    with pytest.raises(TypeError, match="ax must be matplotlib Axes"):
        study.plot(hue="activation", threshold=0.5, ax="axes")


def test_nothing_to_draw():
    with pytest.raises(ValueError, match="the study has none"):
        vgsim.Study([]).plot()


def test_networks_without_samples_are_gaps():
    from vgsim._studies.tally import Tally
    from vgsim._studies.task import Task

    network = vgsim.MLP(4, 8)
    empty = vgsim.Result(Task(network), Tally.empty([0], [1e-6]), ())
    with pytest.raises(ValueError, match="one or more samples"):
        empty.plot()
    for value in VALUES:
        (point,) = points_of([empty], "depth", value=value)
        assert all(map(math.isnan, measured(point, value)))


def test_suggested_axes_leave_out_fields_that_others_determine(study):
    axes = suggested_axes(study)  # init follows from the activation
    assert (axes.x, axes.hue, axes.others) == ("depth", "activation", ())
    networks = vgsim.sweep(vgsim.MLP, width=[4, 8], depth=[3, 6], gain=[0.5, 1, 2])
    axes = suggested_axes(vgsim.collect(networks, max_samples=1000))
    assert (axes.x, axes.hue, axes.others) == ("depth", "gain", ("width",))


def test_suggested_curves_are_those_of_words_before_those_of_numbers():
    networks = vgsim.sweep(
        vgsim.MLP, activation=["tanh", "relu"], width=[4, 8, 32], depth=[3, 6], init="he_normal"
    )
    study = vgsim.collect(networks, max_samples=1000)
    axes = suggested_axes(study)
    assert (axes.x, axes.hue, axes.others) == ("depth", "activation", ("width",))
    axes = suggested_axes(study.find(activation="relu"))  # with two engines, by the width
    assert (axes.x, axes.hue, axes.others) == ("depth", "width", ())


def test_long_names_leave_room_for_the_axes():
    layers = [vgsim.Linear(8), "relu", vgsim.Dropout(0.1), vgsim.Norm("layer")]
    networks = [vgsim.Sequential(8, [*layers] * n + layers[:n]) for n in (1, 2, 3)]
    study = vgsim.collect(networks, max_samples=1000)
    for drawn in (study.plot("layers"), study.plot("depth", hue="layers")):
        drawn.figure.set_size_inches(3.4, 2.6)
        drawn.figure.canvas.draw()  # matplotlib warns if there is no room
    names = study.plot("layers").axes.get_xticklabels()
    assert all(len(line) <= 20 for name in names for line in name.get_text().splitlines())
    assert {name.get_rotation() for name in names} == {40}


def test_the_legend_of_points_names_the_series_first(study):
    drawn = study.plot("activation", hue="depth", value="mean")
    texts = [text.get_text() for text in drawn.axes.get_legend().get_texts()]
    assert texts == [*(f"depth {depth}" for depth in DEPTHS), "theory"]
