"""Freeze statistics of composed networks whose weights PyTorch has drawn with its own generator.

Run ``python tests/oracle/make_composed.py`` to write composed.npz again. Nothing of vgsim is used
here. Without PyTorch this file can still be imported, to read what is frozen: for each case N
samples of

    ratio        log10 (‖G_0‖ / ‖G_D‖), -inf of dead networks
    activation   log10 of the root mean square of X_D
    correlation  mean cosine over pairs of columns of G_0, if there are several columns
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from composed_reference import Case, Parameter, output_width, parameters, run

FROZEN = Path(__file__).with_name("composed.npz")
N, BATCH = 4000, 500


def linear(width=None, init="lecun_normal", gain=1.0, bias_std=0.0):
    """Return a Linear layer."""
    return ("linear", width, init, gain, bias_std)


def skip(*layers, s=1.0, c=1.0):
    """Return a skip connection around layers."""
    return ("skip", list(layers), s, c)


def gate(*layers, bias=-2.0):
    """Return a gate around layers."""
    return ("gate", list(layers), bias, "lecun_normal", 1.0)


def attention(heads=1, causal=False, gain=1.0, bias_std=0.0):
    """Return an attention layer."""
    return ("attention", heads, causal, "lecun_normal", gain, bias_std)


LAYER, RMS, BATCH_NORM = (("norm", kind, 1e-5) for kind in ("layer", "rms", "batch"))
TANH, RELU, GELU = ("tanh",), ("relu",), ("gelu",)
MLP_8 = (linear(32), GELU, linear(8))
TOKENS = {"width": 8, "tokens": 4}
CASES = {
    "read-out": Case(
        width=10, layers=[*[linear(14, "he_normal"), RELU] * 5, linear(4, gain=0.5)], sequences=2
    ),
    "pre-norm transformer": Case(
        **TOKENS, layers=[skip(LAYER, attention(2, causal=True)), skip(LAYER, *MLP_8)] * 4
    ),
    "post-norm transformer": Case(
        **TOKENS, layers=[skip(attention(2)), LAYER, skip(*MLP_8), LAYER] * 4, sequences=2
    ),
    "deep-norm": Case(
        **TOKENS,
        layers=[skip(attention(2), s=1.7, c=0.6), LAYER, skip(*MLP_8, s=1.7, c=0.6), RMS] * 3,
    ),
    "attention alone": Case(**TOKENS, layers=[attention(4, gain=2.0)] * 5),
    "biased attention": Case(**TOKENS, layers=[attention(1, causal=True, bias_std=0.5), TANH] * 3),
    "saturated attention": Case(**TOKENS, layers=[LAYER, attention(2, gain=6.0)] * 3),
    "dropout": Case(width=12, layers=[linear(None, "he_normal"), RELU, ("dropout", 0.3)] * 8),
    "dropout in blocks": Case(
        width=8, layers=[skip(RMS, linear(16), TANH, ("dropout", 0.5), linear(8))] * 6, sequences=3
    ),
    "gates": Case(width=8, layers=[gate(linear(None, gain=1.5), TANH)] * 10, sequences=2),
    "orthogonal": Case(
        width=9, layers=[skip(linear(12, "orthogonal", 1.2), TANH, linear(9, "orthogonal"))] * 4
    ),
    "batch norm after the sum": Case(
        width=7,
        layers=[skip(linear(None, "glorot_normal"), RELU, c=0.7), BATCH_NORM] * 5,
        sequences=6,
    ),
    "nested": Case(
        width=6,
        layers=[skip(gate(linear(), [TANH, linear(bias_std=0.3)]), skip(RMS, RELU, linear()))] * 4,
        sequences=2,
    ),
    "clipped": Case(
        width=8, layers=[skip(linear(None, gain=2.0), TANH)] * 8, sequences=2, clip=("norm", 6.0)
    ),
}


def drawn(parameter: Parameter, count: int):
    """Draw `count` arrays with PyTorch's initialisers and generator."""
    import torch

    shape = (count, *parameter.shape)
    if parameter.law == "mask":
        return (torch.rand(shape, dtype=torch.float64) >= parameter.scale).double()
    if parameter.law == "orthogonal":
        matrices = torch.empty(shape, dtype=torch.float64)
        for W in matrices:
            torch.nn.init.orthogonal_(W, gain=parameter.scale)
        return matrices
    return torch.nn.init.normal_(torch.empty(shape, dtype=torch.float64), std=parameter.scale)


def statistics(case: Case) -> dict[str, np.ndarray]:
    """Return the statistics of N samples."""
    import torch

    parts: dict[str, list[np.ndarray]] = {"ratio": [], "activation": [], "correlation": []}
    for _ in range(N // BATCH):
        P = {name: drawn(parameter, BATCH) for name, parameter in parameters(case).items()}
        x, g = (
            torch.randn(BATCH, case.columns, n, dtype=torch.float64)
            for n in (case.width, output_width(case))
        )
        result = run(case, P, x, g)
        with np.errstate(divide="ignore"):
            G = np.log10(result["gradient"])
            parts["ratio"].append(G[:, 0] - G[:, -1])
            parts["activation"].append(np.log10(result["activation"][:, -1]))
        parts["correlation"].append(result["gradient_correlation"][:, 0])
    if case.columns == 1:
        del parts["correlation"]
    return {name: np.concatenate(values) for name, values in parts.items()}


def main() -> None:
    import torch

    frozen: dict[str, np.ndarray] = {}
    for number, (name, case) in enumerate(CASES.items()):
        torch.manual_seed(1300 + number)
        result = statistics(case)
        frozen |= {f"{name}.{key}": value.astype(np.float32) for key, value in result.items()}
        print(f"{name:26} median ratio {np.median(result['ratio']):8.3f}")
    np.savez_compressed(FROZEN, **frozen)
    print(f"{FROZEN.name}: {FROZEN.stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
