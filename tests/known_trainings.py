"""Trainings made of given or random arrays, without any network being trained."""

from __future__ import annotations

import numpy as np

import vgsim

SETTING = {
    "steps": 100,
    "optimizer": "sgd",
    "learning_rate": 0.1,
    "batch_size": 32,
    "loss": "cross_entropy",
    "clip": None,
    "biases": False,
    "initial": "drawn",
    "data": "sha256:" + "ab" * 32,
    "rows": 1797,
    "dtype": "float32",
}
RECORDS = (
    "loss",
    "accuracy",
    "gradient",
    "activation",
    "weight_gradient",
    "update_ratio",
    "movement",
    "parameters",
)
NETWORK = vgsim.MLP(3, 4)


def training(loss, *, network=NETWORK, layers=(), first=0, steps=None, baseline=2.0, **others):
    """Return the training with these losses (n, k), recorded at k evenly spaced steps."""
    loss = np.asarray(loss, dtype=np.float64)
    steps = np.arange(loss.shape[1]) if steps is None else np.asarray(steps)
    setting = SETTING | {"steps": int(steps[-1]) + 1} | others.pop("setting", {})
    fields = {
        "seed": 0,
        "index": np.arange(first, first + len(loss)),
        "provenance": {"vgsim": "0"},
        "elapsed": 1.5,
    }
    return vgsim.Training(
        network,
        steps=steps,
        layers=np.array(layers, dtype=np.int64),
        setting=setting,
        baseline=baseline,
        loss=loss,
        **(fields | others),
    )


def random_training(rng, n=6, k=5, *, network=NETWORK, record=RECORDS, diverged=0, **others):
    """Return a training of random arrays; the last `diverged` samples diverge at step 2."""
    layers = others.pop("layers", range(network.depth + 1))
    steps = others.pop("steps", 10 * np.arange(k))
    d, w = len(layers), len(network.weight_places(np.arange(1, network.depth + 1)))
    gone = np.zeros((n, k), dtype=bool)
    gone[n - diverged :, 2:] = True
    arrays = {
        "accuracy": rng.uniform(size=(n, k)),
        "gradient": rng.normal(size=(n, k, d)),
        "activation": rng.normal(size=(n, k, d)),
        "weight_gradient": rng.normal(size=(n, k, w)),
        "update_ratio": rng.normal(size=(n, k, w)),
        "movement": rng.normal(size=(n, k, w)),
    }
    arrays = {name: array for name, array in arrays.items() if name in record}
    if "gradient" in record:
        arrays["output_gradient"] = rng.normal(size=(n, k))
    for name, array in arrays.items():
        array[gone] = 0.0 if name == "accuracy" else np.inf
    if "parameters" in record:
        shape = (n, network.width, network.width)
        names = [f"{l}.weight" for l in range(network.depth)]
        arrays["parameters"] = {name: rng.normal(size=shape) for name in names}
    loss = np.where(gone, np.inf, rng.exponential(size=(n, k)))
    return training(loss, network=network, layers=layers, steps=steps, **(arrays | others))


def same(a, b):
    """Whether two trainings are equal in everything but provenance and time."""
    ours, theirs = a._members(), b._members()
    return (
        a._identity() == b._identity()
        and ours.keys() == theirs.keys()
        and all(np.array_equal(ours[name], theirs[name], equal_nan=True) for name in ours)
    )
