"""The scheduler of a study: units of work are submitted, pending, and received."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from concurrent.futures import BrokenExecutor, CancelledError, Future
from contextlib import ExitStack
from functools import reduce
from itertools import pairwise
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple

from vgsim._engine.data import Data
from vgsim._engine.progress import Progress, shown
from vgsim._engine.run import provenance
from vgsim._results.samples import merged_provenance
from vgsim._studies.blocks import Blocks
from vgsim._studies.carried import DataMissingError
from vgsim._studies.cursor import Cursor
from vgsim._studies.store import Store
from vgsim._studies.study import Study
from vgsim._studies.workers import Counted, NotBegunError, Workers

__all__ = ["Scheduler"]

POLL_SECONDS = 0.2
UNIT_SECONDS = 2.0  # what a unit of work should take
ATTEMPTS = 3  # at a unit whose worker was lost


class _Unit(NamedTuple):
    """The samples first … end − 1 of a network."""

    cursor: Cursor
    first: int
    end: int
    attempt: int = 1

    def __str__(self) -> str:
        return f"samples {self.first} to {self.end - 1} of {self.cursor.task.network!r}"


class Scheduler:
    """The cursors of a study, and the workers that serve them.

    Parameters
    ----------
    cursors : sequence of Cursor
    data : Data or None
        What the tasks' inputs are drawn from.
    workers : Workers
    max_seconds : float or None
    store : path or None
    progress : bool or callable

    Examples
    --------
    >>> import vgsim
    >>> from vgsim._studies.scheduler import Scheduler
    >>> from vgsim._studies.cursor import Cursor
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
        self._store = store
        self._progress = progress
        self._later = iter(cursors)
        self._begun: list[Cursor] = []  # and not wholly sent
        self._pending: dict[Future[Counted], _Unit] = {}
        self._arrived: SimpleQueue[Future[Counted]] = SimpleQueue()
        self._made_by = provenance() | {"executor": workers.name}

    def study(self) -> Study:
        """Return what counts so far."""
        return Study([cursor.result() for cursor in self._cursors], self._made_by)

    def run(self) -> Generator[None, None, None]:
        """Do the work, with a yield at the beginning and whenever a network has grown."""
        began = time.monotonic()
        deadline = None if self._max_seconds is None else began + self._max_seconds
        with ExitStack() as stack:
            stack.enter_context(self._workers)
            store = None
            if self._store is not None:
                store = stack.enter_context(Store.open(self._store))
                self._begin_with(store)
            show = stack.enter_context(shown(self._progress))
            stack.callback(self._cancel_all)
            show(*self._done())
            seen = began
            yield
            while self._goes_on(deadline, store):
                if self._receive(store):
                    yield
                if self._progress and time.monotonic() - seen >= POLL_SECONDS:
                    seen = time.monotonic()
                    show(*self._done())
            show(*self._done())

    def _done(self) -> tuple[int, int, float, str]:
        """Return how many samples of how many are done, what part of the work, and both in words.

        The total is 0, and the part of the networks that are done, where only rules stop the study.
        """
        cursors = self._cursors
        done, finished = sum(c.n for c in cursors), sum(c.is_done for c in cursors)
        most = [cursor.max_samples for cursor in cursors]
        total, fraction = 0, finished / len(cursors)
        if None not in most:
            total = sum(n or 0 for n in most)
            cost = sum((n or 0) * c.cost for n, c in zip(most, cursors, strict=True))
            fraction = sum(cursor.n * cursor.cost for cursor in cursors) / cost
        of_all = f" of {total:,}" if total else ""
        words = f"{done:,}{of_all} samples, {finished} of {len(cursors)} networks"
        return done, total, fraction, words

    def _begin_with(self, store: Store) -> None:
        """Count what a store holds."""
        store.add([cursor.task for cursor in self._cursors])
        self._made_by = reduce(merged_provenance, store.provenance, self._made_by)
        for cursor in self._cursors:
            if (held := store.blocks(cursor.task)) is not None:
                cursor.begin_with(held)

    def _cancel_all(self) -> None:
        """Cancel every pending unit."""
        for future in list(self._pending):
            future.cancel()
        self._pending.clear()

    def _goes_on(self, deadline: float | None, store: Store | None) -> bool:
        """Submit units until time is up; whether any are pending."""
        seconds = UNIT_SECONDS
        if deadline is not None:
            seconds = min(seconds, (deadline - time.monotonic()) / 2)
        try:
            self._send(seconds)
        except RuntimeError:  # the executor has ended, but units have finished
            if not self._arrived.empty():
                self._receive(store)
            raise
        if seconds <= 0:
            self._cancel_queued()
        return bool(self._pending)

    def _cancel_queued(self) -> None:
        """Cancel the units of work that no worker has begun."""
        self._workers.begin_no_more()
        for future in [future for future in self._pending if future.cancel()]:
            del self._pending[future]

    def _send(self, seconds: float) -> None:
        """Submit units of about so many seconds, one queued for each running: no worker idles."""
        while seconds > 0 and len(self._pending) < 2 * self._workers.count:
            unit = self._next_unit(seconds, self._workers.count)
            if unit is None:
                break
            self._submit(unit)

    def _next_unit(self, seconds: float, workers: int) -> _Unit | None:
        """Return the next samples, of the first network that has any to send."""
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

    def _submit(self, unit: _Unit) -> None:
        again = unit.attempt > 1
        future = self._workers.submit(unit.cursor.task, self._data, unit.first, unit.end, again)
        self._pending[future] = unit
        future.add_done_callback(self._arrived.put)

    def _receive(self, store: Store | None) -> bool:
        """Wait for units, store and count them; whether a network has grown."""
        arrived: dict[Cursor, list[Blocks]] = {}
        lost, trouble = [], None
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
                    trouble = _explained(error, unit), error
            else:
                unit.cursor.timed(len(blocks), seconds)
                arrived.setdefault(unit.cursor, []).append(blocks)
        grown = False
        for cursor, parts in arrived.items():
            for blocks in _runs(parts):
                if store is not None:
                    store.write(cursor.task, blocks)
                grown |= cursor.take(blocks)
        if trouble is not None:
            raise trouble[0] from trouble[1]
        for unit in lost:
            self._submit(unit)
        return grown

    def _finished(self) -> list[Future[Counted]]:
        """Wait a little; return all units that have finished."""
        try:
            first = self._arrived.get(timeout=POLL_SECONDS)
        except Empty:
            return []
        return [first, *(self._arrived.get() for _ in range(self._arrived.qsize()))]


def _runs(parts: list[Blocks]) -> list[Blocks]:
    """Join consecutive blocks, for one file in place of many."""
    parts = sorted(parts, key=lambda blocks: int(blocks.first[0]))
    cuts = [i for i, (a, b) in enumerate(pairwise(parts), 1) if a.end != b.first[0]]
    return [Blocks.join(parts[i:j]) for i, j in pairwise([0, *cuts, len(parts)])]


def _is_lost(error: BaseException) -> bool:
    """Whether the worker is to blame, and not the work, and there are others."""
    return isinstance(error, (CancelledError, DataMissingError)) or type(error).__name__ in (
        "KilledWorker",
        "CommClosedError",
        "FutureCancelledError",
    )


def _explained(error: BaseException, unit: _Unit) -> Exception:
    if _is_lost(error) or isinstance(error, BrokenExecutor):
        return RuntimeError(
            f"workers died at {unit} ({type(error).__name__}): make a new executor and call "
            "again, which goes on from what a store holds"
        )
    for kind in (MemoryError, ValueError, TypeError, OSError):
        if isinstance(error, kind):
            return kind(f"{error} (at {unit})")
    return RuntimeError(f"{type(error).__name__}: {error} (at {unit})")
