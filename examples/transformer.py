"""Gradients and rank collapse in transformers at initialisation.

A block is self-attention followed by an MLP, each with its own skip connection, so that a network
of `blocks` blocks has N = 2 blocks skip connections. R = log10(‖G_0‖/‖G_D‖) is the gradient norm at
the embedding relative to that at the output, in decades. The correlation of the tokens is the mean
cosine between two columns of X_D, that of the gradients the mean cosine between two columns of G_0;
rank collapse is a correlation of 1: all tokens of a sequence have become equal.

The whole run takes half a minute on two cores; --quick simulates fewer and shallower networks, in
seconds. --activation chooses that of the MLPs.
"""

import argparse
from collections.abc import Sequence
from typing import Any

import numpy as np

import vgsim
from vgsim.typing import ActivationName, DType, Record

Simulated = dict[tuple[str, int], vgsim.Samples]  # by name of the variant and number of blocks

WIDTH, HEADS, TOKENS = 64, 4, 16
WIDE = 512  # for the comparison with theory, which is of infinite width
VARIANTS = {  # place of the norm, and the factor of the branches
    "no norm": ("none", "1"),
    "no norm, 1/√N": ("none", "1/√N"),
    "post-norm": ("post", "1"),
    "post-norm, 1/√N": ("post", "1/√N"),
    "pre-norm": ("pre", "1"),
    "pre-norm, 1/√N": ("pre", "1/√N"),
    "DeepNorm": ("post", "DeepNorm"),
}


def transformer(
    blocks: int,
    norm: str,
    factor: str,
    activation: ActivationName,
    width: int = WIDTH,
    tokens: int = TOKENS,
) -> vgsim.Sequential:
    """Return a transformer without embedding and read-out; 2 blocks elements."""
    skip, branch, gain = 1.0, 1.0, 1.0
    if factor == "1/√N":
        branch = (2 * blocks) ** -0.5
    if factor == "DeepNorm":
        skip, gain = vgsim.theory.deepnorm_constants(blocks)
    attention: list[Any] = [vgsim.Attention(HEADS, value_gain=gain, output_gain=gain)]
    mlp: list[Any] = [
        vgsim.Linear(4 * width, init="he_normal", gain=gain),
        activation,
        vgsim.Linear(width, gain=gain),
    ]
    block: list[Any] = []
    for layers in attention, mlp:
        inner = [vgsim.Norm("layer"), *layers] if norm == "pre" else layers
        element = vgsim.Skip(inner, skip=skip, branch=branch)
        block.append([element, vgsim.Norm("layer")] if norm == "post" else element)
    return vgsim.Sequential(width, block * blocks, tokens=tokens)


def print_gradients(depths: Sequence[int], simulated: Simulated) -> None:
    """Print quantiles of R and the probability that the gradient explodes."""
    print("R: median (5 %, 95 %), and P(exploding), which is P(R > 6)")
    heads = "".join(f"{blocks:>24}" for blocks in depths)
    print(f"{'blocks':16}{heads}{'P(exploding)':>{7 * len(depths)}}")
    for name in VARIANTS:
        row, exploding = f"{name:16}", ""
        for blocks in depths:
            samples = simulated[name, blocks]
            low, median, high = np.round(samples.quantile([0.05, 0.5, 0.95]), 2) + 0.0  # no −0.0
            row += f"{median:8.2f} {f'({low:.2f}, {high:.2f})':>15}"
            exploding += f"{samples.probability('exploding').estimate:7.2f}"
        print(row + exploding)


def print_correlations(depths: Sequence[int], simulated: Simulated) -> None:
    """Print the correlation of the tokens at the output, of the gradients at the embedding."""
    print("\nMean correlation of the tokens at the output, and of their gradients at the embedding")
    heads = "".join(f"{blocks:>8}" for blocks in depths)
    print(f"{'blocks':16}{heads}     {heads}")
    for name in VARIANTS:
        found = [simulated[name, blocks] for blocks in depths]
        tokens = [samples.activation_correlation[:, -1].mean() for samples in found]
        gradients = [samples.gradient_correlation[:, 0].mean() for samples in found]
        each = ["".join(f"{round(c, 3) + 0.0:8.3f}" for c in row) for row in (tokens, gradients)]
        print(f"{name:16}{each[0]}     {each[1]}")


def print_theory(depths: Sequence[int], activation: ActivationName, count: int) -> None:
    """Print the growth of the mean-square gradient with one token, beside theory."""
    print(
        f"\nOne token, width {WIDE}: log10 √(E‖G_0‖²/E‖G_D‖²), simulated and by mean-field theory, "
        "which has no word on two or more tokens"
    )
    print(f"{'blocks':16}" + "".join(f"{blocks:>20}" for blocks in depths))
    for name, (norm, factor) in VARIANTS.items():
        if norm == "none" and factor == "1":
            continue  # a mean that rare samples determine
        row = f"{name:16}"
        for blocks in depths:
            network = transformer(blocks, norm, factor, activation, WIDE, tokens=1)
            r = vgsim.simulate(network, count, layers=[0]).log10_ratio[:, 0]
            theory = vgsim.theory.place_moments(network).growth[0] / (2 * np.log(10))
            row += f"{0.5 * np.log10(np.mean(10 ** (2 * r))):12.3f}{theory:8.3f}"
        print(row)


def main() -> None:
    """Simulate all variants and print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="in seconds")
    parser.add_argument("--activation", default="gelu", help="that of the MLPs (default: gelu)")
    given = parser.parse_args()
    depths, count = ((6, 24), 40) if given.quick else ((6, 24, 96), 200)
    record: tuple[Record, ...] = ("gradient", "activation_correlation", "gradient_correlation")
    simulated: Simulated = {}
    for name, (norm, factor) in VARIANTS.items():
        for blocks in depths:
            network = transformer(blocks, norm, factor, given.activation)
            # without a norm the tokens become equal while the scores grow, and the rounding of
            # what is left of their differences would dominate R in float32 (48 blocks and more)
            dtype: DType = "float64" if name == "no norm" else "float32"
            simulated[name, blocks] = vgsim.simulate(
                network, count, dtype=dtype, layers=[0, network.depth], record=record
            )
    print(
        f"{TOKENS} tokens of width {WIDTH}, {HEADS} heads, {given.activation}, {count} networks; "
        "N = 2 blocks"
    )
    print_gradients(depths, simulated)
    print_correlations(depths, simulated)
    print_theory(depths, given.activation, 5 * count)


if __name__ == "__main__":
    main()
