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
from vgsim._twin.random import normals, truncated_normals, uniforms, words

__all__ = ["Array", "Draws", "orthogonal_factor"]

Array = NDArray[np.float64]
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

    def chi_square(self, layer: int, degrees: int) -> float:
        """χ² by the rejection method of Marsaglia and Tsang (2000).

        With one degree of freedom the shape a + 1 is drawn and multiplied by U^(1/a), a = 1/2.
        """
        if degrees == 0:
            return 0.0
        boosted = degrees == 1
        d = degrees / 2.0 + boosted - 1.0 / 3.0
        c = 1.0 / math.sqrt(9.0 * d)
        block = 0
        while True:
            x = normals(self.key, "norm", layer, self.index, 2 * block + 1, "float64")[-1]
            bits = words(self.key, "norm", layer, self.index, 4 * block + 8)[-4:]
            u, u_boost = ((int(hi) << 32 | int(lo)) >> 12 for hi, lo in bits.reshape(2, 2))
            v = (1.0 + c * float(x)) ** 3
            if v > 0 and _log_uniform(u) < x * x / 2.0 + d - d * v + d * math.log(v):
                boost = math.exp(2.0 * _log_uniform(u_boost)) if boosted else 1.0
                return 2.0 * d * v * boost
            block += 2

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
