"""Comparison of a value measured on simulated networks with the prediction of theory."""

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
    """A measured value with its standard error, and the predicted value.

    `slack` bounds the error of the prediction: 0 for an exact law; for a limit of infinite width,
    depth or batch, a multiple of the reciprocal of the width, depth or batch size.
    """

    name: str
    measured: float
    error: float
    predicted: float
    slack: float = 0.0

    @property
    def z(self) -> float:
        """Difference in standard errors."""
        return (self.measured - self.predicted) / self.error if self.error else 0.0

    @property
    def holds(self) -> bool:
        """Whether measured and predicted value agree."""
        return abs(self.measured - self.predicted) <= SIGMAS * self.error + self.slack

    def __str__(self) -> str:
        slack = f" ± {self.slack:.2g}" if self.slack else ""
        verdict = "" if self.holds else "   FAILS"
        return (
            f"{self.name:58} {self.measured:11.5f} ± {self.error:.5f}   predicted "
            f"{self.predicted:.5f}{slack}   z = {self.z:+.1f}{verdict}"
        )


def log_square(samples: vgsim.Samples, layer: int = 0) -> Array:
    """Return ln(‖G_l‖²/‖G_D‖²) of the samples that are not dead."""
    ratio = samples.log10_ratio[:, list(samples.layers).index(layer)]
    return 2 * math.log(10) * ratio[np.isfinite(ratio)]


def mean(x: Array) -> tuple[float, float]:
    """Return the mean and its standard error."""
    return float(x.mean()), float(x.std() / math.sqrt(len(x)))


def variance(x: Array) -> tuple[float, float]:
    """Return the variance and its standard error."""
    d = (x - x.mean()) ** 2
    return float(d.mean()), float(d.std() / math.sqrt(len(x)))


def log_mean_exp(x: Array) -> tuple[float, float]:
    """Return ln E exp(x) and its standard error."""
    e = np.exp(x - x.max())
    return float(np.log(e.mean()) + x.max()), float(e.std() / e.mean() / math.sqrt(len(x)))


def scaled(estimate: tuple[float, float], factor: float) -> tuple[float, float]:
    """Return an estimate and its standard error, both multiplied by a factor."""
    return factor * estimate[0], abs(factor) * estimate[1]
