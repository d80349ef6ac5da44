"""Tables of columns of numbers as text, Markdown, LaTeX, CSV, HTML, or records for JSON."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import get_args

import numpy as np

from vgsim._checks import brief, type_error, value_error
from vgsim._domains import Choice
from vgsim._results.column import Column, jsonable, records, supported_decimals
from vgsim._results.table_formats import (
    WIDE,
    Frame,
    wrapped,
    write_csv,
    write_html,
    write_latex,
    write_markdown,
    write_text,
)
from vgsim._statistics.estimate import Estimate
from vgsim.typing import Format

__all__ = [
    "QUANTILES",
    "WIDE",
    "Column",
    "check_frame",
    "estimated",
    "jsonable",
    "number_decimals",
    "quantile_column",
    "records",
    "report",
    "seconds_cell",
    "theoretical",
    "wrapped",
]

QUANTILES = {"q05": 0.05, "median": 0.5, "q95": 0.95}


def number_decimals(value: float) -> int:
    """Return the number of decimals that shows about four digits of a number.

    Examples
    --------
    >>> from vgsim._results.tables import number_decimals
    >>> [number_decimals(x) for x in (-0.001, -630.123, -602060.0)]
    [2, 1, 0]
    """
    size = abs(value)
    return 2 if size < 99.995 else 1 if size < 999.95 else 0


def seconds_cell(seconds: float) -> str:
    """Return a duration in seconds as text, in five characters if they suffice.

    Examples
    --------
    >>> from vgsim._results.tables import seconds_cell
    >>> [seconds_cell(s) for s in (0.031, 12.34, 754.0, 7540.0)]
    ['0.03s', '12.3s', '12m34', '2h06m']
    """
    if seconds < 9.995:
        return f"{seconds:.2f}s"
    if seconds < 99.95:
        return f"{seconds:.1f}s"
    if seconds < 3599.5:
        minutes, rest = divmod(round(seconds), 60)
        return f"{minutes}m{rest:02d}"
    hours, rest = divmod(round(seconds / 60), 60)
    return f"{hours}h{rest:02d}m"


_WRITERS: dict[Format, Callable[[Sequence[Column], Frame], str]] = {
    "text": write_text,
    "markdown": write_markdown,
    "latex": write_latex,
    "csv": write_csv,
    "html": write_html,
}
_FORMAT: Choice[Format] = Choice(get_args(Format))
_LABEL = re.compile(r"[^\s{}%#\\~^$&]+")


def report(
    columns: Sequence[Column],
    format: Format = "text",
    title: str = "",
    caption: str | None = None,
    label: str | None = None,
) -> str:
    r"""Return columns of equal length as a table.

    Parameters
    ----------
    columns : sequence of Column
    format : {"text", "markdown", "latex", "csv", "html"}, default "text"
        LaTeX needs the package booktabs. Only CSV has all digits; in it, unknown values are empty
        and limits are separate columns.
    title : str, optional
        Lines above the table; comments in LaTeX, omitted in CSV.
    caption, label : str, optional
        As checked by `check_frame`. The caption is LaTeX source in LaTeX, else text.

    Returns
    -------
    str
        Without a newline at the end.

    Raises
    ------
    ValueError
        If the format is unknown, or has no place for the caption or the label.

    Examples
    --------
    >>> from vgsim._results.tables import Column, report
    >>> columns = [
    ...     Column("depth", "depth", [10, 100]),
    ...     Column("mean", "mean", [-1.25, None], [-1.5, None], [-1, None], [2, 2]),
    ... ]
    >>> print(report(columns))
    depth                  mean
       10  -1.25 [-1.50, -1.00]
      100      -
    >>> print(report(columns, "markdown"))
    | depth |                 mean |
    | ----: | -------------------: |
    |    10 | -1.25 [-1.50, -1.00] |
    |   100 |                    - |
    >>> print(report(columns, "latex"))
    \begin{tabular}{rr@{\ }l}
    \toprule
    depth & \multicolumn{2}{c}{mean} \\
    \midrule
    $10$ & $-1.25$ & $[-1.50, -1.00]$ \\
    $100$ & -- & \\
    \bottomrule
    \end{tabular}
    >>> print(report(columns, "csv"))
    depth,mean,mean_low,mean_high
    10,-1.25,-1.5,-1
    100,,,
    """
    check_frame(format, caption, label)
    return _WRITERS[format](columns, Frame(title, caption, label))


def check_frame(format: object, caption: object = None, label: object = None) -> None:
    r"""Refuse an unknown format of a table, and a caption or a label that it cannot have.

    CSV has no caption; only LaTeX has a label, the name in ``\ref{name}``.

    Examples
    --------
    >>> from vgsim._results.tables import check_frame
    >>> check_frame("xml")
    Traceback (most recent call last):
    ValueError: format must be one of 'text', 'markdown', 'latex', 'csv', 'html', got 'xml'
    >>> check_frame("text", None, "tab:depth")
    Traceback (most recent call last):
    ValueError: label must be None, except with format 'latex', got 'tab:depth'
    """
    name = _FORMAT.check("format", format)
    for argument, given in (("caption", caption), ("label", label)):
        if given is None:
            continue
        if not isinstance(given, str):
            raise type_error(argument, f"must be a string or None, got {brief(given)}")
        if not given.strip():
            raise value_error(argument, "must not be empty")
    if caption is not None and name == "csv":
        raise value_error("caption", f"must be None with format 'csv', got {brief(caption)}")
    if label is not None and name != "latex":
        raise value_error("label", f"must be None, except with format 'latex', got {brief(label)}")
    if label is not None and not _LABEL.fullmatch(str(label)):
        problem = "must have no spaces and no special characters of LaTeX"
        raise value_error("label", f"{problem}, got {brief(label)}")


def estimated(
    name: str,
    heading: str,
    estimate: Estimate,
    theory: Sequence[float | None] | None = None,
    below: Sequence[float | None] | None = None,
) -> list[Column]:
    """Return columns of an estimate along a curve and of theoretical values, if given.

    A theoretical value has the decimals of the estimate beside it. NaN becomes None.

    Examples
    --------
    >>> import numpy as np
    >>> from vgsim._results.tables import estimated, report
    >>> from vgsim._statistics.estimate import Estimate
    >>> curve = [np.array(values) for values in ([0.12, 0.9], [0.1, 0.88], [0.14, 0.92])]
    >>> print(report(estimated("p", "P", Estimate(*curve, 0.95, "wilson"), [0.1186, None])))
                       P  theory
    0.120 [0.100, 0.140]   0.119
    0.900 [0.880, 0.920]       -
    """
    values, low, high = (
        [None if math.isnan(x) else x for x in np.atleast_1d(part).tolist()]
        for part in (estimate.estimate, estimate.low, estimate.high)
    )
    columns = [Column(name, heading, values, low, high)]
    if theory is not None:
        columns.append(theoretical(columns[0], theory, below))
    return columns


def quantile_column(name: str, values: Sequence[float | None]) -> Column:
    """Return the column of a quantile of R, one of QUANTILES, with about four digits.

    Examples
    --------
    >>> from vgsim._results.tables import quantile_column
    >>> column = quantile_column("q05", [-6.543, None])
    >>> column.heading, [str(cell) for cell in column.cells]
    ('5 %', ['-6.54', '-'])
    """
    heading = name if name == "median" else f"{100 * QUANTILES[name]:g} %"
    digits = [2 if value is None else number_decimals(value) for value in values]
    return Column(name, heading, values, decimals=digits)


def theoretical(
    measured: Column,
    values: Sequence[float | None],
    below: Sequence[float | None] | None = None,
    heading: str = "theory",
) -> Column:
    """Return the column of theory beside a measured one; `below`: bounds of values that are None.

    Examples
    --------
    >>> from vgsim._results.tables import Column, theoretical
    >>> theoretical(Column("p", "P", [0.12], [0.1], [0.14]), [None], [1e-6]).cells
    [Cell(value='< 1e-6', interval='', word=False)]
    """
    low, high = measured.low or measured.values, measured.high or measured.values
    decimals = [supported_decimals(*one) for one in zip(measured.values, low, high, strict=True)]
    return Column(f"{measured.name}_theory", heading, values, decimals=decimals, below=below)
