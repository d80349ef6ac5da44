"""Blocks with given counts, made without samples."""

import numpy as np

from vgsim._studies.blocks import Blocks


def fake_blocks(task, counts, vanishing, first=0):
    """Return blocks of a task with one layer and threshold, and `vanishing` samples in each.

    Their histograms have R = 0 for all samples, which does not agree with the counts.
    """
    counts = np.asarray(counts, dtype=np.int64)
    m = len(counts)
    zeros = {"dead": (m, 1), "exploding": (m, 1, 1), "sums": (m, 1, 4), "squares": (m, 1, 7)}
    zeros |= {"underflow": (m, 1, 3), "overflow": (m, 1, 3)}
    return Blocks(
        layers=np.array(task.layers),
        thresholds=task.thresholds,
        first=first + np.concatenate([[0], np.cumsum(counts[:-1])]),
        count=counts,
        vanishing=np.asarray(vanishing, dtype=np.int64).reshape(m, 1, 1),
        entries=np.ones((m, 1), dtype=np.int64),
        bins=np.zeros(m, dtype=np.int64),
        counts=counts,
        **{name: np.zeros(shape, dtype=np.int64) for name, shape in zeros.items()},
    )
