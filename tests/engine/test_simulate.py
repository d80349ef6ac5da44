"""simulate(): its arguments, its errors, data inputs, Ctrl-C, threads and progress."""

import math
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import vgsim
from vgsim._engine.run import thread_count

NET = vgsim.MLP(10, 8)


def test_defaults():
    s = vgsim.simulate(vgsim.MLP(1000, 8), 20)
    assert s.layers[0] == 0
    assert s.layers[-1] == 1000
    assert len(s.layers) <= 33
    assert np.all(np.diff(s.layers) > 0)
    assert (s.engine, s.dtype, s.batch_size, s.loss) == ("matrix-free", "float32", 1, "linear")
    assert s.record == ("gradient",)
    assert {"vgsim", "numpy", "python", "isa", "compiler"} <= set(s.provenance)


@pytest.mark.parametrize(
    ("init", "engine"), [("he_normal", "matrix-free"), ("he_uniform", "dense")]
)
def test_auto_is_a_rule_of_the_network(init, engine):
    assert vgsim.simulate(vgsim.MLP(3, 4, init=init), 5).engine == engine


def test_columns_are_in_the_order_asked_for():
    a = vgsim.simulate(NET, 30, layers=(10, 0, 4))
    b = vgsim.simulate(NET, 30, layers=range(11))
    np.testing.assert_array_equal(a.gradient, b.gradient[:, [10, 0, 4]])


def test_every_sample_is_its_own(rng):
    a = vgsim.simulate(NET, 3000, seed=2)
    assert len(np.unique(a.gradient[:, 0])) == 3000
    np.testing.assert_array_equal(a.index, np.arange(3000))


def test_no_seed_is_fresh_entropy_that_is_kept():
    a, b = (vgsim.simulate(NET, 5, seed=None) for _ in range(2))
    assert a.seed != b.seed
    again = vgsim.simulate(NET, 5, seed=a.seed)
    np.testing.assert_array_equal(a.gradient, again.gradient)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            {"network": "tanh"},
            TypeError,
            "network must be a vgsim.MLP, .*, got 'tanh'",
        ),
        ({"n_samples": 0}, ValueError, r"n_samples must be an int from 1 to 2\*\*56, got 0"),
        ({"n_samples": 2.5}, TypeError, "n_samples must be an int.*got 2.5"),
        ({"n_samples": True}, TypeError, "n_samples must be an int.*got True"),
        ({"first": -1}, ValueError, "first must be an int from 0.*got -1"),
        ({"first": 2**56 - 4}, ValueError, r"first must be.*2\*\*56 - n_samples"),
        ({"seed": -3}, ValueError, "seed must be an int >= 0, got -3"),
        ({"seed": [1, 2]}, TypeError, r"seed must be an int >= 0, got \[1, 2\]"),
        ({"batch_size": 0}, ValueError, "batch_size must be an int from 1 .*, got 0"),
        (
            {"loss": "hinge"},
            ValueError,
            "loss must be one of 'linear', 'mse', 'cross_entropy', got 'hinge'",
        ),
        ({"engine": "sparse"}, ValueError, "engine must be one of 'auto', 'scalar', 'matrix-free'"),
        ({"dtype": "float16"}, ValueError, "dtype must be 'float32' or 'float64', got 'float16'"),
        (
            {"layers": (0, 11)},
            ValueError,
            r"layers\[1\] must be an int from 0 to depth = 10, got 11",
        ),
        ({"layers": (0, 0)}, ValueError, "layers must be distinct"),
        ({"layers": ()}, ValueError, "one or more of them"),
        ({"layers": 3}, TypeError, "layers must be a sequence.*got 3"),
        ({"record": "gradient"}, TypeError, r"for one name write \('gradient',\)"),
        ({"record": ("gradients",)}, ValueError, "'weight_gradient'.*got 'gradients'"),
        ({"n_threads": 0}, ValueError, "n_threads must be an int from 1 to 4096, got 0"),
        ({"n_threads": "2"}, TypeError, "n_threads must be an int from 1 to 4096, got '2'"),
        ({"progress": 1}, TypeError, "progress must be a bool or a callable, got 1"),
        (
            {"inputs": "uniform"},
            ValueError,
            r"inputs must be 'normal', 'zeros' .* or an array of shape \(N, n_0\).*, got 'uniform'",
        ),
        ({"inputs": np.ones((3, 7))}, ValueError, r"n_0 = 8.*got shape \(3, 7\)"),
        ({"inputs": np.full((3, 8), np.nan)}, ValueError, "inputs must be finite"),
        ({"inputs": [[1] * 8, [1]]}, ValueError, r"shape \(N, n_0\), .*got rows of different l"),
        ({"inputs": [["a"] * 8]}, TypeError, "of real numbers"),
    ],
)
def test_bad_arguments(arguments, error, message):
    arguments = {"network": NET, "n_samples": 5} | arguments
    with pytest.raises(error, match=message):
        vgsim.simulate(arguments.pop("network"), arguments.pop("n_samples"), **arguments)


def test_matrix_free_needs_gaussian_weights():
    with pytest.raises(ValueError, match="'he_uniform' are uniform; use 'dense' or 'auto'"):
        vgsim.simulate(vgsim.MLP(3, 4, init="he_uniform"), 5, engine="matrix-free")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("engine", ["matrix-free", "dense"])
def test_data_rows_are_the_inputs(engine, dtype, rng):
    """The norm of x_0 identifies the row; rows are uniform; rows of any scale are exact."""
    exponents = np.array([-200, -30, 0, 1, 2, 30, 200])
    data = rng.standard_normal((7, 8)) * 10.0 ** exponents[:, np.newaxis]
    n = 21_000
    s = vgsim.simulate(
        NET, n, inputs=data, layers=(0,), record=("activation",), engine=engine, dtype=dtype
    )
    largest = np.abs(data).max(axis=1, keepdims=True)
    rms = np.sqrt(np.mean((data / largest) ** 2, axis=1))
    expected = np.log10(largest[:, 0]) + np.log10(rms)
    row = np.argmin(np.abs(s.activation - expected), axis=1)
    np.testing.assert_allclose(s.activation[:, 0], expected[row], rtol=0, atol=1e-6)
    assert np.abs(np.bincount(row, minlength=7) - n / 7).max() < 5 * math.sqrt(n / 7)
    assert s.inputs.startswith("sha256:")


def test_a_zero_input_kills_a_network_without_bias_only():
    data = np.zeros((1, 8))
    for bias_std, dead in ((0.0, True), (0.5, False)):
        net = vgsim.MLP(5, 8, activation="relu", init="he_normal", bias_std=bias_std)
        for engine in ("matrix-free", "dense"):
            record = ("gradient", "activation")
            s = vgsim.simulate(net, 500, inputs=data, engine=engine, record=record)
            assert s.dead.mean() == 1 if dead else s.dead.mean() < 0.2
            assert np.all(np.isneginf(s.activation[:, 0]))
            assert not np.isnan(s.gradient).any()


def test_threads(monkeypatch):
    assert thread_count(3) == 3
    monkeypatch.setenv("OMP_NUM_THREADS", "5,2")
    assert thread_count() == 5
    assert thread_count(1) == 1
    monkeypatch.setenv("OMP_NUM_THREADS", "many")
    with pytest.raises(ValueError, match="OMP_NUM_THREADS must be a positive integer, got 'many'"):
        thread_count()
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert 1 <= thread_count() <= os.cpu_count()


def test_progress_is_told_and_ends_at_the_total():
    calls = []
    net = vgsim.MLP(4000, 64)
    vgsim.simulate(net, 600, layers=(0,), progress=lambda done, total: calls.append((done, total)))
    assert calls[-1] == (600, 600)
    done = [d for d, _ in calls]
    assert done == sorted(done)


def test_progress_that_raises_stops_the_run():
    def stop(done, total):
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):  # hours of work: pytest's timeout is less
        vgsim.simulate(vgsim.MLP(100_000, 256), 100_000, layers=(0,), progress=stop)


INTERRUPTED = """
import time, vgsim

def work(depth, **choice):
    begun = time.process_time()
    try:
        vgsim.simulate(vgsim.MLP(depth, 256), 1, layers=(0,), n_threads=1, **choice)
    except KeyboardInterrupt:
        print("interrupted", end=" ")
    return time.process_time() - begun

part = work(100_000)
print("ready", flush=True)
print(work(20_000_000) / part)
"""


def test_ctrl_c_is_answered_within_a_lane_group(start_python):
    """One lane group of this network takes as long as 200 of the network before."""
    process = start_python(INTERRUPTED)
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    answer, parts = process.communicate(timeout=120)[0].split()
    assert answer == "interrupted"
    assert float(parts) < 50


IMPORT = """
import sys, time
times = [time.process_time()]
import numpy
times.append(time.process_time())
before = set(sys.modules)
import vgsim
times.append(time.process_time())
print((times[2] - times[1]) / (times[1] - times[0]))
print(sorted({name.split(".")[0] for name in set(sys.modules) - before}))
"""


def test_import_is_quick_and_light():
    """Import time, relative to that of NumPy, is small, and no heavy package is loaded."""

    def once():
        command = [sys.executable, "-c", IMPORT]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        numpys, modules = done.stdout.splitlines()
        assert not {"scipy", "pandas", "xarray", "matplotlib", "torch", "tqdm"} & set(eval(modules))
        return float(numpys)

    assert min(once() for _ in range(3)) < 4


def test_show_config(capsys):
    vgsim.show_config()
    shown = capsys.readouterr().out
    for expected in ("vgsim", "compiled for", "base", "in use", "threads"):
        assert expected in shown
