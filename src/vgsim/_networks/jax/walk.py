"""The forward pass of a network in JAX, over its list of operations.

Columns of a batch are rows here, as in PyTorch: a register is an array (columns, n).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from vgsim._networks import operations
from vgsim._networks.jax import backward
from vgsim._networks.jax.backward import Clip
from vgsim._networks.jax.functions import elementwise, sigmoid
from vgsim._networks.jax.normalisation import normalised
from vgsim._networks.operations import Operation, Program
from vgsim._networks.parameter_shapes import parameter_name

__all__ = ["Pass", "is_scaled"]


@dataclass
class Pass:
    """A forward pass with given parameters, masks and drive, by name.

    Attributes
    ----------
    program : Program
    parameters : mapping
        Matrices, biases, masks (n, columns) and drive (steps, n, columns).
    clip : Clip or None
        The clipping of the gradients G_l of the network.
    probes : sequence of depth + 1 arrays (2,), or None
        If given, the backward pass scales the gradients G_l and measures them: see `backward`.
    """

    program: Program
    parameters: Mapping[str, Array]
    clip: Clip | None = None
    probes: Sequence[Array] | None = None

    def states(self, x: Array) -> list[Array]:
        """Return X_0 … X_D, each (columns, n_l), for inputs (columns, n_0)."""
        state = (x, *(jnp.zeros_like(x) for _ in range(self.program.state - 1)))
        probes = self.probes
        state = self._marked(0, state, None if probes is None else probes[0])
        kept = [state[0]]
        if self.program.shares_weights:
            return [*kept, *self._steps(state)]
        registers = dict(enumerate(state))
        for place in range(1, len(self.program.order) + 1):
            for operation in self.program.at(place):
                self._apply(operation, place, registers)
            state = tuple(registers[i] for i in range(self.program.state))
            state = self._marked(place, state, None if probes is None else probes[place])
            registers.update(enumerate(state))
            kept.append(state[0])
        return kept

    def _steps(self, state: tuple[Array, ...]) -> list[Array]:
        """Return X_1 … X_D of a network with one set of parameters, by a scan over the steps.

        The last step is apart, as its gradient is not clipped.
        """
        depth, probes = len(self.program.order), self.probes

        def step(state: tuple[Array, ...], now: Any) -> tuple[tuple[Array, ...], Array]:
            drive, probe = now
            registers = dict(enumerate(state))
            for operation in self.program.at(1):
                self._apply(operation, 1, registers, drive)
            state = self._marked(1, tuple(registers[i] for i in range(len(state))), probe)
            return state, state[0]

        drive = self.parameters.get("drive")
        below = None if drive is None else drive[:-1]
        marks = None if probes is None or depth < 2 else jnp.stack(list(probes[1:-1]))
        state, kept = jax.lax.scan(step, state, (below, marks), length=depth - 1)
        registers = dict(enumerate(state))
        for operation in self.program.at(depth):
            self._apply(operation, depth, registers, None if drive is None else drive[-1])
        state = tuple(registers[i] for i in range(len(state)))
        state = self._marked(depth, state, None if probes is None else probes[-1])
        return [*kept, state[0]]

    def _marked(
        self, place: int, state: tuple[Array, ...], probe: Array | None
    ) -> tuple[Array, ...]:
        """Return the state of a place, whose gradient is clipped and measured."""
        clip = self.clip if place < len(self.program.order) else None
        marked: tuple[Array, ...] = state
        if probe is not None:
            scales = bool(self.program.resting[place]) and is_scaled(self.program, self.clip)
            marked = backward.measured(clip, scales, state, probe)
        elif clip is not None:
            marked = backward.clipped(clip, state)
        return marked

    def _apply(
        self, operation: Operation, place: int, x: dict[int, Array], drive: Any = None
    ) -> None:
        """Replace the contents of registers by an operation."""
        match operation:
            case operations.Weights(source=source, target=target, shape=(n, _), gate=k):
                W = self.parameters[parameter_name(operation, place)]
                x[target] = x[source] @ (W[k * n : (k + 1) * n] if operation.shared else W).T
            case operations.Bias(register=i, cancels=cancels):
                if not cancels:
                    x[i] = x[i] + self.parameters[parameter_name(operation, place)]
            case operations.GateBias(register=i, rows=n, gate=k, name=name):
                b = self.parameters[name]
                x[i] = x[i] + (b[k * n : (k + 1) * n] if name == "bias" else b)
            case operations.Shift(register=i, value=value):
                x[i] = x[i] + value
            case operations.Drive(register=i, rows=n, gate=k):
                U = self.parameters["input_weight"][k * n : (k + 1) * n]
                x[i] = x[i] + drive.T @ U.T
            case operations.Normalise(register=i, kind=kind, eps=eps):
                x[i] = normalised(x[i], kind, eps)
            case operations.Activate(register=i, activation=activation):
                x[i] = elementwise(activation)(x[i])
            case operations.Mask(register=i, rate=rate):
                mask = self.parameters[parameter_name(operation, place)]
                x[i] = x[i] * mask.T / (1.0 - rate)
            case operations.Copy(source=source, target=target):
                x[target] = x[source]
            case operations.Sum(register=i, other=j, skip=skip, branch=branch):
                x[i] = skip * x[j] + branch * x[i]
            case operations.Multiply(register=i, other=j):
                x[i] = x[j] * x[i]
            case operations.Mix(register=i, other=j, gate=k):
                x[i] = sigmoid(x[k]) * x[i] + sigmoid(-x[k]) * x[j]
            case operations.Attend(register=i, query=q, key=k, heads=heads, causal=causal):
                x[i] = attended(x[q], x[k], x[i], heads, causal, self.program.tokens)


def is_scaled(program: Program, clip: Clip | None) -> bool:
    """Whether a measured pass scales gradients: see `backward`."""
    return clip is None and not program.shares_weights


def attended(q: Array, k: Array, v: Array, heads: int, causal: bool, tokens: int) -> Array:
    """Return the output of all heads of softmax attention, within every sequence."""
    rows, n = q.shape
    shape = rows // tokens, tokens, heads, n // heads
    q, k, v = (a.reshape(shape).swapaxes(1, 2) for a in (q, k, v))
    scores = q @ k.swapaxes(2, 3) / math.sqrt(shape[-1])
    if causal:
        seen = jnp.tril(jnp.ones((tokens, tokens), bool))
        scores = jnp.where(seen, scores, -jnp.inf)
    y = jax.nn.softmax(scores, axis=-1) @ v
    return y.swapaxes(1, 2).reshape(rows, n)
