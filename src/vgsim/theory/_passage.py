"""The way of means, covariances and mean-square gradients through operations, in wide networks.

W and Wᵀ count as independent, and every matrix is used once, so what leaves a matrix is Gaussian
and independent of all else. An activation needs an argument that is Gaussian, and on the way back a
gradient that is independent of it; `Unknown` is raised otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vgsim._networks.activations import Activation
from vgsim._networks.operations import (
    Activate,
    Attend,
    Bias,
    Body,
    Copy,
    Drive,
    Mask,
    Mix,
    Normalise,
    Operation,
    Shift,
    Sum,
    Weights,
)
from vgsim.theory._correlation_map import given_common
from vgsim.theory._gaussian import gaussian_mean
from vgsim.theory._normalised import unit_means
from vgsim.theory._registers import INPUT, Column, Gradients, Signals, Unknown
from vgsim.theory._weight_laws import law_obstacle

__all__ = ["Passage"]

Floats = NDArray[np.float64]
Back = Callable[[Gradients], None]

_GATE = Activation("sigmoid")


def _weights(o: Weights, s: Signals) -> Back:
    if o.shared:
        raise Unknown("all steps share their weights")
    if obstacle := law_obstacle(o.law, o.parameters):
        raise Unknown(obstacle)
    n, m = o.shape
    source, target, power = o.source, o.target, o.std * o.std
    within, apart = m * power * s.square(source), m * power * s.difference(source, source)
    s.clear(target)
    s.scale_row(target, 0.0, within, apart)
    s.sources[target] = s.fresh()
    s.check_range(target)

    def back(g: Gradients) -> None:
        own = n * power * float(g.covariance[target, target])
        g.set_row(target, 0.0)
        g.sources[target] = frozenset()
        g.covariance[source, source] += own

    return back


def _bias(o: Bias, s: Signals) -> Back:
    if o.shared:
        raise Unknown("all steps share their biases")
    if not o.cancels:
        s.within[o.register, o.register] += o.std**2 + o.limit**2 / 3.0
    return _nothing


def _nothing(g: Gradients) -> None:
    """Leave the gradients as they are."""


def _shift(o: Shift, s: Signals) -> Back:
    s.mean[o.register] += o.value
    return _nothing


def _drive(o: Drive, s: Signals) -> Back:
    raise Unknown("the same matrix drives all steps")


def _normalise(o: Normalise, s: Signals) -> Back:
    r = o.register
    if o.kind == "batch":
        if not s.gaussian[r]:
            raise Unknown("batch normalisation acts on units that are not Gaussian")
        assert s.apart is not None
        own = float(s.apart[r, r])
        s.within[r] = s.apart[r]
        s.within[:, r] = s.apart[:, r]
    else:
        own = float(s.within[r, r]) if o.kind == "layer" else s.square(r)
    if not own + o.eps > 0:
        raise Unknown("the units to be normalised are all equal")
    map_ = s.combine(r, {r: 1.0 / math.sqrt(own + o.eps)})
    if o.kind != "rms":
        s.mean[r] = 0.0
    return lambda g: g.pull(map_)


def _activate(o: Activate, s: Signals) -> Back:
    r, phi = o.register, o.activation
    if phi.slope_below_zero == 1:
        return _nothing
    if not s.gaussian[r] or s.mean[r] != 0:
        raise Unknown(f"{phi.name} acts on units that are not Gaussian")
    for other, sources in enumerate(s.sources):
        if other != r and sources & s.sources[r] and not s.gaussian[other]:
            raise Unknown(f"{phi.name} acts on units that depend on others, not Gaussian")
    q, argument = float(s.within[r, r]), s.sources[r]
    mean, square, slope_square = unit_means(phi, q)
    slope = gaussian_mean(phi.derivative, q, phi)
    difference = s.difference(r, r)
    if difference > 0:
        weights, _, variance = given_common(phi.value, phi, q, min(difference / q, 1.0))
        difference = float(weights @ variance)
    s.scale_row(r, slope, max(square - mean * mean, 0.0), difference)
    s.mean[r], s.gaussian[r] = mean, False
    s.check_range(r)

    def back(g: Gradients) -> None:
        g.need_independence(r, argument, f"the argument of {phi.name}")
        g.set_row(r, slope_square * float(g.covariance[r, r]), slope)
        g.sources[r] |= argument

    return back


def _mask(o: Mask, s: Signals) -> Back:
    r, kept = o.register, 1.0 - o.rate
    if kept == 1:
        return _nothing
    mask, more = s.fresh(), s.square(r) * (1.0 / kept - 1.0)
    for matrix in (s.within, s.apart):
        if matrix is not None:
            matrix[r, r] += more
    s.gaussian[r] = False
    s.sources[r] |= mask

    def back(g: Gradients) -> None:
        g.need_independence(r, mask, "the mask")
        g.set_row(r, float(g.covariance[r, r]) / kept, 1.0)
        g.sources[r] |= mask

    return back


def _copy(o: Copy, s: Signals) -> Back:
    map_ = s.combine(o.target, {o.source: 1.0})
    return lambda g: g.pull(map_)


def _sum(o: Sum, s: Signals) -> Back:
    map_ = s.combine(o.register, {o.register: o.branch, o.other: o.skip})
    s.clear(o.other)
    s.check_range(o.register)
    return lambda g: g.pull(map_)


def _mix(o: Mix, s: Signals) -> Back:
    """T ∘ y + (1 − T) ∘ x with T = σ(h), h Gaussian and independent of x and y."""
    y, x, h = o.register, o.other, o.gate
    shift, q = float(s.mean[h]), float(s.within[h, h])

    def mean(f: Callable[[Floats], Floats]) -> float:
        return gaussian_mean(lambda z: f(z + shift), q)

    opened = mean(_GATE.value)
    opened_2 = mean(lambda z: _GATE.value(z) ** 2)
    closed_2 = mean(lambda z: _GATE.value(-z) ** 2)
    both = mean(_GATE.derivative)  # T' = T (1 − T)
    both_2 = mean(lambda z: _GATE.derivative(z) ** 2)
    raw = s.within + np.outer(s.mean, s.mean)
    square = opened_2 * raw[y, y] + 2.0 * both * raw[x, y] + closed_2 * raw[x, x]
    moved = float(raw[y, y] - 2.0 * raw[x, y] + raw[x, x])
    apart, d = 0.0, s.apart
    if d is not None:
        common = raw - d  # mean products of a unit in two columns
        own = 0.0
        if s.difference(h, h) > 0:
            ratio = min(s.difference(h, h) / q, 1.0)
            gate = lambda z: _GATE.value(z + shift)  # noqa: E731
            weights, _, variance = given_common(gate, _GATE, q, ratio)
            own = float(weights @ variance)
        apart = opened_2 * d[y, y] + 2.0 * both * d[x, y] + closed_2 * d[x, x]
        apart += own * (common[y, y] - 2.0 * common[x, y] + common[x, x])
    gate_ids, arguments = s.sources[h], s.sources[x] | s.sources[y]
    s.combine(y, {y: opened, x: 1.0 - opened})
    s.scale_row(y, 1.0, float(square - s.mean[y] ** 2), float(apart))
    s.gaussian[y] = False
    s.sources[y] = arguments | gate_ids
    s.clear(x)
    s.clear(h)
    s.check_range(y)

    def back(g: Gradients) -> None:
        g.need_independence(y, gate_ids, "the gate")
        g.need_independence(y, arguments, "the argument of the gate")
        own, sources = float(g.covariance[y, y]), g.sources[y]
        others = g.covariance[y].copy()
        g.set_row(y, opened_2 * own, opened)
        g.covariance[x] = g.covariance[:, x] = (1.0 - opened) * others
        g.covariance[x, x] = closed_2 * own
        g.covariance[x, y] = g.covariance[y, x] = both * own
        g.covariance[h] = g.covariance[:, h] = 0.0  # it goes through a matrix of its own
        g.covariance[h, h] = both_2 * moved * own
        g.sources[x] = g.sources[y] = sources | gate_ids
        g.sources[h] = sources | gate_ids | arguments

    return back


def _attend(o: Attend, s: Signals) -> Back:
    if s.tokens > 1:
        raise Unknown(f"there is no mean field of attention between {s.tokens} tokens")
    s.clear(o.query)  # of one token the softmax is 1, and queries and keys have no effect
    s.clear(o.key)
    return _nothing


_RULES: dict[type[Operation], Callable[[Any, Signals], Back]] = {
    Weights: _weights,
    Bias: _bias,
    Shift: _shift,
    Drive: _drive,
    Normalise: _normalise,
    Activate: _activate,
    Mask: _mask,
    Copy: _copy,
    Sum: _sum,
    Mix: _mix,
    Attend: _attend,
}


class Passage:
    """The way through the operations of consecutive places, forward and back.

    Register 0 is the only one in use at both ends.

    Attributes
    ----------
    columns : list of Column
        The law of a unit of X after each of the places.

    Raises
    ------
    Unknown
        If theory has no word on an operation; `place` counts from 1.
    """

    def __init__(self, bodies: tuple[Body, ...], column: Column, tokens: int) -> None:
        s = Signals.of(column, _registers(bodies), tokens)
        self.columns: list[Column] = []
        self._ways: list[list[Back]] = []
        for place, body in enumerate(bodies, 1):
            with _at(place):
                self._ways.append([_RULES[type(o)](o, s) for o in body])
            self.columns.append(s.column())
        self._end = s.sources[0]
        self._registers = s.mean.size

    def growth(self, dependent: bool) -> tuple[list[float], bool]:
        """Return the growth of E g² from the end to the start of each place.

        `dependent` is whether the gradient at the end depends on the unit of X there; the second
        value is whether it does at the start.
        """
        g = Gradients(np.zeros((self._registers, self._registers)), [frozenset()] * self._registers)
        g.covariance[0, 0] = 1.0
        g.sources[0] = self._end if dependent else frozenset()
        growth: list[float] = []
        for place in range(len(self._ways), 0, -1):
            with _at(place):
                for back in reversed(self._ways[place - 1]):
                    back(g)
            growth.insert(0, float(g.covariance[0, 0]))
        return growth, INPUT in g.sources[0]


@contextmanager
def _at(place: int) -> Iterator[None]:
    """Say at which place there is no word."""
    try:
        yield
    except Unknown as error:
        raise Unknown(error.reason, place) from None


def _registers(bodies: tuple[Body, ...]) -> int:
    """Return the number of registers that the bodies use."""
    names = ("register", "source", "target", "other", "gate", "query", "key")
    return 1 + max(getattr(o, name, 0) for body in bodies for o in body for name in names)
