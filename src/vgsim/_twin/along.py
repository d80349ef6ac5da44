"""G · X of every example, under layer and RMS normalisation.

If layer l + 1 normalises W x without a bias, its output hardly depends on the norm of x:

    G_l · X_l = Δ_{l+1} · H_{l+1} = (D_{l+1} · Ĥ_{l+1}) ε/(v + ε)

for each example, with D = ∂L/∂Ĥ. The terms of the sum G_l · X_l are much larger and cancel. If φ
is of degree one, D_l · Ĥ_l = G_l · X_l, so G_l · X_l is computed from the output down as a product.
"""

from __future__ import annotations

import numpy as np

from vgsim._networks.activations import Activation
from vgsim._twin.clipping import rescaling
from vgsim._twin.scaled import Scaled, activated, chosen, scaled

__all__ = ["Along"]

ALL_BUT_SHUT = 2.0**-12  # relative to the steepest slope


class Along:
    """G_l · X_l of the examples of one layer, in the attribute `product`."""

    product: Scaled

    def follow(self, above: Along | None, d: Scaled, h: Scaled, share: Scaled) -> None:
        """Set G · X = (D · Ĥ) share with share = ε/(v + ε); D · Ĥ is that of `above`, or d · h."""
        self.product = (above.product if above else _dot(d, h)) * share

    def add(self, g: Scaled, x: Scaled) -> None:
        """Add g · x, where g is another term of G_l."""
        self.product = self.product + _dot(g, x)

    def clip(self, before: Scaled, after: Scaled) -> None:
        """Scale G · X as clipping has scaled the norm of G_l."""
        self.product = rescaling(before, after) * self.product

    def of_lone_units(self, d: Scaled, phi: Activation, h: Scaled) -> Scaled:
        """D, with D_i from D · Ĥ in the examples in which only unit i is open."""
        slope = np.abs(phi.derivative(h.clipped))
        is_open = slope >= ALL_BUT_SHUT * max(1.0, *phi.slope_at_zero)
        lone = np.sum(is_open, axis=0) == 1
        if not np.any(lone):
            return d
        others = scaled(np.where(is_open, 0.0, d.mantissa), d.exponent)
        own = self.product - _dot(others, h)
        at = np.where(lone, np.sum(h.mantissa, axis=0, where=is_open), 1.0)
        own = scaled(is_open * (own.mantissa / at), own.exponent - h.exponent)
        return chosen(lone, others + own, d)

    def of_pairs(self, d: Scaled, phi: Activation, h: Scaled) -> Scaled:
        """D = (D · Ĥ) Ĥ/‖Ĥ‖² for Ĥ = (ĥ, -ĥ), where φ is odd or of degree one."""
        square = _dot(h, h)
        some = square.mantissa[0] != 0
        share = h.mantissa / np.where(some, square.mantissa, 1.0)
        own = self.product * scaled(share, h.exponent - square.exponent)
        if phi.slope_below_zero is None:  # times φ'(ĥ) ĥ/φ(ĥ)
            y = activated(phi, h)
            turn = phi.derivative(h.clipped) * h.mantissa / np.where(some, y.mantissa, 1.0)
            own = own * scaled(turn, h.exponent - y.exponent)
        return chosen(some, own, d)

    def over(self, x: Scaled, g: Scaled) -> Scaled:
        """G = (G · X)/x of a layer of one unit, or `g` where x is zero."""
        some = x.mantissa[0] != 0
        own = self.product.mantissa / np.where(some, x.mantissa, 1.0)
        return chosen(some, scaled(own, self.product.exponent - x.exponent), g)


def _dot(a: Scaled, b: Scaled) -> Scaled:
    """Return the dot products a · b, column by column."""
    return scaled(np.sum(a.mantissa * b.mantissa, axis=0, keepdims=True), a.exponent + b.exponent)
