"""Lu et al. 2019: the probability that a ReLU network is born dead."""

import numpy as np
from comparison import Figure, Numbers, Paper, along, legend, main, number, panels, probability

import vgsim
from vgsim import plotting

PAPER = Paper(
    key="lu_2019",
    title="Dying ReLU and initialization: theory and numerical examples",
    reference="L. Lu, Y. Shin, Y. Su and G. E. Karniadakis, arXiv:1903.06733, 2019",
    setting="ReLU networks without biases of one input and N units per layer, L layers of weights: "
    "L − 1 layers of ReLU and a linear read-out. A network is born dead if its function is "
    "constant, that is if it is 0 at x = 1 and at x = −1.",
    remark="Both signs of x are counted: a network that is dead at x = 1 only is not born dead. "
    "The probability that it is dead at one sign is exactly 1 − (1 − 2^−N)^(L−1), the paper's "
    "upper bound. The lower bound is that of the paper for one input unit; it is close at N = 2, "
    "and about half of the probability at N = 5.",
    caption="Probability that a ReLU network is born dead against L, with 95 % intervals; dashed: "
    "the upper bound.",
)


def simulated(
    n: int, layers: int, size: int, signs: tuple[float, ...] = (1.0, -1.0)
) -> vgsim.Samples:
    """Return samples of the ReLU layers, with the inputs `signs` as one batch."""
    net = vgsim.MLP(layers - 1, [1] + [n] * (layers - 1), activation="relu", init="he_normal")
    inputs = np.array(signs)[:, np.newaxis]
    return vgsim.simulate(net, size, batch_size=len(signs), inputs=inputs, layers=[0])


def upper(n: int, layers: int) -> float:
    """Return the probability that the network is dead at one input."""
    return 1 - (1 - 2.0**-n) ** (layers - 1)


def lower(n: int, layers: int) -> float:
    """Return the lower bound of the paper."""
    p = 2.0**-n
    a, b = 1 - p, 1 - 2 * p - (n - 1) * p * p
    share = (1 - 2 * p) * (1 - p) / (1 + (n - 1) * p)
    return 1 - a ** (layers - 2) + share * (b ** (layers - 2) - a ** (layers - 2))


def numbers(quick: bool) -> Numbers:
    size = 4000 if quick else 200_000
    for n in (2, 3, 5):
        for layers in (10, 20):
            found = probability(simulated(n, layers, size), "dead")
            name = f"N = {n}, L = {layers}: P(born dead)"
            yield number(name, "upper bound, d_in = 1", upper(n, layers), found, relation="<")
            yield number(name, "lower bound, d_in = 1", lower(n, layers), found, relation=">")
    for n in (2, 3, 5):
        found = probability(simulated(n, 10, size, (1.0,)), "dead")
        exact = upper(n, 10)
        what = f"N = {n}, L = 10: P(dead at x = 1)"
        yield number(what, "1 − (1 − 2^−N)^(L−1)", exact, found, exact=exact)


def picture(quick: bool) -> Figure:
    figure, ax = panels()
    depths = [2, 5, 10, 20, 30, 50, 70, 100]
    for n in (2, 3, 5):
        p = [simulated(n, d, 300 if quick else 4000).probability("dead") for d in depths]
        estimate = along([(q.estimate, q.low, q.high) for q in p], "wilson", 0.95)
        bound = np.array([upper(n, d) for d in depths])
        drawn = plotting.probability(depths, estimate, label=f"N = {n}", xlabel="L", ax=ax)
        ax.plot(depths, bound, "--", color=drawn[0].get_color())
    legend(ax)
    return figure


if __name__ == "__main__":
    main(PAPER, numbers, picture)
