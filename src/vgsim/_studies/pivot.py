"""Tables of a study with one row per value of some fields, and groups of columns for another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from vgsim._checks import brief, value_error
from vgsim._results.column import Column
from vgsim._studies.columns import AXES, ordered, words
from vgsim._studies.table_columns import Place, StudyColumns

__all__ = ["arranged", "flat"]


def flat(
    every: StudyColumns, places: Sequence[Place | None], index: Sequence[str], names: Sequence[str]
) -> list[Column]:
    """Return a row for each place: the columns of the index, then those of the names."""
    shown = [*index, *(name for name in names if name not in index)]
    pairs = zip(["", *shown], shown, strict=False)
    return [every.column(name, places, beside) for beside, name in pairs]


def arranged(
    every: StudyColumns,
    places: Sequence[Place],
    index: Sequence[str],
    names: Sequence[str],
    pivot: str | None,
) -> list[Column]:
    """Return a row for each value of the index, and the columns of the names.

    With a `pivot` there is a group of these columns for each of its values. Numbers are in
    ascending order, words in the order of the study.

    Raises
    ------
    ValueError
        If a row and a group have several results; the message names the fields that differ. If
        no column is left for the groups.

    Examples
    --------
    >>> import vgsim
    >>> from vgsim._studies.pivot import arranged
    >>> from vgsim._studies.table_columns import Place, StudyColumns
    >>> networks = vgsim.sweep(vgsim.MLP, width=8, depth=[5, 50], activation=["sigmoid", "tanh"])
    >>> every = StudyColumns(vgsim.collect(networks, max_samples=1000))
    >>> places = [Place(i, 0, 1e-6) for i in range(4)]
    >>> columns = arranged(every, places, ["depth"], ["vanishing"], "activation")
    >>> [(column.group, column.heading) for column in columns]
    [('', 'depth'), ('P(vanishing)', 'sigmoid'), ('P(vanishing)', 'tanh')]
    """
    cells: dict[tuple[tuple[Any, ...], Any], Place] = {}
    for place in places:
        row = tuple(every.value(name, place) for name in index)
        key = row, None if pivot is None else every.value(pivot, place)
        if key in cells:
            raise _ambiguous(every, [cells[key], place], index, pivot)
        cells[key] = place
    rows = _rows([row for row, _ in cells])
    shown = [name for name in names if name not in (*index, pivot)]
    if not shown and pivot is not None:
        problem = "must have a name besides those of the rows and of pivot"
        raise value_error("columns", f"{problem}, got {brief(list(names))}")
    columns = [Column(name, name, [row[i] for row in rows]) for i, name in enumerate(index)]
    if pivot is None:
        return columns + flat(every, [cells[row, None] for row in rows], [], shown)
    for group in ordered(value for _, value in cells):
        at = [cells.get((row, group)) for row in rows]
        found = flat(every, at, [], shown)
        columns += [_in_group(column, pivot, group, len(shown) == 1) for column in found]
    return columns


def _in_group(column: Column, pivot: str, value: Any, single: bool) -> Column:
    """Return a column of the group of a value; a `single` one is named after the value."""
    text = words(value)
    label = text if isinstance(value, str) else f"{pivot} {text}"
    heading, group = (label, column.heading) if single else (column.heading, label)
    return replace(column, name=f"{column.name}_{text}", heading=heading, group=group, latex=None)


def _rows(keys: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Return distinct tuples of values, sorted as those of a field are."""
    distinct = list(dict.fromkeys(keys))
    for i in reversed(range(len(distinct[0]) if distinct else 0)):
        rank = {value: place for place, value in enumerate(ordered(key[i] for key in distinct))}
        distinct.sort(key=lambda key: rank[key[i]])
    return distinct


def _ambiguous(
    every: StudyColumns, both: Sequence[Place], index: Sequence[str], pivot: str | None
) -> ValueError:
    """Return the error for two results that would have the same row and columns."""
    known = [*every.labels, *AXES]
    values = {name: [every.value(name, place) for place in both] for name in known}
    differ = {name: pair for name, pair in values.items() if pair[0] != pair[1]}
    fields = [*index, *([] if pivot is None else [pivot])]
    where = ", ".join(f"{name}={values[name][0]!r}" for name in fields) or "a row"
    apart = ", ".join(f"{name} ({pair[0]!r} and {pair[1]!r})" for name, pair in differ.items())
    remedies = ["add a field to index or pivot"]
    remedies += [f"give {name}=" for name in AXES if name in differ]
    own = next((name for name in differ if name not in AXES), None)
    if own is not None:
        one = differ[own][0]
        remedies += [f"select some, as find({own}={one!r}) or --where {own}={words(one)} does"]
    return value_error(
        "index",
        f"must tell all results apart, got {brief(list(index))}: {where} has results that differ "
        f"in {apart}; {' or '.join(remedies)}",
    )
