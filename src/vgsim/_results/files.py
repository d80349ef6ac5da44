"""Files: atomic writing, and reading of regular files only."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from vgsim._checks import brief, type_error, value_error

__all__ = ["check_new", "check_writable", "regular", "whole"]


@contextmanager
def whole(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Write a file atomically: yield a temporary path, and rename that file to `path` at the end.

    The temporary file is hidden and in the folder of `path`. After the block it is flushed to disk
    and renamed, and the folder is flushed. A reader never sees an incomplete file, and an
    interruption leaves the previous file in place.

    Parameters
    ----------
    path : path-like
        Taken as it is: no ending is added.

    Raises
    ------
    TypeError, ValueError
        If `path` is not a path, or is a folder.
    OSError
        If the file cannot be written; the error names `path`.

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
    """Refuse a path, the argument `out`, at which a file or folder exists."""
    if path.exists() or path.is_symlink():
        raise value_error(
            "out", f"{path} exists, and is not overwritten: remove it or choose another path"
        )


def check_writable(path: str | os.PathLike[str]) -> None:
    """Refuse a path to which `whole` could not write now; leave no file behind.

    Raises
    ------
    TypeError, ValueError
        If `path` is not a path, or is a folder.
    OSError
        If no file can be created there.

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
    """Open a regular file for reading; refuse pipes and devices, which may be endless.

    Raises
    ------
    TypeError, ValueError
        If `path` is not a path, or not a regular file.
    OSError
        If the file cannot be read.

    Examples
    --------
    >>> from vgsim._results import files
    >>> files.regular("/dev/zero")
    Traceback (most recent call last):
    ValueError: path must name a regular file, got '/dev/zero'
    """
    text = _text(path)
    mode = os.stat(text).st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):  # open refuses a folder
        raise value_error("path", f"must name a regular file, got {brief(text)}")
    return open(text, "rb")


def _file(path: str | os.PathLike[str]) -> Path:
    text = _text(path)
    if not Path(text).name or Path(text).is_dir():
        raise value_error("path", f"must name a file, got {'the folder ' if text else ''}{text!r}")
    return Path(text)


def _text(path: object) -> str:
    if not isinstance(path, (str, os.PathLike)):
        raise type_error("path", f"must be a string or a path, got {brief(path)}")
    text = os.fsdecode(path)
    if "\0" in text:
        raise value_error("path", f"must not contain a null character, got {brief(text)}")
    return text


@contextmanager
def _temporary(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`, deleted at the end; an OSError names `path`."""
    temporary = path.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        yield temporary
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def _flush(path: Path) -> None:
    """Flush a file, or the entries of a folder, to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL or not path.is_dir():  # not supported by all file systems
            raise
    finally:
        os.close(descriptor)
