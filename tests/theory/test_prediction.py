"""Theoretical values against measured ones at every layer."""

import math
import warnings

import pytest

import vgsim
from vgsim._checks import DECADE
from vgsim.theory._prediction import Prediction, predict

RELU = {"activation": "relu", "init": "he_normal"}
SCALED = {"branch": "1/sqrt(blocks)"}

# name: (network, layers, relative tolerance of mean and std for the error of the theory)
NETWORKS = {
    "relu": (vgsim.MLP(20, 24, **RELU), (0, 7, 19), 0.0),
    "dying": (vgsim.MLP(12, 4, **RELU), (0, 6, 11), 0.0),
    "biased": (vgsim.MLP(12, 4, bias_std=0.3, **RELU), (0, 6, 11), 0.0),
    "uneven": (vgsim.MLP(6, (9, 16, 8, 12, 20, 7, 11), **RELU), (0, 2, 5), 0.0),
    "orthogonal": (vgsim.MLP(10, 20, activation="linear", init="orthogonal"), (0, 4), 0.0),
    "linear skips": (
        vgsim.MLP(
            16, 32, activation="linear", init="lecun_normal", residual=vgsim.Residual(**SCALED)
        ),
        (0, 8, 15),
        0.0,
    ),
    "tanh": (
        vgsim.MLP(30, 100, init="lecun_normal", gain=1.327, bias_std=0.05**0.5),
        (0, 10, 25, 29),
        0.04,
    ),
    "sigmoid": (vgsim.MLP(20, 64, activation="sigmoid"), (0, 10, 19), 0.04),
    "relu skips": (
        vgsim.MLP(16, 64, residual=vgsim.Residual(2, style="linear", **SCALED), **RELU),
        (0, 8, 14),
        0.1,
    ),
    "normalised skips": (
        vgsim.MLP(12, 64, norm="layer", residual=vgsim.Residual(2, style="pre", **SCALED), **RELU),
        (0, 4, 10),
        0.1,
    ),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_theory_of_every_layer_is_measured(name, seed):
    net, layers, slack = NETWORKS[name]
    n = 20_000
    s = vgsim.simulate(net, n, seed=seed, layers=layers)
    for layer in layers:
        theory = predict(net, layer)
        size = abs(theory.mean) + s.std(layer)
        assert abs(s.mean(layer) - theory.mean) < 5 * s.std(layer) / n**0.5 + slack * size
        if theory.std is not None:
            error = 2 * theory.std / (2 * n) ** 0.5 if theory.std else 1e-6
            assert abs(s.std(layer) - theory.std) < 5 * error + slack * theory.std
        for event in ("vanishing", "exploding", "dead"):
            threshold = 1e-6 if event == "dead" else 0.5
            exact = theory.probability(event, threshold)
            if theory.law is not None and exact is None:
                assert theory.bound(event, threshold) == 1e-45
                assert s.probability(event, layer, threshold).events == 0
            elif theory.law is not None:
                found = s.probability(event, layer, threshold).estimate
                assert abs(found - exact) < 5 * math.sqrt(exact * (1 - exact) / n) + 1e-9


@pytest.mark.parametrize("name", NETWORKS)
def test_tables_have_theory_beside_every_layer(name):
    net, _, _ = NETWORKS[name]
    s = vgsim.simulate(net, 50)
    assert len(s.summary().table("csv").splitlines()) == s.layers.size + 1
    assert len(s.profile().table("csv").splitlines()) == s.layers.size + 1


def test_inside_a_residual_block_there_is_no_theory():
    found = predict(NETWORKS["relu skips"][0], 3)
    assert (found.mean, found.law) == (None, None)
    assert found.source == "layer 3 is inside a residual block of 2 layers"


@pytest.mark.parametrize("gain", [1e-199, 1e-60, 1e60, 1e150])
@pytest.mark.parametrize(
    "more",
    [
        {},
        {"norm": "layer"},
        {"residual": vgsim.Residual(2, style="post")},
        {"residual": vgsim.Residual(2, style="pre")},
        {"highway": vgsim.Highway(0)},
        {"init": "torch_default"},
        {"activation": "linear", "residual": vgsim.Residual()},
    ],
)
def test_weights_beyond_the_range_of_a_theory_are_refused_and_do_not_overflow(gain, more):
    network = vgsim.MLP(4, 4, **{"activation": "gelu", "gain": gain, **more})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = predict(network)
    assert found.mean is None or math.isfinite(found.mean)
    assert found.source


def test_a_table_without_theory_says_why():
    net = vgsim.MLP(4, 8)
    reason = "no theory: the theory is for batch size 1, not 3"
    assert reason in vgsim.simulate(net, 20, batch_size=3).summary().table()
    assert "no theory" not in vgsim.simulate(net, 20).summary().table()


LAWS = {"relu": vgsim.theory.relu_law, "linear": vgsim.theory.linear_law}


@pytest.mark.parametrize("name", LAWS)
@pytest.mark.parametrize("shape", [(32, 10), (32, 100), (128, 10), (128, 1000)])
def test_a_normal_law_of_the_same_moments_holds_where_it_is_used(name, shape):
    exact = LAWS[name](*shape)
    normal = Prediction(exact.mean / DECADE, math.sqrt(exact.variance) / DECADE)
    numbers, bounds = 0, set()
    for z in (1, 2, 3, 3.5, 4, 5, 6, 7, 9, 20):
        for event, side in (("vanishing", -1), ("exploding", 1)):
            power = side * (normal.mean + side * z * normal.std)
            if not 0 <= power < 300:
                continue  # no threshold is there
            threshold = 10**-power
            p, found = exact.probability(event, threshold), normal.probability(event, threshold)
            if found is None:
                bounds.add(normal.bound(event, threshold))
                assert p < normal.bound(event, threshold)
            else:
                assert normal.bound(event, threshold) is None
                assert found / 6 < p < 6 * found
                numbers += 1
    assert bounds == {1e-3, 1e-6}
    assert numbers >= 4


def test_tails_of_a_smooth_network_are_below_their_bounds(seed):
    network, n = vgsim.MLP(20, 32, activation="sigmoid"), 100_000
    theory, samples = predict(network), vgsim.simulate(network, n, layers=[0], seed=seed)
    for z in (3.8, 4.5, 8):
        threshold = 10 ** (theory.mean - z * theory.std)
        bound = theory.bound("vanishing", threshold)
        assert theory.probability("vanishing", threshold) is None
        assert samples.probability("vanishing", threshold=threshold).low < bound
    threshold = 10 ** (theory.mean - 2 * theory.std)
    found = samples.probability("vanishing", threshold=threshold).estimate
    assert found == pytest.approx(theory.probability("vanishing", threshold), rel=0.5)


@pytest.mark.parametrize("mean", [-600.0, 600.0, 0.0])
def test_bounds_of_every_event(mean):
    theory = Prediction(mean, 0.5)
    known = {e: theory.probability(e, 1e-6) for e in ("vanishing", "exploding", "healthy")}
    for event, p in known.items():
        assert (p is None) == (theory.bound(event, 1e-6) is not None)
        assert p == pytest.approx(1) if p is not None else theory.bound(event, 1e-6) == 1e-6
    assert theory.probability("dead", 1e-6) is theory.bound("dead", 1e-6) is None
    certain = Prediction(mean, 0.0)  # not random: exact
    assert {certain.probability(e, 1e-6) for e in known} == {0.0, 1.0}
    assert {certain.bound(e, 1e-6) for e in known} == {None}
