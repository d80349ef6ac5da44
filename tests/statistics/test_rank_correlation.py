"""Spearman's rank correlation against SciPy and against the law of normal pairs."""

import math

import numpy as np
import pytest
from scipy import stats

from vgsim._statistics.rank_correlation import rank_correlation


def test_estimate_is_scipy_s_with_ties_and_infinities(rng):
    x = rng.integers(0, 5, size=60).astype(float)
    y = x + rng.normal(size=60)
    y[rng.uniform(size=60) < 0.2] = np.inf
    y[0] = -np.inf
    finite = np.where(np.isinf(y), np.sign(y) * 1e9, y)
    found = rank_correlation(x, y)
    assert found.estimate == pytest.approx(stats.spearmanr(x, finite).statistic, abs=1e-12)
    assert found.low < found.estimate < found.high
    assert rank_correlation(x, y).low == found.low  # the same resamples


def test_normal_pairs_are_covered(rng):
    rho, n, repeats = 0.6, 80, 30
    truth = 6 / math.pi * math.asin(rho / 2)  # of the population
    covered, mean = 0, 0.0
    for _ in range(repeats):
        x, z = rng.normal(size=(2, n))
        found = rank_correlation(x, np.exp(rho * x + math.sqrt(1 - rho**2) * z))
        covered += found.low <= truth <= found.high
        mean += found.estimate / repeats
    assert abs(mean - truth) < 0.06
    assert covered / repeats > 0.75


@pytest.mark.parametrize("sign", [1, -1])
def test_perfect_relation(sign):
    x = np.arange(10.0)
    found = rank_correlation(x, sign * x**3)
    assert found.estimate == pytest.approx(sign)
    assert found.low == pytest.approx(sign)
    assert found.high == pytest.approx(sign)


def test_few_pairs_have_no_nan():
    found = rank_correlation(np.array([1.0, 2.0, 2.0]), np.array([1.0, 1.0, 5.0]))
    assert -1 <= found.low <= found.estimate <= found.high <= 1


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        ([1.0, 2.0], [1.0, 2.0], "x must have 3 or more entries, got 2"),
        ([1.0, 1.0, 1.0], [1.0, 2.0, 3.0], "x must have different entries, got 1 only"),
        ([1.0, 2.0, 3.0], [math.inf] * 3, "y must have different entries, got inf only"),
    ],
)
def test_refused(x, y, message):
    with pytest.raises(ValueError, match=message):
        rank_correlation(np.array(x), np.array(y))
