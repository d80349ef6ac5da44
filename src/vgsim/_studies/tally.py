"""Tally: exact integer counts of samples; adding tallies does not depend on the order."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, overload

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from vgsim._checks import THRESHOLD, checked_numbers, value_error
from vgsim._domains import check_threshold
from vgsim._results.events import LOG10_RANGE, checked_event, column_of, require_living
from vgsim._statistics.binomial import Probability, binomial
from vgsim._statistics.estimate import Scalar
from vgsim._statistics.quantiles import checked_quantile, interpolated
from vgsim.typing import Event, Method, NumberFormat

__all__ = ["BINS", "FRACTION_BITS", "Counts", "Histogram", "Tally", "gathered"]

BINS = 64  # of the histogram, per decade
FRACTION_BITS = 32  # of R in the sums
DTYPES = tuple(LOG10_RANGE)
Integers = NDArray[np.int64]
Floats = NDArray[np.float64]
Histogram = tuple[Integers, Integers]


class Counts:
    """Base of `Tally` and `Blocks`: counts of events by layer, and by threshold or number format.

    These are the last axes of the arrays; those of `Blocks` have a first axis of blocks.
    """

    layers: Integers
    thresholds: tuple[float, ...]
    dead: Integers
    vanishing: Integers
    exploding: Integers
    underflow: Integers
    overflow: Integers

    @property
    def _samples(self) -> int | Integers:
        """Number of counted samples."""
        raise NotImplementedError

    def column(self, layer: int) -> int:
        """Return the position of a layer in `layers`.

        Raises
        ------
        TypeError, ValueError
            If `layer` is not an int, or was not tallied.

        Examples
        --------
        >>> import vgsim
        >>> from vgsim._studies.blocks import Blocks
        >>> s = vgsim.simulate(vgsim.MLP(10, 4), 3, layers=(0, 5))
        >>> Blocks.of(s, (1e-6,)).total().column(5)
        1
        """
        return column_of(layer, self.layers, "tallied")

    def threshold(self, threshold: float | None) -> float:
        """Return a counted threshold; None stands for the only one.

        Raises
        ------
        TypeError, ValueError
            If it was not counted, or is None although several were.

        Examples
        --------
        >>> import vgsim
        >>> from vgsim._studies.blocks import Blocks
        >>> Blocks.of(vgsim.simulate(vgsim.MLP(10, 4), 3), (1e-6,)).threshold(None)
        1e-06
        """
        known = ", ".join(map(repr, self.thresholds))
        if threshold is None and len(self.thresholds) == 1:
            return self.thresholds[0]
        if threshold is None:
            raise value_error("threshold", f"must be given, one of those counted: {known}")
        level = check_threshold(threshold)
        if level not in self.thresholds:
            raise value_error("threshold", f"must be one of those counted, {known}, got {level!r}")
        return level

    def _events(
        self,
        event: Event,
        layer: int,
        threshold: float | None,
        dtype: NumberFormat | DTypeLike | None,
    ) -> Integers:
        """Return the number of samples in which an event happened; shape of the leading axes."""
        level = THRESHOLD if threshold is None else threshold
        event, _, format_ = checked_event(event, level, dtype)
        column = self.column(layer)
        if event == "dead":
            return self.dead[..., column]
        if event in ("underflow", "overflow"):
            counts = self.underflow if event == "underflow" else self.overflow
            return counts[..., column, DTYPES.index(str(format_))]
        place = self.thresholds.index(self.threshold(threshold))
        vanishing = self.vanishing[..., column, place]
        exploding = self.exploding[..., column, place]
        if event == "healthy":
            return np.asarray(self._samples - vanishing - exploding)
        return vanishing if event == "vanishing" else exploding


@dataclass(frozen=True, eq=False, kw_only=True)
class Tally(Counts):
    """Exact integer counts of n samples of one network at k layers.

    R_l = log10(‖G_l‖ / ‖G_D‖). The sum of tallies does not depend on their order. Arrays are
    read-only.

    Attributes
    ----------
    n : int
    layers : int64 array, shape (k,)
    thresholds : tuple of t float
    dead : int64 array, shape (k,)
        Samples with G_l = 0.
    vanishing, exploding : int64 array, shape (k, t)
        Samples beyond each threshold; vanishing includes dead samples.
    underflow, overflow : int64 array, shape (k, 3)
        Samples below and above the range of float16, bfloat16 and float32.
    sums, squares : tuple of k int
        Σ q and Σ q² over the samples that are not dead at the layer, q = round(2^32 R_l).
    histogram : tuple of k pairs (bins, counts)
        The occupied bins b, ascending, and the number of samples in each, b/64 <= R_l < (b+1)/64,
        without samples that are dead at the layer.

    Notes
    -----
    ``a + b`` is the tally of the samples of both; ValueError if their layers or thresholds differ.

    Examples
    --------
    >>> import vgsim
    >>> from vgsim._studies.blocks import Blocks
    >>> s = vgsim.simulate(vgsim.MLP(50, 32, activation="sigmoid"), 2000)
    >>> tally = Blocks.of(s, thresholds=(1e-6,)).total()
    >>> tally.n, tally.events("vanishing")
    (2000, 2000)
    >>> abs(tally.mean() - s.mean()) < 1e-8
    True
    """

    n: int
    layers: Integers
    thresholds: tuple[float, ...]
    dead: Integers
    vanishing: Integers
    exploding: Integers
    underflow: Integers
    overflow: Integers
    sums: tuple[int, ...]
    squares: tuple[int, ...]
    histogram: tuple[Histogram, ...]

    def __post_init__(self) -> None:
        arrays = [getattr(self, name) for name in ("layers", *COUNTED)]
        for array in (*arrays, *(part for pair in self.histogram for part in pair)):
            array.flags.writeable = False

    @classmethod
    def empty(cls, layers: Iterable[int], thresholds: Iterable[float]) -> Tally:
        """Return the tally of no samples.

        Examples
        --------
        >>> from vgsim._studies.tally import Tally
        >>> Tally.empty((0, 10), (1e-6,)).n
        0
        """
        columns, levels = np.array(list(layers), dtype=np.int64), tuple(thresholds)
        k, t, nothing = columns.size, len(levels), np.zeros(0, dtype=np.int64)
        shapes: dict[str, tuple[int, ...]] = dict.fromkeys(COUNTED, (k, len(DTYPES)))
        shapes |= {"dead": (k,), "vanishing": (k, t), "exploding": (k, t)}
        return cls(
            n=0,
            layers=columns,
            thresholds=levels,
            **{name: np.zeros(shape, dtype=np.int64) for name, shape in shapes.items()},
            sums=(0,) * k,
            squares=(0,) * k,
            histogram=((nothing, nothing),) * k,
        )

    @property
    def _samples(self) -> int:
        return self.n

    def events(
        self,
        event: Event,
        layer: int = 0,
        threshold: float | None = None,
        dtype: NumberFormat | DTypeLike | None = None,
    ) -> int:
        """Return the number of samples with an event; arguments as for :meth:`probability`.

        Examples
        --------
        >>> import vgsim
        >>> from vgsim._studies.blocks import Blocks
        >>> tally = Blocks.of(vgsim.simulate(vgsim.MLP(10, 32), 100), (1e-6, 1e-3)).total()
        >>> tally.events("healthy", threshold=1e-3)
        100
        """
        return int(self._events(event, layer, threshold, dtype))

    def probability(
        self,
        event: Event,
        layer: int = 0,
        threshold: float | None = None,
        dtype: NumberFormat | DTypeLike | None = None,
        confidence_level: float = 0.95,
        method: Method = "wilson",
    ) -> Probability:
        """Estimate the probability of an event over random networks.

        Parameters
        ----------
        event, layer, dtype, confidence_level, method
            As for :meth:`Samples.probability`.
        threshold : float, optional
            One of `thresholds`; by default the only one.

        Returns
        -------
        Probability

        Raises
        ------
        TypeError, ValueError
            If an argument is unknown, was not counted or does not belong to the event.

        Examples
        --------
        >>> import vgsim
        >>> from vgsim._studies.blocks import Blocks
        >>> s = vgsim.simulate(vgsim.MLP(50, 32, activation="sigmoid"), 1000)
        >>> print(Blocks.of(s, (1e-6,)).total().probability("vanishing"))
        1 (95 % interval 0.996 to 1, 1000 of 1000)
        """
        events = self.events(event, layer, threshold, dtype)
        self._some("probability")
        return binomial(events, self.n, confidence_level, method)

    @overload
    def quantile(self, q: Scalar, layer: int = 0) -> float: ...
    @overload
    def quantile(self, q: ArrayLike, layer: int = 0) -> Floats: ...
    def quantile(self, q: ArrayLike, layer: int = 0) -> float | Floats:
        """Return quantiles of R_l, within 1/64 of those of the samples; R_l of dead ones is −inf.

        Parameters
        ----------
        q : float or array_like
            Between 0 and 1.
        layer : int, default 0

        Returns
        -------
        float, or float64 array of the shape of `q`

        Raises
        ------
        TypeError
            If `q` is not a number or numbers.
        ValueError
            If a q lies outside [0, 1], the layer was not tallied, or there are no samples.

        Examples
        --------
        >>> import vgsim
        >>> from vgsim._studies.blocks import Blocks
        >>> s = vgsim.simulate(vgsim.MLP(10, 32), 1000)
        >>> abs(Blocks.of(s, (1e-6,)).total().quantile(0.5) - s.quantile(0.5)) < 1 / 64
        True
        """
        column, q = self.column(layer), checked_quantile(q)
        self._some("quantile")
        rank = q * (self.n - 1)
        low, high = (self._ordered(place(rank), column) for place in (np.floor, np.ceil))
        return interpolated(rank, low, high)

    def _some(self, name: str) -> None:
        """Raise ValueError if there are no samples."""
        if not self.n:
            raise ValueError(f"{name} needs one or more samples, got none")

    def _ordered(self, rank: Floats, column: int) -> Floats:
        """Return order statistics, from rank 0; samples of a bin are spread evenly over it."""
        bins, counts = self.histogram[column]
        dead = int(self.dead[column])
        if not bins.size:
            return np.full(rank.shape, -np.inf)
        past = np.cumsum(counts)
        alive = np.clip(rank - dead, 0, past[-1] - 1)
        place = np.searchsorted(past, alive, side="right")
        inside = alive - (past[place] - counts[place])
        value = (bins[place] + (inside + 0.5) / counts[place]) / BINS
        return np.where(rank < dead, -np.inf, value)

    def mean(self, layer: int = 0) -> float:
        """Return the mean of R_l over the samples that are not dead at layer l, within 1e-9.

        Raises
        ------
        ValueError
            If all samples are dead there, or the layer was not tallied.

        Examples
        --------
        >>> import vgsim
        >>> from vgsim._studies.blocks import Blocks
        >>> tally = Blocks.of(vgsim.simulate(vgsim.MLP(10, 32), 1000, layers=(0, 10)), [1]).total()
        >>> tally.mean(layer=10)
        0.0
        """
        column = self.column(layer)
        return self.sums[column] / (self._living("mean", layer, 1) << FRACTION_BITS)

    def std(self, layer: int = 0) -> float:
        """Return the standard deviation of R_l over the samples that are not dead at layer l.

        Raises
        ------
        ValueError
            If fewer than two samples are alive there, or the layer was not tallied.

        Examples
        --------
        >>> import vgsim
        >>> from vgsim._studies.blocks import Blocks
        >>> s = vgsim.simulate(vgsim.MLP(10, 32), 1000)
        >>> abs(Blocks.of(s, (1e-6,)).total().std() - s.std()) < 1e-8
        True
        """
        column, n = self.column(layer), self._living("std", layer, 2)
        scatter = n * self.squares[column] - self.sums[column] ** 2
        return math.sqrt(scatter / (n * (n - 1) << 2 * FRACTION_BITS))

    def _living(self, name: str, layer: int, needed: int) -> int:
        """Return the number of samples not dead at a layer; raise ValueError if too few."""
        living = self.n - int(self.dead[self.column(layer)])
        require_living(name, needed, living, self.n, layer)
        return living

    @overload
    def cdf(self, x: Scalar, layer: int = 0) -> float: ...
    @overload
    def cdf(self, x: ArrayLike, layer: int = 0) -> Floats: ...
    def cdf(self, x: ArrayLike, layer: int = 0) -> float | Floats:
        """Return the fraction of samples with R_l <= x; R_l of dead samples is −inf.

        The fraction is interpolated linearly within a bin, 1/64 of a decade.

        Parameters
        ----------
        x : float or array_like
        layer : int, default 0

        Returns
        -------
        float, or float64 array of the shape of `x`

        Raises
        ------
        TypeError
            If `x` is not a number or numbers.
        ValueError
            If an x is NaN, the layer was not tallied, or there are no samples.

        Examples
        --------
        >>> import numpy as np
        >>> import vgsim
        >>> from vgsim._studies.blocks import Blocks
        >>> Blocks.of(vgsim.simulate(vgsim.MLP(10, 32), 1000), [1]).total().cdf([-np.inf, np.inf])
        array([0., 1.])
        """
        column, x = self.column(layer), checked_numbers("x", x)
        self._some("cdf")
        bins, counts = self.histogram[column]
        edges = np.stack([bins, bins + 1], axis=1).ravel() / BINS
        at_edges = np.stack([np.cumsum(counts) - counts, np.cumsum(counts)], axis=1).ravel()
        below = np.interp(x, edges, at_edges) if bins.size else np.zeros(x.shape)
        result = (self.dead[column] + below) / self.n
        return float(result) if x.ndim == 0 else np.asarray(result)

    def __add__(self, other: Tally) -> Tally:
        if not isinstance(other, Tally):
            return NotImplemented
        for name, a, b in (
            ("layers", self.layers.tolist(), other.layers.tolist()),
            ("thresholds", self.thresholds, other.thresholds),
        ):
            if a != b:
                raise ValueError(f"tallies cannot be added, their {name} differ: {a} and {b}")
        return Tally(
            n=self.n + other.n,
            layers=self.layers,
            thresholds=self.thresholds,
            **{name: getattr(self, name) + getattr(other, name) for name in COUNTED},
            sums=tuple(map(operator.add, self.sums, other.sums)),
            squares=tuple(map(operator.add, self.squares, other.squares)),
            histogram=tuple(
                gathered(np.concatenate([a[0], b[0]]), np.concatenate([a[1], b[1]]))
                for a, b in zip(self.histogram, other.histogram, strict=True)
            ),
        )

    def __radd__(self, other: object) -> Tally:
        """Support ``sum(tallies)``, which begins at 0."""
        return self if isinstance(other, int) and other == 0 else NotImplemented

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Tally):
            return NotImplemented
        return (
            (self.n, self.thresholds, self.sums, self.squares)
            == (other.n, other.thresholds, other.sums, other.squares)
            and all(
                np.array_equal(getattr(self, name), getattr(other, name))
                for name in ("layers", *COUNTED)
            )
            and all(
                np.array_equal(a, b)
                for mine, theirs in zip(self.histogram, other.histogram, strict=True)
                for a, b in zip(mine, theirs, strict=True)
            )
        )

    __hash__: ClassVar[None] = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<Tally: {self.n} samples, layers {self.layers.tolist()}>"


COUNTED = ("dead", "vanishing", "exploding", "underflow", "overflow")


def gathered(bins: Sequence[int] | Integers, counts: Sequence[int] | Integers) -> Histogram:
    """Return the distinct bins, ascending, with the sums of their counts.

    Examples
    --------
    >>> from vgsim._studies.tally import gathered
    >>> gathered([7, -2, 7], [10, 1, 5])
    (array([-2,  7]), array([ 1, 15]))
    """
    order = np.argsort(bins, kind="stable")
    ordered = np.asarray(bins, dtype=np.int64)[order]
    if not ordered.size:
        return ordered, ordered
    starts = np.flatnonzero(np.diff(ordered, prepend=ordered[0] - 1))
    return ordered[starts], np.add.reduceat(np.asarray(counts, dtype=np.int64)[order], starts)
