"""Pennington et al. 2017: singular values of the Jacobian, and dynamical isometry."""

import math
from typing import TypeAlias

import numpy as np
from comparison import (
    Figure,
    Floats,
    Interval,
    Numbers,
    Paper,
    function,
    main,
    mean,
    number,
    panels,
)

import vgsim
from vgsim import plotting, theory
from vgsim.typing import ActivationName, InitializerName

WIDTH, DEPTH = 128, 8
BIAS = math.sqrt(0.05)
Case: TypeAlias = tuple[vgsim.MLP, float]  # a network, and the root mean square of its inputs
PAPER = Paper(
    key="pennington_2017",
    title="Resurrecting the sigmoid in deep learning through dynamical isometry: theory and "
    "practice",
    reference="J. Pennington, S. S. Schoenholz and S. Ganguli, NeurIPS 2017",
    setting=f"The Jacobian J of {DEPTH} layers of width {WIDTH}, with explicit matrices, and its "
    "singular values s. The spread of s² is Var s²/(E s²)², which the paper calls σ²_{JJᵀ} "
    "at criticality, where E s² = 1. Critical tanh has biases of variance 0.05. The accuracy of "
    "the paper's limit of infinite width is taken as 2 D/n, relatively, and as D n^(−2/3) for the "
    "largest singular value.",
    remark="With orthogonal weights the spread of a tanh network is a quarter of that with "
    "Gaussian ones, and it vanishes with the variance of the pre-activations: dynamical isometry. "
    "Orthogonal weights give ReLU a spread of D, like that of Gaussian linear networks.",
    caption="Singular values of the Jacobian of critical tanh networks, with Gaussian and with "
    "orthogonal weights.",
)


def tanh(init: InitializerName, bias: float = BIAS) -> Case:
    """Return the critical tanh network, and the root mean square of its activations."""
    gain = theory.critical_gain("tanh", bias)
    net = vgsim.MLP(DEPTH, WIDTH, init=init, gain=float(gain), bias_std=bias)
    return net, math.sqrt((gain.q_star - bias**2) / gain**2)


def other(activation: ActivationName, init: InitializerName, gain: float = 1.0) -> Case:
    """Return a network of this activation, for inputs of root mean square 1."""
    return vgsim.MLP(DEPTH, WIDTH, activation=activation, init=init, gain=gain), 1.0


def singular_values(case: Case, index: int) -> Floats:
    """Return the singular values of the Jacobian of one network."""
    net, rms = case
    sample = vgsim.replay(net, 0, index)
    x = rms * sample.inputs * math.sqrt(WIDTH) / np.linalg.norm(sample.inputs)
    jacobian = np.eye(WIDTH)
    for weights, bias in zip(sample.weights, sample.biases, strict=True):
        h = weights @ x + bias[:, None]
        x = net.activation.value(h)
        jacobian = net.activation.derivative(h) * (weights @ jacobian)
    return np.linalg.svd(jacobian, compute_uv=False)


def spread(values: Floats) -> Interval:
    """Return Var s²/(E s²)² over networks, and its interval."""
    second, fourth = (values**2).mean(axis=1), (values**4).mean(axis=1)
    return function(lambda a, b: b / a**2 - 1, second, fourth)


def mu(net: vgsim.MLP) -> float:
    """Return E φ'^4/(E φ'²)² at the fixed point of a network."""
    z, weight = np.polynomial.hermite_e.hermegauss(200)
    h = z * math.sqrt(theory.mean_field(net).q_star)
    slope = net.activation.derivative(h) ** 2
    return float(weight @ slope**2 * weight.sum() / (weight @ slope) ** 2)


def numbers(quick: bool) -> Numbers:
    count, slack = (3 if quick else 30), 2 * DEPTH / WIDTH
    critical = tanh("lecun_normal")[0]
    cases = {  # network, μ_2/μ_1² − 1 − s_1
        "Gaussian linear": (other("linear", "lecun_normal"), 1.0),
        "Gaussian ReLU": (other("relu", "he_normal"), 2.0),
        "√2 orthogonal ReLU": (other("relu", "orthogonal", math.sqrt(2)), 1.0),
        "Gaussian critical tanh": (tanh("lecun_normal"), mu(critical)),
        "orthogonal critical tanh": (tanh("orthogonal"), mu(critical) - 1),
        "orthogonal critical tanh, σ_b = 0.001": (tanh("orthogonal", 1e-3), None),
    }
    for name, (case, each) in cases.items():
        values = np.array([singular_values(case, i) for i in range(count)])
        each = mu(case[0]) - 1 if each is None else each
        limit = DEPTH * each
        what = f"{name}: spread of s²"
        yield number(what, "σ²_{JJᵀ} at D layers", limit, spread(values), accuracy=slack * limit)
        if name == "Gaussian linear":
            edge = (DEPTH + 1) ** (DEPTH + 1) / DEPTH**DEPTH
            what = "Gaussian linear: largest s²"
            found = mean(values[:, 0] ** 2)
            yield number(
                what, "(D + 1)^(D + 1)/D^D", edge, found, accuracy=edge * DEPTH * WIDTH ** (-2 / 3)
            )
    values = np.array([singular_values(other("linear", "orthogonal"), i) for i in range(count)])
    what = "orthogonal linear: largest s"
    yield number(what, "isometry", 1, mean(values[:, 0]), accuracy=1e-9, exact=1.0)


def picture(quick: bool) -> Figure:
    figure, ax = panels()
    inits: dict[str, InitializerName] = {"Gaussian": "lecun_normal", "orthogonal": "orthogonal"}
    for label, init in inits.items():
        case = tanh(init)
        values = np.concatenate([singular_values(case, i) for i in range(2 if quick else 30)])
        plotting.histogram(np.log10(values), bins=np.arange(-20, 2, 0.2), label=label, ax=ax)
    ax.set(xlabel=r"$\log_{10}\,s$", xlim=(-6, 1.2))
    return figure


if __name__ == "__main__":
    main(PAPER, numbers, picture)
