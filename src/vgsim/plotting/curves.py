"""Curves against depth or layer: estimates with interval bands, fans of quantiles."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vgsim._checks import brief, value_error
from vgsim._statistics.quantiles import quantile
from vgsim.plotting.artists import Artists
from vgsim.plotting.data import (
    Values,
    checked_columns,
    checked_places,
    checked_series,
    checked_threshold,
)
from vgsim.plotting.fan import LEVELS, checked_levels, draw_bands
from vgsim.plotting.style import (
    RATIO,
    SMALL,
    THEORY,
    Style,
    axes_and_style,
    darker,
    dead_share,
    make_logarithmic,
    mark_unbounded,
    measured_line,
    note,
    once,
    set_labels,
    show_legend,
    spaced_evenly_in_log,
    threshold_lines,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["curve", "probability", "quantiles"]

Floats = NDArray[np.float64]


def probability(
    x: ArrayLike,
    estimate: Any,
    *,
    theory: Any = None,
    label: str | None = None,
    color: Any = None,
    xlabel: str | None = None,
    ylabel: str | None = None,
    ax: Axes | None = None,
) -> Artists:
    """Draw a probability against depth, with the band of its confidence intervals.

    Parameters
    ----------
    x : array_like, shape (k,)
        Depths, or another quantity. The axis is logarithmic if all are positive, span more than a
        decade, and are denser at small values.
    estimate : array_like of shape (k,), or an object with ``estimate``, ``low`` and ``high``
        Such as a :class:`vgsim.Estimate` of arrays of shape (k,): probabilities from 0 to 1, and
        the limits of their intervals, which an array does not have. NaN is not drawn.
    theory : array_like of shape (k,), optional
        Theoretical probabilities, drawn dashed; NaN or None where they are not known.
    label : str, optional
        The name of the curve in the legend.
    color : colour of matplotlib, optional
        By default colour and marker differ from those of the earlier series on the axes.
    xlabel, ylabel : str, optional
        By default "depth" and "probability", unless the axes have labels already.
    ax : matplotlib.axes.Axes, optional
        By default those of a new figure.

    Returns
    -------
    Artists
        The line; the band, if there are intervals; the line of the theory, if it is given.

    Raises
    ------
    TypeError, ValueError
        If an argument has a wrong type or shape, or a probability is not between 0 and 1.

    Examples
    --------
    >>> import vgsim
    >>> network = vgsim.MLP(1, 32, activation="sigmoid")
    >>> curve = vgsim.depth_curve(network, (2, 5, 10, 20), 500)
    >>> drawn = vgsim.plotting.probability(curve.depths, curve.probability())
    >>> drawn.axes.get_ylabel()
    'probability'
    """
    places = checked_places("x", x)
    bands, theories = _series(places.size, estimate, theory)
    for name, rows in (("estimate", bands), ("theory", theories)):
        for row in rows:
            if not ((row >= 0) & (row <= 1) | np.isnan(row)).all():
                raise value_error(name, f"must be from 0 to 1 or NaN, got {brief(row)}")
    ax, style = axes_and_style(ax, color, label=label, xlabel=xlabel, ylabel=ylabel)
    drawn = _draw(ax, places, bands, theories, label, style)
    largest = max(float(np.nanmax(row, initial=0.0)) for row in (*bands, *theories))
    if largest > SMALL and ax.get_yscale() == "linear":
        ax.set_ylim(-0.03, 1.03)
    set_labels(ax, (xlabel, "depth"), (ylabel, "probability"))
    show_legend(ax)
    return Artists(drawn, ax)


def curve(
    x: ArrayLike,
    estimate: Any,
    *,
    theory: Any = None,
    label: str | None = None,
    color: Any = None,
    xlabel: str | None = None,
    ylabel: str | None = None,
    ax: Axes | None = None,
) -> Artists:
    """Draw any estimate against depth, such as the mean of R, with the band of its intervals.

    Parameters
    ----------
    x, theory, label, color, xlabel, ylabel, ax
        As for :func:`probability`; the default of `ylabel` is that of R in decades.
    estimate : array_like of shape (k,), or an object with ``estimate``, ``low`` and ``high``
        NaN is not drawn; −∞ is shown by an arrow at the lower edge of the axes.

    Returns
    -------
    Artists
        The line; the band, if there are intervals; the line of the theory, if it is given; the
        arrows, if there are any.

    Raises
    ------
    TypeError, ValueError
        If an argument has a wrong type or shape.

    Examples
    --------
    >>> import vgsim
    >>> curve = vgsim.depth_curve(vgsim.MLP(1, 32, activation="sigmoid"), (2, 5, 10, 20), 500)
    >>> drawn = vgsim.plotting.curve(curve.depths, curve.mean(), label="sigmoid")
    >>> len(drawn)
    2
    """
    places = checked_places("x", x)
    bands, theories = _series(places.size, estimate, theory)
    ax, style = axes_and_style(ax, color, label=label, xlabel=xlabel, ylabel=ylabel)
    drawn = _draw(ax, places, bands, theories, label, style)
    set_labels(ax, (xlabel, "depth"), (ylabel, RATIO.replace("G_l", "G_0")))
    show_legend(ax)
    return Artists(drawn, ax)


def quantiles(
    x: ArrayLike,
    columns: Any,
    *,
    levels: ArrayLike = LEVELS,
    theory_mean: Any = None,
    threshold: float | None = None,
    label: str | None = None,
    color: Any = None,
    xlabel: str | None = None,
    ylabel: str | None = None,
    ax: Axes | None = None,
) -> Artists:
    """Draw a fan of quantiles of R against layer or depth.

    Parameters
    ----------
    x : array_like, shape (k,)
        Layers or depths; the axis is logarithmic as for :func:`probability`.
    columns : array of shape (n, k), or k arrays
        The samples of R at each place, finite or −∞ (dead). A quantile of −∞ is shown by an arrow
        at the lower edge of the axes.
    levels : array_like, default (0.05, 0.25, 0.5, 0.75, 0.95)
        Increasing numbers strictly between 0 and 1. The first and the last bound the lightest band,
        and so on; the middle one of an odd number is a line.
    theory_mean : array_like of shape (k,), optional
        Theoretical means of R, drawn dashed; NaN or None where they are not known.
    threshold : float, optional
        Draw a line at log10(threshold), below which gradients are called vanishing, and at the
        negative of this, if the axes reach it.
    label, color, xlabel, ylabel, ax
        As for :func:`probability`; the default of `xlabel` is "layer".

    Returns
    -------
    Artists
        The line of the middle level, the bands from the outermost, then theory, arrows, threshold.

    Raises
    ------
    TypeError, ValueError
        If an argument has a wrong type, shape or value.

    Examples
    --------
    >>> import vgsim
    >>> s = vgsim.simulate(vgsim.MLP(20, 64), 500)
    >>> drawn = vgsim.plotting.quantiles(s.layers, s.log10_ratio)
    >>> drawn.axes.get_xlabel()
    'layer'
    """
    samples = checked_columns(columns)
    places = checked_places("x", x, len(samples))
    shares = checked_levels(levels)
    mean = None if theory_mean is None else checked_series("theory_mean", theory_mean, places.size)
    threshold = checked_threshold(threshold)
    ax, style = axes_and_style(ax, color, label=label, xlabel=xlabel, ylabel=ylabel)
    order = np.argsort(places, kind="stable")
    places, samples = places[order], [samples[i] for i in order]
    found = np.array([quantile(sample.all(), shares) for sample in samples]).T
    shown = [found.ravel()]
    if mean is not None:
        mean = mean[order]
        shown.append(mean)
    if threshold is not None:
        shown.append(np.array([math.log10(threshold)]))
    floor = _floor(ax, np.concatenate(shown))
    _scale_x(ax, places)
    name = note(label, _most_dead(samples))
    drawn = draw_bands(ax, places, found, shares, (floor, math.inf), style, name)
    if mean is not None:
        drawn.append(_theory_line(ax, places, mean, style, "theory, mean"))
    unbounded = np.isneginf(found[0])
    if unbounded.any():
        drawn += mark_unbounded(ax, places[unbounded], style.color)
        ax.set_ylim(bottom=floor)
    drawn += threshold_lines(ax, threshold, upright=False)
    set_labels(ax, (xlabel, "layer"), (ylabel, RATIO))
    show_legend(ax)
    return Artists(drawn, ax)


def _floor(ax: Any, shown: Floats) -> float:
    """Return a level below all finite numbers, at which bands that reach −∞ end."""
    finite = shown[np.isfinite(shown)]
    floor = float(finite.min() - 0.05 * max(np.ptp(finite), 1.0)) if finite.size else 0.0
    return min(floor, ax.get_ylim()[0]) if ax.has_data() else floor


def _most_dead(samples: list[Values]) -> str:
    """Return the largest fraction of dead samples at a place, in words; "" if it is 0."""
    worst = max(samples, key=lambda sample: sample.dead / sample.n)
    share = dead_share(worst.dead, worst.n)
    return f"up to {share}" if share and len(samples) > 1 else share


def _series(size: int, estimate: Any, theory: Any) -> tuple[list[Floats], list[Floats]]:
    """Return the estimate with the limits of its intervals, if any, and the theory, if any."""
    if hasattr(estimate, "estimate"):
        parts = [estimate.estimate, estimate.low, estimate.high]
        found = [checked_series("estimate", np.atleast_1d(part), size) for part in parts]
    else:
        found = [checked_series("estimate", estimate, size)]
    return found, [] if theory is None else [checked_series("theory", theory, size)]


def _draw(
    ax: Any,
    x: Floats,
    bands: list[Floats],
    theories: list[Floats],
    label: str | None,
    style: Style,
) -> list[Any]:
    """Draw one curve, its band, its theory and the arrows at −∞."""
    order = np.argsort(x, kind="stable")
    x, bands, theories = x[order], [b[order] for b in bands], [t[order] for t in theories]
    _scale_x(ax, x)
    drawn = [measured_line(ax, x, bands[0], style, label)]
    if len(bands) == 3:
        drawn.append(_band(ax, x, bands, style))
    drawn += [_theory_line(ax, x, theory, style, "theory") for theory in theories]
    drawn += mark_unbounded(ax, x[np.isneginf(bands[0])], style.color)
    return drawn


def _band(ax: Any, x: Floats, bands: list[Floats], style: Style) -> Any:
    """Draw intervals as a band; at a single place as a bar."""
    middle, low, high = (np.where(np.isfinite(part), part, np.nan) for part in bands)
    if x.size == 1:
        error = np.abs(np.stack([middle - low, high - middle]))
        return ax.errorbar(x, middle, error, color=style.color, capsize=3, linestyle="none")
    return ax.fill_between(x, low, high, color=style.color, alpha=0.25, linewidth=0)


def _theory_line(ax: Any, x: Floats, y: Floats, style: Style, label: str) -> Any:
    """Draw theoretical values, dashed; a single place as an open marker."""
    known = np.flatnonzero(np.isfinite(y))
    (line,) = ax.plot(
        x,
        np.where(np.isfinite(y), y, np.nan),
        color=darker(style.color),
        linestyle=THEORY,
        linewidth=1.3,
        marker="x" if known.size == 1 else None,
        label=once(ax, label) if known.size else None,
        zorder=2.6,
    )
    return line


def _scale_x(ax: Any, x: Floats) -> None:
    """Make the axis of the first series logarithmic if its places are spaced so."""
    if not ax.lines and not ax.collections and spaced_evenly_in_log(x):
        make_logarithmic(ax.xaxis, x)
