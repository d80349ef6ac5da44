"""Yang et al. 2019: batch normalisation makes gradients explode."""

import math

import numpy as np
from comparison import DECADE, Figure, Interval, Numbers, Paper, function, main, number, panels

import vgsim
from vgsim import plotting, theory
from vgsim.typing import ActivationName, NormKind

WIDTH, FIRST, DEPTH = 512, 2, 10
PAPER = Paper(
    key="yang_2019",
    title="A mean field theory of batch normalization",
    reference="G. Yang, J. Pennington, V. Rao, J. Sohl-Dickstein and S. S. Schoenholz, ICLR 2019",
    setting=f"Networks of width {WIDTH} with batch normalisation of the pre-activations, ε = 1e-5, "
    "B examples. The factor of E ‖G‖² per layer is measured between layers "
    f"{DEPTH} and {FIRST} of {DEPTH + 1}. The accuracy of infinite width is taken as 1 %.",
    remark="With batch normalisation every factor measured is above 1, and so gradients explode "
    "with depth at initialisation, least in linear networks. Layer normalisation of ReLU has the "
    "factor 1.",
    caption="Quantiles (5 to 95 %) of R of ReLU networks of width 128 against depth; dashed: the "
    "rate of the paper, from the second layer on.",
)


def network(
    activation: ActivationName, norm: NormKind = "batch", depth: int = DEPTH + 1, width: int = WIDTH
) -> vgsim.MLP:
    """Return a normalised network."""
    return vgsim.MLP(depth, width, activation=activation, init="lecun_normal", norm=norm)


def factor(net: vgsim.MLP, batch: int, size: int) -> Interval:
    """Return the factor of E ‖G‖² per layer, and its interval."""
    samples = vgsim.simulate(net, size, batch_size=batch, layers=[FIRST, DEPTH])
    low, high = (100 ** (samples.gradient - samples.output_gradient[:, None])).T
    return function(lambda a, b: (a / b) ** (1 / (DEPTH - FIRST)), low, high)


def numbers(quick: bool) -> Numbers:
    size = 100 if quick else 1000
    large = math.pi / (math.pi - 1)
    for batch in (8, 32):
        found = factor(network("linear"), batch, size)
        exact = (batch - 2) / (batch - 3)
        what = f"linear, B = {batch}: factor of E ‖G‖² per layer"
        yield number(what, "(B − 2)/(B − 3)", exact, found, accuracy=0.01)
        found = factor(network("relu"), batch, size)
        rate = theory.normalisation_rate("batch", "relu", batch)
        what = f"ReLU, B = {batch}: factor of E ‖G‖² per layer"
        yield number(what, "gradient eigenvalue of ReLU", rate, found, accuracy=0.01 * rate)
    what = "ReLU, B = 32: factor against the limit of large batches, π/(π − 1)"
    yield number(what, "B → ∞", large, found, relation="~")
    found = factor(network("tanh"), 32, size)
    what = "tanh, B = 32: factor of E ‖G‖² per layer"
    yield number(what, "above 1 for every activation", 1, found, relation=">")
    found = factor(network("relu", norm="layer"), 1, 10 * size)
    what = "ReLU, layer normalisation: factor of E ‖G‖² per layer"
    exact = theory.normalisation_rate("layer", "relu")
    yield number(what, "not of the paper", exact, found, accuracy=0.01, relation="~")


def picture(quick: bool) -> Figure:
    figure, ax = panels()
    depths = np.array([1, 10, 20, 30, 40, 50])
    norms: list[tuple[NormKind, int]] = [("batch", 8), ("batch", 32), ("layer", 1)]
    for norm, batch in norms:
        rate = theory.normalisation_rate(norm, "relu", *([batch] if norm == "batch" else []))
        columns = [
            vgsim.simulate(
                network("relu", norm, d, 128), 30 if quick else 300, batch_size=batch, layers=[0]
            ).log10_ratio[:, 0]
            for d in depths
        ]
        plotting.quantiles(
            depths,
            columns,
            levels=(0.05, 0.5, 0.95),
            theory_mean=(depths - 1) * math.log(rate) / DECADE,
            label=f"batch norm, B = {batch}" if norm == "batch" else "layer norm",
            xlabel="depth",
            ax=ax,
        )
    return figure


if __name__ == "__main__":
    main(PAPER, numbers, picture)
