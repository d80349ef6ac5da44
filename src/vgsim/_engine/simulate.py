"""simulate(): check the arguments of a run, and run it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Literal

from numpy.typing import ArrayLike, DTypeLike

from vgsim._checks import INDICES, checked_int
from vgsim._engine.progress import Progress, shown
from vgsim._engine.run import run, thread_count
from vgsim._engine.settings import Settings, checked_layers, checked_record, default_layers
from vgsim._networks.description import Network
from vgsim._results.samples import Samples

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
        without replacement within a batch. An `RNN` starts from them. While the array lives, a
        scaled copy of it is kept for further calls.
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
        True shows a progress bar on a terminal or in a notebook, and plain lines elsewhere; a
        callable is called as ``progress(done, n_samples)`` a few times a second.

    Returns
    -------
    Samples

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type or out of range.
    MemoryError
        If the results or the working memory would not fit, or the system does not let so many
        threads start; the message says what to change.

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
    settings = Settings.checked(
        seed=seed, batch_size=batch_size, inputs=inputs, loss=loss, engine=engine, dtype=dtype
    ).of(network)
    n_samples = checked_int("n_samples", n_samples, 1, INDICES, "2**56")
    first = checked_int("first", first, 0, INDICES - n_samples, "2**56 - n_samples")
    depth = network.depth
    columns = default_layers(depth) if layers is None else checked_layers(layers, depth)
    recorded = checked_record(record, network)
    threads = thread_count(n_threads)
    if progress is False:
        return run(network, settings, first, n_samples, columns, recorded, threads)
    with shown(progress) as show:
        return run(
            network,
            settings,
            first,
            n_samples,
            columns,
            recorded,
            threads,
            lambda done: show(done, n_samples, done / n_samples),
        )
