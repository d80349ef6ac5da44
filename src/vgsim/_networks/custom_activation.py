"""Custom activations: tables of coefficients in place of two functions.

The functions are approximated once (`approximated`), for float32 and for float64. From then on only
the table exists: it is stored and sent, and its SHA-256 identifies the activation.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vgsim._checks import type_error, value_error
from vgsim._domains import Domain
from vgsim._networks.piecewise import COEFFICIENTS, HEAD, Piecewise

__all__ = [
    "FIELDS",
    "KINDS",
    "CustomTable",
    "encoded_tables",
    "keep_encoded",
    "kept",
    "table_of",
    "tables_in",
]

Array = NDArray[np.float64]
KINDS = ("custom_homogeneous", "custom_saturating", "custom_bounded", "custom_rising")
FORMAT = "vgsim custom activation 1"
CUSTOM_HEAD = 16  # reals before the pieces; see vg_custom.h
DTYPES = {"float32": "<f4", "float64": "<f8"}
LN_2 = math.log(2.0)
MOST_LOG2 = 1000.0
IN_JSON = re.compile(  # sorted, without spaces; a law of weights may have a scale
    r'"name":"custom",(?:"scale":[^,"]*,)?"sha256":"([0-9a-f]{64})"'
)
_known: dict[str, CustomTable] = {}


@dataclass(frozen=True, eq=False)
class CustomTable:
    """A custom activation φ as the kernels take it.

    Attributes
    ----------
    kind : str
        One of `KINDS`: how φ behaves at 0 and at infinity.
    kinks : tuple of float
        Where φ' or φ'' jumps.
    max_derivative : float
    tables : dict of str to array
        By dtype.

    Examples
    --------
    >>> import numpy as np
    >>> import vgsim
    >>> from vgsim._networks.custom_activation import table_of
    >>> phi = vgsim.Activation("custom", function=np.tanh, derivative=lambda h: np.cosh(h) ** -2.0)
    >>> table_of(phi.parameters["sha256"]).kind
    'custom_saturating'
    """

    kind: str
    kinks: tuple[float, ...]
    max_derivative: float
    tables: dict[str, NDArray[np.floating[Any]]]

    @cached_property
    def content(self) -> bytes:
        """The table as bytes: a line of JSON, and the reals of both dtypes."""
        head = {
            "format": FORMAT,
            "kind": self.kind,
            "kinks": self.kinks,
            "max_derivative": self.max_derivative,
            "sizes": [self.tables[dtype].size for dtype in DTYPES],
        }
        reals = [self.tables[dtype].astype(order).tobytes() for dtype, order in DTYPES.items()]
        return b"".join([json.dumps(head).encode("ascii"), b"\n", *reals])

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of `content`, in hex."""
        return hashlib.sha256(self.content).hexdigest()

    @classmethod
    def from_content(cls, content: bytes) -> CustomTable:
        """Return the table with that `content`; ValueError if it is damaged."""
        try:
            line, reals = content.split(b"\n", 1)
            head = json.loads(line)
            (n, m), kinks = head["sizes"], tuple(map(float, head["kinks"]))
            if (
                head["format"] != FORMAT
                or head["kind"] not in (*KINDS, "quantile")
                or len(reals) != 4 * n + 8 * m
            ):
                raise ValueError("its format is another one")
            tables: dict[str, NDArray[np.floating[Any]]] = {
                "float32": np.frombuffer(reals, "<f4", n).astype(np.float32),
                "float64": np.frombuffer(reals, "<f8", m, 4 * n).astype(np.float64),
            }
            return cls(head["kind"], kinks, float(head["max_derivative"]), tables)
        except (LookupError, TypeError, ValueError) as error:
            raise ValueError("the table of a custom activation is damaged") from error

    @property
    def is_zero_at_zero(self) -> bool:
        """Whether φ(0) = 0."""
        return self.kind in KINDS[:2]

    @cached_property
    def _pieces(self) -> tuple[Piecewise, Piecewise]:
        """The pieces between the cuts, and those of the tails."""
        table, count = self.tables["float64"], COEFFICIENTS["float64"]
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
        table = self.tables["float64"]
        return self._pieces[0](np.clip(h, table[0], table[1]))

    def _is_beyond(self, h: Array) -> NDArray[np.bool_]:
        """Whether h is beyond the cuts."""
        table = self.tables["float64"]
        return np.asarray((h <= table[0]) | (h > table[1]))

    def _tail(self, h: Array) -> tuple[list[Array], tuple[Any, Any], list[Any]]:
        """Return P and Q at h, which is beyond the cuts, and a, s and the signs of its tail."""
        table = self.tables["float64"]
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
        table = self.tables["float64"]
        return float(table[5]), float(table[9])


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


def kept(table: CustomTable) -> CustomTable:
    """Make `table_of` find the table, in this process."""
    return _known.setdefault(table.sha256, table)


def table_of(sha256: str, of: str = " of activation 'custom'") -> CustomTable:
    """Return the table with that SHA-256; an error says what it is `of`.

    Raises
    ------
    TypeError, ValueError
        If it is not the hex digest of a table that this process knows.

    Examples
    --------
    >>> from vgsim._networks.custom_activation import table_of
    >>> table_of("0" * 64)
    Traceback (most recent call last):
    ValueError: sha256 of activation 'custom' is '000000000000...', and this process does not have \
that table: build it from its function again, or load the file that holds it
    """
    if not isinstance(sha256, str):
        raise type_error("sha256", f"must be a string, got {sha256!r}", of)
    if sha256 not in _known:
        shown = f"{sha256[:12]}..." if len(sha256) > 12 else sha256
        raise value_error(
            "sha256",
            f"is {shown!r}, and this process does not have that table: build it from its "
            "function again, or load the file that holds it",
            of,
        )
    return _known[sha256]


def tables_in(description: str) -> dict[str, CustomTable]:
    """Return the tables of the custom activations in the canonical JSON of a network, by SHA-256.

    Examples
    --------
    >>> import numpy as np
    >>> import vgsim
    >>> from vgsim._networks.custom_activation import tables_in
    >>> phi = vgsim.Activation("custom", function=np.abs, derivative=np.sign)
    >>> list(tables_in(vgsim.MLP(3, 8, activation=phi).canonical_json())) == [phi.table.sha256]
    True
    """
    return {sha256: table_of(sha256) for sha256 in sorted(set(IN_JSON.findall(description)))}


def encoded_tables(*descriptions: str) -> dict[str, Any]:
    """Return the entry of a file's JSON header with the tables of custom activations, if any."""
    found = {key: table for text in descriptions for key, table in tables_in(text).items()}
    encoded = {
        sha256: base64.b64encode(table.content).decode("ascii") for sha256, table in found.items()
    }
    return {"activations": encoded} if encoded else {}


def keep_encoded(encoded: Mapping[str, str]) -> None:
    """Make tables from a file's header known to this process; ValueError if one is damaged."""
    for sha256, text in encoded.items():
        table = CustomTable.from_content(base64.b64decode(text, validate=True))
        if table.sha256 != sha256:
            raise ValueError("the table of a custom activation has another SHA-256")
        kept(table)


class Fingerprint(Domain):
    """The SHA-256 of a table that this process knows."""

    default = None

    def check(self, argument: str, value: Any, of: str = "") -> str:
        """Return `value`; raise TypeError or ValueError if there is no such table."""
        table = table_of(value)
        if table.kind not in KINDS:
            raise value_error(argument, "is that of a law of weights, not of an activation", of)
        return table.sha256


def _module(nn: Any, table: CustomTable) -> Any:
    """Return a module that evaluates a table, and its φ' in the backward pass."""
    import torch

    def evaluated(function: Callable[[Array], Array], h: Any) -> Any:
        values = function(h.detach().cpu().double().numpy())
        return torch.as_tensor(values, dtype=h.dtype, device=h.device)

    class Elementwise(torch.autograd.Function):  # type: ignore[misc]
        @staticmethod
        def forward(context: Any, h: Any) -> Any:
            context.save_for_backward(h)
            return evaluated(table.value, h)

        @staticmethod
        def backward(context: Any, gradient: Any) -> Any:
            (h,) = context.saved_tensors
            return gradient * evaluated(table.derivative, h)

    class Custom(nn.Module):  # type: ignore[misc]
        def forward(self, h: Any) -> Any:
            return Elementwise.apply(h)

    return Custom()


FIELDS: dict[str, Any] = {  # of the entry in the table of activations
    "parameters": {"sha256": Fingerprint()},
    "value": lambda h, sha256: table_of(sha256).value(h),
    "derivative": lambda h, sha256: table_of(sha256).derivative(h),
    "max_derivative": lambda sha256: table_of(sha256).max_derivative,
    "slope_at_zero": lambda sha256: table_of(sha256).slope_at_zero,
    "slope_at_infinity": lambda sha256: table_of(sha256).slope_at_infinity,
    "kinks": lambda sha256: table_of(sha256).kinks,
    "log_value": lambda h, sha256: table_of(sha256).log_value(h),
    "log_derivative": lambda h, sha256: table_of(sha256).log_derivative(h),
    "torch": lambda nn, sha256: _module(nn, table_of(sha256)),
    "textbook_init": "glorot_normal",
}
