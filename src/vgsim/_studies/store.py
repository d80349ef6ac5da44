"""A study's store: one SQLite file of tasks, their counted blocks, and the runs that drew them."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from itertools import islice
from typing import Any

from vgsim._checks import INDICES
from vgsim._engine.run import provenance
from vgsim._engine.settings import foreign_stream
from vgsim._studies.blocks import BLOCK, Blocks
from vgsim._studies.open_store import ALL, Described, OpenStore
from vgsim._studies.precision import Precision
from vgsim._studies.store_file import StoreFile, checksum, local_path
from vgsim._studies.store_rows import joined, labels, packed, task_row, unpacked
from vgsim._studies.task import Task

__all__ = ["Reader", "Store"]

CHUNK = 4096  # largest number of blocks read at a time
CHUNK_COUNTS = 2**16  # and of their rows of counts
SEEN_SECONDS = 10.0  # interval at which an active run updates its column `seen`


COLUMNS = ("task", "labels", "cost", "checksum", "max_samples", "rules")
GIVEN = ", ".join(f"excluded.{name}" for name in COLUMNS)
ENTER = f"""INSERT INTO tasks (digest, {", ".join(COLUMNS)}) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (digest) DO UPDATE SET ({", ".join(COLUMNS)}, finished) = ({GIVEN}, NULL)
WHERE ({", ".join(COLUMNS)}) IS NOT ({GIVEN})"""


class Reader(OpenStore):
    """A store opened for reading; other processes may write to it meanwhile.

    Parameters
    ----------
    path : path-like
    whole : bool, default True
        Whether to check all pages for damage first, which reads the whole file. They are not
        checked while other processes write to the store.

    Attributes
    ----------
    path : Path
    damaged : list of (what, why)
        The parts found damaged so far, which are not used.
    left_out : set of (int, int)
        The damaged blocks: id of the task and first sample, -1 for all blocks of the task.

    Raises
    ------
    TypeError, ValueError
        If `path` is not a path, or the file is not a store, has another format, has samples of
        another stream version, or cannot be read because of damage.
    OSError
        If the file does not exist or cannot be read.

    Examples
    --------
    >>> import tempfile
    >>> import vgsim
    >>> from vgsim._studies.store import Reader
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = f"{folder}/study.sqlite"
    ...     study = vgsim.collect([vgsim.MLP(5, 8)], max_samples=3000, store=path)
    ...     with Reader(path) as store:
    ...         for task in store.tasks():
    ...             print(task.network, *store.blocks(task))
    MLP(depth=5, width=8, init='glorot_normal') <Blocks: 3, samples 0 to 2999>
    """

    def __init__(self, path: str | os.PathLike[str], whole: bool = True) -> None:
        self._open(StoreFile(local_path(path, "path")), whole)

    def _open(self, file: StoreFile, whole: bool, write: bool = False) -> None:
        super()._open(file, whole, write)
        try:
            self._check_stream()
        except BaseException:
            file.close()
            raise

    def tasks(self) -> Iterator[Task]:
        """Yield the tasks, in the order in which they were entered."""
        last = 0
        self.file.restore_custom_tables()
        while rows := self.file.all(
            "SELECT id, digest, task, labels, cost, checksum FROM tasks WHERE id > ? "
            f"ORDER BY id LIMIT {CHUNK}",
            last,
        ):
            last = rows[-1][0]
            for key, *columns, seal in rows:
                try:
                    if seal != checksum(*columns):
                        raise ValueError
                    task = Task.from_dict(json.loads(columns[1]))
                    if task.digest != columns[0]:
                        raise ValueError
                except (ArithmeticError, LookupError, RecursionError, TypeError, ValueError):
                    self.left_out.add((key, ALL))
                    self._note(f"task {key}", "its description was altered")
                else:
                    yield task

    def _check_stream(self) -> None:
        """Raise ValueError if the store has samples of another stream version."""
        for made_by in self.provenance:
            if reason := foreign_stream(made_by):
                raise ValueError(f"{self.path} {reason}")

    def check_blocks(self) -> None:
        """Read all blocks, so that `left_out` has all damaged ones."""
        self.left_out.clear()
        self._check_owners()
        for task in self.tasks():
            for _ in self.blocks(task):
                pass

    def blocks(self, task: Task, first: int = 0, stop: int = INDICES) -> Iterator[Blocks]:
        """Yield the blocks of `task` that begin at `first` … `stop` - 1, up to the first gap.

        Each `Blocks` begins at the end of the previous one. A damaged block is a gap. Blocks after
        the first gap are checked as well.
        """
        key = self._key(task)
        chunk = max(1, min(CHUNK, CHUNK_COUNTS // (len(task.layers) * len(task.thresholds))))
        end, broken = first, False
        while True:
            with self.file.snapshot():
                rows = self.file.all(
                    "SELECT first, count, checksum, payload FROM blocks WHERE task = ? "
                    f"AND first >= ? AND first < ? ORDER BY first LIMIT {chunk}",
                    key,
                    first,
                    stop,
                )
                if not rows:
                    return
                counts = self._counts(key, rows[0][0], rows[-1][0])
            sound: list[dict[str, Any]] = []
            for row in rows:
                try:
                    columns = unpacked(task, row, counts.get(row[0], []))
                except (ArithmeticError, TypeError, ValueError) as error:
                    self._leave_out(task, key, row, str(error))
                    broken = True
                    continue
                broken |= row[0] != end
                if not broken:
                    sound.append(columns)
                    end += row[1]
            if sound:
                try:
                    yield joined(task, sound)
                except ValueError as error:  # impossible counts with a matching checksum
                    for row in rows:
                        self._leave_out(task, key, row, str(error))
                    broken = True
            first = rows[-1][0] + 1

    def holds(self, task: Task, first: int) -> bool:
        """Return whether the store has a block, sound or not, that begins at sample `first`."""
        row = self._key(task), first
        return bool(self.file.all("SELECT 1 FROM blocks WHERE (task, first) = (?, ?)", *row))

    def _leave_out(self, task: Task, key: int, row: Sequence[Any], why: str) -> None:
        """Record a damaged block."""
        self.left_out.add((key, row[0]))
        self._note(f"samples {row[0]} to {row[0] + row[1] - 1} of {task.network!r}", why)

    def _counts(self, key: int, first: int, last: int) -> dict[int, list[tuple[Any, ...]]]:
        """Return the rows of counts of a task's blocks, by first sample."""
        found: dict[int, list[tuple[Any, ...]]] = {}
        for row in self.file.all(
            "SELECT first, layer, threshold, n, vanishing, exploding, dead FROM counts "
            "WHERE task = ? AND first BETWEEN ? AND ? ORDER BY first, layer, threshold",
            key,
            first,
            last,
        ):
            found.setdefault(row[0], []).append(row[1:])
        return found


class Store(Reader):
    """A store opened for appending. Several processes may use it, each from one thread.

    Parameters
    ----------
    path : path-like
        Created with its folders if it does not exist.
    made_by : mapping of str, optional
        The provenance of the blocks that are written.

    Raises
    ------
    TypeError, ValueError, OSError
        As for `Reader`.

    Notes
    -----
    When a transaction ends, it is on the disk: its journal and the file are flushed, and so is the
    folder after the journal is removed (synchronous = EXTRA). A killed process or a power failure
    loses only the blocks that were not yet written.

    Examples
    --------
    >>> import tempfile
    >>> import vgsim
    >>> from vgsim._studies.store import Store
    >>> from vgsim._studies.task import Task
    >>> from vgsim._studies.workers import run_unit
    >>> task = Task(vgsim.MLP(5, 8))
    >>> with tempfile.TemporaryDirectory() as folder, Store(f"{folder}/study.sqlite") as store:
    ...     store.add([task], max_samples=3000)
    ...     with store.transaction():
    ...         store.write(task, run_unit(task, None, 0, 2000, 1)[0])
    ...     list(store.blocks(task))
    [<Blocks: 2, samples 0 to 1999>]
    """

    def __init__(
        self, path: str | os.PathLike[str], made_by: Mapping[str, str] | None = None
    ) -> None:
        self._ids: dict[str, int] = {}  # of tasks, by digest
        self._at_work: list[int] | None = None  # other active runs, read once per transaction
        self._seen = time.time()  # of the last update of the column `seen`
        self._made_by = made_by or provenance() | {"executor": "threads"}
        self._open(StoreFile(local_path(path), create=True), whole=True, write=True)
        try:
            if self.left_out:
                with self.transaction():
                    self.drop_damaged()
        except BaseException:
            super().close()
            raise

    def close(self) -> None:
        """End the run and close the file; no effect if it is closed."""
        if self._run:
            with suppress(OSError, ValueError):
                self._end_run()
        super().close()

    def _end_run(self) -> None:
        with self.file.transaction():
            self.file.all("DELETE FROM claims WHERE run = ?", self._run)
            self.file.end_run(self._run)
        self._run = 0

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make the statements in the ``with`` block atomic: see `StoreFile.transaction`."""
        self._at_work = None
        with self.file.transaction():
            yield
            if (now := time.time()) - self._seen > SEEN_SECONDS:
                self.file.all("UPDATE runs SET seen = ? WHERE id = ?", now, self._run)
                self._seen = now

    def add(
        self,
        tasks: Iterable[Task],
        max_samples: int | None = None,
        rules: Iterable[Precision] = (),
    ) -> None:
        """Enter tasks and the target of the study; existing samples of the tasks stay."""
        target = max_samples, json.dumps([asdict(rule) for rule in rules])
        left = iter(tasks)
        while some := list(islice(left, CHUNK)):
            shown = [labels(task) for task in some]
            rows = [(*task_row(*one), *target) for one in zip(some, shown, strict=True)]
            with self.transaction():
                if not self._run:
                    self._seen = time.time()
                    self._run = self.file.begin_run(self._made_by)
                self._check_tasks([row[0] for row in rows])
                self.file.many(ENTER, rows)
                self.file.keep_custom_tables(task.json for task in some)
                self.file.show_labels(dict.fromkeys(name for own in shown for name in own))

    def _check_tasks(self, digests: Sequence[str]) -> None:
        """Warn of tasks whose descriptions were altered; the caller enters them again."""
        for key, *columns, seal in self.file.all(
            "SELECT id, digest, task, labels, cost, checksum FROM tasks "
            f"WHERE digest IN ({', '.join('?' * len(digests))})",
            *digests,
        ):
            if seal != checksum(*columns):
                self._note(f"task {key}", "its description was altered")

    def drop_damaged(self) -> None:
        """Delete the damaged blocks and tasks; to be called in a transaction."""
        for key, first in self.left_out:
            where, these = (
                ("task = ?", (key,)) if first == ALL else ("(task, first) = (?, ?)", (key, first))
            )
            for table in ("blocks", "counts"):
                self.file.all(f"DELETE FROM {table} WHERE {where}", *these)
            if first == ALL:
                self.file.all("DELETE FROM tasks WHERE id = ?", key)
        self.left_out.clear()

    def finish(self, tasks: Iterable[tuple[Task, int]]) -> None:
        """Mark tasks as finished, with their numbers of samples."""
        self.file.many(
            "UPDATE tasks SET finished = ?2 WHERE digest = ?1 AND finished IS NOT ?2",
            [(task.digest, n) for task, n in tasks],
        )

    def claim(self, task: Task, first: int, end: int) -> tuple[int, bool]:
        """Claim the samples from `first` on for this run, unless another run has claimed them.

        Returns
        -------
        stop : int
            End of the claim: `end`, or the next sample that is claimed or in the store.
        mine : bool
            False if another run has claimed the samples `first` … `stop` - 1.
        """
        key = self._key(task)
        if self._at_work is None:
            self._at_work = self.file.runs_at_work(self._run)
        for theirs, until in self.file.all(
            'SELECT first, "end" FROM claims WHERE task = ? AND first < ? AND "end" > ? '
            f"AND run IN ({', '.join(map(str, self._at_work))}) "
            f"AND first % {BLOCK} = 0 AND typeof(\"end\") = 'integer' ORDER BY first",
            key,
            end,
            first,
        ):
            if until < end:  # a block that they cut short is drawn whole
                until -= until % BLOCK
            if theirs <= first < until:
                return min(until, end), False
            if first < theirs < until:
                end = theirs
                break
        for (there,) in self.file.all(
            "SELECT first FROM blocks WHERE task = ? AND first > ? AND first < ? "
            "ORDER BY first LIMIT 1",
            key,
            first,
            end,
        ):
            end = there
        claim = key, first, end, self._run
        self.file.all("INSERT OR REPLACE INTO claims VALUES (?, ?, ?, ?)", *claim)
        return end, True

    def write(self, task: Task, blocks: Blocks) -> None:
        """Enter blocks of a task, in a transaction; existing blocks of equal or more samples stay.

        Raises
        ------
        ValueError
            If `task` was not added, or the blocks have other layers or thresholds, or do not begin
            at a multiple of 1,000 samples.
        """
        if not (key := self._key(task)):
            raise ValueError(f"{self.path} has no such task, add it first: {task}")
        given = tuple(blocks.layers.tolist()), blocks.thresholds
        if given != (task.layers, task.thresholds):
            raise ValueError(
                f"blocks must be of the task's layers {task.layers} and thresholds "
                f"{task.thresholds}, got {given[0]} and {given[1]}"
            )
        if blocks.first[0] % BLOCK:
            raise ValueError(
                f"blocks must begin at a multiple of {BLOCK:,} samples, got {blocks.first[0]:,}"
            )
        span = key, int(blocks.first[0]), int(blocks.end)
        within = "task = ? AND first >= ? AND first < ?"
        there = dict(self.file.all(f"SELECT first, count FROM blocks WHERE {within}", *span))
        rows, counts, samples = [], [], 0
        for first, count, seal, payload, counted in packed(task, blocks):
            if there.get(first, 0) >= count and self._is_sound(task, first):
                continue
            rows.append((key, first, count, self._run, seal, payload))
            counts += [(key, first, *row) for row in counted]
            samples += count
        replaced = [row[:2] for row in rows]
        for table in ("blocks", "counts"):
            self.file.many(f"DELETE FROM {table} WHERE (task, first) = (?, ?)", replaced)
        self.file.many("INSERT INTO blocks VALUES (?, ?, ?, ?, ?, ?)", rows)
        self.file.many("INSERT INTO counts VALUES (?, ?, ?, ?, ?, ?, ?, ?)", counts)
        self.file.all(
            'DELETE FROM claims WHERE task = ? AND first >= ? AND "end" <= ? AND run = ?',
            *span,
            self._run,
        )
        self.file.all(
            "UPDATE runs SET seen = ?, samples = samples + ?, work = work + ? WHERE id = ?",
            time.time(),
            samples,
            samples * task.cost,
            self._run,
        )
        self.left_out -= set(replaced)

    def _is_sound(self, task: Task, first: int) -> bool:
        """Return whether an existing block is sound; another process may have replaced it."""
        damaged = (self._key(task), first) in self.left_out
        return not damaged or any(True for _ in self.blocks(task, first, first + 1))

    def _key(self, task: Described) -> int:
        """Return the id of a task, which never changes; 0 if the store does not have it."""
        if task.digest not in self._ids and (key := super()._key(task)):
            self._ids[task.digest] = key
        return self._ids.get(task.digest, 0)
