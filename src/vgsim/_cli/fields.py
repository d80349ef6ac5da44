"""The fields of networks as options of the command."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from vgsim._checks import value_error
from vgsim._cli.network_file import read_networks
from vgsim._cli.suggestions import unknown_choice
from vgsim._domains import Choice, Domain
from vgsim._networks.description import Description, Field, Network
from vgsim._networks.techniques import Described, Variant

__all__ = [
    "ACTIVATIONS",
    "CURVE_DEPTHS",
    "DEPTHS",
    "add_network_options",
    "all_options",
    "networks_of",
    "option_name",
    "option_names",
    "options",
    "reader",
]

DEPTHS = (10, 30, 100, 300, 1000)
CURVE_DEPTHS = (5, *DEPTHS)  # 5 is below the critical depth of sigmoid
ACTIVATIONS = ("sigmoid", "tanh", "relu")
NONE = "none"  # the absence of a technique
WIDTH = 128


class Option(NamedTuple):
    """The option of a field, or of one kind of its values."""

    name: str
    domain: Domain
    help: str
    metavar: str
    const: str | None
    optional: bool  # whether "none" is a value


def kinds() -> list[type[Network]]:
    """Return the kinds of networks with options; the default, without a flag, comes first."""
    with_options = [kind for kind in Description.networks.values() if kind.flag is not None]
    return sorted(with_options, key=lambda kind: bool(kind.flag))


def of_flag(flag: str | None) -> dict[str, type[Network]]:
    """Return the kinds with a flag by the value of the flag; that of a lone kind has none.

    Examples
    --------
    >>> from vgsim._cli.fields import of_flag
    >>> list(of_flag("rnn"))
    ['gru', 'lstm', 'rnn']
    """
    return {kind.flag_value or str(flag): kind for kind in kinds() if kind.flag == flag}


def typed(kind: type[Network]) -> str:
    """Return how a kind of networks is chosen: ``--rnn lstm``."""
    return f"{option_name(str(kind.flag))} {kind.flag_value}".rstrip()


def owners_of(owners: Sequence[type[Network]]) -> str:
    """Return how one of several kinds is chosen; "" if one of them needs no flag.

    Examples
    --------
    >>> import vgsim
    >>> from vgsim._cli.fields import owners_of
    >>> owners_of([vgsim.LSTM, vgsim.GRU]), owners_of([vgsim.LSTM, vgsim.GRU, vgsim.RNN])
    ('--rnn gru or --rnn lstm', '--rnn')
    """
    if not all(kind.flag for kind in owners):
        return ""
    words: list[str] = []
    for flag in dict.fromkeys(kind.flag for kind in owners):
        every = of_flag(flag)
        own = [value for value, kind in every.items() if kind in owners]
        name = option_name(str(flag))
        words += [name] if len(own) == len(every) else [f"{name} {value}" for value in own]
    return " or ".join(words)


def options(field: Field[Any, Any]) -> list[Option]:
    """Return the options of a field: one, or one for each kind of a variant."""
    domain, name = field.domain, field.flag or field.name
    if isinstance(domain, Variant):
        helps = field.help.split("; ")
        return [
            Option(f"{name}_{suffix}", Described(kind), help, "X", None, field.optional)
            for (suffix, kind), help in zip(domain.by_suffix.items(), helps, strict=True)
        ]
    metavar = field.metavar or domain.metavar
    return [Option(name, domain, field.help, metavar, field.const, field.optional)]


def option_name(name: str) -> str:
    """Return an option as it is typed: ``--name``, with dashes."""
    return f"--{name.replace('_', '-')}"


def option_names() -> dict[str, str]:
    """Return the option, or the alternative options, of every field.

    Examples
    --------
    >>> from vgsim._cli.fields import option_names
    >>> names = option_names()
    >>> names["bias_std"], names["steps"], names["clip"]
    ('--bias-std', '--depth', '--clip-norm or --clip-value')
    """
    return {
        name: " or ".join(option_name(option.name) for option in options(field))
        for kind in kinds()
        for name, field in kind._fields.items()
    }


def reader(domain: Domain, name: str = "", optional: bool = False) -> Callable[[str], Any]:
    """Return a function that reads a value of a domain from an argument of the command line.

    With `optional`, "none" is the value None.

    The parser names the option in its errors, so they do not repeat the `name` of the field, nor
    that of the only field of a part.
    """
    unsaid = [name]
    if isinstance(domain, Described) and len(domain.kind._fields) == 1:
        unsaid += domain.kind._fields

    def read(text: str) -> Any:
        if optional and text == NONE:
            return None
        try:
            return domain.parse(text)
        except (TypeError, ValueError) as error:
            problem = getattr(error, "problem", str(error))
            argument = getattr(error, "argument", name)
            said = problem if argument in unsaid else f"{argument} {problem}"
            raise argparse.ArgumentTypeError(said) from None

    return read


def chosen_from(choices: Sequence[str], read: Callable[[str], Any]) -> Callable[[str], Any]:
    """Return a reader that refuses what is none of the choices, and says which may be meant."""

    def read_choice(text: str) -> Any:
        if text not in choices:
            raise argparse.ArgumentTypeError(unknown_choice(text, choices))
        return read(text)

    return read_choice


def all_options() -> dict[str, tuple[Option, list[type[Network]]]]:
    """Return the options of all fields by name, each with the kinds of networks that have it."""
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
    """Add the options of the networks.

    `activations` and `depths` are the defaults; with `many`, every option takes several values.
    """
    usual = {"activation": activations, "depth": depths, "width": [WIDTH]}
    combined = "; one network for each combination of values" if many else ""
    plain = parser.add_argument_group(f"the networks{combined}")
    optional = parser.add_argument_group("techniques (default: none)")
    others = parser.add_argument_group("other kinds of networks")
    added: set[str | None] = set()
    owners = {name: owners_of(found) for name, (_, found) in all_options().items()}
    for kind in kinds():
        if kind.flag and kind.flag not in added:
            several = len(cells := of_flag(kind.flag)) > 1
            taken: dict[str, Any] = {"nargs": "*" if many else "?", "choices": list(cells)}
            taken |= {"action": _With, "const": [kind.flag], "metavar": f"{{{','.join(cells)}}}"}
            taken = taken if several else {"action": "store_true"}
            others.add_argument(option_name(kind.flag), help=kind.flag_help, **taken)
            added.add(kind.flag)
        for field in kind._fields.values():
            own = [option for option in options(field) if option.name not in added]
            group = optional if field.optional or field.only_with else plain
            place = others if kind.flag else group
            if len(own) > 1:
                place = place.add_mutually_exclusive_group()
            for option in own:
                with_kind = f"with {owners[option.name]}: " if kind.flag else ""
                settings = _settings(option, usual.get(option.name, ()), many)
                settings["help"] = f"{with_kind}{settings['help']}"
                place.add_argument(option_name(option.name), **settings)
                added.add(option.name)


def _settings(option: Option, usual: Sequence[Any], many: bool) -> dict[str, Any]:
    """Return the keywords of ``add_argument`` for an option; `usual` is its default."""
    settings: dict[str, Any] = {"type": _named(option), "help": option.help}
    if usual:
        settings["help"] += f" (default: {' '.join(map(str, usual))})"
    if isinstance(option.domain, Choice):
        none = [NONE] if option.optional else []
        settings["metavar"] = f"{{{','.join([*none, *option.domain.choices])}}}"
    else:
        settings["metavar"] = option.metavar
    settings["nargs"] = ("*" if many else "?") if option.const is not None else "+" if many else 1
    if option.const is not None:
        settings["action"] = _With
        settings["const"] = [option.domain.parse(option.const)]
    return settings


class _With(argparse.Action):
    """The action of an option that may be given without a value: that is then its `const`."""

    def __call__(self, parser: Any, given: Any, values: Any, option_string: Any = None) -> None:
        several = values if isinstance(values, list) else [values]
        setattr(given, self.dest, self.const if values in ([], self.const) else several)


def _named(option: Option) -> Callable[[str], Any]:
    """Return the reader of an option; that of depths explains the frequent mistake ``5,10``."""
    read = reader(option.domain, option.name, option.optional)

    def read_depth(text: str) -> Any:
        if "," in text:
            spaced = " ".join(text.replace(",", " ").split())
            raise argparse.ArgumentTypeError(f"depths are separated by spaces: --depth {spaced}")
        return read(text)

    if isinstance(option.domain, Choice):
        none = [NONE] if option.optional else []
        return chosen_from([*none, *option.domain.choices], read)
    return read_depth if option.name == "depth" else read


def networks_of(
    given: argparse.Namespace, depths: Sequence[int], activations: Sequence[str] = ACTIVATIONS
) -> list[Network]:
    """Return the networks that the options describe, without repetitions.

    `depths` and `activations` are the defaults.
    """
    file: Path | None = getattr(given, "file", None)
    if file is not None:
        return _networks_of_file(given, file)
    chosen = _kinds(given)
    values: dict[str, Sequence[Any]] = {}
    for name, (option, owners) in all_options().items():
        if (own := getattr(given, name, None)) is None:
            continue
        values[name] = own
        if not set(owners) & set(chosen):
            flags = owners_of(owners)
            mine = typed(chosen[0]) if len(chosen) == 1 else owners_of(chosen)
            needs = f"is for {flags} only" if flags else f"is not for {mine}"
            words = (NONE if x is None else option.domain.text(x) for x in own)
            raise value_error(name, f"{needs}, got {' '.join(words)}")
    found = [network for kind in chosen for network in _combined(kind, values, depths, activations)]
    return list(dict.fromkeys(found))


def _combined(
    kind: type[Network],
    given: Mapping[str, Sequence[Any]],
    depths: Sequence[int],
    activations: Sequence[str],
) -> Iterator[Network]:
    """Yield the networks of a kind for all combinations of the values that it has."""
    own = {option.name for field in kind._fields.values() for option in options(field)}
    usual: dict[str, Sequence[Any]] = {"activation": activations, "width": [WIDTH]}
    values = {name: values for name, values in {**usual, **given}.items() if name in own}
    own_depths = values.pop("depth", None)
    for combination in product(*values.values()):
        one = dict(zip(values, combination, strict=True))
        width = one["width"]
        fitting = depths if isinstance(width, int) else [len(width) - 1]
        for depth in fitting if own_depths is None else own_depths:
            yield _network(kind, _used(kind, one | {"depth": depth}, values))


def _used(
    kind: type[Network], chosen: Mapping[str, Any], given: Mapping[str, Sequence[Any]]
) -> dict[str, Any]:
    """Return the values of a network, without those of techniques that other networks have.

    With ``--norm none layer --norm-eps 1e-3``, the network without a norm has no `norm_eps`.
    """
    absent = {
        field.name
        for field in kind._fields.values()
        if (needed := field.only_with) is not None
        and chosen.get(needed) is None
        and any(value is not None for value in given.get(needed, ()))
    }
    return {name: value for name, value in chosen.items() if name not in absent}


def _kinds(given: argparse.Namespace) -> list[type[Network]]:
    """Return the kinds of networks that the options choose."""
    found: list[type[Network]] = []
    for flag in dict.fromkeys(kind.flag for kind in kinds() if kind.flag):
        value = getattr(given, str(flag))
        found += [of_flag(flag)[name] for name in ([flag] if value is True else value or ())]
    return found or kinds()[:1]


def _networks_of_file(given: argparse.Namespace, file: Path) -> list[Network]:
    """Return the networks of a file, at the depths of the options if these are given.

    Raise if other options describe networks too.
    """
    flags = [kind.flag for kind in kinds() if kind.flag and getattr(given, kind.flag)]
    others = [name for name in all_options() if getattr(given, name, None) is not None]
    for name in (*flags, *others):
        if name != "depth":
            raise value_error(name, f"is for networks without a file, and {file} describes them")
    found = read_networks(file)
    if given.depth is None:
        return found
    return list(dict.fromkeys(net.with_depth(depth) for net in found for depth in given.depth))


def _network(kind: type[Network], values: Mapping[str, Any]) -> Network:
    arguments = {
        field.name: values[option.name]
        for field in kind._fields.values()
        for option in options(field)
        if values.get(option.name) is not None
    }
    return kind(**arguments)
