"""PyTorch's recurrent modules, and those of ``Replay.to_torch``, as RNN, LSTM or GRU."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from vgsim._checks import type_error
from vgsim._networks.description import Network
from vgsim._networks.gru import GRU
from vgsim._networks.lstm import LSTM
from vgsim._networks.rnn import RNN
from vgsim._twin.torch_modules import Laws, Reader, no_word, torch_name

__all__ = ["Recurrence", "recurrence_of"]

KINDS: dict[str, Any] = {"RNN": RNN, "LSTM": LSTM, "GRU": GRU}
INPUT_STD = 3**-0.5  # weights of the inputs uniform on ±1/√n


@dataclass
class Recurrence:
    """A recurrent module.

    kind
        RNN, LSTM or GRU.
    fields
        Fields of the network that the module determines.
    arrays
        Tensors: "weight"; "input_weight" and "drive", where there are inputs; "bias_ih" and
        "bias_hh", or None.
    """

    module: Any
    kind: Any
    width: int
    steps: int | None
    arrays: dict[str, Any]
    fields: dict[str, Any] = field(default_factory=dict)

    def network(self, steps: int | None, laws: Laws, clip: dict[str, Any]) -> Network:
        """Return the network with PyTorch's laws, or with those that are given."""
        steps = self.steps if steps is None else steps
        if steps is None:
            name = type(self.module).__name__
            raise type_error("steps", f"must be given for {name}: an int >= 1, got None")
        fields = {**self.fields, **clip}
        driven = "input_weight" in self.arrays
        biased = self.arrays["bias_ih"] is not None
        if laws.init is not None:
            fields |= {"init": laws.init, "gain": laws.gain}
            fields |= {"bias_std": laws.bias_std if biased else 0.0}
            fields |= {} if driven else {"input_std": 0.0}
            fields |= {"forget_bias": 0.0} if self.kind is LSTM else {}
        elif biased:
            fields |= {"init": "torch_recurrent", "input_std": INPUT_STD if driven else 0.0}
        else:
            problem = "without biases, which init 'torch_recurrent' has: give another init"
            raise no_word("", self.module, problem)
        network: Network = self.kind(steps, self.width, **fields)
        return network

    def named(self) -> dict[str, Any]:
        """Return the tensors by the names of ``Replay.parameters``, the two biases added."""
        found = {name: tensor for name, tensor in self.arrays.items() if "bias" not in name}
        inputs, hidden = self.arrays["bias_ih"], self.arrays["bias_hh"]
        if inputs is None:
            return found
        if hidden is None:
            return {**found, "bias": inputs}
        inputs, hidden = inputs.double(), hidden.double()
        if self.kind is GRU:
            last = slice(2 * self.width, None)  # of the candidate, inside r∘(…)
            found["hidden_bias"], hidden = hidden[last], hidden.clone()
            hidden[last] = 0.0
        return {**found, "bias": inputs + hidden}


def recurrence_of(module: Any) -> Recurrence | None:
    """Return a recurrent module as a `Recurrence`; None for any other module."""
    name = torch_name(module)
    if name == "Recurrent":
        return _own_rnn(module)
    if name == "Cell":
        found = _cell(module.cell, torch_name(module.cell).removesuffix("Cell"))
        found.steps = module.steps
        if module.drive is None:
            del found.arrays["input_weight"]
        else:
            found.arrays["drive"] = module.drive.transpose(1, 2)
        return found
    if name.removesuffix("Cell") not in KINDS:
        return None
    found = _cell(module, name.removesuffix("Cell"), "" if name.endswith("Cell") else "_l0")
    if module.input_size != module.hidden_size:
        raise no_word("", module, "with another number of inputs than of hidden units")
    return found


def _cell(module: Any, name: str, suffix: str = "") -> Recurrence:
    """Return a module with PyTorch's names of parameters."""
    problems = {
        "with several layers": getattr(module, "num_layers", 1) > 1,
        "in both directions": getattr(module, "bidirectional", False),
        "with a projection": getattr(module, "proj_size", 0) > 0,
    }
    for problem, holds in problems.items():
        if holds:
            raise no_word("", module, problem)
    arrays = {
        "weight": getattr(module, f"weight_hh{suffix}"),
        "input_weight": getattr(module, f"weight_ih{suffix}"),
    }
    for bias in ("bias_ih", "bias_hh"):
        arrays[bias] = getattr(module, bias + suffix) if module.bias else None
    fields = {"activation": module.nonlinearity} if name == "RNN" else {}
    return Recurrence(module, KINDS[name], module.hidden_size, None, arrays, fields)


def _own_rnn(module: Any) -> Recurrence:
    """Return the recurrence of an `RNN` from ``Replay.to_torch``."""
    phi = Reader(Laws(), causal=False).read(module.activation, "activation").layer
    arrays = {"weight": module.recurrent.weight, "bias_ih": module.recurrent.bias, "bias_hh": None}
    if module.input is not None and bool(module.input.weight.any()):  # 0: there is no drive
        arrays |= {"input_weight": module.input.weight, "drive": module.drive.transpose(1, 2)}
    if arrays["bias_ih"] is None:  # to_torch leaves out biases that are 0
        arrays["bias_ih"] = module.recurrent.weight.new_zeros(module.recurrent.out_features)
    fields = {"activation": phi, "leak": module.leak}
    return Recurrence(module, RNN, module.recurrent.out_features, module.steps, arrays, fields)
