"""A study of trainings as columns: its labels and statistics, as a table and for pandas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np

from vgsim._networks.description import Network
from vgsim._results.column import Column, checked_names, unknown_name
from vgsim._results.labelled import imported
from vgsim._results.tables import WIDE, check_frame, number_decimals, report
from vgsim._results.training import Training
from vgsim._results.training_events import SMOOTHING, TRAINING_EVENTS
from vgsim._statistics.estimate import checked_level
from vgsim._statistics.quantiles import quantile
from vgsim._studies.columns import label_columns
from vgsim._studies.table_columns import Labels
from vgsim._studies.training_task import TrainingTask
from vgsim.typing import Format

if TYPE_CHECKING:
    import pandas

__all__ = ["STATISTICS", "Trained", "rows_of", "table", "to_dataframe"]

STATISTICS = ("n", *TRAINING_EVENTS, "time_to_loss", "final_loss")
HEADINGS = {"time_to_loss": "median steps", "final_loss": "final loss"}
FINAL = {"final_loss_q05": 0.05, "final_loss": 0.5, "final_loss_q95": 0.95}
UNPRINTED = ("data",)  # a digest of 64 digits


@dataclass(frozen=True, eq=False)
class Trained:
    """A training with its task, as the results of other studies have one."""

    training: Training

    @property
    def network(self) -> Network:
        """The network of the training."""
        return self.training.network

    @cached_property
    def task(self) -> TrainingTask:
        """The task of the training."""
        return TrainingTask.of(self.training)


def _statistics(training: Training, confidence_level: float = 0.95) -> dict[str, float]:
    """Return the statistics of a training by name: see :meth:`TrainingStudy.to_dataframe`."""
    found: dict[str, float] = {"n": len(training)}
    for event in TRAINING_EVENTS:
        p = training.probability(event, confidence_level=confidence_level)
        found |= {event: p.estimate, f"{event}_low": p.low, f"{event}_high": p.high}
    time = training.time_to_loss(confidence_level=confidence_level).quantile(0.5)
    for end, value in (("", time.estimate), ("_low", time.low), ("_high", time.high)):
        found[f"time_to_loss{end}"] = float(value)
    last = quantile(training._smoothed(SMOOTHING)[:, -1], np.array(list(FINAL.values())))
    found |= zip(FINAL, np.asarray(last).tolist(), strict=True)
    return found | {"baseline": training.baseline}


def rows_of(trained: Sequence[Trained]) -> list[dict[str, Any]]:
    """Return the labels and statistics of trainings: see :meth:`TrainingStudy.to_dataframe`."""
    labels = label_columns(trained)
    return [
        {name: column[i] for name, column in labels.items()} | _statistics(one.training)
        for i, one in enumerate(trained)
    ]


def to_dataframe(trained: Sequence[Trained], provenance: Mapping[str, str]) -> pandas.DataFrame:
    """Return trainings as a ``pandas.DataFrame``: see :meth:`TrainingStudy.to_dataframe`."""
    pandas = imported("pandas", "to_dataframe")
    frame = pandas.DataFrame(rows_of(trained))
    frame.attrs = dict(provenance)
    return frame


def table(
    trained: Sequence[Trained],
    format: Format = "text",
    *,
    columns: str | Sequence[str] | None = None,
    confidence_level: float = 0.95,
    caption: str | None = None,
    label: str | None = None,
) -> str:
    """Return trainings as a table: see :meth:`TrainingStudy.table`."""
    check_frame(format, caption, label)
    level = checked_level(confidence_level)
    if not trained:
        return report([], format, "no trainings", caption, label)
    every = Labels(trained)
    labels = every.labels
    rows = [_statistics(one.training, level) for one in trained]
    whole = columns == "all" or (columns is None and format == "csv")
    apart = [name for name in every.apart if whole or name not in every.implied]
    names = _names("all" if whole else columns, list(labels), apart, rows)
    made = [
        Column(name, name, labels[name]) if name in labels else _column(name, rows)
        for name in names
    ]
    return report(made, format, _title(every.common, names, level), caption, label)


def _names(
    columns: str | Sequence[str] | None,
    labels: Sequence[str],
    apart: Sequence[str],
    rows: Sequence[Mapping[str, float]],
) -> list[str]:
    """Return the names of the columns; by default without a number of samples that all have."""
    if columns == "all":
        return [*labels, *STATISTICS]
    if columns is None:
        same = len({row["n"] for row in rows}) == 1
        return [*apart, *(name for name in STATISTICS if name != "n" or not same)]
    names = checked_names("columns", columns)
    known = [*labels, *STATISTICS]
    for name in names:
        if name not in known:
            raise unknown_name("columns", name, known)
    return [*(name for name in apart if name not in names), *names]


def _column(name: str, rows: Sequence[Mapping[str, float]]) -> Column:
    """Return the column of a statistic; a median number of steps that is infinite is unknown."""
    values: list[Any] = [row[name] for row in rows]
    if name in TRAINING_EVENTS:
        low, high = ([row[f"{name}_{end}"] for row in rows] for end in ("low", "high"))
        return Column(name, f"P({name})", values, low, high)
    if name == "time_to_loss":
        values = [int(x) if np.isfinite(x) else None for x in values]
        return Column(name, HEADINGS[name], values)
    if name == "final_loss":
        decimals = [number_decimals(x) + 1 for x in values]
        return Column(name, HEADINGS[name], values, decimals=decimals)
    return Column(name, name, values)


def _title(common: Mapping[str, Sequence[Any]], names: Sequence[str], level: float) -> str:
    """Return the labels that have one value, and the meaning of the columns."""
    shared = [
        f"{name} {values[0]}"
        for name, values in common.items()
        if name not in (*names, *UNPRINTED) and len(set(values)) == 1 and values[0] is not None
    ]
    meanings = {
        "learned": "learned: smoothed loss below half of the baseline at some step",
        "stuck": "stuck: not learned, and never below 0.9 of the smaller of baseline and initial "
        "loss",
        "diverged": "diverged: not finite, or at the end above 1.1 of the initial loss",
        "time_to_loss": "median steps: until the loss is below half of the baseline, - if not "
        "reached by half of the networks",
        "final_loss": "final loss: median",
    }
    said = [meaning for name, meaning in meanings.items() if name in names]
    if set(names) & set(TRAINING_EVENTS):
        said.append(f"{100 * level:g} % intervals")
    lines = [f"random networks that were trained: {', '.join(shared)}", "; ".join(said)]
    return "\n".join(fill(line, WIDE, break_on_hyphens=False) for line in lines if line)
