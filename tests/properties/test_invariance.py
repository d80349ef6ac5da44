"""The bits of a sample do not depend on threads, splits, recorded columns or machines."""

import subprocess
import sys

import numpy as np
import pytest

import vgsim
from segments import cut_into_segments, plan_of
from vgsim import _kernels
from vgsim._networks.activation_table import ACTIVATIONS

RECORD = ("gradient", "activation", "saturation", "weight_gradient", "update_ratio")
ARRAYS = (*RECORD, "output_gradient", "dead", "rms_min", "rms_max")
WIDTHS = [5, 7, 3, 8, 1, 4, 9, 6, 7, 5]
LAYERS = range(len(WIDTHS))
N, FIRST = 77, 5

# Ordinary scales, biases, and scales beyond the range of float32.
SETTINGS = {"plain": {}, "bias": {"bias_std": 0.3, "gain": 1.5}, "huge": {"gain": 1e6}}


def simulate(net, n=N, first=FIRST, **choice):
    choice = {"layers": LAYERS, "record": RECORD, "seed": 3} | choice
    return vgsim.simulate(net, n, first=first, **choice)


def bits(samples, arrays=ARRAYS):
    return {name: getattr(samples, name).tobytes() for name in arrays}


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("engine", ["matrix-free", "dense"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_bits(activation, engine, dtype, setting):
    choice = SETTINGS[setting]
    if (activation, engine) == ("sine", "matrix-free"):  # siren is uniform
        choice = choice | {"init": "lecun_normal"}
    net = vgsim.MLP(len(WIDTHS) - 1, WIDTHS, activation=activation, **choice)
    choice = {"engine": engine, "dtype": dtype}
    expected = bits(simulate(net, n_threads=1, **choice))
    for isa in _kernels.available_isas():
        _kernels.set_isa(isa)
        for threads in (2, 3):
            assert bits(simulate(net, n_threads=threads, **choice)) == expected, (isa, threads)
        parts = [simulate(net, n, first, **choice) for n, first in [(1, 5), (30, 6), (46, 36)]]
        assert bits(parts[2] + parts[0] + parts[1]) == expected, isa
        _kernels.set_isa(None)


@pytest.mark.parametrize("engine", ["matrix-free", "dense"])
def test_recording_never_changes_a_sample(engine):
    net = vgsim.MLP(len(WIDTHS) - 1, WIDTHS, activation="tanh", bias_std=0.2)
    everything = simulate(net, engine=engine)
    for record in ((), *((name,) for name in RECORD)):
        part = simulate(net, engine=engine, layers=(7, 0, 3), record=record)
        assert bits(part, ["output_gradient", "dead"]) == bits(
            everything, ["output_gradient", "dead"]
        )
        for name in record:
            whole = getattr(everything, name)
            columns = [7, 0, 3] if name in ("gradient", "activation") else [6, 2]
            np.testing.assert_array_equal(getattr(part, name), whole[:, columns])


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("activation", ["gelu", "sigmoid", "tanh"])
@pytest.mark.parametrize("engine", ["matrix-free", "dense"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_segments_never_change_a_sample(engine, dtype, activation, setting, monkeypatch):
    """The bits are the same if a forward pass is stored and if it is repeated."""
    net = vgsim.MLP(len(WIDTHS) - 1, WIDTHS, activation=activation, **SETTINGS[setting])
    choice = {"engine": engine, "dtype": dtype}
    expected = bits(simulate(net, **choice))
    assert len(plan_of(net, **choice).segment_ends) == 1
    used = set()
    for whole, size in ((0, 0), (0, 1 / 2), (1 / 3, 0), (1 / 2, 1 / 2)):
        cut_into_segments(monkeypatch, whole, size, plan_of(net, **choice))
        used.add(tuple(plan_of(net, **choice).segment_ends))
        assert bits(simulate(net, **choice)) == expected
    assert len(used) > 2
    assert min(len(ends) for ends in used) > 1


MSE = {"loss": "mse"}
CLIPPED = {"clip": vgsim.ClipNorm(0.7), "gain": 2.0}
LIST = [vgsim.Linear(bias_std=0.3), "gelu"] * 9
SWEPT = {  # networks of the pass of plain networks, with norms, losses, clipping, lists
    "layer norm": (vgsim.MLP(9, 50, norm="layer", bias_std=0.3), {}),
    "rms norm, mse": (vgsim.MLP(9, 49, norm="rms", activation="relu"), MSE),
    "cross-entropy": (vgsim.MLP(9, WIDTHS, activation="silu"), {"loss": "cross_entropy"}),
    "sums that cancel": (vgsim.MLP(9, 8, activation="relu", bias_std=0.3), MSE),
    "clipped": (vgsim.MLP(9, WIDTHS, activation="erf", **CLIPPED), {}),
    "list": (vgsim.Sequential(6, LIST), MSE),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", SWEPT)
def test_bits_and_segments_of_plain_networks(name, dtype, monkeypatch):
    net, choice = SWEPT[name]
    record = RECORD if net.clip is None else (*RECORD, "clipped")
    settings = choice | {"engine": "matrix-free", "dtype": dtype}
    plan = plan_of(net, **settings)
    assert plan.is_plain
    assert len(plan.segment_ends) == 1

    def run(**more):
        layers = range(net.depth + 1)
        return bits(
            simulate(net, layers=layers, record=record, **settings, **more), (*ARRAYS, *record)
        )

    expected = run(n_threads=1)
    for isa in _kernels.available_isas():
        _kernels.set_isa(isa)
        assert run(n_threads=3) == expected, isa
        _kernels.set_isa(None)
    used = set()
    for whole, size in ((0, 0), (0, 1 / 2), (1 / 3, 0), (1 / 2, 1 / 2)):
        cut_into_segments(monkeypatch, whole, size, plan)
        used.add(tuple(plan_of(net, **settings).segment_ends))
        assert run() == expected
    assert len(used) > 2
    assert min(len(ends) for ends in used) > 1


MILLION = """
import vgsim
samples = vgsim.simulate(vgsim.MLP(1_000_000, 64), 1, layers=(0,), n_threads=2)
assert abs(samples.log10_ratio).max() < 1e5
status = open("/proc/self/status").read()
print(status.split("VmHWM:")[1].split()[0])
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_a_million_layers_in_400_mib():
    done = subprocess.run(
        [sys.executable, "-c", MILLION], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 400 << 10


def test_the_callers_floating_point_mode_does_not_matter():
    torch = pytest.importorskip("torch", reason="PyTorch can switch subnormal numbers off")
    net = vgsim.MLP(len(WIDTHS) - 1, WIDTHS, activation="sigmoid", gain=20.0)
    expected = bits(simulate(net, n_threads=1))
    if not torch.set_flush_denormal(True):
        pytest.skip("this machine cannot flush subnormal numbers")
    try:
        assert bits(simulate(net, n_threads=1)) == expected
    finally:
        torch.set_flush_denormal(False)


def test_networks_and_seeds_are_independent():
    draws = [
        vgsim.simulate(vgsim.MLP(depth, 16), 4000, seed=seed, layers=(0,)).log10_ratio[:, 0]
        for depth, seed in [(10, 0), (11, 0), (10, 1), (10, 2**80)]
    ]
    correlation = np.corrcoef(draws) - np.eye(len(draws))
    assert np.abs(correlation).max() < 5 / np.sqrt(4000)


FROZEN = {
    ("matrix-free", "float32"): ["0x1.29791e0e638dcp-2", "-0x1.e4920916c73b3p-1"],
    ("matrix-free", "float64"): ["-0x1.009b3079907a8p-1", "-0x1.14aee76d8f381p-2"],
    ("dense", "float32"): ["-0x1.73309459de461p-1", "0x1.5d2be2f053827p-3"],
    ("dense", "float64"): ["-0x1.14ffc618b34aap-1", "-0x1.4bfefb584fee4p+0"],
}


def test_frozen_bits():
    """Stream version 2: these numbers may change only together with the stream version."""
    net = vgsim.MLP(12, 10, activation="tanh", gain=1.2, bias_std=0.1)
    samples = {
        (engine, dtype): vgsim.simulate(
            net, 2, seed=7, first=2**40, engine=engine, dtype=dtype, layers=(0,)
        )
        for engine in ("matrix-free", "dense")
        for dtype in ("float32", "float64")
    }
    frozen = {key: [x.hex() for x in s.gradient[:, 0]] for key, s in samples.items()}
    assert frozen == FROZEN
