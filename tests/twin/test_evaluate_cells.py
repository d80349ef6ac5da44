"""evaluate of LSTM, GRU and leaky RNN against PyTorch's own cells, and its arguments."""

import numpy as np
import pytest

import vgsim
from cells import FROZEN, frozen_arrays, network_of, oracle, parameters_of
from vgsim._networks.operations import GateBias


def evaluated(name):
    """Evaluate the frozen arrays of a case."""
    network, arrays = network_of(oracle.CASES[name]), frozen_arrays(name)
    output_gradient = FROZEN[f"{name}.output_gradient"]
    return vgsim.evaluate(network, parameters_of(arrays), arrays["inputs"], output_gradient)


@pytest.mark.parametrize("name", oracle.CASES)
def test_equals_frozen_autograd(name):
    result = evaluated(name)
    for quantity in oracle.LOGARITHMIC:
        expected = FROZEN[f"{name}.{quantity}"]
        found = 10 ** getattr(result, quantity)
        np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-300, err_msg=quantity)
    for quantity in set(oracle.QUANTITIES) - set(oracle.LOGARITHMIC):
        expected = FROZEN[f"{name}.{quantity}"]
        found = getattr(result, quantity)
        np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12, err_msg=quantity)
    size = np.linalg.norm(FROZEN[f"{name}.output_gradient"])
    assert 10**result.output_gradient == pytest.approx(size, rel=1e-12)


@pytest.mark.parametrize("name", oracle.CASES)
def test_frozen_arrays_are_what_autograd_says_today(name):
    pytest.importorskip("torch", reason="PyTorch is needed to run autograd again")
    today = oracle.reference(oracle.CASES[name], frozen_arrays(name))
    for quantity, value in today.items():
        np.testing.assert_allclose(value, FROZEN[f"{name}.{quantity}"], rtol=1e-11, atol=1e-13)


def test_the_cases_clip_and_saturate():
    for kind in ("lstm", "gru"):
        for by in ("norm", "values"):
            assert np.count_nonzero(FROZEN[f"{kind}, clipped {by}.clipped"]) > 2
    assert FROZEN["lstm, saturated.saturation"].mean() > 0.4


def sigmoid(t):
    return 1 / (1 + np.exp(-t))


def cell_of_one(**choice):
    """An LSTM of one unit in which only the given biases are not zero, and its parameters."""
    bias = np.array([choice.get(gate, 0.0) for gate in "ifgo"])
    network = vgsim.LSTM(choice["steps"], 1, input_std=0.0, forget_bias=0.0)
    return network, {"weight": np.zeros((4, 1)), "bias": bias}


def test_a_whole_bias_counts_where_the_description_has_none():
    """With W = 0, G_0 = 0 by h, and by c σ(o) tanh'(c) σ(f)^steps: the bias is in the arrays."""
    network, parameters = cell_of_one(steps=3, f=2.0, o=-1.0)
    assert not network.program.of(GateBias)
    result = vgsim.evaluate(network, parameters, [0.7], [1.0])
    assert 10 ** result.gradient[0] == pytest.approx(sigmoid(2.0) ** 3 * sigmoid(-1.0), rel=1e-13)
    gru = vgsim.GRU(1, 1, input_std=0.0)
    parameters = {"weight": np.zeros((3, 1)), "bias": np.array([0.0, 3.0, 0.0])}
    result = vgsim.evaluate(gru, parameters, [0.7], [1.0])
    assert 10 ** result.gradient[0] == pytest.approx(sigmoid(3.0), rel=1e-13)


def test_the_cell_has_gradients_that_the_hidden_state_has_not():
    """G_D is (∂L/∂h_D, 0), and the decay by c alone continues for any number of steps."""
    network, parameters = cell_of_one(steps=400, f=-20.0)
    result = vgsim.evaluate(network, parameters, [1.0], [1.0])
    decades = np.log10(1 / (1 + np.exp(20.0)))
    assert result.gradient[-1] == 0.0
    assert result.gradient[0] == pytest.approx(400 * decades + np.log10(0.5), rel=1e-12)


@pytest.mark.parametrize("scale", [1e-200, 1e-90, 1e60, 1e200])
def test_weights_of_any_scale(scale, rng):
    """Nothing is NaN or infinite, and no network is dead because something underflowed."""
    for network in (vgsim.LSTM(6, 4, input_std=0.0), vgsim.GRU(6, 4, input_std=0.0)):
        rows = 4 * network.gates
        parameters = {"weight": scale * rng.normal(size=(rows, 4)), "bias": np.zeros(rows)}
        x, g = rng.normal(size=(4, 2)), rng.normal(size=(4, 2))
        result = vgsim.evaluate(network, parameters, x, g)
        assert not result.dead
        for quantity in ("gradient", "weight_gradient", "update_ratio", "activation"):
            assert np.isfinite(getattr(result, quantity)).all(), quantity


def test_products_of_entries_that_are_all_tiny():
    """i = (½, e^-460, e^-10000) and g = (0, 10^-200, 1): each factor has an entry of order one."""
    network, parameters = vgsim.LSTM(1, 3, input_std=0.0), {"weight": np.zeros((12, 3))}
    parameters["bias"] = np.array(
        [0.0, -460.0, -1e4, *np.zeros(3), 0.0, 1e-200, 20.0, *np.zeros(3)]
    )
    result = vgsim.evaluate(network, parameters, np.ones(3), [0.0, 1.0, 0.0])
    h = -460.0 / np.log(10) - 200.0 - np.log10(2.0)  # log10 of tanh(c)/2 of the second unit
    assert result.activation[1] == pytest.approx(h - np.log10(3.0) / 2, rel=1e-12)


def arrays_of(network, columns=2):
    """Arrays of ones with the right shapes."""
    n, rows = network.width, network.gates * network.width
    return {
        "weight": np.ones((rows, n)),
        "bias": np.ones(rows),
        "input_weight": np.ones((rows, n)),
        "drive": np.ones((network.steps, n, columns)),
    }


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weight": np.ones((3, 12))}, r"'weight'\] must have shape \(n, m\) = \(12, 3\), got"),
        ({"weight": np.ones((3, 3))}, r"parameters\['weight'\] must have shape"),
        ({"bias": np.ones(3)}, r"parameters\['bias'\] must have shape \(n,\)"),
        ({"bias": np.full(12, np.nan)}, r"parameters\['bias'\] must be finite"),
        ({"input_weight": np.full((12, 3), np.inf)}, r"\['input_weight'\] must be finite"),
        ({"drive": np.ones((5, 3))}, r"parameters\['drive'\] must have shape \(steps, n, B\)"),
        ({"bias": None}, "parameters must hold 'bias'"),
        ({"bias": None, "drive": None}, "parameters must hold 'bias', 'drive'"),
        ({"hidden_bias": np.ones(3)}, "parameters must hold nothing else than .*'hidden_bias'"),
    ],
)
def test_bad_arrays_are_named(change, message):
    network = vgsim.LSTM(5, 3)
    arrays = arrays_of(network) | change
    arrays = {name: array for name, array in arrays.items() if array is not None}
    with pytest.raises(ValueError, match=message):
        vgsim.evaluate(network, arrays, np.ones((3, 2)), np.ones((3, 2)))


def test_arrays_are_given_by_name():
    with pytest.raises(TypeError, match="weights must be a mapping of names to arrays"):
        vgsim.evaluate(vgsim.GRU(5, 3), [np.ones((9, 3))], None, np.ones(3), np.ones(3))


def test_a_leaky_network_takes_separate_arrays_as_well(rng):
    network, arrays = vgsim.RNN(5, 3, leak=0.25, bias_std=0.1), arrays_of(vgsim.RNN(5, 3))
    x, g = rng.normal(size=(3, 2)), rng.normal(size=(3, 2))
    named = vgsim.evaluate(network, arrays, x, g)
    separate = vgsim.evaluate(
        network,
        [arrays["weight"]],
        [arrays["bias"]],
        x,
        g,
        input_weights=arrays["input_weight"],
        drive=arrays["drive"],
    )
    np.testing.assert_array_equal(named.gradient, separate.gradient)
    plain = vgsim.RNN(5, 3, init="torch_recurrent", leak=0.25)
    without = vgsim.evaluate(plain, [arrays["weight"]], None, x, g)
    np.testing.assert_array_equal(
        without.gradient,
        vgsim.evaluate(plain._with(init="orthogonal"), [arrays["weight"]], None, x, g).gradient,
    )
