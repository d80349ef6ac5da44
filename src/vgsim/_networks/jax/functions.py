"""Activations in JAX: φ, with φ' as :meth:`vgsim.Activation.derivative` gives it.

Automatic differentiation would take other values at kinks, and lose the tails of derivatives.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from vgsim._networks.activation_table import SELU_ALPHA, SELU_SCALE, TWO_OVER_SQRT_PI
from vgsim._networks.activations import Activation
from vgsim._networks.jax.tables import custom

__all__ = ["elementwise", "sigmoid"]

Function = Callable[..., Array]
GELU_SLOPE = math.sqrt(8.0 / math.pi)  # GELU with tanh is h σ(v), v = slope · (h + cube · h³)
GELU_CUBE = 0.044715


@lru_cache(maxsize=256)
def elementwise(activation: Activation) -> Callable[[Array], Array]:
    """Return φ, elementwise and differentiable once."""
    if activation.is_custom:
        value, slope = custom(activation.table)
        return _differentiable(value, slope)
    value, slope = _FUNCTIONS[activation.name]
    given = [float(p) for p in activation.parameters.values()]
    return _differentiable(lambda h: value(h, *given), lambda h: slope(h, *given))


def _differentiable(value: Function, slope: Function) -> Callable[[Array], Array]:
    """Return a function with a derivative of its own."""
    phi: Any = jax.custom_jvp(value)
    phi.defjvps(lambda t, _, h: t * slope(h))
    return phi  # type: ignore[no-any-return]


def _sigmoid_slope(h: Array) -> Array:
    e = jnp.exp(-jnp.abs(h))
    return e / (1.0 + e) ** 2


sigmoid = _differentiable(jax.nn.sigmoid, _sigmoid_slope)


def _tanh_slope(h: Array) -> Array:
    e = jnp.exp(-2.0 * jnp.abs(h))
    return 4.0 * e / (1.0 + e) ** 2


def _elu(h: Array, alpha: float) -> Array:
    return jnp.where(h > 0, h, alpha * jnp.expm1(jnp.minimum(h, 0.0)))


def _elu_slope(h: Array, alpha: float) -> Array:
    return jnp.where(h > 0, 1.0, alpha * jnp.exp(jnp.minimum(h, 0.0)))


def _reflected(h: Array, tail: Array) -> Array:
    """Return φ'(h) of a φ with φ'(-h) = 1 - φ'(h), given φ'(-|h|)."""
    return jnp.where(h < 0, tail, 1.0 - tail)


def _gelu_slope(h: Array) -> Array:
    """Φ(h) + h Φ'(h)."""
    a = jnp.minimum(jnp.abs(h), 40.0)  # exp(-40²/2) underflows
    density = jnp.exp(-0.5 * a * a) / math.sqrt(2.0 * math.pi)
    return _reflected(h, jax.scipy.special.ndtr(-a) - a * density)


def _silu_slope(h: Array) -> Array:
    """σ(h) (1 + h σ(-h))."""
    a = jnp.abs(h)
    e = jnp.exp(-a)
    return _reflected(h, e / (1.0 + e) * (1.0 - a / (1.0 + e)))


def _gelu_tanh(h: Array) -> Array:
    """Return h σ(v)."""
    a = jnp.minimum(jnp.abs(h), 25.0)  # exp(-v(25)) underflows
    e = jnp.exp(-GELU_SLOPE * a * (1.0 + GELU_CUBE * a * a))
    return h * (jnp.where(h < 0, e, 1.0) / (1.0 + e))


def _gelu_tanh_slope(h: Array) -> Array:
    """σ(v) (1 + h v' σ(-v))."""
    a = jnp.minimum(jnp.abs(h), 25.0)
    cube = GELU_CUBE * a * a
    e, growth = jnp.exp(-GELU_SLOPE * a * (1.0 + cube)), GELU_SLOPE * a * (1.0 + 3.0 * cube)
    return _reflected(h, e / (1.0 + e) * (1.0 - growth / (1.0 + e)))


def _mish_factors(h: Array) -> tuple[Array, Array, Array]:
    """Return (e, r, s) with φ(h) = h e r and φ'(h) = e s; see the table of activations."""
    up, h = h > 0, jnp.clip(h, -800.0, 800.0)  # e^-800 underflows
    e = jnp.exp(-jnp.abs(h))
    top = jnp.where(up, 1.0 + 2.0 * e, 2.0 + e)
    below = jnp.where(up, top + 2.0 * e * e, 2.0 + e * top)
    slope = top / below + 4.0 * h * jnp.where(up, e * e, 1.0) * (1.0 + e) / below**2
    return jnp.where(up, 1.0, e), top / below, slope


def _mish(h: Array) -> Array:
    front, ratio, _ = _mish_factors(h)
    return h * (front * ratio)


def _mish_slope(h: Array) -> Array:
    front, _, slope = _mish_factors(h)
    return front * slope


def _hard_sigmoid(h: Array) -> Array:
    return jnp.clip(h + 3.0, 0.0, 6.0) / 6.0


def _hard_swish_slope(h: Array) -> Array:
    return jnp.where(jnp.abs(h) < 3.0, (2.0 * jnp.clip(h, -3.0, 3.0) + 3.0) / 6.0, _step(h))


def _step(h: Array) -> Array:
    """Return 1 where h > 0, else 0."""
    return (h > 0).astype(h.dtype)


def _angle(h: Array, omega: float) -> Array:
    """ω h, which a finite h must not make infinite."""
    most = float(jnp.finfo(h.dtype).max) * 2.0**-21
    return omega * jnp.clip(h, -most, most)


_FUNCTIONS: dict[str, tuple[Function, Function]] = {  # φ and φ', with the parameters in order
    "linear": (lambda h: h, jnp.ones_like),
    "relu": (lambda h: jnp.maximum(h, 0.0), _step),
    "leaky_relu": (
        lambda h, slope: jnp.where(h > 0, h, slope * h),
        lambda h, slope: jnp.where(h > 0, jnp.ones_like(h), slope),
    ),
    "elu": (_elu, _elu_slope),
    "selu": (
        lambda h: SELU_SCALE * _elu(h, SELU_ALPHA),
        lambda h: SELU_SCALE * _elu_slope(h, SELU_ALPHA),
    ),
    "gelu": (lambda h: h * jax.scipy.special.ndtr(h), _gelu_slope),
    "silu": (lambda h: h * jax.nn.sigmoid(h), _silu_slope),
    "softplus": (jax.nn.softplus, jax.nn.sigmoid),
    "sigmoid": (jax.nn.sigmoid, _sigmoid_slope),
    "tanh": (jnp.tanh, _tanh_slope),
    "hard_tanh": (
        lambda h: jnp.clip(h, -1.0, 1.0),
        lambda h: (jnp.abs(h) < 1.0).astype(h.dtype),
    ),
    "erf": (
        jax.scipy.special.erf,
        lambda h: TWO_OVER_SQRT_PI * jnp.exp(-(jnp.minimum(jnp.abs(h), 30.0) ** 2)),
    ),
    "softsign": (lambda h: h / (1.0 + jnp.abs(h)), lambda h: (1.0 / (1.0 + jnp.abs(h))) ** 2),
    "mish": (_mish, _mish_slope),
    "relu6": (
        lambda h: jnp.clip(h, 0.0, 6.0),
        lambda h: ((h > 0) & (h < 6.0)).astype(h.dtype),
    ),
    "hard_sigmoid": (
        _hard_sigmoid,
        lambda h: jnp.where(jnp.abs(h) < 3.0, jnp.ones_like(h) / 6.0, 0.0),
    ),
    "hard_swish": (lambda h: h * _hard_sigmoid(h), _hard_swish_slope),
    "gelu_tanh": (_gelu_tanh, _gelu_tanh_slope),
    "sine": (
        lambda h, omega: jnp.sin(_angle(h, omega)),
        lambda h, omega: omega * jnp.cos(_angle(h, omega)),
    ),
}
