"""Batch, layer and RMS normalisation, forward and backward, at any scale of what they normalise."""

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
    """Ĥ = C/√(v + ε), C the deviations of a group from its mean, v their mean square.

    A group is the units of an example ("layer"), or a unit's values over the batch ("batch"). In
    "rms" it is the units of an example and C = H, uncentred.
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
        if len(normal) - self.centred == 1:  # |ĥ| < 1, and rounding must not shut a hard tanh
            limit = shifted(BELOW_ONE, k - C.exponent)
            normal = np.minimum(np.maximum(normal, -limit), limit)
        self.h = self._groups(scaled(normal, C.exponent - k))
        return self.h

    @property
    def share(self) -> Scaled:
        """ε/(v + ε) of every group."""
        return scaled((self.eps / self.v_eps)[np.newaxis], -2 * self.k)

    def back(self, d: Scaled, groups: Groups | None = None) -> Scaled:
        """∂L/∂H, given d = ∂L/∂Ĥ; or the sums and deviations of equal examples, given theirs.

        The part of d - mean(d) along C is shrunk by ε/(v + ε), the part across C is not, and both
        are divided by √(v + ε). With one degree of freedom nothing is across.
        """
        if groups is None:
            return self._groups(self._back(self._groups(d), self.c.mantissa))
        sizes = groups.sizes
        leads, result = sizes > 0, d.mantissa.copy()
        exponent = d.exponent.copy()
        for columns in (leads, ~leads):
            part = transposed(Scaled(d.mantissa[:, columns], d.exponent[columns]))
            if columns is leads:
                part = self._back(part, self.c.mantissa[leads], sizes[leads, np.newaxis])
            else:  # deviations are across
                part = scaled(part.mantissa / np.sqrt(self.v_eps), part.exponent - self.k)
            back = transposed(part)
            result[:, columns], exponent[columns] = back.mantissa, back.exponent
        return Scaled(result, exponent)

    def _back(self, d: Scaled, C: Array, sizes: Array | float = 1.0) -> Scaled:
        """∂L/∂H by groups; each of C stands for `sizes` of its kind, and d is a sum over them."""
        d = self._deviations(d, sizes)
        freedom = len(C) - self.centred
        along = d.mantissa if freedom == 1 else _part_along(C, d.mantissa, sizes)
        rest = d.mantissa - along
        across = scaled(rest - _part_along(C, rest, sizes), d.exponent)  # exact beside its own size
        shrunk = scaled(along * (self.eps / self.v_eps), d.exponent - 2 * self.k)
        total = across + shrunk
        return scaled(total.mantissa / np.sqrt(self.v_eps), total.exponent - self.k)

    def _groups(self, a: Scaled) -> Scaled:
        """Bring the groups into the columns, and back."""
        return transposed(a) if self.over_batch else a

    def _deviations(self, a: Scaled, sizes: Array | float = 1.0) -> Scaled:
        """Subtract the mean of every group."""
        if not self.centred:
            return a
        deviations, count = a.mantissa, np.sum(sizes * np.ones((len(a.mantissa), 1)))
        for _ in range(2):  # exact beside their own size
            deviations = deviations - sizes * (np.sum(deviations, axis=0) / count)
        return scaled(deviations, a.exponent)


def _part_along(C: Array, d: Array, sizes: Array | float) -> Array:
    """Project every column of d on that of C."""
    square = np.sum(sizes * C * C, axis=0)
    factor = np.sum(C * d, axis=0) / np.where(square > 0, square, 1.0)
    return np.asarray(sizes * C * factor)


def normalisation(kind: str | None, eps: float) -> Normalisation | Unnormalised:
    """Return the normalisation of that name, or none."""
    return Unnormalised() if kind is None else Normalisation(kind, eps)
