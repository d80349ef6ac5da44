"""Exact laws of the gradient norm in piecewise linear networks with independent layers."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from vgsim._checks import COUNTERS, checked_items, plain, value_error
from vgsim._domains import Number, checked_int
from vgsim.theory._mixture import (
    Mixture,
    leaky_factor,
    linear_factor,
    noncentral_factor,
    relu_factor,
)
from vgsim.theory._product import ProductLaw

__all__ = [
    "Widths",
    "layered_law",
    "leaky_relu_law",
    "linear_law",
    "linear_residual_law",
    "newman_exponents",
    "piecewise_linear",
    "relu_law",
]

Floats = NDArray[np.float64]

_SLOPE = Number("0, or from 1e-6 to 1e6", lambda x: x == 0 or 1e-6 <= x <= 1e6)
_DROPOUT = Number("0, or from 1e-6 to 0.999", lambda x: x == 0 or 1e-6 <= x <= 0.999)
_STD = Number("from 1e-300 to 1e300", lambda x: 1e-300 <= x <= 1e300)


@dataclass(frozen=True)
class Widths:
    """n_0, n_D, and the number of layers 1 … D of each width."""

    first: int
    last: int
    counts: Mapping[int, int]

    @classmethod
    def of(cls, widths: Sequence[int]) -> Widths:
        """Return the counts of the widths n_0 … n_D."""
        return cls(widths[0], widths[-1], Counter(widths[1:]))

    @classmethod
    def checked(cls, width: int | Sequence[int], depth: int | None) -> Widths:
        """Return the widths given by the arguments `width` and `depth` of a law."""
        most = COUNTERS - 1
        if depth is not None:
            depth = checked_int("depth", depth, 1, most)
        if not isinstance(plain(width), int):
            given = checked_items("width", width, "must be an int or a sequence of ints")
            widths = [checked_int(f"width[{i}]", n, 1, most) for i, n in enumerate(given)]
            if len(widths) < 2 or depth not in (None, len(widths) - 1):
                raise value_error(
                    "width",
                    "must be an int, or n_0 … n_D with depth D (or none), got "
                    f"{len(widths)} widths and the depth {depth!r}",
                )
            return cls.of(widths)
        width = checked_int("width", width, 1, most)
        if depth is None:
            raise value_error("depth", "must be given where the width is an int, got None")
        return cls(width, width, {width: depth})

    def critical(self, power: float) -> float:
        """Return Σ ln s_l², with weights of variance s_l² = power/n_{l-1}."""
        total = sum(count * math.log(power / n) for n, count in self.counts.items())
        return total + math.log(self.last / self.first)


def layered_law(widths: Widths, factor: Callable[[int], Mixture], log_scale: float) -> ProductLaw:
    """Return the law of a network of independent layers; `factor` maps a width to its factor."""
    factors = [(factor(n), count) for n, count in widths.counts.items()]
    return ProductLaw(factors, log_scale, widths.first, widths.last)


def piecewise_linear(slope: float) -> Callable[[int], Mixture]:
    """Return the map from width to factor, for slopes 1 above 0 and `slope` below."""
    if slope == 0:
        return relu_factor
    if abs(slope) == 1:
        return linear_factor
    return lambda n: leaky_factor(n, abs(slope))


def relu_law(
    width: int | Sequence[int], depth: int | None = None, *, dropout: float = 0.0
) -> ProductLaw:
    """Return the exact law of a ReLU network with ``he_normal`` weights, and dropout if any.

    X = ln(‖G_0‖²/‖G_D‖²) = Σ_l ln[(2/n) χ²_{K_l}], with independent K_l ~ Binomial(n, ½). It holds
    for batch size 1, a normal G_D and biases of any symmetric law. It is also the law of ln ‖J u‖²
    for a unit vector u. With dropout after every ReLU and q = 1 − dropout, K_l counts the units
    that are open and kept: a term is ln[(2/(q² n)) χ²_{K_l}] with K_l ~ Binomial(n, q/2).

    Parameters
    ----------
    width : int or sequence of int
        Units of every layer, or the depth + 1 widths n_0 … n_D.
    depth : int
        Number of layers D; optional if `width` is a sequence.
    dropout : float, default 0.0
        The rate: 0, or from 1e-6 to 0.999.

    Returns
    -------
    ProductLaw

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type or out of range.

    Notes
    -----
    Every layer multiplies E‖G‖² by 1 and adds about 5/n to the variance of X. So X is nearly normal
    with mean −½ Σ 5/n_l and variance Σ 5/n_l (Hanin and Nica 2020). With dropout a layer multiplies
    E‖G‖² by 1/q and adds about (6/q − 1)/n to the variance.

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
    >>> f"{relu_law(1000, 100, dropout=0.1).variance:.4f}"  # about 100 (6/0.9 - 1)/1000
    '0.5691'
    """
    widths = Widths.checked(width, depth)
    kept = 1.0 - _DROPOUT.check("dropout", dropout)
    factor = partial(relu_factor, p=kept / 2.0)
    return layered_law(widths, factor, widths.critical(2.0 / kept**2))


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
        0 (ReLU), or from 1e-6 to 1e6.

    Returns
    -------
    ProductLaw

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type or out of range.

    Notes
    -----
    A factor is χ²_n times an independent variable between slope² and 1, whose density is a mixture
    of beta densities. Gauss-Legendre quadrature over it has an error of about 1e-12.

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


def linear_residual_law(width: int, depth: int, branch: float = 1.0) -> ProductLaw:
    """Return the exact law of x' = x + a G x, G with weights of variance 1/n: Σ ln[(a²/n) χ'²_n].

    χ'²_n is a noncentral chi-square with n degrees of freedom and noncentrality n/a².

    Parameters
    ----------
    width, depth : int
    branch : float, default 1.0
        a, with ``|a|`` from √(n/1e7) to 1e100.

    Returns
    -------
    ProductLaw

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type or out of range.

    Examples
    --------
    >>> from vgsim.theory import linear_residual_law
    >>> law = linear_residual_law(10, 1)
    >>> print(f"{law.mean:.7f} {law.variance:.7f}")
    0.6144271 0.1681120
    """
    n, depth = checked_int("width", width, 1, 2**31), checked_int("depth", depth, 1, 2**31)
    least = math.sqrt(n / 1e7)
    size = Number(f"of a size from {least:.2g} to 1e100", lambda a: least <= abs(a) <= 1e100)
    branch = size.check("branch", branch)
    square = branch * branch / n
    return layered_law(
        Widths(n, n, {n: depth}),
        lambda n: noncentral_factor(n, 1.0 / square),
        depth * math.log(square),
    )


def newman_exponents(width: int, std: float = 1.0) -> Floats:
    """Return the Lyapunov exponents of products of n × n matrices of independent N(0, std²).

    λ_i = ln std + ½ [ln 2 + ψ((n − i + 1)/2)], i = 1 … n: the growth per layer of ln σ_i, with σ_i
    the ith singular value of a deep linear network, as depth → ∞. Natural logarithms of norms, not
    of squared norms as elsewhere in this package.

    Parameters
    ----------
    width : int
        n, at most 10⁷.
    std : float, default 1.0

    Returns
    -------
    float64 array, shape (n,)
        Decreasing.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type or out of range.

    References
    ----------
    Newman, "The distribution of Lyapunov exponents: exact results for random matrices",
    Communications in Mathematical Physics 103, 1986.

    Examples
    --------
    >>> from vgsim.theory import newman_exponents
    >>> newman_exponents(4, std=0.5).round(6)
    array([-0.135181, -0.328329, -0.635181, -1.328329])
    """
    from scipy.special import psi

    n = checked_int("width", width, 1, 10**7)
    std = _STD.check("std", std)
    rank = np.arange(n, 0, -1)
    return np.asarray(math.log(std) + 0.5 * (math.log(2.0) + psi(rank / 2.0)))
