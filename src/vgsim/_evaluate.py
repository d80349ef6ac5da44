"""One network, given by its weights: every quantity that vgsim records, in readable NumPy.

This is the definition that the kernels are tested against. It knows nothing of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vgsim._network import MLP
from vgsim._sampling import checked_layers
from vgsim._scaled import Array, Scaled, activated, added, backpropagated, outer, scaled

__all__ = ["Evaluation", "evaluate"]

SATURATED = 0.05  # of the steepest slope: below it a unit counts as saturated


@dataclass(frozen=True, eq=False)
class Evaluation:
    r"""What :func:`evaluate` returns: one network's forward and backward pass.

    With G_l = ∂L/∂x_l and k recorded layers, k' of them weight layers (l ≥ 1); -inf is the
    logarithm of an exact zero.

    Attributes
    ----------
    layers : ndarray of int, (k,)
        The recorded layers, in the order asked for.
    weight_layers : ndarray of int, (k',)
        The recorded layers l ≥ 1, in the same order.
    gradient : ndarray, (k,)
        log10 ‖G_l‖.
    output_gradient : float
        log10 ‖G_D‖.
    weight_gradient : ndarray, (k',)
        log10 ‖∂L/∂W_l‖ (Frobenius).
    update_ratio : ndarray, (k',)
        log10 (‖∂L/∂W_l‖ / ‖W_l‖); +inf where W_l is zero and its gradient is not.
    activation : ndarray, (k,)
        log10 of the root mean square of x_l.
    saturation : ndarray, (k',)
        Fraction of units of layer l with \|φ'(h)\| < 0.05 max \|φ'\|.
    dead : bool
        Whether G_0 is exactly zero: every path is closed.

    Examples
    --------
    >>> import vgsim
    >>> net = vgsim.MLP(depth=2, width=1, activation="relu")
    >>> result = vgsim.evaluate(net, [[[0.1]], [[0.1]]], None, [1.0], [1.0])
    >>> result.log10_ratio.round(12)
    array([-2., -1.,  0.])
    >>> result.dead
    False
    >>> result
    <Evaluation: 3 layers from 0 to 2, gradient (3,), weight_gradient (2,), dead False>
    """

    layers: NDArray[np.int64]
    weight_layers: NDArray[np.int64]
    gradient: Array
    output_gradient: float
    weight_gradient: Array
    update_ratio: Array
    activation: Array
    saturation: Array
    dead: bool

    def __repr__(self) -> str:
        k = self.layers.size
        layers = f"layer {self.layers[0]}" if k == 1 else f"{k} layers"
        if k > 1:
            layers += f" from {self.layers.min()} to {self.layers.max()}"
        return (
            f"<Evaluation: {layers}, gradient {self.gradient.shape}, "
            f"weight_gradient {self.weight_gradient.shape}, dead {self.dead}>"
        )

    @property
    def log10_ratio(self) -> Array:
        """log10 (‖G_l‖ / ‖G_D‖), (k,)."""
        return self.gradient - self.output_gradient


def evaluate(
    network: MLP,
    weights: Iterable[ArrayLike],
    biases: Iterable[ArrayLike | None] | None,
    inputs: ArrayLike,
    output_gradient: ArrayLike,
    *,
    layers: Iterable[int] | None = None,
) -> Evaluation:
    r"""Run one network forward and backward on weights that you give.

    Only the widths and the activation of `network` are used. Vectors carry a binary exponent beside
    their mantissa, so that no depth and no scale of the weights underflows or overflows.

    Parameters
    ----------
    network : MLP
        The architecture: depth D, widths n_0 … n_D and activation φ.
    weights : sequence of D arrays
        W_1 … W_D, of shape (n_l, n_{l-1}).
    biases : sequence of D arrays or None
        b_1 … b_D, of shape (n_l,); None for no bias, in a single layer or altogether.
    inputs : array_like, (n_0,) or (n_0, 1)
        x_0.
    output_gradient : array_like, (n_D,) or (n_D, 1)
        G_D = ∂L/∂x_D, not all zero.
    layers : iterable of distinct ints, optional
        The layers 0 … D to record, in this order. All of them by default.

    Returns
    -------
    Evaluation

    Raises
    ------
    TypeError, ValueError
        If an array does not fit the network or is not finite, or a layer is not one of it.

    See Also
    --------
    replay : the weights, inputs and output gradient of a simulated sample.

    Notes
    -----
    Forward, h_l = W_l x_{l-1} + b_l and x_l = φ(h_l); backward, δ_l = φ'(h_l) ∘ G_l and
    G_{l-1} = W_lᵀ δ_l, with ∂L/∂W_l = δ_l x_{l-1}ᵀ.

    The \|log2\| of any norm saturates at 2^30 - 256, here as in :func:`simulate`: a log10 of about
    ±323 million means that much or more. Only exponential tails far out get there, such as the
    slope of tanh at h = 10^9.

    Examples
    --------
    >>> import vgsim
    >>> net = vgsim.MLP(depth=2, width=2, activation="relu")
    >>> halving = [[0.5, 0.0], [0.0, 0.5]]
    >>> result = vgsim.evaluate(net, [halving, halving], None, [3.0, 4.0], [1.0, 0.0])
    >>> (10**result.gradient).round(12)
    array([0.25, 0.5 , 1.  ])
    >>> (10**result.weight_gradient).round(12)
    array([2.5, 2.5])
    """
    if not isinstance(network, MLP):
        raise TypeError(f"network must be a vgsim.MLP, got {network!r}")
    widths, phi, depth = network.widths, network.activation, network.depth
    W = _checked_weights(weights, widths)
    b = _checked_biases(biases, widths)
    recorded = np.arange(depth + 1) if layers is None else checked_layers(layers, depth)
    g = scaled(_vector("output_gradient", output_gradient, "n_D", widths[-1]))
    if not g.mantissa.any():
        raise ValueError("output_gradient must not be all zeros: ratios to it would be undefined")

    x = [scaled(_vector("inputs", inputs, "n_0", widths[0]))]
    h: list[Scaled] = []
    for W_l, b_l in zip(W, b, strict=True):
        h_l = W_l @ x[-1]
        h.append(h_l if b_l is None else added(h_l, scaled(b_l)))
        x.append(activated(phi, h[-1]))

    gradient = np.empty(depth + 1)
    weight_gradient = np.empty(depth)
    gradient[depth] = g.log10_norm
    for l in range(depth, 0, -1):
        delta = backpropagated(phi, h[l - 1], g)
        weight_gradient[l - 1] = outer(delta, x[l - 1]).log10_norm
        g = delta @ W[l - 1]
        gradient[l - 1] = g.log10_norm

    weight_layers = recorded[recorded >= 1]
    of_W = weight_layers - 1
    threshold = SATURATED * phi.max_derivative
    return Evaluation(
        layers=recorded,
        weight_layers=weight_layers,
        gradient=gradient[recorded],
        output_gradient=float(gradient[depth]),
        weight_gradient=weight_gradient[of_W],
        update_ratio=np.array([_log10_ratio(weight_gradient[l], W[l]) for l in of_W]),
        activation=np.array([x[l].log10_norm - 0.5 * math.log10(widths[l]) for l in recorded]),
        saturation=np.array(
            [np.mean(np.abs(phi.derivative(h[l].clipped)) < threshold) for l in of_W]
        ),
        dead=bool(gradient[0] == -math.inf),
    )


def _log10_ratio(log10_gradient: float, W: Scaled) -> float:
    if log10_gradient == -math.inf:
        return -math.inf
    return log10_gradient - W.log10_norm


def _checked_weights(weights: Iterable[ArrayLike], widths: Sequence[int]) -> list[Scaled]:
    depth = len(widths) - 1
    checked = [_finite(f"weights[{i}]", W) for i, W in enumerate(weights)]
    if len(checked) != depth:
        raise ValueError(f"weights must hold depth = {depth} matrices, got {len(checked)}")
    for i, W in enumerate(checked):
        shape = (widths[i + 1], widths[i])
        if W.shape != shape:
            transposed = "; transpose it" if W.shape == shape[::-1] else ""
            raise ValueError(
                f"weights[{i}] must have shape (n_{i + 1}, n_{i}) = {shape}, "
                f"got {W.shape}{transposed}"
            )
    return [scaled(W) for W in checked]


def _checked_biases(
    biases: Iterable[ArrayLike | None] | None, widths: Sequence[int]
) -> list[Array | None]:
    depth = len(widths) - 1
    given = [None] * depth if biases is None else list(biases)
    if len(given) != depth:
        raise ValueError(f"biases must be None or hold depth = {depth} vectors, got {len(given)}")
    return [
        None if b is None else _vector(f"biases[{i}]", b, f"n_{i + 1}", widths[i + 1])
        for i, b in enumerate(given)
    ]


def _vector(argument: str, value: ArrayLike, symbol: str, n: int) -> Array:
    vector = _finite(argument, value)
    if vector.shape not in ((n,), (n, 1)):
        raise ValueError(
            f"{argument} must have shape ({symbol},) or ({symbol}, 1) with {symbol} = {n}, "
            f"got {vector.shape}"
        )
    return vector.reshape(n)


def _finite(argument: str, value: ArrayLike) -> Array:
    array = np.asarray(value)
    if array.dtype.kind not in "iuf":
        raise TypeError(f"{argument} must be an array of real numbers, got dtype {array.dtype}")
    if not np.all(np.isfinite(array)):
        raise ValueError(f"{argument} must be finite, got NaN or infinity in it")
    return array.astype(np.float64)
