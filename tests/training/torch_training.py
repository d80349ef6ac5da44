"""Training by PyTorch in float64: given parameters, minibatches and draws, PyTorch's optimisers.

The modules are those of ``Replay.to_torch``, whose arrays become parameters here, by name. Nothing
of what trains in vgsim is used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

import vgsim
from vgsim._twin.torch import module

Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Minibatch:
    """One pass: rows of the data (columns, n_0), their targets, and what the pass draws."""

    x: np.ndarray
    y: np.ndarray
    draws: Arrays = field(default_factory=dict)


@dataclass
class Trained:
    """The loss of every pass, quantities of the recorded ones, and the final parameters."""

    loss: list[float] = field(default_factory=list)
    recorded: dict[str, list[np.ndarray]] = field(default_factory=dict)
    parameters: dict[str, np.ndarray] = field(default_factory=dict)

    def record(self, found: Mapping[str, object]) -> None:
        """Append the quantities of a pass."""
        for name, value in found.items():
            self.recorded.setdefault(name, []).append(np.asarray(value))


def trainable(network, parameters: Arrays, draws: Arrays) -> tuple[nn.Module, dict]:
    """Return a module and its parameters by the names of ``Replay.parameters``.

    An array of several registers is a part of a parameter of PyTorch: (parameter, slice).
    """
    P = {name: np.asarray(a, dtype=np.float64) for name, a in (parameters | dict(draws)).items()}
    if network.shares_weights:
        return _recurrent(network, P)
    if isinstance(network, vgsim.MLP):
        return _mlp(network, P)
    built = module(network, [], None, parameters=P)
    return built, {name: p for name, p in built.named_parameters() if name in P}


def _mlp(network, P: Arrays) -> tuple[nn.Module, dict]:
    """Return an MLP; the linear maps of its layers and gates alternate."""
    places = range(network.depth)
    weights = [P[f"{i}.weight"] for i in places]
    biases = [np.ones(len(W)) if f"{i}.bias" in P else None for i, W in enumerate(weights)]
    gates = [P[f"{i}.gate"] for i in places] if network.highway else None
    built = module(network, weights, biases, gate_weights=gates)
    linear = [m for m in built.modules() if isinstance(m, nn.Linear)]
    named = {}
    for i in places:
        layer, *gate = linear[2 * i : 2 * i + 2] if gates else linear[i : i + 1]
        named[f"{i}.weight"] = layer.weight
        if layer.bias is not None:
            named[f"{i}.bias"] = layer.bias
            _fill(layer.bias, P[f"{i}.bias"])
        for g in gate:  # the bias of a gate is a constant
            named[f"{i}.gate"] = g.weight
            g.bias.requires_grad_(False)
    return built, named


def _recurrent(network, P: Arrays) -> tuple[nn.Module, dict]:
    """Return an RNN or a cell of PyTorch, of whose two biases only the named parts are trained."""
    n = network.width
    if isinstance(network, vgsim.RNN):
        ones = [np.ones(n)] if "bias" in P else None
        U, drive = P.get("input_weight"), P.get("drive")
        built = module(network, [P["weight"]], ones, input_weights=U, drive=drive)
        named = {"weight": built.recurrent.weight}
        if ones:
            named["bias"] = built.recurrent.bias
            _fill(built.recurrent.bias, P["bias"])
        if U is not None:
            named["input_weight"] = built.input.weight
        return built, named
    built = module(network, [], None, parameters=P)
    cell = built.cell
    named = {"weight": cell.weight_hh, "bias": cell.bias_ih}
    if "input_weight" in P:
        named["input_weight"] = cell.weight_ih
    if "hidden_bias" in P:
        inside = torch.zeros(3 * n, dtype=torch.float64)
        inside[2 * n :] = 1.0
        cell.bias_hh.register_hook(lambda g: g * inside)
        named["hidden_bias"] = cell.bias_hh
    else:
        cell.bias_hh.requires_grad_(False)
    return built, named


def _fill(parameter: nn.Parameter, array: np.ndarray) -> None:
    with torch.no_grad():
        parameter.copy_(torch.as_tensor(array))


def redraw(built: nn.Module, draws: Arrays) -> None:
    """Give a module the masks and the drive of a pass."""
    for name, array in draws.items():
        value = torch.as_tensor(np.array(array, dtype=np.float64))
        if name == "drive":
            built.drive = value.transpose(1, 2)
        else:
            owner, _, last = name.rpartition(".")
            built.get_submodule(owner).register_buffer(last, value)


def mean_loss(kind: str, output: torch.Tensor, y: np.ndarray) -> torch.Tensor:
    """Return the loss, a mean over the rows of the minibatch."""
    if kind == "cross_entropy":
        return F.cross_entropy(output, torch.as_tensor(np.array(y, dtype=np.int64)))
    target = torch.as_tensor(np.array(y, dtype=np.float64))
    return 0.5 * (output - target).square().sum() / len(output)


def train(
    network,
    parameters: Arrays,
    passes: Sequence[Minibatch],
    optimizer: Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer],
    *,
    loss: str = "cross_entropy",
    clip: tuple[str, float] | None = None,
    biases: bool = True,
    recorded: Sequence[int] = (),
) -> Trained:
    """Train from given parameters through the passes, and update after each.

    `clip` is ("norm" or "value", bound) of the gradient of all trained parameters together. Without
    `biases` these stay as they are.
    """
    built, named = trainable(network, parameters, passes[0].draws)
    for name, p in named.items():
        p.requires_grad_(biases or "bias" not in name.rpartition(".")[2])
    trained = [p for p in named.values() if p.requires_grad]
    steps = optimizer(trained)
    matrices = _matrices(named, gates=not isinstance(network, vgsim.MLP))
    first = {name: p.detach().clone() for name, p in named.items()}
    result = Trained()
    for t, now in enumerate(passes):
        redraw(built, now.draws)
        x = torch.tensor(now.x, dtype=torch.float64, requires_grad=True)
        output = built(x)
        value = mean_loss(loss, output, now.y)
        states = list(built.states)
        cells = list(getattr(built.states, "cells", ()))
        found = torch.autograd.grad(
            value, [*states, *cells, *trained], allow_unused=True, materialize_grads=True
        )
        G, by_cell = found[: len(states)], found[len(states) : len(states) + len(cells)]
        gradients = found[len(states) + len(cells) :]
        by_parameter = {id(p): g for p, g in zip(trained, gradients, strict=True)}
        for p, g in zip(trained, clipped(gradients, clip), strict=True):
            p.grad = g
        before = {name: p.detach().clone() for name, p in named.items()}
        steps.step()
        result.loss.append(value.item())
        if t not in recorded:
            continue
        pairs = zip(G, by_cell, strict=True) if by_cell else ((g,) for g in G)
        quantities = {
            "gradient": [_norm(pair) for pair in pairs],
            "activation": [s.detach().square().mean().sqrt().item() for s in states],
            "weight_gradient": [_norm([by_parameter[id(named[n])] for n in ns]) for ns in matrices],
            "update_ratio": [_moved(named, before, ns) for ns in matrices],
            "movement": [_moved(named, first, ns) for ns in matrices],
        }
        with np.errstate(divide="ignore"):
            result.record({name: np.log10(value) for name, value in quantities.items()})
        if loss == "cross_entropy":
            right = output.detach().argmax(1).numpy() == now.y
            result.record({"accuracy": right.mean()})
    result.parameters = {name: _part(name, p, network) for name, p in named.items()}
    return result


def clipped(gradients: Sequence[torch.Tensor], clip: tuple[str, float] | None):
    """Return gradients clipped by value, or by the norm over all of them."""
    if clip is None:
        return list(gradients)
    kind, bound = clip
    if kind == "value":
        return [g.clamp(-bound, bound) for g in gradients]
    size = _norm(gradients)
    return [g * (bound / max(size, bound)) for g in gradients]


def _norm(arrays: Iterable[torch.Tensor]) -> float:
    """Return the root of the sum of all squares."""
    return sum(a.square().sum().item() for a in arrays) ** 0.5


def _moved(named, since, names: Sequence[str]) -> float:
    """Return ‖W − W'‖/‖W'‖ over matrices of one place, W' being those of an earlier pass."""
    moved = _norm([named[n].detach() - since[n] for n in names])
    return moved / _norm([since[n] for n in names])


def _matrices(named, *, gates: bool) -> list[list[str]]:
    """Return the names of the matrices of each place that has any, those of `gates` among them."""
    if "weight" in named:
        return [["weight"]]
    places: dict[int, list[str]] = {}
    for name, p in named.items():
        if p.ndim == 2 and (gates or not name.endswith("gate")):
            places.setdefault(int(name.split(".")[0]), []).append(name)
    return [places[place] for place in sorted(places)]


def _part(name: str, p: nn.Parameter, network) -> np.ndarray:
    """Return the array of a name; that of "hidden_bias" is the last part of a parameter."""
    array = p.detach().numpy().copy()
    return array[2 * network.width :] if name == "hidden_bias" else array
