"""A unit of work: consecutive samples of one task, simulated and counted."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vgsim._blocks import Blocks
from vgsim._execution import Progress
from vgsim._random import STREAM_VERSION
from vgsim._samples import Samples
from vgsim._simulate import simulate
from vgsim._task import Task

__all__ = ["Counted", "counted", "run_unit", "simulated"]

Counted = tuple[Blocks, float]  # with the seconds that the kernels took


def run_unit(
    task: Task, data: NDArray[np.float64] | None, first: int, end: int, n_threads: int
) -> Counted:
    """Simulate the samples first … end − 1 of a task and count them: what a worker does.

    Parameters
    ----------
    task : Task
    data : array or None
        The matrix whose digest is the task's inputs; None where these are normal.
    first, end : int
    n_threads : int

    Returns
    -------
    blocks : Blocks
    seconds : float
        That the kernels took.

    Raises
    ------
    ValueError
        If this vgsim draws other samples than the task's.
    MemoryError
        If they do not fit.

    Examples
    --------
    >>> import vgsim
    >>> from vgsim._task import Task
    >>> from vgsim._unit import run_unit
    >>> blocks, seconds = run_unit(Task(vgsim.MLP(10, 8)), None, 1000, 3000, 1)
    >>> blocks
    <Blocks: 2, samples 1000 to 2999>
    """
    return counted(task, simulated(task, data, first, end, n_threads))


def simulated(
    task: Task,
    data: NDArray[np.float64] | None,
    first: int,
    end: int,
    n_threads: int,
    progress: Progress = False,
) -> Samples:
    """Return the samples first … end − 1 of a task."""
    if task.stream_version != STREAM_VERSION:
        raise ValueError(
            f"this worker's vgsim draws stream version {STREAM_VERSION}, and the study is of "
            f"version {task.stream_version}: all must have one version"
        )
    return simulate(
        task.network,
        end - first,
        seed=task.seed,
        first=first,
        batch_size=task.batch_size,
        inputs="normal" if data is None else data,
        loss=task.loss,
        layers=task.layers,
        engine=task.engine,
        dtype=task.dtype,
        n_threads=n_threads,
        progress=progress,
    )


def counted(task: Task, samples: Samples) -> Counted:
    """Return what is kept of samples of a task."""
    return Blocks.of(samples, task.thresholds), samples.elapsed
