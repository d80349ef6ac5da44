"""The store of trainings: one SQLite file of tasks, their trained samples, and the runs."""

from __future__ import annotations

import hashlib
import io
import json
import os
import time
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vgsim._checks import INDICES, value_error
from vgsim._domains import checked_int
from vgsim._results.training import Training
from vgsim._results.training_events import SMOOTHING, TRAINING_EVENTS, default_level, happened
from vgsim._studies.open_store import ALL, OpenStore
from vgsim._studies.store_file import StoreFile, checksum, local_path
from vgsim._studies.store_rows import labels
from vgsim._studies.store_schema import TRAININGS
from vgsim._studies.training_task import TrainingTask

__all__ = ["TrainingReader", "TrainingStore", "TrainingTask"]

MOST_BYTES = 2**26  # of the arrays in one block, unless one sample has more
LARGEST = 10**9  # bytes of one sample: the limit of SQLite
COLUMNS = "first, count, learned, stuck, diverged, baseline, seconds, run, checksum, payload"
OF_TASK = ("steps", "layers")  # arrays that the description of the task has
ENTER = """INSERT INTO trainings (digest, task, labels, checksum) VALUES (?, ?, ?, ?)
ON CONFLICT (digest) DO UPDATE SET (task, labels, checksum)
  = (excluded.task, excluded.labels, excluded.checksum)
WHERE (task, labels, checksum) IS NOT (excluded.task, excluded.labels, excluded.checksum)"""


class TrainingReader(OpenStore):
    """A store of trainings opened for reading; other processes may write to it meanwhile.

    Parameters
    ----------
    path : path-like
    whole : bool, default True
        Whether to check all pages for damage first, which reads the whole file. They are not
        checked while other processes write to the store.

    Raises
    ------
    TypeError, ValueError
        If `path` is not a path, or the file is not a store of trainings, has another format, or
        cannot be read because of damage.
    OSError
        If the file does not exist or cannot be read.
    """

    def __init__(self, path: str | os.PathLike[str], whole: bool = True) -> None:
        self._open(StoreFile(local_path(path, "path"), schema=TRAININGS), whole)

    def tasks(self) -> Iterator[TrainingTask]:
        """Yield the tasks, in the order in which they were entered."""
        self.file.restore_custom_tables()
        for key, *columns, seal in self.file.all(
            "SELECT id, digest, task, labels, checksum FROM trainings ORDER BY id"
        ):
            try:
                if seal != checksum(*columns):
                    raise ValueError
                task = TrainingTask.from_dict(json.loads(columns[1]))
                if task.digest != columns[0]:
                    raise ValueError
            except (ArithmeticError, LookupError, RecursionError, TypeError, ValueError):
                self.left_out.add((key, ALL))
                self._note(f"training {key}", "its description was altered")
            else:
                yield task

    def held(self, task: TrainingTask) -> list[tuple[int, int]]:
        """Return the first index and the number of samples of each sound block, ascending."""
        return [(int(part.index[0]), len(part)) for part in self._sound(task)]

    def read(self, task: TrainingTask) -> list[Training]:
        """Return the training of each sound block, by ascending indices."""
        return list(self._sound(task))

    def _sound(self, task: TrainingTask, first: int = 0, stop: int = INDICES) -> Iterator[Training]:
        """Yield the training of each sound block that has a sample from `first` to `stop` - 1.

        Record the others as damaged.
        """
        key, made = self._key(task), self.provenance_of_runs()
        for (number,) in self.file.all(
            "SELECT id FROM blocks WHERE training = ? AND first < ? AND first + count > ? "
            "ORDER BY first",
            key,
            stop,
            first,
        ):
            for row in self.file.all(f"SELECT {COLUMNS} FROM blocks WHERE id = ?", number):
                try:
                    yield _unpacked(task, row, made.get(row[7], {}))
                except (ArithmeticError, LookupError, TypeError, ValueError) as error:
                    self.left_out.add((key, row[0]))
                    end = row[0] + row[1] - 1
                    self._note(f"samples {row[0]} to {end} of {task.network!r}", str(error))


class TrainingStore(TrainingReader):
    """A store of trainings opened for appending. Several processes may use it.

    Parameters
    ----------
    path : path-like
        Created with its folders if it does not exist.

    Raises
    ------
    TypeError, ValueError, OSError
        As for `TrainingReader`.

    Notes
    -----
    Each call of `write` is one transaction, which is on the disk when the call returns. A killed
    process or a power failure loses only the samples that were not yet written.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._made_by: Mapping[str, str] | None = None  # the provenance of the current run
        self._open(StoreFile(local_path(path), True, TRAININGS), whole=True, write=True)
        try:
            if self.left_out:
                with self.file.transaction():
                    self._drop_damaged()
        except BaseException:
            super().close()
            raise

    def close(self) -> None:
        """End the run and close the file; no effect if it is closed."""
        if self._run:
            with suppress(OSError, ValueError), self.file.transaction():
                self.file.end_run(self._run)
            self._run = 0
        super().close()

    def enter(self, task: TrainingTask, samples: int | None = None) -> None:
        """Enter a task, and the number of samples that it shall have; its samples stay."""
        target = None if samples is None else checked_int("samples", samples, 1, INDICES, "2**56")
        with self.file.transaction():
            self._enter(task)
            self.file.all("UPDATE trainings SET target = ? WHERE digest = ?", target, task.digest)

    def write(self, task: TrainingTask, training: Training) -> None:
        """Add the samples of a training that the store does not have yet, in one transaction.

        Raises
        ------
        ValueError
            If `training` is not of `task`, or one of its samples has more than 10^9 bytes.
        OSError
            If the file cannot be written; it is then unchanged.
        """
        if TrainingTask.of(training).digest != task.digest:
            raise value_error("training", f"must be of the task {task}, got {training!r}")
        arrays = {name: x for name, x in training._members().items() if name not in OF_TASK}
        each = sum(array.nbytes // len(training) for array in arrays.values())
        if each > LARGEST:
            raise value_error("training", f"must have at most 10^9 bytes a sample, got {each:,}")
        loss, level = training.loss, default_level(training.baseline)
        met = [
            happened(event, loss, training.baseline, level, SMOOTHING) for event in TRAINING_EVENTS
        ]
        with self.file.transaction():
            self._enter(task)
            self._begin(training.provenance)
            missing = self._missing(task, training.index)
            for rows in _pieces(training.index, missing, max(1, MOST_BYTES // each)):
                counts = [int(np.count_nonzero(one[rows])) for one in met]
                seconds = training.elapsed * (rows.stop - rows.start) / len(training)
                own = {name: array[rows] for name, array in arrays.items()}
                self._insert(task, own, counts, training.baseline, seconds)
            self.file.all(
                "UPDATE runs SET seen = ?1, samples = samples + ?2, work = work + ?2 WHERE id = ?3",
                time.time(),
                int(np.count_nonzero(missing)),
                self._run,
            )

    def _enter(self, task: TrainingTask) -> None:
        """Enter a task, in a transaction."""
        shown = labels(task)
        columns = task.digest, task.json, json.dumps(shown)
        self.file.all(ENTER, *columns, checksum(*columns))
        self.file.keep_custom_tables([task.json])
        self.file.show_labels(shown)

    def _begin(self, made_by: Mapping[str, str]) -> None:
        """Enter a run for samples of this provenance, in a transaction, unless it is entered."""
        if self._run and made_by == self._made_by:
            return
        if self._run:
            self.file.end_run(self._run)
        self._run, self._made_by = self.file.begin_run(made_by), dict(made_by)

    def _missing(self, task: TrainingTask, index: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which samples are in no sound block; delete the damaged blocks among them."""
        first, stop = int(index[0]), int(index[-1]) + 1
        missing = np.ones(index.size, dtype=bool)
        for part in self._sound(task, first, stop):
            missing &= (index < part.index[0]) | (index > part.index[-1])
        self._drop_damaged()
        return missing

    def _insert(
        self,
        task: TrainingTask,
        arrays: Mapping[str, NDArray[Any]],
        counts: list[int],
        baseline: float,
        seconds: float,
    ) -> None:
        """Add one block of consecutive samples, in a transaction."""
        file = io.BytesIO()
        np.savez_compressed(file, allow_pickle=False, **arrays)
        index, payload = arrays["index"], file.getvalue()
        shown = (int(index[0]), index.size, *counts, baseline, seconds, self._run)
        row = (*shown, _seal(task, shown, payload), payload)
        places = ", ".join("?" * len(row))
        self.file.all(
            f"INSERT INTO blocks (training, {COLUMNS}) VALUES (?, {places})", self._key(task), *row
        )

    def _drop_damaged(self) -> None:
        """Delete the damaged blocks and tasks, in a transaction."""
        for key, first in self.left_out:
            if first == ALL:
                self.file.all("DELETE FROM blocks WHERE training = ?", key)
                self.file.all("DELETE FROM trainings WHERE id = ?", key)
            else:
                self.file.all("DELETE FROM blocks WHERE (training, first) = (?, ?)", key, first)
        self.left_out.clear()


def _pieces(index: NDArray[np.int64], missing: NDArray[np.bool_], most: int) -> Iterator[slice]:
    """Yield slices of the missing samples: consecutive indices, at most `most` of them.

    Examples
    --------
    >>> import numpy as np
    >>> from vgsim._studies.training_store import _pieces
    >>> list(_pieces(np.array([3, 4, 5, 9]), np.array([True, True, True, True]), 2))
    [slice(0, 2, None), slice(2, 3, None), slice(3, 4, None)]
    """
    rows = np.flatnonzero(missing)
    for run in np.split(rows, np.flatnonzero((np.diff(index[rows]) > 1) | (np.diff(rows) > 1)) + 1):
        for start in range(0, run.size, most):
            part = run[start : start + most]
            yield slice(int(part[0]), int(part[-1]) + 1)


def _seal(task: TrainingTask, shown: tuple[Any, ...], payload: bytes) -> bytes:
    """Return the checksum of a block."""
    return checksum(task.digest, *shown, hashlib.sha256(payload).hexdigest())


def _unpacked(task: TrainingTask, row: tuple[Any, ...], made_by: Mapping[str, str]) -> Training:
    """Return the training of a block; raise if its row is damaged."""
    *shown, seal, payload = row
    if seal != _seal(task, tuple(shown), payload):
        raise ValueError("its checksum does not match")
    try:
        with np.load(io.BytesIO(payload), allow_pickle=False) as found:
            arrays = {name: found[name] for name in found.files}
    except (OSError, zipfile.BadZipFile) as error:
        raise ValueError("its arrays cannot be read") from error
    header = {
        "network": task.network.canonical_json(),
        "seed": task.seed,
        "setting": task.setting,
        "baseline": row[5],
        "provenance": made_by,
        "elapsed": row[6],
    }
    own = {name: np.array(getattr(task, name), dtype=np.int64) for name in OF_TASK}
    return Training._restored(header, arrays | own)
