"""Rare events: cumulant functions, importance sampling, Lyapunov exponents of Gaussian matrices."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vgsim._checks import Number, checked_int
from vgsim._networks.activations import Activation, as_activation
from vgsim.theory._product import (
    ProductLaw,
    checked_generator,
    leaky_relu_law,
    linear_law,
    relu_law,
)

__all__ = ["TailProbability", "cumulant", "newman_exponents", "tail_probability"]

Floats = NDArray[np.float64]

LEAST = -700.0  # log of the least probability that is estimated
_X = Number("a finite number", lambda x: True)
_STD = Number("from 1e-300 to 1e300", lambda x: 1e-300 <= x <= 1e300)


def cumulant(activation: str | Activation, width: int, theta: float) -> float:
    """Return Λ(θ) = lim (1/D) ln E ‖J u‖^{2θ} of a network at critical gain; exact, for every D.

    Parameters
    ----------
    activation : str or Activation
        linear, relu or leaky_relu, with independent normal weights of variance 1/(n E φ'²).
    width : int
        n, the same in every layer.
    theta : float
        More than −½ for relu and −n/2 for the others. Dead networks count as 0.

    Returns
    -------
    float

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type or out of range.

    Examples
    --------
    >>> from vgsim.theory import cumulant
    >>> print(f"{cumulant('relu', 100, 2.0):.8f}")  # ln (1 + 5/100)
    0.04879016
    """
    phi = as_activation(activation)
    slope = phi.slope_below_zero
    if slope is None:
        raise ValueError(f"activation must be 'linear', 'relu' or 'leaky_relu', got {phi.name!r}")
    if slope == 0.0:
        return relu_law(width, 1).log_moment(theta)
    if slope == 1.0:
        return linear_law(width, 1).log_moment(theta)
    return leaky_relu_law(width, 1, slope=slope).log_moment(theta)


@dataclass(frozen=True)
class TailProbability:
    """A small probability, estimated by importance sampling.

    Attributes
    ----------
    probability, standard_error : float
    theta : float
        The tilt of the law that was sampled.
    n : int
        Number of samples.

    Examples
    --------
    >>> import numpy as np
    >>> from vgsim.theory import relu_law, tail_probability
    >>> found = tail_probability(relu_law(32, 100), 10.0, 2000, np.random.default_rng(0))
    >>> bool(found.standard_error < 0.1 * found.probability)
    True
    """

    probability: float
    standard_error: float
    theta: float
    n: int


def tail_probability(
    law: ProductLaw, x: float, n_samples: int, rng: np.random.Generator
) -> TailProbability:
    """Estimate P(X > x), or P(X < x) for an x below the mean, from samples of the tilted law.

    Under the tilted law, of density e^{θx − K(θ)} times that of X, x is the mean, and half of the
    samples count; each with the weight e^{K(θ) − θX}. It confirms the integrals of `ProductLaw`,
    and shows what the networks of the tail are like. Dead networks are left out.

    Parameters
    ----------
    law : ProductLaw
        Of a network with n_0 = n_D.
    x : float
        In natural logarithms of the squared ratio.
    n_samples : int
        At least 2.
    rng : numpy.random.Generator

    Returns
    -------
    TailProbability

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type or out of range, or x out of reach: far in the lower
        tail of wide ReLU networks of few layers, single layers with few active units prevail, and
        no tilted law is like that.

    References
    ----------
    Bucklew, "Introduction to rare event simulation", Springer 2004, chapter 5.

    Examples
    --------
    >>> import math
    >>> import numpy as np
    >>> from vgsim.theory import relu_law, tail_probability
    >>> law, x = relu_law(100, 1000), 16 * math.log(10)
    >>> tail = tail_probability(law, x, 1000, np.random.default_rng(1))
    >>> abs(tail.probability - law.sf(x)) < 4 * tail.standard_error < 1e-18
    True
    """
    if not isinstance(law, ProductLaw):
        raise TypeError(f"law must be a ProductLaw, as of relu_law, got {law!r}")
    x, n = _X.check("x", x), checked_int("n_samples", n_samples, 2, 2**31)
    rng = checked_generator(rng)
    terms = law.terms
    if terms.ends:
        raise ValueError("law must be that of a network with n_0 = n_D")
    theta = max(terms.saddle(x), -0.9 * terms.edge)
    if math.isinf(theta) or terms.cumulants(theta)[0] - theta * x < LEAST:
        raise ValueError(f"x must have a probability of more than 1e-300 beyond it, got {x!r}")
    log_moment, centre, variance = terms.cumulants(theta)
    if centre - x > 3.0 * math.sqrt(variance):
        raise ValueError(
            f"x must be in reach of a tilt, got {x!r}: few units of a layer must be active there, "
            "which no tilted law has often; law.cdf(x) is as accurate as ever"
        )
    values = np.full(n, terms.log_scale)
    for factor, count in terms.factors:
        weight = np.exp(factor.tilted(theta) - factor.cumulants(theta)[0])
        weight /= weight.sum()
        for _ in range(count):
            drawn = rng.choice(weight.size, size=n, p=weight)
            gamma = rng.standard_gamma(factor.dof[drawn] / 2.0 + theta)
            with np.errstate(divide="ignore"):
                values += np.log(2.0 * gamma) + factor.log_scale[drawn]
    hit = values > x if x >= law.mean else values < x
    if not hit.any():
        raise ValueError(f"n_samples must be larger: none of {n} got beyond x={x!r}")
    weights = np.zeros(n)
    weights[hit] = np.exp(log_moment - theta * values[hit])
    weights *= 1.0 - law.dead_probability
    error = float(weights.std(ddof=1)) / math.sqrt(n)
    return TailProbability(float(weights.mean()), error, theta, n)


def newman_exponents(width: int, std: float = 1.0) -> Floats:
    """Return the Lyapunov exponents of products of n × n matrices of independent N(0, std²).

    λ_i = ln std + ½ [ln 2 + ψ((n − i + 1)/2)], i = 1 … n: the growth a layer of the ith singular
    value of a deep linear network, as depth → ∞. In natural logarithms, of the singular values and
    so of norms, not of their squares as everywhere else in this module.

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
