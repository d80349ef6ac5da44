"""A number measured on simulated networks, beside the one that theory predicts."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

import vgsim

Array = NDArray[np.float64]
SIGMAS = 4


@dataclass(frozen=True)
class Comparison:
    """Both numbers, the measured one's standard error, and how far from exact the formula is.

    `slack` is 0 for an exact law. A limit of infinite width, depth or batch misses by something of
    the order of its reciprocal, which each check states.
    """

    name: str
    measured: float
    error: float
    predicted: float
    slack: float = 0.0

    @property
    def z(self) -> float:
        """By how many standard errors the two differ."""
        return (self.measured - self.predicted) / self.error if self.error else 0.0

    @property
    def holds(self) -> bool:
        """Whether the two agree."""
        return abs(self.measured - self.predicted) <= SIGMAS * self.error + self.slack

    def __str__(self) -> str:
        slack = f" ± {self.slack:.2g}" if self.slack else ""
        verdict = "" if self.holds else "   FAILS"
        return (
            f"{self.name:58} {self.measured:11.5f} ± {self.error:.5f}   predicted "
            f"{self.predicted:.5f}{slack}   z = {self.z:+.1f}{verdict}"
        )


def log_square(samples: vgsim.Samples, layer: int = 0) -> Array:
    """ln(‖G_l‖²/‖G_D‖²) of the samples that are not dead."""
    ratio = samples.log10_ratio[:, list(samples.layers).index(layer)]
    return 2 * math.log(10) * ratio[np.isfinite(ratio)]


def mean(x: Array) -> tuple[float, float]:
    """The mean and its standard error."""
    return float(x.mean()), float(x.std() / math.sqrt(len(x)))


def variance(x: Array) -> tuple[float, float]:
    """The variance and its standard error."""
    d = (x - x.mean()) ** 2
    return float(d.mean()), float(d.std() / math.sqrt(len(x)))


def log_mean_exp(x: Array) -> tuple[float, float]:
    """ln E exp(x) and its standard error."""
    e = np.exp(x - x.max())
    return float(np.log(e.mean()) + x.max()), float(e.std() / e.mean() / math.sqrt(len(x)))


def scaled(estimate: tuple[float, float], factor: float) -> tuple[float, float]:
    """An estimate and its error, both times a factor."""
    return factor * estimate[0], abs(factor) * estimate[1]
