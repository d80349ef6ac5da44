"""Lists of layers: distinct layers and an order, so that long lists of equal blocks stay small."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, overload

import numpy as np
from numpy.typing import NDArray

from vgsim._checks import brief, plain, require_memory, value_error
from vgsim._networks.activations import Activation
from vgsim._networks.description import LISTED_BYTES, Description
from vgsim._networks.operations import Activate, Operation
from vgsim._networks.repetition import first_places, period_of, runs

if TYPE_CHECKING:
    from typing import TypeAlias

__all__ = ["Element", "Layer", "Layers", "check_layer", "inside", "joined", "operations_of"]

X = 0  # the register that holds X_{l-1} at the start of a place and X_l at its end
SHOWN_LAYERS = 8  # in a repr, of a list that does not repeat itself
SHOWN_RUNS = 5


class Element(Description):
    """A layer or block in the list of a `Sequential`, with fields of its own.

    Attributes
    ----------
    sets_width : int
        The number of units that come out, or 0 if it is the number that comes in.
    inner : Layers or None
        The list of layers inside.
    mixes_examples, mixes_tokens : bool
        Whether the columns of a batch, or of a sequence, act on each other, apart from `inner`.
    """

    kinds: ClassVar[dict[str, Any]] = {}
    sets_width: int = 0
    inner: Layers | None = None
    mixes_examples: bool = False
    mixes_tokens: bool = False

    def __init_subclass__(cls, abstract: bool = False) -> None:
        super().__init_subclass__()
        if not abstract:
            Element.kinds[cls.__name__] = cls

    def check_width(self, n: int) -> None:
        """Raise a ValueError that names a field if n units must not come in."""

    def operations(self, n: int, free: int, prefix: str) -> list[Operation]:
        """Return the operations on register 0.

        Parameters
        ----------
        n : int
            Number of units that come in.
        free : int
            The first register that is not in use.
        prefix : str
            The beginning of the names of parameters.
        """
        raise NotImplementedError


class Layers(Sequence[Any]):
    """An immutable list of layers, as `Sequential`, `Skip` and `Gate` hold it.

    Activations are instances of `Activation`; a list inside the list is another `Layers`. Slices,
    sums and products are such lists too. It equals a list or tuple of the same layers.

    Attributes
    ----------
    distinct : tuple
        The distinct layers, in the order in which they first occur.
    order : ndarray of int, (len,)
        The index in `distinct` of each layer.

    Examples
    --------
    >>> import vgsim
    >>> layers = vgsim.Sequential(8, [vgsim.Linear(), "tanh"] * 1000).layers
    >>> len(layers), layers[-1]
    (2000, Activation('tanh'))
    >>> layers
    [Linear(), 'tanh'] * 1000
    >>> layers[:2] == [vgsim.Linear(), "tanh"]
    True
    """

    __slots__ = ("__dict__", "distinct", "order")

    def __init__(self, distinct: Iterable[Layer], order: NDArray[np.int64]) -> None:
        """Take distinct layers and an order in which all occur, the first ones first."""
        self.distinct: tuple[Layer, ...] = tuple(distinct)
        self.order: NDArray[np.int64] = order
        order.flags.writeable = False

    @classmethod
    def of(cls, listed: Sequence[Any], layer_of: Callable[[int, Any], Layer]) -> Layers:
        """Build from any items; `layer_of(i, item)` is called once for each object in the list."""
        numbers: dict[int, int] = {}
        found: dict[Layer, int] = {}
        firsts = dict(zip(map(id, reversed(listed)), range(len(listed) - 1, -1, -1), strict=True))
        for at in sorted(firsts.values()):
            numbers[id(listed[at])] = found.setdefault(layer_of(at, listed[at]), len(found))
        order = np.fromiter(map(numbers.__getitem__, map(id, listed)), np.int64, len(listed))
        return cls(found, order)

    def _reordered(self, order: NDArray[np.int64], more: tuple[Layer, ...] = ()) -> Layers:
        """Return layers in another order; it may leave out some, and use those in `more`."""
        every = (*self.distinct, *more)
        _, first = np.unique(order, return_index=True)
        numbers: dict[Layer, int] = {}
        table = np.zeros(len(every), dtype=np.int64)
        for k in order[np.sort(first)].tolist():
            table[k] = numbers.setdefault(every[k], len(numbers))
        return Layers(numbers, table[order])

    def __len__(self) -> int:
        return len(self.order)

    def __iter__(self) -> Iterator[Layer]:
        return map(self.distinct.__getitem__, self.order.tolist())

    @overload
    def __getitem__(self, index: int) -> Layer: ...
    @overload
    def __getitem__(self, index: slice) -> Layers: ...
    def __getitem__(self, index: int | slice) -> Layer | Layers:
        if isinstance(index, slice):
            return self._reordered(self.order[index])
        number = int(self.order[operator.index(index)])
        return self.distinct[number]

    def __add__(self, other: Any) -> Layers:
        if isinstance(other, (list, tuple)):
            other = joined(other)
        if not isinstance(other, Layers):
            return NotImplemented
        order = np.concatenate([self.order, other.order + len(self.distinct)])
        return self._reordered(order, other.distinct)

    def __radd__(self, other: Any) -> Layers:
        return joined(other) + self if isinstance(other, (list, tuple)) else NotImplemented

    def __mul__(self, times: int) -> Layers:
        times = max(operator.index(times), 0)
        require_memory(LISTED_BYTES * times * len(self), "the list of layers", "repeat it less")
        return Layers(self.distinct if times else (), np.tile(self.order, times))

    __rmul__ = __mul__

    def __eq__(self, other: object) -> bool:
        if isinstance(other, (list, tuple)):
            try:
                other = joined(other)
            except (TypeError, ValueError):
                return False
        if not isinstance(other, Layers):
            return NotImplemented
        return self.distinct == other.distinct and np.array_equal(self.order, other.order)

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash((self.distinct, self.order.tobytes()))

    def __reduce__(self) -> Any:
        return Layers, (self.distinct, self.order)

    @cached_property
    def period(self) -> int:
        """The smallest number of layers of which the list is a repetition."""
        return period_of(self.order)

    @cached_property
    def size(self) -> int:
        """Number of layers, with those inside."""
        sizes = np.array([_size(layer) for layer in self.distinct], dtype=np.float64)
        return int(np.bincount(self.order, minlength=len(sizes)) @ sizes) if len(self) else 0

    @cached_property
    def nesting(self) -> int:
        """Largest number of lists around a layer inside this list."""
        return 1 + max((_nesting(layer) for layer in self.distinct), default=0)

    @cached_property
    def parts(self) -> tuple[Layer, ...]:
        """All distinct layers, with those inside."""
        found: dict[Layer, None] = {}
        for layer in self.distinct:
            inner = _inner(layer)
            found |= dict.fromkeys((layer, *(inner.parts if inner is not None else ())))
        return tuple(found)

    @property
    def sets_width(self) -> int:
        """The number of units that come out, or 0 if it is the number that comes in."""
        return int(self.widths(0)[-1])

    def widths(self, n: int) -> NDArray[np.int64]:
        """Return the units before the first and after each layer, if n come in; (len + 1,)."""
        own = np.array([_sets_width(layer) for layer in self.distinct], dtype=np.int64)
        units = np.concatenate([[n], own[self.order]])
        last = np.maximum.accumulate(np.where(units > 0, np.arange(len(units)), 0))
        return np.asarray(units[last])

    def cases(self, n: int) -> tuple[list[tuple[int, Layer, int]], NDArray[np.int64]]:
        """Return the distinct pairs of a layer and the width that comes in.

        Returns
        -------
        cases : list of tuple
            The index at which the case first occurs, the layer and the width, in order.
        order : ndarray of int, (len,)
            The case of each layer.
        """
        widths = self.widths(n)
        starts, order = first_places(self.order << 32 | widths[:-1])
        layers = map(self.distinct.__getitem__, self.order[starts].tolist())
        cases = list(zip(starts.tolist(), layers, widths[starts].tolist(), strict=True))
        return cases, order

    def check_width(self, n: int) -> None:
        """Raise a ValueError that names the layer and field if n units must not come in."""
        for at, layer, width in self.cases(n)[0]:
            check_layer(at, layer, width)

    def operations(self, n: int, free: int, prefix: str) -> list[Operation]:
        """Return the operations of all layers: see `Element`."""
        widths = self.widths(n).tolist()
        return [
            operation
            for i, layer in enumerate(self)
            for operation in operations_of(layer, widths[i], free, f"{prefix}{i}.")
        ]

    def to_json(self) -> list[Any]:
        """Return the layers as JSON types, with ``{"repeat": N, "layers": [...]}`` for repetitions.

        Examples
        --------
        >>> import vgsim
        >>> vgsim.Sequential(8, ["relu", vgsim.Linear()] * 3).layers.to_json()
        [{'repeat': 3, 'layers': ['relu', {'kind': 'Linear'}]}]
        """
        own = [_json(layer) for layer in self.distinct]
        found: list[Any] = []
        for first, period, count in runs(self.order):
            items = [own[k] for k in self.order[first : first + period].tolist()]
            found += items if count == 1 else [{"repeat": count, "layers": items}]
        return found

    def __repr__(self) -> str:
        shown: list[tuple[list[Layer], int]] = []
        rest = ""
        for first, period, count in runs(self.order):
            single = count == 1 and bool(shown) and shown[-1][1] == 1
            if len(shown[-1][0]) == SHOWN_LAYERS if single else len(shown) == SHOWN_RUNS:
                rest = f" + ... ({len(self)} layers)"
                break
            items = list(self[first : first + period])
            if single:
                shown[-1][0].extend(items)
            else:
                shown.append((items, count))
        texts = [f"{_listed(items)}{f' * {n}' if n > 1 else ''}" for items, n in shown]
        return " + ".join(texts or ["[]"]) + rest


Layer: TypeAlias = Element | Activation | Layers


def joined(listed: Sequence[Any]) -> Layers:
    """Return a list or tuple of checked layers and names of activations as `Layers`."""

    def layer_of(at: int, item: Any) -> Layer:
        if isinstance(item, (list, tuple)):
            return joined(item)
        name = plain(item)
        if isinstance(name, str):
            return Activation._called(name)
        if isinstance(item, (Element, Activation, Layers)):
            return item
        raise TypeError(f"{brief(item)} is not a layer")

    return Layers.of(listed, layer_of)


def _inner(layer: Layer) -> Layers | None:
    if isinstance(layer, Activation):
        return None
    return layer if isinstance(layer, Layers) else layer.inner


def _size(layer: Layer) -> int:
    inner = _inner(layer)
    return 1 if inner is None else 1 + inner.size


def _nesting(layer: Layer) -> int:
    inner = _inner(layer)
    return 0 if inner is None else inner.nesting


def _sets_width(layer: Layer) -> int:
    return 0 if isinstance(layer, Activation) else layer.sets_width


def _json(layer: Layer) -> Any:
    if isinstance(layer, Element):
        return layer.to_dict()
    return layer.to_json()


def _listed(items: list[Layer]) -> str:
    texts = [_text(layer) for layer in items[:SHOWN_LAYERS]]
    return f"[{', '.join(texts + ['...'] * (len(items) > SHOWN_LAYERS))}]"


def _text(layer: Layer) -> str:
    name = layer.to_json() if isinstance(layer, Activation) else None
    return repr(name) if isinstance(name, str) else repr(layer)


def operations_of(layer: Layer, n: int, free: int, prefix: str) -> list[Operation]:
    """Return the operations of a layer: see `Element`."""
    if isinstance(layer, Activation):
        return [Activate(X, layer)]
    return layer.operations(n, free, prefix)


def check_layer(at: int, layer: Layer, n: int) -> None:
    """Check the width n that comes into the layer of index `at`; errors name ``[at].field``."""
    if isinstance(layer, Activation):
        return
    with inside(f"[{at}]"):
        layer.check_width(n)


@contextmanager
def inside(name: str, of: str = "") -> Iterator[None]:
    """Put the name of a layer, or of a list of layers, before what an error names in it."""
    try:
        yield
    except ValueError as error:
        argument, problem = vars(error)["argument"], vars(error)["problem"]
        dot = "" if argument.startswith("[") else "."
        raise value_error(f"{name}{dot}{argument}", problem, of) from None
