"""lyapunov(): Lyapunov exponents from tangent vectors propagated forward."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from vgsim._checks import COUNTERS, INDICES, brief, plain, require_memory, type_error, value_error
from vgsim._display import block, line, table
from vgsim._domains import checked_int
from vgsim._engine.plan import Plan
from vgsim._engine.progress import Progress, shown
from vgsim._engine.run import execute, provenance, thread_count
from vgsim._engine.settings import (
    Settings,
    checked_layers,
    default_layers,
    widest_side,
)
from vgsim._kernels import Run
from vgsim._networks.description import Network, checked_network
from vgsim._results import labelled
from vgsim._statistics.estimate import Estimate, checked_level

if TYPE_CHECKING:
    import xarray
from vgsim.typing import Engine

__all__ = ["Lyapunov", "lyapunov"]

Floats = NDArray[np.float64]


class Lyapunov:
    """Stretching of k tangent vectors of the input at the recorded layers of random networks.

    Returned by :func:`lyapunov`. J_l = ∂X_l/∂X_0, of an `LSTM` the derivative of the state (h, c)
    by that before the first step; the columns of V_0 are k random orthonormal tangent vectors, and
    J_l V_0 = Q_l R_l is a QR decomposition with R_ii > 0. Arrays are read-only.

    Attributes
    ----------
    network : MLP, RNN, LSTM, GRU or Sequential
    seed : int
    index : int64 array, shape (n,)
        The index of each sample under that seed.
    layers : int64 array, shape (m,)
        The recorded layers l, in the order of the argument `layers`.
    stretching : float64 array, shape (n, m, k)
        log10 R_ii at each layer; −inf if direction i is lost, because J_l V_0 has rank below i.
    tangent : float64 array, shape (n, m)
        log10 ‖J_l v‖/‖v‖ for the first tangent vector v.
    engine, dtype, inputs : str
    batch_size : int
    provenance : dict of str
    elapsed : float
        Seconds of computation.

    Examples
    --------
    >>> import vgsim
    >>> net = vgsim.MLP(depth=100, width=64, activation="tanh")
    >>> vgsim.lyapunov(net, 50, k=3)
    <Lyapunov: 3 directions in 50 of MLP(depth=100, width=64, ...), seed 0, 26 layers from 0 to 100>
    """

    def __init__(
        self,
        network: Network,
        *,
        seed: int,
        index: NDArray[np.int64],
        layers: NDArray[np.int64],
        stretching: Floats,
        engine: str,
        dtype: str,
        batch_size: int,
        inputs: str,
        provenance: Mapping[str, str],
        elapsed: float,
    ) -> None:
        self.network = network
        self.seed = seed
        self.index = index
        self.layers = layers
        self.stretching = stretching
        self.engine = engine
        self.dtype = dtype
        self.batch_size = batch_size
        self.inputs = inputs
        self.provenance: dict[str, str] = dict(provenance)
        self.elapsed = elapsed
        for array in (index, layers, stretching):
            array.flags.writeable = False

    @property
    def tangent(self) -> Floats:
        """log10 ‖J_l v‖/‖v‖ for the first tangent vector v, shape (n, m)."""
        return self.stretching[:, :, 0]

    def __len__(self) -> int:
        return int(self.index.size)

    def __repr__(self) -> str:
        k = self.stretching.shape[2]
        return (
            f"<Lyapunov: {k} direction{'s' * (k > 1)} in {len(self)} of {self.network!r}, "
            f"seed {self.seed}, {self.layers.size} layers from {self.layers.min()} to "
            f"{self.layers.max()}>"
        )

    def _repr_html_(self) -> str:
        if len(self) < 2 or self.layers.size < 2:
            return block(line(repr(self)))
        try:
            found = self.exponents(int(self.layers.min()))
        except ValueError as error:  # directions that are lost
            return block(line(repr(self)), line(str(error)))
        rows = [(str(i), text) for i, text in enumerate(found._entries(), 1)]
        header = ("i", "λ_i, ln per layer, 95 % interval")
        return block(table(header, rows, repr(self), words=0))

    def finite_exponents(self, start: int = 0) -> Floats:
        """Return the finite-depth Lyapunov exponents of each network, natural logarithms per layer.

        λ_i = (ln R_ii(end) − ln R_ii(start))/(end − start), where `end` is the deepest recorded
        layer.

        Parameters
        ----------
        start : int, default 0
            A recorded layer; a value above 0 leaves out the initial transient.

        Returns
        -------
        float64 array, shape (n, k)
            −inf where the direction was lost.

        Raises
        ------
        TypeError, ValueError
            If `start` was not recorded, or is the deepest layer.

        Examples
        --------
        >>> import vgsim
        >>> net = vgsim.MLP(depth=100, width=64, activation="tanh")
        >>> vgsim.lyapunov(net, 50, k=3).finite_exponents().shape
        (50, 3)
        """
        column = {int(l): i for i, l in enumerate(self.layers)}
        end = max(column)
        first = plain(start)
        if not isinstance(first, int) or first not in column or first == end:
            problem = (
                f"must be one of the recorded layers before the deepest, {sorted(column)[:-1]}, "
                f"got {brief(start)}"
            )
            raise (value_error if isinstance(first, int) else type_error)("start", problem)
        begin = self.stretching[:, column[first]]
        with np.errstate(invalid="ignore"):
            grown = self.stretching[:, column[end]] - begin
        grown = np.where(np.isneginf(begin), -np.inf, grown)
        return np.asarray(np.log(10.0) * grown / (end - first))

    def exponents(self, start: int = 0, confidence_level: float = 0.95) -> Estimate[Floats]:
        """Estimate the k largest Lyapunov exponents λ_1 ≥ … ≥ λ_k: ln of the norm per layer.

        The estimate is the mean of :meth:`finite_exponents` over networks, with Student's interval;
        networks in which direction i is lost (−inf) are left out of λ_i. ln ‖J v‖² grows by 2 λ_1
        per layer.

        Parameters
        ----------
        start : int, default 0
            As for :meth:`finite_exponents`.
        confidence_level : float, default 0.95

        Returns
        -------
        Estimate
            Its fields are arrays of shape (k,).

        Raises
        ------
        ValueError
            If fewer than two networks keep all k directions, or `start` was not recorded.

        References
        ----------
        G. Benettin, L. Galgani, A. Giorgilli and J.-M. Strelcyn, Meccanica 15 (1980) 9; C. M.
        Newman, Commun. Math. Phys. 103 (1986) 121, for products of Gaussian matrices.

        Examples
        --------
        >>> import numpy as np
        >>> import vgsim
        >>> standard = vgsim.Initializer("normal", std=1.0)
        >>> net = vgsim.MLP(1000, 10, activation="linear", init=standard)
        >>> found = vgsim.lyapunov(net, 200, k=10).exponents()
        >>> bool(np.all(abs(found.estimate - vgsim.theory.newman_exponents(10)) < 0.005))
        True
        """
        from scipy.stats import t

        confidence_level = checked_level(confidence_level)
        finite = self.finite_exponents(start)
        alive = finite > -np.inf
        n = np.count_nonzero(alive, axis=0)
        if np.any(n < 2):
            raise ValueError(
                f"exponents need two or more networks that keep all {n.size} directions, got "
                f"{n.tolist()} of {len(self)}; use a smaller k"
            )
        mean = np.mean(finite, axis=0, where=alive)
        spread = np.std(finite, axis=0, where=alive, ddof=1) / np.sqrt(n)
        half = t.ppf(0.5 + 0.5 * confidence_level, n - 1) * spread
        return Estimate(mean, mean - half, mean + half, confidence_level, "Student")

    def to_xarray(self) -> xarray.Dataset:
        """Return the stretching as an xarray.Dataset with dimensions sample, layer and direction.

        Raises
        ------
        ImportError
            If xarray is not installed.

        Examples
        --------
        >>> import vgsim
        >>> found = vgsim.lyapunov(vgsim.MLP(10, 8), 5, k=2, layers=(5, 10)).to_xarray()
        >>> dict(found.sizes)
        {'sample': 5, 'layer': 2, 'direction': 2}
        """
        k = self.stretching.shape[2]
        return labelled.dataset(
            {
                "stretching": (
                    ("sample", "layer", "direction"),
                    self.stretching,
                    "log10 of R_ii in J_l V = Q R",
                    "log10",
                )
            },
            {"sample": self.index, "layer": self.layers, "direction": np.arange(1, k + 1)},
            labelled.attributes(self, ("seed", "engine", "dtype", "batch_size", "inputs")),
        )


def lyapunov(
    network: Network,
    n_samples: int,
    *,
    k: int = 1,
    seed: int | None = 0,
    first: int = 0,
    batch_size: int = 1,
    inputs: Literal["normal", "zeros"] | ArrayLike = "normal",
    layers: Sequence[int] | None = None,
    engine: Engine = "auto",
    dtype: DTypeLike = "float64",
    n_threads: int | None = None,
    progress: Progress = False,
) -> Lyapunov:
    """Propagate k random tangent vectors forward through many random networks.

    One forward pass gives samples of ‖J_l v‖/‖v‖ at all layers, with J_l = ∂X_l/∂X_0, and, by a QR
    decomposition after every layer, the stretching of the k leading directions. ‖J v‖ describes
    perturbations of the input that propagate forward; :func:`simulate` gives ‖Jᵀ u‖, which
    describes gradients that propagate backward.

    Parameters
    ----------
    network : MLP, RNN, LSTM, GRU or Sequential
        Without gradient clipping, which has no effect on the forward pass, and with one token.
    n_samples : int
        Number of networks, at least 1.
    k : int, default 1
        Number of tangent vectors, at most the dimension n_0 B of the input, or 2 n B of the state
        (h, c) of an `LSTM`.
    batch_size : int, default 1
        More than 1 with batch normalisation only; tangent vectors are then of the whole batch.
    dtype : {"float64", "float32"}
        Arithmetic of the pass. In float32, a direction within 1e-6 of the span of the others counts
        as lost. With k = n_0 this happens by chance about once in a million layers.
    seed, first, inputs, layers, engine, n_threads, progress
        As for :func:`simulate`. The inputs, and with the engine "dense" the weights, are those of
        :func:`simulate` with the same index and dtype.

    Returns
    -------
    Lyapunov

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type or out of range.
    MemoryError
        As :func:`simulate`.

    Notes
    -----
    The matrix-free engine draws only the product W_l [X V] of each matrix: see docs/law.md.

    Examples
    --------
    >>> import vgsim
    >>> net = vgsim.MLP(depth=100, width=64, activation="tanh", gain=1.5)
    >>> spectrum = vgsim.lyapunov(net, 200, k=2, layers=(10, 100)).exponents(start=10)
    >>> bool(spectrum.low[0] > 0)  # chaos
    True
    """
    settings = Settings.checked(
        seed=seed, batch_size=batch_size, inputs=inputs, engine=engine, dtype=dtype
    )
    network = checked_network(network)
    _check_tangents(network, settings.batch_size)
    B = settings.columns(network)
    state = network.program.state
    size = state * B * network.width_at(0)
    k = checked_int("k", k, 1, size, f"{'2 ' * (state == 2)}n_0 batch_size = {size}")
    widest = widest_side(network)
    if state * (1 + k) * B * (widest + 8) >= COUNTERS:
        raise value_error(
            "k", f"must be below {COUNTERS // (state * B * (widest + 8)) - 1}, got {k}"
        )
    settings = settings.of(network, tangents=k)
    n_samples = checked_int("n_samples", n_samples, 1, INDICES, "2**56")
    first = checked_int("first", first, 0, INDICES - n_samples, "2**56 - n_samples")
    depth = network.depth
    columns = default_layers(depth) if layers is None else checked_layers(layers, depth)
    threads = thread_count(n_threads)
    plan = Plan(network, settings, threads, tangents=k)
    require_memory(
        8 * n_samples * len(columns) * k + plan.working_bytes,
        f"this run with {k} tangents",
        f"lower the number of samples, {n_samples}, of tangents, {k}, or of threads, "
        f"{threads}, or record fewer of the {len(columns)} layers",
    )
    stretching = np.empty((n_samples, len(columns), k))
    kernel = Run(
        settings.dtype,
        settings.key(network),
        first=first,
        count=n_samples,
        **plan.columns_of_results(columns, columns[:0]),
        stretching=stretching,
        **plan.fields,
    )
    started = time.perf_counter()
    with shown(progress) as show:
        execute(
            kernel,
            threads,
            plan.chunk(n_samples),
            lambda done: show(done, n_samples, done / n_samples),
        )
    return Lyapunov(
        network,
        **{name: value for name, value in settings.identity.items() if name != "loss"},
        index=np.arange(first, first + n_samples, dtype=np.int64),
        layers=columns,
        stretching=stretching,
        provenance=provenance() | {"n_threads": str(threads)},
        elapsed=time.perf_counter() - started,
    )


def _check_tangents(network: Network, batch_size: int) -> None:
    """Refuse gradient clipping, attention, and examples that do not act on each other."""
    if network.clip is not None:
        raise value_error(
            "network", f"must have no clip, which acts on gradients only, got {network!r}"
        )
    if network.tokens > 1:
        raise value_error(
            "network",
            f"must have tokens=1, got tokens={network.tokens}: the tangents of sequences, which "
            "attention would mix, are not propagated",
        )
    if batch_size > 1 and not network.mixes_examples:
        raise value_error(
            "batch_size",
            f"must be 1 without norm 'batch', got {batch_size}: only batch normalisation lets "
            "examples act on each other, so run more samples instead",
        )
