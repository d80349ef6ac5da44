"""Saturated and tiny gates: kernels and evaluate against 40-digit arithmetic."""

import mpmath as mp
import numpy as np
import pytest

import vgsim

CELLS = {
    "lstm, closed": vgsim.LSTM(5, 3, forget_bias=-1000.0),
    "lstm, open": vgsim.LSTM(5, 3, forget_bias=1000.0),
    "lstm, biases": vgsim.LSTM(5, 3, bias_std=30.0),
    "lstm, weights": vgsim.LSTM(5, 3, gain=100.0),
    "lstm, tiny": vgsim.LSTM(5, 3, gain=1e-100, input_std=0.0),
    "lstm, chrono": vgsim.LSTM(5, 3, chrono=1e30),
    "gru, closed": vgsim.GRU(5, 3, update_bias=-1000.0),
    "gru, open": vgsim.GRU(5, 3, update_bias=1000.0),
    "gru, biases": vgsim.GRU(5, 3, bias_std=30.0),
    "gru, weights": vgsim.GRU(5, 3, gain=100.0),
    "gru, tiny": vgsim.GRU(5, 3, gain=1e-100),
}


def elementwise(f):
    return np.vectorize(f, otypes=[object])


sigmoid = elementwise(lambda t: 1 / (1 + mp.exp(-t)))
tanh = elementwise(mp.tanh)
exact = elementwise(mp.mpf)


def slope(t):
    """σ'; tanh'(t) is 4 σ'(2 t)."""
    return sigmoid(t) * sigmoid(-t)


def lstm_back(W, a, h, c, by_h, by_c):
    """Return the gradients by h and c from those by the next h and c."""
    i, f, g, o = np.split(a + W @ h, 4)
    cell = sigmoid(f) * c + sigmoid(i) * tanh(g)
    by_c = by_c + by_h * sigmoid(o) * 4 * slope(2 * cell)
    by_gates = [by_c * tanh(g) * slope(i), by_c * c * slope(f)]
    by_gates += [by_c * sigmoid(i) * 4 * slope(2 * g), by_h * tanh(cell) * slope(o)]
    return W.T @ np.concatenate(by_gates), by_c * sigmoid(f)


def lstm_step(W, a, h, c):
    i, f, g, o = np.split(a + W @ h, 4)
    cell = sigmoid(f) * c + sigmoid(i) * tanh(g)
    return sigmoid(o) * tanh(cell), cell


def gru_back(W, a, h, c, by_h, by_c):
    (r, z, n), (_, _, inner) = np.split(a + W @ h, 3), np.split(W @ h, 3)
    n = n - inner + sigmoid(r) * inner
    by_n = by_h * sigmoid(-z) * 4 * slope(2 * n)
    by_gates = [by_n * inner * slope(r), by_h * (h - tanh(n)) * slope(z), by_n * sigmoid(r)]
    return W.T @ np.concatenate(by_gates) + by_h * sigmoid(z), by_c


def gru_step(W, a, h, c):
    (r, z, n), (_, _, inner) = np.split(a + W @ h, 3), np.split(W @ h, 3)
    n = n - inner + sigmoid(r) * inner
    return sigmoid(-z) * tanh(n) + sigmoid(z) * h, c


def exact_gradients(network, sample):
    """Return log10 ‖G_l‖, l = 0 … D, of a sample with one column."""
    step, back = (gru_step, gru_back) if network.gates == 3 else (lstm_step, lstm_back)
    p = {name: exact(array) for name, array in sample.parameters.items()}
    given = [p["bias"]] * network.steps
    if "drive" in p:
        given = [p["bias"] + p["input_weight"] @ s[:, 0] for s in p["drive"]]
    states = [(exact(sample.inputs[:, 0]), exact(np.zeros(network.width)))]
    for a in given:
        states.append(step(p["weight"], a, *states[-1]))
    G = [(exact(sample.output_gradient[:, 0]), exact(np.zeros(network.width)))]
    for a, state in zip(given[::-1], states[-2::-1], strict=True):
        G.append(back(p["weight"], a, *state, *G[-1]))
    return np.array([float(mp.log10(mp.norm(np.concatenate(g).tolist()))) for g in G[::-1]])


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("inputs", ["normal", "zeros"])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-10), ("float32", 2e-3)])
def test_gradients_are_exact(name, inputs, dtype, tolerance):
    network, layers = CELLS[name], range(6)
    for index in range(2):
        choice = {"inputs": inputs, "dtype": dtype}
        sample = vgsim.replay(network, 9, index, **choice)
        with mp.workdps(40):
            expected = exact_gradients(network, sample)
        twin = vgsim.evaluate(network, sample.parameters, sample.inputs, sample.output_gradient)
        np.testing.assert_allclose(twin.gradient, expected, rtol=1e-12, atol=1e-10)
        if dtype == "float32" and "weights" in name:
            continue  # h - n of units that are saturated alike is lost in float32
        simulated = vgsim.simulate(network, 1, seed=9, first=index, layers=layers, **choice)
        np.testing.assert_allclose(simulated.gradient[0], expected, rtol=1e-6, atol=tolerance)
