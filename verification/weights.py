"""Orthogonal, uniform and Gaussian weights: laws of ln(‖G_0‖²/‖G_D‖²) without techniques."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from scipy import special, stats

import vgsim
from verification.comparison import Comparison, log_square, mean, scaled, variance


def comparisons(seed: int, quick: bool) -> Iterator[Comparison]:
    size = 20_000 if quick else 200_000
    for n, depth in ((16, 30),) if quick else ((16, 30), (32, 100), (128, 300)):
        yield from orthogonal_relu(n, depth, size, seed)
    yield orthogonal_linear(seed)
    yield from tapered(30, size, seed)
    yield from limits(200 if quick else 800, 40, 20_000 if quick else 50_000, seed)
    yield from first_layer(200, size // 4, seed)


def orthogonal_linear(seed: int) -> Comparison:
    net = vgsim.MLP(200, 64, activation="linear", init="orthogonal")
    x = log_square(vgsim.simulate(net, 2000, seed=seed, layers=(0,)))
    name = "orthogonal, linear: an isometry, largest |ln|"
    return Comparison(name, float(abs(x).max()), 0.0, 0.0, slack=200 * 2e-7)


def orthogonal_relu(n: int, depth: int, size: int, seed: int) -> Iterator[Comparison]:
    """Factors per layer 2 Beta(K/2, (n − K)/2), K ~ Bin(n, ½), given K > 0."""
    k = np.arange(1, n + 1)
    p = stats.binom.pmf(k, n, 0.5) / (1 - 0.5**n)
    m = p @ special.digamma(k / 2)
    v = p @ (special.polygamma(1, k / 2) + (special.digamma(k / 2) - m) ** 2)
    net = vgsim.MLP(depth, n, activation="relu", init="orthogonal", gain=math.sqrt(2))
    x = log_square(vgsim.simulate(net, size, seed=seed, layers=(0,)))
    exact_mean = m - special.digamma(n / 2) + math.log(2)
    exact_variance = v - special.polygamma(1, n / 2)
    name = f"√2 orthogonal, ReLU, n = {n}, D = {depth}"
    yield Comparison(f"{name}: mean per layer", *scaled(mean(x), 1 / depth), exact_mean)
    yield Comparison(f"{name}: variance per layer", *scaled(variance(x), 1 / depth), exact_variance)


def tapered(depth: int, size: int, seed: int) -> Iterator[Comparison]:
    """Widths 16, 32, 16, …: backward, layers are in turn an isometry and a factor Beta(8, 8)."""
    net = vgsim.MLP(depth, [16, 32] * (depth // 2) + [16], activation="linear", init="orthogonal")
    x = log_square(vgsim.simulate(net, size, seed=seed, layers=(0,)))
    exact = special.digamma(8) - special.digamma(16)
    spread = special.polygamma(1, 8) - special.polygamma(1, 16)
    name = "orthogonal, widths 16, 32, 16, …"
    yield Comparison(f"{name}: mean per pair", *scaled(mean(x), 2 / depth), exact)
    yield Comparison(f"{name}: variance per pair", *scaled(variance(x), 2 / depth), spread)


def limits(n: int, depth: int, size: int, seed: int) -> Iterator[Comparison]:
    """n Var/D and −2 n mean/D have the same limit as n → ∞."""
    a = 0.25
    cases = {
        "√2 orthogonal, ReLU": ("relu", "orthogonal", 2.0, 3.0),
        "Gaussian, ReLU": ("relu", "lecun_normal", 2.0, 5.0),
        "Gaussian, linear": ("linear", "lecun_normal", 1.0, 2.0),
        "Gaussian, leaky ReLU ¼": (
            vgsim.Activation("leaky_relu", slope=a),
            "lecun_normal",
            2 / (1 + a * a),
            6 * (1 + a**4) / (1 + a * a) ** 2 - 1,
        ),
    }
    for name, (activation, init, square, beta) in cases.items():
        net = vgsim.MLP(depth, n, activation=activation, init=init, gain=math.sqrt(square))
        x = log_square(vgsim.simulate(net, size, seed=seed, layers=(0,)))
        yield Comparison(f"{name}, n = {n}: n Var/D", *scaled(variance(x), n / depth), beta, 20 / n)
        yield Comparison(
            f"{name}, n = {n}: −2n mean/D", *scaled(mean(x), -2 * n / depth), beta, 20 / n
        )


def first_layer(n: int, size: int, seed: int) -> Iterator[Comparison]:
    """One ReLU layer, one-hot input: n Var ln ‖X_1‖² → 2 μ_4 − 1, μ_4 the kurtosis of weights."""
    for law, kurtosis in (("uniform", 1.8), ("normal", 3.0)):
        net = vgsim.MLP(1, n, activation="relu", init=f"he_{law}")
        samples = vgsim.simulate(
            net, size, seed=seed, layers=(1,), record=("activation",), inputs=np.eye(n)
        )
        x = 2 * math.log(10) * samples.activation[:, 0]
        name = f"{law} weights, one-hot input, n = {n}: n Var ln ‖X_1‖²"
        yield Comparison(name, *scaled(variance(x), n), 2 * kurtosis - 1, 20 / n)


def picture(figure, seed: int) -> None:
    """Draw densities of ln(‖G_0‖²/‖G_D‖²) with their limits N(−βD/2n, βD/n)."""
    n, depth = 128, 100
    axes = figure.subplots()
    grid = np.linspace(-12, 8, 400)
    for name, init, beta in (("Gaussian", "lecun_normal", 5), ("√2 orthogonal", "orthogonal", 3)):
        net = vgsim.MLP(depth, n, activation="relu", init=init, gain=math.sqrt(2))
        x = log_square(vgsim.simulate(net, 50_000, seed=seed, layers=(0,)))
        drawn = axes.hist(x, 120, density=True, histtype="step", label=f"{name}, ReLU")
        t = beta * depth / n
        colour = drawn[2][0].get_edgecolor()
        axes.plot(grid, stats.norm.pdf(grid, -t / 2, math.sqrt(t)), "--", color=colour)
    axes.set(xlabel="ln(‖G_0‖²/‖G_D‖²)", ylabel="density", title=f"n = {n}, D = {depth}")
    axes.legend()
