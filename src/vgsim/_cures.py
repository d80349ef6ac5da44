"""Cures for vanishing and exploding gradients: skip connections, gates and gradient clipping."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any

from vgsim._description import COUNTERS, Description, checked_int
from vgsim._parameters import Choice, Number

__all__ = ["Clip", "ClipNorm", "ClipValue", "Highway", "Residual", "checked_clip", "clip_from_dict"]

PER_BLOCK = "1/sqrt(blocks)"
_POSITIVE = Number("from 1e-100 to 1e+100", lambda x: 1e-100 <= x <= 1e100)
_SKIP = Number(
    "0, or of a size from 1e-100 to 1e+100", lambda x: x == 0 or 1e-100 <= abs(x) <= 1e100
)
_BRANCH = Number(
    f"a number of a size from 1e-100 to 1e+100, or {PER_BLOCK!r}",
    lambda x: 1e-100 <= abs(x) <= 1e100,
)
_STYLE = Choice(("activated", "linear", "post", "pre"))
_GATE_BIAS = Number("a number from -1e6 to 1e6", lambda x: abs(x) <= 1e6)


@dataclass(frozen=True, repr=False)
class Residual(Description):
    r"""Skip connections around blocks of layers: with x the input of a block, X = s x + c (…).

    All widths of the network must be equal, and its depth a multiple of `every`.

    Parameters
    ----------
    every : int, default 1
        Number of layers in a block. What follows is about the last layer of each; the others, but
        for style "pre", are plain.
    skip : float, default 1.0
        s, which multiplies x; any sign, and 0 is no skip at all.
    branch : float or "1/sqrt(blocks)", default 1.0
        c, which multiplies the branch; any sign, not 0. "1/sqrt(blocks)" is 1/√(depth/every).
    style : {"activated", "linear", "post", "pre"}, default "activated"
        "activated": X = s x + c φ(norm(H)). "linear": X = s x + c H, with neither norm nor
        activation after the last H of the block. "post": X = φ(s x + c norm(H)), as in He et al.
        2016a. "pre": every layer is H = W φ(norm(x)) + b, and X = s x + c H, as in He et al. 2016b.
    last_gain : float, default 1.0
        Multiplies the weights of each block's last layer.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type or out of range.

    References
    ----------
    He, Zhang, Ren and Sun, "Deep residual learning for image recognition", CVPR 2016 (a), and
    "Identity mappings in deep residual networks", ECCV 2016 (b).

    Examples
    --------
    >>> import vgsim
    >>> residual = vgsim.Residual(2, branch="1/sqrt(blocks)", style="pre")
    >>> residual
    Residual(every=2, branch='1/sqrt(blocks)', style='pre')
    >>> residual.branch_scale(depth=50)
    0.2
    >>> vgsim.MLP(50, 128, activation="relu", init="he_normal", residual=residual).depth
    50
    """

    every: int = 1
    _: KW_ONLY
    skip: float = 1.0
    branch: float | str = 1.0
    style: str = "activated"
    last_gain: float = 1.0

    def __post_init__(self) -> None:
        branch: float | str = PER_BLOCK
        if not isinstance(self.branch, str):
            branch = _BRANCH.check("branch of Residual", self.branch)
        elif self.branch != PER_BLOCK:
            raise ValueError(f"branch of Residual must be {_BRANCH.allowed}, got {self.branch!r}")
        self._set(
            every=checked_int("every of Residual", self.every, 1, COUNTERS - 1),
            skip=_SKIP.check("skip of Residual", self.skip),
            branch=branch,
            style=_STYLE.check("style of Residual", self.style),
            last_gain=_POSITIVE.check("last_gain of Residual", self.last_gain),
        )

    def branch_scale(self, depth: int) -> float:
        """Return c, what multiplies the branch, in a network of `depth` layers.

        Examples
        --------
        >>> import vgsim
        >>> vgsim.Residual(branch=-0.5).branch_scale(100)
        -0.5
        """
        if isinstance(self.branch, str):
            return 1.0 / math.sqrt(depth / self.every)
        return self.branch


@dataclass(frozen=True, repr=False)
class Highway(Description):
    """Gates between a layer and its input: X_l = T ∘ Y_l + (1 − T) ∘ X_{l-1}, Y_l = φ(norm(H_l)).

    T = σ(W_T X_{l-1} + gate_bias), with σ the logistic function and W_T drawn by the same law as
    W_l. All widths of the network must be equal.

    Parameters
    ----------
    gate_bias : float, default -2.0
        The bias of every gate, from -1e6 to 1e6: the more negative, the more is carried through.

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
    >>> vgsim.MLP(50, 32, highway=vgsim.Highway(-3))
    MLP(depth=50, width=32, highway=Highway(gate_bias=-3.0))
    """

    gate_bias: float = -2.0

    def __post_init__(self) -> None:
        self._set(gate_bias=_GATE_BIAS.check("gate_bias of Highway", self.gate_bias))


@dataclass(frozen=True, repr=False)
class ClipNorm(Description):
    """Clipping of the gradient by its norm: a G_l with ‖G_l‖ > max_norm is scaled down to it.

    It acts on each G_l, l = depth − 1 … 0, as it arrives: before it is recorded or passed on. The
    norm is over all units and all examples.

    Parameters
    ----------
    max_norm : float
        From 1e-100 to 1e100.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type or out of range.

    References
    ----------
    Pascanu, Mikolov and Bengio, "On the difficulty of training recurrent neural networks", ICML
    2013.

    Examples
    --------
    >>> import vgsim
    >>> vgsim.MLP(50, 32, gain=2, clip=vgsim.ClipNorm(1))
    MLP(depth=50, width=32, gain=2.0, clip=ClipNorm(max_norm=1.0))
    """

    max_norm: float

    def __post_init__(self) -> None:
        self._set(max_norm=_POSITIVE.check("max_norm of ClipNorm", self.max_norm))


@dataclass(frozen=True, repr=False)
class ClipValue(Description):
    """Clipping of the gradient by value: every entry of G_l is cut to ±limit.

    It acts on each G_l, l = depth − 1 … 0, as it arrives: before it is recorded or passed on.

    Parameters
    ----------
    limit : float
        From 1e-100 to 1e100.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type or out of range.

    Examples
    --------
    >>> import vgsim
    >>> vgsim.MLP(50, 32, gain=2, clip=vgsim.ClipValue(0.5))
    MLP(depth=50, width=32, gain=2.0, clip=ClipValue(limit=0.5))
    """

    limit: float

    def __post_init__(self) -> None:
        self._set(limit=_POSITIVE.check("limit of ClipValue", self.limit))


Clip = ClipNorm | ClipValue


def checked_clip(value: object) -> Clip | None:
    """Return `value` if it is a clipping or None, or raise a TypeError."""
    if value is None or isinstance(value, (ClipNorm, ClipValue)):
        return value
    raise TypeError(f"clip must be a vgsim.ClipNorm, a vgsim.ClipValue or None, got {value!r}")


def clip_from_dict(values: Mapping[str, Any]) -> Clip:
    """Build the clipping that ``to_dict`` described."""
    kind = values.get("kind") if isinstance(values, Mapping) else None
    return ClipValue.from_dict(values) if kind == "ClipValue" else ClipNorm.from_dict(values)
