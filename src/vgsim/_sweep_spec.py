"""A [[sweep]] of a study file: its tables and lists to networks, or all that is wrong with them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from difflib import get_close_matches
from itertools import product
from typing import Any

from vgsim._activations import Activation
from vgsim._cures import ClipNorm, ClipValue, Highway, Residual
from vgsim._initializers import Initializer
from vgsim._network import MLP, RNN, Network
from vgsim._spec import initializer_for
from vgsim._sweep import sweep

__all__ = ["Path", "Problem", "networks_of", "unknown_key"]

Path = tuple[str | int, ...]
Problem = Callable[[Path, str], None]  # called with where and what

KINDS: dict[str, type[MLP] | type[RNN]] = {"MLP": MLP, "RNN": RNN}
NAMED: dict[str, Callable[..., Any]] = {"activation": Activation, "init": Initializer}
CLIPS: dict[str, Callable[..., Any]] = {"max_norm": ClipNorm, "limit": ClipValue}
PARTS = {
    "residual": tuple(field.name for field in fields(Residual)),
    "highway": tuple(field.name for field in fields(Highway)),
    "clip": tuple(CLIPS),
}
NONE, TEXTBOOK = "none", "textbook"
OPTIONAL = ("norm", *PARTS)


def networks_of(values: Mapping[str, Any], path: Path, problem: Problem) -> list[Network]:
    """Return the networks of one sweep, every combination of its lists.

    Parameters
    ----------
    values : mapping
        Of the table, as TOML has it: see docs/studies.md.
    path : tuple
        Where the table is.
    problem : callable
        Called as ``problem(path, message)`` with everything that is wrong.

    Examples
    --------
    >>> from vgsim._sweep_spec import networks_of
    >>> values = {"depth": [10, 30], "width": 8, "residual": {"every": [1, 2]}}
    >>> [net.residual.every for net in networks_of(values, ("sweep", 0), print)]
    [1, 2, 1, 2]
    >>> networks_of({"depth": 0, "widht": 8}, ("sweep", 0), print)
    ('sweep', 0, 'widht') unknown key 'widht', did you mean 'width'?
    ('sweep', 0) a sweep of MLP needs width
    ('sweep', 0, 'depth') depth must be an int from 1 to 4294967295, got 0
    []
    """
    said: list[str] = []

    def say(where: Path, message: str) -> None:
        said.append(message)
        problem(where, message)

    given = dict(values)
    name = given.pop("kind", "MLP")
    if not isinstance(name, str) or name not in KINDS:
        say((*path, "kind"), f"kind must be one of {', '.join(map(repr, KINDS))}, got {name!r}")
        return []
    kind = KINDS[name]
    known = [field.name for field in fields(kind)]
    for key in [key for key in given if key not in known]:
        say((*path, key), unknown_key(key, ["kind", *known]))
        del given[key]
    for key in known[:2]:
        if key not in values:
            say(path, f"a sweep of {name} needs {key}")
    choices: dict[str, list[Any]] = {}
    for key, value in given.items():
        choices |= _choices(kind, key, value, (*path, key), say)
    return [] if said else list(_combined(kind, choices, path, say))


def unknown_key(key: str, known: list[str]) -> str:
    """Say that a key is unknown, and what may be meant.

    Examples
    --------
    >>> from vgsim._sweep_spec import unknown_key
    >>> unknown_key("tresholds", ["seed", "thresholds"])
    "unknown key 'tresholds', did you mean 'thresholds'?"
    >>> unknown_key("color", ["seed", "thresholds"])
    "unknown key 'color', the keys are seed, thresholds"
    """
    near = get_close_matches(key.lower().replace("-", "_"), known, 1, 0.7)
    meant = f"did you mean {near[0]!r}?" if near else f"the keys are {', '.join(known)}"
    return f"unknown key {key!r}, {meant}"


def _choices(
    kind: type[MLP] | type[RNN], key: str, value: Any, path: Path, say: Problem
) -> dict[str, list[Any]]:
    """Return what to sweep over, by the names that `sweep` has for it; say what is wrong."""
    if isinstance(value, Mapping) and (key in PARTS or key in NAMED):
        inner = _swept_part(key, value, path, say)
        return {key: [_part(key, {})]} if key in PARTS and not value else inner
    items = value if isinstance(value, list) else [value]
    if not items:
        say(path, f"{key} is an empty list: a sweep over nothing has no networks")
    return {key: [item for raw in items for item in _checked(kind, key, raw, path, say)]}


def _checked(
    kind: type[MLP] | type[RNN], key: str, raw: Any, path: Path, say: Problem
) -> Iterator[Any]:
    """Yield one value as `sweep` takes it, if it is allowed."""
    try:
        if raw == NONE and key in OPTIONAL:
            yield None
        elif raw == TEXTBOOK and key == "init":
            yield raw
        elif isinstance(raw, Mapping) and (key in PARTS or key in NAMED):
            yield _part(key, raw)
        elif key in PARTS:
            what = f"a table with {' or '.join(PARTS[key])}, or {NONE!r}"
            raise TypeError(f"{key} must be {what}, got {raw!r}")
        else:
            value = tuple(raw) if isinstance(raw, list) else raw
            _try(kind, key, value)
            yield value
    except (TypeError, ValueError) as error:
        say(path, str(error))


def _try(kind: type[MLP] | type[RNN], key: str, value: Any) -> None:
    """Make a network with a value and nothing else that it could be at odds with."""
    length = fields(kind)[0].name
    depth = len(value) - 1 if key == "width" and isinstance(value, tuple) else 1
    network: dict[str, Any] = {length: max(depth, 1), "width": 2, key: value}
    if key == "norm_eps":
        network["norm"] = "layer"
    kind(**network)


def _swept_part(
    key: str, table: Mapping[str, Any], path: Path, say: Problem
) -> dict[str, list[Any]]:
    """Return what to sweep over in a table of a part, whose values may be lists."""
    lists = {name: value if isinstance(value, list) else [value] for name, value in table.items()}
    for name, items in lists.items():
        if not items:
            say((*path, name), f"{name} is an empty list: a sweep over nothing has no networks")
    messages: dict[str, Path] = {}
    if key in NAMED:
        for combination in product(*lists.values()):
            fields = dict(zip(lists, combination, strict=True))
            if error := _error(key, fields):
                messages.setdefault(error, path)
    else:
        for name, items in lists.items():
            for item in items:
                if error := _error(key, {name: item}):
                    messages.setdefault(error, (*path, name))
        if not messages and (error := _error(key, {n: items[0] for n, items in lists.items()})):
            messages[error] = path
    for message, where in messages.items():
        say(where, message)
    names = {key: lists.pop("name")} if key in NAMED and "name" in lists else {}
    return names | {f"{key}__{name}": items for name, items in lists.items()}


def _error(key: str, fields: Mapping[str, Any]) -> str:
    """Return what is wrong with a part of these fields, nothing if it is allowed."""
    try:
        _part(key, fields)
    except (TypeError, ValueError) as error:
        return str(error)
    return ""


def _part(key: str, fields: Mapping[str, Any]) -> Any:
    """Make a part of a network of a table."""
    given = dict(fields)
    if key in NAMED:
        if "name" not in given:
            raise ValueError(f"{key} needs a name, got {given}")
        return NAMED[key](given.pop("name"), **given)
    for name in given:
        if name not in PARTS[key]:
            raise ValueError(unknown_key(name, list(PARTS[key])))
    if key == "clip":
        if len(given) != 1:
            raise ValueError(f"clip needs one of {' and '.join(CLIPS)}, got {list(given)}")
        ((name, value),) = given.items()
        return CLIPS[name](value)
    return (Residual if key == "residual" else Highway)(**given)


def _combined(
    kind: type[MLP] | type[RNN], choices: Mapping[str, list[Any]], path: Path, say: Problem
) -> Iterator[Network]:
    """Yield a network for each combination; say once for each reason which ones are none."""
    reasons = set()
    for values in product(*choices.values()):
        chosen = dict(zip(choices, values, strict=True))
        if chosen.get("init") == TEXTBOOK:
            chosen["init"] = _textbook(kind, chosen.get("activation", "tanh"))
        try:
            yield from sweep(kind, **chosen)
        except (TypeError, ValueError) as error:
            reason, _, combination = str(error).partition(" (in the combination ")
            if reason not in reasons:
                reasons.add(reason)
                say(path, f"{reason}; {combination.removesuffix(')')}")


def _textbook(kind: type[MLP] | type[RNN], activation: str | Activation) -> str:
    """Return the initialiser that ``vgsim run`` takes."""
    if kind is RNN:
        return "orthogonal"
    return initializer_for(activation if isinstance(activation, str) else activation.name)
