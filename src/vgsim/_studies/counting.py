"""Counting samples block by block: events, exact sums of squares, histograms."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vgsim._results.events import LOG10_RANGE, condition
from vgsim._results.samples import Samples
from vgsim._studies.tally import BINS, FRACTION_BITS, Integers

__all__ = ["LIMBS", "SQUARE_LIMBS", "tallied"]

LIMBS = 4  # of 16 bits, in q
SQUARE_LIMBS = 2 * LIMBS - 1
LARGEST = 2.0**31  # of |R|, so that q has 64 bits
NOWHERE = np.iinfo(np.int64).max  # the bin of what is not in the histogram
Floats = NDArray[np.float64]


def tallied(
    samples: Samples, rows: slice, block: int, thresholds: tuple[float, ...]
) -> dict[str, Integers]:
    """Count some rows of `samples`, cut at the multiples of `block`.

    Returns
    -------
    dict of str to array
        Those of `Blocks` that are counted: dead … overflow, sums, squares, entries, bins, counts.

    Raises
    ------
    ValueError
        If a log10 ratio is beyond ±2^31.

    Examples
    --------
    >>> import vgsim
    >>> from vgsim._studies.counting import tallied
    >>> s = vgsim.simulate(vgsim.MLP(10, 32), 1000, layers=(10,))
    >>> found = tallied(s, slice(0, 1000), 400, (1e-6,))
    >>> found["bins"], found["counts"]
    (array([0, 0, 0]), array([400, 400, 200]))
    """
    first = int(samples.index[rows][0])
    before = first % block

    def cut(values: Floats, filling: float) -> Floats:
        """(n, k) as (blocks, k, block), filled up at both ends."""
        n, k = values.shape
        m = -(-(before + n) // block)
        if n == m * block:
            return np.ascontiguousarray(values.reshape(m, block, k).swapaxes(1, 2))
        whole = np.full((m * block, k), filling)
        whole[before : before + n] = values
        return np.ascontiguousarray(whole.reshape(m, block, k).swapaxes(1, 2))

    gradient = cut(samples.gradient[rows], math.nan)
    ratio = gradient - cut(samples.output_gradient[rows, np.newaxis], 0.0)
    rms_min = cut(samples.rms_min[rows], math.nan)
    rms_max = cut(samples.rms_max[rows], math.nan)
    quantities = {"ratio": ratio, "rms_min": rms_min, "rms_max": rms_max}

    def counted(event: str, **where: Any) -> Integers:
        known = condition(event, **where)
        return _number(known.holds(quantities[known.quantity]))

    return {
        "dead": counted("dead"),
        **{
            event: np.stack([counted(event, threshold=x) for x in thresholds], axis=-1)
            for event in ("vanishing", "exploding")
        },
        **{
            event: np.stack([counted(event, dtype=name) for name in LOG10_RANGE], axis=-1)
            for event in ("underflow", "overflow")
        },
        **_moments(ratio),
        **_histograms(ratio),
    }


def _number(events: NDArray[np.bool_]) -> Integers:
    return np.asarray(np.count_nonzero(events, axis=-1), dtype=np.int64)


def _moments(ratio: Floats) -> dict[str, Integers]:
    """Σ q and Σ q², q = round(2^32 R), in powers of 2^16.

    With q = Σ_i d_i 2^(16 i), Σ q² needs the Gram matrix of the digits d_i. They are below 2^16 and
    a block has fewer than 2^21 samples, so float64 adds their products without rounding.
    """
    living = np.where(ratio > -np.inf, ratio, 0.0)
    if np.any(np.abs(living) >= LARGEST):
        raise ValueError("log10 ratio must be within ±2**31 to be tallied")
    q = np.rint(living * 2.0**FRACTION_BITS).astype("<i8")
    digits = q.view("<u2").reshape(*q.shape, LIMBS).astype(np.float64)
    digits[..., -1] = q >> 16 * (LIMBS - 1)  # the sign is the last digit's
    gram = (digits.swapaxes(-1, -2) @ digits).astype(np.int64)
    squares = [
        np.trace(gram[..., ::-1], offset=LIMBS - 1 - power, axis1=-2, axis2=-1)
        for power in range(SQUARE_LIMBS)
    ]
    return {
        "sums": (np.ones(q.shape[-1]) @ digits).astype(np.int64),
        "squares": np.stack(squares, axis=-1).astype(np.int64),
    }


def _histograms(ratio: Floats) -> dict[str, Integers]:
    """Occupied bins and their counts, block by block and layer by layer."""
    bins = np.full(ratio.shape, NOWHERE)
    np.floor(ratio * BINS, out=bins, where=ratio > -np.inf, casting="unsafe")
    bins.sort(axis=-1)
    new = np.ones(bins.shape, dtype=np.bool_)
    np.not_equal(bins[..., 1:], bins[..., :-1], out=new[..., 1:])
    starts = np.flatnonzero(new)
    counts = np.diff(starts, append=bins.size)
    found = bins.ravel()[starts]
    occupied = found < NOWHERE
    new &= bins < NOWHERE
    return {"entries": _number(new), "bins": found[occupied], "counts": counts[occupied]}
