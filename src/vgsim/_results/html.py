"""Samples, summaries and curves as HTML for notebooks: a short table and a picture."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from vgsim._checks import TABULATED, THRESHOLD
from vgsim._display import block, line, table
from vgsim._results.distribution import Distribution
from vgsim._results.tables import number_decimals
from vgsim._statistics.rounded import rounded
from vgsim.plotting.embedded import embedded

__all__ = ["MEANING", "curve_html", "places_table", "range_cell", "samples_html", "summary_html"]

MEANING = "vanishing: R < {low}, exploding: R > {high}; R = log10(‖G_l‖/‖G_D‖), 95 % intervals"
MOST_PLACES = 9
FEWEST = 20  # samples from which a picture says more than the table
Point = tuple[Distribution, int]


def meaning(threshold: float) -> str:
    """Return the definitions of the columns of a table."""
    power = math.log10(threshold)
    return MEANING.format(low=f"{power + 0.0:.6g}", high=f"{0.0 - power:.6g}")


def range_cell(low: float, high: float) -> str:
    """Return two quantiles of R as the text of a cell.

    Examples
    --------
    >>> from vgsim._results.html import range_cell
    >>> range_cell(-6.543, -1.2)
    '-6.54 to -1.20'
    """
    return " to ".join(f"{x + 0.0:.{number_decimals(x)}f}" for x in (low, high))


def places_table(
    name: str, places: Sequence[int], points: Sequence[Point], caption: str, threshold: float
) -> str:
    """Return the probabilities and quantiles of R at several places as an HTML table.

    Of more than nine places, nine are shown, evenly spaced in their list.
    """
    spread = np.linspace(0, len(places) - 1, min(MOST_PLACES, len(places)))
    shown = np.unique(spread.round().astype(int)).tolist()
    if len(shown) < len(places):
        caption += f"; {len(shown)} of {len(places)} {name}s"
    cells = [_cells(points[i], threshold) for i in shown]
    names = [event for event in TABULATED if event != "dead" or any(c[1] for c in cells)]
    rows = [
        [str(places[i]), *(texts[event] for event in names), texts["median"], texts["range"]]
        for i, (texts, _) in zip(shown, cells, strict=True)
    ]
    header = [name, *(f"P({event})" for event in names), "median of R", "5 % to 95 %"]
    return table(header, rows, caption, words=0)


def _cells(point: Point, threshold: float) -> tuple[dict[str, str], bool]:
    """Return the cells of one place, and whether any network is dead there."""
    samples, layer = point
    texts, dead = {}, False
    for event in TABULATED:
        p = samples.probability(event, layer, THRESHOLD if event == "dead" else threshold)
        texts[event] = rounded(p.estimate, p.low, p.high)
        dead = event == "dead" and p.events > 0
    median = samples.quantile_interval(0.5, layer)
    texts["median"] = rounded(float(median.estimate), float(median.low), float(median.high))
    texts["range"] = range_cell(*np.asarray(samples.quantile([0.05, 0.95], layer)).tolist())
    return texts, dead


def samples_html(samples: Any) -> str:
    """Return Samples as HTML: the recorded layers, and a histogram of R."""
    of = f"{len(samples):,} networks {samples.network!r}{samples._batch}, seed {samples.seed}"
    if "gradient" not in samples.record:
        return block(line(f"{of}; recorded: {', '.join(samples.record) or 'nothing'}"))
    layers = samples.layers.tolist()
    points = [(samples, layer) for layer in layers]
    shown = places_table("layer", layers, points, of, THRESHOLD)
    layer = 0 if 0 in layers else layers[0]
    picture = ""
    if len(samples) >= FEWEST and np.ptp(samples._ratio(layer)) > 0:
        words = f"histogram of R at layer {layer}"
        picture = embedded(lambda ax: samples.plot(layer=layer, ax=ax), words)
    return block(shown, line(meaning(THRESHOLD)), picture)


def curve_html(curve: Any, of: str, kind: str) -> str:
    """Return a curve as HTML: its places, and a picture of a kind that says most."""
    shown = places_table(curve._place, curve._places, curve._points, of, THRESHOLD)
    options: dict[str, Any] = {"kind": kind}
    words = f"quantiles of R against the {curve._place}"
    if kind == "probability":
        between = {event: _varies(curve.probability(event).estimate) for event in TABULATED[:2]}
        event = next((event for event, varies in between.items() if varies), None)
        options = {"kind": "quantiles"} if event is None else {"kind": kind, "event": event}
        words = words if event is None else f"P({event}) against the {curve._place}"
    picture = embedded(lambda ax: curve.plot(ax=ax, **options), words)
    return block(shown, line(meaning(THRESHOLD)), picture)


def _varies(estimates: Any) -> bool:
    """Whether probabilities along a curve are not all equal."""
    return bool(np.ptp(estimates) > 0)


def summary_html(summary: Mapping[str, Any], title: str) -> str:
    """Return a summary as an HTML table with one row per layer."""
    columns: dict[str, list[str]] = {"layer": [str(layer) for layer in summary["layer"].tolist()]}
    for event in TABULATED:
        parts = (summary[f"{event}{end}"].tolist() for end in ("", "_low", "_high"))
        if event != "dead" or summary["dead"].any():
            columns[f"P({event})"] = [rounded(*entry) for entry in zip(*parts, strict=True)]
    text: Callable[[Any], str] = lambda x: "–" if x is None else f"{x:.3f}"  # noqa: E731
    for name in ("mean", "std"):
        columns[name] = list(map(text, summary[name].tolist()))
    ends = zip(summary["q05"].tolist(), summary["q95"].tolist(), strict=True)
    columns["median"] = [range_cell(x, x).split()[0] for x in summary["median"].tolist()]
    columns["5 % to 95 %"] = [range_cell(*pair) for pair in ends]
    caption, *definitions = title.splitlines()
    rows = list(zip(*columns.values(), strict=True))
    return block(table(list(columns), rows, caption, words=0), *map(line, definitions))
