"""The exact laws of networks whose layers are independent: MLPs and composed networks."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial

from vgsim._checks import value_error
from vgsim._networks.description import Network, checked_network
from vgsim._networks.operations import Activate, Bias, Mask, Operation, Weights
from vgsim._networks.sequential import Sequential
from vgsim.theory._exact import Widths, layered_law, piecewise_linear
from vgsim.theory._mixture import Mixture, noncentral_factor, relu_factor
from vgsim.theory._product import ProductLaw

__all__ = ["dead_below", "exact_law"]


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
    """Return why no exact law of the network is known, or None."""
    if network.shares_weights:
        return "all steps of a recurrent network share their weights"
    if network.init.distribution != "normal":
        return f"the init {network.init.name!r} does not draw independent normal weights"
    if network.activation.slope_below_zero is None:
        return f"the activation {network.activation.name!r} is not piecewise linear"
    for name, value in network.techniques.items():
        if name != "residual":
            return f"the {name} {value!r} makes the layers depend on each other"
        if not _linear_residual(network):
            return f"skip connections must be around each layer of a linear network, got {value!r}"
    return None


def exact_law(network: Network) -> ProductLaw:
    """Return the exact law of ln(‖G_0‖²/‖G_D‖²), for networks whose exact law is known.

    These are MLPs with independent normal weights, any gain, widths and normal biases, and
    activation linear, relu or leaky_relu; linear networks with skip connections around each layer;
    and composed networks of Linear layers with such weights, each followed by at most one of these
    activations and, behind linear and relu, by `Dropout`. The law holds for batch size 1 (one
    column) and the linear loss (G_D normal and independent of the network), and does not depend on
    the input.

    Parameters
    ----------
    network : MLP or Sequential

    Returns
    -------
    ProductLaw

    Raises
    ------
    TypeError
        If `network` is not a network.
    ValueError
        If no exact law is known; the message says why.

    Notes
    -----
    With S_j = χ²_K + slope² χ²_{n−K}, K ~ Binomial(n_j, ½), all independent, and s_l the standard
    deviation of the weights, ‖G_0‖²/‖G_D‖² has the law of Π_l s_l² · S_1 … S_{D−1} S_D T/χ²_{n_D},
    where T ~ χ²_{n_0} and S_D/χ²_{n_D} is independent of χ²_{n_D}. For n_0 = n_D this is
    Π_l s_l² S_l.

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
    >>> layer = [vgsim.Linear(init="he_normal"), "relu", vgsim.Dropout(0.1)]
    >>> exact_law(vgsim.Sequential(100, layer * 10))
    <ProductLaw: 10 factors, mean 0.764684, variance 0.592255>
    >>> exact_law(vgsim.MLP(100, 32, activation="tanh"))
    Traceback (most recent call last):
    ValueError: network has no exact law: the activation 'tanh' is not piecewise linear
    """
    network = checked_network(network)
    if isinstance(network, Sequential):
        return _chain_law(network)
    if obstacle := _obstacle(network):
        raise value_error("network", f"has no exact law: {obstacle}")
    slope = network.activation.slope_below_zero
    log_scale = 2.0 * sum(math.log(std) for std in network.weight_stds.tolist())
    factor = piecewise_linear(slope)
    if network.residual:
        branch = abs(network.residual.branch_scale(network.depth))
        log_scale += 2.0 * network.depth * math.log(branch)
        ratio = network.residual.skip / branch / float(network.weight_stds[0])
        factor = partial(_skipped, ratio * ratio)
    return layered_law(Widths.of(network.widths), factor, log_scale)


def _skipped(noncentrality: float, n: int) -> Mixture:
    """Return the factor of a layer with a skip connection."""
    if noncentrality == 0:
        return piecewise_linear(1.0)(n)
    if noncentrality > 1e7:
        raise value_error(
            "network",
            "has no exact law: (skip/branch)² over the variance of a weight must be at most 1e7, "
            f"got {noncentrality:.3g}",
        )
    return noncentral_factor(n, noncentrality)


@dataclass(frozen=True)
class _Link:
    """A layer of n units with normal weights: a slope below 0, and dropout."""

    n: int
    slope: float = 1.0
    kept: float = 1.0

    @property
    def passing(self) -> float:
        """The probability that a unit passes."""
        return self.kept / 2.0 if self.slope == 0 else self.kept

    @property
    def factor(self) -> Mixture:
        """The law of the sum of the squares that pass."""
        if self.kept == 1:
            return piecewise_linear(self.slope)(self.n)
        return relu_factor(self.n, self.passing)

    @property
    def dead_probability(self) -> float:
        """The probability that no unit passes."""
        return (1.0 - self.passing) ** self.n


def _chain_law(network: Sequential) -> ProductLaw:
    """Return the exact law of a chain of Linear, activation and Dropout."""
    links, log_scale = _links(network)
    counts = Counter(links)
    last = links[-1]  # first, where a product of unequal widths looks for it
    factors = [(last.factor, counts.pop(last))] + [(k.factor, c) for k, c in counts.items()]
    return ProductLaw(factors, log_scale, network.width, last.n)


def dead_below(network: Network, layer: int) -> float:
    """Return the probability that one of the layers 1 … l, and so the whole network, is dead.

    For ReLU without biases; then the output of a dead layer and of all layers above it is 0. In a
    composed network l is a place, and a ReLU must lie above it too.

    Examples
    --------
    >>> import vgsim
    >>> from vgsim.theory._network_laws import dead_below
    >>> dead_below(vgsim.MLP(3, 4, activation="relu"), 1)
    0.0625
    """
    if layer == 0 or layer == network.depth:
        return 0.0
    if isinstance(network, Sequential):
        return _dead_chain(network, layer)
    dies = network.activation.slope_below_zero == 0
    if not dies or network.bias_std > 0 or network.residual is not None:
        return 0.0
    alive = sum(math.log1p(-(0.5**n)) for n in network.widths[1 : layer + 1])
    return -math.expm1(alive)


def _dead_chain(network: Sequential, place: int) -> float:
    """Return the probability that ReLU layers up to a place give 0, if another one lies above."""
    try:
        links, _ = _links(network.section(0, place))
        above, _ = _links(network.section(place, network.depth))
    except ValueError:
        return 0.0
    if network.program.of(Bias) or not any(link.slope == 0 for link in above):
        return 0.0
    alive = sum(math.log1p(-p) for link in links if (p := link.dead_probability) > 0)
    return -math.expm1(alive)


def _links(network: Sequential) -> tuple[list[_Link], float]:
    """Return the layers of a chain, and the sum of ln of their variances and of 1/kept²."""
    if network.clip is not None:
        raise value_error("network", f"has no exact law: it has clip {network.clip!r}")
    links: list[_Link] = []
    log_scale = 0.0
    for operation in _operations(network):
        if isinstance(operation, Weights) and operation.law == "normal":
            links.append(_Link(operation.shape[0]))
            log_scale += 2.0 * math.log(operation.std)
            continue
        found = _passing(links[-1], operation) if links else None
        if found is None:
            raise value_error(
                "network", f"has no exact law: {_chain_obstacle(operation, bool(links))}"
            )
        if isinstance(operation, Mask):
            log_scale -= 2.0 * math.log(1.0 - operation.rate)
        links[-1] = found
    return links, log_scale


def _passing(link: _Link, operation: Operation) -> _Link | None:
    """Return the layer with one more operation behind it, or None if there is no exact law."""
    if isinstance(operation, Bias) and operation.limit == 0:
        return link
    if isinstance(operation, Activate):
        slope = operation.activation.slope_below_zero
        if slope is None or not (link.slope == 1 or slope == 1 or link.slope == slope == 0):
            return None
        found = link if abs(slope) == 1 else replace(link, slope=slope)
    elif isinstance(operation, Mask):
        found = replace(link, kept=link.kept * (1.0 - operation.rate))
    else:
        return None
    return found if found.kept == 1 or found.slope in (0, 1) else None


def _chain_obstacle(operation: Operation, after_weights: bool) -> str:
    kind = type(operation).__name__
    if isinstance(operation, Activate):
        kind = operation.activation.name
    if isinstance(operation, Weights):
        kind = f"weights of the law {operation.law!r}"
    return f"{kind} {'is not part of a chain' if after_weights else 'comes before the weights'}"


def _operations(network: Sequential) -> Iterator[Operation]:
    """Return the operations of all places."""
    program = network.program
    for body in program.order.tolist():
        yield from program.bodies[body]
