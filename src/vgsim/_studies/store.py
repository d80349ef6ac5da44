"""What a store holds: the tasks, and the blocks that sound files give."""

from __future__ import annotations

import errno
import os
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from vgsim._checks import type_error, value_error
from vgsim._engine.run import provenance
from vgsim._engine.settings import STREAM_VERSION
from vgsim._studies import store_disk
from vgsim._studies.blocks import Blocks
from vgsim._studies.store_disk import Files, LocalFiles, Lock, RemoteFiles, is_url
from vgsim._studies.store_format import (
    MANIFEST,
    BlockFile,
    Content,
    NewerFormatError,
    Piece,
    cover,
    folder,
    pack,
    pack_manifest,
    unpack_manifest,
)
from vgsim._studies.task import Task

__all__ = ["Reader", "Store", "merge"]

TASK_FOLDER = re.compile("[0-9a-f]{16}")


class Reader:
    """What a store holds, read without its lock: see `Store.read`."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self._damaged: dict[str, str] = {}
        found = self._read_manifest()
        self._rebuilt = found is None
        self._tasks: dict[str, dict[str, Any]] = found["tasks"] if found else self._found()
        self._provenance: list[dict[str, str]] = found["provenance"] if found else []

    @property
    def tasks(self) -> dict[str, dict[str, Any]]:
        """The tasks, as `Task.to_dict` has them, by their digests."""
        return dict(self._tasks)

    @property
    def provenance(self) -> list[dict[str, str]]:
        """What made the blocks: every set of versions, instruction set and machine once."""
        return list(self._provenance)

    @property
    def damaged(self) -> list[tuple[str, str]]:
        """The files found torn, altered, unreadable or another task's until now, and why.

        None of their samples is used.
        """
        return sorted(self._damaged.items())

    def blocks(self, task: Task) -> Blocks | None:
        """Return the blocks of `task` from its sample 0 as far as sound files reach.

        Returns
        -------
        Blocks or None
            None if sample 0 is in no sound file.

        Raises
        ------
        ValueError
            If a newer version of vgsim wrote a file of this task.
        """
        below, digest = folder(task.digest), task.digest
        files = self._block_files(below)
        held: dict[BlockFile, Blocks] = {}
        while True:
            pieces = cover(files)
            new = [piece.file for piece in pieces if piece.file not in held]
            if not new:
                break
            for file, content in self._contents(below, new, digest):
                if content is None:
                    files.discard(file)
                else:
                    held[file] = content.blocks
        return Blocks.join([_cut(held[piece.file], piece) for piece in pieces]) if pieces else None

    def _check_stream(self) -> None:
        """Refuse to go on with samples that this version would draw otherwise."""
        for task in self._tasks.values():
            if task["stream_version"] != STREAM_VERSION:
                raise ValueError(
                    f"the study {self._files.where} has stream version {task['stream_version']}, "
                    f"this vgsim draws version {STREAM_VERSION}: it can be read, not gone on with; "
                    "use another folder"
                )

    def _block_files(self, below: str) -> set[BlockFile]:
        """Return the files in a task's folder, without those known to be damaged."""
        files = set()
        for name in self._files.names(below):
            if not name.endswith(".npz") or f"{below}/{name}" in self._damaged:
                continue
            file = BlockFile.parse(name)
            if file is None:
                self._note(f"{below}/{name}", "no file of blocks has such a name")
            else:
                files.add(file)
        return files

    def _contents(
        self, below: str, files: Sequence[BlockFile], digest: str | None
    ) -> Iterator[tuple[BlockFile, Content | None]]:
        """Read files of a task: None for what is damaged, which is noted, or gone meanwhile."""
        names = [f"{below}/{file}" for file in files]
        for name, file, data in zip(names, files, self._files.read(names), strict=True):
            content = None
            if isinstance(data, OSError):
                if not isinstance(data, FileNotFoundError):
                    self._note(name, f"unreadable: {data.strerror or data}")
            else:
                try:
                    content = Content.unpack(file, data, digest)
                except NewerFormatError as error:
                    raise ValueError(f"{self._files.where}/{name}: {error}") from None
                except ValueError as error:
                    self._note(name, str(error))
            yield file, content

    def _note(self, name: str, reason: str) -> None:
        """Remember a damaged file, and say it once."""
        if name not in self._damaged:
            self._damaged[name] = reason
            warnings.warn(f"{self._files.where}/{name} is not used: {reason}", stacklevel=2)

    def _read_manifest(self) -> dict[str, Any] | None:
        """Return the manifest; None, with a warning, if there are only blocks to make it from."""
        where = self._files.where
        data = next(iter(self._files.read([MANIFEST])))
        holds_tasks = any(TASK_FOLDER.fullmatch(name) for name in self._files.names("blocks"))
        if isinstance(data, bytes):
            found = unpack_manifest(data, where)
            if found is not None:
                return found
            if not holds_tasks:
                raise ValueError(
                    f"{where}/{MANIFEST} is damaged or another program's, and there are no blocks "
                    "to make it again from: remove it, or use another folder"
                )
            trouble = "damaged"
        elif not isinstance(data, FileNotFoundError | NotADirectoryError):
            raise OSError(data.errno, f"{MANIFEST} cannot be read: {data.strerror or data}", where)
        elif not holds_tasks:
            raise FileNotFoundError(errno.ENOENT, "there is no study here", where)
        else:
            trouble = "missing"
        warnings.warn(
            f"{where}/{MANIFEST} is {trouble}: the tasks are read from their blocks; tasks without "
            "blocks, and what made the blocks, are forgotten",
            stacklevel=2,
        )
        return None

    def _found(self) -> dict[str, dict[str, Any]]:
        """Return the tasks that the files say they are of: the first sound file of each folder."""
        tasks = {}
        for name in filter(TASK_FOLDER.fullmatch, self._files.names("blocks")):
            for file in sorted(self._block_files(f"blocks/{name}")):
                ((_, content),) = self._contents(f"blocks/{name}", [file], None)
                if content is not None and content.digest.startswith(name):
                    tasks[content.digest] = content.task
                    break
        return tasks


def _cut(blocks: Blocks, piece: Piece) -> Blocks:
    """Return the blocks of `piece`, which `blocks` hold among others."""
    first, end = np.searchsorted(blocks.first, (piece.first, piece.end))
    return blocks.head(int(end)).tail(int(end - first))


LOCK = "lock"


class Store(Reader):
    """A study's folder, held by this process alone, used from one thread: see `Store.open`.

    Examples
    --------
    >>> import tempfile
    >>> from vgsim._studies.store import Store
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with Store.open(f"{folder}/depth") as store:
    ...         print(store.tasks)
    ...     Store.read(f"{folder}/depth").damaged
    {}
    []
    """

    def __init__(self, files: LocalFiles, lock: Lock) -> None:
        self._root = files.root
        self._lock = lock
        super().__init__(files)

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Store:
        """Open the store in the folder `path`, or make it; no other process can until `close`.

        What a killed process left is cleaned up, and a manifest that is missing or damaged is
        made again from the files.

        Raises
        ------
        TypeError, ValueError
            If `path` is no path, a URL, a file, a folder with other things in it, or a study of
            another format or stream version.
        OSError
            If the folder cannot be written, or is in use: the message names the process.
        """
        root = _local(path)
        if root.exists() and not root.is_dir():
            raise value_error("store", f"must be a folder, {str(root)!r} is a file")
        files = LocalFiles(root)
        with _writing(root):
            store_disk.make_folder(root)
            task_folders = [
                root / "blocks" / name
                for name in files.names("blocks")
                if TASK_FOLDER.fullmatch(name)
            ]
            new = not task_folders and not (root / MANIFEST).exists()
            if new:
                _check_empty(files)
            lock = Lock(root / LOCK, f"the study {root}")
        try:
            with _writing(root):
                for left in (root, *task_folders):
                    store_disk.sweep_leftovers(left)
                if new and not (root / MANIFEST).exists():
                    store_disk.write(root / MANIFEST, pack_manifest({}, []))
            store = cls(files, lock)
            store._check_stream()
            if store._rebuilt:
                store._write_manifest()
        except BaseException:
            lock.release()
            raise
        return store

    @staticmethod
    def read(path: str | os.PathLike[str]) -> Reader:
        """Return what the store at `path` holds, without its lock: it may be growing.

        Parameters
        ----------
        path : path-like or str
            A folder, or any URL that fsspec opens, as "s3://bucket/depth".

        Raises
        ------
        TypeError, ValueError
            If `path` is no path, or holds a study of another version, or something else.
        OSError
            If there is no study.
        ImportError
            If `path` is a URL and fsspec is not installed.
        """
        return Reader(RemoteFiles(str(path)) if is_url(path) else LocalFiles(_local(path, "path")))

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let other processes in; a second time nothing happens."""
        self._lock.release()

    def add(self, tasks: Iterable[Task]) -> None:
        """Enter `tasks`, and this machine into the provenance; those there already stay.

        Raises
        ------
        ValueError
            If the store is closed.
        OSError
            If the manifest cannot be written; the store is then as it was.
        """
        self._extend({task.digest: task.to_dict() for task in tasks}, [provenance()])

    def write(self, task: Task, blocks: Blocks) -> None:
        """Write `blocks` of `task` as one file; when it returns they are on the disk.

        Damaged files with some of the same samples are removed.

        Raises
        ------
        ValueError
            If the store is closed, `task` was not added, or the blocks are of other layers or
            thresholds, or do not begin at a multiple of 1,000 samples.
        OSError
            If they cannot be written; the store is then as it was.
        """
        if task.digest not in self._tasks:
            raise ValueError(f"the study {self._root} has no such task, add it first: {task}")
        file, data = pack(task, blocks)
        self._write_file(folder(task.digest), file, data)

    def _write_file(self, below: str, file: BlockFile, data: bytes) -> None:
        self._check_open()
        with _writing(self._root):
            store_disk.make_folder(self._root / below)
            store_disk.write(self._root / below / str(file), data)
            for name in [name for name in self._damaged if name.startswith(f"{below}/")]:
                other = BlockFile.parse(name.rpartition("/")[2])
                if other and other.first < file.end and file.first < other.end:
                    if other != file:
                        (self._root / name).unlink(missing_ok=True)
                    del self._damaged[name]

    def _extend(
        self, tasks: Mapping[str, dict[str, Any]], provenance: Iterable[dict[str, str]]
    ) -> None:
        """Enter tasks and provenance, and rewrite the manifest if any of it is new."""
        self._check_open()
        new = [made for made in provenance if made not in self._provenance]
        if new or not tasks.keys() <= self._tasks.keys():
            before = self._tasks, self._provenance
            self._tasks = {**self._tasks, **tasks}
            self._provenance = [*self._provenance, *new]
            try:
                self._write_manifest()
            except BaseException:
                self._tasks, self._provenance = before
                raise

    def _write_manifest(self) -> None:
        with _writing(self._root):
            store_disk.write(self._root / MANIFEST, pack_manifest(self._tasks, self._provenance))

    def _copy(self, source: Reader) -> None:
        """Copy the sound files of `source` that are not here, or damaged here."""
        source._check_stream()
        self._extend(source._tasks, source._provenance)
        for digest in source._tasks:
            below = folder(digest)
            theirs = source._block_files(below)
            both = sorted(theirs & self._block_files(below))
            theirs -= {file for file, found in self._contents(below, both, digest) if found}
            for file, content in source._contents(below, sorted(theirs), digest):
                if content is not None:
                    self._write_file(below, file, content.data)

    def _check_open(self) -> None:
        if not self._lock.held:
            raise ValueError(f"the study {self._root} is closed, or another process's")


def merge(sources: Iterable[str | os.PathLike[str]], target: str | os.PathLike[str]) -> None:
    """Bring the tasks and blocks of several stores together in one.

    Every file is checked, and copied as it is; damaged ones are left out with a warning. The same
    blocks in several stores do no harm.

    Parameters
    ----------
    sources : iterable of path-like or str
        Folders, or URLs that fsspec opens; they are only read.
    target : path-like
        A folder, made if it is not there; what it holds already stays.

    Raises
    ------
    TypeError, ValueError, OSError, ImportError
        As `Store.open` and `Store.read` say; files copied by then stay copied.

    Examples
    --------
    >>> import tempfile
    >>> from vgsim._studies.store import Store, merge
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Store.open(f"{folder}/a").close()
    ...     merge([f"{folder}/a"], f"{folder}/c")
    ...     Store.read(f"{folder}/c").tasks
    {}
    """
    if isinstance(sources, str | os.PathLike):
        raise type_error("sources", f"must be a sequence of paths, got one: {sources!r}")
    readers = [Store.read(source) for source in sources]
    with Store.open(target) as store:
        for reader in readers:
            store._copy(reader)


def _local(path: object, argument: str = "store") -> Path:
    """Return a path of this machine."""
    if not isinstance(path, str | os.PathLike):
        raise type_error(argument, f"must be a string or a path, got {path!r}")
    text = os.fsdecode(path)
    if not text or is_url(text):
        raise value_error(argument, f"must be a folder of this machine, got {text!r}")
    return Path(text)


def _check_empty(files: LocalFiles) -> None:
    """Refuse a folder with anything in it that a store being made would not have."""
    for name in files.names():
        if name not in (LOCK, "blocks") and not store_disk.is_leftover(name):
            raise ValueError(
                f"{files.where} is no study and not empty, it holds {name!r}: use another folder"
            )


@contextmanager
def _writing(root: Path) -> Iterator[None]:
    """Say of an error of the file system what it means for the study in `root`."""
    try:
        yield
    except BlockingIOError:
        raise
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            trouble, remedy = "no space left for the study", "make room and run again to go on"
        elif error.errno == errno.EFBIG:
            trouble = "a file of the study is larger than this process may write (ulimit -f)"
            remedy = "raise the limit and run again to go on"
        elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            trouble = "the study cannot be written here"
            remedy = "make its folder writable, or use another"
        else:
            trouble = f"the study cannot be written ({error.strerror or error})"
            remedy = "run again to go on"
        message = f"{trouble}; what it holds is safe: {remedy}"
        raise OSError(error.errno, message, str(root)) from error
