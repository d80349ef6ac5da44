"""Finite width: exact laws of ReLU and linear networks, moments for smooth activations."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

import vgsim
from verification.comparison import Comparison, log_square, mean, scaled, variance
from vgsim import theory
from vgsim.theory._fluctuations import finite_width_rates
from vgsim.theory._variance_map import chi, fixed_point

# Mean, its standard error, variance, its standard error: of ln ‖J u‖² in 4,000 dense networks of
# another program, n = 100, D = 1000.
MEASURED = {
    ("relu", 2**0.5, 0.0): (-25.32, 0.12, 52.5, 1.2),
    ("leaky_relu:0.25", (2 / (1 + 0.25**2)) ** 0.5, 0.0): (-21.81, 0.11, 43.8, 1.0),
    ("linear", 1.0, 0.0): (-9.99, 0.07, 19.8, 0.4),
    ("tanh", 1.760955**0.5, 0.05**0.5): (-17.68, 0.10, 39.2, 0.9),
    ("tanh", 1.5**0.5, 0.05**0.5): (-79.76, 0.10, 36.7, 0.8),
    ("sigmoid", 1.0, 0.0): (-2900.00, 0.07, 20.8, 0.5),
}
SMOOTH = [*list(MEASURED)[3:], ("erf", 1.375839**0.5, 0.05**0.5), ("selu", 1.0, 0.0)]


def comparisons(seed: int, quick: bool) -> Iterator[Comparison]:
    size = 5000 if quick else 200_000
    yield from tails(32, 100, 10 * size, seed, (1, 3))
    if not quick:
        yield from tails(32, 100, 10 * size, seed, (5,))
        yield from tails(100, 100, 4 * size, seed, (1, 2))
        yield from tails(100, 1000, size // 4, seed, (1, 3, 5, 8))
        yield from regression(4 * size // 25, seed)
    yield from smooth(*((128, 300, 3000) if quick else (256, 600, 20_000)), seed)
    yield from lyapunov(200 if quick else 4000, seed)


def relu(n: int, depth: int) -> vgsim.MLP:
    return vgsim.MLP(depth, n, activation="relu", init="he_normal")


def tails(
    n: int, depth: int, size: int, seed: int, powers: tuple[int, ...]
) -> Iterator[Comparison]:
    """P(‖G_0‖/‖G_D‖ < 10^-k) and P(‖G_0‖/‖G_D‖ > 10^k) of He ReLU, where above 1e-4."""
    samples = vgsim.simulate(relu(n, depth), size, seed=seed, layers=(0,))
    law = theory.relu_law(n, depth)
    for k in powers:
        x = -2 * math.log(10) * k
        exact = law.cdf(x), law.sf(-x)
        for event, p in zip(("vanishing", "exploding"), exact, strict=True):
            if p > 1e-4 and p * size > 200:
                found = samples.probability(event, threshold=10.0**-k).estimate
                error = math.sqrt(p * (1 - p) / size)
                name = f"ReLU, n = {n}, D = {depth}: P({event}) at 1e-{k}"
                yield Comparison(name, found, error, float(p))


def build(case: tuple[str, float, float], n: int, depth: int) -> vgsim.MLP:
    name, gain, bias_std = case
    name, _, slope = name.partition(":")
    phi = vgsim.Activation(name, slope=float(slope)) if slope else vgsim.Activation(name)
    return vgsim.MLP(depth, n, activation=phi, init="lecun_normal", gain=gain, bias_std=bias_std)


def regression(size: int, seed: int) -> Iterator[Comparison]:
    """Mean and variance, compared with the dense networks of `MEASURED`."""
    for case, (value, error, spread, spread_error) in MEASURED.items():
        x = log_square(vgsim.simulate(build(case, 100, 1000), size, seed=seed, layers=(0,)))
        name = f"{case[0]}, gain {case[1]:.4f}, n = 100, D = 1000"
        own, own_error = mean(x)
        yield Comparison(f"{name}: mean", own, math.hypot(own_error, error), value, 0.2)
        own, own_error = variance(x)
        yield Comparison(f"{name}: variance", own, math.hypot(own_error, spread_error), spread, 0.5)


def smooth(n: int, depth: int, size: int, seed: int) -> Iterator[Comparison]:
    """Growth of mean and variance per layer, times n, far from both ends; mean at layer 0."""
    near, far = depth // 3, depth - depth // 6
    for case in SMOOTH:
        net = build(case, n, depth)
        samples = vgsim.simulate(net, size, seed=seed, layers=(0, near, far))
        x = log_square(samples, near) - log_square(samples, far)
        q = fixed_point(*case)
        of_mean, of_variance = finite_width_rates(*case)
        of_mean += n * math.log(chi(case[0], case[1], q))
        name = f"{case[0]}, gain {case[1]:.4f}, n = {n}"
        own = scaled(variance(x), n / (far - near))
        yield Comparison(f"{name}: n Var per layer", *own, of_variance, 15 * of_variance / n)
        own = scaled(mean(x), n / (far - near))
        yield Comparison(f"{name}: n × mean per layer", *own, of_mean, 10 / n)
        whole = theory.log_gradient_moments(net)
        x = log_square(samples)
        yield Comparison(f"{name}, D = {depth}: mean", *mean(x), whole.mean, 10 * depth / n**2)


def lyapunov(size: int, seed: int) -> Iterator[Comparison]:
    """Lyapunov exponents of products of N(0, 1) matrices, by Newman's formula."""
    n, depth = 10, 1000
    net = vgsim.MLP(depth, n, activation="linear", init=vgsim.Initializer("normal", std=1.0))
    found = vgsim.lyapunov(net, size, k=n, seed=seed).finite_exponents()
    for i, exact in enumerate(theory.newman_exponents(n)):
        name = f"N(0, 1) matrices, n = {n}: Lyapunov exponent {i + 1}"
        yield Comparison(name, *mean(found[:, i]), float(exact))


def picture(figure, seed: int) -> None:
    """Draw the law of a ReLU network with its tails, and Newman's exponents."""
    left, right = figure.subplots(1, 2)
    n, depth = 32, 100
    ratio = np.sort(
        vgsim.simulate(relu(n, depth), 300_000, seed=seed, layers=(0,)).log10_ratio[:, 0]
    )
    ratio = ratio[np.isfinite(ratio)]
    rank = np.arange(1, ratio.size + 1) / ratio.size
    grid = np.linspace(-8, 3, 200)
    law = theory.relu_law(n, depth)
    left.semilogy(ratio[::50], rank[::50], label="P(R ≤ x), simulated")
    left.semilogy(ratio[::50], 1 - rank[::50] + 1 / ratio.size, label="P(R ≥ x), simulated")
    left.semilogy(grid, law.cdf(2 * math.log(10) * grid), "k--", lw=1, label="exact")
    left.semilogy(grid, law.sf(2 * math.log(10) * grid), "k--", lw=1)
    left.set(xlabel="x", title=f"ReLU, n = {n}, D = {depth}", ylim=(1e-7, 2))
    left.legend()
    net = vgsim.MLP(1000, 10, activation="linear", init=vgsim.Initializer("normal", std=1.0))
    found = vgsim.lyapunov(net, 500, k=10, seed=seed).exponents()
    right.plot(range(1, 11), theory.newman_exponents(10), "k+", label="Newman")
    right.plot(range(1, 11), found.estimate, "o", mfc="none", label="simulated")
    right.set(xlabel="i", ylabel="λ_i", title="products of 10 × 10 normal matrices")
    right.legend()
