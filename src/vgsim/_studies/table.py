"""Printed tables of a study."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import fill
from typing import Any

from vgsim._results.tables import QUANTILES, WIDE, Column, check_format, decimals_for, report
from vgsim._studies.columns import (
    PER_THRESHOLD,
    described_texts,
    differing,
    label_columns,
    level,
    statistics,
    thresholds_of,
)
from vgsim._studies.nested import nested_columns
from vgsim._studies.result import Result
from vgsim.typing import Format

__all__ = ["table"]

DECIMALS = 2  # of statistics of R
UNPRINTED = ("steps", "stream_version")


def table(study: Sequence[Result], format: Format = "text") -> str:
    """Return a study as a table: see :meth:`Study.table`.

    Examples
    --------
    >>> import vgsim
    >>> from vgsim._studies.table import table
    >>> networks = vgsim.sweep(vgsim.MLP, width=8, depth=[5, 50])
    >>> print(table(vgsim.collect(networks, max_samples=1000), "csv").splitlines()[0][:32])
    depth,layer,n,vanishing,vanishin
    """
    check_format(format)
    thresholds = thresholds_of(study)
    places = [(i, layer) for i, result in enumerate(study) for layer in result.task.layers]
    found = {x: [statistics(study[i], layer, x) for i, layer in places] for x in thresholds}
    rows = next(iter(found.values()), [])
    labels, apart = label_columns(study, printed=True), differing(study)
    first = ""  # list of layers, if the table shows the fields in which the lists differ
    if "layers" in apart and (nested := nested_columns(study)) is not None:
        apart = [*apart, *nested]
        first = next(value for value in labels["layers"] if value is not None)
        replaced = [nested if name == "layers" else {name: labels[name]} for name in labels]
        labels = {name: column for part in replaced for name, column in part.items()}
    columns = [
        Column(name, name, [values[i] for i, _ in places])
        for name, values in labels.items()
        if name in apart
    ]
    columns += [
        Column("layer", "layer", [layer for _, layer in places]),
        Column("n", "n", [row["n"] for row in rows]),
    ]
    for event in PER_THRESHOLD:
        sign = "<" if event == "vanishing" else ">"
        for threshold in thresholds:
            alone = len(thresholds) == 1
            name = event if alone else f"{event}_{threshold!r}"
            size = level(threshold if event == "vanishing" else 1 / threshold)
            heading = f"P({event if alone else f'R {sign} {size}'})"
            columns.append(_estimated(found[threshold], event, name, heading))
    columns.append(_estimated(rows, "dead", "dead", "P(dead)"))
    headings = {"mean": "mean", "std": "std", "q05": "5 %", "median": "median", "q95": "95 %"}
    columns += [
        Column(name, headings[name], [row[name] for row in rows], decimals=[DECIMALS] * len(rows))
        for name in ("mean", "std", *QUANTILES)
    ]
    common = {name: values for name, values in labels.items() if name not in apart}
    for name in {name for result in study for name in described_texts(result.task.network)}:
        whole = name in apart or len(set(common.get(name, ()))) == 1  # the text says all, or parts
        for key in [key for key in common if key.startswith(f"{name}__") or key == name]:
            if whole == (key != name):
                del common[key]
    if first:
        common["layers"] = [f"{first} in the first row with layers"]
    return report(columns, format, _title(common, thresholds))


def _estimated(rows: list[dict[str, Any]], event: str, name: str, heading: str) -> Column:
    """Return the column of a probability; the width of its interval gives the decimals."""
    values, low, high = ([row[f"{event}{end}"] for row in rows] for end in ("", "_low", "_high"))
    decimals = [2 if l is None else decimals_for(l, h) for l, h in zip(low, high, strict=True)]
    return Column(name, heading, values, low, high, decimals)


def _title(common: dict[str, list[Any]], thresholds: list[float]) -> str:
    """Return the fields that have one value, and the meaning of the columns."""
    shown = {name: values for name, values in common.items() if name not in UNPRINTED}
    every = [f"{name} {values[0]}" for name, values in shown.items() if None not in values]
    some = [
        f"{name} {next(value for value in values if value is not None)}"
        for name, values in shown.items()
        if None in values
    ]
    words = ", ".join(every) + (f"; of those that have it: {', '.join(some)}" if some else "")
    low = " or ".join(level(threshold) for threshold in thresholds)
    high = " or ".join(level(1 / threshold) for threshold in thresholds)
    meaning = (
        f"vanishing: R < {low}; exploding: R > {high}; 95 % intervals; mean and std exclude dead "
        "networks"
    )
    of_what = f"R = log10(|G_l| / |G_D|) of random networks: {words}"
    return f"{fill(of_what, WIDE)}\n{fill(meaning, WIDE)}"
