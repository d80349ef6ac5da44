"""Several values of the options of networks: their combinations, and what tables say of them."""

import json

import pytest

import vgsim
from vgsim._cli.fields import all_options
from vgsim._cli.main import _parser
from vgsim._cli.network_text import curves

RUN = ["run", "--activation", "tanh", "--depth", "4", "--width", "8", "--samples", "20"]


@pytest.fixture
def rows(command):
    """Run the command with --json; return the rows."""

    def run(*arguments):
        code, out, err = command(*RUN, *arguments, "--json")
        assert (code, err) == (0, "")
        return json.loads(out)["rows"]

    return run


# Two values of every option, with the options that it needs, and the values in JSON.
VALUES = {
    "depth": (["2", "6"], [], [2, 6]),
    "width": (["4", "3,4,4,4,2"], [], [4, [3, 4, 4, 4, 2]]),
    "activation": (["relu", "elu:alpha=2"], [], ["relu", "elu:alpha=2.0"]),
    "init": (["textbook", "lecun_normal"], [], ["glorot_normal", "lecun_normal"]),
    "gain": (["0.5", "2"], [], [0.5, 2.0]),
    "bias_std": (["0", "0.1"], [], [0.0, 0.1]),
    "norm": (["none", "layer"], [], [None, "layer"]),
    "norm_eps": (["1e-3", "1e-4"], ["--norm", "rms"], [1e-3, 1e-4]),
    "residual": (["none", "2:style=pre"], [], [None, "2:style=pre"]),
    "highway": (["none", "-1"], [], [None, -1.0]),
    "clip_norm": (["none", "2"], [], [None, 2.0]),
    "clip_value": (["0.5", "2"], [], [0.5, 2.0]),
    "input_std": (["0.25", "0.5"], ["--rnn"], [0.25, 0.5]),
    "leak": (["0.5", "1"], ["--rnn"], [0.5, 1.0]),
    "forget_bias": (["1", "5"], ["--rnn", "lstm"], [1.0, 5.0]),
    "chrono": (["none", "9"], ["--rnn", "lstm"], [None, 9.0]),
    "update_bias": (["0", "1"], ["--rnn", "gru"], [0.0, 1.0]),
}
CELLS = ["run", "--depth", "4", "--width", "8", "--samples", "20"]  # without an activation


def test_every_option_is_here():
    assert VALUES.keys() == all_options().keys()


@pytest.mark.parametrize("name", VALUES)
def test_every_option_takes_several_values(command, name):
    values, more, expected = VALUES[name]
    words = CELLS if {"lstm", "gru"} & set(more) else RUN
    option = [f"--{name.replace('_', '-')}", *values]
    code, out, err = command(*words, *more, *option, "--json")
    assert (code, err) == (0, "")
    found = [row[name] for row in json.loads(out)["rows"]]
    assert list(dict.fromkeys(map(json.dumps, found))) == [json.dumps(x) for x in expected]


def test_all_combinations_are_simulated(rows):
    found = rows("--gain", 0.5, 1, 2, "--bias-std", 0, 0.1, "--norm", "none", "layer")
    combinations = {(row["gain"], row["bias_std"], row["norm"]) for row in found}
    assert len(found) == len(combinations) == 12
    assert combinations >= {(0.5, 0.1, None), (2.0, 0.0, "layer")}
    for row in found:
        names = ("gain", "bias_std", "norm")
        net = vgsim.MLP(4, 8, **{name: row[name] for name in names})
        assert row["median"] == vgsim.simulate(net, 20, layers=[0]).quantile(0.5)


def test_the_depth_follows_from_a_list_of_widths(command):
    words = "run", "--activation", "tanh", "--samples", 5, "--width", "3,4,2", "5,5,5,5", 4
    found = json.loads(command(*words, "--json")[1])["rows"]
    assert [(row["depth"], row["width"]) for row in found[:2]] == [(2, [3, 4, 2]), (3, 5)]
    assert [row["depth"] for row in found[2:]] == [10, 30, 100, 300, 1000]


def test_several_cells(command):
    words = ["--depth", 3, "--width", 4, "--samples", 10, "--activation", "tanh", "relu"]
    words += ["--rnn", "lstm", "rnn", "--forget-bias", 1, 5, "--gain", 1.5]
    found = json.loads(command("run", *words, "--json")[1])["rows"]
    assert [(row["network"], row["activation"], row["forget_bias"]) for row in found] == [
        ("LSTM", None, 1.0), ("LSTM", None, 5.0), ("RNN", "tanh", None), ("RNN", "relu", None)
    ]  # fmt: skip
    assert {row["gain"] for row in found} == {1.5}
    out = command("run", *words)[1]
    assert "10 random recurrent networks per row, width 4, gain 1.5, normal inputs" in out
    found = [line.partition(", dense engine")[::2] for line in headings(out, ("LSTM,", "tanh,"))]
    assert found == [
        ("LSTM, glorot_normal", ", forget bias 1"), ("LSTM, glorot_normal", ", forget bias 5"),
        ("tanh, orthogonal", ""),
    ]  # fmt: skip
    code, _, err = command("run", *words, "--norm", "layer")
    assert (code, "--norm is not for --rnn lstm or --rnn rnn, got layer" in err) == (2, True)
    code, _, err = command("run", *words, "--update-bias", 1)
    assert (code, "--update-bias is for --rnn gru only, got 1.0" in err) == (2, True)


def test_a_field_of_a_technique_is_for_networks_that_have_it(rows, command):
    found = rows("--norm", "none", "layer", "--norm-eps", "1e-3", "1e-4")
    assert [row["norm_eps"] for row in found] == [None, 1e-3, 1e-4]
    code, _, err = command(*RUN, "--norm", "none", "--norm-eps", "1e-3")
    assert code == 2
    assert "--norm-eps is for a norm" in err


def test_a_gate_without_a_value_has_the_default_bias(rows):
    assert [row["highway"] for row in rows("--highway")] == [-2.0]
    assert [row["highway"] for row in rows("--highway", "none", -2)] == [None, -2.0]


def test_combinations_that_exclude_each_other_are_an_error(command):
    code, out, err = command(*RUN, "--residual", "none", 1, "--highway", "none", -1)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "--residual and highway exclude each other" in err


def test_a_replay_is_of_one_network(command):
    for option in ("--gain", "--norm", "--width"):
        value = "layer" if option == "--norm" else "2"
        code, _, err = command("replay", option, value, value)
        assert (code, f"unrecognized arguments: {value}" in err) == (2, True)


def headings(out, word):
    return [line for line in out.splitlines() if line.startswith(word)]


def test_tables_name_the_values_that_distinguish_them(command):
    words = ["--gain", 1, 2, "--norm", "none", "layer", "--norm-eps", "1e-3", "--bias-std", 0.1]
    out = command(*RUN, *words)[1]
    assert "20 random networks per row, width 8, bias std 0.1, normal inputs" in out
    assert headings(out, "tanh") == [
        "tanh, glorot_normal, matrix-free engine, gain 1, norm none",
        "tanh, glorot_normal, matrix-free engine, gain 1, norm layer, norm eps 0.001",
        "tanh, glorot_normal, matrix-free engine, gain 2, norm none",
        "tanh, glorot_normal, matrix-free engine, gain 2, norm layer, norm eps 0.001",
    ]


def test_what_does_not_differ_is_said_once(command):
    out = command(*RUN, "--activation", "tanh", "relu", "--norm", "layer", "--gain", 2)[1]
    assert out.count("gain 2") == out.count("norm layer") == 1


def test_curves_and_theory_name_the_values(command):
    words = ["--activation", "tanh", "--width", 400, "--gain", 1, 2, "--residual", "none", 1]
    depths = ["--depth", 2, 4]
    out = command("depth", *words, *depths, "--samples", 20)[1]
    assert [line.partition("float32, ")[2] for line in headings(out, "tanh")] == [
        "gain 1, residual none", "gain 1, residual 1", "gain 2, residual none", "gain 2, residual 1"
    ]  # fmt: skip
    out = command("theory", *words, *depths)[1]
    assert headings(out, "tanh, glorot_normal, width 400, gain 1") == [
        "tanh, glorot_normal, width 400, gain 1, bias std 0, residual none",
        "tanh, glorot_normal, width 400, gain 1, bias std 0, residual 1",
    ]


def test_curves_refuse_lists_of_widths(command):
    code, _, err = command("depth", "--width", 8, "3,4")
    assert code == 2
    assert "--width must be one number, the same at every depth" in err


def test_samples_of_combinations_are_different_files(command, tmp_path):
    words = ["--gain", 1, 2, "--norm", "none", "layer", "--out", tmp_path / "runs"]
    assert command(*RUN, *words)[0] == 0
    networks = {vgsim.load(path).network for path in (tmp_path / "runs").iterdir()}
    assert networks == {vgsim.MLP(4, 8, gain=g, norm=n) for g in (1, 2) for n in (None, "layer")}


def test_the_defaults_of_the_parser_are_none():
    given = _parser().parse_args(["run"])
    assert all(getattr(given, name) is None for name in all_options())


def test_grouping_many_networks_takes_one_comparison_each(monkeypatch):
    calls = []
    deeper = vgsim.MLP.with_depth
    monkeypatch.setattr(
        vgsim.MLP, "with_depth", lambda net, depth: calls.append(depth) or deeper(net, depth)
    )
    networks = vgsim.sweep(
        vgsim.MLP, width=8, gain=[1, 2, 3], bias_std=[0, 0.1, 0.2], depth=[5, 10, 20]
    )
    groups = curves(networks)
    assert [[net.depth for net in group] for group in groups] == [[5, 10, 20]] * 9
    assert all(len({net.with_depth(1) for net in group}) == 1 for group in groups)
    assert len(calls) <= 2 * len(networks)
