"""The fields of networks as options of the command, and networks in the words of the options."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from vgsim._checks import Choice, Domain, value_error
from vgsim._networks.description import SHOWN_WIDTHS, Description, Field, Network
from vgsim._networks.techniques import Described, Variant

__all__ = [
    "ACTIVATIONS",
    "CURVE_DEPTHS",
    "DEPTHS",
    "add_network_options",
    "networks_of",
    "option_name",
    "reader",
    "row",
    "short_width",
    "spec",
    "technique",
    "title",
]

DEPTHS = (10, 30, 100, 300, 1000)
CURVE_DEPTHS = (5, *DEPTHS)  # one before the depth where sigmoid's gradient vanishes
ACTIVATIONS = ("sigmoid", "tanh", "relu")
WIDTH = 128


class Option(NamedTuple):
    """How the command line takes a field, or one kind of it: ``--name``, with dashes."""

    name: str
    domain: Domain
    help: str
    metavar: str
    const: str | None


def kinds() -> list[type[Network]]:
    """Return the kinds of networks, the one that needs no option to choose it first."""
    return sorted(Description.networks.values(), key=lambda kind: bool(kind.flag))


def options(field: Field[Any, Any]) -> list[Option]:
    """Return how the command line takes a field: one option, or one for each kind of a variant."""
    domain, name = field.domain, field.flag or field.name
    if isinstance(domain, Variant):
        helps = field.help.split("; ")
        return [
            Option(f"{name}_{suffix}", Described(kind), help, "X", None)
            for (suffix, kind), help in zip(domain.by_suffix.items(), helps, strict=True)
        ]
    return [Option(name, domain, field.help, field.metavar or domain.metavar, field.const)]


def option_name(name: str) -> str:
    """Return ``--name`` as it is typed."""
    return f"--{name.replace('_', '-')}"


def reader(domain: Domain) -> Callable[[str], Any]:
    """Return what reads a value of a domain from a word of the command line."""

    def read(text: str) -> Any:
        try:
            return domain.parse(text)
        except (TypeError, ValueError) as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return read


def all_options() -> dict[str, tuple[Option, list[type[Network]]]]:
    """Return the options of all fields by name, and the kinds of networks that have them."""
    found: dict[str, tuple[Option, list[type[Network]]]] = {}
    for kind in kinds():
        for field in kind._fields.values():
            for option in options(field):
                found.setdefault(option.name, (option, []))[1].append(kind)
    return found


def add_network_options(
    parser: argparse.ArgumentParser,
    many: bool,
    activations: Sequence[str],
    depths: Sequence[int],
) -> None:
    """Add the options of the networks; `many` activations and depths, or one of each."""
    group = parser.add_argument_group("the networks")
    for kind in kinds():
        if kind.flag:
            group.add_argument(f"--{kind.flag}", action="store_true", help=kind.flag_help)
    for name, (option, _) in all_options().items():
        settings: dict[str, Any] = {"metavar": option.metavar, "help": option.help}
        if name in ("activation", "depth"):
            usual = [*(activations if name == "activation" else depths)]
            settings |= {"nargs": "+" if many else 1}
            settings["help"] = f"default: {' '.join(map(str, usual))}"
        elif name == "width":
            settings["help"] += f" (default: {WIDTH})"
        if isinstance(option.domain, Choice):
            settings["choices"] = option.domain.choices
            del settings["metavar"]
        if option.const is not None:
            settings |= {"nargs": "?", "const": reader(option.domain)(option.const)}
        group.add_argument(option_name(name), type=_named(option.domain, name), **settings)


def _named(domain: Domain, name: str) -> Callable[[str], Any]:
    """Return the reader of an option; a list of depths with commas is a slip that many make."""
    read = reader(domain)

    def read_depth(text: str) -> Any:
        if "," in text:
            spaced = " ".join(text.replace(",", " ").split())
            raise argparse.ArgumentTypeError(f"depths are separated by spaces: --depth {spaced}")
        return read(text)

    return read_depth if name == "depth" else read


def networks_of(
    given: argparse.Namespace, depths: Sequence[int], activations: Sequence[str] = ACTIVATIONS
) -> list[Network]:
    """Build every network that the options ask for, each once.

    `depths` and `activations` are what is taken where the options do not say.
    """
    kind = next(k for k in reversed(kinds()) if not k.flag or getattr(given, k.flag))
    values = {
        name: getattr(given, name)
        for name in all_options()
        if getattr(given, name, None) is not None
    }
    for name in values:
        owners = all_options()[name][1]
        if kind not in owners:
            flags = " or ".join(f"--{k.flag}" for k in owners if k.flag)
            needs = f"is for {flags} only" if flags else f"is not for --{kind.flag}"
            raise value_error(name, needs)
    width = values.setdefault("width", WIDTH)
    depths = values.pop("depth", depths if isinstance(width, int) else [len(width) - 1])
    chosen = values.pop("activation", activations)
    found = [
        _network(kind, {**values, "activation": activation, "depth": depth})
        for activation in chosen
        for depth in depths
    ]
    return list(dict.fromkeys(found))


def _network(kind: type[Network], values: Mapping[str, Any]) -> Network:
    arguments: dict[str, Any] = {}
    for field in kind._fields.values():
        given = [values[o.name] for o in options(field) if values.get(o.name) is not None]
        if len(given) > 1:
            names = " and ".join(option_name(o.name) for o in options(field))
            raise value_error(field.name, f"can be given in one way only: {names}")
        if given:
            arguments[field.name] = given[0]
    return kind(**arguments)


def flat(network: Network) -> dict[str, Any]:
    """Return the fields of a network by the names of the options, as numbers and words.

    Examples
    --------
    >>> import vgsim
    >>> from vgsim._cli.fields import flat
    >>> flat(vgsim.MLP(10, 8, clip=vgsim.ClipNorm(1)))["clip_norm"]
    1.0
    """
    return dict(_flat(network))


def _flat(network: Network) -> Iterator[tuple[str, Any]]:
    for field in network._fields.values():
        value = getattr(network, field.name)
        if field.only_with is not None and getattr(network, field.only_with) is None:
            value = None
        several = isinstance(field.domain, Variant)
        for option in options(field):
            domain = option.domain
            there = value is not None
            if there and several and isinstance(domain, Described):
                there = isinstance(value, domain.kind)
            yield option.name, _plain(domain, value) if there else None


def _plain(domain: Domain, value: Any) -> Any:
    if isinstance(value, Description) and len(value._fields) == 1:
        return next(iter(value._values().values()))
    return value if isinstance(value, (int, float, tuple)) else domain.text(value)


def row(network: Network) -> dict[str, Any]:
    """Return what describes a network, flat, with None for the fields of other kinds.

    Examples
    --------
    >>> import vgsim
    >>> from vgsim._cli.fields import row
    >>> row(vgsim.MLP(10, 8))["init"], row(vgsim.MLP(10, 8))["input_std"]
    ('glorot_normal', None)
    """
    return {"network": type(network).__name__, **dict.fromkeys(all_options()), **flat(network)}


def spec(network: Network, name: str) -> str:
    """Return a field as the command line takes it.

    Examples
    --------
    >>> import vgsim
    >>> from vgsim._cli.fields import spec
    >>> spec(vgsim.MLP(10, 8, activation=vgsim.Activation("elu", alpha=2)), "activation")
    'elu:alpha=2.0'
    """
    return network._fields[name].domain.text(getattr(network, name))


def short_width(network: Network) -> str:
    """Return the width or the widths, of very many the first and the last.

    Examples
    --------
    >>> import vgsim
    >>> from vgsim._cli.fields import short_width
    >>> short_width(vgsim.MLP(999, [784, *[32] * 998, 10]))
    '784,32,...,10 (1000 widths)'
    """
    width = network.width
    if isinstance(width, int) or len(width) <= SHOWN_WIDTHS:
        return spec(network, "width")
    return f"{width[0]},{width[1]},...,{width[-1]} ({len(width)} widths)"


def title(network: Network) -> str:
    """Return what tells a network from the others in a table."""
    length = f"{network._length()} {network.depth}"
    return f"{spec(network, 'activation')}, {length}"


def technique(network: Network, batch_size: int = 1, loss: str = "linear") -> str:
    """Say, in the words of the options, what sets a network and its batch apart from the plain.

    Examples
    --------
    >>> import vgsim
    >>> from vgsim._cli.fields import technique
    >>> technique(vgsim.MLP(10, 8, norm="layer", highway=vgsim.Highway()), 5, "mse")
    'norm layer, highway -2, batch size 5, loss mse'
    """
    usual = {"depth", "width", "activation", "init", "gain", "bias_std"}  # named elsewhere
    implicit = {f.name: f.implicit for f in network._fields.values() if f.only_with is not None}
    words = [
        f"{name.replace('_', ' ')} {value:g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in flat(network).items()
        if name not in usual and value is not None and value != implicit.get(name)
    ]
    words += [f"batch size {batch_size}"] if batch_size > 1 else []
    words += [f"loss {loss}"] if loss != "linear" else []
    return ", ".join(words)
