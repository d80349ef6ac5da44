"""The settings that a sample depends on: batch size, loss, engine, data."""

import numpy as np
import pandas as pd
import pytest

from vgsim import MLP, RNN, ClipNorm, ClipValue
from vgsim._engine.settings import Settings, checked_record
from vgsim._results.samples import RECORDS

NORMAL = MLP(4, 100)
UNIFORM = MLP(4, 100, init="he_uniform")
ORTHOGONAL = MLP(4, 100, init="orthogonal")


@pytest.mark.parametrize(
    ("network", "batch_size", "engine", "resolved"),
    [
        (NORMAL, 1, "auto", "matrix-free"),
        (NORMAL, 40, "auto", "matrix-free"),
        (NORMAL, 41, "auto", "dense"),
        (NORMAL, 1, "dense", "dense"),
        (NORMAL, 1000, "matrix-free", "matrix-free"),
        (MLP(1, [3, 1]), 1, "auto", "matrix-free"),
        (ORTHOGONAL, 1000, "auto", "matrix-free"),
        (ORTHOGONAL, 1, "dense", "dense"),
        (UNIFORM, 1, "auto", "dense"),
        (UNIFORM, 1, "dense", "dense"),
        (MLP(4, 100, norm="batch"), np.int64(2), "auto", "matrix-free"),
        (RNN(4, 100), 1, "auto", "dense"),
        (RNN(4, 100, init="identity"), 3, "dense", "dense"),
    ],
)
def test_engines(network, batch_size, engine, resolved):
    settings = Settings.checked(batch_size=batch_size, engine=engine)
    assert settings.of(network).engine == resolved


def test_the_rule_of_auto_sees_the_mean_width():
    settings = Settings.checked(batch_size=40)
    assert settings.of(MLP(2, [10, 190, 100])).engine == "matrix-free"
    assert settings.of(MLP(2, [10, 190, 97])).engine == "dense"


@pytest.mark.parametrize("loss", ["linear", "mse", "cross_entropy"])
def test_losses(loss):
    assert Settings.checked(loss=loss).of(MLP(2, [3, 1, 2])).engine == "matrix-free"
    assert Settings.checked(batch_size=4, loss=loss).of(RNN(2, 3)).engine == "dense"


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        (
            {"network": "tanh"},
            TypeError,
            ["network must be a vgsim.MLP, ", "'tanh'"],
        ),
        ({"batch_size": 0}, ValueError, ["batch_size", "0", "from 1"]),
        ({"batch_size": 2.0}, TypeError, ["batch_size", "2.0", "int"]),
        ({"batch_size": True}, TypeError, ["batch_size", "True"]),
        ({"batch_size": 2**26}, ValueError, ["batch_size must be below 42949673", "67108864"]),
        (
            {"network": MLP(4, 100, norm="batch")},
            ValueError,
            ["batch_size must be at least 2 with norm 'batch', got 1"],
        ),
        ({"loss": "hinge"}, ValueError, ["loss", "'hinge'", "'linear', 'mse', 'cross_entropy'"]),
        ({"loss": None}, TypeError, ["loss", "None"]),
        (
            {"network": MLP(1, [2, 1]), "loss": "cross_entropy"},
            ValueError,
            ["loss 'cross_entropy'", "2 outputs", "width 1"],
        ),
        ({"engine": "fast"}, ValueError, ["engine", "'fast'", "'auto', 'matrix-free', 'dense'"]),
        (
            {"network": UNIFORM, "engine": "matrix-free"},
            ValueError,
            ["'matrix-free' needs Gaussian or orthogonal", "'he_uniform'", "use 'dense'"],
        ),
        (
            {"network": RNN(4, 100), "engine": "matrix-free"},
            ValueError,
            ["'matrix-free'", "RNN", "use 'dense' or 'auto'"],
        ),
    ],
)
def test_errors_name_the_argument_the_value_and_what_is_allowed(changes, error, words):
    arguments = dict(changes)
    network = arguments.pop("network", NORMAL)
    with pytest.raises(error) as caught:
        Settings.checked(**arguments).of(network)
    for word in words:
        assert word in str(caught.value)


def test_the_largest_batch():
    assert Settings.checked(batch_size=2**29 - 1).of(MLP(1, 5)).engine == "dense"
    with pytest.raises(ValueError, match="batch_size must be below 536870912 at width 5"):
        Settings.checked(batch_size=2**29).of(MLP(1, 5))


def test_a_batch_draws_rows_without_replacement():
    data = np.ones((5, 3))
    assert Settings.checked(inputs=data, batch_size=5).of(MLP(2, 3)).data.shape == (5, 3)
    with pytest.raises(ValueError, match=r"at least batch_size = 6 rows.*got shape \(5, 3\)"):
        Settings.checked(inputs=data, batch_size=6).of(MLP(2, 3))
    assert Settings.checked(batch_size=6).data is None


@pytest.mark.parametrize("clip", [ClipNorm(1.0), ClipValue(1.0)])
@pytest.mark.parametrize("kind", [MLP, RNN])
def test_clipped_needs_a_clip(kind, clip):
    assert checked_record(RECORDS, kind(4, 8, clip=clip)) == frozenset(RECORDS)
    with pytest.raises(ValueError, match="record 'clipped' needs a network with gradient"):
        checked_record(["gradient", "clipped"], kind(4, 8))
    assert checked_record((), kind(4, 8)) == frozenset()


@pytest.mark.parametrize(
    ("record", "error", "message"),
    [
        ("gradient", TypeError, r"got 'gradient'; for one name write \('gradient',\)"),
        (None, TypeError, "record must be a collection of names out of 'gradient', .*got None"),
        (["loss"], ValueError, "record must be a collection of names out of .*, got 'loss'"),
    ],
)
def test_record(record, error, message):
    with pytest.raises(error, match=message):
        checked_record(record, NORMAL)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("inputs", np.ma.masked_array(np.ones((2, 2)), np.eye(2) > 0), "got a masked array"),
        ("inputs", [np.ma.masked_array([1.0, 2.0], [True, False])], "got a masked array"),
        ("inputs", np.array([[np.longdouble("1e4000"), 1.0]]), "within the range of float64"),
        ("inputs", np.ones((2, 2), dtype="m8[s]"), "real numbers, of shape (N, n_0), got "),
        ("inputs", bytearray(b"ab"), "real numbers, of shape (N, n_0), got bytearray"),
        ("dtype", ">f4", "must be 'float32' or 'float64', got '>f4'"),
        ("dtype", np.dtype(">f8"), "must be 'float32' or 'float64', got dtype"),
        ("dtype", np.array(1.0), "must be 'float32' or 'float64', got array"),
        ("seed", np.timedelta64(3, "s"), "must be an int >= 0, got "),
        ("batch_size", np.timedelta64(3, "s"), "must be an int from 1 to "),
        ("loss", np.array(["mse", "linear"]), "must be one of 'linear', "),
        ("engine", pd.NA, "must be one of 'auto', "),
    ],
)
def test_values_that_numpy_would_take_for_others(name, value, words):
    with pytest.raises((ValueError, TypeError)) as caught:
        Settings.checked(**{name: value})
    assert str(caught.value).startswith(f"{name} ")
    assert words in str(caught.value)
    assert caught.value.argument == name


@pytest.mark.parametrize("dtype", ["float32", "f4", np.float32, np.dtype("f4"), np.str_("float32")])
def test_a_dtype_in_all_its_forms(dtype):
    assert Settings.checked(dtype=dtype).dtype == "float32"


@pytest.mark.parametrize("record", [{}, {"gradient": 1}, b"gradient", np.array("gradient"), [b"a"]])
def test_records_that_are_no_names(record):
    with pytest.raises((ValueError, TypeError), match="record must be a collection of names out"):
        checked_record(record, MLP(4, 8))


def test_a_record_may_be_an_array_of_names():
    assert checked_record(np.array(["gradient"]), MLP(4, 8)) == {"gradient"}
