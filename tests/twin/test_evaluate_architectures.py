"""evaluate against PyTorch's autograd: batches, norms, skips, gates, clipping, recurrence."""

from itertools import cycle

import numpy as np
import pytest

import vgsim
from architectures import FROZEN, Case, arguments_of, network_of, oracle, square
from vgsim._networks.activation_table import ACTIVATIONS


def evaluated(case, arrays, output_gradient):
    arguments = arguments_of(case, arrays)
    inputs = arrays["inputs"][0]
    return vgsim.evaluate(
        network_of(case), inputs=inputs, output_gradient=output_gradient, **arguments
    )


def assert_equal(result, expected):
    for name in oracle.LOGARITHMIC:
        actual = 10 ** getattr(result, name)
        np.testing.assert_allclose(actual, expected[name], rtol=1e-10, err_msg=name)
    for name in ("saturation", "clipped"):
        np.testing.assert_allclose(getattr(result, name), expected[name], rtol=1e-14, err_msg=name)
    np.testing.assert_allclose(10**result.output_gradient, expected["gradient"][-1], rtol=1e-12)
    assert result.dead == (expected["gradient"][0] == 0)


@pytest.mark.parametrize("name", oracle.CASES)
def test_equals_frozen_autograd(name):
    case = oracle.CASES[name]
    expected = {quantity: FROZEN[f"{name}.{quantity}"] for quantity in oracle.QUANTITIES}
    arrays = case.arrays(FROZEN[f"{name}.numbers"])
    assert_equal(evaluated(case, arrays, FROZEN[f"{name}.output_gradient"]), expected)


@pytest.mark.parametrize("name", oracle.CASES)
def test_frozen_arrays_are_what_autograd_says_today(name):
    pytest.importorskip("torch", reason="PyTorch is needed to run autograd again")
    case = oracle.CASES[name]
    today = oracle.reference(case, case.arrays(FROZEN[f"{name}.numbers"]))
    for quantity, value in today.items():
        np.testing.assert_allclose(value, FROZEN[f"{name}.{quantity}"], rtol=1e-12)


def test_the_oracle_has_clipped_and_unclipped_gradients():
    clipped = np.concatenate([FROZEN[f"{name}.clipped"] for name in oracle.CASES])
    assert {0.0, 1.0} < set(clipped)
    assert FROZEN["clip.clipped"].min() == 0 < FROZEN["clip.clipped"].max()


def cases():
    """All combinations of techniques, with activations, batch sizes and losses in turn."""
    activations, batches = cycle(ACTIVATIONS), cycle([3, 2, 5, 1, 8])
    losses, biased = cycle(["linear", "mse", "cross_entropy"]), cycle([True, False, True])
    clips = cycle([None, ("norm", 0.4), None, None, ("value", 0.1)])
    residuals = cycle(
        [
            (style, every, skip, branch)
            for style in ("activated", "linear", "post", "pre")
            for every, skip, branch in [(1, 1.0, 0.4), (2, -0.9, 0.6), (3, 0.0, 1.1), (6, 1, -0.3)]
        ]
    )
    chosen = [{"widths": (5, 7, 4, 6, 3, 8, 5), "norm": norm} for norm in cycle_norms(8)]
    chosen += [{"residual": next(residuals), "norm": norm} for norm in cycle_norms(32)]
    chosen += [{"gate_bias": bias, "norm": norm} for bias in (-2.0, 0.5) for norm in cycle_norms(4)]
    chosen += [{"recurrent": True, "driven": driven} for driven in (True, False, True, True)] * 2
    for number, choice in enumerate(chosen):
        style, every, *_ = choice.get("residual", (None, None))
        activation, batch = next(activations), next(batches)
        if style == "linear" and every == 1:
            choice["norm"], activation = None, "linear"
        if choice.get("norm") == "batch":
            batch += 2
        case = Case(
            **{"widths": square(6, 5)} | choice,
            activation=activation,
            batch=batch,
            loss=next(losses),
            biased=next(biased),
            clip=next(clips),
            norm_eps=0.01,
        )
        yield pytest.param(number, case, id=f"{number}-{activation}-{style}-{choice.get('norm')}")


def cycle_norms(count):
    return [norm for norm, _ in zip(cycle([None, "batch", "layer", "rms"]), range(count))]


@pytest.mark.parametrize(("number", "case"), list(cases()))
def test_equals_autograd(number, case):
    pytest.importorskip("torch", reason="PyTorch is needed to run autograd")
    arrays = case.arrays(case.draw(np.random.default_rng([4, number])))
    expected = oracle.reference(case, arrays)
    assert_equal(evaluated(case, arrays, expected["output_gradient"]), expected)


def test_the_cases_cover_the_choices():
    cases_ = [case.values[1] for case in cases()]
    assert {case.activation for case in cases_} == set(ACTIVATIONS)
    combined = {(case.residual[0], case.norm) for case in cases_ if case.residual}
    assert len(combined) >= 13
    assert {(case.recurrent, case.clip and case.clip[0]) for case in cases_} >= {
        (recurrent, clip) for recurrent in (True, False) for clip in (None, "norm", "value")
    }
    assert {case.batch for case in cases_ if case.norm == "batch"} >= {3, 4, 5}


# Properties that autograd does not show


@pytest.fixture
def draw(rng):
    return lambda *shape: rng.normal(size=shape) / shape[-1] ** 0.5


def test_one_column_is_a_vector(draw):
    net, W = vgsim.MLP(2, 4, residual=vgsim.Residual()), [draw(4, 4), draw(4, 4)]
    x, g = draw(4), draw(4)
    vectors = vgsim.evaluate(net, W, None, x, g)
    columns = vgsim.evaluate(net, W, None, x[:, np.newaxis], g[:, np.newaxis])
    np.testing.assert_array_equal(vectors.gradient, columns.gradient)


def test_one_drive_is_a_row_of_vectors(draw):
    rnn, W, U, s = vgsim.RNN(3, 4), [draw(4, 4)], draw(4, 4), draw(3, 4)
    x, g = draw(4), draw(4)
    rows = vgsim.evaluate(rnn, W, None, x, g, input_weights=U, drive=s)
    cube = vgsim.evaluate(rnn, W, None, x, g, input_weights=U, drive=s[:, :, np.newaxis])
    np.testing.assert_array_equal(rows.gradient, cube.gradient)


def test_examples_of_a_plain_network_do_not_mix(draw):
    net, W, b = vgsim.MLP(3, 6), [draw(6, 6) for _ in range(3)], [draw(6) for _ in range(3)]
    x, g = draw(6, 4), draw(6, 4)
    batch = vgsim.evaluate(net, W, b, x, g)
    alone = [vgsim.evaluate(net, W, b, x[:, i], g[:, i]) for i in range(4)]
    squares = sum(100**one.gradient for one in alone)
    np.testing.assert_allclose(100**batch.gradient, squares, rtol=1e-12)
    np.testing.assert_allclose(
        100**batch.activation, sum(100**one.activation for one in alone) / 4, rtol=1e-12
    )
    mean = np.mean([one.saturation for one in alone], axis=0)
    np.testing.assert_allclose(batch.saturation, mean, rtol=1e-12)


def test_a_recurrent_network_is_an_mlp_with_one_matrix(draw):
    W, b, x, g = draw(5, 5), draw(5), draw(5, 2), draw(5, 2)
    rnn = vgsim.evaluate(vgsim.RNN(4, 5), [W], [b], x, g, layers=(4, 0, 2))
    mlp = vgsim.evaluate(vgsim.MLP(4, 5), [W] * 4, [b] * 4, x, g, layers=(4, 0, 2))
    for name in ("gradient", "activation", "saturation", "clipped"):
        np.testing.assert_array_equal(getattr(rnn, name), getattr(mlp, name))
    np.testing.assert_array_equal(rnn.weight_layers, [1])
    assert rnn.weight_gradient.shape == rnn.update_ratio.shape == (1,)
    assert rnn.saturation.shape == (2,)


def test_a_batch_norm_cancels_any_bias_exactly(draw):
    net = vgsim.MLP(3, 5, norm="batch")
    W, x, g = [draw(5, 5) for _ in range(3)], draw(5, 4), draw(5, 4)
    biased = vgsim.evaluate(net, W, [1e30 * draw(5)] * 3, x, g)
    np.testing.assert_array_equal(biased.gradient, vgsim.evaluate(net, W, None, x, g).gradient)


def test_shut_gates_carry_everything_and_open_gates_nothing(draw):
    W, x, g = [draw(5, 5) for _ in range(3)], draw(5, 4), draw(5, 4)
    shut, open_ = (vgsim.MLP(3, 5, highway=vgsim.Highway(bias)) for bias in (-1e4, 1e4))
    carried = vgsim.evaluate(shut, W, None, x, g, gate_weights=W)
    np.testing.assert_allclose(carried.log10_ratio, 0.0, atol=1e-12)
    assert np.all(carried.weight_gradient < -4000)
    assert np.all(np.isfinite(carried.weight_gradient))
    plain = vgsim.evaluate(vgsim.MLP(3, 5), W, None, x, g)
    through = vgsim.evaluate(open_, W, None, x, g, gate_weights=W)
    np.testing.assert_allclose(through.gradient, plain.gradient, rtol=1e-12)


MLP_ARRAYS = {"weights": [np.eye(2)] * 2, "biases": None, "inputs": np.ones((2, 3))}
RNN_ARRAYS = {"weights": [np.eye(2)], "biases": None, "inputs": np.ones((2, 3))}
HIGHWAY = vgsim.MLP(2, 2, highway=vgsim.Highway())


@pytest.mark.parametrize(
    ("network", "change", "message"),
    [
        (vgsim.MLP(2, 2), {"output_gradient": np.ones((2, 2))}, "got 2 and 3 columns"),
        (vgsim.MLP(2, 2), {"inputs": np.ones((2, 0))}, r"inputs must have shape.*got \(2, 0\)"),
        (vgsim.MLP(2, 2), {"inputs": np.ones((2, 3, 1))}, r"inputs must have.*\(n_0, B\)"),
        (vgsim.MLP(2, 2), {"biases": [np.ones((2, 3)), None]}, r"biases\[0\].*\(n_1, 1\)"),
        (vgsim.MLP(2, 2), {"gate_weights": [np.eye(2)] * 2}, "gate_weights must be None: a net"),
        (vgsim.MLP(2, 2), {"drive": np.ones((2, 2, 3))}, "drive must be None: an MLP"),
        (vgsim.MLP(2, 2), {"input_weights": np.eye(2)}, "input_weights must be None: an MLP"),
        (
            vgsim.MLP(2, 2, norm="batch"),
            {"inputs": [1, 2], "output_gradient": [1, 2]},
            "at least 2",
        ),
        (HIGHWAY, {}, "gate_weights must be given"),
        (HIGHWAY, {"gate_weights": [np.eye(2)]}, "gate_weights must hold depth = 2 arrays, got 1"),
        (HIGHWAY, {"gate_weights": [np.eye(2), np.eye(3)]}, r"gate_weights\[1\] must have shape"),
        (vgsim.RNN(2, 2), {"gate_weights": [np.eye(2)]}, "gate_weights must be None: an RNN"),
        (vgsim.RNN(2, 2), {"weights": [np.eye(2)] * 2}, "weights must hold 1 array, the same"),
        (vgsim.RNN(2, 2), {"biases": [None] * 2}, "biases must be None or hold 1 array"),
        (vgsim.RNN(2, 2), {"drive": np.ones((2, 2, 3))}, "input_weights must be given toget"),
        (
            vgsim.RNN(2, 2),
            {"drive": np.ones((2, 2)), "input_weights": np.eye(2)},
            r"drive must have shape \(steps, n, B\) = \(2, 2, 3\), got \(2, 2\)",
        ),
        (
            vgsim.RNN(2, 2),
            {"drive": np.ones((2, 2, 3)), "input_weights": np.eye(3)},
            r"input_weights must have shape \(n, n\) = \(2, 2\), got \(3, 3\)",
        ),
    ],
)
def test_errors_say_what_is_allowed(network, change, message):
    arrays = MLP_ARRAYS if isinstance(network, vgsim.MLP) else RNN_ARRAYS
    with pytest.raises(ValueError, match=message):
        vgsim.evaluate(network, **{"output_gradient": np.ones((2, 3))} | arrays | change)
