"""Trainings are unchanged after saving and loading, and other contents are refused."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import vgsim
from known_runs import run
from known_trainings import RECORDS, random_training, same, training
from vgsim._results import npz
from vgsim._results.training import TRAINING_KIND

TESTS = Path(__file__).parents[1]


@pytest.mark.parametrize("record", [RECORDS[:k] for k in range(1, len(RECORDS) + 1)])
def test_save_and_load(tmp_path, rng, record):
    path = tmp_path / "training.npz"
    t = random_training(rng, record=record, diverged=2)
    t.save(path)
    loaded = vgsim.load(path)
    assert same(t, loaded)
    assert (loaded.record, loaded.provenance, loaded.elapsed) == (record, t.provenance, 1.5)
    assert os.listdir(tmp_path) == ["training.npz"]
    assert same(vgsim.load(path, "training"), t)


@pytest.mark.parametrize(
    "changes",
    [
        {"network": vgsim.MLP(3, 4, norm="layer", activation="relu")},
        {"network": vgsim.Sequential(4, [vgsim.Linear(), "tanh", vgsim.Linear(bias_std=0.1)])},
        {"network": vgsim.LSTM(5, 4), "record": RECORDS[:-1]},
        {"seed": 2**200 + 1, "baseline": 0.0},
        {"setting": {"clip": {"kind": "ClipNorm", "max_norm": 1.0}, "learning_rate": None}},
        {"setting": {"more": [1, "a", None, {"b": 2.5}], "rows": None, "dtype": "float64"}},
        {"provenance": {"compiler": "gcc ‖∂L/∂W‖", "platform": "cpu"}},
        {"layers": ()},
    ],
)
def test_every_field_survives(tmp_path, rng, changes):
    changes = {"record": ("loss", "movement")} | changes
    t = random_training(rng, **changes)
    t.save(tmp_path / "training")
    loaded = vgsim.load(tmp_path / "training")
    assert same(t, loaded)
    assert loaded.network == t.network
    assert (loaded.setting, loaded.provenance) == (t.setting, t.provenance)


def test_biases_are_parameters(tmp_path):
    network = vgsim.MLP(2, [3, 4, 1])
    shapes = {"0.weight": (4, 3), "0.bias": (4,), "1.weight": (1, 4), "1.bias": (1,)}
    parameters = {name: np.full((2, *shape), np.inf) for name, shape in shapes.items()}
    options = {"network": network, "setting": {"biases": True}}
    t = training([[1.0, 1.0]] * 2, parameters=parameters, **options)
    t.save(tmp_path / "a")
    assert vgsim.load(tmp_path / "a").parameters["1.bias"].shape == (2, 1)
    del parameters["0.bias"]
    with pytest.raises(ValueError, match="parameters must be 0.weight, 0.bias, 1.weight, 1.bias"):
        training([[1.0, 1.0]] * 2, parameters=parameters, **options)


def test_file_is_plain_numpy(tmp_path, rng):
    t = random_training(rng)
    t.save(tmp_path / "t.npz")
    with np.load(tmp_path / "t.npz", allow_pickle=False) as file:
        header = json.loads(file["header"].item())
        assert header["network"] == t.network.canonical_json()
        assert header["setting"] == t.setting
        np.testing.assert_array_equal(file["movement"], t.movement)
        np.testing.assert_array_equal(file["parameters.1.weight"], t.parameters["1.weight"])


def test_custom_activations_are_in_the_file(tmp_path):
    code = (
        f"import numpy as np, vgsim, sys; sys.path.insert(0, {str(TESTS)!r})\n"
        "from known_trainings import training\n"
        "tanh = {'function': np.tanh, 'derivative': lambda h: 1 - np.tanh(h) ** 2}\n"
        "phi = vgsim.Activation('custom', **tanh)\n"
        f"training([[1.0]], network=vgsim.MLP(3, 4, activation=phi)).save({str(tmp_path / 'a')!r})"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    network = vgsim.load(tmp_path / "a", "training").network
    assert network.activation.name == "custom"
    assert np.isfinite(vgsim.simulate(network, 3).gradient).all()


def test_kinds(tmp_path, rng):
    random_training(rng).save(tmp_path / "training")
    run().save(tmp_path / "samples")
    with pytest.raises(ValueError, match=r"holds vgsim\.Training, not vgsim\.Samples"):
        vgsim.load(tmp_path / "training", "samples")
    with pytest.raises(ValueError, match=r"holds vgsim\.Samples, not vgsim\.Training"):
        vgsim.load(tmp_path / "samples", "training")


FORGED = {
    "loss must not be NaN": ("loss", np.full((6, 5), np.nan)),
    "loss must have shape": ("loss", np.ones((6, 4))),
    "'loss' is unknown, or of another type: float32": ("loss", np.ones((6, 5), np.float32)),
    "'dead' is unknown": ("dead", np.ones((6, 5))),
    "movement must be inf where loss is inf": ("movement", np.zeros((6, 5, 3))),
    "steps must be increasing": ("steps", np.arange(5)),
    "'index' is unknown, or of another type: float64": ("index", np.arange(6.0)),
    "parameters must be": ("parameters.7.weight", np.ones((6, 4, 4))),
    r"parameters\['0.weight'\] must be float32 or float64": (
        "parameters.0.weight",
        np.ones((6, 4, 4), np.int64),
    ),
}


@pytest.mark.parametrize("message", FORGED)
def test_forged_arrays(tmp_path, rng, message):
    t = random_training(rng, diverged=2)
    name, array = FORGED[message]
    npz.write(tmp_path / "t", TRAINING_KIND, t._header(), t._members() | {name: array})
    with pytest.raises(ValueError, match=f"does not hold a consistent training: .*{message}"):
        vgsim.load(tmp_path / "t")


HEADERS = {
    "no 'seed'": lambda h: {k: v for k, v in h.items() if k != "seed"},
    "no 'setting'": lambda h: {k: v for k, v in h.items() if k != "setting"},
    "provenance must be strings": lambda h: h | {"provenance": {"a": 1}},
    "kind of network must be": lambda h: h | {"network": '{"kind":"X"}'},
    "its header differs": lambda h: h | {"more": 1},
    "its header differs from": lambda h: h | {"seed": True},
    "batch_size of setting must be an int": lambda h: (
        h | {"setting": h["setting"] | {"batch_size": "32"}}
    ),
}


@pytest.mark.parametrize("message", HEADERS)
def test_forged_headers(tmp_path, rng, message):
    t = random_training(rng)
    npz.write(tmp_path / "t", TRAINING_KIND, HEADERS[message](t._header()), t._members())
    with pytest.raises(ValueError, match=f"does not hold a consistent training: .*{message}"):
        vgsim.load(tmp_path / "t")


def test_damage_is_noticed(tmp_path, rng):
    random_training(rng).save(tmp_path / "t")
    content = bytearray((tmp_path / "t").read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "t").write_bytes(content)
    with pytest.raises(ValueError, match="is damaged"):
        vgsim.load(tmp_path / "t")
