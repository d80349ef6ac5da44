"""TimeToLoss: the law of the step at which the loss of a network falls below a level."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vgsim._checks import COUNTERS, brief, checked_numbers, real_array, value_error
from vgsim._display import block, line
from vgsim._domains import checked_int
from vgsim._results.training_events import checked_level_of_loss
from vgsim._statistics.censored import Reached, kaplan_meier
from vgsim._statistics.estimate import Estimate, checked_level
from vgsim._statistics.quantiles import checked_quantile

__all__ = ["TimeToLoss"]

METHOD = "Kaplan-Meier, log-log"


class TimeToLoss:
    """The law of the first recorded step at which the loss of a network is below a level.

    Returned by :meth:`Training.time_to_loss`. Networks that do not reach the level are censored:
    all that is known of their time is that it is larger than the last step. Those that diverge
    first count as observed up to the last step, for they would not have reached the level.

    Parameters
    ----------
    step : array_like of int, shape (n,)
        The first recorded step below the level; of a censored network the last at which it was
        observed.
    censored : array_like of bool, shape (n,)
        Whether the level was not reached.
    level : float
        The loss.
    last : int, optional
        The last step of the training, by default the largest of `step`.
    confidence_level : float, default 0.95
        Of all intervals, pointwise.

    Attributes
    ----------
    step : int64 array, shape (n,)
    censored : bool array, shape (n,)
    level, confidence_level : float
    last : int
    n, n_censored : int
        Number of networks, and of those that are censored.

    Raises
    ------
    TypeError, ValueError
        If an argument has a wrong type, shape or value.

    Examples
    --------
    >>> import vgsim
    >>> time = vgsim.TimeToLoss([10, 30, 20, 99], [False, False, False, True], level=0.5)
    >>> time.probability(20).estimate, time.quantile(0.5).estimate
    (0.5, 20.0)
    >>> time.quantile(0.9).estimate
    inf
    """

    def __init__(
        self,
        step: ArrayLike,
        censored: ArrayLike,
        *,
        level: float,
        last: int | None = None,
        confidence_level: float = 0.95,
    ) -> None:
        steps = real_array("step", step, "must be a vector of ints")
        whole = np.isfinite(steps) & (steps >= 0) & (steps == np.floor(steps))
        if steps.ndim != 1 or not steps.size or not whole.all():
            raise value_error("step", f"must be a vector of ints >= 0, got {brief(step)}")
        out = np.asarray(censored)
        if out.dtype != np.bool_ or out.shape != steps.shape:
            problem = f"must be a vector of {steps.size} bools, got {brief(censored)}"
            raise value_error("censored", problem)
        self.step: NDArray[np.int64] = steps.astype(np.int64)
        self.censored: NDArray[np.bool_] = out.copy()
        for array in (self.step, self.censored):
            array.flags.writeable = False
        self.level: float = checked_level_of_loss(level)
        most = int(self.step.max())
        self.last: int = most if last is None else checked_int("last", last, most, COUNTERS - 1)
        self.confidence_level: float = checked_level(confidence_level)
        times = self.step.astype(np.float64)
        self._reached: Reached = kaplan_meier(times, self.censored, self.confidence_level)

    @property
    def n(self) -> int:
        """The number of networks."""
        return int(self.step.size)

    @property
    def n_censored(self) -> int:
        """The number of networks that did not reach the level."""
        return int(np.count_nonzero(self.censored))

    def probability(self, step: ArrayLike | None = None) -> Estimate:
        """Estimate the probability that the level is reached at a step or before.

        The estimate is that of Kaplan and Meier, by ``scipy.stats.ecdf`` of censored data. As long
        as no network is censored before `step`, as in a training, it is the fraction of networks.

        Parameters
        ----------
        step : int or array_like of int, optional
            From 0 to `last`, by default that.

        Returns
        -------
        Estimate
            Its fields are floats, or arrays of the shape of `step`. The intervals are by
            Greenwood's variance of ln(−ln S); Wilson's where the estimate is 0 or 1.

        Raises
        ------
        TypeError, ValueError
            If a step is not from 0 to `last`.

        Examples
        --------
        >>> import vgsim
        >>> time = vgsim.TimeToLoss([10, 30, 20, 99], [False, False, False, True], level=0.5)
        >>> time.probability([0, 30, 99]).estimate
        array([0.  , 0.75, 0.75])
        """
        wanted = checked_numbers("step", self.last if step is None else step)
        if not np.all((wanted >= 0) & (wanted <= self.last)):
            raise value_error("step", f"must be from 0 to {self.last}, got {brief(step)}")
        found = self._reached
        place = np.searchsorted(found.times, wanted, side="right") - 1
        parts = (found.estimate[place], found.low[place], found.high[place])
        return self._estimate(*parts)

    def quantile(self, p: ArrayLike = 0.5) -> Estimate:
        """Estimate the step at which the probability of having reached the level rises to `p`.

        Parameters
        ----------
        p : float or array_like, default 0.5
            From 0 to 1.

        Returns
        -------
        Estimate
            Its fields are floats, or arrays of the shape of `p`: steps, inf where the estimate or
            the limit of the interval of the probability does not rise to `p` within the training.

        Raises
        ------
        TypeError, ValueError
            If `p` is not from 0 to 1.

        References
        ----------
        R. Brookmeyer and J. Crowley, Biometrics 38 (1982) 29: the interval.

        Examples
        --------
        >>> import vgsim
        >>> time = vgsim.TimeToLoss(range(1, 101), [False] * 100, level=0.5)
        >>> print(time.quantile())
        50 (95 % interval 40 to 60)
        """
        shares, found = checked_quantile(p), self._reached
        parts = (found.after(shares, x) for x in (found.estimate, found.high, found.low))
        return self._estimate(*parts)

    def _estimate(self, *parts: NDArray[np.float64]) -> Estimate:
        """Return an estimate with its limits, as floats if they are numbers."""
        estimate, low, high = (part if part.ndim else float(part) for part in parts)
        return Estimate(estimate, low, high, self.confidence_level, METHOD)

    def __repr__(self) -> str:
        return f"<TimeToLoss: {self._reached_by}; {self._median}>"

    def _repr_html_(self) -> str:
        return block(line(self._reached_by), line(self._median))

    @property
    def _reached_by(self) -> str:
        below = f"{self.n - self.n_censored} of {self.n} networks below a loss of {self.level:.4g}"
        return f"{below} by step {self.last}"

    @property
    def _median(self) -> str:
        median = self.quantile(0.5)
        value, low, high = (float(x) for x in (median.estimate, median.low, median.high))
        if math.isinf(value):
            return "median not reached"
        level = f"{100 * self.confidence_level:g} % interval"
        return f"median step {value:g} ({level} {low:g} to {high:g})"
