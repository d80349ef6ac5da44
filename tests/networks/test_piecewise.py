"""Piecewise polynomials against the functions that they replace."""

import numpy as np
import pytest
from scipy.special import ndtri

from vgsim._networks.piecewise import COEFFICIENTS, HEAD, Unfit, fitted, joined

EPS = {"float32": 2.0**-23, "float64": 2.0**-49}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("function", "knots"),
    [
        (lambda t: np.exp(-t), [0.0, 24.0]),  # decays by ten decades
        (lambda t: np.exp(-t * t), [0.0, 3.0]),
        (lambda t: np.cos(t) + 2.0, [-7.0, 0.0, 7.0]),
        (lambda t: np.abs(t) + 0.1, [-3.0, 0.0, 1.0]),
        (lambda t: np.maximum(t, 0.3) + t**2, [-1.0, 0.3, 2.0]),
        (lambda t: ndtri(t) - 1.0, [0.01, 0.5, 0.75]),
    ],
)
def test_the_values_have_the_relative_accuracy_of_the_dtype(function, knots, dtype, rng):
    pieces = fitted([function, np.cosh], knots, dtype)
    t = np.concatenate([knots, rng.uniform(knots[0], knots[-1], 20_000)])
    value, other = pieces(t)
    # One rounding of t is an error of |t| in the exponential, and of 2 t² in the Gaussian; the
    # quantile function is steep at its ends.
    bound = 8 * EPS[dtype] * (1 + t * t)
    assert np.all(np.abs(value / function(t) - 1.0) < bound)
    assert np.all(np.abs(other / np.cosh(t) - 1.0) < bound)


def test_a_knot_belongs_to_the_left_or_to_the_right():
    step = lambda t: np.where(t > 0.5, 2.0, np.where(t > 0.0, 1.0, 0.0))  # noqa: E731
    at = np.array([0.0, 0.5])
    knots = [-1.0, 0.0, 0.5, 1.0]
    assert fitted([step], knots, "float64")(at)[0].tolist() == [0.0, 1.0]
    assert fitted([step], knots, "float64", inclusive=[0.0])(at)[0].tolist() == [1.0, 1.0]
    assert fitted([step], knots, "float32", inclusive=[0.5])(at)[0].tolist() == [0.0, 2.0]


def test_the_table_of_the_kernels_has_the_segments_and_the_rows():
    pieces = fitted([np.exp, np.sin], [0.0, 1.0, 4.0], "float32")
    table = pieces.table("float32")
    m, count = len(pieces.segments), 2 * COEFFICIENTS["float32"]
    assert (table.dtype, table[0], table.size) == (np.float32, m, HEAD + pieces.rows.size)
    assert np.array_equal(table[4 : 4 + 4 * m].reshape(m, 4), pieces.segments)
    assert np.array_equal(table[HEAD:].reshape(-1, count), pieces.rows)


def test_joined_tables_continue_each_other(rng):
    left, right = fitted([np.exp], [-2.0, 0.0], "float64"), fitted([np.cos], [0.0, 2.0], "float64")
    both, t = joined([left, right]), rng.uniform(0.0, 2.0, 1000)
    assert np.array_equal(both(t)[0], right(t)[0])
    assert np.array_equal(both(-t)[0], left(-t)[0])


def test_a_function_that_needs_too_many_pieces_is_unfit():
    with pytest.raises(Unfit, match="too many pieces"):
        fitted([lambda t: np.maximum(t, 0.3123457)], [0.0, 1.0], "float64")


def test_one_polynomial_may_have_twice_the_coefficients():
    wide = fitted([np.exp], [0.0, 8.0], "float32", count=8)
    assert wide.rows.shape[1] == 8
    assert len(wide.rows) < len(fitted([np.exp], [0.0, 8.0], "float32").rows)
