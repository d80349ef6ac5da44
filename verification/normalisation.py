"""Growth of ‖G_l‖² a layer, backwards, under batch and layer normalisation.

The rates belong to batches whose examples all have one norm and one correlation. GELU and SiLU
leave that state: the spread of the norms grows by 1.06 and 1.10 a layer, from a start of the order
of n^-1/2. Shallow networks are still near it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

import vgsim
from verification.comparison import Comparison

FIRST, LAST, DEPTH = 2, 10, 12

# E φ'²/Var φ at unit variance: the rate as B → ∞.
LARGE_BATCH = {
    "linear": 1.0,
    "relu": math.pi / (math.pi - 1),
    "tanh": 1.177807,
    "gelu": 1.318845,
    "silu": 1.212081,
    "elu": 1.079013,
    "selu": 1.071575,
    "sigmoid": 1.033592,
}
# E φ'²/E φ² at unit variance.
LAYER_NORM = {"relu": 1.0, "tanh": 1.177807, "gelu": 1.072032, "sigmoid": 0.152827}


def comparisons(seed: int, quick: bool) -> Iterator[Comparison]:
    n, size = 600, 100 if quick else 1000
    for batch in (8,) if quick else (8, 32):
        for activation, exact in (("linear", linear(batch)), ("relu", relu(batch))):
            measured = rate(activation, n, size, batch, seed)
            name = f"batch norm, {activation}, n = {n}, B = {batch}: rate"
            yield Comparison(name, *measured, exact, slack=3 / n)
    n, batches = 512 if quick else 1000, (16, 32) if quick else (32, 64)
    for activation in ("tanh", "gelu") if quick else LARGE_BATCH:
        (a, error_a), (b, error_b) = (
            rate(activation, n, 32 if quick else 200, batch, seed) for batch in batches
        )
        exact = LARGE_BATCH[activation]
        slack = exact * (20 / batches[1] ** 2 + 2 / n)
        name = f"batch norm, {activation}, B → ∞: rate"
        yield Comparison(name, 2 * b - a, math.hypot(2 * error_b, error_a), exact, slack)
    for activation, exact in LAYER_NORM.items():
        measured = rate(activation, n, 1000 if quick else 10_000, 1, seed, norm="layer")
        name = f"layer norm, {activation}, n = {n}: rate"
        yield Comparison(name, *measured, exact, slack=3 * exact / n)


def rate(
    activation: str, n: int, size: int, batch: int, seed: int, norm: str = "batch"
) -> tuple[float, float]:
    """(E‖G_FIRST‖²/E‖G_LAST‖²)^(1/(LAST − FIRST)) and its standard error."""
    eps = {"norm_eps": 1e-12} if norm == "batch" else {}
    net = vgsim.MLP(DEPTH, n, activation=activation, init="lecun_normal", norm=norm, **eps)
    samples = vgsim.simulate(net, size, seed=seed, layers=(FIRST, LAST), batch_size=batch)
    g = 100**samples.log10_ratio
    growth, g = g[:, 0].mean() / g[:, 1].mean(), g / g.mean(axis=0)
    value = float(growth ** (1 / (LAST - FIRST)))
    error = float(np.std(g[:, 0] - g[:, 1])) / math.sqrt(size)
    return value, value * error / (LAST - FIRST)


def linear(batch: int) -> float:
    """Yang et al. 2019: (B − 2)/(B − 3)."""
    return (batch - 2) / (batch - 3)


def relu(batch: int) -> float:
    """Yang et al. 2019, Theorem 8."""
    B = batch
    c = -1 / (B - 1)
    J = (math.sqrt(1 - c * c) + (math.pi - math.acos(c)) * c) / math.pi
    p = 0.25 + math.asin(c) / (2 * math.pi)
    t = (1 - 1 / B) ** 2 * B / 2 + p * (B - 1) / B - 0.5 + (0.5 + (B - 1) * J / 2) / B
    return 2 * B * t / ((1 - J) * (B - 3) * (B - 1))


def picture(figure, seed: int) -> None:
    """The rate against the batch size."""
    batches = (4, 5, 6, 8, 12, 16, 24, 32, 48)
    axes = figure.subplots()
    for activation, exact in (("linear", linear), ("relu", relu)):
        found = [rate(activation, 400, 200, batch, seed) for batch in batches]
        y, error = np.transpose(found)
        points = axes.errorbar(batches, y, error, fmt="o", label=activation)
        axes.plot(batches, [exact(b) for b in batches], "--", color=points[0].get_color())
    axes.set(xlabel="batch size", ylabel="growth of ‖G_l‖² a layer", xscale="log")
    axes.set_title("batch normalisation, n = 400; dashed: n → ∞")
    axes.legend()
