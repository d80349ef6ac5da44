"""Reader of a [[sweep]] of a study file: its networks, or all errors."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from itertools import product
from typing import Any

from vgsim._checks import brief, meant, plain, type_error
from vgsim._domains import Choice, Part
from vgsim._networks.description import Description, Field, Network
from vgsim._networks.layer_lists import ListOfLayers
from vgsim._networks.sweep import sweep

__all__ = ["KeyPath", "Problem", "networks_of", "placed", "unknown_key", "where"]

KeyPath = tuple[str | int, ...]  # names of keys, and indices in arrays of tables
Problem = Callable[[str], None]  # takes a message that begins with the path of a key
NONE = "none"


def where(path: KeyPath) -> str:
    """Return the path of a key as text.

    Examples
    --------
    >>> from vgsim._cli.sweep_table import where
    >>> where(("sweep", 0, "residual", "every")), where(("a b",))
    ('sweep[0].residual.every', "'a b'")
    """
    parts = [
        f"[{part}]"
        if isinstance(part, int)
        else f".{part if re.fullmatch(r'[A-Za-z0-9_-]{1,200}', part) else brief(part)}"
        for part in path
    ]
    return "".join(parts).removeprefix(".")


def placed(path: KeyPath, error: Exception) -> str:
    """Return the message of an error with the path of a key in place of the argument.

    `path` is the path of the key, or of the table in which the argument is a key.

    Examples
    --------
    >>> from vgsim._checks import value_error
    >>> from vgsim._cli.sweep_table import placed
    >>> placed(("sweep", 0, "width"), value_error("width[1]", "must be an int, got 'a'"))
    "sweep[0].width[1] must be an int, got 'a'"
    >>> placed(("stop",), value_error("layer", "must be an int, got 'a'"))
    "stop.layer must be an int, got 'a'"
    """
    argument = getattr(error, "argument", None)
    if argument is None:
        return f"{where(path)}: {error}"
    name, bracket, index = argument.partition("[")
    if not (path and path[-1] == name):
        path = (*path, *name.split("__"))
    said = str(error).removeprefix(argument)
    place = said[: said.index("]") + 1] if said.startswith("[") else bracket + index
    return f"{where(path)}{place} {getattr(error, 'problem')}"  # noqa: B009


def networks_of(values: Mapping[str, Any], path: KeyPath, problem: Problem) -> list[Network]:
    """Return the networks of one sweep, every combination of its lists.

    Parameters
    ----------
    values : mapping
        "kind", and fields of that kind of network. A list gives several values; a list in a list is
        one value with several widths; "none" stands for no norm, no clipping and so on.
    path : tuple
        The path of the table in the file.
    problem : callable
        Called with one message for each error.

    Examples
    --------
    >>> from vgsim._cli.sweep_table import networks_of
    >>> networks_of({"depth": [10, 20], "width": 8}, ("sweep", 0), print)
    [MLP(depth=10, width=8, init='glorot_normal'), MLP(depth=20, width=8, init='glorot_normal')]
    >>> networks_of({"depht": 10, "width": 8}, ("sweep", 0), print)
    sweep[0].depht is unknown, did you mean 'depth'?
    sweep[0].depth must be given for kind 'MLP'
    []
    """
    said: list[str] = []

    def say(line: str) -> None:
        said.append(line)
        problem(line)

    given = dict(values)
    try:
        kinds = Choice(tuple(Description.networks))
        name = kinds.check("kind", given.pop("kind", kinds.choices[0]))
    except (TypeError, ValueError) as error:
        problem(placed(path, error))
        return []
    kind = Description.networks[name]
    for key in [key for key in given if key not in kind._fields]:
        say(unknown_key((*path, key), ["kind", *kind._fields]))
        del given[key]
    for key, field in kind._fields.items():
        if field.is_required and key not in values:
            say(f"{where((*path, key))} must be given for kind {name!r}")
    choices: dict[str, list[Any]] = {}
    for key, value in given.items():
        choices |= _choices(kind._fields[key], value, (*path, key), say)
    return [] if said else list(_combined(kind, choices, path, say))


def unknown_key(path: KeyPath, known: list[str]) -> str:
    """Return a message that a key is unknown, with the most similar known key.

    Examples
    --------
    >>> from vgsim._cli.sweep_table import unknown_key
    >>> unknown_key(("max-samples",), ["max_samples", "seed"])
    "max-samples is unknown, did you mean 'max_samples'?"
    """
    near = meant(str(path[-1]), known)
    hint = f"did you mean {near!r}?" if near else f"the keys are {', '.join(known)}"
    return f"{where(path)} is unknown, {hint}"


def _choices(
    field: Field[Any, Any], value: Any, path: KeyPath, say: Problem
) -> dict[str, list[Any]]:
    """Return the values of a field, by the names of the arguments of `sweep`; report errors."""
    domain = field.domain
    if isinstance(domain, ListOfLayers):
        return {field.name: list(_layers(domain, value, path, say))}
    if isinstance(value, Mapping) and isinstance(domain, Part):
        if not value:
            return {field.name: list(_checked(field, value, path, say))}
        return _swept_part(field, domain, value, path, say)
    items = value if isinstance(value, list) else [value]
    if not items:
        say(f"{where(path)} is an empty list, so the sweep has no networks")
    checked = (_checked(field, item, path, say) for item in items)
    return {field.name: [one for few in checked for one in few]}


def _layers(domain: ListOfLayers, value: Any, path: KeyPath, say: Problem) -> Iterator[Any]:
    """Yield the lists of layers of a value, which is one list of layers or a list of lists.

    A field of a layer may have a list of values; there is a list of layers for each combination.
    """
    several = isinstance(value, list) and value and all(isinstance(one, list) for one in value)
    said = set()
    for empty in _empty_lists(value, path):
        say(f"{where(empty)} is an empty list, so the sweep has no networks")
    for number, one in enumerate(value if several else [value]):
        argument = f"{path[-1]}[{number}]" if several else str(path[-1])
        for variant in _variants(one):
            try:
                yield domain.check(argument, domain.read(argument, variant))
            except (TypeError, ValueError) as error:
                if str(error) not in said:
                    said.add(str(error))
                    say(placed(path, error))


def _variants(value: Any) -> Iterator[Any]:
    """Yield the layers of a list for each combination of the lists of values of their fields."""
    if isinstance(value, list):
        yield from map(list, product(*(list(_variants(one)) for one in value)))
    elif isinstance(value, Mapping):
        choices = [
            list(_variants(one)) if key == "layers" or not isinstance(one, list) else one
            for key, one in value.items()
        ]
        for values in product(*choices):
            yield dict(zip(value, values, strict=True))
    else:
        yield value


def _empty_lists(value: Any, path: KeyPath) -> Iterator[KeyPath]:
    """Yield the paths of empty lists of values of the fields of layers."""
    if isinstance(value, list):
        for i, one in enumerate(value):
            yield from _empty_lists(one, (*path, i))
    elif isinstance(value, Mapping):
        for key, one in value.items():
            if one == [] and key != "layers":
                yield (*path, key)
            yield from _empty_lists(one, (*path, key))


def _checked(field: Field[Any, Any], raw: Any, path: KeyPath, say: Problem) -> Iterator[Any]:
    """Yield a value as `sweep` takes it; report an error if it is not allowed."""
    domain = field.domain
    try:
        if plain(raw) == NONE and field.optional:
            yield None
        elif isinstance(raw, Mapping) and isinstance(domain, Part):
            if _is_named(field, domain, raw, path, say):
                yield _part(field, domain, raw)
        elif isinstance(domain, Part) and domain.fields:
            what = f"a table with {' or '.join(domain.fields)}, or {NONE!r}"
            raise type_error(field.name, f"must be {what}, got {brief(raw)}")
        else:
            yield field.check(tuple(raw) if isinstance(raw, list) else raw)
    except (TypeError, ValueError) as error:
        say(placed(path, error))


def _is_named(
    field: Field[Any, Any], domain: Part, table: Mapping[str, Any], path: KeyPath, say: Problem
) -> bool:
    """Return whether the table of a part has the required keys only; report errors."""
    if _has_name(domain) and "name" not in table:
        say(f"{where(path)} needs a name, got {brief(dict(table))}")
        return False
    unknown = [key for key in table if domain.fields and key not in domain.fields]
    for key in unknown:
        say(unknown_key((*path, key), [*domain.fields]))
    return not unknown


def _has_name(domain: Part) -> bool:
    """Return whether a part is a name with its parameters."""
    return domain.has_name and not domain.fields


def _part(field: Field[Any, Any], domain: Part, table: Mapping[str, Any]) -> Any:
    """Return the part of a network that a table describes."""
    given = dict(table)
    whole = given.pop("name") if _has_name(domain) else None
    return domain.assembled(field.name, whole, given)


def _swept_part(
    field: Field[Any, Any], domain: Part, table: Mapping[str, Any], path: KeyPath, say: Problem
) -> dict[str, list[Any]]:
    """Return the values of the fields of a part, as `_choices` does."""
    if not _is_named(field, domain, table, path, say):
        return {}
    lists = {name: value if isinstance(value, list) else [value] for name, value in table.items()}
    for name, items in lists.items():
        if not items:
            say(f"{where((*path, name))} is an empty list, so the sweep has no networks")
    lines: dict[str, None] = {}
    for combination in product(*lists.values()):
        try:
            _part(field, domain, dict(zip(lists, combination, strict=True)))
        except (TypeError, ValueError) as error:
            lines[placed(path, error)] = None
    for line in lines:
        say(line)
    names = {field.name: lists.pop("name")} if _has_name(domain) else {}
    return names | {f"{field.name}__{name}": items for name, items in lists.items()}


def _combined(
    kind: type[Network], choices: Mapping[str, list[Any]], path: KeyPath, say: Problem
) -> Iterator[Network]:
    """Yield a network for each combination; report each kind of error once."""
    reasons = set()
    for values in product(*choices.values()):
        chosen = dict(zip(choices, values, strict=True))
        try:
            yield from sweep(kind, **chosen)
        except (TypeError, ValueError) as error:
            reason, _, combination = str(error).partition(" (in the combination ")
            if reason not in reasons:
                reasons.add(reason)
                say(f"{placed(path, error)}; {combination.removesuffix(')')}")
