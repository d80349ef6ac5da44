"""The scalar engine: against the dense engine, and the tails of ReLU networks against their law.

The laws of all recorded quantities at all places are compared by the Kolmogorov–Smirnov test, and
the numbers of dead samples by Fisher's. The distribution function of R_0 of He ReLU networks is
compared with `vgsim.theory.relu_law`, at levels down to 1e-5 in both tails.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from scipy import optimize, stats

import vgsim
from verification.comparison import Comparison
from verification.composed_law import DIGITS, FALSE_ALARM, Agreement, p_values
from vgsim import Linear, Sequential, theory

LEAKY = vgsim.Activation("leaky_relu", slope=0.3)
PAIRS = [Linear(5, bias_std=0.3), "relu", Linear(4), "relu", Linear(7, bias_std=1.0), "relu"]
DATA = np.random.default_rng(0).normal(size=(6, 5)) * np.logspace(-2, 3, 6)[:, None]
MSE = {"loss": "mse"}
NETWORKS = {
    "relu": (vgsim.MLP(10, 16, activation="relu"), {}),
    "relu, biases": (vgsim.MLP(6, 5, activation="relu", bias_std=0.5), {}),
    "relu, width 2": (vgsim.MLP(4, 2, activation="relu", bias_std=0.3), {}),
    "linear": (vgsim.MLP(6, 5, activation="linear"), {}),
    "leaky": (vgsim.MLP(6, 4, activation=LEAKY, bias_std=1.0), {}),
    "leaky, width 1": (vgsim.MLP(4, 1, activation=LEAKY, bias_std=0.3), {}),
    "unequal widths": (vgsim.MLP(5, [5, 7, 1, 40, 2, 100], activation="relu", bias_std=0.2), {}),
    "pre-activations": (Sequential(3, PAIRS), {}),
    "mse": (vgsim.MLP(5, 8, activation="relu", gain=1.5), MSE),
    "mse, biases": (vgsim.MLP(4, 3, activation=LEAKY, gain=0.3, bias_std=0.2), MSE),
    "clipped": (vgsim.MLP(6, 8, activation="relu", clip=vgsim.ClipNorm(2.0)), MSE),
    "data": (vgsim.MLP(4, 5, activation="relu", bias_std=0.1), {"inputs": DATA}),
}
TAILS = {(32, 100): 10_000_000, (100, 1000): 1_000_000}
LEVELS = (1e-5, 1e-4, 1e-3, 0.01, 0.1, 0.5)
RECORD = ("gradient", "activation", "saturation", "weight_gradient", "update_ratio")


def comparisons(seed: int, quick: bool) -> Iterator[Agreement | Comparison]:
    size = 5000 if quick else 100_000
    least = FALSE_ALARM / (50 * len(NETWORKS))
    for name, (network, choice) in NETWORKS.items():
        yield Agreement(
            name, every_p_value(*engines("scalar", network, choice, size, seed + 30)), least
        )
    for shape, count in TAILS.items():
        if not quick:
            yield from tails(*shape, count, seed)
        elif shape[1] < 1000:
            yield from tails(*shape, 100_000, seed)


def engines(
    engine: str, network, choice, size: int, seed: int
) -> tuple[vgsim.Samples, vgsim.Samples]:
    """Return samples of an engine in float32 and of the dense one in float64."""
    record = RECORD if network.clip is None else (*RECORD, "clipped")
    own = {"layers": range(network.depth + 1), "record": record} | choice
    return (
        vgsim.simulate(network, size, seed=seed + 1, engine=engine, **own),
        vgsim.simulate(network, size, seed=seed + 2, engine="dense", dtype="float64", **own),
    )


def every_p_value(a: vgsim.Samples, b: vgsim.Samples) -> dict[str, float]:
    """Return the p-values of the recorded quantities, and of the extremes of the RMS of G."""
    found = p_values(a, b)
    for name in ("rms_min", "rms_max"):
        for l in range(a.network.depth):
            u, v = (np.round(np.maximum(getattr(s, name)[:, l], -1e3), DIGITS) for s in (a, b))
            found[f"{name} {l}"] = float(stats.ks_2samp(u, v, method="asymp").pvalue)
    return found


def tails(n: int, depth: int, size: int, seed: int) -> Iterator[Comparison]:
    """P(R_0 < r) and P(R_0 > r) at the r where they are LEVELS; r by inversion of the exact law."""
    network = vgsim.MLP(depth, n, activation="relu", init="he_normal")
    chunk = 1_000_000
    counted = {}
    law = theory.relu_law(n, depth)
    spread = math.sqrt(law.variance)
    for p in (p for p in LEVELS if p * size > 9):
        for side, tail in (("below", law.cdf), ("above", law.sf)):
            r = optimize.brentq(
                lambda x, tail=tail, p=p: float(tail(x)) - p,
                law.mean - 9 * spread,
                law.mean + 9 * spread,
            )
            counted[side, p] = (r, 0)
    for first in range(0, size, chunk):
        s = vgsim.simulate(
            network, min(chunk, size - first), seed=seed, first=first, engine="scalar", layers=(0,)
        )
        x = 2 * math.log(10) * s.log10_ratio[:, 0]
        for (side, p), (r, count) in counted.items():
            more = int((x < r).sum() if side == "below" else (x > r).sum())
            counted[side, p] = (r, count + more)
    for (side, p), (r, count) in counted.items():
        exact = float(law.cdf(r) if side == "below" else law.sf(r))
        error = math.sqrt(exact * (1 - exact) / size)
        name = (
            f"ReLU, n = {n}, D = {depth}: P(R {side} {r / (2 * math.log(10)):.2f}), times {1 / p:g}"
        )
        yield Comparison(name, count / size / p, error / p, exact / p)


def picture(figure, seed: int) -> None:
    """Draw the distribution function of R_0 of a ReLU network, logarithmically, and its law."""
    axes = figure.subplots()
    for n, depth in TAILS:
        network = vgsim.MLP(depth, n, activation="relu", init="he_normal")
        s = vgsim.simulate(network, 200_000, seed=seed, engine="scalar", layers=(0,))
        x = np.sort(2 * math.log(10) * s.log10_ratio[:, 0])
        p = (np.arange(len(x)) + 0.5) / len(x)
        law = theory.relu_law(n, depth)
        axes.semilogy(x, p, label=f"n = {n}, D = {depth}")
        axes.semilogy(x[:: len(x) // 200], law.cdf(x[:: len(x) // 200]), "k:")
    axes.set(xlabel="ln ‖G_0‖²/‖G_D‖²", ylabel="distribution function", ylim=(1e-5, 1))
    axes.set_title("lines: scalar engine; dotted: exact law")
    axes.legend()
