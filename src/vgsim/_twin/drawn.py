"""The parameters of one sample, in the order of the program: arrays, or matrices by products."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from vgsim._networks import operations
from vgsim._networks.operations import Body, Program
from vgsim._networks.parameter_shapes import parameter_name, shapes_of
from vgsim._twin.chain import Chain
from vgsim._twin.conditional import ConditionalGaussian, ConditionalHaar
from vgsim._twin.draws import Draws
from vgsim._twin.recurrent import by_gate, drawn_parameters
from vgsim._twin.rotation import ConditionalAffine, Rotation
from vgsim._twin.scaled import Array, Scaled, scaled
from vgsim._twin.steps import Included

__all__ = ["Drawn"]

Conditional = ConditionalGaussian | ConditionalHaar


class Drawn:
    """The parameters of one sample, drawn in the order of the program.

    Parameters
    ----------
    draw : Draws
    program : Program
    columns : int
    engine : str
    rotates : bool
        Whether biases are drawn by rotation.
    chain : Chain or None
        The vectors of the scalar engine.
    report : callable
        Called with the numbers of arrays, or of places, that are made and of all.

    Attributes
    ----------
    named : dict
        The parameters as `places_of` takes them.
    plain : dict of str to ndarray
        The parameters that are arrays from the start.
    conditional : dict of str to tuple
        Matrices of which the products are drawn, their numbers, and whether their norm is too.
    rotated : dict of str to ConditionalAffine
        The matrices with which biases are drawn, by the name of the bias.
    """

    def __init__(
        self,
        draw: Draws,
        program: Program,
        columns: int,
        *,
        engine: str,
        rotates: bool,
        chain: Chain | None,
        report: Callable[[int, int], object],
    ) -> None:
        self.report = report
        self.draw, self.columns, self.tokens = draw, columns, program.tokens
        self.dense, self.rotates, self.chain = engine == "dense", rotates, chain
        self.named: dict[str, Any] = {}
        self.plain: dict[str, Array] = {}
        self.conditional: dict[str, tuple[Conditional, int, bool]] = {}
        self.rotated: dict[str, ConditionalAffine] = {}
        self.matrices = self.masks = 0  # numbered from 1
        self.last: dict[int, int] = {}  # the number of the last matrix of each register
        if shapes_of(program, columns):
            self.plain = drawn_parameters(draw, program, columns)
            self.named = by_gate(self.plain)
            return
        depth = len(program.order)
        for place in range(1, depth + 1):
            self._draw(program.at(place), place)
            if self.dense:  # of other engines, `explicit` takes the time
                report(place, depth)

    def _draw(self, body: Body, place: int) -> None:
        """Draw the parameters of a place."""
        for operation in body:
            match operation:
                case operations.Weights():
                    self._weights(operation, place, body)
                case operations.Bias():
                    self._bias(operation, parameter_name(operation, place))
                case operations.Mask(rows=n, rate=rate):
                    self.masks += 1
                    mask = self.draw.mask(self.masks, n, self.columns, rate)
                    name = parameter_name(operation, place)
                    self.named[name] = self.plain[name] = mask

    def _weights(self, operation: operations.Weights, place: int, body: Body) -> None:
        """Draw a matrix, or its products, and the bias if it is drawn with them."""
        name = parameter_name(operation, place)
        self.matrices += 1
        number = self.last[operation.target] = self.matrices
        n, m = operation.shape
        if self.dense:
            law, std, parameters = operation.law, operation.std, operation.parameters
            W = self.draw.weight(law, std, "forward", number, n, m, parameters)
            self.plain[name], self.named[name] = W, Scaled(W, 0)
            return
        epsilon = float(np.finfo(self.draw.dtype).eps)
        period = self.tokens if operation.balanced else 0
        A: Conditional
        if operation.law == "orthogonal":
            N = max(n, m)
            Z, N_ = (self._columns(way, number, N) for way in ("forward", "backward"))
            A = ConditionalHaar(operation.std * math.sqrt(N), (n, m), Z, N_, epsilon, period)
        else:
            axis = None
            if self.chain:
                k = number - 1
                Z, N_, axis = self.chain.w[number], self.chain.across[k], self.chain.axes[k]
            else:
                Z, N_ = self._columns("forward", number, n), self._columns("backward", number, m)
            products = operation.std, Z, N_, epsilon, period, axis
            biases = [o for o in body if isinstance(o, operations.Bias)] if self.rotates else []
            if biases:
                std, rotation = biases[0].std, self._rotation(number, n)
                A = ConditionalAffine(*products, bias_std=std, rotation=rotation)
                self.rotated[parameter_name(biases[0], place)] = A
            else:
                A = ConditionalGaussian(*products)
        self.named[name] = A
        self.conditional[name] = A, number, operation.recorded

    def _columns(self, stream: str, number: int, n: int) -> Array:
        return self.draw.columns(stream, number, n, self.columns)

    def _rotation(self, number: int, n: int) -> Rotation:
        """Draw η of a matrix with n rows."""
        draw = self.draw
        nu = (
            self.chain.nu(number) if self.chain else float(draw.columns("bias", number, 1, 1)[0, 0])
        )
        second, square = draw.beyond_nu(number, n)
        return Rotation(nu, second, square, draw.directions(number, n)[3])

    def _bias(self, operation: operations.Bias, name: str) -> None:
        """Draw a bias, from the stream of the number of its matrix, unless it is drawn with it."""
        if name in self.rotated:
            self.named[name] = Included()
        else:
            number = self.last[operation.register]
            b = self.draw.bias(number, operation.rows, operation.std, operation.limit)
            self.plain[name], self.named[name] = b, scaled(b[:, np.newaxis])

    def explicit(self) -> dict[str, Array]:
        """Return all parameters as arrays, in the order of the program, after both passes."""
        made = {}
        for name in self.named:
            made[name] = self._explicit(name)
            if not self.dense:
                self.report(len(made), len(self.named))
        return made

    def _explicit(self, name: str) -> Array:
        """Return a matrix given its products; recorded Gaussian ones have the norm drawn."""
        if name in self.plain:
            return self.plain[name]
        if name in self.rotated:
            return self.rotated[name].b
        A, number, recorded = self.conditional[name]
        rest = self.draw.rest("replay_rest", number, *A.rest_shape)
        if isinstance(A, ConditionalHaar):
            return A.explicit(rest)
        return A.explicit(rest, self.draw.chi_square(number, A.degrees) if recorded else None)
