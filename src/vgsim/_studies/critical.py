"""The critical line through a heat map of a study: where gradients neither vanish nor explode."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vgsim._networks.description import Network
from vgsim._studies.columns import is_number
from vgsim._studies.points import Point
from vgsim.theory import critical_gain, mean_field

__all__ = ["critical_line_of"]

Floats = NDArray[np.float64]
STEPS = 17  # of the standard deviation of the biases along the line


def critical_line_of(
    points: Sequence[Point], x: str, y: str | None
) -> tuple[Floats, Floats] | None:
    """Return the critical line in the plane of two swept fields, one of which is the gain.

    It is where χ₁ = 1 at the fixed point of the variance, in networks of infinite width: see
    :func:`vgsim.theory.mean_field`. The gain takes the scale of the initialiser into account.

    Parameters
    ----------
    points : sequence of Point
        Of networks that differ in the two fields only, as far as the line depends on them.
    x, y : str
        The fields on the axes.

    Returns
    -------
    (x, y) : two float64 arrays, or None
        None if neither field is the gain, or the theory does not apply.

    Examples
    --------
    >>> import vgsim
    >>> from vgsim._studies.critical import critical_line_of
    >>> from vgsim._studies.points import points_of
    >>> networks = vgsim.sweep(vgsim.MLP, depth=5, width=8, gain=[1, 2], bias_std=[0, 0.1])
    >>> study = vgsim.collect(networks, max_samples=1000)
    >>> b, gain = critical_line_of(points_of(study, "bias_std", y="gain"), "bias_std", "gain")
    >>> gain.round(4)[[0, -1]]
    array([1.    , 1.1934])
    """
    if "gain" not in (x, y):
        return None
    other = y if x == "gain" else x
    places: dict[Any, Network] = {}
    for point in points:
        place = point.y if x == "gain" else point.x
        if not is_number(place):
            return None
        places.setdefault(place, point.result.network)
    ordered = sorted(places)
    if other == "bias_std" and len(ordered) > 1:
        along = np.linspace(ordered[0], ordered[-1], STEPS).tolist()
        gains = _along_biases(places[ordered[0]], along)
    else:
        along = [float(place) for place in ordered]
        gains = [_critical(places[place]) for place in ordered]
    if not np.isfinite(gains).any():
        return None
    line = np.array(along), np.array(gains)
    return line if x == other else (line[1], line[0])


def _critical(network: Network) -> float:
    """Return the `gain` at which χ₁ = 1 in a wide network, NaN if there is none or no theory."""
    (gain,) = _along_biases(network, [network.bias_std])
    return gain


def _along_biases(network: Network, bias_stds: Sequence[float]) -> list[float]:
    """Return the critical gains of a network with other biases; NaN as `_critical`."""
    try:
        field = mean_field(network)
    except ValueError:
        return [math.nan] * len(bias_stds)
    scale = field.sigma_w / network.gain
    own = field.sigma_b**2 - network.bias_std**2  # variance of other biases, or of the drive
    own = own if own > 1e-9 * field.sigma_b**2 else 0.0
    gains = []
    for bias_std in bias_stds:
        try:
            gain = float(critical_gain(field.activation, math.sqrt(bias_std**2 + own)))
        except ValueError:
            gain = math.nan
        gains.append(gain / scale)
    return gains
