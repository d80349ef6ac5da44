"""Tables of columns of numbers as text, Markdown, LaTeX, CSV, or records for JSON."""

from __future__ import annotations

import csv
import io
import math
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np

from vgsim._domains import Choice
from vgsim._statistics.estimate import Estimate
from vgsim.typing import Format

__all__ = [
    "FORMATS",
    "QUANTILES",
    "WIDE",
    "Column",
    "check_format",
    "decimals",
    "decimals_for",
    "estimated",
    "jsonable",
    "number_decimals",
    "records",
    "report",
    "seconds_cell",
    "wrapped",
]

WIDE = 100  # characters of a line
QUANTILES = {"q05": 0.05, "median": 0.5, "q95": 0.95}


def decimals(n: int) -> int:
    """Return the number of decimals to print of a probability estimated from `n` samples.

    Examples
    --------
    >>> from vgsim._results.tables import decimals
    >>> decimals(10_000)
    4
    """
    return max(3, min(math.ceil(math.log10(n)), 9))


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


FORMATS: tuple[Format, ...] = get_args(Format)
_FORMAT = Choice(FORMATS)
PRINTED = 6  # largest number of decimals of an estimate
LATEX_SPECIAL = {character: f"\\{character}" for character in "&%$#_{}"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
}


@dataclass(frozen=True)
class Column:
    """A named column of numbers or words, with or without limits of their intervals.

    Attributes
    ----------
    name : str
        The name in CSV and JSON; the limits are name_low and name_high.
    heading : str
        The heading in text, Markdown and LaTeX.
    values : sequence of float, int, str or None
        None and NaN are unknown values.
    low, high : sequence of float or None, optional
        Limits of the intervals.
    decimals : sequence of int, optional
        Printed decimals of each number; by default six significant digits.
    latex : str, optional
        The heading in LaTeX; by default `heading`, escaped.
    """

    name: str
    heading: str
    values: Sequence[Any]
    low: Sequence[float | None] | None = None
    high: Sequence[float | None] | None = None
    decimals: Sequence[int] | None = None
    latex: str | None = None


def report(columns: Sequence[Column], format: Format = "text", title: str = "") -> str:
    r"""Return columns of equal length as a table.

    Parameters
    ----------
    columns : sequence of Column
    format : {"text", "markdown", "latex", "csv"}, default "text"
        LaTeX needs the package booktabs. Only CSV has all digits; in it, unknown values are empty
        and limits are separate columns.
    title : str, optional
        Lines above the table; comments in LaTeX, omitted in CSV.

    Returns
    -------
    str
        Without a newline at the end.

    Raises
    ------
    ValueError
        If the format is unknown.

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
      100                     -
    >>> print(report(columns, "markdown"))
    | depth |                 mean |
    | ----: | -------------------: |
    |    10 | -1.25 [-1.50, -1.00] |
    |   100 |                    - |
    >>> print(report(columns, "latex"))
    \begin{tabular}{rr}
    \toprule
    depth & mean \\
    \midrule
    $10$ & $-1.25$ $[-1.50, -1.00]$ \\
    $100$ & -- \\
    \bottomrule
    \end{tabular}
    >>> print(report(columns, "csv"))
    depth,mean,mean_low,mean_high
    10,-1.25,-1.5,-1
    100,,,
    """
    check_format(format)
    return _WRITERS[format](columns, title)


def check_format(format: object) -> None:
    """Refuse an unknown format of a table.

    Examples
    --------
    >>> from vgsim._results.tables import check_format
    >>> check_format("html")
    Traceback (most recent call last):
    ValueError: format must be one of 'text', 'markdown', 'latex', 'csv', got 'html'
    """
    _FORMAT.check("format", format)


def decimals_for(low: float | None, high: float | None) -> int:
    """Return the decimals at which half the interval is 3 to 30 units of the last decimal.

    Examples
    --------
    >>> from vgsim._results.tables import decimals_for
    >>> decimals_for(-0.137, -0.132), decimals_for(-640.2, -630.1), decimals_for(0.0, 0.0)
    (4, 0, 2)
    """
    half = 0.5 * (high - low) if low is not None and high is not None else 0.0
    if not 0 < half < math.inf:
        return 2
    return max(0, min(-math.floor(math.log10(half / 3)), PRINTED))


def estimated(
    name: str,
    heading: str,
    estimate: Estimate,
    theory: Sequence[float | None] | None = None,
    decimals: int | None = None,
) -> list[Column]:
    """Return columns of an estimate along a curve and of theoretical values, if given.

    Both have the same decimals, by default those of `decimals_for`. NaN becomes None.

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
    digits = [
        decimals if decimals is not None else decimals_for(below, above)
        for below, above in zip(low, high, strict=True)
    ]
    columns = [Column(name, heading, values, low, high, digits)]
    if theory is not None:
        columns.append(Column(f"{name}_theory", "theory", theory, decimals=digits))
    return columns


def records(columns: Sequence[Column]) -> list[dict[str, Any]]:
    """Return the rows as dicts, with the limits of intervals as name_low and name_high.

    Examples
    --------
    >>> from vgsim._results.tables import Column, records
    >>> records([Column("mean", "mean", [-1.25], [-1.5], [-1.0])])
    [{'mean': -1.25, 'mean_low': -1.5, 'mean_high': -1.0}]
    """
    named: dict[str, Sequence[Any]] = {}
    for column in columns:
        named[column.name] = column.values
        if column.low is not None and column.high is not None:
            named |= {f"{column.name}_low": column.low, f"{column.name}_high": column.high}
    return [dict(zip(named, row, strict=True)) for row in zip(*named.values(), strict=True)]


def jsonable(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row with None in place of NaN and infinity, which JSON does not have.

    Examples
    --------
    >>> from vgsim._results.tables import jsonable
    >>> jsonable({"depth": 10, "xi_grad": float("inf")})
    {'depth': 10, 'xi_grad': None}
    """
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in row.items()
    }


def _number(column: Column, row: int, value: Any) -> str:
    """Return one number of a column as text."""
    if value is None or value != value:
        return "-"
    if isinstance(value, str):
        return value
    if column.decimals is None:
        return str(value) if isinstance(value, int) else f"{value:.6g}"
    if not math.isfinite(value):
        return f"{value:.6g}"
    decimals = column.decimals[row]
    return f"{round(value, decimals) + 0.0:.{decimals}f}"


def _cells(column: Column, number: Callable[[Column, int, Any], str], mark: str) -> list[str]:
    """Return all cells of a column; `mark` encloses an interval."""
    cells = []
    for row, value in enumerate(column.values):
        cell = number(column, row, value)
        if value is not None and column.low is not None and column.high is not None:
            low, high = (
                number(column, row, limit[row]).strip("$") for limit in (column.low, column.high)
            )
            cell += f" {mark}[{low}, {high}]{mark}"
        cells.append(cell)
    return cells


def _text(columns: Sequence[Column], title: str) -> str:
    cells = [_cells(column, _number, "") for column in columns]
    headed = [[c.heading, *column] for c, column in zip(columns, cells, strict=True)]
    widths = [max(map(len, column)) for column in headed]
    lines = [
        "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        for row in zip(*headed, strict=True)
    ]
    titles = [wrapped(line) for line in title.splitlines()]
    return "\n".join([*titles, "", *lines] if title else lines)


def wrapped(line: str) -> str:
    """Return a line of text as lines of at most 100 characters, unless a word is longer.

    Examples
    --------
    >>> from vgsim._results.tables import wrapped
    >>> [len(line) for line in wrapped("layers " * 30).splitlines()]
    [97, 99, 15]
    """
    if len(line) <= WIDE:
        return line
    return textwrap.fill(
        line, WIDE, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
    )


def _markdown(columns: Sequence[Column], title: str) -> str:
    cells = [
        [text.replace("|", "\\|") for text in (column.heading, *_cells(column, _number, ""))]
        for column in columns
    ]
    widths = [max(3, *map(len, column)) for column in cells]
    rows = [
        [cell.rjust(width) for cell, width in zip(row, widths, strict=True)]
        for row in zip(*cells, strict=True)
    ]
    rows.insert(1, ["-" * (width - 1) + ":" for width in widths])
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join(
        [*(line and f"{line}  " for line in title.splitlines()), "", *lines] if title else lines
    )


def _latex(columns: Sequence[Column], title: str) -> str:
    cells = [[c.latex or _escaped(c.heading), *_cells(c, _math, "$")] for c in columns]
    heading, *rows = [f"{' & '.join(row)} \\\\" for row in zip(*cells, strict=True)]
    return "\n".join(
        [
            *(f"% {line}".rstrip() for line in title.splitlines()),
            f"\\begin{{tabular}}{{{'r' * len(columns)}}}",
            "\\toprule",
            heading,
            "\\midrule",
            *rows,
            "\\bottomrule",
            "\\end{tabular}",
        ]
    )


def _math(column: Column, row: int, value: Any) -> str:
    """Return a number in math mode, or an escaped word."""
    if value is None or value != value:
        return "--"
    if isinstance(value, str):
        return _escaped(value)
    text = _number(column, row, value).replace("inf", "\\infty")
    mantissa, e, exponent = text.partition("e")
    return f"${mantissa} \\times 10^{{{int(exponent)}}}$" if e else f"${text}$"


def _escaped(text: str) -> str:
    return "".join(LATEX_SPECIAL.get(character, character) for character in text)


def _csv(columns: Sequence[Column], title: str) -> str:
    rows = records(columns)
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue().rstrip("\n")


_WRITERS = {"text": _text, "markdown": _markdown, "latex": _latex, "csv": _csv}
