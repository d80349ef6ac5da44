"""Glorot and Bengio 2010: standard and normalized initialisation of tanh networks."""

import math

import numpy as np
from comparison import Figure, Floats, Numbers, Paper, function, main, mean, number, panels

import vgsim
from vgsim import plotting
from vgsim.typing import InitializerName

WIDTH, DEPTH = 1000, 5
INITS: dict[str, vgsim.Initializer | InitializerName] = {
    "standard": vgsim.Initializer("uniform", limit=WIDTH**-0.5),
    "normalized": "glorot_uniform",
}
MEAN = {"standard": 8 / (3 * math.pi * math.sqrt(3)), "normalized": 8 / (3 * math.pi)}
PAPER = Paper(
    key="glorot_bengio_2010",
    title="Understanding the difficulty of training deep feedforward neural networks",
    reference="X. Glorot and Y. Bengio, AISTATS 2010",
    setting="Five tanh layers of 1000 units, as in the paper, without biases. Inputs are normal "
    "numbers of standard deviation 1, or 0.01, where no unit saturates.",
    remark="An n × n matrix of independent entries of variance 1/n has the mean singular value "
    "8/(3π) = 0.849, one of variance 1/(3n) 8/(3π√3) = 0.490: close to the 0.8 and 0.5 of the "
    "paper, whose inputs were images. With normal inputs of standard deviation 1 the units of the "
    "first layers have smaller slopes, and the normalized mean is lower.",
    caption="Entries of the back-propagated gradients G_l, in units of the standard deviation at "
    "the output: they shrink from layer to layer with the standard initialisation, and "
    "much less with the normalized one.",
)


def network(init: str) -> vgsim.MLP:
    """Return the network of the paper, without its read-out."""
    return vgsim.MLP(DEPTH, WIDTH, init=INITS[init])


def inputs(std: float) -> Floats:
    """Return normal inputs of a standard deviation, as rows."""
    return std * np.random.default_rng(0).standard_normal((200, WIDTH))


def singular_values(init: str, index: int, std: float) -> float:
    """Return the mean singular value of the Jacobians of layers 2 to DEPTH of one network."""
    sample = vgsim.replay(network(init), 0, index, engine="dense", inputs=inputs(std))
    x, found = sample.inputs, []
    for l, weights in enumerate(sample.weights):
        x = np.tanh(weights @ x)
        if l:
            jacobian = (1 - x**2) * weights
            found.append(np.linalg.svd(jacobian, compute_uv=False).mean())
    return float(np.mean(found))


def numbers(quick: bool) -> Numbers:
    networks, size = (2, 200) if quick else (4, 1000)
    for init, paper in (("normalized", 0.8), ("standard", 0.5)):
        for std in (0.01, 1.0):
            found = mean([singular_values(init, i, std) for i in range(networks)])
            what = f"{init}: mean singular value of a layer's Jacobian, inputs of std {std:g}"
            exact = MEAN[init] if std < 1 else None
            relation = "=" if std < 1 else "~"  # the inputs of the paper are images
            yield number(
                what,
                "section 4.2.2",
                paper,
                found,
                accuracy=0.05,
                exact=exact,
                relation=relation,
            )
    for init, factor in (("normalized", 1.0), ("standard", 1 / 3)):
        samples = vgsim.simulate(
            network(init),
            size,
            inputs=inputs(0.01),
            engine="dense",
            layers=[0, 1, DEPTH],
            record=["gradient", "weight_gradient"],
        )
        squares = 100 ** samples.log10_ratio[:, 0]
        found = function(lambda m: m ** (1 / DEPTH), squares)
        what = f"{init}: factor of the variance of back-propagated gradients per layer"
        yield number(what, "equations (13), (15)", factor, found, accuracy=2e-3 * factor)
        if init == "standard":
            first, last = (100**samples.weight_gradient).T
            what = "standard: variance of the gradient of W_1 over that of W_5"
            yield number(what, "equation (14)", 1, function(np.divide, first, last), accuracy=2e-3)


def picture(quick: bool) -> Figure:
    figure, axes = panels(2)
    for ax, init in zip(axes, INITS, strict=True):
        sample = vgsim.replay(network(init), 0, engine="dense", batch_size=20, inputs=inputs(1.0))
        gradients = sample.gradients([1, 3, 5])
        for l, g in zip((1, 3, 5), gradients, strict=True):
            values = g / np.std(gradients[-1])
            plotting.histogram(values, bins=80, label=f"layer {l}", xlabel="entry of $G_l$", ax=ax)
        ax.set(title=init, xlim=(-3, 3))
    return figure


if __name__ == "__main__":
    main(PAPER, numbers, picture)
