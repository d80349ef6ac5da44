"""G · X of every example, where a normalisation leaves next to nothing of it.

A layer that normalises W x, without a bias, hardly notices the size of x:

    G_l · X_l = Δ_{l+1} · H_{l+1} = (D_{l+1} · Ĥ_{l+1}) ε/(v + ε)

for each example, D the gradient by Ĥ. The terms of the sum are far larger, and cancel. If φ is of
degree one, D_l · Ĥ_l = G_l · X_l, which is thus known from the output down as a product.
"""

from __future__ import annotations

import numpy as np

from vgsim._networks.activations import Activation
from vgsim._twin.clipping import rescaling
from vgsim._twin.scaled import Scaled, activated, chosen, scaled

__all__ = ["Along"]

ALL_BUT_SHUT = 2.0**-12  # beside the steepest slope


class Along:
    """G_l · X_l of the examples of a layer: `product`."""

    product: Scaled

    def follow(self, above: Along | None, d: Scaled, h: Scaled, share: Scaled) -> None:
        """Take G · X from D · Ĥ, known or d · h, and the share ε/(v + ε) that is left of it."""
        self.product = (above.product if above else _dot(d, h)) * share

    def add(self, g: Scaled, x: Scaled) -> None:
        """Add what another part of G_l brings."""
        self.product = self.product + _dot(g, x)

    def clip(self, before: Scaled, after: Scaled) -> None:
        """Follow G_l, whose norm has been clipped."""
        self.product = rescaling(before, after) * self.product

    def of_lone_units(self, d: Scaled, phi: Activation, h: Scaled) -> Scaled:
        """D with (D · Ĥ)/ĥ_i in the examples of which one unit i alone is open."""
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
        """D = (D · Ĥ) Ĥ/‖Ĥ‖² where Ĥ = (ĥ, -ĥ) and φ is odd or of degree one."""
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
        """G of a layer of one unit; `g` where its x is zero."""
        some = x.mantissa[0] != 0
        own = self.product.mantissa / np.where(some, x.mantissa, 1.0)
        return chosen(some, scaled(own, self.product.exponent - x.exponent), g)


def _dot(a: Scaled, b: Scaled) -> Scaled:
    """Multiply column by column: a · b."""
    return scaled(np.sum(a.mantissa * b.mantissa, axis=0, keepdims=True), a.exponent + b.exponent)
