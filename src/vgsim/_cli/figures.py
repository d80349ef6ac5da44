"""Figures of the commands: their files are checked before a simulation, and written as a whole."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from vgsim._checks import either, value_error
from vgsim._results import files
from vgsim.plotting.artists import require_matplotlib

__all__ = ["check_figure", "check_output", "new_figure", "save_figure", "write_figure"]

ENDINGS = (".eps", ".jpg", ".pdf", ".png", ".svg", ".webp")
SIZE = (5.0, 3.6)  # inches
DPI = 200
DATES = {"pdf": "CreationDate", "svg": "Date"}  # left out of the file


def new_figure(width: float = SIZE[0], height: float = SIZE[1], dpi: float = DPI) -> Any:
    """Return a figure of matplotlib that does not belong to pyplot.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    """
    require_matplotlib()
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=dpi, layout="constrained")


def check_figure(argument: str, path: Path, sources: Iterable[Path] = ()) -> None:
    """Refuse a file to which no figure can be written.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    ValueError, OSError
        As for `check_output`.

    Examples
    --------
    >>> from pathlib import Path
    >>> from vgsim._cli.figures import check_figure
    >>> check_figure("plot", Path("curve.doc"))
    Traceback (most recent call last):
    ValueError: plot must end in .eps, .jpg, .pdf, .png, .svg or .webp, got 'curve.doc'
    """
    new_figure()
    check_output(argument, path, ENDINGS, sources)


def check_output(
    argument: str, path: Path, endings: Sequence[str], sources: Iterable[Path] = ()
) -> None:
    """Refuse a file to which no figure or page can be written; one that exists may be replaced.

    Parameters
    ----------
    argument : str
        The name of `path` in messages.
    path : Path
    endings : sequence of str
        The allowed endings of the name.
    sources : iterable of Path
        Files that the command reads, which are not replaced.

    Raises
    ------
    ValueError
        If `path` has another ending, is no regular file, or is one of the sources.
    OSError
        If the file cannot be written.
    """
    if path.suffix.lower() not in endings:
        raise value_error(argument, f"must end in {either(endings)}, got {str(path)!r}")
    if path.exists():
        if not path.is_file():
            raise value_error(argument, f"must name a regular file, got {str(path)!r}")
        if any(source.exists() and path.samefile(source) for source in sources):
            raise value_error(argument, f"must not be a file that is read, got {str(path)!r}")
    files.check_writable(path)


def save_figure(figure: Any, path: Path) -> None:
    """Write a figure atomically, in the format of the suffix."""
    with files.whole(path) as temporary:
        write_figure(figure, temporary, path.suffix.lower()[1:])


def write_figure(figure: Any, target: Path | BinaryIO, format: str) -> None:
    """Write a figure without the date and without random names, so equal figures are equal files.

    Examples
    --------
    >>> import io
    >>> from vgsim._cli.figures import new_figure, write_figure
    >>> written = [io.BytesIO(), io.BytesIO()]
    >>> for file in written:
    ...     figure = new_figure()
    ...     line = figure.subplots().plot([1, 2])
    ...     write_figure(figure, file, "svg")
    >>> written[0].getvalue() == written[1].getvalue()
    True
    """
    from matplotlib import rc_context

    undated = {DATES[format]: None} if format in DATES else None
    with rc_context({"svg.hashsalt": "vgsim"}):
        figure.savefig(target, format=format, metadata=undated)
