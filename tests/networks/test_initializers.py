"""Initialisers against draws of PyTorch and published formulas of Keras."""

import math
import pickle

import numpy as np
import pytest

import vgsim
from vgsim._networks.initializers import INITIALIZERS, Initializer

FAN_IN, FAN_OUT = 300, 500

ALL = [
    *(Initializer(name) for name in INITIALIZERS if name not in ("normal", "uniform")),
    Initializer("normal", std=0.01),
    Initializer("uniform", limit=0.05),
    Initializer("truncated_normal", scale=2.0, mode="fan_avg"),
    Initializer("truncated_normal", scale=0.5, mode="fan_out"),
]


@pytest.mark.parametrize(
    ("name", "scheme"),
    [
        ("glorot_normal", "xavier_normal_"),
        ("glorot_uniform", "xavier_uniform_"),
        ("he_normal", "kaiming_normal_"),
        ("he_uniform", "kaiming_uniform_"),
    ],
)
def test_standard_deviation_of_pytorchs_draws(name, scheme):
    torch = pytest.importorskip("torch", reason="PyTorch is the oracle of this test")
    torch.manual_seed(0)
    weight = torch.empty(FAN_OUT, FAN_IN, dtype=torch.float64)
    keywords = {"nonlinearity": "relu"} if name.startswith("he") else {}
    draws = getattr(torch.nn.init, scheme)(weight, **keywords).numpy()
    bound = 5 / math.sqrt(2 * draws.size)
    assert bound < 0.02
    init = Initializer(name)
    assert draws.std() == pytest.approx(init.weight_std(FAN_IN, FAN_OUT), rel=bound)
    is_uniform = np.abs(draws).max() < 1.8 * draws.std()
    assert init.distribution == ("uniform" if is_uniform else "normal")


def test_torch_default_is_the_reset_of_linear():
    torch = pytest.importorskip("torch", reason="PyTorch is the oracle of this test")
    torch.manual_seed(0)
    init = Initializer("torch_default")
    layer = torch.nn.Linear(FAN_IN, 2000, dtype=torch.float64)
    weight, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()
    assert weight.std() == pytest.approx(init.weight_std(FAN_IN, 2000), rel=0.005)
    assert np.abs(weight).max() == pytest.approx(
        math.sqrt(3) * init.weight_std(FAN_IN, 2000), rel=1e-4
    )
    assert np.abs(bias).max() == pytest.approx(init.bias_limit(FAN_IN), rel=0.01)
    assert np.abs(bias).max() < init.bias_limit(FAN_IN)
    assert init.distribution == "uniform"


@pytest.mark.parametrize(("n", "m"), [(40, 40), (20, 60), (60, 20)])
def test_orthogonal_is_that_of_pytorch(n, m):
    torch = pytest.importorskip("torch", reason="PyTorch is the oracle of this test")
    torch.manual_seed(0)
    draws = np.stack(
        [torch.nn.init.orthogonal_(torch.empty(n, m, dtype=torch.float64)) for _ in range(20)]
    )
    init = Initializer("orthogonal")
    assert np.sqrt(np.mean(draws**2)) == pytest.approx(init.weight_std(m, n), rel=1e-12)
    assert abs(draws.mean()) < 5 * init.weight_std(m, n) / math.sqrt(draws.size)
    assert init.distribution == "orthogonal"


def test_identity_has_the_root_mean_square_of_the_unit_matrix():
    init = Initializer("identity")
    assert init.weight_std(50, 50) == pytest.approx(np.sqrt(np.mean(np.eye(50) ** 2)), rel=1e-15)
    assert init.distribution == "identity"


@pytest.mark.parametrize(
    ("init", "scale", "mode", "distribution"),
    [
        (Initializer("lecun_normal"), 1.0, "fan_in", "normal"),
        (Initializer("lecun_uniform"), 1.0, "fan_in", "uniform"),
        (Initializer("glorot_normal"), 1.0, "fan_avg", "normal"),
        (Initializer("glorot_uniform"), 1.0, "fan_avg", "uniform"),
        (Initializer("he_normal"), 2.0, "fan_in", "normal"),
        (Initializer("he_uniform"), 2.0, "fan_in", "uniform"),
        (Initializer("truncated_normal"), 1.0, "fan_in", "truncated_normal"),
        (
            Initializer("truncated_normal", scale=2, mode="fan_avg"),
            2.0,
            "fan_avg",
            "truncated_normal",
        ),
        (Initializer("truncated_normal", mode="fan_out"), 1.0, "fan_out", "truncated_normal"),
    ],
)
def test_keras_variance_scaling(init, scale, mode, distribution):
    """keras.initializers.VarianceScaling(scale, mode, distribution), as documented."""
    n = {"fan_in": FAN_IN, "fan_out": FAN_OUT, "fan_avg": (FAN_IN + FAN_OUT) / 2}[mode]
    std = init.weight_std(FAN_IN, FAN_OUT)
    assert init.distribution == distribution
    if distribution == "uniform":
        assert math.sqrt(3) * std == pytest.approx(math.sqrt(3 * scale / n), rel=1e-15)
    else:
        assert std == pytest.approx(math.sqrt(scale / n), rel=1e-15)


@pytest.mark.parametrize("omega", [0.5, 30.0])
def test_siren_is_uniform_as_published(omega):
    """Sitzmann et al. 2020, section 3.2: uniform on ±√(6/fan_in)/ω."""
    init = Initializer("siren", omega=omega)
    limit = math.sqrt(3) * init.weight_std(FAN_IN, FAN_OUT)
    assert (init.distribution, init.bias_limit(FAN_IN)) == ("uniform", None)
    assert limit == pytest.approx(math.sqrt(6 / FAN_IN) / omega, rel=1e-15)


def test_siren_is_the_textbook_law_of_sine_networks():
    net = vgsim.MLP(3, 8, activation=vgsim.Activation("sine", omega=10.0))
    assert net.init == Initializer("siren", omega=10.0)
    assert "init=Initializer('siren', omega=10.0)" in repr(net)
    assert "init='siren'" in repr(vgsim.MLP(3, 8, activation="sine"))
    weights = vgsim.replay(net, seed=1).weights
    limit = math.sqrt(6 / 8) / 10
    assert max(np.abs(w).max() for w in weights) <= limit
    assert np.std(weights) == pytest.approx(limit / math.sqrt(3), rel=0.15)


def test_absolute_scales_ignore_the_width():
    for fan_in, fan_out in ((1, 1), (784, 10)):
        assert Initializer("normal", std=0.01).weight_std(fan_in, fan_out) == 0.01
        uniform = Initializer("uniform", limit=0.05)
        assert math.sqrt(3) * uniform.weight_std(fan_in, fan_out) == pytest.approx(0.05, rel=1e-15)


@pytest.mark.parametrize("init", ALL, ids=repr)
def test_only_the_laws_of_pytorch_have_biases(init):
    limit = init.bias_limit(FAN_IN)
    own = init.name in ("torch_default", "torch_recurrent")
    assert limit == (1 / math.sqrt(FAN_IN) if own else None)


@pytest.mark.parametrize("init", ALL, ids=repr)
def test_equal_initialisers_are_one(init):
    assert pickle.loads(pickle.dumps(init)) == init
    assert Initializer.from_json(init.to_json()) == init
    assert eval(repr(init)) == init
    if init.distribution != "identity" and not init.is_recurrent:
        assert vgsim.MLP(3, 4, init=init).init is init
    assert len({init, Initializer.from_json(init.to_json())}) == 1
    with pytest.raises(AttributeError):
        init.name = "he_normal"


def test_json():
    assert Initializer("he_normal").to_json() == "he_normal"
    assert Initializer("normal", std=0.01).to_json() == {"name": "normal", "std": 0.01}
    assert Initializer("truncated_normal", scale=1, mode="fan_in").to_json() == "truncated_normal"
    assert Initializer("truncated_normal", mode="fan_avg").to_json() == {
        "name": "truncated_normal",
        "mode": "fan_avg",
    }
    assert Initializer("truncated_normal").parameters == {"scale": 1.0, "mode": "fan_in"}


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (
            lambda: vgsim.MLP(3, 4, init="xavier"),
            ValueError,
            ["init", "'xavier'", "'glorot_normal'"],
        ),
        (lambda: vgsim.MLP(3, 4, init=0.1), TypeError, ["init", "0.1", "vgsim.Initializer"]),
        (lambda: vgsim.MLP(3, 4, init="normal"), TypeError, ["'normal'", "needs std", "std=0.05"]),
        (lambda: Initializer("uniform"), TypeError, ["'uniform'", "needs limit"]),
        (lambda: Initializer("normal", std=0.0), ValueError, ["std", "0.0", "1e-100"]),
        (lambda: Initializer("normal", std=None), TypeError, ["std", "None"]),
        (lambda: Initializer("uniform", limit=math.inf), ValueError, ["limit", "inf"]),
        (lambda: Initializer("he_normal", std=1.0), TypeError, ["'he_normal'", "std=1.0"]),
        (lambda: Initializer("truncated_normal", scale=-1), ValueError, ["scale", "-1"]),
        (
            lambda: Initializer("truncated_normal", mode="fan"),
            ValueError,
            ["mode", "'fan'", "'fan_in'", "'fan_avg'", "'fan_out'"],
        ),
        (lambda: Initializer("truncated_normal", mode=1), TypeError, ["mode", "1", "'fan_in'"]),
    ],
)
def test_errors_name_the_argument_the_value_and_what_is_allowed(make, error, words):
    with pytest.raises(error) as caught:
        make()
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        ("kaiming_normal", "he_normal"), ("kaiming_uniform_", "he_uniform"), ("he", "he_normal"),
        ("Xavier-Normal", "glorot_normal"), ("trunc_normal_", "truncated_normal"),
        ("lecun_norml", "lecun_normal"), ("HE_NORMAL", "he_normal"),
        ("orthogonal_", "orthogonal"), ("Haar", "orthogonal"), ("eye", "identity"),
    ],
)  # fmt: skip
def test_names_of_others_are_understood_in_the_error(name, ours):
    with pytest.raises(ValueError, match=rf"'{name}' is unknown \(did you mean '{ours}'\?\); the"):
        Initializer(name)


def test_textbook_is_among_the_choices():
    for network in (vgsim.MLP, vgsim.RNN, vgsim.LSTM, vgsim.GRU):
        with pytest.raises(ValueError, match=r"'txtbook' is unknown \(did you mean 'textbook'\?\)"):
            network(3, 4, init="txtbook")
    assert vgsim.MLP(3, 4, init="textbook") == vgsim.MLP(3, 4)
    with pytest.raises(TypeError, match="'textbook' takes no parameters, got std=1"):
        vgsim.sweep(vgsim.MLP, depth=3, width=4, init="textbook", init__std=1)
