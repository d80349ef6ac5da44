"""All random numbers of one sample as NumPy arrays, in the layout that the kernels use.

Column b of a matrix with n rows consists of the draws b p … b p + n - 1 of its stream, where p is n
rounded up to a multiple of 4. Row i of a dense weight matrix is laid out in the same way.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vgsim._networks.initializers import padded
from vgsim._networks.operations import GateBias
from vgsim._twin.random import normals, truncated_normals, uniforms, words

__all__ = ["Array", "Draws", "orthogonal_factor"]

Array = NDArray[np.float64]
BEYOND = 2**31  # first block of stream "norm" for the numbers of a rotation
_SECOND, _LOG_UNIFORM, _INNER = 8, 16, 24  # added to the number of a gate in stream "bias"
TRUNCATED_STD = 0.87962566103423978  # of a standard normal conditioned on |z| < 2
_LAWS = {
    "normal": (normals, 1.0),
    "uniform": (uniforms, 1.0 / math.sqrt(3.0)),
    "truncated_normal": (truncated_normals, TRUNCATED_STD),
}


@dataclass(frozen=True)
class Draws:
    """The random numbers of the sample `index` under `key`, as the kernels of `dtype` draw them.

    Parameters
    ----------
    key : ndarray of uint32, (2,)
        See :func:`vgsim._engine.settings.network_key`.
    index : int
    dtype : {"float32", "float64"}

    Examples
    --------
    >>> import numpy as np
    >>> from vgsim._twin.draws import Draws
    >>> draws = Draws(np.array([1, 2], dtype=np.uint32), 0, "float64")
    >>> draws.columns("forward", 3, 5, 2).shape
    (5, 2)
    """

    key: NDArray[np.uint32]
    index: int
    dtype: str

    def __call__(self, law: Callable[..., Array], stream: str, layer: int, count: int) -> Array:
        return law(self.key, stream, layer, self.index, count, self.dtype)

    def columns(self, stream: str, layer: int, n: int, batch_size: int) -> Array:
        """Draw standard normals, (n, batch_size)."""
        return self._rows(normals, stream, layer, batch_size, n).T

    def rows(self, data: Array, batch_size: int) -> Array:
        """Draw distinct, uniformly random rows of a data matrix; return them as columns.

        Rows of shape (tokens, n_0) are sequences; each of them becomes `tokens` columns.
        """
        chosen: list[int] = []
        for b, word in enumerate(words(self.key, "input", 0, self.index, batch_size)):
            row = int(word) * (len(data) - b) >> 32
            for earlier in sorted(chosen):
                row += earlier <= row
            chosen.append(row)
        return data[chosen].reshape(-1, data.shape[-1]).T

    def mask(self, number: int, n: int, columns: int, rate: float) -> Array:
        """Draw a mask of zeros and ones, (n, columns); an entry is 0 with probability `rate`."""
        p = padded(n)
        drawn = words(self.key, "mask", number, self.index, columns * p).reshape(columns, p)
        return (drawn[:, :n] >= round(rate * 2.0**32)).T.astype(np.float64)

    def classes(self, layer: int, n: int, batch_size: int) -> NDArray[np.int64]:
        """Draw a uniformly random class 0 … n - 1 for every column."""
        word = words(self.key, "targets", layer, self.index, batch_size).astype(np.uint64)
        return (word * np.uint64(n) >> np.uint64(32)).astype(np.int64)

    def bias(self, layer: int, n: int, std: float, limit: float) -> Array:
        """b: uniform on (-limit, limit) if limit > 0, normal if std > 0, else zero."""
        if limit > 0:
            return limit * self(uniforms, "bias", layer, n)
        if std > 0:
            return std * self(normals, "bias", layer, n)
        return np.zeros(n)

    def gate_bias(self, gate: GateBias) -> Array:
        """Draw b_k = sign (ζ + shift + ln u) of a gate; ζ is the sum of `count` vectors."""
        number = gate.drawn_as + 1 + (_INNER if gate.name == "hidden_bias" else 0)
        b = np.full(gate.rows, gate.shift)
        for i in range(gate.count):
            b += self.bias(number + i * _SECOND, gate.rows, gate.std, gate.limit)
        if gate.most > 0:
            v = self(uniforms, "bias", number + _LOG_UNIFORM, gate.rows)
            b += np.log1p((gate.most - 1.0) * (v + 1.0) / 2.0)
        return gate.sign * b

    def weight(
        self, distribution: str, std: float, stream: str, layer: int, n: int, m: int
    ) -> Array:
        """Draw a weight matrix of the dense engine, (n, m), with entries of standard deviation std.

        "orthogonal": a multiple of a corner of a Haar matrix, whose rows are the normal columns of
        the stream after Gram-Schmidt. "identity": a multiple of the identity.
        """
        N = max(n, m)
        if distribution == "identity":
            return std * math.sqrt(N) * np.eye(n, m)
        if distribution == "orthogonal":
            O = orthogonal_factor(self.columns(stream, layer, N, n)).T
            return std * math.sqrt(N) * O[:, :m]
        law, law_std = _LAWS[distribution]
        return std / law_std * self._rows(law, stream, layer, n, m)

    def rest(self, stream: str, layer: int, n: int, m: int) -> Array:
        """M, the part of a matrix that only a replay needs: n × m standard normals."""
        M = normals(self.key, stream, layer, self.index, n * m, "float64")
        return M.reshape(n, m)

    def chi_square(self, layer: int, degrees: int, block: int = 0) -> float:
        """χ² of stream "norm", from `block` on, by rejection (Marsaglia and Tsang 2000).

        With one degree of freedom the shape a + 1 is drawn and multiplied by U^(1/a), a = 1/2.
        """
        if degrees <= 0:
            return 0.0
        boosted = degrees == 1
        d = degrees / 2.0 + boosted - 1.0 / 3.0
        c = 1.0 / math.sqrt(9.0 * d)
        while True:
            x = self.norm_normal(layer, block)
            bits = words(self.key, "norm", layer, self.index, 4, block=block + 1)
            u, u_boost = ((int(hi) << 32 | int(lo)) >> 12 for hi, lo in bits.reshape(2, 2))
            v = (1.0 + c * x) ** 3
            if v > 0 and _log_uniform(u) < x * x / 2.0 + d - d * v + d * math.log(v):
                boost = math.exp(2.0 * _log_uniform(u_boost)) if boosted else 1.0
                return 2.0 * d * v * boost
            block += 2

    def beyond_nu(self, layer: int, n: int) -> tuple[float, float]:
        """Draw a normal, and χ² with n - 2 degrees of freedom: see :class:`Rotation`."""
        return self.norm_normal(layer, BEYOND), self.chi_square(layer, n - 2, BEYOND + 2)

    def directions(self, layer: int, n: int) -> Array:
        """Draw four rows of standard normals for directions that only a replay needs, (4, n)."""
        return self.rest("replay_directions", layer, 4, n)

    def heads(self, stream: str, layer: int, n: int) -> int:
        """Draw from the binomial law (n, ½): the ones among the first n bits of a stream."""
        bits = words(self.key, stream, layer, self.index, -(-n // 32)).astype("<u4")
        return int(np.unpackbits(bits.view(np.uint8), bitorder="little")[:n].sum())

    def chi_squares(
        self, stream: str, layer: int, quad: int, degrees: tuple[int, int]
    ) -> tuple[float, float]:
        """Draw two χ² in the precision of the dtype, by rejection (Marsaglia and Tsang 2000).

        The attempts at both use the quads `quad`, `quad` + 1, … of the stream. A quad is a block in
        float32, with a pair of normals and two uniforms, and two blocks in float64, the normals in
        the first and the uniforms in the second.
        """
        if max(degrees) <= 0:
            return 0.0, 0.0
        found: list[float | None] = [None, None]
        while None in found:
            for i, (x, log_u) in enumerate(self._attempt(stream, layer, quad)):
                if found[i] is None:
                    found[i] = _accepted(degrees[i], x, log_u)
            quad += 1
        return found[0] or 0.0, found[1] or 0.0

    def _attempt(self, stream: str, layer: int, quad: int) -> list[tuple[float, float]]:
        """Return two pairs of a normal and the logarithm of a uniform."""
        where = self.key, stream, layer, self.index
        if self.dtype == "float32":
            x = normals(*where, 2, self.dtype, block=quad)
            logs = [_log_uniform_32(int(word)) for word in words(*where, 4, block=quad)[2:]]
        else:
            x = normals(*where, 2, self.dtype, block=2 * quad)
            high, low = words(*where, 4, block=2 * quad + 1).astype(np.uint64).reshape(2, 2).T
            logs = [
                _log_uniform(int(bits)) for bits in (high << 32 | low) & np.uint64((1 << 52) - 1)
            ]
        return list(zip(x.tolist(), logs, strict=True))

    def norm_normal(self, layer: int, block: int) -> float:
        """Draw a normal in double precision: the first one of a block of stream "norm"."""
        return float(normals(self.key, "norm", layer, self.index, 1, "float64", block=block)[0])

    def _rows(
        self, law: Callable[..., Array], stream: str, layer: int, count: int, length: int
    ) -> Array:
        """`count` rows; each row starts a new group of four draws."""
        p = padded(length)
        return self(law, stream, layer, count * p).reshape(count, p)[:, :length]


def orthogonal_factor(A: Array) -> Array:
    """Return Q of A = Q R with the diagonal of R positive, as by Gram-Schmidt on the columns."""
    Q, R = np.linalg.qr(A)
    return np.asarray(Q * np.where(np.diagonal(R) < 0, -1.0, 1.0))


def _log_uniform(bits: int) -> float:
    """Return ln u of the uniform u = (bits + 1/2) 2^-52."""
    return math.log((bits + 0.5) * 2.0**-52)


def _log_uniform_32(word: int) -> float:
    """Return ln u of the uniform u = (k + 1/2) 2^-31, in float32 and below 1, k of 31 bits."""
    u = (np.float32(word & 0x7FFFFFFF) + np.float32(0.5)) * np.float32(2.0**-31)
    return math.log(min(float(u), 1 - 2.0**-24))


def _accepted(degrees: int, x: float, log_u: float) -> float | None:
    """Return χ² from a normal and a uniform, None if they are rejected."""
    if degrees <= 1:
        return x * x if degrees == 1 else 0.0
    twice_d = degrees - 2.0 / 3.0
    t = x * math.sqrt(2.0 / 9.0 / twice_d)
    if t <= -1:
        return None
    bound = x * x / 2.0 + twice_d / 2.0 * (3.0 * math.log1p(t) - t * (3.0 + t * (3.0 + t)))
    return twice_d * (1.0 + t) ** 3 if log_u < bound else None
