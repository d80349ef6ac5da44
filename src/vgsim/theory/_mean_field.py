"""Mean field: what happens to signals and gradients in an infinitely wide network."""

from __future__ import annotations

import math
from dataclasses import dataclass

from vgsim._checks import value_error
from vgsim._networks.activations import Activation
from vgsim._networks.description import Network, checked_network
from vgsim.theory._correlation_map import CRITICAL, correlation_fixed_point
from vgsim.theory._variance_map import chi, chi_parallel, fixed_point

__all__ = ["MeanField", "mean_field"]


@dataclass(frozen=True)
class MeanField:
    """What :func:`mean_field` returns.

    Attributes
    ----------
    activation : Activation
    sigma_w, sigma_b : float
        Standard deviation of a weight times √fan_in, and of a bias (with an RNN's drive).
    q_star : float
        Variance of the pre-activations far from the input; 0 and infinity are possible.
    chi_1 : float
        χ₁ = σ_w² E φ'²: growth of E ‖G‖² from a layer to the one before.
    chi_parallel : float
        Slope of the variance map at q*.
    c_star : float
        Correlation of two inputs far from the input; nan where every correlation is kept.
    chi_c : float
        Slope of the correlation map at c*.
    xi_q, xi_c, xi_grad : float
        Layers in which the distance of q from q*, that of c from c*, and E ‖G‖² (natural units, of
        the squared norm), change e-fold: 1/|ln χ|, infinite where χ = 1.
    phase : {"ordered", "critical", "chaotic"}
        Gradients vanish (χ₁ < 1), keep their norm (|χ₁ - 1| ≤ 1e-6) or explode (χ₁ > 1).

    Examples
    --------
    >>> import vgsim.theory
    >>> net = vgsim.MLP(100, 64, activation="relu", init="lecun_normal")
    >>> m = vgsim.theory.mean_field(net)
    >>> m.chi_1, m.phase, round(m.xi_grad, 4)
    (0.5, 'ordered', 1.4427)
    """

    activation: Activation
    sigma_w: float
    sigma_b: float
    q_star: float
    chi_1: float
    chi_parallel: float
    c_star: float
    chi_c: float
    xi_q: float
    xi_c: float
    xi_grad: float
    phase: str


def mean_field(network: Network, q_0: float = 1.0) -> MeanField:
    """Return the mean-field theory of a network: fixed points, slopes, depth scales, phase.

    Poole et al. 2016 and Schoenholz et al. 2017. It is exact for infinite width, at a fixed depth;
    what a finite width adds is in :func:`log_gradient_moments`. The laws of weights and biases
    matter by their variances alone. An RNN is taken as if its weights were drawn anew at each step,
    and its drive counts as a bias (the same for two inputs): in reality they are shared.

    Parameters
    ----------
    network : MLP or RNN
        Without norm, residual, highway and clip, and with the same σ_w and σ_b in every layer.
    q_0 : float, default 1.0
        Variance of the pre-activations to start from; it matters where the variance map has more
        than one fixed point.

    Returns
    -------
    MeanField

    Raises
    ------
    TypeError
        If `network` is neither an MLP nor an RNN.
    ValueError
        If the network has something that this theory is not for; the message says what.

    Notes
    -----
    ‖G‖² grows by χ₁ a layer as the width goes to infinity at a fixed depth. Its part along the
    signal itself, of order 1/n at first, grows by χ_∥²; where χ_∥² > χ₁ (in the ordered phase:
    softplus, and GELU and SiLU below a jump of q*) it prevails from some ln(n)/ln(χ_∥²/χ₁) layers
    on.

    Examples
    --------
    >>> import vgsim
    >>> from vgsim.theory import mean_field
    >>> net = vgsim.MLP(100, 256, activation="tanh", init="lecun_normal", gain=1.0,
    ...                 bias_std=0.05**0.5)
    >>> m = mean_field(net)
    >>> round(m.q_star, 6), round(m.chi_1, 6), round(m.xi_grad, 4), m.phase
    (0.193593, 0.759032, 3.627, 'ordered')

    The default initialisation of PyTorch has σ_w² = 1/3, and biases of variance 1/(3 width): for
    tanh χ₁ is 1/3 in the limit of wide layers, and less at any width.

    >>> net = vgsim.MLP(100, 256, activation="tanh", init="torch_default")
    >>> round(mean_field(net).chi_1, 4)
    0.332
    """
    network = checked_network(network)
    sigma_w, sigma_b = _sigmas(network)
    activation = network.activation
    q_star = fixed_point(activation, sigma_w, sigma_b, q_0)
    chi_1 = chi(activation, sigma_w, q_star)
    slope = chi_parallel(activation, sigma_w, q_star)
    c_star, chi_c = correlation_fixed_point(activation, sigma_w, sigma_b, q_star)
    critical = abs(chi_1 - 1.0) <= CRITICAL
    return MeanField(
        activation=activation,
        sigma_w=sigma_w,
        sigma_b=sigma_b,
        q_star=q_star,
        chi_1=chi_1,
        chi_parallel=slope,
        c_star=c_star,
        chi_c=chi_c,
        xi_q=_depth_scale(slope),
        xi_c=_depth_scale(chi_c),
        xi_grad=math.inf if critical else _depth_scale(chi_1),
        phase="critical" if critical else "ordered" if chi_1 < 1 else "chaotic",
    )


def _depth_scale(slope: float) -> float:
    """1/|ln slope|; infinite at 1, up to rounding, and 0 at 0."""
    if slope <= 0:
        return 0.0
    return math.inf if abs(slope - 1.0) <= 1e-12 else 1.0 / abs(math.log(slope))


def _sigmas(network: Network) -> tuple[float, float]:
    """σ_w and σ_b, if they are the same in every layer."""
    if network.init.distribution == "identity":
        raise value_error(
            "network", "must have random weights for a mean field, got the init 'identity'"
        )
    for name, value in network.techniques.items():
        raise value_error("network", f"must have no {name} for this mean field, got {value!r}")
    if isinstance(network.width, int):
        fans, one = [network.width], network.with_depth(1)
        stds, limits = one.weight_stds, one.bias_limits
    else:
        fans = list(network.widths[:-1])
        stds, limits = network.weight_stds, network.bias_limits
    sigmas_w = [float(s) * math.sqrt(n) for s, n in zip(stds, fans, strict=True)]
    sigmas_b = [
        math.hypot(network.bias_std, float(b) / math.sqrt(3.0), network.input_std) for b in limits
    ]
    for name, values in (("sigma_w", sigmas_w), ("sigma_b", sigmas_b)):
        low, high = min(values), max(values)
        if high - low > 1e-9 * high:
            raise value_error(
                "network",
                f"must have the same {name} in every layer for a mean field, got values from "
                f"{low:.6g} to {high:.6g}",
            )
    return sigmas_w[0], sigmas_b[0]
