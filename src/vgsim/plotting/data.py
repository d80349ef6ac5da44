"""The arrays and laws that plots take, checked."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vgsim._checks import (
    DECADE,
    brief,
    checked_items,
    checked_numbers,
    real_array,
    type_error,
    value_error,
)
from vgsim._domains import check_threshold

__all__ = [
    "FittedNormal",
    "Law",
    "LawOfR",
    "Values",
    "checked_columns",
    "checked_fit",
    "checked_law",
    "checked_places",
    "checked_series",
    "checked_threshold",
    "checked_values",
]

Floats = NDArray[np.float64]


class Law(Protocol):
    """A law of X = ln(‖G_l‖²/‖G_D‖²) = 2 ln 10 · R, such as `vgsim.theory.ProductLaw`.

    An attribute ``dead_probability``, the probability of X = −∞, is taken into account. Frozen
    distributions of SciPy are such laws too.
    """

    def pdf(self, x: Any, /) -> Any:
        """Return the density of X."""

    def cdf(self, x: Any, /) -> Any:
        """Return P(X <= x)."""

    def sf(self, x: Any, /) -> Any:
        """Return P(X > x)."""


class LawOfR:
    """A law of X as one of R in decades, with its dead networks."""

    name: str = "exact law"
    fitted: bool = False

    def __init__(self, law: Law) -> None:
        self.law = law
        self.dead: float = float(getattr(law, "dead_probability", 0.0))

    def pdf(self, r: Floats) -> Floats:
        """Return the density per decade; its integral is 1 − dead."""
        return np.asarray(self.law.pdf(DECADE * r), dtype=np.float64) * DECADE

    def cdf(self, r: Floats) -> Floats:
        """Return P(R <= r)."""
        return np.asarray(self.law.cdf(DECADE * r), dtype=np.float64)

    def sf(self, r: Floats) -> Floats:
        """Return P(R > r)."""
        return np.asarray(self.law.sf(DECADE * r), dtype=np.float64)


class FittedNormal:
    """The normal law of R with the mean and the variance of samples, `dead` of which are −∞."""

    name: str = "log-normal fit"
    fitted: bool = True

    def __init__(self, mean: float, std: float, dead: float) -> None:
        self.mean = mean
        self.std = std
        self.dead = dead

    def pdf(self, r: Floats) -> Floats:
        """Return the density per decade; its integral is 1 − dead."""
        z = (r - self.mean) / self.std
        scale = (1 - self.dead) / (self.std * np.sqrt(2 * np.pi))
        return np.asarray(scale * np.exp(-0.5 * z * z))

    def cdf(self, r: Floats) -> Floats:
        """Return P(R <= r)."""
        from scipy.special import ndtr

        return np.asarray(self.dead + (1 - self.dead) * ndtr((r - self.mean) / self.std))

    def sf(self, r: Floats) -> Floats:
        """Return P(R > r)."""
        from scipy.special import ndtr

        return np.asarray((1 - self.dead) * ndtr((self.mean - r) / self.std))


class Values(NamedTuple):
    """The finite values in increasing order, and the number of those that are −∞."""

    finite: Floats
    dead: int

    @property
    def n(self) -> int:
        """The number of all values."""
        return self.finite.size + self.dead

    @property
    def varied(self) -> bool:
        """Whether two finite values differ by more than rounding."""
        return self.finite.size > 1 and bool(np.ptp(self.finite) > self._rounding)

    def all(self) -> Floats:
        """Return all values in increasing order."""
        return np.concatenate([np.full(self.dead, -np.inf), self.finite])

    @property
    def _rounding(self) -> float:
        return 1e-9 * max(1.0, float(np.abs(self.finite[[0, -1]]).max()))


def checked_values(argument: str, values: ArrayLike) -> Values:
    """Return the entries of an array of any shape: finite numbers or −∞, one or more.

    Examples
    --------
    >>> from vgsim.plotting.data import checked_values
    >>> checked_values("values", [2.0, -float("inf"), 1.0])
    Values(finite=array([1., 2.]), dead=1)
    """
    flat = np.sort(checked_numbers(argument, values), axis=None)
    if not flat.size:
        raise value_error(argument, "must have one or more entries, got none")
    if flat[-1] == np.inf:
        raise value_error(argument, f"must be finite or -inf, got {brief(values)}")
    dead = int(np.searchsorted(flat, -np.inf, side="right"))
    return Values(flat[dead:], dead)


def checked_columns(columns: Any) -> list[Values]:
    """Return the samples at each place: of an (n, k) array its columns, else k sequences."""
    if hasattr(columns, "ndim"):
        array = checked_numbers("columns", columns)
        if array.ndim != 2:
            problem = f"must be an array (n, k) or k arrays, got the shape {array.shape}"
            raise value_error("columns", problem)
        items = list(array.T)
    else:
        items = checked_items("columns", columns, "must be an array (n, k) or k arrays")
    if not items:
        raise value_error("columns", "must be one or more, got none")
    return [checked_values("columns", item) for item in items]


def checked_places(argument: str, places: ArrayLike, size: int | None = None) -> Floats:
    """Return finite coordinates, shape (k,)."""
    found = checked_numbers(argument, places)
    if found.ndim != 1 or not found.size or not np.isfinite(found).all():
        problem = f"must be a vector of one or more finite numbers, got {brief(places)}"
        raise value_error(argument, problem)
    if size is not None and found.size != size:
        raise value_error(argument, f"must have {size} entries, got {found.size}")
    return found


def checked_series(argument: str, values: Any, size: int) -> Floats:
    """Return k numbers, NaN where one is missing (None or NaN)."""
    if isinstance(values, (list, tuple)):
        values = [np.nan if value is None else value for value in values]
    found = real_array(argument, values, "must be an array of numbers")
    if found.shape != (size,):
        raise value_error(argument, f"must have the shape ({size},), got {found.shape}")
    return found


def checked_law(law: Law | None) -> LawOfR | None:
    """Return a law of X as a law of R."""
    if law is None:
        return None
    if not all(callable(getattr(law, name, None)) for name in ("pdf", "cdf", "sf")):
        problem = "must have the methods pdf, cdf and sf, as the laws of vgsim.theory"
        raise type_error("law", f"{problem}, got {brief(law)}")
    return LawOfR(law)


def checked_threshold(threshold: object) -> float | None:
    """Return the threshold of an event, or None for none."""
    return None if threshold is None else check_threshold(threshold)


def checked_fit(fit: Any, values: Values) -> FittedNormal | None:
    """Return the fitted law: of a `LogNormalFit`, or with True that of the values.

    None without a fit, and where fewer than two values differ.
    """
    dead = values.dead / values.n
    if fit is None or (isinstance(fit, (bool, np.bool_)) and not fit):
        return None
    if isinstance(fit, (bool, np.bool_)):
        if not values.varied:
            return None
        return FittedNormal(float(values.finite.mean()), float(values.finite.std(ddof=1)), dead)
    try:
        mean, variance = float(fit.mean.estimate), float(fit.variance.estimate)
    except (AttributeError, TypeError, ValueError):
        problem = f"must be True, False or a vgsim.LogNormalFit, got {brief(fit)}"
        raise type_error("fit", problem) from None
    return FittedNormal(mean / DECADE, np.sqrt(variance) / DECADE, dead)
