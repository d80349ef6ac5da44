"""Runs of composed networks: what they return, print and refuse."""

import csv
import io

import numpy as np
import pytest

import vgsim
from known_runs import same
from vgsim import Attention, Dropout, Linear, Norm, Sequential, Skip

MLP = Skip([Norm("layer"), Linear(32, gain=2.0), "gelu", Linear(8)])
GPT = [Skip([Norm("layer"), Attention(2, causal=True)]), MLP]
NETWORKS = {
    "attention": Sequential(8, GPT * 3, tokens=4),
    "without matrices": Sequential(8, ["tanh", Norm("rms"), Dropout(0.1)] * 3),
    "clipping": Sequential(8, [Linear(4), "relu", Linear(8)] * 2, clip=vgsim.ClipNorm(1.0)),
}
QUANTITIES = ("gradient", "activation", "saturation", "weight_gradient", "update_ratio")


@pytest.fixture(params=NETWORKS)
def samples(request):
    network = NETWORKS[request.param]
    record = [*QUANTITIES]
    if network.tokens > 1:
        record += ["activation_correlation", "gradient_correlation"]
    if network.clip:
        record += ["clipped"]
    return vgsim.simulate(network, 200, record=record)


# Depth curves


def test_a_curve_is_the_runs_of_the_repeated_list():
    network = Sequential(8, GPT * 3, tokens=4)
    told = []
    curve = vgsim.depth_curve(network, [2, 8, 24], 300, seed=5, progress=lambda *x: told.append(x))
    assert told[-1] == (900, 900)
    assert [run.network for run in curve.samples] == [
        Sequential(8, GPT * times, tokens=4) for times in (1, 4, 12)
    ]
    for run in curve.samples:
        alone = vgsim.simulate(run.network, 300, seed=5, layers=[0])
        np.testing.assert_array_equal(run.gradient, alone.gradient)
    assert np.all(np.diff(curve.mean().estimate) > 0)
    table = curve.table()
    assert "300 networks per depth" in table
    assert max(map(len, table.splitlines())) <= 100
    assert curve.to_dataframe().groupby("depth").size().tolist() == [300] * 3
    assert curve.to_xarray().depth.values.tolist() == [2, 8, 24]


def test_the_critical_depth_is_that_of_the_mlp():
    """The list [Linear, ReLU] has the exact law of a ReLU MLP of half the depth."""
    law = vgsim.theory.relu_law
    network = Sequential(16, [Linear(init="he_normal"), "relu"])
    curve = vgsim.depth_curve(network, [20, 60, 200, 400], 4000)
    exact = [law(16, depth // 2).probability("vanishing", 1e-3) for depth in curve.depths]
    found = curve.probability("vanishing", threshold=1e-3)
    assert np.all(np.abs(found.estimate - exact) < 4 * np.sqrt(0.25 / 4000))
    assert law(16, 78).probability("vanishing", 1e-3) < 0.5
    assert law(16, 79).probability("vanishing", 1e-3) > 0.5
    depth = curve.critical_depth(threshold=1e-3)
    assert depth.low < 2 * 78.9 < depth.high


def test_a_network_without_matrices_has_a_curve():
    network = Sequential(8, ["tanh", Dropout(0.5)])
    for engine in ("dense", "matrix-free"):
        assert len(vgsim.depth_curve(network, [2, 8], 20, engine=engine).samples) == 2


@pytest.mark.parametrize(
    ("layers", "depths", "message"),
    [
        (GPT * 2, [2, 3], "depths must be a multiple of 2, the number of layers of .*, got 3"),
        ([*GPT, Linear(4)], [3, 6], "with 8 units at the input and 4 at the output$"),
    ],
)
def test_depths_that_a_list_cannot_have(layers, depths, message):
    with pytest.raises(ValueError, match=message):
        vgsim.depth_curve(Sequential(8, layers), depths, 10)


# Samples


def test_columns_of_matrices_are_those_of_the_places_that_have_them(samples):
    network = samples.network
    matrices = {"attention": [1, 2, 3, 4, 5, 6], "without matrices": [], "clipping": [1, 3, 4, 6]}
    (expected,) = (matrices[name] for name, one in NETWORKS.items() if one == network)
    assert samples.weight_layers.tolist() == expected
    assert samples.weight_gradient.shape == samples.update_ratio.shape == (200, len(expected))
    assert samples.saturation.shape == (200, network.depth)


def test_samples_survive_their_file(samples, tmp_path):
    samples.save(tmp_path / "x.npz")
    assert same(vgsim.load(tmp_path / "x.npz"), samples)


def test_containers(samples, tmp_path):
    frame = samples.to_dataframe()
    assert len(frame) == 200 * (samples.network.depth + 1)
    place = samples.weight_layers.tolist()
    known = frame["weight_gradient"].unstack("layer").notna().all()
    assert known[known].index.tolist() == place
    data = samples.to_xarray()
    assert data.weight_layer.values.tolist() == place
    np.testing.assert_array_equal(data.weight_gradient.values, samples.weight_gradient)
    assert data.attrs["network"] == samples.network.canonical_json()


def test_tables(samples):
    summary = samples.summary(threshold=0.5)
    for text in (summary.table(), samples.profile().table(), str(summary)):
        assert max(map(len, text.splitlines()[:3])) <= 100
    rows = list(csv.DictReader(io.StringIO(summary.table("csv"))))
    assert [int(row["layer"]) for row in rows] == list(range(samples.network.depth + 1))
    assert f"200 of {samples.network!r}" in repr(samples)


def test_parts_of_a_run_are_joined(samples):
    setting = {"record": samples.record}
    a = vgsim.simulate(samples.network, 50, **setting)
    b = vgsim.simulate(samples.network, 150, first=50, **setting)
    assert same(a + b, samples)


# Wrong arguments


@pytest.mark.parametrize(
    ("arguments", "argument", "message"),
    [
        ({"layers": [7]}, "layers", r"layers\[0\] must be an int from 0 to depth = 6, got 7"),
        ({"inputs": np.ones((4, 8))}, "inputs", r"\(N, tokens, n_0\) with tokens = 4 and n_0 = 8"),
        (
            {"inputs": np.ones((4, 3, 8))},
            "inputs",
            r"tokens = 4 and n_0 = 8, got shape \(4, 3, 8\)",
        ),
        (
            {"inputs": np.ones((2, 4, 8)), "batch_size": 3},
            "inputs",
            "must have at least batch_size = 3 sequences",
        ),
        ({"batch_size": 2**30}, "batch_size", "at width 32 and 4 tokens"),
        ({"record": ["activation_corelation"]}, "record", "did you mean 'activation_correlation'"),
        ({"record": ["clipped"]}, "record", "needs a network with gradient clipping"),
    ],
)
def test_wrong_arguments(arguments, argument, message):
    with pytest.raises(ValueError, match=message) as caught:
        vgsim.simulate(NETWORKS["attention"], 5, **arguments)
    assert caught.value.argument == argument


def test_wrong_networks():
    with pytest.raises(
        ValueError, match="'matrix-free' needs Gaussian .* those of Linear with init"
    ):
        vgsim.simulate(Sequential(4, [Linear(init="he_uniform")]), 5, engine="matrix-free")
    with pytest.raises(ValueError, match="'cross_entropy' needs 2 outputs .* got width 1"):
        vgsim.simulate(Sequential(4, [Linear(1)]), 5, loss="cross_entropy")
    with pytest.raises(ValueError, match="batch_size must be at least 2 with norm 'batch'"):
        vgsim.simulate(Sequential(4, [Skip([Norm("batch")])]), 5)
    with pytest.raises(TypeError, match=r"network must be .* or vgsim.TorchModule, got Linear\(\)"):
        vgsim.simulate(Linear(), 5)
