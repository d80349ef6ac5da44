"""simulate(): check, plan, estimate the memory, call the kernels, wrap the arrays."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from vgsim import _kernels
from vgsim._execution import Progress, execute
from vgsim._info import provenance
from vgsim._memory import require_memory
from vgsim._network import Network, weight_layers
from vgsim._plan import Plan, input_fields
from vgsim._random import network_key
from vgsim._samples import Samples
from vgsim._sampling import (
    INDICES,
    checked_data,
    checked_dtype,
    checked_int,
    checked_layers,
    checked_record,
    checked_seed,
    checked_setting,
    data_digest,
    default_layers,
    places,
)
from vgsim._threads import thread_count

__all__ = ["simulate"]


def simulate(
    network: Network,
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
    network : MLP or RNN
        The law of the networks.
    n_samples : int
        How many, at least 1.
    seed : int or None, default 0
        Any int ≥ 0. None takes fresh entropy, which `Samples.seed` keeps.
    first : int, default 0
        Index of the first sample; sample i is the same in every run that contains it.
        first + n_samples ≤ 2**56.
    batch_size : int, default 1
        Inputs B to one network. Norms of activations and gradients run over the whole batch.
    inputs : "normal" or array_like, shape (N, n_0)
        Law of the inputs X_0: i.i.d. N(0, 1), or uniformly random rows of a data matrix, drawn
        without replacement within a batch. An `RNN` starts from them.
    loss : {"linear", "mse", "cross_entropy"}, default "linear"
        "linear": G_D is i.i.d. N(0, 1). "mse": L = ½ Σ (X_D - T)², T i.i.d. N(0, 1).
        "cross_entropy": softmax cross-entropy with X_D as logits, summed over the batch, one
        uniformly random class for each example.
    layers : sequence of int, optional
        Distinct layers to record, 0 … depth, in the order of the columns wanted. By default 0,
        depth and a geometric grid between, at most 33.
    record : collection of str, default ("gradient",)
        Of "gradient", "activation", "saturation", "weight_gradient", "update_ratio" and "clipped";
        see `Samples`. Recording never changes a sample.
    engine : {"auto", "matrix-free", "dense"}
        "matrix-free" draws the products of Gaussian or orthogonal weight matrices from their exact
        joint law; "dense" draws the matrices. "auto" takes the one that costs less, by a fixed rule
        of network and batch size; other weights, and an `RNN`, are always dense. The engines agree
        in law, not sample by sample.
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
    batch_size = int(batch_size)
    n_samples = checked_int("n_samples", n_samples, 1, INDICES, "2**56")
    first = checked_int("first", first, 0, INDICES - n_samples, "2**56 - n_samples")
    dtype = checked_dtype(dtype)
    data = checked_data(inputs, network.widths[0], batch_size)
    columns = (
        default_layers(network.depth) if layers is None else checked_layers(layers, network.depth)
    )
    recorded = checked_record(record, network)
    threads = thread_count(n_threads)
    seed = checked_seed(seed)
    key = network_key(network.canonical_json(), seed)

    plan = Plan(network, batch_size, loss, resolved, dtype, threads)
    _check_memory(n_samples, len(columns), recorded, plan)
    weight_columns, unit_columns = weight_layers(network, columns), columns[columns >= 1]
    sizes = {"layer": len(columns), "weight": len(weight_columns), "unit": len(unit_columns)}
    outputs = _outputs(n_samples, sizes, recorded)
    run = _kernels.Run(
        dtype,
        key,
        first=first,
        count=n_samples,
        n_columns=sizes["layer"],
        n_weight_columns=sizes["weight"],
        n_saturation_columns=sizes["unit"],
        column=places(columns, network.depth),
        weight_column=places(weight_columns, network.depth),
        saturation_column=places(unit_columns, network.depth),
        **plan.fields,
        **input_fields(data),
        **outputs,
    )
    started = time.perf_counter()
    execute(run, threads, plan.chunk(n_samples), n_samples, progress)
    outputs["activation"] = outputs.pop("activation_rms")
    return Samples(
        network,
        seed=seed,
        index=np.arange(first, first + n_samples, dtype=np.int64),
        layers=columns,
        engine=resolved,
        dtype=dtype,
        batch_size=batch_size,
        loss=loss,
        inputs=data_digest(data),
        provenance=provenance() | {"n_threads": str(threads)},
        elapsed=time.perf_counter() - started,
        **outputs,
    )


def _outputs(n: int, sizes: dict[str, int], recorded: frozenset[str]) -> dict[str, Any]:
    def table(name: str, columns: str) -> NDArray[np.float64] | None:
        return np.empty((n, sizes[columns])) if name in recorded else None

    return {
        "gradient": table("gradient", "layer"),
        "rms_min": table("gradient", "layer"),
        "rms_max": table("gradient", "layer"),
        "activation_rms": table("activation", "layer"),
        "saturation": table("saturation", "unit"),
        "weight_gradient": table("weight_gradient", "weight"),
        "update_ratio": table("update_ratio", "weight"),
        "clipped": table("clipped", "layer"),
        "output_gradient": np.empty(n),
        "dead": np.empty(n, dtype=np.bool_),
    }


def _check_memory(n: int, k: int, recorded: frozenset[str], plan: Plan) -> None:
    tables = sum(3 if name == "gradient" else 1 for name in recorded)
    results, working = n * (8 * k * tables + 8 + 8 + 1), plan.working_bytes
    fewer = "" if plan.batch_size == 1 else f", lower batch_size = {plan.batch_size}"
    require_memory(
        results + working,
        f"this run ({results / 2**30:.3g} GiB of results, {working / 2**30:.3g} GiB of "
        f"working memory on {plan.threads} threads)",
        f"lower n_samples = {n} (runs with other `first` can be reduced one by one), record fewer "
        f"of the {k} layers or of the quantities {sorted(recorded)}{fewer}, or lower n_threads",
    )
