"""Deep belief networks: what layerwise pre-training does to the gradient and to learning.

Stacks of sigmoid layers with a linear read-out learn images of handwritten digits, from weights
drawn by Glorot's law and from restricted Boltzmann machines trained layer by layer without classes.
R_l = log10(‖G_l‖/‖G_D‖) is the gradient norm at hidden layer l relative to that at the read-out, in
decades. A network has learned when its smoothed loss fell below half the entropy of the classes.

With momentum, drawn weights learn in 2 hidden layers and not in 4, where the gradient loses 2.5
decades. Pre-trained weights lose 1.3 decades in 4 layers, and learn in 4, in most networks of 6, in
few of 8 and hardly any of 10: the data of the upper machines vary less and less from row to row
(`Pretraining.data_std`), and in many stacks the last machines have nothing left to learn.

Needs scikit-learn, JAX, optax and matplotlib: pip install 'vgsim[train,plot]'
"""

import argparse
from collections.abc import Callable, Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from joblib import Parallel, delayed
from sklearn.datasets import load_digits

import vgsim

WIDTH, CLASSES = 48, 10
START = {"drawn": "drawn weights", "pretrained": "pre-trained weights"}

Initial = Callable[[int], Mapping[str, Any]]
Trained = dict[tuple[str, int], vgsim.Training]


def network(depth: int) -> vgsim.Sequential:
    """Return a stack of sigmoid layers with a linear read-out."""
    hidden = [vgsim.Linear(WIDTH, init="glorot_normal"), "sigmoid"] * depth
    return vgsim.Sequential(64, [*hidden, vgsim.Linear(CLASSES)])


def pretrained(stacks: list[vgsim.Pretraining], net: vgsim.Sequential) -> Initial:
    """Return the function of the initial parameters of each network; its read-out is drawn."""

    def initial(index: int) -> Mapping[str, Any]:
        return stacks[index].for_network(net)

    return initial


def trained(
    depths: tuple[int, ...], X: Any, y: Any, stacks: list[vgsim.Pretraining], steps: int
) -> Trained:
    """Train the networks of all depths from both kinds of weights."""
    found: Trained = {}
    for depth in depths:
        net = network(depth)
        for start in START:
            found[start, depth] = vgsim.train(
                net,
                len(stacks),
                data=(X, y),
                steps=steps,
                optimizer="momentum",
                learning_rate=0.1,
                initial=None if start == "drawn" else pretrained(stacks, net),
                record=("loss", "accuracy", "gradient"),
                layers=range(0, 2 * depth + 1, 2),
            )
    return found


def print_table(depths: tuple[int, ...], found: Trained) -> None:
    """Print the gradient at initialisation, P(learned) and the accuracy at the end, by depth."""
    print(f"{'hidden layers':16}" + "".join(f"{depth:>20}" for depth in depths))
    for start, name in START.items():
        print(f"\n{name}")
        rows: dict[str, list[str]] = {"median R_0": [], "P(learned)": [], "accuracy": []}
        for depth in depths:
            training = found[start, depth]
            p = training.probability("learned")
            R_0 = training.quantiles("log10_ratio", [0.5], layer=0)[0, 0]
            accuracy = training.accuracy[:, -5:].mean()
            rows["median R_0"].append(f"{R_0:.2f}")
            rows["P(learned)"].append(f"{p.estimate:.2f} [{p.low:.2f}, {p.high:.2f}]")
            rows["accuracy"].append(f"{accuracy:.2f}")
        for label, cells in rows.items():
            print(f"  {label:14}" + "".join(f"{cell:>20}" for cell in cells))


def draw(depths: tuple[int, ...], found: Trained, path: str) -> None:
    """Draw the gradient of the deepest networks at initialisation, and P(learned)."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
    deepest = depths[-1]
    for start, name in START.items():
        ratios = found[start, deepest].log10_ratio[:, 0]
        vgsim.plotting.quantiles(
            range(deepest + 1), ratios, label=name, xlabel="hidden layer", ax=left
        )
        p = [found[start, depth].probability("learned") for depth in depths]
        values, low, high = np.array([(one.estimate, one.low, one.high) for one in p]).T
        estimate = vgsim.Estimate(values, low, high, p[0].confidence_level, p[0].method)
        vgsim.plotting.probability(
            depths, estimate, label=name, xlabel="hidden layers", ylabel="P(learned)", ax=right
        )
    left.set_title(f"gradient at initialisation, {deepest} hidden layers")
    figure.savefig(path, dpi=150)
    plt.close(figure)


def main() -> None:
    """Pre-train, train, print the table and draw the figure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="in seconds")
    quick = parser.parse_args().quick
    depths: tuple[int, ...] = (2, 4) if quick else (2, 4, 6, 8, 10)
    networks, passes, steps, jobs = (3, 1, 20, 1) if quick else (50, 50, 1500, -1)
    X, y = load_digits(return_X_y=True)
    X = X / 16  # values from 0 to 1
    widths = [64] + [WIDTH] * depths[-1]
    stacks: Any = Parallel(n_jobs=jobs)(
        delayed(vgsim.pretrain_rbm)(widths, X, n_iter=passes, seed=seed) for seed in range(networks)
    )
    found = trained(depths, X, y, stacks, steps)
    print(f"{networks} networks of width {WIDTH}, {steps} steps")
    print_table(depths, found)
    draw(depths, found, "deep_belief.png")


if __name__ == "__main__":
    main()
