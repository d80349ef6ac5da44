"""Curves: the law of R_l = log10(‖G_l‖ / ‖G_D‖) at several places, in increasing order."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import DTypeLike, NDArray

from vgsim._checks import THRESHOLD, brief, type_error
from vgsim._display import plural
from vgsim._domains import Number, checked_bool
from vgsim._results.column import checked_names, chosen
from vgsim._results.curve_plots import PlottedCurve
from vgsim._results.curve_table import MOMENTS, CurveColumns
from vgsim._results.distribution import Distribution
from vgsim._results.events import checked_event, event_in_words
from vgsim._results.html import curve_html
from vgsim._results.tables import check_frame, report
from vgsim._statistics.binomial import Probability, checked_interval
from vgsim._statistics.depth_scale import DepthScale, fit_depth_scale
from vgsim._statistics.estimate import Estimate, Floats
from vgsim.theory._prediction import Prediction, predict
from vgsim.typing import Event, Format, Method, NumberFormat

__all__ = ["Curve", "LayerProfile", "stacked"]

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
        event: Event = "vanishing",
        threshold: float = THRESHOLD,
        dtype: NumberFormat | DTypeLike | None = None,
        confidence_level: float = 0.95,
        method: Method = "wilson",
    ) -> Estimate[Floats]:
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
        return stacked(found)

    def quantile(self, q: float, confidence_level: float = 0.95) -> Estimate[Floats]:
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
        return stacked(
            [s.quantile_interval(q, layer, confidence_level) for s, layer in self._points]
        )

    def mean(self, confidence_level: float = 0.95) -> Estimate[Floats]:
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
        return stacked([s.mean_interval(layer, confidence_level) for s, layer in self._points])

    def variance(self, confidence_level: float = 0.95) -> Estimate[Floats]:
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
        return stacked([s.variance_interval(layer, confidence_level) for s, layer in self._points])

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
                f"depth_scale needs two or more {plural(self._place)} before the last, each with "
                f"two or more samples that are not dead, got {len(columns)}"
            )
        return fit_depth_scale(
            list(columns), list(columns.values()), confidence_level, self._paired
        )

    def table(
        self,
        format: Format = "text",
        *,
        event: Event = "vanishing",
        threshold: float = THRESHOLD,
        dtype: NumberFormat | DTypeLike | None = None,
        confidence_level: float = 0.95,
        method: Method = "wilson",
        theory: bool = True,
        columns: str | Sequence[str] | None = None,
        intervals: bool = True,
        caption: str | None = None,
        label: str | None = None,
    ) -> str:
        r"""Return the curve as a table: by default the probability of an event, mean and std of R.

        Parameters
        ----------
        format : {"text", "markdown", "latex", "csv", "html"}, default "text"
            LaTeX needs the package booktabs; only CSV has all digits. Numbers have the digits that
            their intervals support.
        event, threshold, dtype, confidence_level, method
            As for :meth:`Samples.probability`.
        theory : bool, default True
            Whether the default columns include theoretical values, where a theory applies. Below
            the probabilities for which its law holds only a bound is written, such as "< 1e-6"; in
            CSV the number is then empty, and a column with the ending _below has the bound.
        columns : str or sequence of str, optional
            The names of the columns: depth (or steps, layer), n; vanishing, exploding, healthy and
            dead, and the event; mean and std; the quantiles q05, median and q95; and each
            probability and moment with the ending _theory.
        intervals : bool, default True
            Whether to write the intervals.
        caption : str, optional
            A caption, of which LaTeX commands are kept with format "latex". Not with "csv".
        label : str, optional
            With format "latex", the name for references by ``\ref``.

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
        depth,vanishing,vanishing_low,vanishing_high,vanishing_theory,vanishing_theory_below,...
        >>> print(curve.table("csv", columns=["depth", "n"]))
        depth,n
        10,1000
        50,1000
        """
        check_frame(format, caption, label)
        theory, shown = checked_bool("theory", theory), checked_bool("intervals", intervals)
        names = None if columns is None else checked_names("columns", columns)
        known = self._table_columns(event, threshold, dtype, confidence_level, method)
        names = known.usual(theory) if names is None else names
        found = chosen(known.columns(names), names, shown)
        return report(found, format, self._title(known, names), caption, label)

    def _table_columns(
        self,
        event: Event,
        threshold: float,
        dtype: NumberFormat | DTypeLike | None,
        confidence_level: float,
        method: Method,
    ) -> CurveColumns:
        """Return the columns that a table can have; raise if an argument is out of range."""
        checked = checked_event(event, threshold, dtype)
        return CurveColumns(self, *checked, *checked_interval(confidence_level, method))

    @property
    def _has_theory(self) -> bool:
        """Whether the networks are described, so that there may be a theory of them."""
        return not any(s.network.own_engine for s, _ in self._points)

    @cached_property
    def _predictions(self) -> list[Prediction]:
        return [
            predict(s.network, layer, s.batch_size, s.loss, s.inputs) for s, layer in self._points
        ]

    def _ratios(self) -> list[Floats]:
        return [samples._ratio(layer) for samples, layer in self._points]

    def _title(self, known: CurveColumns, names: Sequence[str]) -> str:
        """Return the lines above a table with columns of these names."""
        moments = bool(set(names) & set(MOMENTS))
        methods = f"{known.method}, bootstrap" if moments else known.method
        meaning = [
            *(event_in_words(e, known.threshold, known.dtype) for e in known.events(names)),
            f"{100 * known.confidence_level:g} % intervals ({methods})",
            *(["mean and std exclude dead networks"] if moments else []),
        ]
        subject = f"R = log10(|G_{self._layer}| / |G_D|) of {self._networks}"
        return f"{subject}\n{'; '.join(meaning)}"

    def _repr_html_(self) -> str:
        return curve_html(self, self._networks, self._kind)

    @property
    def _networks(self) -> str:
        """How many networks, which, and their seed."""
        raise NotImplementedError


def stacked(found: Sequence[Estimate[float]] | Sequence[Probability]) -> Estimate[Floats]:
    """Return estimates at k places as one Estimate of arrays of shape (k,).

    Examples
    --------
    >>> from vgsim._results.curves import stacked
    >>> from vgsim._statistics.binomial import binomial
    >>> stacked([binomial(0, 10), binomial(5, 10)]).estimate
    array([0. , 0.5])
    """
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
        self.samples: Distribution = samples
        self.layers: NDArray[np.int64] = np.sort(samples.layers)
        self.distance: NDArray[np.int64] = samples.network.depth - self.layers
        self._axis = samples.network.place
        self._places = self.layers.tolist()
        self._distances = self.distance.tolist()
        self._points = [(samples, layer) for layer in self._places]

    def __repr__(self) -> str:
        return (
            f"<LayerProfile: {self.layers.size} layers from {self.layers[0]} to {self.layers[-1]} "
            f"of {self.samples!r}>"
        )

    @property
    def _networks(self) -> str:
        s = self.samples
        return f"{len(s):,} networks {s.network!r}{s._batch}, seed {s.seed}"
