"""What all stores have in common while they are open: damaged parts, provenance, closing."""

from __future__ import annotations

import json
import warnings
from typing import Any, Protocol

from vgsim._studies.store_file import StoreFile, checksum

__all__ = ["ALL", "Described", "OpenStore"]

ALL = -1  # stands for all blocks of a task


class Described(Protocol):
    """A task of a store: of a study, or of trainings."""

    @property
    def digest(self) -> str:
        """Its SHA-256, by which the store finds it."""


class OpenStore:
    """An open store. Subclasses read its tasks and blocks.

    Attributes
    ----------
    path : Path
    damaged : list of (what, why)
        The parts found damaged so far, which are not used.
    left_out : set of (int, int)
        The damaged blocks: id of the task and first sample, -1 for all blocks of the task.

    Examples
    --------
    >>> import tempfile
    >>> import vgsim
    >>> from vgsim._studies.store import Reader
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = f"{folder}/study.sqlite"
    ...     study = vgsim.collect([vgsim.MLP(5, 8)], max_samples=1000, store=path)
    ...     with Reader(path) as store:
    ...         print(store.damaged, len(store.provenance))
    [] 1
    """

    _run = 0  # id; no run

    def _open(self, file: StoreFile, whole: bool, write: bool = False) -> None:
        """Take over an open file; `whole`: check all its pages for damage, and salvage the rest."""
        self.file = file
        self.path = file.path
        self.damaged: list[tuple[str, str]] = []
        self.left_out: set[tuple[int, int]] = set()
        try:
            # Not while other processes write: they would wait until all pages are read.
            if whole and not self.file.runs_at_work(self._run) and (trouble := file.damage()):
                self._note("damaged pages or rows", trouble)
                file.salvage(write)
            if whole:
                self._check_owners()
        except BaseException:
            file.close()
            raise

    def _check_owners(self) -> None:
        """Record the blocks whose task is missing as damaged."""
        owner, tasks = self.file.schema.owner, self.file.schema.tasks
        for (lost,) in self.file.all(
            f"SELECT DISTINCT {owner} FROM blocks WHERE {owner} NOT IN (SELECT id FROM {tasks})"
        ):
            self.left_out.add((lost, ALL))
            self._note(f"the blocks of {owner} {lost}", "its description is lost")

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; no effect if it is closed."""
        self.file.close()

    @property
    def provenance(self) -> list[dict[str, str]]:
        """The distinct provenances of the samples: versions, instruction set, machine."""
        found: list[dict[str, str]] = []
        for run in self.provenance_of_runs().values():
            found += [run] if run not in found else []
        return found

    def provenance_of_runs(self) -> dict[int, dict[str, str]]:
        """Return the provenance of each run by its id, without altered ones."""
        found: dict[int, dict[str, str]] = {}
        for row, key, text, seal in self.file.all(
            "SELECT id, key, provenance, checksum FROM runs ORDER BY id"
        ):
            try:
                if seal != checksum(key, text):
                    raise ValueError
                found[row] = {str(name): str(x) for name, x in dict(json.loads(text)).items()}
            except (RecursionError, TypeError, ValueError):
                self._note(f"the provenance of run {row}", "it was altered")
        return found

    def _key(self, task: Described) -> int:
        """Return the id of a task; 0 if the store does not have it."""
        tasks = self.file.schema.tasks
        found = self.file.all(f"SELECT id FROM {tasks} WHERE digest = ?", task.digest)
        return int(found[0][0]) if found else 0

    def _note(self, what: str, why: str) -> None:
        """Record a damaged part, and warn once."""
        if (what, why) not in self.damaged:
            self.damaged.append((what, why))
            warnings.warn(f"{self.path}: left out {what}: {why}", stacklevel=2)
