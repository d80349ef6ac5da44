"""Clipping of gradients of any scale."""

from __future__ import annotations

import math

import numpy as np

from vgsim._networks.techniques import Clip
from vgsim._twin.scaled import Scaled, chosen, scaled, shifted

__all__ = ["clipped", "rescaling"]


def clipped(clip: Clip | None, g: Scaled) -> tuple[Scaled, float]:
    """Return the clipped gradient, and the fraction of its entries that were clipped."""
    if clip is None:
        return g, 0.0
    return (_clipped_norm if clip.by == "norm" else _clipped_value)(clip.bound, g)


def rescaling(before: Scaled, after: Scaled) -> Scaled:
    """Return ‖after‖/‖before‖ as a column with one entry."""
    (size, e), (new_size, new_e) = before.norm, after.norm
    return scaled(np.array([[new_size / size]]), new_e - e)


def _clipped_norm(max_norm: float, g: Scaled) -> tuple[Scaled, float]:
    """Scale g to the norm max_norm if its norm is larger."""
    size, e = g.norm
    with np.errstate(over="ignore"):
        if shifted(size, e) <= max_norm:
            return g, 0.0
    return scaled(g.mantissa * (max_norm / size), g.exponent - e), 1.0


def _clipped_value(limit: float, g: Scaled) -> tuple[Scaled, float]:
    """Clip the entries to ±limit = ±m 2^e; columns without larger entries do not change."""
    m, e = math.frexp(limit)
    with np.errstate(over="ignore"):
        entries = shifted(g.mantissa, g.exponent - e)
    beyond = np.abs(entries) > m
    cut = scaled(np.clip(entries, -m, m), e)
    return chosen(np.any(beyond, axis=0), cut, g), float(np.mean(beyond))
