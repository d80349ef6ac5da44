"""vgsim collect, status, show, merge and export, compared with vgsim.collect in Python."""

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import vgsim
from stored_studies import sql, stored_samples
from vgsim._studies.store import Reader, Store

STUDY = """\
max_samples = 3000
thresholds = [1e-3]
[[sweep]]
activation = ["sigmoid", "relu"]
width = 8
depth = [5, 20]
"""
DONE = "12,000 of 12,000 samples, 100.0 % of the work, 4 of 4 networks finished\n"
RULE = '[stop]\nhalf_width = 0.04\nevent = "vanishing"\nthreshold = 1e-3\n'
NETWORKS = [
    vgsim.MLP(depth, 8, activation=activation, init=init)
    for activation, init in (("sigmoid", "glorot_normal"), ("relu", "he_normal"))
    for depth in (5, 20)
]


@pytest.fixture
def file(tmp_path):
    """Write a study file with the given text, by default STUDY, followed by `more`."""

    def write(text=STUDY, more=""):
        path = tmp_path / "study.toml"
        path.write_text(text + more)
        return path

    return write


@pytest.fixture(scope="module")
def study():
    return vgsim.collect(NETWORKS, max_samples=3000, thresholds=(1e-3,))


@pytest.fixture
def store(tmp_path):
    """A store with the samples of `study`."""
    path = tmp_path / "store"
    vgsim.collect(NETWORKS, max_samples=3000, thresholds=(1e-3,), store=path)
    return path


def wait_for_blocks(store, process):
    """Wait until a process has written blocks to a store."""
    until = time.monotonic() + 120
    while not stored_samples(store):
        assert process.poll() is None
        assert time.monotonic() < until
        time.sleep(0.01)


def damage(store):
    """Alter a count; return the name of the damaged block."""
    sql(store, "UPDATE counts SET exploding = exploding + 1 WHERE (task, first) = (1, 0)")
    return f"samples 0 to 999 of {NETWORKS[0]!r}"


# collect


@pytest.mark.parametrize("format", ["text", "csv", "markdown", "latex"])
def test_collect_prints_the_table(command, file, tmp_path, study, format):
    options = [] if format == "text" else [f"--{format}"]
    code, out, err = command("collect", file(), "--store", tmp_path / "x", "--quiet", *options)
    assert (code, err) == (0, "")
    assert out == study.table(format) + "\n"


def test_rows_say_what_the_study_says(command, file, tmp_path):
    store = tmp_path / "x"
    code, out, _ = command("collect", file(more=""), "--store", store, "--quiet", "--json")
    assert code == 0
    found = json.loads(out, parse_constant=pytest.fail)
    assert found["provenance"]["vgsim"] == vgsim.__version__
    study = vgsim.collect(NETWORKS, max_samples=3000, thresholds=(1e-3,))
    for row, result in zip(found["rows"], study, strict=True):
        p = result.probability("vanishing")
        assert (row["depth"], row["n"]) == (result.network.depth, 3000)
        limits = row["vanishing"], row["vanishing_low"], row["vanishing_high"]
        assert limits == (p.estimate, p.low, p.high)
        assert row["std"] == result.std()


def test_a_rule_stops_it(command, file, tmp_path):
    text = STUDY.replace("max_samples = 3000\n", "").replace("[[sweep]]", RULE + "[[sweep]]")
    _, out, _ = command("collect", file(text), "--store", tmp_path / "x", "--quiet", "--json")
    rule = vgsim.Precision(0.04, threshold=1e-3)
    expected = vgsim.collect(NETWORKS, stop=rule, thresholds=(1e-3,))
    rows = json.loads(out)["rows"]
    assert [row["n"] for row in rows] == [result.n for result in expected]
    limits = [(row["vanishing_low"], row["vanishing_high"]) for row in rows]
    p = [r.probability("vanishing", 0, 1e-3, method="anytime") for r in expected]
    assert limits == [(one.low, one.high) for one in p]


def test_collect_goes_on(command, file, tmp_path, study):
    store = tmp_path / "x"
    command("collect", file(STUDY.replace("3000", "1000")), "--store", store, "--quiet")
    before = stored_samples(store)
    _, out, _ = command("collect", file(), "--store", store, "--quiet", "--csv", "--threads", 1)
    assert out == study.table("csv") + "\n"
    assert (before, stored_samples(store)) == (4000, 12_000)


def test_it_says_what_was_done(command, file, tmp_path):
    code, _, err = command("collect", file(), "--store", tmp_path / "x")
    assert code == 0
    last = err.splitlines()[-1]
    assert last.startswith("vgsim collect: 12,000 samples of 4 networks in ")
    assert last.endswith("s")


def test_the_time_may_be_bounded(started, file, tmp_path):
    text = STUDY.replace("3000", "1_000_000_000_000").replace("[5, 20]", "1000")
    options = "--store", tmp_path / "x", "--max-seconds", 0.5, "--quiet", "--json"
    process = started("collect", file(text), *options)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (0, "")
    assert sum(row["n"] for row in json.loads(out)["rows"]) < 2_000_000_000_000


DASK = """
import sys
from distributed import LocalCluster
from vgsim._cli.main import main

if __name__ == "__main__":
    with LocalCluster(1, threads_per_worker=1, dashboard_address=None) as cluster:
        code = main([*sys.argv[1:], "--executor", f"dask:{cluster.scheduler_address}"])
    sys.exit(code)
"""


@pytest.mark.parametrize("executor", ["process:2", "mpi", "dask"])
def test_executors(file, tmp_path, study, executor, request):
    words = ["collect", str(file()), "--store", str(tmp_path / "x"), "--quiet", "--csv"]
    if executor == "dask":
        pytest.importorskip("distributed")
        (tmp_path / "run.py").write_text(DASK)
        words = [sys.executable, str(tmp_path / "run.py"), *words]
    else:
        words = [sys.executable, "-m", "vgsim", *words, "--executor", executor]
    if executor == "mpi":
        words = [*request.getfixturevalue("mpiexec"), "-n", "3", *words]
    ran = subprocess.run(words, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == study.table("csv") + "\n"


def test_errors_of_the_file_are_listed(command, file, tmp_path):
    text = STUDY.replace("3000", "0").replace("width", "widht")
    code, out, err = command("collect", path := file(text), "--store", tmp_path / "x")
    assert (code, out) == (2, "")
    lines = err.splitlines()
    places = [line.removeprefix(f"{path}: ").split()[0] for line in lines]
    assert places == ["max_samples", "sweep[0].widht", "sweep[0].width"]
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "the following arguments are required: --store"),
        (
            ["--executor", "process:0"],
            "argument --executor: 'process:0' is not one of process:N with",
        ),
        (
            ["--executor", "slurm"],
            "argument --executor: 'slurm' is not one of process:N with N >= 1",
        ),
        (["--store", "s3://bucket/x"], "--store must name a file of this machine, got "),
        (["--store", "x", "--threads", "0"], "--threads must be"),
        (
            ["--store", "x", "--max-seconds", "0"],
            "--max-seconds must be a positive number, got 0.0",
        ),
    ],
)
def test_bad_options(command, file, tmp_path, monkeypatch, options, message):
    monkeypatch.chdir(tmp_path)
    store = [] if "--store" in options or not options else ["--store", "x"]
    code, out, err = command("collect", file(), *store, *options)
    assert (code, out) == (2, "")
    assert err.startswith("vgsim collect: error: ")
    assert message in err
    assert len(err.splitlines()) == 1


def test_a_file_that_is_not_there(command, tmp_path):
    code, _, err = command("collect", tmp_path / "no.toml", "--store", tmp_path / "x")
    assert code == 2
    assert "No such file or directory" in err
    assert len(err.splitlines()) == 1


def test_without_an_end_nothing_begins(command, file, tmp_path):
    text = STUDY.replace("max_samples = 3000\n", "")
    code, _, err = command("collect", path := file(text), "--store", tmp_path / "x", "--quiet")
    assert code == 2
    assert err == (
        f"{path}: max_samples, max_seconds or [stop] must be given: nothing would stop the study\n"
    )


def test_lost_workers_are_one_sentence(command, file, tmp_path, monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("workers died at samples 0 to 999")

    monkeypatch.setattr("vgsim._studies.collect.collect", fail)
    code, _, err = command("collect", file(), "--store", tmp_path / "x", "--quiet")
    assert (code, err) == (2, "vgsim collect: error: workers died at samples 0 to 999\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_study_goes_on(command, started, file, tmp_path, number):
    path, store = file(STUDY.replace("3000", "100_000_000").replace("8", "32")), tmp_path / "x"
    process = started("collect", path, "--store", store)
    wait_for_blocks(store, process)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert f"finished blocks are in {store}: repeat the command to continue" in err
    assert "Traceback" not in err
    code, out, _ = command("show", store, "--json")
    assert code == 0
    assert sum(row["n"] for row in json.loads(out)["rows"]) > 0


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc")
def test_workers_of_a_killed_study_end(started, file, tmp_path):
    path, store = file(STUDY.replace("3000", "100_000_000")), tmp_path / "x"
    words = "collect", path, "--store", store, "--quiet", "--executor", "process:2"
    process = started(*words)
    wait_for_blocks(store, process)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    process.kill()
    assert len(children) >= 2
    until = time.monotonic() + 60
    while any(Path(f"/proc/{child}").exists() for child in children):
        assert time.monotonic() < until
        time.sleep(0.1)


def test_collect_writes_the_study_as_its_rules_stopped_it(command, file, tmp_path):
    path, out = file(more=RULE), tmp_path / "x.npz"
    options = "--store", tmp_path / "x", "--quiet", "--csv", "--out", out
    assert command("collect", path, *options)[0] == 0
    rule = vgsim.Precision(0.04, threshold=1e-3)
    thresholds = {"thresholds": [1e-3]}
    assert vgsim.load(out) == vgsim.collect(NETWORKS, max_samples=3000, stop=rule, **thresholds)
    code, _, err = command("collect", path, *options)
    assert code == 2
    assert f"{out} exists, and is not overwritten" in err


# status


def test_status(command, store):
    code, out, err = command("status", store)
    assert (code, err) == (0, "")
    assert out.splitlines()[:3] == [
        "samples   12,000 of 12,000",
        "networks  4 of 4 finished",
        "work      100.0 %",
    ]
    assert out.splitlines()[3].startswith("idle      no process is running; last written ")
    found = json.loads(command("status", store, "--json")[1])
    assert (found["samples"], found["target"], found["runs"]) == (12_000, 12_000, 0)


def test_status_of_a_study_that_runs(command, started, file, tmp_path):
    path, store = file(STUDY.replace("3000", "100_000_000")), tmp_path / "x"
    process = started("collect", path, "--store", store, "--quiet")
    wait_for_blocks(store, process)
    lines = dict(line.split(maxsplit=1) for line in command("status", store)[1].splitlines())
    assert lines["samples"].endswith(" of 400,000,000")
    assert lines["rate"].endswith("samples/s by 1 process")
    assert lines["time"].startswith("left ")
    assert lines["time"].endswith((" s", "min", "h"))


# show


@pytest.mark.parametrize("format", ["text", "csv", "markdown", "latex"])
def test_show_prints_the_table(command, store, study, format):
    options = [] if format == "text" else [f"--{format}"]
    done = f"\n{store}: {DONE}" if format == "text" else ""
    assert command("show", store, *options) == (0, f"{study.table(format)}\n{done}", "")


def test_show_a_file(command, tmp_path, study):
    study.save(tmp_path / "study.npz")
    code, out, err = command("show", tmp_path / "study.npz")
    assert (code, out, err) == (0, study.table() + "\n", "")


def test_show_intervals_valid_at_any_time(command, store, study):
    _, out, _ = command("show", store, "--json", "--method", "anytime")
    for row, result in zip(json.loads(out)["rows"], study, strict=True):
        for event in ("vanishing", "exploding", "dead"):
            p = result.probability(event, method="anytime")
            assert (row[f"{event}_low"], row[f"{event}_high"]) == (p.low, p.high)


def test_damaged_blocks_are_named(command, store, study):
    name = damage(store)
    code, out, err = command("show", store)
    assert code == 0
    assert err.startswith(f"vgsim show: warning: {store}: left out {name}: ")
    assert len(err.splitlines()) == 1
    _, out, _ = command("show", store, "--json")
    found = json.loads(out)
    assert [damaged["what"] for damaged in found["damaged"]] == [name]
    assert sum(row["n"] for row in found["rows"]) < sum(result.n for result in study)


def test_show_says_what_was_counted_in_other_ways(command, store, study):
    other = vgsim.collect(NETWORKS[:1], max_samples=1000, layers=(0, 5), store=store)
    code, out, _ = command("show", store)
    assert code == 0
    assert out.startswith(f"{study.table()}\n\n{other.table()}\n")
    assert command("show", store, "--layers", 5, 0, "--csv")[1] == other.table("csv") + "\n"
    assert command("show", store, "--thresholds", "1e-3", "--csv")[1] == study.table("csv") + "\n"
    code, _, err = command("show", store, "--layers", 1)
    assert code == 2
    assert "there are only --layers 0 --thresholds 0.001; --layers 0 5 --thresholds 1e-06" in err


def test_several_seeds_are_one_result(command, store):
    vgsim.collect(NETWORKS, seed=1, max_samples=1000, thresholds=(1e-3,), store=store)
    _, out, _ = command("show", store, "--json")
    assert [row["n"] for row in json.loads(out)["rows"]] == [4000] * 4


def test_a_new_store_has_no_networks(command, tmp_path):
    Store(tmp_path / "x").close()
    assert command("show", tmp_path / "x") == (0, "no networks yet\n", "")
    code, _, err = command("export", tmp_path / "x", tmp_path / "x.csv")
    assert code == 2
    assert err.endswith("/x holds no networks\n")


@pytest.mark.parametrize("name", ["show", "export", "status"])
def test_no_store(command, tmp_path, name):
    out = [tmp_path / "x.csv"] if name == "export" else []
    code, _, err = command(name, tmp_path / "nothing", *out)
    assert code == 2
    assert ("there is no store here" if name == "status" else "No such file") in err


# merge


def test_merge(command, tmp_path, study):
    parts = {
        "a": (NETWORKS[:3], 2000), "b": (NETWORKS[2:], 3000), "c": (NETWORKS[:2], 3000)
    }  # fmt: skip
    for name, (networks, n) in parts.items():
        vgsim.collect(networks, max_samples=n, thresholds=(1e-3,), store=tmp_path / name)
    sources = [tmp_path / name for name in parts]
    code, out, err = command("merge", *sources, "-o", tmp_path / "all")
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        f"{tmp_path / 'a'} added 6,000 samples",
        f"{tmp_path / 'b'} added 4,000 samples; 2 blocks existed already",
        f"{tmp_path / 'c'} added 2,000 samples; 4 blocks existed already",
        f"{tmp_path / 'all'} holds 12,000 samples of 4 networks",
    ]
    found = vgsim.load(tmp_path / "all")
    assert found.find(depth=5) == study.find(depth=5)
    assert found.find(depth=20) == study.find(depth=20)


def test_merge_leaves_damage_behind(command, store, tmp_path):
    name = damage(store)
    code, _, err = command("merge", store, "-o", tmp_path / "all")
    assert code == 0
    assert f"vgsim merge: warning: {store}: left out {name}: " in err
    with Reader(tmp_path / "all") as merged:
        merged.check_blocks()
        assert merged.damaged == []


# export


def test_export_csv(command, store, study, tmp_path):
    code, out, err = command("export", store, tmp_path / "x.csv")
    assert (code, out, err) == (0, "", f"wrote {tmp_path / 'x.csv'}\n")
    rows = list(csv.DictReader(io.StringIO((tmp_path / "x.csv").read_text())))
    assert [float(row["mean"]) for row in rows] == [result.mean() for result in study]
    assert [row["activation"] for row in rows] == ["sigmoid"] * 2 + ["relu"] * 2


def test_export_npz(command, store, study, tmp_path):
    assert command("export", store, tmp_path / "x.npz")[0] == 0
    assert vgsim.load(tmp_path / "x.npz") == study


def test_export_fields_of_words_and_numbers(command, tmp_path):
    pytest.importorskip("h5netcdf")
    pytest.importorskip("pandas")
    xarray = pytest.importorskip("xarray")
    branches = [0.5, "1/sqrt(blocks)"]
    networks = vgsim.sweep(vgsim.MLP, depth=4, width=8, residual__branch=branches)
    vgsim.collect([*networks, vgsim.MLP(4, 8)], max_samples=1000, store=tmp_path / "store")
    for suffix in ("nc", "csv", "npz"):
        assert command("export", tmp_path / "store", tmp_path / f"x.{suffix}")[0] == 0
    rows = list(csv.DictReader(io.StringIO((tmp_path / "x.csv").read_text())))
    assert [row["residual__branch"] for row in rows] == ["0.5", "1/sqrt(blocks)", ""]
    with xarray.open_dataset(tmp_path / "x.nc") as dataset:
        assert dataset.residual__branch.values.tolist()[:2] == ["0.5", "1/sqrt(blocks)"]


def test_export_netcdf(command, store, study, tmp_path):
    xarray = pytest.importorskip("xarray")
    pytest.importorskip("h5netcdf")
    assert command("export", store, tmp_path / "x.nc")[0] == 0
    with xarray.open_dataset(tmp_path / "x.nc") as dataset:
        assert dataset.n.values.tolist() == [3000] * 4
        assert dataset.histogram.dims == ("task", "layer", "bin")
        alive = 3000 - dataset.n_dead.values[:, 0]
        np.testing.assert_array_equal(dataset.histogram.sum("bin").values[:, 0], alive)
        assert dataset.attrs["provenance_vgsim"] == vgsim.__version__
    assert sorted(os.listdir(tmp_path)) == ["store", "x.nc"]


def test_export_chooses(command, store, tmp_path):
    vgsim.collect(NETWORKS[:1], max_samples=1000, layers=(0, 5), store=store)
    code, _, err = command("export", store, tmp_path / "x.npz")
    assert code == 2
    assert "choose one of --layers 0 --thresholds 0.001; --layers 0 5 --thresholds 1e-06" in err
    assert command("export", store, tmp_path / "x.npz", "--layers", 0, 5)[0] == 0
    assert vgsim.load(tmp_path / "x.npz")[0].task.layers == (0, 5)


@pytest.mark.parametrize(
    ("suffix", "package"),
    [("nc", "h5netcdf"), ("nc", "h5py"), ("nc", "xarray"), ("csv", "pandas")],
)
def test_a_missing_package_is_one_sentence(command, store, tmp_path, monkeypatch, suffix, package):
    monkeypatch.setitem(sys.modules, package, None)
    code, _, err = command("export", store, tmp_path / f"x.{suffix}")
    assert code == 2
    assert len(err.splitlines()) == 1
    assert err.endswith(f"pip install {package}\n")
    assert os.listdir(tmp_path) == ["store"]


@pytest.mark.parametrize("executor", ["dask:tcp://x:1", "mpi"])
def test_a_missing_executor_is_one_sentence(command, file, tmp_path, monkeypatch, executor):
    package = "mpi4py" if executor == "mpi" else "distributed"
    for name in (package, "mpi4py.futures"):
        monkeypatch.setitem(sys.modules, name, None)
    code, _, err = command("collect", file(), "--store", tmp_path / "x", "--executor", executor)
    assert code == 2
    assert err.endswith(f"needs the package {package}: pip install {package}\n")


def test_nothing_is_overwritten(command, store, tmp_path):
    (tmp_path / "x.csv").write_text("mine")
    code, _, err = command("export", store, tmp_path / "x.csv")
    assert code == 2
    assert "exists, and is not overwritten" in err
    assert (tmp_path / "x.csv").read_text() == "mine"


@pytest.mark.parametrize("suffix", ["xls", "zarr", "parquet"])
def test_unknown_suffix(command, file, store, tmp_path, suffix):
    out = tmp_path / f"x.{suffix}"
    for name, *words in (
        ("out", "export", store, out),
        ("--out", "collect", file(), "--store", store, "--out", out),
    ):
        code, printed, err = command(*words)
        assert (code, printed) == (2, "")
        allowed = "must end in one of .nc, .csv, .npz, got"
        assert err == f"vgsim {words[0]}: error: {name} {allowed} {str(out)!r}\n"
    assert not out.exists()


def test_a_folder_that_is_not_there_is_refused_before_the_work(command, file, store, tmp_path):
    out = tmp_path / "nowhere" / "x.csv"
    for words in (
        ["export", store, out],
        ["collect", file(), "--store", tmp_path / "s", "--out", out],
    ):
        code, printed, err = command(*words)
        assert (code, printed) == (2, "")
        assert f"out must be in a folder that exists, got {str(out)!r}" in err


@pytest.mark.parametrize("name", ["collect", "status", "show", "merge", "export"])
def test_help(command, name):
    code, out, _ = command(name, "--help")
    assert code == 0
    assert out.startswith(f"usage: vgsim {name}")
    assert max(map(len, out.splitlines())) <= 100
