"""Digits of printed estimates, against the rules in words and a search over decimals."""

import math
import re
from decimal import Decimal

import numpy as np
import pytest

from vgsim._statistics.rounded import rounded, rounded_parts

NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[+-]\d+)?|-?inf")
POWERS = [Decimal(1).scaleb(k) for k in range(-220, 220)]


def unit(half, least):
    """The power of ten of which `half` is `least` to ten times `least`."""
    return next(u for u in POWERS if least * u <= half < 10 * least * u)


@pytest.mark.parametrize("scale", [1e-200, 1e-7, 3e-3, 1.0, 40.0, 1e5, 1e9, 1e200])
def test_half_the_interval_has_two_digits_of_the_value_and_one_or_two_of_the_limits(scale):
    rng = np.random.default_rng(0)
    for _ in range(100):
        value = scale * rng.normal()
        below, above = scale * 10 ** rng.uniform(-6, 0, 2)
        numbers = value, value - below, value + above
        half = (Decimal(numbers[2]) - Decimal(numbers[1])) / 2
        texts = rounded_parts(*numbers)
        for x, text, least, side in zip(numbers, texts, (10, 3, 3), (0, -1, 1), strict=True):
            step = unit(half, least)
            written = round(Decimal(x) / step) * step
            if side * written < side * Decimal(texts[0]):  # not on the other side of the value
                step = unit(half, 10)
                written = round(Decimal(x) / step) * step
            if least == 3 and (written == 0 or written == 1 > x):
                step = unit(abs(Decimal(x) - written), 1)  # neither 0 nor 1 is written
            assert Decimal(text) % step == 0
            assert abs(Decimal(text) - Decimal(x)) <= step / 2
            assert (
                "e" in text or step >= 1 or -Decimal(text).as_tuple().exponent == -step.adjusted()
            )
        assert rounded(*numbers).startswith(f"{texts[0]} ({texts[1]}")


@pytest.mark.parametrize("n", [10, 333, 1000, 10_000, 10**7])
def test_probabilities_of_0_and_1_have_one_limit_which_is_not_understated(n):
    high = 3.84 / (n + 3.84)
    zero, one = rounded(0.0, 0.0, high), rounded(1.0, 1.0 - high, 1.0)
    assert zero.startswith("0 (< ")
    assert one.startswith("1 (> ")
    upper, lower = (float(NUMBER.findall(text)[1]) for text in (zero, one))
    assert high <= upper < 1.35 * high
    assert 1 - 1.35 * high < lower <= 1 - high


def test_a_limit_close_to_the_value_is_not_written_beyond_it():
    assert rounded(0.37338, 0.19177, 0.37369) == "0.373 (0.19–0.374)"
    assert rounded(-0.37338, -0.37369, -0.19177) == "-0.373 (-0.374 to -0.19)"


def test_special_values():
    assert rounded(math.nan, math.nan, math.nan) == "-"
    assert rounded(2.5, math.nan, math.nan) == "2.5"
    assert rounded(-0.0, -0.0, 0.0) == "0"
    assert rounded(-math.inf, -math.inf, -math.inf) == "-inf"
    assert rounded(-math.inf, -math.inf, -3.21) == "-inf (< -3.2)"
    assert rounded(math.inf, 12.3, math.inf) == "inf (> 12.3)"
    assert rounded(3.0, -math.inf, math.inf) == "3"
    assert rounded(-0.001, -0.4, 0.4) == "0.00 (-0.4 to 0.4)"
