"""Mean field of composed networks against dense networks in NumPy, quadrature and closed forms."""

import math

import numpy as np
import pytest
from scipy import integrate

import vgsim
from dense_networks import dense
from vgsim import Attention, Dropout, Gate, Linear, Norm, Sequential, Skip
from vgsim.theory import (
    branch_moments,
    deepnorm_constants,
    exact_law,
    highway_growth,
    log_gradient_moments,
    mean_field,
    place_moments,
    post_norm_rate,
    pre_norm_growth,
    relu_law,
    residual_growth,
)
from vgsim.theory._prediction import predict

N = 256
LAYER, RMS = Norm("layer"), Norm("rms")
TANH_64 = [Linear(gain=2.0), "tanh", Linear(gain=1.5)]
TANH = [Linear(2 * N, gain=2.0), "tanh", Linear(N, gain=1.5)]
GELU = [Linear(N // 2, init="he_normal"), "gelu", Linear(N, init="glorot_normal", bias_std=0.2)]

NETWORKS = {
    "chain": [[Linear(gain=1.2, bias_std=0.3), "gelu"]] * 3 + [Linear(N // 4, gain=0.5)],
    "places": [Linear(gain=1.5), LAYER, "tanh", Linear(N // 2), RMS, "relu", Linear(N)],
    "norm of an activation": [Linear(gain=3.0), "relu", LAYER, Linear(), "tanh", RMS, Linear()],
    "post-norm": [Skip(TANH), LAYER] * 3,
    "post-norm, rms": [[Skip(GELU, skip=0.7, branch=-1.3), RMS]] * 3,
    "pre-norm": [Skip([LAYER, *GELU]), Skip([RMS, *TANH], branch=0.5)] * 2 + [LAYER, Linear(50)],
    "pre-activation": [Skip([LAYER, "relu", Linear(), "silu", Linear()])] * 3,
    "activated": [Skip([Linear(), "relu"], skip=0.8)] * 3 + [LAYER, Linear(), "tanh"],
    "nested": [Skip([Linear(), "tanh", Skip(GELU, skip=0.5), Linear()], branch=0.7)] * 2,
    "skip in a branch": [Skip([Skip(TANH, branch=0.3), RMS], skip=-0.4)] * 2,
    "units": [Linear(gain=1.5), Skip(["tanh"], branch=0.5), Linear(), "linear", "relu"],
    "gates": [Gate([Linear(gain=1.4), "relu"], bias=-1.0, gain=2.0)] * 3,
    "gate around a skip": [Gate([Skip(GELU), LAYER, Linear(), "tanh"], bias=0.5)] * 2,
    "gate of correlated units": [Gate([Skip(TANH, branch=0.3)], bias=0.0, gain=1.5)],
    "gate inside a skip": [Skip([Gate([Skip(TANH, branch=0.3)], bias=-1.0)], branch=0.8)],
    "dropout": [Linear(init="he_normal"), "relu", Dropout(0.3)] * 3,
    "dropout of branches": [Skip([LAYER, *GELU, Dropout(0.2)])] * 2 + [Dropout(0.4), *GELU],
    "one token": [Skip([LAYER, Attention(4, value_gain=1.5, output_gain=0.8, bias_std=0.1)])] * 3,
}


def measured(network, cosine, seed, size=40):
    """Return means and standard errors at every place: growth, mean squares, cosines."""
    rng = np.random.default_rng(seed)
    growth, squares, cosines = [], [], []
    for _ in range(size):
        x, g = dense(network, rng, cosine)
        growth.append([(a**2).sum() / (g[-1] ** 2).sum() for a in g])
        squares.append([(a**2).mean() for a in x])
        cosines.append([a[:, 0] @ a[:, 1] / np.prod(np.linalg.norm(a, axis=0)) for a in x])
    return [(np.mean(v, axis=0), np.std(v, axis=0) / size**0.5) for v in (growth, squares, cosines)]


@pytest.mark.parametrize("name", NETWORKS)
def test_places_of_wide_dense_networks(name, seed):
    network = Sequential(N, NETWORKS[name])
    theory = place_moments(network, correlation=0.3)
    found = measured(network, 0.3, seed)
    expected = np.exp(theory.growth), theory.activation, theory.correlation
    for (value, error), exact, absolute in zip(found, expected, (0, 0, 1), strict=True):
        neglected = network.depth / N * np.maximum(exact, absolute)
        assert (np.abs(value - exact) < 4 * error + neglected).all()


def test_batch_normalisation_of_large_batches(seed):
    columns, size = 500, 4
    network = Sequential(N, [Linear(bias_std=0.5), Norm("batch"), "relu"] * 3)
    rng = np.random.default_rng(seed)
    growth = []
    for _ in range(size):
        _, g = dense(network, rng, columns=columns)
        growth.append([math.log((a**2).sum() / (g[-1] ** 2).sum()) for a in g])
    exact = place_moments(network).growth
    assert np.abs(np.mean(growth, axis=0) - exact).max() < 0.1
    assert exact[0] == pytest.approx(2 * math.log(math.pi / (math.pi - 1)) - math.log(2), abs=1e-4)


RESIDUAL = {
    style: vgsim.MLP(
        12, 64, activation="gelu", norm=norm, residual=vgsim.Residual(2, style=style, branch=0.7)
    )
    for style, norm in (("linear", None), ("pre", "layer"), ("activated", "rms"), ("post", None))
}


@pytest.mark.parametrize("style", ["linear", "pre", "activated"])
def test_residual_blocks_are_those_of_the_mlp(style):
    net = RESIDUAL[style]
    assert place_moments(net).growth[0] == pytest.approx(residual_growth(net), rel=1e-12)
    composed = Sequential(64, net.layers)
    assert place_moments(composed).growth == pytest.approx(place_moments(net).growth[::2])


def test_gates_are_those_of_the_mlp():
    net = vgsim.MLP(10, 64, norm="layer", highway=vgsim.Highway(-1.0), bias_std=0.1)
    assert place_moments(net).growth[0] == pytest.approx(highway_growth(net), rel=1e-12)
    assert place_moments(Sequential(64, net.layers)).growth[0] == place_moments(net).growth[0]


@pytest.mark.parametrize(("gain_in", "gain_out"), [(2.0, 1.5), (1.0, 1.0), (0.3, 3.0)])
def test_moments_of_a_branch_against_quad(gain_in, gain_out):
    def mean(f):
        density = lambda z: f(gain_in * z) * math.exp(-z * z / 2) / math.sqrt(2 * math.pi)  # noqa: E731
        return integrate.quad(density, -12, 12, epsabs=0, epsrel=1e-12, limit=200)[0]

    square = gain_out**2 * mean(lambda h: math.tanh(h) ** 2)
    slope = (gain_in * gain_out) ** 2 * mean(lambda h: math.cosh(h) ** -4)
    assert branch_moments("tanh", gain_in, gain_out) == pytest.approx((square, slope), rel=1e-10)


def test_post_norm_with_tanh_branches():
    # v = 2.25 E tanh²(2z) and χ = 9 E sech⁴(2z); E tanh² = 1 − E sech², E sech² = 0.364739, and
    # the rate is (1 + χ)/(1 + v).
    v, chi = branch_moments("tanh", 2.0, 1.5)
    assert (round(v, 6), round(chi, 6)) == (1.429338, 2.303554)
    assert round(post_norm_rate(v, chi), 6) == 1.359858
    network = Sequential(64, [[Skip([Linear(gain=2.0), "tanh", Linear(gain=1.5)]), LAYER]] * 9)
    growth = place_moments(network).growth
    rate = np.exp(growth[:-1] - growth[1:])  # the input of every block has the variance 1
    assert rate == pytest.approx(post_norm_rate(v, chi), rel=1e-5)  # eps of the norm: 1e-5


@pytest.mark.parametrize("branch", [1.0, 24**-0.5])
@pytest.mark.parametrize("phi", ["tanh", "relu", "gelu"])
def test_pre_norm_products(phi, branch):
    inner = [Norm("layer", eps=1e-12), Linear(128, gain=1.7), phi, Linear(64, gain=0.9)]
    network = Sequential(64, [Skip(inner, branch=branch)] * 24)
    moments = branch_moments(phi, 1.7, 0.9)
    product = math.prod(
        1 + branch**2 * moments[1] / (1 + l * branch**2 * moments[0]) for l in range(24)
    )
    assert pre_norm_growth(*moments, 24, branch) == pytest.approx(math.log(product), rel=1e-12)
    assert place_moments(network).growth[0] == pytest.approx(math.log(product), rel=1e-6)
    squares = 1 + branch**2 * moments[0] * np.arange(25)
    assert place_moments(network).activation == pytest.approx(squares, rel=1e-6)


def test_deepnorm_keeps_gradients_of_any_depth():
    for layers in (6, 18, 100, 200):
        alpha, beta = deepnorm_constants(layers)
        assert (alpha**4, beta**-4) == pytest.approx((2 * layers, 8 * layers))
        mlp = Skip([Linear(256, gain=2**0.5 * beta), "relu", Linear(64, gain=beta)], skip=alpha)
        heads = Skip([Attention(gain=1.0, value_gain=beta, output_gain=beta)], skip=alpha)
        deep = Sequential(64, [[heads, LAYER], [mlp, LAYER]] * layers)
        assert abs(place_moments(deep).growth[0]) < 0.01
        mlp = Skip([Linear(256, gain=2**0.5), "gelu", Linear(64)])
        plain = place_moments(Sequential(64, [[mlp, LAYER]] * layers)).growth[0]
        rate = post_norm_rate(*branch_moments("gelu", 2**0.5))
        assert plain == pytest.approx(layers * math.log(rate), rel=1e-4)
        assert plain > 0.028 * layers


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.8])
def test_dropout_in_relu_networks(rate):
    kept, n, depth = 1 - rate, 1000, 50
    law = relu_law(n, depth, dropout=rate)
    assert law.variance == pytest.approx((6 / kept - 1) * depth / n, rel=2.5 / kept / n * 5)
    assert law.log_moment(1.0) == pytest.approx(-depth * math.log(kept), rel=1e-10)
    network = Sequential(n, [Linear(init="he_normal"), "relu", Dropout(rate)] * depth)
    assert place_moments(network).growth[0] == pytest.approx(law.log_moment(1.0), rel=1e-10)
    assert exact_law(network).variance == pytest.approx(law.variance, rel=1e-10)


def test_the_law_of_dropout_against_sums_of_normals(seed):
    n, depth, rate, size = 6, 4, 0.4, 200_000
    rng = np.random.default_rng(seed)
    squares = rng.standard_normal((size, depth, n)) ** 2
    passing = (rng.random((size, depth, n)) < 0.5) & (rng.random((size, depth, n)) >= rate)
    product = ((squares * passing).sum(axis=2) * 2 / n / (1 - rate) ** 2).prod(axis=1)
    law = relu_law(n, depth, dropout=rate)
    dead = 1 - (1 - 0.7**n) ** depth
    assert law.dead_probability == pytest.approx(dead, rel=1e-10)
    for x in (-2.0, -1.0, 0.0, 1.0):
        exact = law.cdf_log10(x / 2)  # of log10 of the norm, dead networks below all
        found = (product <= 10**x).mean()
        assert abs(found - exact) < 5 * (exact * (1 - exact) / size) ** 0.5


def test_exact_laws_of_chains():
    relu = [Linear(init="he_normal", bias_std=0.1), "relu"]
    mlp = vgsim.MLP(8, 24, activation="relu", init="he_normal")
    flat = Sequential(24, relu * 8)
    for place in (0, 4, 14):
        law = exact_law(flat.section(place, flat.depth))
        assert law.mean == pytest.approx(exact_law(mlp.section(place // 2, 8)).mean, rel=1e-12)
    uneven = Sequential(9, [Linear(16, init="he_normal"), "relu", Linear(12), Linear(7, gain=2)])
    wide = exact_law(uneven)
    assert wide.log_moment(1.0) == pytest.approx(
        math.log(2 / 9 / 16 / 12 * 4 * 8 * 12 * 9), rel=1e-9
    )


@pytest.mark.parametrize(
    ("layers", "reason"),
    [
        (["relu"], "relu comes before the weights"),
        ([Linear(), "tanh"], "tanh is not part of a chain"),
        ([Linear(init="lecun_uniform"), "relu"], "weights of the law 'uniform'"),
        ([Linear(), "leaky_relu", Dropout(0.1)], "Mask is not part of a chain"),
        ([Linear(), Norm("layer")], "Normalise is not part of a chain"),
    ],
)
def test_lists_without_an_exact_law(layers, reason):
    with pytest.raises(ValueError, match=f"network has no exact law: {reason}") as caught:
        exact_law(Sequential(8, layers))
    assert caught.value.argument == "network"


@pytest.mark.parametrize(
    ("network", "reason"),
    [
        (
            Sequential(8, [Linear(), "relu", Attention()], tokens=4),
            r"between 4 tokens, in layer 3 \(Atten",
        ),
        (Sequential(8, [Linear(), "relu", "tanh"]), "tanh acts on units that are not Gaussian, in"),
        (Sequential(8, [Linear(), "relu", Norm("batch")]), "batch normalisation acts on units"),
        (Sequential(8, [[Skip([Linear()]), "relu"]] * 2), "relu acts on units .*, in layer 2"),
        (Sequential(8, [Linear(gain=1e150)] * 2), "the mean square of the units must be from 1e-2"),
        (Sequential(8, [Linear()], clip=vgsim.ClipNorm(1.0)), "there is none with clip"),
        (vgsim.RNN(3, 8), "all steps share their weights, in step 1"),
        (Sequential(8, [Linear(), Skip(["tanh", Dropout(0.5), "tanh"])]), "not Gaussian, in layer"),
    ],
)
def test_where_theory_has_no_word(network, reason):
    with pytest.raises(ValueError, match=f"^network has no mean field: .*{reason}") as caught:
        place_moments(network)
    assert caught.value.argument == "network"


def test_other_theories_refuse_a_list():
    network = Sequential(8, [Linear(), "tanh"])
    with pytest.raises(ValueError, match="network must be an MLP or an RNN .* place_moments"):
        mean_field(network)
    with pytest.raises(ValueError, match="network must be an MLP with residual"):
        residual_growth(network)
    with pytest.raises(ValueError, match="network must be an MLP with highway"):
        highway_growth(network)
    with pytest.raises(ValueError, match="correlation must be from 0 to 1, got 1.5"):
        place_moments(network, correlation=1.5)


@pytest.mark.parametrize(
    "mlp",
    [
        vgsim.MLP(20, 64, activation="tanh", gain=1.2, bias_std=0.2),
        vgsim.MLP(6, (9, 16, 8, 12, 20, 7, 11), activation="relu"),
        vgsim.MLP(10, 64, activation="gelu", norm="layer"),
        vgsim.MLP(8, 64, activation="linear", init="orthogonal"),
        RESIDUAL["post"],
        RESIDUAL["pre"],
    ],
)
def test_lists_that_spell_an_mlp_have_its_predictions(mlp):
    network = Sequential(mlp.width_at(0), mlp.layers)
    every = mlp.depth // network.depth
    for place in (0, 1, network.depth - 1):
        expected, found = predict(mlp, place * every), predict(network, place)
        assert found.mean == pytest.approx(expected.mean, rel=1e-12)
        assert found.std == (expected.std and pytest.approx(expected.std, rel=1e-12))


def test_batch_normalised_lists_that_spell_an_mlp():
    mlp = vgsim.MLP(5, 64, activation="relu", init="he_normal", norm="batch")
    network = Sequential(64, mlp.layers)
    assert predict(network, 2, batch_size=8).mean == predict(mlp, 2, batch_size=8).mean
    tokens = Sequential(64, mlp.layers, tokens=2)
    assert predict(tokens, 2, batch_size=4).mean == predict(mlp, 2, batch_size=8).mean
    composed = Sequential(64, [*mlp.layers, Linear()])
    assert "must be infinite for batch normalisation" in predict(composed, 2, batch_size=8).source
    wide = log_gradient_moments(composed, math.inf)
    assert wide.mean == pytest.approx(place_moments(composed).growth[0])


def test_predictions_of_lists():
    network = Sequential(64, [Skip([LAYER, *TANH_64])] * 6, tokens=3)
    found = predict(network, 2, batch_size=5)
    assert found.mean == pytest.approx(place_moments(network).growth[2] / (2 * math.log(10)))
    assert (found.std, found.source) == (None, "mean field of the places, infinite width")
    attention = Sequential(64, [Skip([LAYER, Attention()]), Skip([LAYER, *TANH_64])], tokens=3)
    found = predict(attention)
    assert found.mean is None
    assert found.source == (
        "network has no mean field: there is no mean field of attention between 3 tokens, in "
        "layer 1 (Skip)"
    )
    dead = predict(Sequential(4, [Linear(init="he_normal"), "relu", Dropout(0.5)] * 3), 3)
    assert dead.dead_below == pytest.approx(0.75**4)
