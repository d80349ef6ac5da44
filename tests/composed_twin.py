"""How far the kernels are from the twin, in every recorded quantity of single samples."""

from functools import partial

import numpy as np

import vgsim
from composed_cases import record_of
from rounding import accounts_for

SEED = 7


def twin_of(network, index, **choice):
    """Evaluate the replay of one sample."""
    sample = vgsim.replay(network, SEED, index, **choice)
    return vgsim.evaluate(network, sample.parameters, sample.inputs, sample.output_gradient)


def extremes(network, twin, columns):
    """Return log10 of the least and largest RMS of G_l … G_D at all l."""
    rms = twin.gradient - 0.5 * np.log10(columns * network.program.widths)
    return [f.accumulate(rms[::-1])[::-1] for f in (np.minimum, np.maximum)]


def quantities_of(network, index, choice):
    """Return all recorded quantities of the replay of one sample, as a dict of arrays."""
    twin = twin_of(network, index, **choice)
    names = (*record_of(network, **choice), "output_gradient", "dead")
    found = {name: np.array(getattr(twin, name), dtype=float) for name in names}
    columns = choice.get("batch_size", 1) * network.tokens
    found["rms_min"], found["rms_max"] = extremes(network, twin, columns)
    return found


def rounding_accounts_for(network, choice, found, index, tolerance):
    """Return whether rounding errors move a sample as far as `differences` has found."""
    apart = {name: values[index] for name, values in found.items()}
    return accounts_for(apart, partial(quantities_of, network, index, choice), tolerance)


def differences(network, choice, n):
    """Return the largest difference of each quantity of each sample; (quantities, samples)."""
    record = record_of(network, **choice)
    layers = range(network.depth + 1)
    samples = vgsim.simulate(network, n, seed=SEED, layers=layers, record=record, **choice)
    columns = choice.get("batch_size", 1) * network.tokens
    twins = [twin_of(network, index, **choice) for index in range(n)]
    np.testing.assert_array_equal(samples.weight_layers, twins[0].weight_layers)
    expected = {
        name: np.array([getattr(twin, name) for twin in twins], dtype=float)
        for name in (*record, "output_gradient", "dead")
    }
    ends = np.array([extremes(network, twin, columns) for twin in twins])
    expected |= {"rms_min": ends[:, 0], "rms_max": ends[:, 1]}
    found = {}
    for name, values in expected.items():
        actual = np.array(getattr(samples, name), dtype=float)
        assert actual.shape == values.shape, name
        with np.errstate(invalid="ignore"):  # -inf - -inf
            apart = np.where(actual == values, 0.0, abs(actual - values))
        allowed = 1e-13 * np.where(np.isfinite(values), abs(values), 0.0)
        apart = np.where(np.isnan(apart), np.inf, np.maximum(apart - allowed, 0.0))
        found[name] = apart.reshape(n, -1).max(axis=1, initial=0.0)
    return found
