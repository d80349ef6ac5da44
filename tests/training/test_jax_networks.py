"""Networks in JAX against evaluate, the activations' own derivatives, and PyTorch's autograd."""

import pickle

import numpy as np
import pytest

import vgsim

jax = pytest.importorskip("jax", reason="JAX is needed for to_jax")
jnp = jax.numpy

from vgsim._networks.activation_table import ACTIVATIONS  # noqa: E402
from vgsim._networks.jax.backward import exponents, log2_norm  # noqa: E402
from vgsim._networks.jax.functions import elementwise  # noqa: E402
from vgsim._networks.jax.network import double_precision  # noqa: E402

pytestmark = pytest.mark.usefixtures("quickly_compiled")

TANH = vgsim.Activation("custom", function=np.tanh, derivative=lambda h: np.cosh(h) ** -2.0)
BUMP = vgsim.Activation(
    "custom", function=lambda h: np.exp(-h * h), derivative=lambda h: -2 * h * np.exp(-h * h)
)
BENT = vgsim.Activation(
    "custom",
    function=lambda h: np.maximum(h, -0.5 * h),
    kinks=[0],
    derivative=lambda h: np.where(h > 0, 1, -0.5),
)
OWN = [vgsim.Activation("elu", alpha=0.3), vgsim.Activation("sine", omega=2.0), TANH, BUMP, BENT]
PHI = [vgsim.Activation(name) for name in ACTIVATIONS] + OWN
MIXED = [
    vgsim.Skip([vgsim.Norm("layer"), vgsim.Attention(2, causal=True, bias_std=0.1)], branch=0.7),
    vgsim.Skip([vgsim.Linear(16, bias_std=0.1), "gelu", vgsim.Dropout(0.2), vgsim.Linear(8)]),
    [vgsim.Norm("rms"), vgsim.Linear(8)],
    vgsim.Gate([vgsim.Linear(), "tanh", vgsim.Skip([vgsim.Norm("batch"), "silu"])]),
    vgsim.Attention(4),
]
STYLES = ("activated", "linear", "post", "pre")
NETWORKS = {
    "plain": vgsim.MLP(3, [5, 8, 3, 4], init="torch_default", activation=BUMP),
    "batch": vgsim.MLP(2, 6, norm="batch", bias_std=0.3),
    **{style: vgsim.MLP(4, 6, residual=vgsim.Residual(2, style=style)) for style in STYLES},
    "highway": vgsim.MLP(2, 6, highway=vgsim.Highway(-1.0)),
    "clipped norm": vgsim.MLP(3, 6, norm="layer", clip=vgsim.ClipNorm(0.1)),
    "clipped values": vgsim.MLP(3, 6, gain=2.0, norm="rms", clip=vgsim.ClipValue(0.1)),
    "composed": vgsim.Sequential(8, MIXED, tokens=3),
    "rnn": vgsim.RNN(4, 5, leak=0.5, bias_std=0.1),
    "rnn, no drive": vgsim.RNN(4, 5, input_std=0.0),
    "lstm, clipped": vgsim.LSTM(4, 5, chrono=8.0, clip=vgsim.ClipNorm(0.1)),
    "gru of torch": vgsim.GRU(4, 5, init="torch_recurrent"),
    "one step": vgsim.GRU(1, 4, update_bias=0.5),
}


def sample_of(network, **settings):
    """A sample of the network, of four examples."""
    return vgsim.replay(network, seed=3, batch_size=4, engine="dense", dtype="float64", **settings)


def trained(sample):
    """The parameters of a sample without masks and drive."""
    return {name: sample.parameters[name] for name in sample.network.to_jax().shapes}


def gradients(sample, dtype="float64"):
    """X_D, the cotangents of the probes and the gradients by parameters."""
    net = sample.network.to_jax(dtype=dtype)

    def loss(parameters, probes):
        states = net.states(parameters, sample.inputs.T, probes)
        return jnp.sum(states[-1].T * jnp.asarray(sample.output_gradient, dtype)), states[-1]

    parameters = {name: jnp.asarray(a, dtype) for name, a in sample.parameters.items()}
    run = jax.jit(jax.value_and_grad(loss, (0, 1), has_aux=True))
    (_, outputs), (by_parameters, probes) = run(parameters, net.probes())
    return net, np.asarray(outputs), by_parameters, probes


def weight_gradients(net, by_parameters, E):
    """log10 ‖∂L/∂W_l‖ of each place with matrices, from gradients that are scaled by 2^E."""
    squares = {}
    names = [n for n, shape in net.shapes.items() if len(shape) == 2 and n != "input_weight"]
    for name in names:
        if name.endswith("gate") and isinstance(net.network, vgsim.MLP):
            continue
        place = 0 if name == "weight" else int(name.split(".")[0])
        log2 = float(log2_norm((by_parameters[name],))) + float(E[place])
        squares.setdefault(place, []).append(2 * log2)
    return [0.5 * np.logaddexp2.reduce(squares[place]) * np.log10(2) for place in sorted(squares)]


@pytest.mark.parametrize("name", NETWORKS)
def test_states_and_gradients_equal_those_of_evaluate(name):
    sample = sample_of(NETWORKS[name])
    result = vgsim.evaluate(
        sample.network,
        sample.parameters,
        sample.inputs,
        sample.output_gradient,
        return_arrays=True,
    )
    with double_precision("float64"):
        net, outputs, by_parameters, probes = gradients(sample)
        E = np.asarray(exponents(net.program, probes))
        weights = weight_gradients(net, by_parameters, E)
    assert outputs.dtype == np.float64
    np.testing.assert_allclose(outputs.T, result.activations[-1], rtol=1e-11, atol=1e-14)
    gradient = (np.array(probes)[:, 0] + E) * np.log10(2)
    np.testing.assert_allclose(gradient, result.gradient, rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(weights, result.weight_gradient, rtol=1e-11, atol=1e-11)


FLOAT32 = {
    "post": NETWORKS["post"],
    "lstm": vgsim.LSTM(4, 5, bias_std=0.1),
    "out of range": vgsim.MLP(32, 6, activation="sigmoid", gain=0.1),
}


@pytest.mark.parametrize("name", FLOAT32)
def test_float32_equals_evaluate_within_its_rounding(name):
    sample = sample_of(FLOAT32[name])
    result = vgsim.evaluate(
        sample.network, sample.parameters, sample.inputs, sample.output_gradient
    )
    assert name != "out of range" or result.gradient[0] < -45  # the least float32 is 1.4e-45
    net, outputs, by_parameters, probes = gradients(sample, "float32")
    assert outputs.dtype == np.float32
    E = np.asarray(exponents(net.program, probes))
    gradient = (np.array(probes)[:, 0] + E) * np.log10(2)
    np.testing.assert_allclose(gradient, result.gradient, atol=2e-5)
    weights = weight_gradients(net, by_parameters, E)
    np.testing.assert_allclose(weights, result.weight_gradient, atol=2e-5)


@pytest.mark.parametrize("name", ["highway", "composed", "rnn", "lstm, clipped"])
def test_gradients_by_parameters_and_inputs_equal_those_of_torch(name):
    torch = pytest.importorskip("torch")
    sample = sample_of(NETWORKS[name])
    module = sample.to_torch()
    given = torch.tensor(sample.inputs.T, requires_grad=True)
    module(given).backward(torch.tensor(sample.output_gradient.T))
    expected = {n: p.grad.numpy() for n, p in module.named_parameters()}
    with double_precision("float64"):
        net = sample.network.to_jax(dtype="float64")

        def loss(parameters, x):
            return jnp.sum(
                net.apply({**sample.parameters, **parameters}, x).T * sample.output_gradient
            )

        x = jnp.asarray(sample.inputs.T)
        found, by_x = jax.jit(jax.grad(loss, (0, 1)))(trained(sample), x)
    largest = max(np.abs(g).max() for g in expected.values())
    np.testing.assert_allclose(by_x, given.grad, rtol=1e-9, atol=1e-13)
    if isinstance(sample.network, vgsim.Sequential):
        assert set(found) == set(expected)
        for name, gradient in expected.items():
            np.testing.assert_allclose(found[name], gradient, rtol=1e-9, atol=1e-12 * largest)
    else:  # the modules of other networks have other names

        def sizes(arrays):
            return np.sort([np.linalg.norm(a) for a in arrays if np.ndim(a) == 2])

        np.testing.assert_allclose(sizes(found.values()), sizes(expected.values()), rtol=1e-9)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("phi", PHI, ids=lambda phi: f"{phi.name} {len(str(phi.parameters))}")
def test_activations_and_their_derivatives(phi, dtype):
    info = np.finfo(dtype)
    near = np.concatenate([np.linspace(-9, 9, 361), [0.0, -0.0, *phi.kinks]])
    tails = np.geomspace(1e-20, 30 if phi.name == "sine" else 1e4, 60)
    h = np.concatenate([near, tails, -tails]).astype(dtype)
    huge = np.array([1e30, -1e30, float(info.max), float(info.min)], dtype)
    with double_precision(dtype):
        f = elementwise(phi)
        both = jax.jit(lambda h: (f(h), jax.vmap(jax.grad(f))(h)))
        value, slope = (np.asarray(a) for a in both(np.concatenate([h, huge])))
    assert value.dtype == slope.dtype == np.dtype(dtype)
    assert not np.isnan([value, slope]).any()
    eps, most = float(info.eps), phi.max_derivative
    assert (np.abs(slope) <= most * (1 + 1e-5)).all()
    value, slope = value[: h.size], slope[: h.size]
    # rounding of h: where φ ~ e^-h², it acts with the factor h²; of an angle ωh, with ωh
    relative = eps * (4 + 4 * h.astype(float) ** 2) + (64 * eps if phi.is_custom else 0)
    near_one = np.abs(h) < (9 if phi.is_custom else 3)
    angle = 4 * eps * (phi.frequency or 0) * np.abs(h)
    tiny = 1e5 * float(info.tiny)
    off, exact = np.abs(value - phi.value(h)), phi.value(h)
    small = 8 * eps * most * np.minimum(1, np.abs(h)) * phi.is_custom
    assert np.all(off <= relative * np.abs(exact) + tiny + small + angle)
    off, exact = np.abs(slope - phi.derivative(h)), phi.derivative(h)
    assert np.all(off <= relative * np.abs(exact) + tiny + most * (8 * eps * near_one + angle))
    for kink in set(phi.kinks) & {0.0, 1.0, -1.0, 3.0, -3.0, 6.0}:
        assert slope[h == kink][0] == pytest.approx(phi.derivative(kink), rel=1e-6)


@pytest.mark.parametrize(("norm", "n", "batch_size"), [("batch", 6, 2), ("layer", 2, 5)])
def test_gradients_proportional_to_eps_keep_their_digits_in_float32(norm, n, batch_size):
    net = vgsim.MLP(3, n, norm=norm, gain=30.0)
    sample = vgsim.replay(net, seed=1, batch_size=batch_size, engine="dense", dtype="float64")
    result = vgsim.evaluate(net, sample.parameters, sample.inputs, sample.output_gradient)
    assert result.gradient[0] < -15
    in_jax, _, _, probes = gradients(sample, "float32")
    found = (np.array(probes)[:, 0] + np.asarray(exponents(in_jax.program, probes))) * np.log10(2)
    np.testing.assert_allclose(found, result.gradient, atol=0.01)


def test_biases_for_all_matrices():
    net = vgsim.Sequential(4, [vgsim.Linear(), vgsim.Norm("batch"), vgsim.Attention(2)], tokens=2)
    with_biases = net.to_jax(biases=True)
    names = ["bias", "query_bias", "key_bias", "value_bias", "output_bias"]
    assert {n for n, s in with_biases.shapes.items() if len(s) == 1} == {
        f"{0 if name == 'bias' else 2}.{name}" for name in names
    }
    parameters = with_biases.init(jax.random.key(1))
    x = jax.random.normal(jax.random.key(2), (3, 2, 4))
    plain = {name: a for name, a in parameters.items() if a.ndim == 2}
    apply = jax.jit(with_biases.apply)
    outputs = apply(parameters, x)
    np.testing.assert_allclose(outputs, jax.jit(net.to_jax().apply)(plain, x), rtol=1e-5)
    lifted = {**parameters, "2.output_bias": jnp.ones(4)}
    np.testing.assert_allclose(apply(lifted, x), outputs + 1, rtol=1e-5)


def test_a_bias_that_batch_normalisation_removes_has_no_effect():
    net = vgsim.MLP(2, 4, norm="batch").to_jax(biases=True)
    parameters = net.init(jax.random.key(1))
    x = jax.random.normal(jax.random.key(2), (3, 4))
    shifted = {**parameters, "0.bias": np.full(4, 1e3, np.float32)}
    apply = jax.jit(net.apply)
    np.testing.assert_array_equal(apply(shifted, x), apply(parameters, x))


def test_inputs_of_tokens_in_both_shapes():
    net = vgsim.Sequential(8, [vgsim.Attention(2), vgsim.Dropout(0.5)], tokens=3).to_jax()
    parameters = net.init(jax.random.key(1))
    x = jax.random.normal(jax.random.key(2), (4, 3, 8))
    key = jax.random.key(3)
    Y = net.apply(parameters, x, key)
    assert Y.shape == (4, 3, 8)
    np.testing.assert_array_equal(net.apply(parameters, x.reshape(12, 8), key), Y.reshape(12, 8))
    masks = net.draws(key, 12)
    np.testing.assert_array_equal(net.apply({**parameters, **masks}, x), Y)
    assert not np.array_equal(net.apply(parameters, x, jax.random.key(4)), Y)


@pytest.mark.parametrize("kind", [vgsim.RNN, vgsim.LSTM, vgsim.GRU])
def test_a_sequence_is_the_drive(kind):
    net = kind(4, 5)
    sample = vgsim.replay(net, seed=3, batch_size=2, inputs="zeros")
    parameters = {name: a for name, a in sample.parameters.items() if name != "drive"}
    x = np.transpose(sample.parameters["drive"], (2, 0, 1))
    np.testing.assert_allclose(
        net.to_jax().apply(parameters, x),
        net.to_jax().apply(sample.parameters, sample.inputs.T),
        rtol=1e-6,
    )


REFUSED = {
    "missing": (lambda p: {k: v for k, v in p.items() if k != "1.weight"}, "hold.*'1.weight'"),
    "unknown": (lambda p: {**p, "9.bias": np.ones(3)}, "nothing else than.*'9.bias'"),
    "transposed": (
        lambda p: {**p, "0.weight": p["0.weight"].T},
        r"'0.weight'.*\(6, 4\).*transpose",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.parametrize("jit", [False, True])
def test_wrong_parameters_are_refused_by_name(case, jit):
    change, message = REFUSED[case]
    sample = vgsim.replay(vgsim.MLP(2, [4, 6, 3]))
    apply = sample.network.to_jax().apply
    with pytest.raises(ValueError, match=message):
        (jax.jit(apply) if jit else apply)(change(sample.parameters), np.ones((5, 4)))


def test_wrong_inputs_are_refused():
    dropout = vgsim.Sequential(4, [vgsim.Linear(), vgsim.Dropout(0.5)])
    rnn, alone = vgsim.RNN(3, 4), vgsim.RNN(3, 4, input_std=0.0)
    batch = vgsim.MLP(2, 4, norm="batch")
    tokens = vgsim.Sequential(4, [vgsim.Linear()], tokens=3)
    driven = sample_of(rnn).parameters
    for net, parameters, shape, message in [
        (dropout, None, (5, 4), r"key must be given.*'1.mask'"),
        (dropout, None, (5, 3), r"x must have shape.*\(columns, 4\), got \(5, 3\)"),
        (dropout, None, (4,), r"x must have shape"),
        (rnn, None, (2, 4), r"key must be given.*'drive'"),
        (rnn, None, (2, 5, 4), r"x must have shape \(B, steps, n\) = \(B, 3, 4\)"),
        (rnn, driven, (2, 3, 4), r"x must be h_0.*parameters hold the drive"),
        (alone, None, (2, 3, 4), r"x must be h_0.*input_std 0"),
        (batch, None, (1, 4), r"x must have at least 2 rows"),
        (tokens, None, (5, 4), r"x must have a multiple of tokens = 3"),
        (tokens, None, (5, 2, 4), r"\(B, 3, 4\)"),
        (batch, [1], (2, 4), r"parameters must be a mapping"),
    ]:
        given = trained(sample_of(net)) if parameters is None else parameters
        with pytest.raises((TypeError, ValueError), match=message):
            net.to_jax().apply(given, np.ones(shape))


def test_what_to_jax_refuses():
    net = vgsim.MLP(2, 3)
    with pytest.raises(TypeError, match="network must be described layer by layer"):
        vgsim.Measured(3).to_jax()
    with pytest.raises(TypeError, match="network must be a network of vgsim, got 3"):
        vgsim.JaxNetwork(3)
    with pytest.raises(ValueError, match="dtype must be 'float32' or 'float64'"):
        net.to_jax(dtype="float16")
    with pytest.raises(TypeError, match="biases must be True or False"):
        net.to_jax(biases=1)
    with pytest.raises(ValueError, match="dtype must be 'float64'.*'weight'.*1e-60"):
        vgsim.MLP(2, 3, init=vgsim.Initializer("normal", std=1e-60)).to_jax()
    with pytest.raises(ValueError, match="dtype 'float64' needs JAX's x64 mode: call jax.config"):
        net.to_jax(dtype="float64").init(jax.random.key(0))


def test_it_is_shown_and_pickled():
    net = vgsim.LSTM(5, 8).to_jax(biases=True)
    assert repr(net) == f"<JaxNetwork: {net.network!r}, float32, biases>"
    assert "<td" in net._repr_html_()
    parameters = net.init(jax.random.key(0))
    copy = pickle.loads(pickle.dumps(net))
    again = copy.init(jax.random.key(0))
    assert all(np.array_equal(again[name], a) for name, a in parameters.items())
