"""Arguments that the theory refuses by name."""

import numpy as np
import pytest

from vgsim import _checks
from vgsim.theory import ProductLaw, critical_line, relu_law


@pytest.mark.parametrize("biases", ["0.1", ["a"], np.ma.masked_array([0.1], [True]), None, [None]])
def test_lines_want_numbers(biases):
    with pytest.raises(TypeError, match="bias_std must be a number or an array of numbers, got"):
        critical_line("relu", biases)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"factors": []}, "factors must be one or more, got none"),
        ({"factors": 3}, "factors must be pairs of a Mixture and an int, got 3"),
        ({"factors": [3]}, r"factors\[0\] must be a Mixture and an int, got 3"),
        ({"log_scale": "1"}, "log_scale must be a number from"),
        ({"n_in": 0}, "n_in must be an int from 1"),
    ],
)
def test_laws_of_nothing(arguments, words):
    factors = relu_law(4, 3)._terms.factors
    with pytest.raises((ValueError, TypeError), match=words) as caught:
        ProductLaw(**{"factors": factors, **arguments})
    assert caught.value.argument == next(iter(arguments))


def test_widths_may_be_an_array():
    assert relu_law(np.array([4, 5, 6])).mean == relu_law([4, 5, 6], 2).mean
    for width, depth in ([4, 5], 2), ([4], None):
        with pytest.raises(ValueError, match="width must be an int, or n_0 … n_D with depth D"):
            relu_law(width, depth)


def test_a_sample_that_does_not_fit_is_refused(monkeypatch):
    monkeypatch.setattr(_checks, "_available", lambda: 1 << 20)
    with pytest.raises(MemoryError, match="a draw of 20000 samples needs about .*: draw fewer"):
        relu_law(4, 2**32 - 1).sample(20_000, np.random.default_rng(0))
