"""Functions as fields of a description, known by their names, and other fields of their calls."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import reduce
from typing import Any

from vgsim._checks import brief, checked_items, plain, type_error, value_error
from vgsim._domains import Domain, Part

__all__ = ["Arguments", "Function", "FunctionDomain", "Keywords", "Texts"]


@dataclass(frozen=True, repr=False)
class Function:
    """A function of a module, "package.module:function", which is imported when it is called.

    Two are equal if their names are. A copy in another process has the name only.

    Examples
    --------
    >>> from vgsim._networks.functions import Function
    >>> Function("math:hypot")(3.0, 4.0)
    5.0
    """

    name: str
    given: Callable[..., Any] | None = field(default=None, compare=False)
    argument: str = field(default="make", compare=False)  # whose value it is, for messages

    def __call__(self, *values: Any, **named: Any) -> Any:
        """Call the function; raise a ValueError if it cannot be imported."""
        return (self.given or self._imported())(*values, **named)

    def _imported(self) -> Callable[..., Any]:
        module, _, path = self.name.partition(":")
        try:
            found: Any = reduce(getattr, path.split("."), importlib.import_module(module))
        except (ImportError, AttributeError) as error:
            raise value_error(
                self.argument,
                f"cannot be imported as {self.name!r} ({error}): define it at the top level of a "
                "module that this process can import",
            ) from error
        return found  # type: ignore[no-any-return]

    def __reduce__(self) -> tuple[Any, ...]:
        return Function, (self.name, None, self.argument)

    def __repr__(self) -> str:
        return repr(self.name)


class FunctionDomain(Domain):
    """A function, or its name "package.module:function"."""

    metavar = "MODULE:FUNCTION"

    def check(self, argument: str, value: Any, of: str = "") -> Function:
        """Return `value` as a `Function`."""
        if isinstance(value, Function):
            return value
        if callable(value) and (own := getattr(value, "__qualname__", "")):
            module = getattr(value, "__module__", None) or "__main__"
            return Function(f"{module}:{own}", value, argument)
        name = plain(value)
        problem = f"must be a function or 'package.module:function', got {brief(value)}"
        if not isinstance(name, str):
            raise type_error(argument, problem, of)
        module, colon, path = name.partition(":")
        if not (module and colon and path):
            raise value_error(argument, problem, of)
        return Function(name, argument=argument)

    def to_json(self, value: Function) -> str:
        """Return the name."""
        return value.name

    def text(self, value: Function) -> str:
        """Return the name."""
        return value.name


class Texts(Domain):
    """Distinct names, one or more, as a tuple."""

    def check(self, argument: str, value: Any, of: str = "") -> tuple[str, ...]:
        """Return names as a tuple."""
        given = checked_items(argument, value, "must be a sequence of distinct names")
        names = tuple(map(plain, given))
        if not all(isinstance(name, str) for name in names):
            raise type_error(argument, f"must be names, got {brief(value)}", of)
        if not names or len(set(names)) < len(names):
            problem = f"must be distinct names, one or more, got {brief(list(names))}"
            raise value_error(argument, problem, of)
        return names  # type: ignore[return-value]

    def to_json(self, value: tuple[str, ...]) -> list[str]:
        """Return a list."""
        return list(value)

    def text(self, value: tuple[str, ...]) -> str:
        """Return the names, separated by commas."""
        return ",".join(value)

    def alternatives(self, argument: str, value: Any) -> list[Any] | None:
        """Return lists of names in a list; a list of names is one value."""
        nested = isinstance(value, list) and not any(isinstance(name, str) for name in value)
        return list(value) if nested else None


@dataclass(frozen=True)
class Keywords:
    """Keyword arguments as sorted JSON; immutable, and hashable."""

    json: str

    @property
    def values(self) -> dict[str, Any]:
        """The arguments by name."""
        found: dict[str, Any] = json.loads(self.json)
        return found

    def __repr__(self) -> str:
        return repr(self.values)


class Arguments(Part):
    """Keyword arguments of a call, of JSON types."""

    has_name = False
    wholes = (Mapping, Keywords)

    def check(self, argument: str, value: Any, of: str = "") -> Keywords:
        """Return a mapping as `Keywords`."""
        if isinstance(value, Keywords):
            return value
        allowed = "must be a mapping of names to numbers, words or lists of these"
        names = isinstance(value, Mapping) and all(isinstance(key, str) for key in value)
        if not names:
            raise type_error(argument, f"{allowed}, got {brief(value)}", of)
        plainly = {name: x if (p := plain(x)) is None else p for name, x in value.items()}
        try:
            return Keywords(json.dumps(plainly, sort_keys=True, allow_nan=False))
        except (TypeError, ValueError) as error:
            raise type_error(argument, f"{allowed}, got {brief(value)}", of) from error

    def to_json(self, value: Keywords) -> dict[str, Any]:
        """Return the arguments by name."""
        return value.values

    def text(self, value: Keywords) -> str:
        """Return the arguments as JSON."""
        return value.json

    def assembled(self, argument: str, whole: Any, parts: Mapping[str, Any]) -> Any:
        """Return the arguments `whole`, with those in `parts` in their place."""
        given = whole.values if isinstance(whole, Keywords) else dict(whole or {})
        return {**given, **parts}
