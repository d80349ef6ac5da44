"""Fluctuations of a smooth network at finite width, layer by layer, to first order in 1/width."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from vgsim._checks import value_error
from vgsim._networks.activations import Activation, as_activation
from vgsim._networks.description import Network
from vgsim.theory._gaussian import gaussian_mean
from vgsim.theory._mixture import linear_factor
from vgsim.theory._variance_map import fixed_point, layer_variances
from vgsim.typing import ActivationName

__all__ = ["finite_width_rates", "smooth_moments"]

Floats = NDArray[np.float64]
SMALLEST = 1e-30  # least variance of pre-activations; the largest is 1/SMALLEST


@dataclass(frozen=True)
class _Layer:
    """Gaussian means at the variance q of the pre-activations of a layer.

    Derivatives with respect to q are d/dq E f = E f He_2(z)/2q and d²/dq² E f = E f He_4(z)/4q²,
    by Stein's lemma.
    """

    square: float  # E φ², with its first two derivatives by q
    square_1: float
    square_2: float
    fourth: float  # E φ⁴
    slope: float  # E φ'², with its first two derivatives by q
    slope_1: float
    slope_2: float
    slope_fourth: float  # E φ'⁴
    both: float  # E φ² φ'²


@lru_cache(maxsize=4096)  # the moments at every layer of a network share their layers
def _layer(phi: Activation, q: float) -> _Layer:
    """Return the means at q."""

    def mean(value: int, slope: int, hermite: int = 0) -> float:
        def f(h: Floats) -> Floats:
            return np.asarray(phi.value(h) ** value * phi.derivative(h) ** slope)

        factor = {0: 1.0, 2: 2.0 * q, 4: 4.0 * q * q}[hermite]
        return gaussian_mean(f, q, phi, hermite) / factor

    return _Layer(
        square=mean(2, 0),
        square_1=mean(2, 0, 2),
        square_2=mean(2, 0, 4),
        fourth=mean(4, 0),
        slope=mean(0, 2),
        slope_1=mean(0, 2, 2),
        slope_2=mean(0, 2, 4),
        slope_fourth=mean(0, 4),
        both=mean(2, 2),
    )


def finite_width_rates(
    activation: ActivationName | Activation, sigma_w: float, sigma_b: float = 0.0
) -> tuple[float, float]:
    """Return the 1/n corrections of mean and variance of ln ‖J u‖² per layer, times the width n.

    E ln ‖J u‖² ~ D (ln χ₁ + mean/n) and Var ln ‖J u‖² ~ D variance/n in a deep network at the fixed
    point that is reached from q = 1.

    Parameters
    ----------
    activation : str or Activation
    sigma_w, sigma_b : float
        Standard deviations of a weight, times √fan_in, and of a bias.

    Returns
    -------
    mean, variance : float

    Raises
    ------
    ValueError
        If χ_∥ >= 1 or χ_∥² >= χ₁ at the fixed point, where this expansion does not exist, or if the
        fixed point is 0 or infinite, where the network is piecewise linear.

    Notes
    -----
    See :func:`log_gradient_moments`, which includes the first layers.

    Examples
    --------
    >>> from vgsim.theory._fluctuations import finite_width_rates
    >>> mean, variance = finite_width_rates("selu", 1.0)
    >>> print(f"{variance:.4f}")
    4.4195
    """
    phi = as_activation(activation)
    q = fixed_point(phi, sigma_w, sigma_b)
    if q == 0 or math.isinf(q):
        raise value_error(
            "sigma_w",
            f"must give pre-activations a finite variance > 0, it tends to {q}",
        )
    w, m = sigma_w**2, _layer(phi, q)
    chi_1, parallel = w * m.slope, w * m.square_1
    if not (parallel < 1 - 1e-9 and parallel**2 < chi_1):
        raise value_error(
            "sigma_w",
            "must give χ_∥ < 1 and χ_∥² < χ₁, so that fluctuations decay, got χ_∥ = "
            f"{parallel:.6g} and χ₁ = {chi_1:.6g}",
        )
    k = m.slope_1 / m.slope
    own = 3.0 * m.slope_fourth / m.slope**2 - 1.0
    noise = w * w * (m.fourth - m.square**2)
    common = w * (m.both / m.slope - m.square)
    spread = noise / (1.0 - parallel**2)
    bias = 0.5 * w * m.square_2 * spread / (1.0 - parallel)
    curvature = m.slope_2 / m.slope - k * k
    aligned = w * w * m.both / (q * (chi_1 - parallel**2))
    mean = -own / 2.0 + k * bias + curvature * spread / 2.0 + 2.0 * q * k * aligned
    carried = 2.0 * k * common / (1.0 - parallel) + k * k * noise / (1.0 - parallel) ** 2
    return mean, own + carried


def smooth_moments(network: Network, *, finite: bool, first: int = 0) -> tuple[float, float]:
    """Return mean and variance of ln(‖G_first‖²/‖G_D‖²) by mean field.

    If `finite`, they include the first correction in 1/width. The state before layer l consists of
    q, its bias and variance, its covariance with the log norm of the tangent vector, and E ρ².
    """
    phi, widths = network.activation, network.widths
    power, bias_variance = layer_variances(network)
    q = float(power[0] + bias_variance[0])
    bias, covariance = 0.0, 0.0
    spread, aligned = 2.0 * power[0] ** 2 / widths[0], power[0] / (q * widths[0])
    inside = min(max(q, SMALLEST), 1.0 / SMALLEST) / q
    q, spread = q * inside, spread * inside**2
    mean = variance = 0.0
    for l in range(1, network.depth + 1):
        n = widths[l]
        m = _layer(phi, q)
        k = m.slope_1 / m.slope
        curvature = m.slope_2 / m.slope - k * k
        if l == first + 1:  # the tangent vector has a random direction
            covariance, aligned = 0.0, max(1.0 - bias_variance[l - 1] / q, 0.0) / widths[l - 1]
        if l > first:
            mean += math.log(power[l - 1] * m.slope)
        if finite and l > first:
            sum_variance = (3.0 * m.slope_fourth / m.slope**2 - 1.0) / n
            mean += k * bias + curvature * spread / 2.0 + 2.0 * q * k * aligned - sum_variance / 2.0
            variance += sum_variance + k * k * spread + 2.0 * k * covariance
            _check_small(l, q, k, spread, aligned, k * bias + curvature * spread / 2, sum_variance)
        if l == network.depth:
            break
        w = power[l]
        q_next = float(w * m.square + bias_variance[l])
        parallel = w * m.square_1
        common = w * (m.both / m.slope - m.square)
        covariance = parallel * (covariance + k * spread) + common / n
        bias = parallel * bias + w * m.square_2 * spread / 2.0
        spread = parallel**2 * spread + w * w * (m.fourth - m.square**2) / n
        aligned = (aligned * parallel**2 * q + w * w * m.both / n) / (q_next * w * m.slope)
        # φ is piecewise linear near 0 and near infinity, where only ratios matter.
        inside = min(max(q_next, SMALLEST), 1.0 / SMALLEST) / q_next
        bias, covariance, spread = bias * inside, covariance * inside, spread * inside**2
        q_next *= inside
        q = q_next if abs(q_next - q) > 1e-14 * q else q
    if finite:
        for n, sign in ((widths[first], 1.0), (widths[-1], -1.0)):
            _, end_mean, end_variance = linear_factor(n).cumulants(0.0)
            mean += sign * (end_mean - math.log(n))
            variance += sign * end_variance
    return float(mean), float(variance)


def _check_small(
    layer: int,
    q: float,
    k: float,
    spread: float,
    aligned: float,
    shift: float,
    sum_variance: float,
) -> None:
    """Raise ValueError if a correction is not small; the limits were found by simulation."""
    std = math.sqrt(spread)
    effect = abs(k) * std
    cause = None
    if sum_variance > 0.3:
        cause = f"the std of the squared gradient norm is {math.sqrt(sum_variance):.2g} of its mean"
    elif abs(2.0 * q * k * aligned) > 0.05:
        cause = f"the gradient aligns with the activations, to a squared cosine of {aligned:.2g}"
    elif abs(shift) > 0.025 or (std > q and effect > 0.005):
        cause = f"the std of the variance of the pre-activations is {std / q:.2g} of its mean"
    if cause:
        raise value_error(
            "network",
            f"must be wider for a correction of first order in 1/width: {cause} in layer {layer}",
        )
