"""A study on disk: a folder of tasks and their blocks, safe to kill, resume, extend and merge.

The folder holds ``manifest.json``, which lists the tasks by the SHA-256 of their canonical JSON,
and files ``blocks/<task>/<first>-<end>-<checksum>.npz``, each of which also holds its task and can
be read by ``numpy.load``. Every file is written whole or not at all, and its name says what it must
hold; a file that holds anything else is named, not used, and replaced when its samples are redone.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vgsim import _durable, _manifest
from vgsim._block_files import BlockFile, folder, pack
from vgsim._blocks import Blocks
from vgsim._info import provenance
from vgsim._lock import Lock
from vgsim._manifest import NAME as MANIFEST
from vgsim._store_files import LocalFiles, RemoteFiles, is_url
from vgsim._store_reader import TASK_FOLDER, Reader
from vgsim._task import Task

__all__ = ["Reader", "Store", "merge"]

LOCK = "lock"


class Store(Reader):
    """A study's folder, held by this process alone, used from one thread: see `Store.open`.

    Examples
    --------
    >>> import tempfile
    >>> from vgsim._storage import Store
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
            raise ValueError(f"a study is a folder, and {root} is a file")
        files = LocalFiles(root)
        with _writing(root):
            _durable.make_folder(root)
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
                    _durable.sweep_leftovers(left)
                if new and not (root / MANIFEST).exists():
                    _durable.write(root / MANIFEST, _manifest.pack({}, []))
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
        return Reader(RemoteFiles(str(path)) if is_url(path) else LocalFiles(_local(path)))

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
            _durable.make_folder(self._root / below)
            _durable.write(self._root / below / str(file), data)
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
            _durable.write(self._root / MANIFEST, _manifest.pack(self._tasks, self._provenance))

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
    >>> from vgsim._storage import Store, merge
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Store.open(f"{folder}/a").close()
    ...     merge([f"{folder}/a"], f"{folder}/c")
    ...     Store.read(f"{folder}/c").tasks
    {}
    """
    if isinstance(sources, str | os.PathLike):
        raise TypeError(f"sources must be a sequence of paths, got one: {sources!r}")
    readers = [Store.read(source) for source in sources]
    with Store.open(target) as store:
        for reader in readers:
            store._copy(reader)


def _local(path: object) -> Path:
    """Return a path of this machine."""
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"a study's path must be a string or a path, got {path!r}")
    text = os.fsdecode(path)
    if not text or is_url(text):
        raise ValueError(f"a study is written to a folder of this machine, got {text!r}")
    return Path(text)


def _check_empty(files: LocalFiles) -> None:
    """Refuse a folder with anything in it that a store being made would not have."""
    for name in files.names():
        if name not in (LOCK, "blocks") and not _durable.is_leftover(name):
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
