"""What RNN, LSTM and GRU have in common: steps for layers, and one set of matrices for all."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from vgsim._checks import COUNTERS, value_error
from vgsim._domains import NamedDomain
from vgsim._networks.description import Field, Network
from vgsim._networks.initializers import (
    STD,
    UNITS,
    Initializer,
    check_bias,
    check_matrix,
    check_weight_std,
    padded,
)
from vgsim._networks.mlp import MLP, TEXTBOOK, Init
from vgsim.typing import InitializerName

__all__ = ["INPUT_STD", "STATE", "STEPS", "Recurrent", "init_field"]

STEPS: Field[int, int] = Field(UNITS, metavar="D", flag="depth", help="number of steps")
STATE: Field[int, int] = Field(UNITS, help="units of the state")
INPUT_STD: Field[float, float] = Field(
    STD, default=0.5, help="scale of the random drive of every step (default: 0.5)"
)


def init_field(
    default: InitializerName | Literal["textbook"], textbook: InitializerName
) -> Field[Initializer, Init]:
    """Return the field of the law of the matrices; `textbook` is what "textbook" stands for."""
    return Field(
        NamedDomain(Initializer, TEXTBOOK),
        default=default,
        implicit=Initializer(textbook),
        shown=True,
        help=MLP._fields["init"].help,
    )


class Recurrent(Network, abstract=True):
    """A network whose places are the steps of a cell, with the same matrices at every step."""

    place: ClassVar[str] = "step"
    flag: ClassVar[str | None] = "rnn"
    flag_help: ClassVar[str] = (
        "recurrent networks, with the same weights at all steps: --depth is the number of steps, "
        "and layers are steps (default of --rnn: rnn)"
    )
    shares_weights: ClassVar[bool] = True
    takes_zeros: ClassVar[bool] = True
    gates: ClassVar[int] = 1  # n × n matrices W_k that act on the state

    def __post_init__(self) -> None:
        if vars(self)["init"] == TEXTBOOK:
            self._set(init=self._fields["init"].implicit)
        check_bias(self.init, self.bias_std)
        check_matrix(self.init, self.width, self.width)
        check_weight_std(self.init, self.width, self.width, self.gain)
        entries = self.gates * self.width * padded(self.width)
        if entries >= COUNTERS:
            raise value_error(
                "width",
                f"must give {self.gates} matrices of fewer than 2**32 = {COUNTERS} entries in all, "
                f"with rows padded to a multiple of 4, got width {self.width}: {entries}",
            )
        if self.gates > 1 and self.init.name == "torch_default":
            raise value_error(
                "init",
                f"must not be 'torch_default' in a network of kind {type(self).__name__}: the law "
                f"of torch.nn.{type(self).__name__} is 'torch_recurrent'",
            )

    @property
    def weight_std(self) -> float:
        """Standard deviation of an entry of a matrix, gain included; with "identity", the RMS."""
        return float(self.gain * self.init.weight_std(self.width, self.width))

    @property
    def weight_stds(self) -> NDArray[np.float64]:
        """`weight_std` for every step; (steps,)."""
        return np.full(self.listed_depth(), self.weight_std)

    @property
    def bias_limit(self) -> float:
        """Limit of the uniform biases of an initialiser that has its own, 0 otherwise."""
        return self.init.bias_limit(self.width) or 0.0

    @property
    def bias_limits(self) -> NDArray[np.float64]:
        """`bias_limit` for every step; (steps,)."""
        return np.full(self.listed_depth(), self.bias_limit)
