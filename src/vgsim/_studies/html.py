"""Studies and results as HTML for notebooks: a short table and a picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from vgsim._checks import TABULATED
from vgsim._display import block, line, table
from vgsim._results.html import decades, meaning, range_cell
from vgsim._statistics.rounded import rounded
from vgsim.plotting.embedded import embedded

if TYPE_CHECKING:
    from vgsim._studies.tally import Tally

__all__ = ["result_html", "study_html"]

MOST_NETWORKS = 12
HUES = 8  # most curves of a picture
LEAST = 0.02  # difference of probabilities from which they say more than medians


def study_html(study: Any, x: str | None, hue: str | None) -> str:
    """Return a study as HTML: a table of its first networks and, if x is given, a picture.

    `x` and `hue` are the fields that tell the networks apart.
    """
    if not study:
        return block(line(repr(study)))
    part = study[:MOST_NETWORKS]
    left = len(study) - len(part)
    more = line(f"… and {left:,} more networks; table() returns all") if left else ""
    picture = "" if x is None else _picture([result for result in study if result.n], study, x, hue)
    return block(part.table("html"), more, picture)


def _picture(results: Sequence[Any], study: Any, x: str, hue: str | None) -> str:
    """Return a probability that varies, or the median of R, against a field."""
    counted = {(result.task.layers, result.task.thresholds) for result in results}
    hues = 1 if hue is None else len({result.task.columns.get(hue) for result in results})
    if len(counted) > 1 or hues > HUES:
        return ""
    ((layers, thresholds),) = counted
    value = _telling([result.tally for result in results], layers[0], thresholds[0])
    options: dict[str, Any] = {} if value == "median" else {"threshold": thresholds[0]}
    part = type(study)(results)
    return embedded(
        lambda ax: part.plot(x, hue, value=value, layer=layers[0], ax=ax, **options),
        f"{value} against {x}",
    )


def _telling(tallies: Sequence[Tally], layer: int, threshold: float) -> str:
    """Return the event whose probability differs most between networks, or "median"."""
    apart = {}
    for event in TABULATED[:2]:
        shares = [tally.events(event, layer, threshold) / tally.n for tally in tallies]
        apart[event] = max(shares) - min(shares)
    event = max(apart, key=lambda name: apart[name])
    return event if apart[event] >= LEAST else "median"


def result_html(result: Any) -> str:
    """Return a result as HTML: its layers and thresholds, and the density of R."""
    seeds = sorted({seed for seed, _, _ in result.ranges})
    named = f"seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}"
    caption = f"{result.n:,} networks {result.network!r}, {named}"
    if not result.n:
        return block(line(caption))
    layers, thresholds = result.task.layers, result.task.thresholds
    rows = [_row(result, layer, threshold) for layer in layers for threshold in thresholds]
    events = [f"P({event})" for event in TABULATED]
    header = ("layer", "threshold", *events, "median of R", "5 % to 95 %")
    dead = any(result.tally.events("dead", layer) for layer in layers)
    defined = line(meaning(thresholds[0], dead)) if len(thresholds) == 1 else ""
    low, high = result.quantile([0.0, 1.0], layers[0]).tolist()
    picture = ""
    if low < high:
        words = f"density of R at layer {layers[0]}"
        picture = embedded(lambda ax: result.plot(layer=layers[0], ax=ax), words)
    return block(table(header, rows, caption, words=0), defined, picture)


def _row(result: Any, layer: int, threshold: float) -> tuple[str, ...]:
    """Return the cells of one layer and threshold."""
    found = [
        result.probability(event, layer, None if event == "dead" else threshold)
        for event in TABULATED
    ]
    low, median, high = np.asarray(result.quantile([0.05, 0.5, 0.95], layer)).tolist()
    texts = (rounded(p.estimate, p.low, p.high) for p in found)
    return (str(layer), f"{threshold:g}", *texts, decades(median), range_cell(low, high))
