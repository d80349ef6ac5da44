"""Random numbers and activations of the kernels of each instruction set, against other code."""

import math
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

import vgsim
from segments import plan_of
from vgsim import Activation, _kernels
from vgsim._networks.activation_table import ACTIVATIONS
from vgsim._twin import random as _random

KEY = np.array([0xDEADBEEF, 0x12345678], dtype=np.uint32)
DTYPES = ["float32", "float64"]
LAWS = {
    "normal": _random.normals,
    "uniform": _random.uniforms,
    "truncated_normal": _random.truncated_normals,
}


def known_answers():
    text = (Path(__file__).parents[1] / "data" / "philox4x32_kat.txt").read_text()
    rows = [line.split() for line in text.splitlines() if line and not line.startswith("#")]
    return [[int(word, 16) for word in row] for row in rows]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("row", known_answers(), ids=lambda row: f"{row[0]:08x}")
def test_known_answers(isa, row, dtype):
    c0, c1, c2, c3 = row[:4]
    index = (c3 & 0xFFFFFF) << 32 | c2
    key = np.array(row[4:6], dtype=np.uint32)
    answer = _kernels.words(key, c3 >> 24, c1, index, 4, c0, dtype)
    assert answer.tolist() == row[6:]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("index", [0, 13, 2**32 - 1, 2**32, 2**56 - 1])
def test_words_are_the_twins(isa, dtype, index):
    expected = _random.words(KEY, "bias", 7, index, 1001)
    np.testing.assert_array_equal(_kernels.words(KEY, 3, 7, index, 1001, 0, dtype), expected)


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 2e-6), ("float64", 4e-15)])
@pytest.mark.parametrize("law", LAWS)
def test_draws_are_the_twins(isa, law, dtype, tolerance):
    expected = LAWS[law](KEY, "forward", 3, 5, 200_000, dtype)
    actual = _kernels.draws(KEY, 1, 3, 5, law, 200_000, dtype)
    np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=0)


def test_draws_have_the_same_bits_on_every_instruction_set():
    def bits():
        return [
            _kernels.draws(KEY, 1, 3, 5, law, 10_001, dtype).tobytes()
            for law in LAWS
            for dtype in DTYPES
        ]

    results = {}
    for name in _kernels.available_isas():
        _kernels.set_isa(name)
        results[name] = bits()
    _kernels.set_isa(None)
    assert all(result == results["base"] for result in results.values())


@pytest.fixture(scope="module", params=DTYPES)
def kernel_normals(request):
    """Fifty million normals of one dtype, by the fastest instruction set, in arrays of equal size.

    Each array fits in the cache. With one large array, most of the time would be allocation.
    """
    return [_kernels.draws(KEY, 1, l, 9, "normal", 250_000, request.param) for l in range(200)]


def test_moments_of_normals(kernel_normals):
    n = sum(map(len, kernel_normals))
    even = {0: 1, 2: 1, 4: 3, 6: 15, 8: 105}
    moment = even | {p: math.prod(range(1, p, 2)) for p in range(10, 17, 2)}
    means = np.zeros(9)
    power = np.empty_like(kernel_normals[0])
    for z in kernel_normals:
        power[:] = 1
        for p in range(1, 9):
            power *= z
            means[p] += power.sum() / n
    for p in range(1, 9):
        expected = moment.get(p, 0)
        error = math.sqrt((moment[2 * p] - expected**2) / n)
        if p <= 4:  # a deviation of 2 % in scale would show
            assert 5 * error < 0.02 * p * max(expected, 1)
        assert abs(means[p] - expected) < 5 * error, p


@pytest.mark.parametrize(("sigmas", "expected"), [(4.0, 3167), (5.0, 28.7)])
def test_tails_of_normals(kernel_normals, sigmas, expected):
    n, tail = sum(map(len, kernel_normals)), math.erfc(sigmas / math.sqrt(2))
    assert n * tail == pytest.approx(expected, rel=0.01)
    counted = sum(int((np.abs(z) > sigmas).sum()) for z in kernel_normals)
    assert stats.binomtest(counted, n, tail).pvalue > 6e-7  # 5 sigma
    assert stats.binomtest(0, n, tail).pvalue < 6e-7  # a cut tail would show


def test_normals_are_not_correlated(kernel_normals):
    n, lags = sum(map(len, kernel_normals)), (1, 2, 3, 4, 8, 64)
    products = np.zeros((2, len(lags)))
    for z in kernel_normals:
        for row, x in zip(products, (z, z * z - 1), strict=True):
            row += [np.einsum("i,i", x[:-lag], x[lag:]) for lag in lags]  # without BLAS threads
    assert (np.abs(products[0] / n) < 5 / math.sqrt(n)).all()
    assert (np.abs(products[1] / n) < 5 * 2 / math.sqrt(n)).all()


def test_no_normal_is_zero(kernel_normals):
    assert min(np.abs(z).min() for z in kernel_normals) > 0


def test_samples_and_layers_and_streams_are_not_correlated():
    n = 400_000
    streams = [(1, 3, 5), (1, 3, 6), (1, 4, 5), (2, 3, 5), (1, 3, 5 + 2**32)]
    draws = [_kernels.draws(KEY, *stream, "normal", n, "float32") for stream in streams]
    correlations = np.corrcoef(draws) - np.eye(len(streams))
    assert np.abs(correlations).max() < 5 / math.sqrt(n)


# Relative accuracy. It includes the rounding of the arguments of exponentials.
ACTIVATION_TOLERANCE = {"float32": 2e-6, "float64": 4e-15}
ROOTED = ("gelu", "silu", "mish", "gelu_tanh", "hard_swish")  # φ' has a root above -2
POINTS = [0.0, *np.geomspace(1e-8, 30, 60)]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", [name for name in ACTIVATIONS if name != "sine"])
def test_activation_equals_the_table(isa, name, dtype):
    activation = Activation(name)
    tolerance = ACTIVATION_TOLERANCE[dtype]
    for h in [*POINTS, *(-point for point in POINTS)]:
        h = float(np.dtype(dtype).type(h))
        value, slope, exponent = _kernels.activation(
            name, activation.kernel_parameters, h, 0, dtype
        )
        expected, expected_slope = activation.value(h), activation.derivative(h)
        growth = 1 + h * h  # exp(-h²) and Φ round h² once
        assert abs(value * 2**exponent - expected) <= tolerance * growth * abs(expected), h
        if abs(expected_slope) > 1e-37:
            near_root = tolerance if name in ROOTED else 0
            bound = tolerance * growth * abs(expected_slope) + near_root * (abs(h) < 2)
            assert abs(slope - expected_slope) <= bound, h


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("exponent", [-(2**20), -300, -90, -40, 40, 90, 300, 2**20])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation_in_scaled_units(isa, name, exponent, dtype):
    """φ(ĥ 2^E) beyond the exponents of floating-point numbers: the limits at 0 and infinity."""
    activation = Activation(name)
    parameters = activation.kernel_parameters
    at_zero = activation.value(0.0)
    slopes = activation.slope_at_infinity if exponent > 0 else activation.slope_at_zero
    for h, slope_there in ((-1.25, slopes[0]), (1.25, slopes[1])):
        value, slope, e = _kernels.activation(name, parameters, h, exponent, dtype)
        assert np.isfinite([value, slope, e]).all()
        if exponent < 0 and at_zero != 0:
            assert e == 0
            assert value == pytest.approx(float(at_zero), rel=1e-6)
        elif slope_there != 0:  # grows like h, or starts like h
            assert value * 2.0 ** (e - exponent) == pytest.approx(slope_there * h, rel=1e-6)
            assert slope == pytest.approx(slope_there, rel=1e-6)
        elif activation.slope_at_infinity == (0, 0):  # saturates at a constant
            limit = float(activation.value(math.copysign(1e300, h)))
            if name == "sine":
                assert abs(value * 2.0**e) <= 1
            elif limit:
                assert value * 2.0**e == pytest.approx(limit, rel=1e-6)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("omega", [0.3, 1.0, 30.0])
def test_sine_has_the_phase_error_of_its_argument(isa, omega, dtype, rng):
    """h and ω h are rounded: the phase has an error of a few ε ω |h|, and φ one of its own of ε."""
    epsilon = np.finfo(dtype).eps
    for h in [*POINTS, *rng.uniform(-6000.0, 6000.0, 200) / omega]:
        h = float(np.dtype(dtype).type(h))
        value, slope, e = _kernels.activation("sine", (omega, 0.0), h, 0, dtype)
        phase = 1.5 * epsilon * omega * abs(h)
        assert abs(value * 2**e - math.sin(omega * h)) <= phase + epsilon
        assert abs(slope - omega * math.cos(omega * h)) <= omega * (phase + epsilon)
        assert (value != 0, slope != 0) == (h != 0, True)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("exponent", [24, 50, 120, 2**20])
def test_phases_of_large_angles_are_spread(isa, exponent, dtype, rng):
    """Where rounding determines the phase, sin and cos are those of a uniform phase, none is 0."""
    mantissas = rng.uniform(1.0, 2.0, 2000) * rng.choice([-1.0, 1.0], 2000)
    sines, cosines = np.array(
        [_kernels.activation("sine", (1.0, 0.0), h, exponent, dtype)[:2] for h in mantissas]
    ).T
    np.testing.assert_allclose(sines**2 + cosines**2, 1.0, rtol=1e-6)
    assert np.all(sines * cosines != 0)
    phase = np.mod(np.arctan2(sines, cosines), 2 * np.pi) / (2 * np.pi)
    assert stats.kstest(phase, "uniform").pvalue > 1e-6


@pytest.mark.parametrize("dtype", DTYPES)
def test_multiples_of_a_quarter_turn_are_no_roots(isa, dtype):
    """ω = π/2 · 2^k has no rounding: here h counts quarter turns up to the rounding of π/2."""
    for turns in (1, 2, 3, 4, 1001, 4096, 2**20):
        value, slope, _ = _kernels.activation("sine", (math.pi / 2, 0.0), turns, 0, dtype)
        assert 0 < min(abs(value), abs(slope)) < 1e-3
        assert (abs(value) > 0.5) == (turns % 2 == 1)


def test_isa_choices(monkeypatch):
    with pytest.raises(ValueError, match="'sse9' is not among.* base"):
        _kernels.set_isa("sse9")
    monkeypatch.setenv("VGSIM_ISA", "neon2")
    with pytest.raises(ValueError, match="VGSIM_ISA = 'neon2'.*choices here are base"):
        _kernels.selected_isa()
    monkeypatch.setenv("VGSIM_ISA", "base")
    assert _kernels.selected_isa() == "base"


def test_registry_of_activations_is_the_kernels():
    assert tuple(ACTIVATIONS) == _kernels.ACTIVATIONS


def test_a_plan_refuses_what_it_does_not_know():
    """An output that no kernel writes would be returned uninitialised."""
    fields = plan_of(vgsim.MLP(3, 4)).fields | {"first": 0, "count": 1, "n_columns": 0}
    fields |= {"column": None, "output_gradient": np.empty(1), "dead": np.empty(1, np.bool_)}
    key = np.zeros(2, np.uint32)
    assert _kernels.Run("float32", key, **fields).scratch_bytes > 0
    with pytest.raises(TypeError, match="a plan has no surprise"):
        _kernels.Run("float32", key, **fields, surprise=np.empty(1))
