"""Spearman's rank correlation with its bootstrap interval."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from vgsim._checks import value_error
from vgsim._statistics.estimate import Estimate, Floats, checked_level

__all__ = ["FEWEST", "rank_correlation"]

FEWEST = 3  # samples
RESAMPLES = 1999
BATCH = 100  # resamples computed at a time


def rank_correlation(
    x: Floats, y: Floats, confidence_level: float = 0.95, seed: int = 0
) -> Estimate[float]:
    """Estimate Spearman's rank correlation of pairs, which may be infinite.

    Equal values have their mean rank. The interval is that of SciPy's bootstrap over pairs with
    bias correction and acceleration (BCa), with 1999 resamples; the percentile interval where all
    resamples agree. The correlation of a resample in which a side has equal values only is taken
    as 0.

    Parameters
    ----------
    x, y : float64 array, shape (n,)
        Without NaN, n >= 3; each with two or more different values.
    confidence_level : float, default 0.95
    seed : int, default 0
        Seed of the resampling.

    Raises
    ------
    ValueError
        If there are too few pairs, or all values of `x` or of `y` are equal.

    References
    ----------
    C. Spearman, Am. J. Psychol. 15 (1904) 72; B. Efron, J. Am. Stat. Assoc. 82 (1987) 171.

    Examples
    --------
    >>> import numpy as np
    >>> from vgsim._statistics.rank_correlation import rank_correlation
    >>> x, y = np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.0, 3.0, 2.0, np.inf])
    >>> round(rank_correlation(x, y).estimate, 6)
    0.8
    """
    confidence_level = checked_level(confidence_level)
    if x.size < FEWEST:
        raise value_error("x", f"must have {FEWEST} or more entries, got {x.size}")
    for name, values in (("x", x), ("y", y)):
        if np.all(values == values[0]):
            raise value_error(name, f"must have different entries, got {values[0]:g} only")
    from scipy import stats

    ranks = stats.rankdata(x), stats.rankdata(y)
    with warnings.catch_warnings(), np.errstate(divide="ignore", invalid="ignore"):
        warnings.simplefilter("ignore", stats.DegenerateDataWarning)
        found = stats.bootstrap(
            ranks,
            _of_ranks,
            paired=True,
            vectorized=True,
            n_resamples=RESAMPLES,
            batch=BATCH,
            confidence_level=confidence_level,
            random_state=np.random.default_rng(seed),
        )
    limits = np.array(found.confidence_interval)
    if np.isnan(limits).any():
        tails = [(1 - confidence_level) / 2, (1 + confidence_level) / 2]
        limits = np.quantile(found.bootstrap_distribution, tails)
    estimate = float(stats.spearmanr(*ranks).statistic)
    low, high = min(float(limits[0]), estimate), max(float(limits[1]), estimate)
    return Estimate(estimate, low, high, confidence_level, "bootstrap")


def _of_ranks(x: Any, y: Any, axis: int) -> Floats:
    """Return the correlation of the ranks along an axis; 0 where one side is constant."""
    from scipy import stats

    a, b = (stats.rankdata(values, axis=axis) for values in (x, y))
    a -= a.mean(axis=axis, keepdims=True)
    b -= b.mean(axis=axis, keepdims=True)
    size = np.sqrt((a * a).sum(axis=axis) * (b * b).sum(axis=axis))
    product = (a * b).sum(axis=axis)
    return np.asarray(np.divide(product, size, out=np.zeros_like(product), where=size > 0))
