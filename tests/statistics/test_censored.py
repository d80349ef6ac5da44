"""The estimate of Kaplan and Meier against its product formula and against laws in closed form."""

import math

import numpy as np
import pytest
from scipy import stats

from vgsim._statistics.binomial import binomial
from vgsim._statistics.censored import kaplan_meier


def by_products(times, censored):
    """P(T <= t) at the distinct times: one minus the product over earlier ones of 1 - d/n."""
    at, left, found = sorted(set(times.tolist())), 1.0, []
    for time in at:
        observed = sum(t >= time for t in times)
        events = sum(t == time and not c for t, c in zip(times, censored, strict=True))
        left *= 1 - events / observed
        found.append(1 - left)
    return at, found


def test_product_formula(rng):
    for _ in range(20):
        times = rng.integers(1, 12, size=30).astype(float)
        censored = rng.uniform(size=30) < 0.4
        found = kaplan_meier(times, censored, 0.95)
        at, expected = by_products(times, censored)
        np.testing.assert_array_equal(found.times, [0.0, *at])
        np.testing.assert_allclose(found.estimate, [0.0, *expected], atol=1e-14)
        assert not np.isnan([found.low, found.high]).any()
        assert np.all((found.low >= 0) & (found.low <= found.estimate))
        assert np.all((found.high <= 1) & (found.high >= found.estimate))


def test_log_log_interval_by_hand():
    times, censored = np.array([1.0, 2.0, 3.0, 4.0, 5.0]), np.array([0, 1, 0, 0, 1], dtype=bool)
    found = kaplan_meier(times, censored, 0.9)
    left = 4 / 5 * 2 / 3  # at t = 3
    greenwood = 1 / (5 * 4) + 1 / (3 * 2)
    half = stats.norm.ppf(0.95) * math.sqrt(greenwood) / math.log(left)
    limits = 1 - left ** math.exp(-half), 1 - left ** math.exp(half)
    assert found.estimate[3] == pytest.approx(1 - left)
    assert (found.low[3], found.high[3]) == pytest.approx((min(limits), max(limits)))


@pytest.mark.parametrize("n", [1, 2, 40])
def test_wilson_where_no_or_all_events(n):
    none = kaplan_meier(np.full(n, 7.0), np.ones(n, dtype=bool), 0.95)
    limit = binomial(0, n)
    np.testing.assert_array_equal(none.estimate, [0, 0])
    np.testing.assert_allclose(none.high, limit.high)
    every = kaplan_meier(np.arange(n, dtype=float), np.zeros(n, dtype=bool), 0.95)
    assert (every.times[0], every.estimate[-1], every.high[-1]) == (0, 1, 1)
    assert every.low[-1] == binomial(n, n).low
    assert not np.isnan([every.low, every.high]).any()


def test_random_censoring_does_not_bias(rng):
    """Geometric times, each censored at an independent geometric time: F(t) = 1 - (1 - p)^t."""
    n, p, repeats = 200, 0.1, 300
    covered, total = 0, np.zeros(3)
    at = np.array([2, 5, 12])
    truth = 1 - (1 - p) ** at
    for _ in range(repeats):
        times, limit = rng.geometric(p, n), rng.geometric(0.05, n)
        censored = times > limit
        found = kaplan_meier(np.minimum(times, limit).astype(float), censored, 0.95)
        place = np.searchsorted(found.times, at, side="right") - 1
        total += found.estimate[place]
        covered += np.count_nonzero((found.low[place] <= truth) & (truth <= found.high[place]))
    deviation = 5 * np.sqrt(truth * (1 - truth) / n / repeats) * 1.3  # censoring adds variance
    assert np.all(np.abs(total / repeats - truth) < deviation)
    assert 0.92 < covered / (3 * repeats) < 0.98
