"""Moments m_k = E tr(J Jᵀ)^k/n of the spectrum of the Jacobian J, from random cotangents.

The B examples of a batch are equal, so they have the same J; their cotangents u_b are independent.
With S_B = Σ_b ‖Jᵀu_b‖² and M = J Jᵀ: E S_B = B E tr M and E S_B² = B² E (tr M)² + 2 B E tr M²,
hence

    m_2/m_1² = n (ρ_1 − ρ_B)/(2 − 2/B),   ρ_B = E S_B²/(E S_B)².
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

import vgsim
from verification.comparison import Array, Comparison

B = 8
CRITICAL_TANH = {"gain": math.sqrt(1.760955), "bias_std": math.sqrt(0.05)}
TANH_SQUARE = (0.570048 - 0.05) / 1.760955  # E φ² at the fixed point q* of CRITICAL_TANH
TANH_MU_2 = 1.34226  # E φ'^4/(E φ'²)² at q*


def comparisons(seed: int, quick: bool) -> Iterator[Comparison]:
    n, depth, size = (128, 4, 20_000) if quick else (256, 10, 300_000)
    for activation, p in (("linear", 1.0), ("relu", 0.5)):
        net = vgsim.MLP(depth, n, activation=activation, init="lecun_normal", gain=p**-0.5)
        measured = second_moment(net, np.ones(n), size, seed)
        name = f"Gaussian, {activation}, n = {n}, D = {depth}: m_2/m_1²"
        yield Comparison(name, *measured, gated_second_moment(n, depth, p))
        yield first_moment(net, np.ones(n), size, seed)
    relu = {"activation": "relu", "gain": math.sqrt(2)}
    limits = {
        "√2 orthogonal, ReLU": ({"init": "orthogonal", **relu}, 1.0, depth + 1),
        "Gaussian, critical tanh": (
            {"init": "lecun_normal", **CRITICAL_TANH},
            TANH_SQUARE,
            1 + TANH_MU_2 * depth,
        ),
        "orthogonal, critical tanh": (
            {"init": "orthogonal", **CRITICAL_TANH},
            TANH_SQUARE,
            1 + (TANH_MU_2 - 1) * depth,
        ),
    }
    for name, (fields, square, predicted) in limits.items():
        net = vgsim.MLP(depth, n, **fields)
        measured = second_moment(net, np.full(n, math.sqrt(square)), size, seed)
        slack = predicted * 2 * depth / n
        yield Comparison(f"{name}, n = {n}, D = {depth}: m_2/m_1²", *measured, predicted, slack)


def squares(net: vgsim.MLP, x: Array, batch: int, size: int, seed: int) -> Array:
    """Return S_B of `size` networks, for the input x."""
    samples = vgsim.simulate(
        net, size, seed=seed, layers=(0,), batch_size=batch, inputs=np.tile(x, (batch, 1))
    )
    return 100 ** samples.gradient[:, 0]


def second_moment(net: vgsim.MLP, x: Array, size: int, seed: int) -> tuple[float, float]:
    """Return m_2/m_1² and its standard error."""
    one = _rho(squares(net, x, 1, size, seed))
    many = _rho(squares(net, x, B, size, seed + 1))
    factor = net.widths[0] / (2 - 2 / B)
    return factor * (one[0] - many[0]), factor * math.hypot(one[1], many[1])


def first_moment(net: vgsim.MLP, x: Array, size: int, seed: int) -> Comparison:
    """Compare m_1 with (σ_w² p)^D = 1."""
    s = squares(net, x, 1, size, seed) / net.widths[0]
    name = f"Gaussian, {net.activation.name}, n = {net.widths[0]}, D = {net.depth}: m_1"
    return Comparison(name, float(s.mean()), float(s.std() / math.sqrt(size)), 1.0)


def _rho(s: Array) -> tuple[float, float]:
    s = s / s.mean()
    rho = float(np.mean(s * s))
    return rho, float(np.std(s * s - 2 * rho * s) / math.sqrt(len(s)))


def gated_second_moment(n: int, depth: int, p: float) -> float:
    """Return m_2/m_1² at finite width, if every unit is on with probability p.

    Exact recursion of t = E (tr M)² and q = E tr M², M = J Jᵀ, whose law is orthogonally invariant
    after every Gaussian matrix.
    """
    t, q = float(n * n), float(n)
    for _ in range(depth):
        t, q = (n * n * t + 2 * n * q) / n**2, (n * t + (n * n + n) * q) / n**2
        diagonal = (2 * q + t) / (n + 2)  # E Σ M_ii²
        t, q = t + (1 / p - 1) * diagonal, q + (1 / p - 1) * diagonal
    return q / n


def picture(figure, seed: int) -> None:
    """Draw m_2/m_1² against depth."""
    n, depths = 128, np.array([1, 2, 4, 6, 8, 10])
    axes = figure.subplots()
    cases = {
        "ReLU": ({"activation": "relu", "init": "he_normal"}, 2.0),
        "linear": ({"activation": "linear", "init": "lecun_normal"}, 1.0),
        "√2 orthogonal ReLU": (
            {"activation": "relu", "init": "orthogonal", "gain": math.sqrt(2)},
            1.0,
        ),
    }
    for name, (fields, slope) in cases.items():
        found = [
            second_moment(vgsim.MLP(int(d), n, **fields), np.ones(n), 100_000, seed) for d in depths
        ]
        y, error = np.transpose(found)
        points = axes.errorbar(depths, y, error, fmt="o", label=name)
        axes.plot(depths, 1 + slope * depths, "--", color=points[0].get_color())
    axes.set(xlabel="depth", ylabel="m_2/m_1²", title=f"n = {n}; dashed: n → ∞")
    axes.legend()
