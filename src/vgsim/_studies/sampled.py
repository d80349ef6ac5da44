"""Samples as results of a study: their exact counts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from vgsim._checks import THRESHOLD
from vgsim._results.samples import Samples
from vgsim._studies.blocks import Blocks
from vgsim._studies.result import Result
from vgsim._studies.study import Study
from vgsim._studies.task import Task, checked_thresholds

__all__ = ["study_of_samples"]


def study_of_samples(runs: Iterable[Samples], thresholds: Sequence[float] = (THRESHOLD,)) -> Study:
    """Return a study with the exact counts of samples, one result per network and settings.

    Parameters
    ----------
    runs : iterable of Samples
        Runs of the same network and settings are added.
    thresholds : sequence of float, default (1e-6,)
        Thresholds of vanishing and exploding; 0 < threshold <= 1.

    Raises
    ------
    TypeError, ValueError
        If the indices of a run have gaps, two runs have a sample in common, or a threshold is out
        of range.

    Examples
    --------
    >>> import vgsim
    >>> from vgsim._studies.sampled import study_of_samples
    >>> network = vgsim.MLP(10, 8)
    >>> study = vgsim.collect([network], max_samples=2000)
    >>> study_of_samples([vgsim.simulate(network, 2000, layers=[0])]) == study
    True
    """
    cuts = checked_thresholds(thresholds)
    study = Study([])
    for samples in runs:
        task = Task(
            samples.network,
            seed=samples.seed,
            batch_size=samples.batch_size,
            loss=samples.loss,
            inputs=samples.inputs,
            layers=tuple(samples.layers.tolist()),
            thresholds=cuts,
            engine=samples.engine,
            dtype=samples.dtype,
        )
        blocks = Blocks.of(samples, cuts)
        ranges = [(samples.seed, int(samples.index[0]), int(samples.index[-1]) + 1)]
        study += Study([Result(task, blocks.total(), ranges)], samples.provenance)
    return study
