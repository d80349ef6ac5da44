"""The structure of a network: its operations without the laws of its parameters.

Networks that differ in these laws only, as in a sweep over the gain, share compiled functions.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from vgsim._networks.description import Network
from vgsim._networks.operations import (
    Bias,
    Body,
    Drive,
    GateBias,
    Operation,
    Program,
    Weights,
)
from vgsim._networks.parameter_shapes import parameter_name, parameter_program
from vgsim._networks.techniques import Clip

__all__ = ["Structure"]


@dataclass(frozen=True)
class Structure:
    """The operations of a network, equal and hashed by all that its passes depend on.

    Attributes
    ----------
    bodies, order, widths, resting, tokens, state
        As of a `Program`, without the laws of matrices, biases and drive.
    clip : ClipNorm, ClipValue or None

    Examples
    --------
    >>> import vgsim
    >>> from vgsim._training.structure import Structure
    >>> narrow, wide = vgsim.MLP(5, 8, gain=0.5), vgsim.MLP(5, 8, init="he_uniform")
    >>> Structure.of(narrow, biases=True) == Structure.of(wide, biases=True)
    True
    >>> Structure.of(narrow, biases=True) == Structure.of(narrow, biases=False)
    False
    """

    bodies: tuple[Body, ...]
    order: tuple[int, ...]
    widths: tuple[int, ...]
    resting: tuple[bool, ...]
    tokens: int
    state: int
    clip: Clip | None

    @classmethod
    def of(cls, network: Network, *, biases: bool) -> Structure:
        """Return the structure of a network; with `biases`, every matrix has one."""
        program = parameter_program(network, biases=biases)
        return cls(
            bodies=tuple(tuple(map(_without_law, body)) for body in program.bodies),
            order=tuple(program.order.tolist()),
            widths=tuple(program.widths.tolist()),
            resting=tuple(program.resting.tolist()),
            tokens=program.tokens,
            state=program.state,
            clip=network.clip,
        )

    @cached_property
    def program(self) -> Program:
        """The operations, with standard deviations of 1."""
        return Program(
            bodies=self.bodies,
            order=np.array(self.order, dtype=np.int64),
            widths=np.array(self.widths, dtype=np.int64),
            resting=np.array(self.resting, dtype=np.bool_),
            tokens=self.tokens,
            state=self.state,
        )

    @cached_property
    def matrices(self) -> dict[int, list[str]]:
        """The names of the recorded matrices of each place that has some."""
        if self.program.shares_weights:
            return {1: ["weight"]}
        found: dict[int, list[str]] = {}
        for place in range(1, len(self.order) + 1):
            for operation in self.program.at(place):
                if isinstance(operation, Weights) and operation.recorded:
                    found.setdefault(place, []).append(parameter_name(operation, place))
        return found


def _without_law(operation: Operation) -> Operation:
    """Return an operation with a standard law of its parameter."""
    match operation:
        case Weights():
            return replace(operation, law="normal", std=1.0, parameters=())
        case Bias():
            return replace(operation, std=1.0, limit=0.0)
        case GateBias():
            same = replace(operation, std=1.0, limit=0.0, count=1, drawn_as=0)
            return replace(same, shift=0.0, most=0.0, sign=1.0)
        case Drive():
            return replace(operation, std=1.0, law="normal")
    return operation
