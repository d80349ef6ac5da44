"""Gaussian means E f(h) with an error of about 1e-13: Gauss-Legendre panels between kinks.

A panel is at most as long as twice the standard deviation of h, and as its distance from the
nearest kink (from 0 for a smooth activation, whose scale is 1), because f may vary on the scale 1
while h spans many decades. All nodes are evaluated at once.

For a periodic activation the nodes are equidistant. With h = std z the mean over nodes of z at the
distance d of a function of the frequency m ω is its Gaussian mean but for the terms of the
frequencies m ω std - 2π k/d, k ≠ 0, of a size exp(-½ (…)²). For m up to 4 they are negligible if d
is small beside 1/(ω std), or if ω std d/2π is a fifth more or less than an integer, or two fifths.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vgsim._checks import value_error
from vgsim._domains import Number
from vgsim._networks.activations import Activation, as_activation
from vgsim.typing import ActivationName

__all__ = ["checked_variance", "gaussian_mean", "nodes"]

Array = NDArray[np.float64]

REACH = 12.0  # range of the quadrature in standard deviations; the density beyond is below 1e-31
_VARIANCE = Number("at least 0", lambda q: q >= 0)
TINY, HUGE = 1e-300, 1e150  # |h| at which the limits h → 0 and h → ∞ are evaluated
WIDEST = 0.14  # distance of the nodes of z for a periodic activation, at most
MANY_TURNS = 100.0  # ω std from which on the phase ωh is uniform but for exp(-5000)


def gaussian_mean(
    f: Callable[[Array], ArrayLike],
    variance: float,
    activation: ActivationName | Activation | None = None,
    hermite: int = 0,
) -> float:
    """Return E f(h) He_k(h/√variance), h ~ N(0, variance), with a relative error of about 1e-13.

    Parameters
    ----------
    f : callable
        Takes a float64 array and returns an array of the same shape, elementwise, or one number. It
        grows at most polynomially, and is smooth on the scale 1 except at kinks of `activation`.
    variance : float
        At least 0. At 0 the result is the mean of f(0-) and f(0+), at infinity the mean of
        f(-1e150) and f(1e150), which is the limit if f has limits on both sides; for a periodic
        activation the mean over a period.
    activation : str or Activation, optional
        The activation in f, whose kinks the panels avoid. If it is periodic, f is a polynomial in
        φ and φ', of degree at most 4.
    hermite : {0, 2, 4}, default 0
        k of the Hermite polynomial (He_0 = 1), for a variance that is neither 0 nor infinite.

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
    phi = None if activation is None else as_activation(activation)
    std = float(_resolved(phi, math.sqrt(variance)))
    if std == 0 or math.isinf(std):
        h, weights = (TINY if std == 0 else HUGE) * np.array([-1.0, 1.0]), np.full(2, 0.5)
    else:
        h, weights = nodes(0.0, std, phi)
    values = np.asarray(f(h), dtype=np.float64)
    if values.shape not in ((), h.shape):
        raise value_error(
            "f", f"must be elementwise, got values of shape {values.shape} for {h.shape}"
        )
    if hermite:
        z = (h / std) ** 2
        weights = weights * (z - 1.0 if hermite == 2 else z * z - 6.0 * z + 3.0)
    return float(np.sum(weights * values))  # BLAS would start threads for long vectors


def checked_variance(argument: str, value: object) -> float:
    """Return a variance as a float >= 0, which may be infinite."""
    if isinstance(value, float) and math.isinf(value) and value > 0:
        return math.inf
    return _VARIANCE.check(argument, value)


@cache
def _legendre() -> tuple[Array, Array]:
    """Return Gauss-Legendre nodes and weights on (-1, 1)."""
    x, w = np.polynomial.legendre.leggauss(16)
    return x, w


def _resolved(phi: Activation | None, std: ArrayLike) -> Any:
    """Return std, reduced where a periodic φ cannot tell: large ω h would lose their phase."""
    return np.minimum(std, MANY_TURNS / phi.frequency) if phi and phi.frequency else std


def nodes(
    mean: ArrayLike, std: ArrayLike, phi: Activation | None, scale: float = 0.5
) -> tuple[Array, Array]:
    """Return N nodes h and weights of means over N(mean, std²), along a new last axis.

    They are for functions of φ and φ' (of h alone if `phi` is None). `scale` is the length of the
    panels next to the kinks of φ, or next to 0 if it is smooth.
    """
    m, s = np.asarray(mean)[..., None], np.asarray(_resolved(phi, std))[..., None]
    if phi and phi.frequency:
        z, weights = _equidistant(phi.frequency * s)
    else:
        z, weights = _panels(m, s, (phi and phi.kinks) or (0.0,), scale)
    return m + s * z, weights


def _equidistant(turns: Array) -> tuple[Array, Array]:
    """Return nodes z and weights for a periodic φ of ω std = `turns`."""
    fifths = np.floor(5.0 * WIDEST * turns / (2.0 * math.pi))
    fifths -= fifths % 5 == 0
    with np.errstate(divide="ignore", invalid="ignore"):
        step = np.where(fifths < 1, 0.9 * WIDEST, 2.0 * math.pi * fifths / (5.0 * turns))
    count = math.ceil(REACH / (WIDEST / 2.0))
    z: Array = step * np.arange(-count, count + 1)
    return z, step * _density(z)


def _density(z: Array) -> Array:
    return np.asarray(np.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi))


def _panels(
    mean: Array, std: Array, centres: tuple[float, ...], scale: float
) -> tuple[Array, Array]:
    """Return nodes z and weights of Gauss-Legendre panels."""
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
    weights = half[..., None] * w * _density(z)
    shape = (*edges.shape[:-1], -1)
    return z.reshape(shape), weights.reshape(shape)
