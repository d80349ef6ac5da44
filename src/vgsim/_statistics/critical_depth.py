"""The depth at which the probability of an event crosses a level, interpolated between depths.

The event is X < 0. Its probability crosses the level p where the p-quantile of X crosses 0, and a
quantile is smoother in the depth than a probability. Between neighbouring depths the quantile is
interpolated as m + z s, with the mean m and the variance s² linear in the depth, and z the normal
quantile that belongs to p among the samples that are not dead. This is exact if X is normal, and
exact to first order in the skewness if X is a sum over layers.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from vgsim._statistics.binomial import Probability, binomial
from vgsim._statistics.quantiles import quantile
from vgsim.typing import Method

__all__ = ["Margin", "crossing", "margin", "margin_of_probability"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Margin:
    """Minus the quantile of X at the level, at one depth: positive if P is above the level.

    Attributes
    ----------
    estimate, low, high : float
        The margin and its confidence interval.
    z, std : float
        For interpolation: margin + z · std and std² are linear in the depth.
    """

    estimate: float
    low: float
    high: float
    z: float = 0.0
    std: float = 0.0


def margin(values: Floats, level: float, confidence_level: float, method: Method) -> Margin:
    """Return the margin at one depth from samples of X, which may be infinite.

    The limits of its interval are order statistics. ``low > 0`` if and only if the lower limit of
    the interval of the probability is above the level, and ``high > 0`` if and only if the upper
    limit is at or above the level.

    Examples
    --------
    >>> import numpy as np
    >>> from vgsim._statistics.critical_depth import margin
    >>> m = margin(np.arange(-60.0, 40.0), 0.5, 0.95, "wilson")
    >>> m.estimate, m.low, m.high
    (10.5, 1.0, 20.0)
    """
    from scipy.special import ndtri

    n = values.size
    least, enough = _counts(n, level, confidence_level, method)
    ordered = np.sort(values)
    high = math.inf if least == 0 else -float(ordered[least - 1])
    low = -math.inf if enough > n else -float(ordered[enough - 1])
    estimate = -float(quantile(values, level))
    living = values[np.isfinite(values)]
    z = 0.0
    if living.size:
        share = (level - np.mean(values == -np.inf)) * n / living.size
        z = float(ndtri(min(max(share, 0.5 / n), 1 - 0.5 / n)))
    return Margin(estimate, low, high, z, float(living.std()) if living.size else 0.0)


@lru_cache(maxsize=256)
def _counts(n: int, level: float, confidence_level: float, method: Method) -> tuple[int, int]:
    """Return the least counts at which the upper limit is >= level, and the lower one > level."""

    def interval(events: int) -> Probability:
        return binomial(events, n, confidence_level, method)

    return (
        bisect.bisect_left(range(n + 1), level, key=lambda k: interval(k).high),
        bisect.bisect_right(range(n + 1), level, key=lambda k: interval(k).low),
    )


def margin_of_probability(level: float, estimate: float, low: float, high: float) -> Margin:
    """Return the margin for "dead", from −ln(1 − P), which is linear in the depth.

    Examples
    --------
    >>> from vgsim._statistics.critical_depth import margin_of_probability
    >>> margin_of_probability(0.5, 0.5, 0.4, 1.0).high
    inf
    """
    with np.errstate(divide="ignore"):
        rates = -np.log1p(-np.array([estimate, low, high]))
    return Margin(*(rates + math.log1p(-level)).tolist())


def crossing(depths: Sequence[int], margins: Sequence[Margin]) -> tuple[float | None, float, float]:
    """Return the first depth at which the probability rises to the level, and its interval.

    Parameters
    ----------
    depths : sequence of int
        Increasing.
    margins : sequence of Margin

    Returns
    -------
    estimate : float or None
        None if it never does.
    low, high : float
        The smallest and the largest depth at which the confidence band contains the level. They
        are 0 and ∞ where this is beyond the measured depths, and a measured depth where the band
        cannot be interpolated.

    Examples
    --------
    >>> from vgsim._statistics.critical_depth import Margin, crossing
    >>> margins = [Margin(-2, -3, -1), Margin(2, 1, 3), Margin(6, 5, 7)]
    >>> crossing([10, 20, 30], margins)
    (15.0, 12.5, 17.5)
    >>> crossing([10, 20], [Margin(-2, -3, -1), Margin(2, -1, 3)])
    (15.0, 12.5, inf)
    """
    estimates, lows, highs = (
        np.array([getattr(m, name) for m in margins]) for name in ("estimate", "low", "high")
    )
    rises = np.flatnonzero((estimates[:-1] < 0) & (estimates[1:] >= 0))
    reached = np.flatnonzero(highs > 0)
    below = np.flatnonzero(lows <= 0)
    estimate, low, high = None, 0.0, 0.0
    if rises.size:
        estimate = float(np.mean(_between(depths, estimates, margins, int(rises[0]))))
    if not reached.size:
        low = math.inf
    elif reached[0] > 0:
        low = _between(depths, highs, margins, int(reached[0]) - 1)[0]
    if below.size:
        last = int(below[-1])
        high = math.inf if last == len(depths) - 1 else _between(depths, lows, margins, last)[1]
    if estimate is not None:
        low, high = min(low, estimate), max(high, estimate)
    return estimate, low, high


def _between(
    depths: Sequence[int], values: Floats, margins: Sequence[Margin], i: int
) -> tuple[float, float]:
    """Return the zero of `values` between depths i and i + 1, twice; both depths if unknown."""
    from scipy.optimize import brentq

    (a, b), two = (float(depth) for depth in depths[i : i + 2]), margins[i : i + 2]
    even = [value + m.z * m.std for value, m in zip(values[i : i + 2], two, strict=True)]

    def at(depth: float) -> float:
        """Return the margin at a depth between the two."""

        def linear(first: float, last: float) -> float:
            return first + (last - first) * (depth - a) / (b - a)

        z, variance = linear(two[0].z, two[1].z), linear(two[0].std ** 2, two[1].std ** 2)
        return linear(*even) - z * math.sqrt(max(variance, 0.0))

    if not np.all(np.isfinite(even)):
        return a, b
    if at(a) >= 0 or at(b) <= 0:  # the zero is at a depth, up to rounding
        return (a, a) if at(a) >= 0 else (b, b)
    depth = float(brentq(at, a, b))
    return depth, depth
