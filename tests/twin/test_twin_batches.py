"""The kernels against the twin, for batches and for all networks except plain MLPs."""

from functools import partial

import numpy as np
import pytest

import vgsim
from batched_networks import cases, evaluated
from rounding import accounts_for, largest_difference

RECORD = ("gradient", "weight_gradient", "update_ratio", "activation", "saturation")
N = 20


def quantities_of(network, index, names, **choice):
    """Return the named quantities of the replay of one sample."""
    twin = evaluated(network, vgsim.replay(network, 7, index, **choice))
    return {name: np.array(getattr(twin, name), dtype=float) for name in names}


# A sample may differ only if rounding errors move the twin as far (rounding.py): the rank of
# columns that are linearly dependent up to rounding, and units with |h| of about 10^4.
@pytest.mark.parametrize(
    ("name", "network", "choice"), [pytest.param(*values, id=values[0]) for values in cases()]
)
def test_kernel_equals_twin(name, network, choice):
    record = (*RECORD, "clipped") if network.clip else RECORD
    layers = range(network.depth + 1)
    samples = vgsim.simulate(network, N, seed=7, layers=layers, record=record, **choice)
    names = (*record, "output_gradient", "dead")
    moved = []
    for index in range(N):
        draw = partial(quantities_of, network, index, names, **choice)
        found = {}
        for quantity, expected in draw().items():
            actual = np.array(getattr(samples, quantity)[index], dtype=float)
            close = np.isclose(actual, expected, rtol=1e-13, atol=1e-8)
            found[quantity] = 0.0 if close.all() else largest_difference(actual, expected)
        if max(found.values()) > 0:
            assert accounts_for(found, draw, 1e-8), (index, found)
            moved.append(index)
    assert len(moved) <= N // 4, moved


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
