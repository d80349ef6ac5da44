"""Depths, gains and arguments at which a training fails, or does nothing."""

import math
import re
import subprocess
import sys

import numpy as np
import pytest
from scipy import stats

import vgsim
from vgsim import MLP, Linear, Norm, Sequential

jax = pytest.importorskip("jax")
optax = pytest.importorskip("optax")

from vgsim._training.minibatches import distinct_rows  # noqa: E402

MEASURED = ("gradient", "activation", "weight_gradient", "update_ratio", "movement")
LOGARITHMS = (*MEASURED, "output_gradient", "log10_ratio")
rng = np.random.default_rng(4)
X, Y = rng.normal(size=(60, 6)), rng.integers(0, 6, 60)
NET = MLP(3, 6)
SGD = {"optimizer": "sgd", "learning_rate": 0.1, "batch_size": 8}


def nowhere_nan(trained):
    """Assert that no recorded array has NaN, nor loss or accuracy a value out of range."""
    for name in ("loss", *LOGARITHMS):
        assert not np.isnan(getattr(trained, name)).any(), name
    assert (trained.loss >= 0).all()
    return True


def test_sigmoid_stack_in_float32():
    """‖G_0‖ underflows in float32, but R at step 0 is that of evaluate, in double precision."""
    net = Sequential(16, [[Linear(gain=0.02), "sigmoid"]] * 30 + [Linear(4)])
    data = rng.normal(size=(40, 16)), rng.integers(0, 4, 40)
    parameters = vgsim.replay(net, 2).parameters
    trained = vgsim.train(
        net,
        2,
        data=data,
        steps=2,
        **SGD | {"batch_size": 40},
        initial=parameters,
        layers=[0, 15, 29],
        record=MEASURED,
    )
    assert np.isfinite(trained.log10_ratio[:, 0]).all()
    assert np.isfinite(trained.weight_gradient[:, 0]).all()
    assert (trained.log10_ratio[:, 0, 0] < -50).all()
    outputs = vgsim.evaluate(net, parameters, data[0].T, np.ones((4, 40)), return_arrays=True)
    logits = outputs.activations[-1]
    p = np.exp(logits - logits.max(axis=0))
    G = (p / p.sum(axis=0) - np.eye(4)[data[1]].T) / 40
    expected = vgsim.evaluate(net, parameters, data[0].T, G, layers=[0, 15, 29])
    for sample in range(2):  # the whole data are every minibatch
        np.testing.assert_allclose(trained.log10_ratio[sample, 0], expected.log10_ratio, atol=1e-3)
        np.testing.assert_allclose(trained.gradient[sample, 0], expected.gradient, atol=1e-3)
    assert nowhere_nan(trained)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_relu_that_explodes(optimizer):
    net = MLP(10, 12, activation="relu", init="he_normal", gain=3e4)  # gain^10 > 2^128
    trained = vgsim.train(
        net,
        6,
        data=(rng.normal(size=(60, 12)), rng.normal(size=(60, 12))),
        loss="mse",
        steps=3,
        **SGD | {"optimizer": optimizer},
        record=(*MEASURED, "parameters"),
    )
    assert nowhere_nan(trained)
    diverged = np.isinf(trained.loss)
    assert diverged.any(axis=1).mean() > 0.5
    assert (np.diff(diverged.astype(int), axis=1) >= 0).all()
    for name in LOGARITHMS:
        values = getattr(trained, name)
        assert (values[diverged] == math.inf).all(), name
    assert trained.probability("diverged").estimate >= diverged[:, -1].mean()


def test_dead_network():
    """No gradient, no step: −inf, and no NaN."""
    parameters = vgsim.replay(MLP(4, 6, activation="relu"), 1).parameters
    parameters = {name: -abs(W) for name, W in parameters.items()}
    trained = vgsim.train(
        MLP(4, 6, activation="relu"),
        2,
        data=(abs(X), Y),
        steps=3,
        initial=parameters,
        **SGD,
        biases=False,
        record=MEASURED,
    )
    assert nowhere_nan(trained)
    assert (trained.weight_gradient == -math.inf).all()
    assert (trained.update_ratio == -math.inf).all()
    assert (trained.movement == -math.inf).all()
    assert (trained.log10_ratio[:, :, 0] == -math.inf).all()
    np.testing.assert_allclose(trained.loss, math.log(6), rtol=1e-6)


def test_learning_rate_0():
    trained = vgsim.train(
        NET,
        3,
        data=(X, Y),
        steps=6,
        **SGD | {"learning_rate": 0.0},
        every=1,
        record=(*MEASURED, "parameters"),
    )
    assert (trained.movement == -math.inf).all()
    assert (trained.update_ratio == -math.inf).all()
    assert np.isfinite(trained.weight_gradient).all()
    assert (np.diff(trained.loss, axis=1) != 0).all()  # other minibatches
    whole = vgsim.train(
        NET, 3, data=(X[:8], Y[:8]), steps=6, **SGD | {"learning_rate": 0.0}, every=1
    )
    np.testing.assert_allclose(whole.loss, whole.loss[:, :1] * np.ones(6), rtol=1e-5)


def test_one_sample_one_step_one_row():
    trained = vgsim.train(NET, 1, data=(X[:1], Y[:1]), steps=1, **SGD | {"batch_size": 1})
    assert trained.loss.shape == (1, 1)
    assert trained.steps.tolist() == [0]
    assert np.isfinite(trained.loss).all()


def test_batch_norm_of_equal_rows():
    """The standard deviation is 0: ε alone is left."""
    net = Sequential(6, [Linear(), Norm("batch"), "tanh"] * 3 + [Linear()])
    trained = vgsim.train(net, 2, data=(np.ones((20, 6)), Y[:20]), steps=3, **SGD, record=MEASURED)
    assert nowhere_nan(trained)


def test_huge_inputs():
    for scale in (1e30, 1e-30):
        net = MLP(4, 6, activation="relu")
        trained = vgsim.train(net, 2, data=(X * scale, Y), steps=3, **SGD, record=MEASURED)
        assert nowhere_nan(trained)


@pytest.mark.parametrize(
    ("changed", "argument", "words"),
    [
        ({"batch_size": 61}, "batch_size", "60 rows"),
        ({"batch_size": 0}, "batch_size", "got 0"),
        ({"data": (X, Y + 1)}, "data", "from 0 to 5"),
        ({"data": (X, Y - 1)}, "data", "got -1"),
        ({"data": (X[:, :5], Y)}, "data", "n_0"),
        ({"data": (X, Y[:-1])}, "data", "59"),
        ({"data": (np.where(X > 2, np.nan, X), Y)}, "data", "finite"),
        ({"data": (np.where(X > 2, np.inf, X), Y)}, "data", "finite"),
        ({"data": (X, np.full((60, 6), np.nan)), "loss": "mse"}, "data", "finite"),
        ({"data": (X, X[:, :4]), "loss": "mse"}, "data", "(60, 6)"),
        ({"data": (X[:0], Y[:0])}, "data", "N >= 1"),
        ({"data": "pupil"}, "data", "teacher"),
        ({"steps": 0}, "steps", "got 0"),
        ({"learning_rate": -0.1}, "learning_rate", "-0.1"),
        ({"learning_rate": math.nan}, "learning_rate", "nan"),
        ({"every": 0}, "every", "got 0"),
        ({"layers": [4]}, "layers", "4"),
        ({"loss": "linear"}, "loss", "cross_entropy"),
        ({"record": ("accuracy",), "loss": "mse", "data": (X, X)}, "record", "accuracy"),
        ({"record": ("speed",)}, "record", "speed"),
        ({"initial": {"0.weight": np.zeros((6, 5))}}, "initial", "(6, 6)"),
        ({"initial": {"7.weight": np.zeros((6, 6))}}, "initial", "7.weight"),
        ({"initial": {"0.weight": np.full((6, 6), np.nan)}}, "initial", "finite"),
        ({"data": (X * 1e300, Y)}, "data[0]", "'float32'"),
        ({"data": (3.0, 4)}, "data[0]", "N >= 1"),
        ({"data": (X, [[1], [2, 3]])}, "data[1]", "different lengths"),
        ({"learning_rate": 1e300}, "learning_rate", "'float32'"),
        ({"initial": {"0.weight": np.full((6, 6), 1e300)}}, "initial", "'float32'"),
        ({"optimizer": optax.lbfgs(), "learning_rate": None}, "optimizer", "gradient alone"),
        (
            {"optimizer": optax.masked(optax.sgd(0.1), {"0": True}), "learning_rate": None},
            "optimizer",
            "gradient alone",
        ),
    ],
)
def test_wrong_values(changed, argument, words):
    arguments = {"data": (X, Y), "steps": 2, **SGD, **changed}
    with pytest.raises(ValueError, match=re.escape(argument)) as caught:
        vgsim.train(NET, 1, **arguments)
    assert caught.value.argument.startswith(argument)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("changed", "argument"),
    [
        ({"data": (X, Y + 0.5)}, "data"),
        ({"data": X}, "data"),
        ({"data": b"ab"}, "data"),
        ({"data": (X, np.ma.masked_array(Y, Y > 2))}, "got a masked array"),
        ({"initial": {0: 1.0, "0.weight": 1.0}}, "initial"),
        ({"learning_rate": None}, "learning_rate"),
        ({"optimizer": 3}, "optimizer"),
        ({"clip": 1.0}, "clip"),
        ({"initial": 3}, "initial"),
    ],
)
def test_wrong_types(changed, argument):
    arguments = {"data": (X, Y), "steps": 2, **SGD, **changed}
    with pytest.raises(TypeError, match=argument):
        vgsim.train(NET, 1, **arguments)


def test_integer_targets_are_numbers():
    """With "mse", targets of any integer type are what they are as floats."""
    net, arguments = MLP(2, [6, 4, 1]), {"steps": 3, "loss": "mse", **SGD}
    expected = vgsim.train(net, 1, data=(X, Y.astype(float)[:, None]), **arguments)
    for dtype in (np.int32, np.int64, np.uint8):
        for y in (Y.astype(dtype), Y.astype(dtype)[:, None]):
            found = vgsim.train(net, 1, data=(X, y), **arguments)
            np.testing.assert_array_equal(found.loss, expected.loss)


@pytest.mark.parametrize(
    ("net", "n", "more"),
    [
        (MLP(100, 50_000), 1, {"batch_size": 1}),
        (MLP(1, [10**6, 1]), 1, {}),  # the teacher
        (MLP(3, 6), 10**12, {}),
        (MLP(2000, 6), 10**6, {"record": MEASURED, "steps": 10**4, "every": 1}),
    ],
)
def test_memory_is_estimated_before_it_is_taken(net, n, more):
    data = "teacher"
    with pytest.raises(MemoryError, match="GiB|TiB|GB|TB"):
        vgsim.train(net, n, data=data, loss="mse", **{"steps": 2, **SGD, **more})


def test_steps_are_not_listed_before_memory_is_estimated():
    with pytest.raises(MemoryError, match="recorded steps"):
        vgsim.train(NET, 1, data=(X, Y), **SGD, steps=2**31 - 1, every=1)


def test_all_networks_are_checked_before_the_store_is_made(tmp_path):
    """`initial` fits the first network only."""
    initial = {"2.weight": np.zeros((6, 6))}
    networks = [NET, MLP(2, 6)]
    with pytest.raises(ValueError, match=r"initial must hold nothing else"):
        vgsim.train(
            networks,
            1,
            data=(X, Y),
            **SGD,
            steps=2,
            initial=initial,
            store=tmp_path / "a.sqlite",
        )
    assert not list(tmp_path.iterdir())


def test_one_class_is_never_learned():
    """The baseline is 0, and so is the level."""
    trained = vgsim.train(NET, 2, data=(X, np.zeros_like(Y)), **SGD, steps=2)
    assert trained.baseline == 0
    assert trained.probability("learned").estimate == 0
    assert trained.time_to_loss().censored.all()
    assert "learned" in str(trained.summary())


def test_a_sample_does_not_depend_on_its_stack():
    net = Sequential(6, [Linear(8), "tanh", vgsim.Dropout(0.2)] * 3 + [Linear(6)])
    arguments = {"data": (X, Y), "steps": 10, **SGD, "seed": 3, "dtype": "float64"}
    record = ("gradient", "movement", "parameters")
    many = vgsim.train(net, 5, **arguments, record=record)
    for first, count in ((0, 1), (2, 3)):
        few = vgsim.train(net, count, first=first, **arguments, record=record)
        chosen = slice(first, first + count)
        for name in ("loss", "gradient", "movement"):
            np.testing.assert_allclose(
                getattr(few, name), getattr(many, name)[chosen], rtol=1e-9, atol=1e-12
            )
        for name, array in few.parameters.items():
            np.testing.assert_allclose(array, many.parameters[name][chosen], rtol=1e-8, atol=1e-12)
    assert len(np.unique(many.loss[:, 0])) == 5


@pytest.mark.parametrize("missing", ["jax", "optax"])
def test_one_sentence_without_the_libraries(missing):
    code = (
        f"import sys; sys.modules[{missing!r}] = None\n"
        "import vgsim\n"
        "try:\n"
        "    vgsim.train(vgsim.MLP(2, 3), 1, data='teacher', loss='mse', steps=1,\n"
        "                optimizer='sgd', learning_rate=0.1)\n"
        "except ImportError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=200)
    assert (
        done.stdout.strip() == "train needs the packages jax and optax: pip install 'vgsim[train]'"
    )
    assert done.stderr == ""


@pytest.mark.parametrize(("rows", "count"), [(5, 5), (7, 5), (9, 4), (40, 3), (12, 1), (900, 300)])
def test_minibatches_are_distinct_and_every_choice_is_as_likely(rows, count):
    n = 20_000 if rows < 100 else 500
    keys = jax.random.split(jax.random.key(5), n)
    drawn = np.asarray(jax.jit(jax.vmap(lambda key: distinct_rows(key, rows, count)))(keys))
    assert drawn.shape == (n, count)
    ordered = np.sort(drawn, axis=1)
    assert (np.diff(ordered, axis=1) > 0).all()
    assert ordered.min() >= 0
    assert ordered.max() < rows
    for place in range(count) if rows < 100 else [slice(None)]:  # the rows at each place
        observed = np.bincount(drawn[:, place].ravel(), minlength=rows)
        assert stats.chisquare(observed).pvalue > 1e-5
    if math.comb(rows, count) < 500:  # the sets of rows
        _, observed = np.unique(ordered, axis=0, return_counts=True)
        assert len(observed) == math.comb(rows, count)
        if len(observed) > 1:
            assert stats.chisquare(observed).pvalue > 1e-5
    for one, other in ((0, 1), (0, count - 1)):  # pairs of places are independent, but not equal
        if count > 1 and rows < 100 and one != other:
            pairs = np.zeros((rows, rows))
            np.add.at(pairs, (drawn[:, one], drawn[:, other]), 1)
            apart = pairs[~np.eye(rows, dtype=bool)]
            assert stats.chisquare(apart).pvalue > 1e-5


def test_the_cost_of_a_minibatch_does_not_grow_with_the_rows():
    def entries(rows):
        """Return the largest array and the operations of the program that draws 32 rows."""
        traced = jax.make_jaxpr(lambda key: distinct_rows(key, rows, 32))(jax.random.key(0))
        seen = []
        _collect(traced.jaxpr, seen)
        return max(size for _, size in seen), {name for name, _ in seen}

    largest, operations = entries(10**9)
    assert largest <= 32 * 32
    assert not {"sort", "iota_sort", "top_k"} & operations
    assert entries(200)[0] == largest


def _collect(jaxpr, seen):
    """Append the name and the largest result of every operation, those inside others included."""
    for equation in jaxpr.eqns:
        sizes = [math.prod(v.aval.shape) for v in equation.outvars]
        seen.append((equation.primitive.name, max(sizes, default=0)))
        for value in equation.params.values():
            inner = getattr(value, "jaxpr", value)
            if hasattr(inner, "eqns"):
                _collect(inner, seen)
