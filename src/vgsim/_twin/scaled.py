"""Arrays that neither underflow nor overflow: float64 mantissas with binary exponents.

After 100,000 sigmoid layers a gradient has a norm near 10^-130,000, but its direction and its
logarithm are ordinary numbers. So it is stored as mantissa · 2^exponent. As long as the norms of
all columns lie within 2^±64 of each other, they share one exponent, and the mantissas change only
when a norm leaves 2^±64: an ordinary network is evaluated in plain float64. Otherwise each column
of a batch, that is each example, has its own exponent, so that columns of very different norms keep
their accuracy. A weight matrix has one exponent. Exponents saturate at the same limit as in the
kernels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vgsim._networks.activation_table import Tail
from vgsim._networks.activations import Activation

__all__ = [
    "Array",
    "Scaled",
    "activated",
    "argument",
    "backpropagated",
    "chosen",
    "joined",
    "normalised",
    "product",
    "product_norm",
    "scaled",
    "shifted",
    "slopes",
    "transposed",
]

Array = NDArray[np.float64]
LOG10_2 = math.log10(2.0)
LN_2 = math.log(2.0)
ORDINARY = 64  # norms of mantissas lie within 2^±64 where columns share an exponent
LEAST, MOST = 4.0**-ORDINARY, 4.0**ORDINARY  # their squares
MODERATE = 500  # φ is evaluated in plain float64 within 2^±500, beyond by its slopes
EXPONENT_LIMIT = 2**30 - 256  # as in the kernels: the sum of two exponents fits in 32 bits
FAR = EXPONENT_LIMIT // 2  # larger exponents might saturate
LARGE = 2**12  # matrices with more entries per column of X are not formed for their norm
TINY = -900  # columns below 2^TINY are evaluated by logarithms


class Scaled:
    """The array ``mantissa * 2.0**exponent``.

    mantissa
        (n, B), or (n,) for a single column. Of three axes the first is that of the columns.
    exponent
        An int if it is the same for all columns, none of which is zero; otherwise an array of ints,
        one per column, (B,). Then the largest mantissa of every column is in [1/2, 1), and the
        exponent of zeros is -EXPONENT_LIMIT. A matrix has an int.
    square
        The sum of the squares of the mantissas, if it is known.
    """

    __slots__ = ("exponent", "mantissa", "square")

    def __init__(self, mantissa: Array, exponent: Any, square: float | None = None) -> None:
        self.mantissa, self.exponent, self.square = mantissa, exponent, square

    def __add__(self, other: Scaled) -> Scaled:
        if type(self.exponent) is type(other.exponent) is int and self.exponent == other.exponent:
            return scaled(self.mantissa + other.mantissa, self.exponent)
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
        if abs(factor) == 1.0:
            return Scaled(factor * self.mantissa, self.exponent, self.square)
        mantissa, exponent = math.frexp(factor)
        if abs(exponent) <= ORDINARY:
            return scaled(factor * self.mantissa, self.exponent)
        return scaled(mantissa * self.mantissa, self.exponent + exponent)

    def __matmul__(self, columns: Scaled) -> Scaled:
        """Multiply a matrix by columns."""
        return scaled(self.mantissa @ columns.mantissa, self.exponent + columns.exponent)

    @property
    def T(self) -> Scaled:
        """The transpose of a matrix; `transposed` is that of columns."""
        return Scaled(self.mantissa.T, self.exponent, self.square)

    @property
    def by_column(self) -> Scaled:
        """The same columns, with an array of exponents."""
        return normalised(self.mantissa, self.exponent) if np.ndim(self.exponent) == 0 else self

    @property
    def norm(self) -> tuple[float, int]:
        """(size, e): the Frobenius norm of the array is size · 2^e; size is moderate, or 0."""
        if type(self.exponent) is int:
            if self.square is None:
                self.square = sum(_squares(self.mantissa))
            return math.sqrt(self.square), self.exponent
        e = int(np.max(self.exponent))
        return float(np.linalg.norm(shifted(self.mantissa, self.exponent - e))), e

    @property
    def log10_norm(self) -> float:
        """log10 of the Frobenius norm; -inf for zero."""
        size, e = self.norm
        if size == 0:
            return -math.inf
        mantissa, shift = math.frexp(size)
        if abs(e + shift) < 1000:
            return math.log10(math.ldexp(mantissa, e + shift))
        return math.log10(mantissa) + (e + shift) * LOG10_2

    @property
    def plain(self) -> tuple[Array, int]:
        """(values, e): the array is values · 2^e, and e is 0 if the largest entry is moderate.

        Otherwise the largest entry of `values` is in [1/2, 1).
        """
        common = int(np.max(self.exponent))
        values = shifted(self.mantissa, self.exponent - common)
        largest, shift = math.frexp(float(np.abs(values).max()))
        e = common + shift
        if largest == 0 or abs(e) <= -TINY:
            return shifted(self.mantissa, self.exponent), 0
        return shifted(values, -shift), e

    @property
    def is_moderate(self) -> bool:
        """Whether `clipped` would change nothing, and no column is zero."""
        return type(self.exponent) is int and abs(self.exponent) <= MODERATE - 2 * ORDINARY

    @property
    def clipped(self) -> Array:
        """The array in plain float64: components clipped to ±2^500, exponents to at least -500."""
        if self.is_moderate:
            return np.ldexp(self.mantissa, self.exponent) if self.exponent else self.mantissa
        own = self.by_column
        with np.errstate(over="ignore"):
            plain = shifted(own.mantissa, np.maximum(own.exponent, -MODERATE))
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
    """``values * 2.0**exponent``; with ``axis=None`` as a matrix.

    Examples
    --------
    >>> import numpy as np
    >>> from vgsim._twin.scaled import scaled
    >>> scaled(np.array([[3.0, 5.0]])).exponent, scaled(np.array([[3.0, 3e-30]])).exponent
    (0, array([  2, -98]))
    """
    if values.ndim > 2:
        return normalised(values, exponent)
    if type(exponent) is int or np.ndim(exponent) == 0:
        exponent = int(exponent)
        squares = _squares(values, axis)
        if min(squares) > LEAST and max(squares) < MOST and -FAR < exponent < FAR:
            return Scaled(values, exponent, sum(squares))
    own = normalised(values, exponent, axis=axis)
    if own.exponent.size == 1 and (axis is None or own.exponent.item() > -EXPONENT_LIMIT):
        return Scaled(own.mantissa, own.exponent.item())
    if own.exponent.ndim == 1:
        top, bottom = int(own.exponent.max()), int(own.exponent.min())
        if top - bottom < ORDINARY and bottom > -FAR and top < FAR:
            return Scaled(shifted(own.mantissa, own.exponent - top), top)
    return own


def normalised(values: Array, exponent: Any = 0, *, axis: int | None = 0) -> Scaled:
    """``values * 2.0**exponent`` with an array of exponents, one per column.

    The largest mantissa of every column is in [1/2, 1), or with ``axis=None`` that of the array.
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
    if type(a.exponent) is int:
        return scaled(a.mantissa.T, a.exponent)
    mantissa, exponent = (array.T for array in np.frexp(a.mantissa))
    exponent = np.where(mantissa != 0, exponent + a.exponent[:, np.newaxis], -EXPONENT_LIMIT)
    common = np.max(exponent, axis=0)
    return scaled(shifted(mantissa, exponent - common), common)


def joined(parts: Sequence[Scaled]) -> Scaled:
    """Return all columns of several arrays side by side, with an array of exponents."""
    return Scaled(
        np.hstack([part.mantissa for part in parts]),
        np.concatenate([np.broadcast_to(p.exponent, p.mantissa.shape[1]) for p in parts]),
    )


def product_norm(a: Scaled, b: Scaled) -> float:
    """Return log10 of the Frobenius norm of the matrix a bᵀ, a sum over the columns of both.

    With a = Q R it is the norm of R bᵀ. If the terms cancel to exactly 0, one element is set to the
    size of their rounding error.

    Examples
    --------
    >>> import numpy as np
    >>> from vgsim._twin.scaled import product_norm, scaled
    >>> product_norm(scaled(np.array([[3.0], [4.0]])), scaled(np.array([[20.0]])))
    2.0
    """
    (n, columns), m = a.mantissa.shape, len(b.mantissa)
    both_ordinary = type(a.exponent) is int and type(b.exponent) is int
    if columns == 1 and both_ordinary:
        return float(_within(EXPONENT_LIMIT * LOG10_2, a.log10_norm + b.log10_norm))
    left, common = a.mantissa, a.exponent + b.exponent
    if not both_ordinary:
        some = np.any(a.mantissa, axis=0) & np.any(b.mantissa, axis=0)
        exponent = np.where(some, common, -2 * EXPONENT_LIMIT)
        common = int(np.max(exponent))
        left = shifted(left, exponent - common)
        if not np.any(some):
            return -math.inf
    if LARGE * columns < n * m:
        left = np.asarray(np.linalg.qr(left, mode="r"))
    whole = left @ b.mantissa.T
    if not np.any(whole):
        whole[0, 0] = np.finfo(float).eps * np.abs(left).max() * np.abs(b.mantissa).max()
    return scaled(whole, common, axis=None).log10_norm


def product(a: Scaled, b: Scaled) -> Scaled:
    """Return a ∘ b, where the products of the mantissas of a column may all underflow.

    Examples
    --------
    >>> import numpy as np
    >>> from vgsim._twin.scaled import product, scaled
    >>> a, b = scaled(np.array([[1.0], [1e-200]])), scaled(np.array([[0.0], [1e-200]]))
    >>> round(product(a, b).log10_norm, 10)
    -400.0
    """
    plain, exponent = a * b, a.exponent + b.exponent
    if type(plain.exponent) is type(exponent) is int and plain.exponent - exponent > TINY:
        return plain
    (m, e), (m_b, e_b) = np.frexp(a.mantissa), np.frexp(b.mantissa)
    both = np.where(m * m_b != 0, e.astype(np.int64) + e_b, -EXPONENT_LIMIT)
    common = np.max(both, axis=0)
    return scaled(shifted(m * m_b, both - common), exponent + common)


def argument(activation: Activation, h: Scaled) -> Array:
    """Return h in plain float64, moderated where φ or its asymptotes do not depend on it.

    For a periodic φ exponents are clipped instead of components. The phase of numbers that large is
    that of rounding errors, and so it remains spread over all angles.
    """
    if h.is_moderate or not activation.frequency:
        return h.clipped
    own = h.by_column
    return shifted(own.mantissa, _within(MODERATE, own.exponent))


def activated(activation: Activation, h: Scaled) -> Scaled:
    """φ(h). Beyond 2^±500 it is h times the slope of φ at zero or infinity, if that is not 0."""
    h = h if h.is_moderate else h.by_column
    law, t = activation.law, argument(activation, h)
    plain = law.value(t, *activation._values)
    value = scaled(plain)
    if value.is_moderate and h.is_moderate:
        return value
    tiny = value.exponent < TINY
    if law.log_value and np.any(tiny):
        with np.errstate(divide="ignore"):
            tail = law.log_value(t, *activation._values)
        value = chosen(tiny, _by_logarithms(plain, tail, normalised(np.ones_like(t))), value)
    for far, (left, right) in (
        (h.exponent < -MODERATE, activation.slope_at_zero),
        (h.exponent > MODERATE, activation.slope_at_infinity),
    ):
        if np.any(far) and math.isfinite(left):
            linear = scaled(h.mantissa * np.where(h.mantissa < 0, left, right), h.exponent)
            value = chosen(far & np.any(linear.mantissa, axis=0), linear, value)
    return value


def slopes(activation: Activation, h: Scaled) -> Array:
    """φ'(h) in plain float64."""
    return np.asarray(activation.law.derivative(argument(activation, h), *activation._values))


def backpropagated(
    activation: Activation, h: Scaled, g: Scaled, slope: Array | None = None
) -> Scaled:
    """φ'(h) ∘ g, with φ'(h) = `slope` in plain float64 if it is known."""
    slope = slopes(activation, h) if slope is None else slope
    plain = slope * g.mantissa
    product = scaled(plain, g.exponent)
    if type(product.exponent) is type(g.exponent) is int and product.exponent - g.exponent > TINY:
        return product
    law, tiny = activation.law, np.max(np.abs(plain), axis=0) < 2.0**TINY
    if law.log_derivative and np.any(tiny):
        sign, log = law.log_derivative(h.clipped, *activation._values)
        tail = (sign, log - law.decay * h.log_cut)
        product = chosen(tiny, _by_logarithms(slope, tail, g.by_column), product)
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


def _squares(values: Array, axis: int | None = None) -> list[float]:
    """Return the sum of the squares of each column, or of all entries with ``axis=None``."""
    if axis is None or values.ndim == 1 or values.shape[1] == 1:
        flat = values.ravel(order="K")
        return [float(np.vdot(flat, flat))]  # unlike dot, without a warning of overflow
    sums: list[float] = np.einsum("ij,ij->j", values, values).tolist()
    return sums


def _within(limit: float, values: Any) -> Any:
    """Clip values to ±limit; np.clip takes three times as long."""
    return np.minimum(np.maximum(values, -limit), limit)


def chosen(columns: Any, a: Scaled, b: Scaled) -> Scaled:
    """Return the columns of `a` where `columns` is true, and those of `b` elsewhere."""
    a, b = a.by_column, b.by_column
    return Scaled(
        np.where(columns, a.mantissa, b.mantissa), np.where(columns, a.exponent, b.exponent)
    )
