"""Recurrent networks: fields, errors, identity, and the operations of a step."""

import math
import re

import numpy as np
import pytest

import vgsim
from vgsim import GRU, LSTM, MLP, RNN, ClipNorm, Initializer
from vgsim._networks.operations import (
    Activate,
    Bias,
    Copy,
    Drive,
    GateBias,
    Mix,
    Multiply,
    Sum,
    Weights,
)

KINDS = [RNN, LSTM, GRU]
X, H = 0.7, 0.3  # a drive and a state of one unit


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def stepped(network, weight, drive, bias, h, c=0.0):
    """Return the state after one step of one unit, by the list of operations.

    weight[k], drive[k] and bias[k] are those of gate k; the key "hidden" is the inner bias.
    """
    registers = [h, c] + [math.nan] * 4
    for o in network.program.at(1):
        match o:
            case Weights(source=source, target=target, gate=gate):
                registers[target] = weight[gate] * registers[source]
            case Bias(register=r):
                registers[r] += bias[0]
            case GateBias(register=r, gate=gate, name=name):
                registers[r] += bias["hidden" if name == "hidden_bias" else gate]
            case Drive(register=r, gate=gate):
                registers[r] += drive[gate]
            case Activate(register=r, activation=phi):
                registers[r] = {"sigmoid": sigmoid, "tanh": math.tanh}[phi.name](registers[r])
            case Copy(source=source, target=target):
                registers[target] = registers[source]
            case Multiply(register=r, other=other):
                registers[r] *= registers[other]
            case Sum(register=r, other=other, skip=skip, branch=branch):
                registers[r] = skip * registers[other] + branch * registers[r]
            case Mix(register=r, other=other, gate=gate):
                share = sigmoid(registers[gate])
                registers[r] = share * registers[r] + (1 - share) * registers[other]
            case _:
                raise AssertionError(o)
    return registers[: network.program.state]


@pytest.fixture
def torch():
    return pytest.importorskip("torch", reason="PyTorch's cells are the oracle of this test")


def cell_of(torch, kind, hidden):
    """Return PyTorch's cell of one unit, and the weights, drives and biases of its gates."""
    cell = {RNN: torch.nn.RNNCell, LSTM: torch.nn.LSTMCell, GRU: torch.nn.GRUCell}[kind]
    torch.manual_seed(1)
    made = cell(1, 1, dtype=torch.float64)
    with torch.no_grad():
        if not hidden:
            made.bias_hh.zero_()
    parameters = made.weight_hh, made.weight_ih, made.bias_ih, made.bias_hh
    w, u, b_ih, b_hh = (p.detach().numpy().ravel() for p in parameters)
    return made, w, u * X, b_ih, b_hh


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("init", ["glorot_normal", "torch_recurrent"])
def test_a_step_is_that_of_pytorch(torch, kind, init):
    own = init == "torch_recurrent"
    cell, w, u, b_ih, b_hh = cell_of(torch, kind, hidden=own)
    network = kind(3, 1, init=init, **({} if own else {"bias_std": 1.0}))
    bias = dict(enumerate(b_ih + b_hh))
    if kind is GRU:
        bias[2], bias["hidden"] = b_ih[2], b_hh[2]
    x, h, c = (torch.tensor([[v]], dtype=torch.float64) for v in (X, H, -0.4))
    with torch.no_grad():
        expected = cell(x, (h, c)) if kind is LSTM else (cell(x, h),)
    found = stepped(network, w, u, bias, H, -0.4)
    assert found == pytest.approx([float(one) for one in expected], rel=1e-14)


def test_a_leaky_step():
    network = RNN(3, 1, leak=0.25)
    (found,) = stepped(network, [0.9], [X], [0.0], H)
    assert found == pytest.approx(0.75 * H + 0.25 * math.tanh(0.9 * H + X), rel=1e-15)


def test_an_rnn_without_leak_has_the_operations_it_had():
    names = [type(o).__name__ for o in RNN(3, 4, bias_std=0.1).program.at(1)]
    assert names == ["Weights", "Bias", "Drive", "Activate"]
    assert RNN(3, 4, leak=1).canonical_json() == '{"kind":"RNN","steps":3,"width":4}'


def gate_biases(network):
    return {o.gate: o for o in network.program.at(1) if isinstance(o, GateBias)}


def test_biases_of_the_gates():
    (forget,) = gate_biases(LSTM(3, 4)).values()
    assert (forget.gate, forget.shift, forget.count, forget.most) == (1, 1.0, 0, 0.0)
    assert not gate_biases(LSTM(3, 4, forget_bias=0))
    assert not gate_biases(GRU(3, 4))
    (update,) = gate_biases(GRU(3, 4, update_bias=-2)).values()
    assert (update.gate, update.shift) == (1, -2.0)
    normal = gate_biases(LSTM(3, 4, bias_std=0.5))
    assert [(o.std, o.count, o.drawn_as) for o in normal.values()] == [
        (0.5, 1, gate) for gate in range(4)
    ]


def test_chrono_biases_of_input_and_forget_gates_are_opposite():
    biases = gate_biases(LSTM(3, 4, chrono=784, bias_std=0.5, forget_bias=0.25))
    i, f = biases[0], biases[1]
    assert (f.sign, i.sign) == (1.0, -1.0)
    drawn = [(o.drawn_as, o.std, o.count, o.shift, o.most) for o in (i, f)]
    assert drawn == [(1, 0.5, 1, 0.25, 783.0)] * 2


def test_laws_of_torch_recurrent_are_those_of_pytorch(torch):
    n = 200
    init = Initializer("torch_recurrent")
    for kind, module in ((RNN, torch.nn.RNN), (LSTM, torch.nn.LSTM), (GRU, torch.nn.GRU)):
        torch.manual_seed(0)
        made = {name: p.detach().numpy() for name, p in module(n, n).named_parameters()}
        network = kind(3, n, init=init, input_std=3**-0.5)
        weights = made["weight_hh_l0"]
        assert weights.shape == (n * network.gates, n)
        assert weights.std() == pytest.approx(network.weight_std, rel=0.02)
        (drive,) = {(o.std, o.law) for o in network.program.of(Drive)}
        assert made["weight_ih_l0"].std() == pytest.approx(drive[0], rel=0.02)
        assert drive[1] == "uniform"
        total = made["bias_ih_l0"] + made["bias_hh_l0"]
        gate = next(o for o in network.program.at(1) if isinstance(o, GateBias))
        assert gate.count == 2
        assert total.std() == pytest.approx(gate.limit * math.sqrt(2 / 3), rel=0.1)
        assert np.abs(total).max() < 2 * gate.limit


def test_biases_of_a_gru_of_pytorch():
    biases = [o for o in GRU(3, 4, init="torch_recurrent").program.at(1) if isinstance(o, GateBias)]
    assert [(o.name, o.gate, o.count) for o in biases] == [
        ("bias", 0, 2),
        ("bias", 1, 2),
        ("hidden_bias", 2, 1),
        ("bias", 2, 1),
    ]


@pytest.mark.parametrize(
    ("options", "resolved"),
    [
        ({}, 1.0),
        ({"chrono": 10}, 0.0),
        ({"init": "torch_recurrent"}, 0.0),
        ({"forget_bias": 5}, 5.0),
        ({"forget_bias": 1, "chrono": 10}, 1.0),
    ],
)
def test_forget_bias(options, resolved):
    network = LSTM(5, 4, **options)
    assert network.forget_bias == resolved
    assert LSTM.from_dict(network.to_dict()) == network
    assert network.with_depth(9) == LSTM(9, 4, **options)
    assert LSTM(5, 4, **{**options, "forget_bias": resolved}) == network
    assert network.labels["forget_bias"] == resolved


@pytest.mark.parametrize("kind", [LSTM, GRU])
def test_fields_at_their_default_are_left_out(kind):
    name = kind.__name__
    shown = ", forget_bias=1.0" if kind is LSTM else ""
    assert kind(5, 4).canonical_json() == f'{{"kind":"{name}","steps":5,"width":4}}'
    assert repr(kind(5, 4)) == f"{name}(steps=5, width=4, init='glorot_normal'{shown})"
    assert kind(5, 4, init="textbook") == kind(5, 4)
    assert kind(5, 4, init="orthogonal", clip=ClipNorm(1)).init.name == "orthogonal"


@pytest.mark.parametrize("kind", KINDS)
def test_interface(kind):
    network = kind(7, 5, gain=2.0, init="lecun_normal")
    assert (network.depth, network.widths, network.place) == (7, (5,) * 8, "step")
    assert network.weight_stds == pytest.approx([2 / math.sqrt(5)] * 7, rel=1e-15)
    assert network.weight_places(np.array([0, 3, 7])).tolist() == [1]
    assert network.program.state == (2 if kind is LSTM else 1)
    assert network.program.numbers(Weights).tolist() == [0] * 8
    assert len(network.program.of(Weights)) == network.gates
    assert "share theirs" in network.matrix_free_obstacle
    assert network.takes_zeros
    assert not MLP(7, 5).takes_zeros
    depths = [net.depth for net in vgsim.sweep(kind, steps=[3, 4], width=5, gain=[1, 2])]
    assert depths == [3, 3, 4, 4]


def test_a_sweep_of_forget_biases_and_cells():
    found = vgsim.sweep(LSTM, steps=9, width=4, forget_bias=[None, 0, 1, 5], chrono=[None, 9])
    assert [net.forget_bias for net in found] == [1, 0, 0, 0, 1, 1, 5, 5]
    assert len(set(found)) == 6


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: LSTM(5, 4, init="torch_default"), "init must not be 'torch_default' .*_recurrent"),
        (lambda: GRU(5, 4, init="torch_default"), "torch.nn.GRU is 'torch_recurrent'"),
        (lambda: MLP(5, 4, init="torch_recurrent"), "init must not be .* is 'torch_default'"),
        (lambda: vgsim.Linear(init="torch_recurrent"), "init of Linear must not be 'torch_rec"),
        (
            lambda: RNN(5, 4, init="torch_recurrent", bias_std=1),
            "bias_std must be 0 with init 'tor",
        ),
        (
            lambda: LSTM(5, 4, init="torch_recurrent", chrono=9),
            "chrono must be None with init 'tor",
        ),
        (lambda: LSTM(5, 4, chrono=1.9), "chrono must be from 2 to 1e30, got 1.9"),
        (lambda: LSTM(5, 4, forget_bias=math.inf), "forget_bias must be a number from -1e6 to 1e6"),
        (lambda: GRU(5, 4, update_bias=math.nan), "update_bias must be a number from -1e6 to 1e6"),
        (lambda: RNN(5, 4, leak=0), "leak must be from 1e-100 to 1, got 0"),
        (lambda: RNN(5, 4, leak=1.5), "leak must be from 1e-100 to 1, got 1.5"),
        (lambda: LSTM(5, 4, gain=1e-201), "gain must give weights of a standard deviation"),
        (lambda: LSTM(5, 2**15), r"width must give 4 matrices of fewer than 2\*\*32 .* got width"),
    ],
)
def test_refusals(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_what_a_cell_does_not_have():
    for options in ({"activation": "relu"}, {"norm": "layer"}, {"leak": 0.5}, {"update_bias": 1}):
        (name,) = options
        with pytest.raises(TypeError, match=re.escape(f"{name} is not a field of LSTM; ")):
            LSTM(5, 4, **options)
    with pytest.raises(TypeError, match="chrono is not a field of GRU"):
        GRU(5, 4, chrono=9)
