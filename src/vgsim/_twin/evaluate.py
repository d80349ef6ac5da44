"""All recorded quantities of one network with given weights, in readable NumPy.

The kernels are tested against this definition, which does not use them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vgsim._checks import checked_items, real_array, value_error
from vgsim._engine.settings import checked_layers
from vgsim._networks.description import Network, checked_network
from vgsim._twin.layers import backward, forward, mlp_layers, rnn_layers
from vgsim._twin.scaled import Array, Scaled, scaled

__all__ = ["Evaluation", "evaluate"]

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Evaluation:
    r"""The result of :func:`evaluate`: the forward and backward pass of one network.

    G_l = ∂L/∂X_l; k is the number of recorded layers and k' the number of recorded weight layers
    (l ≥ 1). Norms run over all units and examples; the logarithm of an exact zero is -inf.

    Attributes
    ----------
    layers : ndarray of int, (k,)
        The recorded layers, in the order of the argument `layers`. In an RNN a layer is a step.
    weight_layers : ndarray of int, (k',)
        The recorded layers l ≥ 1, in the same order; [1] for an RNN, which has one matrix.
    gradient : ndarray, (k,)
        log10 ‖G_l‖, after clipping.
    output_gradient : float
        log10 ‖G_D‖.
    weight_gradient : ndarray, (k',)
        log10 ‖∂L/∂W_l‖ (Frobenius); in an RNN ∂L/∂W is a sum over all steps.
    update_ratio : ndarray, (k',)
        log10 (‖∂L/∂W_l‖ / ‖W_l‖); +inf if W_l is zero and its gradient is not.
    activation : ndarray, (k,)
        log10 of the root mean square of X_l.
    saturation : ndarray, (k',)
        Fraction of the units of layer l, in all examples, with \|φ'\| < 0.05 max \|φ'\|; 0 in a
        layer without activation. In an RNN one value for each recorded step l ≥ 1.
    clipped : ndarray, (k,)
        Fraction of the entries of G_l that were clipped; with ClipNorm 0 or 1. It is 0 at l = D.
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
    clipped: Array
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
    network: Network,
    weights: Iterable[ArrayLike],
    biases: Iterable[ArrayLike | None] | None,
    inputs: ArrayLike,
    output_gradient: ArrayLike,
    *,
    gate_weights: Iterable[ArrayLike] | None = None,
    input_weights: ArrayLike | None = None,
    drive: ArrayLike | None = None,
    layers: Iterable[int] | None = None,
) -> Evaluation:
    r"""Run one network with given weights forward and backward.

    Only the architecture of `network` is used: the number, widths and kinds of its layers. The law
    of its weights, such as the initialiser and the gains, is not used. Arrays are stored as
    mantissas with one binary exponent per column, so that nothing underflows or overflows at any
    depth or scale of the weights.

    Parameters
    ----------
    network : MLP or RNN
        The architecture.
    weights : sequence of D arrays
        W_1 … W_D, of shape (n_l, n_{l-1}). For an RNN: [W], of shape (n, n).
    biases : sequence of D arrays or None
        b_1 … b_D, of shape (n_l,). None for no bias, as an element or instead of the sequence.
        For an RNN: [b].
    inputs : array_like, (n_0,) or (n_0, B)
        X_0, one column per example.
    output_gradient : array_like, (n_D,) or (n_D, B)
        G_D = ∂L/∂X_D, not all zero.
    gate_weights : sequence of D arrays, optional
        W_T of every layer, with the shapes of `weights`. Required for a network with `highway`,
        and not allowed for others. The gate bias is that of `network`.
    input_weights : array_like, (n, n), optional
        U of an RNN; if None, there is no drive.
    drive : array_like, (steps, n) or (steps, n, B), optional
        s_1 … s_steps of an RNN, if `input_weights` is given.
    layers : iterable of distinct ints, optional
        The layers 0 … D to record, in this order. All of them by default.

    Returns
    -------
    Evaluation

    Raises
    ------
    TypeError, ValueError
        If an array has the wrong shape, is not finite, is missing or is not used by the network,
        or if a layer is out of range.

    See Also
    --------
    replay : the weights, inputs and output gradient of a simulated sample.

    Notes
    -----
    A plain layer, forward: H_l = W_l X_{l-1} + b_l and X_l = φ(H_l); backward: Δ_l = φ'(H_l) ∘ G_l
    and G_{l-1} = W_lᵀ Δ_l, with ∂L/∂W_l = Δ_l X_{l-1}ᵀ.

    The \|log2\| of any norm saturates at 2^30 - 256, as in :func:`simulate`: a log10 of about
    ±323 million means this value or beyond. Only exponential tails reach it, such as the slope of
    tanh at h = 10^9.

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

    Two examples, with skip connections around the layers:

    >>> net = vgsim.MLP(depth=2, width=2, activation="relu", residual=vgsim.Residual())
    >>> X, G = [[3.0, 1.0], [4.0, 1.0]], [[1.0, 0.0], [0.0, 1.0]]
    >>> result = vgsim.evaluate(net, [halving, halving], None, X, G)
    >>> (10**result.gradient).round(12) ** 2
    array([10.125,  4.5  ,  2.   ])
    """
    network = checked_network(network)
    x = _columns("inputs", inputs, "n_0", network.width_at(0))
    g = _columns("output_gradient", output_gradient, "n_D", network.width_at(-1))
    if g.shape[1] != x.shape[1]:
        raise value_error(
            "output_gradient",
            "must have one column per example, as inputs have: "
            f"got {g.shape[1]} and {x.shape[1]} columns",
        )
    if not g.any():
        raise value_error(
            "output_gradient", "must not be all zeros: ratios to it would be undefined"
        )
    W, b = _weights(network, weights), _biases(network, biases)
    recorded = checked_layers(range(network.depth + 1) if layers is None else layers, network.depth)
    if network.shares_weights:
        _refuse("an RNN", gate_weights=gate_weights)
        U, s = _drive(network, input_weights, drive, x.shape[1])
        chain = rnn_layers(network, W[0], b[0], U, s)
    else:
        _refuse("an MLP", input_weights=input_weights, drive=drive)
        if network.norm == "batch" and x.shape[1] < 2:
            raise value_error(
                "inputs", "must have at least 2 columns for batch normalisation, got 1"
            )
        chain = mlp_layers(network, W, b, _gates(network, gate_weights))

    X = forward(chain, scaled(x))
    G, clipped = backward(chain, scaled(g), network.clip)
    by_weights = [layer.affine.weight_gradient for layer in chain]
    if network.shares_weights:
        by_weights = [reduce(add, by_weights)]

    gradient = np.array([G_l.log10_norm for G_l in G])
    weight_gradient = np.array([by_W.log10_norm for by_W in by_weights])
    above, weight_layers = recorded[recorded >= 1], network.weight_places(recorded)
    return Evaluation(
        layers=recorded,
        weight_layers=weight_layers,
        gradient=gradient[recorded],
        output_gradient=float(gradient[-1]),
        weight_gradient=weight_gradient[weight_layers - 1],
        update_ratio=np.array(
            [_log10_ratio(weight_gradient[l - 1], W[l - 1]) for l in weight_layers]
        ),
        activation=np.array(
            [X[l].log10_norm - 0.5 * math.log10(X[l].mantissa.size) for l in recorded]
        ),
        saturation=np.array([chain[l - 1].phi.saturation for l in above]),
        clipped=np.array(clipped)[recorded],
        dead=bool(gradient[0] == -math.inf),
    )


def _log10_ratio(log10_gradient: float, W: Scaled) -> float:
    if log10_gradient == -math.inf:
        return -math.inf
    return log10_gradient - W.log10_norm


def _weights(
    network: Network, weights: Iterable[ArrayLike], argument: str = "weights"
) -> list[Scaled]:
    """Return W_1 … W_D, or W_T of every layer; [W] of a recurrent network."""
    checked = []
    for i, W in enumerate(_per_layer(network, argument, "must hold", weights)):
        shape = (network.width_at(i + 1), network.width_at(i))
        checked.append(_matrix(f"{argument}[{i}]", W, shape, f"(n_{i + 1}, n_{i})"))
    return checked


def _biases(network: Network, biases: Iterable[ArrayLike | None] | None) -> list[Scaled | None]:
    """Return b_1 … b_D as columns; [b] of a recurrent network."""
    if biases is None:
        return [None] * (1 if network.shares_weights else network.depth)
    checked: list[Scaled | None] = []
    for i, b in enumerate(_per_layer(network, "biases", "must be None or hold", biases)):
        checked.append(None)
        if b is not None:
            n = network.width_at(i + 1)
            checked[i] = scaled(_columns(f"biases[{i}]", b, f"n_{i + 1}", n, 1))
    return checked


def _gates(network: Network, gate_weights: Iterable[ArrayLike] | None) -> list[Scaled] | None:
    """Return W_T of every layer of a highway network, None of others."""
    if network.highway is None:
        _refuse("a network without highway", gate_weights=gate_weights)
        return None
    if gate_weights is None:
        raise value_error("gate_weights", "must be given: the network has highway gates")
    return _weights(network, gate_weights, "gate_weights")


def _drive(
    network: Network, input_weights: ArrayLike | None, drive: ArrayLike | None, B: int
) -> tuple[Scaled | None, list[Scaled]]:
    """Return U and s_1 … s_steps."""
    if input_weights is None and drive is None:
        return None, []
    if input_weights is None:
        raise value_error("input_weights", "must be given together with a drive, or neither")
    if drive is None:
        raise value_error("drive", "must be given together with input weights, or neither")
    n, steps = network.width, network.depth
    U = _matrix("input_weights", input_weights, (n, n), "(n, n)")
    s = _finite("drive", drive)
    if s.shape != (steps, n, B) and (B > 1 or s.shape != (steps, n)):
        raise value_error(
            "drive", f"must have shape (steps, n, B) = {(steps, n, B)}, got {s.shape}"
        )
    return U, [scaled(s_t) for s_t in s.reshape(steps, n, B)]


def _refuse(where: str, **arguments: object) -> None:
    """Raise an error for arguments that the network does not use."""
    for argument, value in arguments.items():
        if value is not None:
            raise value_error(argument, f"must be None: {where} has no use for it")


def _per_layer(network: Network, argument: str, must_hold: str, arrays: Iterable[T]) -> list[T]:
    """Return one array per layer, or the one array of a recurrent network."""
    count, allowed = network.depth, f"depth = {network.depth} arrays"
    if network.shares_weights:
        count, allowed = 1, "1 array, the same at every step"
    given: list[T] = checked_items(argument, arrays, f"{must_hold} {allowed}")
    if len(given) != count:
        raise value_error(argument, f"{must_hold} {allowed}, got {len(given)}")
    return given


def _matrix(argument: str, value: ArrayLike, shape: tuple[int, int], symbols: str) -> Scaled:
    W = _finite(argument, value)
    if W.shape != shape:
        transposed = "; transpose it" if W.shape == shape[::-1] else ""
        raise value_error(
            argument, f"must have shape {symbols} = {shape}, got {W.shape}{transposed}"
        )
    return scaled(W, axis=None)


def _columns(
    argument: str, value: ArrayLike, symbol: str, n: int, count: int | None = None
) -> Array:
    """Return an array of `n` rows and `count` columns, or any number of columns if it is None."""
    columns = _finite(argument, value)
    if columns.ndim == 1:
        columns = columns[:, np.newaxis]
    if columns.ndim != 2 or columns.shape != (n, count or max(columns.shape[1], 1)):
        raise value_error(
            argument,
            f"must have shape ({symbol},) or ({symbol}, {count or 'B'}) with {symbol} = {n}, got "
            f"{np.shape(value)}",
        )
    return columns


def _finite(argument: str, value: ArrayLike) -> Array:
    array = real_array(argument, value, "must be an array of real numbers")
    if not np.all(np.isfinite(array)):
        raise value_error(argument, "must be finite, got NaN or infinity")
    return array.copy()
