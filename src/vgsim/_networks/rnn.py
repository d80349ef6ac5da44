"""The recurrent network, whose places are its steps."""

from __future__ import annotations

from dataclasses import KW_ONLY
from functools import cached_property
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from vgsim._domains import NamedDomain
from vgsim._networks.activations import Activation
from vgsim._networks.description import Field, Network, described
from vgsim._networks.initializers import (
    STD,
    UNITS,
    Initializer,
    check_bias,
    check_matrix,
    check_weight_std,
)
from vgsim._networks.mlp import MLP, TEXTBOOK
from vgsim._networks.mlp_operations import rnn_program
from vgsim._networks.operations import Program
from vgsim._networks.techniques import Clip

__all__ = ["RNN"]


@described
class RNN(Network):
    """A recurrent network at random initialisation: x_t = φ(W x_{t-1} + U s_t + b), t = 1 … steps.

    W, U and b are drawn once and are the same at every step. The drive s_t is drawn anew at every
    step, i.i.d. N(0, 1). The loss depends on the last state only, so the gradient passes through
    all steps. Steps take the place of the layers of an :class:`MLP`: G_l = ∂L/∂x_l, with x_l the
    state after step l.

    Parameters
    ----------
    steps : int
        Number of steps, at least 1.
    width : int
        Units n of the state.
    activation : str or Activation, default "tanh"
        φ.
    init : str or Initializer, default "textbook"
        The law of the recurrent matrix W. "textbook" is "orthogonal"; "identity" is W = gain · I.
    gain : float, default 1.0
        Factor of W.
    bias_std : float, default 0.0
        Standard deviation of the normal biases: 0, or from 1e-200 to 1e200. It must be 0 with
        ``torch_default``, which has its own law of biases.
    input_std : float, default 0.5
        Standard deviation of an entry of U s_t: 0 (no drive), or from 1e-200 to 1e200. U is n × n
        with i.i.d. normal entries of standard deviation input_std/√n.
    clip : ClipNorm or ClipValue, optional
        Clipping of every G_l, l = steps − 1 … 0, before it is recorded and propagated.

    Attributes
    ----------
    steps, width, activation, init, gain, bias_std, input_std, clip
        As above, in normal form: equal networks compare equal and have the same canonical JSON.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type or out of range; the message says what is allowed.

    Examples
    --------
    >>> import vgsim
    >>> rnn = vgsim.RNN(steps=100, width=64, gain=0.9)
    >>> rnn
    RNN(steps=100, width=64, init='orthogonal', gain=0.9)
    >>> rnn.depth
    100
    >>> vgsim.RNN(100, 64, activation="relu", init="identity", input_std=0).init.name
    'identity'
    """

    place: ClassVar[str] = "step"
    flag: ClassVar[str] = "rnn"
    flag_help: ClassVar[str] = (
        "recurrent networks, with one weight matrix for all steps: --depth is the number of steps, "
        "and layers are steps"
    )
    shares_weights: ClassVar[bool] = True

    steps: Field[int, int] = Field(UNITS, metavar="D", flag="depth", help="number of steps")
    width: Field[int, int] = Field(UNITS, help="units of the state")
    _: KW_ONLY
    activation: Field[Activation, str | Activation] = MLP._fields["activation"].again()
    init: Field[Initializer, str | Initializer] = Field(
        NamedDomain(Initializer, TEXTBOOK),
        default=TEXTBOOK,
        implicit=Initializer("orthogonal"),
        shown=True,
    )
    gain: Field[float, float] = MLP._fields["gain"].again()
    bias_std: Field[float, float] = MLP._fields["bias_std"].again()
    input_std: Field[float, float] = Field(
        STD, default=0.5, help="scale of the random drive of every step (default: 0.5)"
    )
    clip: Field[Clip | None, Clip | None] = MLP._fields["clip"].again()

    def __post_init__(self) -> None:
        if vars(self)["init"] == TEXTBOOK:
            self._set(init=Initializer("orthogonal"))
        check_bias(self.init, self.bias_std)
        check_matrix(self.init, self.width, self.width)
        check_weight_std(self.init, self.width, self.width, self.gain)

    @cached_property
    def program(self) -> Program:
        """The operations of all steps."""
        return rnn_program(self)

    @property
    def weight_std(self) -> float:
        """Standard deviation of an entry of W, gain included; with "identity", the RMS."""
        return self.gain * self.init.weight_std(self.width, self.width)

    @property
    def weight_stds(self) -> NDArray[np.float64]:
        """`weight_std` for every step; (steps,)."""
        return np.full(self.listed_depth(), self.weight_std)

    @property
    def matrix_gains(self) -> NDArray[np.float64]:
        """The gain, for every step; (steps,)."""
        return np.full(self.listed_depth(), self.gain)

    @property
    def bias_limit(self) -> float:
        """Limit of the uniform biases of ``torch_default``, 0 otherwise."""
        return self.init.bias_limit(self.width) or 0.0

    @property
    def bias_limits(self) -> NDArray[np.float64]:
        """`bias_limit` for every step; (steps,)."""
        return np.full(self.listed_depth(), self.bias_limit)
