"""Plots of studies of trainings: the probability of an event against fields and settings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from vgsim._checks import value_error
from vgsim._domains import checked_int
from vgsim._results.training_events import checked_training_event
from vgsim._statistics.estimate import Estimate
from vgsim._studies.columns import ordered
from vgsim._studies.drawing import Series, draw_map, draw_series
from vgsim._studies.points import LEVEL, check_axes, columns_of, refuse_clashes
from vgsim._studies.training_columns import Trained
from vgsim.plotting.artists import Artists
from vgsim.typing import TrainingEvent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from vgsim._statistics.binomial import Probability

__all__ = ["draw_trainings"]

Place = tuple[Any, Any, Any]


def draw_trainings(
    trained: Sequence[Trained],
    x: str,
    hue: str | None,
    y: str | None,
    event: TrainingEvent,
    level: float | None,
    step: int | None,
    line: Any,
    line_label: str | None,
    ax: Axes | None,
) -> Artists:
    """Draw a study of trainings: see :meth:`TrainingStudy.plot`."""
    event = checked_training_event(event)
    if not trained:
        raise ValueError("a plot needs one or more trainings, the study has none")
    if line is not None and y is None:
        raise value_error("line", "is drawn over a heat map only: give y too")
    columns = columns_of(trained)
    axes = {"x": x, "hue": hue, "y": y}
    check_axes(axes, list(columns))
    places: list[Place] = [
        tuple(None if name is None else columns[name][i] for name in axes.values())  # type: ignore[misc]
        for i in range(len(trained))
    ]
    refuse_clashes(places, range(len(trained)), axes, columns)
    found = [_probability(one, event, level, step) for one in trained]
    label = f"P({event})" if level is None else f"P(loss < {level:.3g})"
    label += "" if step is None else f" by step {step}"
    if y is not None:
        values = {(at[0], at[2]): p.estimate for at, p in zip(places, found, strict=True)}
        return draw_map(values, x, y, label, line, ax, line_label)
    series = {}
    for name in ordered([at[1] for at in places]):
        own = [i for i, at in enumerate(places) if at[1] == name]
        parts = np.array([(found[i].estimate, found[i].low, found[i].high) for i in own])
        estimate, low, high = parts.T
        series[name] = Series([places[i][0] for i in own], Estimate(estimate, low, high, LEVEL, ""))
    return draw_series(series, [at[0] for at in places], x, hue, label, True, ax)


def _probability(
    one: Trained, event: TrainingEvent, level: float | None, step: int | None
) -> Probability:
    """Return the probability of an event by a step that all trainings have."""
    if step is not None:
        checked_int("step", step, 0, int(one.training.steps[-1]), "the last step of all trainings")
    return one.training.probability(event, level=level, step=step)
