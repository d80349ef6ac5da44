"""Custom activations: φ and φ' from the table of vg_custom.h, in NumPy."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vgsim._checks import value_error
from vgsim._domains import Domain
from vgsim._networks.custom_table import KINDS, CustomTable, table_of
from vgsim._networks.piecewise import COEFFICIENTS, HEAD, Piecewise

__all__ = ["CUSTOM_HEAD", "FIELDS", "CustomActivation", "activation_of"]

Array = NDArray[np.float64]
CUSTOM_HEAD = 16  # reals before the pieces; see vg_custom.h
LN_2 = math.log(2.0)
MOST_LOG2 = 1000.0


@dataclass(frozen=True, eq=False)
class CustomActivation:
    """φ and φ' of a table, in float64.

    Examples
    --------
    >>> import numpy as np
    >>> import vgsim
    >>> from vgsim._networks.custom_activation import activation_of
    >>> phi = vgsim.Activation("custom", function=np.abs, derivative=np.sign)
    >>> activation_of(phi.parameters["sha256"]).value(np.array([-2.0, 3.0]))
    array([2., 3.])
    """

    table: CustomTable

    @property
    def is_zero_at_zero(self) -> bool:
        """Whether φ(0) = 0."""
        return self.table.kind in KINDS[:2]

    @cached_property
    def _pieces(self) -> tuple[Piecewise, Piecewise]:
        """The pieces between the cuts, and those of the tails."""
        table, count = self.table.tables["float64"], COEFFICIENTS["float64"]
        parts = np.split(np.asarray(table, dtype=np.float64), [CUSTOM_HEAD, int(table[12])])[1:]
        core, tails = (
            Piecewise(
                part[4 : 4 + 4 * int(part[0])].reshape(-1, 4),
                part[HEAD:].reshape(-1, 2 * count),
                count,
            )
            for part in parts
        )
        return core, tails

    def _core(self, h: Array) -> list[Array]:
        """Return P and Q at h, between the cuts."""
        table = self.table.tables["float64"]
        return self._pieces[0](np.clip(h, table[0], table[1]))

    def _is_beyond(self, h: Array) -> NDArray[np.bool_]:
        """Whether h is beyond the cuts."""
        table = self.table.tables["float64"]
        return np.asarray((h <= table[0]) | (h > table[1]))

    def _tail(self, h: Array) -> tuple[list[Array], tuple[Any, Any], list[Any]]:
        """Return P and Q at h, which is beyond the cuts, and a, s and the signs of its tail."""
        table = self.table.tables["float64"]
        a, s, *signs = (np.where(h > 0, table[8 + k], table[4 + k]) for k in range(4))
        known = (h >= table[2]) & (h <= table[3])
        rests = self._pieces[1](np.clip(h, table[2], table[3]))
        return rests, (a, s), [sign * known for sign in signs]

    def value(self, h: Array) -> Array:
        """φ(h)."""
        P, _ = self._core(h)
        found = np.asarray(h * P if self.is_zero_at_zero else P)
        if (beyond := self._is_beyond(h)).any():
            h = h[beyond]
            (rest, _), (a, s), (sign, _) = self._tail(h)
            found[beyond] = s * h + (a + sign * np.exp2(np.minimum(rest, MOST_LOG2)))
        return found

    def derivative(self, h: Array) -> Array:
        """φ'(h)."""
        _, found = self._core(h)
        if (beyond := self._is_beyond(h)).any():
            (_, rest), (_, s), (_, sign) = self._tail(h[beyond])
            found[beyond] = s + sign * np.exp2(np.minimum(rest, MOST_LOG2))
        return found

    def log_value(self, h: Array) -> tuple[Array, Array]:
        """Sign and ln |φ(h)|."""
        sign, log = _logarithm(self.value(h))
        beyond = self._is_beyond(h)
        (rest, _), (a, s), (own, _) = self._tail(h[beyond])
        small = s * h[beyond] + a == 0
        return _replaced(beyond, small, sign, log, own, rest)

    def log_derivative(self, h: Array) -> tuple[Array, Array]:
        """Sign and ln |φ'(h)|."""
        sign, log = _logarithm(self.derivative(h))
        beyond = self._is_beyond(h)
        (_, rest), (_, s), (_, own) = self._tail(h[beyond])
        return _replaced(beyond, s == 0, sign, log, own, rest)

    @property
    def slope_at_zero(self) -> tuple[float, float]:
        """(left, right) limits of φ(h)/h at 0; nan if φ(0) is not 0."""
        if not self.is_zero_at_zero:
            return math.nan, math.nan
        left, right = self._core(np.array([-1e-300, 1e-300]))[0]
        return float(left), float(right)

    @property
    def slope_at_infinity(self) -> tuple[float, float]:
        """(left, right) limits of φ(h)/h at infinity."""
        table = self.table.tables["float64"]
        return float(table[5]), float(table[9])


@lru_cache(maxsize=64)
def activation_of(sha256: str) -> CustomActivation:
    """Return the activation of a table that this process knows."""
    return CustomActivation(table_of(sha256))


def _logarithm(values: Array) -> tuple[Array, Array]:
    """Return sign and ln |·|."""
    with np.errstate(divide="ignore"):
        return np.sign(values), np.log(np.abs(values))


def _replaced(
    beyond: NDArray[np.bool_], small: Any, sign: Array, log: Array, own: Any, log2: Array
) -> tuple[Array, Array]:
    """Put the signs and logarithms of the tails that are `small` in their places."""
    sign[beyond] = np.where(small, own, sign[beyond])
    log[beyond] = np.where(small, np.where(own == 0, -np.inf, log2 * LN_2), log[beyond])
    return sign, log


class Fingerprint(Domain):
    """The SHA-256 of a table that this process knows."""

    default = None

    def check(self, argument: str, value: Any, of: str = "") -> str:
        """Return `value`; raise TypeError or ValueError if there is no such table."""
        table = table_of(value)
        if table.kind not in KINDS:
            raise value_error(argument, "is that of a law of weights, not of an activation", of)
        return table.sha256


def _module(nn: Any, phi: CustomActivation) -> Any:
    """Return a module that applies φ, and φ' in the backward pass."""
    import torch

    def evaluated(function: Callable[[Array], Array], h: Any) -> Any:
        values = function(h.detach().cpu().double().numpy())
        return torch.as_tensor(values, dtype=h.dtype, device=h.device)

    class Elementwise(torch.autograd.Function):  # type: ignore[misc]
        @staticmethod
        def forward(context: Any, h: Any) -> Any:
            context.save_for_backward(h)
            return evaluated(phi.value, h)

        @staticmethod
        def backward(context: Any, gradient: Any) -> Any:
            (h,) = context.saved_tensors
            return gradient * evaluated(phi.derivative, h)

    class Custom(nn.Module):  # type: ignore[misc]
        def forward(self, h: Any) -> Any:
            return Elementwise.apply(h)

    return Custom()


FIELDS: dict[str, Any] = {  # of the entry in the table of activations
    "parameters": {"sha256": Fingerprint()},
    "value": lambda h, sha256: activation_of(sha256).value(h),
    "derivative": lambda h, sha256: activation_of(sha256).derivative(h),
    "max_derivative": lambda sha256: table_of(sha256).max_derivative,
    "slope_at_zero": lambda sha256: activation_of(sha256).slope_at_zero,
    "slope_at_infinity": lambda sha256: activation_of(sha256).slope_at_infinity,
    "kinks": lambda sha256: table_of(sha256).kinks,
    "log_value": lambda h, sha256: activation_of(sha256).log_value(h),
    "log_derivative": lambda h, sha256: activation_of(sha256).log_derivative(h),
    "torch": lambda nn, sha256: _module(nn, activation_of(sha256)),
    "textbook_init": "glorot_normal",
}
