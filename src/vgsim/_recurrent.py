"""The frozen description of a recurrent network, seen through its steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from vgsim._activations import Activation, as_activation
from vgsim._cures import Clip, checked_clip, clip_from_dict
from vgsim._description import (
    COUNTERS,
    GAIN,
    STD,
    Description,
    check_bias,
    check_matrix,
    check_weight_std,
    checked_int,
)
from vgsim._initializers import Initializer, as_initializer

__all__ = ["RNN"]

_TANH = Activation("tanh")
_ORTHOGONAL = Initializer("orthogonal")


@dataclass(frozen=True, init=False, repr=False)
class RNN(Description):
    """A recurrent network at random initialisation: x_t = φ(W x_{t-1} + U s_t + b), t = 1 … steps.

    W, U and b are drawn once and are the same at every step; the drive s_t is drawn anew, i.i.d.
    N(0, 1). The loss acts on the last state alone, so the gradient goes back through all steps.
    A step is what a layer is in an :class:`MLP`: G_l is the gradient by the state x_l.

    Parameters
    ----------
    steps : int
        Number of steps, at least 1.
    width : int
        Units n of the state.
    activation : str or Activation, default "tanh"
        φ.
    init : str or Initializer, default "orthogonal"
        The law of the recurrent matrix W; "identity" is W = gain · I.
    gain : float, default 1.0
        Multiplies W.
    bias_std : float, default 0.0
        Standard deviation of the normal biases: 0, or from 1e-200 to 1e200. ``torch_default`` has
        its own law of biases; bias_std must be 0 there.
    input_std : float, default 0.5
        U is n × n with i.i.d. normal entries of standard deviation input_std/√n, so that input_std
        is that of an entry of U s_t: 0 (no drive), or from 1e-200 to 1e200.
    clip : ClipNorm or ClipValue, optional
        Clipping of every G_l, l = steps − 1 … 0.

    Attributes
    ----------
    steps, width, activation, init, gain, bias_std, input_std, clip
        As above, normalised: equal networks compare equal and have the same canonical JSON.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type or out of range; the message says what is allowed.

    Examples
    --------
    >>> import vgsim
    >>> rnn = vgsim.RNN(steps=100, width=64, gain=0.9)
    >>> rnn
    RNN(steps=100, width=64, gain=0.9)
    >>> rnn.depth
    100
    >>> vgsim.RNN(100, 64, activation="relu", init="identity", input_std=0).init.name
    'identity'
    """

    steps: int
    width: int
    activation: Activation = _TANH
    init: Initializer = _ORTHOGONAL
    gain: float = 1.0
    bias_std: float = 0.0
    input_std: float = 0.5
    clip: Clip | None = None

    _read: ClassVar = {
        "activation": Activation.from_json,
        "init": Initializer.from_json,
        "clip": clip_from_dict,
    }

    def __init__(
        self,
        steps: int,
        width: int,
        *,
        activation: str | Activation = "tanh",
        init: str | Initializer = "orthogonal",
        gain: float = 1.0,
        bias_std: float = 0.0,
        input_std: float = 0.5,
        clip: Clip | None = None,
    ) -> None:
        self._set(
            steps=checked_int("steps", steps, 1, COUNTERS - 1),
            width=checked_int("width", width, 1, COUNTERS - 1),
            activation=as_activation(activation),
            init=as_initializer(init),
            gain=GAIN.check("gain", gain),
            bias_std=STD.check("bias_std", bias_std),
            input_std=STD.check("input_std", input_std),
            clip=checked_clip(clip),
        )
        check_bias(self.init, self.bias_std)
        check_matrix(self.init, self.width, self.width)
        check_weight_std(f"gain={self.gain!r}", self.init, self.weight_std)

    @property
    def depth(self) -> int:
        """How far the gradient goes back: `steps`, the depth of the unrolled network."""
        return self.steps

    @property
    def widths(self) -> tuple[int, ...]:
        """The widths of the states x_0 … x_steps, all equal."""
        return (self.width,) * (self.steps + 1)

    @property
    def weight_std(self) -> float:
        """Standard deviation of an entry of W, gain included (of "identity": its RMS)."""
        return self.gain * self.init.weight_std(self.width, self.width)

    @property
    def bias_limit(self) -> float:
        """Limit of ``torch_default``'s uniform biases, 0 otherwise."""
        return self.init.bias_limit(self.width) or 0.0
