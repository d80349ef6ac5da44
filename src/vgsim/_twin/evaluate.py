"""All recorded quantities of one network with given weights, in readable NumPy.

The kernels are tested against this definition, which does not use them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vgsim._checks import type_error, value_error
from vgsim._domains import checked_bool
from vgsim._engine.progress import Progress, shown
from vgsim._engine.settings import checked_layers
from vgsim._networks.description import Network, checked_network
from vgsim._networks.operations import Normalise
from vgsim._twin.parameters import (
    checked_columns,
    named_parameters,
    separate_parameters,
    takes_separate_arrays,
)
from vgsim._twin.scaled import Array, Scaled, joined, product_norm, scaled
from vgsim._twin.steps import Weights
from vgsim._twin.walk import Place, backward, forward, places_of, stacked

__all__ = ["Evaluation", "correlation", "evaluate"]


class _Arrays(NamedTuple):
    """The arrays of the recorded layers, and their binary exponents."""

    gradients: list[Array]
    gradient_exponents: NDArray[np.int64]
    activations: list[Array]
    activation_exponents: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Evaluation:
    r"""The result of :func:`evaluate`: the forward and backward pass of one network.

    G_l = ∂L/∂X_l; k is the number of recorded layers and k' the number of recorded weight layers
    (l ≥ 1 with matrices). Norms run over all units and examples; the logarithm of an exact zero is
    -inf.

    Attributes
    ----------
    layers : ndarray of int, (k,)
        The recorded layers, in the order of the argument `layers`. In a recurrent network a layer
        is a step.
    weight_layers : ndarray of int, (k',)
        The recorded layers l ≥ 1 that have matrices, in the same order; [1] for a recurrent
        network, which has the same matrices at all steps.
    gradient : ndarray, (k,)
        log10 ‖G_l‖, after clipping. In an LSTM G_l is (∂L/∂h_l, ∂L/∂c_l), with h_l and c_l as
        independent variables, so that G_D = (∂L/∂h_D, 0).
    output_gradient : float
        log10 ‖G_D‖.
    weight_gradient : ndarray, (k',)
        log10 ‖∂L/∂W_l‖ (Frobenius), over all matrices of the layer except those of an MLP's highway
        gates; in a recurrent network ∂L/∂W is a sum over all steps, and the norm is that of the
        matrices of all gates together.
    update_ratio : ndarray, (k',)
        log10 (‖∂L/∂W_l‖ / ‖W_l‖); +inf if W_l is zero and its gradient is not.
    activation : ndarray, (k,)
        log10 of the root mean square of X_l; X_l is h_l in an LSTM.
    activation_correlation, gradient_correlation : ndarray, (k,)
        Mean cosine over the pairs of columns of X_l, and of ∂L/∂X_l after clipping. Columns that
        are zero are left out; 0 where no pair is left.
    saturation : ndarray
        Fraction of the units of layer l, in all examples, with \|φ'\| < 0.05 max \|φ'\|, over all
        activations of the layer, which include the gates of an LSTM and of a GRU; 0 in a layer
        without. One value for each recorded l ≥ 1.
    clipped : ndarray, (k,)
        Fraction of the entries of G_l that were clipped; with ClipNorm 0 or 1. It is 0 at l = D.
    dead : bool
        Whether G_0 is exactly zero: every path is closed.
    gradients, activations : list of ndarray of float64, (n_l, B) each
        G_l, after clipping, and X_l of the recorded layers; only with ``return_arrays=True``. For
        an LSTM, whose state is (h, c), G_l has 2 n rows: those of h above those of c.
    gradient_exponents, activation_exponents : ndarray of int, (k,)
        Binary exponents of these arrays: G_l is ``gradients[i] * 2.0**gradient_exponents[i]``. An
        exponent is 0 unless the largest entry is beyond 2^±900; then the largest entry of the array
        is between 1/2 and 1. Entries of the arrays that would be below 2^-1074 are 0.

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
    activation_correlation: Array
    gradient_correlation: Array
    saturation: Array
    clipped: Array
    dead: bool
    _arrays: _Arrays | None = field(default=None, repr=False)

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

    @property
    def gradients(self) -> list[Array]:
        """G_l of the recorded layers, (n_l, B), to be multiplied by 2^gradient_exponents."""
        return self._of_arrays("gradients").gradients

    @property
    def gradient_exponents(self) -> NDArray[np.int64]:
        """The binary exponents of `gradients`, (k,)."""
        return self._of_arrays("gradient_exponents").gradient_exponents

    @property
    def activations(self) -> list[Array]:
        """X_l of the recorded layers, (n_l, B), to be multiplied by 2^activation_exponents."""
        return self._of_arrays("activations").activations

    @property
    def activation_exponents(self) -> NDArray[np.int64]:
        """The binary exponents of `activations`, (k,)."""
        return self._of_arrays("activation_exponents").activation_exponents

    def _of_arrays(self, name: str) -> _Arrays:
        """Return the arrays, or say how to get them."""
        if self._arrays is None:
            raise AttributeError(
                f"{name} must be asked for: call evaluate(..., return_arrays=True)",
                name=name,
                obj=self,
            )
        return self._arrays


@overload
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
    return_arrays: bool = False,
    progress: Progress = False,
) -> Evaluation: ...
@overload
def evaluate(
    network: Network,
    parameters: Mapping[str, ArrayLike],
    inputs: ArrayLike,
    output_gradient: ArrayLike,
    /,
    *,
    layers: Iterable[int] | None = None,
    return_arrays: bool = False,
    progress: Progress = False,
) -> Evaluation: ...
@overload
def evaluate(
    network: Network,
    *,
    parameters: Mapping[str, ArrayLike],
    inputs: ArrayLike,
    output_gradient: ArrayLike,
    layers: Iterable[int] | None = None,
    return_arrays: bool = False,
    progress: Progress = False,
) -> Evaluation: ...
def evaluate(
    network: Network,
    weights: Any = None,
    biases: Any = None,
    inputs: Any = None,
    output_gradient: Any = None,
    *,
    parameters: Any = None,
    gate_weights: Any = None,
    input_weights: Any = None,
    drive: Any = None,
    layers: Iterable[int] | None = None,
    return_arrays: bool = False,
    progress: Progress = False,
) -> Evaluation:
    r"""Run one network with given weights forward and backward.

    Only the architecture of `network` is used: the number, widths and kinds of its layers. The law
    of its weights, such as the initialiser and the gains, is not used. Arrays are stored as
    mantissas with one binary exponent per column, so that nothing underflows or overflows at any
    depth or scale of the weights.

    The arrays are given by name, ``evaluate(network, parameters, inputs, output_gradient)``, for
    any network, or separately, ``evaluate(network, weights, biases, inputs, output_gradient)``, for
    an MLP or an RNN. They may be PyTorch tensors, on any device and with or without a gradient, or
    JAX arrays, in any floating-point format; the passes run in float64.

    Parameters
    ----------
    network : Sequential, MLP, RNN, LSTM or GRU
        The architecture.
    parameters : mapping of str to array_like
        All matrices, biases, masks and the drive, named as in :attr:`Replay.parameters`. Given
        instead of `weights` and `biases`, as the second argument or by keyword. "bias" of an LSTM
        or a GRU is the whole bias: forget_bias and the like are not added. Biases that
        the network does not draw may be given too, for all matrices ("0.bias", …), as training
        makes them.
    weights : sequence of D arrays
        W_1 … W_D, of shape (n_l, n_{l-1}). For an RNN: [W], of shape (n, n).
    biases : sequence of D arrays or None
        b_1 … b_D, of shape (n_l,). None for no bias, as an element or instead of the sequence.
        For an RNN: [b].
    inputs : array_like, (n_0,) or (n_0, B)
        X_0, one column per example. With `tokens`, B is a multiple of them: one column per token,
        the tokens of a sequence side by side.
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
    return_arrays : bool, default False
        Whether the result has the attributes `gradients` and `activations`: the arrays G_l and X_l
        of the recorded layers.
    progress : bool or callable, default False
        As for :func:`simulate`; a callable is called as ``progress(done, total)``, in layers of
        both passes.

    Returns
    -------
    Evaluation

    Raises
    ------
    TypeError, ValueError
        If an array has the wrong shape, is not finite, is missing or is not used by the network,
        or if a layer is out of range. The message names the array, for example
        ``parameters['2.0.weight']``.

    See Also
    --------
    replay : the weights, inputs and output gradient of a simulated sample.

    Notes
    -----
    Of a softmax weight below 10^-308 of its column nothing is left: the gradients by queries and
    keys that it would carry are 0, beside those through the values.

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

    Arrays by name:

    >>> parameters = {"0.weight": halving, "1.weight": halving}
    >>> (10 ** vgsim.evaluate(net, parameters, X, G).gradient).round(12) ** 2
    array([10.125,  4.5  ,  2.   ])

    The gradients themselves:

    >>> vgsim.evaluate(net, parameters, X, G, return_arrays=True).gradients[0]
    array([[2.25, 0.  ],
           [0.  , 2.25]])
    """
    network = checked_network(network)
    return_arrays = checked_bool("return_arrays", return_arrays)
    others = {"gate_weights": gate_weights, "input_weights": input_weights, "drive": drive}
    by_name = weights if parameters is None and isinstance(weights, Mapping) else parameters
    if by_name is not None:
        given = [value for value in (biases, inputs, output_gradient) if value is not None]
        _refuse_beside(others if parameters is None else {"weights": weights, **others})
        if not isinstance(by_name, Mapping) or len(given) != 2:
            raise type_error(
                "parameters", "must be a mapping, with inputs and output_gradient and nothing else"
            )
        inputs, output_gradient = given
    elif not takes_separate_arrays(network):
        raise type_error("weights", "must be a mapping of names to arrays for this network")
    elif inputs is None or output_gradient is None:
        raise type_error(
            "inputs" if inputs is None else "output_gradient", "must be given, got None"
        )
    n_0, n_D = network.width_at(0), network.width_at(-1)
    x = checked_columns("inputs", inputs, "n_0", n_0)
    g = checked_columns("output_gradient", output_gradient, "n_D", n_D)
    columns = x.shape[1]
    if g.shape[1] != columns:
        raise value_error(
            "output_gradient",
            "must have one column per example, as inputs have: "
            f"got {g.shape[1]} and {columns} columns",
        )
    if not g.any():
        raise value_error(
            "output_gradient", "must not be all zeros: ratios to it would be undefined"
        )
    if columns % network.tokens:
        raise value_error(
            "inputs", f"must have a multiple of tokens = {network.tokens} columns, got {columns}"
        )
    if by_name is not None:
        program, named = named_parameters(network, by_name, columns)
    else:
        program, named = separate_parameters(network, weights, biases, columns, **others)
    recorded = checked_layers(range(network.depth + 1) if layers is None else layers, network.depth)
    if columns < 2 and any(o.kind == "batch" for o in program.of(Normalise)):
        raise value_error("inputs", "must have at least 2 columns for batch normalisation, got 1")
    places = places_of(program, named, columns, network.clip)
    depth = network.depth
    with shown(progress) as show:
        X = forward(places, scaled(x), lambda done: show.layers(done, 2 * depth))
        G, clipped = backward(
            places, scaled(g), network.clip, lambda done: show.layers(depth + done, 2 * depth)
        )
    whole = [stacked(state) for state in G]
    gradient = np.array([G_l.log10_norm for G_l in whole])
    weight_layers, by_weights = _of_weights(places, recorded)
    return Evaluation(
        layers=recorded,
        weight_layers=weight_layers,
        gradient=gradient[recorded],
        output_gradient=float(gradient[-1]),
        weight_gradient=by_weights[:, 0],
        update_ratio=by_weights[:, 1],
        activation=np.array(
            [X[l].log10_norm - 0.5 * math.log10(X[l].mantissa.size) for l in recorded]
        ),
        activation_correlation=np.array([correlation(X[l]) for l in recorded]),
        gradient_correlation=np.array([correlation(G[l][0]) for l in recorded]),
        saturation=np.array([_saturation(places[l - 1]) for l in recorded[recorded >= 1]]),
        clipped=np.array(clipped)[recorded],
        dead=bool(gradient[0] == -math.inf),
        _arrays=_arrays(whole, X, recorded) if return_arrays else None,
    )


def _refuse_beside(others: Mapping[str, object]) -> None:
    """Raise an error for arrays that are given beside parameters by name."""
    for argument, value in others.items():
        if value is not None:
            raise type_error(argument, "must not be given beside parameters, which hold all arrays")


def _of_weights(
    places: Sequence[Place], recorded: NDArray[np.int64]
) -> tuple[NDArray[np.int64], Array]:
    """Return the recorded places with matrices, and log10 ‖∂L/∂W‖ and the update ratio of each."""
    of_places = [place.matrices for place in places]
    if of_places[0] and all(step.operation.shared for step in of_places[0]):
        gradients = []
        for steps in zip(*of_places, strict=True):
            deltas, inputs = zip(*(step.factors for step in steps), strict=True)
            gradients.append(product_norm(joined(deltas), joined(inputs)))
        return np.ones(1, dtype=np.int64), _ratios([gradients], of_places[:1])
    chosen = [l for l in recorded.tolist() if l >= 1 and of_places[l - 1]]
    matrices = [of_places[l - 1] for l in chosen]
    of_chosen = [[product_norm(*step.factors) for step in steps] for steps in matrices]
    return np.array(chosen, dtype=np.int64), _ratios(of_chosen, matrices)


def _ratios(gradients: list[list[float]], matrices: list[list[Weights]]) -> Array:
    """Return log10 ‖∂L/∂W‖ and log10 (‖∂L/∂W‖ / ‖W‖) of each place, (k, 2)."""
    rows = []
    for logs, steps in zip(gradients, matrices, strict=True):
        gradient, ratio = _root_of_squares(logs), -math.inf
        if gradient > -math.inf:
            sizes = [step.W.log10_norm for step in steps if isinstance(step.W, Scaled)]
            ratio = gradient - _root_of_squares(sizes)
        rows.append((gradient, ratio))
    return np.array(rows).reshape(-1, 2)


def _root_of_squares(logs: list[float]) -> float:
    """Return log10 √Σ 10^(2 log)."""
    largest = max(logs)
    if len(logs) == 1 or largest == -math.inf:
        return largest
    return largest + 0.5 * math.log10(sum(10.0 ** (2.0 * (log - largest)) for log in logs))


def _arrays(G: Sequence[Scaled], X: Sequence[Scaled], recorded: NDArray[np.int64]) -> _Arrays:
    """Return G_l and X_l of the recorded layers."""
    lists: list[Any] = []
    for arrays in (G, X):
        values, exponents = zip(*(arrays[l].plain for l in recorded), strict=True)
        lists += [list(values), np.array(exponents, dtype=np.int64)]
    return _Arrays(*lists)


def _saturation(place: Place) -> float:
    """Return the fraction of saturated entries of all activations of a place."""
    activations = place.activations
    units = sum(step.slope.size for step in activations)
    return sum(step.saturated for step in activations) / units if units else 0.0


def correlation(a: Scaled) -> float:
    """Return the mean cosine of pairs of columns that are not zero, 0 without pairs.

    The squared norm of the sum of k unit vectors is k plus the sum of the cosines of k (k - 1)
    pairs.

    Examples
    --------
    >>> import numpy as np
    >>> from vgsim._twin.evaluate import correlation
    >>> from vgsim._twin.scaled import scaled
    >>> correlation(scaled(np.array([[1.0, 2.0, 0.0, 0.0], [0.0, 0.0, 3.0, 0.0]])))
    0.3333333333333333
    """
    if a.mantissa.shape[1] < 2:
        return 0.0
    squares = np.einsum("ij,ij->j", a.mantissa, a.mantissa)
    count = np.count_nonzero(squares)
    if count < 2:
        return 0.0
    some = squares > 0
    total = a.mantissa @ np.where(some, 1.0 / np.sqrt(np.where(some, squares, 1.0)), 0.0)
    return float((total @ total - count) / (count * (count - 1)))
