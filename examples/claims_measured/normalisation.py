"""Claims on normalisation, gradient clipping and half precision."""

from typing import Any

import vgsim
from claims_measured.activations import LIMITS, SYMLOG, mlp
from claims_measured.claim import MOSTLY, RARELY, Figure, Found, topic
from claims_measured.measurement import LEVEL, Measurement, case, difference, median_of, series

claim = topic("Normalisation, clipping, precision")


@claim(
    "Batch normalisation",
    "Batch normalisation keeps every layer's inputs at mean 0 and variance 1, and so prevents "
    "vanishing and exploding gradients.",
    "Forward it does what it says: the size of the activations changes by {0} decades from layer "
    "10 to layer 100. Backward it prevents vanishing, even with a sigmoid. But in a wide ReLU "
    "network the norm of the gradient grows by √(π/(π−1)) = 1.21 per layer at initialisation, and "
    "by more if the batch is small (32 examples here): 100 layers explode.",
)
def batch(m: Measurement) -> Found:
    run: dict[str, Any] = {"batch_size": 32, "share": 0.1}
    relu, sigmoid = (mlp(100, phi, norm="batch") for phi in ("relu", "sigmoid"))
    s = m.samples(relu, layers=[10, 100], record=["activation"], **run)
    change = median_of(s.activation[:, 1] - s.activation[:, 0])
    cases = [
        case("ReLU, activations", "decades from layer 10 to 100", change, (-0.05, 0.05)),
        m.chance("sigmoid, 100 layers", sigmoid, "vanishing", RARELY, **run),
        m.chance("ReLU, 100 layers", relu, "vanishing", RARELY, **run),
        m.chance("ReLU, 100 layers", relu, "exploding", RARELY, **run),
        m.chance(
            "ReLU, 20 layers", mlp(20, "relu", norm="batch"), "exploding", RARELY, False, **run
        ),
    ]
    depths = (5, 10, 20, 40, 70, 100)
    lines = []
    for name, phi in (("ReLU", "relu"), ("sigmoid", "sigmoid")):
        network = mlp(1, phi, norm="batch")
        lines.append(m.medians(f"{name}, batch norm", network, depths, 0.05, batch_size=32))
    lines.append(m.medians("ReLU, none", mlp(1, "relu"), depths))
    lines.append(m.medians("sigmoid, none", mlp(1, "sigmoid"), depths[:4]))
    caption = "Median of R with batch normalisation (32 examples) and without."
    return cases, Figure("curve", caption, "depth", "median of R", lines, LIMITS)


@claim(
    "Layer normalisation",
    "Layer normalisation makes the gradient independent of the initialisation.",
    "Of the scale of the weights, yes: the median of R of a tanh network of 100 layers whose "
    "weights are nine times too small differs from that with Glorot's by {0} decades. Not of the "
    "activation: the sigmoid still loses 0.4 decades per layer, and tanh gains 0.035, which makes "
    "the gradient explode in some hundred layers.",
)
def layer(m: Measurement) -> Found:
    tiny = vgsim.Initializer("normal", std=0.01)
    small, usual = mlp(100, "tanh", init=tiny, norm="layer"), mlp(100, "tanh", norm="layer")
    gap = difference(m.median(small), m.median(usual))
    setting = "tanh, weights of std 0.01 − Glorot"
    cases = [
        case(setting, "decades of the median of R", gap, (-0.25, 0.25)),
        m.chance("tanh, weights of std 0.01", small, "healthy", MOSTLY),
        m.chance("ReLU, He", mlp(100, "relu", norm="layer"), "healthy", MOSTLY),
        m.chance(
            "ReLU, PyTorch's default",
            mlp(100, "relu", init="torch_default", norm="layer"),
            "healthy",
            MOSTLY,
        ),
        m.chance("sigmoid", mlp(100, "sigmoid", norm="layer"), "healthy", MOSTLY, typical=False),
        m.chance(
            "tanh, 300 layers", mlp(300, "tanh", norm="layer"), "healthy", MOSTLY, typical=False
        ),
    ]
    depths = (5, 10, 20, 40, 70, 100)
    lines = [
        m.medians("tanh, std 0.01, layer norm", mlp(1, "tanh", init=tiny, norm="layer"), depths),
        m.medians("tanh, std 0.01, none", mlp(1, "tanh", init=tiny), depths),
        m.medians("sigmoid, layer norm", mlp(1, "sigmoid", norm="layer"), depths),
        m.medians("sigmoid, none", mlp(1, "sigmoid"), depths),
    ]
    caption = "Median of R with layer normalisation and without."
    return cases, Figure("curve", caption, "depth", "median of R", lines, LIMITS)


@claim(
    "Gradient clipping",
    "Clipping keeps gradients from becoming too small or too large.",
    "Too large, yes: if every G_l is clipped to norm 1 on the way back, P(exploding) is {0}. A "
    "gradient that is too small is never clipped, and vanishes as without clipping. (Clipping all "
    "gradients together after the backward pass bounds the step, and does not change R at all.)",
)
def clipping(m: Measurement) -> Found:
    clip = vgsim.ClipNorm(1)
    large: dict[str, Any] = {"activation": "tanh", "gain": 3}
    small: dict[str, Any] = {"activation": "sigmoid"}
    cases = [
        m.chance("tanh, gain 3, 100 layers", mlp(100, **large, clip=clip), "exploding", RARELY),
        m.chance("sigmoid, 100 layers", mlp(100, **small, clip=clip), "vanishing", RARELY),
    ]
    lines = [
        m.medians(f"{name}, {text}", mlp(1, **fields, clip=with_clip))
        for name, fields in (("tanh, gain 3", large), ("sigmoid", small))
        for text, with_clip in (("clipped", clip), ("not clipped", None))
    ]
    caption = "Median of R with clipping of every G_l to norm 1, and without."
    return cases, Figure("curve", caption, "depth", "median of R", lines, SYMLOG)


@claim(
    "Half precision",
    "In half precision small gradients underflow to zero.",
    "In float16 they do: a sigmoid network of 20 layers underflows with probability {0}, if the "
    "entries of G_D have standard deviation 1. (Underflow: the root mean square of some G_l is "
    "below half the smallest positive number of the type.) A gradient that keeps its size does not "
    "underflow, and bfloat16 has the exponents of float32.",
)
def half(m: Measurement) -> Found:
    cases = [
        m.chance("sigmoid, 20 layers", mlp(20, "sigmoid"), "underflow", MOSTLY, dtype="float16"),
        m.chance(
            "sigmoid, 20 layers",
            mlp(20, "sigmoid"),
            "underflow",
            MOSTLY,
            typical=False,
            dtype="bfloat16",
        ),
        m.chance(
            "ReLU, He, 100 layers",
            mlp(100, "relu"),
            "underflow",
            MOSTLY,
            typical=False,
            dtype="float16",
        ),
    ]
    lines, depths = [], (5, 8, 10, 11, 12, 13, 15, 20, 40, 60, 63, 66, 70, 80)
    for dtype in ("float16", "bfloat16", "float32"):
        curve = m.depths(mlp(1, "sigmoid"), depths, 0.5)
        found = curve.probability("underflow", dtype=dtype, confidence_level=LEVEL)
        lines.append(series(f"sigmoid, {dtype}", curve.depths, found))
    caption = "Probability that some G_l underflows, in layers of 128 units."
    return cases, Figure("probability", caption, "depth", "P(underflow)", lines)
