"""Growth rates per layer of the logarithm of the gradient norm."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vgsim._checks import DECADE
from vgsim._display import block, table
from vgsim._statistics.bootstrap import Moments, bootstrap
from vgsim._statistics.estimate import Estimate

__all__ = ["DepthScale", "fit_depth_scale", "slope_row"]

Floats = NDArray[np.float64]
MEANINGS = {  # of the fields of DepthScale
    "depth_scale": "layers in which ‖G‖² changes e-fold",
    "slope": "growth of the mean of ln ‖G‖² per layer",
    "variance_growth": "growth of its variance per layer",
}


@dataclass(frozen=True, repr=False)
class DepthScale:
    """Growth rates of X = ln(‖G_0‖²/‖G_D‖²) per layer: natural logarithm, squared norm.

    Attributes
    ----------
    slope : Estimate
        Slope of the mean of X against depth, over networks that are not dead: negative if the
        gradient vanishes. In mean-field theory it is ln χ₁.
    depth_scale : Estimate
        1/|slope|, the number of layers in which the squared norm changes e-fold; ξ_∇ in mean-field
        theory. The upper limit is infinite if the interval of the slope contains 0.
    variance_growth : Estimate
        Slope of the variance of X against depth, over networks that are not dead.

    Examples
    --------
    >>> import vgsim
    >>> curve = vgsim.depth_curve(vgsim.MLP(10, 64, activation="sigmoid"), (5, 10, 20), 500)
    >>> scale = curve.depth_scale()
    >>> round(scale.slope.estimate, 1), scale.slope.high < 0
    (-2.9, True)
    """

    slope: Estimate[float]
    depth_scale: Estimate[float]
    variance_growth: Estimate[float]

    def __str__(self) -> str:
        return "\n".join(
            f"{name}: {estimate}"
            for name, estimate in (
                ("depth scale", self.depth_scale),
                ("slope of the mean", self.slope),
                ("slope of the variance", self.variance_growth),
            )
        )

    def __repr__(self) -> str:
        shown = (f"{name} {getattr(self, name)._shown()}" for name in MEANINGS)
        return f"<DepthScale: {', '.join(shown)}, {self._intervals}>"

    def _repr_html_(self) -> str:
        rows = [(name, getattr(self, name)._shown(), words) for name, words in MEANINGS.items()]
        return block(table(("DepthScale", self._intervals, ""), rows, words=3))

    @property
    def _intervals(self) -> str:
        return f"{100 * self.slope.confidence_level:g} % {self.slope.method} intervals"


def fit_depth_scale(
    x: Sequence[int], columns: Sequence[Floats], confidence_level: float, paired: bool
) -> DepthScale:
    """Fit lines to mean and variance of columns of R by weighted least squares, with intercepts.

    The weights are the inverse variances of the sample means and, for normal columns, of the sample
    variances. Intervals come from the bootstrap.

    Examples
    --------
    >>> import numpy as np
    >>> from vgsim._statistics.depth_scale import fit_depth_scale
    >>> z = np.random.default_rng(0).normal(size=(3, 500))
    >>> found = fit_depth_scale([1, 4, 9], [-1 + z[0], -4 + 2 * z[1], -9 + 3 * z[2]], 0.95, False)
    >>> bool(found.slope.low < -2 * np.log(10) < found.slope.high)
    True
    """
    living = [column[column > -np.inf] for column in columns]
    n = np.array([column.size for column in living])
    variance = np.array([column.var(ddof=1) for column in living])
    if np.any(variance == 0):
        variance = np.ones_like(variance)
    rows = np.stack([slope_row(x, n / variance), slope_row(x, n / variance**2)])

    def slopes(found: Moments) -> Floats:
        mean, spread = found.mean @ rows[0], found.variance @ rows[1]
        return np.stack([mean * DECADE, spread * DECADE**2], axis=-1)

    both = bootstrap(slopes, columns, confidence_level, paired)
    slope, growth = (
        Estimate(estimate, low, high, confidence_level, both.method)
        for estimate, low, high in np.stack([both.estimate, both.low, both.high], axis=-1).tolist()
    )
    return DepthScale(slope, _inverse(slope), growth)


def slope_row(x: Sequence[int], weights: Floats) -> Floats:
    """Return the vector whose product with values at x is their weighted least-squares slope.

    Examples
    --------
    >>> import numpy as np
    >>> from vgsim._statistics.depth_scale import slope_row
    >>> round(float(slope_row([1, 3, 4], np.ones(3)) @ [5.0, 9.0, 11.0]), 9)
    2.0
    """
    away = np.asarray(x, dtype=np.float64) - np.average(x, weights=weights)
    row: Floats = weights * away / np.sum(weights * away**2)
    return row


def _inverse(slope: Estimate[float]) -> Estimate[float]:
    """Return 1/|slope|."""
    sizes = sorted([abs(slope.low), abs(slope.high)])
    least = 0.0 if slope.low <= 0 <= slope.high else sizes[0]
    estimate, low, high = (
        1 / size if size else math.inf for size in (abs(slope.estimate), sizes[1], least)
    )
    return Estimate(estimate, low, high, slope.confidence_level, slope.method)
