"""Plain networks, which a pass of their own in the kernels runs: layers of W, b, norm and φ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from vgsim._engine.compile import saturation_limit, weight_scale
from vgsim._engine.tables import Tables
from vgsim._networks.operations import Activate, Bias, Normalise, Program, Weights

__all__ = ["PlainLayers", "plain_layers"]

CANCELLATION = 2.0**-6  # sums that cancel to a smaller fraction are computed unit by unit


@dataclass(frozen=True, eq=False)
class PlainLayers:
    """A program as layers W, b, norm, φ.

    Attributes
    ----------
    places : {1, 2}
        `Program.layer_places`.
    slopes : tuple of float, or None
        φ'(h) for h > 0 and for h ≤ 0, if φ is linear on both sides.
    fields : dict
        The fields of vg_plan that describe the layers, by name.
    """

    places: int
    slopes: tuple[float, float] | None
    fields: dict[str, Any]


def plain_layers(program: Program, dtype: str = "float32") -> PlainLayers | None:
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
    places, order, bodies = program.layer_places, program.order, program.bodies
    if not places:
        return None
    scales, shifts = np.zeros(len(bodies)), np.zeros(len(bodies))
    for i, body in enumerate(bodies):
        for o in body:
            if isinstance(o, Weights):
                scales[i] = weight_scale(o)
            elif isinstance(o, Bias):
                shifts[i] = o.std
    (phi,) = {o.activation for o in program.of(Activate)}
    norm = next(iter(program.of(Normalise)), None)
    layers = order[::places]
    below, tables = phi.slope_below_zero, Tables.of(program, dtype)
    return PlainLayers(
        places,
        None if below is None else (1.0, below),
        {
            "depth": len(layers),
            "widths": np.ascontiguousarray(program.widths[::places]),
            "weight_scale": np.concatenate([[0.0], scales[layers]]),
            "bias_scale": np.concatenate([[0.0], shifts[layers]]),
            "norm": norm.kind if norm else None,
            "norm_epsilon": norm.eps if norm else 0.0,
            "activation": phi.kernel_name,
            "parameters": tables.parameters(phi),
            "tables": tables.array,
            "saturated_below": saturation_limit(phi),
            "cancellation": CANCELLATION,
        },
    )
