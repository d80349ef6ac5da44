"""Yang et al. 2022: activations in training against width, in the standard way and in μP."""

import functools
import math
from typing import Any

import numpy as np
from comparison import LEVEL, Figure, Floats, Interval, Numbers, Paper, legend, main, number, panels
from scipy import stats

import vgsim

WIDTHS = (64, 128, 256, 512, 1024)
RATE, SMALL, NETWORKS = 0.01, 0.1, 12
PLACES = {2: "layer 1", 4: "layer 2", 6: "layer 3", 7: "logits"}
PAPER = Paper(
    key="yang_2022",
    title="Tensor programs V: tuning large neural networks via zero-shot hyperparameter transfer",
    reference="G. Yang, E. J. Hu, I. Babuschkin, S. Sidor, X. Liu, D. Farhi, N. Ryder, "
    "J. Pachocki, W. Chen and J. Gao, arXiv:2203.03466, 2022",
    setting="ReLU networks of three hidden layers of width n = 64 to 1024 and a linear read-out, "
    "on the digits of scikit-learn, minibatches of 32; 12 networks of each width. The coordinate "
    "check: root mean square (RMS) of the activations after one step of Adam. Standard: He's law, "
    "the read-out's weights of variance 0.01/n, the learning rate 0.01 for all parameters. μP, by "
    "the paper's rules for Adam: the read-out's weights have variance 0.01 · 64/n², and the "
    "learning rate of all matrices but the first is 0.01 · 64/n, so that both agree at "
    "n = 64. A slope is that of log RMS against log n; its accuracy where the paper has Θ(1) is "
    "that of a change by 1/√64.",
    remark="In the standard way one step makes the logits at n = 1024 about 80 times as large as "
    "at n = 64, and the more so the deeper a layer lies. In μP all stay as they are. The check is "
    "of the first step: the next steps of the standard networks undo a part of it.",
    caption="RMS of the activations after one step of Adam against width, mean of 12 networks: "
    "standard (solid) and μP (dashed).",
)


def network(width: int, mup: bool) -> vgsim.Sequential:
    """Return the network, whose read-out is smaller in μP."""
    gain = SMALL * math.sqrt(WIDTHS[0] / width) if mup else SMALL
    hidden = [vgsim.Linear(width, init="he_normal"), "relu"] * 3
    return vgsim.Sequential(64, [*hidden, vgsim.Linear(10, gain=gain)])


def optimizer(width: int, mup: bool) -> Any:
    """Return Adam; in μP with a learning rate for the matrices that have n columns."""
    import optax

    def kinds(parameters: dict[str, object]) -> dict[str, str]:
        return {
            name: "wide" if name.endswith("weight") and name != "0.weight" else "other"
            for name in parameters
        }

    rate = RATE * WIDTHS[0] / width if mup else RATE
    parts: dict[Any, Any] = {"wide": optax.adam(rate), "other": optax.adam(RATE)}
    return optax.multi_transform(parts, kinds)


@functools.cache
def activations(mup: bool, quick: bool) -> Floats:
    """Return log10 of the RMS of activations after one step, (widths, networks, places)."""
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    data = ((X - X.mean()) / X.std(), y)
    found = [
        vgsim.train(
            network(width, mup),
            NETWORKS,
            data=data,
            steps=2,
            optimizer=optimizer(width, mup),
            record=["activation"],
            layers=list(PLACES),
        ).activation[:, 1]
        for width in (WIDTHS[:3] if quick else WIDTHS)
    ]
    return np.stack(found)


def slope(logs: Floats) -> Interval:
    """Return the slope against log10 of the width and its interval, by least squares."""
    widths = np.repeat(np.log10(WIDTHS[: len(logs)]), logs.shape[1])
    line: Any = stats.linregress(widths, logs.ravel())
    half = float(stats.t.ppf((1 + LEVEL) / 2, widths.size - 2)) * line.stderr
    return line.slope, line.slope - half, line.slope + half


def numbers(quick: bool) -> Numbers:
    for mup in (False, True):
        found = activations(mup, quick)
        kind = "μP" if mup else "standard"
        for column, place in enumerate(PLACES.values()):
            name = f"{kind}: slope of {place}"
            grows = not mup and place != "layer 1"
            yield number(
                name,
                "grows with n" if grows else "stays Θ(1)",
                0,
                slope(found[:, :, column]),
                relation=">" if grows else "=",
                accuracy=0 if grows else 0.05,
            )


def picture(quick: bool) -> Figure:
    figure, ax = panels()
    for mup, style in ((False, "-"), (True, "--")):
        found = activations(mup, quick)
        for column, place in enumerate(PLACES.values()):
            level = 10 ** found[:, :, column].mean(axis=1)
            label = None if mup else place
            ax.loglog(WIDTHS[: len(level)], level, f"o{style}", color=f"C{column}", label=label)
    ax.set_xticks(WIDTHS, map(str, WIDTHS))
    ax.minorticks_off()
    ax.set_xlabel("width n")
    ax.set_ylabel("RMS of the activations")
    legend(ax)
    return figure


if __name__ == "__main__":
    main(PAPER, numbers, picture)
