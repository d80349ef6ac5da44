"""Skip connections, gates and clipping as parts of a description: normal form and validation."""

import dataclasses
import math
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vgsim import MLP, RNN, ClipNorm, ClipValue, Highway, Residual

sizes = st.floats(1e-100, 1e100)
signed = st.builds(math.copysign, sizes, st.sampled_from([-1.0, 1.0]))
residuals = st.builds(
    Residual,
    st.integers(1, 2**32 - 1),
    skip=st.one_of(st.just(0.0), signed),
    branch=st.one_of(st.just("1/sqrt(blocks)"), signed),
    style=st.sampled_from(["activated", "linear", "post", "pre"]),
    last_gain=sizes,
)
cures = st.one_of(
    residuals,
    st.builds(Highway, st.floats(-1e6, 1e6)),
    st.builds(ClipNorm, sizes),
    st.builds(ClipValue, sizes),
)


@given(cures)
def test_identity(cure):
    back = type(cure).from_dict(cure.to_dict())
    assert back == cure
    assert hash(back) == hash(cure)
    assert back.to_dict() == cure.to_dict()
    assert cure.to_dict()["kind"] == type(cure).__name__
    assert eval(repr(cure)) == cure
    assert pickle.loads(pickle.dumps(cure)) == cure


@given(st.one_of(st.builds(ClipNorm, sizes), st.builds(ClipValue, sizes)))
def test_clips_are_told_apart(clip):
    net = MLP(4, 8, clip=clip)
    assert net.clip is clip
    assert MLP.from_dict(net.to_dict()).clip == clip
    assert ClipNorm(2.0) != ClipValue(2.0)


@pytest.mark.parametrize(
    ("cure", "values", "shown"),
    [
        (Residual(), {"kind": "Residual"}, "Residual()"),
        (
            Residual(np.int64(2), skip=1, branch=True + 0.0, style="activated", last_gain=1),
            {"kind": "Residual", "every": 2},
            "Residual(every=2)",
        ),
        (
            Residual(3, branch="1/sqrt(blocks)", style="pre", last_gain=0.5),
            {
                "kind": "Residual", "every": 3, "branch": "1/sqrt(blocks)", "style": "pre",
                "last_gain": 0.5,
            },
            "Residual(every=3, branch='1/sqrt(blocks)', style='pre', last_gain=0.5)",
        ),
        (Highway(), {"kind": "Highway"}, "Highway()"),
        (Highway(0), {"kind": "Highway", "gate_bias": 0.0}, "Highway(gate_bias=0.0)"),
        (ClipNorm(1), {"kind": "ClipNorm", "max_norm": 1.0}, "ClipNorm(max_norm=1.0)"),
        (ClipValue(0.5), {"kind": "ClipValue", "limit": 0.5}, "ClipValue(limit=0.5)"),
    ],
)  # fmt: skip
def test_normal_form(cure, values, shown):
    assert cure.to_dict() == values
    assert repr(cure) == shown


def test_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Residual().skip = 0.0
    assert dataclasses.replace(Residual(2), skip=0.5) == Residual(2, skip=0.5)
    with pytest.raises(ValueError, match="skip"):
        dataclasses.replace(Residual(2), skip=math.inf)


@pytest.mark.parametrize(
    ("residual", "depth", "scale"),
    [
        (Residual(), 100, 1.0),
        (Residual(branch=-0.25), 100, -0.25),
        (Residual(branch="1/sqrt(blocks)"), 100, 0.1),
        (Residual(4, branch="1/sqrt(blocks)"), 100, 0.2),
        (Residual(7, branch="1/sqrt(blocks)"), 7, 1.0),
    ],
)
def test_scale_of_the_branch(residual, depth, scale):
    assert residual.branch_scale(depth) == pytest.approx(scale, rel=1e-15)


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: Residual(0), ValueError, ["every of Residual", "0", "from 1"]),
        (lambda: Residual(2.0), TypeError, ["every of Residual", "2.0", "int"]),
        (lambda: Residual(True), TypeError, ["every of Residual", "True"]),
        (lambda: Residual(1, 2.0), TypeError, ["skip", "by its name"]),
        (lambda: Residual(skip="1"), TypeError, ["skip of Residual", "'1'"]),
        (lambda: Residual(skip=1e101), ValueError, ["skip of Residual", "1e+101", "0, or"]),
        (lambda: Residual(skip=math.nan), ValueError, ["skip of Residual", "nan"]),
        (lambda: Residual(branch=0), ValueError, ["branch of Residual", "0", "1/sqrt(blocks)"]),
        (lambda: Residual(branch=-math.inf), ValueError, ["branch of Residual", "-inf"]),
        (lambda: Residual(branch=None), TypeError, ["branch of Residual", "None"]),
        (
            lambda: Residual(branch="1/sqrt(depth)"),
            ValueError,
            ["branch of Residual", "'1/sqrt(depth)'", "'1/sqrt(blocks)'"],
        ),
        (lambda: Residual(style="He"), ValueError, ["style of Residual", "'He'", "'activated', "]),
        (lambda: Residual(style=2), TypeError, ["style of Residual", "2", "'pre'"]),
        (lambda: Residual(last_gain=0), ValueError, ["last_gain of Residual", "0", "1e-100"]),
        (lambda: Residual(last_gain=-1), ValueError, ["last_gain of Residual", "-1"]),
        (lambda: Highway(math.inf), ValueError, ["gate_bias of Highway", "inf", "-1e6 to 1e6"]),
        (lambda: Highway(-2e6), ValueError, ["gate_bias of Highway", "-2000000.0"]),
        (lambda: Highway(None), TypeError, ["gate_bias of Highway", "None"]),
        (lambda: ClipNorm(0), ValueError, ["max_norm of ClipNorm", "0", "1e-100 to 1e+100"]),
        (lambda: ClipNorm(math.inf), ValueError, ["max_norm of ClipNorm", "inf"]),
        (lambda: ClipNorm(True), TypeError, ["max_norm of ClipNorm", "True"]),
        (lambda: ClipNorm(), TypeError, ["max_norm"]),
        (lambda: ClipValue(-1), ValueError, ["limit of ClipValue", "-1"]),
        (lambda: ClipValue("1"), TypeError, ["limit of ClipValue", "'1'"]),
        (lambda: Residual.from_dict({"kind": "Highway"}), ValueError, ["'Residual'", "'Highway'"]),
        (lambda: Highway.from_dict({}), ValueError, ["'Highway'", "None"]),
        (lambda: Highway.from_dict([]), TypeError, ["Highway", "mapping", "[]"]),
        (
            lambda: Residual.from_dict({"kind": "Residual", "stride": 2}),
            ValueError,
            ["unknown: ['stride']", "'every'", "'last_gain'"],
        ),
        (lambda: ClipNorm.from_dict({"kind": "ClipNorm"}), ValueError, ["missing: ['max_norm']"]),
        (
            lambda: MLP.from_dict(
                {"kind": "MLP", "depth": 4, "width": 8, "clip": {"kind": "Clip"}}
            ),
            ValueError,
            ["'ClipNorm'", "'Clip'"],
        ),
    ],
)
def test_errors_name_the_argument_the_value_and_what_is_allowed(make, error, words):
    with pytest.raises(error) as caught:
        make()
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize("kind", [MLP, RNN])
@pytest.mark.parametrize("clip", [1.0, "norm", ClipNorm, Highway()])
def test_a_clip_is_one_of_two(kind, clip):
    message = r"clip must be a vgsim\.ClipNorm, a vgsim\.ClipValue or None, got"
    with pytest.raises(TypeError, match=message):
        kind(4, 8, clip=clip)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"norm": "group"}, ValueError, ["norm", "'group'", "'batch', 'layer', 'rms'"]),
        ({"norm": True}, TypeError, ["norm", "True", "'batch'"]),
        ({"norm_eps": 1e-3}, ValueError, ["norm_eps", "0.001", "without"]),
        ({"norm": "rms", "norm_eps": 0}, ValueError, ["norm_eps", "0", "1e-12"]),
        ({"norm": "rms", "norm_eps": 2.0}, ValueError, ["norm_eps", "2.0", "to 1"]),
        ({"norm": "rms", "norm_eps": None}, TypeError, ["norm_eps", "None"]),
        ({"norm": "layer", "width": 1}, ValueError, ["norm 'layer'", "width 1 in layer 1"]),
        (
            {"norm": "layer", "width": [1, 8, 8, 1, 8, 8, 8]},
            ValueError,
            ["norm 'layer'", "width 1 in layer 3"],
        ),
        ({"residual": 2}, TypeError, ["residual", "vgsim.Residual or None", "2"]),
        ({"residual": Residual}, TypeError, ["residual", "vgsim.Residual or None"]),
        ({"highway": -2}, TypeError, ["highway", "vgsim.Highway or None", "-2"]),
        (
            {"residual": Residual(), "highway": Highway()},
            ValueError,
            ["residual and highway", "got residual 1 and highway -2.0"],
        ),
        (
            {"residual": Residual(), "width": [8, 8, 8, 8, 8, 8, 9]},
            ValueError,
            ["residual needs equal widths", "(8, 8, 8, 8, 8, 8, 9)"],
        ),
        (
            {"highway": Highway(), "width": [9, 8, 8, 8, 8, 8, 8]},
            ValueError,
            ["highway needs equal widths", "(9, 8, 8, 8, 8, 8, 8)"],
        ),
        (
            {"residual": Residual(4)},
            ValueError,
            ["blocks of 4 layers", "depth must be a multiple", "got 6"],
        ),
        (
            {"residual": Residual(7)},
            ValueError,
            ["blocks of 7 layers", "depth must be a multiple", "got 6"],
        ),
        (
            {"residual": Residual(style="linear")},
            ValueError,
            ["style 'linear' with blocks of one", "activation 'tanh'", "use blocks of two"],
        ),
        (
            {"residual": Residual(style="linear"), "activation": "linear", "norm": "rms"},
            ValueError,
            ["style 'linear' with blocks of one", "norm 'rms'", "use blocks of two"],
        ),
        (
            {"residual": Residual(last_gain=1e-100), "gain": 1e-120},
            ValueError,
            ["gain", "1e-120 times last_gain 1e-100", "standard deviation"],
        ),
    ],
)
def test_impossible_networks_are_refused(arguments, error, words):
    with pytest.raises(error) as caught:
        MLP(**({"depth": 6, "width": 8} | arguments))
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    "arguments",
    [
        {"norm": "layer", "width": [1, 8, 8, 8, 8, 8, 2]},
        {"norm": "rms", "width": 1},
        {"norm": "batch", "residual": Residual(2, style="pre"), "clip": ClipNorm(1.0)},
        {"norm": "layer", "norm_eps": 1e-12, "highway": Highway(), "clip": ClipValue(1.0)},
        {"residual": Residual(style="linear"), "activation": "linear"},
        {"residual": Residual(6, style="linear"), "norm": "layer"},
        {"residual": Residual(3, skip=0.0), "width": [8] * 7},
    ],
)
def test_possible_networks(arguments):
    network = MLP(**({"depth": 6, "width": 8} | arguments))
    assert MLP.from_dict(network.to_dict()) == network


def test_last_gain_scales_the_last_weights_of_each_block():
    network = MLP(6, 100, init="lecun_normal", residual=Residual(3, last_gain=0.5), gain=2.0)
    np.testing.assert_allclose(network.weight_stds, [0.2, 0.2, 0.1, 0.2, 0.2, 0.1], rtol=1e-15)
    every_layer = MLP(2, 100, init="lecun_normal", residual=Residual(last_gain=4.0))
    np.testing.assert_allclose(every_layer.weight_stds, [0.4, 0.4], rtol=1e-15)
    with pytest.raises(ValueError, match="read-only"):
        network.weight_stds[0] = 1.0
