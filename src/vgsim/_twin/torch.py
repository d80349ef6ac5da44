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
from vgsim._networks.rnn import RNN
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
    network : Sequential, MLP, RNN, LSTM or GRU
        The architecture.
    weights, biases, gate_weights, input_weights, drive
        Of an MLP or an RNN, as in :func:`vgsim.evaluate`. Biases that are all zero are left out.
    parameters
        Of a Sequential, an LSTM or a GRU, as in :class:`vgsim.Replay`. Those of a Sequential have
        the same names and shapes in the ``state_dict`` of the module.

    Returns
    -------
    torch.nn.Module
        A module from inputs (B, n_0) to outputs (B, n_D), one row per column of the batch. Its
        attribute ``states`` is the list X_0 … X_D of the last forward pass, and
        ``torch.autograd.grad`` with respect to it gives G_0 … G_D (G_0 if the input requires a
        gradient). The gradients by these tensors are clipped in the backward pass. Of an LSTM
        ``states`` holds h_0 … h_D, and its attribute ``cells`` c_0 … c_D.
    """
    states = States(network.clip, network.depth)
    b = [None] * len(weights) if biases is None else biases
    built: nn.Module
    if isinstance(network, Sequential):
        built = nn.Sequential(
            *_composed(network.layers, parameters or {}, "", network.tokens, network.width)
        )
        ends = list(built)
    elif not network.shares_weights:
        built, ends = _mlp(network, weights, b, gate_weights)
    elif isinstance(network, RNN):
        return Recurrent(network, weights[0], b[0], input_weights, drive, states)
    else:
        return Cell(network, parameters or {}, states)
    built.states = states
    built.register_forward_pre_hook(states.begin)
    for end in ends:
        end.register_forward_hook(states.append_output)
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
    """x ← (1 - leak) x + leak φ(W x + b + U s_t), t = 1 … steps, from x_0 to x_steps."""

    def __init__(
        self,
        network: RNN,
        W: Array,
        b: Array | None,
        U: Array | None,
        drive: Array | None,
        states: States,
    ) -> None:
        super().__init__()
        self.steps, self.leak, self.states = network.depth, network.leak, states
        self.recurrent = _linear(W, b)
        self.activation = _activation(network.activation)
        self.input = None if U is None else _linear(U)
        self.register_buffer("drive", _by_example(network, drive))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return x_steps."""
        x = self.states.begin(self, (x,))
        for t in range(self.steps):
            h = self.recurrent(x)
            if self.input is not None:
                h = h + self.input(self.drive[t])
            y = self.activation(h)
            (x,) = self.states.keep((1.0 - self.leak) * x + self.leak * y if self.leak < 1 else y)
        return x

    def extra_repr(self) -> str:
        """Show the constants in the repr."""
        return f"steps={self.steps}" + (f", leak={self.leak}" if self.leak < 1 else "")


class Cell(nn.Module):  # type: ignore[misc]
    """The steps of an LSTM or a GRU by PyTorch's cell, from h_0 and c_0 = 0 to h_steps.

    The whole bias is ``bias_ih``. In ``bias_hh`` only the bias inside the candidate of a GRU is not
    zero.
    """

    def __init__(self, network: Network, parameters: Mapping[str, Array], states: States) -> None:
        super().__init__()
        n, self.steps, self.states = network.width, network.depth, states
        self.register_buffer("drive", _by_example(network, parameters.get("drive")))
        kind = nn.LSTMCell if network.program.state == 2 else nn.GRUCell
        inputs = 0 if self.drive is None else n
        self.cell = nn.utils.skip_init(kind, inputs, n, dtype=torch.float64)
        with torch.no_grad():
            self.cell.weight_hh.copy_(torch.as_tensor(parameters["weight"]))
            self.cell.bias_ih.copy_(torch.as_tensor(parameters["bias"]))
            self.cell.bias_hh.zero_()
            if inputs:
                self.cell.weight_ih.copy_(torch.as_tensor(parameters["input_weight"]))
            if "hidden_bias" in parameters:
                self.cell.bias_hh[2 * n :] = torch.as_tensor(parameters["hidden_bias"])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return h_steps."""
        s = x.new_empty(len(x), 0)
        if isinstance(self.cell, nn.GRUCell):
            h = self.states.begin(self, (x,))
            for t in range(self.steps):
                (h,) = self.states.keep(self.cell(s if self.drive is None else self.drive[t], h))
            return h
        c = torch.zeros_like(x, requires_grad=x.requires_grad)
        h, c = self.states.start(x.view_as(x), c)
        for t in range(self.steps):
            h, c = self.cell(s if self.drive is None else self.drive[t], (h, c))
            h, c = self.states.keep(h, c.view_as(c))  # h is not a function of this view of c
        return h

    def extra_repr(self) -> str:
        """Show the constants in the repr."""
        return f"steps={self.steps}"


class Clipped(torch.autograd.Function):  # type: ignore[misc]
    """Views of the registers of a state, whose gradients are clipped together."""

    @staticmethod
    def forward(ctx: Any, clip: Clip, *state: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return the views."""
        ctx.clip = clip
        return tuple(x.view_as(x) for x in state)

    @staticmethod
    def backward(ctx: Any, *state: torch.Tensor) -> tuple[Any, ...]:
        """Clip G_l."""
        bound = ctx.clip.bound
        if ctx.clip.by == "value":
            return None, *(g.clamp(-bound, bound) for g in state)
        norm = torch.stack([g.norm() for g in state]).norm()
        return None, *(g * (bound / norm) if norm > bound else g for g in state)


class States(list[Any]):
    """X_0 … X_D of the last forward pass; copies and pickles are empty.

    ``cells`` is the list c_0 … c_D of an LSTM, empty for other networks.
    """

    def __init__(self, clip: Clip | None, depth: int) -> None:
        self.clip, self.depth = clip, depth
        self.cells: list[torch.Tensor] = []

    def __reduce__(self) -> tuple[Any, ...]:
        return States, (self.clip, self.depth)

    def begin(self, _: nn.Module, inputs: tuple[torch.Tensor]) -> torch.Tensor:
        """Append X_0, and return the tensor that the layers above use."""
        (x,) = self.start(inputs[0].view_as(inputs[0]))
        return x

    def append_output(self, _: nn.Module, inputs: object, output: torch.Tensor) -> torch.Tensor:
        """Append X_l, and return the tensor that the layers above use."""
        (x,) = self.keep(output)
        return x

    def start(self, *state: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Forget the last pass, append the registers of place 0, and return those to be used."""
        self.clear()
        self.cells.clear()
        return self.keep(*state)

    def keep(self, *state: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Append the registers of a state, and return them, or views with clipped gradients."""
        below_top = len(self) < self.depth
        self.append(state[0])
        self.cells.extend(state[1:])
        if self.clip is None or not below_top or not state[0].requires_grad:
            return state
        clipped: tuple[torch.Tensor, ...] = Clipped.apply(self.clip, *state)
        return clipped


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


def _by_example(network: Network, drive: Array | None) -> torch.Tensor | None:
    """Return s_1 … s_steps with one row for each example, (steps, B, n)."""
    if drive is None:
        return None
    by_example = np.reshape(drive, (network.depth, network.width, -1)).transpose(0, 2, 1)
    return torch.tensor(by_example, dtype=torch.float64)


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
    return activation._law.torch(nn, *activation.parameters.values())
