"""Progress bars and lines; the length of a bar is the fraction of the work."""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from vgsim._checks import brief, type_error

__all__ = ["LINE_SECONDS", "Progress", "Show", "on_terminal", "shown"]

Progress = bool | Callable[[int, int], object]
LINE_SECONDS = 10.0  # seconds between lines where a bar cannot be redrawn
FORESEEABLE = 0.05  # least fraction of the work from which the time left is estimated
TEXT_COLUMNS = 80  # characters of a bar of text in a notebook
BAR = "{percentage:3.0f} %|{bar}| {desc} [{elapsed}<{remaining}]"


class Show:
    """Receives the progress of the work; this base class shows nothing."""

    def __call__(self, done: int, total: int, fraction: float, words: str = "") -> None:
        """Show the samples done, their total and the fraction of the work done.

        `words` replace the numbers of samples; a `total` of 0 means unknown.
        """

    def layers(self, done: int, total: int) -> None:
        """Show the layers done of `total`, each a like part of the work."""
        self(done, total, done / total, f"{done:,} of {total:,} layers")

    def clear(self) -> None:
        """Remove the bar from the terminal until the next call, for other output."""


def on_terminal() -> bool:
    """Whether stderr is a terminal, on which the commands show a bar."""
    return sys.stderr is not None and sys.stderr.isatty()


@contextmanager
def shown(progress: Progress, title: str = "", leave: bool = True) -> Iterator[Show]:
    """Show progress as a bar, as lines or by a callable.

    Parameters
    ----------
    progress : bool or callable
        True shows a tqdm bar on a terminal and in a notebook, and plain lines elsewhere; a callable
        is called as ``progress(done, total)``.
    title : str
        The name of the work.
    leave : bool, default True
        Whether the bar remains when the work is done.

    Raises
    ------
    TypeError
        If `progress` is neither a bool nor callable.

    Examples
    --------
    >>> from vgsim._engine.progress import shown
    >>> with shown(print) as show:
    ...     show(50, 100, 0.5)
    50 100
    """
    if not isinstance(progress, bool) and not callable(progress):
        raise type_error("progress", f"must be a bool or a callable, got {brief(progress)}")
    if callable(progress):
        yield _Call(progress)
    elif not progress or sys.stderr is None:
        yield Show()
    else:
        start = f"{title}: " if title else ""
        if (bar_class := _bar_class()) is not None:
            with bar_class(total=1.0, desc=title, bar_format=BAR, miniters=0, leave=leave) as bar:
                yield _Bar(start, bar)
        else:
            yield _Lines(start)


def _bar_class() -> Any:
    """Return the tqdm class of a bar here; None if a bar cannot be redrawn.

    In a notebook it is a widget if ipywidgets is installed, else a line of text.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tqdm warns if ipywidgets is missing
        from tqdm.auto import tqdm
    if any(base.__module__ == "tqdm.notebook" for base in tqdm.__mro__):
        return tqdm
    if type(sys.stderr).__module__.startswith("ipykernel."):
        return partial(tqdm, file=_Output(), ascii=False, ncols=TEXT_COLUMNS)
    return tqdm if sys.stderr.isatty() else None


class _Output:
    """A stream whose last line is the output of a cell of a notebook."""

    def __init__(self) -> None:
        from IPython.display import display

        self._shown = display({"text/plain": ""}, raw=True, display_id=True)

    def write(self, text: str) -> None:
        """Replace the output."""
        if line := text.strip():
            self._shown.update({"text/plain": line}, raw=True)

    def flush(self) -> None:
        """Do nothing: the output is shown at once."""


class _Call(Show):
    """Calls the callable of the user."""

    def __init__(self, call: Callable[[int, int], object]) -> None:
        self._call = call

    def __call__(self, done: int, total: int, fraction: float, words: str = "") -> None:
        self._call(done, total)


class _Bar(Show):
    """A tqdm bar."""

    def __init__(self, start: str, bar: Any) -> None:
        self._start, self._bar = start, bar

    def __call__(self, done: int, total: int, fraction: float, words: str = "") -> None:
        words = f"{self._start}{words or _samples(done, total)}"
        self._bar.set_description_str(words, refresh=False)
        self._bar.update(fraction - self._bar.n)

    def clear(self) -> None:
        self._bar.clear()


class _Lines(Show):
    """Lines on stderr, at most one per LINE_SECONDS."""

    def __init__(self, start: str) -> None:
        self._start = start
        self._began = self._last = time.monotonic()
        self._before: float | None = None  # fraction done before, in a study that is resumed

    def __call__(self, done: int, total: int, fraction: float, words: str = "") -> None:
        now = time.monotonic()
        if self._before is None:
            self._before = fraction
        if now - self._last < LINE_SECONDS:
            return
        self._last = now
        text = f"{self._start}{words or _samples(done, total)}, {100 * fraction:.0f} % of the work"
        gained = fraction - self._before
        if gained >= FORESEEABLE * (1 - self._before) and fraction < 1:
            text += f", {(now - self._began) / gained * (1 - fraction):.0f} s left"
        sys.stderr.write(f"vgsim: {text}\n")


def _samples(done: int, total: int) -> str:
    return f"{done:,} of {total:,} samples" if total else f"{done:,} samples"
