"""Exact laws of the squared gradient ratio: products of independent mixtures of chi-squares."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vgsim._description import COUNTERS, checked_int
from vgsim.theory._inversion import Ladder, Sum
from vgsim.theory._mixture import Mixture, leaky_factor, linear_factor, relu_factor

__all__ = ["ProductLaw", "leaky_relu_law", "linear_law", "relu_law"]

Floats = NDArray[np.float64]

DECADE = 2.0 * math.log(10.0)  # a decade of a norm, in the logarithm of its square


class ProductLaw:
    """The law of X = ln(‖G_0‖²/‖G_D‖²) where it is a sum of independent terms of known law.

    Made by :func:`relu_law`, :func:`linear_law`, :func:`leaky_relu_law` and :func:`exact_law`.

    Attributes
    ----------
    mean, variance : float
        Of X in natural logarithms, given that the network is not dead. Divide the mean by 2 ln 10
        and the variance by (2 ln 10)² for those of R = log10(‖G_0‖/‖G_D‖).
    dead_probability : float
        P(X = −∞).
    terms : Sum
        The terms of X.

    Notes
    -----
    E e^{θX} is known in closed form. Probabilities are its inverse Laplace transform along a line
    through (nearly) the saddle point of each x, by the trapezoidal rule, which converges
    exponentially: the relative error is about 1e-9 down to probabilities of 1e-30, in both tails.
    Probabilities below 1e-49 come out as 0. Contours are kept, so that later calls are fast.

    References
    ----------
    Hanin and Nica, "Products of many large random matrices and gradients in deep neural networks",
    Communications in Mathematical Physics 376, 2020. Lugannani and Rice, "Saddle point
    approximation for the distribution of the sum of independent random variables", Advances in
    Applied Probability 12, 1980.

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
        """Make the law of X = log_scale + Σ ln S_l, with unequal ends as in `Sum`."""
        self.terms = Sum(tuple(factors), log_scale, n_in, n_out)
        _, self.mean, self.variance = self.terms.cumulants(0.0)
        log_alive = sum(count * math.log1p(-f.zero_probability) for f, count in self.terms.factors)
        self.dead_probability = abs(math.expm1(log_alive))
        self._ladders = {side: Ladder(self.terms, side) for side in (-1, 1)}

    def __repr__(self) -> str:
        count = sum(count for _, count in self.terms.factors)
        return f"<ProductLaw: {count} factors, mean {self.mean:.6g}, variance {self.variance:.6g}>"

    def _tails(self, x: Floats) -> tuple[Floats, Floats]:
        """Return P(X <= x) and P(X > x)."""
        below, above = np.full(x.shape, np.nan), np.full(x.shape, np.nan)
        alive = 1.0 - self.dead_probability
        low, high = np.isfinite(x) & (x < self.mean), np.isfinite(x) & (x >= self.mean)
        below[low] = alive * self._ladders[-1].integral(x[low]) + self.dead_probability
        above[low] = 1.0 - below[low]
        above[high] = alive * self._ladders[1].integral(x[high])
        below[high] = 1.0 - above[high]
        for infinite, value in ((np.isneginf(x), self.dead_probability), (np.isposinf(x), 1.0)):
            below[infinite], above[infinite] = value, 1.0 - value
        return below, above

    def cdf(self, x: ArrayLike) -> Floats | float:
        """P(X <= x), X the natural logarithm of the SQUARED ratio; dead networks count.

        Parameters
        ----------
        x : array_like of float

        Returns
        -------
        float, or float64 array of the shape of x

        Examples
        --------
        >>> from vgsim.theory import linear_law
        >>> linear_law(100, 50).cdf([-1.0, 0.0, 1.0]).round(6)
        array([0.309107, 0.690285, 0.932981])
        """
        values = np.asarray(x, dtype=np.float64)
        low = np.maximum(self._tails(values.ravel())[0], self.dead_probability)
        return _like(values, low)

    def sf(self, x: ArrayLike) -> Floats | float:
        """P(X > x) = 1 − cdf(x), accurate where it is small; see :meth:`cdf`."""
        values = np.asarray(x, dtype=np.float64)
        return _like(values, self._tails(values.ravel())[1])

    def pdf(self, x: ArrayLike) -> Floats | float:
        """Density of X at finite x; it integrates to 1 − dead_probability."""
        values = np.asarray(x, dtype=np.float64)
        flat = values.ravel()
        if not np.isfinite(flat).all():
            raise ValueError(f"x of pdf must be finite, got {x!r}")
        out, low = np.empty(flat.shape), flat < self.mean
        out[low] = self._ladders[-1].integral(flat[low], density=True)
        out[~low] = self._ladders[1].integral(flat[~low], density=True)
        return _like(values, out * (1.0 - self.dead_probability))

    def cdf_log10(self, ratio: ArrayLike) -> Floats | float:
        """P(R <= ratio), R = log10(‖G_0‖/‖G_D‖) = X/(2 ln 10): the ratio of norms, in decades.

        Examples
        --------
        >>> from vgsim.theory import relu_law
        >>> f"{relu_law(100, 1000).cdf_log10(-5):.5f}"
        '0.62967'
        """
        return self.cdf(DECADE * np.asarray(ratio, dtype=np.float64))

    def sf_log10(self, ratio: ArrayLike) -> Floats | float:
        """P(R > ratio) = 1 − cdf_log10(ratio), accurate where it is small."""
        return self.sf(DECADE * np.asarray(ratio, dtype=np.float64))

    def probability(self, event: str = "vanishing", threshold: float = 1e-6) -> float:
        """Return the probability that R < log10(threshold), or > −log10(threshold).

        Parameters
        ----------
        event : {"vanishing", "exploding", "healthy", "dead"}
            As in `Samples.probability`; a dead network has vanished too.
        threshold : float, default 1e-6
            More than 0, at most 1.

        Returns
        -------
        float

        Raises
        ------
        ValueError
            If an argument is out of range.
        """
        if event not in ("vanishing", "exploding", "healthy", "dead"):
            raise ValueError(
                "event of an exact law must be 'vanishing', 'exploding', 'healthy' or 'dead', "
                f"got {event!r}"
            )
        if not 0 < threshold <= 1:
            raise ValueError(f"threshold must be more than 0 and at most 1, got {threshold!r}")
        if event == "dead":
            return self.dead_probability
        decades = math.log10(threshold)
        vanishing, exploding = float(self.cdf_log10(decades)), float(self.sf_log10(-decades))
        rest = 1.0 - vanishing - exploding
        return {"vanishing": vanishing, "exploding": exploding, "healthy": rest}[event]

    def quantile(self, q: float) -> float:
        """Return the x with P(X <= x) = q, 0 < q < 1; −inf up to the dead_probability.

        Examples
        --------
        >>> from vgsim.theory import relu_law
        >>> round(relu_law(100, 1000).quantile(0.5), 4)
        -25.4099
        """
        from scipy.optimize import brentq

        if not 0 < q < 1:
            raise ValueError(f"q must be between 0 and 1, got {q!r}")
        if q <= self.dead_probability:
            return -math.inf
        tail = self.cdf if q < 0.5 else self.sf
        wanted = q if q < 0.5 else 1.0 - q
        step = math.sqrt(self.variance)
        low = high = self.mean
        while float(self.cdf(low)) > q and step < 1e6:
            low, step = low - step, 2.0 * step
        step = math.sqrt(self.variance)
        while float(self.sf(high)) > 1.0 - q and step < 1e6:
            high, step = high + step, 2.0 * step
        return float(brentq(lambda x: float(tail(x)) - wanted, low, high, xtol=1e-12))

    def log_moment(self, theta: float) -> float:
        """Return ln E (‖G_0‖/‖G_D‖)^{2 theta}, a dead network counting as 0.

        Raises
        ------
        ValueError
            If the moment is infinite.

        Examples
        --------
        >>> from vgsim.theory import relu_law
        >>> print(f"{relu_law(100, 50).log_moment(2):.6f}")  # 50 ln (1 + 5/100)
        2.439508
        """
        edge = min([self.terms.edge, *(0.5 for f, _ in self.terms.factors if f.zero_probability)])
        if not theta > -edge:
            raise ValueError(f"theta must be more than {-edge:g}, got {theta!r}")
        return self.terms.cumulants(theta)[0] + math.log1p(-self.dead_probability)

    def moment(self, k: float) -> float:
        """Return E (‖G_0‖²/‖G_D‖²)^k; infinite past the range of floats.

        Examples
        --------
        >>> from vgsim.theory import relu_law
        >>> round(relu_law(10, 3).moment(2), 10)  # (1 + 5/10)^3
        3.375
        """
        log = self.log_moment(k)
        return math.exp(log) if log < 709.0 else math.inf

    def sample(self, size: int, rng: np.random.Generator) -> Floats:
        """Draw X independently.

        Parameters
        ----------
        size : int
        rng : numpy.random.Generator

        Returns
        -------
        float64 array, shape (size,)
            −inf for a dead network.
        """
        total = np.full(size, self.terms.log_scale)
        draws = [factor.draw for factor, count in self.terms.factors for _ in range(count)]
        if self.terms.ends:
            first, last = self.terms.ends
            outer = next(f for f, _ in self.terms.factors if f.width == last.width)
            assert outer.draw_share is not None
            draws.remove(outer.draw)
            draws += [outer.draw_share, first.draw]
        with np.errstate(divide="ignore"):
            for draw in draws:
                total += np.log(draw(rng, size))
        return total


def _like(shaped: Floats, values: Floats) -> Floats | float:
    """Return the values in a shape, or as a float if it is ()."""
    return float(values[0]) if shaped.ndim == 0 else values.reshape(shaped.shape)


def layered_law(
    widths: Sequence[int], factor: Callable[[int], Mixture], log_scale: float
) -> ProductLaw:
    """Return the law of a network of independent layers whose factors have these widths."""
    counts = Counter(widths[1:])
    factors = [(factor(n), count) for n, count in counts.items()]
    return ProductLaw(factors, log_scale, widths[0], widths[-1])


def _checked_widths(width: int | Sequence[int], depth: int | None) -> tuple[int, ...]:
    """Return n_0 … n_D."""
    if isinstance(width, Sequence):
        widths = tuple(checked_int(f"width[{i}]", n, 1, COUNTERS - 1) for i, n in enumerate(width))
        if len(widths) < 2 or depth not in (None, len(widths) - 1):
            raise ValueError(
                "width must be an int, or n_0 … n_D with depth D (or none), got "
                f"{len(widths)} widths and depth={depth!r}"
            )
        return widths
    if depth is None:
        raise ValueError("depth must be given where width is an int, got None")
    depth = checked_int("depth", depth, 1, COUNTERS - 1)
    return (checked_int("width", width, 1, COUNTERS - 1),) * (depth + 1)


def _critical(widths: Sequence[int], power: float) -> float:
    """Return Σ ln s_l² of weights of variance power/n_{l-1}."""
    return float(sum(count * math.log(power / n) for n, count in Counter(widths[:-1]).items()))


def relu_law(width: int | Sequence[int], depth: int | None = None) -> ProductLaw:
    """Return the exact law of a ReLU network with ``he_normal`` weights.

    X = Σ_l ln[(2/n) χ²_{K_l}], the K_l ~ Binomial(n, ½) independent: for a batch of one, normal
    cotangents and biases of any symmetric law. It is also the law of ln ‖J u‖², u a unit vector.

    Parameters
    ----------
    width : int or sequence of int
        Units of every layer, or the depth + 1 widths n_0 … n_D.
    depth : int
        Number of layers D; may be left out with a sequence.

    Returns
    -------
    ProductLaw

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type or out of range.

    Notes
    -----
    Every layer multiplies the mean square by 1 and adds a variance of about 5/n, so X is nearly
    normal with mean −½ Σ 5/n_l and variance Σ 5/n_l (Hanin and Nica 2020).

    References
    ----------
    Hanin and Nica, "Products of many large random matrices and gradients in deep neural networks",
    Communications in Mathematical Physics 376, 2020 (arXiv 2018). Lu, Shin, Su and Karniadakis,
    "Dying ReLU and initialization", 2019.

    Examples
    --------
    >>> from vgsim.theory import relu_law
    >>> f"{relu_law(8, 20).dead_probability:.5f}"
    '0.07529'
    """
    widths = _checked_widths(width, depth)
    return layered_law(widths, relu_factor, _critical(widths, 2.0))


def linear_law(width: int | Sequence[int], depth: int | None = None) -> ProductLaw:
    """Return the exact law of a linear network with ``lecun_normal`` weights, Σ_l ln(χ²_n/n).

    Parameters
    ----------
    width, depth
        As in :func:`relu_law`.

    Returns
    -------
    ProductLaw

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type or out of range.

    Examples
    --------
    >>> from vgsim.theory import linear_law
    >>> law = linear_law(100, 1)
    >>> f"{law.mean:.7f} {law.variance:.7f}"
    '-0.0100333 0.0202013'
    """
    widths = _checked_widths(width, depth)
    return layered_law(widths, linear_factor, _critical(widths, 1.0))


def leaky_relu_law(
    width: int | Sequence[int], depth: int | None = None, *, slope: float = 0.01
) -> ProductLaw:
    """Return the exact law of a leaky ReLU network with weights of variance 2/((1 + slope²) n).

    X = Σ_l ln[(χ²_K + slope² χ²_{n−K}) 2/((1 + slope²) n)] with K ~ Binomial(n, ½).

    Parameters
    ----------
    width, depth
        As in :func:`relu_law`.
    slope : float, default 0.01
        More than 0, at most 1e6.

    Returns
    -------
    ProductLaw

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type or out of range.

    Notes
    -----
    A factor is χ²_n times an independent number between slope² and 1 whose density is a mixture of
    beta densities; Gauss-Legendre quadrature over it is good to some 1e-12.

    Examples
    --------
    >>> from vgsim.theory import leaky_relu_law
    >>> law = leaky_relu_law(100, 1000, slope=0.25)
    >>> f"{law.mean:.4f} {law.variance:.4f}"
    '-21.8860 44.4671'
    """
    if not 1e-6 <= slope <= 1e6:
        raise ValueError(f"slope must be from 1e-6 to 1e6, got {slope!r}")
    widths = _checked_widths(width, depth)
    scale = _critical(widths, 2.0 / (1.0 + slope * slope))
    return layered_law(widths, piecewise_linear(slope), scale)


def piecewise_linear(slope: float) -> Callable[[int], Mixture]:
    """Return the factor of slope 1 above 0 and `slope` below, by width."""
    if slope == 0:
        return relu_factor
    if slope == 1:
        return linear_factor
    return lambda n: leaky_factor(n, slope)
