"""Networks as text, in terms of the options of the command: rows, titles and headings of tables."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

from vgsim._cli.fields import all_options, options
from vgsim._domains import Domain
from vgsim._networks.description import SHOWN_WIDTHS, Description, Network, compact_json
from vgsim._networks.techniques import Described, Variant

__all__ = [
    "apart",
    "curves",
    "distinct_labels",
    "heading",
    "named_values",
    "row",
    "scale",
    "settings",
    "short_name",
    "short_width",
    "spec",
    "technique",
    "title",
]

ELSEWHERE = ("depth", "activation", "init", "layers")  # in headings and columns
MOST_SHOWN = 600  # characters of a list of layers in a heading


def flat(network: Network) -> dict[str, Any]:
    """Return the fields of a network by the names of the options, as numbers and strings.

    Lists of layers are JSON.

    Examples
    --------
    >>> import vgsim
    >>> from vgsim._cli.network_text import flat
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
    if isinstance(value, (int, float, tuple)):
        return value
    listed = domain.to_json(value)
    if isinstance(listed, list):
        return compact_json(listed)
    return domain.text(value)


def row(network: Network) -> dict[str, Any]:
    """Return the kind and fields of a network by name, with None for fields of other kinds.

    Examples
    --------
    >>> import vgsim
    >>> from vgsim._cli.network_text import row
    >>> row(vgsim.MLP(10, 8))["init"], row(vgsim.MLP(10, 8))["input_std"]
    ('glorot_normal', None)
    """
    empty = dict.fromkeys(all_options())
    return {"network": type(network).__name__, **empty, "depth": network.depth, **flat(network)}


def spec(network: Network, name: str) -> str:
    """Return the value of a field as it is typed on the command line.

    Examples
    --------
    >>> import vgsim
    >>> from vgsim._cli.network_text import spec
    >>> spec(vgsim.MLP(10, 8, activation=vgsim.Activation("elu", alpha=2)), "activation")
    'elu:alpha=2.0'
    """
    return network._text(name)


def short_width(network: Network) -> str:
    """Return the width or the widths as text; a long list is shortened.

    Examples
    --------
    >>> import vgsim
    >>> from vgsim._cli.network_text import short_width
    >>> short_width(vgsim.MLP(999, [784, *[32] * 998, 10]))
    '784,32,...,10 (1000 widths)'
    """
    width: int | tuple[int, ...] = network.width
    if isinstance(width, int) or len(width) <= SHOWN_WIDTHS:
        return spec(network, "width")
    return f"{width[0]},{width[1]},...,{width[-1]} ({len(width)} widths)"


def title(network: Network) -> str:
    """Return activation, or kind, and depth of a network as text."""
    return f"{short_name(network)}, {network._length()} {network.depth}"


def short_name(network: Network) -> str:
    """Return the activation of a network, or the kind of one with activations of its own.

    Examples
    --------
    >>> import vgsim
    >>> from vgsim._cli.network_text import short_name
    >>> short_name(vgsim.MLP(10, 8)), short_name(vgsim.Sequential(8, ["tanh"]))
    ('tanh', 'Sequential')
    """
    listed = "activation" in network._fields
    return spec(network, "activation") if listed else type(network).__name__


def heading(network: Network, repeated: bool = False) -> tuple[str, ...]:
    """Return activation and init of a network, or its layers, for the heading of a table.

    With `repeated`, the layers are those that networks of several depths repeat.

    Examples
    --------
    >>> import vgsim
    >>> from vgsim._cli.network_text import heading
    >>> heading(vgsim.MLP(10, 8)), heading(vgsim.Sequential(8, ["tanh"] * 3))
    (('tanh', 'glorot_normal'), ("['tanh'] * 3",))
    >>> heading(vgsim.Sequential(8, ["tanh"] * 3), repeated=True)
    ("['tanh'] repeated",)
    """
    if "layers" not in network._fields:
        return short_name(network), spec(network, "init")
    layers: Any = getattr(network, "layers")  # noqa: B009
    if repeated:
        layers = layers[: layers.period]
    whole = repr(layers)
    if len(whole) > MOST_SHOWN or "..." in whole:
        whole = network._fields["layers"].domain.text(layers)
    return (f"{whole} repeated" if repeated else whole,)


def apart(networks: Sequence[Network]) -> list[str]:
    """Return the options in which networks differ, without depth, activation, init and layers.

    Networks of different kinds are not compared.

    Examples
    --------
    >>> import vgsim
    >>> from vgsim._cli.network_text import apart
    >>> apart([vgsim.MLP(9, 8), vgsim.MLP(5, 8, gain=2), vgsim.MLP(9, 8, norm="layer")])
    ['gain', 'norm']
    """
    found = [
        name
        for kind in dict.fromkeys(map(type, networks))
        for name in _apart([network for network in networks if type(network) is kind])
    ]
    return list(dict.fromkeys(found))


def _apart(networks: Sequence[Network]) -> list[str]:
    """Return the options in which networks of one kind differ."""
    known: dict[str, set[Any]] = {}
    for network in networks:
        for name, value in flat(network).items():
            known.setdefault(name, set()).add(value)
    found: list[str] = []
    for name, several in known.items():
        field = networks[0]._fields.get(name)
        needed = None if field is None else field.only_with
        if field is not None and needed is not None:  # None: without what it belongs to
            if len(set(several) - {None}) > 1 or (
                needed in found and not several <= {None, field.implicit}
            ):
                found.append(name)
        elif len(several) > 1 and name not in ELSEWHERE:
            found.append(name)
    return found


def named_values(network: Network, names: Collection[str]) -> list[str]:
    """Return options of a network with their values, also those at their defaults.

    Examples
    --------
    >>> import vgsim
    >>> from vgsim._cli.network_text import named_values
    >>> named_values(vgsim.MLP(9, 8), ["gain", "norm"])
    ['gain 1', 'norm none']
    """
    words = []
    for name, value in flat(network).items():
        field = network._fields.get(name)
        if name in names and (value is not None or field is None or field.only_with is None):
            text = short_width(network) if name == "width" else _word(value)
            words.append(f"{name.replace('_', ' ')} {text}")
    return words


def _word(value: Any) -> str:
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def scale(network: Network, without: Collection[str] = ()) -> str:
    """Return the width of a network, and its gain and biases, without those at their defaults.

    `without` has options that are said elsewhere.

    Examples
    --------
    >>> import vgsim
    >>> from vgsim._cli.network_text import scale
    >>> scale(vgsim.MLP(10, 8, gain=2)), scale(vgsim.Sequential(8, ["tanh"]))
    ('width 8, gain 2', 'width 8')
    """
    words = {"width": f"width {short_width(network)}"}
    words |= {"gain": f"gain {network.gain:g}"} if network.gain != 1 else {}
    words |= {"bias_std": f"bias std {network.bias_std:g}"} if network.bias_std else {}
    return ", ".join(text for name, text in words.items() if name not in without)


def curves(networks: Sequence[Network]) -> list[list[Network]]:
    """Return the networks in groups that differ in depth only, in the order given.

    Examples
    --------
    >>> import vgsim
    >>> from vgsim._cli.network_text import curves
    >>> nets = [vgsim.MLP(d, 8, activation=a) for a in ("tanh", "relu") for d in (9, 4)]
    >>> [[(net.activation.name, net.depth) for net in group] for group in curves(nets)]
    [[('tanh', 9), ('tanh', 4)], [('relu', 9), ('relu', 4)]]
    """
    found: list[list[Network]] = []
    alike: dict[object, list[list[Network]]] = {}  # the groups by fields other than the depth
    for network in networks:
        groups = alike.setdefault(_without_depth(network), [])
        for group in groups:
            if _deeper(group[0], network.depth) == network:
                group.append(network)
                break
        else:
            groups.append([network])
            found.append(groups[-1])
    return found


def _without_depth(network: Network) -> object:
    """Return the fields of a network, without its depth and its layers."""
    return type(network), *(
        getattr(network, field.name)
        for field in network._fields.values()
        if field.name != "layers" and (field.flag or field.name) != "depth"
    )


def distinct_labels(groups: Sequence[Sequence[Network]]) -> list[str]:
    """Return a short label of each group of `curves`: its name, and in what it differs from others.

    Examples
    --------
    >>> import vgsim
    >>> from vgsim._cli.network_text import distinct_labels
    >>> nets = [vgsim.MLP(10, 8, gain=gain) for gain in (1, 2)]
    >>> distinct_labels([[net] for net in nets])
    ['tanh, gain 1', 'tanh, gain 2']
    """
    networks = [group[0] for group in groups]
    names = [short_name(network) for network in networks]
    if len(set(names)) == len(names):
        return names
    several = apart(networks)
    if len({flat(network).get("init") for network in networks}) > len(set(names)):
        several.append("init")
    labels = [
        ", ".join([name, *named_values(network, several)])
        for name, network in zip(names, networks, strict=True)
    ]
    return [
        f"{label} ({number})" if labels.count(label) > 1 else label  # different lists of layers
        for number, label in enumerate(labels, 1)
    ]


def _deeper(network: Network, depth: int) -> Network | None:
    """Return the network with another depth, None if it cannot have that."""
    try:
        return network.with_depth(depth)
    except ValueError:
        return None


def technique(
    network: Network, batch_size: int = 1, loss: str = "linear", without: Collection[str] = ()
) -> str:
    """Return techniques, batch size and loss as text, without those at their defaults.

    `without` has options that are said elsewhere.

    Examples
    --------
    >>> import vgsim
    >>> from vgsim._cli.network_text import technique
    >>> technique(vgsim.MLP(10, 8, norm="layer", highway=vgsim.Highway()), 5, "mse")
    'norm layer, highway -2, batch size 5, loss mse'
    """
    usual = {*ELSEWHERE, "width", "gain", "bias_std", *without}
    implicit = {field.name: field.implicit for field in network._fields.values()}
    words = [
        f"{name.replace('_', ' ')} {_word(value)}"
        for name, value in flat(network).items()
        if name not in usual and value not in (None, implicit.get(name))
    ]
    return ", ".join([*words, *settings(batch_size, loss)])


def settings(batch_size: int = 1, loss: str = "linear") -> list[str]:
    """Return batch size and loss as texts, without those at their defaults.

    Examples
    --------
    >>> from vgsim._cli.network_text import settings
    >>> settings(5, "mse"), settings()
    (['batch size 5', 'loss mse'], [])
    """
    words = [f"batch size {batch_size}"] if batch_size > 1 else []
    return [*words, *([f"loss {loss}"] if loss != "linear" else [])]
