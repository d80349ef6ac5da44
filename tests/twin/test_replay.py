"""Replayed weights: they have the products of the matrix-free engine, and i.i.d. entries."""

import math
import sys
from itertools import pairwise

import numpy as np
import pytest
from scipy import stats

import vgsim
from vgsim._engine.settings import network_key
from vgsim._networks.activation_table import ACTIVATIONS
from vgsim._twin.draws import Draws
from vgsim._twin.random import normals, words

MATRIX_FREE = {"engine": "matrix-free", "dtype": "float64"}
DENSE = {"engine": "dense", "dtype": "float64"}
WIDTHS = [6, 9, 5, 1, 8, 12, 7]


def draws(net, seed, index):
    key = network_key(net.canonical_json(), seed)
    return lambda stream, layer, n: normals(key, stream, layer, index, n, "float64")


def plain_matrix_free(net, seed, index):
    """The matrix-free engine in plain float64, layer by layer; biases are drawn by rotation."""
    draw, phi, n, sigma = draws(net, seed, index), net.activation, net.widths, net.bias_std
    x, layers = draw("input", 0, n[0]), []
    for l, s in enumerate(net.weight_stds, start=1):
        w = draw("forward", l, n[l])
        size = s * np.linalg.norm(x)
        tau = math.hypot(size, sigma)
        turn = (size / tau, sigma / tau) if tau else (1.0, 0.0)
        h = tau * w
        layers.append({"x": x, "w": w, "h": h, "turn": turn})
        x = phi.value(h)
    g = draw("cotangent", net.depth, n[-1])
    for l in range(net.depth, 0, -1):
        layer, s = layers[l - 1], net.weight_stds[l - 1]
        delta, w, (kappa, lambda_) = phi.derivative(layer["h"]) * g, layer["w"], layer["turn"]
        size, unit = normalised(layer["x"])
        length, direction = normalised(delta)
        along = w @ direction
        z_delta = kappa * along + lambda_ * draw("bias", l, 1)[0]
        z = draw("backward", l, n[l - 1])
        across = z - unit * (unit @ z)
        g = s * length * (unit * z_delta + across)
        square = w @ w
        if sigma:
            twin = Draws(network_key(net.canonical_json(), seed), index, "float64")
            second = normals(twin.key, "norm", l, index, 1, "float64", block=2**31)[0]
            beyond = (kappa * np.linalg.norm(w - along * direction) + lambda_ * second) ** 2
            beyond += lambda_**2 * twin.chi_square(l, n[l] - 2, 2**31 + 2)
            square = z_delta**2 + (beyond if n[l] > 1 else 0.0)
        layer |= {"delta": delta, "g": g, "across": across, "z_square": square}
    return layers


def normalised(a):
    """The norm of a, and the unit vector along it or 0."""
    size = np.linalg.norm(a)
    return size, a / size if size > 0 else a


def relative_error(a, b):
    return np.linalg.norm(a - b) / np.linalg.norm(b)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("bias_std", [0.0, 0.3])
def test_weights_reproduce_both_products_and_the_norm(activation, bias_std):
    net = vgsim.MLP(
        6, WIDTHS, activation=activation, init="lecun_normal", gain=1.4, bias_std=bias_std
    )
    compared = 0
    for index in range(5):
        layers = plain_matrix_free(net, 3, index)
        sample = vgsim.replay(net, 3, index, **MATRIX_FREE)
        draw = Draws(network_key(net.canonical_json(), 3), index, "float64")
        for l, (W, b, s, layer) in enumerate(
            zip(sample.weights, sample.biases, net.weight_stds, layers, strict=True), start=1
        ):
            if not (layer["x"].any() and layer["delta"].any()):
                continue
            compared += 1
            assert relative_error(W @ layer["x"] + b, layer["h"]) < 1e-12
            assert relative_error(W.T @ layer["delta"], layer["g"]) < 1e-12
            n, m = W.shape
            chi_square = draw.chi_square(l, (n - 1) * (m - 1))
            square = layer["z_square"] + layer["across"] @ layer["across"] + chi_square
            assert np.linalg.norm(W) == pytest.approx(s * math.sqrt(square), rel=1e-12)
    assert compared >= 10


@pytest.mark.parametrize("arguments", [MATRIX_FREE, DENSE], ids=["matrix-free", "dense"])
@pytest.mark.parametrize(
    "net",
    [
        vgsim.MLP(4, [6, 9, 5, 8, 7], init="lecun_normal", gain=1.5, bias_std=0.2),
        vgsim.MLP(5, 4, activation="relu", init="he_normal", bias_std=0.2),
        vgsim.MLP(6, 4, activation="relu", init="glorot_normal"),
    ],
    ids=["tanh", "relu with bias", "relu, often dead"],
)
def test_entries_are_independent_normals(net, arguments, seed):
    enough = math.ceil(32_000 / sum(n * m for n, m in pairwise(net.widths)))
    samples = [vgsim.replay(net, seed, index, **arguments).weights for index in range(enough)]
    entries, squares, corners = [], [], []
    for l, s in enumerate(net.weight_stds):
        W = np.array([weights[l] for weights in samples]) / s
        n, m = W.shape[1:]
        entries.append(W.ravel())
        squares.append(stats.chi2.cdf((W**2).sum((1, 2)), n * m))
        corners.append(W[:, 0, 0] * W[:, -1, -1])
        corners.append(W[:, 0, 0] * W[:, 0, -1])
        corners.append(W[:, 0, 0] * W[:, -1, 0])
    entries, squares, corners = map(np.concatenate, (entries, squares, corners))
    N = entries.size
    assert 5 * math.sqrt(2 / N) < 1.02**2 - 1, "too few entries to see 2 % in the scale"
    assert abs(entries.mean()) < 5 / math.sqrt(N)
    assert abs((entries**2).mean() - 1) < 5 * math.sqrt(2 / N)
    assert abs((entries**3).mean()) < 5 * math.sqrt(15 / N)
    assert abs((entries**4).mean() - 3) < 5 * math.sqrt(96 / N)
    assert abs(corners.mean()) < 5 / math.sqrt(corners.size)
    assert stats.kstest(entries, "norm").pvalue > 1e-6
    assert stats.kstest(squares, "uniform").pvalue > 1e-6


def test_dead_and_silent_layers_occur_in_the_test_above(seed):
    net = vgsim.MLP(6, 4, activation="relu", init="glorot_normal")
    samples = [vgsim.replay(net, seed, index, **MATRIX_FREE) for index in range(100)]
    results = [
        vgsim.evaluate(net, s.weights, s.biases, s.inputs, s.output_gradient) for s in samples
    ]
    assert 10 < sum(result.dead for result in results) < 90
    assert sum(np.isneginf(result.activation[:-1]).any() for result in results) > 10


@pytest.mark.parametrize("degrees", [1, 2, 3, 12, 1000])
def test_chi_square(degrees, seed):
    key = np.array([5, seed], dtype=np.uint32)
    values = [Draws(key, index, "float32").chi_square(7, degrees) for index in range(2000)]
    assert stats.kstest(values, "chi2", args=(degrees,)).pvalue > 1e-6
    assert np.mean(values) == pytest.approx(degrees, abs=5 * math.sqrt(2 * degrees / 2000))


def test_chi_square_of_no_degrees_is_zero():
    assert Draws(np.zeros(2, dtype=np.uint32), 0, "float32").chi_square(1, 0) == 0.0


@pytest.mark.parametrize(
    ("init", "law"),
    [
        ("lecun_uniform", stats.uniform(-math.sqrt(3), 2 * math.sqrt(3))),
        (vgsim.Initializer("uniform", limit=0.2), stats.uniform(-math.sqrt(3), 2 * math.sqrt(3))),
        ("torch_default", stats.uniform(-math.sqrt(3), 2 * math.sqrt(3))),
        ("truncated_normal", stats.truncnorm(-2, 2, scale=1 / stats.truncnorm(-2, 2).std())),
        ("he_normal", stats.norm),
    ],
    ids=["lecun_uniform", "uniform", "torch_default", "truncated_normal", "he_normal"],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_dense_weights_have_the_law_of_their_initialiser(init, law, dtype, seed):
    net = vgsim.MLP(3, [30, 41, 50, 23], init=init, gain=2.0)
    for index in range(5):
        sample = vgsim.replay(net, seed, index, engine="dense", dtype=dtype)
        for W, s in zip(sample.weights, net.weight_stds, strict=True):
            assert stats.kstest(W.ravel() / s, law.cdf).pvalue > 1e-6
            assert abs(np.var(W) / s**2 - 1) < 5 * math.sqrt(2 / W.size)


def test_dense_rows_start_with_a_new_block():
    net = vgsim.MLP(1, [6, 3], init=vgsim.Initializer("uniform", limit=1.0))
    W = vgsim.replay(net, 1, 2, dtype="float64").weights[0]
    stream = words(network_key(net.canonical_json(), 1), "forward", 1, 2, 24).view(np.int32)
    expected = [[(stream[8 * i + j] + 0.5) * 2.0**-31 for j in range(6)] for i in range(3)]
    np.testing.assert_allclose(W, expected, rtol=1e-15)


def test_biases(seed):
    normal = vgsim.MLP(3, 500, bias_std=0.3)
    for b in vgsim.replay(normal, seed, engine="matrix-free").biases:
        assert b.shape == (500,)
        assert stats.kstest(b / 0.3, "norm").pvalue > 1e-6
    uniform = vgsim.MLP(3, [16, 500, 500, 500], init="torch_default", gain=2.0)
    for b, m in zip(vgsim.replay(uniform, seed).biases, uniform.widths, strict=False):
        assert stats.kstest(b * math.sqrt(m), stats.uniform(-1, 2).cdf).pvalue > 1e-6
    assert not any(b.any() for b in vgsim.replay(vgsim.MLP(3, 5), 1).biases)


def test_engines_share_inputs_and_cotangents():
    net = vgsim.MLP(3, [4, 5, 6, 7], bias_std=0.5)
    free, dense = vgsim.replay(net, 1, 9, **MATRIX_FREE), vgsim.replay(net, 1, 9, **DENSE)
    np.testing.assert_array_equal(free.inputs, dense.inputs)
    np.testing.assert_array_equal(free.output_gradient, dense.output_gradient)
    assert free.inputs.shape == (4, 1)
    assert free.output_gradient.shape == (7, 1)


@pytest.mark.parametrize(
    ("clip", "batch_size"), [(None, 2), (vgsim.ClipValue(1.0), 1)], ids=["batch", "clipped"]
)
def test_engines_share_biases_that_are_not_drawn_by_rotation(clip, batch_size):
    net = vgsim.MLP(3, [4, 5, 6, 7], bias_std=0.5, clip=clip)
    both = (
        vgsim.replay(net, 1, 9, batch_size=batch_size, **engine).biases
        for engine in (MATRIX_FREE, DENSE)
    )
    for a, b in zip(*both, strict=True):
        np.testing.assert_array_equal(a, b)


def test_data_rows_are_drawn_uniformly(seed):
    data = np.arange(35.0).reshape(7, 5)
    net = vgsim.MLP(1, 5)
    rows = [int(vgsim.replay(net, seed, i, inputs=data).inputs[0, 0]) // 5 for i in range(1400)]
    counts = np.bincount(rows, minlength=7)
    assert stats.chisquare(counts).pvalue > 1e-6
    sample = vgsim.replay(net, seed, 3, inputs=data.astype(np.int32))
    np.testing.assert_array_equal(sample.inputs[:, 0], data[rows[3]])


def test_matrix_free_weights_do_not_depend_on_the_scale_at_any_depth(seed):
    deep = vgsim.MLP(1500, 8, activation="leaky_relu", init="he_normal", gain=3.0)
    sample = vgsim.replay(deep, seed, **MATRIX_FREE)
    norms = np.array([np.linalg.norm(W) for W in sample.weights]) ** 2 / deep.weight_stds**2
    assert np.isfinite(norms).all()
    assert stats.kstest(norms, "chi2", args=(64,)).pvalue > 1e-6
    result = vgsim.evaluate(
        deep, sample.weights, sample.biases, sample.inputs, sample.output_gradient
    )
    assert result.log10_ratio[0] > 400


@pytest.mark.parametrize("activation", [*ACTIVATIONS, vgsim.Activation("leaky_relu", slope=0.3)])
@pytest.mark.parametrize("arguments", [MATRIX_FREE, DENSE], ids=["matrix-free", "dense"])
def test_autograd_gives_the_same_gradients(activation, arguments):
    torch = pytest.importorskip("torch", reason="PyTorch is needed for to_torch")
    choice = {"gain": 0.05, "init": "lecun_normal"} if activation == "sine" else {"gain": 1.2}
    net = vgsim.MLP(6, [6, 9, 5, 8, 8, 12, 7], activation=activation, bias_std=0.3, **choice)
    sample = vgsim.replay(net, 5, 1, **arguments)
    result = vgsim.evaluate(
        net, sample.weights, sample.biases, sample.inputs, sample.output_gradient
    )
    module = sample.to_torch()
    assert all(parameter.dtype == torch.float64 for parameter in module.parameters())
    layers = [torch.from_numpy(sample.inputs.T).requires_grad_()]
    for linear, phi in zip(module[::2], module[1::2], strict=True):
        layers.append(phi(linear(layers[-1])))
        layers[-1].retain_grad()
    layers[-1].backward(torch.from_numpy(sample.output_gradient.T))
    np.testing.assert_array_equal(layers[-1].detach(), module(layers[0]).detach())
    norms = [x.grad.norm().item() for x in layers]
    np.testing.assert_allclose(10**result.gradient, norms, rtol=1e-10)
    norms = [linear.weight.grad.norm().item() for linear in module[::2]]
    np.testing.assert_allclose(10**result.weight_gradient, norms, rtol=1e-10)


def test_modules_have_biases_only_where_the_network_has():
    pytest.importorskip("torch", reason="PyTorch is needed for to_torch")
    counts = {
        vgsim.MLP(2, 3): 2,
        vgsim.MLP(2, 3, bias_std=0.1): 4,
        vgsim.MLP(2, 3, init="torch_default"): 4,
    }
    for net, count in counts.items():
        assert len(list(vgsim.replay(net).to_torch().parameters())) == count


def test_samples_differ_by_network_seed_index_and_dtype():
    net = vgsim.MLP(1, 3)
    samples = [
        vgsim.replay(net),
        vgsim.replay(vgsim.MLP(1, 3, gain=1.1)),
        vgsim.replay(net, 1),
        vgsim.replay(net, 2**200),
        vgsim.replay(net, 0, 1),
        vgsim.replay(net, 0, 2**56 - 1),
        vgsim.replay(net, dtype="float64"),
    ]
    assert len({float(sample.inputs[0, 0]) for sample in samples}) == len(samples)
    np.testing.assert_array_equal(vgsim.replay(net).weights[0], samples[0].weights[0])


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"network": 3}, TypeError, "network must be a vgsim.MLP"),
        ({"seed": -1}, ValueError, "seed must be an int >= 0"),
        ({"seed": 1.5}, TypeError, "seed must be an int >= 0"),
        ({"index": -1}, ValueError, r"index must be an int from 0 to 2\*\*56 - 1"),
        ({"index": 2**56}, ValueError, "index must be"),
        ({"index": True}, TypeError, "index must be"),
        ({"index": 1.0}, TypeError, "index must be"),
        ({"batch_size": 0}, ValueError, "batch_size must be"),
        ({"batch_size": 2.0}, TypeError, "batch_size must be"),
        ({"batch_size": 4, "inputs": np.ones((3, 4))}, ValueError, "at least batch_size = 4 rows"),
        ({"loss": "hinge"}, ValueError, "loss must be one of 'linear', 'mse', 'cross_entropy'"),
        ({"dtype": "float16"}, ValueError, "dtype must be 'float32' or 'float64'"),
        ({"dtype": None}, TypeError, "dtype must be"),
        ({"dtype": "double precision"}, TypeError, "dtype must be"),
        ({"engine": "exact"}, ValueError, "engine"),
        ({"inputs": "uniform"}, ValueError, "inputs must be 'normal', 'zeros'"),
        ({"inputs": np.ones(4)}, ValueError, r"inputs must be .*\(N, n_0\).*got shape \(4,\)"),
        ({"inputs": np.ones((3, 5))}, ValueError, r"inputs.*got shape \(3, 5\)"),
        ({"inputs": np.ones((0, 4))}, ValueError, "inputs"),
        ({"inputs": np.full((3, 4), np.nan)}, ValueError, "inputs must be finite"),
        ({"inputs": np.full((3, 4), 1j)}, TypeError, "inputs must be"),
    ],
)
def test_errors_say_what_is_allowed(change, error, message):
    with pytest.raises(error, match=message):
        vgsim.replay(**{"network": vgsim.MLP(2, 4)} | change)


def test_uniform_weights_have_no_matrix_free_engine():
    with pytest.raises(ValueError, match="matrix-free"):
        vgsim.replay(vgsim.MLP(2, 4, init="he_uniform"), engine="matrix-free")


def test_memory_is_estimated_before_it_is_taken():
    with pytest.raises(MemoryError, match="lower depth or width"):
        vgsim.replay(vgsim.MLP(1_000_000, 4096))


def test_repr_is_one_line():
    sample = vgsim.replay(vgsim.MLP(50, 16))
    assert repr(sample) == (
        "<Replay: MLP(depth=50, width=16, init='glorot_normal'), inputs (16, 1), "
        "W_1 (16, 16) to W_50 (16, 16)>"
    )
    assert repr(vgsim.replay(vgsim.MLP(1, 2))).endswith(", inputs (2, 1), W_1 (2, 2)>")


def test_torch_is_asked_for_in_one_sentence(monkeypatch):
    monkeypatch.delitem(sys.modules, "vgsim._twin.torch", raising=False)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ImportError, match="to_torch needs the package torch: pip install torch$"):
        vgsim.replay(vgsim.MLP(1, 2)).to_torch()


def test_a_replay_needs_the_seed():
    with pytest.raises(TypeError, match="seed must be an int >= 0: .* got None"):
        vgsim.replay(vgsim.MLP(3, 4), seed=None)
