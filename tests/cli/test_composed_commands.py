"""The commands on files that describe composed networks, with the kernels."""

import csv
import io
import json

import numpy as np
import pytest

import vgsim
from vgsim import Attention, Dropout, Linear, Norm, Sequential, Skip

ATTENTION = '{kind = "Skip", layers = [{kind = "Norm", norm = "layer"}, {kind = "Attention"}]}'
TRANSFORMER = f"""\
kind = "Sequential"
width = 6
tokens = 3
[[layers]]
repeat = 2
layers = [
  {ATTENTION},
  {{kind = "Skip", layers = [{{kind = "Linear", width = 12, gain = GAIN, bias_std = 0.1}}, "gelu",
                            {{kind = "Linear", width = 6}}]}},
  {{kind = "Dropout", rate = 0.2}},
]
"""
CHAIN = """\
kind = "Sequential"
width = 5
layers = [{kind = "Linear", width = 9, init = "he_normal"}, "relu", {kind = "Linear", width = 5}]
"""


def blocks(gain):
    mlp = [Linear(12, gain=gain, bias_std=0.1), "gelu", Linear(6)]
    return [Skip([Norm("layer"), Attention()]), Skip(mlp), Dropout(0.2)]


def transformer(gain=1.0, times=2):
    return Sequential(6, blocks(gain) * times, tokens=3)


@pytest.fixture
def file(tmp_path):
    """Write a file of networks; return its path."""

    def write(text):
        path = tmp_path / "net.toml"
        path.write_text(text)
        return path

    return write


@pytest.fixture
def output(command):
    """Run the command, which succeeds; return stdout."""

    def run(*arguments):
        code, out, err = command(*arguments)
        assert (code, err) == (0, "")
        return out

    return run


# run


def test_run(file, output):
    path = file(TRANSFORMER.replace("GAIN", "[1, 9.0]"))
    rows = json.loads(output("run", path, "--samples", 300, "--seed", 4, "--json"))["rows"]
    assert [row["depth"] for row in rows] == [6, 6]
    for gain, row in zip((1.0, 9.0), rows, strict=True):
        samples = vgsim.simulate(transformer(gain), 300, seed=4, layers=[0])
        assert row["median"] == samples.quantile(0.5)
        assert row["exploding"] == samples.probability("exploding").estimate
        assert json.loads(row["layers"]) == transformer(gain).to_dict()["layers"]
        assert (row["network"], row["width"], row["tokens"]) == ("Sequential", 6, 3)


def test_run_prints_a_table_for_each_list_that_is_repeated(file, output):
    path = file(TRANSFORMER.replace("GAIN", "[1.0, 9.0]"))
    out = output("run", path, "--samples", 100, "--depth", 3, 9)
    words = " ".join(out.split())
    for gain in (1.0, 9.0):
        assert f"{transformer(gain, 1).layers!r} repeated, dense engine" in words
        assert f"{transformer(gain, 1).layers!r} * " not in words
    depths = [line.split()[0] for line in out.splitlines() if line.lstrip()[:1].isdigit()]
    assert [depth for depth in depths if depth != "100"] == ["3", "9", "3", "9"]
    assert max(map(len, out.splitlines())) <= 110
    assert "100 random networks per row, width 6, normal inputs" in out
    assert "\ntokens 3\n" in out


def test_tables_say_what_differs(file, output):
    path = file("depth = [3, 4]\nwidth = 8\ngain = [1, 2]\n[clip]\nmax_norm = [1.0, 2.0]")
    out = output("run", path, "--samples", 20)
    assert "20 random networks per row, width 8, normal inputs" in out
    for gain, clip in ((1, 1), (1, 2), (2, 1), (2, 2)):
        assert f"matrix-free engine, gain {gain}, clip norm {clip}\n" in out
    rows = json.loads(output("run", path, "--samples", 20, "--json"))["rows"]
    assert len(rows) == 8
    assert all(0 <= row["clipped"] <= 1 for row in rows)


def test_some_networks_of_a_file_clip(file, output):
    path = file("depth = [2, 3]\nwidth = 8")
    assert json.loads(output("run", path, "--json", "--samples", 5))["rows"][0]["clipped"] is None


def test_run_records_correlations(file, output, tmp_path):
    path, out = file(TRANSFORMER.replace("GAIN", "1")), tmp_path / "x.npz"
    names = ["activation_correlation", "gradient_correlation", "update_ratio", "saturation"]
    output("run", path, "--samples", 50, "--out", out, "--layers", 2, 6, "--record", *names)
    found = vgsim.load(out)
    expected = vgsim.simulate(transformer(), 50, layers=[2, 6, 0], record=["gradient", *names])
    assert found.network == expected.network
    assert found.record == expected.record
    assert found.weight_layers.tolist() == [2]
    for name in ("gradient", *names):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))


def test_correlations_need_columns(file, command):
    code, _, err = command("run", file(CHAIN), "--out", "x.npz", "--record", "gradient_correlation")
    assert code == 2
    assert "--record 'gradient_correlation' is over pairs of columns: it needs a batch_size" in err


def test_depths_that_a_list_cannot_have(file, command):
    code, _, err = command("run", file(CHAIN), "--depth", 4)
    assert code == 2
    assert err.startswith("vgsim run: error: --depth must be a multiple of 3, the number of layers")


@pytest.mark.parametrize("name", ["run", "depth", "theory", "replay"])
def test_a_file_must_be_toml(command, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    assert command(name, "net.json")[2].startswith(
        f"vgsim {name}: error: net.json must end in .toml, if it is a file that describes networks"
    )
    assert "unrecognized arguments: nett (see" in command(name, "nett")[2]


# depth


def test_depth(file, output):
    path = file(CHAIN)
    text = output("depth", path, "--depth", 30, 3, 90, "--samples", 400, "--json")
    (curve,) = json.loads(text)["curves"]
    network = Sequential(5, [Linear(9, init="he_normal"), "relu", Linear(5)])
    expected = vgsim.depth_curve(network, [3, 30, 90], 400)
    assert [row["depth"] for row in curve["rows"]] == [3, 30, 90]
    assert [row["mean"] for row in curve["rows"]] == expected.mean().estimate.tolist()
    assert curve["depth_scale"]["estimate"] == expected.depth_scale().depth_scale.estimate
    assert all(row["mean_theory"] is not None for row in curve["rows"])
    assert json.loads(curve["layers"]) == network.with_depth(90).to_dict()["layers"]
    assert "depth" not in curve


def test_depth_has_a_curve_for_each_list(file, output):
    path = file(TRANSFORMER.replace("GAIN", "[1, 9.0]").replace("repeat = 2", "repeat = [1, 4]"))
    out = output("depth", path, "--samples", 100)
    assert out.count("depth scale in layers: ") == 2
    rows = csv.DictReader(io.StringIO(output("depth", path, "--samples", 100, "--csv")))
    lists = [transformer(gain, 4).to_dict()["layers"] for gain in (1.0, 1.0, 9.0, 9.0)]
    assert [json.loads(row["layers"]) for row in rows] == lists


def test_depth_of_a_network_that_cannot_be_repeated(file, command, output):
    path = file('kind = "Sequential"\nwidth = 5\nlayers = [{kind = "Linear", width = 3}]')
    assert "critical depth: level must be reached" in output("depth", path, "--samples", 50)
    code, _, err = command("depth", path, "--depth", 2)
    assert code == 2
    assert "--depth can be changed only if the input and the last layer have the same width" in err


# theory


def test_theory(file, output):
    rows = json.loads(output("theory", file(CHAIN), "--depth", 3, 30, "--json"))["rows"]
    assert [(row["depth"], row["law"]) for row in rows] == [(3, "exact"), (30, "exact")]
    samples = vgsim.simulate(
        Sequential(5, [Linear(9, init="he_normal"), "relu", Linear(5)] * 10), 20_000
    )
    assert samples.mean() == pytest.approx(rows[1]["mean"], abs=4 * samples.std() / 20_000**0.5)
    assert rows[0]["phase"] is None


def test_theory_says_where_it_has_no_word(file, output):
    out = output("theory", file(TRANSFORMER.replace("GAIN", "1")))
    assert "finite width: network has no mean field: there is no mean field of attention" in out
    assert max(map(len, out.splitlines())) <= 100
    output("theory", file(TRANSFORMER.replace("GAIN", "1")), "--markdown")


# replay


@pytest.mark.parametrize("engine", ["dense", "matrix-free"])
def test_replay(file, output, tmp_path, engine):
    path, out = file(TRANSFORMER.replace("GAIN", "1")), tmp_path / "x.npz"
    setting = {"engine": engine, "dtype": "float64", "batch_size": 2, "loss": "mse"}
    options = [word for name, x in setting.items() for word in (f"--{name.replace('_', '-')}", x)]
    text = output("replay", path, "--seed", 3, "--index", 7, "--out", out, *options)
    table = [line.split() for line in text[text.index("layer  width") :].splitlines()[1:8]]
    assert [int(cells[0]) for cells in table] == list(range(7))
    samples = vgsim.simulate(transformer(), 1, seed=3, first=7, **setting)
    for (_, _, simulated, _, difference), expected in zip(table, samples.gradient[0], strict=True):
        assert float(simulated) == pytest.approx(expected, abs=1e-8)
        assert abs(float(difference)) < 1e-10
    expected = vgsim.replay(transformer(), 3, 7, **setting)
    assert f"wrote {out}: inputs, output_gradient, 16 parameters by name" in text
    with np.load(out, allow_pickle=False) as found:
        assert set(found) == {"header", "inputs", "output_gradient", *expected.parameters}
        assert {"0.1.query", "1.0.bias", "2.mask", "5.mask"} < set(found)
        for name, array in expected.parameters.items():
            np.testing.assert_array_equal(found[name], array)
        assert json.loads(found["header"].item())["network"] == transformer().canonical_json()


def test_replay_is_of_one_network(file, command):
    path = file(TRANSFORMER.replace("GAIN", "[1, 2]"))
    assert command("replay", path)[2] == (
        f"vgsim replay: error: {path} describes 2 networks: a replay is of one, so give every "
        "field one value\n"
    )


# Studies


STUDY = "max_samples = 2000\nthresholds = [0.5]\nlayers = [0, 1]\n" + TRANSFORMER.replace(
    "kind", "[[sweep]]\nkind", 1
).replace("[[layers]]", "[[sweep.layers]]").replace("GAIN", "[1, 9.0]")


def test_a_study(tmp_path, command, output):
    (study := tmp_path / "study.toml").write_text(STUDY)
    store = tmp_path / "x.sqlite"
    code, out, _ = command("collect", study, "--store", store, "--quiet")
    assert code == 0
    assert "4,000 of 4,000" in output("status", store)
    assert output("show", store).splitlines()[1:-2] == out.splitlines()[1:]
    rows = json.loads(output("show", store, "--json"))["rows"]
    assert len(rows) == 4
    for gain, row in zip((1.0, 9.0), rows[::2], strict=True):
        samples = vgsim.simulate(transformer(gain), 2000)
        assert row["exploding"] == samples.probability("exploding", threshold=0.5).estimate
        assert json.loads(row["layers"]) == transformer(gain).to_dict()["layers"]


def test_a_study_by_processes_is_exported_and_merged(tmp_path, command, output):
    (study := tmp_path / "study.toml").write_text(STUDY)
    one, two = tmp_path / "1.sqlite", tmp_path / "2.sqlite"
    assert command("collect", study, "--store", one, "--quiet")[0] == 0
    assert command("collect", study, "--store", two, "--executor", "process:2", "--quiet")[0] == 0
    assert vgsim.load(one) == vgsim.load(two)
    for suffix in ("csv", "npz"):
        assert command("export", one, tmp_path / f"x.{suffix}")[0] == 0
    assert vgsim.load(tmp_path / "x.npz") == vgsim.load(one)
    rows = list(csv.DictReader(io.StringIO((tmp_path / "x.csv").read_text())))
    assert json.loads(rows[0]["layers"]) == transformer().to_dict()["layers"]
    assert "added 0 samples; 4 blocks existed already" in output(
        "merge", one, two, "-o", tmp_path / "3.sqlite"
    )
