"""Growth of the gradient through normalised layers, in wide networks."""

from __future__ import annotations

import math

from vgsim._activations import Activation, as_activation
from vgsim._network import MLP, NORMS
from vgsim.theory._gaussian import gaussian_mean

__all__ = ["normalisation_rate", "normalised_growth", "unit_means"]


def unit_means(activation: Activation, variance: float = 1.0) -> tuple[float, float, float]:
    """Return E φ, E φ² and E φ'² under N(0, variance)."""
    return (
        gaussian_mean(activation.value, variance, activation),
        gaussian_mean(lambda h: activation.value(h) ** 2, variance, activation),
        gaussian_mean(lambda h: activation.derivative(h) ** 2, variance, activation),
    )


def normalisation_rate(
    norm: str, activation: str | Activation, batch_size: float = math.inf
) -> float:
    """Return the growth of the squared gradient norm, a layer, with normalised pre-activations.

    For width → ∞, without bias, and norm_eps = 0. The scale of the weights is without effect.

    Parameters
    ----------
    norm : {"batch", "layer", "rms"}
    activation : str or Activation
    batch_size : int or inf, default inf
        For batch normalisation: B > 3, and finite only with linear and relu. The width must be
        much larger than B.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If an argument is out of range, or no closed form is known.

    Notes
    -----
    Layer and RMS normalisation: E φ'²/E φ² with a standard normal argument. Batch normalisation of
    large batches: E φ'²/Var φ; it explodes whatever φ, as E φ'² > Var φ by Poincaré's inequality
    for all but the linear one.

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
    if norm not in NORMS:
        raise ValueError(f"norm must be one of {', '.join(map(repr, NORMS))}, got {norm!r}")
    mean, square, slope = unit_means(phi)
    if norm != "batch":
        return slope / square
    if not batch_size > 3:
        raise ValueError(
            f"batch_size must be more than 3 for a finite mean growth, got {batch_size}"
        )
    if math.isinf(batch_size):
        return slope / (square - mean * mean)
    if phi.name == "linear":
        return (batch_size - 2.0) / (batch_size - 3.0)
    if phi.name == "relu":
        return _batch_relu(batch_size)
    raise ValueError(
        "activation must be 'linear' or 'relu' at a finite batch_size, or batch_size must be inf, "
        f"got {phi.name!r} with batch_size={batch_size}"
    )


def _batch_relu(b: float) -> float:
    """Return the growth for relu, from the symmetric fixed point of the batch's Gram matrix."""
    c = -1.0 / (b - 1.0)  # cosine between two examples after normalisation
    kernel = (math.sqrt(1.0 - c * c) + (math.pi - math.acos(c)) * c) / math.pi
    both_on = 0.25 + math.asin(c) / (2.0 * math.pi)
    share = (b - 1.0) / b
    total = share**2 * b / 2.0 + both_on * share - 0.5 + (0.5 + (b - 1.0) * kernel / 2.0) / b
    return 2.0 * b * total / ((1.0 - kernel) * (b - 3.0) * (b - 1.0))


def normalised_growth(network: MLP, batch_size: float) -> float:
    """Return ln(‖G_0‖²/‖G_D‖²) of a wide network with a norm and neither skips nor gates."""
    phi, depth = network.activation, network.depth
    if network.norm == "batch":
        return depth * math.log(normalisation_rate("batch", phi, batch_size))
    growth, x_square = 0.0, 1.0
    sigma_b_square = network.bias_std**2 + network.bias_limits**2 / 3.0
    power = network.weight_stds**2 * [float(n) for n in network.widths[:-1]]
    for w, b in zip(power.tolist(), sigma_b_square.tolist(), strict=True):
        q = w * x_square + b
        scale = q + network.norm_eps
        _, x_square, slope = unit_means(phi, q / scale)
        growth += math.log(w * slope / scale)
    return growth
