"""Pictures in the HTML of objects in notebooks."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TYPE_CHECKING

from vgsim._display import image

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["embedded"]

SIZE = 4.5, 2.6  # inches
DPI = 100  # of the page; the picture has twice as many, for dense screens


def embedded(draw: Callable[[Axes], object], alt: str) -> str:
    """Return a small picture as HTML, or "" if matplotlib is not installed.

    It is drawn without pyplot, so no figure remains open and no backend is chosen.

    Parameters
    ----------
    draw : callable
        Draws on the matplotlib axes that it is given.
    alt : str
        The text in place of the picture.

    Examples
    --------
    >>> from vgsim.plotting.embedded import embedded
    >>> embedded(lambda ax: ax.plot([1, 2]), "a line")[:36]
    '<img alt="a line" width="450" src="d'
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return ""
    figure = Figure(figsize=SIZE, layout="constrained")
    draw(figure.add_subplot())
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=2 * DPI)
    return image(stream.getvalue(), alt, round(DPI * SIZE[0]))
