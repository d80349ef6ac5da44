"""Printed tables of a study."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from textwrap import fill

from vgsim._checks import brief, value_error
from vgsim._domains import check_threshold, checked_bool
from vgsim._results.column import Column, checked_names, unknown_name
from vgsim._results.events import column_of, limits_in_words
from vgsim._results.tables import QUANTILES, WIDE, check_frame, report
from vgsim._statistics.estimate import checked_level
from vgsim._studies.columns import AXES, PER_THRESHOLD, thresholds_of
from vgsim._studies.pivot import arranged, flat
from vgsim._studies.result import Result
from vgsim._studies.table_columns import EVENTS, MOMENTS, THEORY, Place, StudyColumns
from vgsim.typing import Format

__all__ = ["table"]

EVERY = ("n", *PER_THRESHOLD, "dead", *MOMENTS, *QUANTILES)
OUTER = ("q05", "q95")  # left out where a line would be too long
SHOWN_SEEDS = 5
UNPRINTED = ("steps", "stream_version")


def table(
    study: Sequence[Result],
    provenance: Mapping[str, str],
    format: Format = "text",
    *,
    columns: str | Sequence[str] | None = None,
    index: str | Sequence[str] | None = None,
    pivot: str | None = None,
    layer: int | None = None,
    threshold: float | None = None,
    confidence_level: float = 0.95,
    intervals: bool = True,
    caption: str | None = None,
    label: str | None = None,
    places: Sequence[tuple[int, int]] | None = None,
) -> str:
    """Return a study as a table: see :meth:`Study.table`.

    `places` are what is shown: numbers of the results, each with a layer; by default all.

    Examples
    --------
    >>> import vgsim
    >>> from vgsim._studies.table import table
    >>> networks = vgsim.sweep(vgsim.MLP, width=8, depth=[5, 50])
    >>> print(table(vgsim.collect(networks, max_samples=1000), {}, "csv").splitlines()[0][:32])
    depth,layer,n,vanishing,vanishin
    """
    check_frame(format, caption, label)
    shown = checked_bool("intervals", intervals)
    every = StudyColumns(study, checked_level(confidence_level))
    names = None if columns is None or columns == "all" else _names(every, "columns", columns)
    rows = None if index is None else _names(every, "index", index)
    across = [] if pivot is None else _names(every, "pivot", pivot)
    if len(across) > 1:
        raise value_error("pivot", f"must be the name of one field, got {brief(pivot)}")
    usual = names is None and rows is None and not across
    whole = columns == "all" or (columns is None and usual and format == "csv")
    names = names or list(EVERY if whole or usual else PER_THRESHOLD[:1])
    thresholds = _thresholds(study, threshold)
    if threshold is not None and not every.need_threshold(names):
        raise value_error("threshold", f"must be None: no column depends on it, got {threshold!r}")
    at = [
        Place(number, tallied)
        for number, tallied in (_places(study) if places is None else places)
        if layer is None or tallied == _tallied(study[number], layer)
    ]
    if usual:
        made = _usual(every, at, thresholds, whole)
    else:
        made = _chosen(every, at, thresholds, names, rows, *across)
    made = [replace(column, intervals=shown and column.intervals) for column in made]

    def written(found: Sequence[Column]) -> str:
        told = [column.name for column in found] if usual and not whole else names
        told = [*(PER_THRESHOLD if usual else ()), *told]
        if not study:
            return report(found, format, "no networks", caption, label)
        limited = any(column.intervals and column.low is not None for column in found)
        title = _title(every, told, sorted({place.layer for place in at}), thresholds, limited)
        if format == "latex":
            title += f"\n{_made_by(study, provenance)}"
        return report(found, format, title, caption, label)

    text = written(made)
    if usual and not whole and format == "text":
        for narrower in _narrower(made, every.implied):
            if max(map(len, text.splitlines())) > WIDE:
                text = written(narrower)
    return text


def _names(every: StudyColumns, argument: str, given: str | Sequence[str]) -> list[str]:
    """Return names of columns; those of fields, except for the argument `columns`."""
    names = checked_names(argument, given)
    known = every.known if argument == "columns" else [*every.labels, *AXES]
    for name in names:
        if name not in known:
            raise unknown_name(argument, name, known)
    return names


def _narrower(columns: Sequence[Column], implied: Collection[str]) -> Iterator[list[Column]]:
    """Yield the columns, step by step with less in them, for lines that are too long.

    The steps: fields that follow from others, outer quantiles, and the intervals of one event after
    the other; the digits show the accuracy too.
    """
    kept = list(columns)
    for less in (implied, OUTER):
        kept = [column for column in kept if column.name not in less]
        yield kept
    for event in ("dead", "exploding", "vanishing"):
        kept = [replace(c, intervals=c.intervals and not c.name.startswith(event)) for c in kept]
        yield kept


def _usual(
    every: StudyColumns, places: Sequence[Place], thresholds: Sequence[float], whole: bool
) -> list[Column]:
    """Return the columns that are printed unless others are chosen; `whole`: all statistics.

    Without `whole`, the engine is left out if it follows from other fields, and so are columns of
    numbers that are the same everywhere.
    """
    rows = [name for name in every.apart if whole or name != "engine" or name not in every.implied]
    rows = [*rows, *(["layer"] if whole or {place.layer for place in places} != {0} else [])]
    same_n = len({result.n for result in every.study}) == 1
    columns = flat(every, places, rows, [] if same_n and not whole else ["n"])
    for event in PER_THRESHOLD:
        for threshold in thresholds:
            at = [replace(place, threshold=threshold) for place in places]
            column = every.column(event, at)
            if len(thresholds) > 1:
                below = event == "vanishing"
                low, high = limits_in_words(threshold)
                size = f"< {low}" if below else f"> {high}"
                name = f"{event}_{threshold!r}"
                column = replace(column, name=name, heading=f"P(R {size})")
            columns.append(column)
    dead = every.column("dead", places)
    columns += [dead] if whole or any(dead.values) else []
    return columns + flat(every, places, [], [*(MOMENTS if whole else ()), *QUANTILES])


def _chosen(
    every: StudyColumns,
    places: Sequence[Place],
    thresholds: Sequence[float],
    names: Sequence[str],
    rows: Sequence[str] | None,
    pivot: str | None = None,
) -> list[Column]:
    """Return the chosen columns."""
    if every.need_threshold([*names, *(rows or ()), *([pivot] if pivot else ())]):
        places = [
            replace(place, threshold=threshold)
            for place in places
            for threshold in _counted(every.study[place.number], thresholds)
        ]
    if rows is not None:
        return arranged(every, places, rows, names, pivot)
    varied = [name for name in AXES if len({getattr(place, name) for place in places}) > 1]
    if pivot is None:
        rows = [name for name in (*every.apart, *varied) if name not in names]
        return flat(every, places, rows, names)
    return arranged(every, places, _rows(every, names, varied, pivot), names, pivot)


def _rows(
    every: StudyColumns, names: Sequence[str], varied: Sequence[str], pivot: str
) -> list[str]:
    """Return the fields of the rows beside a pivot: those named, or all that differ.

    A field that differs and follows from that of the pivot belongs to its groups.
    """
    follow = {name for name in every.labels if every.follows(name, [pivot])}
    differ = {name for name, values in every.labels.items() if len({*values}) > 1}
    named = [name for name in names if name in (*every.labels, *AXES)]
    rows = [name for name in named if name not in follow & differ]
    if not differ & {*rows}:
        rows += [name for name in every.apart if name not in follow]
    return [name for name in dict.fromkeys([*rows, *varied]) if name != pivot]


def _places(study: Sequence[Result]) -> list[tuple[int, int]]:
    """Return the number of every result with each of its layers."""
    return [(number, l) for number, result in enumerate(study) for l in result.task.layers]


def _counted(result: Result, thresholds: Sequence[float]) -> list[float] | list[None]:
    """Return those of some thresholds that were counted; None if there are none."""
    return [t for t in result.task.thresholds if t in thresholds] or [None]


def _tallied(result: Result, layer: int) -> int:
    """Return a layer, which must be one of the tallied layers of a result."""
    return int(result.tally.layers[column_of(layer, result.tally.layers, "tallied")])


def _thresholds(study: Sequence[Result], threshold: float | None) -> list[float]:
    """Return the counted thresholds; only `threshold`, which must be one of them, if given."""
    counted = thresholds_of(study)
    if threshold is None:
        return counted
    wanted = check_threshold(threshold)
    if wanted not in counted:
        raise value_error(
            "threshold", f"must be one of the counted ones, {counted}, got {wanted!r}"
        )
    return [wanted]


def _title(
    every: StudyColumns,
    names: Sequence[str],
    layers: Sequence[int],
    thresholds: Sequence[float],
    intervals: bool,
) -> str:
    """Return the fields that have one value, and the meaning of the columns."""
    common = {
        name: values
        for name, values in every.common.items()
        if name not in UNPRINTED and name not in names
    }
    parts = [f"{name} {values[0]}" for name, values in common.items() if None not in values]
    some = [
        f"{name} {next(value for value in values if value is not None)}"
        for name, values in common.items()
        if None in values
    ]
    words = ", ".join(parts) + (f"; of those that have it: {', '.join(some)}" if some else "")
    numbers = sorted({result.n for result in every.study})
    count = " to ".join(f"{n:,}" for n in dict.fromkeys(numbers[:: max(1, len(numbers) - 1)]))
    sampled = f"{count} random networks each" if count else "random networks"
    place = f"G_{layers[0]}" if len(layers) == 1 else "G_l"
    of_what = f"R = log10(|{place}| / |G_D|) of {sampled}: {words}"
    meaning = [
        *_definitions(names, thresholds),
        *([f"{100 * every.confidence_level:g} % intervals"] if intervals else []),
        *(["mean and std exclude dead networks"] if set(names) & set(MOMENTS) else []),
    ]
    return f"{_filled(of_what)}\n{_filled('; '.join(meaning))}"


def _filled(text: str) -> str:
    return fill(text, WIDE, break_on_hyphens=False)


def _definitions(names: Sequence[str], thresholds: Sequence[float]) -> list[str]:
    """Return the meaning of the events and the quantiles among the names of columns."""
    limits = [limits_in_words(threshold) for threshold in thresholds]
    low, high = (" or ".join(pair[i] for pair in limits) for i in range(2))
    meanings = {
        "vanishing": f"vanishing: R < {low}",
        "exploding": f"exploding: R > {high}",
        "healthy": f"healthy: {low} <= R <= {high}",
        "dead": "dead: a gradient of exactly 0",
    }
    events = dict.fromkeys(name.removesuffix(THEORY) for name in names)
    found = [meanings[event] for event in events if event in EVENTS]
    quantiles = [
        "median" if name == "median" else f"{100 * q:g} %"
        for name, q in QUANTILES.items()
        if name in names
    ]
    return found + ([f"{', '.join(quantiles)} of R"] if quantiles else [])


def _made_by(study: Sequence[Result], provenance: Mapping[str, str]) -> str:
    """Return the version and the seeds of the results."""
    seeds = sorted({seed for result in study for seed, _, _ in result.ranges})
    few = ", ".join(map(str, seeds[:SHOWN_SEEDS])) + (", ..." if len(seeds) > SHOWN_SEEDS else "")
    streams = sorted({result.task.stream_version for result in study})
    return (
        f"vgsim {provenance.get('vgsim', 'of unknown version')}, seed {few}, "
        f"stream version {', '.join(map(str, streams))}"
    )
