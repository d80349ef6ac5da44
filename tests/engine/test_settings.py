"""The settings that a sample depends on: batch size, loss, engine, data."""

import math
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from vgsim import (
    MLP,
    RNN,
    Attention,
    ClipNorm,
    ClipValue,
    Dropout,
    Gate,
    Highway,
    Linear,
    Norm,
    Residual,
    Sequential,
    Skip,
    simulate,
)
from vgsim._engine.settings import Settings, checked_record
from vgsim._results.quantities import CORRELATIONS, RECORDS

NORMAL = MLP(4, 100)
UNIFORM = MLP(4, 100, init="he_uniform")
ORTHOGONAL = MLP(4, 100, init="orthogonal")
RELU = MLP(4, 100, activation="relu")
ONE, PAIR = Settings.checked(), Settings.checked(batch_size=2)


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
        (RELU, 1, "auto", "scalar"),
        (RELU, 2, "auto", "matrix-free"),
        (RELU, 1, "matrix-free", "matrix-free"),
        (MLP(4, 23, activation="relu"), 1, "auto", "matrix-free"),
        (MLP(4, 23, activation="relu"), 1, "scalar", "scalar"),
        (MLP(4, [10, 40, 8, 40, 8], activation="linear", bias_std=1.0), 1, "auto", "scalar"),
        (MLP(2, 99, activation="leaky_relu", clip=ClipNorm(1.0)), 1, "auto", "scalar"),
        (Sequential(99, [Linear(), "relu"]), 1, "auto", "scalar"),
        (Sequential(99, [[Linear(bias_std=1.0), "relu"]]), 1, "auto", "scalar"),
        (Sequential(99, [Linear(), "relu", Linear()]), 1, "auto", "matrix-free"),
        (RNN(4, 100), 1, "auto", "dense"),
        (RNN(4, 100, init="identity"), 3, "dense", "dense"),
    ],
)
def test_engines(network, batch_size, engine, resolved):
    settings = Settings.checked(batch_size=batch_size, engine=engine)
    assert settings.of(network).engine == resolved


@pytest.mark.parametrize(
    "network",
    [
        MLP(2, [10, 190, 100]),
        MLP(3, [300, 20, 20, 5]),
        MLP(4, 70, residual=Residual(2)),
        MLP(5, 33, highway=Highway()),
        MLP(1, [1, 1000]),
    ],
)
def test_the_rule_of_auto_compares_the_numbers_drawn(network):
    """Engines cost the same at 0.4 times the entries of the matrices over their mean sides."""
    sides = [(n, m) for m, n in pairwise(network.widths)]
    most = 0.4 * sum(n * m for n, m in sides) / sum((n + m) / 2 for n, m in sides)
    for columns in {1, math.floor(most), math.floor(most) + 1, 1000} - {0}:
        engine = "matrix-free" if columns <= max(most, 1) else "dense"
        assert Settings.checked(batch_size=columns).of(network).engine == engine


LAYERS = [
    Linear(30),
    Skip([Norm("layer"), Linear(120), "gelu", Linear(30)]),
    Gate([Linear(), "tanh"]),
    "relu",
    Attention(3),
    Linear(10),
]
SHAPES = [(30, 20), (120, 30), (30, 120), (30, 30), (30, 30), *4 * [(30, 30)], (10, 30)]


@pytest.mark.parametrize("tokens", [1, 2, 7])
def test_the_rule_of_auto_is_over_all_matrices_and_columns(tokens):
    network = Sequential(20, LAYERS, tokens=tokens)
    entries, sides = sum(n * m for n, m in SHAPES), sum((n + m) / 2 for n, m in SHAPES)
    for batch_size in range(1, 40):
        columns = batch_size * tokens
        engine = "matrix-free" if columns == 1 or columns * sides <= 0.4 * entries else "dense"
        assert Settings.checked(batch_size=batch_size).of(network).engine == engine
        assert Settings.checked(batch_size=batch_size).columns(network) == columns


def test_tangents_are_columns_of_the_rule():
    network = Sequential(20, LAYERS, tokens=2)
    assert PAIR.of(network).engine == PAIR.of(network, tangents=2).engine == "matrix-free"
    assert PAIR.of(network, tangents=3).engine == "dense"


@pytest.mark.parametrize(
    ("layers", "engine"),
    [
        ([Linear(), Linear(init="orthogonal")], "matrix-free"),
        ([Linear(), Linear(init="he_uniform")], "dense"),
        ([Linear(init="orthogonal"), Gate(["relu"], init="he_uniform")], "dense"),
        (["tanh", Dropout(0.1)], "matrix-free"),
        ([Linear()], "dense"),
    ],
)
def test_the_rule_of_auto_for_mixed_matrices(layers, engine):
    assert Settings.checked(batch_size=1000).of(Sequential(8, layers)).engine == engine


def test_the_largest_batch_of_sequences():
    network = Sequential(5, [Skip([Linear(1001), "relu", Linear(5)])], tokens=3)
    most = (2**32 - 1) // (1004 * 3)
    assert Settings.checked(batch_size=most).of(network).engine == "dense"
    message = f"batch_size must be below {most + 1} at width 1001 and 3 tokens, .* got {most + 1}"
    with pytest.raises(ValueError, match=message):
        Settings.checked(batch_size=most + 1).of(network)


def test_batch_normalisation_of_tokens():
    layers = [Skip([Linear(), Norm("batch")])]
    assert ONE.of(Sequential(4, layers, tokens=2)).batch_size == 1
    with pytest.raises(ValueError, match="batch_size must be at least 2 with norm 'batch'"):
        ONE.of(Sequential(4, layers))


def test_a_batch_draws_sequences(rng):
    network = Sequential(3, [Linear(), "relu"], tokens=4)
    data = rng.normal(size=(5, 4, 3))
    settings = Settings.checked(inputs=data, batch_size=5).of(network)
    assert (settings.data.shape, settings.data.rows) == ((5, 4, 3), 5)
    assert settings.inputs == settings.identity["inputs"] == settings.data.digest
    with pytest.raises(ValueError, match=r"at least batch_size = 6 sequences.*shape \(5, 4, 3\)"):
        Settings.checked(inputs=data, batch_size=6).of(network)


@pytest.mark.parametrize("shape", [(20, 3), (5, 2, 3), (5, 4, 4), (5, 3, 4), (5, 1, 3)])
def test_sequences_of_another_shape(shape):
    network = Sequential(3, ["relu"], tokens=4)
    message = r"of shape \(N, tokens, n_0\) with tokens = 4 and n_0 = 3, got shape"
    with pytest.raises(ValueError, match=message) as caught:
        Settings.checked(inputs=np.ones(shape)).of(network)
    assert caught.value.argument == "inputs"


@pytest.mark.parametrize("network", [MLP(2, 3), RNN(2, 3), Sequential(3, ["relu"])])
def test_rows_for_networks_without_tokens(network):
    message = r"of shape \(N, n_0\) with n_0 = 3, got shape \(5, 4, 3\)"
    with pytest.raises(ValueError, match=message):
        Settings.checked(inputs=np.ones((5, 4, 3))).of(network)
    one = Settings.checked(inputs=np.ones((5, 1, 3)), batch_size=5).of(network)
    assert one.inputs == Settings.checked(inputs=np.ones((5, 3))).inputs


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
        (
            {"engine": "fast"},
            ValueError,
            ["engine", "'fast'", "'auto', 'scalar', 'matrix-free', 'dense'"],
        ),
        (
            {"network": UNIFORM, "engine": "matrix-free"},
            ValueError,
            ["'matrix-free' needs Gaussian or orthogonal", "'he_uniform'", "use 'dense'"],
        ),
        (
            {"network": RNN(4, 100), "engine": "matrix-free"},
            ValueError,
            ["'matrix-free'", "all steps of a recurrent network", "use 'dense' or 'auto'"],
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


@pytest.mark.parametrize(
    ("network", "choice", "words"),
    [
        (NORMAL, {}, "needs activation 'linear', 'relu' or 'leaky_relu', got 'tanh'"),
        (RELU, {"batch_size": 3}, "needs a single input, .*, got 3 columns"),
        (Sequential(3, [Linear(), "relu"], tokens=4), {}, "got 4 columns"),
        (RELU, {"loss": "cross_entropy"}, "needs loss 'linear' or 'mse', got 'cross_entropy'"),
        (MLP(4, 9, activation="relu", clip=ClipValue(1.0)), {}, "clipped by norm"),
        (MLP(4, 9, activation="relu", init="he_uniform"), {}, "Gaussian weights, got uniform"),
        (MLP(4, 9, activation="relu", init="orthogonal"), {}, "got orthogonal ones"),
        (MLP(4, 9, activation="relu", init="torch_default"), {}, "Gaussian weights, got uniform"),
        (MLP(4, 9, activation="relu", norm="rms"), {}, "got a normalisation"),
        (MLP(4, 9, activation="relu", residual=Residual()), {}, "got a skip connection"),
        (MLP(4, 9, activation="relu", highway=Highway()), {}, "got a skip connection"),
        (Sequential(9, [Linear(), Dropout(0.5), "relu"]), {}, "got dropout"),
        (Sequential(9, [Linear(), Linear()]), {}, "layers of one matrix and φ"),
        (Sequential(9, [Linear(), Linear(), "relu"]), {}, "layers of one matrix and φ"),
        (Sequential(9, [Linear(), "relu", Linear(), "linear"]), {}, "one activation"),
        (RNN(4, 9, activation="relu"), {}, "all steps of a recurrent network share theirs"),
    ],
)
def test_the_scalar_engine_says_where_it_does_not_apply(network, choice, words):
    choice = {"engine": "scalar"} | choice
    with pytest.raises(ValueError, match=f"engine 'scalar' .*{words}.*; use 'auto'"):
        Settings.checked(**choice).of(network)
    assert Settings.checked(**(choice | {"engine": "auto"})).of(network).engine != "scalar"


def test_tangents_never_take_the_scalar_engine():
    assert ONE.of(RELU, tangents=1).engine == "matrix-free"
    with pytest.raises(ValueError, match="engine 'scalar' .* need tangents; use 'auto'"):
        Settings.checked(engine="scalar").of(RELU, tangents=1)


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
    assert checked_record(RECORDS, kind(4, 8, clip=clip), PAIR) == frozenset(RECORDS)
    with pytest.raises(ValueError, match="record 'clipped' needs a network with gradient"):
        checked_record(["gradient", "clipped"], kind(4, 8), ONE)
    assert checked_record((), kind(4, 8), ONE) == frozenset()


@pytest.mark.parametrize("name", CORRELATIONS)
def test_correlations_need_two_columns(name):
    assert checked_record([name], NORMAL, PAIR) == {name}
    with pytest.raises(ValueError, match=f"record '{name}' is over pairs of columns") as caught:
        checked_record(["gradient", name], NORMAL, ONE)
    assert caught.value.argument == "record"
    sequences = Sequential(3, ["relu"], tokens=2)
    assert checked_record([name], sequences, ONE) == {name}
    with pytest.raises(ValueError, match=f"record '{name}' is over pairs of columns"):
        simulate(NORMAL, 1, record=[name])


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
        checked_record(record, NORMAL, ONE)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("inputs", np.ma.masked_array(np.ones((2, 2)), np.eye(2) > 0), "got a masked array"),
        ("inputs", [np.ma.masked_array([1.0, 2.0], [True, False])], "got a masked array"),
        ("inputs", np.array([[np.longdouble("1e4000"), 1.0]]), "within the range of float64"),
        (
            "inputs",
            np.ones((2, 2), dtype="m8[s]"),
            "real numbers, of shape (N, n_0), with tokens (N, tokens, n_0), got ",
        ),
        (
            "inputs",
            bytearray(b"ab"),
            "real numbers, of shape (N, n_0), with tokens (N, tokens, n_0), got bytearray",
        ),
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
        checked_record(record, MLP(4, 8), ONE)


def test_a_record_may_be_an_array_of_names():
    assert checked_record(np.array(["gradient"]), MLP(4, 8), ONE) == {"gradient"}
