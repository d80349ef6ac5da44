"""Critical gains and mean-field rates: the slope of ln ‖G‖² along very wide networks."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

import vgsim
from verification.comparison import Array, Comparison, mean, scaled
from vgsim import theory
from vgsim.theory._variance_map import chi, fixed_point

LAYERS = (60, 140)
DEPTH = 200
CRITICAL = [  # activation, σ_b: all rows of the tables in docs/theory.md with χ_∥ < 1
    *((name, 0.05**0.5) for name in ("elu", "selu", "sigmoid", "tanh", "hard_tanh", "erf")),
    *((name, 1.0) for name in ("elu", "selu", "gelu", "silu", "sigmoid", "tanh", "hard_tanh")),
    *((name, 1.0) for name in ("erf", "softsign")),
    ("softsign", 0.05**0.5),
    ("sigmoid", 0.0),
]
LIMITS = [("linear", 0.5), ("relu", 0.0), ("relu", 0.5), ("leaky_relu", 0.5)]
OFF = [  # activation, gain, σ_b: ordered or chaotic
    ("tanh", 1.0, 0.05**0.5),
    ("tanh", 1.5**0.5, 0.05**0.5),
    ("tanh", 2.0**0.5, 0.05**0.5),
    ("tanh", 2.5**0.5, 0.05**0.5),
    ("sigmoid", 1.0, 0.0),
    ("selu", 1.0, 0.0),
    ("relu", 1.2, 0.3),
    ("gelu", 1.3, 0.3),
    ("silu", 1.2, 1.0),
    ("softplus", 1.1, 0.1),
    ("hard_tanh", 1.3, 0.1),
    ("softsign", 2.0, 0.1),
    ("erf", 1.4, 0.2),
]


def comparisons(seed: int, quick: bool) -> Iterator[Comparison]:
    n, size = (256, 400) if quick else (1024, 2000)
    cases = [(name, float(theory.critical_gain(name, b)), b) for name, b in CRITICAL + LIMITS]
    for name, gain, bias_std in (cases[::3] + OFF[::3]) if quick else cases + OFF:
        phi = (name, gain, bias_std)
        net = network(*phi, n)
        chi_1 = chi(name, gain, fixed_point(name, gain, bias_std))
        rate = math.log(chi_1) if (name, gain, bias_std) in OFF else 0.0
        label = f"{name}, gain {gain:.6f}, σ_b {bias_std:.3g}, n = {n}: slope of ln‖G‖²"
        value, error = mean(slopes(net, size, seed))
        if abs(value - rate) <= 3 / n + 4 * error:
            yield Comparison(label, value, error, rate, 3 / n)
        else:  # the coefficient of 1/n is large: extrapolate to n → ∞
            half, half_error = mean(slopes(network(*phi, n // 2), 2 * size, seed))
            extrapolated = 2 * value - half, math.hypot(2 * error, half_error)
            yield Comparison(f"{label}, n → ∞", *extrapolated, rate, 3 / n)


def network(name: str, gain: float, bias_std: float, n: int) -> vgsim.MLP:
    """Return a network with σ_w = gain, which is that of "lecun_normal"."""
    init = "lecun_normal"
    return vgsim.MLP(DEPTH, n, activation=name, init=init, gain=gain, bias_std=bias_std)


def slopes(net: vgsim.MLP, size: int, seed: int) -> Array:
    """Return the growth of ln ‖G‖² per layer, backward, far from input and loss."""
    samples = vgsim.simulate(net, size, seed=seed, layers=LAYERS)
    grown = samples.log10_ratio[:, 0] - samples.log10_ratio[:, 1]
    grown = grown[np.isfinite(grown)]
    return 2 * math.log(10) * grown / (LAYERS[1] - LAYERS[0])


def picture(figure, seed: int) -> None:
    """Draw the slope against the gain at three widths, with ln χ₁."""
    axes = figure.subplots(1, 3, sharey=True)
    for ax, (name, bias_std) in zip(
        axes, (("tanh", 0.1), ("sigmoid", 0.0), ("elu", 0.1)), strict=True
    ):
        critical = theory.critical_gain(name, bias_std)
        gains = float(critical) * np.linspace(0.6, 1.5, 13)
        rates = [math.log(chi(name, g, fixed_point(name, g, bias_std))) for g in gains]
        ax.plot(gains, rates, "k--", label="ln χ₁")
        for n in (32, 128, 512):
            found = [mean(slopes(network(name, g, bias_std, n), 200, seed)) for g in gains]
            value, error = np.transpose([scaled(estimate, 1) for estimate in found])
            ax.errorbar(gains, value, error, fmt="o", ms=3, label=f"n = {n}")
        ax.axvline(float(critical), color="0.8", zorder=0)
        ax.set(xlabel="gain σ_w", title=f"{name}, σ_b = {bias_std}")
    axes[0].set(ylabel="slope of ln ‖G‖² per layer")
    axes[0].legend()
