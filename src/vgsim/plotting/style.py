"""Colours, markers and lines that stay distinct in grey; labels, legends and notes."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vgsim._checks import brief, type_error, value_error

__all__ = [
    "DECADES",
    "FIT",
    "THEORY",
    "Style",
    "darker",
    "dead_share",
    "drawn_as_series",
    "mark_unbounded",
    "next_style",
    "note",
    "once",
    "set_labels",
    "show_legend",
    "threshold_lines",
]

# The palette of Okabe and Ito without its yellow, ordered so that neighbours differ in lightness.
COLORS = ("#0072B2", "#E69F00", "#000000", "#56B4E9", "#D55E00", "#009E73", "#CC79A7")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">")
THEORY = (0, (4, 1.5))  # dashes of theory and exact laws
FIT = (0, (1, 1.2))  # dots of fitted laws
GREY = "0.35"
DECADES = r"$R=\log_{10}(\Vert G_l\Vert/\Vert G_D\Vert)$, decades"


class Style(NamedTuple):
    """The colour and the marker of one series."""

    color: Any
    marker: str


def next_style(ax: Any, color: object = None) -> Style:
    """Return the style of the next series on the axes, with the colour of the caller if given."""
    drawn = sum(getattr(artist, "vgsim_series", False) for artist in ax.get_children())
    if color is None:
        chosen: Any = COLORS[drawn % len(COLORS)]
    else:
        from matplotlib.colors import is_color_like

        if not is_color_like(color):
            raise value_error(
                "color", f"must be a colour of matplotlib or None, got {brief(color)}"
            )
        chosen = color
    return Style(chosen, MARKERS[drawn % len(MARKERS)])


def drawn_as_series(artist: Any) -> Any:
    """Return the artist, marked as the main one of a series: `next_style` counts these."""
    artist.vgsim_series = True
    return artist


def darker(color: Any) -> tuple[float, float, float]:
    """Return a darker tone of a colour, for laws over a histogram of that colour."""
    from matplotlib.colors import to_rgb

    red, green, blue = to_rgb(color)
    return 0.55 * red, 0.55 * green, 0.55 * blue


def once(ax: Any, label: str) -> str | None:
    """Return the label, or None if the axes have an artist with that label already."""
    return None if label in ax.get_legend_handles_labels()[1] else label


def set_labels(ax: Any, given: tuple[object, object], default: tuple[str, str]) -> None:
    """Write the axis labels that are given; the defaults only where the axes have none yet."""
    axis = (("xlabel", ax.get_xlabel, ax.set_xlabel), ("ylabel", ax.get_ylabel, ax.set_ylabel))
    for (name, get, write), text, usual in zip(axis, given, default, strict=True):
        if text is not None and not isinstance(text, str):
            raise type_error(name, f"must be a string or None, got {brief(text)}")
        if text is not None or not get():
            write(usual if text is None else text)


def checked_label(label: object) -> str | None:
    """Return a label; None for none."""
    if label is not None and not isinstance(label, str):
        raise type_error("label", f"must be a string or None, got {brief(label)}")
    return label


def note(label: object, *remarks: str) -> str | None:
    """Return the label with remarks in brackets; without a label the remarks alone."""
    name = checked_label(label)
    said = ", ".join(remark for remark in remarks if remark)
    if not said:
        return name
    return f"{name} ({said})" if name else said


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
    """Draw the legend of all labelled artists, if there are any."""
    handles, labels = ax.get_legend_handles_labels()
    if labels:
        ax.legend(handles, labels, fontsize="small", framealpha=0.8, edgecolor="none")


def threshold_lines(ax: Any, threshold: float | None, upright: bool = True) -> list[Any]:
    """Draw lines at R = ±log10(threshold): the upper one only where the axes reach it already."""
    if threshold is None:
        return []
    level = math.log10(threshold)
    low, high = sorted(ax.get_xlim() if upright else ax.get_ylim())
    line = ax.axvline if upright else ax.axhline
    levels = [level] + ([-level] if level and low <= -level <= high else [])
    return [line(x, color=GREY, linewidth=0.8, linestyle="-", zorder=1.5) for x in levels]


def mark_unbounded(ax: Any, x: NDArray[np.float64], color: Any, label: str | None) -> list[Any]:
    """Draw arrows at the lower edge of the axes, where a value is −∞."""
    if not x.size:
        return []
    return list(
        ax.plot(
            x,
            np.zeros(x.size),
            linestyle="none",
            marker=11,  # a triangle that hangs from its point
            markersize=6,
            color=color,
            clip_on=False,
            label=label,
            transform=ax.get_xaxis_transform(),
            zorder=3,
        )
    )
