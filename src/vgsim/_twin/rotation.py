"""W x + b drawn as one normal vector, from which W x and b follow by a rotation.

For one column x let τ² = s²‖x‖² + σ², with s and σ the standard deviations of the entries of W and
of b, and κ = s‖x‖/τ, λ = σ/τ. W x + b = τ w with w of independent N(0, 1) entries. With another
such vector η, independent of w,

    z = κ w + λ η        ζ = λ w - κ η

are independent too, and W x = s‖x‖ z, b = σ ζ. The backward pass needs z in z · δ̂ only, hence η in
ν = η · δ̂, which is N(0, 1) for every δ̂ that does not depend on η. The rest of η belongs to the
explicit matrix and bias. Two numbers of it are needed for ‖z‖: the component of η along the part of
w that is orthogonal to δ̂, and the squared norm of what is orthogonal to both.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from vgsim._twin.conditional import ConditionalGaussian, orthonormalised
from vgsim._twin.scaled import Array, Scaled, scaled, shifted

__all__ = ["ConditionalAffine", "Rotation"]

EPSILON = float(np.finfo(np.float64).eps)


@dataclass(frozen=True, eq=False)
class Rotation:
    """The random numbers that determine η.

    Attributes
    ----------
    nu : float
        ν ~ N(0, 1), the component of η along δ̂.
    second : float
        N(0, 1), its component along the part of w that is orthogonal to δ̂.
    square : float
        χ² with n - 2 degrees of freedom, the squared norm of the rest.
    fresh : ndarray, (n,)
        Standard normals: the direction of the rest, and all of η if δ = 0.

    Examples
    --------
    >>> import numpy as np
    >>> from vgsim._twin.rotation import Rotation
    >>> rotation = Rotation(0.5, -2.0, 9.0, np.array([1.0, 1.0, -4.0]))
    >>> rotation.eta(w=np.array([1.0, 2.0, 0.0]), unit=np.array([1.0, 0.0, 0.0]))
    array([ 0.5, -2. , -3. ])
    """

    nu: float
    second: float
    square: float
    fresh: Array

    def eta(self, w: Array, unit: Array) -> Array:
        """η, given w and δ̂, which is a unit vector or zero."""
        if not unit.any():
            return self.fresh
        axes, _ = orthonormalised(np.column_stack([unit, w, self.fresh]), EPSILON)
        second, rest = self.second, math.sqrt(self.square)
        if not axes[:, 1].any():  # w along δ: both parts have isotropic directions
            second, rest = 0.0, math.hypot(second, rest)
        return np.asarray(axes @ np.array([self.nu, second, rest]))


@dataclass(eq=False, kw_only=True)
class ConditionalAffine(ConditionalGaussian):
    """W x + b for one column x: first W @ x, which includes b, then W.T @ δ, W.explicit and W.b.

    Parameters
    ----------
    std, forward, backward, epsilon
        As in :class:`ConditionalGaussian`, but `forward` is w until δ is known, and then z.
    bias_std : float
        σ.
    rotation : Rotation

    Examples
    --------
    >>> import numpy as np
    >>> from vgsim._twin.rotation import ConditionalAffine, Rotation
    >>> from vgsim._twin.scaled import scaled
    >>> w, N = np.array([[1.0], [2.0]]), np.array([[0.0], [1.0]])
    >>> eta = Rotation(nu=1.0, second=-1.0, square=0.0, fresh=np.zeros(2))
    >>> W = ConditionalAffine(1.0, w, N, 1e-15, bias_std=4.0, rotation=eta)
    >>> x, delta = scaled(np.array([[3.0], [0.0]])), scaled(np.array([[1.0], [0.0]]))
    >>> h = W @ x
    >>> h.mantissa * 2.0**h.exponent
    array([[ 5.],
           [10.]])
    >>> G = W.T @ delta
    >>> matrix = W.explicit(np.zeros((2, 2)))
    >>> (matrix @ [[3.0], [0.0]] + W.b[:, np.newaxis]).round(12)
    array([[ 5.],
           [10.]])
    """

    bias_std: float
    rotation: Rotation
    b: Array = field(init=False)

    def __post_init__(self) -> None:
        self.w = self.forward

    def __matmul__(self, x: Scaled) -> Scaled:
        """W x + b = τ w."""
        R = self._factorised(x)
        from_x = scaled(self.std * np.abs(R.sum(axis=0, keepdims=True)), x.exponent)
        of_bias = scaled(np.array([[self.bias_std]]))
        common = np.maximum(from_x.exponent, of_bias.exponent)
        size = float(shifted(from_x.mantissa, from_x.exponent - common)[0, 0])
        sigma = float(shifted(of_bias.mantissa, of_bias.exponent - common)[0, 0])
        tau = math.hypot(size, sigma)
        self.kappa, self.lambda_ = (size / tau, sigma / tau) if tau > 0 else (1.0, 0.0)
        return scaled(tau * self.w, common)

    def _transposed_times(self, Delta: Scaled) -> Scaled:
        """Wᵀ δ, with z given δ."""
        unit, _ = orthonormalised(Delta.mantissa, self.epsilon)
        w, kappa, lambda_ = self.w[:, 0], self.kappa, self.lambda_
        eta = self.rotation.eta(w, unit[:, 0])
        self.b = self.bias_std * (lambda_ * w - kappa * eta)
        self.forward = (kappa * w + lambda_ * eta)[:, np.newaxis]
        return super()._transposed_times(Delta)
