"""The law of trained networks: against PyTorch's own random numbers, and simulate at step 0."""

import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

import vgsim
from vgsim import Attention, ClipNorm, Dropout, Gate, Linear, Norm, Sequential, Skip

sys.path.insert(0, str(Path(__file__).parents[1] / "oracle"))

from make_trainings import (
    BATCH,
    EVERY,
    FROZEN,
    GATE_BIAS,
    LSTM_STEPS,
    NETWORKS,
    RATE,
    STEPS,
    data,
)

pytest.importorskip("jax")
pytest.importorskip("optax")

TRAINED = np.load(FROZEN)
LEAST = 1e-4  # p-value
INPUTS, WIDTH, CLASSES = 12, 16, 4


def stack(depth, init, *more):
    """Return a chain of layers with a linear read-out."""
    law = {"init": init}
    layers = [Linear(WIDTH, **law), *more] * depth
    return Sequential(INPUTS, [*layers, Linear(CLASSES, **law)])


TORCH = {"init": "torch_default"}
BLOCK = Skip([Norm("layer"), Linear(24, **TORCH), "relu", Linear(WIDTH, **TORCH)])
MOMENTUM = {"optimizer": "momentum", "learning_rate": 0.02}

# name: (network, arguments of train); the same as KINDS of make_trainings.py
KINDS = {
    "tanh": (stack(6, "torch_default", "tanh"), {"optimizer": "sgd", "learning_rate": 0.5}),
    "relu": (stack(8, "he_normal", "relu"), MOMENTUM),
    "batch norm": (
        stack(5, "torch_default", Norm("batch"), "relu"),
        {"optimizer": "sgd", "learning_rate": 0.1},
    ),
    "layer norm": (
        stack(6, "he_normal", Norm("layer"), "gelu"),
        {"optimizer": "adam", "learning_rate": 3e-3},
    ),
    "residual": (
        Sequential(INPUTS, [Linear(WIDTH, **TORCH), *[BLOCK] * 4, Linear(CLASSES, **TORCH)]),
        {"optimizer": "sgd", "learning_rate": 0.1, "clip": ClipNorm(0.5)},
    ),
    "highway": (
        Sequential(
            INPUTS,
            [Linear(WIDTH), *[Gate([Linear(), "tanh"], bias=GATE_BIAS)] * 6, Linear(CLASSES)],
        ),
        {"optimizer": "adam", "learning_rate": 5e-3},
    ),
    "dropout": (stack(4, "he_normal", "relu", Dropout(RATE)), MOMENTUM),
    "lstm": (
        vgsim.LSTM(LSTM_STEPS, INPUTS, init="torch_recurrent", input_std=3**-0.5),
        {"optimizer": "adam", "learning_rate": 0.01, "loss": "mse"},
    ),
}


def test_what_is_frozen():
    quantities = {"loss": 3, "movement": 2, "ratio": 2}
    assert {*TRAINED.files} == {f"{name}.{quantity}" for name in KINDS for quantity in quantities}
    for key in TRAINED.files:
        quantity = key.split(".")[1]
        columns = 1 if key == "lstm.movement" else quantities[quantity]
        assert TRAINED[key].shape == (NETWORKS, columns)
        assert not np.isnan(TRAINED[key]).any()
    learnt = [np.median(TRAINED[f"{name}.loss"], axis=0) for name in KINDS]
    assert sum(loss[-1] < 0.9 * loss[0] for loss in learnt) >= 6


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_has_the_law_of_pytorch(name, seed):
    net, arguments = KINDS[name]
    X, classes, targets = data()
    trained = vgsim.train(
        net,
        NETWORKS,
        data=(X, targets if arguments.get("loss") == "mse" else classes),
        steps=STEPS,
        every=EVERY,
        batch_size=BATCH,
        seed=seed,
        layers=[0],
        record=("gradient", "movement"),
        **arguments,
    )
    assert trained.steps.tolist() == [0, 20, 40, 60]
    found = {
        "loss": trained.loss[:, [0, 1, 3]],
        "movement": trained.movement[:, -1, [0, -1] if len(trained.weight_layers) > 1 else [0]],
        "ratio": trained.log10_ratio[:, [0, -1], 0],
    }
    for quantity, values in found.items():
        expected = TRAINED[f"{name}.{quantity}"]
        assert values.shape == expected.shape
        for column, frozen in zip(values.T, expected.T, strict=True):
            assert stats.ks_2samp(column, frozen).pvalue > LEAST, quantity


# name: (network, number of examples); the law of simulate holds at step 0
AT_FIRST = {
    "tanh": (vgsim.MLP(8, 10), 4),
    "relu, biased": (vgsim.MLP(6, [9, 12, 12, 12, 12, 12, 5], activation="relu", bias_std=0.3), 1),
    "batch norm": (Sequential(8, [Linear(10), Norm("batch"), "relu"] * 4 + [Linear(6)]), 5),
    "clipped": (vgsim.MLP(8, 10, gain=2.0, clip=ClipNorm(0.3)), 1),
    "attention": (
        Sequential(
            8, [Skip([Norm("layer"), Attention(2, causal=True)])] * 3 + [Linear(4)], tokens=3
        ),
        2,
    ),
    "dropout": (Sequential(8, [Linear(), "tanh", Dropout(0.3)] * 4), 3),
    "gru": (vgsim.GRU(10, 8, gain=2.0), 2),
}


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["cross_entropy", "mse"])
@pytest.mark.parametrize("name", AT_FIRST)
def test_begins_with_the_law_of_simulate(name, loss, seed):
    """Gradients of the mean over the columns are smaller by their number than those of the sum."""
    net, examples = AT_FIRST[name]
    columns = examples * net.tokens
    rng = np.random.default_rng([8, seed])
    leading = (20_000, net.tokens) if net.tokens > 1 else (20_000,)
    X = rng.normal(size=(*leading, net.width_at(0)))
    n = net.width_at(net.depth)
    y = rng.integers(0, n, leading) if loss == "cross_entropy" else rng.normal(size=(*leading, n))
    where = {"layers": [0, net.depth // 2], "batch_size": examples, "loss": loss, "seed": seed}
    trained = vgsim.train(
        net,
        1000,
        data=(X, y),
        steps=1,
        optimizer="sgd",
        learning_rate=0.1,
        record=("gradient", "activation"),
        **where,
    )
    simulated = vgsim.simulate(net, 4000, record=("gradient", "activation"), **where)
    shift = 0.0 if net.clip else np.log10(columns)
    found = {
        "log10_ratio": trained.log10_ratio[:, 0],
        "gradient": trained.gradient[:, 0] + shift,
        "output_gradient": trained.output_gradient + np.log10(columns),
        "activation": trained.activation[:, 0],
    }
    for quantity, values in found.items():
        expected = getattr(simulated, quantity).reshape(4000, -1)
        for column, other in zip(values.T, expected.T, strict=True):
            both = np.round(column, 5), np.round(other, 5)  # clipped norms differ by rounding
            assert stats.ks_2samp(*both).pvalue > LEAST, quantity
