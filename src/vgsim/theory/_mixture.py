"""The exact factor of one layer to the squared gradient norm: a mixture of scaled chi-squares."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

__all__ = ["Mixture", "leaky_factor", "linear_factor", "noncentral_factor", "relu_factor"]

Floats = NDArray[np.float64]
Draw = Callable[[np.random.Generator, int], Floats]

NEGLIGIBLE = 1e-60  # components with smaller weights are left out
ALL = 10_000  # up to this number all components are used; above, 20 per standard deviation
BLOCK = 2**21  # array elements processed at once
LOWEST = -180.0  # least value of ln(S/χ²_n)
LN_2 = math.log(2.0)


@dataclass(frozen=True, eq=False)
class Mixture:
    """The law of S = v χ²_k given S > 0, where (k, ln v) is a random component.

    Attributes
    ----------
    dof, log_scale, log_weight : float64 array, shape (m,)
        k, ln v and the logarithm of the weight of each component.
    draw : callable
        ``draw(rng, size)`` returns samples of S, including zeros.
    zero_probability : float
        P(S = 0).
    draw_share : callable, optional
        Draws S/χ²_n, if S is χ²_n with some of its n squares multiplied by a squared slope. The
        ratio is independent of χ²_n.
    share : Share, optional
        The law of ln(S/χ²_n), if S is not χ²_n itself.
    width : int
        n.
    """

    dof: Floats
    log_scale: Floats
    log_weight: Floats
    draw: Draw
    zero_probability: float = 0.0
    draw_share: Draw | None = None
    share: Share | None = None
    width: int = 0

    @property
    def edge(self) -> float:
        """E S^θ is finite for θ > −edge."""
        return float(self.dof.min(initial=math.inf)) / 2.0

    def cumulants(self, theta: float) -> tuple[float, float, float]:
        """Return ln E S^θ and its first two derivatives with respect to θ."""
        from scipy.special import gammaln, polygamma, psi

        half = self.dof / 2.0
        moment = gammaln(half + theta) - gammaln(half) + theta * (self.log_scale + LN_2)
        terms = self.log_weight + moment
        top = terms.max()
        weight = np.exp(terms - top)
        total = weight.sum()
        weight /= total
        mean = psi(half + theta) + self.log_scale + LN_2
        tilted_mean = float(weight @ mean)
        variance = polygamma(1, half + theta) + (mean - tilted_mean) ** 2
        return float(top + math.log(total)), tilted_mean, float(weight @ variance)

    @property
    def narrowest(self) -> float:
        """The smallest variance of ln S within a component."""
        from scipy.special import polygamma

        return float(polygamma(1, self.dof.max() / 2.0))

    def log_density(self, x: Floats) -> Floats:
        """Return the logarithm of the density of ln S."""
        half = self.dof / 2.0  # expanded about the mode ln k of ln χ²_k, without cancellation
        start = 0.5 * np.log(half / (2.0 * math.pi)) - stirling(half) + self.log_weight
        centre = self.log_scale + np.log(self.dof)
        out = np.empty(x.shape)
        rows = max(1, BLOCK // half.size)
        for first in range(0, x.size, rows):
            u = np.minimum(x[first : first + rows, None] - centre, 700.0)
            terms = start + half * (u - np.expm1(u))
            top = terms.max(axis=1)
            out[first : first + rows] = top + np.log(np.exp(terms - top[:, None]).sum(axis=1))
        return out


def _chi_square(rng: np.random.Generator, dof: NDArray[np.int64]) -> Floats:
    """Draw χ² variates, 0 where dof is 0."""
    return 2.0 * rng.standard_gamma(dof / 2.0)


# Draws of a law: `Mixture` gives generator and size. Bound by `partial`, which can be pickled.


def _full(n: int, rng: np.random.Generator, size: int) -> Floats:
    """Draw χ²_n."""
    return _chi_square(rng, np.full(size, n))


def _whole(rng: np.random.Generator, size: int) -> Floats:
    return np.ones(size)


def _thinned(n: int, p: float, rng: np.random.Generator, size: int) -> Floats:
    """Draw χ²_K, K ~ Binomial(n, p)."""
    return _chi_square(rng, rng.binomial(n, p, size))


def _leaky(n: int, slope: float, rng: np.random.Generator, size: int) -> Floats:
    """Draw χ²_K + slope² χ²_{n−K}, K ~ Binomial(n, ½)."""
    on = rng.binomial(n, 0.5, size)
    return _chi_square(rng, on) + slope * slope * _chi_square(rng, n - on)


def _noncentral(n: int, noncentrality: float, rng: np.random.Generator, size: int) -> Floats:
    return rng.noncentral_chisquare(n, noncentrality, size)


def _share(n: int, slope: float, p: float, rng: np.random.Generator, size: int) -> Floats:
    """Draw (χ²_K + slope² χ²_{n−K})/(χ²_K + χ²_{n−K}), K ~ Binomial(n, p)."""
    k = rng.binomial(n, p, size)
    on, off = _chi_square(rng, k), _chi_square(rng, n - k)
    return np.asarray((on + slope * slope * off) / (on + off))


def linear_factor(n: int) -> Mixture:
    """Return the law of χ²_n."""
    one = np.zeros(1)
    return Mixture(
        np.array([float(n)]),
        one,
        one,
        partial(_full, n),
        draw_share=_whole,
        width=n,
    )


def stirling(a: Floats) -> Floats:
    """Return ln Γ(a) less Stirling's a ln a − a + ½ ln(2π/a), for a > 0."""
    from scipy.special import gammaln

    series = (1.0 / 12.0 - (1.0 / 360.0 - (1.0 / 1260.0) / a**2) / a**2) / a
    direct = gammaln(a) - a * (np.log(a) - 1.0) - 0.5 * np.log(2.0 * math.pi / a)
    return np.asarray(np.where(a > 100.0, series, direct))


def _log_binomial(n: int, k: Floats, p: float = 0.5) -> Floats:
    """Return ln P(K = k) for K ~ Binomial(n, p), without large terms that cancel."""
    inside = np.clip(k, 1.0, n - 1.0) if n > 1 else k
    rest = n - inside
    excess = inside - n * p
    with np.errstate(divide="ignore", invalid="ignore"):
        entropy = inside * np.log1p(excess / (n * p)) + rest * np.log1p(-excess / (n * (1.0 - p)))
        corrections = stirling(np.array(float(n))) - stirling(inside) - stirling(rest)
        body = 0.5 * np.log(n / (2.0 * math.pi * inside * rest)) - entropy + corrections
    ends = np.where(k == 0, n * math.log1p(-p), n * math.log(p))
    return np.asarray(np.where((k == 0) | (k == n), ends, body))


def _few(centre: float, std: float, low: float, high: float) -> tuple[Floats, float]:
    """Return the integers from low to high, or a spaced subset near the centre, and the spacing.

    For a summand as smooth as a normal law, a sum at steps of a tenth of a standard deviation has
    an error of about 1e-80.
    """
    if high - low <= ALL:
        return np.arange(low, high + 1.0), 1.0
    low, high = max(low, math.floor(centre - 40.0 * std)), min(high, math.ceil(centre + 40.0 * std))
    spacing = max(1.0, math.floor(std / 20.0))
    return np.arange(low, high + 1.0, spacing), spacing


def relu_factor(n: int, p: float = 0.5) -> Mixture:
    """Return the law of χ²_K, K ~ Binomial(n, p): p is the probability that a unit passes."""
    k, spacing = _few(n * p, math.sqrt(n * p * (1.0 - p)), 1.0, n)
    log_weight = _log_binomial(n, k, p) + math.log(spacing)
    frequent = log_weight > math.log(NEGLIGIBLE)
    return Mixture(
        k[frequent],
        np.zeros(int(frequent.sum())),
        _normalised(log_weight[frequent]),
        partial(_thinned, n, p),
        zero_probability=(1.0 - p) ** n,
        draw_share=partial(_share, n, 0.0, p),
        share=Share(n, 0.0, p),
        width=n,
    )


def _normalised(log_weight: Floats) -> Floats:
    """Return the logarithms of the weights, normalised to sum 1."""
    from scipy.special import logsumexp

    return np.asarray(log_weight - logsumexp(log_weight))


@dataclass(frozen=True, eq=False)
class Share:
    """The law of ln V, V = (χ²_K + slope² χ²_{n−K})/χ²_n, K ~ Binomial(n, p), given V > 0.

    V = slope² + (1 − slope²) B with B ~ Beta(K/2, (n−K)/2). With B = sin² t the density in t is
    analytic; Gauss-Legendre nodes in t are the components.
    """

    n: int
    slope: float
    p: float = 0.5

    def log_density(self, t: Floats) -> Floats:
        """Return the logarithm of the density of t, without the atoms at its ends."""
        from scipy.special import betaln, logsumexp

        n, p, out = self.n, self.p, np.full(t.shape, -np.inf)
        if n == 1:
            return out
        k, spacing = _few(n * p, math.sqrt(n * p * (1.0 - p)), 1.0, n - 1.0)
        k = k[_log_binomial(n, k, p) > -150.0][:, None]
        start = _log_binomial(n, k, p) - betaln(k / 2.0, (n - k) / 2.0) + math.log(2.0 * spacing)
        columns = max(1, BLOCK // k.size)
        for first in range(0, t.size, columns):
            part = t[first : first + columns]
            sine, cosine = np.log(np.sin(part)), np.log(np.cos(part))
            out[first : first + columns] = logsumexp(
                start + (k - 1.0) * sine + (n - k - 1.0) * cosine, axis=0
            )
        return out

    def components(self, std: float, lowest: float = LOWEST) -> tuple[Floats, Floats]:
        """Return ln V and log weights, for means of functions of ln V smooth on the scale std."""
        n, slope, p = self.n, self.slope, self.p
        nodes, gauss = np.polynomial.legendre.leggauss(16)
        most = math.pi / 2.0
        middle, reach = math.atan(math.sqrt(p / (1.0 - p))), 40.0 / math.sqrt(n)
        # ln V = 2 ln hypot(slope cos t, sin t) varies on another scale near t = 0, or π/2
        small, large = sorted((slope, 1.0))
        ratio = small / large
        least = max(ratio, math.exp(lowest / 2.0))
        low, high = max(least if slope == 0 else 0.0, middle - reach), min(most, middle + reach)
        panels = math.ceil((high - low) / min(0.2, 1.0 / math.sqrt(n)))
        even = np.linspace(low, high, panels + 1)
        depth = 2.0 * math.log(least)
        v = np.exp(np.linspace(depth, 0.0, math.ceil(-depth / (5.0 * std)) + 1)[1:-1])
        near = np.arcsin(np.sqrt(np.maximum(v - ratio * ratio, 0.0) / (1.0 - ratio * ratio)))
        near = np.concatenate([near, least * 2.0 ** np.arange(0.0, 140.0)])
        near = near if slope < 1.0 else most - near
        edges = np.unique(np.concatenate([even, near[(near > low) & (near < high)]]))
        half = np.diff(edges)[:, None] / 2.0
        t = (edges[:-1, None] + half * (1.0 + nodes)).ravel()
        place = np.append(2.0 * np.log(np.hypot(slope * np.cos(t), np.sin(t))), 0.0)
        log_weight = self.log_density(t) + np.log((half * gauss).ravel())
        log_weight = np.append(log_weight, n * math.log(p))
        if slope > 0:
            place = np.append(place, 2.0 * math.log(slope))
            log_weight = np.append(log_weight, n * math.log1p(-p))
        kept = log_weight > math.log(NEGLIGIBLE)
        return place[kept], log_weight[kept]

    def split(self, std: float, step: float) -> tuple[Floats, Floats, int, Floats]:
        """Return components for ln V near 0, and `first` and probabilities at (first + i) step.

        For slope 0 only, where ln V has no lower bound. A smooth cut-off separates the two parts.
        """
        from scipy.special import log_ndtr

        scale = max(1.0, 4.0 * step)
        border = -8.0 * scale

        def far(u: Floats, side: float) -> Floats:
            """Return the logarithm of the cut-off of the far part, for side −1 of the near part."""
            return np.asarray(log_ndtr(side * (border - u) / scale))

        if border - 12.0 * scale < LOWEST:
            return *self.components(std), 0, np.zeros(1)
        place, log_weight = self.components(std, border - 12.0 * scale)
        log_weight = log_weight + far(place, -1.0)
        first = math.floor(LOWEST / step)
        end = math.floor(min(0.0, border + 12.0 * scale) / step)
        u = step * np.arange(first, end, dtype=np.float64)
        t = np.arcsin(np.exp(u / 2.0))
        log_density = self.log_density(t) + np.log(np.tan(t) / 2.0)  # dt/du
        return place, log_weight, first, np.exp(log_density + far(u, 1.0)) * step


def leaky_factor(n: int, slope: float) -> Mixture:
    """Return the law of χ²_K + slope² χ²_{n-K}, K ~ Binomial(n, ½), slope > 0."""
    share = Share(n, slope)
    log_scale, log_weight = share.components(0.4 / math.sqrt(n))

    return Mixture(
        np.full(log_scale.size, float(n)),
        log_scale,
        _normalised(log_weight),
        partial(_leaky, n, slope),
        draw_share=partial(_share, n, slope, 0.5),
        share=share,
        width=n,
    )


def noncentral_factor(n: int, noncentrality: float) -> Mixture:
    """Return the law of noncentral χ²_n: that of χ²_{n+2J}, J ~ Poisson(noncentrality/2)."""
    from scipy.special import gammaln

    mean = noncentrality / 2.0
    spread = 20.0 * math.sqrt(mean) + 100.0
    low, high = max(0.0, math.floor(mean - spread)), math.ceil(mean + spread)
    j, spacing = _few(mean, math.sqrt(mean), low, high)
    log_weight = j * math.log(mean) - mean - gammaln(j + 1.0) + math.log(spacing)
    return Mixture(
        n + 2.0 * j,
        np.zeros(j.size),
        _normalised(log_weight),
        partial(_noncentral, n, noncentrality),
    )
