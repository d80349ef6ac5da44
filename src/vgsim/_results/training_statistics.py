"""Statistics of trainings over samples: events, quantiles, times, rank correlations."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vgsim._checks import brief, type_error, value_error
from vgsim._domains import Choice
from vgsim._results.events import column_of
from vgsim._results.time_to_loss import TimeToLoss
from vgsim._results.training_arrays import TRAINED
from vgsim._results.training_events import (
    SMOOTHING,
    checked_level_of_loss,
    checked_smoothing,
    checked_training_event,
    default_level,
    happened,
    smoothed,
    until,
)
from vgsim._statistics.binomial import Probability, binomial, checked_interval
from vgsim._statistics.estimate import Estimate
from vgsim._statistics.quantiles import checked_quantile, quantile
from vgsim._statistics.rank_correlation import FEWEST, rank_correlation
from vgsim.plotting.fan import LEVELS
from vgsim.typing import Method, TrainingEvent, TrainingOutcome

__all__ = ["TrainingStatistics"]

Floats = NDArray[np.float64]


class TrainingStatistics:
    """The statistics of a training; subclasses hold the arrays."""

    steps: NDArray[np.int64]
    layers: NDArray[np.int64]
    weight_layers: NDArray[np.int64]
    baseline: float
    _arrays: dict[str, NDArray[Any]]

    def probability(
        self,
        event: TrainingEvent,
        *,
        level: float | None = None,
        step: int | None = None,
        smoothing: int = SMOOTHING,
        confidence_level: float = 0.95,
        method: Method = "wilson",
    ) -> Probability:
        """Estimate the probability that a random network learned, got stuck or diverged by a step.

        The loss is smoothed: the mean of the last `smoothing` recorded losses, of fewer at the
        beginning. The initial loss is that of step 0, which is not smoothed.

        Parameters
        ----------
        event : {"learned", "stuck", "diverged"}
            "learned": the smoothed loss was below `level` at some recorded step up to `step`.
            "diverged": at some recorded step up to `step` the loss or a parameter was not finite,
            or the smoothed loss at `step` is above 1.1 times the initial loss.
            "stuck": up to `step` the smoothed loss was never below 0.9 times the smaller of
            `baseline` and the initial loss nor below ``baseline / 2``, and the network has not
            diverged.
            A network that learned can diverge later; others are in none of the three.
        level : float, optional
            A loss, for "learned" only; by default ``baseline / 2``.
        step : int, optional
            From 0 to the last step, by default that.
        smoothing : int, default 5
            Number of recorded steps; with 1 the loss is not smoothed.
        confidence_level : float, default 0.95
        method : {"wilson", "exact", "anytime"}, default "wilson"
            Of the interval, as for :meth:`Samples.probability`.

        Returns
        -------
        Probability

        Raises
        ------
        TypeError, ValueError
            If an argument is unknown, out of range, or does not apply to the event.

        Examples
        --------
        >>> import vgsim
        >>> net = vgsim.MLP(3, [4, 8, 8, 1])
        >>> how = {"data": "teacher", "loss": "mse", "optimizer": "sgd", "learning_rate": 0.1}
        >>> training = vgsim.train(net, 10, steps=50, **how)
        >>> training.probability("learned").estimate, training.probability("stuck").estimate
        (1.0, 0.0)
        """
        event = checked_training_event(event)
        confidence_level, method = checked_interval(confidence_level, method)
        if event != "learned" and level is not None:
            raise value_error("level", f"is for the event 'learned' only, got {brief(level)}")
        level, smoothing = self._level(level), checked_smoothing(smoothing)
        loss = self._arrays["loss"][:, : until(self.steps, step)]
        met = happened(event, loss, self.baseline, level, smoothing)
        return binomial(int(np.count_nonzero(met)), met.size, confidence_level, method)

    def quantiles(
        self, name: str = "loss", q: ArrayLike = LEVELS, *, layer: int | None = None
    ) -> Floats:
        """Return quantiles over samples of a recorded quantity at each recorded step.

        Parameters
        ----------
        name : str, default "loss"
            The name of an array: "loss", "accuracy", "gradient", "output_gradient", "log10_ratio",
            "activation", "weight_gradient", "update_ratio" or "movement".
        q : float or array_like, default (0.05, 0.25, 0.5, 0.75, 0.95)
            Probabilities between 0 and 1, of shape (j,) or a number.
        layer : int, optional
            The layer, for quantities that have layers; needed unless there is only one.

        Returns
        -------
        float64 array, shape (j, k), or (k,) if `q` is a number
            Interpolated linearly between order statistics. Never NaN: between −inf and a number a
            quantile is −inf, and between a number and inf (diverged) it is inf.

        Raises
        ------
        TypeError, ValueError
            If an argument is unknown or out of range.
        AttributeError
            If the quantity was not recorded.

        Examples
        --------
        >>> import vgsim
        >>> net = vgsim.MLP(3, [4, 8, 8, 1])
        >>> how = {"data": "teacher", "loss": "mse", "optimizer": "sgd", "learning_rate": 0.1}
        >>> training = vgsim.train(net, 10, steps=50, **how)
        >>> training.quantiles("loss", (0.25, 0.5, 0.75)).shape
        (3, 50)
        """
        shares = checked_quantile(q)
        if shares.ndim > 1:
            raise value_error("q", f"must be a number or a vector, got {brief(q)}")
        columns = self._quantity(name, layer)
        return np.stack([np.asarray(quantile(x, shares)) for x in columns.T], axis=-1)

    def time_to_loss(
        self,
        level: float | None = None,
        *,
        smoothing: int = SMOOTHING,
        confidence_level: float = 0.95,
    ) -> TimeToLoss:
        """Estimate the law of the first recorded step at which the smoothed loss is below a level.

        Parameters
        ----------
        level : float, optional
            A loss, by default ``baseline / 2``.
        smoothing, confidence_level
            As for :meth:`probability`, whose event "learned" by a step is that the level is reached
            at that step or before.

        Returns
        -------
        TimeToLoss
            Networks that do not reach the level, also those that diverge, are censored at the last
            step.

        Raises
        ------
        TypeError, ValueError
            If an argument is of the wrong type or out of range.

        Examples
        --------
        >>> import vgsim
        >>> net = vgsim.MLP(3, [4, 8, 8, 1])
        >>> how = {"data": "teacher", "loss": "mse", "optimizer": "sgd", "learning_rate": 0.1}
        >>> training = vgsim.train(net, 10, steps=50, **how)
        >>> time = training.time_to_loss()
        >>> time.n, time.n_censored, time.probability(49).estimate
        (10, 0, 1.0)
        """
        level = self._level(level)
        below = self._smoothed(checked_smoothing(smoothing)) < level
        censored = ~below.any(axis=1)
        step = np.where(censored, self.steps[-1], self.steps[below.argmax(axis=1)])
        last = int(self.steps[-1])
        return TimeToLoss(step, censored, level=level, last=last, confidence_level=confidence_level)

    def rank_correlation(
        self,
        layer: int = 0,
        *,
        outcome: TrainingOutcome = "loss",
        level: float | None = None,
        smoothing: int = SMOOTHING,
        confidence_level: float = 0.95,
    ) -> Estimate[float]:
        """Estimate Spearman's rank correlation of R_l at initialisation and what is learned.

        Parameters
        ----------
        layer : int, default 0
            The layer l of R_l = log10(‖G_l‖/‖G_D‖) at step 0. Dead networks, R_l = −∞, have the
            lowest rank.
        outcome : {"loss", "time"}, default "loss"
            "loss": the smoothed loss at the last step; networks that diverged have the highest
            rank. "time": the first step at which it is below `level`; networks that do not reach it
            have the highest rank. So a negative correlation means that networks with larger
            gradients at layer l learn better.
        level : float, optional
            For "time" only; by default ``baseline / 2``.
        smoothing, confidence_level
            As for :meth:`probability`.

        Returns
        -------
        Estimate
            From −1 to 1, with a bootstrap interval over the samples.

        Raises
        ------
        TypeError, ValueError
            If an argument is unknown or out of range, if there are fewer than three samples, or if
            R_l or the outcome is the same in all.
        AttributeError
            If "gradient" was not recorded.

        References
        ----------
        C. Spearman, Am. J. Psychol. 15 (1904) 72.

        Examples
        --------
        >>> import vgsim
        >>> net = vgsim.MLP(3, [4, 8, 8, 1])
        >>> how = {"data": "teacher", "loss": "mse", "optimizer": "sgd", "learning_rate": 0.1}
        >>> training = vgsim.train(net, 10, steps=50, record={"gradient"}, **how)
        >>> found = training.rank_correlation()
        >>> bool(-1 <= found.low <= found.estimate <= found.high <= 1)
        True
        """
        chosen = _OUTCOME.check("outcome", outcome)
        ratio = self._quantity("log10_ratio", layer)[:, 0]
        if chosen == "time":
            time = self.time_to_loss(level, smoothing=smoothing)
            result = np.where(time.censored, np.inf, time.step)
        else:
            if level is not None:
                raise value_error("level", f"is for the outcome 'time' only, got {brief(level)}")
            result = self._smoothed(checked_smoothing(smoothing))[:, -1]
        if ratio.size < FEWEST:
            problem = f"needs {FEWEST} or more samples, got {ratio.size}"
            raise value_error("rank_correlation", problem)
        for argument, values, what in (("layer", ratio, "R"), ("outcome", result, chosen)):
            if np.all(values == values[0]):
                problem = f"must be one for which samples differ, got {what} = {values[0]:g} in all"
                raise value_error(argument, problem)
        return rank_correlation(ratio, result, confidence_level)

    def _level(self, level: object) -> float:
        """Return the level of the loss below which a network has learned."""
        return default_level(self.baseline) if level is None else checked_level_of_loss(level)

    def _smoothed(self, smoothing: int) -> Floats:
        """Return the smoothed loss, shape (n, k)."""
        return smoothed(self._arrays["loss"], smoothing)

    def _recorded(self, name: str) -> Floats:
        """Return an array by its name; AttributeError if it was not recorded."""
        array: Floats = getattr(self, name)
        return array

    def _quantity(self, name: object, layer: object) -> Floats:
        """Return a recorded quantity, of one layer if it has layers, shape (n, k)."""
        chosen = _NAME.check("name", name)
        array = self._recorded(chosen)
        dims = TRAINED["gradient" if chosen == "log10_ratio" else chosen].dims
        if len(dims) < 3:
            if layer is not None:
                raise value_error("layer", f"does not apply to {chosen!r}, got {brief(layer)}")
            return array
        places = self.layers if dims[-1] == "layer" else self.weight_layers
        return array[:, :, self._column(places, layer, chosen)]

    def _column(self, places: NDArray[np.int64], layer: Any, name: str) -> int:
        """Return the number of a layer among `places`; None: the only one."""
        if layer is None:
            if places.size == 1:
                return 0
            problem = f"must be given for {name!r}: one of {brief(places.tolist())}"
            raise type_error("layer", problem)
        return column_of(layer, places, "recorded")


_OUTCOME: Choice[TrainingOutcome] = Choice(get_args(TrainingOutcome))
_NAME = Choice((*TRAINED, "log10_ratio"))
