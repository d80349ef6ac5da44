"""An estimate and its confidence interval."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic

import numpy as np
from numpy.typing import NDArray

from vgsim._domains import Number

if TYPE_CHECKING:
    from typing_extensions import TypeVar
else:

    def TypeVar(name: str, **_: Any) -> Any:  # typing's has no defaults before Python 3.13
        """Return a type variable; bound and default are for checkers only."""
        import typing

        return typing.TypeVar(name)


Floats = NDArray[np.float64]
Scalar = float | np.floating[Any] | np.integer[Any]  # arguments with a float as the result
V = TypeVar("V", bound=float | Floats, default=float | Floats, covariant=True)


@dataclass(frozen=True)
class Estimate(Generic[V]):
    """An estimated number and its two-sided confidence interval, or arrays of both along a curve.

    Attributes
    ----------
    estimate : float or float64 array
    low, high : float or float64 array
        Limits of the interval, of the shape of `estimate`. Along a curve they are pointwise.
        Checkers know which: ``Estimate[float]`` or ``Estimate[NDArray[np.float64]]``.
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

    estimate: V
    low: V
    high: V
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
