"""Bootstrap intervals for functions of moments, from sums of powers over groups of samples."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vgsim._checks import value_error
from vgsim._statistics.estimate import Estimate, checked_level

Floats = NDArray[np.float64]
POWERS = np.arange(5)


class Moments(NamedTuple):
    """Moments of k columns; each field has shape (..., k), with resamples on the leading axes.

    Attributes
    ----------
    n : float64 array
        Number of samples that are not −inf.
    mean : float64 array
    variance : float64 array
        The sum of squares divided by n − 1.
    skewness, kurtosis : float64 array
        Third and fourth standardised central moments; the kurtosis is the excess kurtosis, 0 for a
        normal law. Both are 0 if all samples are equal.

    Examples
    --------
    >>> import numpy as np
    >>> from vgsim._statistics.bootstrap import moments, power_sums
    >>> x = np.array([1.0, 2.0, 4.0, 5.0])
    >>> found = moments(power_sums(x, 2, 3.0).sum(axis=0)[np.newaxis], np.array([3.0]))
    >>> found.mean, found.variance, found.kurtosis
    (array([3.]), array([3.33333333]), array([-1.64]))
    """

    n: Floats
    mean: Floats
    variance: Floats
    skewness: Floats
    kurtosis: Floats


def power_sums(values: Floats, groups: int, centre: float) -> Floats:
    """Return the sums of (x − centre)^0 … (x − centre)^4 over groups of consecutive samples.

    The sizes of the groups differ by at most one; samples at −inf are left out of every sum.

    Returns
    -------
    float64 array, shape (groups, 5)

    Examples
    --------
    >>> import numpy as np
    >>> from vgsim._statistics.bootstrap import power_sums
    >>> power_sums(np.array([1.0, 2.0, -np.inf, 3.0]), 2, 0.0)
    array([[ 2.,  3.,  5.,  9., 17.],
           [ 1.,  3.,  9., 27., 81.]])
    """
    alive = values > -np.inf
    centred = np.where(alive, values - centre, 0.0)
    starts = np.arange(groups) * values.size // groups
    power = alive.astype(np.float64)
    sums = np.empty((groups, POWERS.size))
    for column in POWERS:
        sums[:, column] = np.add.reduceat(power, starts)
        power *= centred
    return sums


def moments(sums: Floats, centres: Floats) -> Moments:
    """Return the moments of columns from their sums of powers.

    Parameters
    ----------
    sums : float64 array, shape (..., k, 5)
        Sums of the 0th to the 4th power of the difference from the centre of the column. The mean
        of an empty column is its centre.
    centres : float64 array, shape (k,)
        Values close to the means, which avoids cancellation.

    Examples
    --------
    >>> import numpy as np
    >>> from vgsim._statistics.bootstrap import moments
    >>> moments(np.array([[2.0, 0.0, 2.0, 0.0, 2.0]]), np.array([7.0])).variance
    array([2.])
    """
    n = sums[..., 0]
    m1, m2, m3, m4 = (sums[..., p] / np.maximum(n, 1) for p in POWERS[1:])
    second = np.maximum(m2 - m1**2, 0.0)
    third = m3 - 3 * m1 * m2 + 2 * m1**3
    fourth = m4 - 4 * m1 * m3 + 6 * m1**2 * m2 - 3 * m1**4
    spread = np.where(second > 0, second, np.inf)
    return Moments(
        n,
        centres + m1,
        second * n / np.maximum(n - 1, 1),
        third / spread**1.5,
        np.where(second > 0, fourth / spread**2 - 3, 0.0),
    )


GROUPS = 200
RESAMPLES = 1999
BATCH = 250  # resamples computed at a time


def bootstrap(
    statistic: Callable[[Moments], Any],
    columns: Sequence[ArrayLike],
    confidence_level: float = 0.95,
    paired: bool = False,
    seed: int = 0,
) -> Estimate[Any]:
    """Estimate a function of the moments of columns, with its bootstrap interval.

    The interval is that of SciPy's bootstrap with bias correction and acceleration (BCa), with 1999
    resamples. Up to 200 samples are resampled one by one; more are split into 200 groups of
    consecutive samples, which are resampled by their sums of powers. So the cost of resampling does
    not grow with the number of samples.

    Parameters
    ----------
    statistic : callable
        Takes `Moments`, with fields of shape (..., k), and returns an array of shape (...) or
        (..., j).
    columns : sequence of k array_like, each of shape (n_i,)
        Independent samples: finite, or −inf for dead samples, which are left out of all moments.
        Each column needs at least two finite samples.
    confidence_level : float, default 0.95
        Between 0 and 1.
    paired : bool, default False
        Whether row i of all columns belongs to the same sample. If so, rows are resampled,
        otherwise the columns independently.
    seed : int, default 0
        Seed of the resampling.

    Returns
    -------
    Estimate
        Its fields are floats, or arrays of shape (j,).

    Raises
    ------
    ValueError
        If a column has fewer than two finite samples, or paired columns differ in length.

    References
    ----------
    B. Efron, J. Am. Stat. Assoc. 82 (1987) 171.

    Examples
    --------
    >>> import numpy as np
    >>> from vgsim._statistics.bootstrap import bootstrap
    >>> x = np.random.default_rng(0).normal(size=10_000)
    >>> print(bootstrap(lambda moments: moments.variance[..., 0], [x]))
    0.996 (95 % interval 0.969 to 1.022)
    """
    confidence_level = checked_level(confidence_level)
    arrays = [np.asarray(column, dtype=np.float64) for column in columns]
    for array in arrays:
        if array.ndim != 1 or np.count_nonzero(array > -np.inf) < 2:
            raise value_error("columns", "must have two or more finite samples each")
    if paired and len({array.size for array in arrays}) > 1:
        raise value_error(
            "columns", f"must have equal lengths, got {[a.size for a in arrays]}", " in pairs"
        )
    from scipy import stats

    centres = np.array([array[array > -np.inf].mean() for array in arrays])
    sums = [
        power_sums(array, min(array.size, GROUPS), centre)
        for array, centre in zip(arrays, centres, strict=True)
    ]

    sizes = [len(s) for s in (sums[:1] if paired else sums)]

    def of_groups(*drawn: NDArray[Any], axis: int) -> Floats:
        """Return the statistic of the groups whose indices, on the last axis, are `drawn`."""
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
    limits = np.where(np.isnan(limits), percentiles, limits)  # BCa is NaN for equal resamples
    values = np.stack([of_groups(*groups, axis=-1), *limits])
    estimate, low, high = values.tolist() if values.ndim == 1 else values
    return Estimate(estimate, low, high, confidence_level, "bootstrap")


def _times_drawn(drawn: NDArray[Any], groups: int) -> Floats:
    """Return the number of times each group was drawn, shape (..., groups)."""
    rows = drawn.reshape(-1, drawn.shape[-1]).astype(np.intp)
    offsets = np.arange(len(rows))[:, np.newaxis] * groups
    counts = np.bincount((rows + offsets).ravel(), minlength=len(rows) * groups)
    return counts.reshape(*drawn.shape[:-1], groups).astype(np.float64)
