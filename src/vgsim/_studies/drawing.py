"""Curves, points with error bars and heat maps over fields, whose values are numbers or words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vgsim import plotting
from vgsim._statistics.estimate import Estimate
from vgsim._studies.columns import is_number, ordered, words
from vgsim.plotting.artists import Artists, checked_axes
from vgsim.plotting.style import (
    axes_and_style,
    darker,
    drawn_as_series,
    in_lines,
    mark_unbounded,
    once,
    set_labels,
    show_legend,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Series", "draw_map", "draw_series"]

ACROSS = 30  # characters of all names along the horizontal axis, beyond which they are oblique
TICK, LEGEND = 20, 30  # characters of a line in the name of a tick, of a curve
DODGE = 0.6  # of the distance between two words, over which the hues are spread


@dataclass(frozen=True)
class Series:
    """One curve: its places on the horizontal axis, its estimates, and the theory if known."""

    places: Sequence[Any]
    estimate: Any
    theory: NDArray[np.float64] | None = None


def draw_series(
    series: Mapping[Any, Series],
    order: Sequence[Any],
    x: str,
    hue: str | None,
    label: str,
    probabilities: bool,
    ax: Axes | None,
) -> Artists:
    """Draw a curve for each value of the field `hue`; points with error bars if x has words.

    `order` are the places along the horizontal axis in the order of the words.
    """
    places = {place: i for i, place in enumerate(dict.fromkeys(order))}
    numeric = all(map(is_number, places))
    ax = checked_axes(ax)
    drawn: list[Any] = []
    for number, (name, own) in enumerate(series.items()):
        text = None if hue is None else _series_label(hue, name)
        if numeric:
            draw = plotting.probability if probabilities else plotting.curve
            axes: dict[str, Any] = {"xlabel": x, "ylabel": label, "ax": ax}
            drawn += draw(own.places, own.estimate, theory=own.theory, label=text, **axes)
        else:
            shift = DODGE * ((number + 0.5) / len(series) - 0.5)
            at = np.array([places[place] for place in own.places]) + shift
            drawn += _bars(ax, at, own.estimate, own.theory, text)
            set_labels(ax, (x, ""), (label, ""))
    if not numeric:
        _name_ticks(ax.xaxis, list(places))
        ax.set_xlim(-0.6, len(places) - 0.4)
        show_legend(ax)
    return Artists(drawn, ax)


def _series_label(hue: str, value: Any) -> str:
    """Return the name of a curve: a word alone, a number after the name of its field."""
    return in_lines(value if isinstance(value, str) else f"{hue} {words(value)}", LEGEND)


def _bars(ax: Any, at: Any, estimate: Estimate, theory: Any, label: str | None) -> list[Any]:
    """Draw points with error bars at words, and theory as crosses."""
    _, style = axes_and_style(ax, None)
    middle, low, high = (
        np.asarray(part) for part in (estimate.estimate, estimate.low, estimate.high)
    )
    shown = np.where(np.isfinite(middle), middle, np.nan)
    reach = np.abs(np.stack([shown - low, high - shown]))
    drawn = ax.errorbar(
        at,
        shown,
        np.where(np.isfinite(reach), reach, 0.0),
        color=style.color,
        marker=style.marker,
        markersize=5,
        linestyle="none",
        capsize=3,
        label=label,
    )
    drawn_as_series(drawn.lines[0])
    drawn_as_series(drawn)  # the handle of the legend
    found = [drawn, *mark_unbounded(ax, at[np.isneginf(middle)], style.color)]
    if theory is not None:
        found += ax.plot(
            at,
            theory,
            color=darker(style.color),
            linestyle="none",
            marker="_",
            markersize=14,
            label=once(ax, "theory"),
            zorder=3,
        )
    return found


def draw_map(
    values: Mapping[tuple[Any, Any], float],
    x: str,
    y: str,
    label: str,
    line: Any,
    ax: Axes | None,
    line_label: str | None = "critical line",
) -> Artists:
    """Draw values by their places (x, y), blank where there is none, and a line over them."""
    axes = [ordered([place[axis] for place in values]) for axis in (0, 1)]
    rows = {place: i for i, place in enumerate(axes[1])}
    columns = {place: i for i, place in enumerate(axes[0])}
    table = np.full((len(rows), len(columns)), math.nan)
    for (at_x, at_y), value in values.items():
        table[rows[at_y], columns[at_x]] = value
    numeric = [all(map(is_number, places)) for places in axes]
    at = [
        places if number else list(range(len(places)))
        for places, number in zip(axes, numeric, strict=True)
    ]
    drawn = plotting.heatmap(
        at[0],
        at[1],
        table,
        line=line,
        line_label=line_label,
        label=label,
        xlabel=x,
        ylabel=y,
        ax=ax,
    )
    for axis, places, number in zip(
        (drawn.axes.xaxis, drawn.axes.yaxis), axes, numeric, strict=True
    ):
        if not number:
            _name_ticks(axis, places)
    return drawn


def _name_ticks(axis: Any, places: Sequence[Any]) -> None:
    """Write values of a field at 0, 1, 2, …: oblique where they would overlap."""
    names = [in_lines(words(place), TICK) for place in places]
    longest = max(len(line) for name in names for line in name.splitlines())
    crowded = axis.axis_name == "x" and len(names) * longest > ACROSS
    oblique = {"rotation": 40, "rotation_mode": "anchor", "horizontalalignment": "right"}
    axis.set_ticks(range(len(names)), names, **(oblique if crowded else {}))
