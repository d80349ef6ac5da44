"""Binomial and χ² draws in lanes: against their laws, words of the generator, and scalar code."""

import math

import numpy as np
import pytest
from scipy import stats

from vgsim import _kernels
from vgsim._engine.settings import STREAMS
from vgsim._twin import random as twin

KEY = np.array([0xDEADBEEF, 0x12345678], dtype=np.uint32)
DTYPES = ["float32", "float64"]
FORWARD = STREAMS["forward"]
P_VALUE = 1e-6


def draws(size, trials=0, degrees=(0, 0), dtype="float32", layer=3, first=0):
    """Return Bin(trials, ½), and χ² of each of the two degrees, which may be arrays; (3, size)."""
    every = np.stack([np.broadcast_to(np.float64(v), size) for v in degrees], axis=1)
    rows = _kernels.gamma_draws(KEY, FORWARD, layer, first, trials, every, dtype)
    return rows.T


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [0, 1, 5, 31, 32, 33, 64, 100, 127, 128, 129, 256, 257, 1000, 4097])
def test_ones_are_those_of_the_words(isa, n, dtype):
    found = draws(20, n, dtype=dtype, first=7)[0]
    for i, ones in enumerate(found):
        words = twin.words(KEY, "forward", 3, 7 + i, -(-n // 32))
        bits = np.unpackbits(words.astype("<u4").view(np.uint8), bitorder="little")
        assert ones == bits[:n].sum()


def test_numbers_of_ones_are_binomial():
    for n in (1, 7, 128, 1000):
        ones = draws(100_000, n, layer=n)[0].astype(int)
        k = np.arange(n + 1)
        expected = len(ones) * stats.binom.pmf(k, n, 0.5)
        rare = expected < 20
        counted = np.bincount(ones, minlength=n + 1)
        pairs = [np.append(v[~rare], v[rare].sum()) for v in (counted, expected)]
        some = pairs[1] > 0
        assert stats.chisquare(pairs[0][some], pairs[1][some], sum_check=False).pvalue > P_VALUE


def chi_square(degrees, first_quad, position, index, dtype):
    """χ² by the attempts of one sample; `position`: first or second of the pair."""
    if degrees <= 0:
        return 0.0
    d = degrees / 2 - 1 / 3
    for quad in range(first_quad, first_quad + 50):
        words = twin.words(KEY, "forward", 3, index, 8 * (quad + 1)).astype(np.uint64)
        x = twin.normals(KEY, "forward", 3, index, 4 * quad + 2, dtype)[4 * quad + position]
        if dtype == "float32":
            word = words[4 * quad + 2 + position]
            u = min((float(np.float32(word & 0x7FFFFFFF)) + 0.5) * 2.0**-31, 1 - 2.0**-24)
        else:
            high, low = words[8 * quad + 4 + 2 * position :][:2]
            u = (float((high << 32 | low) & (2**52 - 1)) + 0.5) * 2.0**-52
        if degrees == 1:
            return x * x
        v = (1 + x / math.sqrt(9 * d)) ** 3
        if v > 0 and math.log(u) < x * x / 2 + d - d * v + d * math.log(v):
            return 2 * d * v
    raise AssertionError("fifty attempts were refused")


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-5), ("float64", 1e-12)])
@pytest.mark.parametrize("trials", [0, 200])
def test_chi_squares_are_those_of_scalar_code(isa, dtype, tolerance, trials):
    """Degrees differ from lane to lane, and so does the number of attempts."""
    degrees = np.array([[1, 2], [2, 0], [0, 1], [3, 40], [-1, 2], [2, 2], [1000, 7], [2, 5]] * 20)
    found = draws(len(degrees), trials, degrees.T, dtype, first=5)[1:].T
    quad = -(-trials // 128)
    for i, pair in enumerate(degrees):
        expected = [chi_square(v, quad, k, 5 + i, dtype) for k, v in enumerate(pair)]
        np.testing.assert_allclose(found[i], expected, rtol=tolerance, atol=0)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("degrees", [1, 2, 3, 4, 5, 8, 31, 64, 500, 10**6])
def test_chi_squares_have_their_law(degrees, dtype):
    size = 400_000
    x = np.concatenate(draws(size // 2, 0, (degrees, degrees), dtype, layer=degrees)[1:])
    law = stats.chi2(degrees)
    assert stats.kstest(x, law.cdf).pvalue > P_VALUE
    mean, variance = degrees, 2 * degrees
    assert abs(x.mean() - mean) < 5 * math.sqrt(variance / size)
    kurtosis = 3 + 12 / degrees
    assert abs(x.var() / variance - 1) < 5 * math.sqrt((kurtosis - 1) / size)
    for p in (1e-4, 1e-3):  # both tails
        for counted in ((x < law.ppf(p)).sum(), (x > law.isf(p)).sum()):
            assert stats.binomtest(int(counted), size, p).pvalue > P_VALUE
    assert x.min() > 0


def test_chi_squares_are_independent_of_each_other_and_of_the_bits():
    ones, a, b = draws(200_000, 100, (3, 4))
    for x, y in ((ones, a), (ones, b), (a, b)):
        assert abs(stats.spearmanr(x, y).statistic) < 5 / math.sqrt(len(x))


@pytest.mark.parametrize("dtype", DTYPES)
def test_no_lane_depends_on_another(isa, dtype):
    degrees = np.array([[i % 7, (3 * i) % 11] for i in range(100)])
    whole = draws(100, 77, degrees.T, dtype, first=3)
    alone = [draws(1, 77, row, dtype, first=3 + i)[:, 0] for i, row in enumerate(degrees)]
    np.testing.assert_array_equal(whole.T, alone)


def test_draws_have_the_same_bits_on_every_instruction_set():
    degrees = np.random.default_rng(0).integers(0, 50, (1000, 2))
    results = {}
    for name in _kernels.available_isas():
        _kernels.set_isa(name)
        results[name] = [draws(1000, 333, degrees.T, dtype).tobytes() for dtype in DTYPES]
    _kernels.set_isa(None)
    assert all(result == results["base"] for result in results.values())
