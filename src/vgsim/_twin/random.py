"""The random numbers, readable: the NumPy twin of the kernels' generator.

Every number is a pure function of (key, stream, layer, index, position). The generator is
Philox4x32-7, which maps a counter of four 32-bit words and a key of two to four random words.
A block b of a stream has the counter

    (b, layer, index & 0xffffffff, stream << 24 | index >> 32)

Normals are drawn by Box-Muller, with an angle in (0, π/4) and the octant from three more bits.
Their resolution and largest value depend on the dtype: in float32 the radius has 31 bits and
reaches 6.66 standard deviations, in float64 it has 52 bits and reaches 8.57. After the roundings
that belong to the definition this module computes in float64, so it agrees with the kernels up to
rounding.
"""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from vgsim._checks import value_error
from vgsim._engine.settings import STREAMS

__all__ = [
    "normals",
    "philox4x32",
    "polar",
    "signed_units",
    "truncated_normals",
    "uniforms",
    "words",
]

UInt32s = NDArray[np.uint32]
UInt64s = NDArray[np.uint64]
Floats = NDArray[np.float64]
_MULTIPLIERS = np.array([0xD2511F53, 0xCD9E8D57], dtype=np.uint64)
_WEYL = np.array([0x9E3779B9, 0xBB67AE85], dtype=np.uint32)
_ROUNDS = 7
_LOW, _32 = np.uint64(0xFFFFFFFF), np.uint64(32)
_SINGLE_BITS, _DOUBLE_BITS = np.uint64((1 << 31) - 1), np.uint64((1 << 52) - 1)
_ERF_SQRT2 = math.erf(math.sqrt(2.0))  # P(|z| < 2)


def philox4x32(counter: Any, key: Any, rounds: int = _ROUNDS) -> UInt32s:
    """Philox4x32: four random words for every counter.

    Parameters
    ----------
    counter : array_like of uint32, (..., 4)
    key : array_like of uint32, (2,)
    rounds : int, default 7

    Returns
    -------
    ndarray of uint32, (..., 4)

    Notes
    -----
    Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC'11:
    seven rounds are the fewest that pass BigCrush there.

    Examples
    --------
    >>> from vgsim._twin.random import philox4x32
    >>> [f"{word:08x}" for word in philox4x32([0, 0, 0, 0], [0, 0])]
    ['5f6fb709', '0d893f64', '4f121f81', '4f730a48']
    """
    counter = np.asarray(counter, dtype=np.uint32)
    words = counter.reshape(-1, 2, 2).astype(np.uint64)  # (c0, c1), (c2, c3)
    even, odd = words[..., 0], words[..., 1]
    k = np.array(key, dtype=np.uint32)
    for _ in range(rounds):
        product = (_MULTIPLIERS * even)[:, ::-1]
        even, odd = (product >> _32) ^ odd ^ k, product & _LOW
        k = k + _WEYL
    return np.stack([even, odd], axis=-1).astype(np.uint32).reshape(counter.shape)


def words(
    key: Any, stream: str | int, layer: int, index: int, count: int, *, block: int = 0
) -> UInt32s:
    """Draw `count` words of a stream, the first ones by default.

    Parameters
    ----------
    key : array_like of uint32, (2,)
        See :func:`network_key`.
    stream : str or int
        A name or number in `STREAMS`.
    layer : int
        From 0 to 2**32 - 1.
    index : int
        Index of the sample, from 0 to 2**56 - 1.
    count : int
        From 0 to 4 * 2**32: at most 2**32 blocks of 4 words.
    block : int, default 0
        The block with the first of these words; the last one is at most 2**32 - 1.

    Returns
    -------
    ndarray of uint32, (count,)

    Raises
    ------
    ValueError
        If the stream is unknown or another argument is out of range.

    Examples
    --------
    >>> from vgsim._twin.random import words
    >>> words([1, 2], "forward", layer=3, index=4, count=5).size
    5
    """
    return _blocks(key, stream, layer, index, -(-count // 4), block).reshape(-1)[:count]


def normals(
    key: Any,
    stream: str | int,
    layer: int,
    index: int,
    count: int,
    dtype: DTypeLike,
    *,
    block: int = 0,
) -> Floats:
    """Draw `count` standard normals of a stream, the first ones by default.

    A block gives 4 normals in float32 and 2 in float64.

    Parameters
    ----------
    key, stream, layer, index, count, block
        As in :func:`words`.
    dtype : {"float32", "float64"}
        The dtype of the kernels whose normals these are; the result is always float64.

    Returns
    -------
    ndarray of float64, (count,)

    Notes
    -----
    A pair is r (c, s) with r = √(-2 ln u) and (c, s) the cosine and sine of an angle in (0, π/4);
    three separate bits swap c and s and set their signs. G. E. P. Box and M. E. Muller, 1958.

    Examples
    --------
    >>> from vgsim._twin.random import normals
    >>> bool(abs(normals([1, 2], "forward", 3, 4, 1000, "float32").mean()) < 0.2)
    True
    """
    u, theta, flip, swap = polar(key, stream, layer, index, -(-count // 2), dtype, block=block)
    r = np.sqrt(-2.0 * np.log(u))
    c, s = np.cos(theta), np.sin(theta)
    z0 = np.where(flip[0], -r, r) * np.where(swap, s, c)
    z1 = np.where(flip[1], -r, r) * np.where(swap, c, s)
    return np.stack([z0, z1], axis=-1).reshape(-1)[:count]


def polar(
    key: Any,
    stream: str | int,
    layer: int,
    index: int,
    count: int,
    dtype: DTypeLike,
    *,
    block: int = 0,
) -> tuple[Floats, Floats, NDArray[np.bool_], NDArray[np.bool_]]:
    """Draw the random numbers of `count` pairs of normals; parameters as in :func:`normals`.

    Returns
    -------
    u : ndarray of float64, (count,)
        Uniform on (0, 1), for the radius.
    theta : ndarray of float64, (count,)
        Angle in (0, π/4).
    flip : ndarray of bool, (2, count)
        Whether the values are negative.
    swap : ndarray of bool, (count,)
        Whether the first value is the sine.

    Examples
    --------
    >>> from vgsim._twin.random import polar
    >>> u, theta, flip, swap = polar([1, 2], "forward", 3, 4, 10, "float64")
    >>> u.shape, flip.shape
    ((10,), (2, 10))
    """
    radius, angle = _bits(key, stream, layer, index, 2 * count, dtype, block).reshape(-1, 2).T
    top = 63 if _is_double(dtype) else 31
    bits = 52 if _is_double(dtype) else 30
    x = ((angle & np.uint64((1 << bits) - 1)) + 0.5) * 2.0**-bits
    flip = np.stack([radius, angle]) >> np.uint64(top) == 1
    swap = angle >> np.uint64(top - 1) & np.uint64(1) == 1
    return _open_unit(radius, dtype), np.asarray(math.pi / 4 * x), flip, swap


def signed_units(
    key: Any, stream: str | int, layer: int, index: int, count: int, dtype: DTypeLike
) -> tuple[Floats, Floats]:
    """Draw `count` random signs and uniforms on (0, 1) of a stream, independent of each other.

    The uniforms have 31 bits in float32 and 52 bits in float64; the least is 2**-32 or 2**-53. A
    block gives 4 of them in float32 and 2 in float64. Parameters as in :func:`normals`.

    Returns
    -------
    signs : ndarray of float64, (count,)
        1 or -1.
    u : ndarray of float64, (count,)

    Examples
    --------
    >>> from vgsim._twin.random import signed_units
    >>> signs, u = signed_units([1, 2], "forward", 3, 4, 1000, "float32")
    >>> sorted(set(signs.tolist())), bool((u > 0).all() and (u < 1).all())
    ([-1.0, 1.0], True)
    """
    bits = _bits(key, stream, layer, index, count, dtype)
    negative = bits >> np.uint64(63 if _is_double(dtype) else 31) == 1
    return np.asarray(np.where(negative, -1.0, 1.0)), _open_unit(bits, dtype)


def _open_unit(bits: UInt64s, dtype: DTypeLike) -> Floats:
    """Return a uniform on (0, 1) from the low 31 bits, rounded to float32, or from 52 bits."""
    if _is_double(dtype):
        return np.asarray(((bits & _DOUBLE_BITS) + 0.5) * 2.0**-52)
    u = ((bits & _SINGLE_BITS).astype(np.float32) + np.float32(0.5)) * np.float32(2.0**-31)
    return np.asarray(np.minimum(u, np.float32(1 - 2.0**-24)), dtype=np.float64)


def _bits(
    key: Any,
    stream: str | int,
    layer: int,
    index: int,
    count: int,
    dtype: DTypeLike,
    block: int = 0,
) -> UInt64s:
    """Return `count` numbers of 32 random bits (float32), or of 64 (float64), high word first."""
    per_block = 2 if _is_double(dtype) else 4
    w = _blocks(key, stream, layer, index, -(-count // per_block), block).astype(np.uint64)
    joined = w[:, ::2] << _32 | w[:, 1::2] if _is_double(dtype) else w
    return np.asarray(joined.reshape(-1)[:count])


def uniforms(
    key: Any, stream: str | int, layer: int, index: int, count: int, dtype: DTypeLike
) -> Floats:
    """Draw the first `count` uniforms on (-1, 1) of a stream, 4 per block in either dtype.

    The values are the midpoints of 2**24 equal cells in float32, of 2**32 in float64: symmetric
    about 0, and never 0 or ±1. Parameters as in :func:`normals`.

    Returns
    -------
    ndarray of float64, (count,)

    Examples
    --------
    >>> from vgsim._twin.random import uniforms
    >>> bool(abs(uniforms([1, 2], "forward", 3, 4, 1000, "float64")).max() < 1)
    True
    """
    w = words(key, stream, layer, index, count).view(np.int32)
    bits = 31 if _is_double(dtype) else 23
    cell = (w >> (31 - bits)).astype(np.float64)
    return (cell + 0.5) * 2.0**-bits


def truncated_normals(
    key: Any, stream: str | int, layer: int, index: int, count: int, dtype: DTypeLike
) -> Floats:
    """Draw the first `count` standard normals conditioned on |z| < 2.

    z = Φ⁻¹((1 + v erf √2)/2) with v uniform on (-1, 1); its standard deviation is
    0.87962566103423978. A block gives 4 values in either dtype. Parameters as in :func:`normals`.

    Returns
    -------
    ndarray of float64, (count,)

    Examples
    --------
    >>> from vgsim._twin.random import truncated_normals
    >>> bool(abs(truncated_normals([1, 2], "forward", 3, 4, 1000, "float64")).max() < 2)
    True
    """
    from scipy.special import erfinv

    v = uniforms(key, stream, layer, index, count, dtype)
    return np.asarray(math.sqrt(2.0) * erfinv(_ERF_SQRT2 * v), dtype=np.float64)


def _blocks(
    key: Any, stream: str | int, layer: int, index: int, count: int, first: int = 0
) -> UInt32s:
    """Blocks `first` … `first` + count - 1 of a stream, (count, 4)."""
    number = STREAMS.get(stream, -1) if isinstance(stream, str) else stream
    if number not in STREAMS.values():
        raise value_error("stream", f"must be one of {STREAMS}, got {stream!r}")
    layer, index = operator.index(layer), operator.index(index)
    for name, value, high, of in (
        ("layer", layer, 2**32 - 1, ""),
        ("index", index, 2**56 - 1, ""),
        ("count", count, 2**32 - first, " of blocks"),
    ):
        if not 0 <= value <= high:
            raise value_error(name, f"must be from 0 to {high}, got {value}", of)
    counter = np.empty((count, 4), dtype=np.uint32)
    counter[:, 0] = np.arange(first, first + count, dtype=np.uint64)
    counter[:, 1:] = layer, index & 0xFFFFFFFF, number << 24 | index >> 32
    return philox4x32(counter, key)


def _is_double(dtype: DTypeLike) -> bool:
    try:
        return ("float32", "float64").index(np.dtype(dtype).name) == 1
    except (TypeError, ValueError):
        raise value_error("dtype", f"must be 'float32' or 'float64', got {dtype!r}") from None
