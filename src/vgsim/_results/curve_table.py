"""Columns of the tables of curves, by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, cast

import numpy as np
from numpy.typing import NDArray

from vgsim._checks import COUNTED, RELATIVE, THRESHOLD
from vgsim._results.column import Column, unknown_name
from vgsim._results.distribution import Distribution
from vgsim._results.tables import QUANTILES, estimated, quantile_column
from vgsim._statistics.bootstrap import bootstrap
from vgsim._statistics.estimate import Estimate
from vgsim.theory._prediction import Prediction, said
from vgsim.typing import Event, Method, NumberFormat

__all__ = ["MOMENTS", "CurveColumns", "Tabulated", "column_names"]

Floats = NDArray[np.float64]
MOMENTS = ("mean", "std")
AT_ONCE = 64  # places of one run whose moments are resampled together


class Tabulated(Protocol):
    """What is used of a curve."""

    _place: str
    _paired: bool
    _points: Sequence[tuple[Distribution, int]]
    _places: Sequence[int]

    def probability(
        self,
        event: Event,
        threshold: float,
        dtype: NumberFormat | None,
        confidence_level: float,
        method: Method,
    ) -> Estimate[Floats]:
        """Estimate the probability of an event at every place."""
        ...

    def _ratios(self) -> list[Floats]: ...

    @property
    def _predictions(self) -> list[Prediction]: ...

    @property
    def _has_theory(self) -> bool: ...


@dataclass(frozen=True)
class CurveColumns:
    """The columns that the table of a curve can have.

    Attributes
    ----------
    curve : DepthCurve or LayerProfile
    event, threshold, dtype, confidence_level, method
        As for `Curve.table`, checked.
    """

    curve: Tabulated
    event: Event
    threshold: float
    dtype: NumberFormat | None
    confidence_level: float
    method: Method

    @property
    def known(self) -> list[str]:
        """The names of all columns."""
        return column_names(self.curve._place, self.event)

    def usual(self, theory: bool) -> list[str]:
        """Return the names of the columns that are printed unless others are chosen."""
        measured = (self.event, *MOMENTS)
        ends = ("", "_theory") if theory and self.curve._has_theory else ("",)
        return [self.curve._place, *(f"{name}{end}" for name in measured for end in ends)]

    def events(self, names: Sequence[str]) -> list[Event]:
        """Return the events among the names of columns."""
        words = dict.fromkeys(name.removesuffix("_theory") for name in names)
        events: tuple[Event, ...] = (*COUNTED, self.event)
        return [word for word in words if word in events]

    def columns(self, names: Sequence[str]) -> list[Column]:
        """Return the columns of the given names; ValueError for an unknown one."""
        made: dict[str, Column] = {}
        for name in names:
            if name not in self.known:
                raise unknown_name("columns", name, self.known)
            if name not in made:
                pair = f"{name.removesuffix('_theory')}_theory" in names
                new = self._made(name.removesuffix("_theory"), pair)
                made |= {column.name: column for column in new}
        return [made[name] for name in names]

    def _made(self, name: str, theory: bool) -> list[Column]:
        """Return the column of a name, and that of its theory."""
        curve = self.curve
        if name == curve._place:
            return [Column(name, name, list(curve._places))]
        if name == "n":
            return [Column("n", "n", [len(samples) for samples, _ in curve._points])]
        if name in QUANTILES:
            values = [float(s.quantile(QUANTILES[name], layer)) for s, layer in curve._points]
            return [quantile_column(name, values)]
        if name in MOMENTS:
            known = [getattr(p, name) for p in curve._predictions] if theory else None
            return estimated(name, name, self._moments[MOMENTS.index(name)], known)
        event = cast(Event, name)
        relative = self.threshold if event in RELATIVE else THRESHOLD
        dtype = self.dtype if event == self.event else None
        found = curve.probability(event, relative, dtype, self.confidence_level, self.method)
        if not theory:
            return estimated(name, f"P({name})", found)
        known, below = said(curve._predictions, event, relative)
        return estimated(name, f"P({name})", found, known, below)

    @cached_property
    def _moments(self) -> list[Estimate[Floats]]:
        """Mean and std at every place, NaN where fewer than two samples are not dead."""
        ratios, paired = self.curve._ratios(), self.curve._paired
        enough = [i for i, ratio in enumerate(ratios) if np.count_nonzero(ratio > -np.inf) >= 2]
        together = AT_ONCE if paired else 1
        parts = np.full((3, len(ratios), 2), np.nan)
        for start in range(0, len(enough), together):
            places = enough[start : start + together]
            found = bootstrap(
                lambda m: np.concatenate([m.mean, m.variance], axis=-1),
                [ratios[place] for place in places],
                self.confidence_level,
                paired,
            )
            for i, part in enumerate((found.estimate, found.low, found.high)):
                parts[i, places] = np.reshape(part, (2, -1)).T
        parts[..., 1] = np.sqrt(np.maximum(parts[..., 1], 0))
        estimate, low, high = parts
        return [
            Estimate(estimate[:, i], low[:, i], high[:, i], self.confidence_level, "bootstrap")
            for i in range(len(MOMENTS))
        ]


def column_names(place: str, event: Event) -> list[str]:
    """Return the names of all columns of a curve along a place, for a table of an event.

    Examples
    --------
    >>> from vgsim._results.curve_table import column_names
    >>> column_names("depth", "vanishing")[:4]
    ['depth', 'n', 'vanishing', 'exploding']
    """
    events = list(dict.fromkeys([event, *COUNTED]))
    names = [place, "n", *events, *MOMENTS, *QUANTILES]
    return names + [f"{name}_theory" for name in (*events, *MOMENTS)]
