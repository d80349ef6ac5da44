"""The JSON output of all commands follows the schemas in the package."""

import json
from pathlib import Path

import pytest

import vgsim
from vgsim._cli import schema
from vgsim._studies.store import Store

jsonschema = pytest.importorskip("jsonschema")
SMALL = ["--depth", 2, 3, "--width", 4, "--samples", 20]
STUDY = """
max_samples = 1000
layers = [0, 2]
thresholds = [1e-6, 0.5]
[[sweep]]
width = 4
depth = [2, 4]
residual = [{every = 1}, {every = 2}]
"""
NET = 'kind = "Sequential"\nwidth = 4\nlayers = [{kind = "Linear", gain = [1, 2]}, "tanh"]\n'


def check(name, text):
    """Check the output of a command against a schema; return it."""
    found = json.loads(text)
    assert next(iter(found)) == "schema"
    assert found["schema"] == f"vgsim/{name}/1"
    validator(name).validate(found)
    return found


def validator(name):
    return jsonschema.Draft202012Validator(json.loads(schema.schema_text(name)))


@pytest.fixture
def output(command, tmp_path, monkeypatch):
    """Run the command in a folder with a study and a network, and return what it prints."""
    monkeypatch.chdir(tmp_path)
    Path("study.toml").write_text(STUDY)
    Path("net.toml").write_text(NET)

    def run(*words):
        code, out, err = command(*words)
        assert (code, err) == (0, "")
        return out

    return run


@pytest.mark.parametrize("name", schema.NAMES)
def test_schemas_are_valid_and_strict(name):
    found = json.loads(schema.schema_text(name))
    jsonschema.Draft202012Validator.check_schema(found)
    assert found["$id"] == f"vgsim/{name}/1"
    assert found["additionalProperties"] is False
    assert set(found["required"]) == set(found["properties"])


def test_every_file_of_a_schema_is_named():
    files = Path(schema.__file__).with_name("schemas").iterdir()
    assert {file.stem for file in files} == set(schema.NAMES)


def test_the_command_prints_them(command):
    out = command("schema")[1]
    assert [line.split()[0] for line in out.splitlines()] == list(schema.NAMES)
    for name in schema.NAMES:
        assert command("schema", name) == (0, f"{schema.schema_text(name)}\n", "")


RUNS = [
    ["--activation", "tanh", "relu", "--gain", 1, 2, "--clip-norm", "none", 1],
    ["--norm", "none", "batch", "--batch-size", 2, "--residual", "none", 1],
    ["--rnn", "lstm", "--inputs", "zeros", "--forget-bias", 1, 2],
    ["--width", "3,4,4,2", "--depth", 3, "--engine", "dense", "--loss", "mse"],
    ["--activation", "relu", "--width", 1, "--depth", 300],  # dead
]


@pytest.mark.parametrize("words", RUNS)
def test_run(output, words):
    assert check("run", output("run", *SMALL, *words, "--json"))["rows"]


def test_a_file_of_networks(output):
    assert len(check("run", output("run", "net.toml", "--samples", 20, "--json"))["rows"]) == 2
    check("theory", output("theory", "net.toml", "--json"))
    check("depth", output("depth", "net.toml", "--depth", 2, 4, "--samples", 20, "--json"))


@pytest.mark.parametrize("words", [RUNS[0], RUNS[1], RUNS[2], RUNS[4]])
def test_depth(output, words):
    found = check("depth", output("depth", *SMALL, "--depth", 2, 4, 8, *words, "--json"))
    assert all(len(curve["rows"]) > 0 for curve in found["curves"])


@pytest.mark.parametrize("event", ["exploding", "dead", "underflow", "overflow"])
def test_depth_of_other_events(output, event):
    dtype = ["--event-dtype", "float16"] if event.endswith("flow") else []
    words = [*SMALL, "--activation", "relu", "--event", event, *dtype, "--json"]
    (curve,) = check("depth", output("depth", *words))["curves"]
    assert {event, f"{event}_low", f"{event}_high", f"{event}_theory"} <= set(curve["rows"][0])


@pytest.mark.parametrize("words", [*RUNS[:3], ["--activation", "relu", "--width", 400]])
def test_theory(output, words):
    without = [word for word in SMALL if word not in ("--samples", 20)]
    assert check("theory", output("theory", *without, *words, "--json"))["rows"]


def test_studies(output):
    words = "study.toml", "--store", "x.sqlite", "--quiet", "--json"
    found = check("study", output("collect", *words))
    assert len(found["rows"]) == 4 * 4
    shown = check("study", output("show", "x.sqlite", "--json"))
    assert shown["rows"] == found["rows"]
    assert [one["store"] for one in shown["progress"]] == ["x.sqlite"]
    check("status", output("status", "x.sqlite", "--json"))


def test_samples_and_an_empty_store(output):
    vgsim.simulate(vgsim.MLP(3, 4), 20).save("x.npz")
    assert check("study", output("show", "x.npz", "--json"))["rows"]
    Store(Path("x.sqlite")).close()
    assert check("study", output("show", "x.sqlite", "--json"))["rows"] == []
    check("status", output("status", "x.sqlite", "--json"))


@pytest.mark.parametrize("name", ["vanishing", "depth", "schema"])
def test_what_is_missing_is_refused(output, name):
    found = json.loads(output("run", *SMALL, "--activation", "tanh", "--json"))
    (found if name == "schema" else found["rows"][0]).pop(name)
    with pytest.raises(jsonschema.ValidationError, match=name):
        validator("run").validate(found)
