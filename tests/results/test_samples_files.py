"""Samples are unchanged after saving and loading, and other files are refused."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

import vgsim
from known_runs import RECORDS, changed, run, same
from vgsim._results import npz
from vgsim._results.samples import KIND


@pytest.mark.parametrize(
    "record", [(), *[RECORDS[:k] for k in range(1, len(RECORDS) + 1)], RECORDS[3:]]
)
def test_save_and_load(tmp_path, record):
    path = tmp_path / "run.npz"
    s = run(record=record, dead=[2])
    s.save(path)
    loaded = vgsim.load(path)
    assert same(s, loaded)
    assert loaded.provenance == s.provenance
    assert loaded.elapsed == s.elapsed
    assert os.listdir(tmp_path) == ["run.npz"]


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 2**200 + 1},
        {"network": vgsim.MLP(6, [3, 4, 5, 6, 7, 8, 9], activation="relu", bias_std=0.1)},
        {"network": vgsim.MLP(6, 4, activation=vgsim.Activation("leaky_relu", slope=0.3))},
        {"network": vgsim.MLP(6, 4, norm="rms", residual=vgsim.Residual(2, style="post"))},
        {"network": vgsim.MLP(6, 4, highway=vgsim.Highway(-3.0), clip=vgsim.ClipValue(0.1))},
        {"network": vgsim.RNN(6, 4, init="identity", input_std=0.0), "engine": "dense"},
        {"batch_size": 32, "loss": "cross_entropy"},
        {"provenance": {"compiler": "gcc ‖∂L/∂W‖"}},
        {"inputs": "sha256:" + "ab" * 32, "dtype": "float64", "engine": "dense"},
    ],
)
def test_every_field_survives(tmp_path, changes):
    s = changed(run(), **changes)
    s.save(str(tmp_path / "run"))
    loaded = vgsim.load(tmp_path / "run")
    assert same(s, loaded)
    assert loaded.provenance == s.provenance
    assert loaded.rms_min.dtype == np.float32


def test_file_is_plain_numpy(tmp_path):
    path = tmp_path / "run.npz"
    s = run()
    s.save(path)
    with np.load(path, allow_pickle=False) as file:
        header = json.loads(file["header"].item())
        assert header["network"] == s.network.canonical_json()
        np.testing.assert_array_equal(file["gradient"], s.gradient)


@pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX's")
def test_file_has_the_usual_permissions(tmp_path):
    run().save(tmp_path / "run.npz")
    (tmp_path / "other").touch()
    assert (tmp_path / "run.npz").stat().st_mode == (tmp_path / "other").stat().st_mode


def test_interrupted_save_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "run.npz"
    old, new = run(range(4)), run(range(5))
    old.save(path)

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        new.save(path)
    assert same(vgsim.load(path), old)
    assert os.listdir(tmp_path) == ["run.npz"]


def test_killed_save_leaves_the_old_file(tmp_path):
    path = tmp_path / "run.npz"
    old = run()
    old.save(path)
    script = (
        "import os, sys, vgsim\n"
        "s = vgsim.load(sys.argv[1])\n"
        "os.replace = lambda *_: os.kill(os.getpid(), 9)\n"
        "s.elapsed = 9.0\n"
        "s.save(sys.argv[1])\n"
    )
    assert subprocess.run([sys.executable, "-c", script, str(path)], check=False).returncode == -9
    assert vgsim.load(path).elapsed == old.elapsed


def test_saving_nowhere_is_an_oserror(tmp_path):
    with pytest.raises(FileNotFoundError):
        run().save(tmp_path / "no" / "run.npz")


def test_truncated_files_are_refused(tmp_path):
    path = tmp_path / "run.npz"
    run().save(path)
    whole = path.read_bytes()
    for part in range(0, len(whole), 97):
        path.write_bytes(whole[:part])
        with pytest.raises(ValueError, match=r"run\.npz is damaged, or not an \.npz file"):
            vgsim.load(path)


def test_flipped_bytes_are_found_or_harmless(tmp_path, rng):
    path = tmp_path / "run.npz"
    s = run(dead=[2])
    s.save(path)
    whole = path.read_bytes()
    found = harmless = 0
    for position in rng.integers(len(whole), size=300):
        flipped = bytearray(whole)
        flipped[position] ^= rng.integers(1, 256)
        path.write_bytes(flipped)
        try:
            loaded = vgsim.load(path)
        except ValueError as error:
            found += str(error).startswith(str(path))
        else:
            harmless += same(loaded, s)
    assert found + harmless == 300
    assert found > 100


def _foreign(path, kind):
    if kind == "text":
        path.write_text("index,gradient\n0,1\n")
    elif kind == "one array":
        with open(path, "wb") as file:
            np.save(file, np.zeros(3))
    elif kind == "pickle":
        np.savez(path, header=np.array([{"format": "vgsim.Samples"}], dtype=object))
    elif kind == "other arrays":
        np.savez(path, x=np.zeros(3))
    elif kind == "other header":
        np.savez(path, header=np.arange(3))
    elif kind == "number":
        np.savez(path, header=np.array("3"))
    elif kind == "newer":
        npz.write(path, KIND, {"version": npz.VERSION + 1}, {})
    else:
        npz.write(path, {"replay": "vgsim.Replay"}.get(kind, KIND), {}, {})


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("text", "is damaged, or not an .npz file of vgsim"),
        ("one array", "is damaged, or not an .npz file of vgsim"),
        ("pickle", "is damaged, or not an .npz file of vgsim"),
        ("other arrays", "is damaged, or not an .npz file of vgsim"),
        ("other header", "is damaged, or not an .npz file of vgsim"),
        ("number", "is damaged, or not an .npz file of vgsim"),
        ("newer", f"has format version {npz.VERSION + 1}, this vgsim reads version {npz.VERSION}"),
        ("replay", "holds vgsim.Replay, not vgsim.Samples or vgsim.Study"),
        ("empty header", "does not hold consistent samples"),
    ],
)
def test_foreign_files_are_refused(tmp_path, kind, message):
    path = tmp_path / "x.npz"
    _foreign(path, kind)
    with pytest.raises(ValueError, match=r"x\.npz") as caught:
        vgsim.load(path)
    assert str(caught.value).startswith(f"{path} {message}")
    assert "\n" not in str(caught.value)


def test_a_failed_save_names_the_path_given(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        run().save(tmp_path / "no" / "run.npz")
    assert caught.value.filename == str(tmp_path / "no" / "run.npz")


@pytest.mark.parametrize("path", [3, None, True, b"run.npz"])
def test_what_is_no_path_is_a_type_error(path):
    with pytest.raises(TypeError, match="path must be a string or a path, got"):
        run().save(path)
    with pytest.raises(TypeError, match="path must be a string or a path, got"):
        vgsim.load(path)


@pytest.mark.parametrize("path", ["", ".", "..", "folder"])
def test_a_folder_is_no_file(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    with pytest.raises(ValueError, match="path must name a file, got"):
        run().save(path)
    assert os.listdir(tmp_path) == ["folder"]


@pytest.mark.parametrize("what", ["samples", "study"])
def test_files_of_another_stream_version_are_refused(what, tmp_path):
    path, network = tmp_path / "old.npz", vgsim.MLP(3, 4)
    if what == "samples":
        made = vgsim.simulate(network, 5)
    else:
        made = vgsim.collect([network], max_samples=1000)
    made.provenance["stream_version"] = "1"
    made.save(path)
    with pytest.raises(ValueError, match="has samples of stream version 1") as caught:
        vgsim.load(path)
    assert str(caught.value).startswith(f"{path} has samples of stream version 1, made by vgsim ")
    assert str(caught.value).endswith("use the vgsim that made it")


def test_samples_without_a_stream_are_read(tmp_path):
    """Their provenance says nothing of a stream version: they may come from another program."""
    made = run()
    assert "stream_version" not in made.provenance
    made.save(tmp_path / "other.npz")
    assert same(vgsim.load(tmp_path / "other.npz"), made)


def test_correlations_of_one_column_are_refused(tmp_path):
    changed(run(record=RECORDS), batch_size=1).save(tmp_path / "run.npz")
    with pytest.raises(ValueError, match="'activation_correlation' is over pairs of columns"):
        vgsim.load(tmp_path / "run.npz")
