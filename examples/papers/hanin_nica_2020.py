"""Hanin and Nica 2020: the log-normal law of the gradient of deep and wide ReLU networks."""

from typing import Any

import numpy as np
from comparison import (
    DECADE,
    Figure,
    Numbers,
    Paper,
    legend,
    log_square,
    main,
    mean,
    number,
    panels,
    probability,
    variance,
)
from numpy.typing import ArrayLike
from scipy import stats

import vgsim
from vgsim import plotting, theory

PAPER = Paper(
    key="hanin_nica_2020",
    title="Products of many large random matrices and gradients in deep neural networks",
    reference="B. Hanin and M. Nica, Communications in Mathematical Physics 376, 2020",
    setting="ReLU networks with He's normal weights and equal widths n, D layers. The paper's law "
    "of ln(‖G_0‖²/‖G_D‖²) is normal with mean −β/2 and variance β, β = 5 D/n, as n and D grow. "
    "The accuracy of this mean and variance is taken as 5/n, relatively: the next order. Exact "
    "values are those of the product of D independent factors.",
    remark="Mean and variance agree with the limit to a few per cent at width 100. The theorem is "
    "about the limit; at a given width and depth the tails are not log-normal: at width 32 and "
    "depth 100 the exact P(R < −5) is 5.6 times that of the limit, and the factor grows with the "
    "distance from the median.",
    caption="P(R ≤ r), R = log10(‖G_0‖/‖G_D‖), width 32 and depth 100: measured with 95 % "
    "intervals, the exact law, and the limit of the paper.",
)


class LogNormal:
    """The law of the paper: ln(‖G_0‖²/‖G_D‖²) is normal, with mean −β/2 and variance β."""

    def __init__(self, beta: float) -> None:
        self.law = stats.norm(-beta / 2, np.sqrt(beta))

    def cdf_log10(self, r: ArrayLike) -> Any:
        """Return P(R ≤ r)."""
        return self.law.cdf(DECADE * np.asarray(r))


def network(n: int, depth: int) -> vgsim.MLP:
    """Return a ReLU network with He's weights."""
    return vgsim.MLP(depth, n, activation="relu", init="he_normal")


def numbers(quick: bool) -> Numbers:
    size = 20_000 if quick else 400_000
    for n, depth, tails in ((32, 100, (1, 3, 5)), (100, 100, (1,)), (100, 1000, (3, 5, 8))):
        samples = vgsim.simulate(network(n, depth), size // (depth // 100), layers=[0])
        x, beta, law = log_square(samples), 5 * depth / n, theory.relu_law(n, depth)
        name = f"n = {n}, D = {depth}"
        limit, slack = -beta / 2, 5 / n * beta / 2
        what = f"{name}: mean of ln X"
        yield number(what, "limit law", limit, mean(x), accuracy=slack, exact=law.mean)
        found, exact = variance(x), law.variance
        what = f"{name}: variance of ln X"
        yield number(what, "limit law", beta, found, accuracy=2 * slack, exact=exact)
        for k in tails:
            event = probability(samples, "vanishing", 10.0**-k)
            limit = LogNormal(beta).cdf_log10(-k)
            what = f"{name}: P(R < −{k})"
            exact = law.cdf_log10(-k)
            yield number(what, "limit law", limit, event, exact=exact, relation="~")


def picture(quick: bool) -> Figure:
    figure, ax = panels()
    n, depth = 32, 100
    samples = vgsim.simulate(network(n, depth), 4000 if quick else 400_000, layers=[0])
    law = theory.relu_law(n, depth)
    plotting.survival(samples.log10_ratio[:, 0], law=law, label="measured", ax=ax)
    r, limit = np.linspace(-7.5, 1.5, 200), LogNormal(5 * depth / n)
    ax.plot(r, limit.cdf_log10(r), "k:", label="limit")
    ax.set(xlim=(-7.5, 1.5), ylim=(1e-6, 1.5))
    legend(ax)
    return figure


if __name__ == "__main__":
    main(PAPER, numbers, picture)
