"""One process at a time: a lock that the operating system releases when its holder dies."""

from __future__ import annotations

import errno
import fcntl
import os
import weakref
from contextlib import suppress
from pathlib import Path

__all__ = ["Lock"]

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
    >>> from vgsim._lock import Lock
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
