"""Activations in JAX, with the derivatives of :meth:`vgsim.Activation.derivative`."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

from vgsim._networks.activations import Activation

__all__ = ["elementwise"]


def elementwise(activation: Activation) -> Callable[[jax.Array], jax.Array]:
    """Return φ, elementwise and differentiable."""
    return {
        "linear": lambda h: h,
        "tanh": jnp.tanh,
        "relu": lambda h: jnp.where(h > 0, h, 0),
        "sigmoid": jax.nn.sigmoid,
    }[activation.name]
