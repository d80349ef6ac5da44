"""Equal examples under batch normalisation.

Examples with no open unit in a layer are equal in all later layers, and only the sum of their
gradients affects the layers below. If all but one example are equal, normalisation makes this sum
very small although its terms are not. Therefore each group of equal examples has a leader, its last
example. The leader's column holds the sum of the gradients of the group, and the other columns hold
their deviations from the mean of the group.
"""

from __future__ import annotations

from functools import reduce
from operator import add

import numpy as np
from numpy.typing import NDArray

from vgsim._twin.scaled import Array, Scaled, joined

__all__ = ["Groups"]


class Groups:
    """The groups of equal examples among the inputs of a layer.

    Parameters
    ----------
    before : Groups or None
        The groups of the layer below, or None for the first layer.

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
        """Group the examples that were equal in the layer below, and those with x = 0."""
        dead = np.flatnonzero(~np.any(x.mantissa, axis=0))
        self.leader = self.before.leader.copy() if self.before else np.arange(x.mantissa.shape[1])
        self.leader[dead] = dead.max(initial=0)

    @property
    def sizes(self) -> Array:
        """The number of examples in the group of each leader; 0 for other examples."""
        return np.bincount(self.leader, minlength=self.leader.size).astype(float)

    def __bool__(self) -> bool:
        return bool(np.any(self.sizes != 1))

    def equalised(self, u: Scaled) -> Scaled:
        """Every example replaced by its leader."""
        u = u.by_column
        return Scaled(u.mantissa[:, self.leader], u.exponent[self.leader])

    def leaders_alone(self, x: Scaled) -> Scaled:
        """Set the columns of all but the leaders to zero."""
        x = x.by_column
        return Scaled(np.where(self.sizes > 0, x.mantissa, 0.0), x.exponent)

    def gather(self, g: Scaled) -> Scaled:
        """From gradients to sums and deviations."""
        columns = _columns(g)
        for leader, others in self._groups():
            total = reduce(add, [columns[b] for b in others], columns[leader])
            for b in others:
                columns[b] -= 1.0 / (len(others) + 1) * total
            columns[leader] = total
        return joined(columns)

    def spread(self, g: Scaled) -> Scaled:
        """From sums and deviations to gradients."""
        columns = _columns(g)
        for leader, others in self._groups():
            mean = 1.0 / (len(others) + 1) * columns[leader]
            for b in others:
                columns[b] += mean
                columns[leader] -= columns[b]
        return joined(columns)

    def _groups(self) -> list[tuple[int, list[int]]]:
        """List the groups of at least two examples: the leader, and the other examples."""
        return [
            (c, [int(b) for b in np.flatnonzero(self.leader == c) if b != c])
            for c in np.flatnonzero(self.sizes > 1).tolist()
        ]


def _columns(g: Scaled) -> list[Scaled]:
    g = g.by_column
    return [Scaled(g.mantissa[:, [b]], g.exponent[[b]]) for b in range(g.exponent.size)]
