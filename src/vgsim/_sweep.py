"""sweep(): the product of lists over the fields of a network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import product
from typing import Any

import numpy as np

from vgsim._activations import Activation
from vgsim._cures import ClipNorm, ClipValue, Highway, Residual
from vgsim._initializers import Initializer
from vgsim._network import MLP, RNN, Network

__all__ = ["sweep"]

_PARTS: dict[str, Callable[..., Any]] = {
    "activation": Activation,
    "init": Initializer,
    "residual": Residual,
    "highway": Highway,
}
_CLIPS: dict[str, Callable[..., Any]] = {"max_norm": ClipNorm, "limit": ClipValue}


def sweep(kind: type[MLP] | type[RNN], **fields: Any) -> list[Network]:
    """Return networks of one kind with every combination of the listed values.

    Parameters
    ----------
    kind : vgsim.MLP or vgsim.RNN
    **fields
        The fields of `kind`. A list, a range or an array is swept; anything else, a tuple of widths
        too, is one value. The fields of a part are written with two underscores:
        ``residual__every=[1, 2]``, ``highway__gate_bias=[-1, -2]``, ``clip__max_norm=[1, 10]``, or
        ``activation="leaky_relu", activation__slope=[0.01, 0.1]``.

    Returns
    -------
    list of networks
        In the order of nested loops, the first field outermost.

    Raises
    ------
    TypeError, ValueError
        If a list is empty, a field is unknown, or a combination is no network; the message names
        the combination.

    Examples
    --------
    >>> import vgsim
    >>> networks = vgsim.sweep(vgsim.MLP, width=16, activation=["tanh", "relu"], depth=[10, 30])
    >>> [(network.activation.name, network.depth) for network in networks]
    [('tanh', 10), ('tanh', 30), ('relu', 10), ('relu', 30)]
    >>> len(vgsim.sweep(vgsim.MLP, depth=8, width=16, residual__every=[1, 2, 4]))
    3
    """
    if kind not in (MLP, RNN):
        raise TypeError(f"kind must be vgsim.MLP or vgsim.RNN, got {kind!r}")
    choices = {name: _choices(name, value) for name, value in fields.items()}
    found = []
    for values in product(*choices.values()):
        chosen = dict(zip(choices, values, strict=True))
        try:
            found.append(kind(**_assembled(chosen)))
        except (TypeError, ValueError) as error:
            words = ", ".join(f"{name}={value!r}" for name, value in chosen.items())
            raise type(error)(f"{error} (in the combination {words})") from error
    return found


def _choices(name: str, value: Any) -> list[Any]:
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if not isinstance(value, (list, range)):
        return [value]
    if not value:
        raise ValueError(f"{name} is an empty list: a sweep over nothing has no networks")
    return list(value)


def _assembled(chosen: Mapping[str, Any]) -> dict[str, Any]:
    """Make each part, such as a Residual, of its fields."""
    whole = {name: value for name, value in chosen.items() if "__" not in name}
    parts: dict[str, dict[str, Any]] = {}
    for name, value in chosen.items():
        if "__" in name:
            part, field = name.split("__", 1)
            parts.setdefault(part, {})[field] = value
    for part, fields in parts.items():
        first = next(iter(fields))
        make = _CLIPS.get(first) if part == "clip" else _PARTS.get(part)
        if make is None:
            known = ", ".join([*_PARTS, "clip (max_norm or limit)"])
            raise TypeError(
                f"fields with two underscores are of {known}, got {list(fields)} of {part}"
            )
        named = part in ("activation", "init")
        if part in whole and not (named and isinstance(whole[part], str)):
            raise TypeError(
                f"{part} is given as a whole and by its fields {list(fields)}: give one"
            )
        if named and part not in whole:
            raise TypeError(f"{part}__{first} needs {part}, the name it belongs to")
        whole[part] = make(whole[part], **fields) if named else make(**fields)
    return whole
