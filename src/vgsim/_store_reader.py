"""What a store holds: the tasks, and the blocks that sound files give."""

from __future__ import annotations

import errno
import re
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from vgsim import _manifest
from vgsim._block_files import BlockFile, Content, NewerFormatError, Piece, cover, folder
from vgsim._blocks import Blocks
from vgsim._manifest import NAME as MANIFEST
from vgsim._random import STREAM_VERSION
from vgsim._store_files import Files
from vgsim._task import Task

__all__ = ["Reader"]

TASK_FOLDER = re.compile("[0-9a-f]{16}")


class Reader:
    """What a store holds, read without its lock: see `Store.read`."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self._damaged: dict[str, str] = {}
        manifest = self._read_manifest()
        self._rebuilt = manifest is None
        self._tasks: dict[str, dict[str, Any]] = manifest["tasks"] if manifest else self._found()
        self._provenance: list[dict[str, str]] = manifest["provenance"] if manifest else []

    @property
    def tasks(self) -> dict[str, dict[str, Any]]:
        """The tasks, as `Task.to_dict` has them, by their digests."""
        return dict(self._tasks)

    @property
    def provenance(self) -> list[dict[str, str]]:
        """What made the blocks: every set of versions, instruction set and machine once."""
        return list(self._provenance)

    @property
    def damaged(self) -> list[tuple[str, str]]:
        """The files found torn, altered, unreadable or another task's until now, and why.

        None of their samples is used.
        """
        return sorted(self._damaged.items())

    def blocks(self, task: Task) -> Blocks | None:
        """Return the blocks of `task` from its sample 0 as far as sound files reach.

        Returns
        -------
        Blocks or None
            None if sample 0 is in no sound file.

        Raises
        ------
        ValueError
            If a newer version of vgsim wrote a file of this task.
        """
        below, digest = folder(task.digest), task.digest
        files = self._block_files(below)
        held: dict[BlockFile, Blocks] = {}
        while True:
            pieces = cover(files)
            new = [piece.file for piece in pieces if piece.file not in held]
            if not new:
                break
            for file, content in self._contents(below, new, digest):
                if content is None:
                    files.discard(file)
                else:
                    held[file] = content.blocks
        return Blocks.join([_cut(held[piece.file], piece) for piece in pieces]) if pieces else None

    def _check_stream(self) -> None:
        """Refuse to go on with samples that this version would draw otherwise."""
        for task in self._tasks.values():
            if task["stream_version"] != STREAM_VERSION:
                raise ValueError(
                    f"the study {self._files.where} has stream version {task['stream_version']}, "
                    f"this vgsim draws version {STREAM_VERSION}: it can be read, not gone on with; "
                    "use another folder"
                )

    def _block_files(self, below: str) -> set[BlockFile]:
        """Return the files in a task's folder, without those known to be damaged."""
        files = set()
        for name in self._files.names(below):
            if not name.endswith(".npz") or f"{below}/{name}" in self._damaged:
                continue
            file = BlockFile.parse(name)
            if file is None:
                self._note(f"{below}/{name}", "no file of blocks has such a name")
            else:
                files.add(file)
        return files

    def _contents(
        self, below: str, files: Sequence[BlockFile], digest: str | None
    ) -> Iterator[tuple[BlockFile, Content | None]]:
        """Read files of a task: None for what is damaged, which is noted, or gone meanwhile."""
        names = [f"{below}/{file}" for file in files]
        for name, file, data in zip(names, files, self._files.read(names), strict=True):
            content = None
            if isinstance(data, OSError):
                if not isinstance(data, FileNotFoundError):
                    self._note(name, f"unreadable: {data.strerror or data}")
            else:
                try:
                    content = Content.unpack(file, data, digest)
                except NewerFormatError as error:
                    raise ValueError(f"{self._files.where}/{name}: {error}") from None
                except ValueError as error:
                    self._note(name, str(error))
            yield file, content

    def _note(self, name: str, reason: str) -> None:
        """Remember a damaged file, and say it once."""
        if name not in self._damaged:
            self._damaged[name] = reason
            warnings.warn(f"{self._files.where}/{name} is not used: {reason}", stacklevel=2)

    def _read_manifest(self) -> dict[str, Any] | None:
        """Return the manifest; None, with a warning, if there are only blocks to make it from."""
        where = self._files.where
        data = next(iter(self._files.read([MANIFEST])))
        holds_tasks = any(TASK_FOLDER.fullmatch(name) for name in self._files.names("blocks"))
        if isinstance(data, bytes):
            manifest = _manifest.unpack(data, where)
            if manifest is not None:
                return manifest
            if not holds_tasks:
                raise ValueError(
                    f"{where}/{MANIFEST} is damaged or another program's, and there are no blocks "
                    "to make it again from: remove it, or use another folder"
                )
            trouble = "damaged"
        elif not isinstance(data, FileNotFoundError | NotADirectoryError):
            raise OSError(data.errno, f"{MANIFEST} cannot be read: {data.strerror or data}", where)
        elif not holds_tasks:
            raise FileNotFoundError(errno.ENOENT, "there is no study here", where)
        else:
            trouble = "missing"
        warnings.warn(
            f"{where}/{MANIFEST} is {trouble}: the tasks are read from their blocks; tasks without "
            "blocks, and what made the blocks, are forgotten",
            stacklevel=2,
        )
        return None

    def _found(self) -> dict[str, dict[str, Any]]:
        """Return the tasks that the files say they are of: the first sound file of each folder."""
        tasks = {}
        for name in filter(TASK_FOLDER.fullmatch, self._files.names("blocks")):
            for file in sorted(self._block_files(f"blocks/{name}")):
                ((_, content),) = self._contents(f"blocks/{name}", [file], None)
                if content is not None and content.digest.startswith(name):
                    tasks[content.digest] = content.task
                    break
        return tasks


def _cut(blocks: Blocks, piece: Piece) -> Blocks:
    """Return the blocks of `piece`, which `blocks` hold among others."""
    first, end = np.searchsorted(blocks.first, (piece.first, piece.end))
    return blocks.head(int(end)).tail(int(end - first))
