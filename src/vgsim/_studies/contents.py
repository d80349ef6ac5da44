"""The results in stores, in files of studies and of samples, and in folders of samples."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from vgsim._checks import THRESHOLD, value_error
from vgsim._results.samples import Samples
from vgsim._results.training import Training
from vgsim._studies.counted import check_gradients, counted
from vgsim._studies.load import (
    holds_trainings,
    is_store,
    load,
    read_studies,
    stored_trainings,
    watched_study,
)
from vgsim._studies.status import Status, status
from vgsim._studies.study import Study
from vgsim._studies.training_study import TrainingStudy

__all__ = ["Contents", "Trainings", "contents", "kinds", "trainings_in"]


@dataclass(frozen=True)
class Contents:
    """The contents of files.

    Attributes
    ----------
    studies : list of Study
        One for each combination of counted layers and thresholds.
    damaged : list of (what, why)
        The damaged parts of stores, which are not used.
    progress : dict of str to Status
        The progress of the study in each store.
    """

    studies: list[Study]
    damaged: list[tuple[str, str]]
    progress: dict[str, Status]


def contents(
    paths: Iterable[str | os.PathLike[str]],
    layers: Sequence[int] | None = None,
    thresholds: Sequence[float] | None = None,
    watched: bool = False,
) -> Contents:
    """Read the contents of files together; samples of a network in several files are added.

    Parameters
    ----------
    paths : iterable of path-like
        Stores, .npz files of a study or of samples, and folders with .npz files.
    layers : sequence of int, optional
        Only studies at exactly these layers; of samples, these layers.
    thresholds : sequence of float, optional
        Only studies at exactly these thresholds; those at which samples are counted (default:
        1e-6).
    watched : bool, default False
        Whether the default intervals of probabilities are anytime-valid.

    Raises
    ------
    TypeError, ValueError, OSError
        As for :func:`vgsim.load`; or if two files have the same samples, or a folder no files.

    Examples
    --------
    >>> import tempfile
    >>> import vgsim
    >>> from vgsim._studies.contents import contents
    >>> net = vgsim.MLP(5, 8)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     vgsim.simulate(net, 1000).save(f"{folder}/a.npz")
    ...     vgsim.simulate(net, 500, first=1000).save(f"{folder}/b.npz")
    ...     contents([folder], layers=[0]).studies
    [<Study: 1 network, 1500 samples>]
    """
    found = Contents([], [], {})
    alike: dict[object, Study] = {}
    for path in _files(paths):
        if is_store(path):
            stored = read_studies(path, watched)
            studies = stored.studies
            found.damaged.extend(stored.damaged)
            found.progress[str(path)] = status(path)
        else:
            read = load(path)
            if isinstance(read, (Training, TrainingStudy)):
                raise ValueError(f"{path} holds trainings, which have no counts of gradients")
            if isinstance(read, Samples):
                check_gradients(read, path)
                result = counted(read, thresholds or (THRESHOLD,), layers)
                read = Study([result], read.provenance)
            studies = [watched_study(read) if watched else read]
        for study in filter(len, studies):
            task = study[0].task
            key = task.layers, task.thresholds
            try:
                alike[key] = alike[key] + study if key in alike else study
            except ValueError as error:
                raise ValueError(f"{path} cannot be shown with the files before it: {error}") from (
                    error
                )
    found.studies.extend(alike.values())
    return _chosen(found, layers, thresholds)


@dataclass(frozen=True)
class Trainings:
    """The trainings in files, and the damaged parts of stores, each as (what, why)."""

    study: TrainingStudy
    damaged: list[tuple[str, str]]


def trainings_in(paths: Iterable[str | os.PathLike[str]]) -> Trainings | None:
    """Read the trainings in files together; None if the files hold other results.

    Raises
    ------
    TypeError, ValueError, OSError
        As for :func:`vgsim.load`; or if only some files hold trainings, or two have the same
        samples.

    Examples
    --------
    >>> import tempfile
    >>> import vgsim
    >>> from vgsim._studies.contents import trainings_in
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     vgsim.TrainingStudy([]).save(f"{folder}/none.npz")
    ...     trainings_in([folder])
    Trainings(study=<TrainingStudy: 0 trainings, 0 networks>, damaged=[])
    """
    files = _files(paths)
    trained = {file: holds_trainings(file) for file in files}
    if not any(trained.values()):
        return None
    if not all(trained.values()):
        yes, no = (next(file for file in files if trained[file] is held) for held in (True, False))
        raise ValueError(f"{yes} holds trainings and {no} does not: give them in separate commands")
    study, damaged = TrainingStudy([]), []
    for file in files:
        part, trouble = _trainings_of(file)
        damaged += trouble
        try:
            study += part
        except ValueError as error:
            raise ValueError(f"{file} cannot be shown with the files before it: {error}") from error
    return Trainings(study, damaged)


def _trainings_of(file: Path) -> tuple[TrainingStudy, list[tuple[str, str]]]:
    """Return the trainings in a file, and its damaged parts."""
    if is_store(file):
        return stored_trainings(file)
    read = load(file)
    if isinstance(read, Training):
        return TrainingStudy([read]), []
    assert isinstance(read, TrainingStudy)
    return read, []


def _files(paths: Iterable[str | os.PathLike[str]]) -> list[Path]:
    """Return the paths, with the .npz files of a folder in its place."""
    found: list[Path] = []
    for path in map(Path, paths):
        inside = sorted(path.glob("*.npz"), key=_by_numbers) if path.is_dir() else [path]
        if not inside:
            raise value_error("files", f"must not be a folder without .npz files, got {path}")
        found += inside
    return found


def _by_numbers(path: Path) -> list[tuple[int, str]]:
    """Return a key that sorts names by the numbers in them: depth-20 before depth-100."""
    parts = re.split(r"(\d+)", path.name)
    return [(int(part), "") if part.isdecimal() else (0, part) for part in parts]


def _chosen(
    found: Contents, layers: Sequence[int] | None, thresholds: Sequence[float] | None
) -> Contents:
    """Return the studies with the given layers and thresholds; raise if there are others only."""
    chosen = [
        study
        for study in found.studies
        if (layers is None or set(layers) == set(study[0].task.layers))
        and (thresholds is None or set(thresholds) == set(study[0].task.thresholds))
    ]
    if found.studies and not chosen:
        raise ValueError(f"there are only {'; '.join(kinds(found.studies))}")
    return Contents(chosen, found.damaged, found.progress)


def kinds(studies: Iterable[Study]) -> list[str]:
    """Return the layers and thresholds of each study, as options of the command."""
    return [
        f"--layers {' '.join(map(str, study[0].task.layers))} "
        f"--thresholds {' '.join(f'{x:g}' for x in study[0].task.thresholds)}"
        for study in studies
        if len(study)
    ]
