"""Pascanu et al. 2013: singular values of the recurrent matrix, and clipping."""

from typing import Any

import numpy as np
from comparison import Floats, Numbers, Paper, main, mean, number

import vgsim
from vgsim import theory
from vgsim.typing import ActivationName

STEPS, WIDTH = 100, 64
WIDE = 512  # with independent entries, whose spectral radius varies with 1/√n
SLOPES: dict[ActivationName, float] = {"tanh": 1.0, "sigmoid": 0.25}  # γ, by activation
PAPER = Paper(
    key="pascanu_2013",
    title="On the difficulty of training recurrent neural networks",
    reference="R. Pascanu, T. Mikolov and Y. Bengio, ICML 2013",
    setting=f"RNNs of {STEPS} steps and {WIDTH} units. λ₁ is the largest singular value of the "
    "recurrent matrix W, which the argument of the paper bounds, and γ the largest slope: 1 for "
    "tanh, ¼ for the sigmoid. W is λ₁ times an orthogonal matrix, except in the last rows, where "
    "its 512 × 512 entries are independent and normal, and there are 30 steps.",
    remark="λ₁ < 1/γ makes every gradient vanish, without exception. λ₁ > 1/γ is necessary for an "
    "explosion, but not sufficient: with a drive the units saturate, and the gradient "
    "still vanishes with λ₁ slightly above. At the zero state the spectral radius decides, "
    "which is half of λ₁ for independent entries.",
)


def rnn(activation: ActivationName, gain: float, **fields: Any) -> vgsim.RNN:
    """Return an RNN with an orthogonal matrix."""
    return vgsim.RNN(STEPS, WIDTH, activation=activation, init="orthogonal", gain=gain, **fields)


def normal(gain: float, **fields: Any) -> vgsim.RNN:
    """Return an RNN with independent entries, whose state stays at zero."""
    return vgsim.RNN(30, WIDE, init="lecun_normal", gain=gain, input_std=0.0, **fields)


def per_step(net: vgsim.RNN, size: int, **run: Any) -> Floats:
    """Return R divided by the number of steps."""
    samples = vgsim.simulate(net, size, layers=[0], dtype="float64", **run)
    return samples.log10_ratio[:, 0] / net.depth


def numbers(quick: bool) -> Numbers:
    size = 100 if quick else 2000
    for activation, slope in SLOPES.items():
        r = per_step(rnn(activation, 0.95 / slope), size)
        what = f"{activation}, γ λ₁ = 0.95: largest R per step of {size} networks"
        yield number(what, "λ₁ < 1/γ suffices", np.log10(0.95), (r.max(),) * 3, relation="<")
    r = per_step(rnn("tanh", 1.05), size)
    what = "tanh, γ λ₁ = 1.05, drive 0.5: mean R per step"
    yield number(what, "λ₁ > 1/γ is not sufficient: below 0", 0, mean(r), relation="<")
    r = per_step(rnn("tanh", 1.05, input_std=0.0), size, inputs="zeros")
    what = "tanh, γ λ₁ = 1.05, zero state: mean R per step"
    yield number(what, "log10 λ₁", np.log10(1.05), mean(r), accuracy=1e-6, exact=np.log10(1.05))
    for gain in (0.6, 1.5):
        net = normal(gain)
        r = per_step(net, size // 10, inputs="zeros")
        what = f"tanh, normal W of spectral radius {gain}, λ₁ = {2 * gain:g}: mean R per step"
        rate = np.log10(theory.recurrent_rate(net)) / 2
        yield number(what, "linear case: spectral radius", rate, mean(r), accuracy=0.01)
    clipped = normal(1.5, clip=vgsim.ClipNorm(1.0))
    places = range(clipped.depth)
    samples = vgsim.simulate(clipped, size // 10, inputs="zeros", layers=places, dtype="float64")
    what = "the same with radius 1.5 and clipping at norm 1: largest log10 ‖G‖"
    top = round(float(samples.gradient.max()), 9) + 0.0  # ‖G‖ = 1, but for rounding
    yield number(what, "clipping: ‖g‖ ≤ threshold", 0, (top, top, top), relation="<", accuracy=1e-9)


if __name__ == "__main__":
    main(PAPER, numbers)
