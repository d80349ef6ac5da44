"""What is simulated: the frozen description of a network, its validation and its canonical JSON."""

from __future__ import annotations

import json
import operator
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vgsim._activations import Activation, as_activation
from vgsim._initializers import Initializer, as_initializer
from vgsim._parameters import Number

__all__ = ["MLP", "network_from_json"]

_COUNTERS = 2**32  # layers and blocks of random numbers are counted in 32 bits
_MIN_STD, _MAX_STD = 1e-200, 1e200
_SHOWN_WIDTHS = 8
_GAIN = Number("a finite number > 0", lambda x: x > 0)
_TANH = Activation("tanh")
_GLOROT_NORMAL = Initializer("glorot_normal")
_BIAS_STD = Number(
    f"0, or from {_MIN_STD} to {_MAX_STD}", lambda x: x == 0 or _MIN_STD <= x <= _MAX_STD
)


@dataclass(frozen=True, init=False, repr=False)
class MLP:
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

    Attributes
    ----------
    depth, width, activation, init, gain, bias_std
        As above, normalised: equal networks compare equal and have the same canonical JSON.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type or out of range; the message says what is allowed.

    Notes
    -----
    Weights are independent and of mean 0. The critical networks of mean-field theory are those of
    Poole et al. 2016 and Schoenholz et al. 2017, with σ_w = gain (``lecun_normal``) and σ_b.

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

    def __init__(
        self,
        depth: int,
        width: int | Iterable[int],
        *,
        activation: str | Activation = "tanh",
        init: str | Initializer = "glorot_normal",
        gain: float = 1.0,
        bias_std: float = 0.0,
    ) -> None:
        depth = _positive_int("depth", depth)
        checked = {
            "depth": depth,
            "width": _checked_width(width, depth),
            "activation": as_activation(activation),
            "init": as_initializer(init),
            "gain": _GAIN.check("gain", gain),
            "bias_std": _BIAS_STD.check("bias_std", bias_std),
        }
        for name, value in checked.items():
            object.__setattr__(self, name, value)
        if self.init.name == "torch_default" and self.bias_std > 0:
            raise ValueError(
                "init 'torch_default' draws its own uniform biases: bias_std must be 0, "
                f"got {self.bias_std!r}; for normal biases use init='lecun_uniform' with "
                "gain=3**-0.5, the same law of weights"
            )
        for fan_in, fan_out in self._fans:
            std = self.gain * self.init.weight_std(fan_in, fan_out)
            if not _MIN_STD <= std <= _MAX_STD:
                raise ValueError(
                    f"gain={self.gain!r} with init={self.init!r} gives weights of standard "
                    f"deviation {std!r}; it must be from {_MIN_STD} to {_MAX_STD}"
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
        """Standard deviations s_l of the weights, gain included; (depth,), entry l - 1 for W_l."""
        std = {fans: self.gain * self.init.weight_std(*fans) for fans in self._fans}
        return self._per_layer(std)

    @cached_property
    def bias_limits(self) -> NDArray[np.float64]:
        """Limits of ``torch_default``'s uniform biases, zeros otherwise; (depth,)."""
        limit = {fans: self.init.bias_limit(fans[0]) or 0.0 for fans in self._fans}
        return self._per_layer(limit)

    def _per_layer(self, by_fans: Mapping[tuple[int, int], float]) -> NDArray[np.float64]:
        if isinstance(self.width, tuple):
            values = np.array([by_fans[fans] for fans in pairwise(self.width)])
        else:
            values = np.full(self.depth, by_fans[self.width, self.width])
        values.flags.writeable = False
        return values

    def to_dict(self) -> dict[str, Any]:
        """Return the fields that are not at their default, as JSON types, with ``"kind": "MLP"``.

        Examples
        --------
        >>> import vgsim
        >>> vgsim.MLP(10, 8, activation="relu", gain=2).to_dict()
        {'kind': 'MLP', 'depth': 10, 'width': 8, 'activation': 'relu', 'gain': 2.0}
        """
        return {"kind": "MLP"} | {name: _to_json(value) for name, value in self._changed().items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> MLP:
        """Build from what :meth:`to_dict` returns; unknown fields are a ValueError."""
        arguments = dict(values)
        kind = arguments.pop("kind", None)
        if kind != "MLP":
            raise ValueError(f"kind of network must be 'MLP', got {kind!r}")
        known = [field.name for field in fields(cls)]
        unknown = sorted(set(arguments) - set(known))
        missing = sorted({"depth", "width"} - set(arguments))
        if unknown or missing:
            raise ValueError(
                f"a network of kind 'MLP' has the fields {known}, of which depth and width are "
                f"required; unknown: {unknown}, missing: {missing}"
            )
        if "activation" in arguments:
            arguments["activation"] = Activation.from_json(arguments["activation"])
        if "init" in arguments:
            arguments["init"] = Initializer.from_json(arguments["init"])
        return cls(**arguments)

    def canonical_json(self) -> str:
        """Return the identity of the network: :meth:`to_dict` as ASCII JSON, sorted, no spaces.

        The key of the random numbers depends on it, so equal networks share their draws and
        different ones are independent under one seed. Fields at their default are left out.

        Examples
        --------
        >>> import vgsim
        >>> vgsim.MLP(depth=10, width=8).canonical_json()
        '{"depth":10,"kind":"MLP","width":8}'
        """
        return json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"), allow_nan=False)

    def _changed(self) -> dict[str, Any]:
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        defaults = {field.name: field.default for field in fields(self)}
        return {name: value for name, value in values.items() if value != defaults[name]}

    def __getstate__(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def __repr__(self) -> str:
        shown = (f"{name}={_shown(value)}" for name, value in self._changed().items())
        return f"MLP({', '.join(shown)})"


def network_from_json(text: str) -> MLP:
    """Build the network whose :meth:`MLP.canonical_json` is `text`.

    Examples
    --------
    >>> from vgsim._network import network_from_json
    >>> network_from_json('{"depth":10,"kind":"MLP","width":8}')
    MLP(depth=10, width=8)
    """
    values = json.loads(text)
    if not isinstance(values, dict):
        raise ValueError(f"a network must be a JSON object, got {text!r}")
    return MLP.from_dict(values)


def _to_json(value: Any) -> Any:
    if isinstance(value, (Activation, Initializer)):
        return value.to_json()
    return list(value) if isinstance(value, tuple) else value


def _shown(value: Any) -> str:
    if isinstance(value, tuple) and len(value) > _SHOWN_WIDTHS:
        return f"[{value[0]}, {value[1]}, ..., {value[-1]}] ({len(value)} widths)"
    json_value = _to_json(value)
    return repr(json_value if isinstance(json_value, str) else value)


def _positive_int(argument: str, value: object) -> int:
    message = f"{argument} must be an int from 1 to {_COUNTERS - 1}, got {value!r}"
    if isinstance(value, (bool, np.bool_)):
        raise TypeError(message)
    try:
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(message) from None
    if not 1 <= number < _COUNTERS:
        raise ValueError(message)
    return number


def _checked_width(width: object, depth: int) -> int | tuple[int, ...]:
    if isinstance(width, Iterable) and not isinstance(width, (str, bytes, Mapping)):
        widths = tuple(_positive_int(f"width[{i}]", n) for i, n in enumerate(width))
        if len(widths) != depth + 1:
            raise ValueError(
                f"width must be an int or the depth + 1 = {depth + 1} widths n_0 … n_D, "
                f"got {len(widths)} of them"
            )
    else:
        if not hasattr(width, "__index__"):
            raise TypeError(
                f"width must be an int or a sequence of depth + 1 = {depth + 1} ints, got {width!r}"
            )
        widths = (_positive_int("width", width),) * 2
    for fan_in, fan_out in set(pairwise(widths)):
        padded = -(-fan_in // 4) * 4
        if fan_out * padded >= _COUNTERS:
            raise ValueError(
                f"a weight matrix must have fewer than 2**32 = {_COUNTERS} entries, with rows "
                f"padded to whole quads, got width {fan_in} before {fan_out}: {fan_out} x {padded}"
            )
    return widths[0] if len(set(widths)) == 1 else widths
