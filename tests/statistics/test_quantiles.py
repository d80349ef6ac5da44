"""Quantiles against order statistics and NumPy, their intervals against enumeration."""

import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from vgsim._statistics.quantiles import quantile, quantile_interval

LEVELS = st.floats(0.01, 0.999)
SAMPLES = st.lists(st.floats(-1e6, 1e6) | st.just(-math.inf), min_size=1, max_size=60)
VALUES = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40)
QS = st.lists(st.floats(0, 1), min_size=1, max_size=8)


@given(VALUES, QS)
def test_quantile_of_numbers_is_numpys(values, q):
    assert quantile(values, q) == pytest.approx(np.quantile(values, q), rel=1e-12, abs=1e-9)


@given(VALUES, st.integers(0, 30), QS)
def test_quantile_counts_the_dead_as_lowest(values, dead, q):
    """With a very low number in place of −inf, the quantile is the same or very low."""
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
    values = [-math.inf, 1.0, 2.0, math.inf, math.inf]
    found = quantile(values, [0.1, 0.25, 0.5, 0.6, 0.75, 1])
    assert found.tolist() == [-math.inf, 1, 2, math.inf, math.inf, math.inf]
    assert quantile([-math.inf, math.inf], 0.5) == -math.inf
    values = [-math.inf, -math.inf, 1.0, 2.0, 3.0]
    assert quantile(values, [0, 0.25, 0.4, 0.5, 1]).tolist() == [-math.inf] * 3 + [1, 3]


def test_quantile_keeps_the_shape_of_q():
    assert isinstance(quantile([1.0, 2.0], 0.5), float)
    assert quantile([1.0, 2.0], [[0.5], [1.0]]).tolist() == [[1.5], [2.0]]
    assert quantile([1.0, 2.0], []).shape == (0,)


@pytest.mark.parametrize("q", [-0.1, 1.1, math.nan, [0.5, 2]])
def test_quantile_refuses(q):
    with pytest.raises(ValueError, match="q must (lie between 0 and 1|not be NaN), got"):
        quantile([1.0], q)


@pytest.mark.parametrize("q", [None, True, "0.5", [0.5, None]])
def test_quantile_wants_numbers(q):
    message = re.escape(f"q must be a number or an array of numbers, got {q!r}")
    with pytest.raises(TypeError, match=message):
        quantile([1.0], q)


def test_quantile_wants_rows_of_one_length():
    with pytest.raises(ValueError, match="q must be .*, got rows of different lengths"):
        quantile([1.0], [[0.1], [0.2, 0.3]])


# Intervals


@given(st.integers(1, 200), st.floats(0, 1), st.floats(0.5, 0.999))
def test_limits_are_the_innermost_that_cover(n, q, level):
    """X_(r) lies above the quantile with probability P(K < r), K ~ Bin(n, q)."""
    found = quantile_interval(np.arange(1, n + 1), q, level)
    below = stats.binom(n, q).cdf(np.arange(n + 1))  # P(K <= 0 … n)
    tail, slack = (1 - level) / 2, 1e-9
    if math.isfinite(found.low):
        r = int(found.low)
        assert below[r - 1] <= tail + slack or found.low == found.estimate
        assert below[r] >= tail - slack or r == n
    else:
        assert below[0] > tail - slack
    if math.isfinite(found.high):
        s = int(found.high)
        assert 1 - below[s - 1] <= tail + slack or found.high == found.estimate
        assert s == 1 or 1 - below[s - 2] >= tail - slack
    else:
        assert 1 - below[n - 1] > tail - slack


@given(SAMPLES, st.floats(0, 1), LEVELS)
def test_the_estimate_is_the_quantile_and_lies_inside(values, q, level):
    found = quantile_interval(values, q, level)
    assert found.estimate == quantile(values, q)
    assert found.low <= found.estimate <= found.high
    assert (found.confidence_level, found.method) == (level, "order statistics")


@given(SAMPLES, st.lists(st.floats(0, 1), max_size=5))
def test_many_quantiles_at_once(values, q):
    found = quantile_interval(values, q)
    for i, one in enumerate(q):
        single = quantile_interval(values, one)
        assert (found.estimate[i], found.low[i], found.high[i]) == (
            single.estimate,
            single.low,
            single.high,
        )
    assert found.low.shape == found.high.shape == (len(q),)


def test_too_few_samples_bound_nothing():
    found = quantile_interval([1.0, 2.0, 3.0], 0.5)
    assert (found.low, found.estimate, found.high) == (-math.inf, 2.0, math.inf)
    six = quantile_interval(range(6), 0.5)  # 2 / 2^6 < 5 %
    assert (six.low, six.high) == (0, 5)


@pytest.mark.parametrize("values", [[], [1.0, math.nan], [[1.0], [2.0]]])
def test_quantile_interval_refuses_values(values):
    with pytest.raises(ValueError, match="values must be a vector of one or more numbers or -inf"):
        quantile_interval(values, 0.5)


def test_quantile_interval_refuses():
    with pytest.raises(ValueError, match="q must lie between 0 and 1, got 2"):
        quantile_interval([1.0], 2)
    with pytest.raises(TypeError, match="q must be a number"):
        quantile_interval([1.0], "median")
    with pytest.raises(ValueError, match="confidence_level must be a number strictly between"):
        quantile_interval([1.0], 0.5, 95)
