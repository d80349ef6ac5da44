"""The study that a store holds."""

from __future__ import annotations

import operator
import os
from functools import reduce

from vgsim._join import merged_provenance
from vgsim._result import Result
from vgsim._storage import Reader, Store
from vgsim._study import Study
from vgsim._tally import Tally
from vgsim._task import Task

__all__ = ["stored_study", "study_of"]


def stored_study(path: str | os.PathLike[str]) -> Study:
    """Return all that a store holds as a study, networks without a sample too.

    Raises
    ------
    TypeError, ValueError, OSError, ImportError
        As `Store.read` says; or if the store has a network twice, counted in two ways.

    Examples
    --------
    >>> import tempfile
    >>> import vgsim
    >>> from vgsim._stored_study import stored_study
    >>> with tempfile.TemporaryDirectory() as store:
    ...     study = vgsim.collect([vgsim.MLP(10, 16)], max_samples=2000, store=store)
    ...     stored_study(store)
    <Study: 1 network, 2000 samples>
    """
    return study_of(Store.read(path))


def study_of(reader: Reader) -> Study:
    """Return the study of an open store; the same network under several seeds is one result."""
    by_seed: dict[int, list[Result]] = {}
    for fields in reader.tasks.values():
        task = Task.from_dict(fields)
        blocks = reader.blocks(task)
        tally = Tally.empty(task.layers, task.thresholds) if blocks is None else blocks.total()
        ranges = [(task.seed, 0, tally.n)] if tally.n else []
        by_seed.setdefault(task.seed, []).append(Result(task, tally, ranges))
    made_by = reduce(merged_provenance, reader.provenance) if reader.provenance else {}
    studies = [Study(results, made_by) for results in by_seed.values()]
    return reduce(operator.add, studies) if studies else Study([], made_by)
