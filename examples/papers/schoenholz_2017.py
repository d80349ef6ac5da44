"""Schoenholz et al. 2017: phases, depth scales and the critical line of tanh networks."""

import math

import numpy as np
from comparison import (
    DECADE,
    Figure,
    Floats,
    Interval,
    Numbers,
    Paper,
    function,
    main,
    mean,
    number,
    panels,
)

import vgsim
from vgsim import plotting, theory

BIAS = math.sqrt(0.05)
WIDTH = 4000
PAPER = Paper(
    key="schoenholz_2017",
    title="Deep information propagation",
    reference="S. S. Schoenholz, J. Gilmer, S. Ganguli and J. Sohl-Dickstein, ICLR 2017",
    setting="tanh networks of width 4000, weights of variance σ_w²/n, biases of variance 0.05. "
    "The paper's numbers are its formulas, computed by quadrature (`vgsim.theory.mean_field`). "
    "Their accuracy is that of infinite width: the rate per layer is uncertain by 3/n, "
    "c* by 10/n.",
    remark="The paper trains networks and finds that trainable depths end at about 6 ξ_c: see the "
    "next section. After 6 ξ_c layers of the ordered phase, where ξ_∇ = ξ_c, the gradient norm "
    "has fallen by e^−3, that is by 1.3 decades.",
    caption="R per layer, in decades, measured in networks of 30 layers of 200 units, and the "
    "critical line χ₁ = 1, on which it is 0 in wide networks.",
)


def network(depth: int, variance: float, bias: float = BIAS, width: int = WIDTH) -> vgsim.MLP:
    """Return a tanh network with weights of variance `variance`/width."""
    gain = math.sqrt(variance)
    return vgsim.MLP(depth, width, init="lecun_normal", gain=gain, bias_std=bias)


def gradient_scale(variance: float, field: theory.MeanField, size: int) -> Interval:
    """Return the depth scale of ‖G‖² and its interval."""
    depth = 10 + round(2 * field.xi_grad)
    samples = vgsim.simulate(network(depth, variance), size, layers=[0, 10])
    return function(lambda fall: (depth - 10) / abs(fall), growth(samples))


def growth(samples: vgsim.Samples) -> Floats:
    """Return ln(‖G_10‖²/‖G_D‖²): the layers 1 to 10, where q is not yet q*, are left out."""
    return DECADE * (samples.gradient[:, 1] - samples.output_gradient)


def numbers(quick: bool) -> Numbers:
    size = 100 if quick else 1000
    for variance in (1.0, 1.5, 2.0, 2.5):
        field = theory.mean_field(network(1, variance))
        slack = field.xi_grad**2 * 3 / WIDTH
        found = gradient_scale(variance, field, size)
        what = f"σ_w² = {variance:g} ({field.phase}): depth scale ξ_∇ of the gradient"
        yield number(what, "ξ_∇ = 1/|ln χ₁|", field.xi_grad, found, accuracy=slack)
    yield from correlations(size)
    variance = 1.5
    field = theory.mean_field(network(1, variance))
    depth = round(6 * field.xi_c)
    samples = vgsim.simulate(network(10 + depth, variance), size, layers=[0, 10])
    found = mean(growth(samples) / DECADE)
    what = f"σ_w² = 1.5: R after 6 ξ_c = {depth} layers, in decades"
    fallen, slack = -depth / field.xi_grad / DECADE, depth * 3 / WIDTH / DECADE
    yield number(what, "6 ξ_c", fallen, found, accuracy=slack)


def correlations(size: int) -> Numbers:
    """Yield c* and ξ_c: two inputs become equal, or keep the correlation c*."""
    for variance, first, last in ((1.0, 12, 24), (1.5, 60, 100)):
        field = theory.mean_field(network(1, variance))
        samples = vgsim.simulate(
            network(last, variance),
            size,
            batch_size=2,
            layers=[first, last],
            dtype="float64",
            record=["activation_correlation"],
        )
        away = 1 - samples.activation_correlation
        found = function(lambda a, layers=last - first: layers / math.log(a[0] / a[1]), away)
        what = f"σ_w² = {variance:g} (ordered): depth scale ξ_c of the correlation"
        slack = field.xi_c**2 * 3 / WIDTH
        yield number(what, "ξ_c at c*", field.xi_c, found, accuracy=slack)
    for variance in (2.0, 2.5):
        field = theory.mean_field(network(1, variance))
        samples = vgsim.simulate(
            network(150, variance),
            size // 5,
            batch_size=2,
            layers=[150],
            record=["activation_correlation"],
        )
        found = mean(samples.activation_correlation[:, 0])
        what = f"σ_w² = {variance:g} (chaotic): c*, correlation of two deep inputs"
        q = field.q_star  # c is of pre-activations: q c = σ_w² E φ(u)φ(v) + σ_b²
        c, low, high = (((q - BIAS**2) * f + BIAS**2) / q for f in found)
        yield number(what, "fixed point c*", field.c_star, (c, low, high), accuracy=10 / WIDTH)


def picture(quick: bool) -> Figure:
    figure, ax = panels()
    gains, biases = (
        np.linspace(0.6, 2.6, 6 if quick else 21),
        np.linspace(0.0, 1.0, 4 if quick else 13),
    )
    depth, rates = 30, np.empty((biases.size, gains.size))
    for i, bias in enumerate(biases):
        for j, gain in enumerate(gains):
            net = network(depth, gain**2, bias, 200)
            rates[i, j] = vgsim.simulate(net, 20, layers=[0]).mean() / depth
    line = theory.critical_line("tanh", np.linspace(0, 1, 25))
    plotting.heatmap(
        gains,
        biases,
        rates,
        line=(line.gain, line.bias_std),
        label="R per layer",
        xlabel=r"$\sigma_w$",
        ylabel=r"$\sigma_b$",
        ax=ax,
    )
    return figure


if __name__ == "__main__":
    main(PAPER, numbers, picture)
