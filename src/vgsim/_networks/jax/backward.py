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
from functools import partial, reduce
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from vgsim._networks.operations import Program

__all__ = [
    "Clip",
    "clipped",
    "exponents",
    "log2_norm",
    "log2_norms",
    "measured",
    "rms_log2",
    "times_power",
]

_WORDS = {"float32": jnp.int32, "float64": jnp.int64}
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
    return reduce(jnp.maximum, [jnp.max(jnp.abs(a)) for a in arrays])


def _exponent(largest: Array) -> Array:
    """Return e with 2^(e-1) ≤ `largest` < 2^e; of 0 and infinity the least and the largest e."""
    info = jnp.finfo(largest.dtype)
    bits = jax.lax.bitcast_convert_type(largest, _WORDS[largest.dtype.name])
    return ((bits >> info.nmant) & (2**info.nexp - 1)) + info.minexp


def _power(exponent: Array, dtype: Any) -> Array:
    """Return 2^exponent exactly (that of jnp.exp2 is not); 0 or infinity where out of range."""
    info = jnp.finfo(dtype)
    biased = jnp.clip(exponent - (info.minexp - 1), 0, 2**info.nexp - 1)
    word = _WORDS[info.dtype.name]
    return jax.lax.bitcast_convert_type(biased.astype(word) << info.nmant, dtype)


def _powers(exponent: Array, dtype: Any) -> tuple[Array, Array]:
    """Return two powers of two with the product 2^exponent, which may be out of range itself."""
    whole = exponent.astype(jnp.int32)
    half = whole >> 1
    return _power(half, dtype), _power(whole - half, dtype)


def times_power(a: Array, exponent: Array) -> Array:
    """Return a · 2^exponent, exactly."""
    first, second = _powers(exponent, a.dtype)
    return jnp.where(a == 0, 0, a * first * second)


def log2_norms(groups: Sequence[State]) -> Array:
    """Return log2 of the root of the sum of all squares of each group, of any size."""
    exponent = _exponent(jnp.stack([_largest(arrays) for arrays in groups]))
    first, second = _powers(-exponent, groups[0][0].dtype)
    squares = [
        reduce(jnp.add, [jnp.sum((a * p * q) ** 2) for a in arrays])
        for arrays, p, q in zip(groups, first, second, strict=True)
    ]
    return 0.5 * jnp.log2(jnp.stack(squares)) + exponent


def log2_norm(arrays: State) -> Array:
    """Return log2 of the root of the sum of all squares, which may be out of range."""
    return log2_norms([arrays])[0]


def rms_log2(arrays: Sequence[Array]) -> Array:
    """Return log2 of the root mean square of each array; -inf if it is 0."""
    sizes = np.array([a.size for a in arrays])
    halves = jnp.asarray(0.5 * np.log2(sizes), arrays[0].dtype)
    return log2_norms([(a,) for a in arrays]) - halves


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
    exponent = _exponent(_largest(g))
    scaled = tuple(times_power(a, -exponent) for a in g)
    squares = reduce(jnp.add, [jnp.sum(a**2) for a in scaled])
    norm = 0.5 * jnp.log2(squares) + exponent
    k = exponent.astype(norm.dtype)
    return (scaled, jnp.stack([norm, k])) if scales else (g, jnp.stack([norm, jnp.zeros_like(k)]))


measured.defvjp(_measured_forward, _measured_backward)


def exponents(program: Program, probes: Sequence[Array]) -> Array:
    """Return E of the gradients within each place 1 … depth, given the cotangents of probes.

    The gradient by a matrix of place l is ĝ 2^E[l - 1], and G_l of place l, as measured, is one of
    the place above, ĝ 2^E[l], with E[depth] = 0.
    """
    k = jnp.stack(list(probes))[1:, 1]
    return jnp.append(jnp.cumsum(k[::-1])[::-1], jnp.zeros((), k.dtype))
