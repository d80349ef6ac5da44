"""Freeze what PyTorch's own recurrent cells say: LSTMCell, GRUCell, RNNCell, by autograd.

Run ``python tests/oracle/make_cells.py`` to write cells.npz again; it takes some minutes. Nothing
of vgsim is used here. Without PyTorch this file can still be imported, to read what is frozen:

- for each of CASES, given arrays and all quantities that `vgsim.evaluate` returns;
- for each of LAWS, log10 ‖G_0‖/‖G_D‖ and log10 ‖∂L/∂W‖ of NETWORKS random networks, sorted.

The gradient by the state is propagated step by step, each by a gradient of its own through one
call of the cell: so h and c of an LSTM are independent variables, and clipping is between steps.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np

FROZEN = Path(__file__).with_name("cells.npz")
GATES = {"lstm": 4, "gru": 3, "rnn": 1}
LOGARITHMIC = ("gradient", "weight_gradient", "update_ratio", "activation")
QUANTITIES = (
    *LOGARITHMIC,
    *("saturation", "clipped", "activation_correlation", "gradient_correlation"),
)
NETWORKS = 4000


@dataclass(frozen=True, kw_only=True)
class Case:
    """A cell and how it is run. `std`, `bias` and `shift` are for the arrays drawn here."""

    kind: str
    steps: int = 7
    n: int = 5
    batch: int = 3
    driven: bool = True
    biased: bool = True
    hidden_bias: bool = False
    zeros: bool = False
    clip: tuple[str, float] | None = None
    leak: float = 1.0
    loss: str = "linear"
    std: float = 1.3
    shift: float = 0.0

    def arrays(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Draw all arrays; examples are columns."""
        n, rows = self.n, GATES[self.kind] * self.n
        found = {
            "inputs": rng.normal(size=(n, self.batch)) * (not self.zeros),
            "target": rng.normal(size=(n, self.batch)),
            "weight": self.std / math.sqrt(n) * rng.normal(size=(rows, n)),
        }
        if self.biased:
            found["bias"] = 0.4 * rng.normal(size=rows) + self.shift
        if self.hidden_bias:
            found["hidden_bias"] = 0.5 * rng.normal(size=n)
        if self.driven:
            found["input_weight"] = 0.6 / math.sqrt(n) * rng.normal(size=(rows, n))
            found["drive"] = rng.normal(size=(self.steps, n, self.batch))
        return found


# fmt: off
CASES = {
    "lstm": Case(kind="lstm"),
    "lstm, one example": Case(kind="lstm", batch=1, steps=12, driven=False, shift=1.0),
    "lstm, saturated": Case(kind="lstm", std=15.0, loss="mse"),
    "lstm, zeros": Case(kind="lstm", zeros=True, loss="cross_entropy"),
    "lstm, zero state and drive": Case(kind="lstm", zeros=True, driven=False, biased=True),
    "lstm, clipped norm": Case(kind="lstm", clip=("norm", 0.3), steps=12, std=8.0, shift=0.5),
    "lstm, clipped values": Case(kind="lstm", clip=("value", 0.1), steps=12, std=8.0, shift=0.5),
    "gru": Case(kind="gru"),
    "gru, bias inside": Case(kind="gru", hidden_bias=True, loss="mse"),
    "gru, one example": Case(kind="gru", batch=1, driven=False, steps=12, loss="cross_entropy"),
    "gru, clipped norm": Case(kind="gru", clip=("norm", 0.5), steps=12, std=7.0),
    "gru, clipped values": Case(kind="gru", clip=("value", 0.1), steps=12, std=5.0, zeros=True),
    "leaky rnn": Case(kind="rnn", leak=0.3),
    "leaky rnn, clipped norm": Case(kind="rnn", leak=0.7, clip=("norm", 0.5), std=5.0, steps=12),
    "leaky rnn, no drive": Case(kind="rnn", leak=0.05, driven=False, biased=False, batch=1),
}
# fmt: on


def reference(case: Case, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Every quantity of `vgsim.evaluate`: norms, not their logarithms; and output_gradient."""
    import torch
    from torch import nn
    from torch.nn import functional as F

    n, a = case.n, {name: torch.tensor(array) for name, array in arrays.items()}
    cell = _cell(case.kind, n)
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter.zero_()
        cell.weight_hh.copy_(a["weight"])
        if case.biased:  # one half in each of PyTorch's two biases, where their sum counts
            half = a["bias"].clone()
            cell.bias_hh.copy_(half / 2)
            cell.bias_ih.copy_(half / 2)
            if case.kind == "gru":
                cell.bias_ih[2 * n :] = a["bias"][2 * n :]
                cell.bias_hh[2 * n :] = a["hidden_bias"] if case.hidden_bias else 0.0
        if case.driven:
            cell.weight_ih.copy_(a["input_weight"])
    drive = a["drive"].transpose(1, 2) if case.driven else torch.zeros(case.steps, case.batch, n)
    target = a["target"].T

    def output_gradient(h: torch.Tensor) -> torch.Tensor:
        h = h.detach().requires_grad_()
        loss = {
            "linear": lambda: (h * target).sum(),
            "mse": lambda: 0.5 * (h - target).square().sum(),
            "cross_entropy": lambda: F.cross_entropy(h, target.argmax(1), reduction="sum"),
        }[case.loss]()
        return torch.autograd.grad(loss, h)[0]

    found = _passes(cell, a["inputs"].T, drive.double(), output_gradient, case.clip, case.leak)
    h = [state[0] for state in found["states"]]

    def saturated(s: torch.Tensor, state: tuple[torch.Tensor, ...]) -> float:
        hidden = nn.functional.linear(state[0], cell.weight_hh, cell.bias_hh)
        outer = nn.functional.linear(s, cell.weight_ih, cell.bias_ih)
        if case.kind == "rnn":
            slopes = [1 - torch.tanh(hidden + outer) ** 2]
        else:
            *gates, last = zip(
                hidden.chunk(GATES[case.kind], 1), outer.chunk(GATES[case.kind], 1), strict=True
            )
            sums = [x + y for x, y in gates]
            if case.kind == "gru":
                candidate = last[1] + torch.sigmoid(sums[0]) * last[0]
            else:
                i, f, candidate = sums
                sums = [i, f, last[0] + last[1]]
                c = torch.sigmoid(f) * state[1] + torch.sigmoid(i) * torch.tanh(candidate)
            slopes = [4 * torch.sigmoid(x) * torch.sigmoid(-x) for x in sums]
            slopes += [1 - torch.tanh(candidate) ** 2]
            slopes += [1 - torch.tanh(c) ** 2] if case.kind == "lstm" else []
        return (torch.cat(slopes, 1) < 0.05).double().mean().item()

    with torch.no_grad():
        saturation = [
            saturated(s, x) for s, x in zip(drive.double(), found["states"][:-1], strict=True)
        ]
    W = found["weight_gradient"].norm().item()
    return {
        "output_gradient": found["gradients"][-1][0].T.numpy(),
        "gradient": np.array([_norm(state).item() for state in found["gradients"]]),
        "weight_gradient": np.array([W]),
        "update_ratio": np.array([W / a["weight"].norm().item()]),
        "activation": np.array([x.square().mean().sqrt().item() for x in h]),
        "saturation": np.array(saturation),
        "clipped": np.array(found["clipped"]),
        "activation_correlation": np.array([_correlation(x) for x in h]),
        "gradient_correlation": np.array([_correlation(g) for g, *_ in found["gradients"]]),
    }


def _cell(kind, n):
    """PyTorch's cell with n inputs and n units, as PyTorch initialises it."""
    import torch
    from torch import nn

    kinds = {"lstm": nn.LSTMCell, "gru": nn.GRUCell, "rnn": nn.RNNCell}
    return kinds[kind](n, n, dtype=torch.float64)


def _norm(state):
    """The norm over all registers of a state."""
    import torch

    return torch.stack([part.norm() for part in state]).norm()


def _correlation(x) -> float:
    """Mean cosine of the pairs of rows that are not zero, 0 if there is none."""
    import torch

    rows = [row for row in x if row.any()]
    cosines = [torch.cosine_similarity(a, b, dim=0, eps=0) for a, b in combinations(rows, 2)]
    return torch.stack(cosines).mean().item() if cosines else 0.0


def _passes(cell, x, drive, output_gradient, clip=None, leak=1.0):
    """Forward and backward: the states, the clipped gradients by them, and ∂L/∂weight_hh."""
    import torch
    from torch import nn

    def step(s, state):
        if isinstance(cell, nn.LSTMCell):
            return cell(s, state)
        y = cell(s, state[0])
        return ((1 - leak) * state[0] + leak * y,)

    def clipped(state):
        if clip is None:
            return state, 0.0
        by, bound = clip
        if by == "value":
            entries = torch.cat(state).abs() > bound
            return tuple(g.clamp(-bound, bound) for g in state), entries.double().mean().item()
        size = _norm(state)
        factor = torch.clamp(bound / size, max=1.0)
        return tuple(factor * g for g in state), float(size > bound)

    states = [(x, torch.zeros_like(x)) if isinstance(cell, nn.LSTMCell) else (x,)]
    with torch.no_grad():
        for s in drive:
            states.append(step(s, states[-1]))
    g = output_gradient(states[-1][0])
    gradients = [(g, *(torch.zeros_like(part) for part in states[-1][1:]))]
    fractions, total = [0.0], 0.0
    for s, state in zip(reversed(drive), reversed(states[:-1]), strict=True):
        before = [part.detach().requires_grad_() for part in state]
        found = torch.autograd.grad(step(s, before), [*before, cell.weight_hh], gradients[-1])
        total = total + found[-1]
        cut, fraction = clipped(found[:-1])
        gradients.append(cut)
        fractions.append(fraction)
    return {
        "states": states,
        "gradients": gradients[::-1],
        "weight_gradient": total,
        "clipped": fractions[::-1],
    }


@dataclass(frozen=True, kw_only=True)
class Law:
    """Random networks. Without `std` all parameters are as PyTorch initialises them.

    `std` and `input_std` are those of the entries of W and U times √n, `bias_std` that of the
    biases, to which `forget` or `update` is added in that gate; `chrono` is T of Tallec and
    Ollivier (2018).
    """

    kind: str
    steps: int = 30
    n: int = 14
    batch: int = 1
    std: float | None = 1.0
    input_std: float = 0.5
    bias_std: float = 0.0
    forget: float = 0.0
    update: float = 0.0
    chrono: float | None = None
    clip: tuple[str, float] | None = None
    leak: float = 1.0

    def draw(self):
        """Return a cell with random parameters."""
        import torch
        from torch import nn

        n, cell = self.n, _cell(self.kind, self.n)
        if self.std is None:
            return cell
        nn.init.normal_(cell.weight_hh, 0.0, self.std / math.sqrt(n))
        nn.init.normal_(cell.weight_ih, 0.0, self.input_std / math.sqrt(n))
        nn.init.zeros_(cell.bias_hh)
        nn.init.normal_(cell.bias_ih, 0.0, self.bias_std)
        gate = slice(n, 2 * n)  # f of an LSTM, z of a GRU
        with torch.no_grad():
            if self.kind != "rnn":
                cell.bias_ih[gate] += self.forget if self.kind == "lstm" else self.update
            if self.chrono is not None:
                u = torch.empty(n, dtype=torch.float64).uniform_(1, self.chrono - 1)
                cell.bias_ih[gate] += torch.log(u)
                cell.bias_ih[:n] = -cell.bias_ih[gate]
        return cell

    def sample(self) -> tuple[float, float]:
        """Return log10 ‖G_0‖/‖G_D‖ and log10 ‖∂L/∂W‖ of one network."""
        import torch

        shape, cell = (self.batch, self.n), self.draw()
        x, drive = torch.randn(*shape), torch.randn(self.steps, *shape)
        g = torch.randn(*shape).double()
        found = _passes(cell, x.double(), drive.double(), lambda h: g, self.clip, self.leak)
        ratio = _norm(found["gradients"][0]) / _norm(found["gradients"][-1])
        return math.log10(ratio), math.log10(found["weight_gradient"].norm())


LAWS = {
    "lstm": Law(kind="lstm", forget=1.0),
    "lstm, chrono": Law(kind="lstm", chrono=30.0, bias_std=0.2, n=12),
    "lstm, clipped": Law(kind="lstm", std=5.0, forget=0.5, clip=("norm", 1.5), n=12),
    "lstm, PyTorch's own": Law(kind="lstm", std=None, n=12),
    "gru": Law(kind="gru", std=1.5),
    "gru, update bias": Law(kind="gru", std=2.5, update=1.0, bias_std=0.3, batch=2, n=12),
    "gru, PyTorch's own": Law(kind="gru", std=None, n=12),
    "leaky rnn": Law(kind="rnn", std=1.6, leak=0.3, bias_std=0.1),
    "rnn, PyTorch's own": Law(kind="rnn", std=None, n=12, steps=15),
}


def main() -> None:
    import torch

    frozen: dict[str, np.ndarray] = {}
    for number, (name, case) in enumerate(CASES.items()):
        arrays = case.arrays(np.random.default_rng([4, number]))
        result = reference(case, arrays)
        frozen |= {f"{name}.{array}": value for array, value in (arrays | result).items()}
        ratio = result["gradient"][0] / result["gradient"][-1]
        print(f"{name:28} |G_0| / |G_D| = {ratio:.3e}, clipped {result['clipped'].mean():.2f}")
    torch.manual_seed(0)
    for name, law in LAWS.items():
        logs = np.array([law.sample() for _ in range(NETWORKS)])
        frozen[f"{name}.law"] = np.sort(logs, axis=0).astype(np.float32)
        print(f"{name:28} mean {logs.mean(0).round(3)}, std {logs.std(0).round(3)}", flush=True)
    np.savez_compressed(FROZEN, **frozen)
    print(f"{FROZEN.name}: {FROZEN.stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
