"""Exact laws of the squared gradient ratio: products of independent mixtures of chi-squares."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import cached_property
from typing import overload

import numpy as np
from numpy.typing import ArrayLike

from vgsim._checks import (
    COUNTED,
    COUNTERS,
    DECADE,
    brief,
    checked_items,
    checked_numbers,
    require_memory,
    type_error,
    value_error,
)
from vgsim._domains import Choice, Number, checked_int
from vgsim._statistics.estimate import Floats, Scalar
from vgsim.theory._density import Density
from vgsim.theory._mixture import Mixture, linear_factor
from vgsim.typing import CountedEvent

__all__ = ["ProductLaw", "Sum"]


SAMPLE_BYTES = 64  # working memory per sample
_SHARE = Number("more than 0 and at most 1", lambda x: 0 < x <= 1)
_THETA = Number("a number from -1e200 to 1e200", lambda x: abs(x) <= 1e200)
_SCALE = Number("a number from -1e100 to 1e100", lambda x: abs(x) <= 1e100)
_EVENT = Choice(COUNTED)


class Sum:
    """X = log_scale + Σ ln S_l, a sum of independent terms.

    If n_in ≠ n_out, ln S_D is replaced by ln(S_D/χ²_{n_out}) + ln χ²_{n_in}. Here S_D is χ²_{n_out}
    with some of its squares multiplied by a squared slope, and S_D/χ²_{n_out} is independent of
    χ²_{n_out}.

    Attributes
    ----------
    factors : tuple of (Mixture, int)
        The laws of S_l and the number of times each occurs.
    log_scale : float
    ends : tuple of Mixture, or None
        χ²_{n_in} and χ²_{n_out} if n_in ≠ n_out.
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
        """The law of S_D, if n_in ≠ n_out."""
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


class ProductLaw:
    """The law of X = ln(‖G_0‖²/‖G_D‖²), if X is a sum of independent terms of known law.

    Returned by :func:`relu_law`, :func:`linear_law`, :func:`leaky_relu_law` and :func:`exact_law`.

    Attributes
    ----------
    mean, variance : float
        Mean and variance of X, a natural logarithm, given that the network is not dead. Divide the
        mean by 2 ln 10 and the variance by (2 ln 10)² for those of R = log10(‖G_0‖/‖G_D‖).
    dead_probability : float
        P(X = −∞).

    Notes
    -----
    The density of X is the convolution of those of the terms, on a grid. All terms are positive, so
    the relative error is about 1e-9 or less down to probabilities of 1e-45, in both tails.
    Probabilities below about 1e-55 are returned as 0. The grid is cached for later calls.

    References
    ----------
    Hanin and Nica, "Products of many large random matrices and gradients in deep neural networks",
    Communications in Mathematical Physics 376, 2020.

    Examples
    --------
    >>> from vgsim.theory import relu_law
    >>> law = relu_law(32, 100)
    >>> law
    <ProductLaw: 100 factors, mean -8.25402, variance 17.7498>
    >>> print(f"{law.probability('vanishing', 1e-5):.3e} {law.probability('exploding', 1e-5):.2e}")
    3.333e-04 8.90e-16
    """

    def __init__(
        self,
        factors: Iterable[tuple[Mixture, int]],
        log_scale: float = 0.0,
        n_in: int = 1,
        n_out: int = 1,
    ) -> None:
        """Make the law of X = log_scale + Σ ln S_l; `ends` as in `Sum`."""
        given = checked_items("factors", factors, "must be pairs of a Mixture and an int")
        for i, pair in enumerate(given):
            if not (isinstance(pair, tuple) and len(pair) == 2 and isinstance(pair[0], Mixture)):
                problem = f"must be a Mixture and an int, got {brief(pair)}"
                raise type_error("factors", problem, f"[{i}]")
        if not given:
            raise value_error("factors", "must be one or more, got none")
        counted = [(f, checked_int("factors", n, 1, COUNTERS - 1)) for f, n in given]
        n_in, n_out = (
            checked_int(name, n, 1, COUNTERS - 1) for name, n in (("n_in", n_in), ("n_out", n_out))
        )
        self._terms = Sum(tuple(counted), _SCALE.check("log_scale", log_scale), n_in, n_out)
        cumulants = self._terms.cumulants(0.0)
        self.mean: float = cumulants[1]
        self.variance: float = cumulants[2]
        log_alive = sum(count * math.log1p(-f.zero_probability) for f, count in self._terms.factors)
        self.dead_probability: float = abs(math.expm1(log_alive))

    @cached_property
    def _density(self) -> Density:
        """The density of X given that the network is not dead."""
        return self._terms.density()

    def __repr__(self) -> str:
        count = sum(count for _, count in self._terms.factors)
        return f"<ProductLaw: {count} factors, mean {self.mean:.6g}, variance {self.variance:.6g}>"

    def _tails(self, x: Floats) -> tuple[Floats, Floats]:
        """Return P(X <= x) and P(X > x)."""
        alive, dead = 1.0 - self.dead_probability, self.dead_probability
        below, above = self._density.tails(x)
        return alive * below + dead, alive * above

    @overload
    def cdf(self, x: Scalar) -> float: ...
    @overload
    def cdf(self, x: ArrayLike) -> Floats: ...
    def cdf(self, x: ArrayLike) -> float | Floats:
        """P(X <= x), X the natural logarithm of the SQUARED ratio; dead networks have X = −∞.

        Parameters
        ----------
        x : array_like of float

        Returns
        -------
        float, or float64 array of the shape of x

        Raises
        ------
        TypeError, ValueError
            If x is not an array of real numbers, or has a NaN.

        Examples
        --------
        >>> from vgsim.theory import linear_law
        >>> linear_law(100, 50).cdf([-1.0, 0.0, 1.0]).round(6)
        array([0.309107, 0.690285, 0.932981])
        """
        values = checked_numbers("x", x)
        return _like(values, self._tails(values.ravel())[0])

    @overload
    def sf(self, x: Scalar) -> float: ...
    @overload
    def sf(self, x: ArrayLike) -> Floats: ...
    def sf(self, x: ArrayLike) -> float | Floats:
        """P(X > x) = 1 − cdf(x), with full relative accuracy; see :meth:`cdf`."""
        values = checked_numbers("x", x)
        return _like(values, self._tails(values.ravel())[1])

    @overload
    def pdf(self, x: Scalar) -> float: ...
    @overload
    def pdf(self, x: ArrayLike) -> Floats: ...
    def pdf(self, x: ArrayLike) -> float | Floats:
        """Density of X at finite x; it integrates to 1 − dead_probability."""
        values = checked_numbers("x", x)
        flat = values.ravel()
        if not np.isfinite(flat).all():
            raise value_error("x", f"must be finite, got {brief(x)}", " of pdf")
        return _like(values, self._density.pdf(flat) * (1.0 - self.dead_probability))

    @overload
    def cdf_log10(self, ratio: Scalar) -> float: ...
    @overload
    def cdf_log10(self, ratio: ArrayLike) -> Floats: ...
    def cdf_log10(self, ratio: ArrayLike) -> float | Floats:
        """P(R <= ratio), R = log10(‖G_0‖/‖G_D‖) = X/(2 ln 10): the ratio of norms, in decades.

        Examples
        --------
        >>> from vgsim.theory import relu_law
        >>> f"{relu_law(100, 1000).cdf_log10(-5):.5f}"
        '0.62967'
        """
        return self.cdf(_natural(ratio))

    @overload
    def sf_log10(self, ratio: Scalar) -> float: ...
    @overload
    def sf_log10(self, ratio: ArrayLike) -> Floats: ...
    def sf_log10(self, ratio: ArrayLike) -> float | Floats:
        """P(R > ratio) = 1 − cdf_log10(ratio), with full relative accuracy."""
        return self.sf(_natural(ratio))

    def probability(self, event: CountedEvent = "vanishing", threshold: float = 1e-6) -> float:
        """Return the probability of an event of R = log10(‖G_0‖/‖G_D‖).

        Parameters
        ----------
        event : {"vanishing", "exploding", "healthy", "dead"}
            As in `Samples.probability`; dead networks count as vanishing.
        threshold : float, default 1e-6
            More than 0, at most 1.

        Returns
        -------
        float

        Raises
        ------
        TypeError, ValueError
            If an argument is of the wrong type or out of range.
        """
        event = _EVENT.check("event", event)
        threshold = _SHARE.check("threshold", threshold)
        if event == "dead":
            return self.dead_probability
        decades = math.log10(threshold)
        vanishing, exploding = float(self.cdf_log10(decades)), float(self.sf_log10(-decades))
        if event != "healthy":
            return vanishing if event == "vanishing" else exploding
        if vanishing < exploding:  # differences in the smaller tail lose no digits
            return float(self.cdf_log10(-decades)) - vanishing
        return float(self.sf_log10(decades)) - exploding

    @overload
    def quantile(self, q: Scalar) -> float: ...
    @overload
    def quantile(self, q: ArrayLike) -> Floats: ...
    def quantile(self, q: ArrayLike) -> float | Floats:
        """Return the x with P(X <= x) = q, 0 < q < 1; −inf for q up to dead_probability.

        Parameters
        ----------
        q : array_like of float

        Returns
        -------
        float, or float64 array of the shape of q

        Raises
        ------
        TypeError, ValueError
            If q is not a number or an array of numbers, or out of range.

        Examples
        --------
        >>> from vgsim.theory import relu_law
        >>> relu_law(100, 1000).quantile([0.1, 0.5]).round(4)
        array([-34.6639, -25.4099])
        """
        values = checked_numbers("q", q)
        if not ((values > 0) & (values < 1)).all():
            raise value_error("q", f"must be between 0 and 1, got {brief(q)}")
        flat, dead = values.ravel(), self.dead_probability
        found, alive = np.full(flat.shape, -np.inf), flat > dead
        below, above = flat[alive] - dead, 1.0 - flat[alive]
        found[alive] = self._density.quantile(below / (1.0 - dead), above / (1.0 - dead))
        return _like(values, found)

    def log_moment(self, theta: float) -> float:
        """Return ln E (‖G_0‖/‖G_D‖)^{2 theta}; the ratio of dead networks is 0.

        Raises
        ------
        TypeError, ValueError
            If theta is not a number, or the moment is infinite.

        Examples
        --------
        >>> from vgsim.theory import relu_law
        >>> print(f"{relu_law(100, 50).log_moment(2):.6f}")  # 50 ln (1 + 5/100)
        2.439508
        """
        edge = min([self._terms.edge, *(0.5 for f, _ in self._terms.factors if f.zero_probability)])
        theta = _THETA.check("theta", theta)
        if not theta > -edge:
            raise value_error("theta", f"must be more than {-edge:g}, got {theta!r}")
        return self._terms.cumulants(theta)[0] + math.log1p(-self.dead_probability)

    def moment(self, k: float) -> float:
        """Return E (‖G_0‖²/‖G_D‖²)^k; infinity if it exceeds the range of floats.

        Examples
        --------
        >>> from vgsim.theory import relu_law
        >>> round(relu_law(10, 3).moment(2), 10)  # (1 + 5/10)^3
        3.375
        """
        log = self.log_moment(k)
        return math.exp(log) if log < 709.0 else math.inf

    def sample(self, size: int, rng: np.random.Generator) -> Floats:
        """Draw independent samples of X.

        Parameters
        ----------
        size : int
        rng : numpy.random.Generator

        Returns
        -------
        float64 array, shape (size,)
            −inf for a dead network.

        Raises
        ------
        TypeError, ValueError
            If an argument is of the wrong type or out of range.
        """
        size = checked_int("size", size, 0, 2**31)
        if not isinstance(rng, np.random.Generator):
            raise type_error("rng", f"must be a numpy.random.Generator, got {brief(rng)}")
        require_memory(SAMPLE_BYTES * size, f"a draw of {size} samples", "draw fewer at a time")
        total = np.full(size, self._terms.log_scale)
        draws = {factor.draw: count for factor, count in self._terms.factors}
        if self._terms.ends:
            outer = self._terms.last
            assert outer.draw_share is not None
            draws[outer.draw] -= 1
            draws |= {outer.draw_share: 1, self._terms.ends[0].draw: 1}
        with np.errstate(divide="ignore"):
            for draw, count in draws.items():
                for _ in range(count):
                    total += np.log(draw(rng, size))
        return total


def _natural(ratio: ArrayLike) -> Floats:
    """Return X = 2 ln 10 · R of a ratio R in decades."""
    with np.errstate(over="ignore"):
        return np.asarray(DECADE * checked_numbers("ratio", ratio))


def _like(shaped: Floats, values: Floats) -> float | Floats:
    """Return the values in the shape of `shaped`, as a float if that is ()."""
    return float(values[0]) if shaped.ndim == 0 else values.reshape(shaped.shape)
