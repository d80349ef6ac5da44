"""An estimate and its confidence interval."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic

import numpy as np
from numpy.typing import NDArray

from vgsim._display import block, line, table
from vgsim._domains import Number
from vgsim._statistics.rounded import rounded, rounded_parts

if TYPE_CHECKING:
    from typing_extensions import TypeVar
else:

    def TypeVar(name: str, **_: Any) -> Any:  # typing's has no defaults before Python 3.13
        """Return a type variable; bound and default are for checkers only."""
        import typing

        return typing.TypeVar(name)


SHOWN = 3  # entries of an array at each end, in text
Floats = NDArray[np.float64]
Scalar = float | np.floating[Any] | np.integer[Any]  # arguments with a float as the result
V = TypeVar("V", bound=float | Floats, default=float | Floats, covariant=True)


@dataclass(frozen=True, repr=False)
class Estimate(Generic[V]):
    """An estimated number and its two-sided confidence interval, or arrays of both along a curve.

    Its text has the digits that the interval supports, and the first and last entries of an array;
    the attributes have all.

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
    >>> import vgsim
    >>> found = vgsim.Estimate(-1.25123, -1.30987, -1.20456, 0.95, "bootstrap")
    >>> print(found)
    -1.251 (95 % interval -1.31 to -1.20)
    >>> found
    <Estimate: -1.251 (-1.31 to -1.20), 95 % bootstrap interval>
    """

    estimate: V
    low: V
    high: V
    confidence_level: float
    method: str

    def __str__(self) -> str:
        level = f"{100 * self.confidence_level:g} %"
        if isinstance(self.estimate, np.ndarray):
            return f"{self._shown()} ({level} intervals)"
        return in_words(self.estimate, float(self.low), float(self.high), self.confidence_level)

    def __repr__(self) -> str:
        several = "s" * isinstance(self.estimate, np.ndarray)
        interval = f"{100 * self.confidence_level:g} % {self.method} interval{several}"
        return f"<Estimate: {self._shown()}, {interval}>"

    def _repr_html_(self) -> str:
        level = f"{100 * self.confidence_level:g} % intervals: {self.method}"
        if not isinstance(self.estimate, np.ndarray):
            value, _, rest = self._shown().partition(" ")
            return block(line(rest, strong=value), line(level.replace("intervals", "interval")))
        places = [", ".join(map(str, place)) for place in np.ndindex(self.estimate.shape)]
        rows = list(zip(places, self._entries(), strict=True))
        return block(table(("entry", "estimate"), rows, level, words=0))

    def _entries(self) -> list[str]:
        """Return each number with its interval as text."""
        parts = (np.ravel(part).tolist() for part in (self.estimate, self.low, self.high))
        return [rounded(*entry) for entry in zip(*parts, strict=True)]

    def _shown(self) -> str:
        """Return the number, or the first and the last ones of an array and its shape."""
        if not isinstance(self.estimate, np.ndarray):
            return self._entries()[0]
        texts = self._entries()
        if len(texts) > 2 * SHOWN:
            texts = [*texts[:SHOWN], "...", *texts[-SHOWN:]]
        shape = f" of shape {self.estimate.shape}" * (self.estimate.ndim != 1)
        return f"[{', '.join(texts)}]{shape}"


def in_words(value: float, low: float, high: float, confidence_level: float) -> str:
    """Return an estimate as text that says what the interval is, both limits included.

    Examples
    --------
    >>> from vgsim._statistics.estimate import in_words
    >>> in_words(0.0, 0.0, 0.00384, 0.95)
    '0 (95 % interval 0 to 0.004)'
    """
    middle, below, above = rounded_parts(value, low, high)
    limits = f"{below or f'{low:g}'} to {above or f'{high:g}'}"
    return f"{middle} ({100 * confidence_level:g} % interval {limits})"


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
