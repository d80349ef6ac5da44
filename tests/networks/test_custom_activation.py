"""Custom activations: their tables against the functions, and the functions that are refused."""

import math
import pickle

import numpy as np
import pytest

import vgsim
from vgsim import Activation
from vgsim._networks.custom_table import CustomTable, encoded_tables, keep_encoded

SMOOTH = ("linear", "elu", "selu", "gelu", "silu", "softplus", "sigmoid", "tanh", "erf")
KINDS = {
    "linear": "custom_homogeneous",
    "elu": "custom_homogeneous",
    "selu": "custom_homogeneous",
    "gelu": "custom_homogeneous",
    "silu": "custom_homogeneous",
    "softplus": "custom_rising",
    "sigmoid": "custom_bounded",
    "tanh": "custom_saturating",
    "erf": "custom_saturating",
}


def copy_of(name, **options):
    """A custom activation with the functions of a built-in one."""
    phi = Activation(name)
    return Activation("custom", function=phi.value, derivative=phi.derivative, **options)


@pytest.mark.parametrize("name", SMOOTH)
def test_a_copy_of_a_built_in_activation_equals_it(name):
    copy, phi = copy_of(name), Activation(name)
    assert copy.table.kind == KINDS[name]
    near = np.linspace(-30.0, 30.0, 4001)
    roots = 1e-14 * (name in ("gelu", "silu"))  # φ' has a zero there
    for got, expected in (
        (copy.value(near), phi.value(near)),
        (copy.derivative(near), phi.derivative(near)),
    ):
        known = np.abs(expected) > 1e-290
        assert np.all(np.abs(got - expected)[known] <= 1e-12 * np.abs(expected)[known] + roots)
    assert copy.max_derivative == pytest.approx(phi.max_derivative, rel=1e-6)
    assert copy.slope_at_infinity == phi.slope_at_infinity
    assert copy.slope_at_zero == pytest.approx(phi.slope_at_zero, rel=1e-13, nan_ok=True)
    assert copy.kinks == phi.kinks
    assert copy.textbook_init == vgsim.Initializer("glorot_normal")


@pytest.mark.parametrize(
    ("name", "h", "log_value", "log_derivative"),
    [
        ("silu", -600.0, -600 + np.log(600), -600 + np.log(599)),
        ("softplus", -600.0, -600, -600),
        ("sigmoid", -600.0, -600, -600),
        ("sigmoid", 600.0, 0.0, -600),
        ("tanh", -300.0, 0.0, np.log(4) - 600),
        ("erf", 25.0, 0.0, np.log(2 / np.sqrt(np.pi)) - 625),
        ("elu", -600.0, 0.0, -600),
    ],
)
def test_the_logarithms_hold_where_a_float32_underflows(name, h, log_value, log_derivative):
    copy, phi = copy_of(name), Activation(name)
    sign, log = copy.law.log_value(np.array([h]), *copy._values)
    assert sign[0] == np.sign(phi.value(h))
    assert log[0] == pytest.approx(log_value, rel=1e-12)
    sign, log = copy.law.log_derivative(np.array([h]), *copy._values)
    assert sign[0] == np.sign(phi.derivative(h))
    assert log[0] == pytest.approx(log_derivative, rel=1e-12)


def test_beyond_what_float64_can_hold_a_bounded_activation_is_dead():
    copy = copy_of("tanh")
    assert copy.derivative([340.0, 350.0]).tolist() == [
        pytest.approx(4 * np.exp(-680.0), rel=1e-12),
        0.0,
    ]


def test_an_activation_with_cancellation_at_zero_keeps_its_relative_accuracy():
    shifted = Activation(
        "custom",
        function=lambda h: np.logaddexp(0.0, h) - np.log(2.0),
        derivative=lambda h: np.exp(-np.logaddexp(0.0, -h)),
    )
    h = np.array([-1e-6, -1e-12, 1e-12, 1e-6])
    expected = h / 2 + h**2 / 8  # and − h⁴/192
    assert shifted.value(h) == pytest.approx(expected, rel=1e-14)
    assert shifted.slope_at_infinity == (0.0, 1.0)
    assert shifted.value(-700.0) == pytest.approx(-np.log(2.0), rel=1e-15)


@pytest.mark.parametrize(
    ("function", "derivative", "given", "kinks"),
    [
        (np.abs, np.sign, (), (0.0,)),
        (lambda h: np.clip(h, -1, 1), lambda h: 1.0 * (np.abs(h) < 1), (), (-1.0, 1.0)),
        (lambda h: np.maximum(h, 0.7), lambda h: 1.0 * (h > 0.7), (), (0.7,)),
        (lambda h: np.maximum(h, 1 / 3), lambda h: 1.0 * (h > 1 / 3), (1 / 3,), (1 / 3,)),
        (
            lambda h: h * np.clip(h + 3, 0, 6) / 6,
            lambda h: np.select([h < -3, h > 3], [0.0, 1.0], (2 * h + 3) / 6),
            (),
            (-3.0, 3.0),
        ),
    ],
)
def test_kinks_are_found_and_fitted(function, derivative, given, kinks):
    phi = Activation("custom", function=function, derivative=derivative, kinks=given)
    assert phi.kinks == kinks
    h = np.concatenate([np.linspace(-9, 9, 1001), np.array(kinks)])
    assert phi.value(h) == pytest.approx(function(h), rel=2e-15, abs=2e-15)
    away = h[np.min(np.abs(h[:, np.newaxis] - kinks), axis=1) > 1e-12]
    assert phi.derivative(away) == pytest.approx(derivative(away), rel=2e-15, abs=2e-15)


def test_at_a_kink_the_slope_is_that_of_the_derivative():
    relu = lambda h: np.maximum(h, 0.0)  # noqa: E731
    closed = Activation("custom", function=relu, derivative=lambda h: 1.0 * (h > 0))
    opened = Activation("custom", function=relu, derivative=lambda h: 1.0 * (h >= 0))
    assert (closed.derivative(0.0), opened.derivative(0.0)) == (0.0, 1.0)
    assert Activation("custom", function=np.abs, derivative=np.sign).derivative(0.0) == -1.0


def random_noise(h):
    return h + np.random.default_rng().uniform(size=h.shape)


def bump(h):
    """A feature narrower than any grid finds by luck."""
    return 1e-2 * np.exp(-1e8 * (h - 0.12345678) ** 2)


@pytest.mark.parametrize(
    ("function", "derivative", "argument", "words"),
    [
        (lambda h: h * h, lambda h: 2 * h, "function", "curved tail on the left: its slope is"),
        (np.sin, np.cos, "function", "curved tail on the left"),
        (lambda h: np.maximum(h, 0) ** 2, lambda h: 2 * np.maximum(h, 0), "function", "right: its"),
        (lambda h: h / (1 + abs(h)), lambda h: (1 + abs(h)) ** -2.0, "function", "curved tail"),
        (lambda h: 1.0 * (h > 0.5), lambda h: 0 * h, "function", "jumps at h = 0.5, from 0 to 1"),
        (np.tanh, lambda h: 1 - np.tanh(h), "derivative", "must be the derivative of function"),
        (np.tanh, np.cosh, "derivative", "must be the derivative of function"),
        (lambda h: np.maximum(h, 0), lambda h: 1.001 * (h > 0), "derivative", "is 1.001, and"),
        (np.sqrt, np.sqrt, "function", "finite for |h| <= 32, got nan at h = -0.03125"),
        (lambda h: float(h), np.cos, "function", "must take an array of float64, and raised"),
        (lambda h: h.sum(), np.cos, "function", "must be vectorised"),
        (lambda h: h * 0 + h.sum(), np.cos, "function", "act on each element alone"),
        (lambda h: h * 1j, np.cos, "function", "complex128"),
        (np.tanh, random_noise, "derivative", "deterministic"),
        (lambda h: np.tanh(1e4 * h), lambda h: 1e4 * np.cosh(np.clip(1e4 * h, -350, 350)) ** -2.0,
         "function", "too fast"),
        (lambda h: np.interp(h, range(-4, 5), [0, 1] * 4 + [0]),
         lambda h: np.where(abs(h) > 4, 0.0, np.where(np.floor(h) % 2 == 0, 1.0, -1.0)),
         "function", "at most 6 kinks, it has 9: at h = -4, -3"),
        (lambda h: np.tanh(h.astype(np.float32)), lambda h: np.cosh(h) ** -2.0, "function",
         "float64"),
        (lambda h: h + bump(h), lambda h: 1 - 2e8 * (h - 0.12345678) * bump(h), "function",
         "too fast near h = 0.123"),
        (lambda h: h + 1e-6 * (h > 1), np.ones_like, "function", "jumps at h = 1, from 0.99999"),
        (lambda h: np.clip(h, 0, 1e-5), lambda h: 1.0 * ((h > 0) & (h < 1e-5)), "function",
         "is too steep at h = 0, from 0 to 1e-09"),
        (lambda h: np.sort(h, axis=None).reshape(h.shape), np.ones_like, "function", "alone"),
        (lambda h: np.ma.masked_less(np.tanh(h), 0), np.ones_like, "function", "a masked array"),
        (np.ones_like, np.zeros_like, "derivative", "must not be 0 everywhere"),
        (lambda h: np.maximum(h, 2000.0), np.zeros_like, "derivative", "-1024 to 1024: every"),
        (lambda h: 1e-200 * h, lambda h: 0 * h + 1e-200, "derivative", "from 1e-12 to 1e+12, got"),
        (lambda h: 1e200 * h, lambda h: 0 * h + 1e200, "derivative", "from 1e-12 to 1e+12, got"),
        (lambda h: 1e20 + 0 * h, lambda h: 0 * h + 1e-3, "function", "most 1e+12 for |h| <= 1"),
        (lambda h: np.where(h == 0, np.nan, h), np.ones_like, "function", "got nan at h = 0"),
        (lambda h: np.sqrt(1 + h * h), lambda h: h / np.sqrt(1 + h * h), "function",
         "its slope is -0.9999923707 at -256"),
    ],
)  # fmt: skip
def test_what_has_no_table_is_refused(function, derivative, argument, words):
    with pytest.raises(ValueError, match="custom") as refused:
        Activation("custom", function=function, derivative=derivative)
    assert refused.value.argument == argument
    assert words in str(refused.value)


def test_missing_and_wrong_arguments_are_named():
    for parameters, argument, words in (
        ({}, "function", "is missing"),
        ({"function": np.tanh}, "derivative", "is missing"),
        ({"function": np.tanh, "derivative": 3}, "derivative", "must be callable, got 3"),
        ({"function": np.tanh, "derivative": np.tanh, "slope": 1}, "activation", "slope=1"),
    ):
        with pytest.raises(TypeError) as refused:
            Activation("custom", **parameters)
        assert refused.value.argument == argument
        assert words in str(refused.value)
    with pytest.raises(TypeError, match="'tanh' takes no parameters, got function="):
        Activation("tanh", function=np.tanh)
    for kinks, error, words in (
        ([np.nan], ValueError, r"kinks\[0\] .*between -1024 and 1024, got nan"),
        ([0, 1e9], ValueError, r"kinks\[1\] .*between -1024 and 1024, got 1000000000"),
        (["a"], TypeError, r"kinks\[0\] .*got 'a'"),
        ([[1.0]], TypeError, r"kinks\[0\] .*got \[1.0\]"),
        (1.0, TypeError, "kinks must be a sequence of numbers, got 1.0"),
        ("abc", TypeError, "kinks must be a sequence of numbers, got 'abc'"),
        (None, TypeError, "kinks must be a sequence of numbers, got None"),
    ):
        with pytest.raises(error, match=words) as refused:
            Activation("custom", function=np.abs, derivative=np.sign, kinks=kinks)
        assert refused.value.argument == "kinks"


def test_functions_need_not_take_empty_arrays():
    def slope(h):
        return 1.0 - np.vectorize(math.tanh)(h) ** 2 if np.abs(h).max() < 5 else np.cosh(h) ** -2.0

    same = Activation("custom", function=np.vectorize(math.tanh), derivative=slope)
    assert same.value(0.5) == pytest.approx(math.tanh(0.5), rel=1e-14)


def test_the_largest_slope_is_that_beside_a_kink():
    phi = Activation(
        "custom",
        function=lambda h: np.clip(h, 0, 3) ** 2,
        derivative=lambda h: 2 * np.clip(h, 0, 3) * (h < 3),
    )
    assert phi.max_derivative == pytest.approx(6, rel=1e-8)


def test_the_sha256_of_the_table_is_the_identity():
    one, same, other = copy_of("tanh"), copy_of("tanh"), copy_of("erf")
    assert one == same
    assert hash(one) == hash(same)
    assert one != other
    assert one.to_json() == {"name": "custom", "sha256": one.table.sha256}
    assert Activation.from_json(one.to_json()) == one
    assert pickle.loads(pickle.dumps(one)) == one
    net = vgsim.MLP(3, 8, activation=one)
    assert f'"sha256":"{one.table.sha256}"' in net.canonical_json()
    assert net.labels["activation"] == "custom"
    assert repr(one) == f"Activation('custom', sha256='{one.table.sha256}')"


def test_an_unknown_sha256_is_refused():
    with pytest.raises(ValueError, match="does not have that table") as refused:
        Activation.from_json({"name": "custom", "sha256": "0" * 64})
    assert refused.value.argument == "sha256"
    with pytest.raises(TypeError, match="must be a string"):
        Activation.from_json({"name": "custom", "sha256": 3})


def test_damaged_tables_are_refused():
    content = copy_of("tanh").table.content
    for damaged in (b"", b"{}\n", content[:-1], content.replace(b"saturating", b"saturated", 1)):
        with pytest.raises(ValueError, match="damaged"):
            CustomTable.from_content(damaged)
    header = encoded_tables(vgsim.MLP(3, 8, activation=copy_of("tanh")).canonical_json())
    (sha256,) = header["custom_tables"]
    with pytest.raises(ValueError, match="another SHA-256"):
        keep_encoded({"f" * 64: header["custom_tables"][sha256]})


def test_torch_evaluates_the_table_with_its_gradient():
    torch = pytest.importorskip("torch")
    phi = copy_of("gelu")
    h = torch.linspace(-6.0, 6.0, 101, dtype=torch.float64, requires_grad=True)
    y = phi.law.torch(torch.nn, *phi._values)(h)
    y.sum().backward()
    reference = torch.nn.functional.gelu(h.detach())
    assert np.allclose(y.detach().numpy(), reference.numpy(), 1e-12, 1e-14)
    assert np.allclose(h.grad.numpy(), phi.derivative(h.detach().numpy()), 1e-14)
