"""Layers of composed networks: fields, errors, identity, and the lists that hold them."""

import json
import pickle
import re

import numpy as np
import pytest

import vgsim
from vgsim import Activation, Attention, Dropout, Gate, Linear, Norm, Sequential, Skip
from vgsim._networks.repetition import runs

ELEMENTS = [
    (Linear(), {"kind": "Linear"}),
    (Linear(3), {"kind": "Linear", "width": 3}),
    (
        Linear(3, init="he_normal", gain=2, bias_std=0.1),
        {"kind": "Linear", "width": 3, "init": "he_normal", "gain": 2.0, "bias_std": 0.1},
    ),
    (
        Linear(init=vgsim.Initializer("normal", std=0.5)),
        {"kind": "Linear", "init": {"name": "normal", "std": 0.5}},
    ),
    (Norm("layer"), {"kind": "Norm", "norm": "layer"}),
    (Norm("batch", eps=1e-3), {"kind": "Norm", "norm": "batch", "eps": 1e-3}),
    (Dropout(0.25), {"kind": "Dropout", "rate": 0.25}),
    (Skip(["relu"]), {"kind": "Skip", "layers": ["relu"]}),
    (
        Skip([Linear(), "tanh"], skip=-0.5, branch=2),
        {"kind": "Skip", "layers": [{"kind": "Linear"}, "tanh"], "skip": -0.5, "branch": 2.0},
    ),
    (
        Skip([[Linear(), "tanh"], Skip(["relu"])]),
        {
            "kind": "Skip",
            "layers": [[{"kind": "Linear"}, "tanh"], {"kind": "Skip", "layers": ["relu"]}],
        },
    ),
    (
        Gate([Activation("elu", alpha=2)], bias=-1, init="orthogonal", gain=3),
        {
            "kind": "Gate",
            "layers": [{"name": "elu", "alpha": 2.0}],
            "bias": -1.0,
            "init": "orthogonal",
            "gain": 3.0,
        },
    ),
    (Attention(), {"kind": "Attention"}),
    (
        Attention(4, causal=True, value_gain=2, output_gain=0.5, bias_std=1),
        {
            "kind": "Attention",
            "heads": 4,
            "causal": True,
            "value_gain": 2.0,
            "output_gain": 0.5,
            "bias_std": 1.0,
        },
    ),
]


@pytest.mark.parametrize(("element", "values"), ELEMENTS)
def test_json_has_the_fields_that_are_not_at_their_default(element, values):
    assert element.to_dict() == values
    assert type(element).from_dict(json.loads(json.dumps(values))) == element


@pytest.mark.parametrize(("element", "values"), ELEMENTS)
def test_copies_are_equal(element, values):
    copy = pickle.loads(pickle.dumps(element))
    assert copy == element
    assert hash(copy) == hash(element)
    assert eval(repr(element), vars(vgsim)) == element
    with pytest.raises(AttributeError):
        element.gain = 3


def test_elements_differ_in_every_field():
    assert len({element for element, _ in ELEMENTS}) == len(ELEMENTS)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Linear(0), ValueError, "width of Linear must be an int from 1"),
        (lambda: Linear(2.5), TypeError, "width of Linear must be an int"),
        (lambda: Linear(init="textbook"), ValueError, "init 'textbook' is unknown"),
        (lambda: Linear(init="identity"), ValueError, "init of Linear must not be 'identity'"),
        (lambda: Gate(["relu"], init="identity"), ValueError, "init of Gate must not be"),
        (lambda: Attention(init="identity"), ValueError, "init of Attention must not be"),
        (lambda: Linear(gain=0), ValueError, "gain of Linear must be a finite number > 0"),
        (lambda: Linear(gian=1), TypeError, "gian is not a field of Linear; did you mean 'gain'"),
        (lambda: Linear(init="torch_default", bias_std=1), ValueError, "bias_std must be 0"),
        (lambda: Attention(init="torch_default", bias_std=1), ValueError, "bias_std must be 0"),
        (lambda: Norm("lyer"), ValueError, "kind of Norm must be one of 'batch', 'layer', 'rms'"),
        (lambda: Norm("rms", eps=0), ValueError, "eps of Norm must be from 1e-12 to 1"),
        (lambda: Dropout(1), ValueError, "rate of Dropout must be at least 0 and at most"),
        (lambda: Dropout(1 - 2**-40), ValueError, "rate of Dropout must be at least 0"),
        (lambda: Dropout(-0.1), ValueError, "rate of Dropout must be at least 0"),
        (lambda: Skip(["relu"], branch=0), ValueError, "branch of Skip must be"),
        (lambda: Skip(["relu"], branch="1/sqrt(blocks)"), TypeError, "branch of Skip must be"),
        (lambda: Skip(["relu"], skip=1e200), ValueError, "skip of Skip must be 0, or of a size"),
        (lambda: Gate(["relu"], bias=1e7), ValueError, "bias of Gate must be a number from -1e6"),
        (lambda: Attention(0), ValueError, "heads of Attention must be an int from 1"),
        (lambda: Attention(causal=1), TypeError, "causal of Attention must be True or False"),
        (lambda: Skip([]), ValueError, "layers of Skip must have at least one layer"),
        (lambda: Skip(["relu", []]), ValueError, r"layers\[1\] of Skip must have at least one"),
        (lambda: Skip("relu"), TypeError, "layers of Skip must be a list of layers: .*'relu'"),
        (lambda: Skip(Linear()), TypeError, "got Linear.*did you mean a list with it"),
        (lambda: Skip([Linear]), TypeError, r"layers\[0\] of Skip .*did you mean vgsim.Linear\("),
        (lambda: Skip(["Norm"]), TypeError, r"got 'Norm'; did you mean vgsim.Norm\("),
        (lambda: Skip(["tanh", "rleu"]), ValueError, r"layers\[1\] of Skip 'rleu' is .*'relu'"),
        (lambda: Skip(["tanh", ["relu", 5]]), TypeError, r"layers\[1\]\[1\] of Skip must be a lay"),
        (lambda: Skip([vgsim.MLP(2, 3)]), TypeError, r"got MLP.*did you mean its layers"),
    ],
)
def test_refusals(make, error, message):
    with pytest.raises(error, match=message):
        make()


# Lists


def layers_of(items):
    return Sequential(4, items).layers


def test_a_list_of_layers_behaves_like_a_list():
    items = [Linear(), Activation("tanh"), Linear(), Norm("rms"), Activation("tanh")]
    layers = layers_of(items)
    assert list(layers) == items
    assert len(layers) == 5
    assert layers == items
    assert layers == tuple(items)
    assert layers == [Linear(), "tanh", Linear(), Norm("rms"), "tanh"]
    assert layers != items[:4]
    assert layers != ["tanh", 5]
    assert [layers[i] for i in (-5, 2, 4)] == [items[i] for i in (-5, 2, 4)]
    for part in (slice(1, 4), slice(None, None, -2), slice(3, None), slice(2, 2)):
        assert list(layers[part]) == items[part]
    more = ["relu"]
    assert list(layers + more) == [*items, Activation("relu")]
    assert list(more + layers) == [Activation("relu"), *items]
    assert list(layers + layers[1:3]) == items + items[1:3]
    assert list(layers[:2] * 3) == items[:2] * 3
    assert Norm("rms") in layers
    assert layers.index(Norm("rms")) == 3
    with pytest.raises(IndexError):
        layers[5]
    with pytest.raises(TypeError):
        layers[0] = Linear()


def test_slices_and_sums_are_in_normal_form():
    layers = layers_of([Linear(), "tanh", Linear(), "relu"] * 3)
    fresh = layers_of(["relu", Linear(), "tanh"])
    assert layers[3:6] == fresh
    assert hash(layers[3:6]) == hash(fresh)
    assert hash(layers[3:5] + layers[1:2]) == hash(fresh)
    assert layers[3:6].distinct == fresh.distinct


def slow_runs(order):
    """The rule of `runs`, one comparison at a time."""
    found, i = [], 0
    while i < len(order):
        best = (1, 1, 1)
        for p in range(1, 65):
            k = 0
            while i + p + k < len(order) and order[i + k] == order[i + p + k]:
                k += 1
            if k >= p and (1 + k // p) * p > best[0]:
                best = ((1 + k // p) * p, p, 1 + k // p)
        found.append((i, *best[1:]))
        i += best[0]
    return found


@pytest.mark.parametrize("seed", range(20))
def test_runs_follow_their_rule(seed):
    rng = np.random.default_rng(seed)
    parts = [
        np.tile(rng.integers(0, rng.integers(1, 6), rng.integers(1, 80)), rng.integers(1, 30))
        for _ in range(rng.integers(1, 5))
    ]
    order = np.concatenate(parts)[:2500]
    assert [tuple(run) for run in runs(order)] == slow_runs(order)


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        (["relu"], ["relu"]),
        (["relu"] * 5, [{"repeat": 5, "layers": ["relu"]}]),
        (["tanh", "relu"] * 12, [{"repeat": 12, "layers": ["tanh", "relu"]}]),
        (
            ["elu", *["tanh", "relu"] * 12, "tanh"],
            ["elu", {"repeat": 12, "layers": ["tanh", "relu"]}, "tanh"],
        ),
        (
            [["tanh"] * 3] * 2,
            [{"repeat": 2, "layers": [[{"repeat": 3, "layers": ["tanh"]}]]}],
        ),
    ],
)
def test_repetitions_are_written_once(items, expected):
    assert layers_of(items).to_json() == expected
    assert Skip(items).to_dict()["layers"] == expected
    assert Skip.from_dict({"kind": "Skip", "layers": expected}) == Skip(items)


def test_the_way_a_list_was_written_does_not_matter():
    a = layers_of([Linear(), "relu"] * 6)
    b = layers_of([Linear(), Activation("relu"), Linear(), "relu"] * 3)
    c = a[2:] + a[:2]
    assert a == b == c
    assert a.to_json() == b.to_json() == c.to_json() == (a[:4] * 3).to_json()


@pytest.mark.parametrize(
    ("items", "shown"),
    [
        ([Linear(), "relu"], "[Linear(), 'relu']"),
        (
            [Linear(2), *["relu", Norm("rms")] * 9],
            "[Linear(width=2)] + ['relu', Norm(kind='rms')] * 9",
        ),
        ([["relu", "tanh"]], "[['relu', 'tanh']]"),
        ([Activation("elu", alpha=2)], "[Activation('elu', alpha=2.0)]"),
    ],
)
def test_repr(items, shown):
    assert repr(layers_of(items)) == shown


def test_the_repr_of_a_long_list_is_short():
    many = [Linear(gain=1 + i) for i in range(1000)]
    assert repr(layers_of(many)).endswith("Linear(gain=8.0)] + ... (1000 layers)")
    assert len(repr(layers_of([x for one in many for x in (one, one)]))) < 300


@pytest.mark.parametrize("depth", [33, 100, 1000])
def test_deep_nesting_is_refused(depth):
    def nested():
        block = Skip(["relu"])
        for _ in range(depth):
            block = Skip([block])

    with pytest.raises(ValueError, match=r"layers\[0\] of Skip must have at most 32 lists in each"):
        nested()
    group = ["relu"]
    for _ in range(depth):
        group = [group]
    with pytest.raises(ValueError, match="must not be nested in more than 32 lists"):
        Skip(group)
    values = {"kind": "Linear"}
    for _ in range(depth):
        values = {"kind": "Skip", "layers": [values]}
    with pytest.raises(ValueError, match="must have at most 32 lists in each other"):
        Skip.from_dict({"kind": "Skip", "layers": [values]})


def test_a_list_that_contains_itself_is_refused():
    endless = ["relu"]
    endless.append(endless)
    with pytest.raises(ValueError, match="must not be nested in more than 32 lists"):
        Skip(endless)


def test_blocks_that_double_at_every_level_are_refused():
    block = Skip(["relu"])
    for _ in range(14):
        block = Skip([block, "tanh", block])
    with pytest.raises(ValueError, match="must have at most 100000 layers inside, got 131069"):
        Skip([Skip([block, "tanh", block]), "tanh", block])


@pytest.mark.parametrize("wrap", [lambda x: Skip([x]), lambda x: [x]])
def test_nesting_that_is_allowed_works(wrap):
    block = Linear()
    for _ in range(32):
        block = wrap(block)
    net = Sequential(4, [block] * 3)
    assert Sequential.from_dict(json.loads(net.canonical_json())) == net
    assert pickle.loads(pickle.dumps(net)) == net
    assert "Linear()" in repr(net)
    assert sum(type(o).__name__ == "Weights" for o in net.program.bodies[0]) == 1


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (3, "layers must be a list of layers, got 3"),
        ([3], r"layers\[0\] must be the name of an activation, a table or a list, got 3"),
        ([{}], r"layers\[0\] must have the keys kind, one of .*, or repeat and layers, got \[\]"),
        (["than"], r"layers\[0\] 'than' is the name of no activation \(did you mean 'tanh'"),
        ([{"kind": "Linaer"}], r"layers\[0\].kind must be one of .*did you mean 'Linear'"),
        ([{"kind": "Linear", "widht": 2}], r"layers\[0\].widht is unknown, did you mean 'width'"),
        ([{"kind": "Skip"}], r"layers\[0\].layers must be given for kind 'Skip'"),
        (
            ["tanh", {"kind": "Skip", "layers": [{"kind": "Linear", "width": 0}]}],
            r"layers\[1\].layers\[0\].width must be an int from 1",
        ),
        ([{"kind": "Norm", "norm": "lyer"}], r"layers\[0\].norm must be one of"),
        ([{"repeat": 0, "layers": ["tanh"]}], r"layers\[0\].repeat must be an int from 1"),
        (
            [{"repeat": 2, "layers": [{"kind": "Dropout", "rate": 2}]}],
            r"layers\[0\].layers\[0\].rate",
        ),
    ],
)
def test_errors_of_json_name_the_path(layers, message):
    with pytest.raises((TypeError, ValueError), match=message):
        Sequential.from_dict({"kind": "Sequential", "width": 4, "layers": layers})


@pytest.mark.parametrize(
    ("make", "argument", "message"),
    [
        (lambda: Skip(["relu"], brnch=2), "brnch", "is not a field of Skip; did you mean 'branch'"),
        (lambda: Attention(haeds=2), "haeds", "is not a field of Attention; did you mean 'heads'"),
        (lambda: Sequential(4, ["relu"], token=2), "token", ".*Sequential; did you mean 'tokens'"),
        (lambda: Norm(), "kind", "of Norm must be given$"),
        (lambda: Skip(branch=2), "layers", "of Skip must be given$"),
        (lambda: Sequential(4), "layers", "of Sequential must be given$"),
        (
            lambda: Linear(4, "he_normal"),
            "init",
            r"of Linear must be given by its name, .*: Linear\(width, init=...\)$",
        ),
        (lambda: Attention(2, True), "causal", r".*: Attention\(heads, causal=...\)$"),
        (lambda: Linear(4, gain=0), "gain", "of Linear must be a finite number > 0, got 0"),
        (
            lambda: Sequential(4, ["relu", Skip([Skip([Attention(3)])])]),
            "layers[1].layers[0].layers[0].heads",
            r"\(place 2\) must divide the width of what comes in, 4, got 3",
        ),
    ],
)
def test_errors_know_the_argument(make, argument, message):
    with pytest.raises((TypeError, ValueError)) as caught:
        make()
    assert caught.value.argument == argument
    assert re.match(f"{re.escape(argument)} {message}", str(caught.value))
