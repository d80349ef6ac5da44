"""Estimates of a probability from counts: Wilson, exact and anytime-valid intervals."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
from numpy.typing import ArrayLike

from vgsim._checks import INDICES, brief, plain, type_error, value_error
from vgsim._display import block, line
from vgsim._domains import Choice
from vgsim._statistics.estimate import checked_level, in_words
from vgsim._statistics.rounded import rounded
from vgsim.typing import Method

METHODS: tuple[Method, ...] = get_args(Method)
_METHOD = Choice(METHODS)


@dataclass(frozen=True, repr=False)
class Probability:
    """An estimated probability and its confidence interval.

    Its text has the digits that the interval supports; the attributes have all.

    Attributes
    ----------
    estimate : float
        ``events / n``.
    low, high : float
        Limits of the two-sided interval, ``0 <= low <= estimate <= high <= 1``.
    events : int
        Number of samples in which the event happened.
    n : int
        Number of independent samples.
    confidence_level : float
        The nominal coverage of the interval.
    method : {"wilson", "exact", "anytime"}
        Method of the interval.

    Examples
    --------
    >>> from vgsim._statistics.binomial import binomial
    >>> print(binomial(1098, 10_000))
    0.1098 (95 % interval 0.104 to 0.116, 1098 of 10000)
    >>> binomial(0, 10_000)
    <Probability: 0 (< 0.0004), 0 of 10000, 95 % wilson interval>
    """

    estimate: float
    low: float
    high: float
    events: int
    n: int
    confidence_level: float
    method: Method

    def __str__(self) -> str:
        shown = in_words(self.estimate, self.low, self.high, self.confidence_level)
        return f"{shown[:-1]}, {self.events} of {self.n})"

    def __repr__(self) -> str:
        shown = rounded(self.estimate, self.low, self.high)
        return f"<Probability: {shown}, {self.events} of {self.n}, {self._interval}>"

    def _repr_html_(self) -> str:
        value, _, rest = rounded(self.estimate, self.low, self.high).partition(" ")
        samples = f"{self.events:,} of {self.n:,} samples, {self._interval}"
        return block(line(rest, strong=value), line(samples))

    @property
    def _interval(self) -> str:
        return f"{100 * self.confidence_level:g} % {self.method} interval"


def checked_interval(confidence_level: object, method: object) -> tuple[float, Method]:
    """Return the confidence level as a float and the method as a string.

    Raises
    ------
    TypeError, ValueError
        If the level is outside (0, 1) or the method is unknown.

    Examples
    --------
    >>> from vgsim._statistics.binomial import checked_interval
    >>> checked_interval(0.95, "agresti")
    Traceback (most recent call last):
    ValueError: method must be one of 'wilson', 'exact', 'anytime', got 'agresti'
    """
    return checked_level(confidence_level), _METHOD.check("method", method)


def binomial(
    events: int, n: int, confidence_level: float = 0.95, method: Method = "wilson"
) -> Probability:
    """Estimate a probability from the number of samples in which an event happened.

    Parameters
    ----------
    events, n : int
        The event happened in `events` of `n` independent samples.
    confidence_level : float, default 0.95
        Between 0 and 1.
    method : {"wilson", "exact", "anytime"}, default "wilson"
        "wilson" inverts the score test: its mean coverage is nominal. "exact" inverts the binomial
        law: its coverage is never below nominal, so the interval is a little wider. "anytime" is
        the interval of a confidence sequence, wider still: the only one that stays valid if `n`
        depends on the events, as with a stop rule (:class:`vgsim.Precision`).

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
    (1934) 404. For the anytime sequence see `confidence_sequence`.

    Examples
    --------
    >>> from vgsim._statistics.binomial import binomial
    >>> zero = binomial(0, 10_000)
    >>> zero.estimate, zero.low, round(zero.high, 6)
    (0.0, 0.0, 0.000384)
    """
    events, n = _counts(events, n, 1)
    confidence_level, method = checked_interval(confidence_level, method)
    if method == "anytime":
        low, high = confidence_sequence(events, n, confidence_level)
    else:
        limits = _wilson if method == "wilson" else exact_limits
        low, high = map(float, limits(events, n, confidence_level))
    return Probability(events / n, low, high, events, n, confidence_level, method)


def _wilson(events: int, n: int, confidence_level: float) -> tuple[float, float]:
    """Return Wilson's interval; SciPy's binomtest would compute a p-value first."""
    from scipy.special import ndtri

    z, p = float(ndtri(0.5 + 0.5 * confidence_level)), events / n
    scale = 2 * (n + z**2)
    centre = (2 * n * p + z**2) / scale
    half = z / scale * math.sqrt(4 * n * p * (1 - p) + z**2)
    return centre - half if events else 0.0, centre + half if events < n else 1.0


def exact_limits(events: ArrayLike, n: int, confidence_level: float = 0.95) -> tuple[Any, Any]:
    """Return the limits of Clopper and Pearson for one or many counts: quantiles of beta laws.

    Examples
    --------
    >>> from vgsim._statistics.binomial import exact_limits
    >>> low, high = exact_limits([0, 10], 10)
    >>> low.round(3), high.round(3)
    (array([0.   , 0.692]), array([0.308, 1.   ]))
    """
    from scipy.special import betaincinv

    k, tail = np.asarray(events), (1 - confidence_level) / 2
    low = np.where(k > 0, betaincinv(np.maximum(k, 1), n - k + 1, tail), 0.0)
    high = np.where(k < n, betaincinv(k + 1, np.maximum(n - k, 1), 1 - tail), 1.0)
    return low, high


def _counts(events: object, n: object, least: int) -> tuple[int, int]:
    """Return both counts as ints; refuse them unless 0 <= events <= n and n >= least."""
    k, size = plain(events), plain(n)
    error: Callable[[str, str], Exception] = type_error
    if isinstance(k, int) and isinstance(size, int):
        if 0 <= k <= size and least <= size <= INDICES:
            return k, size
        error = value_error
    problem = f"must be 0 <= events <= n, got {brief(events)} of {brief(n)}"
    kinds = f"they are ints, and n is from {least} to 2**56"
    raise error("events", f"{problem}; {kinds}")


PRIOR = 0.5  # Beta(½, ½)


def confidence_sequence(events: int, n: int, confidence_level: float = 0.95) -> tuple[float, float]:
    """Return the interval at `n` of an anytime-valid confidence sequence for a probability.

    With probability `confidence_level` or more, the intervals at n = 1, 2, 3, … all contain the
    true probability. So the interval stays valid under every stop rule, and when sampling resumes.

    With α = 1 − confidence_level, the interval consists of all p at which a likelihood ratio is
    below 1/α: that of the samples averaged over the prior Beta(½, ½), divided by that at p. At the
    true p this ratio is a martingale that starts at 1. By Ville's inequality the probability that
    it ever reaches 1/α is at most α.

    Parameters
    ----------
    events, n : int
        The event happened in `events` of the first `n` independent samples; n >= 0.
    confidence_level : float, default 0.95
        Between 0 and 1.

    Returns
    -------
    low, high : float
        ``0 <= low <= events / n <= high <= 1``.

    Raises
    ------
    TypeError, ValueError
        If not 0 <= events <= n, or the level is not between 0 and 1.

    References
    ----------
    H. Robbins, Ann. Math. Stat. 41 (1970) 1397; S. R. Howard, A. Ramdas, J. McAuliffe and
    J. Sekhon, Ann. Stat. 49 (2021) 1055.

    Examples
    --------
    >>> from vgsim._statistics.binomial import confidence_sequence
    >>> low, high = confidence_sequence(50, 100)
    >>> round(low, 4), round(high, 4)
    (0.3383, 0.6617)
    """
    events, n = _counts(events, n, 0)
    confidence_level = checked_level(confidence_level)
    log_least = _log_beta(PRIOR + events, PRIOR + n - events) - _log_beta(PRIOR, PRIOR)
    log_least += math.log1p(-confidence_level)

    def excess(p: float) -> float:
        """Return ln(likelihood ratio) − ln(1/α) at p: positive outside the interval."""
        missed = n - events
        return (
            log_least
            - (events * math.log(p) if events else 0.0)
            - (missed * math.log1p(-p) if missed else 0.0)
        )

    # Brackets: outside them one factor of the likelihood alone excludes p.
    low = math.exp(log_least / events) if events else 0.0
    high = -math.expm1(log_least / (n - events)) if events < n else 1.0
    if events:
        low = _root(excess, low, events / n)
    if events < n:
        high = _root(excess, high, events / n)
    return low, high


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


def _root(excess: Callable[[float], float], outside: float, inside: float) -> float:
    """Return the root of `excess`; `outside` if rounding makes `excess` negative there."""
    if excess(outside) <= 0:
        return outside
    from scipy.optimize import brentq

    return float(brentq(excess, outside, inside, xtol=1e-300))
