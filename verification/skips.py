"""Residual and highway networks."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from scipy import stats

import vgsim
from verification.comparison import (
    Array,
    Comparison,
    log_mean_exp,
    log_square,
    mean,
    scaled,
    variance,
)


def comparisons(seed: int, quick: bool) -> Iterator[Comparison]:
    size = 5000 if quick else 50_000
    yield from tanh_branches(*((100, 25, 100) if quick else (400, 100, 900)), size // 5, seed)
    for branch in (1.0, "1/sqrt(blocks)"):
        yield from relu_branches(32, 16, branch, 4 * size, seed)
    yield from linear_branches(4 * size, seed)
    yield from pre_activated(128 if quick else 256, size, seed)
    yield from highway(1000 if quick else 20_000, seed)


def tanh_branches(n: int, few: int, many: int, size: int, seed: int) -> Iterator[Comparison]:
    """x + V tanh(W x): E‖Ju‖² by the recursion of infinite width, and its growth with √blocks.

    Yang and Schoenholz 2017: ln E‖Ju‖² → (8/3)/√(2π) √blocks.
    """
    results = {}
    for blocks in (few, many):
        net = vgsim.MLP(
            2 * blocks, n, init="lecun_normal", residual=vgsim.Residual(2, style="linear")
        )
        x = log_square(vgsim.simulate(net, size, seed=seed, layers=(0,)))
        results[blocks] = log_mean_exp(x)
        name = f"x + V tanh(W x), n = {n}, {blocks} blocks: ln E‖Ju‖²"
        yield Comparison(name, *results[blocks], tanh_recursion(blocks), 0.2 * blocks / n)
    (a, error_a), (b, error_b) = results.values()
    roots = math.sqrt(few), math.sqrt(many)
    name = f"x + V tanh(W x), n = {n}: growth of ln E‖Ju‖² with √blocks"
    measured = scaled((b - a, math.hypot(error_a, error_b)), 1 / (roots[1] - roots[0]))
    slack = 0.7 / math.sqrt(roots[0] * roots[1]) + 0.2 * sum(roots) / n
    yield Comparison(name, *measured, (8 / 3) / math.sqrt(2 * math.pi), slack)


def tanh_recursion(blocks: int) -> float:
    """ln E‖Ju‖² at infinite width, from an input of unit variance."""
    z = np.linspace(-12, 12, 20_001)
    weight = stats.norm.pdf(z) * (z[1] - z[0])
    q, total = 1.0, 0.0
    for _ in range(blocks):
        y = np.tanh(math.sqrt(q) * z)
        total += math.log1p(weight @ (1 - y * y) ** 2)
        q += weight @ y**2
    return total


def relu_branches(
    n: int, blocks: int, branch: float | str, size: int, seed: int
) -> Iterator[Comparison]:
    """x + α V ReLU(W x): E‖Ju‖² = (1 + α²)^blocks; factors (1 + r g)² + r² χ²_{n−1}."""
    residual = vgsim.Residual(2, style="linear", branch=branch, last_gain=math.sqrt(0.5))
    net = vgsim.MLP(2 * blocks, n, activation="relu", init="he_normal", residual=residual)
    x = log_square(vgsim.simulate(net, size, seed=seed, layers=(0,)))
    alpha = residual.branch_scale(net.depth)
    name = f"x + α V ReLU(W x), α = {alpha:g}, n = {n}, {blocks} blocks"
    exact = blocks * math.log1p(alpha**2)
    yield Comparison(f"{name}: ln E‖Ju‖²", *log_mean_exp(x), exact)
    drawn = draw_relu_branches(n, blocks, alpha, size, np.random.default_rng(seed))
    for of, estimate in (("mean", mean), ("variance", variance)):
        (a, error_a), (b, error_b) = estimate(x), estimate(drawn)
        yield Comparison(f"{name}: {of}", a, math.hypot(error_a, error_b), b)


def draw_relu_branches(
    n: int, blocks: int, alpha: float, size: int, rng: np.random.Generator
) -> Array:
    """Exact draws of ln ‖Ju‖²."""
    k = rng.binomial(n, 0.5, (size, blocks))
    r = alpha / n * np.sqrt(2 * 2 * rng.standard_gamma(k / 2))
    along = (1 + r * rng.standard_normal(k.shape)) ** 2
    return np.log(along + r * r * rng.chisquare(n - 1, k.shape)).sum(axis=1)


def linear_branches(size: int, seed: int) -> Iterator[Comparison]:
    """x + G x: factors χ'²_n(n)/n, non-central; mean and variance of their logarithms."""
    for n, exact_mean, exact_variance in ((10, 0.6144271, 0.1681120), (32, 0.6693581, 0.0485165)):
        depth = 40
        net = vgsim.MLP(
            depth, n, activation="linear", init="lecun_normal", residual=vgsim.Residual()
        )
        x = log_square(vgsim.simulate(net, size, seed=seed, layers=(0,)))
        name = f"x + G x, n = {n}, D = {depth}"
        yield Comparison(f"{name}: mean a layer", *scaled(mean(x), 1 / depth), exact_mean)
        yield Comparison(
            f"{name}: variance a layer", *scaled(variance(x), 1 / depth), exact_variance
        )


def pre_activated(n: int, size: int, seed: int) -> Iterator[Comparison]:
    """α z + λ W √2 ReLU(z)/√n, α² + λ² = 1: the variance of ln ‖z_D‖² of Li, Nica and Roy 2021."""
    depth = 64
    for square in (0.5, 0.8):
        alpha, lam = math.sqrt(square), math.sqrt(1 - square)
        net = vgsim.MLP(
            depth,
            n,
            activation="relu",
            init="he_normal",
            residual=vgsim.Residual(skip=alpha, branch=lam, style="pre"),
        )
        samples = vgsim.simulate(net, size, seed=seed, layers=(0, depth), record=("activation",))
        x = 2 * math.log(10) * (samples.activation[:, 1] - samples.activation[:, 0])
        exact = li_nica_roy(n, depth, alpha, lam)
        name = f"Li, Nica, Roy, n = {n}, D = {depth}, α² = {square}: variance"
        yield Comparison(name, *variance(x), exact, exact * 10 / n)


def li_nica_roy(n: int, depth: int, alpha: float, lam: float) -> float:
    """Var ln ‖z_D‖² to leading order in 1/n."""
    lag = abs(np.subtract.outer(np.arange(depth), np.arange(depth)))
    c = alpha**lag
    rho = 2 / (3 * math.pi) * ((1 + 2 * c * c) * np.arcsin(c) + 3 * c * np.sqrt(1 - c * c))
    own = depth * (4 * alpha**2 * lam**2 + 2 * lam**4)
    return float(own + 3 * lam**4 * rho.sum()) / n


def highway(size: int, seed: int) -> Iterator[Comparison]:
    """Mean of ln ‖Ju‖² in dense simulations, with their standard errors."""
    n, depth = 400, 50
    for bias, expected, error in ((0.0, -34.92, 0.02), (-2.0, -11.93, 0.03)):
        net = vgsim.MLP(depth, n, init="lecun_normal", highway=vgsim.Highway(bias))
        value, own = mean(log_square(vgsim.simulate(net, size, seed=seed, layers=(0,))))
        name = f"highway, gate bias {bias:g}, n = {n}, D = {depth}: mean"
        yield Comparison(name, value, math.hypot(own, error), expected)


def picture(figure, seed: int) -> None:
    """ln E‖Ju‖² of x + V tanh(W x) with depth, and the law of x + G x."""
    left, right = figure.subplots(1, 2)
    blocks = np.array([4, 16, 36, 64, 100])
    found = []
    for count in blocks:
        net = vgsim.MLP(
            2 * int(count), 256, init="lecun_normal", residual=vgsim.Residual(2, style="linear")
        )
        x = log_square(vgsim.simulate(net, 5000, seed=seed, layers=(0,)))
        found.append(log_mean_exp(x))
    y, error = np.transpose(found)
    left.errorbar(np.sqrt(blocks), y, error, fmt="o", label="n = 256")
    left.plot(np.sqrt(blocks), [tanh_recursion(b) for b in blocks], "--", label="n → ∞")
    left.set(xlabel="√blocks", ylabel="ln E‖Ju‖²", title="x + V tanh(W x)")
    left.legend()
    n, depth = 10, 20
    net = vgsim.MLP(depth, n, activation="linear", init="lecun_normal", residual=vgsim.Residual())
    x = log_square(vgsim.simulate(net, 100_000, seed=seed, layers=(0,)))
    factors = np.random.default_rng(seed).noncentral_chisquare(n, n, (100_000, depth)) / n
    right.hist(x, 100, density=True, histtype="step", label="simulated")
    right.hist(np.log(factors).sum(axis=1), 100, density=True, histtype="step", label="exact")
    right.set(xlabel="ln(‖G_0‖²/‖G_D‖²)", title=f"x + G x, n = {n}, D = {depth}")
    right.legend()
