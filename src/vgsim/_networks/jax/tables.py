"""Piecewise polynomials in JAX: custom activations and custom laws of weights.

The tables are those that the kernels take, of the dtype of the argument.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from vgsim._networks.custom_activation import CUSTOM_HEAD
from vgsim._networks.custom_table import KINDS, CustomTable
from vgsim._networks.piecewise import COEFFICIENTS, HEAD

__all__ = ["Pieces", "custom"]


@dataclass(frozen=True, eq=False)
class Pieces:
    """Functions as polynomials on pieces: see :class:`vgsim._networks.piecewise.Piecewise`.

    Attributes
    ----------
    table : ndarray
        As `Piecewise.table` returns it, and possibly more behind it.
    count : int
        Coefficients of one polynomial, 4 or 8.
    """

    table: NDArray[np.floating[Any]]
    count: int

    def __call__(self, t: Array) -> tuple[Array, Array]:
        """Return the values of two functions at t, which must be in the domain."""
        segments = self.table[4 : 4 + 4 * int(self.table[0])].reshape(-1, 4)
        rows = self.table[HEAD:].reshape(-1, 2 * self.count)
        first = segments[:, 3].astype(np.int32)
        last = np.append(first[1:], len(rows)).astype(np.int32) - 1
        own = jnp.searchsorted(segments[1:, 0], t, side="left", method="compare_all")
        scale, shift = jnp.asarray(segments[:, 1])[own], jnp.asarray(segments[:, 2])[own]
        low, high = jnp.asarray(first)[own], jnp.asarray(last)[own]
        u = t * scale + shift
        place = jnp.clip(jnp.rint(u).astype(jnp.int32), 0, high - low)
        c, f = jnp.asarray(rows)[low + place], u - place.astype(u.dtype)
        return _polynomial(c[..., : self.count], f), _polynomial(c[..., self.count :], f)


def _polynomial(c: Array, f: Array) -> Array:
    """c_0 + c_1 f + …, by Horner's rule."""
    value = c[..., -1]
    for k in range(c.shape[-1] - 2, -1, -1):
        value = value * f + c[..., k]
    return value


@dataclass(frozen=True, eq=False)
class _Tails:
    """What is known of h beyond the cuts: a + s h, and the rest ±2^(…) of φ and φ'."""

    head: NDArray[np.floating[Any]]
    pieces: Pieces

    def __call__(self, h: Array) -> tuple[Array, Array]:
        """Return φ and φ'."""
        up, (low, high) = h > 0, self.head[2:4]
        a, s, sign, slope_sign = (
            jnp.where(up, self.head[8 + k], self.head[4 + k]) for k in range(4)
        )
        rest, slope_rest = self.pieces(jnp.clip(h, low, high))
        known = (h >= low) & (h <= high)
        most = float(np.finfo(self.head.dtype).maxexp - 24)
        value, slope = (jnp.exp2(jnp.minimum(log2, most)) for log2 in (rest, slope_rest))
        return (
            s * h + (a + jnp.where(known, sign * value, 0)),
            s + jnp.where(known, slope_sign * slope, 0),
        )


def custom(table: CustomTable) -> tuple[Callable[[Array], Array], Callable[[Array], Array]]:
    """Return φ and φ' of a custom activation."""
    is_zero_at_zero = table.kind in KINDS[:2]

    def of(h: Array) -> tuple[Array, Array]:
        reals, count = table.tables[h.dtype.name], COEFFICIENTS[h.dtype.name]
        head, core, tails = np.split(reals, [CUSTOM_HEAD, int(reals[12])])
        P, slope = Pieces(core, count)(jnp.clip(h, head[0], head[1]))
        value = h * P if is_zero_at_zero else P
        beyond = (h <= head[0]) | (h > head[1])
        tail, tail_slope = _Tails(head, Pieces(tails, count))(h)
        return jnp.where(beyond, tail, value), jnp.where(beyond, tail_slope, slope)

    return lambda h: of(h)[0], lambda h: of(h)[1]
