"""The kinds of layers, forward and backward: the formulas of the networks that vgsim simulates.

A layer, called with the states X_0 … X_{l-1} below it, returns X_l. Its method `back` takes
G_l = ∂L/∂X_l and returns the terms that it contributes to the gradients below.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

import numpy as np

from vgsim._networks.activations import ACTIVATIONS, Activation
from vgsim._networks.description import Network
from vgsim._networks.techniques import Clip
from vgsim._twin.along import Along
from vgsim._twin.clipping import clipped, rescaling
from vgsim._twin.groups import Groups
from vgsim._twin.normalisation import Normalisation, Unnormalised, normalisation
from vgsim._twin.scaled import Scaled, activated, backpropagated, outer, scaled

__all__ = [
    "Affine",
    "Layer",
    "Matrix",
    "backward",
    "forward",
    "mlp_layers",
    "rnn_layers",
]

States = Sequence[Scaled]
Parts = list[tuple[int, Scaled]]  # terms of gradients, and how many layers down they belong
SATURATED = 0.05  # fraction of the steepest slope below which a unit counts as saturated
LINEAR, SIGMOID = Activation("linear"), Activation("sigmoid")


class Matrix(Protocol):
    """A weight matrix, used in products with columns only."""

    def __matmul__(self, columns: Scaled, /) -> Scaled:
        """W X."""

    @property
    def T(self) -> Matrix:
        """Wᵀ."""


class Affine:
    """H = W X + b."""

    groups: Groups | None = None  # of equal examples under batch normalisation

    def __init__(self, W: Matrix, b: Scaled | None) -> None:
        self.W, self.b = W, b

    def __call__(self, x: Scaled) -> Scaled:
        """H."""
        self.x = x
        u = self.W @ x
        if self.groups is not None:
            self.groups.find(x)
            u = self.groups.equalised(u)
        return u if self.b is None else u + self.b

    @property
    def is_biased(self) -> bool:
        """Whether b differs from zero."""
        return self.b is not None and bool(self.b.mantissa.any())

    def back(self, delta: Scaled) -> Scaled:
        """Wᵀ Δ, Δ = ∂L/∂H."""
        self.delta = delta
        return self.W.T @ delta

    @property
    def weight_gradient(self) -> Scaled:
        """∂L/∂W = Δ Xᵀ."""
        return outer(self.delta, self.groups.leaders_alone(self.x) if self.groups else self.x)


class Nonlinearity:
    """Y = φ(H), elementwise."""

    def __init__(self, phi: Activation) -> None:
        self.phi = phi

    def __call__(self, h: Scaled) -> Scaled:
        """φ(H)."""
        self.h = h
        return activated(self.phi, h)

    def back(self, g: Scaled) -> Scaled:
        """φ'(H) ∘ G, G = ∂L/∂Y."""
        return backpropagated(self.phi, self.h, g)

    @property
    def saturation(self) -> float:
        """Fraction of entries with |φ'(H)| < 0.05 max |φ'|."""
        slope = np.abs(self.phi.derivative(self.h.clipped))
        return float(np.mean(slope < SATURATED * self.phi.max_derivative))


class Layer:
    """X_l = φ(norm(W X_{l-1} + b))."""

    below: Along | None = None  # G_{l-1} · X_{l-1}, if the normalisation determines it
    above: Along | None = None  # D · Ĥ = G_l · X_l, if φ is of degree one
    is_pair = False  # whether the layer has two units and the next one is wider
    is_last = False

    def __init__(
        self, affine: Affine, norm: Normalisation | Unnormalised, phi: Nonlinearity
    ) -> None:
        self.affine, self.norm, self.phi = affine, norm, phi

    def __call__(self, below: States) -> Scaled:
        """X_l."""
        return self.phi(self.norm(self.affine(below[-1])))

    def back(self, g: Scaled) -> Parts:
        """Terms of the gradients below, given G_l."""
        return [(1, self._through_weights(self._through_norm(self._through_phi(g))))]

    def _through_phi(self, g: Scaled) -> Scaled:
        """Gradient with respect to the argument of φ, given G_l."""
        d = self.phi.back(g)
        if self.above and self.is_pair:
            return self.above.of_pairs(d, self.phi.phi, self.phi.h)
        return self.above.of_lone_units(d, self.phi.phi, self.phi.h) if self.above else d

    def _through_weights(self, delta: Scaled) -> Scaled:
        """G_{l-1}, given Δ."""
        below = self.affine.back(delta)
        if self.below and len(below.mantissa) == 1:
            below = self.below.over(self.affine.x, below)
        return below

    def _through_norm(self, d: Scaled) -> Scaled:
        """Gradient with respect to the input of the normalisation, given d = ∂L/∂Ĥ."""
        if self.below and isinstance(self.norm, Normalisation):
            of_degree_one = self.phi.phi.slope_below_zero is not None
            above = self.above if of_degree_one and not isinstance(self, PostActivated) else None
            self.below.follow(above, d, self.norm.h, self.norm.share)
        groups = self.affine.groups
        if not groups:
            return self.norm.back(d)
        return self.norm.back(groups.gather(d) if self.is_last else d, groups)


class PreActivated(Layer):
    """X_l = W φ(norm(X_{l-1})) + b."""

    def __call__(self, below: States) -> Scaled:
        """X_l."""
        return self.affine(self.phi(self.norm(below[-1])))

    def back(self, g: Scaled) -> Parts:
        """Terms of the gradients below, given G_l."""
        return [(1, self._through_norm(self._through_phi(self.affine.back(g))))]


class PostActivated(Layer):
    """X_l = φ(s X_{l-every} + c norm(W X_{l-1} + b))."""

    def __init__(self, layer: Layer, every: int, s: float, c: float) -> None:
        super().__init__(layer.affine, layer.norm, layer.phi)
        self.every, self.s, self.c = every, s, c

    def __call__(self, below: States) -> Scaled:
        """X_l."""
        return self.phi(self.s * below[-self.every] + self.c * self.norm(self.affine(below[-1])))

    def back(self, g: Scaled) -> Parts:
        """Terms of the gradients below, given G_l."""
        d = self._through_phi(g)
        return [
            (self.every, self.s * d),
            (1, self._through_weights(self._through_norm(self.c * d))),
        ]


class Skip(Layer):
    """X_l = s X_{l-every} + c F, with F the output of another layer."""

    def __init__(self, layer: Layer, every: int, s: float, c: float) -> None:
        super().__init__(layer.affine, layer.norm, layer.phi)
        self.layer, self.every, self.s, self.c = layer, every, s, c

    def __call__(self, below: States) -> Scaled:
        """X_l."""
        return self.s * below[-self.every] + self.c * self.layer(below)

    def back(self, g: Scaled) -> Parts:
        """Terms of the gradients below, given G_l."""
        return [*self.layer.back(self.c * g), (self.every, self.s * g)]


class Gated(Layer):
    """X_l = T ∘ Y + (1 - T) ∘ X_{l-1}, with Y of a plain layer and T = σ(W_T X_{l-1} + b_T)."""

    def __init__(self, layer: Layer, gate: Affine) -> None:
        super().__init__(layer.affine, layer.norm, layer.phi)
        self.gate, self.sigmoid = gate, Nonlinearity(SIGMOID)

    def __call__(self, below: States) -> Scaled:
        """X_l."""
        x = below[-1]
        y = super().__call__(below)
        h = self.gate(x)
        self.open = self.sigmoid(h)
        self.shut = activated(SIGMOID, -1.0 * h)  # 1 - σ(h) = σ(-h)
        self.difference = y - x
        return self.open * y + self.shut * x

    def back(self, g: Scaled) -> Parts:
        """Terms of the gradients below, given G_l."""
        through_gate = self.gate.back(self.sigmoid.back(self.difference * g))
        return [*super().back(self.open * g), (1, through_gate), (1, self.shut * g)]


def mlp_layers(
    network: Network,
    weights: Sequence[Matrix],
    biases: Sequence[Scaled | None],
    gate_weights: Sequence[Matrix] | None,
) -> list[Layer]:
    """Return the layers 1 … D of an MLP. Biases are given as columns."""
    residual, highway = network.residual, network.highway
    style = residual.style if residual else None
    layers = []
    for l, (W, b) in enumerate(zip(weights, biases, strict=True), start=1):
        ends_block = residual is not None and l % residual.every == 0
        bare = ends_block and style == "linear"
        norm = None if bare else network.norm
        if norm == "batch" and style != "pre":
            b = None  # subtracting the mean cancels it exactly
        layer = (PreActivated if style == "pre" else Layer)(
            Affine(W, b),
            normalisation(norm, network.norm_eps),
            Nonlinearity(LINEAR if bare else network.activation),
        )
        if residual and ends_block:
            skipping = PostActivated if style == "post" else Skip
            c = residual.branch_scale(network.depth)
            layer = skipping(layer, residual.every, residual.skip, c)
        if highway and gate_weights:
            gate_bias = scaled(np.full((network.width_at(l), 1), highway.gate_bias))
            layer = Gated(layer, Affine(gate_weights[l - 1], gate_bias))
        layers.append(layer)
    _link(network, layers)
    return layers


def _link(network: Network, layers: Sequence[Layer]) -> None:
    """Set `groups`, `below`, `above` and `is_pair` of the layers of normalised networks."""
    if network.clip and network.clip.by == "value":
        return
    if network.norm == "batch" and not (network.residual or network.highway):
        groups = None
        for layer in layers:
            groups = layer.affine.groups = Groups(groups)
        layers[-1].is_last = True
    if network.norm not in ("layer", "rms") or network.highway:
        return
    every, style = 0, None
    if network.residual:
        every, style = network.residual.every, network.residual.style
    pre = style == "pre"
    for l in range(pre, network.depth):
        begins, bare = every and l % every == 0, style == "linear" and (l + 1) % every == 0
        if (begins and (style != "post" or l == 0)) or bare or layers[l - pre].affine.is_biased:
            continue
        layer = layers[l]
        layer.below = Along()
        if isinstance(layer, Skip):
            layer.layer.below = layer.below
        pair = network.norm == "layer" and network.widths[l] == 2 < network.widths[l + 1]
        pair &= not (style == "post" and begins)
        phi = network.activation
        if l and (phi.slope_below_zero is not None or (pair and ACTIVATIONS[phi.name].is_odd)):
            layers[l - 1].above, layers[l - 1].is_pair = layer.below, pair


def rnn_layers(
    network: Network, W: Matrix, b: Scaled | None, U: Matrix | None, drive: Iterable[Scaled]
) -> list[Layer]:
    """Return the steps 1 … D of a recurrent network: layers with one W and biases U s_t + b."""
    terms: Iterable[Scaled | None] = [b] * network.depth
    if U is not None:
        terms = [U @ s_t if b is None else U @ s_t + b for s_t in drive]
    return [
        Layer(Affine(W, b_t), Unnormalised(), Nonlinearity(network.activation)) for b_t in terms
    ]


def forward(layers: Iterable[Layer], x: Scaled) -> list[Scaled]:
    """Return X_0 … X_D."""
    states = [x]
    for layer in layers:
        states.append(layer(states))
    return states


def backward(
    layers: Sequence[Layer], g: Scaled, clip: Clip | None
) -> tuple[list[Scaled], list[float]]:
    """Return the clipped G_0 … G_D and the fractions of their entries that were clipped."""
    gradients, fractions = [g], [0.0]
    arrived: dict[int, Scaled] = {}
    for l in range(len(layers), 0, -1):
        layer = layers[l - 1]
        for down, part in layer.back(g):
            if down == 1 and l - 1 in arrived and layer.below:
                layer.below.add(arrived[l - 1], layer.affine.x)
            arrived[l - down] = arrived[l - down] + part if l - down in arrived else part
        g, groups = arrived.pop(l - 1), layer.affine.groups
        whole = groups.spread(g) if groups else g
        cut, fraction = clipped(clip, whole)
        if fraction and layer.below:
            layer.below.clip(whole, cut)
        if fraction:
            g = rescaling(whole, cut) * g if groups else cut
        gradients.append(cut)
        fractions.append(fraction)
    return gradients[::-1], fractions[::-1]
