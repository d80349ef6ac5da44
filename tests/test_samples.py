"""What Samples says of arrays that are known: no simulation here."""

import json
import math
import os
import statistics
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import vgsim
from vgsim._events import THRESHOLD, happened
from vgsim._npz import VERSION
from vgsim._quantities import QUANTITIES
from vgsim._samples import Samples

DEPTH = 6
LAYERS = (0, 3, 6)
RECORDS = ("gradient", "activation", "saturation", "weight_gradient", "update_ratio")


def run(index=range(8), *, layers=LAYERS, record=("gradient",), dead=(), **changes):
    """A run whose numbers are a function of the index, as in a simulation."""
    index = np.array(index)
    layers = np.array(layers)
    noise = np.sin(1.0 + index[:, None] * 7.3 + layers * 1.7)
    is_dead = np.isin(index, dead)
    output = noise.sum(axis=1)
    gradient = np.where(
        is_dead[:, None] & (layers < DEPTH), -np.inf, output[:, None] + noise * (DEPTH - layers)
    )
    weights = np.cos(index[:, None] + layers[layers >= 1])
    recorded = {
        "gradient": gradient,
        "rms_min": np.minimum(gradient, output[:, None]).astype(np.float32),
        "rms_max": np.maximum(gradient, output[:, None]).astype(np.float32),
        "activation": noise / 2,
        "saturation": abs(weights),
        "weight_gradient": weights - 1,
        "update_ratio": weights - 2,
    }
    wanted = {name: a for name, a in recorded.items() if QUANTITIES[name].record in record}
    arguments = {
        "network": vgsim.MLP(DEPTH, 4),
        "seed": 5,
        "index": index,
        "layers": layers,
        "output_gradient": output,
        "dead": is_dead,
        "engine": "matrix-free",
        "dtype": "float32",
        "batch_size": 1,
        "loss": "linear",
        "inputs": "normal",
        "provenance": {"vgsim": "0.1", "isa": "avx2"},
        "elapsed": 0.5,
        **wanted,
    }
    return Samples(**(arguments | changes))


def changed(samples, **changes):
    """The same run but for some of its fields."""
    names = ["network", "seed", "engine", "dtype", "batch_size", "loss", "inputs"]
    names += ["index", "layers", "provenance", "elapsed"]
    fields = {name: getattr(samples, name) for name in names}
    return Samples(**(fields | samples._arrays | changes))


def of_ratios(ratios, **changes):
    """A run with given log10 ratios at layer 0."""
    ratios = np.array(ratios, dtype=float)
    n = len(ratios)
    arguments = {
        "index": range(n),
        "layers": (0,),
        "gradient": ratios[:, None] + 0.25,
        "output_gradient": np.full(n, 0.25),
        "dead": np.flatnonzero(ratios == -np.inf),
        "rms_min": np.zeros((n, 1)),
        "rms_max": np.zeros((n, 1)),
    }
    return run(**(arguments | changes))


def same(a, b):
    """Whether two runs hold the same, provenance and time aside."""
    assert a.network == b.network
    assert a.record == b.record
    for name in ("seed", "engine", "dtype", "batch_size", "loss", "inputs"):
        assert getattr(a, name) == getattr(b, name)
    for name in ("index", "layers", "weight_layers", *a._arrays):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name), strict=True)
    return True


# Attributes


def test_shapes_and_conventions():
    s = run(record=RECORDS, dead=[2], layers=(6, 0, 3))
    assert len(s) == 8
    assert s.index.tolist() == list(range(8))
    assert s.layers.tolist() == [6, 0, 3]
    assert s.weight_layers.tolist() == [6, 3]
    assert s.gradient.shape == s.activation.shape == s.rms_min.shape == s.rms_max.shape == (8, 3)
    assert s.saturation.shape == s.weight_gradient.shape == s.update_ratio.shape == (8, 2)
    assert s.record == RECORDS
    assert s.n_dead == 1
    assert s.dead.tolist() == [i == 2 for i in range(8)]
    assert s.log10_ratio[2].tolist() == [0, -np.inf, -np.inf]
    np.testing.assert_array_equal(s.log10_ratio, s.gradient - s.output_gradient[:, None])


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
        "<Samples: 8 of MLP(depth=6, width=4), seed 5, 3 layers from 0 to 6, recorded gradient>"
    )
    assert "layer 3, recorded nothing" in repr(run(layers=(3,), record=()))


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
        ({"dead": [True] + [False] * 7}, "dead must say where gradient is -inf at layer 0"),
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
    """Round to the nearest bfloat16, ties to even, subnormal numbers included."""
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
    np.testing.assert_array_equal(happened(s, "underflow", 0, THRESHOLD, dtype), lost)
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
        ({"event": "vanish"}, "event must be one of vanishing, exploding, healthy, dead, "),
        ({"event": "vanishing", "dtype": "float16"}, "dtype is for underflow and overflow only"),
        ({"event": "dead", "dtype": "float16"}, "dtype is for underflow and overflow only"),
        ({"event": "underflow"}, "event='underflow' needs dtype, one of float16, bfloat16, "),
        ({"event": "overflow", "dtype": "float64"}, "got 'float64'"),
        ({"event": "dead", "threshold": 0.1}, "threshold is for vanishing, exploding and healthy"),
        ({"event": "vanishing", "threshold": 0}, "threshold must be 0 < threshold <= 1, got 0"),
        ({"event": "exploding", "threshold": 1.5}, "threshold must be 0 < threshold <= 1, got 1.5"),
        ({"event": "healthy", "threshold": math.nan}, "threshold must be 0 < threshold <= 1"),
        ({"event": "vanishing", "layer": 1}, "layer must be one of those recorded, [0, 3, 6]"),
        ({"event": "dead", "confidence_level": 1}, "confidence_level must lie strictly between"),
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
        with pytest.raises(ValueError, match=r"those recorded, \[0, 3, 6\], got"):
            use(layer)
    for use in (s.quantile, s.cdf):
        with pytest.raises(ValueError, match=r"those recorded, \[0, 3, 6\], got"):
            use(0.5, layer)


@pytest.mark.parametrize("layer", [0.0, "0", True, None, np.float64(3)])
def test_layers_are_ints(layer):
    with pytest.raises(TypeError, match="layer must be one of those recorded"):
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
    assert "8 networks MLP(depth=6, width=4)" in lines[0]
    assert "vanishing: below -1, exploding: above 1; 95 % wilson intervals" in lines[1]
    assert lines[3].split()[:4] == ["layer", "P(vanishing)", "P(exploding)", "P(dead)"]
    assert [line.split()[0] for line in lines[4:]] == ["0", "3", "6"]
    assert len({len(line) for line in lines[3:]}) == 1
    assert max(map(len, lines)) <= 120
    assert str(summary).isascii()


# Files


@pytest.mark.parametrize("record", [(), *[RECORDS[:k] for k in range(1, 6)], RECORDS[3:]])
def test_save_and_load(tmp_path, record):
    path = tmp_path / "run.npz"
    s = run(record=record, dead=[2])
    s.save(path)
    loaded = vgsim.load(path)
    assert same(s, loaded)
    assert loaded.provenance == s.provenance
    assert loaded.elapsed == s.elapsed
    assert os.listdir(tmp_path) == ["run.npz"]


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 2**200 + 1},
        {"network": vgsim.MLP(6, [3, 4, 5, 6, 7, 8, 9], activation="relu", bias_std=0.1)},
        {"network": vgsim.MLP(6, 4, activation=vgsim.Activation("leaky_relu", slope=0.3))},
        {"provenance": {"compiler": "gcc ‖∂L/∂W‖"}},
        {"inputs": "sha256:" + "ab" * 32, "dtype": "float64", "engine": "dense"},
    ],
)
def test_every_field_survives(tmp_path, changes):
    s = changed(run(), **changes)
    s.save(str(tmp_path / "run"))
    loaded = vgsim.load(tmp_path / "run")
    assert same(s, loaded)
    assert loaded.provenance == s.provenance
    assert loaded.rms_min.dtype == np.float32


def test_file_is_plain_numpy(tmp_path):
    path = tmp_path / "run.npz"
    s = run()
    s.save(path)
    with np.load(path, allow_pickle=False) as file:
        header = json.loads(file["header"].item())
        assert header["network"] == s.network.canonical_json()
        np.testing.assert_array_equal(file["gradient"], s.gradient)


@pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX's")
def test_file_has_the_usual_permissions(tmp_path):
    run().save(tmp_path / "run.npz")
    (tmp_path / "other").touch()
    assert (tmp_path / "run.npz").stat().st_mode == (tmp_path / "other").stat().st_mode


def test_interrupted_save_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "run.npz"
    old, new = run(range(4)), run(range(5))
    old.save(path)

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        new.save(path)
    assert same(vgsim.load(path), old)
    assert os.listdir(tmp_path) == ["run.npz"]


def test_killed_save_leaves_the_old_file(tmp_path):
    path = tmp_path / "run.npz"
    old = run()
    old.save(path)
    script = (
        "import os, sys, vgsim\n"
        "s = vgsim.load(sys.argv[1])\n"
        "os.replace = lambda *_: os.kill(os.getpid(), 9)\n"
        "s.elapsed = 9.0\n"
        "s.save(sys.argv[1])\n"
    )
    assert subprocess.run([sys.executable, "-c", script, str(path)], check=False).returncode == -9
    assert vgsim.load(path).elapsed == old.elapsed


def test_saving_nowhere_is_an_oserror(tmp_path):
    with pytest.raises(FileNotFoundError):
        run().save(tmp_path / "no" / "run.npz")


def test_truncated_files_are_refused(tmp_path):
    path = tmp_path / "run.npz"
    run().save(path)
    whole = path.read_bytes()
    for part in range(0, len(whole), 97):
        path.write_bytes(whole[:part])
        with pytest.raises(ValueError, match=r"run\.npz is damaged, or not an \.npz file"):
            vgsim.load(path)


def test_flipped_bytes_are_found_or_harmless(tmp_path, rng):
    path = tmp_path / "run.npz"
    s = run(dead=[2])
    s.save(path)
    whole = path.read_bytes()
    found = harmless = 0
    for position in rng.integers(len(whole), size=300):
        flipped = bytearray(whole)
        flipped[position] ^= rng.integers(1, 256)
        path.write_bytes(flipped)
        try:
            loaded = vgsim.load(path)
        except ValueError as error:
            found += str(error).startswith(str(path))
        else:
            harmless += same(loaded, s)
    assert found + harmless == 300
    assert found > 100


def _foreign(path, kind):
    if kind == "text":
        path.write_text("index,gradient\n0,1\n")
    elif kind == "one array":
        with open(path, "wb") as file:
            np.save(file, np.zeros(3))
    elif kind == "pickle":
        np.savez(path, header=np.array([{"format": "vgsim.Samples"}], dtype=object))
    elif kind == "other arrays":
        np.savez(path, x=np.zeros(3))
    elif kind == "other header":
        np.savez(path, header=np.arange(3))
    elif kind == "number":
        np.savez(path, header=np.array("3"))
    else:
        header = {"format": "vgsim.Samples", "version": VERSION}
        header |= {"newer": {"version": VERSION + 1}, "replay": {"format": "vgsim.Replay"}}.get(
            kind, {}
        )
        np.savez(path, header=np.array(json.dumps(header)))


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("text", "is damaged, or not an .npz file"),
        ("one array", "is damaged, or not an .npz file"),
        ("pickle", "is damaged, or not an .npz file"),
        ("other arrays", "was not written by vgsim: it has no header of ours"),
        ("other header", "was not written by vgsim: it has no header of ours"),
        ("number", "was not written by vgsim: it has no header of ours"),
        ("newer", "has format version 2, this vgsim reads version 1: upgrade it"),
        ("replay", "holds vgsim.Replay, not vgsim.Samples"),
        ("empty header", "does not hold consistent samples"),
    ],
)
def test_foreign_files_are_refused(tmp_path, kind, message):
    path = tmp_path / "x.npz"
    _foreign(path, kind)
    with pytest.raises(ValueError, match=r"x\.npz") as caught:
        vgsim.load(path)
    assert str(caught.value).startswith(f"{path} {message}")
    assert "\n" not in str(caught.value)


# Joining


@settings(max_examples=50)
@given(st.lists(st.integers(0, 3), min_size=2, max_size=40), st.permutations(range(4)))
def test_joined_parts_are_the_whole(part_of, order):
    """Any split of the indices into up to four parts, interleaved, joined in any order."""
    part_of = np.array(part_of)
    parts = [np.flatnonzero(part_of == part) for part in order]
    joined, *others = [run(part, record=RECORDS, dead=[3]) for part in parts if part.size]
    for other in others:
        joined = joined + other
    assert same(joined, run(range(len(part_of)), record=RECORDS, dead=[3]))


def test_join_commutes_and_associates():
    a, b, c = run(range(5)), run(range(9, 12)), run(range(5, 9))
    assert same((a + b) + c, a + (b + c))
    assert same(a + b, b + a)
    assert (a + b + c).elapsed == pytest.approx(1.5)


def test_join_leaves_its_operands_alone():
    a, b = run(range(4)), run(range(4, 6))
    assert len(a + b) == 6
    assert same(a, run(range(4)))
    assert same(b, run(range(4, 6)))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"network": vgsim.MLP(6, 5)}, "network (MLP(depth=6, width=4) and MLP(depth=6, width=5))"),
        ({"seed": 6}, "seed (5 and 6)"),
        ({"engine": "dense"}, "engine ('matrix-free' and 'dense')"),
        ({"dtype": "float64"}, "dtype ('float32' and 'float64')"),
        ({"batch_size": 2}, "batch_size (1 and 2)"),
        ({"loss": "mse"}, "loss ('linear' and 'mse')"),
        ({"inputs": "sha256:00"}, "inputs ('normal' and 'sha256:00')"),
        ({"layers": [3, 0, 6]}, "layers ([0, 3, 6] and [3, 0, 6])"),
        ({"provenance": {"stream_version": "2"}}, "stream version (None and '2')"),
        ({"activation": np.zeros((4, 3))}, "record (('gradient',) and ('gradient', 'activation'))"),
        ({"seed": 6, "dtype": "float64"}, "seed (5 and 6); dtype ('float32' and 'float64')"),
    ],
)
def test_mismatched_runs_are_refused(changes, reason):
    a, b = run(range(4)), changed(run(range(4, 8)), **changes)
    with pytest.raises(ValueError, match="cannot be joined") as caught:
        a + b
    assert str(caught.value) == f"these samples cannot be joined, they differ in {reason}"


def test_overlapping_runs_are_refused():
    with pytest.raises(ValueError, match=r"joined, 3 of them are in both: index 5 to 7$"):
        run(range(8)) + run(range(5, 20))


@pytest.mark.parametrize("other", [0, None, "run", np.zeros(3)])
def test_only_samples_can_be_joined(other):
    with pytest.raises(TypeError):
        run() + other


def test_provenances_are_merged():
    a = changed(run(range(2)), provenance={"vgsim": "1", "isa": "avx512"})
    b = changed(run(range(2, 4)), provenance={"vgsim": "1", "isa": "avx2", "host": "b"})
    c = changed(run(range(4, 6)), provenance={"vgsim": "1", "isa": "base"})
    merged = {"vgsim": "1", "isa": "avx2; avx512", "host": "b"}
    assert (a + b).provenance == (b + a).provenance == merged
    assert ((a + b) + c).provenance == (a + (b + c)).provenance


# Other containers


def test_to_xarray(tmp_path):
    pytest.importorskip("xarray")
    s = run(record=RECORDS, dead=[2])
    data = s.to_xarray()
    assert dict(data.sizes) == {"sample": 8, "layer": 3, "weight_layer": 2}
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


@pytest.mark.parametrize(
    ("method", "package"), [("to_xarray", "xarray"), ("to_dataframe", "pandas")]
)
def test_missing_packages_are_named(method, package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=rf"{method} needs the package {package}: pip install"):
        getattr(run(), method)()


def test_heavy_packages_wait_until_they_are_needed():
    script = (
        "import sys, vgsim, vgsim._cli\n"
        "heavy = {'scipy.stats', 'scipy.special', 'pandas', 'xarray', 'matplotlib'}\n"
        "sys.exit(', '.join(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stderr.strip() == ""
