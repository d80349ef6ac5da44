"""Precision, the stop rule of a study."""

import math
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import vgsim
from vgsim._statistics.binomial import confidence_sequence
from vgsim._studies.precision import Precision

LEVELS = st.floats(0.01, 0.9999)
COUNTS = st.integers(1, 10**6).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


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
        ({}, ValueError, "half_width or relative must be given, and not both, got .*None, .*None"),
        (
            {"half_width": 0.1, "relative": 0.1},
            ValueError,
            "half_width or relative must be given, and not both, got .*0.1, .*0.1",
        ),
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
    """The rule is met exactly if the interval of Samples is narrow enough."""
    net = vgsim.MLP(depth=50, width=32, activation="relu", init="he_normal")
    s = vgsim.simulate(net, 2000, layers=(0,))
    p = s.probability("vanishing", threshold=0.1, method="anytime")
    half = (p.high - p.low) / 2
    for factor, reached in ((1.01, True), (0.99, False)):
        rule = Precision(half * factor, threshold=0.1)
        assert rule.reached(p.events, p.n) is reached


@pytest.mark.parametrize(("events", "n"), [(0.5, 5), ("1", 5), (1, None), (6, 5), (1, 10**400)])
def test_counts_that_are_none(events, n):
    with pytest.raises((ValueError, TypeError), match="events must be 0 <= events <= n, got") as e:
        Precision(0.1).reached(events, n)
    assert e.value.argument == "events"
