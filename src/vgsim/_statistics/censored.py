"""Times to an event of which some are censored: the estimate of Kaplan and Meier with intervals."""

from __future__ import annotations

import warnings
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vgsim._statistics.binomial import binomial
from vgsim._statistics.estimate import Floats

__all__ = ["Reached", "kaplan_meier"]


class Reached(NamedTuple):
    """An estimate of P(T <= t), which is constant from each time up to the next.

    Attributes
    ----------
    times : float64 array, shape (m,)
        Increasing, from 0 on.
    estimate, low, high : float64 array, shape (m,)
    """

    times: Floats
    estimate: Floats
    low: Floats
    high: Floats

    def after(self, share: Floats, values: Floats) -> Floats:
        """Return the first times at which `values` are at least `share`; inf if none is.

        Examples
        --------
        >>> import numpy as np
        >>> from vgsim._statistics.censored import kaplan_meier
        >>> found = kaplan_meier(np.array([1.0, 2.0, 3.0]), np.array([False, False, True]), 0.95)
        >>> found.after(np.array([0.5, 0.9]), found.estimate)
        array([ 2., inf])
        """
        met = values >= share[..., np.newaxis]
        return np.where(met.any(axis=-1), self.times[met.argmax(axis=-1)], np.inf)


def kaplan_meier(times: Floats, censored: NDArray[np.bool_], confidence_level: float) -> Reached:
    """Estimate the distribution function of times, of which some are known to be larger.

    The estimate is that of Kaplan and Meier; its pointwise intervals are by Greenwood's variance of
    ln(−ln S), which keeps them within [0, 1]. Where the estimate is 0 or 1 these do not exist, and
    Wilson's intervals replace them: of no event in all that were observed so long, and of as many
    events as there were uncensored times.

    Parameters
    ----------
    times : float64 array, shape (n,)
        At least 0; of a censored sample how long it was observed.
    censored : bool array, shape (n,)
    confidence_level : float

    Returns
    -------
    Reached

    References
    ----------
    E. L. Kaplan and P. Meier, J. Am. Stat. Assoc. 53 (1958) 457; J. D. Kalbfleisch and R. L.
    Prentice, The Statistical Analysis of Failure Time Data, 2nd ed. (2002), section 1.4.

    Examples
    --------
    >>> import numpy as np
    >>> from vgsim._statistics.censored import kaplan_meier
    >>> times, censored = np.array([1.0, 2.0, 2.0, 4.0]), np.array([False, False, True, False])
    >>> kaplan_meier(times, censored, 0.95).estimate
    array([0.  , 0.25, 0.5 , 1.  ])
    """
    from scipy import stats

    data = stats.CensoredData(uncensored=times[~censored], right=times[censored])
    found = stats.ecdf(data).cdf
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The confidence interval is undefined", RuntimeWarning)
        limits = found.confidence_interval(confidence_level, method="log-log")
    at, p = found.quantiles, found.probabilities
    low, high = limits.low.probabilities.copy(), limits.high.probabilities.copy()
    events = int(np.count_nonzero(~censored))
    for i in np.flatnonzero((p == 0) | (p == 1)):
        observed = events if p[i] else int(np.count_nonzero(times >= at[i]))
        limit = binomial(observed if p[i] else 0, observed, confidence_level)
        low[i], high[i] = limit.low, limit.high
    if at[0] > 0:  # before the first time
        none = binomial(0, times.size, confidence_level)
        at, p = np.append(0.0, at), np.append(0.0, p)
        low, high = np.append(0.0, low), np.append(none.high, high)
    return Reached(at, p, low, high)
