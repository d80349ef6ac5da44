"""Growth of the gradient through normalised layers, in wide networks."""

from __future__ import annotations

import math
from typing import get_args

from vgsim._checks import value_error
from vgsim._domains import Choice, Number
from vgsim._networks.activations import Activation, as_activation
from vgsim._networks.description import Network
from vgsim.theory._gaussian import gaussian_mean
from vgsim.theory._variance_map import layer_variances
from vgsim.theory._weight_laws import check_weights
from vgsim.typing import ActivationName, NormKind

__all__ = ["checked_batch_size", "normalisation_rate", "normalised_growth", "unit_means"]

_NORM: Choice[NormKind] = Choice(get_args(NormKind))
_BATCH_SIZE = Number("more than 3 for a finite mean growth, or infinite", lambda b: b > 3)


def unit_means(activation: Activation, variance: float = 1.0) -> tuple[float, float, float]:
    """Return E φ, E φ² and E φ'² under N(0, variance)."""
    return (
        gaussian_mean(activation.value, variance, activation),
        gaussian_mean(lambda h: activation.value(h) ** 2, variance, activation),
        gaussian_mean(lambda h: activation.derivative(h) ** 2, variance, activation),
    )


def normalisation_rate(
    norm: NormKind, activation: ActivationName | Activation, batch_size: float = math.inf
) -> float:
    """Return the growth of the squared gradient norm per layer, with normalised pre-activations.

    For width → ∞, without biases, and norm_eps = 0. The scale of the weights has no effect.

    Parameters
    ----------
    norm : {"batch", "layer", "rms"}
    activation : str or Activation
    batch_size : int or inf, default inf
        For batch normalisation: B > 3, and finite with linear and relu only. The width must be
        much larger than B.

    Returns
    -------
    float

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type or out of range, or no closed form is known.

    Notes
    -----
    Layer and RMS normalisation: E φ'²/E φ² with a standard normal argument. Batch normalisation of
    large batches: E φ'²/Var φ. This is above 1 for every nonlinear φ, by Poincaré's inequality
    E φ'² > Var φ, so the gradient explodes.

    References
    ----------
    Yang, Pennington, Rao, Sohl-Dickstein and Schoenholz, "A mean field theory of batch
    normalization", ICLR 2019, Theorem 8.

    Examples
    --------
    >>> from vgsim.theory import normalisation_rate
    >>> print(f"{normalisation_rate('batch', 'relu', 8):.6f}")
    1.788190
    >>> print(f"{normalisation_rate('layer', 'tanh'):.6f}")
    1.177807
    """
    phi = as_activation(activation)
    norm = _NORM.check("norm", norm)
    mean, square, slope = unit_means(phi)
    if norm != "batch":
        return slope / square
    batch_size = checked_batch_size(batch_size)
    if math.isinf(batch_size):
        return slope / (square - mean * mean)
    if phi.slope_below_zero == 1:
        return (batch_size - 2.0) / (batch_size - 3.0)
    if phi.slope_below_zero == 0:
        return _batch_relu(batch_size)
    raise value_error(
        "activation",
        "must be 'linear' or 'relu' at a finite batch size, or the batch size infinite, got "
        f"{phi.name!r} with a batch size of {batch_size:g}",
    )


def checked_batch_size(batch_size: object) -> float:
    """Return a batch size > 3 or infinity."""
    if isinstance(batch_size, float) and math.isinf(batch_size) and batch_size > 0:
        return math.inf
    return _BATCH_SIZE.check("batch_size", batch_size)


def _batch_relu(b: float) -> float:
    """Return the growth for relu, from the symmetric fixed point of the Gram matrix of a batch."""
    c = -1.0 / (b - 1.0)  # cosine between two examples after normalisation
    both_on = 0.25 + math.asin(c) / (2.0 * math.pi)
    share = (b - 1.0) / b
    kernel = _arc_cosine(c)
    total = share**2 * b / 2.0 + both_on * share - 0.5 + (0.5 + (b - 1.0) * kernel / 2.0) / b
    return 2.0 * b * total / ((1.0 - kernel) * (b - 3.0) * (b - 1.0))


def _arc_cosine(c: float) -> float:
    """Return 2 E relu(u) relu(v), u and v standard normal of correlation c."""
    return (math.sqrt(1.0 - c * c) + (math.pi - math.acos(c)) * c) / math.pi


def normalised_growth(network: Network, batch_size: float, layer: int = 0) -> float:
    """Return ln(‖G_l‖²/‖G_D‖²) of a wide network with a norm and neither skips nor gates."""
    if network.norm == "batch":
        return _batch_growth(network, batch_size, layer)
    phi = network.activation
    growth, x_square = 0.0, 1.0
    power, sigma_b_square = layer_variances(network, most=1e100)
    for l, (w, b) in enumerate(zip(power.tolist(), sigma_b_square.tolist(), strict=True)):
        q = w * x_square + b
        scale = q + network.norm_eps
        _, x_square, slope = unit_means(phi, q / scale)
        if l >= layer:
            growth += math.log(w * slope / scale)
    return growth


def _batch_growth(network: Network, batch_size: float, layer: int) -> float:
    """Return ln(‖G_l‖²/‖G_D‖²) with batch normalisation.

    It is the rate per layer, except in the first and the last layer. The first layer divides by the
    variance of the normal inputs, 1, the others by that of activations. A gradient that has passed
    a layer has mean 0 over the batch. G_D does not, so the last layer also removes its mean.
    """
    check_weights(network)
    phi, b = network.activation, batch_size
    rate = normalisation_rate("batch", phi, b)
    mean, square, slope = unit_means(phi)
    if math.isinf(b):
        last, variance = slope, square - mean * mean
    else:  # normalisation_rate allows linear and relu only
        c = -1.0 / (b - 1.0)
        variance = 1.0 - c if phi.slope_below_zero == 1 else (1.0 - _arc_cosine(c)) / 2.0
        last = slope * (b - 2.0) / (b - 3.0)
    growth = (network.depth - layer - 1) * math.log(rate) + math.log(last)
    return growth if layer == 0 else growth - math.log(variance)
