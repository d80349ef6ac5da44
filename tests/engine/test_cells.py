"""Runs of recurrent cells: against their formulas in PyTorch, and in every way the same bits."""

import numpy as np
import pytest

import vgsim
from segments import cut_into_segments, plan_of
from vgsim import _kernels
from vgsim._studies.blocks import Blocks

reference = pytest.importorskip("cells_reference", reason="PyTorch is the oracle of these tests")
Draws, trace = reference.Draws, reference.trace
gru_step, lstm_step, rnn_step = reference.gru_step, reference.lstm_step, reference.rnn_step

RECORD = ("gradient", "activation", "saturation", "weight_gradient", "update_ratio")
STEPS, N = 12, 7
TORCH = N**-0.5


def lstm(shift=1.0, **law):
    return lambda d: lstm_step([d.bias(1, **law), d.bias(2, shift, **law), *others(d, **law)])


def others(d, **law):
    return d.bias(3, **law), d.bias(4, **law)


def chrono(shift, most):
    def step(d):
        forget = d.bias(2, shift, most)
        return lstm_step([-forget, forget, *others(d)])

    return step


def gru(shift=0.0):
    return lambda d: gru_step([d.bias(1), d.bias(2, shift), d.bias(3)])


def torch_gru(d):
    twice = {"limit": TORCH, "count": 2}
    outside, inside = d.bias(3, limit=TORCH), d.bias(3 + 24, limit=TORCH)
    return gru_step([d.bias(1, **twice), d.bias(2, **twice), outside], inside)


def torch_rnn(d):
    return rnn_step(0.6, d.bias(1, limit=TORCH, count=2))


CELLS = {  # network, gates, step, and arguments of simulate
    "LSTM": (vgsim.LSTM(STEPS, N), 4, lstm(), {}),
    "LSTM, zeros": (vgsim.LSTM(STEPS, N, bias_std=0.4), 4, lstm(), {"inputs": "zeros"}),
    "LSTM, chrono": (
        vgsim.LSTM(STEPS, N, chrono=50, bias_std=0.3, forget_bias=0.5, init="glorot_uniform"),
        4,
        chrono(0.5, 49.0),
        {"batch_size": 3},
    ),
    "LSTM, no drive": (vgsim.LSTM(STEPS, N, input_std=0, gain=3.0), 4, lstm(), {}),
    "LSTM, PyTorch's": (
        vgsim.LSTM(STEPS, N, init="torch_recurrent"),
        4,
        lstm(0.0, limit=TORCH, count=2),
        {"batch_size": 2},
    ),
    "GRU": (vgsim.GRU(STEPS, N), 3, gru(), {}),
    "GRU, biases": (
        vgsim.GRU(STEPS, N, bias_std=0.3, update_bias=1.5, gain=2.0),
        3,
        gru(1.5),
        {"batch_size": 3},
    ),
    "GRU, PyTorch's": (vgsim.GRU(STEPS, N, init="torch_recurrent"), 3, torch_gru, {}),
    "leaky RNN": (
        vgsim.RNN(STEPS, N, leak=0.3, init="glorot_normal", input_std=0.7),
        1,
        lambda d: rnn_step(0.3),
        {"batch_size": 2},
    ),
    "leaky RNN, PyTorch's": (
        vgsim.RNN(STEPS, N, leak=0.6, init="torch_recurrent"),
        1,
        torch_rnn,
        {},
    ),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", CELLS)
def test_equals_the_formulas(name, dtype):
    net, gates, make_step, settings = CELLS[name]
    first, count = 3, 3
    samples = vgsim.simulate(
        net, count, first=first, layers=range(STEPS + 1), record=RECORD, dtype=dtype, **settings
    )
    tolerance = {"rtol": 0, "atol": 1e-12 if dtype == "float64" else 2e-6}
    zeros, batch_size = settings.get("inputs") == "zeros", settings.get("batch_size", 1)
    for k in range(count):
        draws = Draws(net, first + k, gates=gates, dtype=dtype, zeros=zeros, batch_size=batch_size)
        gradient, of_weights, hidden = trace(draws, make_step(draws), net.program.state == 2)
        np.testing.assert_allclose(samples.gradient[k], gradient, **tolerance)
        np.testing.assert_allclose(samples.output_gradient[k], gradient[-1], **tolerance)
        np.testing.assert_allclose(samples.weight_gradient[k], of_weights, **tolerance)
        size = 0.5 * np.log10(sum((w**2).sum() for w in draws.weight))
        np.testing.assert_allclose(samples.update_ratio[k], of_weights - size, **tolerance)
        with np.errstate(divide="ignore"):
            rms = [0.5 * np.log10((h**2).mean()) for h in hidden]
        np.testing.assert_allclose(samples.activation[k], rms, **tolerance)


def clip_norm(limit):
    def clip(gradients):
        norm = np.sqrt(sum((g**2).sum() for g in gradients))
        return [g * min(1.0, limit / norm) for g in gradients]

    return clip


def clip_value(limit):
    return lambda gradients: [np.clip(g, -limit, limit) for g in gradients]


CLIPS = {
    "norm": (vgsim.ClipNorm(0.3), clip_norm(0.3)),
    "value": (vgsim.ClipValue(0.05), clip_value(0.05)),
}


@pytest.mark.parametrize("by", CLIPS)
def test_clipping_acts_on_the_whole_state(by):
    clip, same = CLIPS[by]
    net = vgsim.LSTM(STEPS, N, clip=clip, gain=4.0)
    layers, record = range(STEPS + 1), ("gradient", "clipped")
    samples = vgsim.simulate(net, 2, layers=layers, record=record, dtype="float64")
    assert samples.clipped[:, :-1].max() > 0
    for k in range(2):
        draws = Draws(net, k, gates=4)
        cut = []

        def counting(gradients):
            clipped = same(gradients)
            pairs = list(zip(clipped, gradients, strict=True))
            different = [np.abs(a) < np.abs(b) * (1 - 1e-12) for a, b in pairs]
            cut.append(np.any(different) if by == "norm" else np.mean(different))  # noqa: B023
            return clipped

        gradient, _, _ = trace(draws, lstm()(draws), cell=True, clip=counting)
        np.testing.assert_allclose(samples.gradient[k], gradient, atol=1e-12)
        np.testing.assert_allclose(samples.clipped[k, :-1], cut[::-1])


LYAPUNOV = ("LSTM", "LSTM, zeros", "GRU", "GRU, PyTorch's", "leaky RNN, PyTorch's")


@pytest.mark.parametrize("name", LYAPUNOV)
def test_all_exponents_equal_those_of_the_jacobians(name):
    """The tangents are of (h, c): as many as the state has entries."""
    net, gates, make_step, settings = CELLS[name]
    cell, size = net.program.state == 2, net.program.state * N
    found = vgsim.lyapunov(net, 2, k=size, layers=range(STEPS + 1), **settings)
    for k in range(2):
        draws = Draws(net, k, gates=gates, zeros=settings.get("inputs") == "zeros")
        pair = [draws.state, np.zeros((N, 1))][: 1 + cell]
        parts = draws.raw("tangent", 0, size * net.program.state).reshape(-1, size, N)
        frame = np.linalg.qr(np.concatenate(list(parts), axis=1).T)[0]
        total = np.zeros(size)
        np.testing.assert_allclose(found.stretching[k, 0], 0, atol=1e-12)
        for t in range(1, STEPS + 1):
            pair, J = reference.jacobian(draws, make_step(draws), cell, t, pair)
            frame, r = np.linalg.qr(J @ frame)
            total += np.log10(np.abs(np.diag(r)))
            np.testing.assert_allclose(found.stretching[k, t], total, atol=1e-8)
    with pytest.raises(ValueError, match=f"k must be an int from 1 to .*= {size}"):
        vgsim.lyapunov(net, 1, k=size + 1)


SAME = {  # networks and arguments of simulate
    "LSTM": (vgsim.LSTM(9, 13, bias_std=0.2), {}),
    "LSTM, clipped": (vgsim.LSTM(9, 5, clip=vgsim.ClipNorm(0.5), gain=3.0, chrono=20), {}),
    "LSTM, huge": (vgsim.LSTM(9, 6, gain=1e6, input_std=1e3), {"batch_size": 2}),
    "GRU": (vgsim.GRU(9, 9, bias_std=0.2, update_bias=-1.0), {"batch_size": 2, "loss": "mse"}),
    "GRU, PyTorch's": (vgsim.GRU(9, 10, init="torch_recurrent"), {"inputs": "zeros"}),
    "GRU, orthogonal": (vgsim.GRU(9, 6, init="orthogonal"), {}),
    "leaky RNN": (vgsim.RNN(9, 7, leak=0.2, activation="relu"), {"loss": "cross_entropy"}),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", SAME)
def test_bits_and_segments(name, dtype, monkeypatch):
    net, settings = SAME[name]
    record = RECORD if net.clip is None else (*RECORD, "clipped")
    choice = settings | {"dtype": dtype}
    names = (*record, "output_gradient", "dead", "rms_min", "rms_max")

    def run(n=37, first=3, **more):
        samples = vgsim.simulate(
            net, n, first=first, layers=range(10), record=record, **choice, **more
        )
        return {one: getattr(samples, one).tobytes() for one in names}

    def tangents():
        own = {"inputs": choice.get("inputs", "normal"), "dtype": dtype}
        return vgsim.lyapunov(net, 19, k=3, layers=range(10), **own).stretching.tobytes()

    expected, stretched = run(n_threads=1), None if net.clip else tangents()
    for isa in _kernels.available_isas():
        _kernels.set_isa(isa)
        assert run(n_threads=3) == expected, isa
        assert net.clip or tangents() == stretched, isa
        _kernels.set_isa(None)
    plan, used = plan_of(net, **choice), set()
    for whole, size in ((0, 0), (0, 1 / 2), (1 / 3, 0), (1 / 2, 1 / 2)):
        cut_into_segments(monkeypatch, whole, size, plan)
        used.add(tuple(plan_of(net, **choice).segment_ends))
        assert run() == expected
        assert net.clip or tangents() == stretched
    assert len(used) > 2
    assert min(len(ends) for ends in used) > 1


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "net",
    [
        vgsim.LSTM(300, 3, gain=1e30, input_std=1e-150),
        vgsim.LSTM(300, 3, gain=1e-30, input_std=1e150, bias_std=1e100),
        vgsim.LSTM(3000, 2, forget_bias=-500.0),
        vgsim.LSTM(50, 4, forget_bias=1e6, gain=100.0),
        vgsim.LSTM(50, 4, chrono=1e20),
        vgsim.GRU(3000, 2, update_bias=-500.0),
        vgsim.GRU(300, 3, gain=1e30),
        vgsim.GRU(300, 3, input_std=1e150, update_bias=1e6),
        vgsim.RNN(300, 3, leak=1e-3, activation="relu", gain=1e10),
    ],
    ids=str,
)
@pytest.mark.parametrize("inputs", ["normal", "zeros"])
def test_extremes(net, inputs, dtype):
    """Nothing is NaN or infinite, and smooth cells do not die."""
    samples = vgsim.simulate(net, 20, record=RECORD, inputs=inputs, dtype=dtype)
    assert np.isfinite(samples.gradient).all() or net.activation.name == "relu"
    for name in ("gradient", "weight_gradient", "update_ratio", "saturation", "activation"):
        assert not np.isnan(getattr(samples, name)).any(), name
        assert not np.isposinf(getattr(samples, name)).any(), name


@pytest.mark.parametrize(
    ("bias_std", "index"), [(30.0, 77), (30.0, 1205), (40.0, 55), (40.0, 59), (40.0, 122)]
)
def test_products_of_gates_that_are_open_at_different_units(bias_std, index):
    """Samples in which the square of a product is below the range of float32."""
    net = vgsim.LSTM(3, 2, bias_std=bias_std, input_std=0)
    record = ("gradient", "activation")
    samples = vgsim.simulate(net, 1, first=index, layers=range(4), record=record)
    draws = Draws(net, index, gates=4, dtype="float32")
    gradient, _, hidden = trace(draws, lstm()(draws), cell=True)
    rms = [0.5 * np.log10((h**2).mean()) for h in hidden]
    np.testing.assert_allclose(samples.gradient[0], gradient, atol=1e-5)
    np.testing.assert_allclose(samples.activation[0], rms, atol=1e-5)


def test_zero_inputs_are_for_recurrent_networks():
    for net in (vgsim.MLP(3, 4), vgsim.Sequential(4, [vgsim.Linear(), "tanh"])):
        with pytest.raises(ValueError, match="inputs 'zeros', a zero initial state, is for recur"):
            vgsim.simulate(net, 2, inputs="zeros")
    net = vgsim.GRU(4, 5)
    samples = vgsim.simulate(
        net, 2, inputs="zeros", record=("gradient", "activation"), layers=(0, 4)
    )
    assert samples.inputs == "zeros"
    assert np.isneginf(samples.activation[:, 0]).all()
    assert not np.array_equal(samples.gradient, vgsim.simulate(net, 2, layers=(0, 4)).gradient)
    curve = vgsim.depth_curve(net, (2, 4), 2, inputs="zeros")
    np.testing.assert_array_equal(curve.samples[-1].gradient[:, 0], samples.gradient[:, 0])


def counted(net, **settings):
    """Return the tally of the first 300 samples."""
    samples = vgsim.simulate(net, 300, layers=(0, 2), **settings)
    return Blocks.of(samples, (1e-6,)).total()


def test_zero_inputs_are_the_identity_of_a_study(tmp_path):
    net, store = vgsim.LSTM(4, 5), tmp_path / "zeros.sqlite"
    options = {"max_samples": 300, "layers": (0, 2), "thresholds": (1e-6,), "store": store}
    first = vgsim.collect([net], inputs="zeros", **options)
    again = vgsim.collect([net], inputs="zeros", **options)
    other = vgsim.collect([net], **options)
    assert first[0].tally == again[0].tally == counted(net, inputs="zeros")
    assert other[0].tally == counted(net) != first[0].tally
    assert first[0].task.inputs == "zeros"
