"""Networks in which gradients keep their norm: critical gain, critical line, edge of chaos."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vgsim._checks import real_array, value_error
from vgsim._display import Record, number
from vgsim._domains import Number
from vgsim._networks.activations import Activation, as_activation
from vgsim._networks.description import Network
from vgsim.theory._gaussian import gaussian_mean
from vgsim.theory._recurrent import zero_state_gain
from vgsim.theory._variance_map import chi, chi_parallel, fixed_point, surely_ordered
from vgsim.typing import ActivationName

__all__ = [
    "CriticalGain",
    "CriticalLine",
    "CriticalPoint",
    "critical_gain",
    "critical_line",
    "edge_of_chaos",
]

Array = NDArray[np.float64]

_BIAS_STD = Number("0, or from 1e-6 to 1e6", lambda x: x == 0 or 1e-6 <= x <= 1e6)
STEP = 1.02  # ratio of successive gains in the search
AT_ONCE = 64  # gains for which the tables are read at once
SAME = 1e-9  # relative difference of two values of q* that are one
EXACT = 1e-12  # |χ₁ − 1| up to which a candidate is the critical gain
JUMP = 1e-6  # |χ₁ − 1| above which χ₁ has jumped past 1


class CriticalGain(float):
    """A gain with χ₁ = 1, a float; the result of :func:`critical_gain`.

    Attributes
    ----------
    activation : Activation
    bias_std : float
    q_star : float
        The fixed point of the variance at this gain; infinity if the gain is a limit.
    chi_parallel : float
        Slope of the variance map at q_star. If it is 1, the variance converges more slowly than
        exponentially.

    Examples
    --------
    >>> from vgsim.theory import critical_gain
    >>> gain = critical_gain("sigmoid")
    >>> print(f"{gain:.6f} {gain.q_star:.6f}")
    10.149264 45.624278
    """

    activation: Activation
    bias_std: float
    q_star: float
    chi_parallel: float

    def __new__(cls, gain: float, **attributes: Any) -> CriticalGain:
        self = super().__new__(cls, gain)
        self.__dict__.update(attributes)
        return self

    def __repr__(self) -> str:
        return (
            f"CriticalGain({number(float(self))}, activation={self.activation.name!r}, "
            f"bias_std={number(self.bias_std)}, q_star={number(self.q_star)}, "
            f"chi_parallel={number(self.chi_parallel)})"
        )

    def __str__(self) -> str:
        return float.__repr__(self)


@dataclass(frozen=True, eq=False, repr=False)
class CriticalLine(Record):
    """Critical gains against the standard deviation of biases: result of :func:`critical_line`.

    Attributes
    ----------
    activation : Activation
    bias_std, gain, q_star, chi_parallel : ndarray of float64, all of one shape

    Examples
    --------
    >>> from vgsim.theory import critical_line
    >>> critical_line("relu", [0.0, 0.5]).gain.round(6)
    array([1.414214, 1.414214])
    """

    activation: Activation
    bias_std: Array
    gain: Array
    q_star: Array
    chi_parallel: Array


@dataclass(frozen=True, repr=False)
class CriticalPoint(Record):
    """A gain and a bias_std with χ₁ = χ_∥ = 1; the result of :func:`edge_of_chaos`.

    Attributes
    ----------
    activation : Activation
    gain, bias_std, q_star, chi_1, chi_parallel : float

    Examples
    --------
    >>> from vgsim.theory import edge_of_chaos
    >>> point = edge_of_chaos("gelu")
    >>> round(point.gain, 6), round(point.bias_std, 6), round(point.q_star, 6)
    (1.408211, 0.415839, 3.561553)
    """

    activation: Activation
    gain: float
    bias_std: float
    q_star: float
    chi_1: float
    chi_parallel: float


@overload
def critical_gain(activation: Network) -> float: ...
@overload
def critical_gain(
    activation: ActivationName | Activation, bias_std: float = 0.0
) -> CriticalGain: ...
def critical_gain(
    activation: ActivationName | Activation | Network, bias_std: float = 0.0
) -> float:
    """Return the smallest gain at which gradients do not vanish in a wide, deep network.

    Of an activation, this is the smallest σ_w with χ₁ = 1 at the fixed point of the variance that
    is reached from q = 1. It is the `gain` of an `MLP` with ``init="lecun_normal"`` (for
    ``he_normal`` divide it by √2). Of an `RNN`, `LSTM` or `GRU` whose state stays at 0, it is the
    `gain` of that network at which :func:`recurrent_rate` is 1.

    Parameters
    ----------
    activation : str or Activation, or RNN, LSTM or GRU
    bias_std : float, default 0.0
        Standard deviation of the biases: 0, or from 1e-6 to 1e6. A recurrent network has its own.

    Returns
    -------
    CriticalGain, or float for a recurrent network
        A float, with `q_star` and `chi_parallel`. `q_star` is infinite if the variance grows
        without bound above this gain: with softplus, ReLU, leaky ReLU and linear networks (at the
        critical gain and without biases, the last three keep every variance).

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type or out of range, or if there is no such gain: with GELU,
        SiLU, Mish and hard swish and small bias_std, the fixed point jumps as a function of the
        gain, and χ₁ jumps past 1.

    Examples
    --------
    >>> from vgsim.theory import critical_gain
    >>> round(critical_gain("tanh", bias_std=0.05**0.5), 6)
    1.32701
    >>> critical_gain("softplus").q_star
    inf
    >>> import vgsim
    >>> round(critical_gain(vgsim.LSTM(100, 64, input_std=0, forget_bias=1)), 6)
    1.075766
    >>> critical_gain("gelu")
    Traceback (most recent call last):
    ValueError: activation 'gelu' has no critical gain with biases of standard deviation 0.0: at ...
    """
    from scipy.optimize import brentq

    bias_std = _BIAS_STD.check("bias_std", bias_std)
    if isinstance(activation, Network):
        if bias_std > 0:
            raise value_error("bias_std", f"is that of the network, which has 0, got {bias_std!r}")
        return zero_state_gain(activation)
    phi = as_activation(activation)

    def excess(gain: float) -> float:
        return chi(phi, gain, fixed_point(phi, gain, bias_std)) - 1.0

    below = above = 0.0
    for gain, ordered in _candidates(phi, bias_std):
        below, above = above, gain
        at_gain = -1.0 if ordered else excess(gain)
        if at_gain >= -EXACT:
            break
    if at_gain > EXACT:
        found = _by_variance(phi, bias_std, below, above)
        above = found or brentq(excess, below, above, xtol=1e-15, rtol=1e-14)
        if abs(excess(above)) > JUMP:
            raise value_error("activation", _no_gain(phi, bias_std, above))
    homogeneous = phi.slope_at_zero == phi.slope_at_infinity
    q_star = math.inf if homogeneous else fixed_point(phi, above, bias_std)
    slope = chi_parallel(phi, above, q_star)
    return CriticalGain(above, activation=phi, bias_std=bias_std, q_star=q_star, chi_parallel=slope)


def _gains(phi: Activation) -> Iterator[float]:
    """Yield increasing gains from the smallest with χ₁ = 1 possible, denser towards candidates.

    Candidates are the gains with χ₁ = 1 at q = 0 and at q = ∞; χ₁ may reach 1 shortly before them.
    """
    limits = [
        1.0 / math.sqrt(square)
        for slopes in (phi.slope_at_zero, phi.slope_at_infinity)
        if (square := (slopes[0] ** 2 + slopes[1] ** 2) / 2.0) > 0
    ]
    gain = 1.0 / phi.max_derivative
    exact = sorted({g * (1.0 - d) for g in limits for d in (0.0, *np.geomspace(1e-2, 1e-9, 22))})
    while True:
        while exact and exact[0] <= gain:
            yield exact.pop(0)
        yield gain
        gain *= STEP


def _candidates(phi: Activation, bias_std: float) -> Iterator[tuple[float, bool]]:
    """Yield the gains of `_gains`, and whether χ₁ < 1 is known from tables."""
    gains = _gains(phi)
    while True:
        some = np.array(list(islice(gains, AT_ONCE)))
        yield from zip(some.tolist(), surely_ordered(phi, some, bias_std).tolist(), strict=True)


def _by_variance(phi: Activation, bias_std: float, below: float, above: float) -> float | None:
    """Return the gain with χ₁ = 1 between two gains; None if q* does not join their q*.

    The search is over the part v = σ_w² E φ(h)² of q* = v + σ_b²: at each v the gain and χ₁ follow
    from two means, without a search for the fixed point.
    """
    from scipy.optimize import brentq

    def means(v: float) -> tuple[float, float]:
        q = v + bias_std**2
        square = gaussian_mean(lambda h: phi.value(h) ** 2, q, phi)
        return square, gaussian_mean(lambda h: phi.derivative(h) ** 2, q, phi)

    def excess(ln_v: float) -> float:
        v = math.exp(ln_v)
        square, slope = means(v)
        return v / square * slope - 1.0

    ends = []
    for gain in (below, above):
        q = fixed_point(phi, gain, bias_std) if gain > 0 else 0.0
        if not 0.0 < q < math.inf:
            return None
        ends.append(math.log(gain**2 * gaussian_mean(lambda h: phi.value(h) ** 2, q, phi)))
    if excess(ends[0]) * excess(ends[1]) >= 0:
        return None
    v = math.exp(brentq(excess, *ends, xtol=1e-15, rtol=1e-14))
    gain = math.sqrt(v / means(v)[0])
    reached = fixed_point(phi, gain, bias_std)
    joined = below <= gain <= above and abs(reached / (v + bias_std**2) - 1.0) <= SAME
    return gain if joined else None


def _no_gain(phi: Activation, bias_std: float, gain: float) -> str:
    low, high = gain * (1.0 - 1e-9), gain * (1.0 + 1e-9)
    before, after = fixed_point(phi, low, bias_std), fixed_point(phi, high, bias_std)
    return (
        f"{phi.name!r} has no critical gain with biases of standard deviation {bias_std!r}: at the "
        f"gain {gain:.6f} the fixed point of the variance jumps from q* = {before:.6g} to "
        f"{after:.6g}, and chi_1 from {chi(phi, low, before):.6f} to {chi(phi, high, after):.6f}; "
        "with a larger standard deviation of the biases there may be one"
    )


def critical_line(activation: ActivationName | Activation, bias_std: ArrayLike) -> CriticalLine:
    """Return the critical gain as a function of the standard deviation of the biases.

    Parameters
    ----------
    activation : str or Activation
    bias_std : array_like of float
        As in :func:`critical_gain`, of any shape.

    Returns
    -------
    CriticalLine
        Arrays of the shape of `bias_std`.

    Raises
    ------
    TypeError, ValueError
        As :func:`critical_gain`, if there is no critical gain for one of them.

    Examples
    --------
    >>> from vgsim.theory import critical_line
    >>> line = critical_line("tanh", [0.0, 0.1, 1.0])
    >>> line.gain.round(6)
    array([1.      , 1.193401, 1.855589])
    """
    biases = real_array("bias_std", bias_std, "must be a number or an array of numbers")
    gains = [critical_gain(activation, float(b)) for b in biases.flat]

    def array(values: list[float]) -> Array:
        return np.array(values, dtype=np.float64).reshape(biases.shape)

    return CriticalLine(
        activation=as_activation(activation),
        bias_std=biases.copy(),
        gain=array([float(gain) for gain in gains]),
        q_star=array([gain.q_star for gain in gains]),
        chi_parallel=array([gain.chi_parallel for gain in gains]),
    )


def edge_of_chaos(activation: ActivationName | Activation) -> CriticalPoint:
    """Return the gain and bias_std with χ₁ = χ_∥ = 1: both depth scales are infinite.

    For tanh and others with φ(0) = 0 and ``|φ(h)|`` below the tangents at 0, q* = 0 without biases.
    For ReLU, leaky ReLU and linear without biases every q is a fixed point; q* = 1 is returned. For
    GELU, SiLU, Mish and hard swish the point has biases and q* > 0, and the fixed point attracts
    from one side only (with GELU from above, so it is not reached from q = 1).

    Parameters
    ----------
    activation : str or Activation

    Returns
    -------
    CriticalPoint

    Raises
    ------
    ValueError
        If there is no such point: sigmoid, hard sigmoid and softplus.

    Examples
    --------
    >>> from vgsim.theory import edge_of_chaos
    >>> edge_of_chaos("tanh")
    CriticalPoint(activation=Activation('tanh'), gain=1, bias_std=0, q_star=0, chi_1=1, ...
    """
    from scipy.optimize import brentq

    phi = as_activation(activation)
    left, right = phi.slope_at_zero
    if not math.isnan(left):
        gain = math.sqrt(2.0 / (left**2 + right**2))
        q = fixed_point(phi, gain)
        if abs(chi(phi, gain, q) - 1.0) <= EXACT:
            return _point(phi, gain, 0.0, q)

    def difference(ln_q: float) -> float:
        q = math.exp(ln_q)
        return chi_parallel(phi, 1.0, q) - chi(phi, 1.0, q)

    grid = np.linspace(math.log(1e-3), math.log(1e3), 139)
    signs = np.sign([difference(x) for x in grid])
    for i in np.flatnonzero(signs[1:] * signs[:-1] < 0):
        q = math.exp(brentq(difference, grid[i], grid[i + 1], xtol=1e-14, rtol=1e-14))
        gain = 1.0 / math.sqrt(chi(phi, 1.0, q))
        bias_square = q - gain**2 * gaussian_mean(lambda h: phi.value(h) ** 2, q, phi)
        if bias_square >= 0:
            return _point(phi, gain, math.sqrt(bias_square), q)
    raise value_error(
        "activation", f"{phi.name!r} has no gain and biases with chi_1 = chi_parallel = 1"
    )


def _point(phi: Activation, gain: float, bias_std: float, q: float) -> CriticalPoint:
    return CriticalPoint(phi, gain, bias_std, q, chi(phi, gain, q), chi_parallel(phi, gain, q))
