"""Files of arrays with a JSON header: .npz without pickle, written whole or not at all."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vgsim._checks import type_error, value_error

VERSION = 1


def write(
    path: str | os.PathLike[str], kind: str, header: Mapping[str, Any], arrays: Mapping[str, Any]
) -> None:
    """Write `arrays` and a JSON `header` to `path`.

    The file is written beside `path` under a temporary name, flushed to the disk and renamed: a
    reader never sees half of it, and an interruption leaves what was there before.

    Parameters
    ----------
    path : path-like
        Taken as it is: no ending is added.
    kind : str
        What the file holds; `read` asks for it.
    header : mapping
        Anything JSON can say.
    arrays : mapping of str to array
        Named as ``numpy.load(path)`` will show them, beside "header".

    Raises
    ------
    TypeError, ValueError
        If `path` is no path, or names a folder.
    OSError
        If the file cannot be written; it names `path`.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> from vgsim._results import npz
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "squares.npz")
    ...     npz.write(path, "Squares", {"first": 0}, {"squares": np.arange(3) ** 2})
    ...     npz.read(path, "Squares")
    ({'first': 0}, {'squares': array([0, 1, 4])})
    """
    path = _file(path)
    frame = {"format": kind, "version": VERSION, "arrays": sorted(arrays)}
    text = json.dumps(frame | dict(header), allow_nan=False)
    with _temporary(path) as temporary:
        with open(temporary, "xb") as file:
            np.savez(file, header=np.array(text), **arrays)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)


def check_new(path: Path) -> None:
    """Refuse a path, the argument `out`, where something is already."""
    if path.exists() or path.is_symlink():
        raise value_error(
            "out", f"{path} exists, and is not overwritten: remove it or name another"
        )


def check_writable(path: str | os.PathLike[str]) -> None:
    """Refuse a path that `write` could not write now; nothing is left behind.

    Raises
    ------
    TypeError, ValueError
        If `path` is no path, or names a folder.
    OSError
        If no file can be made there.

    Examples
    --------
    >>> from vgsim._results import npz
    >>> npz.check_writable("no such folder/squares.npz")
    Traceback (most recent call last):
    FileNotFoundError: [Errno 2] No such file or directory: 'no such folder/squares.npz'
    """
    with _temporary(_file(path)) as temporary:
        temporary.open("xb").close()


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


def _file(path: str | os.PathLike[str]) -> Path:
    text = _text(path)
    if not Path(text).name or Path(text).is_dir():
        raise value_error("path", f"must name a file, got {'the folder ' if text else ''}{text!r}")
    return Path(text)


def _text(path: object) -> str:
    if not isinstance(path, (str, os.PathLike)):
        raise type_error("path", f"must be a string or a path, got {path!r}")
    return os.fsdecode(path)


def kind_of(path: str | os.PathLike[str]) -> str | None:
    """Return what a file says that it holds; None if it does not say.

    Raises
    ------
    TypeError
        If `path` is no path.
    OSError
        If the file cannot be read.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from vgsim._results import npz
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "squares.npz")
    ...     npz.write(path, "Squares", {}, {})
    ...     npz.kind_of(path)
    'Squares'
    """
    with open(_text(path), "rb") as file:
        try:
            kind = json.loads(np.load(file, allow_pickle=False)["header"].item())["format"]
        except MemoryError:
            raise
        except Exception:  # whatever zipfile, zlib, numpy and json make of other bytes
            return None
    return kind if isinstance(kind, str) else None


def read(path: str | os.PathLike[str], kind: str) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Read what `write` wrote.

    Parameters
    ----------
    path : path-like
    kind : str
        What the file must hold.

    Returns
    -------
    header : dict
    arrays : dict of str to array

    Raises
    ------
    TypeError
        If `path` is no path.
    OSError
        If the file cannot be read.
    ValueError
        If it is damaged, of another kind, or written by a newer version.
    """
    with open(_text(path), "rb") as file:
        try:
            archive = np.load(file, allow_pickle=False)
            arrays = {name: archive[name] for name in archive.files}
        except MemoryError:
            raise
        except Exception as error:  # whatever zipfile, zlib and numpy make of other bytes
            raise ValueError(f"{path} is damaged, or not an .npz file") from error
    try:
        header = json.loads(arrays.pop("header").item())
        found, version = header.pop("format"), header.pop("version")
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"{path} was not written by vgsim: it has no header of ours") from error
    if found != kind:
        raise ValueError(f"{path} holds {found}, not {kind}")
    if version != VERSION:
        raise ValueError(
            f"{path} has format version {version}, this vgsim reads version {VERSION}: upgrade it"
        )
    if header.pop("arrays", None) != sorted(arrays):
        raise ValueError(f"{path} is damaged: not all of its arrays are there")
    return header, arrays
