"""sweep(): all combinations of listed values of the fields of a network."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Any, TypeVar

from vgsim._checks import brief, either, type_error, value_error
from vgsim._domains import Domain, Part
from vgsim._networks.description import Description, Network
from vgsim._networks.named import Named

__all__ = ["assembled", "sweep"]

Kind = TypeVar("Kind", bound=Network)


def sweep(kind: type[Kind], **fields: Any) -> list[Kind]:
    """Return the networks of one kind for all combinations of the listed values.

    Parameters
    ----------
    kind : vgsim.MLP, vgsim.RNN, vgsim.LSTM, vgsim.GRU, vgsim.Sequential or vgsim.TorchModule
    **fields
        The fields of `kind`. A list, a range or an array holds values to combine; anything else,
        including a tuple of widths, is one value. Fields of a part have two underscores:
        ``residual__every=[1, 2]``, ``highway__gate_bias=[-1, -2]``, ``clip__max_norm=[1, 10]``, or
        ``activation="leaky_relu", activation__slope=[0.01, 0.1]``.

        The `layers` of a `Sequential` are one list of layers or, as a list of lists, several; in a
        single list of groups only, write the groups as tuples. ``layers__2__gain=[0.5, 1]`` gives
        values to a field of the layer with index 2, ``layers__2__layers__0__gain`` to one inside
        it, and ``layers__1=["relu", "tanh"]`` exchanges a layer.

    Returns
    -------
    list of networks
        In the order of nested loops, with the first field as the outermost loop.

    Raises
    ------
    TypeError, ValueError
        If a list is empty, a field is unknown, or a combination is not a valid network; the message
        names the combination.

    Examples
    --------
    >>> import vgsim
    >>> networks = vgsim.sweep(vgsim.MLP, width=16, activation=["tanh", "relu"], depth=[10, 30])
    >>> [(network.activation.name, network.depth) for network in networks]
    [('tanh', 10), ('tanh', 30), ('relu', 10), ('relu', 30)]
    >>> len(vgsim.sweep(vgsim.MLP, depth=8, width=16, residual__every=[1, 2, 4]))
    3
    >>> layers = [vgsim.Linear(), "tanh"] * 10
    >>> len(vgsim.sweep(vgsim.Sequential, width=16, layers=layers, layers__0__gain=[0.5, 1, 2]))
    3
    """
    if not (isinstance(kind, type) and kind in Description.networks.values()):
        names = either(f"vgsim.{name}" for name in Description.networks)
        raise type_error("kind", f"must be {names}, got {brief(kind)}")
    choices = {name: _choices(kind, name, value) for name, value in fields.items()}
    found = []
    for values in product(*choices.values()):
        chosen = dict(zip(choices, values, strict=True))
        try:
            found.append(kind(**assembled(kind, chosen)))
        except (TypeError, ValueError) as error:
            words = ", ".join(f"{name}={brief(value)}" for name, value in chosen.items())
            told = type(error)(f"{error} (in the combination {words})")
            told.__dict__.update(vars(error))
            raise told from error
    return found


def _choices(kind: type[Network], name: str, value: Any) -> list[Any]:
    field = kind._fields.get(name)
    found = (Domain() if field is None else field.domain).alternatives(name, value)
    if found is None:
        return [value]
    if not found:
        raise value_error(name, "is an empty list: it must have one or more values")
    return found


def assembled(
    kind: type[Description], chosen: Mapping[str, Any], base: Description | None = None
) -> dict[str, Any]:
    """Return the arguments of a network or layer, parts built from their ``part__field`` values.

    Where only fields of a part are given, its other fields are those of `base`.

    Examples
    --------
    >>> import vgsim
    >>> from vgsim._networks.sweep import assembled
    >>> assembled(vgsim.MLP, {"depth": 4, "residual__every": 2})
    {'depth': 4, 'residual': Residual(every=2)}
    """
    arguments = {name: value for name, value in chosen.items() if "__" not in name}
    parts: dict[str, dict[str, Any]] = {}
    for name, value in chosen.items():
        if "__" in name:
            part, field = name.split("__", 1)
            parts.setdefault(part, {})[field] = value
    domains = {
        name: field.domain for name, field in kind._fields.items() if isinstance(field.domain, Part)
    }
    for part, fields in parts.items():
        if part not in domains:
            raise type_error(
                f"{part}__{next(iter(fields))}",
                f"must be a field of one of the parts {', '.join(domains)}",
            )
        whole = arguments.get(part)
        if part not in arguments and base is not None:
            own = getattr(base, part)
            named = isinstance(own, Named)
            whole, fields = (own.name, {**own.parameters, **fields}) if named else (own, fields)
        if part in arguments and not isinstance(whole, domains[part].wholes):
            raise type_error(
                part, f"must be given as one value or by its fields {list(fields)}, not both"
            )
        arguments[part] = domains[part].assembled(part, whole, fields)
    return arguments
