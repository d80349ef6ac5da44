"""The confidence sequence against the laws that define it, and the rule that stops by it."""

import math
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

import vgsim
from known_runs import of_ratios
from vgsim._statistics.binomial import binomial, confidence_sequence
from vgsim._studies.precision import Precision

LEVELS = st.floats(0.01, 0.9999)
COUNTS = st.integers(1, 10**6).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(COUNTS, LEVELS)
def test_the_evidence_at_the_limits(counts, level):
    """The beta-binomial probability of the count is 1/α times the binomial one."""
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


@given(COUNTS, LEVELS)
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
    """By enumeration of all sequences of 12: the evidence at the true p has the mean 1."""
    p, n = 0.3, 12
    k = np.arange(n + 1)
    evidence = stats.betabinom.pmf(k, n, 0.5, 0.5) / stats.binom.pmf(k, n, p)
    assert evidence @ stats.binom.pmf(k, n, p) == pytest.approx(1)
    # and the chance of ever missing within n looks, by recursion over the counts, is below α
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


# Precision


@given(COUNTS, st.floats(1e-4, 0.4), LEVELS)
def test_reached_is_half_the_width(counts, wanted, level):
    k, n = counts
    low, high = confidence_sequence(k, n, level)
    half = (high - low) / 2
    assert Precision(wanted, confidence_level=level).reached(k, n) == (half <= wanted)
    relative = Precision(relative=wanted, confidence_level=level)
    assert relative.reached(k, n) == (half <= wanted * (k / n))


def test_nothing_seen():
    assert not Precision(0.01).reached(0, 0)
    assert Precision(0.01).reached(0, 1000)
    assert not Precision(relative=100).reached(0, 10**9)
    assert not Precision(relative=100).reached(0, 0)


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (Precision(0.01), "Precision(0.01)"),
        (Precision(relative=1), "Precision(relative=1.0)"),
        (
            Precision(0.1, event="exploding", layer=3, threshold=1e-3, confidence_level=0.9),
            "Precision(0.1, event='exploding', layer=3, threshold=0.001, confidence_level=0.9)",
        ),
    ],
)
def test_precision_is_a_value(rule, text):
    assert repr(rule) == text
    again = eval(text)
    assert again == rule
    assert hash(again) == hash(rule)
    assert pickle.loads(pickle.dumps(rule)) == rule
    with pytest.raises(AttributeError):
        rule.layer = 1


def test_numpy_scalars_become_plain():
    rule = Precision(np.float32(0.25), layer=np.int64(2), confidence_level=np.float64(0.9))
    assert repr(rule) == "Precision(0.25, layer=2, confidence_level=0.9)"


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({}, ValueError, "exactly one of half_width and relative, got half_width=None, rel"),
        ({"half_width": 0.1, "relative": 0.1}, ValueError, "exactly one of half_width and rel"),
        ({"half_width": 0}, ValueError, "half_width must be a number strictly between 0 and 0.5"),
        ({"half_width": 0.5}, ValueError, "half_width must be .*, got 0.5"),
        ({"half_width": "1 %"}, TypeError, "half_width must be .*, got '1 %'"),
        ({"relative": 0.0}, ValueError, "relative must be a positive number, got 0.0"),
        ({"relative": math.inf}, ValueError, "relative must be a positive number, got inf"),
        ({"event": "vanish"}, ValueError, "event must be one of 'vanishing', .*, got 'vanish'"),
        ({"event": "underflow"}, ValueError, "event must be one of .*, got 'underflow'"),
        ({"event": None}, TypeError, "event must be one of .*, got None"),
        ({"layer": -1}, ValueError, "layer must be an int from 0 to .*, got -1"),
        ({"layer": 1.0}, TypeError, "layer must be an int from 0 to .*, got 1.0"),
        ({"threshold": 2}, ValueError, "threshold must be 0 < threshold <= 1, got 2"),
        ({"threshold": None}, TypeError, "threshold must be 0 < threshold <= 1, got None"),
        ({"event": "dead", "threshold": 0.1}, ValueError, "threshold is for vanishing, exploding"),
        ({"confidence_level": 95}, ValueError, "confidence_level must be a number strictly betw"),
    ],
)
def test_precision_refuses(arguments, error, message):
    if not {"half_width", "relative"} & arguments.keys() and arguments:
        arguments = {"half_width": 0.01, **arguments}
    with pytest.raises(error, match=message):
        Precision(**arguments)


def test_precision_on_a_simulation():
    """What the rule says agrees with the interval that Samples gives."""
    net = vgsim.MLP(depth=50, width=32, activation="relu", init="he_normal")
    s = vgsim.simulate(net, 2000, layers=(0,))
    p = s.probability("vanishing", threshold=0.1, method="anytime")
    half = (p.high - p.low) / 2
    for factor, reached in ((1.01, True), (0.99, False)):
        rule = Precision(half * factor, threshold=0.1)
        assert rule.reached(p.events, p.n) is reached
