"""Composed networks: normalisation after and before the sum, DeepNorm, dropout, correlations."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

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
from vgsim import Attention, Dropout, Linear, Norm, Sequential, Skip, theory

LAYER = Norm("layer")
GAINS = 2.0, 1.5  # of the tanh branches


def comparisons(seed: int, quick: bool) -> Iterator[Comparison]:
    n, size = (128, 1000) if quick else (512, 5000)
    yield from post_norm(n, 10, size, seed)
    yield from pre_norm(n, 24, size, seed)
    for layers in (6, 24) if quick else (6, 12, 24, 48, 100, 200):
        yield from deepnorm(n, layers, size // (10 if layers > 50 else 4), seed)
    yield from dropout(30 if quick else 100, 50, 20 * size, seed)
    yield from wide_dropout(300 if quick else 1000, 20, 4 * size, seed)
    yield from correlations(n, size // 5, seed)


def tanh_branch(n: int) -> list:
    """Return 1.5 W tanh(2 V x), of 2 n units inside."""
    return [Linear(2 * n, gain=GAINS[0]), "tanh", Linear(n, gain=GAINS[1])]


def post_norm(n: int, blocks: int, size: int, seed: int) -> Iterator[Comparison]:
    """LN(x + f(x)): the growth of E‖G‖² per block, (1 + χ)/(1 + v) = 1.359858."""
    network = Sequential(n, [[Skip(tanh_branch(n)), LAYER]] * blocks)
    x = log_square(vgsim.simulate(network, size, seed=seed, layers=(0,)))
    rate = theory.post_norm_rate(*theory.branch_moments("tanh", *GAINS))
    name = f"LN(x + f(x)), tanh, n = {n}, {blocks} blocks: ln of the rate"
    yield Comparison(name, *scaled(log_mean_exp(x), 1 / blocks), math.log(rate), 5 / n)


def pre_norm(n: int, blocks: int, size: int, seed: int) -> Iterator[Comparison]:
    """x + β f(LN(x)): Π (1 + β² χ/(1 + l β² v))."""
    moments = theory.branch_moments("tanh", *GAINS)
    for text, branch in (("1", 1.0), ("1/√blocks", blocks**-0.5)):
        network = Sequential(n, [Skip([LAYER, *tanh_branch(n)], branch=branch)] * blocks)
        x = log_square(vgsim.simulate(network, size, seed=seed, layers=(0,)))
        exact = theory.pre_norm_growth(*moments, blocks, branch)
        name = f"x + β f(LN(x)), β = {text}, n = {n}, {blocks} blocks: ln E‖G‖²"
        yield Comparison(name, *log_mean_exp(x), exact, 20 / n)


def transformer(n: int, layers: int, deep: bool) -> Sequential:
    """Return layers of attention of one token and GELU, DeepNorm or plain post-norm."""
    alpha, beta = theory.deepnorm_constants(layers) if deep else (1.0, 1.0)
    mlp = [Linear(2 * n, gain=math.sqrt(2) * beta), "gelu", Linear(n, gain=beta)]
    heads = Attention(gain=1.0, value_gain=beta, output_gain=beta)
    return Sequential(n, [Skip([heads], skip=alpha), LAYER, Skip(mlp, skip=alpha), LAYER] * layers)


def deepnorm(n: int, layers: int, size: int, seed: int) -> Iterator[Comparison]:
    """ln E‖G‖² of DeepNorm, which tends to 0, and of plain post-norm, per layer."""
    for deep in (True, False):
        network = transformer(n, layers, deep)
        x = log_square(vgsim.simulate(network, size, seed=seed, layers=(0,)))
        exact = theory.place_moments(network).growth[0] / layers
        name = f"{'DeepNorm' if deep else 'post-norm'}, gelu, n = {n}, N = {layers}: ln E‖G‖² per N"
        slack = (1 if deep else 5) / n
        yield Comparison(name, *scaled(log_mean_exp(x), 1 / layers), exact, slack)


def dropout(n: int, depth: int, size: int, seed: int) -> Iterator[Comparison]:
    """He ReLU networks with keep rate q: the exact law of ln ‖G‖²."""
    for rate in (0.1, 0.5):
        x, name = dropped(rate, n, depth, size, seed)
        law = theory.relu_law(n, depth, dropout=rate)
        yield Comparison(f"{name}: mean", *mean(x), law.mean)
        yield Comparison(f"{name}: variance", *variance(x), law.variance)


def wide_dropout(n: int, depth: int, size: int, seed: int) -> Iterator[Comparison]:
    """Wide ones: Var ln ‖G‖² → (6/q − 1) D/n, and E‖G‖² grows by 1/q per layer, exactly."""
    for rate in (0.1, 0.5):
        q = 1 - rate
        x, name = dropped(rate, n, depth, size, seed)
        limit = 6 / q - 1
        yield Comparison(f"{name}: n Var/D", *scaled(variance(x), n / depth), limit, limit**2 / n)
        growth = scaled(log_mean_exp(x), 1 / depth)
        yield Comparison(f"{name}: ln E‖G‖² per layer", *growth, -math.log(q))


def dropped(rate: float, n: int, depth: int, size: int, seed: int) -> tuple[Array, str]:
    """Return ln ‖G_0‖² of He ReLU networks with dropout, and their name."""
    network = Sequential(n, [[Linear(init="he_normal"), "relu", Dropout(rate)]] * depth)
    samples = vgsim.simulate(network, size, seed=seed, layers=(0,))
    return log_square(samples), f"dropout of {rate}, ReLU, n = {n}, D = {depth}"


def correlations(n: int, size: int, seed: int) -> Iterator[Comparison]:
    """Cosine of two inputs at a right angle, after post- and pre-norm blocks."""
    blocks = 6
    lists = {
        "LN(x + f(x))": [[Skip(tanh_branch(n)), LAYER]] * blocks,
        "x + f(LN(x))": [Skip([LAYER, Linear(init="he_normal"), "relu", Linear()])] * blocks,
    }
    for name, layers in lists.items():
        network = Sequential(n, layers)
        samples = vgsim.simulate(
            network,
            size,
            seed=seed,
            batch_size=2,
            layers=(0, blocks),
            record=("activation_correlation",),
        )
        exact = theory.place_moments(network, correlation=0.0).correlation[-1]
        found = mean(samples.activation_correlation[:, -1])
        yield Comparison(f"{name}, n = {n}, {blocks} blocks: cosine", *found, exact, 3 / n)


def picture(figure, seed: int) -> None:
    """Draw ln E‖G‖² against N of DeepNorm, post-norm and pre-norm."""
    n, counts = 256, (3, 6, 12, 24, 48)
    axes = figure.subplots()

    def before(layers: int) -> Sequential:
        mlp = [LAYER, Linear(2 * n, gain=math.sqrt(2)), "gelu", Linear(n)]
        return Sequential(n, [Skip([LAYER, Attention()]), Skip(mlp)] * layers)

    kinds = {
        "DeepNorm": lambda layers: transformer(n, layers, deep=True),
        "post-norm": lambda layers: transformer(n, layers, deep=False),
        "pre-norm": before,
    }
    for name, network in kinds.items():
        found = []
        for layers in counts:
            samples = vgsim.simulate(network(layers), 500, seed=seed, layers=(0,))
            found.append(log_mean_exp(log_square(samples)))
        y, error = np.transpose(found)
        points = axes.errorbar(counts, y, error, fmt="o", label=name)
        exact = [theory.place_moments(network(layers)).growth[0] for layers in counts]
        axes.plot(counts, exact, "--", color=points[0].get_color())
    axes.set(xlabel="layers N of attention and MLP", ylabel="ln E(‖G_0‖²/‖G_D‖²)", xscale="log")
    axes.set_title(f"one token, GELU, n = {n}; dashed: n → ∞")
    axes.legend()
