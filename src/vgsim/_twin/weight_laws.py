"""The laws of independent weights, with variance 1, from the random numbers that the kernels use.

Each law is a function with the parameters of :func:`vgsim._twin.random.normals`, apart from the
block, after those of its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from vgsim._networks.custom_weights import LONGEST, tails_of
from vgsim._twin.random import (
    normals,
    polar,
    signed_units,
    truncated_normals,
    uniforms,
    words,
)

__all__ = ["entries"]

Floats = NDArray[np.float64]
TRUNCATED_STD = 0.87962566103423978  # of a standard normal conditioned on |z| < 2
MASK_BLOCK = 2**31  # first block of the mask of sparse weights


def entries(law: str, *parameters: float | str) -> Callable[..., Floats]:
    """Return the function that draws weights of a law with these parameters, of variance 1.

    Examples
    --------
    >>> from vgsim._twin.weight_laws import entries
    >>> entries("rademacher")([1, 2], "forward", 3, 4, 4, "float32").tolist()
    [1.0, 1.0, -1.0, 1.0]
    """
    return partial(_LAWS[law], *parameters)


def _uniform(*where: Any) -> Floats:
    """Draw uniforms on ±√3."""
    return math.sqrt(3.0) * uniforms(*where)


def _truncated_normal(*where: Any) -> Floats:
    """Draw normals truncated at ±2 of their standard deviation before the cut."""
    return truncated_normals(*where) / TRUNCATED_STD


def _laplace(*where: Any) -> Floats:
    """Draw from the Laplace law: an exponential variable with a random sign."""
    signs, u = signed_units(*where)
    return signs * -np.log(u) / math.sqrt(2.0)


def _rademacher(*where: Any) -> Floats:
    """Draw 1 or -1."""
    return signed_units(*where)[0]


def _student_t(
    df: float, key: Any, stream: str, layer: int, index: int, count: int, dtype: DTypeLike
) -> Floats:
    """Draw from Student's law, t = √(df (u^(-2/df) - 1)) cos θ (Bailey 1994).

    A value takes the random numbers of a pair of normals.
    """
    u, theta, flip, swap = polar(key, stream, layer, index, count, dtype)
    cosine = np.where(swap, np.sin(theta), np.cos(theta)) * np.where(flip[0], -1.0, 1.0)
    t = np.sqrt(df * np.expm1(-2.0 / df * np.log(u))) * cosine
    return np.asarray(t / math.sqrt(df / (df - 2.0)))


def _sparse(
    density: float, key: Any, stream: str, layer: int, index: int, count: int, dtype: DTypeLike
) -> Floats:
    """Draw normals times a mask, whose entries are 1 for words from a certain one on."""
    least = min(round((1.0 - density) * 2.0**32), 2**32 - 1)
    mask = words(key, stream, layer, index, count, block=MASK_BLOCK) >= least
    z = normals(key, stream, layer, index, count, dtype)
    return mask * z / math.sqrt(1.0 - least * 2.0**-32)


def _custom(sha256: str, *where: Any) -> Floats:
    """Draw by inversion of a quantile function, of which both tails are functions of -log(u)."""
    signs, u = signed_units(*where)
    lower, upper = tails_of(sha256)(np.minimum(-np.log(u), LONGEST))
    return np.where(signs < 0, lower, upper)


_LAWS: dict[str, Callable[..., Floats]] = {
    "normal": normals,
    "uniform": _uniform,
    "truncated_normal": _truncated_normal,
    "student_t": _student_t,
    "laplace": _laplace,
    "rademacher": _rademacher,
    "sparse": _sparse,
    "custom": _custom,
}
