"""Which networks have an exactly known law of the gradient ratio."""

from __future__ import annotations

import math
from functools import partial

from vgsim._checks import value_error
from vgsim._networks.description import Network, checked_network
from vgsim.theory._mixture import Mixture, noncentral_factor
from vgsim.theory._product import ProductLaw, Widths, layered_law, piecewise_linear

__all__ = ["exact_law"]


def _linear_residual(network: Network) -> bool:
    """Whether every layer is X = s x + c H."""
    residual = network.residual
    return (
        residual is not None
        and residual.every == 1
        and network.norm is None
        and network.activation.slope_below_zero == 1
    )


def _obstacle(network: Network) -> str | None:
    """Return why the network has no exact law here, or None."""
    if network.shares_weights:
        return "an RNN shares its weights between the steps"
    if network.init.distribution != "normal":
        return f"init={network.init.name!r} does not draw independent normal weights"
    if network.activation.slope_below_zero is None:
        return f"activation={network.activation.name!r} is not 'linear', 'relu' or 'leaky_relu'"
    for name in ("norm", "highway", "clip"):
        if getattr(network, name) is not None:
            return f"{name}={getattr(network, name)!r} makes the layers depend on each other"
    if network.residual is not None and not _linear_residual(network):
        return f"residual={network.residual!r} has one only with every=1 and activation='linear'"
    return None


def exact_law(network: Network) -> ProductLaw:
    """Return the exact law of ln(‖G_0‖²/‖G_D‖²), for networks that have one.

    Those are MLPs with independent normal weights of any scale, any widths and any normal biases,
    with activation linear, relu or leaky_relu; and linear networks with skip connections around
    each layer. For a batch of one and the linear loss (a normal cotangent, independent of the
    network); the law does not depend on the input.

    Parameters
    ----------
    network : MLP

    Returns
    -------
    ProductLaw

    Raises
    ------
    TypeError
        If `network` is neither an MLP nor an RNN.
    ValueError
        If no exact law is known; the message says why.

    Notes
    -----
    With S_j = χ²_K + slope² χ²_{n−K}, K ~ Binomial(n_j, ½), all independent, and s_l the standard
    deviation of the weights, ‖G_0‖²/‖G_D‖² is Π s_l² S_D T / χ²_{n_D} · S_{D−1} … S_1 in law,
    where T ~ χ²_{n_0} and S_D/χ²_{n_D} is independent of its denominator: for n_0 = n_D just
    Π s_l² S_l.

    References
    ----------
    Hanin and Nica, "Products of many large random matrices and gradients in deep neural networks",
    Communications in Mathematical Physics 376, 2020.

    Examples
    --------
    >>> import vgsim
    >>> from vgsim.theory import exact_law
    >>> net = vgsim.MLP(100, 32, activation="relu", init="he_normal")
    >>> f"{exact_law(net).probability('vanishing', threshold=1e-3):.6f}"
    '0.094492'
    >>> exact_law(vgsim.MLP(100, 32, activation="tanh"))
    Traceback (most recent call last):
    ValueError: network has no exact law: activation='tanh' is not 'linear', 'relu' or 'leaky_relu'
    """
    network = checked_network(network)
    obstacle = _obstacle(network)
    slope = network.activation.slope_below_zero
    if obstacle or slope is None:
        raise value_error("network", f"has no exact law: {obstacle}")
    log_scale = 2.0 * sum(math.log(std) for std in network.weight_stds.tolist())
    factor = piecewise_linear(slope)
    if network.residual:
        branch = abs(network.residual.branch_scale(network.depth))
        log_scale += 2.0 * network.depth * math.log(branch)
        factor = partial(_skipped, (network.residual.skip / branch / network.weight_stds[0]) ** 2)
    return layered_law(Widths.of(network.widths), factor, log_scale)


def _skipped(noncentrality: float, n: int) -> Mixture:
    """Return the factor of a layer with a skip connection."""
    if noncentrality == 0:
        return piecewise_linear(1.0)(n)
    if noncentrality > 1e7:
        raise value_error(
            "network",
            "has no exact law: the skip connection outweighs its branch more than 1e7 times",
        )
    return noncentral_factor(n, noncentrality)
