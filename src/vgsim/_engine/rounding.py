"""Says where rounding decides what is left of a gradient."""

from __future__ import annotations

import warnings

import numpy as np

from vgsim._networks.description import Network

__all__ = ["warn_of_rounding"]

ALL_BUT_SHUT = 2.0**-12  # a slope
ALL_BUT_NONE = 2.0**-10  # a bias beside what it is added to
RARE = 1e-3


def warn_of_rounding(network: Network, batch_size: int, tangents: int) -> None:
    """Warn where a share of the samples is known to rounding only (docs/law.md, section 11).

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
    'rounding decides what is left of the gradient in abo'
    """
    share = _share(network, batch_size, tangents)
    if share > RARE:
        warnings.warn(
            f"rounding decides what is left of the gradient in about {min(share, 1.0):.1%} of the "
            f"samples of {network!r}, in which one unit or one example alone is open: see "
            "docs/law.md, section 11; wider layers have fewer of them",
            stacklevel=4,
        )


def _share(network: Network, B: int, tangents: int) -> float:
    slope = network.activation.slope_below_zero
    if network.norm is None or slope is None or slope >= ALL_BUT_SHUT:
        return 0.0
    n = np.array(network.widths[1:], dtype=float)
    by_value = network.clip is not None and network.clip.by == "value"
    if network.norm == "batch":
        blocks = network.residual is not None and network.residual.every > 1
        left = blocks or by_value or tangents
        return float(np.sum(B * (2.0 * B) ** -n)) if B > 2 and left else 0.0
    fan_in = np.sqrt(np.array(network.widths[:-1], dtype=float))
    least = ALL_BUT_NONE * float(np.max(network.weight_stds * fan_in))
    left = 0 < network.bias_std < least or by_value or tangents
    return float(np.sum(n * 0.5**n)) if left else 0.0
