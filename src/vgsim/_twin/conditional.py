"""Weight matrices of the matrix-free engine: products first, then the matrix given its products.

The forward pass uses a weight matrix only in W X, and the backward pass only in Wᵀ Δ. Here both
products are drawn with exactly their joint law, and afterwards the matrix conditioned on both.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from vgsim._twin.draws import orthogonal_factor
from vgsim._twin.scaled import Array, Scaled, scaled

__all__ = ["ConditionalGaussian", "ConditionalHaar", "complement", "orthonormalised"]

RANK_TOLERANCE = 8.0  # times the machine epsilon, relative to the column


@dataclass(eq=False)
class ConditionalGaussian:
    """W, n × m with i.i.d. entries N(0, s²): first W @ X, then W.T @ Δ, then W.explicit.

    Parameters
    ----------
    std : float
        s.
    forward : ndarray, (n, B)
        Standard normals: Z = W Q / s, with Q the orthonormalised columns of X.
    backward : ndarray, (m, B)
        Standard normals: N = W̃ᵀ Q_g / s, with W̃ an independent copy of W and Q_g the
        orthonormalised columns of Δ.
    epsilon : float
        Machine epsilon for the test of linear dependence in :func:`orthonormalised`.
    period : int, default 0
        If it is not 0, every `period` columns of Δ are linearly dependent.
    axis : ndarray, (m, 1), optional
        A unit vector for Q if B = 1 and X = 0: any one that does not depend on W serves as well as
        none. The scalar engine has one in every layer.

    Examples
    --------
    >>> import numpy as np
    >>> from vgsim._twin.conditional import ConditionalGaussian
    >>> from vgsim._twin.scaled import scaled
    >>> Z, N = np.array([[1.0], [2.0], [3.0]]), np.array([[5.0], [-1.0]])
    >>> W = ConditionalGaussian(0.5, Z, N, np.finfo(float).eps)
    >>> U = W @ scaled(np.array([[4.0], [0.0]]))
    >>> G = W.T @ scaled(np.array([[0.0], [0.0], [1.0]]))
    >>> W.explicit(np.zeros((3, 2)))
    array([[ 0.5,  0. ],
           [ 1. ,  0. ],
           [ 1.5, -0.5]])
    """

    std: float
    forward: Array
    backward: Array
    epsilon: float
    period: int = 0
    axis: Array | None = None
    Q: Array = field(init=False)
    Q_g: Array = field(init=False)

    def __matmul__(self, X: Scaled) -> Scaled:
        """W X = s Z R, with X = Q R."""
        size, R = _sizes(X), self._factorised(X)
        return scaled(self.forward @ (R / size) * (self.std * size), X.exponent)

    def _factorised(self, X: Scaled) -> Array:
        """R, with the mantissa of X = Q R."""
        self.Q, R = orthonormalised(X.mantissa, self.epsilon)
        if self.axis is not None and not self.Q.any():
            self.Q = self.axis
        return R

    @property
    def T(self) -> Transpose:
        """Wᵀ."""
        return Transpose(self)

    def _transposed_times(self, Delta: Scaled) -> Scaled:
        """Wᵀ Δ = s [Q Zᵀ Δ + (I - Q Qᵀ) N R_g], with Δ = Q_g R_g."""
        size = _sizes(Delta)
        self.Q_g, R_g = orthonormalised(Delta.mantissa, self.epsilon, period=self.period)
        along = self.Q @ (self.forward.T @ (Delta.mantissa / size))
        G = along + self.across @ (R_g / size)
        return scaled(G * (self.std * size), Delta.exponent)

    @property
    def across(self) -> Array:
        """(I - Q Qᵀ) N."""
        return self.backward - self.Q @ (self.Q.T @ self.backward)

    @property
    def rest_shape(self) -> tuple[int, int]:
        """The shape (n, m) of the argument of `explicit`."""
        return len(self.Q_g), len(self.Q)

    @property
    def degrees(self) -> int:
        """Degrees of freedom of W given both products, (n - r_g)(m - r)."""
        return (len(self.Q_g) - _rank(self.Q_g)) * (len(self.Q) - _rank(self.Q))

    def explicit(self, rest: Array, square: float | None = None) -> Array:
        """W / s = Z Qᵀ + (Q_g Nᵀ + (I - Q_g Q_gᵀ) M)(I - Q Qᵀ), from M of standard normals.

        The squared norm of the last term has the χ² law with `degrees` degrees of freedom and is
        independent of the direction of the term. If `square` is given, the term is scaled to it.
        """
        free = rest - self.Q_g @ (self.Q_g.T @ rest)
        free -= (free @ self.Q) @ self.Q.T
        if square is not None:
            free *= math.sqrt(square) / (np.linalg.norm(free) if self.degrees else 1.0)
        Z = self.forward
        return np.asarray(self.std * (Z @ self.Q.T + self.Q_g @ self.across.T + free))


@dataclass(eq=False)
class ConditionalHaar:
    """W is an n × m corner of γ O, with O uniform over the orthogonal matrices.

    O is N × N with N = max(n, m).

    Parameters
    ----------
    gain : float
        γ.
    shape : tuple of int
        (n, m).
    forward, backward : ndarray, (N, B)
        Standard normals, from which Gram-Schmidt makes Z_u = O Q and F = Oᵀ Q_g.
    epsilon : float
    period : int, default 0
        As in :class:`ConditionalGaussian`.

    Examples
    --------
    >>> import numpy as np
    >>> from vgsim._twin.conditional import ConditionalHaar
    >>> from vgsim._twin.scaled import scaled
    >>> Z, N = np.array([[3.0], [4.0]]), np.array([[1.0], [1.0]])
    >>> W = ConditionalHaar(2.0, (2, 2), Z, N, np.finfo(float).eps)
    >>> U = W @ scaled(np.array([[1.0], [0.0]]))
    >>> G = W.T @ scaled(np.array([[1.0], [0.0]]))
    >>> W.explicit(np.empty((0, 0))).round(12)
    array([[ 1.2,  1.6],
           [ 1.6, -1.2]])
    """

    gain: float
    shape: tuple[int, int]
    forward: Array
    backward: Array
    epsilon: float
    period: int = 0
    Q: Array = field(init=False)
    Z: Array = field(init=False)
    Q_g: Array = field(init=False)
    F: Array = field(init=False)

    def __matmul__(self, X: Scaled) -> Scaled:
        """W X = γ Z_u R, with X = Q R."""
        size = _sizes(X)
        self.Q, R = orthonormalised(_padded(X.mantissa, len(self.forward)), self.epsilon)
        self.Z, _ = orthonormalised(self.forward * self.Q.any(axis=0), 0.0)
        U = self.Z @ (R / size)
        return scaled(U[: self.shape[0]] * (self.gain * size), X.exponent)

    @property
    def T(self) -> Transpose:
        """Wᵀ."""
        return Transpose(self)

    def _transposed_times(self, Delta: Scaled) -> Scaled:
        """Wᵀ Δ = γ (Q P + F R_g), with Δ = Z_u P + Q_g R_g."""
        size = _sizes(Delta)
        padded = _padded(Delta.mantissa, len(self.backward))
        self.Q_g, R_g = orthonormalised(padded, self.epsilon, self.Z, self.period)
        self.F, _ = orthonormalised(self.backward * self.Q_g.any(axis=0), 0.0, self.Q)
        G = np.hstack([self.Q, self.F]) @ (R_g / size)
        return scaled(G[: self.shape[1]] * (self.gain * size), Delta.exponent)

    @property
    def rest_shape(self) -> tuple[int, int]:
        """The shape (k, k) of the argument of `explicit`, with k = N - r - r_g."""
        left = len(self.Q) - _rank(self.Q) - _rank(self.Q_g)
        return left, left

    def explicit(self, rest: Array) -> Array:
        """O = Z_u Qᵀ + Q_g Fᵀ + A O' Bᵀ, with A and B bases of the complements.

        O' is the orthogonal factor of `rest`, a square matrix of standard normals.
        """
        A = complement(np.hstack([self.Z, self.Q_g]))
        B = complement(np.hstack([self.Q, self.F]))
        O = self.Z @ self.Q.T + self.Q_g @ self.F.T + A @ orthogonal_factor(rest) @ B.T
        n, m = self.shape
        return self.gain * O[:n, :m]


@dataclass(eq=False)
class Transpose:
    """Wᵀ, which can be multiplied by Δ; its transpose T is W."""

    T: ConditionalGaussian | ConditionalHaar

    def __matmul__(self, Delta: Scaled) -> Scaled:
        return self.T._transposed_times(Delta)


def orthonormalised(
    A: Array, epsilon: float, against: Array | None = None, period: int = 0
) -> tuple[Array, Array]:
    """Orthonormalise the columns of A in order, against those of `against` and each other.

    Parameters
    ----------
    A : ndarray, (n, k)
    epsilon : float
        A column is dropped if the norm of its residual is at most 8 epsilon times its norm, or
        if n columns have been kept already.
    against : ndarray, (n, j), optional
        Columns that are orthonormal or zero; none by default.
    period : int, default 0
        If it is not 0, every `period` columns are known to be dependent: the last of them is
        dropped if all others have been kept.

    Returns
    -------
    Q : ndarray, (n, k)
        Orthonormal columns, orthogonal to `against`; dropped columns are zero.
    R : ndarray, (j + k, k)
        A = [against, Q] R, up to the residuals of dropped columns, whose rows of R are zero. Equal
        columns of A have equal columns of R.

    Examples
    --------
    >>> import numpy as np
    >>> from vgsim._twin.conditional import orthonormalised
    >>> Q, R = orthonormalised(np.array([[3.0, 6.0, 0.0], [0.0, 0.0, 2.0]]), 1e-16)
    >>> Q
    array([[1., 0., 0.],
           [0., 0., 1.]])
    >>> R
    array([[3., 6., 0.],
           [0., 0., 0.],
           [0., 0., 2.]])
    """
    n, k = A.shape
    j = 0 if against is None else against.shape[1]
    Q, R = np.zeros((n, j + k)), np.zeros((j + k, k))
    if against is not None:
        Q[:, :j] = against
    for b in range(k):
        v = A[:, b].copy()
        first = next(c for c in range(b + 1) if np.array_equal(A[:, c], v))
        if first < b and v.any():
            R[:, b] = R[:, first]
            continue
        size = np.linalg.norm(v)
        for _ in range(2):
            c = Q.T @ v
            v -= Q @ c
            R[:, b] += c
        left = np.linalg.norm(v)
        is_last = period and (b + 1) % period == 0
        known = is_last and Q[:, j + b + 1 - period : j + b].any(axis=0).all()
        full = np.count_nonzero(Q.any(axis=0)) == n
        if left > RANK_TOLERANCE * epsilon * size and not full and not known:
            R[j + b, b] = left
            Q[:, j + b] = v / left
    return Q[:, j:], R


def complement(Q: Array) -> Array:
    """Return an orthonormal basis of the orthogonal complement of Q.

    The columns of Q are orthonormal or zero.

    Examples
    --------
    >>> import numpy as np
    >>> from vgsim._twin.conditional import complement
    >>> complement(np.array([[1.0, 0.0], [0.0, 0.0], [0.0, 0.0]])).shape
    (3, 2)
    """
    kept = Q[:, Q.any(axis=0)]
    return np.asarray(np.linalg.qr(kept, mode="complete")[0][:, kept.shape[1] :])


def _sizes(X: Scaled) -> Array:
    """Norms of the columns of the mantissa; 1 for zero columns."""
    size = np.array([np.linalg.norm(x) for x in X.mantissa.T])
    return np.where(size > 0, size, 1.0)


def _rank(Q: Array) -> int:
    return int(np.count_nonzero(Q.any(axis=0)))


def _padded(X: Array, n: int) -> Array:
    """X with rows of zeros appended, n rows in total."""
    return np.pad(X, ((0, n - len(X)), (0, 0)))
