"""Claims on activations."""

from typing import Any

import numpy as np

import vgsim
from claims_measured.claim import MOSTLY, RARELY, Figure, Found, topic
from claims_measured.measurement import (
    LEVEL,
    Measurement,
    case,
    constant,
    joined,
    median_of,
    series,
)

claim = topic("Activations")
WIDTH = 128
LIMITS: dict[str, Any] = {"lines_y": [-6, 6]}
SYMLOG = LIMITS | {"symlog_y": 10}


def mlp(depth: int, activation: Any, width: int = WIDTH, **fields: Any) -> vgsim.MLP:
    """Return an MLP; the initialisation is that of the textbooks for its activation by default."""
    return vgsim.MLP(depth, width, activation=activation, **fields)


def against_depth(caption: str, lines: list[dict[str, Any]]) -> Figure:
    """Return a figure of P(vanishing) against the depth."""
    return Figure("probability", caption, "depth", "P(vanishing)", lines)


@claim(
    "Sigmoid",
    "Sigmoid units make the gradient of a deep network vanish.",
    "Ten layers are enough with Glorot's initialisation: P(vanishing) is {0}. The slope is a "
    "quarter at most, and no choice of weights in use compensates for it: that takes a gain of "
    "10.1, and from there on the gradient explodes instead.",
)
def sigmoid(m: Measurement) -> Found:
    cases = [
        m.chance("Glorot, 10 layers", mlp(10, "sigmoid"), "vanishing", MOSTLY),
        m.chance("Glorot, 100 layers", mlp(100, "sigmoid"), "vanishing", MOSTLY),
        m.chance("gain 4, 100 layers", mlp(100, "sigmoid", gain=4), "vanishing", MOSTLY),
        m.chance(
            "gain 12, 100 layers", mlp(100, "sigmoid", gain=12), "vanishing", MOSTLY, typical=False
        ),
    ]
    lines = [
        m.probabilities(
            f"gain {gain}",
            mlp(1, "sigmoid", gain=gain),
            depths=(3, 6, 8, 9, 10, 12, 15, 20, 30, 60, 100),
        )
        for gain in (1, 4, 12)
    ]
    return cases, against_depth("P(vanishing) of sigmoid networks by gain.", lines)


@claim(
    "Tanh",
    "The hyperbolic tangent makes gradients vanish as the sigmoid does: with a probability that "
    "tends to 1 as the network gets deeper.",
    "With Glorot's initialisation tanh is at the edge of chaos. The gradient shrinks, but over "
    "thousands of layers and not over ten: after 10,000 layers P(vanishing) is {0}. With weights "
    "20 % smaller it vanishes exponentially, with weights twice as large it explodes.",
)
def tanh(m: Measurement) -> Found:
    cases = [
        m.chance("Glorot, 10,000 layers", mlp(10_000, "tanh"), "vanishing", MOSTLY),
        m.chance("gain 0.8, 300 layers", mlp(300, "tanh", gain=0.8), "vanishing", MOSTLY),
        m.chance("Glorot, 100 layers", mlp(100, "tanh"), "vanishing", MOSTLY, typical=False),
        m.chance(
            "gain 2, 10,000 layers", mlp(10_000, "tanh", gain=2), "vanishing", MOSTLY, typical=False
        ),
    ]
    depths = (30, 100, 300, 1000, 2000, 3000, 5000, 10_000)
    lines = [
        m.probabilities(f"gain {gain}", mlp(1, "tanh", gain=gain), depths=depths, share=0.5)
        for gain in (0.8, 1, 2)
    ]
    lines.append(m.probabilities("sigmoid", mlp(1, "sigmoid"), depths=(5, 8, 10, 15, 30)))
    return cases, against_depth("P(vanishing) of tanh networks by gain, and of sigmoid.", lines)


@claim(
    "Quarter per layer",
    "The derivative of the sigmoid is at most 1/4, so the gradient falls to a quarter or less "
    "with every layer.",
    "The number is the change of the mean of R per layer, −0.602 for a quarter. With Glorot's "
    "initialisation it is {0}. The weights take part, however: with twice as large ones it is "
    "{1}, and a layer keeps more than a quarter.",
)
def quarter(m: Measurement) -> Found:
    region = (None, float(np.log10(0.25)))
    cases, lines = [], []
    for gain, typical in ((1, True), (2, False), (4, False)):
        curve = m.depths(mlp(1, "sigmoid", gain=gain), (5, 10, 20, 40), 0.5)
        slope = curve.depth_scale(LEVEL).slope
        unit = 2 * np.log(10)  # ln of the square to log10 of the norm
        slope = vgsim.Estimate(
            slope.estimate / unit, slope.low / unit, slope.high / unit, LEVEL, ""
        )
        cases.append(case(f"gain {gain}", "decades per layer", slope, region, typical))
        lines.append(series(f"gain {gain}", curve.depths, curve.quantile(0.5, LEVEL)))
    depths = np.array(lines[0]["x"])
    bound = depths * np.log10(0.25)
    lines.append(series("a quarter per layer", depths, constant(bound)))
    caption = "Median of R of sigmoid networks."
    return cases, Figure("curve", caption, "depth", "median of R", lines, LIMITS)


@claim(
    "Saturation",
    "Gradients vanish because units saturate: the derivative of a saturated unit is close to zero.",
    "The second half of the sentence defines saturation (here: a slope below 5 % of the largest). "
    "The first half fails at initialisation. The sigmoid network that loses all its gradient has "
    "{0} of its units saturated. In the tanh network of gain 3 that fraction is {2}, but its "
    "gradient explodes, since the large weights that saturate the units also multiply the "
    "gradient. Where large biases saturate the units, the gradient does vanish.",
)
def saturation(m: Measurement) -> Found:
    def saturated(samples: vgsim.Samples) -> vgsim.Estimate:
        return median_of(samples.saturation.mean(axis=1))

    every: dict[str, Any] = {"layers": None, "record": ["gradient", "saturation"]}
    quantity, many = "saturated fraction (median)", (0.1, None)
    large, biased = mlp(100, "tanh", gain=3), mlp(100, "tanh", bias_std=3)
    cases = [
        case(
            "sigmoid, 30 layers", quantity, saturated(m.samples(mlp(30, "sigmoid"), **every)), many
        ),
        m.chance("tanh, gain 3, 100 layers", large, "vanishing", MOSTLY),
    ]
    for name, network in (("gain 3", large), ("σ_b = 3", biased)):
        found = saturated(m.samples(network, 0.5, **every))
        cases.append(case(f"tanh, {name}, 100 layers", quantity, found, many, False))
    cases.append(m.chance("tanh, σ_b = 3, 100 layers", biased, "vanishing", MOSTLY, False))
    gains, fractions, chances = (0.5, 1, 1.5, 2, 3, 5), [], []
    for gain in gains:
        s = m.samples(mlp(100, "tanh", gain=gain), 0.5, **every)
        fractions.append(saturated(s))
        chances.append(s.probability("vanishing", confidence_level=LEVEL))
    lines = [
        series(label, gains, joined(found))
        for label, found in (("saturated fraction", fractions), ("P(vanishing)", chances))
    ]
    caption = "Saturated units and vanishing gradients of tanh networks of 100 layers."
    return cases, Figure(
        "probability", caption, "gain of the weights", "fraction, probability", lines
    )


@claim(
    "ReLU",
    "ReLU does not suffer from vanishing gradients, since its slope is 1 for every active unit.",
    "It holds for He's initialisation and depths D up to about seven times the width n: in 100 "
    "layers of 128 units P(vanishing) is {0}. Half of the units are off, so smaller weights lose a "
    "factor per layer. With He's the logarithm ln(‖G_0‖²/‖G_D‖²) has mean −2.5 D/n and variance "
    "5 D/n, to leading order, so deep or narrow networks lose their gradient too.",
)
def relu(m: Measurement) -> Found:
    cases = [
        m.chance("He, 100 layers", mlp(100, "relu"), "vanishing", RARELY),
        m.chance("He, 3,000 layers", mlp(3000, "relu"), "vanishing", RARELY, typical=False),
        m.chance(
            "He, 16 units, 500 layers", mlp(500, "relu", 16), "vanishing", RARELY, typical=False
        ),
        *(
            m.chance(
                f"{name}, 100 layers",
                mlp(100, "relu", init=init),
                "vanishing",
                RARELY,
                typical=False,
            )
            for name, init in (("Glorot", "glorot_normal"), ("PyTorch", "torch_default"))
        ),
    ]
    depths = (10, 30, 60, 100, 200, 300, 500, 1000, 2000, 3000)
    lines = [
        m.probabilities(f"He, {n} units", mlp(1, "relu", n), depths=depths) for n in (16, 64, 128)
    ]
    glorot = mlp(1, "relu", init="glorot_normal")
    lines.append(m.probabilities("Glorot, 128 units", glorot, depths=depths[:7]))
    return cases, against_depth("P(vanishing) of ReLU networks, with the exact law.", lines)


@claim(
    "Dying ReLU",
    "ReLU units can die; a leaky ReLU cannot, so its gradient does not vanish.",
    "At initialisation a layer of n ReLU units is off as a whole with probability 2^−n, which "
    "matters if the depth is near 2^n; units that die in training are not measured here. A layer "
    "of leaky ReLU never is: P(dead) is {0}. But its gradient fluctuates as much as that of ReLU, "
    "and in deep networks it vanishes nearly as often: {1} after 3,000 layers.",
)
def leaky(m: Measurement) -> Found:
    leak = vgsim.Activation("leaky_relu", slope=0.01)
    cases = [
        m.chance("leaky ReLU, 8 units, 100 layers", mlp(100, leak, 8), "dead", RARELY),
        m.chance("leaky ReLU, 3,000 layers", mlp(3000, leak), "vanishing", RARELY),
        m.chance("ReLU, 8 units, 100 layers", mlp(100, "relu", 8), "dead", (0.1, None)),
        m.chance("ReLU, 100 layers", mlp(100, "relu"), "dead", (0.1, None), typical=False),
    ]
    depths, lines = (10, 30, 60, 100, 200, 300, 500, 1000), []
    for name, phi in (("ReLU", "relu"), ("leaky ReLU", leak)):
        for event in ("dead", "vanishing"):
            label = f"{name}, {event}"
            lines.append(m.probabilities(label, mlp(1, phi, 8), event, depths))
    caption = "Dead and vanishing gradients in layers of 8 units, with the exact laws."
    return cases, Figure("probability", caption, "depth", "probability", lines)


@claim(
    "ELU",
    "ELU avoids the vanishing gradient.",
    "For up to 1,000 layers: P(vanishing) is {0} with He's initialisation, which is too large for "
    "ELU, so that the gradient begins to explode at such depths instead. With LeCun's, which has "
    "half the variance, it decays slowly, as that of tanh, and has vanished after 10,000 layers.",
)
def elu(m: Measurement) -> Found:
    cases = [
        m.chance("He, 1,000 layers", mlp(1000, "elu"), "vanishing", RARELY),
        m.chance("He, 1,000 layers", mlp(1000, "elu"), "exploding", RARELY, typical=False),
        *(
            m.chance(
                f"LeCun, {depth:,} layers",
                mlp(depth, "elu", init="lecun_normal"),
                "vanishing",
                RARELY,
                typical=False,
            )
            for depth in (1000, 10_000)
        ),
    ]
    lines = [
        m.medians("ELU, He", mlp(1, "elu")),
        m.medians("ELU, LeCun", mlp(1, "elu", init="lecun_normal")),
        m.medians("ReLU, He", mlp(1, "relu")),
    ]
    caption = "Median of R; the gradient has vanished below −6 and exploded above 6."
    return cases, Figure("curve", caption, "depth", "median of R", lines, LIMITS)


@claim(
    "SELU",
    "Self-normalising networks make vanishing and exploding gradients impossible.",
    "The activations keep mean 0 and variance 1, but the squared gradient grows by 1.07 per layer. "
    "In tens of layers that is harmless; after 1,000 layers the gradient does not vanish "
    "(P(vanishing) is {0}), it explodes.",
)
def selu(m: Measurement) -> Found:
    deep = mlp(1000, "selu")
    cases = [
        m.chance("1,000 layers", deep, "vanishing", RARELY),
        m.chance("1,000 layers", deep, "exploding", RARELY),
        m.chance("100 layers", mlp(100, "selu"), "exploding", RARELY, typical=False),
    ]
    depths = (30, 100, 200, 300, 400, 500, 700, 1000)
    lines = [m.probabilities(e, mlp(1, "selu"), e, depths) for e in ("vanishing", "exploding")]
    caption = "Both probabilities of a SELU network with LeCun's initialisation."
    return cases, Figure("probability", caption, "depth", "probability", lines)


@claim(
    "Smooth relatives of ReLU",
    "GELU and SiLU are drop-in replacements of ReLU.",
    "In ten layers they are: P(vanishing) is {0} with GELU and He's initialisation. In deep plain "
    "networks they are not: the activations shrink, their slope at 0 is ½, and the gradient then "
    "loses a factor √2 per layer. After 100 layers P(vanishing) is {1}. Layer normalisation keeps "
    "the activations from shrinking, and prevents it.",
)
def smooth(m: Measurement) -> Found:
    cases = [m.chance("GELU, He, 10 layers", mlp(10, "gelu"), "vanishing", RARELY)]
    for name, phi in (("GELU", "gelu"), ("SiLU", "silu")):
        cases.append(m.chance(f"{name}, He, 100 layers", mlp(100, phi), "vanishing", RARELY))
    for name, phi in (("GELU", "gelu"), ("SiLU", "silu")):
        network, setting = mlp(100, phi, norm="layer"), f"{name}, He, layer norm, 100 layers"
        cases.append(m.chance(setting, network, "vanishing", RARELY, typical=False))
    names = (("ReLU", "relu"), ("GELU", "gelu"), ("SiLU", "silu"), ("ELU", "elu"))
    lines = [m.medians(name, mlp(1, phi), (5, 10, 20, 40, 70, 100)) for name, phi in names]
    caption = "Median of R with He's initialisation."
    return cases, Figure("curve", caption, "depth", "median of R", lines, LIMITS)


@claim(
    "Updates of early layers",
    "The updates of the early layers are insignificantly small.",
    "The number is the median difference of log10 of the relative gradient ‖∂L/∂W‖/‖W‖ between "
    "the first matrix and the last. It is {0} in a sigmoid network of 10 layers, so that one step "
    "size cannot serve both. With tanh it is {1}: all layers get updates of about the same size. "
    "In a ReLU network with He's initialisation and layers of one width, the norm of the weight "
    "gradient has exactly the same law in every layer.",
)
def updates(m: Measurement) -> Found:
    cases, lines = [], []
    for name, network, typical in (
        ("sigmoid, 10 layers", mlp(10, "sigmoid"), True),
        ("tanh, 10 layers", mlp(10, "tanh"), True),
        ("tanh, 100 layers", mlp(100, "tanh"), False),
        ("ReLU, He, 100 layers", mlp(100, "relu"), False),
    ):
        depth = network.depth
        layers = np.unique(np.linspace(1, depth, 10).round().astype(int)).tolist()
        s = m.samples(network, 0.5, layers=layers, record=["update_ratio"])
        gap = s.update_ratio - s.update_ratio[:, -1:]
        cases.append(case(name, "decades, first − last", median_of(gap[:, 0]), (None, -3), typical))
        places = (np.array(layers) - 1) / (depth - 1)
        found = [median_of(column) for column in gap.T[:-1]]
        lines.append(series(name, places[:-1], joined(found)))
    caption = "Relative weight gradient of each layer, in decades above that of the last."
    return cases, Figure("curve", caption, "position from first to last layer", "decades", lines)
