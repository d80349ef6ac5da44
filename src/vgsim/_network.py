"""What is simulated: the frozen description of a network, its validation and its canonical JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from vgsim._activations import Activation, as_activation
from vgsim._cures import Clip, Highway, Residual, checked_clip, clip_from_dict
from vgsim._description import (
    COUNTERS,
    GAIN,
    STD,
    Description,
    check_bias,
    check_matrix,
    check_weight_std,
    checked_int,
)
from vgsim._initializers import Initializer, as_initializer
from vgsim._parameters import Number
from vgsim._recurrent import RNN

__all__ = [
    "MLP",
    "NORMS",
    "RNN",
    "Network",
    "checked_network",
    "network_from_json",
    "weight_layers",
]

NORMS = ("batch", "layer", "rms")
NORM_EPS = 1e-5
_NORM_EPS = Number("from 1e-12 to 1", lambda x: 1e-12 <= x <= 1)
_TANH = Activation("tanh")
_GLOROT_NORMAL = Initializer("glorot_normal")


@dataclass(frozen=True, init=False, repr=False)
class MLP(Description):
    """A multilayer perceptron at random initialisation: x_l = φ(W_l x_{l-1} + b_l), l = 1 … depth.

    Parameters
    ----------
    depth : int
        Number D of layers, at least 1.
    width : int or sequence of int
        Units of every layer, or the depth + 1 widths n_0 … n_D, n_0 that of the input. Equal widths
        are stored as one int.
    activation : str or Activation, default "tanh"
        φ, applied in every layer, the last one too.
    init : str or Initializer, default "glorot_normal"
        The law of the weights. Its fan_in in layer l is n_{l-1}, its fan_out n_l. The default is
        the same whatever the activation: ReLU and its relatives want "he_normal", SELU
        "lecun_normal". (The command ``vgsim run`` chooses by activation.)
    gain : float, default 1.0
        Multiplies the standard deviation of the weights: with ``lecun_normal`` it is σ_w.
    bias_std : float, default 0.0
        Standard deviation σ_b of the normal biases: 0, or from 1e-200 to 1e200, as that of the
        weights. ``torch_default`` has its own, uniform law of biases, which `gain` does not scale;
        bias_std must be 0 there.
    norm : {"batch", "layer", "rms"}, optional
        Normalisation of the pre-activations h_l = W_l x_{l-1} + b_l, without affine parameters:
        "batch" by mean and variance over the batch (which needs a batch_size of 2 or more),
        "layer" by those over the units, "rms" by the root mean square over the units.
    norm_eps : float, default 1e-5
        Added to the variance, or the mean square, under the square root; from 1e-12 to 1. Only with
        a norm.
    residual : Residual, optional
        Skip connections.
    highway : Highway, optional
        Gates. Not together with `residual`.
    clip : ClipNorm or ClipValue, optional
        Clipping of every G_l, l = depth − 1 … 0, as it arrives.

    Attributes
    ----------
    depth, width, activation, init, gain, bias_std, norm, norm_eps, residual, highway, clip
        As above, normalised: equal networks compare equal and have the same canonical JSON.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type or out of range, or if one would have no effect beside
        the others; the message says what is allowed.

    Notes
    -----
    Weights are of mean 0, and independent but for ``orthogonal`` ones. The critical networks of
    mean-field theory are those of Poole et al. 2016 and Schoenholz et al. 2017, with σ_w = gain
    (``lecun_normal``) and σ_b.

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
    MLP(depth=1000, width=128, norm='layer', residual=Residual(every=2))

    The repr abbreviates more than 8 widths:

    >>> vgsim.MLP(1000, [784, *[32] * 999, 10])
    MLP(depth=1000, width=[784, 32, ..., 10] (1001 widths))
    """

    depth: int
    width: int | tuple[int, ...]
    activation: Activation = _TANH
    init: Initializer = _GLOROT_NORMAL
    gain: float = 1.0
    bias_std: float = 0.0
    norm: str | None = None
    norm_eps: float = NORM_EPS
    residual: Residual | None = None
    highway: Highway | None = None
    clip: Clip | None = None

    _read: ClassVar = {
        "activation": Activation.from_json,
        "init": Initializer.from_json,
        "residual": Residual.from_dict,
        "highway": Highway.from_dict,
        "clip": clip_from_dict,
    }

    def __init__(
        self,
        depth: int,
        width: int | Iterable[int],
        *,
        activation: str | Activation = "tanh",
        init: str | Initializer = "glorot_normal",
        gain: float = 1.0,
        bias_std: float = 0.0,
        norm: str | None = None,
        norm_eps: float = NORM_EPS,
        residual: Residual | None = None,
        highway: Highway | None = None,
        clip: Clip | None = None,
    ) -> None:
        depth = checked_int("depth", depth, 1, COUNTERS - 1)
        self._set(
            depth=depth,
            width=_checked_width(width, depth),
            activation=as_activation(activation),
            init=as_initializer(init),
            gain=GAIN.check("gain", gain),
            bias_std=STD.check("bias_std", bias_std),
            norm=_checked_norm(norm),
            norm_eps=_NORM_EPS.check("norm_eps", norm_eps),
            residual=_instance("residual", residual, Residual),
            highway=_instance("highway", highway, Highway),
            clip=checked_clip(clip),
        )
        self._check_weights()
        self._check_norm()
        self._check_skips()

    def _check_weights(self) -> None:
        check_bias(self.init, self.bias_std)
        if self.init.distribution == "identity":
            raise ValueError(
                f"init must not be {self.init.name!r} in an MLP, it is for vgsim.RNN; with "
                "vgsim.Residual the skip connections are the identity"
            )
        last_gain = self.residual.last_gain if self.residual else 1.0
        named = f"gain={self.gain!r}"
        for fans in self._fans:
            check_matrix(self.init, *fans)
            std = self.gain * self.init.weight_std(*fans)
            check_weight_std(named, self.init, std)
            check_weight_std(f"{named} times last_gain={last_gain!r}", self.init, std * last_gain)

    def _check_norm(self) -> None:
        if self.norm is None and self.norm_eps != NORM_EPS:
            raise ValueError(f"norm_eps is for a norm, got norm_eps={self.norm_eps!r} without one")
        if self.norm == "layer" and 1 in (narrow := self.widths[1:]):
            raise ValueError(
                "norm 'layer' makes a layer of a single unit 0: it needs a width of at least 2, "
                f"got width 1 in layer {1 + narrow.index(1)}"
            )

    def _check_skips(self) -> None:
        residual, skips = self.residual, self.residual or self.highway
        if residual and self.highway:
            raise ValueError(
                "residual and highway exclude each other: one of them must be None, "
                f"got {residual!r} and {self.highway!r}"
            )
        if skips and not isinstance(self.width, int):
            name = "residual" if residual else "highway"
            raise ValueError(f"{name} needs equal widths, one int as width, got {self.width!r}")
        if residual is None:
            return
        if self.depth % residual.every:
            raise ValueError(
                f"residual has blocks of every={residual.every} layers: depth must be a multiple "
                f"of it, got {self.depth}"
            )
        if residual.style == "linear" and residual.every == 1:
            idle = [f"norm={self.norm!r}"] if self.norm else []
            if self.activation.name != "linear":
                idle.append(f"activation={self.activation.name!r}")
            if idle:
                raise ValueError(
                    "residual of style 'linear' with every=1 has neither norm nor activation in "
                    f"any layer, got {' and '.join(idle)}: use every=2 or more, another style, or "
                    "activation='linear' without a norm"
                )

    @property
    def widths(self) -> tuple[int, ...]:
        """The depth + 1 widths n_0 … n_D."""
        if isinstance(self.width, tuple):
            return self.width
        return (self.width,) * (self.depth + 1)

    @property
    def _fans(self) -> set[tuple[int, int]]:
        """The distinct pairs (n_{l-1}, n_l)."""
        if isinstance(self.width, tuple):
            return set(pairwise(self.width))
        return {(self.width, self.width)}

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
        return np.full(self.depth, by_fans[self.width, self.width])


Network = MLP | RNN


def network_from_json(text: str) -> Network:
    """Build the network whose ``canonical_json()`` is `text`.

    Examples
    --------
    >>> from vgsim._network import network_from_json
    >>> network_from_json('{"depth":10,"kind":"MLP","width":8}')
    MLP(depth=10, width=8)
    """
    values = json.loads(text)
    if not isinstance(values, dict):
        raise ValueError(f"a network must be a JSON object, got {text!r}")
    kind = values.get("kind")
    if kind not in ("MLP", "RNN"):
        raise ValueError(f"kind of network must be 'MLP' or 'RNN', got {kind!r}")
    return MLP.from_dict(values) if kind == "MLP" else RNN.from_dict(values)


def checked_network(network: object) -> Network:
    """Return `network` if it is one, or raise a TypeError.

    Examples
    --------
    >>> from vgsim._network import checked_network
    >>> checked_network(1000)
    Traceback (most recent call last):
    TypeError: network must be a vgsim.MLP or a vgsim.RNN, got 1000
    """
    if isinstance(network, (MLP, RNN)):
        return network
    raise TypeError(f"network must be a vgsim.MLP or a vgsim.RNN, got {network!r}")


def weight_layers(network: Network, layers: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return those of the recorded layers that have weights: l >= 1, or [1] in an RNN, always.

    Examples
    --------
    >>> import numpy as np
    >>> import vgsim
    >>> from vgsim._network import weight_layers
    >>> weight_layers(vgsim.MLP(10, 8), np.array([10, 0, 5]))
    array([10,  5])
    >>> weight_layers(vgsim.RNN(10, 8), np.array([10, 0, 5]))
    array([1])
    """
    if isinstance(network, RNN):
        return np.ones(1, dtype=np.int64)
    return layers[layers >= 1]


def _checked_norm(norm: object) -> str | None:
    message = f"norm must be one of {', '.join(map(repr, NORMS))} or None, got {norm!r}"
    if norm is not None and not isinstance(norm, str):
        raise TypeError(message)
    if norm is not None and norm not in NORMS:
        raise ValueError(message)
    return norm


def _instance(argument: str, value: object, kind: type) -> object:
    if value is not None and not isinstance(value, kind):
        name = kind.__name__
        raise TypeError(f"{argument} must be a vgsim.{name} or None, got {value!r}")
    return value


def _checked_width(width: object, depth: int) -> int | tuple[int, ...]:
    if isinstance(width, Iterable) and not isinstance(width, (str, bytes, Mapping)):
        widths = tuple(checked_int(f"width[{i}]", n, 1, COUNTERS - 1) for i, n in enumerate(width))
        if len(widths) != depth + 1:
            raise ValueError(
                f"width must be an int or the depth + 1 = {depth + 1} widths n_0 … n_D, "
                f"got {len(widths)} of them"
            )
        return widths[0] if len(set(widths)) == 1 else widths
    if not hasattr(width, "__index__"):
        raise TypeError(
            f"width must be an int or a sequence of depth + 1 = {depth + 1} ints, got {width!r}"
        )
    return checked_int("width", width, 1, COUNTERS - 1)
