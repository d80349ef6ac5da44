"""The method `plot` of depth curves and layer profiles: what it draws with `vgsim.plotting`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vgsim import plotting
from vgsim._checks import THRESHOLD, brief, checked_items, value_error
from vgsim._domains import Choice, checked_bool
from vgsim._results.distribution import Distribution
from vgsim._results.events import event_label
from vgsim._statistics.estimate import Estimate
from vgsim.plotting import Artists
from vgsim.plotting.style import ratio_label
from vgsim.theory._prediction import Prediction
from vgsim.typing import CurvePlot, Event

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["LawAt", "PlottedCurve", "law_at", "name_axis"]

Floats = NDArray[np.float64]
_KIND: Choice[CurvePlot] = Choice(get_args(CurvePlot))
RIDGES = 9  # most ridges of a picture, if the caller does not choose the places


class LawAt:
    """The exact law of X = ln(‖G_l‖²/‖G_D‖²) with the networks that are dead below layer l."""

    def __init__(self, law: Any, dead_below: float) -> None:
        self._law, self._below = law, dead_below
        self.dead_probability = float(self.cdf(-np.inf))

    def pdf(self, x: ArrayLike) -> Any:
        """Return the density of X."""
        return (1 - self._below) * self._law.pdf(x)

    def cdf(self, x: ArrayLike) -> Any:
        """Return P(X <= x)."""
        return self._below + (1 - self._below) * self._law.cdf(x)

    def sf(self, x: ArrayLike) -> Any:
        """Return P(X > x)."""
        return (1 - self._below) * self._law.sf(x)


def law_at(prediction: Prediction) -> LawAt | None:
    """Return the exact law of a prediction; None if it is not known.

    Examples
    --------
    >>> import vgsim
    >>> from vgsim._results.curve_plots import law_at
    >>> from vgsim.theory._prediction import predict
    >>> law = law_at(predict(vgsim.MLP(10, 4, activation="relu"), 5))
    >>> round(law.dead_probability, 3)  # one of ten layers has no active unit
    0.476
    """
    return None if prediction.law is None else LawAt(prediction.law, prediction.dead_below)


def name_axis(options: dict[str, Any], name: str, text: str, ax: Any) -> None:
    """Put the name of an axis into the options, unless these or the axes have one."""
    if ax is None or not getattr(ax, f"get_{name}", str)():
        options.setdefault(name, text)


class PlottedCurve:
    """Base of curves: the method `plot`. What it draws, subclasses define."""

    _place = "depth"
    _kind: CurvePlot = "probability"
    _layer = "0"
    _places: Sequence[int]
    _points: Sequence[tuple[Distribution, int]]
    _axis: str = "depth"  # the name of the places on an axis
    probability: Callable[..., Estimate]

    @property
    def _predictions(self) -> list[Prediction]:
        raise NotImplementedError

    def _ratios(self) -> list[Floats]:
        raise NotImplementedError

    def plot(
        self,
        kind: CurvePlot | None = None,
        *,
        event: Event | None = None,
        threshold: float | None = None,
        theory: bool = True,
        ax: Axes | None = None,
        **options: Any,
    ) -> Artists:
        """Draw the curve, with theoretical values where they are known.

        Parameters
        ----------
        kind : {"probability", "quantiles", "ridge"}, optional
            "probability": of an event, with the band of its pointwise intervals; the default of
            depth curves. "quantiles": a fan of quantiles of R and, dashed, the theoretical mean;
            the default of layer profiles. "ridge": densities of R, one above the other.
        event : str, optional
            The event of a probability, as in :meth:`Samples.probability`; by default "vanishing".
        threshold : float, optional
            That of the event, by default 1e-6. With the other kinds, a line is drawn at
            log10(threshold) if it is given.
        theory : bool, default True
            Whether to draw theoretical values.
        ax : matplotlib.axes.Axes, optional
            By default those of a new figure.
        **options
            Arguments of the function of `vgsim.plotting` with the name of the kind, such as
            `label`, `color`, `levels`. For "probability" also `dtype`, `confidence_level` and
            `method` of :meth:`Samples.probability`. For "ridge" also `places`: the depths or layers
            to show, by default up to nine.

        Returns
        -------
        vgsim.plotting.Artists
            The artists; their ``axes`` and ``figure``.

        Raises
        ------
        TypeError, ValueError
            If an argument is unknown, out of range or does not apply to this kind of plot.
        ImportError
            If matplotlib is not installed.

        Examples
        --------
        >>> import vgsim
        >>> network = vgsim.MLP(1, 32, activation="relu", init="he_normal")
        >>> curve = vgsim.depth_curve(network, (10, 30, 100, 300), 500)
        >>> ax = curve.plot(threshold=1e-3, label="ReLU").axes
        >>> [text.get_text() for text in ax.get_legend().get_texts()]
        ['ReLU', 'theory']
        >>> ax = curve.plot("ridge", theory=False).axes
        """
        name = self._kind if kind is None else _KIND.check("kind", kind)
        theory = checked_bool("theory", theory)
        if name == "probability":
            chosen: Event = "vanishing" if event is None else event
            return self._plot_probability(chosen, threshold, theory, ax, options)
        if event is not None:
            problem = f"is for the kind 'probability' only, got {brief(event)} with {name!r}"
            raise value_error("event", problem)
        options["threshold"] = threshold
        if name == "quantiles":
            return self._plot_quantiles(theory, ax, options)
        return self._plot_ridge(theory, ax, options)

    def _plot_probability(
        self, event: Event, threshold: float | None, theory: bool, ax: Any, options: dict[str, Any]
    ) -> Artists:
        names = ("dtype", "confidence_level", "method")
        interval = {name: options.pop(name) for name in names if name in options}
        level = THRESHOLD if threshold is None else threshold
        estimate = self.probability(event, level, **interval)
        if theory:
            known = [found.probability(event, level) for found in self._predictions]
            options.setdefault("theory", self._unless_trivial(known))
        name_axis(options, "xlabel", self._axis, ax)
        name_axis(options, "ylabel", event_label(event, self._layer, level), ax)
        return plotting.probability(self._places, estimate, ax=ax, **options)

    def _plot_quantiles(self, theory: bool, ax: Any, options: dict[str, Any]) -> Artists:
        name_axis(options, "xlabel", self._axis, ax)
        name_axis(options, "ylabel", ratio_label(self._layer), ax)
        if theory:
            means = [found.mean for found in self._predictions]
            options.setdefault("theory_mean", self._unless_trivial(means))
        return plotting.quantiles(self._places, self._ratios(), ax=ax, **options)

    def _plot_ridge(self, theory: bool, ax: Any, options: dict[str, Any]) -> Artists:
        name_axis(options, "xlabel", ratio_label(self._layer), ax)
        name_axis(options, "ylabel", self._axis, ax)
        chosen = self._columns_of(options.pop("places", None))
        if theory:
            options.setdefault("laws", [law_at(self._predictions[i]) for i in chosen])
        ratios = self._ratios()
        columns = [ratios[i] for i in chosen]
        return plotting.ridge(columns, [self._places[i] for i in chosen], ax=ax, **options)

    def _unless_trivial(self, values: list[float | None]) -> list[float | None] | None:
        """Return values of a theory; None if it knows them at the output only, where R is 0."""
        inner = [layer < samples.network.depth for samples, layer in self._points]
        known = any(value is not None for value, at in zip(values, inner, strict=True) if at)
        return values if known else None

    def _columns_of(self, places: Any) -> list[int]:
        """Return the numbers of the chosen places, by default of `RIDGES` evenly spaced ones."""
        every = np.array(self._places)
        if places is None:
            scale = np.arange(every.size) if self._kind == "probability" else every
            evenly = np.linspace(scale[0], scale[-1], min(RIDGES, every.size))
            return sorted({int(np.abs(scale - wanted).argmin()) for wanted in evenly})
        wanted = checked_items("places", places, "must be a sequence of ints")
        found = [np.flatnonzero(every == place) for place in wanted]
        if not found or not all(column.size == 1 for column in found):
            problem = f"must be of {brief(every.tolist())}, got {brief(wanted)}"
            raise value_error("places", problem)
        return [int(column[0]) for column in found]
