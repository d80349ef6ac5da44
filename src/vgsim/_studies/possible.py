"""Consistency checks of counts that were read from a file."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from vgsim._studies.tally import BINS, FRACTION_BITS, Counts, Integers, Tally

__all__ = ["check_events", "check_tally", "refuse"]

MOST_BINS = 2**31 * BINS  # bins on each side of zero: |R| < 2**31
UNIT = 2**FRACTION_BITS // BINS  # width of a bin in units of q


def check_tally(tally: Tally) -> None:
    """Raise ValueError if no samples can have the counts of a tally.

    The shapes of its arrays are not checked.

    Examples
    --------
    >>> from dataclasses import replace
    >>> from vgsim._studies.possible import check_tally
    >>> from vgsim._studies.tally import Tally
    >>> check_tally(replace(Tally.empty((0,), (1e-6,)), squares=(1,)))
    Traceback (most recent call last):
    ValueError: squares cannot come from samples
    """
    check_events(tally, tally.n)
    levels = np.array([math.log10(threshold) * BINS for threshold in tally.thresholds])
    alive = (tally.n - tally.dead).tolist()
    columns = zip(alive, tally.sums, tally.squares, tally.histogram, strict=True)
    for column, (living, total, squares, (bins, counts)) in enumerate(columns):
        refuse(
            {
                "bins": bins[1:] > bins[:-1],
                "the range of bins": (bins >= -MOST_BINS) & (bins < MOST_BINS),
                "counts": (counts >= 1) & (counts <= living),
                "the histogram": sum(counts.tolist()) == living,
            }
        )
        past = np.concatenate([[0], np.cumsum(counts)])
        below, above = (  # excluding and including the bin that contains the threshold
            past[np.searchsorted(bins, [np.floor(level), np.floor(level) + 1])]
            for level in (levels, -levels)
        )
        dead, high = tally.dead[column], tally.exploding[column]
        low = tally.vanishing[column] - dead
        reach = max(map(abs, bins[[0, -1]].tolist())) + 1 if bins.size else 0
        exact: Any = np.int64 if living * reach**2 < 2**63 else object
        b, m = bins.astype(exact), counts.astype(exact)
        least = int(m @ b)
        near, far = (int(m @ np.maximum(b + i, i - b - 1) ** 2) for i in (0, 1))
        refuse(
            {
                "vanishing": (below[0] <= low) & (low <= below[1]),
                "exploding": (living - above[1] <= high) & (high <= living - above[0]),
                "sums": least * UNIT <= total <= (least + living) * UNIT,
                "squares": near * UNIT**2 <= squares <= far * UNIT**2
                and total**2 <= living * squares,
            }
        )


def check_events(counts: Counts, samples: int | Integers, of: str = "") -> None:
    """Raise ValueError if events cannot have happened so often among so many samples.

    Parameters
    ----------
    counts : Counts
    samples : int or int64 array
        Of the shape of the leading axes of `counts`.
    of : str
        What the counts are of, for messages.

    Examples
    --------
    >>> from dataclasses import replace
    >>> from vgsim._studies.possible import check_events
    >>> from vgsim._studies.tally import Tally
    >>> check_events(Tally.empty((0,), (1e-6,)), 10)
    >>> check_events(Tally.empty((0,), (1e-6,)), -1)
    Traceback (most recent call last):
    ValueError: dead cannot come from samples
    """
    vanishing, exploding = counts.vanishing, counts.exploding
    underflow, overflow = counts.underflow, counts.overflow
    n = np.asarray(samples)[..., np.newaxis]
    dead, every = counts.dead[..., np.newaxis], n[..., np.newaxis]
    refuse(
        {
            "dead": (counts.dead >= 0) & (counts.dead <= n),
            "exploding": (exploding >= 0) & (exploding <= every),
            "vanishing": (vanishing >= dead) & (vanishing <= every - exploding),
            "underflow": (underflow >= dead) & (underflow <= every),
            "overflow": (overflow >= 0) & (overflow <= every),
            # by increasing range of the format
            "the order of underflow": np.diff(underflow) <= 0,
            "the order of overflow": np.diff(overflow) <= 0,
        },
        of,
    )


def refuse(possible: Mapping[str, ArrayLike], of: str = "") -> None:
    """Raise a ValueError that names the first condition that does not hold everywhere.

    Examples
    --------
    >>> from vgsim._studies.possible import refuse
    >>> refuse({"dead": [True, True], "sums": False})
    Traceback (most recent call last):
    ValueError: sums cannot come from samples
    """
    for name, holds in possible.items():
        if not np.all(holds):
            raise ValueError(f"{name}{of} cannot come from samples")
