"""The names and shapes of the parameters of a network, as in ``Replay.parameters``."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from vgsim._networks.operations import (
    Bias,
    Body,
    Drive,
    GateBias,
    Mask,
    Operation,
    Program,
    Weights,
    body_of,
)

__all__ = [
    "bias_name",
    "drawn_shapes",
    "parameter_name",
    "parameter_program",
    "parameter_shapes",
    "shapes_of",
    "with_biases",
    "with_whole_bias",
]


def parameter_name(operation: Any, place: int) -> str:
    """Return the name of a matrix, a bias or a mask, as in ``Replay.parameters``.

    Examples
    --------
    >>> import vgsim
    >>> from vgsim._networks.parameter_shapes import parameter_name
    >>> program = vgsim.MLP(3, 8).program
    >>> parameter_name(program.at(2)[0], 2)
    '1.weight'
    """
    own: str = operation.name
    return own if getattr(operation, "shared", False) else f"{place - 1}.{own}"


def shapes_of(program: Program, columns: int) -> dict[str, tuple[int, ...]]:
    """Return the shapes of all parameters by name; none for a network with matrices of places.

    An LSTM and a GRU always have a bias, which may be zero.

    Examples
    --------
    >>> import vgsim
    >>> from vgsim._networks.parameter_shapes import shapes_of
    >>> shapes_of(vgsim.RNN(5, 3).program, 2)
    {'weight': (3, 3), 'input_weight': (3, 3), 'drive': (5, 3, 2)}
    """
    gates = sum(o.shared for o in program.of(Weights))
    if not gates:
        return {}
    n = int(program.widths[0])
    shapes: dict[str, tuple[int, ...]] = {"weight": (gates * n, n)}
    names = [o.name for o in program.of(Bias)] + [o.name for o in program.of(GateBias)]
    if gates > 1 or "bias" in names:
        shapes["bias"] = (gates * n,)
    shapes |= {name: (n,) for name in names if name != "bias"}
    if program.of(Drive):
        shapes |= {"input_weight": (gates * n, n), "drive": (len(program.order), n, columns)}
    return shapes


def parameter_shapes(program: Program) -> dict[str, tuple[int, ...]]:
    """Return the shapes of all matrices and biases of a network, by name.

    Examples
    --------
    >>> import vgsim
    >>> from vgsim._networks.parameter_shapes import parameter_shapes
    >>> parameter_shapes(vgsim.MLP(2, [3, 4, 1], bias_std=0.1).program)
    {'0.weight': (4, 3), '0.bias': (4,), '1.weight': (1, 4), '1.bias': (1,)}
    """
    if shared := shapes_of(program, 1):
        return {name: shape for name, shape in shared.items() if name != "drive"}
    shapes: dict[str, tuple[int, ...]] = {}
    for place in range(1, len(program.order) + 1):
        for operation in program.at(place):
            match operation:
                case Weights(shape=shape):
                    shapes[parameter_name(operation, place)] = shape
                case Bias(rows=rows):
                    shapes[parameter_name(operation, place)] = (rows,)
    return shapes


def drawn_shapes(program: Program, columns: int) -> dict[str, tuple[int, ...]]:
    """Return the shapes of what every pass draws: masks (n, columns) and the drive.

    Examples
    --------
    >>> import vgsim
    >>> from vgsim._networks.parameter_shapes import drawn_shapes
    >>> drawn_shapes(vgsim.Sequential(8, [vgsim.Linear(), vgsim.Dropout(0.1)]).program, 5)
    {'1.mask': (8, 5)}
    """
    shapes = {name: shape for name, shape in shapes_of(program, columns).items() if name == "drive"}
    for place in range(1, len(program.order) + 1):
        for operation in program.at(place):
            if isinstance(operation, Mask):
                shapes[parameter_name(operation, place)] = (operation.rows, columns)
    return shapes


def with_whole_bias(network: Any) -> Program:
    """Return the operations of a network in which each gate of several adds its bias.

    The operations of a network leave out biases that are zero by its description.
    """
    program: Program = network.program
    gates = sum(o.shared for o in program.of(Weights))
    biased = sum(o.name == "bias" for o in program.of(GateBias))
    if gates > 1 and biased < gates:
        whole: Program = network._with(bias_std=1.0).program
        return whole
    return program


def bias_name(weights: Weights) -> str:
    """Return the name of the bias that is added after a matrix.

    Examples
    --------
    >>> import vgsim
    >>> from vgsim._networks.parameter_shapes import bias_name
    >>> network = vgsim.Sequential(4, [vgsim.Linear(), vgsim.Attention(2)], tokens=3)
    >>> [bias_name(W) for W in network.program.at(1) + network.program.at(2)[:1]]
    ['bias', 'query_bias']
    """
    own, _, name = weights.name.rpartition(".")
    renamed = "bias" if name == "weight" else f"{name}_bias"
    return f"{own}.{renamed}" if own else renamed


def with_biases(network: Any) -> Program:
    """Return the operations of a network in which every matrix but those of gates adds a bias.

    Biases that the description of the network does not have are those of a law without spread.

    Examples
    --------
    >>> import vgsim
    >>> from vgsim._networks.parameter_shapes import parameter_shapes, with_biases
    >>> list(parameter_shapes(with_biases(vgsim.MLP(2, 3))))
    ['0.weight', '0.bias', '1.weight', '1.bias']
    >>> list(parameter_shapes(with_biases(vgsim.LSTM(5, 3, input_std=0))))
    ['weight', 'bias']
    >>> gated = vgsim.Sequential(3, [vgsim.Gate([vgsim.Linear()])])
    >>> list(parameter_shapes(with_biases(gated)))
    ['0.gate', '0.0.weight', '0.0.bias']
    """
    program = with_whole_bias(network)
    bodies = tuple(body_of(_biased(body)) for body in program.bodies)
    return replace(program, bodies=bodies)


def parameter_program(network: Any, *, biases: bool) -> Program:
    """Return the operations of a network whose parameters are given or trained.

    With `biases`, every matrix but those of gates adds a bias; see `with_biases`.

    Examples
    --------
    >>> import vgsim
    >>> from vgsim._networks.parameter_shapes import parameter_program, parameter_shapes
    >>> list(parameter_shapes(parameter_program(vgsim.MLP(2, 3), biases=False)))
    ['0.weight', '1.weight']
    """
    return with_biases(network) if biases else with_whole_bias(network)


def _biased(body: Body) -> list[Operation]:
    """Return operations with a bias after each matrix that has none."""
    found: list[Operation] = []
    named = {o.name for o in body if isinstance(o, Bias)}
    gated = any(isinstance(o, GateBias) for o in body)
    for operation in body:
        found.append(operation)
        if not isinstance(operation, Weights) or operation.name.endswith("gate"):
            continue
        name = bias_name(operation)
        if name not in named and not (operation.shared and gated):
            rows = operation.shape[0]
            found.append(Bias(operation.target, rows, 0.0, 0.0, name, shared=operation.shared))
    return found
