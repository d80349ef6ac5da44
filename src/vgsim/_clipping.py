"""Gradient clipping, whatever the scale of the gradient."""

from __future__ import annotations

import math

import numpy as np

from vgsim._cures import Clip, ClipNorm
from vgsim._scaled import Scaled, chosen, scaled, shifted

__all__ = ["clipped"]


def clipped(clip: Clip | None, g: Scaled) -> tuple[Scaled, float]:
    """Return the clipped gradient, and how much of it was: a fraction of its entries."""
    if clip is None:
        return g, 0.0
    if isinstance(clip, ClipNorm):
        return _clipped_norm(clip.max_norm, g)
    return _clipped_value(clip.limit, g)


def _clipped_norm(max_norm: float, g: Scaled) -> tuple[Scaled, float]:
    """Scale g to the norm max_norm if it is longer."""
    size, e = g.norm
    with np.errstate(over="ignore"):
        if shifted(size, e) <= max_norm:
            return g, 0.0
    return scaled(g.mantissa * (max_norm / size), g.exponent - e), 1.0


def _clipped_value(limit: float, g: Scaled) -> tuple[Scaled, float]:
    """Cut the entries to ±limit = ±m 2^e; a column where none is beyond stays as it is."""
    m, e = math.frexp(limit)
    with np.errstate(over="ignore"):
        entries = shifted(g.mantissa, g.exponent - e)
    beyond = np.abs(entries) > m
    cut = scaled(np.clip(entries, -m, m), e)
    return chosen(np.any(beyond, axis=0), cut, g), float(np.mean(beyond))
