"""Input data that workers map from the shared memory of the collecting process."""

import os

import numpy as np
import pytest

from vgsim._engine.data import checked_data
from vgsim._studies.carried import DataMissingError, Lent, Reference

lendable = pytest.mark.skipif(
    not hasattr(os, "memfd_create"), reason="needs memory that can be lent"
)


@pytest.fixture(params=[(300, 7), (100, 3, 7)], ids=["rows", "sequences"])
def data(rng, request):
    return checked_data(rng.normal(size=request.param))


@lendable
def test_what_is_lent_has_the_same_bits(data):
    lent = Lent(data)
    found = lent.reference.data()
    lent.close()
    assert (found.digest, found.shape, found.tokens) == (data.digest, data.shape, data.tokens)
    assert np.array_equal(found.significands, data.significands)
    assert np.array_equal(found.exponents, data.exponents)
    assert not found.significands.flags.writeable


@lendable
def test_what_is_no_longer_lent_is_missing(data):
    lent = Lent(data)
    lent.close()
    lent.close()
    with pytest.raises(DataMissingError):
        lent.reference.data()


@pytest.mark.parametrize("what", ["nothing", "pipe", "file", "folder"])
def test_whatever_else_lies_there_is_not_taken_for_data(data, tmp_path, what):
    """On another machine the path may be a pipe or another file, which must not be read."""
    path = tmp_path / "there"
    if what == "pipe":
        os.mkfifo(path)
    elif what == "file":
        path.write_bytes(bytes(128 + 8 * 300 * 8))
    elif what == "folder":
        path.mkdir()
    with pytest.raises(DataMissingError):
        Reference(data.digest, data.shape, str(path)).data()


def test_memory_that_is_not_to_be_had_is_not_lent(data, monkeypatch):
    def refuse(name):
        raise OSError("no memory")

    monkeypatch.setattr(os, "memfd_create", refuse, raising=False)
    with pytest.raises(DataMissingError):
        Lent(data).reference.data()
