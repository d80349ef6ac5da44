"""Studies in files: tasks and tallies as a JSON header and flat arrays."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vgsim._domains import checked_int
from vgsim._results.events import LOG10_RANGE
from vgsim._studies.possible import check_tally, refuse
from vgsim._studies.precision import Precision
from vgsim._studies.result import Result
from vgsim._studies.tally import COUNTED, Tally
from vgsim._studies.task import Task

__all__ = ["KIND", "described", "packed", "unpacked"]

KIND = "vgsim.Study"
ARRAYS = (*COUNTED, "entries", "bins", "counts")


def packed(study: Sequence[Result]) -> dict[str, NDArray[Any]]:
    """Return the counts of all results as flat arrays, concatenated in the order of the results."""
    tallies = [result.tally for result in study]
    pairs = [pair for tally in tallies for pair in tally.histogram]
    arrays = {name: _flat([getattr(tally, name) for tally in tallies]) for name in COUNTED}
    arrays["entries"] = np.array([bins.size for bins, _ in pairs], dtype=np.int64)
    arrays["bins"] = _flat([bins for bins, _ in pairs])
    arrays["counts"] = _flat([counts for _, counts in pairs])
    return arrays


def described(study: Sequence[Result]) -> list[dict[str, Any]]:
    """Return the tasks, ranges, stop rules and large integers of all results, as JSON types."""
    return [
        {
            "task": result.task.to_dict(),
            "n": result.n,
            "ranges": result.ranges,
            "watched": [asdict(rule) for rule in result.watched],
            "sums": result.tally.sums,
            "squares": result.tally.squares,
        }
        for result in study
    ]


def unpacked(
    described: Sequence[Mapping[str, Any]], arrays: Mapping[str, NDArray[Any]]
) -> list[Result]:
    """Return the results that the header and the arrays of a file describe.

    Raises
    ------
    LookupError, TypeError, ValueError
        If header and arrays are inconsistent, or no samples can have these counts.
    """
    if set(arrays) != set(ARRAYS):
        raise ValueError(f"its arrays must be {', '.join(ARRAYS)}, got {', '.join(arrays)}")
    for name, array in arrays.items():
        if array.dtype != np.int64 or array.ndim != 1:
            raise ValueError(f"{name} must be an int64 vector, got {array.ndim} d, {array.dtype}")
    refuse({"entries": arrays["entries"] >= 0})
    taken = dict.fromkeys(ARRAYS, 0)

    def take(name: str, *shape: int) -> NDArray[np.int64]:
        """Return the next entries of an array, in the given shape."""
        start = taken[name]
        taken[name] = start + math.prod(shape)
        return arrays[name][start : taken[name]].reshape(shape).copy()

    results = []
    for values in described:
        task = Task.from_dict(values["task"])
        k, t = len(task.layers), len(task.thresholds)
        shapes = dict.fromkeys(COUNTED, (k, len(LOG10_RANGE)))
        shapes |= {"vanishing": (k, t), "exploding": (k, t)}
        occupied = take("entries", k).tolist()
        tally = Tally(
            n=checked_int("n", values["n"], 0, 2**62, "2**62"),
            layers=np.array(task.layers, dtype=np.int64),
            thresholds=task.thresholds,
            dead=take("dead", k),
            **{name: take(name, *shapes[name]) for name in COUNTED if name != "dead"},
            sums=tuple(map(int, values["sums"])),
            squares=tuple(map(int, values["squares"])),
            histogram=tuple((take("bins", m), take("counts", m)) for m in occupied),
        )
        check_tally(tally)
        rules = [Precision(**rule) for rule in values["watched"]]
        for rule in rules:  # ValueError if its event was not counted
            tally.events(rule.event, rule.layer, None if rule.event == "dead" else rule.threshold)
        ranges = [tuple(piece) for piece in values["ranges"]]
        results.append(Result(task, tally, tuple(ranges), tuple(rules)))
    for name, column in arrays.items():
        if taken[name] != column.size:
            raise ValueError(f"{name} has {column.size} entries, not {taken[name]}")
    return results


def _flat(arrays: list[NDArray[np.int64]]) -> NDArray[np.int64]:
    """Return the entries of all arrays, concatenated."""
    nothing = np.zeros(0, dtype=np.int64)
    return np.concatenate([nothing, *(array.ravel() for array in arrays)])
