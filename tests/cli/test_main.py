"""The command: its tables against simulate, its files, its errors and exit codes."""

import argparse
import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
from dataclasses import KW_ONLY
from typing import ClassVar

import numpy as np
import pytest

import vgsim
from vgsim._cli.fields import ACTIVATIONS, DEPTHS, add_network_options, networks_of
from vgsim._cli.network_text import row as row_of
from vgsim._cli.network_text import technique
from vgsim._domains import Choice, NamedDomain, Number
from vgsim._networks.described import described
from vgsim._networks.description import Description, Field, Network
from vgsim._networks.initializers import Initializer
from vgsim._networks.mlp import UNITS
from vgsim._results.tables import number_decimals, seconds_cell

SMALL = ["--depth", "5", "20", "--width", "8", "--samples", "200"]


@pytest.fixture
def rows(command):
    """Run the command with --json; return the rows."""

    def run(*arguments):
        code, out, err = command("run", "--json", *arguments)
        assert (code, err) == (0, "")
        return json.loads(out)["rows"]

    return run


# run


def test_defaults_are_the_textbook_networks(rows):
    found = rows("--samples", 2, "--width", 4)
    assert [(row["activation"], row["depth"]) for row in found] == [
        (activation, depth) for activation in ACTIVATIONS for depth in DEPTHS
    ]
    inits = {row["activation"]: row["init"] for row in found}
    assert inits == {"sigmoid": "glorot_normal", "tanh": "glorot_normal", "relu": "he_normal"}


def test_rows_say_what_simulate_says(rows):
    arguments = {"seed": 7, "first": 50, "dtype": "float64"}
    found = rows(
        *SMALL, "--activation", "relu", "--seed", 7, "--first", 50, "--dtype", "float64",
        "--gain", 0.9, "--bias-std", 0.1, "--threshold", 0.1, "--layer", 2, "--init", "he_normal",
        "--confidence-level", 0.9, "--method", "exact", "--threads", 1,
    )  # fmt: skip
    assert [row["depth"] for row in found] == [5, 20]
    for row in found:
        net = vgsim.MLP(
            row["depth"], 8, activation="relu", init="he_normal", gain=0.9, bias_std=0.1
        )
        s = vgsim.simulate(net, 200, layers=(2,), **arguments)
        interval = {"confidence_level": 0.9, "method": "exact"}
        for event in ("vanishing", "exploding", "dead"):
            threshold = {} if event == "dead" else {"threshold": 0.1}
            p = s.probability(event, 2, **threshold, **interval)
            found_p = [row[event], row[f"{event}_low"], row[f"{event}_high"]]
            assert found_p == [p.estimate, p.low, p.high]
        quantiles = [row["q05"], row["median"], row["q95"]]
        expected = s.quantile([0.05, 0.5, 0.95], 2).tolist()
        assert quantiles == [None if q == -np.inf else q for q in expected]
        assert row["seconds"] > 0
        expected = {
            "n": 200,
            "layer": 2,
            "gain": 0.9,
            "bias_std": 0.1,
            "threshold": 0.1,
            "width": 8,
        }
        assert {name: row[name] for name in expected} == expected
        assert {name: row[name] for name in arguments} == arguments


def test_table(command):
    code, out, err = command("run", *SMALL, "--activation", "tanh", "relu")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert out.isascii()
    head = "\n".join(lines[: lines.index("")])
    for word in (
        "1e-06", "1e+06", "200 random networks", "width 8", "seed 0", "float32",
        "95 % interval (wilson)", f"ISA {vgsim.simulate(vgsim.MLP(1, 1), 1).provenance['isa']}",
    ):  # fmt: skip
        assert word in head
    assert "tanh, glorot_normal, matrix-free engine" in lines
    assert "relu, he_normal, matrix-free engine" in lines
    headings = [line.split("  ") for line in lines if "P(vanishing)" in line]
    for heading in headings:
        assert [word.strip() for word in heading if word] == [
            "depth", "P(vanishing)", "P(exploding)", "P(dead)", "5 %", "median", "95 %", "time"
        ]  # fmt: skip
    assert len(headings) == 2
    table = [re.split("  +", line.strip()) for line in lines if line.endswith("s")]
    table = [cells for cells in table if cells[0].isdigit()]
    assert [cells[0] for cells in table] == ["5", "20"] * 2
    for depth, *probabilities, low, median, high, seconds in table[:2]:
        s = vgsim.simulate(vgsim.MLP(int(depth), 8), 200, layers=(0,))
        for cell, event in zip(probabilities, ("vanishing", "exploding", "dead"), strict=True):
            p = s.probability(event)
            number, *limits = map(float, re.findall(r"[\d.]+", cell))
            assert number == pytest.approx(p.estimate, abs=0.0005)
            ends = [p.low] * (p.estimate > 0) + [p.high] * (p.estimate < 1)
            assert limits == pytest.approx(ends, abs=0.005)
        assert [low, median, high] == [f"{q:.2f}" for q in s.quantile([0.05, 0.5, 0.95])]
        assert re.fullmatch(r"[\d.]+s", seconds)


def test_the_table_in_markdown_and_latex(command):
    options = [*SMALL, "--activation", "tanh", "--dtype", "float64", "--clip-value", 1]
    _, out, _ = command("run", *options)
    lines = [line for line in out.splitlines() if re.match(" *(depth|[0-9]+)  ", line)]
    expected = [re.split("  +", line.strip())[:-1] for line in lines]  # without the time
    assert [row[0] for row in expected] == ["depth", "5", "20"]
    assert expected[0][-1] == "clipped"

    code, out, err = command("run", *options, "--markdown")
    lines = [line for line in out.splitlines() if line.startswith("|")]
    assert re.fullmatch(r"\|( -+: \|)+", lines.pop(1))
    assert [[cell.strip() for cell in line.split("|")[1:-2]] for line in lines] == expected
    assert (code, err) == (0, "")

    code, out, err = command("run", *options, "--latex")
    lines = [line.removesuffix(r" \\") for line in out.splitlines() if line.endswith(r"\\")]
    plain = [re.sub(r"\\multicolumn\{2\}\{c\}\{(.*?)\}", r"\1", line) for line in lines]
    plain = [re.sub(r" & \$\(\{([<>])\}(.*?)\)\$", r" (\1 \2)", line) for line in plain]
    plain = [re.sub(r" & \$\[", " [", line) for line in plain]
    found = [re.sub(r"\$|\\(?=%)", "", line).split(" & ")[:-1] for line in plain]
    assert found == expected
    assert (code, err) == (0, "")


def test_markdown_and_latex_have_the_heading_once(command):
    _, text, _ = command("run", *SMALL, "--activation", "tanh", "relu", "--markdown")
    assert text.count("200 random networks") == text.count("95 % interval (wilson)") == 1
    assert [line.strip() for line in text.splitlines() if "engine" in line] == [
        "tanh, glorot_normal, matrix-free engine", "relu, he_normal, matrix-free engine"
    ]  # fmt: skip
    _, text, _ = command("run", *SMALL, "--activation", "tanh", "relu", "--latex")
    assert text.count(r"\begin{tabular}{rr@{\ }l") == text.count(r"\end{tabular}") == 2
    outside = re.sub(r"\\begin\{tabular\}.*?\\end\{tabular\}", "", text, flags=re.S)
    assert all(line.startswith("%") for line in outside.splitlines() if line)


def test_table_names_what_is_not_default(command):
    _, out, _ = command(
        "run", "--depth", 3, "--width", 4, "--samples", 10, "--activation", "leaky_relu:slope=0.25",
        "--init", "truncated_normal:scale=2,mode=fan_avg", "--gain", 1.5, "--bias-std", 0.125,
        "--first", 40, "--seed", 3, "--layer", 1, "--confidence-level", 0.5,
    )  # fmt: skip
    for words in (
        "leaky_relu:slope=0.25, truncated_normal:scale=2.0,mode=fan_avg, dense engine",
        "gain 1.5, bias std 0.125, first index 40", "seed 3", "|G_1| / |G_D|", "50 % interval",
    ):  # fmt: skip
        assert words in out.replace("\n", " ")


# The options of a technique, their network, and the line of the table that describes it.
TECHNIQUES = [
    (["--norm", "layer"], {"norm": "layer"}, "norm layer"),
    (["--norm", "rms", "--norm-eps", "1e-3"], {"norm": "rms", "norm_eps": 1e-3},
     "norm rms, norm eps 0.001"),
    (["--residual", "2"], {"residual": vgsim.Residual(2)}, "residual 2"),
    (["--residual", "2:style=pre,branch=1/sqrt(blocks),skip=-0.5", "--clip-value", "2"],
     {"residual": vgsim.Residual(2, style="pre", branch="1/sqrt(blocks)", skip=-0.5),
      "clip": vgsim.ClipValue(2)},
     "residual 2:skip=-0.5,branch=1/sqrt(blocks),style=pre, clip value 2"),
    (["--highway", "-2"], {"highway": vgsim.Highway(-2)}, "highway -2"),
    (["--highway"], {"highway": vgsim.Highway()}, "highway -2"),
    (["--highway", "-2.5e-1"], {"highway": vgsim.Highway(-0.25)}, "highway -0.25"),
    (["--clip-norm", "0.5"], {"clip": vgsim.ClipNorm(0.5)}, "clip norm 0.5"),
    (["--init", "orthogonal"], {"init": "orthogonal"}, None),
]  # fmt: skip
SETTINGS = [
    (["--batch-size", "3"], {"batch_size": 3}, "batch size 3"),
    (["--loss", "mse"], {"loss": "mse"}, "loss mse"),
    (
        ["--batch-size", "2", "--loss", "cross_entropy"],
        {"batch_size": 2, "loss": "cross_entropy"},
        "batch size 2, loss cross_entropy",
    ),
]
RECURRENT = [
    (["--rnn", "--input-std", "0.25"], {"input_std": 0.25}, "input std 0.25"),
    (["--rnn", "--init", "identity", "--input-std", "0", "--clip-norm", "1", "--gain", "0.9"],
     {"init": "identity", "input_std": 0, "clip": vgsim.ClipNorm(1), "gain": 0.9},
     "input std 0, clip norm 1"),
    (["--rnn", "rnn", "--leak", "0.25"], {"leak": 0.25}, "leak 0.25"),
]  # fmt: skip
CELLS = [
    (["--rnn", "lstm"], vgsim.LSTM, {}, ""),
    (["--rnn", "lstm", "--forget-bias", "2"], vgsim.LSTM, {"forget_bias": 2}, "forget bias 2"),
    (["--rnn", "lstm", "--chrono", "9", "--init", "orthogonal"], vgsim.LSTM,
     {"chrono": 9, "init": "orthogonal"}, "forget bias 0, chrono 9"),
    (["--rnn", "gru", "--update-bias", "-1", "--bias-std", "0.1"], vgsim.GRU,
     {"update_bias": -1, "bias_std": 0.1}, "update bias -1"),
    (["--rnn", "gru", "--inputs", "zeros", "--clip-value", "1"], vgsim.GRU,
     {"clip": vgsim.ClipValue(1)}, "clip value 1"),
]  # fmt: skip


def as_dataset(samples):
    return samples.network, samples.batch_size, samples.loss, samples.gradient.tolist()


@pytest.mark.parametrize(("options", "arguments", "words"), TECHNIQUES)
def test_techniques(command, tmp_path, options, arguments, words):
    one = ["--activation", "tanh", "--depth", 6, "--width", 8, "--samples", 20]
    code, out, err = command("run", *one, *options, "--out", tmp_path / "x.npz")
    assert (code, err) == (0, "")
    assert (words in out.splitlines()) if words else ("tanh, orthogonal, matrix-free" in out)
    expected = vgsim.simulate(vgsim.MLP(6, 8, **arguments), 20, layers=[0])
    assert as_dataset(vgsim.load(tmp_path / "x.npz")) == as_dataset(expected)


@pytest.mark.parametrize(("options", "arguments", "words"), SETTINGS)
def test_batches_and_losses(command, tmp_path, options, arguments, words):
    one = ["--activation", "tanh", "--depth", 6, "--width", 8, "--samples", 20]
    code, out, err = command("run", *one, *options, "--out", tmp_path / "x.npz")
    assert (code, err) == (0, "")
    assert words in out.splitlines()
    expected = vgsim.simulate(vgsim.MLP(6, 8), 20, layers=[0], **arguments)
    assert as_dataset(vgsim.load(tmp_path / "x.npz")) == as_dataset(expected)


@pytest.mark.parametrize(("options", "arguments", "words"), RECURRENT)
def test_recurrent_networks(command, tmp_path, options, arguments, words):
    one = ["--activation", "tanh", "--depth", 6, "--width", 8, "--samples", 20]
    code, out, err = command("run", *one, *options, "--out", tmp_path)
    assert (code, err) == (0, "")
    for line in ("20 random recurrent networks", "by the state after step l, ", words, "steps"):
        assert line in out
    (file,) = os.listdir(tmp_path)
    assert file.startswith("tanh-steps-6-")
    expected = vgsim.simulate(vgsim.RNN(6, 8, **arguments), 20, layers=[0])
    assert as_dataset(vgsim.load(tmp_path / file)) == as_dataset(expected)


def test_batch_norm_of_data(command, tmp_path, rng):
    data = rng.normal(size=(9, 4))
    np.save(tmp_path / "data.npy", data)
    options = ["--norm", "batch", "--batch-size", 3, "--inputs", tmp_path / "data.npy"]
    options += ["--activation", "relu", "--depth", 6, "--width", 4, "--samples", 10]
    options += ["--clip-norm", 1, "--record", "clipped", "--out", tmp_path / "x.npz"]
    code, _, err = command("run", *options)
    assert (code, err) == (0, "")
    s = vgsim.load(tmp_path / "x.npz")
    net = vgsim.MLP(6, 4, activation="relu", init="he_normal", norm="batch", clip=vgsim.ClipNorm(1))
    expected = vgsim.simulate(
        net, 10, batch_size=3, inputs=data, layers=[0], record=("gradient", "clipped")
    )
    np.testing.assert_array_equal(s.clipped, expected.clipped)
    assert as_dataset(s) == as_dataset(expected)


def test_rows_name_the_techniques(rows):
    (row,) = rows(
        "--activation", "tanh", "--depth", 6, "--width", 8, "--samples", 5, "--norm", "rms",
        "--residual", "3:style=post", "--clip-norm", 2, "--batch-size", 4, "--loss", "mse",
    )  # fmt: skip
    expected = {
        "network": "MLP", "norm": "rms", "norm_eps": 1e-5, "residual": "3:style=post",
        "highway": None, "clip_norm": 2.0, "clip_value": None, "input_std": None,
        "batch_size": 4, "loss": "mse",
    }  # fmt: skip
    assert {name: row[name] for name in expected} == expected


def heading(out):
    """The lines above the first table."""
    lines = out.splitlines()
    return lines[: lines.index("")]


def test_many_widths_are_abbreviated_for_readers_only(command):
    widths = [3, *[4] * 60, 2]
    option = ["--width", ",".join(map(str, widths)), "--samples", 5, "--activation", "tanh"]
    _, out, _ = command("run", *option)
    assert "width 3,4,...,2 (62 widths)," in out
    assert max(len(line) for line in heading(out)) <= 100
    _, out, _ = command("run", "--csv", *option)
    assert next(csv.DictReader(io.StringIO(out)))["width"] == ",".join(map(str, widths))
    _, out, _ = command("replay", *option[:2])
    assert "tanh, depth 61, width 3,4,...,2 (62 widths), glorot_normal" in out


def test_long_headings_are_wrapped(command):
    residual = "2:skip=0.123456,branch=1/sqrt(blocks),style=activated,last_gain=0.987654"
    _, out, _ = command(
        "run", *SMALL[3:], "--depth", 4, "--residual", residual, "--norm", "layer", "--norm-eps",
        1e-3, "--clip-norm", 1.5, "--loss", "cross_entropy", "--batch-size", 2,
    )  # fmt: skip
    assert max(len(line) for line in heading(out)) <= 100
    assert "last_gain=0.987654, clip norm 1.5" in out.replace("\n", " ")


def test_csv_is_the_same_as_json(command, rows):
    arguments = [*SMALL, "--activation", "relu", "--depth", "300"]
    code, out, _ = command("run", "--csv", *arguments)
    assert code == 0
    table = list(csv.DictReader(io.StringIO(out)))
    for from_csv, from_json in zip(table, rows(*arguments), strict=True):
        assert from_csv.keys() == from_json.keys()
        for name, value in from_json.items():
            if name == "seconds":
                continue
            nothing = "-inf" if name in ("q05", "median", "q95") else ""
            assert from_csv[name] == (nothing if value is None else str(value))
    assert table[0]["median"] == "-inf"


def test_json_has_the_provenance(command):
    _, out, _ = command("run", "--json", *SMALL, "--activation", "tanh")
    found = json.loads(out, parse_constant=pytest.fail)
    assert found["provenance"]["vgsim"] == vgsim.__version__


def test_widths(rows):
    (row,) = rows("--width", "3,8,8,2", "--samples", 20, "--activation", "tanh")
    assert (row["depth"], row["width"]) == (3, [3, 8, 8, 2])


def test_widths_in_csv(command):
    _, out, _ = command("run", "--csv", "--width", "3,8,2", "--samples", 20)
    assert {row["width"] for row in csv.DictReader(io.StringIO(out))} == {"3,8,2"}


def test_a_network_runs_once(rows):
    found = rows("--depth", 3, 3, "--width", 4, "--samples", 5, "--activation", "tanh", "tanh")
    assert len(found) == 1


def test_integers_may_be_written_as_floats(rows):
    (row,) = rows("--depth", "1e1", "--width", 4, "--samples", "1e2", "--activation", "tanh")
    assert (row["depth"], row["n"]) == (10, 100)


def test_inputs(rows, tmp_path, rng):
    data = rng.normal(size=(50, 4))
    np.save(tmp_path / "data.npy", data)
    (row,) = rows(
        "--inputs", tmp_path / "data.npy", "--activation", "relu", "--depth", 6, "--width", 4,
        "--samples", 100,
    )  # fmt: skip
    net = vgsim.MLP(6, 4, activation="relu", init="he_normal")
    s = vgsim.simulate(net, 100, inputs=data)
    assert row["inputs"] == s.inputs
    assert row["dead"] == s.probability("dead").estimate


@pytest.mark.parametrize(
    ("activation", "init"),
    [
        ("relu", "he_normal"), ("leaky_relu", "he_normal"), ("elu", "he_normal"),
        ("gelu", "he_normal"), ("silu", "he_normal"), ("softplus", "he_normal"),
        ("selu", "lecun_normal"), ("linear", "glorot_normal"), ("sigmoid", "glorot_normal"),
        ("tanh", "glorot_normal"), ("hard_tanh", "glorot_normal"), ("erf", "glorot_normal"),
        ("softsign", "glorot_normal"), ("mish", "he_normal"), ("swish", "he_normal"),
        ("relu6", "he_normal"), ("hard_swish", "he_normal"), ("gelu_tanh", "he_normal"),
        ("hard_sigmoid", "glorot_normal"), ("sine", "siren"), ("sine:omega=5", "siren:omega=5.0"),
    ],
)  # fmt: skip
def test_textbook_initialisers(rows, activation, init):
    one = ["--activation", activation, "--depth", 1, "--width", 4, "--samples", 2]
    for options in ([], ["--init", "textbook"]):
        (row,) = rows(*one, *options)
        assert row["init"] == init
        (row,) = rows(*one, *options, "--rnn")
        assert row["init"] == "orthogonal"
    network = vgsim.MLP(1, 4, activation=activation.partition(":")[0])
    assert ("init" in json.loads(network.canonical_json())) == (init != "glorot_normal")


@pytest.mark.parametrize(("options", "kind", "fields", "words"), CELLS)
def test_cells(rows, command, options, kind, fields, words):
    depths = ["--depth", 3, 5, "--width", 4, "--samples", 20]
    found = rows(*depths, *options)
    inputs = "zeros" if "zeros" in options else "normal"
    for row, steps in zip(found, (3, 5), strict=True):
        network = kind(steps, 4, **fields)
        samples = vgsim.simulate(network, 20, seed=0, layers=[0], inputs=inputs)
        assert row["median"] == float(samples.quantile(0.5))
        assert (row["network"], row["depth"], row["inputs"]) == (kind.__name__, steps, inputs)
        assert row["init"] == network.init.name
        assert row["activation"] is None
    _, out, _ = command("run", *depths, *options)
    text = " ".join(out.split())
    assert "recurrent networks per row, width 4, " in text
    assert f"{'inputs 0' if inputs == 'zeros' else 'normal inputs'}, seed 0" in text
    assert f"{kind.__name__}, {network.init.name}, dense engine" in text
    assert words in text


@pytest.mark.parametrize("name", ["depth", "replay", "theory"])
def test_cells_in_other_commands(command, name):
    samples = ["--samples", 20] if name == "depth" else []
    options = ["--rnn", "lstm", "--chrono", 9, "--width", 4, "--depth", 6, *samples]
    code, out, _ = command(name, *options)
    assert code == 0
    assert "LSTM, " in out
    assert "glorot_normal" in out


def test_an_initialiser_that_is_given_is_taken(rows):
    one = ["--activation", "relu", "--depth", 1, "--width", 4, "--samples", 2]
    assert [row["init"] for row in rows(*one, "--init", "glorot_normal")] == ["glorot_normal"]
    assert [row["init"] for row in rows(*one, "--rnn", "--init", "he_normal")] == ["he_normal"]


# Files


def test_out_is_a_file_for_one_network(command, tmp_path):
    path = tmp_path / "relu.npz"
    code, _, _ = command(
        "run", "--activation", "relu", "--depth", 6, "--width", 8, "--samples", 30, "--seed", 2,
        "--out", path, "--layers", 6, 3, "--record", "activation", "update_ratio",
    )  # fmt: skip
    assert code == 0
    s = vgsim.load(path)
    assert s.layers.tolist() == [6, 3, 0]
    assert s.record == ("gradient", "activation", "update_ratio")
    again = vgsim.simulate(s.network, 30, seed=2, layers=(6, 3, 0), record=s.record)
    np.testing.assert_array_equal(s.gradient, again.gradient)
    np.testing.assert_array_equal(s.update_ratio, again.update_ratio)


def test_out_is_a_folder_for_several(command, tmp_path):
    folder = tmp_path / "new" / "runs"
    names = ["tanh", "leaky_relu:slope=0.1"]
    code, out, _ = command("run", *SMALL, "--activation", *names, "--out", folder)
    assert code == 0
    assert out.endswith(f"\nwrote 4 files in {folder}\n")
    files = sorted(os.listdir(folder))
    assert [re.sub("-[0-9a-f]{8}-", "-*-", file) for file in files] == [
        "leaky_relu-slope-0.1-depth-20-*-first-0.npz",
        "leaky_relu-slope-0.1-depth-5-*-first-0.npz",
        "tanh-depth-20-*-first-0.npz",
        "tanh-depth-5-*-first-0.npz",
    ]
    assert vgsim.load(folder / files[-1]).network == vgsim.MLP(5, 8)


def test_what_differs_goes_to_different_files(command, tmp_path, monkeypatch):
    one = ["run", "--activation", "tanh", "--depth", 3, "--width", 4, "--samples", 5]
    variants = [
        [], ["--seed", 1], ["--first", 5], ["--gain", 2], ["--engine", "dense"],
        ["--dtype", "float64"], ["--init", "lecun_uniform"], ["--batch-size", 2],
        ["--loss", "mse"], ["--residual", 1], ["--residual", "1:skip=0.5"], ["--highway", 0],
    ]  # fmt: skip
    for variant in variants:
        code, _, err = command(*one, *variant, "--json", "--out", tmp_path)
        assert (code, err.startswith("wrote ")) == (0, True)
    files = os.listdir(tmp_path)
    assert len(files) == len(variants)
    monkeypatch.setattr("vgsim._engine.run.Run", lambda *_, **__: pytest.fail("simulated"))
    code, _, err = command(*one, "--engine", "matrix-free", "--out", tmp_path)
    assert (code, err.count("\n")) == (2, 1)
    assert any(f"{tmp_path / file} exists, and is not overwritten" in err for file in files)
    assert sorted(os.listdir(tmp_path)) == sorted(files)


@pytest.mark.parametrize("name", ["run", "replay"])
def test_a_file_is_not_overwritten(command, tmp_path, name):
    path = tmp_path / "x.npz"
    path.write_text("precious")
    code, out, err = command(name, "--activation", "tanh", "--depth", 3, "--out", path)
    assert (code, out) == (2, "")
    assert f"{path} exists, and is not overwritten" in err
    assert path.read_text() == "precious"


@pytest.mark.skipif(os.name != "posix", reason="needs a limit on the size of files")
@pytest.mark.parametrize("name", ["run", "replay"])
def test_a_full_disk_is_named_by_its_path(tmp_path, name):
    path = tmp_path / "x.npz"
    script = (
        "import resource, sys\n"
        "from vgsim._cli.main import main\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, name, "--activation", "tanh", "--depth", "3", "--out", path],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 2
    assert done.stderr == f"vgsim {name}: error: --out {path}: File too large\n"
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(os.name != "posix", reason="needs a pipe")
@pytest.mark.parametrize("words", ["run --samples 9", "run --samples 9 --csv", "replay"])
def test_files_are_whole_when_nobody_reads_the_table(tmp_path, words):
    path = tmp_path / "x.npz"
    network = ["--activation", "tanh", "--depth", "3", "--width", "4", "--out", path]
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "vgsim", *words.split(), *network],
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=120,
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, "")
    assert os.listdir(tmp_path) == ["x.npz"]
    with np.load(path) as file:
        assert "header" in file


@pytest.mark.parametrize("format", ["--csv", "--json", "--markdown"])
def test_every_file_is_written_before_anything_is_printed(command, tmp_path, monkeypatch, format):
    folder, there = tmp_path / "runs", []

    class Watched(io.StringIO):
        def write(self, text):
            there.append(len(list(folder.glob("*.npz"))))
            return super().write(text)

    options = ["--depth", 2, 3, "--width", 4, "--activation", "tanh", "relu", "--samples", 10]
    monkeypatch.setattr(sys, "stdout", Watched())
    assert command("run", *options, format, "--out", folder)[0] == 0
    assert set(there) == {4}


# replay


def test_replay(command):
    code, out, err = command(
        "replay", "--activation", "tanh", "--depth", 4, "--width", 6, "--seed", 3, "--index", 11,
        "--dtype", "float64", "--layers", 4, 0, 2,
    )  # fmt: skip
    assert (code, err) == (0, "")
    table = [line.split() for line in out.splitlines()[4:]]
    assert [cells[0] for cells in table] == ["0", "2", "4"]
    s = vgsim.simulate(vgsim.MLP(4, 6), 1, seed=3, first=11, layers=(0, 2, 4), dtype="float64")
    for (_, width, simulated, weights, difference), expected in zip(
        table, s.gradient[0], strict=True
    ):
        assert width == "6"
        assert simulated == weights == f"{expected:.8f}"
        assert abs(float(difference)) < 1e-12


def test_replay_writes_the_weights(command, tmp_path):
    path = tmp_path / "weights.npz"
    code, out, _ = command("replay", "--width", "3,5,2", "--out", path, "--bias-std", 0.1)
    assert code == 0
    assert f"wrote {path}" in out
    expected = vgsim.replay(vgsim.MLP(2, [3, 5, 2], bias_std=0.1))
    with np.load(path, allow_pickle=False) as file:
        np.testing.assert_array_equal(file["inputs"], expected.inputs)
        np.testing.assert_array_equal(file["output_gradient"], expected.output_gradient)
        np.testing.assert_array_equal(file["W_1"], expected.weights[0])
        np.testing.assert_array_equal(file["W_2"], expected.weights[1])
        np.testing.assert_array_equal(file["b_2"], expected.biases[1])
        header = json.loads(file["header"].item())
    assert header["network"] == expected.network.canonical_json()
    with pytest.raises(ValueError, match=r"holds vgsim\.Replay, not vgsim\.Samples"):
        vgsim.load(path)


@pytest.mark.parametrize(
    ("options", "kind", "arguments", "words"),
    [
        *((options, vgsim.MLP, network, words) for options, network, words in TECHNIQUES),
        *((options, vgsim.RNN, network, words) for options, network, words in RECURRENT),
    ],
)
def test_replay_of_techniques(command, options, kind, arguments, words):
    common = {"batch_size": 3, "loss": "mse", "dtype": "float64"}
    code, out, err = command(
        "replay", "--depth", 6, "--width", 8, "--index", 5, *options,
        "--batch-size", 3, "--loss", "mse", "--dtype", "float64",
    )  # fmt: skip
    assert (code, err) == (0, "")
    assert f"{words}, batch size 3, loss mse" in out if words else "batch size 3, loss mse" in out
    table = [line.split() for line in out[out.index("layer ") :].splitlines()[1:]]
    assert [int(cells[0]) for cells in table] == list(range(7))
    s = vgsim.simulate(kind(6, 8, **arguments), 1, first=5, **common)
    for (_, _, simulated, _, difference), expected in zip(table, s.gradient[0], strict=True):
        assert simulated == f"{round(expected, 8) + 0.0:.8f}"
        assert abs(float(difference)) < 1e-10


def test_replay_writes_the_gates(command, tmp_path):
    path = tmp_path / "weights.npz"
    options = ["--width", 3, "--depth", 2, "--highway", "-2", "--out", path, "--batch-size", 2]
    code, out, _ = command("replay", *options)
    assert code == 0
    assert "W_l, W_T_l and b_l" in out
    expected = vgsim.replay(vgsim.MLP(2, 3, highway=vgsim.Highway(-2)), batch_size=2)
    with np.load(path, allow_pickle=False) as file:
        np.testing.assert_array_equal(file["inputs"], expected.inputs)
        np.testing.assert_array_equal(file["W_2"], expected.weights[1])
        np.testing.assert_array_equal(file["W_T_2"], expected.gate_weights[1])
        assert json.loads(file["header"].item())["batch_size"] == 2


def test_replay_writes_a_recurrent_network(command, tmp_path):
    path = tmp_path / "weights.npz"
    options = ["--rnn", "--width", 3, "--depth", 2, "--out", path, "--bias-std", 0.1]
    code, out, _ = command("replay", *options)
    assert code == 0
    assert "W, U, b and drive" in out
    expected = vgsim.replay(vgsim.RNN(2, 3, bias_std=0.1))
    with np.load(path, allow_pickle=False) as file:
        np.testing.assert_array_equal(file["W"], expected.weights[0])
        np.testing.assert_array_equal(file["U"], expected.input_weights)
        np.testing.assert_array_equal(file["b"], expected.biases[0])
        np.testing.assert_array_equal(file["drive"], expected.drive)
        assert "W_1" not in file


def test_replay_of_a_dead_network(command):
    net = vgsim.MLP(40, 2, activation="relu", init="he_normal")
    index = int(np.flatnonzero(vgsim.simulate(net, 100).dead)[0])
    code, out, _ = command(
        "replay", "--activation", "relu", "--depth", 40, "--width", 2, "--index", index
    )
    assert code == 0
    assert "-inf" in out
    assert "this network is dead" in out
    assert "nan" not in out


# info, version, help


def test_info(command):
    code, out, _ = command("info")
    assert code == 0
    assert vgsim.__version__ in out
    assert "compiler" in out


def test_version(command):
    assert command("--version") == (0, f"vgsim {vgsim.__version__}\n", "")


@pytest.mark.parametrize("name", ["run", "depth", "theory", "replay", "info"])
def test_help(command, name):
    code, out, _ = command(name, "--help")
    assert code == 0
    assert out.startswith(f"usage: vgsim {name}")
    assert max(map(len, out.splitlines())) <= 120


def test_help_lists_the_choices(command):
    _, out, _ = command("run", "--help")
    for word in (
        "softsign", "torch_default", "he_normal for relu, leaky_relu", "update_ratio",
        "leaky_relu:slope=0.01  elu:alpha=1.0", "student_t:df=X,scale=1.0,mode=fan_in",
            "normal:std=X",
    ):  # fmt: skip
        assert word in out


# The fields of networks are options


def test_every_field_of_every_network_is_an_option(command):
    named = {"steps": ["depth"], "clip": ["clip-norm", "clip-value"]}
    for name in ("run", "depth", "theory", "replay"):
        _, out, _ = command(name, "--help")
        described = set(re.findall(r"^  --([a-z-]+)", out, re.M))
        for kind in (vgsim.MLP, vgsim.RNN, vgsim.LSTM, vgsim.GRU):
            for field in kind._fields:
                assert described.issuperset(named.get(field, [field.replace("_", "-")]))


def test_help_of_the_networks_says_the_defaults(command):
    _, out, _ = command("run", "--help")
    words = " ".join(out.split())
    for said in (
        "number of layers (default: 10 30 100 300 1000)", "n_0,n_1,...,n_D (default: 128)",
        "activation of every layer (default: sigmoid tanh relu)", "(default: textbook, the one",
        "standard deviation of the weights (default: 1)", "gates, with this bias (-2 if none",
        "with --rnn: scale of the random drive of every step (default: 0.5)",
    ):  # fmt: skip
        assert said in words
    groups = re.findall(r"^([a-z][^\n]*):\n  -", out, re.M)
    assert groups[:5] == [
        "options", "the networks; one network for each combination of values",
        "techniques (default: none)", "other kinds of networks", "the samples",
    ]  # fmt: skip
    assert "number of layers (default: 30)" in " ".join(command("replay", "--help")[1].split())


def test_a_new_field_of_mlp_is_an_option(command, monkeypatch):
    lean = Field(Number("from 0 to 1", lambda x: 0 <= x <= 1), default=0.5, help="how far it leans")
    lean.__set_name__(vgsim.MLP, "lean")
    monkeypatch.setattr(vgsim.MLP, "_fields", {**vgsim.MLP._fields, "lean": lean})
    _, out, _ = command("theory", "--help")
    assert re.search(r"^  --lean X \.\.\. +how far it leans$", out, re.M)
    _, _, err = command("theory", "--rnn", "--lean", "0.25")
    assert err == "vgsim theory: error: --lean is not for --rnn, got 0.25\n"


@pytest.fixture
def ladder(monkeypatch):
    """A new kind of network."""
    monkeypatch.setattr(Description, "networks", dict(Description.networks))

    @described
    class Ladder(Network):
        place: ClassVar[str] = "rung"
        flag: ClassVar[str] = "ladder"
        flag_help: ClassVar[str] = "networks of rungs"

        rungs: Field[int, int] = Field(UNITS, metavar="D", flag="depth", help="number of rungs")
        width: Field[int, int] = Field(UNITS, help="width of a rung")
        _: KW_ONLY
        activation: Field = vgsim.MLP._fields["activation"].again()
        init: Field = Field(NamedDomain(Initializer), default="he_normal")
        gain: Field = vgsim.MLP._fields["gain"].again()
        bias_std: Field = vgsim.MLP._fields["bias_std"].again()
        lean: Field = Field(
            Number("from 0 to 1", lambda x: 0 <= x <= 1), default=0.25, help="how far it leans"
        )
        wood: Field = Field(Choice(("oak", "ash")), default=None, optional=True, help="the wood")

    return Ladder


def test_a_new_kind_of_network_has_its_options(command, ladder):
    _, out, _ = command("theory", "--help")
    others = out.partition("other kinds of networks:\n")[2].partition("\n\n")[0]
    assert re.search(r"^  --ladder +networks of rungs$", others, re.M)
    assert re.search(r"^  --lean X \.\.\.\s+with --ladder: how far it leans$", others, re.M)
    assert re.search(r"^  --wood \{none,oak,ash\} \.\.\.\s+with --ladder: the wood$", others, re.M)

    parser = argparse.ArgumentParser()
    add_network_options(parser, True, ["tanh"], [3, 5])
    words = ["--ladder", "--width", "4", "--lean", "0.5", "--wood", "ash"]
    words += ["--activation", "relu", "elu:alpha=2"]
    elu = vgsim.Activation("elu", alpha=2)
    found = networks_of(parser.parse_args(words), [3, 5])
    assert found == [
        ladder(rungs, 4, activation=activation, lean=0.5, wood="ash")
        for activation in ("relu", elu)
        for rungs in (3, 5)
    ]
    flat = row_of(found[0])
    values = [flat[name] for name in ("network", "depth", "lean", "wood")]
    assert values == ["Ladder", 3, 0.5, "ash"]
    assert row_of(vgsim.MLP(3, 4))["lean"] is None
    assert technique(found[0]) == "lean 0.5, wood ash"
    assert technique(ladder(3, 4)) == ""  # at its defaults a field is not mentioned


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--lean", "0.5"], "--lean is for --ladder only, got 0.5"),
        (["--ladder", "--norm", "rms"], "--norm is not for --ladder, got rms"),
        (["--ladder", "--input-std", "1"], "--input-std is for --rnn only, got 1.0"),
        (["--ladder", "--lean", "2"], "--lean must be from 0 to 1, got 2.0"),
        (["--ladder", "--depth", "0"], "--depth must be an int from 1 to 4294967295, got 0"),
    ],
)
def test_errors_of_a_new_kind_of_network(command, ladder, options, message):
    assert command("theory", *options) == (2, "", f"vgsim theory: error: {message}\n")


# Errors


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["walk"], "vgsim: error: unknown command 'walk'; the commands are run, depth, "),
        (["-x", "run"], "vgsim: error: unknown option '-x'"),
        (
            ["run", "--depht", "3"],
            "vgsim run: error: unknown option '--depht'; did you mean '--depth'? (see vgsim run",
        ),
        (["run", "--depth", "deep"], "argument --depth: 'deep' is not a number"),
        (["run", "--depth", "1.5"], "argument --depth: '1.5' is not an integer"),
        (["run", "--samples", "inf"], "argument --samples: 'inf' is not an integer"),
        (["run", "--gain", "big"], "argument --gain: 'big' is not a number"),
        (["run", "--width", "3,x"], "argument --width: 'x' is not a number"),
        (
            ["run", "--activation", "relu:"],
            "'relu:' is not relu or relu:parameter=value,..., as in",
        ),
        (["run", "--activation", "elu:alpha"], "'elu:alpha' is not elu or elu:parameter=value,..."),
        (["run", "--inputs", "none.npy"], "'none.npy' cannot be read: No such file or directory"),
        (["run", "--json", "--csv"], "argument --csv: not allowed with argument --json"),
        (["run", "--engine", "fast"], "argument --engine: 'fast' is unknown"),
        (["run", "--record", "time"], "argument --record: 'time' is unknown"),
        (["run", "--depth", "0"], "vgsim run: error: --depth must be an int from 1"),
        (["run", "--depth", "5,10"], "depths are separated by spaces: --depth 5 10"),
        (["replay", "--depth", "5,10"], "depths are separated by spaces: --depth 5 10"),
        (["run", "--depth", "3", "--width", "3,4"], "width must be an int or the depth + 1 = 4"),
        (
            ["run", "--activation", "rleu"],
            "argument --activation: 'rleu' is unknown (did you mean 'relu'?); the choices are",
        ),
        (["run", "--activation", "elu:beta=1"], "takes only 'alpha', got beta=1.0"),
        (
            ["run", "--init", "xavier"],
            "--init: 'xavier' is unknown (did you mean 'glorot_normal'?); the choices",
        ),
        (
            ["run", "--init", "normal"],
            "--init: 'normal' needs std: from 1e-100 to 1e100; for example std=0.05",
        ),
        (["run", "--init", "truncated_normal:mode=fan_on"], "must be one of 'fan_in'"),
        (["run", "--gain", "nan"], "--gain must be a finite number > 0, got nan"),
        (["run", "--samples", "0"], "--samples must be an int from 1"),
        (["run", "--seed", "-1"], "--seed must be"),
        (["run", "--threads", "0"], "--threads must be"),
        (
            ["run", "--layers", "11", "--out", "x"],
            "--layers must be an int from 0 to depth = 10, got 11",
        ),
        (["run", "--layer", "11"], "--layer must be an int from 0 to depth = 10, got 11"),
        (["run", "--threshold", "2"], "--threshold must be 0 < threshold <= 1, got 2.0"),
        (["run", "--threshold", "nan"], "--threshold must be 0 < threshold <= 1, got nan"),
        (["run", "--confidence-level", "95"], "--confidence-level must be a number strictly"),
        (
            ["run", "--init", "he_uniform", "--engine", "matrix-free"],
            "those of init 'he_uniform' are uniform",
        ),
        (["run", "--init", "he_uniform", "--engine", "matrix-free"], "use 'dense' or 'auto'"),
        (
            ["run", "--layers", "0", "5"],
            "--layers and --record choose what --out writes: give --out too",
        ),
        (["run", "--record", "activation"], "--layers and --record choose what --out writes"),
        (["run", "--out", "x.npz"], "--out x.npz is one file, but there are 15 networks"),
        (["run", "--out", "z.csv"], "--out z.csv must end in .npz, or be a folder"),
        (["run", "--out", ""], "argument --out: it must not be empty"),
        (["replay", "--out", "weights"], "--out weights must end in .npz"),
        (["replay", "--depth", "3", "4"], "unrecognized arguments: 4 (see vgsim replay --help)"),
        (["replay", "--index", "-1"], "--index must be an int from 0"),
        (["run", "--norm", "group"], "argument --norm: 'group' is unknown"),
        (["run", "--norm-eps", "1e-3"], "--norm-eps is for a norm, got 0.001 without one"),
        (["run", "--norm", "rms", "--norm-eps", "2"], "--norm-eps must be from 1e-12 to 1, got 2"),
        (["run", "--norm", "batch"], "--batch-size must be at least 2 with norm 'batch', got 1"),
        (
            ["run", "--norm", "layer", "--width", "1"],
            "--norm 'layer' needs a width of at least 2",
        ),
        (["run", "--batch-size", "0"], "--batch-size must be an int from 1"),
        (["run", "--loss", "hinge"], "argument --loss: 'hinge' is unknown"),
        (
            ["run", "--loss", "cross_entropy", "--width", "3,1"],
            "--loss 'cross_entropy' needs 2 outputs",
        ),
        (["run", "--residual", "two"], "argument --residual: 'two' is not a number"),
        (
            ["run", "--residual", "2:pre"],
            "argument --residual: '2:pre' is not 2 or 2:parameter=value,..., as in 2:style=",
        ),
        (
            ["run", "--residual", "2:scale=1"],
            "argument --residual: its parameters are skip, branch, style, last_gain, got 'scale'",
        ),
        (["run", "--residual", "0"], "--residual: every must be an int from 1"),
        (["run", "--residual", "2:style=He"], "--residual: style must be one of 'activated', "),
        (["run", "--residual", "2:branch=0"], "--residual: branch must be a number of a size"),
        (["run", "--residual", "2:skip=x"], "--residual: skip must be 0, or of a size"),
        (["run", "--residual", "2:last_gain=-1"], "--residual: last_gain must be from"),
        (
            ["run", "--residual", "4"],
            "--residual has blocks of 4 layers: the depth must be a multiple of that, got 10",
        ),
        (
            ["run", "--residual", "1:style=linear", "--activation", "tanh"],
            "--residual of style 'linear' with blocks of one layer uses neither norm nor "
            "activation, got activation 'tanh': use blocks of two layers or more, another style",
        ),
        (
            ["run", "--residual", "1", "--width", "3,4"],
            "--residual needs equal widths, one int as width, got (3, 4)",
        ),
        (
            ["run", "--residual", "2:last_gain=1e-100", "--gain", "1e-120"],
            "from gain 1e-120 times last_gain 1e-100",
        ),
        (
            ["run", "--residual", "1", "--highway", "-1"],
            "--residual and highway exclude each other: give one of them, got residual 1 and h",
        ),
        (
            ["run", "--highway", "-1e9"],
            "argument --highway: must be a number from -1e6 to 1e6, got -1000000",
        ),
        (["run", "--highway", "-1", "--width", "3,4"], "--highway needs equal widths"),
        (
            ["run", "--clip-norm", "0"],
            "argument --clip-norm: must be from 1e-100 to 1e+100, got 0.0",
        ),
        (
            ["run", "--clip-value", "-1"],
            "argument --clip-value: must be from 1e-100 to 1e+100, got -1.0",
        ),
        (
            ["run", "--clip-norm", "1", "--clip-value", "1"],
            "argument --clip-value: not allowed with argument --clip-norm",
        ),
        (
            ["run", "--record", "clipped", "--out", "x"],
            "--record 'clipped' needs a network with gradient clipping, by norm or by value, got ",
        ),
        (
            ["run", "--init", "identity"],
            "--init must not be 'identity' in an MLP: it is for recurrent",
        ),
        (
            ["run", "--rnn", "--width", "3,4"],
            "--width must be an int from 1 to 4294967295, got (3, 4)",
        ),
        (["run", "--rnn", "--norm", "layer"], "--norm is not for --rnn, got layer"),
        (["run", "--rnn", "--norm-eps", "1e-3"], "--norm-eps is not for --rnn, got 0.001"),
        (["run", "--rnn", "--highway", "0"], "--highway is not for --rnn, got 0.0"),
        (["run", "--rnn", "lstm", "--norm", "rms"], "--norm is not for --rnn lstm, got rms"),
        (
            ["run", "--rnn", "gru", "--activation", "relu", "tanh"],
            "--activation is not for --rnn gru, got relu tanh",
        ),
        (["run", "--rnn", "gru", "--leak", "0.5"], "--leak is for --rnn rnn only, got 0.5"),
        (["run", "--rnn", "--chrono", "9"], "--chrono is for --rnn lstm only, got 9.0"),
        (["run", "--forget-bias", "1"], "--forget-bias is for --rnn lstm only, got 1.0"),
        (["run", "--rnn", "lstm", "--update-bias", "1"], "--update-bias is for --rnn gru only"),
        (["run", "--rnn", "lstm", "--chrono", "1"], "--chrono must be from 2 to 1e30, got 1.0"),
        (["run", "--rnn", "lsmt"], "argument --rnn: 'lsmt' is unknown"),
        (["run", "--inputs", "zeros"], "--inputs 'zeros', a zero initial state, is for recurrent"),
        (["run", "--rnn", "--depth", "0"], "--depth must be an int from 1"),
        (["run", "--rnn", "--input-std", "-1"], "--input-std must be 0, or from 1e-200"),
        (["run", "--rnn", "--engine", "matrix-free"], "use 'dense' or 'auto'"),
        (["run", "--input-std", "1"], "--input-std is for --rnn only, got 1.0"),
        (
            ["run", "--init", "torch_default", "--bias-std", "1"],
            "--bias-std must be 0 with init 'torch_default', which draws its own uniform biases, "
            "got 1.0; for normal biases use init 'lecun_uniform' with gain",
        ),
        (
            ["run", "--residual", "1", "--highway"],
            "--residual and highway exclude each other: give one of them, got residual 1 and "
            "highway -2.0",
        ),
        (
            ["run", "--gain", "1e250"],
            "--gain must give weights of a standard deviation from 1e-200",
        ),
        (
            ["run", "--init", "normal:std=-1"],
            "argument --init: std must be from 1e-100 to 1e100, g",
        ),
        (["run", "--norm", "layer", "--width", "4,1,3"], "got width 1 in layer 1"),
        (["run", "--first", "1e17"], "--first must be an int from 0 to 2**56 - 10000, got 1000000"),
        (["run", "--samples", "1e17"], "--samples must be an int from 1 to 2**56, got 1000000000"),
        (["run", "--width", "70000", "--depth", "2"], "--width must give weight matrices of fewer"),
        (["replay", "--norm", "batch"], "vgsim replay: error: --batch-size must be at least 2"),
    ],
)
def test_errors_are_one_line(command, arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, err = command(*arguments)
    assert code == 2
    assert out == ""
    assert err.count("\n") == 1
    assert err.startswith("vgsim")
    assert message in err
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(not os.path.exists("/proc/meminfo"), reason="needs to know the memory")
def test_too_many_samples_for_the_memory(command):
    one = ["--depth", 3, "--width", 4, "--activation", "tanh", "--samples", "1e13"]
    code, out, err = command("run", *one, "--batch-size", 7, "--threads", 2)
    assert (code, out, err.count("\n")) == (2, "", 1)
    for words in (
        "GiB are available", "lower the number of samples, 10000000000000 ", " of the 1 layers ",
        "the quantities gradient, ", "lower the batch size, 7, ", "or lower the number of threads",
    ):  # fmt: skip
        assert words in err


def test_data_with_too_few_rows_for_a_batch(command, tmp_path):
    np.save(tmp_path / "data.npy", np.ones((3, 4)))
    options = ["--inputs", tmp_path / "data.npy", "--width", 4, "--batch-size", 4]
    for name in ("run", "replay"):
        code, out, err = command(name, *options)
        assert (code, out) == (2, "")
        assert "--inputs must have at least batch_size = 4 rows" in err


def test_out_that_cannot_be_is_refused_before_the_work(command, tmp_path, monkeypatch):
    monkeypatch.setattr("vgsim._engine.run.Run", lambda *_, **__: pytest.fail("simulated"))
    (tmp_path / "file").touch()
    one = ["--depth", 3, "--activation", "tanh"]
    code, _, err = command("run", *one, "--out", tmp_path / "no" / "x.npz")
    assert (code, err.count("\n")) == (2, 1)
    assert f"--out {tmp_path / 'no' / 'x.npz'}: No such file or directory" in err
    code, _, err = command("run", *one, "--out", tmp_path / "file")
    assert (code, err.count("\n")) == (2, 1)
    assert "file must end in .npz, or be a folder" in err


@pytest.mark.parametrize("kind", ["text", "archive", "pickle", "wrong shape", "pipe", "lie"])
def test_inputs_that_are_no_data(command, kind, tmp_path):
    path = tmp_path / "data.npy"
    if kind == "text":
        path.write_text("1,2")
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "lie":
        np.save(path, np.zeros((5, 4)))
        path.write_bytes(
            path.read_bytes().replace(b"(5, 4), }           ", b"(9000000000000, 4), }")
        )
    elif kind == "archive":
        with open(path, "wb") as file:
            np.savez(file, x=np.zeros((3, 4)))
    else:
        array = np.array([{}], dtype=object) if kind == "pickle" else np.zeros((5, 3))
        np.save(path, array, allow_pickle=True)
    code, out, err = command("run", "--inputs", path, "--depth", 2, "--width", 4)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert str(path) in err or kind == "wrong shape"


# Interruption, pipes, progress


def test_interruption(command, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("vgsim._engine.run.Run", interrupted)
    assert command("run") == (130, "", "vgsim run: interrupted\n")


@pytest.mark.skipif(os.name != "posix", reason="needs SIGINT")
def test_interrupting_a_process(started):
    depths = "2", "10_000_000"  # the second takes hours
    process = started("run", "--activation", "tanh", "--depth", *depths, "--csv")
    timer = threading.Timer(120, process.kill)
    timer.start()
    heading, row = process.stdout.readline(), process.stdout.readline()
    timer.cancel()
    assert dict(zip(heading.split(","), row.split(","), strict=True))["depth"] == "2"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out, err) == (130, "", "vgsim run: interrupted\n")


@pytest.mark.skipif(os.name != "posix", reason="needs a POSIX shell")
def test_reader_that_goes_away():
    arguments = "run --samples 10 --width 4 --csv"
    done = subprocess.run(
        f"{sys.executable} -m vgsim {arguments} | head -1",
        shell=True,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert done.stdout.startswith("network,depth,width,activation,init,")
    assert done.stderr == ""


@pytest.mark.skipif(os.name != "posix", reason="needs a POSIX shell")
@pytest.mark.parametrize("arguments", ["run --samples 10 --width 4 --csv", "info", "--version"])
def test_output_that_is_closed(arguments):
    done = subprocess.run(
        f"{sys.executable} -m vgsim {arguments} >&-",
        shell=True,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_module_is_the_command():
    done = subprocess.run(
        [sys.executable, "-m", "vgsim", "--version"],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert done.stdout == f"vgsim {vgsim.__version__}\n"


# Cells


@pytest.mark.parametrize(
    ("value", "decimals"),
    [
        (0.004, 2), (-99.994, 2), (-99.996, 1), (999.94, 1), (999.96, 0), (-12345.6, 0),
        (-np.inf, 0),
    ],
)  # fmt: skip
def test_decimals_of_numbers(value, decimals):
    assert number_decimals(value) == decimals


@pytest.mark.parametrize(
    ("seconds", "cell"),
    [
        (0, "0.00s"), (9.994, "9.99s"), (9.996, "10.0s"), (99.94, "99.9s"), (99.96, "1m40"),
        (3599.4, "59m59"), (3599.6, "1h00m"), (86400, "24h00m"),
    ],
)  # fmt: skip
def test_seconds_cells(seconds, cell):
    assert seconds_cell(seconds) == cell


def test_warnings_are_lines(command):
    options = "--norm", "layer", "--width", 6, "--clip-value", 0.1, "--depth", 5, "--samples", 10
    code, _, err = command("run", "--activation", "relu", *options)
    assert code == 0
    (line,) = err.splitlines()
    assert line.startswith("vgsim run: warning: rounding decides the gradient")
