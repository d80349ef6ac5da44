"""Depth curves: the critical depth against the exact law of ReLU networks, and depth scales."""

import csv
import io
import math
from functools import cache

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import ndtri

import exact_relu
import vgsim
from vgsim import theory
from vgsim._engine.depth_curve import depth_curve
from vgsim._results.depth_curve import DepthCurve
from vgsim._statistics.binomial import binomial
from vgsim._statistics.critical_depth import Margin, crossing, margin, margin_of_probability
from vgsim._statistics.depth_scale import fit_depth_scale

RELU = {"activation": "relu", "init": "he_normal"}


@pytest.fixture(scope="module")
def relu():
    """A curve whose exact probability crosses 1/2 at 83.6 layers."""
    return depth_curve(vgsim.MLP(1, 16, **RELU), (10, 30, 100, 200), 4000)


def exact_critical_depth(probability, level, low, high):
    """Return the depth at which a probability, interpolated between integer depths, is `level`."""

    def at(depth):
        below = math.floor(depth)
        part = depth - below
        return (1 - part) * probability(below) + part * probability(below + 1) - level

    return brentq(at, low, high)


def exact_probability(n, threshold):
    return lambda depth: theory.relu_law(n, depth).probability("vanishing", threshold)


# The interval of the critical depth


@pytest.mark.parametrize(
    ("n", "threshold", "depths", "n_samples", "level"),
    [
        (32, 1e-3, (10, 100, 1000), 300, 0.5),
        (32, 1e-3, tuple(range(120, 240, 15)), 100, 0.5),
        (8, 1e-2, (3, 10, 30, 100), 1000, 0.5),  # a tenth of the networks is dead
        (16, 1e-2, (10, 30, 100), 500, 0.2),
    ],
)
def test_coverage_on_the_exact_law(rng, n, threshold, depths, n_samples, level):
    decades = math.log10(threshold)
    truth = exact_critical_depth(exact_probability(n, threshold), level, depths[0], depths[-1])
    laws = [exact_relu.inverse(n, depth) for depth in depths]
    covered, estimates = 0, []
    for _ in range(2000):
        margins = [
            margin(law(rng.random(n_samples)) - decades, level, 0.95, "wilson") for law in laws
        ]
        estimate, low, high = crossing(depths, margins)
        covered += low <= truth <= high
        estimates.append(estimate)
        assert low <= estimate <= high
    assert covered >= 0.935 * 2000
    assert np.mean(estimates) == pytest.approx(truth, rel=0.02)


def test_coverage_for_dead_networks(rng):
    depths, once = (10, 50, 200), cache(binomial)
    p = [1 - (1 - 2.0**-6) ** depth for depth in depths]
    truth = math.log(0.5) / math.log1p(-(2.0**-6))
    covered = 0
    for _ in range(2000):
        margins = []
        for events in rng.binomial(300, p):
            found = once(int(events), 300)
            margins.append(margin_of_probability(0.5, found.estimate, found.low, found.high))
        _, low, high = crossing(depths, margins)
        covered += low <= truth <= high
    assert covered >= 0.935 * 2000


def test_interpolation_is_exact_for_normal_laws():
    # R ~ N(-0.1 D, 0.3 D): its p-quantile is at -6 where 0.1 D - z sqrt(0.3 D) = 6
    depths = (10, 40, 1000)
    grid = (np.arange(200_000) + 0.5) / 200_000

    z = ndtri(grid)
    for level in (0.05, 0.5, 0.9):
        margins = [
            margin(-0.1 * d + np.sqrt(0.3 * d) * z + 6, level, 0.95, "wilson") for d in depths
        ]
        estimate, _, _ = crossing(depths, margins)
        u = (ndtri(level) * 0.3**0.5 + math.sqrt(0.3 * ndtri(level) ** 2 + 2.4)) / 0.2
        assert estimate == pytest.approx(u**2, rel=1e-3)


@pytest.mark.parametrize("method", ["wilson", "exact", "anytime"])
@pytest.mark.parametrize("events", [0, 3, 40, 50, 60, 97, 100])
def test_a_margin_is_positive_where_the_interval_of_the_probability_is_above(events, method):
    values = np.concatenate([-np.arange(1.0, events + 1), np.arange(1.0, 101 - events)])
    p = binomial(events, 100, 0.9, method)
    for level in (0.02, 0.5, 0.6, 0.95):
        m = margin(values, level, 0.9, method)
        assert (m.low > 0, m.high > 0) == (p.low > level, p.high >= level)
        assert m.low <= m.estimate <= m.high


@pytest.mark.parametrize(
    ("bands", "expected"),
    [
        ([(-1, -2, 1), (1, -1, 2)], (15, 0, math.inf)),
        ([(-1, -math.inf, -0.5), (1, 0.5, math.inf)], (15, 10, 20)),
        ([(-2, -3, -1), (-1, -2, -0.5)], (None, math.inf, math.inf)),
        ([(2, 1, 3), (4, 3, 5)], (None, 0, 0)),
        ([(-1, -2, 1), (1, -1, 2), (-1, -2, 1), (1, 1, 2)], (15, 0, 36 + 2 / 3)),
    ],
)
def test_crossings(bands, expected):
    depths = range(10, 10 * len(bands) + 1, 10)
    assert crossing(depths, [Margin(*band) for band in bands]) == pytest.approx(expected)


def test_critical_depth_of_simulated_networks(relu):
    for threshold, level, event in ((1e-2, 0.5, "vanishing"), (1e-3, 0.1, "vanishing")):
        truth = exact_critical_depth(exact_probability(16, threshold), level, 10, 200)
        found = relu.critical_depth(level, event, threshold, confidence_level=1 - 1e-7)
        assert found.low < truth < found.high
        assert found.estimate == pytest.approx(truth, rel=0.05)
        assert found.confidence_level == 1 - 1e-7


def test_critical_depth_of_other_events():
    small = depth_curve(vgsim.MLP(1, 4, **RELU), (3, 10, 30), 4000)
    truth = math.log(0.5) / math.log1p(-(2.0**-4))
    dead = small.critical_depth(event="dead", confidence_level=1 - 1e-7)
    assert dead.low < truth < dead.high
    exploding = depth_curve(
        vgsim.MLP(1, 16, activation="linear", init="lecun_normal", gain=2), (5, 15, 30), 2000
    )
    found = exploding.critical_depth(event="exploding", threshold=1e-3)
    rate = (math.log(4) - 1 / 16) / math.log(100)  # decades per layer, up to O(1/n^2)
    assert found.estimate == pytest.approx(3 / rate, rel=0.03)
    sigmoid = depth_curve(vgsim.MLP(1, 64, activation="sigmoid"), (5, 20), 1000)
    underflow = sigmoid.critical_depth(event="underflow", dtype="float16")
    p = depth_curve(vgsim.MLP(1, 64, activation="sigmoid"), (11, 12, 13), 1000, seed=1)
    p = p.probability("underflow", dtype="float16")
    assert 11 < underflow.low < underflow.high < 13
    assert (p.estimate[0] < 0.5 < p.estimate[-1]).all()


def test_a_level_that_is_not_reached(relu):
    message = (
        r"level must be reached within the depths, got 0.5: "
        r"P\(vanishing\) is 0(\.0\d+)? at 10 and 0.0\d+ "
    )
    with pytest.raises(ValueError, match=message):
        relu.critical_depth(threshold=1e-12)
    with pytest.raises(ValueError, match=r"P\(vanishing\) is 1 at 20 and 1 at 30"):
        depth_curve(vgsim.MLP(1, 16, activation="sigmoid"), (20, 30), 50).critical_depth()
    with pytest.raises(ValueError, match="level must be a number strictly between 0 and 1, got 1"):
        relu.critical_depth(1)


# The curve


def test_each_depth_is_a_run_of_its_own(relu):
    assert relu.depths.tolist() == [10, 30, 100, 200]
    assert (relu.n_samples, relu.network.depth) == (4000, 200)
    alone = vgsim.simulate(vgsim.MLP(30, 16, **RELU), 4000, layers=(0,))
    np.testing.assert_array_equal(relu.samples[1].gradient, alone.gradient)
    assert (
        relu.probability(threshold=0.1).estimate[1]
        == alone.probability("vanishing", threshold=0.1).estimate
    )
    assert relu.mean().estimate[1] == pytest.approx(alone.mean())
    assert relu.variance().estimate[1] == pytest.approx(alone.std() ** 2)
    assert relu.quantile(0.9).estimate[1] == alone.quantile(0.9)


def test_of_recurrent_networks():
    curve = depth_curve(vgsim.RNN(1, 16), (5, 20), 200, seed=3)
    np.testing.assert_array_equal(
        curve.samples[0].gradient,
        vgsim.simulate(vgsim.RNN(5, 16), 200, seed=3, layers=(0,)).gradient,
    )
    assert curve.table("csv").startswith("steps,")


def test_table_agrees_with_theory(relu):
    rows = list(csv.DictReader(io.StringIO(relu.table("csv", threshold=0.1))))
    assert [row["depth"] for row in rows] == ["10", "30", "100", "200"]
    for row in rows:
        found = {name: float(value) for name, value in row.items() if value}
        law = theory.relu_law(16, int(row["depth"]))
        assert found["vanishing_theory"] == pytest.approx(law.probability("vanishing", 0.1))
        assert found["mean_theory"] == pytest.approx(law.mean / math.log(100))
        assert found["std_theory"] == pytest.approx(math.sqrt(law.variance) / math.log(100))
        for name in ("vanishing", "mean", "std"):
            half = (found[f"{name}_high"] - found[f"{name}_low"]) / 2
            assert abs(found[name] - found[f"{name}_theory"]) < 2.6 * half  # 5 sigma


@pytest.mark.parametrize("activation", ["tanh", "sigmoid"])
def test_table_agrees_with_theory_of_smooth_networks(activation):
    net = vgsim.MLP(1, 100, activation=activation, init="lecun_normal", bias_std=0.2)
    (row,) = csv.DictReader(io.StringIO(depth_curve(net, (40,), 4000).table("csv")))
    assert float(row["mean"]) == pytest.approx(float(row["mean_theory"]), rel=0.02)
    assert float(row["std"]) == pytest.approx(float(row["std_theory"]), rel=0.1)


def test_tables_of_networks_without_theory_and_of_the_dead():
    net = vgsim.MLP(1, 2, **RELU)
    curve = depth_curve(net, (5, 200), 50, batch_size=2)
    first, last = csv.DictReader(io.StringIO(curve.table("csv")))
    assert first["mean_theory"] == first["vanishing_theory"] == ""
    assert (last["vanishing"], last["mean"], last["std_low"]) == ("1.0", "", "")
    assert "batches of 2" in curve.table()
    assert "nan" not in curve.table()
    with pytest.raises(ValueError, match="mean_interval needs 2 or more samples"):
        curve.mean()
    with pytest.raises(ValueError, match="depth_scale needs two or more depths"):
        curve.depth_scale()


def test_the_table_is_of_the_event_asked_for(relu):
    header = relu.table("csv", event="exploding", threshold=0.1, theory=False).splitlines()[0]
    assert header == (
        "depth,exploding,exploding_low,exploding_high,mean,mean_low,mean_high,std,std_low,std_high"
    )
    assert "exploding: R > 1;" in relu.table(event="exploding", threshold=0.1)
    assert "underflow: an RMS below" in relu.table(event="underflow", dtype="float16")
    with pytest.raises(ValueError, match="format must be one of"):
        relu.table("xml")


def test_progress():
    calls = []
    depth_curve(vgsim.MLP(1, 4), (2, 4, 6), 10, progress=lambda *call: calls.append(call))
    assert calls[-1] == (30, 30)
    assert {(10, 30), (20, 30)} <= set(calls)


def test_fresh_entropy_is_one_seed_for_all():
    curve = depth_curve(vgsim.MLP(1, 4), (2, 4), 5, seed=None)
    assert curve.samples[0].seed == curve.samples[1].seed > 0


def test_containers(relu):
    frame = relu.to_dataframe()
    assert frame.index.names == ["depth", "sample"]
    np.testing.assert_array_equal(frame.loc[30].log10_ratio, relu.samples[1].log10_ratio[:, 0])
    dataset = relu.to_xarray()
    assert dict(dataset.sizes) == {"depth": 4, "sample": 4000}
    np.testing.assert_array_equal(
        dataset.log10_ratio.sel(depth=30), relu.samples[1].log10_ratio[:, 0]
    )
    assert dataset.dead.dtype == bool


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((vgsim.MLP(2, [2, 3, 2]), (5,), 9), ValueError, "network must have equal widths"),
        (
            (5, (5,), 9),
            TypeError,
            "network must be a vgsim.MLP, .*, got 5",
        ),
        ((vgsim.MLP(1, 4), (), 9), ValueError, "depths must be one or more increasing ints"),
        ((vgsim.MLP(1, 4), (5, 5), 9), ValueError, "depths must be one or more increasing ints"),
        ((vgsim.MLP(1, 4), (0, 5), 9), ValueError, r"depths\[0\] must be an int from 1"),
        ((vgsim.MLP(1, 4), 5, 9), TypeError, "depths must be a sequence of increasing ints"),
        ((vgsim.MLP(1, 4), "12", 9), TypeError, "depths must be a sequence of increasing ints"),
        ((vgsim.MLP(1, 4), (1.5,), 9), TypeError, r"depths\[0\] must be an int"),
        ((vgsim.MLP(1, 4), (5,), 0), ValueError, "n_samples must be"),
    ],
)
def test_depth_curve_refuses(arguments, error, message):
    with pytest.raises(error, match=message):
        depth_curve(*arguments)


def test_a_curve_of_runs():
    runs = [vgsim.simulate(vgsim.MLP(d, 8), 20, layers=(0,)) for d in (3, 6)]
    assert DepthCurve(runs).depths.tolist() == [3, 6]
    with pytest.raises(ValueError, match=r"runs of increasing depths, got \[6, 3\]"):
        DepthCurve(runs[::-1])
    with pytest.raises(ValueError, match="one or more runs"):
        DepthCurve([])
    with pytest.raises(TypeError, match="samples must be vgsim.Samples, got 3"):
        DepthCurve([3])
    other = vgsim.simulate(vgsim.MLP(9, 8, activation="relu"), 20)
    with pytest.raises(ValueError, match="must differ in their depth only, got network MLP"):
        DepthCurve([*runs, other])
    with pytest.raises(ValueError, match="must differ in their depth only, got loss"):
        DepthCurve([runs[0], vgsim.simulate(vgsim.MLP(6, 8), 20, loss="mse")])
    with pytest.raises(ValueError, match="layer must be one of the recorded layers"):
        DepthCurve([vgsim.simulate(vgsim.MLP(6, 8), 20, layers=(3,))])


# Depth scales


def test_depth_scale_of_relu(relu):
    scale = relu.depth_scale(confidence_level=1 - 1e-6)
    law = theory.relu_law(16, 1)
    assert scale.slope.low < law.mean < scale.slope.high
    assert scale.variance_growth.low < law.variance < scale.variance_growth.high
    assert scale.depth_scale.low < 1 / abs(law.mean) < scale.depth_scale.high
    assert scale.depth_scale.estimate == 1 / abs(scale.slope.estimate)
    assert "depth scale: " in str(scale)


def test_slopes_are_those_of_weighted_least_squares(rng):
    x = [2, 5, 9, 30]
    columns = [rng.normal(-0.3 * d, math.sqrt(d), 300) for d in x]
    found = fit_depth_scale(x, columns, 0.95, False)
    means, variances = (
        np.array([f(c) for c in columns]) for f in (np.mean, lambda c: c.var(ddof=1))
    )
    decade = math.log(100)
    slope = np.polyfit(x, means, 1, w=variances**-0.5)[0]
    assert found.slope.estimate == pytest.approx(slope * decade)
    growth = np.polyfit(x, variances, 1, w=1 / variances)[0]
    assert found.variance_growth.estimate == pytest.approx(growth * decade**2)


def test_a_slope_that_may_be_none_has_an_unbounded_depth_scale(rng):
    found = fit_depth_scale([1, 2, 3], [rng.normal(size=200) for _ in range(3)], 0.9999, False)
    assert found.slope.low < 0 < found.slope.high
    assert found.depth_scale.high == math.inf
    assert 0 < found.depth_scale.low <= found.depth_scale.estimate


def test_the_interval_of_the_slope_covers(rng, monkeypatch):
    monkeypatch.setattr("vgsim._statistics.bootstrap.RESAMPLES", 599)
    x, covered = [1, 4, 9], 0
    for _ in range(300):
        columns = [rng.normal(-d, math.sqrt(d), 60) for d in x]
        found = fit_depth_scale(x, columns, 0.95, False)
        covered += found.slope.low < -math.log(100) < found.slope.high
    assert covered >= 0.9 * 300


# Profiles


def test_profile():
    s = vgsim.simulate(vgsim.MLP(100, 16, **RELU), 3000, layers=(50, 0, 100, 90))
    p = s.profile()
    assert p.layers.tolist() == [0, 50, 90, 100]
    assert p.distance.tolist() == [100, 50, 10, 0]
    assert (
        p.probability(threshold=0.1).estimate[1]
        == s.probability("vanishing", 50, threshold=0.1).estimate
    )
    assert p.mean().estimate == pytest.approx([s.mean(l) for l in (0, 50, 90, 100)])
    scale = p.depth_scale(confidence_level=1 - 1e-6)
    law = theory.relu_law(16, 1)
    assert scale.slope.low < law.mean < scale.slope.high
    assert scale.variance_growth.low < law.variance < scale.variance_growth.high
    rows = list(csv.DictReader(io.StringIO(p.table("csv", threshold=0.1))))
    for row in rows[:-1]:
        law = theory.relu_law(16, 100 - int(row["layer"]))
        assert float(row["mean_theory"]) == pytest.approx(law.mean / math.log(100))
        half = (float(row["mean_high"]) - float(row["mean_low"])) / 2
        assert abs(float(row["mean"]) - float(row["mean_theory"])) < 2.6 * half
    assert (rows[-1]["mean"], rows[-1]["std_theory"], rows[-1]["vanishing"]) == (
        "0.0",
        "0.0",
        "0.0",
    )


def test_profile_of_uneven_widths_and_smooth_networks():
    for net in (
        vgsim.MLP(3, [40, 60, 20, 30], **RELU),
        vgsim.MLP(40, 100, init="lecun_normal", gain=1.2, bias_std=0.2),
    ):
        layers = (0, net.depth // 2)
        s = vgsim.simulate(net, 4000, layers=layers)
        for row in csv.DictReader(io.StringIO(s.profile().table("csv"))):
            error = abs(float(row["mean"]) - float(row["mean_theory"]))
            assert error < 0.02 + 5 * float(row["std"]) / math.sqrt(4000)
            assert float(row["std"]) == pytest.approx(float(row["std_theory"]), rel=0.15)


def test_a_profile_needs_gradients():
    s = vgsim.simulate(vgsim.MLP(5, 8), 10, record=("activation",))
    with pytest.raises(AttributeError, match="gradient was not recorded"):
        s.profile()
