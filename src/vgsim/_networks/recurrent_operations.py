"""The operations of a step of an RNN, of an LSTM and of a GRU."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from vgsim._networks.activations import Activation
from vgsim._networks.description import Network
from vgsim._networks.elements import biases, weights
from vgsim._networks.operations import (
    Activate,
    Copy,
    Drive,
    GateBias,
    Mix,
    Multiply,
    Operation,
    Program,
    Sum,
    Weights,
)

__all__ = ["gru_program", "lstm_program", "rnn_program"]

H, C = 0, 1  # registers of the state; C is also the skip connection of a leaky RNN
SIGMOID, TANH = Activation("sigmoid"), Activation("tanh")


def rnn_program(net: Network, leak: float) -> Program:
    """Return the operations of an RNN: one body for all steps, with shared matrices.

    Examples
    --------
    >>> import vgsim
    >>> from vgsim._networks.recurrent_operations import rnn_program
    >>> [type(operation).__name__ for operation in rnn_program(vgsim.RNN(5, 8), 1).bodies[0]]
    ['Weights', 'Drive', 'Activate']
    """
    n, init = net.width, net.init
    bias = biases(init, net.bias_std, (n, n), H, "bias", shared=True)
    if init.is_recurrent:
        bias = _bias(net, H, 0)
    step = [_weights(net, H, 0), *bias, *_drive(net, H, 0), Activate(H, net.activation)]
    if leak < 1:
        step = [Copy(H, C), *step, Sum(H, C, skip=1 - leak, branch=leak)]
    return _program(net, step)


def lstm_program(net: Network, forget_bias: float, chrono: float | None) -> Program:
    """Return the operations of an LSTM: one body for all steps; the state is registers 0 and 1.

    Examples
    --------
    >>> import vgsim
    >>> from vgsim._networks.recurrent_operations import lstm_program
    >>> (body,) = lstm_program(vgsim.LSTM(5, 8), 1.0, None).bodies
    >>> names = [type(operation).__name__ for operation in body]
    >>> names[:7]
    ['Weights', 'Drive', 'Activate', 'Weights', 'GateBias', 'Drive', 'Activate']
    >>> names[-6:]
    ['Multiply', 'Multiply', 'Sum', 'Copy', 'Activate', 'Multiply']
    """
    i, f, g, o = 2, 3, 4, 5  # registers of the gates
    most = 0.0 if chrono is None else chrono - 1
    own = [_bias(net, register, gate) for gate, register in enumerate((i, f, g, o))]
    own[1] = _bias(net, f, 1, shift=forget_bias, most=most)
    if chrono is not None:
        own[0] = _bias(net, i, 0, shift=forget_bias, most=most, sign=-1.0, drawn_as=1)
    step: list[Operation] = []
    for gate, (register, phi) in enumerate(((i, SIGMOID), (f, SIGMOID), (g, TANH), (o, SIGMOID))):
        matrix, drive = _weights(net, register, gate), _drive(net, register, gate)
        step += [matrix, *own[gate], *drive, Activate(register, phi)]
    step += [Multiply(g, i), Multiply(C, f), Sum(C, g, skip=1.0, branch=1.0)]  # c = f∘c + i∘g
    step += [Copy(C, H), Activate(H, TANH), Multiply(H, o)]  # h = o∘tanh(c)
    return _program(net, step, state=2)


def gru_program(net: Network, update_bias: float) -> Program:
    """Return the operations of a GRU: one body for all steps.

    Examples
    --------
    >>> import vgsim
    >>> from vgsim._networks.recurrent_operations import gru_program
    >>> net = vgsim.GRU(5, 8, input_std=0)
    >>> [type(operation).__name__ for operation in gru_program(net, 0.0).bodies[0]]
    ['Weights', 'Activate', 'Weights', 'Weights', 'Multiply', 'Activate', 'Mix']
    """
    r, z, n = 2, 3, 4  # registers of the gates
    two = net.init.is_recurrent  # one bias of the candidate inside r∘(…), one outside
    inside = _bias(net, n, 2, count=1, name="hidden_bias") if two else []
    outside = _bias(net, n, 2, count=1)
    update = _bias(net, z, 1, shift=update_bias)
    reset = [_weights(net, r, 0), *_bias(net, r, 0), *_drive(net, r, 0), Activate(r, SIGMOID)]
    mixing = [_weights(net, z, 1), *update, *_drive(net, z, 1)]
    product = [_weights(net, n, 2), *inside, Multiply(n, r)]  # r∘(W_n h)
    candidate = [*product, *outside, *_drive(net, n, 2), Activate(n, TANH)]
    return _program(net, [*reset, *mixing, *candidate, Mix(H, n, z, counted=True)])


def _program(net: Network, step: Sequence[Operation], state: int = 1) -> Program:
    """Return the program of a network whose places all have the same operations."""
    widths = net.width_array
    return Program(
        bodies=(tuple(step),),
        order=np.zeros(net.depth, dtype=np.int64),
        widths=widths,
        resting=np.ones(net.depth + 1, dtype=bool),
        state=state,
    )


def _weights(net: Network, target: int, gate: int) -> Weights:
    """Return W_k h, k = `gate`."""
    n = net.width
    matrix = weights(net.init, net.gain, (n, n), target, "weight")
    return replace(matrix, shared=True, gate=gate)


def _drive(net: Network, register: int, gate: int) -> list[Operation]:
    """Return the drive of a gate, if there is one."""
    n, law = net.width, "uniform" if net.init.is_recurrent else "normal"
    drive = Drive(register, n, net.input_std / math.sqrt(n), gate=gate, law=law)
    return [drive] if net.input_std > 0 else []


def _bias(
    net: Network,
    register: int,
    gate: int,
    *,
    shift: float = 0.0,
    most: float = 0.0,
    sign: float = 1.0,
    drawn_as: int | None = None,
    count: int | None = None,
    name: str = "bias",
) -> list[Operation]:
    """Return the bias of a gate, if it is not always 0; see `GateBias`."""
    limit, std = net.init.bias_limit(net.width) or 0.0, net.bias_std
    if not (limit or std or shift or most):
        return []
    count = count or (2 if limit else 1)
    own = gate if drawn_as is None else drawn_as
    zetas = count if limit or std else 0
    return [GateBias(register, net.width, gate, std, limit, zetas, shift, most, sign, own, name)]
