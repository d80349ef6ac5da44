"""Samples of given arrays, without simulation."""

import math
import statistics
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import vgsim
from known_runs import LAYERS, RECORDS, changed, of_ratios, run, same
from vgsim._results.events import condition
from vgsim._results.samples import QUANTITIES

# Attributes


def test_shapes_and_conventions():
    s = run(record=RECORDS, dead=[2], layers=(6, 0, 3))
    assert len(s) == 8
    assert s.index.tolist() == list(range(8))
    assert s.layers.tolist() == [6, 0, 3]
    assert s.weight_layers.tolist() == s.saturation_layers.tolist() == [6, 3]
    assert s.gradient.shape == s.activation.shape == s.rms_min.shape == s.rms_max.shape == (8, 3)
    assert s.clipped.shape == (8, 3)
    assert s.saturation.shape == s.weight_gradient.shape == s.update_ratio.shape == (8, 2)
    assert s.record == RECORDS
    assert s.n_dead == 1
    assert s.dead.tolist() == [i == 2 for i in range(8)]
    assert s.log10_ratio[2].tolist() == [0, -np.inf, -np.inf]
    np.testing.assert_array_equal(s.log10_ratio, s.gradient - s.output_gradient[:, None])


@pytest.mark.parametrize("layers", [(0, 3, 6), (6, 0), (0,), (5, 1)])
def test_all_steps_of_a_recurrent_network_share_one_matrix(layers):
    s = run(record=RECORDS, network=vgsim.RNN(6, 4), layers=layers)
    assert s.weight_layers.tolist() == [1]
    assert s.saturation_layers.tolist() == [l for l in layers if l]
    assert s.weight_gradient.shape == s.update_ratio.shape == (8, 1)
    assert s.saturation.shape == (8, len(s.saturation_layers))
    message = r"weight_gradient must have shape \(8, 1\), got \(8, 2\)"
    with pytest.raises(ValueError, match=message):
        changed(s, weight_gradient=np.zeros((8, 2)))


BLOCK = vgsim.Skip([vgsim.Linear(), "relu"])
COMPOSED = vgsim.Sequential(4, ["tanh", BLOCK, "relu", BLOCK] * 2, tokens=3)
UNWEIGHTED = vgsim.Sequential(4, ["tanh", vgsim.Norm("rms"), "relu"] * 2)
CASES = [
    (COMPOSED, (0, 3, 4, 8, 2), [4, 8, 2]),
    (COMPOSED, (5, 3), []),
    (UNWEIGHTED, (6, 0, 3), []),
    (UNWEIGHTED, (0,), []),
]


@pytest.mark.parametrize(("network", "layers", "weight_layers"), CASES)
def test_layers_without_matrices_have_no_weight_column(network, layers, weight_layers, tmp_path):
    records = [record for record in RECORDS if record != "clipped"]
    s = run(network=network, layers=layers, record=records)
    assert s.weight_layers.tolist() == weight_layers
    assert s.saturation_layers.tolist() == [l for l in layers if l]
    assert s.weight_gradient.shape == s.update_ratio.shape == (8, len(weight_layers))
    with pytest.raises(ValueError, match="weight_gradient must have shape"):
        changed(s, weight_gradient=np.zeros((8, len(layers) + 1)))
    s.save(tmp_path / "run.npz")
    assert same(vgsim.load(tmp_path / "run.npz"), s)
    parts = [run(index, network=network, layers=layers, record=records) for index in ([0, 2], [1])]
    assert same(parts[0] + parts[1], run(range(3), network=network, layers=layers, record=records))
    assert len(s.summary()["layer"]) == len(layers)


@pytest.mark.parametrize(("network", "layers", "weight_layers"), CASES)
def test_containers_of_composed_networks(network, layers, weight_layers, tmp_path):
    pandas = pytest.importorskip("pandas")
    xarray = pytest.importorskip("xarray")
    records = [record for record in RECORDS if record != "clipped"]
    s = run(network=network, layers=layers, record=records)
    frame = s.to_dataframe()
    for row, sample in enumerate(s.index):
        for column, layer in enumerate(layers):
            at = frame.loc[(sample, layer)]
            assert at["gradient_correlation"] == s.gradient_correlation[row, column]
            if layer in weight_layers:
                assert at["update_ratio"] == s.update_ratio[row, weight_layers.index(layer)]
            else:
                assert pandas.isna(at["update_ratio"])
            assert pandas.isna(at["saturation"]) == (layer == 0)
    data = s.to_xarray()
    assert data.weight_layer.values.tolist() == weight_layers
    assert data.activation_correlation.attrs["units"] == "1"
    pytest.importorskip("h5netcdf")
    data.to_netcdf(tmp_path / "run.nc", engine="h5netcdf")
    with xarray.open_dataset(tmp_path / "run.nc", engine="h5netcdf") as read:
        assert read.identical(data)


@pytest.mark.parametrize("missing", [r for r in RECORDS if r != "gradient"])
def test_what_was_not_recorded_names_record(missing):
    s = run(record=[r for r in RECORDS if r != missing])
    assert not hasattr(s, missing)
    with pytest.raises(AttributeError, match=f"{missing} was not recorded.*{missing!r}.*record"):
        getattr(s, missing)


def test_without_gradient():
    s = run(record=("activation",), dead=[1])
    for use in (
        lambda: s.gradient,
        lambda: s.log10_ratio,
        lambda: s.rms_min,
        lambda: s.probability("vanishing"),
        lambda: s.probability("underflow", dtype="float16"),
        lambda: s.quantile(0.5),
        lambda: s.mean(),
        lambda: s.std(),
        lambda: s.cdf(0),
        lambda: s.summary(),
    ):
        with pytest.raises(AttributeError, match="it needs 'gradient' in simulate's record"):
            use()
    assert s.probability("dead").events == 1
    assert s.activation.shape == (8, 3)


def test_arrays_are_read_only_and_the_callers_are_not():
    mine = np.zeros(2)
    s = of_ratios([0, 1], output_gradient=mine)
    for array in (s.gradient, s.output_gradient, s.dead, s.index, s.layers):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1
    with pytest.raises(AttributeError, match="gradient is read-only"):
        s.gradient = None
    mine[0] = 1


def test_repr():
    assert repr(run()) == (
        "<Samples: 8 of MLP(depth=6, width=4, init='glorot_normal'), seed 5, 3 layers from 0 to 6, "
        "recorded gradient>"
    )
    assert "layer 3, recorded nothing" in repr(run(layers=(3,), record=()))
    s = run(network=vgsim.RNN(6, 4), batch_size=32, loss="mse")
    assert repr(s).startswith(
        "<Samples: 8 of RNN(steps=6, width=4, init='orthogonal'), batches of 32, loss 'mse', "
        "seed 5, 3 layers"
    )
    assert "init='orthogonal'), batches of 32, loss\n  'mse'\nvanishing: " in str(s.summary())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"index": []}, "index must be a vector of increasing ints >= 0"),
        ({"index": [-1, 0, 1, 2, 3, 4, 5, 6]}, "index must be a vector of increasing ints >= 0"),
        ({"index": [0, 1, 2, 3, 4, 4, 5, 6]}, "index must be a vector of increasing ints >= 0"),
        ({"layers": [0, 3, 3]}, "layers must be distinct ints, got [0, 3, 3]"),
        ({"gradient": np.zeros((8, 2))}, "gradient must have shape (8, 3), got (8, 2)"),
        ({"gradient": np.full((8, 3), np.nan)}, "gradient must be finite or -inf, got NaN or inf"),
        ({"rms_max": np.full((8, 3), np.inf)}, "rms_max must be finite or -inf"),
        ({"output_gradient": np.full(8, -np.inf)}, "output_gradient must be finite"),
        ({"output_gradient": None}, "output_gradient is missing"),
        ({"rms_min": None}, "rms_min is missing"),
        (
            {"dead": [True] + [False] * 7},
            "dead must be True exactly where gradient is",
        ),
    ],
)
def test_inconsistent_arrays_are_refused(changes, message):
    with pytest.raises(ValueError, match=r"must|missing") as caught:
        changed(run(), **changes)
    assert message in str(caught.value)


def test_unknown_arrays_are_refused():
    with pytest.raises(TypeError, match="unknown arrays: momentum"):
        changed(run(), momentum=np.zeros(8))


# Events

RATIOS = [-np.inf, -7.0, -6.0, -5.9, 0.0, 5.9, 6.0, 6.1, 9.0]


@pytest.mark.parametrize(
    ("event", "events"), [("vanishing", 2), ("exploding", 2), ("healthy", 5), ("dead", 1)]
)
def test_events_by_hand(event, events):
    found = of_ratios(RATIOS).probability(event, confidence_level=0.9, method="exact")
    assert (found.events, found.n) == (events, len(RATIOS))
    assert found.estimate == events / len(RATIOS)
    assert (found.confidence_level, found.method) == (0.9, "exact")


@pytest.mark.parametrize(
    ("threshold", "vanishing", "exploding"), [(1.0, 4, 4), (1e-8, 1, 1), (10**-5.95, 3, 3)]
)
def test_threshold(threshold, vanishing, exploding):
    s = of_ratios(RATIOS)
    assert s.probability("vanishing", threshold=threshold).events == vanishing
    assert s.probability("exploding", threshold=threshold).events == exploding


RATIO_LISTS = st.lists(st.floats(-20, 20) | st.just(-math.inf), min_size=1, max_size=50)
THRESHOLDS = st.floats(1e-30, 1)


@given(RATIO_LISTS, THRESHOLDS, THRESHOLDS)
def test_events_partition_the_samples(ratios, threshold, other):
    s = of_ratios(ratios)
    events = {
        event: s.probability(event, threshold=threshold).events
        for event in ("vanishing", "exploding", "healthy")
    }
    assert sum(events.values()) == len(s)
    assert s.probability("dead").events == s.n_dead <= events["vanishing"]
    wider = s.probability("vanishing", threshold=max(threshold, other)).events
    assert wider >= events["vanishing"]


def test_events_by_layer():
    s = run(dead=[2, 5])
    assert [s.probability("dead", layer).events for layer in LAYERS] == [2, 2, 0]
    assert s.probability("vanishing", layer=6, threshold=1.0).events == 0
    expected = np.count_nonzero(s.log10_ratio[:, 1] < 0)
    assert s.probability("vanishing", layer=3, threshold=1.0).events == expected


def test_dead_is_known_without_layer_0():
    assert run(layers=(3,), dead=[2]).probability("dead").events == 1


def to_bfloat16(x):
    """Round to the nearest bfloat16, ties to even, including subnormal numbers."""
    bits = np.asarray(x, np.float64).astype(np.float32).view(np.uint32).astype(np.uint64)
    rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000
    return rounded.astype(np.uint32).view(np.float32)


STORED = {
    "float16": np.float16,
    "bfloat16": to_bfloat16,
    "float32": np.float32,
}


@pytest.mark.parametrize("dtype", STORED)
def test_underflow_is_where_storing_gives_zero(dtype):
    sizes = 10.0 ** np.concatenate([np.linspace(-50, 0, 4001), np.linspace(-7.6, -7.4, 401)])
    lost = STORED[dtype](sizes) == 0
    assert 0 < lost.sum() < lost.size
    s = of_ratios(np.zeros(sizes.size), rms_min=np.log10(sizes)[:, None])
    np.testing.assert_array_equal(condition("underflow", dtype=dtype).holds(s.rms_min[:, 0]), lost)
    assert s.probability("underflow", dtype=dtype).events == lost.sum()


@pytest.mark.parametrize(
    ("dtype", "largest"),
    [
        ("float16", float(np.finfo(np.float16).max)),
        ("bfloat16", float(np.array(0x7F7F0000, np.uint32).view(np.float32))),
        ("float32", float(np.finfo(np.float32).max)),
    ],
)
def test_overflow_is_above_the_largest_number(dtype, largest):
    for factor, overflows in ((1 - 1e-9, 0), (1 + 1e-9, 1)):
        s = of_ratios([0.0], rms_max=[[np.log10(largest * factor)]])
        assert s.probability("overflow", dtype=dtype).events == overflows


def test_dead_samples_underflow():
    s = of_ratios([-np.inf, 0.0], rms_min=[[-np.inf], [0.0]])
    assert s.probability("underflow", dtype="float32").events == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"event": "vanish"}, "event must be one of 'vanishing', 'exploding', 'healthy', 'dead', "),
        ({"event": "vanishing", "dtype": "float16"}, "dtype is for underflow and overflow only"),
        ({"event": "dead", "dtype": "float16"}, "dtype is for underflow and overflow only"),
        ({"event": "underflow"}, "event 'underflow' needs a dtype, one of float16, bfloat16, "),
        ({"event": "overflow", "dtype": "float64"}, "got 'float64'"),
        ({"event": "dead", "threshold": 0.1}, "threshold is for vanishing, exploding and healthy"),
        ({"event": "vanishing", "threshold": 0}, "threshold must be 0 < threshold <= 1, got 0"),
        ({"event": "exploding", "threshold": 1.5}, "threshold must be 0 < threshold <= 1, got 1.5"),
        ({"event": "healthy", "threshold": math.nan}, "threshold must be 0 < threshold <= 1"),
        ({"event": "vanishing", "layer": 1}, "layer must be one of the recorded layers, [0, 3, 6]"),
        ({"event": "dead", "confidence_level": 1}, "must be a number strictly between"),
        ({"event": "dead", "method": "wald"}, "method must be"),
    ],
)
def test_probability_refuses(arguments, message):
    with pytest.raises(ValueError, match=r"must|needs|is for") as caught:
        run().probability(**arguments)
    assert message in str(caught.value)


@pytest.mark.parametrize("layer", [-1, 1, 7, np.int64(2)])
def test_layers_not_recorded_are_refused(layer):
    s = run()
    for use in (s.mean, s.std, s.column):
        with pytest.raises(ValueError, match=r"the recorded layers, \[0, 3, 6\], got"):
            use(layer)
    for use in (s.quantile, s.cdf):
        with pytest.raises(ValueError, match=r"the recorded layers, \[0, 3, 6\], got"):
            use(0.5, layer)


@pytest.mark.parametrize("layer", [0.0, "0", True, None, np.float64(3), int, np.array([0, 3])])
def test_layers_are_ints(layer):
    with pytest.raises(TypeError, match=r"layer must be one of the recorded layers, \["):
        run().mean(layer)


# Distribution


@given(RATIO_LISTS)
def test_moments_are_of_the_living(ratios):
    s = of_ratios(ratios)
    living = [r for r in ratios if r > -math.inf]
    if living:
        assert s.mean() == pytest.approx(statistics.fmean(living), abs=1e-12)
    else:
        with pytest.raises(ValueError, match="mean needs 1 or more samples that are not dead"):
            s.mean()
    if len(living) >= 2:
        assert s.std() == pytest.approx(statistics.stdev(living), rel=1e-9, abs=1e-12)
    else:
        with pytest.raises(ValueError, match=f"at layer 0, got {len(living)} of {len(ratios)}"):
            s.std()


@given(RATIO_LISTS, st.lists(st.floats(-25, 25) | st.sampled_from([-math.inf, math.inf])))
def test_cdf_counts(ratios, xs):
    s = of_ratios(ratios)
    exact = s.log10_ratio[:, 0].tolist()
    xs += exact
    assert s.cdf(xs).tolist() == [sum(r <= x for r in exact) / len(s) for x in xs]


def test_cdf_and_quantile_of_a_scalar():
    s = of_ratios([-np.inf, 1.0, 2.0])
    assert (s.cdf(1.0), s.cdf(-np.inf)) == (2 / 3, 1 / 3)
    assert s.quantile(0.5) == 1.0
    assert s.quantile(0.4) == -np.inf
    assert isinstance(s.cdf(1.0), float)
    assert isinstance(s.quantile(0.5), float)
    with pytest.raises(ValueError, match="x must not be NaN"):
        s.cdf([0, math.nan])
    with pytest.raises(ValueError, match="q must lie between 0 and 1"):
        s.quantile(2)


# Summary


def test_summary_is_data():
    s = run(dead=[2])
    summary = s.summary(threshold=0.1, confidence_level=0.9, method="exact")
    assert summary["layer"].tolist() == list(LAYERS)
    for row, layer in enumerate(LAYERS):
        for event in ("vanishing", "exploding", "dead"):
            threshold = {} if event == "dead" else {"threshold": 0.1}
            p = s.probability(event, layer, **threshold, confidence_level=0.9, method="exact")
            found = [summary[event + end][row] for end in ("", "_low", "_high")]
            assert found == [p.estimate, p.low, p.high]
        assert summary["mean"][row] == s.mean(layer)
        assert summary["std"][row] == s.std(layer)
        quantiles = [summary[name][row] for name in ("q05", "median", "q95")]
        assert quantiles == s.quantile([0.05, 0.5, 0.95], layer).tolist()


def test_summary_of_the_dead_is_masked():
    s = of_ratios([-np.inf, -np.inf, 1.0])
    summary = s.summary()
    assert summary["mean"][0] == 1.0
    assert summary["std"].mask.tolist() == [True]
    assert "-inf" in str(summary)


def test_summary_makes_a_dataframe():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(of_ratios([-np.inf, 1.0]).summary())
    assert frame.loc[0, "mean"] == 1.0
    assert pandas.isna(frame.loc[0, "std"])
    assert frame.loc[0, "q05"] == -np.inf


def test_summary_prints_as_a_table():
    summary = run(dead=[2]).summary(threshold=0.1)
    lines = str(summary).splitlines()
    assert repr(summary) == str(summary)
    assert "8 networks MLP(depth=6, width=4, init='glorot_normal')" in lines[0]
    assert "vanishing: below -1, exploding: above 1; 95 % wilson intervals" in lines[1]
    assert lines[3].split()[:4] == ["layer", "P(vanishing)", "P(exploding)", "P(dead)"]
    assert [line.split()[0] for line in lines[4:]] == ["0", "3", "6"]
    assert len({len(line) for line in lines[3:]}) == 1
    assert max(map(len, lines)) <= 120
    assert str(summary).isascii()


# Other containers


def test_to_xarray(tmp_path):
    pytest.importorskip("xarray")
    s = run(record=RECORDS, dead=[2])
    data = s.to_xarray()
    sizes = {"sample": 8, "layer": 3, "weight_layer": 2, "saturation_layer": 2}
    assert dict(data.sizes) == sizes
    assert data.sel(layer=3, sample=4).gradient == s.gradient[4, 1]
    assert data.sel(weight_layer=6).update_ratio.values.tolist() == s.update_ratio[:, 1].tolist()
    assert data.log10_ratio.dims == ("sample", "layer")
    for name in QUANTITIES:
        np.testing.assert_array_equal(data[name], getattr(s, name))
        assert data[name].attrs["long_name"]
        assert data[name].attrs["units"]
    assert data.attrs["network"] == s.network.canonical_json()
    assert data.attrs["seed"] == "5"
    assert data.attrs["provenance_isa"] == "avx2"


def test_to_xarray_of_a_recurrent_network():
    pytest.importorskip("xarray")
    s = run(record=RECORDS, network=vgsim.RNN(6, 4), batch_size=2, loss="mse")
    data = s.to_xarray()
    sizes = {"sample": 8, "layer": 3, "weight_layer": 1, "saturation_layer": 2}
    assert dict(data.sizes) == sizes
    assert data.saturation.sel(saturation_layer=6).values.tolist() == s.saturation[:, 1].tolist()
    assert data.weight_gradient.sel(weight_layer=1).values.tolist() == (
        s.weight_gradient[:, 0].tolist()
    )
    assert data.clipped.dims == ("sample", "layer")
    assert (data.attrs["batch_size"], data.attrs["loss"]) == (2, "mse")


def test_netcdf(tmp_path):
    xarray = pytest.importorskip("xarray")
    pytest.importorskip("h5netcdf")
    data = changed(run(dead=[2]), seed=2**100).to_xarray()
    data.to_netcdf(tmp_path / "run.nc", engine="h5netcdf")
    with xarray.open_dataset(tmp_path / "run.nc", engine="h5netcdf") as read:
        assert read.identical(data)


def test_to_dataframe():
    pandas = pytest.importorskip("pandas")
    s = run(range(10, 14), record=RECORDS, layers=(6, 0, 3), dead=[12])
    frame = s.to_dataframe()
    assert frame.index.names == ["sample", "layer"]
    assert len(frame) == 12
    for row, sample in enumerate(s.index):
        for column, layer in enumerate(s.layers):
            at = frame.loc[(sample, layer)]
            assert at["gradient"] == s.gradient[row, column]
            assert at["log10_ratio"] == s.log10_ratio[row, column]
            assert at["dead"] == (sample == 12)
            if layer:
                weight_column = s.weight_layers.tolist().index(layer)
                assert at["saturation"] == s.saturation[row, weight_column]
            else:
                assert pandas.isna(at["saturation"])
    assert frame["dead"].dtype == bool
    assert frame.attrs["engine"] == "matrix-free"
    assert "saturation" not in run().to_dataframe()


@pytest.mark.parametrize("layers", [(0, 3, 6), (0,)])
def test_to_dataframe_of_a_recurrent_network(layers):
    pandas = pytest.importorskip("pandas")
    s = run(record=RECORDS, network=vgsim.RNN(6, 4), layers=layers)
    frame = s.to_dataframe()
    for row, sample in enumerate(s.index):
        for column, layer in enumerate(s.layers):
            at = frame.loc[(sample, layer)]
            assert at["weight_gradient"] == s.weight_gradient[row, 0]
            assert at["clipped"] == s.clipped[row, column]
            assert pandas.isna(at["saturation"]) == (layer == 0)


@pytest.mark.parametrize(
    ("method", "package"), [("to_xarray", "xarray"), ("to_dataframe", "pandas")]
)
def test_missing_packages_are_named(method, package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=f"{method} .* {package}: pip install {package}$"):
        getattr(run(), method)()


def test_heavy_packages_wait_until_they_are_needed():
    script = (
        "import sys, vgsim, vgsim._cli\n"
        "heavy = {'scipy.stats', 'scipy.special', 'pandas', 'xarray', 'matplotlib'}\n"
        "sys.exit(', '.join(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stderr.strip() == ""


@pytest.mark.parametrize("dtype", [np.float16, np.dtype("float16"), np.float32])
def test_range_events_take_numpy_dtypes(dtype):
    s = run(dead=[2])
    name = np.dtype(dtype).name
    assert s.probability("underflow", dtype=dtype) == s.probability("underflow", dtype=name)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"threshold": None}, "threshold must be 0 < threshold <= 1, got None"),
        ({"threshold": "1e-6"}, "threshold must be 0 < threshold <= 1, got '1e-6'"),
        ({"confidence_level": "95 %"}, "confidence_level must be a number strictly between"),
        ({"dtype": object()}, "dtype must be 'float16' or 'bfloat16' or 'float32', got <object"),
    ],
)
def test_probability_names_an_argument_of_the_wrong_type(arguments, message):
    with pytest.raises(TypeError, match=message):
        run().probability("vanishing", **arguments)


@pytest.mark.parametrize("x", [None, False, "0"])
def test_cdf_wants_numbers(x):
    with pytest.raises(TypeError, match="x must be a number or an array of numbers, got"):
        run().cdf(x)


def test_cdf_wants_rows_of_one_length():
    message = "x must be a number or an array of numbers, got rows of different lengths"
    with pytest.raises(ValueError, match=message):
        run().cdf([[0], [0, 1]])


def test_the_only_recorded_layer_is_named():
    message = r"layer must be one of the recorded layers, \[3\], got 0; pass layer=3"
    for method in ("mean", "std"):
        with pytest.raises(ValueError, match=message):
            getattr(run(layers=(3,)), method)()
