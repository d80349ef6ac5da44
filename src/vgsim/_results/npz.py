"""Files of arrays with a JSON header: .npz without pickle or compression, with a SHA-256."""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import struct
import zipfile
from collections.abc import Mapping
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from vgsim._results import files

__all__ = ["VERSION", "array_of", "kind_of", "read", "write"]

VERSION = 2
SEAL = 64  # length of the comment of the zip file: the SHA-256, in hex, of all bytes before it
END = struct.Struct("<4s18x")  # the end record of a zip file, without its comment
MEMBER = struct.Struct("<4s2x2H16x2H")  # flags, method, lengths of the name and the extra field
SIZES = struct.Struct("<4x2Q")  # sizes of a member, uncompressed and in the file
KIND = re.compile(r"[\w.]{1,80}")
NPY = re.compile(
    rb"\x93NUMPY\x01\x00..{'descr': '([<>|][biufS]\d{1,9})', 'fortran_order': (True|False), "
    rb"'shape': \(((?:\d{1,18}(?:, |,(?=\))|(?=\))))*)\), } *\n",
    re.DOTALL,
)


def write(
    path: str | os.PathLike[str], kind: str, header: Mapping[str, Any], arrays: Mapping[str, Any]
) -> None:
    """Write `arrays` and a JSON `header` to `path` atomically: see `files.whole`.

    Parameters
    ----------
    path : path-like
        Used unchanged: no ending is added.
    kind : str
        The type of the contents, which `read` checks.
    header : mapping
        JSON types.
    arrays : mapping of str to array
        By the names that ``numpy.load(path)`` shows, in addition to "header".

    Raises
    ------
    TypeError, ValueError
        If `path` is not a path, or is a folder.
    OSError
        If the file cannot be written; the error names `path`.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> from vgsim._results import npz
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "squares.npz")
    ...     npz.write(path, "Squares", {"first": 0}, {"squares": np.arange(3) ** 2})
    ...     npz.read(path, "Squares")
    ('Squares', {'first': 0}, {'squares': array([0, 1, 4])})
    """
    text = json.dumps({"format": kind, "version": VERSION, **header}, allow_nan=False)
    members = {"header": np.array(text.encode("ascii")), **arrays}
    with files.whole(path) as temporary, open(temporary, "x+b") as file:
        with zipfile.ZipFile(file, "w") as archive:
            archive.comment = bytes(SEAL)
            for name, array in members.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                    np.lib.format.write_array(member, np.asarray(array), (1, 0), allow_pickle=False)
        end = file.seek(-SEAL, os.SEEK_END)
        seal = _digest(file, end)
        file.seek(end)
        file.write(seal)


def read(
    path: str | os.PathLike[str], *kinds: str
) -> tuple[str, dict[str, Any], dict[str, NDArray[Any]]]:
    """Read a file that `write` wrote; memory is allocated for its actual size only.

    Parameters
    ----------
    path : path-like
    *kinds : str
        The allowed types of the contents.

    Returns
    -------
    kind : str
    header : dict
    arrays : dict of str to array
        Read-only.

    Raises
    ------
    TypeError
        If `path` is not a path.
    OSError
        If the file cannot be read.
    ValueError
        If the file is damaged, of another kind, or of another version of the format. The SHA-256
        does not detect forgery, and the contents of header and arrays are not checked here.
    """
    with files.regular(path) as file:
        try:
            arrays = _arrays(file, os.fstat(file.fileno()).st_size - SEAL)
            header = _parsed(arrays.pop("header").item().decode("ascii"))
            found, version = header.pop("format"), header.pop("version")
            if not KIND.fullmatch(found) or type(version) is not int:
                raise ValueError("the header has no kind and format version")
        except (LookupError, TypeError, AttributeError, ValueError, RecursionError) as error:
            raise ValueError(f"{path} is damaged, or not an .npz file of vgsim") from error
    if found not in kinds:
        raise ValueError(f"{path} holds {found}, not {' or '.join(kinds)}")
    if version != VERSION:
        raise ValueError(f"{path} has format version {version}, this vgsim reads version {VERSION}")
    return found, header, arrays


def kind_of(path: str | os.PathLike[str]) -> str | None:
    """Return the kind that the header of a file names, without reading the rest; None: no header.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from vgsim._results import npz
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "empty.npz")
    ...     npz.write(path, "Squares", {}, {})
    ...     npz.kind_of(path), npz.kind_of(folder)
    ('Squares', None)
    """
    try:
        with files.regular(path) as file, zipfile.ZipFile(file) as archive:
            header = _parsed(array_of(archive.read("header.npy")).item().decode("ascii"))
        return str(header["format"])
    except (OSError, LookupError, ValueError, AttributeError, zipfile.BadZipFile):
        return None


def array_of(content: bytes) -> NDArray[Any]:
    """Return the read-only array of numbers or bytes of an .npy file.

    Raises
    ------
    ValueError
        If the file holds anything else, or its size differs from that in its header.

    Examples
    --------
    >>> import io
    >>> import numpy as np
    >>> from vgsim._results import npz
    >>> file = io.BytesIO()
    >>> np.save(file, np.arange(3))
    >>> npz.array_of(file.getvalue())
    array([0, 1, 2])
    """
    match = NPY.match(content)
    if match is None:
        raise ValueError("it has no header of an array of numbers")
    try:
        dtype = np.dtype(match[1].decode())
    except TypeError as error:
        raise ValueError("its dtype is unknown") from error
    shape = [int(size) for size in match[3].split(b",") if size]
    if dtype.itemsize * math.prod(shape) != len(content) - match.end():
        raise ValueError(f"its size is not that of an array of shape {shape}")
    array: NDArray[Any] = np.ndarray(math.prod(shape), dtype, content, match.end())
    return array.reshape(shape, order="F" if match[2] == b"True" else "C")


def _arrays(file: BinaryIO, end: int) -> dict[str, NDArray[Any]]:
    """Return the members of a zip file whose comment begins at `end`; refuse a damaged file."""
    file.seek(max(0, end - END.size))
    if not file.read(4) == b"PK\x05\x06" or _digest(file, end) != file.read():
        raise ValueError("its SHA-256 is missing or wrong")
    file.seek(0)
    found: dict[str, NDArray[Any]] = {}
    while (head := file.read(MEMBER.size)).startswith(b"PK\x03\x04"):
        _, flags, method, length, further = MEMBER.unpack(head)
        name, extra = file.read(length).decode("ascii"), file.read(further)
        size, stored = SIZES.unpack(extra) if len(extra) == SIZES.size else (0, -1)
        if flags or method or size != stored or size > end - file.tell():
            raise ValueError(f"{name} is compressed or encrypted")
        if name in found or not name.endswith(".npy"):
            raise ValueError(f"{name} occurs twice, or is not an array")
        found[name] = array_of(file.read(size))
    return {name.removesuffix(".npy"): array for name, array in found.items()}


def _digest(file: BinaryIO, end: int) -> bytes:
    """Return the SHA-256, in hex, of the bytes before `end`; the file position is then `end`."""
    digest, left = hashlib.sha256(), end
    file.seek(0)
    while left > 0 and (block := file.read(min(left, 2**20))):
        digest.update(block)
        left -= len(block)
    return digest.hexdigest().encode("ascii")


def _parsed(text: str) -> dict[str, Any]:
    """Parse a JSON object without NaN, infinity and duplicate names."""
    header = json.loads(text, parse_constant=_refused, object_pairs_hook=_once)
    if not isinstance(header, dict):
        raise ValueError("the header is not a JSON object")
    return header


def _refused(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(found := dict(pairs)) < len(pairs):
        raise ValueError("a name occurs twice")
    return found
