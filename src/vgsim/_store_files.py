"""Where the files of a store are read from: a local folder, or any fsspec URL."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

__all__ = ["Files", "LocalFiles", "RemoteFiles", "is_url"]

TOGETHER = 256  # files of a remote store in memory at a time
CONNECTIONS = 16


class Files(Protocol):
    """Names and bytes below one folder; names are relative, parts separated by "/"."""

    where: str

    def names(self, folder: str = "") -> list[str]:
        """Return the names in `folder`, sorted; none if it does not exist."""

    def read(self, names: Iterable[str]) -> Iterator[bytes | OSError]:
        """Yield each file's bytes, or why it cannot be read, in order."""


def is_url(path: object) -> bool:
    """Tell whether `path` names something that fsspec opens."""
    return isinstance(path, str) and "://" in path


class LocalFiles:
    """The files below a folder of this machine."""

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = Path(root)
        self.where = str(root)

    def names(self, folder: str = "") -> list[str]:
        """Return the names in `folder`, sorted; none if it does not exist."""
        try:
            return sorted(os.listdir(self.root / folder))
        except (FileNotFoundError, NotADirectoryError):
            return []

    def read(self, names: Iterable[str]) -> Iterator[bytes | OSError]:
        """Yield each file's bytes, or why it cannot be read, in order."""
        for name in names:
            try:
                yield (self.root / name).read_bytes()
            except OSError as error:
                yield error


class RemoteFiles:
    """The files below a URL that fsspec knows, several fetched at once.

    Raises
    ------
    ImportError
        If fsspec, or what it needs for this kind of URL, is not installed.
    ValueError
        If fsspec does not know this kind of URL.
    """

    def __init__(self, url: str) -> None:
        try:
            import fsspec
        except ImportError as error:
            raise ImportError(
                f"reading {url!r} needs fsspec, which is not installed: pip install fsspec"
            ) from error
        files, root = fsspec.core.url_to_fs(url)
        self._files: Any = files
        self._root = str(root).rstrip("/")
        self.where = url

    def names(self, folder: str = "") -> list[str]:
        """Return the names in `folder`, sorted; none if it does not exist."""
        try:
            found = self._files.ls(f"{self._root}/{folder}".rstrip("/"), detail=False)
        except (FileNotFoundError, NotADirectoryError):
            return []
        return sorted(str(path).rstrip("/").rpartition("/")[2] for path in found)

    def read(self, names: Iterable[str]) -> Iterator[bytes | OSError]:
        """Yield each file's bytes, or why it cannot be read, in order."""
        from concurrent.futures import ThreadPoolExecutor

        left = iter(names)
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            while some := list(islice(left, TOGETHER)):
                yield from pool.map(self._read, some)

    def _read(self, name: str) -> bytes | OSError:
        try:
            return bytes(self._files.cat_file(f"{self._root}/{name}"))
        except OSError as error:
            return error
