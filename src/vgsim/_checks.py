"""Checks of arguments and of memory, and the constants that many packages share."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "COUNTERS",
    "DECADE",
    "EVENTS",
    "INDICES",
    "RANGE",
    "RELATIVE",
    "TABULATED",
    "THRESHOLD",
    "Choice",
    "Domain",
    "Integer",
    "NamedDomain",
    "Number",
    "Part",
    "check_threshold",
    "checked_int",
    "checked_numbers",
    "listed",
    "memory_error",
    "require_memory",
    "split_parameters",
    "type_error",
    "value_error",
]

COUNTERS = 2**32  # layers and blocks of random numbers are counted in 32 bits
INDICES = 2**56  # samples of one seed
DECADE = 2.0 * math.log(10.0)  # of ln ‖G‖² in one of log10 ‖G‖

RELATIVE = ("vanishing", "exploding", "healthy")  # events of the ratio, which have a threshold
RANGE = ("underflow", "overflow")  # events of a floating-point format
EVENTS = (*RELATIVE, "dead", *RANGE)
TABULATED = ("vanishing", "exploding", "dead")  # events with columns in tables
THRESHOLD = 1e-6


def value_error(argument: str, problem: str, of: str = "") -> ValueError:
    """Return a ValueError that knows its argument.

    Its message is the name of the argument and the problem; the attributes ``argument`` and
    ``problem`` hold the two, so that a command can say its own name of the argument.

    Examples
    --------
    >>> from vgsim._checks import value_error
    >>> error = value_error("slope", "must be positive, got -1", " of activation 'leaky_relu'")
    >>> error
    ValueError("slope of activation 'leaky_relu' must be positive, got -1")
    >>> error.argument, error.problem
    ('slope', 'must be positive, got -1')
    """
    return _knowing(ValueError(f"{argument}{of} {problem}"), argument, problem)


def type_error(argument: str, problem: str, of: str = "") -> TypeError:
    """Return a TypeError that knows its argument: see `value_error`."""
    return _knowing(TypeError(f"{argument}{of} {problem}"), argument, problem)


def memory_error(argument: str, problem: str) -> MemoryError:
    """Return a MemoryError that knows its argument: see `value_error`."""
    return _knowing(MemoryError(f"{argument} {problem}"), argument, problem)


E = TypeVar("E", bound=Exception)


def _knowing(error: E, argument: str, problem: str) -> E:
    error.__dict__.update(argument=argument, problem=problem)
    return error


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
        """Return what `check` takes, from what `to_json` gave."""
        return value

    def parse(self, text: str) -> Any:
        """Return what `check` takes, from a word of the command line."""
        return text

    def text(self, value: Any) -> str:
        """Return a checked value as the command line takes it."""
        return str(value)


@dataclass(frozen=True)
class Integer(Domain):
    """An int from `low` to `high`, both included; `bound` is how to print `high`."""

    low: int
    high: int
    bound: str = ""
    metavar = "N"

    def check(self, argument: str, value: object, of: str = "") -> int:
        """Return `value` as an int."""
        bound = self.bound or str(self.high)
        problem = f"must be an int from {self.low} to {bound}, got {value!r}"
        if isinstance(value, (bool, np.bool_, np.ndarray)):
            raise type_error(argument, problem, of)
        try:
            number = operator.index(value)  # type: ignore[arg-type]
        except TypeError:
            raise type_error(argument, problem, of) from None
        if not self.low <= number <= self.high:
            raise value_error(argument, problem, of)
        return number

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
    """Return an int from `low` to `high`, both included; `bound` is how to print `high`.

    Raises
    ------
    TypeError, ValueError
        If it is not an int from `low` to `high`.

    Examples
    --------
    >>> from vgsim._checks import checked_int
    >>> checked_int("first", 2**56, 0, 2**56 - 1, "2**56 - 1")
    Traceback (most recent call last):
    ValueError: first must be an int from 0 to 2**56 - 1, got 72057594037927936
    """
    return Integer(low, high, bound).check(argument, value)


@dataclass(frozen=True)
class Number(Domain):
    """A finite real number with a domain; required where it has no default."""

    allowed: str
    accepts: Callable[[float], bool]
    default: float | None = None

    def check(self, argument: str, value: object, of: str = "") -> float:
        """Return `value` as a float."""
        problem = f"must be {self.allowed}, got {value!r}"
        if isinstance(value, bool) or not isinstance(value, Real):
            raise type_error(argument, problem, of)
        try:
            number = float(value) + 0.0  # -0.0 becomes 0.0
        except OverflowError:
            number = math.inf
        if not (math.isfinite(number) and self.accepts(number)):
            raise value_error(argument, problem, of)
        return number

    def parse(self, text: str) -> float:
        """Read a number."""
        return _float(text)


@dataclass(frozen=True)
class Choice(Domain):
    """One of a few strings; required where it has no default."""

    choices: tuple[str, ...]
    default: str | None = None
    also: str = ""  # what else is allowed, where that is checked elsewhere
    metavar = "NAME"

    def check(self, argument: str, value: object, of: str = "") -> str:
        """Return `value`."""
        problem = f"must be one of {listed(self.choices)}{self.also}, got {value!r}"
        if not isinstance(value, str):
            raise type_error(argument, problem, of)
        if value not in self.choices:
            raise value_error(argument, problem, of)
        return str(value)


class Part(Domain):
    """A part of a network that has fields or parameters of its own."""

    fields: tuple[str, ...] = ()  # their names, where they do not depend on the part

    def assembled(self, argument: str, whole: Any, parts: Mapping[str, Any]) -> Any:
        """Make it of its fields, as sweep has them, and of what is given as a whole."""
        raise NotImplementedError


class NamedDomain(Part):
    """A name out of a table with its parameters, such as `Activation`, or the name alone."""

    metavar = "NAME"

    def __init__(self, kind: Any, *others: str) -> None:
        self.kind, self.others = kind, others  # names that the description itself resolves

    def check(self, argument: str, value: Any, of: str = "") -> Any:
        """Return the named value."""
        return self.kind._made(value, {}, self.others)

    def to_json(self, value: Any) -> Any:
        """Return a name, or a dict of it and parameters."""
        return value.to_json()

    def from_json(self, value: Any) -> Any:
        """Build the named value."""
        return self.kind.from_json(value, self.others)

    def parse(self, text: str) -> Any:
        """Read ``name:key=value,key=value``."""
        return self.kind._made(*split_parameters(text, "leaky_relu:slope=0.1"), self.others)

    def text(self, value: Any) -> str:
        """Return ``name:key=value,key=value``, without what is at its default."""
        changed = ",".join(f"{key}={x}" for key, x in value._changed().items())
        return f"{value.name}:{changed}" if changed else str(value.name)

    def assembled(self, argument: str, whole: Any, parts: Mapping[str, Any]) -> Any:
        """Make the named value of its name and its parameters."""
        if whole is None:
            raise type_error(f"{argument}__{next(iter(parts))}", f"needs {argument}, a name")
        return self.kind._made(whole, parts, self.others)


def checked_numbers(argument: str, value: ArrayLike) -> NDArray[np.float64]:
    """Return a number, or an array of them, as float64; infinite ones are allowed, NaN is not.

    Examples
    --------
    >>> from vgsim._checks import checked_numbers
    >>> checked_numbers("q", None)
    Traceback (most recent call last):
    TypeError: q must be a number or an array of numbers, got None
    """
    problem = f"must be a number or an array of numbers, got {value!r}"
    try:
        array = np.asarray(value)
    except ValueError:  # ragged
        raise type_error(argument, problem) from None
    if array.dtype.kind not in "iuf":
        raise type_error(argument, problem)
    if np.isnan(array).any():
        raise value_error(argument, f"must not be NaN, got {value!r}")
    return array.astype(np.float64)


def split_parameters(text: str, example: str) -> tuple[str, dict[str, float | str]]:
    """Read ``word:key=value,key=value``; values are numbers where they can be."""
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


def listed(names: Iterable[object]) -> str:
    """Return names in quotes, separated by commas."""
    return ", ".join(repr(name) for name in names)


_THRESHOLD = Number("0 < threshold <= 1", lambda threshold: 0 < threshold <= 1)


def check_threshold(threshold: object, argument: str = "threshold") -> float:
    """Return a threshold as a float; refuse one outside (0, 1].

    Examples
    --------
    >>> from vgsim._checks import check_threshold
    >>> check_threshold(2)
    Traceback (most recent call last):
    ValueError: threshold must be 0 < threshold <= 1, got 2
    """
    return _THRESHOLD.check(argument, threshold)


def require_memory(needed: int, what: str, remedy: str) -> None:
    """Raise MemoryError, with what to change, if `needed` bytes for `what` are not to be had."""
    available = _available()
    if available is not None and needed > available:
        raise MemoryError(
            f"{what} needs about {needed / 2**30:.3g} GiB and {available / 2**30:.3g} GiB are "
            f"available: {remedy}"
        )


def _available() -> int | None:
    """Bytes that this process may still take, as far as the system tells."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    sizes = [int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:")]
    try:
        limit = int(Path("/sys/fs/cgroup/memory.max").read_text())
        sizes.append(limit - int(Path("/sys/fs/cgroup/memory.current").read_text()))
    except (OSError, ValueError):
        pass
    return min(sizes, default=None)
