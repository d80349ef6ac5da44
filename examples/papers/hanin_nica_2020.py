"""Hanin and Nica 2020: the log-normal law of the gradient of deep and wide ReLU networks."""

import numpy as np
from comparison import Paper, log_square, main, mean, number, panels, probability, variance
from scipy import stats

import vgsim
from vgsim import plotting, theory

PAPER = Paper(
    key="hanin_nica_2020",
    title="Products of many large random matrices and gradients in deep neural networks",
    reference="B. Hanin and M. Nica, Communications in Mathematical Physics 376, 2020",
    setting="ReLU networks with He's normal weights and equal widths n, D layers. The paper's law "
    "of ln(‖G_0‖²/‖G_D‖²) is normal with mean −β/2 and variance β, β = 5 D/n, as n and D grow. "
    "Exact values are those of the product of D independent factors.",
    remark="Mean and variance agree with the limit to a few per cent at width 100. The tails are "
    "not log-normal: at width 32 and depth 100 the limit understates the loss of five decades, "
    "and the error grows with the distance from the median.",
    caption="Density of R = log10(‖G_0‖/‖G_D‖), width 32 and depth 100: samples, exact law "
    "and the normal law of R with their mean and variance.",
)


def network(n, depth):
    """Return a ReLU network with He's weights."""
    return vgsim.MLP(depth, n, activation="relu", init="he_normal")


def numbers(quick):
    size = 20_000 if quick else 400_000
    for n, depth, tails in ((32, 100, (1, 3, 5)), (100, 100, (1,)), (100, 1000, (3, 5, 8))):
        samples = vgsim.simulate(network(n, depth), size // (depth // 100), layers=[0])
        x, beta, law = log_square(samples), 5 * depth / n, theory.relu_law(n, depth)
        name = f"n = {n}, D = {depth}"
        yield number(f"{name}: mean of ln X", "theorem 1", -beta / 2, mean(x), exact=law.mean)
        found, exact = variance(x), law.variance
        yield number(f"{name}: variance of ln X", "theorem 1", beta, found, exact=exact)
        for k in tails:
            event = probability(samples, "vanishing", 10.0**-k)
            limit = stats.norm.cdf((-k * 2 * np.log(10) + beta / 2) / np.sqrt(beta))
            what = f"{name}: P(R < −{k})"
            exact = law.cdf_log10(-k)
            yield number(what, "theorem 1, log-normal", limit, event, exact=exact)


def picture(quick):
    figure, ax = panels()
    samples = vgsim.simulate(network(32, 100), 4000 if quick else 100_000, layers=[0])
    law, fit = theory.relu_law(32, 100), samples.lognormal_fit()
    plotting.histogram(samples.log10_ratio[:, 0], law=law, fit=fit, xlabel="R", ax=ax)
    ax.legend()
    return figure


if __name__ == "__main__":
    main(PAPER, numbers, picture)
