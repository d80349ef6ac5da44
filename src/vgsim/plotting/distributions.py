"""Distributions of R: histograms, and ridges of densities at several depths."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vgsim._checks import brief, checked_items, plain, real_array, value_error
from vgsim.plotting.artists import Artists
from vgsim.plotting.data import (
    FittedNormal,
    Law,
    LawOfR,
    Values,
    checked_columns,
    checked_fit,
    checked_law,
    checked_places,
    checked_threshold,
    checked_values,
)
from vgsim.plotting.style import (
    RATIO,
    Style,
    axes_and_style,
    dead_share,
    drawn_as_series,
    faint,
    law_line,
    note,
    set_labels,
    show_legend,
    threshold_lines,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw_density", "histogram", "ridge"]

Floats = NDArray[np.float64]
MOST_BINS = 200
MOST_GIVEN = 10_000  # bins, if the caller chooses their number
POINTS = 400  # of the curve of a law
NARROW = 0.02  # of the range of all ridges, the width of one whose values are all equal
RIDGE = 1.4  # height of a ridge, in distances between neighbours


def histogram(
    values: ArrayLike,
    *,
    bins: int | ArrayLike | None = None,
    law: Law | None = None,
    fit: Any = None,
    threshold: float | None = None,
    label: str | None = None,
    color: Any = None,
    xlabel: str | None = None,
    ylabel: str | None = None,
    ax: Axes | None = None,
) -> Artists:
    """Draw a histogram of R, or of other values, with the exact law and a log-normal fit.

    Called again with the same `ax`, it draws over the first one, in another colour.

    Parameters
    ----------
    values : array_like
        Samples of R, finite or −∞ (dead), or other values such as the entries of a gradient. An
        array of any shape. The density is per unit of x and of all values, so its integral is the
        fraction of those that are not dead; the legend tells the others.
    bins : int or array_like, optional
        The number of bins, at most 10,000, or their edges. By default NumPy's rule "auto", with at
        most 200 bins.
    law : law of vgsim.theory, optional
        The law of X = ln(‖G_l‖²/‖G_D‖²) = 2 ln(10) R, such as :func:`vgsim.theory.relu_law`, or any
        object with methods ``pdf``, ``cdf`` and ``sf``. Drawn dashed, as a density of R.
    fit : bool or LogNormalFit, optional
        True: the normal law of R with the mean and the variance of the values that are not dead,
        which is log-normal for the norm. Drawn dotted, if two or more values differ.
    threshold : float, optional
        Draw a line at log10(threshold), below which gradients are called vanishing, and at the
        negative of this, if the axes reach it.
    label, color, ax
        As for :func:`probability`.
    xlabel, ylabel : str, optional
        By default R in decades and "density".

    Returns
    -------
    Artists
        The histogram (a StepPatch), then the lines of law and fit, and those of the threshold.

    Raises
    ------
    TypeError, ValueError
        If an argument has a wrong type or value.

    Examples
    --------
    >>> import vgsim
    >>> network = vgsim.MLP(depth=50, width=32, activation="relu", init="he_normal")
    >>> R = vgsim.simulate(network, 2000).log10_ratio[:, 0]
    >>> law = vgsim.theory.relu_law(32, 50)
    >>> drawn = vgsim.plotting.histogram(R, law=law, fit=True)
    >>> [text.get_text() for text in drawn.axes.get_legend().get_texts()]
    ['exact law', 'log-normal fit']
    """
    sample = checked_values("values", values)
    edges = _edges(sample, bins)
    laws = [checked_law(law), checked_fit(fit, sample)]
    threshold = checked_threshold(threshold)
    ax, style = axes_and_style(ax, color, label=label, xlabel=xlabel, ylabel=ylabel)
    density, outside = _density(sample, edges)
    drawn = draw_density(ax, style, edges, density, laws, note(label, *_remarks(sample, outside)))
    drawn += threshold_lines(ax, threshold)
    set_labels(ax, (xlabel, RATIO), (ylabel, "density"))
    show_legend(ax)
    return Artists(drawn, ax)


def draw_density(
    ax: Any,
    style: Style,
    edges: Floats,
    density: Floats,
    laws: Iterable[LawOfR | FittedNormal | None],
    label: str | None,
) -> list[Any]:
    """Draw a density as steps, and over it the laws that are not None."""
    steps = ax.stairs(
        density,
        edges,
        fill=True,
        facecolor=faint(style.color, 0.2),
        edgecolor=style.color,
        linestyle=style.outline,
        linewidth=1.2,
        label=label,
    )
    drawn = [drawn_as_series(steps)]
    r = np.linspace(edges[0], edges[-1], POINTS)
    for law in laws:
        if law:
            drawn.append(law_line(ax, r, law.pdf(r), style.color, law.name, law.fitted))
    return drawn


def ridge(
    columns: Any,
    places: ArrayLike,
    *,
    bins: int | ArrayLike | None = None,
    laws: Any = None,
    threshold: float | None = None,
    label: str | None = None,
    color: Any = None,
    xlabel: str | None = None,
    ylabel: str | None = None,
    ax: Axes | None = None,
) -> Artists:
    """Draw the densities of R at several depths or layers, one above the other.

    Every density has a scale of its own: all are equally high. The fraction of dead networks, and
    of values outside the given bins, is written beside each. A narrow bar stands for equal values.

    Parameters
    ----------
    columns : array of shape (n, k), or k arrays
        The samples of R at each place, finite or −∞ (dead).
    places : array_like, shape (k,)
        The depths or layers: names of the densities, from the bottom to the top.
    bins : int or array_like, optional
        As for :func:`histogram`.
    laws : k laws or None, optional
        The law at each place, as in :func:`histogram`, None where it is not known. Drawn dashed.
    threshold, label, color, ax
        As for :func:`histogram`.
    xlabel, ylabel : str, optional
        By default R in decades and "depth".

    Returns
    -------
    Artists
        The densities (StepPatch) from the first to the last, the lines of their laws, then those of
        the threshold.

    Raises
    ------
    TypeError, ValueError
        If an argument has a wrong type, shape or value.

    Examples
    --------
    >>> import vgsim
    >>> curve = vgsim.depth_curve(vgsim.MLP(1, 32, activation="sigmoid"), (5, 10, 20), 500)
    >>> columns = [s.log10_ratio[:, 0] for s in curve.samples]
    >>> len(vgsim.plotting.ridge(columns, curve.depths))
    3
    """
    samples = checked_columns(columns)
    names = checked_places("places", places, len(samples))
    items = [None] * len(samples) if laws is None else checked_items("laws", laws, "must be laws")
    if len(items) != len(samples):
        raise value_error("laws", f"must be {len(samples)}, got {len(items)}")
    known = [checked_law(law) for law in items]
    threshold = checked_threshold(threshold)
    ax, style = axes_and_style(ax, color, label=label, xlabel=xlabel, ylabel=ylabel)
    drawn: list[Any] = []
    lines: list[Any] = []
    every = np.concatenate([sample.finite for sample in samples])
    narrow = NARROW * float(np.ptp(every)) if every.size else 0.0
    for level, (sample, law) in enumerate(zip(samples, known, strict=True)):
        order = 3 - level / len(samples)  # lower ridges lie in front of higher ones
        edges = _edges(sample, bins, narrow)
        density, outside = _density(sample, edges)
        scale = RIDGE / density.max() if density.any() else 0.0
        steps = ax.stairs(
            level + scale * density,
            edges,
            baseline=level,
            fill=True,
            facecolor=faint(style.color, 0.5),
            edgecolor=style.color,
            linewidth=0.9,
            label=note(label) if level == 0 else None,
            zorder=order,
        )
        drawn.append(steps)
        if law and scale:
            r = np.linspace(edges[0], edges[-1], POINTS)
            y = level + scale * law.pdf(r)
            lines.append(law_line(ax, r, y, style.color, law.name, law.fitted, order))
        if remark := note(None, *_remarks(sample, outside)):
            lines.append(
                ax.text(
                    1.02,
                    level,
                    remark,
                    transform=ax.get_yaxis_transform(),
                    fontsize="x-small",
                    verticalalignment="center",
                )
            )
    drawn_as_series(drawn[0])
    ax.set_yticks(range(len(samples)), [f"{place:g}" for place in names])
    drawn += lines + threshold_lines(ax, threshold)
    set_labels(ax, (xlabel, RATIO), (ylabel, "depth"))
    show_legend(ax)
    return Artists(drawn, ax)


def _edges(sample: Values, bins: Any, narrow: float = 0.0) -> Floats:
    """Return the edges of the bins, by NumPy's rule "auto" with at most `MOST_BINS`.

    `narrow` is the width of the bin of equal values; 0: one.
    """
    finite = sample.finite
    if bins is not None:
        return _given_edges(finite, bins)
    if not sample.varied:
        first, last = (finite[0], finite[-1]) if finite.size else (0.0, 0.0)
        half = 0.5 * (narrow or 1.0)
        return np.array([first - half, last + half])
    low, high = np.quantile(finite, [0.25, 0.75])
    width = 2 * (high - low) / finite.size ** (1 / 3)
    many = 0 < width < np.ptp(finite) / MOST_BINS
    return np.histogram_bin_edges(finite, MOST_BINS if many else "auto")


def _given_edges(finite: Floats, bins: Any) -> Floats:
    """Return the edges of bins that the caller chose by their number or their edges."""
    number = plain(bins)
    if isinstance(number, int) and 1 <= number <= MOST_GIVEN:
        return np.histogram_bin_edges(finite if finite.size else [0.0, 1.0], number)
    allowed = f"must be a number of bins from 1 to {MOST_GIVEN} or their increasing edges"
    if number is not None or not np.iterable(bins):
        raise value_error("bins", f"{allowed}, got {brief(bins)}")
    edges = real_array("bins", bins, allowed)
    if edges.ndim != 1 or edges.size < 2 or not (np.diff(edges) > 0).all() or np.isinf(edges).any():
        raise value_error("bins", f"{allowed}, got {brief(bins)}")
    return edges


def _remarks(sample: Values, outside: int) -> list[str]:
    """Return what a histogram does not show, in words; "" for nothing."""
    share = f"{100 * outside / sample.n:.3g} % outside the bins" if outside else ""
    return [dead_share(sample.dead, sample.n), share]


def _density(sample: Values, edges: Floats) -> tuple[Floats, int]:
    """Return the density of all values, and the number of finite ones outside the bins."""
    counts, _ = np.histogram(sample.finite, edges)
    outside = sample.finite.size - int(counts.sum())
    return counts / (sample.n * np.diff(edges)), outside
