"""Composed networks of every operation and how they are run: kernels against twin, and bits."""

from __future__ import annotations

import numpy as np

import vgsim
from vgsim import Attention, Dropout, Gate, Linear, Norm, Sequential, Skip

LAYER, RMS, BATCH = (Norm(kind) for kind in ("layer", "rms", "batch"))
LEAKY = vgsim.Activation("leaky_relu")
TOKENS = {"tokens": 4}
DATA = np.random.default_rng(5).normal(size=(7, 6)) + 0.3
SENTENCES = np.random.default_rng(6).normal(size=(5, 3, 6))
REPEATED = SENTENCES[[0, 1, 2, 2, 3]] * np.array([1.0, 1.0, 0.0])[:, np.newaxis]  # last token: 0


def mlp(n, phi="gelu", wide=2, **law):
    """Return two linear layers, `wide` times as wide between them."""
    return [Linear(wide * n, **law), phi, Linear(n, **law)]


def pre(n, heads=2, causal=True, **law):
    """Return a transformer block with normalisation before attention and MLP."""
    return [Skip([LAYER, Attention(heads, causal=causal, **law)]), Skip([LAYER, *mlp(n)])]


def post(n, heads=2):
    """Return a transformer block with normalisation after the sums."""
    return [Skip([Attention(heads)]), LAYER, Skip(mlp(n, "relu")), LAYER]


GATED = Gate([Linear(bias_std=0.2), "tanh"], bias=-1.0)
NESTED = Skip([Gate([Linear(), ["tanh", Linear(bias_std=0.3)]]), Skip([RMS, "silu", Linear()])])

# name: (network, settings); for both engines.
LISTS = {
    "read-out": (
        Sequential(6, [Linear(9, init="he_normal"), "relu"] * 3 + [Linear(4, gain=0.5)]),
        {"batch_size": 3},
    ),
    "linear maps alone": (Sequential(5, [Linear(8), Linear(3), Linear(7, bias_std=0.3)]), {}),
    "settings of each layer": (
        Sequential(
            6,
            [
                *(Linear(7, gain=1.4, bias_std=0.1), "tanh", Linear(5, init="orthogonal"), LEAKY),
                *(Linear(8, init="glorot_normal", gain=2.0), "softsign", "erf", Linear(3)),
            ],
        ),
        {"batch_size": 4, "loss": "mse"},
    ),
    "no matrices": (Sequential(6, ["tanh", LAYER, Dropout(0.2), "gelu", RMS]), {"batch_size": 2}),
    "one activation": (Sequential(6, ["tanh"]), {}),
    "norms alone": (Sequential(6, [LAYER, RMS, BATCH, Norm("layer", eps=0.1)]), {"batch_size": 5}),
    "layer norm": (Sequential(6, [Linear(bias_std=0.2), LAYER, "gelu"] * 5), {"batch_size": 3}),
    "layer norm, one": (Sequential(6, [Linear(), LAYER, "relu"] * 5), {}),
    "rms norm": (Sequential(6, [RMS, Linear(8), "elu", RMS, Linear(6)] * 3), {"batch_size": 2}),
    "batch norm": (
        Sequential(7, [Linear(bias_std=0.5), BATCH, "relu"] * 4 + [Linear(3)]),
        {"batch_size": 6},
    ),
    "batch norm in groups": (
        Sequential(7, [[Linear(bias_std=0.5), BATCH, "relu"]] * 4),
        {"batch_size": 5, "loss": "cross_entropy"},
    ),
    "batch norm of the input": (
        Sequential(6, [BATCH, Skip([BATCH, Linear(bias_std=0.1), "tanh"]), BATCH, Linear(4)]),
        {"batch_size": 5, "inputs": DATA},
    ),
    "batch norm of tokens": (Sequential(6, [Linear(), BATCH, "tanh"] * 3, **TOKENS), {}),
    "dropout": (Sequential(8, [Linear(), LEAKY, Dropout(0.3)] * 5), {"batch_size": 3}),
    "dropout of one": (Sequential(9, [Dropout(0.4), Linear(), "tanh"] * 5), {}),
    "dropout beside a norm": (
        Sequential(
            8, [Skip([Dropout(0.1), LAYER, Linear(12), Dropout(0.5), "silu", Linear(8)])] * 4
        ),
        {"batch_size": 2},
    ),
    "skips": (
        Sequential(6, [Skip([Linear(), "tanh"], skip=0.8, branch=0.5)] * 6),
        {"batch_size": 3},
    ),
    "skip of one": (Sequential(6, [Skip(["tanh", Linear(bias_std=0.1)], branch=-0.7)] * 6), {}),
    "skips of no matrices": (
        Sequential(6, [Skip(["tanh"]), Skip([LAYER], branch=-0.5), Skip([Dropout(0.3)])]),
        {"batch_size": 3},
    ),
    "branches of other sizes": (
        Sequential(
            5, [Skip([Linear(), "tanh"], branch=1e-30), Skip([Linear(), "tanh"], skip=0.0)] * 2
        ),
        {"batch_size": 2},
    ),
    "skips in skips": (
        Sequential(6, [Skip([Skip([Skip([Linear(), "tanh"]), LAYER]), Linear()]), Skip([NESTED])]),
        {"batch_size": 2},
    ),
    "widening": (
        Sequential(5, [Skip([RMS, *mlp(5, wide=4, bias_std=0.1)])] * 4 + [LAYER, Linear(2)]),
        {"batch_size": 3, "loss": "cross_entropy"},
    ),
    "gates": (Sequential(6, [GATED] * 5), {"batch_size": 3}),
    "gate of one": (Sequential(6, [GATED] * 5), {}),
    "gates in gates": (
        Sequential(
            6, [Gate([GATED, Linear(), GATED], bias=0.5, gain=2.0), Linear(4), Gate(["tanh"])]
        ),
        {"batch_size": 2, "loss": "mse"},
    ),
    "a gate of norms": (
        Sequential(6, [Gate([LAYER, Linear(9), "relu", Dropout(0.2), Linear(6), RMS]), BATCH] * 3),
        {"batch_size": 4},
    ),
    "nested": (Sequential(6, [NESTED, [NESTED, "tanh"]] * 2), {"batch_size": 2}),
    "groups": (
        Sequential(6, [[Linear(9), [BATCH, "relu", [Linear(6)]]], [[["tanh"]]], [Linear(2)]] * 1),
        {"batch_size": 4},
    ),
    "attention alone": (Sequential(8, [Attention(2, gain=1.3)] * 3, **TOKENS), {"batch_size": 2}),
    "attention, one sequence": (Sequential(8, [Attention(4)] * 2, **TOKENS), {}),
    "causal attention": (
        Sequential(6, [Attention(3, causal=True, bias_std=0.4), "tanh"] * 3, tokens=5),
        {"batch_size": 2},
    ),
    "attention with gains": (
        Sequential(
            6, [Skip([Attention(1, gain=1.4, value_gain=1.1, output_gain=0.9)])] * 3, tokens=3
        ),
        {"loss": "mse"},
    ),
    "sharp attention": (Sequential(6, [Attention(1, gain=3.0)] * 3, tokens=3), {"batch_size": 2}),
    "attention of one token": (Sequential(6, [Attention(2, bias_std=0.2)] * 3), {}),
    "attention of one token, batch": (Sequential(6, [Attention(2), "tanh"] * 3), {"batch_size": 3}),
    "attention of one unit a head": (Sequential(3, [Attention(3)] * 3, tokens=3), {}),
    "heads of two and three units": (
        Sequential(4, [Attention(2), Linear(12), Attention(4, causal=True)], tokens=6),
        {"batch_size": 2},
    ),
    "heads of six units": (Sequential(12, [Skip([RMS, Attention(2)])] * 2, tokens=9), {}),
    "orthogonal attention": (
        Sequential(6, [Skip([LAYER, Attention(2, init="orthogonal", bias_std=0.1)])] * 3, tokens=3),
        {"batch_size": 2},
    ),
    "attention before the product": (
        Sequential(6, [Gate([Attention(2, causal=True), Dropout(0.1)])] * 3, tokens=3),
        {"batch_size": 2},
    ),
    "pre-norm": (Sequential(8, pre(8) * 4, **TOKENS), {"batch_size": 2}),
    "pre-norm, one sequence": (Sequential(8, pre(8) * 4 + [LAYER, Linear(5)], **TOKENS), {}),
    "pre-norm, cross-entropy": (
        Sequential(8, [Linear(8), *pre(8, causal=False) * 2, RMS, Linear(4)], **TOKENS),
        {"batch_size": 2, "loss": "cross_entropy"},
    ),
    "pre-norm in groups": (
        Sequential(8, [pre(8, bias_std=0.2)] * 3, **TOKENS),
        {"batch_size": 2, "loss": "mse"},
    ),
    "post-norm": (Sequential(8, post(8) * 3, **TOKENS), {"batch_size": 2}),
    "post-norm in groups": (Sequential(8, [post(8)] * 3, **TOKENS), {}),
    "deep-norm": (
        Sequential(
            8,
            [
                *(Skip([Attention(2, value_gain=0.6, output_gain=0.6)], skip=1.7), LAYER),
                *(Skip(mlp(8, gain=0.6), skip=1.7), LAYER),
            ]
            * 3,
            tokens=3,
        ),
        {"batch_size": 2},
    ),
    "many tokens": (Sequential(24, pre(24, heads=4) * 2, tokens=21), {}),
    "sentences": (
        Sequential(6, pre(6, heads=3), tokens=3),
        {"batch_size": 4, "inputs": SENTENCES},
    ),
    "sentences that repeat": (
        Sequential(6, [Attention(2, bias_std=0.2), Linear(5), "tanh"], tokens=3),
        {"batch_size": 4, "inputs": REPEATED},
    ),
    "rows of data": (
        Sequential(6, [Linear(9), "relu", Skip([Linear(bias_std=0.2), "tanh"]), Linear(3)]),
        {"batch_size": 4, "inputs": DATA, "loss": "mse"},
    ),
    "tokens without attention": (
        Sequential(6, [Linear(), "tanh", Skip([RMS, Linear()])], tokens=3),
        {},
    ),
    "clipped norms": (
        Sequential(8, pre(8) * 3, **TOKENS, clip=vgsim.ClipNorm(7.0)),
        {"batch_size": 2},
    ),
    "clipped values": (
        Sequential(6, [NESTED, GATED, Linear(gain=2.0)] * 2, clip=vgsim.ClipValue(0.8)),
        {"batch_size": 2},
    ),
    "clipped values of attention": (
        Sequential(6, [Skip([Attention(2, gain=1.5)])] * 3, tokens=3, clip=vgsim.ClipValue(1.0)),
        {},
    ),
    "clipped, one column": (
        Sequential(6, [Linear(gain=1.6), "tanh"] * 4, clip=vgsim.ClipNorm(2.0)),
        {},
    ),
    "orthogonal": (
        Sequential(6, [Linear(9, init="orthogonal"), "tanh", Linear(4, init="orthogonal")] * 2),
        {"batch_size": 3},
    ),
    "orthogonal blocks": (
        Sequential(5, [Skip([LAYER, *mlp(5, init="orthogonal", bias_std=0.1)])] * 4),
        {"batch_size": 3},
    ),
    "orthogonal gate": (
        Sequential(5, [Gate([Linear(init="orthogonal"), "tanh"], init="orthogonal")] * 4),
        {"batch_size": 2},
    ),
    "narrow": (
        Sequential(2, [LAYER, Linear(), "relu", RMS, Linear(1), "tanh", Linear(2), LAYER, "tanh"]),
        {"batch_size": 3},
    ),
    "narrow, one": (Sequential(2, [Skip([LAYER, Linear(2), LEAKY]), Linear(1), RMS, "relu"]), {}),
    "one unit": (Sequential(1, [Linear(1, bias_std=0.5), "tanh"] * 4), {"batch_size": 3}),
    "more columns than units": (Sequential(3, pre(3, heads=1) * 2, tokens=5), {"batch_size": 2}),
    "fused, activations last": (
        Sequential(6, [Linear(7, bias_std=0.3), "tanh", Linear(4, gain=1.4), "tanh"] * 3),
        {},
    ),
    "fused, groups": (
        Sequential(6, [[Linear(7), "gelu"], [Linear(6, bias_std=0.1), "gelu"]] * 3),
        {},
    ),
    "fused, tails": (Sequential(2, [Linear(gain=20.0), "softplus"] * 3), {}),
    "fused, relu": (Sequential(12, [Linear(init="he_normal"), "relu"] * 8), {}),
}

# Lists for the dense engine only.
DRAWN = {
    "uniform": (
        Sequential(6, [Skip([LAYER, *mlp(6, init="he_uniform")]), Linear(4, init="lecun_uniform")]),
        {"batch_size": 3},
    ),
    "truncated": (
        Sequential(6, [Attention(2, init="truncated_normal"), "tanh"] * 3, tokens=3),
        {"batch_size": 2},
    ),
    "torch_default": (
        Sequential(
            6,
            [
                Skip([RMS, Attention(2, init="torch_default")]),
                Gate([Linear(init="torch_default"), "silu"], init="torch_default"),
                Linear(3, init="torch_default"),
            ],
            tokens=3,
        ),
        {"batch_size": 2},
    ),
    "laws together": (
        Sequential(
            6,
            [
                *(
                    Linear(9, init="torch_default"),
                    "relu",
                    Linear(5, init="orthogonal", bias_std=0.2),
                ),
                *(
                    BATCH,
                    "tanh",
                    Linear(7, init="truncated_normal"),
                    Linear(4, init="glorot_uniform"),
                ),
            ],
        ),
        {"batch_size": 4, "loss": "cross_entropy"},
    ),
    "fused, torch_default": (Sequential(6, [Linear(9, init="torch_default"), "relu"] * 4), {}),
    "fused, uniform": (
        Sequential(6, [Linear(init="glorot_uniform", bias_std=0.2), "tanh"] * 4),
        {},
    ),
}
RECORD = ("gradient", "weight_gradient", "update_ratio", "activation", "saturation")
CORRELATIONS = ("activation_correlation", "gradient_correlation")


def record_of(network, batch_size=1, **_):
    """Return everything that can be recorded."""
    several = CORRELATIONS if batch_size * network.tokens > 1 else ()
    return (*RECORD, *several, *(("clipped",) if network.clip else ()))


def cases():
    """Return (name, network, settings) of all cases for each engine."""
    for engine in ("matrix-free", "dense"):
        lists = LISTS if engine == "matrix-free" else LISTS | DRAWN
        for name, (network, choice) in lists.items():
            yield f"{name}, {engine}", network, {"engine": engine} | choice
