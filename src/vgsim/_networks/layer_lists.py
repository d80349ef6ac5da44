"""Lists of layers as values: their checks, JSON and study files, and sweeps of their fields."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any

from vgsim._checks import (
    COUNTERS,
    brief,
    listed,
    meant,
    plain,
    require_memory,
    type_error,
    value_error,
)
from vgsim._domains import Integer, Part
from vgsim._networks.activations import Activation
from vgsim._networks.description import LISTED_BYTES, Network, compact_json
from vgsim._networks.layers import Element, Layer, Layers
from vgsim._networks.sweep import assembled

__all__ = ["LAYERS", "ListOfLayers"]

MOST_NESTED = 32  # lists around a layer
MOST_INSIDE = 100_000  # layers inside a layer
ALLOWED = (
    "vgsim.Linear, Norm, Dropout, Skip, Gate or Attention, names of activations, "
    "vgsim.Activation, or lists of these"
)
MOST_SHOWN = 120  # characters of a label
REPEAT = Integer(1, COUNTERS - 1)


class ListOfLayers(Part):
    """One or more layers; a list in it is a group, which counts as one layer."""

    metavar = "LAYERS"
    wholes = (list, tuple, Layers)

    def check(self, argument: str, value: Any, of: str = "") -> Layers:
        """Return the layers in their normal form."""
        found = value if isinstance(value, Layers) else _checked(argument, value, of, 0)
        if not len(found):
            raise value_error(argument, "must have at least one layer, got an empty list", of)
        return found

    def to_json(self, value: Layers) -> list[Any]:
        """Return the layers as JSON types; repetitions are written once, with their number."""
        return value.to_json()

    def from_json(self, value: Any) -> Any:
        """Return the list of layers that JSON or a study file describes."""
        return self.read("layers", value)

    def read(self, argument: str, value: Any) -> list[Any]:
        """Return the list of layers that JSON describes; errors name `argument` and indices."""
        if isinstance(value, (list, tuple)):
            _check_levels(argument, value)
        return _read(argument, value)

    def text(self, value: Layers) -> str:
        """Return the layers as a text of bounded length; different lists have different texts."""
        text = repr(value)
        if len(text) <= MOST_SHOWN and "..." not in text:
            return text
        digest = hashlib.sha256(compact_json(value.to_json()).encode("ascii")).hexdigest()[:8]
        return f"{text[: MOST_SHOWN - 12]}... {digest}"

    def alternatives(self, argument: str, value: Any) -> list[Any] | None:
        """Return the lists in a list of lists; any other list is one value."""
        several = isinstance(value, list) and all(isinstance(one, (list, Layers)) for one in value)
        return [self.check(argument, one) for one in value] if several else None

    def assembled(self, argument: str, whole: Any, parts: Mapping[str, Any]) -> Layers:
        """Return the list `whole` with other values of fields, as ``{"0__gain": 2}``."""
        if whole is None:
            name = f"{argument}__{next(iter(parts))}"
            raise type_error(name, f"needs {argument}, the list that it changes")
        return _changed(argument, self.check(argument, whole), parts)


LAYERS = ListOfLayers()


def _checked(argument: str, value: Any, of: str, level: int) -> Layers:
    if not isinstance(value, (list, tuple)):
        raise type_error(argument, f"must be a list of layers: {ALLOWED}, got {_found(value)}", of)
    if level > MOST_NESTED:
        raise value_error(argument, f"must not be nested in more than {MOST_NESTED} lists", of)
    items = list(value)

    def layer_of(at: int, item: Any) -> Layer:
        return _layer(f"{argument}[{at}]", item, of, level)

    return Layers.of(items, layer_of)


def _layer(argument: str, item: Any, of: str, level: int) -> Layer:
    name = plain(item)
    found: Layer
    if isinstance(item, (Element, Activation, Layers)):
        found = item
    elif isinstance(name, str):
        return _named(argument, name, {}, of)
    elif isinstance(item, (list, tuple)):
        found = _checked(argument, item, of, level + 1)
    else:
        raise type_error(argument, f"must be a layer: {ALLOWED}, got {_found(item)}", of)
    if isinstance(found, Layers) and not len(found):
        raise value_error(argument, "must have at least one layer, got an empty list", of)
    inner = found if isinstance(found, Layers) else None
    inner = found.inner if isinstance(found, Element) else inner
    if inner is not None and inner.nesting > MOST_NESTED:
        raise value_error(argument, f"must have at most {MOST_NESTED} lists in each other", of)
    if inner is not None and inner.size > MOST_INSIDE:
        problem = f"must have at most {MOST_INSIDE} layers inside, got {inner.size}"
        raise value_error(argument, problem, of)
    return found


def _named(argument: str, name: str, given: Mapping[str, Any], of: str = "") -> Activation:
    """Return an activation; errors name the place in the list."""
    if name in Element.kinds:
        problem = f"must be a layer: {ALLOWED}, got {name!r}; did you mean vgsim.{name}(...)?"
        raise type_error(argument, problem, of)
    choices = Activation._table
    if name not in choices and name not in Activation._aliases:
        near = Activation._hint(name, choices)
        raise value_error(
            argument,
            f"{brief(name)} is the name of no activation{near}; the choices are {listed(choices)}",
            of,
        )
    with _inside(argument):
        return Activation._called(name, **given)


def _found(value: Any) -> str:
    """Return a wrong value as text, with what may have been meant."""
    if isinstance(value, type) and issubclass(value, Element):
        return f"the class vgsim.{value.__name__}; did you mean vgsim.{value.__name__}(...)?"
    if isinstance(value, Network):
        hint = "; did you mean its layers?" if hasattr(value, "layers") else ""
        return f"{brief(value)}{hint}"
    hint = "; did you mean a list with it?" if isinstance(value, (Element, Activation)) else ""
    return f"{brief(value)}{hint}"


@contextmanager
def _inside(path: str, keys: Mapping[str, str] = MappingProxyType({})) -> Iterator[None]:
    """Put the path of a layer before the argument, relative to it, that an error names.

    `keys` are the names in JSON of fields that have another one there.
    """
    try:
        yield
    except (TypeError, ValueError) as error:
        argument, problem = getattr(error, "argument", None), getattr(error, "problem", str(error))
        name = path if argument is None else f"{path}.{keys.get(argument, argument)}"
        made = type_error if isinstance(error, TypeError) else value_error
        raise made(name, problem) from None


# Layers in JSON and in study files


def _read(path: str, value: Any) -> list[Any]:
    """Return the layers that JSON describes as tuples and elements, repetitions written out."""
    if not isinstance(value, (list, tuple)):
        raise type_error(path, f"must be a list of layers, got {brief(value)}")
    return [layer for i, item in enumerate(value) for layer in _read_item(f"{path}[{i}]", item)]


def _check_levels(path: str, value: Any) -> None:
    """Refuse JSON of more levels than `MOST_NESTED` lists and their repetitions have."""
    level: list[Any] = [value]
    for _ in range(4 * MOST_NESTED):
        inner = [x.values() if isinstance(x, Mapping) else x for x in level]
        parts = {id(x): x for xs in inner for x in xs if isinstance(x, (Mapping, list, tuple))}
        level = list(parts.values())
        if not level:
            return
    raise value_error(path, f"must have at most {MOST_NESTED} lists in each other")


def _read_item(path: str, item: Any) -> list[Any]:
    name = plain(item)
    if isinstance(name, str):
        return [_named(path, name, {})]
    if isinstance(item, (list, tuple)):
        return [tuple(_read(path, item))]
    if not isinstance(item, Mapping):
        problem = f"must be the name of an activation, a table or a list, got {brief(item)}"
        raise type_error(path, problem)
    given = dict(item)
    times = REPEAT.check(f"{path}.repeat", given.pop("repeat", 1))
    kind = given.pop("kind", "Activation" if "name" in given else None)
    if kind is None:
        found = _inner(path, given)
    elif plain(kind) in ("group", "Group"):
        found = [tuple(_inner(path, given))]
    elif plain(kind) in ("activation", "Activation"):
        found = [_activation(path, given)]
    else:
        found = [_element(path, kind, given)]
    require_memory(LISTED_BYTES * len(found) * times, f"{path} with repeat {times}", "lower repeat")
    return found * times


def _inner(path: str, given: Mapping[str, Any]) -> list[Any]:
    """Return the layers of a table of a group or of a repetition."""
    if list(given) != ["layers"]:
        known = f"kind, one of {listed(_kinds())}, or repeat and layers"
        raise value_error(path, f"must have the keys {known}, got {brief(sorted(map(str, given)))}")
    return _read(f"{path}.layers", given["layers"])


def _kinds() -> list[str]:
    return [*Element.kinds, "Activation", "Group"]


def _activation(path: str, given: dict[str, Any]) -> Activation:
    name = plain(given.pop("name", None))
    if not isinstance(name, str):
        raise type_error(f"{path}.name", "must be the name of an activation")
    return _named(path, name, {str(key): x for key, x in given.items()})


def _element(path: str, kind: Any, given: dict[str, Any]) -> Element:
    name = plain(kind)
    if not isinstance(name, str) or name not in Element.kinds:
        by_word = {kind.lower(): kind for kind in _kinds()}
        near = by_word.get(meant(name, by_word), "") if isinstance(name, str) else ""
        hint = f"; did you mean {near!r}?" if near else ""
        known = listed(_kinds())
        raise value_error(f"{path}.kind", f"must be one of {known}, got {brief(kind)}{hint}")
    kind_of: type[Element] = Element.kinds[name]
    fields = {field.key: field for field in kind_of._fields.values()}
    for key in given:
        if key not in fields:
            near = meant(str(key), fields)
            hint = f"did you mean {near!r}?" if near else f"the keys are {', '.join(fields)}"
            raise value_error(f"{path}.{key}", f"is unknown, {hint}")
    for key, field in fields.items():
        if field.is_required and key not in given:
            raise value_error(f"{path}.{key}", f"must be given for kind {name!r}")
    with _inside(path, {field.name: key for key, field in fields.items()}):
        return kind_of.from_dict({"kind": name, **given})


# Fields of layers in sweeps


def _changed(argument: str, whole: Layers, parts: Mapping[str, Any]) -> Layers:
    """Return layers with other values of fields, by the index of the layer and the field."""
    layers: list[Any] = list(whole)
    changes: dict[int, dict[str, Any]] = {}
    for name, value in parts.items():
        word, _, field = name.partition("__")
        if not (word.isascii() and word.isdigit() and int(word) < len(layers)):
            allowed = f"must begin with the index of a layer, 0 to {len(layers) - 1}"
            raise value_error(f"{argument}__{name}", f"{allowed}, as in {argument}__0__gain")
        changes.setdefault(int(word), {})[field] = value
    for i, fields in changes.items():
        if "" in fields:
            layers[i] = fields.pop("")
        if fields:
            place = f"{argument}[{i}]"
            layers[i] = _with(place, _layer(place, layers[i], "", 0), fields)
    return LAYERS.check(argument, layers)


def _with(place: str, layer: Layer, fields: Mapping[str, Any]) -> Layer:
    if isinstance(layer, Layers):
        return _changed(place, layer, fields)
    with _inside(place):
        if isinstance(layer, Activation):
            return Activation._called(layer.name, **{**layer.parameters, **fields})
        return layer._with(**assembled(type(layer), fields, layer))
