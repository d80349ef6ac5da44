"""Mean field of any list of layers, place by place: mean squares, gradients and correlations."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from vgsim._checks import value_error
from vgsim._display import Record
from vgsim._domains import Number
from vgsim._networks.description import Network, checked_network
from vgsim._networks.layers import Layers
from vgsim._networks.sequential import Sequential
from vgsim.theory._passage import Passage
from vgsim.theory._registers import Column, Unknown

__all__ = ["PlaceMoments", "Walk", "place_moments", "walk"]

Floats = NDArray[np.float64]

REMEMBERED = 1000  # elements with the law of their input, whose results are kept
_CORRELATION = Number("from 0 to 1", lambda c: 0 <= c <= 1)


@dataclass(frozen=True, eq=False, repr=False)
class PlaceMoments(Record):
    """Mean squares in the limit of infinite width; the result of :func:`place_moments`.

    Attributes
    ----------
    activation : ndarray of float64, (depth + 1,)
        Mean square of a unit of X_l, the mean over units of X_l².
    growth : ndarray of float64, (depth + 1,)
        ln(E‖G_l‖²/E‖G_D‖²), natural logarithms; minus infinity if the gradient is 0.
    correlation : ndarray of float64, (depth + 1,), or None
        Cosine between two columns of X_l, if that of two columns of X_0 was given.

    Examples
    --------
    >>> import vgsim
    >>> vgsim.theory.place_moments(vgsim.MLP(2, 64, activation="tanh", gain=1.5)).growth.round(6)
    array([-0.32454 , -0.032882,  0.      ])
    """

    _index = "place"

    activation: Floats
    growth: Floats
    correlation: Floats | None


@dataclass(frozen=True)
class _Element:
    """The places up to the next one at which register 0 is the only one in use.

    `growths` has, for a gradient at the end that does or does not depend on the unit of X there,
    the growth of its mean square down to each place and whether it depends on X at the start.
    """

    columns: list[Column]
    growths: dict[bool, tuple[list[float], bool] | Unknown]

    @classmethod
    def of(cls, passage: Passage) -> _Element:
        """Return what is kept of a passage."""
        growths: dict[bool, tuple[list[float], bool] | Unknown] = {}
        for dependent in (False, True):
            try:
                growths[dependent] = passage.growth(dependent)
            except Unknown as error:
                growths[dependent] = error
        return cls(passage.columns, growths)


@dataclass(frozen=True, eq=False)
class Walk:
    """`PlaceMoments` as far as theory goes, nan beyond; `obstacle` says where and why it ends.

    `differences` are 1 − cosine of two columns.
    """

    squares: Floats
    growth: Floats
    differences: Floats
    obstacle: str | None


def place_moments(network: Network, correlation: float | None = None) -> PlaceMoments:
    """Return mean-square activations and gradients at every place, in the limit of infinite width.

    For normal inputs and a normal G_D. The units of X_l then have one law, and the operations of
    the network change its mean and variance, and the covariances between the paths of skip
    connections, by known maps. Backward, the mean-square gradient is multiplied along every path by
    the variances of weights and mean squares of slopes. Weights enter through their variance only.

    Parameters
    ----------
    network : MLP or Sequential
        Without clip. Batch normalisation is that of an infinite batch.
    correlation : float, optional
        Cosine between two columns of X_0 (examples or tokens), from 0 to 1. If given, the cosines
        between the same columns of X_1 … X_D are returned too.

    Returns
    -------
    PlaceMoments

    Raises
    ------
    TypeError
        If `network` is not a network, or the correlation is not a number.
    ValueError
        If an argument is out of range, or theory has no word on a part of the network; the message
        names the place and the reason. There is none on attention between two or more tokens; on
        weights that several places share; on an activation of units that are not Gaussian (an
        activation after another one, after a sum with an activation, or after dropout); on batch
        normalisation of such units; on mean squares outside 1e-200 to 1e200.

    Notes
    -----
    With x of mean square q and variance v: Linear, with weights of variance σ_w²/fan_in, gives
    σ_w² q + σ_b², and E‖G‖² grows by σ_w²; φ gives E φ² and E φ'²; a norm divides both by v + eps
    (rms: q + eps; batch: by the variance within the batch); dropout divides both by 1 − rate; a
    skip connection adds skip² and branch² times the growth of the branch, and covariances where x
    and f(x) are correlated; a gate as in :func:`highway_growth`; attention of one token is the
    product of the matrices of values and outputs. At finite width every place has a correction of
    order 1/width; layer normalisation also removes two directions of n, which lowers the mean
    square by up to 2/n.

    References
    ----------
    Yang and Schoenholz, "Mean field residual networks: on the edge of chaos", NeurIPS 2017.

    Examples
    --------
    Two inputs at a right angle in a ReLU network:

    >>> import vgsim
    >>> from vgsim.theory import place_moments
    >>> net = vgsim.MLP(3, 64, activation="relu", init="he_normal")
    >>> place_moments(net, correlation=0.0).correlation.round(6)
    array([0.      , 0.31831 , 0.493731, 0.604826])
    """
    network = checked_network(network)
    if correlation is not None:
        correlation = _CORRELATION.check("correlation", correlation)
    found = walk(network, correlation)
    if found.obstacle is not None:
        raise value_error("network", f"has no mean field: {found.obstacle}")
    cosines = None if correlation is None else 1.0 - found.differences
    return PlaceMoments(found.squares.copy(), found.growth.copy(), cosines)


@lru_cache(maxsize=16)  # the tables ask for every place of a network
def walk(network: Network, correlation: float | None = None) -> Walk:
    """Return the moments of a network as far as they are known.

    Examples
    --------
    >>> import vgsim
    >>> from vgsim.theory._places import walk
    >>> walk(vgsim.RNN(3, 8)).obstacle
    'all steps share their weights, in step 1'
    """
    depth = network.listed_depth()
    squares, growth, differences = np.full((3, depth + 1), math.nan)
    if network.clip is not None:
        return Walk(squares, growth, differences, f"there is none with clip {network.clip!r}")
    elements, ends, obstacle = _elements(network, correlation, squares, differences)
    if obstacle is None:
        obstacle = _descend(network, elements, ends, growth)
    return Walk(squares, growth, differences, obstacle)


def _elements(
    network: Network, correlation: float | None, squares: Floats, differences: Floats
) -> tuple[list[_Element], list[int], str | None]:
    """Go up through the network: fill in the mean squares, return what the way back needs."""
    program = network.program
    two = correlation is not None or network.mixes_examples
    column = Column(difference=1.0 - (correlation or 0.0) if two else None)
    squares[0], differences[0] = column.square, column.difference or 0.0
    order, ends = program.order.tolist(), np.flatnonzero(program.resting)[1:].tolist()
    known: dict[tuple[tuple[int, ...], Column], _Element] = {}
    elements: list[_Element] = []
    start = 0
    for end in ends:
        key = tuple(order[start:end]), column
        element = known.get(key)
        if element is None:
            bodies = tuple(program.bodies[body] for body in key[0])
            try:
                element = _Element.of(Passage(bodies, column, program.tokens))
            except Unknown as error:
                return elements, ends, _obstacle(network, error, start)
            if len(known) == REMEMBERED:
                known.clear()
            known[key] = element
        elements.append(element)
        squares[start + 1 : end + 1] = [c.square for c in element.columns]
        if two:
            differences[start + 1 : end + 1] = [
                (c.difference or 0.0) / c.square if c.square > 0 else 0.0 for c in element.columns
            ]
        column, start = element.columns[-1], end
    return elements, ends, None


def _descend(
    network: Network, elements: list[_Element], ends: list[int], growth: Floats
) -> str | None:
    """Go down from G_D: fill in ln(E‖G_l‖²/E‖G_D‖²)."""
    widths = network.program.widths
    log_widths = np.log(widths) - math.log(widths[-1])
    total, dependent = 0.0, False
    growth[-1] = 0.0
    for element, start in zip(reversed(elements), reversed([0, *ends[:-1]]), strict=True):
        found = element.growths[dependent]
        if isinstance(found, Unknown):
            return _obstacle(network, found, start)
        factors, dependent = found
        logs = [total + math.log(f) if f > 0 else -math.inf for f in factors]
        growth[start : start + len(logs)] = logs + log_widths[start : start + len(logs)]
        total = logs[0]
    return None


def _obstacle(network: Network, error: Unknown, start: int) -> str:
    """Return where and why there is no theory."""
    place = start + error.place
    kind = ""
    if isinstance(network, Sequential):
        layer = network.layers[place - 1]
        kind = f" ({'group' if isinstance(layer, Layers) else type(layer).__name__})"
    return f"{error.reason}, in {network.place} {place}{kind}"
