"""Estimates from independent samples: a probability with its interval, and quantiles."""

from __future__ import annotations

import operator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vgsim._parameters import Number

METHODS = ("wilson", "exact", "anytime")
LEVEL = Number("a number strictly between 0 and 1", lambda level: 0 < level < 1)


@dataclass(frozen=True)
class Probability:
    """An estimated probability and its confidence interval.

    Attributes
    ----------
    estimate : float
        ``events / n``.
    low, high : float
        Limits of the two-sided interval, ``0 <= low <= estimate <= high <= 1``.
    events : int
        How often the event happened.
    n : int
        Among how many independent samples.
    confidence_level : float
        The nominal coverage of the interval.
    method : {"wilson", "exact", "anytime"}
        How the interval was made.

    Examples
    --------
    >>> from vgsim._stats import binomial
    >>> print(binomial(3, 100))
    0.03 (95 % interval 0.0103 to 0.0845, 3 of 100)
    """

    estimate: float
    low: float
    high: float
    events: int
    n: int
    confidence_level: float
    method: str

    def __str__(self) -> str:
        return (
            f"{self.estimate:.6g} ({100 * self.confidence_level:g} % interval "
            f"{self.low:.3g} to {self.high:.3g}, {self.events} of {self.n})"
        )


def check_interval(confidence_level: float, method: str) -> None:
    """Refuse a confidence level outside (0, 1) and an unknown method.

    Raises
    ------
    TypeError, ValueError
        Naming the argument, the value and the choices.

    Examples
    --------
    >>> from vgsim._stats import check_interval
    >>> check_interval(0.95, "agresti")
    Traceback (most recent call last):
    ValueError: method must be one of wilson, exact, anytime, got 'agresti'
    """
    check_level(confidence_level)
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}, got {method!r}")


def check_level(confidence_level: float) -> None:
    """Refuse a confidence level outside (0, 1).

    Examples
    --------
    >>> from vgsim._stats import check_level
    >>> check_level(95)
    Traceback (most recent call last):
    ValueError: confidence_level must be a number strictly between 0 and 1, got 95
    """
    LEVEL.check("confidence_level", confidence_level)


def binomial(
    events: int, n: int, confidence_level: float = 0.95, method: str = "wilson"
) -> Probability:
    """Estimate a probability from how often an event happened.

    Parameters
    ----------
    events, n : int
        The event happened in `events` of `n` independent samples.
    confidence_level : float, default 0.95
        Between 0 and 1.
    method : {"wilson", "exact", "anytime"}, default "wilson"
        "wilson" inverts the score test: its mean coverage is nominal. "exact" inverts the binomial
        law: its coverage is never below nominal, so the interval is a little wider. "anytime" is
        one of a sequence of intervals that all cover at once, wider still: the only one that
        stays valid if `n` was chosen by looking at the events (:class:`vgsim.Precision` does).

    Returns
    -------
    Probability

    Raises
    ------
    ValueError
        If not 0 <= events <= n with n >= 1, or the level or the method is unknown.

    References
    ----------
    E. B. Wilson, J. Am. Stat. Assoc. 22 (1927) 209; C. J. Clopper and E. S. Pearson, Biometrika 26
    (1934) 404. For the anytime sequence see ``vgsim._anytime``.

    Examples
    --------
    >>> from vgsim._stats import binomial
    >>> zero = binomial(0, 10_000)
    >>> zero.estimate, zero.low, round(zero.high, 6)
    (0.0, 0.0, 0.000384)
    """
    events, n = operator.index(events), operator.index(n)
    if not 0 <= events <= n or n < 1:
        raise ValueError(f"events and n must be 0 <= events <= n, n >= 1, got {events} of {n}")
    check_interval(confidence_level, method)
    if method == "anytime":
        from vgsim._anytime import confidence_sequence

        low, high = confidence_sequence(events, n, confidence_level)
    else:
        from scipy.stats import binomtest

        interval = binomtest(events, n).proportion_ci(confidence_level, method=method)
        low, high = float(interval.low), float(interval.high)
    return Probability(events / n, low, high, events, n, confidence_level, method)


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
    >>> from vgsim._stats import quantile
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
    >>> from vgsim._stats import interpolated
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
    >>> from vgsim._stats import checked_quantile
    >>> checked_quantile([0.5, 2])
    Traceback (most recent call last):
    ValueError: q must lie between 0 and 1, got [0.5, 2.0]
    """
    found = numbers("q", q)
    if not np.all((found >= 0) & (found <= 1)):
        raise ValueError(f"q must lie between 0 and 1, got {found.tolist()}")
    return found


def numbers(argument: str, value: ArrayLike) -> NDArray[np.float64]:
    """Return a number or an array of them as float64; anything else is a TypeError.

    Examples
    --------
    >>> from vgsim._stats import numbers
    >>> numbers("q", None)
    Traceback (most recent call last):
    TypeError: q must be a number or an array of numbers, got None
    """
    message = f"{argument} must be a number or an array of numbers, got {value!r}"
    try:
        array = np.asarray(value)
    except ValueError:  # ragged
        raise TypeError(message) from None
    if array.dtype.kind not in "iuf":
        raise TypeError(message)
    return array.astype(np.float64)
