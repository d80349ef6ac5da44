"""The SQLite file of a store: its tables, its transactions and the runs that write to it."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import time
import uuid
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from errno import EACCES, EAGAIN, EIO, ENOENT, ENOSPC, EROFS
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from vgsim._checks import brief, type_error, value_error
from vgsim._networks.custom_table import CustomTable, kept, tables_in
from vgsim._networks.description import Description
from vgsim._studies.store_schema import CUSTOM_TABLES, SCHEMAS, STUDY, Schema, copy_readable

__all__ = ["StoreFile", "checksum", "local_path"]

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
    schema : Schema
        The kind of store that it must be.

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

    def __init__(self, path: Path, create: bool = False, schema: Schema = STUDY) -> None:
        self.path = path
        self.schema = schema
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
                        _make_tables(self._connection, self.schema)
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
        """Raise ValueError if the file is not a store of this kind and format version."""
        ((application,),), ((version,),) = (
            self.all(f"PRAGMA {name}") for name in ("application_id", "user_version")
        )
        if application != self.schema.application:
            of = next((one.what for one in SCHEMAS if one.application == application), "")
            what = f"{of}, not {self.schema.what}" if of else f"not {self.schema.what}"
            raise ValueError(f"{self.path} is {what}: use another path")
        if version != self.schema.version:
            known = self.schema.version
            raise ValueError(
                f"{self.path} has format version {version}, this vgsim reads version {known}: "
                "use the vgsim that made it"
            )
        found = self.all("SELECT name, sql FROM sqlite_master WHERE type IN ('table', 'index')")
        ours = {
            **self.schema.tables,
            **self.schema.indexes,
        }  # further tables and indexes are allowed
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
        """Add missing columns to the view, for labels of tasks."""
        with self._refusing():
            _show_labels(self._connection, self.schema, names)

    def keep_custom_tables(self, descriptions: Iterable[str]) -> None:
        """Store the tables of custom activations and laws in descriptions of tasks."""
        found = {key: made for text in descriptions for key, made in tables_in(text).items()}
        if found:
            self.all(CUSTOM_TABLES)
            rows = [(key, made.content) for key, made in found.items()]
            self.many("INSERT OR REPLACE INTO custom_tables VALUES (?, ?)", rows)

    def restore_custom_tables(self) -> None:
        """Make the stored tables known to this process, except damaged ones."""
        if not self.all("SELECT 1 FROM sqlite_master WHERE name = 'custom_tables'"):
            return
        for key, content in self.all("SELECT sha256, content FROM custom_tables"):
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
            _make_tables(self._connection, self.schema)
            copy_readable(damaged, self._connection, self.schema)
            if write:
                self._connection.backup(damaged)
                self._connection.close()
            damaged.close()
        self._salvaged = not write
        if write:
            self._connect("rw")

    def begin_run(self, made_by: Mapping[str, str]) -> int:
        """Enter a run of this process with the provenance of what it writes; return its id."""
        text, now = json.dumps(made_by), time.time()
        ((run,),) = self.all("SELECT coalesce(max(id), 0) + 1 FROM runs")
        key, where = uuid.uuid4().hex, (os.uname().nodename, os.getpid())
        row = run, key, text, checksum(key, text), *where, now, now
        self.all("INSERT INTO runs VALUES (?, ?, ?, ?, ?, ?, ?, ?, NULL, 0, 0)", *row)
        return int(run)

    def end_run(self, run: int) -> None:
        """Enter the end of a run."""
        self.all("UPDATE runs SET seen = ?1, ended = ?1 WHERE id = ?2", time.time(), run)

    def runs_at_work(self, but: int = 0, within: float = LOST_SECONDS) -> list[int]:
        """Return the ids of runs, except `but`, that wrote recently and whose process exists.

        Recently: `within` so many seconds.
        """
        host = os.uname().nodename
        return [
            key
            for key, where, pid in self.all(
                "SELECT id, host, pid FROM runs WHERE id != ? AND ended IS NULL "
                "AND abs(seen - ?) < ?",
                but,
                time.time(),
                within,
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
                    f"{self.path} is not {self.schema.what}: use another path"
                ) from error
            raise ValueError(f"{self.path} is damaged beyond reading: {words}") from error


def _make_tables(connection: sqlite3.Connection, schema: Schema) -> None:
    """Create the tables and the view in an empty database."""
    for statement in (*schema.tables.values(), *schema.indexes.values()):
        connection.execute(statement)
    fields = [name for network in Description.networks.values() for name in network._fields]
    _show_labels(connection, schema, [*schema.first_labels, *fields])
    connection.execute(f"PRAGMA application_id = {schema.application}")
    connection.execute(f"PRAGMA user_version = {schema.version}")


def _show_labels(connection: sqlite3.Connection, schema: Schema, names: Iterable[str]) -> None:
    """Add missing columns to the view, for labels of tasks."""
    try:
        shown = [row[1] for row in connection.execute(f"PRAGMA table_info({schema.view})")]
    except sqlite3.OperationalError:  # the text of the view was altered
        shown = []
    shown = [name for name in shown if name.isidentifier()]
    measured = len(schema.measured)
    labels = list(dict.fromkeys([*shown[:-measured], *names]))
    if len(labels) > len(shown) - measured:
        columns = (f"json_extract(labels, '$.{name}') AS {name}" for name in labels)
        connection.execute(f"DROP VIEW IF EXISTS {schema.view}")
        connection.execute(schema.view_sql.format(labels=",\n  ".join(columns)))


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
