"""Composed networks in studies: their tasks, stores, tables and labelled data."""

import csv
import io
import json
import multiprocessing
import sqlite3
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing

import pytest

import vgsim
from known_runs import run
from vgsim._studies.blocks import Blocks
from vgsim._studies.merge import merge
from vgsim._studies.result import Result
from vgsim._studies.status import status
from vgsim._studies.store import Store
from vgsim._studies.study import Study
from vgsim._studies.task import Task

THRESHOLDS = (1e-3, 0.5)
LAYERS = (0, 1)
BLOCK = vgsim.Skip([vgsim.Norm("layer"), vgsim.Linear(32, gain=2.0), "gelu", vgsim.Linear(8)])
TRANSFORMER = [vgsim.Skip([vgsim.Norm("layer"), vgsim.Attention(2, causal=True)]), BLOCK]
NETWORKS = [
    vgsim.Sequential(8, TRANSFORMER * 4, tokens=5),
    vgsim.Sequential(8, TRANSFORMER * 400, tokens=5, clip=vgsim.ClipNorm(1.0)),
    vgsim.Sequential(8, [vgsim.Linear(4), vgsim.Activation("leaky_relu", slope=0.3)] * 2),
    vgsim.Sequential(8, [["tanh", vgsim.Dropout(0.1)], vgsim.Norm("rms")]),
    vgsim.MLP(3, [4, 5, 4, 4], activation="relu"),
]


def task_of(network):
    return Task(network, seed=5, layers=LAYERS, thresholds=THRESHOLDS)


def blocks(network, first=0, end=1500):
    return Blocks.of(run(range(first, end), network=network, layers=LAYERS), THRESHOLDS)


@pytest.fixture(scope="module")
def study():
    return Study(
        [Result(task_of(net), blocks(net).total(), [(5, 0, 1500)]) for net in NETWORKS],
        {"vgsim": "0.1", "stream_version": "2"},
    )


def store_of(path, networks, first=0, end=1500):
    with Store(path) as store:
        store.add(map(task_of, networks), max_samples=2000)
        with store.transaction():
            for network in networks:
                store.write(task_of(network), blocks(network, first, end))
    return path


@pytest.mark.parametrize("network", NETWORKS)
def test_a_task_survives_its_json(network):
    task = task_of(network)
    again = Task.from_dict(json.loads(task.json))
    assert again == task
    assert (again.digest, hash(again.network)) == (task.digest, hash(network))
    assert len(task.json) < 1500


def test_tasks_differ_in_every_part_of_a_network():
    layers = [vgsim.Linear(), "tanh"]
    networks = [
        vgsim.Sequential(8, layers * 3),
        vgsim.Sequential(8, layers * 2),
        vgsim.Sequential(8, [layers] * 3),
        vgsim.Sequential(8, layers * 3, tokens=2),
        vgsim.Sequential(4, layers * 3),
        vgsim.Sequential(8, [vgsim.Linear(gain=1.5), "tanh"] * 3),
        vgsim.Sequential(8, layers * 3, clip=vgsim.ClipValue(1.0)),
    ]
    assert len({task_of(network).digest for network in networks}) == len(networks)


def test_a_column_has_the_layers_as_json(study):
    frame = study.to_dataframe()
    rows = frame.groupby("layers", sort=False, dropna=False)
    assert len(rows) == len(NETWORKS)
    for network, (text, part) in zip(NETWORKS, rows, strict=True):
        assert part["depth"].unique().tolist() == [network.depth]
        if network.to_dict()["kind"] == "MLP":
            assert part["layers"].isna().all()
            continue
        assert json.loads(text) == network.to_dict()["layers"]
        assert part["tokens"].unique().tolist() == [network.tokens]
        assert part["width"].unique().tolist() == [8]
        assert part["kind"].unique().tolist() == ["Sequential"]


def test_containers(study, tmp_path):
    xarray = pytest.importorskip("xarray")
    data = study.to_xarray()
    assert json.loads(data.layers.values[0]) == NETWORKS[0].to_dict()["layers"]
    assert data.layers.values[-1] == ""
    data.to_netcdf(tmp_path / "study.nc", engine="h5netcdf")
    assert xarray.load_dataset(tmp_path / "study.nc", engine="h5netcdf").identical(data)
    study.save(tmp_path / "study.npz")
    assert vgsim.load(tmp_path / "study.npz") == study


def test_a_printed_table_names_the_layers_briefly(study):
    rows = list(csv.DictReader(io.StringIO(study.table("csv"))))
    assert len({row["layers"] for row in rows}) == len(NETWORKS)
    assert rows[-1]["layers"] == ""
    assert "[Linear(width=4), Activation('leaky_relu', slope=0.3)] * 2" in {
        row["layers"] for row in rows
    }
    assert max(len(line) for line in study.table().splitlines()) < 400
    assert "kind Sequential" in study[:1].table().replace("\n", " ")


def test_find(study):
    def found(**fields):
        return [result.network for result in study.find(**fields)]

    assert found(layers=TRANSFORMER * 4) == NETWORKS[:1]
    assert found(layers=NETWORKS[2].layers) == NETWORKS[2:3]
    assert found(tokens=5) == NETWORKS[:2]
    assert found(kind="Sequential", depth=4) == NETWORKS[2:3]
    assert found(clip__max_norm=1.0) == NETWORKS[1:2]
    assert found(layers=["tanh"]) == []
    with pytest.raises(ValueError, match="'tanhh' is the name of no activation"):
        study.find(layers=["tanhh"])


def test_the_view_of_a_store(study, tmp_path):
    path = store_of(tmp_path / "x", NETWORKS)
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        rows = connection.execute("SELECT * FROM results").fetchall()
        gains = "SELECT json_extract(layers, '$[0].layers[1].layers[1].gain') FROM results"
        assert connection.execute(gains).fetchone()[0] == 2.0
    assert len(rows) == 4 * len(NETWORKS)
    for i, row in enumerate(rows):
        result = study[i // 4]
        place = row["layer"], row["threshold"]
        assert row["vanishing"] == result.tally.events("vanishing", *place)
        assert (row["kind"], row["depth"]) == (type(result.network).__name__, result.network.depth)
        assert row["tokens"] == (None if row["kind"] == "MLP" else result.network.tokens)
        assert row["layers"] == result.task.columns.get("layers")


def test_a_store_is_read_and_merged(study, tmp_path):
    a = store_of(tmp_path / "a", NETWORKS[:3], 0, 1000)
    b = store_of(tmp_path / "b", NETWORKS)
    added = merge([a, b], tmp_path / "both")
    assert [one.samples for one in added] == [3000, 500 * 3 + 1500 * 2]
    read = vgsim.load(tmp_path / "both")
    assert {r.network: r.tally for r in read} == {r.network: r.tally for r in study}
    found = status(tmp_path / "both")
    assert (found.networks, found.samples, found.target) == (5, 7500, 10_000)


def test_a_sweep_over_fields_of_layers():
    networks = vgsim.sweep(
        vgsim.Sequential, width=8, layers=[[vgsim.Linear(), "tanh"] * 3], layers__0__gain=[1.5, 2.0]
    )
    empty = [Result(task_of(net), blocks(net, 0, 5).total(), [(5, 0, 5)]) for net in networks]
    rows = list(csv.DictReader(io.StringIO(Study(empty).table("csv"))))
    assert [list(row)[:2] for row in rows] == [["depth", "layers"]] * 4
    assert len({row["layers"] for row in rows}) == 2


# Studies by the kernels


GPT = vgsim.Sequential(8, TRANSFORMER * 2, tokens=3)
DRAWN = [
    GPT,
    vgsim.Sequential(8, [vgsim.Linear(16, init="he_normal"), "relu", vgsim.Linear(8)] * 2),
    vgsim.Sequential(8, ["tanh", vgsim.Dropout(0.2), vgsim.Norm("rms")] * 2),
    vgsim.Sequential(
        6, [vgsim.Gate([vgsim.Linear(init="orthogonal"), "tanh"])] * 3, clip=vgsim.ClipValue(0.1)
    ),
]
ARGUMENTS = {"max_samples": 6000, "thresholds": (0.2, 0.9), "layers": (0, 2)}


@pytest.fixture(scope="module")
def whole():
    """A study by threads of this process."""
    return vgsim.collect(DRAWN, **ARGUMENTS)


def counted(network, n, **settings):
    samples = vgsim.simulate(network, n, layers=ARGUMENTS["layers"], **settings)
    return Blocks.of(samples, ARGUMENTS["thresholds"]).total()


def test_a_study_is_the_samples_of_simulate(whole):
    assert [result.network for result in whole] == DRAWN
    for result in whole:
        assert result.tally == counted(result.network, 6000)
    assert 0 < whole[0].probability("exploding", threshold=0.2).estimate < 1


@pytest.mark.parametrize(
    "settings",
    [
        {"batch_size": 2, "loss": "cross_entropy", "dtype": "float64", "seed": 3},
        {"batch_size": 2, "engine": "dense"},
    ],
)
def test_settings_of_a_study(settings):
    for result in vgsim.collect(DRAWN, **{**ARGUMENTS, "max_samples": 2000}, **settings):
        assert result.tally == counted(result.network, 2000, **settings)


def test_sequences_as_inputs(rng):
    data = rng.standard_normal((30, 3, 8))
    (result,) = vgsim.collect([GPT], **{**ARGUMENTS, "max_samples": 2000}, inputs=data)
    assert result.tally == counted(GPT, 2000, inputs=data)
    assert result.tally != counted(GPT, 2000)
    assert result.task.inputs.startswith("sha256:")


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_processes(whole, method):
    context = multiprocessing.get_context(method)
    with ProcessPoolExecutor(2, context) as executor:
        assert vgsim.collect(DRAWN, **ARGUMENTS, executor=executor) == whole


def test_an_interrupted_study_continues(whole, tmp_path):
    path = tmp_path / "study.sqlite"
    for study in vgsim.iter_collect(DRAWN, **ARGUMENTS, store=path):
        if sum(result.n for result in study) >= 3000:
            break
    assert 0 < status(path).samples < 24_000
    assert vgsim.collect(DRAWN, **ARGUMENTS, store=path) == whole
    assert status(path).samples == 24_000
    assert vgsim.load(path)[0].network == GPT
    assert vgsim.load(path)[0].tally == whole[0].tally


def test_more_samples_are_added(whole, tmp_path):
    path = tmp_path / "study.sqlite"
    vgsim.collect(DRAWN, **{**ARGUMENTS, "max_samples": 2000}, store=path)
    assert vgsim.collect(DRAWN, **ARGUMENTS, store=path) == whole


def test_stop_rules():
    rule = vgsim.Precision(0.02, event="exploding", threshold=0.9)
    whole = vgsim.collect(DRAWN, **{**ARGUMENTS, "max_samples": 20_000}, stop=rule)
    assert len({result.n for result in whole}) > 1
    for result in whole:
        assert result.tally == counted(result.network, result.n)


def test_a_sweep_of_nested_fields_is_collected():
    networks = vgsim.sweep(
        vgsim.Sequential,
        width=8,
        layers=[TRANSFORMER * 2],
        layers__1__layers__1__gain=[0.5, 4.0],
        layers__3__branch=[0.1, 1.0],
        tokens=[2],
    )
    study = vgsim.collect(networks, max_samples=1000, thresholds=(0.9,))
    assert [result.network for result in study] == networks
    gains = [result.network.layers[1].layers[1].gain for result in study]
    branches = [result.network.layers[3].branch for result in study]
    assert list(zip(gains, branches, strict=True)) == [(0.5, 0.1), (0.5, 1), (4, 0.1), (4, 1)]
    means = [result.mean() for result in study]
    assert means[0] < means[1] < means[3]
    assert means[0] < means[2]
    (found,) = study.find(layers=networks[2].layers)
    assert found.mean() == means[2]
