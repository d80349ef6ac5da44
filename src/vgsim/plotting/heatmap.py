"""Heat maps over two swept fields, with the critical line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vgsim._checks import brief, checked_items, real_array, value_error
from vgsim.plotting.artists import Artists
from vgsim.plotting.data import checked_places
from vgsim.plotting.style import (
    SMALL,
    axes_and_style,
    make_logarithmic,
    once,
    set_labels,
    show_legend,
    spaced_evenly_in_log,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["heatmap"]

Floats = NDArray[np.float64]


def heatmap(
    x: ArrayLike,
    y: ArrayLike,
    values: ArrayLike,
    *,
    line: Any = None,
    line_label: str | None = "critical line",
    limits: tuple[float, float] | None = None,
    label: str | None = None,
    xlabel: str | None = None,
    ylabel: str | None = None,
    ax: Axes | None = None,
) -> Artists:
    """Draw values over a grid of two parameters, such as σ_w and σ_b, with the critical line.

    Parameters
    ----------
    x : array_like, shape (k,), y : array_like, shape (m,)
        Increasing; the cells meet halfway between neighbours. An axis is logarithmic as for
        :func:`probability`.
    values : array_like, shape (m, k)
        NaN is left blank; −∞ and ∞ are drawn as the ends of the colours, with a pointed colour bar.
    line : pair of array_like, optional
        x and y of the critical line, as from :func:`vgsim.theory.critical_line`. The axes keep the
        range of the grid.
    line_label : str, optional
        The line in the legend.
    limits : pair of float, optional
        The values at the ends of the colours. By default 0 and 1 if all values are between these,
        as probabilities, and not all below 0.3 unless they are equal; otherwise the smallest and
        the largest.
    label : str, optional
        What the values are: the label of the colour bar.
    xlabel, ylabel : str, optional
        By default none.
    ax : matplotlib.axes.Axes, optional
        By default those of a new figure.

    Returns
    -------
    Artists
        The mesh, whose attribute ``colorbar`` is the colour bar, and the line if it is given.

    Raises
    ------
    TypeError, ValueError
        If an argument has a wrong type or shape.

    Examples
    --------
    >>> import numpy as np
    >>> import vgsim
    >>> gains, biases = np.linspace(0.5, 3, 6), np.linspace(0.0, 1.0, 5)
    >>> def chi(gain, bias_std):
    ...     network = vgsim.MLP(1, 64, init="lecun_normal", gain=gain, bias_std=bias_std)
    ...     return vgsim.theory.mean_field(network).chi_1
    >>> table = [[chi(gain, bias_std) for gain in gains] for bias_std in biases]
    >>> line = vgsim.theory.critical_line("tanh", biases).gain, biases
    >>> drawn = vgsim.plotting.heatmap(gains, biases, table, line=line)
    >>> len(drawn)
    2
    """
    columns, rows = _increasing("x", x), _increasing("y", y)
    table = real_array("values", values, "must be an array of numbers")
    if table.shape != (rows.size, columns.size):
        shape = f"({rows.size}, {columns.size}), one row for each y"
        raise value_error("values", f"must have the shape {shape}, got {table.shape}")
    low, high = _limits(limits, table)
    critical = None if line is None else _line(line)
    ax, _ = axes_and_style(ax, None, label=label, xlabel=xlabel, ylabel=ylabel)
    for axis, places in ((ax.xaxis, columns), (ax.yaxis, rows)):
        if spaced_evenly_in_log(places):
            make_logarithmic(axis, places)
        elif places.size == 1:
            axis.set_ticks(places)
    mesh = ax.pcolormesh(
        _edges(columns),
        _edges(rows),
        np.ma.masked_invalid(np.clip(table, low, high)),
        cmap="cividis",
        vmin=low,
        vmax=high,
        rasterized=True,
    )
    ends = int(np.nanmin(table, initial=low) < low) + 2 * int(np.nanmax(table, initial=high) > high)
    extend = ("neither", "min", "max", "both")[ends]
    ax.figure.colorbar(mesh, ax=ax, label=label or "", extend=extend)
    drawn = [mesh]
    if critical is not None:
        from matplotlib.patheffects import Stroke

        (path,) = ax.plot(
            *critical,
            color="white",
            linewidth=1.6,
            label=once(ax, line_label) if line_label else None,
            path_effects=[Stroke(linewidth=3.2, foreground="black"), Stroke()],
        )
        drawn.append(path)
        ax.set_xlim(*_edges(columns)[[0, -1]])
        ax.set_ylim(*_edges(rows)[[0, -1]])
    set_labels(ax, (xlabel, ""), (ylabel, ""))
    show_legend(ax)
    return Artists(drawn, ax)


def _increasing(argument: str, values: ArrayLike) -> Floats:
    found = checked_places(argument, values)
    if not (np.diff(found) > 0).all():
        raise value_error(argument, f"must be increasing, got {brief(values)}")
    return found


def _limits(limits: Any, table: Floats) -> tuple[float, float]:
    """Return the values at the ends of the colours."""
    if limits is not None:
        found = checked_places("limits", limits, 2)
        if not found[0] < found[1]:
            raise value_error("limits", f"must be two increasing numbers, got {brief(limits)}")
        return float(found[0]), float(found[1])
    finite = table[np.isfinite(table)]
    if not finite.size:
        return 0.0, 1.0
    low, high = float(finite.min()), float(finite.max())
    if low >= 0 and (high > SMALL or low == high) and high <= 1:
        return 0.0, 1.0
    return (low, high) if low < high else (low - 0.5, high + 0.5)


def _line(line: Any) -> tuple[Floats, Floats]:
    """Return x and y of the critical line."""
    parts = checked_items("line", line, "must be a pair of arrays, x and y")
    if len(parts) != 2:
        raise value_error("line", f"must be a pair of arrays, x and y, got {len(parts)}")
    x = real_array("line", parts[0], "must be a pair of arrays, x and y")
    y = real_array("line", parts[1], "must be a pair of arrays, x and y")
    if x.ndim != 1 or x.shape != y.shape:
        shapes = f"{x.shape} and {y.shape}"
        raise value_error("line", f"must be two vectors of one length, got the shapes {shapes}")
    return x, y


def _edges(centres: Floats) -> Floats:
    """Return the edges of the cells: halfway between neighbours, of logarithms on their axis."""
    if centres.size == 1:
        return np.array([centres[0] - 0.5, centres[0] + 0.5])
    if spaced_evenly_in_log(centres):
        return np.asarray(np.exp(_halfway(np.log(centres))))
    return _halfway(centres)


def _halfway(centres: Floats) -> Floats:
    middle = (centres[1:] + centres[:-1]) / 2
    first, last = 2 * centres[0] - middle[0], 2 * centres[-1] - middle[-1]
    return np.concatenate([[first], middle, [last]])
