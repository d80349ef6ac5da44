"""Progress of a study, from its store: samples done, target, rate and time left."""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from typing import Any

from vgsim._studies.precision import Precision
from vgsim._studies.store import Reader

__all__ = ["Status", "Target", "duration", "status", "targets"]

COUNTED = """SELECT count(*), coalesce(sum(finished IS NOT NULL), 0), coalesce(sum(n), 0),
  sum(target), coalesce(sum(min(n, target)), 0),
  sum(cost * target), coalesce(sum(cost * min(n, target)), 0), count(target)
FROM (
  SELECT cost, finished, coalesce(finished, max_samples) AS target, coalesce(held.n, 0) AS n
  FROM tasks LEFT JOIN (SELECT task AS id, sum(count) AS n FROM blocks GROUP BY task) AS held
  USING (id)
)"""


@dataclass(frozen=True)
class Status:
    """Progress of a study.

    Attributes
    ----------
    networks, finished : int
        Number of networks in the store, and of those that have met their target.
    samples : int
        Number of samples in the store.
    done, target : int or None
        Number of samples towards the target, and the target; None if only stop rules or time end
        the study.
    fraction : float or None
        Fraction of the work that is done, by relative cost; None if `target` is.
    runs : int
        Number of processes that are adding samples now.
    rate : float or None
        Samples per second of these processes; None without any.
    seconds_left : float or None
        None if unknown.
    idle : float or None
        Seconds since a process last wrote to the store; None if no process ever did.
    """

    networks: int
    finished: int
    samples: int
    done: int | None
    target: int | None
    fraction: float | None
    runs: int
    rate: float | None
    seconds_left: float | None
    idle: float | None

    def __str__(self) -> str:
        """Return the lines that ``vgsim status`` prints."""
        of_target = "" if self.target is None else f" of {self.target:,}"
        counted = self.samples if self.done is None else self.done
        beyond = self.samples - counted
        lines = [f"samples   {counted:,}{of_target}" + (f", and {beyond:,} more" if beyond else "")]
        lines.append(f"networks  {self.finished:,} of {self.networks:,} finished")
        if self.fraction is not None:
            lines.append(f"work      {100 * self.fraction:.1f} %")
        if self.rate is not None:
            processes = f"{self.runs} process{'es' if self.runs > 1 else ''}"
            lines.append(f"rate      {self.rate:,.0f} samples/s by {processes}")
            left = "unknown" if self.seconds_left is None else duration(self.seconds_left)
            lines.append(f"time left {left}")
        elif self.idle is not None:
            lines.append(f"idle      no process is running; last written {duration(self.idle)} ago")
        return "\n".join(lines)


def status(path: str | os.PathLike[str]) -> Status:
    """Return the progress of the study in a store; its blocks are not checked.

    Raises
    ------
    TypeError, ValueError, OSError
        As for `Reader`.

    Examples
    --------
    >>> import tempfile
    >>> import vgsim
    >>> from vgsim._studies.status import status
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = f"{folder}/study.sqlite"
    ...     study = vgsim.collect([vgsim.MLP(5, 8)], max_samples=2500, store=path)
    ...     found = status(path)
    >>> found.done, found.target, found.finished, found.runs
    (2500, 2500, 1, 0)
    """
    try:
        counted, runs, speeds, seen = _read(path, whole=False)
    except ValueError:  # damaged: read what can be salvaged
        counted, runs, speeds, seen = _read(path, whole=True)
    networks, finished, samples, target, done, work, worked, known = counted
    has_target = known == networks > 0
    rate = sum(n / seconds for n, _, seconds in speeds)
    pace = sum(cost / seconds for _, cost, seconds in speeds)
    return Status(
        networks=networks,
        finished=finished,
        samples=samples,
        done=done if has_target else None,
        target=target if has_target else None,
        fraction=worked / work if has_target and work else None,
        runs=runs,
        rate=rate if runs else None,
        seconds_left=(work - worked) / pace if has_target and pace else None,
        idle=None if seen is None else max(0.0, time.time() - seen),
    )


@dataclass(frozen=True)
class Target:
    """What ends the sampling of one network in a store.

    Attributes
    ----------
    max_samples : int or None
    rules : tuple of Precision
        The stop rules.
    finished : int or None
        The number of samples at which the target was met; None before.
    """

    max_samples: int | None
    rules: tuple[Precision, ...]
    finished: int | None


def targets(path: str | os.PathLike[str]) -> dict[str, Target]:
    """Return the targets of the last study in a store, by the digests of its tasks.

    Raises
    ------
    TypeError, ValueError, OSError
        As for `Reader`.

    Examples
    --------
    >>> import tempfile
    >>> import vgsim
    >>> from vgsim._studies.status import targets
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = f"{folder}/study.sqlite"
    ...     study = vgsim.collect([vgsim.MLP(5, 8)], max_samples=2500, store=path)
    ...     targets(path)[study[0].task.digest]
    Target(max_samples=2500, rules=(), finished=2500)
    """
    with Reader(path) as store:
        rows = store.file.all("SELECT digest, max_samples, rules, finished FROM tasks")
    return {
        digest: Target(most, tuple(Precision(**rule) for rule in json.loads(rules)), finished)
        for digest, most, rules, finished in rows
    }


def _read(path: str | os.PathLike[str], whole: bool) -> tuple[Any, int, list[Any], float | None]:
    """Return the row of COUNTED, the number of active runs, their speeds and the last write."""
    with Reader(path, whole) as store:
        (counted,) = store.file.all(COUNTED)
        runs = store.file.runs_at_work()
        speeds = store.file.all(
            "SELECT samples, work, seen - began FROM runs "
            f"WHERE id IN ({', '.join(map(str, runs))}) AND seen > began"
        )
        ((seen,),) = store.file.all("SELECT CAST(max(seen) AS REAL) FROM runs")
    return counted, len(runs), speeds, seen


def duration(seconds: float) -> str:
    """Return a duration as text, in its two largest units.

    Examples
    --------
    >>> from vgsim._studies.status import duration
    >>> duration(7.2), duration(3725), duration(200_000)
    ('7 s', '1 h 2 min', '2 d 7 h')
    """
    left = round(seconds)
    parts: list[str] = []
    for name, size in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        if left >= size or (name == "s" and not parts):
            parts.append(f"{left // size} {name}")
        elif parts:
            break
        left %= size
    return " ".join(parts[:2])
