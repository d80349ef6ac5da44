"""Claims on recurrent networks and gated cells."""

from typing import Any

import numpy as np

import vgsim
from claims_measured.activations import SYMLOG, mlp
from claims_measured.claim import RARELY, Figure, Found, topic
from claims_measured.measurement import LEVEL, Measurement, case, difference, series

claim = topic("Recurrent networks")
WIDTH = 64
GLOROT: dict[str, Any] = {"init": "glorot_normal"}
ORTHOGONAL: dict[str, Any] = {"init": "orthogonal"}


@claim(
    "Recurrent networks suffer more",
    "Recurrent networks suffer more than feedforward networks, since the same matrix is multiplied "
    "at every step.",
    "The number is P(vanishing or exploding) of the recurrent network minus that of the "
    "feedforward network of the same width, depth and activation with its usual initialisation: "
    "{0} for tanh and 100 steps. Two causes add up: the inputs at every step keep tanh away from "
    "0, and a shared matrix makes the spread of R grow as the number of steps, not as its square "
    "root (see the figure; linear networks without inputs show the second cause alone). Orthogonal "
    "and identity matrices, whose eigenvalues have modulus 1, remove the second cause.",
)
def suffer_more(m: Measurement) -> Found:
    silent: dict[str, Any] = {"input_std": 0.0}
    settings: tuple[tuple[str, Any, int, dict[str, Any], bool], ...] = (
        ("tanh, 100 steps", "tanh", 100, {}, True),
        ("linear, no inputs, 1,000 steps", "linear", 1000, silent, True),
        ("orthogonal linear, no inputs, 1,000 steps", "linear", 1000, silent | ORTHOGONAL, False),
        ("identity ReLU, 100 steps", "relu", 100, {"input_std": 0.01, "init": "identity"}, False),
    )
    cases = []
    for name, phi, steps, fields, typical in settings:
        cell = vgsim.RNN(steps, WIDTH, activation=phi, **GLOROT | fields)
        both = cell, mlp(steps, phi, WIDTH)
        unhealthy = [one_minus(m.samples(network, 0.25)) for network in both]
        gap = difference(*unhealthy)
        cases.append(case(name, "P(not healthy), RNN − MLP", gap, (0.1, None), typical))
    lines = []
    for name, network in (
        ("RNN, linear", vgsim.RNN(1, WIDTH, activation="linear", **GLOROT | silent)),
        ("MLP, linear", mlp(1, "linear", WIDTH)),
        ("RNN, tanh", vgsim.RNN(1, WIDTH, **GLOROT)),
        ("MLP, tanh", mlp(1, "tanh", WIDTH)),
    ):
        curve = m.depths(network, (10, 30, 100, 300, 1000), 0.1)
        variance = curve.variance(LEVEL)
        root = [np.sqrt(np.maximum(v, 0)) for v in (variance.estimate, variance.low, variance.high)]
        spread = vgsim.Estimate(root[0], root[1], root[2], LEVEL, "bootstrap")
        lines.append(series(name, curve.depths, spread))
    caption = (
        "Standard deviation of R over networks: it grows as the number of steps if all share W."
    )
    options = {"log_y": True}
    return cases, Figure("curve", caption, "steps or layers", "std of R", lines, options)


def one_minus(samples: vgsim.Samples) -> vgsim.Estimate:
    """Return the probability that the gradient is not healthy."""
    p = samples.probability("healthy", confidence_level=LEVEL)
    return vgsim.Estimate(1 - p.estimate, 1 - p.high, 1 - p.low, LEVEL, p.method)


@claim(
    "Gated cells",
    "LSTM and GRU cells solve the vanishing gradient problem.",
    "It depends on the biases of the gates. With a forget bias of 1 the gradient of an LSTM is "
    "kept over 30 steps (P(vanishing) is {0}) and lost over 300 ({1}); with an update bias of 0 a "
    "GRU loses it faster than the tanh network without gates (see the figure). A bias of 5, or the "
    "chrono initialisation for the number of steps, keeps it over 300 steps.",
)
def gated(m: Measurement) -> Found:
    share: dict[str, Any] = {"share": 0.1}
    cases = [
        m.chance(
            "LSTM, forget bias 1, 30 steps", vgsim.LSTM(30, WIDTH), "vanishing", RARELY, **share
        ),
        m.chance(
            "LSTM, forget bias 1, 300 steps", vgsim.LSTM(300, WIDTH), "vanishing", RARELY, **share
        ),
        m.chance("GRU, 300 steps", vgsim.GRU(300, WIDTH), "vanishing", RARELY, **share),
        *(
            m.chance(name, network, "vanishing", RARELY, False, **share)
            for name, network in (
                ("LSTM, forget bias 5, 300 steps", vgsim.LSTM(300, WIDTH, forget_bias=5)),
                ("LSTM, chrono 300, 300 steps", vgsim.LSTM(300, WIDTH, chrono=300)),
                ("GRU, update bias 5, 300 steps", vgsim.GRU(300, WIDTH, update_bias=5)),
            )
        ),
    ]
    steps = (10, 30, 100, 200, 300)
    lines = [
        m.medians(name, network, steps, 0.05)
        for name, network in (
            ("RNN, tanh", vgsim.RNN(1, WIDTH)),
            ("LSTM, forget bias 1", vgsim.LSTM(1, WIDTH)),
            ("LSTM, forget bias 5", vgsim.LSTM(1, WIDTH, forget_bias=5)),
            ("LSTM, chrono 300", vgsim.LSTM(1, WIDTH, chrono=300)),
            ("GRU, update bias 0", vgsim.GRU(1, WIDTH)),
        )
    ]
    return cases, Figure(
        "curve", "Median of R of cells of 64 units.", "steps", "median of R", lines, SYMLOG
    )
