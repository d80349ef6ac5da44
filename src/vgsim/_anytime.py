"""Confidence sequences: intervals for a probability that hold at every sample size at once."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable

from vgsim._stats import check_level

PRIOR = 0.5  # Beta(½, ½)


def confidence_sequence(events: int, n: int, confidence_level: float = 0.95) -> tuple[float, float]:
    """Return the interval at `n` of an anytime-valid confidence sequence for a probability.

    With probability `confidence_level` or more, the intervals at n = 1, 2, 3, … all contain the
    true probability. So one may look at any time, stop for any reason, and go on later.

    It holds all p against which the evidence is less than 1 / (1 − confidence_level), measured by
    the likelihood of the samples averaged over the prior Beta(½, ½), divided by that at p. At the
    true p this ratio is a martingale that starts at 1; by Ville's inequality it ever reaches 1/α
    with probability α at most.

    Parameters
    ----------
    events, n : int
        The event happened in `events` of the first `n` independent samples; n >= 0.
    confidence_level : float, default 0.95
        Between 0 and 1.

    Returns
    -------
    low, high : float
        ``0 <= low <= events / n <= high <= 1``; a function of the arguments, not of the order of
        the events.

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
    >>> from vgsim._anytime import confidence_sequence
    >>> low, high = confidence_sequence(50, 100)
    >>> round(low, 4), round(high, 4)
    (0.3383, 0.6617)
    """
    events, n = operator.index(events), operator.index(n)
    if not 0 <= events <= n:
        raise ValueError(f"events and n must be 0 <= events <= n, got {events} of {n}")
    check_level(confidence_level)
    log_least = _log_beta(PRIOR + events, PRIOR + n - events) - _log_beta(PRIOR, PRIOR)
    log_least += math.log1p(-confidence_level)

    def excess(p: float) -> float:
        """How far p is outside: ln of the evidence against it, less its bound."""
        missed = n - events
        return (
            log_least
            - (events * math.log(p) if events else 0.0)
            - (missed * math.log1p(-p) if missed else 0.0)
        )

    # Beyond these, one factor of the likelihood suffices to exclude p.
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
    """Return where `excess` changes its sign: at `outside` if only rounding makes it < 0 there."""
    if excess(outside) <= 0:
        return outside
    from scipy.optimize import brentq

    return float(brentq(excess, outside, inside, xtol=1e-300))
