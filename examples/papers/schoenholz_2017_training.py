"""Schoenholz et al. 2017: the depths to which tanh networks can be trained, and 6 ξ_c."""

import functools
import math
from typing import TypeAlias

import numpy as np
from comparison import Figure, Floats, Numbers, Paper, legend, main, number, panels, proportion

import vgsim
from vgsim import plotting, theory

BIAS = math.sqrt(0.05)
WIDTH, STEPS, RATE, NETWORKS = 64, 300, 0.01, 4
GAINS = np.array([0.8, 1.0, 1.2, 1.4, 1.7, 2.0, 2.4])
DEPTHS = np.array([5, 10, 20, 40, 80])
PAPER = Paper(
    key="schoenholz_2017_training",
    title="Deep information propagation: trainable depths",
    reference="S. S. Schoenholz, J. Gilmer, S. Ganguli and J. Sohl-Dickstein, ICLR 2017, training",
    setting="tanh networks of width 64 and a linear read-out, weights of variance σ_w²/n, biases "
    "of variance 0.05, trained on the 1,797 digits of scikit-learn by 300 steps of gradient "
    "descent with learning rate 0.01 and minibatches of 32; 4 networks for each of 7 values of "
    "σ_w from 0.8 to 2.4 and 5 depths from 5 to 80. A network has learned if its loss falls below "
    "half of that of the best constant prediction. The paper trains wider networks (300), to "
    "larger depths, on MNIST and CIFAR-10, with up to thousands of steps.",
    remark="No network deeper than 6 ξ_c learned. Up to half of that depth almost all did, and "
    "from there to 6 ξ_c few: 6 ξ_c bounds the trainable depths, but in 300 steps they end closer "
    "to 3 ξ_c. Near the critical σ_w = 1.33, where ξ_c diverges, it is the number of steps that "
    "bounds them: no network of 80 layers learned.",
    caption="P(learned) after 300 steps against σ_w and depth, and 6 ξ_c, the depth to which the "
    "paper finds networks trainable.",
)
Counts: TypeAlias = tuple[Floats, Floats]  # of networks that learned, and 6 ξ_c of each gain


def network(depth: int, gain: float) -> vgsim.Sequential:
    """Return tanh layers, and a linear read-out to the ten classes."""
    layers = [vgsim.Linear(WIDTH, gain=gain, bias_std=BIAS), "tanh"] * depth
    return vgsim.Sequential(64, [*layers, vgsim.Linear(10)])


def limit(gain: float) -> float:
    """Return 6 ξ_c of wide networks."""
    net = vgsim.MLP(1, WIDTH, init="lecun_normal", gain=gain, bias_std=BIAS)
    return 6 * theory.mean_field(net).xi_c


@functools.cache
def learned(quick: bool) -> Counts:
    """Return the number of networks that learned at each depth and gain, and 6 ξ_c."""
    gains, depths = (GAINS[:3], DEPTHS[:2]) if quick else (GAINS, DEPTHS)
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    data = ((X - X.mean()) / X.std(), y)
    counts = np.empty((depths.size, gains.size))
    for i, depth in enumerate(depths.tolist()):
        study = vgsim.train(
            [network(depth, gain) for gain in gains.tolist()],
            NETWORKS,
            data=data,
            steps=20 if quick else STEPS,
            optimizer="sgd",
            learning_rate=RATE,
            every=10,
        )
        counts[i] = [training.probability("learned").events for training in study]
    return counts, np.array([limit(gain) for gain in gains.tolist()])


def numbers(quick: bool) -> Numbers:
    counts, limits = learned(quick)
    relative = DEPTHS[: len(counts), np.newaxis] / limits
    for low, high, sign in ((0, 0.5, ">"), (0.5, 1, ">"), (1, 2, "<"), (2, math.inf, "<")):
        inside = (relative > low) & (relative <= high)
        if not inside.any():
            continue
        found = proportion(int(counts[inside].sum()), NETWORKS * int(inside.sum()))
        between = (
            f"above {6 * low:g} ξ_c" if high == math.inf else f"{6 * low:g} to {6 * high:g} ξ_c"
        )
        what = f"share of networks that learned, depths {between}"
        where = f"6 ξ_c, read as {'at least' if sign == '>' else 'at most'} half"
        yield number(what, where, 0.5, found, relation=sign)
    right = np.where(relative <= 1, counts, NETWORKS - counts)
    found = proportion(int(right.sum()), NETWORKS * counts.size)
    yield number("share of networks that 6 ξ_c classifies", "6 ξ_c", 1, found, relation="~")


def picture(quick: bool) -> Figure:
    counts, limits = learned(quick)
    figure, ax = panels()
    gains = GAINS[: limits.size]
    fine = np.linspace(gains[0], gains[-1], 200)
    _, line = plotting.heatmap(
        gains,
        DEPTHS[: len(counts)],
        counts / NETWORKS,
        line=(fine, [limit(gain) for gain in fine.tolist()]),
        limits=(0, 1),
        label="P(learned)",
        xlabel=r"$\sigma_w$",
        ylabel="depth",
        ax=ax,
    )
    line.set_label(r"$6\,\xi_c$")
    legend(ax, loc="upper right")
    return figure


if __name__ == "__main__":
    main(PAPER, numbers, picture)
