"""Progress: one bar for everything that takes long, its length the cost of the work."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from vgsim._checks import type_error

__all__ = ["LINE_SECONDS", "Progress", "Show", "shown"]

Progress = bool | Callable[[int, int], object]
LINE_SECONDS = 10.0  # between two lines where a bar cannot be redrawn
FORESEEABLE = 0.05  # of all the work; the time left cannot be told from less
BAR = "{percentage:3.0f} %|{bar}| {desc} [{elapsed}<{remaining}]"


class Show(Protocol):
    """Takes how many samples of how many are done, which fraction of the work, and words."""

    def __call__(self, done: int, total: int, fraction: float, words: str = "", /) -> None: ...


@contextmanager
def shown(progress: Progress, title: str = "") -> Iterator[Show]:
    """Show progress in the way that is asked for.

    Parameters
    ----------
    progress : bool or callable
        True is a bar of tqdm on a terminal and in a notebook, and plain lines elsewhere; a callable
        is called as ``progress(done, total)``.
    title : str
        What is done, in a word or two.

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
        raise type_error("progress", f"must be a bool or a callable, got {progress!r}")
    if callable(progress):
        call: Callable[[int, int], object] = progress

        def told(done: int, total: int, fraction: float, words: str = "") -> None:
            call(done, total)

        yield told
    elif not progress or sys.stderr is None:
        yield lambda *_: None
    else:
        from tqdm.auto import tqdm

        in_notebook = any(base.__module__ == "tqdm.notebook" for base in tqdm.__mro__)
        if not (in_notebook or sys.stderr.isatty()):
            yield _lines(title)
            return
        with tqdm(total=1.0, desc=title, bar_format=BAR, mininterval=0.0) as bar:

            def drawn(done: int, total: int, fraction: float, words: str = "") -> None:
                bar.desc = words or _samples(done, total)
                bar.update(fraction - bar.n)

            yield drawn


def _lines(title: str) -> Show:
    """Return what writes a line now and then."""
    began = time.monotonic()
    last, first = began, -1.0

    def line(done: int, total: int, fraction: float, words: str = "") -> None:
        nonlocal last, first
        now = time.monotonic()
        if first < 0:
            first = fraction  # done before, as a study that goes on
        if now - last < LINE_SECONDS:
            return
        last = now
        text = f"{title}: " if title else ""
        text += f"{words or _samples(done, total)}, {100 * fraction:.0f} % of the work"
        gained = fraction - first
        if gained >= FORESEEABLE * (1 - first) and fraction < 1:
            text += f", {(now - began) / gained * (1 - fraction):.0f} s left"
        sys.stderr.write(f"vgsim: {text}\n")

    return line


def _samples(done: int, total: int) -> str:
    return f"{done:,} of {total:,} samples" if total else f"{done:,} samples"
