"""The cells of oracle/make_cells.py as networks of vgsim, and what is frozen of them."""

import sys
from pathlib import Path

import numpy as np

import vgsim

sys.path.insert(0, str(Path(__file__).parent / "oracle"))
import make_cells as oracle

FROZEN = np.load(oracle.FROZEN)


def clip_of(clip):
    """Return the clipping of a case."""
    if clip is None:
        return None
    by, bound = clip
    return vgsim.ClipNorm(bound) if by == "norm" else vgsim.ClipValue(bound)


def network_of(case):
    """Return the architecture of a case, with another law of the weights than its arrays have."""
    choice = {"input_std": 0.3 if case.driven else 0.0, "clip": clip_of(case.clip)}
    if case.kind == "lstm":
        return vgsim.LSTM(case.steps, case.n, **choice)
    if case.kind == "gru":
        init = "torch_recurrent" if case.hidden_bias else "glorot_normal"
        return vgsim.GRU(case.steps, case.n, init=init, **choice)
    bias_std = 0.1 if case.biased else 0.0
    return vgsim.RNN(case.steps, case.n, leak=case.leak, bias_std=bias_std, **choice)


def parameters_of(arrays):
    """Return the arrays of a case that evaluate takes by name."""
    names = ("weight", "bias", "hidden_bias", "input_weight", "drive")
    return {name: arrays[name] for name in names if name in arrays}


def frozen_arrays(name):
    """Return the frozen arrays of a case by their names."""
    names = (*("inputs", "target"), *("weight", "bias", "hidden_bias", "input_weight", "drive"))
    keys = {array: f"{name}.{array}" for array in names}
    return {array: FROZEN[key] for array, key in keys.items() if key in FROZEN}


def law_network(law):
    """Return the random networks of a law."""
    choice = {"input_std": law.input_std, "bias_std": law.bias_std, "clip": clip_of(law.clip)}
    choice |= {"init": "lecun_normal", "gain": law.std}
    if law.std is None:  # PyTorch's own: all entries are uniform on ±1/√n
        choice = {"init": "torch_recurrent", "input_std": 3**-0.5}
    if law.kind == "lstm":
        shift = {"forget_bias": law.forget} if law.std is not None else {}
        return vgsim.LSTM(law.steps, law.n, chrono=law.chrono, **shift, **choice)
    if law.kind == "gru":
        return vgsim.GRU(law.steps, law.n, update_bias=law.update, **choice)
    return vgsim.RNN(law.steps, law.n, leak=law.leak, **choice)
