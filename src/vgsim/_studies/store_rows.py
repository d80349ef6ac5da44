"""The rows of a study's store: a task as columns, and the exact counts of a block as bytes."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vgsim._results.events import LOG10_RANGE
from vgsim._studies.blocks import LIMBS, SQUARE_LIMBS, Blocks
from vgsim._studies.store_file import checksum
from vgsim._studies.task import Task
from vgsim._studies.training_task import TrainingTask

__all__ = ["joined", "labels", "packed", "task_row", "unpacked"]


def labels(task: Task | TrainingTask) -> dict[str, Any]:
    """Return the labels of a task for the view; seeds beyond 64 bits are text."""
    known = {name: value for name, value in task.columns.items() if value is not None}
    return known | {"seed": task.seed if task.seed < 2**63 else str(task.seed)}


def task_row(task: Task, shown: dict[str, Any]) -> tuple[str, str, str, float, bytes]:
    """Return digest, description, labels, cost and checksum of a task with the labels `shown`."""
    columns = task.digest, task.json, json.dumps(shown), task.cost
    return (*columns, checksum(*columns))


def packed(
    task: Task, blocks: Blocks
) -> Iterator[tuple[int, int, bytes, bytes, list[tuple[Any, ...]]]]:
    """Yield first, count, checksum, payload and the rows of counts of each block.

    The payload is one byte w, and then little-endian integers: underflow, overflow, entries and
    counts of 2 bytes, sums and squares of 8 bytes, and bins of w bytes.
    """
    places = [(layer, threshold) for layer in task.layers for threshold in task.thresholds]
    past = np.concatenate([[0], np.cumsum(blocks.entries.sum(axis=1))])
    t = len(task.thresholds)
    for i, (first, count) in enumerate(
        zip(blocks.first.tolist(), blocks.count.tolist(), strict=True)
    ):
        occupied = slice(past[i], past[i + 1])
        bins = blocks.bins[occupied]
        width = next(w for w in (2, 4, 8) if w == 8 or np.all(np.abs(bins) < 2 ** (8 * w - 1)))
        short = blocks.underflow[i], blocks.overflow[i], blocks.entries[i], blocks.counts[occupied]
        payload = b"".join(
            [
                bytes([width]),
                *(part.astype("<i2").tobytes() for part in short),
                *(part.astype("<i8").tobytes() for part in (blocks.sums[i], blocks.squares[i])),
                bins.astype(f"<i{width}").tobytes(),
            ]
        )
        events = blocks.vanishing[i].ravel(), blocks.exploding[i].ravel(), blocks.dead[i].repeat(t)
        counted = [(count, *row) for row in zip(*(part.tolist() for part in events), strict=True)]
        seal = _checksum(task, first, count, payload, counted)
        yield first, count, seal, payload, [(*p, *c) for p, c in zip(places, counted, strict=True)]


def _checksum(
    task: Task, first: int, count: int, payload: bytes, counted: Sequence[tuple[int, ...]]
) -> bytes:
    digest = hashlib.sha256(f"{task.digest} {first} {count} ".encode())
    digest.update(np.array(counted, dtype="<i8").tobytes())
    digest.update(payload)
    return digest.digest()


def unpacked(task: Task, row: tuple[Any, ...], counts: Sequence[tuple[Any, ...]]) -> dict[str, Any]:
    """Return the arrays of one block; raise ValueError if the row is damaged."""
    first, count, seal, payload = row
    k, t = len(task.layers), len(task.thresholds)
    places = [(layer, threshold) for layer in task.layers for threshold in task.thresholds]
    if [place[:2] for place in counts] != places:
        raise ValueError("its rows of counts are missing or altered")
    counted = [tuple(place[2:]) for place in counts]
    if seal != _checksum(task, first, count, bytes(payload), counted):
        raise ValueError("its checksum does not match")
    taken = 1

    def take(width: int, *shape: int) -> NDArray[np.int64]:
        nonlocal taken
        size = math.prod(shape)
        part = np.frombuffer(payload, f"<i{width}", size, taken).astype(np.int64)
        taken += size * width
        return part.reshape(shape)

    formats = len(LOG10_RANGE)
    found = {"first": first, "count": count}
    found |= {"underflow": take(2, k, formats), "overflow": take(2, k, formats)}
    found["entries"] = take(2, k)
    occupied = int(found["entries"].sum())
    found["counts"] = take(2, occupied)
    found |= {"sums": take(8, k, LIMBS), "squares": take(8, k, SQUARE_LIMBS)}
    found["bins"] = take(payload[0], occupied)
    if taken != len(payload) or any(number != count for number, *_ in counted):
        raise ValueError("its payload has another length")
    events = np.array(counted, dtype=np.int64).reshape(k, t, 4)
    found |= {"vanishing": events[..., 1], "exploding": events[..., 2], "dead": events[:, 0, 3]}
    return found


def joined(task: Task, columns: Sequence[dict[str, Any]]) -> Blocks:
    """Return consecutive blocks as one `Blocks`, from the arrays of each."""
    flat = ("bins", "counts")
    return Blocks(
        layers=np.array(task.layers, dtype=np.int64),
        thresholds=task.thresholds,
        **{
            name: (np.concatenate if name in flat else np.array)([part[name] for part in columns])
            for name in columns[0]
        },
    ).checked()
