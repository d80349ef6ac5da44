"""Figures of the page, drawn with vgsim.plotting from stored data."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib import pyplot
from matplotlib.ticker import FuncFormatter, LogLocator, SymmetricalLogLocator

import vgsim.plotting
from claims_measured.claim import Figure
from claims_measured.measurement import LEVEL

STABLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "vgsim",
    "font.size": 8,
}  # equal files from equal data


def save(figure: Figure, path: Path) -> None:
    """Draw a figure and write it as SVG, the same bytes for the same data."""
    with matplotlib.rc_context(STABLE):
        drawn, ax = pyplot.subplots(figsize=(5.6, 3.1), layout="constrained")
        DRAWN[figure.kind](figure, ax)
        ax.set_xlabel(subscripts(figure.xlabel))
        ax.set_ylabel(subscripts(figure.ylabel))
        drawn.savefig(path, metadata={"Date": None})
        pyplot.close(drawn)


def subscripts(text: str) -> str:
    """Return a label with its symbols as mathtext: σ_b with a subscript."""
    return re.sub(r"σ_(\w)", r"$\\sigma_\1$", text)


def legend(ax: Any, handles: Any, labels: Any) -> None:
    """Draw the legend beside the axes, where it hides no curve."""
    if (inside := ax.get_legend()) is not None:
        inside.remove()
    ax.figure.legend(handles, map(subscripts, labels), loc="outside right upper", frameon=False)


def numbers(values: list[float | None]) -> np.ndarray:
    """Return stored values, NaN where one is missing."""
    return np.array([np.nan if value is None else value for value in values])


def curves(figure: Figure, ax: Any) -> None:
    """Draw estimates with their bands, and theory where it is stored."""
    draw = getattr(vgsim.plotting, figure.kind)
    for line in figure.series:
        middle, low, high = (numbers(line[part]) for part in ("estimate", "low", "high"))
        estimate = vgsim.Estimate(middle, low, high, LEVEL, "")
        theory = None if line["theory"] is None else numbers(line["theory"])
        draw(line["x"], estimate, theory=theory, label=line["label"], ax=ax)
    scale(figure.options, ax)
    named = dict(zip(*reversed(ax.get_legend_handles_labels()), strict=True))
    if "theory" in named:
        named["theory"] = named.pop("theory")  # last
    legend(ax, named.values(), named.keys())


def scale(options: dict[str, Any], ax: Any) -> None:
    """Set the scales of the axes and draw lines at the thresholds."""
    if ax.get_xscale() == "log":
        low, high = ax.get_xlim()
        ax.xaxis.set_major_locator(LogLocator(subs=[1, 2, 5] if high < 100 * low else [1, 3]))
    if options.get("log_y"):
        ax.set_yscale("log")
    if "symlog_y" in options:
        ax.set_yscale("symlog", linthresh=options["symlog_y"])
        ticks = SymmetricalLogLocator(base=10, linthresh=options["symlog_y"], subs=[1, 3])
        ax.yaxis.set_major_locator(ticks)
        ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}".replace("-", "−")))
    ax.autoscale(axis="both")
    for y in options.get("lines_y", ()):
        ax.axhline(y, color="0.6", linewidth=0.6, zorder=0)


def qq(figure: Figure, ax: Any) -> None:
    """Draw quantiles against those of the normal law."""
    for column in figure.series:
        vgsim.plotting.qq(numbers(column["values"]), label=column["label"], ax=ax)
    for band in ax.collections[1:]:
        band.remove()  # one band for all: the columns are equally long
    legend(ax, *ax.get_legend_handles_labels())


def heatmap(figure: Figure, ax: Any) -> None:
    """Draw a map with the critical line."""
    (found,) = figure.series
    values = np.array([numbers(row) for row in found["values"]])
    line = tuple(numbers(part) for part in found["line"])
    label = figure.options["label"]
    vgsim.plotting.heatmap(found["x"], found["y"], values, line=line, label=label, ax=ax)


def points(figure: Figure, ax: Any) -> None:
    """Draw a row for each network: a point with its interval, an arrow at a lower limit."""
    for row, point in enumerate(figure.series):
        if "beyond" in point:
            ax.plot(point["beyond"], row, ">", color="black", markersize=5)
        else:
            ax.plot([point["low"], point["high"]], [row, row], color="black", linewidth=1)
            ax.plot(point["estimate"], row, "o", color="#0072B2", markersize=5)
    rows = [f"{point['label']}  × {point['x']:.2f}" for point in figure.series]
    ax.set_yticks(range(len(rows)), rows)
    ax.invert_yaxis()
    ax.set_xscale("log")
    ax.grid(axis="y", color="0.9", zorder=0)


DRAWN = {"curve": curves, "probability": curves, "qq": qq, "heatmap": heatmap, "points": points}
