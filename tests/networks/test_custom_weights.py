"""Laws of weights by a quantile function: the table, files, kernels against twin, and errors."""

import math
import pickle

import numpy as np
import pytest
from scipy import special, stats

import vgsim
from vgsim import _kernels
from vgsim._networks.custom_weights import tails_of

GUMBEL_STD = math.pi / math.sqrt(6)


def gumbel(p):
    """An asymmetric law of mean 0 and variance 1."""
    return (-np.log(-np.log(p)) - np.euler_gamma) / GUMBEL_STD


def logistic(p):
    return special.logit(p) * math.sqrt(3) / math.pi


LAWS = {
    "normal": (special.ndtri, stats.norm()),
    "gumbel": (gumbel, stats.gumbel_r(-np.euler_gamma / GUMBEL_STD, 1 / GUMBEL_STD)),
    "logistic": (logistic, stats.logistic(scale=math.sqrt(3) / math.pi)),
    "uniform": (lambda p: math.sqrt(12) * (p - 0.5), stats.uniform(-(3**0.5), 12**0.5)),
}
laws = pytest.mark.parametrize("law", LAWS)


def custom(law, **more):
    return vgsim.Initializer("custom", quantile=LAWS[law][0], **more)


@laws
def test_the_tails_are_the_quantiles(law):
    init, (q, _) = custom(law), LAWS[law]
    p = np.geomspace(2.0**-33, 0.5, 2000)
    lower, upper = tails_of(init.parameters["sha256"])(-np.log(2 * p))
    np.testing.assert_allclose(lower, q(p), rtol=2e-6, atol=3e-7)
    np.testing.assert_allclose(upper, q(1 - p), rtol=2e-6, atol=3e-7)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@laws
def test_replayed_weights_have_the_law(law, dtype, seed):
    net = vgsim.MLP(3, [30, 41, 50, 23], init=custom(law, scale=2.0, mode="fan_avg"), gain=0.5)
    assert net.weight_stds[0] == pytest.approx(0.5 * math.sqrt(2.0 / 35.5), rel=1e-15)
    samples = [vgsim.replay(net, seed, i, dtype=dtype, engine="dense") for i in range(4)]
    x = [W.ravel() / s for sample in samples for W, s in zip(sample.weights, net.weight_stds)]  # noqa: B905
    assert stats.kstest(np.concatenate(x), LAWS[law][1].cdf).pvalue > 1e-6


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-9), ("float32", 3e-4)])
@pytest.mark.parametrize("kind", ["MLP", "LSTM", "Sequential"])
def test_kernel_equals_twin(kind, dtype, tolerance, isa):
    init = custom("gumbel")
    net = {
        "MLP": lambda: vgsim.MLP(4, [6, 9, 4, 8, 3], init=init, bias_std=0.1),
        "LSTM": lambda: vgsim.LSTM(4, 5, init=init),
        "Sequential": lambda: vgsim.Sequential(
            6, [vgsim.Linear(init=init), "tanh", vgsim.Linear(9, init=custom("logistic"))]
        ),
    }[kind]()
    record = ("gradient", "weight_gradient", "update_ratio", "activation")
    choice = {"dtype": dtype, "engine": "dense"}
    samples = vgsim.simulate(net, 6, seed=3, layers=range(net.depth + 1), record=record, **choice)
    for index in range(6):
        sample = vgsim.replay(net, 3, index, **choice)
        twin = vgsim.evaluate(net, sample.parameters, sample.inputs, sample.output_gradient)
        for name in record:
            actual, expected = getattr(samples, name)[index], getattr(twin, name)
            np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance, err_msg=name)


def test_the_same_bits_on_every_instruction_set():
    net, bits = vgsim.MLP(3, 8, init=custom("logistic")), set()
    for isa in _kernels.available_isas():
        _kernels.set_isa(isa)
        bits.add(vgsim.simulate(net, 20, seed=1, n_threads=2).gradient.tobytes())
    _kernels.set_isa(None)
    assert len(bits) == 1


def test_a_custom_law_of_the_initialisers_is_theirs(seed):
    """The distribution of R of a custom normal law is that of normal weights."""
    nets = [vgsim.MLP(10, 20, init=init) for init in (custom("normal"), "lecun_normal")]
    one, other = (vgsim.simulate(net, 4000, seed=seed, engine="dense") for net in nets)
    found = stats.ks_2samp(one.log10_ratio[:, 0], other.log10_ratio[:, 0])
    assert found.pvalue > 1e-5


def test_identity_and_files(tmp_path, start_python):
    init = custom("gumbel", scale=2.0)
    assert init == custom("gumbel", scale=2.0)
    assert len({init, custom("gumbel"), custom("logistic", scale=2.0)}) == 3
    assert vgsim.Initializer.from_json(init.to_json()) == init
    assert pickle.loads(pickle.dumps(init)) == init
    net = vgsim.MLP(3, 4, init=init)
    samples = vgsim.simulate(net, 5, seed=1)
    samples.save(tmp_path / "a.npz")
    vgsim.collect([net], max_samples=5, seed=1, store=tmp_path / "a.sqlite")
    process = start_python(
        "import sys, vgsim\n"
        "samples, study = map(vgsim.load, sys.argv[1:])\n"
        "again = vgsim.simulate(samples.network, 5, seed=1)\n"
        "print(again.gradient.tobytes() == samples.gradient.tobytes(),"
        " study[0].network == samples.network)",
        tmp_path / "a.npz",
        tmp_path / "a.sqlite",
    )
    out, err = process.communicate(timeout=120)
    assert (out.strip(), err) == ("True True", "")


@pytest.mark.parametrize(
    ("quantile", "words"),
    [
        (lambda p: special.ndtri(p) + 0.1, "mean 0 and variance 1, found 0.1"),
        (lambda p: 2 * special.ndtri(p), "found .* and 4"),
        (lambda p: -special.ndtri(p), "must not decrease"),
        (lambda p: np.sign(p - 0.3), "must be smooth|must have mean 0"),
        (lambda p: np.full_like(p, np.nan), "must be finite"),
        (lambda p: np.where(p < 0.25, np.nan, p), r"finite on \(0, 1\), got nan at p = 0.24\d+$"),
        (lambda p: 1 / 0, "must take an array of float64, and raised ZeroDivisionError"),
        (math.sqrt, "must take an array of float64, and raised TypeError"),
        (lambda p: 0.0, "array of reals of the shape of its argument"),
        (3.0, "must be a function, got 3.0"),
    ],
)
def test_errors(quantile, words):
    with pytest.raises((TypeError, ValueError), match=words) as caught:
        vgsim.Initializer("custom", quantile=quantile)
    assert caught.value.argument == "quantile"


def test_tables_of_activations_and_of_laws_are_told_apart():
    phi = vgsim.Activation("custom", function=np.abs, derivative=np.sign)
    with pytest.raises(ValueError, match="sha256 of init 'custom' is 'abc', and this process"):
        vgsim.Initializer("custom", sha256="abc")
    with pytest.raises(ValueError, match="that of an activation"):
        vgsim.Initializer("custom", sha256=phi.parameters["sha256"])
    with pytest.raises(ValueError, match="that of a law of weights"):
        vgsim.Activation("custom", sha256=custom("normal").parameters["sha256"])
    with pytest.raises(TypeError, match="quantile .*must be a function, got None"):
        vgsim.Initializer("custom")
