"""What became of a training: the events learned, stuck and diverged, from the recorded losses."""

from __future__ import annotations

import math
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from vgsim._checks import COUNTERS
from vgsim._domains import Choice, Number, checked_int
from vgsim.typing import TrainingEvent

__all__ = [
    "SMOOTHING",
    "TRAINING_EVENTS",
    "checked_level_of_loss",
    "checked_smoothing",
    "checked_training_event",
    "default_level",
    "happened",
    "smoothed",
    "until",
]

Floats = NDArray[np.float64]
SMOOTHING = 5  # recorded steps
PLATEAU = 0.9  # of the smaller of the baseline and the initial loss
ABOVE_START = 1.1  # times the initial loss
TRAINING_EVENTS: tuple[TrainingEvent, ...] = get_args(TrainingEvent)
_EVENT = Choice(TRAINING_EVENTS)
_LEVEL = Number("a number >= 0", lambda level: level >= 0)


def checked_training_event(event: object) -> TrainingEvent:
    """Return the name of an event; ValueError if it is unknown."""
    return _EVENT.check("event", event)


def checked_smoothing(smoothing: object) -> int:
    """Return the number of recorded steps of a running mean."""
    return checked_int("smoothing", smoothing, 1, COUNTERS - 1)


def checked_level_of_loss(level: object) -> float:
    """Return a level of the loss as a float.

    Examples
    --------
    >>> from vgsim._results.training_events import checked_level_of_loss
    >>> checked_level_of_loss(-1)
    Traceback (most recent call last):
    ValueError: level must be a number >= 0, got -1
    """
    return _LEVEL.check("level", level)


def default_level(baseline: float) -> float:
    """Return the level below which a network has learned: half of the baseline."""
    return baseline / 2


def until(steps: NDArray[np.int64], step: object) -> int:
    """Return the number of recorded steps that are at most `step`; None: all.

    Examples
    --------
    >>> import numpy as np
    >>> from vgsim._results.training_events import until
    >>> until(np.array([0, 10, 19]), 12), until(np.array([0, 10, 19]), None)
    (2, 3)
    """
    last = int(steps[-1])
    chosen = last if step is None else checked_int("step", step, 0, last)
    return int(np.searchsorted(steps, chosen, side="right"))


def smoothed(loss: Floats, smoothing: int) -> Floats:
    """Return the mean of the last `smoothing` recorded losses at each step, of fewer at first.

    Parameters
    ----------
    loss : float64 array, shape (n, k)
        From some step on inf in a network that diverged: so is the mean.
    smoothing : int

    Returns
    -------
    float64 array, shape (n, k)

    Examples
    --------
    >>> import numpy as np
    >>> from vgsim._results.training_events import smoothed
    >>> smoothed(np.array([[4.0, 2.0, 0.0, np.inf]]), 2)
    array([[ 4.,  3.,  1., inf]])
    """
    k = loss.shape[1]
    counts = np.minimum(np.arange(1, k + 1), smoothing)
    mean = np.zeros_like(loss)
    for back in range(min(smoothing, k)):
        mean[:, back:] += loss[:, : k - back] / counts[back:]
    return mean


def happened(
    event: TrainingEvent, loss: Floats, baseline: float, level: float, smoothing: int
) -> NDArray[np.bool_]:
    """Return in which samples an event happened up to the last step of `loss`, shape (n, k).

    The definitions are those of :meth:`Training.probability`.

    Examples
    --------
    >>> import numpy as np
    >>> from vgsim._results.training_events import TRAINING_EVENTS, happened
    >>> loss = np.array([[2.0, 0.5], [2.0, 2.0], [2.0, np.inf]])
    >>> for event in TRAINING_EVENTS:
    ...     print(event, happened(event, loss, 2.0, 1.0, 1).tolist())
    learned [True, False, False]
    stuck [False, True, False]
    diverged [False, False, True]
    """
    mean = smoothed(loss, smoothing)
    first, last = loss[:, 0], mean[:, -1]
    diverged: NDArray[np.bool_] = (last == math.inf) | (last / ABOVE_START > first)
    lowest = mean.min(axis=1)
    learned = lowest < level
    on_plateau = lowest >= PLATEAU * np.minimum(baseline, first)
    met: dict[TrainingEvent, NDArray[np.bool_]] = {
        "learned": learned,
        "diverged": diverged,
        "stuck": on_plateau & ~learned & ~diverged,
    }
    return met[event]
