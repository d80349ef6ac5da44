"""Trainings in the commands: their rows, tables and figures, and the progress of their store."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, get_args

from vgsim._checks import value_error
from vgsim._cli.conditions import check_names, in_order, meets
from vgsim._cli.pager import print_text
from vgsim._cli.schema import with_schema
from vgsim._cli.table_options import checked_table
from vgsim._domains import Choice
from vgsim._results.tables import jsonable
from vgsim._studies.axes import suggested_axes
from vgsim._studies.columns import words
from vgsim._studies.contents import Trainings
from vgsim._studies.points import columns_of
from vgsim._studies.training_columns import rows_of
from vgsim._studies.training_status import training_status
from vgsim._studies.training_study import TrainingStudy
from vgsim.typing import TrainingEvent, TrainingPlot

__all__ = ["KINDS", "draw_trainings", "print_status", "print_trainings", "show_trainings"]

KINDS = get_args(TrainingPlot)
EVENTS: tuple[TrainingEvent, ...] = get_args(TrainingEvent)
_KIND: Choice[TrainingPlot] = Choice(KINDS)
_EVENT: Choice[TrainingEvent] = Choice(EVENTS)


def show_trainings(options: argparse.Namespace, found: Trainings) -> None:
    """Print the chosen rows of trainings, sorted."""
    _refuse(options, ("layers", "thresholds", "method", "index", "pivot"))
    rows = rows_of(found.study._trained)
    known = list(rows[0]) if rows else []
    if rows:
        check_names("where", [condition.name for condition in options.where], known)
        check_names("sort", options.sort, known)
    kept = [i for i, row in enumerate(rows) if meets(row, options.where)]
    order = in_order([rows[i] for i in kept], options.sort, options.reverse)
    kept = [kept[i] for i in order]
    shown = kept[: options.head]
    study = TrainingStudy([found.study[i] for i in shown])
    print_trainings(options, Trainings(study, found.damaged), len(kept) - len(shown))


def print_trainings(options: argparse.Namespace, found: Trainings, left: int = 0) -> None:
    """Print trainings in the format of the options; `left`: rows that are not shown."""
    arguments = checked_table(options)
    if options.format == "json":
        content = {
            "provenance": found.study.provenance,
            "damaged": [{"what": what, "why": why} for what, why in found.damaged],
            "rows": [jsonable(row) for row in rows_of(found.study._trained)],
        }
        print(with_schema("trainings", content))
        return
    is_text = options.format == "text"
    more = f"\n... {left:,} more row{'s' if left != 1 else ''}" if left and is_text else ""
    text = found.study.table(options.format, **arguments)
    print_text(text + more, tables=is_text, paged=is_text)


def draw_trainings(options: argparse.Namespace, study: TrainingStudy, ax: Any) -> None:
    """Draw a study of trainings by the options of ``vgsim plot``; one training by its kind."""
    _refuse(options, ("layers", "thresholds", "threshold", "layer"))
    if options.no_theory:
        raise value_error("no_theory", "does not apply to trainings, which have no theory")
    study = _where(options, study)
    axes = (options.x, options.hue, options.y, options.value)
    if options.kind is not None or (len(study) == 1 and axes == (None,) * len(axes)):
        if len(study) != 1 or axes != (None,) * len(axes):
            problem = "applies to one training: choose it by --where, without --x, --hue, --y and "
            raise value_error("kind", f"{problem}--value")
        study[0].plot(_KIND.check("kind", options.kind or KINDS[0]), ax=ax)
        return
    event = _EVENT.check("value", options.value or EVENTS[0])
    draw_study(study, ax, options.x, options.hue, options.y, event)


def draw_study(
    study: TrainingStudy,
    ax: Any,
    x: str | None = None,
    hue: str | None = None,
    y: str | None = None,
    event: TrainingEvent = "learned",
) -> None:
    """Draw the probability of an event against fields, by default those that differ."""
    axes = suggested_axes(study._trained, x, hue, y)
    columns = columns_of(study._trained)
    if axes.others and {axes.x, axes.hue, y} - {None} <= columns.keys():
        name = axes.others[0]
        raise ValueError(
            f"the trainings differ in {', '.join(axes.others)}, too, which needs a figure for each "
            f"value: choose some by --where, such as --where {name}={words(columns[name][0])}"
        )
    study.plot(axes.x, axes.hue, y=y, event=event, ax=ax)


def print_status(options: argparse.Namespace) -> None:
    """Print the progress of a store of trainings."""
    found = training_status(options.store)
    if options.format == "json":
        print(with_schema("training_status", asdict(found)))
    else:
        print(found)


def _where(options: argparse.Namespace, study: TrainingStudy) -> TrainingStudy:
    """Return the trainings that meet the conditions of the options."""
    rows = rows_of(study._trained)
    if not rows:
        raise ValueError(f"{' '.join(map(str, options.files))} has no trainings yet")
    check_names("where", [condition.name for condition in options.where], list(rows[0]))
    kept = [study[i] for i, row in enumerate(rows) if meets(row, options.where)]
    if not kept:
        raise value_error("where", "is met by no training")
    return TrainingStudy(kept)


def _refuse(options: argparse.Namespace, names: Sequence[str]) -> None:
    """Refuse options that have no effect on trainings."""
    for name in names:
        if getattr(options, name) not in (None, []):
            raise value_error(name, "does not apply to trainings")
