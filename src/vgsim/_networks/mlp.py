"""The multilayer perceptron: its fields, their checks, and the scales of its weights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import KW_ONLY
from functools import cached_property
from itertools import pairwise
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from vgsim._checks import checked_items, plain, value_error
from vgsim._domains import Choice, Domain, NamedDomain, Number, checked_int
from vgsim._networks.activations import Activation
from vgsim._networks.described import described
from vgsim._networks.description import Field, Network
from vgsim._networks.initializers import (
    GAIN,
    STD,
    UNITS,
    Initializer,
    check_bias,
    check_matrix,
    check_weight_std,
)
from vgsim._networks.layers import Layer
from vgsim._networks.mlp_layers import mlp_layers
from vgsim._networks.mlp_operations import mlp_program
from vgsim._networks.operations import Program
from vgsim._networks.techniques import (
    Clip,
    ClipNorm,
    ClipValue,
    Described,
    Highway,
    Residual,
    Variant,
)
from vgsim.typing import ActivationName, InitializerName, NormKind

__all__ = ["MLP", "TEXTBOOK", "Init"]

TEXTBOOK: Literal["textbook"] = "textbook"
Init = Literal["textbook"] | InitializerName | Initializer
NORM_EPS = 1e-5


class _Widths(Domain):
    """One int for all layers, or the widths n_0 … n_D; equal widths become one int."""

    metavar = "N"

    def check(self, argument: str, value: Any, of: str = "") -> int | tuple[int, ...]:
        """Return an int or a tuple."""
        if isinstance(plain(value), int):
            return UNITS.check(argument, value)
        items = checked_items(argument, value, "must be an int or a sequence of depth + 1 ints")
        return tuple(UNITS.check(f"{argument}[{i}]", n) for i, n in enumerate(items))

    def to_json(self, value: Any) -> Any:
        """Return an int or a list."""
        return list(value) if isinstance(value, tuple) else value

    def parse(self, text: str) -> int | tuple[int, ...]:
        """Read ``128`` or ``784,128,10``."""
        if "," in text:
            return tuple(UNITS.parse(part) for part in text.split(","))
        return UNITS.parse(text)

    def text(self, value: Any) -> str:
        """Return the width, or all widths separated by commas."""
        return str(value) if isinstance(value, int) else ",".join(map(str, value))


@described
class MLP(Network):
    """A multilayer perceptron at random initialisation: x_l = φ(W_l x_{l-1} + b_l), l = 1 … depth.

    Parameters
    ----------
    depth : int
        Number D of layers, at least 1.
    width : int or sequence of int
        Units of every layer, or the depth + 1 widths n_0 … n_D, where n_0 is the dimension of the
        input. Equal widths are stored as one int.
    activation : str or Activation, default "tanh"
        φ, applied in every layer, including the last: there is no linear read-out.
    init : str or Initializer, default "textbook"
        The law of the weights; in layer l, fan_in is n_{l-1} and fan_out n_l. "textbook" is the
        initialiser that textbooks use with the activation: "he_normal" for relu, leaky_relu, elu,
        gelu, gelu_tanh, silu, mish, softplus, relu6 and hard_swish, "lecun_normal" for selu,
        "siren" with the activation's omega for sine, "glorot_normal" for all others.
    gain : float, default 1.0
        Factor of the standard deviation of the weights. With ``lecun_normal`` it is σ_w.
    bias_std : float, default 0.0
        Standard deviation σ_b of the normal biases: 0, or from 1e-200 to 1e200. It must be 0 with
        ``torch_default``, whose biases are uniform and not scaled by `gain`.
    norm : {"batch", "layer", "rms"}, optional
        Normalisation of the pre-activations h_l = W_l x_{l-1} + b_l, without affine parameters:
        "batch" by mean and variance over the batch (batch_size must be 2 or more), "layer" by mean
        and variance over the units, "rms" by the root mean square over the units.
    norm_eps : float, default 1e-5
        Added to the variance or the mean square under the square root; from 1e-12 to 1. Only with
        `norm`.
    residual : Residual, optional
        Skip connections.
    highway : Highway, optional
        Gates. Not together with `residual`.
    clip : ClipNorm or ClipValue, optional
        Clipping of every G_l, l = depth − 1 … 0, before it is recorded and propagated.

    Attributes
    ----------
    depth, width, activation, init, gain, bias_std, norm, norm_eps, residual, highway, clip
        As above, in normal form: equal networks compare equal and have the same canonical JSON.
        `init` is the resolved initialiser, never "textbook".

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type or out of range, or would have no effect; the message
        says what is allowed.

    Notes
    -----
    Weights have mean 0, and are independent unless ``init`` is ``orthogonal``. σ_w = gain (with
    ``lecun_normal``) and σ_b = bias_std are the parameters of the mean-field theory of Poole et al.
    2016 and Schoenholz et al. 2017.

    Examples
    --------
    >>> import vgsim
    >>> net = vgsim.MLP(depth=1000, width=128, activation="relu", init="he_normal")
    >>> net
    MLP(depth=1000, width=128, activation='relu', init='he_normal')
    >>> net.weight_stds[0]
    np.float64(0.125)
    >>> vgsim.MLP(2, [784, 32, 10]).widths
    (784, 32, 10)
    >>> vgsim.MLP(1000, 128, norm="layer", residual=vgsim.Residual(2))
    MLP(depth=1000, width=128, init='glorot_normal', norm='layer', residual=Residual(every=2))

    The repr abbreviates more than 8 widths:

    >>> vgsim.MLP(1000, [784, *[32] * 999, 10])
    MLP(depth=1000, width=[784, 32, ..., 10] (1001 widths), init='glorot_normal')
    """

    depth: Field[int, int] = Field(UNITS, metavar="D", help="number of layers")
    width: Field[int | tuple[int, ...], int | Iterable[int]] = Field(
        _Widths(), help="units of every layer, or all widths n_0,n_1,...,n_D"
    )
    _: KW_ONLY
    activation: Field[Activation, ActivationName | Activation] = Field(
        NamedDomain(Activation), default="tanh", help="the activation of every layer"
    )
    init: Field[Initializer, Init] = Field(
        NamedDomain(Initializer, TEXTBOOK),
        default=TEXTBOOK,
        implicit=Initializer("glorot_normal"),
        shown=True,
        help="the law of the weights (default: textbook, the one that textbooks use with the "
        "activation)",
    )
    gain: Field[float, float] = Field(
        GAIN, default=1.0, help="multiplies the standard deviation of the weights (default: 1)"
    )
    bias_std: Field[float, float] = Field(
        STD, default=0.0, help="standard deviation of the biases (default: 0)"
    )
    norm: Field[NormKind | None, NormKind | None] = Field(
        Choice(get_args(NormKind), also=" or None"),
        default=None,
        optional=True,
        help="normalisation of the pre-activations",
    )
    norm_eps: Field[float, float] = Field(
        Number("from 1e-12 to 1", lambda x: 1e-12 <= x <= 1),
        default=NORM_EPS,
        only_with="norm",
        help="added to the variance in a norm (default: 1e-5)",
    )
    residual: Field[Residual | None, Residual | None] = Field(
        Described(Residual),
        default=None,
        optional=True,
        metavar="EVERY",
        help="skip connections around blocks of EVERY layers; parameters may follow, as in "
        "2:style=pre,branch=1/sqrt(blocks)",
    )
    highway: Field[Highway | None, Highway | None] = Field(
        Described(Highway),
        default=None,
        optional=True,
        metavar="GATE_BIAS",
        const=f"{Highway().gate_bias:g}",
        help=f"gates, with this bias ({Highway().gate_bias:g} if none is given)",
    )
    clip: Field[Clip | None, Clip | None] = Field(
        Variant(norm=ClipNorm, value=ClipValue),
        default=None,
        optional=True,
        help="clip the gradient with respect to each layer's output to a norm of at most X; "
        "clip its entries to at most X",
    )

    def __post_init__(self) -> None:
        if vars(self)["init"] == TEXTBOOK:
            self._set(init=self.activation.textbook_init)
        if isinstance(self.width, tuple):
            if len(self.width) != self.depth + 1:
                raise value_error(
                    "width",
                    f"must be an int or the depth + 1 = {self.depth + 1} widths n_0 … n_D, got "
                    f"{len(self.width)} widths",
                )
            if len(set(self.width)) == 1:
                self._set(width=self.width[0])
        self._check_weights()
        self._check_norm()
        self._check_skips()

    def _check_weights(self) -> None:
        check_bias(self.init, self.bias_std)
        if self.init.is_recurrent:
            raise value_error(
                "init",
                f"must not be {self.init.name!r} in an MLP: it is for recurrent networks. The law "
                "of torch.nn.Linear is 'torch_default'",
            )
        if self.init.distribution == "identity":
            raise value_error(
                "init",
                f"must not be {self.init.name!r} in an MLP: it is for recurrent networks. For "
                "identity paths in an MLP use residual=vgsim.Residual()",
            )
        last_gain = self.residual.last_gain if self.residual else 1.0
        for fans in self._fans:
            check_matrix(self.init, *fans)
            check_weight_std(self.init, *fans, self.gain, last_gain)

    def _check_norm(self) -> None:
        if self.norm is None and self.norm_eps != NORM_EPS:
            raise value_error("norm_eps", f"is for a norm, got {self.norm_eps!r} without one")
        if self.norm == "layer" and 1 in self._narrowest:
            raise value_error(
                "norm",
                "'layer' needs a width of at least 2, because it maps a single unit to 0; "
                f"got width 1 in layer {1 + self._narrowest.index(1)}",
            )

    @property
    def _narrowest(self) -> tuple[int, ...]:
        return self.width[1:] if isinstance(self.width, tuple) else (self.width,)

    def _check_skips(self) -> None:
        residual, skips = self.residual, self.residual or self.highway
        if residual and self.highway:
            given = (f"{name} {self._text(name)}" for name in ("residual", "highway"))
            raise value_error(
                "residual",
                f"and highway exclude each other: give one of them, got {' and '.join(given)}",
            )
        if skips and not isinstance(self.width, int):
            name = "residual" if residual else "highway"
            raise value_error(name, f"needs equal widths, one int as width, got {self.width!r}")
        if residual is None:
            return
        if self.depth % residual.every:
            raise value_error(
                "residual",
                f"has blocks of {residual.every} layers: the depth must be a multiple of that, "
                f"got {self.depth}",
            )
        if residual.style == "linear" and residual.every == 1:
            idle = [f"norm {self.norm!r}"] if self.norm else []
            if self.activation.name != "linear":
                idle.append(f"activation {self.activation.name!r}")
            if idle:
                raise value_error(
                    "residual",
                    "of style 'linear' with blocks of one layer uses neither norm nor activation, "
                    f"got {' and '.join(idle)}: use blocks of two layers or more, "
                    "another style, or activation 'linear' without a norm",
                )

    @property
    def _fans(self) -> set[tuple[int, int]]:
        """The distinct pairs (n_{l-1}, n_l)."""
        if isinstance(self.width, tuple):
            return set(pairwise(self.width))
        return {(self.width, self.width)}

    @cached_property
    def program(self) -> Program:
        """The operations of all layers."""
        return mlp_program(self)

    @property
    def layers(self) -> list[Layer | tuple[Layer, ...]]:
        """The same network as a list of layers for `Sequential`, to be edited and extended.

        A layer is a group of `Linear`, `Norm` and activation. A residual block is one `Skip`, in
        the style "post" a group of `Skip` and activation, and a highway layer is one `Gate`.
        ``Sequential(net.widths[0], net.layers, clip=net.clip)`` has the same law, with a place for
        each layer or residual block; its weight gradients include those of the gates.

        Examples
        --------
        >>> import vgsim
        >>> net = vgsim.MLP(20, 64, activation="relu")
        >>> net.layers[0]
        (Linear(init='he_normal'), Activation('relu'))
        >>> vgsim.Sequential(64, [*net.layers, vgsim.Linear(10)]).depth
        21
        """
        return mlp_layers(self)

    @cached_property
    def weight_stds(self) -> NDArray[np.float64]:
        """Standard deviations s_l of the weights, gains included; (depth,), entry l - 1 for W_l."""
        std = {fans: self.gain * self.init.weight_std(*fans) for fans in self._fans}
        stds = self._per_layer(std)
        if self.residual:
            stds[self.residual.every - 1 :: self.residual.every] *= self.residual.last_gain
        stds.flags.writeable = False
        return stds

    @cached_property
    def bias_limits(self) -> NDArray[np.float64]:
        """Limits of ``torch_default``'s uniform biases, zeros otherwise; (depth,)."""
        limits = self._per_layer(
            {fans: self.init.bias_limit(fans[0]) or 0.0 for fans in self._fans}
        )
        limits.flags.writeable = False
        return limits

    def _per_layer(self, by_fans: Mapping[tuple[int, int], float]) -> NDArray[np.float64]:
        if isinstance(self.width, tuple):
            return np.array([by_fans[fans] for fans in pairwise(self.width)])
        return np.full(self.listed_depth(), by_fans[self.width, self.width])

    def section(self, first: int, last: int) -> MLP:
        """Return layers `first` + 1 … `last` as a network.

        Raises
        ------
        TypeError, ValueError
            If not 0 <= first < last <= depth, or `first` or `last` is inside a residual block.

        Examples
        --------
        >>> import vgsim
        >>> vgsim.MLP(3, [5, 4, 3, 2]).section(1, 3)
        MLP(depth=2, width=(4, 3, 2), init='glorot_normal')
        """
        first = checked_int("first", first, 0, self.depth - 1, f"depth - 1 = {self.depth - 1}")
        last = checked_int("last", last, first + 1, self.depth, f"depth = {self.depth}")
        residual, width = self.residual, self.width
        if residual is not None:
            for layer in (first, last):
                if layer % residual.every:
                    raise value_error(
                        "layer", f"{layer} is inside a residual block of {residual.every} layers"
                    )
            residual = residual._with(branch=residual.branch_scale(self.depth))
        if not isinstance(width, int):
            width = width[first : last + 1]
        return self._with(depth=last - first, width=width, residual=residual)
