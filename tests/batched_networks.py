"""Small networks of every kind with a batch, for the comparison of kernels and twin."""

import numpy as np

import vgsim

WIDTHS = [6, 9, 4, 8, 3, 7, 5]
DUPLICATED = np.random.default_rng(1).normal(size=(4, 6))[[0, 1, 1, 2, 3, 1, 2]]
PARALLEL = np.outer([1.0, -2.0, 0.5, 3.0, 0.0], [1.0, -1.0, 2.0, 0.3, 0.1, 5.0])  # last row: 0
FAR = np.random.default_rng(2).normal(size=(6, 6)) * 10.0 ** np.arange(-250, 350, 100)[:, None]


def equal(depth=6, width=5, **fields):
    """An MLP of equal widths, with weights for which few samples are dead."""
    return vgsim.MLP(depth, width, **({"init": "lecun_normal", "gain": 1.3} | fields))


def tapering(**fields):
    """An MLP of unequal widths."""
    return vgsim.MLP(6, WIDTHS, **({"init": "lecun_normal", "gain": 1.3} | fields))


RELU = {"activation": "relu", "gain": 2**0.5}
SKIP_2 = {"depth": 6, "bias_std": 0.2}

# name: (network, settings); for both engines.
BATCHED = {
    "plain": (tapering(), {"batch_size": 3}),
    "bias": (tapering(bias_std=0.4), {"batch_size": 4}),
    "B > n": (equal(width=3, bias_std=0.2), {"batch_size": 6}),
    "B = n": (equal(width=4), {"batch_size": 4}),
    "width 1": (equal(width=1, bias_std=0.3), {"batch_size": 3}),
    "depth 1": (equal(depth=1), {"batch_size": 2}),
    "relu, rank and death": (equal(width=3, **RELU), {"batch_size": 4}),
    "relu with bias": (tapering(bias_std=0.2, **RELU), {"batch_size": 5}),
    "hard_tanh": (tapering(activation="hard_tanh", bias_std=0.3, gain=2.0), {"batch_size": 3}),
    "saturated": (tapering(activation="tanh", gain=100.0), {"batch_size": 3}),
    "saturated sigmoid": (tapering(activation="sigmoid", gain=300.0), {"batch_size": 3}),
    "tiny": (tapering(activation="gelu", gain=1e-60), {"batch_size": 3}),
    "huge": (tapering(activation="leaky_relu", gain=1e60), {"batch_size": 3}),
    "duplicated rows": (tapering(bias_std=0.1), {"batch_size": 6, "inputs": DUPLICATED}),
    "parallel rows": (tapering(bias_std=0.3), {"batch_size": 5, "inputs": PARALLEL}),
    "parallel rows, linear": (
        tapering(activation="linear"),
        {"batch_size": 4, "inputs": PARALLEL, "loss": "mse"},
    ),
    "rows of all sizes": (tapering(**RELU), {"batch_size": 4, "inputs": FAR}),
    "mse": (tapering(bias_std=0.2), {"batch_size": 3, "loss": "mse"}),
    "cross-entropy": (tapering(gain=2.0), {"batch_size": 4, "loss": "cross_entropy"}),
    "cross-entropy of one": (tapering(activation="elu"), {"loss": "cross_entropy"}),
    "cross-entropy, saturated": (
        tapering(activation="linear", gain=2.0),
        {"batch_size": 1, "loss": "cross_entropy"},
    ),
    "batch norm": (tapering(norm="batch", bias_std=0.3), {"batch_size": 4}),
    "batch norm of two": (tapering(norm="batch"), {"batch_size": 2, "loss": "mse"}),
    "batch norm, duplicates": (
        tapering(norm="batch", norm_eps=1e-3),
        {"batch_size": 5, "inputs": DUPLICATED},
    ),
    "layer norm": (tapering(norm="layer", bias_std=0.3, **RELU), {"batch_size": 4}),
    "layer norm of two": (equal(width=2, norm="layer"), {"batch_size": 3}),
    "rms norm": (tapering(norm="rms", activation="gelu"), {"batch_size": 3}),
    "rms norm, tiny": (tapering(norm="rms", gain=1e-50), {"batch_size": 3}),
    "activated": (equal(residual=vgsim.Residual(1, branch=0.5)), {"batch_size": 3}),
    "activated, pairs": (
        equal(**SKIP_2, norm="batch", residual=vgsim.Residual(2, skip=0.8, last_gain=0.3)),
        {"batch_size": 4},
    ),
    "linear skip": (
        equal(**SKIP_2, norm="rms", residual=vgsim.Residual(3, branch=-0.7, style="linear")),
        {"batch_size": 3},
    ),
    "post": (
        equal(**SKIP_2, **RELU, norm="batch", residual=vgsim.Residual(2, style="post")),
        {"batch_size": 4},
    ),
    "pre": (
        equal(
            **SKIP_2,
            **RELU,
            norm="batch",
            residual=vgsim.Residual(2, branch="1/sqrt(blocks)", style="pre"),
        ),
        {"batch_size": 4, "loss": "cross_entropy"},
    ),
    "pre without norm": (equal(residual=vgsim.Residual(1, style="pre")), {"batch_size": 2}),
    "highway": (equal(highway=vgsim.Highway(-1.0), bias_std=0.2), {"batch_size": 3}),
    "highway, batch norm": (
        equal(highway=vgsim.Highway(0.5), norm="batch"),
        {"batch_size": 4, "loss": "mse"},
    ),
    "highway of one": (equal(highway=vgsim.Highway()), {}),
    "clipped norm": (equal(gain=2.0, clip=vgsim.ClipNorm(1.5)), {"batch_size": 3}),
    "clipped values": (
        equal(gain=2.0, clip=vgsim.ClipValue(0.5), residual=vgsim.Residual(2)),
        {"batch_size": 3},
    ),
    "clipped, one": (equal(gain=2.0, clip=vgsim.ClipValue(0.7)), {}),
    "orthogonal": (equal(init="orthogonal", bias_std=0.1), {"batch_size": 3}),
    "orthogonal, one": (tapering(init="orthogonal"), {}),
    "orthogonal, rectangular": (tapering(init="orthogonal", gain=1.1), {"batch_size": 3}),
    "orthogonal, B > n": (equal(init="orthogonal", width=3), {"batch_size": 5}),
    "orthogonal, dead": (equal(init="orthogonal", width=3, **RELU), {"batch_size": 3}),
    "orthogonal, duplicates": (
        tapering(init="orthogonal", norm="batch"),
        {"batch_size": 6, "inputs": DUPLICATED},
    ),
    "orthogonal highway": (
        equal(init="orthogonal", highway=vgsim.Highway(-1.0), clip=vgsim.ClipNorm(1.0)),
        {"batch_size": 3, "loss": "mse"},
    ),
    "orthogonal, skips": (
        equal(
            init="orthogonal", norm="layer", residual=vgsim.Residual(2, style="pre", last_gain=0.5)
        ),
        {"batch_size": 3, "loss": "cross_entropy"},
    ),
}

# Networks for the dense engine only.
DENSE = {
    "uniform": (tapering(init="he_uniform", gain=1.0), {"batch_size": 3}),
    "truncated": (tapering(init="truncated_normal"), {"batch_size": 6, "loss": "mse"}),
    "torch_default": (
        equal(init="torch_default", norm="layer", highway=vgsim.Highway()),
        {"batch_size": 3},
    ),
    "rnn": (vgsim.RNN(7, 5), {"batch_size": 3}),
    "rnn of one": (vgsim.RNN(9, 4, gain=1.5, bias_std=0.3), {"loss": "mse"}),
    "rnn, gaussian": (
        vgsim.RNN(6, 6, init="lecun_normal", activation="relu", gain=1.4),
        {"batch_size": 4, "loss": "cross_entropy"},
    ),
    "rnn, identity": (
        vgsim.RNN(8, 5, init="identity", activation="relu", input_std=0.1),
        {"batch_size": 2},
    ),
    "rnn, not driven": (
        vgsim.RNN(6, 5, init="identity", gain=0.9, input_std=0, clip=vgsim.ClipNorm(0.5)),
        {"batch_size": 2},
    ),
    "rnn, data": (
        vgsim.RNN(6, 6, init="torch_default", clip=vgsim.ClipValue(0.2)),
        {"batch_size": 6, "inputs": DUPLICATED},
    ),
}


def cases():
    """Return (name, network, settings) of all cases for each engine, in float64."""
    for engine in ("matrix-free", "dense"):
        networks = BATCHED if engine == "matrix-free" else BATCHED | DENSE
        for name, (network, choice) in networks.items():
            yield f"{name}, {engine}", network, {"engine": engine, "dtype": "float64"} | choice


def evaluated(network, sample, **choice):
    """Return the quantities of a replayed sample by the twin."""
    extra = {"gate_weights": sample.gate_weights, "input_weights": sample.input_weights}
    return vgsim.evaluate(
        network,
        sample.weights,
        sample.biases,
        sample.inputs,
        sample.output_gradient,
        drive=sample.drive,
        **extra,
        **choice,
    )
