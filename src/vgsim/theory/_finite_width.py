"""Mean and variance of the log gradient ratio at finite width."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from vgsim._checks import COUNTERS, DECADE, value_error
from vgsim._display import Record
from vgsim._domains import checked_int
from vgsim._networks.description import Network, checked_network
from vgsim._networks.sequential import Sequential
from vgsim.theory._equal_mlp import equal_mlp
from vgsim.theory._exact import Widths, layered_law, piecewise_linear
from vgsim.theory._fluctuations import smooth_moments
from vgsim.theory._mixture import linear_factor
from vgsim.theory._network_laws import exact_law
from vgsim.theory._normalised import checked_batch_size, normalised_growth
from vgsim.theory._places import walk
from vgsim.theory._skips import highway_growth, residual_growth
from vgsim.theory._weight_laws import check_weights

__all__ = ["LogGradientMoments", "log_gradient_moments"]


@dataclass(frozen=True, repr=False)
class LogGradientMoments(Record):
    """Mean and variance of X = ln(‖G_0‖²/‖G_D‖²) over random networks that are not dead.

    Attributes
    ----------
    mean : float
    variance : float or None
        None if only the mean is known.
    exact : bool
        Whether both are exact; otherwise they hold in the approximation named by `source`.
    source : str
        The theory that gives the numbers.

    Examples
    --------
    >>> import vgsim
    >>> from vgsim.theory import log_gradient_moments
    >>> found = log_gradient_moments(vgsim.MLP(100, 32, activation="relu", init="he_normal"))
    >>> found.exact, round(found.mean, 3), round(found.variance, 3)
    (True, -8.254, 17.75)
    """

    _meanings: ClassVar[Mapping[str, str]] = {
        "mean": "of X = ln(‖G_0‖²/‖G_D‖²)",
        "variance": "of X",
        "exact": "whether both are exact",
        "source": "the theory that gives them",
    }

    mean: float
    variance: float | None
    exact: bool
    source: str

    @property
    def log10_mean(self) -> float:
        """Mean of R = log10(‖G_0‖/‖G_D‖) = X/(2 ln 10)."""
        return self.mean / DECADE

    @property
    def log10_std(self) -> float | None:
        """Standard deviation of R, or None."""
        return None if self.variance is None else math.sqrt(self.variance) / DECADE


def log_gradient_moments(
    network: Network, batch_size: float | None = None, layer: int = 0
) -> LogGradientMoments:
    """Return mean and variance of ln(‖G_l‖²/‖G_D‖²) over networks that are not dead.

    They hold for the linear loss, normal inputs and, except with batch normalisation, batch size 1.

    - linear, relu, leaky_relu with independent normal weights, or with orthogonal weights and equal
      widths: exact.
    - Any other network without techniques: mean field with the first correction in 1/width, see
      Notes. The correction is that of normal weights; with uniform weights the error of the mean is
      about 0.1/n per layer.
    - norm, residual, highway: the limit of infinite width ln E(‖G_l‖²/‖G_D‖²); no variance. With
      batch normalisation the width must be much larger than the batch size.
    - composed networks: the exact law where there is one, see :func:`exact_law`; the theory of the
      MLP if the list spells one; otherwise the limit of infinite width of :func:`place_moments`,
      without a variance and for any number of columns.

    Parameters
    ----------
    network : MLP or Sequential
    batch_size : int or inf, optional
        Required with batch normalisation: more than 3, and finite with linear and relu only.
        Without batch normalisation it must be 1, except for a composed network.
    layer : int, default 0
        l, from 0 to depth − 1; with residual blocks, the input of a block.

    Returns
    -------
    LogGradientMoments

    Raises
    ------
    TypeError
        If `network` is not a network, or an argument is of the wrong type.
    ValueError
        If no theory applies, or an argument is out of range; the message says why.

    Notes
    -----
    Batch normalisation multiplies the squared gradient by :func:`normalisation_rate` per layer,
    except in two layers. The first layer divides by the variance of the input, not of activations.
    The last layer also removes the mean of G_D over the batch. So for l = 0 the growth is
    rate^(D−1) E φ'² (B−2)/(B−3).

    For a smooth φ and width n, at large depth, the variance per layer is
    (1/n)[A + 2kc/(1 − χ_∥) + k²s/(1 − χ_∥)²] with A = 3 E φ'⁴/(E φ'²)² − 1, k = d ln E φ'²/dq,
    s = σ_w⁴ Var φ² and c = σ_w²(E φ²φ'²/E φ'² − E φ²). A comes from sums over n units, and k from
    fluctuations of the variance q of the pre-activations. The mean per layer is
    ln χ₁ − A/2n + k E δq + ½ (ln E φ'²)'' Var δq + 2 k q E ρ². Here δq = q − q* has the variance
    s/(n(1 − χ_∥²)) and the mean ½ F'' Var δq/(1 − χ_∥), with F the variance map. ρ, the correlation
    of the pre-activations of the tangent vector with those of the network, has
    E ρ² = σ_w⁴ E φ²φ'²/(n q (χ₁ − χ_∥²)). The code propagates these terms from layer to layer,
    which includes the first layers, where q is not yet q*. The error is O(depth/n²): for 200 layers
    of tanh, 0.2 of 11 at width 32, and less than 0.03 at width 100. If the corrections are not
    small, as near χ_∥ = 1, a ValueError is raised.

    References
    ----------
    Schoenholz, Gilmer, Ganguli and Sohl-Dickstein, "Deep information propagation", ICLR 2017. Hanin
    and Nica, "Products of many large random matrices and gradients in deep neural networks", 2020.
    Yang et al., "A mean field theory of batch normalization", ICLR 2019.

    Examples
    --------
    >>> import vgsim
    >>> from vgsim.theory import log_gradient_moments
    >>> net = vgsim.MLP(1000, 100, activation="relu", init="he_normal")
    >>> m = log_gradient_moments(net)
    >>> print(f"{m.mean:.4f} {m.variance:.4f} {m.exact}")
    -25.4209 51.9400 True
    >>> net = vgsim.MLP(1000, 100, activation="tanh", init="lecun_normal", gain=1.5**0.5,
    ...                 bias_std=0.05**0.5)
    >>> m = log_gradient_moments(net)
    >>> print(f"{m.mean:.1f} {m.variance:.1f} {m.source}")
    -79.8 36.1 mean field with its first correction in 1/width
    """
    network = checked_network(network)
    if isinstance(network, Sequential):
        return _composed(network, batch_size, layer)
    if not network.shares_weights and network.clip is None:
        size = _checked_batch(network, batch_size)
        last = network.depth - 1
        layer = checked_int("layer", layer, 0, last, f"depth - 1 = {last}")
        if network.residual and not _exact(network):
            below = residual_growth(network.section(0, layer)) if layer else 0.0
            return _wide(residual_growth(network) - below, "mean field of the blocks")
        if network.highway:
            below = highway_growth(network.section(0, layer)) if layer else 0.0
            return _wide(highway_growth(network) - below, "mean field of the gates")
        if network.norm:
            mean = normalised_growth(network, size, layer)
            return _wide(mean, "mean field of normalised layers")
    if _exact(network):
        law = exact_law(network.section(layer, network.depth))
        return LogGradientMoments(law.mean, law.variance, True, "exact law")
    network = _plain(network, "moments")
    if network.activation.slope_below_zero is not None:
        return _piecewise_linear(network.section(layer, network.depth))
    if network.init.distribution == "orthogonal":
        mean = smooth_moments(network, finite=False, first=layer)[0]
        return _wide(mean, "mean field")
    mean, variance = smooth_moments(network, finite=True, first=layer)
    source = "mean field with its first correction in 1/width"
    if network.init.distribution != "normal":
        source += " for normal weights"
    return LogGradientMoments(float(mean), float(variance), False, source)


def _composed(network: Sequential, batch_size: float | None, layer: int) -> LogGradientMoments:
    """Return the moments of a composed network."""
    last = network.depth - 1
    layer = checked_int("layer", layer, 0, last, f"depth - 1 = {last}")
    if batch_size is None and not network.mixes_examples:
        batch_size = 1
    if batch_size is not None and not math.isinf(batch_size):
        batch_size = network.tokens * checked_int("batch_size", batch_size, 1, COUNTERS - 1)
    if batch_size == 1:
        try:
            law = exact_law(network.section(layer, network.depth))
        except ValueError:
            pass
        else:
            return LogGradientMoments(law.mean, law.variance, True, "exact law")
    spelt = equal_mlp(network)
    if spelt and layer in spelt[1] and (batch_size == 1 or network.mixes_examples):
        return log_gradient_moments(spelt[0], batch_size, spelt[1][layer])
    if network.mixes_examples and not (batch_size and math.isinf(batch_size)):
        raise value_error(
            "batch_size",
            "must be infinite for batch normalisation in a composed network that spells no MLP, "
            f"got {batch_size}",
        )
    found = walk(network)
    if math.isnan(found.growth[layer]):
        raise value_error("network", f"has no mean field: {found.obstacle}")
    return _wide(float(found.growth[layer]), "mean field of the places")


def _checked_batch(network: Network, batch_size: float | None) -> float:
    """Return the batch size; None is 1 without batch normalisation."""
    if network.norm == "batch":
        if batch_size is None:
            raise value_error(
                "batch_size", "must be given for a network with batch normalisation, got None"
            )
        return checked_batch_size(batch_size)
    size = 1 if batch_size is None else checked_int("batch_size", batch_size, 1, COUNTERS - 1)
    if size != 1:
        raise value_error(
            "batch_size",
            f"must be 1 without batch normalisation (there is no theory for batches), got "
            f"{batch_size}",
        )
    return size


def _wide(mean: float, source: str) -> LogGradientMoments:
    """Return the moments of a theory of infinite width: a mean without a variance."""
    return LogGradientMoments(float(mean), None, False, f"{source}, infinite width")


def _exact(network: Network) -> bool:
    """Whether the network has an exact law."""
    try:
        exact_law(network)
    except ValueError:
        return False
    return True


def _plain(network: Network, what: str) -> Network:
    """Return the network if it is an MLP without techniques, else raise ValueError."""
    if network.shares_weights:
        raise value_error(
            "network",
            f"must be an MLP for {what}, because all steps of a recurrent network share their "
            f"weights, got {network!r}",
        )
    for name, value in network.techniques.items():
        raise value_error("network", f"must have no {name} for {what}, got {value!r}")
    return network


def _piecewise_linear(network: Network) -> LogGradientMoments:
    """Return the moments of a piecewise linear network without independent normal weights."""
    slope = network.activation.slope_below_zero
    assert slope is not None
    check_weights(network)
    log_scale = 2.0 * float(np.log(network.weight_stds).sum())
    law = layered_law(Widths.of(network.widths), piecewise_linear(slope), log_scale)
    if network.init.distribution != "orthogonal":
        source = "law of normal weights of that variance"
        return LogGradientMoments(law.mean, law.variance, False, source)
    n, depth = network.width, network.depth
    if not isinstance(n, int):
        raise value_error("network", f"must have equal widths with orthogonal weights, got {n}")
    # Independent normal weights are an orthogonal matrix, which keeps the norm, times √(χ²_n/n).
    _, mean, variance = linear_factor(n).cumulants(0.0)
    mean = law.mean - depth * (mean - math.log(n))
    return LogGradientMoments(mean, max(law.variance - depth * variance, 0.0), True, "exact law")
