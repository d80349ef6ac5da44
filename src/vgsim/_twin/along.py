"""G · X of every example, under layer and RMS normalisation.

If layer l + 1 normalises W x without a bias, its output hardly depends on the norm of x:

    G_l · X_l = Δ_{l+1} · H_{l+1} = (D_{l+1} · Ĥ_{l+1}) ε/(v + ε)

for each example, with D = ∂L/∂Ĥ. The terms of the sum G_l · X_l are much larger and cancel. An
activation of degree one has D · H = G · φ(H), and a matrix (Wᵀ Δ) · X = Δ · (W X). So the product
that a normalisation determines is handed down beside the gradient, until an operation loses it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from vgsim._networks.activations import Activation
from vgsim._twin.scaled import Scaled, activated, argument, chosen, scaled

__all__ = ["Along", "Gradients", "dot"]

ALL_BUT_SHUT = 2.0**-12  # relative to the steepest slope


@dataclass(frozen=True)
class Along:
    """G · X of the columns of a register.

    Attributes
    ----------
    product : Scaled, (1, B)
    widens : bool
        Whether the register was next multiplied by a matrix with more rows than columns.
    """

    product: Scaled
    widens: bool = False

    def rescaled(self, factor: Scaled) -> Along:
        """Return the product of a gradient that was multiplied by a number."""
        return Along(factor * self.product, self.widens)

    def of_lone_units(self, d: Scaled, phi: Activation, h: Scaled) -> Scaled:
        """D, with D_i from D · H in the examples in which only unit i is open."""
        slope = np.abs(phi.derivative(h.clipped))
        is_open = slope >= ALL_BUT_SHUT * max(1.0, *phi.slope_at_zero)
        lone = np.sum(is_open, axis=0) == 1
        if not np.any(lone):
            return d
        others = scaled(np.where(is_open, 0.0, d.mantissa), d.exponent)
        own = self.product - dot(others, h)
        at = np.sum(h.mantissa, axis=0, where=is_open)
        lone &= at != 0
        at = np.where(lone, at, 1.0)
        own = scaled(is_open * (own.mantissa / at), own.exponent - h.exponent)
        return chosen(lone, others + own, d)

    def of_lone_entries(self, g: Scaled, y: Scaled, factor: float) -> Scaled:
        """G of the columns whose mask leaves one entry y_i = factor x_i, by G_i x_i = G · X."""
        lone = np.count_nonzero(y.mantissa, axis=0) == 1
        at = np.where(lone, np.sum(y.mantissa, axis=0), 1.0)
        is_own = y.mantissa != 0
        own = scaled(
            is_own * (factor * self.product.mantissa / at), self.product.exponent - y.exponent
        )
        others = scaled(np.where(is_own, 0.0, g.mantissa), g.exponent)
        return chosen(lone, own + others, g)

    def through_odd(self, phi: Activation, h: Scaled) -> Along:
        """D · Ĥ for Ĥ = (ĥ, -ĥ) and an odd φ: G · Y times φ'(ĥ) ĥ/φ(ĥ)."""
        y = activated(phi, h)
        some = y.mantissa[:1] != 0
        slope = phi.derivative(argument(phi, h))[:1] * h.mantissa[:1]
        turn = np.where(some, slope / np.where(some, y.mantissa[:1], 1.0), 1.0)
        return Along(self.product * scaled(turn, h.exponent - y.exponent), self.widens)

    def of_pairs(self, d: Scaled, h: Scaled) -> Scaled:
        """D less its mean, (D · Ĥ) Ĥ/‖Ĥ‖², for Ĥ = (ĥ, -ĥ)."""
        square = dot(h, h)
        some = square.mantissa[0] != 0
        share = h.mantissa / np.where(some, square.mantissa, 1.0)
        return chosen(some, self.product * scaled(share, h.exponent - square.exponent), d)

    def over(self, x: Scaled, g: Scaled) -> Scaled:
        """G = (G · X)/x of a layer of one unit, or `g` where x is zero."""
        some = x.mantissa[0] != 0
        own = self.product.mantissa / np.where(some, x.mantissa, 1.0)
        return chosen(some, scaled(own, self.product.exponent - x.exponent), g)


@dataclass
class Gradients:
    """Gradients by the present contents of the registers, and their products G · X where known.

    Examples
    --------
    >>> import numpy as np
    >>> from vgsim._twin.along import Gradients
    >>> from vgsim._twin.scaled import scaled
    >>> gradients = Gradients()
    >>> gradients.add(0, scaled(np.array([[1.0]])))
    >>> gradients.add(0, scaled(np.array([[2.0]])))
    >>> g, along = gradients.take(0)
    >>> g.mantissa * 2.0**g.exponent
    array([[3.]])
    """

    parts: dict[int, tuple[Scaled, Along | None]] = field(default_factory=dict)

    def take(self, register: int) -> tuple[Scaled, Along | None]:
        """Return and forget the gradient of a register and its product."""
        return self.parts.pop(register)

    def add(self, register: int, g: Scaled, along: Along | None = None) -> None:
        """Add a term to the gradient of a register; its product is known if those of both are."""
        if register in self.parts:
            before, known = self.parts[register]
            g = before + g
            along = Along(known.product + along.product) if known and along else None
        self.parts[register] = g, along


def dot(a: Scaled, b: Scaled) -> Scaled:
    """Return the dot products a · b, column by column."""
    return scaled(np.sum(a.mantissa * b.mantissa, axis=0, keepdims=True), a.exponent + b.exponent)
