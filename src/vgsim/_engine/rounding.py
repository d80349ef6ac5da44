"""A warning for networks in which rounding decides the gradient of some samples."""

from __future__ import annotations

import warnings

import numpy as np

from vgsim._networks.description import Network

__all__ = ["warn_of_rounding"]

ALL_BUT_SHUT = 2.0**-12  # smaller slopes below 0 count as 0
ALL_BUT_NONE = 2.0**-10  # a bias below this fraction of the pre-activation counts as 0
RARE = 1e-3  # fraction of samples up to which there is no warning


def warn_of_rounding(network: Network, columns: int, tangents: int) -> None:
    """Warn if rounding decides the gradient of more than 0.1 % of the samples of a batch.

    The fraction is estimated as in docs/law.md, section 11.

    Examples
    --------
    >>> import warnings
    >>> import vgsim
    >>> from vgsim._engine.rounding import warn_of_rounding
    >>> net = vgsim.MLP(10, 4, activation="relu", norm="layer", bias_std=1e-9)
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     warn_of_rounding(net, 1, 0)
    >>> str(caught[0].message)[:52]
    'rounding decides the gradient, and whether it is 0, '
    """
    share = _share(network, columns, tangents)
    if share > RARE:
        warnings.warn(
            f"rounding decides the gradient, and whether it is 0, in about {min(share, 1.0):.1%} "
            f"of the samples of {network!r}: those in which only one unit or example is open in "
            "some layer; with wider layers there are fewer (docs/law.md, section 11)",
            stacklevel=4,
        )


def _share(network: Network, B: int, tangents: int) -> float:
    """Return an estimate of the fraction of samples whose gradient is decided by rounding."""
    slope = network.activation.slope_below_zero
    if network.norm is None or slope is None or slope >= ALL_BUT_SHUT:
        return 0.0
    width, layers = network.width, 1 if isinstance(network.width, tuple) else network.depth
    widths = np.array(width[1:] if isinstance(width, tuple) else [width], dtype=np.float64)
    by_value = network.clip is not None and network.clip.by == "value"
    if network.norm == "batch":
        blocks = network.residual is not None and network.residual.every > 1
        decided = B > 2 and (blocks or by_value or tangents > 0)
        return layers * float(np.sum(B * (2.0 * B) ** -widths)) if decided else 0.0
    decided = by_value or tangents > 0
    if not decided and network.bias_std > 0:
        fan_in = np.sqrt(np.array(network.widths[:-1], dtype=np.float64))
        decided = network.bias_std < ALL_BUT_NONE * float(np.max(network.weight_stds * fan_in))
    return layers * float(np.sum(widths * 0.5**widths)) if decided else 0.0
