"""Quantiles of samples that may be −inf, with intervals between order statistics."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vgsim._checks import checked_numbers, value_error
from vgsim._statistics.estimate import Estimate, checked_level


def quantile(values: ArrayLike, q: ArrayLike) -> float | NDArray[np.float64]:
    """Return quantiles of values that may be −inf.

    The definition is NumPy's and R's default (type 7 of Hyndman and Fan, The American Statistician
    50 (1996) 361): linear interpolation between the order statistics at rank ``q (n - 1)``. With
    any weight on a −inf the quantile is −inf, so none is NaN and they never decrease with `q`.

    Parameters
    ----------
    values : array_like, shape (n,)
        Numbers or −inf, n >= 1.
    q : array_like
        Probabilities between 0 and 1, of any shape.

    Returns
    -------
    float, or float64 array of the shape of `q`

    Raises
    ------
    TypeError
        If `q` is not a number or numbers.
    ValueError
        If a q lies outside [0, 1].

    Examples
    --------
    >>> import numpy as np
    >>> from vgsim._statistics.quantiles import quantile
    >>> quantile([-np.inf, 1.0, 3.0], [0.25, 0.5, 0.75])
    array([-inf,   1.,   2.])
    """
    values, q = np.asarray(values, dtype=np.float64), checked_quantile(q)
    rank = q * (values.size - 1)
    below = np.floor(rank).astype(np.intp)
    above = np.ceil(rank).astype(np.intp)
    ordered = np.partition(values, np.unique([below, above]))
    return interpolated(rank, ordered[below], ordered[above])


def interpolated(
    rank: NDArray[np.float64], low: NDArray[np.float64], high: NDArray[np.float64]
) -> float | NDArray[np.float64]:
    """Return what lies between the order statistics below and above a rank; −inf stays.

    Examples
    --------
    >>> import numpy as np
    >>> from vgsim._statistics.quantiles import interpolated
    >>> interpolated(np.array([1.5, 2.25]), np.array([-np.inf, 1.0]), np.array([1.0, 3.0]))
    array([-inf,  1.5])
    """
    with np.errstate(invalid="ignore"):
        between = low + (rank - np.floor(rank)) * (high - low)
    result = np.where((low == high) | (low == -np.inf), low, between)
    return float(result) if rank.ndim == 0 else result


def checked_quantile(q: ArrayLike) -> NDArray[np.float64]:
    """Return probabilities between 0 and 1, or raise what `quantile` says.

    Examples
    --------
    >>> from vgsim._statistics.quantiles import checked_quantile
    >>> checked_quantile([0.5, 2])
    Traceback (most recent call last):
    ValueError: q must lie between 0 and 1, got [0.5, 2.0]
    """
    found = checked_numbers("q", q)
    if not np.all((found >= 0) & (found <= 1)):
        raise value_error("q", f"must lie between 0 and 1, got {found.tolist()}")
    return found


def quantile_interval(values: ArrayLike, q: ArrayLike, confidence_level: float = 0.95) -> Estimate:
    """Estimate quantiles of the law that independent samples come from.

    The limits are order statistics. The number of samples at or below the quantile of a continuous
    law is Binomial(n, q), whatever the law; with ties, as among samples at −inf, the interval only
    covers more often. Each tail has at most half of what the level leaves, so the coverage is never
    below nominal.

    Parameters
    ----------
    values : array_like, shape (n,)
        Independent samples: numbers or −inf, n >= 1.
    q : float or array_like
        Between 0 and 1, of any shape.
    confidence_level : float, default 0.95
        Between 0 and 1; for each quantile by itself.

    Returns
    -------
    Estimate
        Of floats, or of arrays of the shape of `q`. The estimate is NumPy's quantile, with any
        weight on a −inf it is −inf. A limit is infinite where the samples are too few for it.

    Raises
    ------
    TypeError, ValueError
        If `q`, `values` or `confidence_level` is none of these.

    References
    ----------
    H. A. David and H. N. Nagaraja, Order Statistics, 3rd ed. (2003), section 7.1.

    Examples
    --------
    >>> from vgsim._statistics.quantiles import quantile_interval
    >>> print(quantile_interval(range(1, 101), 0.5))
    50.5 (95 % interval 40 to 61)
    """
    confidence_level = checked_level(confidence_level)
    values, q = np.asarray(values, dtype=np.float64), checked_numbers("q", q)
    if values.ndim != 1 or not values.size or np.isnan(values).any():
        raise value_error("values", "must be a vector of one or more numbers or -inf, none NaN")
    from scipy.stats import binom

    estimate = quantile(values, q)
    tail = (1 - confidence_level) / 2
    low, high = binom.ppf(tail, values.size, q), binom.isf(tail, values.size, q) + 1
    ranks = np.stack([low, high]).astype(np.intp)  # from 1; 0 and n + 1 are infinitely far
    bounded = np.concatenate([[-np.inf], np.sort(values), [np.inf]])
    limits = bounded[np.clip(ranks, 0, values.size + 1)]
    low, high = np.minimum(limits[0], estimate), np.maximum(limits[1], estimate)
    if q.ndim == 0:
        low, high = float(low), float(high)
    return Estimate(estimate, low, high, confidence_level, "order statistics")
