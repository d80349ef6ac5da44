"""The tables of custom activations as one array, as the kernels take them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vgsim._networks.activations import Activation
from vgsim._networks.operations import Activate, Program

__all__ = ["Tables"]


@dataclass(frozen=True, eq=False)
class Tables:
    """The tables of all custom activations of a program.

    Attributes
    ----------
    array : ndarray of the dtype of the run, or None
        One table after another; None if there is none.
    first : mapping of Activation to int
        The entry at which a table begins.
    """

    array: NDArray[np.floating[Any]] | None
    first: Mapping[Activation, int]

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
        first: dict[Activation, int] = {}
        arrays: list[NDArray[np.floating[Any]]] = []
        for operation in program.of(Activate):
            phi = operation.activation
            if phi.is_custom and phi not in first:
                first[phi] = sum(map(len, arrays))
                arrays.append(phi.table.tables[dtype])
        return cls(np.concatenate(arrays) if arrays else None, first)

    def parameters(self, phi: Activation) -> tuple[float, float]:
        """Return the parameters of an activation; of a custom one, the place of its table."""
        return (float(self.first[phi]), 0.0) if phi.is_custom else phi.kernel_parameters
