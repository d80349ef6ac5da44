"""Files written whole or not at all, and still there after the power went."""

from __future__ import annotations

import errno
import os
import re
import secrets
from contextlib import suppress
from pathlib import Path

__all__ = ["is_leftover", "make_folder", "sweep_leftovers", "sync_folder", "write"]

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
    >>> from vgsim import _durable
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "answer")
    ...     _durable.write(path, b"42")
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
