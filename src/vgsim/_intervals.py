"""Confidence intervals without a law: order statistics and the bootstrap."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vgsim._estimate import Estimate
from vgsim._moments import Moments, moments, power_sums
from vgsim._stats import check_level, numbers, quantile

Floats = NDArray[np.float64]

GROUPS = 200
RESAMPLES = 1999
BATCH = 250  # resamples at a time


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
    >>> from vgsim._intervals import quantile_interval
    >>> print(quantile_interval(range(1, 101), 0.5))
    50.5 (95 % interval 40 to 61)
    """
    check_level(confidence_level)
    values, q = np.asarray(values, dtype=np.float64), numbers("q", q)
    if values.ndim != 1 or not values.size or np.isnan(values).any():
        raise ValueError("values must be a vector of one or more numbers or -inf, none NaN")
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


def bootstrap(
    statistic: Callable[[Moments], Any],
    columns: Sequence[ArrayLike],
    confidence_level: float = 0.95,
    paired: bool = False,
    seed: int = 0,
) -> Estimate:
    """Estimate a function of the moments of columns, with its bootstrap interval.

    SciPy's bootstrap with bias correction and acceleration (BCa), 1999 resamples. What is resampled
    are groups of consecutive samples, by the sums of their powers: up to 200 samples each is a
    group, more are split into 200. So a million samples cost no more than a thousand, and the
    result depends on nothing but the arguments.

    Parameters
    ----------
    statistic : callable
        Takes `Moments`, each of whose fields n, mean, variance, skewness, kurtosis has the shape
        (..., k), a column each, and returns an array of shape (...) or (..., j).
    columns : sequence of k array_like, each of shape (n_i,)
        Independent samples: numbers, or −inf for the dead, which count in no moment. Two or more
        in each column are numbers.
    confidence_level : float, default 0.95
        Between 0 and 1.
    paired : bool, default False
        Whether row i of every column is the same sample, so that rows are resampled. If not, the
        columns are resampled independently.
    seed : int, default 0
        Of the resampling.

    Returns
    -------
    Estimate
        Of floats, or of arrays of shape (j,).

    Raises
    ------
    ValueError
        If a column has fewer than two numbers, or paired columns differ in length.

    References
    ----------
    B. Efron, J. Am. Stat. Assoc. 82 (1987) 171.

    Examples
    --------
    >>> import numpy as np
    >>> from vgsim._intervals import bootstrap
    >>> x = np.random.default_rng(0).normal(size=10_000)
    >>> print(bootstrap(lambda moments: moments.variance[..., 0], [x]))
    0.996257 (95 % interval 0.969057 to 1.02222)
    """
    check_level(confidence_level)
    arrays = [np.asarray(column, dtype=np.float64) for column in columns]
    for array in arrays:
        if array.ndim != 1 or np.count_nonzero(array > -np.inf) < 2:
            raise ValueError("a bootstrap needs two or more numbers in every column")
    if paired and len({array.size for array in arrays}) > 1:
        raise ValueError(f"paired columns must be equally long, got {[a.size for a in arrays]}")
    from scipy import stats

    centres = np.array([array[array > -np.inf].mean() for array in arrays])
    sums = [
        power_sums(array, min(array.size, GROUPS), centre)
        for array, centre in zip(arrays, centres, strict=True)
    ]

    sizes = [len(s) for s in (sums[:1] if paired else sums)]

    def of_groups(*drawn: NDArray[Any], axis: int) -> Floats:
        """Return the statistic of groups with the numbers `drawn`, along the last axis."""
        times = [_times_drawn(which, size) for which, size in zip(drawn, sizes, strict=True)]
        if paired:
            times *= len(sums)
        totals = [count @ s for count, s in zip(times, sums, strict=True)]
        return np.asarray(statistic(moments(np.stack(totals, axis=-2), centres))).T

    groups = [np.arange(size) for size in sizes]
    with warnings.catch_warnings(), np.errstate(divide="ignore", invalid="ignore"):
        warnings.simplefilter("ignore", stats.DegenerateDataWarning)
        found = stats.bootstrap(
            groups,
            of_groups,
            vectorized=True,
            n_resamples=RESAMPLES,
            batch=BATCH,
            confidence_level=confidence_level,
            random_state=np.random.default_rng(seed),
        )
    tails = [(1 - confidence_level) / 2, (1 + confidence_level) / 2]
    percentiles = np.quantile(found.bootstrap_distribution, tails, axis=-1)
    limits = np.stack(found.confidence_interval)
    limits = np.where(np.isnan(limits), percentiles, limits)  # all resamples alike: no BCa
    values = np.stack([of_groups(*groups, axis=-1), *limits])
    estimate, low, high = values.tolist() if values.ndim == 1 else values
    return Estimate(estimate, low, high, confidence_level, "bootstrap")


def _times_drawn(drawn: NDArray[Any], groups: int) -> Floats:
    """Return how often each group was drawn, shape (..., groups)."""
    rows = drawn.reshape(-1, drawn.shape[-1]).astype(np.intp)
    offsets = np.arange(len(rows))[:, np.newaxis] * groups
    counts = np.bincount((rows + offsets).ravel(), minlength=len(rows) * groups)
    return counts.reshape(*drawn.shape[:-1], groups).astype(np.float64)
