"""The kernels against the readable twin, for batches and everything that is not a plain MLP."""

import numpy as np
import pytest

import vgsim
from batched_networks import cases, evaluated

RECORD = ("gradient", "weight_gradient", "update_ratio", "activation", "saturation")
N = 20


@pytest.mark.parametrize(
    ("network", "choice"), [pytest.param(*values, id=name) for name, *values in cases()]
)
def test_kernel_equals_twin(network, choice):
    record = (*RECORD, "clipped") if network.clip else RECORD
    layers = range(network.depth + 1)
    samples = vgsim.simulate(network, N, seed=7, layers=layers, record=record, **choice)
    twins = [evaluated(network, vgsim.replay(network, 7, index, **choice)) for index in range(N)]
    for name in (*record, "output_gradient", "dead"):
        expected = np.array([getattr(twin, name) for twin in twins])
        np.testing.assert_allclose(
            getattr(samples, name), expected, rtol=1e-13, atol=1e-8, err_msg=name
        )


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
