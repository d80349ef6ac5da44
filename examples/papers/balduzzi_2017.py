"""Balduzzi et al. 2017: shattered gradients, the correlation between gradients at two inputs."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from comparison import Figure, Floats, Numbers, Paper, along, main, mean, number, panels

import vgsim
from vgsim import plotting

WIDTH, INPUTS = 256, 8
PAPER = Paper(
    key="balduzzi_2017",
    title="The shattered gradients problem: if resnets are the answer, then what is the question?",
    reference="D. Balduzzi, M. Frean, L. Leary, J. P. Lewis, K. W.-D. Ma and B. McWilliams, "
    "ICML 2017",
    setting=f"ReLU networks of width {WIDTH} with He's weights, without biases; the cosine between "
    "the gradients of one random output at two independent normal inputs, by network the mean over "
    f"the pairs of {INPUTS} inputs. Residual layers are x + W ReLU(x), normalised ones "
    "x + W ReLU(x/rms x), in place of batch normalisation. Theory is of infinite width.",
    remark="The paper's formulas are of units that are active independently at two inputs in "
    "every layer. They are not: the activations of the two inputs align from layer to layer, and "
    "with them the active units, so that the correlation falls as D^−3 in wide networks, not as "
    "2^−D, and more slowly than (3/4)^L in residual networks. At 20 feedforward layers the finite "
    "width matters: layers of 256 units keep about twice the correlation of infinite ones. What "
    "remains is the order: plain networks shatter most, normalised residual networks least.",
    caption="Cosine between the gradients at two inputs against depth, with 99 % intervals; "
    "dotted: the formulas of the paper.",
)
# of each network: its fields, and the paper's correlation at a depth
STYLES: dict[str, tuple[dict[str, Any], Callable[[int], float]]] = {
    "feedforward": ({}, lambda depth: 0.5**depth),
    "residual": ({"residual": vgsim.Residual(1, style="pre")}, lambda depth: 0.75**depth),
    "residual, normalised": (
        {"residual": vgsim.Residual(1, style="pre"), "norm": "rms"},
        lambda depth: 1 / math.sqrt(depth),
    ),
}

FORMULAS = {  # as the paper states it, and whether as a value or as an order
    "feedforward": ("1/2^L", "="),
    "residual": ("(3/4)^L", "="),
    "residual, normalised": ("of the order 1/√L", "~"),
}


def cosines(style: str, depth: int, size: int) -> Floats:
    """Return the mean cosine of the gradients of one random output at two inputs, by network."""
    net = vgsim.MLP(depth, WIDTH, activation="relu", init="he_normal", **STYLES[style][0])
    rng = np.random.default_rng([2017, depth, list(STYLES).index(style)])
    std, found = math.sqrt(2 / WIDTH), []
    for _ in range(size):
        weights = [std * rng.standard_normal((WIDTH, WIDTH)) for _ in range(depth)]
        inputs = rng.standard_normal((WIDTH, INPUTS))
        output = np.repeat(rng.standard_normal((WIDTH, 1)), INPUTS, axis=1)
        result = vgsim.evaluate(net, weights, None, inputs, output, layers=[0])
        found.append(result.gradient_correlation[0])
    return np.array(found)


def wide(style: str, depth: int) -> float:
    """Return the cosine in the limit of infinite width, for inputs at a right angle."""
    c, square, product = 0.0, 1.0, 1.0
    for _ in range(depth):
        angle = math.acos(min(c, 1.0))
        gate, kernel = 1 - angle / math.pi, (math.sin(angle) + (math.pi - angle) * c) / math.pi
        if style == "feedforward":
            product, c = product * gate, kernel
            continue
        branch = 1 / square if "norm" in style else 1.0  # of the squared slope
        product *= (1 + branch * gate) / (1 + branch)
        c, square = (c + branch * kernel) / (1 + branch), square * (1 + branch)
    return product


def numbers(quick: bool) -> Numbers:
    size = 5 if quick else 300
    for style, (_, formula) in STYLES.items():
        for depth in (5, 10, 20):
            what = f"{style}, {depth} layers: cosine of the gradients"
            where, relation = FORMULAS[style]
            found, limit = mean(cosines(style, depth, size)), wide(style, depth)
            yield number(what, where, formula(depth), found, wide=limit, relation=relation)


def picture(quick: bool) -> Figure:
    figure, ax = panels()
    depths = np.array([1, 2, 4, 8, 16])
    for style, (_, formula) in STYLES.items():
        found = [mean(cosines(style, d, 3 if quick else 40)) for d in depths]
        estimate = along(found, "Student")
        drawn = plotting.curve(
            depths, estimate, label=style, xlabel="depth", ylabel="cosine of gradients", ax=ax
        )
        ax.plot(depths, [formula(d) for d in depths], ":", color=drawn[0].get_color())
    return figure


if __name__ == "__main__":
    main(PAPER, numbers, picture)
