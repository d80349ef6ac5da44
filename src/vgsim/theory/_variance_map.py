"""The variance map q → σ_w² E φ(h)² + σ_b², h ~ N(0, q): its fixed points and slopes."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from vgsim._checks import value_error
from vgsim._domains import Number
from vgsim._networks.activations import Activation, as_activation
from vgsim._networks.description import Network
from vgsim.theory._gaussian import checked_variance, gaussian_mean, nodes
from vgsim.theory._weight_laws import check_weights
from vgsim.typing import ActivationName

__all__ = [
    "SIGMA_B",
    "SIGMA_W",
    "chi",
    "chi_parallel",
    "fixed_point",
    "layer_variances",
    "surely_ordered",
    "variance_map",
]

Array = NDArray[np.float64]

SIGMA_W = Number("from 1e-100 to 1e100", lambda x: 1e-100 <= x <= 1e100)
SIGMA_B = Number("0, or from 1e-100 to 1e100", lambda x: x == 0 or 1e-100 <= x <= 1e100)
_Q_0 = Number("from 1e-20 to 1e20", lambda x: 1e-20 <= x <= 1e20)

ROUNDING = 1e-13  # |ln(q'/q)| that counts as 0
TOUCHING = 1e-9  # |ln(q'/q)| at which the map touches the diagonal; passing takes 1e5 layers
NEAR_CONTACT = 0.02  # |q'/q − 1| of a dip that may be a contact
CLEARANCE = 1e-10  # 1 − χ₁ from which on χ₁ < 1 is certain
LARGEST = 1e300  # larger fixed points count as infinite


def layer_variances(network: Network, most: float = 1e50) -> tuple[Array, Array]:
    """Return σ_w² and σ_b² of every layer, (depth,) each; refuse σ outside [1/most, most].

    Weights of a law without a mean field are refused too.

    Examples
    --------
    >>> import vgsim
    >>> from vgsim.theory._variance_map import layer_variances
    >>> layer_variances(vgsim.MLP(2, 8, init="he_normal", bias_std=0.5))
    (array([2., 2.]), array([0.25, 0.25]))
    """
    check_weights(network)
    n = network.width_array[:-1]
    sigma_w, sigma_b = network.weight_stds * np.sqrt(n), network.bias_limits / math.sqrt(3.0)
    if network.bias_std > 0:
        sigma_b = np.full(network.depth, network.bias_std)
    for name, sigma in (("weights, times √fan_in,", sigma_w), ("biases", sigma_b)):
        beyond = sigma[(sigma > most) | ((sigma < 1.0 / most) & (sigma > 0))]
        if beyond.size:
            raise value_error(
                "network",
                f"must have {name} of a standard deviation from {1.0 / most:g} to {most:g} for "
                f"this theory, got {beyond[0]:.6g}",
            )
    return network.weight_stds**2 * n, sigma_b**2


def variance_map(
    activation: ActivationName | Activation, sigma_w: float, sigma_b: float, q: float
) -> float:
    """Return the variance of the next pre-activations, σ_w² E φ(h)² + σ_b² with h ~ N(0, q).

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type or out of range.

    Examples
    --------
    >>> from vgsim.theory._variance_map import variance_map
    >>> round(variance_map("relu", 2.0, 1.0, q=3.0), 12)
    7.0
    """
    phi = as_activation(activation)
    sigma_w, sigma_b = SIGMA_W.check("sigma_w", sigma_w), SIGMA_B.check("sigma_b", sigma_b)
    return sigma_w**2 * gaussian_mean(lambda h: phi.value(h) ** 2, q, phi) + sigma_b**2


def chi(activation: ActivationName | Activation, sigma_w: float, q: float) -> float:
    """Return χ₁ = σ_w² E φ'(h)², h ~ N(0, q): the growth of the squared gradient norm per layer.

    Parameters
    ----------
    activation : str or Activation
    sigma_w : float
        Standard deviation of a weight times √fan_in.
    q : float
        Variance of the pre-activations; 0 and infinity are the limits.

    Returns
    -------
    float

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type or out of range.

    Examples
    --------
    >>> import math
    >>> from vgsim.theory._variance_map import chi
    >>> chi("tanh", 1.0, q=0.0), round(chi("relu", 1.0, q=7.0), 12), chi("gelu", 1.0, q=math.inf)
    (1.0, 0.5, 0.5)
    """
    phi, sigma_w = as_activation(activation), SIGMA_W.check("sigma_w", sigma_w)
    return sigma_w**2 * gaussian_mean(lambda h: phi.derivative(h) ** 2, q, phi)


def chi_parallel(activation: ActivationName | Activation, sigma_w: float, q: float) -> float:
    """Return χ_∥ = dq'/dq = σ_w² E[φ'(h)² + φ(h) φ''(h)], the slope of the variance map.

    By Stein's lemma it is σ_w² E[h φ(h) φ'(h)]/q, which does not contain φ''.

    Parameters
    ----------
    activation : str or Activation
    sigma_w : float
        Standard deviation of a weight times √fan_in.
    q : float
        Variance of the pre-activations; 0 and infinity are the limits.

    Returns
    -------
    float

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type or out of range.

    Examples
    --------
    >>> from vgsim.theory._variance_map import chi_parallel
    >>> round(chi_parallel("tanh", 1.327010, q=0.570048), 4)
    0.5182
    """
    phi, sigma_w = as_activation(activation), SIGMA_W.check("sigma_w", sigma_w)
    q = checked_variance("q", q)
    if phi.frequency:  # E cos 2ωh, where the mean below would be rounding error at large q
        return (sigma_w * phi.frequency) ** 2 * math.exp(-2.0 * phi.frequency**2 * q)
    if math.isnan(phi.slope_at_zero[0]):
        q = max(q, 1e-10)  # if φ(0) ≠ 0, h φ φ'/q diverges at 0 though its mean converges
    if q == 0 or math.isinf(q):
        return sigma_w**2 * gaussian_mean(lambda h: phi.value(h) / h * phi.derivative(h), q)
    return sigma_w**2 * gaussian_mean(lambda h: h * phi.value(h) * phi.derivative(h), q, phi) / q


def fixed_point(
    activation: ActivationName | Activation, sigma_w: float, sigma_b: float = 0.0, q_0: float = 1.0
) -> float:
    """Return q*, the limit of the variance of the pre-activations in a deep, wide network.

    It is the limit of q_0, q_1, … under the variance map. The map increases with q for every
    activation here. So the limit is the first fixed point above q_0 if q_1 > q_0, and otherwise the
    first below; no iteration is needed.

    Parameters
    ----------
    activation : str or Activation
    sigma_w : float
        Standard deviation of a weight times √fan_in, from 1e-100 to 1e100.
    sigma_b : float, default 0.0
        Standard deviation of a bias, 0 or from 1e-100 to 1e100.
    q_0 : float, default 1.0
        Initial variance, from 1e-20 to 1e20.

    Returns
    -------
    float
        q*, from 0 to infinity; q_0 itself if it is a fixed point (ReLU with σ_w = √2).

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type or out of range.

    Notes
    -----
    If the map touches the diagonal (within 1e-9), the point of contact is returned.

    Examples
    --------
    >>> from vgsim.theory._variance_map import fixed_point
    >>> round(fixed_point("tanh", 1.327010, sigma_b=0.05**0.5), 4)
    0.57
    >>> fixed_point("relu", 1.4), fixed_point("relu", 2**0.5), fixed_point("relu", 1.5)
    (0.0, 1.0, inf)
    """
    from scipy.optimize import brentq, minimize_scalar

    phi = as_activation(activation)
    sigma_w, sigma_b = SIGMA_W.check("sigma_w", sigma_w), SIGMA_B.check("sigma_b", sigma_b)
    q_0 = _Q_0.check("q_0", q_0)

    def drift(ln_q: float) -> float:
        q = math.exp(ln_q)
        return math.log(variance_map(phi, sigma_w, sigma_b, q) / q)

    def root(ln_a: float, ln_b: float) -> float:
        return math.exp(brentq(drift, ln_a, ln_b, xtol=1e-15, rtol=1e-14))

    first = drift(math.log(q_0))
    if abs(first) <= ROUNDING:
        return q_0
    up = 1 if first > 0 else -1
    ln_q, mean_square, _ = _tables(phi)
    ahead = up * ln_q > up * math.log(q_0)
    drifts = np.log((sigma_w**2 * mean_square[ahead] + sigma_b**2) / np.exp(ln_q[ahead]))
    x = np.append(math.log(q_0), ln_q[ahead][::up])
    s = up * np.append(first, drifts[::up])  # > 0 until the fixed point
    crossed = np.flatnonzero(s < -ROUNDING)
    end = int(crossed[0]) if crossed.size else s.size - 1

    dips = np.minimum(s[: end - 1], s[2 : end + 1]) - s[1:end] > ROUNDING
    for i in 1 + np.flatnonzero(dips & (s[1:end] < 0.01)):
        bounds = sorted((x[i - 1], x[i + 1]))
        dip = minimize_scalar(lambda t: up * drift(t), bounds=bounds, method="bounded")
        if dip.fun < -ROUNDING:
            return root(x[i - 1], dip.x)
        if dip.fun < TOUCHING:
            return math.exp(dip.x)
    if crossed.size:
        return root(x[np.flatnonzero(s[:end] > 0)[-1]], x[end])
    if up > 0:
        largest = math.log(LARGEST)
        return root(x[-1], largest) if drift(largest) < -ROUNDING else math.inf
    at_zero = sigma_w**2 * float(phi.value(0.0)) ** 2 + sigma_b**2  # <= q'
    return root(x[-1], math.log(at_zero / 2.0)) if at_zero > 1.0 / LARGEST else 0.0


def surely_ordered(phi: Activation, sigma_w: Array, sigma_b: float) -> NDArray[np.bool_]:
    """Return for each σ_w whether χ₁ < 1 at the fixed point from q = 1 follows from the tables.

    False means that it does not follow: near χ₁ = 1, near a contact of the map with the diagonal,
    and without a fixed point from 1e-20 to 1e20.
    """
    ln_q, mean_square, mean_slope = _tables(phi)
    drift = (sigma_w[:, None] ** 2 * mean_square + sigma_b**2) / np.exp(ln_q) - 1.0
    start = int(np.searchsorted(ln_q, 0.0))
    ordered = np.zeros(sigma_w.shape, dtype=bool)
    for up in (1, -1):
        rows = up * drift[:, start] > 0
        s, slopes = up * drift[rows, start::up], mean_slope[start::up]
        crossed = s < -ROUNDING
        end = np.argmax(crossed, axis=1)
        dips = (s[:, 1:-1] < np.minimum(s[:, :-2], s[:, 2:])) & (s[:, 1:-1] < NEAR_CONTACT)
        safe = crossed.any(axis=1) & (end >= 2) & (end < s.shape[1] - 1)
        safe &= ~(dips & (np.arange(1, s.shape[1] - 1) < end[:, None])).any(axis=1)
        around = slopes[np.clip(end[:, None] + np.arange(-2, 2), 0, slopes.size - 1)]
        largest = 2.0 * around.max(axis=1) - around.min(axis=1)
        ordered[rows] = safe & (sigma_w[rows] ** 2 * largest < 1.0 - CLEARANCE)
    return ordered


@lru_cache(maxsize=64)
def _tables(phi: Activation) -> tuple[Array, Array, Array]:
    """Return increasing ln q for q from 1e-20 to 1e20, denser where φ bends, E φ(h)², E φ'(h)²."""
    fine = np.linspace(-3.0, 3.0, 1201)
    coarse = np.linspace(3.0, 20.0, 341)[1:]
    ln_q = math.log(10.0) * np.concatenate([-coarse[::-1], fine, coarse])
    squares, slopes = [], []
    for part in np.array_split(ln_q, 40):
        h, weights = nodes(np.zeros(part.size), np.exp(part / 2.0), phi)
        squares.append((weights * phi.value(h) ** 2).sum(axis=-1))
        slopes.append((weights * phi.derivative(h) ** 2).sum(axis=-1))
    return ln_q, np.concatenate(squares), np.concatenate(slopes)
