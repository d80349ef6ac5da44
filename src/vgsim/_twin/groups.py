"""Equal examples under batch normalisation.

Examples of which no unit is open are equal from there on, and the sum of their gradients alone goes
further down. If all examples but one are equal, normalisation leaves next to nothing of that sum,
while its terms are as large as any. So of every group of equal examples the last one, its leader,
has the sum of the gradients in the place of its own, and the others their deviations from its mean.
"""

from __future__ import annotations

from functools import reduce
from operator import add

import numpy as np
from numpy.typing import NDArray

from vgsim._twin.scaled import Array, Scaled

__all__ = ["Groups"]


class Groups:
    """The groups of equal examples that a layer takes.

    Parameters
    ----------
    before : Groups or None
        Those of the layer below.

    Examples
    --------
    >>> import numpy as np
    >>> from vgsim._twin.groups import Groups
    >>> from vgsim._twin.scaled import scaled
    >>> groups = Groups(None)
    >>> groups.find(scaled(np.array([[0.0, 2.0, 0.0], [0.0, 1.0, 0.0]])))
    >>> groups.leader
    array([2, 1, 2])
    >>> g = groups.gather(scaled(np.array([[1.0, 2.0, 5.0]])))
    >>> g.mantissa * 2.0**g.exponent
    array([[-2.,  2.,  6.]])
    """

    leader: NDArray[np.int64]

    def __init__(self, before: Groups | None) -> None:
        self.before = before

    def find(self, x: Scaled) -> None:
        """Group the examples that were equal before, and those that have become zero."""
        dead = np.flatnonzero(~np.any(x.mantissa, axis=0))
        self.leader = self.before.leader.copy() if self.before else np.arange(x.mantissa.shape[1])
        self.leader[dead] = dead.max(initial=0)

    @property
    def sizes(self) -> Array:
        """How many examples are led by each: 0 if it is no leader."""
        return np.bincount(self.leader, minlength=self.leader.size).astype(float)

    def __bool__(self) -> bool:
        return bool(np.any(self.sizes != 1))

    def equalised(self, u: Scaled) -> Scaled:
        """All of a group as its leader."""
        return Scaled(u.mantissa[:, self.leader], u.exponent[self.leader])

    def leaders_alone(self, x: Scaled) -> Scaled:
        """Set the others to zero."""
        return Scaled(np.where(self.sizes > 0, x.mantissa, 0.0), x.exponent)

    def gather(self, g: Scaled) -> Scaled:
        """From gradients to sums and deviations."""
        columns = _columns(g)
        for leader, others in self._groups():
            total = reduce(add, [columns[b] for b in others], columns[leader])
            for b in others:
                columns[b] -= 1.0 / (len(others) + 1) * total
            columns[leader] = total
        return _joined(columns)

    def spread(self, g: Scaled) -> Scaled:
        """From sums and deviations to gradients."""
        columns = _columns(g)
        for leader, others in self._groups():
            mean = 1.0 / (len(others) + 1) * columns[leader]
            for b in others:
                columns[b] += mean
                columns[leader] -= columns[b]
        return _joined(columns)

    def _groups(self) -> list[tuple[int, list[int]]]:
        """Leaders of others, and the others."""
        return [
            (c, [int(b) for b in np.flatnonzero(self.leader == c) if b != c])
            for c in np.flatnonzero(self.sizes > 1).tolist()
        ]


def _columns(g: Scaled) -> list[Scaled]:
    return [Scaled(g.mantissa[:, [b]], g.exponent[[b]]) for b in range(g.exponent.size)]


def _joined(columns: list[Scaled]) -> Scaled:
    return Scaled(
        np.hstack([c.mantissa for c in columns]), np.concatenate([c.exponent for c in columns])
    )
