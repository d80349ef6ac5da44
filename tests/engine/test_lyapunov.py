"""Tangent vectors against autograd, exact laws and the other engine; invariance of their bits."""

import numpy as np
import pytest
from scipy import special, stats

import vgsim
from vgsim import _kernels
from vgsim._engine import plan as _plan
from vgsim._engine.settings import network_key
from vgsim._twin.random import normals

UNEVEN = [6, 9, 4, 8, 5]


def mlp(depth=6, width=7, **fields):
    return vgsim.MLP(depth, width, **({"init": "lecun_normal", "gain": 1.3} | fields))


RELU = {"activation": "relu", "gain": 2**0.5}

# name: (network, batch size)
NETWORKS = {
    "uneven": (vgsim.MLP(4, UNEVEN, bias_std=0.3), 1),
    "saturated": (mlp(gain=4.0), 1),
    "tiny": (mlp(activation="gelu", gain=1e-20), 1),
    "leaky": (mlp(activation="leaky_relu", bias_std=0.2), 1),
    "orthogonal": (vgsim.MLP(4, UNEVEN, init="orthogonal", gain=1.2), 1),
    "layer norm": (mlp(norm="layer", activation="elu", bias_std=0.3), 1),
    "rms norm": (mlp(norm="rms", activation="silu"), 1),
    "batch norm": (mlp(norm="batch", activation="gelu"), 4),
    "activated": (mlp(residual=vgsim.Residual(1, branch=0.5)), 1),
    "linear": (mlp(norm="rms", residual=vgsim.Residual(3, branch=-0.7, style="linear")), 1),
    "post": (mlp(norm="batch", residual=vgsim.Residual(2, skip=0.8, style="post")), 3),
    "pre": (mlp(norm="batch", residual=vgsim.Residual(2, style="pre")), 4),
    "pre, orthogonal": (mlp(init="orthogonal", residual=vgsim.Residual(2, style="pre")), 1),
    "highway": (mlp(highway=vgsim.Highway(-1.0), bias_std=0.2), 1),
    "highway, batch norm": (mlp(highway=vgsim.Highway(0.5), norm="batch"), 3),
    "uniform": (mlp(init="torch_default"), 1),
    "recurrent": (vgsim.RNN(6, 8, bias_std=0.2), 1),
    "recurrent, normal": (vgsim.RNN(6, 5, init="he_normal", activation="elu"), 1),
}
named = pytest.mark.parametrize("name", NETWORKS)


def first_frame(net, batch_size, index, k):
    """Return V_0: orthonormal columns of length n_0 B, from the stream of tangents."""
    n = net.widths[0]
    quads = -(-n // 4)
    key = network_key(net.canonical_json(), 0)
    drawn = normals(key, "tangent", 0, index, 4 * quads * batch_size * k, "float64")
    frame, r = np.linalg.qr(drawn.reshape(k, batch_size, 4 * quads)[:, :, :n].reshape(k, -1).T)
    return frame * np.sign(np.diag(r))


def compare_with_autograd(net, batch_size, k=3, **settings):
    torch = pytest.importorskip("torch", reason="PyTorch is needed for its Jacobians")
    settings |= {"batch_size": batch_size, "engine": "dense", "dtype": "float64"}
    found = vgsim.lyapunov(net, 4, k=k, layers=range(net.depth + 1), **settings)
    for index in range(4):
        replayed = vgsim.replay(net, 0, index, **settings)
        module = replayed.to_torch()
        x = torch.tensor(replayed.inputs.T, requires_grad=True)
        module(x)
        V = first_frame(net, batch_size, index, k).T.reshape(k, *x.shape)
        for l, state in enumerate(module.states):
            u = torch.zeros_like(state, requires_grad=True)
            if l == 0:
                pushed = V
            else:  # J v is the derivative of Jᵀ u with respect to u
                (back,) = torch.autograd.grad(state, x, u, create_graph=True)
                pushed = np.stack(
                    [
                        torch.autograd.grad(back, u, torch.tensor(v), retain_graph=True)[0].numpy()
                        for v in V
                    ]
                )
            R = np.linalg.qr(pushed.reshape(k, -1).T)[1]
            expected = np.log10(np.abs(np.diag(R)))
            np.testing.assert_allclose(found.stretching[index, l], expected, atol=1e-7)


@named
def test_equals_autograd(name):
    compare_with_autograd(*NETWORKS[name])


def with_equal_rows(widths):
    """Batch normalisation, and data of which two rows are 0 and two others are equal."""
    data = np.random.default_rng(sum(widths)).normal(size=(7, widths[0]))
    data[[1, 4]] = 0
    data[5] = data[2]
    net = vgsim.MLP(len(widths) - 1, widths, norm="batch", init="lecun_normal", gain=1.3)
    return net, {"batch_size": 7, "inputs": data}


EQUAL_ROWS = [
    (17, 19, 3, 3, 11),
    (7, 16, 13, 6),
    (16, 10, 6, 17, 12),
    (2, 6, 10, 12),
    (18, 17, 9, 8),
]


@pytest.mark.parametrize("widths", EQUAL_ROWS)
def test_tangents_of_equal_examples(widths):
    """Equal examples are equal in every layer, but their tangents are not."""
    net, settings = with_equal_rows(widths)
    compare_with_autograd(net, **settings)


@pytest.mark.parametrize("engine", ["matrix-free", "dense"])
@pytest.mark.parametrize("widths", EQUAL_ROWS)
def test_bits_of_equal_examples(widths, engine, monkeypatch):
    net, settings = with_equal_rows(widths)
    found = set()
    for segment_bytes in (_plan.SEGMENT_BYTES, 1):
        monkeypatch.setattr(_plan, "SEGMENT_BYTES", segment_bytes)
        for isa in _kernels.available_isas():
            _kernels.set_isa(isa)
            samples = vgsim.lyapunov(net, 40, k=2, engine=engine, n_threads=1, **settings)
            found.add(samples.stretching.tobytes())
            _kernels.set_isa(None)
    assert len(found) == 1


@pytest.mark.parametrize(
    "name", [name for name in NETWORKS if name not in ("saturated", "tiny", "uniform")]
)
def test_engines_agree_in_law(name):
    net, batch_size = NETWORKS[name]
    if isinstance(net, vgsim.RNN):
        pytest.skip("recurrent networks have one engine")
    size, k = 20_000, 2
    runs = [
        vgsim.lyapunov(
            net, size, k=k, batch_size=batch_size, engine=engine, seed=seed, layers=(2, net.depth)
        )
        for seed, engine in enumerate(("matrix-free", "dense"))
    ]
    a, b = (run.stretching.reshape(size, -1) for run in runs)
    for i in range(a.shape[1]):
        alive = [column[column > -np.inf] for column in (a[:, i], b[:, i])]
        noticed = stats.ks_2samp(alive[0] + 0.1 * alive[0].std(), alive[1]).pvalue
        assert noticed < 1e-4
        assert stats.ks_2samp(*alive).pvalue > 1e-5


@pytest.mark.parametrize("engine", ["matrix-free", "dense"])
def test_exponents_of_gaussian_matrices(engine):
    """Newman 1986: λ_i = (ln 2 + ψ((n − i + 1)/2))/2 for products of N(0, 1) matrices."""
    n = 10
    net = vgsim.MLP(500, n, activation="linear", init=vgsim.Initializer("normal", std=1.0))
    found = vgsim.lyapunov(net, 1000, k=n, engine=engine).exponents()
    exact = 0.5 * (np.log(2) + special.psi((n - np.arange(n)) / 2))
    error = (found.high - found.low) / 4
    assert error.max() < 0.002
    assert np.all(np.abs(found.estimate - exact) < 5 * error)
    np.testing.assert_allclose(found.estimate, exact, atol=0.005)


def test_exponents_of_orthogonal_matrices():
    net = vgsim.MLP(300, 12, activation="linear", init="orthogonal", gain=1.5)
    found = vgsim.lyapunov(net, 3, k=12).finite_exponents()
    np.testing.assert_allclose(found, np.log(1.5), atol=1e-6)


def test_relu_tangents_have_the_exact_law():
    """ln ‖J u‖² = Σ ln[(2/n) χ²_K], K binomial, as for the gradient."""
    n, depth, size = 16, 20, 20_000
    net = vgsim.MLP(depth, n, **RELU, init="lecun_normal", bias_std=0.3)
    found = vgsim.lyapunov(net, size, layers=(depth,)).tangent[:, 0]
    rng = np.random.default_rng(5)
    open_units = rng.binomial(n, 0.5, (size, depth))
    with np.errstate(divide="ignore"):
        exact = np.log10(rng.chisquare(np.maximum(open_units, 1)) * (open_units > 0) * 2 / n)
    alive = exact.sum(axis=1) / 2
    assert stats.ks_2samp(found + 0.05, alive).pvalue < 1e-6
    assert stats.ks_2samp(found[found > -np.inf], alive[alive > -np.inf]).pvalue > 1e-5


def test_forward_and_backward_have_one_growth_rate():
    net = vgsim.MLP(200, 40, init="lecun_normal", gain=1.5, bias_std=0.2)
    forward = vgsim.lyapunov(net, 2000, layers=(20, 200)).exponents(start=20)
    back = vgsim.simulate(net, 2000, layers=(20, 180)).log10_ratio
    slopes = (back[:, 0] - back[:, 1]) * np.log(10) / 160
    error = np.hypot(slopes.std() / 2000**0.5, (forward.high - forward.low) / 4)
    assert error < 0.001
    assert abs(forward.estimate[0] - slopes.mean()) < 5 * error


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@named
def test_bits(name, dtype, monkeypatch):
    net, batch_size = NETWORKS[name]

    def bits(n=21, first=3, n_threads=1):
        settings = {"k": 3, "dtype": dtype, "batch_size": batch_size, "n_threads": n_threads}
        found = vgsim.lyapunov(net, n, first=first, **settings)
        return found.stretching.tobytes()

    expected = bits()
    for isa in _kernels.available_isas():
        _kernels.set_isa(isa)
        assert bits(n_threads=3) == expected
        assert bits(1) + bits(20, 4) == expected
        _kernels.set_isa(None)
    monkeypatch.setattr(_plan, "SEGMENT_BYTES", 1)
    assert bits() == expected


def test_more_tangents_never_change_the_first():
    """R is triangular: further columns do not change the first."""
    net = mlp(20, 16)
    alone = vgsim.lyapunov(net, 50, engine="dense", dtype="float64").tangent
    among = vgsim.lyapunov(net, 50, k=5, engine="dense", dtype="float64").tangent
    np.testing.assert_allclose(alone, among, atol=1e-9)


def test_directions_are_lost_where_the_network_is_narrow():
    net = vgsim.MLP(4, [6, 6, 2, 6, 6], init="lecun_normal")
    found = vgsim.lyapunov(net, 10, k=4, layers=(0, 1, 2, 4))
    assert np.all(found.stretching[:, 1] > -np.inf)
    assert np.all(np.isneginf(found.stretching[:, 2:, 2:]))
    assert np.all(found.stretching[:, 2:, :2] > -np.inf)
    with pytest.raises(ValueError, match=r"keep all 4 directions, got \[10, 10, 0, 0\] of 10"):
        found.exponents()


def test_deep_chaos_neither_overflows_nor_underflows():
    for gain in (1e-30, 1e30):
        net = vgsim.MLP(3000, 8, activation="linear", init="lecun_normal", gain=gain)
        found = vgsim.lyapunov(net, 5, k=2, layers=(3000,))
        np.testing.assert_allclose(found.tangent, 3000 * np.log10(gain), atol=600)
        assert np.all(np.isfinite(found.stretching))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"k": 0}, "k must be an int from 1 to n_0 batch_size = 7, got 0"),
        ({"k": 8}, "k must be an int from 1 to n_0 batch_size = 7, got 8"),
        ({"batch_size": 2}, "batch_size must be 1 without norm 'batch', got 2"),
        ({"engine": "sparse"}, "engine must be one of"),
        ({"layers": (7,)}, "layers"),
        ({"n_samples": 0}, "n_samples must be"),
        ({"network": mlp(clip=vgsim.ClipNorm(1.0))}, "network must have no clip"),
        ({"seed": -1}, "seed must be an int >= 0"),
    ],
)
def test_refuses(change, message):
    arguments = {"network": mlp(), "n_samples": 3} | change
    with pytest.raises(ValueError, match=message):
        vgsim.lyapunov(**arguments)


def test_exponents_from_a_recorded_layer_only():
    found = vgsim.lyapunov(mlp(), 3, layers=(2, 6))
    with pytest.raises(ValueError, match=r"start must be one of .* \[2\], got 0"):
        found.exponents()
    assert found.exponents(start=2).estimate.shape == (1,)


def test_labels():
    pytest.importorskip("xarray")
    found = vgsim.lyapunov(mlp(), 4, k=2, layers=(6, 3), first=5)
    labelled = found.to_xarray()
    assert labelled.stretching.dims == ("sample", "layer", "direction")
    np.testing.assert_array_equal(labelled.sel(layer=3).stretching, found.stretching[:, 1])
    assert labelled.sample.values.tolist() == [5, 6, 7, 8]
    assert labelled.attrs["network"] == found.network.canonical_json()


@pytest.mark.parametrize(
    ("net", "batch_size", "rank"),
    [
        (vgsim.MLP(3, 16, init="lecun_normal", norm="layer"), 1, 15),
        (vgsim.MLP(3, 5, init="lecun_normal", norm="batch"), 4, 15),
        (vgsim.MLP(3, (8, 5, 7, 6), init="lecun_normal"), 1, 5),
        (vgsim.MLP(3, 16, init="lecun_normal", norm="rms"), 1, 16),
        (vgsim.MLP(4, 6, init="lecun_normal", residual=vgsim.Residual(2, style="pre")), 1, 6),
    ],
)
@pytest.mark.parametrize("engine", ["matrix-free", "dense"])
def test_what_no_network_can_keep_is_lost(net, batch_size, rank, engine):
    size = batch_size * net.widths[0]
    found = vgsim.lyapunov(net, 2000, k=size, batch_size=batch_size, engine=engine, layers=(3,))
    assert np.all(np.isneginf(found.stretching[:, 0, rank:]))
    assert np.all(found.stretching[:, 0, :rank] > -np.inf)
