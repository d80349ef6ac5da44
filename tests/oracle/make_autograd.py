"""Freeze what PyTorch's autograd says about small networks, in float64, into autograd.npz.

Run ``python tests/oracle/make_autograd.py`` to write the file again. Nothing of vgsim is used here:
weights come from NumPy's generator, activations and gradients from PyTorch, and the saturation
threshold from a search on a grid.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional
from torch.nn.functional import leaky_relu

FROZEN = Path(__file__).with_name("autograd.npz")
DEPTH = 30
WIDTHS = (3, 13)
BIAS_STD = 0.3

# case: (activation, its parameters, PyTorch's function, sqrt(fan_in) times the weights' std)
CASES = {
    "linear": ("linear", {}, lambda h: 1.0 * h, 1.0),
    "relu": ("relu", {}, torch.relu, 1.5),
    "leaky_relu": ("leaky_relu", {}, lambda h: leaky_relu(h, 0.01), 1.5),
    "leaky_relu_quarter": ("leaky_relu", {"slope": 0.25}, lambda h: leaky_relu(h, 0.25), 1.4),
    "elu": ("elu", {}, functional.elu, 1.2),
    "elu_half": ("elu", {"alpha": 0.5}, lambda h: functional.elu(h, 0.5), 1.3),
    "selu": ("selu", {}, torch.selu, 1.0),
    "gelu": ("gelu", {}, functional.gelu, 1.5),
    "silu": ("silu", {}, functional.silu, 1.6),
    "softplus": ("softplus", {}, lambda h: functional.softplus(h, threshold=40.0), 1.0),
    "sigmoid": ("sigmoid", {}, torch.sigmoid, 3.0),
    "tanh": ("tanh", {}, torch.tanh, 1.3),
    "hard_tanh": ("hard_tanh", {}, functional.hardtanh, 1.2),
    "erf": ("erf", {}, torch.erf, 1.1),
    "softsign": ("softsign", {}, functional.softsign, 1.6),
    "mish": ("mish", {}, functional.mish, 1.5),
    "relu6": ("relu6", {}, functional.relu6, 2.0),
    "hard_sigmoid": ("hard_sigmoid", {}, lambda h: functional.relu6(h + 3.0) / 6.0, 4.0),
    "hard_swish": ("hard_swish", {}, functional.hardswish, 1.6),
    "gelu_tanh": ("gelu_tanh", {}, lambda h: functional.gelu(h, approximate="tanh"), 1.5),
    "sine": ("sine", {}, lambda h: torch.sin(30.0 * h), 0.05),
}
PARAMETERS = ("weights", "biases", "inputs", "output_gradient")
QUANTITIES = ("gradient", "weight_gradient", "update_ratio", "activation", "saturation")


def draw(std: float, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """A network of depth 30; weights and biases are flattened, layer after layer."""
    widths = rng.integers(*WIDTHS, size=DEPTH + 1)
    weights = [rng.normal(0.0, std / np.sqrt(m), n * m) for m, n in pairwise(widths)]
    return {
        "widths": widths.astype(np.int8),
        "weights": np.concatenate(weights),
        "biases": rng.normal(0.0, BIAS_STD, widths[1:].sum()),
        "inputs": rng.normal(size=widths[0]),
        "output_gradient": rng.normal(size=widths[-1]),
    }


def unflatten(network: dict[str, np.ndarray]) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The weight matrices (n_l, n_{l-1}) and bias vectors (n_l,) of a stored network."""
    widths = network["widths"].astype(int)
    sizes, shapes = widths[1:] * widths[:-1], zip(widths[1:], widths[:-1], strict=True)
    weights = np.split(network["weights"], np.cumsum(sizes)[:-1])
    biases = np.split(network["biases"], np.cumsum(widths[1:])[:-1])
    return [w.reshape(shape) for w, shape in zip(weights, shapes, strict=True)], biases


def slope(function, h: torch.Tensor) -> torch.Tensor:
    """The derivative of an elementwise function at h, by autograd."""
    h = h.detach().clone().requires_grad_()
    (derivative,) = torch.autograd.grad(function(h).sum(), h)
    return derivative


def autograd(function, network: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Every recorded quantity of one network by autograd: norms, not their logarithms."""
    weights, biases = (
        [torch.tensor(a, requires_grad=True) for a in arrays] for arrays in unflatten(network)
    )
    x = torch.tensor(network["inputs"], requires_grad=True)
    grid = torch.linspace(-12.0, 12.0, 2_400_001, dtype=torch.float64)
    steepest = slope(function, grid).abs().max()
    activations, saturation = [x], []
    for weight, bias in zip(weights, biases, strict=True):
        h = weight @ activations[-1] + bias
        saturation.append((slope(function, h).abs() < 0.05 * steepest).double().mean())
        activations.append(function(h))
    loss = activations[-1] @ torch.tensor(network["output_gradient"])
    gradients = torch.autograd.grad(loss, activations + weights)
    by_activation, by_weight = gradients[: DEPTH + 1], gradients[DEPTH + 1 :]
    with torch.no_grad():
        return {
            "gradient": np.array([g.norm() for g in by_activation]),
            "weight_gradient": np.array([g.norm() for g in by_weight]),
            "update_ratio": np.array(
                [g.norm() / w.norm() for g, w in zip(by_weight, weights, strict=True)]
            ),
            "activation": np.array([a.square().mean().sqrt() for a in activations]),
            "saturation": np.array(saturation),
        }


def main() -> None:
    arrays: dict[str, np.ndarray] = {"torch": np.array(torch.__version__)}
    for number, (case, (_, _, function, std)) in enumerate(CASES.items()):
        rng = np.random.default_rng([2, number])
        result = {"gradient": np.zeros(1)}
        while not np.all(result["gradient"] > 0):  # narrow ReLU networks are often dead: go on
            network = draw(std, rng)
            result = autograd(function, network)
        arrays |= {f"{case}.{name}": value for name, value in (network | result).items()}
        print(f"{case:20} |G_0| / |G_D| = {result['gradient'][0] / result['gradient'][-1]:.3e}")
    np.savez_compressed(FROZEN, **arrays)
    print(f"{FROZEN.name}: {FROZEN.stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
