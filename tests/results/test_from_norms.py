"""Samples.from_norms: statistics, tables and files of norms that were measured elsewhere."""

import numpy as np
import pytest

import vgsim


@pytest.fixture
def described():
    net = vgsim.MLP(6, 10, activation="relu", init="he_normal", bias_std=0.1)
    record = ("gradient", "activation", "weight_gradient", "update_ratio", "saturation")
    return vgsim.simulate(net, 400, layers=range(7), record=record, dtype="float64")


@pytest.fixture
def measured(described):
    s = described
    entries = [10] * 7
    return vgsim.Samples.from_norms(
        10**s.gradient,
        10**s.output_gradient,
        label="measured",
        entries=entries,
        activation=10**s.activation,
        weight_gradient=10**s.weight_gradient,
        update_ratio=10**s.update_ratio,
        saturation=s.saturation,
    )


def test_statistics_are_those_of_the_samples(described, measured):
    assert measured.record == described.record
    np.testing.assert_allclose(measured.log10_ratio, described.log10_ratio, atol=1e-13)
    np.testing.assert_allclose(measured.rms_min, described.rms_min, atol=1e-12)
    np.testing.assert_allclose(measured.rms_max, described.rms_max, atol=1e-12)
    for statistic in (
        lambda s: s.probability("vanishing", threshold=0.1).estimate,
        lambda s: s.probability("underflow", dtype="float16").estimate,
        lambda s: s.quantile([0.1, 0.5]),
        lambda s: s.mean(),
        lambda s: s.profile().depth_scale().slope.estimate,
        lambda s: s.lognormal_fit().mean.estimate,
    ):
        np.testing.assert_allclose(statistic(measured), statistic(described), atol=1e-9)


def test_no_theory_is_printed(measured):
    for table in (measured.summary().table(), measured.profile().table()):
        assert "theory" not in table
        assert "Measured(depth=6, label='measured'" in table


def test_quantities_that_were_not_given(measured):
    with pytest.raises(AttributeError, match="clipped was not recorded: it is not among what "):
        assert measured.clipped


def test_files_and_joins(measured, tmp_path):
    measured.save(path := tmp_path / "measured.npz")
    loaded = vgsim.load(path)
    assert loaded.network == measured.network == vgsim.Measured(6, "measured", sized=True)
    np.testing.assert_array_equal(loaded.gradient, measured.gradient)
    norms = 10**measured.gradient
    parts = [
        vgsim.Samples.from_norms(norms[cut], norms[cut, -1], first=first)
        for first, cut in ((0, slice(0, 100)), (100, slice(100, 400)))
    ]
    np.testing.assert_allclose(sum(parts).gradient, measured.gradient, rtol=1e-15)


def test_labelled(measured):
    pytest.importorskip("pandas")
    frame = measured.to_dataframe()
    assert len(frame) == 400 * 7
    assert float(frame.log10_ratio.loc[0, 6]) == 0


def test_some_layers_and_dead_samples():
    norms = np.array([[1e-3, 0.0], [1e-2, 1e-4]])
    s = vgsim.Samples.from_norms(norms, [1.0, 2.0], layers=(10, 0), depth=50)
    assert s.dead.tolist() == [True, False]
    assert s.probability("dead").estimate == 0.5
    assert s.log10_ratio[1].tolist() == pytest.approx([np.log10(0.005), np.log10(5e-5)])
    with pytest.raises(ValueError, match="event 'underflow' needs the number of entries"):
        s.probability("underflow", dtype="float16", layer=10)
    alive = vgsim.Samples.from_norms(norms[:, :1], [1.0, 2.0], layers=(3,), depth=4)
    assert alive.n_dead == 0


def test_numbers_of_a_middle_place_may_be_zero():
    s = vgsim.Samples.from_norms([[2.0, 0.0, 1.0]], [1.0])
    assert not s.dead[0]
    assert s.profile() is not None


BAD = [
    ({"gradient": [[-1.0, 1.0]]}, ValueError, "gradient must be norms"),
    ({"gradient": [[np.nan, 1.0]]}, ValueError, "gradient must be norms"),
    ({"gradient": [1.0, 1.0]}, ValueError, r"gradient must have shape \(n, k\)"),
    ({"gradient": "ab"}, TypeError, "gradient must be an array of norms"),
    ({"output_gradient": [0.0]}, ValueError, "output_gradient must be above 0"),
    ({"output_gradient": [1.0, 1.0]}, ValueError, "output_gradient must have shape"),
    ({"output_gradient": [3.0]}, ValueError, "must equal output_gradient at the last layer, 1"),
    ({"layers": (0,)}, ValueError, "layers must be distinct ints, one for each of the 2 columns"),
    ({"layers": (0, 0)}, ValueError, "layers must be distinct"),
    ({"layers": (0, 5), "depth": 3}, ValueError, "layers must be at most depth = 3"),
    ({"depth": 0}, ValueError, "depth must be an int from 1"),
    ({"label": 3}, TypeError, "label of Measured must be a string|label must be a string"),
    ({"entries": (1,)}, ValueError, "entries must be an int or one for each of the 2 layers"),
    ({"activation": [[1.0]]}, ValueError, r"activation must have shape \(1, 2\)"),
    ({"saturation": [[2.0]]}, ValueError, "saturation must be from 0 to 1"),
    ({"weights": [[2.0]]}, TypeError, "weights is not a quantity; those are activation"),
    ({"first": -1}, ValueError, "first must be an int from 0"),
    ({"batch_size": 0}, ValueError, "batch_size must be an int from 1"),
]


@pytest.mark.parametrize(("choice", "error", "sentence"), BAD)
def test_impossible_numbers(choice, error, sentence):
    arguments = {"gradient": [[0.5, 1.0]], "output_gradient": [1.0], **choice}
    with pytest.raises(error, match=sentence):
        vgsim.Samples.from_norms(**arguments)


def test_the_network_cannot_be_simulated():
    net = vgsim.Measured(5)
    for call in (lambda: vgsim.simulate(net, 10), lambda: net.with_depth(3), lambda: net.widths):
        with pytest.raises(TypeError, match="network must be described layer by layer"):
            call()
