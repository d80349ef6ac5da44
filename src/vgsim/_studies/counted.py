"""Counts of samples that were kept: the result of a file of samples."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np

from vgsim._checks import THRESHOLD
from vgsim._results.events import column_of
from vgsim._results.samples import IDENTITY, Samples
from vgsim._studies.blocks import Blocks
from vgsim._studies.result import Result
from vgsim._studies.task import Task

__all__ = ["check_gradients", "counted"]

ARRAYS = ("gradient", "rms_min", "rms_max")  # by layer


def check_gradients(samples: Samples, path: object) -> None:
    """Refuse samples of a file in which no gradients were recorded."""
    if "gradient" not in samples.record:
        recorded = ", ".join(samples.record) or "nothing"
        raise ValueError(f"{path} must have samples with recorded gradients, has {recorded}")


def counted(
    samples: Samples,
    thresholds: Iterable[float] = (THRESHOLD,),
    layers: Sequence[int] | None = None,
) -> Result:
    """Return the counts of samples, as those of a study.

    Parameters
    ----------
    samples : Samples
    thresholds : iterable of float, default (1e-6,)
        Thresholds of vanishing and exploding.
    layers : sequence of int, optional
        Some of the recorded layers, by default all.

    Raises
    ------
    TypeError, ValueError
        If a layer was not recorded, or a threshold is not a number in (0, 1].

    Examples
    --------
    >>> import vgsim
    >>> from vgsim._studies.counted import counted
    >>> net = vgsim.MLP(50, 32, activation="sigmoid")
    >>> samples = vgsim.simulate(net, 1000, layers=(50, 0))
    >>> counted(samples) == vgsim.collect([net], max_samples=1000, layers=(0, 50))[0]
    True
    """
    chosen = sorted(samples.layers.tolist() if layers is None else layers)
    columns = [column_of(layer, samples.layers, "recorded", "layers") for layer in chosen]
    fields = {name: getattr(samples, name) for name in IDENTITY}
    task = Task(**fields, layers=tuple(chosen), thresholds=tuple(thresholds))
    gaps = np.flatnonzero(np.diff(samples.index) != 1) + 1
    edges = [0, *gaps.tolist(), len(samples)]
    parts = []
    for start, end in pairwise(edges):
        rows = slice(start, end)
        run = Samples(
            **fields,
            index=samples.index[rows],
            layers=chosen,
            provenance=samples.provenance,
            elapsed=0.0,
            output_gradient=samples.output_gradient[rows],
            dead=samples.dead[rows],
            **{name: getattr(samples, name)[rows][:, columns] for name in ARRAYS},
        )
        tally = Blocks.of(run, task.thresholds).total()
        first, last = int(run.index[0]), int(run.index[-1])
        parts.append(Result(task, tally, [(task.seed, first, last + 1)]))
    return sum(parts[1:], parts[0])
