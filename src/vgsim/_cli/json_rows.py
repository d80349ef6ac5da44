"""Rows of tables that were written with --json: their files, and their columns."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from textwrap import fill
from typing import Any

from vgsim._cli.text_file import STDIN, file_name, file_text
from vgsim._results.tables import WIDE, Column, number_decimals

__all__ = ["Written", "is_json", "read_json", "row_columns", "row_title"]

SCHEMAS = ("vgsim/run/1", "vgsim/study/1")
STATISTICS = ("mean", "std", "q05", "median", "q95", "clipped")  # with two decimals or so
ALWAYS = ("depth", "layer", "n")
HIDDEN = ("seconds", "n_dead", "stream_version")


def is_json(path: str | os.PathLike[str]) -> bool:
    """Return whether a path is that of JSON: it ends in .json, or is the standard input.

    Examples
    --------
    >>> from vgsim._cli.json_rows import is_json
    >>> is_json("run.json"), is_json("runs")
    (True, False)
    """
    return os.fspath(path) == STDIN or os.fspath(path).endswith(".json")


@dataclass(frozen=True)
class Written:
    """The output of a command with --json: its rows, and how they were made."""

    rows: list[dict[str, Any]]
    provenance: dict[str, str]


def read_json(path: str | os.PathLike[str]) -> Written:
    """Read the output of vgsim run, show or collect with --json.

    Raises
    ------
    ValueError
        If the file is no such output.
    OSError
        If the file cannot be read.

    Examples
    --------
    >>> from vgsim._cli.json_rows import read_json
    >>> read_json("no such file.json")
    Traceback (most recent call last):
    FileNotFoundError: [Errno 2] No such file or directory: 'no such file.json'
    """
    name = file_name(path)
    try:
        content = json.loads(file_text(path, "JSON"))
    except (json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"{name} is not JSON: {error}") from None
    schema = content.get("schema") if isinstance(content, Mapping) else None
    if schema not in SCHEMAS:
        raise ValueError(
            f"{name} must be the output of vgsim run, show or collect with --json: its schema "
            f"must be {' or '.join(SCHEMAS)}, got {schema!r}"
        )
    rows, made = content.get("rows"), content.get("provenance")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError(f"{name} must have a list of rows")
    if not isinstance(made, dict) or not all(isinstance(value, str) for value in made.values()):
        raise ValueError(f"{name} must have a provenance of strings")
    return Written(rows, made)


def row_columns(rows: Sequence[Mapping[str, Any]]) -> list[Column]:
    """Return the columns in which rows differ, with depth, layer, n and all results.

    Examples
    --------
    >>> from vgsim._cli.json_rows import row_columns
    >>> rows = [{"kind": "MLP", "depth": depth, "gain": 1.0, "mean": -1.0} for depth in (5, 9)]
    >>> [column.name for column in row_columns(rows)]
    ['depth', 'mean']
    """
    columns = []
    found = _values(rows)
    for name, values in found.items():
        low, high = (found.get(f"{name}_{end}") for end in ("low", "high"))
        if low is not None and high is not None:
            columns.append(Column(name, f"P({name})", values, low, high))
        elif name in STATISTICS:
            digits = [2 if value is None else number_decimals(value) for value in values]
            columns.append(Column(name, name, values, decimals=digits))
        elif name.endswith(("_low", "_high")) or name in HIDDEN:
            continue
        elif name in ALWAYS or len(set(map(str, values))) > 1:
            columns.append(Column(name, name, [_cell(value) for value in values]))
    return columns


def row_title(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the values that all rows share.

    Examples
    --------
    >>> from vgsim._cli.json_rows import row_title
    >>> row_title([{"kind": "MLP", "depth": 5, "gain": 1.0}, {"kind": "MLP", "depth": 9}])
    'R = log10(|G_l| / |G_D|) of random networks: kind MLP'
    """
    shown = {column.name for column in row_columns(rows)}
    common = [
        f"{name} {_cell(values[0])}"
        for name, values in _values(rows).items()
        if name not in (*shown, *HIDDEN) and not name.endswith(("_low", "_high"))
        if len(set(map(str, values))) == 1
    ]
    return fill(f"R = log10(|G_l| / |G_D|) of random networks: {', '.join(common)}", WIDE)


def _values(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Return the values by column, without columns that have none."""
    names = dict.fromkeys(name for row in rows for name in row)
    found = {name: [row.get(name) for row in rows] for name in names}
    return {
        name: values for name, values in found.items() if any(value is not None for value in values)
    }


def _cell(value: Any) -> Any:
    return ",".join(map(str, value)) if isinstance(value, list) else value
