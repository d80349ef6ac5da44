"""Names from a table with their parameters: activations and initialisers."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from vgsim._checks import brief, listed, meant, plain, type_error, value_error
from vgsim._domains import Number

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Entry", "Named"]


@dataclass(frozen=True, kw_only=True)
class Entry:
    """An entry of a table; its parameters are in order."""

    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, init=False, repr=False)
class Named:
    """A name from the table of the subclass with a value for every parameter; immutable."""

    _argument: ClassVar[str]
    _table: ClassVar[Mapping[str, Entry]]
    _aliases: ClassVar[Mapping[str, str]] = {}  # further names, and the name in the table
    _elsewhere: ClassVar[Mapping[str, str]]  # names in other libraries, and the name here

    name: str
    _values: tuple[float | str, ...]
    _parameters: dict[str, float | str] = field(compare=False)

    def __init__(self, name: str, /, **parameters: Any) -> None:
        word = plain(name)
        if not isinstance(word, str):
            raise type_error(
                "name", f"must be a string, got {brief(name)}", f" of {self._argument}"
            )
        name = self._aliases.get(word, word)
        if name not in self._table:
            self._refuse(name, self._table)
        known = self._table[name].parameters
        if any(key not in known for key in parameters):
            self._refuse_parameters(name, parameters, known)
        values: list[float | str] = []
        for key, parameter in known.items():
            value = parameters.get(key, parameter.default)
            if key not in parameters and value is None:
                allowed = (
                    f"{parameter.allowed}; for example {key}={parameter.example}"
                    if isinstance(parameter, Number)
                    else f"one of {listed(parameter.choices)}"
                )
                raise type_error(self._argument, f"{name!r} needs {key}: {allowed}")
            values.append(parameter.check(key, value, f" of {self._argument} {name!r}"))
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "_values", tuple(values))
        object.__setattr__(self, "_parameters", dict(zip(known, values, strict=True)))

    @classmethod
    def _called(cls, name: str, **parameters: Any) -> Self:
        """Return the value of a name that checkers do not know."""
        return cls(name, **parameters)

    @classmethod
    def _made(cls, value: Any, given: Mapping[str, Any], others: tuple[str, ...] = ()) -> Any:
        """Build from a name and parameters; return an instance or a name in `others` as it is."""
        if isinstance(value, cls) and not given:
            return value
        choices, name = (*others, *cls._table), plain(value)
        if isinstance(name, str):
            name = cls._aliases.get(name, name)
        if not isinstance(name, str):
            allowed = f"one of {listed(choices)} or a vgsim.{cls.__name__}"
            raise type_error(cls._argument, f"must be {allowed}, got {brief(value)}")
        if name not in others:
            return cls(name, **given) if name in choices else cls._refuse(name, choices)
        return cls._refuse_parameters(name, given, ()) if given else name

    @classmethod
    def _refuse(cls, name: str, choices: Collection[str]) -> NoReturn:
        problem = f"is unknown{cls._hint(name, choices)}; the choices are {listed(choices)}"
        raise value_error(cls._argument, f"{brief(name)} {problem}")

    @classmethod
    def _refuse_parameters(
        cls, name: str, given: Mapping[str, Any], known: Collection[str]
    ) -> NoReturn:
        takes = f"takes only {listed(known)}" if known else "takes no parameters"
        surplus = ", ".join(f"{key}={brief(x)}" for key, x in given.items() if key not in known)
        raise type_error(cls._argument, f"{name!r} {takes}, got {surplus}")

    @classmethod
    def _hint(cls, name: str, choices: Collection[str]) -> str:
        word = name.lower().replace("-", "_").strip("_ ")
        ours, colon, rest = word.partition(":")
        if colon and ours in cls._table:
            keywords = rest.replace(",", ", ")
            return f" (parameters are keywords: {cls.__name__}({ours!r}, {keywords}))"
        near = cls._elsewhere.get(word) or (word if word in choices else meant(word, choices))
        return f" (did you mean {near!r}?)" if near else ""

    @property
    def parameters(self) -> Mapping[str, Any]:
        """All parameters by name, including those at their default; read-only."""
        return MappingProxyType(self._parameters)

    def to_json(self) -> str | dict[str, float | str]:
        """Return the name, or a dict of the name and the parameters not at their default."""
        changed = self._changed()
        return {"name": self.name, **changed} if changed else self.name

    @classmethod
    def from_json(cls, value: Any, others: tuple[str, ...] = ()) -> Any:
        """Build from what :meth:`to_json` returns; return a name in `others` as it is."""
        if isinstance(value, Mapping) and "name" in value:
            given = {str(key): x for key, x in value.items() if key != "name"}
            return cls._made(value["name"], given, others)
        return cls._made(value, {}, others)

    def _changed(self) -> dict[str, float | str]:
        known = self._table[self.name].parameters
        return {
            key: value for key, value in self._parameters.items() if value != known[key].default
        }

    def __repr__(self) -> str:
        changed = "".join(f", {key}={value!r}" for key, value in self._changed().items())
        return f"{type(self).__name__}({self.name!r}{changed})"
