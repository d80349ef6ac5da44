"""Networks in the words of the command line: options to networks, and networks to text."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import vgsim
from vgsim._activations import ACTIVATIONS
from vgsim._description import SHOWN_WIDTHS
from vgsim._network import NORM_EPS, Network

DEPTHS = (10, 30, 100, 300, 1000)
CURVE_DEPTHS = (5, *DEPTHS)  # one before the depth where sigmoid's gradient vanishes
TEXTBOOK = ("sigmoid", "tanh", "relu")
MLP_ONLY = ("norm", "norm_eps", "residual", "highway")


def initializer_for(activation: str) -> str:
    """Return the initialiser that textbooks pair with an activation.

    He's for ReLU and its relatives, LeCun's for SELU, Glorot's for all others; normal laws.

    References
    ----------
    A. Géron, Hands-On Machine Learning with Scikit-Learn, Keras, and TensorFlow, table 11-1, which
    lacks softplus; it is counted with ReLU, whose smooth form it is.

    Examples
    --------
    >>> from vgsim._spec import initializer_for
    >>> initializer_for("gelu"), initializer_for("selu"), initializer_for("tanh")
    ('he_normal', 'lecun_normal', 'glorot_normal')
    """
    return ACTIVATIONS[activation].textbook_init


def networks(options: argparse.Namespace, depths: Sequence[int] = DEPTHS) -> list[Network]:
    """Build every network that the options ask for, each once; `depths`: where they do not say."""
    if options.rnn:
        for name in MLP_ONLY:
            if getattr(options, name) is not None:
                raise ValueError(f"--{name.replace('_', '-')} is not for recurrent networks: --rnn")
        if not isinstance(options.width, int):
            raise ValueError("--width must be one number with --rnn, the units of the state")
    elif options.input_std is not None:
        raise ValueError("--input-std is the scale of what drives a recurrent network: give --rnn")
    if options.depth is not None:
        depths = options.depth
    elif not isinstance(options.width, int):
        depths = [len(options.width) - 1]
    found = [
        _network(options, activation, depth)
        for activation in options.activation
        for depth in depths
    ]
    return list(dict.fromkeys(found))


def _network(
    options: argparse.Namespace, activation: tuple[str, dict[str, Any]], depth: int
) -> Network:
    name, parameters = activation
    phi = vgsim.Activation(name, **parameters)
    textbook = "orthogonal" if options.rnn else initializer_for(name)
    init, init_parameters = options.init or (textbook, {})
    common: dict[str, Any] = {
        "activation": phi,
        "init": vgsim.Initializer(init, **init_parameters),
        "gain": options.gain,
        "bias_std": options.bias_std,
        "clip": _clip(options),
    }
    if options.rnn:
        drive = {} if options.input_std is None else {"input_std": options.input_std}
        return vgsim.RNN(depth, options.width, **common, **drive)
    return vgsim.MLP(depth, options.width, **common, **_techniques(options))


def _clip(options: argparse.Namespace) -> vgsim.ClipNorm | vgsim.ClipValue | None:
    if options.clip_norm is not None:
        return vgsim.ClipNorm(options.clip_norm)
    return None if options.clip_value is None else vgsim.ClipValue(options.clip_value)


def _techniques(options: argparse.Namespace) -> dict[str, Any]:
    """Return the arguments that only an MLP takes."""
    found: dict[str, Any] = {"norm": options.norm}
    if options.norm_eps is not None:
        found["norm_eps"] = options.norm_eps
    if options.residual is not None:
        every, parameters = options.residual
        found["residual"] = vgsim.Residual(every, **parameters)
    if options.highway is not None:
        found["highway"] = vgsim.Highway(options.highway)
    return found


def spec(value: vgsim.Activation | vgsim.Initializer | vgsim.Residual) -> str:
    """Return a name or a number with its parameters as the command line takes it.

    Examples
    --------
    >>> import vgsim
    >>> from vgsim._spec import spec
    >>> spec(vgsim.Activation("leaky_relu", slope=0.1))
    'leaky_relu:slope=0.1'
    >>> spec(vgsim.Residual(2, style="pre"))
    '2:style=pre'
    """
    if isinstance(value, vgsim.Residual):
        found = value.to_dict() | {"name": value.every}
    else:
        json_value = value.to_json()
        found = {"name": json_value} if isinstance(json_value, str) else dict(json_value)
    parameters = found.keys() - {"name", "kind", "every"}
    rest = ",".join(f"{key}={found[key]}" for key in found if key in parameters)
    return f"{found['name']}:{rest}" if rest else str(found["name"])


def title(network: Network) -> str:
    """Return what tells a network from the others in a table.

    Examples
    --------
    >>> import vgsim
    >>> from vgsim._spec import title
    >>> title(vgsim.MLP(30, 8)), title(vgsim.RNN(30, 8))
    ('tanh, depth 30', 'tanh, 30 steps')
    """
    if isinstance(network, vgsim.RNN):
        return f"{spec(network.activation)}, {network.steps} steps"
    return f"{spec(network.activation)}, depth {network.depth}"


def width(network: Network) -> str:
    """Return the width or all widths, as the option takes them."""
    if isinstance(network.width, int):
        return str(network.width)
    return ",".join(str(n) for n in network.width)


def short_width(network: Network) -> str:
    """Return the width or the widths, of very many the first and the last.

    Examples
    --------
    >>> import vgsim
    >>> from vgsim._spec import short_width
    >>> short_width(vgsim.MLP(100, [784, *[32] * 99, 10]))
    '784,32,...,10 (101 widths)'
    """
    if isinstance(network.width, int) or len(network.width) <= SHOWN_WIDTHS:
        return width(network)
    first, second, *_, last = network.width
    return f"{first},{second},...,{last} ({len(network.width)} widths)"


def technique(network: Network, batch_size: int, loss: str) -> str:
    """Say, in the words of the options, what sets a network and its batch apart from the plain.

    Examples
    --------
    >>> import vgsim
    >>> from vgsim._spec import technique
    >>> residual = vgsim.Residual(2, style="pre")
    >>> technique(vgsim.MLP(10, 8, norm="layer", residual=residual), 32, "mse")
    'norm layer, residual 2:style=pre, batch size 32, loss mse'
    >>> technique(vgsim.MLP(10, 8), 1, "linear")
    ''
    """
    found = options_of(network)
    if found["norm_eps"] == NORM_EPS:
        del found["norm_eps"]
    words = [
        f"{name.replace('_', ' ')} {value:g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in found.items()
        if value is not None
    ]
    words += [f"batch size {batch_size}"] if batch_size > 1 else []
    words += [f"loss {loss}"] if loss != "linear" else []
    return ", ".join(words)


def options_of(network: Network) -> dict[str, Any]:
    """Return the values of the options that are about techniques; None where there is none.

    Examples
    --------
    >>> import vgsim
    >>> from vgsim._spec import options_of
    >>> options_of(vgsim.RNN(10, 8, clip=vgsim.ClipNorm(1)))["clip_norm"]
    1.0
    """
    found: dict[str, Any] = dict.fromkeys((*MLP_ONLY, "clip_norm", "clip_value", "input_std"))
    if isinstance(network, vgsim.RNN):
        found["input_std"] = network.input_std
    else:
        found["norm"] = network.norm
        found["norm_eps"] = network.norm_eps if network.norm else None
        found["residual"] = spec(network.residual) if network.residual else None
        found["highway"] = network.highway.gate_bias if network.highway else None
    if isinstance(network.clip, vgsim.ClipNorm):
        found["clip_norm"] = network.clip.max_norm
    elif network.clip:
        found["clip_value"] = network.clip.limit
    return found


def network_row(network: Network) -> dict[str, Any]:
    """Return what describes a network, flat, as the options have it.

    Examples
    --------
    >>> import vgsim
    >>> from vgsim._spec import network_row
    >>> row = network_row(vgsim.MLP(10, 8, activation="relu", init="he_normal"))
    >>> row["activation"], row["init"], row["depth"], row["network"]
    ('relu', 'he_normal', 10, 'MLP')
    """
    return {
        "activation": spec(network.activation),
        "init": spec(network.init),
        "depth": network.depth,
        "width": network.width,
        "gain": network.gain,
        "bias_std": network.bias_std,
        "network": "RNN" if isinstance(network, vgsim.RNN) else "MLP",
        **options_of(network),
    }
