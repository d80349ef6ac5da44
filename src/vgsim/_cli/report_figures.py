"""The figures of a report: which ones, by the fields in which the networks differ."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vgsim import plotting
from vgsim._checks import RELATIVE, TABULATED
from vgsim._cli.figures import new_figure, write_figure
from vgsim._results.samples import Samples
from vgsim._studies.axes import SuggestedAxes, suggested_axes
from vgsim._studies.columns import is_number, thresholds_of, words
from vgsim._studies.points import columns_of
from vgsim._studies.study import Study
from vgsim.plotting.data import checked_values

__all__ = ["Picture", "sample_pictures", "study_pictures"]

MOST_PANELS = 8  # combinations of further fields with figures of their own
MOST_THRESHOLDS = 3
MOST_RIDGES = 10
MANY = 4  # values of two numeric fields from which a heat map is clearer than curves
POINTS = 2000  # quantiles that stand for the samples of a tally
SIZE = (4.8, 3.4)  # inches


@dataclass(frozen=True)
class Picture:
    """A figure as a data URI, with its caption and the Python code that draws it."""

    uri: str
    caption: str
    code: str


def study_pictures(study: Study) -> tuple[list[Picture], str]:
    """Return the figures of a study, and a sentence about those that are left out.

    Parameters
    ----------
    study : Study
        With the same layers and thresholds for all networks; networks without samples are not
        drawn.
    """
    drawn = Study([result for result in study if result.n], study.provenance)
    if not drawn:
        return [], "There are no samples yet."
    axes = suggested_axes(drawn)
    panels = list(_panels(drawn, axes.others))
    pictures = [
        picture
        for where, part, code in panels[:MOST_PANELS]
        for picture in _part_pictures(part, axes, where, code)
    ]
    notes = []
    if (left := len(panels) - MOST_PANELS) > 0:
        names = ", ".join(axes.others)
        notes.append(f"{left} further combinations of {names} have no figures.")
    if len(layers := drawn[0].task.layers) > 1:
        notes.append(f"The figures are of layer {layers[0]} unless they say otherwise.")
    if len(drawn) < len(study):
        notes.append("Networks without samples are left out.")
    return pictures, " ".join(notes)


def _panels(study: Study, names: Sequence[str]) -> Iterator[tuple[str, Study, str]]:
    """Yield the results for each combination of the values of fields, with its description."""
    if not names:
        yield "", study, "study"
        return
    columns = columns_of(study)
    places = [tuple(columns[name][i] for name in names) for i in range(len(study))]
    for place in dict.fromkeys(places):
        rows = [result for result, own in zip(study, places, strict=True) if own == place]
        named = dict(zip(names, place, strict=True))
        where = ", ".join(f"{name} {words(value)}" for name, value in named.items())
        known = {name: value for name, value in named.items() if value is not None}
        fields = ", ".join(f"{name}={value!r}" for name, value in known.items())
        yield where, Study(rows, study.provenance), f"study.find({fields})"


def _part_pictures(study: Study, axes: SuggestedAxes, where: str, code: str) -> Iterator[Picture]:
    """Yield the figures of results that x and hue tell apart."""
    if len(study) == 1:
        yield from _single_pictures(study, where, code)
        return
    columns = columns_of(study)
    x, hue = axes.x, axes.hue
    grid = [columns[name] for name in (x, hue) if name is not None]
    numeric = all(is_number(value) for column in grid for value in column)
    if hue is not None and numeric and all(len(set(column)) >= MANY for column in grid):
        named: dict[str, Any] = {"x": x, "y": hue}
        over = f"over {x} and {hue}; white line: the critical line, where mean-field theory has one"
    else:
        named = {"x": x} | ({} if hue is None else {"hue": hue})
        by = "" if hue is None else f", by {hue}"
        over = f"against {x}{by}; bands and bars: 95 % intervals, dashes: theory, where it is known"
    if len(study[0].task.layers) > 1:
        named["layer"] = study[0].task.layers[0]
    for value, threshold in _values(study):
        given = named | {"value": value} | ({} if threshold is None else {"threshold": threshold})
        figure = new_figure(*SIZE)
        study.plot(**given, ax=figure.subplots())
        what = _in_words(value, threshold)
        yield _picture(figure, f"{what} {over}", where, f"{code}.plot({_arguments(given)})")
    if hue is None and len(study) <= MOST_RIDGES:
        places = [value for value in columns[x] if is_number(value)]
        if len(places) == len(study):
            yield _ridge(study, x, places, where)


def _single_pictures(study: Study, where: str, code: str) -> Iterator[Picture]:
    """Yield the figures of one network: the density of R, and its median by layer."""
    (result,) = study
    layer, figure = result.task.layers[0], new_figure(*SIZE)
    result.plot(layer=layer, ax=figure.subplots())
    caption = f"Density of R at layer {layer}; dashes: theory, where it is known"
    yield _picture(figure, caption, where, f"{code}[0].plot(layer={layer})")
    if len(result.task.layers) > 2:
        given = {"x": "layer", "value": "median"}
        figure = new_figure(*SIZE)
        study.plot("layer", value="median", ax=figure.subplots())
        caption = "Median of R against the layer; bands: 95 % intervals"
        yield _picture(figure, caption, where, f"{code}.plot({_arguments(given)})")


def _ridge(study: Study, x: str, places: Sequence[float], where: str) -> Picture:
    """Return the densities of R for all values of one field, one above the other."""
    order = np.argsort(places, kind="stable")
    columns = [_as_samples(study, int(i)) for i in order]
    figure = new_figure(*SIZE)
    ridges = [float(places[i]) for i in order]
    plotting.ridge(columns, ridges, ylabel=x, ax=figure.subplots())
    return _picture(figure, f"Densities of R for each {x}, all equally high", where, "")


def _as_samples(study: Study, number: int) -> NDArray[np.float64]:
    """Return quantiles of R at equal steps of probability, which stand for samples."""
    result = study[number]
    n = min(result.n, POINTS)
    found = result.quantile((np.arange(n) + 0.5) / n, result.task.layers[0])
    return np.asarray(found, dtype=np.float64)


def _values(study: Study) -> Iterator[tuple[str, float | None]]:
    """Yield the probabilities of the events that happened, and the mean or the median of R."""
    layer = study[0].task.layers[0]
    for threshold in thresholds_of(study)[:MOST_THRESHOLDS]:
        for event in TABULATED[:2]:
            if any(result.tally.events(event, layer, threshold) for result in study):
                yield event, threshold
    dead = any(result.tally.events("dead", layer) for result in study)
    if dead:
        yield "dead", None
    yield ("median" if dead else "mean"), None


def _in_words(value: str, threshold: float | None) -> str:
    if value in RELATIVE and threshold is not None:
        sign = f"below {threshold:g}" if value == "vanishing" else f"above {1 / threshold:g}"
        return f"Probability that the gradient is {value}: ratio of norms {sign},"
    if value == "dead":
        return "Probability that the gradient is dead: exactly zero,"
    return f"{value.capitalize()} of R"


def sample_pictures(samples: Samples) -> tuple[list[Picture], str]:
    """Return the figures of the samples of one network, and why some are left out."""
    first = int(samples.layers[0])
    values = checked_values("samples", samples.log10_ratio[:, 0])
    kinds = {
        "histogram": "Density of R at the first recorded layer, with a log-normal fit (dots) and, "
        "where it is known, the exact law (dashes)",
        "survival": "Tail of the distribution of R, on logarithmic axes",
        "qq": "Quantiles of R against those of a normal law: log-normal norms are a straight line",
    }
    note = ""
    if not values.finite.size:
        note = f"At layer {first} all samples are dead: its distribution has no figures."
        kinds.clear()
    elif not values.varied:
        note = f"At layer {first} all samples that are not dead have the same R."
        del kinds["qq"]
    if samples.layers.size > 2:
        kinds["profile"] = "Quantiles of R against the layer"
    found = []
    for kind, caption in kinds.items():
        figure = new_figure(*SIZE)
        given: dict[str, Any] = {"kind": kind}
        given |= {} if kind == "profile" else {"layer": first}
        samples.plot(**given, ax=figure.subplots())
        found.append(_picture(figure, caption, "", f"samples.plot({_arguments(given)})"))
    return found, note


def _picture(figure: Any, caption: str, where: str, code: str) -> Picture:
    """Return a figure as an SVG image."""
    data = io.BytesIO()
    write_figure(figure, data, "svg")
    uri = f"data:image/svg+xml;base64,{base64.b64encode(data.getvalue()).decode('ascii')}"
    return Picture(uri, f"{f'{where}: ' if where else ''}{caption}.", code)


def _arguments(given: dict[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in given.items())
