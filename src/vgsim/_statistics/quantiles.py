"""Quantiles of samples that may be infinite, with intervals from order statistics."""

from __future__ import annotations

from typing import overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vgsim._checks import checked_numbers, value_error
from vgsim._statistics.estimate import Estimate, Floats, Scalar, checked_level


@overload
def quantile(values: ArrayLike, q: Scalar) -> float: ...
@overload
def quantile(values: ArrayLike, q: ArrayLike) -> Floats: ...
def quantile(values: ArrayLike, q: ArrayLike) -> float | NDArray[np.float64]:
    """Return quantiles of values that may be infinite.

    The definition is the default of NumPy and R (type 7 of Hyndman and Fan, The American
    Statistician 50 (1996) 361): linear interpolation between the order statistics at rank
    ``q (n - 1)``. Between −inf and a number the result is −inf, between a number and inf it
    is inf, and between −inf and inf −inf. So no quantile is NaN, and quantiles never decrease with
    `q`.

    Parameters
    ----------
    values : array_like, shape (n,)
        Without NaN, n >= 1.
    q : array_like
        Probabilities between 0 and 1, of any shape.

    Returns
    -------
    float, or float64 array of the shape of `q`

    Raises
    ------
    TypeError
        If `q` is not a number or an array of numbers.
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
    """Interpolate between the order statistics below and above a rank; −inf if the lower is −inf.

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
    """Return probabilities as a float64 array; refuse those outside [0, 1] as `quantile` does.

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


@overload
def quantile_interval(
    values: ArrayLike, q: Scalar, confidence_level: float = 0.95
) -> Estimate[float]: ...
@overload
def quantile_interval(
    values: ArrayLike, q: ArrayLike, confidence_level: float = 0.95
) -> Estimate[Floats]: ...
def quantile_interval(values: ArrayLike, q: ArrayLike, confidence_level: float = 0.95) -> Estimate:
    """Estimate quantiles of the law that independent samples come from.

    The limits are order statistics. For every continuous law, the number of samples at or below the
    q-quantile is Binomial(n, q); ties, as among samples at −inf, can only raise the coverage. Each
    tail has probability at most (1 − confidence_level)/2, so the coverage is never below nominal.

    Parameters
    ----------
    values : array_like, shape (n,)
        Independent samples, finite or −inf, n >= 1.
    q : float or array_like
        Between 0 and 1, of any shape.
    confidence_level : float, default 0.95
        Between 0 and 1; of each interval separately.

    Returns
    -------
    Estimate
        Its fields are floats, or arrays of the shape of `q`. The estimate is that of `quantile`.
        A limit is infinite if there are too few samples.

    Raises
    ------
    TypeError, ValueError
        If `q`, `values` or `confidence_level` is of the wrong type or out of range.

    References
    ----------
    H. A. David and H. N. Nagaraja, Order Statistics, 3rd ed. (2003), section 7.1.

    Examples
    --------
    >>> from vgsim._statistics.quantiles import quantile_interval
    >>> print(quantile_interval(range(1, 101), 0.5))
    51 (95 % interval 40 to 61)
    """
    confidence_level = checked_level(confidence_level)
    values, q = np.asarray(values, dtype=np.float64), checked_numbers("q", q)
    if values.ndim != 1 or not values.size or np.isnan(values).any():
        raise value_error("values", "must be a vector of one or more numbers or -inf, without NaN")
    estimate = quantile(values, q)
    ranks = np.stack(interval_ranks(values.size, q, confidence_level)).astype(np.intp)
    bounded = np.concatenate([[-np.inf], np.sort(values), [np.inf]])
    limits = bounded[np.clip(ranks, 0, values.size + 1)]
    low, high = np.minimum(limits[0], estimate), np.maximum(limits[1], estimate)
    if q.ndim == 0:
        low, high = float(low), float(high)
    return Estimate(estimate, low, high, confidence_level, "order statistics")


def interval_ranks(n: int, q: ArrayLike, confidence_level: float) -> tuple[Floats, Floats]:
    """Return the ranks of the order statistics of n samples that are limits of a quantile.

    Ranks are 1 … n; 0 stands for −∞, and n + 1 for ∞.

    Examples
    --------
    >>> from vgsim._statistics.quantiles import interval_ranks
    >>> low, high = interval_ranks(100, 0.5, 0.95)
    >>> float(low), float(high)
    (40.0, 61.0)
    """
    from scipy.stats import binom

    tail = (1 - confidence_level) / 2
    return binom.ppf(tail, n, q), binom.isf(tail, n, q) + 1
