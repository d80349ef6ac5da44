"""The forward and backward pass of a network over its list of operations."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np

from vgsim._networks import operations
from vgsim._networks.operations import Operation, Program
from vgsim._networks.parameter_shapes import parameter_name
from vgsim._networks.techniques import Clip
from vgsim._twin.along import Gradients
from vgsim._twin.clipping import clipped, rescaling
from vgsim._twin.groups import Groups
from vgsim._twin.scaled import Scaled, scaled, shifted
from vgsim._twin.steps import (
    Activate,
    Attend,
    Bias,
    Copy,
    Drive,
    GateBias,
    Mask,
    Mix,
    Multiply,
    Normalise,
    Shift,
    Step,
    Sum,
    Weights,
)

__all__ = [
    "Place",
    "backward",
    "forward",
    "places_of",
    "stacked",
]


@dataclass
class Place:
    """The steps of one place, the number of registers of the state, and groups of equal columns.

    The groups, if any, are those of the columns of its gradients.
    """

    steps: list[Step]
    state: int = 1
    groups: Groups | None = None

    @property
    def matrices(self) -> list[Weights]:
        """The steps with the recorded matrices."""
        found = [step for step in self.steps if isinstance(step, Weights)]
        return [step for step in found if step.operation.recorded]

    @property
    def activations(self) -> list[Activate | Mix]:
        """The steps whose units "saturation" counts."""
        return [
            step
            for step in self.steps
            if isinstance(step, Activate) or (isinstance(step, Mix) and step.operation.counted)
        ]


def places_of(
    program: Program, parameters: Mapping[str, Any], columns: int, clip: Clip | None
) -> list[Place]:
    """Return the places 1 … D of a network with given parameters.

    Parameters
    ----------
    program : Program
    parameters : mapping
        By name: a `Matrix` for each matrix, an array for each mask, and the list of s_1 … s_D for
        "drive"; for each bias a column, None, or `Included` if the product with its matrix includes
        it. The matrices and biases of a recurrent network are lists, with one item for each gate.
    columns : int
        The number of columns of X_0.
    clip : Clip or None
        The clipping of the network; clipping by value does not keep products G · X.
    """
    by_value = clip is not None and clip.by == "value"
    places: list[Place] = []
    last: Operation | None = None
    for l in range(1, len(program.order) + 1):
        body = program.at(l)
        before, last = [last, *body[:-1]], body[-1]
        made = [
            _step(operation, previous, l, program.tokens, parameters, not by_value)
            for operation, previous in zip(body, before, strict=True)
        ]
        places.append(Place(made, program.state))
    if columns > 2 and not by_value and program.is_batch_normalised_chain:
        _group(places)
    return places


def _step(
    operation: Operation,
    previous: Operation | None,
    place: int,
    tokens: int,
    parameters: Mapping[str, Any],
    follows_products: bool,
) -> Step:
    """Return the step of an operation."""
    match operation:
        case operations.Weights(shared=True, gate=k):
            return Weights(operation, parameters[operation.name][k])
        case operations.Weights():
            return Weights(operation, parameters[parameter_name(operation, place)])
        case operations.GateBias(name=name, gate=k):
            return GateBias(operation, parameters[name][k if name == "bias" else 0])
        case operations.Bias(shared=True):
            return Bias(operation, parameters[operation.name][0])
        case operations.Bias():
            return Bias(operation, parameters[parameter_name(operation, place)])
        case operations.Mask():
            return Mask(operation, parameters[parameter_name(operation, place)])
        case operations.Drive(gate=k):
            return Drive(operation, parameters["input_weight"][k], parameters["drive"][place - 1])
        case operations.Normalise():
            return Normalise(operation, follows_products=follows_products)
        case operations.Activate():
            layer_norm = isinstance(previous, operations.Normalise) and previous.kind == "layer"
            return Activate(operation, follows_layer_norm=layer_norm)
        case operations.Attend():
            return Attend(operation, tokens)
        case operations.Shift():
            return Shift(operation)
        case operations.Copy():
            return Copy(operation)
        case operations.Sum():
            return Sum(operation)
        case operations.Multiply():
            return Multiply(operation)
        case operations.Mix():
            return Mix(operation)


def _group(places: Sequence[Place]) -> None:
    """Use groups of equal columns up to the last normalisation."""
    groups = products = None
    for step in (step for place in places for step in place.steps):
        if isinstance(step, Weights):
            groups, products = Groups(groups), step
        elif isinstance(step, Normalise) and products:
            products.groups = step.groups = groups
    above = None
    for place in reversed(places):
        for step in reversed(place.steps):
            if isinstance(step, Normalise):
                step.gathers = above is None
                above = step.groups
        place.groups = above


def forward(
    places: Sequence[Place], x: Scaled, report: Callable[[int], object] = lambda done: None
) -> list[Scaled]:
    """Return X_0 … X_D; the other registers of the state are zero before the first step.

    `report` is called with the number of places done.
    """
    states, registers = [x], dict(enumerate(_state(x, places)))
    for done, place in enumerate(places, 1):
        for step in place.steps:
            step(registers)
        states.append(registers[0])
        report(done)
    return states


def backward(
    places: Sequence[Place],
    g: Scaled,
    clip: Clip | None,
    report: Callable[[int], object] = lambda done: None,
) -> tuple[list[tuple[Scaled, ...]], list[float]]:
    """Return the clipped G_0 … G_D and the fractions of their entries that were clipped.

    G_l is a tuple of the gradients by the registers of the state. The loss is a function of X_D,
    the first of them. `report` is called with the number of places done.
    """
    state = _state(g, places)
    kept, fractions = [state], [0.0]
    gradients = Gradients()
    for register, part in enumerate(state):
        gradients.add(register, part)
    for done, place in enumerate(reversed(places), 1):
        for step in reversed(place.steps):
            step.back(gradients)
        taken = [gradients.take(register) for register in range(place.state)]
        state = tuple(place.groups.spread(g) if place.groups else g for g, _ in taken)
        whole = stacked(state)
        cut, fraction = clipped(clip, whole)
        if fraction:
            factor, state = rescaling(whole, cut), _unstacked(cut, place.state)
            taken = [
                (factor * g if place.groups else part, along.rescaled(factor) if along else None)
                for (g, along), part in zip(taken, state, strict=True)
            ]
        for register, (g, along) in enumerate(taken):
            gradients.add(register, g, along)
        kept.append(state)
        fractions.append(fraction)
        report(done)
    return kept[::-1], fractions[::-1]


def _state(x: Scaled, places: Sequence[Place]) -> tuple[Scaled, ...]:
    """Return the registers of a state: x, and zeros in the others."""
    return x, *(scaled(np.zeros_like(x.mantissa)) for _ in range(places[0].state - 1))


def stacked(state: Sequence[Scaled]) -> Scaled:
    """Return the registers of a state one above the other.

    Examples
    --------
    >>> import numpy as np
    >>> from vgsim._twin.scaled import scaled
    >>> from vgsim._twin.walk import stacked
    >>> both = stacked([scaled(np.array([[3.0]])), scaled(np.array([[4.0]]))])
    >>> (both.mantissa * 2.0**both.exponent).ravel()
    array([3., 4.])
    """
    if len(state) == 1:
        return state[0]
    common = reduce(np.maximum, [part.exponent for part in state])
    rows = [shifted(part.mantissa, part.exponent - common) for part in state]
    return scaled(np.vstack(rows), common)


def _unstacked(whole: Scaled, count: int) -> tuple[Scaled, ...]:
    """Return the registers of a state that are stacked."""
    if count == 1:
        return (whole,)
    return tuple(scaled(rows, whole.exponent) for rows in np.split(whole.mantissa, count))
