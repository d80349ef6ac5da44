"""What the backward pass in JAX does besides the chain rule: clip G_l, scale it, and measure it.

Gradients of deep networks leave the range of their dtype. A measured pass therefore propagates ĝ
with G = ĝ 2^E, and divides ĝ by a power of two 2^k after each place, so that E is the sum of k over
the places above. log2 ‖ĝ‖ and k are the cotangent of a `probe`, two zeros. These are not
derivatives: they are how a function with a rule of its own returns something from the backward
pass. Parameters that all places share, and clipping, need G itself: there k is 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Protocol

import jax
import jax.numpy as jnp
from jax import Array

from vgsim._networks.operations import Program

__all__ = ["Clip", "clipped", "exponents", "log2_norm", "measured", "rms_log2", "times_power"]

State = tuple[Array, ...]  # the registers of a state, each (columns, n)


class Clip(Protocol):
    """The clipping of gradients: `ClipNorm` or `ClipValue`."""

    @property
    def by(self) -> str:
        """Either "norm" or "value"."""

    @property
    def bound(self) -> float:
        """The largest norm, or the largest absolute value of an entry."""


def _largest(arrays: State) -> Array:
    """Return the largest absolute value of all entries."""
    return jnp.max(jnp.stack([jnp.max(jnp.abs(a)) for a in arrays]))


def _exponent(largest: Array) -> Array:
    """Return e with 2^(e-1) ≤ `largest` < 2^e; 0 for zero, NaN and infinity."""
    sound = jnp.isfinite(largest) & (largest > 0)
    return jnp.frexp(jnp.where(sound, largest, 0.5))[1].astype(largest.dtype)


def times_power(a: Array, exponent: Array) -> Array:
    """Return a · 2^exponent, exactly, in two steps: one power of two may be out of range."""
    half = exponent.astype(jnp.int32) // 2
    rest = exponent.astype(jnp.int32) - half
    one = jnp.ones((), a.dtype)  # the powers of jnp.exp2 are not exact
    scaled = a * jnp.ldexp(one, half) * jnp.ldexp(one, rest)
    return jnp.where(a == 0, 0, scaled)


def log2_norm(arrays: State) -> Array:
    """Return log2 of the root of the sum of all squares, which may be out of range."""
    exponent = _exponent(_largest(arrays))
    squares = jnp.sum(jnp.stack([jnp.sum(times_power(a, -exponent) ** 2) for a in arrays]))
    return 0.5 * jnp.log2(squares) + exponent


def rms_log2(x: Array) -> Array:
    """Return log2 of the root mean square of an array; -inf if it is 0."""
    entries = jnp.asarray(x.size, x.dtype)
    return log2_norm((x,)) - 0.5 * jnp.log2(entries)


def _cut(clip: Clip | None, state: State) -> State:
    """Return clipped gradients."""
    if clip is None:
        return state
    if clip.by == "value":
        return tuple(jnp.clip(g, -clip.bound, clip.bound) for g in state)
    excess = log2_norm(state) - math.log2(clip.bound)
    factor = jnp.where(excess > 0, jnp.exp2(-jnp.maximum(excess, 0)), 1)
    return tuple(g * factor for g in state)


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def clipped(clip: Clip, state: State) -> State:
    """Return a state whose gradient is clipped: by value, or by the norm over all of it."""
    return state


def _clipped_forward(clip: Clip, state: State) -> tuple[State, None]:
    return state, None


def _clipped_backward(clip: Clip, _: None, g: State) -> tuple[State]:
    return (_cut(clip, g),)


clipped.defvjp(_clipped_forward, _clipped_backward)


@partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def measured(clip: Clip | None, scales: bool, state: State, probe: Array) -> State:
    """Return a state whose gradient is clipped, measured, and divided by 2^k if `scales`."""
    return state


def _measured_forward(
    clip: Clip | None, scales: bool, state: State, probe: Array
) -> tuple[State, None]:
    return state, None


def _measured_backward(clip: Clip | None, scales: bool, _: None, g: State) -> tuple[State, Array]:
    g = _cut(clip, g)
    k = _exponent(_largest(g))
    found = jnp.stack([log2_norm(g), k if scales else jnp.zeros_like(k)])
    return tuple(times_power(a, -k) for a in g) if scales else g, found


measured.defvjp(_measured_forward, _measured_backward)


def exponents(program: Program, probes: Sequence[Array]) -> Array:
    """Return E of the gradients within each place 1 … depth, given the cotangents of probes.

    The gradient by a matrix of place l is ĝ 2^E[l - 1], and G_l of place l, as measured, is one of
    the place above, ĝ 2^E[l], with E[depth] = 0.
    """
    k = jnp.stack(list(probes))[1:, 1]
    return jnp.append(jnp.cumsum(k[::-1])[::-1], jnp.zeros((), k.dtype))
