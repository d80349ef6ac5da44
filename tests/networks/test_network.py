"""The description of a network: normal form, identity, validation."""

import copy
import dataclasses
import json
import math
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import vgsim
from vgsim import ClipNorm, ClipValue, Highway, Residual, _checks
from vgsim._networks.activation_table import ACTIVATIONS
from vgsim._networks.activations import Activation
from vgsim._networks.description import checked_network, network_from_json
from vgsim._networks.gru import GRU
from vgsim._networks.initializers import INITIALIZERS, Initializer
from vgsim._networks.lstm import LSTM
from vgsim._networks.mlp import MLP
from vgsim._networks.rnn import RNN

activations = st.one_of(
    st.sampled_from(sorted(ACTIVATIONS)).map(Activation),
    st.floats(1e-6, 1e6).map(lambda slope: Activation("leaky_relu", slope=slope)),
)
initializers = st.one_of(
    st.sampled_from(
        sorted(
            name
            for name, entry in INITIALIZERS.items()
            if name not in ("torch_default", "torch_recurrent", "identity")
            and all(parameter.default is not None for parameter in entry.parameters.values())
        )
    ).map(Initializer),
    st.floats(2.001, 1e6).map(lambda df: Initializer("student_t", df=df)),
    st.floats(1e-6, 1).map(lambda density: Initializer("sparse", density=density)),
    st.floats(1e-3, 1e3).map(lambda std: Initializer("normal", std=std)),
    st.sampled_from(["fan_in", "fan_avg", "fan_out"]).map(
        lambda mode: Initializer("truncated_normal", scale=2.0, mode=mode)
    ),
)
widths = st.one_of(st.integers(1, 1000), st.lists(st.integers(1, 1000), min_size=2, max_size=6))


clips = st.one_of(
    st.none(), st.floats(1e-3, 1e3).map(ClipNorm), st.floats(1e-3, 1e3).map(ClipValue)
)
skips = st.sampled_from(
    [
        {},
        {"highway": Highway()},
        {"highway": Highway(1.5)},
        {"residual": Residual()},
        {"residual": Residual(skip=-0.5, branch="1/sqrt(blocks)", style="post")},
        {"residual": Residual(2, style="linear", last_gain=0.25)},
    ]
)


@st.composite
def networks(draw):
    width = draw(widths)
    depth = draw(st.integers(1, 10**6)) if isinstance(width, int) else len(width) - 1
    techniques = draw(skips) if isinstance(width, int) else {}
    if "residual" in techniques:
        depth *= techniques["residual"].every
    norm = draw(st.sampled_from([None, "batch", "rms"]))
    if norm:
        techniques = techniques | {"norm": norm, "norm_eps": draw(st.floats(1e-12, 1.0))}
    return MLP(
        depth,
        width,
        activation=draw(activations),
        init=draw(initializers),
        gain=draw(st.floats(1e-6, 1e6)),
        bias_std=draw(st.one_of(st.just(0.0), st.floats(1e-6, 1e6))),
        clip=draw(clips),
        **techniques,
    )


cell = {
    "init": st.one_of(initializers, st.just("identity")),
    "gain": st.floats(1e-6, 1e6),
    "bias_std": st.one_of(st.just(0.0), st.floats(1e-6, 1e6)),
    "input_std": st.one_of(st.just(0.0), st.floats(1e-6, 1e6)),
    "clip": clips,
}
lstm = {
    "forget_bias": st.one_of(st.none(), st.just(1), st.floats(-1e6, 1e6)),
    "chrono": st.one_of(st.none(), st.floats(2, 1e30)),
}
steps, units = st.integers(1, 10**6), st.integers(1, 1000)
leak = st.one_of(st.just(1), st.floats(1e-6, 1))
recurrent = st.one_of(
    st.builds(RNN, steps, units, activation=activations, leak=leak, **cell),
    st.builds(LSTM, steps, units, **lstm, **cell),
    st.builds(GRU, steps, units, update_bias=st.floats(-1e6, 1e6), **cell),
)


@given(st.one_of(networks(), recurrent))
def test_canonical_json_is_the_identity(network):
    text = network.canonical_json()
    back = network_from_json(text)
    assert back == network
    assert hash(back) == hash(network)
    assert back.canonical_json() == text
    assert text.isascii()
    assert " " not in text
    assert text == json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"))
    assert eval(repr(network)) == network
    assert pickle.loads(pickle.dumps(network)) == network


@pytest.mark.parametrize(
    ("network", "text"),
    [
        (MLP(10, 128), '{"depth":10,"kind":"MLP","width":128}'),
        (
            MLP(depth=10, width=128, activation="tanh", init="glorot_normal", gain=1, bias_std=0),
            '{"depth":10,"kind":"MLP","width":128}',
        ),
        (
            MLP(2, [784, 32, 10], activation="relu", init="he_normal"),
            '{"activation":"relu","depth":2,"init":"he_normal","kind":"MLP","width":[784,32,10]}',
        ),
        (
            MLP(
                1000,
                100,
                activation=Activation("leaky_relu", slope=0.1),
                init="glorot_normal",
                gain=1.1,
                bias_std=1e-7,
            ),
            '{"activation":{"name":"leaky_relu","slope":0.1},"bias_std":1e-07,"depth":1000,'
            '"gain":1.1,"kind":"MLP","width":100}',
        ),
        (
            MLP(10, 8, activation="relu"),
            '{"activation":"relu","depth":10,"init":"he_normal","kind":"MLP","width":8}',
        ),
        (
            MLP(3, 5, activation="sigmoid", init=Initializer("normal", std=0.01)),
            '{"activation":"sigmoid","depth":3,"init":{"name":"normal","std":0.01},"kind":"MLP","width":5}',
        ),
        (
            MLP(3, 5, init=Initializer("truncated_normal", mode="fan_avg")),
            '{"depth":3,"init":{"mode":"fan_avg","name":"truncated_normal"},"kind":"MLP","width":5}',
        ),
        (
            MLP(6, 4, norm="layer", norm_eps=1e-3, residual=Residual(2, style="pre")),
            '{"depth":6,"kind":"MLP","norm":"layer","norm_eps":0.001,"residual":'
            '{"every":2,"kind":"Residual","style":"pre"},"width":4}',
        ),
        (
            MLP(6, 4, init="orthogonal", highway=Highway(), clip=ClipNorm(1)),
            '{"clip":{"kind":"ClipNorm","max_norm":1.0},"depth":6,"highway":{"kind":"Highway"},'
            '"init":"orthogonal","kind":"MLP","width":4}',
        ),
        (RNN(10, 128), '{"kind":"RNN","steps":10,"width":128}'),
        (
            RNN(10, 8, activation="relu", init="identity", input_std=0, clip=ClipValue(2)),
            '{"activation":"relu","clip":{"kind":"ClipValue","limit":2.0},"init":"identity",'
            '"input_std":0.0,"kind":"RNN","steps":10,"width":8}',
        ),
    ],
)
def test_golden_json(network, text):
    """These strings seed the random numbers: they must never change."""
    assert network.canonical_json() == text


@pytest.mark.parametrize(
    "other",
    [
        MLP(4, [8, 8, 8, 8, 8]),
        MLP(4, (8,) * 5),
        MLP(np.int64(4), np.uint8(8)),
        MLP(4, np.full(5, 8)),
        MLP(4, (n for n in (8, 8, 8, 8, 8))),
        MLP(
            4,
            8,
            activation=Activation("tanh"),
            init=Initializer("glorot_normal"),
            gain=np.float64(1),
        ),
        MLP(4, 8, norm=None, norm_eps=1e-5, residual=None, highway=None, clip=None),
    ],
)
def test_equal_networks_are_one(other):
    network = MLP(4, 8)
    assert other == network
    assert hash(other) == hash(network)
    assert other.canonical_json() == network.canonical_json()
    assert type(other.depth) is int
    assert type(other.width) is int
    assert type(other.gain) is float


def test_fields_are_normalised():
    network = MLP(2, [3, 4, 5], activation="relu", init="he_normal", gain=2)
    assert network.width == (3, 4, 5)
    assert network.activation == Activation("relu")
    assert network.init == Initializer("he_normal")
    assert network.gain == 2.0
    assert network.bias_std == 0.0
    assert network.widths == (3, 4, 5)
    assert MLP(2, 7).widths == (7, 7, 7)


def test_standard_deviations_per_layer():
    network = MLP(2, [8, 32, 50], init="he_normal", gain=3.0)
    np.testing.assert_allclose(network.weight_stds, [3 * 0.5, 3 * 0.25], rtol=1e-15)
    np.testing.assert_array_equal(network.bias_limits, [0.0, 0.0])
    glorot = MLP(2, [8, 24, 26], init="glorot_uniform")
    np.testing.assert_allclose(glorot.weight_stds, [0.25, 0.2], rtol=1e-15)
    constant = MLP(1000, 100, init="lecun_normal", gain=1.5)
    np.testing.assert_allclose(constant.weight_stds, np.full(1000, 0.15), rtol=1e-15)
    assert constant.weight_stds.dtype == np.float64


def test_gain_scales_the_weights_of_torch_default_and_not_its_biases():
    network = MLP(2, [4, 100, 9], init="torch_default", gain=2.0)
    np.testing.assert_allclose(
        network.weight_stds, [1 / math.sqrt(3), 0.2 / math.sqrt(3)], rtol=1e-15
    )
    np.testing.assert_allclose(network.bias_limits, [0.5, 0.1], rtol=1e-15)


def test_frozen():
    network = MLP(2, 8)
    with pytest.raises(dataclasses.FrozenInstanceError):
        network.depth = 3
    with pytest.raises(ValueError, match="read-only"):
        network.weight_stds[0] = 1.0


def test_replace_validates_again():
    network = MLP(2, [3, 4, 5], activation=Activation("leaky_relu", slope=0.2))
    assert dataclasses.replace(network, gain=2) == MLP(
        2, [3, 4, 5], activation=Activation("leaky_relu", slope=0.2), gain=2.0
    )
    with pytest.raises(ValueError, match="depth"):
        dataclasses.replace(network, depth=5)


def test_copies_carry_no_cached_arrays():
    network = MLP(1_000_000, 4)
    assert network.weight_stds.size == 1_000_000
    assert len(pickle.dumps(network)) < 1000
    assert copy.deepcopy(network) == network


def test_repr_omits_defaults():
    assert repr(MLP(10, 128)) == "MLP(depth=10, width=128, init='glorot_normal')"
    assert repr(RNN(10, 128)) == "RNN(steps=10, width=128, init='orthogonal')"
    shown = repr(
        MLP(1, (2, 3), activation=Activation("elu", alpha=2.0), init="he_normal", gain=0.5)
    )
    assert shown == (
        "MLP(depth=1, width=(2, 3), activation=Activation('elu', alpha=2.0), "
        "init='he_normal', gain=0.5)"
    )


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"depth": 0}, ValueError, ["depth", "0", "from 1"]),
        ({"depth": 2**32}, ValueError, ["depth", str(2**32)]),
        ({"depth": True}, TypeError, ["depth", "True", "int"]),
        ({"depth": np.True_}, TypeError, ["depth", "int"]),
        ({"depth": 10.0}, TypeError, ["depth", "10.0", "int"]),
        ({"depth": "10"}, TypeError, ["depth", "'10'"]),
        ({"depth": None}, TypeError, ["depth", "None"]),
        ({"width": 0}, ValueError, ["width", "0"]),
        ({"width": -3}, ValueError, ["width", "-3"]),
        ({"width": True}, TypeError, ["width", "True"]),
        ({"width": 1.5}, TypeError, ["width", "1.5", "sequence"]),
        ({"width": "888"}, TypeError, ["width", "'888'"]),
        ({"width": [8, 8]}, ValueError, ["width", "depth + 1 = 4", "got 2"]),
        ({"width": []}, ValueError, ["width", "depth + 1 = 4", "got 0"]),
        ({"width": [8, 8, 0, 8]}, ValueError, ["width[2]", "0"]),
        ({"width": [8, 8, 2.0, 8]}, TypeError, ["width[2]", "2.0"]),
        ({"width": 2**16}, ValueError, ["65536", "2**32"]),
        ({"width": [1, 2**17, 2**15, 1]}, ValueError, ["131072", "32768", "2**32"]),
        ({"width": [1, 1, 2**30, 1]}, ValueError, ["width", "padded", "1073741824 x 4"]),
        ({"activation": "Swish"}, ValueError, ["activation", "'Swish'", "'silu'"]),
        ({"activation": None}, TypeError, ["activation", "None"]),
        ({"init": "xavier"}, ValueError, ["init", "'xavier'", "'glorot_normal'"]),
        ({"gain": 0}, ValueError, ["gain", "0", "> 0"]),
        ({"gain": -1.0}, ValueError, ["gain", "-1.0"]),
        ({"gain": math.inf}, ValueError, ["gain", "inf", "finite"]),
        ({"gain": math.nan}, ValueError, ["gain", "nan"]),
        ({"gain": "1"}, TypeError, ["gain", "'1'"]),
        ({"gain": True}, TypeError, ["gain", "True"]),
        ({"gain": 1e300}, ValueError, ["gain", "1e+300", "standard deviation"]),
        ({"bias_std": -0.1}, ValueError, ["bias_std", "-0.1", "0, or from 1e-200 to 1e+200"]),
        ({"bias_std": 1e-201}, ValueError, ["bias_std", "1e-201", "1e-200"]),
        ({"bias_std": 1e201}, ValueError, ["bias_std", "1e+201"]),
        ({"bias_std": math.inf}, ValueError, ["bias_std", "inf"]),
        ({"bias_std": None}, TypeError, ["bias_std", "None"]),
        (
            {"init": "torch_default", "bias_std": 0.1},
            ValueError,
            ["torch_default", "bias_std", "0.1", "must be 0"],
        ),
    ],
)
def test_errors_name_the_argument_the_value_and_what_is_allowed(arguments, error, words):
    with pytest.raises(error) as caught:
        MLP(**({"depth": 3, "width": 8} | arguments))
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"steps": 0}, ValueError, ["steps", "0", "from 1"]),
        ({"steps": 2.0}, TypeError, ["steps", "2.0", "int"]),
        ({"width": [8, 8]}, TypeError, ["width", "[8, 8]", "int"]),
        ({"width": 2**16}, ValueError, ["65536", "2**32"]),
        ({"activation": "Swish"}, ValueError, ["activation", "'Swish'", "'silu'"]),
        ({"init": "eye"}, ValueError, ["init", "'eye'", "'identity'"]),
        ({"gain": 0}, ValueError, ["gain", "0", "> 0"]),
        ({"gain": 1e300}, ValueError, ["gain", "1e+300", "standard deviation"]),
        ({"bias_std": -1}, ValueError, ["bias_std", "-1"]),
        ({"input_std": -0.5}, ValueError, ["input_std", "-0.5", "0, or from 1e-200 to 1e+200"]),
        ({"input_std": None}, TypeError, ["input_std", "None"]),
        ({"init": "torch_default", "bias_std": 1}, ValueError, ["bias_std must be 0", "1.0"]),
    ],
)
def test_errors_of_recurrent_networks(arguments, error, words):
    with pytest.raises(error) as caught:
        RNN(**({"steps": 3, "width": 8} | arguments))
    for word in words:
        assert word in str(caught.value)


def test_a_recurrent_network_has_what_a_layered_one_has():
    rnn = RNN(5, 100, init="lecun_normal", gain=2.0)
    assert (rnn.depth, rnn.widths) == (5, (100,) * 6)
    assert rnn.weight_std == pytest.approx(0.2, rel=1e-15)
    assert rnn.bias_limits.tolist() == [0.0] * 5
    torch_default = RNN(5, 4, init="torch_default").bias_limits
    assert torch_default == pytest.approx([0.5] * 5, rel=1e-15)
    assert RNN(5, 100, gain=2.0).weight_std == pytest.approx(0.2, rel=1e-15)
    assert repr(rnn) == "RNN(steps=5, width=100, init='lecun_normal', gain=2.0)"
    assert dataclasses.replace(rnn, steps=6) == RNN(6, 100, init="lecun_normal", gain=2.0)
    assert rnn != MLP(5, 100, init="lecun_normal", gain=2.0)
    with pytest.raises(dataclasses.FrozenInstanceError):
        rnn.steps = 3


def test_identity_is_for_recurrent_networks():
    with pytest.raises(
        ValueError, match=r"init must not be 'identity' in an MLP.*recurrent networks"
    ):
        MLP(3, 8, init="identity")


def test_orthogonal_matrices_are_drawn_square():
    assert MLP(1, [65535, 1], init="orthogonal").depth == 1
    with pytest.raises(ValueError, match=r"65536 x 65536 \(orthogonal matrices are drawn square\)"):
        MLP(1, [65536, 1], init="orthogonal")


@pytest.mark.parametrize(
    ("layers", "of_mlp"), [([0], []), ([0, 3], [3]), ([6, 0, 1], [6, 1]), ([5, 2], [5, 2])]
)
def test_weight_layers(layers, of_mlp):
    assert MLP(6, 4).weight_places(np.array(layers)).tolist() == of_mlp
    assert RNN(6, 4).weight_places(np.array(layers)).tolist() == [1]


@pytest.mark.parametrize("network", [None, "tanh", MLP, {"depth": 3, "width": 4}])
def test_what_is_no_network(network):
    with pytest.raises(
        TypeError, match=r"network must be a vgsim\.MLP, .* or vgsim\.TorchModule, got"
    ):
        checked_network(network)
    assert checked_network(RNN(2, 3)) == RNN(2, 3)


def test_largest_matrices():
    assert MLP(1, [2**16, 2**16 - 1]).widths == (65536, 65535)
    assert MLP(1, [1, 2**30 - 1]).widths == (1, 2**30 - 1)
    with pytest.raises(ValueError, match="got widths 65535 and 65536 in a row: 65536 x 65536"):
        MLP(1, [2**16 - 1, 2**16])


def test_options_are_keywords():
    with pytest.raises(TypeError):
        MLP(3, 8, "relu")


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ('{"depth":1,"kind":"CNN","width":2}', "'CNN'"),
        ('{"depth":1,"width":2}', "None"),
        ('{"depth":1,"kind":"MLP","width":2,"dropout":0.1}', "dropout"),
        ('{"depth":1,"kind":"RNN","width":2}', r"unknown: \['depth'\], missing: \['steps'\]"),
        ('{"depth":1,"kind":"MLP","width":2,"highway":{"kind":"Residual"}}', "'Highway'"),
        ('{"depth":1,"kind":"MLP"}', "width"),
        ("[1]", "object"),
    ],
)
def test_foreign_json_is_refused(text, word):
    with pytest.raises(ValueError, match=word):
        network_from_json(text)


def test_repr_abbreviates_many_widths():
    assert repr(MLP(7, range(1, 9))) == (
        "MLP(depth=7, width=(1, 2, 3, 4, 5, 6, 7, 8), init='glorot_normal')"
    )
    assert repr(MLP(8, range(1, 10))) == (
        "MLP(depth=8, width=[1, 2, ..., 9] (9 widths), init='glorot_normal')"
    )


def test_a_misspelt_field_is_named_with_the_nearest():
    for make in (
        lambda: MLP(4, 8, activaton="relu"),
        lambda: vgsim.sweep(MLP, depth=4, width=8, activaton=["relu"]),
    ):
        with pytest.raises(TypeError, match="activaton is not a field of MLP; did you mean"):
            make()
    with pytest.raises(
        TypeError, match="colour is not a field of Residual; the fields are every, "
    ) as e:
        Residual(colour=1)
    assert e.value.argument == "colour"


def test_the_deepest_networks_need_no_memory_of_their_own(monkeypatch):
    monkeypatch.setattr(_checks, "_available", lambda: 1 << 30)
    for network in MLP(2**32 - 1, 8), RNN(2**32 - 1, 8):
        assert "=4294967295, width=8" in repr(network)
        assert "4294967295" in network.canonical_json()
        assert network.width_at(-1) == 8
        for attribute in "widths", "weight_stds", "bias_limits":
            with pytest.raises(
                MemoryError, match="a list of 4294967295 .* needs about 256 GiB and"
            ):
                getattr(network, attribute)
        for run in (
            lambda net: vgsim.simulate(net, 1),
            lambda net: vgsim.lyapunov(net, 1),
            lambda net: vgsim.depth_curve(net, (1, net.depth), 1),
            lambda net: vgsim.collect([net], max_samples=1),
            lambda net: vgsim.replay(net),
        ):
            with pytest.raises(
                MemoryError, match="needs about .* GiB are available: lower the dep"
            ):
                run(network)
        with pytest.raises(ValueError, match="weights must hold"):
            vgsim.evaluate(network, [], None, [1.0] * 8, [1.0] * 8)
    assert vgsim.theory.mean_field(MLP(2**32 - 1, 8)) == vgsim.theory.mean_field(MLP(1, 8))


@pytest.mark.parametrize(("first", "last"), [(-1, 2), (3, 2), (2, 2), (0, 6), (0.0, 2), ("a", 2)])
def test_sections_that_are_none(first, last):
    with pytest.raises((ValueError, TypeError), match="(first|last) must be an int from"):
        MLP(5, 8).section(first, last)
