"""Composed networks: checks, program, identity, sections, MLPs as lists, and sweeps."""

import pickle
from dataclasses import replace

import numpy as np
import pytest

import vgsim
from vgsim import Activation, Attention, Dropout, Gate, Linear, Norm, Sequential, Skip
from vgsim._networks.operations import (
    Activate,
    Attend,
    Bias,
    Copy,
    Mask,
    Mix,
    Normalise,
    Shift,
    Sum,
    Weights,
)

TANH, RELU = Activation("tanh"), Activation("relu")
ATTENTION = Skip([Norm("layer"), Attention(4, causal=True)])
BLOCK = Skip([Norm("layer"), Linear(256), "gelu", Linear(64)])


def weights(n, m, std, name, source=0, target=0, balanced=False):
    return Weights(source, target, (n, m), "normal", std, name, balanced=balanced)


# The list of operations


@pytest.mark.parametrize(
    ("layer", "body"),
    [
        (Linear(), [weights(4, 4, 0.5, "weight")]),
        (
            Linear(2, gain=3, bias_std=0.1),
            [weights(2, 4, 1.5, "weight"), Bias(0, 2, 0.1, 0.0, "bias")],
        ),
        (
            Linear(init="torch_default"),
            [
                Weights(0, 0, (4, 4), "uniform", 12**-0.5, "weight"),
                Bias(0, 4, 0.0, 0.5, "bias"),
            ],
        ),
        ("tanh", [Activate(0, TANH)]),
        (Norm("rms", eps=0.1), [Normalise(0, "rms", 0.1)]),
        (Dropout(0.25), [Mask(0, 4, 0.25, "mask")]),
        (
            [Linear(8, bias_std=1), Norm("batch"), "relu", Dropout(0.5)],
            [
                weights(8, 4, 0.5, "0.weight"),
                Bias(0, 8, 1.0, 0.0, "0.bias", cancels=True),
                Normalise(0, "batch", 1e-5),
                Activate(0, RELU),
                Mask(0, 8, 0.5, "3.mask"),
            ],
        ),
        (
            [Linear(bias_std=1), Norm("layer")],
            [
                weights(4, 4, 0.5, "0.weight"),
                Bias(0, 4, 1.0, 0.0, "0.bias"),
                Normalise(0, "layer", 1e-5),
            ],
        ),
        (
            Skip([Linear(16), "relu", Skip(["tanh"], skip=0), Linear(4)], skip=0.5, branch=-2),
            [
                Copy(0, 1),
                weights(16, 4, 0.5, "0.weight"),
                Activate(0, RELU),
                Copy(0, 2),
                Activate(0, TANH),
                Sum(0, 2, 0.0, 1.0),
                weights(4, 16, 0.25, "3.weight"),
                Sum(0, 1, 0.5, -2.0),
            ],
        ),
        (
            ["relu", Gate(["tanh", Skip([Linear()])], bias=-1, gain=2)],
            [
                Activate(0, RELU),
                Copy(0, 1),
                weights(4, 4, 1.0, "1.gate", target=2),
                Shift(2, -1.0),
                Activate(0, TANH),
                Copy(0, 3),
                weights(4, 4, 0.5, "1.1.0.weight"),
                Sum(0, 3, 1.0, 1.0),
                Mix(0, 1, 2),
            ],
        ),
        (
            Skip([Attention(2, causal=True, gain=2, value_gain=4, bias_std=3)]),
            [
                Copy(0, 1),
                weights(4, 4, 1.0, "0.query", target=2),
                Bias(2, 4, 3.0, 0.0, "0.query_bias"),
                weights(4, 4, 1.0, "0.key", target=3, balanced=True),
                Bias(3, 4, 3.0, 0.0, "0.key_bias"),
                weights(4, 4, 2.0, "0.value"),
                Bias(0, 4, 3.0, 0.0, "0.value_bias"),
                Attend(0, 2, 3, 2, True),
                weights(4, 4, 1.0, "0.output"),
                Bias(0, 4, 3.0, 0.0, "0.output_bias"),
                Sum(0, 1, 1.0, 1.0),
            ],
        ),
    ],
)
def test_the_operations_of_a_layer(layer, body):
    program = Sequential(4, [layer], tokens=3).program
    assert list(program.bodies[0]) == body
    assert program.tokens == 3


def test_bodies_are_shared_by_layers_with_the_same_width():
    program = Sequential(4, [Linear(), "relu", Linear(8), Linear(), "relu", Linear(4)] * 2).program
    assert program.order.tolist() == [0, 1, 2, 3, 1, 4, 0, 1, 2, 3, 1, 4]
    assert program.widths.tolist() == [4, 4, 4, 8, 8, 8, 4, 4, 4, 8, 8, 8, 4]
    shapes = [body[0].shape for body in program.bodies if isinstance(body[0], Weights)]
    assert shapes == [(4, 4), (8, 4), (8, 8), (4, 8)]
    assert program.resting.all()
    assert program.numbers(Weights).tolist() == [0, 1, 1, 2, 3, 3, 4, 5, 5, 6, 7, 7, 8]


def test_widths_of_a_list():
    net = Sequential(
        5, ["tanh", [Linear(3), "relu"], Skip([Linear(9), Linear(3)]), Linear(), Linear(2)]
    )
    assert net.widths == (5, 5, 3, 3, 3, 2)
    assert [net.width_at(place) for place in (0, 2, -1)] == [5, 3, 2]
    assert net.width_array.tolist() == list(net.widths)
    assert net.width == 5
    assert net.depth == net.listed_depth() == 5


# Checks


@pytest.mark.parametrize(
    ("layers", "argument", "problem"),
    [
        (["tanh", Skip([Linear(3)])], "layers[1].layers", "must keep the width, 64 units come in"),
        (["tanh", Gate([Linear(3)])], "layers[1].layers", "must keep the width, 64 units come in"),
        ([Linear(60), Attention(8)], "layers[1].heads", "must divide .*60, got 8"),
        (
            ["tanh", [Skip([Linear(60), Attention(8), Linear(64)])]],
            "layers[1][0].layers[1].heads",
            "must divide",
        ),
        ([Linear(1), Norm("layer")], "layers[1].kind", "'layer' needs a width of at least 2"),
        ([Linear(2**30)], "layers[0].width", "must give weight matrices of fewer than"),
        ([Linear(70_000), Gate(["relu"])], "layers[1].width", "must give weight matrices"),
        ([Linear(gain=1e300)], "layers[0].gain", "must give weights of a standard deviation"),
        ([Attention(value_gain=1e300)], "layers[0].value_gain", "must give weights of a standard"),
        ([Gate(["tanh"], gain=1e300)], "layers[0].gain", "must give weights of a standard"),
    ],
)
def test_a_layer_that_does_not_fit_is_named(layers, argument, problem):
    with pytest.raises(ValueError, match=problem) as caught:
        Sequential(64, layers)
    assert caught.value.argument == argument
    place = int(argument[7]) + 1
    assert str(caught.value).startswith(f"{argument} (place {place}) must") or "'layer'" in problem


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((0, ["tanh"]), ValueError, "width must be an int from 1"),
        (([4, 4], ["tanh"]), TypeError, "width must be an int from 1"),
        ((4, []), ValueError, "layers must have at least one layer"),
        ((4, vgsim.MLP(2, 4)), TypeError, "layers must be a list.*did you mean its layers"),
        ((4, {"tanh"}), TypeError, "layers must be a list of layers"),
    ],
)
def test_arguments_are_checked(arguments, error, message):
    with pytest.raises(error, match=message):
        Sequential(*arguments)


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        ({"tokens": 0}, ValueError, "tokens must be an int from 1"),
        ({"clip": 1}, TypeError, "clip must be a vgsim.ClipNorm"),
        ({"activation": "tanh"}, TypeError, "activation is not a field of Sequential"),
    ],
)
def test_fields_are_checked(fields, error, message):
    with pytest.raises(error, match=message):
        Sequential(4, ["tanh"], **fields)


# Identity


def test_json():
    net = Sequential(64, [ATTENTION, BLOCK] * 24 + [Linear(10)], tokens=16, clip=vgsim.ClipNorm(1))
    assert net.canonical_json() == (
        '{"clip":{"kind":"ClipNorm","max_norm":1.0},"kind":"Sequential","layers":[{"layers":['
        '{"kind":"Skip","layers":[{"kind":"Norm","norm":"layer"},'
        '{"causal":true,"heads":4,"kind":"Attention"}]},'
        '{"kind":"Skip","layers":[{"kind":"Norm","norm":"layer"},{"kind":"Linear","width":256},'
        '"gelu",{"kind":"Linear","width":64}]}],"repeat":24},{"kind":"Linear","width":10}],'
        '"tokens":16,"width":64}'
    )
    assert Sequential.from_dict(net.to_dict()) == net
    assert pickle.loads(pickle.dumps(net)) == net
    assert eval(repr(net), vars(vgsim)) == net
    assert hash(eval(repr(net), vars(vgsim))) == hash(net)


def test_networks_differ_in_every_field():
    base = Sequential(4, ["tanh"])
    others = [
        replace(base, **change) for change in ({"width": 5}, {"layers": ["relu"]}, {"tokens": 2})
    ]
    assert len({base, *others}) == len({net.canonical_json() for net in (base, *others)}) == 4
    assert Sequential(4, ["tanh"], tokens=1).canonical_json() == base.canonical_json()


def test_a_million_layers_are_quick(monkeypatch):
    """Each distinct block is compiled a few times, not once for each of its places."""
    compiled = []
    operations = Skip.operations
    monkeypatch.setattr(
        Skip, "operations", lambda self, *given: compiled.append(0) or operations(self, *given)
    )
    net = Sequential(64, [ATTENTION, BLOCK] * 500_000)
    assert len(net.program.bodies) == 2
    assert len(net.canonical_json()) < 400
    assert len(repr(net)) < 400
    assert Sequential.from_dict(net.to_dict()) == net
    assert net.section(1, 999_999).depth == 999_998
    assert 0 < len(compiled) < 20


def test_labels():
    net = Sequential(8, [Linear(), "relu"] * 50, tokens=2, clip=vgsim.ClipValue(3))
    assert net.labels == {
        "kind": "Sequential",
        "depth": 100,
        "width": 8,
        "layers": "[Linear(), 'relu'] * 50",
        "tokens": 2,
        "clip": "ClipValue",
        "clip__limit": 3.0,
    }
    assert net.techniques == {"clip": vgsim.ClipValue(3)}
    long = [
        Sequential(8, [Linear(gain=1 + i) for i in range(50)] + [Linear(gain=g)]) for g in (2, 3)
    ]
    labels = [net.labels["layers"] for net in long]
    assert max(map(len, labels)) <= 130
    assert labels[0] != labels[1]


# Sections and depths


def test_sections():
    layers = [Linear(8), "relu", Skip([Norm("rms"), Linear(8)]), Linear(2)]
    net = Sequential(4, layers, tokens=3)
    assert net.section(1, 3) == Sequential(8, layers[1:3], tokens=3)
    assert net.section(0, 4) == net
    for bad in ((0, 0), (2, 1), (0, 5), (-1, 2)):
        with pytest.raises(ValueError, match="must be an int from"):
            net.section(*bad)


def test_depths():
    net = Sequential(64, [ATTENTION, BLOCK] * 6)
    assert net.is_uniform
    assert net.with_depth(2) == Sequential(64, [ATTENTION, BLOCK])
    assert net.with_depth(20) == Sequential(64, [ATTENTION, BLOCK] * 10)
    with pytest.raises(ValueError, match="depth must be a multiple of 2, the number of layers of"):
        net.with_depth(3)
    widens = Sequential(4, [Linear(8), "relu"])
    assert not widens.is_uniform
    with pytest.raises(
        ValueError, match="only if the input and the last layer have the same width"
    ):
        widens.with_depth(4)


# What the rest of the package asks


@pytest.mark.parametrize(
    ("layers", "examples", "tokens"),
    [
        ([Linear(), "relu", Norm("layer")], False, False),
        ([Linear(), Norm("batch")], True, False),
        ([Skip([Skip([[Norm("batch")]])])], True, False),
        ([Gate([Attention(2)])], False, True),
    ],
)
def test_what_columns_do_to_each_other(layers, examples, tokens):
    net = Sequential(4, layers)
    assert (net.mixes_examples, net.mixes_tokens) == (examples, tokens)


@pytest.mark.parametrize(
    ("layers", "words"),
    [
        ([Linear(), Gate(["relu"], init="orthogonal")], None),
        ([Linear(init="he_uniform")], "Linear with init 'he_uniform' are uniform"),
        (
            [Skip([[Attention(init="torch_default")]])],
            "Attention with init 'torch_default' are uni",
        ),
        ([Gate(["relu"], init="truncated_normal")], "Gate with init 'truncated_normal'"),
    ],
)
def test_laws_for_the_matrix_free_engine(layers, words):
    obstacle = Sequential(4, layers).matrix_free_obstacle
    assert obstacle is None if words is None else words in obstacle


def test_places_with_weights():
    net = Sequential(4, [Linear(), "relu", Skip(["tanh"]), Gate(["tanh"]), Skip([[Attention(2)]])])
    assert net.weight_places(np.arange(6)).tolist() == [1, 4, 5]
    assert net.weight_places(np.array([0, 2, 5])).tolist() == [5]
    assert net.program.matrix_counts.tolist() == [1, 0, 0, 1, 4]


# An MLP as a list

MLPS = [
    {},
    {"activation": "relu", "gain": 2, "bias_std": 0.1},
    {"norm": "layer", "norm_eps": 1e-3},
    {"norm": "batch", "bias_std": 0.1},
    {"init": "torch_default"},
    {"residual": vgsim.Residual(2, skip=0.5, branch="1/sqrt(blocks)", last_gain=0.5)},
    {"residual": vgsim.Residual(2, style="linear"), "norm": "rms", "bias_std": 1},
    {"residual": vgsim.Residual(3, style="pre"), "norm": "batch", "bias_std": 1},
    {"residual": vgsim.Residual(1, style="post"), "norm": "batch", "bias_std": 1},
    {"residual": vgsim.Residual(3, style="post", last_gain=0.25)},
    {"highway": vgsim.Highway(-1), "norm": "layer"},
]


def flat(program, pre=False):
    """The operations of a network in order, without the names of parameters.

    In blocks of style "pre" a bias may be followed by a batch normalisation. In an MLP its output
    is that of a layer, so that it has an effect; in a list it is inside the block.
    """
    unnamed = []
    for body in map(program.at, range(1, len(program.order) + 1)):
        for operation in body:
            recorded = {"recorded": True} if isinstance(operation, Weights) else {}
            named = {"name": ""} if isinstance(operation, (Weights, Bias)) else {}
            cancels = {"cancels": False} if pre and isinstance(operation, Bias) else {}
            unnamed.append(replace(operation, **recorded, **named, **cancels))
    return unnamed


@pytest.mark.parametrize("fields", MLPS)
def test_an_mlp_as_a_list_has_the_same_operations(fields):
    mlp = vgsim.MLP(6, 8, **fields)
    layers = mlp.layers
    assert isinstance(layers, list)
    net = Sequential(8, layers)
    pre = mlp.residual is not None and mlp.residual.style == "pre"
    assert flat(net.program, pre) == flat(mlp.program, pre)
    assert net.depth == 6 // (mlp.residual.every if mlp.residual else 1)


def test_an_mlp_of_several_widths_as_a_list():
    mlp = vgsim.MLP(4, [5, 4, 4, 3, 2], activation="relu")
    net = Sequential(5, mlp.layers)
    assert net.widths == mlp.widths
    assert flat(net.program) == flat(mlp.program)
    assert not hasattr(vgsim.RNN(3, 4), "layers")


# Sweeps


def test_one_list_of_layers_is_one_value():
    layers = [Linear(), "tanh"] * 3
    assert vgsim.sweep(Sequential, width=4, layers=layers, tokens=[1, 4]) == [
        Sequential(4, layers, tokens=tokens) for tokens in (1, 4)
    ]
    groups = vgsim.MLP(3, 4).layers
    assert vgsim.sweep(Sequential, width=4, layers=groups) == [Sequential(4, groups)]


def test_a_list_of_lists_is_several_values():
    pre, post = [BLOCK] * 3, ["tanh", Norm("rms")]
    assert vgsim.sweep(Sequential, width=64, layers=[pre, post]) == [
        Sequential(64, pre),
        Sequential(64, post),
    ]


def test_fields_of_layers_are_swept():
    layers = [Linear(), Skip(["tanh", Linear(8, bias_std=0.1)]), (Linear(4), "relu")]
    found = vgsim.sweep(
        Sequential,
        width=4,
        layers=layers,
        layers__0__gain=[0.5, 1],
        layers__1__layers__1__width=4,
        layers__1__branch=0.5,
        layers__2__1=["relu", "elu"],
    )
    assert found == [
        Sequential(
            4,
            [
                Linear(gain=gain),
                Skip(["tanh", Linear(4, bias_std=0.1)], branch=0.5),
                [Linear(4), phi],
            ],
        )
        for gain in (0.5, 1)
        for phi in ("relu", "elu")
    ]


def test_parameters_of_activations_and_initialisers_are_swept():
    layers = [Linear(init=vgsim.Initializer("normal", std=1)), Activation("elu")]
    found = vgsim.sweep(
        Sequential, width=4, layers=layers, layers__0__init__std=2, layers__1__alpha=3
    )
    assert found == [
        Sequential(4, [Linear(init=vgsim.Initializer("normal", std=2)), Activation("elu", alpha=3)])
    ]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"layers__0__gain": 1}, "layers__0__gain needs layers"),
        (
            {"layers": ["tanh"], "layers__1__gain": 1},
            "layers__1__gain must begin with the index of",
        ),
        ({"layers": ["tanh"], "layers__x": 1}, "layers__x must begin with the index of a layer, 0"),
        (
            {"layers": [Linear()], "layers__0__gian": 1},
            r"layers\[0\].gian is not a field of Linear",
        ),
        ({"layers": [Linear()], "layers__0__gain": -1}, r"layers\[0\].gain must be a finite"),
        (
            {"layers": [Skip(["tanh", Linear()])], "layers__0__layers__1__gain": -1},
            r"layers\[0\].layers\[1\].gain must be a finite",
        ),
        ({"layers": [[Linear()], [3]]}, r"layers\[0\] must be a layer"),
        ({"layers": []}, "layers is an empty list"),
    ],
)
def test_sweeps_that_are_refused(fields, message):
    with pytest.raises((TypeError, ValueError), match=message):
        vgsim.sweep(Sequential, width=4, **fields)
