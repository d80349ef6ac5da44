"""Files of arrays with a JSON header: .npz without pickle, written whole or not at all."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

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

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> from vgsim import _npz
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "squares.npz")
    ...     _npz.write(path, "Squares", {"first": 0}, {"squares": np.arange(3) ** 2})
    ...     _npz.read(path, "Squares")
    ({'first': 0}, {'squares': array([0, 1, 4])})
    """
    path = Path(path)
    frame = {"format": kind, "version": VERSION, "arrays": sorted(arrays)}
    text = json.dumps(frame | dict(header), allow_nan=False)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        with open(temporary, "xb") as file:
            np.savez(file, header=np.array(text), **arrays)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


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
    OSError
        If the file cannot be read.
    ValueError
        If it is damaged, of another kind, or written by a newer version.
    """
    with open(path, "rb") as file:
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
