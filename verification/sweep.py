"""The pass of plain networks, one sweep forward and a recursion back: against the dense engine.

The laws of all recorded quantities at all places are compared by the Kolmogorov–Smirnov test, and
the numbers of dead samples by Fisher's.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy import stats

import vgsim
from verification.chain import engines, every_p_value
from verification.composed_law import FALSE_ALARM, Agreement
from vgsim import ClipNorm, Linear, Sequential

UNEQUAL = [5, 12, 1, 20, 2, 9]
DATA = np.random.default_rng(0).normal(size=(6, 10)) * np.logspace(-2, 3, 6)[:, None]
MSE, CROSS_ENTROPY = {"loss": "mse"}, {"loss": "cross_entropy"}
PAIRS = [Linear(5, bias_std=0.3), "gelu", Linear(4), "gelu", Linear(7, bias_std=1.0), "gelu"]

# Narrow and saturated networks are those whose sums cancel most often.
NETWORKS = {
    "tanh": (vgsim.MLP(10, 16, gain=1.2), {}),
    "tanh, biases": (vgsim.MLP(8, 10, gain=1.3, bias_std=0.3), {}),
    "tanh, gain 100": (vgsim.MLP(6, 8, gain=100.0), {}),
    "tanh, width 1": (vgsim.MLP(5, 1, gain=2.0, bias_std=0.5), {}),
    "relu, width 2": (vgsim.MLP(4, 2, activation="relu"), {}),
    "relu, width 4, biases": (vgsim.MLP(6, 4, activation="relu", bias_std=0.5), {}),
    "relu, width 8": (vgsim.MLP(10, 8, activation="relu"), {}),
    "gelu, unequal": (vgsim.MLP(5, UNEQUAL, activation="gelu", gain=1.5, bias_std=0.2), {}),
    "silu, width 2, gain 100": (vgsim.MLP(3, 2, activation="silu", gain=100.0, bias_std=0.3), {}),
    "hard_tanh": (vgsim.MLP(6, 5, activation="hard_tanh", gain=1.5), {}),
    "sigmoid, gain 30": (vgsim.MLP(6, 8, activation="sigmoid", gain=30.0, bias_std=0.3), {}),
    "erf, biases only": (vgsim.MLP(4, 6, activation="erf", gain=0.01, bias_std=1.0), {}),
    "layer norm": (vgsim.MLP(5, 48, norm="layer", bias_std=0.3), {}),
    "rms norm, relu": (vgsim.MLP(5, 48, norm="rms", activation="relu"), MSE),
    "mse": (vgsim.MLP(6, 6, activation="elu", gain=1.4, bias_std=0.2), MSE),
    "mse, one unit": (vgsim.MLP(3, [4, 3, 2, 1], activation="selu"), MSE),
    "cross-entropy": (vgsim.MLP(5, 7, gain=2.0, bias_std=0.3), CROSS_ENTROPY),
    "clipped": (vgsim.MLP(8, 8, gain=2.0, clip=ClipNorm(2.0)), {}),
    "list": (Sequential(3, PAIRS), MSE),
    "data": (vgsim.MLP(4, [10, 6, 8, 5, 7], activation="softsign", bias_std=0.1), {"inputs": DATA}),
}


def comparisons(seed: int, quick: bool) -> Iterator[Agreement]:
    size = 5000 if quick else 100_000
    least = FALSE_ALARM / (50 * len(NETWORKS))
    gradients = []
    for name, (network, choice) in NETWORKS.items():
        p = every_p_value(*engines("matrix-free", network, choice, size, seed + 40))
        gradients.append(p["gradient 0"])
        yield Agreement(name, p, least)
    uniform = float(stats.kstest(gradients, "uniform").pvalue)
    yield Agreement("p-values of R_0 are uniform", {"gradient 0": uniform}, 1e-3)


def picture(figure, seed: int) -> None:
    """Draw the distribution functions of R_0 of both engines."""
    axes = figure.subplots()
    for number, name in enumerate(("tanh", "tanh, gain 100", "relu, width 8", "layer norm")):
        network, choice = NETWORKS[name]
        both = engines("matrix-free", network, choice, 20_000, seed + 40)
        for samples, style in zip(both, "-:", strict=True):
            x = np.sort(samples.log10_ratio[np.isfinite(samples.log10_ratio[:, 0]), 0])
            p = (np.arange(len(x)) + 0.5) / len(x)
            axes.plot(x, p, style, color=f"C{number}", label=name if style == "-" else None)
    axes.set(xlabel="log10 ‖G_0‖/‖G_D‖", ylabel="distribution function")
    axes.set_title("lines: matrix-free; dotted: dense")
    axes.legend()
