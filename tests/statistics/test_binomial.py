"""Intervals of a probability against closed forms and enumeration."""

import math
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from known_runs import of_ratios
from vgsim._statistics.binomial import Probability, binomial, confidence_sequence

LEVELS = st.floats(0.5, 0.999)
COUNTS = st.integers(1, 10_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
ALL_LEVELS = st.floats(0.01, 0.9999)
MANY = st.integers(1, 10**6).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


def wilson(k, n, level):
    """The two roots of (p̂ - p)² = z² p (1 - p) / n."""
    z = NormalDist().inv_cdf(0.5 + level / 2)
    a, b, c = 1 + z**2 / n, -(2 * k / n + z**2 / n), (k / n) ** 2
    root = math.sqrt(max(b**2 - 4 * a * c, 0))
    return (-b - root) / (2 * a), (-b + root) / (2 * a)


def clopper_pearson(k, n, level):
    tail = (1 - level) / 2
    low = stats.beta.ppf(tail, k, n - k + 1) if k else 0.0
    high = stats.beta.isf(tail, k + 1, n - k) if k < n else 1.0
    return low, high


@given(COUNTS, LEVELS)
def test_wilson_solves_the_score_equation(counts, level):
    k, n = counts
    found = binomial(k, n, level, "wilson")
    assert (found.low, found.high) == pytest.approx(wilson(k, n, level), abs=1e-9)


@given(COUNTS, LEVELS)
def test_exact_is_the_beta_quantile(counts, level):
    k, n = counts
    found = binomial(k, n, level, "exact")
    assert (found.low, found.high) == pytest.approx(clopper_pearson(k, n, level), abs=1e-9)


@given(COUNTS, LEVELS, st.sampled_from(["wilson", "exact"]))
def test_agrees_with_scipy(counts, level, method):
    k, n = counts
    theirs = stats.binomtest(k, n).proportion_ci(level, method)
    found = binomial(k, n, level, method)
    low, high = theirs.low, theirs.high
    if method == "exact":  # SciPy searches with an absolute error of 2e-12
        assert (found.low, found.high) == pytest.approx((low, high), rel=1e-9, abs=1e-11)
        low, high = found.low, found.high
    assert found == Probability(k / n, low, high, k, n, level, method)


@given(COUNTS, LEVELS)
def test_the_limits_of_the_exact_interval_have_the_tails_of_the_level(counts, level):
    k, n = counts
    found, tail = binomial(k, n, level, "exact"), (1 - level) / 2
    if k:
        assert stats.binom.sf(k - 1, n, found.low) == pytest.approx(tail, rel=1e-6)
    if k < n:
        assert stats.binom.cdf(k, n, found.high) == pytest.approx(tail, rel=1e-6)


@given(COUNTS, LEVELS, st.sampled_from(["wilson", "exact", "anytime"]))
def test_estimate_lies_in_its_interval(counts, level, method):
    k, n = counts
    found = binomial(k, n, level, method)
    assert 0 <= found.low <= found.estimate <= found.high <= 1
    assert found.low < found.high
    assert (found.low == 0) == (k == 0)
    assert (found.high == 1) == (k == n)


@pytest.mark.parametrize(("method", "least"), [("exact", 0.95), ("wilson", 0.83)])
def test_coverage_by_enumeration(method, least):
    n, p = 30, np.linspace(0.001, 0.999, 997)
    intervals = [binomial(k, n, 0.95, method) for k in range(n + 1)]
    covers = np.array([(i.low <= p) & (p <= i.high) for i in intervals])
    coverage = (stats.binom.pmf(np.arange(n + 1)[:, None], n, p) * covers).sum(axis=0)
    assert coverage.min() >= least
    assert 0.945 < coverage.mean() < 0.99


def test_reads_well():
    assert str(binomial(3, 100)) == "0.030 (95 % interval 0.01 to 0.08, 3 of 100)"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((-1, 5), "got -1 of 5"),
        ((6, 5), "got 6 of 5"),
        ((0, 0), "got 0 of 0"),
        ((1, 5, 0.0), "confidence_level must be a number strictly between 0 and 1, got 0.0"),
        ((1, 5, 1), "confidence_level must be a number strictly between 0 and 1, got 1"),
        ((1, 5, math.nan), "confidence_level must be a number strictly between 0 and 1, got nan"),
        ((1, 5, 0.95, "wald"), "method must be one of 'wilson', 'exact', 'anytime', got 'wald'"),
    ],
)
def test_binomial_refuses(arguments, message):
    with pytest.raises(ValueError, match="must") as caught:
        binomial(*arguments)
    assert message in str(caught.value)


@pytest.mark.parametrize("level", [None, "0.95", True, [0.95]])
def test_confidence_level_wants_a_number(level):
    with pytest.raises(TypeError, match="confidence_level must be a number"):
        binomial(1, 5, level)


# The confidence sequence


@given(MANY, ALL_LEVELS)
def test_the_evidence_at_the_limits(counts, level):
    """At a limit, the beta-binomial probability of the count is 1/α times the binomial one."""
    k, n = counts
    low, high = confidence_sequence(k, n, level)
    evidence = [
        stats.betabinom.logpmf(k, n, 0.5, 0.5) - stats.binom.logpmf(k, n, p)
        for p in (low, high)
        if 0 < p < 1
    ]
    assert evidence == pytest.approx([-math.log1p(-level)] * len(evidence), abs=1e-6)
    assert (low == 0) == (k == 0)
    assert (high == 1) == (k == n)


@given(MANY, ALL_LEVELS)
def test_limits_lie_about_the_estimate(counts, level):
    k, n = counts
    low, high = confidence_sequence(k, n, level)
    assert 0 <= low <= k / n <= high <= 1
    assert low < high
    mirrored = confidence_sequence(n - k, n, level)
    assert mirrored == pytest.approx((1 - high, 1 - low), abs=1e-12)
    found = binomial(k, n, level, "anytime")
    assert (found.low, found.high, found.method) == (low, high, "anytime")
    if level > 0.5:
        exact = binomial(k, n, level, "exact")
        assert low < exact.low or k == 0
        assert high > exact.high or k == n


def test_no_events():
    """p is excluded when 1/((1 − p)^n Β(½, n + ½)⁻¹ π) is too large: in closed form."""
    n = 1000
    p = -math.expm1((math.log(0.05) + stats.betabinom.logpmf(0, n, 0.5, 0.5)) / n)
    assert confidence_sequence(0, n) == pytest.approx((0, p), rel=1e-9)
    assert confidence_sequence(n, n) == pytest.approx((1 - p, 1), rel=1e-9)
    assert confidence_sequence(0, 0) == (0, 1)


def test_never_missing_is_a_martingale():
    """The likelihood ratio at the true p has mean 1, by enumeration of all 12-sample sequences."""
    p, n = 0.3, 12
    k = np.arange(n + 1)
    evidence = stats.betabinom.pmf(k, n, 0.5, 0.5) / stats.binom.pmf(k, n, p)
    assert evidence @ stats.binom.pmf(k, n, p) == pytest.approx(1)
    # the probability of ever missing p up to n samples, by recursion over the counts, is below α
    alive = {0: 1.0}
    for look in range(1, n + 1):
        step = {}
        for count, probability in alive.items():
            for more, weight in ((0, 1 - p), (1, p)):
                low, high = confidence_sequence(count + more, look, 0.7)
                if low <= p <= high:
                    step[count + more] = step.get(count + more, 0) + probability * weight
        alive = step
    assert 0.7 <= sum(alive.values()) < 1


@pytest.mark.parametrize(("events", "n"), [(-1, 5), (6, 5), (1, 0)])
def test_counts_that_are_none(events, n):
    with pytest.raises(ValueError, match=f"0 <= events <= n, got {events} of {n}"):
        confidence_sequence(events, n)
    with pytest.raises(TypeError):
        confidence_sequence(0.5, 5)
    with pytest.raises(ValueError, match="confidence_level must be"):
        confidence_sequence(1, 5, 1)


def test_samples_take_the_method():
    found = of_ratios([-7.0, 0.0, 0.0]).probability("vanishing", method="anytime")
    assert (found.low, found.high) == confidence_sequence(1, 3)
    assert found.method == "anytime"
