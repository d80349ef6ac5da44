"""Vectors that neither underflow nor overflow: a float64 mantissa and one binary exponent.

A gradient that crosses 100,000 sigmoid layers has a norm near 10^-130,000, but its direction and
its logarithm are perfectly ordinary. So a vector is carried as mantissa · 2^exponent, its largest
component in [1/2, 1). The exponent saturates where the kernels' does.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vgsim._activations import ACTIVATIONS, Activation, Tail

__all__ = ["Array", "Scaled", "activated", "added", "backpropagated", "outer", "scaled"]

Array = NDArray[np.float64]

LOG10_2 = math.log10(2.0)
LN_2 = math.log(2.0)
MODERATE = 500  # within 2^±500 an activation is evaluated in plain float64, beyond by its slopes
EXPONENT_LIMIT = 2**30 - 256  # the kernels': the sum of two exponents fits 32 bits


class Scaled(NamedTuple):
    """The array ``mantissa * 2.0**exponent``."""

    mantissa: Array
    exponent: int

    def __matmul__(self, other: Scaled) -> Scaled:
        """Multiply a matrix and a vector, in either order."""
        return scaled(self.mantissa @ other.mantissa, self.exponent + other.exponent)

    @property
    def size(self) -> float:
        """The Euclidean (Frobenius) norm of the mantissa."""
        return float(np.linalg.norm(self.mantissa))

    @property
    def log10_norm(self) -> float:
        """log10 of the Euclidean (Frobenius) norm; -inf for zero."""
        size = self.size
        return math.log10(size) + self.exponent * LOG10_2 if size > 0 else -math.inf

    @property
    def unit(self) -> Array:
        """The vector over its norm; zero stays zero."""
        return self.mantissa / (self.size or 1.0)

    @property
    def clipped(self) -> Array:
        """The vector in plain float64: components cut at ±2^500, the exponent at -500."""
        with np.errstate(over="ignore"):
            plain = np.ldexp(self.mantissa, max(self.exponent, -MODERATE))
        return np.clip(plain, -(2.0**MODERATE), 2.0**MODERATE)

    @property
    def log_cut(self) -> Array:
        """Natural logarithm, at least 0, of the factors by which `clipped` cut components."""
        with np.errstate(divide="ignore"):
            log2 = np.log2(np.abs(self.mantissa)) + (self.exponent - MODERATE)
        return np.maximum(LN_2 * log2, 0.0)


def scaled(values: Array, exponent: int = 0) -> Scaled:
    """``values * 2.0**exponent`` with the largest component brought into [1/2, 1)."""
    shift = math.frexp(float(np.max(np.abs(values))))[1]
    exponent = min(max(exponent + shift, -EXPONENT_LIMIT), EXPONENT_LIMIT)
    return Scaled(np.ldexp(values, -shift), exponent)


def added(a: Scaled, b: Scaled) -> Scaled:
    """Add two vectors."""
    if not (a.mantissa.any() and b.mantissa.any()):
        return a if a.mantissa.any() else b
    large, small = (a, b) if a.exponent >= b.exponent else (b, a)
    shift = max(small.exponent - large.exponent, -2000)
    return scaled(large.mantissa + np.ldexp(small.mantissa, shift), large.exponent)


def outer(a: Scaled, b: Scaled) -> Scaled:
    """Multiply to the matrix a bᵀ."""
    return scaled(np.outer(a.mantissa, b.mantissa), a.exponent + b.exponent)


def activated(activation: Activation, h: Scaled) -> Scaled:
    """φ(h): beyond 2^±500 by its slopes at zero and at infinity, where they are not flat."""
    if abs(h.exponent) > MODERATE:
        far = activation.slope_at_infinity if h.exponent > 0 else activation.slope_at_zero
        linear = h.mantissa * np.where(h.mantissa < 0, *far)
        if np.all(np.isfinite(linear)) and linear.any():
            return scaled(linear, h.exponent)
    t = h.clipped
    value = activation.value(t)
    log_value = ACTIVATIONS[activation.name].log_value
    if log_value and np.max(np.abs(value)) < 2.0**-900:
        with np.errstate(divide="ignore"):
            tail = log_value(t, *activation.parameters.values())
        return _by_logarithms(value, tail, scaled(np.ones_like(t)))
    return scaled(value)


def backpropagated(activation: Activation, h: Scaled, g: Scaled) -> Scaled:
    """φ'(h) ∘ g."""
    law, t = ACTIVATIONS[activation.name], h.clipped
    slope = activation.derivative(t)
    product = slope * g.mantissa
    if law.log_derivative and np.max(np.abs(product)) < 2.0**-900:
        sign, log = law.log_derivative(t, *activation.parameters.values())
        return _by_logarithms(slope, (sign, log - law.decay * h.log_cut), g)
    return scaled(product, g.exponent)


def _by_logarithms(values: Array, tail: Tail, factor: Scaled) -> Scaled:
    """Multiply values ∘ factor, with (sign, ln |value|) from `tail` where a value underflowed."""
    with np.errstate(divide="ignore"):
        underflowed = np.abs(values) < 2.0**-950
        log2 = np.where(underflowed, tail[1] / LN_2, np.log2(np.abs(values)))
        log2 = np.maximum(log2 + np.log2(np.abs(factor.mantissa)), -EXPONENT_LIMIT)
    sign = np.where(underflowed, tail[0], np.sign(values)) * np.sign(factor.mantissa)
    exponent = math.floor(np.max(log2))
    return scaled(sign * np.exp2(log2 - exponent), factor.exponent + exponent)
