"""depth_curve(): the law of the gradient's norm against depth, by one run a depth."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from vgsim._critical_depth import crossing, margin, margin_of_probability
from vgsim._curve import Curve, event_in_words
from vgsim._estimate import Estimate
from vgsim._events import LOG10_RANGE, RANGE, THRESHOLD
from vgsim._execution import Progress
from vgsim._network import RNN, Network, checked_network
from vgsim._samples import IDENTITY, Samples
from vgsim._sampling import checked_int, checked_seed
from vgsim._simulate import simulate
from vgsim._stats import LEVEL

if TYPE_CHECKING:
    import pandas
    import xarray

__all__ = ["DepthCurve", "depth_curve"]

Floats = NDArray[np.float64]
MAX_DEPTH = 2**32 - 1


def depth_curve(
    network: Network,
    depths: Iterable[int],
    n_samples: int,
    *,
    seed: int | None = 0,
    batch_size: int = 1,
    inputs: Literal["normal"] | ArrayLike = "normal",
    loss: str = "linear",
    engine: str = "auto",
    dtype: DTypeLike = "float32",
    n_threads: int | None = None,
    progress: Progress = False,
) -> DepthCurve:
    """Simulate a network at several depths.

    Parameters
    ----------
    network : MLP or RNN
        Of equal widths; its own depth (or number of steps) does not count.
    depths : iterable of int
        Increasing.
    n_samples : int
        Networks at each depth, all independent.
    seed, batch_size, inputs, loss, engine, dtype, n_threads
        As for :func:`simulate`.
    progress : bool or callable, default False
        True shows a progress bar for each depth; a callable is called as
        ``progress(done, total)``, with the samples of all depths in total.

    Returns
    -------
    DepthCurve

    Raises
    ------
    TypeError, ValueError, MemoryError
        As :func:`simulate`; if the depths are not increasing ints of at least 1; if the network
        has uneven widths.

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
    if not isinstance(network.width, int):
        raise ValueError(f"network must have equal widths, one int as width, got {network!r}")
    networks = [replace_depth(network, depth) for depth in _checked_depths(depths)]
    seed = checked_seed(seed)

    def report(run: int) -> Progress:
        if not callable(progress):
            return progress
        call: Callable[[int, int], object] = progress
        return lambda done, n: call(run * n + done, len(networks) * n)

    return DepthCurve(
        simulate(
            net,
            n_samples,
            seed=seed,
            batch_size=batch_size,
            inputs=inputs,
            loss=loss,
            layers=(0,),
            engine=engine,
            dtype=dtype,
            n_threads=n_threads,
            progress=report(run),
        )
        for run, net in enumerate(networks)
    )


class DepthCurve(Curve):
    """The law of R_0 = log10(‖G_0‖ / ‖G_D‖) against the depth D, from independent runs.

    :func:`depth_curve` makes it; so does ``DepthCurve(runs)`` from runs of one network at
    increasing depths.

    Attributes
    ----------
    network : MLP or RNN
        At the greatest depth.
    depths : int64 array, shape (k,)
    n_samples : int
        Networks at each depth; of runs of different lengths the least.
    samples : list of k Samples

    Raises
    ------
    TypeError, ValueError
        If the runs differ in more than their depth, which must increase, or lack layer 0.

    Examples
    --------
    >>> import vgsim
    >>> network = vgsim.MLP(depth=1, width=16, activation="relu", init="he_normal")
    >>> curve = vgsim.depth_curve(network, (10, 100), 1000)
    >>> curve
    <DepthCurve: 1000 samples at each of 2 depths from 10 to 100, MLP(depth=100, width=16, ...)>
    >>> curve.mean().estimate.round(1)
    array([-0.4, -3.8])
    """

    def __init__(self, samples: Iterable[Samples]) -> None:
        self.samples = list(samples)
        _check_runs(self.samples)
        self.network = self.samples[-1].network
        self.depths = np.array([s.network.depth for s in self.samples], dtype=np.int64)
        self.n_samples = min(map(len, self.samples))
        self._points = [(s, 0) for s in self.samples]
        self._distances = self._places = self.depths.tolist()
        self._place = "steps" if isinstance(self.network, RNN) else "depth"

    def __repr__(self) -> str:
        first, last = self.depths[0], self.depths[-1]
        return (
            f"<DepthCurve: {self.n_samples} samples at each of {len(self.samples)} depths "
            f"from {first} to {last}, {self.network!r}>"
        )

    def critical_depth(
        self,
        level: float = 0.5,
        event: str = "vanishing",
        threshold: float = THRESHOLD,
        dtype: DTypeLike | None = None,
        confidence_level: float = 0.95,
        method: str = "wilson",
    ) -> Estimate:
        """Estimate the depth where the probability of an event rises to a level.

        Between neighbouring depths the level's quantile of R is interpolated, its mean and variance
        linearly in depth: exact for a log-normal norm whose logarithm has mean and variance linear
        in depth, and good to first order in the skewness. On a grid so coarse that they are not
        linear between two depths the interval does not know the error of interpolation. For "dead",
        the logarithm of the surviving fraction is linear.

        Parameters
        ----------
        level : float, default 0.5
            Between 0 and 1.
        event, threshold, dtype, confidence_level, method
            As for :meth:`Samples.probability`.

        Returns
        -------
        Estimate
            The first depth where the probability rises to the level, a float, and the hull of the
            depths where the band of intervals contains the level. Its ends are 0 and ∞ where the
            depths do not reach far enough.

        Raises
        ------
        TypeError, ValueError
            If an argument is unknown or out of range, or the probability does not rise to the
            level between two of the depths; the message says what it is at the first and the last.

        Examples
        --------
        >>> import vgsim
        >>> curve = vgsim.depth_curve(vgsim.MLP(1, 64, activation="sigmoid"), (5, 8, 11), 1000)
        >>> round(curve.critical_depth().estimate, 1)
        9.4
        >>> vgsim.depth_curve(vgsim.MLP(1, 64), (5, 10), 1000).critical_depth()
        Traceback (most recent call last):
        ValueError: P(vanishing) does not rise to level = 0.5 within the depths: it is 0 at 5 and 0
        at 10
        """
        level = LEVEL.check("level", level)
        p = self.probability(event, threshold, dtype, confidence_level, method)
        if event == "dead":
            bands = np.array([p.estimate, p.low, p.high]).T
            margins = [margin_of_probability(level, *band.tolist()) for band in bands]
        else:
            margins = [
                margin(_distance_to(event, s, threshold, dtype), level, confidence_level, method)
                for s in self.samples
            ]
        estimate, low, high = crossing(self.depths.tolist(), margins)
        if estimate is None:
            first, last = np.asarray(p.estimate)[[0, -1]]
            raise ValueError(
                f"P({event}) does not rise to level = {level:g} within the depths: it is "
                f"{first:.3g} at {self.depths[0]} and {last:.3g} at {self.depths[-1]}"
            )
        return Estimate(estimate, low, high, confidence_level, f"{method}, interpolated")

    def _title(
        self,
        event: str,
        threshold: float,
        dtype: DTypeLike | None,
        confidence_level: float,
        method: str,
    ) -> str:
        some = self.samples[0]
        shortest = replace_depth(self.network, int(self.depths[0]))
        return (
            f"R = log10(|G_0| / |G_D|) of {self.n_samples:,} networks a depth, "
            f"{shortest!r} and deeper{some._batch}, seed {some.seed}\n"
            f"{event_in_words(event, threshold, dtype)}; "
            f"{100 * confidence_level:g} % intervals ({method}, bootstrap); "
            "mean and std: of those not dead"
        )

    def to_dataframe(self) -> pandas.DataFrame:
        """Return every sample as a row of a ``pandas.DataFrame``, with the index depth and sample.

        Raises
        ------
        ImportError
            If pandas is not installed.

        Examples
        --------
        >>> import vgsim
        >>> curve = vgsim.depth_curve(vgsim.MLP(1, 8), (5, 10), 100)
        >>> curve.to_dataframe().groupby("depth").log10_ratio.count().tolist()
        [100, 100]
        """
        frames = [s.to_dataframe().droplevel("layer") for s in self.samples]
        import pandas

        return pandas.concat(frames, keys=self.depths.tolist(), names=[self._place])

    def to_xarray(self) -> xarray.Dataset:
        """Return everything as an ``xarray.Dataset`` with dimensions depth and sample.

        Where a depth has fewer samples, or other indices, values are missing (NaN).

        Raises
        ------
        ImportError
            If xarray is not installed.

        Examples
        --------
        >>> import vgsim
        >>> curve = vgsim.depth_curve(vgsim.MLP(1, 8), (5, 10), 100)
        >>> curve.to_xarray().log10_ratio.sel(depth=10).shape
        (100,)
        """
        sets = [s.to_xarray().sel(layer=0, drop=True) for s in self.samples]
        import xarray

        names = ["gradient", "output_gradient", "log10_ratio", "rms_min", "rms_max", "dead"]
        place = xarray.Variable(self._place, self.depths, {"long_name": "number of layers"})
        found = xarray.concat([s[names].drop_attrs(deep=False) for s in sets], place, join="outer")
        return found.assign_attrs(network=self.network.canonical_json())


def replace_depth(network: Network, depth: int) -> Network:
    """Return a network with another depth, or number of steps.

    Examples
    --------
    >>> import vgsim
    >>> from vgsim._depth_curve import replace_depth
    >>> replace_depth(vgsim.MLP(10, 8), 20), replace_depth(vgsim.RNN(10, 8), 20)
    (MLP(depth=20, width=8), RNN(steps=20, width=8))
    """
    if isinstance(network, RNN):
        return replace(network, steps=depth)
    return replace(network, depth=depth)


def _checked_depths(depths: Iterable[int]) -> list[int]:
    if isinstance(depths, (str, bytes)) or not isinstance(depths, Iterable):
        raise TypeError(f"depths must be a sequence of increasing ints, got {depths!r}")
    found = [checked_int("each of depths", depth, 1, MAX_DEPTH) for depth in depths]
    if not found or any(b <= a for a, b in pairwise(found)):
        raise ValueError(f"depths must be one or more increasing ints, got {found}")
    return found


def _check_runs(runs: Sequence[Samples]) -> None:
    """Refuse runs that are no curve."""
    for run in runs:
        if not isinstance(run, Samples):
            raise TypeError(f"samples must be vgsim.Samples, got {run!r}")
        run.column(0)
    depths = [run.network.depth for run in runs]
    if not runs or any(b <= a for a, b in pairwise(depths)):
        raise ValueError(f"samples must be one or more runs of increasing depths, got {depths}")
    for run in runs[1:]:
        for name in IDENTITY:
            ours, theirs = getattr(runs[0], name), getattr(run, name)
            if name == "network" and type(ours) is type(theirs):
                theirs = replace_depth(theirs, ours.depth)
            if name not in ("seed", "engine") and ours != theirs:
                raise ValueError(
                    f"samples must differ in their depth only, got {name} {ours!r} and {theirs!r}"
                )


def _distance_to(event: str, samples: Samples, threshold: float, dtype: DTypeLike | None) -> Floats:
    """Return in decades how far each sample is from the event, negative where it happened."""
    decades = math.log10(threshold)
    if event in RANGE:
        smallest, largest = LOG10_RANGE[dtype if isinstance(dtype, str) else np.dtype(dtype).name]
        if event == "underflow":
            return np.asarray(samples.rms_min[:, samples.column(0)] - smallest, dtype=np.float64)
        return np.asarray(largest - samples.rms_max[:, samples.column(0)], dtype=np.float64)
    ratio = samples._ratio(0)
    if event == "healthy":
        return np.abs(ratio) + decades
    return ratio - decades if event == "vanishing" else -decades - ratio
