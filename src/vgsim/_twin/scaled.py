"""Arrays that neither underflow nor overflow: float64 mantissas with binary exponents.

After 100,000 sigmoid layers a gradient has a norm near 10^-130,000, but its direction and its
logarithm are ordinary numbers. So it is stored as mantissa · 2^exponent with the largest component
of the mantissa in [1/2, 1). Each column of a batch, that is each example, has its own exponent, so
that columns of very different norms keep their accuracy. A weight matrix has one exponent.
Exponents saturate at the same limit as in the kernels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vgsim._networks.activations import ACTIVATIONS, Activation, Tail

__all__ = [
    "Array",
    "Scaled",
    "activated",
    "argument",
    "backpropagated",
    "chosen",
    "outer",
    "scaled",
    "shifted",
    "transposed",
]

Array = NDArray[np.float64]
LOG10_2 = math.log10(2.0)
LN_2 = math.log(2.0)
MODERATE = 500  # φ is evaluated in plain float64 within 2^±500, beyond by its slopes
EXPONENT_LIMIT = 2**30 - 256  # as in the kernels: the sum of two exponents fits in 32 bits
TINY = -900  # columns below 2^TINY are evaluated by logarithms


@dataclass(frozen=True, slots=True)
class Scaled:
    """The array ``mantissa * 2.0**exponent``.

    mantissa
        (n, B), or (n,) for a single column.
    exponent
        Integers, one per column, of shape (B,) or (); a single one for a matrix, of shape (). The
        exponent of zeros is -EXPONENT_LIMIT.
    """

    mantissa: Array
    exponent: Any

    def __add__(self, other: Scaled) -> Scaled:
        common = np.maximum(self.exponent, other.exponent)
        a = shifted(self.mantissa, self.exponent - common)
        b = shifted(other.mantissa, other.exponent - common)
        return scaled(a + b, common)

    def __sub__(self, other: Scaled) -> Scaled:
        return self + -1.0 * other

    def __mul__(self, other: Scaled) -> Scaled:
        """Multiply elementwise."""
        return scaled(self.mantissa * other.mantissa, self.exponent + other.exponent)

    def __rmul__(self, factor: float) -> Scaled:
        mantissa, exponent = math.frexp(factor)
        return scaled(mantissa * self.mantissa, self.exponent + exponent)

    def __matmul__(self, columns: Scaled) -> Scaled:
        """Multiply a matrix by columns."""
        return scaled(self.mantissa @ columns.mantissa, self.exponent + columns.exponent)

    @property
    def T(self) -> Scaled:
        """The transpose of a matrix; `transposed` is that of columns."""
        return Scaled(self.mantissa.T, self.exponent)

    @property
    def norm(self) -> tuple[float, int]:
        """(size, e): the Frobenius norm of the array is size · 2^e, with size ≥ 1/2 or 0."""
        e = int(np.max(self.exponent))
        return float(np.linalg.norm(shifted(self.mantissa, self.exponent - e))), e

    @property
    def log10_norm(self) -> float:
        """log10 of the Frobenius norm; -inf for zero."""
        size, e = self.norm
        return math.log10(size) + e * LOG10_2 if size > 0 else -math.inf

    @property
    def clipped(self) -> Array:
        """The array in plain float64: components clipped to ±2^500, exponents to at least -500."""
        with np.errstate(over="ignore"):
            plain = shifted(self.mantissa, np.maximum(self.exponent, -MODERATE))
        cut: Array = _within(2.0**MODERATE, plain)
        return cut

    @property
    def log_cut(self) -> Array:
        """Natural logarithms, at least 0, of the factors by which `clipped` reduces components."""
        with np.errstate(divide="ignore"):
            log2 = np.log2(np.abs(self.mantissa)) + (self.exponent - MODERATE)
        log: Array = np.maximum(LN_2 * log2, 0.0)
        return log


def scaled(values: Array, exponent: Any = 0, *, axis: int | None = 0) -> Scaled:
    """``values * 2.0**exponent``, with the largest mantissa of every column in [1/2, 1).

    With ``axis=None`` the largest mantissa of the whole array is in [1/2, 1), as for a matrix.
    """
    largest, shift = np.frexp(np.abs(values).max(axis=axis))
    exponent = _within(EXPONENT_LIMIT, exponent + shift.astype(np.int64))
    return Scaled(np.ldexp(values, -shift), np.where(largest > 0, exponent, -EXPONENT_LIMIT))


def shifted(values: Array | float, exponent: Any) -> Array:
    """``values * 2.0**exponent`` in plain float64, for any exponent."""
    result: Array = np.ldexp(values, _within(4000, exponent))
    return result


def transposed(a: Scaled) -> Scaled:
    """Transpose columns: each row becomes a column with its own exponent."""
    mantissa, exponent = (array.T for array in np.frexp(a.mantissa))
    exponent = np.where(mantissa != 0, exponent + a.exponent[:, np.newaxis], -EXPONENT_LIMIT)
    common = np.max(exponent, axis=0)
    return scaled(shifted(mantissa, exponent - common), common)


def outer(a: Scaled, b: Scaled) -> Scaled:
    """Return the matrix a bᵀ, a sum over the columns of both.

    If the terms cancel to exactly 0, one element is set to the size of their rounding error.
    """
    some = np.any(a.mantissa, axis=0) & np.any(b.mantissa, axis=0)
    exponent = np.where(some, a.exponent + b.exponent, -2 * EXPONENT_LIMIT)
    common = np.max(exponent)
    a_mantissa = shifted(a.mantissa, exponent - common)
    product = a_mantissa @ b.mantissa.T
    if np.any(some) and not np.any(product):
        product[0, 0] = np.finfo(float).eps
    return scaled(product, common, axis=None)


def argument(activation: Activation, h: Scaled) -> Array:
    """Return h in plain float64, moderated where φ or its asymptotes do not depend on it.

    For a periodic φ exponents are clipped instead of components. The phase of numbers that large is
    that of rounding errors, and so it remains spread over all angles.
    """
    if activation.frequency:
        return shifted(h.mantissa, _within(MODERATE, h.exponent))
    return h.clipped


def activated(activation: Activation, h: Scaled) -> Scaled:
    """φ(h). Beyond 2^±500 it is h times the slope of φ at zero or infinity, if that is not 0."""
    law, t = ACTIVATIONS[activation.name], argument(activation, h)
    plain = activation.value(t)
    value = scaled(plain)
    tiny = value.exponent < TINY
    if law.log_value and np.any(tiny):
        with np.errstate(divide="ignore"):
            tail = law.log_value(t, *activation.parameters.values())
        value = chosen(tiny, _by_logarithms(plain, tail, scaled(np.ones_like(t))), value)
    for far, (left, right) in (
        (h.exponent < -MODERATE, activation.slope_at_zero),
        (h.exponent > MODERATE, activation.slope_at_infinity),
    ):
        if np.any(far) and math.isfinite(left):
            linear = scaled(h.mantissa * np.where(h.mantissa < 0, left, right), h.exponent)
            value = chosen(far & np.any(linear.mantissa, axis=0), linear, value)
    return value


def backpropagated(activation: Activation, h: Scaled, g: Scaled) -> Scaled:
    """φ'(h) ∘ g."""
    law, t = ACTIVATIONS[activation.name], argument(activation, h)
    slope = activation.derivative(t)
    plain = slope * g.mantissa
    product = scaled(plain, g.exponent)
    tiny = np.max(np.abs(plain), axis=0) < 2.0**TINY
    if law.log_derivative and np.any(tiny):
        sign, log = law.log_derivative(t, *activation.parameters.values())
        tail = (sign, log - law.decay * h.log_cut)
        product = chosen(tiny, _by_logarithms(slope, tail, g), product)
    return product


def _by_logarithms(values: Array, tail: Tail, factor: Scaled) -> Scaled:
    """Return values ∘ factor; where a value underflowed, `tail` gives its sign and logarithm."""
    with np.errstate(divide="ignore"):
        underflowed = np.abs(values) < 2.0 ** (TINY - 50)
        log2 = np.where(underflowed, tail[1] / LN_2, np.log2(np.abs(values)))
        log2 = np.maximum(log2 + np.log2(np.abs(factor.mantissa)), -EXPONENT_LIMIT)
    sign = np.where(underflowed, tail[0], np.sign(values)) * np.sign(factor.mantissa)
    exponent = np.floor(np.max(log2, axis=0)).astype(np.int64)
    return scaled(sign * np.exp2(log2 - exponent), factor.exponent + exponent)


def _within(limit: float, values: Any) -> Any:
    """Clip values to ±limit; np.clip takes three times as long."""
    return np.minimum(np.maximum(values, -limit), limit)


def chosen(columns: Any, a: Scaled, b: Scaled) -> Scaled:
    """Return the columns of `a` where `columns` is true, and those of `b` elsewhere."""
    return Scaled(
        np.where(columns, a.mantissa, b.mantissa), np.where(columns, a.exponent, b.exponent)
    )
