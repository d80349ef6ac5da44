"""Samples, summaries and curves as HTML for notebooks: a short table and a picture."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from vgsim._checks import TABULATED, THRESHOLD
from vgsim._display import MISSING, block, line, plural, table
from vgsim._results.distribution import Distribution
from vgsim._results.events import limits_in_words
from vgsim._results.tables import number_decimals
from vgsim._statistics.rounded import rounded
from vgsim.plotting.embedded import embedded
from vgsim.typing import Event

__all__ = ["curve_html", "decades", "meaning", "range_cell", "samples_html", "summary_html"]

MOST_PLACES = 9
FEWEST = 20  # samples from which a picture says more than the table
MOMENT_DECIMALS = 3
Point = tuple[Distribution, int]


def meaning(threshold: float, dead: bool) -> str:
    """Return the definitions of the columns of a table; `dead`: whether any network is dead.

    Examples
    --------
    >>> from vgsim._results.html import meaning
    >>> meaning(1e-3, False)
    'vanishing: R < -3, exploding: R > 3; R = log10(‖G_l‖/‖G_D‖), 95 % intervals'
    """
    low, high = limits_in_words(threshold)
    return (
        f"vanishing: R < {low}, exploding: R > {high}; "
        f"R = log10(‖G_l‖/‖G_D‖){', -inf if dead' if dead else ''}, 95 % intervals"
    )


def decades(x: float) -> str:
    """Return a quantile of R as text, with about four digits.

    Examples
    --------
    >>> from vgsim._results.html import decades
    >>> decades(-6.543), decades(-0.001), decades(-float("inf"))
    ('-6.54', '0.00', '-inf')
    """
    places = number_decimals(x)
    return f"{round(x, places) + 0.0:.{places}f}" if math.isfinite(x) else f"{x:g}"


def range_cell(low: float, high: float) -> str:
    """Return two quantiles of R as the text of a cell."""
    return f"{decades(low)} to {decades(high)}"


def samples_html(samples: Any) -> str:
    """Return Samples as HTML: the recorded layers, and a histogram of R."""
    of = f"{len(samples):,} networks {samples.network!r}{samples._batch}, seed {samples.seed}"
    if "gradient" not in samples.record:
        return block(line(f"{of}; recorded: {', '.join(samples.record) or 'nothing'}"))
    layers = samples.layers.tolist()
    parts = _places(samples.network.place, layers, [(samples, layer) for layer in layers], of)
    layer = 0 if 0 in layers else layers[0]
    values = samples._ratio(layer)
    if np.count_nonzero(values > -np.inf) < FEWEST or values.max() == values.min():
        return block(*parts)
    words = f"histogram of R at {samples.network.place} {layer}"
    return block(*parts, embedded(lambda ax: samples.plot(layer=layer, ax=ax), words))


def curve_html(curve: Any, of: str, kind: str) -> str:
    """Return a curve as HTML: its places, and a picture of a kind.

    In place of a probability that is the same everywhere, quantiles are drawn.
    """
    options: dict[str, Any] = {"kind": "quantiles"}
    words = f"quantiles of R against the {curve._axis}"
    if kind == "probability":
        varying = (e for e in TABULATED[:2] if np.ptp(curve.probability(e).estimate) > 0)
        if event := next(varying, None):
            options = {"kind": kind, "event": event}
            words = f"P({event}) against the {curve._axis}"
    parts = _places(curve._axis, curve._places, curve._points, of)
    return block(*parts, embedded(lambda ax: curve.plot(ax=ax, **options), words))


def _places(name: str, places: Sequence[int], points: Sequence[Point], of: str) -> tuple[str, str]:
    """Return a table of probabilities and quantiles of R at several places, and its definitions.

    Of more than nine places, nine are shown, evenly spaced in their list.
    """
    spread = np.linspace(0, len(places) - 1, min(MOST_PLACES, len(places)))
    shown = np.unique(spread.round().astype(int)).tolist()
    if len(shown) < len(places):
        of += f"; {len(shown)} of {len(places)} {plural(name)}"
    dead = any(_share("dead", points[i]) > 0 for i in shown)
    names = TABULATED if dead else TABULATED[:2]
    rows = [[str(places[i]), *_cells(points[i], names)] for i in shown]
    header = [name, *(f"P({event})" for event in names), "median of R", "5 % to 95 %"]
    return table(header, rows, of, words=0), line(meaning(THRESHOLD, dead))


def _share(event: Event, point: Point) -> float:
    samples, layer = point
    return samples.probability(event, layer).estimate


def _cells(point: Point, events: Sequence[Event]) -> list[str]:
    """Return the cells of one place."""
    samples, layer = point
    found = [samples.probability(event, layer) for event in events]
    median = samples.quantile_interval(0.5, layer)
    low, high = np.asarray(samples.quantile([0.05, 0.95], layer)).tolist()
    return [
        *(rounded(p.estimate, p.low, p.high) for p in found),
        rounded(float(median.estimate), float(median.low), float(median.high)),
        range_cell(low, high),
    ]


def summary_html(summary: Mapping[str, Any], title: str) -> str:
    """Return a summary as an HTML table with one row per layer."""
    columns: dict[str, Sequence[str]] = {"layer": list(map(str, summary["layer"].tolist()))}
    for event in TABULATED:
        parts = (summary[f"{event}{end}"].tolist() for end in ("", "_low", "_high"))
        if event != "dead" or summary["dead"].any():
            columns[f"P({event})"] = [rounded(*entry) for entry in zip(*parts, strict=True)]
    for name in ("mean", "std"):
        columns[name] = [
            MISSING if x is None else f"{x:.{MOMENT_DECIMALS}f}" for x in summary[name].tolist()
        ]
    ends = zip(summary["q05"].tolist(), summary["q95"].tolist(), strict=True)
    columns["median"] = list(map(decades, summary["median"].tolist()))
    columns["5 % to 95 %"] = [range_cell(*pair) for pair in ends]
    caption, *definitions = title.splitlines()
    rows = list(zip(*columns.values(), strict=True))
    return block(table(list(columns), rows, caption, words=0), *map(line, definitions))
