"""Sussillo and Abbott 2014: the gain at which the mean of ln ‖G‖ does not change with depth."""

import math

import numpy as np
from comparison import Figure, Interval, Numbers, Paper, along, legend, main, mean, number, panels
from scipy.special import psi

import vgsim
from vgsim import plotting, theory
from vgsim.typing import ActivationName

DEPTH = 50
WIDTHS = (4, 6, 8, 12, 16, 32, 64, 100, 256)
PAPER = Paper(
    key="sussillo_abbott_2014",
    title="Random walk initialization for training very deep feedforward networks",
    reference="D. Sussillo and L. F. Abbott, arXiv:1412.6558, 2014",
    setting=f"Networks of {DEPTH} layers and width N, with weights of variance g²/N. The gain is "
    "that at which the mean of ln ‖G_0‖ is that of ln ‖G_D‖, over networks that are not dead.",
    remark="The formula for linear networks is the first term of the exact one, "
    "ln g = −½(ψ(N/2) + ln(2/N)). That for ReLU was fitted to simulations; it is 7 % too large at "
    "N = 6, which lets the gradient grow by 2.8 decades in 100 layers.",
    caption="Gain of a ReLU network against its width: measured, exact, and the paper's formula.",
)


def formula(n: int, activation: ActivationName) -> float:
    """Return the gain of the paper."""
    if activation == "linear":
        return math.exp(1 / (2 * n))
    return math.sqrt(2) * math.exp(1.2 / (max(n, 6) - 2.4))


def exact(n: int, activation: ActivationName) -> float:
    """Return the exact gain, by the mean of ln χ²_K, K ~ Binomial(N, ½) above 0."""
    if activation == "linear":
        return math.exp(-(psi(n / 2) + math.log(2 / n)) / 2)
    return math.sqrt(2) * math.exp(-theory.relu_law(n, 1).mean / 2)


def measured(n: int, activation: ActivationName, size: int) -> Interval:
    """Return the gain that makes the mean of R zero, and its interval."""
    start = 1.0 if activation == "linear" else math.sqrt(2)
    net = vgsim.MLP(DEPTH, n, activation=activation, init="lecun_normal", gain=start)
    r = vgsim.simulate(net, size, layers=[0]).log10_ratio[:, 0]
    found, low, high = mean(r[np.isfinite(r)])
    low, found, high = (start * 10 ** (-m / DEPTH) for m in (high, found, low))
    return found, low, high


def numbers(quick: bool) -> Numbers:
    size = 5000 if quick else 200_000
    for activation in ("relu", "linear"):
        for n in (6, 16, 100):
            paper, value = formula(n, activation), exact(n, activation)
            where = "g_ReLU" if activation == "relu" else "g_linear"
            what = f"{activation}, N = {n}: gain"
            yield number(what, where, paper, measured(n, activation, size), exact=value)


def picture(quick: bool) -> Figure:
    figure, ax = panels()
    found = [measured(n, "relu", 2000 if quick else 100_000) for n in WIDTHS]
    estimate = along(found, "Student")
    theory_line = np.array([exact(n, "relu") for n in WIDTHS])
    plotting.curve(
        WIDTHS, estimate, theory=theory_line, label="measured", xlabel="width", ylabel="gain", ax=ax
    )
    ax.plot(WIDTHS, [formula(n, "relu") for n in WIDTHS], "k:", label="paper")
    ax.set(xscale="log", ylim=(1.35, 2.1))
    legend(ax)
    return figure


if __name__ == "__main__":
    main(PAPER, numbers, picture)
