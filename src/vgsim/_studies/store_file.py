"""The SQLite file of a store: its tables, its transactions, and the rows of a block."""

from __future__ import annotations

import hashlib
import json
import math
import os
import sqlite3
import time
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from errno import EACCES, EAGAIN, EIO, ENOENT, ENOSPC, EROFS
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vgsim._checks import brief, type_error, value_error
from vgsim._networks.custom_table import CustomTable, kept, tables_in
from vgsim._networks.description import Description
from vgsim._results.events import LOG10_RANGE
from vgsim._studies.blocks import LIMBS, SQUARE_LIMBS, Blocks
from vgsim._studies.store_schema import (
    ACTIVATIONS,
    APPLICATION,
    FORMAT,
    INDEXES,
    MEASURED,
    TABLES,
    VIEW,
    copy_readable,
)
from vgsim._studies.task import Task

__all__ = [
    "StoreFile",
    "checksum",
    "joined",
    "labels",
    "local_path",
    "packed",
    "task_row",
    "unpacked",
]

BUSY_SECONDS = 2.0  # wait for a lock inside SQLite, where Ctrl-C has no effect
PATIENCE_SECONDS = 3600.0  # wait for a lock of another program, in all
LOST_SECONDS = 60.0  # after which a run without an update counts as lost
WARN_SECONDS = 30.0  # wait after which a warning is given
TROUBLES = {  # message of SQLite: error number and advice
    "database or disk is full": (ENOSPC, "no space is left: free some; stored blocks are safe"),
    "attempt to write a readonly database": (EROFS, "it cannot be written: use another path"),
    "unable to open database file": (
        EACCES,
        "it cannot be opened: check its name and permissions",
    ),
    "disk I/O error": (EIO, "it cannot be read or written; stored blocks are safe"),
    "database is locked": (EAGAIN, "another program keeps it locked: close that program first"),
}


class StoreFile:
    """The open SQLite file of a store.

    Parameters
    ----------
    path : Path
        A path that `local_path` returned.
    create : bool, default False
        Whether to create the file, with its folders, if it does not exist or is empty.

    Raises
    ------
    ValueError
        If the file is not a store, has another format, or cannot be read because of damage.
    OSError
        If the file does not exist, or cannot be read or created.

    Examples
    --------
    >>> import tempfile
    >>> from vgsim._studies.store_file import StoreFile, local_path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = StoreFile(local_path(f"{folder}/study.sqlite"), create=True)
    ...     print(file.all("SELECT count(*) FROM tasks"), file.damage())
    ...     file.close()
    [(0,)] None
    """

    def __init__(self, path: Path, create: bool = False) -> None:
        self.path = path
        self._process = os.getpid()
        self._salvaged = False  # whether the connection is to a temporary, salvaged database
        if not path.exists() and not create:
            raise FileNotFoundError(ENOENT, "there is no store here", str(path))
        if create:
            path.parent.mkdir(parents=True, exist_ok=True)
        self._connect("rwc" if create else "rw")
        try:
            if self.all("PRAGMA page_count") == [(0,)]:  # new, or its creation was interrupted
                if not create:
                    raise FileNotFoundError(ENOENT, "there is no store here", str(path))
                with self.transaction():
                    if not self.all("SELECT name FROM sqlite_master"):
                        _make_tables(self._connection)
            self._check_format()
        except BaseException:
            self.close()
            raise

    def _connect(self, mode: str) -> None:
        with self._refusing():
            self._connection = sqlite3.connect(
                f"{self.path.absolute().as_uri()}?mode={mode}",
                uri=True,
                timeout=BUSY_SECONDS,
                isolation_level=None,
                check_same_thread=False,
            )
            self._connection.text_factory = lambda data: data.decode("utf-8", "replace")
            for pragma in ("cell_size_check = ON", "synchronous = EXTRA"):
                self._connection.execute(f"PRAGMA {pragma}")

    def _check_format(self) -> None:
        """Raise ValueError if the file is not a store of this format version."""
        ((application,),), ((version,),) = (
            self.all(f"PRAGMA {name}") for name in ("application_id", "user_version")
        )
        if application != APPLICATION:
            raise ValueError(f"{self.path} is not the store of a study: use another path")
        if version != FORMAT:
            raise ValueError(
                f"{self.path} has format version {version}, this vgsim reads version {FORMAT}: "
                "use the vgsim that made it"
            )
        found = self.all("SELECT name, sql FROM sqlite_master WHERE type IN ('table', 'index')")
        ours = {**TABLES, **INDEXES}  # further tables and indexes are allowed
        if not ours.items() <= dict(found).items():
            raise ValueError(f"{self.path} is damaged beyond reading: its tables were altered")

    def close(self) -> None:
        """Close the file; no effect if it is closed."""
        self._connection.close()

    def all(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Run a statement and return all its rows."""
        with self._refusing():
            return self._patiently(statement, *parameters)

    def many(self, statement: str, rows: Iterable[Sequence[object]]) -> None:
        """Run a statement once for each of `rows`."""
        with self._refusing():
            self._connection.executemany(statement, rows)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make the statements in the ``with`` block atomic; other processes wait.

        Raises
        ------
        ValueError
            If the file is closed, or was opened before this process was forked.
        OSError
            If the file cannot be written; it is then unchanged.
        """
        if self._process != os.getpid():
            raise ValueError(f"{self.path} was opened by another process, before a fork")
        with self._refusing():
            self._patiently("BEGIN IMMEDIATE")
            try:
                yield
                self._patiently("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Read the same state of the file in all queries of the ``with`` block."""
        if self._connection.in_transaction:
            yield
            return
        self.all("BEGIN")
        try:
            yield
        finally:
            self.all("ROLLBACK")

    def _patiently(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Execute a statement; wait for locks in short steps, so that Ctrl-C works."""
        began, warned = time.monotonic(), False
        while True:
            try:
                return self._connection.execute(statement, parameters).fetchall()
            except sqlite3.OperationalError as error:
                waited = time.monotonic() - began
                if str(error) != "database is locked" or waited > PATIENCE_SECONDS:
                    raise
                if waited > WARN_SECONDS and not warned:
                    warned = True
                    warnings.warn(f"{self.path}: another program keeps it locked", stacklevel=2)

    def show_labels(self, names: Iterable[str]) -> None:
        """Add missing columns to the view "results", for labels of tasks."""
        with self._refusing():
            _show_labels(self._connection, names)

    def keep_activations(self, descriptions: Iterable[str]) -> None:
        """Store the tables of the custom activations in descriptions of tasks."""
        found = {key: made for text in descriptions for key, made in tables_in(text).items()}
        if found:
            self.all(ACTIVATIONS)
            rows = [(key, made.content) for key, made in found.items()]
            self.many("INSERT OR REPLACE INTO activations VALUES (?, ?)", rows)

    def restore_activations(self) -> None:
        """Make the stored custom activations known to this process, except damaged ones."""
        if not self.all("SELECT 1 FROM sqlite_master WHERE name = 'activations'"):
            return
        for key, content in self.all("SELECT sha256, content FROM activations"):
            try:
                table = CustomTable.from_content(bytes(content))
            except (TypeError, ValueError):
                continue
            if table.sha256 == key:
                kept(table)

    def damage(self) -> str | None:
        """Read all pages and return the damage that SQLite finds; None if there is none."""
        with self._refusing():
            try:
                rows = self._connection.execute("PRAGMA integrity_check(3)").fetchall()
            except sqlite3.OperationalError:
                raise
            except sqlite3.DatabaseError as error:
                return str(error)
        found = "; ".join(" ".join(str(line).split()) for (line,) in rows)
        return None if found == "ok" else found

    def salvage(self, write: bool) -> None:
        """Keep the readable rows only; `write` them to the file in one transaction."""
        damaged = self._connection
        with self._refusing():
            if write:  # other processes wait until the connection is closed
                damaged.execute("PRAGMA locking_mode = EXCLUSIVE")
                self._patiently("BEGIN EXCLUSIVE")
                damaged.execute("COMMIT")
            self._connection = sqlite3.connect("", isolation_level=None, check_same_thread=False)
            _make_tables(self._connection)
            copy_readable(damaged, self._connection)
            if write:
                self._connection.backup(damaged)
                self._connection.close()
            damaged.close()
        self._salvaged = not write
        if write:
            self._connect("rw")

    def runs_at_work(self, but: int = 0) -> list[int]:
        """Return the ids of runs, except `but`, that wrote recently and whose process exists."""
        host = os.uname().nodename
        return [
            key
            for key, where, pid in self.all(
                "SELECT id, host, pid FROM runs WHERE id != ? AND ended IS NULL "
                "AND abs(seen - ?) < ?",
                but,
                time.time(),
                LOST_SECONDS,
            )
            if where != host or _exists(pid)
        ]

    @contextmanager
    def attachable(self) -> Iterator[Path]:
        """Yield the path of a file with these rows, for ATTACH; a copy if they were salvaged."""
        if not self._salvaged:
            yield self.path
            return
        with TemporaryDirectory() as folder:
            copy = Path(folder, "salvaged.sqlite")
            self.all("VACUUM INTO ?", str(copy))
            yield copy

    @contextmanager
    def _refusing(self) -> Iterator[None]:
        """Turn errors of SQLite into messages that name the file."""
        try:
            yield
        except sqlite3.ProgrammingError:
            raise ValueError(f"{self.path} is closed") from None
        except UnicodeDecodeError as error:  # in a message of SQLite that quotes damaged text
            raise ValueError(f"{self.path} is damaged beyond reading: no text") from error
        except sqlite3.Error as error:
            words = next(iter(str(error).splitlines()), "")  # later lines quote the text of a table
            if words in TROUBLES or isinstance(error, sqlite3.OperationalError):
                number, sentence = TROUBLES.get(words, (EIO, "it cannot be used"))
                raise OSError(number, f"{sentence} ({words})", str(self.path)) from error
            if "not a database" in words:
                raise ValueError(
                    f"{self.path} is not the store of a study: use another path"
                ) from error
            raise ValueError(f"{self.path} is damaged beyond reading: {words}") from error


def _make_tables(connection: sqlite3.Connection) -> None:
    """Create the tables and the view in an empty database."""
    for statement in (*TABLES.values(), *INDEXES.values()):
        connection.execute(statement)
    fields = [name for network in Description.networks.values() for name in network._fields]
    _show_labels(connection, ["kind", "depth", "width", "widths", *fields])
    connection.execute(f"PRAGMA application_id = {APPLICATION}")
    connection.execute(f"PRAGMA user_version = {FORMAT}")


def _show_labels(connection: sqlite3.Connection, names: Iterable[str]) -> None:
    """Add missing columns to the view "results", for labels of tasks."""
    try:
        shown = [row[1] for row in connection.execute("PRAGMA table_info(results)")]
    except sqlite3.OperationalError:  # the text of the view was altered
        shown = []
    shown = [name for name in shown if name.isidentifier()]
    labels = list(dict.fromkeys([*shown[: -len(MEASURED)], *names]))
    if len(labels) > len(shown) - len(MEASURED):
        columns = (f"json_extract(labels, '$.{name}') AS {name}" for name in labels)
        connection.execute("DROP VIEW IF EXISTS results")
        connection.execute(VIEW.format(labels=",\n  ".join(columns)))


def _exists(pid: int) -> bool:
    """Return whether this machine has a process with the given id."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def local_path(path: object, argument: str = "store") -> Path:
    """Return the path of a store; raise if it cannot be a file of this machine.

    Examples
    --------
    >>> from vgsim._studies.store_file import local_path
    >>> local_path("s3://bucket/study")
    Traceback (most recent call last):
    ValueError: store must name a file of this machine, got 's3://bucket/study'
    """
    if not isinstance(path, (str, os.PathLike)):
        raise type_error(argument, f"must be a string or a path, got {brief(path)}")
    text = os.fsdecode(path)
    if not text or "\0" in text or "://" in text or not _is_encodable(text):
        raise value_error(argument, f"must name a file of this machine, got {text!r}")
    found = Path(text)
    if found.is_dir():
        raise value_error(
            argument,
            f"must name a file, got the folder {text!r}; stores of earlier versions of vgsim, "
            "which were folders, cannot be read",
        )
    if found.exists() and not found.is_file():
        raise value_error(argument, f"must name a regular file, got {text!r}")
    return found


def _is_encodable(text: str) -> bool:
    """Return whether the file system can have a file of this name."""
    try:
        os.fsencode(text)
    except UnicodeEncodeError:
        return False
    return True


def checksum(*columns: object) -> bytes:
    """Return the SHA-256 of some columns of a row."""
    return hashlib.sha256(repr(columns).encode()).digest()


def labels(task: Task) -> dict[str, Any]:
    """Return the labels of a task for the view "results"; seeds beyond 64 bits are text."""
    known = {name: value for name, value in task.columns.items() if value is not None}
    return known | {"seed": task.seed if task.seed < 2**63 else str(task.seed)}


def task_row(task: Task, shown: dict[str, Any]) -> tuple[str, str, str, float, bytes]:
    """Return digest, description, labels, cost and checksum of a task with the labels `shown`."""
    columns = task.digest, task.json, json.dumps(shown), task.cost
    return (*columns, checksum(*columns))


def packed(
    task: Task, blocks: Blocks
) -> Iterator[tuple[int, int, bytes, bytes, list[tuple[Any, ...]]]]:
    """Yield first, count, checksum, payload and the rows of counts of each block.

    The payload is one byte w, and then little-endian integers: underflow, overflow, entries and
    counts of 2 bytes, sums and squares of 8 bytes, and bins of w bytes.
    """
    places = [(layer, threshold) for layer in task.layers for threshold in task.thresholds]
    past = np.concatenate([[0], np.cumsum(blocks.entries.sum(axis=1))])
    t = len(task.thresholds)
    for i, (first, count) in enumerate(
        zip(blocks.first.tolist(), blocks.count.tolist(), strict=True)
    ):
        occupied = slice(past[i], past[i + 1])
        bins = blocks.bins[occupied]
        width = next(w for w in (2, 4, 8) if w == 8 or np.all(np.abs(bins) < 2 ** (8 * w - 1)))
        short = blocks.underflow[i], blocks.overflow[i], blocks.entries[i], blocks.counts[occupied]
        payload = b"".join(
            [
                bytes([width]),
                *(part.astype("<i2").tobytes() for part in short),
                *(part.astype("<i8").tobytes() for part in (blocks.sums[i], blocks.squares[i])),
                bins.astype(f"<i{width}").tobytes(),
            ]
        )
        events = blocks.vanishing[i].ravel(), blocks.exploding[i].ravel(), blocks.dead[i].repeat(t)
        counted = [(count, *row) for row in zip(*(part.tolist() for part in events), strict=True)]
        seal = _checksum(task, first, count, payload, counted)
        yield first, count, seal, payload, [(*p, *c) for p, c in zip(places, counted, strict=True)]


def _checksum(
    task: Task, first: int, count: int, payload: bytes, counted: Sequence[tuple[int, ...]]
) -> bytes:
    digest = hashlib.sha256(f"{task.digest} {first} {count} ".encode())
    digest.update(np.array(counted, dtype="<i8").tobytes())
    digest.update(payload)
    return digest.digest()


def unpacked(task: Task, row: tuple[Any, ...], counts: Sequence[tuple[Any, ...]]) -> dict[str, Any]:
    """Return the arrays of one block; raise ValueError if the row is damaged."""
    first, count, seal, payload = row
    k, t = len(task.layers), len(task.thresholds)
    places = [(layer, threshold) for layer in task.layers for threshold in task.thresholds]
    if [place[:2] for place in counts] != places:
        raise ValueError("its rows of counts are missing or altered")
    counted = [tuple(place[2:]) for place in counts]
    if seal != _checksum(task, first, count, bytes(payload), counted):
        raise ValueError("its checksum does not match")
    taken = 1

    def take(width: int, *shape: int) -> NDArray[np.int64]:
        nonlocal taken
        size = math.prod(shape)
        part = np.frombuffer(payload, f"<i{width}", size, taken).astype(np.int64)
        taken += size * width
        return part.reshape(shape)

    formats = len(LOG10_RANGE)
    found = {"first": first, "count": count}
    found |= {"underflow": take(2, k, formats), "overflow": take(2, k, formats)}
    found["entries"] = take(2, k)
    occupied = int(found["entries"].sum())
    found["counts"] = take(2, occupied)
    found |= {"sums": take(8, k, LIMBS), "squares": take(8, k, SQUARE_LIMBS)}
    found["bins"] = take(payload[0], occupied)
    if taken != len(payload) or any(number != count for number, *_ in counted):
        raise ValueError("its payload has another length")
    events = np.array(counted, dtype=np.int64).reshape(k, t, 4)
    found |= {"vanishing": events[..., 1], "exploding": events[..., 2], "dead": events[:, 0, 3]}
    return found


def joined(task: Task, columns: Sequence[dict[str, Any]]) -> Blocks:
    """Return consecutive blocks as one `Blocks`, from the arrays of each."""
    flat = ("bins", "counts")
    return Blocks(
        layers=np.array(task.layers, dtype=np.int64),
        thresholds=task.thresholds,
        **{
            name: (np.concatenate if name in flat else np.array)([part[name] for part in columns])
            for name in columns[0]
        },
    ).checked()
