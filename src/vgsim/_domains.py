"""Domains: allowed values of fields and arguments, their checks, their forms in JSON and text."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np

from vgsim._checks import (
    brief,
    checked_items,
    listed,
    plain,
    type_error,
    value_error,
)

__all__ = [
    "Boolean",
    "Choice",
    "Domain",
    "Integer",
    "NamedDomain",
    "Number",
    "Part",
    "check_threshold",
    "checked_bool",
    "checked_int",
    "split_parameters",
]


class Domain:
    """The allowed values of an argument or a field, and their forms in JSON and in text."""

    metavar = "X"

    def check(self, argument: str, value: Any, of: str = "") -> Any:
        """Return `value` in its normal form, or raise an error that names `argument`."""
        raise NotImplementedError

    def to_json(self, value: Any) -> Any:
        """Return a checked value as JSON types."""
        return value

    def from_json(self, value: Any) -> Any:
        """Return the value that `to_json` returned, as `check` accepts it."""
        return value

    def parse(self, text: str) -> Any:
        """Return a word of the command line as a value that `check` accepts."""
        return text

    def text(self, value: Any) -> str:
        """Return a checked value as a word of the command line."""
        return str(value)

    def alternatives(self, argument: str, value: Any) -> list[Any] | None:
        """Return the values that a list in `sweep` stands for; None if it is one value."""
        if isinstance(value, np.ndarray) and value.ndim:
            return checked_items(argument, value, "must be a value or a list of values")
        return list(value) if isinstance(value, (list, range)) else None


@dataclass(frozen=True)
class Integer(Domain):
    """An int from `low` to `high`, both included; messages print `high` as `bound`."""

    low: int
    high: int
    bound: str = ""
    metavar = "N"

    def check(self, argument: str, value: object, of: str = "") -> int:
        """Return `value` as an int."""
        number = plain(value)
        if isinstance(number, int) and self.low <= number <= self.high:
            return number
        bound = self.bound or str(self.high)
        problem = f"must be an int from {self.low} to {bound}, got {brief(value)}"
        raise (value_error if isinstance(number, int) else type_error)(argument, problem, of)

    def parse(self, text: str) -> int:
        """Read an int, also from 10_000 or 1e4."""
        try:
            return int(text)
        except ValueError:
            number = _float(text)
            if not number.is_integer():
                raise ValueError(f"{text!r} is not an integer") from None
            return int(number)


def checked_int(argument: str, value: object, low: int, high: int, bound: str = "") -> int:
    """Return an int from `low` to `high`, both included; messages print `high` as `bound`.

    Raises
    ------
    TypeError, ValueError
        If it is not an int from `low` to `high`.

    Examples
    --------
    >>> from vgsim._domains import checked_int
    >>> checked_int("first", 2**56, 0, 2**56 - 1, "2**56 - 1")
    Traceback (most recent call last):
    ValueError: first must be an int from 0 to 2**56 - 1, got 72057594037927936
    """
    return Integer(low, high, bound).check(argument, value)


@dataclass(frozen=True)
class Number(Domain):
    """A finite real number for which `accepts` is true; required if it has no default.

    `example`: a value for the message about a missing one.
    """

    allowed: str
    accepts: Callable[[float], bool]
    default: float | None = None
    example: float = 0.05

    def check(self, argument: str, value: object, of: str = "") -> float:
        """Return `value` as a float."""
        number = plain(value)
        wrong: Callable[..., Exception] = type_error
        if number is not None and not isinstance(number, str):
            try:
                number = float(number) + 0.0  # -0.0 becomes 0.0
            except OverflowError:
                number = math.inf
            if math.isfinite(number) and self.accepts(number):
                return number
            wrong = value_error
        raise wrong(argument, f"must be {self.allowed}, got {brief(value)}", of)

    def parse(self, text: str) -> float:
        """Read a number."""
        return _float(text)


S = TypeVar("S", bound=str)


@dataclass(frozen=True)
class Choice(Domain, Generic[S]):
    """One of a few strings; required if it has no default."""

    choices: tuple[S, ...]
    default: S | None = None
    also: str = ""  # other allowed values, which the caller checks, for messages
    metavar = "NAME"

    def check(self, argument: str, value: object, of: str = "") -> S:
        """Return `value`."""
        name = plain(value)
        if isinstance(name, str) and name in self.choices:
            return self.choices[self.choices.index(name)]
        problem = f"must be one of {listed(self.choices)}{self.also}, got {brief(value)}"
        raise (value_error if isinstance(name, str) else type_error)(argument, problem, of)


@dataclass(frozen=True)
class Boolean(Domain):
    """True or False."""

    metavar = "true|false"

    def check(self, argument: str, value: object, of: str = "") -> bool:
        """Return `value` as a bool."""
        if not isinstance(value, (bool, np.bool_)):
            raise type_error(argument, f"must be True or False, got {brief(value)}", of)
        return bool(value)


class Part(Domain):
    """A part of a network that has fields or parameters of its own."""

    fields: tuple[str, ...] = ()  # their names, if they are the same for every such part
    has_name = True  # whether, without `fields`, it is a name and the parameters of that name
    wholes: tuple[type, ...] = (str,)  # values of the whole part that its fields can change

    def assembled(self, argument: str, whole: Any, parts: Mapping[str, Any]) -> Any:
        """Build the part from a value for the whole part and from those of its fields."""
        raise NotImplementedError


class NamedDomain(Part):
    """A name from a table, with or without its parameters, such as `Activation`."""

    metavar = "NAME"

    def __init__(self, kind: Any, *others: str) -> None:
        self.kind, self.others = kind, others  # others: names that the network resolves

    def check(self, argument: str, value: Any, of: str = "") -> Any:
        """Return `value` as an instance of `kind`, or one of the names `others`."""
        return self.kind._made(value, {}, self.others)

    def to_json(self, value: Any) -> Any:
        """Return the name, or a dict of the name and the parameters."""
        return value.to_json()

    def from_json(self, value: Any) -> Any:
        """Build the named value."""
        return self.kind.from_json(value, self.others)

    def parse(self, text: str) -> Any:
        """Read ``name:key=value,key=value``."""
        return self.kind._made(*split_parameters(text, "leaky_relu:slope=0.1"), self.others)

    def text(self, value: Any) -> str:
        """Return ``name:key=value,key=value``, without parameters at their default."""
        changed = ",".join(f"{key}={x}" for key, x in value._changed().items())
        return f"{value.name}:{changed}" if changed else str(value.name)

    def assembled(self, argument: str, whole: Any, parts: Mapping[str, Any]) -> Any:
        """Build the named value from its name and its parameters."""
        if whole is None:
            raise type_error(f"{argument}__{next(iter(parts))}", f"needs {argument}, a name")
        return self.kind._made(whole, parts, self.others)


def split_parameters(text: str, example: str) -> tuple[str, dict[str, float | str]]:
    """Split ``word:key=value,key=value``; a value becomes a float if it is a number."""
    word, colon, rest = text.partition(":")
    given: dict[str, float | str] = {}
    for part in rest.split(",") if colon else ():
        key, equals, value = part.partition("=")
        if not (key and equals and value):
            allowed = f"{word} or {word}:parameter=value,..., as in {example}"
            raise ValueError(f"{text!r} is not {allowed}")
        try:
            given[key] = float(value)
        except ValueError:
            given[key] = value
    return word, given


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a number") from None


_THRESHOLD = Number("0 < threshold <= 1", lambda threshold: 0 < threshold <= 1)


def check_threshold(threshold: object, argument: str = "threshold") -> float:
    """Return a threshold as a float; ValueError outside (0, 1].

    Examples
    --------
    >>> from vgsim._domains import check_threshold
    >>> check_threshold(2)
    Traceback (most recent call last):
    ValueError: threshold must be 0 < threshold <= 1, got 2
    """
    return _THRESHOLD.check(argument, threshold)


def checked_bool(argument: str, value: object) -> bool:
    """Return a Python or NumPy bool as a bool; anything else is a TypeError.

    Examples
    --------
    >>> from vgsim._domains import checked_bool
    >>> checked_bool("theory", 1)
    Traceback (most recent call last):
    TypeError: theory must be True or False, got 1
    """
    return Boolean().check(argument, value)
