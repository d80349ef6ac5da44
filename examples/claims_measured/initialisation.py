"""Claims on products of random factors, the variance and law of the weights, depth and width."""

import math
from typing import Any

import numpy as np

import vgsim
from claims_measured.activations import LIMITS, SYMLOG, mlp
from claims_measured.claim import MOSTLY, RARELY, Figure, Found, topic
from claims_measured.measurement import (
    DEPTHS,
    LEVEL,
    Measurement,
    case,
    constant,
    difference,
    joined,
    median_of,
    rounded,
    series,
)

claim = topic("Random products and initialisation")
CRITICAL = math.exp((np.euler_gamma + math.log(2)) / 2)  # std of normal factors, E ln|w| = 0


@claim(
    "Product of many numbers",
    "A product of many random numbers becomes very small or very large, with a probability that "
    "tends to 1.",
    "The numbers are independent normal weights (a linear network of one unit). Even where "
    "neither direction is preferred, E ln|w| = 0, the logarithm spreads as √n: the product of "
    "30,000 numbers stays within six decades with probability {0}, and this falls as n^−½. The "
    "exception is a product of factors that come closer to 1 as their number grows, as with "
    "scaled skip connections.",
)
def product(m: Measurement) -> Found:
    def chain(std: float = 1.0, **fields: Any) -> vgsim.MLP:
        init = vgsim.Initializer("normal", std=std)
        return vgsim.MLP(1, 1, activation="linear", init=init, **fields)

    near_one = chain(residual=vgsim.Residual(1, branch="1/sqrt(blocks)"))
    networks = {"E ln|w| = 0": chain(CRITICAL), "N(0, 1)": chain(), "N(0, 9)": chain(3.0)}
    cases = [
        m.chance(f"{name}, {n:,} factors", network.with_depth(n), "healthy", RARELY)
        for (name, network), n in zip(networks.items(), (30_000, 1000, 1000), strict=True)
    ]
    name, networks["1 + N(0, 1/n)"] = "1 + N(0, 1/n), 10,000 factors", near_one
    cases.append(m.chance(name, near_one.with_depth(10_000), "healthy", RARELY, typical=False))
    depths = (10, 30, 100, 300, 1000, 3000, 10_000, 30_000)
    lines = [
        m.probabilities(label, network, "healthy", depths, 0.25, network is not near_one)
        for label, network in networks.items()
    ]
    caption = "Probability that the product of n numbers stays within six decades, with exact laws."
    return cases, Figure("probability", caption, "n", "P(healthy)", lines)


@claim(
    "Log-normal",
    "The norm of the gradient of a deep network is log-normally distributed.",
    "The number is the skewness of ln(‖G_0‖/‖G_D‖), which is 0 for a log-normal law: {0} at 1,000 "
    "layers of 128 units. The logarithm is a sum over the layers, and normal if many layers "
    "contribute a little each. Few narrow layers of rectifiers make small gradients more frequent "
    "than the fitted log-normal law, and in a GELU network at this initialisation the early loss "
    "differs from network to network, so that large ones are more frequent. The law holds in the "
    "middle: far in the tails it is wrong by factors at any depth "
    "([theory.md](theory.md#finite-width)).",
)
def lognormal(m: Measurement) -> Found:
    cases, columns = [], []
    for name, network, typical in (
        ("ReLU, He, 128 units, 1,000 layers", mlp(1000, "relu"), True),
        ("tanh, 128 units, 1,000 layers", mlp(1000, "tanh"), True),
        ("leaky ReLU, 8 units, 10 layers", mlp(10, "leaky_relu", 8), False),
        ("GELU, He, 100 layers", mlp(100, "gelu"), False),
    ):
        s = m.samples(network, 2.5)
        skewness = s.lognormal_fit(confidence_level=LEVEL).skewness
        cases.append(case(name, "skewness", skewness, (-0.3, 0.3), typical))
        scaled = (s.log10_ratio[:1500, 0] - s.mean()) / s.std()
        columns.append({"label": name, "values": scaled.round(3).tolist()})
    caption = "Quantiles of the standardised R against those of the normal law."
    return cases, Figure("qq", caption, "normal quantile", "quantile of R", columns)


@claim(
    "Xavier initialisation",
    "Xavier's (Glorot's) initialisation keeps the gradient at its size.",
    "For the activations it was derived for, whose slope at 0 is 1, and some hundred layers: a "
    "tanh network of 100 layers is healthy (|R| < 6) with probability {0}, one of 10,000 with {3}. "
    "ReLU divides the norm by √2 in every layer, the sigmoid by more than 4.",
)
def xavier(m: Measurement) -> Found:
    names = {"tanh": "tanh", "linear": "linear", "softsign": "softsign"}
    others = {"ReLU": "relu", "sigmoid": "sigmoid"}
    lines, cases = [], []
    for name, phi in (names | others).items():
        network = mlp(100, phi, init="glorot_normal")
        cases.append(m.chance(f"{name}, 100 layers", network, "healthy", MOSTLY, name in names))
        lines.append(m.medians(name, network, (5, 10, 20, 40, 70, 100)))
    deep = mlp(10_000, "tanh", init="glorot_normal")
    cases.insert(3, m.chance("tanh, 10,000 layers", deep, "healthy", MOSTLY, False))
    caption = "Median of R with Glorot's initialisation."
    return cases, Figure("curve", caption, "depth", "median of R", lines, LIMITS)


@claim(
    "He initialisation",
    "He's initialisation solves the problem for networks of rectifiers.",
    "It keeps the mean square of the gradient at every depth, and the gradient itself up to a "
    "depth of about seven times the width: 100 layers of 128 units are healthy with probability "
    "{0}. At 3,000 layers, or with 8 units, rare networks with large gradients keep the mean "
    "square while the median falls.",
)
def he(m: Measurement) -> Found:
    leak = vgsim.Activation("leaky_relu", slope=0.1)
    cases = [
        m.chance("ReLU, 100 layers", mlp(100, "relu"), "healthy", MOSTLY),
        m.chance("leaky ReLU, 100 layers", mlp(100, leak), "healthy", MOSTLY),
        m.chance("ReLU, 3,000 layers", mlp(3000, "relu"), "healthy", MOSTLY, typical=False),
        m.chance(
            "ReLU, 8 units, 100 layers", mlp(100, "relu", 8), "healthy", MOSTLY, typical=False
        ),
        m.chance(
            "SiLU, 100 layers",
            mlp(100, "silu", init="he_normal"),
            "healthy",
            MOSTLY,
            typical=False,
        ),
    ]
    curve = m.depths(mlp(1, "relu"), (10, 100, 300, 600, 1000, 1500, 2000, 3000), 0.5)
    lines = [
        series(f"{100 * q:g} % quantile", curve.depths, curve.quantile(q, LEVEL))
        for q in (0.95, 0.5, 0.05)
    ]
    exact = constant(np.zeros(curve.depths.size))
    lines.append(series("root mean square (exact)", curve.depths, exact))
    caption = (
        "Quantiles of R of ReLU networks with He's initialisation, and log10 of the root mean "
        "square of ‖G_0‖/‖G_D‖."
    )
    return cases, Figure("curve", caption, "depth", "R", lines, LIMITS)


@claim(
    "Orthogonal initialisation",
    "Orthogonal matrices keep the norm of the gradient at any depth.",
    "The matrices do: a linear network of 10,000 layers is healthy with probability {0}, and tanh, "
    "which is linear near 0, loses little more. With ReLU (gain √2) the open units differ from "
    "layer to layer: the norm fluctuates, with 3/5 of the variance of R that Gaussian weights "
    "give in wide networks, and its median falls with the depth.",
)
def orthogonal(m: Measurement) -> Found:
    root = math.sqrt(2)
    settings: dict[str, tuple[str, dict[str, Any], bool]] = {
        "linear": ("linear", {}, True),
        "tanh": ("tanh", {}, True),
        "ReLU, gain √2": ("relu", {"gain": root}, False),
    }
    cases, lines = [], []
    depths = (30, 100, 300, 1000, 3000, 10_000)
    for name, (phi, fields, typical) in settings.items():
        network = mlp(10_000, phi, init="orthogonal", **fields)
        setting = f"{name}, 10,000 layers"
        cases.append(m.chance(setting, network, "healthy", MOSTLY, typical, share=0.2))
        lines.append(m.medians(name, network, depths, share=0.1))
    lines.append(m.medians("linear, Gaussian", mlp(1, "linear"), depths, share=0.1))
    caption = "Median of R with orthogonal weights, and of a linear network with Gaussian weights."
    return cases, Figure("curve", caption, "depth", "median of R", lines, SYMLOG)


@claim(
    "Small and large weights",
    "Small weights make the gradient vanish, large weights make it explode.",
    "Relative to a critical gain, which depends on the activation: a ReLU network with half of "
    "He's standard deviation vanishes within 100 layers with probability {0}. The sigmoid needs a "
    "gain above 10 to explode, and behind layer normalisation the scale of the weights cancels.",
)
def small_and_large(m: Measurement) -> Found:
    cases = [
        m.chance("ReLU, half of He's", mlp(100, "relu", gain=0.5), "vanishing", MOSTLY),
        m.chance("ReLU, twice He's", mlp(100, "relu", gain=2), "exploding", MOSTLY),
        m.chance("tanh, half of Glorot's", mlp(100, "tanh", gain=0.5), "vanishing", MOSTLY),
        m.chance("tanh, 3 times Glorot's", mlp(100, "tanh", gain=3), "exploding", MOSTLY),
        m.chance(
            "sigmoid, 3 times Glorot's",
            mlp(100, "sigmoid", gain=3),
            "exploding",
            MOSTLY,
            typical=False,
        ),
        m.chance(
            "ReLU, layer norm, half of He's",
            mlp(100, "relu", gain=0.5, norm="layer"),
            "vanishing",
            MOSTLY,
            typical=False,
        ),
    ]
    gains = np.linspace(0.6, 2.4, 10 if m.quick else 19)
    biases = np.linspace(0.0, 1.0, 6 if m.quick else 11)
    medians = [
        [m.samples(mlp(50, "tanh", gain=g, bias_std=b), 0.05).quantile(0.5) for g in gains.tolist()]
        for b in biases.tolist()
    ]
    heights = np.linspace(0.0, 1.0, 31).round(6).tolist()
    line = [rounded(float(vgsim.theory.critical_gain("tanh", bias_std=b))) for b in heights]
    values = {
        "x": gains.round(6).tolist(),
        "y": biases.round(6).tolist(),
        "values": [[rounded(value) for value in row] for row in medians],
        "line": [line, heights],
    }
    caption = "Median of R of tanh networks of 50 layers, with the critical line of theory."
    xlabel, ylabel = "gain of the weights σ_w", "standard deviation of the biases σ_b"
    return cases, Figure("heatmap", caption, xlabel, ylabel, [values], {"label": "median of R"})


@claim(
    "Biases",
    "The biases may start at zero or at small random values; for the gradient it makes no "
    "difference.",
    "With ReLU they make none: normal biases do not change the law of R, and P(vanishing) with "
    "biases of standard deviation 0.3 is {0}. With tanh it is {1}: biases move the units away from "
    "0, where the slope is 1, so that the slow decay becomes an exponential one. Larger weights "
    "make up for it.",
)
def biases(m: Measurement) -> Found:
    gain = float(vgsim.theory.critical_gain("tanh", bias_std=0.3))
    cases = [
        m.chance(
            "ReLU, σ_b = 0.3, 100 layers", mlp(100, "relu", bias_std=0.3), "vanishing", RARELY
        ),
        m.chance(
            "tanh, σ_b = 0.3, 100 layers", mlp(100, "tanh", bias_std=0.3), "vanishing", RARELY
        ),
        m.chance(
            "tanh, σ_b = 0.3, critical gain",
            mlp(100, "tanh", bias_std=0.3, gain=gain),
            "vanishing",
            RARELY,
            typical=False,
        ),
    ]
    depths = (10, 20, 40, 70, 100, 150, 200, 300)
    lines = [
        m.medians(f"{name}, σ_b = {std:g}", mlp(1, phi, bias_std=std), depths)
        for name, phi in (("ReLU", "relu"), ("tanh", "tanh"))
        for std in (0, 0.1, 0.3)
    ]
    caption = "Median of R by the standard deviation of the biases."
    return cases, Figure("curve", caption, "depth", "median of R", lines, LIMITS)


@claim(
    "Deeper is worse",
    "The deeper the network, the more the gradient vanishes or explodes.",
    "The number is the median of |R| at 1,000 layers minus that at 100, in decades: {0} for "
    "the sigmoid. Exempt are networks whose layers approach the identity as their number grows, "
    "clipped ones, and linear networks with orthogonal matrices.",
)
def deeper(m: Measurement) -> Found:
    scaled = vgsim.Residual(2, style="pre", branch="1/sqrt(blocks)")
    plain = vgsim.Residual(2, style="pre")
    settings = (
        ("sigmoid, Glorot", mlp(1, "sigmoid"), True),
        ("tanh, Glorot", mlp(1, "tanh"), True),
        ("ReLU, He", mlp(1, "relu"), True),
        ("ReLU, skip connections", mlp(2, "relu", residual=plain), True),
        ("ReLU, scaled skip connections", mlp(2, "relu", residual=scaled), False),
        ("tanh, gain 3, clipped", mlp(1, "tanh", gain=3, clip=vgsim.ClipNorm(1)), False),
        ("linear, orthogonal", mlp(1, "linear", init="orthogonal"), False),
    )
    cases, lines = [], []
    for name, network, typical in settings:
        curve = m.depths(network, DEPTHS, 0.5)
        sizes = [median_of(np.abs(s.log10_ratio[:, 0])) for s in curve.samples]
        worse = difference(sizes[-1], sizes[-3])
        cases.append(case(name, "decades of |R| more", worse, (0.25, None), typical))
        lines.append(series(name, curve.depths, joined(sizes)))
    options = {"symlog_y": 10}
    return cases, Figure("curve", "Median of |R|.", "depth", "median of |R|", lines, options)


@claim(
    "Wider is better",
    "Wider networks suffer less.",
    "The number is P(vanishing) of 16 units minus that of 256, at 500 layers: {0} for ReLU with "
    "He's initialisation. Width reduces the fluctuations: the variance of R grows as depth over "
    "width. It does not change the growth of the mean square, so it is no help where that "
    "decreases with the depth.",
)
def wider(m: Measurement) -> Found:
    cases, lines = [], []
    for name, phi, fields, typical in (
        ("ReLU, He", "relu", {}, True),
        ("linear, LeCun", "linear", {"init": "lecun_normal"}, True),
        ("sigmoid, Glorot", "sigmoid", {}, False),
        ("ReLU, Glorot", "relu", {"init": "glorot_normal"}, False),
    ):
        widths = (4, 8, 16, 32, 64, 128, 256)
        depth = 500
        found = [
            m.samples(mlp(depth, phi, n, **fields)).probability("vanishing", confidence_level=LEVEL)
            for n in widths
        ]
        gap = difference(found[widths.index(16)], found[-1])
        cases.append(case(name, "P(vanishing), 16 − 256 units", gap, (0.1, None), typical))
        lines.append(series(name, widths, joined(found)))
    caption = "P(vanishing) of networks of 500 layers; the last two curves are 1 throughout."
    return cases, Figure("probability", caption, "width", "P(vanishing)", lines)
