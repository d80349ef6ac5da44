"""No kernel is slower than half its reference speed, by ratios of processor times in one run.

After an intended change of speed run ``python tests/properties/test_bench_guard.py``, which
measures the ratios and writes bench/references.json.
"""

import json
import time
from pathlib import Path

import numpy as np
import pytest

import vgsim
from vgsim import _kernels

REFERENCES = Path(__file__).parents[2] / "bench" / "references.json"
KEY = np.array([1, 2], dtype=np.uint32)
WIDTH, DEPTH, SAMPLES = 128, 250, 128
DRAWS = SAMPLES * DEPTH * 2 * WIDTH
LEAST = 0.5
ROUNDS = 5
PATIENCE = 4.0  # seconds for repetitions on a busy machine


def generator():
    groups = SAMPLES // _kernels.lanes("float32")
    _kernels.generate(KEY, groups, 2 * DEPTH, WIDTH, 1, "float32")
    return DRAWS


def engine(dtype):
    network = vgsim.MLP(DEPTH, WIDTH)
    vgsim.simulate(network, SAMPLES, layers=[0], engine="matrix-free", dtype=dtype, n_threads=1)
    return DRAWS


def scalar():
    """The scalar engine; the normals that the matrix-free engine would draw are counted."""
    network = vgsim.MLP(DEPTH, WIDTH, activation="relu")
    vgsim.simulate(network, 16 * SAMPLES, layers=[0], engine="scalar", n_threads=1)
    return 16 * DRAWS


def composed():
    """A list of the same layers as those of `engine`."""
    network = vgsim.Sequential(WIDTH, [vgsim.Linear(init="glorot_normal"), "tanh"] * DEPTH)
    vgsim.simulate(network, SAMPLES, layers=[0], engine="matrix-free", n_threads=1)
    return DRAWS


def transformer():
    """Two blocks with six matrices each; the normals of their products are counted."""
    norm, n, tokens = vgsim.Norm("layer"), 64, 16
    attend = vgsim.Skip([norm, vgsim.Attention(4)])
    wide = vgsim.Skip([norm, vgsim.Linear(4 * n), "gelu", vgsim.Linear(n)])
    network = vgsim.Sequential(n, [attend, wide] * 2, tokens=tokens)
    vgsim.simulate(network, SAMPLES, layers=[0], engine="matrix-free", n_threads=1)
    return SAMPLES * 2 * tokens * (4 * 2 * n + 2 * 5 * n)


def dense(law):
    network = vgsim.MLP(8, 64, init=f"glorot_{law}")
    vgsim.simulate(network, SAMPLES, layers=[0], engine="dense", n_threads=1)
    return SAMPLES * 8 * 2 * 64**2


def numpy_twin():
    """Matrix-free passes of the same number of networks with eight layers, in plain NumPy."""
    rng = np.random.Generator(np.random.Philox(1))
    kept = []
    norm = np.full((SAMPLES, 1), WIDTH**0.5, dtype=np.float32)
    for _ in range(8):
        z = rng.standard_normal((SAMPLES, WIDTH), dtype=np.float32)
        x = np.tanh(norm * z / np.float32(WIDTH**0.5))
        norm = np.linalg.norm(x, axis=1, keepdims=True)
        kept.append((z, x, norm))
    g = rng.standard_normal((SAMPLES, WIDTH), dtype=np.float32)
    for (z, x, _), (_, below, norm) in zip(kept[:0:-1], kept[-2::-1], strict=True):
        delta = (1 - x * x) * g
        unit = below / norm
        w = rng.standard_normal((SAMPLES, WIDTH), dtype=np.float32)
        w += (
            unit
            * np.sum(z * delta / np.linalg.norm(delta, axis=1, keepdims=True) - unit * w, 1)[
                :, None
            ]
        )
        g = np.linalg.norm(delta, axis=1, keepdims=True) * w / np.float32(WIDTH**0.5)
    return SAMPLES * 8 * 2 * WIDTH


TASKS = {
    "generator": generator,
    "float32": lambda: engine("float32"),
    "float64": lambda: engine("float64"),
    "scalar": scalar,
    "list": composed,
    "transformer": transformer,
    "dense normal": lambda: dense("normal"),
    "dense uniform": lambda: dense("uniform"),
    "NumPy": numpy_twin,
}
RATIOS = {
    "engine over generator": ("generator", "float32"),
    "matrix-free over NumPy": ("NumPy", "float32"),
    "float64 over NumPy": ("NumPy", "float64"),
    "scalar over NumPy": ("NumPy", "scalar"),
    "list over MLP": ("float32", "list"),
    "transformer over NumPy": ("NumPy", "transformer"),
    "dense over NumPy": ("NumPy", "dense normal"),
    "uniform over NumPy": ("NumPy", "dense uniform"),
}


def measure(best):
    """Return the ratios after one more round; `best` holds the least seconds per draw by task."""
    for name, task in TASKS.items():
        started = time.process_time()  # waiting for a busy processor does not count
        count = task()
        best[name] = min(best.get(name, np.inf), (time.process_time() - started) / count)
    return {name: best[slow] / best[fast] for name, (slow, fast) in RATIOS.items()}


def fallen(ratios, references):
    """Return the ratios below half their reference, with both values."""
    return {
        name: (ratio, references[name])
        for name, ratio in ratios.items()
        if ratio < LEAST * references[name]
    }


def test_speed(isa):
    references = json.loads(REFERENCES.read_text())["ratios"]
    if isa not in references:
        pytest.skip(f"bench/references.json has no ratios of {isa}")
    best, started = {}, time.perf_counter()
    for _ in range(ROUNDS):
        ratios = measure(best)
    while fallen(ratios, references[isa]) and time.perf_counter() - started < PATIENCE:
        ratios = measure(best)
    assert not fallen(ratios, references[isa])


def test_half_the_speed_is_noticed():
    references = json.loads(REFERENCES.read_text())["ratios"]
    for ratios in references.values():
        assert not fallen(ratios, ratios)
        for name in RATIOS:
            slower = ratios | {name: 0.49 * ratios[name]}
            assert list(fallen(slower, ratios)) == [name]


def write_references():
    ratios = {}
    for isa in _kernels.available_isas():
        _kernels.set_isa(isa)
        best = {}
        for _ in range(10 * ROUNDS):
            ratios[isa] = measure(best)
        ratios[isa] = {name: float(f"{ratio:.3g}") for name, ratio in ratios[isa].items()}
    _kernels.set_isa(None)
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    text = json.dumps({"machine": model, "ratios": ratios}, indent=2)
    REFERENCES.write_text(text + "\n")


if __name__ == "__main__":
    write_references()
