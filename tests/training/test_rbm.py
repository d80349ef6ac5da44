"""Layerwise pre-training against scikit-learn's machines, fitted and chained directly."""

import re

import numpy as np
import pytest

import vgsim

neural_network = pytest.importorskip("sklearn.neural_network")

WIDTHS = (9, 7, 5, 4)
SETTING = {"learning_rate": 0.2, "n_iter": 3, "batch_size": 8}


@pytest.fixture(scope="module")
def rows():
    """Correlated rows of values between 0 and 1."""
    rng = np.random.default_rng(1)
    return 1 / (1 + np.exp(-2 * rng.normal(size=(60, 3)) @ rng.normal(size=(3, WIDTHS[0]))))


@pytest.fixture(scope="module")
def stack(rows):
    return vgsim.pretrain_rbm(WIDTHS, rows, seed=3, **SETTING)


@pytest.fixture(scope="module")
def machines(rows):
    """The same machines by scikit-learn alone, and the data of each."""
    seeds, v, chain = np.random.SeedSequence(3).generate_state(3), rows, []
    for units, seed in zip(WIDTHS[1:], seeds, strict=True):
        rbm = neural_network.BernoulliRBM(units, random_state=int(seed), **SETTING).fit(v)
        chain.append((rbm, v))
        v = rbm.transform(v)
    return chain


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def test_parameters_are_those_of_machines_on_each_others_probabilities(stack, machines, rows):
    x = rows
    for l, (rbm, v) in enumerate(machines):
        W, b = stack.parameters[f"{l}.weight"], stack.parameters[f"{l}.bias"]
        np.testing.assert_array_equal(W, rbm.components_)
        np.testing.assert_array_equal(b, rbm.intercept_hidden_)
        np.testing.assert_allclose(x, v, rtol=1e-12)
        x = sigmoid(x @ W.T + b)
    assert len(stack.parameters) == 2 * len(machines)


def test_training_maximises_the_likelihood(rows):
    """Exact ln P of rows of 0 and 1, by a sum over all states: better than independent units."""
    binary = (rows > 0.5).astype(float)
    settings = {**SETTING, "learning_rate": 0.05, "n_iter": 200}
    parameters = vgsim.pretrain_rbm((9, 7), binary, **settings).parameters
    W, b = parameters["0.weight"], parameters["0.bias"]
    seed = int(np.random.SeedSequence(0).generate_state(1)[0])
    rbm = neural_network.BernoulliRBM(7, random_state=seed, **settings).fit(binary)
    states = (np.arange(2**9)[:, np.newaxis] >> np.arange(9)) & 1
    log_p = [
        v @ rbm.intercept_visible_ + np.logaddexp(0, v @ W.T + b).sum(axis=1)
        for v in (binary, states)
    ]
    likelihood = log_p[0].mean() - np.logaddexp.reduce(log_p[1])
    p = binary.mean(axis=0)
    independent = np.sum(p * np.log(p) + (1 - p) * np.log(1 - p))
    assert likelihood > independent + 1


def test_quality_by_layer(stack, machines):
    for l, (rbm, v) in enumerate(machines):
        back = sigmoid(rbm.transform(v) @ rbm.components_ + rbm.intercept_visible_)
        error = np.sqrt(((v - back) ** 2).mean())
        assert stack.reconstruction_error[l] == pytest.approx(error, rel=1e-12)
        assert stack.data_std[l] == pytest.approx(np.sqrt(v.var(axis=0).mean()), rel=1e-12)
        assert stack.pseudo_likelihood[l] == rbm.score_samples(v).mean()


def by_free_energy(rbm, v):
    """The exact mean of Σ_i ln P(v_i | others), which `pseudo_likelihood` estimates."""

    def energy(v):
        return -v @ rbm.intercept_visible_ - np.logaddexp(
            0, v @ rbm.components_.T + rbm.intercept_hidden_
        ).sum(axis=1)

    total = 0.0
    for i in range(v.shape[1]):
        flipped = v.copy()
        flipped[:, i] = 1 - v[:, i]
        total += np.log(sigmoid(energy(flipped) - energy(v))).mean()
    return total


def test_pseudo_likelihood_estimates_a_sum_over_units(stack, machines):
    for l, (rbm, v) in enumerate(machines):
        exact = by_free_energy(rbm, v)
        spread = v.shape[1] * 1.0 / np.sqrt(len(v))  # one unit of each row, chosen at random
        assert abs(stack.pseudo_likelihood[l] - exact) < spread < abs(exact), l


NETWORKS = {
    "MLP": vgsim.MLP(3, WIDTHS, activation="sigmoid"),
    "read-out": vgsim.Sequential(
        9,
        [layer for n in WIDTHS[1:] for layer in (vgsim.Linear(n, init="orthogonal"), "sigmoid")]
        + [vgsim.Linear(2)],
    ),
    "groups": vgsim.Sequential(
        9, [[vgsim.Linear(n), "sigmoid"] for n in WIDTHS[1:]] + [vgsim.Linear(2)]
    ),
    "first two": vgsim.MLP(2, WIDTHS[:3], activation="sigmoid"),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_forward_pass_of_the_network_is_scikit_learns_chain(name, stack, machines, rows):
    network = NETWORKS[name]
    parameters = stack.for_network(network)
    layers = len(parameters) // 2
    assert layers == (2 if name == "first two" else 3)
    if network.widths[-1] == 2:
        parameters[f"{network.depth - 1}.weight"] = np.ones((2, WIDTHS[-1]))
        parameters[f"{network.depth - 1}.bias"] = np.zeros(2)
    G = np.ones((network.widths[-1], len(rows)))
    result = vgsim.evaluate(network, parameters, rows.T, G, return_arrays=True)
    rbm, v = machines[layers - 1]
    hidden = result.activations[-2 if network.widths[-1] == 2 else -1]
    np.testing.assert_allclose(hidden.T, rbm.transform(v), rtol=1e-12)


def test_the_parameters_are_those_of_an_mlp(stack):
    given = stack.for_network(NETWORKS["MLP"])
    assert list(given) == list(stack.parameters)
    assert all(given[name] is array for name, array in stack.parameters.items())
    with_biases = vgsim.MLP(3, WIDTHS, activation="sigmoid", bias_std=1)
    assert list(stack.for_network(with_biases)) == list(given)


def test_one_seed_one_result(stack, rows):
    again = vgsim.pretrain_rbm(np.array(WIDTHS), rows.tolist(), seed=3, **SETTING)
    other = vgsim.pretrain_rbm(WIDTHS, rows, seed=4, **SETTING)
    for name, array in stack.parameters.items():
        np.testing.assert_array_equal(again.parameters[name], array)
        assert not np.allclose(other.parameters[name], array)


def test_a_shorter_stack_is_the_start_of_a_longer_one(stack, rows):
    shorter = vgsim.pretrain_rbm(WIDTHS[:3], rows, seed=3, **SETTING)
    for name, array in shorter.parameters.items():
        np.testing.assert_array_equal(stack.parameters[name], array)


def test_neither_data_nor_random_numbers_of_the_caller_change(rows):
    given, state = rows.copy(), np.random.get_state()[1].copy()  # noqa: NPY002
    vgsim.pretrain_rbm((9, 4), given, n_iter=1)
    np.testing.assert_array_equal(given, rows)
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002


X = np.full((5, 3), 0.5)
BAD = {
    "width": ({"widths": [3, 0]}, ValueError, "widths[1] must be an int from 1 to"),
    "one width": ({"widths": [3]}, ValueError, "widths must hold at least 2 widths"),
    "int": ({"widths": 3}, TypeError, "widths must be a sequence of ints, got 3"),
    "above 1": ({"X": 16 * X}, ValueError, "X must have values from 0 to 1, got 8.0"),
    "below 0": ({"X": -X}, ValueError, "X must have values from 0 to 1, got -0.5"),
    "NaN": ({"X": X * np.nan}, ValueError, "X must have values from 0 to 1, got nan"),
    "columns": ({"X": X.T}, ValueError, "X must have shape (N, n_0) with n_0 = 3, got (3, 5)"),
    "vector": ({"X": X[0]}, ValueError, "X must have shape (N, n_0) with n_0 = 3, got (3,)"),
    "no rows": ({"X": X[:0]}, ValueError, "X must have shape (N, n_0) with n_0 = 3, got (0, 3)"),
    "words": ({"X": "digits"}, TypeError, "X must be an array of rows, got 'digits'"),
    "rate": ({"learning_rate": 0}, ValueError, "learning_rate must be a positive number, got 0"),
    "passes": ({"n_iter": 0}, ValueError, "n_iter must be an int from 1 to"),
    "batch": ({"batch_size": 6}, ValueError, "batch_size must be an int from 1 to the 5 rows of X"),
    "seed": ({"seed": -1}, ValueError, "seed must be an int >= 0, got -1"),
}


@pytest.mark.parametrize("name", BAD)
def test_an_error_names_the_argument(name):
    arguments, kind, message = BAD[name]
    usual = {"widths": [3, 2], "X": X, "batch_size": 5, "n_iter": 1}
    with pytest.raises(kind, match=re.escape(message)) as caught:
        vgsim.pretrain_rbm(**{**usual, **arguments})
    assert caught.value.argument.startswith(next(iter(arguments)))


def test_infinite_weights_are_refused(rows):
    with pytest.raises(ValueError, match="learning_rate must be smaller: weights of layer 1 left"):
        vgsim.pretrain_rbm([9, 2], rows, learning_rate=1.7e308)


UNFIT = {
    "tanh": vgsim.MLP(2, WIDTHS[:3]),
    "widths": vgsim.MLP(2, [9, 7, 6], activation="sigmoid"),
    "more layers": vgsim.MLP(4, [*WIDTHS, 3], activation="sigmoid"),
    "norm": vgsim.MLP(2, WIDTHS[:3], activation="sigmoid", norm="layer"),
    "two read-outs": vgsim.Sequential(9, [vgsim.Linear(7), "sigmoid", *[vgsim.Linear(3)] * 2]),
    "tanh above": vgsim.Sequential(9, [vgsim.Linear(7), "sigmoid", vgsim.Linear(3), "tanh"]),
    "only a read-out": vgsim.Sequential(9, [vgsim.Linear(7)]),
}


@pytest.mark.parametrize("name", UNFIT)
def test_other_networks_are_refused(name, stack):
    with pytest.raises(ValueError, match="network must have"):
        stack.for_network(UNFIT[name])


@pytest.mark.parametrize("network", [vgsim.RNN(2, 9, activation="sigmoid"), 3], ids=type)
def test_what_is_no_stack_of_layers_is_refused(network, stack):
    with pytest.raises(TypeError, match="network must be a vgsim.MLP"):
        stack.for_network(network)


def test_without_scikit_learn_there_is_one_sentence(monkeypatch):
    def without(name, *args, **kwargs):
        raise ImportError(name)

    monkeypatch.setattr("vgsim._training.rbm.import_module", without)
    sentence = "pretrain_rbm needs the package scikit-learn: pip install 'vgsim[train]'"
    with pytest.raises(ImportError, match=re.escape(sentence)):
        vgsim.pretrain_rbm([3, 2], X, batch_size=5)


def test_shown_as_text_and_html(stack):
    assert repr(stack) == "<Pretraining: 3 sigmoid layers, widths (9, 7, 5, 4)>"
    shown = stack._repr_html_()
    assert "reconstruction_error" in shown
    assert "weight" not in shown
    assert re.findall(r"<tr><td>(\d+)</td>", shown) == ["1", "2", "3"]  # layers, as everywhere
