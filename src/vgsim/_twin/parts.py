"""Explicit vectors of a layer of which only lengths were drawn, as the scalar engine draws them.

A piecewise linear φ has the slope α₊ at positive and α₋ at other pre-activations. With h = τ w and
w of n independent N(0, 1) entries, the scalar engine draws the number K of positive entries, the
squared norm P of the positive part w₊ and N of the other part w₋, and nothing else of w. By
symmetry the positions of the positive entries are then a uniformly random subset, and the
directions of w₊ and w₋ are those of vectors of half-normal entries.

Let e₊ and e₋ be the unit vectors along w₊ and w₋. φ(h) = τ r x̂ with r² = α₊² P + α₋² N and

    x̂ = e₊ cos θ + e₋ sin θ        cos θ = α₊ √P/r        sin θ = α₋ √N/r

A normal vector orthogonal to x̂, as the backward pass needs it, is

    v (e₋ cos θ - e₊ sin θ) + ρ₊ + ρ₋

with v ~ N(0, 1), and isotropic ρ₊ and ρ₋ on the positive entries and on the others, orthogonal to
e₊ and e₋, of squared norms R₊ ~ χ²_{K-1} and R₋ ~ χ²_{n-K-1}. If r = 0, which means K = 0, then x̂
is e₋. If τ = 0, then h = 0, K is 0 by definition, and the direction of w = w₋ is that of any normal
vector.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from vgsim._twin.conditional import orthonormalised
from vgsim._twin.scaled import Array

__all__ = ["Lengths", "Parts"]

EPSILON = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class Lengths:
    """What was drawn of w and of the vector orthogonal to x̂.

    Attributes
    ----------
    positives : int
        K, from 0 to n.
    positive, negative : float
        P and N.
    v : float
        0 unless 0 < K < n.
    positive_rest, negative_rest : float
        R₊ and R₋.
    silent : bool
        Whether τ = 0, so that h = 0 says nothing of the signs of w. K is 0 then.
    """

    positives: int
    positive: float
    negative: float
    v: float
    positive_rest: float
    negative_rest: float
    silent: bool = False


@dataclass(frozen=True, eq=False)
class Parts:
    """The vectors of a layer with given lengths.

    Parameters
    ----------
    lengths : Lengths
    slopes : tuple of float
        α₋ and α₊.
    normals : ndarray, (3, n)
        Standard normals, from which all directions are made.

    Attributes
    ----------
    e_positive, e_negative : ndarray, (n,)
        e₊ and e₋; zero if K = 0 and if K = n.
    w : ndarray, (n,)
    axis : ndarray, (n,)
        x̂.
    rest : ndarray, (n,)
        ρ₊ + ρ₋.
    across : ndarray, (n,)
        The vector orthogonal to x̂.

    Examples
    --------
    >>> import numpy as np
    >>> from vgsim._twin.parts import Lengths, Parts
    >>> lengths = Lengths(2, 25.0, 4.0, 1.0, 16.0, 0.0)
    >>> normals = np.array([[3.0, 0.5, -4.0], [2.0, -1.0, 1.0], [1.0, 1.0, 0.0]])
    >>> relu = Parts(lengths, slopes=(0.0, 1.0), normals=normals)
    >>> relu.w
    array([ 3., -2.,  4.])
    >>> relu.axis
    array([0.6, 0. , 0.8])
    >>> relu.across
    array([ 3.2, -1. , -2.4])
    """

    lengths: Lengths
    slopes: tuple[float, float]
    normals: Array
    e_positive: Array = field(init=False)
    e_negative: Array = field(init=False)
    w: Array = field(init=False)
    axis: Array = field(init=False)
    rest: Array = field(init=False)
    across: Array = field(init=False)

    def __post_init__(self) -> None:
        size, order, isotropic = self.normals
        own, (below, above) = self.lengths, self.slopes
        positive = np.zeros(len(order), dtype=bool)
        positive[np.argsort(-order, kind="stable")[: own.positives]] = True
        e, rest = _directions(np.where(positive, abs(size), 0.0), isotropic * positive)
        others = size if own.silent else np.where(positive, 0.0, -abs(size))
        e_, rest_ = _directions(others, isotropic * ~positive)
        P, N = math.sqrt(own.positive), math.sqrt(own.negative)
        r = math.hypot(above * P, below * N)
        cos, sin = (above * P / r, below * N / r) if r > 0 else (0.0, 1.0)
        rests = math.sqrt(own.positive_rest) * rest + math.sqrt(own.negative_rest) * rest_
        for name, value in {
            "e_positive": e,
            "e_negative": e_,
            "w": P * e + N * e_,
            "axis": cos * e + sin * e_,
            "rest": rests,
            "across": own.v * (cos * e_ - sin * e) + rests,
        }.items():
            object.__setattr__(self, name, value)


def _directions(a: Array, b: Array) -> tuple[Array, Array]:
    """Return the unit vector along a, and that along the part of b orthogonal to a, or zeros."""
    first, second = orthonormalised(np.column_stack([a, b]), EPSILON)[0].T
    return first, second
