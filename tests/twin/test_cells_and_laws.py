"""Cells with every law of weights: samples of the kernels against the twin's explicit weights."""

import numpy as np
import pytest

import vgsim

LAWS = {
    "truncated_normal": {},
    "uniform": {"limit": 0.4},
    "student_t": {"df": 3.0},
    "laplace": {},
    "rademacher": {},
    "sparse": {"density": 0.3},
    "diagonal": {"diagonal": 0.7},
    "identity": {},
    "torch_recurrent": {},
}


@pytest.mark.parametrize("kind", [vgsim.RNN, vgsim.LSTM, vgsim.GRU])
@pytest.mark.parametrize("name", LAWS)
def test_replay_is_the_sample(kind, name):
    network = kind(6, 7, init=vgsim.Initializer(name, **LAWS[name]), gain=1.3)
    record = ["gradient", "weight_gradient", "update_ratio"]
    layers = [0, 3, 6]
    samples = vgsim.simulate(
        network, 3, seed=4, dtype="float64", layers=layers, record=record, batch_size=2
    )
    replayed = vgsim.replay(network, seed=4, index=1, dtype="float64", batch_size=2)
    found = vgsim.evaluate(
        network, replayed.parameters, replayed.inputs, replayed.output_gradient, layers=layers
    )
    assert samples.gradient[1] == pytest.approx(found.gradient, abs=1e-10)
    assert samples.weight_gradient[1] == pytest.approx(found.weight_gradient, abs=1e-10)
    norm = np.log10(np.linalg.norm(replayed.parameters["weight"]))
    assert samples.update_ratio[1] == pytest.approx(found.weight_gradient - norm, abs=1e-10)


@pytest.mark.parametrize("kind", [vgsim.LSTM, vgsim.GRU])
def test_weights_have_the_standard_deviation_of_the_law(kind):
    for name in ("laplace", "sparse", "student_t"):
        fields = LAWS[name] | ({"df": 8.0} if name == "student_t" else {})
        network = kind(1, 96, init=vgsim.Initializer(name, **fields), gain=0.5)
        weights = vgsim.replay(network, 0).parameters["weight"]
        assert weights.shape == (network.gates * 96, 96)
        assert weights.std() == pytest.approx(network.weight_std, rel=0.05)
        blocks = weights.reshape(network.gates, -1)
        correlations = np.corrcoef(blocks) - np.eye(network.gates)
        assert np.abs(correlations).max() < 0.06
