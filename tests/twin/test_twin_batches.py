"""The kernels against the twin, for batches and for all networks except plain MLPs."""

import numpy as np
import pytest

import vgsim
from batched_networks import cases, evaluated

RECORD = ("gradient", "weight_gradient", "update_ratio", "activation", "saturation")
N = 20


# Cases with columns that are linearly dependent up to rounding. Rounding decides whether such a
# column has a residual below 8 ε and is dropped. This changes single samples, but not their law.
ON_THE_EDGE = (
    "rank",
    "rows of all sizes",
    "duplicates",
    "parallel rows",
    "layer norm",
    "batch norm of two",
    "post",  # with batch normalisation the gradients of a batch add up to 0
)
STEEP = ("saturated sigmoid",)  # |h| is about 10^4, which magnifies its rounding errors


@pytest.mark.parametrize(
    ("name", "network", "choice"), [pytest.param(*values, id=values[0]) for values in cases()]
)
def test_kernel_equals_twin(name, network, choice):
    record = (*RECORD, "clipped") if network.clip else RECORD
    layers = range(network.depth + 1)
    samples = vgsim.simulate(network, N, seed=7, layers=layers, record=record, **choice)
    twins = [evaluated(network, vgsim.replay(network, 7, index, **choice)) for index in range(N)]
    tolerance = 1e-6 if name.startswith(STEEP) else 1e-8
    equal = np.ones(N, dtype=bool)
    for quantity in (*record, "output_gradient", "dead"):
        expected = np.array([getattr(twin, quantity) for twin in twins], dtype=float)
        actual = np.array(getattr(samples, quantity), dtype=float)
        close = np.isclose(actual, expected, rtol=1e-13, atol=tolerance)
        equal &= close.reshape(N, -1).all(axis=1)
    on_the_edge = any(edge in name for edge in ON_THE_EDGE)
    assert equal.sum() >= (N - 4 if on_the_edge else N), np.flatnonzero(~equal)


def test_the_cases_saturate_die_and_lose_rank():
    by_name = {name: (network, choice) for name, network, choice in cases()}

    def results(name):
        network, choice = by_name[name]
        samples = (vgsim.replay(network, 7, index, **choice) for index in range(N))
        return [evaluated(network, sample) for sample in samples]

    for engine in ("matrix-free", "dense"):
        assert 0 < sum(r.dead for r in results(f"relu, rank and death, {engine}")) < N
        assert np.mean([r.saturation for r in results(f"saturated, {engine}")]) > 0.5
        assert 0.1 < np.mean([r.clipped for r in results(f"clipped norm, {engine}")]) < 0.9
        assert 0.01 < np.mean([r.clipped for r in results(f"clipped values, {engine}")]) < 0.9
        far = results(f"cross-entropy, saturated, {engine}")
        assert min(r.output_gradient for r in far) < -2
