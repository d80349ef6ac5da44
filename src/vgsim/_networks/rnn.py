"""The recurrent network, whose places are its steps."""

from __future__ import annotations

from dataclasses import KW_ONLY
from functools import cached_property

from vgsim._domains import Number
from vgsim._networks.activations import Activation
from vgsim._networks.described import described
from vgsim._networks.description import Field
from vgsim._networks.initializers import Initializer
from vgsim._networks.mlp import MLP, TEXTBOOK, Init
from vgsim._networks.operations import Program
from vgsim._networks.recurrent import INPUT_STD, STATE, STEPS, Recurrent, init_field
from vgsim._networks.recurrent_operations import rnn_program
from vgsim._networks.techniques import Clip
from vgsim.typing import ActivationName

__all__ = ["RNN"]


@described
class RNN(Recurrent):
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
        ``torch_default`` and ``torch_recurrent``, which have their own laws of biases.
    input_std : float, default 0.5
        Standard deviation of an entry of U s_t: 0 (no drive), or from 1e-200 to 1e200. U is n × n
        with i.i.d. normal entries of standard deviation input_std/√n; with ``torch_recurrent`` they
        are uniform.
    leak : float, default 1.0
        α in x_t = (1 − α) x_{t-1} + α φ(W x_{t-1} + U s_t + b), from 1e-100 to 1.
    clip : ClipNorm or ClipValue, optional
        Clipping of every G_l, l = steps − 1 … 0, before it is recorded and propagated.

    Attributes
    ----------
    steps, width, activation, init, gain, bias_std, input_std, leak, clip
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

    steps: Field[int, int] = STEPS.again()
    width: Field[int, int] = STATE.again()
    _: KW_ONLY
    activation: Field[Activation, ActivationName | Activation] = MLP._fields["activation"].again()
    init: Field[Initializer, Init] = init_field(TEXTBOOK, "orthogonal")
    gain: Field[float, float] = MLP._fields["gain"].again()
    bias_std: Field[float, float] = MLP._fields["bias_std"].again()
    input_std: Field[float, float] = INPUT_STD.again()
    leak: Field[float, float] = Field(
        Number("from 1e-100 to 1", lambda x: 1e-100 <= x <= 1),
        default=1.0,
        help="x_t = (1 - leak) x_{t-1} + leak φ(...) (default: 1)",
    )
    clip: Field[Clip | None, Clip | None] = MLP._fields["clip"].again()

    @cached_property
    def program(self) -> Program:
        """The operations of all steps."""
        return rnn_program(self, self.leak)
