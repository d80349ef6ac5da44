"""Tails of R: survival functions on a logarithmic axis, and quantiles against quantiles."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vgsim._checks import value_error
from vgsim._domains import Choice
from vgsim._statistics.binomial import exact_limits
from vgsim.plotting.artists import Artists
from vgsim.plotting.data import (
    FittedNormal,
    Law,
    LawOfR,
    Values,
    checked_fit,
    checked_law,
    checked_threshold,
    checked_values,
)
from vgsim.plotting.style import (
    RATIO,
    axes_and_style,
    dead_share,
    drawn_as_series,
    faint,
    law_line,
    measured_line,
    note,
    once,
    set_labels,
    show_legend,
    threshold_lines,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["qq", "survival"]

Floats = NDArray[np.float64]
TAILS = Choice(("lower", "upper"))
AGAINST = Choice(("fit", "law"))
POINTS = 400
RANKS = 120  # points of a QQ plot
SETS = 2000  # simulated data sets from which its band is made
LEVEL = 0.95  # of all bands


def survival(
    values: ArrayLike,
    *,
    law: Law | None = None,
    fit: Any = None,
    tail: Literal["lower", "upper"] = "lower",
    threshold: float | None = None,
    label: str | None = None,
    color: Any = None,
    xlabel: str | None = None,
    ylabel: str | None = None,
    ax: Axes | None = None,
) -> Artists:
    """Draw P(R ≤ r) or P(R > r) on a logarithmic axis, where the tails can be seen.

    Parameters
    ----------
    values : array_like
        Samples of R, finite or −∞ (dead), or other values; an array of any shape.
    law, fit, threshold
        As for :func:`histogram`.
    tail : {"lower", "upper"}, default "lower"
        "lower": P(R ≤ r), in which dead samples count. "upper": P(R > r).
    label, color, ax
        As for :func:`probability`.
    xlabel, ylabel : str, optional
        By default R in decades, and "fraction up to R" or "fraction above R".

    Returns
    -------
    Artists
        The line, the band of pointwise 95 % Clopper–Pearson intervals, the lines of law and fit,
        and those of the threshold.

    Raises
    ------
    TypeError, ValueError
        If an argument has a wrong type or value, or no value is finite.

    Examples
    --------
    >>> import vgsim
    >>> network = vgsim.MLP(depth=50, width=32, activation="relu", init="he_normal")
    >>> R = vgsim.simulate(network, 2000).log10_ratio[:, 0]
    >>> drawn = vgsim.plotting.survival(R, law=vgsim.theory.relu_law(32, 50), fit=True)
    >>> drawn.axes.get_yscale()
    'log'
    """
    sample = _living(values)
    laws = [checked_law(law), checked_fit(fit, sample)]
    lower = TAILS.check("tail", tail) == "lower"
    threshold = checked_threshold(threshold)
    ax, style = axes_and_style(ax, color, label=label, xlabel=xlabel, ylabel=ylabel)
    first = not ax.lines
    r, counts = _tail(sample, lower)
    low, high = exact_limits(counts, sample.n, LEVEL)
    name = note(label, dead_share(sample.dead, sample.n))
    drawn = [measured_line(ax, r, counts / sample.n, style, name)]
    drawn.append(ax.fill_between(r, low, high, color=style.color, alpha=0.25, linewidth=0))
    ax.set_yscale("log")
    bottom = 0.3 * counts.min() / sample.n
    if not first:
        bottom = min(bottom, ax.get_ylim()[0])
    margin = 0.15 * np.ptp(r)
    grid = np.linspace(r[0] - lower * margin, r[-1] + (not lower) * margin, POINTS)
    for curve in laws:
        if curve:
            p = curve.cdf(grid) if lower else curve.sf(grid)
            seen = p > 0.5 * bottom
            x, y = grid[seen], p[seen]
            drawn.append(law_line(ax, x, y, style.color, curve.name, curve.fitted))
    ax.set_ylim(bottom, 1.5)
    drawn += threshold_lines(ax, threshold)
    set_labels(ax, (xlabel, RATIO), (ylabel, "fraction up to R" if lower else "fraction above R"))
    show_legend(ax)
    return Artists(drawn, ax)


def qq(
    values: ArrayLike,
    *,
    law: Law | None = None,
    against: Literal["fit", "law"] = "fit",
    label: str | None = None,
    color: Any = None,
    xlabel: str | None = None,
    ylabel: str | None = None,
    ax: Axes | None = None,
) -> Artists:
    """Draw quantiles of R against those of the fitted normal law of R, or of an exact law.

    If the norm is log-normal, R is normal and the points lie on the diagonal. The grey band
    contains all points together with probability 95 % if the values come from the law on the
    abscissa; of a fitted law with somewhat more. About 120 order statistics are drawn, closest in
    the tails.

    Parameters
    ----------
    values : array_like
        Samples of R, finite or −∞ (dead), or other values; an array of any shape. Dead samples are
        left out here and in the law; the legend gives their fraction.
    law : law of vgsim.theory, optional
        As for :func:`histogram`. Against the fit, its quantiles are drawn as a dashed line.
    against : {"fit", "law"}, default "fit"
        The law on the abscissa: the normal law with mean and variance of the values, or `law`.
    label, color, ax
        As for :func:`probability`.
    xlabel, ylabel : str, optional
        By default the names of the quantiles, both in decades.

    Returns
    -------
    Artists
        The points, the band, the diagonal, and the line of the law, if it is not the abscissa.

    Raises
    ------
    TypeError, ValueError
        If an argument has a wrong type or value, or fewer than two finite values differ.

    Examples
    --------
    >>> import vgsim
    >>> network = vgsim.MLP(depth=50, width=8, activation="relu", init="he_normal")
    >>> drawn = vgsim.plotting.qq(vgsim.simulate(network, 2000).log10_ratio[:, 0])
    >>> points, band, diagonal = drawn
    >>> bool(points.get_ydata()[0] < points.get_xdata()[0])  # the lower tail is heavier
    True
    """
    sample = _living(values)
    if not sample.varied:
        raise value_error("values", "must have two or more different finite entries")
    exact = checked_law(law)
    fitted = AGAINST.check("against", against) == "fit"
    base = checked_fit(True, sample) if fitted else exact
    if base is None:
        raise value_error("law", "must be given for against='law', got None")
    ax, style = axes_and_style(ax, color, label=label, xlabel=xlabel, ylabel=ylabel)
    n = sample.finite.size
    ranks = _ranks(n)
    low, high = _simultaneous(n)
    middle = (ranks - 0.5) / n
    expected, lower, upper = _quantiles(base, sample.finite, np.stack([middle, low, high]))
    (points,) = ax.plot(
        expected,
        sample.finite[ranks - 1],
        linestyle="none",
        marker=style.marker,
        markersize=3.5,
        markeredgewidth=0.7,
        markerfacecolor=faint(style.color, 0.3),
        color=style.color,
        label=note(label, dead_share(sample.dead, sample.n)),
        zorder=3,
    )
    first = once(ax, "95 % band")
    band = ax.fill_between(
        expected, lower, upper, color="0.6", alpha=0.35, linewidth=0, label=first
    )
    ends = expected[[0, -1]]
    (diagonal,) = ax.plot(ends, ends, color="0.25", linewidth=0.8, zorder=2)
    drawn = [drawn_as_series(points), band, diagonal]
    if fitted and exact is not None:
        y = _quantiles(exact, sample.finite, middle)
        drawn.append(law_line(ax, expected, y, style.color, exact.name, exact.fitted))
    names = f"quantile of the {base.name}", "quantile of $R$, decades"
    set_labels(ax, (xlabel, names[0]), (ylabel, names[1]))
    show_legend(ax)
    return Artists(drawn, ax)


def _living(values: ArrayLike) -> Values:
    sample = checked_values("values", values)
    if not sample.finite.size:
        raise value_error("values", f"must have a finite entry, got {sample.n} of -inf (dead)")
    return sample


def _tail(sample: Values, lower: bool) -> tuple[Floats, Floats]:
    """Return order statistics r and the numbers of values <= r, or > r: closest in the tail.

    The counts are those just at r for the lower tail and just below r for the upper one, so that
    neither is 0.
    """
    m = sample.finite.size
    k = np.unique(np.round(np.geomspace(1, m, POINTS)).astype(np.int64))
    if lower:
        return sample.finite[k - 1], (sample.dead + k).astype(np.float64)
    return sample.finite[m - k][::-1], k[::-1].astype(np.float64)


def _ranks(n: int) -> NDArray[np.int64]:
    """Return ranks from 1 to n at evenly spaced normal quantiles."""
    from scipy.special import ndtr, ndtri

    end = -ndtri(0.5 / n)
    shares = ndtr(np.linspace(-end, end, RANKS))
    return np.unique(np.clip(np.round(n * shares + 0.5), 1, n)).astype(np.int64)


@lru_cache(maxsize=16)
def _simultaneous(n: int) -> tuple[Floats, Floats]:
    """Return limits of the uniform order statistics at `_ranks`, that hold together.

    Each is exceeded with the same probability, which is chosen from simulated data sets so that in
    a fraction `LEVEL` of them no limit is exceeded.
    """
    from scipy.special import betainc, betaincinv

    ranks = _ranks(n)
    steps = np.diff(ranks, prepend=0, append=n + 1)
    sums = np.random.default_rng(0).standard_gamma(steps, (SETS, steps.size)).cumsum(axis=1)
    uniform = sums[:, :-1] / sums[:, -1:]
    below = betainc(ranks, n + 1 - ranks, uniform)
    extreme = np.minimum(below, 1 - below).min(axis=1)
    local = float(np.quantile(extreme, 1 - LEVEL))
    low, high = (betaincinv(ranks, n + 1 - ranks, p) for p in (local, 1 - local))
    return low, high


def _quantiles(law: LawOfR | FittedNormal, finite: Floats, p: Floats) -> Floats:
    """Return quantiles of R given that it is not dead, inverting the law on a grid.

    Between the points of the grid normal scores are interpolated, which are nearly linear in R.
    """
    from scipy.special import ndtri

    span = np.ptp(finite)
    grid = np.linspace(finite[0] - span, finite[-1] + span, 8 * POINTS)
    alive = 1 - law.dead
    below = np.clip((law.cdf(grid) - law.dead) / alive, 0.0, 1.0)
    above = np.clip(law.sf(grid) / alive, 0.0, 1.0)
    with np.errstate(divide="ignore"):
        scores = np.where(below < 0.5, ndtri(below), -ndtri(above))
    known = np.isfinite(scores)
    found = np.interp(ndtri(p), scores[known], grid[known], left=np.nan, right=np.nan)
    return np.asarray(found)
