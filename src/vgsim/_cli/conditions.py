"""Conditions on rows of a table: ``depth>=100``, ``activation=tanh,relu``."""

from __future__ import annotations

import argparse
import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vgsim._checks import value_error
from vgsim._cli.suggestions import did_you_mean
from vgsim._studies.columns import is_number

__all__ = ["Condition", "add_where", "check_names", "in_order", "meets"]

WRITTEN = re.compile(r"([A-Za-z][\w-]*)\s*(==|!=|<=|>=|=|<|>)\s*(.+)", re.DOTALL)
ORDERED: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
NONE = "none"


@dataclass(frozen=True)
class Condition:
    """A condition on a value of a row.

    Attributes
    ----------
    name : str
        The column.
    sign : {"=", "!=", "<", "<=", ">", ">="}
    value : str
        One value, or, with = and !=, several separated by commas.
    """

    name: str
    sign: str
    value: str

    @classmethod
    def parse(cls, text: str) -> Condition:
        """Read a condition from an argument of the command line.

        Examples
        --------
        >>> from vgsim._cli.conditions import Condition
        >>> Condition.parse("bias-std>=0.1")
        Condition(name='bias_std', sign='>=', value='0.1')
        """
        match = WRITTEN.fullmatch(text.strip())
        if match is None:
            raise argparse.ArgumentTypeError(
                f"{text!r} is not a condition such as activation=tanh or depth>=100"
            )
        name, sign, value = match.groups()
        name, sign = name.replace("-", "_"), "=" if sign == "==" else sign
        if sign in ORDERED and _number(value) is None:
            raise argparse.ArgumentTypeError(f"{text!r} compares with {value!r}, not a number")
        return cls(name, sign, value)

    def holds(self, row: Mapping[str, Any]) -> bool:
        """Return whether a row meets the condition; rows without a value meet only ``=none``.

        Examples
        --------
        >>> from vgsim._cli.conditions import Condition
        >>> row = {"depth": 100, "norm": None}
        >>> [Condition.parse(text).holds(row) for text in ("depth>30", "depth=1e2", "norm=none")]
        [True, True, True]
        """
        own = row.get(self.name)
        if self.sign in ORDERED:
            return is_number(own) and ORDERED[self.sign](own, _number(self.value))
        same = any(_equal(own, text) for text in (self.value, *self.value.split(",")))
        return same == (self.sign == "=")


def add_where(group: argparse._ArgumentGroup, what: str) -> None:
    """Add the option --where, which chooses some of `what` by conditions."""
    group.add_argument(
        "--where",
        type=Condition.parse,
        nargs="+",
        action="extend",
        default=[],
        metavar="CONDITION",
        help=f"only {what} that meet all conditions, such as activation=tanh or depth>=100",
    )


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _equal(own: Any, text: str) -> bool:
    if own is None:
        return text.lower() == NONE
    if is_number(own):
        return own == _number(text)
    return str(own).lower() == text.lower()


def check_names(argument: str, names: Iterable[str], known: Sequence[str]) -> None:
    """Refuse names that are no columns; say which one may be meant.

    Examples
    --------
    >>> from vgsim._cli.conditions import check_names
    >>> check_names("sort", ["dept"], ["depth", "width"])
    Traceback (most recent call last):
    ValueError: sort has no column 'dept'; did you mean 'depth'? The columns are depth, width
    """
    for name in names:
        if name not in known:
            near = did_you_mean(name, known)
            meant = f"; did you mean {near!r}?" if near else "."
            raise value_error(
                argument, f"has no column {name!r}{meant} The columns are {', '.join(known)}"
            )


def meets(row: Mapping[str, Any], conditions: Iterable[Condition]) -> bool:
    """Return whether a row meets all conditions."""
    return all(condition.holds(row) for condition in conditions)


def in_order(
    rows: Sequence[Mapping[str, Any]], names: Sequence[str], reverse: bool = False
) -> list[int]:
    """Return the places of the rows, sorted by columns; rows without a value come last.

    Examples
    --------
    >>> from vgsim._cli.conditions import in_order
    >>> in_order([{"depth": 9}, {"depth": None}, {"depth": 5}], ["depth"])
    [2, 0, 1]
    """
    places = list(range(len(rows)))
    for name in reversed(names):
        known = [place for place in places if rows[place].get(name) is not None]
        known.sort(key=lambda place: _rank(rows[place][name]), reverse=reverse)
        places = known + [place for place in places if rows[place].get(name) is None]
    return places


def _rank(value: Any) -> tuple[bool, Any]:
    """Return a key that puts numbers before words."""
    word = not isinstance(value, (int, float))
    return word, str(value) if word else value
