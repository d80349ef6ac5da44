"""The density of R_l of one network of a study, from the histogram of its tally."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vgsim._domains import checked_bool
from vgsim._results.curve_plots import law_at
from vgsim._studies.tally import BINS, Tally
from vgsim._studies.task import Task
from vgsim.plotting.artists import Artists
from vgsim.plotting.data import FittedNormal, LawOfR
from vgsim.plotting.distributions import draw_density
from vgsim.plotting.style import (
    axes_and_style,
    dead_share,
    note,
    ratio_label,
    set_labels,
    show_legend,
)
from vgsim.theory._prediction import predict

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["binned_density", "draw_result"]

Floats = NDArray[np.float64]
MOST_BINS = 120


class TheoreticalNormal(FittedNormal):
    """The normal law of R with the mean and the variance of theory."""

    name = "normal law of theory"
    fitted = False


def draw_result(
    task: Task, tally: Tally, layer: int, theory: bool = True, ax: Axes | None = None
) -> Artists:
    """Draw the density of R_l of one network: see :meth:`Result.plot`."""
    theory = checked_bool("theory", theory)
    if not tally.n:
        raise ValueError(f"a plot needs one or more samples, got none of {task.network!r}")
    edges, density = binned_density(tally, layer)
    ax, style = axes_and_style(ax, None)
    law = _law(task, layer) if theory else None
    dead = note(None, dead_share(tally.events("dead", layer), tally.n))
    drawn = draw_density(ax, style, edges, density, [law], dead)
    set_labels(ax, (None, ratio_label(layer)), (None, "density"))
    show_legend(ax)
    return Artists(drawn, ax)


def _law(task: Task, layer: int) -> LawOfR | FittedNormal | None:
    """Return the law of R_l in theory; None if there is no theory."""
    found = predict(task.network, layer, task.batch_size, task.loss, task.inputs)
    if (law := law_at(found)) is not None:
        return LawOfR(law)
    if found.mean is None or not found.std:
        return None
    return TheoreticalNormal(found.mean, found.std, 0.0)


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
