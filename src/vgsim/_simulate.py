"""simulate(): check, plan, estimate the memory, call the kernels, wrap the arrays."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from vgsim import _kernels
from vgsim._info import provenance
from vgsim._memory import require_memory
from vgsim._network import MLP
from vgsim._quantities import RECORDS
from vgsim._random import network_key
from vgsim._samples import Samples
from vgsim._sampling import (
    INDICES,
    checked_data,
    checked_dtype,
    checked_int,
    checked_layers,
    checked_setting,
    data_digest,
)
from vgsim._threads import thread_count

__all__ = ["simulate"]

DEFAULT_LAYERS = 33
WHOLE_BYTES = 24 << 20  # a thread stores a whole forward pass, or the end of it, up to this size,
ALL_WHOLE_BYTES = 1 << 30  # and all threads together up to this one;
SEGMENT_BYTES = 1 << 18  # before it, segments of this size, or so large that there are √depth
LAYER_BYTES = 1 << 10  # of each stored layer beside its units
OUTCOME = 3  # numbers that are kept of every layer
POLL_SECONDS = 0.1
CHUNK_DRAWS = 2_000_000  # random numbers a thread draws between two visits to the queue

# Raw draws of unit scale: U(-1, 1), and N(0, 1) cut at 2, have these standard deviations.
RAW_STD = {"normal": 1.0, "uniform": 3**-0.5, "truncated_normal": 0.87962566103423978}

Progress = bool | Callable[[int, int], object]


def simulate(
    network: MLP,
    n_samples: int,
    *,
    seed: int | None = 0,
    first: int = 0,
    batch_size: int = 1,
    inputs: Literal["normal"] | ArrayLike = "normal",
    loss: str = "linear",
    layers: Sequence[int] | None = None,
    record: Collection[str] = ("gradient",),
    engine: str = "auto",
    dtype: DTypeLike = "float32",
    n_threads: int | None = None,
    progress: Progress = False,
) -> Samples:
    """Run forward and backward passes of many random networks.

    Each sample is one draw of all weights and biases, of the input and of the cotangent G_D.

    Parameters
    ----------
    network : MLP
        The law of the networks.
    n_samples : int
        How many, at least 1.
    seed : int or None, default 0
        Any int ≥ 0. None takes fresh entropy, which `Samples.seed` keeps.
    first : int, default 0
        Index of the first sample; sample i is the same in every run that contains it.
        first + n_samples ≤ 2**56.
    batch_size : int, default 1
        Inputs to one network; only 1 so far.
    inputs : "normal" or array_like, shape (N, n_0)
        Law of the input x_0: i.i.d. N(0, 1), or a uniformly random row of a data matrix.
    loss : str, default "linear"
        "linear": G_D is i.i.d. N(0, 1).
    layers : sequence of int, optional
        Distinct layers to record, 0 … depth, in the order of the columns wanted. By default 0,
        depth and a geometric grid between, at most 33.
    record : collection of str, default ("gradient",)
        Of "gradient", "activation", "saturation", "weight_gradient" and "update_ratio"; see
        `Samples`. Recording never changes a sample.
    engine : {"auto", "matrix-free", "dense"}
        "matrix-free" draws the products of Gaussian weight matrices from their exact joint law;
        "dense" draws the matrices. "auto": matrix-free where the weights are Gaussian. The engines
        agree in law, not sample by sample.
    dtype : {"float32", "float64"}
        Arithmetic of the passes. Neither underflows or overflows at any depth.
    n_threads : int, optional
        By default OMP_NUM_THREADS, else all processors of this process. Never changes a result.
    progress : bool or callable, default False
        True shows a progress bar if the package tqdm is installed; a callable is called as
        ``progress(done, n_samples)`` a few times a second.

    Returns
    -------
    Samples

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type or out of range.
    MemoryError
        If the results or the working memory would not fit; the message says what to change.

    Notes
    -----
    A sample is a pure function of network, batch_size, inputs, loss, engine, dtype, seed, index and
    the stream version: docs/reproducibility.md. The law is derived in docs/law.md.

    Examples
    --------
    >>> import vgsim
    >>> net = vgsim.MLP(depth=100, width=64, activation="sigmoid")
    >>> s = vgsim.simulate(net, 1000)
    >>> s.probability("vanishing", threshold=1e-6).estimate
    1.0
    """
    resolved = checked_setting(network, batch_size, loss, engine)
    n_samples = checked_int("n_samples", n_samples, 1, INDICES, "2**56")
    first = checked_int("first", first, 0, INDICES - n_samples, "2**56 - n_samples")
    dtype = checked_dtype(dtype)
    data = checked_data(inputs, network.widths[0])
    columns = (
        _default_layers(network.depth) if layers is None else checked_layers(layers, network.depth)
    )
    recorded = _checked_record(record)
    threads = thread_count(n_threads)
    if seed is None:
        seed = int(np.random.SeedSequence().entropy)  # type: ignore[arg-type]
    key = network_key(network.canonical_json(), seed)

    ends = _segment_ends(network, dtype, threads)
    weight_columns = columns[columns >= 1]
    _check_memory(n_samples, len(columns), recorded, network, ends, dtype, resolved, threads)
    outputs = _outputs(n_samples, len(columns), len(weight_columns), recorded)
    run = _kernels.Run(
        dtype,
        key,
        engine=resolved,
        first=first,
        count=n_samples,
        segment_ends=ends,
        n_columns=len(columns),
        n_weight_columns=len(weight_columns),
        column=_places(columns, network.depth),
        weight_column=_places(weight_columns, network.depth),
        **_network_fields(network),
        **_input_fields(data),
        **outputs,
    )
    started = time.perf_counter()
    _execute(
        run, threads, _chunk(network, resolved, dtype, n_samples, threads), n_samples, progress
    )
    outputs["activation"] = outputs.pop("activation_rms")
    return Samples(
        network,
        seed=seed,
        index=np.arange(first, first + n_samples, dtype=np.int64),
        layers=columns,
        engine=resolved,
        dtype=dtype,
        batch_size=1,
        loss=loss,
        inputs=data_digest(data),
        provenance=provenance() | {"n_threads": str(threads)},
        elapsed=time.perf_counter() - started,
        **outputs,
    )


def _default_layers(depth: int) -> NDArray[np.int64]:
    grid = np.geomspace(1, depth, DEFAULT_LAYERS - 1)
    return np.unique(np.concatenate([[0], np.rint(grid)])).astype(np.int64)


def _checked_record(record: Collection[str]) -> frozenset[str]:
    allowed = f"record must be a collection of names out of {', '.join(map(repr, RECORDS))}"
    if isinstance(record, (str, bytes)) or not isinstance(record, Collection):
        raise TypeError(f"{allowed}, got {record!r}; for one write record=({record!r},)")
    for name in record:
        if name not in RECORDS:
            raise ValueError(f"{allowed}, got {name!r}")
    return frozenset(record)


def _places(columns: NDArray[np.int64], depth: int) -> NDArray[np.int64]:
    """Column of each layer 0 … depth, -1 where it is not recorded."""
    places = np.full(depth + 1, -1, dtype=np.int64)
    places[columns] = np.arange(len(columns))
    return places


def _network_fields(network: MLP) -> dict[str, Any]:
    law = network.init.distribution
    bias_limits = network.bias_limits
    uniform_bias = bool(np.any(bias_limits > 0))
    bias_scale = bias_limits if uniform_bias else np.full(network.depth, network.bias_std)
    return {
        "depth": network.depth,
        "widths": np.array(network.widths, dtype=np.int64),
        "weight_scale": np.concatenate([[0.0], network.weight_stds / RAW_STD[law]]),
        "bias_scale": np.concatenate([[0.0], bias_scale]),
        "weight_law": law,
        "bias_law": "uniform" if uniform_bias else "normal",
        "activation": network.activation.name,
        "parameters": network.activation.kernel_parameters,
        "saturated_below": 0.05 * network.activation.max_derivative,
    }


def _input_fields(data: NDArray[np.float64] | None) -> dict[str, Any]:
    """Rows as significands below 1 and a power of two, so that float32 holds any of them."""
    if data is None:
        return {"inputs": None, "input_exponents": None}
    _, exponents = np.frexp(np.max(np.abs(data), axis=1))
    significands = np.ldexp(data, -exponents[:, np.newaxis])
    return {
        "inputs": np.ascontiguousarray(significands),
        "input_exponents": exponents.astype(np.int64),
    }


def _outputs(n: int, k: int, k_weights: int, recorded: frozenset[str]) -> dict[str, Any]:
    def table(name: str, columns: int) -> NDArray[np.float64] | None:
        return np.empty((n, columns)) if name in recorded else None

    return {
        "gradient": table("gradient", k),
        "rms_min": table("gradient", k),
        "rms_max": table("gradient", k),
        "activation_rms": table("activation", k),
        "saturation": table("saturation", k_weights),
        "weight_gradient": table("weight_gradient", k_weights),
        "update_ratio": table("update_ratio", k_weights),
        "output_gradient": np.empty(n),
        "dead": np.empty(n, dtype=np.bool_),
    }


def _unit_bytes(dtype: str) -> int:
    """Bytes of one unit of one lane group."""
    return _kernels.lanes(dtype) * np.dtype(dtype).itemsize


def _segment_ends(network: MLP, dtype: str, threads: int) -> NDArray[np.int64]:
    """Last layer of each segment of layers whose forward pass is stored at a time."""
    arrays = 2 if network.bias_std > 0 or np.any(network.bias_limits > 0) else 1
    units = np.array(network.widths[1:], dtype=np.int64) + 3
    layers = arrays * units * _unit_bytes(dtype) + LAYER_BYTES
    used = np.cumsum(np.concatenate([[0], layers]))  # by the layers up to each
    whole = min(WHOLE_BYTES, ALL_WHOLE_BYTES // threads)
    room = max(SEGMENT_BYTES, int(used[-1] / np.sqrt(network.depth)))
    last = min(int(np.searchsorted(used, used[-1] - whole)), network.depth - 1)
    ends = [0]
    while ends[-1] < last:
        end = int(np.searchsorted(used, used[ends[-1]] + room, side="right")) - 1
        ends.append(min(max(end, ends[-1] + 1), last))
    return np.array([*ends[1:], network.depth], dtype=np.int64)


def _check_memory(
    n: int,
    k: int,
    recorded: frozenset[str],
    network: MLP,
    ends: NDArray[np.int64],
    dtype: str,
    engine: str,
    threads: int,
) -> None:
    tables = sum(3 if name == "gradient" else 1 for name in recorded)
    results = n * (8 * k * tables + 8 + 8 + 1)
    unit, widths = _unit_bytes(dtype), np.array(network.widths, dtype=np.int64) + 3
    layers = np.diff(np.concatenate([[0], np.cumsum(2 * widths[1:])])[[0, *ends]])  # with a bias
    working = int(layers.max() + 8 * widths.max()) * unit
    working += LAYER_BYTES * int(np.diff(ends, prepend=0).max()) + OUTCOME * unit * len(widths)
    if engine == "dense":
        working += unit * int(widths[ends].sum())
    require_memory(
        results + threads * working,
        f"this run ({results / 2**30:.3g} GiB of results, {threads * working / 2**30:.3g} GiB of "
        f"working memory on {threads} threads)",
        f"lower n_samples = {n} (runs with other `first` can be reduced one by one), record fewer "
        f"of the {k} layers or of the quantities {sorted(recorded)}, or lower n_threads",
    )


def _chunk(network: MLP, engine: str, dtype: str, n_samples: int, threads: int) -> int:
    """How many lane groups a thread takes at a time: at least four turns for each thread."""
    widths = np.array(network.widths, dtype=np.float64)
    draws = 2 * (widths[1:] @ widths[:-1] if engine == "dense" else widths.sum())
    lanes = _kernels.lanes(dtype)
    return max(1, min(int(CHUNK_DRAWS / (draws * lanes)), n_samples // (4 * lanes * threads)))


def _execute(
    run: _kernels.Run, threads: int, chunk: int, n_samples: int, progress: Progress
) -> None:
    """Run the kernel in a thread of its own; this one stays free for Ctrl-C and progress."""
    report, close = _reporter(progress, n_samples)
    try:
        with ThreadPoolExecutor(1, thread_name_prefix="vgsim") as pool:
            future = pool.submit(run.simulate, threads, chunk)
            try:
                while wait([future], timeout=POLL_SECONDS).not_done:
                    report(run.done, n_samples)
            except BaseException:
                run.cancel()
                raise
            future.result()
        report(n_samples, n_samples)
    finally:
        close()


def _reporter(
    progress: Progress, n_samples: int
) -> tuple[Callable[[int, int], object], Callable[[], object]]:
    def nothing(*_: int) -> None: ...

    if callable(progress):
        return progress, nothing
    if not isinstance(progress, bool):
        raise TypeError(f"progress must be a bool or a callable, got {progress!r}")
    if progress:
        try:
            from tqdm.auto import tqdm
        except ImportError:
            sys.stderr.write("vgsim: install tqdm for a progress bar\n")
        else:
            bar = tqdm(total=n_samples, unit="network")
            return lambda done, _: bar.update(done - bar.n), bar.close
    return nothing, nothing
