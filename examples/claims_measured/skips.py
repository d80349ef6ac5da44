"""Claims on skip connections and gates."""

from typing import Any

import vgsim
from claims_measured.activations import SYMLOG, mlp
from claims_measured.claim import MOSTLY, RARELY, Figure, Found, topic
from claims_measured.measurement import Measurement

claim = topic("Skip connections and gates")


@claim(
    "Residual blocks",
    "In a residual network the gradient passes through the skip connections without being "
    "multiplied, so it neither vanishes nor explodes.",
    "It does not vanish: P(vanishing) after 1,000 layers is {0}. But without normalisation each of "
    "the 500 branches adds about as much as the skip carries, and the sum explodes. With "
    "normalisation in the branches, as residual networks usually have it, the gradient grows as a "
    "power of the depth only. Branches scaled by 1/√blocks keep it at any depth.",
)
def residual(m: Measurement) -> Found:
    plain, scaled = (
        vgsim.Residual(2, style="pre", branch=branch) for branch in (1, "1/sqrt(blocks)")
    )
    deep = mlp(1000, "relu", residual=plain)
    kept = mlp(1000, "relu", residual=scaled)
    normalised = mlp(1000, "relu", residual=plain, norm="batch")
    batches: dict[str, Any] = {"batch_size": 32, "share": 0.05}
    cases = [
        m.chance("ReLU, 1,000 layers", deep, "vanishing", RARELY),
        m.chance("ReLU, 1,000 layers", deep, "exploding", RARELY),
        m.chance("ReLU, batch norm, 1,000 layers", normalised, "healthy", MOSTLY, **batches),
        m.chance("scaled by 1/√blocks", kept, "vanishing", RARELY, typical=False),
        m.chance("scaled by 1/√blocks", kept, "exploding", RARELY, typical=False),
    ]
    lines = [
        m.medians("no normalisation", deep),
        m.medians("batch norm", normalised, (10, 30, 100, 300, 1000), 0.04, batch_size=32),
        m.medians("scaled by 1/√blocks", kept),
        m.medians("no skips", mlp(1, "relu")),
    ]
    caption = (
        "Median of R of ReLU networks with He's initialisation, with skip connections and without."
    )
    return cases, Figure("curve", caption, "depth", "median of R", lines, SYMLOG)


@claim(
    "Output added two layers further",
    "It is enough to add the output of a layer to the output of the layer two further on: the "
    "gradient then reaches the first layers of networks of any depth.",
    "It reaches them: a sigmoid network of 100 layers, which otherwise always loses its gradient, "
    "has P(vanishing) = {0}. In a ReLU network the same sums make the gradient explode after some "
    "hundred layers.",
)
def two_further(m: Measurement) -> Found:
    skip = vgsim.Residual(2)
    cases = [
        m.chance("sigmoid, 100 layers", mlp(100, "sigmoid", residual=skip), "vanishing", RARELY),
        m.chance("tanh, 1,000 layers", mlp(1000, "tanh", residual=skip), "vanishing", RARELY),
        m.chance("ReLU, 1,000 layers", mlp(1000, "relu", residual=skip), "vanishing", RARELY),
        m.chance(
            "ReLU, 1,000 layers", mlp(1000, "relu", residual=skip), "exploding", RARELY, False
        ),
    ]
    names = (("sigmoid", "sigmoid"), ("tanh", "tanh"), ("ReLU", "relu"))
    lines = [m.medians(name, mlp(2, phi, residual=skip)) for name, phi in names]
    lines.append(m.medians("sigmoid, none", mlp(1, "sigmoid")))
    caption = "Median of R if x becomes x + φ(W φ(W x)) in every two layers."
    return cases, Figure("curve", caption, "depth", "median of R", lines, SYMLOG)


@claim(
    "Highway gates",
    "Highway gates with a negative bias let the gradient pass unimpeded through hundreds of "
    "layers.",
    "As many as the bias allows: a gate of bias b carries 1 − σ(b) of the gradient past each "
    "layer. With −2 the gradient of a sigmoid network of 30 layers vanishes with probability {0}, "
    "that of 300 layers with {1}. With −4 it is {3}, and 10,000 layers are too many even for −6. "
    "A tanh network with Glorot's initialisation loses less without gates than with the bias −2 "
    "(see the figure).",
)
def highway(m: Measurement) -> Found:
    def gated(depth: int, bias: float, phi: str = "sigmoid") -> vgsim.MLP:
        return mlp(depth, phi, highway=vgsim.Highway(bias))

    cases = [
        m.chance("sigmoid, bias −2, 30 layers", gated(30, -2), "vanishing", RARELY),
        m.chance("sigmoid, bias −2, 300 layers", gated(300, -2), "vanishing", RARELY),
        m.chance("tanh, bias −2, 300 layers", gated(300, -2, "tanh"), "vanishing", RARELY),
        m.chance("sigmoid, bias −4, 300 layers", gated(300, -4), "vanishing", RARELY),
        m.chance("sigmoid, bias −6, 10,000 layers", gated(10_000, -6), "vanishing", RARELY, False),
    ]
    depths = (10, 30, 100, 200, 300, 600, 1000)
    lines = [
        m.medians(f"sigmoid, bias {b}".replace("-", "−"), gated(1, b), depths) for b in (-2, -4, -6)
    ]
    lines.append(m.medians("tanh, bias −2", gated(1, -2, "tanh"), depths))
    lines.append(m.medians("tanh, no gates", mlp(1, "tanh"), depths))
    return cases, Figure("curve", "Median of R.", "depth", "median of R", lines, SYMLOG)
