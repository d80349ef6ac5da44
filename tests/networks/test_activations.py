"""Activations against mpmath in 400 digits, against PyTorch, and their stated limits."""

import copy
import math
import pickle
import re

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vgsim._networks.activation_table import ACTIVATIONS
from vgsim._networks.activations import Activation, as_activation
from vgsim._networks.initializers import INITIALIZERS, Initializer

ALL = [Activation(name) for name in ACTIVATIONS] + [
    Activation("leaky_relu", slope=0.2),
    Activation("leaky_relu", slope=0),
    Activation("elu", alpha=0.5),
    Activation("elu", alpha=2.5),
    Activation("sine", omega=0.7),
]
every_activation = pytest.mark.parametrize("activation", ALL, ids=repr)

KINKS = [-3.0, -1.0, -0.0, 0.0, 1.0, 3.0, 6.0]
ROOTS = {  # of the derivatives
    "gelu": -0.7517915241404,
    "silu": -1.2784645427611,
    "mish": -1.1924312145154,
    "gelu_tanh": -0.7524614220711,
    "hard_swish": -1.5,
}


def points():
    rng = np.random.default_rng(0)
    sizes = np.concatenate([10.0 ** rng.uniform(-12, math.log10(700), 60), rng.uniform(0, 40, 20)])
    return np.concatenate([sizes, -sizes, [700.0, -700.0]])


def exact(activation):
    """Return φ and φ' by textbook formulas; 400 digits make up for cancellation."""
    m, p = mpmath, activation.parameters
    scale, alpha = (
        m.mpf("1.0507009873554804934193349852946"),
        m.mpf("1.6732632423543772848170429916717"),
    )

    def density(h):
        return m.exp(-h * h / 2) / m.sqrt(2 * m.pi)

    def elu(a, s=1):
        return (
            lambda h: s * h if h > 0 else s * a * (m.exp(h) - 1),
            lambda h: m.mpf(s) if h > 0 else s * a * m.exp(h),
        )

    def sigma(h):
        return 1 / (1 + m.exp(-h))

    def normal_cdf(h):
        return (1 + m.erf(h / m.sqrt(2))) / 2

    def cubic(h, order=0):
        """√(2/π) (h + 0.044715 h³), or its derivative."""
        k = m.mpf("0.044715")
        return m.sqrt(2 / m.pi) * (1 + 3 * k * h**2 if order else h + k * h**3)

    table = {
        "linear": (lambda h: h, lambda h: m.mpf(1)),
        "relu": (lambda h: max(h, 0), lambda h: m.mpf(h > 0)),
        "leaky_relu": (
            lambda h: h if h > 0 else p["slope"] * h,
            lambda h: m.mpf(1) if h > 0 else m.mpf(p["slope"]),
        ),
        "elu": elu(m.mpf(p.get("alpha", 1))),
        "selu": elu(alpha, scale),
        "gelu": (lambda h: h * normal_cdf(h), lambda h: normal_cdf(h) + h * density(h)),
        "silu": (
            lambda h: h * sigma(h),
            lambda h: sigma(h) + h * sigma(h) * (1 - sigma(h)),
        ),
        "softplus": (lambda h: m.log(1 + m.exp(h)), sigma),
        "sigmoid": (sigma, lambda h: sigma(h) * (1 - sigma(h))),
        "tanh": (m.tanh, lambda h: 1 - m.tanh(h) ** 2),
        "hard_tanh": (lambda h: max(min(h, 1), -1), lambda h: m.mpf(abs(h) < 1)),
        "erf": (m.erf, lambda h: 2 / m.sqrt(m.pi) * m.exp(-h * h)),
        "softsign": (lambda h: h / (1 + abs(h)), lambda h: 1 / (1 + abs(h)) ** 2),
        "mish": (
            lambda h: h * m.tanh(m.log1p(m.exp(h))),
            lambda h: m.tanh(m.log1p(m.exp(h))) + h * sigma(h) * m.sech(m.log1p(m.exp(h))) ** 2,
        ),
        "relu6": (lambda h: min(max(h, 0), 6), lambda h: m.mpf(0 < h < 6)),
        "hard_sigmoid": (
            lambda h: min(max(h + 3, 0), 6) / m.mpf(6),
            lambda h: m.mpf(abs(h) < 3) / 6,
        ),
        "hard_swish": (
            lambda h: h * min(max(h + 3, 0), 6) / m.mpf(6),
            lambda h: (2 * h + 3) / 6 if abs(h) < 3 else m.mpf(h > 0),
        ),
        "gelu_tanh": (
            lambda h: h / 2 * (1 + m.tanh(cubic(h))),
            lambda h: (1 + m.tanh(cubic(h)) + h * cubic(h, 1) * m.sech(cubic(h)) ** 2) / 2,
        ),
        "sine": (
            lambda h: m.sin(p["omega"] * h),
            lambda h: p["omega"] * m.cos(p["omega"] * h),
        ),
    }
    return table[activation.name]


@pytest.mark.parametrize("which", ["value", "derivative"])
@every_activation
def test_relative_accuracy_wherever_float64_can_hold_the_result(activation, which):
    h = points()
    if which == "derivative" and activation.name in ROOTS:
        h = h[np.abs(h - ROOTS[activation.name]) > 0.2]
    with mpmath.workdps(650):
        function = exact(activation)[which == "derivative"]
        expected = [function(mpmath.mpf(x)) for x in h]
        if activation.name == "sine":  # the rounding of ω h is an absolute error of the phase
            largest, phase = (
                activation.parameters["omega"] ** (which == "derivative"),
                mpmath.mpf(2),
            )
            phase *= activation.parameters["omega"] * 2**-53
            errors = [
                abs(x - y) / (abs(y) + largest * phase * abs(at))
                for x, y, at in zip(getattr(activation, which)(h), expected, h, strict=True)
            ]
            assert max(errors) < 1
            return
        normal = np.array([abs(y) >= np.finfo(float).tiny for y in expected])
        got = getattr(activation, which)(h)
        error = [
            abs(mpmath.mpf(x) / y - 1)
            for x, y in zip(got[normal], np.array(expected)[normal], strict=True)
        ]
    assert normal.sum() > 40
    assert max(error) < 1e-13
    assert np.all(np.abs(got[~normal]) < 3e-308)


@pytest.mark.parametrize("name", ROOTS)
def test_derivative_is_accurate_absolutely_around_its_root(name):
    activation = Activation(name)
    h = ROOTS[name] + np.linspace(-0.3, 0.3, 61)
    with mpmath.workdps(40):
        expected = np.array([float(exact(activation)[1](mpmath.mpf(x))) for x in h])
    assert np.ptp(np.sign(expected)) == 2
    np.testing.assert_allclose(activation.derivative(h), expected, rtol=0, atol=4e-16)


@every_activation
def test_same_as_pytorch_with_its_derivative_at_the_kinks(activation):
    torch = pytest.importorskip("torch", reason="PyTorch is the oracle of this test")
    module = ACTIVATIONS[activation.name].torch(torch.nn, *activation.parameters.values())
    grid = np.concatenate([np.linspace(-6.0, 6.0, 241), KINKS])
    h = torch.tensor(grid, dtype=torch.float64, requires_grad=True)
    y = module(h)
    (gradient,) = torch.autograd.grad(y.sum(), h)
    np.testing.assert_allclose(activation.value(grid), y.detach().numpy(), rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(
        activation.derivative(grid), gradient.numpy(), rtol=2e-10, atol=3e-15
    )


def test_hard_sigmoid_is_pytorchs_but_for_its_slope_in_float64():
    torch = pytest.importorskip("torch", reason="PyTorch is the oracle of this test")
    ours = ACTIVATIONS["hard_sigmoid"].torch(torch.nn)
    assert isinstance(ours, torch.nn.Hardsigmoid)
    h = torch.linspace(-4.0, 4.0, 81, requires_grad=True)
    slopes = [
        torch.autograd.grad(module(h).sum(), h)[0] for module in (ours, torch.nn.Hardsigmoid())
    ]
    torch.testing.assert_close(*slopes)
    torch.testing.assert_close(ours(h), torch.nn.Hardsigmoid()(h))


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_is_odd(name):
    phi, h = Activation(name), points()
    odd = np.array_equal(phi.value(-h), -phi.value(h))
    assert ACTIVATIONS[name].is_odd == odd


@every_activation
def test_max_derivative_is_the_supremum(activation):
    h = np.concatenate([np.linspace(-50.0, 50.0, 2_000_001), KINKS, np.nextafter(KINKS, 0.0)])
    seen = np.abs(activation.derivative(h)).max()
    assert seen <= activation.max_derivative * (1 + 1e-15)
    assert seen == pytest.approx(activation.max_derivative, rel=1e-9)


def test_published_maxima():
    assert Activation("mish").max_derivative == pytest.approx(1.0884981612517279, rel=1e-15)
    assert Activation("gelu").max_derivative == pytest.approx(1.1289041451851551, rel=1e-14)
    assert Activation("silu").max_derivative == pytest.approx(1.0998393201288669, rel=1e-14)
    assert Activation("selu").max_derivative == pytest.approx(1.7580993408473766, rel=1e-15)
    assert Activation("elu", alpha=2.5).max_derivative == 2.5
    assert Activation("elu", alpha=0.5).max_derivative == 1.0


@every_activation
def test_one_sided_slopes(activation):
    for slopes, size, tolerance in (
        (activation.slope_at_zero, 1e-9, 1e-8),
        (activation.slope_at_infinity, 1e12, 1e-11),
    ):
        h = np.array([-size, size])
        if activation.value(0.0) != 0 and slopes is activation.slope_at_zero:
            assert np.isnan(slopes).all()
        else:
            np.testing.assert_allclose(activation.value(h) / h, slopes, rtol=0, atol=tolerance)


@every_activation
def test_huge_arguments_give_no_nan_and_no_warning(activation):
    h = np.array([1e300, -1e300, 1e30, -1e30, 710.0, -750.0])
    assert np.isfinite(activation.value(h)).all()
    assert np.isfinite(activation.derivative(h)).all()


@pytest.mark.parametrize(
    ("function", "logarithm"), [("value", "log_value"), ("derivative", "log_derivative")]
)
@every_activation
def test_what_decays_smoothly_has_its_logarithm(activation, function, logarithm):
    """Without the logarithm, the twin would take an underflow of φ or φ' for a dead unit."""
    far = np.geomspace(1.0, 1e30, 20_000)
    h = np.concatenate([-far, far])
    y = getattr(activation, function)(h)
    log = getattr(ACTIVATIONS[activation.name], logarithm)
    decayed = (y != 0) & (np.abs(y) < 1e-30) & (np.abs(y) > 1e-300)
    assert (log is not None) == decayed.any()
    if log is not None:
        h, y = h[decayed], y[decayed]
        sign, size = log(h, *activation.parameters.values())
        np.testing.assert_array_equal(np.broadcast_to(sign, h.shape), np.sign(y))
        np.testing.assert_allclose(size, np.log(np.abs(y)), rtol=1e-14)


def test_a_smooth_activation_does_not_die_of_rounding():
    assert Activation("tanh").derivative(300.0) > 0
    assert Activation("sigmoid").derivative(-700.0) > 0
    assert Activation("erf").derivative(26.0) > 0


@every_activation
def test_shapes_and_dtypes(activation):
    for h in (0.5, [0.5, -0.5], np.zeros((2, 3), dtype=np.float32), np.arange(3)):
        for result in (activation.value(h), activation.derivative(h)):
            assert isinstance(result, np.ndarray)
            assert result.dtype == np.float64
            assert result.shape == np.shape(h)


def test_value_never_aliases_its_argument():
    h = np.ones(3)
    for activation in ALL:
        activation.value(h)[:] = 7
    np.testing.assert_array_equal(h, 1)


def test_identity():
    a, b = Activation("leaky_relu"), Activation("leaky_relu", slope=0.01)
    assert a == b
    assert hash(a) == hash(b)
    assert a != Activation("leaky_relu", slope=0.1)
    assert a != Activation("relu")
    assert Activation("leaky_relu", slope=-0.0) == Activation("leaky_relu", slope=0)
    assert len(set(ALL)) == len(ALL)
    with pytest.raises(AttributeError):
        a.name = "relu"
    with pytest.raises(TypeError):
        a.parameters["slope"] = 1.0


@every_activation
def test_survives_pickle_copy_and_json(activation):
    assert pickle.loads(pickle.dumps(activation)) == activation
    assert copy.deepcopy(activation) == activation
    assert Activation.from_json(activation.to_json()) == activation
    assert eval(repr(activation)) == activation


@given(st.floats(1e-6, 1e6))
def test_json_holds_the_exact_parameter(slope):
    activation = Activation("leaky_relu", slope=slope)
    assert activation.parameters == {"slope": slope}
    assert activation.kernel_parameters == (slope, 0.0)
    assert Activation.from_json(activation.to_json()) == activation


def test_json_and_parameters():
    assert Activation("tanh").to_json() == "tanh"
    assert Activation("leaky_relu", slope=0.01).to_json() == "leaky_relu"
    assert Activation("leaky_relu", slope=0.1).to_json() == {"name": "leaky_relu", "slope": 0.1}
    assert Activation("leaky_relu").parameters == {"slope": 0.01}
    assert Activation("elu").parameters == {"alpha": 1.0}
    assert Activation("elu", alpha=2).kernel_parameters == (2.0, 0.0)
    assert Activation("selu").parameters == {}
    assert Activation("selu").kernel_parameters == (0.0, 0.0)


def test_textbook_initialisers():
    assert {law.textbook_init for law in ACTIVATIONS.values()} <= set(INITIALIZERS)
    assert Activation("mish").textbook_init == Initializer("he_normal")
    assert Activation("hard_sigmoid").textbook_init == Initializer("glorot_normal")
    assert Activation("sine").textbook_init == Initializer("siren")
    assert Activation("sine", omega=7).textbook_init == Initializer("siren", omega=7.0)


def test_swish_is_silu():
    swish = Activation("swish")
    assert swish == as_activation("swish") == Activation("silu")
    assert (swish.name, swish.to_json(), repr(swish)) == ("silu", "silu", "Activation('silu')")
    assert Activation.from_json("swish") == swish
    with pytest.raises(TypeError, match="'silu' takes no parameters, got omega=1"):
        Activation("swish", omega=1)


def test_sine_takes_its_frequency():
    sine = Activation("sine", omega=2)
    assert sine.parameters == {"omega": 2.0}
    assert (sine.frequency, sine.kernel_parameters) == (2.0, (2.0, 0.0))
    assert Activation("sine").to_json() == "sine"
    assert sine.to_json() == {"name": "sine", "omega": 2.0}
    assert Activation("tanh").frequency is None
    with pytest.raises(ValueError, match="omega of activation 'sine' must be from 1e-6 to 1e6"):
        Activation("sine", omega=0)


def test_as_activation():
    assert as_activation("gelu") == Activation("gelu")
    leaky = Activation("leaky_relu", slope=0.3)
    assert as_activation(leaky) is leaky


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (
            lambda: as_activation("swich"),
            ValueError,
            ["activation", "'swich'", "'silu'", "'softsign'"],
        ),
        (lambda: as_activation(3), TypeError, ["activation", "3", "'silu'", "vgsim.Activation"]),
        (lambda: Activation(None), TypeError, ["activation", "None"]),
        (
            lambda: Activation("tanh", slope=0.1),
            TypeError,
            ["'tanh'", "no parameters", "slope=0.1"],
        ),
        (lambda: Activation("elu", slope=0.1), TypeError, ["'elu'", "'alpha'", "slope=0.1"]),
        (lambda: Activation("leaky_relu", slope=-0.1), ValueError, ["slope", "-0.1", "1e6"]),
        (lambda: Activation("leaky_relu", slope=math.nan), ValueError, ["slope", "nan"]),
        (lambda: Activation("leaky_relu", slope=10**400), ValueError, ["slope"]),
        (lambda: Activation("leaky_relu", slope=True), TypeError, ["slope", "True"]),
        (lambda: Activation("leaky_relu", slope=None), TypeError, ["slope", "None"]),
        (lambda: Activation("elu", alpha=0), ValueError, ["alpha", "0", "1e-6"]),
        (lambda: Activation("elu", alpha="1"), TypeError, ["alpha", "'1'"]),
    ],
)
def test_errors_name_the_argument_the_value_and_what_is_allowed(make, error, words):
    with pytest.raises(error) as caught:
        make()
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("Swish", "did you mean 'silu'?"), ("hardswish", "did you mean 'hard_swish'?"),
        ("sin", "did you mean 'sine'?"), ("hardtanh", "did you mean 'hard_tanh'?"),
        ("ReLU", "did you mean 'relu'?"), ("LeakyReLU", "did you mean 'leaky_relu'?"),
        ("leaky_relu:slope=0.1", "parameters are keywords: Activation('leaky_relu', slope=0.1)"),
    ],
)  # fmt: skip
def test_names_of_others_are_understood_in_the_error(name, hint):
    with pytest.raises(
        ValueError, match=re.escape(f"activation {name!r} is unknown ({hint}); the choices")
    ):
        Activation(name)


def test_no_hint_where_nothing_is_close():
    with pytest.raises(ValueError, match="activation 'maxout' is unknown; the choices are"):
        Activation("maxout")
