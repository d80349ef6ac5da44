"""One simulated sample as explicit weights.

For the dense engine the weight matrices are drawn again. For the matrix-free engine, which draws
only the products of each matrix, the products are drawn again, and then the matrix conditioned on
its products, with random numbers of a separate stream.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from vgsim._checks import INDICES, checked_int, require_memory, type_error
from vgsim._engine.settings import Settings
from vgsim._networks.description import Network
from vgsim._twin.conditional import ConditionalGaussian, ConditionalHaar
from vgsim._twin.draws import Draws
from vgsim._twin.layers import Layer, Matrix, backward, forward, mlp_layers, rnn_layers
from vgsim._twin.losses import output_gradient
from vgsim._twin.scaled import Array, Scaled, scaled, shifted

if TYPE_CHECKING:
    import torch

__all__ = ["Replay", "replay"]

Conditional = ConditionalGaussian | ConditionalHaar


@dataclass(frozen=True, eq=False)
class Replay:
    """The result of :func:`replay`: one sample as float64 arrays.

    Attributes
    ----------
    network : MLP or RNN
    inputs : ndarray, (n_0, B)
        X_0.
    weights : list of ndarray
        W_1 … W_D, of shape (n_l, n_{l-1}). For an RNN: [W], of shape (n, n).
    biases : list of ndarray
        b_1 … b_D, of shape (n_l,); zeros if the network has no biases. For an RNN: [b].
    output_gradient : ndarray, (n_D, B)
        G_D = ∂L/∂X_D. A cross-entropy gradient below the range of float64 is 0 here, but not in
        :func:`simulate`.
    gate_weights : list of ndarray or None
        Highway networks: the matrices W_T of the gates, one per layer, of shape (n_l, n_{l-1}).
    input_weights : ndarray or None
        RNN: U, (n, n).
    drive : ndarray or None
        RNN: s_1 … s_steps, (steps, n, B).

    Examples
    --------
    >>> import vgsim
    >>> sample = vgsim.replay(vgsim.MLP(depth=2, width=[3, 4, 1]), seed=1)
    >>> [W.shape for W in sample.weights]
    [(4, 3), (1, 4)]
    >>> sample
    <Replay: MLP(depth=2, width=(3, 4, 1), ...), inputs (3, 1), W_1 (4, 3) to W_2 (1, 4)>
    """

    network: Network
    inputs: Array
    weights: list[Array]
    biases: list[Array]
    output_gradient: Array
    gate_weights: list[Array] | None = None
    input_weights: Array | None = None
    drive: Array | None = None

    def __repr__(self) -> str:
        first, last = self.weights[0].shape, self.weights[-1].shape
        more = f" to W_{len(self.weights)} {last}" if len(self.weights) > 1 else ""
        name = "W" if self.network.shares_weights else "W_1"
        return f"<Replay: {self.network!r}, inputs {self.inputs.shape}, {name} {first}{more}>"

    def to_torch(self) -> torch.nn.Module:
        """Build a PyTorch module in float64 with these weights and biases.

        Requires the package torch.

        Returns
        -------
        torch.nn.Module
            A module from inputs (B, n_0) to outputs (B, n_D), with examples as rows. A plain MLP is
            a ``Sequential`` of ``Linear`` layers, without bias if the network has none, each
            followed by the activation. After a forward pass the attribute ``states`` is the list
            X_0 … X_D. ``torch.autograd.grad`` with respect to ``states`` gives the gradients G_l,
            clipped if the network has `clip`.

        Raises
        ------
        ImportError
            If PyTorch is not installed.

        Examples
        --------
        >>> import vgsim
        >>> sample = vgsim.replay(vgsim.MLP(depth=2, width=3), seed=1)
        >>> sample.to_torch()  # doctest: +SKIP
        Sequential(
          (0): Linear(in_features=3, out_features=3, bias=False)
          (1): Tanh()
          (2): Linear(in_features=3, out_features=3, bias=False)
          (3): Tanh()
        )
        """
        from vgsim._twin.torch import module

        return module(
            self.network,
            self.weights,
            self.biases,
            gate_weights=self.gate_weights,
            input_weights=self.input_weights,
            drive=self.drive,
        )


def replay(
    network: Network,
    seed: int = 0,
    index: int = 0,
    *,
    batch_size: int = 1,
    inputs: Literal["normal"] | ArrayLike = "normal",
    loss: str = "linear",
    engine: str = "auto",
    dtype: DTypeLike = "float32",
) -> Replay:
    """Return one simulated sample as explicit weights, biases, inputs and output gradient.

    :func:`evaluate`, or PyTorch's autograd on :meth:`Replay.to_torch`, then gives the numbers that
    :func:`simulate` recorded at this index, up to rounding. The exceptions are networks in which
    rounding errors grow with depth, such as chaotic ones, and batches with inputs that are linearly
    dependent up to rounding (docs/law.md, section 11).

    Parameters
    ----------
    network : MLP or RNN
    seed : int, default 0
        As given to :func:`simulate`; it is part of the provenance of the samples.
    index : int, default 0
        Index of the sample, from 0 to 2**56 - 1.
    batch_size, inputs, loss, engine, dtype
        As given to :func:`simulate`; the sample depends on them.

    Returns
    -------
    Replay

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type or out of range.
    MemoryError
        If the weights would not fit in memory.

    Notes
    -----
    With Q and Q_g the orthonormalised columns of X_{l-1} and Δ_l = ∂L/∂H_l, the matrix-free engine
    draws the Gaussian products Z = W Q / s and N = Wᵀ Q_g / s; of N it uses only (I - Q Qᵀ) N.
    With M a Gaussian matrix,

        W = s [Z Qᵀ + (Q_g Nᵀ + (I - Q_g Q_gᵀ) M) (I - Q Qᵀ)]

    has independent entries N(0, s²) and exactly these products. The term with M is scaled to the
    norm that is part of ‖W‖ in "update_ratio". Orthogonal weights are γ O, where

        O = Z_u Qᵀ + Q_g Fᵀ + A O' Bᵀ

    with Z_u = O Q, Q_g the orthonormalised component of Δ_l orthogonal to Z_u, F = Oᵀ Q_g, A and B
    bases of the orthogonal complements of [Z_u, Q_g] and [Q, F], and O' a random orthogonal matrix.

    Examples
    --------
    >>> import vgsim
    >>> net = vgsim.MLP(depth=50, width=16)
    >>> sample = vgsim.replay(net, seed=1, index=7)
    >>> len(sample.weights), sample.weights[0].shape
    (50, (16, 16))
    >>> result = vgsim.evaluate(
    ...     net, sample.weights, sample.biases, sample.inputs, sample.output_gradient
    ... )
    >>> s = vgsim.simulate(net, 1, seed=1, first=7)
    >>> bool(abs(s.gradient[0, 0] - result.gradient[0]) < 1e-3)
    True
    """
    if seed is None:
        raise type_error("seed", "must be an int >= 0: the seed of the run replayed, got None")
    settings = Settings.checked(
        seed=seed, batch_size=batch_size, inputs=inputs, loss=loss, engine=engine, dtype=dtype
    ).of(network)
    B, data = settings.batch_size, settings.data
    _require_memory(network, B, settings.engine)
    draw = Draws(
        key=settings.key(network),
        index=checked_int("index", index, 0, INDICES - 1, "2**56 - 1"),
        dtype=settings.dtype,
    )
    X = (
        draw.columns("input", 0, network.width_at(0), B)
        if data is None
        else draw.rows(data.values, B)
    )
    if network.shares_weights:
        return _recurrent(network, draw, X, settings.loss)
    if settings.engine == "dense":
        return _dense(network, draw, X, settings.loss)
    return _matrix_free(network, draw, X, settings.loss)


def _dense(network: Network, draw: Draws, X: Array, loss: str) -> Replay:
    """Draw an MLP of the dense engine."""

    def matrices(stream: str) -> list[Array]:
        law, widths = network.init.distribution, network.widths
        return [
            draw.weight(law, s, stream, l, widths[l], widths[l - 1])
            for l, s in enumerate(network.weight_stds.tolist(), start=1)
        ]

    W, b = matrices("forward"), _biases(network, draw)
    T = matrices("gate_forward") if network.highway else None
    layers = _layers(network, [_matrix(A) for A in W], b, [_matrix(A) for A in T or []])
    G = _output_gradient(network, draw, X, loss, layers)
    return Replay(network, X, W, b, _plain(G), gate_weights=T)


def _matrix_free(network: Network, draw: Draws, X: Array, loss: str) -> Replay:
    """Draw the products of the matrices of an MLP, then the matrices given their products."""
    layers_and_stds = list(enumerate(network.weight_stds.tolist(), start=1))
    B = X.shape[1]
    W = [_conditional(network, draw, l, s, B, "") for l, s in layers_and_stds]
    T = []
    if network.highway:
        T = [_conditional(network, draw, l, s, B, "gate_") for l, s in layers_and_stds]
    b = _biases(network, draw)
    layers = _layers(network, W, b, T)
    G = _output_gradient(network, draw, X, loss, layers)
    backward(layers, G, network.clip)
    weights = [_explicit(A, draw, l, "") for l, A in enumerate(W, start=1)]
    gates = [_explicit(A, draw, l, "gate_") for l, A in enumerate(T, start=1)]
    return Replay(network, X, weights, b, _plain(G), gate_weights=gates or None)


def _conditional(
    network: Network, draw: Draws, l: int, s: float, B: int, prefix: str
) -> Conditional:
    """W_l, or W_T of its gate, before it has been multiplied."""
    n, m = network.width_at(l), network.width_at(l - 1)
    epsilon = float(np.finfo(draw.dtype).eps)
    if network.init.distribution == "orthogonal":
        N = max(n, m)
        Z, Z_back = (draw.columns(prefix + way, l, N, B) for way in ("forward", "backward"))
        return ConditionalHaar(s * math.sqrt(N), (n, m), Z, Z_back, epsilon)
    Z = draw.columns(prefix + "forward", l, n, B)
    return ConditionalGaussian(s, Z, draw.columns(prefix + "backward", l, m, B), epsilon)


def _explicit(A: Conditional, draw: Draws, l: int, prefix: str) -> Array:
    """Return a matrix given its products; W_l has the norm that was recorded in the sample."""
    rest = draw.rest(prefix + "replay_rest", l, *A.rest_shape)
    if isinstance(A, ConditionalHaar):
        return A.explicit(rest)
    recorded = not prefix and A.is_multiplied
    return A.explicit(rest, draw.chi_square(l, A.degrees) if recorded else None)


def _recurrent(network: Network, draw: Draws, X: Array, loss: str) -> Replay:
    """Draw an RNN."""
    n, B = X.shape
    W = draw.weight(network.init.distribution, float(network.weight_stds[0]), "forward", 1, n, n)
    b = draw.bias(1, n, network.bias_std, float(network.bias_limits[0]))
    U = draw.weight("normal", network.input_std / math.sqrt(n), "input_weights", 1, n, n)
    s = np.array([draw.columns("drive", t, n, B) for t in range(1, network.depth + 1)])
    driven = _matrix(U) if network.input_std > 0 else None
    layers = rnn_layers(network, _matrix(W), _column(b), driven, map(scaled, s))
    G = _output_gradient(network, draw, X, loss, layers)
    return Replay(network, X, [W], [b], _plain(G), input_weights=U, drive=s)


def _biases(network: Network, draw: Draws) -> list[Array]:
    """b_1 … b_D."""
    limits = network.bias_limits.tolist()
    return [
        draw.bias(l, n, network.bias_std, limit)
        for l, (n, limit) in enumerate(zip(network.widths[1:], limits, strict=True), start=1)
    ]


def _layers(
    network: Network, W: Sequence[Matrix], b: list[Array], T: Sequence[Matrix]
) -> list[Layer]:
    return mlp_layers(network, W, [_column(b_l) for b_l in b], T or None)


def _output_gradient(
    network: Network, draw: Draws, X: Array, loss: str, layers: Sequence[Layer]
) -> Scaled:
    """Run the forward pass and return G_D."""
    return output_gradient(loss, forward(layers, scaled(X))[-1], draw, network.depth)


def _matrix(W: Array) -> Scaled:
    """Return W with one exponent, 0, without a copy."""
    return Scaled(W, 0)


def _column(b: Array) -> Scaled | None:
    return scaled(b[:, np.newaxis]) if b.any() else None


def _plain(G: Scaled) -> Array:
    """Return G in plain float64, where it may underflow to zero or overflow to infinity."""
    with np.errstate(over="ignore"):
        return shifted(G.mantissa, G.exponent)


def _require_memory(network: Network, B: int, engine: str) -> None:
    """Raise an error if the arrays of a replay would not fit in memory."""
    widths = network.width_array.astype(np.float64)
    sizes = widths[1:] * widths[:-1]
    if network.shares_weights:
        matrices = 2.0 * sizes[0]
    else:
        matrices = float(sizes.sum()) * (2 if network.highway else 1)
    largest = float((np.maximum(widths[1:], widths[:-1]) ** 2).max())
    columns = float(widths.sum()) * B * (16 if engine == "matrix-free" else 8)
    require_memory(
        int(8 * (matrices + 6 * largest + columns)),
        f"a replay of the weights of {network!r}",
        "lower depth or width; a simulation needs no weights",
    )
