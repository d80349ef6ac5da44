"""The draws of the scalar engine: the lengths of all layers, and explicit vectors made from them.

The engine simulates a plain piecewise linear network by norms and dot products alone. For each
layer it draws the numbers in :class:`Lengths`; the directions that they leave open have a stream
that only a replay reads. A layer with its directions has the vector w with W x + b = τ w (without
bias W x = s‖x‖ w), and the vector N = Wᵀ Q_g / s of the next matrix.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from vgsim._networks.operations import Activate, Bias, Program
from vgsim._twin.conditional import orthonormalised
from vgsim._twin.draws import Draws
from vgsim._twin.parts import EPSILON, Lengths, Parts
from vgsim._twin.scaled import Array, Scaled, scaled

__all__ = ["Chain"]

BLOCK_BITS = 128


@dataclass(eq=False)
class Chain:
    """The layers 0 … D of one sample; layer l ≥ 1 is the one with matrix number l.

    Parameters
    ----------
    draw : Draws
    program : Program
        Of a plain network with a piecewise linear activation.
    row : ndarray, (n_0, 1), optional
        x_0, if it is a row of data. Otherwise it has a drawn norm and a random direction.

    Attributes
    ----------
    x : ndarray, (n_0, 1)
        x_0.
    axes, across : list of ndarray, (n_l, 1)
        The unit vector along x_l, and the normal vector orthogonal to it, of layers 0 … D.
    w : list of ndarray, (n_l, 1)
        Of layers 1 … D; the first entry is empty.

    Examples
    --------
    >>> import numpy as np
    >>> import vgsim
    >>> from vgsim._twin.chain import Chain
    >>> from vgsim._twin.draws import Draws
    >>> draw = Draws(np.array([1, 2], dtype=np.uint32), 0, "float64")
    >>> chain = Chain(draw, vgsim.MLP(2, 5, activation="relu").program)
    >>> len(chain.w), chain.w[2].shape
    (3, (5, 1))
    >>> bool(abs(chain.axes[1].T @ chain.across[1]) < 1e-15)
    True
    """

    draw: Draws
    program: Program
    row: Array | None = None
    x: Array = field(init=False)
    axes: list[Array] = field(init=False)
    across: list[Array] = field(init=False)
    w: list[Array] = field(init=False)

    def __post_init__(self) -> None:
        program = self.program
        (phi,) = {o.activation for o in program.of(Activate)}
        slopes = phi.slope_at_zero
        places = program.layer_places
        widths = program.widths[::places].tolist()
        self.x, axis, across = self._input(widths[0])
        self.axes, self.across, self.w = [axis], [across], [np.empty((0, 1))]
        self.numbers = [np.empty(0)]  # v, ν, a or t₊, and t₋ of each layer
        silent = not self.x.any()  # whether x_{l-1} = 0
        for l, n in enumerate(widths[1:], start=1):
            biased = any(isinstance(o, Bias) for o in program.at(places * (l - 1) + 1))
            silent = silent and not biased  # whether h_l = 0
            self.numbers.append(self.draw.columns("backward", l, 4, 1)[:, 0])
            self.last = Parts(self._lengths(l, n, silent), slopes, self.draw.directions(l, n)[:3])
            self.axes.append(_column(self.last.axis))
            self.across.append(_column(self.last.across))
            self.w.append(_column(self.last.w))
            silent = silent or (self.last.lengths.positives == 0 and slopes[0] == 0)

    def _input(self, n: int) -> tuple[Array, Array, Array]:
        """Return x_0, the unit vector along it, and the vector orthogonal to it."""
        along, _, rest = self.draw.directions(0, n)[:3]
        square, _ = self.draw.chi_squares("input", 0, 0, (n, 0))
        if self.row is not None and self.row.any():
            along = self.row[:, 0] / np.abs(self.row).max()
        axes = orthonormalised(np.column_stack([along, rest]), EPSILON)[0]
        axis, direction = axes[:, :1], axes[:, 1:]
        x = math.sqrt(square) * axis if self.row is None else self.row
        rest_square, _ = self.draw.chi_squares("backward", 0, 1, (n - 1, 0))
        return x, axis, math.sqrt(rest_square) * direction

    def _lengths(self, l: int, n: int, silent: bool) -> Lengths:
        """Draw the numbers of layer l; if it is silent, h = 0, no entry counts as positive."""
        K = 0 if silent else self.draw.heads("forward", l, n)
        after_bits = -(-n // BLOCK_BITS)
        P, N = self.draw.chi_squares("forward", l, after_bits, (K, n - K))
        rests = self.draw.chi_squares("backward", l, 1, (K - 1, n - K - 1))
        v = float(self.numbers[l][0]) if 0 < K < n else 0.0
        return Lengths(K, P, N, v, *rests, silent)

    def nu(self, l: int) -> float:
        """ν of layer l."""
        return float(self.numbers[l][1])

    def output_gradient(self, loss: str, outputs: Scaled) -> Scaled:
        """G_D of the losses "linear" and "mse"."""
        _, _, first, second = self.numbers[-1]
        if loss == "linear":
            return scaled(first * self.axes[-1] + self.across[-1])
        parts = self.last
        T = first * parts.e_positive + second * parts.e_negative - parts.rest
        return outputs - scaled(_column(T))


def _column(a: Array) -> Array:
    return a[:, np.newaxis]
