"""A line on the terminal that says what is running, how far it is, and the time left."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TextIO

from vgsim._table import seconds_cell

FORESEEABLE = 0.05  # of all; what is left cannot be told from less


class ProgressLine:
    """Progress of several tasks of different cost, rewritten in place on one line.

    Parameters
    ----------
    stream : text file
        A terminal.
    tasks : sequence of (name, cost)
        In the order they will run; costs in any one unit.

    Examples
    --------
    >>> import io
    >>> from vgsim._progress import ProgressLine
    >>> line = ProgressLine(io.StringIO(), [("tanh, depth 10", 10), ("tanh, depth 30", 30)])
    >>> line.start(1)
    >>> line.text(500, 1000)[:41]
    'tanh, depth 30: 500 of 1,000, 62 % of all'
    """

    def __init__(self, stream: TextIO, tasks: Sequence[tuple[str, float]]) -> None:
        self._stream = stream
        self._tasks = tasks
        self._total = sum(cost for _, cost in tasks)
        self._began = time.monotonic()
        self._shown = 0
        self.start(0)

    def start(self, task: int) -> None:
        """Say which task is next: those before it are finished."""
        self._name, self._cost = self._tasks[task]
        self._finished = sum(cost for _, cost in self._tasks[:task])

    def __call__(self, done: int, total: int) -> None:
        """Show that `done` of `total` samples of this task are there."""
        text = self.text(done, total)
        self._stream.write("\r" + text.ljust(self._shown))
        self._stream.flush()
        self._shown = len(text)

    def text(self, done: int, total: int) -> str:
        """Return what the line says."""
        fraction = (self._finished + self._cost * done / total) / self._total
        text = f"{self._name}: {done:,} of {total:,}, {100 * fraction:.0f} % of all"
        if fraction >= FORESEEABLE:
            left = (time.monotonic() - self._began) * (1 / fraction - 1)
            text += f", {seconds_cell(left)} left"
        return text

    def clear(self) -> None:
        """Take the line away."""
        if self._shown:
            self._stream.write("\r" + " " * self._shown + "\r")
            self._stream.flush()
            self._shown = 0
