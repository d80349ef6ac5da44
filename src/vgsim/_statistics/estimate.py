"""An estimate and its confidence interval."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vgsim._domains import Number

Value = float | NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """An estimated number and its two-sided confidence interval, or arrays of both along a curve.

    Attributes
    ----------
    estimate : float or float64 array
    low, high : float or float64 array
        Limits of the interval, of the shape of `estimate`. Along a curve they are pointwise.
    confidence_level : float
        The nominal coverage.
    method : str
        Method of the interval.

    Examples
    --------
    >>> from vgsim._statistics.estimate import Estimate
    >>> print(Estimate(-1.25, -1.31, -1.2, 0.95, "bootstrap"))
    -1.25 (95 % interval -1.31 to -1.2)
    """

    estimate: Value
    low: Value
    high: Value
    confidence_level: float
    method: str

    def __str__(self) -> str:
        level = f"{100 * self.confidence_level:g} % interval"
        if isinstance(self.estimate, np.ndarray):
            return f"{self.estimate} ({level} {self.low} to {self.high})"
        return f"{self.estimate:.6g} ({level} {self.low:.6g} to {self.high:.6g})"


LEVEL = Number("a number strictly between 0 and 1", lambda level: 0 < level < 1)


def checked_level(confidence_level: object) -> float:
    """Return a confidence level as a float; ValueError outside (0, 1).

    Examples
    --------
    >>> from vgsim._statistics.estimate import checked_level
    >>> checked_level(95)
    Traceback (most recent call last):
    ValueError: confidence_level must be a number strictly between 0 and 1, got 95
    """
    return LEVEL.check("confidence_level", confidence_level)
