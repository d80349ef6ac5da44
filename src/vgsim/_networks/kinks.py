"""Where functions of one variable are not smooth: found by bisection."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["NotSmooth", "smooth_intervals"]

Array = NDArray[np.float64]
NODES = 16
ACCURACY = 2.0**-44  # of the interpolant on a smooth interval, relative to the largest value
NARROW = 2.0**-14  # an interval as narrow as this has a kink, if it is not smooth
OFFSET = 0.0137290641  # keeps the ends of the intervals away from kinks, which are round numbers
MOST_INTERVALS = 4000

_x = np.cos(np.pi * (np.arange(NODES) + 0.5) / NODES)
_y = np.cos(np.pi * np.arange(NODES + 1) / NODES)
_TO_CHECKS = np.polynomial.chebyshev.chebvander(_y, NODES - 1) @ np.linalg.inv(
    np.polynomial.chebyshev.chebvander(_x, NODES - 1)
)


class NotSmooth(ValueError):
    """Functions that are not smooth between a few kinks."""


def smooth_intervals(
    functions: Sequence[Callable[[Array], Array]], low: float, high: float, declared: list[float]
) -> tuple[list[float], Array, Array]:
    """Return the kinks, and the ends of intervals on which all functions are smooth.

    A kink is a point at which a function, or its first derivative, jumps. A found one is rounded to
    a number of few digits within the accuracy of the search.

    Parameters
    ----------
    functions : sequence of callables
    low, high : float
        The ends of the domain, -1024 ≤ low < 0 < high ≤ 1024.
    declared : list of float
        Known kinks, in the domain.

    Returns
    -------
    kinks : list of float
        Ascending.
    a, b : ndarray
        The ends of the intervals; they cover the domain but for the surroundings of found kinks.

    Raises
    ------
    NotSmooth
        If there are too many intervals.

    Examples
    --------
    >>> import numpy as np
    >>> from vgsim._networks.kinks import smooth_intervals
    >>> smooth_intervals([lambda h: np.maximum(h, 0.3)], -32.0, 32.0, [])[0]
    [0.3]
    """
    scale = _scales(functions, low, high)
    edges = OFFSET + np.sign(np.arange(-11, 12)) * 2.0 ** (np.abs(np.arange(-11, 12)) - 1.0)
    edges = edges[(edges > low) & (edges < high)]
    ends = np.unique(np.concatenate([[low, high], edges, [k for k in declared if low < k < high]]))
    a, b = ends[:-1], ends[1:]
    smooth: list[tuple[Array, Array]] = []
    rough: list[tuple[float, float]] = []
    while a.size:
        fails = _fails(functions, scale, a, b)
        smooth.append((a[~fails], b[~fails]))
        a, b = a[fails], b[fails]
        if a.size > MOST_INTERVALS:
            raise NotSmooth(f"is not smooth near h = {a[a.size // 2]:.6g}")
        narrow = b - a < NARROW
        rough += zip(a[narrow].tolist(), b[narrow].tolist(), strict=True)
        a, b = a[~narrow], b[~narrow]
        middle = a + 0.5 * (b - a)
        a, b = np.concatenate([a, middle]), np.concatenate([middle, b])
    found = {round(_located(functions, scale, *interval), 15) for interval in rough[:64]}
    every = sorted(found | {kink for kink in declared if low < kink < high})
    kinks = [k for i, k in enumerate(every) if not i or k - every[i - 1] > 1e-6]
    a, b = (np.concatenate(side) for side in zip(*smooth, strict=True))
    return kinks, a, b


def _scales(functions: Sequence[Callable[[Array], Array]], low: float, high: float) -> list[float]:
    """Return the largest |value| of each function near 0."""
    h = np.linspace(max(low, -8.0), min(high, 8.0), 1601)
    return [float(np.abs(function(h)).max()) for function in functions]


def _fails(
    functions: Sequence[Callable[[Array], Array]], scale: list[float], a: Array, b: Array
) -> NDArray[np.bool_]:
    """Whether a function differs from its interpolant on each of the intervals."""
    middle, half = 0.5 * (a + b)[:, np.newaxis], 0.5 * (b - a)[:, np.newaxis]
    nodes, checks = middle + half * _x, middle + half * _y
    fails = np.zeros(a.shape, dtype=bool)
    for function, size in zip(functions, scale, strict=True):
        values = function(nodes.ravel()).reshape(nodes.shape)
        exact = function(checks.ravel()).reshape(checks.shape)
        with np.errstate(invalid="ignore"):
            errors = np.abs(values @ _TO_CHECKS.T - exact).max(axis=1)
        fails |= ~(errors <= ACCURACY * np.maximum(np.abs(exact).max(axis=1), size))
    return fails


def _located(
    functions: Sequence[Callable[[Array], Array]], scale: list[float], a: float, b: float
) -> float:
    """Return the point in [a, b] at which the functions are not smooth."""
    while b - a > 4.0 * np.spacing(max(1.0, abs(a), abs(b))):
        middle = a + 0.4871 * (b - a)
        left, right = _fails(functions, scale, np.array([a, middle]), np.array([middle, b]))
        if not (left or right):
            break
        a, b = (a, middle) if left else (middle, b)
    middle, reach = 0.5 * (a + b), 4.0 * (b - a)
    for digits in range(13):
        if abs(round(middle, digits) - middle) <= reach:
            return round(middle, digits) + 0.0
    return middle
