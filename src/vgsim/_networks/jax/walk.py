"""The forward pass of a network in JAX, over its list of operations.

Columns of a batch are rows here, as in PyTorch: a register is an array (columns, n).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp

from vgsim._networks import operations
from vgsim._networks.jax import backward
from vgsim._networks.jax.functions import elementwise
from vgsim._networks.operations import Operation, Program
from vgsim._networks.parameter_shapes import parameter_name
from vgsim._networks.techniques import Clip

__all__ = ["Pass", "Probes", "empty_probes"]

Array = jax.Array


@dataclass
class Probes:
    """Where a backward pass leaves its measurements: zeros, whose cotangents these are.

    Attributes
    ----------
    gradient : array, (depth + 1, 2)
        log2 ‖ĝ‖ and E of each place, with G_l = ĝ 2^E.
    weights : dict of str to array, (2,)
        The same of the gradient by each matrix that a place does not share.
    """

    gradient: Array
    weights: dict[str, Array]


jax.tree_util.register_dataclass(Probes, ["gradient", "weights"], [])


def empty_probes(program: Program, dtype: str) -> Probes:
    """Return probes for all places and recorded matrices of a network."""
    depth = len(program.order)
    names = [
        parameter_name(operation, place)
        for place in range(1, depth + 1)
        for operation in program.at(place)
        if isinstance(operation, operations.Weights)
        and operation.recorded
        and not operation.shared
    ]
    zeros = jnp.zeros((2,), dtype)
    return Probes(jnp.zeros((depth + 1, 2), dtype), dict.fromkeys(names, zeros))


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
    probes : Probes or None
        If given, the backward pass rescales gradients and measures them.
    """

    program: Program
    parameters: Mapping[str, Array]
    clip: Clip | None = None
    probes: Probes | None = None
    e: Any = field(init=False, default=0.0)  # see `backward`

    def states(self, x: Array) -> list[Array]:
        """Return X_0 … X_D, each (columns, n_l), for inputs (columns, n_0)."""
        self.e = jnp.zeros((), x.dtype)
        state = (x, *(jnp.zeros_like(x) for _ in range(self.program.state - 1)))
        probes = None if self.probes is None else self.probes.gradient
        state = self._marked(0, state, None if probes is None else probes[0])
        kept = [state[0]]
        if any(weights.shared for weights in self.program.of(operations.Weights)):
            return [*kept, *self._steps(state, probes)]
        registers = dict(enumerate(state))
        for place in range(1, len(self.program.order) + 1):
            for operation in self.program.at(place):
                self._apply(operation, place, registers)
            state = tuple(registers[i] for i in range(self.program.state))
            state = self._marked(place, state, None if probes is None else probes[place])
            registers.update(enumerate(state))
            kept.append(state[0])
        return kept

    def _steps(self, state: tuple[Array, ...], probes: Array | None) -> list[Array]:
        """Return X_1 … X_D of a network with one set of parameters, by a scan over the steps."""
        depth = len(self.program.order)

        def step(carried: Any, now: Any) -> tuple[Any, Array]:
            (state, self.e), (drive, probe) = carried, now
            registers = dict(enumerate(state))
            for operation in self.program.at(1):
                self._apply(operation, 1, registers, drive)
            state = self._marked(1, tuple(registers[i] for i in range(len(state))), probe)
            return (state, self.e), state[0]

        drive = self.parameters.get("drive")
        below = None if drive is None else drive[:-1]
        marks = None if probes is None else probes[1:-1]
        carried, kept = jax.lax.scan(step, (state, self.e), (below, marks), length=depth - 1)
        state, self.e = carried  # the last step is apart: its gradient is not clipped
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
        if probe is None:
            return state if clip is None else backward.clipped(clip, state)
        rescales = bool(self.program.resting[place])
        state, self.e = backward.measured(clip, rescales, state, self.e, probe)
        return state

    def _parameter(self, name: str) -> Array:
        """Return a parameter, whose gradient is measured."""
        value = self.parameters[name]
        if self.probes is None:
            return value
        probe = self.probes.weights.get(name, jnp.zeros((2,), value.dtype))
        value, self.e = backward.measured_weights(value, self.e, probe)
        return value

    def _apply(
        self, operation: Operation, place: int, x: dict[int, Array], drive: Array | None = None
    ) -> None:
        """Replace the contents of registers by an operation."""
        match operation:
            case operations.Weights(source=source, target=target, shape=(n, _), gate=k):
                W = self._parameter(parameter_name(operation, place))
                x[target] = x[source] @ (W[k * n : (k + 1) * n] if operation.shared else W).T
            case operations.Bias(register=i):
                x[i] = x[i] + self._parameter(parameter_name(operation, place))
            case operations.GateBias(register=i, rows=n, gate=k, name=name):
                b = self._parameter(name)
                x[i] = x[i] + (b[k * n : (k + 1) * n] if name == "bias" else b)
            case operations.Shift(register=i, value=value):
                x[i] = x[i] + value
            case operations.Drive(register=i, rows=n, gate=k) if drive is not None:
                U = self._parameter("input_weight")[k * n : (k + 1) * n]
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
                x[i] = jax.nn.sigmoid(x[k]) * x[i] + jax.nn.sigmoid(-x[k]) * x[j]
            case operations.Attend(register=i, query=q, key=k, heads=heads, causal=causal):
                x[i] = attended(x[q], x[k], x[i], heads, causal, self.program.tokens)


def normalised(x: Array, kind: str, eps: float) -> Array:
    """Return columns normalised over the units ("layer", "rms") or over the batch ("batch")."""
    axis = 0 if kind == "batch" else 1
    c = x if kind == "rms" else x - jnp.mean(x, axis, keepdims=True)
    return c / jnp.sqrt(jnp.mean(c * c, axis, keepdims=True) + eps)


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
