"""The kernels against the twin, for composed networks: all quantities of single samples."""

from dataclasses import replace

import numpy as np
import pytest

from composed_cases import cases
from composed_networks import network_of, oracle
from composed_twin import differences

# Narrow normalised networks are among the cases on purpose.
pytestmark = pytest.mark.filterwarnings("ignore:rounding decides")
N = 12
ENGINES = pytest.mark.parametrize("engine", ["matrix-free", "dense"])

# Columns that are linearly dependent up to rounding, which decides whether the matrix-free engine
# drops them, or which direction they have: this changes single samples, but not their law. The
# gradients of the keys of a sequence add up to 0, so all attention has such a column; in the case
# of a single sequence it is the last one, and only the rank that "update_ratio" uses depends on it.
LAST_KEY = "update_ratio"
ON_THE_EDGE = {  # the number of samples that must be equal nevertheless
    "sharp attention, matrix-free": 1,
    "heads of two and three units, matrix-free": 1,
    "attention of one unit a head, matrix-free": 8,
    "post-norm, matrix-free": 8,
    "deep-norm, matrix-free": 8,
    "more columns than units, matrix-free": 8,
}
# Whole columns of G are so small that their squares underflow.
UNDERFLOWS = {"sharp attention": ("gradient_correlation",)}
TOLERANCES = {"float64": 1e-8, "float32": 6e-3}

CASES = {name: (network, choice) for name, network, choice in cases()}


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("name", CASES)
def test_kernel_equals_twin(name, dtype):
    network, choice = CASES[name]
    found = differences(network, choice | {"dtype": dtype}, N)
    for quantity in UNDERFLOWS.get(name.rsplit(", ", 1)[0], ()):
        del found[quantity]
    if "Attention" in repr(network) and choice["engine"] == "matrix-free":
        assert np.median(found.pop(LAST_KEY)) < 0.05
    equal = np.all([apart < TOLERANCES[dtype] for apart in found.values()], axis=0)
    least = ON_THE_EDGE.get(name, N if dtype == "float64" else N - 2)
    assert equal.sum() >= least, {k: v.max() for k, v in found.items() if v.max() > 1e-8}


LAWS = ("lecun_normal", "he_normal", "orthogonal")  # of either engine
DENSE_LAWS = (*LAWS, "glorot_uniform", "lecun_uniform", "truncated_normal", "torch_default")
LAW_AT = {"linear": 1, "gate": 2, "attention": 2}
BIAS_AT = {"linear": 3, "attention": 4}
RANDOM = range(60)
RANDOM_ON_THE_EDGE = (8, 39)  # tokens that become equal


def with_laws(element, laws, rng):
    """Return an element of the oracle with the initialiser of each of its matrices drawn."""
    if isinstance(element, list):
        return [with_laws(part, laws, rng) for part in element]
    kind, *values = element
    if kind in ("skip", "gate"):
        values[0] = with_laws(values[0], laws, rng)
    if kind in LAW_AT:
        biased = kind in BIAS_AT and values[BIAS_AT[kind]] > 0
        law = str(rng.choice(laws))
        values[LAW_AT[kind]] = "lecun_uniform" if biased and law == "torch_default" else law
    return (kind, *values)


def random_case(number, engine):
    """Return a random list of the oracle's generator, with random initialisers and a loss."""
    case = oracle.random_case(np.random.default_rng([14, number]))
    laws = DENSE_LAWS if engine == "dense" else LAWS
    layers = with_laws(case.layers, laws, np.random.default_rng([15, number]))
    network = network_of(replace(case, layers=layers))
    loss = ("linear", "mse", "cross_entropy" if network.widths[-1] > 1 else "mse")[number % 3]
    choice = {"batch_size": case.sequences, "loss": loss, "engine": engine, "dtype": "float64"}
    return network, choice


@ENGINES
@pytest.mark.parametrize("number", RANDOM)
def test_kernel_equals_twin_in_random_lists(number, engine):
    network, choice = random_case(number, engine)
    found = differences(network, choice, 4)
    if engine == "matrix-free" and "Attention" in repr(network):
        del found[LAST_KEY]
    bound = 1e-5 if engine == "matrix-free" and number in RANDOM_ON_THE_EDGE else 1e-8
    assert not {k: v.max() for k, v in found.items() if v.max() > bound}
