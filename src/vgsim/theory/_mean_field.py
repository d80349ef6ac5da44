"""Mean-field theory: signals and gradients in networks of infinite width."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from vgsim._checks import value_error
from vgsim._display import Record
from vgsim._networks.activations import Activation
from vgsim._networks.description import Network, checked_network
from vgsim.theory._correlation_map import CRITICAL, correlation_fixed_point
from vgsim.theory._variance_map import chi, chi_parallel, fixed_point
from vgsim.theory._weight_laws import check_weights
from vgsim.typing import Phase

__all__ = ["MeanField", "mean_field"]


@dataclass(frozen=True, repr=False)
class MeanField(Record):
    """The mean-field theory of a network; the result of :func:`mean_field`.

    Attributes
    ----------
    activation : Activation
    sigma_w, sigma_b : float
        Standard deviation of a weight times √fan_in, and of a bias (in an RNN with the drive).
    q_star : float
        Variance of the pre-activations in the limit of depth, from 0 to infinity.
    chi_1 : float
        χ₁ = σ_w² E φ'²: growth of E ‖G‖² from a layer to the one below.
    chi_parallel : float
        Slope of the variance map at q*.
    c_star : float
        Correlation of two inputs in the limit of depth; nan if every correlation is a fixed point.
    chi_c : float
        Slope of the correlation map at c*.
    xi_q, xi_c, xi_grad : float
        Number of layers in which q − q*, c − c* and E ‖G‖² change e-fold: 1/|ln χ|, infinite if
        χ = 1. xi_grad is of the squared norm.
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

    _meanings: ClassVar[Mapping[str, str]] = {
        "sigma_w": "standard deviation of a weight × √fan_in",
        "sigma_b": "standard deviation of a bias",
        "q_star": "variance of the pre-activations in the limit of depth",
        "chi_1": "growth of E‖G‖² from a layer to the one below",
        "chi_parallel": "slope of the variance map at q*",
        "c_star": "correlation of two inputs in the limit of depth",
        "chi_c": "slope of the correlation map at c*",
        "xi_q": "layers in which q − q* changes e-fold",
        "xi_c": "layers in which c − c* changes e-fold",
        "xi_grad": "layers in which E‖G‖² changes e-fold",
        "phase": "ordered: gradients vanish; chaotic: they explode",
    }

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
    phase: Phase


def mean_field(network: Network, q_0: float = 1.0) -> MeanField:
    """Return the mean-field theory of a network: fixed points, slopes, depth scales, phase.

    The theory is that of Poole et al. 2016 and Schoenholz et al. 2017. It is exact for infinite
    width at a fixed depth; :func:`log_gradient_moments` has corrections for finite width. It
    depends on the laws of weights and biases through their variances only. For an RNN it is an
    approximation: weights, which all steps share, are treated as independent at every step, and the
    drive as a bias that is equal for two inputs.

    Parameters
    ----------
    network : MLP or RNN
        Without norm, residual, highway and clip, and with the same σ_w and σ_b in every layer.
    q_0 : float, default 1.0
        Initial variance of the pre-activations; it selects the fixed point if the variance map has
        more than one.

    Returns
    -------
    MeanField

    Raises
    ------
    TypeError
        If `network` is not a network.
    ValueError
        If the theory does not apply to the network; the message says why. For composed networks
        there is :func:`place_moments`.

    Notes
    -----
    ‖G‖² grows by χ₁ per layer as the width goes to infinity at a fixed depth. Its component along
    the signal, initially of order 1/n, grows by χ_∥². If χ_∥² > χ₁ (in the ordered phase: softplus,
    and GELU, SiLU, Mish and hard swish below a jump of q*), this component dominates after about
    ln(n)/ln(χ_∥²/χ₁) layers.

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
    if network.activation is None:
        raise value_error(
            "network",
            "must be an MLP or an RNN for this mean field, which has one activation; for composed "
            f"networks there is place_moments; got {network!r}",
        )
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
        xi_q=depth_scale(slope),
        xi_c=depth_scale(chi_c),
        xi_grad=math.inf if critical else depth_scale(chi_1),
        phase="critical" if critical else "ordered" if chi_1 < 1 else "chaotic",
    )


def depth_scale(slope: float) -> float:
    """Return 1/|ln slope|: infinite at 1, up to rounding, and 0 at 0."""
    if slope <= 0:
        return 0.0
    return math.inf if abs(slope - 1.0) <= 1e-12 else 1.0 / abs(math.log(slope))


def _sigmas(network: Network) -> tuple[float, float]:
    """Return σ_w and σ_b; ValueError if they differ between layers."""
    if network.init.distribution == "identity":
        raise value_error(
            "network", "must have random weights for a mean field, got the init 'identity'"
        )
    if network.leak != 1:
        raise value_error("network", f"must have leak 1 for this mean field, got {network.leak!r}")
    check_weights(network)
    for name, value in network.techniques.items():
        raise value_error("network", f"must have no {name} for this mean field, got {value!r}")
    if isinstance(network.width, int):
        fans, one = [network.width], network.with_depth(1)
        stds, limits = one.weight_stds, one.bias_limits
    else:
        fans = list(network.widths[:-1])
        stds, limits = network.weight_stds, network.bias_limits
    sigmas_w = [float(s) * math.sqrt(n) for s, n in zip(stds, fans, strict=True)]
    count = 2 if network.init.is_recurrent else 1  # uniform biases of a unit
    sigmas_b = [
        math.hypot(network.bias_std, float(b) * math.sqrt(count / 3.0), network.input_std)
        for b in limits
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
