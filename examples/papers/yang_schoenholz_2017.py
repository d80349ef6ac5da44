"""Yang and Schoenholz 2017: gradients of residual networks without normalisation."""

import math

import numpy as np
from comparison import (
    Figure,
    Floats,
    Numbers,
    Paper,
    along,
    function,
    legend,
    log_square,
    main,
    number,
    panels,
)

import vgsim
from vgsim import plotting, theory
from vgsim.typing import ActivationName, InitializerName

WIDTH = 256
PAPER = Paper(
    key="yang_schoenholz_2017",
    title="Mean field residual networks: on the edge of chaos",
    reference="G. Yang and S. S. Schoenholz, NeurIPS 2017",
    setting=f"Blocks x + V φ(W x) of width {WIDTH}, V and W of variance 1/n (W of 2/n with ReLU), "
    "without biases. Theory is the mean-field recursion from block to block at this depth.",
    remark="With tanh the squared gradient grows as exp(a √L) in L blocks, slower than an "
    "exponential; a follows from the recursion of the paper, and is approached slowly, from above: "
    "at these depths the measurement agrees with the recursion itself. With ReLU it doubles with "
    "every block: skip connections alone do not prevent an explosion.",
    caption="ln E(‖G_0‖²/‖G_D‖²) against the number of blocks: measured (with 99 % intervals) and "
    "by mean field.",
)


def blocks(count: int, activation: ActivationName = "tanh") -> vgsim.MLP:
    """Return a network of `count` blocks x + V φ(W x)."""
    relu = activation == "relu"
    skips = vgsim.Residual(2, style="linear", last_gain=math.sqrt(0.5) if relu else 1.0)
    init: InitializerName = "he_normal" if relu else "lecun_normal"
    return vgsim.MLP(2 * count, WIDTH, activation=activation, init=init, residual=skips)


def squares(net: vgsim.MLP, size: int) -> Floats:
    """Return ‖G_0‖²/‖G_D‖²."""
    return np.exp(log_square(vgsim.simulate(net, size, layers=[0])))


def numbers(quick: bool) -> Numbers:
    size = 300 if quick else 3000
    few, many = 36, 144
    a, b = squares(blocks(few), size), squares(blocks(many), size)
    roots = math.sqrt(many) - math.sqrt(few)
    found = function(lambda a, b: math.log(b / a) / roots, a, b)
    grown = [theory.residual_growth(blocks(n)) for n in (few, many)]
    what = f"tanh: growth of ln E X with √blocks, from {few} to {many} blocks"
    exact, limit = (grown[1] - grown[0]) / roots, theory.tanh_residual_exponent()
    where = "√L law, a = (4/3) √(2/π) as L → ∞"
    yield number(what, where, limit, found, wide=exact, relation="~")
    found = function(lambda a, b: math.log(b) / math.log(a), a, b)
    what = f"tanh: ln E X at {many} blocks over that at {few}"
    where = "√L law: 2 as L → ∞ (an exponential: 4)"
    yield number(what, where, 2, found, wide=grown[1] / grown[0], relation="~")
    for count in (4, 16):
        x = squares(blocks(count, "relu"), 10 * size)
        what = f"ReLU, {count} blocks: factor of E X per block"
        found = function(lambda x, n=count: x ** (1 / n), x)
        yield number(what, "exponential, 1 + 1", 2, found, exact=2.0)


def picture(quick: bool) -> Figure:
    figure, ax = panels()
    counts = (4, 16, 36, 64, 100)
    activations: tuple[ActivationName, ...] = ("tanh", "relu")
    for activation in activations:
        size = 50 if quick else 1000
        found = [function(np.log, squares(blocks(n, activation), size)) for n in counts]
        estimate = along(found, "jackknife")
        line = [theory.residual_growth(blocks(n, activation)) for n in counts]
        plotting.curve(
            counts, estimate, theory=line, label=activation, xlabel="blocks", ylabel="ln E X", ax=ax
        )
    legend(ax)
    return figure


if __name__ == "__main__":
    main(PAPER, numbers, picture)
