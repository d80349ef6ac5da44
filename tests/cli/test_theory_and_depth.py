"""The commands vgsim theory and vgsim depth, compared with the library and known numbers."""

import csv
import io
import json
import math
import os
import re

import numpy as np
import pytest

import vgsim
from vgsim._cli.fields import ACTIVATIONS, CURVE_DEPTHS, DEPTHS
from vgsim._engine.depth_curve import depth_curve

RELU = ["--activation", "relu", "--width", 16]
SMALL = ["--width", 8, "--samples", 200, "--depth", 5, 20]


@pytest.fixture
def output(command):
    """Run the command, which succeeds; return stdout."""

    def run(*arguments):
        code, out, err = command(*arguments)
        assert (code, err) == (0, "")
        return out

    return run


def rows_of(text):
    return list(csv.DictReader(io.StringIO(text)))


# theory


def test_theory_of_the_textbook_networks(output):
    rows = json.loads(output("theory", "--json"), parse_constant=pytest.fail)["rows"]
    assert [(row["activation"], row["depth"]) for row in rows] == [
        (activation, depth) for activation in ACTIVATIONS for depth in DEPTHS
    ]
    assert {row["activation"]: row["phase"] for row in rows} == {
        "sigmoid": "ordered", "tanh": "critical", "relu": "critical"
    }  # fmt: skip


def test_theory_prints_the_published_numbers(output):
    # tanh, sigma_w^2 = 1.5, sigma_b^2 = 0.05: q*, chi_1, xi_c, xi_q; critical sigma_w 1.327010
    options = ["--activation", "tanh", "--init", "lecun_normal", "--gain", 1.5**0.5, "--bias-std",
               0.05**0.5, "--depth", 10]  # fmt: skip
    (row,) = json.loads(output("theory", *options, "--json"))["rows"]
    expected = {
        "q_star": 0.418037, "chi_1": 0.938636, "c_star": 1, "xi_c": 15.7910, "xi_q": 1.6828,
        "xi_grad": 15.7910, "critical_gain": 1.327010, "sigma_w": 1.5**0.5, "sigma_b": 0.05**0.5,
    }  # fmt: skip
    assert {name: row[name] for name in expected} == pytest.approx(expected, rel=2e-5)
    assert row["phase"] == "ordered"
    out = output("theory", *options)
    for words in ("ordered, gradients vanish", "q* 0.418037", "chi_1 0.938636", "xi_grad 15.791"):
        assert words in " ".join(out.split())


def test_critical_gain_is_in_the_unit_of_gain(output):
    (row,) = json.loads(output("theory", *RELU, "--depth", 5, "--gain", 0.7, "--json"))["rows"]
    assert row["critical_gain"] == pytest.approx(1)
    (again,) = json.loads(
        output("theory", *RELU, "--depth", 5, "--gain", row["critical_gain"], "--json")
    )["rows"]
    assert (again["phase"], again["chi_1"]) == ("critical", pytest.approx(1))


def test_theory_at_finite_width_is_the_exact_law(output):
    options = ["--activation", "relu", "--width", 32, "--depth", 100, "--threshold", 1e-3]
    (row,) = rows_of(output("theory", *options, "--csv"))
    assert float(row["mean"]) == pytest.approx(-8.25402081 / math.log(100))
    assert float(row["std"]) == pytest.approx(math.sqrt(17.74977872) / math.log(100))
    assert float(row["vanishing"]) == pytest.approx(0.094492, abs=1e-6)
    assert float(row["exploding"]) == pytest.approx(1.949e-8, abs=1e-11)
    assert float(row["dead"]) == pytest.approx(100 * 2.0**-32, rel=1e-6)
    assert (row["law"], row["xi_grad"], row["reasons"]) == ("exact", "inf", "")
    assert json.loads(output("theory", *options, "--json"))["rows"][0]["xi_grad"] is None


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--norm", "layer"], "mean field: network must have no norm"),
        (["--residual", 2], "mean field: network must have no residual"),
        (["--highway"], "mean field: network must have no highway"),
        (["--clip-norm", 1], "finite width: "),
        (["--rnn"], "finite width: "),
    ],
)
@pytest.mark.parametrize("format", [[], ["--json"], ["--csv"], ["--markdown"], ["--latex"]])
def test_theory_says_what_does_not_apply(output, options, reason, format):
    out = output("theory", "--depth", 10, "--width", 16, *options, *format)
    assert reason in out
    assert not re.search(r"\bnan\b", out)


ZERO_STATE = ["--input-std", 0, "--inputs", "zeros", "--depth", 100]


@pytest.mark.parametrize(
    ("options", "network"),
    [
        (["--rnn", "lstm"], vgsim.LSTM(100, 128, input_std=0)),
        (["--rnn", "gru", "--gain", 2.5], vgsim.GRU(100, 128, input_std=0, gain=2.5)),
        (
            ["--rnn", "--activation", "tanh", "--leak", 0.5],
            vgsim.RNN(100, 128, input_std=0, leak=0.5),
        ),
    ],
)
def test_theory_of_the_zero_state(output, options, network):
    (row,) = json.loads(output("theory", *options, *ZERO_STATE, "--json"))["rows"]
    rate = vgsim.theory.recurrent_rate(network)
    assert row["chi_1"] == rate
    assert row["critical_gain"] == vgsim.theory.critical_gain(network)
    phase = "critical" if abs(rate - 1) < 1e-6 else "ordered" if rate < 1 else "chaotic"
    assert row["phase"] == phase
    growth = vgsim.theory.recurrent_growth(network) / (2 * math.log(10))
    assert row["mean"] == pytest.approx(growth, rel=1e-12)
    assert f"zero state: {phase}" in output("theory", *options, *ZERO_STATE)


@pytest.mark.parametrize("more", [[], ["--input-std", 0]])
def test_no_theory_of_a_state_that_moves(output, more):
    (row,) = json.loads(output("theory", "--rnn", "lstm", "--depth", 9, *more, "--json"))["rows"]
    assert row["mean"] is None
    assert "except with inputs 'zeros' and without a drive" in row["reasons"]
    assert (row["critical_gain"] is None) == (not more)


def test_some_activations_without_a_critical_gain_do_not_stop_others(output):
    out = output("theory", "--activation", "gelu", "relu", "--depth", 10)
    assert "critical gain: activation 'gelu' has no critical gain" in out
    assert "critical gain 1\n" in out


def test_theory_does_not_simulate(output, monkeypatch):
    monkeypatch.setattr("vgsim._engine.run.Run", lambda *_, **__: pytest.fail("simulated"))
    for format in ([], ["--markdown"], ["--latex"]):
        out = output("theory", *RELU, "--depth", 10, 20, *format)
        assert out.isascii()
    assert out.count(r"\begin{tabular}") == 2
    assert r"$\chi_1$" in out


def test_theory_of_uneven_widths(output):
    (row,) = rows_of(output("theory", "--activation", "relu", "--width", "30,40,10", "--csv"))
    assert (row["depth"], row["width"], row["law"]) == ("2", "30,40,10", "exact")


# depth


@pytest.fixture
def curves(output):
    """Run the command with --json; return the curves."""

    def run(*arguments):
        out = output("depth", "--json", *arguments)
        return json.loads(out, parse_constant=pytest.fail)["curves"]

    return run


def test_defaults_of_depth(curves):
    found = curves("--samples", 20, "--width", 4)
    assert [curve["activation"] for curve in found] == list(ACTIVATIONS)
    for curve in found:
        assert [row["depth"] for row in curve["rows"]] == list(CURVE_DEPTHS)


def test_depth_says_what_depth_curve_says(curves):
    (found,) = curves(
        *RELU, "--depth", 100, 30, 200, "--samples", 500, "--seed", 4, "--dtype", "float64",
        "--threshold", 0.01, "--level", 0.4, "--confidence-level", 0.9, "--method", "exact",
    )  # fmt: skip
    net = vgsim.MLP(1, 16, activation="relu", init="he_normal")
    curve = depth_curve(net, (30, 100, 200), 500, seed=4, dtype="float64")
    p = curve.probability(threshold=0.01, confidence_level=0.9, method="exact")
    assert [row["depth"] for row in found["rows"]] == [30, 100, 200]
    assert [row["vanishing_low"] for row in found["rows"]] == p.low.tolist()
    mean = curve.mean(0.9)
    assert [row["mean"] for row in found["rows"]] == pytest.approx(mean.estimate)
    depth = curve.critical_depth(0.4, threshold=0.01, confidence_level=0.9, method="exact")
    assert found["critical_depth"] == {
        "estimate": depth.estimate, "low": depth.low, "high": depth.high
    }  # fmt: skip
    scale = curve.depth_scale(0.9)
    assert found["depth_scale"]["estimate"] == scale.depth_scale.estimate
    assert found["slope"]["low"] == scale.slope.low
    assert found["variance_growth"]["high"] == scale.variance_growth.high
    assert (found["reasons"], found["n"], found["width"], found["level"]) == ([], 500, 16, 0.4)
    slope = vgsim.theory.relu_law(16, 1).mean
    assert found["theory_depth_scale"] == pytest.approx(1 / abs(slope))
    assert found["rows"][0]["mean_theory"] == pytest.approx(30 * slope / math.log(100))


def test_csv_of_depth_is_the_same_as_json(output, curves):
    options = [*SMALL, "--activation", "relu", "sigmoid"]
    rows = rows_of(output("depth", "--csv", *options))
    found = [(curve, row) for curve in curves(*options) for row in curve["rows"]]
    for from_csv, (curve, row) in zip(rows, found, strict=True):
        assert from_csv["activation"] == curve["activation"]
        for name, value in row.items():
            assert from_csv[name] == ("" if value is None else str(value))
        depth = curve["critical_depth"]
        assert from_csv["critical_depth"] == ("" if depth is None else str(depth["estimate"]))


def test_depth_prints_curve_critical_depth_and_depth_scale(output):
    out = output("depth", *RELU, "--depth", 30, 100, 200, "--samples", 2000, "--threshold", 0.01)
    assert out.isascii()
    lines = out.splitlines()
    assert lines[0] == "relu, he_normal, matrix-free engine, float32"
    assert "R = log10(|G_0| / |G_D|) of 2,000 networks per depth" in out
    table = [line.split() for line in lines if line.strip().startswith(("30 ", "100 ", "200 "))]
    assert len(table) == 3
    for cells in table:
        theory = vgsim.theory.relu_law(16, int(cells[0])).probability("vanishing", 0.01)
        assert float(cells[4]) == pytest.approx(theory, abs=0.5 * 10 ** -len(cells[4][2:]))
    assert "critical depth, where P(vanishing) = 0.5: " in out
    assert "depth scale in layers: " in out
    scale = 1 / abs(vgsim.theory.relu_law(16, 1).mean)
    out = " ".join(out.split())
    assert f"theory: inf in mean field (xi_grad), {scale:.6g} at finite width" in out
    assert "slope of its variance: " in out


def test_a_level_that_is_not_reached_is_said(output):
    for format in ([], ["--markdown"], ["--latex"]):
        out = output("depth", *RELU, "--depth", 5, 10, "--samples", 100, *format)
        out = " ".join(out.split())
        assert (
            "critical depth: level must be reached within the depths, got 0.5: P(vanishing)" in out
        )


@pytest.mark.parametrize(
    "options",
    [
        ["--event", "dead", "--activation", "relu"],
        ["--event", "underflow", "--event-dtype", "bfloat16"],
        ["--event", "healthy", "--threshold", 0.1],
        ["--norm", "batch", "--batch-size", 4],
        ["--residual", "5:style=pre"],
        ["--highway", "--loss", "mse"],
        ["--rnn", "--clip-norm", 1],
        ["--depth", 7],
    ],
)
@pytest.mark.parametrize("format", [[], ["--json"], ["--csv"], ["--markdown"], ["--latex"]])
def test_depth_of_everything(output, options, format):
    out = output("depth", *SMALL, *options, *format)
    assert not re.search(r"\bnan\b", out)
    assert out.isascii()


def test_depth_of_data(curves, tmp_path, rng):
    data = rng.normal(size=(50, 8))
    np.save(tmp_path / "data.npy", data)
    (found,) = curves(*SMALL, "--activation", "tanh", "--inputs", tmp_path / "data.npy")
    assert found["inputs"].startswith("sha256:")
    assert found["rows"][0]["mean_theory"] is None


def test_interrupted_depth(command, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("vgsim._engine.run.Run", interrupted)
    assert command("depth") == (130, "", "vgsim depth: interrupted\n")


# errors


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["theory", "--samples", "3"], "vgsim theory: error: unknown option '--samples' (see"),
        (["theory", "--json", "--csv"], "argument --csv: not allowed with argument --json"),
        (
            ["theory", "--norm", "layer", "--width", "1"],
            "--norm 'layer' needs a width of at least 2, because it maps a single unit to 0; got "
            "width 1 in layer 1",
        ),
        (["theory", "--threshold", "2"], "--threshold must be 0 < threshold <= 1, got 2.0"),
        (
            ["theory", "--activation", "rleu"],
            "--activation: 'rleu' is unknown (did you mean 'relu'?)",
        ),
        (["theory", "--gain", "0"], "--gain must be a finite number > 0, got 0.0"),
        (["theory", "--depth", "0"], "--depth must be an int from 1"),
        (["theory", "--norm", "batch"], "--batch-size must be at least 2 with norm 'batch', got 1"),
        (
            ["theory", "--residual", "4"],
            "--residual has blocks of 4 layers: the depth must be a multiple of that, got ",
        ),
        (["depth", "--level", "1"], "--level must be a number strictly between 0 and 1, got 1.0"),
        (["depth", "--level", "half"], "argument --level: 'half' is not a number"),
        (["depth", "--width", "3,4"], "--width must be one number, the same at every depth"),
        (["depth", "--event", "gone"], "argument --event: 'gone' is unknown"),
        (
            ["depth", "--event", "underflow"],
            "--event-dtype must be given: event 'underflow' needs a dtype, one of float16, bf",
        ),
        (
            ["depth", "--event-dtype", "float16"],
            "--event-dtype is for underflow and overflow only, got 'float16' with event 'van",
        ),
        (
            ["depth", "--event", "dead", "--threshold", "0.1"],
            "--threshold is for vanishing, exploding and healthy only, got 0.1 with event 'dead'",
        ),
        (["depth", "--confidence-level", "95"], "--confidence-level must be a number strictly"),
        (["depth", "--samples", "0"], "--samples must be an int from 1"),
        (["depth", "--depth", "5,10"], "depths are separated by spaces: --depth 5 10"),
        (["depth", "--depth", "0", "5"], "--depth must be an int from 1"),
        (["depth", "--markdown", "--latex"], "argument --latex: not allowed with argument"),
        (["depth", "--first", "3"], "vgsim depth: error: unknown option '--first'"),
        (
            ["depth", "--init", "he_uniform", "--engine", "matrix-free"],
            "needs Gaussian or orthogonal weights, and those of init 'he_uniform' are uniform",
        ),
        (
            ["depth", "--loss", "cross_entropy", "--width", "1"],
            "--loss 'cross_entropy' needs 2 outputs",
        ),
    ],
)
def test_errors_are_one_line(command, arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, err = command(*arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("vgsim")
    assert message in err
    assert os.listdir(tmp_path) == []


# clipping in the table of vgsim run


def test_run_prints_the_share_of_clipped_entries(output):
    one = ["--activation", "tanh", "--depth", 6, "--width", 8, "--samples", 50, "--clip-value", 0.5]
    net = vgsim.MLP(6, 8, clip=vgsim.ClipValue(0.5))
    s = vgsim.simulate(net, 50, layers=(2,), record=("gradient", "clipped"))
    out = output("run", *one, "--layer", 2)
    assert "clipped: mean fraction of clipped entries of G_2" in out
    (line,) = [line for line in out.splitlines() if line.startswith("    6 ")]
    assert line.split()[-2] == f"{s.clipped.mean():.4f}"
    (row,) = json.loads(output("run", *one, "--layer", 2, "--json"))["rows"]
    assert row["clipped"] == s.clipped.mean()
    (row,) = json.loads(output("run", *one[:-2], "--json"))["rows"]
    assert row["clipped"] is None
