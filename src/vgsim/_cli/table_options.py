"""The options that choose the columns of tables."""

from __future__ import annotations

import argparse
from typing import Any

from vgsim._results.tables import check_frame

__all__ = ["add_table_options", "checked_table", "column"]


def add_table_options(group: argparse._ArgumentGroup, fields: bool = False) -> None:
    """Add the options for the columns of a table; with `fields`, also those that arrange them."""
    group.add_argument(
        "--columns",
        type=column,
        nargs="+",
        metavar="COLUMN",
        help="the columns: depth, n, vanishing, exploding, dead, mean, std, q05, median, q95, "
        + ("vanishing_theory, any field, ...; or all" if fields else "time, ..."),
    )
    if fields:
        group.add_argument(
            "--index",
            type=column,
            nargs="+",
            metavar="FIELD",
            help="one row per value of these fields (default: those that differ)",
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


def column(text: str) -> str:
    """Return the name of a column, which may be written with dashes."""
    return text.replace("-", "_")
