"""Batches and techniques at scales far from 1: the kernels against the twin."""

import numpy as np
import pytest

import vgsim
from batched_networks import evaluated
from vgsim import MLP, RNN, ClipValue, Highway, Residual

LECUN = {"init": "lecun_normal"}
FAR = np.random.default_rng(1).normal(size=(5, 9)) * 1e50
RECORD = ("gradient", "weight_gradient", "activation", "saturation")

CASES = {
    "a bias that batch norm cancels": (MLP(4, 6, norm="batch", bias_std=1e6, **LECUN), 4, {}),
    "layer norm of two, far out": (MLP(4, 2, norm="layer", gain=1e8, **LECUN), 3, {}),
    "layer norm, far in": (MLP(4, 5, norm="layer", gain=1e-20, **LECUN), 3, {}),
    "batch norm where ε dominates": (
        MLP(4, 5, activation="linear", norm="batch", gain=1e-40, **LECUN),
        4,
        {"dtype": "float64"},
    ),
    "open gates": (MLP(4, 3, highway=Highway(50), activation="relu", init="he_normal"), 2, {}),
    "shut gates": (MLP(4, 3, highway=Highway(-50), **LECUN), 2, {}),
    "gates far beyond": (MLP(4, 4, highway=Highway(-1e4), **LECUN), 1, {}),
    "erf, saturated": (MLP(4, 4, activation="erf", bias_std=1e3, **LECUN), 2, {}),
    "values at the limit": (
        RNN(6, 4, init="identity", activation="linear", input_std=0, clip=ClipValue(0.5)),
        3,
        {},
    ),
    "values far beyond": (MLP(4, 5, gain=1e30, activation="linear", clip=ClipValue(1e-30)), 3, {}),
    "skips against one another": (
        MLP(6, 5, activation="relu", residual=Residual(2, skip=-1.0, branch=1e-20)),
        3,
        {},
    ),
    "far data": (
        MLP(1, 9, norm="rms", highway=Highway(0.0), **LECUN),
        5,
        {"inputs": FAR, "loss": "mse", "dtype": "float64"},
    ),
    "growing without end": (
        MLP(40, 5, activation="linear", gain=1e60, residual=Residual(2), **LECUN),
        2,
        {"dtype": "float64"},
    ),
}


@pytest.mark.parametrize("engine", ["auto", "dense"])
@pytest.mark.parametrize("name", CASES)
def test_kernel_equals_twin(name, engine):
    network, batch_size, choice = CASES[name]
    choice = {"dtype": "float32", "batch_size": batch_size, "engine": engine} | choice
    record = (*RECORD, "clipped") if network.clip else RECORD
    layers = range(network.depth + 1)
    samples = vgsim.simulate(network, 6, seed=7, layers=layers, record=record, **choice)
    twins = [evaluated(network, vgsim.replay(network, 7, index, **choice)) for index in range(6)]
    tolerance = 3e-3 if choice["dtype"] == "float32" else 1e-8
    for quantity in (*record, "dead"):
        expected = np.array([getattr(twin, quantity) for twin in twins], dtype=float)
        actual = np.array(getattr(samples, quantity), dtype=float)
        np.testing.assert_allclose(actual, expected, rtol=1e-6, atol=tolerance, err_msg=quantity)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("batch_size", [8, 11, 16])
def test_no_more_columns_are_kept_than_there_are_units(batch_size, dtype):
    """‖W‖ is drawn with (n - r_g)(m - r) degrees of freedom, r and r_g at most n = m = 7."""
    rng = np.random.default_rng(0)
    inputs = np.vstack([rng.normal(size=(batch_size - 3, 7)), np.zeros((3, 7))])
    residual = Residual(3, skip=0.0, branch=-0.3, style="linear", last_gain=1e-30)
    network = MLP(9, 7, activation="linear", gain=1e-20, norm="layer", residual=residual, **LECUN)
    samples = vgsim.simulate(
        network,
        200,
        batch_size=batch_size,
        inputs=inputs,
        dtype=dtype,
        engine="matrix-free",
        record=("weight_gradient", "update_ratio"),
    )
    log10_norm = samples.weight_gradient - samples.update_ratio - np.log10(network.weight_stds[0])
    assert np.all(abs(log10_norm[:, 0] - np.log10(7)) < 0.3)  # ‖W_1‖² is χ²_49
