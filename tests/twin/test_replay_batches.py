"""Replayed batches: explicit weights have the products that were drawn, and the right law."""

import math

import numpy as np
import pytest
from scipy import special, stats

import vgsim
from batched_networks import BATCHED, DENSE, DUPLICATED, equal, evaluated, tapering
from vgsim._engine.settings import network_key
from vgsim._twin import replay as _replay
from vgsim._twin.conditional import orthonormalised
from vgsim._twin.draws import Draws
from vgsim._twin.random import normals, words

MATRIX_FREE = {"engine": "matrix-free", "dtype": "float64"}
ENGINES = pytest.mark.parametrize("engine", ["matrix-free", "dense"])


@pytest.fixture
def passes(monkeypatch):
    """X_0 … X_D and G_0 … G_D of every pass that a replay runs."""
    states, gradients = [], []

    def forward(layers, x):
        states.append(run_forward(layers, x))
        return states[-1]

    def backward(layers, g, clip):
        gradients.append(run_backward(layers, g, clip))
        return gradients[-1]

    run_forward, run_backward = _replay.forward, _replay.backward
    monkeypatch.setattr(_replay, "forward", forward)
    monkeypatch.setattr(_replay, "backward", backward)
    return states, gradients


@pytest.mark.parametrize(
    ("network", "choice"), [pytest.param(*values, id=name) for name, values in BATCHED.items()]
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_explicit_weights_run_as_the_products_did(network, choice, dtype, passes):
    """In float32 columns with a residual below 1e-6 are dropped, which changes products by 1e-6."""
    tolerance = 1e-9 if dtype == "float64" else 1e-3
    choice = choice | {"engine": "matrix-free", "dtype": dtype}
    for index in range(4):
        sample = vgsim.replay(network, 3, index, **choice)
        twin = evaluated(network, sample)
        X, (G, clipped) = passes[0].pop(), passes[1].pop()
        rms = [x.log10_norm - 0.5 * math.log10(x.mantissa.size) for x in X]
        np.testing.assert_allclose(rms, twin.activation, atol=tolerance, rtol=1e-13)
        norms = [g.log10_norm for (g,) in G]
        np.testing.assert_allclose(norms, twin.gradient, atol=tolerance, rtol=1e-13)
        if not isinstance(network.clip, vgsim.ClipValue):
            np.testing.assert_array_equal(clipped, twin.clipped)


@pytest.mark.parametrize("epsilon", [2.0**-52, 2.0**-23])
@pytest.mark.parametrize("distance", 10.0 ** np.arange(-17, 0))
def test_columns_that_are_nearly_parallel(epsilon, distance, rng):
    """Two sweeps make even a column with a tiny residual orthogonal to the others."""
    A = rng.normal(size=(12, 5))
    across = A[:, 2] - A[:, :2] @ np.linalg.lstsq(A[:, :2], A[:, 2])[0]
    A[:, 2] = A[:, 0] - A[:, 1]
    A[:, 2] += distance * np.linalg.norm(A[:, 2]) * across / np.linalg.norm(across)
    A[:, 4] = 0
    Q, R = orthonormalised(A, epsilon)
    kept = np.diagonal(R) > 0
    if not 4 * epsilon < distance < 16 * epsilon:
        assert kept.tolist() == [True, True, distance > 8 * epsilon, True, False]
    np.testing.assert_allclose(Q.T @ Q, np.diag(kept.astype(float)), atol=1e-14)
    np.testing.assert_allclose(Q @ R, A, atol=1e-14 + 64 * epsilon)
    assert not R[~kept].any()


def gram_schmidt(A):
    """Q and R, with the diagonal of R positive, of linearly independent columns."""
    Q, R = np.linalg.qr(A)
    sign = np.sign(np.diagonal(R))
    return Q * sign, R * sign[:, np.newaxis]


def columns_of(net, seed, index):
    """Column b starts at draw b p, with p the number of rows rounded up to a multiple of 4."""
    key = network_key(net.canonical_json(), seed)

    def draw(stream, layer, n, B):
        p = n + -n % 4
        z = normals(key, stream, layer, index, p * B, "float64")
        return np.array([z[b * p : b * p + n] for b in range(B)]).T

    return key, draw


def plain_matrix_free(net, seed, index, B, loss):
    """The matrix-free engine for batches of full rank in plain float64: log10 of all the norms."""
    key, draw = columns_of(net, seed, index)
    phi, n, D = net.activation, net.widths, net.depth
    haar = net.init.name == "orthogonal"
    X, layers = draw("input", 0, n[0], B), []
    for l in range(1, D + 1):
        s, N = net.weight_stds[l - 1], max(n[l], n[l - 1])
        if haar:
            s *= math.sqrt(N)
            Q, R = gram_schmidt(np.vstack([X, np.zeros((N - n[l - 1], B))]))
            Z, _ = gram_schmidt(draw("forward", l, N, B))
        else:
            Q, R = gram_schmidt(X)
            Z = draw("forward", l, n[l], B)
        bias = net.bias_std * draw("bias", l, n[l], 1)
        H = s * (Z @ R)[: n[l]] + bias
        layers.append((X, Q, Z, H, s, N))
        X = phi.value(H)
    states = [layer[0] for layer in layers] + [X]
    if loss == "linear":
        G = draw("cotangent", D, n[D], B)
    elif loss == "mse":
        G = X - draw("targets", D, n[D], B)
    else:
        classes = [int(w) * n[D] >> 32 for w in words(key, "targets", D, index, B)]
        G = special.softmax(X, axis=0) - np.eye(n[D])[:, classes]
    gradients, weight_gradients, ratios = [G], [], []
    for l in range(D, 0, -1):
        X, Q, Z, H, s, N = layers[l - 1]
        delta = phi.derivative(H) * G
        weight_gradients.append(np.linalg.norm(delta @ X.T))
        if haar:
            delta = np.vstack([delta, np.zeros((N - n[l], B))])
            P = Z.T @ delta
            Q_g, R_g = gram_schmidt(delta - Z @ P)
            back = draw("backward", l, N, B)
            F, _ = gram_schmidt(back - Q @ (Q.T @ back))
            G = s * (Q @ P + F @ R_g)[: n[l - 1]]
            size = s * math.sqrt(min(n[l], n[l - 1]))
        else:
            Q_g, R_g = gram_schmidt(delta)
            back = draw("backward", l, n[l - 1], B)
            across = back - Q @ (Q.T @ back)
            G = s * (Q @ (Z.T @ delta) + across @ R_g)
            degrees = (n[l] - Q_g.shape[1]) * (n[l - 1] - Q.shape[1])
            chi_square = Draws(key, index, "float64").chi_square(l, degrees)
            size = s * math.sqrt((Z**2).sum() + (across**2).sum() + chi_square)
        ratios.append(weight_gradients[-1] / size)
        gradients.append(G)
    return {
        "activation": [np.sqrt((x**2).mean()) for x in states],
        "gradient": [np.linalg.norm(g) for g in gradients[::-1]],
        "weight_gradient": weight_gradients[::-1],
        "update_ratio": ratios[::-1],
    }


@pytest.mark.parametrize("loss", ["linear", "mse", "cross_entropy"])
@pytest.mark.parametrize(
    ("net", "B"),
    [
        (tapering(bias_std=0.3), 3),
        (equal(depth=4, width=9, activation="gelu"), 5),
        (equal(depth=4, width=7, init="orthogonal", bias_std=0.3), 3),
        (vgsim.MLP(3, [9, 12, 10, 14], init="orthogonal", gain=1.2), 4),
        (vgsim.MLP(3, [14, 9, 13, 8], init="orthogonal", gain=1.2), 1),
    ],
    ids=["gaussian", "gelu", "orthogonal", "rectangular", "of one"],
)
def test_the_matrix_free_engine_in_plain_float64(net, B, loss):
    for index in range(4):
        sample = vgsim.replay(net, 5, index, batch_size=B, loss=loss, **MATRIX_FREE)
        result = evaluated(net, sample)
        for name, expected in plain_matrix_free(net, 5, index, B, loss).items():
            np.testing.assert_allclose(10 ** getattr(result, name), expected, rtol=1e-9)


def moments_of_normals(entries):
    """Check four moments of standard normals within 5 sigma, and a Kolmogorov-Smirnov test."""
    N = entries.size
    for power, (mean, variance) in enumerate([(0, 1), (1, 2), (0, 15), (3, 96)], start=1):
        assert abs((entries**power).mean() - mean) < 5 * math.sqrt(variance / N), power
    assert stats.kstest(entries.ravel(), "norm").pvalue > 1e-6


GAUSSIAN = {
    "tanh": (tapering(bias_std=0.2), {"batch_size": 3}),
    "relu, dying": (equal(width=3, activation="relu"), {"batch_size": 3}),
    "B > n": (equal(depth=3, width=3), {"batch_size": 5, "loss": "mse"}),
    "batch norm": (equal(depth=3, norm="batch"), {"batch_size": 4, "loss": "cross_entropy"}),
    "duplicates": (tapering(), {"batch_size": 4, "inputs": DUPLICATED}),
    "highway, clipped": (
        equal(depth=3, highway=vgsim.Highway(-0.5), clip=vgsim.ClipNorm(0.7)),
        {"batch_size": 2},
    ),
    "pre": (
        equal(depth=4, norm="layer", residual=vgsim.Residual(2, style="pre")),
        {"batch_size": 2, "loss": "mse"},
    ),
}


@pytest.mark.parametrize("name", GAUSSIAN)
def test_entries_are_independent_normals(name, seed):
    net, choice = GAUSSIAN[name]
    samples = [vgsim.replay(net, seed, i, **MATRIX_FREE, **choice) for i in range(200)]
    stacks = [[sample.weights for sample in samples]]
    if net.highway:
        stacks.append([sample.gate_weights for sample in samples])
    entries, squares, pairs = [], [], []
    for l, s in enumerate(net.weight_stds):
        matrices = [np.array([W[l] for W in stack]) / s for stack in stacks]
        for W in matrices:
            n, m = W.shape[1:]
            entries.append(W.ravel())
            squares.append(stats.chi2.cdf((W**2).sum((1, 2)), n * m))
            pairs += [W[:, 0, 0] * W[:, i, j] for i, j in ((-1, -1), (0, -1), (-1, 0))]
        if len(matrices) == 2:
            pairs += [matrices[0][:, i, i] * matrices[1][:, i, i] for i in range(n)]
        x = np.array([sample.inputs[:, 0] for sample in samples])
        if l == 0 and "inputs" not in choice:
            along = np.einsum("bij,bj->bi", matrices[0], x) / np.linalg.norm(x, axis=1)[:, None]
            entries.append(along.ravel())
    moments_of_normals(np.concatenate(entries))
    pairs, squares = np.concatenate(pairs), np.concatenate(squares)
    assert abs(pairs.mean()) < 5 / math.sqrt(pairs.size)
    assert stats.kstest(squares, "uniform").pvalue > 1e-6


HAAR = {
    "tanh": (equal(depth=3, width=4, init="orthogonal"), {"batch_size": 2}),
    "of one": (equal(depth=3, width=3, init="orthogonal"), {}),
    "relu, dying": (
        equal(depth=5, width=3, init="orthogonal", activation="relu"),
        {"batch_size": 2, "loss": "mse"},
    ),
    "B > n": (equal(depth=3, width=3, init="orthogonal"), {"batch_size": 4}),
    "rectangular": (
        vgsim.MLP(3, [3, 5, 2, 4], init="orthogonal", bias_std=0.3),
        {"batch_size": 2, "loss": "cross_entropy"},
    ),
}


@ENGINES
@pytest.mark.parametrize("name", HAAR)
def test_orthogonal_weights_are_uniform(name, engine, seed):
    net, choice = HAAR[name]
    choice = choice | {"engine": engine, "dtype": "float64"}
    samples = [vgsim.replay(net, seed, i, **choice) for i in range(250)]
    squares, products, traces, signs = [], [], [], []
    for l, s in enumerate(net.weight_stds):
        W = np.array([sample.weights[l] for sample in samples])
        n, m = W.shape[1:]
        N = max(n, m)
        O = W / (s * math.sqrt(N))
        tall = O if n >= m else O.transpose(0, 2, 1)
        gram = tall.transpose(0, 2, 1) @ tall
        np.testing.assert_allclose(gram, np.broadcast_to(np.eye(min(n, m)), gram.shape), atol=1e-13)
        # The square of an entry is Beta(1/2, (N - 1)/2). Entries are dependent: one per matrix.
        squares.append(stats.beta.cdf(O[:, n // 2, m // 2] ** 2, 0.5, (N - 1) / 2))
        x = np.array([sample.inputs[:, 0] for sample in samples])
        if l == 0:
            along = np.einsum("bj,bj->b", O[:, 0], x) / np.linalg.norm(x, axis=1)
            squares.append(stats.beta.cdf(along**2, 0.5, (N - 1) / 2))
        products.append(N * O[:, 0, 0] * O[:, -1, -1])
        if n == m:
            traces.append(np.trace(O, axis1=1, axis2=2))
            signs.append(np.sign(np.linalg.det(O)))
    assert stats.kstest(np.concatenate(squares), "uniform").pvalue > 1e-6
    products = np.concatenate(products)
    assert abs(products.mean()) < 5 * products.std() / math.sqrt(products.size)
    if traces:  # E tr = 0, E tr² = 1, and E tr⁴ = 3 for N >= 4
        traces, signs = np.concatenate(traces), np.concatenate(signs)
        assert abs(traces.mean()) < 5 / math.sqrt(traces.size)
        assert abs((traces**2).mean() - 1) < 5 * (traces**2).std() / math.sqrt(traces.size)
        assert abs(signs.mean()) < 5 / math.sqrt(signs.size)


def test_the_sequence_of_tests_above_loses_rank_and_dies(seed):
    net, choice = GAUSSIAN["relu, dying"]
    samples = [vgsim.replay(net, seed, i, **MATRIX_FREE, **choice) for i in range(100)]
    assert 10 < sum(evaluated(net, sample).dead for sample in samples) < 90


@ENGINES
def test_batches_share_all_but_the_weights_between_engines(engine):
    net = tapering(bias_std=0.2)
    a = vgsim.replay(net, 1, 9, batch_size=3, **MATRIX_FREE)
    b = vgsim.replay(net, 1, 9, batch_size=3, engine=engine, dtype="float64")
    np.testing.assert_array_equal(a.inputs, b.inputs)
    np.testing.assert_array_equal(a.output_gradient, b.output_gradient)
    for x, y in zip(a.biases, b.biases, strict=True):
        np.testing.assert_array_equal(x, y)
    assert a.inputs.shape == (6, 3)
    assert a.output_gradient.shape == (5, 3)
    assert a.gate_weights is None
    assert a.drive is None


def test_rows_of_data_are_drawn_without_replacement(seed):
    data = np.arange(5.0)[:, np.newaxis]
    net = vgsim.MLP(1, 1)
    pairs = np.zeros((5, 5))
    for index in range(2000):
        i, j, k = vgsim.replay(net, seed, index, batch_size=3, inputs=data).inputs[0].astype(int)
        assert len({i, j, k}) == 3
        pairs[i, j] += 1
    assert stats.chisquare(pairs[~np.eye(5, dtype=bool)]).pvalue > 1e-6
    everything = vgsim.replay(net, seed, 0, batch_size=5, inputs=data).inputs[0]
    assert sorted(everything) == [0, 1, 2, 3, 4]


def test_classes_are_uniform(seed):
    draws = Draws(np.array([5, seed], dtype=np.uint32), 0, "float32")
    classes = draws.classes(3, 7, 7000)
    assert stats.chisquare(np.bincount(classes, minlength=7)).pvalue > 1e-6


@pytest.mark.parametrize("name", ["rnn", "rnn, identity", "rnn, data", "rnn, gaussian"])
def test_recurrent_networks_are_drawn(name, seed):
    net, choice = DENSE[name]
    sample = vgsim.replay(net, seed, **choice)
    n, B = net.width, choice["batch_size"]
    assert [W.shape for W in sample.weights] == [(n, n)]
    assert [b.shape for b in sample.biases] == [(n,)]
    assert sample.drive.shape == (net.steps, n, B)
    if name == "rnn":
        np.testing.assert_allclose(sample.weights[0].T @ sample.weights[0], np.eye(n), atol=1e-13)
    if name == "rnn, identity":
        np.testing.assert_array_equal(sample.weights[0], net.gain * np.eye(n))
    rows = [sample.input_weights] + [
        vgsim.replay(net, seed, i, **choice).input_weights for i in range(1, 100)
    ]
    moments_of_normals(np.array(rows) * math.sqrt(n) / net.input_std)


@pytest.mark.parametrize(
    ("net", "loss"),
    [(vgsim.RNN(5, 4), "mse"), (equal(norm="batch", highway=vgsim.Highway()), "mse")],
    ids=["rnn", "highway"],
)
@ENGINES
def test_the_gradient_of_a_loss_is_that_of_the_outputs(net, loss, engine):
    """X_D = G_D + T for the mean-square loss, with the targets T that are drawn here."""
    if isinstance(net, vgsim.RNN) and engine == "matrix-free":
        engine = "auto"
    sample = vgsim.replay(net, 2, 4, batch_size=3, loss=loss, engine=engine, dtype="float64")
    result = evaluated(net, sample)
    _, draw = columns_of(net, 2, 4)
    outputs = sample.output_gradient + draw("targets", net.depth, net.widths[-1], 3)
    assert 10 ** result.activation[-1] == pytest.approx(np.sqrt((outputs**2).mean()), rel=1e-10)


def test_a_saturated_cross_entropy_underflows_in_the_array_alone(passes):
    """If the logit of the class leads by millions, G_D is 0 in float64, and log ‖G_D‖ finite."""
    net = vgsim.MLP(4, 5, activation="linear", init="lecun_normal", gain=30.0)
    sizes = []
    for index in range(40):
        sample = vgsim.replay(net, 0, index, loss="cross_entropy", **MATRIX_FREE)
        (G_D,) = passes[1].pop()[0][-1]
        logits = passes[0].pop()[-1]
        if not sample.output_gradient.any():
            z = np.sort(np.ldexp(logits.mantissa, logits.exponent).ravel())
            sizes.append(G_D.log10_norm)
            lead = (z[-1] - z[-2]) / math.log(10)
            assert sizes[-1] == pytest.approx(math.log10(2) / 2 - lead, rel=1e-12)
    assert len(sizes) > 3
    assert max(sizes) < -1000


def test_repr_of_batches_and_recurrent_networks():
    assert repr(vgsim.replay(vgsim.MLP(1, 2), batch_size=3)).endswith("inputs (2, 3), W_1 (2, 2)>")
    assert repr(vgsim.replay(vgsim.RNN(4, 2))).endswith("inputs (2, 1), W (2, 2)>")


OUT_OF_RANGE = (  # of plain float64, or of its 1 - tanh²
    *("tiny", "huge", "rms norm, tiny", "rows of all sizes"),
    *("saturated", "saturated sigmoid"),
)
IN_TORCH = {name: values for name, values in (BATCHED | DENSE).items() if name not in OUT_OF_RANGE}


@pytest.mark.parametrize(
    ("net", "choice"), [pytest.param(*values, id=name) for name, values in IN_TORCH.items()]
)
def test_autograd_gives_the_same_gradients(net, choice):
    torch = pytest.importorskip("torch", reason="PyTorch is needed for to_torch")
    sample = vgsim.replay(net, 5, 1, dtype="float64", **choice)
    result = evaluated(net, sample)
    module = sample.to_torch()
    module(torch.from_numpy(sample.inputs.T.copy()).requires_grad_())
    G_D = torch.from_numpy(sample.output_gradient.T.copy())
    G = torch.autograd.grad(module.states[-1], module.states, G_D)
    rms = [X.detach().square().mean().sqrt().item() for X in module.states]
    np.testing.assert_allclose(10**result.activation, rms, rtol=1e-9)
    norms = [G_l.norm().item() for G_l in G]
    np.testing.assert_allclose(10**result.gradient, norms, rtol=1e-6, atol=1e-200)
