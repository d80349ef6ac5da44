"""Cursor: the blocks of one network of a study that are counted, pending, and next."""

from __future__ import annotations

import math

import numpy as np

from vgsim._studies.blocks import BLOCK, Blocks
from vgsim._studies.precision import Precision
from vgsim._studies.result import Result
from vgsim._studies.tally import Tally
from vgsim._studies.task import Task

__all__ = ["Cursor"]

AHEAD = 0.25  # of what counts, so much may be on its way while a rule may stop the network
UNIT_BLOCKS = 100  # in one unit at most, so that memory does not grow with the speed of a network
UNIT_COLUMNS = 400  # blocks times layers


class Cursor:
    """The blocks of one task, counted in the order of their indices until its rules are reached.

    Parameters
    ----------
    task : Task
    rules : tuple of Precision
        All must be reached.
    max_samples : int or None

    Attributes
    ----------
    most : int or None
        The samples that `max_samples` asks for.
    is_done : bool
        Whether no more blocks will count.
    n : int
        Samples that count: those below index n.

    Examples
    --------
    >>> import vgsim
    >>> from vgsim._studies.cursor import Cursor
    >>> from vgsim._studies.task import Task
    >>> from vgsim._studies.workers import run_unit
    >>> task = Task(vgsim.MLP(10, 8))
    >>> cursor = Cursor(task, (), max_samples=1500)
    >>> unit = cursor.next_unit(seconds=2.0, workers=1)
    >>> unit
    (0, 1000)
    >>> cursor.take(run_unit(task, None, *unit, 1)[0])
    True
    >>> cursor.n, cursor.is_done
    (1000, False)
    """

    def __init__(self, task: Task, rules: tuple[Precision, ...], max_samples: int | None) -> None:
        self.task = task
        self.is_done = False
        self.n = 0
        self.rules = rules
        self.most = max_samples
        self._result = Result(task, Tally.empty(task.layers, task.thresholds), (), rules)
        self._tally = self._result.tally
        self._events = [0] * len(rules)
        self._waiting: dict[int, Blocks] = {}  # came before those below them
        self._sent = 0  # all indices below count, wait or are out
        self._seconds, self._timed = 0.0, 0  # of so many blocks

    @property
    def max_samples(self) -> int | None:
        """How many samples there will be at most."""
        return self.n if self.is_done else self.most

    @property
    def is_sent(self) -> bool:
        """Whether nothing is left to be sent."""
        return self.is_done or self._sent == self.most

    def result(self) -> Result:
        """Return what counts so far."""
        if self._result.n < self.n:
            ranges = [(self.task.seed, 0, self.n)]
            self._result = Result(self.task, self._tally, ranges, self.rules)
        return self._result

    def usable(self, held: Blocks) -> Blocks | None:
        """Return the first of these blocks, as far as they are cut as this study would cut them."""
        end = held.first + held.count
        fits = end <= (np.inf if self.most is None else self.most)
        usable = fits & ((held.count == BLOCK) | (end == self.most))
        m = len(held) if usable.all() else int(np.argmin(usable))
        return held if m == len(held) else held.head(m) if m else None

    def take(self, blocks: Blocks) -> bool:
        """Count `blocks`, and those that were waiting for them; whether n has grown."""
        before = self.n
        self._waiting[int(blocks.first[0])] = blocks
        self._sent = max(self._sent, blocks.end)
        while not self.is_done and self.n in self._waiting:
            self._count(self._waiting.pop(self.n))
        if self.is_done:
            self._waiting.clear()
        return self.n > before

    def _count(self, blocks: Blocks) -> None:
        self._tally += blocks.total(self._until_reached(blocks))
        self.n = self._tally.n
        self.is_done |= self.n == self.most

    def _until_reached(self, blocks: Blocks) -> int:
        """How many of these blocks come before all rules are reached, the last one with them."""
        if not self.rules:
            return len(blocks)
        ns = self.n + np.cumsum(blocks.count)
        events = [
            seen + np.cumsum(blocks.events(rule.event, rule.layer, rule.threshold))
            for rule, seen in zip(self.rules, self._events, strict=True)
        ]
        for i, n in enumerate(ns.tolist()):
            if all(r.reached(int(e[i]), n) for r, e in zip(self.rules, events, strict=True)):
                self.is_done = True
                return i + 1
        self._events = [int(e[-1]) for e in events]
        return len(blocks)

    def timed(self, blocks: int, seconds: float) -> None:
        """Remember how long some blocks took on a worker."""
        self._timed += blocks
        self._seconds += seconds

    def next_unit(self, seconds: float, workers: int, idle: bool = False) -> tuple[int, int] | None:
        """Return first and end of the next samples to send, worth about `seconds`; None for now.

        Blocks that a rule might not count, or of unknown cost, are only sent one at a time, or
        while there are workers `idle`.
        """
        if self.is_sent or len(self._waiting) >= 4 * workers:  # one worker is late, or dead
            return None
        first, end = self._sent, self.most
        rate = self._timed / max(self._seconds, 1e-9)
        most = max(1, min(UNIT_BLOCKS, UNIT_COLUMNS // len(self.task.layers), int(seconds * rate)))
        if self.rules or not self._timed:
            ahead = max(2 * workers if idle else 1, int(AHEAD * self.n / BLOCK))
            room = ahead - (first - self.n) // BLOCK
            if room < 1:
                return None
            most = min(most, room, math.ceil(ahead / (2 * workers)))
        if end is None:
            self._sent += most * BLOCK
        else:
            share = math.ceil((end - first) / BLOCK / workers)  # so that they end together
            self._sent = min(first + min(most, max(most // 8, share)) * BLOCK, end)
        return first, self._sent
