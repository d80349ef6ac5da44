"""Moments of columns of numbers, from sums of powers over groups of samples."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

POWERS = np.arange(5)


class Moments(NamedTuple):
    """Moments of k columns, each field of shape (..., k) with resamples in front.

    Attributes
    ----------
    n : float64 array
        How many samples count.
    mean : float64 array
    variance : float64 array
        The sum of squares divided by n − 1.
    skewness, kurtosis : float64 array
        Third and fourth standardised moment about the mean; the kurtosis is the excess over a
        normal law's, so that both are 0 there. Both 0 where all samples are equal.

    Examples
    --------
    >>> import numpy as np
    >>> from vgsim._moments import moments, power_sums
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

    The groups' sizes differ by one at most; samples at −inf are left out of every sum.

    Returns
    -------
    float64 array, shape (groups, 5)

    Examples
    --------
    >>> import numpy as np
    >>> from vgsim._moments import power_sums
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
    """Return the moments of columns with given sums of powers.

    Parameters
    ----------
    sums : float64 array, shape (..., k, 5)
        Of the 0th to the 4th power of the difference from the column's centre. An empty column has
        the mean at its centre.
    centres : float64 array, shape (k,)
        Near the means, so that nothing cancels.

    Examples
    --------
    >>> import numpy as np
    >>> from vgsim._moments import moments
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
