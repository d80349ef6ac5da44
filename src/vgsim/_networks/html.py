"""Networks as HTML for notebooks: a table of fields, lists of layers as a tree."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, ClassVar

from vgsim._display import block, code, line, table
from vgsim._networks.repetition import runs

__all__ = ["Displayed", "tree"]

ALWAYS = ("activation",)
MOST_LINES = 40
MOST_WIDTHS = 8
INDENT = "  "


class Displayed:
    """A description of a network that notebooks show: its fields that say something.

    These are the activation, those that the repr shows, and those that are not at their default.
    """

    _fields: ClassVar[Mapping[str, Any]]

    def _repr_html_(self) -> str:
        shown = _telling(self)
        layers = shown.pop("layers", None)
        rows = [(name, _value(self, name)) for name in shown]
        parts = [table((type(self).__name__, ""), rows, words=2)]
        if layers is not None:
            listed = list(islice(tree(layers), MOST_LINES + 1))
            rest = ["…"] if len(listed) > MOST_LINES else []
            parts += [line(f"{len(layers):,} layers:"), code(listed[:MOST_LINES] + rest)]
        return block(*parts)


def _telling(described: Any) -> dict[str, Any]:
    """Return the fields of a description that are not at their default, or are always shown."""
    return {
        name: value
        for name, field in described._fields.items()
        if (value := getattr(described, name)) != field.implicit or field.shown or name in ALWAYS
    }


def _value(described: Any, name: str) -> str:
    """Return a field as the text of a cell: in the words of the command line, or its repr."""
    value = getattr(described, name)
    if value is None or hasattr(value, "_fields"):
        return repr(value)
    if isinstance(value, tuple) and len(value) > MOST_WIDTHS:
        return f"{value[0]}, {value[1]}, …, {value[-1]} ({len(value):,} widths)"
    words: str = described._fields[name].domain.text(value)
    return words


def tree(layers: Any) -> Iterator[str]:
    r"""Yield a list of layers as indented lines, repetitions once and with their number.

    Examples
    --------
    >>> import vgsim
    >>> from vgsim._networks.html import tree
    >>> block = vgsim.Skip([vgsim.Norm("layer"), vgsim.Linear(256), "gelu", vgsim.Linear(64)])
    >>> net = vgsim.Sequential(64, [block, "relu"] * 24 + [vgsim.Linear(10)])
    >>> print("\n".join(tree(net.layers)))
    2 layers × 24
      Skip
        Norm(kind='layer')
        Linear(width=256)
        gelu
        Linear(width=64)
      relu
    Linear(width=10)
    """
    for first, period, times in runs(layers.order):
        items = [layers.distinct[k] for k in layers.order[first : first + period].tolist()]
        if times == 1 or period == 1:
            for head, *inner in map(_lines, items):
                yield head if times == 1 else f"{head} × {times:,}"
                yield from inner
        else:
            yield f"{period} layers × {times:,}"
            for item in items:
                yield from (f"{INDENT}{text}" for text in _lines(item))


def _lines(layer: Any) -> list[str]:
    """Return a layer as a line, and the layers inside as indented lines."""
    if hasattr(layer, "distinct"):
        head, inner = "group", layer
    elif not hasattr(layer, "_fields"):
        named = layer.to_json()
        head, inner = named if isinstance(named, str) else repr(layer), None
    else:
        inner = layer.inner
        head = repr(layer) if inner is None else _head(layer)
    return [head, *(f"{INDENT}{text}" for text in (tree(inner) if inner is not None else ()))]


def _head(block: Any) -> str:
    """Return a block without the layers inside."""
    own = ", ".join(
        f"{name}={value.name if hasattr(value, 'name') else value!r}"
        for name, value in _telling(block).items()
        if name != "layers"
    )
    return f"{type(block).__name__}({own})" if own else type(block).__name__
