"""The kernels against the twin: simulate against replay and evaluate, sample by sample."""

import numpy as np
import pytest

import vgsim
from vgsim._networks.activation_table import ACTIVATIONS
from vgsim._networks.initializers import INITIALIZERS

RECORD = ("gradient", "weight_gradient", "update_ratio", "activation", "saturation")
WIDTHS = [6, 9, 5, 8, 1, 7, 4]  # with a layer of one unit
GAINS = {"sigmoid": 3.0, "tanh": 1.1, "softsign": 1.3, "erf": 0.9, "elu": 1.1, "sine": 0.03}
REQUIRED = {
    "normal": {"std": 0.4},
    "uniform": {"limit": 0.7},
    "student_t": {"df": 3},
    "sparse": {"density": 0.6},
}
RECURRENT = ("identity", "torch_recurrent")  # recurrent networks only
IN_MLP = [name for name in INITIALIZERS if name not in RECURRENT]
GAUSSIAN = [
    name
    for name in INITIALIZERS
    if vgsim.Initializer(name, **REQUIRED.get(name, {})).distribution == "normal"
]


def cases():
    """Every activation with both engines, and every initialiser that an engine supports."""
    for engine, inits in {"matrix-free": GAUSSIAN, "dense": IN_MLP}.items():
        names = list(ACTIVATIONS)
        for number in range(max(len(names), len(inits))):
            activation, name = names[number % len(names)], inits[number % len(inits)]
            init = vgsim.Initializer(name, **REQUIRED.get(name, {}))
            bias_std = 0.2 if number % 2 and name != "torch_default" else 0.0
            yield pytest.param(
                engine, activation, init, bias_std, id=f"{engine}-{activation}-{name}-{bias_std}"
            )


def twins_of(net, n_samples, *, seed=7, first=0, inputs="normal", **choice):
    """Samples, and pairs (kernel, twin) of every recorded quantity of every layer."""
    layers = range(net.depth + 1)
    samples = vgsim.simulate(
        net,
        n_samples,
        seed=seed,
        first=first,
        inputs=inputs,
        layers=layers,
        record=RECORD,
        **choice,
    )
    twins = []
    for index in range(first, first + n_samples):
        sample = vgsim.replay(net, seed, index, inputs=inputs, **choice)
        arrays = (sample.weights, sample.biases, sample.inputs, sample.output_gradient)
        twins.append(vgsim.evaluate(net, *arrays))
    return samples, {
        name: (getattr(samples, name), np.array([getattr(twin, name) for twin in twins]))
        for name in (*RECORD, "output_gradient", "dead")
    }


def assert_twins(net, n_samples, *, tolerance, **choice):
    """Compare every recorded quantity of every layer, sample by sample."""
    samples, pairs = twins_of(net, n_samples, **choice)
    for name, pair in pairs.items():
        np.testing.assert_allclose(*pair, rtol=1e-14, atol=tolerance, err_msg=name)
    return samples


@pytest.mark.parametrize(("engine", "activation", "init", "bias_std"), list(cases()))
def test_kernel_equals_twin(engine, activation, init, bias_std):
    net = vgsim.MLP(
        len(WIDTHS) - 1,
        WIDTHS,
        activation=activation,
        init=init,
        gain=GAINS.get(activation, 1.0),
        bias_std=bias_std,
    )
    assert_twins(net, 60, tolerance=1e-9, engine=engine, dtype="float64")


def test_the_cases_cover_every_activation_and_initialiser():
    for engine, inits in {"matrix-free": GAUSSIAN, "dense": IN_MLP}.items():
        values = [case.values for case in cases() if case.values[0] == engine]
        assert {activation for _, activation, *_ in values} == set(ACTIVATIONS)
        assert {init.name for _, _, init, _ in values} == set(inits)


@pytest.mark.parametrize(
    ("engine", "init"),
    [
        ("matrix-free", "lecun_normal"),
        ("dense", "lecun_normal"),
        ("dense", "lecun_uniform"),
        ("dense", "truncated_normal"),
    ],
)
@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "gelu"])
def test_kernel_equals_twin_in_float32(engine, activation, init):
    net = vgsim.MLP(6, [6, 9, 5, 8, 12, 3, 7], activation=activation, init=init)
    choice = {"engine": engine, "dtype": "float32"}
    layers = range(net.depth + 1)
    samples = vgsim.simulate(net, 30, seed=7, layers=layers, record=RECORD[:-1], **choice)
    for index in range(30):
        sample = vgsim.replay(net, 7, index, **choice)
        arrays = (sample.weights, sample.biases, sample.inputs, sample.output_gradient)
        twin = vgsim.evaluate(net, *arrays)
        for name in RECORD[:-1]:
            actual, expected = getattr(samples, name)[index], getattr(twin, name)
            np.testing.assert_allclose(actual, expected, rtol=0, atol=2e-4, err_msg=name)


@pytest.mark.parametrize("engine", ["matrix-free", "dense"])
@pytest.mark.parametrize(
    "net",
    [
        vgsim.MLP(200, 5, activation="sigmoid", bias_std=0.1),
        vgsim.MLP(200, 6, activation="tanh", gain=0.9),
        vgsim.MLP(200, 12, activation="leaky_relu", init="he_normal", gain=100.0),
        vgsim.MLP(200, 8, activation="softplus", gain=0.7),
    ],
    ids=lambda net: net.activation.name,
)
def test_kernel_equals_twin_where_float64_would_underflow_or_overflow(engine, net):
    samples = assert_twins(net, 2, tolerance=1e-9, engine=engine, dtype="float64")
    assert not samples.dead.any()


@pytest.mark.parametrize("engine", ["matrix-free", "dense"])
def test_kernel_equals_twin_when_dead(engine):
    net = vgsim.MLP(6, 3, activation="relu", init="he_normal", bias_std=0.1)
    samples = assert_twins(net, 100, tolerance=1e-9, engine=engine, dtype="float64")
    assert 10 < samples.n_dead < 90
    net = vgsim.MLP(6, 3, activation="relu", init="he_normal")
    samples = assert_twins(net, 100, tolerance=1e-9, engine=engine, dtype="float64")
    assert 10 < samples.n_dead < 90


SATURATED = ["elu", "selu", "gelu", "silu", "softplus", "sigmoid", "tanh", "erf", "softsign"]
SATURATED += ["mish", "gelu_tanh"]


@pytest.mark.parametrize("engine", ["matrix-free", "dense"])
@pytest.mark.parametrize("activation", SATURATED)
@pytest.mark.parametrize("gain", [30.0, 1000.0])
def test_kernel_equals_twin_when_saturated(engine, activation, gain):
    net = vgsim.MLP(1, [3, 2], activation=activation, init="lecun_normal", gain=gain)
    samples = assert_twins(net, 50, tolerance=1e-9, engine=engine, dtype="float64")
    assert not samples.dead.any()


LIMIT = 3.23e8  # norms saturate at some factor times 10^±323228419


def assert_twins_up_to_the_limit(net, n_samples, *, tolerance, **choice):
    """Compare relative to max(1, |value|); saturated values must be saturated in both."""
    samples, pairs = twins_of(net, n_samples, **choice)
    for name, pair in pairs.items():
        assert np.abs(pair).max() < 1.001 * LIMIT, name
        actual, expected = np.clip(pair, -LIMIT, LIMIT)
        np.testing.assert_allclose(
            actual, expected, rtol=tolerance, atol=tolerance, err_msg=f"{name} of {net}"
        )
    assert not samples.dead.any()
    return samples


@pytest.mark.parametrize("engine", ["matrix-free", "dense"])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-9), ("float32", 1e-4)])
@pytest.mark.parametrize(
    "scales",
    [{"gain": 1e19}, {"gain": 1e30}, {"gain": 1e100}, {"gain": 1e-150, "bias_std": 1e12}],
    ids=str,
)
@pytest.mark.parametrize("activation", [*SATURATED, vgsim.Activation("elu", alpha=1e6)], ids=str)
def test_kernel_equals_twin_at_extreme_scales(engine, dtype, tolerance, scales, activation):
    """In float32 h of a unit with h = ‖h‖/100 has an error of 1e-5; softsign has the slope h^-2."""
    for width in (1, 2, 8):
        net = vgsim.MLP(3, width, activation=activation, **scales)
        assert_twins_up_to_the_limit(net, 4, tolerance=tolerance, engine=engine, dtype=dtype)


@pytest.mark.parametrize("engine", ["matrix-free", "dense"])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-9), ("float32", 1e-4)])
def test_kernel_equals_twin_on_a_huge_input(engine, dtype, tolerance):
    init = vgsim.Initializer("normal", std=0.1)
    net = vgsim.MLP(3, [1, 1, 64, 64], activation="silu", init=init)
    choice = {"inputs": [[1e300]], "engine": engine, "dtype": dtype}
    samples = assert_twins_up_to_the_limit(net, 20, tolerance=tolerance, **choice)
    off = samples.gradient[:, 0] < -LIMIT
    assert 0 < off.sum() < 20
    on = samples.activation[~off, 1]
    assert (abs(on - 299) < 8).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_gradients_saturate_downwards(dtype):
    net = vgsim.MLP(6, 4, activation="tanh", init="glorot_uniform", gain=0.1, bias_std=1e12)
    samples = vgsim.simulate(net, 100, dtype=dtype, layers=range(6))
    np.testing.assert_allclose(samples.gradient, -323_228_419, rtol=1e-7)


@pytest.mark.parametrize("engine", ["matrix-free", "dense"])
@pytest.mark.parametrize("width", [1, [1, 5], [5, 1]])
def test_kernel_equals_twin_at_depth_one_and_width_one(engine, width):
    net = vgsim.MLP(1, width, bias_std=0.3)
    assert_twins(net, 50, tolerance=1e-9, engine=engine, dtype="float64")


@pytest.mark.parametrize("engine", ["matrix-free", "dense"])
def test_kernel_equals_twin_on_data_and_far_indices(engine):
    data = np.random.default_rng(3).normal(size=(17, 5))
    net = vgsim.MLP(3, [5, 8, 8, 4], bias_std=0.3)
    choice = {"inputs": data, "engine": engine, "dtype": "float64"}
    assert_twins(net, 50, tolerance=1e-9, seed=2**70, first=2**56 - 50, **choice)
    assert_twins(net, 50, tolerance=1e-9, first=2**32 - 25, **choice)
