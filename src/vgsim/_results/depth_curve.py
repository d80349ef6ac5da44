"""The law of R_0 = log10(‖G_0‖ / ‖G_D‖) against the depth D."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import DTypeLike, NDArray

from vgsim._checks import THRESHOLD, brief, checked_items, type_error, value_error
from vgsim._networks.description import Network
from vgsim._results.curves import Curve
from vgsim._results.events import checked_event, condition
from vgsim._results.samples import IDENTITY, Samples
from vgsim._statistics.critical_depth import crossing, margin, margin_of_probability
from vgsim._statistics.estimate import LEVEL, Estimate
from vgsim.typing import Event, Method, NumberFormat

if TYPE_CHECKING:
    import pandas
    import xarray

__all__ = ["DepthCurve"]


class DepthCurve(Curve):
    """The law of R_0 = log10(‖G_0‖ / ‖G_D‖) against the depth D, from independent runs.

    Returned by :func:`depth_curve`. ``DepthCurve(runs)`` makes one from runs of one network at
    increasing depths.

    Attributes
    ----------
    network : MLP, RNN, LSTM, GRU or Sequential
        The network at the greatest depth.
    depths : int64 array, shape (k,)
    n_samples : int
        Number of samples at each depth; the smallest if it varies.
    samples : list of k Samples

    Raises
    ------
    TypeError, ValueError
        If the runs differ in more than their depth, do not have increasing depths, or did not
        record layer 0.

    Examples
    --------
    >>> import vgsim
    >>> network = vgsim.MLP(depth=1, width=16, activation="relu", init="he_normal")
    >>> curve = vgsim.depth_curve(network, (10, 100), 1000)
    >>> curve
    <DepthCurve: 1000 samples at each of 2 depths from 10 to 100, MLP(depth=100, width=16, ...)>
    >>> curve.mean().estimate.round(1)
    array([-0.4, -3.9])
    """

    def __init__(self, samples: Iterable[Samples]) -> None:
        self.samples: list[Samples] = checked_items("samples", samples, "must be several Samples")
        _check_runs(self.samples)
        self.network: Network = self.samples[-1].network
        self.depths: NDArray[np.int64] = np.array(
            [s.network.depth for s in self.samples], dtype=np.int64
        )
        self.n_samples: int = min(map(len, self.samples))
        self._points = [(s, 0) for s in self.samples]
        self._distances = self._places = self.depths.tolist()
        self._place = self._axis = self.network._length()

    def __repr__(self) -> str:
        first, last = self.depths[0], self.depths[-1]
        return (
            f"<DepthCurve: {self.n_samples} samples at each of {len(self.samples)} depths "
            f"from {first} to {last}, {self.network!r}>"
        )

    def critical_depth(
        self,
        level: float = 0.5,
        event: Event = "vanishing",
        threshold: float = THRESHOLD,
        dtype: NumberFormat | DTypeLike | None = None,
        confidence_level: float = 0.95,
        method: Method = "wilson",
    ) -> Estimate[float]:
        """Estimate the depth at which the probability of an event rises to a level.

        Between neighbouring depths, the quantile of R at the level is interpolated with mean and
        variance of R linear in the depth. This is exact if the norm is log-normal and these are
        linear, and accurate to first order in the skewness. The interval does not include the error
        of this interpolation, which matters on a coarse grid of depths. For "dead", the logarithm
        of the fraction of networks that are not dead is interpolated linearly.

        Parameters
        ----------
        level : float, default 0.5
            Between 0 and 1.
        event, threshold, dtype, confidence_level, method
            As for :meth:`Samples.probability`.

        Returns
        -------
        Estimate
            The first depth at which the probability rises to the level, a float. The limits are
            the smallest and the largest depth at which the confidence band contains the level, 0
            and ∞ if these are outside the simulated depths.

        Raises
        ------
        TypeError, ValueError
            If an argument is unknown or out of range, or the probability does not rise to the
            level within the depths; the message shows it at the first and the last depth.

        Examples
        --------
        >>> import vgsim
        >>> curve = vgsim.depth_curve(vgsim.MLP(1, 64, activation="sigmoid"), (5, 8, 11), 1000)
        >>> round(curve.critical_depth().estimate, 1)
        9.4
        >>> vgsim.depth_curve(vgsim.MLP(1, 64), (5, 10), 1000).critical_depth()
        Traceback (most recent call last):
        ValueError: level must be reached within the depths, got 0.5: P(vanishing) is 0 at 5 and 0
        at 10
        """
        level = LEVEL.check("level", level)
        event, threshold, format_ = checked_event(event, threshold, dtype)
        p = self.probability(event, threshold, dtype, confidence_level, method)
        if event == "dead":
            bands = np.array([p.estimate, p.low, p.high]).T
            margins = [margin_of_probability(level, *band.tolist()) for band in bands]
        else:
            known = condition(event, threshold, format_)
            distances = (
                known.distance(s._quantity(event, known.quantity, 0)) for s in self.samples
            )
            margins = [margin(x, level, confidence_level, method) for x in distances]
        estimate, low, high = crossing(self.depths.tolist(), margins)
        if estimate is None:
            first, last = p.estimate[[0, -1]]
            raise value_error(
                "level",
                f"must be reached within the depths, got {level:g}: P({event}) is {first:.3g} at "
                f"{self.depths[0]} and {last:.3g} at {self.depths[-1]}",
            )
        return Estimate(estimate, low, high, confidence_level, f"{method}, interpolated")

    @property
    def _networks(self) -> str:
        some = self.samples[0]
        of = f"{self.n_samples:,} networks per depth, {some.network!r} and deeper{some._batch}"
        return f"{of}, seed {some.seed}"

    def to_dataframe(self) -> pandas.DataFrame:
        """Return a ``pandas.DataFrame`` with one row per sample and the index (depth, sample).

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
        """Return all samples as an ``xarray.Dataset`` with dimensions depth and sample.

        Values are missing (NaN) where a depth has no sample with that index.

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


def _check_runs(runs: Sequence[Samples]) -> None:
    """Refuse runs that differ in more than their depth."""
    for run in runs:
        if not isinstance(run, Samples):
            raise type_error("samples", f"must be vgsim.Samples, got {brief(run)}")
        run.column(0)
    depths = [run.network.depth for run in runs]
    if not runs or any(b <= a for a, b in pairwise(depths)):
        raise value_error(
            "samples", f"must be one or more runs of increasing depths, got {brief(depths)}"
        )
    for run in runs[1:]:
        for name in IDENTITY:
            ours, theirs = getattr(runs[0], name), getattr(run, name)
            if name == "network" and type(ours) is type(theirs):
                with suppress(ValueError):  # they cannot have the same depth
                    theirs = theirs.with_depth(ours.depth)
            if name not in ("seed", "engine") and ours != theirs:
                raise value_error(
                    "samples",
                    f"must differ in their depth only, got {name} {ours!r} and {theirs!r}",
                )
