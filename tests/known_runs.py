"""Samples with known values, made without a simulation."""

import numpy as np

import vgsim
from vgsim._results.quantities import CORRELATIONS, QUANTITIES
from vgsim._results.samples import Samples

DEPTH = 6
LAYERS = (0, 3, 6)
RECORDS = (
    "gradient",
    "activation",
    "saturation",
    "weight_gradient",
    "update_ratio",
    "clipped",
    "activation_correlation",
    "gradient_correlation",
)


def run(index=range(8), *, layers=LAYERS, record=("gradient",), dead=(), network=None, **changes):
    """Return samples whose values are a function of the index, as in a simulation."""
    if network is None:
        network = vgsim.MLP(DEPTH, 4, clip=vgsim.ClipNorm(1.0) if "clipped" in record else None)
    index = np.array(index)
    layers = np.array(layers)
    noise = np.sin(1.0 + index[:, None] * 7.3 + layers * 1.7)
    is_dead = np.isin(index, dead)
    output = noise.sum(axis=1)
    gradient = np.where(
        is_dead[:, None] & (layers < network.depth),
        -np.inf,
        output[:, None] + noise * (network.depth - layers),
    )
    units = np.cos(index[:, None] + layers[layers >= 1])
    weights = np.cos(index[:, None] + network.weight_places(layers))
    recorded = {
        "gradient": gradient,
        "rms_min": np.minimum(gradient, output[:, None]).astype(np.float32),
        "rms_max": np.maximum(gradient, output[:, None]).astype(np.float32),
        "activation": noise / 2,
        "saturation": abs(units),
        "weight_gradient": weights - 1,
        "update_ratio": weights - 2,
        "clipped": np.where(layers < network.depth, abs(noise) / 3, 0.0),
        "activation_correlation": np.cos(3 * noise),
        "gradient_correlation": np.where(np.isneginf(gradient), 0.0, -abs(noise)),
    }
    wanted = {name: a for name, a in recorded.items() if QUANTITIES[name].record in record}
    arguments = {
        "network": network,
        "seed": 5,
        "index": index,
        "layers": layers,
        "output_gradient": output,
        "dead": is_dead,
        "engine": "matrix-free",
        "dtype": "float32",
        "batch_size": 2 if set(CORRELATIONS) & set(record) else 1,
        "loss": "linear",
        "inputs": "normal",
        "provenance": {"vgsim": "0.1", "isa": "avx2"},
        "elapsed": 0.5,
        **wanted,
    }
    return Samples(**(arguments | changes))


def changed(samples, **changes):
    """Return the same samples with some fields replaced."""
    names = ["network", "seed", "engine", "dtype", "batch_size", "loss", "inputs"]
    names += ["index", "layers", "provenance", "elapsed"]
    fields = {name: getattr(samples, name) for name in names}
    return Samples(**(fields | samples._arrays | changes))


def of_ratios(ratios, **changes):
    """Return samples with given log10 ratios at layer 0."""
    ratios = np.array(ratios, dtype=float)
    n = len(ratios)
    arguments = {
        "index": range(n),
        "layers": (0,),
        "gradient": ratios[:, None] + 0.25,
        "output_gradient": np.full(n, 0.25),
        "dead": np.flatnonzero(ratios == -np.inf),
        "rms_min": np.zeros((n, 1)),
        "rms_max": np.zeros((n, 1)),
    }
    return run(**(arguments | changes))


def same(a, b):
    """Return whether two runs are equal except for provenance and time."""
    assert a.network == b.network
    assert a.record == b.record
    for name in ("seed", "engine", "dtype", "batch_size", "loss", "inputs"):
        assert getattr(a, name) == getattr(b, name)
    for name in ("index", "layers", "weight_layers", "saturation_layers", *a._arrays):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name), strict=True)
    return True
