"""One network as a PyTorch module in float64, built from standard modules where they exist."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from vgsim._networks import blocks, elements
from vgsim._networks.activations import Activation
from vgsim._networks.description import Network
from vgsim._networks.layers import Layers
from vgsim._networks.sequential import Sequential
from vgsim._networks.techniques import Clip
from vgsim._twin.scaled import Array

__all__ = ["module"]

try:
    import torch
    from torch import nn
except ImportError as error:
    raise ImportError("to_torch needs the package torch: pip install torch") from error


def module(
    network: Network,
    weights: Sequence[Array],
    biases: Sequence[Array | None] | None,
    *,
    gate_weights: Sequence[Array] | None = None,
    input_weights: Array | None = None,
    drive: Array | None = None,
    parameters: Mapping[str, Array] | None = None,
) -> nn.Module:
    """Build the module of a network with these weights, in float64.

    Parameters
    ----------
    network : Sequential, MLP or RNN
        The architecture.
    weights, biases, gate_weights, input_weights, drive
        Of an MLP or an RNN, as in :func:`vgsim.evaluate`. Biases that are all zero are left out.
    parameters
        Of a Sequential, as in :class:`vgsim.Replay`; so are the names and shapes in the
        ``state_dict`` of the module.

    Returns
    -------
    torch.nn.Module
        A module from inputs (B, n_0) to outputs (B, n_D), one row per column of the batch. Its
        attribute ``states`` is the list X_0 … X_D of the last forward pass, and
        ``torch.autograd.grad`` with respect to it gives G_0 … G_D (G_0 if the input requires a
        gradient). Hooks on these tensors clip the gradients in the backward pass.
    """
    b = [None] * len(weights) if biases is None else biases
    built: nn.Module
    if isinstance(network, Sequential):
        built = nn.Sequential(
            *_composed(network.layers, parameters or {}, "", network.tokens, network.width)
        )
        ends = list(built)
    elif network.shares_weights:
        built = Recurrent(network, weights[0], b[0], input_weights, drive)
        ends = [built.activation]
    else:
        built, ends = _mlp(network, weights, b, gate_weights)
    built.states = States(network.clip, network.depth)
    built.register_forward_pre_hook(built.states.begin)
    for end in ends:
        end.register_forward_hook(built.states.append_output)
    return built


class Residual(nn.Module):  # type: ignore[misc]
    """s x + c block(x)."""

    def __init__(self, block: nn.Module, skip: float, branch: float) -> None:
        super().__init__()
        self.block, self.skip, self.branch = block, skip, branch

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the output of the block."""
        return self.skip * x + self.branch * self.block(x)

    def extra_repr(self) -> str:
        """Show the constants in the repr."""
        return f"skip={self.skip}, branch={self.branch}"


class Highway(nn.Module):  # type: ignore[misc]
    """T y + (1 - T) x with y = layer(x) and T = σ(gate(x))."""

    def __init__(self, layer: nn.Module, gate: nn.Module) -> None:
        super().__init__()
        self.layer, self.gate = layer, gate

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the output of the layer."""
        h = self.gate(x)
        return torch.sigmoid(h) * self.layer(x) + torch.sigmoid(-h) * x


class Skip(nn.Sequential):  # type: ignore[misc]
    """s x + c f(x), where f are the layers inside."""

    def __init__(self, layers: Iterable[nn.Module], skip: float, branch: float) -> None:
        super().__init__(*layers)
        self.skip, self.branch = skip, branch

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the output of the block."""
        return self.skip * x + self.branch * super().forward(x)


class Gate(nn.Sequential):  # type: ignore[misc]
    """T f(x) + (1 - T) x with T = σ(W_T x + bias), where f are the layers inside."""

    def __init__(self, layers: Iterable[nn.Module], gate: Array, bias: float) -> None:
        super().__init__(*layers)
        self.gate = _parameter(gate)
        self.bias = bias

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the output of the block."""
        h = x @ self.gate.T + self.bias
        return torch.sigmoid(h) * super().forward(x) + torch.sigmoid(-h) * x


class Mask(nn.Module):  # type: ignore[misc]
    """m x/(1 - rate), with the same mask in every pass."""

    def __init__(self, mask: Array, rate: float) -> None:
        super().__init__()
        self.rate = rate
        self.register_buffer("mask", torch.tensor(mask, dtype=torch.float64))  # (n, B)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the units that are kept."""
        return x * self.mask.T / (1.0 - self.rate)


class Attention(nn.Module):  # type: ignore[misc]
    """Softmax attention within every sequence of `tokens` rows."""

    def __init__(self, heads: int, causal: bool, tokens: int, arrays: Mapping[str, Array]) -> None:
        super().__init__()
        self.heads, self.causal, self.tokens = heads, causal, tokens
        for name, array in arrays.items():
            self.register_parameter(name, _parameter(array))

    def linear(self, name: str, x: torch.Tensor) -> torch.Tensor:
        """Return W x + b, for the matrix and the bias of that name."""
        h = x @ getattr(self, name).T
        return h + getattr(self, f"{name}_bias") if hasattr(self, f"{name}_bias") else h

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the output of all heads, multiplied by W_o."""
        rows, n = x.shape
        shape = rows // self.tokens, self.tokens, self.heads, n // self.heads
        q, k, v = (
            self.linear(name, x).reshape(shape).transpose(1, 2)
            for name in ("query", "key", "value")
        )
        scores = q @ k.transpose(2, 3) / math.sqrt(shape[-1])  # query, key
        if self.causal:
            unseen = torch.ones(self.tokens, self.tokens, dtype=torch.bool).triu(1)
            scores = scores.masked_fill(unseen, -math.inf)
        y = torch.softmax(scores, dim=-1) @ v
        return self.linear("output", y.transpose(1, 2).reshape(rows, n))

    def extra_repr(self) -> str:
        """Show the constants in the repr."""
        return f"heads={self.heads}, causal={self.causal}, tokens={self.tokens}"


class Recurrent(nn.Module):  # type: ignore[misc]
    """x_t = φ(W x_{t-1} + b + U s_t), t = 1 … steps, from x_0 to x_steps."""

    def __init__(
        self, network: Network, W: Array, b: Array | None, U: Array | None, drive: Array | None
    ) -> None:
        super().__init__()
        self.steps = network.depth
        self.recurrent = _linear(W, b)
        self.activation = _activation(network.activation)
        self.input = None if U is None else _linear(U)
        if drive is not None:
            by_example = np.reshape(drive, (network.depth, network.width, -1)).transpose(0, 2, 1)
            drive = torch.tensor(by_example, dtype=torch.float64)
        self.register_buffer("drive", drive)  # (steps, B, n)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return x_steps."""
        for t in range(self.steps):
            h = self.recurrent(x)
            if self.input is not None:
                h = h + self.input(self.drive[t])
            x = self.activation(h)
        return x

    def extra_repr(self) -> str:
        """Show the constants in the repr."""
        return f"steps={self.steps}"


class States(list[Any]):
    """X_0 … X_D of the last forward pass, appended by hooks; copies and pickles are empty."""

    def __init__(self, clip: Clip | None, depth: int) -> None:
        self.clip, self.depth = clip, depth

    def __reduce__(self) -> tuple[Any, ...]:
        return States, (self.clip, self.depth)

    def begin(self, _: nn.Module, inputs: tuple[torch.Tensor]) -> torch.Tensor:
        """Append X_0, and return the tensor that the layers above use."""
        self.clear()
        return self.keep(inputs[0].view_as(inputs[0]))

    def append_output(self, _: nn.Module, inputs: object, output: torch.Tensor) -> torch.Tensor:
        """Append X_l, and return the tensor that the layers above use."""
        return self.keep(output)

    def keep(self, x: torch.Tensor) -> torch.Tensor:
        """Append x and return it, or a view of it with a hook that clips the gradient of x."""
        below_top = len(self) < self.depth
        self.append(x)
        if self.clip is None or not below_top or not x.requires_grad:
            return x
        view = x.view_as(x)
        view.register_hook(self.clipped)
        return view

    def clipped(self, g: torch.Tensor) -> torch.Tensor:
        """Clip G_l."""
        if self.clip is None:
            return g
        bound = self.clip.bound
        if self.clip.by == "value":
            return g.clamp(-bound, bound)
        norm = g.norm()
        return g * (bound / norm) if norm > bound else g


def _composed(
    layers: Layers, parameters: Mapping[str, Array], prefix: str, tokens: int, n: int
) -> Iterator[nn.Module]:
    """Yield the modules of a list of layers that takes n units."""
    for i, layer in enumerate(layers):
        own = f"{prefix}{i}."
        match layer:
            case Layers():
                yield nn.Sequential(*_composed(layer, parameters, own, tokens, n))
            case Activation():
                yield _activation(layer)
            case elements.Linear():
                yield _linear(parameters[own + "weight"], parameters.get(own + "bias"), keeps=True)
            case elements.Norm(kind=kind, eps=eps):
                yield _norm(kind, n, eps)
            case elements.Dropout(rate=rate):
                yield Mask(parameters[own + "mask"], rate)
            case elements.Attention(heads=heads, causal=causal):
                arrays = {
                    name.removeprefix(own): array
                    for name, array in parameters.items()
                    if name.startswith(own)
                }
                yield Attention(heads, causal, tokens, arrays)
            case blocks.Skip(layers=inner, skip=skip, branch=branch):
                yield Skip(_composed(inner, parameters, own, tokens, n), skip, branch)
            case blocks.Gate(layers=inner, bias=bias):
                block = _composed(inner, parameters, own, tokens, n)
                yield Gate(block, parameters[own + "gate"], bias)
        n = (0 if isinstance(layer, Activation) else layer.sets_width) or n


def _mlp(
    network: Network,
    weights: Sequence[Array],
    biases: Sequence[Array | None],
    gate_weights: Sequence[Array] | None,
) -> tuple[nn.Sequential, list[nn.Module]]:
    """Return the module, and its submodules with the outputs X_1 … X_D."""
    residual, highway = network.residual, network.highway
    every = residual.every if residual else 1
    modules: list[nn.Module] = []
    ends = []
    for l, (W, b) in enumerate(zip(weights, biases, strict=True), start=1):
        if (l - 1) % every == 0:
            block = len(modules)
        modules += _layer(network, W, b, ends_block=residual is not None and l % every == 0)
        if highway and gate_weights is not None:
            gate = _linear(gate_weights[l - 1], np.full(network.width_at(l), highway.gate_bias))
            modules[block:] = [Highway(nn.Sequential(*modules[block:]), gate)]
        if residual and l % every == 0:
            c = residual.branch_scale(network.depth)
            modules[block:] = [Residual(nn.Sequential(*modules[block:]), residual.skip, c)]
            if residual.style == "post":
                modules.append(_activation(network.activation))
        ends.append(modules[-1])
    return nn.Sequential(*modules), ends


def _layer(network: Network, W: Array, b: Array | None, *, ends_block: bool) -> list[nn.Module]:
    """Return the modules of one layer, without its skip connection or gate."""
    style = network.residual.style if network.residual else None
    linear, phi = _linear(W, b), _activation(network.activation)
    n, eps = len(W), network.norm_eps
    norm = [_norm(network.norm, n, eps)] if network.norm else []
    if style == "pre":
        return [*norm, phi, linear]
    if style == "linear" and ends_block:
        return [linear]
    if style == "post" and ends_block:
        return [linear, *norm]
    return [linear, *norm, phi]


def _parameter(array: Array) -> nn.Parameter:
    return nn.Parameter(torch.tensor(array, dtype=torch.float64))


def _linear(W: Array, b: Array | None = None, *, keeps: bool = False) -> nn.Linear:
    """Return W x + b; a bias of zeros is left out, unless `keeps`."""
    n, m = np.shape(W)
    biased = b is not None and (keeps or bool(np.any(b)))
    linear = nn.utils.skip_init(nn.Linear, m, n, bias=biased, dtype=torch.float64)
    with torch.no_grad():
        linear.weight.copy_(torch.as_tensor(W))
        if biased:
            linear.bias.copy_(torch.as_tensor(b))
    return linear


def _norm(kind: str, n: int, eps: float) -> nn.Module:
    """Return the normalisation of n units."""
    if kind == "batch":
        return nn.BatchNorm1d(n, eps, affine=False, track_running_stats=False)
    norm = nn.LayerNorm if kind == "layer" else nn.RMSNorm
    return norm(n, eps, elementwise_affine=False)


def _activation(activation: Activation) -> nn.Module:
    """Return φ."""
    return activation.law.torch(nn, *activation.parameters.values())
