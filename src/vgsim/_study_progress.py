"""How far a study is, as a bar, as a line or as lines."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from vgsim._cursor import Cursor
from vgsim._progress import FORESEEABLE
from vgsim._table import seconds_cell

__all__ = ["Report", "StudyProgress", "reporter"]

Report = bool | Callable[[int, int], object]

LINE_SECONDS = 10.0  # between two lines where they cannot be rewritten


@dataclass(frozen=True)
class StudyProgress:
    """What is done of a study.

    Parameters
    ----------
    done, total : int
        Samples that count, and how many there will be at most; total is 0 where only a rule stops.
    finished, tasks : int
        Networks.
    fraction : float
        Of the cost of all that may be to do, what was done in this call or before; 0 if unknown.
    began_at : float
        The fraction that this call began with.
    seconds : float
        Since it began.

    Examples
    --------
    >>> from vgsim._study_progress import StudyProgress
    >>> StudyProgress(5000, 20_000, 1, 4, 0.25, 0.0, 60.0).text()
    '5,000 of 20,000 samples, 1 of 4 networks, 25 % of all, 3m00 left'
    """

    done: int
    total: int
    finished: int
    tasks: int
    fraction: float
    began_at: float
    seconds: float

    @classmethod
    def of(
        cls, cursors: Sequence[Cursor], start: StudyProgress | None = None, seconds: float = 0.0
    ) -> StudyProgress:
        """Return how far some networks are, `seconds` after they were where `start` has them."""
        most = [cursor.max_samples for cursor in cursors]
        fraction = 0.0
        if None not in most:
            costs = [cursor.cost for cursor in cursors]
            done = sum(cursor.n * cost for cursor, cost in zip(cursors, costs, strict=True))
            fraction = done / sum((n or 0) * cost for n, cost in zip(most, costs, strict=True))
        return cls(
            done=sum(cursor.n for cursor in cursors),
            total=0 if None in most else sum(n or 0 for n in most),
            finished=sum(cursor.is_done for cursor in cursors),
            tasks=len(cursors),
            fraction=fraction,
            began_at=fraction if start is None else start.fraction,
            seconds=seconds,
        )

    def text(self) -> str:
        """Return it in words, with an estimate of the time left."""
        of_all = f" of {self.total:,}" if self.total else ""
        text = f"{self.done:,}{of_all} samples, {self.finished} of {self.tasks} networks"
        if self.fraction:
            text += f", {100 * self.fraction:.0f} % of all"
        gained = self.fraction - self.began_at
        if gained >= FORESEEABLE * (1 - self.began_at) and self.fraction < 1:
            text += f", {seconds_cell(self.seconds / gained * (1 - self.fraction))} left"
        return text


@contextmanager
def reporter(progress: Report) -> Iterator[Callable[[StudyProgress], None]]:
    """Return what shows progress in the way that is asked for.

    Raises
    ------
    TypeError
        If `progress` is neither a bool nor callable.

    Examples
    --------
    >>> from vgsim._study_progress import StudyProgress, reporter
    >>> with reporter(lambda done, total: print(done, "of", total)) as report:
    ...     report(StudyProgress(5, 20, 0, 1, 0.25, 0.0, 1.0))
    5 of 20
    """
    if callable(progress):
        yield lambda now: _ignore(progress(now.done, now.total))
    elif not isinstance(progress, bool):
        raise TypeError(f"progress must be a bool or a callable, got {progress!r}")
    elif not progress or sys.stderr is None:
        yield _ignore
    else:
        with (_bar if sys.stderr.isatty() else _lines)() as report:
            yield report


def _ignore(_: object) -> None: ...


@contextmanager
def _bar() -> Iterator[Callable[[StudyProgress], None]]:
    """Rewrite one line of the terminal, with tqdm's bar if it is there."""
    try:
        from tqdm.auto import tqdm
    except ImportError:
        yield lambda now: _ignore(sys.stderr.write(f"\r{now.text():<79}"))
        sys.stderr.write("\n")
        return
    with tqdm(unit="sample", unit_scale=True) as bar:

        def show(now: StudyProgress) -> None:
            if not now.seconds:
                bar.initial = bar.n = now.done
            bar.total = now.total or None
            bar.set_postfix_str(f"{now.finished} of {now.tasks} networks", refresh=False)
            bar.update(now.done - bar.n)

        yield show


@contextmanager
def _lines() -> Iterator[Callable[[StudyProgress], None]]:
    """Write a line now and then."""
    last: list[Any] = [time.monotonic(), ""]

    def show(now: StudyProgress) -> None:
        if time.monotonic() - last[0] >= LINE_SECONDS:
            last[:] = time.monotonic(), now.text()
            sys.stderr.write(f"vgsim: {last[1]}\n")

    yield show
