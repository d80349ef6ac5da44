"""Printed tables of a study."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from textwrap import fill

from vgsim._checks import COUNTERS, brief, value_error
from vgsim._domains import check_threshold, checked_bool, checked_int
from vgsim._results.column import Column, checked_names, unknown_name
from vgsim._results.tables import QUANTILES, WIDE, check_frame, report
from vgsim._statistics.estimate import checked_level
from vgsim._studies.columns import PER_THRESHOLD, level, thresholds_of
from vgsim._studies.pivot import arranged, flat
from vgsim._studies.result import Result
from vgsim._studies.table_columns import AXES, EVENTS, MOMENTS, THEORY, Place, StudyColumns

__all__ = ["table"]

EVERY = ("n", *PER_THRESHOLD, "dead", *MOMENTS, *QUANTILES)
OUTER = ("q05", "q95")  # left out where a line would be too long
SHOWN_SEEDS = 5
UNPRINTED = ("steps", "stream_version")


def table(
    study: Sequence[Result],
    provenance: Mapping[str, str],
    format: str = "text",
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
) -> str:
    """Return a study as a table: see :meth:`Study.table`.

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
    whole = columns == "all" or (columns is None and format == "csv")
    names = None if columns is None or columns == "all" else checked_names("columns", columns)
    rows = None if index is None else checked_names("index", index)
    across = [] if pivot is None else checked_names("pivot", pivot)
    if len(across) > 1:
        raise value_error("pivot", f"must be the name of one field, got {brief(pivot)}")
    fields = [*every.labels, *AXES]
    for argument, given, known in (
        ("columns", names, every.known),
        ("index", rows, fields),
        ("pivot", across, fields),
    ):
        for name in given or ():
            if name not in known:
                raise unknown_name(argument, name, known)
    layers, thresholds = _layers(study, layer), _thresholds(study, threshold)
    if names is None and rows is None and not across:
        names = list(EVERY)
        found = _usual(every, layers, thresholds, whole)
    else:
        names = list(EVERY if whole else PER_THRESHOLD[:1]) if names is None else names
        found = _chosen(every, layers, thresholds, names, rows, *across)
    if threshold is not None and not every.need_threshold(names):
        raise value_error("threshold", f"must be None: no column depends on it, got {threshold!r}")
    found = [replace(column, intervals=shown and column.intervals) for column in found]
    titled = names if whole or columns is not None else [*PER_THRESHOLD, *QUANTILES]
    title = _title(every, titled, names, layers, thresholds, shown)
    if format == "latex":
        title += f"\n{_made_by(study, provenance)}"
    text = report(found, format, title, caption, label)
    if columns is None and format == "text" and max(map(len, text.splitlines())) > WIDE:
        narrow = [column for column in found if column.name not in OUTER]
        return report(narrow, format, title, caption, label)
    return text


def _usual(
    every: StudyColumns, layers: Sequence[int], thresholds: Sequence[float], whole: bool
) -> list[Column]:
    """Return the columns that are printed unless others are chosen; `whole`: all statistics.

    Without `whole`, an engine that follows from other fields is left out, and columns of numbers
    that are the same everywhere.
    """
    places = _places(every.study, layers)
    rows = [name for name in every.apart if whole or name not in every.implied]
    rows = [*rows, *(["layer"] if whole or set(layers) != {0} else [])]
    same_n = len({result.n for result in every.study}) == 1
    columns = flat(every, places, rows, [] if same_n and not whole else ["n"])
    for event in PER_THRESHOLD:
        for threshold in thresholds:
            at = [replace(place, threshold=threshold) for place in places]
            column = every.column(event, at)
            if len(thresholds) > 1:
                below = event == "vanishing"
                size = f"{'<' if below else '>'} {level(threshold if below else 1 / threshold)}"
                name = f"{event}_{threshold!r}"
                column = replace(column, name=name, heading=f"P(R {size})")
            columns.append(column)
    dead = every.column("dead", places)
    columns += [dead] if whole or any(dead.values) else []
    return columns + flat(every, places, [], [*(MOMENTS if whole else ()), *QUANTILES])


def _chosen(
    every: StudyColumns,
    layers: Sequence[int],
    thresholds: Sequence[float],
    names: Sequence[str],
    rows: Sequence[str] | None,
    pivot: str | None = None,
) -> list[Column]:
    """Return the chosen columns."""
    if every.need_threshold([*names, *(rows or ()), *([pivot] if pivot else ())]):
        places = _places(every.study, layers, thresholds)
    else:
        places = _places(every.study, layers)
    if rows is not None:
        return arranged(every, places, rows, names, pivot)
    varied = [name for name in AXES if len({getattr(place, name) for place in places}) > 1]
    rows = [name for name in (*every.apart, *varied) if name not in (*names, pivot)]
    if pivot is None:
        return flat(every, places, rows, names)
    rows = [name for name in rows if name in AXES or not every.follows(name, [pivot])]
    return arranged(every, places, rows, names, pivot)


def _places(
    study: Sequence[Result], layers: Sequence[int], thresholds: Sequence[float] = ()
) -> list[Place]:
    """Return every result at each of its layers among `layers`, and of its thresholds."""
    return [
        Place(number, layer, threshold)
        for number, result in enumerate(study)
        for layer in result.task.layers
        if layer in layers
        for threshold in _counted(result, thresholds)
    ]


def _counted(result: Result, thresholds: Sequence[float]) -> list[float] | list[None]:
    """Return those of some thresholds that were counted; None if there are none."""
    return [t for t in result.task.thresholds if t in thresholds] or [None]


def _layers(study: Sequence[Result], layer: int | None) -> list[int]:
    """Return the tallied layers; only `layer`, which must be one of each network, if given."""
    if layer is None:
        return sorted({layer for result in study for layer in result.task.layers})
    wanted = checked_int("layer", layer, 0, COUNTERS)
    for result in study:
        if wanted not in result.task.layers:
            raise value_error(
                "layer",
                f"must be one of the tallied layers, {list(result.task.layers)} of "
                f"{result.network!r}, got {wanted}",
            )
    return [wanted]


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
    shown: Collection[str],
    layers: Sequence[int],
    thresholds: Sequence[float],
    intervals: bool,
) -> str:
    """Return the fields that have one value, and the meaning of the columns."""
    common = {
        name: values
        for name, values in every.common.items()
        if name not in UNPRINTED and name not in shown
    }
    parts = [f"{name} {values[0]}" for name, values in common.items() if None not in values]
    some = [
        f"{name} {next(value for value in values if value is not None)}"
        for name, values in common.items()
        if None in values
    ]
    words = ", ".join(parts) + (f"; of those that have it: {', '.join(some)}" if some else "")
    numbers = sorted({result.n for result in every.study})
    count = " to ".join(f"{n:,} " for n in dict.fromkeys(numbers[:: max(1, len(numbers) - 1)]))
    each = " each" if count else ""
    place = f"G_{layers[0]}" if len(layers) == 1 else "G_l"
    of_what = f"R = log10(|{place}| / |G_D|) of {count}random networks{each}: {words}"
    estimated = set(names) & set(EVENTS)
    meaning = [
        *_definitions(names, thresholds),
        *([f"{100 * every.confidence_level:g} % intervals"] if intervals and estimated else []),
        *(["mean and std exclude dead networks"] if set(names) & set(MOMENTS) else []),
    ]
    return f"{fill(of_what, WIDE)}\n{fill('; '.join(meaning), WIDE)}"


def _definitions(names: Sequence[str], thresholds: Sequence[float]) -> list[str]:
    """Return the meaning of the events and the quantiles among the names of columns."""
    low = " or ".join(level(threshold) for threshold in thresholds)
    high = " or ".join(level(1 / threshold) for threshold in thresholds)
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
