"""The laws of parameters in JAX against draws of the twin, which has those of the kernels."""

import numpy as np
import pytest
from scipy import stats
from scipy.special import ndtri

import vgsim

jax = pytest.importorskip("jax", reason="JAX is needed for to_jax")

from vgsim._networks.jax.network import double_precision  # noqa: E402

SIZE = (60, 50)
LAPLACE = vgsim.Initializer(
    "custom",
    quantile=lambda p: np.where(p < 0.5, np.log(2 * p), -np.log(2 * (1 - p))) / np.sqrt(2),
)
LAWS = {
    "normal": "lecun_normal",
    "uniform": "he_uniform",
    "of torch": "torch_default",
    "siren": "siren",
    "truncated": vgsim.Initializer("truncated_normal", scale=2.0, mode="fan_avg"),
    "t": vgsim.Initializer("student_t", df=3.0),
    "heavy t": vgsim.Initializer("student_t", df=2.1),
    "laplace": "laplace",
    "signs": "rademacher",
    "sparse": vgsim.Initializer("sparse", density=0.3),
    "custom": LAPLACE,
    "custom normal": vgsim.Initializer("custom", quantile=ndtri, scale=3.0),
    "diagonal": vgsim.Initializer("diagonal", diagonal=0.5, scale=0.1),
}


def network_of(init):
    """Return a matrix, with a bias that is normal if the law has none of its own."""
    bias_std = 0.0 if init == "torch_default" else 0.3
    layer = vgsim.Linear(SIZE[0], init=init, gain=1.3, bias_std=bias_std)
    return vgsim.Sequential(SIZE[1], [layer])


def sorted_entries(a):
    """Return the entries apart from the diagonal, and the diagonal."""
    off = ~np.eye(*a.shape, dtype=bool)
    return np.sort(np.asarray(a, dtype=float)[off]), np.sort(np.diagonal(np.asarray(a, float)))


CASES = [(name, "float32") for name in LAWS] + [("t", "float64"), ("custom", "float64")]


@pytest.mark.parametrize(("name", "dtype"), CASES)
def test_entries_have_the_law_of_the_twin(name, dtype):
    net = network_of(LAWS[name])
    twin = vgsim.replay(net, seed=5, engine="dense", dtype=dtype).parameters
    with double_precision(dtype):
        drawn = net.to_jax(dtype=dtype).init(jax.random.key(7))
    assert {n: a.shape for n, a in drawn.items()} == {n: a.shape for n, a in twin.items()}
    assert {a.dtype.name for a in drawn.values()} == {dtype}
    entries = (sorted_entries(parameters["0.weight"]) for parameters in (drawn, twin))
    for mine, other in zip(*entries, strict=True):
        rounded = np.round(mine, 6), np.round(other, 6)  # so that equal atoms are equal
        assert stats.ks_2samp(*rounded).pvalue > 1e-4
    biases = drawn["0.bias"], twin["0.bias"]
    assert stats.ks_2samp(*biases).pvalue > 1e-4


def test_moments():
    net = vgsim.Sequential(
        200, [vgsim.Linear(init=vgsim.Initializer("sparse", density=0.25)), vgsim.Linear(gain=2.0)]
    )
    drawn = net.to_jax().init(jax.random.key(3))
    sparse, normal = np.asarray(drawn["0.weight"]), np.asarray(drawn["1.weight"])
    assert np.mean(sparse != 0) == pytest.approx(0.25, abs=0.01)
    assert 200 * sparse.var() == pytest.approx(1, rel=0.05)
    assert 200 * normal.var() == pytest.approx(4, rel=0.04)
    assert abs(np.corrcoef(sparse.ravel(), normal.ravel())[0, 1]) < 0.025


@pytest.mark.parametrize("shape", [(6, 6), (9, 4), (4, 9)])
def test_orthogonal_matrices(shape):
    n, m = shape
    net = vgsim.Sequential(m, [vgsim.Linear(n, init="orthogonal", gain=1.5)]).to_jax()
    keys = jax.random.split(jax.random.key(1), 400)
    W = np.asarray(jax.vmap(net.init)(keys)["0.weight"], dtype=float)
    products = W @ W.transpose(0, 2, 1) if n <= m else W.transpose(0, 2, 1) @ W
    np.testing.assert_allclose(
        products, np.broadcast_to(2.25 * np.eye(min(shape)), products.shape), atol=1e-5
    )
    N = max(shape)  # of Haar's measure: an entry squared has the law Beta(1/2, (N - 1)/2)
    for i, j in [(0, 0), (n - 1, m - 1)]:
        entry = W[:, i, j] / 1.5
        assert stats.kstest(entry**2, stats.beta(0.5, (N - 1) / 2).cdf).pvalue > 1e-4
        assert stats.binomtest(int((entry > 0).sum()), len(entry)).pvalue > 1e-4


def test_the_identity():
    drawn = vgsim.RNN(3, 5, init="identity", gain=0.7).to_jax().init(jax.random.key(0))
    np.testing.assert_allclose(drawn["weight"], 0.7 * np.eye(5), rtol=1e-6)


CELLS = {
    "rnn of torch": vgsim.RNN(2, 40, init="torch_recurrent", input_std=3**-0.5),
    "lstm, chrono": vgsim.LSTM(2, 40, chrono=50.0, bias_std=0.2, forget_bias=0.5),
    "gru": vgsim.GRU(2, 40, update_bias=1.0, bias_std=0.3),
    "gru of torch": vgsim.GRU(2, 40, init="torch_recurrent"),
}


@pytest.mark.parametrize("name", CELLS)
def test_cells_have_the_law_of_the_twin(name):
    net = CELLS[name]
    samples = [vgsim.replay(net, seed=5, index=i, batch_size=20).parameters for i in range(20)]
    in_jax = net.to_jax()
    keys = jax.random.split(jax.random.key(7), 20)
    drawn = jax.vmap(in_jax.init)(keys) | jax.vmap(lambda key: in_jax.draws(key, 20))(keys)
    for array in samples[0]:
        twin = np.array([sample[array] for sample in samples])
        mine = np.asarray(drawn[array])
        assert mine.shape == twin.shape
        rows = 40 if array != "drive" else mine.shape[1]
        for gate in range(0, mine.shape[1], rows):
            parts = (a[:, gate : gate + rows].ravel() for a in (mine, twin))
            assert stats.ks_2samp(*parts).pvalue > 1e-4


def test_chrono_biases_share_u():
    net = vgsim.LSTM(2, 50, chrono=30.0, forget_bias=0.5).to_jax()
    i, f, g, o = net.init(jax.random.key(2))["bias"].reshape(4, 50)
    np.testing.assert_array_equal(i, -f)
    assert (f >= 0.5).all()
    assert (f <= 0.5 + np.log(29) + 1e-5).all()
    assert len(np.unique(f)) > 40
    assert not g.any()
    assert not o.any()


def test_masks():
    layers = [vgsim.Dropout(0.3), vgsim.Linear(), vgsim.Dropout(0.3)]
    net = vgsim.Sequential(50, layers).to_jax()
    first, second = net.draws(jax.random.key(4), 80).values()
    assert first.shape == (50, 80)
    assert set(np.unique(first)) == {0.0, 1.0}
    assert stats.binomtest(int(first.sum()), first.size, 0.7).pvalue > 1e-4
    assert abs(np.corrcoef(np.ravel(first), np.ravel(second))[0, 1]) < 0.06


def test_parameters_of_a_place_do_not_depend_on_the_depth_or_on_biases():
    shallow = vgsim.MLP(2, 8).to_jax().init(jax.random.key(1))
    deep = vgsim.MLP(7, 8).to_jax(biases=True).init(jax.random.key(1))
    np.testing.assert_array_equal(deep["1.weight"], shallow["1.weight"])
    assert not np.array_equal(deep["0.weight"], deep["1.weight"])
    assert not any(np.asarray(deep[f"{l}.bias"]).any() for l in range(7))
