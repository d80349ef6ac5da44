"""The correlation map: the correlation of two inputs from layer to layer.

Two pre-activations u, v ~ N(0, q) with correlation c ≥ 0 are √c w + √(1-c) z with a common w and
independent z. So E φ(u) φ(v) = E_w (E[φ | w])², and 1 - c' is proportional to E_w Var[φ | w], a
form without cancellation as c → 1. E[φ | w] is smooth in w, next to a kink on the scale √(1-c),
which determines the panels of the quadrature.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from vgsim._domains import Number
from vgsim._networks.activations import Activation, as_activation
from vgsim.theory._gaussian import gaussian_mean, nodes
from vgsim.theory._variance_map import SIGMA_B, SIGMA_W, chi, variance_map
from vgsim.typing import ActivationName

__all__ = ["correlation_fixed_point", "correlation_map", "given_common"]

Array = NDArray[np.float64]

_C = Number("from 0 to 1", lambda c: 0 <= c <= 1)
_Q = Number("a finite number > 0", lambda q: q > 0)
CRITICAL = 1e-6  # |slope - 1| below which a fixed point counts as marginal


def correlation_map(
    activation: ActivationName | Activation, sigma_w: float, sigma_b: float, q: float, c: float
) -> float:
    """Return c' = (σ_w² E φ(u)φ(v) + σ_b²)/q', the correlation of two inputs in the next layer.

    Parameters
    ----------
    activation : str or Activation
    sigma_w, sigma_b : float
        Standard deviation of a weight times √fan_in, and of a bias.
    q : float
        Variance of u and of v, finite and > 0; q' is that in the next layer.
    c : float
        Correlation of u and v, from 0 to 1.

    Returns
    -------
    float

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type or out of range.

    Examples
    --------
    ReLU's is that of the arc-cosine kernel of Cho and Saul 2009:

    >>> from vgsim.theory._correlation_map import correlation_map
    >>> round(correlation_map("relu", 2**0.5, 0.0, q=1.0, c=0.5), 6)
    0.608998
    """
    phi = as_activation(activation)
    sigma_w, sigma_b = SIGMA_W.check("sigma_w", sigma_w), SIGMA_B.check("sigma_b", sigma_b)
    q, c = _Q.check("q", q), _C.check("c", c)
    if c == 1:
        return 1.0
    weights, _, variance = given_common(phi.value, phi, q, 1.0 - c)
    q_next = variance_map(phi, sigma_w, sigma_b, q)
    return 1.0 - sigma_w**2 * float(weights @ variance) / q_next


def correlation_fixed_point(
    activation: ActivationName | Activation, sigma_w: float, sigma_b: float, q: float
) -> tuple[float, float]:
    """Return c*, the limit of the correlation from any 0 ≤ c < 1, and the slope of the map at c*.

    The map is a power series in c with coefficients ≥ 0, hence convex, and maps 1 to 1. So c* = 1
    if the slope at 1 is at most 1. Otherwise c* is the only other fixed point.

    Parameters
    ----------
    activation : str or Activation
    sigma_w, sigma_b : float
        Standard deviation of a weight times √fan_in, and of a bias.
    q : float
        A fixed point of the variance map; at 0 and infinity the limit of the map is used.

    Returns
    -------
    c_star, slope : float
        (nan, 1.0) if every c is a fixed point (linear without bias; tanh with q* = 0).

    Examples
    --------
    >>> from vgsim.theory._correlation_map import correlation_fixed_point
    >>> from vgsim.theory._variance_map import fixed_point
    >>> q = fixed_point("tanh", 2**0.5, sigma_b=0.05**0.5)
    >>> c, slope = correlation_fixed_point("tanh", 2**0.5, 0.05**0.5, q)
    >>> round(c, 6), round(-1 / __import__("math").log(slope), 4)
    (0.744082, 25.2134)
    """
    from scipy.optimize import brentq

    phi = as_activation(activation)
    at_0, at_1 = _ends(phi, sigma_w, sigma_b, q)
    if abs(at_1 - 1.0) <= CRITICAL and at_0 < 1e-12:
        return math.nan, 1.0
    if at_1 <= 1.0 + CRITICAL:
        return 1.0, at_1

    def excess(ln_d: float) -> float:
        """(1 - c')/(1 - c) - 1 at c = 1 - e^ln_d."""
        weights, _, variance = given_common(phi.value, phi, q, math.exp(ln_d))
        return sigma_w**2 * float(weights @ variance) / (q * math.exp(ln_d)) - 1.0

    def slope(d: float) -> float:
        weights, mean, _ = given_common(phi.derivative, phi, q, d)
        return sigma_w**2 * float(weights @ mean**2)

    if at_0 < 1e-14:
        return 0.0, slope(1.0)
    near = math.log(0.1)
    while excess(near) < 0:
        near -= math.log(100.0)
    d = math.exp(brentq(excess, near, 0.0, xtol=1e-14, rtol=1e-14))
    return 1.0 - d, slope(d)


def _ends(phi: Activation, sigma_w: float, sigma_b: float, q: float) -> tuple[float, float]:
    """Return the value of the map at c = 0 and its slope at c = 1."""
    if q == 0 or math.isinf(q):  # φ is piecewise linear, and the bias 0 or negligible
        left, right = phi.slope_at_zero if q == 0 else phi.slope_at_infinity
        return (right - left) ** 2 / (math.pi * (left**2 + right**2)), 1.0
    mean = gaussian_mean(phi.value, q, phi)
    q_next = variance_map(phi, sigma_w, sigma_b, q)
    return (sigma_w**2 * mean**2 + sigma_b**2) / q_next, chi(phi, sigma_w, q) * q / q_next


def given_common(
    f: Callable[[Array], Array], phi: Activation, q: float, d: float
) -> tuple[Array, Array, Array]:
    """Return weights of the nodes w, and mean and variance of f(h) given w; c = 1 - d."""
    own, common = math.sqrt(q * d), math.sqrt(q * (1.0 - d))
    w, weights = np.zeros(1), np.ones(1)
    if common > 0:
        w, weights = nodes(0.0, common, phi, min(own, 0.5))
    h, inner = nodes(w, own, phi)
    values = f(h)
    mean = (inner * values).sum(axis=-1)
    variance = (inner * (values - mean[:, None]) ** 2).sum(axis=-1)
    return weights, mean, variance
