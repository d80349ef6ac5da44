"""Means, covariances and mean-square gradients of registers, for one unit.

In the limit of infinite width the units of a register are independent and have one law. So the
state of a network at a point is the mean of a unit of every register, the covariances of the same
unit of two registers and, for two columns, those of the difference; on the way back the covariances
of the gradients by the same unit of two registers.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

__all__ = ["INPUT", "Column", "Gradients", "Ids", "Signals", "Unknown"]

Floats = NDArray[np.float64]
Ids = frozenset[int]

LARGEST = 1e200  # mean squares are from 1/LARGEST to LARGEST
INPUT = 0  # the source of randomness of X_l at the start of an element


class Unknown(Exception):
    """Theory has no word on an operation."""

    def __init__(self, reason: str, place: int = 0) -> None:
        super().__init__(reason, place)
        self.reason, self.place = reason, place


@dataclass(frozen=True)
class Column:
    """The law of a unit of X_l where no other register is in use.

    `difference` is half the variance of the difference of the unit between two columns, None if one
    column is followed.
    """

    mean: float = 0.0
    variance: float = 1.0
    difference: float | None = None
    gaussian: bool = True

    @property
    def square(self) -> float:
        """The mean square."""
        return self.variance + self.mean**2


@dataclass
class Signals:
    """Means and covariances of the registers, for one unit.

    `within` are covariances in one column, `apart` half the covariances of the differences between
    two columns. `sources` are the random variables on which a unit depends: matrices, masks and the
    input of the element.
    """

    mean: Floats
    within: Floats
    apart: Floats | None
    gaussian: list[bool]
    sources: list[Ids]
    tokens: int = 1
    drawn: int = INPUT

    @classmethod
    def of(cls, column: Column, registers: int, tokens: int) -> Signals:
        """Return the registers at the start of an element."""
        mean, within = np.zeros(registers), np.zeros((registers, registers))
        mean[0], within[0, 0] = column.mean, column.variance
        apart = None
        if column.difference is not None:
            apart = np.zeros_like(within)
            apart[0, 0] = column.difference
        gaussian = [True] * registers
        gaussian[0] = column.gaussian
        sources: list[Ids] = [frozenset()] * registers
        sources[0] = frozenset([INPUT])
        return cls(mean, within, apart, gaussian, sources, tokens)

    def column(self) -> Column:
        """Return the law of register 0."""
        apart = None if self.apart is None else float(self.apart[0, 0])
        return Column(float(self.mean[0]), float(self.within[0, 0]), apart, self.gaussian[0])

    def fresh(self) -> Ids:
        """Return a new source."""
        self.drawn += 1
        return frozenset([self.drawn])

    def square(self, r: int) -> float:
        """Return the mean square of a register."""
        return float(self.within[r, r] + self.mean[r] ** 2)

    def combine(self, r: int, terms: dict[int, float]) -> Floats:
        """Set a register to a linear combination of registers; return the matrix of the map."""
        map_ = np.eye(self.mean.size)
        map_[r] = 0.0
        for other, factor in terms.items():
            map_[r, other] = factor
        self.mean = map_ @ self.mean
        self.within = map_ @ self.within @ map_.T
        if self.apart is not None:
            self.apart = map_ @ self.apart @ map_.T
        self.gaussian[r] = all(self.gaussian[other] for other in terms)
        self.sources[r] = frozenset().union(*(self.sources[other] for other in terms))
        return map_

    def scale_row(self, r: int, factor: float, within: float, apart: float) -> None:
        """Multiply covariances with other registers, and set those of a register with itself."""
        for matrix, own in ((self.within, within), (self.apart, apart)):
            if matrix is not None:
                matrix[r] *= factor
                matrix[:, r] *= factor
                matrix[r, r] = own

    def difference(self, r: int, s: int) -> float:
        """Return half the covariance of the differences; 0 if one column is followed."""
        return 0.0 if self.apart is None else float(self.apart[r, s])

    def clear(self, r: int) -> None:
        """Forget a register that is not read again."""
        self.mean[r] = 0.0
        self.scale_row(r, 0.0, 0.0, 0.0)
        self.gaussian[r], self.sources[r] = True, frozenset()

    def check_range(self, r: int) -> None:
        """Refuse mean squares beyond the range of the arithmetic."""
        square = self.square(r)
        if not (square == 0 or 1.0 / LARGEST <= square <= LARGEST):
            raise Unknown(
                f"the mean square of the units must be from {1 / LARGEST:g} to {LARGEST:g}, it is "
                f"{square:.3g}"
            )


@dataclass
class Gradients:
    """Covariances of the gradients by a unit of two registers, and what they depend on."""

    covariance: Floats
    sources: list[Ids] = field(default_factory=list)

    def pull(self, map_: Floats) -> None:
        """Go back through a linear map of registers."""
        self.covariance = map_.T @ self.covariance @ map_
        reads = [np.flatnonzero(map_[:, r]) for r in range(len(self.sources))]
        self.sources = [frozenset().union(*(self.sources[i] for i in rows)) for rows in reads]

    def set_row(self, r: int, own: float, factor: float = 0.0) -> None:
        """Multiply covariances with other registers, and set the mean square of a register."""
        self.covariance[r] *= factor
        self.covariance[:, r] *= factor
        self.covariance[r, r] = own

    def need_independence(self, r: int, ids: Ids, of: str) -> None:
        """Refuse gradients that depend on what multiplies them."""
        for other, sources in enumerate(self.sources):
            if self.covariance[r, other] != 0 and sources & ids:
                raise Unknown(f"the gradient depends on {of} of the same unit")
