"""vgsim train, and the other commands with trainings."""

import json
import subprocess
import sys

import numpy as np
import pytest

import vgsim
from known_trainings import random_training, same, training
from vgsim._cli import schema
from vgsim._studies.training_store import TrainingStore
from vgsim._studies.training_task import TrainingTask

SMALL = ["--width", 4, "--depth", 2, "--steps", 8, "--learning-rate", 0.1, "--samples", 3]


@pytest.fixture
def needs_jax():
    pytest.importorskip("jax")
    pytest.importorskip("optax")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def study(folder):
    """Return a study in a file, study.npz: P(learned) is 1 at depth 2, and 0.25 at depth 9."""
    loss = np.full((20, 12), 2.0)
    loss[:5, 3:] = 0.0
    found = vgsim.TrainingStudy(
        training(part, network=vgsim.MLP(depth, 4), setting={"learning_rate": rate})
        for depth, part in ((2, loss * 0 + 0.1), (9, loss))
        for rate in (0.1, 0.2)
    )
    found.save(folder / "study.npz")
    return found


def data(folder, **arrays):
    rng = np.random.default_rng(0)
    arrays = {"X": rng.normal(size=(40, 4)), "y": rng.integers(0, 3, 40)} | arrays
    np.savez(folder / "data.npz", **{k: v for k, v in arrays.items() if v is not None})
    return folder / "data.npz"


@pytest.mark.usefixtures("needs_jax")
def test_it_trains_what_python_trains(command, folder):
    file = data(folder)
    store, out = folder / "a.sqlite", folder / "a.npz"
    words = ["train", "--data", file, *SMALL, "--readout", 3, "--optimizer", "adam", "--seed", 7]
    words += ["--clip", "norm:0.5", "--record", "movement", "accuracy", "--every", 4]
    code, text, err = command(*words, "--store", store, "--out", out, "--json")
    assert code == 0
    assert err.splitlines()[0].startswith("vgsim train: 3 networks trained")
    assert err.splitlines()[1:] == [f"wrote {out}"]
    network = vgsim.Sequential(4, [*vgsim.MLP(2, 4).layers, vgsim.Linear(3)])
    with np.load(file) as found:
        pair = found["X"], found["y"]
    expected = vgsim.train(
        network,
        3,
        data=pair,
        steps=8,
        optimizer="adam",
        learning_rate=0.1,
        clip=vgsim.ClipNorm(0.5),
        seed=7,
        record=("movement", "accuracy"),
        every=4,
    )
    trained = vgsim.load(out, "training")
    assert trained._identity() == expected._identity()
    np.testing.assert_allclose(trained.loss, expected.loss, rtol=1e-5)
    assert same(vgsim.load(store)[0], trained)
    (row,) = json.loads(text)["rows"]
    assert (row["n"], row["optimizer"], row["seed"], row["depth"]) == (3, "adam", 7, 3)
    assert command("show", store, "--json")[1] == text


@pytest.mark.usefixtures("needs_jax")
def test_several_settings_in_a_figure(command, folder):
    pytest.importorskip("matplotlib")
    words = ["train", "--data", "teacher", "--loss", "mse", *SMALL, "--depth", 1, 2, "--quiet"]
    code, text, err = command(*words, "--learning-rate", 0, 0.1, "--plot", "f.png", "--csv")
    assert (code, err) == (0, "wrote f.png\n")
    header, *lines = (line.split(",") for line in text.splitlines())
    rows = [dict(zip(header, line, strict=True)) for line in lines]
    assert [(row["depth"], row["learning_rate"]) for row in rows] == [
        ("1", "0.0"),
        ("2", "0.0"),
        ("1", "0.1"),
        ("2", "0.1"),
    ]
    assert (folder / "f.png").stat().st_size > 1000
    assert {row["learned"] for row in rows[:2]} == {"0.0"}


@pytest.mark.usefixtures("needs_jax")
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--samples", 0], "--samples must be"),
        (["--steps", 0], "--steps must be"),
        (["--learning-rate", -1], "--learning-rate must be"),
        (["--batch-size", 41], "--batch-size must be at most the 40 rows"),
        (["--record", "accuracy", "--loss", "mse"], "--data (y) must"),
        (["--width", 5], "--data (X) must have shape"),
        (["--layers", 9], "--layers must be"),
        (["--every", 0], "--every must be"),
        (["--columns", "n", "--json"], "--json has all columns"),
        (["--rnn", "--readout", 3], "--readout is for feed-forward networks"),
        (["--readout", 0], "--readout must be"),
        (["--plot", "figure.doc"], "--plot must end in"),
        (["--out", "data.npz"], "--out data.npz exists"),
        (["--store", "data.npz"], "data.npz is not a store of trainings"),
    ],
)
def test_errors_name_the_option(command, folder, words, message):
    code, out, err = command("train", "--data", data(folder), *SMALL, *words)
    assert (code, out) == (2, "")
    assert err.startswith(f"vgsim train: error: {message}")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--data", "none.npz"], "argument --data: 'none.npz' cannot be read"),
        (["--data", "text.npz"], "argument --data: 'text.npz' is not an .npz file"),
        (["--data", "data.npz"], "argument --data: 'data.npz' must have the arrays X and y: no y"),
        (["--clip", "norm"], "argument --clip: must be norm:X or value:X, got 'norm'"),
        (["--clip", "norm:-1"], "argument --clip: max_norm of ClipNorm must be"),
        (["--optimizer", "adm"], "argument --optimizer: "),
        (["--initial", "text.npz"], "argument --initial: 'text.npz' is not"),
    ],
)
def test_values_that_cannot_be_read(command, folder, words, message):
    data(folder, y=None)
    (folder / "text.npz").write_text("text")
    code, out, err = command("train", "--data", "teacher", *SMALL, *words)
    assert (code, out) == (2, "")
    assert err.startswith(f"vgsim train: error: {message}")
    assert err.count("\n") == 1


def test_without_jax(folder):
    code = (
        "import sys; sys.modules['jax'] = None\n"
        "from vgsim._cli.main import main\n"
        f"sys.exit(main({['train', '--data', 'teacher', *map(str, SMALL)]!r}))"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120
    )
    sentence = "train needs the packages jax and optax: pip install 'vgsim[train]'"
    assert (found.returncode, found.stderr) == (2, f"vgsim train: error: {sentence}\n")


@pytest.mark.usefixtures("study")
def test_show(command):
    code, text, err = command("show", "study.npz", "--where", "depth>2", "--columns", "learned")
    assert (code, err) == (0, "")
    lines = [line.split() for line in text.splitlines()[-2:]]
    assert [line[:3] for line in lines] == [["9", "0.1", "0.25"], ["9", "0.2", "0.25"]]
    words = ["--sort", "learned", "depth", "--head", 1]
    assert command("show", "study.npz", *words)[1].endswith("... 3 more rows\n")
    for words, name in ((["--layers", 0], "layers"), (["--pivot", "depth"], "pivot")):
        assert command("show", "study.npz", *words)[2] == (
            f"vgsim show: error: --{name} does not apply to trainings\n"
        )
    assert "--where has no column 'dept'" in command("show", "study.npz", "--where", "dept=2")[2]


def test_the_rows_follow_the_schema(command, study):
    jsonschema = pytest.importorskip("jsonschema")
    store = "store.sqlite"
    with TrainingStore(store) as kept:
        for one in study:
            kept.write(TrainingTask.of(one), one)
    for words, name in (
        (["show", "study.npz"], "trainings"),
        (["show", store], "trainings"),
        (["status", store], "training_status"),
    ):
        code, text, err = command(*words, "--json")
        assert (code, err) == (0, "")
        jsonschema.validate(json.loads(text), json.loads(schema.schema_text(name)))
    shown = json.loads(command("show", store, "--json")[1])["rows"]
    assert [row["learned"] for row in shown] == [1.0, 1.0, 0.25, 0.25]
    assert command("status", store)[1].startswith("samples    80: 50 learned, 30 stuck, 0 diverged")


def test_damaged_blocks_are_reported(command, folder):
    import sqlite3

    one = random_training(np.random.default_rng(0), 9)
    with TrainingStore("store.sqlite") as kept:
        kept.write(TrainingTask.of(one), one)
    connection = sqlite3.connect(folder / "store.sqlite")
    connection.execute("UPDATE blocks SET stuck = stuck + 1")
    connection.commit()
    connection.close()
    code, text, err = command("show", "store.sqlite", "--json")
    assert code == 0
    assert "left out samples 0 to 8" in err
    (damaged,) = json.loads(text)["damaged"]
    assert damaged["why"] == "its checksum does not match"


@pytest.mark.usefixtures("study")
def test_plot(command, folder):
    pytest.importorskip("matplotlib")
    code, _, err = command("plot", "study.npz", "-o", "a.png")
    assert (code, err) == (0, "wrote a.png\n")
    words = ["--where", "learning-rate=0.1", "--value", "stuck", "--x", "depth"]
    assert command("plot", "study.npz", "-o", "b.png", *words)[0] == 0
    words = ["--where", "learning-rate=0.1", "depth=9", "--kind", "learned"]
    assert command("plot", "study.npz", "-o", "c.png", *words)[0] == 0
    assert all((folder / f"{name}.png").stat().st_size > 1000 for name in "abc")
    for words, message in (
        (["--kind", "loss"], "--kind applies to one training"),
        (["--value", "median"], "--value must be"),
        (["--threshold", 0.1], "--threshold does not apply to trainings"),
        (["--no-theory"], "--no-theory does not apply to trainings"),
        (["--where", "depth=3"], "--where is met by no training"),
    ):
        code, _, err = command("plot", "study.npz", "-o", "d.png", *words)
        assert (code, err.startswith(f"vgsim plot: error: {message}")) == (2, True), err


@pytest.mark.usefixtures("study")
def test_trainings_and_other_results_are_not_mixed(command, folder):
    vgsim.simulate(vgsim.MLP(2, 4), 10).save(folder / "samples.npz")
    for words in (["show"], ["plot", "-o", "a.png"]):
        code, _, err = command(*words, "study.npz", "samples.npz")
        assert code == 2
        assert "study.npz holds trainings and samples.npz does not" in err
    code, _, err = command("report", "study.npz", "-o", "a.html")
    assert (code, "holds" in err) == (2, True)
