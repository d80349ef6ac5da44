"""The options that choose the columns of tables, compared with the library."""

import csv
import io
import json
import re

import pytest

import vgsim

SWEEP = {"width": 16, "activation": ["sigmoid", "relu"], "depth": [20, 100]}
ARRANGED = ["--columns", "vanishing", "median", "--index", "depth", "--pivot", "activation"]
SMALL = ["--activation", "tanh", "--width", 8, "--depth", 5, 20, "--samples", 100]
TOML = """\
max_samples = 1000
[[sweep]]
width = 16
activation = ["sigmoid", "relu"]
depth = [20, 100]
"""


@pytest.fixture(scope="module")
def study():
    return vgsim.collect(vgsim.sweep(vgsim.MLP, **SWEEP), max_samples=1000)


@pytest.fixture
def file(study, tmp_path):
    study.save(path := tmp_path / "study.npz")
    return path


def cells(out):
    """Return the cells of the rows of a text table that begin with a number."""
    lines = [re.split("  +", line.strip()) for line in out.splitlines()]
    return [line for line in lines if line[0].isdigit()]


@pytest.mark.parametrize("format", ["text", "markdown", "latex", "csv"])
def test_show_arranges_columns(command, study, file, format):
    options = [] if format == "text" else [f"--{format}"]
    expected = study.table(
        format, columns=["vanishing", "median"], index="depth", pivot="activation"
    )
    assert command("show", file, *ARRANGED, *options) == (0, expected + "\n", "")


def test_show_with_a_caption_and_a_label(command, study, file):
    words = ["--columns", "vanishing-theory", "--caption", "$R$", "--label", "tab:a", "--latex"]
    expected = study.table("latex", columns="vanishing_theory", caption="$R$", label="tab:a")
    assert command("show", file, *words) == (0, expected + "\n", "")
    everything = study.table("markdown", columns="all")
    assert command("show", file, "--columns", "all", "--markdown")[1] == everything + "\n"


def test_fields_among_the_columns_are_the_rows_of_a_pivot(command, study, file):
    words = ["--columns", "depth", "vanishing", "median", "--pivot", "activation"]
    expected = study.table(columns=["vanishing", "median"], index="depth", pivot="activation")
    assert command("show", file, *words) == (0, expected + "\n", "")


def test_show_arranges_what_was_selected(command, study, file):
    out = command("show", file, *ARRANGED, "--where", "depth>50", "activation=relu", "--csv")[1]
    (row,) = csv.DictReader(io.StringIO(out))
    (found,) = study.find(depth=100, activation="relu")
    assert float(row["vanishing_relu"]) == found.probability("vanishing").estimate
    assert "vanishing_sigmoid" not in row


def test_collect_prints_the_chosen_columns(command, study, tmp_path):
    (path := tmp_path / "study.toml").write_text(TOML)
    words = ["collect", path, "--store", tmp_path / "x", "--quiet", *ARRANGED]
    expected = study.table(columns=["vanishing", "median"], index="depth", pivot="activation")
    assert command(*words) == (0, expected + "\n", "")


def test_columns_of_rows_in_json(command, tmp_path):
    out = command("run", *SMALL, "--json")[1]
    (path := tmp_path / "run.json").write_text(out)
    code, text, err = command("show", path, "--columns", "depth", "median")
    assert (code, err) == (0, "")
    rows = json.loads(out)["rows"]
    assert cells(text) == [[str(row["depth"]), f"{row['median']:.2f}"] for row in rows]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("layers", "0"),
        ("thresholds", "1e-6"),
        ("method", "wilson"),
        ("method", "anytime"),
        ("index", "depth"),
        ("pivot", "depth"),
    ],
)
def test_options_that_do_not_apply_to_json(command, file, tmp_path, name, value):
    (path := tmp_path / "run.json").write_text(command("run", *SMALL, "--json")[1])
    error = f"vgsim show: error: --{name} is for stores and studies, not for JSON\n"
    for files in ([path], [file, path]):
        assert command("show", *files, f"--{name}", value) == (2, "", error)


def test_columns_of_run_depth_and_theory(command):
    out = command("run", *SMALL, "--columns", "depth", "median")[1]
    for (depth, median), row in zip(cells(out), (5, 20), strict=True):
        samples = vgsim.simulate(vgsim.MLP(row, 8), 100, layers=[0])
        assert (depth, median) == (str(row), f"{samples.quantile(0.5):.2f}")
    out = command("depth", *SMALL, "--columns", "depth", "n", "exploding_theory")[1]
    assert [row[:2] for row in cells(out)] == [["5", "100"], ["20", "100"]]
    words = ["--activation", "sigmoid", "--depth", 5, "--columns", "depth", "exploding"]
    assert cells(command("theory", *words)[1]) == [["5", "< 1e-6"]]


@pytest.mark.parametrize("name", ["run", "depth", "theory"])
def test_unknown_columns_are_refused_before_the_work(command, monkeypatch, name):
    monkeypatch.setattr("vgsim._engine.run.Run", lambda *_, **__: pytest.fail("simulated"))
    code, out, err = command(name, "--depth", 4, "--columns", "depth", "vanishin")
    assert (code, out) == (2, "")
    assert err.startswith(f"vgsim {name}: error: --columns must be names of columns (")
    assert err.endswith("got 'vanishin': did you mean 'vanishing'?\n")
    code, out, err = command(name, "--depth", 4, "--columns", "depth", "--json")
    assert (code, out) == (2, "")
    assert "--json has all columns: leave out --columns" in err


def test_options_that_mean_nothing(command, file, tmp_path):
    (path := tmp_path / "study.toml").write_text(TOML)
    for words, message in (
        (["show", file, "--pivot", "depth", "--json"], "--json has all columns: leave out --pivot"),
        (["show", file, "--label", "a"], "--label must be None, except with format 'latex'"),
        (["show", file, "--index", "depth"], "--index must tell all results apart"),
        (
            ["collect", path, "--store", tmp_path / "y", "--json", "--columns", "n"],
            "--json has all columns: leave out --columns",
        ),
    ):
        code, out, err = command(*words)
        assert (code, out) == (2, "")
        assert message in err
    assert not (tmp_path / "y").exists()  # refused before the work


def test_theory_in_json_has_bounds(command):
    out = command("theory", "--activation", "sigmoid", "--depth", 5, 100, "--json")[1]
    first, last = json.loads(out)["rows"]
    assert (first["vanishing"], first["vanishing_below"]) == (None, 1e-6)
    assert (last["vanishing"], last["vanishing_below"]) == (1.0, None)
    assert (last["exploding"], last["exploding_below"]) == (None, 1e-6)
