"""Studies: errors, find, addition, tables, files and labelled data."""

from __future__ import annotations

import csv
import errno
import io
import json
import math
import os
import pickle
import re

import numpy as np
import pytest

import vgsim
from vgsim._engine.run import provenance
from vgsim._results import npz as _npz
from vgsim._statistics.binomial import binomial
from vgsim._studies.archive import KIND
from vgsim._studies.blocks import Blocks
from vgsim._studies.export import export
from vgsim._studies.load import saved_study
from vgsim._studies.precision import Precision
from vgsim._studies.result import Result
from vgsim._studies.study import Study
from vgsim._studies.tally import Tally
from vgsim._studies.task import Task

THRESHOLDS = (1e-6, 1e-3)
NETWORKS = {
    "shallow": vgsim.MLP(10, 16),
    "deep": vgsim.MLP(100, 16, activation="sigmoid"),
    "leaky": vgsim.MLP(10, 16, activation=vgsim.Activation("leaky_relu", slope=0.1)),
    "residual": vgsim.MLP(10, 16, norm="layer", residual=vgsim.Residual(2)),
    "clipped": vgsim.MLP(10, 16, clip=vgsim.ClipNorm(1.0)),
    "tapering": vgsim.MLP(10, range(16, 5, -1)),
    "dead": vgsim.MLP(10, 2, activation="relu"),
    "recurrent": vgsim.RNN(10, 16),
}


def simulated(network, first=0, end=1500, seed=0, layers=(0, 5), **sampling):
    return vgsim.simulate(
        network, end - first, first=first, seed=seed, layers=layers, n_threads=1, **sampling
    )


def result(network, first=0, end=1500, seed=0, layers=(0, 5), thresholds=THRESHOLDS, **rest):
    watched = rest.pop("watched", ())
    task = Task(network, seed, layers=layers, thresholds=thresholds, **rest)
    samples = simulated(network, first, end, seed, layers, **rest)
    tally = Blocks.of(samples, thresholds).total()
    return Result(task, tally, [(seed, first, end)], watched)


@pytest.fixture(scope="module")
def study():
    watched = (Precision(0.02, threshold=1e-3), Precision(relative=0.5, event="dead", layer=5))
    results = [result(network, watched=watched) for network in NETWORKS.values()]
    return Study(results, provenance())


@pytest.mark.parametrize("name", NETWORKS)
def test_a_result_is_that_of_its_samples(study, name):
    network = NETWORKS[name]
    samples, found = simulated(network), study[list(NETWORKS).index(name)]
    assert (found.network, found.n) == (network, 1500)
    for layer in (0, 5):
        for event in ("vanishing", "exploding", "healthy"):
            expected = samples.probability(event, layer, 1e-6)
            assert found.probability(event, layer, 1e-6) == expected
        assert found.probability("overflow", layer, dtype="float16") == samples.probability(
            "overflow", layer, dtype="float16"
        )
        np.testing.assert_allclose(
            found.quantile([0.3, 0.9], layer), samples.quantile([0.3, 0.9], layer), atol=1 / 64
        )
        if samples.probability("dead", layer).events < 1499:
            assert found.mean(layer) == pytest.approx(samples.mean(layer), abs=1e-8)
            assert found.std(layer) == pytest.approx(samples.std(layer), abs=1e-8)
    assert found.cdf(-1.0, 5) == pytest.approx(samples.cdf(-1.0, 5), abs=1e-12)
    assert found.quantile(0.5) == found.quantile(0.5, 0)


def test_what_was_watched_has_the_interval_that_allows_it(study):
    watched = study[1]
    for arguments, method in (
        (("vanishing", 0, 1e-3), "anytime"),
        (("vanishing", 0, 1e-6), "wilson"),
        (("vanishing", 5, 1e-3), "wilson"),
        (("exploding", 0, 1e-3), "wilson"),
        (("dead", 5), "anytime"),
        (("dead", 0), "wilson"),
    ):
        found = watched.probability(*arguments)
        assert found == binomial(found.events, 1500, 0.95, method)
    asked = watched.probability("vanishing", 0, 1e-3, confidence_level=0.9, method="exact")
    assert asked == binomial(asked.events, 1500, 0.9, "exact")


def test_the_layer_is_by_default_the_only_one():
    one = result(NETWORKS["deep"], layers=(7,), thresholds=(1e-3,))
    assert one.probability("vanishing") == one.probability("vanishing", 7, 1e-3)
    assert one.mean() == one.mean(7)
    with pytest.raises(ValueError, match="layer must be one of the tallied layers, \\[7\\], got 0"):
        one.mean(0)


def test_parts_add_up_to_the_whole():
    network = NETWORKS["shallow"]
    whole = result(network)
    a, b, c = (result(network, *ends) for ends in ((0, 300), (300, 1000), (1000, 1500)))
    assert c + a + b == whole
    assert (a + c).ranges == ((0, 0, 300), (0, 1000, 1500))
    assert (a + c) + b == whole
    studies = [Study([part]) for part in (b, c, a)]
    assert sum(studies) == Study([whole])


def test_other_seeds_and_other_networks_are_united(study):
    more = Study([result(NETWORKS["dead"], seed=7), result(vgsim.MLP(12, 16))], {"vgsim": "9"})
    both = study + more
    assert [r.network for r in both] == [*NETWORKS.values(), vgsim.MLP(12, 16)]
    dead = both.find(width=2)[0]
    assert (dead.n, dead.ranges) == (3000, ((0, 0, 1500), (7, 0, 1500)))
    samples = [simulated(NETWORKS["dead"], seed=seed) for seed in (0, 7)]
    events = sum(s.probability("dead").events for s in samples)
    assert 0 < events < 3000
    assert dead.probability("dead").events == events
    assert both.provenance["vgsim"] == f"{vgsim.__version__}; 9"
    assert (more + study).find(width=2)[0] == dead
    assert both[: len(study)].provenance == both.provenance


def test_the_same_network_sampled_otherwise_counts_as_another():
    network = NETWORKS["shallow"]
    both = Study([result(network)]) + Study([result(network, batch_size=2)])
    assert [r.task.batch_size for r in both] == [1, 2]
    assert both.find(batch_size=2)[0].n == 1500


def test_what_cannot_be_added_is_refused_with_the_reason(study):
    shallow = NETWORKS["shallow"]
    with pytest.raises(ValueError, match="samples 1200 to 1499 of seed 0 are in both"):
        study + Study([result(shallow, 1200, 2000)])
    with pytest.raises(
        ValueError, match=r"MLP\(depth=10, width=16, .*\): .* layers \(\(0, 5\) and"
    ):
        study + Study([result(shallow, 1500, 1600, layers=(0,))])
    with pytest.raises(ValueError, match="they differ in thresholds"):
        study + Study([result(shallow, 1500, 1600, thresholds=(0.5,))])
    with pytest.raises(ValueError, match="they differ in network .*; dtype"):
        result(shallow) + result(NETWORKS["deep"], dtype="float64")
    with pytest.raises(ValueError, match="is in the results twice"):
        Study([result(shallow), result(shallow, seed=3)])
    with pytest.raises(TypeError):
        study + 1


def test_a_result_that_contradicts_itself_is_refused():
    task, tally = Task(vgsim.MLP(10, 8)), Tally.empty((0,), (1e-6,))
    with pytest.raises(ValueError, match="ranges must hold the samples of the tally: got 5"):
        Result(task, tally, [(0, 0, 5)])
    with pytest.raises(ValueError, match="0 <= first < end"):
        Result(task, tally, [(0, 5, 5)])
    with pytest.raises(ValueError, match="differ in thresholds"):
        Result(task, Tally.empty((0,), (1e-3,)), [])
    with pytest.raises(ValueError, match="differ in layers"):
        Result(task, Tally.empty((1,), (1e-6,)), [])
    full = result(vgsim.MLP(10, 8), layers=(0,), thresholds=(1e-6,))
    with pytest.raises(ValueError, match="ranges must be of seed 0"):
        Result(task, full.tally, [(4, 0, 1500)])


def test_find(study):
    def names(**fields):
        found = [r.network for r in study.find(**fields)]
        return [name for name, network in NETWORKS.items() if network in found]

    assert names(depth=100) == ["deep"]
    assert names(depth=10, kind="RNN") == ["recurrent"]
    assert names(steps=10) == ["recurrent"]
    assert names(activation="leaky_relu") == ["leaky"]
    assert names(activation=vgsim.Activation("leaky_relu", slope=0.2)) == []
    assert names(activation=NETWORKS["leaky"].activation, depth=10) == ["leaky"]
    assert names(residual__every=2) == ["residual"]
    assert names(residual=vgsim.Residual(2)) == ["residual"]
    assert names(clip__max_norm=1.0) == ["clipped"]
    assert names(width=list(range(16, 5, -1))) == ["tapering"]
    assert names(residual=None, clip=None, width=16, activation="tanh") == ["shallow"]
    assert names(engine="dense") == ["recurrent"]
    assert study.find(depth=100).provenance == study.provenance
    assert len(study.find()) == len(study)
    with pytest.raises(
        ValueError, match="colour is not a field of any network of the study; those are .*depth"
    ):
        study.find(colour="red")
    with pytest.raises(ValueError, match=r"deph is not a .*\(did you mean 'depth'\?\); those are"):
        study.find(deph=100)
    assert len(Study([]).find(depth=3)) == 0


def test_a_study_is_a_sequence(study):
    assert len(study) == len(list(study)) == len(NETWORKS)
    assert isinstance(study[1:3], Study)
    assert [r.network for r in study[1:3]] == [NETWORKS["deep"], NETWORKS["leaky"]]
    assert study[-1].network == NETWORKS["recurrent"]
    assert study[0] in study
    assert pickle.loads(pickle.dumps(study)) == study
    assert study[:2] != study[:3]
    assert repr(study[:1]) == "<Study: 1 network, 1500 samples>"


def test_dataframe(study):
    frame = study.to_dataframe()
    assert len(frame) == 4 * len(study)  # one row per layer and threshold
    assert frame["kind"].tolist()[-4:] == ["RNN"] * 4
    assert frame["layer"].tolist() == [0, 0, 5, 5] * len(study)
    assert frame["threshold"].tolist() == list(study[0].task.thresholds) * 2 * len(study)
    assert frame["depth"].tolist()[:8] == [10] * 4 + [100] * 4
    assert frame["width"].isna().tolist()[18:24] == [False, False, True, True, True, True]
    assert frame["width"].tolist()[0] == 16
    assert frame["widths"].tolist()[20] == json.dumps(list(range(16, 5, -1)))
    at = (frame["activation"] == "sigmoid") & (frame["layer"] == 0) & (frame["threshold"] == 1e-3)
    (_, deep), *others = frame[at].iterrows()
    assert not others
    expected = study[1].probability("vanishing", 0, 1e-3)
    limits = [deep["vanishing" + end] for end in ("", "_low", "_high")]
    assert limits == [expected.estimate, expected.low, expected.high]
    assert (deep["mean"], deep["median"]) == (study[1].mean(), study[1].quantile(0.5))
    assert (deep["n"], deep["n_dead"]) == (1500, 0)
    assert frame.attrs["provenance_vgsim"] == vgsim.__version__
    assert frame["residual__every"].notna().sum() == 4
    single = Study([result(NETWORKS["deep"], layers=(0,), thresholds=(1e-3,))]).to_dataframe()
    assert single["vanishing"].tolist() == [expected.estimate]
    assert Study([]).to_dataframe().empty


def test_dataframe_of_networks_counted_differently():
    network = NETWORKS["deep"]
    mixed = Study([result(network), result(vgsim.MLP(4, 8), layers=(1,), thresholds=(0.5,))])
    frame = mixed.to_dataframe()
    assert frame["layer"].tolist() == [0, 0, 5, 5, 1]
    assert frame["threshold"].tolist() == [*mixed[0].task.thresholds * 2, 0.5]
    assert frame["vanishing"].notna().all()
    with pytest.raises(ValueError, match="same layers for all networks, got .*0, 5.* and .*1,"):
        mixed.to_xarray()


def test_dataset(study):
    data = study.to_xarray()
    assert dict(data.sizes)["task"] == len(study)
    assert data.sizes["bin"] <= 4096
    assert data.depth.values.tolist() == [r.network.depth for r in study]
    for i, r in enumerate(study):
        at = data.isel(task=i)
        assert json.loads(at.network.item()) == r.network.to_dict()
        assert json.loads(at.samples.item()) == [[0, 0, 1500]]
        for layer in (0, 5):
            here = at.sel(layer=layer)
            dead = r.tally.events("dead", layer)
            assert here.n_dead == dead
            assert here.histogram.sum() == 1500 - dead
            for event in ("vanishing", "exploding"):
                p = r.probability(event, layer, 1e-3)
                found = here.sel(threshold=1e-3)
                assert found[f"n_{event}"] == p.events
                limits = [found[event + end].item() for end in ("", "_low", "_high")]
                assert limits == [p.estimate, p.low, p.high]
            underflow = here.n_underflow.sel(format="bfloat16")
            assert underflow == r.tally.events("underflow", layer, dtype="bfloat16")
            median = here.quantiles.sel(quantile=0.5).item()
            assert median == r.quantile(0.5, layer)
            if not dead:
                assert here["mean"] == r.mean(layer)
    assert all("units" in variable.attrs for variable in data.data_vars.values())
    assert data.attrs["provenance_compiler"] == study.provenance["compiler"]


def test_histograms_on_a_coarser_grid_keep_their_counts(study):
    fine, coarse = study.to_xarray(), study.to_xarray(bins=100)
    assert coarse.sizes["bin"] <= 100 < fine.sizes["bin"]
    np.testing.assert_array_equal(fine.histogram.sum("bin"), coarse.histogram.sum("bin"))
    widths = (coarse.bin_high - coarse.bin_low).values * 64
    assert np.all(widths == widths[0])
    assert math.log2(widths[0]) % 1 == 0
    for r, task in zip(study, range(len(study)), strict=True):
        at = coarse.isel(task=task).sel(layer=5)
        below = np.cumsum(at.histogram.values) + r.tally.events("dead", 5)
        np.testing.assert_allclose(below / r.n, r.cdf(at.bin_high.values, 5), rtol=1e-12)
    with pytest.raises(ValueError, match="bins must be an int from 1"):
        study.to_xarray(bins=0)
    with pytest.raises(ValueError, match="one or more networks"):
        Study([]).to_xarray()


def test_networks_without_samples_are_in_every_container():
    empty = Study([Result(Task(NETWORKS["deep"]), Tally.empty((0,), (1e-6,)), ())])
    frame, data = empty.to_dataframe(), empty.to_xarray()
    assert frame["n"].tolist() == [0]
    assert frame[["mean", "median", "vanishing", "dead_low"]].isna().all(axis=None)
    assert data.vanishing.isnull().all()
    assert data.quantiles.isnull().all()
    assert empty.table("csv").splitlines()[1].startswith("100,0,0,,")


def test_dataset_through_netcdf(study, tmp_path):
    xarray, data = pytest.importorskip("xarray"), study.to_xarray()
    data.to_netcdf(tmp_path / "study.nc", engine="h5netcdf")
    assert xarray.load_dataset(tmp_path / "study.nc", engine="h5netcdf").identical(data)


def test_tables_print_techniques_as_the_command_line_takes_them():
    def printed(*networks):
        return vgsim.collect(networks, max_samples=10).table().replace("\n", " ")

    pre = vgsim.Residual(2, style="pre")
    common = printed(*(vgsim.MLP(depth, 4, residual=pre) for depth in (2, 4)))
    assert "bias_std 0.0, residual 2:style=pre, batch_size 1" in common
    some = printed(vgsim.MLP(4, 4, residual=pre), vgsim.MLP(4, 4, clip=vgsim.ClipNorm(2.0)))
    assert re.search(r"\bresidual +clip\b.* 2:style=pre +- .* - +ClipNorm ", some)
    assert "residual__" not in some
    parts = printed(*(vgsim.MLP(4, 4, residual=vgsim.Residual(every)) for every in (1, 2)))
    assert "bias_std 0.0, residual__skip 1.0, residual__branch 1.0, residual__style" in parts
    assert "Residual" not in common + some + parts


def test_titles_tell_the_fields_of_some_networks():
    networks = [
        vgsim.MLP(3, 4),
        vgsim.LSTM(3, 4, chrono=20.0),
        vgsim.RNN(3, 4, activation=vgsim.Activation("sine", omega=2.0), leak=0.25),
    ]
    title = vgsim.collect(networks, max_samples=10).table().split("vanishing:")[0]
    common, some = title.replace("\n", " ").split("; of those that have it: ")
    assert "width 4, gain 1.0" in common
    for field in ("chrono 20.0", "forget_bias 0.0", "activation__omega 2.0", "leak 0.25"):
        assert field not in common
        assert field in some
    assert "; of those" not in vgsim.collect(networks[:1], max_samples=10).table()


def test_tables(study):
    rows = list(csv.DictReader(io.StringIO(study.table("csv"))))
    frame = study.to_dataframe()
    frame = frame[frame["threshold"] == 1e-3]
    assert len(rows) == len(frame)
    assert [int(row["layer"]) for row in rows] == frame["layer"].tolist()
    assert [row["activation"] for row in rows] == frame["activation"].tolist()
    for name in ("vanishing", "vanishing_high", "dead", "q95"):
        column = name.replace("vanishing", "vanishing_0.001")
        assert [float(row[column]) for row in rows] == frame[name].tolist()
    assert "bias_std" not in rows[0]
    text = study[:2].table()
    assert "width 16, init glorot_normal" in text
    assert "of 1,500 random networks each" in text
    heading = next(line for line in text.splitlines() if line.startswith("depth"))
    assert heading.split()[:3] == ["depth", "activation", "layer"]
    assert study[:2].table("latex").count(r"\\") == 5
    assert study[:2].table("markdown").splitlines()[-1].startswith("|")
    with pytest.raises(ValueError, match="format must be one of"):
        study.table("xml")


def test_a_saved_study_is_the_same_to_the_bit(study, tmp_path):
    united = study + Study([result(NETWORKS["dead"], seed=10**40)])
    united.save(tmp_path / "study.npz")
    again = saved_study(tmp_path / "study.npz")
    assert again == united
    assert again.provenance == united.provenance
    again.save(tmp_path / "again.npz")
    _, header, arrays = _npz.read(tmp_path / "study.npz", KIND)
    _, header_again, arrays_again = _npz.read(tmp_path / "again.npz", KIND)
    assert header_again == header
    for name, array in arrays.items():
        np.testing.assert_array_equal(arrays_again[name], array)
        assert array.dtype == np.int64


@pytest.mark.parametrize(
    "spoil",
    [
        lambda header, arrays: header.pop("results"),
        lambda header, arrays: header["results"].pop(),
        lambda header, arrays: header["results"][0].update(n=7),
        lambda header, arrays: header["results"][0]["task"].update(dtype="int8"),
        lambda header, arrays: header["results"][0]["watched"][0].update(event="rain"),
        lambda header, arrays: arrays.pop("bins"),
        lambda header, arrays: arrays.update(counts=arrays["counts"][:-1]),
        lambda header, arrays: arrays.update(counts=arrays["counts"] + 1),
        lambda header, arrays: arrays.update(dead=np.append(arrays["dead"], 0)),
        lambda header, arrays: arrays.update(dead=arrays["dead"].astype(float)),
        lambda header, arrays: arrays.update(entries=np.array(3)),
        lambda header, arrays: arrays.update(entries=-arrays["entries"]),
        lambda header, arrays: arrays.update(bins=arrays["bins"][::-1]),
        lambda header, arrays: arrays.update(bins=arrays["bins"] + 2**40),
        lambda header, arrays: arrays.update(vanishing=arrays["vanishing"] + 1501),
        lambda header, arrays: arrays.update(vanishing=arrays["exploding"] + 2**62),
        lambda header, arrays: arrays.update(exploding=arrays["exploding"] - 1),
        lambda header, arrays: arrays.update(vanishing=arrays["dead"]),
        lambda header, arrays: arrays.update(x=arrays["dead"]),
        lambda header, arrays: header.pop("provenance"),
        lambda header, arrays: header.update(provenance={"vgsim": 1}),
        lambda header, arrays: header.update(mood="good"),
        lambda header, arrays: header["results"][0].update(n=1500.0),
        lambda header, arrays: header["results"][0].update(ranges=[[0, 0, 1500, 1]]),
        lambda header, arrays: header["results"][0].update(ranges=[[0, 2**60, 2**60 + 1500]]),
        lambda header, arrays: header["results"][0].update(ranges=[[0, 9, 1500], [0, 0, 9]]),
        lambda header, arrays: header["results"][0].update(sums=[10**400, 0]),
        lambda header, arrays: header["results"][0].update(sums=[0]),
        lambda header, arrays: header["results"][0].update(squares=[0, 0]),
        lambda header, arrays: header["results"][0]["task"].update(layers=[0, 11]),
        lambda header, arrays: header["results"][0]["task"].update(engine="auto"),
        lambda header, arrays: header["results"][0]["watched"][0].update(layer=4),
        lambda header, arrays: header["results"][0]["watched"][0].update(mood="good"),
    ],
)
def test_an_inconsistent_file_is_refused(study, tmp_path, spoil):
    path = tmp_path / "study.npz"
    study.save(path)
    _, header, arrays = _npz.read(path, KIND)
    spoil(header, arrays)
    _npz.write(path, KIND, header, arrays)
    with pytest.raises(ValueError, match="study.npz does not hold a consistent study"):
        saved_study(path)


@pytest.mark.parametrize("suffix", [".nc", ".csv", ".npz"])
def test_an_export_is_whole_or_not_there(study, tmp_path, monkeypatch, suffix):
    path, replace = tmp_path / f"x{suffix}", os.replace

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device", "elsewhere")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space left") as caught:
        export(study, path)
    assert caught.value.filename == str(path)
    assert os.listdir(tmp_path) == []
    monkeypatch.setattr(os, "replace", replace)
    export(study, path)
    assert os.listdir(tmp_path) == [path.name]


def test_a_task_is_identified_by_all_that_changes_its_tally(rng):
    network = vgsim.MLP(10, 16)
    data = f"sha256:{'0' * 64}"
    different = [
        Task(network),
        Task(vgsim.MLP(11, 16)),
        Task(network, seed=1),
        Task(network, batch_size=2),
        Task(network, loss="mse"),
        Task(network, inputs=data),
        Task(network, layers=(0, 1)),
        Task(network, thresholds=(1e-3,)),
        Task(network, engine="dense"),
        Task(network, dtype="float64"),
        Task(network, stream_version=99),
    ]
    assert len({task.digest for task in different}) == len(set(different)) == len(different)
    for task in different:
        again = Task.from_dict(json.loads(json.dumps(task.to_dict())))
        assert again == task
        assert again.digest == task.digest
        assert pickle.loads(pickle.dumps(task)) == task


def test_a_task_has_one_spelling():
    network = vgsim.MLP(10, 16)
    plain = Task(network, layers=(0, 5), thresholds=(1e-6, 1e-3))
    same = Task(
        network,
        seed=np.int64(0),
        layers=np.array([5, 0]),
        thresholds=[1e-3, np.float64(1e-6)],
        engine="matrix-free",
        dtype=np.float32,
    )
    assert same == plain
    assert same.digest == plain.digest
    assert plain.digest == Task.from_dict(plain.to_dict()).digest
    assert len(plain.digest) == 64


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"network": "MLP"}, "network must be"),
        ({"seed": -1}, "seed must be"),
        ({"batch_size": 0}, "batch_size must be"),
        ({"loss": "hinge"}, "loss must be"),
        ({"inputs": "uniform"}, "inputs of a task must be"),
        ({"inputs": "sha256:xyz"}, "inputs of a task must be"),
        ({"layers": (11,)}, r"layers\[0\] must be"),
        ({"layers": (1, 1)}, "layers must be distinct"),
        ({"thresholds": ()}, "thresholds must be"),
        ({"thresholds": (0.5, 0.5)}, "thresholds must be"),
        ({"thresholds": (0,)}, "thresholds must be"),
        ({"engine": "fast"}, "engine must be"),
        ({"dtype": "float16"}, "dtype must be"),
        ({"stream_version": 0}, "stream_version must be"),
    ],
)
def test_a_task_that_cannot_be_is_refused(fields, message):
    with pytest.raises((TypeError, ValueError), match=message):
        Task(**{"network": vgsim.MLP(10, 16), **fields})


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"depth": True}, "depth must be an int from 1 to"),
        ({"depth": "10"}, "depth must be an int from 1 to"),
        ({"activation": "thanh"}, r"did you mean 'tanh'\?"),
        ({"activation": 3}, "activation must be one of"),
        ({"kind": "CNN"}, "kind must be one of 'MLP', .*'RNN', .*got 'CNN'"),
        ({"loss": "hinge"}, "loss must be one of 'linear', "),
        ({"batch_size": [1]}, "batch_size must be an int from 1"),
        ({"residual__every": "2"}, "residual__every must be a number, got '2'"),
        ({"residual__every": np.array([2])}, "residual__every must be a number, got array"),
        ({"inputs": 3}, "inputs must be a string, got 3"),
    ],
)
def test_a_field_that_cannot_have_a_value(study, fields, words):
    with pytest.raises((ValueError, TypeError), match=words) as caught:
        study.find(**fields)
    assert caught.value.argument == next(iter(fields))


def test_places_that_are_none(study):
    for place in False, "0", 1.0, np.array([0]), None:
        with pytest.raises(TypeError, match="place must be an int or a slice, got "):
            study[place]
    for place in len(study), -len(study) - 1, 2**63:
        with pytest.raises(IndexError, match=f"place must be one of {len(study)} results"):
            study[place]
    assert study[np.int8(1)] == study[1]


def test_results_that_are_none():
    with pytest.raises(TypeError, match="results must be of vgsim.Result, got 3"):
        Study([3])
    with pytest.raises(TypeError, match="results must be an iterable of vgsim.Result, got None"):
        Study(None)


def test_equal_results_have_equal_hashes(study):
    again = Study(list(study))
    assert [hash(result) for result in again] == [hash(result) for result in study]
    assert len(set(study)) == len(study)
