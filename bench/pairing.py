"""Timings to be compared are taken in turn, so that other load slows all of them alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial

import numpy as np

Turn = Callable[[], float]  # returns the seconds per item that it made


def timed(
    call: Callable[[], object], count: float, now: Callable[[], float] = time.perf_counter
) -> float:
    """Return the seconds per item of a call that makes `count` items, by the clock `now`."""
    started = now()
    call()
    return (now() - started) / count


def enough(
    make: Callable[[int], object],
    least: int,
    seconds: float,
    now: Callable[[], float] = time.perf_counter,
) -> int:
    """Return the multiple of `least` for which `make` takes about `seconds`; also warms up."""
    count = least
    while True:
        taken = timed(partial(make, count), 1, now)
        if taken > seconds / 4:
            return least * max(1, round(count * seconds / taken / least))
        count *= max(2, min(16, int(seconds / 2 / max(taken, 1e-6))))


def rounds(turns: Mapping[str, Turn], repeats: int) -> dict[str, list[float]]:
    """Return the seconds of every turn in every round; every other round has reverse order."""
    seconds: dict[str, list[float]] = {name: [] for name in turns}
    names = list(turns)
    for k in range(repeats):
        for name in names if k % 2 == 0 else reversed(names):
            seconds[name].append(turns[name]())
    return seconds


def ratio(slow: list[float], fast: list[float]) -> dict[str, float]:
    """Return slow/fast round by round: median, least and greatest quotient."""
    quotients = np.array(slow) / np.array(fast)
    return {
        "median": float(np.median(quotients)),
        "low": float(quotients.min()),
        "high": float(quotients.max()),
        "pairs": len(quotients),
    }


def median(seconds: list[float]) -> float:
    """Return the median as a float."""
    return float(np.median(seconds))
