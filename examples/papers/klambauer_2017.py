"""Klambauer et al. 2017: the fixed point of SELU, and what it does to gradients."""

import math
from collections.abc import Callable, Sequence

import numpy as np
from comparison import Figure, Floats, Numbers, Paper, function, legend, main, number, panels
from scipy.integrate import quad
from scipy.optimize import root

import vgsim
from vgsim import plotting, theory

WIDTH, DEPTH = 1000, 60
PAPER = Paper(
    key="klambauer_2017",
    title="Self-normalizing neural networks",
    reference="G. Klambauer, T. Unterthiner, A. Mayr and S. Hochreiter, NeurIPS 2017",
    setting=f"SELU networks of width {WIDTH}, normal weights of variance 1/n, no biases. α and λ "
    "follow from E φ(z) = 0 and E φ(z)² = 1, z ~ N(0, 1).",
    remark="The activations keep mean square 1, and deviations from it shrink by 0.78 per layer, "
    "as the paper says. The squared gradient, however, grows by E φ'² = 1.07 per layer: a thousand "
    "layers gain 15 decades. The theorems of the paper bound the variance of the activations, not "
    "the gradient.",
    caption="Mean square of the activations against the layer, from inputs of variance 0.25, 1 and "
    "4.",
)


def constants() -> Floats:
    """Return α and λ, from the two equations of the fixed point, by quadrature and root finding."""

    def gaussian(f: Callable[[float], float], low: float, high: float) -> float:
        def integrand(z: float) -> float:
            return f(z) * math.exp(-z * z / 2) / math.sqrt(2 * math.pi)

        return float(quad(integrand, low, high)[0])

    below = gaussian(lambda z: math.expm1(z), -math.inf, 0)
    below_2 = gaussian(lambda z: math.expm1(z) ** 2, -math.inf, 0)
    mean = gaussian(lambda z: z, 0, math.inf)

    def equations(x: Floats) -> tuple[float, float]:
        alpha, scale = x
        return mean + alpha * below, scale**2 * (0.5 + alpha**2 * below_2) - 1

    found: Floats = root(equations, (1.5, 1.0), tol=1e-14).x
    return found


def samples(
    start: float, size: int, depth: int = DEPTH, layers: Sequence[int] | None = None
) -> vgsim.Samples:
    """Return samples for inputs of variance `start`."""
    inputs = math.sqrt(start) * np.random.default_rng(0).standard_normal((500, WIDTH))
    inputs *= math.sqrt(start * WIDTH) / np.linalg.norm(inputs, axis=1, keepdims=True)
    net = vgsim.MLP(depth, WIDTH, activation="selu", init="lecun_normal")
    return vgsim.simulate(
        net, size, inputs=inputs, layers=layers, record=["gradient", "activation"]
    )


def numbers(quick: bool) -> Numbers:
    size = 500 if quick else 20_000
    alpha, scale = constants()
    for name, paper, ours in (("α", 1.6733, alpha), ("λ", 1.0507, scale)):
        yield number(name, "α₀₁ ≈ 1.6733, λ₀₁ ≈ 1.0507", paper, (ours,) * 3, accuracy=5e-5)
    found = samples(1.0, size // 10, layers=[0, DEPTH])
    squares = 100 ** found.activation[:, 1]
    what = f"mean square of the activations after {DEPTH} layers"
    yield number(what, "fixed point (0, 1)", 1, function(float, squares), accuracy=5 / WIDTH)
    near = samples(1.1, size, 4, layers=[1, 4])
    away = 100**near.activation - 1
    found_slope = function(lambda a: (a[1] / a[0]) ** (1 / 3), away)
    slope = theory.mean_field(near.network).chi_parallel
    what = "factor of a deviation of the variance from 1, per layer (from 1.1)"
    yield number(what, "Jacobian at (0, 1)", 0.782648, found_slope, accuracy=0.02, wide=slope)
    growth = function(lambda x: x ** (1 / DEPTH), 100 ** found.log10_ratio[:, 0])
    chi = theory.mean_field(near.network).chi_1
    what = "factor of E ‖G‖² per layer"
    where = "abstract: exploding gradients are impossible, read as 1"
    yield number(what, where, 1, growth, accuracy=0.01, wide=chi)


def picture(quick: bool) -> Figure:
    figure, ax = panels()
    layers = range(21)
    for start in (0.25, 1.0, 4.0):
        found = samples(start, 20 if quick else 500, 20, layers=layers)
        columns = list((100**found.activation).T)
        plotting.quantiles(
            layers, columns, label=f"from {start:g}", xlabel="layer", ylabel="mean square", ax=ax
        )
    legend(ax)
    return figure


if __name__ == "__main__":
    main(PAPER, numbers, picture)
