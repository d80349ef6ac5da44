"""Progress of the trainings in a store: samples done, what became of them, rate and time left."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

from vgsim._studies.status import duration
from vgsim._studies.training_store import TrainingReader

__all__ = ["TrainingStatus", "training_status"]

STACK_SECONDS = 7200.0  # that a stack may take, after which its process counts as lost
COUNTED = """SELECT count(*), coalesce(sum(held.n), 0), coalesce(sum(held.learned), 0),
  coalesce(sum(held.stuck), 0), coalesce(sum(held.diverged), 0), sum(target), count(target),
  coalesce(sum(max(target - coalesce(held.n, 0), 0)), 0)
FROM trainings LEFT JOIN (
  SELECT training AS id, sum(count) AS n, sum(learned) AS learned, sum(stuck) AS stuck,
    sum(diverged) AS diverged
  FROM blocks GROUP BY training
) AS held USING (id)"""


@dataclass(frozen=True)
class TrainingStatus:
    """Progress of the trainings in a store.

    Attributes
    ----------
    trainings : int
        Number of networks and settings.
    samples, learned, stuck, diverged : int
        Number of trained samples, and of those with each event by the defaults of
        :meth:`vgsim.Training.probability`.
    target : int or None
        Number of samples that the last studies asked for; None if unknown for some training.
    runs : int
        Number of processes that are adding samples now.
    rate, seconds_left : float or None
        Samples per second of these, and the time left; None if unknown.
    idle : float or None
        Seconds since a process last wrote to the store; None if no process ever did.
    """

    trainings: int
    samples: int
    learned: int
    stuck: int
    diverged: int
    target: int | None
    runs: int
    rate: float | None
    seconds_left: float | None
    idle: float | None

    def __str__(self) -> str:
        """Return the lines that ``vgsim status`` prints."""
        of_target = "" if self.target is None else f" of {self.target:,}"
        counts = f"{self.learned:,} learned, {self.stuck:,} stuck, {self.diverged:,} diverged"
        lines = [
            f"samples    {self.samples:,}{of_target}: {counts}",
            f"trainings  {self.trainings:,}",
        ]
        if self.rate is not None:
            processes = f"{self.runs} process{'es' if self.runs > 1 else ''}"
            lines.append(f"rate       {self.rate:,.1f} samples/s by {processes}")
            left = "unknown" if self.seconds_left is None else duration(self.seconds_left)
            lines.append(f"time left  {left}")
        elif self.idle is not None:
            ago = duration(self.idle)
            lines.append(f"idle       no process is running; last written {ago} ago")
        return "\n".join(lines)


def training_status(path: str | os.PathLike[str]) -> TrainingStatus:
    """Return the progress of the trainings in a store; its blocks are not checked.

    Raises
    ------
    TypeError, ValueError, OSError
        As for `TrainingReader`.
    """
    with TrainingReader(path, whole=False) as store:
        (counted,) = store.file.all(COUNTED)
        runs = store.file.runs_at_work(within=STACK_SECONDS)
        speeds = store.file.all(
            "SELECT sum(count), sum(seconds) FROM blocks "
            f"WHERE run IN ({', '.join(map(str, runs))}) GROUP BY run"
        )
        ((seen,),) = store.file.all("SELECT CAST(max(seen) AS REAL) FROM runs")
    trainings, samples, learned, stuck, diverged, target, known, missing = counted
    rate = sum(n / seconds for n, seconds in speeds if seconds)
    has_target = known == trainings > 0
    return TrainingStatus(
        trainings=trainings,
        samples=samples,
        learned=learned,
        stuck=stuck,
        diverged=diverged,
        target=target if has_target else None,
        runs=len(runs),
        rate=rate if runs else None,
        seconds_left=missing / rate if has_target and rate else None,
        idle=None if seen is None else max(0.0, time.time() - seen),
    )
