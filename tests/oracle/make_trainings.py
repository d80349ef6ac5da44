"""Freeze what training does to networks that PyTorch draws and trains with its own generator.

Run ``python tests/oracle/make_trainings.py`` to write trainings.npz again; it takes some minutes.
Nothing of vgsim is used here. Without PyTorch this file can still be imported, to read what is
frozen: for each of KINDS, of NETWORKS networks, one sorted column a quantity:

    loss       the loss of the minibatches of steps RECORDED
    movement   log10 ‖W − W_0‖/‖W_0‖ of the first and of the last matrix, after all updates
    ratio      log10 ‖G_0‖/‖G_D‖ at the first and at the last step; G_0 of an LSTM is by h and c

The networks are built of PyTorch's modules, trained one by one in float32, each on minibatches of
``torch.randperm``. An LSTM's second bias is drawn by PyTorch and not trained, as it would double
the step of their sum.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

FROZEN = Path(__file__).with_name("trainings.npz")
NETWORKS, STEPS, EVERY, BATCH = 600, 61, 20, 32
RECORDED = (0, 20, 60)
ROWS, INPUTS, WIDTH, CLASSES = 256, 12, 16, 4
PRIMES = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37)
LSTM_STEPS, GATE_BIAS, RATE = 8, -1.0, 0.2


def data() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return rows X, their classes, and targets for "mse", by closed formulas."""
    i = np.arange(1.0, ROWS + 1)[:, None]
    X = math.sqrt(12) * ((i * np.sqrt(PRIMES)) % 1.0 - 0.5)
    k, j = np.ogrid[1.0 : CLASSES + 1, 1.0 : INPUTS + 1]
    score = X @ np.cos(1.7 * k * j).T + (X * np.roll(X, 1, axis=1)) @ np.sin(2.3 * k * j).T
    return X, score.argmax(axis=1), 0.8 * np.sin(X + np.roll(X, 3, axis=1))


@dataclass(frozen=True, kw_only=True)
class Kind:
    """How networks of one kind are drawn and trained."""

    build: Callable
    optimizer: Callable
    loss: str = "cross_entropy"
    clip: float | None = None


def _linear(m, n, init="torch_default"):
    """Return a linear map with a bias, which is zero unless it has PyTorch's law."""
    from torch import nn

    layer = nn.Linear(m, n)
    if init == "torch_default":
        return layer
    if init == "he_normal":
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    else:
        nn.init.normal_(layer.weight, 0.0, 1.0 / math.sqrt(m))
    nn.init.zeros_(layer.bias)
    return layer


def _stack(depth, init, more):
    """Return a chain of layers, each with the modules of `more` after the linear map."""
    from torch import nn

    layers = []
    for l in range(depth):
        layers += [_linear(WIDTH if l else INPUTS, WIDTH, init), *more(nn)]
    return nn.Sequential(*layers, _linear(WIDTH, CLASSES, init))


def _residual():
    """Return blocks x + W_2 relu(W_1 layer_norm(x))."""
    from torch import nn

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.branch = nn.Sequential(
                nn.LayerNorm(WIDTH, elementwise_affine=False),
                _linear(WIDTH, 24),
                nn.ReLU(),
                _linear(24, WIDTH),
            )

        def forward(self, x):
            return x + self.branch(x)

    blocks = [Block() for _ in range(4)]
    return nn.Sequential(_linear(INPUTS, WIDTH), *blocks, _linear(WIDTH, CLASSES))


def _highway():
    """Return layers T tanh(W x + b) + (1 − T) x with T = σ(W_T x + GATE_BIAS)."""
    import torch
    from torch import nn

    class Layer(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = _linear(WIDTH, WIDTH, "lecun_normal")
            self.gate = nn.Linear(WIDTH, WIDTH, bias=False)
            nn.init.normal_(self.gate.weight, 0.0, 1.0 / math.sqrt(WIDTH))

        def forward(self, x):
            T = torch.sigmoid(self.gate(x) + GATE_BIAS)
            return T * torch.tanh(self.layer(x)) + (1 - T) * x

    layers = [Layer() for _ in range(6)]
    ends = [_linear(INPUTS, WIDTH, "lecun_normal"), _linear(WIDTH, CLASSES, "lecun_normal")]
    return nn.Sequential(ends[0], *layers, ends[1])


def _lstm():
    """Return an LSTM that starts from h_0 = x and takes a new random drive at every step."""
    import torch
    from torch import nn

    class Steps(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell = nn.LSTMCell(INPUTS, INPUTS)
            self.cell.bias_hh.requires_grad_(False)

        def forward(self, x):
            self.c_0 = torch.zeros_like(x, requires_grad=True)
            h, c = x, self.c_0
            for _ in range(LSTM_STEPS):
                h, c = self.cell(torch.randn_like(x), (h, c))
            return h

    return Steps()


def _sgd(rate, **more):
    import torch

    return lambda parameters: torch.optim.SGD(parameters, rate, **more)


def _adam(rate):
    import torch

    return lambda parameters: torch.optim.Adam(parameters, rate)


KINDS = {
    "tanh": Kind(
        build=lambda: _stack(6, "torch_default", lambda nn: [nn.Tanh()]),
        optimizer=lambda: _sgd(0.5),
    ),
    "relu": Kind(
        build=lambda: _stack(8, "he_normal", lambda nn: [nn.ReLU()]),
        optimizer=lambda: _sgd(0.02, momentum=0.9),
    ),
    "batch norm": Kind(
        build=lambda: _stack(
            5, "torch_default", lambda nn: [nn.BatchNorm1d(WIDTH, affine=False), nn.ReLU()]
        ),
        optimizer=lambda: _sgd(0.1),
    ),
    "layer norm": Kind(
        build=lambda: _stack(
            6, "he_normal", lambda nn: [nn.LayerNorm(WIDTH, elementwise_affine=False), nn.GELU()]
        ),
        optimizer=lambda: _adam(3e-3),
    ),
    "residual": Kind(build=_residual, optimizer=lambda: _sgd(0.1), clip=0.5),
    "highway": Kind(build=_highway, optimizer=lambda: _adam(5e-3)),
    "dropout": Kind(
        build=lambda: _stack(4, "he_normal", lambda nn: [nn.ReLU(), nn.Dropout(RATE)]),
        optimizer=lambda: _sgd(0.02, momentum=0.9),
    ),
    "lstm": Kind(build=_lstm, optimizer=lambda: _adam(0.01), loss="mse"),
}


def trained(kind: Kind) -> dict[str, list[float]]:
    """Draw and train one network."""
    import torch
    from torch.nn import functional as F

    X, classes, targets = data()
    X, classes = torch.tensor(X, dtype=torch.float32), torch.tensor(classes)
    targets = torch.tensor(targets, dtype=torch.float32)
    model = kind.build()
    parameters = [p for p in model.parameters() if p.requires_grad]
    lstm = kind.loss == "mse"
    ends = [model.cell.weight_hh] if lstm else [model[0].weight, model[-1].weight]
    first = [W.detach().clone() for W in ends]
    optimizer = kind.optimizer()(parameters)
    loss, ratio = [], []
    for t in range(STEPS):
        rows = torch.randperm(ROWS)[:BATCH]
        x = X[rows].requires_grad_()
        output = model(x)
        output.retain_grad()
        if lstm:
            value = 0.5 * (output - targets[rows]).square().sum(1).mean()
        else:
            value = F.cross_entropy(output, classes[rows])
        optimizer.zero_grad()
        value.backward()
        if t in RECORDED:
            loss.append(value.item())
            below = [x.grad, model.c_0.grad] if lstm else [x.grad]  # by h_0 and c_0
            ratio.append((torch.cat(below).norm() / output.grad.norm()).item())
        if kind.clip:
            torch.nn.utils.clip_grad_norm_(parameters, kind.clip)
        optimizer.step()
    movement = [
        ((W.detach() - W_0).norm() / W_0.norm()).item() for W, W_0 in zip(ends, first, strict=True)
    ]
    return {"loss": loss, "movement": movement, "ratio": [ratio[0], ratio[-1]]}


def main() -> None:
    import torch

    torch.set_num_threads(1)
    frozen: dict[str, np.ndarray] = {}
    for number, (name, kind) in enumerate(KINDS.items()):
        torch.manual_seed(1700 + number)
        found = [trained(kind) for _ in range(NETWORKS)]
        for quantity in found[0]:
            columns = np.array([one[quantity] for one in found])
            if quantity != "loss":
                with np.errstate(divide="ignore"):
                    columns = np.log10(columns)
            frozen[f"{name}.{quantity}"] = np.sort(columns, axis=0).astype(np.float32)
        medians = {q: frozen[f"{name}.{q}"][NETWORKS // 2].round(3).tolist() for q in found[0]}
        print(f"{name:12} {medians}", flush=True)
    np.savez_compressed(FROZEN, **frozen)
    print(f"{FROZEN.name}: {FROZEN.stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
