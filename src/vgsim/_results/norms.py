"""Norms that were measured elsewhere as the arrays of `Samples`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vgsim._checks import brief, checked_items, real_array, value_error
from vgsim._domains import Integer
from vgsim._networks.undescribed import Measured
from vgsim._results.quantities import QUANTITIES, check_values
from vgsim._version import __version__

__all__ = ["Measurements", "fields_of_norms"]

Floats = NDArray[np.float64]
ROUNDING = 1e-6  # relative difference of two computations of ‖G_D‖, in float32 too
MOST_ENTRIES = 2**62


class Measurements(TypedDict, total=False):
    """The optional quantities of `Samples.from_norms`."""

    activation: ArrayLike | None
    saturation: ArrayLike | None
    weight_gradient: ArrayLike | None
    update_ratio: ArrayLike | None
    clipped: ArrayLike | None
    activation_correlation: ArrayLike | None
    gradient_correlation: ArrayLike | None


def fields_of_norms(
    gradient: ArrayLike,
    output_gradient: ArrayLike,
    layers: Sequence[int] | None,
    depth: int | None,
    entries: int | Sequence[int] | None,
    label: str,
    others: Mapping[str, Any],
) -> tuple[Measured, dict[str, Any]]:
    """Return the network and the other arguments of `Samples`: see `Samples.from_norms`.

    `others` are the optional quantities by name, None for those that are not given.

    Raises
    ------
    TypeError, ValueError
        If an array has the wrong shape or values that no network can have.
    """
    g, g_D = _norms("gradient", gradient, 2), _norms("output_gradient", output_gradient, 1)
    if len(g_D) != len(g) or not g.size:
        problem = f"must have shape (n,), with gradient of shape (n, k), got {g_D.shape}"
        raise value_error("output_gradient", f"{problem} and {g.shape}")
    if not np.all(g_D > 0):
        raise value_error("output_gradient", "must be above 0 in every sample")
    places = _layers(layers, g.shape[1])
    network = Measured(
        max(*places.tolist(), 1) if depth is None else depth, label, sized=entries is not None
    )
    if places.max() > network.depth:
        raise value_error("layers", f"must be at most depth = {network.depth}, got {brief(layers)}")
    last = places == network.depth
    if np.any(np.abs(g[:, last] / g_D[:, np.newaxis] - 1) > ROUNDING):
        raise value_error(
            "gradient",
            f"must equal output_gradient at the last layer, {network.depth}; if the last column is "
            "of a lower layer, give layers and depth",
        )
    g[:, last] = g_D[:, np.newaxis]
    logs, log_D = _log10(g), _log10(g_D)
    rms = _log10_rms(logs, log_D, places, network.depth, entries)
    arrays: dict[str, Any] = {
        "gradient": logs,
        "output_gradient": log_D,
        "rms_min": rms[0],
        "rms_max": rms[1],
        "dead": np.any(g[:, places == 0] == 0, axis=1),
    }
    for name, values in others.items():
        if values is None:
            continue
        if QUANTITIES[name].units == "log10":
            arrays[name] = _log10(_norms(name, values, 2))
        else:
            arrays[name] = real_array(name, values, "must be an array of real numbers")
    check_values(network, places, arrays)
    return network, {
        **arrays,
        "layers": places,
        "seed": 0,
        "engine": network.own_engine,
        "dtype": "float64",
        "loss": "linear",
        "inputs": "normal",
        "provenance": {"vgsim": __version__},
        "elapsed": 0.0,
    }


def _norms(argument: str, value: ArrayLike, dimensions: int) -> Floats:
    """Return norms, of shape (n, k) or (n,), as a new array."""
    norms = real_array(argument, value, "must be an array of norms").copy()
    if norms.ndim != dimensions:
        shape = "(n, k)" if dimensions == 2 else "(n,)"
        raise value_error(argument, f"must have shape {shape}, got {norms.shape}")
    if not np.all(np.isfinite(norms) & (norms >= 0)):
        raise value_error(argument, "must be norms, finite and at least 0; not their logarithms")
    return norms


def _layers(layers: Sequence[int] | None, count: int) -> NDArray[np.int64]:
    """Return the layers of the columns."""
    if layers is None:
        return np.arange(count, dtype=np.int64)
    given = checked_items("layers", layers, "must be a sequence of distinct ints")
    every = Integer(0, 2**32 - 1)
    chosen = [every.check("layers", l, f"[{i}]") for i, l in enumerate(given)]
    if len(chosen) != count or len(set(chosen)) < count:
        problem = f"must be distinct ints, one for each of the {count} columns of gradient"
        raise value_error("layers", f"{problem}, got {brief(chosen)}")
    return np.array(chosen, dtype=np.int64)


def _log10(norms: Floats) -> Floats:
    with np.errstate(divide="ignore"):
        return np.asarray(np.log10(norms))


def _log10_rms(
    logs: Floats,
    log_D: Floats,
    layers: NDArray[np.int64],
    depth: int,
    entries: int | Sequence[int] | None,
) -> tuple[Floats, Floats]:
    """Return the logs of the smallest and the largest RMS of the recorded layers from l on."""
    every = Integer(1, MOST_ENTRIES)
    if entries is None or not isinstance(entries, (list, tuple, np.ndarray)):
        sizes = [every.check("entries", 1 if entries is None else entries)] * len(layers)
    else:
        sizes = [every.check("entries", n, f"[{i}]") for i, n in enumerate(entries)]
    if len(sizes) != len(layers):
        problem = f"must be an int or one for each of the {len(layers)} layers, got {len(sizes)}"
        raise value_error("entries", problem)
    rms = logs - np.array([0.5 * math.log10(n) for n in sizes])
    order = np.argsort(-layers)
    least, most = np.empty_like(rms), np.empty_like(rms)
    least[:, order] = np.minimum.accumulate(rms[:, order], axis=1)
    most[:, order] = np.maximum.accumulate(rms[:, order], axis=1)
    if depth not in layers:  # an upper layer that is not dead keeps the largest RMS finite
        most = np.maximum(most, (log_D - 0.5 * math.log10(max(sizes)))[:, np.newaxis])
    return least, most
