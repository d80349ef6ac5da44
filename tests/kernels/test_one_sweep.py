"""The one-sweep pass of plain networks against the pass that takes every layer unit by unit.

Both draw the same numbers. They compute the same gradients from sums over the units, and from the
units themselves, which a bound of infinity on the cancellation of the sums asks for.

A sum that keeps the fraction r of its terms loses the factor 1/r of its digits, in either pass. In
wide layers r is of order 1. In narrow ones P(r < t) is of order t, so that a few of the samples
differ by many rounding errors, and no bound holds for every seed: the seed is fixed. Hence two
bounds on the differences, in decades per layer: ROUNDINGS, 1e-12 in float64, holds for every sample
in both precisions; ORDINARY holds in float32 for all samples of wide networks and for 95 % of those
of narrow ones.
"""

import numpy as np
import pytest

import vgsim
from segments import plan_of
from vgsim import Linear, Sequential
from vgsim._engine import plain
from vgsim._networks.activation_table import ACTIVATIONS

ROUNDINGS = 1e-12 / np.finfo(np.float64).eps  # about 4,500
ORDINARY = 1e-6
WIDE = 64
DEPTH = 12
WIDTHS = (1, 2, 3, 8, WIDE, 200, 1024)
GAINS = (0.01, 1.0, 100.0)
FORWARD = ("activation", "saturation", "clipped")  # these do not depend on the way back
RECORD = ("gradient", "weight_gradient", "update_ratio", "activation", "saturation")
UNEQUAL = [5, 7, 1, 40, 2, 300, 3, 64, 9]


@pytest.fixture
def both(monkeypatch):
    """Return the samples of both passes."""

    def of(net, n, **choice):
        record = RECORD if net.clip is None else (*RECORD, "clipped")
        choice = {"engine": "matrix-free"} | choice
        assert plan_of(net, **choice).is_plain
        passes = []
        for bound in (2.0**-6, np.inf):
            monkeypatch.setattr(plain, "CANCELLATION", bound)
            passes.append(
                vgsim.simulate(net, n, layers=range(net.depth + 1), record=record, **choice)
            )
        return passes

    return of


def differences(sweep, units):
    """Return the largest difference of each sample, in decades per layer, of all quantities."""
    np.testing.assert_array_equal(sweep.dead, units.dead)
    largest = np.zeros(len(sweep))
    for name in (*sweep.record, "output_gradient", "rms_min", "rms_max"):
        x, y = (getattr(s, name).reshape(len(s), -1) for s in (sweep, units))
        if name in FORWARD:
            np.testing.assert_array_equal(x, y, err_msg=name)
            continue
        finite = np.isfinite(x)
        np.testing.assert_array_equal(x[~finite], y[~finite], err_msg=name)
        gap = np.abs(np.subtract(x, y, where=finite & np.isfinite(y), out=np.zeros(x.shape)))
        assert np.isfinite(y[finite]).all(), name
        largest = np.maximum(largest, gap.max(axis=1) / sweep.network.depth)
    return largest


def check(found, dtype, wide):
    """Check the differences of the samples of one or of several networks."""
    assert found.max() < ROUNDINGS * np.finfo(dtype).eps
    if dtype == "float32":
        assert np.quantile(found, 1 if wide else 0.95) < ORDINARY


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_width_gain_and_bias(activation, dtype, both):
    init = "lecun_normal" if activation == "sine" else "textbook"  # normal weights
    for n in WIDTHS:
        nets = [
            vgsim.MLP(DEPTH, n, activation=activation, init=init, gain=gain, bias_std=bias_std)
            for gain in GAINS
            for bias_std in (0.0, 0.3)
        ]
        size = 64 if n < 1024 else 16
        found = [differences(*both(net, size, dtype=dtype)) for net in nets]
        check(np.concatenate(found), dtype, n >= WIDE)


def layers(phi, *bias_stds):
    return [
        x
        for n, std in zip((5, 1, 70), bias_stds, strict=True)
        for x in (Linear(n, bias_std=std), phi)
    ]


MSE, CROSS_ENTROPY = {"loss": "mse"}, {"loss": "cross_entropy"}
CLIP = vgsim.ClipNorm(0.7)
# name: (network, settings)
CASES = {
    "layer norm": (vgsim.MLP(DEPTH, WIDE, norm="layer"), {}),
    "layer norm, relu": (vgsim.MLP(DEPTH, WIDE, norm="layer", activation="relu", bias_std=0.3), {}),
    "layer norm, gelu, unequal": (
        vgsim.MLP(4, [3, 48, 200, 64, 90], norm="layer", activation="gelu", gain=30.0),
        CROSS_ENTROPY,
    ),
    "layer norm, mse": (vgsim.MLP(DEPTH, WIDE, norm="layer", norm_eps=1.0, gain=0.1), MSE),
    "rms norm": (vgsim.MLP(DEPTH, WIDE, norm="rms", bias_std=0.3), {}),
    "rms norm, relu, small": (vgsim.MLP(DEPTH, 128, norm="rms", activation="relu", gain=1e-3), {}),
    "rms norm, clipped": (vgsim.MLP(DEPTH, WIDE, norm="rms", clip=CLIP, activation="silu"), MSE),
    "mse": (vgsim.MLP(DEPTH, WIDE, bias_std=0.3), MSE),
    "mse, relu": (vgsim.MLP(DEPTH, 100, activation="relu", gain=1.5), MSE),
    "mse, narrow": (vgsim.MLP(DEPTH, 5, activation="erf", gain=2.0), MSE),
    "cross-entropy": (vgsim.MLP(DEPTH, WIDE, activation="gelu", bias_std=0.3), CROSS_ENTROPY),
    "cross-entropy, narrow": (vgsim.MLP(DEPTH, 4, activation="softplus"), CROSS_ENTROPY),
    "clipped": (vgsim.MLP(DEPTH, WIDE, gain=3.0, clip=CLIP), {}),
    "clipped, mse": (vgsim.MLP(DEPTH, 100, activation="relu", gain=2.0, clip=CLIP), MSE),
    "unequal": (vgsim.MLP(8, UNEQUAL, activation="elu", bias_std=0.3), {}),
    "unequal, relu": (vgsim.MLP(8, UNEQUAL, activation="relu"), MSE),
    "list": (Sequential(WIDE, [Linear(bias_std=0.3), "tanh"] * DEPTH), {}),
    "list, relu": (Sequential(WIDE, [Linear(), "relu"] * DEPTH), CROSS_ENTROPY),
    "list, unequal": (Sequential(3, layers("gelu", 0.3, 0.0, 1.0)), MSE),
    "data": (
        vgsim.MLP(DEPTH, WIDE, bias_std=0.1),
        {
            "inputs": np.random.default_rng(0).normal(size=(6, WIDE))
            * np.logspace(-20, 20, 6)[:, None]
        },
    ),
    "zeros": (vgsim.MLP(DEPTH, WIDE, bias_std=0.1), {"inputs": np.zeros((1, WIDE))}),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", CASES)
def test_norms_losses_clipping_and_lists(name, dtype, both):
    net, choice = CASES[name]
    found = differences(*both(net, 256, dtype=dtype, **choice))
    check(found, dtype, min(net.program.widths) >= 48)


@pytest.mark.parametrize("activation", ["relu", "tanh", "hard_tanh"])
def test_the_two_passes_are_two(activation, both):
    """The sums give other bits than the units, so that the comparisons compare something."""
    sweep, units = both(vgsim.MLP(DEPTH, WIDE, activation=activation, gain=1.2), 64)
    assert np.mean(sweep.gradient[:, 0] != units.gradient[:, 0]) > 0.5
