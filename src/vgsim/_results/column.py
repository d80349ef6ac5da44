"""Columns of tables: names, numbers with their intervals, and the text of each cell."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from vgsim._checks import brief, checked_items, listed, meant, plain, type_error, value_error
from vgsim._statistics.rounded import rounded_parts

__all__ = [
    "Cell",
    "Column",
    "checked_names",
    "chosen",
    "jsonable",
    "records",
    "short_exponent",
    "supported_decimals",
    "unknown_name",
]


@dataclass(frozen=True)
class Cell:
    """The text of a value, and of its interval, "" if there is none; `word`: not a number."""

    value: str
    interval: str = ""
    word: bool = False

    def __str__(self) -> str:
        return f"{self.value} {self.interval}" if self.interval else self.value


@dataclass(frozen=True)
class Column:
    """A named column of numbers or words, with or without limits of their intervals.

    Attributes
    ----------
    name : str
        The name in CSV and JSON; the limits are name_low and name_high, and the bounds name_below.
    heading : str
        The heading in text, Markdown and LaTeX.
    values : sequence of float, int, str, bool or None
        None and NaN are unknown values.
    low, high : sequence of float or None, optional
        Limits of the intervals.
    decimals : sequence of int or None, optional
        Decimals of each number. By default numbers with an interval have the digits that it
        supports, and others six significant digits; None: two significant digits.
    latex : str, optional
        The heading in LaTeX; by default `heading`, escaped.
    below : sequence of float or None, optional
        Upper bounds of values that are None.
    group : str
        The heading above neighbouring columns of the same group.
    right : bool
        Whether words are aligned on the right, as numbers are.
    intervals : bool
        Whether the limits are written; otherwise they only determine the digits.
    """

    name: str
    heading: str
    values: Sequence[Any]
    low: Sequence[float | None] | None = None
    high: Sequence[float | None] | None = None
    decimals: Sequence[int | None] | None = None
    latex: str | None = None
    below: Sequence[float | None] | None = None
    group: str = ""
    right: bool = False
    intervals: bool = True

    @property
    def cells(self) -> list[Cell]:
        """The cells as ASCII text."""
        return [self._cell(row) for row in range(len(self.values))]

    @property
    def limits(self) -> dict[str, Sequence[float | None]]:
        """The written limits and bounds, by name."""
        found: dict[str, Sequence[float | None]] = {}
        if self.intervals and self.low is not None and self.high is not None:
            found |= {f"{self.name}_low": self.low, f"{self.name}_high": self.high}
        return found if self.below is None else found | {f"{self.name}_below": self.below}

    def _cell(self, row: int) -> Cell:
        value = self.values[row]
        if value is None or value != value:
            bound = None if self.below is None else self.below[row]
            return Cell("-" if bound is None else f"< {short_exponent(f'{bound:g}')}")
        if isinstance(value, (str, bool)):
            return Cell(str(value), word=True)
        low, high = (None if limit is None else limit[row] for limit in (self.low, self.high))
        if low is None or high is None:
            return Cell(self._number(row, value))
        if self.decimals is None:
            text, below, above = rounded_parts(value, low, high)
        else:
            text, below, above = (self._number(row, x) for x in (value, low, high))
        if not self.intervals or not (below or above):
            return Cell(text)
        if below and above:
            return Cell(text, f"[{below}, {above}]")
        return Cell(text, f"(> {below})" if below else f"(< {above})")

    def _number(self, row: int, value: float) -> str:
        """Return a number that is no estimate, or whose decimals are given."""
        if self.decimals is None:
            return str(value) if isinstance(value, int) else f"{value:.6g}"
        decimals = self.decimals[row]
        if decimals is None or not abs(value) < float("inf"):
            return short_exponent(f"{value:.2g}")
        rounded = round(value, decimals) + 0.0
        if self.below is not None and value > 0 and rounded == 0:  # a small probability
            return short_exponent(f"{value:.2g}")
        return f"{rounded:.{decimals}f}"


def short_exponent(text: str) -> str:
    """Return a number without zeros in its exponent.

    Examples
    --------
    >>> from vgsim._results.column import short_exponent
    >>> short_exponent("1e-06"), short_exponent("0.5")
    ('1e-6', '0.5')
    """
    mantissa, e, exponent = text.partition("e")
    return f"{mantissa}e{int(exponent)}" if e else text


def supported_decimals(value: float | None, low: float | None, high: float | None) -> int | None:
    """Return the decimals of a value that its interval supports; None if it has an exponent.

    Examples
    --------
    >>> from vgsim._results.column import supported_decimals
    >>> supported_decimals(-0.1345, -0.137, -0.132), supported_decimals(0.0, 0.0, 0.0004)
    (4, 4)
    """
    if value is None or low is None or high is None or not low < high:
        return 2
    text, below, above = rounded_parts(value, low, high)
    written = text if below and above else below or above
    return None if "e" in written else len(written.partition(".")[2])


def chosen(columns: Iterable[Column], names: Sequence[str], intervals: bool = True) -> list[Column]:
    """Return the columns of the given names, in their order, with or without their intervals.

    Examples
    --------
    >>> from vgsim._results.column import Column, chosen
    >>> columns = [Column("depth", "depth", [10]), Column("mean", "mean", [-1.25])]
    >>> [column.name for column in chosen(columns, ["mean", "depth"])]
    ['mean', 'depth']
    >>> chosen(columns, ["meen"])
    Traceback (most recent call last):
    ValueError: columns must be names of columns ('depth', 'mean'), got 'meen': did you mean 'mean'?
    """
    known = {column.name: column for column in columns}
    for name in names:
        if name not in known:
            raise unknown_name("columns", name, known)
    return [replace(known[name], intervals=intervals) for name in names]


def unknown_name(argument: str, name: str, known: Iterable[str]) -> ValueError:
    """Return the error for an unknown name of a column, which suggests the closest known one."""
    names = list(known)
    closest = meant(name, names)
    hint = f": did you mean {closest!r}?" if closest else ""
    problem = f"must be names of columns ({listed(names)}), got {brief(name)}{hint}"
    return value_error(argument, problem)


def checked_names(argument: str, value: object) -> list[str]:
    """Return one name or several as a list of distinct strings.

    Examples
    --------
    >>> from vgsim._results.column import checked_names
    >>> checked_names("index", "depth"), checked_names("index", ("depth", "width"))
    (['depth'], ['depth', 'width'])
    """
    allowed = "must be the name of a column or several"
    one = plain(value)
    names = [one] if isinstance(one, str) else checked_items(argument, value, allowed)
    words = [plain(name) for name in names]
    found = [word for word in words if isinstance(word, str)]
    if len(found) < len(names):
        raise type_error(argument, f"{allowed}, got {brief(value)}")
    if not found:
        raise value_error(argument, "must be one or more names, got none")
    if len(set(found)) < len(found):
        raise value_error(argument, f"must be different names, got {brief(value)}")
    return found


def records(columns: Sequence[Column]) -> list[dict[str, Any]]:
    """Return the rows as dicts, with limits and bounds as name_low, name_high, name_below.

    Examples
    --------
    >>> from vgsim._results.column import Column, records
    >>> records([Column("mean", "mean", [-1.25], [-1.5], [-1.0])])
    [{'mean': -1.25, 'mean_low': -1.5, 'mean_high': -1.0}]
    """
    named: dict[str, Sequence[Any]] = {}
    for column in columns:
        named |= {column.name: column.values, **column.limits}
    return [dict(zip(named, row, strict=True)) for row in zip(*named.values(), strict=True)]


def jsonable(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row with None in place of NaN and infinity, which JSON does not have.

    Examples
    --------
    >>> from vgsim._results.column import jsonable
    >>> jsonable({"depth": 10, "xi_grad": float("inf")})
    {'depth': 10, 'xi_grad': None}
    """
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in row.items()
    }
