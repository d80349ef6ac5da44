"""Files of any kind: written whole or not at all, and read only if they are regular ones."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from vgsim._checks import type_error, value_error

__all__ = ["check_new", "check_writable", "regular", "whole"]


@contextmanager
def whole(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give the name under which to write what shall be at `path`, whole or not at all.

    It is a hidden name beside `path`. After the block that file is flushed to the disk and
    renamed, and its folder is flushed: a reader never sees half of it, and an interruption leaves
    what was there before.

    Parameters
    ----------
    path : path-like
        Taken as it is: no ending is added.

    Raises
    ------
    TypeError, ValueError
        If `path` is no path, or names a folder.
    OSError
        If the file cannot be written; it names `path`.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from vgsim._results import files
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "answer.txt")
    ...     with files.whole(path) as temporary:
    ...         _ = temporary.write_text("42")
    ...     path.read_text(), len(list(path.parent.iterdir()))
    ('42', 1)
    """
    target = _file(path)
    with _temporary(target) as temporary:
        yield temporary
        _flush(temporary)
        os.replace(temporary, target)
        _flush(target.parent)


def check_new(path: Path) -> None:
    """Refuse a path, the argument `out`, where something is already."""
    if path.exists() or path.is_symlink():
        raise value_error(
            "out", f"{path} exists, and is not overwritten: remove it or name another"
        )


def check_writable(path: str | os.PathLike[str]) -> None:
    """Refuse a path that `whole` could not write now; nothing is left behind.

    Raises
    ------
    TypeError, ValueError
        If `path` is no path, or names a folder.
    OSError
        If no file can be made there.

    Examples
    --------
    >>> from vgsim._results import files
    >>> files.check_writable("no such folder/squares.npz")
    Traceback (most recent call last):
    FileNotFoundError: [Errno 2] No such file or directory: 'no such folder/squares.npz'
    """
    with _temporary(_file(path)) as temporary:
        temporary.open("xb").close()


def regular(path: str | os.PathLike[str]) -> BinaryIO:
    """Open a regular file for reading; a pipe or a device, which may have no end, is refused.

    Raises
    ------
    TypeError, ValueError
        If `path` is no path, or there is no regular file.
    OSError
        If it cannot be read.

    Examples
    --------
    >>> from vgsim._results import files
    >>> files.regular("/dev/zero")
    Traceback (most recent call last):
    ValueError: path must name a regular file, got '/dev/zero'
    """
    text = _text(path)
    mode = os.stat(text).st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):  # a folder is an OSError of open
        raise value_error("path", f"must name a regular file, got {text!r}")
    return open(text, "rb")


def _file(path: str | os.PathLike[str]) -> Path:
    text = _text(path)
    if not Path(text).name or Path(text).is_dir():
        raise value_error("path", f"must name a file, got {'the folder ' if text else ''}{text!r}")
    return Path(text)


def _text(path: object) -> str:
    if not isinstance(path, (str, os.PathLike)):
        raise type_error("path", f"must be a string or a path, got {path!r}")
    text = os.fsdecode(path)
    if "\0" in text:
        raise value_error("path", f"must not contain a null character, got {text!r}")
    return text


@contextmanager
def _temporary(path: Path) -> Iterator[Path]:
    """Name a file beside `path` that is gone at the end; an OSError is about `path`."""
    temporary = path.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        yield temporary
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def _flush(path: Path) -> None:
    """Flush a file, or which files a folder holds, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL or not path.is_dir():  # some file systems flush no folders
            raise
    finally:
        os.close(descriptor)
