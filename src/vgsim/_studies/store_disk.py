"""Files of a store: written whole or not at all, locked, and read from a folder or a URL."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import secrets
import weakref
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

__all__ = [
    "Files",
    "LocalFiles",
    "Lock",
    "RemoteFiles",
    "is_leftover",
    "is_url",
    "make_folder",
    "sweep_leftovers",
    "sync_folder",
    "write",
]

TEMPORARY = re.compile(r"\.[0-9a-f]{16}\.tmp")


def write(path: Path, data: bytes) -> None:
    """Write `data` to `path` by a temporary file beside it, flushed to the disk and renamed.

    A reader never sees half of it, and what was there before stays until the rename. A writer
    killed in the midst leaves a temporary file, which `sweep_leftovers` removes.

    Raises
    ------
    OSError
        If it cannot be written; no temporary file is left.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from vgsim._studies import store_disk
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "answer")
    ...     store_disk.write(path, b"42")
    ...     path.read_bytes()
    b'42'
    """
    temporary = path.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        with open(temporary, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Flush to the disk which files `folder` holds."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # a file system that flushes no folders
            raise
    finally:
        os.close(descriptor)


def make_folder(folder: Path) -> None:
    """Make `folder`, and the folders it is in, to last; nothing happens if it is there."""
    if not folder.is_dir():
        make_folder(folder.parent)
        try:
            folder.mkdir()
        except FileExistsError:
            if not folder.is_dir():
                raise NotADirectoryError(
                    errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder)
                ) from None
        sync_folder(folder.parent)


def sweep_leftovers(folder: Path) -> None:
    """Remove the temporary files that killed writers left in `folder`."""
    for name in os.listdir(folder):
        if is_leftover(name):
            (folder / name).unlink(missing_ok=True)


def is_leftover(name: str) -> bool:
    """Tell whether a killed writer could have left a file of this name."""
    return TEMPORARY.fullmatch(name) is not None


_held: weakref.WeakSet[Lock] = weakref.WeakSet()


class Lock:
    """An exclusive lock on a file, held until `release` or the end of the process.

    The lock is of the open file (flock), not the file's existence: a killed process leaves the
    file behind and no lock. A forked child does not hold it.

    Parameters
    ----------
    path : Path
        Made if it is not there, and never removed; the holder writes its process id into it.
    what : str
        What is locked, for the message.

    Raises
    ------
    BlockingIOError
        If it is held; the message names `what` and the holder's process id.
    OSError
        If the file cannot be made, or its file system has no locks.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from vgsim._studies.store_disk import Lock
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     lock = Lock(pathlib.Path(folder, "lock"), "this folder")
    ...     try:
    ...         Lock(pathlib.Path(folder, "lock"), "this folder")
    ...     except BlockingIOError as error:
    ...         print(error.strerror)
    ...     lock.release()
    this folder is in use by this process already: close it first
    """

    def __init__(self, path: Path, what: str) -> None:
        self._descriptor: int | None = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(self._descriptor, 400, 0).decode("utf-8", "replace")
            self._close()
            raise BlockingIOError(errno.EAGAIN, f"{what} is in use by {_told(holder)}") from None
        except OSError as error:
            self._close()
            raise OSError(
                error.errno, f"{what} cannot be locked: its file system has no flock", str(path)
            ) from error
        _held.add(self)
        with suppress(OSError):  # on a full disk the lock holds, and only the name is missing
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, f"{os.getpid()} {os.uname().nodename}".encode(), 0)

    @property
    def held(self) -> bool:
        """Whether this process holds it: not after `release`, nor in a forked child."""
        return self._descriptor is not None

    def release(self) -> None:
        """Let others in; a second time nothing happens."""
        if self._descriptor is not None:
            with suppress(OSError):
                os.ftruncate(self._descriptor, 0)
        self._close()

    def _close(self) -> None:
        _held.discard(self)
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _told(holder: str) -> str:
    """Say who holds a lock, from what is written in its file, and what to do."""
    pid, _, host = holder.partition(" ")
    if not (pid.isdecimal() and host):
        return "another process: wait until it ends, or use another folder"
    if pid == str(os.getpid()) and host == os.uname().nodename:
        return "this process already: close it first"
    return f"process {pid} on {host}: wait until it ends, or use another folder"


def _forget() -> None:
    """Close a forked child's copies of the locks, which would outlive their holder."""
    for lock in list(_held):
        lock._close()


os.register_at_fork(after_in_child=_forget)


TOGETHER = 256  # files of a remote store in memory at a time
CONNECTIONS = 16


class Files(Protocol):
    """Names and bytes below one folder; names are relative, parts separated by "/"."""

    where: str

    def names(self, folder: str = "") -> list[str]:
        """Return the names in `folder`, sorted; none if it does not exist."""

    def read(self, names: Iterable[str]) -> Iterator[bytes | OSError]:
        """Yield each file's bytes, or why it cannot be read, in order."""


def is_url(path: object) -> bool:
    """Tell whether `path` names something that fsspec opens."""
    return isinstance(path, str) and "://" in path


class LocalFiles:
    """The files below a folder of this machine."""

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = Path(root)
        self.where = str(root)

    def names(self, folder: str = "") -> list[str]:
        """Return the names in `folder`, sorted; none if it does not exist."""
        try:
            return sorted(os.listdir(self.root / folder))
        except (FileNotFoundError, NotADirectoryError):
            return []

    def read(self, names: Iterable[str]) -> Iterator[bytes | OSError]:
        """Yield each file's bytes, or why it cannot be read, in order."""
        for name in names:
            try:
                yield (self.root / name).read_bytes()
            except OSError as error:
                yield error


class RemoteFiles:
    """The files below a URL that fsspec knows, several fetched at once.

    Raises
    ------
    ImportError
        If fsspec, or what it needs for this kind of URL, is not installed.
    ValueError
        If fsspec does not know this kind of URL.
    """

    def __init__(self, url: str) -> None:
        try:
            import fsspec
        except ImportError as error:
            raise ImportError(
                f"reading {url!r} needs fsspec, which is not installed: pip install fsspec"
            ) from error
        files, root = fsspec.core.url_to_fs(url)
        self._files: Any = files
        self._root = str(root).rstrip("/")
        self.where = url

    def names(self, folder: str = "") -> list[str]:
        """Return the names in `folder`, sorted; none if it does not exist."""
        try:
            found = self._files.ls(f"{self._root}/{folder}".rstrip("/"), detail=False)
        except (FileNotFoundError, NotADirectoryError):
            return []
        return sorted(str(path).rstrip("/").rpartition("/")[2] for path in found)

    def read(self, names: Iterable[str]) -> Iterator[bytes | OSError]:
        """Yield each file's bytes, or why it cannot be read, in order."""
        from concurrent.futures import ThreadPoolExecutor

        left = iter(names)
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            while some := list(islice(left, TOGETHER)):
                yield from pool.map(self._read, some)

    def _read(self, name: str) -> bytes | OSError:
        try:
            return bytes(self._files.cat_file(f"{self._root}/{name}"))
        except OSError as error:
            return error
