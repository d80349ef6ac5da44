"""The PyTorch module of a network: its values against stored autograd results, structure, hooks."""

import copy
import pickle

import numpy as np
import pytest

import vgsim
from architectures import FROZEN, arguments_of, network_of, oracle

torch = pytest.importorskip("torch", reason="PyTorch is needed for to_torch")


def module(network, weights, biases, **others):
    return vgsim.Replay(network, None, weights, biases, None, **others).to_torch()


@pytest.fixture
def draw(rng):
    return lambda *shape: rng.normal(size=shape) / shape[-1] ** 0.5


def example_rows(columns):
    return torch.tensor(columns.T, requires_grad=True)


def gradients(built, inputs, output_gradient):
    """G_0 … G_D, by autograd with respect to the attribute `states`."""
    outputs = built(example_rows(inputs))
    return torch.autograd.grad(outputs, built.states, torch.tensor(output_gradient.T))


@pytest.mark.parametrize("name", oracle.CASES)
def test_equals_frozen_autograd(name):
    case = oracle.CASES[name]
    arrays = case.arrays(FROZEN[f"{name}.numbers"])
    built = module(network_of(case), **arguments_of(case, arrays))
    assert all(parameter.dtype == torch.float64 for parameter in built.parameters())
    G = gradients(built, arrays["inputs"][0], FROZEN[f"{name}.output_gradient"])
    norms = [g.norm().item() for g in G]
    np.testing.assert_allclose(norms, FROZEN[f"{name}.gradient"], rtol=1e-11)
    rms = [x.detach().square().mean().sqrt().item() for x in built.states]
    np.testing.assert_allclose(rms, FROZEN[f"{name}.activation"], rtol=1e-12)


def test_training_steps_see_clipped_gradients(draw):
    net = vgsim.MLP(4, 5, clip=vgsim.ClipNorm(0.01))
    W, x, g = [draw(5, 5) for _ in range(4)], draw(5, 3), draw(5, 3)
    built = module(net, W, None)
    inputs = example_rows(x)
    built(inputs).backward(torch.tensor(g.T))
    result = vgsim.evaluate(net, W, None, x, g)
    assert result.clipped[:-1].max() == 1.0
    norms = [parameter.grad.norm().item() for parameter in built.parameters()]
    np.testing.assert_allclose(norms, 10**result.weight_gradient, rtol=1e-12)
    assert inputs.grad.norm().item() == pytest.approx(10 ** result.gradient[0], rel=1e-12)


def names(built):
    return [type(part).__name__ for part in built]


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ({}, ["Linear", "Tanh"] * 2),
        ({"norm": "batch"}, ["Linear", "BatchNorm1d", "Tanh"] * 2),
        ({"norm": "layer"}, ["Linear", "LayerNorm", "Tanh"] * 2),
        ({"norm": "rms"}, ["Linear", "RMSNorm", "Tanh"] * 2),
        ({"clip": vgsim.ClipNorm(1.0)}, ["Linear", "Tanh"] * 2),
        ({"highway": vgsim.Highway()}, ["Highway"] * 2),
        ({"residual": vgsim.Residual()}, ["Residual"] * 2),
        ({"residual": vgsim.Residual(2)}, ["Residual"]),
        ({"residual": vgsim.Residual(2, style="post")}, ["Residual", "Tanh"]),
    ],
)
def test_a_network_is_a_sequence_of_standard_modules(choice, expected):
    net = vgsim.MLP(2, 3, **choice)
    gates = [np.eye(3)] * 2 if net.highway else None
    built = module(net, [np.eye(3)] * 2, None, gate_weights=gates)
    assert type(built) is torch.nn.Sequential
    assert names(built) == expected


@pytest.mark.parametrize(
    ("style", "expected"),
    [
        ("activated", ["Linear", "LayerNorm", "Tanh", "Linear", "LayerNorm", "Tanh"]),
        ("linear", ["Linear", "LayerNorm", "Tanh", "Linear"]),
        ("post", ["Linear", "LayerNorm", "Tanh", "Linear", "LayerNorm"]),
        ("pre", ["LayerNorm", "Tanh", "Linear", "LayerNorm", "Tanh", "Linear"]),
    ],
)
def test_what_is_in_a_block(style, expected):
    net = vgsim.MLP(2, 3, norm="layer", residual=vgsim.Residual(2, style=style))
    assert names(module(net, [np.eye(3)] * 2, None)[0].block) == expected


def test_a_plain_network_is_printed_as_ever():
    assert repr(module(vgsim.MLP(1, [2, 3]), [np.ones((3, 2))], [np.ones(3)])) == (
        "Sequential(\n  (0): Linear(in_features=2, out_features=3, bias=True)\n  (1): Tanh()\n)"
    )


def test_biases_of_zero_are_left_out():
    W, net = [np.eye(2)] * 2, vgsim.MLP(2, 2)
    for biases, count in [(None, 2), ([np.zeros(2)] * 2, 2), ([None, np.ones(2)], 3)]:
        assert len(list(module(net, W, biases).parameters())) == count


def test_batch_statistics_are_used_in_evaluation_mode_too(draw):
    built = module(vgsim.MLP(2, 4, norm="batch"), [draw(4, 4), draw(4, 4)], None)
    x = example_rows(draw(4, 3))
    torch.testing.assert_close(built(x), built.eval()(x))


def test_a_recurrence_keeps_its_drive(draw):
    rnn, W, U, s = vgsim.RNN(3, 4), draw(4, 4), draw(4, 4), draw(3, 4, 2)
    built = module(rnn, [W], [draw(4)], input_weights=U, drive=s)
    np.testing.assert_array_equal(built.state_dict()["drive"], s.transpose(0, 2, 1))
    assert sum(parameter.numel() for parameter in built.parameters()) == 16 + 4 + 16
    built(example_rows(draw(4, 2)))
    assert len(built.states) == 4


def test_only_the_last_pass_is_kept_and_copies_start_without(draw):
    net, W = vgsim.MLP(3, 4, clip=vgsim.ClipValue(0.1)), [draw(4, 4) for _ in range(3)]
    built = module(net, W, None)
    for _ in range(2):
        built(example_rows(draw(4, 2)))
        assert len(built.states) == 4
    for other in (copy.deepcopy(built), pickle.loads(pickle.dumps(built))):
        assert other.states == []
        x, g = draw(4, 2), draw(4, 2)
        for G, expected in zip(gradients(other, x, g), gradients(built, x, g), strict=True):
            torch.testing.assert_close(G, expected, rtol=0, atol=0)


def test_without_gradients_nothing_is_hooked(draw):
    built = module(vgsim.MLP(2, 4, clip=vgsim.ClipNorm(1.0)), [draw(4, 4)] * 2, None)
    with torch.no_grad():
        outputs = built(torch.ones(1, 4, dtype=torch.float64))
    assert not outputs.requires_grad


def test_building_leaves_the_random_state_of_torch_alone(draw):
    torch.manual_seed(0)
    before = torch.get_rng_state()
    module(vgsim.MLP(2, 4), [draw(4, 4)] * 2, [draw(4)] * 2)
    torch.testing.assert_close(torch.get_rng_state(), before)
