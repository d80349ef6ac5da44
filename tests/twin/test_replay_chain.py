"""Replays of the scalar engine: they have the lengths that it draws, and i.i.d. normal entries."""

import math
from itertools import pairwise

import numpy as np
import pytest
from scipy import stats

import vgsim
from vgsim._engine.settings import Settings
from vgsim._twin.chain import Chain
from vgsim._twin.draws import Draws
from vgsim._twin.parts import Lengths, Parts
from vgsim._twin.random import words

SCALAR = {"engine": "scalar", "dtype": "float64"}
SLOPES = {"linear": (1.0, 1.0), "relu": (0.0, 1.0), "leaky_relu": (0.1, 1.0)}
WIDTHS = [6, 9, 5, 1, 8, 2, 7]
QUANTITIES = ("gradient", "weight_gradient", "update_ratio", "activation", "saturation")


def mlp(depth, width, **choice):
    return vgsim.MLP(depth, width, **{"init": "he_normal", **choice})


def listed(activation, *, clip=None):
    """Layers of different biases, one of them without, φ being places of their own."""
    widths = (7, 3, 8, 1, 6)
    stds = (0.5, 0.0, 0.3, 0.2, 0.4)
    layers = [
        [vgsim.Linear(n, init="lecun_normal", gain=1.3, bias_std=b), activation]
        for n, b in zip(widths, stds, strict=True)
    ]
    return vgsim.Sequential(4, [o for layer in layers for o in layer], clip=clip)


NETWORKS = {
    "relu": mlp(6, WIDTHS, activation="relu"),
    "relu with bias": mlp(6, WIDTHS, activation="relu", bias_std=0.4),
    "linear": mlp(6, WIDTHS, activation="linear"),
    "linear with bias": mlp(5, 4, activation="linear", bias_std=0.7, init="glorot_normal"),
    "leaky": mlp(6, WIDTHS, activation=vgsim.Activation("leaky_relu", slope=0.3)),
    "leaky with bias": mlp(6, WIDTHS, activation="leaky_relu", bias_std=0.4),
    "steeper below": mlp(4, 6, activation=vgsim.Activation("leaky_relu", slope=20.0)),
    "one unit": mlp(5, 1, activation="leaky_relu", bias_std=0.2),
    "two units": mlp(5, 2, activation="relu", bias_std=0.8),
    "often dead": mlp(4, 3, activation="relu"),
    "one input": mlp(3, [1, 6, 4, 5], activation="relu", bias_std=0.1),
    "small": mlp(6, 8, activation="relu", gain=1e-150, bias_std=1e12),
    "large": mlp(6, 8, activation="leaky_relu", gain=1e60, bias_std=1e-90),
    "list": listed("relu"),
    "leaky list": listed("leaky_relu"),
}
CASES = {name: (network, {}) for name, network in NETWORKS.items()} | {
    "mse": (NETWORKS["relu with bias"], {"loss": "mse"}),
    "mse, leaky": (NETWORKS["leaky"], {"loss": "mse"}),
    "mse, list": (NETWORKS["list"], {"loss": "mse"}),
    "clipped": (mlp(6, WIDTHS, activation="relu", clip=vgsim.ClipNorm(1.5)), {}),
    "clipped list": (listed("leaky_relu", clip=vgsim.ClipNorm(1.0)), {"loss": "mse"}),
    "rows": (NETWORKS["leaky with bias"], {"inputs": np.arange(-30.0, 30.0).reshape(10, 6) ** 3}),
    "zero rows": (NETWORKS["leaky"], {"inputs": np.zeros((3, 6))}),
    "zero rows, relu with bias": (NETWORKS["relu with bias"], {"inputs": np.zeros((3, 6))}),
}


def evaluated(network, sample):
    return vgsim.evaluate(network, sample.parameters, sample.inputs, sample.output_gradient)


def draws_of(network, index, *, seed=7, **choice):
    settings = Settings.checked(seed=seed, **SCALAR | choice).of(network)
    return Draws(settings.key(network), index, settings.dtype)


@pytest.mark.parametrize("slopes", [*SLOPES.values(), (20.0, 1.0)])
@pytest.mark.parametrize("n", [1, 2, 3, 4, 9, 40])
def test_parts_have_the_given_lengths(n, slopes, rng):
    below, above = slopes
    for K in {0, 1, n // 2, n - 1, n}:
        P, N = rng.chisquare(K) if K else 0.0, rng.chisquare(n - K) if n > K else 0.0
        v = rng.normal() if 0 < K < n else 0.0
        R = rng.chisquare(K - 1) if K > 1 else 0.0
        R_ = rng.chisquare(n - K - 1) if n - K > 1 else 0.0
        parts = Parts(Lengths(K, P, N, v, R, R_), slopes, rng.normal(size=(3, n)))
        w, positive = parts.w, parts.w > 0
        assert positive.sum() == K
        assert (w[positive] ** 2).sum() == pytest.approx(P, rel=1e-13)
        assert (w[~positive] ** 2).sum() == pytest.approx(N, rel=1e-13)
        y = np.where(positive, above, below) * w
        r = math.sqrt(above**2 * P + below**2 * N)
        np.testing.assert_allclose(r * parts.axis, y, rtol=1e-13, atol=1e-300)
        assert np.linalg.norm(parts.axis) == pytest.approx(1)
        assert abs(parts.axis @ parts.across) < 1e-14 * (1 + n)
        assert parts.across @ parts.across == pytest.approx(v**2 + R + R_, rel=1e-13)
        rest, rest_ = parts.rest * positive, parts.rest * ~positive
        assert rest @ rest == pytest.approx(R, rel=1e-13)
        assert rest_ @ rest_ == pytest.approx(R_, rel=1e-13)
        assert abs(rest @ w) < 1e-13 * (1 + P + R)
        assert abs(rest_ @ w) < 1e-13 * (1 + N + R_)


def by_scalars(network, index, loss="linear", inputs=None, dtype="float64"):
    """The formulas of the scalar engine, in plain float64: all norms of the network at its places.

    The random numbers are those of the twin; everything else is written down again.
    """
    draw = draws_of(network, index, loss=loss, dtype=dtype)
    program = network.program
    places = program.layer_places
    widths = program.widths[::places].tolist()
    matrices = [program.at(l)[0] for l in range(1, network.depth + 1, places)]
    sigmas = [
        sum(o.std for o in program.at(l)[1:2] if hasattr(o, "limit"))
        for l in range(1, network.depth + 1, places)
    ]
    (phi,) = {program.at(l)[-1].activation for l in range(places, network.depth + 1, places)}
    below, above = phi.parameters.get("slope", SLOPES[phi.name][0]), 1.0
    size = math.sqrt(draw.chi_squares("input", 0, 0, (widths[0], 0))[0])
    if inputs is not None:
        size = float(np.linalg.norm(draw.rows(inputs, 1)))
    xs, layers = [size], []
    for l, (n, W, sigma) in enumerate(zip(widths[1:], matrices, sigmas, strict=True), start=1):
        tau = math.hypot(W.std * size, sigma)
        kappa, lam = (W.std * size / tau, sigma / tau) if tau else (1.0, 0.0)
        bits = words(draw.key, "forward", l, index, 4 * -(-n // 128))
        ones = sum(int(word).bit_count() for word in bits[: n // 32])
        if n % 32:
            ones += (int(bits[n // 32]) & (2 ** (n % 32) - 1)).bit_count()
        K = ones if tau else 0
        P, N = draw.chi_squares("forward", l, -(-n // 128), (K, n - K))
        r = math.sqrt(above**2 * P + below**2 * N)
        layers.append((n, W.shape[1], W.std, size, tau, kappa, lam, K, P, N, r))
        size = tau * r
        xs.append(size)
    found = {name: [] for name in ("gradient", "weight_gradient", "update_ratio", "inner")}
    D = len(layers)
    clip = math.inf if network.clip is None else network.clip.bound
    c, a = 1.0, draw.columns("backward", D, 4, 1)[2, 0]
    pending = None
    for l in range(D, 0, -1):
        n, m, s, x, tau, kappa, lam, K, P, N, r = layers[l - 1]
        v, nu, t, t_ = draw.columns("backward", l, 4, 1)[:, 0]
        R, R_ = draw.chi_squares("backward", l, 1, (K - 1, n - K - 1))
        v = v if 0 < K < n else 0.0
        cos, sin = (above * math.sqrt(P) / r, below * math.sqrt(N) / r) if r else (0.0, 1.0)
        g, g_ = a * cos - v * sin, a * sin + v * cos
        if l == D and loss == "mse":
            g = tau * above * math.sqrt(P) - t * (K > 0)
            g_ = tau * below * math.sqrt(N) - t_ * (n > K)
        norm = c * math.sqrt(g**2 + g_**2 + R + R_)
        if l < D:
            if pending:
                pending(v**2 + R + R_)
            if norm > clip:
                c, norm = c * clip / norm, clip
        found["gradient"].append(norm)
        q = above**2 * (g**2 + R) + below**2 * (g_**2 + R_)
        delta = c * math.sqrt(q)
        if places == 2:
            delta = min(delta, clip)
            found["inner"].append(delta)
        w_delta = (
            (above * math.sqrt(P) * g + below * math.sqrt(N) * g_) / math.sqrt(q) if q else 0.0
        )
        a, c = kappa * w_delta + lam * nu, s * delta
        found["weight_gradient"].append(delta * x)
        square = P + N
        if lam:
            square = a**2
            if n > 1:
                second, chi = draw.beyond_nu(l, n)
                square += (kappa * math.sqrt(max(P + N - w_delta**2, 0)) + lam * second) ** 2
                square += lam**2 * chi

        def pending(across, square=square, l=l, n=n, m=m, s=s, gradient=delta * x):
            whole = square + across + draw.chi_square(l, (n - 1) * (m - 1))
            found["update_ratio"].append(gradient / (s * math.sqrt(whole)))

    R = draw.chi_squares("backward", 0, 1, (widths[0] - 1, 0))[0]
    pending(R)
    found["gradient"].append(min(c * math.sqrt(a**2 + R), clip))
    gradient = found["gradient"][::-1]
    if places == 2:
        inner = found.pop("inner")[::-1]
        gradient = [
            gradient[0],
            *(g for pair in zip(inner, gradient[1:], strict=True) for g in pair),
        ]
    with np.errstate(divide="ignore"):
        return {
            "gradient": np.log10(gradient),
            "weight_gradient": np.log10(found["weight_gradient"][::-1]),
            "update_ratio": np.log10(found["update_ratio"][::-1]),
            "activation": np.log10(xs) - 0.5 * np.log10(widths),
        }


MODERATE = [name for name in CASES if name not in ("small", "large")]


@pytest.mark.parametrize("name", MODERATE)
def test_a_replay_has_the_norms_of_the_formulas(name):
    network, choice = CASES[name]
    compared = 0
    for index in range(12):
        twin = evaluated(network, vgsim.replay(network, 7, index, **SCALAR, **choice))
        expected = by_scalars(network, index, **choice)
        step = network.program.layer_places
        assert twin.dead == np.isneginf(expected["gradient"][0])
        compared += not twin.dead
        for quantity, values in expected.items():
            actual = getattr(twin, quantity)
            if quantity == "activation":
                actual = actual[::step]
            np.testing.assert_allclose(actual, values, rtol=0, atol=1e-10, err_msg=quantity)
    assert compared > 1 or name == "zero rows"


@pytest.mark.parametrize(
    ("network", "choice"),
    [
        (mlp(4, [6, 9, 5, 8, 7], activation="relu", bias_std=0.4), {}),
        (mlp(4, [6, 9, 5, 8, 7], activation="leaky_relu"), {}),
        (mlp(4, [5, 4, 6, 3, 7], activation="linear", bias_std=1.0), {"loss": "mse"}),
        (mlp(6, 4, activation="relu"), {}),
        (mlp(6, 2, activation="relu", bias_std=0.5), {}),
        (mlp(6, [3, 1, 2, 5, 1, 1, 4], activation="leaky_relu", bias_std=0.5), {}),
        (mlp(3, [3, 4, 4, 4], activation="leaky_relu"), {"inputs": np.zeros((1, 3))}),
    ],
    ids=["relu", "leaky", "linear, mse", "dead", "two", "narrow", "zero row"],
)
def test_entries_are_independent_normals(network, choice, seed):
    """Weights, biases, inputs and cotangents: pooled moments, pairs of entries, squared norms."""
    enough = math.ceil(24_000 / sum(n * m for n, m in pairwise(network.widths)))
    enough = min(enough, 200)
    samples = [vgsim.replay(network, seed, i, **SCALAR, **choice) for i in range(enough)]
    arrays = []
    for l, s in enumerate(network.weight_stds):
        W = np.array([sample.weights[l] for sample in samples]) / s
        if network.bias_std:
            b = np.array([sample.biases[l] for sample in samples]) / network.bias_std
            W = np.concatenate([W, b[:, :, np.newaxis]], axis=2)
        arrays.append(W)
    if "inputs" not in choice:
        arrays.append(np.array([sample.inputs for sample in samples]))
    if not choice.get("loss"):
        arrays.append(np.array([sample.output_gradient for sample in samples]))
    entries = np.concatenate([a.ravel() for a in arrays])
    N = entries.size
    assert abs(entries.mean()) < 5 / math.sqrt(N)
    assert abs((entries**2).mean() - 1) < 5 * math.sqrt(2 / N)
    assert abs((entries**3).mean()) < 5 * math.sqrt(15 / N)
    assert abs((entries**4).mean() - 3) < 5 * math.sqrt(96 / N)
    assert stats.kstest(entries, "norm").pvalue > 1e-6
    squares = [stats.chi2.cdf((a**2).sum((1, 2)), a[0].size) for a in arrays]
    assert stats.kstest(np.concatenate(squares), "uniform").pvalue > 1e-6
    # all pairs in a row, in a column and diagonally, and of their squares
    for power, deviation in ((1, 1.0), (2, 2.0)):
        for rows, columns in ((0, 1), (1, 0), (1, 1)):
            products = [
                ((a**power)[:, : a.shape[1] - rows, : a.shape[2] - columns] - (power - 1))
                * ((a**power)[:, rows:, columns:] - (power - 1))
                for a in arrays
            ]
            products = np.concatenate([p.ravel() for p in products])
            if products.size:
                assert abs(products.mean()) < 6 * deviation / math.sqrt(products.size)


def test_matrices_of_neighbouring_layers_are_independent(seed):
    """The products that one layer hands to the next do not show in the matrices."""
    network = mlp(3, 3, activation="relu", bias_std=0.5)
    samples = [vgsim.replay(network, seed, i, **SCALAR) for i in range(400)]
    first, second, third = (
        np.array([sample.weights[l].ravel() for sample in samples]) / s
        for l, s in enumerate(network.weight_stds)
    )
    bound = 5.5 / math.sqrt(len(samples))
    inputs = np.array([sample.inputs.ravel() for sample in samples])
    outputs = np.array([sample.output_gradient.ravel() for sample in samples])
    biases = np.array([sample.biases[1] for sample in samples]) / 0.5
    for a, b in (
        (first, second),
        (second, third),
        (first, inputs),
        (third, outputs),
        (first, biases),
        (second, biases),
        (third, biases),
        (inputs, outputs),
    ):
        assert abs(a.T @ b).max() / len(samples) < bound
        assert abs((a**2 - 1).T @ (b**2 - 1)).max() / len(samples) < 2 * bound + 0.05


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("degrees", [1, 2, 3, 12, 1000])
def test_pairs_of_chi_squares(degrees, dtype, seed):
    key = np.array([5, seed], dtype=np.uint32)
    pairs = [
        Draws(key, index, dtype).chi_squares("forward", 7, 3, (degrees, degrees + 1))
        for index in range(800)
    ]
    for values, nu in zip(np.transpose(pairs), (degrees, degrees + 1), strict=True):
        assert stats.kstest(values, "chi2", args=(nu,)).pvalue > 1e-6
    assert abs(np.corrcoef(np.transpose(pairs))[0, 1]) < 5 / math.sqrt(800)


def test_chi_squares_of_no_degrees_are_zero():
    draw = Draws(np.zeros(2, dtype=np.uint32), 0, "float32")
    assert draw.chi_squares("backward", 1, 1, (-1, 0)) == (0.0, 0.0)


@pytest.mark.parametrize("n", [1, 2, 31, 32, 33, 128, 200])
def test_heads_are_binomial(n, seed):
    key = np.array([6, seed], dtype=np.uint32)
    counts = np.array([Draws(key, i, "float32").heads("forward", 3, n) for i in range(800)])
    assert counts.min() >= 0
    assert counts.max() <= n
    assert counts.mean() == pytest.approx(n / 2, abs=5 * math.sqrt(n / 4 / 800))
    assert counts.var() == pytest.approx(n / 4, rel=5 * math.sqrt(2 / 800) + 0.01)


def test_the_streams_are_laid_out_as_documented():
    network = mlp(2, [5, 6, 4], activation="relu")
    for dtype in ("float32", "float64"):
        draw = draws_of(network, 3, dtype=dtype)
        chain = Chain(draw, network.program)
        square, _ = draw.chi_squares("input", 0, 0, (5, 0))
        assert chain.x.T @ chain.x == pytest.approx(square)
        _, nu, a, _ = draw.columns("backward", 2, 4, 1)[:, 0]
        assert chain.nu(2) == nu
        G = vgsim.replay(network, 7, 3, engine="scalar", dtype=dtype).output_gradient
        assert (G.T @ chain.axes[2])[0, 0] == pytest.approx(a)


TOLERANCES = {"float64": 1e-8, "float32": 2e-4}


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("name", CASES)
def test_kernel_equals_twin(name, dtype):
    network, choice = CASES[name]
    choice = choice | {"engine": "scalar", "dtype": dtype}
    record = (*QUANTITIES, "clipped") if network.clip else QUANTITIES
    layers = range(network.depth + 1)
    samples = vgsim.simulate(network, 12, seed=7, layers=layers, record=record, **choice)
    for index in range(12):
        twin = evaluated(network, vgsim.replay(network, 7, index, **choice))
        for quantity in (*record, "output_gradient", "dead"):
            actual, expected = getattr(samples, quantity)[index], getattr(twin, quantity)
            np.testing.assert_allclose(
                np.asarray(actual, dtype=float),
                np.asarray(expected, dtype=float),
                rtol=1e-13,
                atol=TOLERANCES[dtype],
                err_msg=f"{quantity} of sample {index}",
            )


def test_kernel_equals_twin_in_wide_and_deep_networks():
    for network in (
        mlp(3, [300, 513, 128, 33], activation="relu", bias_std=0.1),
        mlp(100, 12, activation="leaky_relu", gain=0.1),
        mlp(100, 12, activation="relu", gain=100.0, bias_std=1.0),
    ):
        layers = range(network.depth + 1)
        samples = vgsim.simulate(network, 2, seed=7, layers=layers, record=QUANTITIES, **SCALAR)
        for index in range(2):
            twin = evaluated(network, vgsim.replay(network, 7, index, **SCALAR))
            for quantity in QUANTITIES:
                actual, expected = getattr(samples, quantity)[index], getattr(twin, quantity)
                np.testing.assert_allclose(actual, expected, rtol=1e-13, atol=1e-8)


def test_autograd_gives_the_norms_of_the_kernel():
    torch = pytest.importorskip("torch", reason="PyTorch is needed for to_torch")
    network = mlp(5, WIDTHS[:6], activation="relu", bias_std=0.3)
    samples = vgsim.simulate(network, 4, seed=5, layers=range(6), **SCALAR)
    for index in range(4):
        sample = vgsim.replay(network, 5, index, **SCALAR)
        module = sample.to_torch()
        module(torch.from_numpy(sample.inputs.T).requires_grad_())
        output = module.states[-1]
        G = torch.from_numpy(sample.output_gradient.T)
        gradients = torch.autograd.grad(output, module.states, G)
        with np.errstate(divide="ignore"):
            norms = np.log10([g.norm().item() for g in gradients])
        np.testing.assert_allclose(samples.gradient[index], norms, rtol=0, atol=1e-9)


def test_memory_is_estimated_before_it_is_taken():
    with pytest.raises(MemoryError, match="lower depth or width"):
        vgsim.replay(mlp(1_000_000, 4096, activation="relu"), engine="scalar")
