"""What a sample depends on beside its network: engine, dtype, data, index. Checked in one place."""

from __future__ import annotations

import hashlib
import operator
from collections.abc import Iterable
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from vgsim._network import MLP

__all__ = [
    "ENGINES",
    "INDICES",
    "checked_data",
    "checked_dtype",
    "checked_int",
    "checked_layers",
    "checked_setting",
    "data_digest",
]

INDICES = 2**56
ENGINES = ("auto", "matrix-free", "dense")


def checked_setting(network: MLP, batch_size: int, loss: str, engine: str) -> str:
    """Check what only certain networks allow, and return the engine that "auto" stands for.

    The rule of "auto" depends on the network alone: matrix-free where the weights are Gaussian.
    """
    if not isinstance(network, MLP):
        raise TypeError(f"network must be a vgsim.MLP, got {network!r}")
    if isinstance(batch_size, bool) or batch_size != 1:
        raise ValueError(f"batch_size must be 1, got {batch_size!r}")
    if loss != "linear":
        raise ValueError(f"loss must be 'linear', got {loss!r}")
    if engine not in ENGINES:
        raise ValueError(f"engine must be one of {', '.join(map(repr, ENGINES))}, got {engine!r}")
    gaussian = network.init.distribution == "normal"
    if engine == "matrix-free" and not gaussian:
        raise ValueError(
            f"engine 'matrix-free' needs Gaussian weights, and init {network.init.name!r} draws "
            f"{network.init.distribution} ones; use engine='dense' or 'auto'"
        )
    if engine != "auto":
        return engine
    return "matrix-free" if gaussian else "dense"


def checked_int(argument: str, value: object, low: int, high: int, bound: str = "") -> int:
    """Return an int from `low` to `high`, both included; `bound` is how to print `high`."""
    message = f"{argument} must be an int from {low} to {bound or high}, got {value!r}"
    if isinstance(value, (bool, np.bool_, np.ndarray)):
        raise TypeError(message)
    try:
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(message) from None
    if not low <= number <= high:
        raise ValueError(message)
    return number


def checked_layers(layers: Iterable[int], depth: int) -> NDArray[np.int64]:
    """Return distinct layers from 0 to `depth`, at least one, in the order given."""
    try:
        given = list(layers)
    except TypeError:
        raise TypeError(
            f"layers must be a sequence of distinct ints from 0 to depth = {depth}, got {layers!r}"
        ) from None
    chosen = [checked_int("each of layers", l, 0, depth, f"depth = {depth}") for l in given]
    if not chosen or len(set(chosen)) < len(chosen):
        raise ValueError(f"layers must be distinct and at least one, got {given!r}")
    return np.array(chosen, dtype=np.int64)


def checked_dtype(dtype: DTypeLike) -> str:
    """Return "float32" or "float64"."""
    message = f"dtype must be 'float32' or 'float64', got {dtype!r}"
    try:
        name = np.dtype(dtype).name if dtype is not None else "None"
    except TypeError:
        raise TypeError(message) from None
    if name not in ("float32", "float64"):
        raise ValueError(message)
    return name


def checked_data(inputs: Literal["normal"] | ArrayLike, n_0: int) -> NDArray[np.float64] | None:
    """Return the data matrix, (N, n_0) and C-contiguous, or None for normal inputs."""
    allowed = f"inputs must be 'normal' or an array of shape (N, n_0) with n_0 = {n_0}"
    if isinstance(inputs, str):
        if inputs != "normal":
            raise ValueError(f"{allowed}, got {inputs!r}")
        return None
    try:
        data = np.asarray(inputs)
    except ValueError:
        raise ValueError(f"{allowed}, got rows of different lengths") from None
    if data.dtype.kind not in "iuf":
        raise TypeError(f"{allowed}, of real numbers, got dtype {data.dtype}")
    if data.ndim != 2 or data.shape[1] != n_0 or not 0 < len(data) < 2**32:
        raise ValueError(f"{allowed} and 1 <= N < 2**32, got shape {data.shape}")
    if not np.all(np.isfinite(data)):
        raise ValueError("inputs must be finite, got NaN or infinity in it")
    return np.ascontiguousarray(data, dtype=np.float64)


def data_digest(data: NDArray[np.float64] | None) -> str:
    """Return "normal", or the identity of a data matrix: "sha256:…" of its shape and values."""
    if data is None:
        return "normal"
    content = repr(data.shape).encode() + data.astype("<f8").tobytes()
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
