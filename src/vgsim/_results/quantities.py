"""The quantities that a run records: dimensions, meaning and allowed values of each array."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from vgsim._checks import INDICES
from vgsim._networks.description import Network
from vgsim._networks.undescribed import Measured

__all__ = [
    "CORRELATIONS",
    "DTYPES",
    "QUANTITIES",
    "RECORDS",
    "Quantity",
    "Recorded",
    "check_arrays",
    "check_values",
]


A = TypeVar("A", bound=NDArray[Any])
_DECADES = 2.0**48  # bound on |log10| of any norm: 2**32 layers of factors in the float64 range
_FINITE = (-_DECADES, _DECADES)
_FRACTION = (0.0, 1.0)
_COSINE = (-1.0, 1.0)


@dataclass(frozen=True)
class Quantity:
    """Description of an array of `Samples`."""

    dims: tuple[str, ...]
    record: str | None  # the name in simulate's record; None: always recorded
    units: str
    meaning: str
    values: tuple[float, float] = (-np.inf, _DECADES)  # smallest and largest allowed value
    dtype: type[np.bool_] | type[np.float64] | None = np.float64  # None: that of the kernel
    kernel: str = ""  # its name in the kernels, if different


_EACH = ("sample",)
_LAYER = ("sample", "layer")
_UNITS = ("sample", "saturation_layer")
_WEIGHTS = ("sample", "weight_layer")
QUANTITIES = {
    "output_gradient": Quantity(_EACH, None, "log10", "log10 of the norm of G_D", _FINITE),
    "dead": Quantity(_EACH, None, "1", "whether G_0 is exactly zero", _FRACTION, np.bool_),
    "gradient": Quantity(_LAYER, "gradient", "log10", "log10 of the norm of G_l"),
    "rms_min": Quantity(
        _LAYER, "gradient", "log10", "log10 of the smallest RMS of G_l, ..., G_D", dtype=None
    ),
    "rms_max": Quantity(
        _LAYER, "gradient", "log10", "log10 of the largest RMS of G_l, ..., G_D", _FINITE, None
    ),
    "activation": Quantity(
        _LAYER, "activation", "log10", "log10 of the RMS of X_l", kernel="activation_rms"
    ),
    "saturation": Quantity(
        _UNITS, "saturation", "1", "fraction of units with |phi'| < 0.05 max |phi'|", _FRACTION
    ),
    "weight_gradient": Quantity(
        _WEIGHTS,
        "weight_gradient",
        "log10",
        "log10 of the norm of dL/dW_l, over all matrices of the layer",
    ),
    "update_ratio": Quantity(
        _WEIGHTS,
        "update_ratio",
        "log10",
        "log10 of the norm of dL/dW_l over the norm of W_l, over all matrices of the layer",
    ),
    "clipped": Quantity(
        _LAYER, "clipped", "1", "fraction of the entries of G_l that were clipped", _FRACTION
    ),
    "activation_correlation": Quantity(
        _LAYER,
        "activation_correlation",
        "1",
        "mean cosine over the pairs of columns of X_l",
        _COSINE,
    ),
    "gradient_correlation": Quantity(
        _LAYER, "gradient_correlation", "1", "mean cosine over the pairs of columns of G_l", _COSINE
    ),
}
CORRELATIONS = ("activation_correlation", "gradient_correlation")  # need two or more columns
RECORDS = tuple(dict.fromkeys(q.record for q in QUANTITIES.values() if q.record))
DTYPES: dict[str, tuple[Any, ...]] = {  # allowed dtypes of the arrays of a file
    "index": (np.int64,),
    "layers": (np.int64,),
    **{name: (q.dtype,) if q.dtype else (np.float32, np.float64) for name, q in QUANTITIES.items()},
}


class Recorded(Generic[A]):
    """An attribute of `Samples` that exists if the run recorded it."""

    def __init__(self, doc: str) -> None:
        self.__doc__ = doc

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, samples: None, owner: type) -> Recorded[A]: ...
    @overload
    def __get__(self, samples: object, owner: type) -> A: ...
    def __get__(self, samples: Any, owner: type) -> Recorded[A] | A:
        if samples is None:
            return self
        if self._name not in samples._arrays:
            recorded = ", ".join(repr(record) for record in samples.record) or "nothing"
            remedy = self._remedy(samples, recorded)
            raise AttributeError(f"{self._name} was not recorded: it {remedy}")
        found: A = samples._arrays[self._name]
        return found

    def _remedy(self, samples: Any, recorded: str) -> str:
        """Return what the quantity needs; `recorded`: what there is."""
        if samples.engine == Measured.own_engine:
            return f"is not among what from_norms was given, {recorded}"
        record = QUANTITIES[self._name].record
        return f"needs {record!r} in simulate's record, which had {recorded}"

    def __set__(self, samples: object, value: object) -> None:
        raise AttributeError(f"{self._name} is read-only")


def check_arrays(
    network: Network,
    index: NDArray[np.int64],
    layers: NDArray[np.int64],
    arrays: Mapping[str, NDArray[Any]],
) -> None:
    """Refuse arrays, by the names in `QUANTITIES`, that no run can have recorded."""
    if index.ndim != 1 or not index.size or index[0] < 0 or np.any(index[1:] <= index[:-1]):
        raise ValueError("index must be a vector of increasing ints >= 0, at least one")
    if index[-1] >= INDICES:
        raise ValueError(f"index must be below 2**56, got {index[-1]}")
    if layers.ndim != 1 or len(set(layers.tolist())) != layers.size:
        raise ValueError(f"layers must be distinct ints, got {layers.tolist()}")
    sizes = {
        "sample": index.size,
        "layer": layers.size,
        "saturation_layer": np.count_nonzero(layers >= 1),
        "weight_layer": network.weight_places(layers).size,
    }
    for name, quantity in QUANTITIES.items():
        if (name in arrays) != (quantity.record is None or quantity.record in arrays):
            raise ValueError(f"{name} is missing, or given without {quantity.record}")
        if name not in arrays:
            continue
        shape = tuple(sizes[dim] for dim in quantity.dims)
        if arrays[name].shape != shape:
            raise ValueError(f"{name} must have shape {shape}, got {arrays[name].shape}")
        if not np.all(arrays[name] < np.inf):
            raise ValueError(f"{name} must be finite or -inf, got NaN or inf")
    if not np.all(np.isfinite(arrays["output_gradient"])):
        raise ValueError("output_gradient must be finite")
    if "gradient" in arrays:
        closed = np.isneginf(arrays["gradient"][:, layers == 0])
        if np.any(closed != arrays["dead"][:, np.newaxis]):
            raise ValueError("dead must be True exactly where gradient is -inf at layer 0")


def check_values(
    network: Network, layers: NDArray[np.int64], arrays: Mapping[str, NDArray[Any]]
) -> None:
    """Refuse values that no network can produce, in arrays of valid shapes and dtypes."""
    for name, array in arrays.items():
        low, high = QUANTITIES[name].values
        numbers = array.view(np.uint8) if array.dtype == np.bool_ else array
        if not np.all(((numbers >= max(low, -high)) | (numbers == low)) & (numbers <= high)):
            finite = f", finite from {-high:g} on" if low == -np.inf else ""
            raise ValueError(f"{name} must be from {low:g} to {high:g}{finite}")
    for name, size in zip(CORRELATIONS, ("activation", "gradient"), strict=True):
        if {name, size} <= arrays.keys() and np.any(arrays[name][np.isneginf(arrays[size])] != 0):
            raise ValueError(f"{name} must be 0 where {size} is -inf")
    if "gradient" not in arrays:
        return
    gradient, dead = arrays["gradient"], arrays["dead"][:, np.newaxis]
    closed = np.isneginf(gradient)
    alive = np.flatnonzero(np.any(closed & ~dead, axis=0))
    if alive.size and np.any(network.resting[layers[alive]]):
        raise ValueError("gradient must be finite where a sample is not dead")
    if np.any(gradient[:, layers == network.depth] != arrays["output_gradient"][:, np.newaxis]):
        raise ValueError("gradient must equal output_gradient at the last layer")
    least, most = arrays["rms_min"], arrays["rms_max"]
    if np.any(least > most) or np.any(closed & (least > -np.inf)):
        raise ValueError("rms_min must be at most rms_max, and -inf where gradient is -inf")
