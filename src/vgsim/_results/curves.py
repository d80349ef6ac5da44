"""Curves: the law of R_l = log10(‖G_l‖ / ‖G_D‖) at several places, in increasing order."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import DTypeLike, NDArray

from vgsim._checks import THRESHOLD, brief, type_error
from vgsim._domains import Number, checked_bool
from vgsim._results.curve_plots import PlottedCurve
from vgsim._results.distribution import Distribution
from vgsim._results.events import checked_event, event_in_words
from vgsim._results.tables import Column, check_format, decimals, estimated, report
from vgsim._statistics.binomial import Probability, checked_interval
from vgsim._statistics.bootstrap import bootstrap
from vgsim._statistics.depth_scale import DepthScale, fit_depth_scale
from vgsim._statistics.estimate import Estimate
from vgsim.theory._prediction import Prediction, predict

__all__ = ["Curve", "LayerProfile"]

Floats = NDArray[np.float64]
_SHARE = Number("a number from 0 to 1", lambda q: 0 <= q <= 1)


class Curve(PlottedCurve):
    """Base of depth curves and layer profiles: columns of R at k places.

    Subclasses define the samples and the layer of each place, and its distance D − l.
    """

    _place = "depth"
    _paired = False
    _points: Sequence[tuple[Distribution, int]]
    _distances: Sequence[int]
    _places: Sequence[int]

    def probability(
        self,
        event: str = "vanishing",
        threshold: float = THRESHOLD,
        dtype: DTypeLike | None = None,
        confidence_level: float = 0.95,
        method: str = "wilson",
    ) -> Estimate:
        """Estimate the probability of an event at every place of the curve.

        Parameters
        ----------
        event, threshold, dtype, confidence_level, method
            As for :meth:`Samples.probability`.

        Returns
        -------
        Estimate
            Its fields are arrays of shape (k,); the intervals are pointwise.

        Raises
        ------
        TypeError, ValueError
            If an argument is unknown or does not apply to the event.

        Examples
        --------
        >>> import vgsim
        >>> network = vgsim.MLP(10, 32, activation="sigmoid")
        >>> vgsim.depth_curve(network, (5, 20), 500).probability().estimate
        array([0., 1.])
        """
        found = [
            samples.probability(event, layer, threshold, dtype, confidence_level, method)
            for samples, layer in self._points
        ]
        return _stacked(found)

    def quantile(self, q: float, confidence_level: float = 0.95) -> Estimate:
        """Estimate a quantile of R, in decades, at every place; dead samples count as −inf.

        Parameters
        ----------
        q : float
            Between 0 and 1.
        confidence_level : float, default 0.95

        Returns
        -------
        Estimate
            Its fields are arrays of shape (k,), in decades; the limits are order statistics.

        Raises
        ------
        TypeError, ValueError
            If an argument is not a number between 0 and 1.

        Examples
        --------
        >>> import vgsim
        >>> curve = vgsim.depth_curve(vgsim.MLP(10, 32), (5, 20), 500)
        >>> median = curve.quantile(0.5)
        >>> bool((median.low < median.estimate).all())
        True
        """
        q = _SHARE.check("q", q)
        return _stacked(
            [s.quantile_interval(q, layer, confidence_level) for s, layer in self._points]
        )

    def mean(self, confidence_level: float = 0.95) -> Estimate:
        """Estimate the mean of R over the samples that are not dead, at every place.

        Parameters
        ----------
        confidence_level : float, default 0.95

        Returns
        -------
        Estimate
            Its fields are arrays of shape (k,), in decades; bootstrap intervals.

        Raises
        ------
        TypeError, ValueError
            If at some place fewer than two samples are not dead, or the level is not between 0
            and 1.

        Examples
        --------
        >>> import vgsim
        >>> curve = vgsim.depth_curve(vgsim.MLP(10, 32, activation="sigmoid"), (5, 20), 500)
        >>> curve.mean().estimate.round(0)
        array([ -3., -13.])
        """
        return _stacked([s.mean_interval(layer, confidence_level) for s, layer in self._points])

    def variance(self, confidence_level: float = 0.95) -> Estimate:
        """Estimate the variance of R over the samples that are not dead, at every place.

        Parameters
        ----------
        confidence_level : float, default 0.95

        Returns
        -------
        Estimate
            Its fields are arrays of shape (k,), in squared decades; bootstrap intervals.

        Raises
        ------
        TypeError, ValueError
            If at some place fewer than two samples are not dead, or the level is not between 0
            and 1.

        Examples
        --------
        >>> import vgsim
        >>> variance = vgsim.depth_curve(vgsim.MLP(10, 32), (5, 20), 500).variance()
        >>> bool(variance.high[0] < variance.low[1])
        True
        """
        return _stacked([s.variance_interval(layer, confidence_level) for s, layer in self._points])

    def depth_scale(self, confidence_level: float = 0.95) -> DepthScale:
        """Estimate the growth per layer of mean and variance of ln(‖G_l‖²/‖G_D‖²).

        Weighted least squares against the distance D − l with an intercept, and bootstrap
        intervals. Places at distance 0, or where fewer than two samples are not dead, are left out.

        Parameters
        ----------
        confidence_level : float, default 0.95

        Returns
        -------
        DepthScale

        Raises
        ------
        TypeError, ValueError
            If fewer than two places are left, or the level is not a number between 0 and 1.

        Examples
        --------
        >>> import vgsim
        >>> curve = vgsim.depth_curve(vgsim.MLP(10, 64, activation="sigmoid"), (5, 20), 500)
        >>> round(curve.depth_scale().depth_scale.estimate, 2)
        0.34
        """
        columns = {
            distance: ratio
            for distance, ratio in zip(self._distances, self._ratios(), strict=True)
            if distance > 0 and np.count_nonzero(ratio > -np.inf) >= 2
        }
        if len(columns) < 2:
            raise ValueError(
                f"depth_scale needs two or more {self._place}s before the last, each with two or "
                f"more samples that are not dead, got {len(columns)}"
            )
        return fit_depth_scale(
            list(columns), list(columns.values()), confidence_level, self._paired
        )

    def table(
        self,
        format: str = "text",
        *,
        event: str = "vanishing",
        threshold: float = THRESHOLD,
        dtype: DTypeLike | None = None,
        confidence_level: float = 0.95,
        method: str = "wilson",
        theory: bool = True,
    ) -> str:
        """Return the curve as a table: the probability of an event, mean and std of R.

        Parameters
        ----------
        format : {"text", "markdown", "latex", "csv"}, default "text"
            LaTeX needs the package booktabs; only CSV has all digits.
        event, threshold, dtype, confidence_level, method
            As for :meth:`Samples.probability`.
        theory : bool, default True
            Whether to add columns of theoretical values, where a theory applies.

        Returns
        -------
        str

        Raises
        ------
        TypeError, ValueError
            If an argument is unknown or out of range.

        Examples
        --------
        >>> import vgsim
        >>> network = vgsim.MLP(10, 16, activation="relu", init="he_normal")
        >>> curve = vgsim.depth_curve(network, (10, 50), 1000)
        >>> print(curve.table("csv", threshold=0.01).splitlines()[0])
        depth,vanishing,vanishing_low,vanishing_high,vanishing_theory,mean,mean_low,mean_high,...
        """
        check_format(format)
        theory = checked_bool("theory", theory)
        event, threshold, dtype = checked_event(event, threshold, dtype)
        confidence_level, method = checked_interval(confidence_level, method)
        columns = self._columns(event, threshold, dtype, confidence_level, method, theory)
        title = self._title(event, threshold, dtype, confidence_level, method)
        return report(columns, format, title)

    def _columns(
        self,
        event: str,
        threshold: float,
        dtype: DTypeLike | None,
        confidence_level: float,
        method: str,
        theory: bool,
    ) -> list[Column]:
        """Return the columns of the table."""
        measured = {
            event: self.probability(event, threshold, dtype, confidence_level, method),
            **self._moments(confidence_level),
        }
        beside: dict[str, list[float | None]] = {}
        if theory and not any(s.network.own_engine for s, _ in self._points):
            found = self._predictions
            beside = {
                event: [prediction.probability(event, threshold) for prediction in found],
                "mean": [prediction.mean for prediction in found],
                "std": [prediction.std for prediction in found],
            }
        headings = {event: f"P({event})"}
        columns = [Column(self._place, self._place, list(self._places))]
        for name, estimate in measured.items():
            digits = decimals(min(len(s) for s, _ in self._points)) if name == event else None
            columns += estimated(name, headings.get(name, name), estimate, beside.get(name), digits)
        return columns

    def _moments(self, confidence_level: float) -> dict[str, Estimate]:
        """Return mean and std at every place, NaN where fewer than two samples are not dead."""
        parts = np.full((3, len(self._points), 2), np.nan)
        for place, ratio in enumerate(self._ratios()):
            if np.count_nonzero(ratio > -np.inf) >= 2:
                found = bootstrap(
                    lambda m: np.concatenate([m.mean, m.variance], axis=-1),
                    [ratio],
                    confidence_level,
                )
                parts[:, place] = found.estimate, found.low, found.high
        parts[..., 1] = np.sqrt(np.maximum(parts[..., 1], 0))
        moments = {}
        for column, name in enumerate(("mean", "std")):
            estimate, low, high = parts[..., column]
            moments[name] = Estimate(estimate, low, high, confidence_level, "bootstrap")
        return moments

    @cached_property
    def _predictions(self) -> list[Prediction]:
        return [
            predict(s.network, layer, s.batch_size, s.loss, s.inputs) for s, layer in self._points
        ]

    def _ratios(self) -> list[Floats]:
        return [samples._ratio(layer) for samples, layer in self._points]

    def _title(
        self,
        event: str,
        threshold: float,
        dtype: DTypeLike | None,
        confidence_level: float,
        method: str,
    ) -> str:
        raise NotImplementedError


def _stacked(found: Sequence[Estimate] | Sequence[Probability]) -> Estimate:
    """Return estimates at k places as one Estimate of arrays of shape (k,)."""
    estimate, low, high = np.array([[e.estimate, e.low, e.high] for e in found]).T
    return Estimate(estimate, low, high, found[0].confidence_level, found[0].method)


class LayerProfile(Curve):
    """The law of R_l = log10(‖G_l‖ / ‖G_D‖) against the layer l, from one run.

    Estimates at different layers come from the same networks, so they are dependent.

    Attributes
    ----------
    samples : Samples
    layers : int64 array, shape (k,)
        The recorded layers, increasing.
    distance : int64 array, shape (k,)
        D − l.

    Examples
    --------
    >>> import vgsim
    >>> s = vgsim.simulate(vgsim.MLP(20, 64, activation="sigmoid"), 500, layers=(0, 10, 20))
    >>> p = s.profile()
    >>> p.probability().estimate.round(1)
    array([1., 1., 0.])
    """

    _place = "layer"
    _kind = "quantiles"
    _layer = "l"
    _paired = True

    def __init__(self, samples: Distribution) -> None:
        if not isinstance(samples, Distribution):
            raise type_error("samples", f"must be vgsim.Samples, got {brief(samples)}")
        self.samples = samples
        self.layers = np.sort(samples.layers)
        self.distance = samples.network.depth - self.layers
        self._places = self.layers.tolist()
        self._distances = self.distance.tolist()
        self._points = [(samples, layer) for layer in self._places]

    def __repr__(self) -> str:
        return (
            f"<LayerProfile: {self.layers.size} layers from {self.layers[0]} to {self.layers[-1]} "
            f"of {self.samples!r}>"
        )

    def _title(
        self,
        event: str,
        threshold: float,
        dtype: DTypeLike | None,
        confidence_level: float,
        method: str,
    ) -> str:
        s = self.samples
        return (
            f"R = log10(|G_l| / |G_D|) of {len(s):,} networks {s.network!r}{s._batch}, "
            f"seed {s.seed}\n"
            f"{event_in_words(event, threshold, dtype)}; "
            f"{100 * confidence_level:g} % intervals ({method}, bootstrap); "
            "mean and std exclude dead networks"
        )
