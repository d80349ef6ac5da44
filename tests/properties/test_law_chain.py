"""The scalar engine: its law against the dense engine and exact laws, its bits, its extremes."""

import math
import subprocess
import sys

import numpy as np
import pytest
from scipy import stats

import vgsim
from segments import cut_into_segments, plan_of
from vgsim import Linear, Sequential, _kernels
from vgsim.theory import relu_law

P_VALUE = 1e-6
RECORD = ("gradient", "activation", "saturation", "weight_gradient", "update_ratio")
ARRAYS = (*RECORD, "output_gradient", "dead", "rms_min", "rms_max")
LEAKY = vgsim.Activation("leaky_relu", slope=0.3)
UNEQUAL = [5, 7, 1, 40, 2, 300, 3]
DATA = np.random.default_rng(0).normal(size=(6, 5)) * np.logspace(-2, 3, 6)[:, None]
DATA[2] = 0


def layers(phi, *, bias_stds=(0.3, 0.0, 1.0)):
    return [
        x
        for n, std in zip((5, 1, 7), bias_stds, strict=True)
        for x in (Linear(n, bias_std=std), phi)
    ]


# name: (network, settings)
CASES = {
    "relu": (vgsim.MLP(6, 8, activation="relu"), {}),
    "linear": (vgsim.MLP(4, 3, activation="linear", bias_std=0.5), {}),
    "leaky": (vgsim.MLP(5, 4, activation=LEAKY), {}),
    "biases": (vgsim.MLP(6, 4, activation="relu", bias_std=0.5), {}),
    "large biases": (vgsim.MLP(4, 4, activation=LEAKY, bias_std=1e4), {}),
    "unequal widths": (vgsim.MLP(6, UNEQUAL, activation="relu", bias_std=0.2), {}),
    "pre-activations": (Sequential(3, layers("relu")), {}),
    "mse": (vgsim.MLP(4, 5, activation="relu", gain=1.5), {"loss": "mse"}),
    "mse, small": (vgsim.MLP(4, 3, activation=LEAKY, gain=0.02, bias_std=0.01), {"loss": "mse"}),
    "mse, large": (vgsim.MLP(4, 3, activation=LEAKY, gain=50.0), {"loss": "mse"}),
    "mse, two units": (vgsim.MLP(3, 2, activation="relu", bias_std=0.3), {"loss": "mse"}),
    "clipped": (vgsim.MLP(5, 6, activation="relu", clip=vgsim.ClipNorm(2.0)), {}),
    "clipped inside": (
        Sequential(3, layers(LEAKY), clip=vgsim.ClipNorm(0.7)),
        {"loss": "mse"},
    ),
    "data": (vgsim.MLP(3, 5, activation="relu", bias_std=0.1), {"inputs": DATA}),
    "data, no bias": (vgsim.MLP(3, 5, activation=LEAKY), {"inputs": DATA, "loss": "mse"}),
}


def simulate(net, n, **choice):
    record = RECORD if net.clip is None else (*RECORD, "clipped")
    choice = {"engine": "scalar", "layers": range(net.depth + 1), "record": record} | choice
    return vgsim.simulate(net, n, **choice)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", CASES)
def test_the_law_is_that_of_dense_networks(name, dtype, seed):
    net, choice = CASES[name]
    size = 6000
    a = simulate(net, size, seed=2 * seed + 1, dtype=dtype, **choice)
    b = simulate(net, size, seed=2 * seed + 2, engine="dense", dtype="float64", **choice)
    assert stats.fisher_exact([[s.n_dead, size - s.n_dead] for s in (a, b)]).pvalue > P_VALUE
    for quantity in (*a.record, "output_gradient", "rms_min", "rms_max"):
        if quantity == "clipped" and name == "clipped inside":
            continue  # a norm of exactly the bound is clipped or not by rounding
        for x, y in zip(*(getattr(s, quantity).reshape(size, -1).T for s in (a, b)), strict=True):
            u, v = (np.round(np.maximum(z, -1e3), 5) for z in (x, y))  # -inf where dead
            assert stats.ks_2samp(u, v, method="asymp").pvalue > P_VALUE, quantity


@pytest.mark.parametrize(("n", "depth", "size"), [(8, 20, 40_000), (32, 100, 200_000)])
def test_relu_has_its_exact_law(n, depth, size, seed):
    net = vgsim.MLP(depth, n, activation="relu", init="he_normal")
    s = vgsim.simulate(net, size, seed=seed, engine="scalar", layers=(0,))
    dead = 1 - (1 - 0.5**n) ** depth
    assert stats.binomtest(s.n_dead, size, dead).pvalue > P_VALUE
    law, x = relu_law(n, depth), 2 * math.log(10) * s.log10_ratio[:, 0]
    for p in (1e-3, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999):
        if p <= law.dead_probability:
            continue
        at = np.quantile(x, p)
        exact = float(law.cdf(at))
        assert abs(exact - p) < 5 * math.sqrt(exact * (1 - exact) / size)


def bits(samples):
    return {name: getattr(samples, name).tobytes() for name in (*ARRAYS, *samples.record)}


SETTINGS = {
    "plain": ({}, {}),
    "bias": ({"bias_std": 0.3, "gain": 1.5}, {"loss": "mse"}),
    "huge": ({"gain": 1e6}, {}),
    "clipped": ({"clip": vgsim.ClipNorm(0.5), "gain": 2.0}, {}),
}


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("activation", ["linear", "relu", "leaky_relu"])
def test_bits(activation, dtype, setting, monkeypatch):
    """Nothing depends on instruction set, threads, splits and segments."""
    fields, choice = SETTINGS[setting]
    net = vgsim.MLP(9, [5, 7, 3, 8, 1, 4, 9, 200, 7, 5], activation=activation, **fields)
    choice = choice | {"dtype": dtype, "seed": 3}
    expected = bits(simulate(net, 77, first=5, n_threads=1, **choice))
    for isa in _kernels.available_isas():
        _kernels.set_isa(isa)
        assert bits(simulate(net, 77, first=5, n_threads=3, **choice)) == expected, isa
        parts = [simulate(net, n, first=i, **choice) for n, i in [(1, 5), (30, 6), (46, 36)]]
        assert bits(parts[2] + parts[0] + parts[1]) == expected, isa
        _kernels.set_isa(None)
    plan = plan_of(net, engine="scalar", **choice)
    used = set()
    for whole, size in ((0, 0), (0, 1 / 2), (1 / 3, 0), (1 / 2, 1 / 2)):
        cut_into_segments(monkeypatch, whole, size, plan)
        used.add(tuple(plan_of(net, engine="scalar", **choice).segment_ends))
        assert bits(simulate(net, 77, first=5, **choice)) == expected
    assert len(used) > 2


def test_recording_never_changes_a_sample():
    net = vgsim.MLP(9, 6, activation="relu", bias_std=0.2)
    everything = simulate(net, 50)
    for record in ((), *((name,) for name in RECORD)):
        part = simulate(net, 50, layers=(7, 0, 3), record=record)
        np.testing.assert_array_equal(part.output_gradient, everything.output_gradient)
        for name in record:
            columns = [7, 0, 3] if name in ("gradient", "activation") else [6, 2]
            np.testing.assert_array_equal(
                getattr(part, name), getattr(everything, name)[:, columns]
            )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("gain", [1e-30, 1e-3, 1e3, 1e30])
@pytest.mark.parametrize("bias_std", [0.0, 1.0])
def test_scales(gain, bias_std, dtype):
    """Without bias, and in networks that are wide enough not to die, R changes by log10 gain."""
    nets = [vgsim.MLP(200, 40, activation=LEAKY, gain=g, bias_std=bias_std) for g in (gain, 1.0)]
    a, b = (vgsim.simulate(net, 2000, engine="scalar", dtype=dtype, layers=(0,)) for net in nets)
    assert a.n_dead == b.n_dead == 0
    x, y = a.log10_ratio[:, 0] - 200 * math.log10(gain), b.log10_ratio[:, 0]
    assert np.isfinite(x).all()
    if not bias_std:
        assert stats.ks_2samp(x, y).pvalue > P_VALUE


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n", [1, 2, 3])
def test_death_of_narrow_networks(n, dtype, seed):
    depth, size = 5, 40_000
    net = vgsim.MLP(depth, n, activation="relu")
    s = vgsim.simulate(net, size, seed=seed, engine="scalar", dtype=dtype)
    dead = 1 - (1 - 0.5**n) ** depth
    assert stats.binomtest(s.n_dead, size, dead).pvalue > P_VALUE
    with_bias = vgsim.MLP(depth, n, activation="relu", bias_std=0.3)
    s = vgsim.simulate(with_bias, size, seed=seed, engine="scalar", dtype=dtype)
    assert stats.binomtest(s.n_dead, size, dead).pvalue > P_VALUE


@pytest.mark.parametrize("slope", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize("n", [1, 2, 64])
def test_leaky_networks_never_die(n, slope):
    phi = vgsim.Activation("leaky_relu", slope=slope)
    s = vgsim.simulate(vgsim.MLP(300, n, activation=phi, bias_std=0.1), 2000, engine="scalar")
    assert s.n_dead == 0
    assert np.isfinite(s.gradient).all()


def test_a_hundred_thousand_layers():
    """Without bias the squares of a linear network are a product of independent χ²/n."""
    depth, n = 100_000, 8
    s = vgsim.simulate(
        vgsim.MLP(depth, n, activation="linear"), 64, engine="scalar", dtype="float64", layers=(0,)
    )
    from scipy import special

    mean = depth * (special.digamma(n / 2) - math.log(n / 2))
    std = math.sqrt(depth * special.polygamma(1, n / 2))
    x = 2 * math.log(10) * s.log10_ratio[:, 0]
    assert abs(x.mean() - mean) < 5 * std / 8
    assert 0.4 < x.std() / std < 1.6


MILLION = """
import vgsim
net = vgsim.MLP(1_000_000, 64, activation="relu")
s = vgsim.simulate(net, 16, layers=(0,), engine="scalar", n_threads=2)
assert abs(s.log10_ratio).max() < 1e6
status = open("/proc/self/status").read()
print(int(status.split("VmHWM:")[1].split()[0]) / 1024)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc/self/status")
def test_a_million_layers_in_400_mib():
    done = subprocess.run(
        [sys.executable, "-c", MILLION], capture_output=True, text=True, check=True
    )
    assert float(done.stdout) < 400


FROZEN = {
    "float32": ["0x1.0c0f41f4074d4p+0", "0x1.9fd8c815ca554p+0"],
    "float64": ["0x1.e541319090b4dp-1", "0x1.63ecf39228cebp+0"],
}


def test_frozen_bits():
    """Stream version 2: these numbers may change only together with the stream version."""
    net = vgsim.MLP(12, 10, activation=LEAKY, gain=1.2, bias_std=0.1)
    frozen = {}
    for dtype in ("float32", "float64"):
        s = vgsim.simulate(net, 2, seed=7, first=2**40, engine="scalar", dtype=dtype, layers=(0,))
        frozen[dtype] = [x.hex() for x in s.gradient[:, 0]]
    assert frozen == FROZEN
