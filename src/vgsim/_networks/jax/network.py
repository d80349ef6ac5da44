"""JaxNetwork: a network as two functions in JAX, init and apply."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp

from vgsim._networks.jax.laws import drawn_passes, initial_parameters
from vgsim._networks.jax.walk import Pass
from vgsim._networks.operations import Program
from vgsim._networks.parameter_shapes import (
    parameter_shapes,
    with_biases,
    with_whole_bias,
)

__all__ = ["JaxNetwork", "double_precision"]

Array: TypeAlias = jax.Array


@dataclass(frozen=True, eq=False, repr=False)
class JaxNetwork:
    """A network as functions in JAX; returned by ``network.to_jax()``.

    Attributes
    ----------
    network : MLP, Sequential, RNN, LSTM or GRU
    dtype : str
    biases : bool
        Whether every matrix has a bias, zero where the network draws none.
    program : Program
        Its operations.
    """

    network: Any
    dtype: str = "float32"
    biases: bool = False
    program: Program = field(init=False)

    def __post_init__(self) -> None:
        whole = with_biases if self.biases else with_whole_bias
        object.__setattr__(self, "program", whole(self.network))

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shapes of the parameters by name."""
        return parameter_shapes(self.program)

    def init(self, key: Array) -> dict[str, Array]:
        """Draw parameters from the laws of the network."""
        drawn = initial_parameters(self.network.program, key, self.dtype)
        zeros = {name: jnp.zeros(shape, self.dtype) for name, shape in self.shapes.items()}
        return {name: drawn.get(name, zero) for name, zero in zeros.items()}

    def draws(self, key: Array, columns: int) -> dict[str, Array]:
        """Draw what each pass draws anew: masks and drive, by name."""
        return drawn_passes(self.program, key, columns, self.dtype)

    def states(
        self, parameters: Mapping[str, Array], x: Array, probes: Sequence[Array] | None = None
    ) -> list[Array]:
        """Return X_0 … X_D, (columns, n_l) each, for inputs (columns, n_0).

        `parameters` hold masks and drive as well. With `probes`, the backward pass scales and
        measures the gradients.
        """
        return Pass(self.program, parameters, self.network.clip, probes).states(x)

    def probes(self) -> list[Array]:
        """Return the argument of `states` whose cotangents are the measurements."""
        return [jnp.zeros((2,), self.dtype)] * (self.network.depth + 1)


def double_precision(dtype: str) -> AbstractContextManager[Any]:
    """Return a context in which JAX has arrays of float64, if that is the dtype."""
    if dtype != "float64":
        return nullcontext()
    if hasattr(jax, "enable_x64"):
        return jax.enable_x64(True)
    from jax.experimental import enable_x64

    return enable_x64()
