"""The cases of oracle/make_architectures.py as networks of vgsim, and their frozen results."""

import sys
from pathlib import Path

import numpy as np

import vgsim

sys.path.insert(0, str(Path(__file__).parent / "oracle"))
import make_architectures as oracle

Case, square = oracle.Case, oracle.square
FROZEN = np.load(oracle.FROZEN)


def network_of(case):
    """Return the network of a case."""
    activation = vgsim.Activation(case.activation, **oracle.PARAMETERS.get(case.activation, {}))
    clip = None
    if case.clip:
        kind, limit = case.clip
        clip = vgsim.ClipNorm(limit) if kind == "norm" else vgsim.ClipValue(limit)
    if case.recurrent:
        return vgsim.RNN(case.depth, case.widths[0], activation=activation, clip=clip)
    style, every, skip, branch = case.residual or (None, None, None, None)
    return vgsim.MLP(
        case.depth,
        case.widths,
        activation=activation,
        norm=case.norm,
        norm_eps=case.norm_eps if case.norm else 1e-5,
        residual=vgsim.Residual(every, style=style, skip=skip, branch=branch) if style else None,
        highway=None if case.gate_bias is None else vgsim.Highway(case.gate_bias),
        clip=clip,
    )


def arguments_of(case, arrays):
    """Return the weights of a case by the names of the arguments of evaluate and to_torch."""
    return {
        "weights": arrays["weights"],
        "biases": arrays["biases"] or None,
        "gate_weights": arrays["gate_weights"] or None,
        "input_weights": arrays["input_weights"][0] if case.driven else None,
        "drive": arrays["drive"][0] if case.driven else None,
    }
