"""Networks, data and optimisers of the trainings that are repeated step by step in PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import vgsim
from vgsim import (
    GRU,
    LSTM,
    MLP,
    RNN,
    Attention,
    ClipNorm,
    ClipValue,
    Dropout,
    Gate,
    Highway,
    Linear,
    Norm,
    Residual,
    Sequential,
    Skip,
)

ROWS, BATCH, STEPS = 40, 8, 50
RECORDED = (0, 25, 49)


@dataclass(frozen=True, kw_only=True)
class Optimizer:
    """The arguments of vgsim.train, made with optax, and the optimiser of PyTorch."""

    optax: Callable[[Any], Mapping[str, Any]]
    torch: Callable[[Any], Callable]


def sgd(rate, **more):
    """Return gradient descent without further state."""
    return Optimizer(
        optax=lambda _: {"optimizer": "sgd", "learning_rate": rate},
        torch=lambda torch: lambda p: torch.optim.SGD(p, rate),
    )


def momentum(rate):
    """Return gradient descent with momentum 0.9, by its name."""
    return Optimizer(
        optax=lambda _: {"optimizer": "momentum", "learning_rate": rate},
        torch=lambda torch: lambda p: torch.optim.SGD(p, rate, momentum=0.9),
    )


def adam(rate):
    """Return Adam, by its name."""
    return Optimizer(
        optax=lambda _: {"optimizer": "adam", "learning_rate": rate},
        torch=lambda torch: lambda p: torch.optim.Adam(p, rate),
    )


NESTEROV = Optimizer(
    optax=lambda optax: {"optimizer": optax.sgd(0.05, momentum=0.8, nesterov=True)},
    torch=lambda torch: lambda p: torch.optim.SGD(p, 0.05, momentum=0.8, nesterov=True),
)
DECAY = Optimizer(
    optax=lambda optax: {
        "optimizer": optax.chain(optax.add_decayed_weights(0.05), optax.sgd(0.05, momentum=0.9))
    },
    torch=lambda torch: lambda p: torch.optim.SGD(p, 0.05, momentum=0.9, weight_decay=0.05),
)
ADAMW = Optimizer(
    optax=lambda optax: {"optimizer": optax.adamw(3e-3, weight_decay=0.1)},
    torch=lambda torch: lambda p: torch.optim.AdamW(p, 3e-3, weight_decay=0.1),
)


@dataclass(frozen=True, kw_only=True)
class Case:
    """A training; `clip` is that of the gradient of all weights. `sequences`: X drives the cell."""

    network: vgsim.MLP | vgsim.Sequential | vgsim.RNN | vgsim.LSTM | vgsim.GRU
    optimizer: Optimizer
    loss: str = "cross_entropy"
    clip: ClipNorm | ClipValue | None = None
    biases: bool = True
    sequences: bool = False
    batch: int = BATCH
    classes_of_tokens: bool = field(default=False)

    def data(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Draw rows, and their classes or targets."""
        net, tokens = self.network, self.network.tokens
        leading = (ROWS, tokens) if tokens > 1 else (ROWS,)
        between = (net.depth,) if self.sequences else ()
        X = rng.normal(size=(*leading, *between, net.width_at(0)))
        if self.loss == "mse":
            return X, rng.normal(size=(*leading, net.width_at(net.depth)))
        shape = leading if self.classes_of_tokens else leading[:1]
        return X, rng.integers(0, net.width_at(net.depth), shape)


LAYER, RMS, BATCH_NORM = (Norm(kind) for kind in ("layer", "rms", "batch"))
NARROW = [6, 9, 8, 7, 6, 5, 4]

CASES = {
    "sgd": Case(network=MLP(6, NARROW), optimizer=sgd(0.2), loss="mse"),
    "momentum, ReLU": Case(
        network=MLP(6, NARROW, activation="relu", init="he_normal", bias_std=0.1),
        optimizer=momentum(0.02),
    ),
    "Nesterov, read-out": Case(
        network=Sequential(6, [Linear(9), "tanh", Linear(7, bias_std=0.2), "relu", Linear(4)]),
        optimizer=NESTEROV,
    ),
    "Adam": Case(network=MLP(4, NARROW[:5], activation="sigmoid"), optimizer=adam(0.01)),
    "AdamW": Case(network=MLP(5, NARROW[:6], bias_std=0.3), optimizer=ADAMW, loss="mse"),
    "weight decay": Case(network=MLP(5, 6), optimizer=DECAY),
    "clip norm": Case(
        network=MLP(5, 12, activation="relu", init="he_normal", gain=1.3),
        optimizer=momentum(0.02),
        clip=ClipNorm(0.5),
    ),
    "clip value": Case(
        network=MLP(6, NARROW, gain=1.5), optimizer=sgd(0.5), clip=ClipValue(0.02), loss="mse"
    ),
    "clipped states": Case(
        network=MLP(6, NARROW, clip=ClipNorm(0.05)), optimizer=adam(0.01), clip=ClipNorm(0.1)
    ),
    "biases fixed": Case(
        network=MLP(5, NARROW[:6], bias_std=0.5), optimizer=DECAY, biases=False, loss="mse"
    ),
    "no biases": Case(
        network=MLP(4, 6), optimizer=momentum(0.1), biases=False, clip=ClipValue(0.01)
    ),
    "batch norm": Case(
        network=Sequential(6, [Linear(8), BATCH_NORM, "tanh"] * 4 + [Linear(4)]),
        optimizer=momentum(0.02),
    ),
    "batch norm, MLP": Case(
        network=MLP(4, 6, activation="relu", norm="batch"), optimizer=adam(0.01), loss="mse"
    ),
    "layer norm": Case(network=MLP(6, 7, activation="relu", norm="layer"), optimizer=sgd(0.1)),
    "RMS norm": Case(
        network=Sequential(6, [RMS, Linear(8), "tanh"] * 4 + [Linear(4)]), optimizer=adam(0.01)
    ),
    "dropout": Case(
        network=Sequential(6, [Linear(9), "relu", Dropout(0.3)] * 4 + [Linear(4)]),
        optimizer=momentum(0.02),
    ),
    "skips": Case(
        network=Sequential(
            6, [Linear(8), *[Skip([LAYER, Linear(12), "relu", Linear(8)], branch=0.7)] * 4]
        ),
        optimizer=momentum(0.02),
        clip=ClipNorm(1.0),
    ),
    "residual": Case(
        network=MLP(6, 8, activation="relu", residual=Residual(2, style="post")),
        optimizer=momentum(0.01),
    ),
    "residual, pre": Case(
        network=MLP(6, 8, activation="relu", norm="layer", residual=Residual(3, style="pre")),
        optimizer=ADAMW,
        loss="mse",
    ),
    "Highway": Case(network=MLP(8, 7, highway=Highway(-1.0)), optimizer=adam(0.01)),
    "gates": Case(
        network=Sequential(
            6,
            [
                Linear(8),
                *[Gate([Linear(), "tanh"], bias=-1.0)] * 3,
                Skip([Gate([Linear(bias_std=0.2), ["tanh", Linear()]])]),
                Linear(4),
            ],
        ),
        optimizer=DECAY,
    ),
    "attention": Case(
        network=Sequential(
            8,
            [
                Skip([LAYER, Attention(2, causal=True)]),
                Skip([LAYER, Linear(12), "tanh", Dropout(0.2), Linear(8)]),
            ]
            * 2
            + [Linear(4)],
            tokens=3,
        ),
        optimizer=adam(0.005),
        classes_of_tokens=True,
    ),
    "attention, biased": Case(
        network=Sequential(6, [Attention(3, bias_std=0.3), LAYER] * 3, tokens=4),
        optimizer=sgd(0.1),
        loss="mse",
    ),
    "LSTM": Case(network=LSTM(7, 6), optimizer=momentum(0.1)),
    "LSTM, clipped": Case(
        network=LSTM(7, 6, gain=2.0, clip=ClipNorm(0.02)), optimizer=adam(0.01), loss="mse"
    ),
    "LSTM, sequences": Case(
        network=LSTM(7, 6, bias_std=0.2), optimizer=adam(0.01), loss="mse", sequences=True
    ),
    "GRU": Case(network=GRU(7, 6), optimizer=momentum(0.1), clip=ClipNorm(0.3)),
    "GRU, bias inside": Case(
        network=GRU(6, 5, init="torch_recurrent"), optimizer=ADAMW, loss="mse"
    ),
    "RNN": Case(network=RNN(8, 6), optimizer=sgd(0.1)),
    "RNN, leaky": Case(
        network=RNN(8, 6, leak=0.4, bias_std=0.1), optimizer=momentum(0.05), loss="mse"
    ),
}


def initial_parameters(case: Case) -> dict[str, np.ndarray]:
    """Return the parameters of a replay, and zeros for biases that it does not have."""
    shapes = case.network.to_jax(biases=case.biases).shapes
    drawn = vgsim.replay(case.network, 3, batch_size=2).parameters
    return {name: drawn.get(name, np.zeros(shape)) for name, shape in shapes.items()}
