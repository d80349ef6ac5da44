"""Plain networks, which the fused pass of the kernels runs: layers of W and φ, nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from vgsim._engine.compile import RAW_STD, saturation_limit, weight_scale
from vgsim._networks.operations import Activate, Bias, Body, Program, Weights

__all__ = ["PlainLayers", "plain_layers"]


@dataclass(frozen=True, eq=False)
class PlainLayers:
    """A program as layers W, φ.

    Attributes
    ----------
    places : {1, 2}
        How many places a layer has: W and φ are one place, or one place each.
    slopes : tuple of float, or None
        φ'(h) for h > 0 and for h ≤ 0, if φ is linear on both sides.
    fields : dict
        The fields of vg_plan that describe the layers, by name.
    """

    places: int
    slopes: tuple[float, float] | None
    fields: dict[str, Any]


def plain_layers(program: Program) -> PlainLayers | None:
    """Return the layers of a plain network, None if the network is not plain.

    Examples
    --------
    >>> import vgsim
    >>> from vgsim._engine.plain import plain_layers
    >>> plain_layers(vgsim.MLP(3, 8).program).places
    1
    >>> plain_layers(vgsim.Sequential(8, [vgsim.Linear(), "tanh"] * 3).program).places
    2
    >>> plain_layers(vgsim.Sequential(8, [vgsim.Linear()] * 3).program) is None
    True
    """
    order, bodies = program.order, program.bodies
    whole = [_is_affine(body[:-1]) and isinstance(body[-1], Activate) for body in bodies]
    places = 1
    if not all(whole):
        affine = np.array([_is_affine(body) for body in bodies])
        units = np.array([len(body) == 1 and isinstance(body[0], Activate) for body in bodies])
        pairs = len(order) % 2 == 0 and affine[order[::2]].all() and units[order[1::2]].all()
        if not pairs:
            return None
        places = 2
    laws, activations, bias_laws = set(), set(), set()
    scales, shifts = np.zeros(len(bodies)), np.zeros(len(bodies))
    for i, body in enumerate(bodies):
        for o in body:
            if isinstance(o, Weights):
                laws.add(o.law)
                scales[i] = weight_scale(o)
            elif isinstance(o, Bias):
                bias_laws.add("uniform" if o.limit > 0 else "normal")
                shifts[i] = o.limit or o.std
            elif isinstance(o, Activate):
                activations.add(o.activation)
    if len(laws) > 1 or len(activations) > 1 or len(bias_laws) > 1:
        return None
    (phi,) = activations
    layers = order[::places]
    below = phi.slope_below_zero
    return PlainLayers(
        places,
        None if below is None else (1.0, below),
        {
            "depth": len(layers),
            "widths": np.ascontiguousarray(program.widths[::places]),
            "weight_scale": np.concatenate([[0.0], scales[layers]]),
            "bias_scale": np.concatenate([[0.0], shifts[layers]]),
            "weight_law": laws.pop(),
            "bias_law": bias_laws.pop() if bias_laws else "normal",
            "activation": phi.name,
            "parameters": phi.kernel_parameters,
            "saturated_below": saturation_limit(phi),
        },
    )


def _is_affine(body: Body) -> bool:
    """Whether the operations are W x, or W x + b, with a matrix of independent entries."""
    if not body or not isinstance(body[0], Weights):
        return False
    weights, biases = body[0], body[1:]
    own = weights.law in RAW_STD and not weights.shared and weights.source == weights.target
    return own and len(biases) <= 1 and all(isinstance(bias, Bias) for bias in biases)
