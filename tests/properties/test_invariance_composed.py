"""The bits of composed networks do not depend on threads, splits, columns, segments or machines."""

import numpy as np
import pytest

import vgsim
from composed_cases import cases, record_of
from segments import cut_into_segments, plan_of, scratch_bytes
from vgsim import _kernels

# Narrow normalised networks are among the cases on purpose.
pytestmark = pytest.mark.filterwarnings("ignore:rounding decides")
N, FIRST = 37, 5
CASES = {name: (network, choice) for name, network, choice in cases()}
each = pytest.mark.parametrize("name", CASES)
dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])


def simulate(name, n=N, first=FIRST, **more):
    network, choice = CASES[name]
    record = record_of(network, **choice)
    settings = {"layers": range(network.depth + 1), "record": record, "seed": 3}
    return vgsim.simulate(network, n, first=first, **(settings | choice | more))


def bits(samples):
    ends = ("rms_min", "rms_max") if "gradient" in samples.record else ()
    arrays = (*samples.record, *ends, "output_gradient", "dead")
    return {name: getattr(samples, name).tobytes() for name in arrays}


@dtypes
@each
def test_bits(name, dtype):
    expected = bits(simulate(name, dtype=dtype, n_threads=1))
    try:
        for isa in _kernels.available_isas():
            _kernels.set_isa(isa)
            assert bits(simulate(name, dtype=dtype, n_threads=3)) == expected, isa
            parts = [simulate(name, n, first, dtype=dtype) for n, first in [(1, 5), (36, 6)]]
            assert bits(parts[1] + parts[0]) == expected, isa
    finally:
        _kernels.set_isa(None)


@dtypes
@each
def test_segments_never_change_a_sample(name, dtype, monkeypatch):
    network, choice = CASES[name]
    if np.count_nonzero(network.program.resting) < 4:
        pytest.skip("too few places")
    expected = bits(simulate(name, dtype=dtype))
    choice = choice | {"dtype": dtype}
    assert len(plan_of(network, **choice).segment_ends) == 1
    for whole, size in ((0, 0), (1 / 3, 1 / 4)):
        cut_into_segments(monkeypatch, whole, size, plan_of(network, **choice))
        assert len(plan_of(network, **choice).segment_ends) > 1
        assert bits(simulate(name, dtype=dtype)) == expected


@each
def test_recording_never_changes_a_sample(name):
    everything = simulate(name)
    depth = everything.network.depth
    layers = list(dict.fromkeys([depth, 0, min(2, depth)]))
    numbers = {
        "saturation": [layer for layer in layers if layer > 0],
        "weight_gradient": [l for l in layers if l in everything.weight_layers],
    }
    numbers["update_ratio"] = numbers["weight_gradient"]
    for record in everything.record:
        part = simulate(name, layers=layers, record=(record,))
        assert part.output_gradient.tobytes() == everything.output_gradient.tobytes()
        assert part.dead.tobytes() == everything.dead.tobytes()
        whole, chosen = getattr(everything, record), numbers.get(record, layers)
        of = {"saturation": range(1, depth + 1), "weight_gradient": everything.weight_layers}
        of["update_ratio"] = of["weight_gradient"]
        places = list(of.get(record, range(depth + 1)))
        expected = whole[:, [places.index(l) for l in chosen]]
        np.testing.assert_array_equal(getattr(part, record), expected, err_msg=record)


@dtypes
@each
def test_the_working_memory_is_no_more_than_was_announced(name, dtype):
    network, choice = CASES[name]
    plan = plan_of(network, threads=2, **(choice | {"dtype": dtype}))
    scratch = scratch_bytes(plan, dtype)
    assert scratch <= plan.working_bytes / 2 <= 4 * scratch + 2**16


def test_every_operation_is_there():
    kinds = {
        type(operation).__name__
        for network, _ in CASES.values()
        for body in network.program.bodies
        for operation in body
    }
    assert kinds == {
        *("Weights", "Bias", "Shift", "Normalise", "Activate", "Mask", "Copy", "Sum", "Mix"),
        "Attend",
    }
    assert sum(plan_of(network, **choice).is_plain for network, choice in CASES.values()) > 4
