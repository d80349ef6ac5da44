"""sweep() combines lists of values of all fields and of the fields of parts."""

import itertools

import numpy as np
import pytest

import vgsim
from vgsim import MLP, RNN, sweep


def test_product_in_the_order_of_nested_loops():
    choices = {"activation": ["tanh", "relu"], "depth": [2, 3, 5], "gain": [1.0, 1.5]}
    expected = [
        MLP(width=4, **dict(zip(choices, values, strict=True)))
        for values in itertools.product(*choices.values())
    ]
    assert sweep(MLP, width=4, **choices) == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (range(2, 5), [2, 3, 4]),
        (np.array([2, 7]), [2, 7]),
        ([2, 7], [2, 7]),
        (6, [6]),
    ],
)
def test_kinds_of_lists(values, expected):
    assert [network.depth for network in sweep(MLP, depth=values, width=3)] == expected
    assert [network.steps for network in sweep(RNN, steps=values, width=3)] == expected


def test_a_tuple_is_one_value():
    assert sweep(MLP, depth=2, width=(3, 4, 5)) == [MLP(2, (3, 4, 5))]
    both = sweep(MLP, depth=2, width=[(3, 4, 5), 6])
    assert both == [MLP(2, (3, 4, 5)), MLP(2, 6)]


def test_floats_of_an_array_are_plain():
    networks = sweep(MLP, depth=2, width=3, gain=np.linspace(1, 2, 3))
    assert [network.canonical_json() for network in networks] == [
        MLP(2, 3, gain=gain).canonical_json() for gain in (1.0, 1.5, 2.0)
    ]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (
            {"activation": "leaky_relu", "activation__slope": [0.1, 0.2]},
            [{"activation": vgsim.Activation("leaky_relu", slope=slope)} for slope in (0.1, 0.2)],
        ),
        (
            {"init": "normal", "init__std": [0.1]},
            [{"init": vgsim.Initializer("normal", std=0.1)}],
        ),
        (
            {"residual__every": [1, 2], "residual__branch": 0.5},
            [{"residual": vgsim.Residual(every, branch=0.5)} for every in (1, 2)],
        ),
        ({"highway__gate_bias": [-1.0]}, [{"highway": vgsim.Highway(gate_bias=-1.0)}]),
        ({"clip__max_norm": [2.0]}, [{"clip": vgsim.ClipNorm(2.0)}]),
        ({"clip__limit": [2.0]}, [{"clip": vgsim.ClipValue(2.0)}]),
        (
            {"residual": [None, vgsim.Residual(2)], "norm": ["layer"]},
            [{"norm": "layer"}, {"norm": "layer", "residual": vgsim.Residual(2)}],
        ),
    ],
)
def test_parts(fields, expected):
    assert sweep(MLP, depth=4, width=3, **fields) == [MLP(4, 3, **each) for each in expected]


@pytest.mark.parametrize(
    ("kind", "fields", "error", "message"),
    [
        (
            dict,
            {},
            TypeError,
            "kind must be vgsim.MLP, .* vgsim.RNN or vgsim.Sequential, got .*dict",
        ),
        (MLP, {"gain": []}, ValueError, "gain is an empty list"),
        (MLP, {"gains": [1]}, TypeError, "gains"),
        (MLP, {"gain": [1, -1]}, ValueError, "gain must be .* .in the combination .*gain=-1"),
        (MLP, {"activation": ["tanh", "tann"]}, ValueError, "tann.*activation='tann'"),
        (
            MLP,
            {"residual": None, "residual__every": 2},
            TypeError,
            "residual must be given as one value or",
        ),
        (
            MLP,
            {"residual": vgsim.Residual(), "residual__every": 2},
            TypeError,
            "residual must be given as one value or by its fields",
        ),
        (MLP, {"activation__slope": 0.1}, TypeError, "activation__slope needs activation"),
        (
            MLP,
            {"norm__eps": 0.1},
            TypeError,
            "norm__eps must be a field of one of the parts .*activation, init",
        ),
        (MLP, {"clip__most": 0.1}, TypeError, "clip needs one of max_norm and limit, got .'most'"),
        (MLP, {"residual__often": 2}, TypeError, "often.*in the combination"),
        (RNN, {"residual__every": 2}, TypeError, "residual"),
    ],
)
def test_refusals(kind, fields, error, message):
    size = {"steps": 4} if kind is RNN else {"depth": 4}
    with pytest.raises(error, match=message):
        sweep(kind, width=3, **size, **fields)
