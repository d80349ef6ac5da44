"""Residual blocks x' = φ(s x + c H): mean-field theory with the law of a unit on a grid."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vgsim._checks import value_error
from vgsim._networks.description import Network
from vgsim.theory._normalised import unit_means

__all__ = ["post_growth"]

Floats = NDArray[np.float64]
REACH = 8.0  # range of the grid in standard deviations, on either side
POINTS = 400
NO_GRID = (
    "has weights too large or too small, or a branch too weak beside the skip, for a grid: no "
    "theory of style 'post'"
)


@dataclass(frozen=True)
class _Block:
    """A block: weights on the grid of y = s x + c H, and E[· | y before] as a matrix."""

    step: Floats  # transition probabilities, (points before, points)
    slope: Floats  # φ'(y)²
    branch: float  # c² Π σ_w² E φ'²
    law: Floats  # probability of each point


def post_growth(network: Network, powers: list[float], biases: list[float]) -> float:
    """Return ln E(‖G_0‖²/‖G_D‖²).

    The skip path multiplies the slopes of the same unit in all blocks, so the joint law of these is
    needed, not only their mean square. Forward: the law of y = s φ(y') + c H, H normal, on a grid.
    Backward: E[g² | y].
    """
    with np.errstate(all="ignore"):  # overflow is refused below
        return _post_growth(_forward(network, powers, biases), _skip(network))


def _post_growth(blocks: list[_Block], skip: float) -> float:
    growth, conditional = 0.0, np.ones(blocks[-1].law.size)
    for block in reversed(blocks):
        local = block.slope * conditional
        conditional = skip**2 * (block.step @ local) + block.branch * float(block.law @ local)
        top = float(conditional.max())
        if not 0 < top < math.inf:
            raise value_error("network", NO_GRID)
        conditional /= top
        growth += math.log(top)
    return growth + math.log(float(_gauss(_axis(1.0)) @ conditional))


def _skip(network: Network) -> float:
    assert network.residual is not None
    return float(network.residual.skip)


def _axis(std: float) -> Floats:
    return std * np.linspace(-REACH, REACH, POINTS)


def _gauss(h: Floats) -> Floats:
    """Return a normal law on a grid that reaches REACH standard deviations."""
    density = np.exp(-0.5 * (h * REACH / h[-1]) ** 2)
    return np.asarray(density / density.sum())


def _forward(network: Network, powers: list[float], biases: list[float]) -> list[_Block]:
    """Propagate the law of a unit forward; return one `_Block` per block."""
    assert network.residual is not None
    every, skip = network.residual.every, network.residual.skip
    branch = network.residual.branch_scale(network.depth)
    phi = network.activation
    x = _axis(1.0)
    law = _gauss(x)
    blocks = []
    for first in range(0, network.depth, every):
        variance, slopes = float(law @ x**2), 1.0
        for l in range(first, first + every):
            variance = powers[l] * variance + biases[l]
            slopes *= powers[l]
            scale = 1.0 if network.norm is None else variance + network.norm_eps
            slopes /= scale if l < first + every - 1 else 1.0
            if l < first + every - 1:
                _, variance, slope = unit_means(phi, variance / scale)
                slopes *= slope
        if network.norm is not None:
            slopes /= variance + network.norm_eps
            variance /= variance + network.norm_eps
        y, step = _transition(skip * x, abs(branch) * math.sqrt(variance))
        law = law @ step
        blocks.append(_Block(step, phi.derivative(y) ** 2, branch**2 * slopes, law))
        x = phi.value(y)
    return blocks


def _transition(centre: Floats, std: float) -> tuple[Floats, Floats]:
    """Return a grid of y = centre + std z and the transition probabilities to its points."""
    low, high = centre.min() - REACH * std, centre.max() + REACH * std
    if not (std > 0 and math.isfinite(high - low)):
        raise value_error("network", NO_GRID)
    points = math.ceil(min(max(POINTS, (high - low) / (0.4 * std)), 4 * POINTS))
    y = np.linspace(low, high, points)
    y += 0.5 * (y[1] - y[0]) - y[np.argmin(np.abs(y))]  # 0, a possible kink, is between two points
    kernel = np.exp(-0.5 * ((y - centre[:, None]) / std) ** 2)
    total = kernel.sum(axis=1, keepdims=True)
    if not total.min() > 0:
        raise value_error("network", NO_GRID)
    return y, kernel / total
