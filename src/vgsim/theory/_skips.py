"""Residual and highway networks: mean growth of the gradient, and variances."""

from __future__ import annotations

import math

import numpy as np

from vgsim._checks import value_error
from vgsim._domains import Number, checked_int
from vgsim._networks.activations import Activation
from vgsim._networks.description import Network, checked_network
from vgsim.theory._exact import relu_law
from vgsim.theory._gaussian import gaussian_mean
from vgsim.theory._mixture import noncentral_factor
from vgsim.theory._normalised import unit_means
from vgsim.theory._post import post_growth
from vgsim.theory._variance_map import SIGMA_W, layer_variances

__all__ = [
    "highway_growth",
    "relu_residual_moments",
    "residual_growth",
    "residual_variance",
    "tanh_residual_exponent",
]

_BRANCH = Number("of a size from 1e-3 to 1e3", lambda a: 1e-3 <= abs(a) <= 1e3)
_SKIP = Number("from 0 to 1", lambda s: 0 <= s <= 1)
MOST = 10**7  # largest number of summands
SCALE = 1e200  # beyond ±SCALE every activation counts as linear


def residual_growth(network: Network) -> float:
    """Return ln E(‖G_0‖²/‖G_D‖²) of a residual network, in the limit of infinite width.

    In mean-field theory, the mean and the mean square of a unit follow a recursion from block to
    block, and each block multiplies the mean squared gradient by s² + c² Π_l σ_w² E φ'². Style
    "post" needs the law of a unit, which is computed on a grid with an error of about 1e-3.

    The limit is that of infinite width at a fixed depth. Corrections are largest with style
    "activated" and large branches: for 20 ReLU layers of width 256 (He, every=1, branch=1) the
    measured mean of R is 3.4 decades (width 1024: 3.2), and this limit gives 3.0.

    Parameters
    ----------
    network : MLP
        With residual, without clip; norm None, "layer" or "rms".

    Returns
    -------
    float
        ln E(‖G_0‖²/‖G_D‖²). If the norm fluctuates little, it is also the mean of the logarithm.

    Raises
    ------
    ValueError
        If the network has no residual, or the theory does not apply to it.

    References
    ----------
    Yang and Schoenholz, "Mean field residual networks: on the edge of chaos", NeurIPS 2017.

    Examples
    --------
    >>> import vgsim
    >>> from vgsim.theory import residual_growth
    >>> residual = vgsim.Residual(2, branch="1/sqrt(blocks)", style="linear", last_gain=0.5**0.5)
    >>> net = vgsim.MLP(2000, 64, activation="relu", init="he_normal", residual=residual)
    >>> print(f"{residual_growth(net):.4f}")  # ln (1 + 1/1000)^1000
    0.9995
    """
    network = checked_network(network)
    if network.residual is None:
        raise value_error("network", f"must be an MLP with residual, got {network!r}")
    _check_limit(network)
    style, every = network.residual.style, network.residual.every
    skip, branch = network.residual.skip, network.residual.branch_scale(network.depth)
    phi = network.activation
    powers, biases = (values.tolist() for values in layer_variances(network))
    if style == "post":
        return post_growth(network, powers, biases)
    growth, mean, square = 0.0, 0.0, 1.0
    for first in range(0, network.depth, every):
        slopes, signal, shift = 1.0, square, 0.0
        for l in range(first, first + every):
            last = l == first + every - 1
            if style == "pre":
                _, signal, slope = _normed_means(network, phi, signal)
                slopes *= powers[l] * slope
                signal = powers[l] * signal + biases[l]
            elif style == "linear" and last:
                slopes *= powers[l]
                signal = powers[l] * signal + biases[l]
            else:
                signal = powers[l] * signal + biases[l]
                shift, signal, slope = _normed_means(network, phi, signal)
                slopes *= powers[l] * slope
        if style != "activated":
            shift = 0.0
        square = skip**2 * square + branch**2 * signal + 2.0 * skip * branch * mean * shift
        square = min(max(square, 1.0 / SCALE), SCALE)
        mean = skip * mean + branch * shift
        mean = math.copysign(min(abs(mean), math.sqrt(square)), mean)
        growth += math.log(skip**2 + branch**2 * slopes)
    return growth


def _check_limit(network: Network) -> None:
    if network.clip is not None:
        raise value_error("network", f"must have no clip, got {network.clip!r}")
    if network.norm == "batch":
        raise value_error(
            "network", "must have the norm None, 'layer' or 'rms' with skips or gates, got 'batch'"
        )


def _normed_means(network: Network, phi: Activation, variance: float) -> tuple[float, float, float]:
    """Return E φ, E φ² and E φ'², the derivative by h, for h ~ N(0, variance) before the norm."""
    if network.norm is None:
        return unit_means(phi, variance)
    scale = variance + network.norm_eps
    mean, square, slope = unit_means(phi, variance / scale)
    return mean, square, slope / scale


def highway_growth(network: Network) -> float:
    """Return ln E(‖G_0‖²/‖G_D‖²) of a highway network, in the limit of infinite width.

    Each layer multiplies the mean squared gradient by
    E(1 − T)² + σ_w² E T² E φ'² + σ_T² E T'² E(Y − x)²: the terms of the skip path, the transform
    path and the path through the gate.

    Parameters
    ----------
    network : MLP
        With highway, without clip; norm None, "layer" or "rms".

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If the network has no highway, or the theory does not apply to it.

    References
    ----------
    Srivastava, Greff and Schmidhuber, "Training very deep networks", NeurIPS 2015.

    Examples
    --------
    >>> import vgsim
    >>> from vgsim.theory import highway_growth
    >>> net = vgsim.MLP(50, 400, init="lecun_normal", highway=vgsim.Highway(0.0))
    >>> print(f"{highway_growth(net):.2f}")
    -34.82
    """
    network = checked_network(network)
    if network.highway is None:
        raise value_error("network", f"must be an MLP with highway, got {network!r}")
    _check_limit(network)
    phi, gate, shift = network.activation, Activation("sigmoid"), network.highway.gate_bias
    powers, biases = (values.tolist() for values in layer_variances(network))
    growth, mean, square = 0.0, 0.0, 1.0
    for power, b in zip(powers, biases, strict=True):
        y_mean, y_square, y_slope = _normed_means(network, phi, power * square + b)
        variance = power * square
        opened = gaussian_mean(lambda h: gate.value(h + shift), variance)
        opened_2 = gaussian_mean(lambda h: gate.value(h + shift) ** 2, variance)
        closed_2 = gaussian_mean(lambda h: gate.value(-h - shift) ** 2, variance)
        both = gaussian_mean(lambda h: gate.derivative(h + shift), variance)  # T' = T (1 − T)
        both_2 = gaussian_mean(lambda h: gate.derivative(h + shift) ** 2, variance)
        through = power * both_2 * (y_square - 2.0 * y_mean * mean + square)
        growth += math.log(closed_2 + power * opened_2 * y_slope + through)
        square = opened_2 * y_square + 2.0 * both * y_mean * mean + closed_2 * square
        mean = opened * y_mean + (1.0 - opened) * mean
        square = min(max(square, 1.0 / SCALE), SCALE)
    return growth


def tanh_residual_exponent(sigma_w: float = 1.0, sigma_v: float = 1.0) -> float:
    """Return a in ln E(‖G_0‖²/‖G_D‖²) ~ a √blocks, for blocks x' = x + V tanh(W x).

    Parameters
    ----------
    sigma_w, sigma_v : float
        Standard deviations of the weights W and V, times √width.

    Returns
    -------
    float
        σ_w σ_v (8/3)/√(2π): the gradient grows by exp(Θ(√depth)), not exponentially.

    References
    ----------
    Yang and Schoenholz, "Mean field residual networks: on the edge of chaos", NeurIPS 2017.

    Examples
    --------
    >>> from vgsim.theory import tanh_residual_exponent
    >>> print(f"{tanh_residual_exponent():.6f}")
    1.063846
    """
    sigma_w, sigma_v = SIGMA_W.check("sigma_w", sigma_w), SIGMA_W.check("sigma_v", sigma_v)
    return sigma_w * sigma_v * 8.0 / (3.0 * math.sqrt(2.0 * math.pi))


def relu_residual_moments(width: int, branch: float = 1.0) -> tuple[float, float]:
    """Return the exact mean and variance per block of ln ‖J u‖² for x' = x + a V relu(W x).

    W has weights of variance 2/n, and V of 1/n. The factor of a block is (1 + r g)² + r² χ²_{n−1}
    with r² = (a²/n)(2/n) χ²_K and g ~ N(0, 1), and E ‖J u‖² = (1 + a²)^blocks.

    Parameters
    ----------
    width : int
    branch : float, default 1.0
        a, with ``|a|`` from 1e-3 to 1e3.

    Returns
    -------
    mean, variance : float

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type or out of range.

    Notes
    -----
    Given r the factor is r² times a chi-square of noncentrality 1/r². Mean and variance of its
    logarithm come from a Poisson mixture, and their means over r from the trapezoidal rule with the
    density of ln χ²_K.

    Examples
    --------
    >>> from vgsim.theory import relu_residual_moments
    >>> mean, variance = relu_residual_moments(64)
    >>> print(f"{mean:.6f} {variance:.6f}")
    0.671970 0.042190
    """
    n = checked_int("width", width, 1, 100_000)
    branch = _BRANCH.check("branch", branch)
    law = relu_law(n, 1)  # the law of ln[(2/n) χ²_K]
    std = math.sqrt(law.variance)
    step = std / 6.0
    x = law.mean + step * np.arange(-60 if n > 20 else -240, 55)
    weight = law.pdf(x) * step
    moments = np.array([_block_moments(n, r) for r in branch * branch / n * np.exp(x)])
    mean = float(weight @ moments[:, 0])  # with a dead branch the factor is 1
    second = float(weight @ (moments[:, 1] + moments[:, 0] ** 2))
    return mean, second - mean * mean


def _block_moments(n: int, r_square: float) -> tuple[float, float]:
    """Return mean and variance of ln[(1 + r g)² + r² χ²_{n−1}]."""
    if r_square * max(n, 20) < 1e-6:
        return r_square * (n - 2.0), 4.0 * r_square
    _, mean, variance = noncentral_factor(n, 1.0 / r_square).cumulants(0.0)
    return mean + math.log(r_square), variance


def residual_variance(width: int, depth: int, skip: float) -> float:
    """Return Var ln ‖z‖² after `depth` layers z' = α z + λ √(2/n) W relu(z), α² + λ² = 1.

    Parameters
    ----------
    width, depth : int
    skip : float
        α, from 0 to 1; λ = √(1 − α²).

    Returns
    -------
    float
        (1/n)[L(4α²λ² + 2λ⁴) + 3λ⁴ Σ_{l,m} ρ(α^|l−m|)], with
        ρ(c) = (2/3π)[(1 + 2c²) arcsin c + 3c √(1 − c²)], to first order in depth/width.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type or out of range.

    References
    ----------
    Li, Nica and Roy, "The future is log-Gaussian: ResNets and their infinite-depth-and-width limit
    at initialization", NeurIPS 2021.

    Examples
    --------
    >>> from vgsim.theory import residual_variance
    >>> print(f"{residual_variance(128, 64, 0.8**0.5):.3f}")
    1.197
    """
    n, depth = checked_int("width", width, 1, 2**31), checked_int("depth", depth, 1, 2**31)
    skip = _SKIP.check("skip", skip)
    branch = 1.0 - skip * skip
    kept = depth if skip == 1 else 1 if skip == 0 else math.ceil(-50.0 / math.log(skip))
    if branch and min(depth, kept) > MOST:
        raise value_error("skip", f"must be less close to 1 at depth {depth}, got {skip!r}")
    distance = np.arange(min(depth, kept) if branch else 1)  # ρ < 1e-21 at larger distances
    c = skip**distance
    rho = 2.0 / (3.0 * math.pi) * ((1 + 2 * c * c) * np.arcsin(c) + 3 * c * np.sqrt(1 - c * c))
    pairs = float(rho @ np.where(distance == 0, depth, 2.0 * (depth - distance)))
    alone = depth * (4.0 * skip * skip * branch + 2.0 * branch * branch)
    return (alone + 3.0 * branch * branch * pairs) / n
