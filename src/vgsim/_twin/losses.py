"""The output gradient G_D = ∂L/∂X_D of every loss, for outputs of any scale."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vgsim._twin.draws import Draws
from vgsim._twin.scaled import EXPONENT_LIMIT, LN_2, Scaled, scaled, shifted

__all__ = ["cross_entropy_gradient", "output_gradient"]


def output_gradient(loss: str, outputs: Scaled, draws: Draws, depth: int) -> Scaled:
    """G_D of one sample with outputs X_D of shape (n_D, B).

    "linear": i.i.d. N(0, 1). "mse": X_D - T, with targets T i.i.d. N(0, 1). "cross_entropy":
    softmax(X_D) - Y, with Y the one-hot vectors of uniformly random classes.
    """
    n, B = outputs.mantissa.shape
    if loss == "linear":
        return scaled(draws.columns("cotangent", depth, n, B))
    if loss == "mse":
        return outputs - scaled(draws.columns("targets", depth, n, B))
    return cross_entropy_gradient(outputs, draws.classes(depth, n, B))


def cross_entropy_gradient(logits: Scaled, classes: NDArray[np.int64]) -> Scaled:
    """softmax(logits) - Y, with Y the one-hot classes, without underflow by saturation.

    In each column, let y be the class and a the largest logit except that of y. Each p_j with j ≠ y
    is exp(z_j - a) times a common factor, 1/(Σ_{j≠y} exp(z_j - a) + exp(z_y - a)), and the gradient
    at y is -Σ_{j≠y} p_j.

    Examples
    --------
    >>> import numpy as np
    >>> from vgsim._twin.losses import cross_entropy_gradient
    >>> from vgsim._twin.scaled import scaled
    >>> G = cross_entropy_gradient(scaled(np.array([[5000.0], [0.0], [0.0]])), np.array([0]))
    >>> (G.mantissa / -G.mantissa[0]).ravel()
    array([-1. ,  0.5,  0.5])
    >>> round(G.log10_norm, 3)  # log10 of √6 e^-5000
    -2171.083
    """
    of_class = (classes, np.arange(classes.size))
    others = logits.mantissa.copy()
    others[of_class] = -np.inf
    largest = others.max(axis=0)
    with np.errstate(over="ignore"):
        p = np.exp(shifted(others - largest, logits.exponent))
        lead = shifted(logits.mantissa[of_class] - largest, logits.exponent)
    p[of_class] = -p.sum(axis=0)
    lead = np.minimum(lead, EXPONENT_LIMIT * LN_2)
    ahead, behind = np.maximum(lead, 0.0), np.minimum(lead, 0.0)
    e = np.floor(ahead / LN_2)  # the factor is about 2^-e
    factor = np.exp(e * LN_2 - ahead) / (np.exp(behind) - p[of_class] * np.exp(-ahead))
    return scaled(p * factor, -e.astype(np.int64))
