"""Blocks of composed networks: layers inside a skip connection or behind a gate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY
from typing import Any

from vgsim._checks import value_error
from vgsim._domains import NamedDomain
from vgsim._networks.described import described
from vgsim._networks.description import Field
from vgsim._networks.elements import LECUN, check_law, weights
from vgsim._networks.initializers import GAIN, Initializer, check_matrix, check_weight_std
from vgsim._networks.layer_lists import LAYERS
from vgsim._networks.layers import Element, Layers, X, inside
from vgsim._networks.operations import Copy, Mix, Operation, Shift, Sum
from vgsim._networks.techniques import BRANCH, GATE_BIAS, SKIP
from vgsim.typing import InitializerName

__all__ = ["Gate", "Skip"]


class Block(Element, abstract=True):
    """An element with a list of layers inside that keeps the width."""

    layers: Any

    @property
    def inner(self) -> Layers:  # type: ignore[override]
        """The list of layers inside."""
        found: Layers = self.layers
        return found

    def check_width(self, n: int) -> None:
        """Refuse n units if the layers do not allow them, or do not keep them."""
        with inside("layers"):
            self.inner.check_width(n)
        out = self.inner.sets_width or n
        if out != n:
            problem = f"must keep the width, {n} units come in and {out} come out: end them with "
            raise value_error("layers", f"{problem}vgsim.Linear({n})")


@described
class Skip(Block):
    """A skip connection around layers: x ← skip · x + branch · f(x), in a `Sequential`.

    Parameters
    ----------
    layers : list
        f, as the layers of a `Sequential`. It must keep the width, and may have skip connections
        inside.
    skip : float, default 1.0
        The factor of x, of either sign; 0 is no skip connection.
    branch : float, default 1.0
        The factor of f(x), of either sign, not 0.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type or out of range.

    References
    ----------
    He, Zhang, Ren and Sun, "Deep residual learning for image recognition", CVPR 2016.

    Examples
    --------
    >>> import vgsim
    >>> block = vgsim.Skip([vgsim.Norm("layer"), vgsim.Linear(256), "gelu", vgsim.Linear(64)])
    >>> net = vgsim.Sequential(64, [block] * 100)
    >>> net.depth
    100
    """

    layers: Field[Layers, Sequence[Any]] = Field(LAYERS)
    _: KW_ONLY
    skip: Field[float, float] = Field(SKIP, default=1.0)
    branch: Field[float, float] = Field(BRANCH, default=1.0)

    def operations(self, n: int, free: int, prefix: str) -> list[Operation]:
        """Return the operations: see `Element`."""
        body = self.inner.operations(n, free + 1, prefix)
        return [Copy(X, free), *body, Sum(X, free, self.skip, self.branch)]


@described
class Gate(Block):
    """A gate between layers and their input: x ← T ∘ f(x) + (1 − T) ∘ x, in a `Sequential`.

    T = σ(W_T x + bias), with σ the logistic function.

    Parameters
    ----------
    layers : list
        f, as the layers of a `Sequential`. It must keep the width.
    bias : float, default -2.0
        The bias of every gate, from -1e6 to 1e6. The lower it is, the nearer the output is to x.
    init : str or Initializer, default "lecun_normal"
        The law of W_T.
    gain : float, default 1.0
        Factor of W_T.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type or out of range.

    References
    ----------
    Srivastava, Greff and Schmidhuber, "Training very deep networks", NeurIPS 2015.

    Examples
    --------
    >>> import vgsim
    >>> vgsim.Sequential(32, [vgsim.Gate([vgsim.Linear(), "tanh"], bias=-3)] * 50).depth
    50
    """

    layers: Field[Layers, Sequence[Any]] = Field(LAYERS)
    _: KW_ONLY
    bias: Field[float, float] = Field(GATE_BIAS, default=-2.0)
    init: Field[Initializer, InitializerName | Initializer] = Field(
        NamedDomain(Initializer), default=LECUN
    )
    gain: Field[float, float] = Field(GAIN, default=1.0)

    def __post_init__(self) -> None:
        check_law(self.init, 0.0, " of Gate")

    def check_width(self, n: int) -> None:
        """Refuse n units if the layers or the matrix of the gate do not allow them."""
        super().check_width(n)
        check_matrix(self.init, n, n)
        check_weight_std(self.init, n, n, self.gain)

    def operations(self, n: int, free: int, prefix: str) -> list[Operation]:
        """Return the operations: see `Element`."""
        gate = weights(self.init, self.gain, (n, n), free + 1, f"{prefix}gate")
        body = self.inner.operations(n, free + 2, prefix)
        return [Copy(X, free), gate, Shift(free + 1, self.bias), *body, Mix(X, free, free + 1)]
