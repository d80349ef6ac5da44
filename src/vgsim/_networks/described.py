"""described(): a class with declared fields as a frozen dataclass, whose errors name the field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import wraps
from inspect import Parameter, Signature, signature
from typing import TYPE_CHECKING, Any, TypeVar

from vgsim._checks import meant, type_error
from vgsim._networks.description import Field

if TYPE_CHECKING:
    from typing_extensions import dataclass_transform
else:

    def dataclass_transform(**_: Any) -> Any:  # Python 3.10 has none, and only checkers need it
        """Return a decorator that changes nothing."""
        return lambda decorator: decorator


__all__ = ["described"]

T = TypeVar("T")


@dataclass_transform(frozen_default=True, field_specifiers=(Field,))
def described(cls: type[T]) -> type[T]:
    """Turn a class with `Field` declarations into a frozen dataclass."""
    made: Any = dataclass(frozen=True, repr=False)(cls)
    own_init = made.__init__
    unnamed = [field.name for field in fields(made) if not field.kw_only]

    @wraps(own_init)
    def init(self: Any, *values: Any, **named: Any) -> None:
        _check_names(made, unnamed, len(values), named)
        own_init(self, *values, **named)

    init.__signature__ = _unannotated(own_init)  # type: ignore[attr-defined]
    made.__init__ = init
    return made  # type: ignore[no-any-return]


def _unannotated(function: Any) -> Signature:
    """Return the signature of a function without annotations, which are of fields, not values."""
    given = signature(function)
    bare = [one.replace(annotation=Parameter.empty) for one in given.parameters.values()]
    return given.replace(parameters=bare, return_annotation=Signature.empty)


def _check_names(kind: Any, unnamed: list[str], count: int, named: Mapping[str, Any]) -> None:
    """Refuse unknown fields, missing ones, and `count` values without a name if that is too many.

    `unnamed` are the fields that need no name.
    """
    for name in named:
        if name not in kind._fields:
            near = meant(name, kind._fields)
            known = ", ".join(kind._fields)
            hint = f"did you mean {near!r}?" if near else f"the fields are {known}"
            raise type_error(name, f"is not a field of {kind.__name__}; {hint}")
    others = [name for name in kind._fields if name not in unnamed]
    if count > len(unnamed) and others:
        call = f"{kind.__name__}({', '.join([*unnamed, f'{others[0]}=...'])})"
        problem = f"must be given by its name, like all fields from there on: {call}"
        raise type_error(others[0], problem, f" of {kind.__name__}")
    given = {*unnamed[:count], *named}
    for name, field in kind._fields.items():
        if field.is_required and name not in given:
            raise type_error(name, "must be given", f" of {kind.__name__}")
