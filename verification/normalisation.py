"""Growth of ‖G_l‖² per layer, backward, under batch and layer normalisation.

The predicted rates are for batches whose examples have equal norms and equal correlations. With
GELU and SiLU the spread of the norms, of order n^-1/2 at first, grows by factors of 1.06 and 1.10
per layer, so the networks here are shallow.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

import vgsim
from verification.comparison import Comparison
from vgsim.theory import normalisation_rate

FIRST, LAST, DEPTH = 2, 10, 12
LARGE_BATCH = ("linear", "relu", "tanh", "gelu", "silu", "elu", "selu", "sigmoid")
LAYER_NORM = ("relu", "tanh", "gelu", "sigmoid")


def comparisons(seed: int, quick: bool) -> Iterator[Comparison]:
    n, size = 600, 100 if quick else 1000
    for batch in (8,) if quick else (8, 32):
        for activation in ("linear", "relu"):
            exact = normalisation_rate("batch", activation, batch)
            measured = rate(activation, n, size, batch, seed)
            name = f"batch norm, {activation}, n = {n}, B = {batch}: rate"
            yield Comparison(name, *measured, exact, slack=3 / n)
    n, batches = 512 if quick else 1000, (16, 32) if quick else (32, 64)
    for activation in ("tanh", "gelu") if quick else LARGE_BATCH:
        (a, error_a), (b, error_b) = (
            rate(activation, n, 32 if quick else 200, batch, seed) for batch in batches
        )
        exact = normalisation_rate("batch", activation)
        slack = exact * (20 / batches[1] ** 2 + 2 / n)
        name = f"batch norm, {activation}, B → ∞: rate"
        yield Comparison(name, 2 * b - a, math.hypot(2 * error_b, error_a), exact, slack)
    for activation in LAYER_NORM:
        exact = normalisation_rate("layer", activation)
        measured = rate(activation, n, 1000 if quick else 10_000, 1, seed, norm="layer")
        name = f"layer norm, {activation}, n = {n}: rate"
        yield Comparison(name, *measured, exact, slack=3 * exact / n)


def rate(
    activation: str, n: int, size: int, batch: int, seed: int, norm: str = "batch"
) -> tuple[float, float]:
    """Return (E‖G_FIRST‖²/E‖G_LAST‖²)^(1/(LAST − FIRST)) and its standard error."""
    eps = {"norm_eps": 1e-12} if norm == "batch" else {}
    net = vgsim.MLP(DEPTH, n, activation=activation, init="lecun_normal", norm=norm, **eps)
    samples = vgsim.simulate(net, size, seed=seed, layers=(FIRST, LAST), batch_size=batch)
    g = 100**samples.log10_ratio
    growth, g = g[:, 0].mean() / g[:, 1].mean(), g / g.mean(axis=0)
    value = float(growth ** (1 / (LAST - FIRST)))
    error = float(np.std(g[:, 0] - g[:, 1])) / math.sqrt(size)
    return value, value * error / (LAST - FIRST)


def picture(figure, seed: int) -> None:
    """Draw the rate against the batch size."""
    batches = (4, 5, 6, 8, 12, 16, 24, 32, 48)
    axes = figure.subplots()
    for activation in ("linear", "relu"):
        found = [rate(activation, 400, 200, batch, seed) for batch in batches]
        y, error = np.transpose(found)
        points = axes.errorbar(batches, y, error, fmt="o", label=activation)
        exact = [normalisation_rate("batch", activation, b) for b in batches]
        axes.plot(batches, exact, "--", color=points[0].get_color())
    axes.set(xlabel="batch size", ylabel="growth of ‖G_l‖² per layer", xscale="log")
    axes.set_title("batch normalisation, n = 400; dashed: n → ∞")
    axes.legend()
