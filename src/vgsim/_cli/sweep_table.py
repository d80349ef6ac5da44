"""A [[sweep]] of a study file: its tables and lists to networks, or all that is wrong with them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from itertools import product
from typing import Any

from vgsim._checks import Part, type_error
from vgsim._cli.toml_lines import KeyPath
from vgsim._networks.description import Description, Field, Network
from vgsim._networks.sweep import sweep

__all__ = ["Problem", "networks_of", "unknown_key"]

Problem = Callable[[KeyPath, str], None]  # called with where and what
NONE = "none"


def networks_of(values: Mapping[str, Any], path: KeyPath, problem: Problem) -> list[Network]:
    """Return the networks of one sweep, every combination of its lists.

    Parameters
    ----------
    values : mapping
        kind, and fields of that kind of network. A list is swept over; a list in a list of widths
        is one choice; "none" is no norm, no clipping and so on.
    path : tuple
        Where the values are in the file.
    problem : callable
        Told of everything that is wrong, with where it is.

    Examples
    --------
    >>> from vgsim._cli.sweep_table import networks_of
    >>> networks_of({"depth": [10, 20], "width": 8}, ("sweep", 0), print)
    [MLP(depth=10, width=8, init='glorot_normal'), MLP(depth=20, width=8, init='glorot_normal')]
    >>> networks_of({"depht": 10, "width": 8}, ("sweep", 0), print)
    ('sweep', 0, 'depht') unknown key 'depht', did you mean 'depth'?
    ('sweep', 0) a sweep of MLP needs depth
    []
    """
    said: list[str] = []

    def say(where: KeyPath, message: str) -> None:
        said.append(message)
        problem(where, message)

    given = dict(values)
    name = given.pop("kind", next(iter(Description.networks)))
    if not isinstance(name, str) or name not in Description.networks:
        names = ", ".join(map(repr, Description.networks))
        say((*path, "kind"), f"kind must be one of {names}, got {name!r}")
        return []
    kind = Description.networks[name]
    for key in [key for key in given if key not in kind._fields]:
        say((*path, key), unknown_key(key, ["kind", *kind._fields]))
        del given[key]
    for key, field in kind._fields.items():
        if field.is_required and key not in values:
            say(path, f"a sweep of {name} needs {key}")
    choices: dict[str, list[Any]] = {}
    for key, value in given.items():
        choices |= _choices(kind._fields[key], value, (*path, key), say)
    return [] if said else list(_combined(kind, choices, path, say))


def unknown_key(key: str, known: list[str]) -> str:
    """Say that a key is unknown, and what may be meant.

    Examples
    --------
    >>> from vgsim._cli.sweep_table import unknown_key
    >>> unknown_key("max-samples", ["max_samples", "seed"])
    "unknown key 'max-samples', did you mean 'max_samples'?"
    """
    near = get_close_matches(key.lower().replace("-", "_"), known, 1, 0.7)
    meant = f"did you mean {near[0]!r}?" if near else f"the keys are {', '.join(known)}"
    return f"unknown key {key!r}, {meant}"


def _choices(
    field: Field[Any, Any], value: Any, path: KeyPath, say: Problem
) -> dict[str, list[Any]]:
    """Return what to sweep over, by the names that `sweep` has for it; say what is wrong."""
    domain = field.domain
    if isinstance(value, Mapping) and isinstance(domain, Part):
        if not value and domain.fields:
            return {field.name: [domain.assembled(field.name, None, {})]}
        return _swept_part(field, domain, value, path, say)
    items = value if isinstance(value, list) else [value]
    if not items:
        say(path, f"{field.name} is an empty list: a sweep over nothing has no networks")
    checked = (_checked(field, item, path, say) for item in items)
    return {field.name: [one for few in checked for one in few]}


def _checked(field: Field[Any, Any], raw: Any, path: KeyPath, say: Problem) -> Iterator[Any]:
    """Yield one value as `sweep` takes it, if it is allowed."""
    domain = field.domain
    try:
        if raw == NONE and field.optional:
            yield None
        elif isinstance(raw, Mapping) and isinstance(domain, Part):
            if _is_named(field, domain, raw, path, say):
                yield _part(field, domain, raw)
        elif isinstance(domain, Part) and domain.fields:
            what = f"a table with {' or '.join(domain.fields)}, or {NONE!r}"
            raise type_error(field.name, f"must be {what}, got {raw!r}")
        else:
            yield field.check(tuple(raw) if isinstance(raw, list) else raw)
    except (TypeError, ValueError) as error:
        say(path, str(error))


def _is_named(
    field: Field[Any, Any], domain: Part, table: Mapping[str, Any], path: KeyPath, say: Problem
) -> bool:
    """Whether the table of a part has a name, or only fields of the part; say what is wrong."""
    if not domain.fields and "name" not in table:
        say(path, f"{field.name} needs a name, got {dict(table)}")
        return False
    unknown = [key for key in table if domain.fields and key not in domain.fields]
    for key in unknown:
        say((*path, key), unknown_key(key, [*domain.fields]))
    return not unknown


def _part(field: Field[Any, Any], domain: Part, table: Mapping[str, Any]) -> Any:
    """Make a part of a network of a table."""
    given = dict(table)
    whole = None if domain.fields else given.pop("name")
    return domain.assembled(field.name, whole, given)


def _swept_part(
    field: Field[Any, Any], domain: Part, table: Mapping[str, Any], path: KeyPath, say: Problem
) -> dict[str, list[Any]]:
    """Return what to sweep over in a table of a part, whose values may be lists."""
    if not _is_named(field, domain, table, path, say):
        return {}
    lists = {name: value if isinstance(value, list) else [value] for name, value in table.items()}
    messages: dict[str, KeyPath] = {}
    for name, items in lists.items():
        if not items:
            say((*path, name), f"{name} is an empty list: a sweep over nothing has no networks")
    for combination in product(*lists.values()):
        try:
            _part(field, domain, dict(zip(lists, combination, strict=True)))
        except (TypeError, ValueError) as error:
            messages.setdefault(str(error), (*path, getattr(error, "argument", field.name)))
    for message, where in messages.items():
        say(where, message)
    names = {} if domain.fields else {field.name: lists.pop("name")}
    return names | {f"{field.name}__{name}": items for name, items in lists.items()}


def _combined(
    kind: type[Network], choices: Mapping[str, list[Any]], path: KeyPath, say: Problem
) -> Iterator[Network]:
    """Yield a network for each combination; say once for each reason which ones are none."""
    reasons = set()
    for values in product(*choices.values()):
        chosen = dict(zip(choices, values, strict=True))
        try:
            yield from sweep(kind, **chosen)
        except (TypeError, ValueError) as error:
            reason, _, combination = str(error).partition(" (in the combination ")
            if reason not in reasons:
                reasons.add(reason)
                where = (*path, error.argument) if hasattr(error, "argument") else path
                say(where, f"{reason}; {combination.removesuffix(')')}")
