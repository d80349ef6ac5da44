"""Freeze what PyTorch's autograd says about batches, normalisation, skips, gates and recurrence.

Run ``python tests/oracle/make_architectures.py`` to write architectures.npz again. Nothing of vgsim
is used here. Without PyTorch this file can still be imported, to read what is frozen.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

FROZEN = Path(__file__).with_name("architectures.npz")
LOGARITHMIC = ("gradient", "weight_gradient", "update_ratio", "activation")
QUANTITIES = (*LOGARITHMIC, "saturation", "clipped")


@dataclass(frozen=True, kw_only=True)
class Case:
    """A network and how it is run. A residual is (style, every, skip, branch)."""

    widths: tuple[int, ...]
    batch: int = 3
    activation: str = "tanh"
    biased: bool = True
    norm: str | None = None
    norm_eps: float = 1e-5
    residual: tuple[str, int, float, float] | None = None
    gate_bias: float | None = None
    clip: tuple[str, float] | None = None
    recurrent: bool = False
    driven: bool = False
    loss: str = "linear"
    std: float = 1.2

    @property
    def depth(self) -> int:
        """D."""
        return len(self.widths) - 1

    @property
    def shapes(self) -> dict[str, list[tuple[int, ...]]]:
        """The shapes of all arrays of the case, as vgsim.evaluate takes them."""
        pairs = [self.widths[:2]] if self.recurrent else list(pairwise(self.widths))
        n, m = self.widths[-1], self.widths[0]
        weights = [(n, m) for m, n in pairs]
        return {
            "weights": weights,
            "biases": [(n,) for _, n in pairs] if self.biased else [],
            "gate_weights": weights if self.gate_bias is not None else [],
            "input_weights": [(n, n)] if self.driven else [],
            "drive": [(self.depth, n, self.batch)] if self.driven else [],
            "inputs": [(m, self.batch)],
            "target": [(n, self.batch)],
        }

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """All numbers of the case, one after another."""
        scale = {"weights": self.std, "gate_weights": 1.0, "input_weights": 0.5}
        numbers = []
        for name, shapes in self.shapes.items():
            for shape in shapes:
                std = scale[name] / math.sqrt(shape[1]) if name in scale else 1.0
                numbers.append((0.3 if name == "biases" else std) * rng.normal(size=shape).ravel())
        return np.concatenate(numbers)

    def arrays(self, numbers: np.ndarray) -> dict[str, list[np.ndarray]]:
        """The arrays that these numbers are."""
        at, arrays = 0, {}
        for name, shapes in self.shapes.items():
            arrays[name] = []
            for shape in shapes:
                arrays[name].append(numbers[at : at + math.prod(shape)].reshape(shape))
                at += math.prod(shape)
        return arrays


def square(depth: int, n: int) -> tuple[int, ...]:
    """Equal widths."""
    return (n,) * (depth + 1)


PARAMETERS = {"sine": {"omega": 1.0}}  # with a larger frequency rounding errors grow

# fmt: off
CASES = {
    "batch": Case(widths=(4, 6, 5, 3, 5), loss="mse"),
    "batch_norm": Case(widths=(4, 6, 5, 3, 5), batch=4, norm="batch", activation="relu", std=1.5),
    "batch_norm_of_two": Case(widths=(4, 3, 5, 4), batch=2, norm="batch", norm_eps=0.3),
    "layer_norm": Case(widths=(4, 6, 5, 3, 5), norm="layer", activation="gelu"),
    "rms_norm": Case(widths=(4, 6, 5, 3, 5), batch=1, norm="rms", activation="silu", norm_eps=0.1),
    "activated": Case(widths=square(4, 4), residual=("activated", 1, 0.9, -0.5), batch=2),
    "linear": Case(widths=square(6, 4), residual=("linear", 3, 1.0, 0.7), activation="elu"),
    "post": Case(widths=square(4, 4), residual=("post", 2, 1.1, 0.6), norm="batch", batch=4,
                 activation="leaky_relu"),
    "pre": Case(widths=square(4, 4), residual=("pre", 2, 0.8, 1.2), norm="layer",
                activation="softplus", loss="cross_entropy"),
    "highway": Case(widths=square(4, 4), gate_bias=-1.0, clip=("value", 0.2), norm="batch"),
    "clip": Case(widths=square(6, 4), residual=("activated", 2, 1.0, 1.0), clip=("norm", 0.7)),
    "recurrent": Case(widths=square(6, 4), recurrent=True, driven=True, batch=2),
    "recurrent_clip": Case(widths=square(6, 4), recurrent=True, batch=2, activation="selu",
                           std=2.0, clip=("norm", 5.0), loss="mse"),
}
# fmt: on


def reference(case: Case, arrays: dict[str, list[np.ndarray]]) -> dict[str, np.ndarray]:
    """Every recorded quantity by autograd: norms, not their logarithms; and output_gradient."""
    import torch
    from torch.nn import functional as F

    phi = {
        "linear": lambda h: 1.0 * h,
        "relu": torch.relu,
        "leaky_relu": lambda h: F.leaky_relu(h, 0.01),
        "elu": F.elu,
        "selu": torch.selu,
        "gelu": F.gelu,
        "silu": F.silu,
        "softplus": lambda h: F.softplus(h, threshold=40.0),
        "sigmoid": torch.sigmoid,
        "tanh": torch.tanh,
        "hard_tanh": F.hardtanh,
        "erf": torch.erf,
        "softsign": F.softsign,
        "mish": F.mish,
        "relu6": F.relu6,
        "hard_sigmoid": lambda h: F.relu6(h + 3.0) / 6.0,
        "hard_swish": F.hardswish,
        "gelu_tanh": lambda h: F.gelu(h, approximate="tanh"),
        "sine": torch.sin,
    }[case.activation]

    def slope(h: torch.Tensor) -> torch.Tensor:
        h = h.detach().clone().requires_grad_()
        return torch.autograd.grad(phi(h).sum(), h)[0].abs()

    steepest = slope(torch.linspace(-6.0, 6.0, 240_001, dtype=torch.float64)).max()
    saturation = [0.0] * case.depth
    clipped = [0.0] * (case.depth + 1)

    class Clipped(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, l):
            ctx.l = l
            return x.view_as(x)

        @staticmethod
        def backward(ctx, g):
            if case.clip is None:
                return g, None
            kind, limit = case.clip
            if kind == "value":
                clipped[ctx.l] = (g.abs() > limit).double().mean().item()
                return torch.clamp(g, -limit, limit), None
            norm = torch.linalg.matrix_norm(g)
            clipped[ctx.l] = float(norm > limit)
            return g / torch.clamp(norm / limit, min=1.0), None

    def activate(h: torch.Tensor, l: int) -> torch.Tensor:
        saturation[l - 1] = (slope(h) < 0.05 * steepest).double().mean().item()
        return phi(h)

    def normalise(h: torch.Tensor) -> torch.Tensor:
        if case.norm == "batch":
            return F.batch_norm(h, None, None, training=True, eps=case.norm_eps)
        if case.norm == "layer":
            return F.layer_norm(h, h.shape[1:], eps=case.norm_eps)
        return F.rms_norm(h, h.shape[1:], eps=case.norm_eps) if case.norm == "rms" else h

    # Examples are rows, as ever in PyTorch.
    tensors = {name: [torch.tensor(a.T) for a in values] for name, values in arrays.items()}
    weights = [W.requires_grad_() for W in tensors["weights"]]
    style, every, s, c = case.residual or ("", 1, 0.0, 1.0)
    states = [tensors["inputs"][0].requires_grad_()]
    block = None
    for l in range(1, case.depth + 1):
        x = Clipped.apply(states[-1], l - 1)
        k = 0 if case.recurrent else l - 1
        W, b = weights[k], tensors["biases"][k] if case.biased else 0.0
        ends = case.residual is not None and l % every == 0
        if (l - 1) % every == 0:
            block = x
        if case.driven:  # the drive's axes are turned around
            u = tensors["drive"][0][:, :, l - 1] @ tensors["input_weights"][0]
            y = activate(x @ W + u + b, l)
        elif style == "pre":
            y = activate(normalise(x), l) @ W + b
            y = s * block + c * y if ends else y
        elif style == "linear" and ends:
            y = s * block + c * (x @ W + b)
        elif style == "post" and ends:
            y = activate(s * block + c * normalise(x @ W + b), l)
        else:
            y = activate(normalise(x @ W + b), l)
            if case.gate_bias is not None:
                T = torch.sigmoid(x @ tensors["gate_weights"][k] + case.gate_bias)
                y = T * y + (1 - T) * x
            y = s * block + c * y if ends else y
        states.append(y)

    outputs, target = states[-1], tensors["target"][0]
    loss = {
        "linear": lambda: (outputs * target).sum(),
        "mse": lambda: 0.5 * (outputs - target).square().sum(),
        "cross_entropy": lambda: F.cross_entropy(outputs, target.argmax(1), reduction="sum"),
    }[case.loss]()
    gradients = torch.autograd.grad(loss, [*states, *weights])
    by_state, by_weight = gradients[: case.depth + 1], gradients[case.depth + 1 :]
    return {
        "output_gradient": by_state[-1].T.numpy(),
        "gradient": np.array([g.norm().item() for g in by_state]),
        "weight_gradient": np.array([g.norm().item() for g in by_weight]),
        "update_ratio": np.array(
            [(g.norm() / W.norm()).item() for g, W in zip(by_weight, weights, strict=True)]
        ),
        "activation": np.array([x.square().mean().sqrt().item() for x in states]),
        "saturation": np.array(saturation),
        "clipped": np.array(clipped),
    }


def main() -> None:
    frozen: dict[str, np.ndarray] = {}
    for number, (name, case) in enumerate(CASES.items()):
        numbers = case.draw(np.random.default_rng([3, number]))
        result = reference(case, case.arrays(numbers))
        frozen[f"{name}.numbers"] = numbers
        frozen |= {f"{name}.{quantity}": value for quantity, value in result.items()}
        print(f"{name:20} |G_0| / |G_D| = {result['gradient'][0] / result['gradient'][-1]:.3e}")
    np.savez_compressed(FROZEN, **frozen)
    print(f"{FROZEN.name}: {FROZEN.stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
