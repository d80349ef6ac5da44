"""Custom laws of weights: tables of coefficients in place of a quantile function q.

A weight is q(p) with p uniform on (0, 1). Both tails are functions of w = −log(2 P), P the tail
probability: q(e^-w/2) and q(1 − e^-w/2), for w from 0 (the median) to `LONGEST`. They are
approximated by piecewise polynomials with the accuracy of float32, and the same polynomials are
used in float64: probabilities near 1 have no more digits.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vgsim._checks import brief, type_error, value_error
from vgsim._networks.custom_table import QUANTILE, CustomTable, kept, table_of
from vgsim._networks.piecewise import HEAD, Piecewise, Unfit, fitted

__all__ = ["LONGEST", "from_quantile", "quantile_of", "tails_of"]

Array = NDArray[np.float64]
COUNT = 4  # coefficients of one polynomial, in either dtype
LONGEST = 32 * math.log(2.0)  # the tails end at the probability 2^-33
PANELS = 512  # of the quadrature
TOLERANCE = 1e-3  # of mean and variance
OF = " of init 'custom'"


def from_quantile(quantile: Any) -> CustomTable:
    """Return the table of a law of weights with that quantile function.

    Parameters
    ----------
    quantile : callable
        Takes and returns arrays of float64; on (0, 1) finite, increasing, and smooth but for a few
        points, with ∫ q = 0 and ∫ q² = 1 within `TOLERANCE`.

    Raises
    ------
    TypeError, ValueError
        If it is not such a function; the message says what was found.

    Examples
    --------
    >>> from scipy.special import ndtri
    >>> from vgsim._networks.custom_weights import from_quantile
    >>> from_quantile(ndtri).kind
    'quantile'
    """
    if not callable(quantile):
        raise type_error("quantile", f"must be a function, got {brief(quantile)}", OF)

    def lower(w: Array) -> Array:
        return _values(quantile, 0.5 * np.exp(-w))

    def upper(w: Array) -> Array:
        return _values(quantile, 1.0 - 0.5 * np.exp(-w))

    w = np.linspace(0.0, LONGEST, 4097)
    along = np.concatenate([lower(w)[::-1], upper(w)])
    falls = np.diff(along) < -1e-12 * np.abs(along).max()
    if falls.any():
        at = int(np.argmax(falls))
        raise value_error(
            "quantile", f"must not decrease, got {along[at]:.6g} before {along[at + 1]:.6g}", OF
        )
    try:
        pieces = fitted([lower, upper], [0.0, LONGEST], "float32", COUNT)
    except Unfit as error:
        raise value_error(
            "quantile",
            "must be smooth but for a few points (a law with jumps is not approximated): it needs "
            f"too many polynomials near the tail probability {0.5 * math.exp(-error.low):.3g}",
            OF,
        ) from None
    mean, variance = _moments(pieces)
    if abs(mean) > TOLERANCE or abs(variance - 1.0) > TOLERANCE:
        raise value_error(
            "quantile",
            f"must have mean 0 and variance 1, found {mean:.6g} and {variance:.6g}, with tails "
            "that end at the probability 2**-33: subtract the mean and divide by the standard "
            "deviation",
            OF,
        )
    tables = {dtype: pieces.table(dtype) for dtype in ("float32", "float64")}
    return kept(CustomTable(QUANTILE, (), 0.0, tables))


def _values(quantile: Callable[[Array], Any], p: Array) -> Array:
    """Return q(p); refuse values that are not finite reals."""
    with np.errstate(all="ignore"):
        try:
            found = np.asarray(quantile(p.copy()))
        except Exception as error:
            problem = f"must take an array of float64, and raised {error!r}"
            raise value_error("quantile", problem, OF) from error
    if found.shape != p.shape or found.dtype.kind not in "fiu":
        raise value_error(
            "quantile",
            f"must return an array of reals of the shape of its argument, {p.shape}, got "
            f"{found.dtype} of the shape {found.shape}",
            OF,
        )
    if not np.isfinite(found).all():
        at = int(np.argmin(np.isfinite(found)))
        problem = f"must be finite on (0, 1), got {found[at]} at p = {p[at]:.6g}"
        raise value_error("quantile", problem, OF)
    return found.astype(np.float64)


def _moments(pieces: Piecewise) -> tuple[float, float]:
    """Return mean and variance: ∫ e^-w/2 (q_lower + q_upper) dw, by Gauss-Legendre on panels."""
    x, weights = np.polynomial.legendre.leggauss(8)
    half = 0.5 * LONGEST / PANELS
    w = (half * (2 * np.arange(PANELS)[:, np.newaxis] + 1 + x)).ravel()
    measure = half * np.tile(weights, PANELS) * 0.5 * np.exp(-w)
    lower, upper = pieces(w)
    mean = float(measure @ (lower + upper))
    return mean, float(measure @ (lower**2 + upper**2)) - mean * mean


def quantile_of(sha256: Any) -> CustomTable:
    """Return the table of a law of weights with that SHA-256; ValueError if it is not known."""
    table = table_of(sha256, OF)
    if table.kind != QUANTILE:
        raise value_error("sha256", "is that of an activation, not of a law of weights", OF)
    return table


@lru_cache(maxsize=64)
def tails_of(sha256: str) -> Piecewise:
    """Return the two tails as functions of w.

    Examples
    --------
    >>> from scipy.special import ndtri
    >>> from vgsim._networks.custom_weights import from_quantile, tails_of
    >>> lower, upper = tails_of(from_quantile(ndtri).sha256)(0.0)
    >>> round(float(upper - lower), 6)
    0.0
    """
    table = quantile_of(sha256).tables["float64"].astype(np.float64)
    segments = table[4 : 4 + 4 * int(table[0])].reshape(-1, 4)
    return Piecewise(segments, table[HEAD:].reshape(-1, 2 * COUNT), COUNT)
