"""The options that choose the columns of tables."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from vgsim._results.column import checked_names, unknown_name
from vgsim._results.tables import check_frame

__all__ = ["STATISTICS", "add_table_options", "check_columns", "checked_table", "column"]

STATISTICS = "depth, n, vanishing, exploding, dead, mean, std, q05, median, q95"


def add_table_options(
    group: argparse._ArgumentGroup, names: str = STATISTICS, fields: bool = False
) -> None:
    """Add the options for the columns of a table; with `fields`, also those that arrange them."""
    group.add_argument(
        "--columns",
        type=column,
        nargs="+",
        metavar="COLUMN",
        help=f"the columns: {names}{', vanishing_theory, any field, ...; or all' * fields}",
    )
    if fields:
        group.add_argument(
            "--index",
            type=column,
            nargs="+",
            metavar="FIELD",
            help="one row per value of these fields (default: those that differ; with --pivot, "
            "those among --columns)",
        )
        group.add_argument(
            "--pivot",
            type=column,
            metavar="FIELD",
            help="a group of columns per value of this field, such as activation",
        )
        group.add_argument("--caption", metavar="TEXT", help="caption of the table")
        group.add_argument("--label", metavar="NAME", help="label of the table, with --latex")


def checked_table(options: argparse.Namespace) -> dict[str, Any]:
    """Return the arguments of a table; raise ValueError with --json, which has all columns."""
    names = ("columns", "index", "pivot", "caption", "label")
    given = {name: value for name in names if (value := getattr(options, name, None)) is not None}
    if options.format == "json" and given:
        raise ValueError(f"--json has all columns: leave out --{next(iter(given))}")
    if options.format != "json":
        check_frame(options.format, given.get("caption"), given.get("label"))
    return given | ({"columns": "all"} if given.get("columns") == ["all"] else {})


def check_columns(options: argparse.Namespace, known: Sequence[str]) -> None:
    """Refuse unknown names of --columns, and --columns with a format that has all columns."""
    if options.columns is None:
        return
    if options.format in ("json", "csv"):
        raise ValueError(f"--{options.format} has all columns: leave out --columns")
    for name in checked_names("columns", options.columns):
        if name not in known:
            raise unknown_name("columns", name, known)


def column(text: str) -> str:
    """Return the name of a column, which may be written with dashes."""
    return text.replace("-", "_")
