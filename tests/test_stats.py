"""Intervals and quantiles against closed forms, enumeration and sorted order."""

import math
import re
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from vgsim._statistics.binomial import Probability, binomial
from vgsim._statistics.quantiles import quantile

LEVELS = st.floats(0.5, 0.999)
COUNTS = st.integers(1, 10_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


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
    assert binomial(k, n, level, method) == Probability(
        k / n, theirs.low, theirs.high, k, n, level, method
    )


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
    assert str(binomial(3, 100)) == "0.03 (95 % interval 0.0103 to 0.0845, 3 of 100)"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((-1, 5), "got -1 of 5"),
        ((6, 5), "got 6 of 5"),
        ((0, 0), "got 0 of 0"),
        ((1, 5, 0.0), "confidence_level must be a number strictly between 0 and 1, got 0.0"),
        ((1, 5, 1), "confidence_level must be a number strictly between 0 and 1, got 1"),
        ((1, 5, math.nan), "confidence_level must be a number strictly between 0 and 1, got nan"),
        ((1, 5, 0.95, "wald"), "method must be one of wilson, exact, anytime, got 'wald'"),
    ],
)
def test_binomial_refuses(arguments, message):
    with pytest.raises(ValueError, match="must") as caught:
        binomial(*arguments)
    assert message in str(caught.value)


VALUES = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40)
QS = st.lists(st.floats(0, 1), min_size=1, max_size=8)


@given(VALUES, QS)
def test_quantile_of_numbers_is_numpys(values, q):
    assert quantile(values, q) == pytest.approx(np.quantile(values, q), rel=1e-12, abs=1e-9)


@given(VALUES, st.integers(0, 30), QS)
def test_quantile_counts_the_dead_as_lowest(values, dead, q):
    """A number far below the others in place of −inf gives the same, or a far lower quantile."""
    found = quantile([*values, *[-math.inf] * dead], q)
    lowest = -1e300
    stand_in = np.quantile(np.array([*values, *[lowest] * dead]), q)
    is_low = stand_in < -1e7
    assert np.all(np.isneginf(found) == is_low)
    assert found[~is_low] == pytest.approx(stand_in[~is_low], rel=1e-12, abs=1e-9)


@given(VALUES, st.integers(0, 30), QS)
def test_quantile_never_decreases(values, dead, q):
    found = quantile([-math.inf] * dead + values, sorted(q))
    with np.errstate(invalid="ignore"):
        steps = np.diff(found)
    assert np.all((steps >= -1e-9) | np.isnan(steps))
    assert not np.isnan(found).any()


@given(VALUES, st.randoms())
def test_quantile_at_order_statistics(values, random):
    ordered = sorted(values)
    random.shuffle(values)
    last = len(values) - 1
    for rank, value in enumerate(ordered):
        assert quantile(values, rank / max(last, 1)) == pytest.approx(value, rel=1e-9, abs=1e-6)


def test_quantile_exactly_at_a_dead_one():
    values = [-math.inf, -math.inf, 1.0, 2.0, 3.0]
    assert quantile(values, [0, 0.25, 0.4, 0.5, 1]).tolist() == [-math.inf] * 3 + [1, 3]


def test_quantile_keeps_the_shape_of_q():
    assert isinstance(quantile([1.0, 2.0], 0.5), float)
    assert quantile([1.0, 2.0], [[0.5], [1.0]]).tolist() == [[1.5], [2.0]]
    assert quantile([1.0, 2.0], []).shape == (0,)


@pytest.mark.parametrize("q", [-0.1, 1.1, math.nan, [0.5, 2]])
def test_quantile_refuses(q):
    with pytest.raises(ValueError, match="q must lie between 0 and 1, got"):
        quantile([1.0], q)


@pytest.mark.parametrize("q", [None, True, "0.5", [0.5, None], [[0.1], [0.2, 0.3]]])
def test_quantile_wants_numbers(q):
    message = re.escape(f"q must be a number or an array of numbers, got {q!r}")
    with pytest.raises(TypeError, match=message):
        quantile([1.0], q)


@pytest.mark.parametrize("level", [None, "0.95", True, [0.95]])
def test_confidence_level_wants_a_number(level):
    with pytest.raises(TypeError, match="confidence_level must be a number"):
        binomial(1, 5, level)
