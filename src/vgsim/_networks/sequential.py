"""The composed network: a list of layers, blocks and activations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from vgsim._checks import COUNTERS, value_error
from vgsim._domains import Integer, checked_int
from vgsim._networks.described import described
from vgsim._networks.description import Field, Network
from vgsim._networks.elements import Norm
from vgsim._networks.initializers import UNITS, Initializer
from vgsim._networks.layer_lists import LAYERS
from vgsim._networks.layers import Element, Layers, check_layer, inside, operations_of
from vgsim._networks.mlp import MLP
from vgsim._networks.operations import Body, Program, body_of
from vgsim._networks.techniques import Clip

__all__ = ["Sequential"]


@described
class Sequential(Network):
    """A composed network at random initialisation: x_l = f_l(x_{l-1}), l = 1 … depth.

    Parameters
    ----------
    width : int
        The number n_0 of units of the input.
    layers : list
        The layers f_1 … f_depth: `Linear`, `Norm`, `Dropout`, `Attention`, activations by name or
        as `Activation`, the blocks `Skip` and `Gate` with layers inside, or lists of these. A list
        inside the list is a group, which counts as one layer.
    tokens : int, default 1
        Columns per sequence. A batch is batch_size sequences, and norms of X_l and G_l run over all
        batch_size · tokens columns.
    clip : ClipNorm or ClipValue, optional
        Clipping of every G_l, l = depth − 1 … 0, before it is recorded and propagated.

    Attributes
    ----------
    width, layers, tokens, clip
        As above. `layers` is an immutable list, in which activations are instances of `Activation`
        and groups such lists.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type or out of range; the message names the layer by its
        indices, as in ``layers[2].layers[0].width``.

    Notes
    -----
    As in ``torch.nn.Sequential``, the last layer has an activation only if the list ends with one.
    In a long list, such as ``[attention, mlp] * 1000``, every distinct layer is checked once, and
    the canonical JSON contains the repeated layers once, with their number.

    Examples
    --------
    >>> import vgsim
    >>> net = vgsim.Sequential(64, [vgsim.Linear(256, init="he_normal"), "relu", vgsim.Linear(10)])
    >>> net.depth, net.widths
    (3, (64, 256, 256, 10))
    >>> block = vgsim.Skip([vgsim.Norm("rms"), vgsim.Linear(), "tanh"])
    >>> vgsim.Sequential(8, [block] * 24)
    Sequential(width=8, layers=[Skip(layers=[Norm(kind='rms'), Linear(), 'tanh'])] * 24)
    """

    flag: ClassVar[str | None] = None

    width: Field[int, int] = Field(UNITS)
    layers: Field[Layers, Sequence[Any]] = Field(LAYERS)
    _: KW_ONLY
    tokens: Field[int, int] = Field(Integer(1, COUNTERS - 1), default=1)
    clip: Field[Clip | None, Clip | None] = MLP._fields["clip"].again()

    def __post_init__(self) -> None:
        for at, layer, width in self._cases[0]:
            with inside("layers", f" (place {at + 1})"):
                check_layer(at, layer, width)

    @cached_property
    def _cases(self) -> tuple[list[tuple[int, Any, int]], NDArray[np.int64]]:
        return self.layers.cases(self.width)

    @classmethod
    def _length(cls) -> str:
        """Return the name of the number of places."""
        return "depth"

    @property
    def depth(self) -> int:
        """The number D of layers."""
        return len(self.layers)

    @cached_property
    def program(self) -> Program:
        """The operations of all places."""
        cases, order = self._cases
        numbers: dict[Body, int] = {}
        own = [
            numbers.setdefault(body_of(operations_of(layer, n, 1, "")), len(numbers))
            for _, layer, n in cases
        ]
        return Program(
            bodies=tuple(numbers),
            order=np.array(own, dtype=np.int64)[order],
            widths=self.width_array,
            resting=np.ones(self.depth + 1, dtype=bool),
            tokens=self.tokens,
        )

    @cached_property
    def width_array(self) -> NDArray[np.int64]:
        """The depth + 1 widths as an array."""
        widths = self.layers.widths(self.width)
        widths.flags.writeable = False
        return widths

    @property
    def widths(self) -> tuple[int, ...]:
        """The depth + 1 widths n_0 … n_D."""
        return tuple(self.width_array.tolist())

    def width_at(self, place: int) -> int:
        """Return n_place, the number of units after layer `place`; -1 is the last."""
        return int(self.width_array[place])

    def section(self, first: int, last: int) -> Sequential:
        """Return layers `first` + 1 … `last` as a network.

        Raises
        ------
        TypeError, ValueError
            If not 0 <= first < last <= depth.

        Examples
        --------
        >>> import vgsim
        >>> vgsim.Sequential(4, [vgsim.Linear(8), "relu", vgsim.Linear(2)]).section(1, 3)
        Sequential(width=8, layers=['relu', Linear(width=2)])
        """
        first = checked_int("first", first, 0, self.depth - 1, f"depth - 1 = {self.depth - 1}")
        last = checked_int("last", last, first + 1, self.depth, f"depth = {self.depth}")
        return self._with(width=self.width_at(first), layers=self.layers[first:last])

    @property
    def is_uniform(self) -> bool:
        """Whether the layers can be repeated, because the last has as many units as the input."""
        return (self.layers.sets_width or self.width) == self.width

    def with_depth(self, depth: int) -> Sequential:
        """Return the network with its layers repeated more or less often.

        Raises
        ------
        TypeError, ValueError
            If the depth is not a multiple of the number of layers that are repeated, or the widths
            of the input and of the last layer differ.

        Examples
        --------
        >>> import vgsim
        >>> vgsim.Sequential(8, [vgsim.Linear(), "relu"] * 10).with_depth(4)
        Sequential(width=8, layers=[Linear(), 'relu'] * 2)
        """
        period = self.layers.period
        depth = checked_int("depth", depth, 1, COUNTERS - 1)
        if not self.is_uniform:
            raise value_error(
                "depth",
                f"can be changed only if the input and the last layer have the same width, got "
                f"{self.width} and {self.width_at(-1)}",
            )
        if depth % period:
            raise value_error(
                "depth",
                f"must be a multiple of {period}, the number of layers of {self._text('layers')} "
                f"that are repeated, got {depth}",
            )
        return self._with(layers=self.layers[:period] * (depth // period))

    @property
    def has_norm(self) -> bool:
        """Whether a layer normalises units."""
        return any(isinstance(part, Norm) for part in self.layers.parts)

    @property
    def mixes_examples(self) -> bool:
        """Whether a layer normalises over the batch, which then needs two columns or more."""
        return any(isinstance(part, Element) and part.mixes_examples for part in self.layers.parts)

    @property
    def mixes_tokens(self) -> bool:
        """Whether the columns of a sequence act on each other, by attention."""
        return any(isinstance(part, Element) and part.mixes_tokens for part in self.layers.parts)

    @property
    def matrix_free_obstacle(self) -> str | None:
        """Why the matrix-free engine cannot simulate the network; None if it can."""
        for part in self.layers.parts:
            init = getattr(part, "init", None)
            if isinstance(init, Initializer) and init.distribution not in ("normal", "orthogonal"):
                return (
                    f"needs Gaussian or orthogonal weights, and those of {type(part).__name__} "
                    f"with init {init.name!r} are {init.distribution}"
                )
        return None

    def weight_places(self, layers: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the recorded places that have weights."""
        behind = layers[layers >= 1]
        return behind[self.program.matrix_counts[behind - 1] > 0]

    @property
    def labels(self) -> dict[str, Any]:
        """The kind, the depth and all fields as one flat dict; `layers` is a short text."""
        return {**super().labels, "layers": self._text("layers")}
