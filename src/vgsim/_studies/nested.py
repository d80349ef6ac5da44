"""Columns for the fields inside lists of layers, in printed tables of studies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from vgsim._networks.activations import Activation
from vgsim._networks.layers import Layer, Layers
from vgsim._networks.repetition import runs
from vgsim._studies.columns import Tasked

__all__ = ["nested_columns"]

MOST_COLUMNS = 4
MOST_LAYERS = 256  # of a list, as far as it does not repeat itself


def nested_columns(study: Sequence[Tasked]) -> dict[str, list[Any]] | None:
    """Return the fields inside the lists of layers that differ between networks, as columns.

    The names are those that `sweep` uses. None if few such columns do not tell the lists apart,
    except for lists that differ in the number of repetitions.

    Examples
    --------
    >>> import vgsim
    >>> from vgsim import Result, Study
    >>> from vgsim._studies.nested import nested_columns
    >>> from vgsim._studies.tally import Tally
    >>> from vgsim._studies.task import Task
    >>> networks = vgsim.sweep(
    ...     vgsim.Sequential, width=8, layers=["tanh", vgsim.Linear()], layers__1__gain=[1, 2]
    ... )
    >>> none = Tally.empty([0], [1e-6])
    >>> nested_columns(Study([Result(Task(network), none, ()) for network in networks]))
    {'layers__1__gain': [1.0, 2.0]}
    """
    every = [getattr(result.network, "layers", None) for result in study]
    lists = [layers if isinstance(layers, Layers) else None for layers in every]
    given = [layers for layers in lists if layers is not None]
    if len(set(given)) < 2:
        return None
    for firsts in _without_repetitions(given):
        fields = {layers: dict(_fields("layers", first)) for layers, first in firsts.items()}
        names = dict.fromkeys(name for own in fields.values() for name in own)
        apart = [name for name in names if len({own.get(name) for own in fields.values()}) > 1]
        told = {tuple(own.get(name) for name in apart) for own in fields.values()}
        if len(apart) <= MOST_COLUMNS and len(told) == len(set(firsts.values())):
            return {
                name: [None if layers is None else fields[layers].get(name) for layers in lists]
                for name in apart
            }
    return None


def _without_repetitions(given: Sequence[Layers]) -> Iterator[dict[Layers, Layers]]:
    """Yield the layers of each list once, where lists that are then equal differ in depth only.

    They are the beginning of lists of one period, or the parts of lists such as the layers of an
    `MLP` and a last `Linear`, of which one part is repeated; these are then equally many.
    """
    period = max(layers.period for layers in given)
    if period <= MOST_LAYERS and all(period % layers.period == 0 for layers in given):
        yield {layers: layers[: min(period, len(layers))] for layers in given}
    found: dict[Layers, Layers] = {}
    for layers in given:
        parts = list(runs(layers.order))
        if sum(run.times > 1 for run in parts) > 1:
            return
        pieces = [layers[run.first : run.first + run.period] for run in parts]
        found[layers] = sum(pieces[1:], pieces[0])
        if len(found[layers]) > MOST_LAYERS:
            return
    if len(set(map(len, found.values()))) == 1:
        yield found


def _fields(path: str, layers: Layers) -> Iterator[tuple[str, Any]]:
    """Yield the kinds of layers and their fields by name; values are numbers and words."""
    for i, layer in enumerate(layers):
        yield from _of_layer(f"{path}__{i}", layer)


def _of_layer(path: str, layer: Layer) -> Iterator[tuple[str, Any]]:
    if isinstance(layer, Layers):
        yield from _fields(path, layer)
        return
    if isinstance(layer, Activation):
        yield path, layer.name
        yield from ((f"{path}__{name}", value) for name, value in layer.parameters.items())
        return
    yield path, type(layer).__name__
    for name, field in layer._fields.items():
        value = getattr(layer, name)
        if isinstance(value, Layers):
            yield from _fields(f"{path}__{name}", value)
        else:
            yield from ((f"{path}__{key}", part) for key, part in field.labels(value).items())
