"""Techniques against vanishing and exploding gradients: skip connections, gates and clipping."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import KW_ONLY
from typing import Any, ClassVar, Literal, get_args

from vgsim._checks import COUNTERS, brief, plain, type_error, value_error
from vgsim._domains import Choice, Domain, Integer, Number, Part, split_parameters
from vgsim._networks.described import described
from vgsim._networks.description import Description, Field
from vgsim.typing import ResidualStyle

__all__ = [
    "BRANCH",
    "GATE_BIAS",
    "SKIP",
    "Clip",
    "ClipNorm",
    "ClipValue",
    "Described",
    "Highway",
    "Residual",
    "Variant",
]

PerBlock = Literal["1/sqrt(blocks)"]
PER_BLOCK: PerBlock = "1/sqrt(blocks)"
_DEPTH = Integer(1, COUNTERS - 1)
_POSITIVE = Number("from 1e-100 to 1e+100", lambda x: 1e-100 <= x <= 1e100)
SKIP = Number(
    "0, or of a size from 1e-100 to 1e+100", lambda x: x == 0 or 1e-100 <= abs(x) <= 1e100
)
GATE_BIAS = Number("a number from -1e6 to 1e6", lambda x: abs(x) <= 1e6)
BRANCH = Number("of a size from 1e-100 to 1e+100", lambda x: 1e-100 <= abs(x) <= 1e100)


class _Branch(Domain):
    """A number, or the string "1/sqrt(blocks)"."""

    number = Number(
        f"a number of a size from 1e-100 to 1e+100, or {PER_BLOCK!r}",
        BRANCH.accepts,
    )

    def check(self, argument: str, value: Any, of: str = "") -> float | str:
        """Return a float, or "1/sqrt(blocks)"."""
        word = plain(value)
        if not isinstance(word, str):
            return self.number.check(argument, value, of)
        if word != PER_BLOCK:
            raise value_error(argument, f"must be {self.number.allowed}, got {brief(value)}", of)
        return word


@described
class Residual(Description):
    r"""Skip connections around blocks of layers: X = s x + c f(x), with x the input of a block.

    All widths of the network must be equal, and its depth a multiple of `every`.

    Parameters
    ----------
    every : int, default 1
        Number of layers in a block.
    skip : float, default 1.0
        s, the factor of x, of either sign; 0 is no skip connection.
    branch : float or "1/sqrt(blocks)", default 1.0
        c, the factor of the branch, of either sign, not 0. "1/sqrt(blocks)" is 1/√(depth/every).
    style : {"activated", "linear", "post", "pre"}, default "activated"
        The output X of the last layer of a block, with pre-activation H. "activated":
        X = s x + c φ(norm(H)). "linear": X = s x + c H, without norm and activation after H.
        "post": X = φ(s x + c norm(H)), as in He et al. 2016a. In these styles the other layers of
        the block are plain layers. "pre": every layer is H = W φ(norm(x)) + b, and X = s x + c H,
        as in He et al. 2016b.
    last_gain : float, default 1.0
        Factor of the weights of the last layer of each block.

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

    every: Field[int, int] = Field(_DEPTH, default=1)
    _: KW_ONLY
    skip: Field[float, float] = Field(SKIP, default=1.0)
    branch: Field[float | PerBlock, float | PerBlock] = Field(_Branch(), default=1.0)
    style: Field[ResidualStyle, ResidualStyle] = Field(
        Choice(get_args(ResidualStyle)), default="activated"
    )
    last_gain: Field[float, float] = Field(_POSITIVE, default=1.0)

    def branch_scale(self, depth: int) -> float:
        """Return c, the factor of the branch, in a network of `depth` layers.

        Examples
        --------
        >>> import vgsim
        >>> vgsim.Residual(branch=-0.5).branch_scale(100)
        -0.5
        """
        depth = _DEPTH.check("depth", depth)
        if isinstance(self.branch, str):
            return 1.0 / math.sqrt(depth / self.every)
        return self.branch


@described
class Highway(Description):
    """Gates between a layer and its input: X_l = T ∘ Y_l + (1 − T) ∘ X_{l-1}, Y_l = φ(norm(H_l)).

    T = σ(W_T X_{l-1} + gate_bias), with σ the logistic function and W_T drawn by the same law as
    W_l. All widths of the network must be equal.

    Parameters
    ----------
    gate_bias : float, default -2.0
        The bias of every gate, from -1e6 to 1e6. The lower it is, the nearer X_l is to X_{l-1}.

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
    MLP(depth=50, width=32, init='glorot_normal', highway=Highway(gate_bias=-3.0))
    """

    gate_bias: Field[float, float] = Field(GATE_BIAS, default=-2.0)


@described
class ClipNorm(Description):
    """Clipping of the gradient by its norm: G_l is multiplied by min(1, max_norm/‖G_l‖).

    It acts on each G_l, l = depth − 1 … 0, before G_l is recorded and propagated. The norm runs
    over all units and all examples.

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
    MLP(depth=50, width=32, init='glorot_normal', gain=2.0, clip=ClipNorm(max_norm=1.0))
    """

    by: ClassVar[str] = "norm"

    max_norm: Field[float, float] = Field(_POSITIVE)

    @property
    def bound(self) -> float:
        """The largest norm."""
        return self.max_norm


@described
class ClipValue(Description):
    """Clipping of the gradient by value: every entry of G_l is clipped to [−limit, limit].

    It acts on each G_l, l = depth − 1 … 0, before G_l is recorded and propagated.

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
    MLP(depth=50, width=32, init='glorot_normal', gain=2.0, clip=ClipValue(limit=0.5))
    """

    by: ClassVar[str] = "value"

    limit: Field[float, float] = Field(_POSITIVE)

    @property
    def bound(self) -> float:
        """The largest absolute value of an entry."""
        return self.limit


Clip = ClipNorm | ClipValue


class Described(Part):
    """A part of a network, such as `Residual`, that has fields of its own."""

    def __init__(self, kind: type[Description]) -> None:
        self.kind = kind
        self.fields = tuple(kind._fields)

    @property
    def allowed(self) -> str:
        """The allowed values, for messages."""
        return f"a vgsim.{self.kind.__name__} or None"

    @property
    def kinds(self) -> tuple[type[Description], ...]:
        """The allowed classes."""
        return (self.kind,)

    def check(self, argument: str, value: Any, of: str = "") -> Any:
        """Return the part."""
        if not isinstance(value, self.kinds):
            raise type_error(argument, f"must be {self.allowed}, got {brief(value)}", of)
        return value

    def to_json(self, value: Any) -> Any:
        """Return the kind and fields of the part, or None."""
        return None if value is None else value.to_dict()

    def from_json(self, value: Any) -> Any:
        """Build the part from its kind and fields."""
        return None if value is None else self.kind.from_dict(value)

    def parse(self, text: str) -> Any:
        """Read the first field and the others, as in ``2:style=pre,skip=0.5``."""
        first, *others = self.kind._fields.values()
        word, given = split_parameters(text, "2:style=pre,skip=0.5")
        known = [field.name for field in others]
        for key in given:
            if key not in known:
                raise ValueError(f"its parameters are {', '.join(known)}, got {key!r}")
        return self.kind(**{first.name: first.domain.parse(word), **given})

    def text(self, value: Any) -> str:
        """Return the part as a word of the command line."""
        (_, first), *others = value._values().items()
        changed = value.to_dict()
        rest = ",".join(f"{name}={part}" for name, part in others if name in changed)
        return f"{first}:{rest}" if rest else str(first)

    def assembled(self, argument: str, whole: Any, parts: Mapping[str, Any]) -> Any:
        """Build the part from its fields."""
        return self.of(argument, parts)

    def of(self, argument: str, parts: Mapping[str, Any]) -> Any:
        """Build the part from its fields."""
        for name in parts:
            if name not in self.fields:
                raise type_error(argument, f"has the fields {', '.join(self.fields)}, got {name!r}")
        return self.kind(**parts)


class Variant(Described):
    """A part of one of several kinds with one field each; each kind has its own option."""

    def __init__(self, **kinds: type[Description]) -> None:
        self.by_suffix = kinds
        self.fields = tuple(next(iter(kind._fields)) for kind in kinds.values())

    @property
    def kinds(self) -> tuple[type[Description], ...]:
        """The allowed classes."""
        return tuple(self.by_suffix.values())

    @property
    def allowed(self) -> str:
        """The allowed values, for messages."""
        return ", ".join(f"a vgsim.{kind.__name__}" for kind in self.kinds) + " or None"

    def from_json(self, value: Any) -> Any:
        """Build the part from its kind and fields."""
        kinds = {kind.__name__: kind for kind in self.kinds}
        name = value.get("kind") if isinstance(value, Mapping) else None
        known = kinds.get(str(name), self.kinds[0])
        return None if value is None else known.from_dict(value)

    def text(self, value: Any) -> str:
        """Return the value of the only field of the part."""
        return str(value.bound)

    def of(self, argument: str, parts: Mapping[str, Any]) -> Any:
        """Build the part from its only field."""
        names = dict(zip(self.fields, self.kinds, strict=True))
        if len(parts) != 1 or next(iter(parts)) not in names:
            raise type_error(argument, f"needs one of {' and '.join(names)}, got {list(parts)}")
        return names[next(iter(parts))](**parts)
