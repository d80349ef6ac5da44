"""One layer's exact factor of the squared gradient norm: a mixture of scaled chi-squares."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

__all__ = ["Mixture", "leaky_factor", "linear_factor", "noncentral_factor", "relu_factor"]

Floats = NDArray[np.float64]
Draw = Callable[[np.random.Generator, int], Floats]

NEGLIGIBLE = 1e-40  # components of less weight in all are left out
LN_2 = math.log(2.0)


@dataclass(frozen=True, eq=False)
class Mixture:
    """The law of S = v χ²_k, where the component (k, ln v) is drawn with its weight, given S > 0.

    Attributes
    ----------
    dof, log_scale, log_weight : float64 array, shape (m,)
        k, ln v and the logarithm of the weight of each component.
    draw : callable
        ``draw(rng, size)`` gives samples of S, zeros where it is zero.
    zero_probability : float
        P(S = 0).
    draw_share : callable, optional
        Draws S/χ²_n, which lies between 0 and 1 (slopes squared) and is independent of χ²_n, where
        S is made of χ²_n by weakening some of its n parts.
    width : int
        n.
    """

    dof: Floats
    log_scale: Floats
    log_weight: Floats
    draw: Draw
    zero_probability: float = 0.0
    draw_share: Draw | None = None
    width: int = 0

    def without(self, least: float) -> Mixture:
        """Return the components with k >= least alone; their weights add to less than 1."""
        kept = self.dof >= least
        if kept.all():
            return self
        return replace(
            self,
            dof=self.dof[kept],
            log_scale=self.log_scale[kept],
            log_weight=self.log_weight[kept],
        )

    @property
    def edge(self) -> float:
        """θ > −edge is where E S^θ is finite."""
        return float(self.dof.min(initial=math.inf)) / 2.0

    def tilted(self, theta: float) -> Floats:
        """Return the logarithm of each component's part of E S^θ."""
        from scipy.special import gammaln

        half = self.dof / 2.0
        moment = gammaln(half + theta) - gammaln(half) + theta * (self.log_scale + LN_2)
        return np.asarray(self.log_weight + moment)

    def cumulants(self, theta: float) -> tuple[float, float, float]:
        """Return ln E S^θ and its first two derivatives by θ: mean and variance, tilted by θ."""
        from scipy.special import polygamma, psi

        terms = self.tilted(theta)
        top = terms.max()
        weight = np.exp(terms - top)
        total = weight.sum()
        weight /= total
        mean = psi(self.dof / 2.0 + theta) + self.log_scale + LN_2
        tilted_mean = float(weight @ mean)
        variance = polygamma(1, self.dof / 2.0 + theta) + (mean - tilted_mean) ** 2
        return float(top + math.log(total)), tilted_mean, float(weight @ variance)

    def log_characteristic(self, theta: float, omega: Floats) -> NDArray[np.complex128]:
        """Return ln (E S^(θ+iω) / E S^θ), up to multiples of 2πi."""
        from scipy.special import loggamma

        terms = self.tilted(theta)
        terms -= terms.max()
        kept = terms > -50.0
        half, scale = self.dof[kept] / 2.0, self.log_scale[kept] + LN_2
        weight = np.exp(terms[kept])
        weight /= weight.sum()
        start = loggamma(half + theta)
        value = np.empty(omega.shape, dtype=np.complex128)
        rows = max(1, 2**21 // half.size)
        for first in range(0, omega.size, rows):
            power = 1j * omega[first : first + rows, None]
            exponent = loggamma(half + theta + power) - start + power * scale
            value[first : first + rows] = np.exp(exponent) @ weight
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(value))


def _chi_square(rng: np.random.Generator, dof: NDArray[np.int64]) -> Floats:
    """Draw χ² numbers; 0 where dof is 0."""
    return 2.0 * rng.standard_gamma(dof / 2.0)


def _share(rng: np.random.Generator, size: int, n: int, slope: float) -> Floats:
    """Draw (χ²_K + slope² χ²_{n−K})/(χ²_K + χ²_{n−K})."""
    k = rng.binomial(n, 0.5, size)
    on, off = _chi_square(rng, k), _chi_square(rng, n - k)
    return np.asarray((on + slope * slope * off) / (on + off))


def linear_factor(n: int) -> Mixture:
    """Return the law of χ²_n."""
    one = np.zeros(1)
    return Mixture(
        np.array([float(n)]),
        one,
        one,
        lambda rng, size: _chi_square(rng, np.full(size, n)),
        draw_share=lambda rng, size: np.ones(size),
        width=n,
    )


def _log_binomial(n: int, k: Floats) -> Floats:
    """Return ln P(K = k) for K ~ Binomial(n, ½)."""
    from scipy.special import gammaln

    return np.asarray(gammaln(n + 1.0) - gammaln(k + 1.0) - gammaln(n - k + 1.0) - n * LN_2)


def relu_factor(n: int) -> Mixture:
    """Return the law of χ²_K, K ~ Binomial(n, ½)."""
    k = np.arange(1.0, n + 1.0)
    log_weight = _log_binomial(n, k)
    first = int(np.searchsorted(np.cumsum(np.exp(log_weight)), NEGLIGIBLE))
    alive = math.log1p(-(0.5**n))
    return Mixture(
        k[first:],
        np.zeros(n - first),
        log_weight[first:] - alive,
        lambda rng, size: _chi_square(rng, rng.binomial(n, 0.5, size)),
        zero_probability=0.5**n,
        draw_share=lambda rng, size: _share(rng, size, n, 0.0),
        width=n,
    )


def leaky_factor(n: int, slope: float) -> Mixture:
    """Return the law of χ²_K + slope² χ²_{n-K}, K ~ Binomial(n, ½), slope > 0.

    It is χ²_n (slope² + (1 − slope²) B) with B ~ Beta(K/2, (n−K)/2) independent of the χ²_n. With
    B = sin² t the density in t is analytic, and Gauss-Legendre panels in t make it components.
    """
    from scipy.special import betaln, logsumexp

    nodes, gauss = np.polynomial.legendre.leggauss(24)
    small, large = sorted((slope, 1.0))
    ends = [0.0, math.pi / 2.0]  # ln(slope² cos² t + sin² t) has the scale of the ratio of slopes
    panels = math.ceil(math.sqrt(n)) + 4
    inner = np.linspace(0.0, math.pi / 2.0, panels)[1:-1]
    fine = min(small / large, 0.5) * 2.0 ** np.arange(0.0, 60.0)
    fine = fine[fine < inner[0]]
    near = fine if slope < 1.0 else math.pi / 2.0 - fine
    edges = np.unique(np.concatenate([ends, inner, near]))
    half = np.diff(edges)[:, None] / 2.0
    t = (edges[:-1, None] + half * (1.0 + nodes)).ravel()
    step = (half * gauss).ravel()
    k = np.arange(1.0, n)[:, None]
    k = k[_log_binomial(n, k) > -150.0][:, None]
    log_density = (
        logsumexp(
            _log_binomial(n, k)
            - betaln(k / 2.0, (n - k) / 2.0)
            + (k - 1.0) * np.log(np.sin(t))
            + (n - k - 1.0) * np.log(np.cos(t)),
            axis=0,
        )
        if n > 1
        else np.full(t.shape, -np.inf)
    )
    scale = 2.0 * np.log(np.hypot(slope * np.cos(t), np.sin(t)))
    log_weight = np.concatenate([log_density + np.log(2.0 * step), [-n * LN_2] * 2])
    log_scale = np.concatenate([scale, [0.0, 2.0 * math.log(slope)]])
    kept = log_weight > math.log(NEGLIGIBLE)

    def draw(rng: np.random.Generator, size: int) -> Floats:
        on = rng.binomial(n, 0.5, size)
        return _chi_square(rng, on) + slope * slope * _chi_square(rng, n - on)

    log_weight = log_weight[kept] - logsumexp(log_weight[kept])
    return Mixture(
        np.full(int(kept.sum()), float(n)),
        log_scale[kept],
        log_weight,
        draw,
        draw_share=lambda rng, size: _share(rng, size, n, slope),
        width=n,
    )


def noncentral_factor(n: int, noncentrality: float) -> Mixture:
    """Return the law of χ²_n with a noncentrality: of χ²_{n+2J}, J ~ Poisson(noncentrality/2)."""
    from scipy.special import gammaln

    mean = noncentrality / 2.0
    spread = 20.0 * math.sqrt(mean) + 100.0
    j = np.arange(max(0.0, math.floor(mean - spread)), math.ceil(mean + spread))
    log_weight = j * math.log(mean) - mean - gammaln(j + 1.0)
    return Mixture(
        n + 2.0 * j,
        np.zeros(j.size),
        log_weight,
        lambda rng, size: rng.noncentral_chisquare(n, noncentrality, size),
    )
