"""Networks that are known by their gradients only, not layer by layer."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import KW_ONLY
from functools import cached_property
from threading import RLock
from typing import Any, ClassVar, NoReturn

import numpy as np
from numpy.typing import NDArray

from vgsim._checks import brief, checked_items, plain, type_error, value_error
from vgsim._domains import Boolean, Domain
from vgsim._networks.described import described
from vgsim._networks.description import Field, Network
from vgsim._networks.functions import Arguments, Function, FunctionDomain, Keywords, Texts
from vgsim._networks.initializers import UNITS

__all__ = ["Measured", "TorchModule", "Undescribed", "alone", "torch_package"]

MOST_LETTERS = 200
_RANDOM = RLock()  # all threads of a process share PyTorch's random numbers


def torch_package() -> Any:
    """Return the package torch; ImportError with the remedy if it is not installed."""
    try:
        import torch
    except ImportError as error:
        problem = "samples of modules need the package torch: pip install torch"
        raise ImportError(problem) from error
    return torch


@contextmanager
def alone() -> Iterator[Any]:
    """Yield the package torch, for one thread of this process at a time.

    PyTorch computes on one thread, since the order of its sums depends on their number. Its random
    numbers and its threads are left as they were.
    """
    torch = torch_package()
    with _RANDOM:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            with torch.random.fork_rng(devices=[]):
                yield torch
        finally:
            torch.set_num_threads(threads)


class Undescribed(Network, abstract=True):
    """A network of which vgsim knows no layers: there are no kernels and no theory for it."""

    flag: ClassVar[str | None] = None

    def _refuse(self) -> NoReturn:
        raise type_error(
            "network",
            "must be described layer by layer, as a vgsim.MLP or vgsim.Sequential is; of "
            f"{self!r} only gradients are known",
        )

    @property
    def init(self) -> Any:
        """Raise a TypeError: the law of the weights is not known."""
        self._refuse()

    @property
    def width(self) -> Any:
        """Raise a TypeError: the widths are not known."""
        self._refuse()

    @property
    def program(self) -> Any:
        """Raise a TypeError: the operations are not known."""
        self._refuse()

    @property
    def resting(self) -> NDArray[np.bool_]:
        """Whether the gradient of each place determines those below it: that is not known."""
        return np.zeros(self.depth + 1, dtype=bool)

    @property
    def widths(self) -> tuple[int, ...]:
        """Raise a TypeError: the widths are not known."""
        self._refuse()

    @property
    def is_uniform(self) -> bool:
        """Whether the depth can be changed: no."""
        return False

    def section(self, first: int, last: int) -> Network:
        """Raise a TypeError: the layers are not known."""
        self._refuse()

    def with_depth(self, depth: int) -> Any:
        """Raise a TypeError: the layers are not known."""
        self._refuse()


class _Label(Domain):
    """A short printable text."""

    def check(self, argument: str, value: Any, of: str = "") -> str:
        """Return `value`."""
        text = plain(value)
        if not isinstance(text, str):
            raise type_error(argument, f"must be a string, got {brief(value)}", of)
        if len(text) > MOST_LETTERS or not text.isprintable():
            problem = f"must be printable, of at most {MOST_LETTERS} letters, got {brief(value)}"
            raise value_error(argument, problem, of)
        return text


@described
class Measured(Undescribed):
    """A network whose gradients were measured elsewhere: see :meth:`Samples.from_norms`.

    Parameters
    ----------
    depth : int
        Number D of layers, at least 1.
    label : str, default ""
        A name for tables.
    sized : bool, default False
        Whether the number of entries of the gradients is known, as the events underflow and
        overflow need it.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type or out of range.

    Examples
    --------
    >>> import vgsim
    >>> vgsim.Measured(18, "ResNet-18")
    Measured(depth=18, label='ResNet-18')
    """

    own_engine: ClassVar[str] = "measured"

    depth: Field[int, int] = Field(UNITS)
    label: Field[str, str] = Field(_Label(), default="")
    _: KW_ONLY
    sized: Field[bool, bool] = Field(Boolean(), default=False)


class _Shape(Domain):
    """The shape of one input, without the batch."""

    def check(self, argument: str, value: Any, of: str = "") -> tuple[int, ...]:
        """Return an int or several as a tuple."""
        if isinstance(plain(value), int):
            return (UNITS.check(argument, value, of),)
        sizes = checked_items(argument, value, "must be an int or a sequence of ints")
        if not sizes:
            raise value_error(argument, "must have at least one dimension, got none", of)
        return tuple(UNITS.check(f"{argument}[{i}]", n) for i, n in enumerate(sizes))

    def to_json(self, value: tuple[int, ...]) -> list[int]:
        """Return a list."""
        return list(value)

    def text(self, value: tuple[int, ...]) -> str:
        """Return the sizes, separated by commas."""
        return ",".join(map(str, value))

    def alternatives(self, argument: str, value: Any) -> list[Any] | None:
        """Return shapes in a list; a list of ints is one shape."""
        nested = isinstance(value, list) and not any(isinstance(plain(n), int) for n in value)
        return list(value) if nested else None


@described
class TorchModule(Undescribed):
    """Any PyTorch module, made by a function; its samples are computed by autograd.

    :func:`simulate` and :func:`collect` call the function for every sample, with PyTorch's random
    numbers seeded for that sample. All threads of a process share these: while samples are computed
    in this process, no other thread may use them. :func:`iter_collect` without an executor computes
    in the background.

    Parameters
    ----------
    make : callable or str
        A function that returns a new ``torch.nn.Module``, or its name "package.module:function".
        The network is identified by the name. Processes and later sessions import the function by
        it, so define it at the top level of a module.
    input_shape : int or sequence of int
        The shape of one input, without the batch. An array of `inputs` in :func:`simulate` has a
        row for each input, with its entries in a row.
    arguments : mapping, optional
        Keyword arguments of `make`: numbers, words, and lists of these.
    places : sequence of str, optional
        The names of the submodules whose outputs are X_1 … X_D, as in ``named_modules``, in the
        order of the forward pass. By default the children of the module. Each must be called once
        in a forward pass.
    draw : callable or str, optional
        A function that is called with the number of inputs and returns them as a tensor, instead of
        independent normal numbers; it may use PyTorch's random numbers.
    depth : int, optional
        The number D of places. By default it is counted, on one module if there are no `places`.

    Attributes
    ----------
    make, input_shape, arguments, places, draw, depth
        As above. `arguments` has the attribute ``values``.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type or out of range, or `make` does not return a module.

    Notes
    -----
    L acts on the output of the module, the first one if it returns several, and G_D is its gradient
    with respect to the output of the last place; that is the output of the module if the last place
    is its last layer. The matrices of place l are the parameters of two dimensions or more inside
    it that require a gradient, which frozen ones do not.

    Examples
    --------
    >>> import vgsim
    >>> vgsim.TorchModule("models:convolutions", (3, 32, 32), arguments={"layers": 20}, depth=20)
    TorchModule(make='models:convolutions', input_shape=(3, 32, 32), arguments={'layers': 20}, \
depth=20)
    """

    own_engine: ClassVar[str] = "torch"

    make: Field[Function, Any] = Field(FunctionDomain())
    input_shape: Field[tuple[int, ...], Any] = Field(_Shape())
    _: KW_ONLY
    arguments: Field[Keywords, Any] = Field(Arguments(), default=Keywords("{}"))
    places: Field[tuple[str, ...] | None, Any] = Field(Texts(), default=None, optional=True)
    draw: Field[Function | None, Any] = Field(FunctionDomain(), default=None, optional=True)
    depth: Field[int, int | None] = Field(UNITS, default=None, optional=True)

    def __post_init__(self) -> None:
        if vars(self)["depth"] is None:
            names = self.places if self.places is not None else self._children
            if not names:
                raise value_error("places", "must be given: the module has no children")
            self._set(depth=len(names))
        elif self.places is not None and len(self.places) != self.depth:
            problem = f"must be the number of places, {len(self.places)}, got {self.depth}"
            raise value_error("depth", problem)

    @classmethod
    def _length(cls) -> str:
        """Return the name of the number of places."""
        return "depth"

    @property
    def width(self) -> int:
        """The number n_0 of entries of one input."""
        return math.prod(self.input_shape)

    def width_at(self, place: int) -> int:
        """Return n_0; the widths of other places are not known."""
        return self.width if place == 0 else self._refuse()

    @cached_property
    def _children(self) -> tuple[str, ...]:
        """The names of the children of one module."""
        with alone():
            return tuple(name for name, _ in self.module().named_children())

    def module(self) -> Any:
        """Return a new module."""
        made = self.make(**self.arguments.values)
        if not isinstance(made, torch_package().nn.Module):
            raise type_error("make", f"must return a torch.nn.Module, got {brief(made)}")
        return made

    @property
    def labels(self) -> dict[str, Any]:
        """The kind, the depth and all fields as one flat dict; shapes and names are short texts."""
        labels = super().labels
        optional = {name: labels[name] for name in ("places", "draw") if labels[name] is not None}
        texts = {name: self._text(name) for name in ("make", "input_shape", *optional)}
        own = {f"arguments__{name}": value for name, value in self.arguments.values.items()}
        labels.pop("arguments")
        return {**labels, **texts, **own}
