"""Densities of sums of independent variables, by convolution on grids without cancellation.

All terms of the sums are positive, so the relative accuracy is that of a single density, in both
tails too. On a grid of step σ/3, the trapezoidal rule integrates a density that is smooth on the
scale σ with an error of about 1e-15. Between grid points, the logarithm is a spline.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vgsim.theory._mixture import Mixture, Share

__all__ = ["Density"]

Floats = NDArray[np.float64]

LEAST = -140.0  # ln of the density, relative to its maximum, at the ends of a grid
FINENESS = 3.0  # least number of points per standard deviation of the smoothing normal law
SLOWEST = 0.125  # step for one term, whose Fourier transform falls at least as exp(−π|ω|/2)
DEGREE = 7
REFINED = 16  # largest ratio of two steps at which the coarse grid is refined to the fine one
MOST_STEPS, NEAR = (
    60,
    1e-14,
)  # of Newton's method; the change at which it ends, relative to max(1, |x|)


@dataclass(frozen=True, eq=False)
class Density:
    """A density on the points (first + i) step + shift, i = 0, 1, …, where it is not negligible.

    Attributes
    ----------
    values : float64 array
    first : int
    step : float
        A power of two.
    smoothness : float
        The density is smooth on the scale of the standard deviation of a normal law with this
        variance.
    terms : int
        Number of terms of the sum.
    shift : float
    """

    values: Floats
    first: int
    step: float
    smoothness: float
    terms: int = 1
    shift: float = 0.0

    @classmethod
    def of(cls, factor: Mixture) -> Density:
        """Return the density of ln S."""
        smoothness = factor.narrowest
        step = _step(smoothness, 1)
        low, high = (_reach(factor, side) for side in (-1, 1))
        first = math.floor(low / step)
        x = step * np.arange(first, math.ceil(high / step) + 1, dtype=np.float64)
        return cls(np.exp(factor.log_density(x)), first, step, smoothness)._trimmed()

    def _trimmed(self) -> Density:
        """Remove negligible ends, and every other point while the grid stays fine enough."""
        values, first, step = self.values, self.first, self.step
        while 2.0 * step <= _step(self.smoothness, self.terms):
            values, first, step = values[first % 2 :: 2], (first + 1) // 2, 2.0 * step
        kept = np.flatnonzero(values > values.max() * math.exp(LEAST))
        values = values[kept[0] : kept[-1] + 1]
        values = values / (values.sum() * step)
        return replace(self, values=values, first=first + int(kept[0]), step=step)

    def _refined(self, step: float) -> Density:
        """Return the density on a finer grid."""
        ratio = round(self.step / step)
        if ratio == 1:
            return self
        first, size = self.first * ratio, (self.values.size - 1) * ratio + 1
        x = step * np.arange(first, first + size, dtype=np.float64)
        return replace(self, values=np.exp(self._log(x)), first=first, step=step)

    def power(self, count: int) -> Density:
        """Return the density of the sum of `count` independent copies."""
        total, square = None, self
        while True:
            if count % 2:
                total = square if total is None else total + square
            count //= 2
            if not count:
                assert total is not None
                return total
            square = square + square

    def __add__(self, other: Density) -> Density:
        """Return the density of the sum of two independent variables."""
        fine, coarse = sorted((self, other), key=lambda density: density.step)
        smoothness, terms = fine.smoothness + coarse.smoothness, fine.terms + coarse.terms
        if fine.step < coarse.step / REFINED:
            smeared = coarse.smeared(fine.points, np.log(fine.values * fine.step))
            return replace(smeared, smoothness=smoothness, terms=terms)._trimmed()
        coarse = coarse._refined(fine.step)
        values = np.convolve(fine.values, coarse.values) * fine.step
        first = fine.first + coarse.first
        return Density(values, first, fine.step, smoothness, terms)._trimmed()

    def shifted(self, by: float) -> Density:
        """Return the density of the variable plus a constant."""
        return replace(self, shift=self.shift + by)

    def weakened(self, share: Share) -> Density:
        """Return the density of the variable plus an independent ln V."""
        std = math.sqrt(self.smoothness)
        if share.slope > 0:
            return self.smeared(*share.components(std))._trimmed()
        place, log_weight, first, probability = share.split(std, self.step)
        near = self.smeared(place, log_weight)
        far, first = np.convolve(self.values, probability), first + self.first
        start = min(first, near.first)
        end = max(first + far.size, near.first + near.values.size)
        values = np.zeros(end - start)
        values[first - start :][: far.size] += far
        values[near.first - start :][: near.values.size] += near.values
        return replace(self, values=values, first=start)._trimmed()

    def smeared(self, place: Floats, log_weight: Floats) -> Density:
        """Return the mixture of copies shifted by `place`, with these weights; not trimmed."""
        order = np.argsort(place)
        places, weights = place[order], np.exp(log_weight[order])
        low, high = self.points[0], self.points[-1]
        first = self.first + math.floor(places[0] / self.step)
        last = self.first + self.values.size + math.ceil(places[-1] / self.step)
        x = self.step * np.arange(first, last, dtype=np.float64)
        values = np.zeros(x.size)
        for start in range(0, x.size, 64):
            part = x[start : start + 64]
            near = slice(*np.searchsorted(places, [part[0] - high, part[-1] - low]))
            gap = part[:, None] - places[near]
            inside = (gap >= low) & (gap <= high)
            spread = np.zeros(gap.shape)
            spread[inside] = np.exp(self._log(gap[inside]))
            values[start : start + 64] = spread @ weights[near]
        return replace(self, values=values, first=first)

    @cached_property
    def points(self) -> Floats:
        """The grid points, without the shift."""
        return self.step * np.arange(self.first, self.first + self.values.size, dtype=np.float64)

    @cached_property
    def _log(self) -> Any:
        """The natural logarithm of the density, as a spline."""
        from scipy.interpolate import make_interp_spline

        return make_interp_spline(self.points, np.log(self.values), k=DEGREE)

    @cached_property
    def _cumulative(self) -> tuple[Floats, Floats]:
        """The probabilities below and above each grid point."""
        cells = self._cell(self.points[:-1], self.points[1:])
        below = np.concatenate([[0.0], np.cumsum(cells)])
        above = np.concatenate([np.cumsum(cells[::-1])[::-1], [0.0]])
        return below / below[-1], above / below[-1]

    def _cell(self, low: Floats, high: Floats) -> Floats:
        """Return the probability between two points that are less than a step apart."""
        x, weights = np.polynomial.legendre.leggauss(10)
        half = (high - low)[:, None] / 2.0
        inner = np.exp(self._log((low + high)[:, None] / 2.0 + half * x))
        return np.asarray((half * inner) @ weights)

    def pdf(self, x: Floats) -> Floats:
        """Return the density at each x; 0 outside the grid."""
        x = x - self.shift
        out, inside = np.zeros(x.shape), (x >= self.points[0]) & (x <= self.points[-1])
        out[inside] = np.exp(self._log(x[inside]))
        return out

    def tails(self, x: Floats) -> tuple[Floats, Floats]:
        """Return the probabilities below and above each x, both with full relative accuracy."""
        return self._tails(np.clip(x - self.shift, self.points[0], self.points[-1]))

    def _tails(self, x: Floats) -> tuple[Floats, Floats]:
        """Return the probabilities below and above each x on the grid, without the shift."""
        cell = np.clip(((x - self.points[0]) / self.step).astype(int), 0, self.values.size - 2)
        low, high = self.points[cell], self.points[cell + 1]
        below = self._cumulative[0][cell] + self._cell(low, x)
        above = self._cumulative[1][cell + 1] + self._cell(x, high)
        low_half = below < above
        return np.where(low_half, below, 1.0 - above), np.where(low_half, 1.0 - below, above)

    def quantile(self, below: Floats, above: Floats) -> Floats:
        """Return the x with the given probabilities below and above them, which add to 1."""
        found = np.empty(below.shape)
        for side, smaller in enumerate((below < above, below >= above)):
            if smaller.any():
                found[smaller] = self._inverse((below, above)[side][smaller], side)
        return found + self.shift

    def _inverse(self, wanted: Floats, side: int) -> Floats:
        """Return the points with the given probabilities below (side 0) or above (1) them.

        Newton's method in the cell of the grid, with bisection where it would leave the bracket.
        """
        towards = 1 - 2 * side
        known, points = self._cumulative[side][::towards], self.points[::towards]
        cell = np.clip(np.searchsorted(known, wanted), 1, known.size - 1)
        least, most = points[cell - 1], points[cell]
        x = least + (most - least) * (wanted - known[cell - 1]) / (known[cell] - known[cell - 1])
        for _ in range(MOST_STEPS):
            gap = self._tails(x)[side] - wanted
            least, most = np.where(gap <= 0, x, least), np.where(gap >= 0, x, most)
            following = x - towards * gap / np.exp(self._log(x))
            outside = (following - least) * (following - most) > 0
            following = np.where(outside, (least + most) / 2.0, following)
            change, x = np.abs(following - x), following
            if np.all(change <= NEAR * np.maximum(1.0, np.abs(x))):
                break
        return x


def _step(smoothness: float, terms: int) -> float:
    """Return the largest power of two that is a sufficiently small step."""
    return float(
        2.0 ** math.floor(math.log2(min(math.sqrt(smoothness) / FINENESS, SLOWEST * terms)))
    )


def _reach(factor: Mixture, side: int) -> float:
    """Return a point beyond which, to the left (side < 0) or right, the density is negligible."""
    modes = factor.log_scale + np.log(factor.dof)
    end = float(modes.min() if side < 0 else modes.max())
    step = math.sqrt(factor.narrowest)
    while factor.log_density(np.array([end]))[0] > LEAST + 5.0:
        end, step = end + side * step, 1.2 * step
    return end
