"""Depths, gains and widths at which ordinary arithmetic underflows or overflows."""

import math
import resource
import subprocess
import sys
import time

import numpy as np
import pytest
from scipy import stats

import vgsim
from vgsim._kernels import lanes

LN10 = math.log(10)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sigmoid_at_depth_100_000(dtype):
    """ln ‖G‖² falls by −ln χ₁ = 2.8874 per layer at σ_w = 1, up to O(1/n)."""
    depth, n = 100_000, 32
    net = vgsim.MLP(depth, n, activation="sigmoid", init="lecun_normal")
    s = vgsim.simulate(net, 32, layers=(0, depth // 2), dtype=dtype)
    assert np.isfinite(s.log10_ratio).all()
    slope = 2 * LN10 * s.log10_ratio.mean(axis=0) / depth
    expected = math.log(0.05572071)
    assert slope[0] == pytest.approx(expected, abs=2 / n)
    assert slope[1] == pytest.approx(slope[0] / 2, rel=1e-3)
    assert s.n_dead == 0


def test_relu_with_gain_3_at_depth_5000():
    depth, n = 5000, 64
    net = vgsim.MLP(depth, n, activation="relu", init="he_normal", gain=3.0)
    s = vgsim.simulate(net, 2000, layers=(0,))
    expected = depth * math.log10(3.0) + depth * (-0.0400) / (2 * LN10)
    assert s.log10_ratio.mean() == pytest.approx(expected, abs=1.0)
    assert s.probability("exploding").estimate == 1.0
    assert s.probability("overflow", dtype="float32").estimate == 1.0


@pytest.mark.parametrize("gain", [1e-30, 1e-3, 1e3, 1e30])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("engine", ["matrix-free", "dense"])
def test_any_gain_of_relu_only_shifts_the_logarithm(engine, dtype, gain):
    """ReLU is homogeneous, so the gain multiplies every gradient, at any exponent."""
    depth, kwargs = 50, {"activation": "relu", "init": "he_normal"}
    record = ("gradient", "activation")
    a, b = (
        vgsim.simulate(
            vgsim.MLP(depth, 8, gain=g, **kwargs),
            4000,
            engine=engine,
            dtype=dtype,
            layers=(0, depth),
            record=record,
        )
        for g in (1.0, gain)
    )
    x, y = (s.log10_ratio[~s.dead, 0] for s in (a, b))
    error = math.hypot(x.std() / math.sqrt(len(x)), y.std() / math.sqrt(len(y)))
    assert abs(y.mean() - x.mean() - depth * math.log10(gain)) < 5 * error


SMOOTH = ["sigmoid", "tanh", "erf", "softsign", "gelu", "silu", "elu", "selu", "softplus"]
SMOOTH += ["mish", "gelu_tanh", "sine"]


@pytest.mark.parametrize("width", [1, 2, 16])
@pytest.mark.parametrize("gain", [1e-20, 100.0, 1e12])
@pytest.mark.parametrize("activation", SMOOTH)
def test_smooth_activations_never_die(activation, gain, width):
    net = vgsim.MLP(40, width, activation=activation, gain=gain, init="lecun_normal")
    record = ("gradient", "activation", "weight_gradient", "update_ratio")
    for engine in ("matrix-free", "dense"):
        s = vgsim.simulate(net, 200, engine=engine, record=record)
        assert s.n_dead == 0
        for name in (*record, "rms_min", "rms_max"):
            assert np.isfinite(getattr(s, name)).all(), name


@pytest.mark.parametrize("activation", SMOOTH)
def test_both_dtypes_say_the_same_when_saturated(activation):
    net = vgsim.MLP(6, 4, activation=activation, gain=60.0, init="lecun_normal")
    a, b = (vgsim.simulate(net, 20_000, dtype=t) for t in ("float32", "float64"))
    assert a.n_dead == b.n_dead == 0
    for column in range(net.depth):
        x, y = a.log10_ratio[:, column], b.log10_ratio[:, column]
        assert stats.ks_2samp(x, y).pvalue > 1e-6, column
        assert stats.ks_2samp(x, 1.2 * y).pvalue < 1e-6, column  # a 20 % change is detected


@pytest.mark.parametrize("engine", ["matrix-free", "dense"])
def test_depth_1_and_width_1(engine):
    """G_0 = w φ'(w x) G_1, all scalars: log10 |G_0/G_1| = log10 |w| for linear."""
    s = vgsim.simulate(vgsim.MLP(1, 1, activation="linear"), 20_000, engine=engine)
    assert list(s.layers) == [0, 1]
    mean = (-np.euler_gamma - math.log(2)) / 2 / LN10  # the mean of log10 |N(0, 1)|
    std = math.pi / math.sqrt(8) / LN10
    assert abs(s.mean(0) - mean) < 5 * std / math.sqrt(20_000)
    assert s.mean(1) == 0


def test_relu_dies_as_it_should_at_width_1():
    s = vgsim.simulate(vgsim.MLP(3, 1, activation="relu"), 20_000)
    assert abs(s.probability("dead").estimate - 7 / 8) < 5 * math.sqrt(7 / 64 / 20_000)


MILLION = """
import vgsim
s = vgsim.simulate(vgsim.MLP(1_000_000, 64, init="lecun_normal"), 16, layers=(0,))
assert abs(s.log10_ratio).max() < 1e6
status = open("/proc/self/status").read()
print(int(status.split("VmHWM:")[1].split()[0]) / 1024)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc/self/status")
def test_a_million_tanh_layers_in_600_mib():
    done = subprocess.run(
        [sys.executable, "-c", MILLION], capture_output=True, text=True, check=True
    )
    assert float(done.stdout) < 600


def test_the_work_of_a_layer_does_not_depend_on_depth():
    """Processor times of the same total number of layers, measured in turns.

    The layers whose activations are stored are drawn once, the others twice.
    """
    groups = lanes("float32") * 2**16  # samples times layers
    depths = (2**10, 2**12, 2**14, 2**16)
    networks = [vgsim.MLP(depth, 64, init="lecun_normal") for depth in depths]
    times = np.zeros((5, len(depths)))
    for turn in times:
        for i, (depth, network) in enumerate(zip(depths, networks, strict=True)):
            started = time.process_time()
            vgsim.simulate(network, groups // depth, layers=(0,), n_threads=1)
            turn[i] = time.process_time() - started
    medians = np.median(times, axis=0)
    assert medians.max() < 2 * medians.min()


def test_memory_is_estimated_before_it_is_taken():
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(MemoryError, match="lower the number of samples, 100000000000 "):
        vgsim.simulate(vgsim.MLP(100, 8), 100_000_000_000)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < peak + 200_000


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("engine", ["matrix-free", "dense"])
@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "erf"])
def test_weight_gradients_at_the_floor(activation, engine, dtype):
    """Outer products of two examples at the floor of the exponents may cancel, but are no zero."""
    net = vgsim.MLP(2, 3, activation=activation, gain=1e10)
    inputs = np.array([[1.7, -1.7, 1.7], [1e-311, 2e-311, 1e-311], [1.7, 1.7, 1.6]]) * 1e308
    record = ("gradient", "weight_gradient", "update_ratio")
    s = vgsim.simulate(
        net, 400, inputs=inputs, batch_size=2, record=record, engine=engine, dtype=dtype
    )
    assert s.n_dead == 0
    for name in record:
        assert np.isfinite(getattr(s, name)).all(), name


@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "gelu", "softsign"])
def test_gradients_of_pre_activations_in_the_tail(activation):
    """A place of its own for W x + b: its gradient, and clipping there, where all φ' underflow."""
    layers = [vgsim.Linear(gain=100.0, bias_std=1000.0), activation] * 3
    net = vgsim.Sequential(2, layers, clip=vgsim.ClipNorm(1.0))
    settings = {"engine": "matrix-free", "dtype": "float64"}
    s = vgsim.simulate(net, 8, layers=range(7), **settings)
    for index in range(8):
        r = vgsim.replay(net, index=index, **settings)
        expected = vgsim.evaluate(net, r.parameters, r.inputs, r.output_gradient)
        np.testing.assert_allclose(s.gradient[index], expected.gradient, rtol=1e-9, atol=1e-9)
