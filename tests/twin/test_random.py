"""The NumPy generator against published answers, a second implementation and its laws."""

import math
from pathlib import Path

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vgsim._engine.settings import STREAMS, network_key
from vgsim._twin import random as _random
from vgsim._twin.random import normals, philox4x32, truncated_normals, uniforms, words

KEY = network_key("{}", 0)
CHUNKS, CHUNK = 12, 1_000_000
N = CHUNKS * CHUNK
DTYPES = ["float32", "float64"]

uint32s = st.integers(0, 2**32 - 1)


def known_answers():
    text = (Path(__file__).parents[1] / "data" / "philox4x32_kat.txt").read_text()
    rows = [line.split() for line in text.splitlines() if line and not line.startswith("#")]
    return [[int(word, 16) for word in row] for row in rows]


@pytest.mark.parametrize("row", known_answers(), ids=lambda row: f"{row[0]:08x}")
def test_known_answers(row):
    assert philox4x32(row[:4], row[4:6]).tolist() == row[6:]


def test_known_answers_vectorised():
    rows = np.array(known_answers(), dtype=np.uint32)
    for row in rows:
        counters = np.broadcast_to(row[:4], (2, 3, 4))
        expected = np.broadcast_to(row[6:], (2, 3, 4))
        np.testing.assert_array_equal(philox4x32(counters, row[4:6]), expected)


@given(st.tuples(uint32s, uint32s, uint32s, uint32s), uint32s, uint32s)
def test_ten_rounds_are_those_of_randomgen(counter, key0, key1):
    reason = "randomgen is the second implementation of Philox here"
    randomgen = pytest.importorskip("randomgen", reason=reason)
    whole = sum(word << 32 * k for k, word in enumerate(counter))
    before = (whole - 1) % 2**128  # it increments before it generates
    generator = randomgen.Philox(counter=before, key=key1 << 32 | key0, number=4, width=32)
    expected = generator.random_raw(4)
    np.testing.assert_array_equal(philox4x32(counter, [key0, key1], rounds=10), expected)


@given(uint32s, uint32s, st.sampled_from(sorted(STREAMS)), uint32s, st.integers(0, 2**56 - 1))
def test_words_are_those_of_their_counters(key0, key1, stream, layer, index):
    top = STREAMS[stream] << 24 | index >> 32
    counters = [[block, layer, index & 0xFFFFFFFF, top] for block in range(3)]
    expected = philox4x32(counters, [key0, key1]).reshape(-1)[:11]
    np.testing.assert_array_equal(words([key0, key1], stream, layer, index, 11), expected)


def test_streams_are_those_of_the_law():
    assert list(STREAMS.items()) == [
        ("input", 0),
        ("forward", 1),
        ("backward", 2),
        ("bias", 3),
        ("cotangent", 6),
        ("targets", 7),
        ("replay_rest", 8),
        ("norm", 9),
        ("input_weights", 10),
        ("drive", 11),
        ("tangent", 13),
        ("mask", 14),
        ("replay_directions", 15),
    ]
    np.testing.assert_array_equal(words(KEY, "norm", 1, 2, 8), words(KEY, 9, 1, 2, 8))


@pytest.mark.parametrize("draw", [normals, uniforms, truncated_normals])
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_longer_draw_begins_with_the_shorter(draw, dtype):
    long = draw(KEY, "forward", 3, 4, 1000, dtype)
    assert long.shape == (1000,)
    assert long.dtype == np.float64
    for count in (0, 1, 2, 3, 5, 997):
        np.testing.assert_array_equal(draw(KEY, "forward", 3, 4, count, dtype), long[:count])


@pytest.mark.parametrize(
    ("text", "seed", "key"),
    [
        ('{"depth":10,"kind":"MLP","width":8}', 0, ("d4e96412", "42e15915")),
        ('{"depth":10,"kind":"MLP","width":8}', 1, ("0f840a65", "84d9b5b7")),
        ('{"depth":11,"kind":"MLP","width":8}', 0, ("7df51ffc", "928b8c8d")),
        ('{"depth":10,"kind":"MLP","width":8}', 2**200 + 1, ("245d843a", "22203608")),
    ],
)
def test_golden_keys(text, seed, key):
    """All samples depend on these keys, which must never change."""
    result = network_key(text, seed)
    assert result.dtype == np.uint32
    assert [f"{word:08x}" for word in result] == list(key)


def test_key_takes_numpy_seeds():
    np.testing.assert_array_equal(network_key("{}", np.uint64(7)), network_key("{}", 7))


@pytest.mark.parametrize(
    ("seed", "error"),
    [
        (-1, ValueError),
        (1.0, TypeError),
        (True, TypeError),
        (None, TypeError),
        (np.array(3), TypeError),
        ([1], TypeError),
    ],
)
def test_seed_errors(seed, error):
    with pytest.raises(error, match="seed must be an int >= 0, got"):
        network_key("{}", seed)


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ({"stream": "sideways"}, ["stream", "'sideways'", "'forward': 1"]),
        ({"stream": 16}, ["stream", "16", "'norm': 9"]),
        ({"layer": -1}, ["layer", "-1", str(2**32 - 1)]),
        ({"layer": 2**32}, ["layer", str(2**32)]),
        ({"index": 2**56}, ["index", str(2**56), str(2**56 - 1)]),
        ({"count": -4}, ["blocks", "-1"]),
        ({"count": 2**36}, ["blocks", str(2**34)]),
        ({"dtype": "float16"}, ["dtype", "'float16'", "'float32'", "'float64'"]),
        ({"dtype": "double float"}, ["dtype", "'double float'", "'float32'"]),
    ],
)
def test_errors_name_the_argument_the_value_and_what_is_allowed(arguments, parts):
    given = {
        "stream": "forward",
        "layer": 0,
        "index": 0,
        "count": 4,
        "dtype": "float32",
    } | arguments
    with pytest.raises(ValueError, match=parts[0]) as caught:
        uniforms(KEY, **given)
    for part in parts:
        assert part in str(caught.value)


@pytest.fixture(scope="module")
def key(seed):
    """The key of the statistical tests, which any seed should pass."""
    return network_key("{}", seed)


def pieces(key, draw, dtype, chunks=CHUNKS):
    for index in range(chunks):
        yield draw(key, "forward", 1, index << 30, CHUNK, dtype)


@pytest.fixture(scope="module", params=DTYPES)
def normal_draws(request, key):
    """Twelve million normals, from twelve samples."""
    return np.concatenate(list(pieces(key, normals, request.param)))


@pytest.fixture(scope="module")
def normal_squares(normal_draws):
    """The squares of the normals, minus 1."""
    return normal_draws**2 - 1


def double_factorial(n):
    return math.prod(range(n, 0, -2))


def test_moments_of_normals_to_the_eighth(normal_draws):
    power = np.ones_like(normal_draws)
    for order in range(1, 9):
        power *= normal_draws
        moment = double_factorial(order - 1) if order % 2 == 0 else 0
        bound = 5 * math.sqrt((double_factorial(2 * order - 1) - moment**2) / N)
        assert bound < 0.02 * (moment or double_factorial(order))
        assert abs(power.mean() - moment) < bound


@pytest.mark.parametrize("edge", [4.0, 4.4])
def test_tail_counts_of_normals(normal_draws, edge):
    expected = N * math.erfc(edge / math.sqrt(2))
    bound = 5 * math.sqrt(expected)
    assert N * math.erfc(edge / 1.02 / math.sqrt(2)) > expected + bound  # 2 % wider would fail
    upper, lower = np.count_nonzero(normal_draws > edge), np.count_nonzero(normal_draws < -edge)
    assert abs(upper + lower - expected) < bound
    assert abs(upper - lower) < bound


@pytest.mark.parametrize("lag", [1, 2, 3, 4, 5, 6, 7, 8, 64, 128, 1000])
def test_lag_correlations_of_normals(normal_draws, normal_squares, lag):
    bound = 5 / math.sqrt(N - lag)
    assert bound < 0.02
    assert abs(np.einsum("i,i", normal_draws[:-lag], normal_draws[lag:])) < bound * (N - lag)
    assert abs(np.einsum("i,i", normal_squares[:-lag], normal_squares[lag:])) < 2 * bound * (
        N - lag
    )


@pytest.mark.parametrize("draw", [normals, uniforms])
@pytest.mark.parametrize("dtype", DTYPES)
def test_neighbouring_streams_layers_samples_and_keys_are_uncorrelated(key, seed, draw, dtype):
    here = draw(key, "forward", 1, 0, CHUNK, dtype)
    bound = 5 / math.sqrt(CHUNK)
    assert bound < 0.02
    for there in (
        draw(key, "backward", 1, 0, CHUNK, dtype),
        draw(key, "forward", 2, 0, CHUNK, dtype),
        draw(key, "forward", 1, 1, CHUNK, dtype),
        draw(key, "forward", 1, 1 << 32, CHUNK, dtype),
        draw(network_key("{}", seed + 1), "forward", 1, 0, CHUNK, dtype),
    ):
        assert abs(np.corrcoef(here, there)[0, 1]) < bound
        assert abs(np.corrcoef(here**2, there**2)[0, 1]) < bound


def law_of_words(monkeypatch, blocks, draw, dtype):
    """Return the result of `draw` for given words, (n, 4)."""
    blocks = np.array(blocks, dtype=np.uint32)
    monkeypatch.setattr(_random, "philox4x32", lambda counter, key: blocks)
    per_block = 2 if draw is normals and dtype == "float64" else 4
    return draw(KEY, "forward", 0, 0, per_block * len(blocks), dtype)


@pytest.mark.parametrize(("dtype", "bits"), [("float32", 32), ("float64", 53)])
def test_normals_reach_the_stated_tail_and_stay_finite(monkeypatch, dtype, bits):
    tail = math.sqrt(2 * bits * math.log(2))
    assert f"{tail:.2f}" == {"float32": "6.66", "float64": "8.57"}[dtype]
    z = law_of_words(monkeypatch, [[0, 0, 0, 0]], normals, dtype)
    assert z[0] == pytest.approx(tail, rel=1e-8)
    z = law_of_words(monkeypatch, [[2**32 - 1] * 4], normals, dtype)
    assert np.all(np.isfinite(z))
    assert np.all(z != 0)
    closest = {"float32": 2.0**-24, "float64": 2.0**-53}[dtype]
    assert np.hypot(z[0], z[1]) == pytest.approx(math.sqrt(2 * closest), rel=1e-6)


@pytest.mark.parametrize("dtype", DTYPES)
def test_radius_has_its_law_cell_by_cell(monkeypatch, dtype):
    cells = 2**16
    bits = {"float32": 31, "float64": 20}[dtype]  # of the first word, for the radius
    cell = np.uint32(2**bits // cells)
    w = np.arange(cells, dtype=np.uint32) * cell + cell // np.uint32(2)
    zero = np.zeros_like(w)
    blocks = np.stack([w, zero, w, zero], axis=-1)
    z = law_of_words(monkeypatch, blocks, normals, dtype).reshape(cells, -1)
    r = np.hypot(z[:, 0], z[:, 1])
    u = (np.arange(cells) + 0.5) / cells
    np.testing.assert_allclose(np.exp(-(r**2) / 2), u, rtol=4e-5)


@pytest.mark.parametrize("dtype", DTYPES)
def test_radius_has_its_law_in_the_last_cells_of_the_tail(monkeypatch, dtype):
    k = np.arange(2**16, dtype=np.uint32)
    zero = np.zeros_like(k)
    columns = [k, zero, k, zero] if dtype == "float32" else [zero, k, zero, zero]
    z = law_of_words(monkeypatch, np.stack(columns, axis=-1), normals, dtype).reshape(len(k), -1)
    r = np.hypot(z[:, 0], z[:, 1])
    assert r.min() > {"float32": 4.5, "float64": 7.0}[dtype]
    survival = {"float32": 2.0**-31, "float64": 2.0**-52}[dtype] * (k + 0.5)
    np.testing.assert_allclose(np.exp(-(r**2) / 2), survival, rtol=1e-13)


@pytest.mark.parametrize(("dtype", "angle_bits"), [("float32", 30), ("float64", 20)])
def test_angle_covers_the_circle_evenly(monkeypatch, dtype, angle_bits):
    """The octant is in the top bit of the first word and the top two bits of the angle's word."""
    octants, cells = 8, 2**12
    octant, cell = np.divmod(np.arange(octants * cells, dtype=np.uint32), np.uint32(cells))
    step = 2**angle_bits // cells
    angle = (octant & 3) << np.uint32(30) | cell * np.uint32(step) + np.uint32(step // 2)
    radius = (octant >> 2) << np.uint32(31) | np.uint32(2 ** {"float32": 30, "float64": 19}[dtype])
    zero = np.zeros_like(angle)
    columns = {"float32": [radius, angle] * 2, "float64": [radius, zero, angle, zero]}[dtype]
    blocks = np.stack(columns, axis=-1)
    z = law_of_words(monkeypatch, blocks, normals, dtype).reshape(octants * cells, -1)
    np.testing.assert_array_equal(z[:, 0] < 0, octant & 4 != 0)
    np.testing.assert_array_equal(z[:, 1] < 0, octant & 2 != 0)
    np.testing.assert_array_equal(np.abs(z[:, 0]) < np.abs(z[:, 1]), octant & 1 != 0)
    angle = np.sort(np.arctan2(z[:, 1], z[:, 0]))
    even = 2 * math.pi * ((np.arange(octants * cells) + 0.5) / (octants * cells) - 0.5)
    np.testing.assert_allclose(angle, even, rtol=0, atol=math.pi / (octants * cells) / 50)


@pytest.mark.parametrize("dtype", DTYPES)
def test_uniforms_are_midpoints_of_equal_cells(monkeypatch, dtype):
    resolution = {"float32": 2.0**-23, "float64": 2.0**-31}[dtype]
    extremes = [[0x7FFFFFFF, 0x80000000, 0, 0xFFFFFFFF]]
    v = law_of_words(monkeypatch, extremes, uniforms, dtype)
    half = resolution / 2
    assert v.tolist() == [1 - half, -1 + half, half, -half]


@pytest.mark.parametrize("dtype", DTYPES)
def test_moments_and_lags_of_uniforms(key, dtype):
    v = np.concatenate(list(pieces(key, uniforms, dtype, chunks=4)))
    power = np.ones_like(v)
    for order in range(1, 9):
        power *= v
        moment = 1 / (order + 1) if order % 2 == 0 else 0
        bound = 5 * math.sqrt((1 / (2 * order + 1) - moment**2) / v.size)
        assert bound < 0.02 / (order + 1)
        assert abs(power.mean() - moment) < bound
    bound = 5 / math.sqrt(v.size - 128)
    assert bound < 0.02
    for lag in (1, 2, 3, 4, 8, 128):
        assert abs(3 * np.dot(v[:-lag], v[lag:]) / (v.size - lag)) < bound


@pytest.mark.parametrize("dtype", DTYPES)
def test_moments_of_truncated_normals(key, dtype):
    z = np.concatenate(list(pieces(key, truncated_normals, dtype, chunks=4)))
    assert np.abs(z).max() < 2
    power = np.ones_like(z)
    for order in range(1, 9):
        moment, square = (
            float(
                mpmath.quad(lambda x, k=k: x**k * mpmath.npdf(x), [-2, 0, 2])
                / mpmath.erf(mpmath.sqrt(2))
            )
            for k in (order, 2 * order)
        )
        power *= z
        bound = 5 * math.sqrt((square - moment**2) / z.size)
        assert bound < 0.02 * math.sqrt(square)
        assert abs(power.mean() - moment) < bound
    assert z.std() == pytest.approx(0.87962566103423978, rel=5 / math.sqrt(2 * z.size))


@pytest.mark.parametrize("dtype", DTYPES)
def test_truncated_normals_invert_the_conditional_distribution(dtype):
    z = truncated_normals(KEY, "forward", 1, 0, 50, dtype)
    v = uniforms(KEY, "forward", 1, 0, 50, dtype)
    for x, y in zip(z, v, strict=True):
        assert float(mpmath.erf(x / mpmath.sqrt(2)) / mpmath.erf(mpmath.sqrt(2))) == pytest.approx(
            y, rel=1e-13
        )
