"""Blocks of samples that nobody drew, for tests of what is made of blocks."""

import numpy as np

from vgsim._studies.blocks import Blocks


def fake_blocks(task, counts, vanishing, first=0):
    """Blocks of a task's one layer and threshold, of which so many samples vanished; R = 0 in all.

    (That those do not vanish in their histogram does not matter to who looks at the counts.)
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
