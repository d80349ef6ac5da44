"""Custom activations in the kernels: against the built-in ones, the twin, on every processor."""

import numpy as np
import pytest

import vgsim
from vgsim import Activation, _kernels
from vgsim._engine.settings import Settings

DTYPES = ["float32", "float64"]
SMOOTH = ("linear", "elu", "selu", "gelu", "silu", "softplus", "sigmoid", "tanh", "erf")
DECADES = {"float32": 1e-5, "float64": 1e-10}  # agreement of log10 ratios, sample by sample


def copy_of(name):
    phi = Activation(name)
    return Activation("custom", function=phi.value, derivative=phi.derivative)


COPIES = {name: copy_of(name) for name in (*SMOOTH, "relu", "hard_tanh")}


def kernel(phi, h, exponent, dtype):
    """φ = value · 2**e and φ' at h · 2**exponent."""
    return _kernels.activation(
        phi.kernel_name, (0.0, 0.0), h, exponent, dtype, phi.table.tables[dtype]
    )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", COPIES)
def test_the_kernels_evaluate_the_functions(isa, name, dtype):
    phi, copy = Activation(name), COPIES[name]
    eps = np.finfo(dtype).eps
    for h in np.concatenate([np.linspace(-9.3, 9.3, 94), [-1e-7, 1e-7, -80.0, 80.0]]):
        h = float(np.dtype(dtype).type(h))
        value, slope, e = kernel(copy, h, 0, dtype)
        expected, expected_slope = float(phi.value(h)), float(phi.derivative(h))
        growth = 1 + h * h  # the functions of a rounded h
        assert abs(value * 2.0**e - expected) <= 16 * eps * growth * abs(expected) + 1e-37, h
        near_root = 16 * eps * (name in ("gelu", "silu"))
        bound = 16 * eps * growth * abs(expected_slope) + near_root + 1e-37
        assert abs(slope - expected_slope) <= bound, h


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("exponent", [-(2**20), -300, -90, 40, 90, 2**20])
@pytest.mark.parametrize("name", COPIES)
def test_the_limits_at_zero_and_infinity(isa, name, exponent, dtype):
    """Of scaled arguments, as the built-in activations have them."""
    phi, copy = Activation(name), COPIES[name]
    for h in (-1.25, 1.25):
        own = kernel(copy, h, exponent, dtype)
        other = _kernels.activation(name, phi.kernel_parameters, h, exponent, dtype)
        assert np.isfinite(own).all()
        if phi.slope_at_infinity[h > 0] == 0 and exponent > 0:  # only the constant is left
            at_end = float(copy.value(np.copysign(1e9, h)))
            assert own[0] * 2.0 ** max(own[2], -2000) == pytest.approx(at_end, rel=4e-7, abs=1e-10)
        else:
            assert own[0] * 2.0 ** float(own[2] - other[2]) == pytest.approx(other[0], rel=2e-6)
            assert own[1] == pytest.approx(other[1], rel=4e-7)


@pytest.fixture
def one_key(monkeypatch):
    """Equal random numbers for all networks, so that equal functions have equal samples."""
    key = np.array([12345, 67890], dtype=np.uint32)
    monkeypatch.setattr(Settings, "key", lambda self, network: key)


def ratios(net, dtype, **options):
    layers = range(net.depth + 1)
    drawn = vgsim.simulate(net, n_samples=24, seed=3, dtype=dtype, layers=layers, **options)
    assert not drawn.dead.any()
    return drawn.log10_ratio


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", SMOOTH)
def test_samples_equal_those_of_the_built_in_activation(isa, one_key, name, dtype):
    law = {"init": "lecun_normal", "gain": 0.9}
    block = lambda phi: vgsim.Skip([vgsim.Norm("layer"), vgsim.Linear(), phi])  # noqa: E731
    for net, options in (
        (lambda phi: vgsim.MLP(20, 64, activation=phi, **law), {"engine": "matrix-free"}),
        (
            lambda phi: vgsim.MLP(3, 24, activation=phi, **law, bias_std=0.1),
            {"batch_size": 2, "engine": "matrix-free"},
        ),
        (lambda phi: vgsim.RNN(8, 16, activation=phi, **law), {}),
        (lambda phi: vgsim.Sequential(24, [block(phi)] * 8), {}),
    ):
        own, other = (
            ratios(net(phi), dtype, **options) for phi in (COPIES[name], Activation(name))
        )
        assert np.abs(own - other).max() < DECADES[dtype]


@pytest.mark.parametrize("dtype", DTYPES)
def test_dead_networks_are_those_of_relu(isa, one_key, dtype):
    net = lambda phi: vgsim.MLP(30, 4, activation=phi, init="he_normal")  # noqa: E731
    own, other = (
        vgsim.simulate(net(phi), 200, dtype=dtype, engine="matrix-free")
        for phi in (COPIES["relu"], Activation("relu"))
    )
    assert np.array_equal(own.dead, other.dead)
    assert 0 < own.dead.sum() < 200
    alive = ~own.dead
    difference = own.log10_ratio[alive] - other.log10_ratio[alive]
    assert np.abs(difference).max() < DECADES[dtype]


@pytest.mark.parametrize(
    ("name", "gain"), [("tanh", 60), ("sigmoid", 120), ("silu", 12), ("gelu", 4), ("softplus", 12)]
)
def test_a_smooth_activation_does_not_die_of_underflow(isa, one_key, name, gain):
    """In the tails φ' is far below the smallest float32."""
    net = lambda phi: vgsim.MLP(3, 1, activation=phi, init="lecun_normal", gain=gain)  # noqa: E731
    own, other = (
        vgsim.simulate(net(phi), 64, dtype="float32") for phi in (COPIES[name], Activation(name))
    )
    known = ~own.dead
    assert known.sum() > 40
    assert (other.log10_ratio[known, 0] < -38).any()
    # A rounding of h in float32 is a relative error 2^-24 |h| of φ'.
    bound = 1e-5 * (1 + np.abs(other.log10_ratio[known]))
    assert np.all(np.abs(own.log10_ratio[known] - other.log10_ratio[known]) < bound)


def test_all_instruction_sets_have_the_same_bits():
    net = vgsim.Sequential(
        24, [vgsim.Linear(40), COPIES["silu"], vgsim.Linear(24), COPIES["hard_tanh"]] * 3
    )
    plain = vgsim.MLP(30, 50, activation=COPIES["tanh"], gain=8.0)
    found = {}
    for isa in _kernels.available_isas():
        _kernels.set_isa(isa)
        try:
            found[isa] = [
                vgsim.simulate(network, 50, dtype=dtype).gradient.tobytes()
                for network in (net, plain)
                for dtype in DTYPES
            ]
        finally:
            _kernels.set_isa(None)
    assert all(own == found["base"] for own in found.values())


@pytest.mark.parametrize("name", ["gelu", "softplus", "hard_tanh", "relu"])
def test_replayed_networks_have_the_recorded_gradients(name):
    phi = COPIES[name]
    for net in (
        vgsim.MLP(6, 12, activation=phi),
        vgsim.Sequential(10, [vgsim.Linear(), phi, vgsim.Linear(6), COPIES["tanh"]]),
    ):
        drawn = vgsim.simulate(
            net, 3, seed=5, dtype="float64", layers=(layers := range(net.depth + 1))
        )
        for index in range(3):
            again = vgsim.replay(net, seed=5, index=index, dtype="float64")
            given = (again.inputs, again.output_gradient)
            if isinstance(net, vgsim.MLP):
                found = vgsim.evaluate(net, again.weights, again.biases, *given, layers=layers)
            else:
                found = vgsim.evaluate(net, again.parameters, *given, layers=layers)
            expected = drawn.log10_ratio[index]
            known = np.isfinite(expected)
            assert np.array_equal(np.isfinite(np.ravel(found.log10_ratio)), known)
            assert np.abs(np.ravel(found.log10_ratio) - expected)[known].max() < 1e-8
