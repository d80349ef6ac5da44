"""What a sample depends on beside its network: batch, loss, engine, dtype, data, index; checked."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from vgsim._description import COUNTERS, checked_int, padded
from vgsim._network import MLP, RNN, Network, checked_network
from vgsim._quantities import RECORDS

__all__ = [
    "ENGINES",
    "INDICES",
    "LOSSES",
    "checked_data",
    "checked_dtype",
    "checked_int",
    "checked_layers",
    "checked_record",
    "checked_seed",
    "checked_setting",
    "data_digest",
    "default_layers",
    "matrix_free_is_cheaper",
    "places",
    "resolved_engine",
]

INDICES = 2**56
ENGINES = ("auto", "matrix-free", "dense")
LOSSES = ("linear", "mse", "cross_entropy")
DEFAULT_LAYERS = 33


def checked_setting(network: Network, batch_size: int, loss: str, engine: str) -> str:
    """Check what only certain networks allow, and return the engine that "auto" stands for.

    The rule of "auto" depends on the network and the batch size alone: see `resolved_engine`.
    """
    checked_network(network)
    B = checked_int("batch_size", batch_size, 1, COUNTERS - 1)
    widest = network.width if isinstance(network.width, int) else max(network.width)
    if B * padded(widest) >= COUNTERS:
        raise ValueError(
            f"batch_size must be below {-(-COUNTERS // padded(widest))} at width {widest}, where a "
            f"batch has 2**32 = {COUNTERS} entries, got {B}"
        )
    if isinstance(network, MLP) and network.norm == "batch" and B == 1:
        raise ValueError(
            "batch_size must be at least 2 with norm 'batch', got 1: an example normalised by "
            "itself alone is always 0, and so is the gradient"
        )
    if loss not in LOSSES:
        raise ValueError(f"loss must be one of {', '.join(map(repr, LOSSES))}, got {loss!r}")
    if loss == "cross_entropy" and network.widths[-1] < 2:
        raise ValueError("loss 'cross_entropy' needs 2 outputs (classes) or more, got width 1")
    return resolved_engine(network, B, engine)


def resolved_engine(network: Network, batch_size: int, engine: str) -> str:
    """Return the engine that "auto" stands for, or the one asked for if it can do the network.

    Examples
    --------
    >>> import vgsim
    >>> from vgsim._sampling import resolved_engine
    >>> network = vgsim.MLP(10, 100)
    >>> resolved_engine(network, 1, "auto"), resolved_engine(network, 100, "auto")
    ('matrix-free', 'dense')
    """
    if engine not in ENGINES:
        raise ValueError(f"engine must be one of {', '.join(map(repr, ENGINES))}, got {engine!r}")
    if isinstance(network, RNN):
        if engine == "matrix-free":
            raise ValueError(
                "engine 'matrix-free' needs fresh weights in every layer, and all steps of an RNN "
                "share theirs; use engine='dense' or 'auto'"
            )
        return "dense"
    possible = network.init.distribution in ("normal", "orthogonal")
    if engine == "matrix-free" and not possible:
        raise ValueError(
            f"engine 'matrix-free' needs Gaussian or orthogonal weights, and init "
            f"{network.init.name!r} draws {network.init.distribution} ones; use engine='dense' or "
            "'auto'"
        )
    if engine != "auto":
        return engine
    return "matrix-free" if possible and matrix_free_is_cheaper(network, batch_size) else "dense"


def matrix_free_is_cheaper(network: MLP, batch_size: int) -> bool:
    """Whether the products of the weight matrices cost less than the matrices: the rule of "auto".

    Examples
    --------
    >>> import vgsim
    >>> from vgsim._sampling import matrix_free_is_cheaper
    >>> [matrix_free_is_cheaper(vgsim.MLP(10, n), 32) for n in (64, 128)]
    [False, True]
    """
    if batch_size == 1 or network.init.distribution == "orthogonal":
        return True
    return batch_size <= 0.4 * (sum(network.widths) / len(network.widths))  # measured


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


def default_layers(depth: int) -> NDArray[np.int64]:
    """Return 0, `depth` and a geometric grid between.

    Examples
    --------
    >>> from vgsim._sampling import default_layers
    >>> default_layers(10)
    array([ 0,  1,  2,  3,  4,  5,  6,  7,  8,  9, 10])
    """
    grid = np.geomspace(1, depth, DEFAULT_LAYERS - 1)
    return np.unique(np.concatenate([[0], np.rint(grid)])).astype(np.int64)


def places(columns: NDArray[np.int64], depth: int) -> NDArray[np.int64]:
    """Return the column of each layer 0 … depth, -1 where it is not recorded."""
    found = np.full(depth + 1, -1, dtype=np.int64)
    found[columns] = np.arange(len(columns))
    return found


def checked_seed(seed: int | None) -> int:
    """Return the seed, or fresh entropy for None; `network_key` checks the rest."""
    return int(np.random.SeedSequence().entropy) if seed is None else seed  # type: ignore[arg-type]


def checked_record(record: Collection[str], network: Network) -> frozenset[str]:
    """Return the names of the quantities to record."""
    allowed = f"record must be a collection of names out of {', '.join(map(repr, RECORDS))}"
    if isinstance(record, (str, bytes)) or not isinstance(record, Collection):
        raise TypeError(f"{allowed}, got {record!r}; for one write record=({record!r},)")
    for name in record:
        if name not in RECORDS:
            raise ValueError(f"{allowed}, got {name!r}")
    if "clipped" in record and network.clip is None:
        raise ValueError(
            "record 'clipped' needs a network with clip=vgsim.ClipNorm(...) or vgsim.ClipValue(...)"
            f", got {network!r}"
        )
    return frozenset(record)


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


def checked_data(
    inputs: Literal["normal"] | ArrayLike, n_0: int, batch_size: int = 1
) -> NDArray[np.float64] | None:
    """Return the data matrix, (N, n_0) and C-contiguous, or None for normal inputs.

    A batch has `batch_size` different rows of it.
    """
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
    if len(data) < batch_size:
        raise ValueError(
            f"inputs must have at least batch_size = {batch_size} rows, drawn without replacement, "
            f"got shape {data.shape}"
        )
    if not np.all(np.isfinite(data)):
        raise ValueError("inputs must be finite, got NaN or infinity in it")
    return np.ascontiguousarray(data, dtype=np.float64)


def data_digest(data: NDArray[np.float64] | None) -> str:
    """Return "normal", or the identity of a data matrix: "sha256:…" of its shape and values."""
    if data is None:
        return "normal"
    content = repr(data.shape).encode() + data.astype("<f8").tobytes()
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
