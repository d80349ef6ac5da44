"""Figures of the commands: their files are checked before a simulation, and written at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vgsim._checks import value_error
from vgsim._results import files

__all__ = ["check_figure", "new_figure", "save_figure"]

SIZE = (5.0, 3.6)  # inches
DPI = 200
DATES = {"pdf": "CreationDate", "svg": "Date", "ps": "CreationDate"}  # left out of the file


def new_figure(width: float = SIZE[0], height: float = SIZE[1], dpi: float = DPI) -> Any:
    """Return a figure of matplotlib that does not belong to pyplot.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ImportError(
            "figures need matplotlib: pip install matplotlib, or vgsim with the extra [plot]"
        ) from None
    return Figure(figsize=(width, height), dpi=dpi, layout="constrained")


def check_figure(argument: str, path: Path, replace: bool = False) -> None:
    """Refuse a file to which no figure can be written; `argument` is its name in messages.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    ValueError
        If the suffix is not that of a format, or the file exists and `replace` is False.
    OSError
        If the file cannot be written.

    Examples
    --------
    >>> from pathlib import Path
    >>> from vgsim._cli.figures import check_figure
    >>> check_figure("plot", Path("curve.doc"))
    Traceback (most recent call last):
    ValueError: plot must end in .eps, .jpg, .pdf, .png, .svg or .webp, got 'curve.doc'
    """
    new_figure()
    check_ending(argument, path, (".eps", ".jpg", ".pdf", ".png", ".svg", ".webp"))
    check_free(argument, path, replace)


def check_ending(argument: str, path: Path, endings: tuple[str, ...]) -> None:
    """Refuse a path with another ending."""
    if path.suffix.lower() not in endings:
        *some, last = endings
        allowed = f"{', '.join(some)} or {last}" if some else last
        raise value_error(argument, f"must end in {allowed}, got {str(path)!r}")


def check_free(argument: str, path: Path, replace: bool = False) -> None:
    """Refuse a file that exists, unless it may be replaced, or that cannot be written."""
    if (path.exists() or path.is_symlink()) and not replace:
        problem = f"{path} exists, and is not overwritten: remove it or choose another path"
        raise value_error(argument, problem)
    files.check_writable(path)


def save_figure(figure: Any, path: Path) -> None:
    """Write a figure atomically, in the format of the suffix, without the date."""
    format = path.suffix.lower()[1:]
    undated = {DATES[format]: None} if format in DATES else None
    with files.whole(path) as temporary:
        figure.savefig(temporary, format=format, metadata=undated)
