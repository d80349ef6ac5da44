"""The operations of the layers of an MLP."""

from __future__ import annotations

import numpy as np

from vgsim._networks.description import Network
from vgsim._networks.elements import biases
from vgsim._networks.operations import (
    Activate,
    Body,
    Copy,
    Mix,
    Normalise,
    Operation,
    Program,
    Shift,
    Sum,
    Weights,
    body_of,
)
from vgsim._networks.repetition import first_places

__all__ = ["mlp_program"]

X, SKIP, GATE = 0, 1, 2  # registers


def mlp_program(net: Network) -> Program:
    """Return the operations of an MLP: one body for each kind of layer and pair of widths.

    Examples
    --------
    >>> import vgsim
    >>> from vgsim._networks.mlp_operations import mlp_program
    >>> net = vgsim.MLP(6, 8, residual=vgsim.Residual(3))
    >>> [[type(o).__name__ for o in body] for body in mlp_program(net).bodies]
    [['Copy', 'Weights', 'Activate'], ['Weights', 'Activate'], ['Weights', 'Activate', 'Sum']]
    """
    widths = net.width_array
    layer = np.arange(net.depth)
    begins = ends = np.zeros(net.depth, dtype=bool)
    if net.residual:
        begins = layer % net.residual.every == 0
        ends = (layer + 1) % net.residual.every == 0
    keys = ((widths[1:] << 32 | widths[:-1]) << 2) | begins.astype(np.int64) << 1 | ends
    first, order = first_places(keys)
    shapes = [(int(widths[l + 1]), int(widths[l]), bool(begins[l]), bool(ends[l])) for l in first]
    return Program(
        bodies=tuple(body_of(_layer(net, *shape)) for shape in shapes),
        order=order,
        widths=widths,
        resting=np.concatenate([[True], ends if net.residual else ~ends]),
    )


def _layer(net: Network, n: int, m: int, begins: bool, ends: bool) -> Body:
    """Return the operations of a layer from m to n units, first or last in its residual block."""
    residual = net.residual
    style = residual.style if residual else None
    last_gain = residual.last_gain if residual and ends else 1.0
    std = net.gain * net.init.weight_std(m, n) * last_gain
    norm = [Normalise(X, net.norm, net.norm_eps)] if net.norm else []
    units: list[Operation] = [*norm, Activate(X, net.activation)]
    weights = Weights(X, X, (n, m), net.init.distribution, std, "weight")
    affine = [weights, *biases(net.init, net.bias_std, (n, m), X, "bias")]
    sums: list[Operation] = []
    if residual and ends:
        sums = [Sum(X, SKIP, residual.skip, residual.branch_scale(net.depth))]
    copies: list[Operation] = [Copy(X, SKIP)] if begins else []
    if net.highway:
        gate = Weights(X, GATE, (n, m), net.init.distribution, std, "gate", recorded=False)
        mixed = [*affine, *units, Mix(X, SKIP, GATE)]
        return (Copy(X, SKIP), gate, Shift(GATE, net.highway.gate_bias), *mixed)
    if style == "pre":
        return (*copies, *units, *affine, *sums)
    if ends and style == "linear":
        return (*copies, *affine, *sums)
    if style == "post":
        return (*copies, *affine, *norm, *sums, Activate(X, net.activation))
    return (*copies, *affine, *units, *sums)
