"""depth_curve(): the law of the gradient norm against depth, with one run per depth."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from vgsim._checks import COUNTERS, INDICES, brief, checked_items, value_error
from vgsim._domains import Integer, checked_int
from vgsim._engine.plan import relative_cost
from vgsim._engine.progress import Progress, shown
from vgsim._engine.run import run, thread_count
from vgsim._engine.settings import Settings
from vgsim._networks.description import Network, checked_network
from vgsim._results.depth_curve import DepthCurve
from vgsim._results.samples import Samples
from vgsim.typing import DType, Engine, Loss

__all__ = ["depth_curve"]


def depth_curve(
    network: Network,
    depths: Iterable[int],
    n_samples: int,
    *,
    seed: int | None = 0,
    batch_size: int = 1,
    inputs: Literal["normal", "zeros"] | ArrayLike = "normal",
    loss: Loss = "linear",
    engine: Engine = "auto",
    dtype: DType | DTypeLike = "float32",
    n_threads: int | None = None,
    progress: Progress = False,
) -> DepthCurve:
    """Simulate a network at several depths.

    Parameters
    ----------
    network : MLP, RNN, LSTM, GRU or Sequential
        With equal widths; its own depth or number of steps is ignored. Of a `Sequential`, the
        layers that its list repeats are repeated more or less often; the last of them must have as
        many units as the input.
    depths : iterable of int
        Increasing. Of a `Sequential`, multiples of the number of layers that are repeated.
    n_samples : int
        Samples at each depth; the samples of different depths are independent.
    seed, batch_size, inputs, loss, engine, dtype, n_threads
        As for :func:`simulate`.
    progress : bool or callable, default False
        True shows one progress bar for all depths; a callable is called as
        ``progress(done, total)``, with numbers of samples over all depths.

    Returns
    -------
    DepthCurve

    Raises
    ------
    TypeError, ValueError, MemoryError
        As :func:`simulate`, and if the depths are not increasing ints >= 1, the network has unequal
        widths, or it cannot have one of the depths.

    Examples
    --------
    >>> import vgsim
    >>> network = vgsim.MLP(depth=1, width=32, activation="relu", init="he_normal")
    >>> curve = vgsim.depth_curve(network, (30, 100, 300), 2000)
    >>> depth = curve.critical_depth(threshold=1e-3)  # exactly: 167.9
    >>> depth.low < 167.9 < depth.high
    True
    """
    network = checked_network(network)
    if not network.is_uniform:
        first, last = network.width_at(0), network.width_at(-1)
        sizes = f" with {first} units at the input and {last} at the output" * (first != last)
        raise value_error(
            "network",
            "must have equal widths, one int as width, or layers that can be repeated, with as "
            f"many units at the output as at the input, got {network!r}{sizes}",
        )
    networks = [_at_depth(network, depth) for depth in _checked_depths(depths)]
    settings = Settings.checked(
        seed=seed, batch_size=batch_size, inputs=inputs, loss=loss, engine=engine, dtype=dtype
    )
    every = [settings.of(net) for net in networks]
    n_samples = checked_int("n_samples", n_samples, 1, INDICES, "2**56")
    threads = thread_count(n_threads)
    costs = [relative_cost(n, s.engine, s.columns(n)) for n, s in zip(networks, every, strict=True)]
    runs: list[Samples] = []
    with shown(progress) as show:

        def report(done: int) -> None:
            """Show the number of samples over all depths, and their fraction of the work."""
            behind = len(runs)
            cost = n_samples * sum(costs[:behind]) + done * costs[behind]
            total = n_samples * len(networks)
            show(behind * n_samples + done, total, cost / (n_samples * sum(costs)))

        for net, own in zip(networks, every, strict=True):
            layers, recorded = np.zeros(1, dtype=np.int64), frozenset(["gradient"])
            runs.append(run(net, own, 0, n_samples, layers, recorded, threads, report))
    return DepthCurve(runs)


def _at_depth(network: Network, depth: int) -> Network:
    """Return the network with another depth; errors of the depth name `depths`."""
    try:
        return network.with_depth(depth)
    except ValueError as error:
        if getattr(error, "argument", None) != "depth":
            raise
        raise value_error("depths", vars(error)["problem"]) from error


def _checked_depths(depths: Iterable[int]) -> list[int]:
    given = checked_items("depths", depths, "must be a sequence of increasing ints")
    each = Integer(1, COUNTERS - 1)
    found = [each.check("depths", depth, f"[{i}]") for i, depth in enumerate(given)]
    if not found or any(b <= a for a, b in pairwise(found)):
        raise value_error("depths", f"must be one or more increasing ints, got {brief(found)}")
    return found
