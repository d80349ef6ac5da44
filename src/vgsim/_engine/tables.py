"""The tables of custom activations and laws of weights as one array, as the kernels take them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vgsim._networks.activations import Activation
from vgsim._networks.custom_weights import quantile_of
from vgsim._networks.operations import Activate, Program, Weights

__all__ = ["Tables"]


@dataclass(frozen=True, eq=False)
class Tables:
    """The tables of all custom activations and laws of weights of a program.

    Attributes
    ----------
    array : ndarray of the dtype of the run, or None
        One table after another; None if there is none.
    first : mapping of str to int
        The entry at which the table with a SHA-256 begins.
    """

    array: NDArray[np.floating[Any]] | None
    first: Mapping[str, int]

    @classmethod
    def of(cls, program: Program, dtype: str) -> Tables:
        """Return the tables of a program in the reals of a run.

        Examples
        --------
        >>> import numpy as np
        >>> import vgsim
        >>> from vgsim._engine.tables import Tables
        >>> Tables.of(vgsim.MLP(3, 8).program, "float32").array is None
        True
        >>> phi = vgsim.Activation("custom", function=np.abs, derivative=np.sign)
        >>> Tables.of(vgsim.MLP(3, 8, activation=phi).program, "float32").parameters(phi)
        (0.0, 0.0)
        """
        activations = [o.activation for o in program.of(Activate)]
        tables = [phi.table for phi in activations if phi.is_custom]
        tables += [quantile_of(o.parameters[0]) for o in program.of(Weights) if o.law == "custom"]
        first: dict[str, int] = {}
        arrays: list[NDArray[np.floating[Any]]] = []
        for table in tables:
            if table.sha256 not in first:
                first[table.sha256] = sum(map(len, arrays))
                arrays.append(table.tables[dtype])
        return cls(np.concatenate(arrays) if arrays else None, first)

    def parameters(self, phi: Activation) -> tuple[float, float]:
        """Return the parameters of an activation; of a custom one, the place of its table."""
        return self.place(phi.table.sha256) if phi.is_custom else phi.kernel_parameters

    def place(self, sha256: str) -> tuple[float, float]:
        """Return the place of a table as the parameters of an operation."""
        return float(self.first[sha256]), 0.0
