"""Wang et al. 2022: DeepNorm, the first step of very deep transformers."""

import numpy as np
from comparison import (
    Figure,
    Floats,
    Numbers,
    Paper,
    along,
    function,
    legend,
    main,
    mean,
    number,
    panels,
)

import vgsim
from vgsim import plotting, theory

WIDTH, HEADS, TOKENS, FEW, MANY = 64, 4, 8, 6, 96
PAPER = Paper(
    key="wang_2022",
    title="DeepNet: scaling transformers to 1,000 layers",
    reference="H. Wang, S. Ma, L. Dong, S. Huang, D. Zhang and F. Wei, arXiv:2203.00555, 2022",
    setting=f"Encoders of N layers of attention and MLP (GELU), width {WIDTH}, {HEADS} heads, "
    f"{TOKENS} tokens. Post-norm is LN(x + f(x)); DeepNorm LN(α x + f(x)) with α = (2N)^¼ and the "
    "matrices of values, output and MLP multiplied by β = (8N)^−¼. S is the sum of the squared "
    "gradient norms of all matrices, relative to ‖G_D‖²: the change of the output in a first step "
    "of gradient descent, per learning rate.",
    remark="With DeepNorm the first step is bounded whatever the depth, as the paper says, and R "
    "stays near 0 for 1,000 layers. With post-norm the step grows with the depth.",
    caption="Geometric mean of the sum S of the squared gradients of all matrices against the "
    "number of layers N, relative to N = 6.",
)


def encoder(layers: int, deep: bool) -> vgsim.Sequential:
    """Return an encoder with DeepNorm or post-norm."""
    alpha, beta = theory.deepnorm_constants(layers) if deep else (1.0, 1.0)
    attention = [vgsim.Attention(HEADS, value_gain=beta, output_gain=beta)]
    mlp = [
        vgsim.Linear(4 * WIDTH, init="he_normal", gain=beta),
        "gelu",
        vgsim.Linear(WIDTH, gain=beta),
    ]
    block = [[vgsim.Skip(f, skip=alpha), vgsim.Norm("layer")] for f in (attention, mlp)]
    return vgsim.Sequential(WIDTH, block * layers, tokens=TOKENS)


def steps(layers: int, deep: bool, size: int) -> Floats:
    """Return ln S of every network."""
    net = encoder(layers, deep)
    places = range(1, net.depth + 1)
    samples = vgsim.simulate(net, size, layers=places, record=["weight_gradient"])
    squares = 100 ** (samples.weight_gradient - samples.output_gradient[:, None])
    found: Floats = np.log(squares.sum(axis=1))
    return found


def ratio(many: float, few: float) -> float:
    """Return the ratio of two geometric means from those of ln S."""
    return float(np.exp(many - few))


def numbers(quick: bool) -> Numbers:
    size, depth = (20, 100) if quick else (200, 1000)
    for deep, name in ((True, "DeepNorm"), (False, "post-norm")):
        many, few = steps(MANY, deep, size), steps(FEW, deep, size)
        what = f"{name}: S of N = {MANY} over that of N = {FEW}, geometric means"
        found = function(ratio, many, few)
        where, relation = ("bounded in N, read as ≤ 1", "<") if deep else ("grows with N", ">")
        yield number(what, where, 1, found, relation=relation)
    net = encoder(depth, deep=True)
    r = vgsim.simulate(net, max(size // 10, 5), layers=[0]).log10_ratio[:, 0]
    what = f"DeepNorm, N = {depth}: mean R, in decades"
    yield number(what, "stable at 1,000 layers, read as 0", 0, mean(r), accuracy=0.1)


def picture(quick: bool) -> Figure:
    figure, ax = panels()
    counts = np.array([6, 12, 24, 48, 96])
    for deep, label in ((True, "DeepNorm"), (False, "post-norm")):
        s = [steps(n, deep, 10 if quick else 60) for n in counts]
        estimate = along([function(ratio, x, s[0]) for x in s], "jackknife")
        plotting.curve(counts, estimate, label=label, xlabel="N", ylabel="S/S(6)", ax=ax)
    ax.set(xscale="log", yscale="log")
    legend(ax)
    return figure


if __name__ == "__main__":
    main(PAPER, numbers, picture)
