"""Recurrent networks whose state stays at 0: growth of ‖G‖² and critical gains.

Every step then has the same Jacobian. Of an LSTM whose weights are close to 0 only its diagonal is
left, at every width: log10 σ(b_f) decades per step, and with the chrono initialisation a mean over
the law of b_f.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from scipy import integrate

import vgsim
from verification.comparison import Array, Comparison, mean
from vgsim import theory

STEPS = 30
STILL = {"input_std": 0}
CELLS = [
    (vgsim.RNN, {"leak": 0.2, "gain": 1.5}),
    (vgsim.GRU, {"gain": 2.0}),
    (vgsim.GRU, {"update_bias": 2.0, "gain": 0.5}),
    (vgsim.LSTM, {}),
    (vgsim.LSTM, {"forget_bias": 5.0, "gain": 0.02}),
    (vgsim.LSTM, {"chrono": 30.0, "gain": 1.5}),
    (vgsim.LSTM, {"chrono": 784.0, "forget_bias": 1.0, "init": "orthogonal"}),
]
SMALL = 1e-6  # a gain that leaves the diagonal only
FORGET_BIASES = (0.0, 1.0, 2.0, 5.0)
CHRONO_STEPS = (100, 784, 1000)
LONG, SHORT = 1000, 300  # the slope is that between these numbers of steps
CRITICAL = [  # with the size of the neglected terms: few eigenvalues of W are near its real edge
    (vgsim.GRU, {"init": "orthogonal"}, 0.003),
    (vgsim.LSTM, {"init": "orthogonal"}, 0.003),
    (vgsim.GRU, {}, 0.01),
    (vgsim.LSTM, {}, 0.01),
]


def comparisons(seed: int, quick: bool) -> Iterator[Comparison]:
    n, size = (128, 60) if quick else (512, 200)
    for kind, fields in CELLS[::3] if quick else CELLS:
        network = kind(STEPS, n, **fields, **STILL)
        grown = 2 * math.log(10) * simulated(network, [0], size, seed)[:, 0]
        label = f"{words(kind, fields)}, n = {n}: ln‖G_0‖²/‖G_{STEPS}‖²"
        yield Comparison(label, *mean(grown), theory.recurrent_growth(network), 8 / n)
    for bias in FORGET_BIASES:
        yield small_weights(bias, seed)
    for steps in CHRONO_STEPS[: 1 if quick else None]:
        yield from chrono(steps, 400 if quick else 4000, seed)
    for kind, fields, slack in () if quick else CRITICAL:
        label = f"{words(kind, fields)}, n = {n}: critical gain/theory, {SHORT} to {LONG} steps"
        yield Comparison(label, *critical_ratio(kind, fields, n, seed), 1.0, slack)


def small_weights(bias: float, seed: int) -> Comparison:
    """The decades per step of an LSTM with weights close to 0."""
    network = vgsim.LSTM(200, 16, gain=SMALL, forget_bias=bias, **STILL)
    s = vgsim.simulate(network, 64, seed=seed, layers=(0, 100), inputs="zeros")
    rates = (s.log10_ratio[:, 0] - s.log10_ratio[:, 1]) / 100
    value, error = mean(rates)
    name = f"LSTM, weights close to 0, b_f = {bias:g}: decades per step"
    return Comparison(name, value, error, -math.log10(1 + math.exp(-bias)), 1e-5)


def chrono(steps: int, size: int, seed: int) -> Iterator[Comparison]:
    """R after T and after 2 steps of an LSTM with chrono=T and weights close to 0.

    The last step passes o g_h = g_h/2 to the cell, and every step multiplies by f = u/(1 + u), with
    u uniform on [1, T − 1]. So E‖G‖²/‖G_D‖² after t steps is the mean of f^(2t)/4.
    """
    network = vgsim.LSTM(steps, 256, gain=SMALL, chrono=steps, **STILL)
    s = vgsim.simulate(network, size // 4, seed=seed, layers=(0, steps - 2), inputs="zeros")
    squares = 10 ** (2 * s.log10_ratio)
    law = [mean_square(steps, t) for t in (steps, 2)]
    for column, t in enumerate((steps, 2)):
        value, error = mean(squares[:, column])
        name = f"LSTM, chrono, T = {steps}: log10 of the RMS of ‖G‖ after {t} steps"
        relative = error / value / (2 * math.log(10))
        yield Comparison(name, math.log10(value) / 2, relative, math.log10(law[column]) / 2)


def mean_square(most: float, steps: int) -> float:
    """The mean of f^(2 steps)/4 over u."""
    value, _ = integrate.quad(
        lambda u: (u / (1 + u)) ** (2 * steps) / 4, 1, most - 1, epsrel=1e-10, limit=200
    )
    return value / (most - 2)


def words(kind: type, fields: dict[str, object]) -> str:
    """Return the kind and the fields of a network as text."""
    return " ".join([kind.__name__, *(f"{name} {value}" for name, value in fields.items())])


def simulated(network, layers: list[int], size: int, seed: int) -> Array:
    """Return R of networks whose state stays at 0; (size, layers)."""
    return vgsim.simulate(network, size, seed=seed, layers=layers, inputs="zeros").log10_ratio


def critical_ratio(kind: type, fields: dict[str, object], n: int, seed: int) -> tuple[float, float]:
    """Return the gain at which the mean slope of R is 0, over that of theory, and its error."""
    critical = theory.critical_gain(kind(LONG, n, **fields, **STILL))
    size = 16 if "init" in fields else 64  # orthogonal matrices scatter less
    ratios = np.array([0.97, 1.03])
    found = []
    for ratio in ratios:
        network = kind(LONG, n, gain=critical * ratio, **fields, **STILL)
        grown = simulated(network, [0, LONG - SHORT], size, seed)
        found.append(mean((grown[:, 0] - grown[:, 1]) / (LONG - SHORT)))
    (low, low_error), (high, high_error) = found
    steepness = (high - low) / (ratios[1] - ratios[0])
    return float(ratios.mean() - (low + high) / 2 / steepness), math.hypot(
        low_error, high_error
    ) / (2 * steepness)


def picture(figure, seed: int) -> None:
    """Draw the growth over the steps of an LSTM at three forget biases and with chrono."""
    axes = figure.subplots()
    layers = list(range(0, 100, 5))
    for fields in ({"forget_bias": 0}, {"forget_bias": 2}, {"chrono": 100}):
        network = vgsim.LSTM(100, 128, **fields, **STILL)
        measured = simulated(network, layers, 50, seed).mean(axis=0)
        predicted = [theory.recurrent_growth(network, l) / math.log(100) for l in layers]
        (line,) = axes.plot(layers, predicted, label=words(vgsim.LSTM, fields))
        axes.plot(layers, measured, "o", ms=3, color=line.get_color())
    axes.set(xlabel="step l", ylabel="mean of R = log10(‖G_l‖/‖G_D‖)")
    axes.legend()
