"""Timings that are compared are taken in turns, so that a busy machine slows all of them alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial

import numpy as np

Turn = Callable[[], float]  # makes something and returns the seconds it took for each


def timed(call: Callable[[], object], count: float) -> float:
    """Seconds of a call that makes `count` things, for each of them."""
    started = time.perf_counter()
    call()
    return (time.perf_counter() - started) / count


def enough(make: Callable[[int], object], least: int, seconds: float) -> int:
    """The multiple of `least` that `make` needs about `seconds` for; also warms it up."""
    count = least
    while True:
        taken = timed(partial(make, count), 1)
        if taken > seconds / 4:
            return least * max(1, round(count * seconds / taken / least))
        count *= max(2, min(16, int(seconds / 2 / taken)))


def rounds(turns: Mapping[str, Turn], repeats: int) -> dict[str, list[float]]:
    """Seconds of every turn in every round; every other round runs backwards."""
    seconds: dict[str, list[float]] = {name: [] for name in turns}
    names = list(turns)
    for k in range(repeats):
        for name in names if k % 2 == 0 else reversed(names):
            seconds[name].append(turns[name]())
    return seconds


def ratio(slow: list[float], fast: list[float]) -> dict[str, float]:
    """How many times `fast` is as fast as `slow`: median, least and greatest of the rounds."""
    quotients = np.array(slow) / np.array(fast)
    return {
        "median": float(np.median(quotients)),
        "low": float(quotients.min()),
        "high": float(quotients.max()),
        "pairs": len(quotients),
    }


def median(seconds: list[float]) -> float:
    """The median as a plain number, which JSON takes."""
    return float(np.median(seconds))
