"""What the files of a store hold: consecutive blocks of one task, and the manifest of all."""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vgsim._engine.settings import STREAM_VERSION
from vgsim._studies.blocks import BLOCK, Blocks
from vgsim._studies.task import Task

__all__ = [
    "FORMAT",
    "MANIFEST",
    "BlockFile",
    "Content",
    "NewerFormatError",
    "Piece",
    "cover",
    "folder",
    "pack",
    "pack_manifest",
    "unpack_manifest",
]

FORMAT = 1
KIND = "vgsim.Blocks"
MANIFEST = "manifest.json"
MANIFEST_KIND = "vgsim study"
NAME = re.compile(r"(0|[1-9][0-9]*)-([1-9][0-9]*)-([0-9a-f]{16})\.npz")


class NewerFormatError(ValueError):
    """A sound file that a newer vgsim wrote: not damaged, only not for this version."""


class BlockFile(NamedTuple):
    """A file's name in parts: the samples first … end - 1, and the checksum of its bytes."""

    first: int
    end: int
    checksum: str

    @classmethod
    def parse(cls, name: str) -> BlockFile | None:
        """Return the parts of `name`, None if no file of a store is called so.

        Examples
        --------
        >>> from vgsim._studies.store_format import BlockFile
        >>> BlockFile.parse("0-2000-0123456789abcdef.npz")
        BlockFile(first=0, end=2000, checksum='0123456789abcdef')
        >>> str(BlockFile(0, 2000, "0123456789abcdef"))
        '0-2000-0123456789abcdef.npz'
        >>> BlockFile.parse("0-2000.npz") is None
        True
        """
        match = NAME.fullmatch(name)
        if match is None:
            return None
        file = cls(int(match[1]), int(match[2]), match[3])
        return file if file.first % BLOCK == 0 and file.first < file.end else None

    def __str__(self) -> str:
        return f"{self.first}-{self.end}-{self.checksum}.npz"


class Piece(NamedTuple):
    """The samples first … end - 1 of those in `file`."""

    file: BlockFile
    first: int
    end: int


def folder(digest: str) -> str:
    """Return the folder, below the store's, of the files of the task with this digest."""
    return f"blocks/{digest[:16]}"


def pack(task: Task, blocks: Blocks) -> tuple[BlockFile, bytes]:
    """Return the name and the bytes of the file that holds `blocks` of `task`.

    The bytes depend on nothing else: the same blocks make the same file on every machine.

    Raises
    ------
    ValueError
        If the blocks have other layers or thresholds than the task, or do not begin at a multiple
        of the block's length.
    """
    _check(blocks, task.layers, task.thresholds)
    header = {"format": FORMAT, "kind": KIND, "digest": task.digest, "task": task.to_dict()}
    text = json.dumps(header, sort_keys=True, allow_nan=False)
    arrays: dict[str, Any] = {"header": np.array(text.encode()), **blocks.arrays()}
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    data = stream.getvalue()
    return BlockFile(int(blocks.first[0]), int(blocks.end), _checksum(data)), data


class Content(NamedTuple):
    """A sound file: its bytes, its task (as `Task.to_dict` has it), and the task's blocks."""

    data: bytes
    digest: str
    task: dict[str, Any]
    blocks: Blocks

    @classmethod
    def unpack(cls, file: BlockFile, data: bytes, digest: str | None = None) -> Content:
        """Return the content of a file, checked against its name.

        Parameters
        ----------
        file : BlockFile
            Its name, in parts.
        data : bytes
        digest : str, optional
            Of the task that the blocks must be of; by default, of the one that the file names.

        Raises
        ------
        NewerFormatError
            If a newer version of vgsim wrote it.
        ValueError
            If the bytes are not what the name says; the message is the reason.
        """
        if _checksum(data) != file.checksum:
            raise ValueError("torn or altered: its bytes do not give the checksum in its name")
        header, arrays = _arrays(data)
        if header.get("kind") != KIND or not isinstance(version := header.get("format"), int):
            raise ValueError("not a file of blocks")
        if version != FORMAT:
            raise NewerFormatError(
                f"its format version is {version}, this vgsim reads version {FORMAT}: upgrade it"
            )
        task, found = header.get("task"), header.get("digest")
        if not isinstance(task, dict) or found != (digest or _digest(task)):
            raise ValueError(f"it holds blocks of another task: {found}")
        try:
            blocks = Blocks.from_arrays(arrays)
            _check(blocks, task["layers"], task["thresholds"])
        except (ArithmeticError, LookupError, TypeError, ValueError) as error:
            raise ValueError(f"its blocks are inconsistent: {error}") from error
        first, end = int(blocks.first[0]), int(blocks.end)
        if (first, end) != (file.first, file.end):
            raise ValueError(
                f"renamed: it holds samples {first:,} to {end - 1:,}, its name says "
                f"{file.first:,} to {file.end - 1:,}"
            )
        return cls(data, str(found), task, blocks)


def _digest(task: Mapping[str, Any]) -> str | None:
    """Return the digest of a task from its dict, None if it is no task."""
    try:
        return Task.from_dict(dict(task)).digest
    except (KeyError, TypeError, ValueError):
        return None


def _checksum(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


def _arrays(data: bytes) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Read an .npz file: its header and its other arrays."""
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        header = json.loads(arrays.pop("header").item())
        return dict(header), arrays
    except MemoryError:
        raise
    except Exception as error:  # whatever zipfile, zlib, numpy and json make of other bytes
        raise ValueError("not a file of blocks") from error


def _check(blocks: Blocks, layers: Iterable[int], thresholds: Iterable[float]) -> None:
    """Refuse blocks of other layers and thresholds, or begun where `cover` cannot cut them."""
    if blocks.layers.tolist() != list(layers) or blocks.thresholds != tuple(thresholds):
        raise ValueError(
            f"blocks must be of the task's layers {list(layers)} and thresholds "
            f"{list(thresholds)}, got {blocks.layers.tolist()} and {list(blocks.thresholds)}"
        )
    if blocks.first[0] % BLOCK:
        raise ValueError(
            f"blocks must begin at a multiple of {BLOCK:,} samples, got {blocks.first[0]:,}"
        )


def cover(files: Iterable[BlockFile]) -> list[Piece]:
    """Choose from which files to take the samples 0, 1, … as far as the files reach.

    Where several files overlap, the one that goes furthest is taken; a last block that is not
    whole is only taken at the end.

    Parameters
    ----------
    files : iterable of BlockFile

    Returns
    -------
    list of Piece
        Consecutive from 0, each file at most once.

    Examples
    --------
    >>> from vgsim._studies.store_format import BlockFile, cover
    >>> names = ["0-1500-0000000000000000", "1000-3000-1111111111111111", "4000-5000-" + "2" * 16]
    >>> for file, first, end in cover(BlockFile.parse(f"{name}.npz") for name in names):
    ...     print(file, first, end)
    0-1500-0000000000000000.npz 0 1000
    1000-3000-1111111111111111.npz 1000 3000
    """
    waiting = sorted(files, reverse=True)
    pieces: list[Piece] = []
    best: BlockFile | None = None
    position = 0
    while True:
        while waiting and waiting[-1].first <= position:
            file = waiting.pop()
            if best is None or file.end > best.end:
                best = file
        if best is None or best.end - best.end % BLOCK <= position:
            break
        pieces.append(Piece(best, position, best.end - best.end % BLOCK))
        position = pieces[-1].end
    if best is not None and best.end > position:  # a last block that is not whole
        first = position
        if pieces and pieces[-1].file == best:
            first = pieces.pop().first
        pieces.append(Piece(best, first, best.end))
    return pieces


def pack_manifest(
    tasks: Mapping[str, dict[str, Any]], provenance: Iterable[dict[str, str]]
) -> bytes:
    """Return the manifest's JSON: the tasks by their digests, and a checksum of it all.

    Examples
    --------
    >>> from vgsim._studies.store_format import pack_manifest, unpack_manifest
    >>> unpack_manifest(pack_manifest({}, [{"isa": "avx2"}]), "runs/depth")["provenance"]
    [{'isa': 'avx2'}]
    """
    manifest: dict[str, Any] = {
        "format": FORMAT,
        "kind": MANIFEST_KIND,
        "stream_version": STREAM_VERSION,
        "block": BLOCK,
        "tasks": dict(tasks),
        "provenance": list(provenance),
    }
    manifest["checksum"] = _manifest_checksum(manifest)
    return json.dumps(manifest, indent=1, allow_nan=False).encode()


def unpack_manifest(data: bytes, where: str) -> dict[str, Any] | None:
    """Return a manifest from its bytes; None if they are damaged, or something else's.

    Raises
    ------
    ValueError
        If another version of vgsim wrote it, in another format; the message names `where`.
    """
    try:
        manifest = json.loads(data)
    except (ValueError, RecursionError):
        return None
    if not isinstance(manifest, dict) or manifest.get("kind") != MANIFEST_KIND:
        return None
    version = manifest.get("format")
    if isinstance(version, int) and version > FORMAT:
        raise ValueError(
            f"{where} has format version {version}, this vgsim reads version {FORMAT}: upgrade it"
        )
    if manifest.pop("checksum", None) != _manifest_checksum(manifest):
        return None
    if manifest["block"] != BLOCK:
        raise ValueError(
            f"{where} has blocks of {manifest['block']} samples, this vgsim of {BLOCK}: use "
            "another folder, or the version that made it"
        )
    return manifest


def _manifest_checksum(manifest: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()
