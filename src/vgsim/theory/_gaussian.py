"""Gaussian means E f(h) with an error of about 1e-13: Gauss-Legendre panels between kinks.

A panel is at most as long as twice the standard deviation of h, and as its distance from the
nearest kink (from 0 for a smooth activation, whose scale is 1), because f may vary on the scale 1
while h spans many decades. All nodes are evaluated at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vgsim._checks import value_error
from vgsim._domains import Number
from vgsim._networks.activations import Activation, as_activation

__all__ = ["checked_variance", "gaussian_mean", "kinks", "nodes"]

Array = NDArray[np.float64]

REACH = 12.0  # range of the quadrature in standard deviations; the density beyond is below 1e-31
_VARIANCE = Number("at least 0", lambda q: q >= 0)
TINY, HUGE = 1e-300, 1e150  # |h| at which the limits h → 0 and h → ∞ are evaluated


def gaussian_mean(
    f: Callable[[Array], ArrayLike],
    variance: float,
    activation: str | Activation | None = None,
) -> float:
    """Return E f(h) for h ~ N(0, variance), with a relative error of about 1e-13.

    Parameters
    ----------
    f : callable
        Takes a float64 array and returns an array of the same shape, elementwise, or one number. It
        grows at most polynomially, and is smooth on the scale 1 except at kinks of `activation`.
    variance : float
        At least 0. At 0 the result is the mean of f(0-) and f(0+), at infinity the mean of
        f(-1e150) and f(1e150), which is the limit if f has limits on both sides.
    activation : str or Activation, optional
        The activation in f, whose kinks the panels avoid.

    Returns
    -------
    float

    Raises
    ------
    TypeError, ValueError
        If the variance is not a number >= 0, or f returns an array of another shape.

    Examples
    --------
    >>> from vgsim.theory._gaussian import gaussian_mean
    >>> round(gaussian_mean(lambda h: h**4, 2.0), 10)
    12.0
    """
    variance = checked_variance("variance", variance)
    if variance == 0 or math.isinf(variance):
        h, weights = (TINY if variance == 0 else HUGE) * np.array([-1.0, 1.0]), np.full(2, 0.5)
    else:
        h, weights = nodes(0.0, math.sqrt(variance), kinks(activation))
    values = np.asarray(f(h), dtype=np.float64)
    if values.shape not in ((), h.shape):
        raise value_error(
            "f", f"must be elementwise, got values of shape {values.shape} for {h.shape}"
        )
    return float(weights @ np.broadcast_to(values, h.shape))


def checked_variance(argument: str, value: object) -> float:
    """Return a variance as a float >= 0, which may be infinite."""
    if isinstance(value, float) and math.isinf(value) and value > 0:
        return math.inf
    return _VARIANCE.check(argument, value)


def kinks(activation: str | Activation | None) -> tuple[float, ...]:
    """Return the h at which φ or φ' jumps; (0.0,) for a smooth φ."""
    return (activation is not None and as_activation(activation).kinks) or (0.0,)


@cache
def _legendre() -> tuple[Array, Array]:
    """Return Gauss-Legendre nodes and weights on (-1, 1)."""
    x, w = np.polynomial.legendre.leggauss(16)
    return x, w


def nodes(
    mean: ArrayLike, std: ArrayLike, centres: tuple[float, ...], scale: float = 0.5
) -> tuple[Array, Array]:
    """Return N nodes h and weights of means over N(mean, std²), along a new last axis.

    `scale` is the length of the panels next to the centres.
    """
    mean, std = np.asarray(mean)[..., None], np.asarray(std)[..., None]
    low, high = float((mean - REACH * std).min()), float((mean + REACH * std).max())
    furthest = max(abs(low), abs(high)) + 1.0
    ladder = scale * 2.0 ** np.arange(max(1, math.ceil(math.log2(furthest / scale)) + 1))
    h = np.concatenate([np.array([c, *(c - ladder), *(c + ladder)]) for c in centres])
    h = h[(h > low) & (h < high)]
    inner = np.clip((h - mean) / std, -REACH, REACH)
    outer = np.broadcast_to(np.arange(-REACH, REACH + 1.0, 2.0), (*inner.shape[:-1], 13))
    edges = np.sort(np.concatenate([inner, outer], axis=-1), axis=-1)
    middle, half = (edges[..., 1:] + edges[..., :-1]) / 2.0, np.diff(edges) / 2.0
    x, w = _legendre()
    z = middle[..., None] + half[..., None] * x
    weights = half[..., None] * w * np.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi)
    shape = (*edges.shape[:-1], -1)
    return mean + std * z.reshape(shape), weights.reshape(shape)
