"""How many samples are trained side by side: one stack, and the memory that it takes."""

from __future__ import annotations

import math
from typing import Any

import jax

from vgsim._checks import require_memory
from vgsim._training.step import Carry, Kind

__all__ = ["stack_sizes", "working_bytes"]

ENTRIES = 2**19  # parameters of a stack: its arrays then remain in the caches of a processor
BYTES = 2**29  # most of what a stack takes, if it has more than one sample
ACTIVATIONS = 8  # arrays of a layer's units that a pass keeps, about


def working_bytes(kind: Kind, carry: Carry) -> int:
    """Return about the bytes that a sample, of the shapes of `carry`, takes while it is trained."""
    arrays = jax.tree.leaves((carry, carry.trained, carry.trained))  # gradient and update
    own = sum(math.prod(a.shape) * _item_size(a) for a in arrays)
    units = sum(kind.structure.widths)
    item = 8 if kind.dtype == "float64" else 4
    return int(own + ACTIVATIONS * units * kind.columns * item)


def _item_size(array: Any) -> int:
    """Return the bytes of an entry; those of a key are 8."""
    return 8 if jax.dtypes.issubdtype(array.dtype, jax.dtypes.prng_key) else array.dtype.itemsize


def stack_sizes(kind: Kind, carry: Carry, count: int) -> list[int]:
    """Return the sizes of the stacks in which `count` samples are trained; all but the last equal.

    Raises
    ------
    MemoryError
        If a stack of one sample would not fit in memory.
    """
    own = working_bytes(kind, carry)
    remedy = "choose a smaller network or batch_size"
    require_memory(own, "the training of one network", remedy)
    parameters = sum(math.prod(a.shape) for a in jax.tree.leaves(carry.trained))
    most = max(1, min(ENTRIES // max(parameters, 1), BYTES // own))
    stacks = math.ceil(count / min(most, count))
    size = math.ceil(count / stacks)
    return [size] * (count // size) + ([count % size] if count % size else [])
