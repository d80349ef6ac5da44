"""Which counts are possible: the check of a tally that comes out of a file."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from vgsim._studies.tally import BINS, FRACTION_BITS, Tally

__all__ = ["check_tally", "refuse"]

MOST_BINS = 2**31 * BINS  # on each side of zero: |R| < 2**31
UNIT = 2**FRACTION_BITS // BINS  # of q in a bin


def check_tally(tally: Tally) -> None:
    """Refuse, with a ValueError, a tally that no samples can have given.

    Its arrays have the right shapes.

    Examples
    --------
    >>> from dataclasses import replace
    >>> from vgsim._studies.possible import check_tally
    >>> from vgsim._studies.tally import Tally
    >>> check_tally(replace(Tally.empty((0,), (1e-6,)), squares=(1,)))
    Traceback (most recent call last):
    ValueError: squares cannot come from samples
    """
    n, dead, vanishing, exploding = tally.n, tally.dead, tally.vanishing, tally.exploding
    refuse(
        {
            "dead": (dead >= 0) & (dead <= n),
            "exploding": (exploding >= 0) & (exploding <= n),
            "vanishing": (vanishing >= dead[:, np.newaxis]) & (vanishing <= n - exploding),
            "underflow": (tally.underflow >= 0) & (tally.underflow <= n),
            "overflow": (tally.overflow >= 0) & (tally.overflow <= n),
        }
    )
    levels = np.array([math.log10(threshold) * BINS for threshold in tally.thresholds])
    alive = (tally.n - tally.dead).tolist()
    columns = zip(alive, tally.sums, tally.squares, tally.histogram, strict=True)
    for column, (living, total, squares, (bins, counts)) in enumerate(columns):
        low, high = (int(bins[0]), int(bins[-1]) + 1) if bins.size else (0, 0)
        refuse(
            {
                "bins": bins[1:] > bins[:-1],
                "the range of bins": -MOST_BINS <= low <= high <= MOST_BINS,
                "counts": (counts >= 1) & (counts <= living),
                "the histogram": sum(counts.tolist()) == living,
            }
        )
        past = np.concatenate([[0], np.cumsum(counts)])
        below, above = (np.floor(sign * levels) for sign in (1, -1))
        least, most = (past[np.searchsorted(bins, below, side)] for side in ("left", "right"))
        fewest, many = (living - past[np.searchsorted(bins, above, x)] for x in ("right", "left"))
        low_ones, high_ones = vanishing[column] - dead[column], exploding[column]
        refuse(
            {
                "vanishing": (least <= low_ones) & (low_ones <= most),
                "exploding": (fewest <= high_ones) & (high_ones <= many),
                "sums": living * low * UNIT <= total <= living * high * UNIT,
                "squares": total**2 <= living * squares
                and 0 <= squares <= living * (max(-low, high) * UNIT) ** 2,
            }
        )


def refuse(possible: Mapping[str, object]) -> None:
    """Raise a ValueError that names the first of the things that is not possible everywhere.

    Examples
    --------
    >>> from vgsim._studies.possible import refuse
    >>> refuse({"dead": [True, True], "sums": False})
    Traceback (most recent call last):
    ValueError: sums cannot come from samples
    """
    for name, holds in possible.items():
        if not np.all(holds):
            raise ValueError(f"{name} cannot come from samples")
