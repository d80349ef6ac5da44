"""Functions as piecewise polynomials, to the accuracy of a dtype: the tables of vg_pieces.h."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

__all__ = ["COEFFICIENTS", "HEAD", "MOST_SEGMENTS", "Piecewise", "Unfit", "fitted", "joined"]

Array = NDArray[np.float64]
Function = Callable[[Array], Array]

COEFFICIENTS = {"float32": 4, "float64": 8}  # of one polynomial
TOLERANCE = {"float32": 2.0**-24.5, "float64": 2.0**-49}  # relative to the largest value of a piece
NOISE = 2.0**-46  # error, relative to the largest value of all, that is accepted as rounding
MOST_SEGMENTS = 15
HEAD = 64  # reals before the rows; see vg_pieces.h
# numbers of pieces of a segment
SIZES = (
    1,
    2,
    3,
    4,
    6,
    8,
    12,
    16,
    24,
    32,
    48,
    64,
    96,
    128,
    160,
    192,
    256,
    320,
    384,
    448,
    512,
    640,
    768,
    1024,
)


class Unfit(ValueError):
    """A function that is not a polynomial on small pieces between `low` and `high`."""

    def __init__(self, low: float, high: float) -> None:
        super().__init__(f"needs too many pieces between {low!r} and {high!r}")
        self.low, self.high = low, high


@dataclass(frozen=True, eq=False)
class Piecewise:
    """Functions of one variable as polynomials on pieces.

    Segment j holds the t with ``segments[j, 0] < t <= segments[j + 1, 0]``; the first has no start
    and the last no end. There ``u = t * scale + shift``, and the pieces lie at the integers nearest
    to u, counted from the first piece of the segment.

    Attributes
    ----------
    segments : ndarray, (m, 4)
        Start, scale, shift and number of the first piece.
    rows : ndarray, (pieces, functions * count)
        Coefficients in u minus the nearest integer, those of the first function first, the lowest
        degree first.
    count : int
        Coefficients of one polynomial, 4 or 8.

    Examples
    --------
    >>> import numpy as np
    >>> from vgsim._networks.piecewise import fitted
    >>> pieces = fitted([np.exp], [0.0, 1.0], "float64")
    >>> bool(abs(pieces(0.25)[0] - np.exp(0.25)) < 1e-14)
    True
    """

    segments: Array
    rows: Array
    count: int

    def __call__(self, t: Array | float) -> list[Array]:
        """Return the values of all functions at t, which must be in the domain."""
        t = np.asarray(t, dtype=np.float64)
        own = self.segments[np.searchsorted(self.segments[1:, 0], t, side="left")]
        u = t * own[..., 1] + own[..., 2]
        nearest = np.rint(u)
        row = self.rows[(nearest + own[..., 3]).astype(np.int64)]
        f = u - nearest
        return [
            _polynomial(row[..., i : i + self.count], f)
            for i in range(0, row.shape[-1], self.count)
        ]

    def table(self, dtype: str) -> NDArray[np.floating]:
        """Return the table as the kernels take it: a head of 64 reals, and the rows."""
        head = np.zeros(HEAD)
        head[0] = len(self.segments)
        head[4 : 4 + self.segments.size] = self.segments.ravel()
        return np.concatenate([head, self.rows.ravel()]).astype(dtype)


def fitted(
    functions: Sequence[Function],
    knots: Iterable[float],
    dtype: str,
    count: int | None = None,
    most: int = MOST_SEGMENTS,
    inclusive: Iterable[float] = (),
    widest: float = math.inf,
) -> Piecewise:
    """Fit smooth functions between knots by polynomials, to the accuracy of `dtype`.

    The error on a piece is within about one rounding of the largest value there and of t, so that
    functions which decay keep their relative accuracy. Where a function itself has larger rounding
    errors, the fit stops at 2^-46 of its largest value of all.

    Parameters
    ----------
    functions : sequence of callables
        They take and return arrays of float64; smooth between two knots, also one-sided.
    knots : iterable of float
        Two or more, ascending; the first and the last are the ends of the domain.
    dtype : {"float32", "float64"}
    count : int, optional
        Coefficients of one polynomial, 4 or 8; by default `COEFFICIENTS`.
    most : int, default 15
        The most segments.
    inclusive : iterable of float
        Knots that belong to the pieces on their right; the others belong to those on their left.
    widest : float, optional
        The greatest width of a piece.

    Raises
    ------
    Unfit
        If a function needs too many pieces.

    Examples
    --------
    >>> import numpy as np
    >>> from vgsim._networks.piecewise import fitted
    >>> fitted([np.abs], [-1.0, 0.0, 2.0], "float32").rows.shape
    (2, 4)
    """
    count = COEFFICIENTS[dtype] if count is None else count
    ends, right = sorted(knots), set(inclusive)
    scan = np.linspace(0.0, 1.0, 257)[1:-1]
    points = np.concatenate([a + (b - a) * scan for a, b in pairwise(ends)])
    noise = [NOISE * float(np.abs(f(points)).max()) for f in functions]
    segments: list[tuple[float, float, float, float]] = []
    rows: list[Array] = []
    waiting = list(pairwise(ends))[::-1]
    shortest = 2.0**-30 * (ends[-1] - ends[0])
    while waiting:
        low, high = waiting.pop()
        found = _segment(functions, noise, low, high, dtype, count, widest)
        if found is None:
            middle = 0.5 * (low + high)
            if high - low < shortest or len(segments) + len(waiting) + 2 > most:
                raise Unfit(low, high)
            waiting += [(middle, high), (low, middle)]
            continue
        scale, shift, own = found
        start = _start(low, dtype, low in right)
        segments.append((start, scale, shift, float(sum(map(len, rows)))))
        rows.append(own)
    return Piecewise(np.array(segments), np.concatenate(rows), count)


def joined(parts: Sequence[Piecewise]) -> Piecewise:
    """Put tables side by side, each beginning where the one before ends.

    Examples
    --------
    >>> import numpy as np
    >>> from vgsim._networks.piecewise import fitted, joined
    >>> both = joined([fitted([np.exp], [-1, 0], "float64"), fitted([np.cos], [0, 1], "float64")])
    >>> bool(np.allclose(both(np.array([-0.5, 0.5]))[0], [np.exp(-0.5), np.cos(0.5)], 1e-14))
    True
    """
    first = np.cumsum([0, *(len(part.rows) for part in parts)])
    segments = [
        part.segments + np.array([0, 0, 0, n]) for part, n in zip(parts, first, strict=False)
    ]
    rows = np.concatenate([part.rows for part in parts])
    return Piecewise(np.concatenate(segments), rows, parts[0].count)


def _start(low: float, dtype: str, is_inclusive: bool) -> float:
    """Return the start of a segment, as a normal number of `dtype`."""
    real = np.dtype(dtype).type
    if is_inclusive and low == 0.0:
        return -float(np.finfo(dtype).tiny)
    return float(np.nextafter(real(low), real(-np.inf)) if is_inclusive else real(low))


def _segment(
    functions: Sequence[Function],
    noise: Sequence[float],
    low: float,
    high: float,
    dtype: str,
    count: int,
    widest: float,
) -> tuple[float, float, Array] | None:
    """Return scale, shift and rows for the fewest pieces of equal width; None if too many."""
    nodes = 0.5 * np.cos(np.pi * (np.arange(count) + 0.5) / count)
    checks = np.linspace(-0.5, 0.5, 2 * count + 1)
    steep = np.arange(1, count) * 0.5 ** np.arange(count - 1)  # bounds |P'| by the coefficients
    rounding = np.finfo(dtype).eps + 8.0 * np.finfo(np.float64).eps  # of t, and in the fit
    before = math.inf
    for size in SIZES:
        if high - low > size * widest:
            continue
        scale, shift = _grid(low, high, size, dtype)
        edges = np.arange(size + 1) - 0.5
        edges[0], edges[-1] = low * scale + shift, high * scale + shift
        if np.any(np.diff(edges) <= 0.0):
            return None
        middle = 0.5 * (edges[:-1] + edges[1:])[:, np.newaxis]
        width, place = np.diff(edges)[:, np.newaxis], np.arange(size)[:, np.newaxis]
        at_nodes, at_checks = middle + width * nodes, middle + width * checks
        powers = (at_nodes - place)[..., np.newaxis] ** np.arange(count)
        at_powers = (at_checks - place)[..., np.newaxis] ** np.arange(count)
        found, worst, is_noise = [], 0.0, True
        for function, limit in zip(functions, noise, strict=True):
            values = _inside(function, (at_nodes - shift) / scale, low, high)
            t = (at_checks - shift) / scale
            exact = _inside(function, t, low, high)
            coefficients = np.linalg.solve(powers, values[..., np.newaxis])
            errors = np.abs((at_powers @ coefficients)[..., 0] - exact).max(axis=1)
            moved = rounding * scale * np.abs(t).max(axis=1)
            allowed = TOLERANCE[dtype] * np.abs(exact).max(axis=1)
            allowed += moved * (np.abs(coefficients[:, 1:, 0]) @ steep)
            worst = max(worst, float((errors / np.maximum(allowed, 1e-300)).max()))
            is_noise = is_noise and bool((errors <= np.maximum(allowed, limit)).all())
            found.append(coefficients[..., 0])
        if worst <= 1.0 or (is_noise and worst > 0.7 * before):
            rows = np.concatenate(found, axis=1).astype(dtype).astype(np.float64)
            return scale, shift, rows
        before = worst
    return None


def _inside(function: Function, t: Array, low: float, high: float) -> Array:
    """Return the function at t, and just inside of [low, high] at its ends, where it may jump."""
    inside = np.clip(t, low + 8.0 * np.spacing(abs(low)), high - 8.0 * np.spacing(abs(high)))
    return np.asarray(function(inside.ravel()), dtype=np.float64).reshape(t.shape)


def _grid(low: float, high: float, size: int, dtype: str) -> tuple[float, float]:
    """Return scale and shift in `dtype`, such that t = high rounds to the last piece."""
    real = np.dtype(dtype).type
    bits = np.finfo(dtype).nmant
    scale = real(size * (1.0 - 2.0 ** (3 - bits)) / (high - low))
    shift = real(-0.5 * (1.0 - 2.0 ** (3 - bits)) - low * float(scale))
    return float(scale), float(shift)


def _polynomial(c: Array, f: Array) -> Array:
    """c_0 + c_1 f + …, in the order of operations of the kernels."""
    square = f * f
    low = (c[..., 0] + c[..., 1] * f) + (c[..., 2] + c[..., 3] * f) * square
    if c.shape[-1] == 4:
        return np.asarray(low)
    high = (c[..., 4] + c[..., 5] * f) + (c[..., 6] + c[..., 7] * f) * square
    return np.asarray(low + high * (square * square))
