"""Plots of a study: a value and its theory over the fields of the networks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from vgsim._domains import checked_bool
from vgsim._statistics.estimate import Estimate
from vgsim._studies.columns import ordered
from vgsim._studies.critical import critical_line_of
from vgsim._studies.drawing import Series, draw_map, draw_series
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
from vgsim.plotting.artists import Artists

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw_study"]


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
    theory = checked_bool("theory", theory)
    points = points_of(study, x, hue, y, value, layer, threshold)
    layers, cuts = {point.layer for point in points}, {point.threshold for point in points}
    label = value_label(
        value,
        layers.pop() if len(layers) == 1 else None,
        cuts.pop() if len(cuts) == 1 else None,
    )
    if y is not None:
        return _heat_map(points, x, y, value, label, theory, ax)
    groups: dict[Any, list[Point]] = {name: [] for name in ordered([p.hue for p in points])}
    for point in points:
        groups[point.hue].append(point)
    series = {}
    for name, own in groups.items():
        known = np.array([theoretical(point, value) for point in own]) if theory else None
        shown = known is not None and bool(np.isfinite(known).any())
        series[name] = Series(
            [point.x for point in own], _estimate(own, value), known if shown else None
        )
    order = [point.x for point in points]
    return draw_series(series, order, x, hue, label, value in PROBABILITIES, ax)


def _estimate(points: Sequence[Point], value: str) -> Estimate:
    """Return the estimates of points along a curve."""
    parts = np.array([measured(point, value) for point in points], dtype=np.float64)
    estimate, low, high = parts.reshape(-1, 3).T
    return Estimate(estimate, low, high, LEVEL, "")


def _heat_map(
    points: Sequence[Point], x: str, y: str, value: str, label: str, theory: bool, ax: Axes | None
) -> Artists:
    """Draw a value over two fields, with the critical line."""
    values = {(point.x, point.y): measured(point, value)[0] for point in points}
    return draw_map(values, x, y, label, critical_line_of(points, x, y) if theory else None, ax)
