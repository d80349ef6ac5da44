"""Tables of coefficients in place of functions: of custom activations and laws of weights.

The functions are approximated once, for float32 and for float64. From then on only the table
exists: it is stored and sent, and its SHA-256 identifies the activation or the law.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vgsim._checks import type_error, value_error

__all__ = [
    "KINDS",
    "OF_ACTIVATION",
    "QUANTILE",
    "CustomTable",
    "encoded_tables",
    "keep_encoded",
    "kept",
    "table_of",
    "tables_in",
]

KINDS = ("custom_homogeneous", "custom_saturating", "custom_bounded", "custom_rising")
QUANTILE = "quantile"
OF_ACTIVATION = " of activation 'custom'"
FORMAT = "vgsim custom activation 1"
DTYPES = {"float32": "<f4", "float64": "<f8"}
IN_JSON = re.compile(  # sorted, without spaces; a law of weights may have a scale
    r'"name":"custom",(?:"scale":[^,"]*,)?"sha256":"([0-9a-f]{64})"'
)
_known: dict[str, CustomTable] = {}


@dataclass(frozen=True, eq=False)
class CustomTable:
    """A custom activation φ, or a custom law of weights, as the kernels take it.

    Attributes
    ----------
    kind : str
        Of an activation one of `KINDS`: how φ behaves at 0 and at infinity. Of a law `QUANTILE`.
    kinks : tuple of float
        Where φ' or φ'' jumps; none of a law.
    max_derivative : float
        The supremum of |φ'|; 0 of a law.
    tables : dict of str to array
        By dtype.

    Examples
    --------
    >>> import numpy as np
    >>> import vgsim
    >>> from vgsim._networks.custom_table import table_of
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
                or head["kind"] not in (*KINDS, QUANTILE)
                or len(reals) != 4 * n + 8 * m
            ):
                raise ValueError("its format is another one")
            tables: dict[str, NDArray[np.floating[Any]]] = {
                "float32": np.frombuffer(reals, "<f4", n).astype(np.float32),
                "float64": np.frombuffer(reals, "<f8", m, 4 * n).astype(np.float64),
            }
            return cls(head["kind"], kinks, float(head["max_derivative"]), tables)
        except (LookupError, TypeError, ValueError) as error:
            raise ValueError("the table of a custom activation or law is damaged") from error


def kept(table: CustomTable) -> CustomTable:
    """Make `table_of` find the table, in this process."""
    return _known.setdefault(table.sha256, table)


def table_of(sha256: str, of: str = OF_ACTIVATION) -> CustomTable:
    """Return the table with that SHA-256; `of` says in errors of what it is a parameter.

    Raises
    ------
    TypeError, ValueError
        If it is not the hex digest of a table that this process knows.

    Examples
    --------
    >>> from vgsim._networks.custom_table import table_of
    >>> table_of("0" * 64)
    Traceback (most recent call last):
    ValueError: sha256 of activation 'custom' is '000000000000...', and this process does not have \
that table: make it from its functions, or load the file that holds it
    """
    if not isinstance(sha256, str):
        raise type_error("sha256", f"must be a string, got {sha256!r}", of)
    if sha256 not in _known:
        shown = f"{sha256[:12]}..." if len(sha256) > 12 else sha256
        raise value_error(
            "sha256",
            f"is {shown!r}, and this process does not have that table: make it from its functions, "
            "or load the file that holds it",
            of,
        )
    return _known[sha256]


def tables_in(description: str) -> dict[str, CustomTable]:
    """Return the tables that the canonical JSON of a network names, by SHA-256.

    Examples
    --------
    >>> import numpy as np
    >>> import vgsim
    >>> from vgsim._networks.custom_table import tables_in
    >>> phi = vgsim.Activation("custom", function=np.abs, derivative=np.sign)
    >>> list(tables_in(vgsim.MLP(3, 8, activation=phi).canonical_json())) == [phi.table.sha256]
    True
    """
    return {sha256: table_of(sha256) for sha256 in sorted(set(IN_JSON.findall(description)))}


def encoded_tables(*descriptions: str) -> dict[str, Any]:
    """Return the entry of a file's JSON header with the tables of networks, if any."""
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
            raise ValueError("the table of a custom activation or law has another SHA-256")
        kept(table)
