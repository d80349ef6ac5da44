"""Theory of weights that are not normal: moments that see the law, and what is refused."""

import numpy as np
import pytest

import vgsim
from vgsim._networks.initializers import Initializer
from vgsim.theory import exact_law, log_gradient_moments, mean_field, place_moments

# Fourth moments of weights of variance 1.
KURTOSIS = {
    "normal": (Initializer("lecun_normal"), 3.0),
    "uniform": (Initializer("lecun_uniform"), 9 / 5),
    "rademacher": (Initializer("rademacher"), 1.0),
    "laplace": (Initializer("laplace"), 6.0),
    "sparse": (Initializer("sparse", density=0.5), 6.0),
    "student_t": (Initializer("student_t", df=12), 3 * 10 / 8),
}
DIAGONAL = Initializer("diagonal", scale=0.1)
HEAVY = Initializer("student_t", df=4)


@pytest.mark.parametrize("law", KURTOSIS)
def test_first_layer_of_a_one_hot_input(law, seed):
    """n Var(‖x_1‖²)/(E‖x_1‖²)² = 2 μ4 − 1 for ReLU, because x_1 is one column of W."""
    init, kurtosis = KURTOSIS[law]
    n, count = 16, 40_000
    net = vgsim.MLP(1, [8, n], activation="relu", init=init)
    samples = vgsim.simulate(
        net, count, seed=seed, inputs=np.eye(8), engine="dense", record=("activation",), layers=[1]
    )
    square = n * 10 ** (2 * samples.activation[:, 0]) * 8  # of weights of variance 1
    assert square.mean() == pytest.approx(n / 2, rel=5 * ((2 * kurtosis - 1) / n / count) ** 0.5)
    relative = n * square.var() / (n / 2) ** 2
    error = 4 * n * np.std((square - n / 2) ** 2) / n**2 / count**0.5
    assert abs(relative - (2 * kurtosis - 1)) < 5 * error
    assert error < 0.15 * max(2 * kurtosis - 1, 1)


@pytest.mark.parametrize("law", ["uniform", "rademacher", "laplace", "student_t"])
def test_wide_networks_depend_on_the_variance_only(law, seed):
    """Dense inputs: mean and variance of ln‖G_0‖² are those of normal weights up to 1/n."""
    init, _ = KURTOSIS[law]
    net = vgsim.MLP(20, 100, activation="relu", init=init, gain=2**0.5)
    found = log_gradient_moments(net)
    assert not found.exact
    assert found.source == "law of normal weights of that variance"
    samples = vgsim.simulate(net, 1000, seed=seed, layers=[0, 20])
    x = 2 * np.log(10) * samples.log10_ratio[:, 0]
    assert abs(x.mean() - found.mean) < 5 * x.std() / 1000**0.5 + 0.05
    assert abs(x.var() / found.variance - 1) < 5 * (2 / 1000) ** 0.5 + 0.05


@pytest.mark.parametrize("law", [law for law in KURTOSIS if law != "normal"])
def test_no_exact_law_is_claimed(law):
    init, _ = KURTOSIS[law]
    for net in (
        vgsim.MLP(5, 8, activation="relu", init=init),
        vgsim.Sequential(8, [vgsim.Linear(init=init), "relu"]),
        vgsim.MLP(6, 8, activation="linear", init=init, residual=vgsim.Residual()),
    ):
        with pytest.raises(ValueError, match="law"):
            exact_law(net)
    assert mean_field(vgsim.MLP(5, 8, init=init)) == mean_field(
        vgsim.MLP(5, 8, init="lecun_normal")
    )
    one, other = (
        place_moments(vgsim.Sequential(8, [vgsim.Linear(init=i), "gelu"] * 3))
        for i in (init, "lecun_normal")
    )
    np.testing.assert_allclose(one.growth, other.growth, rtol=1e-12)


@pytest.mark.parametrize(
    ("init", "words"),
    [(DIAGONAL, "'diagonal' are not independent"), (HEAVY, "df = 4 have no finite fourth moment")],
    ids=["diagonal", "heavy"],
)
def test_laws_without_a_limit_are_refused(init, words):
    own = {"init": init}
    for net in (
        vgsim.MLP(5, 8, **own),
        vgsim.MLP(5, 8, activation="relu", **own),
        vgsim.MLP(5, 8, norm="layer", **own),
        vgsim.MLP(5, 8, activation="relu", norm="batch", **own),
        vgsim.MLP(6, 8, residual=vgsim.Residual(2), **own),
        vgsim.MLP(6, 8, residual=vgsim.Residual(2, style="post"), **own),
        vgsim.MLP(5, 8, highway=vgsim.Highway(), **own),
        vgsim.Sequential(8, [vgsim.Linear(**own), "tanh"] * 3),
        vgsim.Sequential(8, [vgsim.Skip([vgsim.Linear(**own), "tanh"])] * 3),
    ):
        batch = {"batch_size": 8} if net.mixes_examples else {}
        with pytest.raises(ValueError, match=words) as caught:
            log_gradient_moments(net, **batch)
        assert caught.value.argument == "network"
    for net in (vgsim.MLP(5, 8, **own), vgsim.RNN(5, 8, **own)):
        with pytest.raises(ValueError, match=words):
            mean_field(net)
