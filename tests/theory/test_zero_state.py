"""Recurrent networks whose state stays at 0, against simulation, eigenvalues and integrals."""

import math

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import expit

import vgsim
from vgsim import GRU, LSTM, RNN
from vgsim._checks import DECADE
from vgsim.theory import (
    critical_gain,
    exact_law,
    log_gradient_moments,
    mean_field,
    place_moments,
    recurrent_growth,
    recurrent_rate,
)
from vgsim.theory._prediction import predict

STILL = {"input_std": 0}
SMALL = {"gain": 1e-9, "input_std": 0}


def decades(network, layer=0):
    """Return R_l in decades."""
    return recurrent_growth(network, layer) / DECADE


@pytest.mark.parametrize(
    ("forget_bias", "rate"), [(0, -0.3010), (1, -0.1360), (2, -0.0551), (5, -0.0029)]
)
def test_decades_a_step_of_small_weights(forget_bias, rate):
    """log10 σ(b_f), to the digits of the published table."""
    network = LSTM(1000, 64, forget_bias=forget_bias, **SMALL)
    assert 0.5 * math.log10(recurrent_rate(network)) == pytest.approx(rate, abs=5e-5)
    slope = (decades(network) - decades(network, 500)) / 500
    assert slope == pytest.approx(math.log10(expit(forget_bias)), rel=1e-9)


@pytest.mark.parametrize("steps", [100, 784, 1000])
def test_chrono_loses_the_same_at_every_length(steps):
    network = LSTM(steps, 64, chrono=steps, **SMALL)
    assert decades(network) - decades(network, steps - 2) == pytest.approx(-0.71, abs=0.03)
    assert decades(network) == pytest.approx(-1.01, abs=0.005)
    forget_one = LSTM(steps, 64, **SMALL)
    assert decades(forget_one) < -0.136 * steps


@pytest.mark.parametrize(
    ("steps", "chrono", "forget_bias"), [(40, 30, 0), (25, 784, -1.5), (9, 3, 2)]
)
def test_chrono_with_small_weights_is_an_integral(steps, chrono, forget_bias):
    """½ RMS over u of f^steps, of which the last factor is that of the step into c."""
    network = LSTM(steps, 8, chrono=chrono, forget_bias=forget_bias, **SMALL)
    for layer in (0, steps // 2):
        k = steps - layer
        powers, _ = quad(
            lambda u, k=k: expit(forget_bias + math.log(u)) ** (2 * k), 1, chrono - 1, limit=200
        )
        expected = 0.5 * math.log10(0.25 * powers / (chrono - 2))
        assert decades(network, layer) == pytest.approx(expected, abs=1e-7)


def test_two_ways_to_the_same_sum():
    """Chrono 2 has u = 1, so it is forget_bias 0: a sum step by step, and one of binomials."""
    chrono, plain = (
        LSTM(60, 8, gain=1.3, **kind, **STILL) for kind in ({"chrono": 2}, {"forget_bias": 0})
    )
    assert recurrent_rate(chrono) == pytest.approx(recurrent_rate(plain), rel=1e-12)
    for layer in (0, 1, 30, 58, 59):
        assert recurrent_growth(chrono, layer) == pytest.approx(
            recurrent_growth(plain, layer), rel=1e-9
        )


@pytest.mark.parametrize("gain", [1.0, 3.0])
def test_radius_with_chrono_is_that_of_eigenvalues(gain, rng):
    n, chrono = 300, 10
    u = rng.uniform(1, chrono - 1, n)
    f, i = u / (1 + u), 1 / (1 + u)
    jacobian = np.diag(f) + i[:, None] * rng.normal(size=(n, n)) * gain / math.sqrt(n) / 2
    radius = np.abs(np.linalg.eigvals(jacobian)).max()
    network = LSTM(5, 8, gain=gain, chrono=chrono, **STILL)
    assert math.sqrt(recurrent_rate(network)) == pytest.approx(radius, rel=0.04)


@pytest.mark.parametrize(
    ("network", "gain"),
    [
        (GRU(9, 64, **STILL), 2),
        (GRU(9, 64, update_bias=3, **STILL), 2),
        (LSTM(9, 64, forget_bias=0, **STILL), 2),
        (LSTM(9, 64, **STILL), 4 * (1 - expit(1))),
        (LSTM(9, 64, forget_bias=5, init="he_normal", **STILL), 4 * (1 - expit(5)) / 2**0.5),
        (LSTM(9, 64, chrono=784, gain=0.3, **STILL), 2),
        (LSTM(9, 64, chrono=784, forget_bias=2, **STILL), 2),
        (RNN(9, 64, **STILL), 1),
        (RNN(9, 64, leak=0.1, **STILL), 1),
        (RNN(9, 64, activation="erf", leak=0.1, init="identity", **STILL), math.pi**0.5 / 2),
    ],
)
def test_critical_gains(network, gain):
    found = critical_gain(network)
    assert found == pytest.approx(gain, rel=1e-12)
    assert recurrent_rate(network._with(gain=found)) == pytest.approx(1, rel=1e-12)


@pytest.mark.parametrize(
    "network",
    [
        LSTM(20, 400, gain=1.2, forget_bias=1, **STILL),
        LSTM(30, 400, gain=1.5, chrono=30, **STILL),
        LSTM(20, 400, gain=1.2, forget_bias=-1, init="orthogonal", **STILL),
        GRU(20, 400, gain=2, update_bias=1, **STILL),
        GRU(20, 400, init="he_uniform", **STILL),
        RNN(20, 400, gain=1.1, leak=0.3, **STILL),
        RNN(20, 400, gain=0.9, **STILL),
        RNN(20, 400, gain=0.9, leak=0.5, init="identity", **STILL),
    ],
    ids=repr,
)
def test_growth_is_that_of_simulation(network):
    layers = [0, network.depth // 2, network.depth - 1]
    samples = vgsim.simulate(network, 24, seed=5, inputs="zeros", layers=[*layers, network.depth])
    ratios = samples.gradient[:, :3] - samples.output_gradient[:, None]
    expected = [decades(network, layer) for layer in layers]
    errors = ratios.std(axis=0, ddof=1) / math.sqrt(24)
    assert np.abs(ratios.mean(axis=0) - expected) == pytest.approx(
        np.zeros(3), abs=float((4 * errors + 0.01).max())
    )
    predicted = [predict(network, layer, 1, "linear", "zeros").mean for layer in layers]
    assert predicted == pytest.approx(expected, rel=1e-12)


def test_no_theory_beside_networks_whose_state_moves():
    still = LSTM(5, 8, **STILL)
    assert predict(still, 0, 1, "linear", "zeros").mean is not None
    assert predict(still, 0).mean is None
    for network in (LSTM(5, 8), GRU(5, 8), RNN(5, 8), LSTM(5, 8, bias_std=0.1, **STILL)):
        assert predict(network, 0, 1, "linear", "zeros").mean is None
    assert predict(still, 0, 1, "mse", "zeros").mean is None


@pytest.mark.parametrize(
    ("network", "words"),
    [
        (vgsim.MLP(5, 8), "must be an RNN, an LSTM or a GRU"),
        (LSTM(5, 8), "must have input_std 0.0 .*, got 0.5"),
        (GRU(5, 8, bias_std=1, **STILL), "must have bias_std 0.0 .*, got 1.0"),
        (LSTM(5, 8, clip=vgsim.ClipNorm(1), **STILL), "must have clip None"),
        (RNN(5, 8, activation="relu", **STILL), r"must have φ\(0\) = 0 .* activation 'relu'"),
        (RNN(5, 8, activation="sigmoid", **STILL), r"must have φ\(0\) = 0 .* activation 'sigmoid'"),
        (GRU(5, 8, init="torch_recurrent", **STILL), "must have .* no biases .* 'torch_recurrent'"),
        (LSTM(5, 8, init="identity", chrono=9, **STILL), "must have independent or orthogonal"),
        (LSTM(2001, 8, chrono=9, **STILL), "must have at most 2000 steps with chrono, got 2001"),
    ],
)
def test_refusals(network, words):
    with pytest.raises(ValueError, match=f"network {words}"):
        recurrent_growth(network)
    if "at most" not in words:
        with pytest.raises(ValueError, match=f"network {words}"):
            critical_gain(network)


def test_arguments():
    with pytest.raises(ValueError, match="layer must be an int from 0 to depth - 1 = 4, got 5"):
        recurrent_growth(LSTM(5, 8, **STILL), 5)
    with pytest.raises(ValueError, match="bias_std is that of the network, which has 0, got 0.1"):
        critical_gain(LSTM(5, 8, **STILL), 0.1)
    with pytest.raises(TypeError, match="network must be a vgsim.MLP"):
        recurrent_rate("LSTM")


@pytest.mark.parametrize("law", [place_moments, log_gradient_moments, exact_law])
@pytest.mark.parametrize("network", [LSTM(5, 8), GRU(5, 8), RNN(5, 8, leak=0.5)])
def test_theories_of_independent_layers_are_refused(law, network):
    with pytest.raises(ValueError, match="all steps .*share their weights"):
        law(network)


def test_mean_field_is_of_plain_recurrent_networks():
    for network in (LSTM(5, 8), GRU(5, 8)):
        with pytest.raises(ValueError, match="must be an MLP or an RNN for this mean field"):
            mean_field(network)
    with pytest.raises(ValueError, match="must have leak 1 for this mean field, got 0.5"):
        mean_field(RNN(5, 8, leak=0.5))
    found = mean_field(RNN(5, 75, init="torch_recurrent", input_std=0.2))
    assert found.sigma_w == pytest.approx(3**-0.5, rel=1e-12)
    assert found.sigma_b == pytest.approx(math.sqrt(0.04 + 2 / (3 * 75)), rel=1e-12)
