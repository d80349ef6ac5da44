"""How far one network of a study is: what counts, what waits, and what comes next."""

from __future__ import annotations

import math

import numpy as np

from vgsim._blocks import BLOCK, Blocks
from vgsim._network import MLP
from vgsim._precision import Precision
from vgsim._result import Result
from vgsim._tally import Tally
from vgsim._task import Task

__all__ = ["Cursor"]

AHEAD = 0.25  # of what counts, so much may be on its way while a rule may stop the network


class Cursor:
    """The blocks of one task, counted in the order of their indices until its rules are content.

    Parameters
    ----------
    task : Task
    rules : tuple of Precision
        All must be reached.
    max_samples : int or None

    Attributes
    ----------
    is_done : bool
        Whether no more blocks will count.
    n : int
        Samples that count: those below index n.
    """

    def __init__(self, task: Task, rules: tuple[Precision, ...], max_samples: int | None) -> None:
        self.task = task
        self.is_done = False
        self.n = 0
        self._rules = rules
        self._max = max_samples
        self._tally = Tally.empty(task.layers, task.thresholds)
        self._events = [0] * len(rules)
        self._waiting: dict[int, Blocks] = {}  # came before those below them
        self._sent = 0  # all indices below count, wait or are out
        self._seconds, self._timed = 0.0, 0  # of so many blocks

    @property
    def max_samples(self) -> int | None:
        """How many samples there will be at most."""
        return self.n if self.is_done else self._max

    @property
    def cost(self) -> float:
        """What a sample costs, in no unit."""
        net, B = self.task.network, self.task.batch_size
        n = np.array(net.widths, dtype=float)
        products = n[1:] @ n[:-1]
        matrix_free = isinstance(net, MLP) and self.task.engine == "matrix-free"
        return float(B * (1 + B / 8) * n.sum() if matrix_free else (1 + B / 8) * products)

    def result(self) -> Result:
        """Return what counts so far."""
        ranges = [(self.task.seed, 0, self.n)] if self.n else []
        return Result(self.task, self._tally, ranges, watched=self._rules)

    def begin_with(self, held: Blocks) -> None:
        """Count what a store holds, as far as it is cut as this study would cut it."""
        end = held.first + held.count
        fits = end <= (np.inf if self._max is None else self._max)
        whole = (held.count == BLOCK) | (end == self._max)
        usable = int(np.argmin(fits & whole)) if not np.all(fits & whole) else len(held)
        if usable:
            self.take(held.head(usable))

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
        counted = self._until_reached(blocks)
        self._tally += blocks.total(counted)
        self.n = self._tally.n
        self.is_done |= self.n == self._max

    def _until_reached(self, blocks: Blocks) -> int:
        """How many of these blocks come before all rules are reached, the last one with them."""
        if not self._rules:
            return len(blocks)
        ns = self.n + np.cumsum(blocks.count)
        events = [
            seen + np.cumsum(blocks.events(rule.event, rule.layer, rule.threshold, None))
            for rule, seen in zip(self._rules, self._events, strict=True)
        ]
        for i, n in enumerate(ns.tolist()):
            if all(r.reached(int(e[i]), n) for r, e in zip(self._rules, events, strict=True)):
                self.is_done = True
                return i + 1
        self._events = [int(e[-1]) for e in events]
        return len(blocks)

    def timed(self, blocks: int, seconds: float) -> None:
        """Remember how long some blocks took on a worker."""
        self._timed += blocks
        self._seconds += seconds

    def next_unit(self, seconds: float, workers: int) -> tuple[int, int] | None:
        """Return first and end of the next samples to send, worth about `seconds`; None for now."""
        first, end = self._sent, self._max
        if self.is_done or first == end:
            return None
        out = (first - self.n) // BLOCK
        room = workers + 1 - out if not self._timed else 1 << 40
        if self._rules:
            room = min(room, max(workers + 1, int(AHEAD * self.n / BLOCK)) - out)
        if room < 1:
            return None
        blocks = min(room, max(1, int(seconds * self._timed / max(self._seconds, 1e-9))))
        if not self._timed:
            blocks = 1
        if end is not None:
            left = math.ceil((end - first) / BLOCK)
            blocks = min(blocks, max(1, math.ceil(left / workers)))
        self._sent = first + blocks * BLOCK if end is None else min(first + blocks * BLOCK, end)
        return first, self._sent
