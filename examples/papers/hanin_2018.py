"""Hanin 2018: the sum β of the reciprocal widths decides how far gradients of ReLU vary."""

import numpy as np
from comparison import (
    Figure,
    Floats,
    Numbers,
    Paper,
    function,
    legend,
    log_square,
    main,
    number,
    panels,
)

import vgsim
from vgsim import plotting, theory

PAPER = Paper(
    key="hanin_2018",
    title="Which neural net architectures give rise to exploding and vanishing gradients?",
    reference="B. Hanin, NeurIPS 2018",
    setting="ReLU networks with He's weights, X = ‖G_0‖²/‖G_D‖². β is the sum of 1/n_l over the "
    "layers with an activation, here all. The fourth moment of the paper is that of an entry of "
    "the Jacobian; here it is E X² of the whole gradient.",
    remark="β alone decides E X² to leading order in 1/n: ln E X² = Σ ln(1 + 5/n_l) here. At an "
    "equal number of units, equal widths have the least β.",
    caption="Median and quantiles (5 to 95 %) of R against depth, for widths 30 and, at the same "
    "number of units, 10 and 50 in turn.",
)
ARCHITECTURES = {  # n_0 … n_D
    "20 × 2": [20, 20, 20],
    "40 × 4": [40] * 5,
    "80 × 8": [80] * 9,
}


def simulated(widths: list[int], size: int) -> vgsim.Samples:
    """Return samples of a ReLU network with these widths."""
    net = vgsim.MLP(len(widths) - 1, widths, activation="relu", init="he_normal")
    return vgsim.simulate(net, size, layers=[0])


def squares(samples: vgsim.Samples) -> Floats:
    """Return X, 0 in dead networks."""
    return 100 ** samples.log10_ratio[:, 0]


def numbers(quick: bool) -> Numbers:
    size = 20_000 if quick else 2_000_000
    moments = {}
    for name, widths in ARCHITECTURES.items():
        x = squares(simulated(widths, size))
        moments[name] = x**2
        exact = theory.relu_law(widths).moment(1)
        what = f"widths {name}: E X"
        where = "mean of a squared entry: equal at every depth"
        yield number(what, where, 1, function(float, x), exact=exact)
    second = {name: theory.relu_law(widths).moment(2) for name, widths in ARCHITECTURES.items()}
    for name in list(ARCHITECTURES)[1:]:
        found = function(lambda a, b: np.log(a) / np.log(b), moments[name], moments["20 × 2"])
        what = f"β = 0.1: ln E X² of {name} over that of 20 × 2"
        ratio = np.log(second[name]) / np.log(second["20 × 2"])
        yield number(what, "abstract: β decides", 1, found, accuracy=2.5 / 20, exact=ratio)
    x = squares(simulated([40] * 9, size))
    found = function(lambda a, b: np.log(a) / np.log(b), x**2, moments["40 × 4"])
    what = "width 40: ln E X² at β = 0.2 over that at β = 0.1"
    yield number(what, "abstract: exponential in β", 2, found, exact=2.0)
    spreads, betas, laws = [], [], []
    for pair in ((20, 100), (60, 60)):
        widths = [pair[l % 2] for l in range(21)]
        spreads.append(log_square(simulated(widths, size // 20)))
        betas.append(sum(1 / n for n in widths[1:]))
        laws.append(theory.relu_law(widths).variance)
    found = function(lambda a, b: a / b, *(centred(x) for x in spreads))
    what = "20 layers: variance of ln X, widths 20 and 100 in turn over widths 60"
    exact = laws[0] / laws[1]
    ratio = betas[0] / betas[1]
    yield number(what, "ratio of β, to leading order", ratio, found, exact=exact, relation="~")


def centred(x: Floats) -> Floats:
    """Return the squared deviations from the mean."""
    deviations: Floats = x - x.mean()
    return deviations**2


def picture(quick: bool) -> Figure:
    figure, ax = panels()
    depths = [2, 10, 20, 30, 40, 50]
    for label, pair in (("30", (30, 30)), ("10, 50", (10, 50))):
        columns = [
            simulated([pair[l % 2] for l in range(d + 1)], 4000).log10_ratio[:, 0] for d in depths
        ]
        name = f"widths {label}"
        plotting.quantiles(depths, columns, levels=(0.05, 0.5, 0.95), label=name, ax=ax)
    ax.set(xlabel="depth", ylim=(-6.5, 0.6))
    legend(ax, loc="lower left")
    return figure


if __name__ == "__main__":
    main(PAPER, numbers, picture)
