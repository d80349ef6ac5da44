"""evaluate of composed networks against PyTorch's autograd."""

import numpy as np
import pytest

import vgsim
from composed_networks import QUANTITIES, arrays_of, network_of, oracle, reference

torch = pytest.importorskip("torch", reason="PyTorch is the reference here")

RANDOM = [oracle.random_case(np.random.default_rng([13, i])) for i in range(60)]


def linear(width=None, bias_std=0.0):
    return ("linear", width, "lecun_normal", 1.2, bias_std)


def skip(*layers):
    return ("skip", list(layers), 1.0, 0.8)


BIASED = linear(bias_std=0.2)
ATTENTION = ("attention", 2, False, "lecun_normal", 1.5, 0.0)
CAUSAL = ("attention", 2, True, "lecun_normal", 1.5, 0.3)
LAYER, RMS, BATCH = (("norm", kind, 1e-5) for kind in ("layer", "rms", "batch"))
WIDE = ("norm", "layer", 0.3)  # where autograd keeps its digits in narrow layers
GATE = ("gate", [BIASED, ("tanh",), ("gate", [BIASED], 0.5, "lecun_normal", 1.0)])
TOKENS = {"width": 8, "tokens": 4, "sequences": 2}
NAMED = {
    "linear": oracle.Case(width=3, layers=[linear(5)]),
    "pre-norm transformer": oracle.Case(
        **TOKENS, layers=[skip(LAYER, CAUSAL), skip(LAYER, linear(), ("gelu",), BIASED)] * 3
    ),
    "post-norm transformer": oracle.Case(
        **TOKENS, layers=[[skip(ATTENTION), LAYER], [skip(BIASED, ("relu",), BIASED), RMS]] * 2
    ),
    "narrow": oracle.Case(
        width=4,
        layers=[
            *([WIDE, skip(("relu",), BIASED), WIDE, ("tanh",)], linear(2), WIDE, ("tanh",)),
            *(linear(6), WIDE, ("relu",)),
        ],
    ),
    "one unit": oracle.Case(
        width=6, sequences=4, layers=[linear(1), ("relu",), linear(4), WIDE, ("sigmoid",)]
    ),
    "gates": oracle.Case(
        width=4, sequences=2, clip=("norm", 0.3), layers=[(*GATE, -1.0, "lecun_normal", 1.0)] * 3
    ),
    "batch norm in groups": oracle.Case(
        width=5, sequences=6, layers=[[BIASED, BATCH, ("relu",)]] * 4
    ),
    "batch norm": oracle.Case(width=5, sequences=6, layers=[BIASED, BATCH, ("relu",)] * 3),
    "dropout": oracle.Case(width=8, sequences=3, layers=[BIASED, ("relu",), ("dropout", 0.3)] * 3),
    "no matrices": oracle.Case(
        width=5, sequences=2, layers=[("tanh",), ("norm", "layer", 0.1), ("dropout", 0.1)]
    ),
}
CASES = NAMED | {f"random {i}": case for i, case in enumerate(RANDOM)}


@pytest.mark.parametrize("name", CASES)
def test_equals_autograd(name):
    case = CASES[name]
    arrays = arrays_of(case, np.random.default_rng([4, *name.encode()]))
    result, expected = vgsim.evaluate(network_of(case), *arrays), reference(case, *arrays)
    np.testing.assert_array_equal(result.weight_layers, expected["weight_layers"])
    assert result.dead == (expected["gradient"][0] == 0)
    for quantity in QUANTITIES:
        actual = 10 ** getattr(result, quantity)
        np.testing.assert_allclose(actual, expected[quantity], rtol=1e-10, err_msg=quantity)
    for quantity in ("activation_correlation", "gradient_correlation", "clipped", "saturation"):
        actual = getattr(result, quantity)
        np.testing.assert_allclose(actual, expected[quantity], atol=1e-10, err_msg=quantity)


def test_the_random_networks_have_everything():
    text = repr([case.layers for case in RANDOM])
    for kind in ("linear", "norm", "dropout", "skip", "gate", "attention", "batch", "rms", "layer"):
        assert text.count(f"'{kind}'") > 9
    assert {case.tokens for case in RANDOM} == {1, 2, 3, 5}
    assert {case.clip for case in RANDOM} == {None, ("norm", 0.5), ("value", 0.1)}


def module_of(case, parameters):
    return vgsim.Replay(network_of(case), None, [], [], None, parameters=parameters).to_torch()


@pytest.mark.parametrize("name", CASES)
def test_to_torch(name):
    """The state_dict has the names and shapes of the parameters; autograd agrees."""
    case = CASES[name]
    parameters, x, g = arrays_of(case, np.random.default_rng([5, *name.encode()]))
    built = module_of(case, parameters)
    state = built.state_dict()
    assert {key: tuple(value.shape) for key, value in state.items()} == {
        key: value.shape for key, value in parameters.items()
    }
    outputs = built(torch.tensor(x.T.copy(), requires_grad=True))
    assert len(built.states) == len(case.layers) + 1
    G = torch.autograd.grad(outputs, built.states, torch.tensor(g.T.copy()))
    expected = reference(case, parameters, x, g)
    norms = [part.norm().item() for part in G]
    np.testing.assert_allclose(norms, expected["gradient"], rtol=1e-10)
    rms = [state.detach().square().mean().sqrt().item() for state in built.states]
    np.testing.assert_allclose(rms, expected["activation"], rtol=1e-11)


def test_the_state_of_another_sample_can_be_loaded():
    case = NAMED["dropout"]
    rng = np.random.default_rng(0)
    one, other = arrays_of(case, rng), arrays_of(case, rng)
    built = module_of(case, one[0])
    built.load_state_dict({key: torch.tensor(value) for key, value in other[0].items()})
    x = torch.tensor(one[1].T.copy())
    torch.testing.assert_close(built(x), module_of(case, other[0])(x), rtol=0, atol=0)


NET = vgsim.Sequential(
    4, [vgsim.Skip([vgsim.Linear(bias_std=1.0), "relu"]), vgsim.Dropout(0.5)], tokens=2
)
GOOD = {"0.0.weight": np.eye(4), "0.0.bias": np.ones(4), "1.mask": np.ones((4, 2))}
X = np.ones((4, 2))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"0.0.weight": None}, "parameters must hold '0.0.weight'"),
        ({"0.0.weight": None, "1.mask": None}, "parameters must hold '0.0.weight', '1.mask'"),
        ({"0.weight": np.eye(4)}, "parameters must hold nothing else than .*, got '0.weight'"),
        ({"0.0.weight": np.ones((4, 3))}, r"parameters\['0.0.weight'\] must have shape .*\(4, 4\)"),
        ({"0.0.bias": np.ones(3)}, r"parameters\['0.0.bias'\] must have shape"),
        ({"0.0.bias": [0, 1, 2, np.nan]}, r"parameters\['0.0.bias'\] must be finite"),
        (
            {"1.mask": np.ones(4)},
            r"parameters\['1.mask'\] must have shape \(n, columns\) = \(4, 2\)",
        ),
        ({"1.mask": np.full((4, 2), 2)}, r"parameters\['1.mask'\] must be 0 or 1"),
    ],
)
def test_errors_name_the_parameter(changes, message):
    parameters = {name: a for name, a in (GOOD | changes).items() if a is not None}
    with pytest.raises(ValueError, match=message):
        vgsim.evaluate(NET, parameters, X, X)


@pytest.mark.parametrize(
    ("arguments", "others", "error", "message"),
    [
        (
            (GOOD, np.ones(4), np.ones(4)),
            {},
            ValueError,
            "inputs must have a multiple of tokens = 2",
        ),
        ((GOOD, X), {}, TypeError, "parameters must be a mapping, with inputs and output_gradient"),
        (([np.eye(4)], None, X, X), {}, TypeError, "weights must be a mapping of names"),
        ((GOOD, X, X), {"gate_weights": [X]}, TypeError, "gate_weights must not be given beside"),
        ((GOOD, X, X), {"parameters": GOOD}, TypeError, "weights must not be given beside"),
    ],
)
def test_errors_of_other_arguments(arguments, others, error, message):
    with pytest.raises(error, match=message):
        vgsim.evaluate(NET, *arguments, **others)


def test_ways_to_give_parameters():
    expected = vgsim.evaluate(NET, GOOD, X, X).gradient
    for arguments, named in [
        ((), {"parameters": GOOD, "inputs": X, "output_gradient": X}),
        ((GOOD, X), {"output_gradient": X}),
        ((GOOD,), {"inputs": X, "output_gradient": X}),
    ]:
        result = vgsim.evaluate(NET, *arguments, **named)
        np.testing.assert_array_equal(result.gradient, expected)


@pytest.mark.parametrize(
    "net",
    [
        vgsim.MLP(3, [4, 5, 3, 2], bias_std=0.3),
        vgsim.MLP(4, 3, highway=vgsim.Highway(), norm="rms"),
        vgsim.MLP(4, 3, norm="batch", bias_std=0.3, residual=vgsim.Residual(2, style="post")),
        vgsim.RNN(4, 3, bias_std=0.2, clip=vgsim.ClipNorm(0.5)),
        vgsim.RNN(4, 3, input_std=0.0),
    ],
    ids=repr,
)
def test_parameters_by_name_are_those_of_the_lists(net):
    sample = vgsim.replay(net, 1, batch_size=3)
    by_name = vgsim.evaluate(net, sample.parameters, sample.inputs, sample.output_gradient)
    separate = vgsim.evaluate(
        net,
        sample.weights,
        sample.biases,
        sample.inputs,
        sample.output_gradient,
        gate_weights=sample.gate_weights,
        input_weights=sample.input_weights,
        drive=sample.drive,
    )
    for quantity in (*QUANTITIES, "saturation", "clipped", "gradient_correlation"):
        np.testing.assert_array_equal(getattr(by_name, quantity), getattr(separate, quantity))


@pytest.mark.parametrize(
    "fields",
    [
        {"activation": "relu", "bias_std": 0.2},
        {"init": "torch_default", "norm": "layer"},
        {"norm": "batch", "bias_std": 0.3},
        {"highway": vgsim.Highway(-1.0), "norm": "rms", "clip": vgsim.ClipValue(0.1)},
        {"residual": vgsim.Residual(2, skip=0.9, branch=0.7), "bias_std": 0.1},
        {"residual": vgsim.Residual(2, style="linear"), "norm": "rms"},
        {"residual": vgsim.Residual(3, style="post"), "norm": "layer"},
        {"residual": vgsim.Residual(2, style="pre"), "norm": "batch", "bias_std": 0.1},
        {"width": [5, 3, 2, 4, 2, 6, 2], "norm": "layer", "activation": "relu"},
        {"width": [5, 2, 5, 2, 3, 2, 4], "norm": "layer", "activation": "tanh"},
        {"width": [5, 1, 3, 1, 1, 2, 2], "norm": "rms", "activation": "leaky_relu"},
        {"width": 3, "norm": "batch", "activation": "relu"},
    ],
    ids=repr,
)
def test_the_layers_of_an_mlp_are_the_same_network(fields):
    """The arrays of an MLP, in order, in the Sequential of its layers."""
    mlp = vgsim.MLP(6, **({"width": 5} | fields))
    net = vgsim.Sequential(mlp.widths[0], mlp.layers, clip=mlp.clip)
    one = vgsim.replay(mlp, 3, 1, batch_size=4)
    names = vgsim.replay(net, batch_size=4, engine="dense").parameters
    parameters = dict(zip(names, one.parameters.values(), strict=True))
    expected = vgsim.evaluate(mlp, one.parameters, one.inputs, one.output_gradient)
    result = vgsim.evaluate(net, parameters, one.inputs, one.output_gradient)
    every = mlp.depth // net.depth
    for quantity in ("gradient", "activation", "activation_correlation", "clipped"):
        actual, whole = getattr(result, quantity), getattr(expected, quantity)
        np.testing.assert_allclose(actual, whole[::every], rtol=1e-12, atol=1e-13)
    if not mlp.highway:
        squares = 10 ** (2 * expected.weight_gradient.reshape(-1, every))
        with np.errstate(divide="ignore"):  # a layer may be closed
            total = 0.5 * np.log10(squares.sum(axis=1))
        np.testing.assert_allclose(result.weight_gradient, total, rtol=1e-12)


BIASED = {
    "MLP": lambda std: vgsim.MLP(3, [4, 5, 3, 2], bias_std=std),
    "norm": lambda std: vgsim.MLP(3, 4, norm="layer", residual=vgsim.Residual(), bias_std=std),
    "RNN": lambda std: vgsim.RNN(3, 4, bias_std=std),
    "attention": lambda std: vgsim.Sequential(
        4,
        [
            vgsim.Skip([vgsim.Attention(2, bias_std=std)]),
            [vgsim.Linear(5, bias_std=std), "relu"],
            vgsim.Linear(2, bias_std=std),
        ],
        tokens=3,
    ),
}


@pytest.mark.parametrize("name", BIASED)
def test_a_network_that_draws_no_biases_takes_them_by_name(name):
    sample = vgsim.replay(BIASED[name](0.5), batch_size=3)
    arguments = sample.parameters, sample.inputs, sample.output_gradient
    without = vgsim.evaluate(BIASED[name](0.0), *arguments)
    expected = vgsim.evaluate(sample.network, *arguments)
    np.testing.assert_array_equal(without.gradient, expected.gradient)
    np.testing.assert_array_equal(without.activation, expected.activation)
    drawn = vgsim.replay(BIASED[name](0.0), batch_size=3)
    assert not any("bias" in name for name in drawn.parameters)


def test_either_all_biases_are_given_or_none():
    with pytest.raises(ValueError, match="parameters must hold '1.bias'"):
        vgsim.evaluate(
            vgsim.MLP(2, 2),
            {"0.weight": np.eye(2), "0.bias": np.ones(2), "1.weight": np.eye(2)},
            np.ones(2),
            np.ones(2),
        )
