"""Fans: quantiles as a line and bands, of which some may be infinite."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vgsim._checks import brief, checked_numbers, value_error
from vgsim._domains import Choice
from vgsim.plotting.artists import Artists
from vgsim.plotting.data import checked_places
from vgsim.plotting.style import (
    Style,
    axes_and_style,
    make_upright_logarithmic,
    mark_unbounded,
    measured_line,
    once,
    set_labels,
    show_legend,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["LEVELS", "checked_levels", "draw_bands", "fan"]

Floats = NDArray[np.float64]
LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
SCALE = Choice(("linear", "log"))
MARGIN = 0.05  # of the finite values, or of one decade or unit, between them and the edges
MOST = 1e300  # the largest number that matplotlib is given
ARROWS = 16  # most arrows at one edge


def fan(
    x: ArrayLike,
    quantiles: ArrayLike,
    *,
    levels: ArrayLike = LEVELS,
    scale: Literal["linear", "log"] = "linear",
    label: str | None = None,
    color: Any = None,
    xlabel: str | None = None,
    ylabel: str | None = None,
    ax: Axes | None = None,
) -> Artists:
    """Draw a fan of given quantiles, such as those of the loss against the step.

    Parameters
    ----------
    x : array_like, shape (k,)
        Steps or layers.
    quantiles : array_like, shape (j, k)
        Numbers, −∞ or ∞, which do not decrease from one level to the next. Bands of infinite
        quantiles end at the edge of the axes; where the middle one is infinite, an arrow at the
        lower or the upper edge shows it.
    levels : array_like, shape (j,), default (0.05, 0.25, 0.5, 0.75, 0.95)
        Increasing numbers strictly between 0 and 1. The first and the last bound the lightest band,
        and so on; the middle one of an odd number is a line.
    scale : {"linear", "log"}, default "linear"
        Of the vertical axis. On a logarithmic one, 0 and negative numbers are shown as −∞. Numbers
        beyond 1e300, and on a logarithmic axis those below 1e-300, are shown as infinite.
    label, color, ax
        As for :func:`probability`.
    xlabel, ylabel : str, optional
        By default "step" and "loss".

    Returns
    -------
    Artists
        The line of the middle level, the bands from the outermost, then the arrows.

    Raises
    ------
    TypeError, ValueError
        If an argument has a wrong type, shape or value.

    Examples
    --------
    >>> import numpy as np
    >>> import vgsim
    >>> losses = np.exp(-np.outer(np.linspace(0.01, 0.02, 100), np.arange(200)))
    >>> quantiles = np.quantile(losses, (0.25, 0.5, 0.75), axis=0)
    >>> drawn = vgsim.plotting.fan(range(200), quantiles, levels=(0.25, 0.5, 0.75), scale="log")
    >>> drawn.axes.get_yscale(), len(drawn)
    ('log', 2)
    """
    places, shares = checked_places("x", x), checked_levels(levels)
    found = checked_numbers("quantiles", quantiles)
    if found.shape != (shares.size, places.size):
        shape = shares.size, places.size
        raise value_error("quantiles", f"must have the shape {shape}, got {found.shape}")
    if np.any(found[1:] < found[:-1]):
        raise value_error("quantiles", "must not decrease from one level to the next")
    log = SCALE.check("scale", scale) == "log"
    ax, style = axes_and_style(ax, color, label=label, xlabel=xlabel, ylabel=ylabel)
    order = np.argsort(places, kind="stable")
    places, found = places[order], found[:, order]
    found = np.where(np.abs(found) > MOST, np.copysign(np.inf, found), found)
    if log:
        make_upright_logarithmic(ax)
        found = np.where(found > 1 / MOST, found, -np.inf)
    edges = _edges(ax, found, log)
    drawn = draw_bands(ax, places, found, shares, edges, style, label)
    middle = found[shares.size // 2] if shares.size % 2 else np.zeros(places.size)
    for gone, upper in ((np.isneginf(middle), False), (np.isposinf(middle), True)):
        apart = max(1, -(-np.count_nonzero(gone) // ARROWS))
        drawn += mark_unbounded(ax, places[gone][::apart], style.color, upper)
    for band in drawn[1 : 1 + shares.size // 2]:
        band.sticky_edges.y.extend(edges)  # without a margin between infinite bands and the axes
    set_labels(ax, (xlabel, "step"), (ylabel, "loss"))
    show_legend(ax)
    return Artists(drawn, ax)


def checked_levels(levels: ArrayLike) -> Floats:
    """Return the levels of quantiles: increasing numbers strictly between 0 and 1.

    Examples
    --------
    >>> from vgsim.plotting.fan import checked_levels
    >>> checked_levels((0.5, 0.1))
    Traceback (most recent call last):
    ValueError: levels must be increasing numbers strictly between 0 and 1, got (0.5, 0.1)
    """
    shares = checked_places("levels", levels)
    if not (np.diff(shares) > 0).all() or shares[0] <= 0 or shares[-1] >= 1:
        problem = f"must be increasing numbers strictly between 0 and 1, got {brief(levels)}"
        raise value_error("levels", problem)
    return shares


def draw_bands(
    ax: Any,
    x: Floats,
    found: Floats,
    shares: Floats,
    edges: tuple[float, float],
    style: Style,
    label: str | None,
) -> list[Any]:
    """Draw the quantiles, shape (levels, k): the line of the middle one, and the bands.

    Bands of infinite quantiles end at the lower and the upper one of `edges`.
    """
    middle, odd = divmod(shares.size, 2)
    centre = found[middle] if odd else np.full(x.size, np.nan)
    usual = "median" if odd and shares[middle] == 0.5 else None
    drawn = [measured_line(ax, x, centre, style, label or usual)]
    for i in range(middle):
        low, high = np.clip(found[i], *edges), np.clip(found[-1 - i], *edges)
        share = once(ax, f"{100 * shares[i]:g} to {100 * shares[-1 - i]:g} %")
        band = {"color": style.color, "alpha": 0.18 + 0.12 * i, "label": share}
        if x.size == 1:
            drawn.append(ax.vlines(x, low, high, linewidth=12, **band))
            continue
        within = (found[-1 - i] > -np.inf) & (found[i] < np.inf)
        drawn.append(ax.fill_between(x, low, high, where=within, linewidth=0, **band))
    return drawn


def _edges(ax: Any, found: Floats, log: bool) -> tuple[float, float]:
    """Return levels below and above all finite numbers, at which infinite bands end."""
    finite = found[np.isfinite(found)]
    numbers = np.log10(finite) if log else finite
    low, high = (float(numbers.min()), float(numbers.max())) if finite.size else (0.0, 1.0)
    margin = MARGIN * max(high - low, 1.0)
    low, high = low - margin, high + margin
    if log:
        low, high = 10.0**low, 10.0**high
    if ax.has_data():
        shown = sorted(ax.get_ylim())
        return min(low, shown[0]), max(high, shown[1])
    return low, high
