"""Softmax attention, forward and backward, for queries, keys and values of any scale.

Queries, keys and values of moderate size are evaluated in plain float64, all heads at once.
Otherwise the entries of the matrices of one head and sequence, such as the scores S[t, u] of key t
and query u, are `Scaled` arrays of one row: every entry has an exponent of its own.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from vgsim._twin.scaled import Array, Scaled, joined, normalised, scaled, shifted

__all__ = ["Attention"]

LEAST_WEIGHT = 2.0**-500  # relative to the largest; their products with gradients are plain numbers


class Attention:
    """The heads and sequences of one softmax attention.

    Parameters
    ----------
    heads : int
        A head has d = n/heads rows of queries, keys and values.
    causal : bool
        Whether query u sees the keys t ≤ u only.
    tokens : int
        Columns per sequence.

    Examples
    --------
    >>> import numpy as np
    >>> from vgsim._twin.attention import Attention
    >>> from vgsim._twin.scaled import normalised
    >>> x = normalised(np.array([[0.0, 1e20]]))
    >>> y = Attention(1, False, 2)(x, x, x)
    >>> y.mantissa * 2.0**y.exponent
    array([[5.e+19, 1.e+20]])
    """

    def __init__(self, heads: int, causal: bool, tokens: int) -> None:
        self.heads, self.causal, self.tokens = heads, causal, tokens

    def __call__(self, q: Scaled, k: Scaled, v: Scaled) -> Scaled:
        """V P, with P = softmax over the keys of Kᵀ Q/√d."""
        self.q, self.k, self.v = q, k, v
        self.plain = self._plain_weights()
        if self.plain is not None:
            return self._whole(self._split(v) @ self.plain, v.exponent)
        self.P: list[Array] = []
        self.top: list[NDArray[np.int64]] = []
        parts = []
        for Q, K, V in self._parts(q, k, v):
            P, top = self._softmax(K, Q)
            self.P.append(P)
            self.top.append(top)
            parts.append(_weighted(V, _entries(P)))
        return self._joined(parts)

    def back(self, c: Scaled) -> tuple[Scaled, Scaled, Scaled]:
        """∂L/∂Q, ∂L/∂K and ∂L/∂V, given C = ∂L/∂(V P).

        With ∂P relative to its value at the key with the largest weight, a = ∂P - ∂P_top,
        ∂S = P ∘ (a - Σ_t P ∘ a), ∂Q = K ∂S/√d, ∂K = Q ∂Sᵀ/√d and ∂V = C Pᵀ.
        """
        if self.plain is not None and c.is_moderate:
            return self._plain_back(self.plain, c)
        if self.plain is not None:
            self.P = list(self.plain.reshape(-1, self.tokens, self.tokens))
            self.top = [np.argmax(P, axis=0) for P in self.P]
        by_q, by_k, by_v = [], [], []
        parts = self._parts(self.q, self.k, self.v, c)
        for (Q, K, V, C), P, top in zip(parts, self.P, self.top, strict=True):
            weights = _entries(P)
            a = _entries(np.where(P > 0, 1.0, 0.0)) * _relative_products(V, top, C)
            mean = _sum_over_keys(weights * a)
            mean = Scaled(mean.mantissa[:, np.newaxis], mean.exponent)
            score = 1.0 / math.sqrt(len(Q.mantissa)) * (weights * (a - mean))
            by_q.append(_weighted(K, score))
            by_k.append(_weighted(Q, _swapped(score)))
            by_v.append(_weighted(C, _swapped(weights)))
        return self._joined(by_q), self._joined(by_k), self._joined(by_v)

    def _plain_weights(self) -> Array | None:
        """P of all sequences and heads in plain numbers; None if some are not moderate."""
        q, k = self.q, self.k
        if not (q.is_moderate and k.is_moderate and self.v.is_moderate):
            return None
        K, Q = self._split(k), self._split(q)
        s = np.swapaxes(K, 2, 3) @ Q / math.sqrt(K.shape[2])
        s = np.ldexp(s, q.exponent + k.exponent)
        if self.causal:
            s[..., ~self._seen] = -np.inf
        P: Array = np.exp(s - np.max(s, axis=2, keepdims=True))
        if np.any(P[..., self._seen] < LEAST_WEIGHT):
            return None
        return np.asarray(P / np.sum(P, axis=2, keepdims=True))

    def _plain_back(self, P: Array, c: Scaled) -> tuple[Scaled, Scaled, Scaled]:
        """Gradients in plain numbers; see `back`."""
        Q, K, V, C = (self._split(x) for x in (self.q, self.k, self.v, c))
        a = np.empty_like(P)
        for at in np.ndindex(P.shape[:2]):
            top = np.argmax(P[at], axis=0)
            above = V[at][:, :, np.newaxis] - V[at][:, np.newaxis, top]
            a[at] = np.einsum("dtu,du->tu", above, C[at])
        score = P * (a - np.sum(P * a, axis=2, keepdims=True)) / math.sqrt(Q.shape[2])
        e = self.v.exponent + c.exponent
        return (
            self._whole(K @ score, self.k.exponent + e),
            self._whole(Q @ np.swapaxes(score, 2, 3), self.q.exponent + e),
            self._whole(C @ np.swapaxes(P, 2, 3), c.exponent),
        )

    @property
    def _seen(self) -> NDArray[np.bool_]:
        """Which keys (rows) every query (column) sees."""
        every = np.ones((self.tokens, self.tokens), dtype=bool)
        return np.triu(every) if self.causal else every

    def _split(self, a: Scaled) -> Array:
        """Return mantissas by sequence and head, (sequences, heads, d, tokens)."""
        n, columns = a.mantissa.shape
        shape = self.heads, n // self.heads, columns // self.tokens, self.tokens
        return a.mantissa.reshape(shape).transpose(2, 0, 1, 3)

    def _whole(self, parts: Array, exponent: int) -> Scaled:
        """Put the heads of all sequences together again."""
        sequences, heads, d, tokens = parts.shape
        whole = parts.transpose(1, 2, 0, 3).reshape(heads * d, sequences * tokens)
        return scaled(whole, exponent)

    def _softmax(self, K: Scaled, Q: Scaled) -> tuple[Array, NDArray[np.int64]]:
        """P, and the key of the largest weight of every query."""
        S = 1.0 / math.sqrt(len(Q.mantissa)) * _products(K, Q)
        seen = self._seen
        common = np.max(np.where(seen, S.exponent, np.min(S.exponent)), axis=0)
        with np.errstate(over="ignore"):
            s = np.where(seen, shifted(S.mantissa[0], S.exponent - common), -np.inf)
            P: Array = np.exp(shifted(s - np.max(s, axis=0), common))
        tiny = np.finfo(float).tiny
        P[tiny > P] = 0.0
        return P / np.sum(P, axis=0), np.argmax(s, axis=0)

    def _parts(self, *arrays: Scaled) -> Iterator[tuple[Scaled, ...]]:
        """Yield the arrays of every head of every sequence, (d, tokens)."""
        n, columns = arrays[0].mantissa.shape
        d, T = n // self.heads, self.tokens
        arrays = tuple(a.by_column for a in arrays)
        for first in range(0, columns, T):
            at = slice(first, first + T)
            for row in range(0, n, d):
                rows = slice(row, row + d)
                yield tuple(normalised(a.mantissa[rows, at], a.exponent[at]) for a in arrays)

    def _joined(self, parts: list[Scaled]) -> Scaled:
        """Put the heads of all sequences together again."""
        sequences = [parts[i : i + self.heads] for i in range(0, len(parts), self.heads)]
        columns = []
        for heads in sequences:
            common = np.max([part.exponent for part in heads], axis=0)
            rows = [shifted(part.mantissa, part.exponent - common) for part in heads]
            columns.append(normalised(np.concatenate(rows), common))
        whole = joined(columns)
        return scaled(whole.mantissa, whole.exponent)


def _entries(values: Array) -> Scaled:
    """Return a matrix as entries, each with its own exponent."""
    return normalised(values[np.newaxis])


def _swapped(entries: Scaled) -> Scaled:
    """Return the transpose of a matrix of entries."""
    return Scaled(entries.mantissa.transpose(0, 2, 1), entries.exponent.T)


def _products(A: Scaled, B: Scaled) -> Scaled:
    """Return the entries of Aᵀ B."""
    terms = A.mantissa[:, :, np.newaxis] * B.mantissa[:, np.newaxis]
    return normalised(np.sum(terms, axis=0, keepdims=True), A.exponent[:, np.newaxis] + B.exponent)


def _relative_products(V: Scaled, top: NDArray[np.int64], C: Scaled) -> Scaled:
    """Return the entries (v_t - v_top) · c_u, where `top` is that of u; 0 for equal columns."""
    at_top = Scaled(V.mantissa[:, np.newaxis, top], V.exponent[top])
    above = Scaled(V.mantissa[:, :, np.newaxis], V.exponent[:, np.newaxis]) - at_top
    terms = above.mantissa * C.mantissa[:, np.newaxis]
    return normalised(np.sum(terms, axis=0, keepdims=True), above.exponent + C.exponent)


def _weighted(V: Scaled, weights: Scaled) -> Scaled:
    """Return the columns Σ_t v_t weights[t, u]."""
    terms = V.mantissa[:, :, np.newaxis] * weights.mantissa
    return _sum_over_keys(normalised(terms, V.exponent[:, np.newaxis] + weights.exponent))


def _sum_over_keys(terms: Scaled) -> Scaled:
    """Sum over the first of the last two axes."""
    common = np.max(terms.exponent, axis=0)
    return normalised(np.sum(shifted(terms.mantissa, terms.exponent - common), axis=1), common)
