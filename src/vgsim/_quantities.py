"""The quantities that a run records: names, shapes, units and meaning, in one table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast, overload

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from vgsim._samples import Samples

Floats = NDArray[np.float64]
A = TypeVar("A", bound=NDArray[Any])


@dataclass(frozen=True)
class Quantity:
    """What an array of `Samples` holds."""

    dims: tuple[str, ...]
    record: str | None  # the name that asks for it; None: always there
    units: str
    meaning: str
    dtype: type[np.bool_] | type[np.float64] | None = np.float64  # None: as it came


_EACH = ("sample",)
_LAYER = ("sample", "layer")
_UNITS = ("sample", "saturation_layer")
_WEIGHTS = ("sample", "weight_layer")

QUANTITIES = {
    "output_gradient": Quantity(_EACH, None, "log10", "log10 of the norm of G_D"),
    "dead": Quantity(_EACH, None, "1", "whether G_0 is exactly zero", np.bool_),
    "gradient": Quantity(_LAYER, "gradient", "log10", "log10 of the norm of G_l"),
    "rms_min": Quantity(
        _LAYER, "gradient", "log10", "log10 of the least RMS of G_l, ..., G_D", None
    ),
    "rms_max": Quantity(
        _LAYER, "gradient", "log10", "log10 of the largest RMS of G_l, ..., G_D", None
    ),
    "activation": Quantity(_LAYER, "activation", "log10", "log10 of the RMS of X_l"),
    "saturation": Quantity(
        _UNITS, "saturation", "1", "fraction of units with |phi'| < 0.05 max |phi'|"
    ),
    "weight_gradient": Quantity(
        _WEIGHTS, "weight_gradient", "log10", "log10 of the norm of the gradient by W_l"
    ),
    "update_ratio": Quantity(
        _WEIGHTS,
        "update_ratio",
        "log10",
        "log10 of the norm of the gradient by W_l over the norm of W_l",
    ),
    "clipped": Quantity(_LAYER, "clipped", "1", "fraction of the entries of G_l that were clipped"),
}

RECORDS = tuple(dict.fromkeys(q.record for q in QUANTITIES.values() if q.record))


class Recorded(Generic[A]):
    """An attribute of `Samples` that is there if the run recorded it."""

    def __init__(self, doc: str) -> None:
        self.__doc__ = doc

    def __set_name__(self, owner: type[Samples], name: str) -> None:
        self._name = name

    @overload
    def __get__(self, samples: None, owner: type[Samples]) -> Recorded[A]: ...
    @overload
    def __get__(self, samples: Samples, owner: type[Samples]) -> A: ...
    def __get__(self, samples: Samples | None, owner: type[Samples]) -> Recorded[A] | A:
        if samples is None:
            return self
        if self._name not in samples._arrays:
            recorded = ", ".join(repr(record) for record in samples.record) or "nothing"
            raise AttributeError(
                f"{self._name} was not recorded: it needs {QUANTITIES[self._name].record!r} in "
                f"simulate's record, which had {recorded}"
            )
        return cast(A, samples._arrays[self._name])

    def __set__(self, samples: Samples, value: object) -> None:
        raise AttributeError(f"{self._name} is read-only")


def check_arrays(
    index: NDArray[np.int64],
    layers: NDArray[np.int64],
    n_weight_layers: int,
    arrays: Mapping[str, NDArray[Any]],
) -> None:
    """Refuse what no run can have recorded.

    Parameters
    ----------
    index : int64 array, shape (n,)
    layers : int64 array, shape (k,)
    n_weight_layers : int
        How many columns the quantities of weight matrices have.
    arrays : mapping of str to array
        By the names of `QUANTITIES`.

    Examples
    --------
    >>> import numpy as np
    >>> from vgsim._quantities import check_arrays
    >>> arrays = {"output_gradient": np.array([0.0, -np.inf]), "dead": np.zeros(2, bool)}
    >>> check_arrays(np.arange(2), np.array([0, 5, 10]), 2, arrays)
    Traceback (most recent call last):
    ValueError: output_gradient must be finite
    """
    if index.ndim != 1 or not index.size or index[0] < 0 or np.any(np.diff(index) <= 0):
        raise ValueError("index must be a vector of increasing ints >= 0, at least one")
    if layers.ndim != 1 or len(set(layers.tolist())) != layers.size:
        raise ValueError(f"layers must be distinct ints, got {layers.tolist()}")
    sizes = {
        "sample": index.size,
        "layer": layers.size,
        "saturation_layer": np.count_nonzero(layers >= 1),
        "weight_layer": n_weight_layers,
    }
    for name, quantity in QUANTITIES.items():
        if (name in arrays) != (quantity.record is None or quantity.record in arrays):
            raise ValueError(f"{name} is missing, or there without {quantity.record}")
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
            raise ValueError("dead must say where gradient is -inf at layer 0")
