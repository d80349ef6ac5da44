"""simulate(): check the arguments of a run, and run the kernels."""

from __future__ import annotations

from collections.abc import Sequence, Set
from typing import Literal

from numpy.typing import ArrayLike, DTypeLike

from vgsim._checks import INDICES
from vgsim._domains import checked_int
from vgsim._engine.progress import Progress, shown
from vgsim._engine.run import run, thread_count
from vgsim._engine.settings import Settings, checked_layers, checked_record, default_layers
from vgsim._networks.description import Network
from vgsim._results.samples import Samples
from vgsim.typing import DType, Engine, Loss, Record

__all__ = ["simulate"]


def simulate(
    network: Network,
    n_samples: int,
    *,
    seed: int | None = 0,
    first: int = 0,
    batch_size: int = 1,
    inputs: Literal["normal", "zeros"] | ArrayLike = "normal",
    loss: Loss = "linear",
    layers: Sequence[int] | None = None,
    record: Sequence[Record] | Set[Record] = ("gradient",),
    engine: Engine = "auto",
    dtype: DType | DTypeLike = "float32",
    n_threads: int | None = None,
    progress: Progress = False,
) -> Samples:
    """Simulate forward and backward passes of many random networks.

    Each sample is one draw of all weights and biases, of the inputs and of the loss, which
    determines the gradient G_D at the output.

    Parameters
    ----------
    network : MLP, RNN, LSTM, GRU or Sequential
        The description of the random networks.
    n_samples : int
        Number of samples, at least 1.
    seed : int or None, default 0
        Any int ≥ 0. None takes a seed from the operating system, which `Samples.seed` holds.
        Engines and dtypes under one seed use the same random words for X_0 and G_D, so give each
        its own seed to compare them statistically.
    first : int, default 0
        Index of the first sample; sample i is the same in every run that contains it.
        first + n_samples ≤ 2**56.
    batch_size : int, default 1
        Inputs B to one network: examples, or sequences if the network has `tokens`. Norms of
        activations and gradients run over all columns of the batch, which are B · tokens.
    inputs : "normal", "zeros" or array_like, shape (N, n_0), with tokens (N, tokens, n_0)
        Law of the inputs X_0 (in an `RNN`, `LSTM` or `GRU` the initial states): i.i.d. N(0, 1), or
        uniformly random rows of a data matrix, with tokens sequences of an array, drawn without
        replacement within a batch. A scaled copy of the array is cached while the array exists.
        "zeros", all 0, is for recurrent networks only.
    loss : {"linear", "mse", "cross_entropy"}, default "linear"
        "linear": G_D is i.i.d. N(0, 1). "mse": L = ½ Σ (X_D - T)², T i.i.d. N(0, 1).
        "cross_entropy": softmax cross-entropy with X_D as logits, summed over the batch, with a
        uniformly random class for each column.
    layers : sequence of int, optional
        Distinct layers to record, 0 … depth, in the order of the columns of the results. By default
        0, depth and a geometric grid between, at most 33 layers.
    record : collection of str, default ("gradient",)
        Quantities to record, out of "gradient", "activation", "saturation", "weight_gradient",
        "update_ratio", "clipped" (for a network with `clip`), "activation_correlation" and
        "gradient_correlation" (for two or more columns); see `Samples`. Recording never changes a
        sample.
    engine : {"auto", "scalar", "matrix-free", "dense"}
        "dense" draws the weight matrices. "matrix-free" draws the products of Gaussian or
        orthogonal matrices from their exact joint law. "scalar" draws a few scalars per layer, from
        the exact law of all norms: for one input, Gaussian weights, and layers of "linear", "relu"
        or "leaky_relu" without techniques other than `ClipNorm`. "auto" chooses the engine with the
        lowest cost, by a fixed rule of network, batch size and loss; for weights that are neither
        Gaussian nor orthogonal and for recurrent networks it is "dense". The engines agree in law,
        not sample by sample.
    dtype : {"float32", "float64"}
        Arithmetic of the passes. In both, no norm underflows or overflows at any depth.
    n_threads : int, optional
        By default OMP_NUM_THREADS, else all processors that this process may use. Never changes a
        result.
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
        If results and working memory exceed the available memory, or the system cannot start that
        number of threads; the message says what to change.

    Notes
    -----
    A sample is a pure function of network, batch_size, inputs, loss, engine, dtype, seed, index and
    the stream version: see docs/reproducibility.md. docs/law.md derives the law.

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
    recorded = checked_record(record, network, settings)
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
