"""Residual and highway networks."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

import vgsim
from verification.comparison import (
    Comparison,
    log_mean_exp,
    log_square,
    mean,
    scaled,
    variance,
)
from vgsim import theory


def comparisons(seed: int, quick: bool) -> Iterator[Comparison]:
    size = 5000 if quick else 50_000
    yield from tanh_branches(*((100, 25, 100) if quick else (400, 100, 900)), size // 5, seed)
    for branch in (1.0, "1/sqrt(blocks)"):
        yield from relu_branches(32, 16, branch, 4 * size, seed)
    yield from linear_branches(4 * size, seed)
    yield from pre_activated(128 if quick else 256, size, seed)
    yield from highway(1000 if quick else 20_000, seed)


def tanh_branches(n: int, few: int, many: int, size: int, seed: int) -> Iterator[Comparison]:
    """x + V tanh(W x): E‖Ju‖² by the recursion at infinite width, and its growth with √blocks.

    Yang and Schoenholz 2017: ln E‖Ju‖² → (8/3)/√(2π) √blocks.
    """
    results = {}
    for blocks in (few, many):
        net = tanh_network(blocks, n)
        x = log_square(vgsim.simulate(net, size, seed=seed, layers=(0,)))
        results[blocks] = log_mean_exp(x)
        name = f"x + V tanh(W x), n = {n}, {blocks} blocks: ln E‖Ju‖²"
        yield Comparison(name, *results[blocks], theory.residual_growth(net), 0.2 * blocks / n)
    (a, error_a), (b, error_b) = results.values()
    roots = math.sqrt(few), math.sqrt(many)
    name = f"x + V tanh(W x), n = {n}: growth of ln E‖Ju‖² with √blocks"
    measured = scaled((b - a, math.hypot(error_a, error_b)), 1 / (roots[1] - roots[0]))
    slack = 0.7 / math.sqrt(roots[0] * roots[1]) + 0.2 * sum(roots) / n
    yield Comparison(name, *measured, theory.tanh_residual_exponent(), slack)


def tanh_network(blocks: int, n: int) -> vgsim.MLP:
    """Return the network of blocks x + V tanh(W x), with weights of variance 1/n."""
    skips = vgsim.Residual(2, style="linear")
    return vgsim.MLP(2 * blocks, n, init="lecun_normal", residual=skips)


def relu_branches(
    n: int, blocks: int, branch: float | str, size: int, seed: int
) -> Iterator[Comparison]:
    """x + α V ReLU(W x): E‖Ju‖² = (1 + α²)^blocks; factors (1 + r g)² + r² χ²_{n−1} per block."""
    residual = vgsim.Residual(2, style="linear", branch=branch, last_gain=math.sqrt(0.5))
    net = vgsim.MLP(2 * blocks, n, activation="relu", init="he_normal", residual=residual)
    x = log_square(vgsim.simulate(net, size, seed=seed, layers=(0,)))
    alpha = residual.branch_scale(net.depth)
    name = f"x + α V ReLU(W x), α = {alpha:g}, n = {n}, {blocks} blocks"
    exact = blocks * math.log1p(alpha**2)
    yield Comparison(f"{name}: ln E‖Ju‖²", *log_mean_exp(x), exact)
    of_mean, of_variance = theory.relu_residual_moments(n, alpha)
    yield Comparison(f"{name}: mean", *mean(x), blocks * of_mean)
    yield Comparison(f"{name}: variance", *variance(x), blocks * of_variance)


def linear_branches(size: int, seed: int) -> Iterator[Comparison]:
    """x + G x: mean and variance of ln of the factors, non-central χ'²_n(n)/n."""
    depth = 40
    for n in (10, 32):
        law = theory.linear_residual_law(n, depth)
        net = vgsim.MLP(
            depth, n, activation="linear", init="lecun_normal", residual=vgsim.Residual()
        )
        x = log_square(vgsim.simulate(net, size, seed=seed, layers=(0,)))
        name = f"x + G x, n = {n}, D = {depth}"
        yield Comparison(f"{name}: mean", *mean(x), law.mean)
        yield Comparison(f"{name}: variance", *variance(x), law.variance)


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
        exact = theory.residual_variance(n, depth, alpha)
        name = f"Li, Nica, Roy, n = {n}, D = {depth}, α² = {square}: variance"
        yield Comparison(name, *variance(x), exact, exact * 10 / n)


def highway(size: int, seed: int) -> Iterator[Comparison]:
    """Mean of ln ‖Ju‖², from dense networks of another program; ln E‖Ju‖² by mean field."""
    n, depth = 400, 50
    for bias, expected, error in ((0.0, -34.92, 0.02), (-2.0, -11.93, 0.03)):
        net = vgsim.MLP(depth, n, init="lecun_normal", highway=vgsim.Highway(bias))
        x = log_square(vgsim.simulate(net, size, seed=seed, layers=(0,)))
        value, own = mean(x)
        name = f"highway, gate bias {bias:g}, n = {n}, D = {depth}"
        yield Comparison(f"{name}: mean", value, math.hypot(own, error), expected)
        slack = 2 * depth / n
        yield Comparison(f"{name}: ln E‖Ju‖²", *log_mean_exp(x), theory.highway_growth(net), slack)


def picture(figure, seed: int) -> None:
    """Draw ln E‖Ju‖² of x + V tanh(W x) against depth, and the law of x + G x."""
    left, right = figure.subplots(1, 2)
    blocks = np.array([4, 16, 36, 64, 100])
    found, limit = [], []
    for count in blocks:
        net = tanh_network(int(count), 256)
        limit.append(theory.residual_growth(net))
        x = log_square(vgsim.simulate(net, 5000, seed=seed, layers=(0,)))
        found.append(log_mean_exp(x))
    y, error = np.transpose(found)
    left.errorbar(np.sqrt(blocks), y, error, fmt="o", label="n = 256")
    left.plot(np.sqrt(blocks), limit, "--", label="n → ∞")
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
