"""Does the gradient at initialisation predict what a network learns? By depth, over seeds.

R_0 = log10(‖G_0‖/‖G_D‖) of the first minibatch, before any update, is the gradient norm at the
input relative to that at the output, in decades. All networks of a row have the same law: they
differ by their random weights and minibatches only. Spearman's rank correlation of R_0 and the
final loss is −1 if a network with larger R_0 always learns better, and 0 if there is no link.

`--figure FILE` also draws R_0 against the loss, and the correlation against depth.
"""

import argparse
from typing import Any

import numpy as np
from sklearn.datasets import load_digits

import vgsim
from vgsim import plotting

WIDTH, DEPTHS, SIZE, STEPS = 16, (5, 10, 20, 30), 200, 200
NETWORKS: dict[str, dict[str, Any]] = {
    "ReLU, He": {"activation": "relu", "init": "he_normal"},
    "tanh, gain 1.1": {"activation": "tanh", "init": "lecun_normal", "gain": 1.1},
}


def network(depth: int, fields: dict[str, Any]) -> vgsim.Sequential:
    """Return hidden layers and a linear read-out to the ten classes."""
    hidden = vgsim.MLP(depth, [64, *[WIDTH] * depth], **fields)
    return vgsim.Sequential(64, [*hidden.layers, vgsim.Linear(10)])


def trained(depth: int, fields: dict[str, Any], size: int, steps: int) -> vgsim.Training:
    """Train networks on the digits, with R_0 recorded."""
    X, y = load_digits(return_X_y=True)
    return vgsim.train(
        network(depth, fields),
        size,
        data=((X - X.mean()) / X.std(), y),
        steps=steps,
        optimizer="sgd",
        learning_rate=0.02,
        record=["gradient"],
        layers=[0],
        every=10,
    )


def draw(trainings: dict[str, list[vgsim.Training]], path: str) -> None:
    """Draw R_0 against the final loss, a panel for each kind, and the correlations."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3.4 * (len(trainings) + 1), 2.8), layout="constrained")
    *scatters, last = figure.subplots(1, len(trainings) + 1)
    for (name, found), ax in zip(trainings.items(), scatters, strict=True):
        depths = [one.network.depth - 1 for one in found]
        for depth, one in zip(depths, found, strict=True):
            loss = one.loss[:, -5:].mean(axis=1)
            ax.plot(one.log10_ratio[:, 0, 0], loss, ".", markersize=2, label=f"depth {depth}")
        ax.set(xlabel=r"$R_0$ at initialisation", ylabel="loss after training", title=name)
        ax.legend(fontsize="small", markerscale=4)
        links = [one.rank_correlation() for one in found]
        middle, low, high = np.array([(link.estimate, link.low, link.high) for link in links]).T
        estimate = vgsim.Estimate(middle, low, high, 0.95, "bootstrap")
        plotting.curve(depths, estimate, label=name, ax=last)
    last.axhline(0, color="grey", linewidth=0.8)
    last.set(xlabel="depth", ylabel="rank correlation", ylim=(-1, 0.3), xticks=DEPTHS)
    last.set_xticklabels(map(str, DEPTHS))
    figure.savefig(path, metadata={"Date": None} if path.endswith(".svg") else None)


parser = argparse.ArgumentParser(description="R_0 at initialisation and what is learned")
parser.add_argument("--quick", action="store_true", help="one depth, few networks and steps")
parser.add_argument("--figure", metavar="FILE", help="draw a figure")
given = parser.parse_args()
size, steps = (20, 20) if given.quick else (SIZE, STEPS)

trainings: dict[str, list[vgsim.Training]] = {}
print(f"{size} networks of width {WIDTH} each, {steps} steps of sgd on the digits")
print(f"{'layers':15} depth  R_0 (5 % to 95 %)  P(learned)  correlation of R_0 and loss (95 %)")
for name, fields in NETWORKS.items():
    for depth in DEPTHS[:1] if given.quick else DEPTHS:
        one = trained(depth, fields, size, steps)
        trainings.setdefault(name, []).append(one)
        low, high = one.quantiles("log10_ratio", [0.05, 0.95])[:, 0]
        p, link = one.probability("learned").estimate, one.rank_correlation()
        print(
            f"{name:15} {depth:5}  {low:6.2f} to {high:5.2f}    {p:6.2f}      "
            f"{link.estimate:5.2f} ({link.low:.2f} to {link.high:.2f})",
            flush=True,
        )
if given.figure:
    draw(trainings, given.figure)
