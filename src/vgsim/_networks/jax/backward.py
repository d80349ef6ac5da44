"""What the backward pass in JAX does besides the chain rule: clip G_l, scale it, and measure it.

Gradients of deep networks leave the range of their dtype. In a pass with a `Scale`, the backward
pass therefore propagates ĝ and E with G = ĝ 2^E, and divides ĝ by a power of two after each place
(docs/law.md). E is the cotangent of a scalar `e` that is threaded through the forward pass, where
it is always 0. What is measured is the cotangent of a `probe`, two zeros: log2 ‖ĝ‖ and E. These are
not derivatives; they are how a function with a custom rule returns something from the backward
pass.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from vgsim._networks.techniques import Clip

__all__ = ["clipped", "measured", "measured_weights", "rms_log2"]

Array = jax.Array
State = tuple[Array, ...]  # the registers of a state, each (columns, n)


def _largest(arrays: State) -> Array:
    """Return the largest absolute value of all entries."""
    return jnp.max(jnp.stack([jnp.max(jnp.abs(a)) for a in arrays]))


def _exponent(largest: Array) -> Array:
    """Return e with 2^(e-1) ≤ `largest` < 2^e; 0 for zero, NaN and infinity."""
    sound = jnp.isfinite(largest) & (largest > 0)
    return jnp.frexp(jnp.where(sound, largest, 0.5))[1].astype(largest.dtype)


def _times_power(a: Array, exponent: Array) -> Array:
    """Return a · 2^exponent, in two steps: one power of two may be out of range."""
    half = jnp.floor(exponent / 2)
    scaled = a * jnp.exp2(half) * jnp.exp2(exponent - half)
    return jnp.where(a == 0, 0, scaled)


def _log2_norm(arrays: State) -> Array:
    """Return log2 of the root of the sum of all squares, which may be out of range."""
    exponent = _exponent(_largest(arrays))
    squares = jnp.sum(jnp.stack([jnp.sum(_times_power(a, -exponent) ** 2) for a in arrays]))
    return 0.5 * jnp.log2(squares) + exponent


def rms_log2(x: Array) -> Array:
    """Return log2 of the root mean square of an array; -inf if it is 0."""
    entries = jnp.asarray(x.size, x.dtype)
    return _log2_norm((x,)) - 0.5 * jnp.log2(entries)


def _cut(clip: Clip | None, state: State, exponent: Array) -> State:
    """Return clipped gradients ĝ, of G = ĝ 2^exponent."""
    if clip is None:
        return state
    if clip.by == "value":
        bound = _times_power(jnp.asarray(clip.bound, exponent.dtype), -exponent)
        return tuple(jnp.clip(g, -bound, bound) for g in state)
    excess = _log2_norm(state) + exponent - jnp.log2(clip.bound)
    factor = jnp.where(excess > 0, jnp.exp2(-jnp.maximum(excess, 0)), 1)
    return tuple(g * factor for g in state)


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def clipped(clip: Clip, state: State) -> State:
    """Return a state whose gradient is clipped: by value, or by the norm over all of it."""
    return state


def _clipped_forward(clip: Clip, state: State) -> tuple[State, None]:
    return state, None


def _clipped_backward(clip: Clip, _: None, g: State) -> tuple[State]:
    return (_cut(clip, g, jnp.zeros((), g[0].dtype)),)


clipped.defvjp(_clipped_forward, _clipped_backward)


@partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def measured(
    clip: Clip | None, rescales: bool, state: State, e: Array, probe: Array
) -> tuple[State, Array]:
    """Return a state whose gradient is clipped, measured, and divided by 2^k if `rescales`."""
    return state, e


def _measured_forward(
    clip: Clip | None, rescales: bool, state: State, e: Array, probe: Array
) -> tuple[tuple[State, Array], None]:
    return (state, e), None


def _measured_backward(
    clip: Clip | None, rescales: bool, _: None, cotangents: tuple[State, Array]
) -> tuple[State, Array, Array]:
    state, exponent = cotangents
    state = _cut(clip, state, exponent)
    found = jnp.stack([_log2_norm(state), exponent])
    if rescales:
        k = _exponent(_largest(state))
        state, exponent = tuple(_times_power(g, -k) for g in state), exponent + k
    return state, exponent, found


measured.defvjp(_measured_forward, _measured_backward)


@jax.custom_vjp
def measured_weights(W: Array, e: Array, probe: Array) -> tuple[Array, Array]:
    """Return parameters whose gradient is measured, and multiplied by 2^E."""
    return W, e


def _weights_forward(W: Array, e: Array, probe: Array) -> tuple[tuple[Array, Array], None]:
    return (W, e), None


def _weights_backward(_: None, cotangents: tuple[Array, Array]) -> tuple[Array, Array, Array]:
    g, exponent = cotangents
    return _times_power(g, exponent), exponent, jnp.stack([_log2_norm((g,)), exponent])


measured_weights.defvjp(_weights_forward, _weights_backward)
