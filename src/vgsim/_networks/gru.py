"""The gated recurrent unit, whose places are its steps."""

from __future__ import annotations

from dataclasses import KW_ONLY
from functools import cached_property
from typing import ClassVar

from vgsim._networks.described import described
from vgsim._networks.description import Field
from vgsim._networks.initializers import Initializer
from vgsim._networks.mlp import MLP, Init
from vgsim._networks.operations import Program
from vgsim._networks.recurrent import INPUT_STD, STATE, STEPS, Recurrent, init_field
from vgsim._networks.recurrent_operations import gru_program
from vgsim._networks.techniques import GATE_BIAS, Clip

__all__ = ["GRU"]


@described
class GRU(Recurrent):
    """A network of gated recurrent units at random initialisation.

    At step t = 1 … steps, with the logistic function σ and the drive s_t,

        r = σ(W_r h + U_r s_t + b_r),  z = σ(W_z h + U_z s_t + b_z),
        n = tanh(U_n s_t + b_n + r∘(W_n h)),  h ← (1 − z)∘n + z∘h.

    All W, U and b are drawn once and are the same at every step. The drive s_t is drawn anew at
    every step, i.i.d. N(0, 1). The input is h_0, the loss depends on the last h only, and
    G_l = ∂L/∂h_l. Weight gradients are over the three W together.

    Parameters
    ----------
    steps : int
        Number of steps, at least 1.
    width : int
        Units n of h.
    init : str or Initializer, default "glorot_normal"
        The law of each of the three n × n matrices W. "textbook" is "glorot_normal". With
        ``torch_recurrent`` W, U and the biases have the law of ``torch.nn.GRU``, one bias of the
        candidate being inside: n = tanh(U_n s_t + b_n + r∘(W_n h + b')).
    gain : float, default 1.0
        Factor of W.
    input_std : float, default 0.5
        Standard deviation of an entry of U s_t: 0 (no drive), or from 1e-200 to 1e200. Each U is
        n × n with i.i.d. normal entries of standard deviation input_std/√n; with
        ``torch_recurrent`` they are uniform.
    bias_std : float, default 0.0
        Standard deviation of the normal biases: 0, or from 1e-200 to 1e200. It must be 0 with
        ``torch_recurrent``, which has its own law of biases.
    update_bias : float, default 0.0
        Added to b_z, from -1e6 to 1e6. The higher it is, the nearer h_t is to h_{t-1}.
    clip : ClipNorm or ClipValue, optional
        Clipping of every G_l, l = steps − 1 … 0, before it is recorded and propagated.

    Attributes
    ----------
    steps, width, init, gain, input_std, bias_std, update_bias, clip
        As above, in normal form: equal networks compare equal and have the same canonical JSON.

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
    Cho et al., "Learning phrase representations using RNN encoder-decoder for statistical machine
    translation", EMNLP 2014, with r and z as in ``torch.nn.GRU``.

    Examples
    --------
    >>> import vgsim
    >>> gru = vgsim.GRU(steps=100, width=64, gain=2)
    >>> gru
    GRU(steps=100, width=64, init='glorot_normal', gain=2.0)
    >>> gru.depth
    100
    """

    flag_value: ClassVar[str] = "gru"
    gates: ClassVar[int] = 3

    steps: Field[int, int] = STEPS.again()
    width: Field[int, int] = STATE.again()
    _: KW_ONLY
    init: Field[Initializer, Init] = init_field("glorot_normal", "glorot_normal")
    gain: Field[float, float] = MLP._fields["gain"].again()
    input_std: Field[float, float] = INPUT_STD.again()
    bias_std: Field[float, float] = MLP._fields["bias_std"].again()
    update_bias: Field[float, float] = Field(
        GATE_BIAS, default=0.0, help="bias of the update gate (default: 0)"
    )
    clip: Field[Clip | None, Clip | None] = MLP._fields["clip"].again()

    @cached_property
    def program(self) -> Program:
        """The operations of all steps."""
        return gru_program(self, self.update_bias)
