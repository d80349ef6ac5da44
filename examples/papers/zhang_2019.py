"""Zhang, Dauphin and Ma 2019: Fixup, residual learning without normalisation."""

import numpy as np
from comparison import Figure, Floats, Numbers, Paper, along, function, legend, main, number, panels

import vgsim
from vgsim import plotting

WIDTH, FEW, MANY = 64, 8, 64
PAPER = Paper(
    key="zhang_2019",
    title="Fixup initialization: residual learning without normalization",
    reference="H. Zhang, Y. N. Dauphin and T. Ma, ICLR 2019",
    setting=f"Networks of L residual blocks of m layers, ReLU, width {WIDTH}, He's weights, "
    "without normalisation. Fixup multiplies all layers of a branch except the last one by "
    "L^(−1/(2m−2)), and sets the last one to 0 (here to 1e-6). S is the sum over the blocks of "
    "the squared gradient norm of the last matrices, relative to ‖G_D‖²: the change "
    "of the output in a first step of gradient descent, per learning rate.",
    remark="Fixup makes the first step independent of the number of blocks; with the last layer 0 "
    "but no rescaling the step grows in proportion to it. The gradient passes unchanged.",
    caption="S against the number of blocks, m = 2, relative to 8 blocks: with Fixup, and with the "
    "last layer 0 only.",
)


def network(blocks: int, m: int, rescaled: bool = True, last: float = 1e-6) -> vgsim.MLP:
    """Return a residual network with Fixup, or without its rescaling."""
    gain = blocks ** (-1 / (2 * m - 2)) if rescaled else 1.0
    skips = vgsim.Residual(m, style="linear", last_gain=last / gain)
    return vgsim.MLP(
        m * blocks, WIDTH, activation="relu", init="he_normal", gain=gain, residual=skips
    )


def steps(net: vgsim.MLP, m: int, size: int) -> Floats:
    """Return S of every network."""
    lasts = range(m, net.depth + 1, m)
    samples = vgsim.simulate(net, size, layers=lasts, record=["weight_gradient"])
    squares = 100 ** (samples.weight_gradient - samples.output_gradient[:, None])
    found: Floats = squares.sum(axis=1)
    return found


def numbers(quick: bool) -> Numbers:
    size = 500 if quick else 10_000
    plain = network(10, 2, rescaled=False, last=0.5**0.5)
    squares = 100 ** vgsim.simulate(plain, 4 * size, layers=[0]).log10_ratio[:, 0]
    found = function(lambda x: x**0.1, squares)
    what = "branches that keep the variance, 10 blocks: factor of E ‖G‖² per block"
    yield number(what, "the variance doubles per block", 2, found, exact=2.0)
    for m in (2, 3):
        for rescaled, paper in ((True, 1.0), (False, MANY / FEW)):
            a, b = (steps(network(n, m, rescaled), m, size) for n in (MANY, FEW))
            found = function(np.divide, a, b)
            name = "Fixup" if rescaled else "last layer 0 only"
            what = f"m = {m}, {name}: E S of {MANY} blocks over that of {FEW}"
            where = "step of Θ(η), read as 1" if rescaled else "grows with L, here as L"
            yield number(what, where, paper, found, exact=paper)
    r = vgsim.simulate(network(MANY, 2), size, layers=[0]).log10_ratio[:, 0]
    what = f"Fixup, {MANY} blocks: largest |R|"
    yield number(what, "identity at initialisation", 0, (np.abs(r).max(),) * 3, accuracy=1e-3)


def picture(quick: bool) -> Figure:
    figure, ax = panels()
    counts = np.array([8, 16, 32, 64, 128])
    for rescaled, label in ((True, "Fixup"), (False, "last layer 0 only")):
        size = 200 if quick else 2000
        s = [steps(network(n, 2, rescaled), 2, size) for n in counts]
        estimate = along([function(np.divide, x, s[0]) for x in s], "jackknife")
        plotting.curve(counts, estimate, label=label, xlabel="blocks L", ylabel="S/S(8)", ax=ax)
    ax.set(xscale="log", yscale="log")
    legend(ax)
    return figure


if __name__ == "__main__":
    main(PAPER, numbers, picture)
