"""Whether rounding errors account for a difference between the kernels and the twin.

The matrix-free engine draws W X and Wᵀ Δ with the orthonormalised columns of X and Δ. A column
that nearly depends on the columns before it loses digits there, or rounding decides whether it is
dropped (docs/law.md, section 11). How far this moves a sample is measured in the twin alone: all
columns are changed by a few times the machine epsilon before they are orthonormalised. In the dense
engine the weights are changed.
"""

from __future__ import annotations

from contextlib import contextmanager
from unittest import mock

import numpy as np

from vgsim._twin import conditional
from vgsim._twin.draws import Draws

TRIALS = 60  # at most: a rank on the edge changes in about one trial of ten
SIZES = (1.0, 2.0, 4.0)  # times the machine epsilon
FACTOR = 4.0  # the kernels make other rounding errors than the trials


@contextmanager
def rounding(number):
    """Change every X and Δ, and all weights of the dense engine; equal columns remain equal."""
    rng = np.random.default_rng([16, number])
    size = SIZES[number % len(SIZES)]
    orthonormalised, weight = conditional.orthonormalised, Draws.weight

    def rounded(A, epsilon, *rest, **choice):
        noise = size * epsilon * rng.uniform(-1.0, 1.0, A.shape)
        _, same = np.unique(A, axis=1, return_inverse=True)
        return orthonormalised(A * (1.0 + noise[:, same.ravel()]), epsilon, *rest, **choice)

    def rounded_weight(self, *law):
        W = weight(self, *law)
        return W * (1.0 + size * np.finfo(self.dtype).eps * rng.uniform(-1.0, 1.0, W.shape))

    with (
        mock.patch.object(conditional, "orthonormalised", rounded),
        mock.patch.object(Draws, "weight", rounded_weight),
    ):
        yield


def largest_difference(a, b):
    """Return max |a - b|: 0 for equal infinities, and inf if one is not a number."""
    a, b = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    with np.errstate(invalid="ignore"):  # -inf - -inf
        apart = np.where(a == b, 0.0, abs(a - b))
    return float(np.where(np.isnan(apart), np.inf, apart).max(initial=0.0))


def accounts_for(found, draw, tolerance):
    """Return whether rounding errors move a sample as far as the kernels are from the twin.

    Parameters
    ----------
    found : dict of str to float
        The difference of each quantity between kernels and twin.
    draw : callable
        Replays and evaluates the sample; returns a dict of arrays.
    tolerance : float
        Smaller differences need no account.
    """
    open_ones = {name: apart for name, apart in found.items() if not apart <= tolerance}
    at_rest = draw() if open_ones else {}
    for number in range(TRIALS):
        if not open_ones:
            break
        with rounding(number):
            moved = draw()
        for name in list(open_ones):
            if open_ones[name] <= FACTOR * largest_difference(moved[name], at_rest[name]):
                del open_ones[name]
    return not open_ones
