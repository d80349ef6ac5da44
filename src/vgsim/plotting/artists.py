"""What a plotting function returns, and the axes on which it draws."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from vgsim._checks import brief, type_error

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

__all__ = ["Artists", "checked_axes", "require_matplotlib"]


class Artists(tuple[Any, ...]):
    """The matplotlib artists that a plotting function drew: a tuple that knows its axes.

    Attributes
    ----------
    axes : matplotlib.axes.Axes
    figure : matplotlib.figure.Figure

    Examples
    --------
    >>> import vgsim
    >>> drawn = vgsim.simulate(vgsim.MLP(depth=10, width=32), 1000).plot()
    >>> drawn.axes.get_ylabel(), drawn.figure is drawn.axes.figure
    ('density', True)
    """

    axes: Axes

    def __new__(cls, artists: Iterable[Any], axes: Axes) -> Artists:
        """Return the tuple of `artists`, drawn on `axes`."""
        self = super().__new__(cls, artists)
        self.axes = axes
        return self

    def __getnewargs__(self) -> tuple[Any, ...]:
        """Return the arguments of `__new__`, for copies and pickles."""
        return tuple(self), self.axes

    @property
    def figure(self) -> Figure | SubFigure:
        """The figure of the axes."""
        return self.axes.figure

    def __repr__(self) -> str:
        return f"<Artists: {len(self)} on {self.axes!r}>"


def checked_axes(ax: object) -> Any:
    """Return the axes to draw on: those given, or of a new figure of pyplot.

    Raises
    ------
    TypeError
        If `ax` is neither None nor matplotlib axes.
    ImportError
        If matplotlib is not installed.
    """
    require_matplotlib()
    from matplotlib.axes import Axes

    if ax is None:
        from matplotlib import pyplot

        return pyplot.subplots(layout="constrained")[1]
    if not isinstance(ax, Axes):
        raise type_error("ax", f"must be matplotlib Axes or None, got {brief(ax)}")
    return ax


def require_matplotlib() -> None:
    """Raise an ImportError that says what to install, if matplotlib is not installed."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise ImportError(
            "plots need matplotlib: pip install matplotlib, or vgsim with the extra [plot]"
        ) from None
