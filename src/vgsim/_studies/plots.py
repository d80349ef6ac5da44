"""Plots of studies: curves, points and heat maps over the fields of the networks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from vgsim import plotting
from vgsim._statistics.estimate import Estimate
from vgsim._studies.columns import is_number, ordered, words
from vgsim._studies.critical import critical_line_of
from vgsim._studies.points import (
    LEVEL,
    PROBABILITIES,
    Point,
    measured,
    points_of,
    theoretical,
    value_label,
)
from vgsim._studies.result import Result
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

__all__ = ["draw_study"]

ACROSS = 30  # characters of all names along the horizontal axis, beyond which they are oblique
TICK, LEGEND = 20, 30  # characters of a line in the name of a tick, of a curve
DODGE = 0.6  # of the distance between two words, over which the hues are spread


def draw_study(
    study: Sequence[Result],
    x: str,
    hue: str | None,
    y: str | None,
    value: str,
    layer: int | None,
    threshold: float | None,
    theory: bool,
    ax: Axes | None,
) -> Artists:
    """Draw a study: see :meth:`Study.plot`."""
    points = points_of(study, x, hue, y, value, layer, threshold)
    layers, cuts = {point.layer for point in points}, {point.threshold for point in points}
    label = value_label(
        value,
        layers.pop() if len(layers) == 1 else None,
        cuts.pop() if len(cuts) == 1 else None,
    )
    if y is not None:
        return _heat_map(points, x, y, value, label, theory, ax)
    numeric = all(is_number(point.x) for point in points)
    series: dict[Any, list[Point]] = {name: [] for name in ordered([p.hue for p in points])}
    for point in points:
        series[point.hue].append(point)
    ax = checked_axes(ax)
    places = {place: i for i, place in enumerate(dict.fromkeys(p.x for p in points))}
    drawn: list[Any] = []
    for number, (name, own) in enumerate(series.items()):
        text = None if hue is None else _series_label(hue, name)
        estimate, known = _estimate(own, value), None
        if theory:
            known = np.array([theoretical(point, value) for point in own])
            known = known if np.isfinite(known).any() else None
        axes: dict[str, Any] = {"xlabel": x, "ylabel": label, "ax": ax}
        if numeric:
            draw = plotting.probability if value in PROBABILITIES else plotting.curve
            drawn += draw([p.x for p in own], estimate, theory=known, label=text, **axes)
        else:
            shift = DODGE * ((number + 0.5) / len(series) - 0.5)
            at = np.array([places[point.x] for point in own]) + shift
            drawn += _bars(ax, at, estimate, known, text)
            set_labels(ax, (x, ""), (label, ""))
    if not numeric:
        _name_ticks(ax.xaxis, list(places))
        ax.set_xlim(-0.6, len(places) - 0.4)
        show_legend(ax)
    return Artists(drawn, ax)


def _series_label(hue: str, value: Any) -> str:
    """Return the name of a curve: a word alone, a number after the name of its field."""
    return in_lines(value if isinstance(value, str) else f"{hue} {words(value)}", LEGEND)


def _estimate(points: Sequence[Point], value: str) -> Estimate:
    """Return the estimates of points along a curve."""
    parts = np.array([measured(point, value) for point in points], dtype=np.float64)
    estimate, low, high = parts.reshape(-1, 3).T
    return Estimate(estimate, low, high, LEVEL, "")


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


def _heat_map(
    points: Sequence[Point], x: str, y: str, value: str, label: str, theory: bool, ax: Axes | None
) -> Artists:
    """Draw a value over two fields, with the critical line; NaN where there is no result."""
    axes = [ordered([getattr(point, axis) for point in points]) for axis in ("x", "y")]
    rows = {place: i for i, place in enumerate(axes[1])}
    columns = {place: i for i, place in enumerate(axes[0])}
    values = np.full((len(rows), len(columns)), math.nan)
    for point in points:
        values[rows[point.y], columns[point.x]] = measured(point, value)[0]
    line = critical_line_of(points, x, y) if theory else None
    numeric = [all(map(is_number, places)) for places in axes]
    at = [
        places if number else list(range(len(places)))
        for places, number in zip(axes, numeric, strict=True)
    ]
    drawn = plotting.heatmap(
        at[0], at[1], values, line=line, label=label, xlabel=x, ylabel=y, ax=ax
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
