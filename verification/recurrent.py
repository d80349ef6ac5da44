"""Gated recurrent networks with a zero state and no drive, where the law is known.

Then every step has the same Jacobian: σ(b_f) + W_g/4 on the cell of an LSTM, ½ + W_n/4 of a GRU. Of
weights close to 0 only the first term is left, which is exact at every width: log10 σ(b_f) decades
per step, and with the chrono initialisation a mean over its law of b_f. Of wide networks the
spectral radius is that of the circular law, which gives the critical gains.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from scipy import integrate

import vgsim
from verification.comparison import Array, Comparison, mean

SMALL = 1e-6  # a gain that leaves the diagonal of the Jacobian only
QUIET = {"input_std": 0.0}
FORGET_BIASES = (0.0, 1.0, 2.0, 5.0)
CHRONO_STEPS = (100, 784, 1000)
STEPS, BETWEEN = 1000, (0, 700)  # the gradient after 300 and after 1,000 steps
AROUND = 0.02  # relative distance of the gains between which the rate crosses 0


def comparisons(seed: int, quick: bool) -> Iterator[Comparison]:
    for bias in FORGET_BIASES:
        yield small_weights(bias, seed)
    for steps in CHRONO_STEPS[: 1 if quick else None]:
        yield from chrono(steps, 400 if quick else 4000, seed)
    n, size = (128, 32) if quick else (512, 32)
    for bias in FORGET_BIASES[1:2] if quick else FORGET_BIASES[:3]:
        law = 4 * (1 - sigmoid(bias))
        yield critical_gain(f"LSTM, b_f = {bias:g}", lstm(n, bias), law, size, quick, seed)
    yield critical_gain("GRU", gru(n), 2.0, size, quick, seed)


def lstm(n: int, forget_bias: float):
    """Return a function from the gain to a network."""
    return lambda gain: vgsim.LSTM(STEPS, n, gain=gain, forget_bias=forget_bias, **QUIET)


def gru(n: int):
    """Return a function from the gain to a network."""
    return lambda gain: vgsim.GRU(STEPS, n, gain=gain, **QUIET)


def sigmoid(b: float) -> float:
    return 1 / (1 + math.exp(-b))


def small_weights(bias: float, seed: int) -> Comparison:
    """The decades per step of an LSTM with weights close to 0."""
    network = vgsim.LSTM(200, 16, gain=SMALL, forget_bias=bias, **QUIET)
    s = vgsim.simulate(network, 64, seed=seed, layers=(0, 100), inputs="zeros")
    rates = (s.log10_ratio[:, 0] - s.log10_ratio[:, 1]) / 100
    value, error = mean(rates)
    name = f"LSTM, weights close to 0, b_f = {bias:g}: decades per step"
    return Comparison(name, value, error, math.log10(sigmoid(bias)), 1e-5)


def chrono(steps: int, size: int, seed: int) -> Iterator[Comparison]:
    """R after T and after 2 steps of an LSTM with chrono=T and weights close to 0.

    The gradient by the cell is g_h/2 after one step, and is multiplied by f = u/(1 + u) at every
    further one, with u uniform on [1, T − 1]. So E‖G‖²/‖G_D‖² is the mean of f^(2t − 2)/4.
    """
    network = vgsim.LSTM(steps, 256, gain=SMALL, chrono=steps, **QUIET)
    s = vgsim.simulate(network, size // 4, seed=seed, layers=(0, steps - 2), inputs="zeros")
    squares = 10 ** (2 * s.log10_ratio)
    law = [mean_square(steps, t) for t in (steps, 2)]
    for column, t in enumerate((steps, 2)):
        value, error = mean(squares[:, column])
        name = f"LSTM, chrono, T = {steps}: log10 of the RMS of ‖G‖ after {t} steps"
        relative = error / value / (2 * math.log(10))
        yield Comparison(name, math.log10(value) / 2, relative, math.log10(law[column]) / 2)


def mean_square(most: float, steps: int) -> float:
    """The mean of f^(2 steps − 2)/4 over u."""
    value, _ = integrate.quad(
        lambda u: (u / (1 + u)) ** (2 * steps - 2) / 4, 1, most - 1, epsrel=1e-10, limit=200
    )
    return value / (most - 2)


def rates(network: vgsim.LSTM | vgsim.GRU, size: int, seed: int) -> Array:
    """The decades per step between 300 and 1,000 steps."""
    s = vgsim.simulate(network, size, seed=seed, layers=BETWEEN, inputs="zeros")
    return (s.log10_ratio[:, 0] - s.log10_ratio[:, 1]) / (BETWEEN[1] - BETWEEN[0])


def critical_gain(name: str, of, law: float, size: int, quick: bool, seed: int) -> Comparison:
    """The gain at which the mean rate is 0, interpolated between two gains around the law."""
    low, high = law * (1 - AROUND), law * (1 + AROUND)
    below, above = (rates(of(gain), size, seed) for gain in (low, high))
    (under, error), (over, other) = mean(below), mean(above)
    slope = (over - under) / (high - low)
    found = low - under / slope
    spread = math.hypot(error, other) / 2 / slope
    width = 0.03 if quick else 0.01
    return Comparison(f"{name}: critical gain", found, spread, law, width * law)


def picture(figure, seed: int) -> None:
    """Draw R against the number of steps for forget biases and chrono."""
    axes = figure.subplots()
    for label, choice in {
        **{f"forget bias {b:g}": {"forget_bias": b} for b in FORGET_BIASES},
        "chrono": {"chrono": STEPS},
    }.items():
        network = vgsim.LSTM(STEPS, 64, gain=SMALL, **choice, **QUIET)
        layers = np.arange(0, STEPS + 1, 20)
        s = vgsim.simulate(network, 64, seed=seed, layers=layers, inputs="zeros")
        axes.plot(STEPS - layers, s.log10_ratio.mean(axis=0), label=label)
    axes.set(xlabel="steps", ylabel="mean R", ylim=(-20, 1))
    axes.set_title("LSTM, weights close to 0, no drive")
    axes.legend()
