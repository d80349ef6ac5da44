"""Trainings: events, quantiles and rank correlations of arrays whose answers are known."""

import math
import re

import numpy as np
import pytest
from scipy import stats

import vgsim
from known_trainings import NETWORK, RECORDS, SETTING, random_training, same, training
from vgsim._results.training_events import smoothed

INF = math.inf
EVENTS = ("learned", "stuck", "diverged")


def counts(t, **options):
    return {event: t.probability(event, **options).events for event in EVENTS}


def by_definition(losses, baseline, level, smoothing):
    """Return which events happened in one network, by the words of the docstring."""
    means = []
    for i in range(len(losses)):
        window = losses[max(0, i - smoothing + 1) : i + 1]
        means.append(math.fsum(window) / len(window) if INF not in window else INF)
    diverged = INF in losses or means[-1] > 1.1 * losses[0]
    return {
        "learned": any(mean < level for mean in means),
        "diverged": diverged,
        "stuck": not diverged
        and all(mean >= max(0.9 * min(baseline, losses[0]), baseline / 2) for mean in means),
    }


@pytest.mark.parametrize("smoothing", [1, 2, 5, 100])
def test_events_by_definition(rng, smoothing):
    n, k = 200, 12
    walk = np.cumsum(rng.normal(-0.03, 0.15, size=(n, k)), axis=1)
    loss = 2.1 * np.exp(walk)
    for i in range(0, n, 7):
        loss[i, rng.integers(0, k) :] = INF
    steps = 10 * np.arange(k)
    t = training(loss, steps=steps)
    for column in (0, 3, k - 1):
        found = [by_definition(row[: column + 1].tolist(), 2.0, 1.5, smoothing) for row in loss]
        expected = {event: sum(one[event] for one in found) for event in EVENTS}
        step = int(steps[column]) + (7 if column < k - 1 else 0)  # between recorded steps
        options = {"step": step, "smoothing": smoothing}
        learned = t.probability("learned", level=1.5, **options).events
        assert counts(t, **options) | {"learned": learned} == expected
    assert all(0 < expected[event] < n for event in EVENTS)


def test_the_default_level_is_half_of_the_baseline():
    t = training([[2.0, 0.9, 0.9], [2.0, 1.1, 1.1]])
    assert t.probability("learned", smoothing=1) == t.probability("learned", level=1, smoothing=1)
    assert t.probability("learned", smoothing=1).events == 1


def test_smoothing_is_a_running_mean(rng):
    loss = rng.exponential(size=(4, 30))
    for size in (1, 5, 30, 99):
        expected = np.array(
            [[row[max(0, i - size + 1) : i + 1].mean() for i in range(30)] for row in loss]
        )
        np.testing.assert_allclose(smoothed(loss, size), expected, rtol=1e-14)
    np.testing.assert_array_equal(smoothed(loss, 1), loss)
    assert not np.isinf(smoothed(np.full((1, 9), 1.7e308), 5)).any()  # no overflow of the sum


@pytest.mark.parametrize("k", [1, 2, 30])
@pytest.mark.parametrize("n", [1, 50])
def test_all_stuck_and_all_diverged(n, k):
    stuck = training(np.full((n, k), 2.0))
    assert counts(stuck) == {"learned": 0, "stuck": n, "diverged": 0}
    diverged = training(np.full((n, k), INF))
    assert counts(diverged) == {"learned": 0, "stuck": 0, "diverged": n}
    for t in (stuck, diverged):
        time = t.time_to_loss()
        assert time.n_censored == n
        assert time.quantile(0.5).estimate == INF
        assert not np.isnan(t.quantiles()).any()
        assert str(t.summary()).startswith(f"{n} networks")
        page = re.sub('src="[^"]*"', "", t._repr_html_())  # pictures are of any letters
        assert "NaN" not in repr(t) + str(t.summary()) + page
    assert np.all(diverged.quantiles() == INF)


def test_probabilities_have_the_interval_of_the_method():
    t = training(np.vstack([np.full((7, 4), 2.0), np.full((3, 4), 0.5)]), baseline=2.0)
    found = t.probability("learned", method="exact", confidence_level=0.9)
    expected = stats.binomtest(3, 10).proportion_ci(0.9, "exact")
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


def test_quantiles_are_numpy_s_where_finite(rng):
    t = random_training(rng, 40, 6)
    shares = (0.05, 0.3, 0.5)
    for name in ("loss", "accuracy", "output_gradient"):
        expected = np.quantile(getattr(t, name), shares, axis=0)
        np.testing.assert_allclose(t.quantiles(name, shares), expected, rtol=1e-13, atol=1e-15)
    for name, layer, column in (("log10_ratio", 2, 2), ("activation", 0, 0), ("movement", 3, 2)):
        expected = np.quantile(getattr(t, name)[:, :, column], 0.4, axis=0)
        found = t.quantiles(name, 0.4, layer=layer)
        np.testing.assert_allclose(found, expected, rtol=1e-13, atol=1e-15)


def test_quantiles_of_infinities():
    column = np.array([-INF, -INF, 1.0, 2.0, INF, INF])
    movement = np.repeat(column[:, np.newaxis, np.newaxis], 3, axis=2)
    movement = np.concatenate([movement, movement[::-1]], axis=1)
    loss = np.ones((6, 2))
    t = training(loss, movement=movement)
    found = t.quantiles("movement", (0, 0.2, 0.3, 0.5, 0.6, 0.7, 1), layer=1)
    expected = [-INF, -INF, -INF, 1.5, 2.0, INF, INF]
    np.testing.assert_array_equal(found, np.array([expected, expected]).T)


def test_ratio_has_no_nan():
    gradient = np.array([[[-INF, -3.0, -1.0], [-INF, -INF, -INF], [INF, INF, INF], [INF] * 3]])
    output = np.array([[-1.0, -INF, -1.0, INF]])
    loss = np.array([[1.0, 1.0, 1.0, INF]])
    t = training(loss, layers=(0, 1, 3), gradient=gradient, output_gradient=output)
    expected = [[-INF, -2.0, 0.0], [-INF] * 3, [INF] * 3, [INF] * 3]
    np.testing.assert_array_equal(t.log10_ratio, [expected])


def test_rank_correlation_of_known_relations(rng):
    n, k = 60, 20
    ratio = np.sort(rng.normal(-3, 1, size=n))
    ratio[:3] = -INF  # dead
    gradient = np.zeros((n, k, 2))
    gradient[:, 0, 0], gradient[:, 1:, 0] = ratio, rng.normal(size=(n, k - 1))
    rate = np.linspace(0.01, 0.1, n)  # the larger the gradient, the faster
    loss = 2 * np.exp(-rate[:, np.newaxis] * np.arange(k))
    output = np.zeros((n, k))
    gone = rng.permutation(n)[:5]
    loss[gone, 10:], output[gone, 10:], gradient[gone, 10:] = INF, INF, INF
    t = training(loss, layers=(0, 3), gradient=gradient, output_gradient=output)
    final = np.where(np.isinf(loss[:, -1]), 1e9, smoothed(loss, 5)[:, -1])
    expected = stats.spearmanr(np.where(np.isinf(ratio), -1e9, ratio), final).statistic
    found = t.rank_correlation()
    assert found.estimate == pytest.approx(expected)
    assert found.low <= found.estimate <= found.high < 0
    time = np.array([next((i for i in range(k) if row[i] < 1.2), 1e9) for row in loss])
    expected = stats.spearmanr(np.where(np.isinf(ratio), -1e9, ratio), time).statistic
    found = t.rank_correlation(0, outcome="time", level=1.2, smoothing=1)
    assert found.estimate == pytest.approx(expected)


def test_rank_correlation_refuses_what_has_no_ranks(rng):
    few = random_training(rng, 2)
    with pytest.raises(ValueError, match="rank_correlation needs 3 or more samples, got 2"):
        few.rank_correlation()
    arrays = {"gradient": rng.normal(size=(6, 5, 2)), "output_gradient": np.zeros((6, 5))}
    t = training(np.full((6, 5), 2.0), layers=(0, 3), **arrays)
    with pytest.raises(ValueError, match="outcome must be one for which samples differ, got loss"):
        t.rank_correlation()
    with pytest.raises(ValueError, match="got time = inf in all"):
        t.rank_correlation(outcome="time")
    equal = random_training(rng, gradient=np.zeros((6, 5, 4)), output_gradient=np.zeros((6, 5)))
    with pytest.raises(ValueError, match="layer must be one for which samples differ, got R = 0"):
        equal.rank_correlation()
    with pytest.raises(ValueError, match="level is for the outcome 'time' only, got 1"):
        random_training(rng).rank_correlation(level=1)
    with pytest.raises(AttributeError, match="gradient was not recorded: it needs 'gradient'"):
        random_training(rng, record=("loss",)).rank_correlation()


def test_summary_has_the_numbers_of_the_methods(rng):
    t = random_training(rng, 30, 20, diverged=4)
    summary = t.summary()
    assert 2 <= summary["step"].size <= 9
    assert summary["step"][[0, -1]].tolist() == [0, 190]
    for row, step in enumerate(summary["step"].tolist()):
        for event in EVENTS:
            p = t.probability(event, step=step)
            found = [summary[f"{event}{end}"][row] for end in ("", "_low", "_high")]
            assert found == [p.estimate, p.low, p.high]
        column = step // 10
        np.testing.assert_array_equal(summary["median"][row], t.quantiles("loss", 0.5)[column])
        assert summary["accuracy"][row] == np.median(t.accuracy[:, column])
    options = {"level": 0.3, "smoothing": 1, "method": "exact", "confidence_level": 0.9}
    chosen = t.summary(steps=(190, 0), **options)
    assert chosen["step"].tolist() == [190, 0]
    expected = t.probability(
        "learned", level=0.3, smoothing=1, method="exact", confidence_level=0.9
    )
    assert chosen["learned_low"][0] == expected.low


@pytest.mark.parametrize("format_", ["text", "markdown", "latex", "csv", "html"])
def test_tables(rng, format_):
    summary = random_training(rng, 30, 20, diverged=4).summary()
    text = summary.table(format_)
    assert "diverged" in text
    assert "nan" not in text.lower()
    only = summary.table(format_, columns=["step", "n"], intervals=False)
    assert "30" in only
    assert "learned" not in only.splitlines()[-1]


def test_latex_headings_stand_above_their_columns(rng):
    lines = random_training(rng, 30, 20).summary().table("latex").splitlines()
    heads = next(line for line in lines if r"\multicolumn{3}{c}{loss}" in line)
    row = next(line for line in lines if line.startswith("$0$"))
    before = heads.partition(r"\multicolumn")[0].count("&")
    assert before + 2 + heads.partition("loss")[2].count("&") == row.count("&")
    assert rf"\cmidrule(lr){{{before + 1}-{before + 3}}}" in lines[lines.index(heads) + 1]


@pytest.mark.parametrize("cut", [1, 4])
def test_join(rng, cut):
    t = random_training(rng, 6, first=10, diverged=1)
    parts = t[:cut], t[cut:]
    assert same(parts[1] + parts[0], t)
    assert same(sum(parts), t)
    assert (parts[0] + parts[1]).elapsed == 3.0
    even, odd = t[np.arange(6) % 2 == 0], t[[1, 3, 5]]
    assert same(odd + even, t)


def test_join_refuses_other_trainings(rng):
    t = random_training(rng)
    with pytest.raises(ValueError, match=r"6 samples are in both, index 0 to 5"):
        t + t
    later = {"first": 100}
    others = {
        r"setting\['learning_rate'\] \(0.1 and 0.5\)": {"setting": {"learning_rate": 0.5}},
        r"baseline \(2.0 and 1.0\)": {"baseline": 1.0},
        r"seed \(0 and 1\)": {"seed": 1},
        r"steps \(\[0, 10, 20, 30, 40\] and \[0, 20, 40, 60, 80\]\)": {"steps": 20 * np.arange(5)},
        "layers": {"layers": (0, 3)},
        "record": {"record": RECORDS[:-1]},
        "network": {"network": vgsim.MLP(3, 4, activation="relu")},
    }
    for words, changes in others.items():
        with pytest.raises(ValueError, match=f"they differ in .*{words}"):
            t + random_training(rng, **(later | changes))
    with pytest.raises(TypeError):
        t + 1


def test_positions(rng):
    t = random_training(rng)
    assert t[2:4].index.tolist() == [2, 3]
    np.testing.assert_array_equal(t[2:4].parameters["1.weight"], t.parameters["1.weight"][2:4])
    with pytest.raises(TypeError, match="index must be a slice, positions or a boolean array"):
        t[0]
    for chosen in ([], [1, 0], [1, 1], slice(9, 9)):
        with pytest.raises((IndexError, ValueError)):
            t[chosen]


def test_attributes(rng):
    t = random_training(rng, layers=(3, 0))
    assert t.record == RECORDS
    assert (t.optimizer, t.learning_rate, t.batch_size) == ("sgd", 0.1, 32)
    assert (t.clip, t.biases, t.initial, t.dtype) == (None, False, "drawn", "float32")
    assert t.setting["loss"] == "cross_entropy"
    assert t.weight_layers.tolist() == [1, 2, 3]
    assert len(t) == 6
    assert "41 steps of sgd, learning rate 0.1, batches of 32" in repr(t)
    for name in ("loss", "log10_ratio", "parameters", "record"):
        with pytest.raises(AttributeError):
            setattr(t, name, 1)
    with pytest.raises(AttributeError):
        t.optimizer = "adam"
    for array in (t.loss, t.index, t.steps, t.layers, t.parameters["0.weight"]):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1
    bare = random_training(rng, record=("loss",), layers=())
    for name in ("movement", "accuracy", "parameters", "output_gradient", "log10_ratio"):
        with pytest.raises(AttributeError, match="was not recorded: it needs .* had 'loss'"):
            getattr(bare, name)
    shared = training(np.ones((2, 3)), network=vgsim.RNN(5, 4), movement=np.zeros((2, 3, 1)))
    assert shared.weight_layers.tolist() == [1]


REFUSED = {
    "loss must not be NaN": {"loss": np.full((6, 5), np.nan)},
    "loss must be >= 0, and inf at all steps after": {"loss": [[1, INF, 1, 1, 1]] * 6},
    "loss must be >= 0": {"loss": np.full((6, 5), -1.0)},
    r"accuracy must have shape \(6, 5\), got \(6, 4\)": {"accuracy": np.ones((6, 4))},
    "accuracy must be from 0 to 1": {"accuracy": np.full((6, 5), 1.5)},
    "movement must not be NaN": {"movement": np.full((6, 5, 3), np.nan)},
    r"movement must have shape \(6, 5, 3\), got \(6, 5, 4\)": {"movement": np.ones((6, 5, 4))},
    "output_gradient must be inf where loss is inf": {"loss": np.full((6, 5), INF)},
    "gradient must be given with both": {"output_gradient": None},
    "unknown arrays: bias": {"bias": np.ones(3)},
    "steps must be increasing ints from 0 to 40": {"steps": [0, 20, 10, 30, 40]},
    "steps must be increasing ints from 0 to 99": {"setting": {"steps": 100}},
    "index must be a vector of increasing ints": {"index": [0, 1, 2, 3, 5, 4]},
    "index must be below": {"index": [0, 1, 2, 3, 4, 2**56]},
    "index must be an array of ints, got float64": {"index": np.ones(6)},
    "layers must be distinct ints from 0 to depth = 3": {"layers": (0, 1, 2, 4)},
    "baseline must be a finite loss, 0 or more": {"baseline": -1.0},
    "elapsed must be a number of seconds": {"elapsed": -1.0},
    "network must be a": {"network": 3},
    "learning_rate of setting must be a finite number": {"setting": {"learning_rate": INF}},
    "loss of setting must be one of 'cross_entropy', 'mse'": {"setting": {"loss": "hinge"}},
    "clip of setting must be a dict": {"setting": {"clip": 3}},
    "optimizer of setting must be a string": {"setting": {"optimizer": None}},
    "setting must be of JSON types": {"setting": {"more": {1}}},
    r"parameters must be 0.weight, 1.weight, 2.weight, got a": {"parameters": {"a": np.ones(6)}},
    r"parameters\['0.weight'\] must have shape \(6, 4, 4\), got \(6, 4\)": {
        "parameters": {f"{l}.weight": np.ones((6, 4)) for l in range(3)}
    },
}


@pytest.mark.parametrize("message", REFUSED)
def test_impossible_contents_are_refused(rng, message):
    usual = random_training(rng)
    arrays = dict(usual._arrays)
    fields = {
        "network": NETWORK,
        "seed": 0,
        "index": usual.index,
        "steps": usual.steps,
        "layers": usual.layers,
        "baseline": 2.0,
        "provenance": {},
        "elapsed": 0.0,
        "parameters": usual.parameters,
    }
    changes = REFUSED[message]
    setting = SETTING | {"steps": 41} | changes.get("setting", {})
    with pytest.raises((TypeError, ValueError), match=message):
        vgsim.Training(**(fields | arrays | changes | {"setting": setting}))


def test_a_setting_that_is_missing():
    for name in SETTING:
        setting = {key: value for key, value in SETTING.items() if key != name}
        with pytest.raises(ValueError, match=f"setting must have the item '{name}'"):
            vgsim.Training(
                NETWORK,
                seed=0,
                index=[0],
                steps=[0, 99],
                layers=[],
                setting=setting,
                baseline=1.0,
                provenance={},
                elapsed=0.0,
                loss=[[1.0, 1.0]],
            )


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (
            lambda t: t.probability("vanished"),
            ValueError,
            "event must be one of 'learned'",
        ),
        (
            lambda t: t.probability("stuck", level=1.0),
            ValueError,
            "level is for the event",
        ),
        (lambda t: t.probability("learned", level=-1), ValueError, "level must be a number >= 0"),
        (
            lambda t: t.probability("learned", step=41),
            ValueError,
            "step must be an int from 0",
        ),
        (lambda t: t.probability("learned", smoothing=0), ValueError, "smoothing must be an int"),
        (lambda t: t.probability("learned", method="x"), ValueError, "method must be one of"),
        (lambda t: t.quantiles("weights"), ValueError, "name must be one of 'loss'"),
        (lambda t: t.quantiles("loss", 2), ValueError, "q must lie between 0 and 1"),
        (lambda t: t.quantiles("loss", [[0.5]]), ValueError, "q must be a number or a vector"),
        (lambda t: t.quantiles("loss", layer=0), ValueError, "layer does not apply to 'loss'"),
        (lambda t: t.quantiles("movement"), TypeError, "layer must be given for 'movement'"),
        (
            lambda t: t.quantiles("movement", layer=0),
            ValueError,
            "layer must be one of the",
        ),
        (
            lambda t: t.rank_correlation(outcome="w"),
            ValueError,
            "outcome must be one of 'loss'",
        ),
        (lambda t: t.time_to_loss("a"), TypeError, "level must be a number >= 0"),
        (
            lambda t: t.summary(steps=(0, 3)),
            ValueError,
            "steps must be one or more of",
        ),
        (lambda t: t.summary(steps=()), ValueError, "steps must be one or more of"),
        (lambda t: t.summary().table(columns="x"), ValueError, "columns must be names of columns"),
    ],
)
def test_bad_arguments(rng, call, kind, message):
    with pytest.raises(kind, match=message):
        call(random_training(rng))


def test_xarray(rng):
    pytest.importorskip("xarray")
    t = random_training(rng, layers=(3, 1), diverged=2)
    found = t.to_xarray()
    for name in (*t._arrays, "log10_ratio"):
        np.testing.assert_array_equal(found[name], getattr(t, name))
        assert found[name].attrs["units"] in ("1", "log10")
    assert found.gradient.dims == ("sample", "step", "layer")
    np.testing.assert_array_equal(found.gradient.sel(layer=1, step=20), t.gradient[:, 2, 1])
    np.testing.assert_array_equal(found["parameters.2.weight"], t.parameters["2.weight"])
    assert found.attrs["network"] == NETWORK.canonical_json()
    assert '"learning_rate":0.1' in found.attrs["setting"]


def test_xarray_makes_netcdf(rng, tmp_path):
    xarray = pytest.importorskip("xarray")
    pytest.importorskip("h5netcdf")
    t = random_training(rng)
    t.to_xarray().to_netcdf(tmp_path / "training.nc", engine="h5netcdf")
    with xarray.open_dataset(tmp_path / "training.nc", engine="h5netcdf") as found:
        np.testing.assert_array_equal(found.movement, t.movement)


def test_dataframe(rng):
    pytest.importorskip("pandas")
    t = random_training(rng, 4, 3, layers=(3, 0))
    frame = t.to_dataframe()
    assert frame.shape == (4 * 3 * 4, 9)  # layers 0, 1, 2, 3
    assert frame.loc[(2, 10, 3)].movement == t.movement[2, 1, 2]
    assert frame.loc[(2, 10, 3)].gradient == t.gradient[2, 1, 0]
    assert np.isnan(frame.loc[(2, 10, 1)].gradient)
    assert np.isnan(frame.loc[(2, 10, 0)].movement)
    assert frame.loc[(2, 10, 1)].loss == frame.loc[(2, 10, 0)].loss == t.loss[2, 1]
    flat = random_training(rng, 4, 3, record=("loss", "accuracy")).to_dataframe()
    assert flat.index.names == ["sample", "step"]
    assert flat.shape == (12, 2)
    assert t.summary().to_dataframe().learned_low.size == 3
