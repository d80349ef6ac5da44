"""Fluctuations of a smooth network at finite width, layer by layer, to first order in 1/width."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from typing import NamedTuple

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
AT_ONCE = 128  # layers between two checks that the corrections are small
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


class _Layers(NamedTuple):
    """What the moments need of layers, an entry for each.

    The variance of the pre-activations q, its variance `spread`; k = d ln E φ'²/dq; the growth
    ln χ₁ of the squared norm, its shift by the fluctuations of q, and the variance of the sum over
    the units. `start` is E ρ² of a random direction. The covariance of q with the log norm, and
    E ρ², change from layer to layer by a factor and a term.
    """

    q: Floats
    spread: Floats
    k: Floats
    growth: Floats
    shift: Floats
    sum_variance: Floats
    start: Floats
    covariance_factor: Floats
    covariance_term: Floats
    aligned_factor: Floats
    aligned_term: Floats


class _Course:
    """The variance and its fluctuations through the layers, computed as far as they are asked."""

    def __init__(self, network: Network) -> None:
        self.phi, self.widths = network.activation, network.widths
        self.power, self.bias_variance = layer_variances(network)
        self.known = 0
        self.layers = _Layers(*np.zeros((len(_Layers._fields), network.depth)))
        q = float(self.power[0] + self.bias_variance[0])
        inside = min(max(q, SMALLEST), 1.0 / SMALLEST) / q
        spread = 2.0 * self.power[0] ** 2 / self.widths[0] * inside**2
        self.state = q * inside, 0.0, float(spread)  # q, its bias and its variance

    def between(self, first: int, last: int) -> _Layers:
        """Return layers first + 1 … last."""
        while self.known < last:
            self.state = self._computed(self.known, *self.state)
            self.known += 1
        return _Layers(*(part[first:last] for part in self.layers))

    def _computed(self, i: int, q: float, bias: float, spread: float) -> tuple[float, float, float]:
        """Compute layer i + 1, and return q, its bias and its variance in the layer above."""
        n, m, layers = self.widths[i + 1], _layer(self.phi, q), self.layers
        k = m.slope_1 / m.slope
        curvature = m.slope_2 / m.slope - k * k
        layers.q[i], layers.spread[i], layers.k[i] = q, spread, k
        layers.growth[i] = math.log(self.power[i] * m.slope)
        layers.shift[i] = k * bias + curvature * spread / 2.0
        layers.sum_variance[i] = (3.0 * m.slope_fourth / m.slope**2 - 1.0) / n
        layers.start[i] = max(1.0 - self.bias_variance[i] / q, 0.0) / self.widths[i]
        if i + 1 == self.power.size:
            return q, bias, spread
        w = float(self.power[i + 1])
        q_next = w * m.square + float(self.bias_variance[i + 1])
        parallel = w * m.square_1
        common = w * (m.both / m.slope - m.square)
        # φ is piecewise linear near 0 and near infinity, where only ratios matter.
        inside = min(max(q_next, SMALLEST), 1.0 / SMALLEST) / q_next
        layers.covariance_factor[i] = parallel * inside
        layers.covariance_term[i] = (parallel * k * spread + common / n) * inside
        layers.aligned_factor[i] = parallel**2 * q / (q_next * w * m.slope)
        layers.aligned_term[i] = w * m.both / (n * q_next * m.slope)
        bias = (parallel * bias + w * m.square_2 * spread / 2.0) * inside
        spread = (parallel**2 * spread + w * w * (m.fourth - m.square**2) / n) * inside**2
        q_next *= inside
        return q_next if abs(q_next - q) > 1e-14 * q else q, bias, spread


_course = lru_cache(maxsize=1)(_Course)  # the moments at several places of one network share it


def smooth_moments(network: Network, *, finite: bool, first: int = 0) -> tuple[float, float]:
    """Return mean and variance of ln(‖G_first‖²/‖G_D‖²) by mean field.

    If `finite`, they include the first correction in 1/width.
    """
    course, mean, variance = _course(network), 0.0, 0.0
    covariance = aligned = 0.0
    for begin in range(first, network.depth, AT_ONCE):
        layers = course.between(begin, min(begin + AT_ONCE, network.depth))
        mean += float(layers.growth.sum())
        if not finite:
            continue
        start = float(layers.start[0]) if begin == first else aligned
        *rows, aligned = _recursion(start, layers.aligned_factor, layers.aligned_term)
        alignment = 2.0 * layers.q * layers.k * np.array(rows)
        _check_small(begin, layers, np.array(rows), alignment)
        *rows, covariance = _recursion(covariance, layers.covariance_factor, layers.covariance_term)
        mean += float(np.sum(layers.shift + alignment - layers.sum_variance / 2.0))
        carried = layers.k**2 * layers.spread + 2.0 * layers.k * np.array(rows)
        variance += float(np.sum(layers.sum_variance + carried))
    if finite:
        for n, sign in ((network.width_at(first), 1.0), (network.width_at(-1), -1.0)):
            _, end_mean, end_variance = linear_factor(n).cumulants(0.0)
            mean += sign * (end_mean - math.log(n))
            variance += sign * end_variance
    return mean, variance


def _recursion(start: float, factor: Floats, term: Floats) -> list[float]:
    """Return x_0, x_1, … with x_0 = start and x_{i+1} = factor_i x_i + term_i."""
    pairs = zip(factor.tolist(), term.tolist(), strict=True)
    return list(accumulate(pairs, lambda x, pair: pair[0] * x + pair[1], initial=start))


def _check_small(first: int, layers: _Layers, aligned: Floats, alignment: Floats) -> None:
    """Raise ValueError if a correction is not small; the limits were found by simulation."""
    std = np.sqrt(layers.spread)
    sums = layers.sum_variance > 0.3
    turned = np.abs(alignment) > 0.05
    shifted = np.abs(layers.shift) > 0.025
    shifted |= (std > layers.q) & (np.abs(layers.k) * std > 0.005)
    large = sums | turned | shifted
    if not large.any():
        return
    i = int(np.argmax(large))
    if sums[i]:
        deviation = math.sqrt(layers.sum_variance[i])
        cause = f"the std of the squared gradient norm is {deviation:.2g} of its mean"
    elif turned[i]:
        cause = f"the gradient aligns with the activations, to a squared cosine of {aligned[i]:.2g}"
    else:
        relative = std[i] / layers.q[i]
        cause = f"the std of the variance of the pre-activations is {relative:.2g} of its mean"
    raise value_error(
        "network",
        f"must be wider for a correction of first order in 1/width: {cause} in layer "
        f"{first + i + 1}",
    )
