"""What the descriptions of networks share: an identity in JSON, and the domains of their fields."""

from __future__ import annotations

import json
import operator
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from typing import Any, ClassVar, TypeVar

import numpy as np

from vgsim._initializers import Initializer
from vgsim._parameters import Number

__all__ = [
    "COUNTERS",
    "GAIN",
    "STD",
    "Description",
    "check_bias",
    "check_matrix",
    "check_weight_std",
    "checked_int",
    "padded",
]

COUNTERS = 2**32  # layers and blocks of random numbers are counted in 32 bits
MIN_STD, MAX_STD = 1e-200, 1e200
SHOWN_WIDTHS = 8

GAIN = Number("a finite number > 0", lambda x: x > 0)
STD = Number(f"0, or from {MIN_STD} to {MAX_STD}", lambda x: x == 0 or MIN_STD <= x <= MAX_STD)

D = TypeVar("D", bound="Description")


class Description:
    """A frozen dataclass, identified by its kind and the fields that are not at their default."""

    _read: ClassVar[Mapping[str, Callable[[Any], Any]]] = {}  # fields that JSON has no type for

    def to_dict(self) -> dict[str, Any]:
        """Return the kind and the fields that are not at their default, as JSON types.

        Examples
        --------
        >>> import vgsim
        >>> vgsim.MLP(10, 8, activation="relu", gain=2).to_dict()
        {'kind': 'MLP', 'depth': 10, 'width': 8, 'activation': 'relu', 'gain': 2.0}
        """
        values = {name: _to_json(value) for name, value in self._changed().items()}
        return {"kind": type(self).__name__, **values}

    @classmethod
    def from_dict(cls: type[D], values: Mapping[str, Any]) -> D:
        """Build from what :meth:`to_dict` returns.

        Raises
        ------
        TypeError, ValueError
            If it is of another kind, or has unknown or unacceptable fields.

        Examples
        --------
        >>> import vgsim
        >>> vgsim.MLP.from_dict({"kind": "MLP", "depth": 10, "width": 8})
        MLP(depth=10, width=8)
        """
        own = cls.__name__
        if not isinstance(values, Mapping):
            raise TypeError(f"{own} must be described by a mapping, got {values!r}")
        arguments = dict(values)
        kind = arguments.pop("kind", None)
        if kind != own:
            raise ValueError(f"kind must be {own!r}, got {kind!r}")
        known = [field.name for field in fields(cls)]  # type: ignore[arg-type]
        required = [f.name for f in fields(cls) if f.default is MISSING]  # type: ignore[arg-type]
        unknown = sorted(set(arguments) - set(known))
        missing = sorted(set(required) - set(arguments))
        if unknown or missing:
            raise ValueError(
                f"a description of kind {own!r} has the fields {known}, of which {required} are "
                f"required; unknown: {unknown}, missing: {missing}"
            )
        for name in cls._read.keys() & arguments.keys():
            arguments[name] = cls._read[name](arguments[name])
        return cls(**arguments)

    def canonical_json(self) -> str:
        """Return the identity: :meth:`to_dict` as ASCII JSON, sorted, no spaces.

        The key of a network's random numbers depends on it, so equal networks share their draws and
        different ones are independent under one seed. Fields at their default are left out.

        Examples
        --------
        >>> import vgsim
        >>> vgsim.MLP(depth=10, width=8).canonical_json()
        '{"depth":10,"kind":"MLP","width":8}'
        """
        return json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"), allow_nan=False)

    def _changed(self) -> dict[str, Any]:
        return {
            field.name: value
            for field in fields(self)  # type: ignore[arg-type]
            if (value := getattr(self, field.name)) != field.default
        }

    def _set(self, **values: Any) -> None:
        """Set checked fields of the frozen dataclass."""
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def __getstate__(self) -> dict[str, Any]:
        return {f.name: getattr(self, f.name) for f in fields(self)}  # type: ignore[arg-type]

    def __repr__(self) -> str:
        shown = (f"{name}={_shown(value)}" for name, value in self._changed().items())
        return f"{type(self).__name__}({', '.join(shown)})"


def _to_json(value: Any) -> Any:
    if isinstance(value, Description):
        return value.to_dict()
    if hasattr(value, "to_json"):
        return value.to_json()
    return list(value) if isinstance(value, tuple) else value


def _shown(value: Any) -> str:
    if isinstance(value, tuple) and len(value) > SHOWN_WIDTHS:
        return f"[{value[0]}, {value[1]}, ..., {value[-1]}] ({len(value)} widths)"
    json_value = _to_json(value)
    return repr(json_value if isinstance(json_value, str) else value)


def checked_int(argument: str, value: object, low: int, high: int, bound: str = "") -> int:
    """Return an int from `low` to `high`, both included; `bound` is how to print `high`.

    Raises
    ------
    TypeError, ValueError
        If it is none.

    Examples
    --------
    >>> from vgsim._description import checked_int
    >>> checked_int("first", 2**56, 0, 2**56 - 1, "2**56 - 1")
    Traceback (most recent call last):
    ValueError: first must be an int from 0 to 2**56 - 1, got 72057594037927936
    """
    message = f"{argument} must be an int from {low} to {bound or high}, got {value!r}"
    if isinstance(value, (bool, np.bool_, np.ndarray)):
        raise TypeError(message)
    try:
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(message) from None
    if not low <= number <= high:
        raise ValueError(message)
    return number


def padded(n: int) -> int:
    """Return how many draws a column of n numbers takes up: a multiple of 4.

    Examples
    --------
    >>> from vgsim._description import padded
    >>> padded(4), padded(5)
    (4, 8)
    """
    return -(-n // 4) * 4


def check_matrix(init: Initializer, fan_in: int, fan_out: int) -> None:
    """Refuse a weight matrix with more entries than its stream has random numbers."""
    if init.distribution == "orthogonal":  # drawn as part of a square one
        fan_in = fan_out = max(fan_in, fan_out)
    if fan_out * padded(fan_in) >= COUNTERS:
        square = " (orthogonal ones are drawn square)" if init.name == "orthogonal" else ""
        raise ValueError(
            f"a weight matrix must have fewer than 2**32 = {COUNTERS} entries, with rows "
            f"padded to whole quads, got width {fan_in} before {fan_out}: "
            f"{fan_out} x {padded(fan_in)}{square}"
        )


def check_weight_std(gain: str, init: Initializer, std: float) -> None:
    """Refuse weights of a standard deviation that arithmetic has no room for."""
    if not MIN_STD <= std <= MAX_STD:
        raise ValueError(
            f"{gain} with init={init!r} gives weights of standard "
            f"deviation {std!r}; it must be from {MIN_STD} to {MAX_STD}"
        )


def check_bias(init: Initializer, bias_std: float) -> None:
    """Refuse normal biases beside the biases of the initialiser itself."""
    if init.name == "torch_default" and bias_std > 0:
        raise ValueError(
            "init 'torch_default' draws its own uniform biases: bias_std must be 0, "
            f"got {bias_std!r}; for normal biases use init='lecun_uniform' with "
            "gain=3**-0.5, the same law of weights"
        )
