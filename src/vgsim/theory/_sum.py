"""Sums of independent terms ln S: their cumulants, and their densities by convolution."""

from __future__ import annotations

import math

import numpy as np

from vgsim.theory._density import Density
from vgsim.theory._mixture import Mixture, linear_factor

__all__ = ["Sum"]


class Sum:
    """X = log_scale + Σ ln S_l, a sum of independent terms.

    With n_in ≠ n_out, ln S_D is replaced by ln(S_D/χ²_{n_out}), where S_D is χ²_{n_out} with some
    of its parts weakened and the ratio is independent of it, and ln χ²_{n_in} is added.

    Attributes
    ----------
    factors : tuple of (Mixture, int)
        The laws of S_l and how often each occurs.
    log_scale : float
    ends : tuple of Mixture, or None
        χ²_{n_in} and χ²_{n_out} where they are not the same.
    edge : float
        E e^{θX} is finite for θ > −edge.
    """

    def __init__(
        self, factors: tuple[tuple[Mixture, int], ...], log_scale: float, n_in: int, n_out: int
    ) -> None:
        self.factors, self.log_scale = factors, log_scale
        self.ends = None if n_in == n_out else (linear_factor(n_in), linear_factor(n_out))
        self.edge = min([factor.edge for factor, _ in factors])
        if self.ends:
            self.edge = min(self.edge, n_in / 2.0)

    @property
    def last(self) -> Mixture:
        """The law of S_D, where the ends are not the same."""
        assert self.ends
        return next(f for f, _ in self.factors if f.width == self.ends[1].width)

    def cumulants(self, theta: float) -> tuple[float, float, float]:
        """Return K(θ) = ln E e^{θX}, K'(θ) and K''(θ)."""
        total = np.array([theta, 1.0, 0.0]) * self.log_scale
        for factor, count in self.factors:
            total += count * np.array(factor.cumulants(theta))
        if self.ends:
            first, last = self.ends
            total += np.array(first.cumulants(theta)) - np.array(last.cumulants(theta))
        return float(total[0]), float(total[1]), float(total[2])

    def saddle(self, x: float) -> float:
        """Return the θ > −edge with K'(θ) = x; ±infinity where it is out of reach."""
        from scipy.optimize import brentq

        def gap(theta: float) -> float:
            return self.cumulants(theta)[1] - x

        if gap(0.0) > 0:
            end = -self.edge * (1.0 - 1e-9)
            return -math.inf if gap(end) > 0 else float(brentq(gap, end, 0.0, xtol=1e-6, rtol=1e-6))
        end = 1.0
        while gap(end) < 0:
            end *= 2.0
            if end > FURTHEST:
                return math.inf
        return float(brentq(gap, 0.0, end, xtol=1e-6, rtol=1e-6))

    def density(self) -> Density:
        """Return the density of X, given that no S_l is 0."""
        outer = self.last if self.ends else None
        parts = [
            (Density.of(factor), count - (factor is outer))
            for factor, count in self.factors
            if count > (factor is outer)
        ]
        if self.ends:
            parts.append((Density.of(self.ends[0]), 1))
        powers = sorted((part.power(count) for part, count in parts), key=lambda p: p.smoothness)
        total = powers[0]
        for power in powers[1:]:
            total = total + power
        if outer is not None and outer.share is not None:
            total = total.weakened(outer.share)
        return total.shifted(self.log_scale)


FURTHEST = 1e9  # tilt
