"""Batch, layer and RMS normalisation, forward and backward, for inputs of any scale."""

from __future__ import annotations

import numpy as np

from vgsim._twin.groups import Groups
from vgsim._twin.scaled import Array, Scaled, scaled, shifted, transposed

__all__ = ["Normalisation", "Unnormalised", "normalisation"]

BELOW_ONE = 1.0 - 2.0**-53


class Unnormalised:
    """No normalisation: Ĥ = H."""

    def __call__(self, h: Scaled) -> Scaled:
        """Ĥ."""
        return h

    def back(self, d: Scaled, groups: Groups | None = None) -> Scaled:
        """∂L/∂H, given d = ∂L/∂Ĥ."""
        return d


class Normalisation:
    """Ĥ = C/√(v + ε), with C the deviations of a group from its mean and v their mean square.

    A group consists of the units of one example ("layer"), or of the values of one unit over the
    batch ("batch"). In "rms" it consists of the units of one example, and C = H without centring.
    """

    def __init__(self, kind: str, eps: float) -> None:
        self.centred = kind != "rms"
        self.over_batch = kind == "batch"
        self.eps = eps

    def __call__(self, h: Scaled) -> Scaled:
        """Ĥ."""
        C = self.c = self._deviations(self._groups(h))
        k = self.k = np.maximum(C.exponent, 0)  # v + ε in units of 4^k
        v = shifted(np.mean(C.mantissa**2, axis=0), 2 * (C.exponent - k))
        self.v_eps = v + shifted(self.eps, -2 * k)
        normal = C.mantissa / np.sqrt(self.v_eps)
        if len(normal) - self.centred == 1:  # |ĥ| < 1 after rounding too: hard_tanh'(±1) = 0
            with np.errstate(over="ignore"):  # deviations of 0
                limit = shifted(BELOW_ONE, k - C.exponent)
            normal = np.minimum(np.maximum(normal, -limit), limit)
        self.h = self._groups(scaled(normal, C.exponent - k))
        return self.h

    @property
    def share(self) -> Scaled:
        """ε/(v + ε) of every group."""
        return scaled((self.eps / self.v_eps)[np.newaxis], -2 * self.k)

    def back(self, d: Scaled, groups: Groups | None = None) -> Scaled:
        """∂L/∂H, given d = ∂L/∂Ĥ; both as sums and deviations if `groups` is given.

        The component of d - mean(d) along C is multiplied by ε/(v + ε), and then both this and the
        component orthogonal to C are divided by √(v + ε). With one degree of freedom the orthogonal
        component is zero.
        """
        if groups is None:
            return self._groups(self._back(self._groups(d), self.c.mantissa))
        sizes = groups.sizes
        d = d.by_column
        leads, result = sizes > 0, d.mantissa.copy()
        exponent = d.exponent.copy()
        for columns in (leads, ~leads):
            part = transposed(Scaled(d.mantissa[:, columns], d.exponent[columns]))
            if columns is leads:
                part = self._back(part, self.c.mantissa[leads], sizes[leads, np.newaxis])
            else:  # deviations are orthogonal to C
                part = scaled(part.mantissa / np.sqrt(self.v_eps), part.exponent - self.k)
            back = transposed(part).by_column
            result[:, columns], exponent[columns] = back.mantissa, back.exponent
        return Scaled(result, exponent)

    def _back(self, d: Scaled, C: Array, sizes: Array | float = 1.0) -> Scaled:
        """∂L/∂H of each group; row i of C stands for sizes[i] equal rows, and d_i is their sum."""
        d = self._deviations(d, sizes)
        freedom = len(C) - self.centred
        along = d.mantissa if freedom == 1 else _part_along(C, d.mantissa, sizes)
        rest = d.mantissa - along
        across = scaled(rest - _part_along(C, rest, sizes), d.exponent)  # subtracted twice
        shrunk = scaled(along * (self.eps / self.v_eps), d.exponent - 2 * self.k)
        total = across + shrunk
        return scaled(total.mantissa / np.sqrt(self.v_eps), total.exponent - self.k)

    def _groups(self, a: Scaled) -> Scaled:
        """Return `a` with the groups as columns, or a result with the examples as columns again."""
        return transposed(a) if self.over_batch else a

    def _deviations(self, a: Scaled, sizes: Array | float = 1.0) -> Scaled:
        """Subtract the mean of every group."""
        if not self.centred:
            return a
        deviations = a.mantissa
        if np.ndim(sizes) == 0:  # so that the deviations of equal values are exactly 0
            deviations = deviations - deviations[:1]
        count = np.sum(sizes * np.ones((len(a.mantissa), 1)))
        for _ in range(2):  # the second time removes the rounding error of the first
            deviations = deviations - sizes * (np.sum(deviations, axis=0) / count)
        return scaled(deviations, a.exponent)


def _part_along(C: Array, d: Array, sizes: Array | float) -> Array:
    """Project every column of d onto that of C."""
    square = np.sum(sizes * C * C, axis=0)
    factor = np.sum(C * d, axis=0) / np.where(square > 0, square, 1.0)
    return np.asarray(sizes * C * factor)


def normalisation(kind: str | None, eps: float) -> Normalisation | Unnormalised:
    """Return the normalisation `kind`, or the identity for None."""
    return Unnormalised() if kind is None else Normalisation(kind, eps)
