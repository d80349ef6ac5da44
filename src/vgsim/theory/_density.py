"""Densities of sums of independent numbers, by convolution on grids: nothing cancels.

Everything added is positive, so the relative accuracy is that of single densities wherever one
looks, in both tails. Densities that are smooth on the scale σ are known from their values at
points σ/3 apart, by the trapezoidal rule to some 1e-15; in between, their logarithm is a spline.
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

LEAST = -140.0  # log of the density, relative to the largest, where a grid ends
FINENESS = 3.0  # points to a standard deviation of what is smooth, at least
SLOWEST = 0.125  # step for one number, whose Fourier transform falls as exp(−π|ω|/2) at least
DEGREE = 7
REFINED = 16  # steps of one law in those of the other, up to which they are made the same
BLOCK = 2**21  # array elements at once


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
        The variance of the narrowest normal law that the density is spread by.
    terms : int
        How many numbers were added.
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
        """Leave out the ends where nothing is, and every other point where that is enough."""
        values, first, step = self.values, self.first, self.step
        while 2.0 * step <= _step(self.smoothness, self.terms):
            values, first, step = values[first % 2 :: 2], (first + 1) // 2, 2.0 * step
        kept = np.flatnonzero(values > values.max() * math.exp(LEAST))
        values = values[kept[0] : kept[-1] + 1]
        values = values / (values.sum() * step)
        return replace(self, values=values, first=first + int(kept[0]), step=step)

    def _refined(self, step: float) -> Density:
        """Return the density on more points."""
        ratio = round(self.step / step)
        if ratio == 1:
            return self
        first, size = self.first * ratio, (self.values.size - 1) * ratio + 1
        x = step * np.arange(first, first + size, dtype=np.float64)
        return replace(self, values=np.exp(self._log(x)), first=first, step=step)

    def power(self, count: int) -> Density:
        """Return the density of the sum of `count` such numbers."""
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
        """Return the density of the sum of two independent numbers."""
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
        """Return the density of the number and a constant."""
        return replace(self, shift=self.shift + by)

    def weakened(self, share: Share) -> Density:
        """Return the density of the number and an independent ln V."""
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
        """Return the sum of densities that begin at each place, with these weights; not trimmed."""
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
        """Where the values are, but for the shift."""
        return self.step * np.arange(self.first, self.first + self.values.size, dtype=np.float64)

    @cached_property
    def _log(self) -> Any:
        """The logarithm of the density, as a spline."""
        from scipy.interpolate import make_interp_spline

        return make_interp_spline(self.points, np.log(self.values), k=DEGREE)

    @cached_property
    def _cumulative(self) -> tuple[Floats, Floats]:
        """The probability below each point, and the one above."""
        cells = self._cell(self.points[:-1], self.points[1:])
        below = np.concatenate([[0.0], np.cumsum(cells)])
        above = np.concatenate([np.cumsum(cells[::-1])[::-1], [0.0]])
        return below / below[-1], above / below[-1]

    def _cell(self, low: Floats, high: Floats) -> Floats:
        """Return the probability between two points less than a step apart."""
        x, weights = np.polynomial.legendre.leggauss(10)
        half = (high - low)[:, None] / 2.0
        inner = np.exp(self._log((low + high)[:, None] / 2.0 + half * x))
        return np.asarray((half * inner) @ weights)

    def pdf(self, x: Floats) -> Floats:
        """Return the density at each x; 0 beyond the points."""
        x = x - self.shift
        out, inside = np.zeros(x.shape), (x >= self.points[0]) & (x <= self.points[-1])
        out[inside] = np.exp(self._log(x[inside]))
        return out

    def tails(self, x: Floats) -> tuple[Floats, Floats]:
        """Return the probabilities below and above each x, both with their full accuracy."""
        x = np.clip(x - self.shift, self.points[0], self.points[-1])
        cell = np.clip(((x - self.points[0]) / self.step).astype(int), 0, self.values.size - 2)
        low, high = self.points[cell], self.points[cell + 1]
        below = self._cumulative[0][cell] + self._cell(low, x)
        above = self._cumulative[1][cell + 1] + self._cell(x, high)
        low_half = below < above
        return np.where(low_half, below, 1.0 - above), np.where(low_half, 1.0 - below, above)

    def quantile(self, below: float, above: float) -> float:
        """Return the x with that probability below it and above, the two adding to 1."""
        from scipy.optimize import brentq

        side = 0 if below < above else 1
        wanted = (below, above)[side]
        known = self._cumulative[side][:: 1 - 2 * side]
        found = int(np.clip(np.searchsorted(known, wanted), 1, known.size - 1))
        ends = self.points[:: 1 - 2 * side][[found - 1, found]] + self.shift

        def gap(x: float) -> float:
            return float(self.tails(np.array([x]))[side][0]) - wanted

        gaps = [gap(x) for x in ends]
        if gaps[0] * gaps[1] >= 0:  # at a point, or beyond them all
            return float(ends[int(abs(gaps[1]) < abs(gaps[0]))])
        return float(brentq(gap, *ends, xtol=1e-13, rtol=1e-14))


def _step(smoothness: float, terms: int) -> float:
    """Return the largest power of two that is fine enough."""
    return float(
        2.0 ** math.floor(math.log2(min(math.sqrt(smoothness) / FINENESS, SLOWEST * terms)))
    )


def _reach(factor: Mixture, side: int) -> float:
    """Return a point from which on, to that side, the density of ln S is negligible."""
    modes = factor.log_scale + np.log(factor.dof)
    end = float(modes.min() if side < 0 else modes.max())
    step = math.sqrt(factor.narrowest)
    while factor.log_density(np.array([end]))[0] > LEAST + 5.0:
        end, step = end + side * step, 1.2 * step
    return end
