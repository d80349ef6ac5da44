"""Data inputs: their scaling, their digest, and that they are prepared once."""

import hashlib
import weakref
from types import SimpleNamespace

import numpy as np
import pytest

import vgsim
from vgsim._engine import data
from vgsim._engine.data import Data, checked_data

NETWORK = vgsim.MLP(3, 8)


@pytest.fixture
def prepared(monkeypatch):
    """A list of the digests of all data that the test prepares."""
    digests = []
    prepare = Data.prepared

    def counting(values, digest):
        digests.append(digest)
        return prepare(values, digest)

    monkeypatch.setattr(Data, "prepared", counting)
    return digests


@pytest.fixture
def matrix(rng):
    return rng.normal(size=(50, 8))


def test_rows_are_significands_and_exponents(matrix):
    matrix *= 10.0 ** np.arange(-300, 300, 12)[:, np.newaxis]
    matrix[7] = 0
    found = checked_data(matrix)
    assert found.shape == (50, 8)
    assert np.array_equal(found.values, matrix)
    largest = np.abs(found.significands).max(axis=1)
    assert largest[7] == 0
    assert np.all((np.delete(largest, 7) >= 0.5) & (largest.max() < 1))
    assert not found.significands.flags.writeable


@pytest.mark.parametrize(
    "given", [np.arange(6).reshape(2, 3), [[0, 1, 2], [3, 4, 5]], np.arange(6.0).reshape(3, 2).T]
)
def test_the_digest_is_that_of_shape_and_values(given):
    values = np.array(given, dtype="<f8")
    digest = hashlib.sha256(repr(values.shape).encode() + values.tobytes()).hexdigest()
    assert checked_data(given).digest == f"sha256:{digest}"


def test_sequences_are_rows_by_token(rng):
    sequences = rng.normal(size=(5, 3, 8)) * 10.0 ** rng.integers(-200, 200, size=(5, 3, 1))
    found = checked_data(sequences)
    assert (found.shape, found.rows, found.tokens, found.width) == ((5, 3, 8), 5, 3, 8)
    assert np.array_equal(found.values, sequences)
    rows = checked_data(sequences.reshape(15, 8))
    assert np.array_equal(found.significands, rows.significands)
    assert np.array_equal(found.exponents, rows.exponents)
    assert found.significands.flags.c_contiguous
    digest = hashlib.sha256(b"(5, 3, 8)" + sequences.astype("<f8").tobytes()).hexdigest()
    assert found.digest == f"sha256:{digest}" != rows.digest


def test_sequences_of_one_token_are_a_matrix(matrix):
    found = checked_data(matrix[:, np.newaxis])
    assert found.shape == (50, 8)
    assert found.digest == checked_data(matrix).digest


@pytest.mark.parametrize("shape", [(3,), (0, 2), (0, 2, 2), (3, 0, 2), (3, 2, 2, 2), ()])
def test_other_shapes_are_refused(shape):
    message = r"inputs must be 'normal', .* or an array of shape \(N, n_0\), with tokens \(N, tok"
    with pytest.raises(ValueError, match=message):
        checked_data(np.zeros(shape))


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf, np.longdouble("1e4000")])
def test_every_number_must_be_finite(wrong):
    matrix = np.zeros((5, 8), dtype=np.longdouble)
    matrix[3, 2] = wrong
    if np.isfinite(np.float64(wrong)):
        pytest.skip("no type is wider than float64 here")
    with pytest.raises(ValueError, match="inputs must (be finite, got NaN|lie within the range)"):
        checked_data(matrix)


def test_data_are_prepared_once_for_all_that_is_run_on_them(prepared, matrix):
    for _ in range(2):
        vgsim.simulate(NETWORK, 10, inputs=matrix)
    vgsim.lyapunov(NETWORK, 10, inputs=matrix)
    vgsim.depth_curve(NETWORK, (1, 2, 3), 10, inputs=matrix)
    vgsim.collect([NETWORK, vgsim.MLP(5, 8)], max_samples=5000, inputs=matrix)
    vgsim.replay(NETWORK, 0, inputs=matrix)
    assert len(prepared) == 1


def test_a_study_hashes_its_data_once(monkeypatch, matrix):
    begun = []

    def sha256(start):
        begun.append(start)
        return hashlib.sha256(start)

    monkeypatch.setattr(data, "hashlib", SimpleNamespace(sha256=sha256))
    vgsim.collect([NETWORK], max_samples=5000, inputs=matrix)
    assert begun == [b"(50, 8)"]


def test_data_that_are_changed_in_place_are_other_data(prepared, matrix):
    before = vgsim.simulate(NETWORK, 100, inputs=matrix)
    matrix[:, 0] += 1
    after = vgsim.simulate(NETWORK, 100, inputs=matrix)
    assert len(prepared) == 2
    assert before.inputs != after.inputs
    assert np.array_equal(after.gradient, vgsim.simulate(NETWORK, 100, inputs=matrix + 0).gradient)
    assert not np.array_equal(before.gradient, after.gradient)


def test_prepared_data_live_no_longer_than_what_they_are_made_of():
    matrix = np.ones((4, 4))
    found = weakref.ref(checked_data(matrix))
    assert found() is checked_data(matrix) is not None
    del matrix
    assert found() is None
    assert checked_data([[1.0, 2.0]]) is not checked_data([[1.0, 2.0]])
