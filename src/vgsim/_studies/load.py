"""Reading samples, studies and trainings from files and stores: load()."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, Literal, overload

from numpy.typing import NDArray

from vgsim._checks import RELATIVE
from vgsim._domains import Choice, Number
from vgsim._engine.settings import checked_record, foreign_stream
from vgsim._networks.custom_table import keep_encoded
from vgsim._networks.description import network_from_json
from vgsim._results import npz
from vgsim._results.joined import merged_provenance
from vgsim._results.quantities import DTYPES, check_values
from vgsim._results.samples import IDENTITY, KIND, Samples
from vgsim._results.training import TRAINING_KIND, Training
from vgsim._studies import archive
from vgsim._studies.precision import Precision
from vgsim._studies.result import Result
from vgsim._studies.store import Reader
from vgsim._studies.store_file import local_path
from vgsim._studies.store_schema import TRAININGS
from vgsim._studies.study import Study
from vgsim._studies.tally import Tally
from vgsim._studies.task import Task
from vgsim._studies.training_store import TrainingReader
from vgsim._studies.training_study import TRAINING_STUDY_KIND, TrainingStudy
from vgsim.typing import Contents

__all__ = [
    "Found",
    "Loaded",
    "holds_trainings",
    "is_store",
    "load",
    "read_studies",
    "saved_study",
    "stored_study",
    "stored_trainings",
    "watched_study",
]

KINDS: dict[Contents, str] = {
    "samples": KIND,
    "study": archive.KIND,
    "training": TRAINING_KIND,
    "training_study": TRAINING_STUDY_KIND,
}
_CONTENTS = Choice(tuple(KINDS))


Loaded = Samples | Study | Training | TrainingStudy


@dataclass(frozen=True)
class Found:
    """The contents of a store or of the file of a study.

    Attributes
    ----------
    studies : list of Study
        One for each combination of counted layers and thresholds.
    damaged : list of (what, why)
        The damaged parts of a store, which are not used.
    """

    studies: list[Study]
    damaged: list[tuple[str, str]]


def read_studies(path: str | os.PathLike[str], watched: bool = False) -> Found:
    """Read the whole contents of a store, or of the file of a study.

    A store may hold blocks after the one at which a stop rule was met; they are included.

    Parameters
    ----------
    path : path-like
        A store, or an .npz file of :meth:`Study.save`.
    watched : bool, default False
        Whether the default intervals of probabilities are anytime-valid.

    Raises
    ------
    TypeError, ValueError, OSError
        As for `Reader` and `load`.

    Examples
    --------
    >>> import tempfile
    >>> import vgsim
    >>> from vgsim._studies.load import read_studies
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = f"{folder}/study.sqlite"
    ...     study = vgsim.collect([vgsim.MLP(5, 8)], max_samples=1000, store=path)
    ...     read_studies(path).studies == [study]
    True
    """
    if not is_store(path):
        study = saved_study(path)
        return Found([watched_study(study) if watched else study], [])
    found: dict[object, dict[object, Result]] = {}
    with Reader(path) as store:
        for task in store.tasks():
            tally = Tally.empty(task.layers, task.thresholds)
            for blocks in store.blocks(task):
                tally += blocks.total()
            result = Result(task, tally, [(task.seed, 0, tally.n)] if tally.n else [])
            alike = found.setdefault((task.layers, task.thresholds), {})
            other = alike.get(key := (task.network, *task.setting.values()))
            alike[key] = result if other is None else other + result
        made: dict[str, str] = reduce(merged_provenance, store.provenance, {})
    studies = [Study(alike.values(), made) for alike in found.values()]
    return Found([watched_study(study) for study in studies] if watched else studies, store.damaged)


def saved_study(path: str | os.PathLike[str]) -> Study:
    """Read a file of :meth:`Study.save`; errors are those of :func:`vgsim.load`."""
    study = _saved(path, archive.KIND)
    assert isinstance(study, Study)
    return study


def _saved(path: str | os.PathLike[str], *kinds: str) -> Loaded:
    """Read a file of one of `kinds`; refuse contents that `save` could not have written."""
    kind, header, arrays = npz.read(path, *kinds)
    made = header.get("provenance")
    if not isinstance(made, dict) or not all(isinstance(x, str) for x in made.values()):
        made = None
    elif reason := foreign_stream(made):
        raise ValueError(f"{path} {reason}")
    try:
        if made is None:
            raise ValueError(f"provenance must be strings by name, got {header['provenance']!r}")
        keep_encoded(header.get("custom_tables", {}))
        found = _RESTORED[kind](header, arrays)
        again, given = (json.dumps(x, sort_keys=True) for x in (found._header(), header))
        if again != given:
            raise ValueError(f"its header differs from that of {found!r}")
    except (LookupError, TypeError, ValueError, ArithmeticError, RecursionError) as error:
        what = _CONSISTENT[kind]
        words = f"no {error}" if isinstance(error, KeyError) else str(error)
        reason = "".join(c if c.isprintable() else " " for c in words[:400])
        raise ValueError(f"{path} does not hold {what}: {reason}") from error
    return found


def _study(header: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> Study:
    return Study(archive.unpacked(header["results"], arrays), header["provenance"])


def _samples(header: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> Samples:
    for name, array in arrays.items():
        if array.dtype not in DTYPES.get(name, ()):
            raise ValueError(f"{name!r} is unknown, or of another type: {array.dtype}")
    names = ("seed", "batch_size", "loss", "inputs", "engine", "dtype")
    sampling = {name: header[name] for name in names}
    task = Task(network_from_json(header["network"]), layers=arrays["layers"].tolist(), **sampling)
    fields: dict[str, Any] = {name: getattr(task, name) for name in IDENTITY}
    fields |= {"provenance": header["provenance"], **arrays}
    samples = Samples(**fields, elapsed=_ELAPSED.check("elapsed", header["elapsed"]))
    checked_record(samples.record, samples.network, task.settings(None))
    check_values(samples.network, samples.layers, samples._arrays)
    return samples


_RESTORED: dict[str, Callable[[Any, Any], Loaded]] = {
    KIND: _samples,
    archive.KIND: _study,
    TRAINING_KIND: Training._restored,
    TRAINING_STUDY_KIND: TrainingStudy._restored,
}
_CONSISTENT = {
    KIND: "consistent samples",
    archive.KIND: "a consistent study",
    TRAINING_KIND: "a consistent training",
    TRAINING_STUDY_KIND: "a consistent study of trainings",
}
_ELAPSED = Number("a number of seconds", lambda seconds: seconds >= 0)


def stored_study(path: str | os.PathLike[str]) -> Study:
    """Return the study in a store, including networks without samples: see :func:`vgsim.load`.

    Raises
    ------
    TypeError, ValueError, OSError
        As for `Reader`; or if networks were counted at different layers or thresholds.

    Examples
    --------
    >>> import tempfile
    >>> import vgsim
    >>> from vgsim._studies.load import stored_study
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     store = f"{folder}/study.sqlite"
    ...     study = vgsim.collect([vgsim.MLP(10, 16)], max_samples=2000, store=store)
    ...     stored_study(store)
    <Study: 1 network, 2000 samples>
    """
    studies = read_studies(path).studies
    if len(studies) > 1:
        ways = "; ".join(
            f"layers {study[0].task.layers}, thresholds {study[0].task.thresholds}"
            for study in studies
        )
        raise ValueError(f"{path} has different layers or thresholds for its networks: {ways}")
    return studies[0] if studies else Study([])


def stored_trainings(path: str | os.PathLike[str]) -> tuple[TrainingStudy, list[tuple[str, str]]]:
    """Return the sound trainings in a store, and its damaged parts, each as (what, why)."""
    with TrainingReader(path) as store:
        parts = [store.read(task) for task in store.tasks()]
        return TrainingStudy([Training._joined(part) for part in parts if part]), store.damaged


def watched_study(study: Study) -> Study:
    """Return `study` with a stop rule for every event, so that its intervals are anytime-valid."""
    return Study(
        [Result(result.task, result.tally, result.ranges, _rules(result.task)) for result in study],
        study.provenance,
    )


def _rules(task: Task) -> Sequence[Precision]:
    return [
        *(
            Precision(0.1, event=event, layer=layer, threshold=threshold)
            for event in RELATIVE
            for layer in task.layers
            for threshold in task.thresholds
        ),
        *(Precision(0.1, event="dead", layer=layer) for layer in task.layers),
    ]


@overload
def load(path: str | os.PathLike[str], kind: Literal["samples"]) -> Samples: ...
@overload
def load(path: str | os.PathLike[str], kind: Literal["study"]) -> Study: ...
@overload
def load(path: str | os.PathLike[str], kind: Literal["training"]) -> Training: ...
@overload
def load(path: str | os.PathLike[str], kind: Literal["training_study"]) -> TrainingStudy: ...
@overload
def load(path: str | os.PathLike[str], kind: None = None) -> Loaded: ...
def load(path: str | os.PathLike[str], kind: Contents | None = None) -> Loaded:
    """Read a file of :meth:`Samples.save` and the like, or a store of a study or of trainings.

    Parameters
    ----------
    path : path-like
        A file of :meth:`Samples.save`, :meth:`Study.save`, :meth:`Training.save` or
        :meth:`TrainingStudy.save`; or the `store` of :func:`collect` or of `train`. From a store,
        the consecutive samples from index 0 on of every network are read, and all samples of
        trainings; other processes may be adding samples meanwhile.
    kind : {"samples", "study", "training", "training_study"}, optional
        What the file must hold. Type checkers then know the type of the result.

    Returns
    -------
    Samples, Study, Training or TrainingStudy

    Raises
    ------
    TypeError
        If `path` is not a path, or `kind` not a string.
    OSError
        If the file cannot be read.
    ValueError
        If the file is damaged, is not one of these or not of the given kind, has another version of
        the format, has samples of another stream version, or holds values that are out of range or
        inconsistent.

    Examples
    --------
    >>> import tempfile
    >>> import vgsim
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     vgsim.simulate(vgsim.MLP(5, 8), 100).save(f"{folder}/tanh.npz")
    ...     samples = vgsim.load(f"{folder}/tanh.npz", "samples")
    >>> len(samples)
    100
    >>> vgsim.load("no such file.npz")
    Traceback (most recent call last):
    FileNotFoundError: [Errno 2] No such file or directory: 'no such file.npz'
    """
    kinds = KINDS if kind is None else {kind: KINDS[_CONTENTS.check("kind", kind)]}
    if not is_store(path):
        return _saved(path, *kinds.values())
    stored: Contents = "training_study" if holds_trainings(path) else "study"
    if stored not in kinds:
        raise ValueError(f"{path} holds {KINDS[stored]}, not {' or '.join(kinds.values())}")
    return stored_trainings(path)[0] if stored == "training_study" else stored_study(path)


def holds_trainings(path: object) -> bool:
    """Return whether a file is a store of trainings, or a file of trainings."""
    if is_store(path):
        return _pragma(path, "application_id") == TRAININGS.application
    return npz.kind_of(local_path(path, "path")) in (TRAINING_KIND, TRAINING_STUDY_KIND)


def is_store(path: object) -> bool:
    """Return whether a file is an SQLite database."""
    return bool(_pragma(path, "page_count"))


def _pragma(path: object, name: str) -> int:
    """Return a number in the header of an SQLite database, 1 if it is locked; 0 for other files.

    SQLite itself opens the file: closing a file descriptor of ours would release SQLite's locks.
    """
    file = local_path(path, "path")
    if not file.exists():
        return 0
    try:
        connection = sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)
    except sqlite3.Error:
        return 0
    try:
        return int(connection.execute(f"PRAGMA {name}").fetchone()[0])
    except (sqlite3.OperationalError, UnicodeDecodeError):
        return 1
    except sqlite3.DatabaseError:
        return 0
    finally:
        connection.close()
