"""The kernels against the twin, and the twin against PyTorch, for LSTM, GRU and leaky RNN."""

import numpy as np
import pytest
from scipy import stats

import vgsim
from batched_cells import CELLS

RECORD = ("gradient", "weight_gradient", "update_ratio", "activation", "saturation")
N = 12
KINDS = [pytest.param(*values, id=name) for name, values in CELLS.items()]


def evaluated(network, sample):
    return vgsim.evaluate(network, sample.parameters, sample.inputs, sample.output_gradient)


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-8), ("float32", 2e-4)])
@pytest.mark.parametrize(("network", "choice"), KINDS)
def test_kernel_equals_twin(network, choice, dtype, tolerance):
    record = (*RECORD, "clipped") if network.clip else RECORD
    if choice.get("batch_size", 1) > 1:
        record = (*record, "activation_correlation", "gradient_correlation")
    choice = choice | {"dtype": dtype}
    layers = range(network.depth + 1)
    samples = vgsim.simulate(network, N, seed=7, layers=layers, record=record, **choice)
    for index in range(N):
        sample = vgsim.replay(network, 7, index, **choice)
        assert sample.weights == [] or isinstance(network, vgsim.RNN)
        twin = evaluated(network, sample)
        for quantity in (*record, "output_gradient", "dead"):
            found = np.array(getattr(samples, quantity)[index], dtype=float)
            expected = np.array(getattr(twin, quantity), dtype=float)
            np.testing.assert_allclose(
                found, expected, rtol=1e-13, atol=tolerance, err_msg=f"{quantity} {index}"
            )


@pytest.mark.parametrize(("network", "choice"), KINDS)
def test_autograd_gives_the_same_gradients(network, choice):
    torch = pytest.importorskip("torch", reason="PyTorch is needed for to_torch")
    sample = vgsim.replay(network, 5, 1, dtype="float64", **choice)
    result, module = evaluated(network, sample), sample.to_torch()
    outputs = module(torch.from_numpy(sample.inputs.T.copy()).requires_grad_())
    assert len(module.states) == network.steps + 1
    assert len(module.states.cells) == len(module.states) * isinstance(network, vgsim.LSTM)
    G = torch.autograd.grad(
        outputs,
        [*module.states, *module.states.cells],
        torch.from_numpy(sample.output_gradient.T.copy()),
        materialize_grads=True,
    )
    squares = np.array([g.square().sum().item() for g in G]).reshape(-1, network.steps + 1)
    np.testing.assert_allclose(10**result.gradient, np.sqrt(squares.sum(axis=0)), rtol=1e-8)
    rms = [h.detach().square().mean().sqrt().item() for h in module.states]
    np.testing.assert_allclose(10**result.activation, rms, rtol=1e-9)


def test_the_cases_are_clipped():
    """Everywhere where the network clips, and nowhere always."""
    for network, choice in CELLS.values():
        if network.clip:
            sample = vgsim.replay(network, 7, 0, **choice)
            clipped = evaluated(network, sample).clipped
            assert np.count_nonzero(clipped) > 0, network


def test_a_training_step_sees_clipped_gradients():
    torch = pytest.importorskip("torch", reason="PyTorch is needed for to_torch")
    for name in ("lstm, norm", "lstm, value", "gru, norm", "gru, value", "leaky, norm"):
        network, choice = CELLS[name]
        sample = vgsim.replay(network, 7, 0, dtype="float64", **choice)
        result, module = evaluated(network, sample), sample.to_torch()
        outputs = module(torch.from_numpy(sample.inputs.T.copy()))
        outputs.backward(torch.from_numpy(sample.output_gradient.T.copy()))
        cell = getattr(module, "cell", None)
        W = module.recurrent.weight if cell is None else cell.weight_hh
        assert W.grad.norm().item() == pytest.approx(10 ** result.weight_gradient[0], rel=1e-9)


def test_modules_are_pytorchs_cells_and_can_be_copied():
    torch = pytest.importorskip("torch", reason="PyTorch is needed for to_torch")
    import copy
    import pickle

    kinds = {"lstm": torch.nn.LSTMCell, "gru, torch": torch.nn.GRUCell}
    for name, kind in kinds.items():
        network, choice = CELLS[name]
        sample = vgsim.replay(network, 1, **choice)
        torch.manual_seed(0)
        before = torch.get_rng_state()
        module = sample.to_torch()
        torch.testing.assert_close(torch.get_rng_state(), before)
        assert type(module.cell) is kind
        x = torch.from_numpy(sample.inputs.T.copy())
        for other in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
            torch.testing.assert_close(other(x), module(x), rtol=0, atol=0)
            assert len(other.states) == network.steps + 1
        with torch.no_grad():
            assert not module(x).requires_grad


def shapes_of(network, **choice):
    parameters = vgsim.replay(network, **choice).parameters
    return {name: array.shape for name, array in parameters.items()}


def test_parameters_are_stacked_as_in_pytorch():
    drive = {"drive": (5, 3, 2)}
    assert shapes_of(vgsim.LSTM(5, 3), batch_size=2) == {
        "weight": (12, 3),
        "bias": (12,),
        "input_weight": (12, 3),
        **drive,
    }
    assert shapes_of(vgsim.GRU(5, 3, init="torch_recurrent"), batch_size=2) == {
        "weight": (9, 3),
        "bias": (9,),
        "hidden_bias": (3,),
        "input_weight": (9, 3),
        **drive,
    }
    assert shapes_of(vgsim.GRU(5, 3, input_std=0.0)) == {"weight": (9, 3), "bias": (9,)}
    assert shapes_of(vgsim.RNN(5, 3, input_std=0.0, leak=0.5)) == {"weight": (3, 3)}


def test_constant_biases_are_part_of_the_bias():
    n = 4
    lstm = vgsim.replay(vgsim.LSTM(3, n, forget_bias=2.5)).parameters["bias"]
    np.testing.assert_array_equal(lstm, np.repeat([0.0, 2.5, 0.0, 0.0], n))
    gru = vgsim.replay(vgsim.GRU(3, n, update_bias=-1.5)).parameters["bias"]
    np.testing.assert_array_equal(gru, np.repeat([0.0, -1.5, 0.0], n))
    plain = vgsim.replay(vgsim.GRU(3, n)).parameters["bias"]
    np.testing.assert_array_equal(plain, np.zeros(3 * n))


@pytest.fixture(scope="module")
def many():
    """The biases of 200 samples by name of the network, (200, gates, n)."""

    def biases(network):
        found = [vgsim.replay(network, 3, i, dtype="float64").parameters for i in range(200)]
        return np.array([p["bias"].reshape(-1, network.width) for p in found]), found

    return biases


def test_the_law_of_chrono_biases(many):
    """b_f = ln u with u uniform on [1, T - 1], and b_i = -b_f, ζ and shift included."""
    b, _ = many(vgsim.LSTM(1, 5, chrono=30.0, input_std=0.0))
    i, f, g, o = b.transpose(1, 0, 2)
    np.testing.assert_array_equal(i, -f)
    assert not g.any()
    assert not o.any()
    assert stats.kstest(np.exp(f).ravel(), "uniform", args=(1.0, 28.0)).pvalue > 1e-4
    b, _ = many(vgsim.LSTM(1, 5, chrono=2.0, forget_bias=0.25, bias_std=0.5, input_std=0.0))
    i, f, g, o = b.transpose(1, 0, 2)
    np.testing.assert_array_equal(i, -f)
    assert stats.kstest((f.ravel() - 0.25) / 0.5, "norm").pvalue > 1e-4  # ln u = 0
    assert stats.kstest(np.array([g, o]).ravel() / 0.5, "norm").pvalue > 1e-4
    assert abs(np.corrcoef(f.ravel(), g.ravel())[0, 1]) < 0.1


def test_the_law_of_pytorchs_recurrent_parameters(many):
    """b_ih + b_hh is triangular on ±2/√n; W, U and both biases of a candidate are uniform."""
    n = 5
    b, found = many(vgsim.GRU(1, n, init="torch_recurrent", input_std=3**-0.5))
    half = n**-0.5
    triangle = {"args": (0.5, -2 * half, 4 * half)}
    uniform = {"args": (-half, 2 * half)}
    assert stats.kstest(b[:, :2].ravel(), "triang", **triangle).pvalue > 1e-4
    inner = np.array([p["hidden_bias"] for p in found])
    matrices = [np.array([p[name] for p in found]) for name in ("weight", "input_weight")]
    for values in (b[:, 2], inner, *matrices):
        assert stats.kstest(values.ravel(), "uniform", **uniform).pvalue > 1e-4
    assert abs(np.corrcoef(b[:, 2].ravel(), inner.ravel())[0, 1]) < 0.1
    b, _ = many(vgsim.LSTM(1, n, init="torch_recurrent", input_std=0.0))
    assert stats.kstest(b.ravel(), "triang", **triangle).pvalue > 1e-4


def test_a_zero_state():
    sample = vgsim.replay(vgsim.LSTM(3, 4), inputs="zeros", batch_size=2)
    np.testing.assert_array_equal(sample.inputs, np.zeros((4, 2)))
    driven = vgsim.replay(vgsim.LSTM(3, 4), batch_size=2)
    for name, array in driven.parameters.items():
        np.testing.assert_array_equal(sample.parameters[name], array)
    with pytest.raises(ValueError, match="inputs"):
        vgsim.replay(vgsim.MLP(3, 4), inputs="zeros")


def test_gradients_of_a_sample_hold_both_registers():
    sample = vgsim.replay(vgsim.LSTM(3, 4), batch_size=2)
    top = sample.gradients()[-1]
    np.testing.assert_array_equal(top[:4], sample.output_gradient)
    np.testing.assert_array_equal(top[4:], np.zeros((4, 2)))
