"""Numbers as columns of plain text."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

QUANTILES = {"q05": 0.05, "median": 0.5, "q95": 0.95}
QUANTILES_HEADING = "   5 % median   95 %"


@dataclass(frozen=True)
class Table:
    """A text table whose columns are as wide as their headings say, adjusted to the right.

    Parameters
    ----------
    columns : tuple of (heading, width)

    Examples
    --------
    >>> from vgsim._table import Table
    >>> table = Table((("depth", 5), ("median", 8)))
    >>> print(table.heading())
    depth    median
    >>> print(table.line("30", "-1.25"))
       30     -1.25
    """

    columns: tuple[tuple[str, int], ...]

    def heading(self) -> str:
        """Return the line of headings."""
        return self.line(*(heading for heading, _ in self.columns))

    def line(self, *cells: str) -> str:
        """Return one row."""
        return "  ".join(
            cell.rjust(max(width, len(heading)))
            for cell, (heading, width) in zip(cells, self.columns, strict=True)
        )


def decimals(n: int) -> int:
    """Return how many decimals of a probability estimated from `n` samples are worth printing.

    Examples
    --------
    >>> from vgsim._table import decimals
    >>> decimals(10_000)
    4
    """
    return max(3, min(math.ceil(math.log10(n)), 9))


def probability_cell(estimate: float, low: float, high: float, digits: int) -> str:
    """Return an estimated probability and its interval, with `digits` decimals.

    Examples
    --------
    >>> from vgsim._table import probability_cell
    >>> probability_cell(0.0312, 0.02797, 0.03479, 4)
    '0.0312 0.0280-0.0348'
    """
    return f"{estimate:.{digits}f} {low:.{digits}f}-{high:.{digits}f}"


def number_cell(value: float | None) -> str:
    """Return a number, −inf, or a dash for None, in six columns where they suffice.

    Examples
    --------
    >>> from vgsim._table import number_cell
    >>> [number_cell(x) for x in (-0.001, -630.123, -602060.0, float("-inf"), None)]
    ['0.00', '-630.1', '-602060', '-inf', '-']
    """
    if value is None:
        return "-"
    if not math.isfinite(value):
        return str(value)
    size = abs(value)
    digits = 2 if size < 99.995 else 1 if size < 999.95 else 0
    return f"{round(value, digits) + 0.0:.{digits}f}"


def numbers_cell(values: Iterable[float | None]) -> str:
    """Return several numbers, six columns each.

    Examples
    --------
    >>> from vgsim._table import numbers_cell
    >>> numbers_cell((-1.5, -1.0, -0.5))
    ' -1.50  -1.00  -0.50'
    """
    return " ".join(number_cell(value).rjust(6) for value in values)


def seconds_cell(seconds: float) -> str:
    """Return a duration in five columns where they suffice.

    Examples
    --------
    >>> from vgsim._table import seconds_cell
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
