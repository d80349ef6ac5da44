"""Colours, markers and lines that stay distinct in grey; labels, legends and notes."""

from __future__ import annotations

import math
import textwrap
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vgsim._checks import brief, type_error, value_error
from vgsim.plotting.artists import checked_axes, require_matplotlib

__all__ = [
    "FIT",
    "RATIO",
    "SMALL",
    "THEORY",
    "Style",
    "axes_and_style",
    "darker",
    "dead_share",
    "drawn_as_series",
    "faint",
    "in_lines",
    "law_line",
    "make_logarithmic",
    "make_upright_logarithmic",
    "mark_unbounded",
    "measured_line",
    "note",
    "once",
    "ratio_label",
    "set_labels",
    "show_legend",
    "spaced_evenly_in_log",
    "threshold_lines",
]

# The palette of Okabe and Ito without its yellow, ordered so that neighbours differ in lightness.
COLORS = ("#0072B2", "#E69F00", "#000000", "#56B4E9", "#D55E00", "#009E73", "#CC79A7")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">")
OUTLINES = ("-", (0, (5, 1)), (0, (1.5, 0.8)), (0, (6, 1, 1.5, 1)), (0, (6, 1, 1, 1, 1, 1)))
THEORY = (0, (4, 1.5))  # dashes of theory and exact laws
FIT = (0, (1, 1.2))  # dots of fitted laws
GREY = "0.35"
LONG_LEGEND = 10  # entries, beyond which a legend has two columns
RATIO = r"$R=\log_{10}(\Vert G_l\Vert/\Vert G_D\Vert)$, decades"
SMALL = 0.3  # largest of probabilities that do not show the whole range from 0 to 1


class Style(NamedTuple):
    """The colour of one series, the marker of its curve, the dashes of its histogram."""

    color: Any
    marker: str
    outline: Any


def axes_and_style(ax: Any, color: object, **names: object) -> tuple[Any, Style]:
    """Return the axes to draw on and the style of the next series, once all names are checked.

    Checking first leaves no empty figure behind when an argument is refused.
    """
    require_matplotlib()
    from matplotlib.colors import is_color_like

    for name, text in names.items():
        if text is not None and not isinstance(text, str):
            raise type_error(name, f"must be a string or None, got {brief(text)}")
    if color is not None and not is_color_like(color):
        raise value_error("color", f"must be a colour of matplotlib or None, got {brief(color)}")
    ax = checked_axes(ax)
    drawn = sum(getattr(artist, "vgsim_series", False) for artist in ax.get_children())
    chosen = COLORS[drawn % len(COLORS)] if color is None else color
    return ax, Style(chosen, MARKERS[drawn % len(MARKERS)], OUTLINES[drawn % len(OUTLINES)])


def drawn_as_series(artist: Any) -> Any:
    """Return the artist, marked as the main one of a series: `axes_and_style` counts these."""
    artist.vgsim_series = True
    return artist


def darker(color: Any) -> tuple[float, float, float]:
    """Return a darker tone of a colour, or a light grey of black: for laws over its data."""
    from matplotlib.colors import to_rgb

    red, green, blue = to_rgb(color)
    if max(red, green, blue) < 0.25:
        return 0.7, 0.7, 0.7
    return 0.55 * red, 0.55 * green, 0.55 * blue


def once(ax: Any, label: str) -> str | None:
    """Return the label, or None if the axes have an artist with that label already."""
    return None if label in ax.get_legend_handles_labels()[1] else label


def ratio_label(layer: object) -> str:
    """Return the name of the axis of R_l at one layer, in matplotlib's mathematical notation."""
    return RATIO.replace("R=", f"R_{{{layer}}}=").replace("G_l", f"G_{{{layer}}}")


def set_labels(ax: Any, x: tuple[str | None, str], y: tuple[str | None, str]) -> None:
    """Name both axes: as given, otherwise by default if the axes have no name yet."""
    for (given, usual), get, write in (
        (x, ax.get_xlabel, ax.set_xlabel),
        (y, ax.get_ylabel, ax.set_ylabel),
    ):
        if given is not None or not get():
            write(usual if given is None else given)


def spaced_evenly_in_log(places: NDArray[np.float64]) -> bool:
    """Return whether increasing places belong on a logarithmic axis.

    They do if all are positive, span more than a decade, and are denser at small values.

    Examples
    --------
    >>> import numpy as np
    >>> from vgsim.plotting.style import spaced_evenly_in_log
    >>> spaced_evenly_in_log(np.array([1, 10, 100])), spaced_evenly_in_log(np.arange(1, 100))
    (True, False)
    """
    first, last = float(places[0]), float(places[-1])
    return first > 0 and last > 10 * first and bool(np.median(places) < 0.25 * (first + last))


def make_logarithmic(axis: Any, places: NDArray[np.float64]) -> None:
    """Make the axis of increasing places logarithmic, with plain numbers at its ticks."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axis.axes.set(**{f"{axis.axis_name}scale": "log"})
    axis.set_major_locator(LogLocator(subs=(1.0, 3.0) if places[-1] < 200 * places[0] else (1.0,)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def make_upright_logarithmic(ax: Any) -> None:
    """Make the vertical axis logarithmic, with plain numbers between and at few powers of ten."""
    from matplotlib.ticker import LogFormatterSciNotation

    class Labels(LogFormatterSciNotation):  # type: ignore[misc]
        """Plain numbers if all that is shown is from 0.001 to 10,000; otherwise powers of ten."""

        def __call__(self, x: float, pos: int | None = None) -> str:
            text = super().__call__(x, pos)
            low, high = sorted(self.axis.get_view_interval())
            return f"{x:g}" if text and low > 5e-4 and high < 2e4 else text

    ax.set_yscale("log")
    for write in (ax.yaxis.set_major_formatter, ax.yaxis.set_minor_formatter):
        write(Labels(minor_thresholds=(1.5, 0.6)))


def faint(color: Any, alpha: float = 0.25) -> tuple[float, float, float, float]:
    """Return a transparent tone of a colour."""
    from matplotlib.colors import to_rgba

    red, green, blue, _ = to_rgba(color)
    return red, green, blue, alpha


def note(label: str | None, *remarks: str) -> str | None:
    """Return the label with remarks in brackets; without a label the remarks alone."""
    said = ", ".join(remark for remark in remarks if remark)
    if not said:
        return label
    return f"{label} ({said})" if label else said


def in_lines(text: str, width: int, most: int = 4) -> str:
    r"""Return a long text in lines of at most `width`; of more than `most` lines the ends.

    Examples
    --------
    >>> from vgsim.plotting.style import in_lines
    >>> in_lines("[Linear(width=16), 'tanh'] * 5", 18)
    "[Linear(width=16),\n'tanh'] * 5"
    """
    lines = textwrap.wrap(text, width, break_on_hyphens=False)
    if len(lines) > most:
        lines = [*lines[: most - 2], "…", lines[-1]]
    return "\n".join(lines) or text


def dead_share(dead: int, n: int) -> str:
    """Return "3 % dead"; "" if none is.

    Examples
    --------
    >>> from vgsim.plotting.style import dead_share
    >>> dead_share(5, 400), dead_share(0, 400)
    ('1.25 % dead', '')
    """
    return f"{100 * dead / n:.3g} % dead" if dead else ""


def show_legend(ax: Any) -> None:
    """Draw the legend of all labelled artists: first the series, then what they have in common."""
    from matplotlib.lines import Line2D

    handles, labels = ax.get_legend_handles_labels()
    if not labels:
        return
    series = [getattr(handle, "vgsim_series", False) for handle in handles]
    entries = sorted(zip(series, handles, labels, strict=True), key=lambda entry: not entry[0])
    shown = []
    for own, handle, _ in entries:
        if not own and sum(series) > 1 and isinstance(handle, Line2D):
            neutral = Line2D([], [])  # stands for the lines of all series
            neutral.update_from(handle)
            neutral.set_color(GREY)
            shown.append(neutral)
        else:
            shown.append(handle)
    ax.legend(
        shown,
        [label for _, _, label in entries],
        ncols=1 if len(entries) <= LONG_LEGEND else 2,
        fontsize="small",
        framealpha=0.8,
        edgecolor="none",
        borderpad=0.2,
        labelspacing=0.25,
        handlelength=1.8,
        handletextpad=0.5,
    )


def threshold_lines(ax: Any, threshold: float | None, upright: bool = True) -> list[Any]:
    """Draw lines at R = ±log10(threshold): the upper one only where the axes reach it already."""
    if threshold is None:
        return []
    level = math.log10(threshold)
    low, high = sorted(ax.get_xlim() if upright else ax.get_ylim())
    line = ax.axvline if upright else ax.axhline
    levels = [level] + ([-level] if level and low <= -level <= high else [])
    name = once(ax, "threshold")
    style = {"color": GREY, "linewidth": 0.9, "linestyle": (0, (8, 2, 1, 2)), "zorder": 1.5}
    return [line(x, label=None if i else name, **style) for i, x in enumerate(levels)]


def measured_line(ax: Any, x: Any, y: NDArray[np.float64], style: Style, label: str | None) -> Any:
    """Draw the finite ones of measured values as the main line of a series.

    A line of more than 16 places has markers at even distances only.
    """
    (line,) = ax.plot(
        x,
        np.where(np.isfinite(y), y, np.nan),
        color=style.color,
        marker=style.marker,
        markersize=4,
        markevery=None if np.count_nonzero(np.isfinite(y)) <= 16 else 0.09,
        linewidth=1.4,
        label=label,
        zorder=2.5,
    )
    return drawn_as_series(line)


def law_line(ax: Any, x: Any, y: Any, color: Any, name: str, fitted: bool, order: float = 3) -> Any:
    """Draw a law over measured values: dashed if it is exact, dotted if it is fitted."""
    (line,) = ax.plot(
        x,
        y,
        color=darker(color),
        linestyle=FIT if fitted else THEORY,
        linewidth=1.6 if fitted else 1.3,
        label=once(ax, name),
        zorder=order,
    )
    return line


def mark_unbounded(ax: Any, x: NDArray[np.float64], color: Any, upper: bool = False) -> list[Any]:
    """Draw arrows at the lower edge of the axes, where a value is −∞; at the upper one for ∞."""
    if not x.size:
        return []
    return list(
        ax.plot(
            x,
            np.full(x.size, float(upper)),
            linestyle="none",
            marker=10 if upper else 11,  # a triangle that stands on its point, or hangs from it
            markersize=4.5,
            color=color,
            clip_on=False,
            transform=ax.get_xaxis_transform(),
            zorder=3,
        )
    )
