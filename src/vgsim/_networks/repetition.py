"""Consecutive repetitions in a long sequence of numbers, by a rule that depends on nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["LONGEST_PERIOD", "Run", "first_places", "period_of", "runs"]

LONGEST_PERIOD = 64
WINDOW = 1024  # positions that are compared at once
Order = NDArray[np.int64]


class Run(NamedTuple):
    """Entries `first` … `first` + `period` − 1, `times` times in a row."""

    first: int
    period: int
    times: int


def runs(order: Order) -> Iterator[Run]:
    """Yield repetitions that cover a sequence, and single entries (count 1) between them.

    The rule: at each position, of the periods up to 64 the one whose repetitions cover most
    entries, of several the shortest; the search goes on behind them. So equal sequences have equal
    runs.

    Examples
    --------
    >>> import numpy as np
    >>> from vgsim._networks.repetition import runs
    >>> [tuple(run) for run in runs(np.array([7, 0, 1, 0, 1, 0, 1, 2]))]
    [(0, 1, 1), (1, 2, 3), (7, 1, 1)]
    """
    start = 0
    while start < len(order):
        equal = _equal_ahead(order[start : start + WINDOW + LONGEST_PERIOD])
        size = len(equal[0])  # positions of this window
        reaches = start + size < len(order)  # whether entries follow the window
        at = 0
        while at < size:
            cut = reaches and bool((equal[:, at] == size - at).any())
            if cut and at > 0:
                break
            ahead = _full(order, start, equal[:, 0]) if cut else equal[:, at]
            run = _widest(start + at, ahead)
            yield run
            at += run.period * run.times
        start += at


def _equal_ahead(part: Order) -> NDArray[np.int64]:
    """Return how long each position agrees with that a period 1 … 64 behind it; (64, positions).

    The last 64 entries are only looked at from before, unless the sequence ends with the part.
    """
    size = min(len(part), WINDOW)
    padded = np.concatenate([part, np.full(LONGEST_PERIOD, -1)])
    ahead = np.lib.stride_tricks.sliding_window_view(padded, size)[1 : LONGEST_PERIOD + 1]
    places = np.arange(size)
    differs = np.where(ahead != part[:size], places, size)
    following = np.minimum.accumulate(differs[:, ::-1], axis=1)[:, ::-1]
    return np.asarray(following - places)


def _full(order: Order, start: int, known: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return how long the order agrees from `start` with itself a period 1 … 64 later.

    `known` is that within a window; it is exact where it is less than the window.
    """
    found = known.copy()
    for p in np.flatnonzero(known == known.max()) + 1:
        size = int(known[p - 1])
        while True:
            here = order[start + p : start + p + 2 * size]
            differs = np.flatnonzero(here != order[start : start + len(here)])
            if len(differs) or len(here) < 2 * size:
                found[p - 1] = differs[0] if len(differs) else len(here)
                break
            size *= 2
    return found


def _widest(first: int, ahead: NDArray[np.int64]) -> Run:
    """Return the run at a position from how long it agrees with that a period behind it."""
    periods = np.arange(1, LONGEST_PERIOD + 1)
    counts = 1 + ahead // periods
    covered = np.where(counts > 1, counts * periods, 0)
    best = int(np.argmax(covered))
    if covered[best] == 0:
        return Run(first, 1, 1)
    return Run(first, best + 1, int(counts[best]))


def first_places(keys: Order) -> tuple[Order, Order]:
    """Return where each distinct number first occurs, in order, and which of them each one is.

    Examples
    --------
    >>> import numpy as np
    >>> from vgsim._networks.repetition import first_places
    >>> first_places(np.array([7, 7, 2, 7]))
    (array([0, 2]), array([0, 0, 1, 0]))
    """
    _, first, order = np.unique(keys, return_index=True, return_inverse=True)
    rank = np.argsort(np.argsort(first))
    return np.sort(first), rank[order.ravel()]


def period_of(order: Order) -> int:
    """Return the smallest p that divides the length and with which the sequence repeats.

    Examples
    --------
    >>> import numpy as np
    >>> from vgsim._networks.repetition import period_of
    >>> period_of(np.array([0, 1, 0, 1])), period_of(np.array([0, 1, 0]))
    (2, 3)
    """
    n = len(order)
    small = [p for p in range(1, int(n**0.5) + 1) if n % p == 0]
    for p in sorted({*small, *(n // p for p in small)}):
        if np.array_equal(order[p:], order[: n - p]):
            return p
    return n
