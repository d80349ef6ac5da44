"""Text of files, and of the standard input, which is named ``-``."""

from __future__ import annotations

import os
import sys

from vgsim._results.files import regular

__all__ = ["STDIN", "file_name", "file_text"]

MOST_BYTES = 16 << 20  # of a file
STDIN = "-"  # the name that stands for the standard input


def file_name(path: str | os.PathLike[str]) -> str:
    """Return the name of a file for messages.

    Examples
    --------
    >>> from vgsim._cli.text_file import file_name
    >>> file_name("-"), file_name("net.toml")
    ('standard input', 'net.toml')
    """
    return "standard input" if os.fspath(path) == STDIN else os.fspath(path)


def file_text(path: str | os.PathLike[str], kind: str) -> str:
    """Return the text of a file in UTF-8; `kind` is that of its contents, for messages.

    Raises
    ------
    ValueError
        If it is no regular file, too long, or not in UTF-8.
    OSError
        If it cannot be read.

    Examples
    --------
    >>> from vgsim._cli.text_file import file_text
    >>> file_text("no such file.toml", "TOML")
    Traceback (most recent call last):
    FileNotFoundError: [Errno 2] No such file or directory: 'no such file.toml'
    """
    name = file_name(path)
    data = _bytes(path, name)
    if len(data) > MOST_BYTES:
        raise ValueError(f"{name} must have at most {MOST_BYTES >> 20} MiB, and has more")
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = 1 + data.count(b"\n", 0, error.start)
        raise ValueError(f"{name}: {kind} must be UTF-8, line {line} is not") from None


def _bytes(path: str | os.PathLike[str], name: str) -> bytes:
    """Return the bytes of a file, one more than allowed if there are more."""
    if os.fspath(path) == STDIN:
        if sys.stdin is None:  # the caller closed it
            raise ValueError("standard input is closed")
        return sys.stdin.buffer.read(MOST_BYTES + 1)
    try:
        file = regular(path)
    except ValueError:
        raise ValueError(f"{name} must be a regular file, not a pipe or a device") from None
    with file:
        return file.read(MOST_BYTES + 1)
