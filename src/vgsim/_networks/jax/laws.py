"""The laws of parameters in JAX: the same as those of the kernels, by JAX's random numbers."""

from __future__ import annotations

from typing import TypeAlias

import jax

from vgsim._networks import operations
from vgsim._networks.operations import Program

__all__ = ["drawn_passes", "initial_parameters"]

Array: TypeAlias = jax.Array


def initial_parameters(program: Program, key: Array, dtype: str) -> dict[str, Array]:
    """Draw all matrices and biases of a network, by name."""
    found = {}
    for place in range(1, len(program.order) + 1):
        for o in program.at(place):
            if isinstance(o, operations.Weights):
                found[f"{place - 1}.{o.name}"] = o.std * jax.random.normal(
                    jax.random.fold_in(key, place), o.shape, dtype
                )
    return found


def drawn_passes(program: Program, key: Array, columns: int, dtype: str) -> dict[str, Array]:
    """Draw the masks (n, columns) and the drive (steps, n, columns) of a pass, by name."""
    return {}
