"""The composed networks of the oracle as networks of vgsim, and what is frozen of them."""

import sys
from pathlib import Path

import numpy as np

import vgsim

sys.path.insert(0, str(Path(__file__).parent / "oracle"))
import composed_reference as oracle
import make_composed

DRAWN_BY_PYTORCH = make_composed.CASES
FROZEN = np.load(make_composed.FROZEN)
QUANTITIES = ("gradient", "weight_gradient", "update_ratio", "activation")


def network_of(case):
    """Return the network of a case."""
    clip = None
    if case.clip:
        kind, bound = case.clip
        clip = vgsim.ClipNorm(bound) if kind == "norm" else vgsim.ClipValue(bound)
    layers = [element_of(element) for element in case.layers]
    return vgsim.Sequential(case.width, layers, tokens=case.tokens, clip=clip)


def element_of(element):
    """Return a layer of vgsim."""
    if isinstance(element, list):
        return [element_of(part) for part in element]
    kind, *values = element
    if kind == "linear":
        width, init, gain, bias_std = values
        return vgsim.Linear(width, init=init, gain=gain, bias_std=bias_std)
    if kind == "norm":
        return vgsim.Norm(values[0], eps=values[1])
    if kind == "dropout":
        return vgsim.Dropout(values[0])
    if kind == "skip":
        block, skip, branch = values
        return vgsim.Skip(element_of(block), skip=skip, branch=branch)
    if kind == "gate":
        block, bias, init, gain = values
        return vgsim.Gate(element_of(block), bias=bias, init=init, gain=gain)
    if kind == "attention":
        heads, causal, init, gain, bias_std = values
        return vgsim.Attention(heads, causal=causal, init=init, gain=gain, bias_std=bias_std)
    return kind


def arrays_of(case, rng):
    """Draw the parameters, the inputs and the output gradient of a case."""
    parameters = oracle.random_parameters(case, rng)
    x = rng.normal(size=(case.width, case.columns))
    return parameters, x, rng.normal(size=(oracle.output_width(case), case.columns))


def reference(case, parameters, x, g):
    """Return every quantity by PyTorch's autograd, without the axis of samples."""
    import torch

    P = {name: torch.tensor(array[np.newaxis]) for name, array in parameters.items()}
    rows = [torch.tensor(array.T[np.newaxis].copy()) for array in (x, g)]
    result = oracle.run(case, P, *rows)
    return {name: a if name == "weight_layers" else a[0] for name, a in result.items()}
