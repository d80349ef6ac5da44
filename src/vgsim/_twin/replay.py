"""One simulated sample as explicit weights.

For the dense engine the weight matrices are drawn again. For the matrix-free engine, which draws
only the products of each matrix, the products are drawn again, and then the matrix conditioned on
its products, with random numbers of a separate stream.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from vgsim._checks import INDICES, require_memory, type_error
from vgsim._domains import checked_int
from vgsim._engine.progress import Progress, Show, shown
from vgsim._engine.settings import Settings
from vgsim._networks import operations
from vgsim._networks.description import Network
from vgsim._networks.operations import Program
from vgsim._twin.chain import Chain
from vgsim._twin.drawn import Drawn
from vgsim._twin.draws import Draws
from vgsim._twin.evaluate import evaluate
from vgsim._twin.losses import output_gradient
from vgsim._twin.parameters import takes_separate_arrays
from vgsim._twin.recurrent import drawn_drive
from vgsim._twin.scaled import Array, Scaled, scaled, shifted
from vgsim._twin.walk import backward, forward, places_of
from vgsim.typing import DType, Engine, Loss

if TYPE_CHECKING:
    import torch

__all__ = ["Replay", "replay"]


@dataclass(frozen=True, eq=False)
class Replay:
    """The result of :func:`replay`: one sample as float64 arrays.

    Attributes
    ----------
    network : Sequential, MLP, RNN, LSTM or GRU
    inputs : ndarray, (n_0, B)
        X_0. B is the number of columns, batch_size · tokens; column sequence · tokens + token.
    output_gradient : ndarray, (n_D, B)
        G_D = ∂L/∂X_D. A cross-entropy gradient below the range of float64 is 0 here, but not in
        :func:`simulate`.
    parameters : dict of str to ndarray
        All drawn arrays by name. Those of layer l have the index l - 1, and indices nest, as in
        ``torch.nn.Sequential``: "0.weight" (n_1, n_0), "0.bias" (n_1,), "1.gate" (n, n),
        "3.query", "3.key", "3.value", "3.output" (n, n), "4.mask" (n, B) of zeros and ones,
        "2.0.weight" of the first layer inside the third element.

        Of a recurrent network: "weight" W and "input_weight" U (n, n), "bias" (n,) and "drive"
        (steps, n, B); without a drive "input_weight" and "drive" are missing. The rows of the gates
        are stacked, in the order of PyTorch's ``weight_hh``: i, f, g, o of an LSTM, whose "weight"
        is (4 n, n), and r, z, n of a GRU. Their "bias" is the whole bias, (4 n,) or (3 n,), with
        forget_bias and the like included. "hidden_bias" (n,) is the bias of W_n h in a GRU with
        init "torch_recurrent".
    weights : list of ndarray
        For an MLP: W_1 … W_D, of shape (n_l, n_{l-1}). For an RNN: [W], of shape (n, n). Empty for
        other networks; see `parameters`.
    biases : list of ndarray
        For an MLP: b_1 … b_D, of shape (n_l,); zeros if the network has no biases. For an RNN: [b].
        Empty for other networks.
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
    >>> {name: array.shape for name, array in sample.parameters.items()}
    {'0.weight': (4, 3), '1.weight': (1, 4)}
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
    parameters: dict[str, Array] = field(default_factory=dict)

    def __repr__(self) -> str:
        if not self.weights:
            count = len(self.parameters)
            return f"<Replay: {self.network!r}, inputs {self.inputs.shape}, {count} parameters>"
        first, last = self.weights[0].shape, self.weights[-1].shape
        more = f" to W_{len(self.weights)} {last}" if len(self.weights) > 1 else ""
        name = "W" if self.network.shares_weights else "W_1"
        return f"<Replay: {self.network!r}, inputs {self.inputs.shape}, {name} {first}{more}>"

    def gradients(self, layers: Iterable[int] | None = None) -> list[Array]:
        """Return the gradients G_l = ∂L/∂X_l of the sample themselves, after clipping.

        They are those of :func:`evaluate`: a forward and a backward pass in float64.

        Parameters
        ----------
        layers : iterable of distinct ints, optional
            The layers 0 … D, in this order. All of them by default.

        Returns
        -------
        list of ndarray of float64, (n_l, B) each
            For an LSTM, whose state is (h, c), G_l has 2 n rows: those of h above those of c.

        Raises
        ------
        TypeError, ValueError
            If a layer is out of range, or if G_D underflowed to zero.
        OverflowError
            If the largest entry of a gradient lies outside 2^±900. ``evaluate(...,
            return_arrays=True)`` gives such gradients as arrays with binary exponents.

        Examples
        --------
        >>> import vgsim
        >>> sample = vgsim.replay(vgsim.MLP(depth=3, width=[4, 5, 6, 2]), seed=1, batch_size=7)
        >>> [G.shape for G in sample.gradients()]
        [(4, 7), (5, 7), (6, 7), (2, 7)]
        >>> bool((sample.gradients([3])[0] == sample.output_gradient).all())
        True
        """
        result = evaluate(
            self.network,
            self.parameters,
            self.inputs,
            self.output_gradient,
            layers=layers,
            return_arrays=True,
        )
        for l, e in zip(result.layers.tolist(), result.gradient_exponents.tolist(), strict=True):
            if e:
                raise OverflowError(
                    f"the gradient of layer {l} is about 2^{e}, too far from 1 for float64: choose "
                    "other layers, or evaluate(..., return_arrays=True), which gives exponents"
                )
        return result.gradients

    def to_torch(self) -> torch.nn.Module:
        """Build a PyTorch module in float64 with these weights and biases.

        Requires the package torch.

        Returns
        -------
        torch.nn.Module
            A module from inputs (B, n_0) to outputs (B, n_D), with columns of the batch as rows.
            The ``state_dict`` of a Sequential has the names and shapes of `parameters`; masks are
            buffers. A plain MLP is a ``Sequential`` of ``Linear`` layers, without bias if the
            network has none, each followed by the activation. An LSTM and a GRU have the steps of
            ``torch.nn.LSTMCell`` and ``torch.nn.GRUCell``, with s_t as the input. After a forward
            pass the attribute ``states`` is the list X_0 … X_D. ``torch.autograd.grad`` with
            respect to ``states`` gives the gradients G_l, clipped if the network has `clip`. Of an
            LSTM ``states`` holds h_0 … h_D, and ``states.cells`` c_0 … c_D: the gradients with
            respect to ``[*states, *states.cells]`` (with ``materialize_grads=True``, since the
            output is not a function of c_D) are both halves of G_l.

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
            parameters=self.parameters,
        )


def replay(
    network: Network,
    seed: int = 0,
    index: int = 0,
    *,
    batch_size: int = 1,
    inputs: Literal["normal", "zeros"] | ArrayLike = "normal",
    loss: Loss = "linear",
    engine: Engine = "auto",
    dtype: DType | DTypeLike = "float32",
    progress: Progress = False,
) -> Replay:
    """Return one simulated sample as explicit weights, biases, inputs and output gradient.

    :func:`evaluate`, or PyTorch's autograd on :meth:`Replay.to_torch`, then gives the numbers that
    :func:`simulate` recorded at this index, up to rounding. The exceptions are networks in which
    rounding errors grow with depth, such as chaotic ones, and batches with inputs that are linearly
    dependent up to rounding (docs/law.md, section 11).

    Parameters
    ----------
    network : Sequential, MLP, RNN, LSTM or GRU
    seed : int, default 0
        As given to :func:`simulate`; it is part of the provenance of the samples.
    index : int, default 0
        Index of the sample, from 0 to 2**56 - 1.
    batch_size, inputs, loss, engine, dtype
        As given to :func:`simulate`; the sample depends on them.
    progress : bool or callable, default False
        As for :func:`simulate`; a callable is called as ``progress(done, total)``, in arrays or
        layers that are drawn.

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

    Of plain networks with one input W x + b = τ w is drawn as one vector. With κ = s‖x‖/τ,
    λ = σ_b/τ and a second normal vector η, of which the engine draws η · δ̂ only,

        W x = s‖x‖ (κ w + λ η)          b = σ_b (λ w - κ η)

    The scalar engine draws lengths of vectors and the number of active units. A replay draws which
    units these are and all directions, from their law given the lengths.

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
    index = checked_int("index", index, 0, INDICES - 1, "2**56 - 1")
    with shown(progress) as show:
        return _sample(network, settings, index, show)


def _sample(network: Network, settings: Settings, index: int, show: Show) -> Replay:
    """Return a sample, with settings for this network."""
    program, n_0 = network.program, network.width_at(0)
    columns = settings.batch_size * program.tokens
    _require_memory(network, program, columns, settings.engine)
    draw = Draws(key=settings.key(network), index=index, dtype=settings.dtype)
    X = None
    if settings.data is not None:
        sequences = settings.data.values.reshape(-1, program.tokens, n_0)
        X = draw.rows(sequences, settings.batch_size)
    chain = Chain(draw, program, X) if settings.engine == "scalar" else None
    if settings.inputs == "zeros":
        X = np.zeros((n_0, columns))
    elif X is None:
        X = chain.x if chain else draw.columns("input", 0, n_0, columns)
    drawn = Drawn(
        draw,
        program,
        columns,
        engine=settings.engine,
        rotates=settings.rotates_biases(network),
        chain=chain,
        report=lambda done, total: show(done, total, done / total, f"{done:,} of {total:,} drawn"),
    )
    places = places_of(program, drawn.named, columns, network.clip)
    outputs = forward(places, scaled(X))[-1]
    if chain:
        G = chain.output_gradient(settings.loss, outputs)
    else:
        G = output_gradient(settings.loss, outputs, draw, network.depth)
    if drawn.conditional:
        backward(places, G, network.clip)
    return _replay(network, draw, X, drawn.explicit(), G)


def _replay(
    network: Network, draw: Draws, X: Array, parameters: dict[str, Array], G: Scaled
) -> Replay:
    """Return the sample; the arrays of an MLP and of an RNN also as lists and attributes."""
    with np.errstate(over="ignore"):  # G_D may underflow to zero or overflow to infinity
        plain = shifted(G.mantissa, G.exponent)
    if not takes_separate_arrays(network):
        return Replay(network, X, [], [], plain, parameters=parameters)
    if network.shares_weights:
        n, get = network.width, parameters.get
        U, s = get("input_weight"), get("drive")
        if U is None or s is None:
            U, s = drawn_drive(draw, "normal", 0.0, (n, n), (network.depth, *X.shape))
        b = get("bias", np.zeros(n))
        return Replay(network, X, [parameters["weight"]], [b], plain, None, U, s, parameters)
    indices, widths = range(network.depth), network.widths
    return Replay(
        network,
        X,
        [parameters[f"{i}.weight"] for i in indices],
        [parameters.get(f"{i}.bias", np.zeros(widths[i + 1])) for i in indices],
        plain,
        [parameters[f"{i}.gate"] for i in indices] if network.highway else None,
        parameters=parameters,
    )


def _require_memory(network: Network, program: Program, columns: int, engine: str) -> None:
    """Raise an error if the arrays of a replay would not fit in memory."""
    entries, rows, largest = 0.0, 0.0, 0
    for weights, count in program.of(operations.Weights).items():
        n, m = weights.shape
        entries += float(n) * m * (1 if weights.shared else count)
        rows += float(n + m) * count
        largest = max(largest, n, m)
    for mask, count in program.of(operations.Mask).items():
        rows += float(mask.rows) * count
    for attention, count in program.of(operations.Attend).items():
        rows += float(attention.heads * program.tokens) * count
    entries += sum(float(drive.rows) ** 2 for drive in program.of(operations.Drive))
    kept = rows * columns * {"dense": 4, "matrix-free": 8, "scalar": 16}[engine]
    require_memory(
        int(8 * (entries + 6.0 * largest**2 + kept)),
        f"a replay of the weights of {network!r}",
        "lower depth or width; a simulation needs no weights",
    )
