"""Rates of blocks with skip connections: normalisation after or before the sum, DeepNorm."""

from __future__ import annotations

import numpy as np

from vgsim._checks import value_error
from vgsim._domains import Number, checked_int
from vgsim._networks.activations import Activation, as_activation
from vgsim.theory._variance_map import SIGMA_W, chi, variance_map
from vgsim.typing import ActivationName

__all__ = ["branch_moments", "deepnorm_constants", "post_norm_rate", "pre_norm_growth"]

_SCALE = Number("of a size of at most 1e100", lambda a: abs(a) <= 1e100)
_MEAN_SQUARE = Number("from 0 to 1e100", lambda v: 0 <= v <= 1e100)
MOST = 10**7  # largest number of blocks


def branch_moments(
    activation: ActivationName | Activation, gain_in: float = 1.0, gain_out: float = 1.0
) -> tuple[float, float]:
    """Return v and χ of a branch f(x) = W₂ φ(W₁ x), in the limit of infinite width.

    x has mean 0 and variance 1, as after layer normalisation. W₁ has weights of variance
    gain_in²/fan_in and W₂ of gain_out²/fan_in; the width in between has no effect. For any other
    branch use :func:`place_moments` of a network that consists of the branch alone.

    Parameters
    ----------
    activation : str or Activation
    gain_in, gain_out : float, default 1.0
        β₁ and β₂, the gains of ``lecun_normal`` weights.

    Returns
    -------
    square : float
        v = E f_i² = β₂² E φ(β₁z)² with z ~ N(0, 1).
    slope : float
        χ = E‖J_fᵀu‖² = β₁²β₂² E φ'(β₁z)² for a unit vector u.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type or out of range.

    Examples
    --------
    >>> from vgsim.theory import branch_moments
    >>> v, chi = branch_moments("tanh", 2.0, 1.5)
    >>> print(f"{v:.6f} {chi:.6f}")
    1.429338 2.303554
    """
    phi = as_activation(activation)
    q = SIGMA_W.check("gain_in", gain_in) ** 2
    gain_out = SIGMA_W.check("gain_out", gain_out)
    return variance_map(phi, gain_out, 0.0, q), q * chi(phi, gain_out, q)


def post_norm_rate(square: float, slope: float, skip: float = 1.0, branch: float = 1.0) -> float:
    """Return the growth of E‖G‖² per block LN(α x + β f(x)), in the limit of infinite width.

    The sum has the variance α² + β² v at an x of mean 0 and variance 1, by which the norm divides;
    so the growth from the output of a block to its input is (α² + β² χ)/(α² + β² v).

    Parameters
    ----------
    square, slope : float
        v and χ of f, as :func:`branch_moments` returns them.
    skip, branch : float, default 1.0
        α and β.

    Returns
    -------
    float

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type or out of range.

    Notes
    -----
    If E φ = 0 and φ is not linear, χ > v by Poincaré's inequality, and the gradient explodes. With
    ReLU χ = v. The rate holds for RMS normalisation too. At width n the gradient of the norm has no
    components along (1, …, 1) and along its output, which lowers E‖G‖² by up to 2/n per block;
    other terms of order 1/n come from the branch.

    Examples
    --------
    >>> from vgsim.theory import branch_moments, post_norm_rate
    >>> print(f"{post_norm_rate(*branch_moments('tanh', 2.0, 1.5)):.6f}")
    1.359858
    """
    square, slope = _MEAN_SQUARE.check("square", square), _MEAN_SQUARE.check("slope", slope)
    kept, added = _SCALE.check("skip", skip) ** 2, _SCALE.check("branch", branch) ** 2
    below = kept + added * square
    if not below > 0:
        raise value_error("skip", f"must give a sum other than 0, got {skip!r}")
    return (kept + added * slope) / below


def pre_norm_growth(square: float, slope: float, blocks: int, branch: float = 1.0) -> float:
    """Return ln E(‖G_0‖²/‖G_D‖²) of `blocks` blocks x + β f(norm(x)), from an x of variance 1.

    The variance before block l = 0, 1, … is 1 + l β² v, and the norm divides the slope of the
    branch by it. So the growth is Σ_l ln(1 + β² χ/(1 + l β² v)), which for many blocks approaches
    (χ/v) ln(blocks) but for a constant: a power law, not an exponential.

    Parameters
    ----------
    square, slope : float
        v and χ of f, as :func:`branch_moments` returns them.
    blocks : int
        From 1 to 10⁷.
    branch : float, default 1.0
        β.

    Returns
    -------
    float
        In the limit of infinite width, a natural logarithm.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type or out of range.

    Examples
    --------
    >>> from vgsim.theory import branch_moments, pre_norm_growth
    >>> moments = branch_moments("relu", 2**0.5)
    >>> [round(pre_norm_growth(*moments, blocks), 4) for blocks in (10, 100)]  # ln(1 + blocks)
    [2.3979, 4.6151]
    """
    square, slope = _MEAN_SQUARE.check("square", square), _MEAN_SQUARE.check("slope", slope)
    blocks = checked_int("blocks", blocks, 1, MOST)
    added = _SCALE.check("branch", branch) ** 2
    before = 1.0 + added * square * np.arange(blocks)
    return float(np.log1p(added * slope / before).sum())


def deepnorm_constants(layers: int) -> tuple[float, float]:
    """Return DeepNorm's α = (2N)^¼ and β = (8N)^−¼ for N layers, each of attention and an MLP.

    A block is LN(α x + f(x)), and β is the gain of the matrices of the MLP and of the values and
    outputs of attention. One layer is two blocks.

    Parameters
    ----------
    layers : int
        N, the layers of an encoder or a decoder alone.

    Returns
    -------
    skip, gain : float

    Raises
    ------
    TypeError, ValueError
        If `layers` is not an int of at least 1.

    References
    ----------
    Wang, Ma, Dong, Huang, Zhang and Wei, "DeepNet: scaling transformers to 1,000 layers", 2022.

    Examples
    --------
    The growth of E‖G‖² over the MLP blocks of 100 layers, with He's factor √2 in W₁:

    >>> from vgsim.theory import branch_moments, deepnorm_constants, post_norm_rate
    >>> alpha, beta = deepnorm_constants(100)
    >>> rate = post_norm_rate(*branch_moments("gelu", 2**0.5 * beta, beta), skip=alpha)
    >>> plain = post_norm_rate(*branch_moments("gelu", 2**0.5))
    >>> print(f"{rate**100:.4f} {plain**100:.2f}")
    1.0002 18.53
    """
    layers = checked_int("layers", layers, 1, 2**31)
    return (2.0 * layers) ** 0.25, (8.0 * layers) ** -0.25
