"""The operations of a network, forward and backward: one class for each kind of operation.

A step, called with the registers, replaces the contents of some of them. Its method `back` takes
the gradients with respect to the contents after the step, and replaces them by those with respect
to the contents before.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from vgsim._networks import operations
from vgsim._networks.activations import Activation
from vgsim._twin.along import Along, Gradients, dot
from vgsim._twin.attention import Attention
from vgsim._twin.groups import Groups
from vgsim._twin.normalisation import Normalisation
from vgsim._twin.scaled import Array, Scaled, activated, backpropagated, product, scaled, slopes

__all__ = [
    "Activate",
    "Attend",
    "Bias",
    "Copy",
    "Drive",
    "GateBias",
    "Included",
    "Mask",
    "Matrix",
    "Mix",
    "Multiply",
    "Normalise",
    "Registers",
    "Shift",
    "Step",
    "Sum",
    "Weights",
]

Registers = dict[int, Scaled]
SATURATED = 0.05  # fraction of the steepest slope below which a unit counts as saturated
SIGMOID = Activation("sigmoid")


class Matrix(Protocol):
    """A weight matrix, used in products with columns only."""

    def __matmul__(self, columns: Scaled, /) -> Scaled:
        """W X."""

    @property
    def T(self) -> Matrix:
        """Wᵀ."""


class Step(Protocol):
    """An operation at one place of a network."""

    def __call__(self, x: Registers, /) -> None:
        """Replace the contents of registers."""

    def back(self, gradients: Gradients, /) -> None:
        """Replace the gradients by those with respect to the contents before this step."""


class Weights:
    """target ← W source."""

    groups: Groups | None = None  # of equal examples under batch normalisation

    def __init__(self, operation: operations.Weights, W: Matrix) -> None:
        self.operation, self.W = operation, W

    def __call__(self, x: Registers) -> None:
        """W X."""
        self.x = x[self.operation.source]
        u = self.W @ self.x
        if self.groups is not None:
            self.groups.find(self.x)
            u = self.groups.equalised(u)
        x[self.operation.target] = u

    def back(self, gradients: Gradients) -> None:
        """Wᵀ Δ; (Wᵀ Δ) · X = Δ · (W X)."""
        n, m = self.operation.shape
        self.delta, along = gradients.take(self.operation.target)
        g = self.W.T @ self.delta
        if along:
            g = along.over(self.x, g) if m == 1 else g
            along = Along(along.product, widens=n > m)
        gradients.add(self.operation.source, g, along)

    @property
    def factors(self) -> tuple[Scaled, Scaled]:
        """Δ and X, with ∂L/∂W = Δ Xᵀ."""
        return self.delta, self.groups.leaders_alone(self.x) if self.groups else self.x


class Included:
    """In place of a bias: the product with the matrix before it includes it."""


class Bias:
    """register ← register + b; nothing happens if b is None."""

    loses_products = False  # whether b is part of the contents, so that G · X is not known

    def __init__(self, operation: operations.Bias, b: Scaled | Included | None) -> None:
        self.register = operation.register
        self.b: Scaled | None = None
        if isinstance(b, Included):
            self.loses_products = True
        elif b is not None and b.mantissa.any() and not operation.cancels:
            self.b, self.loses_products = b, True

    def __call__(self, x: Registers) -> None:
        """X + b."""
        if self.b is not None:
            x[self.register] = x[self.register] + self.b

    def back(self, gradients: Gradients) -> None:
        """G, which is not changed."""
        if self.loses_products:
            g, _ = gradients.take(self.register)
            gradients.add(self.register, g)


class Shift(Bias):
    """register ← register + value."""

    def __init__(self, operation: operations.Shift) -> None:
        self.register, self.b = operation.register, None
        if operation.value:
            self.b, self.loses_products = scaled(np.array([[operation.value]])), True


class GateBias(Bias):
    """register ← register + b_k, k the number of a gate."""

    def __init__(self, operation: operations.GateBias, b: Scaled | None) -> None:
        self.register, self.b = operation.register, None
        if b is not None and b.mantissa.any():
            self.b, self.loses_products = b, True


class Drive(Bias):
    """register ← register + U_k s_t, k the number of a gate."""

    loses_products = True

    def __init__(self, operation: operations.Drive, U: Matrix, s: Scaled) -> None:
        self.register, self.b = operation.register, U @ s


class Normalise:
    """register ← its normalisation."""

    groups: Groups | None = None
    gathers = False  # whether gradients arrive that are not yet sums and deviations of groups

    def __init__(self, operation: operations.Normalise, *, follows_products: bool) -> None:
        self.register = operation.register
        self.norm = Normalisation(operation.kind, operation.eps)
        self.follows_products = follows_products and operation.kind != "batch"
        self.is_layer = operation.kind == "layer"

    def __call__(self, x: Registers) -> None:
        """Ĥ."""
        x[self.register] = self.norm(x[self.register])

    def back(self, gradients: Gradients) -> None:
        """∂L/∂H, and (∂L/∂H) · H = (D · Ĥ) ε/(v + ε)."""
        d, along = gradients.take(self.register)
        if along and along.widens and self.is_layer and len(d.mantissa) == 2:
            d = along.of_pairs(d, self.norm.h)
        if self.groups:
            g = self.norm.back(self.groups.gather(d) if self.gathers else d, self.groups)
        else:
            g = self.norm.back(d)
        known = None
        if self.follows_products:
            above = along.product if along else dot(d, self.norm.h)
            known = Along(above * self.norm.share)
        gradients.add(self.register, g, known)


class Activate:
    """register ← φ(register)."""

    def __init__(self, operation: operations.Activate, *, follows_layer_norm: bool) -> None:
        self.register, self.phi = operation.register, operation.activation
        self.follows_layer_norm = follows_layer_norm

    def __call__(self, x: Registers) -> None:
        """φ(H)."""
        self.h = x[self.register]
        x[self.register] = activated(self.phi, self.h)

    def back(self, gradients: Gradients) -> None:
        """φ'(H) ∘ G."""
        g, along = gradients.take(self.register)
        self.slope, phi = slopes(self.phi, self.h), self.phi
        d = backpropagated(phi, self.h, g, self.slope)
        of_degree_one = phi.slope_below_zero is not None
        of_two = self.follows_layer_norm and len(self.h.mantissa) == 2
        if along and of_degree_one:
            d = along.of_lone_units(d, phi, self.h)
        elif along and of_two and phi._law.is_odd:
            along = along.through_odd(phi, self.h)
        else:
            along = None
        gradients.add(self.register, d, along)

    @property
    def saturated(self) -> int:
        """The number of entries with |φ'(H)| < 0.05 max |φ'|."""
        return np.count_nonzero(np.abs(self.slope) < SATURATED * self.phi.max_derivative)


class Mask:
    """register ← m ∘ register/(1 - rate)."""

    def __init__(self, operation: operations.Mask, mask: Array) -> None:
        self.register, self.mask = operation.register, mask
        self.factor = 1.0 / (1.0 - operation.rate)

    def __call__(self, x: Registers) -> None:
        """M ∘ X/(1 - rate)."""
        self.y = x[self.register] = self._masked(x[self.register])

    def back(self, gradients: Gradients) -> None:
        """M ∘ G/(1 - rate), or its only entry from G · X."""
        d, along = gradients.take(self.register)
        g = self._masked(d)
        if along:
            g = along.of_lone_entries(g, self.y, self.factor)
        gradients.add(self.register, g, along)

    def _masked(self, a: Scaled) -> Scaled:
        return scaled(self.factor * self.mask * a.mantissa, a.exponent)


class Copy:
    """target ← source."""

    def __init__(self, operation: operations.Copy) -> None:
        self.source, self.target = operation.source, operation.target

    def __call__(self, x: Registers) -> None:
        """X."""
        self.x = x[self.target] = x[self.source]

    def back(self, gradients: Gradients) -> None:
        """Sum of both gradients."""
        g, _ = gradients.take(self.target)
        _, along = gradients.parts[self.source]
        gradients.add(self.source, g, Along(dot(g, self.x)) if along else None)


class Sum:
    """register ← skip · other + branch · register."""

    def __init__(self, operation: operations.Sum) -> None:
        self.operation = operation

    def __call__(self, x: Registers) -> None:
        """Sum with the skip connection."""
        o = self.operation
        x[o.register] = o.skip * x[o.other] + o.branch * x[o.register]

    def back(self, gradients: Gradients) -> None:
        """Multiples of G."""
        o = self.operation
        g, _ = gradients.take(o.register)
        gradients.add(o.other, o.skip * g)
        gradients.add(o.register, o.branch * g)


class Multiply:
    """register ← other ∘ register."""

    def __init__(self, operation: operations.Multiply) -> None:
        self.register, self.other = operation.register, operation.other

    def __call__(self, x: Registers) -> None:
        """T ∘ Y."""
        self.y, self.factor = x[self.register], x[self.other]
        x[self.register] = product(self.factor, self.y)

    def back(self, gradients: Gradients) -> None:
        """Y ∘ G and T ∘ G."""
        g, _ = gradients.take(self.register)
        gradients.add(self.other, product(self.y, g))
        gradients.add(self.register, product(self.factor, g))


class Mix:
    """register ← T ∘ register + (1 - T) ∘ other, with T = σ(gate)."""

    def __init__(self, operation: operations.Mix) -> None:
        self.operation = operation

    def __call__(self, x: Registers) -> None:
        """T ∘ Y + (1 - T) ∘ X."""
        o = self.operation
        self.h = x[o.gate]
        self.open = activated(SIGMOID, self.h)
        self.shut = activated(SIGMOID, -1.0 * self.h)  # 1 - σ(h) = σ(-h)
        self.difference = x[o.register] - x[o.other]
        x[o.register] = self.open * x[o.register] + self.shut * x[o.other]

    def back(self, gradients: Gradients) -> None:
        """T ∘ G, (1 - T) ∘ G and σ' ∘ (Y - X) ∘ G."""
        o = self.operation
        g, _ = gradients.take(o.register)
        self.slope = slopes(SIGMOID, self.h)
        gradients.add(o.gate, backpropagated(SIGMOID, self.h, self.difference * g, self.slope))
        gradients.add(o.other, self.shut * g)
        gradients.add(o.register, self.open * g)

    @property
    def saturated(self) -> int:
        """The number of entries of the gate with σ' < 0.05 max σ'."""
        return int(np.count_nonzero(self.slope < SATURATED * SIGMOID.max_derivative))


class Attend:
    """register ← softmax attention, with the values in the register."""

    def __init__(self, operation: operations.Attend, tokens: int) -> None:
        self.operation = operation
        self.attention = Attention(operation.heads, operation.causal, tokens)

    def __call__(self, x: Registers) -> None:
        """V P."""
        o = self.operation
        x[o.register] = self.attention(x[o.query], x[o.key], x[o.register])

    def back(self, gradients: Gradients) -> None:
        """∂L/∂Q, ∂L/∂K and ∂L/∂V."""
        o = self.operation
        c, _ = gradients.take(o.register)
        parts = self.attention.back(c)
        for register, g in zip((o.query, o.key, o.register), parts, strict=True):
            gradients.add(register, g)
