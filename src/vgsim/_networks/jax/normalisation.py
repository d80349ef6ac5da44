"""Normalisation in JAX, with a backward pass that keeps small gradients."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

__all__ = ["normalised"]


@partial(jax.custom_vjp, nondiff_argnums=(1, 2))
def normalised(x: Array, kind: str, eps: float) -> Array:
    """Return columns normalised over the units ("layer", "rms") or over the batch ("batch").

    Columns are rows here. With C the deviations from the mean, or x itself for "rms", and
    v = mean C² + ε, the gradient is (D - C (C·D)/(C·C) + C (C·D)/(C·C) ε/v)/√v, in which D are
    the deviations of the gradient by the output. The first two terms cancel if C has one degree of
    freedom, as with two examples, and are left out; automatic differentiation would leave their
    rounding errors, which may be larger than the rest.
    """
    return _forward(x, kind, eps)[0]


def _forward(x: Array, kind: str, eps: float) -> tuple[Array, tuple[Array, Array]]:
    c, axis = _deviations(x, kind), _axis(kind)
    v = jnp.mean(c * c, axis, keepdims=True) + eps
    return c / jnp.sqrt(v), (c, v)


def _backward(kind: str, eps: float, kept: tuple[Array, Array], g: Array) -> tuple[Array]:
    (c, v), axis = kept, _axis(kind)
    d = _deviations(g, kind)

    def along(a: Array) -> Array:
        square = jnp.sum(c * c, axis, keepdims=True)
        return c * (jnp.sum(c * a, axis, keepdims=True) / jnp.where(square > 0, square, 1))

    freedom = c.shape[axis] - (kind != "rms")
    part = d if freedom == 1 else along(d)
    across: Any = 0.0
    if freedom > 1:
        rest = d - part
        across = rest - along(rest)  # subtracted twice, so that no rounding error is left
    return ((across + part * (eps / v)) / jnp.sqrt(v),)


normalised.defvjp(_forward, _backward)


def _axis(kind: str) -> int:
    """Return the axis of the mean: that of the columns, or that of the units."""
    return 0 if kind == "batch" else 1


def _deviations(x: Array, kind: str) -> Array:
    """Return x minus its mean; x itself for "rms"."""
    return x if kind == "rms" else x - jnp.mean(x, _axis(kind), keepdims=True)
