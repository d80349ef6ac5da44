"""Tallies of consecutive blocks of samples, as arrays: what workers return and the store keeps."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from vgsim._checks import INDICES, value_error
from vgsim._results.events import LOG10_RANGE, condition
from vgsim._results.samples import Samples
from vgsim._studies.possible import check_events, refuse
from vgsim._studies.tally import (
    BINS,
    COUNTED,
    FRACTION_BITS,
    Counts,
    Floats,
    Integers,
    Tally,
    gathered,
)
from vgsim._studies.task import checked_thresholds
from vgsim.typing import Event, NumberFormat

__all__ = ["BLOCK", "LIMBS", "SQUARE_LIMBS", "Blocks"]

BLOCK = 1000
LIMB_BITS = 16
OF = " of blocks"  # in messages
LIMBS = 4  # in q = round(2^32 R)
SQUARE_LIMBS = 2 * LIMBS - 1
LARGEST = 2.0**31  # bound on |R|: q has 64 bits
NO_BIN = np.iinfo(np.int64).max  # the bin of a dead sample
ADDED = 2**16  # blocks added at once, so that sums of limbs fit 64 bits
AT_ONCE = 2**16  # samples × layers tallied at once, so that they fit the cache


@dataclass(frozen=True, eq=False, kw_only=True)
class Blocks(Counts):
    """The tallies of m consecutive blocks of samples of one task.

    A block holds the samples 0-999, 1000-1999 and so on, or consecutive samples of one such range.

    Attributes
    ----------
    layers : int64 array, shape (k,)
    thresholds : tuple of t float
    first, count : int64 array, shape (m,)
        Index of the first sample of each block, and its number of samples.
    dead : int64 array, shape (m, k)
    vanishing, exploding : int64 array, shape (m, k, t)
    underflow, overflow : int64 array, shape (m, k, 3)
        As in `Tally`.
    sums : int64 array, shape (m, k, 4)
        Σ q = Σ_i sums[…, i] 2^(16 i).
    squares : int64 array, shape (m, k, 7)
        Σ q² = Σ_i squares[…, i] 2^(16 i).
    entries : int64 array, shape (m, k)
        Number of occupied bins of each histogram.
    bins, counts : int64 array, shape (entries.sum(),)
        The occupied bins, ascending, and their counts, block by block and layer by layer.

    Examples
    --------
    >>> import vgsim
    >>> from vgsim._studies.blocks import Blocks
    >>> s = vgsim.simulate(vgsim.MLP(10, 32), 1500, first=500)
    >>> blocks = Blocks.of(s, thresholds=(1e-6, 1e-3))
    >>> len(blocks), blocks.end, blocks.events("vanishing", threshold=1e-3)
    (2, 2000, array([0, 0]))
    """

    layers: Integers
    thresholds: tuple[float, ...]
    first: Integers
    count: Integers
    dead: Integers
    vanishing: Integers
    exploding: Integers
    underflow: Integers
    overflow: Integers
    sums: Integers
    squares: Integers
    entries: Integers
    bins: Integers
    counts: Integers

    @classmethod
    def of(cls, samples: Samples, thresholds: Iterable[float]) -> Blocks:
        """Return the tallies of samples, in blocks that end at multiples of 1,000.

        Parameters
        ----------
        samples : Samples
            Their indices must be consecutive, and "gradient" must have been recorded.
        thresholds : iterable of float
            Thresholds of vanishing and exploding; 0 < threshold <= 1.

        Raises
        ------
        TypeError, ValueError
            If the indices have gaps, a log10 ratio is beyond ±2^31, or a threshold is not a number
            in (0, 1].
        AttributeError
            If the run did not record "gradient".

        Examples
        --------
        >>> import vgsim
        >>> from vgsim._studies.blocks import Blocks
        >>> Blocks.of(vgsim.simulate(vgsim.MLP(10, 32), 2300), [1e-6]).count
        array([1000, 1000,  300])
        """
        chosen = checked_thresholds(thresholds)
        first, end = int(samples.index[0]), int(samples.index[-1]) + 1
        if end - first != len(samples):
            raise ValueError(
                f"samples must have consecutive indices, got {len(samples)} of those from {first} "
                f"to {end - 1}"
            )
        multiples = np.arange(first // BLOCK + 1, -(-end // BLOCK)) * BLOCK
        edges = np.concatenate([[first], multiples, [end]])
        together = max(1, AT_ONCE // (BLOCK * samples.layers.size))
        parts = []
        for start in range(0, edges.size - 1, together):
            cuts = edges[start : start + together + 1]
            rows = slice(cuts[0] - first, cuts[-1] - first)
            parts.append(
                cls(
                    layers=samples.layers,
                    thresholds=chosen,
                    first=cuts[:-1],
                    count=np.diff(cuts),
                    **_counted(samples, rows, BLOCK, chosen),
                )
            )
        return cls.join(parts)

    @property
    def end(self) -> int:
        """One more than the index of the last sample."""
        return int(self.first[-1] + self.count[-1])

    @property
    def _samples(self) -> Integers:
        return self.count

    def __len__(self) -> int:
        return int(self.first.size)

    def __repr__(self) -> str:
        return f"<Blocks: {len(self)}, samples {self.first[0]} to {self.end - 1}>"

    def events(
        self,
        event: Event,
        layer: int = 0,
        threshold: float | None = None,
        dtype: NumberFormat | DTypeLike | None = None,
    ) -> Integers:
        """Return the number of samples of each block in which an event happened, shape (m,).

        Parameters and errors are those of :meth:`Tally.probability`.

        Examples
        --------
        >>> import vgsim
        >>> from vgsim._studies.blocks import Blocks
        >>> s = vgsim.simulate(vgsim.MLP(50, 32, activation="sigmoid"), 1200)
        >>> Blocks.of(s, (1e-6,)).events("vanishing")
        array([1000,  200])
        """
        return self._events(event, layer, threshold, dtype)

    def total(self, m: int | None = None) -> Tally:
        """Return the tally of the first `m` blocks; by default, of all.

        Examples
        --------
        >>> import vgsim
        >>> from vgsim._studies.blocks import Blocks
        >>> Blocks.of(vgsim.simulate(vgsim.MLP(10, 32), 2300), [1e-6]).total(2).n
        2000
        """
        part = self if m is None else self.head(m)
        k = part.layers.size
        layer = np.repeat(np.tile(np.arange(k), len(part)), part.entries.ravel())
        return Tally(
            n=int(part.count.sum()),
            layers=part.layers,
            thresholds=part.thresholds,
            **{name: getattr(part, name).sum(axis=0) for name in COUNTED},
            sums=_integers(part.sums),
            squares=_integers(part.squares),
            histogram=tuple(
                gathered(part.bins[layer == j], part.counts[layer == j]) for j in range(k)
            ),
        )

    def head(self, m: int) -> Blocks:
        """Return the first `m` blocks, at least one.

        Examples
        --------
        >>> import vgsim
        >>> from vgsim._studies.blocks import Blocks
        >>> blocks = Blocks.of(vgsim.simulate(vgsim.MLP(10, 32), 2300), [1e-6])
        >>> blocks.head(1), blocks.tail(1)
        (<Blocks: 1, samples 0 to 999>, <Blocks: 1, samples 2000 to 2299>)
        """
        return self._cut(0, m)

    def tail(self, m: int) -> Blocks:
        """Return the last `m` blocks, at least one: see :meth:`head`."""
        return self._cut(len(self) - m, m)

    def _cut(self, start: int, m: int) -> Blocks:
        """Return `m` consecutive blocks, from number `start` on."""
        if not 1 <= m <= len(self):
            raise value_error("m", f"must be an int from 1 to {len(self)}, got {m!r}")
        rows = slice(start, start + m)
        past = np.concatenate([[0], np.cumsum(self.entries.sum(axis=1))])
        occupied = slice(past[start], past[start + m])
        return Blocks(
            layers=self.layers,
            thresholds=self.thresholds,
            **{name: getattr(self, name)[rows] for name in BY_BLOCK},
            bins=self.bins[occupied],
            counts=self.counts[occupied],
        )

    @classmethod
    def join(cls, parts: Iterable[Blocks]) -> Blocks:
        """Return consecutive parts as one.

        Raises
        ------
        ValueError
            If there is no part, a part does not begin at the end of the previous one, or the layers
            or thresholds of the parts differ.

        Examples
        --------
        >>> import vgsim
        >>> from vgsim._studies.blocks import Blocks
        >>> blocks = Blocks.of(vgsim.simulate(vgsim.MLP(10, 32), 2300), [1e-6])
        >>> Blocks.join([blocks.head(2), blocks.tail(1)]) == blocks
        True
        """
        parts = list(parts)
        if not parts:
            raise ValueError("blocks to join must be one or more, got none")
        if len(parts) == 1:
            return parts[0]
        for a, b in pairwise(parts):
            if b.first[0] != a.end:
                raise ValueError(
                    f"blocks must be consecutive, got {b.first[0]} as first index after {a.end - 1}"
                )
            for name, x, y in (
                ("layers", a.layers.tolist(), b.layers.tolist()),
                ("thresholds", a.thresholds, b.thresholds),
            ):
                if x != y:
                    raise ValueError(f"blocks cannot be joined, their {name} differ: {x} and {y}")
        joined = {name: np.concatenate([getattr(p, name) for p in parts]) for name in COLUMNS}
        return cls(layers=parts[0].layers, thresholds=parts[0].thresholds, **joined)

    def checked(self) -> Blocks:
        """Return these blocks, or raise ValueError if no samples can have these counts.

        Examples
        --------
        >>> import dataclasses
        >>> import vgsim
        >>> from vgsim._studies.blocks import Blocks
        >>> blocks = Blocks.of(vgsim.simulate(vgsim.MLP(10, 32), 2300), [1e-6])
        >>> dataclasses.replace(blocks, dead=blocks.dead + 1).checked()
        Traceback (most recent call last):
        ValueError: vanishing of blocks cannot come from samples
        """
        m, k, t = self.first.size, self.layers.size, len(self.thresholds)
        shapes = {"first": (m,), "count": (m,), "layers": (k,), "dead": (m, k), "entries": (m, k)}
        shapes |= dict.fromkeys(("vanishing", "exploding"), (m, k, t))
        shapes |= dict.fromkeys(("underflow", "overflow"), (m, k, len(LOG10_RANGE)))
        shapes |= {"sums": (m, k, LIMBS), "squares": (m, k, SQUARE_LIMBS)}
        for name, shape in shapes.items():
            if (got := getattr(self, name).shape) != shape:
                raise ValueError(f"{name} of blocks must have shape {shape}, got {got}")
        layers = self.layers.tolist()
        first, count, last = self.first, self.count, self.first + self.count - 1
        possible = {
            "layers": k > 0 and min(layers) >= 0 and len(set(layers)) == k,
            "thresholds": self.thresholds == checked_thresholds(self.thresholds),
            "first and count": m > 0
            and first.min() >= 0
            and count.min() >= 1
            and last.max() < INDICES
            and np.all(first // BLOCK == last // BLOCK)
            and np.all(first[1:] == last[:-1] + 1),
            "entries": self.entries.min(initial=0) >= 0
            and self.bins.shape == self.counts.shape == (self.entries.sum(),),
        }
        refuse(possible, OF)
        check_events(self, count, OF)
        alive = count[:, np.newaxis] - self.dead
        limbs = alive[..., np.newaxis]
        possible = {
            "sums": np.abs(self.sums) <= limbs << LIMB_BITS,
            "squares": np.abs(self.squares) <= limbs << 2 * LIMB_BITS + 2,
            "counts": (self.counts >= 1) & (self.counts <= BLOCK),
        }
        refuse(possible, OF)
        cell = np.repeat(np.arange(m * k), self.entries.ravel())
        inside = np.bincount(cell, self.counts, m * k)
        same = np.diff(cell) == 0
        refuse({"counts": inside == alive.ravel(), "bins": np.diff(self.bins)[same] > 0}, OF)
        return self

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Blocks):
            return NotImplemented
        return self.thresholds == other.thresholds and all(
            np.array_equal(getattr(self, name), getattr(other, name))
            for name in ("layers", *COLUMNS)
        )

    __hash__ = None  # type: ignore[assignment]


BY_BLOCK = ("first", "count", *COUNTED, "sums", "squares", "entries")
COLUMNS = (*BY_BLOCK, "bins", "counts")


def _integers(limbs: Integers) -> tuple[int, ...]:
    """Return the sum over blocks of the integers given by their limbs, one Python int per layer."""
    totals = [0] * limbs.shape[1]
    for start in range(0, len(limbs), ADDED):
        for j, row in enumerate(limbs[start : start + ADDED].sum(axis=0).tolist()):
            totals[j] += sum(limb << LIMB_BITS * i for i, limb in enumerate(row))
    return tuple(totals)


def _counted(
    samples: Samples, rows: slice, block: int, thresholds: tuple[float, ...]
) -> dict[str, Integers]:
    """Return the counts of some rows of `samples`, in blocks, by field of `Blocks`."""
    first = int(samples.index[rows][0])
    before = first % block

    def cut(values: Floats, filling: float) -> Floats:
        """Reshape (n, k) to (blocks, k, block), padded at both ends."""
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

    def number(event: Event, **where: Any) -> Integers:
        known = condition(event, **where)
        return _number(known.holds(quantities[known.quantity]))

    return {
        "dead": number("dead"),
        **{
            event: np.stack([number(event, threshold=x) for x in thresholds], axis=-1)
            for event in ("vanishing", "exploding")
        },
        **{
            event: np.stack([number(event, dtype=name) for name in LOG10_RANGE], axis=-1)
            for event in ("underflow", "overflow")
        },
        **_moments(ratio),
        **_histograms(ratio),
    }


def _number(events: NDArray[np.bool_]) -> Integers:
    return np.asarray(np.count_nonzero(events, axis=-1), dtype=np.int64)


def _moments(ratio: Floats) -> dict[str, Integers]:
    """Return Σ q and Σ q², q = round(2^32 R), as limbs: coefficients of powers of 2^16.

    With q = Σ_i d_i 2^(16 i), Σ q² follows from the Gram matrix of the digits d_i. The digits are
    below 2^16 and a block has fewer than 2^21 samples, so sums of products in float64 are exact.
    """
    living = np.where(ratio > -np.inf, ratio, 0.0)
    if np.any(np.abs(living) >= LARGEST):
        raise ValueError("log10 ratio must be within ±2**31 to be tallied")
    q = np.rint(living * 2.0**FRACTION_BITS).astype("<i8")
    digits = q.view("<u2").reshape(*q.shape, LIMBS).astype(np.float64)
    digits[..., -1] = q >> 16 * (LIMBS - 1)  # the last digit carries the sign
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
    """Return the occupied bins and their counts, block by block and layer by layer."""
    bins = np.full(ratio.shape, NO_BIN)
    np.floor(ratio * BINS, out=bins, where=ratio > -np.inf, casting="unsafe")
    bins.sort(axis=-1)
    new = np.ones(bins.shape, dtype=np.bool_)
    np.not_equal(bins[..., 1:], bins[..., :-1], out=new[..., 1:])
    starts = np.flatnonzero(new)
    counts = np.diff(starts, append=bins.size)
    found = bins.ravel()[starts]
    occupied = found < NO_BIN
    new &= bins < NO_BIN
    return {"entries": _number(new), "bins": found[occupied], "counts": counts[occupied]}
