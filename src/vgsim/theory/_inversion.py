"""Tail probabilities of a sum of known cumulant function: the inverse Laplace transform."""

from __future__ import annotations

import math
from functools import cache, cached_property

import numpy as np
from numpy.typing import NDArray

from vgsim.theory._mixture import Mixture, linear_factor

__all__ = ["Ladder", "Sum"]

Floats = NDArray[np.float64]

LEAST = -115.0  # log of the least probability worked out: smaller ones come out as 0
LEFT_OUT = 1e-11  # how much of a probability may be lost by leaving out rare components
CANCELLED = 6.0  # log of how much larger the terms may be than the probability
CHUNK = 4096


class Sum:
    """X = log_scale + Σ ln S_l, a sum of independent terms.

    With n_in ≠ n_out, ln S_D is replaced by ln(S_D/χ²_{n_out}), where S_D is χ²_{n_out} with some
    of its parts weakened and the ratio is independent of it, and ln χ²_{n_in} is added.

    Attributes
    ----------
    factors : tuple of (Mixture, int)
        The laws of S_l and how often each occurs.
    log_scale : float
    edge : float
        E e^{θX} is finite for θ > −edge.
    """

    def __init__(
        self, factors: tuple[tuple[Mixture, int], ...], log_scale: float, n_in: int, n_out: int
    ) -> None:
        self.factors, self.log_scale = factors, log_scale
        self._fans = (n_in, n_out)
        self.ends = None if n_in == n_out else (linear_factor(n_in), linear_factor(n_out))
        self.edge = min([factor.edge for factor, _ in factors])
        if self.ends:
            self.edge = min(self.edge, n_in / 2.0)

    def without(self, least: float) -> Sum:
        """Return the sum over those networks whose every S has k >= least."""
        cut = tuple((factor.without(least), count) for factor, count in self.factors)
        return Sum(cut, self.log_scale, *self._fans)

    @cached_property
    def rare(self) -> Floats:
        """Every k that occurs, increasing, but for those without which no factor were left."""
        dofs = np.unique(np.concatenate([factor.dof for factor, _ in self.factors]))
        return np.asarray(dofs[dofs < min(factor.dof.max() for factor, _ in self.factors)])

    def cumulants(self, theta: float) -> tuple[float, float, float]:
        """Return K(θ) = ln E e^{θX}, K'(θ) and K''(θ)."""
        total = np.array([theta, 1.0, 0.0]) * self.log_scale
        for factor, count in self.factors:
            total += count * np.array(factor.cumulants(theta))
        if self.ends:
            first, last = self.ends
            total += np.array(first.cumulants(theta)) - np.array(last.cumulants(theta))
        return float(total[0]), float(total[1]), float(total[2])

    def log_share(self, theta: float, dof: float) -> float:
        """Return the logarithm of the part of E e^{θX} in which some S has k = dof, at most."""
        shares = [
            math.log(count) + factor.tilted(theta)[factor.dof == dof] - factor.cumulants(theta)[0]
            for factor, count in self.factors
        ]
        return float(np.logaddexp.reduce(np.concatenate(shares))) + self.cumulants(theta)[0]

    def log_characteristic(self, theta: float, omega: Floats) -> NDArray[np.complex128]:
        """Return K(θ + iω) − K(θ), up to multiples of 2πi."""
        total = 1j * omega * self.log_scale
        for factor, count in self.factors:
            total = total + count * factor.log_characteristic(theta, omega)
        if self.ends:
            first, last = (end.log_characteristic(theta, omega) for end in self.ends)
            total = total + first - last
        return np.asarray(total)

    def saddle(self, x: float) -> float:
        """Return the θ with K'(θ) = x, or (nearly) −edge if there is none."""
        from scipy.optimize import brentq

        def gap(theta: float) -> float:
            return self.cumulants(theta)[1] - x

        if gap(0.0) > 0:
            end = -self.edge * (1.0 - 1e-9)
            return end if gap(end) > 0 else float(brentq(gap, end, 0.0, xtol=1e-4, rtol=1e-6))
        end = 1.0
        while gap(end) < 0:
            end *= 2.0
        return float(brentq(gap, 0.0, end, xtol=1e-4, rtol=1e-6))


class Contour:
    """The inversion integral along one vertical line Re s = θ, by the trapezoidal rule.

    P(X > x) = (1/2πi) ∫ exp(K(s) − s x)/s ds for θ > 0, and −P(X < x) for θ < 0; without 1/s the
    density. Near the x with K'(θ) = x nothing cancels: the relative accuracy is kept in the tails.
    """

    def __init__(self, terms: Sum, theta: float, x: float) -> None:
        self.theta, self.x = theta, x
        self.log_moment, self.centre, variance = terms.cumulants(theta)
        self.spread = math.sqrt(variance)
        # The rule's error is the tilted law's mass at a distance of 2π/step from its centre.
        slowest = abs(theta) if theta > 0 else min(-theta, theta + terms.edge)
        self.step = 2.0 * math.pi / (abs(x - self.centre) + 14.0 * self.spread + 40.0 / slowest)
        self.omega, self.phases = self._nodes(terms)

    def _nodes(self, terms: Sum) -> tuple[Floats, NDArray[np.complex128]]:
        """Return ω = 0, h, 2h, … and E e^{iω(X − x)} under the tilted law, until it is 0."""
        omegas, phases, done, size = [], [], 0, 64
        while True:
            omega: Floats = self.step * np.arange(done, done + size, dtype=np.float64)
            phase = np.exp(terms.log_characteristic(self.theta, omega) - 1j * omega * self.x)
            omegas.append(omega)
            phases.append(phase)
            if np.abs(phase[-size // 2 :]).max() < 1e-18:
                break
            done += size
            size = min(done, CHUNK)
        phases[0][0] *= 0.5
        return np.concatenate(omegas), np.concatenate(phases)

    def integral(self, x: Floats, *, density: bool) -> Floats:
        """Return the probability beyond each x, or the density."""
        s = self.theta + 1j * self.omega
        terms = self.phases if density else self.phases / (math.copysign(1.0, self.theta) * s)
        out = np.empty(x.shape)
        rows = max(1, 2**20 // self.omega.size)
        for first in range(0, x.size, rows):
            part = slice(first, first + rows)
            waves = np.exp(-1j * np.multiply.outer(x[part] - self.x, self.omega))
            out[part] = (waves @ terms).real * np.exp(self.log_moment - self.theta * x[part])
        return out * self.step / math.pi


class Ladder:
    """Contours for every x on one side of the mean, made as they are needed, and kept."""

    def __init__(self, terms: Sum, side: int) -> None:
        self._sum, self._side = terms, side
        self._without = cache(terms.without)
        _, self._mean, variance = terms.cumulants(0.0)
        self._spread = math.sqrt(variance)
        self._contours: list[Contour] = []

    def integral(self, x: Floats, *, density: bool = False) -> Floats:
        """Return P(X > x) right of the mean and P(X < x) left of it, or the density."""
        out = np.zeros(x.shape)
        if not x.size:
            return out
        self._climb(float((self._side * x).max()))
        rungs = np.array([self._side * contour.x for contour in self._contours])
        first = np.searchsorted(rungs, self._side * x)
        for i in np.unique(first[first < len(rungs)]):
            out[first == i] = self._contours[i].integral(x[first == i], density=density)
        return out

    def _climb(self, end: float) -> None:
        """Add contours, half a standard deviation apart, up to `end` or where nothing is left."""
        while True:
            last = self._contours[-1] if self._contours else None
            if last and (
                self._side * last.x >= end or last.log_moment - last.theta * last.x < LEAST
            ):
                return
            spread = last.spread if last else self._spread
            x = (last.x if last else self._mean) + self._side * 0.5 * spread
            self._contours.append(self._contour(x))

    def _contour(self, x: float) -> Contour:
        """Return a contour near the saddle point of x, clear of the singularity at −edge.

        Components of small k put a singularity right of the saddle point long before they matter:
        E (χ²_1)^θ is infinite at −½. Those that contribute less than LEFT_OUT are left out.
        """
        terms = self._sum
        theta = terms.saddle(x)
        lost = -math.inf
        for dof in self._sum.rare if self._side < 0 else ():
            if theta > -0.7 * terms.edge:
                break
            tilt = max(theta, -0.45 * dof)
            lost = np.logaddexp(lost, terms.log_share(tilt, dof) - tilt * x)
            fewer = self._without(dof + 1.0)
            saddle = fewer.saddle(x)
            log_moment, _, variance = fewer.cumulants(saddle)
            size = log_moment - saddle * x - math.log1p(3.0 * abs(saddle) * math.sqrt(variance))
            if lost > size + math.log(LEFT_OUT):
                break
            terms, theta = fewer, saddle
        if self._side < 0:
            theta = _clear_of_edge(terms, theta, x)
        return Contour(terms, theta, x)


def _clear_of_edge(terms: Sum, saddle: float, x: float) -> float:
    """Return a tilt as far from −edge as the cancellation that this costs allows."""
    best = terms.cumulants(saddle)[0] - saddle * x
    share = 0.5
    while True:
        theta = -terms.edge * (1.0 - share)
        if theta <= saddle or terms.cumulants(theta)[0] - theta * x < best + CANCELLED:
            return max(theta, saddle)
        share /= 2.0
