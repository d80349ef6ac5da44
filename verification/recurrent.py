"""Recurrent networks whose state stays at 0: growth of ‖G‖² and critical gains."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

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
LONG, SHORT = 1000, 300  # the slope is that between these numbers of steps
CRITICAL = [  # with the size of the neglected terms: few eigenvalues of W are near its real edge
    (vgsim.GRU, {"init": "orthogonal"}, 0.003),
    (vgsim.LSTM, {"init": "orthogonal"}, 0.003),
    (vgsim.GRU, {}, 0.02),
    (vgsim.LSTM, {}, 0.02),
]


def comparisons(seed: int, quick: bool) -> Iterator[Comparison]:
    n, size = (128, 60) if quick else (512, 200)
    for kind, fields in CELLS[::3] if quick else CELLS:
        network = kind(STEPS, n, **fields, **STILL)
        grown = 2 * math.log(10) * simulated(network, [0], size, seed)[:, 0]
        label = f"{words(kind, fields)}, n = {n}: ln‖G_0‖²/‖G_{STEPS}‖²"
        yield Comparison(label, *mean(grown), theory.recurrent_growth(network), 8 / n)
    for kind, fields, slack in () if quick else CRITICAL:
        label = f"{words(kind, fields)}, n = {n}: critical gain/theory, {SHORT} to {LONG} steps"
        yield Comparison(label, *critical_ratio(kind, fields, n, seed), 1.0, slack)


def words(kind: type, fields: dict[str, object]) -> str:
    """Return the kind and the fields of a network as text."""
    return " ".join([kind.__name__, *(f"{name} {value}" for name, value in fields.items())])


def simulated(network, layers: list[int], size: int, seed: int) -> Array:
    """Return R of networks whose state stays at 0; (size, layers)."""
    return vgsim.simulate(network, size, seed=seed, layers=layers, inputs="zeros").log10_ratio


def critical_ratio(kind: type, fields: dict[str, object], n: int, seed: int) -> tuple[float, float]:
    """Return the gain at which the mean slope of R is 0, over that of theory, and its error."""
    critical = theory.critical_gain(kind(LONG, n, **fields, **STILL))
    ratios = np.array([0.97, 1.03])
    found = []
    for ratio in ratios:
        network = kind(LONG, n, gain=critical * ratio, **fields, **STILL)
        grown = simulated(network, [0, LONG - SHORT], 16, seed)
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
