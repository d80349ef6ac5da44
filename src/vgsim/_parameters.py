"""Checked parameters, and names out of a table that carry them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from numbers import Real
from types import MappingProxyType
from typing import Any, ClassVar, TypeVar

__all__ = ["Choice", "Entry", "Named", "Number"]


@dataclass(frozen=True)
class Number:
    """A finite real number with a domain; required where it has no default."""

    allowed: str
    accepts: Callable[[float], bool]
    default: float | None = None

    def check(self, argument: str, value: object) -> float:
        """Return `value` as a float, or raise an error that says what `argument` may be."""
        message = f"{argument} must be {self.allowed}, got {value!r}"
        if isinstance(value, bool) or not isinstance(value, Real):
            raise TypeError(message)
        try:
            number = float(value) + 0.0  # -0.0 becomes 0.0
        except OverflowError:
            number = math.inf
        if not (math.isfinite(number) and self.accepts(number)):
            raise ValueError(message)
        return number


@dataclass(frozen=True)
class Choice:
    """One of a few strings; required where it has no default."""

    choices: tuple[str, ...]
    default: str | None = None

    def check(self, argument: str, value: object) -> str:
        """Return `value`, or raise an error that lists the choices of `argument`."""
        message = f"{argument} must be one of {_listed(self.choices)}, got {value!r}"
        if not isinstance(value, str):
            raise TypeError(message)
        if value not in self.choices:
            raise ValueError(message)
        return str(value)


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What a table holds under a name: at least the parameters that go with it, in order."""

    parameters: Mapping[str, Number | Choice] = field(default_factory=dict)


N = TypeVar("N", bound="Named")


@dataclass(frozen=True, init=False, repr=False)
class Named:
    """A name out of the subclass's table with a value for every parameter; immutable."""

    _argument: ClassVar[str]
    _table: ClassVar[Mapping[str, Entry]]
    _elsewhere: ClassVar[Mapping[str, str]]  # names that others use: ours

    name: str
    _values: tuple[float | str, ...]

    def __init__(self, name: str, /, **parameters: Any) -> None:
        if not isinstance(name, str):
            raise TypeError(f"{self._argument} name must be a string, got {name!r}")
        if name not in self._table:
            raise ValueError(
                f"unknown {self._argument} {name!r}{self._hint(name)}; "
                f"the choices are {_listed(self._table)}"
            )
        known = self._table[name].parameters
        unknown = [key for key in parameters if key not in known]
        if unknown:
            takes = f"takes only {_listed(known)}" if known else "takes no parameters"
            given = ", ".join(f"{key}={parameters[key]!r}" for key in unknown)
            raise TypeError(f"{self._argument} {name!r} {takes}, got {given}")
        values: list[float | str] = []
        for key, parameter in known.items():
            value = parameters.get(key, parameter.default)
            if key not in parameters and value is None:
                if isinstance(parameter, Number):
                    raise TypeError(
                        f"{self._argument} {name!r} needs {key}: {parameter.allowed}; "
                        f"for example {type(self).__name__}({name!r}, {key}=0.05)"
                    )
                raise TypeError(
                    f"{self._argument} {name!r} needs {key}: one of {_listed(parameter.choices)}"
                )
            values.append(parameter.check(f"{key} of {self._argument} {name!r}", value))
        object.__setattr__(self, "name", str(name))
        object.__setattr__(self, "_values", tuple(values))

    @classmethod
    def _hint(cls, name: str) -> str:
        plain = name.lower().replace("-", "_").strip("_ ")
        ours, colon, rest = plain.partition(":")
        if colon and ours in cls._table:
            keywords = rest.replace(",", ", ")
            return f" (parameters are keywords: {cls.__name__}({ours!r}, {keywords}))"
        close = [plain] if plain in cls._table else get_close_matches(plain, cls._table, 1, 0.75)
        meant = cls._elsewhere.get(plain) or next(iter(close), None)
        return f" (did you mean {meant!r}?)" if meant else ""

    @property
    def parameters(self) -> Mapping[str, Any]:
        """Every parameter by name, defaults filled in; read-only."""
        return MappingProxyType(
            dict(zip(self._table[self.name].parameters, self._values, strict=True))
        )

    def to_json(self) -> str | dict[str, float | str]:
        """Return the name alone, or a dict of it and the parameters not at their default."""
        changed = self._changed()
        return {"name": self.name, **changed} if changed else self.name

    @classmethod
    def from_json(cls: type[N], value: object) -> N:
        """Build from what :meth:`to_json` returns."""
        if isinstance(value, Mapping) and "name" in value:
            parameters = {str(key): value[key] for key in value if key != "name"}
            return cls(value["name"], **parameters)
        return cls._coerce(value)

    @classmethod
    def _coerce(cls: type[N], value: object) -> N:
        if isinstance(value, cls):
            return value
        if isinstance(value, str):
            return cls(value)
        raise TypeError(
            f"{cls._argument} must be one of {_listed(cls._table)} "
            f"or a vgsim.{cls.__name__}, got {value!r}"
        )

    def _changed(self) -> dict[str, float | str]:
        known = self._table[self.name].parameters
        return {
            key: value
            for (key, parameter), value in zip(known.items(), self._values, strict=True)
            if value != parameter.default
        }

    def __repr__(self) -> str:
        changed = "".join(f", {key}={value!r}" for key, value in self._changed().items())
        return f"{type(self).__name__}({self.name!r}{changed})"


def _listed(names: Any) -> str:
    return ", ".join(repr(name) for name in names)
