"""The long short-term memory, whose places are its steps."""

from __future__ import annotations

from dataclasses import KW_ONLY
from functools import cached_property
from typing import ClassVar

from vgsim._checks import value_error
from vgsim._domains import Number
from vgsim._networks.described import described
from vgsim._networks.description import Field
from vgsim._networks.initializers import Initializer
from vgsim._networks.mlp import MLP, Init
from vgsim._networks.operations import Program
from vgsim._networks.recurrent import INPUT_STD, STATE, STEPS, Recurrent, init_field
from vgsim._networks.recurrent_operations import lstm_program
from vgsim._networks.techniques import GATE_BIAS, Clip

__all__ = ["LSTM"]

FORGET_BIAS = 1.0


@described
class LSTM(Recurrent):
    """A long short-term memory at random initialisation, with the state (h, c).

    At step t = 1 … steps, with the logistic function σ and the drive s_t,

        i = σ(W_i h + U_i s_t + b_i),  f = σ(W_f h + U_f s_t + b_f),
        g = tanh(W_g h + U_g s_t + b_g),  o = σ(W_o h + U_o s_t + b_o),
        c ← f∘c + i∘g,  h ← o∘tanh(c).

    All W, U and b are drawn once and are the same at every step. The drive s_t is drawn anew at
    every step, i.i.d. N(0, 1). c_0 = 0, and h_0 is the input. The loss depends on the last h only.
    G_l = (∂L/∂h_l, ∂L/∂c_l) with h and c as independent variables, so that G_steps = (∂L/∂h, 0);
    X_l is h_l. Weight gradients are over the four W together.

    Parameters
    ----------
    steps : int
        Number of steps, at least 1.
    width : int
        Units n of h, and of c.
    init : str or Initializer, default "glorot_normal"
        The law of each of the four n × n matrices W. "textbook" is "glorot_normal". With
        ``torch_recurrent`` W, U and the biases have the law of ``torch.nn.LSTM``.
    gain : float, default 1.0
        Factor of W.
    input_std : float, default 0.5
        Standard deviation of an entry of U s_t: 0 (no drive), or from 1e-200 to 1e200. Each U is
        n × n with i.i.d. normal entries of standard deviation input_std/√n; with
        ``torch_recurrent`` they are uniform.
    bias_std : float, default 0.0
        Standard deviation of the normal biases ζ: 0, or from 1e-200 to 1e200. It must be 0 with
        ``torch_recurrent``, which has its own law of biases.
    forget_bias : float, optional
        b_f = ζ_f + forget_bias, from -1e6 to 1e6. By default 1, but 0 with `chrono` and with
        ``torch_recurrent``.
    chrono : float, optional
        T of the chrono initialisation, from 2 to 1e30: b_f = ζ_f + forget_bias + ln u with u
        uniform on [1, T − 1] for each unit, and b_i = −b_f. Not with ``torch_recurrent``.
    clip : ClipNorm or ClipValue, optional
        Clipping of every G_l, l = steps − 1 … 0, before it is recorded and propagated.

    Attributes
    ----------
    steps, width, init, gain, input_std, bias_std, forget_bias, chrono, clip
        As above, in normal form: equal networks compare equal and have the same canonical JSON.
        `forget_bias` is a number.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type or out of range; the message says what is allowed.

    Notes
    -----
    In narrow cells with arguments of gates beyond about ±87 (float32) or ±708 (float64), where no
    unit may be open in two gates at once, ratios of gradients below about 1e-20 or 1e-200 are
    inaccurate (docs/law.md, section 4).

    References
    ----------
    Hochreiter and Schmidhuber, "Long short-term memory", Neural Computation 1997. Forget bias:
    Jozefowicz, Zaremba and Sutskever, "An empirical exploration of recurrent network
    architectures", ICML 2015. Chrono: Tallec and Ollivier, "Can recurrent neural networks warp
    time?", ICLR 2018.

    Examples
    --------
    >>> import vgsim
    >>> lstm = vgsim.LSTM(steps=784, width=128, chrono=784)
    >>> lstm
    LSTM(steps=784, width=128, init='glorot_normal', forget_bias=0.0, chrono=784.0)
    >>> vgsim.LSTM(784, 128).forget_bias
    1.0
    """

    flag_value: ClassVar[str] = "lstm"
    gates: ClassVar[int] = 4

    steps: Field[int, int] = STEPS.again()
    width: Field[int, int] = STATE.again()
    _: KW_ONLY
    init: Field[Initializer, Init] = init_field("glorot_normal", "glorot_normal")
    gain: Field[float, float] = MLP._fields["gain"].again()
    input_std: Field[float, float] = INPUT_STD.again()
    bias_std: Field[float, float] = MLP._fields["bias_std"].again()
    forget_bias: Field[float, float | None] = Field(
        GATE_BIAS,
        default=None,
        implicit=FORGET_BIAS,
        optional=True,
        shown=True,
        help="bias of the forget gate (default: 1; 0 with --chrono or --init torch_recurrent)",
    )
    chrono: Field[float | None, float | None] = Field(
        Number("from 2 to 1e30", lambda x: 2 <= x <= 1e30),
        default=None,
        optional=True,
        metavar="T",
        help="chrono initialisation for memories of up to T steps",
    )
    clip: Field[Clip | None, Clip | None] = MLP._fields["clip"].again()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.chrono is not None and self.init.is_recurrent:
            raise value_error(
                "chrono",
                f"must be None with init {self.init.name!r}, which draws its own uniform biases, "
                f"got {self.chrono!r}",
            )
        if vars(self)["forget_bias"] is None:
            plain = self.chrono is None and not self.init.is_recurrent
            self._set(forget_bias=FORGET_BIAS if plain else 0.0)

    @cached_property
    def program(self) -> Program:
        """The operations of all steps."""
        return lstm_program(self, self.forget_bias, self.chrono)
