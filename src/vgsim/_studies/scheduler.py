"""The scheduler of a study: units of work are claimed, submitted, pending, received and stored."""

from __future__ import annotations

import math
import time
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor, CancelledError, Future
from contextlib import AbstractContextManager, ExitStack, nullcontext
from functools import reduce
from itertools import pairwise
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple

import numpy as np

from vgsim._engine.data import Data
from vgsim._engine.progress import Progress, shown
from vgsim._engine.run import provenance
from vgsim._results.joined import merged_provenance
from vgsim._studies.blocks import BLOCK, Blocks
from vgsim._studies.carried import DataMissingError
from vgsim._studies.precision import Precision
from vgsim._studies.result import Result
from vgsim._studies.store import Store
from vgsim._studies.study import Study
from vgsim._studies.tally import Tally
from vgsim._studies.task import Task
from vgsim._studies.workers import Counted, NotBegunError, Workers

__all__ = ["Cursor", "Scheduler"]

POLL_SECONDS = 0.2
UNIT_SECONDS = 2.0  # intended duration of a unit of work
QUEUE_SECONDS = 0.5  # expected duration of the pending units, per worker
QUEUE_UNITS = 64  # largest number of pending units, per worker
ATTEMPTS = 3  # of a unit whose worker was lost

AHEAD = 0.25  # samples pending under a stop rule, as a fraction of the counted samples
UNIT_BLOCKS = 100  # largest number of blocks per unit, which bounds its memory
UNIT_COLUMNS = 400  # largest number of blocks × layers per unit


class Cursor:
    """The progress of one task: its blocks are counted in index order until its rules are met.

    Parameters
    ----------
    task : Task
    rules : tuple of Precision
        Stop rules; all of them must be met.
    max_samples : int or None

    Attributes
    ----------
    most : int or None
        `max_samples` as given.
    is_done : bool
        Whether the task is finished: no further blocks are counted.
    n : int
        Number of counted samples, whose indices are 0 … n − 1.

    Examples
    --------
    >>> import vgsim
    >>> from vgsim._studies.scheduler import Cursor
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
        self._waiting: dict[int, Blocks] = {}  # received before blocks of lower indices
        self._sent = 0  # all samples below this index are counted, waiting or submitted
        self._seconds, self._timed = 0.0, 0  # seconds that this number of blocks took

    @property
    def max_samples(self) -> int | None:
        """Upper bound of the final number of samples; None without one."""
        return self.n if self.is_done else self.most

    @property
    def is_sent(self) -> bool:
        """Whether no further units will be submitted."""
        return self.is_done or self._sent == self.most

    def result(self) -> Result:
        """Return the result of the samples counted so far."""
        if self._result.n < self.n:
            ranges = [(self.task.seed, 0, self.n)]
            self._result = Result(self.task, self._tally, ranges, self.rules)
        return self._result

    def usable(self, held: Blocks) -> Blocks | None:
        """Return the leading blocks that are whole or end at `max_samples`; None without any."""
        end = held.first + held.count
        fits = end <= (np.inf if self.most is None else self.most)
        usable = fits & ((held.count == BLOCK) | (end == self.most))
        m = len(held) if usable.all() else int(np.argmin(usable))
        return held if m == len(held) else held.head(m) if m else None

    def take(self, blocks: Blocks) -> bool:
        """Count `blocks`, and waiting blocks that follow them; return whether n has grown."""
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
        """Return the number of these blocks up to the one at which all rules are met."""
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
        """Record the seconds that some blocks took on a worker."""
        self._timed += blocks
        self._seconds += seconds

    def next_unit(self, seconds: float, workers: int, idle: bool = False) -> tuple[int, int] | None:
        """Return first and end of the next samples, about `seconds` of work; None without any now.

        Under a stop rule, or while the cost is unknown, few blocks are submitted at a time; more
        if workers are `idle`.
        """
        if self.is_sent or len(self._waiting) >= 4 * workers:  # one worker is late or dead
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
            share = math.ceil((end - first) / BLOCK / workers)  # workers finish at the same time
            self._sent = min(first + min(most, max(most // 8, share)) * BLOCK, end)
        return first, self._sent


class _Unit(NamedTuple):
    """A unit of work: the samples first … end − 1 of a task."""

    cursor: Cursor
    first: int
    end: int
    attempt: int = 1

    def __str__(self) -> str:
        return f"samples {self.first} to {self.end - 1} of {self.cursor.task.network!r}"


class Scheduler:
    """Distributes the units of work of a study to its workers, and counts and stores the results.

    Parameters
    ----------
    cursors : sequence of Cursor
        One for each task.
    data : Data or None
        The data from which the inputs are drawn.
    workers : Workers
    max_seconds : float or None
    store : path or None
    progress : bool or callable

    Examples
    --------
    >>> import vgsim
    >>> from vgsim._studies.scheduler import Cursor, Scheduler
    >>> from vgsim._studies.workers import Workers
    >>> from vgsim._studies.task import Task
    >>> cursor = Cursor(Task(vgsim.MLP(10, 8)), (), max_samples=3000)
    >>> scheduler = Scheduler([cursor], None, Workers(None, 1))
    >>> for _ in scheduler.run():
    ...     pass
    >>> scheduler.study()
    <Study: 1 network, 3000 samples>
    """

    def __init__(
        self,
        cursors: Sequence[Cursor],
        data: Data | None,
        workers: Workers,
        max_seconds: float | None = None,
        store: Any = None,
        progress: Progress = False,
    ) -> None:
        self._cursors = cursors
        self._data = data
        self._workers = workers
        self._max_seconds = max_seconds
        self._path = store
        self._store: Store | None = None
        self._progress = progress
        self._later = iter(cursors)
        self._begun: list[Cursor] = []  # begun, and with samples left to submit
        self._pending: dict[Future[Counted], _Unit] = {}
        self._elsewhere: list[_Unit] = []  # claimed by other processes that share the store
        self._arrived: SimpleQueue[Future[Counted]] = SimpleQueue()
        self._grown = False
        self._seconds = self._cost = 0.0  # of all received units
        self._made_by = provenance({c.task.engine for c in cursors}) | {"executor": workers.name}

    def study(self) -> Study:
        """Return the study of the samples counted so far."""
        return Study([cursor.result() for cursor in self._cursors], self._made_by)

    def run(self) -> Generator[None, None, None]:
        """Run the study; yield at the beginning, and whenever new samples are counted."""
        began = time.monotonic()
        deadline = None if self._max_seconds is None else began + self._max_seconds
        with ExitStack() as stack:
            stack.enter_context(self._workers)
            if self._path is not None:
                self._store = stack.enter_context(Store(self._path, self._made_by))
                self._begin_with(self._store)
            show = None
            if self._progress is not False:
                show = stack.enter_context(shown(self._progress))
                show(*self._done())
            stack.callback(self._cancel_all)
            next_show = began + POLL_SECONDS
            yield
            goes_on = True
            while goes_on:
                goes_on = self._turn(deadline)
                if self._grown:
                    yield
                now = time.monotonic()
                if show is not None and now >= next_show:
                    show(*self._done())
                    next_show = now + max(POLL_SECONDS, 20 * (time.monotonic() - now))
            if show is not None:
                show(*self._done())

    def _done(self) -> tuple[int, int, float, str]:
        """Return samples done, their total, the fraction of the work done, and a text.

        If only stop rules end the study, the total is 0 and the fraction that of finished networks.
        """
        cursors = self._cursors
        done, finished = sum(c.n for c in cursors), sum(c.is_done for c in cursors)
        most = [cursor.max_samples for cursor in cursors]
        total, fraction = 0, finished / len(cursors)
        if None not in most:
            total = sum(n or 0 for n in most)
            cost = sum((n or 0) * c.task.cost for n, c in zip(most, cursors, strict=True))
            fraction = sum(cursor.n * cursor.task.cost for cursor in cursors) / cost
        of_all = f" of {total:,}" if total else ""
        words = f"{done:,}{of_all} samples, {finished} of {len(cursors)} networks"
        return done, total, fraction, words

    def _begin_with(self, store: Store) -> None:
        """Enter the tasks into a store, and count its blocks."""
        any_cursor = self._cursors[0]
        tasks = (cursor.task for cursor in self._cursors)
        store.add(tasks, any_cursor.most, any_cursor.rules)
        self._made_by = reduce(merged_provenance, store.provenance, self._made_by)
        for cursor in self._cursors:
            for held in store.blocks(cursor.task):
                if (usable := cursor.usable(held)) is not None:
                    cursor.take(usable)
                if usable is not held or cursor.is_done:
                    break
        if finished := [(cursor.task, cursor.n) for cursor in self._cursors if cursor.is_done]:
            with store.transaction():
                store.finish(finished)

    def _cancel_all(self) -> None:
        """Cancel all pending units."""
        for future in list(self._pending):
            future.cancel()
        self._pending.clear()

    def _turn(self, deadline: float | None) -> bool:
        """Store and count finished units, and submit new ones; return whether work is left."""
        arrived, units, trouble = self._received()
        seconds = UNIT_SECONDS
        if deadline is not None:
            seconds = min(seconds, (deadline - time.monotonic()) / 2)
        self._grown = False
        with self._transaction():
            self._keep(arrived)
            if trouble is None:
                units += self._next_units(seconds, len(units))
        if trouble is not None:
            raise trouble
        if seconds <= 0:
            self._cancel_queued()
            units, self._elsewhere = [], []
        self._submit(units)
        return bool(self._pending or self._elsewhere)

    def _transaction(self) -> AbstractContextManager[None]:
        return nullcontext() if self._store is None else self._store.transaction()

    def _keep(self, arrived: Mapping[Cursor, list[Blocks]]) -> None:
        """Store and count received blocks."""
        for cursor, parts in arrived.items():
            for blocks in _consecutive(parts):
                if self._store is not None:
                    self._store.write(cursor.task, blocks)
                self._take(cursor, blocks)

    def _take(self, cursor: Cursor, blocks: Blocks) -> None:
        """Count blocks, and record in the store if they finish their task."""
        if cursor.take(blocks):
            self._grown = True
            if cursor.is_done and self._store is not None:
                self._store.finish([(cursor.task, cursor.n)])

    def _received(self) -> tuple[dict[Cursor, list[Blocks]], list[_Unit], Exception | None]:
        """Return the blocks of finished units, the units to submit again, and an error or None."""
        arrived: dict[Cursor, list[Blocks]] = {}
        lost: list[_Unit] = []
        trouble = None
        for future in self._finished():
            if (unit := self._pending.pop(future, None)) is None:  # cancelled
                continue
            try:
                blocks, seconds = future.result()
            except NotBegunError:
                continue
            except (CancelledError, Exception) as error:
                if _is_lost(error) and unit.attempt < ATTEMPTS:
                    lost.append(unit._replace(attempt=unit.attempt + 1))
                elif trouble is None:
                    trouble = _explained(error, unit)
                    trouble.__cause__ = error
            else:
                unit.cursor.timed(len(blocks), seconds)
                self._seconds += seconds
                self._cost += (unit.end - unit.first) * unit.cursor.task.cost
                arrived.setdefault(unit.cursor, []).append(blocks)
        return arrived, lost, trouble

    def _finished(self) -> list[Future[Counted]]:
        """Wait for at most `POLL_SECONDS`, and return the futures of the finished units."""
        if not self._pending:
            if self._elsewhere:
                time.sleep(POLL_SECONDS)
            return []
        try:
            first = self._arrived.get(timeout=POLL_SECONDS)
        except Empty:
            return []
        return [first, *(self._arrived.get() for _ in range(self._arrived.qsize()))]

    def _next_units(self, seconds: float, submitted: int) -> list[_Unit]:
        """Return units of about `seconds` each; one is queued per running one, so no worker idles.

        More units are queued if they are small, so that a transaction stores several of them.
        """
        again, self._elsewhere = self._elsewhere, []
        units = [mine for unit in again for mine in self._claimed(unit)]
        workers = self._workers.count
        work = sum(map(self._expected, self._pending.values()))
        while seconds > 0:
            queued = len(self._pending) + submitted + len(units)
            if queued >= 2 * workers and (
                work >= min(seconds, QUEUE_SECONDS) * workers or queued >= QUEUE_UNITS * workers
            ):
                break
            if (unit := self._next_unit(seconds, workers)) is None:
                break
            units += self._claimed(unit)
            work += self._expected(unit)
        return units

    def _expected(self, unit: _Unit) -> float:
        """Return the expected seconds of a unit, by relative cost; infinity if unknown."""
        if not self._cost:
            return math.inf
        return (unit.end - unit.first) * unit.cursor.task.cost * self._seconds / self._cost

    def _next_unit(self, seconds: float, workers: int) -> _Unit | None:
        """Return the next unit, of the first network that has samples to submit."""
        self._begun = [cursor for cursor in self._begun if not cursor.is_sent]
        for cursor in self._begun:
            if (unit := cursor.next_unit(seconds, workers)) is not None:
                return _Unit(cursor, *unit)
        for cursor in self._later:
            if (unit := cursor.next_unit(seconds, workers)) is not None:
                self._begun.append(cursor)
                return _Unit(cursor, *unit)
        for cursor in self._begun:
            if (unit := cursor.next_unit(seconds, workers, idle=True)) is not None:
                return _Unit(cursor, *unit)
        return None

    def _claimed(self, unit: _Unit) -> Iterator[_Unit]:
        """Yield the parts of a unit to simulate: neither in the store nor claimed by others."""
        store, cursor, position = self._store, unit.cursor, unit.first
        if store is None:
            yield unit
            return
        while position < unit.end and not cursor.is_done:
            if store.holds(cursor.task, position):
                held = next(store.blocks(cursor.task, position, unit.end), None)
                if held is not None and (usable := cursor.usable(held)) is not None:
                    self._take(cursor, usable)
                    position = usable.end
                    continue
            stop, mine = store.claim(cursor.task, position, unit.end)
            part = unit._replace(first=position, end=stop)
            if mine:
                yield part
            else:
                self._elsewhere.append(part)
            position = stop

    def _submit(self, units: Iterable[_Unit]) -> None:
        for unit in units:
            try:
                future = self._workers.submit(
                    unit.cursor.task, self._data, unit.first, unit.end, again=unit.attempt > 1
                )
            except RuntimeError:  # the executor has ended, but units may have finished
                arrived, *_ = self._received()
                with self._transaction():
                    self._keep(arrived)
                raise
            self._pending[future] = unit
            future.add_done_callback(self._arrived.put)

    def _cancel_queued(self) -> None:
        """Cancel the units that no worker has begun."""
        self._workers.begin_no_more()
        for future in [future for future in self._pending if future.cancel()]:
            del self._pending[future]


def _consecutive(parts: list[Blocks]) -> list[Blocks]:
    """Return the blocks sorted, with consecutive ones joined."""
    parts = sorted(parts, key=lambda blocks: int(blocks.first[0]))
    cuts = [i for i, (a, b) in enumerate(pairwise(parts), 1) if a.end != b.first[0]]
    return [Blocks.join(parts[i:j]) for i, j in pairwise([0, *cuts, len(parts)])]


def _is_lost(error: BaseException) -> bool:
    """Return whether a unit failed because its worker was lost, and others may run it."""
    return isinstance(error, (CancelledError, DataMissingError)) or type(error).__name__ in (
        "KilledWorker",
        "CommClosedError",
        "FutureCancelledError",
    )


def _explained(error: BaseException, unit: _Unit) -> Exception:
    """Return an error that names the unit."""
    if _is_lost(error) or isinstance(error, BrokenExecutor):
        return RuntimeError(
            f"workers died at {unit} ({type(error).__name__}): make a new executor and call "
            "again; with a store, the study continues from its finished blocks"
        )
    for kind in (MemoryError, ValueError, TypeError, OSError):
        if isinstance(error, kind):
            return kind(f"{error} (at {unit})")
    return RuntimeError(f"{type(error).__name__}: {error} (at {unit})")
