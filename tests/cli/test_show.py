"""vgsim show: files that it reads, conditions, order, first rows, pages, progress."""

import csv
import fcntl
import io
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios

import pytest

import vgsim
from vgsim._cli.colours import plain
from vgsim._cli.conditions import Condition
from vgsim._studies.counted import counted

ACTIVATIONS, DEPTHS = ("tanh", "relu"), (5, 20, 100)
NETWORKS = [vgsim.MLP(depth, 8, activation=name) for name in ACTIVATIONS for depth in DEPTHS]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A store and a file of a study, and a folder of samples, all of the same samples."""
    path = tmp_path_factory.mktemp("show")
    study = vgsim.collect(NETWORKS, max_samples=2000, store=path / "x.sqlite")
    study.save(path / "study.npz")
    (path / "runs").mkdir()
    for network in NETWORKS:
        name = f"{network.activation.name}-{network.depth}.npz"
        vgsim.simulate(network, 2000, layers=[network.depth, 0]).save(path / "runs" / name)
    return path


@pytest.fixture(scope="module")
def study(folder):
    return vgsim.load(folder / "study.npz")


@pytest.fixture
def rows(command):
    """Run vgsim show with --json; return the rows."""

    def run(*arguments):
        code, out, err = command("show", *arguments, "--json")
        assert (code, err) == (0, "")
        return json.loads(out)["rows"]

    return run


def key(row):
    return row["activation"], row["depth"]


ALL = [(name, depth) for name in ACTIVATIONS for depth in DEPTHS]


# files


def test_samples_are_shown_as_a_study_of_them(command, folder, study):
    code, out, err = command("show", folder / "runs", "--layers", 0)
    assert (code, err) == (0, "")
    runs = vgsim.Study(sorted(study, key=lambda result: result.network.activation.name))
    assert out == f"{runs.table()}\n"


def test_samples_of_every_recorded_layer(rows, folder):
    found = rows(folder / "runs" / "tanh-20.npz", "--thresholds", "1e-3", 0.1)
    samples = vgsim.load(folder / "runs" / "tanh-20.npz")
    assert [(row["layer"], row["threshold"]) for row in found] == [
        (0, 1e-3), (0, 0.1), (20, 1e-3), (20, 0.1)
    ]  # fmt: skip
    for row in found:
        p = samples.probability("vanishing", row["layer"], threshold=row["threshold"])
        assert (row["vanishing"], row["vanishing_low"]) == (p.estimate, p.low)
        assert row["median"] == pytest.approx(samples.quantile(0.5, row["layer"]), abs=1 / 64)


def test_a_store_a_study_and_samples_have_the_same_rows(rows, folder):
    found = [rows(folder / name, "--layers", 0) for name in ("x.sqlite", "study.npz", "runs")]
    found = [sorted(some, key=key) for some in found]
    assert found[0] == found[1] == found[2]


def test_samples_of_several_files_are_added(rows, tmp_path):
    net = vgsim.MLP(5, 8)
    parts = [vgsim.simulate(net, n, first=first) for n, first in ((500, 0), (700, 900))]
    for number, part in enumerate(parts):
        part.save(tmp_path / f"{number}.npz")
    (row,) = rows(tmp_path, "--where", "layer=0")
    whole = sum(parts)
    assert row["n"] == 1200
    assert row["mean"] == pytest.approx(whole.mean(0), abs=1e-8)
    assert counted(whole).ranges == ((0, 0, 500), (0, 900, 1600))


def test_the_same_samples_twice_are_an_error(command, folder):
    code, out, err = command("show", folder / "x.sqlite", folder / "study.npz")
    assert (code, out) == (2, "")
    assert "study.npz cannot be shown with the files before it: MLP(depth=5" in err
    assert "samples 0 to 1999 of seed 0 are in both" in err


def test_files_are_in_the_order_of_the_numbers_in_their_names(rows, folder):
    found = rows(folder / "runs", "--where", "activation=tanh", "layer=0")
    assert [row["depth"] for row in found] == list(DEPTHS)


def test_layers_that_were_not_recorded(command, folder):
    code, _, err = command("show", folder / "runs", "--layers", 1)
    assert (code, err.count("\n")) == (2, 1)
    assert "layer" in err


def test_a_folder_without_files(command, tmp_path):
    code, _, err = command("show", tmp_path)
    assert code == 2
    assert f"must not be a folder without .npz files, got {tmp_path}" in err


WORDS = ["--activation", "tanh", "relu", "--depth", "5", "20", "--width", "8", "--samples", "50"]


def test_json_of_run_is_read_again(command, rows, tmp_path, monkeypatch):
    out = command("run", *WORDS, "--json")[1]
    (path := tmp_path / "run.json").write_text(out)
    expected = json.loads(out)
    assert rows(path) == expected["rows"]
    assert json.loads(command("show", path, "--json")[1])["provenance"] == expected["provenance"]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(out.encode())))
    assert rows("-", "--where", "depth>5") == [r for r in expected["rows"] if r["depth"] > 5]
    text = command("show", path)[1]
    assert "network MLP, width 8, gain 1.0," in text
    table = text[text.index("depth ") :].splitlines()
    assert re.split("  +", table[0])[:5] == ["depth", "activation", "init", "n", "layer"]
    for line, row in zip(table[1:], expected["rows"], strict=True):
        cell = re.split("  +", line.strip())[5]
        number, *limits = map(float, re.findall(r"[\d.]+", cell))
        assert number == pytest.approx(row["vanishing"], abs=0.005)
        ends = [row["vanishing_low"]] * (number > 0) + [row["vanishing_high"]] * (number < 1)
        assert limits == pytest.approx(ends, abs=0.01)
        assert line.endswith(f"  {row['q95']:.2f}")
    found = list(csv.DictReader(io.StringIO(command("show", path, "--csv")[1])))
    assert [float(row["median"]) for row in found] == [r["median"] for r in expected["rows"]]


def test_json_of_show_is_read_again(command, rows, folder, tmp_path):
    (path := tmp_path / "show.json").write_text(command("show", folder / "runs", "--json")[1])
    assert rows(path) == rows(folder / "runs")
    assert len(rows(path, folder / "study.npz")) == 12 + 6


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "x.json is not JSON: "),
        ("[]", "its schema must be vgsim/run/1 or vgsim/study/1, got None"),
        ('{"schema": "vgsim/theory/1"}', "got 'vgsim/theory/1'"),
        ('{"schema": "vgsim/run/1", "rows": 3, "provenance": {}}', "must have a list of rows"),
        ('{"schema": "vgsim/run/1", "rows": [], "provenance": 1}', "a provenance of strings"),
    ],
)
def test_json_that_is_no_output(command, tmp_path, text, message):
    (path := tmp_path / "x.json").write_text(text)
    code, out, err = command("show", path)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert message in err


# conditions


CONDITIONS = [
    (["depth=20"], lambda row: row["depth"] == 20),
    (["depth==2e1"], lambda row: row["depth"] == 20),
    (["depth!=20"], lambda row: row["depth"] != 20),
    (["depth>=20", "activation=relu"], lambda row: row["depth"] >= 20 and key(row)[0] == "relu"),
    (["depth<20"], lambda row: row["depth"] < 20),
    (["depth = 5,100"], lambda row: row["depth"] in (5, 100)),
    (["activation!=tanh,gelu"], lambda row: row["activation"] == "relu"),
    (["bias-std=0"], lambda row: True),
    (["init=he_normal"], lambda row: row["activation"] == "relu"),
    (["vanishing>0"], lambda row: row["vanishing"] > 0),
    (["median<-1"], lambda row: row["median"] is None or row["median"] < -1),
    (["n=none"], lambda row: False),
]


@pytest.mark.parametrize(("conditions", "expected"), CONDITIONS)
def test_conditions(rows, folder, conditions, expected):
    every = rows(folder / "x.sqlite")
    assert rows(folder / "x.sqlite", "--where", *conditions) == [*filter(expected, every)]


def test_conditions_may_be_given_apart(rows, folder):
    found = rows(folder / "x.sqlite", "--where", "depth>5", "--where", "depth<100")
    assert {row["depth"] for row in found} == {20}


def test_quantiles_of_dead_networks_are_below_every_number(command, tmp_path):
    vgsim.collect([vgsim.MLP(300, 2, activation="relu")], max_samples=1000, store=tmp_path / "x")
    found = json.loads(command("show", tmp_path / "x", "--json", "--where", "median<-1e9")[1])
    assert [row["median"] for row in found["rows"]] == [None]


def test_conditions_choose_rows_of_every_format(command, folder, study):
    code, out, err = command("show", folder / "x.sqlite", "--where", "activation=relu", "--csv")
    assert (code, err) == (0, "")
    assert out == study.find(activation="relu").table("csv") + "\n"


def test_rows_of_a_layer(command, folder):
    _, out, _ = command("show", folder / "runs", "--where", "layer=0", "depth=20", "--csv")
    found = list(csv.DictReader(io.StringIO(out)))
    assert [(row["activation"], row["layer"]) for row in found] == [("relu", "0"), ("tanh", "0")]


def test_no_rows(command, folder):
    code, out, err = command("show", folder / "study.npz", "--where", "depth>1e9")
    assert (code, out, err) == (0, "no rows meet the conditions\n", "")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--where", "depth"], "'depth' is not a condition such as activation=tanh or depth>=100"),
        (["--where", "depth>=many"], "compares with 'many', not a number"),
        (["--where", "dept=3"], "--where has no column 'dept'; did you mean 'depth'? The columns"),
        (["--sort", "medan"], "--sort has no column 'medan'; did you mean 'median'? The columns"),
        (["--head", "0"], "argument --head: must be at least 1, got 0"),
    ],
)
def test_errors_are_one_line(command, folder, options, message):
    code, out, err = command("show", folder / "x.sqlite", *options)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert message in err


def test_a_condition_on_words_and_on_nothing():
    row = {"norm": None, "nested": True, "depth": 5, "width": None}
    holds = {text: Condition.parse(text).holds(row) for text in (
        "norm=none", "norm!=none", "norm=layer", "nested=true", "width>3", "width<3", "depth=five"
    )}  # fmt: skip
    assert holds == {
        "norm=none": True, "norm!=none": False, "norm=layer": False, "nested=true": True,
        "width>3": False, "width<3": False, "depth=five": False,
    }  # fmt: skip


# order and first rows


def test_rows_are_sorted(rows, folder):
    store = folder / "x.sqlite"
    assert [key(row) for row in rows(store)] == ALL
    by = rows(store, "--sort", "depth", "activation")
    assert [key(row) for row in by] == sorted(ALL, key=lambda pair: pair[::-1])
    means = [row["mean"] for row in rows(store, "--sort", "mean", "--reverse")]
    assert means == sorted(means, reverse=True)


def test_the_first_rows(command, folder, study):
    store = folder / "x.sqlite"
    found = command("show", store, "--sort", "mean", "--head", 2, "--csv")[1]
    first = vgsim.Study(sorted(study, key=lambda result: result.mean())[:2])
    assert found == f"{first.table('csv')}\n"
    text = command("show", store, "--head", 5)[1]
    assert "\n... 1 more row\n" in text
    assert "more row" not in command("show", store, "--head", 6)[1]


# progress


def test_the_progress_of_a_store_is_below_the_table(command, folder, tmp_path):
    out = command("show", folder / "x.sqlite")[1]
    assert out.endswith(
        f"\n\n{folder / 'x.sqlite'}: 12,000 of 12,000 samples, 100.0 % of the work, "
        "6 of 6 networks finished\n"
    )
    (progress,) = json.loads(command("show", folder / "x.sqlite", "--json")[1])["progress"]
    status = json.loads(command("status", folder / "x.sqlite", "--json")[1])
    for found in (progress, status):
        found.pop("idle")
    assert status.pop("schema") == "vgsim/status/1"
    assert progress == {"store": str(folder / "x.sqlite"), **status}
    assert "finished" not in command("show", folder / "runs")[1]


# pages


def on_terminal(words, lines, columns, **variables):
    """Run the command on a terminal of some size; return what it writes."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("4H", lines, columns, 0, 0))
    environment = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES", "NO_COLOR")}
    process = subprocess.Popen(
        [sys.executable, "-m", "vgsim", *map(str, words)],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env={**environment, "TERM": "xterm", **variables},
        start_new_session=True,
    )
    os.close(slave)
    parts = []
    while True:
        try:
            part = os.read(master, 1 << 16)
        except OSError:
            break
        if not part:
            break
        parts.append(part)
    os.close(master)
    assert process.wait(60) == 0
    return b"".join(parts).decode().replace("\r\n", "\n")


@pytest.mark.parametrize(
    ("lines", "columns", "paged"), [(50, 300, False), (50, 80, True), (5, 300, True)]
)
def test_a_table_that_does_not_fit_is_paged(folder, study, lines, columns, paged):
    pager = f"{sys.executable} -c \"import sys; print('<', len(sys.stdin.read()))\""
    out = on_terminal(["show", folder / "study.npz"], lines, columns, PAGER=pager)
    if paged:
        assert re.fullmatch(r"< \d+\n", out)
    else:
        assert "\x1b[36m0.9" in out
        assert plain(out) == f"{study.table()}\n"


def test_without_a_pager_the_table_is_printed(folder, study):
    for pager in ("cat", "", "no-such-pager-here"):
        out = on_terminal(["show", folder / "study.npz"], 5, 80, PAGER=pager)
        assert plain(out) == f"{study.table()}\n"


def test_other_formats_are_not_paged(folder, study):
    out = on_terminal(["show", folder / "study.npz", "--csv"], 3, 20, PAGER="false")
    assert out == study.table("csv") + "\n"
