"""Freeze gradients of networks that PyTorch initialises, normalises and differentiates itself.

Run ``python tests/oracle/make_initialisation.py`` to write tests/data/torch_initialisation.npz
again. Nothing of vgsim is used here: weights come from torch.nn.init, gradients from autograd. Each
array is (2, SAMPLES): log10(‖G_0‖/‖G_D‖) and log10 ‖∂L/∂W_1‖, float32, of independent networks.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional, init

FROZEN = Path(__file__).parents[1] / "data" / "torch_initialisation.npz"
SAMPLES = 2500
RELU_GAIN = init.calculate_gain("relu")


def linear(n_in: int, n_out: int, initialise: Callable | None, std: float = 0.0) -> nn.Linear:
    """A layer whose weights `initialise` draws; its biases are normal, or PyTorch's own."""
    layer = nn.Linear(n_in, n_out)
    if initialise is not None:
        initialise(layer.weight)
        init.normal_(layer.bias, std=std) if std else init.zeros_(layer.bias)
    return layer


def trunc_normal(weight: Tensor) -> None:
    """Variance 1/fan_in after the cut at two standard deviations."""
    std = math.sqrt(1 / weight.shape[1]) / 0.87962566103423978
    init.trunc_normal_(weight, std=std, a=-2 * std, b=2 * std)


def orthogonal(weight: Tensor) -> None:
    """Orthonormal rows or columns times √2."""
    init.orthogonal_(weight, gain=RELU_GAIN)


def kaiming(weight: Tensor) -> None:
    """Variance 2/fan_in."""
    init.kaiming_normal_(weight, nonlinearity="relu")


def no_affine(kind: type[nn.Module], n: int) -> nn.Module:
    """A normalisation without parameters."""
    name = "affine" if kind is nn.BatchNorm1d else "elementwise_affine"
    return kind(n, eps=1e-5, **{name: False})


def plain(widths, initialise, phi, norm=None, std=0.0):
    """x = φ(norm(W x + b))."""
    layers = [linear(m, n, initialise, std) for m, n in pairwise(widths)]

    def forward(x):
        for layer in layers:
            h = layer(x)
            x = phi(no_affine(norm, h.shape[1])(h) if norm else h)
        return x

    return forward, layers[0].weight


def pre_activated(n, blocks):
    """x = x + W φ(BN(W φ(BN(x)))), He et al. 2016b."""
    layers = [linear(n, n, kaiming) for _ in range(2 * blocks)]
    norm = no_affine(nn.BatchNorm1d, n)

    def forward(x):
        for a, b in zip(layers[::2], layers[1::2], strict=True):
            x = x + b(torch.relu(norm(a(torch.relu(norm(x))))))
        return x

    return forward, layers[0].weight


def post_activated(n, blocks):
    """x = φ(x + LN(W φ(LN(W x)))), He et al. 2016a."""
    layers = [linear(n, n, kaiming, 0.2) for _ in range(2 * blocks)]
    norm = no_affine(nn.LayerNorm, n)

    def forward(x):
        for a, b in zip(layers[::2], layers[1::2], strict=True):
            x = torch.relu(x + norm(b(torch.relu(norm(a(x))))))
        return x

    return forward, layers[0].weight


def activated(n, depth):
    """x = x + ½ tanh(W x)."""
    layers = [linear(n, n, init.xavier_uniform_) for _ in range(depth)]

    def forward(x):
        for layer in layers:
            x = x + 0.5 * torch.tanh(layer(x))
        return x

    return forward, layers[0].weight


def highway(n, depth):
    """Srivastava et al. 2015, with gate biases −1."""
    layers = [linear(n, n, init.xavier_normal_, 0.3) for _ in range(depth)]
    gates = [linear(n, n, init.xavier_normal_) for _ in range(depth)]

    def forward(x):
        for layer, gate in zip(layers, gates, strict=True):
            t = torch.sigmoid(gate(x) - 1.0)
            x = t * torch.tanh(layer(x)) + (1 - t) * x
        return x

    return forward, layers[0].weight


def recurrent(n, steps, batch, initialise, nonlinearity="tanh"):
    """torch.nn.RNNCell, driven by normal inputs; PyTorch's own weights if `initialise` is None."""
    cell = nn.RNNCell(n, n, nonlinearity=nonlinearity)
    if initialise is not None:
        initialise(cell.weight_hh)
        init.zeros_(cell.bias_hh)
    init.normal_(cell.weight_ih, std=0.5 / math.sqrt(n))
    init.zeros_(cell.bias_ih)

    def forward(x):
        for _ in range(steps):
            x = cell(torch.randn(batch, n), x)
        return x

    return forward, cell.weight_hh


def clipped(n, depth, max_norm):
    """Every gradient but that of the outputs is cut to a norm as it arrives."""
    initialise = partial(init.kaiming_normal_, nonlinearity="tanh")
    layers = [linear(n, n, initialise) for _ in range(depth)]

    def forward(x):
        for layer in layers:
            x.register_hook(lambda g: g * (max_norm / g.norm()).clamp(max=1.0))
            x = torch.tanh(layer(x))
        return x

    return forward, layers[0].weight


TAPERED = (6, 11, 4, 9, 16, 5, 8, 12, 7)

# name: (builder, batch size, n_0, loss)
CASES = {
    "kaiming_normal_, BatchNorm1d, relu": (
        lambda: plain([12] * 11, kaiming, torch.relu, nn.BatchNorm1d),
        6,
        12,
        "linear",
    ),
    "xavier_uniform_, LayerNorm, tanh": (
        lambda: plain([10] * 13, init.xavier_uniform_, torch.tanh, nn.LayerNorm, 0.3),
        3,
        10,
        "linear",
    ),
    "trunc_normal_, RMSNorm, gelu": (
        lambda: plain([9] * 13, trunc_normal, functional.gelu, nn.RMSNorm),
        4,
        9,
        "linear",
    ),
    "default reset, mse": (
        lambda: plain(TAPERED, None, functional.silu),
        4,
        6,
        "mse",
    ),
    "orthogonal_, rectangular, cross-entropy": (
        lambda: plain(TAPERED, orthogonal, functional.leaky_relu, None, 0.2),
        3,
        6,
        "cross_entropy",
    ),
    "kaiming_normal_, pre-activated, cross-entropy": (
        lambda: pre_activated(10, 6),
        4,
        10,
        "cross_entropy",
    ),
    "kaiming_normal_, post-activated": (lambda: post_activated(8, 6), 3, 8, "linear"),
    "xavier_uniform_, skips": (lambda: activated(10, 15), 2, 10, "linear"),
    "xavier_normal_, highway": (lambda: highway(9, 14), 3, 9, "linear"),
    "orthogonal_, RNN": (lambda: recurrent(10, 20, 3, init.orthogonal_), 3, 10, "cross_entropy"),
    "default reset, RNN": (lambda: recurrent(10, 8, 2, None), 2, 10, "linear"),
    "kaiming_normal_, clipped": (lambda: clipped(10, 12, 3.0), 2, 10, "linear"),
}


def sample(build: Callable, batch: int, n: int, loss: str) -> tuple[float, float]:
    """One network: log10(‖G_0‖/‖G_D‖) and log10 ‖∂L/∂W_1‖."""
    forward, weight = build()
    x = torch.randn(batch, n, requires_grad=True)
    outputs = forward(x)
    outputs.retain_grad()
    if loss == "linear":
        value = (outputs * torch.randn_like(outputs)).sum()
    elif loss == "mse":
        value = 0.5 * ((outputs - torch.randn_like(outputs)) ** 2).sum()
    else:
        classes = torch.randint(outputs.shape[1], (batch,))
        value = functional.cross_entropy(outputs, classes, reduction="sum")
    value.backward()
    return (
        (x.grad.norm().log10() - outputs.grad.norm().log10()).item(),
        weight.grad.norm().log10().item(),
    )


def main() -> None:
    """Write the file."""
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)
    frozen = {}
    for seed, (name, (build, batch, n, loss)) in enumerate(CASES.items()):
        torch.manual_seed(seed)
        samples = [sample(build, batch, n, loss) for _ in range(SAMPLES)]
        frozen[name] = np.array(samples, dtype=np.float32).T
        print(name, frozen[name].mean(axis=1), frozen[name].std(axis=1), flush=True)
    np.savez_compressed(FROZEN, **frozen)


if __name__ == "__main__":
    main()
