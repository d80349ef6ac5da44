"""One simulated sample again, as explicit weights.

The dense engine draws its weight matrices, so here they are simply drawn. The matrix-free engine
draws only the products of each matrix; the rest of the matrix is drawn here, from a stream of its
own, so that the matrix is Gaussian and has exactly these products.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from vgsim._activations import ACTIVATIONS
from vgsim._memory import require_memory
from vgsim._network import MLP
from vgsim._random import network_key, normals, truncated_normals, uniforms, words
from vgsim._sampling import INDICES, checked_data, checked_dtype, checked_int, checked_setting
from vgsim._scaled import Array, activated, added, backpropagated, scaled

if TYPE_CHECKING:
    import torch

__all__ = ["Replay", "replay"]

TRUNCATED_STD = 0.87962566103423978  # of a standard normal conditioned on |z| < 2


@dataclass(frozen=True, eq=False)
class Replay:
    """What :func:`replay` returns: one sample as arrays, all float64.

    Attributes
    ----------
    network : MLP
    inputs : ndarray, (n_0, 1)
        X_0.
    weights : list of ndarray
        W_1 … W_D, of shape (n_l, n_{l-1}).
    biases : list of ndarray
        b_1 … b_D, of shape (n_l,); zeros where the network has none.
    output_gradient : ndarray, (n_D, 1)
        G_D = ∂L/∂X_D.

    Examples
    --------
    >>> import vgsim
    >>> sample = vgsim.replay(vgsim.MLP(depth=2, width=[3, 4, 1]), seed=1)
    >>> [W.shape for W in sample.weights]
    [(4, 3), (1, 4)]
    >>> sample
    <Replay: MLP(depth=2, width=(3, 4, 1)), inputs (3, 1), W_1 (4, 3) to W_2 (1, 4)>
    """

    network: MLP
    inputs: Array
    weights: list[Array]
    biases: list[Array]
    output_gradient: Array

    def __repr__(self) -> str:
        first, last = self.weights[0].shape, self.weights[-1].shape
        more = f" to W_{len(self.weights)} {last}" if len(self.weights) > 1 else ""
        return f"<Replay: {self.network!r}, inputs {self.inputs.shape}, W_1 {first}{more}>"

    def to_torch(self) -> torch.nn.Sequential:
        """Build a PyTorch module in float64 with these weights and biases.

        Needs the package torch, which is imported here only.

        Returns
        -------
        torch.nn.Sequential
            ``Linear`` layers, without bias if the network has none, each followed by the
            activation. As ever in PyTorch, examples are rows: it takes (B, n_0) and gives (B, n_D).

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
        try:
            import torch
        except ImportError as error:
            raise ImportError("to_torch needs the package torch: pip install torch") from error
        phi = self.network.activation
        biased = self.network.bias_std > 0 or bool(self.network.bias_limits.any())
        modules: list[torch.nn.Module] = []
        for W, b in zip(self.weights, self.biases, strict=True):
            n, m = W.shape
            linear = torch.nn.Linear(m, n, bias=biased, dtype=torch.float64)
            with torch.no_grad():
                linear.weight.copy_(torch.from_numpy(W))
                if biased:
                    linear.bias.copy_(torch.from_numpy(b))
            activation = ACTIVATIONS[phi.name].torch(torch.nn, *phi.parameters.values())
            modules += [linear, activation]
        return torch.nn.Sequential(*modules)


def replay(
    network: MLP,
    seed: int = 0,
    index: int = 0,
    *,
    batch_size: int = 1,
    inputs: Literal["normal"] | ArrayLike = "normal",
    loss: str = "linear",
    engine: str = "auto",
    dtype: DTypeLike = "float32",
) -> Replay:
    """Turn one simulated sample into the explicit network that it is.

    :func:`evaluate`, or PyTorch's autograd on :meth:`Replay.to_torch`, then gives the numbers that
    :func:`simulate` recorded at this index: to rounding, where rounding errors do not grow with
    depth as they do in a chaotic network.

    Parameters
    ----------
    network : MLP
    seed : int, default 0
        As given to :func:`simulate`; its provenance has it.
    index : int, default 0
        Which sample, from 0 to 2**56 - 1.
    batch_size, inputs, loss, engine, dtype
        As given to :func:`simulate`: a sample depends on them.

    Returns
    -------
    Replay

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type or out of range.
    MemoryError
        If the weights would not fit.

    Notes
    -----
    With x̂ and δ̂ the unit vectors of x_{l-1} and δ_l, the matrix-free engine draws the Gaussian
    products z = W x̂ / s and z' = Wᵀ δ̂ / s across x̂. With M a Gaussian matrix,

        W = s [z x̂ᵀ + (δ̂ z'ᵀ + (I - δ̂ δ̂ᵀ) M) (I - x̂ x̂ᵀ)]

    has independent entries N(0, s²) and exactly these products. Its last term is scaled to the norm
    that entered ‖W‖ in "update_ratio".

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
    engine = checked_setting(network, batch_size, loss, engine)
    widths = np.array(network.widths, dtype=np.float64)
    largest = float((widths[1:] * widths[:-1]).max())
    require_memory(
        int(8 * (widths[1:] @ widths[:-1] + 6 * largest)),
        f"a replay of the weights of {network!r}",
        "lower depth or width; vgsim.simulate needs no weights",
    )
    draw = _Draws(
        key=network_key(network.canonical_json(), seed),
        index=checked_int("index", index, 0, INDICES - 1, "2**56 - 1"),
        dtype=checked_dtype(dtype),
    )
    data = checked_data(inputs, network.widths[0])

    x = draw(normals, "input", 0, network.widths[0]) if data is None else draw.row(data)
    b = [_bias(network, draw, l) for l in range(1, network.depth + 1)]
    g = draw(normals, "cotangent", network.depth, network.widths[-1])
    if engine == "dense":
        W = [_dense_weight(network, draw, l) for l in range(1, network.depth + 1)]
    else:
        W = _matrix_free_weights(network, draw, x, b, g)
    return Replay(network, x[:, np.newaxis], W, b, g[:, np.newaxis])


@dataclass(frozen=True)
class _Draws:
    """The random numbers of one sample."""

    key: NDArray[np.uint32]
    index: int
    dtype: str

    def __call__(self, law: Callable[..., Array], stream: str, layer: int, count: int) -> Array:
        return law(self.key, stream, layer, self.index, count, self.dtype)

    def row(self, data: Array) -> Array:
        """Return a uniformly random row of a data matrix."""
        word = int(words(self.key, "input", 0, self.index, 1)[0])
        row: Array = data[word * len(data) >> 32]
        return row

    def rest(self, layer: int, n: int, m: int) -> Array:
        """M, the part of W_l that only a replay needs: n × m standard normals."""
        M = normals(self.key, "replay_rest", layer, self.index, n * m, "float64")
        return M.reshape(n, m)

    def chi_square(self, layer: int, degrees: int) -> float:
        """χ² by the rejection method of Marsaglia and Tsang (2000), boosted for one degree."""
        if degrees == 0:
            return 0.0
        boosted = degrees == 1
        d = degrees / 2.0 + boosted - 1.0 / 3.0
        c = 1.0 / math.sqrt(9.0 * d)
        block = 0
        while True:
            x = normals(self.key, "norm", layer, self.index, 2 * block + 1, "float64")[-1]
            bits = words(self.key, "norm", layer, self.index, 4 * block + 8)[-4:]
            u, u_boost = ((int(hi) << 32 | int(lo)) >> 12 for hi, lo in bits.reshape(2, 2))
            v = (1.0 + c * float(x)) ** 3
            if v > 0 and _log_uniform(u) < x * x / 2.0 + d - d * v + d * math.log(v):
                boost = math.exp(2.0 * _log_uniform(u_boost)) if boosted else 1.0
                return 2.0 * d * v * boost
            block += 2


def _log_uniform(bits: int) -> float:
    """Return ln of the uniform on (0, 1) that 52 bits stand for."""
    return math.log((bits + 0.5) * 2.0**-52)


def _bias(network: MLP, draw: _Draws, l: int) -> Array:
    """b_l."""
    n, limit = network.widths[l], float(network.bias_limits[l - 1])
    if limit > 0:
        return limit * draw(uniforms, "bias", l, n)
    if network.bias_std > 0:
        return network.bias_std * draw(normals, "bias", l, n)
    return np.zeros(n)


def _dense_weight(network: MLP, draw: _Draws, l: int) -> Array:
    """W_l as the dense engine draws it: every row starts a new quad of draws."""
    n, m = network.widths[l], network.widths[l - 1]
    law, std = {
        "normal": (normals, 1.0),
        "uniform": (uniforms, 1.0 / math.sqrt(3.0)),
        "truncated_normal": (truncated_normals, TRUNCATED_STD),
    }[network.init.distribution]
    padded = -(-m // 4) * 4
    rows = draw(law, "forward", l, n * padded).reshape(n, padded)[:, :m]
    return float(network.weight_stds[l - 1]) / std * rows


def _matrix_free_weights(
    network: MLP, draw: _Draws, inputs: Array, b: list[Array], output_gradient: Array
) -> list[Array]:
    """W_1 … W_D with the products that the matrix-free engine drew; see Notes of replay."""
    phi, widths, s = network.activation, network.widths, network.weight_stds
    x, z, h = [scaled(inputs)], [], []
    for l in range(1, network.depth + 1):
        z.append(draw(normals, "forward", l, widths[l]))
        u = scaled(s[l - 1] * x[-1].size * z[-1], x[-1].exponent)
        h.append(added(u, scaled(b[l - 1])))
        x.append(activated(phi, h[-1]))

    W = []
    g = scaled(output_gradient)
    for l in range(network.depth, 0, -1):
        n, m = widths[l], widths[l - 1]
        delta = backpropagated(phi, h[l - 1], g)
        z_l, x_unit, delta_unit = z[l - 1], x[l - 1].unit, delta.unit
        across = draw(normals, "backward", l, m)
        across = across - x_unit * (x_unit @ across)

        rest = draw.rest(l, n, m)
        rest -= np.outer(delta_unit, delta_unit @ rest)
        rest -= np.outer(rest @ x_unit, x_unit)
        if x_unit.any() and delta_unit.any():
            # A zero x or δ makes the weight gradient zero: ‖W‖ is then not recorded, M stays as is.
            degrees = (n - 1) * (m - 1)
            norm = np.linalg.norm(rest) if degrees else 1.0
            rest *= math.sqrt(draw.chi_square(l, degrees)) / norm
        W.append(s[l - 1] * (np.outer(z_l, x_unit) + np.outer(delta_unit, across) + rest))

        along = x_unit * (z_l @ delta_unit)
        g = scaled(s[l - 1] * delta.size * (along + across), delta.exponent)
    return W[::-1]
