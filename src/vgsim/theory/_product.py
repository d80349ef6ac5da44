"""Exact laws of the squared gradient ratio: products of independent mixtures of chi-squares."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vgsim._checks import COUNTERS, DECADE, RELATIVE, Number, checked_int
from vgsim.theory._density import Density
from vgsim.theory._mixture import Mixture, leaky_factor, linear_factor, relu_factor
from vgsim.theory._sum import Sum

__all__ = ["ProductLaw", "leaky_relu_law", "linear_law", "relu_law"]

Floats = NDArray[np.float64]


_SHARE = Number("more than 0 and at most 1", lambda x: 0 < x <= 1)
_THETA = Number("a finite number", lambda x: True)
_SLOPE = Number("0, or from 1e-6 to 1e6", lambda x: x == 0 or 1e-6 <= x <= 1e6)


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
    The density of X is a convolution of those of the terms, on a grid; all that is added is
    positive, so the relative error is some 1e-9 or less down to probabilities of 1e-45, in both
    tails. Probabilities below some 1e-55 come out as 0. The grid is kept, for later calls.

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
        """Make the law of X = log_scale + Σ ln S_l, with unequal ends as in `Sum`."""
        self.terms = Sum(tuple(factors), log_scale, n_in, n_out)
        _, self.mean, self.variance = self.terms.cumulants(0.0)
        log_alive = sum(count * math.log1p(-f.zero_probability) for f, count in self.terms.factors)
        self.dead_probability = abs(math.expm1(log_alive))

    @cached_property
    def _density(self) -> Density:
        """The density of X given that the network is not dead."""
        return self.terms.density()

    def __repr__(self) -> str:
        count = sum(count for _, count in self.terms.factors)
        return f"<ProductLaw: {count} factors, mean {self.mean:.6g}, variance {self.variance:.6g}>"

    def _tails(self, x: Floats) -> tuple[Floats, Floats]:
        """Return P(X <= x) and P(X > x)."""
        alive, dead = 1.0 - self.dead_probability, self.dead_probability
        below, above = self._density.tails(x)
        return alive * below + dead, alive * above

    def cdf(self, x: ArrayLike) -> Floats | float:
        """P(X <= x), X the natural logarithm of the SQUARED ratio; dead networks count.

        Parameters
        ----------
        x : array_like of float

        Returns
        -------
        float, or float64 array of the shape of x

        Raises
        ------
        TypeError, ValueError
            If x is not of real numbers, or has a nan.

        Examples
        --------
        >>> from vgsim.theory import linear_law
        >>> linear_law(100, 50).cdf([-1.0, 0.0, 1.0]).round(6)
        array([0.309107, 0.690285, 0.932981])
        """
        values = _numbers("x", x)
        return _like(values, self._tails(values.ravel())[0])

    def sf(self, x: ArrayLike) -> Floats | float:
        """P(X > x) = 1 − cdf(x), accurate where it is small; see :meth:`cdf`."""
        values = _numbers("x", x)
        return _like(values, self._tails(values.ravel())[1])

    def pdf(self, x: ArrayLike) -> Floats | float:
        """Density of X at finite x; it integrates to 1 − dead_probability."""
        values = _numbers("x", x)
        flat = values.ravel()
        if not np.isfinite(flat).all():
            raise ValueError(f"x of pdf must be finite, got {x!r}")
        return _like(values, self._density.pdf(flat) * (1.0 - self.dead_probability))

    def cdf_log10(self, ratio: ArrayLike) -> Floats | float:
        """P(R <= ratio), R = log10(‖G_0‖/‖G_D‖) = X/(2 ln 10): the ratio of norms, in decades.

        Examples
        --------
        >>> from vgsim.theory import relu_law
        >>> f"{relu_law(100, 1000).cdf_log10(-5):.5f}"
        '0.62967'
        """
        return self.cdf(DECADE * _numbers("ratio", ratio))

    def sf_log10(self, ratio: ArrayLike) -> Floats | float:
        """P(R > ratio) = 1 − cdf_log10(ratio), accurate where it is small."""
        return self.sf(DECADE * _numbers("ratio", ratio))

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
        TypeError, ValueError
            If an argument is of the wrong type or out of range.
        """
        if event not in (*RELATIVE, "dead"):
            raise ValueError(
                "event of an exact law must be 'vanishing', 'exploding', 'healthy' or 'dead', "
                f"got {event!r}"
            )
        threshold = _SHARE.check("threshold", threshold)
        if event == "dead":
            return self.dead_probability
        decades = math.log10(threshold)
        vanishing, exploding = float(self.cdf_log10(decades)), float(self.sf_log10(-decades))
        rest = 1.0 - vanishing - exploding
        return {"vanishing": vanishing, "exploding": exploding, "healthy": rest}[event]

    def quantile(self, q: ArrayLike) -> Floats | float:
        """Return the x with P(X <= x) = q, 0 < q < 1; −inf up to the dead_probability.

        Parameters
        ----------
        q : array_like of float

        Returns
        -------
        float, or float64 array of the shape of q

        Raises
        ------
        TypeError, ValueError
            If q is not of real numbers, or one is out of range.

        Examples
        --------
        >>> from vgsim.theory import relu_law
        >>> relu_law(100, 1000).quantile([0.1, 0.5]).round(4)
        array([-34.6639, -25.4099])
        """
        values = _numbers("q", q)
        if not ((values > 0) & (values < 1)).all():
            raise ValueError(f"q must be between 0 and 1, got {q!r}")
        return _like(values, np.array([self._quantile(float(p)) for p in values.flat]))

    def _quantile(self, q: float) -> float:
        """Return one quantile."""
        if q <= self.dead_probability:
            return -math.inf
        alive = 1.0 - self.dead_probability
        return self._density.quantile((q - self.dead_probability) / alive, (1.0 - q) / alive)

    def log_moment(self, theta: float) -> float:
        """Return ln E (‖G_0‖/‖G_D‖)^{2 theta}, a dead network counting as 0.

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
        edge = min([self.terms.edge, *(0.5 for f, _ in self.terms.factors if f.zero_probability)])
        theta = _THETA.check("theta", theta)
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

        Raises
        ------
        TypeError, ValueError
            If an argument is of the wrong type or out of range.
        """
        size, rng = checked_int("size", size, 0, 2**31), checked_generator(rng)
        total = np.full(size, self.terms.log_scale)
        draws = [factor.draw for factor, count in self.terms.factors for _ in range(count)]
        if self.terms.ends:
            outer = self.terms.last
            assert outer.draw_share is not None
            draws.remove(outer.draw)
            draws += [outer.draw_share, self.terms.ends[0].draw]
        with np.errstate(divide="ignore"):
            for draw in draws:
                total += np.log(draw(rng, size))
        return total


def checked_generator(rng: object) -> np.random.Generator:
    """Return `rng` if it is a generator of NumPy's."""
    if not isinstance(rng, np.random.Generator):
        raise TypeError(f"rng must be a numpy.random.Generator, got {rng!r}")
    return rng


def _numbers(argument: str, values: ArrayLike) -> Floats:
    """Return an array of real numbers, maybe infinite ones."""
    array = np.asarray(values)
    if array.dtype.kind not in "iuf" and array.size:
        raise TypeError(f"{argument} must be a real number, or an array of them, got {values!r}")
    if array.size and np.isnan(array).any():
        raise ValueError(f"{argument} must not be nan, got {values!r}")
    return array.astype(np.float64)


def _like(shaped: Floats, values: Floats) -> Floats | float:
    """Return the values in a shape, or as a float if it is ()."""
    return float(values[0]) if shaped.ndim == 0 else values.reshape(shaped.shape)


@dataclass(frozen=True)
class Widths:
    """n_0, n_D, and how many of n_1 … n_D there are of each."""

    first: int
    last: int
    counts: Mapping[int, int]

    @classmethod
    def of(cls, widths: Sequence[int]) -> Widths:
        """Return those of n_0 … n_D."""
        return cls(widths[0], widths[-1], Counter(widths[1:]))

    @classmethod
    def checked(cls, width: int | Sequence[int], depth: int | None) -> Widths:
        """Return those that the arguments of a law mean."""
        most = COUNTERS - 1
        if isinstance(width, Sequence):
            widths = [checked_int(f"width[{i}]", n, 1, most) for i, n in enumerate(width)]
            if len(widths) < 2 or depth not in (None, len(widths) - 1):
                raise ValueError(
                    "width must be an int, or n_0 … n_D with depth D (or none), got "
                    f"{len(widths)} widths and depth={depth!r}"
                )
            return cls.of(widths)
        width = checked_int("width", width, 1, most)
        if depth is None:
            raise ValueError("depth must be given where width is an int, got None")
        return cls(width, width, {width: checked_int("depth", depth, 1, most)})

    def critical(self, power: float) -> float:
        """Return Σ ln s_l² of weights of variance power/n_{l-1}."""
        total = sum(count * math.log(power / n) for n, count in self.counts.items())
        return total + math.log(self.last / self.first)


def layered_law(widths: Widths, factor: Callable[[int], Mixture], log_scale: float) -> ProductLaw:
    """Return the law of a network of independent layers whose factors have these widths."""
    factors = [(factor(n), count) for n, count in widths.counts.items()]
    return ProductLaw(factors, log_scale, widths.first, widths.last)


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
    widths = Widths.checked(width, depth)
    return layered_law(widths, relu_factor, widths.critical(2.0))


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
    widths = Widths.checked(width, depth)
    return layered_law(widths, linear_factor, widths.critical(1.0))


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
        0 (that is ReLU), or from 1e-6 to 1e6.

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
    slope = _SLOPE.check("slope", slope)
    widths = Widths.checked(width, depth)
    scale = widths.critical(2.0 / (1.0 + slope * slope))
    return layered_law(widths, piecewise_linear(slope), scale)


def piecewise_linear(slope: float) -> Callable[[int], Mixture]:
    """Return the factor of slope 1 above 0 and `slope` below, by width."""
    if slope == 0:
        return relu_factor
    if abs(slope) == 1:
        return linear_factor
    return lambda n: leaky_factor(n, abs(slope))
