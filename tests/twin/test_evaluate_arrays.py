"""evaluate's arrays and its arguments of other libraries, and its time beside plain NumPy."""

import math
import subprocess
import sys
from collections import Counter, OrderedDict

import numpy as np
import pytest

import vgsim
from vgsim._twin import scaled as scaled_arrays
from vgsim._twin.scaled import Scaled, joined, product_norm, scaled

NETWORKS = {
    "mlp": vgsim.MLP(5, [4, 6, 3, 5, 5, 2], activation="gelu", bias_std=0.2),
    "clipped": vgsim.MLP(6, 5, clip=vgsim.ClipValue(0.3)),
    "normalised": vgsim.MLP(4, 6, norm="batch", activation="relu"),
    "rnn": vgsim.RNN(7, 4, bias_std=0.1),
    "gru": vgsim.GRU(5, 4, bias_std=0.1),
    "composed": vgsim.Sequential(
        4,
        [
            vgsim.Linear(6, bias_std=0.1),
            "tanh",
            vgsim.Skip([vgsim.Norm("layer"), vgsim.Attention(2, causal=True)]),
            vgsim.Dropout(0.2),
        ],
        tokens=3,
    ),
}


def arguments_of(network, seed=3):
    sample = vgsim.replay(network, seed, batch_size=3, engine="dense", dtype="float64")
    return sample.parameters, sample.inputs, sample.output_gradient


def log10_norm(values, exponent):
    with np.errstate(divide="ignore"):
        return np.log10(np.linalg.norm(values)) + float(exponent) * math.log10(2)


# Arrays


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
def test_the_arrays_have_the_recorded_norms_and_cosines(network):
    layers = range(network.depth, -1, -1)
    result = vgsim.evaluate(network, *arguments_of(network), layers=layers, return_arrays=True)
    for i, l in enumerate(layers):
        G, X = result.gradients[i], result.activations[i]
        assert G.shape == X.shape == (network.width_at(l), 3 * network.tokens)
        assert G.dtype == X.dtype == np.float64
        assert log10_norm(G, 0) == pytest.approx(result.gradient[i], abs=1e-13)
        rms = log10_norm(X, 0) - 0.5 * math.log10(X.size)
        assert rms == pytest.approx(result.activation[i], abs=1e-13)
        for columns, cosine in (
            (X, result.activation_correlation[i]),
            (G, result.gradient_correlation[i]),
        ):
            unit = columns[:, columns.any(axis=0)]
            unit = unit / np.linalg.norm(unit, axis=0)
            k = unit.shape[1]
            pairs = [unit[:, a] @ unit[:, b] for a in range(k) for b in range(a)]
            assert cosine == pytest.approx(np.mean(pairs) if pairs else 0.0, abs=1e-13)
    assert not result.gradient_exponents.any()
    assert not result.activation_exponents.any()


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
def test_the_gradients_are_those_of_autograd(network):
    torch = pytest.importorskip("torch")
    sample = vgsim.replay(network, 5, batch_size=3, engine="dense", dtype="float64")
    module = sample.to_torch()
    output = module(torch.tensor(sample.inputs.T, requires_grad=True))
    G_D = torch.tensor(sample.output_gradient.T)
    expected = torch.autograd.grad(output, module.states, G_D)
    found = sample.gradients()
    assert len(found) == len(expected) == network.depth + 1
    for G, exact in zip(found, expected, strict=True):
        np.testing.assert_allclose(G, exact.numpy().T, rtol=1e-11, atol=1e-14)
    some = sample.gradients([2, 0])
    np.testing.assert_array_equal(some[0], found[2])
    np.testing.assert_array_equal(some[1], found[0])


def test_the_gradients_of_an_lstm_are_by_state_and_cell():
    torch = pytest.importorskip("torch")
    net = vgsim.LSTM(6, 4, bias_std=0.1, clip=vgsim.ClipNorm(2.0))
    sample = vgsim.replay(net, 2, batch_size=3, dtype="float64")
    module = sample.to_torch()
    output = module(torch.tensor(sample.inputs.T, requires_grad=True))
    G_D = torch.tensor(sample.output_gradient.T)
    both = [*module.states, *module.states.cells]
    expected = torch.autograd.grad(output, both, G_D, materialize_grads=True)
    found = sample.gradients()
    for G, by_h, by_c in zip(found, expected[:7], expected[7:], strict=True):
        exact = np.concatenate([by_h.numpy().T, by_c.numpy().T])
        np.testing.assert_allclose(G, exact, rtol=1e-11, atol=1e-14)


def test_arrays_beyond_float64_have_exponents():
    depth, n = 60, 3
    net = vgsim.MLP(depth, n, activation="linear")
    W = [2.0**-60 * np.eye(n)[[1, 2, 0]]] * depth
    x, g = np.array([[1.0], [2.0], [-3.0]]), np.array([[1.0], [0.5], [0.25]])
    result = vgsim.evaluate(net, W, None, x, g, return_arrays=True)
    for l in range(depth + 1):
        power = -60 * (depth - l)
        e = result.gradient_exponents[l]
        assert e == (0 if power + 1 >= -900 else power + 1)
        np.testing.assert_array_equal(
            np.sort(result.gradients[l], axis=0), np.ldexp(np.sort(g, axis=0), power - e)
        )
        power = -60 * l
        e = result.activation_exponents[l]
        assert e == (0 if power + 2 >= -900 else power + 2)
        np.testing.assert_array_equal(
            np.sort(result.activations[l], axis=0), np.ldexp(np.sort(x, axis=0), power - e)
        )


def test_columns_of_different_scales_share_the_exponent_of_the_largest():
    net = vgsim.MLP(1, 2, activation="linear")
    g = np.array([[2.0**1000, 2.0**-70], [0.0, 0.0]])
    result = vgsim.evaluate(net, [np.eye(2)], None, np.ones((2, 2)), g, return_arrays=True)
    assert result.gradient_exponents.tolist() == [1001, 1001]
    np.testing.assert_array_equal(result.gradients[0], [[0.5, 2.0**-1071], [0.0, 0.0]])


def test_dead_gradients_are_zeros():
    net = vgsim.MLP(2, 2, activation="relu")
    result = vgsim.evaluate(
        net, [-np.eye(2), np.eye(2)], None, [1.0, 1.0], [1.0, 1.0], return_arrays=True
    )
    assert result.dead
    assert not result.gradients[0].any()
    assert result.gradient_exponents.tolist() == [0, 0, 0]


def test_the_arrays_are_copies():
    net = vgsim.MLP(1, 2, activation="linear")
    x, g = np.ones((2, 1)), np.ones((2, 1))
    result = vgsim.evaluate(net, [np.eye(2)], None, x, g, return_arrays=True)
    for array in (*result.gradients, *result.activations):
        array[:] = 7.0
    assert (x == 1).all()
    assert (g == 1).all()


@pytest.mark.parametrize(
    "name", ["gradients", "gradient_exponents", "activations", "activation_exponents"]
)
def test_arrays_must_be_asked_for(name):
    result = vgsim.evaluate(vgsim.MLP(1, 1), [[[1.0]]], None, [1.0], [1.0])
    with pytest.raises(AttributeError, match=rf"^{name} .*return_arrays=True"):
        getattr(result, name)


def test_a_replay_refuses_gradients_beyond_float64():
    sample = vgsim.replay(vgsim.MLP(400, 8, init="glorot_normal", gain=0.1), 1)
    with pytest.raises(OverflowError, match=r"layer 0 is about 2\^-.*return_arrays=True"):
        sample.gradients()
    assert sample.gradients([399])[0].shape == (8, 1)
    with pytest.raises(ValueError, match=r"layers\[0\] must be an int from 0 to depth = 400"):
        sample.gradients([401])


# Tensors


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16"])
@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
def test_tensors_are_arrays(network, dtype):
    torch = pytest.importorskip("torch")
    parameters, *columns = arguments_of(network)

    def tensor(a):
        return torch.tensor(a, dtype=getattr(torch, dtype), requires_grad=True)

    tensors = OrderedDict((name, tensor(a)) for name, a in parameters.items())
    rounded = {name: t.detach().double().numpy() for name, t in tensors.items()}
    given = [tensor(a) for a in columns]
    result = vgsim.evaluate(network, tensors, *given)
    expected = vgsim.evaluate(network, rounded, *(t.detach().double().numpy() for t in given))
    for name in ("gradient", "weight_gradient", "activation", "saturation"):
        np.testing.assert_array_equal(getattr(result, name), getattr(expected, name))


def test_separate_arguments_may_be_tensors():
    torch = pytest.importorskip("torch")
    rnn = vgsim.RNN(4, 3, bias_std=0.1)
    one = vgsim.replay(rnn, 2)
    as_arrays = one.weights, one.biases, one.inputs, one.output_gradient
    drive = {"input_weights": one.input_weights, "drive": one.drive}
    W, b, x, g = (
        [torch.nn.Parameter(torch.tensor(W)) for W in one.weights],
        one.biases,
        *as_arrays[2:],
    )
    result = vgsim.evaluate(
        rnn,
        torch.stack(W),
        [torch.tensor(b[0])],
        torch.tensor(x[:, 0]),
        list(torch.tensor(g[:, 0])),
        **{name: torch.tensor(a) for name, a in drive.items()},
    )
    expected = vgsim.evaluate(rnn, *as_arrays, **drive)
    np.testing.assert_array_equal(result.gradient, expected.gradient)


def test_the_state_of_a_module_holds_the_parameters():
    pytest.importorskip("torch")
    sample = vgsim.replay(NETWORKS["composed"], 1, batch_size=2)
    columns = sample.inputs, sample.output_gradient
    result = vgsim.evaluate(sample.network, sample.to_torch().state_dict(), *columns)
    expected = vgsim.evaluate(sample.network, sample.parameters, *columns)
    np.testing.assert_array_equal(result.gradient, expected.gradient)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_jax_arrays_are_arrays(dtype):
    jnp = pytest.importorskip("jax.numpy")
    net = NETWORKS["mlp"]
    parameters, x, g = arguments_of(net)
    given = {name: jnp.asarray(a, dtype) for name, a in parameters.items()}
    rounded = {name: np.asarray(a).astype(np.float64) for name, a in given.items()}
    result = vgsim.evaluate(net, given, x, g)
    np.testing.assert_array_equal(result.gradient, vgsim.evaluate(net, rounded, x, g).gradient)


def test_simulate_takes_tensors_as_data():
    torch = pytest.importorskip("torch")
    net, rows = vgsim.MLP(3, 4), np.random.default_rng(2).normal(size=(10, 4))
    expected = vgsim.simulate(net, 5, inputs=rows)
    given = vgsim.simulate(net, 5, inputs=torch.tensor(rows, requires_grad=True))
    np.testing.assert_array_equal(given.gradient, expected.gradient)
    assert given.provenance == expected.provenance


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("complex", "an array of real numbers, got"),
        ("bool", "an array of real numbers, got"),
        ("sparse", "got a sparse tensor"),
        ("meta", "got a meta tensor"),
        ("nan", "must be finite"),
        ("shape", r"must have shape .* got \(4,\)"),
    ],
)
def test_other_tensors_are_refused(kind, message):
    torch = pytest.importorskip("torch")
    tensor = {
        "complex": lambda: torch.ones(2) * 1j,
        "bool": lambda: torch.ones(2) > 0,
        "sparse": lambda: torch.ones(2).to_sparse(),
        "meta": lambda: torch.ones(2, device="meta"),
        "nan": lambda: torch.ones(2) * math.nan,
        "shape": lambda: torch.ones(4, requires_grad=True),
    }[kind]()
    error = ValueError if kind in ("nan", "shape") else TypeError
    with pytest.raises(error, match=f"^inputs .*{message}"):
        vgsim.evaluate(vgsim.MLP(1, 2), [np.eye(2)], None, tensor, [1.0, 1.0])


def test_arrays_do_not_import_torch():
    code = (
        "import sys, vgsim; "
        "vgsim.evaluate(vgsim.MLP(1, 1), [[[1.0]]], None, [1.0], [1.0], return_arrays=True); "
        "print('torch' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"


# Shared exponents and work


def test_columns_share_an_exponent_until_their_norms_are_far_apart():
    near = scaled(np.array([[1.0, 2.0**-60]]))
    far = scaled(np.array([[1.0, 2.0**-70]]))
    assert type(near.exponent) is int
    assert far.exponent.tolist() == [1, -69]
    again = far * Scaled(np.array([[1.0, 1.0]]), np.array([0, 70]))
    assert type(again.exponent) is int
    assert scaled(np.array([[1.0, 0.0]])).exponent[1] < -(2**29)


@pytest.mark.parametrize("columns", [1, 3, 40])
@pytest.mark.parametrize("large", [2**2, 2**12])
def test_the_norm_of_a_product_is_that_of_the_matrix(columns, large, rng, monkeypatch):
    monkeypatch.setattr(scaled_arrays, "LARGE", large)
    a, b = rng.normal(size=(30, columns)), rng.normal(size=(20, columns))
    exponents = rng.integers(-300, 300, size=columns)
    for e in (np.zeros(columns, dtype=int), exponents):
        parts = [
            (scaled(np.ldexp(a[:, [i]], e[i])), scaled(np.ldexp(b[:, [i]], -e[i])))
            for i in range(columns)
        ]
        left, right = (joined(side) for side in zip(*parts, strict=True))
        expected = math.log10(np.linalg.norm(a @ b.T))
        assert product_norm(left, right) == pytest.approx(expected, abs=1e-13)


def test_cancelling_terms_leave_a_rounding_error(rng):
    a, b = rng.normal(size=(4, 1)), rng.normal(size=(3, 1))
    left, right = scaled(np.hstack([a, -a])), scaled(np.hstack([b, b]))
    assert -18 < product_norm(left, right) < -14
    assert product_norm(scaled(np.zeros((4, 2))), right) == -math.inf


@pytest.mark.parametrize("columns", [1, 4])
def test_an_ordinary_network_is_evaluated_in_plain_numbers(columns, rng, monkeypatch):
    """The expensive steps for extremes are not taken: exponents by column, tails, logarithms."""
    calls = Counter()

    def counted(name):
        function = getattr(scaled_arrays, name)

        def count(*arguments, **settings):
            calls[name] += 1
            return function(*arguments, **settings)

        return count

    for name in ("normalised", "_by_logarithms", "chosen"):
        monkeypatch.setattr(scaled_arrays, name, counted(name))
    net = vgsim.MLP(20, 16, activation="silu")
    W = [rng.normal(0, 0.5, (16, 16)) for _ in range(20)]
    vgsim.evaluate(net, W, None, rng.normal(size=(16, columns)), rng.normal(size=(16, columns)))
    assert not calls
    vgsim.evaluate(net, W, None, np.zeros((16, columns)), np.ones((16, columns)))
    assert calls["normalised"]
