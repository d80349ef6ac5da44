"""Lu et al. 2019: deep narrow ReLU networks that collapse to a constant when they are trained."""

import functools
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from comparison import (
    Figure,
    Floats,
    Numbers,
    Paper,
    legend,
    main,
    mean,
    number,
    panels,
    proportion,
)
from numpy.typing import NDArray

import vgsim

WIDTH, LAYERS, EDGE = 2, 10, math.sqrt(3)
NETWORK = vgsim.Sequential(
    1,
    [vgsim.Linear(WIDTH, init="he_normal"), "relu"] * (LAYERS - 1)
    + [vgsim.Linear(1, init="he_normal")],
)
POINTS = np.linspace(-EDGE, EDGE, 101)[:, np.newaxis]
PAPER = Paper(
    key="lu_2019_training",
    title="Dying ReLU and initialization: collapse in training",
    reference="L. Lu, Y. Shin, Y. Su and G. E. Karniadakis, arXiv:1903.06733, 2019, training",
    setting="1,000 ReLU networks of one input, width 2 and 10 layers of weights (He's law, biases "
    "from 0), which learn y = |x| at 3,001 equidistant points of [−√3, √3] by 3,000 steps of Adam "
    "with mean squared error, learning rate 0.001 and minibatches of 64. A network has collapsed "
    "if its function is constant after training, and is born dead if it is constant before.",
    remark="Each network that is born dead learns a constant, the mean of |x|: its gradient is 0 "
    "for all parameters but the bias of the read-out. About 5 % of the networks are alive at first "
    "and die in training. Of the others some learn |x|, and some follow it on one side of 0.",
    caption="Functions of 300 of the networks after training: those that have collapsed and the "
    "others; dashed: the target |x|.",
)


class Found(NamedTuple):
    """The functions of the same networks before and after training, (n, points)."""

    before: Floats
    after: Floats


def functions(parameters: Mapping[str, Any], *, biases: bool) -> Floats:
    """Return the outputs of all networks at POINTS."""
    import jax
    import jax.numpy as jnp

    net = NETWORK.to_jax(biases=biases)
    points = jnp.asarray(POINTS)
    outputs: Floats = np.asarray(jax.vmap(lambda own: net.apply(own, points))(dict(parameters)))
    return outputs[:, :, 0]


def constant(found: Floats) -> NDArray[np.bool_]:
    """Return which functions are constant."""
    flags: NDArray[np.bool_] = np.ptp(found, axis=1) == 0
    return flags


def drawn(index: int) -> Mapping[str, Any]:
    """Return the initial matrices of a network."""
    return vgsim.replay(NETWORK, 0, index).parameters


@functools.cache
def trained(quick: bool) -> Found:
    """Train the networks."""
    size, steps = (100, 300) if quick else (1000, 3000)
    x = np.linspace(-EDGE, EDGE, 3001)[:, np.newaxis]
    training = vgsim.train(
        NETWORK,
        size,
        data=(x, np.abs(x)),
        loss="mse",
        steps=steps,
        optimizer="adam",
        learning_rate=0.001,
        batch_size=64,
        initial=drawn,
        record=["parameters"],
    )
    initial = [drawn(index) for index in range(size)]
    before = {name: np.stack([one[name] for one in initial]) for name in initial[0]}
    return Found(functions(before, biases=False), functions(training.parameters, biases=True))


def numbers(quick: bool) -> Numbers:
    found = trained(quick)
    dead, collapsed = constant(found.before), constant(found.after)
    size = collapsed.size
    name = f"width {WIDTH}, {LAYERS} layers"
    share = proportion(int(collapsed.sum()), size)
    yield number(f"{name}: P(collapsed)", "|x|: more than 90 %", 0.9, share, relation=">")
    share = proportion(int(dead.sum()), size)
    bound = 1 - (1 - 2.0**-WIDTH) ** (LAYERS - 1)
    yield number("the same networks: P(born dead)", "upper bound", bound, share, relation="<")
    share = proportion(int((dead & collapsed).sum()), int(dead.sum()))
    what = "P(collapsed | born dead)"
    yield number(what, "a network born dead learns a constant", 1, share, accuracy=1e-12)
    found_more = mean(collapsed.astype(float) - dead)
    yield number(
        "P(collapsed) − P(born dead)", "0, if none dies later", 0, found_more, relation="~"
    )
    values = found.after[collapsed, 0]
    what, where = "mean of the constants", "mean of |x| (squared error), √3/2"
    yield number(what, where, EDGE / 2, mean(values), accuracy=5e-4)


def picture(quick: bool) -> Figure:
    after = trained(quick).after[:300]
    figure, ax = panels()
    x, collapsed = POINTS[:, 0], constant(after)
    for label, chosen, colour in (("collapsed", collapsed, "C0"), ("others", ~collapsed, "C1")):
        lines = ax.plot(x, after[chosen].T, color=colour, alpha=0.3, lw=0.8, rasterized=True)
        lines[0].set(label=f"{label}: {np.count_nonzero(chosen)}", alpha=1)
    ax.plot(x, np.abs(x), "k--", label="|x|")
    ax.set_xlabel("x")
    ax.set_ylabel("output")
    legend(ax)
    return figure


if __name__ == "__main__":
    main(PAPER, numbers, picture)
