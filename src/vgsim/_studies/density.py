"""The density of R_l of one network of a study, from the histogram of its tally."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vgsim._checks import DECADE
from vgsim._studies.tally import BINS, Tally
from vgsim._studies.task import Task
from vgsim.plotting.artists import Artists
from vgsim.plotting.style import (
    RATIO,
    axes_and_style,
    dead_share,
    drawn_as_series,
    faint,
    law_line,
    note,
    set_labels,
    show_legend,
)
from vgsim.theory._prediction import Prediction, predict

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["binned_density", "draw_density"]

Floats = NDArray[np.float64]
MOST_BINS = 120
POINTS = 400  # of a theoretical density


def draw_density(
    task: Task, tally: Tally, layer: int, theory: bool = True, ax: Axes | None = None
) -> Artists:
    """Draw the density of R_l of one network: see :meth:`Result.plot`."""
    if not tally.n:
        raise ValueError(f"a plot needs one or more samples, got none of {task.network!r}")
    edges, density = binned_density(tally, layer)
    ax, style = axes_and_style(ax, None)
    steps = ax.stairs(
        density,
        edges,
        fill=True,
        facecolor=faint(style.color, 0.2),
        edgecolor=style.color,
        linewidth=1.2,
        label=note(None, dead_share(tally.events("dead", layer), tally.n)),
    )
    drawn = [drawn_as_series(steps)]
    r = np.linspace(edges[0], edges[-1], POINTS)
    if theory:
        found = predict(task.network, layer, task.batch_size, task.loss, task.inputs)
        name, known = _in_theory(found, r)
        if known is not None:
            drawn.append(law_line(ax, r, known, style.color, name, False))
    ratio = RATIO.replace("R=", f"R_{{{layer}}}=").replace("G_l", f"G_{{{layer}}}")
    set_labels(ax, (None, ratio), (None, "density"))
    show_legend(ax)
    return Artists(drawn, ax)


def _in_theory(found: Prediction, r: Floats) -> tuple[str, Floats | None]:
    """Return the density of R_l in theory with its name; None if there is no theory."""
    if found.law is not None:
        return "exact law", (1 - found.dead_below) * DECADE * np.asarray(found.law.pdf(DECADE * r))
    if found.mean is None or not found.std:
        return "", None
    normal = np.exp(-0.5 * ((r - found.mean) / found.std) ** 2)
    return "normal law of theory", normal / (found.std * math.sqrt(2 * math.pi))


def binned_density(tally: Tally, layer: int) -> tuple[Floats, Floats]:
    """Return the edges of bins and the density, whose integral is the fraction that is not dead.

    Bins of the tally are united, by powers of 2, to about those of the rule of Freedman and
    Diaconis.

    Examples
    --------
    >>> import numpy as np
    >>> import vgsim
    >>> from vgsim._studies.density import binned_density
    >>> study = vgsim.collect([vgsim.MLP(10, 32)], max_samples=1000)
    >>> edges, density = binned_density(study[0].tally, 0)
    >>> round(float(density @ np.diff(edges)), 9)
    1.0
    """
    bins, counts = tally.histogram[tally.column(layer)]
    if not bins.size:
        return np.array([-0.5, 0.5]), np.zeros(1)
    past = np.cumsum(counts)
    low, high = (int(bins[np.searchsorted(past, share * past[-1])]) for share in (0.25, 0.75))
    wide = max(2 * (high - low) / past[-1] ** (1 / 3), (bins[-1] - bins[0]) / MOST_BINS)
    shift = max(0, math.floor(math.log2(wide))) if wide > 1 else 0
    first = int(bins[0]) >> shift
    grouped = np.bincount((bins >> shift) - first, weights=counts)
    edges = (first + np.arange(grouped.size + 1)) * 2.0**shift / BINS
    return edges, grouped / (tally.n * np.diff(edges))
