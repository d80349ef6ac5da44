"""The parameters of a recurrent network, which are the same at all steps, and its drive.

The matrices of the gates of an LSTM or a GRU are stacked, and so are the biases: the rows k n … of
"weight", "input_weight" and "bias" are those of gate k. An RNN is a cell of one gate.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from vgsim._networks.operations import Bias, Drive, GateBias, Program, Weights
from vgsim._networks.parameter_shapes import shapes_of
from vgsim._twin.draws import Draws
from vgsim._twin.scaled import Array, scaled

__all__ = ["by_gate", "drawn_drive", "drawn_parameters"]


def drawn_parameters(draw: Draws, program: Program, columns: int) -> dict[str, Array]:
    """Draw all parameters, as arrays with the shapes of `shapes_of`."""
    shapes = shapes_of(program, columns)
    arrays = {name: np.zeros(shape) for name, shape in shapes.items()}
    for W in program.of(Weights):
        rows = _rows(W.gate, W.shape[0])
        arrays["weight"][rows] = draw.weight(
            W.law, W.std, "forward", W.gate + 1, *W.shape, W.parameters
        )
    for b in program.of(Bias):
        arrays[b.name] = draw.bias(1, b.rows, b.std, b.limit)
    for g in program.of(GateBias):
        arrays[g.name][_rows(g.gate if g.name == "bias" else 0, g.rows)] = draw.gate_bias(g)
    for U in list(program.of(Drive))[:1]:
        arrays["input_weight"], arrays["drive"] = drawn_drive(
            draw, U.law, U.std, shapes["input_weight"], shapes["drive"]
        )
    return arrays


def drawn_drive(
    draw: Draws, law: str, std: float, shape: tuple[int, ...], drives: tuple[int, ...]
) -> tuple[Array, Array]:
    """Draw U and s_1 … s_steps with these shapes."""
    steps, units, columns = drives
    s = np.array([draw.columns("drive", t, units, columns) for t in range(1, steps + 1)])
    rows, n = shape
    return draw.weight(law, std, "input_weights", 1, rows, n), s


def _rows(gate: int, n: int) -> slice:
    """Return the rows of a gate."""
    return slice(gate * n, (gate + 1) * n)


def by_gate(arrays: dict[str, Array]) -> dict[str, Any]:
    """Return the parameters as `places_of` takes them: one matrix or bias for each gate.

    Examples
    --------
    >>> import numpy as np
    >>> from vgsim._twin.recurrent import by_gate
    >>> named = by_gate({"weight": np.ones((6, 2)), "bias": np.ones(6)})
    >>> [b.mantissa.shape for b in named["bias"]]
    [(2, 1), (2, 1), (2, 1)]
    """
    n = arrays["weight"].shape[1]
    named: dict[str, Any] = {}
    for name, array in arrays.items():
        if name == "drive":
            named[name] = [scaled(s_t) for s_t in array]
        else:
            rows = array.reshape(len(array), -1)
            named[name] = [scaled(rows[i : i + n], axis=None) for i in range(0, len(rows), n)]
    return named
